"""Writes the sample for unit tests: the first images of the CIFAR-10 test set as PNG files, NUMBER-CLASS.png."""

from pathlib import Path

from PIL import Image

import cifar10

COUNT = 40


def main() -> None:
    folder = Path(__file__).parent / "sample"
    folder.mkdir(exist_ok=True)
    images, labels = cifar10.load_test()
    for number in range(COUNT):
        name = f"{number:04}-{cifar10.CLASSES[labels[number]]}.png"
        Image.fromarray(images[number]).save(folder / name, optimize=True)


if __name__ == "__main__":
    main()
