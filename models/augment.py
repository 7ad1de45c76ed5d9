"""What is done to images before the network sees them."""

import io

import numpy as np
import torch
from numpy.lib.stride_tricks import sliding_window_view
from PIL import Image

MEAN = [0.485, 0.456, 0.406]
STD = [0.229, 0.224, 0.225]
BORDER = 4
JPEG_SHARE = 1 / 3
JPEG_QUALITIES = (50, 95)


def normalise(images: np.ndarray) -> torch.Tensor:
    """Bytes (N, 32, 32, 3) to floats (N, 3, 32, 32) in channels_last order."""
    floats = (images / np.float32(255) - np.float32(MEAN)) / np.float32(STD)
    return torch.from_numpy(floats).permute(0, 3, 1, 2)


def jpeg(image: np.ndarray, quality: int) -> np.ndarray:
    """The image as it comes out of a JPEG with 4:2:0 chroma."""
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "JPEG", quality=quality, subsampling="4:2:0")
    return np.asarray(Image.open(buffer))


class Augmenter:
    """Random crop out of a black border, random flip, and for a share of the images JPEG of a random quality."""

    def __init__(self, images: np.ndarray) -> None:
        border = (BORDER, BORDER)
        self.padded = np.pad(images, ((0, 0), border, border, (0, 0)))

    def batch(self, indices: np.ndarray, random: np.random.Generator) -> np.ndarray:
        """The images of these indices, (N, 32, 32, 3) bytes."""
        tops, lefts = random.integers(0, 2 * BORDER + 1, (2, len(indices)))
        crops = sliding_window_view(self.padded, (32, 32), axis=(1, 2))[indices, tops, lefts]
        flips = random.random(len(indices)) < 0.5
        crops[flips] = crops[flips, :, :, ::-1]
        images = np.ascontiguousarray(crops.transpose(0, 2, 3, 1))
        qualities = random.integers(JPEG_QUALITIES[0], JPEG_QUALITIES[1] + 1, len(indices))
        for i in np.flatnonzero(random.random(len(indices)) < JPEG_SHARE):
            images[i] = jpeg(images[i], int(qualities[i]))
        return images
