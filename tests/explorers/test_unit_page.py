import pytest
import torch

from cnncourse.arithmetic import ReceptiveField
from cnncourse.explorers import unit_page
from cnncourse.explorers.unit_page import Layer, Look
from cnncourse.insight.features import Peak


def look_at(unit=4, units=20):
    """One picture, three layers whose maps are 2 x 2; a unit of the first is chosen."""
    torch.manual_seed(0)
    field = ReceptiveField(size=5, jump=2, start=-2)
    peaks = [[Peak(0, 1, 0, 0.5)] for _ in range(units)]
    layers = [
        Layer("conv", field, torch.ones(units, 3, 5, 5), peaks),
        Layer("block", None, None, peaks),
        Layer("last", field, None, peaks),
    ]
    maps = [torch.rand(units, 2, 2) for _ in layers]
    pixels = torch.full((3, 8, 8), 0.25)
    return Look("coffee", pixels, layers, maps, 0, unit, torch.full((1, 3, 8, 8), 0.75))


def shade(look, x, y):
    """Red of the page at a point."""
    return unit_page.draw(look).canvas.getpixel((round(2 * x), round(2 * y)))[0]


def test_every_map_shown_is_where_a_click_finds_it():
    for depth in range(3):
        for place in range(unit_page.SHOWN):
            x, y = unit_page.corner(depth, place)
            assert unit_page.map_at(x + 1, y + 1) == (depth, place)
            assert unit_page.map_at(x + unit_page.MAP_PX - 1, y + unit_page.MAP_PX - 1) == (
                depth,
                place,
            )
            assert unit_page.map_at(x - 2, y + 1) is None
    assert unit_page.map_at(400, 500) is None


def test_a_map_is_drawn_from_its_darkest_to_its_brightest():
    look = look_at()
    look.maps[0][3] = torch.tensor([[-5.0, 5.0], [0, 0]])
    x, y = unit_page.corner(0, 3)
    quarter = unit_page.MAP_PX / 4
    seen = [shade(look, x + a * quarter, y + b * quarter) for b in (1, 3) for a in (1, 3)]
    assert seen == [0, 255, 127, 127]


def test_the_maps_of_the_chosen_layer_are_those_around_its_unit():
    look = look_at(unit=18)
    assert unit_page.first_on_page(18) == 16
    look.maps[0][17] = torch.tensor([[0.0, 1.0], [1, 1]])  # the second of the four that are left
    look.maps[1][17] = look.maps[0][17]
    look.maps[1][1] = torch.tensor([[1.0, 0.0], [0, 0]])  # the layer beside it begins with unit 0
    for depth, expected in ((0, 0), (1, 255)):
        x, y = unit_page.corner(depth, 1)
        assert shade(look, x + 10, y + 10) == expected
    x, y = unit_page.corner(0, 4)  # units 20 and above are not there
    assert shade(look, x + 20, y + 20) == 255


def test_the_brightest_place_and_what_it_sees_are_said():
    look = look_at()
    look.maps[0][4] = torch.tensor([[0.0, 1.0], [3.5, 2.0]])
    assert look.brightest == (1, 0)
    assert look.square == (0, -2, 5)
    assert unit_page.sentence(look) == (
        "coffee, conv, unit 4: brightest (≈ 3.50) in row 1, column 0 of its map, where it sees "
        "5 x 5 px of the picture; in the gallery it likes picture 0 most (≈ 0.50)"
    )
    assert "sees all of the picture" in unit_page.sentence(look._replace(depth=1))


@pytest.mark.parametrize("depth", [0, 1])
def test_the_frame_is_what_the_unit_sees_of_the_picture(depth):
    look = look_at()._replace(depth=depth)
    look.maps[0][4] = torch.tensor([[0.0, 1.0], [0, 0]])  # sees rows -2 to 2, columns 0 to 4
    canvas = unit_page.draw(look).canvas
    orange = (213, 94, 0)
    right = 10 + 5 / 8 * 216, 312 + 1.5 / 8 * 216
    below = 10 + 2.5 / 8 * 216, 312 + 3 / 8 * 216
    for x, y in (right, below):
        near = {
            canvas.getpixel((round(2 * x) + dx, round(2 * y) + dy))
            for dx in range(-4, 5)
            for dy in range(-4, 5)
        }
        assert (orange in near) == (depth == 0)
