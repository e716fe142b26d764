"""Scaling: width, depth and resolution of an EfficientNet; what it holds, and what it costs."""

import math
from collections.abc import Callable
from functools import cache
from typing import NamedTuple

import ipywidgets as widgets

from cnncourse import plots
from cnncourse.explorers import Explorer
from cnncourse.models.efficientnet import VARIANTS, compound
from cnncourse.models.efficientnet_cost import Cost, cost
from cnncourse.sketch import GRAY, INK, PALE, SCALE, Sketch


class Scaled(NamedTuple):
    """An EfficientNet as the controls describe it."""

    phi: int
    width: float
    depth: float
    resolution_px: int
    cost: Cost


def network(phi: int, width: float, depth: float, resolution_px: int) -> Scaled:
    """The network of three factors; phi only says where they came from."""
    return Scaled(phi, width, depth, resolution_px, cost(width, depth, resolution_px))


# --- drawn ----------------------------------------------------------------------------------------

LEFT, TOP, WIDE, HIGH = 66.0, 44.0, 400.0, 350.0  # of the plot, in pixels
GMACS, MILLIONS = (0.2, 100.0), (4.0, 500.0)  # its axes, from end to end, logarithmic


def place(cost: Cost) -> tuple[float, float]:
    """Where a network stands in the plot; at the rim where it is beyond it."""
    ends = ((cost.macs / 1e9, GMACS), (cost.parameters / 1e6, MILLIONS))
    x, y = (
        min(1.0, max(0.0, math.log(value / low) / math.log(high / low)))
        for value, (low, high) in ends
    )
    return LEFT + x * WIDE, TOP + HIGH - y * HIGH


@cache
def ways() -> dict[str, list[tuple[float, float]]]:
    """Paths from B0: by the rule, and by one factor alone, up to 128 times the MACs of phi=7."""
    rows: dict[str, Callable[[float], Cost]] = {
        "together": lambda phi: cost(*compound(phi)[:3]),
        "width alone": lambda phi: cost(2 ** (phi / 2), 1.0, 224),
        "depth alone": lambda phi: cost(1.0, 2**phi, 224),
        "resolution alone": lambda phi: cost(1.0, 1.0, round(224 * 2 ** (phi / 2))),
    }
    steps = [step / 4 for step in range(29)]
    return {name: [place(row(phi)) for phi in steps] for name, row in rows.items()}


def draw_axes(page: Sketch) -> None:
    """Frame, ticks and the names of the axes."""
    page.text(LEFT, 18, "parameters (millions) against MACs (billions)", anchor="lm", bold=True)
    for value in (0.2, 0.5, 1.0, 2, 5, 10, 20, 50, 100):
        x = LEFT + WIDE * math.log(value / GMACS[0]) / math.log(GMACS[1] / GMACS[0])
        page.line([(x, TOP), (x, TOP + HIGH)], color=PALE, line_px=1)
        page.text(x, TOP + HIGH + 14, f"{value:g}", size_px=12)
    for value in (4.0, 10, 20, 50, 100, 200, 500):
        y = TOP + HIGH * (1 - math.log(value / MILLIONS[0]) / math.log(MILLIONS[1] / MILLIONS[0]))
        page.line([(LEFT, y), (LEFT + WIDE, y)], color=PALE, line_px=1)
        page.text(LEFT - 8, y, f"{value:g}", size_px=12, anchor="rm")
    page.frame(LEFT, TOP, WIDE, HIGH, color=GRAY, line_px=1)
    page.text(LEFT + WIDE / 2, TOP + HIGH + 34, "MACs for one picture, billions", size_px=12)


def draw_ways(page: Sketch) -> None:
    """The four paths, each with its name and a line of its own, and the published networks."""
    words = {
        "together": ("φ, all three", 258, 232, INK),
        "width alone": ("width alone (dashes),", 100, 130, plots.GREEN),
        "depth alone": ("depth alone (dots)", 100, 147, plots.BLUE),
        "resolution alone": ("resolution alone", 300, 362, plots.RED),
    }
    for name, path in ways().items():
        text, left, top, color = words[name]
        page.text(left, top, text, size_px=12, color=color, anchor="lm")
        if name == "depth alone":
            for at in path:
                page.frame(at[0] - 2, at[1] - 2, 4, 4, color=color, line_px=2)
            continue
        for dash in [path] if name == "together" else [path[n : n + 2] for n in range(0, 28, 2)]:
            page.line(dash, color=color, line_px=1.5)
    for name, row in VARIANTS.items():
        x, y = place(cost(row.width, row.depth, row.resolution_px))
        page.frame(x - 4, y - 4, 8, 8, color=plots.BLUE, line_px=4)
        page.text(x + 7, y + 11, name[-2:].upper(), size_px=12, anchor="lm", color=INK)


@cache
def background() -> Sketch:
    """What no control changes."""
    page = Sketch(840, 440)
    draw_axes(page)
    draw_ways(page)
    return page


def draw_blocks(page: Sketch, cost: Cost, x: float, y: float, *, color: str) -> float:
    """A bar a block: as high as its map has pixels, as wide as it has channels; gives the end."""
    for size, channels in zip(cost.size_px, cost.channels, strict=True):
        height, width = 0.26 * size, max(1.5, 0.015 * channels)
        box = [x, y - height, x + width, y]
        page.pen.rectangle([side * SCALE for side in box], fill=color)
        x += width + 1
    return x


def facts(shown: Scaled) -> list[tuple[str, str]]:
    """Words and numbers beside the plot."""
    base = cost(1.0, 1.0, 224)
    rule = shown.depth * shown.width**2 * (shown.resolution_px / 224) ** 2
    return [
        ("width × depth, resolution", f"{shown.width:.2f} × {shown.depth:.2f}, "
         f"{shown.resolution_px} px"),
        ("parameters", f"{shown.cost.parameters:,}"),
        ("MACs", f"{shown.cost.macs / 1e9:,.3f} billion"),
        ("blocks", f"{len(shown.cost.channels)}"),
        ("MACs, times B0's", f"{shown.cost.macs / base.macs:.2f}"),
        ("depth × width² × resolution²", f"{rule:.2f}"),
    ]  # fmt: skip


def draw(shown: Scaled) -> Sketch:
    """Plot on the left; on the right the numbers, and the blocks under those of B0."""
    page = Sketch(840, 440)
    page.canvas.paste(background().canvas)
    x, y = place(shown.cost)
    page.frame(x - 8, y - 8, 16, 16, color=plots.ORANGE, line_px=4)
    page.text(490, 18, "this network", anchor="lm", bold=True)
    for number, (name, words) in enumerate(facts(shown)):
        page.text(490, 46 + 21 * number, name, anchor="lm", size_px=12)
        page.text(830, 46 + 21 * number, words, anchor="rm", size_px=12, bold=True)
    words = "blocks: height is the map's side, width its channels"
    page.text(490, 190, words, anchor="lm", size_px=12, color="#555555")
    for row, (name, cost_, color) in enumerate(
        [("B0", cost(1.0, 1.0, 224), plots.BLUE), ("this", shown.cost, plots.ORANGE)]
    ):
        base = 260 + row * 140
        page.text(490, base + 14, f"{name}: {len(cost_.channels)} blocks", anchor="lm", size_px=12)
        draw_blocks(page, cost_, 490, base, color=color)
    return page


def sentence(shown: Scaled) -> str:
    """The network and its costs in words."""
    times = shown.cost.macs / cost(1.0, 1.0, 224).macs
    return (
        f"width {shown.width:.2f}, depth {shown.depth:.2f}, {shown.resolution_px} px: "
        f"{len(shown.cost.channels)} blocks, {shown.cost.parameters:,} parameters, "
        f"{shown.cost.macs / 1e9:.3f} billion MACs, {times:.2f} times B0's"
    )


def follow_phi() -> Callable[[dict[str, widgets.ValueWidget]], None]:
    """Moves the three factors to the rule's when phi has moved; leaves them alone otherwise."""
    before: list[int] = []

    def adjust(controls: dict[str, widgets.ValueWidget]) -> None:
        phi = controls["phi"].value
        if before and before[-1] != phi:
            row = compound(phi)
            controls["width"].value = round(row.width, 2)
            controls["depth"].value = round(row.depth, 2)
            controls["resolution_px"].value = row.resolution_px
        before[:] = [phi]

    return adjust


def explorer(*, phi: int = 0) -> Explorer:
    """Move phi, and all three factors follow the rule; or move each by itself."""
    start = compound(phi)
    return Explorer(
        "Scaling",
        network,
        draw,
        sentence,
        width_px=840,
        adjust=follow_phi(),
        phi=widgets.IntSlider(phi, 0, 7, description="φ, all three"),
        width=widgets.FloatSlider(value=round(start.width, 2), min=0.25, max=2.5, step=0.01),
        depth=widgets.FloatSlider(value=round(start.depth, 2), min=0.25, max=4, step=0.01),
        resolution_px=widgets.IntSlider(start.resolution_px, 64, 800),
    )
