"""Gradients of pooling: who gets the blame. Max pooling's winner takes it all, a mean shares it.

What comes in is the gradient of some loss with respect to the output, what goes out the gradient
with respect to images.
"""

import math

import numpy as np

from cnncourse.arithmetic import check_flag
from cnncourse.ops.checks import as_images, as_shape
from cnncourse.ops.pooling import Side, Window, margins, max_pool2d, pixels_counted, read_window

OUTPUT_SHAPE = "must have the shape of the output"


def max_pool2d_backward(
    grad_output: np.ndarray,
    images: np.ndarray,
    kernel_size: Side,
    *,
    stride: Side | None = None,
    padding: Side = 0,
    dilation: Side = 1,
    ceil_mode: bool = False,
) -> np.ndarray:
    """Gradient of max_pool2d: (..., H', W') -> (..., H, W), in the dtype of grad_output.

    A window's gradient goes to its largest pixel, of equal ones to the first, row by row, as in
    torch. Where windows overlap, a pixel collects from all that it won.
    """
    values, indices = max_pool2d(
        images,
        kernel_size,
        stride=stride,
        padding=padding,
        dilation=dilation,
        ceil_mode=ceil_mode,
        return_indices=True,
    )
    grad_output = as_shape("grad_output", grad_output, values.shape, OUTPUT_SHAPE)
    shape = np.shape(images)
    planes, pixels = math.prod(shape[:-2]), math.prod(shape[-2:])
    grads = np.zeros((planes, pixels + 1), grad_output.dtype)  # index -1, no pixel: the last column
    winners = indices.reshape(planes, math.prod(indices.shape[-2:]))
    np.add.at(grads, (np.arange(planes)[:, None], winners), grad_output.reshape(winners.shape))
    return grads[:, :pixels].reshape(shape)


def avg_pool2d_backward(
    grad_output: np.ndarray,
    images: np.ndarray,
    kernel_size: Side,
    *,
    stride: Side | None = None,
    padding: Side = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
) -> np.ndarray:
    """Gradient of avg_pool2d: (..., H', W') -> (..., H, W), in the dtype of grad_output.

    Every pixel of a window gets an equal share. Of images only the shape matters.
    """
    images = as_images("images", images, floating=True)
    check_flag("count_include_pad", count_include_pad)
    window = read_window(images.shape, kernel_size, stride, padding, 1, ceil_mode)
    shape = (*images.shape[:-2], *window.output_size)
    grad_output = as_shape("grad_output", grad_output, shape, OUTPUT_SHAPE)
    shares = grad_output / pixels_counted(images, window, count_include_pad)
    height, width = images.shape[-2:]
    (top, bottom), (left, right) = margins(images.shape, window)
    padded_size = (top + height + bottom, left + width + right)
    grads = np.zeros((*images.shape[:-2], *padded_size), grad_output.dtype)
    for y, x in np.ndindex(window.kernel_size):  # tap by tap: each tap met one pixel a window
        grads[..., taps(y, window, 0), taps(x, window, 1)] += shares
    return grads[..., top : top + height, left : left + width]


def taps(first: int, window: Window, axis: int) -> slice:
    """Where the windows have their tap number first, along an axis of the padded image."""
    stride, count = window.stride[axis], window.output_size[axis]
    return slice(first, first + stride * count, stride)
