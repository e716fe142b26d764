"""Pooling from its definition: cut the image into windows, make one number of each.

Images are (H, W), (C, H, W) or (N, C, H, W). Arguments, sizes and refusals are torch's.
"""

import math
from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from cnncourse.arithmetic import check_flag, pair, pooled_size
from cnncourse.messages import refusal
from cnncourse.ops.checks import as_images, check_above_zero
from cnncourse.ops.inputs import shortest

Side = int | tuple[int, int]  # one number for both axes, or (height, width)


def max_pool2d(
    images: np.ndarray,
    kernel_size: Side,
    *,
    stride: Side | None = None,
    padding: Side = 0,
    dilation: Side = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Any:
    """Largest number of every window; stride None means kernel_size, so that none overlap.

    (..., H, W) -> (..., H', W') of the same dtype, H' and W' as in arithmetic.pooled_size. Padding
    never wins: it counts as -inf, or as an integer dtype's least. A window with a nan gives nan.
    With return_indices, (values, indices): where in the H * W pixels of its plane each value was
    first found, row by row; -1 for a dilated window that steps over every pixel.
    Raises ValueError where padding is more than half the kernel or a window does not fit.
    """
    images = as_images("images", images)
    check_flag("return_indices", return_indices)
    window = read_window(images.shape, kernel_size, stride, padding, dilation, ceil_mode)
    is_float = images.dtype.kind == "f"
    cut = windows(images, window, fill=-math.inf if is_float else np.iinfo(images.dtype).min)
    values = cut.max(axis=(-2, -1))
    if not return_indices:
        return values
    return values, first_found(values, cut, window, images.shape)


def avg_pool2d(
    images: np.ndarray,
    kernel_size: Side,
    *,
    stride: Side | None = None,
    padding: Side = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
) -> np.ndarray:
    """Mean of every window; stride None means kernel_size.

    (..., H, W) -> (..., H', W') of the same dtype. Padding counts as zeros, or with
    count_include_pad=False not at all; what ceil_mode lets a window reach beyond it never counts.
    Integers are refused: their mean need not be one (torch refuses most, and truncates int64).
    """
    images = as_images("images", images, floating=True)
    check_flag("count_include_pad", count_include_pad)
    window = read_window(images.shape, kernel_size, stride, padding, 1, ceil_mode)
    total = windows(images, window, fill=0).sum(axis=(-2, -1))
    return total / pixels_counted(images, window, count_include_pad)


def lp_pool2d(
    images: np.ndarray,
    kernel_size: Side,
    *,
    norm_type: float,
    stride: Side | None = None,
    ceil_mode: bool = False,
) -> np.ndarray:
    """Lp norm of every window, (sum of x**p)**(1/p) with p = norm_type: 1 sums, inf takes max |x|.

    (..., H, W) -> (..., H', W') of the same dtype. As torch does it, x**p takes no absolute value:
    where the powers of negative numbers add up to less than 0, the root is nan. A window that
    ceil_mode lets reach over the end is weighed as if it were full: area times its mean power.
    """
    images = as_images("images", images, floating=True)
    check_above_zero("norm_type", norm_type, attempt=2)
    if norm_type == math.inf:
        return max_pool2d(np.abs(images), kernel_size, stride=stride, ceil_mode=ceil_mode)
    with np.errstate(invalid="ignore"):  # the root of less than nothing is nan, as in torch
        powers = images**norm_type
        means = avg_pool2d(powers, kernel_size, stride=stride, ceil_mode=ceil_mode)
        return (means * math.prod(pair("kernel_size", kernel_size))) ** (1 / norm_type)


# --- windows --------------------------------------------------------------------------------------


class Window(NamedTuple):
    """Settings of a pool and the size of what it gives, each as (height, width)."""

    kernel_size: tuple[int, int]
    stride: tuple[int, int]
    padding: tuple[int, int]
    dilation: tuple[int, int]
    output_size: tuple[int, int]


def read_window(
    shape: tuple[int, ...],
    kernel_size: Side,
    stride: Side | None,
    padding: Side,
    dilation: Side,
    ceil_mode: bool,
) -> Window:
    """Settings of a pool on images of a shape (..., H, W), or the ValueError that they earn."""
    kernel = pair("kernel_size", kernel_size)
    strides = kernel if stride is None else pair("stride", stride)
    paddings, dilations = pair("padding", padding, least=0), pair("dilation", dilation)
    check_flag("ceil_mode", ceil_mode)
    most = smaller(paddings, [side // 2 for side in kernel])
    if paddings != most:
        rule = f"must be at most half of kernel_size={kernel_size}"
        raise ValueError(refusal("padding", padding, rule, attempt=f"padding={shortest(most)}"))
    try:
        height, width = (
            pooled_size(
                shape[axis - 2],
                kernel_size=kernel[axis],
                stride=strides[axis],
                padding=paddings[axis],
                dilation=dilations[axis],
                ceil_mode=ceil_mode,
            )
            for axis in (0, 1)
        )
    except ValueError as error:
        fitting = smaller(kernel, [(shape[a - 2] - 1) // dilations[a] + 1 for a in (0, 1)])
        attempt = f"kernel_size={shortest(fitting)}" + ", padding=0" * (paddings != (0, 0))
        raise ValueError(
            f"kernel_size={kernel_size} on images of {shape[-2:]}: the window is larger than the "
            f"padded image (padding={padding}, dilation={dilation}). Try: {attempt}."
        ) from error
    return Window(kernel, strides, paddings, dilations, (height, width))


def smaller(pair: Iterable[int], limits: Iterable[int]) -> tuple[int, int]:
    """Pair with each side cut down to its limit."""
    height, width = map(min, pair, limits)
    return height, width


def windows(images: np.ndarray, window: Window, *, fill: float) -> np.ndarray:
    """Every window of images as a view, around them fill: (..., H, W) -> (..., H', W', h, w)."""
    widths = [(0, 0)] * (images.ndim - 2) + margins(images.shape, window)
    padded = np.pad(images, widths, constant_values=fill)
    spans = [d * (k - 1) + 1 for k, d in zip(window.kernel_size, window.dilation, strict=True)]
    (down, right), (tap_down, tap_right) = window.stride, window.dilation
    places = sliding_window_view(padded, spans, axis=(-2, -1))[..., ::down, ::right, :, :]
    return places[..., ::tap_down, ::tap_right]


def margins(shape: tuple[int, ...], window: Window) -> list[tuple[int, int]]:
    """Pixels (before, after) that the windows need around an image, along each axis.

    Before it that is padding; after it as much as the last window reaches over, if it does.
    """
    pairs = []
    for size, kernel_size, stride, padding, dilation, count in zip(
        shape[-2:], *window, strict=True
    ):
        end = (count - 1) * stride + dilation * (kernel_size - 1) + 1  # of the last window
        pairs.append((padding, max(0, end - padding - size)))
    return pairs


def first_found(
    values: np.ndarray, cut: np.ndarray, window: Window, shape: tuple[int, ...]
) -> np.ndarray:
    """Flat index of the pixel, inside the image, that gave each window its value."""
    plane = np.arange(math.prod(shape[-2:])).reshape(shape[-2:])
    indices = windows(plane, window, fill=-1)  # (H', W', h, w)
    here = ((cut == values[..., None, None]) | np.isnan(cut)) & (indices >= 0)
    taps = math.prod(window.kernel_size)
    tap = here.reshape(*values.shape, taps).argmax(axis=-1)  # the first that is True
    rows, columns = np.indices(window.output_size)
    return indices.reshape(*window.output_size, taps)[rows, columns, tap]


def pixels_counted(images: np.ndarray, window: Window, count_include_pad: bool) -> np.ndarray:
    """Number that every window's sum is divided by: (H', W'), in the dtype of images."""
    counts = []
    for axis, size in enumerate(images.shape[-2:]):
        padding = window.padding[axis]
        start = np.arange(window.output_size[axis]) * window.stride[axis] - padding
        end = start + window.kernel_size[axis]
        margin = padding if count_include_pad else 0
        counts.append(np.minimum(end, size + margin) - np.maximum(start, -margin))
    return np.outer(*counts).astype(images.dtype)
