import io

import numpy as np
import pytest
from PIL import Image

from cnncourse import sketch
from cnncourse.images import photo
from cnncourse.sketch import Sketch

BLUE, ORANGE = [0, 114, 178], [213, 94, 0]


def pixels(page: Sketch) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(page.png())).convert("RGB"))


def middle_of_cell(page: Sketch, row: int, column: int, *, cell_px: int = 40) -> list[int]:
    """Colour just inside the upper left corner of a cell, away from its number."""
    shown = pixels(page)
    at = [round((index * cell_px + 4) * sketch.SCALE) for index in (row, column)]
    return shown[at[0], at[1]].tolist()


def test_a_canvas_is_white_and_drawn_at_twice_its_size():
    shown = pixels(Sketch(30, 20))
    assert shown.shape == (40, 60, 3)
    assert (shown == 255).all()


def test_a_jpeg_shows_the_same_and_comes_at_once():
    page = Sketch(120, 40)
    page.grid(np.array([[2, 0, -2]]), 0, 0, cell_px=40)
    live = np.asarray(Image.open(io.BytesIO(page.jpeg())), dtype=float)
    assert abs(live - pixels(page)).mean() < 4


def test_a_heavy_picture_is_stored_at_the_pages_own_size(rng):
    page = Sketch(300, 200)
    page.image(rng.random((400, 600)), 0, 0, width_px=300, height_px=200)
    assert pixels(page).shape == (200, 300, 3)
    assert len(colors_of(page)) <= 64


def test_a_picture_of_middling_weight_stays_sharp_in_fewer_colours(rng):
    page = Sketch(300, 200)
    page.image(rng.random((150, 225)), 0, 0, width_px=300, height_px=200)
    light = Sketch(300, 200)
    light.image(rng.random((20, 30)), 0, 0, width_px=300, height_px=200)
    assert pixels(page).shape == pixels(light).shape == (400, 600, 3)
    assert len(colors_of(page)) <= 64 < len(colors_of(light))
    assert abs(pixels(page).astype(float) - np.asarray(page.canvas)).mean() < 3


def test_the_few_colours_of_a_photograph_are_those_that_it_has():
    page = Sketch(600, 300)
    page.image(photo("chelsea"), 0, 0, width_px=450, height_px=300, smooth=True)
    page.image(np.random.default_rng(0).random((200, 200)), 450, 0, width_px=150, height_px=300)
    small = page.canvas.reduce(sketch.SCALE).convert("RGB")
    cut = small.quantize(64).convert("RGB")  # median cut alone
    stored, usual = (abs(found - np.asarray(small, float)).mean() for found in (pixels(page), cut))
    assert stored < 0.95 * usual


def test_white_stays_white_in_few_colours():
    """Beside smooth grays, whose lightest would take it in."""
    page = Sketch(900, 300)
    page.image(photo("chelsea"), 0, 0, width_px=450, height_px=300, smooth=True)
    ramp = np.linspace(0.8, 1, 90_000).reshape(300, 300)
    page.image(ramp, 460, 0, width_px=300, height_px=300)
    for place in range(20):
        page.text(780, 10 + 14 * place, "gray rims", size_px=13)
    assert len(colors_of(page)) <= 64
    assert pixels(page)[-1, -1].tolist() == [255, 255, 255]


def colors_of(page):
    return {tuple(color) for color in pixels(page).reshape(-1, 3).tolist()}


def test_signs_are_blue_above_zero_orange_below_and_white_at_zero():
    page = Sketch(120, 40)
    page.grid(np.array([[2, 0, -2]]), 0, 0, cell_px=40)
    assert [middle_of_cell(page, 0, column) for column in range(3)] == [BLUE, [255] * 3, ORANGE]


def test_half_the_limit_is_half_the_colour_and_more_than_it_is_full():
    page = Sketch(80, 40)
    page.grid(np.array([[1, 5]]), 0, 0, cell_px=40, limit=2)
    assert [middle_of_cell(page, 0, column) for column in range(2)] == [[127, 184, 216], BLUE]


def test_gray_goes_from_black_to_white():
    page = Sketch(120, 40)
    page.grid(np.array([[0, 100, 200]]), 0, 0, cell_px=40, paint="gray", limit=200)
    shown = [middle_of_cell(page, 0, column) for column in range(3)]
    assert shown == [[0] * 3, [127] * 3, [255] * 3]


@pytest.mark.parametrize("paint", sketch.PAINTS)
def test_a_cell_not_filled_yet_is_pale_and_has_no_number(paint):
    page = Sketch(40, 40)
    page.grid(np.array([[np.nan]]), 0, 0, cell_px=40, paint=paint)
    inside = pixels(page)[4:-4, 4:-4]
    assert (inside == 228).all()


def test_numbers_can_be_left_out():
    page = Sketch(40, 40)
    page.grid(np.array([[5.0]]), 0, 0, cell_px=40, paint="plain", numbers=False)
    assert (pixels(page)[4:-4, 4:-4] == 255).all()
    page.grid(np.array([[5.0]]), 0, 0, cell_px=40, paint="plain")
    assert (pixels(page)[4:-4, 4:-4] < 60).any()


def test_the_numbers_of_a_grid_are_of_one_size():
    page = Sketch(80, 80)
    page.grid(np.array([[1, 1], [1, 1000]]), 0, 0, cell_px=40, paint="plain")
    alone = Sketch(40, 40)
    alone.grid(np.array([[1]]), 0, 0, cell_px=40, paint="plain")
    heights = [
        np.flatnonzero((pixels(one)[4:76, 4:76] < 60).all(axis=2).any(axis=1)).size
        for one in (page, alone)
    ]
    assert heights[0] < 0.9 * heights[1]


@pytest.mark.parametrize(
    ("color", "dark"),
    [((0, 0, 0), True), (BLUE, True), (ORANGE, True), ((127, 184, 216), False), ([255] * 3, False)],
)
def test_numbers_are_white_on_what_is_dark(color, dark):
    assert sketch.is_dark(color) == dark


def test_padding_is_shaded_where_it_is_zero():
    page = Sketch(80, 40)
    outside = np.array([[True, True]])
    page.grid(np.array([[0.0, 2.0]]), 0, 0, cell_px=40, outside=outside)
    assert [middle_of_cell(page, 0, column) for column in range(2)] == [[244] * 3, BLUE]


@pytest.mark.parametrize(
    ("value", "decimals", "words"),
    [
        (5.0, 2, "5"),
        (0.5, 2, "0.5"),
        (-1 / 3, 2, "−0.33"),
        (-0.001, 2, "0"),
        (100, 0, "100"),
        (np.nan, 2, ""),
    ],
)
def test_a_number_is_written_as_short_as_it_is(value, decimals, words):
    assert sketch.written(value, decimals) == words


def test_a_picture_fills_its_rectangle_pixel_by_pixel():
    page = Sketch(20, 10)
    page.image(np.array([[0.0, 1.0]]), 0, 0, width_px=20, height_px=10)
    shown = pixels(page)
    assert (shown[:, :20] == 0).all()
    assert (shown[:, 20:] == 255).all()


def test_colours_are_shown_as_they_are():
    page = Sketch(10, 10)
    page.image(np.full((3, 3, 3), [10, 20, 30], np.uint8), 0, 0, width_px=10, height_px=10)
    assert (pixels(page) == [10, 20, 30]).all()


def test_a_smooth_picture_has_values_between():
    page = Sketch(20, 10)
    page.image(np.array([[0.0, 1.0]]), 0, 0, width_px=20, height_px=10, smooth=True)
    assert len(np.unique(pixels(page))) > 10


def test_a_frame_is_a_line_and_leaves_its_inside_alone():
    page = Sketch(20, 20)
    page.frame(0, 0, 20, 20, color="#FF0000", line_px=2)
    shown = pixels(page)
    assert (shown[0, 0] == [255, 0, 0]).all()
    assert (shown[4:-4, 4:-4] == 255).all()


def test_a_line_joins_its_points():
    page = Sketch(20, 20)
    page.line([(0, 10), (20, 10)], color="#000000", line_px=1)
    assert (pixels(page)[20] == 0).all()
    assert (pixels(page)[:18] == 255).all()


def test_bars_are_as_long_as_their_numbers_and_the_marked_one_is_orange():
    page = Sketch(300, 60)
    rows = {"one": (1.0, ""), "two": (2.0, "")}
    page.bars(rows, 0, 0, width_px=100, name_px=50, row_px=30, mark="two")
    shown = pixels(page)
    blue = (shown == [0, 114, 178]).all(axis=2).any(axis=0).sum()
    orange = (shown == [230, 159, 0]).all(axis=2).any(axis=0).sum()
    assert orange == pytest.approx(200, abs=2)
    assert blue == pytest.approx(100, abs=2)


def test_bars_that_are_all_zero_are_drawn():
    page = Sketch(100, 30)
    page.bars({"none": (0.0, "0")}, 0, 0, width_px=30)
    assert (pixels(page) < 200).any()


def test_the_same_drawing_is_the_same_picture():
    pages = [Sketch(60, 40), Sketch(60, 40)]
    for page in pages:
        page.text(30, 20, "3 × 3 → −1")
    assert pages[0].png() == pages[1].png()


def test_small_arrays_stand_side_by_side_with_their_numbers_and_large_ones_as_pictures():
    shown = sketch.row(
        {"small": np.eye(2), "large": np.ones((13, 26))},
        alt="two arrays",
        paints=["plain", "signed"],
        height_px=100,
    )
    assert (shown.alt, shown.width_px) == ("two arrays", 100 + 200 + 56)
    page = np.asarray(Image.open(io.BytesIO(shown.png)))
    assert page.shape == (280, 2 * (100 + 200 + 56), 3)
    small, large = page[64:256, 24:216], page[64:256, 280:660]
    assert (small < 60).any()  # its numbers are there
    assert (large == BLUE).all()


def test_a_picture_is_not_left_pale_by_one_extreme():
    array = np.ones((20, 20))
    array[0, 0] = 100
    page = np.asarray(Image.open(io.BytesIO(sketch.row({"": array}, alt="").png)))
    assert (page[-40, 200] == BLUE).all()


def test_one_paint_serves_every_array():
    shown = sketch.row({"one": np.eye(2), "two": np.eye(2)}, alt="", paints=["gray"])
    page = np.asarray(Image.open(io.BytesIO(shown.png)))
    assert (page[70, 30] == 255).all()
    assert (page[70, 30 + 2 * 248] == 255).all()
