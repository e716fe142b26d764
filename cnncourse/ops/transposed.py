"""Transposed convolution: the way back through a convolution's sizes, and its gradient's twin.

Every pixel stamps the kernel, times its own value, on a larger canvas; stamps that overlap add up.
Source: Dumoulin & Visin 2016, arXiv:1603.07285, chapter 4. It is not an inverse.
"""

import math
from typing import Any

import numpy as np

from cnncourse.arithmetic import pair, transposed_output_size
from cnncourse.messages import check_at_least, refusal
from cnncourse.ops.checks import as_images
from cnncourse.ops.im2col import fold
from cnncourse.ops.inputs import (
    Pair,
    as_batch,
    as_bias,
    as_kernels,
    by_group,
    check_channels,
    one_dtype,
)


def conv_transpose2d(
    images: np.ndarray,
    kernels: np.ndarray,
    bias: Any = None,
    *,
    stride: int | Pair = 1,
    padding: int | Pair = 0,
    output_padding: int | Pair = 0,
    groups: int = 1,
    dilation: int | Pair = 1,
) -> np.ndarray:
    """Stamp a kernel for every pixel: conv2d's gradient with respect to its images.

    (N, C, H, W), (C, O // groups, h, w) -> (N, O, H', W'), H' and W' as in
    arithmetic.transposed_output_size; (C, H, W) -> (O, H', W'); (H, W), (h, w) -> (H', W').
    padding is what is cut off each side of the canvas; output_padding adds to its bottom and right.
    Raises ValueError for what torch refuses.
    """
    came = as_images("images", images)
    stamps = as_kernels(kernels, came, layout="in_channels, out_channels // groups")
    check_at_least("groups", groups, 1)
    if len(stamps) % groups:
        rule = f"must divide the number of input channels, {len(stamps)}"
        attempt = f"groups={math.gcd(groups, len(stamps))}"
        raise ValueError(refusal("groups", groups, rule, attempt=attempt))
    check_channels(came, stamps, len(stamps), "")
    step, gap = pair("stride", stride), pair("dilation", dilation)
    cut = pair("padding", padding, least=0)
    extra = pair("output_padding", output_padding, least=0)
    batch = as_batch(came)
    size = tuple(
        transposed_output_size(
            batch.shape[2 + axis],
            kernel_size=stamps.shape[2 + axis],
            stride=step[axis],
            padding=cut[axis],
            output_padding=extra[axis],
            dilation=gap[axis],
        )
        for axis in (0, 1)
    )
    output_shape = (len(batch), groups * stamps.shape[1], *size)[4 - came.ndim :]
    batch, stamps, added = one_dtype(batch, stamps, as_bias(bias, output_shape[-3:-2]))
    canvas = size[0] + 2 * cut[0], size[1] + 2 * cut[1]
    output = stamp(batch, stamps, canvas, stride=step, dilation=gap, groups=groups)
    output = output[:, :, cut[0] : cut[0] + size[0], cut[1] : cut[1] + size[1]]
    if added is not None:
        output = output + added
    return output.reshape(output_shape)


def stamp(
    images: np.ndarray,
    kernels: np.ndarray,
    canvas: Pair,
    *,
    stride: Pair,
    dilation: Pair,
    groups: int,
) -> np.ndarray:
    """(N, C, H, W), (C, O // groups, h, w) -> (N, O, *canvas); nothing is checked."""
    pixels, stamps = by_group(images, groups, axis=1), by_group(kernels, groups)
    taps = np.einsum("ngcyx,gcohw->ngohwyx", pixels, stamps, optimize=True)
    count, _, out_channels = taps.shape[:3]
    taps = taps.reshape(count, groups * out_channels, *taps.shape[3:])
    return fold(taps, canvas, stride=stride, dilation=dilation)
