import numpy as np
import pytest

from cnncourse import images
from cnncourse.explorers import pixels


@pytest.mark.parametrize(("channel", "axis"), [("red", 0), ("green", 1), ("blue", 2)])
def test_the_windows_values_are_the_photographs(channel, axis):
    shown = pixels.window("coffee", channel, row=30, column=500)
    np.testing.assert_array_equal(shown.values, images.photo("coffee")[30:38, 500:508, axis])


def test_the_sentence_tells_place_range_and_mean():
    values = np.arange(64).reshape(8, 8)
    shown = pixels.Window("chelsea", "red", row=3, column=4, values=values)
    assert pixels.sentence(shown) == (
        "red, 8 x 8 px from row 3 and column 4: values 0 to 63, mean 31.5"
    )


def test_the_last_window_ends_at_the_border_and_the_next_is_refused(refused):
    assert pixels.window("chelsea", "red", row=292, column=443).values.shape == (8, 8)
    with refused(
        "row=293: must be from 0 to 292, or the window sticks out of chelsea. Try: row=0."
    ):
        pixels.window("chelsea", "red", row=293, column=0)
    with refused(
        "column=-1: must be from 0 to 443, or the window sticks out of chelsea. Try: column=0."
    ):
        pixels.window("chelsea", "red", row=0, column=-1)


def test_a_smaller_photograph_brings_the_window_back_inside():
    explorer = pixels.explorer()
    row, column = explorer.controls["row"], explorer.controls["column"]
    explorer.controls["photo"].value = "rocket"  # 427 x 640
    row.value, column.value = row.max, column.max
    assert (row.value, column.value) == (419, 632)
    explorer.controls["photo"].value = "chelsea"  # 300 x 451
    assert (row.value, column.value) == (292, 443)
    assert "row 292 and column 443" in explorer.words
    assert 'role="status"' in explorer.message.value


def test_what_the_lesson_says_of_the_cats_eye():
    lid = pixels.window("chelsea", "red", row=82, column=144).values
    assert lid[:3].min() > 150
    assert lid[6:].max() < 70
    means = [
        pixels.window("chelsea", channel, row=126, column=150).values.mean()
        for channel in pixels.CHANNELS
    ]
    assert means[0] > means[1] > means[2]  # it looks green, and red is the largest


def test_the_explorer_opens_on_that_lid():
    assert repr(pixels.explorer()) == (
        "Pixels(photo='chelsea', channel='red', row=82, column=144): red, 8 x 8 px from row 82 "
        "and column 144: values 24 to 198, mean 113.7"
    )
