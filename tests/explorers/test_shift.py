import io

import numpy as np
import pytest
from PIL import Image

from cnncourse import images
from cnncourse.explorers import shift
from cnncourse.explorers.shift import COMPARISONS, POOLS, moved, relative_error, shifted

ALONG, STILL = COMPARISONS


def pixels(png: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(png)).convert("RGB"))


# --- moves and errors -----------------------------------------------------------------------------


def test_a_map_moves_by_whole_cells_and_by_parts_of_one():
    row = np.array([[0.0, 8, 0, 0]])
    assert moved(row, 0, 1).tolist() == [[0, 0, 8, 0]]
    assert moved(row, 0, -1).tolist() == [[8, 0, 0, 0]]
    assert moved(row, 0, 0.5).tolist() == [[0, 4, 4, 0]]
    assert moved(row, 0, -0.25).tolist() == [[2, 6, 0, 0]]
    assert moved(row.T, 2.5, 0).T.tolist() == [[4, 0, 0, 4]]


def test_a_move_goes_to_the_place_and_back(rng):
    maps = rng.normal(size=(2, 5, 6))
    np.testing.assert_array_equal(moved(moved(maps, 2, -3), -2, 3), maps)
    np.testing.assert_array_equal(moved(maps, 0, 0), maps)


def test_the_error_is_0_for_equal_2_for_opposite_and_the_root_of_2_for_unrelated_maps(rng):
    flat, other = np.zeros((3, 3)), np.ones((3, 3))
    assert relative_error(flat, flat) == relative_error(other, other) == 0
    assert relative_error(flat, other) == 2
    one, two = rng.normal(size=(2, 300, 300))
    assert relative_error(one, two) == pytest.approx(2**0.5, abs=0.01)


def test_the_error_does_not_depend_on_brightness_or_contrast(rng):
    one, two = rng.normal(size=(2, 5, 5))
    assert relative_error(3 * one + 7, 3 * two + 7) == pytest.approx(relative_error(one, two))


# --- the pools ------------------------------------------------------------------------------------


def test_each_pool_halves_a_small_map_as_by_hand():
    maps = np.array([[0.0, 4, 0, 0], [0, 0, 0, 0], [0, 0, 8, 0], [0, 0, 0, 0]])
    assert POOLS["stride"](maps, 2).tolist() == [[0, 0], [0, 8]]
    assert POOLS["max"](maps, 2).tolist() == [[4, 0], [0, 8]]
    assert POOLS["average"](maps, 2).tolist() == [[1, 0], [0, 2]]
    # (1, 2, 1) / 4 along both axes; the border mirrors, so the 4 counts twice from the left
    assert POOLS["blur"](maps, 2).tolist() == [[4 / 4, 4 / 8], [0, 8 / 4]]


def test_max_then_blur_is_the_maximum_at_every_pixel_then_blur_pooling(rng):
    maps = rng.normal(size=(12, 12))
    dense = np.maximum(
        np.maximum(maps[:-1, :-1], maps[1:, :-1]), np.maximum(maps[:-1, 1:], maps[1:, 1:])
    )
    np.testing.assert_allclose(POOLS["max, then blur"](maps, 2), POOLS["blur"](dense, 2))


@pytest.mark.parametrize(("stride", "middle"), [(1, 2 / 4), (2, 2 / 4), (4, 20 / 64)])
def test_the_blur_is_a_row_of_pascals_triangle_wider_for_a_larger_stride(stride, middle):
    dot = np.zeros((17, 17))
    dot[8, 8] = 1
    assert POOLS["blur"](dot, stride)[8 // stride, 8 // stride] == middle**2


@pytest.mark.parametrize("name", POOLS)
@pytest.mark.parametrize("stride", shift.STRIDES)
def test_a_pool_leaves_one_cell_for_every_stride_pixels(name, stride):
    height, width = POOLS[name](np.zeros((24, 32)), stride).shape
    assert abs(height - 24 // stride) <= 1
    assert abs(width - 32 // stride) <= 1


# --- what a move does -----------------------------------------------------------------------------


@pytest.mark.parametrize("stride", shift.STRIDES)
@pytest.mark.parametrize("edges", [True, False])
def test_a_move_by_a_multiple_of_the_stride_costs_nothing(stride, edges):
    shown = shifted("coffee", edges, -stride, 2 * stride, stride, ALONG)
    assert [pool.equivariance_error for pool in shown.pools.values()] == [0] * 5
    assert all(pool.invariance_error > 0.1 for pool in shown.pools.values())


def test_without_a_move_nothing_changes():
    shown = shifted("brick", True, 0, 0, 2, STILL)
    errors = [(p.equivariance_error, p.invariance_error) for p in shown.pools.values()]
    assert errors == [(0, 0)] * 5


@pytest.mark.parametrize("picture", shift.PARTS)
def test_on_every_photograph_blur_helps_and_the_bare_stride_is_worst(picture):
    pools = shifted(picture, True, 1, 0, 2, ALONG).pools
    error = {name: pool.equivariance_error for name, pool in pools.items()}
    assert error["stride"] > error["max"] > error["max, then blur"]
    assert error["average"] > error["blur"]


def test_the_picture_moves_right_and_down():
    shown = shifted("rocket", False, 3, -2, 2, ALONG)
    np.testing.assert_array_equal(shown.moving[:-2, 3:], shown.still[2:, :-3])
    whole = images.gray(images.photo("rocket"))
    top, left = shift.PARTS["rocket"]
    side = shift.SHOWN_PX
    np.testing.assert_array_equal(shown.still, whole[top : top + side, left : left + side])


def test_stripes_of_one_pixel_turn_over_for_every_second_pixel_and_vanish_for_the_others():
    pools = shifted("stripes of 1 px", False, 1, 0, 2, STILL).pools
    errors = {name: round(pool.invariance_error, 6) for name, pool in pools.items()}
    assert errors == {"stride": 2, "max": 0, "average": 0, "blur": 0, "max, then blur": 0}


def test_max_pooling_does_not_notice_a_pixel_that_stays_in_its_window():
    pools = shifted("one pixel", False, 1, 0, 2, STILL).pools
    assert pools["max"].invariance_error == 0
    assert pools["stride"].invariance_error > 1.4
    # A binomial blur is read off between its cells without any error.
    assert pools["blur"].equivariance_error < 1e-12 < pools["max"].equivariance_error


def test_edges_are_those_of_the_whole_picture():
    shown = shifted("stripes of 3 px", True, 0, 0, 2, ALONG)
    assert set(np.unique(shown.still)) == {0, 4}  # Sobel's answer to a step of 1


# --- the explorer ---------------------------------------------------------------------------------


def test_the_sentence_names_the_move_and_every_error():
    shown = shifted("stripes of 1 px", False, 1, 0, 2, STILL)
    assert shift.sentence(shown) == (
        "moved 1 px to the right and 0 px down, stride 2: invariance error stride 2.000, "
        "max 0.000, average 0.000, blur 0.000, max, then blur 0.000"
    )
    shown = shifted("chelsea", True, -4, 8, 4, ALONG)
    assert shift.sentence(shown) == (
        "moved -4 px to the right and 8 px down, stride 4: equivariance error stride 0.000, "
        "max 0.000, average 0.000, blur 0.000, max, then blur 0.000"
    )


def test_what_cannot_be_is_refused(refused):
    with refused("right=9: must be from -8 to 8, where the picture ends. Try: right=8."):
        shifted("chelsea", True, 9, 0, 2, ALONG)
    with refused("down=-9: must be from -8 to 8, where the picture ends. Try: down=8."):
        shifted("chelsea", True, 0, -9, 2, ALONG)
    with refused("stride=3: must be one of (1, 2, 4). Try: stride=2."):
        shifted("chelsea", True, 0, 0, 3, ALONG)
    with pytest.raises(ValueError, match=r"'chelsee': unknown picture. Did you mean 'chelsea'\?"):
        shifted("chelsee", True, 0, 0, 2, ALONG)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("right", 8),
        ("right", -8),
        ("down", 8),
        ("down", -8),
        ("stride", 1),
        ("stride", 4),
        ("edges", False),
        ("compare", STILL),
        ("picture", "coins"),
        ("picture", "one pixel"),
    ],
)
def test_every_control_changes_the_picture_and_the_words(name, value):
    explorer = shift.explorer()
    before = explorer.png, explorer.words
    explorer.controls[name].value = value
    assert explorer.png != before[0]
    assert explorer.words != before[1]
    assert pixels(explorer.png).shape == pixels(before[0]).shape
    assert 'role="status"' in explorer.message.value


def test_the_difference_is_white_where_nothing_is_wrong_and_coloured_where_it_is():
    def lowest_row(right: int) -> np.ndarray:
        png = shift.draw(shifted("chelsea", True, right, 0, 2, ALONG)).png()
        top = 2 * (shift.TOP_PX + 2 * shift.ROW_PX) + 4
        left = 2 * (shift.LEFT_PX + shift.STEP_PX) + 4  # the first pool's difference, inside
        return pixels(png)[top : top + 200, left : left + 200]

    assert (lowest_row(2) == 255).all()
    assert (lowest_row(1) < 255).any()


def test_half_of_white_is_full_colour_in_a_difference():
    # Moved along, half of white lies in two cells. Every second pixel has lost the bright one, and
    # both halves are missing; max pooling still has it in the first cell, one half is missing.
    png = shift.draw(shifted("one pixel", False, 1, 0, 2, ALONG)).png()
    assert (pixels(png) == [213, 94, 0]).all(axis=-1).sum() == 3 * 8 * 8  # a cell's side is 8 px


def test_the_lesson_opens_on_the_rim_of_an_eye():
    assert repr(shift.explorer()) == (
        "Shift(picture='chelsea', edges=True, right=1, down=0, stride=2, "
        "compare='the map moved along (equivariance)'): moved 1 px to the right and 0 px down, "
        "stride 2: equivariance error stride 0.494, max 0.413, average 0.354, blur 0.220, "
        "max, then blur 0.218"
    )
