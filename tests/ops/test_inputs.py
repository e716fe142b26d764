"""Arguments as they are read, and the sentence of each that is refused."""

import numpy as np
import pytest
from numpy import ones

from cnncourse.arithmetic import pair
from cnncourse.ops import conv2d, convolve2d
from cnncourse.ops.inputs import (
    by_group,
    check_finite,
    check_window,
    one_dtype,
    shortest,
    spread,
    window_places,
)

PAIR = "must be one number or a pair, (height, width)"
LAYOUT = "images with channels take kernels (out_channels, in_channels // groups, h, w)"
RANK_2 = "an image (H, W) has no channels and takes one kernel (h, w)"
TOO_LARGE = "the window is larger than the padded image"
CHANNELS_LAST = "looks like channels-last; this course uses channels-first"


def whole(argument, came, least=1):
    rule = f"must be a whole number, {least} or more"
    return f"{argument}={came!r}: {rule}. Try: {argument}={least}."


# (images, kernels, options), its sentence, and what came of doing as it says.
FLAT, ONE, BATCH = ones((5, 5)), ones((3, 3)), ones((2, 3, 5, 5))
KERNELS = ones((4, 3, 3, 3))
BAD = [
    (
        (None, ONE, {}),
        "images of dtype object: must be integers or floats. Try: images.astype(float).",
        (FLAT, ONE, {}),
    ),
    (
        ("abc", ONE, {}),
        "images of dtype <U3: must be integers or floats. Try: images.astype(float).",
        (FLAT, ONE, {}),
    ),
    (
        (FLAT.astype(bool), ONE, {}),
        "images of dtype bool: must be integers or floats. Try: images.astype(float).",
        (FLAT.astype(bool).astype(float), ONE, {}),
    ),
    (
        (FLAT, ONE.astype(bool), {}),
        "kernels of dtype bool: must be integers or floats. Try: kernels.astype(float).",
        (FLAT, ONE.astype(bool).astype(float), {}),
    ),
    (
        (FLAT, ONE.astype(complex), {}),
        "kernels of dtype complex128: must be integers or floats. Try: kernels.real.",
        (FLAT, ONE.astype(complex).real, {}),
    ),
    (
        (FLAT, ONE, {"bias": "x"}),
        "bias of dtype <U1: must be integers or floats. Try: bias.astype(float).",
        (FLAT, ONE, {"bias": 1.0}),
    ),
    (
        ([[1, 2], [3]], ONE, {}),
        "images: its rows are not equally long. Try: np.zeros((3, 3)).",
        (np.zeros((3, 3)), ONE, {}),
    ),
    (
        (FLAT, [[1, 2], [3]], {}),
        "kernels: its rows are not equally long. Try: np.zeros((3, 3)).",
        (FLAT, np.zeros((3, 3)), {}),
    ),
    (
        (BATCH, KERNELS, {"bias": [[1], [2, 3]]}),
        "bias: its rows are not equally long. Try: np.zeros((3, 3)).",
        None,
    ),
    (
        (FLAT.astype("u1"), ONE.astype("u1"), {}),
        "images of dtype uint8: sums of products wrap around in uint8. Try: images.astype(float).",
        (FLAT.astype("u1").astype(float), ONE.astype("u1"), {}),
    ),
    (
        (FLAT.astype("i1"), ONE.astype("u1"), {}),
        "images of dtype int8: sums of products wrap around in int16. Try: images.astype(float).",
        (FLAT.astype("i1").astype(float), ONE.astype("u1"), {}),
    ),
    (
        (FLAT.astype("i1"), ONE.astype("i1"), {}),
        "images of dtype int8: sums of products wrap around in int8. Try: images.astype(float).",
        (FLAT.astype("i1").astype(float), ONE.astype("i1"), {}),
    ),
    (
        (FLAT.astype("u2"), ONE.astype("u2"), {"bias": 300}),
        "images of dtype uint16: sums of products wrap around in uint16. "
        "Try: images.astype(float).",
        (FLAT.astype("u2").astype(float), ONE.astype("u2"), {"bias": 300}),
    ),
    (
        (FLAT, ones((1, 1, 3, 3)), {}),
        f"kernels (1, 1, 3, 3): {RANK_2}. Try: images[None].",
        (FLAT[None], ones((1, 1, 3, 3)), {}),
    ),
    (
        (FLAT, ones((1, 3, 3)), {}),
        f"kernels (1, 3, 3): {RANK_2}. Try: kernels with 2 axes.",
        (FLAT, ONE, {}),
    ),
    ((FLAT, 1.0, {}), f"kernels (): {RANK_2}. Try: kernels with 2 axes.", (FLAT, ONE, {})),
    (
        (FLAT[None], ONE, {}),
        f"kernels (3, 3): {LAYOUT}. Try: kernels[None, None].",
        (FLAT[None], ONE[None, None], {}),
    ),
    (
        (BATCH, ONE, {}),
        f"kernels (3, 3): {LAYOUT}. Try: np.tile(kernels, (3, 1, 1, 1)) and groups=3.",
        (BATCH, np.tile(ONE, (3, 1, 1, 1)), {"groups": 3}),
    ),
    (
        (BATCH, ones((3, 3, 3)), {}),
        f"kernels (3, 3, 3): {LAYOUT}. Try: kernels with 4 axes.",
        (BATCH, ones((3, 3, 3))[None], {}),
    ),
    (
        (FLAT[None], ones((1, 3, 3)), {}),
        f"kernels (1, 3, 3): {LAYOUT}. Try: kernels with 4 axes.",
        (FLAT[None], ones((1, 3, 3))[None], {}),
    ),
    (
        (BATCH, ones((0, 3, 3, 3)), {}),
        "kernels (0, 3, 3, 3): must have at least one weight. Try: np.ones((1, 3, 3, 3)).",
        (BATCH, ones((1, 3, 3, 3)), {}),
    ),
    (
        (FLAT, ones((0, 3)), {}),
        "kernels (0, 3): must have at least one weight. Try: np.ones((1, 3)).",
        (FLAT, ones((1, 3)), {}),
    ),
    (
        (BATCH, KERNELS, {"bias": ones(3)}),
        "bias (3,): must have shape (4,), a number for each output channel. Try: np.zeros((4,)).",
        (BATCH, KERNELS, {"bias": np.zeros((4,))}),
    ),
    (
        (BATCH[0], KERNELS, {"bias": 1.0}),
        "bias (): must have shape (4,), a number for each output channel. Try: np.zeros((4,)).",
        (BATCH[0], KERNELS, {"bias": np.zeros((4,))}),
    ),
    (
        (FLAT, ONE, {"bias": ones(1)}),
        "bias (1,): must have shape (), a number for each output channel. Try: np.zeros(()).",
        (FLAT, ONE, {"bias": np.zeros(())}),
    ),
    (
        (ones((28, 28, 3)), KERNELS, {}),
        f"images (28, 28, 3): {CHANNELS_LAST}. Try: images.transpose(2, 0, 1).",
        (ones((28, 28, 3)).transpose(2, 0, 1), KERNELS, {}),
    ),
    (
        (ones((2, 28, 28, 3)), KERNELS, {}),
        f"images (2, 28, 28, 3): {CHANNELS_LAST}. Try: images.transpose(0, 3, 1, 2).",
        (ones((2, 28, 28, 3)).transpose(0, 3, 1, 2), KERNELS, {}),
    ),
    (
        (ones((4, 5, 5)), KERNELS, {}),
        "images (4, 5, 5): kernels (4, 3, 3, 3) with groups=1 read 3 channels, not 4. "
        "Try: images with 3 channels.",
        (ones((3, 5, 5)), KERNELS, {}),
    ),
    (  # width 7 is what the kernels read, but an image of 3 channels is not channels-last
        (ones((3, 7, 7)), ones((2, 7, 1, 1)), {}),
        "images (3, 7, 7): kernels (2, 7, 1, 1) with groups=1 read 7 channels, not 3. "
        "Try: images with 7 channels.",
        (ones((7, 7, 7)), ones((2, 7, 1, 1)), {}),
    ),
    (
        (BATCH, KERNELS, {"groups": 2}),
        "images (2, 3, 5, 5): kernels (4, 3, 3, 3) with groups=2 read 6 channels, not 3. "
        "Try: images with 6 channels.",
        (ones((2, 6, 5, 5)), KERNELS, {"groups": 2}),
    ),
    ((FLAT, ONE, {"stride": 0}), whole("stride", 0), (FLAT, ONE, {"stride": 1})),
    ((FLAT, ONE, {"stride": -1}), whole("stride", -1), (FLAT, ONE, {"stride": 1})),
    ((FLAT, ONE, {"stride": (1, 0)}), whole("stride", 0), (FLAT, ONE, {"stride": (1, 1)})),
    ((FLAT, ONE, {"stride": 1.5}), whole("stride", 1.5), (FLAT, ONE, {"stride": 1})),
    ((FLAT, ONE, {"stride": "2"}), whole("stride", "2"), (FLAT, ONE, {"stride": 1})),
    ((FLAT, ONE, {"stride": None}), whole("stride", None), (FLAT, ONE, {"stride": 1})),
    ((FLAT, ONE, {"stride": True}), whole("stride", True), (FLAT, ONE, {"stride": 1})),
    (
        (FLAT, ONE, {"stride": (1, 1, 1)}),
        f"stride=(1, 1, 1): {PAIR}. Try: stride=1.",
        (FLAT, ONE, {"stride": 1}),
    ),
    (
        (FLAT, ONE, {"stride": (1,)}),
        f"stride=(1,): {PAIR}. Try: stride=1.",
        (FLAT, ONE, {"stride": 1}),
    ),
    ((FLAT, ONE, {"dilation": 0}), whole("dilation", 0), (FLAT, ONE, {"dilation": 1})),
    ((FLAT, ONE, {"dilation": (0, 1)}), whole("dilation", 0), (FLAT, ONE, {"dilation": (1, 1)})),
    (
        (FLAT, ONE, {"dilation": [1, 1, 1]}),
        f"dilation=[1, 1, 1]: {PAIR}. Try: dilation=1.",
        (FLAT, ONE, {"dilation": 1}),
    ),
    ((FLAT, ONE, {"padding": -1}), whole("padding", -1, 0), (FLAT, ONE, {"padding": 0})),
    ((FLAT, ONE, {"padding": (1, -1)}), whole("padding", -1, 0), (FLAT, ONE, {"padding": (1, 0)})),
    (
        (FLAT, ONE, {"padding": ((1, 2), 1)}),
        whole("padding", (1, 2), 0),
        (FLAT, ONE, {"padding": (0, 1)}),
    ),
    (
        (FLAT, ONE, {"padding": (1, 1, 1, 1)}),
        f"padding=(1, 1, 1, 1): {PAIR}. Try: padding=0.",
        (FLAT, ONE, {"padding": 0}),
    ),
    (
        (ONE, FLAT, {}),
        f"kernel (5, 5) on image (3, 3): {TOO_LARGE}. Try: padding=1, or a kernel of at most 3x3.",
        (ONE, FLAT, {"padding": 1}),
    ),
    (
        (ones((3, 4)), ones((4, 4)), {}),
        f"kernel (4, 4) on image (3, 4): {TOO_LARGE}. "
        "Try: padding=(1, 0), or a kernel of at most 3x4.",
        (ones((3, 4)), ones((4, 4)), {"padding": (1, 0)}),
    ),
    (
        (ones((3, 5)), ones((3, 8)), {"padding": (2, 1)}),
        f"kernel (3, 8) on image (3, 5): {TOO_LARGE}. "
        "Try: padding=(0, 2), or a kernel of at most 7x7.",
        (ones((3, 5)), ones((7, 7)), {"padding": (2, 1)}),
    ),
    (
        (FLAT, ONE, {"dilation": 3}),
        f"kernel (3, 3) with dilation=3 on image (5, 5): {TOO_LARGE}. "
        "Try: padding=1, or a kernel of at most 2x2.",
        (FLAT, ones((2, 2)), {"dilation": 3}),
    ),
    (
        (ones((9, 6)), ONE, {"dilation": (1, 4), "padding": (1, 0)}),
        f"kernel (3, 3) with dilation=(1, 4) on image (9, 6): {TOO_LARGE}. "
        "Try: padding=(0, 2), or a kernel of at most 11x2.",
        (ones((9, 6)), ones((11, 2)), {"dilation": (1, 4), "padding": (1, 0)}),
    ),
]


@pytest.mark.parametrize(("call", "sentence"), [row[:2] for row in BAD])
def test_a_refusal_says_what_came_the_rule_and_what_to_type(refused, call, sentence):
    images, kernels, options = call
    with refused(sentence):
        conv2d(images, kernels, **options)
    with refused(sentence):
        convolve2d(images, kernels, **options)


@pytest.mark.parametrize("mended", [row[2] for row in BAD if row[2]])
def test_what_a_refusal_says_to_type_works(mended):
    images, kernels, options = mended
    assert conv2d(images, kernels, **options).size


def test_a_refusal_of_rows_keeps_numpys_own_error_as_its_cause():
    with pytest.raises(ValueError, match="not equally long") as caught:
        conv2d([[1, 2], [3]], ONE)
    assert "inhomogeneous" in str(caught.value.__cause__)


@pytest.mark.parametrize("came", [2, np.int64(2), (2, 2), [2, 2], (np.int8(2), 2)])
def test_a_pair_is_one_whole_number_or_two(came):
    assert pair("stride", came, least=2) == (2, 2)


def test_a_pair_is_height_then_width():
    assert pair("stride", (1, 2), least=1) == (1, 2)
    assert pair("padding", [0, 3], least=0) == (0, 3)


def test_a_pair_of_equal_numbers_is_written_as_one():
    assert [shortest((2, 2)), shortest([1, 2])] == ["2", "(1, 2)"]


def test_a_dilated_kernel_spans_the_gaps_between_its_taps():
    assert [spread(3, 1), spread(3, 2), spread(1, 9), spread(2, 4)] == [3, 5, 1, 5]


def test_windows_stand_where_padding_before_and_after_leaves_room():
    padding = {"sides": ((0, 1), (2, 0)), "dilation": (1, 2)}
    assert window_places((5, 6), (2, 3), stride=(1, 3), **padding) == (5, 2)
    check_window((5, 1), (6, 2), **padding)  # spans 6 and 3, exactly the room there is


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_nan_and_infinity_are_found_in_any_array(refused, value):
    finite, spoilt = ones(3), np.array([1, 2, value])
    check_finite("fft", finite, np.arange(3))
    for arrays in ((spoilt, finite), (finite, spoilt)):
        with refused(
            "method='fft': nan or infinity would reach outputs whose window does not see it. "
            "Try: method='direct'."
        ):
            check_finite("fft", *arrays)


def test_channels_split_into_groups_of_neighbours():
    assert by_group(np.arange(6), 3).tolist() == [[0, 1], [2, 3], [4, 5]]
    assert by_group(np.arange(4).reshape(1, 4), 2, axis=1).tolist() == [[[0, 1], [2, 3]]]
    assert by_group(ones((2, 6, 5, 4)), 2, axis=1).shape == (2, 2, 3, 5, 4)


def test_arrays_that_have_the_dtype_are_not_copied():
    images, kernels = ones((1, 1, 3, 3)), ones((1, 1, 2, 2))
    read = one_dtype(images, kernels, None)
    assert read[0] is images
    assert read[1] is kernels
    assert read[2] is None


def test_all_arrays_get_one_dtype():
    images, kernels, bias = one_dtype(ones(2, "f4"), ones(2, int), ones(2, "f4"))
    assert [images.dtype, kernels.dtype, bias.dtype] == [np.float64] * 3
