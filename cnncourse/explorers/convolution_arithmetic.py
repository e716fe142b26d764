"""Convolution arithmetic: the window walks over the padded picture, and the formula keeps count."""

from typing import NamedTuple

import ipywidgets as widgets
import numpy as np

from cnncourse import arithmetic, messages, plots
from cnncourse.explorers import Explorer
from cnncourse.ops.inputs import Sides, check_window, spread, window_places
from cnncourse.ops.padding import MODES, as_sides, check_room, pad_sides
from cnncourse.sketch import GRAY, INK, Sketch, written

PICTURE, BORDER, TAP, UNREAD = (255, 255, 255), (232, 232, 232), (158, 206, 236), (252, 214, 190)
PADDINGS = (0, 1, 2, 3, 4, "same", "valid")


class Window(NamedTuple):
    """The window at one place of its walk over a square picture; lengths in pixels."""

    size: int
    kernel_size: int
    stride: int
    sides: tuple[int, int]  # padding before and after
    dilation: int
    channels: tuple[int, int, int]  # in, out, groups
    bias: bool
    padded: np.ndarray  # (R, R): the picture's pixels, numbered from 1, and what padding adds
    places: int  # along one axis
    step: int  # counted from 1, row by row
    read: np.ndarray  # (R,): whether some tap of some place stands on it
    parameters: int

    @property
    def place(self) -> tuple[int, int]:
        """Row and column of the output pixel that is computed now."""
        return divmod(self.step - 1, self.places)

    @property
    def taps(self) -> tuple[np.ndarray, np.ndarray]:
        """Rows and columns of the padded picture under the kernel's taps."""
        gaps = np.arange(self.kernel_size) * self.dilation
        row, column = self.place
        return row * self.stride + gaps, column * self.stride + gaps

    @property
    def outside(self) -> np.ndarray:
        """Pixels (R, R) that padding added."""
        before, _ = self.sides
        inside = np.zeros(self.padded.shape, dtype=bool)
        inside[before : before + self.size, before : before + self.size] = True
        return ~inside

    @property
    def unread(self) -> np.ndarray:
        """Pixels (R, R) of the picture that no tap ever stands on."""
        return ~(self.read[:, None] & self.read) & ~self.outside


def window_at(
    *,
    size: int,
    kernel_size: int,
    stride: int,
    padding: int | str,
    padding_mode: str,
    dilation: int,
    in_channels: int,
    out_channels: int,
    groups: int,
    bias: bool,
    step: int,
) -> Window:
    """Place number step of the window, counted from 1; ValueError for what nn.Conv2d refuses."""
    sides, places = walk(size, kernel_size, stride, padding, padding_mode, dilation)
    parameters = arithmetic.conv2d_parameters(
        in_channels, out_channels, kernel_size=kernel_size, groups=groups, bias=bias
    )
    if not 1 <= step <= places**2:
        rule = f"the window has {places**2} places to stand, counted from 1"
        raise ValueError(messages.refusal("step", step, rule, attempt="step=1"))
    numbered = np.arange(1, size**2 + 1).reshape(size, size)
    padded = pad_sides(numbered, sides, padding_mode)
    read = np.zeros(len(padded), dtype=bool)
    for place in range(places):
        read[place * stride + np.arange(kernel_size) * dilation] = True
    channels = in_channels, out_channels, groups
    return Window(
        size, kernel_size, stride, sides[0], dilation, channels, bias, padded, places, step, read,
        parameters,
    )  # fmt: skip


def walk(
    size: int, kernel_size: int, stride: int, padding: int | str, padding_mode: str, dilation: int
) -> tuple[Sides, int]:
    """Padding of both axes, and the places along one; ValueError where there is no place."""
    image, kernel = (size, size), (kernel_size, kernel_size)
    steps, gaps = (stride, stride), (dilation, dilation)
    sides = as_sides(padding, image, kernel, stride=steps, dilation=gaps)
    check_room(padding, sides, image, padding_mode, argument="padding_mode")
    check_window(image, kernel, sides, gaps)
    return sides, window_places(image, kernel, stride=steps, sides=sides, dilation=gaps)[0]


def formula(shown: Window) -> list[str]:
    """The output's size and the number of parameters, in letters and in numbers."""
    before, after = shown.sides
    added = f"2·{before}" if before == after else f"({before} + {after})"
    steps = shown.size + before + after - spread(shown.kernel_size, shown.dilation)
    ins, outs, groups = shown.channels
    bias = " + 1" if shown.bias else ""
    square = shown.kernel_size**2
    return [
        "output = ⌊(size + 2·padding − dilation·(kernel_size − 1) − 1) / stride⌋ + 1",
        f"= ⌊({shown.size} + {added} − {shown.dilation}·({shown.kernel_size} − 1) − 1) / "
        f"{shown.stride}⌋ + 1 = ⌊{steps} / {shown.stride}⌋ + 1 = "
        f"⌊{written(steps / shown.stride, 2)}⌋ + 1 = {shown.places}",
        f"parameters = out_channels · (in_channels / groups · kernel_size²{bias})",
        f"= {outs} · ({ins} / {groups} · {square}{bias}) = {shown.parameters:,}",
    ]


def paint_cells(
    page: Sketch,
    colors: np.ndarray,
    words: np.ndarray,
    x: float,
    y: float,
    *,
    cell_px: int,
    inks: np.ndarray | None = None,
) -> None:
    """Cells (H, W, 3) uint8 with thin lines and words (H, W) on them, the corner at (x, y)."""
    rows, columns = words.shape
    width, height = columns * cell_px, rows * cell_px
    page.image(colors.astype(np.uint8), x, y, width_px=width, height_px=height)
    for row in range(rows + 1):
        level = y + row * cell_px
        page.line([(x, level), (x + width, level)], color="#B0B0B0", line_px=0.5)
    for column in range(columns + 1):
        level = x + column * cell_px
        page.line([(level, y), (level, y + height)], color="#B0B0B0", line_px=0.5)
    if cell_px < 14:
        return  # too small for words
    for row, column in np.argwhere(words != ""):
        word = str(words[row, column])
        ink = INK if inks is None else str(inks[row, column])
        size = max(7, round(min(0.42 * cell_px, 1.3 * cell_px / len(word), 16)))
        middle = x + (column + 0.5) * cell_px, y + (row + 0.5) * cell_px
        page.text(*middle, word, size_px=size, color=ink)


def cross_out(
    page: Sketch, cells: np.ndarray, x: float, y: float, *, cell_px: int, color: str
) -> None:
    """A stroke through every cell that is marked in cells (H, W)."""
    for row, column in np.argwhere(cells):
        left, top = x + column * cell_px, y + row * cell_px
        page.line([(left, top + cell_px), (left + cell_px, top)], color=color, line_px=1)


def legend(page: Sketch, x: float, y: float, rows: dict[str, tuple[int, int, int]]) -> None:
    """A coloured square and a word a row; what is never read is crossed out here too."""
    for number, (words, color) in enumerate(rows.items()):
        top = y + 26 * number
        cell = np.full((1, 1, 3), color)
        paint_cells(page, cell, np.array([[""]]), x, top, cell_px=18)
        if color == UNREAD:
            cross_out(page, np.ones((1, 1)), x, top, cell_px=18, color=plots.RED)
        page.text(x + 28, top + 9, words, anchor="lm")


def draw(shown: Window) -> Sketch:
    """The padded picture with the window on it, the output as far as it has come, the formula."""
    page = Sketch(840, 536)
    draw_picture(page, shown)
    draw_output(page, shown)
    meanings = {"under a tap of the kernel": TAP, "padding": BORDER, "never under a tap": UNREAD}
    legend(page, 460, 344, meanings)
    draw_formula(page, formula(shown), y=452)
    return page


def draw_formula(page: Sketch, lines: list[str], *, y: float) -> None:
    """Lines in pairs, at most four: in letters, then in numbers below."""
    for number, line in enumerate(lines):
        letters = number % 2 == 0
        left, top = 20 if letters else 40, y + 23 * number
        page.text(left, top, line, anchor="lm", bold=letters)


def draw_picture(page: Sketch, shown: Window) -> None:
    """The padded picture: taps blue, padding gray, the window framed, unread pixels crossed."""
    room = len(shown.padded)
    cell = 384 // room
    colors = np.full((room, room, 3), PICTURE)
    colors[shown.outside] = BORDER
    colors[shown.unread] = UNREAD
    rows, columns = shown.taps
    colors[np.ix_(rows, columns)] = TAP
    title = f"picture {shown.size} × {shown.size}"
    if any(shown.sides):
        title += f", with padding {room} × {room}"
    page.text(20, 20, title, anchor="lm", bold=True)
    inks = np.where(shown.outside, GRAY, INK)
    inks[np.ix_(rows, columns)] = INK
    words = shown.padded.astype(str)
    if cell < 24:
        words[shown.padded == 0] = ""  # many small zeros only tire the eye
    paint_cells(page, colors, words, 20, 40, cell_px=cell, inks=inks)
    cross_out(page, shown.unread, 20, 40, cell_px=cell, color=plots.RED)
    inside = 20 + shown.sides[0] * cell, 40 + shown.sides[0] * cell
    page.frame(*inside, shown.size * cell, shown.size * cell, color=INK, line_px=2)
    span = spread(shown.kernel_size, shown.dilation) * cell
    page.frame(20 + columns[0] * cell, 40 + rows[0] * cell, span, span)


def draw_output(page: Sketch, shown: Window) -> None:
    """The output: places numbered in the order of the walk, as far as the window has come."""
    shape = (shown.places, shown.places)
    cell = min(60, 280 // shown.places)
    order = np.arange(1, shown.places**2 + 1).reshape(shape)
    reached = order <= shown.step
    colors = np.where(reached[..., None], TAP, BORDER)
    words = np.where(reached, order.astype(str), "")
    page.text(460, 20, f"output {shown.places} × {shown.places}", anchor="lm", bold=True)
    paint_cells(page, colors, words, 460, 40, cell_px=cell)
    row, column = shown.place
    page.frame(460 + column * cell, 40 + row * cell, cell, cell)


def sentence(shown: Window) -> str:
    """Shapes, where the window stands, what is never read, what is learned."""
    _, outs, _ = shown.channels
    rows, columns = (taps - shown.sides[0] for taps in shown.taps)
    return (
        f"output ({outs}, {shown.places}, {shown.places}); window {shown.step} of "
        f"{shown.places**2}: its first tap at row {rows[0]}, column {columns[0]} of the picture, "
        f"its last at row {rows[-1]}, column {columns[-1]}; "
        f"{shown.unread.sum()} of {shown.size**2} pixels are never under a tap; "
        f"{shown.parameters:,} parameters"
    )


def explorer() -> Explorer:
    """Every argument of nn.Conv2d; step through the places, or let the window walk."""

    def adjust(controls: dict) -> None:
        names = ("size", "kernel_size", "stride", "padding", "padding_mode", "dilation")
        try:
            _, places = walk(*(controls[name].value for name in names))
        except ValueError:
            return  # said in words by compute
        controls["step"].max = places**2

    return Explorer(
        "ConvolutionArithmetic",
        window_at,
        draw,
        sentence,
        width_px=840,
        adjust=adjust,
        play="step",
        size=widgets.IntSlider(6, 3, 10),
        kernel_size=widgets.IntSlider(3, 1, 5),
        stride=widgets.IntSlider(2, 1, 4),
        padding=widgets.Dropdown(options=PADDINGS, value=0),
        padding_mode=widgets.Dropdown(options=list(MODES), value="zeros"),
        dilation=widgets.IntSlider(1, 1, 3),
        in_channels=widgets.IntSlider(1, 1, 16),
        out_channels=widgets.IntSlider(1, 1, 16),
        groups=widgets.IntSlider(1, 1, 16),
        bias=widgets.Checkbox(True, description="bias"),
        step=widgets.IntSlider(2, 1, 4),
    )
