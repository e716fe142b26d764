"""Kernel stack: n layers of 3x3 against the single layer that sees as many pixels.

All layers keep the number of channels and the size of the map: stride 1, padding. Weights are
counted without biases, MACs for one image.
"""

from typing import NamedTuple

import ipywidgets as widgets

from cnncourse import arithmetic, messages
from cnncourse.arithmetic import Layer
from cnncourse.explorers import Explorer
from cnncourse.sketch import INK, PALE, SCALE, Sketch

MOST_LAYERS = 5
FADES = ("#0072B2", "#4C9CC9", "#86BEDD", "#B5D8EA", "#DCECF5")  # blue of `plots`, paler outwards
GRID_PX, CELL_PX = 242, 22


class Stack(NamedTuple):
    """What `layers` layers of 3x3 and one layer of field x field take; C channels throughout."""

    layers: int
    channels: int
    size_px: int
    field: int  # pixels that one unit of the last layer sees along an axis
    weights: tuple[int, int]  # of the stack, of the single layer
    macs: tuple[int, int]
    activations: tuple[int, int]  # ReLUs that a number passes


def compare(layers: int, channels: int, size_px: int) -> Stack:
    """Both ways to see 2 * layers + 1 pixels. ValueError for numbers below 1, and more than 5."""
    for name, value in (("layers", layers), ("channels", channels), ("size_px", size_px)):
        messages.check_at_least(name, value, 1)
    if layers > MOST_LAYERS:
        rule = f"the picture has room for {MOST_LAYERS} layers"
        raise ValueError(messages.refusal("layers", layers, rule, attempt=f"layers={MOST_LAYERS}"))
    field = arithmetic.receptive_field(layers * [Layer(3, padding=1)]).size
    pairs, size = (channels, channels), (size_px, size_px)
    one, wide = (
        arithmetic.conv2d_parameters(*pairs, kernel_size=side, bias=False) for side in (3, field)
    )
    one_macs, wide_macs = (
        arithmetic.conv2d_macs(*pairs, kernel_size=side, output_size=size) for side in (3, field)
    )
    return Stack(
        layers,
        channels,
        size_px,
        field,
        weights=(layers * one, wide),
        macs=(layers * one_macs, wide_macs),
        activations=(layers, 1),
    )


def fill(page: Sketch, x: float, y: float, side: float, color: str) -> None:
    """A filled square."""
    page.pen.rectangle([round(z * SCALE) for z in (x, y, x + side, y + side)], fill=color)


def draw_fields(page: Sketch, stack: Stack) -> None:
    """The pixels around one unit: a square for what each layer sees, the last layer's framed."""
    x, y = 20, 44
    page.text(
        x, 20, f"what one unit sees: {stack.field} × {stack.field} px", anchor="lm", bold=True
    )
    for reach in range(stack.layers, -1, -1):  # from the widest square to the unit itself
        side = (2 * reach + 1) * CELL_PX
        corner = (GRID_PX - side) / 2
        color = FADES[reach - 1] if reach else "white"
        fill(page, x + corner, y + corner, side, color)
        if reach:
            words = f"{2 * reach + 1}"
            ink = "white" if reach == 1 else INK
            page.text(x + corner + 11, y + corner + 11, words, size_px=12, color=ink)
    for line in range(GRID_PX // CELL_PX + 1):
        at = line * CELL_PX
        page.line([(x + at, y), (x + at, y + GRID_PX)], color=PALE, line_px=1)
        page.line([(x, y + at), (x + GRID_PX, y + at)], color=PALE, line_px=1)
    corner = (GRID_PX - stack.field * CELL_PX) / 2
    page.frame(x + corner, y + corner, stack.field * CELL_PX, stack.field * CELL_PX)
    page.text(x, y + GRID_PX + 18, "blue: after 1, 2, … layers of 3 × 3", anchor="lm", size_px=13)
    page.text(x, y + GRID_PX + 38, "frame: one layer, as wide", anchor="lm", size_px=13)


def draw(stack: Stack) -> Sketch:
    """Fields on the left, bars for weights, MACs and ReLUs on the right."""
    page = Sketch(840, 340)
    draw_fields(page, stack)
    names = (f"{stack.layers} × 3×3", f"one {stack.field}×{stack.field}")
    panels = {"weights": stack.weights, "MACs": stack.macs, "ReLUs": stack.activations}
    for number, (title, values) in enumerate(panels.items()):
        top = 20 + 106 * number
        page.text(310, top, title, anchor="lm", bold=True)
        pairs = zip(names, values, strict=True)
        rows = {name: (float(value), f"{value:,}") for name, value in pairs}
        page.bars(rows, 310, top + 16, width_px=280, name_px=84, mark=names[1])
    page.text(310, 328, f"{stack.channels} channels in and out", anchor="lm", size_px=13)
    return page


def sentence(stack: Stack) -> str:
    """Weights of both, and their ratio."""
    small, large = stack.weights
    squares = f"{9 * stack.layers}C² against {stack.field**2}C²"
    noun = "layer" if stack.layers == 1 else "layers"
    return (
        f"{stack.layers} {noun} of 3×3 see {stack.field}×{stack.field} px; {squares}: with C = "
        f"{stack.channels} {small:,} weights against {large:,}, {large / small:.2f} times as many; "
        f"at {stack.size_px}×{stack.size_px} px {stack.macs[0]:,} MACs against {stack.macs[1]:,}; "
        f"{stack.activations[0]} ReLU against 1"
    )


def explorer() -> Explorer:
    """Number of 3x3 layers, channels, size of the map."""
    return Explorer(
        "KernelStack",
        compare,
        draw,
        sentence,
        width_px=840,
        layers=widgets.IntSlider(3, 1, MOST_LAYERS),
        channels=widgets.IntSlider(64, 1, 512),
        size_px=widgets.IntSlider(56, 7, 224, step=7),
    )
