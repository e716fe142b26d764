import numpy as np
import pytest
import torch
from torch.nn import functional as F

from cnncourse.ops.blur import binomial, blur_pool2d
from cnncourse.ops.pooling import max_pool2d


@pytest.mark.parametrize(
    ("size", "expected"),
    [(1, [1]), (2, [0.5, 0.5]), (3, [0.25, 0.5, 0.25]), (5, [1 / 16, 1 / 4, 3 / 8, 1 / 4, 1 / 16])],
)
def test_the_blur_is_a_row_of_pascals_triangle_that_sums_to_one(size, expected):
    assert binomial(size).tolist() == expected


def test_one_bright_pixel_is_spread_as_the_kernel_says():
    image = np.zeros((5, 5))
    image[2, 2] = 16
    spread = [[0, 0, 0, 0, 0], [0, 1, 2, 1, 0], [0, 2, 4, 2, 0], [0, 1, 2, 1, 0], [0, 0, 0, 0, 0]]
    assert blur_pool2d(image, stride=1).tolist() == spread
    assert blur_pool2d(image).tolist() == [[0, 0, 0], [0, 4, 0], [0, 0, 0]]


def test_a_plain_picture_stays_as_it_is_up_to_its_borders():
    np.testing.assert_allclose(blur_pool2d(np.full((2, 7, 6), 3.0)), np.full((2, 4, 3), 3.0))


def test_borders_are_mirrored():
    assert blur_pool2d([[8.0, 0], [0, 0]]).tolist() == [[2]]  # (2 * 8 + 0 + 0) / 4, and once more
    assert blur_pool2d([[0.0, 8], [0, 0]]).tolist() == [[2]]


def test_float32_stays_float32():
    assert blur_pool2d(np.ones((3, 3), np.float32)).dtype == np.float32


def test_stripes_moved_by_one_pixel_change_blur_pooling_less_than_max_pooling():
    stripes = np.array([0, 0, 1, 1] * 4, float)
    image = np.tile(stripes, (4, 1))
    moved = np.roll(image, -1, axis=1)
    assert max_pool2d(image, 2)[0].tolist() == [0, 1, 0, 1, 0, 1, 0, 1]
    assert max_pool2d(moved, 2)[0].tolist() == [1, 1, 1, 1, 1, 1, 1, 1]
    assert blur_pool2d(image)[0, 1:].tolist() == [0.75, 0.25, 0.75, 0.25, 0.75, 0.25, 0.75]
    assert blur_pool2d(moved)[0, 1:].tolist() == [0.75, 0.25, 0.75, 0.25, 0.75, 0.25, 0.75]


@pytest.mark.parametrize("kernel_size", range(1, 8))
@pytest.mark.parametrize("stride", [1, 2, 3])
def test_it_is_torchs_depthwise_convolution_with_reflect_padding(rng, kernel_size, stride):
    images = rng.normal(size=(2, 3, 7, 9))
    row = np.ones(1)
    for _ in range(kernel_size - 1):  # a mean of two neighbours, again and again
        row = np.convolve(row, [0.5, 0.5])
    kernel = torch.tensor(np.outer(row, row)).expand(3, 1, kernel_size, kernel_size)
    before, after = (kernel_size - 1) // 2, kernel_size // 2
    padded = F.pad(torch.tensor(images), (before, after, before, after), mode="reflect")
    expected = F.conv2d(padded, kernel, stride=stride, groups=3)
    found = blur_pool2d(images, kernel_size=kernel_size, stride=stride)
    np.testing.assert_allclose(found, expected, atol=1e-12)
    np.testing.assert_allclose(
        blur_pool2d(images[0, 0], kernel_size=kernel_size, stride=stride), expected[0, 0]
    )


def test_an_empty_batch_gives_an_empty_batch():
    assert blur_pool2d(np.zeros((0, 2, 5, 6))).shape == (0, 2, 3, 3)


@pytest.mark.parametrize(
    ("images", "options", "sentence"),
    [
        (
            np.ones((3, 3), int),
            {},
            "images of dtype int64: must be floats. Try: images.astype(float).",
        ),
        (
            np.ones((3, 3)),
            {"kernel_size": 0},
            "kernel_size=0: must be a whole number, 1 or more. Try: kernel_size=1.",
        ),
        (
            np.ones((3, 3)),
            {"kernel_size": (3, 3)},
            "kernel_size=(3, 3): must be a whole number, 1 or more. Try: kernel_size=1.",
        ),
        (
            np.ones((3, 3)),
            {"stride": 0},
            "stride=0: must be a whole number, 1 or more. Try: stride=1.",
        ),
        (
            np.ones((3, 9)),
            {"kernel_size": 6},
            "kernel_size=6: mirrors more pixels than images of (3, 9) have. Try: kernel_size=5.",
        ),
        (
            np.ones((2, 9, 1)),
            {},
            "kernel_size=3: mirrors more pixels than images of (9, 1) have. Try: kernel_size=1.",
        ),
    ],
)
def test_what_makes_no_sense_is_refused_with_a_way_out_that_works(
    refused, images, options, sentence
):
    with refused(sentence):
        blur_pool2d(images, **options)
    attempt = sentence.split("Try: ")[1].removesuffix(".")
    if attempt.startswith("images"):
        images = images.astype(float)
    else:
        options = options | eval(f"dict({attempt})")
    assert len(blur_pool2d(images, **options))
