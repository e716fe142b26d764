"""What an EfficientNet holds and costs, counted from its table: no network is built."""

from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

from cnncourse import arithmetic
from cnncourse.models.efficientnet import (
    HEAD_WIDTH,
    STAGES,
    STEM_CHANNELS,
    Stage,
    make_divisible,
    scaled,
)


class Cost(NamedTuple):
    """What a network holds and what one picture costs; size_px and channels are of its blocks."""

    parameters: int
    macs: int
    size_px: tuple[int, ...]  # side of the map that a block gives
    channels: tuple[int, ...]


def conv_cost(in_channels: int, out_channels: int, kernel_size: int, size_px: int) -> list[int]:
    """Parameters and MACs of a convolution without bias and its batch normalisation."""
    weights = arithmetic.conv2d_parameters(
        in_channels, out_channels, kernel_size=kernel_size, bias=False
    )
    return [weights + 2 * out_channels, weights * size_px**2]


def block_cost(
    in_channels: int, stage: Stage, size_px: int, *, squeeze_excitation: bool = True
) -> list[int]:
    """Parameters and MACs of one MBConv block; size_px is that of its output over its stride."""
    wide, side = in_channels * stage.expansion, -(-size_px // stage.stride)
    depthwise = wide * stage.kernel_size**2
    parts = [[depthwise + 2 * wide, depthwise * side**2]]
    if stage.expansion > 1:
        parts.append(conv_cost(in_channels, wide, 1, size_px))
    if squeeze_excitation:
        squeezed = max(1, in_channels // 4)
        parts.append([2 * wide * squeezed + squeezed + wide, 2 * wide * squeezed])
    parts.append(conv_cost(wide, stage.channels, 1, side))
    return [sum(part) for part in zip(*parts, strict=True)]


def count(
    stages: Sequence[Stage],
    resolution_px: int,
    *,
    stem_channels: int,
    head_channels: int,
    squeeze_excitation: bool = True,
    in_channels: int = 3,
    num_classes: int = 1000,
) -> Cost:
    """Parameters and MACs of an EfficientNet for one square picture, by arithmetic alone."""
    size, channels = -(-resolution_px // 2), stem_channels
    parts = [conv_cost(in_channels, channels, 3, size)]
    sizes, widths = [], []
    for stage in stages:
        for number in range(stage.layers):
            row = stage._replace(stride=1) if number else stage
            parts.append(block_cost(channels, row, size, squeeze_excitation=squeeze_excitation))
            size, channels = -(-size // row.stride), stage.channels
            sizes.append(size)
            widths.append(channels)
    parts.append(conv_cost(channels, head_channels, 1, size))
    parts.append([(head_channels + 1) * num_classes, head_channels * num_classes])
    parameters, macs = (sum(part) for part in zip(*parts, strict=True))
    return Cost(parameters, macs, tuple(sizes), tuple(widths))


@lru_cache(maxsize=512)
def cost(width: float, depth: float, resolution_px: int) -> Cost:
    """Counts of B0's table with width times the channels and depth times the layers."""
    stages = scaled(STAGES, width=width, depth=depth)
    return count(
        stages,
        resolution_px,
        stem_channels=make_divisible(STEM_CHANNELS * width),
        head_channels=HEAD_WIDTH * stages[-1].channels,
    )
