"""Measures a trained network and writes it as safetensors, with its numbers beside it as JSON."""

import argparse
import json
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save

import cifar10
from augment import JPEG_QUALITIES, JPEG_SHARE, MEAN, STD, jpeg
from resnet import ResNet
from train import predict

JPEG_QUALITY = 75


def confusion(labels: np.ndarray, predictions: np.ndarray) -> np.ndarray:
    """Rows: the true class; columns: the answer."""
    classes = len(cifar10.CLASSES)
    return np.bincount(labels * classes + predictions, minlength=classes**2).reshape(classes, classes)


def measure(network: torch.nn.Module) -> dict:
    images, labels = cifar10.load_test()
    as_jpeg = np.stack([jpeg(image, JPEG_QUALITY) for image in images])
    right_as_jpeg = (predict(network, as_jpeg) == labels).mean()
    matrix = confusion(labels, predict(network, images))
    by_class = matrix.diagonal() / matrix.sum(axis=1)
    return {
        "accuracy": float((matrix.trace() / len(labels)).round(4)),
        "accuracy_jpeg": {f"quality {JPEG_QUALITY}, 4:2:0": float(right_as_jpeg.round(4))},
        "accuracy_by_class": dict(zip(cifar10.CLASSES, by_class.round(3).tolist())),
        "confusion": matrix.tolist(),
    }


def metadata(recipe: dict, accuracy: float) -> dict[str, str]:
    """What the header of the safetensors file says; lists as JSON."""
    return {
        "format": "pt",
        "architecture": f"resnet{recipe['layers']}-cifar, option A",
        "mean": json.dumps(MEAN),
        "std": json.dumps(STD),
        "labels": json.dumps(cifar10.CLASSES),
        "recipe": json.dumps(recipe),
        "accuracy": str(accuracy),
    }


def with_sorted_header(file: bytes) -> bytes:
    """The same file with its metadata sorted: the library's order differs from run to run, and with it the sha256."""
    length = int.from_bytes(file[:8], "little")
    header = json.loads(file[8 : 8 + length])
    header["__metadata__"] = dict(sorted(header["__metadata__"].items()))
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text + file[8 + length :]


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--checkpoint", type=Path, default=cifar10.cache() / "training" / "resnet20.pt")
    parser.add_argument("--output", type=Path, default=Path(__file__).parent / "resnet20.safetensors")
    return parser.parse_args()


def main() -> None:
    options = arguments()
    state = torch.load(options.checkpoint, weights_only=True)
    recipe = state["recipe"]
    network = ResNet(recipe["layers"])
    network.load_state_dict(state["network"])
    numbers = measure(network)
    tensors = {name: tensor.contiguous() for name, tensor in network.state_dict().items()}
    file = save(tensors, metadata(recipe, numbers["accuracy"]))
    options.output.write_bytes(with_sorted_header(file))
    augmentation = {"jpeg_share": round(JPEG_SHARE, 3), "jpeg_qualities": JPEG_QUALITIES}
    report = {
        "sha256": cifar10.sha256(options.output),
        "parameters": sum(parameter.numel() for parameter in network.parameters()),
        "recipe": recipe | augmentation | {"epochs_trained": state["epoch"]},
        **numbers,
    }
    options.output.with_suffix(".json").write_text(json.dumps(report, indent=2) + "\n")
    print(json.dumps({key: report[key] for key in ("sha256", "accuracy", "accuracy_jpeg")}))


if __name__ == "__main__":
    main()
