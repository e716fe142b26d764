"""Sizes, receptive fields, parameters and MACs of layers, in whole numbers and along one axis.

A size is a number of pixels; padding is per side. A height and a width are two calls.
"""

import math
from collections.abc import Iterable
from typing import NamedTuple

from cnncourse.messages import check_at_least, refusal

# --- sizes ----------------------------------------------------------------------------------------


def output_size(
    size: int, *, kernel_size: int, stride: int = 1, padding: int = 0, dilation: int = 1
) -> int:
    """Output length of a convolution along one axis; all lengths in pixels.

    Padding is per side. Rounds down, as torch does: a last window not filled is left out.
    Raises ValueError if the kernel does not fit. Source: Dumoulin & Visin 2016, arXiv:1603.07285.
    """
    check_at_least("size", size, 1)
    check_window(kernel_size, stride, padding, dilation)
    span = dilation * (kernel_size - 1) + 1  # from the kernel's first tap to its last
    room = size + 2 * padding
    if span > room:
        raise ValueError(
            f"kernel_size={kernel_size} with dilation={dilation} spans {span} px, the padded input "
            f"has only {room} px (size={size}, padding={padding}). "
            f"Try: padding={(span - size + 1) // 2}."
        )
    return (room - span) // stride + 1


def pooled_size(
    size: int,
    *,
    kernel_size: int,
    stride: int | None = None,
    padding: int = 0,
    dilation: int = 1,
    ceil_mode: bool = False,
) -> int:
    """Output length of pooling along one axis, as torch counts it; stride None means kernel_size.

    Padding is at most half of kernel_size. Rounds down; with ceil_mode up, so that the last window
    may reach over the end, but it starts inside the input or the padding before it.
    Raises ValueError where there is no room for a window.
    """
    stride = kernel_size if stride is None else stride
    check_at_least("size", size, 1)
    check_window(kernel_size, stride, padding, dilation)
    check_flag("ceil_mode", ceil_mode)
    if 2 * padding > kernel_size:
        rule = f"must be at most half of kernel_size={kernel_size}"
        raise ValueError(refusal("padding", padding, rule, attempt=f"padding={kernel_size // 2}"))
    span = dilation * (kernel_size - 1) + 1
    room = size + 2 * padding
    if ceil_mode:
        room += stride - 1  # what the last window may lack
    if span > room:
        raise ValueError(
            f"kernel_size={kernel_size} with dilation={dilation} spans {span} px, the padded input "
            f"has room for {room} px (size={size}, padding={padding}, stride={stride}, "
            f"ceil_mode={ceil_mode}). Try: kernel_size={(size - 1) // dilation + 1}, padding=0."
        )
    count = (room - span) // stride + 1
    if ceil_mode and (count - 1) * stride >= size + padding:
        count -= 1  # the last window would see only the padding after the input
    return count


def transposed_output_size(
    size: int,
    *,
    kernel_size: int,
    stride: int = 1,
    padding: int = 0,
    output_padding: int = 0,
    dilation: int = 1,
) -> int:
    """Output length of a transposed convolution along one axis: what output_size maps to size.

    Of the lengths that a stride rounds down to the same size, output_padding picks one.
    Raises ValueError if padding cuts everything away, or if output_padding reaches both stride and
    dilation. Source: Dumoulin & Visin 2016, arXiv:1603.07285, relationship 14.
    """
    check_at_least("size", size, 1)
    check_window(kernel_size, stride, padding, dilation)
    check_at_least("output_padding", output_padding, 0)
    most = max(stride, dilation) - 1
    if output_padding > most:
        rule = f"must be smaller than stride={stride} or dilation={dilation}"
        attempt = f"output_padding={most}"
        raise ValueError(refusal("output_padding", output_padding, rule, attempt=attempt))
    full = (size - 1) * stride + dilation * (kernel_size - 1) + 1 + output_padding
    if 2 * padding >= full:
        rule = f"takes {2 * padding} px from an output of {full} px, and nothing is left"
        raise ValueError(refusal("padding", padding, rule, attempt=f"padding={(full - 1) // 2}"))
    return full - 2 * padding


def same_padding(*, kernel_size: int, dilation: int = 1) -> tuple[int, int]:
    """Pixels to add (before, after) so that a convolution with stride 1 keeps the size.

    An odd pixel goes after, as in torch's padding="same".
    """
    check_at_least("kernel_size", kernel_size, 1)
    check_at_least("dilation", dilation, 1)
    total = dilation * (kernel_size - 1)
    return total // 2, total - total // 2


# --- receptive fields -----------------------------------------------------------------------------


class Layer(NamedTuple):
    """A convolution or a pool, as far as it decides which pixels a unit sees."""

    kernel_size: int
    stride: int = 1
    padding: int = 0
    dilation: int = 1
    name: str = ""


class ReceptiveField(NamedTuple):
    """What the units of a layer see of the input along one axis, in pixels of the input."""

    size: int  # pixels that one unit sees, from the first to the last
    jump: int  # from one unit's first pixel to its neighbour's
    start: int  # first pixel that unit 0 sees; negative: that many pixels inside the padding


def receptive_field(layers: Iterable[Layer]) -> ReceptiveField:
    """What a unit of the last layer sees of the input; no layers: one pixel.

    Source: Araujo, Norris & Sim 2019, "Computing Receptive Fields of CNNs", Distill.
    """
    size, jump, start = 1, 1, 0
    for index, layer in enumerate(layers):
        check_layer(index, layer)
        size += layer.dilation * (layer.kernel_size - 1) * jump
        start -= layer.padding * jump
        jump *= layer.stride
    return ReceptiveField(size, jump, start)


# --- costs ----------------------------------------------------------------------------------------


def conv2d_parameters(
    in_channels: int,
    out_channels: int,
    *,
    kernel_size: int | tuple[int, int],
    groups: int = 1,
    bias: bool = True,
) -> int:
    """Weights and biases of a convolution; kernel_size is a side or (height, width).

    Every output channel has its own kernel, over in_channels // groups input channels.
    """
    check_channels(in_channels, out_channels, groups)
    check_flag("bias", bias)
    height, width = pair("kernel_size", kernel_size)
    return out_channels * (in_channels // groups * height * width + bias)


def conv2d_macs(
    in_channels: int,
    out_channels: int,
    *,
    kernel_size: int | tuple[int, int],
    output_size: int | tuple[int, int],
    groups: int = 1,
) -> int:
    """Multiply-accumulates of a convolution on one image; output_size is (height, width).

    A bias is not counted, nor a multiplication with padding left out. One MAC is two FLOPs.
    """
    weights = conv2d_parameters(
        in_channels, out_channels, kernel_size=kernel_size, groups=groups, bias=False
    )
    height, width = pair("output_size", output_size)
    return weights * height * width  # every weight is used once at every place of the output


def linear_parameters(in_features: int, out_features: int, *, bias: bool = True) -> int:
    """Weights and biases of a full connection."""
    check_at_least("in_features", in_features, 1)
    check_at_least("out_features", out_features, 1)
    check_flag("bias", bias)
    return out_features * (in_features + bias)


def linear_macs(in_features: int, out_features: int) -> int:
    """Multiply-accumulates of a full connection on one image: one a weight."""
    return linear_parameters(in_features, out_features, bias=False)


# --- what is refused ------------------------------------------------------------------------------


def check_window(kernel_size: int, stride: int, padding: int, dilation: int) -> None:
    """Raise ValueError unless these describe a window that moves over an axis."""
    check_at_least("kernel_size", kernel_size, 1)
    check_at_least("stride", stride, 1)
    check_at_least("padding", padding, 0)
    check_at_least("dilation", dilation, 1)


def check_flag(argument: str, came: bool) -> None:
    """Raise ValueError unless came is True or False."""
    if not isinstance(came, bool):
        rule = "must be True or False"
        raise ValueError(refusal(argument, came, rule, attempt=f"{argument}=True"))


def check_layer(index: int, layer: Layer) -> None:
    """Raise TypeError unless it is a Layer, ValueError where one of its numbers is refused."""
    if not isinstance(layer, Layer):
        attempt = "Layer(kernel_size=3)"
        raise TypeError(refusal(f"layers[{index}]", layer, "must be a Layer", attempt=attempt))
    try:
        check_window(layer.kernel_size, layer.stride, layer.padding, layer.dilation)
    except ValueError as error:
        raise ValueError(f"layers[{index}]: {error}") from error


def check_channels(in_channels: int, out_channels: int, groups: int) -> None:
    """Raise ValueError unless these are numbers of channels, and groups divides both."""
    check_at_least("in_channels", in_channels, 1)
    check_at_least("out_channels", out_channels, 1)
    check_at_least("groups", groups, 1)
    common = math.gcd(in_channels, out_channels)
    if common % groups:
        rule = f"must divide in_channels={in_channels} and out_channels={out_channels}"
        attempt = f"groups={max(n for n in range(1, groups) if common % n == 0)}"
        raise ValueError(refusal("groups", groups, rule, attempt=attempt))


def pair(argument: str, came: int | tuple[int, int], *, least: int = 1) -> tuple[int, int]:
    """(height, width) of a side or a pair of sides; ValueError where one is not least or more."""
    sides = came if isinstance(came, tuple | list) else (came, came)
    if len(sides) != 2:
        rule = "must be one number or a pair, (height, width)"
        raise ValueError(refusal(argument, came, rule, attempt=f"{argument}={least}"))
    for side in sides:
        check_at_least(argument, side, least)
    height, width = sides
    return height, width
