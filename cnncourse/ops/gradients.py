"""Gradients of a convolution: each is a convolution again, by the chain rule.

A weight met a pixel at every place: its gradient sums pixel times grad_output over the places. A
pixel met a weight in every window: its gradient stamps the kernel for every grad_output.
"""

from typing import NamedTuple

import numpy as np

from cnncourse.ops.checks import as_shape
from cnncourse.ops.convolution import read_convolution
from cnncourse.ops.direct import windows
from cnncourse.ops.inputs import Pair, by_group
from cnncourse.ops.padding import pad_backward, pad_sides
from cnncourse.ops.transposed import stamp


class ConvolutionGradients(NamedTuple):
    """Gradients of a loss, each shaped as what it belongs to."""

    images: np.ndarray
    kernels: np.ndarray
    bias: np.ndarray  # (O,); of images (H, W) a single number


def conv2d_backward(
    grad_output: np.ndarray,
    images: np.ndarray,
    kernels: np.ndarray,
    *,
    stride: int | Pair = 1,
    padding: int | Pair | str = 0,
    dilation: int | Pair = 1,
    groups: int = 1,
    padding_mode: str = "zeros",
) -> ConvolutionGradients:
    """Gradients of images, kernels and bias from grad_output, which is shaped as conv2d's output.

    The arguments are conv2d's, and so are its refusals.
    """
    layer = read_convolution(
        images,
        kernels,
        None,
        stride=stride,
        padding=padding,
        dilation=dilation,
        groups=groups,
        padding_mode=padding_mode,
    )
    rule = "must have the shape of the output"
    grad = as_shape("grad_output", grad_output, layer.output_shape, rule).reshape(
        len(layer.images), len(layer.kernels), *layer.output_shape[-2:]
    )
    step, gap = layer.stride, layer.dilation
    padded = pad_sides(layer.images, layer.sides, padding_mode)
    cut = windows(padded, layer.kernels.shape[2:], stride=step, dilation=gap)
    of_kernels = np.einsum(
        "ngoyx,ngcyxhw->gochw",
        by_group(grad, groups, axis=1),
        by_group(cut, groups, axis=1),
        optimize=True,
    )
    canvas = padded.shape[2:]
    of_padded = stamp(grad, layer.kernels, canvas, stride=step, dilation=gap, groups=groups)
    of_images = pad_backward(of_padded, layer.images.shape[2:], layer.sides, mode=padding_mode)
    of_bias = grad.sum(axis=(0, 2, 3)).reshape(layer.output_shape[-3:-2])
    return ConvolutionGradients(
        of_images.reshape(np.shape(images)), of_kernels.reshape(np.shape(kernels)), of_bias
    )
