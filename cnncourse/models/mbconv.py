"""MBConv, the block of MobileNetV2, MnasNet and EfficientNet, and its four parts."""

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor, nn

from cnncourse.messages import refusal

Norm = Callable[[int], nn.Module]


def conv_norm(
    in_channels: int,
    out_channels: int,
    *,
    kernel_size: int,
    norm_layer: Norm,
    stride: int = 1,
    groups: int = 1,
    activation: bool = True,
) -> nn.Sequential:
    """Convolution without bias, normalisation, and SiLU unless told otherwise.

    (N, in_channels, H, W) -> (N, out_channels, ceil(H / stride), ceil(W / stride)), odd kernel_size
    """
    padding = kernel_size // 2
    layers: list[nn.Module] = [
        nn.Conv2d(
            in_channels, out_channels, kernel_size, stride, padding, groups=groups, bias=False
        ),
        norm_layer(out_channels),
    ]
    if activation:
        layers.append(nn.SiLU(inplace=True))
    return nn.Sequential(*layers)


class SqueezeExcitation(nn.Module):
    """A factor from 0 to 1 for every channel, from the means of all (Hu et al. 2017, 1709.01507).

    (N, channels, H, W) -> the same shape
    """

    def __init__(self, channels: int, squeeze_channels: int) -> None:
        super().__init__()
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.fc1 = nn.Conv2d(channels, squeeze_channels, 1)  # 1x1 on 1x1: a full connection
        self.fc2 = nn.Conv2d(squeeze_channels, channels, 1)
        self.activation = nn.SiLU(inplace=True)
        self.scale_activation = nn.Sigmoid()

    def forward(self, x: Tensor) -> Tensor:
        """(N, channels, H, W) -> (N, channels, H, W)."""
        scale = self.fc2(self.activation(self.fc1(self.avgpool(x))))  # (N, channels, 1, 1)
        return self.scale_activation(scale) * x


@torch.fx.wrap  # one node in both modes, so that feature extractors find the same names
def drop_pictures(x: Tensor, p: float, training: bool) -> Tensor:
    """What StochasticDepth does: in training, zero pictures with probability p."""
    if not training or p == 0:
        return x
    survives = x.new_empty((x.shape[0],) + (1,) * (x.ndim - 1)).bernoulli_(1 - p)
    if p < 1:
        survives.div_(1 - p)
    return x * survives


class StochasticDepth(nn.Module):
    """In training, zero a whole picture's residual with probability p (Huang et al. 2016,
    arXiv:1603.09382); what survives is divided by 1 - p, so that the mean stays.

    (N, ...) -> the same shape; every picture of the batch is drawn by itself. In eval mode nothing.
    """

    def __init__(self, p: float) -> None:
        super().__init__()
        if not 0 <= p <= 1:
            raise ValueError(refusal("p", p, "must be from 0 to 1", attempt="p=0.2"))
        self.p = p

    def forward(self, x: Tensor) -> Tensor:
        """(N, ...) -> (N, ...)."""
        return drop_pictures(x, self.p, self.training)

    def extra_repr(self) -> str:
        """The probability, for print(model)."""
        return f"p={self.p:g}"


class MBConv(nn.Module):
    """Mobile inverted bottleneck: wide inside, narrow at both ends (Sandler et al. 2018,
    arXiv:1801.04381, Figure 4d), with squeeze-and-excitation (Tan et al. 2018, arXiv:1807.11626).

    (N, in_channels, H, W) -> (N, out_channels, ceil(H / stride), ceil(W / stride))
    The shortcut is there where nothing changes its shape. Parts are named as in torchvision, so
    that its weights load as they are.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        expansion: int,
        kernel_size: int,
        stride: int,
        stochastic_depth_prob: float,
        norm_layer: Norm,
        squeeze_excitation: bool = True,
    ) -> None:
        super().__init__()
        wide = in_channels * expansion
        conv = partial(conv_norm, norm_layer=norm_layer)
        layers: list[nn.Module] = []
        if expansion != 1:
            layers.append(conv(in_channels, wide, kernel_size=1))  # expand
        layers.append(conv(wide, wide, kernel_size=kernel_size, stride=stride, groups=wide))
        if squeeze_excitation:  # a quarter of what comes in, not of what is squeezed
            layers.append(SqueezeExcitation(wide, max(1, in_channels // 4)))
        layers.append(conv(wide, out_channels, kernel_size=1, activation=False))  # project
        self.block = nn.Sequential(*layers)
        self.stochastic_depth = StochasticDepth(stochastic_depth_prob)
        self.has_shortcut = stride == 1 and in_channels == out_channels

    def forward(self, x: Tensor) -> Tensor:
        """(N, in_channels, H, W) -> (N, out_channels, ...); F(x) + x where the shapes agree."""
        residual = self.block(x)
        if not self.has_shortcut:
            return residual
        residual = self.stochastic_depth(residual)
        residual += x  # in place: the block's own output is needed by nobody else
        return residual
