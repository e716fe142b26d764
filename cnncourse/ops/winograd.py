"""Convolution by Winograd's minimal filtering F(2x2, 3x3): 16 multiplications where 36 were.

Source: Lavin & Gray 2015, "Fast Algorithms for Convolutional Neural Networks", arXiv:1509.09308,
section 4.1; the matrices are the paper's. Tiles of 4x4 pixels that overlap by 2 give 2x2 outputs
each: Y = A^T [(G g G^T) * (B^T d B)] A. For 3x3 kernels, stride 1, dilation 1.
"""

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from cnncourse.messages import refusal
from cnncourse.ops.inputs import Pair, by_group, check_finite, shortest

B_T = np.array([[1, 0, -1, 0], [0, 1, 1, 0], [0, -1, 1, 0], [0, 1, 0, -1]])
G = np.array([[1, 0, 0], [0.5, 0.5, 0.5], [0.5, -0.5, 0.5], [0, 0, 1]])
A_T = np.array([[1, 1, 1, 0], [0, 1, -1, -1]])


def correlate(
    images: np.ndarray, kernels: np.ndarray, *, stride: Pair, dilation: Pair, groups: int
) -> np.ndarray:
    """(N, C, H, W), (O, C // groups, 3, 3) -> (N, O, H - 2, W - 2) of the same dtype; no padding.

    Integers stay exact. Raises ValueError for another kernel, stride or dilation, for nan and
    infinity, which a tile would spread, and where integers could leave their range.
    """
    check_applies(kernels.shape[2:], stride, dilation)
    check_finite("winograd", images, kernels)
    whole = images.dtype.kind != "f"
    dtype, scale = images.dtype, 1
    if whole:
        check_range(images, kernels)
        dtype, scale = np.dtype(np.int64), 2  # 2 G is whole, and its output 4 times too large
    b_t, g, a_t = B_T.astype(dtype), (scale * G).astype(dtype), A_T.astype(dtype)
    tiles = by_group(b_t @ as_tiles(images).astype(dtype) @ b_t.T, groups, axis=1)  # B^T d B
    filters = by_group(g @ kernels.astype(dtype) @ g.T, groups)  # G g G^T
    products = np.einsum("ngcyxij,gocij->ngoyxij", tiles, filters, optimize=True)
    outputs = a_t @ products @ a_t.T  # A^T [...] A: (N, groups, O // groups, y, x, 2, 2)
    count, _, _, rows, columns, _, _ = outputs.shape
    outputs = outputs.transpose(0, 1, 2, 3, 5, 4, 6)
    outputs = outputs.reshape(count, len(kernels), 2 * rows, 2 * columns)
    outputs = outputs[:, :, : images.shape[2] - 2, : images.shape[3] - 2]
    return (outputs // 4 if whole else outputs).astype(images.dtype)


def as_tiles(images: np.ndarray) -> np.ndarray:
    """(N, C, H, W) -> (N, C, y, x, 4, 4), a tile at every second pixel; zeros fill the last one."""
    height, width = images.shape[2:]
    filled = np.pad(images, ((0, 0), (0, 0), (0, height % 2), (0, width % 2)))
    return sliding_window_view(filled, (4, 4), axis=(2, 3))[:, :, ::2, ::2]


def check_applies(kernel_size: Pair, stride: Pair, dilation: Pair) -> None:
    """Raise ValueError unless the kernel is 3x3 with stride 1 and dilation 1."""
    if (kernel_size, stride, dilation) != ((3, 3), (1, 1), (1, 1)):
        rule = (
            f"F(2x2, 3x3) is for 3x3 kernels with stride 1 and dilation 1, here are "
            f"{kernel_size[0]}x{kernel_size[1]}, {shortest(stride)} and {shortest(dilation)}"
        )
        raise ValueError(refusal("method", "winograd", rule, attempt="method='direct'"))


def check_range(images: np.ndarray, kernels: np.ndarray) -> None:
    """Raise ValueError unless four times the largest possible sum of products fits into int64.

    Steps on the way may leave the range: they wrap around, and the last one wraps them back.
    """
    pixel, weight = (
        max(int(array.max(initial=0)), -int(array.min(initial=0))) for array in (images, kernels)
    )
    if 4 * 9 * kernels.shape[1] * pixel * weight > np.iinfo(np.int64).max:
        rule = "whole numbers this large could leave the range of int64 on the way"
        raise ValueError(refusal("method", "winograd", rule, attempt="method='direct'"))
