"""Pixels: a window of a photograph as the numbers it is made of."""

from functools import cache
from typing import NamedTuple

import ipywidgets as widgets
import numpy as np
from PIL import Image

from cnncourse import images, messages, sketch
from cnncourse.explorers import Explorer
from cnncourse.sketch import Sketch

SIZE_PX = 8
CHANNELS = ("red", "green", "blue")


@cache
def loaded(name: str) -> np.ndarray:
    """The photograph (H, W, 3); read once, since moves are many."""
    return images.photo(name)


@cache
def shown_small(name: str) -> tuple[float, Image.Image]:
    """How much smaller the photograph is on the page, and the picture of it."""
    height, width, _ = loaded(name).shape
    scale = min(480 / width, 330 / height)
    size = {"width_px": width * scale, "height_px": height * scale}
    return scale, sketch.stretched(loaded(name), **size)


class Window(NamedTuple):
    """SIZE_PX x SIZE_PX values of one channel, and where in the photograph they are."""

    photo: str
    channel: str
    row: int
    column: int
    values: np.ndarray


def window(photo: str, channel: str, row: int, column: int) -> Window:
    """The window of a photograph whose upper left pixel is (row, column).

    Raises ValueError where the window would stick out.
    """
    pixels = loaded(photo)
    height, width, _ = pixels.shape
    for name, came, length in [("row", row, height), ("column", column, width)]:
        if not 0 <= came <= length - SIZE_PX:
            rule = f"must be from 0 to {length - SIZE_PX}, or the window sticks out of {photo}"
            raise ValueError(messages.refusal(name, came, rule, attempt=f"{name}=0"))
    values = pixels[row : row + SIZE_PX, column : column + SIZE_PX, CHANNELS.index(channel)]
    return Window(photo, channel, row, column, values)


def draw(shown: Window) -> Sketch:
    """Photograph with a frame around the window; its numbers beside it, with rows and columns."""
    page = Sketch(840, 360)
    scale, picture = shown_small(shown.photo)
    page.paste(picture, 0, 15)
    left, top, side = shown.column * scale, 15 + shown.row * scale, SIZE_PX * scale
    page.frame(left - 4, top - 4, side + 8, side + 8, color="white", line_px=5)
    page.frame(left - 3, top - 3, side + 6, side + 6, line_px=3)
    page.text(686, 14, shown.channel, bold=True)
    page.grid(shown.values, 550, 50, cell_px=34, paint="gray", limit=255, decimals=0)
    for step in range(SIZE_PX):
        middle = 17 + 34 * step
        page.text(550 + middle, 40, str(shown.column + step), size_px=11)
        page.text(543, 50 + middle, str(shown.row + step), size_px=11, anchor="rm")
    page.text(686, 340, "column", size_px=12)
    return page


def sentence(shown: Window) -> str:
    """What the picture shows."""
    low, high, mean = shown.values.min(), shown.values.max(), shown.values.mean()
    return (
        f"{shown.channel}, {SIZE_PX} x {SIZE_PX} px from row {shown.row} and column "
        f"{shown.column}: values {low} to {high}, mean {mean:.1f}"
    )


def explorer() -> Explorer:
    """Choose photograph, channel and place; read the numbers."""
    photo = widgets.Dropdown(options=images.PHOTOS)
    row, column = widgets.IntSlider(82, max=999), widgets.IntSlider(144, max=999)

    def fit_sliders(controls: dict) -> None:
        height, width, _ = loaded(controls["photo"].value).shape
        row.max, column.max = height - SIZE_PX, width - SIZE_PX

    return Explorer(
        "Pixels",
        window,
        draw,
        sentence,
        width_px=840,
        adjust=fit_sliders,
        photo=photo,
        channel=widgets.Dropdown(options=CHANNELS),
        row=row,
        column=column,
    )
