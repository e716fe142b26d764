"""Convolution as windows beside kernels."""

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from cnncourse.ops.direct import correlate, windows

DTYPES = ["int64", "int32", "float64", "float32"]
ATOL = dict.fromkeys(DTYPES, 0)  # whole numbers this small are exact in floats, too
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
    images, kernels = rng.integers(-99, 100, shape), rng.integers(-99, 100, kernel_shape)
    options = {"stride": stride, "dilation": dilation, "groups": groups}
    expected = F.conv2d(torch.tensor(images), torch.tensor(kernels), **options).numpy()
    for dtype in DTYPES:
        output = correlate(images.astype(dtype), kernels.astype(dtype), **options)
        assert output.dtype == dtype
        assert output.shape == expected.shape
        np.testing.assert_allclose(output, expected, rtol=0, atol=ATOL[dtype])


def test_windows_are_a_view_of_the_image():
    images = np.arange(20).reshape(1, 1, 4, 5)
    cut = windows(images, (2, 2), stride=(1, 1), dilation=(1, 1))
    assert cut.shape == (1, 1, 3, 4, 2, 2)
    assert cut[0, 0, 1, 2].tolist() == [[7, 8], [12, 13]]
    assert np.shares_memory(cut, images)


def test_windows_step_by_stride_and_their_taps_by_dilation():
    images = np.arange(48).reshape(1, 1, 6, 8)
    cut = windows(images, (2, 3), stride=(2, 1), dilation=(3, 2))
    assert cut.shape == (1, 1, 2, 4, 2, 3)
    assert cut[0, 0, 1, 2].tolist() == [[18, 20, 22], [42, 44, 46]]
