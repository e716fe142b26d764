"""EfficientNet: one small network, and a rule for making it larger (Tan & Le 2019, 1905.11946)."""

import math
from collections.abc import Sequence
from functools import partial
from typing import NamedTuple

from torch import Tensor, nn

from cnncourse.messages import check_at_least, refusal
from cnncourse.models import checks
from cnncourse.models.mbconv import MBConv, Norm, conv_norm


class Stage(NamedTuple):
    """A row of Table 1: MBConv blocks of one kind, the first of them with the stride."""

    expansion: int  # the depthwise convolution has that many times the block's input channels
    kernel_size: int
    stride: int
    channels: int  # that come out
    layers: int


# Tan & Le 2019, arXiv:1905.11946, Table 1, stages 2 to 8; the stem is stage 1, the head stage 9.
STAGES = (
    Stage(expansion=1, kernel_size=3, stride=1, channels=16, layers=1),  # 112 px come in
    Stage(expansion=6, kernel_size=3, stride=2, channels=24, layers=2),  # 112
    Stage(expansion=6, kernel_size=5, stride=2, channels=40, layers=2),  # 56
    Stage(expansion=6, kernel_size=3, stride=2, channels=80, layers=3),  # 28
    Stage(expansion=6, kernel_size=5, stride=1, channels=112, layers=3),  # 14
    Stage(expansion=6, kernel_size=5, stride=2, channels=192, layers=4),  # 14
    Stage(expansion=6, kernel_size=3, stride=1, channels=320, layers=1),  # 7
)
STEM_CHANNELS = 32
HEAD_WIDTH = 4  # the head has 4 x 320 = 1,280 channels


class Variant(NamedTuple):
    """How a network is grown from B0, and the pictures that it is for."""

    width: float
    depth: float
    resolution_px: int
    norm_layer: Norm = nn.BatchNorm2d


# The authors' code has these settings everywhere; torchvision in B5 to B7, whose weights need them.
AUTHORS_NORM = partial(nn.BatchNorm2d, eps=0.001, momentum=0.01)

# Of the authors' code: the paper gives the rule (see `compound`) and not these factors.
VARIANTS = {
    "efficientnet_b0": Variant(1.0, 1.0, 224),
    "efficientnet_b1": Variant(1.0, 1.1, 240),
    "efficientnet_b2": Variant(1.1, 1.2, 260),
    "efficientnet_b3": Variant(1.2, 1.4, 300),
    "efficientnet_b4": Variant(1.4, 1.8, 380),
    "efficientnet_b5": Variant(1.6, 2.2, 456, AUTHORS_NORM),
    "efficientnet_b6": Variant(1.8, 2.6, 528, AUTHORS_NORM),
    "efficientnet_b7": Variant(2.0, 3.1, 600, AUTHORS_NORM),
}

ALPHA, BETA, GAMMA = 1.2, 1.1, 1.15  # of depth, width, resolution: section 4


def compound(phi: float) -> Variant:
    """Equation 3: the factors of a coefficient phi; 0 is B0, and 1 about doubles the MACs."""
    return Variant(BETA**phi, ALPHA**phi, round(224 * GAMMA**phi))


def make_divisible(channels: float, divisor: int = 8) -> int:
    """Nearest multiple of divisor, halves up, and at least one; never below 90 % of channels."""
    rounded = max(divisor, int(channels + divisor / 2) // divisor * divisor)
    return rounded + divisor if rounded < 0.9 * channels else rounded


def scaled(stages: Sequence[Stage], *, width: float, depth: float) -> tuple[Stage, ...]:
    """The table with width times the channels, and depth times the layers, rounded up.

    Raises ValueError for a factor that is not above 0.
    """
    for argument, factor in (("width", width), ("depth", depth)):
        if not factor > 0:
            raise ValueError(refusal(argument, factor, "must be above 0", attempt=f"{argument}=1"))
    return tuple(
        stage._replace(
            channels=make_divisible(stage.channels * width),
            layers=math.ceil(stage.layers * depth),
        )
        for stage in stages
    )


def stage_blocks(
    stage: Stage,
    in_channels: int,
    *,
    probabilities: Sequence[float],
    norm_layer: Norm,
    squeeze_excitation: bool,
) -> nn.Sequential:
    """The blocks of a row: the first has its stride, each its probability to be dropped."""
    blocks = nn.Sequential()
    for number, probability in enumerate(probabilities):
        block = MBConv(
            stage.channels if number else in_channels,
            stage.channels,
            expansion=stage.expansion,
            kernel_size=stage.kernel_size,
            stride=1 if number else stage.stride,
            stochastic_depth_prob=probability,
            norm_layer=norm_layer,
            squeeze_excitation=squeeze_excitation,
        )
        blocks.append(block)
    return blocks


class EfficientNet(nn.Module):
    """Stem, a stage of MBConv blocks for every row of a table, head.

    (N, in_channels, H, W) -> logits (N, num_classes); H and W are smallest_px or more, so that the
    last map has two positions a side. Stochastic depth grows in equal steps from 0 in the first
    block; stochastic_depth_prob would be that of one more block after the last.
    """

    def __init__(
        self,
        stages: Sequence[Stage],
        *,
        stem_channels: int,
        head_channels: int,
        dropout: float,
        stochastic_depth_prob: float = 0.2,
        norm_layer: Norm = nn.BatchNorm2d,
        squeeze_excitation: bool = True,
        in_channels: int = 3,
        num_classes: int = 1000,
    ) -> None:
        super().__init__()
        checks.check_counts(in_channels=in_channels, num_classes=num_classes)
        check_at_least("len(stages)", len(stages), 1)
        self.in_channels = in_channels
        self.smallest_px = 2 * math.prod(stage.stride for stage in stages) + 1  # 2 of the stem
        conv = partial(conv_norm, norm_layer=norm_layer)
        self.features = nn.Sequential(conv(in_channels, stem_channels, kernel_size=3, stride=2))
        total, built = sum(stage.layers for stage in stages), 0
        channels = stem_channels
        for stage in stages:
            steps = range(built, built + stage.layers)
            blocks = stage_blocks(
                stage,
                channels,
                probabilities=[stochastic_depth_prob * step / total for step in steps],
                norm_layer=norm_layer,
                squeeze_excitation=squeeze_excitation,
            )
            self.features.append(blocks)
            built, channels = built + stage.layers, stage.channels
        self.features.append(conv(channels, head_channels, kernel_size=1))
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.classifier = nn.Sequential(
            nn.Dropout(dropout, inplace=True), nn.Linear(head_channels, num_classes)
        )
        self.apply(initialise)

    def forward(self, images: Tensor) -> Tensor:
        """(N, in_channels, H, W) -> logits (N, num_classes)."""
        checks.check_images(
            images,
            in_channels=self.in_channels,
            smallest_px=self.smallest_px,
            model="EfficientNet",
        )
        maps = self.features(images)
        return self.classifier(self.avgpool(maps).flatten(1))


def initialise(module: nn.Module) -> None:
    """Starting values as torchvision draws them: convolutions normal, by fan-out, biases 0."""
    if isinstance(module, nn.Conv2d):
        nn.init.kaiming_normal_(module.weight, mode="fan_out")
        if module.bias is not None:
            nn.init.zeros_(module.bias)
    elif isinstance(module, nn.Linear):
        bound = module.out_features**-0.5
        nn.init.uniform_(module.weight, -bound, bound)
        nn.init.zeros_(module.bias)


def efficientnet(
    *,
    width: float,
    depth: float,
    dropout: float = 0.2,
    stochastic_depth_prob: float = 0.2,
    norm_layer: Norm = nn.BatchNorm2d,
    in_channels: int = 3,
    num_classes: int = 1000,
) -> EfficientNet:
    """B0 with width times the channels and depth times the layers; for pictures of any size.

    Raises ValueError for a factor that is not above 0.
    """
    stages = scaled(STAGES, width=width, depth=depth)
    return EfficientNet(
        stages,
        stem_channels=make_divisible(STEM_CHANNELS * width),
        head_channels=HEAD_WIDTH * stages[-1].channels,
        dropout=dropout,
        stochastic_depth_prob=stochastic_depth_prob,
        norm_layer=norm_layer,
        in_channels=in_channels,
        num_classes=num_classes,
    )


def named(
    name: str, dropout: float, stochastic_depth_prob: float, in_channels: int, num_classes: int
) -> EfficientNet:
    """The network of a name in VARIANTS."""
    row = VARIANTS[name]
    return efficientnet(
        width=row.width,
        depth=row.depth,
        dropout=dropout,
        stochastic_depth_prob=stochastic_depth_prob,
        norm_layer=row.norm_layer,
        in_channels=in_channels,
        num_classes=num_classes,
    )


def efficientnet_b0(
    *,
    dropout: float = 0.2,
    stochastic_depth_prob: float = 0.2,
    in_channels: int = 3,
    num_classes: int = 1000,
) -> EfficientNet:
    """B0: 5,288,548 parameters; for 224 px."""
    return named("efficientnet_b0", dropout, stochastic_depth_prob, in_channels, num_classes)


def efficientnet_b1(
    *,
    dropout: float = 0.2,
    stochastic_depth_prob: float = 0.2,
    in_channels: int = 3,
    num_classes: int = 1000,
) -> EfficientNet:
    """B1: 7,794,184 parameters; for 240 px."""
    return named("efficientnet_b1", dropout, stochastic_depth_prob, in_channels, num_classes)


def efficientnet_b2(
    *,
    dropout: float = 0.3,
    stochastic_depth_prob: float = 0.2,
    in_channels: int = 3,
    num_classes: int = 1000,
) -> EfficientNet:
    """B2: 9,109,994 parameters; for 260 px."""
    return named("efficientnet_b2", dropout, stochastic_depth_prob, in_channels, num_classes)


def efficientnet_b3(
    *,
    dropout: float = 0.3,
    stochastic_depth_prob: float = 0.2,
    in_channels: int = 3,
    num_classes: int = 1000,
) -> EfficientNet:
    """B3: 12,233,232 parameters; for 300 px."""
    return named("efficientnet_b3", dropout, stochastic_depth_prob, in_channels, num_classes)


def efficientnet_b4(
    *,
    dropout: float = 0.4,
    stochastic_depth_prob: float = 0.2,
    in_channels: int = 3,
    num_classes: int = 1000,
) -> EfficientNet:
    """B4: 19,341,616 parameters; for 380 px."""
    return named("efficientnet_b4", dropout, stochastic_depth_prob, in_channels, num_classes)


def efficientnet_b5(
    *,
    dropout: float = 0.4,
    stochastic_depth_prob: float = 0.2,
    in_channels: int = 3,
    num_classes: int = 1000,
) -> EfficientNet:
    """B5: 30,389,784 parameters; for 456 px."""
    return named("efficientnet_b5", dropout, stochastic_depth_prob, in_channels, num_classes)


def efficientnet_b6(
    *,
    dropout: float = 0.5,
    stochastic_depth_prob: float = 0.2,
    in_channels: int = 3,
    num_classes: int = 1000,
) -> EfficientNet:
    """B6: 43,040,704 parameters; for 528 px."""
    return named("efficientnet_b6", dropout, stochastic_depth_prob, in_channels, num_classes)


def efficientnet_b7(
    *,
    dropout: float = 0.5,
    stochastic_depth_prob: float = 0.2,
    in_channels: int = 3,
    num_classes: int = 1000,
) -> EfficientNet:
    """B7: 66,347,960 parameters; for 600 px."""
    return named("efficientnet_b7", dropout, stochastic_depth_prob, in_channels, num_classes)
