"""Transposed convolution: every pixel stamps the kernel, and where stamps overlap they add up."""

from typing import NamedTuple

import ipywidgets as widgets
import numpy as np

from cnncourse import arithmetic, messages, ops, plots
from cnncourse.explorers import Explorer
from cnncourse.explorers.convolution_arithmetic import (
    BORDER,
    PICTURE,
    TAP,
    cross_out,
    draw_formula,
    paint_cells,
)
from cnncourse.ops.inputs import spread
from cnncourse.sketch import INK, Sketch


class Stamps(NamedTuple):
    """Stamps of a square picture, row by row, as far as they have come; lengths in pixels."""

    size: int
    kernel_size: int
    stride: int
    padding: int
    output_padding: int
    dilation: int
    step: int  # stamps so far, counted from 1
    overlap: np.ndarray  # (F, F): contributions so far; padding is not yet cut off
    output_size: int

    @property
    def place(self) -> tuple[int, int]:
        """Row and column of the pixel that stamps now."""
        return divmod(self.step - 1, self.size)

    @property
    def cut(self) -> np.ndarray:
        """Pixels (F, F) of the canvas that padding cuts off."""
        kept = np.zeros(self.overlap.shape, dtype=bool)
        inside = slice(self.padding, self.padding + self.output_size)
        kept[inside, inside] = True
        return ~kept


def stamps_at(
    *,
    size: int,
    kernel_size: int,
    stride: int,
    padding: int,
    output_padding: int,
    dilation: int,
    step: int,
) -> Stamps:
    """The first `step` stamps; ValueError for settings that nn.ConvTranspose2d refuses."""
    output_size = arithmetic.transposed_output_size(
        size,
        kernel_size=kernel_size,
        stride=stride,
        padding=padding,
        output_padding=output_padding,
        dilation=dilation,
    )
    if not 1 <= step <= size**2:
        rule = f"the picture has {size**2} pixels, counted from 1"
        raise ValueError(messages.refusal("step", step, rule, attempt="step=1"))
    so_far = (np.arange(size**2) < step).reshape(size, size).astype(int)
    overlap = ops.conv_transpose2d(
        so_far,
        np.ones((kernel_size, kernel_size), dtype=int),
        stride=stride,
        output_padding=output_padding,
        dilation=dilation,
    )
    return Stamps(
        size, kernel_size, stride, padding, output_padding, dilation, step, overlap, output_size
    )


def inner_counts(*, kernel_size: int, stride: int, dilation: int) -> list[int]:
    """Contributions along one axis, far from the border: one number for each phase of the stride.

    A pixel at position x gets tap j from a stamp where x - j * dilation is a multiple of stride.
    """
    phases = [tap * dilation % stride for tap in range(kernel_size)]
    return [phases.count(phase) for phase in range(stride)]


def formula(shown: Stamps) -> list[str]:
    """The output's size, in letters and in numbers."""
    return [
        "output = (size − 1)·stride + dilation·(kernel_size − 1) + 1 + output_padding − 2·padding",
        f"= ({shown.size} − 1)·{shown.stride} + {shown.dilation}·({shown.kernel_size} − 1) + 1 + "
        f"{shown.output_padding} − 2·{shown.padding} = {shown.output_size}",
    ]


def draw(shown: Stamps) -> Sketch:
    """The picture on the left, the canvas with the number of contributions on the right."""
    page = Sketch(840, 496)
    draw_picture(page, shown)
    draw_canvas(page, shown)
    page.text(20, 386, "in every cell: how many", anchor="lm")
    page.text(20, 406, "stamps have reached it", anchor="lm")
    if shown.cut.any():
        swatch = np.full((1, 1, 3), BORDER)
        paint_cells(page, swatch, np.array([[""]]), 20, 336, cell_px=18)
        cross_out(page, np.ones((1, 1)), 20, 336, cell_px=18, color=plots.RED)
        page.text(48, 345, "cut off by padding", anchor="lm")
    draw_formula(page, formula(shown), y=446)
    return page


def draw_picture(page: Sketch, shown: Stamps) -> None:
    """The picture: pixels that have stamped blue, the one that stamps now framed."""
    cell = min(44, 220 // shown.size)
    order = np.arange(1, shown.size**2 + 1).reshape(shown.size, shown.size)
    colors = np.where((order <= shown.step)[..., None], TAP, PICTURE)
    page.text(20, 20, f"picture {shown.size} × {shown.size}", anchor="lm", bold=True)
    paint_cells(page, colors, order.astype(str), 20, 40, cell_px=cell)
    row, column = shown.place
    page.frame(20 + column * cell, 40 + row * cell, cell, cell)


def draw_canvas(page: Sketch, shown: Stamps) -> None:
    """The canvas: the more stamps a pixel got the darker; the newest stamp is framed."""
    cell = min(60, 384 // len(shown.overlap))
    top = max(shown.overlap.max(), 1)
    share = np.sqrt(shown.overlap / top)[..., None]  # so that 1 and 2 differ beside 16
    colors = np.array(PICTURE) * (1 - share) + np.array([86, 164, 214]) * share
    colors[shown.cut & (shown.overlap == 0)] = BORDER
    length = shown.output_size
    page.text(290, 20, f"output {length} × {length}", anchor="lm", bold=True)
    words = np.where(shown.overlap > 0, shown.overlap.astype(str), "")
    paint_cells(page, colors, words, 290, 40, cell_px=cell)
    cross_out(page, shown.cut, 290, 40, cell_px=cell, color=plots.RED)
    kept = 290 + shown.padding * cell, 40 + shown.padding * cell
    page.frame(*kept, length * cell, length * cell, color=INK, line_px=2)
    row, column = (place * shown.stride * cell for place in shown.place)
    span = spread(shown.kernel_size, shown.dilation) * cell
    page.frame(290 + column, 40 + row, span, span)


def sentence(shown: Stamps) -> str:
    """Sizes, and how evenly the stamps overlap away from the border."""
    counts = inner_counts(
        kernel_size=shown.kernel_size, stride=shown.stride, dilation=shown.dilation
    )
    fewest, most = min(counts) ** 2, max(counts) ** 2
    if fewest == most:
        evenness = f"each output pixel far from the border gets {most}: even"
    else:
        evenness = f"output pixels far from the border get from {fewest} to {most}: uneven"
    return (
        f"{shown.size} x {shown.size} to {shown.output_size} x {shown.output_size}; "
        f"{shown.step} of {shown.size**2} stamps of {shown.kernel_size**2} pixels each; in the "
        f"end, {evenness}"
    )


def explorer() -> Explorer:
    """Every argument of nn.ConvTranspose2d; step through the stamps, or let it play."""

    def adjust(controls: dict) -> None:
        step = controls["step"]
        finished = step.value == step.max
        step.max = controls["size"].value ** 2
        if finished:
            step.value = step.max

    return Explorer(
        "TransposedConvolution",
        stamps_at,
        draw,
        sentence,
        width_px=840,
        adjust=adjust,
        play="step",
        interval_ms=500,
        size=widgets.IntSlider(4, 1, 5),
        kernel_size=widgets.IntSlider(3, 1, 6),
        stride=widgets.IntSlider(2, 1, 3),
        padding=widgets.IntSlider(0, 0, 3),
        output_padding=widgets.IntSlider(0, 0, 2),
        dilation=widgets.IntSlider(1, 1, 2),
        step=widgets.IntSlider(16, 1, 16),
    )
