"""Convolution by seven loops."""

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from cnncourse.ops.loops import correlate

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


def test_the_sum_at_every_place_is_the_one_on_paper():
    images = np.array([[[[1, 2, 3], [4, 5, 6]]]])
    kernels = np.array([[[[1, 10], [100, 1000]]]])
    options = {"stride": (1, 1), "dilation": (1, 1), "groups": 1}
    # 1*1 + 2*10 + 4*100 + 5*1000, then the same one pixel on
    assert correlate(images, kernels, **options).tolist() == [[[[5421, 6532]]]]
