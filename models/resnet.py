"""The CIFAR ResNet of He et al., "Deep Residual Learning for Image Recognition" (2015), section 4.2."""

import torch
from torch import nn
from torch.nn import functional


def batch_norm(channels: int) -> nn.BatchNorm2d:
    """Statistics over the last hundred batches, not ten: nearer to those of the whole set."""
    return nn.BatchNorm2d(channels, momentum=0.01)


class BasicBlock(nn.Module):
    """Two 3x3 convolutions with a shortcut; option A: where the shape changes, stride and zero channels."""

    def __init__(self, channels_in: int, channels: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels_in, channels, 3, stride, padding=1, bias=False)
        self.bn1 = batch_norm(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.bn2 = batch_norm(channels)
        self.stride = stride
        self.zero_channels = (channels - channels_in) // 2

    def shortcut(self, x: torch.Tensor) -> torch.Tensor:
        if self.stride == 1:
            return x
        zeros = self.zero_channels
        return functional.pad(x[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, zeros, zeros))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = functional.relu(self.bn1(self.conv1(x)))
        return functional.relu(self.bn2(self.conv2(y)) + self.shortcut(x))


class ResNet(nn.Module):
    """6n+2 layers: one convolution, three stages of n blocks with 16, 32 and 64 channels, one linear layer."""

    def __init__(self, layers: int = 20, classes: int = 10) -> None:
        super().__init__()
        blocks, rest = divmod(layers - 2, 6)
        if rest or blocks < 1:
            raise ValueError(f"a CIFAR ResNet has 6n+2 layers (20, 32, 44, 56, 110), not {layers}")
        self.conv1 = nn.Conv2d(3, 16, 3, padding=1, bias=False)
        self.bn1 = batch_norm(16)
        self.layer1 = stage(16, 16, blocks, stride=1)
        self.layer2 = stage(16, 32, blocks, stride=2)
        self.layer3 = stage(32, 64, blocks, stride=2)
        self.linear = nn.Linear(64, classes)
        self.apply(initialise)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = functional.relu(self.bn1(self.conv1(x)))
        x = self.layer3(self.layer2(self.layer1(x)))
        return self.linear(x.mean(dim=(2, 3)))


def stage(channels_in: int, channels: int, blocks: int, stride: int) -> nn.Sequential:
    first = BasicBlock(channels_in, channels, stride)
    return nn.Sequential(first, *(BasicBlock(channels, channels, 1) for _ in range(blocks - 1)))


def initialise(module: nn.Module) -> None:
    """He initialisation, as the paper trains it."""
    if isinstance(module, (nn.Conv2d, nn.Linear)):
        nn.init.kaiming_normal_(module.weight)
