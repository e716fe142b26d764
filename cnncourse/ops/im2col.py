"""Convolution as one matrix product: every window becomes a column (im2col), and its way back.

Source: Chellapilla, Puri & Simard 2006, "High Performance Convolutional Neural Networks for
Document Processing". The matrix holds a pixel once for every window that sees it: time is bought
with memory. im2col and col2im are torch's unfold and fold.
"""

from typing import Any

import numpy as np

from cnncourse.arithmetic import pair
from cnncourse.ops.checks import as_images, as_numbers
from cnncourse.ops.direct import windows
from cnncourse.ops.inputs import (
    Pair,
    Sides,
    as_batch,
    by_group,
    check_wide,
    check_window,
    window_places,
)
from cnncourse.ops.padding import pad_sides


def correlate(
    images: np.ndarray, kernels: np.ndarray, *, stride: Pair, dilation: Pair, groups: int
) -> np.ndarray:
    """(N, C, H, W), (O, C // groups, h, w) -> (N, O, H', W') of the same dtype; no padding."""
    cut = windows(images, kernels.shape[2:], stride=stride, dilation=dilation)
    columns = by_group(as_columns(cut), groups, axis=1)  # (N, groups, C // groups * h * w, H' * W')
    rows = by_group(kernels, groups).reshape(groups, len(kernels) // groups, columns.shape[2])
    output = rows @ columns
    return output.reshape(len(images), len(kernels), *cut.shape[2:4])


def as_columns(cut: np.ndarray) -> np.ndarray:
    """Windows (N, C, H', W', h, w) as columns (N, C * h * w, H' * W'): this copies."""
    count, channels, out_height, out_width, height, width = cut.shape
    columns = cut.transpose(0, 1, 4, 5, 2, 3)
    return columns.reshape(count, channels * height * width, out_height * out_width)


def im2col(
    images: np.ndarray,
    kernel_size: int | Pair,
    *,
    stride: int | Pair = 1,
    padding: int | Pair = 0,
    dilation: int | Pair = 1,
) -> np.ndarray:
    """Every window as a column, zeros around the image: torch's unfold.

    (N, C, H, W) -> (N, C * h * w, H' * W'); (C, H, W) and (H, W) without N. A column is a window
    row by row, channel after channel; columns are the places row by row.
    Raises ValueError where the window is larger than the padded image.
    """
    came = as_images("images", images)
    batch = as_batch(came)
    size, step, sides, gap = read_window(kernel_size, stride, padding, dilation)
    check_window(batch.shape[2:], size, sides, gap)
    cut = windows(pad_sides(batch, sides, "zeros"), size, stride=step, dilation=gap)
    columns = as_columns(cut)
    return columns if came.ndim == 4 else columns[0]


def col2im(
    columns: np.ndarray,
    image_size: int | Pair,
    kernel_size: int | Pair,
    *,
    stride: int | Pair = 1,
    padding: int | Pair = 0,
    dilation: int | Pair = 1,
) -> np.ndarray:
    """Add every column back to where im2col read it: torch's fold. image_size is (H, W).

    (N, C * h * w, H' * W') -> (N, C, H, W), or without N. Not im2col's inverse but its transpose: a
    pixel that was in four windows comes back four times.
    Raises ValueError where the columns are not those of such an image.
    """
    came = as_numbers("columns", columns)
    image_size = pair("image_size", image_size)
    size, step, sides, gap = read_window(kernel_size, stride, padding, dilation)
    check_window(image_size, size, sides, gap)
    places = window_places(image_size, size, stride=step, sides=sides, dilation=gap)
    check_columns(came, size, places)
    check_wide("columns", came, came.dtype)
    batch = came if came.ndim == 3 else came[None]
    channels = batch.shape[1] // (size[0] * size[1])
    taps = batch.reshape(len(batch), channels, *size, *places)
    (top, bottom), (left, right) = sides
    canvas = top + image_size[0] + bottom, left + image_size[1] + right
    images = fold(taps, canvas, stride=step, dilation=gap)
    images = images[:, :, top : top + image_size[0], left : left + image_size[1]]
    return images if came.ndim == 3 else images[0]


def fold(taps: np.ndarray, canvas: Pair, *, stride: Pair, dilation: Pair) -> np.ndarray:
    """Add taps (N, C, h, w, H', W') up on a canvas: tap (i, j) of all windows at once."""
    count, channels, height, width, out_height, out_width = taps.shape
    images = np.zeros((count, channels, *canvas), taps.dtype)
    down, right = stride[0] * out_height, stride[1] * out_width
    for i in range(height):
        for j in range(width):
            top, left = i * dilation[0], j * dilation[1]
            rows = slice(top, top + down, stride[0])
            columns = slice(left, left + right, stride[1])
            images[:, :, rows, columns] += taps[:, :, i, j]
    return images


def read_window(
    kernel_size: Any, stride: Any, padding: Any, dilation: Any
) -> tuple[Pair, Pair, Sides, Pair]:
    """kernel_size, stride, padding a side and dilation along both axes; ValueError otherwise."""
    height, width = pair("padding", padding, least=0)
    return (
        pair("kernel_size", kernel_size),
        pair("stride", stride),
        ((height, height), (width, width)),
        pair("dilation", dilation),
    )


def check_columns(columns: np.ndarray, kernel_size: Pair, places: Pair) -> None:
    """Raise ValueError unless there are whole windows, and one for every place."""
    area, count = kernel_size[0] * kernel_size[1], places[0] * places[1]
    whole = columns.ndim in (2, 3) and columns.shape[-2] and columns.shape[-2] % area == 0
    if not whole or columns.shape[-1] != count:
        raise ValueError(
            f"columns {columns.shape}: a kernel {kernel_size} has {area} numbers a channel and "
            f"stands in {places[0]}x{places[1]} places. Try: np.ones(({area}, {count}))."
        )
