"""VGG: nothing but 3x3 convolutions and 2x2 max-pools, 11 to 19 layers deep.

Simonyan & Zisserman 2014, "Very Deep Convolutional Networks for Large-Scale Image Recognition",
arXiv:1409.1556. The builders are torchvision's, whose weights load; at 224 px they are the paper's
columns A, B, D and E. `vgg16_c` is its column C. Batch normalisation is younger than the paper.
"""

import copy
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from cnncourse.models import checks

# Simonyan & Zisserman 2014, Table 1: convolutions per stage. A max-pool closes every stage.
STAGE_DEPTHS = {
    "vgg11": (1, 1, 2, 2, 2),  # column A
    "vgg13": (2, 2, 2, 2, 2),  # column B
    "vgg16": (2, 2, 3, 3, 3),  # columns C and D
    "vgg19": (2, 2, 4, 4, 4),  # column E
}
STAGE_WIDTHS = (64, 128, 256, 512, 512)  # output channels


def vgg_features(
    depths: Sequence[int],
    widths: Sequence[int],
    *,
    in_channels: int,
    batch_norm: bool = False,
    third_kernel_size: int = 3,
) -> nn.Module:
    """Convolutional part of a VGG with s stages; every stage halves the picture, rounding down.

    (N, in_channels, H, W) -> (N, widths[-1], H // 2**s, W // 2**s). third_kernel_size is that of
    the third convolution of a stage, where it has one: 1 in the paper's column C.
    """
    layers: list[nn.Module] = []
    for depth, width in zip(depths, widths, strict=True):
        for number in range(1, depth + 1):
            kernel_size = third_kernel_size if number == 3 else 3
            layers.append(nn.Conv2d(in_channels, width, kernel_size, padding=kernel_size // 2))
            layers += [nn.BatchNorm2d(width)] if batch_norm else []
            layers.append(nn.ReLU(inplace=True))
            in_channels = width
        layers.append(nn.MaxPool2d(kernel_size=2))
    return nn.Sequential(*layers)


def initialise(model: nn.Module) -> None:
    """torchvision's: He et al.'s normal distribution for convolutions (arXiv:1502.01852), by their
    outputs, a standard deviation of 0.01 for full connections, biases 0.
    """
    for module in model.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
            if module.bias is not None:  # in a network of a reader's own
                nn.init.zeros_(module.bias)
        elif isinstance(module, nn.Linear):
            nn.init.normal_(module.weight, std=0.01)
            nn.init.zeros_(module.bias)


class VGG(nn.Module):
    """Stages of 3x3 convolutions, then three full connections (Table 1).

    (N, in_channels, H, W) -> logits (N, num_classes). The last map is averaged to 7x7 positions,
    which at 224 px it has anyway: so other sizes work too, and a map of fewer positions is
    repeated. hidden is the width of the first two full connections.
    Raises ValueError for images whose last map would not be 2x2.
    """

    def __init__(
        self,
        depths: Sequence[int],
        widths: Sequence[int] = STAGE_WIDTHS,
        *,
        in_channels: int = 3,
        num_classes: int = 1000,
        batch_norm: bool = False,
        dropout: float = 0.5,
        hidden: int = 4096,
        third_kernel_size: int = 3,
    ) -> None:
        super().__init__()
        checks.check_counts(in_channels=in_channels, num_classes=num_classes)
        self.in_channels = in_channels
        self.smallest_px = 2 * 2 ** len(depths)  # every stage halves
        self.features = vgg_features(
            depths,
            widths,
            in_channels=in_channels,
            batch_norm=batch_norm,
            third_kernel_size=third_kernel_size,
        )
        self.avgpool = nn.AdaptiveAvgPool2d((7, 7))
        self.classifier = nn.Sequential(
            nn.Linear(widths[-1] * 7 * 7, hidden),
            nn.ReLU(inplace=True),
            nn.Dropout(dropout),
            nn.Linear(hidden, hidden),
            nn.ReLU(inplace=True),
            nn.Dropout(dropout),
            nn.Linear(hidden, num_classes),
        )
        initialise(self)

    def forward(self, images: Tensor) -> Tensor:
        """(N, in_channels, H, W) -> logits (N, num_classes)."""
        checks.check_images(
            images, in_channels=self.in_channels, smallest_px=self.smallest_px, model="VGG"
        )
        maps = self.avgpool(self.features(images))
        return self.classifier(torch.flatten(maps, 1))


def fold_batch_norm(convolution: nn.Conv2d, norm: nn.BatchNorm2d) -> nn.Conv2d:
    """One convolution that does what both do in eval mode; both stay as they are.

    gamma (W x + b - mean) / sqrt(var + eps) + beta is W' x + b' with W' = W gamma / sqrt(var + eps)
    and b' = beta + (b - mean) gamma / sqrt(var + eps). Not for training: there the mean and the
    variance are the batch's, and are not known before it comes.
    Raises ValueError where the channels differ, and where norm keeps no running statistics.
    """
    mean, variance = norm.running_mean, norm.running_var
    if mean is None or variance is None:
        raise ValueError(
            "track_running_stats=False: this batch normalisation has no running statistics to "
            "fold. Try: track_running_stats=True, and train or calibrate it first."
        )
    if norm.num_features != convolution.out_channels:
        raise ValueError(
            f"num_features={norm.num_features}: the convolution gives {convolution.out_channels} "
            f"channels. Try: nn.BatchNorm2d({convolution.out_channels})."
        )
    scale = torch.rsqrt(variance + norm.eps)
    shift = torch.zeros_like(mean)
    if norm.affine:
        scale, shift = scale * norm.weight.detach(), norm.bias.detach()
    before = torch.zeros_like(mean) if convolution.bias is None else convolution.bias.detach()
    folded = copy.deepcopy(convolution)
    folded.weight = nn.Parameter(convolution.weight.detach() * scale[:, None, None, None])
    folded.bias = nn.Parameter(shift + (before - mean) * scale)
    return folded


def fold_all(layers: nn.Sequential) -> nn.Sequential:
    """The layers with every batch normalisation folded into the convolution right before it."""
    folded: list[nn.Module] = []
    for layer in layers:
        if isinstance(layer, nn.BatchNorm2d) and folded and isinstance(folded[-1], nn.Conv2d):
            folded[-1] = fold_batch_norm(folded[-1], layer)
        else:
            folded.append(layer)
    return nn.Sequential(*folded)


def vgg11(*, in_channels: int = 3, num_classes: int = 1000, dropout: float = 0.5) -> VGG:
    """VGG-11, column A: 132,863,336 parameters with three channels and 1,000 classes."""
    return VGG(
        STAGE_DEPTHS["vgg11"],
        in_channels=in_channels,
        num_classes=num_classes,
        dropout=dropout,
    )


def vgg13(*, in_channels: int = 3, num_classes: int = 1000, dropout: float = 0.5) -> VGG:
    """VGG-13, column B: 133,047,848 parameters with three channels and 1,000 classes."""
    return VGG(
        STAGE_DEPTHS["vgg13"],
        in_channels=in_channels,
        num_classes=num_classes,
        dropout=dropout,
    )


def vgg16(*, in_channels: int = 3, num_classes: int = 1000, dropout: float = 0.5) -> VGG:
    """VGG-16, column D: 138,357,544 parameters with three channels and 1,000 classes."""
    return VGG(
        STAGE_DEPTHS["vgg16"],
        in_channels=in_channels,
        num_classes=num_classes,
        dropout=dropout,
    )


def vgg19(*, in_channels: int = 3, num_classes: int = 1000, dropout: float = 0.5) -> VGG:
    """VGG-19, column E: 143,667,240 parameters with three channels and 1,000 classes."""
    return VGG(
        STAGE_DEPTHS["vgg19"],
        in_channels=in_channels,
        num_classes=num_classes,
        dropout=dropout,
    )


def vgg11_bn(*, in_channels: int = 3, num_classes: int = 1000, dropout: float = 0.5) -> VGG:
    """VGG-11, column A, with batch normalisation: 132,868,840 parameters."""
    return VGG(
        STAGE_DEPTHS["vgg11"],
        in_channels=in_channels,
        num_classes=num_classes,
        dropout=dropout,
        batch_norm=True,
    )


def vgg13_bn(*, in_channels: int = 3, num_classes: int = 1000, dropout: float = 0.5) -> VGG:
    """VGG-13, column B, with batch normalisation: 133,053,736 parameters."""
    return VGG(
        STAGE_DEPTHS["vgg13"],
        in_channels=in_channels,
        num_classes=num_classes,
        dropout=dropout,
        batch_norm=True,
    )


def vgg16_bn(*, in_channels: int = 3, num_classes: int = 1000, dropout: float = 0.5) -> VGG:
    """VGG-16, column D, with batch normalisation: 138,365,992 parameters."""
    return VGG(
        STAGE_DEPTHS["vgg16"],
        in_channels=in_channels,
        num_classes=num_classes,
        dropout=dropout,
        batch_norm=True,
    )


def vgg19_bn(*, in_channels: int = 3, num_classes: int = 1000, dropout: float = 0.5) -> VGG:
    """VGG-19, column E, with batch normalisation: 143,678,248 parameters."""
    return VGG(
        STAGE_DEPTHS["vgg19"],
        in_channels=in_channels,
        num_classes=num_classes,
        dropout=dropout,
        batch_norm=True,
    )


def vgg16_c(*, in_channels: int = 3, num_classes: int = 1000, dropout: float = 0.5) -> VGG:
    """The paper's column C, which torchvision lacks: VGG-16, the third convolutions 1x1."""
    return VGG(
        STAGE_DEPTHS["vgg16"],
        in_channels=in_channels,
        num_classes=num_classes,
        dropout=dropout,
        third_kernel_size=1,
    )
