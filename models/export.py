"""Measures a trained network and writes it as safetensors, with its numbers beside it as JSON."""

import argparse
import json
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save

import cifar10
from augment import MEAN, STD, jpeg
from resnet import ResNet
from train import predict

JPEG_QUALITIES = (50, 75, 95)
JPEG_QUALITY_BY_CLASS = 75


def confusion(labels: np.ndarray, predictions: np.ndarray) -> np.ndarray:
    """Rows: the true class; columns: the answer."""
    classes = len(cifar10.CLASSES)
    return np.bincount(labels * classes + predictions, minlength=classes**2).reshape(classes, classes)


def accuracy(matrix: np.ndarray) -> float:
    return float((matrix.trace() / matrix.sum()).round(4))


def by_class(matrix: np.ndarray) -> dict[str, float]:
    return dict(zip(cifar10.CLASSES, (matrix.diagonal() / matrix.sum(axis=1)).round(3).tolist()))


def measure(network: torch.nn.Module) -> dict:
    """Numbers of the 10,000 test images, lossless and as JPEG with 4:2:0 chroma."""
    images, labels = cifar10.load_test()
    lossless = confusion(labels, predict(network, images))
    as_jpeg = {}
    for quality in JPEG_QUALITIES:
        encoded = np.stack([jpeg(image, quality) for image in images])
        as_jpeg[quality] = confusion(labels, predict(network, encoded))
    return {
        "accuracy": accuracy(lossless),
        "accuracy_jpeg": {f"quality {quality}, 4:2:0": accuracy(matrix) for quality, matrix in as_jpeg.items()},
        "accuracy_by_class": by_class(lossless),
        "accuracy_by_class_jpeg": by_class(as_jpeg[JPEG_QUALITY_BY_CLASS]),
        "confusion": lossless.tolist(),
    }


def training_time(state: dict) -> dict[str, float]:
    """Hours by the clock, and of all cores together; sums over the epochs, with the loading of data left out."""
    clock, cores = sum(state["seconds"]), sum(state["processor_seconds"])
    return {"hours": round(clock / 3600, 2), "core_hours": round(cores / 3600, 2)}


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
    torch.set_num_threads(1)  # beside other work two threads spend their time waiting for each other
    state = torch.load(options.checkpoint, weights_only=True)
    recipe = state["recipe"]
    network = ResNet(recipe["layers"])
    network.load_state_dict(state["network"])
    numbers = measure(network)
    tensors = {name: tensor.contiguous() for name, tensor in network.state_dict().items()}
    file = save(tensors, metadata(recipe, numbers["accuracy"]))
    options.output.write_bytes(with_sorted_header(file))
    report = {
        "sha256": cifar10.sha256(options.output),
        "parameters": sum(parameter.numel() for parameter in network.parameters()),
        "recipe": recipe | {"epochs_trained": state["epoch"]},
        "training": training_time(state),
        **numbers,
    }
    options.output.with_suffix(".json").write_text(json.dumps(report, indent=2) + "\n")
    print(json.dumps({key: report[key] for key in ("sha256", "accuracy", "accuracy_jpeg")}))


if __name__ == "__main__":
    main()
