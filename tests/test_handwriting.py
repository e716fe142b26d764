import numpy as np
import pytest

from cnncourse import data, handwriting
from cnncourse.handwriting import HABITS, prepare


def ink(*, top, left, height, width, side=140):
    """A pad with one solid block of ink."""
    pad = np.zeros((side, side))
    pad[top : top + height, left : left + width] = 1
    return pad


def box(picture):
    """(top, left, height, width) of what is not black."""
    rows, columns = (np.flatnonzero((picture > 0).any(axis=axis)) for axis in (1, 0))
    return rows[0], columns[0], len(rows), len(columns)


def test_a_block_of_four_pixels_becomes_20_px_in_the_middle_wherever_it_was():
    for top, left in [(0, 0), (138, 3), (70, 138)]:
        steps = prepare(ink(top=top, left=left, height=2, width=2))
        assert (steps.top, steps.left, steps.cut.tolist()) == (top, left, [[1, 1], [1, 1]])
        assert steps.scaled.tolist() == np.ones((20, 20)).tolist()
        assert steps.mass == pytest.approx((9.5, 9.5))
        assert box(steps.placed) == (4, 4, 20, 20)  # 14 - 9.5 = 4.5, to the even one


@pytest.mark.parametrize(
    ("height", "width", "size"), [(40, 20, (20, 10)), (10, 100, (2, 20)), (140, 1, (20, 1))]
)
def test_the_longer_side_becomes_20_px_and_the_aspect_stays(height, width, size):
    steps = prepare(ink(top=0, left=5, height=height, width=width))
    assert steps.scaled.shape == size
    assert box(steps.placed)[2:] == size


def test_the_centre_of_mass_comes_to_the_middle_not_the_centre_of_the_box():
    pad = ink(top=50, left=60, height=20, width=5)
    pad[65:70, 60:80] = 1  # an L: 100 px in the stem, 75 more in the foot
    steps = prepare(pad)
    row = (100 * 9.5 + 75 * 17) / 175
    column = (100 * 2 + 75 * 12) / 175
    assert steps.mass == pytest.approx((row, column))
    assert (steps.down, steps.right) == (14 - 13, 14 - 6)  # 12.71 and 6.29, to the nearest


def test_nothing_leaves_the_picture_however_uneven_the_ink_is():
    pad = ink(top=0, left=0, height=100, width=2)
    pad[0:2, 0:100] = 1
    pad[0:40, 0:40] = 1  # nearly all of it in one corner
    steps = prepare(pad)
    assert (steps.down, steps.right) == (8, 8)  # 14 - mass is more, and 28 - 20 is all there is
    assert steps.placed.sum() == pytest.approx(steps.scaled.sum())


@pytest.mark.parametrize("level", [0.0, handwriting.FAINT])
def test_an_empty_pad_says_so(refused, level):
    with refused(
        "there is no ink on the pad. Try: draw a digit, or press one of the sample digits."
    ):
        prepare(np.full((140, 140), level))


# --- spoilt on purpose ----------------------------------------------------------------------------


def test_in_the_corner_it_begins_at_the_first_row_and_column():
    assert box(prepare(ink(top=9, left=9, height=4, width=2), "corner").placed) == (0, 0, 20, 10)


def test_not_scaled_a_drawing_shrinks_as_the_pad_does():
    steps = prepare(ink(top=0, left=0, height=50, width=25), "not scaled")
    assert steps.scaled.shape == (10, 5)  # 140 px of the pad are 28
    assert box(steps.placed) == (10, 12, 10, 5)


@pytest.mark.parametrize(("habit", "size"), [("thick", (30, 20)), ("thin", (14, 4))])
def test_strokes_are_thicker_or_thinner_at_each_edge(habit, size):
    assert prepare(ink(top=50, left=50, height=20, width=10), habit).cut.shape == size


def test_a_stroke_too_thin_to_be_thinned_is_told(refused):
    with refused("the strokes are so thin that nothing is left. Try: another habit."):
        prepare(ink(top=50, left=50, height=60, width=5), "thin")
    with refused(handwriting.NO_INK):
        prepare(np.zeros((140, 140)), "thin")


def test_inverted_is_black_on_white():
    pad = ink(top=50, left=50, height=60, width=20)
    inverted = prepare(pad, "inverted").placed
    np.testing.assert_allclose(inverted, 1 - prepare(pad).placed)


def test_every_habit_gives_its_own_picture():
    pad = ink(top=50, left=50, height=60, width=20)
    pictures = {prepare(pad, habit).placed.tobytes() for habit in HABITS}
    assert len(pictures) == len(HABITS) == 6


# --- a digit as a drawing -------------------------------------------------------------------------


def test_a_digit_is_put_on_the_pad_enlarged_where_it_is_told():
    pad = handwriting.on_pad(np.ones((3, 2)), side_px=40, scale=5.0, down_px=7, right_px=11)
    assert box(pad) == (7, 11, 15, 10)
    assert pad.max() == 1


def test_what_does_not_fit_on_the_pad_is_refused(refused):
    with refused(
        "scale=5.0: 20 x 10 px at (25, 0) do not fit on a pad of 40 px. "
        "Try: scale=5.0, nearer to (0, 0)."
    ):
        handwriting.on_pad(np.ones((4, 2)), side_px=40, scale=5.0, down_px=25, right_px=0)


def test_real_digits_drawn_anywhere_at_any_size_come_back_as_they_were(rng):
    """Measured: mean difference 0.037 of the range over 500 digits; 0.22 in the corner."""
    digits = data.load("mnist", sample=True).test.images[:200, 0].double().numpy()
    differences = {"as MNIST": [], "corner": []}
    for digit in digits:
        scale = rng.uniform(2, 5)
        down, right = rng.integers(0, 140 - round(28 * scale) + 1, size=2)
        place = {"down_px": int(down), "right_px": int(right)}
        pad = handwriting.on_pad(digit, side_px=140, scale=scale, **place)
        for habit, found in differences.items():
            found.append(abs(prepare(pad, habit).placed - digit).mean())
    assert np.mean(differences["as MNIST"]) < 0.045
    assert np.mean(differences["corner"]) > 0.15
