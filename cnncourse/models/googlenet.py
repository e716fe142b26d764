"""GoogLeNet: paths of several kernel sizes side by side, behind 1x1 reductions.

Szegedy et al. 2014, "Going Deeper with Convolutions", arXiv:1409.4842. One table and one loop make
two builds: `googlenet` is torchvision's, whose weights load; `googlenet_2014` is the paper's.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from cnncourse.arithmetic import output_size, pooled_size
from cnncourse.messages import refusal, unknown
from cnncourse.models import checks


class Widths(NamedTuple):
    """Output channels of the six convolutions of an Inception block, as Table 1 heads them."""

    conv_1x1: int
    reduce_3x3: int  # 1x1 convolution before the 3x3
    conv_3x3: int
    reduce_5x5: int  # 1x1 convolution before the 5x5
    conv_5x5: int
    pool_proj: int  # 1x1 convolution after the max-pool

    @property
    def out_channels(self) -> int:
        """Channels of the four paths together."""
        return self.conv_1x1 + self.conv_3x3 + self.conv_5x5 + self.pool_proj


# Szegedy et al. 2014, Table 1. A max-pool that halves the map stands before 3a, 4a and 5a.
STEM_WIDTHS = (64, 64, 192)  # 7x7 with stride 2, 1x1 ("3x3 reduce"), 3x3
BLOCKS = {
    "3a": Widths(64, 96, 128, 16, 32, 32),
    "3b": Widths(128, 128, 192, 32, 96, 64),
    "4a": Widths(192, 96, 208, 16, 48, 64),
    "4b": Widths(160, 112, 224, 24, 64, 64),
    "4c": Widths(128, 128, 256, 24, 64, 64),
    "4d": Widths(112, 144, 288, 32, 64, 64),
    "4e": Widths(256, 160, 320, 32, 128, 128),
    "5a": Widths(256, 160, 320, 32, 128, 128),
    "5b": Widths(384, 192, 384, 48, 128, 128),
}
HEADS_AFTER = ("4a", "4d")  # Figure 3: where the auxiliary heads look


@dataclass(frozen=True)
class Build:
    """What the running code does otherwise than the paper, with the same table."""

    kernel_5x5: int  # side of the kernel in the path that the paper calls 5x5
    batch_norm: bool  # batch normalisation and no biases; or biases alone
    response_norm: bool  # local response normalisation in the stem
    last_pool: int  # side of the max-pool before 5a
    head_pool: bool  # average 5x5 windows before a head, as in the paper; or to 4x4, of any size


PAPER = Build(kernel_5x5=5, batch_norm=False, response_norm=True, last_pool=3, head_pool=True)
TORCHVISION = Build(
    kernel_5x5=3, batch_norm=True, response_norm=False, last_pool=2, head_pool=False
)


class Outputs(NamedTuple):
    """Logits (N, classes) in train mode: of the network, of the later head, of the earlier one."""

    logits: Tensor
    aux_logits2: Tensor | None
    aux_logits1: Tensor | None


class BasicConv2d(nn.Module):
    """Convolution, batch normalisation where asked for, ReLU.

    (N, in_channels, H, W) -> (N, out_channels, H, W) at stride 1, with an odd kernel.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        kernel_size: int,
        stride: int = 1,
        batch_norm: bool,
    ) -> None:
        super().__init__()
        padding = kernel_size // 2
        self.conv = nn.Conv2d(
            in_channels, out_channels, kernel_size, stride, padding, bias=not batch_norm
        )
        self.bn = nn.BatchNorm2d(out_channels, eps=0.001) if batch_norm else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """Convolve, normalise, rectify."""
        return F.relu(self.bn(self.conv(x)), inplace=True)


class Inception(nn.Module):
    """Four paths over the same map, their channels one after another (Figure 2b).

    (N, in_channels, H, W) -> (N, widths.out_channels, H, W). kernel_5x5 is the side of the third
    path's kernel: 5 in the paper, 3 in torchvision. Parts are named as in torchvision.
    """

    def __init__(
        self, in_channels: int, widths: Widths, *, kernel_5x5: int = 5, batch_norm: bool
    ) -> None:
        super().__init__()
        option = {"batch_norm": batch_norm}
        self.branch1 = BasicConv2d(in_channels, widths.conv_1x1, kernel_size=1, **option)
        self.branch2 = nn.Sequential(
            BasicConv2d(in_channels, widths.reduce_3x3, kernel_size=1, **option),
            BasicConv2d(widths.reduce_3x3, widths.conv_3x3, kernel_size=3, **option),
        )
        self.branch3 = nn.Sequential(
            BasicConv2d(in_channels, widths.reduce_5x5, kernel_size=1, **option),
            BasicConv2d(widths.reduce_5x5, widths.conv_5x5, kernel_size=kernel_5x5, **option),
        )
        self.branch4 = nn.Sequential(
            nn.MaxPool2d(kernel_size=3, stride=1, padding=1, ceil_mode=True),
            BasicConv2d(in_channels, widths.pool_proj, kernel_size=1, **option),
        )

    def forward(self, x: Tensor) -> Tensor:
        """All paths, concatenated along the channels."""
        return torch.cat([self.branch1(x), self.branch2(x), self.branch3(x), self.branch4(x)], 1)


class NaiveInception(nn.Module):
    """The block without 1x1 reductions (Figure 2a); the pool hands on all channels it is given.

    (N, in_channels, H, W) -> (N, 1x1 + 3x3 + 5x5 + in_channels, H, W), so it only ever widens.
    """

    def __init__(
        self, in_channels: int, widths: Widths, *, kernel_5x5: int = 5, batch_norm: bool
    ) -> None:
        super().__init__()
        option = {"batch_norm": batch_norm}
        self.branch1 = BasicConv2d(in_channels, widths.conv_1x1, kernel_size=1, **option)
        self.branch2 = BasicConv2d(in_channels, widths.conv_3x3, kernel_size=3, **option)
        self.branch3 = BasicConv2d(in_channels, widths.conv_5x5, kernel_size=kernel_5x5, **option)
        self.branch4 = nn.MaxPool2d(kernel_size=3, stride=1, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """All paths, concatenated along the channels."""
        return torch.cat([self.branch1(x), self.branch2(x), self.branch3(x), self.branch4(x)], 1)


class InceptionAux(nn.Module):
    """Auxiliary head (section 5): a small classifier on a map in the middle of the network.

    (N, in_channels, H, W) -> logits (N, num_classes). Pools to 4x4: with paper_pool by averages of
    5x5 windows with stride 3, for maps of 14 to 16 px; else adaptively, from any size.
    """

    def __init__(
        self,
        in_channels: int,
        num_classes: int,
        *,
        batch_norm: bool,
        paper_pool: bool,
        dropout: float,
    ) -> None:
        super().__init__()
        self.paper_pool = paper_pool
        self.conv = BasicConv2d(in_channels, 128, kernel_size=1, batch_norm=batch_norm)
        self.fc1 = nn.Linear(128 * 4 * 4, 1024)
        self.fc2 = nn.Linear(1024, num_classes)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        """Pool, 1x1 convolution, two full connections with dropout between them."""
        if self.paper_pool:
            check_head_map(x)
            x = F.avg_pool2d(x, kernel_size=5, stride=3)
        else:
            x = F.adaptive_avg_pool2d(x, (4, 4))
        x = torch.flatten(self.conv(x), 1)
        return self.fc2(self.dropout(F.relu(self.fc1(x), inplace=True)))


@torch.fx.wrap
def check_head_map(maps: Tensor) -> None:
    """Raise ValueError unless 5x5 windows with stride 3 make 4x4 of the map."""
    height, width = maps.shape[2:]
    if not (14 <= height <= 16 and 14 <= width <= 16):
        raise ValueError(
            f"map ({height}, {width}): the paper's auxiliary heads average a map of 14 to 16 px, "
            "that of images of 223 to 270 px. Try: aux_logits=False."
        )


class GoogLeNet(nn.Module):
    """Stem, Inception blocks with a max-pool before each new stage, average, linear layer.

    (N, in_channels, H, W) -> logits (N, num_classes); in train mode, with auxiliary heads, Outputs.
    A block is named by its stage's digit, from 3 on, and a letter; heads_after names the one or two
    blocks that a head looks at, aux1 and aux2. transform_input takes images standardised as
    torchvision's are to those that its weights were trained on. Raises ValueError for images whose
    last map would not be 2x2.
    """

    def __init__(
        self,
        build: Build,
        *,
        blocks: Mapping[str, Widths] = BLOCKS,
        stem_widths: Sequence[int] = STEM_WIDTHS,
        heads_after: Sequence[str] = HEADS_AFTER,
        in_channels: int = 3,
        num_classes: int = 1000,
        aux_logits: bool = True,
        transform_input: bool = False,
        dropout: float,
        dropout_aux: float = 0.7,
    ) -> None:
        super().__init__()
        checks.check_counts(in_channels=in_channels, num_classes=num_classes)
        if transform_input and in_channels != 3:
            rule = "the three means it knows are of red, green and blue"
            raise ValueError(
                refusal("in_channels", in_channels, rule, attempt="transform_input=False")
            )
        self.in_channels, self.aux_logits = in_channels, aux_logits
        self.transform_input = transform_input
        self.steps: list[str] = []  # names of the parts, in the order they run in
        channels = self.add_stem(in_channels, stem_widths, build)
        width_after = self.add_blocks(blocks, channels, build)
        self.heads = {}  # step: name of the head that looks at what it gives
        for number, block in enumerate(heads_after if aux_logits else (), start=1):
            if block not in blocks:
                raise ValueError(unknown(block, "block", blocks))
            head = InceptionAux(
                width_after[block],
                num_classes,
                batch_norm=build.batch_norm,
                paper_pool=build.head_pool,
                dropout=dropout_aux,
            )
            self.add_module(f"aux{number}", head)
            self.heads[f"inception{block}"] = f"aux{number}"
        self.avgpool = nn.AdaptiveAvgPool2d((1, 1))
        self.dropout = nn.Dropout(dropout)
        self.fc = nn.Linear(list(width_after.values())[-1], num_classes)
        self.smallest_px = next(px for px in count(1) if self.last_map_px(px) >= 2)
        initialise(self, batch_norm=build.batch_norm)

    def add_step(self, name: str, module: nn.Module) -> None:
        """Append a part under torchvision's name."""
        self.add_module(name, module)
        self.steps.append(name)

    def add_stem(self, in_channels: int, widths: Sequence[int], build: Build) -> int:
        """Two convolutions and two pools, from the images to the first block; its channels."""
        first, reduced, last = widths
        option = {"batch_norm": build.batch_norm}
        self.add_step("conv1", BasicConv2d(in_channels, first, kernel_size=7, stride=2, **option))
        self.add_step("maxpool1", nn.MaxPool2d(3, stride=2, ceil_mode=True))
        if build.response_norm:
            self.add_step("norm1", response_norm())
        self.add_step("conv2", BasicConv2d(first, reduced, kernel_size=1, **option))
        self.add_step("conv3", BasicConv2d(reduced, last, kernel_size=3, **option))
        if build.response_norm:
            self.add_step("norm2", response_norm())
        self.add_step("maxpool2", nn.MaxPool2d(3, stride=2, ceil_mode=True))
        return last

    def add_blocks(
        self, blocks: Mapping[str, Widths], channels: int, build: Build
    ) -> dict[str, int]:
        """The table, row by row; the channels that each block gives."""
        width_after: dict[str, int] = {}
        stages = sorted({name[0] for name in blocks})
        for name, widths in blocks.items():
            stage = name[0]
            if stage != stages[0] and f"maxpool{int(stage) - 1}" not in self.steps:
                side = build.last_pool if stage == stages[-1] else 3
                pool = nn.MaxPool2d(side, stride=2, ceil_mode=True)
                self.add_step(f"maxpool{int(stage) - 1}", pool)
            block = Inception(
                channels, widths, kernel_5x5=build.kernel_5x5, batch_norm=build.batch_norm
            )
            self.add_step(f"inception{name}", block)
            channels = width_after[name] = widths.out_channels
        return width_after

    def last_map_px(self, side_px: int) -> int:
        """Side of the last map of square images; 0 where a pool finds nothing."""
        side_px = output_size(side_px, kernel_size=7, stride=2, padding=3)
        for name in self.steps:
            pool = self.get_submodule(name)
            if isinstance(pool, nn.MaxPool2d):
                side = pool.kernel_size
                assert isinstance(side, int)
                if side_px < side - 1:  # with ceil_mode a window may lack one pixel
                    return 0
                side_px = pooled_size(side_px, kernel_size=side, stride=2, ceil_mode=True)
        return side_px

    def forward(self, images: Tensor) -> Tensor | Outputs:
        """(N, in_channels, H, W) -> logits (N, num_classes), or Outputs."""
        checks.check_images(
            images, in_channels=self.in_channels, smallest_px=self.smallest_px, model="GoogLeNet"
        )
        x = as_the_weights_expect(images) if self.transform_input else images
        aux = []
        for step in self.steps:
            x = self.get_submodule(step)(x)
            if self.training and step in self.heads:
                aux.append(self.get_submodule(self.heads[step])(x))
        logits = self.fc(self.dropout(torch.flatten(self.avgpool(x), 1)))
        if not aux:
            return logits
        earlier, later = [*aux, None][:2]
        return Outputs(logits, later, earlier)


def response_norm() -> nn.Module:
    """Local response normalisation with AlexNet's constants; the paper names none of its own.

    torch divides alpha by size, Krizhevsky et al. 2012 (section 3.3) do not: 5 * 1e-4.
    """
    return nn.LocalResponseNorm(size=5, alpha=5e-4, beta=0.75, k=2.0)


def as_the_weights_expect(images: Tensor) -> Tensor:
    """Images (N, 3, H, W) of torchvision's means and deviations to those of 0.5 and 0.5."""
    mean, std = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
    channels = [images[:, c : c + 1] * (std[c] / 0.5) + (mean[c] - 0.5) / 0.5 for c in range(3)]
    return torch.cat(channels, 1)


def initialise(model: nn.Module, *, batch_norm: bool) -> None:
    """Weights as torchvision draws them with batch normalisation; He et al.'s without.

    torchvision's normal distribution of 0.01 shrinks the signal at every layer, which batch
    normalisation undoes. The paper does not say how it began; without a normalisation 22 layers
    need a scale that fits each layer's inputs (arXiv:1502.01852).
    """
    for module in model.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            if batch_norm:
                nn.init.trunc_normal_(module.weight, std=0.01)
            else:
                nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
                assert module.bias is not None  # batch normalisation would replace it
                nn.init.zeros_(module.bias)


def googlenet(
    *,
    in_channels: int = 3,
    num_classes: int = 1000,
    aux_logits: bool = True,
    transform_input: bool = False,
    dropout: float = 0.2,
    dropout_aux: float = 0.7,
) -> GoogLeNet:
    """torchvision's GoogLeNet: 13,004,888 parameters, 6,624,904 of them without the heads.

    Its weights need transform_input=True.
    """
    return GoogLeNet(
        TORCHVISION,
        in_channels=in_channels,
        num_classes=num_classes,
        aux_logits=aux_logits,
        transform_input=transform_input,
        dropout=dropout,
        dropout_aux=dropout_aux,
    )


def googlenet_2014(
    *,
    in_channels: int = 3,
    num_classes: int = 1000,
    aux_logits: bool = True,
    dropout: float = 0.4,
    dropout_aux: float = 0.7,
) -> GoogLeNet:
    """The paper's GoogLeNet: 13,378,280 parameters, 6,998,552 of them without the heads."""
    return GoogLeNet(
        PAPER,
        in_channels=in_channels,
        num_classes=num_classes,
        aux_logits=aux_logits,
        dropout=dropout,
        dropout_aux=dropout_aux,
    )
