"""Convolution by its definition: seven loops, to be read aloud. Slow, and the measure of the rest.

A sum of products: for every image, every kernel and every place, each weight of the kernel times
the pixel that lies under it.
"""

import numpy as np

from cnncourse.arithmetic import output_size
from cnncourse.ops.inputs import Pair


def correlate(
    images: np.ndarray, kernels: np.ndarray, *, stride: Pair, dilation: Pair, groups: int
) -> np.ndarray:
    """(N, C, H, W), (O, C // groups, h, w) -> (N, O, H', W') of the same dtype; no padding."""
    count, _, height, width = images.shape
    out_channels, channels, kernel_height, kernel_width = kernels.shape
    out_height, out_width = (
        output_size(size, kernel_size=side, stride=step, dilation=gap)
        for size, side, step, gap in (
            (height, kernel_height, stride[0], dilation[0]),
            (width, kernel_width, stride[1], dilation[1]),
        )
    )
    output = np.zeros((count, out_channels, out_height, out_width), images.dtype)
    for n in range(count):
        for o in range(out_channels):
            first = o // (out_channels // groups) * channels  # of the channels o's group reads
            for y in range(out_height):
                for x in range(out_width):
                    for c in range(channels):
                        for i in range(kernel_height):
                            for j in range(kernel_width):
                                row = y * stride[0] + i * dilation[0]
                                column = x * stride[1] + j * dilation[1]
                                pixel = images[n, first + c, row, column]
                                output[n, o, y, x] += pixel * kernels[o, c, i, j]
    return output
