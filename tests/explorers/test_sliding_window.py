import numpy as np
import pytest

from cnncourse.explorers import sliding_window

CHECKERS = "1 0 1 0 1\n0 1 0 1 0\n1 0 1 0 1\n0 1 0 1 0\n1 0 1 0 1"
CROSS = "1 0 1\n0 1 0\n1 0 1"


def test_the_first_window_of_the_example_sums_to_five():
    shown = sliding_window.window_at(CHECKERS, CROSS, flip=False, step=1)
    assert shown.products.tolist() == [[1, 0, 1], [0, 1, 0], [1, 0, 1]]
    assert (shown.row, shown.column) == (0, 0)
    assert sliding_window.written_sum(shown) == [
        "1·1 + 0·0 + 1·1   →   2",
        "0·0 + 1·1 + 0·0   →   3",
        "1·1 + 0·0 + 1·1   →   5",
    ]


def test_the_map_is_filled_as_far_as_the_window_has_come():
    shown = sliding_window.window_at(CHECKERS, CROSS, flip=False, step=5)
    assert (shown.row, shown.column) == (1, 1)
    assert np.isnan(shown.feature_map).sum() == 4
    assert shown.feature_map.ravel()[:5].tolist() == [5, 0, 5, 0, 5]


def test_a_map_wider_than_high_is_walked_row_by_row():
    shown = sliding_window.window_at("1 2 3\n4 5 6", "1 1", flip=False, step=3)
    assert (shown.row, shown.column) == (1, 0)
    assert shown.products.tolist() == [[4, 5]]


def test_flipping_turns_the_kernel_by_180_degrees():
    shown = sliding_window.window_at("1 0\n0 0", "1 2\n3 4", flip=True, step=1)
    assert shown.kernel.tolist() == [[4, 3], [2, 1]]
    assert shown.feature_map.tolist() == [[4]]


def test_a_factor_below_zero_is_in_brackets():
    shown = sliding_window.window_at("1 2", "-1 0.5", flip=False, step=1)
    assert sliding_window.written_sum(shown) == ["1·(−1) + 2·0.5   →   0"]


@pytest.mark.parametrize(
    ("image", "kernel", "step", "said"),
    [
        (
            "1 2\n3 4",
            CROSS,
            1,
            "kernel (3, 3) on image (2, 2): the window is larger than the image. "
            "Try: a kernel of at most 2x2.",
        ),
        (
            CHECKERS,
            CROSS,
            10,
            "step=10: the window has 9 places to stand, counted from 1. Try: step=1.",
        ),
        (
            CHECKERS,
            CROSS,
            0,
            "step=0: the window has 9 places to stand, counted from 1. Try: step=1.",
        ),
        ("1 2\n3", "1", 1, "image: row 2 has 1 number, row 1 has 2. Try: 2 numbers in each row."),
        ("1", "one", 1, "kernel='one': is no number. Try: 2, -0.5 or 1/9."),
    ],
)
def test_what_cannot_be_slid_is_said(image, kernel, step, said, refused):
    with refused(said):
        sliding_window.window_at(image, kernel, flip=False, step=step)


def test_the_sentence_names_place_sum_and_shape():
    explorer = sliding_window.explorer()
    explorer.controls["step"].value = 2
    assert explorer.words == (
        "cross-correlation, the window's upper left corner at row 0, column 1: the products sum "
        "to 0; the feature map has shape (3, 3)"
    )
    explorer.controls["flip"].value = True
    assert explorer.words.startswith("convolution, ")


def test_every_step_is_another_picture():
    explorer = sliding_window.explorer()
    pictures = set()
    for step in range(1, 10):
        explorer.controls["step"].value = step
        pictures.add(explorer.png)
    assert len(pictures) == 9


def test_the_last_line_of_a_long_sum_is_above_the_edge():
    explorer = sliding_window.explorer()
    explorer.controls["image"].value = "\n".join(["1 2 3 4 5 6 7 8 9"] * 9)
    explorer.controls["kernel"].value = "\n".join(["1 1 1"] * 9)
    pixels = np.asarray(explorer.drawn.canvas.convert("L"))
    lines = pixels[:, : pixels.shape[1] // 3].min(axis=1) < 128
    assert lines[-len(lines) // 20 :].any()
    assert not lines[-len(lines) // 80 :].any()


def test_an_example_brings_its_picture_and_kernel_and_begins_anew():
    explorer = sliding_window.explorer()
    explorer.controls["step"].value = 9
    explorer.controls["example"].value = "edge, Sobel"
    assert explorer.controls["kernel"].value == "-1 0 1\n-2 0 2\n-1 0 1"
    assert (explorer.controls["step"].value, explorer.controls["step"].max) == (1, 12)
    explorer.controls["step"].value = 2
    assert "the products sum to 4;" in explorer.words


def test_a_number_being_typed_leaves_the_picture_and_says_what_is_missing():
    explorer = sliding_window.explorer()
    before = explorer.png
    explorer.controls["image"].value = CHECKERS + " 1"
    assert 'role="alert"' in explorer.message.value
    assert "image: row 5 has 6 numbers, row 1 has 5." in explorer.message.value
    assert explorer.png == before
    explorer.controls["image"].value = CHECKERS.replace("1", "2")
    assert "the products sum to 10;" in explorer.words


def test_a_smaller_picture_brings_the_step_back_inside():
    explorer = sliding_window.explorer()
    explorer.controls["step"].value = 9
    explorer.controls["image"].value = "1 2 3\n4 5 6\n7 8 9"
    assert (explorer.controls["step"].value, explorer.controls["step"].max) == (1, 1)
    assert 'role="status"' in explorer.message.value


def test_the_play_button_moves_the_step():
    explorer = sliding_window.explorer()
    slider, button = explorer.children[0].children[-1].children
    assert slider is explorer.controls["step"]
    assert (button.min, button.max) == (1, 9)
    explorer.controls["example"].value = "mean of four"
    assert button.max == slider.max == 9
    explorer.controls["image"].value = "1 2 3\n4 5 6"
    assert button.max == slider.max == 2
