"""Writes small checkpoints of every form that is read, and what PyTorch computes with them, as test data.

Usage: python write.py     (with torch, safetensors and Pillow; models/requirements.txt has them)

The networks are the common ones, but narrow and with random weights. The files are committed: tests need no Python.
"""

import argparse
import json
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from safetensors.torch import save_file
from torch import nn
from torch.nn import functional

HERE = Path(__file__).parent
IMAGE = HERE / "../../../../models/sample/0000-cat.png"
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


class Block(nn.Module):
    """A basic block. Its projection, if it has one, is called `name`; without one, the shortcut is of option A."""

    def __init__(self, channels_in: int, channels: int, stride: int, name: str | None) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels_in, channels, 3, stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)
        self.stride, self.name, self.zeros = stride, name if stride > 1 else None, (channels - channels_in) // 2
        if self.name:
            projection = nn.Conv2d(channels_in, channels, 1, stride, bias=False)
            self.add_module(self.name, nn.Sequential(projection, nn.BatchNorm2d(channels)))

    def shortcut_of(self, x: torch.Tensor) -> torch.Tensor:
        if self.name:
            return getattr(self, self.name)(x)
        return functional.pad(x[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, self.zeros, self.zeros))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = functional.relu(self.bn1(self.conv1(x)))
        return functional.relu(self.bn2(self.conv2(y)) + self.shortcut_of(x))


class Network(nn.Module):
    """Stages of `blocks` blocks with these widths; the last layer is called `last`."""

    def __init__(self, widths: list[int], blocks: int, projection: str | None = None, last: str = "linear") -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, widths[0], 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(widths[0])
        self.stages, channels = len(widths), widths[0]
        for number, width in enumerate(widths, start=1):
            first = Block(channels, width, 2 if number > 1 else 1, projection)
            rest = (Block(width, width, 1, projection) for _ in range(blocks - 1))
            self.add_module(f"layer{number}", nn.Sequential(first, *rest))
            channels = width
        self.last = last
        self.add_module(last, nn.Linear(channels, 10))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = functional.relu(self.bn1(self.conv1(x)))
        for number in range(1, self.stages + 1):
            x = getattr(self, f"layer{number}")(x)
        return getattr(self, self.last)(x.mean(dim=(2, 3)))


def trained(network: nn.Module, seed: int) -> nn.Module:
    """Random weights, and batch norms that have seen something."""
    random = torch.Generator().manual_seed(seed)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            for values, low, high in [
                (module.weight, 0.5, 1.5),
                (module.bias, -0.5, 0.5),
                (module.running_mean, -0.5, 0.5),
                (module.running_var, 0.5, 1.5),
            ]:
                nn.init.uniform_(values, low, high, generator=random)
            module.num_batches_tracked.fill_(seed)
        elif isinstance(module, (nn.Conv2d, nn.Linear)):
            nn.init.kaiming_normal_(module.weight, generator=random)
            if module.bias is not None:
                nn.init.uniform_(module.bias, -0.5, 0.5, generator=random)
    return network.eval()


def logits(network: nn.Module) -> list[float]:
    pixels = np.asarray(Image.open(IMAGE).convert("RGB"), dtype=np.float32) / 255
    image = torch.from_numpy((pixels - np.float32(MEAN)) / np.float32(STD)).permute(2, 0, 1).unsqueeze(0)
    with torch.no_grad():
        return network(image).squeeze(0).tolist()


def with_prefix(network: nn.Module) -> dict[str, torch.Tensor]:
    """As DataParallel names them."""
    return {f"module.{name}": tensor for name, tensor in network.state_dict().items()}


def training_state(network: nn.Module) -> dict:
    """What a training script keeps, an optimizer with its moments included."""
    optimizer = torch.optim.SGD(network.parameters(), lr=0.1, momentum=0.9)
    network(torch.zeros(2, 3, 32, 32)).sum().backward()
    optimizer.step()
    return {"optimizer": optimizer.state_dict(), "args": argparse.Namespace(arch="resnet"), "best_prec1": 91.7, "epoch": 3}


def write_all() -> dict[str, list[float]]:
    """The logits by file."""
    expected = {}

    def note(file: str, network: nn.Module) -> Path:
        expected[file] = logits(network)
        return HERE / file

    network = trained(Network([2, 4, 8], 1), 1)
    rest = training_state(network)
    checkpoint = rest | {"state_dict": with_prefix(network)}
    torch.save(checkpoint, note("option-a.th", network))
    torch.save(checkpoint, note("option-a-before-1.6.th", network), _use_new_zipfile_serialization=False)

    network = trained(Network([2, 4, 8], 2, projection="shortcut"), 2)
    torch.save(network.state_dict(), note("option-b.pt", network))
    save_file(network.state_dict(), note("option-b.safetensors", network))

    network = trained(Network([2, 4, 6], 1, projection="downsample", last="fc"), 3).to(memory_format=torch.channels_last)
    torch.save(network.state_dict(), note("channels-last.pth", network))

    network = trained(Network([2, 4, 6, 8], 2, projection="shortcut"), 4)
    torch.save({"net": with_prefix(network), "acc": 95.1, "epoch": 7}, note("resnet18.pth", network))

    network = trained(Network([2, 4, 8], 1), 5).to(torch.bfloat16)
    checkpoint = network.state_dict()
    torch.save(checkpoint, note("bfloat16.pt", network.float()))
    return expected


def main() -> None:
    expected = write_all()
    (HERE / "option-b.safetensors").chmod(0o644)
    torch.save(Network([2, 4, 8], 1), HERE / "whole-module.pt")
    (HERE / "expected.json").write_text(json.dumps(expected, indent=1) + "\n")


if __name__ == "__main__":
    main()
