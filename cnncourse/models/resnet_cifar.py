"""ResNets for 32 px pictures, their plain twins, and the pre-activation form.

He et al. 2015, "Deep Residual Learning", section 4.2, arXiv:1512.03385; pre-activation: He et al.
2016, "Identity Mappings in Deep Residual Networks", arXiv:1603.05027.
"""

from collections.abc import Sequence
from functools import partial

import torch
from torch import Tensor, nn

from cnncourse import messages
from cnncourse.models import checks
from cnncourse.models.resnet import BasicBlock, PlainBlock, ResNet, make_shortcut

# Section 4.2: 6n + 2 layers. A stem, three stages of 2n convolutions, one full connection.
STAGE_WIDTHS = (16, 32, 64)  # on maps of 32, 16 and 8 px
BLOCKS_PER_STAGE = {  # n
    "resnet20": 3,
    "resnet32": 5,
    "resnet44": 7,
    "resnet56": 9,
    "resnet110": 18,
}


class PreActivationBlock(nn.Module):
    """Batch normalisation and ReLU before each convolution (He et al. 2016, Figure 4e).

    (N, in_channels, H, W) -> (N, width, ceil(H / stride), ceil(W / stride))
    Where the shortcut is a projection, it too takes the activated input, and has no normalisation.
    """

    def __init__(
        self, in_channels: int, width: int, *, stride: int = 1, shortcut: str = "B"
    ) -> None:
        super().__init__()
        self.out_channels = width
        self.bn1 = nn.BatchNorm2d(in_channels)
        self.relu = nn.ReLU(inplace=True)
        self.conv1 = nn.Conv2d(in_channels, width, 3, stride, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.downsample = make_shortcut(in_channels, width, stride=stride, option=shortcut)
        self.activate_shortcut = isinstance(self.downsample, nn.Sequential)
        if isinstance(self.downsample, nn.Sequential):
            self.downsample = self.downsample[0]  # the convolution alone

    def forward(self, x: Tensor) -> Tensor:
        """F(x) + x, and nothing after the sum."""
        active = self.relu(self.bn1(x))
        residual = self.conv1(active)
        residual = self.conv2(self.relu(self.bn2(residual)))
        residual += self.downsample(active if self.activate_shortcut else x)
        return residual


class PreActivationResNet(ResNet):
    """ResNet of PreActivationBlocks: nothing but sums from its stem to its last activation.

    (N, in_channels, H, W) -> logits (N, num_classes). The activation after the stem stands in the
    first block, before the ways part (He et al. 2016, appendix).
    """

    def __init__(
        self,
        depths: Sequence[int],
        widths: Sequence[int] = STAGE_WIDTHS,
        *,
        shortcut: str = "A",
        in_channels: int = 3,
        num_classes: int = 10,
    ) -> None:
        super().__init__(
            partial(PreActivationBlock, shortcut=shortcut),
            depths,
            widths,
            in_channels=in_channels,
            num_classes=num_classes,
            small_images=True,
        )
        self.bn1 = nn.BatchNorm2d(widths[-1])  # after the last block
        first = self.get_submodule("layer1.0")
        assert isinstance(first, PreActivationBlock)
        first.activate_shortcut = True

    def forward(self, images: Tensor) -> Tensor:
        """(N, in_channels, H, W) -> logits (N, num_classes)."""
        checks.check_images(
            images, in_channels=self.in_channels, smallest_px=self.smallest_px, model="ResNet"
        )
        x = self.conv1(images)
        for stage in self.stages:
            x = self.get_submodule(stage)(x)
        x = self.relu(self.bn1(x))
        return self.fc(torch.flatten(self.avgpool(x), 1))


def cifar_resnet(
    blocks: int,
    widths: Sequence[int] = STAGE_WIDTHS,
    *,
    shortcut: str = "A",
    plain: bool = False,
    preactivation: bool = False,
    in_channels: int = 3,
    num_classes: int = 10,
) -> ResNet:
    """ResNet for small pictures with so many blocks in each of its stages.

    (N, in_channels, H, W) -> logits (N, num_classes). With three stages it has 6 * blocks + 2
    layers. Plain is the same without shortcuts. Raises ValueError for blocks below 1, and for both
    plain and preactivation.
    """
    messages.check_at_least("blocks", blocks, 1)
    if plain and preactivation:
        rule = "a plain network has no shortcut that it could keep free"
        raise ValueError(messages.refusal("preactivation", True, rule, attempt="plain=False"))
    depths = [blocks] * len(widths)
    if preactivation:
        return PreActivationResNet(
            depths, widths, shortcut=shortcut, in_channels=in_channels, num_classes=num_classes
        )
    block = PlainBlock if plain else partial(BasicBlock, shortcut=shortcut)
    return ResNet(
        block,
        depths,
        widths,
        in_channels=in_channels,
        num_classes=num_classes,
        small_images=True,
    )


def resnet20(
    *,
    shortcut: str = "A",
    plain: bool = False,
    preactivation: bool = False,
    in_channels: int = 3,
    num_classes: int = 10,
) -> ResNet:
    """ResNet-20 of section 4.2, or its plain twin, or its pre-activation form."""
    return cifar_resnet(
        BLOCKS_PER_STAGE["resnet20"],
        shortcut=shortcut,
        plain=plain,
        preactivation=preactivation,
        in_channels=in_channels,
        num_classes=num_classes,
    )


def resnet32(
    *,
    shortcut: str = "A",
    plain: bool = False,
    preactivation: bool = False,
    in_channels: int = 3,
    num_classes: int = 10,
) -> ResNet:
    """ResNet-32 of section 4.2, or its plain twin, or its pre-activation form."""
    return cifar_resnet(
        BLOCKS_PER_STAGE["resnet32"],
        shortcut=shortcut,
        plain=plain,
        preactivation=preactivation,
        in_channels=in_channels,
        num_classes=num_classes,
    )


def resnet44(
    *,
    shortcut: str = "A",
    plain: bool = False,
    preactivation: bool = False,
    in_channels: int = 3,
    num_classes: int = 10,
) -> ResNet:
    """ResNet-44 of section 4.2, or its plain twin, or its pre-activation form."""
    return cifar_resnet(
        BLOCKS_PER_STAGE["resnet44"],
        shortcut=shortcut,
        plain=plain,
        preactivation=preactivation,
        in_channels=in_channels,
        num_classes=num_classes,
    )


def resnet56(
    *,
    shortcut: str = "A",
    plain: bool = False,
    preactivation: bool = False,
    in_channels: int = 3,
    num_classes: int = 10,
) -> ResNet:
    """ResNet-56 of section 4.2, or its plain twin, or its pre-activation form."""
    return cifar_resnet(
        BLOCKS_PER_STAGE["resnet56"],
        shortcut=shortcut,
        plain=plain,
        preactivation=preactivation,
        in_channels=in_channels,
        num_classes=num_classes,
    )


def resnet110(
    *,
    shortcut: str = "A",
    plain: bool = False,
    preactivation: bool = False,
    in_channels: int = 3,
    num_classes: int = 10,
) -> ResNet:
    """ResNet-110 of section 4.2, or its plain twin, or its pre-activation form."""
    return cifar_resnet(
        BLOCKS_PER_STAGE["resnet110"],
        shortcut=shortcut,
        plain=plain,
        preactivation=preactivation,
        in_channels=in_channels,
        num_classes=num_classes,
    )
