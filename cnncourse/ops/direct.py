"""Convolution as one array expression: every window beside every kernel, and a sum over both.

In einsum's words: "ncyxhw,ochw->noyx". The windows are a view of the image: a pixel is in many
windows and in memory once. NumPy copies what it multiplies, so a row of the kernel is taken at a
time: all windows of 31x31 at once would be a thousand times the image.
"""

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from cnncourse.ops.inputs import Pair, spread


def correlate(
    images: np.ndarray, kernels: np.ndarray, *, stride: Pair, dilation: Pair, groups: int
) -> np.ndarray:
    """(N, C, H, W), (O, C // groups, h, w) -> (N, O, H', W') of the same dtype; no padding."""
    cut = windows(images, kernels.shape[2:], stride=stride, dilation=dilation)
    shares = zip(np.split(kernels, groups), np.split(cut, groups, axis=1), strict=True)
    outputs = []
    for weights, seen in shares:
        # Summed over channels and a row of the window: (O // groups, N, H', W') for each row.
        rows = (
            np.tensordot(weights[:, :, i], seen[..., i, :], axes=((1, 2), (1, 4)))
            for i in range(kernels.shape[2])
        )
        outputs.append(sum(rows))
    return np.concatenate(outputs).swapaxes(0, 1)


def windows(images: np.ndarray, kernel_size: Pair, *, stride: Pair, dilation: Pair) -> np.ndarray:
    """View of every window, its taps apart by dilation: (N, C, H, W) -> (N, C, H', W', h, w)."""
    span = tuple(spread(side, gap) for side, gap in zip(kernel_size, dilation, strict=True))
    cut = sliding_window_view(images, span, axis=(2, 3))
    return cut[:, :, :: stride[0], :: stride[1], :: dilation[0], :: dilation[1]]
