"""Blur pooling: blur before leaving pixels out, so that little depends on which ones stay."""

import math

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from cnncourse.arithmetic import same_padding
from cnncourse.messages import check_at_least, refusal
from cnncourse.ops.checks import as_images


def blur_pool2d(images: np.ndarray, *, kernel_size: int = 3, stride: int = 2) -> np.ndarray:
    """Every stride-th pixel of the blurred images, channel by channel.

    (..., H, W) -> (..., ceil(H / stride), ceil(W / stride)), floats of the same dtype. The kernel
    is binomial and sums to 1; borders are mirrored, so kernel_size is at most 2 * min(H, W) - 1.
    Source: Zhang 2019, arXiv:1904.11486.
    """
    images = as_images("images", images, floating=True)
    check_at_least("kernel_size", kernel_size, 1)
    check_at_least("stride", stride, 1)
    size = images.shape[-2:]
    if kernel_size > 2 * min(size) - 1:
        rule = f"mirrors more pixels than images of {size} have"
        attempt = f"kernel_size={2 * min(size) - 1}"
        raise ValueError(refusal("kernel_size", kernel_size, rule, attempt=attempt))
    margin = same_padding(kernel_size=kernel_size)
    margins = [(0, 0)] * (images.ndim - 2) + [margin, margin]
    padded = np.pad(images, margins, mode="reflect")
    weights = binomial(kernel_size).astype(images.dtype)
    windows = sliding_window_view(padded, (kernel_size, kernel_size), axis=(-2, -1))
    return np.einsum("...hw,h,w->...", windows[..., ::stride, ::stride, :, :], weights, weights)


def binomial(size: int) -> np.ndarray:
    """Row of Pascal's triangle, divided by its sum: (1, 2, 1) over 4 is nearly a Gaussian."""
    row = [math.comb(size - 1, k) for k in range(size)]
    return np.array(row) / 2 ** (size - 1)
