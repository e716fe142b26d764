import io
from itertools import pairwise

import numpy as np
import pytest
from PIL import Image

from cnncourse import arithmetic
from cnncourse.arithmetic import Layer
from cnncourse.explorers import receptive_field as explored
from cnncourse.explorers.receptive_field import STACKS, influence, measured_field, read, seen


def size_of(png: bytes) -> tuple[int, int]:
    return Image.open(io.BytesIO(png)).size


# --- reading --------------------------------------------------------------------------------------


def test_a_line_is_a_layer_and_a_pool_steps_by_its_kernel_unless_told():
    lines = read(
        "conv 3\n\n  3 x  CONV 5 padding 2 stride 2 dilation 3 \npool 2\npool 3 stride 2\n"
    )
    assert [line.layer[:4] for line in lines] == [
        (3, 1, 0, 1),
        (5, 2, 2, 3),
        (2, 2, 0, 1),
        (3, 2, 0, 1),
    ]
    assert [line.times for line in lines] == [1, 3, 1, 1]
    assert [line.pools for line in lines] == [False, False, True, True]
    assert len(explored.unrolled(lines)) == 6


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (" \n", "layers: there is no layer yet. Try: conv 3 stride 2."),
        (
            "conv 3\ncnv 3",
            "line='cnv 3': is no layer. Try: conv 3 stride 2 padding 1, or pool 2, or 4 x conv 3.",
        ),
        (
            "conv three",
            "line='conv three': is no layer. "
            "Try: conv 3 stride 2 padding 1, or pool 2, or 4 x conv 3.",
        ),
        (
            "conv 3 stride 2 stride 2",
            "line='conv 3 stride 2 stride 2': says one thing twice. Try: conv 3 stride 1.",
        ),
        ("conv 0", "line='conv 0': kernel must be 1 or more. Try: conv 3."),
        ("pool 2 stride 0", "line='pool 2 stride 0': stride must be 1 or more. Try: pool 3."),
        ("conv 3 dilation 0", "line='conv 3 dilation 0': dilation must be 1 or more. Try: conv 3."),
        ("0 x conv 3", "line='0 x conv 3': number of layers must be 1 or more. Try: conv 3."),
        (
            "pool 3 padding 2",
            "line='pool 3 padding 2': padding of a pool must be at most half of its kernel. "
            "Try: pool 3 padding 1.",
        ),
        (
            "100 x conv 1\n101 x conv 1",
            "layers: 201 on 2 lines: must be at most 200 on 16 lines. "
            "Try: 2 x conv 3 for two lines that are the same.",
        ),
        (
            "conv 3\n" * 17,
            "layers: 17 on 17 lines: must be at most 200 on 16 lines. "
            "Try: 2 x conv 3 for two lines that are the same.",
        ),
        (
            "conv 40",
            "line='conv 40': spans 40 units, and there are only 32 with padding. Try: padding 4.",
        ),
        (
            "pool 17 dilation 2 stride 1",
            "line='pool 17 dilation 2 stride 1': spans 33 units, and there are only 32 with "
            "padding. Try: pool 16.",
        ),
    ],
)
def test_what_is_no_stack_is_refused(text, sentence, refused):
    with refused(sentence):
        seen(text, 32, 1)


def test_what_it_says_to_try_works():
    assert seen("conv 40 padding 4", 32, 1).rows[0].units == 1
    assert seen("pool 16 dilation 2 stride 1", 32, 1).rows[0].units == 2
    assert seen("pool 3 padding 1", 32, 1).rows[0].units == 11
    assert seen("conv 3 stride 2 padding 1\npool 2\n4 x conv 3", 64, 3).rows[-1].units == 8


def test_a_line_beyond_the_last_and_a_field_too_large_are_refused(refused):
    with refused("up_to_line=3: the stack has 2 lines, counted from 1. Try: up_to_line=1."):
        seen("conv 3\nconv 3", 32, 3)
    text = "12 x conv 3 stride 2 padding 1"
    with refused(f"line='{text}': sees 8191 px, and is drawn up to 4000. Try: smaller strides."):
        seen(text, 32, 1)


# --- computing and measuring ----------------------------------------------------------------------


def test_the_influence_counts_paths_by_hand():
    # two 3-px means: the middle pixel is reached by 3 of 9 paths, the ends by one
    np.testing.assert_allclose(influence([Layer(3), Layer(3)], 9) * 9, [0, 0, 1, 2, 3, 2, 1, 0, 0])
    np.testing.assert_allclose(influence([Layer(3, dilation=2)], 7) * 3, [0, 1, 0, 1, 0, 1, 0])
    np.testing.assert_allclose(influence([Layer(2, stride=2)], 6) * 2, [0, 0, 1, 1, 0, 0])


@pytest.mark.parametrize(
    ("stack", "field", "units"),
    [("AlexNet", 195, 6), ("VGG-16", 212, 7), ("ResNet-18", 435, 7), ("dilated", 63, 224)],
)
def test_the_famous_stacks_see_what_they_are_known_to_see(stack, field, units):
    text = STACKS[stack]
    shown = seen(text, 224, len(text.splitlines()))
    last = shown.rows[-1]
    assert (last.field, shown.measured, shown.values.size, last.units) == (field,) * 3 + (units,)


def test_computed_and_measured_agree_on_random_stacks(rng):
    for _ in range(60):
        layers = [
            Layer(int(k), int(rng.integers(1, 4)), int(rng.integers(0, k)), int(d))
            for k, d in rng.integers(1, 5, (rng.integers(1, 5), 2))
        ]
        expected = arithmetic.receptive_field(layers).size
        # With a stride beyond the kernel the outermost taps are still the outermost pixels.
        size, values = measured_field(layers)
        assert size == values.size == expected
        assert values[0] > 0
        assert values[-1] > 0


def test_rows_by_hand_each_inside_the_next():
    rows = seen("conv 3\nconv 3 stride 2\nconv 3", 32, 3).rows
    assert [(row.field, row.jump, row.units) for row in rows] == [
        (3, 1, 30),
        (5, 2, 14),
        (9, 2, 12),
    ]
    assert rows[2].first == 6 * 2  # unit 6 of 12, jump 2
    for inner, outer in pairwise(rows):
        assert outer.first <= inner.first
        assert inner.first + inner.field <= outer.first + outer.field


def test_padding_moves_a_field_over_the_border():
    (row,) = seen("conv 32 padding 16", 32, 1).rows
    assert (row.first, row.field, row.units) == (0, 32, 33)
    (row,) = seen("conv 41 padding 20 stride 32", 32, 1).rows
    assert (row.first, row.units) == (-20, 1)


# --- the explorer ---------------------------------------------------------------------------------


def test_the_sentence_has_both_numbers():
    assert explored.sentence(seen("conv 3", 32, 1)) == (
        "after 1 layer one unit sees 3 x 3 px (computed; 3 measured by gradient); neighbouring "
        "units are 1 px apart; a picture of 32 px gives 30 x 30 units"
    )
    assert explored.sentence(seen(STACKS["ResNet-18"], 224, 9)) == (
        "after 18 layers one unit sees 435 x 435 px (computed; 435 measured by gradient), more "
        "than the picture has; neighbouring units are 32 px apart; a picture of 224 px gives "
        "7 x 7 units"
    )


def test_a_famous_stack_fills_the_field_and_goes_to_its_last_line():
    explorer = explored.explorer()
    before = explorer.png
    explorer.controls["stack"].value = "VGG-16"
    assert explorer.controls["layers"].value == STACKS["VGG-16"]
    assert (explorer.controls["up_to_line"].value, explorer.controls["up_to_line"].max) == (10, 10)
    assert "after 18 layers one unit sees 212 x 212 px" in explorer.words
    assert explorer.png != before
    explorer.controls["stack"].value = "three small layers"
    assert explorer.controls["up_to_line"].max == 3
    assert "sees 9 x 9 px" in explorer.words


def test_the_slider_goes_through_the_stack_line_by_line():
    explorer = explored.explorer("AlexNet")
    seen_px, pictures = [], set()
    for line in range(1, 7):
        explorer.controls["up_to_line"].value = line
        seen_px.append(int(explorer.words.split(" sees ")[1].split()[0]))
        pictures.add(explorer.png)
    assert seen_px == [11, 19, 51, 67, 163, 195]
    assert len(pictures) == 6


def test_typing_a_line_more_follows_it_and_one_less_comes_back():
    explorer = explored.explorer()
    layers, line = explorer.controls["layers"], explorer.controls["up_to_line"]
    layers.value += "\npool 2"
    assert (line.value, line.max) == (4, 4)
    assert "after 4 layers one unit sees 11 x 11 px" in explorer.words
    line.value = 2
    layers.value = "conv 3\nconv 3\nconv 3"
    assert (line.value, line.max) == (2, 3)
    assert "sees 5 x 5 px" in explorer.words
    layers.value = "conv 7"
    assert (line.value, line.max) == (1, 1)
    assert "sees 7 x 7 px" in explorer.words


@pytest.mark.parametrize("text", ["", "conv", "conv 3\nconv 300", "90 x conv 3 stride 2"])
def test_what_is_refused_is_said_and_the_picture_stays(text):
    explorer = explored.explorer()
    before = explorer.png, explorer.words
    explorer.controls["layers"].value = text
    assert 'role="alert"' in explorer.message.value
    assert "Try: " in explorer.message.value
    assert (explorer.png, explorer.words) == before
    explorer.controls["layers"].value = "conv 5"
    assert "sees 5 x 5 px" in explorer.words
    assert 'role="status"' in explorer.message.value


def test_a_smaller_picture_is_refused_where_a_layer_no_longer_fits():
    explorer = explored.explorer("AlexNet")
    explorer.controls["picture_px"].value = explored.SHORTEST_PX
    assert "spans 3 units, and there are only 1 with padding" in explorer.message.value
    explorer.controls["picture_px"].value = explored.LONGEST_PX
    assert "a picture of 512 px gives 15 x 15 units" in explorer.words


def test_the_picture_has_one_size_whatever_it_shows():
    sizes = {size_of(explored.explorer(stack).png) for stack in STACKS}
    sizes.add(size_of(explored.draw(seen("conv 1", 16, 1)).png()))
    sizes.add(size_of(explored.draw(seen("\n".join(["conv 3 padding 1"] * 16), 16, 16)).png()))
    assert len(sizes) == 1


def test_a_long_curve_is_averaged_and_a_short_one_left():
    assert explored.averaged(np.array([1.0, 3, 5, 7]), most=2).tolist() == [2, 6]
    assert explored.averaged(np.array([1.0, 3]), most=2).tolist() == [1, 3]
