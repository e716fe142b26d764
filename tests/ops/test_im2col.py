"""Convolution as one matrix product, and its matrix against torch's unfold and fold."""

import numpy as np
import pytest
import torch
from numpy import ones
from torch.nn import functional as F

from cnncourse.ops.im2col import as_columns, col2im, correlate, fold, im2col

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


def test_columns_are_the_windows_and_their_places_run_row_by_row():
    columns = im2col([[1, 2, 3], [4, 5, 6]], 2)
    assert columns.tolist() == [[1, 2], [2, 3], [4, 5], [5, 6]]
    assert im2col([[1, 2], [3, 4]], (1, 2)).tolist() == [[1, 3], [2, 4]]
    two_channels = im2col([[[1, 2]], [[3, 4]]], 1)
    assert two_channels.tolist() == [[1, 2], [3, 4]]


def test_a_pixel_that_was_in_four_windows_comes_back_four_times():
    image = np.arange(1, 10).reshape(3, 3)
    back = col2im(im2col(image, 2), 3, 2)
    assert back.tolist() == [[[1, 4, 3], [8, 20, 12], [7, 16, 9]]]


def test_convolution_is_a_matrix_product_of_kernels_and_columns(rng):
    images, kernels = rng.integers(-9, 10, (2, 3, 5, 5)), rng.integers(-9, 10, (4, 3, 3, 3))
    product = kernels.reshape(4, 27) @ im2col(images, 3)
    options = {"stride": (1, 1), "dilation": (1, 1), "groups": 1}
    assert (product.reshape(2, 4, 3, 3) == correlate(images, kernels, **options)).all()


def test_alexnets_first_layer_needs_seven_times_the_memory_as_columns():
    image = np.zeros((3, 227, 227), np.float32)  # 154,587 values
    columns = im2col(image, 11, stride=4)
    assert columns.shape == (363, 3025)
    assert columns.size == 1_098_075
    assert round(columns.size / image.size, 2) == 7.10


WINDOWS = [
    ((2, 3, 5, 6), 3, {}),
    ((1, 1, 4, 4), (2, 3), {"padding": 1}),
    ((3, 6, 5), (3, 2), {"stride": (2, 1), "padding": (2, 0)}),
    ((2, 2, 7, 8), (2, 3), {"stride": 2, "dilation": (3, 2), "padding": (0, 1)}),
    ((0, 2, 5, 5), 2, {"dilation": 2}),
    ((2, 4, 4), 4, {}),
]


@pytest.mark.parametrize(("shape", "kernel_size", "options"), WINDOWS)
def test_im2col_is_torchs_unfold_and_col2im_its_fold(rng, shape, kernel_size, options):
    images = rng.integers(-9, 10, shape).astype(float)
    unfolded = F.unfold(torch.tensor(images), kernel_size, **options)
    columns = im2col(images, kernel_size, **options)
    assert columns.shape == tuple(unfolded.shape)
    np.testing.assert_array_equal(columns, unfolded)
    folded = F.fold(unfolded, shape[-2:], kernel_size, **options)
    back = col2im(columns, shape[-2:], kernel_size, **options)
    assert back.shape == tuple(folded.shape)
    np.testing.assert_array_equal(back, folded)


def test_five_hundred_random_windows_agree_with_unfold_and_fold(rng):
    mismatches, refusals = [], 0
    for _ in range(500):
        shape = rng.integers(1, 4, 2).tolist() + rng.integers(1, 8, 2).tolist()
        kernel_size, stride, dilation = (tuple(rng.integers(1, 4, 2).tolist()) for _ in range(3))
        padding = tuple(rng.integers(0, 3, 2).tolist())
        options = {"stride": stride, "dilation": dilation, "padding": padding}
        images = rng.integers(-9, 10, shape).astype(float)
        try:
            theirs = F.unfold(torch.tensor(images), kernel_size, **options)
        except RuntimeError:
            refusals += 1
            with pytest.raises(ValueError, match="the window is larger than the padded image"):
                im2col(images, kernel_size, **options)
            continue
        columns = im2col(images, kernel_size, **options)
        back = col2im(columns, shape[2:], kernel_size, **options)
        folded = F.fold(theirs, shape[2:], kernel_size, **options)
        same = np.array_equal(columns, theirs) and np.array_equal(back, folded)
        mismatches += [] if same else [f"{shape}, kernel_size={kernel_size}, {options}"]
    assert not mismatches, f"{len(mismatches)} of 500 differ; the first: {mismatches[0]}"
    assert 25 < refusals < 200


def test_columns_of_narrow_integers_are_no_sums_and_keep_their_dtype():
    assert im2col(ones((3, 3), "u1"), 2).dtype == np.uint8


def test_col2im_and_fold_keep_the_dtype():
    assert col2im(ones((4, 4), "f4"), 3, 2).dtype == np.float32
    taps = np.arange(4).reshape(1, 1, 2, 1, 1, 2)
    canvas = fold(taps, (3, 4), stride=(1, 2), dilation=(2, 1))
    assert canvas.dtype == np.int64
    assert canvas.tolist() == [[[[0, 0, 1, 0], [0, 0, 0, 0], [2, 0, 3, 0]]]]


def test_columns_of_windows_are_ordered_channel_row_tap():
    cut = np.arange(16).reshape(1, 2, 1, 2, 2, 2)
    expected = [[0, 4], [1, 5], [2, 6], [3, 7], [8, 12], [9, 13], [10, 14], [11, 15]]
    assert as_columns(cut).tolist() == [expected]


def unfolding(shape=(3, 3), kernel_size=2, **options):
    return lambda: im2col(ones(shape), kernel_size, **options)


def folding(shape=(9, 9), image_size=5, kernel_size=3, dtype=float, **options):
    return lambda: col2im(ones(shape, dtype), image_size, kernel_size, **options)


def whole(argument, came, least=1):
    rule = f"must be a whole number, {least} or more"
    return f"{argument}={came!r}: {rule}. Try: {argument}={least}."


PAIR = "must be one number or a pair, (height, width)"
TOO_LARGE = "the window is larger than the padded image"
NINE = "a kernel (3, 3) has 9 numbers a channel and stands in 3x3 places. Try: np.ones((9, 9))."
BAD = [
    (unfolding(kernel_size=0), whole("kernel_size", 0), unfolding(kernel_size=1)),
    (unfolding(kernel_size=2.0), whole("kernel_size", 2.0), unfolding(kernel_size=1)),
    (
        unfolding(kernel_size=(1, 2, 1)),
        f"kernel_size=(1, 2, 1): {PAIR}. Try: kernel_size=1.",
        unfolding(kernel_size=1),
    ),
    (unfolding(stride=0), whole("stride", 0), unfolding(stride=1)),
    (unfolding(dilation=(1, 0)), whole("dilation", 0), unfolding(dilation=(1, 1))),
    (unfolding(padding=-1), whole("padding", -1, 0), unfolding(padding=0)),
    (unfolding(padding="same"), whole("padding", "same", 0), unfolding(padding=0)),
    (
        unfolding(kernel_size=(3, 4)),
        f"kernel (3, 4) on image (3, 3): {TOO_LARGE}. "
        "Try: padding=(0, 1), or a kernel of at most 3x3.",
        unfolding(kernel_size=(3, 4), padding=(0, 1)),
    ),
    (
        unfolding(dilation=3),
        f"kernel (2, 2) with dilation=3 on image (3, 3): {TOO_LARGE}. "
        "Try: padding=1, or a kernel of at most 1x1.",
        unfolding(dilation=3, padding=1),
    ),
    (
        unfolding(shape=(3,)),
        "images (3,): must be (H, W), (C, H, W) or (N, C, H, W). Try: np.atleast_2d(images).",
        lambda: im2col(np.atleast_2d(ones(3)), 1),
    ),
    (
        lambda: im2col([[1, 2], [3]], 1),
        "images: its rows are not equally long. Try: np.zeros((3, 3)).",
        lambda: im2col(np.zeros((3, 3)), 1),
    ),
    (folding((9, 8)), f"columns (9, 8): {NINE}", folding()),
    (folding((10, 9)), f"columns (10, 9): {NINE}", folding()),
    (folding((0, 9)), f"columns (0, 9): {NINE}", folding()),
    (folding((9,)), f"columns (9,): {NINE}", folding()),
    (folding((1, 1, 9, 9)), f"columns (1, 1, 9, 9): {NINE}", folding()),
    (
        folding((6, 9), (4, 5), (3, 2)),
        "columns (6, 9): a kernel (3, 2) has 6 numbers a channel and stands in 2x4 places. "
        "Try: np.ones((6, 8)).",
        folding((6, 8), (4, 5), (3, 2)),
    ),
    (
        folding(dtype="u1"),
        "columns of dtype uint8: sums of products wrap around in uint8. "
        "Try: columns.astype(float).",
        folding(),
    ),
    (
        folding(dtype=complex),
        "columns of dtype complex128: must be integers or floats. Try: columns.real.",
        folding(),
    ),
    (folding(image_size=0), whole("image_size", 0), folding((9, 1), 1, 3, padding=1)),
    (
        folding(image_size=2),
        f"kernel (3, 3) on image (2, 2): {TOO_LARGE}. Try: padding=1, or a kernel of at most 2x2.",
        folding((9, 4), 2, 3, padding=1),
    ),
    (folding(kernel_size=0), whole("kernel_size", 0), folding((1, 25), 5, 1)),
    (folding(stride=0), whole("stride", 0), folding(stride=1)),
    (folding(padding=-1), whole("padding", -1, 0), folding(padding=0)),
    (folding(dilation=0), whole("dilation", 0), folding(dilation=1)),
]


@pytest.mark.parametrize(("call", "sentence"), [row[:2] for row in BAD])
def test_a_refusal_says_what_came_the_rule_and_what_to_type(refused, call, sentence):
    with refused(sentence):
        call()


@pytest.mark.parametrize("mended", [row[2] for row in BAD])
def test_what_a_refusal_says_to_type_works(mended):
    assert mended().size
