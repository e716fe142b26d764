"""AlexNet twice: as the paper of 2012 has it, and as torchvision does (the widths of 2014).

Sources: Krizhevsky, Sutskever & Hinton 2012, "ImageNet Classification with Deep Convolutional
Neural Networks", NeurIPS; Krizhevsky 2014, "One weird trick for parallelizing convolutional neural
networks", arXiv:1404.5997.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from cnncourse.models import checks


class Conv(NamedTuple):
    """A convolution with its ReLU, and what stands behind it."""

    out_channels: int
    kernel_size: int
    stride: int = 1
    padding: int = 0
    groups: int = 1
    normalised: bool = False  # by its neighbouring channels
    pooled: bool = False  # 3x3 maxima in steps of 2: windows overlap


# Krizhevsky, Sutskever & Hinton 2012, sections 3.3 to 3.5. Two GPUs hold half of the channels each;
# where groups is 2 a half sees only the half on its own GPU.
LAYERS_2012 = (
    Conv(96, 11, stride=4, normalised=True, pooled=True),
    Conv(256, 5, padding=2, groups=2, normalised=True, pooled=True),
    Conv(384, 3, padding=1),
    Conv(384, 3, padding=1, groups=2),
    Conv(256, 3, padding=1, groups=2, pooled=True),
)
SIZE_2012_PX = 227  # the paper says 224, which its first layer's windows do not fill

# Krizhevsky 2014, and torchvision: no groups, no normalisation, other widths.
LAYERS_2014 = (
    Conv(64, 11, stride=4, padding=2, pooled=True),
    Conv(192, 5, padding=2, pooled=True),
    Conv(384, 3, padding=1),
    Conv(256, 3, padding=1),
    Conv(256, 3, padding=1, pooled=True),
)
MAP_PX = 6  # side of the last map, in both
HIDDEN = 4096  # units of the first and of the second full connection, in both
POOL_PX, POOL_STRIDE = 3, 2


def alexnet_features(layers: Sequence[Conv], *, in_channels: int) -> nn.Sequential:
    """Convolutional part: (N, in_channels, H, W) -> (N, layers[-1].out_channels, H', W').

    H' and W' are as map_size says; each convolution is followed by a ReLU, then by a response
    normalisation and by a pool where the table has them.
    """
    parts: list[nn.Module] = []
    for layer in layers:
        channels, kernel_size, stride, padding, groups, normalised, pooled = layer
        parts += [
            nn.Conv2d(in_channels, channels, kernel_size, stride, padding, groups=groups),
            nn.ReLU(inplace=True),
        ]
        if normalised:
            parts.append(response_norm())
        if pooled:
            parts.append(nn.MaxPool2d(POOL_PX, POOL_STRIDE))
        in_channels = channels
    return nn.Sequential(*parts)


def response_norm() -> nn.Module:
    """Local response normalisation over five channels (section 3.3): k=2, n=5, alpha=1e-4, 0.75.

    The paper multiplies alpha with a sum of squares, torch with their mean: so n times its alpha.
    """
    return nn.LocalResponseNorm(size=5, alpha=5 * 1e-4, beta=0.75, k=2.0)


def map_size(layers: Sequence[Conv], size_px: int) -> int:
    """Side of the last map for a picture of that side; 0 or less where nothing fits."""
    for layer in layers:
        size_px = (size_px + 2 * layer.padding - layer.kernel_size) // layer.stride + 1
        if layer.pooled:
            size_px = (size_px - POOL_PX) // POOL_STRIDE + 1
    return size_px


def smallest_size(layers: Sequence[Conv], *, map_px: int = 2) -> int:
    """Smallest side of a picture whose last map has a side of map_px."""
    for layer in reversed(layers):
        if layer.pooled:
            map_px = (map_px - 1) * POOL_STRIDE + POOL_PX
        map_px = (map_px - 1) * layer.stride + layer.kernel_size - 2 * layer.padding
    return map_px


class AlexNet(nn.Module):
    """torchvision's AlexNet, layer by layer and name by name; its weights load as they are.

    (N, in_channels, H, W) -> logits (N, num_classes); 61,100,840 parameters. Pictures of any size
    from smallest_px on are averaged to 6x6 positions. dropout is on the *inputs* of the first two
    full connections. Raises ValueError for pictures that are smaller or no float batch.
    """

    def __init__(
        self,
        layers: Sequence[Conv] = LAYERS_2014,
        *,
        in_channels: int = 3,
        num_classes: int = 1000,
        dropout: float = 0.5,
        hidden: int = HIDDEN,
    ) -> None:
        super().__init__()
        checks.check_counts(in_channels=in_channels, num_classes=num_classes)
        self.in_channels, self.smallest_px = in_channels, smallest_size(layers)
        self.features = alexnet_features(layers, in_channels=in_channels)
        self.avgpool = nn.AdaptiveAvgPool2d((MAP_PX, MAP_PX))
        self.classifier = nn.Sequential(
            nn.Dropout(dropout),
            nn.Linear(layers[-1].out_channels * MAP_PX**2, hidden),
            nn.ReLU(inplace=True),
            nn.Dropout(dropout),
            nn.Linear(hidden, hidden),
            nn.ReLU(inplace=True),
            nn.Linear(hidden, num_classes),
        )

    def forward(self, images: Tensor) -> Tensor:
        """(N, in_channels, H, W) -> logits (N, num_classes)."""
        checks.check_images(
            images, in_channels=self.in_channels, smallest_px=self.smallest_px, model="alexnet"
        )
        return self.classifier(torch.flatten(self.avgpool(self.features(images)), 1))


class AlexNet2012(nn.Module):
    """The network of the paper: 60,965,224 parameters, for pictures of 227x227 px.

    (N, in_channels, 227, 227) -> logits (N, num_classes). dropout is on the *outputs* of the first
    two full connections. It begins as section 5 says: weights with standard deviation 0.01, biases
    1 in the second, fourth and fifth convolution and in the hidden full connections, 0 elsewhere.
    The normalisation crosses the seam between the two halves of the channels, which the paper
    leaves open. Raises ValueError for pictures whose last map is not 6x6.
    """

    def __init__(
        self,
        layers: Sequence[Conv] = LAYERS_2012,
        *,
        in_channels: int = 3,
        num_classes: int = 1000,
        dropout: float = 0.5,
        hidden: int = HIDDEN,
    ) -> None:
        super().__init__()
        checks.check_counts(in_channels=in_channels, num_classes=num_classes)
        self.layers, self.in_channels = tuple(layers), in_channels
        self.smallest_px = smallest_size(layers)
        self.features = alexnet_features(layers, in_channels=in_channels)
        self.classifier = nn.Sequential(
            nn.Linear(layers[-1].out_channels * MAP_PX**2, hidden),
            nn.ReLU(inplace=True),
            nn.Dropout(dropout),
            nn.Linear(hidden, hidden),
            nn.ReLU(inplace=True),
            nn.Dropout(dropout),
            nn.Linear(hidden, num_classes),
        )
        self.begin()

    def begin(self) -> None:
        """Draw the first weights and biases of section 5."""
        convolutions = [part for part in self.features if isinstance(part, nn.Conv2d)]
        full = [part for part in self.classifier if isinstance(part, nn.Linear)]
        weighted: list[nn.Conv2d | nn.Linear] = [*convolutions, *full]
        ones = [*convolutions[1:2], *convolutions[3:5], *full[:-1]]  # so that ReLUs start alive
        for part in weighted:
            nn.init.normal_(part.weight, std=0.01)
            assert part.bias is not None
            nn.init.constant_(part.bias, 1.0 if part in ones else 0.0)

    def forward(self, images: Tensor) -> Tensor:
        """(N, in_channels, 227, 227) -> logits (N, num_classes)."""
        checks.check_images(
            images,
            in_channels=self.in_channels,
            smallest_px=self.smallest_px,
            model="alexnet_2012",
            attempt=f"images of {smallest_size(self.layers, map_px=MAP_PX)} px a side",
        )
        check_map(images, self.layers)
        return self.classifier(torch.flatten(self.features(images), 1))


@torch.fx.wrap
def check_map(images: Tensor, layers: Sequence[Conv]) -> None:
    """Raise ValueError unless the last map of these pictures has 6x6 positions."""
    height, width = images.shape[2:]
    rows, columns = map_size(layers, height), map_size(layers, width)
    if (rows, columns) != (MAP_PX, MAP_PX):
        fitting = smallest_size(layers, map_px=MAP_PX)
        raise ValueError(
            f"image ({height}, {width}): the last map is {rows}x{columns}, the full connections "
            f"were built for {MAP_PX}x{MAP_PX}. Try: images of {fitting} px a side."
        )


def alexnet(*, in_channels: int = 3, num_classes: int = 1000, dropout: float = 0.5) -> AlexNet:
    """torchvision's AlexNet (Krizhevsky 2014, arXiv:1404.5997)."""
    return AlexNet(in_channels=in_channels, num_classes=num_classes, dropout=dropout)


def alexnet_2012(
    *,
    in_channels: int = 3,
    num_classes: int = 1000,
    dropout: float = 0.5,
    two_halves: bool = True,
) -> AlexNet2012:
    """The paper's network; two_halves=False is what a single, larger GPU could have run."""
    layers: Sequence[Conv] = LAYERS_2012
    if not two_halves:
        layers = tuple(layer._replace(groups=1) for layer in layers)
    return AlexNet2012(layers, in_channels=in_channels, num_classes=num_classes, dropout=dropout)
