"""Inception designer: the widths of a block, and what each of its paths costs.

Counts are for one image, in float32, without biases; the third path has the paper's 5x5 kernels.
"""

from collections.abc import Callable
from itertools import accumulate
from typing import NamedTuple

import ipywidgets as widgets

from cnncourse import messages
from cnncourse.explorers import Explorer
from cnncourse.models.googlenet import BLOCKS, STEM_WIDTHS, Widths
from cnncourse.plots import BLUE, GREEN, ORANGE, RED
from cnncourse.sketch import GRAY, INK, PALE, Sketch

PATHS = ("1×1", "3×3", "5×5", "pool")
COLORS = (BLUE, ORANGE, GREEN, RED)
OWN = "own"
SIZE_PX = {"3": 28, "4": 14, "5": 7}  # Table 1: side of the maps in each stage
BYTES = 4  # of a float32
LEFT, WIDTH, COLUMN, BAR = 20, 800, 204, 170  # px


class Step(NamedTuple):
    """One convolution or pool of a path."""

    words: str
    channels: int  # that it gives
    weights: int


class Path(NamedTuple):
    """What one path holds and costs."""

    steps: tuple[Step, ...]
    weights: int
    macs: int
    bytes: int  # of all maps that its steps give


class Design(NamedTuple):
    """A block: its four paths, and the weights it would have with the switch the other way."""

    preset: str
    in_channels: int
    size_px: int
    reductions: bool
    paths: tuple[Path, ...]
    other_weights: int

    @property
    def weights(self) -> int:
        """Of all paths."""
        return sum(path.weights for path in self.paths)

    @property
    def macs(self) -> int:
        """Of all paths, for one image."""
        return sum(path.macs for path in self.paths)

    @property
    def bytes(self) -> int:
        """Of all maps of all paths."""
        return sum(path.bytes for path in self.paths)

    @property
    def out_channels(self) -> int:
        """Of the paths together."""
        return sum(path.steps[-1].channels for path in self.paths)


# --- computed -------------------------------------------------------------------------------------


def conv(kernel: int, in_channels: int, out_channels: int, *, role: str = "") -> Step:
    """A convolution without a bias."""
    words = f"{kernel}×{kernel}{role}"
    return Step(words, out_channels, kernel**2 * in_channels * out_channels)


def steps_of(widths: Widths, in_channels: int, *, reductions: bool) -> list[list[Step]]:
    """The steps of the four paths (Figures 2a and 2b)."""
    pool = Step("3×3 max-pool", in_channels, 0)
    if not reductions:
        return [
            [conv(1, in_channels, widths.conv_1x1)],
            [conv(3, in_channels, widths.conv_3x3)],
            [conv(5, in_channels, widths.conv_5x5)],
            [pool],
        ]
    return [
        [conv(1, in_channels, widths.conv_1x1)],
        [
            conv(1, in_channels, widths.reduce_3x3, role=" reduction"),
            conv(3, widths.reduce_3x3, widths.conv_3x3),
        ],
        [
            conv(1, in_channels, widths.reduce_5x5, role=" reduction"),
            conv(5, widths.reduce_5x5, widths.conv_5x5),
        ],
        [pool, conv(1, in_channels, widths.pool_proj, role=" projection")],
    ]


def cost(steps: list[Step], size_px: int) -> Path:
    """Costs of a path; every weight is used once at every position."""
    weights = sum(step.weights for step in steps)
    held = sum(step.channels for step in steps) * size_px**2 * BYTES
    return Path(tuple(steps), weights, weights * size_px**2, held)


def design(preset: str, in_channels: int, size_px: int, reductions: bool, **widths: int) -> Design:
    """Costs of a block of those widths, by path; preset is only its name.

    Raises ValueError for a width, a number of channels or a size below 1.
    """
    for name, value in {"in_channels": in_channels, "size_px": size_px, **widths}.items():
        messages.check_at_least(name, value, 1)
    both = {
        switch: [
            cost(steps, size_px)
            for steps in steps_of(Widths(**widths), in_channels, reductions=switch)
        ]
        for switch in (True, False)
    }
    other = sum(path.weights for path in both[not reductions])
    return Design(preset, in_channels, size_px, reductions, tuple(both[reductions]), other)


def presets() -> dict[str, dict[str, int]]:
    """The blocks of Table 1: values of the sliders by name."""
    given = [STEM_WIDTHS[-1], *(widths.out_channels for widths in BLOCKS.values())]
    return {
        name: {"in_channels": channels, "size_px": SIZE_PX[name[0]], **widths._asdict()}
        for (name, widths), channels in zip(BLOCKS.items(), given, strict=False)
    }


# --- shown ----------------------------------------------------------------------------------------


def millions(number: int) -> str:
    """A count in millions, with one decimal."""
    return f"{number / 1e6:,.1f} million"


def mebibytes(number: int) -> str:
    """Bytes in MiB."""
    return f"{number / 2**20:,.2f} MiB"


def draw(shown: Design) -> Sketch:
    """Input, four paths, output, as bars as wide as their channels; below, a table of costs."""
    page = Sketch(840, 540)
    widest = max(shown.in_channels, shown.out_channels)
    size = f"{shown.size_px} × {shown.size_px}"
    page.text(LEFT, 16, f"input: {shown.in_channels} channels of {size}", anchor="lm", bold=True)
    draw_bar(page, LEFT, 38, WIDTH * shown.in_channels / widest, color=GRAY)
    most = max(step.channels for path in shown.paths for step in path.steps)
    for number, path in enumerate(shown.paths):
        draw_path(page, path, LEFT + number * COLUMN, COLORS[number], most=most)
    words = f"output: {shown.out_channels} channels of {size}, one path after another"
    page.text(LEFT, 250, words, anchor="lm", bold=True)
    lengths = [WIDTH * path.steps[-1].channels / widest for path in shown.paths]
    lefts = [LEFT, *(LEFT + length for length in accumulate(lengths))]
    for left, length, name, color in zip(lefts[:-1], lengths, PATHS, COLORS, strict=True):
        draw_bar(page, left, 274, length, color=color)
        if length > 44:
            ink = INK if color in (ORANGE, GREEN) else "white"  # what is easier to read on it
            page.text(left + length / 2, 274, name, size_px=12, color=ink, bold=True)
    draw_table(page, shown, top=312)
    note = (
        "Bars above are as wide as their channels; input and output on one scale, paths on another."
    )
    page.text(LEFT, 522, note, size_px=12, anchor="lm")
    return page


def draw_bar(page: Sketch, left: float, middle: float, length: float, *, color: str) -> None:
    """A filled bar, 18 px high and at least 2 px long, with a white line at its end."""
    end = left + max(2.0, length - 2)
    page.line([(left, middle), (end, middle)], color=color, line_px=18)


def draw_path(page: Sketch, path: Path, left: float, color: str, *, most: int) -> None:
    """The steps of a path from above, one bar each; most channels fill the column."""
    page.line([(left + 4, 50), (left + 4, 234)], color=PALE, line_px=4)
    left += 16
    for number, step in enumerate(path.steps):
        top = 78 + 78 * number
        words = f"{step.words}: {step.channels}"
        page.text(left, top, words, size_px=13, anchor="lm", bold=True)
        draw_bar(page, left, top + 20, BAR * step.channels / most, color=color)
        held = f"{step.weights:,} weights" if step.weights else "no weights"
        page.text(left, top + 40, held, size_px=12, anchor="lm")


def draw_table(page: Sketch, shown: Design, *, top: float) -> None:
    """A row a path and one for all: weights, MACs, memory, and the share of MACs as a bar."""
    places = (250, 400, 540)
    for x, words in zip(places, ("weights", "MACs", "memory of maps"), strict=True):
        page.text(x, top, words, size_px=13, anchor="rm", bold=True)
    page.text(570, top, "share of the MACs", size_px=13, anchor="lm", bold=True)
    rows: list[tuple[str, Path | Design, str]] = [
        *zip(PATHS, shown.paths, COLORS, strict=True),
        ("all paths", shown, INK),
    ]
    for number, (name, costs, color) in enumerate(rows):
        middle = top + 34 + 34 * number
        if number == len(PATHS):
            page.line([(LEFT, middle - 17), (LEFT + WIDTH, middle - 17)], color=GRAY, line_px=1)
        page.text(LEFT, middle, name, anchor="lm", bold=True)
        cells = (f"{costs.weights:,}", millions(costs.macs), mebibytes(costs.bytes))
        for x, cell in zip(places, cells, strict=True):
            page.text(x, middle, cell, size_px=13, anchor="rm")
        share = costs.macs / shown.macs
        if costs.macs:
            draw_bar(page, 570, middle, 180 * share, color=color)
        page.text(570 + 180 * share + 8, middle, f"{100 * share:.0f} %", size_px=13, anchor="lm")


def sentence(shown: Design) -> str:
    """Costs of the block, and of its twin with the switch the other way."""
    name = "own block" if shown.preset == OWN else f"block {shown.preset}"
    switch, twin = ("with", "without") if shown.reductions else ("without", "with")
    ratio = shown.other_weights / shown.weights
    return (
        f"{name} on {shown.in_channels} channels of {shown.size_px}×{shown.size_px}, {switch} "
        f"reductions: {shown.weights:,} weights, {millions(shown.macs)} MACs, "
        f"{mebibytes(shown.bytes)} of maps, {shown.out_channels} channels out; {twin} them "
        f"{shown.other_weights:,} weights, {ratio:.2f} times as many"
    )


def follow_presets() -> Callable[[dict[str, widgets.ValueWidget]], None]:
    """adjust(controls): a newly chosen preset sets the sliders; a moved slider makes it "own"."""
    applied, table = OWN, presets()

    def adjust(controls: dict[str, widgets.ValueWidget]) -> None:
        nonlocal applied
        chosen = controls["preset"].value
        if chosen != OWN:
            values = table[chosen]
            if chosen != applied:
                for name, value in values.items():
                    controls[name].value = value
            elif any(controls[name].value != value for name, value in values.items()):
                controls["preset"].value = OWN
        applied = controls["preset"].value

    return adjust


def explorer() -> Explorer:
    """Six widths, the input, the switch; start from a block of Table 1."""
    return Explorer(
        "Inception",
        design,
        draw,
        sentence,
        width_px=840,
        adjust=follow_presets(),
        preset=widgets.Dropdown(options=(*presets(), OWN), value="3a", description="Table 1"),
        reductions=widgets.Checkbox(True, description="with reductions"),
        in_channels=widgets.IntSlider(192, 16, 832, step=16),
        size_px=widgets.IntSlider(28, 7, 56, step=7),
        conv_1x1=widgets.IntSlider(64, 8, 384, step=8, description="1×1"),
        reduce_3x3=widgets.IntSlider(96, 8, 192, step=8, description="3×3 reduction"),
        conv_3x3=widgets.IntSlider(128, 8, 384, step=8, description="3×3"),
        reduce_5x5=widgets.IntSlider(16, 8, 96, step=8, description="5×5 reduction"),
        conv_5x5=widgets.IntSlider(32, 8, 128, step=8, description="5×5"),
        pool_proj=widgets.IntSlider(32, 8, 128, step=8, description="projection"),
    )
