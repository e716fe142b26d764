import numpy as np
import pytest
import torch
from torch.nn import functional as F

from cnncourse.explorers.convolution_arithmetic import BORDER
from cnncourse.explorers.transposed import (
    draw,
    explorer,
    formula,
    inner_counts,
    sentence,
    stamps_at,
)
from cnncourse.sketch import SCALE

PLAIN = {
    "size": 2,
    "kernel_size": 3,
    "stride": 2,
    "padding": 0,
    "output_padding": 0,
    "dilation": 1,
    "step": 4,
}


def stamps(**changed):
    return stamps_at(**(PLAIN | changed))


def test_four_stamps_of_three_overlap_in_the_middle():
    assert stamps().overlap.tolist() == [
        [1, 1, 2, 1, 1],
        [1, 1, 2, 1, 1],
        [2, 2, 4, 2, 2],
        [1, 1, 2, 1, 1],
        [1, 1, 2, 1, 1],
    ]


def test_the_first_stamp_stands_alone():
    shown = stamps(step=1)
    assert shown.overlap.sum() == 9
    assert shown.overlap[:3, :3].all()
    assert stamps(step=2).overlap[0].tolist() == [1, 1, 2, 1, 1]
    assert stamps(step=3).place == (1, 0)


def test_padding_cuts_a_frame_and_output_padding_adds_at_the_end():
    shown = stamps(padding=1, output_padding=1)
    assert shown.output_size == 4
    assert shown.overlap.shape == (6, 6)
    assert shown.overlap[5].sum() == 0
    assert shown.cut.sum() == 36 - 16
    assert not shown.cut[1:5, 1:5].any()


@pytest.mark.parametrize("kernel_size", [1, 2, 3, 4, 6])
@pytest.mark.parametrize(("stride", "dilation"), [(1, 1), (2, 1), (3, 1), (2, 2), (3, 2)])
def test_inner_counts_are_those_of_a_long_row(kernel_size, stride, dilation):
    ones = torch.ones(1, 1, 30), torch.ones(1, 1, kernel_size)
    row = F.conv_transpose1d(*ones, stride=stride, dilation=dilation)[0, 0].int()
    inside = row[15 * stride : 16 * stride].tolist()
    counts = inner_counts(kernel_size=kernel_size, stride=stride, dilation=dilation)
    assert counts == inside


@pytest.mark.parametrize(("padding", "extra", "dilation"), [(0, 0, 1), (1, 1, 1), (2, 0, 2)])
def test_what_is_kept_is_torchs_output(padding, extra, dilation):
    chosen = {"padding": padding, "output_padding": extra, "dilation": dilation}
    shown = stamps(size=4, step=16, **chosen)
    ones = torch.ones(1, 1, 4, 4), torch.ones(1, 1, 3, 3)
    expected = F.conv_transpose2d(*ones, stride=2, **chosen)[0, 0].numpy()
    kept = shown.overlap[~shown.cut].reshape(shown.output_size, shown.output_size)
    np.testing.assert_array_equal(kept, expected)


def test_formula_and_sentence_have_the_numbers():
    shown = stamps(size=4, step=7, padding=1, output_padding=1)
    assert formula(shown)[1] == "= (4 − 1)·2 + 1·(3 − 1) + 1 + 1 − 2·1 = 8"
    assert sentence(shown) == (
        "4 x 4 to 8 x 8; 7 of 16 stamps of 9 pixels each; in the end, output pixels far from the "
        "border get from 1 to 4: uneven"
    )
    assert sentence(stamps(kernel_size=4)).endswith(
        "in the end, each output pixel far from the border gets 4: even"
    )
    assert "get from 0 to 1: uneven" in sentence(stamps(kernel_size=2, stride=3))


def test_impossible_settings_are_refused_with_a_way_out(refused):
    with refused(
        "output_padding=2: must be smaller than stride=2 or dilation=1. Try: output_padding=1."
    ):
        stamps(output_padding=2)
    with refused(
        "padding=1: takes 2 px from an output of 1 px, and nothing is left. Try: padding=0."
    ):
        stamps(size=1, kernel_size=1, padding=1, step=1)
    with refused("step=5: the picture has 4 pixels, counted from 1. Try: step=1."):
        stamps(step=5)


def test_what_is_refused_is_said_and_the_picture_stays():
    shown = explorer()
    before = shown.png, shown.words
    shown.controls["output_padding"].value = 2
    assert "must be smaller than stride=2" in shown.message.value
    assert (shown.png, shown.words) == before
    shown.controls["stride"].value = 3
    assert 'role="status"' in shown.message.value
    assert shown.words.startswith("4 x 4 to 14 x 14")


def test_the_step_slider_ends_at_the_last_pixel():
    shown = explorer()
    shown.controls["size"].value = 5
    assert shown.controls["step"].max == 25
    shown.controls["size"].value = 1
    assert (shown.controls["step"].max, shown.controls["step"].value) == (1, 1)


def test_what_is_stamped_to_the_end_stays_so_in_a_larger_picture_and_else_the_step_stays():
    shown = explorer()
    shown.controls["size"].value = 5
    assert shown.controls["step"].value == 25
    shown.controls["step"].value = 7
    shown.controls["size"].value = 4
    assert (shown.controls["step"].max, shown.controls["step"].value) == (16, 7)


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("size", 5, "5 x 5 to 11 x 11; 25 of 25"),
        ("kernel_size", 4, "gets 4: even"),
        ("stride", 1, "4 x 4 to 6 x 6"),
        ("stride", 3, "gets 1: even"),
        ("padding", 3, "4 x 4 to 3 x 3"),
        ("output_padding", 1, "4 x 4 to 10 x 10"),
        ("dilation", 2, "4 x 4 to 11 x 11"),
        ("step", 5, "5 of 16 stamps"),
    ],
)
def test_every_control_changes_picture_and_words(name, value, words):
    shown = explorer()
    before = shown.png
    shown.controls[name].value = value
    assert words in shown.words
    assert shown.png != before


def test_pictures_have_one_size():
    changes = ({}, {"size": 5, "padding": 3, "dilation": 2}, {"size": 1, "step": 1})
    assert len({draw(stamps(**changed)).canvas.size for changed in changes}) == 1


def cell_color(page, row, column, *, cell_px):
    """Colour near the upper left corner of a cell of the canvas."""
    y, x = 40 + row * cell_px + 5, 290 + column * cell_px + 5
    return page.canvas.getpixel((SCALE * x, SCALE * y))


def test_the_more_stamps_the_darker_and_what_padding_cuts_is_gray():
    page = draw(stamps(size=3, step=9, output_padding=1, padding=1))  # 8 x 8 cells of 48 px
    one, two, four = (sum(cell_color(page, *at, cell_px=48)) for at in ((1, 1), (2, 1), (2, 2)))
    assert one > two > four
    assert cell_color(page, 7, 7, cell_px=48) == BORDER  # no stamp reaches it


def test_the_explorer_opens_on_a_checkerboard():
    assert repr(explorer()) == (
        "TransposedConvolution(size=4, kernel_size=3, stride=2, padding=0, output_padding=0, "
        "dilation=1, step=16): 4 x 4 to 9 x 9; 16 of 16 stamps of 9 pixels each; in the end, "
        "output pixels far from the border get from 1 to 4: uneven"
    )
