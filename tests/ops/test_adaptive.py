import math

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from cnncourse.ops.adaptive import (
    adaptive_avg_pool2d,
    adaptive_max_pool2d,
    bins,
    global_avg_pool2d,
    global_max_pool2d,
)

ROW = np.array([[1.0, 2, 4, 8, 16]])


@pytest.mark.parametrize(
    ("size", "count", "expected"),
    [
        (6, 3, [(0, 2), (2, 4), (4, 6)]),
        (5, 2, [(0, 3), (2, 5)]),  # pixel 2 is in both
        (5, 3, [(0, 2), (1, 4), (3, 5)]),
        (2, 4, [(0, 1), (0, 1), (1, 2), (1, 2)]),  # more bins than pixels
        (7, 1, [(0, 7)]),
    ],
)
def test_bins_cover_the_axis_and_overlap_where_they_must(size, count, expected):
    assert [(cut.start, cut.stop) for cut in bins(size, count)] == expected


def test_an_adaptive_mean_and_maximum_by_hand():
    assert adaptive_avg_pool2d(ROW, (1, 2)).tolist() == [[7 / 3, 28 / 3]]
    assert adaptive_max_pool2d(ROW, (1, 3)).tolist() == [[2, 8, 16]]


def test_height_comes_first_and_one_side_is_for_both():
    image = np.arange(12.0).reshape(4, 3)
    assert adaptive_max_pool2d(image, (2, 1)).tolist() == [[5], [11]]
    assert adaptive_max_pool2d(image, 3).shape == (3, 3)


def test_global_pooling_leaves_one_number_a_channel_and_keeps_both_axes():
    images = np.arange(24.0).reshape(2, 3, 2, 2)
    assert global_avg_pool2d(images).tolist()[0] == [[[1.5]], [[5.5]], [[9.5]]]
    assert global_max_pool2d(images).tolist()[1] == [[[15]], [[19]], [[23]]]
    assert global_avg_pool2d(images[0]).shape == global_max_pool2d(images[0]).shape == (3, 1, 1)
    assert global_avg_pool2d(images[0, 0]).tolist() == [[1.5]]
    assert global_max_pool2d(images[0, 0]).tolist() == [[3]]


def test_global_pooling_is_adaptive_pooling_to_one_bin(rng):
    images = rng.normal(size=(2, 3, 5, 4))
    np.testing.assert_allclose(global_avg_pool2d(images), adaptive_avg_pool2d(images, 1))
    np.testing.assert_array_equal(global_max_pool2d(images), adaptive_max_pool2d(images, 1))


def test_an_adaptive_maximum_of_integers_is_exact_and_a_nan_spreads():
    images = np.array([[2**62 + 1, 2**62]])
    assert adaptive_max_pool2d(images, 1).tolist() == [[2**62 + 1]]
    assert global_max_pool2d(images).tolist() == [[2**62 + 1]]
    assert math.isnan(adaptive_max_pool2d([[1.0, math.nan]], 1)[0, 0])


@pytest.mark.parametrize("pool", [adaptive_avg_pool2d, adaptive_max_pool2d])
def test_float32_stays_float32_and_an_empty_batch_empty(pool):
    assert pool(np.ones((2, 2), np.float32), 1).dtype == np.float32
    assert pool(np.zeros((0, 2, 5, 5)), 3).shape == (0, 2, 3, 3)


def test_both_are_torchs_on_1000_random_settings(rng):
    for number in range(1_000):
        shape = (*rng.integers(1, 3, 1 + number % 2), *rng.integers(1, 12, 2))
        images, size = rng.normal(size=shape), tuple(rng.integers(1, 9, 2).tolist())
        planes = torch.tensor(images)
        mean, largest = F.adaptive_avg_pool2d(planes, size), F.adaptive_max_pool2d(planes, size)
        np.testing.assert_allclose(adaptive_avg_pool2d(images, size), mean, atol=1e-12)
        np.testing.assert_array_equal(adaptive_max_pool2d(images, size), largest)


INTEGERS = "images of dtype int64: must be floats. Try: images.astype(float)."
TRUTHS = "images of dtype bool: must be integers or floats. Try: images.astype(float)."
BAD = [
    (adaptive_avg_pool2d, np.ones((2, 2), int), (1,), INTEGERS),
    (adaptive_max_pool2d, np.ones((2, 2), bool), (1,), TRUTHS),
    (global_avg_pool2d, np.ones((2, 2), int), (), INTEGERS),
    (global_max_pool2d, np.ones((2, 2), bool), (), TRUTHS),
    *(
        (pool, ROW, (size,), sentence)
        for pool in (adaptive_avg_pool2d, adaptive_max_pool2d)
        for size, sentence in (
            (0, "output_size=0: must be a whole number, 1 or more. Try: output_size=1."),
            (
                (2, None),
                "output_size=None: must be a whole number, 1 or more. Try: output_size=1.",
            ),
            (
                (2, 3, 4),
                "output_size=(2, 3, 4): must be one number or a pair, (height, width). "
                "Try: output_size=1.",
            ),
        )
    ),
]


@pytest.mark.parametrize(("pool", "images", "size", "sentence"), BAD)
def test_what_makes_no_sense_is_refused(refused, pool, images, size, sentence):
    with refused(sentence):
        pool(images, *size)
