"""The unit browser's page: maps of three layers above, all about one unit below."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from torch import Tensor

from cnncourse.arithmetic import ReceptiveField
from cnncourse.explorers.pictures import colors
from cnncourse.insight import features
from cnncourse.insight.features import Peak
from cnncourse.sketch import GRAY, Sketch, stretched

DEPTHS = ("early", "middle", "deep")
WIDTH_PX, HEIGHT_PX = 840, 560
SHOWN, COLUMNS = 16, 4  # maps of a layer at once
MAP_PX, GAP_PX, PANEL_PX, TOP_PX = 54, 4, 262, 44
PATCH_PX = 88


class Layer(NamedTuple):
    """What is known of a layer before a picture is looked at."""

    name: str
    field: ReceptiveField | None
    filters: Tensor | None  # of a convolution
    peaks: list[list[Peak]]  # a list a unit, in the gallery


class Look(NamedTuple):
    """One unit of one layer, for one picture."""

    picture: str
    pixels: Tensor  # (C, H, W), from 0 to 1
    layers: Sequence[Layer]
    maps: Sequence[Tensor]  # (units, h, w) of each layer
    depth: int  # the layer chosen
    unit: int
    gallery: Tensor  # (N, C, H, W), from 0 to 1

    @property
    def brightest(self) -> tuple[int, int]:
        """Place on the unit's map where it answers most."""
        row, column = divmod(int(self.maps[self.depth][self.unit].argmax()), self.width)
        return row, column

    @property
    def width(self) -> int:
        """Columns of the unit's map."""
        return self.maps[self.depth].shape[2]

    @property
    def square(self) -> tuple[int, int, int] | None:
        """What the brightest place sees of the picture: first row and column, side; or nothing."""
        field = self.layers[self.depth].field
        return field and features.seen_by(field, *self.brightest)


def first_on_page(unit: int) -> int:
    """First of the units that are shown together with this one."""
    return unit // SHOWN * SHOWN


def corner(depth: int, place: int) -> tuple[float, float]:
    """Upper left corner of a map on the page: its layer, and its place among those shown."""
    row, column = divmod(place, COLUMNS)
    step = MAP_PX + GAP_PX
    return 10 + depth * (PANEL_PX + 14) + column * step, TOP_PX + row * step


def map_at(x: float, y: float) -> tuple[int, int] | None:
    """Layer and place of the map at a point of the page; None between them."""
    for depth in range(len(DEPTHS)):
        for place in range(SHOWN):
            left, top = corner(depth, place)
            if left <= x < left + MAP_PX and top <= y < top + MAP_PX:
                return depth, place
    return None


def draw(look: Look) -> Sketch:
    """Maps of three layers above; picture with the unit's field, filter and patches below."""
    page = Sketch(WIDTH_PX, HEIGHT_PX)
    for depth, (layer, maps) in enumerate(zip(look.layers, look.maps, strict=True)):
        chosen = depth == look.depth
        x, _ = corner(depth, 0)
        first = first_on_page(look.unit) if chosen else 0
        last = min(first + SHOWN, len(maps)) - 1
        page.text(x, 14, f"{DEPTHS[depth]}: {layer.name}", anchor="lm", bold=True, size_px=13)
        size = " x ".join(map(str, maps.shape[1:]))
        words = f"units {first} to {last} of {len(maps)}, {size}"
        page.text(x, 32, words, anchor="lm", size_px=12, color=GRAY)
        for place, unit in enumerate(range(first, last + 1)):
            draw_map(page, maps[unit], corner(depth, place), framed=chosen and unit == look.unit)
    draw_unit(page, look)
    return page


def draw_map(page: Sketch, values: Tensor, at: tuple[float, float], *, framed: bool) -> None:
    """A map with its darkest value black, its brightest white."""
    low, high = values.aminmax()
    shares = ((values - low) / (high - low).clamp(min=1e-12) * 255).byte().numpy()
    gray = np.repeat(shares[..., None], 3, axis=2)
    page.paste(stretched(gray, width_px=MAP_PX, height_px=MAP_PX, smooth=False), *at)
    if framed:
        page.frame(at[0] - 3, at[1] - 3, MAP_PX + 6, MAP_PX + 6)


def draw_unit(page: Sketch, look: Look) -> None:
    """The picture with what the unit sees, its filter if it has one, and its favourite patches."""
    layer, (x, y) = look.layers[look.depth], (10, 312)
    page.text(x, y - 14, "what its brightest place sees", anchor="lm", bold=True, size_px=13)
    side = 216
    page.image(colors(look.pixels), x, y, width_px=side, height_px=side, smooth=True)
    if look.square:
        top, left, size = look.square
        height, width = look.pixels.shape[1:]
        ends = [
            (max(0, first), min(end, first + size)) for first, end in ((left, width), (top, height))
        ]
        (x0, x1), (y0, y1) = ends
        place = x + x0 / width * side, y + y0 / height * side
        page.frame(*place, (x1 - x0) / width * side, (y1 - y0) / height * side)
    left = x + side + 24
    page.text(left, y - 14, "its filter", anchor="lm", bold=True, size_px=13)
    if layer.filters is None:
        page.text(left, y + 12, "a block: several", anchor="lm", size_px=12, color=GRAY)
        page.text(left, y + 30, "filters in a row", anchor="lm", size_px=12, color=GRAY)
    else:
        draw_filter(page, layer.filters[look.unit], left, y)
    draw_patches(page, look, left + 140, y)


def draw_filter(page: Sketch, weights: Tensor, x: float, y: float) -> None:
    """Weights (C, h, w): in colour where there are three input channels, else their mean."""
    limit = float(weights.abs().max()) or 1.0
    in_colour = colors(0.5 + weights / (2 * limit)) if len(weights) == 3 else None
    values = weights.mean(dim=0).numpy() if in_colour is None else in_colour
    page.image(values, x, y, width_px=108, height_px=108, paint="signed")
    words = "x".join(map(str, weights.shape))
    page.text(x, y + 124, words, anchor="lm", size_px=12, color=GRAY)


def draw_patches(page: Sketch, look: Look, x: float, y: float) -> None:
    """What excites the unit most in the gallery, cut out by its field; the strongest first."""
    page.text(x, y - 14, "its favourite patches", anchor="lm", bold=True, size_px=13)
    layer = look.layers[look.depth]
    for number, peak in enumerate(layer.peaks[look.unit]):
        row, column = divmod(number, 3)
        patch = look.gallery[peak.image]
        if layer.field and layer.field.size < patch.shape[1]:
            patch = features.cut_out(patch, features.seen_by(layer.field, peak.row, peak.column))
        at = x + column * (PATCH_PX + 10), y + row * (PATCH_PX + 26)
        sharp = patch.shape[1] >= PATCH_PX
        page.image(colors(patch), *at, width_px=PATCH_PX, height_px=PATCH_PX, smooth=sharp)
        words = f"{peak.value:.2f}"
        page.text(at[0], at[1] + PATCH_PX + 11, words, anchor="lm", size_px=12, color=GRAY)


def sentence(look: Look) -> str:
    """Layer, unit, where it is brightest, what it sees of the picture, and its best patch."""
    layer, (row, column) = look.layers[look.depth], look.brightest
    value = float(look.maps[look.depth][look.unit, row, column])
    sees = "all of the picture"
    if layer.field and layer.field.size < look.pixels.shape[1]:
        sees = f"{layer.field.size} x {layer.field.size} px of the picture"
    best = layer.peaks[look.unit][0]
    return (
        f"{look.picture}, {layer.name}, unit {look.unit}: brightest (≈ {value:.2f}) in row {row}, "
        f"column {column} of its map, where it sees {sees}; in the gallery it likes picture "
        f"{best.image} most (≈ {best.value:.2f})"
    )
