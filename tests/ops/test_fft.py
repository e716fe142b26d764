"""Convolution by the convolution theorem."""

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from cnncourse.ops.fft import correlate, power_of_two, with_gaps

DTYPES = ["int64", "int32", "float64", "float32", "float16"]
ATOL = {"int64": 0, "int32": 0, "float64": 1e-9, "float32": 0.1, "float16": 200}
PLAIN = {"stride": (1, 1), "dilation": (1, 1), "groups": 1}
SETTINGS = [
    # images, kernels, stride, dilation, groups
    ((2, 3, 5, 6), (4, 3, 3, 2), (1, 1), (1, 1), 1),
    ((1, 1, 7, 5), (1, 1, 2, 3), (2, 1), (1, 2), 1),
    ((2, 4, 6, 9), (6, 2, 2, 3), (1, 3), (3, 1), 2),
    ((1, 3, 6, 6), (3, 1, 1, 4), (3, 2), (2, 1), 3),
    ((1, 2, 3, 4), (2, 2, 3, 4), (5, 5), (1, 1), 1),  # one window, as large as the image
    ((0, 2, 5, 5), (2, 2, 3, 3), (1, 1), (1, 1), 1),
]


@pytest.mark.parametrize(("shape", "kernel_shape", "stride", "dilation", "groups"), SETTINGS)
def test_values_and_sizes_are_torchs(rng, shape, kernel_shape, stride, dilation, groups):
    images, kernels = rng.integers(-9, 10, shape), rng.integers(-9, 10, kernel_shape)
    options = {"stride": stride, "dilation": dilation, "groups": groups}
    expected = F.conv2d(torch.tensor(images), torch.tensor(kernels), **options).numpy()
    assert np.abs(expected).max(initial=0) < 65504  # in range of float16
    for dtype in DTYPES:
        output = correlate(images.astype(dtype), kernels.astype(dtype), **options)
        assert output.dtype == dtype
        assert output.shape == expected.shape
        np.testing.assert_allclose(output, expected, rtol=0, atol=ATOL[dtype])


def test_kernels_are_as_large_as_their_span_with_zeros_between_the_taps():
    assert with_gaps(np.array([[[[1, 2, 3]]]]), (1, 2)).tolist() == [[[[1, 0, 2, 0, 3]]]]
    assert with_gaps(np.array([[[[1], [2]]]]), (3, 1)).tolist() == [[[[1], [0], [0], [2]]]]
    assert with_gaps(np.ones((2, 3, 1, 1), "f4"), (9, 9)).dtype == np.float32


def test_the_least_power_of_two_that_is_large_enough():
    assert [power_of_two(size) for size in (1, 2, 3, 4, 5, 8, 9, 227)] == [
        1,
        2,
        4,
        4,
        8,
        8,
        16,
        256,
    ]


def test_large_whole_numbers_are_exact_up_to_the_proven_limit(rng):
    images, kernels = (
        rng.integers(-(10**6), 10**6, (2, 2, 30, 31)),
        rng.integers(-99, 99, (2, 2, 5, 5)),
    )
    expected = F.conv2d(torch.tensor(images), torch.tensor(kernels))
    np.testing.assert_array_equal(correlate(images, kernels, **PLAIN), expected)


def bound(channels=1, side=4, scale=1):
    """The proven error for images of ones, times scale, and a single one as kernel, by hand."""
    norm = scale * np.sqrt(channels * side * side)
    return norm * np.sqrt(channels) * 2.0**-53 * (12 * 2 * np.log2(side) + 3 + channels)


@pytest.mark.parametrize(("channels", "side"), [(1, 4), (3, 4), (1, 16), (5, 8)])
def test_whole_numbers_are_refused_from_where_the_proven_error_reaches_a_quarter(
    refused, channels, side
):
    scale = 0.25 / bound(channels, side)  # where the bound is a quarter
    images = np.ones((2, channels, side, side), int)
    kernels = np.ones((3, channels, 1, 1), int)
    below = images * int(scale * 0.999)
    expected = channels * below[0, 0, 0, 0]
    assert (correlate(below, kernels, **PLAIN) == expected).all()
    sentence = (
        "method='fft': whole numbers this large could be rounded wrongly. Try: method='direct'."
    )
    with refused(sentence):
        correlate(images * int(scale * 1.001), kernels, **PLAIN)
    with refused(sentence):
        correlate(images, kernels * int(scale * 1.001), **PLAIN)


@pytest.mark.parametrize("size", [(4, 64), (64, 4)])
def test_the_proven_error_counts_both_sides_of_an_image(refused, size):
    area = size[0] * size[1]
    scale = 0.25 / (np.sqrt(area) * 2.0**-53 * (12 * np.log2(area) + 4))  # by hand, as in bound
    images, kernels = np.ones((1, 1, *size), int), np.ones((1, 1, 1, 1), int)
    below = images * int(scale * 0.999)
    assert (correlate(below, kernels, **PLAIN) == below).all()
    with refused(
        "method='fft': whole numbers this large could be rounded wrongly. Try: method='direct'."
    ):
        correlate(images * int(scale * 1.001), kernels, **PLAIN)


def test_whole_numbers_of_which_only_one_image_is_large_are_refused(refused):
    images, kernels = np.ones((2, 1, 4, 4), int), np.ones((2, 1, 1, 1), int)
    images[1, 0, 2, 3] = 2**60
    with refused(
        "method='fft': whole numbers this large could be rounded wrongly. Try: method='direct'."
    ):
        correlate(images, kernels, **PLAIN)


def test_an_image_of_zeros_takes_kernels_of_any_size():
    output = correlate(np.zeros((1, 1, 3, 3), int), np.full((1, 1, 2, 2), 2**60), **PLAIN)
    assert output.tolist() == [[[[0, 0], [0, 0]]]]


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("where", [0, 1])
def test_nan_and_infinity_are_refused(refused, value, where):
    arrays = [np.ones((1, 1, 4, 4)), np.ones((1, 1, 2, 2))]
    arrays[where][0, 0, 1, 1] = value
    with refused(
        "method='fft': nan or infinity would reach outputs whose window does not see it. "
        "Try: method='direct'."
    ):
        correlate(*arrays, **PLAIN)
