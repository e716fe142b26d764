"""Convolution, pooling, batch normalisation and their gradients, from their definitions.

NumPy alone; names, arguments and refusals are torch's. One algorithm a file.
"""

from cnncourse.ops.adaptive import (
    adaptive_avg_pool2d,
    adaptive_max_pool2d,
    global_avg_pool2d,
    global_max_pool2d,
)
from cnncourse.ops.batch_norm import (
    BatchNorm,
    BatchNormGradients,
    batch_norm,
    batch_norm_backward,
)
from cnncourse.ops.blur import blur_pool2d
from cnncourse.ops.convolution import conv2d, convolve2d
from cnncourse.ops.gradients import ConvolutionGradients, conv2d_backward
from cnncourse.ops.im2col import col2im, im2col
from cnncourse.ops.padding import pad
from cnncourse.ops.pooling import avg_pool2d, lp_pool2d, max_pool2d
from cnncourse.ops.pooling_gradients import avg_pool2d_backward, max_pool2d_backward
from cnncourse.ops.transposed import conv_transpose2d

__all__ = [
    "BatchNorm",
    "BatchNormGradients",
    "ConvolutionGradients",
    "adaptive_avg_pool2d",
    "adaptive_max_pool2d",
    "avg_pool2d",
    "avg_pool2d_backward",
    "batch_norm",
    "batch_norm_backward",
    "blur_pool2d",
    "col2im",
    "conv2d",
    "conv2d_backward",
    "conv_transpose2d",
    "convolve2d",
    "global_avg_pool2d",
    "global_max_pool2d",
    "im2col",
    "lp_pool2d",
    "max_pool2d",
    "max_pool2d_backward",
    "pad",
]
