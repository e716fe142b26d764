import math

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from cnncourse.ops.pooling import avg_pool2d, lp_pool2d, max_pool2d

STAIRS = np.array([[1.0, 2, 5, 6], [3, 4, 7, 8], [9, 10, 13, 14], [11, 12, 15, 16]])

# --- by hand --------------------------------------------------------------------------------------


def test_max_pooling_keeps_the_largest_of_every_window():
    assert max_pool2d(STAIRS, 2).tolist() == [[4, 8], [12, 16]]


def test_average_pooling_takes_the_mean_of_every_window():
    assert avg_pool2d(STAIRS, 2).tolist() == [[2.5, 6.5], [10.5, 14.5]]


def test_windows_overlap_where_the_stride_is_smaller_than_the_kernel():
    assert max_pool2d(STAIRS, 2, stride=1).tolist() == [[4, 7, 8], [10, 13, 14], [12, 15, 16]]
    assert avg_pool2d([[1.0, 3, 5]], (1, 2), stride=1).tolist() == [[2, 4]]


def test_height_comes_first_in_a_pair():
    assert max_pool2d(STAIRS, (4, 2)).tolist() == [[12, 16]]
    assert max_pool2d(STAIRS, (1, 4)).tolist() == [[6], [8], [14], [16]]
    assert max_pool2d(STAIRS, 1, stride=(3, 1)).tolist() == [[1, 2, 5, 6], [11, 12, 15, 16]]
    assert max_pool2d(STAIRS, 2, stride=4, padding=(0, 1)).tolist() == [[3, 8]]
    assert max_pool2d(STAIRS, 2, dilation=(1, 3)).tolist() == [[8], [16]]


def test_every_channel_is_pooled_by_itself():
    batch = np.stack([[STAIRS, -STAIRS], [2 * STAIRS, 0 * STAIRS]])
    pooled = max_pool2d(batch, 2)
    assert pooled.shape == (2, 2, 2, 2)
    assert pooled[0, 1].tolist() == [[-1, -5], [-9, -13]]
    assert avg_pool2d(batch[0], 4).tolist() == [[[8.5]], [[-8.5]]]


def test_a_dilated_window_steps_over_pixels():
    assert max_pool2d(STAIRS, 2, dilation=2, stride=1).tolist() == [[13, 14], [15, 16]]


def test_padding_never_wins_a_maximum():
    below = -STAIRS
    assert max_pool2d(below, 2, padding=1).tolist() == [[-1, -2, -6], [-3, -4, -8], [-11, -12, -16]]


def test_padding_counts_as_zeros_in_a_mean_or_not_at_all():
    ones = np.ones((2, 2))
    assert avg_pool2d(ones, 2, padding=1).tolist() == [[0.25, 0.25], [0.25, 0.25]]
    assert avg_pool2d(ones, 2, padding=1, count_include_pad=False).tolist() == [[1, 1], [1, 1]]


def test_what_ceil_mode_lets_a_window_reach_beyond_is_never_counted():
    row = np.ones((1, 3))
    assert avg_pool2d(row, (1, 2)).tolist() == [[1]]
    assert avg_pool2d(row, (1, 2), ceil_mode=True).tolist() == [[1, 1]]
    assert max_pool2d(-row, (1, 2), ceil_mode=True).tolist() == [[-1, -1]]
    # padded: 0 1 1 1 0, windows of 3 with stride 3: [0 1 1] and [1 0 -], a mean of two
    assert avg_pool2d(row, (1, 3), padding=(0, 1), ceil_mode=True)[0, 1] == 0.5


def test_indices_count_the_pixels_of_a_plane_row_by_row():
    values, indices = max_pool2d(np.stack([STAIRS, -STAIRS]), 2, return_indices=True)
    assert values[0].tolist() == [[4, 8], [12, 16]]
    assert indices.tolist() == [[[5, 7], [13, 15]], [[0, 2], [8, 10]]]


def test_of_equal_pixels_the_first_is_named():
    _, indices = max_pool2d(np.zeros((3, 3)), 2, stride=1, padding=1, return_indices=True)
    assert indices.tolist() == [[0, 0, 1, 2], [0, 0, 1, 2], [3, 3, 4, 5], [6, 6, 7, 8]]


@pytest.mark.parametrize("lowest", [-math.inf, np.iinfo(np.int64).min])
def test_a_pixel_of_the_lowest_value_is_named_before_padding_of_that_value(lowest):
    images = np.full((2, 2), lowest)
    values, indices = max_pool2d(images, 2, stride=1, padding=1, return_indices=True)
    assert values.tolist() == [[lowest] * 3] * 3
    assert indices.tolist() == [[0, 0, 1], [0, 0, 1], [2, 2, 3]]


def test_a_window_that_steps_over_the_only_pixel_finds_none():
    values, indices = max_pool2d(
        np.array([[5.0]]), 2, stride=1, padding=1, dilation=2, return_indices=True
    )
    assert values.tolist() == [[-math.inf]]
    assert indices.tolist() == [[-1]]


def test_a_nan_spreads_to_every_window_that_has_it():
    image = np.array([[1.0, 2, 3], [4, math.nan, 6]])
    values, indices = max_pool2d(image, (2, 1), return_indices=True)
    np.testing.assert_array_equal(values, [[4, math.nan, 6]])
    assert indices.tolist() == [[3, 4, 5]]
    np.testing.assert_array_equal(avg_pool2d(image, (2, 1)), [[2.5, math.nan, 4.5]])


def test_a_maximum_of_integers_is_exact_where_floats_would_round():
    images = np.array([[2**62 + 1, 2**62], [-(2**62), 0]])
    assert max_pool2d(images, 2).tolist() == [[2**62 + 1]]
    assert max_pool2d(images - 2**62 - 2, 2, padding=1)[0, 0] == -1


@pytest.mark.parametrize("dtype", ["uint8", "int8", "int64", "float16", "float32", "float64"])
def test_the_dtype_of_a_maximum_is_that_of_the_images(dtype):
    pooled = max_pool2d(np.ones((3, 3), dtype), 2, padding=1)
    assert pooled.dtype == dtype
    assert pooled.tolist() == [[1, 1], [1, 1]]


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_the_dtype_of_a_mean_and_of_a_norm_is_that_of_the_images(dtype):
    images = np.ones((4, 4), dtype)
    for pooled in (avg_pool2d(images, 2), lp_pool2d(images, 2, norm_type=2)):
        assert pooled.dtype == dtype


def test_the_images_are_left_as_they_came():
    before = STAIRS.copy()
    max_pool2d(STAIRS, 2, padding=1, return_indices=True)
    avg_pool2d(STAIRS, 2, padding=1)
    lp_pool2d(STAIRS, 2, norm_type=2)
    np.testing.assert_array_equal(STAIRS, before)


def test_an_empty_batch_gives_an_empty_batch():
    empty = np.zeros((0, 3, 4, 4))
    assert max_pool2d(empty, 2).shape == avg_pool2d(empty, 2).shape == (0, 3, 2, 2)
    assert max_pool2d(empty, 2, return_indices=True)[1].shape == (0, 3, 2, 2)


# --- Lp -------------------------------------------------------------------------------------------


def test_lp_pooling_goes_from_the_sum_to_the_largest_magnitude():
    image = np.array([[3.0, 0], [0, 4]])
    assert lp_pool2d(image, 2, norm_type=1).tolist() == [[7]]
    assert lp_pool2d(image, 2, norm_type=2).tolist() == [[5]]
    assert lp_pool2d(image, 2, norm_type=60)[0, 0] == pytest.approx(4)
    assert lp_pool2d(-image, 2, norm_type=math.inf).tolist() == [[4]]


def test_an_lp_window_moves_as_others_do():
    image = np.array([[3.0, 4, 0, 5, 12]])
    assert lp_pool2d(image, (1, 2), norm_type=2, stride=3).tolist() == [[5, 13]]
    assert lp_pool2d(image, (1, 2), norm_type=2).tolist() == [[5, 5]]
    assert lp_pool2d(image, (1, 2), norm_type=math.inf, stride=3).tolist() == [[4, 12]]
    assert lp_pool2d(image, (1, 2), norm_type=math.inf, ceil_mode=True).tolist() == [[4, 5, 12]]


def test_an_lp_window_over_the_end_is_weighed_as_if_it_were_full():
    row = np.array([[1.0, 1, 1]])
    assert lp_pool2d(row, (1, 2), norm_type=1, ceil_mode=True).tolist() == [[2, 2]]


def test_signs_are_kept_as_torch_keeps_them():
    image = np.array([[-1.0, -2], [1, 1]])
    assert lp_pool2d(image, 2, norm_type=1).tolist() == [[-1]]
    assert lp_pool2d(image, 2, norm_type=2)[0, 0] == pytest.approx(math.sqrt(7))
    assert math.isnan(lp_pool2d(image, 2, norm_type=3)[0, 0])  # the cube root of -7
    assert math.isnan(lp_pool2d(image, 2, norm_type=0.5)[0, 0])


# --- what is refused ------------------------------------------------------------------------------

IMAGE = np.ones((4, 6))
COUNT = "must be a whole number"
AXES = "images (4,): must be (H, W), (C, H, W) or (N, C, H, W). Try: np.atleast_2d(images)."
FLOATS = "images of dtype int64: must be floats. Try: images.astype(float)."
NUMBERS = "images of dtype bool: must be integers or floats. Try: images.astype(float)."
BAD = [
    (max_pool2d, {"images": np.ones(4)}, AXES),
    (avg_pool2d, {"images": np.ones((4, 6), int)}, FLOATS),
    (lp_pool2d, {"images": np.ones((4, 6), int)}, FLOATS),
    (lp_pool2d, {"images": np.ones((4, 6), int), "norm_type": math.inf}, FLOATS),
    (max_pool2d, {"images": np.ones((4, 6), bool)}, NUMBERS),
    (max_pool2d, {"kernel_size": 0}, f"kernel_size=0: {COUNT}, 1 or more. Try: kernel_size=1."),
    (
        max_pool2d,
        {"kernel_size": 2.0},
        f"kernel_size=2.0: {COUNT}, 1 or more. Try: kernel_size=1.",
    ),
    (
        max_pool2d,
        {"kernel_size": (2, 2, 2)},
        "kernel_size=(2, 2, 2): must be one number or a pair, (height, width). Try: kernel_size=1.",
    ),
    (max_pool2d, {"stride": 0}, f"stride=0: {COUNT}, 1 or more. Try: stride=1."),
    (max_pool2d, {"stride": (1, -1)}, f"stride=-1: {COUNT}, 1 or more. Try: stride=1."),
    (max_pool2d, {"padding": -1}, f"padding=-1: {COUNT}, 0 or more. Try: padding=0."),
    (
        max_pool2d,
        {"padding": (1,)},
        "padding=(1,): must be one number or a pair, (height, width). Try: padding=0.",
    ),
    (max_pool2d, {"dilation": 0}, f"dilation=0: {COUNT}, 1 or more. Try: dilation=1."),
    (
        max_pool2d,
        {"padding": 2},
        "padding=2: must be at most half of kernel_size=2. Try: padding=1.",
    ),
    (
        max_pool2d,
        {"kernel_size": (4, 3), "padding": (0, 2)},
        "padding=(0, 2): must be at most half of kernel_size=(4, 3). Try: padding=(0, 1).",
    ),
    (
        avg_pool2d,
        {"kernel_size": 3, "padding": 2},
        "padding=2: must be at most half of kernel_size=3. Try: padding=1.",
    ),
    (
        max_pool2d,
        {"images": np.ones((2, 4, 6)), "kernel_size": (5, 5)},
        "kernel_size=(5, 5) on images of (4, 6): the window is larger than the padded image "
        "(padding=0, dilation=1). Try: kernel_size=(4, 5).",
    ),
    (
        max_pool2d,
        {"kernel_size": 5},
        "kernel_size=5 on images of (4, 6): the window is larger than the padded image "
        "(padding=0, dilation=1). Try: kernel_size=(4, 5).",
    ),
    (
        max_pool2d,
        {"kernel_size": (2, 4), "dilation": (1, 3), "padding": 1},
        "kernel_size=(2, 4) on images of (4, 6): the window is larger than the padded image "
        "(padding=1, dilation=(1, 3)). Try: kernel_size=2, padding=0.",
    ),
    (
        avg_pool2d,
        {"kernel_size": (3, 9), "padding": (0, 1)},
        "kernel_size=(3, 9) on images of (4, 6): the window is larger than the padded image "
        "(padding=(0, 1), dilation=1). Try: kernel_size=(3, 6), padding=0.",
    ),
    (
        lp_pool2d,
        {"kernel_size": 7},
        "kernel_size=7 on images of (4, 6): the window is larger than the padded image "
        "(padding=0, dilation=1). Try: kernel_size=(4, 6).",
    ),
    (
        lp_pool2d,
        {"kernel_size": 7, "norm_type": math.inf},
        "kernel_size=7 on images of (4, 6): the window is larger than the padded image "
        "(padding=0, dilation=1). Try: kernel_size=(4, 6).",
    ),
    (max_pool2d, {"ceil_mode": 1}, "ceil_mode=1: must be True or False. Try: ceil_mode=True."),
    (
        avg_pool2d,
        {"ceil_mode": None},
        "ceil_mode=None: must be True or False. Try: ceil_mode=True.",
    ),
    (
        max_pool2d,
        {"return_indices": "yes"},
        "return_indices='yes': must be True or False. Try: return_indices=True.",
    ),
    (
        avg_pool2d,
        {"count_include_pad": 0},
        "count_include_pad=0: must be True or False. Try: count_include_pad=True.",
    ),
    (lp_pool2d, {"norm_type": 0}, "norm_type=0: must be a number above 0. Try: norm_type=2."),
    (lp_pool2d, {"norm_type": -2}, "norm_type=-2: must be a number above 0. Try: norm_type=2."),
    (lp_pool2d, {"norm_type": "2"}, "norm_type='2': must be a number above 0. Try: norm_type=2."),
]


@pytest.mark.parametrize(("pool", "options", "sentence"), BAD)
def test_what_makes_no_sense_is_refused_with_a_way_out_that_works(refused, pool, options, sentence):
    call = {"images": IMAGE, "kernel_size": 2} | options
    if pool is lp_pool2d:
        call = {"norm_type": 2} | call
    with refused(sentence):
        pool(**call)
    attempt = sentence.split("Try: ")[1].removesuffix(".")
    if attempt.startswith(("np.", "images")):
        call["images"] = eval(attempt, {"np": np, "images": call["images"]})
        call["kernel_size"] = 1
    else:
        call |= eval(f"dict({attempt})")
    assert len(pool(**call))


def test_the_reason_that_an_axis_gives_is_kept_as_the_cause():
    with pytest.raises(ValueError, match="larger than the padded image") as caught:
        max_pool2d(IMAGE, 5)
    assert str(caught.value.__cause__).startswith("kernel_size=5 with dilation=1 spans 5 px")


# --- 20,000 settings against torch ----------------------------------------------------------------


def some_images(rng, number):
    """(H, W), (C, H, W) or (N, C, H, W) of few different numbers: many ties, and zeros."""
    shape = (*rng.integers(1, 3, number % 3), *rng.integers(1, 10, 2))
    return rng.integers(-3, 4, shape).astype(float)


def some_sides(rng, low, high):
    """One side or a pair."""
    sides = rng.integers(low, high, 2).tolist()
    return tuple(sides) if rng.integers(2) else sides[0]


def some_window(rng):
    """Settings that all pools have."""
    return {
        "kernel_size": some_sides(rng, 1, 6),
        "stride": some_sides(rng, 1, 6) if rng.integers(3) else None,
        "ceil_mode": bool(rng.integers(2)),
    }


def theirs(pool, images, **options):
    """Result of torch's pool as arrays, or None where it refuses."""
    planes = torch.tensor(images if images.ndim > 2 else images[None])
    try:
        results = pool(planes, **options)
    except RuntimeError:
        return None
    results = results if isinstance(results, tuple) else (results,)
    return [result.numpy().reshape(*images.shape[:-2], *result.shape[-2:]) for result in results]


def ours(pool, images, **options):
    try:
        results = pool(images, **options)
    except ValueError:
        return None
    return results if isinstance(results, tuple) else (results,)


@pytest.mark.parametrize("seed", range(10))
def test_max_pooling_is_torchs_on_1000_random_settings(seed):
    rng, accepted = np.random.default_rng(seed), 0
    for number in range(1_000):
        images = some_images(rng, number)
        if number % 5 == 0:
            images[rng.random(images.shape) < 0.1] = (math.nan, -math.inf)[number % 2]
        elif number % 5 == 1:
            images = images.astype(rng.choice(["int8", "int32", "int64", "float32"]))
        options = some_window(rng) | {
            "padding": some_sides(rng, 0, 3),
            "dilation": some_sides(rng, 1, 4),
            "return_indices": True,
        }
        expected, found = (
            theirs(F.max_pool2d, images, **options),
            ours(max_pool2d, images, **options),
        )
        assert (found is None) == (expected is None), (images.shape, options)
        if found is None:
            continue
        accepted += 1
        values, indices = found
        assert values.dtype == images.dtype
        np.testing.assert_array_equal(values, expected[0], err_msg=str(options))
        known = (indices >= 0) & ~np.isnan(values)  # torch names the last nan, and no pixel oddly
        np.testing.assert_array_equal(indices[known], expected[1][known], err_msg=str(options))
    assert 200 < accepted < 800


@pytest.mark.parametrize("seed", range(6))
def test_average_pooling_is_torchs_on_1000_random_settings(seed):
    rng, accepted = np.random.default_rng(seed), 0
    for number in range(1_000):
        images = some_images(rng, number)
        options = some_window(rng) | {
            "padding": some_sides(rng, 0, 3),
            "count_include_pad": bool(rng.integers(2)),
        }
        expected, found = (
            theirs(F.avg_pool2d, images, **options),
            ours(avg_pool2d, images, **options),
        )
        assert (found is None) == (expected is None), (images.shape, options)
        if found is not None:
            accepted += 1
            np.testing.assert_allclose(found, expected, atol=1e-12, err_msg=str(options))
    assert 200 < accepted < 800


@pytest.mark.parametrize("seed", range(4))
def test_lp_pooling_is_torchs_on_1000_random_settings(seed):
    rng, accepted = np.random.default_rng(seed), 0
    for number in range(1_000):
        images = some_images(rng, number)
        options = some_window(rng) | {"norm_type": (1, 2, 3, 0.5, 2.5, math.inf)[number % 6]}
        expected = theirs(F.lp_pool2d, images, **options)
        found = ours(lp_pool2d, images, **options)
        assert (found is None) == (expected is None), (images.shape, options)
        if found is not None:
            accepted += 1
            np.testing.assert_allclose(found, expected, atol=1e-12, err_msg=str(options))
    assert 200 < accepted < 950
