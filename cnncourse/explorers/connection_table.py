"""C3's connection table: which maps of S2 each map of C3 sees, what it costs, and what it makes.

The kernels are classical ones, chosen by hand, not learned: so that every map can be explained.
"""

from collections.abc import Callable
from functools import cache
from typing import NamedTuple

import ipywidgets as widgets
import numpy as np

from cnncourse import filters, messages, ops, plots
from cnncourse.explorers import Explorer
from cnncourse.models.lenet import C3_TABLE, FULL_TABLE, SIZE_PX, Table, codes
from cnncourse.sketch import GRAY, INK, Sketch

PAPER, FULL, OWN = "the paper's", "full", "my own"
INPUTS, OUTPUTS, KERNEL, SIDE = 6, 16, 5, 10  # maps of S2, maps of C3, sides in pixels
NAMES = ("Sobel x", "Sobel y", "edge \\", "edge /", "blob", "blur")

# --- the maps -------------------------------------------------------------------------------------


@cache
def kernels() -> np.ndarray:
    """Six classical kernels of 5 x 5, each with magnitudes that add up to 1: (6, 5, 5)."""
    smooth = filters.gaussian(3, sigma=0.8)
    along, across = (
        -ops.conv2d(np.pad(smooth, 2), edge) for edge in (filters.SOBEL_X, filters.SOBEL_Y)
    )
    chosen = [along, across, along - across, along + across, -filters.log(5, sigma=1.0)]
    chosen.append(filters.gaussian(5, sigma=1.0))
    return np.stack([kernel / abs(kernel).sum() for kernel in chosen])


@cache
def c3_kernels() -> np.ndarray:
    """A kernel for every pair: map o looks at map i with kernel (o + i) mod 6: (16, 6, 5, 5)."""
    pairs = np.add.outer(np.arange(OUTPUTS), np.arange(INPUTS)) % len(NAMES)
    return kernels()[pairs]


def squashed(sums: np.ndarray) -> np.ndarray:
    """The paper's squashing function."""
    return 1.7159 * np.tanh(2 / 3 * sums)


@cache
def digit_px(digit: int) -> np.ndarray:
    """A drawn digit, 14 x 24 px in a picture of 32 x 32, from -0.1 (paper) to 1.175 (ink)."""
    ink = np.kron(codes()[digit].numpy().reshape(12, 7) > 0, np.ones((2, 2)))
    height, width = ink.shape
    top, left = (SIZE_PX - height) // 2, (SIZE_PX - width) // 2
    picture = np.pad(ink, ((top, SIZE_PX - height - top), (left, SIZE_PX - width - left)))
    return 1.275 * ops.conv2d(picture, filters.gaussian(3, sigma=0.7), padding=1) - 0.1


@cache
def s2_maps(digit: int) -> np.ndarray:
    """The digit through C1 (the six kernels) and S2 (twice the mean): (6, 14, 14)."""
    c1 = squashed(ops.conv2d(digit_px(digit)[None], 2 * kernels()[:, None]))
    return squashed(2 * ops.avg_pool2d(c1, 2))


class Connected(NamedTuple):
    """A table, one of its rows, and what the row makes of a digit."""

    name: str  # PAPER, FULL or OWN
    table: Table
    output_map: int
    digit: int
    maps: np.ndarray  # (6, 14, 14): of S2
    result: np.ndarray  # (10, 10): of C3

    @property
    def row(self) -> tuple[int, ...]:
        """Maps of S2 that the chosen map of C3 sees."""
        return tuple(sorted(self.table[self.output_map]))

    @property
    def ticks(self) -> int:
        """Pairs that are connected, of 96."""
        return sum(len(row) for row in self.table)

    @property
    def parameters(self) -> int:
        """25 for each tick and a bias for each map of C3."""
        return KERNEL**2 * self.ticks + OUTPUTS

    @property
    def connections(self) -> int:
        """Every parameter is used by each of a map's 10 x 10 units."""
        return self.parameters * SIDE**2

    @property
    def different(self) -> int:
        """How many different rows there are."""
        return len({frozenset(row) for row in self.table})


def connected(name: str, table: Table, output_map: int, digit: int) -> Connected:
    """The chosen map of C3 for a digit; ValueError where it sees nothing or is not there."""
    if not 0 <= output_map < OUTPUTS:
        rule = f"C3 has the maps 0 to {OUTPUTS - 1}"
        raise ValueError(messages.refusal("output_map", output_map, rule, attempt="output_map=0"))
    if not 0 <= digit <= 9:
        raise ValueError(messages.refusal("digit", digit, "must be 0 to 9", attempt="digit=3"))
    row = sorted(table[output_map])
    if not row:
        rule = f"map {output_map} of C3 would see nothing"
        raise ValueError(messages.refusal("table", (), rule, attempt="tick one map of S2"))
    maps = s2_maps(digit)
    sums = ops.conv2d(maps[row], c3_kernels()[output_map][row][None])[0]
    return Connected(name, table, output_map, digit, maps, squashed(2 * sums))


# --- the picture ----------------------------------------------------------------------------------

LEFT_PX, TOP_PX, CELL_PX = 76, 56, 26
MAP_PX, STEP_PX, MAPS_PX = 84, 100, 280  # of the maps of S2: side, from one to the next, top


def draw(shown: Connected) -> Sketch:
    """The table with its counts, and below it the maps that the chosen row adds up."""
    page = Sketch(840, 466)
    draw_table(page, shown)
    draw_counts(page, shown)
    draw_maps(page, shown)
    return page


def draw_table(page: Sketch, shown: Connected) -> None:
    """Six rows, sixteen columns; ticks are crosses, the chosen column is framed and filled."""
    page.text(10, 14, f"table: {shown.name}", anchor="lm", bold=True)
    page.text(LEFT_PX + OUTPUTS * CELL_PX, 14, "maps of C3", anchor="rm", size_px=13)
    for seen in range(INPUTS):
        middle = TOP_PX + (seen + 0.5) * CELL_PX
        page.text(LEFT_PX - 8, middle, f"S2 map {seen}", anchor="rm", size_px=12)
    for output_map, row in enumerate(shown.table):
        x = LEFT_PX + output_map * CELL_PX
        chosen = output_map == shown.output_map
        page.text(x + CELL_PX / 2, TOP_PX - 12, str(output_map), size_px=13, bold=chosen)
        for seen in range(INPUTS):
            y = TOP_PX + seen * CELL_PX
            page.frame(x, y, CELL_PX, CELL_PX, color="#B0B0B0", line_px=1)
            if seen in row:
                cross(page, x + CELL_PX / 2, y + CELL_PX / 2, chosen=chosen)
    x = LEFT_PX + shown.output_map * CELL_PX
    page.frame(x - 2, TOP_PX - 2, CELL_PX + 4, INPUTS * CELL_PX + 4)


def cross(page: Sketch, x: float, y: float, *, chosen: bool) -> None:
    """A tick of the table: a cross, blue and thick in the chosen column."""
    color, line_px = (plots.BLUE, 4) if chosen else (GRAY, 2)
    for sign in (1, -1):
        page.line([(x - 6, y - 6 * sign), (x + 6, y + 6 * sign)], color=color, line_px=line_px)


def draw_counts(page: Sketch, shown: Connected) -> None:
    """What all of C3 costs with this table, beside the paper's and the full one."""
    x = LEFT_PX + OUTPUTS * CELL_PX + 26
    own = KERNEL**2 * len(shown.row) + 1
    lines = [
        f"map {shown.output_map} of C3",
        f"sees {len(shown.row)} of 6 maps",
        f"25 × {len(shown.row)} + 1 = {own} parameters",
        "",
        "all of C3",
        f"{shown.ticks} of 96 kernels",
        f"25 × {shown.ticks} + 16 = {shown.parameters:,} parameters",
        f"× 100 units = {shown.connections:,} connections",
        f"16 maps, {shown.different} different {rows_of(shown)}",
    ]
    for number, line in enumerate(lines):
        page.text(x, 36 + 21 * number, line, anchor="lm", bold=number in (0, 4), size_px=13)


def draw_maps(page: Sketch, shown: Connected) -> None:
    """The digit's maps of S2 with the kernels of the chosen map of C3, and the map they make."""
    y = MAPS_PX
    page.text(10, y - 36, f"S2's maps of a drawn {shown.digit}", anchor="lm", bold=True)
    for seen in range(INPUTS):
        x = 10 + seen * STEP_PX
        used = seen in shown.row
        page.text(x + MAP_PX / 2, y - 12, f"{seen}: {NAMES[seen]}", size_px=12, bold=used)
        page.image(shown.maps[seen], x, y, width_px=MAP_PX, height_px=MAP_PX, paint="signed")
        color, line_px = (plots.BLUE, 3) if used else ("#B0B0B0", 1)
        page.frame(x, y, MAP_PX, MAP_PX, color=color, line_px=line_px)
        below = y + MAP_PX + 8
        if used:
            kernel = c3_kernels()[shown.output_map, seen]
            page.image(kernel, x + 17, below, width_px=50, height_px=50, paint="signed")
            page.frame(x + 17, below, 50, 50, color="#B0B0B0", line_px=1)
        else:
            page.text(x + MAP_PX / 2, below + 25, "not seen", size_px=12, color="#555555")
    words = "below: the 5 × 5 kernels (by hand, not learned). Blue is positive, orange negative."
    page.text(10, y + MAP_PX + 80, words, anchor="lm", size_px=12)
    x, side = 10 + INPUTS * STEP_PX + 40, 150
    page.line([(x - 42, y + 42), (x - 12, y + 42)], color=INK, line_px=2)
    page.line([(x - 20, y + 36), (x - 12, y + 42), (x - 20, y + 48)], color=INK, line_px=2)
    page.text(x + side / 2, y - 12, f"map {shown.output_map} of C3", size_px=13, bold=True)
    page.image(shown.result, x, y, width_px=side, height_px=side, paint="signed")
    page.frame(x, y, side, side, color=INK, line_px=1)


def rows_of(shown: Connected) -> str:
    """What is counted as different."""
    return "set of inputs" if shown.different == 1 else "sets of inputs"


def sentence(shown: Connected) -> str:
    """The row, and the counts of the table."""
    row = ", ".join(map(str, shown.row))
    return (
        f"{shown.name} table: map {shown.output_map} of C3 sees S2's maps {row} "
        f"({KERNEL**2 * len(shown.row) + 1} parameters). All of C3: {shown.ticks} kernels, "
        f"{shown.parameters:,} parameters, {shown.connections:,} connections, "
        f"16 maps with {shown.different} different {rows_of(shown)}."
    )


# --- the explorer ---------------------------------------------------------------------------------


class OwnTable:
    """The reader's table: begins as the paper's; the boxes edit the row of the chosen map."""

    def __init__(self) -> None:
        self.rows = [list(row) for row in C3_TABLE]
        self.before: tuple[str, int] | None = None

    def table(self, name: str) -> Table:
        """The table of that name."""
        return {PAPER: C3_TABLE, FULL: FULL_TABLE, OWN: self.rows}[name]

    def adjust(self, controls: dict[str, widgets.ValueWidget]) -> None:
        """Boxes follow the table where it or the map was changed; else the table follows them."""
        now = controls["table"].value, controls["output_map"].value
        boxes = [controls[f"map_{seen}"] for seen in range(INPUTS)]
        if now == self.before:
            ticked = [seen for seen, box in enumerate(boxes) if box.value]
            if set(ticked) != set(self.table(now[0])[now[1]]):
                if now[0] != OWN:
                    self.rows = [list(row) for row in self.table(now[0])]
                self.rows[now[1]] = ticked
                controls["table"].value = OWN
        else:
            for seen, box in enumerate(boxes):
                box.value = seen in self.table(now[0])[now[1]]
        self.before = controls["table"].value, now[1]

    def compute(self, table: str, output_map: int, digit: int, **boxes: bool) -> Connected:
        """What is shown for these controls; the boxes are in the table already."""
        del boxes
        return connected(table, self.table(table), output_map, digit)


def explorer(output_map: int = 6) -> Explorer:
    """Walk through C3's table, or tick one of your own, and watch the map and the counts."""
    own = OwnTable()
    boxes = {
        f"map_{seen}": widgets.Checkbox(
            seen in C3_TABLE[output_map], description=f"sees S2 map {seen}", indent=False
        )
        for seen in range(INPUTS)
    }
    compute: Callable[..., Connected] = own.compute
    return Explorer(
        "ConnectionTable",
        compute,
        draw,
        sentence,
        width_px=840,
        adjust=own.adjust,
        play="output_map",
        interval_ms=1200,
        table=widgets.Dropdown(options=[PAPER, FULL, OWN], value=PAPER),
        output_map=widgets.IntSlider(output_map, 0, OUTPUTS - 1, description="map of C3"),
        digit=widgets.Dropdown(options=list(range(10)), value=3),
        **boxes,
    )
