"""Convolution by Winograd's minimal filtering."""

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from cnncourse.ops.winograd import A_T, B_T, G, as_tiles, correlate

PLAIN = {"stride": (1, 1), "dilation": (1, 1), "groups": 1}
ATOL = {"int64": 0, "int32": 0, "uint32": 0, "float64": 1e-9, "float32": 0.1, "float16": 16}


def test_the_matrices_are_the_papers():
    """Lavin & Gray 2015, equation 10 and its neighbours."""
    assert B_T.tolist() == [[1, 0, -1, 0], [0, 1, 1, 0], [0, -1, 1, 0], [0, 1, 0, -1]]
    assert G.tolist() == [[1, 0, 0], [0.5, 0.5, 0.5], [0.5, -0.5, 0.5], [0, 0, 1]]
    assert A_T.tolist() == [[1, 1, 1, 0], [0, 1, -1, -1]]


def test_two_outputs_of_three_taps_take_four_multiplications():
    """F(2, 3): the identity that the two-dimensional algorithm nests, on numbers."""
    signal, taps = np.array([1, 2, 3, 4]), np.array([5, 6, 7])
    factors = B_T @ signal, G @ taps
    assert len(factors[0] * factors[1]) == 4
    assert (A_T @ (factors[0] * factors[1])).tolist() == [
        1 * 5 + 2 * 6 + 3 * 7,
        2 * 5 + 3 * 6 + 4 * 7,
    ]


def test_tiles_of_four_overlap_by_two_and_zeros_fill_the_last():
    tiles = as_tiles(np.arange(1, 26).reshape(1, 1, 5, 5))
    assert tiles.shape == (1, 1, 2, 2, 4, 4)
    assert tiles[0, 0, 0, 0, 0].tolist() == [1, 2, 3, 4]
    assert tiles[0, 0, 1, 1].tolist() == [
        [13, 14, 15, 0],
        [18, 19, 20, 0],
        [23, 24, 25, 0],
        [0] * 4,
    ]
    assert as_tiles(np.ones((1, 1, 4, 6))).shape == (1, 1, 1, 2, 4, 4)


@pytest.mark.parametrize(
    ("shape", "kernel_shape", "groups"),
    [
        ((2, 3, 6, 8), (4, 3, 3, 3), 1),
        ((1, 1, 5, 7), (1, 1, 3, 3), 1),
        ((1, 4, 4, 5), (6, 2, 3, 3), 2),
        ((2, 3, 3, 3), (3, 1, 3, 3), 3),
        ((2, 2, 3, 6), (1, 2, 3, 3), 1),
        ((0, 2, 5, 5), (2, 2, 3, 3), 1),
    ],
)
@pytest.mark.parametrize("dtype", ATOL)
def test_values_and_sizes_are_torchs(rng, shape, kernel_shape, groups, dtype):
    least = 0 if dtype == "uint32" else -9
    images, kernels = rng.integers(least, 10, shape), rng.integers(least, 10, kernel_shape)
    expected = F.conv2d(torch.tensor(images), torch.tensor(kernels), groups=groups).numpy()
    output = correlate(images.astype(dtype), kernels.astype(dtype), **PLAIN | {"groups": groups})
    assert output.dtype == dtype
    assert output.shape == expected.shape
    np.testing.assert_allclose(output, expected, rtol=0, atol=ATOL[dtype])


@pytest.mark.parametrize(
    ("kernel_size", "options", "here"),
    [
        ((5, 5), {}, "5x5, 1 and 1"),
        ((3, 1), {}, "3x1, 1 and 1"),
        ((1, 3), {}, "1x3, 1 and 1"),
        ((3, 3), {"stride": (1, 2)}, "3x3, (1, 2) and 1"),
        ((3, 3), {"dilation": (2, 2)}, "3x3, 1 and 2"),
    ],
)
def test_only_3x3_kernels_with_stride_and_dilation_1_are_taken(refused, kernel_size, options, here):
    images, kernels = np.ones((1, 1, 7, 7)), np.ones((1, 1, *kernel_size))
    with refused(
        "method='winograd': F(2x2, 3x3) is for 3x3 kernels with stride 1 and dilation 1, "
        f"here are {here}. Try: method='direct'."
    ):
        correlate(images, kernels, **PLAIN | options)


def test_whole_numbers_are_exact_up_to_the_limit_and_refused_above_it(refused):
    """Nine products of 2 channels: 4 * 9 * 2 * pixel * weight must fit into 63 bits."""
    images, kernels = np.ones((1, 2, 3, 3), int), np.ones((1, 2, 3, 3), int)
    largest = (2**63 - 1) // 72
    for sign in (1, -1):
        assert correlate(sign * largest * images, kernels, **PLAIN) == sign * 18 * largest
        assert correlate(images, sign * largest * kernels, **PLAIN) == sign * 18 * largest
        with refused(
            "method='winograd': whole numbers this large could leave the range of int64 on the "
            "way. Try: method='direct'."
        ):
            correlate(sign * (largest + 1) * images, kernels, **PLAIN)


def test_the_limit_counts_the_channels_of_a_group():
    images, kernels = np.ones((1, 2, 3, 3), int), np.ones((2, 1, 3, 3), int)
    largest = (2**63 - 1) // 36
    output = correlate(largest * images, kernels, **PLAIN | {"groups": 2})
    assert output.ravel().tolist() == [9 * largest] * 2


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("where", [0, 1])
def test_nan_and_infinity_are_refused(refused, value, where):
    arrays = [np.ones((1, 1, 4, 4)), np.ones((1, 1, 3, 3))]
    arrays[where][0, 0, 1, 1] = value
    with refused(
        "method='winograd': nan or infinity would reach outputs whose window does not see it. "
        "Try: method='direct'."
    ):
        correlate(*arrays, **PLAIN)
