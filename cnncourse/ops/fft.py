"""Convolution by the convolution theorem: a sum over windows is a product of spectra.

A spectrum costs the same for every kernel size, so large kernels gain and small ones do not. It
gives the output at every place: what a stride then leaves out was computed all the same, and a
dilated kernel is transformed with its gaps filled by zeros.
"""

import math

import numpy as np

from cnncourse.messages import refusal
from cnncourse.ops.inputs import Pair, by_group, check_finite, spread


def correlate(
    images: np.ndarray, kernels: np.ndarray, *, stride: Pair, dilation: Pair, groups: int
) -> np.ndarray:
    """(N, C, H, W), (O, C // groups, h, w) -> (N, O, H', W') of the same dtype; no padding.

    Integers are rounded back where that is proven to be exact. Raises ValueError where it is not,
    and for nan or infinity, which a spectrum spreads over the whole image.
    """
    check_finite("fft", images, kernels)
    height, width = size = images.shape[2:]
    whole = images.dtype.kind != "f"
    if whole:
        size = power_of_two(height), power_of_two(width)
        check_exact(images, kernels, size)
    taps = with_gaps(kernels, dilation)
    spectra = by_group(np.fft.rfft2(images, size), groups, axis=1)
    # The conjugate mirrors the kernel: without it, the theorem gives true convolution.
    responses = by_group(np.fft.rfft2(taps, size).conj(), groups)
    products = np.einsum("ngcyx,gocyx->ngoyx", spectra, responses, optimize=True)
    everywhere = np.fft.irfft2(products, size).reshape(len(images), len(kernels), *size)
    # The theorem goes round in circles: where a window leaves the image, it is no output of ours.
    rows = slice(0, height - taps.shape[2] + 1, stride[0])
    columns = slice(0, width - taps.shape[3] + 1, stride[1])
    output = everywhere[:, :, rows, columns]
    return (np.rint(output) if whole else output).astype(images.dtype)


def with_gaps(kernels: np.ndarray, dilation: Pair) -> np.ndarray:
    """Kernels as large as their span, zeros between the taps."""
    height, width = (
        spread(side, gap) for side, gap in zip(kernels.shape[2:], dilation, strict=True)
    )
    taps = np.zeros((*kernels.shape[:2], height, width), kernels.dtype)
    taps[:, :, :: dilation[0], :: dilation[1]] = kernels
    return taps


def power_of_two(size: int) -> int:
    """The least power of two that is size or more."""
    return 1 << (size - 1).bit_length()


def check_exact(images: np.ndarray, kernels: np.ndarray, size: Pair) -> None:
    """Raise ValueError unless every sum is sure to be within 1/4 of its whole number.

    Percival 2003, "Rapid multiplication modulo the sum and difference of highly composite numbers":
    a cyclic convolution by FFTs of length 2**k errs by at most |x| |y| e (11.9 k + 2.3) to first
    order, e = 2**-53; a sum over channels adds at most one rounding for each of them.
    """
    largest = [
        np.sqrt(np.square(array, dtype=float).sum(axis=(1, 2, 3))).max(initial=0)
        for array in (images, kernels)
    ]
    levels = math.log2(size[0] * size[1])
    bound = math.prod(largest) * 2.0**-53 * (12 * levels + 3 + images.shape[1])
    if bound >= 0.25:
        rule = "whole numbers this large could be rounded wrongly"
        raise ValueError(refusal("method", "fft", rule, attempt="method='direct'"))
