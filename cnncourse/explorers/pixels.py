"""Pixels: a window of a photograph as the numbers it is made of."""

from functools import partial
from typing import NamedTuple

import ipywidgets as widgets
import numpy as np

from cnncourse import images, messages, plots
from cnncourse.explorers import Explorer

SIZE_PX = 8
CHANNELS = ("red", "green", "blue")


class Window(NamedTuple):
    """SIZE_PX x SIZE_PX values of one channel, and where in the photograph they are."""

    photo: np.ndarray  # (H, W, 3)
    channel: str
    row: int
    column: int
    values: np.ndarray


def window(photo: str, channel: str, row: int, column: int) -> Window:
    """The window of a photograph whose upper left pixel is (row, column).

    Raises ValueError where the window would stick out.
    """
    pixels = images.photo(photo)
    for name, came, length in [("row", row, len(pixels)), ("column", column, len(pixels[0]))]:
        if not 0 <= came <= length - SIZE_PX:
            rule = f"must be from 0 to {length - SIZE_PX}, or the window sticks out of {photo}"
            raise ValueError(messages.refusal(name, came, rule, attempt=f"{name}=0"))
    values = pixels[row : row + SIZE_PX, column : column + SIZE_PX, CHANNELS.index(channel)]
    return Window(pixels, channel, row, column, values)


def draw_photo(ax: plots.Axes, shown: Window) -> None:
    """The photograph with a frame around the window."""
    plots.draw_photo(ax, shown.photo)
    plots.draw_frame(ax, row=shown.row, column=shown.column, size_px=SIZE_PX)


def draw_values(ax: plots.Axes, shown: Window) -> None:
    """The numbers of the window, with their rows and columns in the photograph."""
    plots.draw_pixels(ax, shown.values)
    every = range(SIZE_PX)
    ax.set_xticks(every, [str(shown.column + step) for step in every], fontsize=8)
    ax.set_yticks(every, [str(shown.row + step) for step in every], fontsize=8)
    ax.set(xlabel="column", ylabel="row", title=shown.channel)


def draw(shown: Window) -> bytes:
    """Photograph and numbers side by side."""
    return plots.render_png(
        partial(draw_photo, shown=shown),
        partial(draw_values, shown=shown),
        width_in=8.4,
        height_in=3.6,
    )


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

    def fit_sliders(_change: object = None) -> None:
        height, width = images.photo(photo.value).shape[:2]
        row.max, column.max = height - SIZE_PX, width - SIZE_PX

    fit_sliders()
    photo.observe(fit_sliders, names="value")  # before the explorer's own observer
    return Explorer(
        "Pixels",
        window,
        draw,
        sentence,
        width_px=840,
        photo=photo,
        channel=widgets.Dropdown(options=CHANNELS),
        row=row,
        column=column,
    )
