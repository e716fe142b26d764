import numpy as np
import pytest
import torch
from torch import nn

from cnncourse.explorers.convolution_arithmetic import (
    BORDER,
    TAP,
    UNREAD,
    draw,
    explorer,
    formula,
    sentence,
    window_at,
)
from cnncourse.sketch import SCALE

PLAIN = {
    "size": 6,
    "kernel_size": 3,
    "stride": 2,
    "padding": 0,
    "padding_mode": "zeros",
    "dilation": 1,
    "in_channels": 1,
    "out_channels": 1,
    "groups": 1,
    "bias": True,
    "step": 2,
}


def window(**changed):
    return window_at(**(PLAIN | changed))


def taps(shown):
    return [numbers.tolist() for numbers in shown.taps]


def test_stride_two_rounds_down_and_leaves_the_last_row_and_column_unread():
    shown = window()
    assert shown.places == 2
    assert taps(shown) == [[0, 1, 2], [2, 3, 4]]
    assert shown.read.tolist() == [True] * 5 + [False]
    assert shown.unread.sum() == 11
    assert shown.unread[5].all()
    assert shown.unread[:, 5].all()


def test_a_stride_beyond_the_kernel_leaves_gaps():
    assert window(kernel_size=2, stride=3).read.tolist() == [True, True, False] * 2


def test_dilated_taps_stand_apart():
    shown = window(dilation=2, stride=1, step=4)
    assert shown.places == 2
    assert taps(shown) == [[1, 3, 5], [1, 3, 5]]
    lonely = window(dilation=2, stride=2, step=1)
    assert lonely.read.tolist() == [True, False] * 3
    assert lonely.unread.sum() == 36 - 9


def test_padding_is_drawn_with_the_pixels_that_it_copies():
    assert window(size=3, stride=1, padding=1).padded.tolist() == [
        [0, 0, 0, 0, 0],
        [0, 1, 2, 3, 0],
        [0, 4, 5, 6, 0],
        [0, 7, 8, 9, 0],
        [0, 0, 0, 0, 0],
    ]
    mirrored = window(size=3, stride=1, padding=1, padding_mode="reflect")
    assert mirrored.padded[0].tolist() == [5, 4, 5, 6, 5]
    assert mirrored.outside.sum() == 25 - 9
    assert not mirrored.outside[1:4, 1:4].any()
    around = window(size=3, stride=1, padding=2, padding_mode="circular", step=1)
    assert around.padded[2].tolist() == [2, 3, 1, 2, 3, 1, 2]


def test_padding_is_not_among_the_unread_pixels():
    shown = window(kernel_size=1, stride=4, padding=1, step=1)
    assert shown.read.tolist() == [True, False, False, False, True, False, False, False]
    assert shown.unread.sum() == 36 - 1


def test_same_puts_the_odd_pixel_after():
    shown = window(size=3, kernel_size=4, stride=1, padding="same")
    assert (shown.sides, shown.places) == ((1, 2), 3)
    assert formula(shown)[1] == (
        "= ⌊(3 + (1 + 2) − 1·(4 − 1) − 1) / 1⌋ + 1 = ⌊2 / 1⌋ + 1 = ⌊2⌋ + 1 = 3"
    )


def test_the_sentence_counts_from_the_picture_where_the_padding_is_uneven():
    same = window(kernel_size=4, stride=1, padding="same", step=1)
    assert "first tap at row -1, column -1 of the picture" in sentence(same)


def test_the_formula_has_the_numbers_in_it():
    assert formula(window(in_channels=4, out_channels=6, groups=2)) == [
        "output = ⌊(size + 2·padding − dilation·(kernel_size − 1) − 1) / stride⌋ + 1",
        "= ⌊(6 + 2·0 − 1·(3 − 1) − 1) / 2⌋ + 1 = ⌊3 / 2⌋ + 1 = ⌊1.5⌋ + 1 = 2",
        "parameters = out_channels · (in_channels / groups · kernel_size² + 1)",
        "= 6 · (4 / 2 · 9 + 1) = 114",
    ]
    assert formula(window(bias=False))[2:] == [
        "parameters = out_channels · (in_channels / groups · kernel_size²)",
        "= 1 · (1 / 1 · 9) = 9",
    ]


def test_the_sentence_counts_from_the_pictures_first_pixel():
    assert sentence(window(padding=1, out_channels=8)) == (
        "output (8, 3, 3); window 2 of 9: its first tap at row -1, column 1 of the picture, its "
        "last at row 1, column 3; 0 of 36 pixels are never under a tap; 80 parameters"
    )


@pytest.mark.parametrize("padding", [0, 2, "same", "valid"])
@pytest.mark.parametrize(("kernel_size", "dilation", "stride"), [(3, 1, 1), (2, 2, 1), (4, 1, 2)])
@pytest.mark.parametrize("padding_mode", ["zeros", "reflect", "replicate", "circular"])
@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel lengths")
def test_it_gives_torchs_size_reads_torchs_pixels_and_refuses_what_torch_refuses(
    padding, kernel_size, dilation, stride, padding_mode
):
    def layer():
        return nn.Conv2d(
            1, 1, kernel_size, stride, padding, dilation, bias=False, padding_mode=padding_mode
        )

    chosen = {"kernel_size": kernel_size, "dilation": dilation, "stride": stride}
    chosen |= {"padding": padding, "padding_mode": padding_mode, "step": 1}
    if padding == "same" and stride > 1:
        with pytest.raises(ValueError, match="strided"):
            layer()
        with pytest.raises(ValueError, match="only when stride is 1"):
            window(**chosen)
        return
    last = window(**chosen).places ** 2
    shown = window(**(chosen | {"step": last}))
    ones = layer()
    nn.init.ones_(ones.weight)
    numbered = torch.arange(1.0, 37.0).reshape(1, 6, 6)
    sums = ones(numbered)
    assert sums.shape == (1, shown.places, shown.places)
    assert shown.padded[np.ix_(*shown.taps)].sum() == sums[0, -1, -1].item()


def test_impossible_settings_are_refused_with_a_way_out(refused):
    with refused(
        "padding='same' with stride=2: the size can stay the same only when stride is 1. "
        "Try: padding=1 (output 3x3) or stride=1."
    ):
        window(padding="same")
    with refused("groups=3: must divide in_channels=1 and out_channels=1. Try: groups=1."):
        window(groups=3)
    with refused("step=5: the window has 4 places to stand, counted from 1. Try: step=1."):
        window(step=5)
    with refused("step=0: the window has 4 places to stand, counted from 1. Try: step=1."):
        window(step=0)
    with pytest.raises(ValueError, match="the window is larger than the padded image"):
        window(size=4, dilation=2)
    with pytest.raises(ValueError, match="padding_mode='zeros'"):
        window(size=3, padding=3, padding_mode="reflect")


def test_what_is_refused_is_said_and_the_picture_stays():
    shown = explorer()
    before = shown.png, shown.words
    shown.controls["padding"].value = "same"
    assert "only when stride is 1" in shown.message.value
    assert 'role="alert"' in shown.message.value
    assert (shown.png, shown.words) == before
    shown.controls["stride"].value = 1
    assert 'role="status"' in shown.message.value
    assert shown.words.startswith("output (1, 6, 6); window 2 of 36")


def test_the_step_slider_ends_at_the_last_place():
    shown = explorer()
    step = shown.controls["step"]
    assert step.max == 4
    shown.controls["padding"].value = 4
    assert step.max == 36
    step.value = 36
    shown.controls["padding"].value = 0
    assert (step.max, step.value) == (4, 4)
    assert "window 4 of 4" in shown.words


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("size", 10, "output (1, 4, 4)"),
        ("kernel_size", 5, "output (1, 1, 1); window 1 of 1"),
        ("stride", 1, "output (1, 4, 4)"),
        ("padding", 2, "output (1, 4, 4)"),
        ("dilation", 2, "output (1, 1, 1)"),
        ("out_channels", 16, "160 parameters"),
        ("in_channels", 16, "145 parameters"),
        ("bias", False, "9 parameters"),
        ("step", 4, "first tap at row 2, column 2"),
    ],
)
def test_every_control_changes_picture_and_words(name, value, words):
    shown = explorer()
    before = shown.png, shown.words
    shown.controls[name].value = value
    assert words in shown.words
    assert shown.words != before[1]
    assert shown.png != before[0]


def test_padding_mode_changes_the_picture_and_not_the_size():
    shown = explorer()
    shown.controls["padding"].value = 2
    pictures, words = {shown.png}, {shown.words}
    for mode in ("reflect", "replicate", "circular"):
        shown.controls["padding_mode"].value = mode
        pictures.add(shown.png)
        words.add(shown.words)
    assert (len(pictures), len(words)) == (4, 1)


def test_groups_divide_the_parameters():
    shown = explorer()
    for name in ("in_channels", "out_channels", "groups"):
        shown.controls[name].value = 16
    assert "160 parameters" in shown.words


def color_at(page, row, column, *, cell_px):
    """Colour near the upper left corner of a cell of the padded picture."""
    y, x = 40 + row * cell_px + 6, 20 + column * cell_px + 6
    return page.canvas.getpixel((SCALE * x, SCALE * y))


def test_taps_padding_and_unread_pixels_have_their_colours():
    page = draw(window(size=6, padding=1, stride=4, step=1))  # 8 x 8 cells of 48 px
    places = {TAP: (1, 1), BORDER: (0, 5), UNREAD: (3, 3)}
    assert {color: color_at(page, *place, cell_px=48) for color, place in places.items()} == {
        color: color for color in places
    }


def test_pictures_have_one_size():
    pages = [draw(window(**changed)) for changed in ({}, {"size": 3, "step": 1}, {"padding": 4})]
    assert {page.canvas.size for page in pages} == {(SCALE * 840, SCALE * 536)}


def test_the_explorer_opens_on_a_walk_that_rounds_down():
    assert repr(explorer()) == (
        "ConvolutionArithmetic(size=6, kernel_size=3, stride=2, padding=0, padding_mode='zeros', "
        "dilation=1, in_channels=1, out_channels=1, groups=1, bias=True, step=2): output "
        "(1, 2, 2); window 2 of 4: its first tap at row 0, column 2 of the picture, its last at "
        "row 2, column 4; 11 of 36 pixels are never under a tap; 10 parameters"
    )
