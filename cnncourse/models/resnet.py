"""ResNet: blocks that add what they compute to what they were given (He et al. 2015).

"Deep Residual Learning for Image Recognition", arXiv:1512.03385. As they stand, the builders are
torchvision's, whose weights load; `stride_in_1x1` and `shortcut` give the paper's other choices.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from cnncourse import messages
from cnncourse.models import checks

# He et al. 2015, Table 1: blocks in conv2_x, conv3_x, conv4_x, conv5_x.
STAGE_DEPTHS = {
    "resnet18": (2, 2, 2, 2),  # of BasicBlock
    "resnet34": (3, 4, 6, 3),
    "resnet50": (3, 4, 6, 3),  # of Bottleneck
    "resnet101": (3, 4, 23, 3),
    "resnet152": (3, 8, 36, 3),
}
STAGE_WIDTHS = (64, 128, 256, 512)  # channels of the 3x3 convolutions
SHORTCUTS = ("A", "B", "C")  # section 4.1

Block = Callable[..., Any]  # (in_channels, width, stride=...) -> a module that has out_channels


def conv_bn(in_channels: int, out_channels: int, *, stride: int) -> nn.Module:
    """1x1 convolution without a bias, then batch normalisation: the projection of a shortcut.

    (N, in_channels, H, W) -> (N, out_channels, ceil(H / stride), ceil(W / stride))
    """
    return nn.Sequential(
        nn.Conv2d(in_channels, out_channels, kernel_size=1, stride=stride, bias=False),
        nn.BatchNorm2d(out_channels),
    )


class Subsample(nn.Module):
    """Shortcut A where the shape changes: every stride-th pixel, new channels zero; no parameters.

    (N, in_channels, H, W) -> (N, out_channels, ceil(H / stride), ceil(W / stride))
    """

    def __init__(self, in_channels: int, out_channels: int, *, stride: int) -> None:
        super().__init__()
        self.new_channels, self.stride = out_channels - in_channels, stride

    def forward(self, x: Tensor) -> Tensor:
        """Subsample, then append channels of zeros."""
        kept = x[:, :, :: self.stride, :: self.stride]
        return F.pad(kept, (0, 0, 0, 0, 0, self.new_channels))


def make_shortcut(
    in_channels: int, out_channels: int, *, stride: int, option: str = "B"
) -> nn.Module:
    """The way around a block (section 4.1), of the block's output shape.

    A: the input itself, zeros for new channels. B: the input itself, a projection (1x1 convolution)
    where the shape changes; torchvision's. C: a projection around every block.
    Raises ValueError for another option, and for A where channels would become fewer.
    """
    if option not in SHORTCUTS:
        raise ValueError(messages.unknown(option, "shortcut", SHORTCUTS))
    if option == "C":
        return conv_bn(in_channels, out_channels, stride=stride)
    if stride == 1 and in_channels == out_channels:
        return nn.Identity()
    if option == "B":
        return conv_bn(in_channels, out_channels, stride=stride)
    if out_channels < in_channels:
        raise ValueError(
            f"out_channels={out_channels}: shortcut 'A' adds channels of zeros and can drop none "
            f"of the {in_channels} it is given. Try: shortcut='B'."
        )
    return Subsample(in_channels, out_channels, stride=stride)


class PlainBlock(nn.Module):
    """Two 3x3 convolutions and no way around them (Figure 3, middle): what a BasicBlock is up to.

    (N, in_channels, H, W) -> (N, width, ceil(H / stride), ceil(W / stride))
    """

    def __init__(self, in_channels: int, width: int, *, stride: int = 1) -> None:
        super().__init__()
        self.out_channels = width
        self.conv1 = nn.Conv2d(in_channels, width, 3, stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.relu = nn.ReLU(inplace=True)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)

    def forward(self, x: Tensor) -> Tensor:
        """H(x), learned as it is."""
        x = self.relu(self.bn1(self.conv1(x)))
        return self.relu(self.bn2(self.conv2(x)))


class BasicBlock(nn.Module):
    """Two 3x3 convolutions and a shortcut around them (Figure 2; Figure 5, left).

    (N, in_channels, H, W) -> (N, width, ceil(H / stride), ceil(W / stride))
    Parts are named as in torchvision, so that its weights load as they are.
    """

    def __init__(
        self, in_channels: int, width: int, *, stride: int = 1, shortcut: str = "B"
    ) -> None:
        super().__init__()
        self.out_channels = width
        self.conv1 = nn.Conv2d(in_channels, width, 3, stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.relu = nn.ReLU(inplace=True)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.downsample = make_shortcut(in_channels, width, stride=stride, option=shortcut)

    def forward(self, x: Tensor) -> Tensor:
        """F(x) + x, then ReLU."""
        residual = self.relu(self.bn1(self.conv1(x)))
        residual = self.bn2(self.conv2(residual))
        residual += self.downsample(x)
        return self.relu(residual)


class Bottleneck(nn.Module):
    """1x1 to fewer channels, 3x3, 1x1 to four times as many; a shortcut (Figure 5, right).

    (N, in_channels, H, W) -> (N, 4 * width, ceil(H / stride), ceil(W / stride))
    The stride is the 3x3's, as in torchvision ("v1.5"), or the first 1x1's, as in the paper.
    """

    def __init__(
        self,
        in_channels: int,
        width: int,
        *,
        stride: int = 1,
        shortcut: str = "B",
        stride_in_1x1: bool = False,
    ) -> None:
        super().__init__()
        self.out_channels = 4 * width
        first, second = (stride, 1) if stride_in_1x1 else (1, stride)
        self.conv1 = nn.Conv2d(in_channels, width, 1, first, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, second, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3 = nn.Conv2d(width, 4 * width, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(4 * width)
        self.relu = nn.ReLU(inplace=True)
        self.downsample = make_shortcut(in_channels, 4 * width, stride=stride, option=shortcut)

    def forward(self, x: Tensor) -> Tensor:
        """F(x) + x, then ReLU."""
        residual = self.relu(self.bn1(self.conv1(x)))
        residual = self.relu(self.bn2(self.conv2(residual)))
        residual = self.bn3(self.conv3(residual))
        residual += self.downsample(x)
        return self.relu(residual)


def make_stage(
    block: Block, depth: int, in_channels: int, width: int, *, stride: int
) -> nn.Sequential:
    """Blocks one after another; the first of them strides and changes the channels."""
    blocks = [block(in_channels, width, stride=stride)]
    for _ in range(depth - 1):
        blocks.append(block(blocks[-1].out_channels, width))
    return nn.Sequential(*blocks)


def initialise(model: nn.Module, *, zero_init_residual: bool = False) -> None:
    """He et al.'s normal distribution for the convolutions (arXiv:1502.01852), by their outputs.

    With zero_init_residual every block starts as its shortcut: the weight of its last batch
    normalisation is 0 (Goyal et al. 2017, arXiv:1706.02677).
    """
    for module in model.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
    if zero_init_residual:
        for module in model.modules():
            if isinstance(module, Bottleneck):
                nn.init.zeros_(module.bn3.weight)
            elif isinstance(module, BasicBlock):
                nn.init.zeros_(module.bn2.weight)


class ResNet(nn.Module):
    """Stem, stages of blocks of which each but the first halves the map, average, linear layer.

    (N, in_channels, H, W) -> logits (N, num_classes). The stem strides by 4 in all; with
    small_images, for 28 or 32 px, it is a 3x3 convolution that keeps the size, and no pool.
    Raises ValueError for images whose last map would not be 2x2.
    """

    def __init__(
        self,
        block: Block,
        depths: Sequence[int],
        widths: Sequence[int] = STAGE_WIDTHS,
        *,
        in_channels: int = 3,
        num_classes: int = 1000,
        small_images: bool = False,
        zero_init_residual: bool = False,
    ) -> None:
        super().__init__()
        checks.check_counts(in_channels=in_channels, num_classes=num_classes)
        self.in_channels, channels = in_channels, widths[0]
        # Every stride rounds up: a map is ceil(H / total stride) high.
        self.smallest_px = (1 if small_images else 4) * 2 ** (len(depths) - 1) + 1
        self.attempt = "" if small_images else "small_images=True"
        self.conv1 = nn.Conv2d(in_channels, channels, 7, stride=2, padding=3, bias=False)
        if small_images:
            self.conv1 = nn.Conv2d(in_channels, channels, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.relu = nn.ReLU(inplace=True)
        self.maxpool = nn.Identity() if small_images else nn.MaxPool2d(3, stride=2, padding=1)
        self.stages: list[str] = []  # their names: torchvision's
        for number, (depth, width) in enumerate(zip(depths, widths, strict=True), start=1):
            stage = make_stage(block, depth, channels, width, stride=1 if number == 1 else 2)
            self.stages.append(f"layer{number}")
            self.add_module(self.stages[-1], stage)
            last: Any = stage[-1]
            channels = last.out_channels
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(channels, num_classes)
        initialise(self, zero_init_residual=zero_init_residual)

    def forward(self, images: Tensor) -> Tensor:
        """(N, in_channels, H, W) -> logits (N, num_classes)."""
        checks.check_images(
            images,
            in_channels=self.in_channels,
            smallest_px=self.smallest_px,
            model="ResNet",
            attempt=self.attempt,
        )
        x = self.maxpool(self.relu(self.bn1(self.conv1(images))))
        for stage in self.stages:
            x = self.get_submodule(stage)(x)
        return self.fc(torch.flatten(self.avgpool(x), 1))


def resnet18(
    *,
    in_channels: int = 3,
    num_classes: int = 1000,
    shortcut: str = "B",
    small_images: bool = False,
    zero_init_residual: bool = False,
) -> ResNet:
    """ResNet-18: 11,689,512 parameters with three channels and 1,000 classes."""
    return ResNet(
        partial(BasicBlock, shortcut=shortcut),
        STAGE_DEPTHS["resnet18"],
        in_channels=in_channels,
        num_classes=num_classes,
        small_images=small_images,
        zero_init_residual=zero_init_residual,
    )


def resnet34(
    *,
    in_channels: int = 3,
    num_classes: int = 1000,
    shortcut: str = "B",
    small_images: bool = False,
    zero_init_residual: bool = False,
) -> ResNet:
    """ResNet-34: 21,797,672 parameters with three channels and 1,000 classes."""
    return ResNet(
        partial(BasicBlock, shortcut=shortcut),
        STAGE_DEPTHS["resnet34"],
        in_channels=in_channels,
        num_classes=num_classes,
        small_images=small_images,
        zero_init_residual=zero_init_residual,
    )


def resnet50(
    *,
    in_channels: int = 3,
    num_classes: int = 1000,
    shortcut: str = "B",
    small_images: bool = False,
    zero_init_residual: bool = False,
    stride_in_1x1: bool = False,
) -> ResNet:
    """ResNet-50: 25,557,032 parameters with three channels and 1,000 classes."""
    return ResNet(
        partial(Bottleneck, shortcut=shortcut, stride_in_1x1=stride_in_1x1),
        STAGE_DEPTHS["resnet50"],
        in_channels=in_channels,
        num_classes=num_classes,
        small_images=small_images,
        zero_init_residual=zero_init_residual,
    )


def resnet101(
    *,
    in_channels: int = 3,
    num_classes: int = 1000,
    shortcut: str = "B",
    small_images: bool = False,
    zero_init_residual: bool = False,
    stride_in_1x1: bool = False,
) -> ResNet:
    """ResNet-101: 44,549,160 parameters with three channels and 1,000 classes."""
    return ResNet(
        partial(Bottleneck, shortcut=shortcut, stride_in_1x1=stride_in_1x1),
        STAGE_DEPTHS["resnet101"],
        in_channels=in_channels,
        num_classes=num_classes,
        small_images=small_images,
        zero_init_residual=zero_init_residual,
    )


def resnet152(
    *,
    in_channels: int = 3,
    num_classes: int = 1000,
    shortcut: str = "B",
    small_images: bool = False,
    zero_init_residual: bool = False,
    stride_in_1x1: bool = False,
) -> ResNet:
    """ResNet-152: 60,192,808 parameters with three channels and 1,000 classes."""
    return ResNet(
        partial(Bottleneck, shortcut=shortcut, stride_in_1x1=stride_in_1x1),
        STAGE_DEPTHS["resnet152"],
        in_channels=in_channels,
        num_classes=num_classes,
        small_images=small_images,
        zero_init_residual=zero_init_residual,
    )
