"""Convolution as deep learning means it: arguments are read, the image padded, a method chosen."""

from typing import Any, NamedTuple

import numpy as np

from cnncourse.arithmetic import pair
from cnncourse.messages import check_at_least, refusal
from cnncourse.ops import direct, fft, im2col, loops, winograd
from cnncourse.ops.checks import as_images, as_numbers
from cnncourse.ops.inputs import (
    Pair,
    Sides,
    as_batch,
    as_bias,
    as_kernels,
    check_channels,
    check_known,
    check_window,
    one_dtype,
    window_places,
)
from cnncourse.ops.padding import MODES, as_sides, check_room, pad_sides

METHODS = {
    "loops": loops.correlate,
    "direct": direct.correlate,
    "im2col": im2col.correlate,
    "fft": fft.correlate,
    "winograd": winograd.correlate,
}


def conv2d(
    images: np.ndarray,
    kernels: np.ndarray,
    bias: Any = None,
    *,
    stride: int | Pair = 1,
    padding: int | Pair | str = 0,
    dilation: int | Pair = 1,
    groups: int = 1,
    padding_mode: str = "zeros",
    method: str = "direct",
) -> np.ndarray:
    """Slide kernels over images and sum the products; the kernel is not flipped.

    (N, C, H, W), (O, C // groups, h, w) -> (N, O, H', W'), H' and W' as in arithmetic.output_size;
    (C, H, W) -> (O, H', W'); (H, W), (h, w) -> (H', W'). bias: O numbers; for (H, W) one. The
    dtype is NumPy's for the inputs together; integers are exact.
    padding is pixels a side, "same" (stride 1: the size stays) or "valid" (none); what is in it
    says padding_mode: zeros, reflect, replicate or circular. method: loops, direct, im2col, fft or
    winograd, which give the same numbers, each from a file of its name.
    Raises ValueError for what torch refuses, for images without channels (torch answers none), for
    narrow integers, which would wrap around, and where a method does not apply.
    """
    check_known("method", method, METHODS)
    layer = read_convolution(
        images,
        kernels,
        bias,
        stride=stride,
        padding=padding,
        dilation=dilation,
        groups=groups,
        padding_mode=padding_mode,
    )
    padded = pad_sides(layer.images, layer.sides, padding_mode)
    output = METHODS[method](
        padded, layer.kernels, stride=layer.stride, dilation=layer.dilation, groups=groups
    )
    if layer.bias is not None:
        output = output + layer.bias
    return output.reshape(layer.output_shape)


def convolve2d(
    images: np.ndarray,
    kernels: np.ndarray,
    bias: Any = None,
    *,
    stride: int | Pair = 1,
    padding: int | Pair | str = 0,
    dilation: int | Pair = 1,
    groups: int = 1,
    padding_mode: str = "zeros",
    method: str = "direct",
) -> np.ndarray:
    """Convolution as mathematics means it: conv2d with every kernel turned by 180 degrees."""
    numbers = as_numbers("kernels", kernels)
    turned = np.flip(numbers, axis=tuple(range(numbers.ndim))[-2:])
    return conv2d(
        images,
        turned,
        bias,
        stride=stride,
        padding=padding,
        dilation=dilation,
        groups=groups,
        padding_mode=padding_mode,
        method=method,
    )


class Convolution(NamedTuple):
    """Arguments of a convolution that were read and fit together; one dtype in all arrays."""

    images: np.ndarray  # (N, C, H, W)
    kernels: np.ndarray  # (O, C // groups, h, w)
    bias: np.ndarray | None  # (O, 1, 1), or one number
    stride: Pair
    sides: Sides  # of the padding
    dilation: Pair
    output_shape: tuple[int, ...]  # with as many axes as the images came with


def read_convolution(
    images: Any,
    kernels: Any,
    bias: Any,
    *,
    stride: Any,
    padding: Any,
    dilation: Any,
    groups: int,
    padding_mode: str,
) -> Convolution:
    """Arguments of conv2d, read; ValueError with the way out where they do not fit together."""
    came = as_images("images", images)
    batch = as_batch(came)
    taps = as_kernels(kernels, came, layout="out_channels, in_channels // groups")
    check_at_least("groups", groups, 1)
    if len(taps) % groups:
        rule = f"must divide the number of kernels, {len(taps)}"
        attempt = "groups=1" if came.ndim == 2 else f"{groups} kernels"
        raise ValueError(refusal("groups", groups, rule, attempt=attempt))
    check_channels(came, taps, groups * taps.shape[1], f" with groups={groups}")
    step, gap = pair("stride", stride), pair("dilation", dilation)
    image_size, kernel_size = batch.shape[2:], taps.shape[2:]
    check_known("padding_mode", padding_mode, MODES)
    sides = as_sides(padding, image_size, kernel_size, stride=step, dilation=gap)
    check_window(image_size, kernel_size, sides, gap)
    check_room(padding, sides, image_size, padding_mode, argument="padding_mode")
    size = window_places(image_size, kernel_size, stride=step, sides=sides, dilation=gap)
    output_shape = (len(batch), len(taps), *size)[4 - came.ndim :]
    added = as_bias(bias, output_shape[-3:-2])
    return Convolution(*one_dtype(batch, taps, added), step, sides, gap, output_shape)
