"""Sliding window: a kernel walks over a small picture; its products and sum are written out."""

from typing import NamedTuple

import ipywidgets as widgets
import numpy as np

from cnncourse import filters, images, messages, ops
from cnncourse.explorers import Explorer, typed
from cnncourse.sketch import Sketch, written

MOST = 9  # rows or columns of the picture
EXAMPLES = {
    "checkerboard": (images.checkerboard(5), images.checkerboard(3)),
    "edge, Sobel": (np.tile([0.0, 0.0, 0.0, 1.0, 1.0, 1.0], (5, 1)), filters.SOBEL_X),
    "one bright pixel": (images.impulse(5), np.arange(1.0, 10.0).reshape(3, 3)),
    "mean of four": (np.arange(16.0).reshape(4, 4), np.full((2, 2), 0.25)),
}


class Step(NamedTuple):
    """The window at one place, and the feature map as far as it has come."""

    image: np.ndarray
    kernel: np.ndarray  # as it lies on the picture: turned, if it is
    row: int
    column: int
    products: np.ndarray  # window times kernel, cell by cell
    feature_map: np.ndarray  # NaN where the window has not been yet
    flipped: bool


def read(image: str, kernel: str) -> tuple[np.ndarray, np.ndarray]:
    """Both fields as arrays; raises ValueError where they do not fit together."""
    pixels = typed.grid_of(image, name="image", most=MOST)
    weights = typed.grid_of(kernel, name="kernel", most=MOST)
    if weights.shape[0] > pixels.shape[0] or weights.shape[1] > pixels.shape[1]:
        raise ValueError(
            f"kernel {weights.shape} on image {pixels.shape}: the window is larger than the image. "
            f"Try: a kernel of at most {pixels.shape[0]}x{pixels.shape[1]}."
        )
    return pixels, weights


def window_at(image: str, kernel: str, flip: bool, step: int) -> Step:
    """Place number step of the window, counted from 1, row by row."""
    pixels, weights = read(image, kernel)
    weights = weights[::-1, ::-1] if flip else weights
    whole = ops.conv2d(pixels, weights)
    if not 1 <= step <= whole.size:
        rule = f"the window has {whole.size} places to stand, counted from 1"
        raise ValueError(messages.refusal("step", step, rule, attempt="step=1"))
    row, column = divmod(step - 1, whole.shape[1])
    height, width = weights.shape
    products = pixels[row : row + height, column : column + width] * weights
    reached = np.arange(whole.size).reshape(whole.shape) < step
    feature_map = np.where(reached, whole, np.nan)
    return Step(pixels, weights, row, column, products, feature_map, flip)


def written_sum(shown: Step) -> list[str]:
    """The products of each row of the window, as one would write them, with the sum so far."""
    height, width = shown.kernel.shape
    window = shown.image[shown.row : shown.row + height, shown.column : shown.column + width]
    lines, running = [], 0.0
    for values, weights in zip(window, shown.kernel, strict=True):
        pairs = zip(values, weights, strict=True)
        terms = " + ".join(f"{factor(value)}·{factor(weight)}" for value, weight in pairs)
        running += float(values @ weights)
        lines.append(f"{terms}   →   {written(running, 3)}")
    return lines


def factor(value: float) -> str:
    """A factor; in brackets where it is below zero."""
    return f"({written(value, 2)})" if value < 0 else written(value, 2)


def draw(shown: Step) -> Sketch:
    """Picture, kernel and products, feature map, from left to right; the sum below."""
    page = Sketch(840, 440)
    cell = 240 / max(shown.image.shape)
    height, width = shown.kernel.shape
    page.text(20, 18, f"image {shown.image.shape}", anchor="lm", bold=True)
    page.grid(shown.image, 20, 36, cell_px=cell)
    left, top = 20 + shown.column * cell, 36 + shown.row * cell
    page.frame(left, top, width * cell, height * cell)

    small = min(34.0, 110 / max(height, width))
    title = "kernel, turned by 180°" if shown.flipped else "kernel"
    page.text(310, 18, title, anchor="lm", bold=True)
    page.grid(shown.kernel, 310, 36, cell_px=small)
    page.text(310, 172, "window × kernel", anchor="lm", bold=True)
    page.grid(shown.products, 310, 190, cell_px=small)

    page.text(520, 18, f"feature map {shown.feature_map.shape}", anchor="lm", bold=True)
    cell = min(48.0, 240 / max(shown.feature_map.shape))
    page.grid(shown.feature_map, 520, 36, cell_px=cell)
    page.frame(520 + shown.column * cell, 36 + shown.row * cell, cell, cell)
    lines = written_sum(shown)
    spacing = min(24.0, 100 / len(lines))
    page.text(20, 310, "products, row by row, and the sum so far", anchor="lm", bold=True)
    for number, line in enumerate(lines):
        size = min(15, round(0.65 * spacing), round(1350 / len(line)))
        page.text(20, 334 + number * spacing, line, anchor="lm", size_px=max(7, size))
    return page


def sentence(shown: Step) -> str:
    """Where the window stands and what it gives there."""
    name = "convolution" if shown.flipped else "cross-correlation"
    total = shown.feature_map[shown.row, shown.column]
    return (
        f"{name}, the window's upper left corner at row {shown.row}, column {shown.column}: "
        f"the products sum to {written(total, 3)}; the feature map has shape "
        f"{shown.feature_map.shape}"
    )


def explorer(example: str = "checkerboard") -> Explorer:
    """Edit picture and kernel, turn the kernel, step through all places or let it play."""
    shown = {"example": example}

    def adjust(controls: dict) -> None:
        if controls["example"].value != shown["example"]:
            shown["example"] = controls["example"].value
            for field, grid in zip(("image", "kernel"), EXAMPLES[shown["example"]], strict=True):
                controls[field].value = typed.text_of(grid)
            controls["step"].value = 1
        try:
            pixels, weights = read(controls["image"].value, controls["kernel"].value)
        except ValueError:
            return  # said in words by compute
        controls["step"].max = int(np.prod(np.subtract(pixels.shape, weights.shape) + 1))

    image, kernel = EXAMPLES[example]
    choice = widgets.Dropdown(options=list(EXAMPLES), value=example)

    def compute(*, example: str, image: str, kernel: str, flip: bool, step: int) -> Step:
        return window_at(image, kernel, flip, step)

    return Explorer(
        "SlidingWindow",
        compute,
        draw,
        sentence,
        width_px=840,
        adjust=adjust,
        play="step",
        example=choice,
        flip=widgets.Checkbox(False, description="flip the kernel (true convolution)"),
        image=typed.typed_grid(image, rows=6),
        kernel=typed.typed_grid(kernel, rows=6),
        step=widgets.IntSlider(1, 1, 9),
    )
