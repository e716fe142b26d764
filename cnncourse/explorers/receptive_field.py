"""Receptive field: a stack typed line by line, and what one of its units sees of a picture."""

import re
from collections.abc import Sequence
from functools import cache
from typing import NamedTuple

import ipywidgets as widgets
import numpy as np

from cnncourse import images, messages, ops, plots
from cnncourse.arithmetic import Layer, output_size, receptive_field
from cnncourse.explorers import Explorer
from cnncourse.sketch import Sketch

MOST_LINES = 16
MOST_LAYERS = 200
MOST_FIELD_PX = 4000
SHORTEST_PX, LONGEST_PX = 16, 512  # side of the picture

STACKS = {
    "three small layers": "conv 3\nconv 3 stride 2\nconv 3",
    "AlexNet": (
        "conv 11 stride 4 padding 2\npool 3 stride 2\nconv 5 padding 2\npool 3 stride 2\n"
        "3 x conv 3 padding 1\npool 3 stride 2"
    ),
    "VGG-16": "\n".join(f"{depth} x conv 3 padding 1\npool 2" for depth in (2, 2, 3, 3, 3)),
    "ResNet-18": (
        "conv 7 stride 2 padding 3\npool 3 stride 2 padding 1\n4 x conv 3 padding 1"
        + 3 * "\nconv 3 stride 2 padding 1\n3 x conv 3 padding 1"
    ),
    "dilated": "\n".join(f"conv 3 dilation {2**step} padding {2**step}" for step in range(5)),
}
LINE = re.compile(r"(?:(\d+) x )?(conv|pool) (\d+)((?: (?:stride|padding|dilation) \d+)*)")

# --- reading a stack ------------------------------------------------------------------------------


class Line(NamedTuple):
    """One line of a stack: a layer, how many of it, and whether it pools."""

    text: str
    layer: Layer
    times: int
    pools: bool


def read(text: str) -> list[Line]:
    """Lines such as `2 x conv 3 stride 2 padding 1 dilation 1` or `pool 2`.

    A pool's stride is its kernel size unless it is given, as in torch. Empty lines are passed over.
    Raises ValueError for what is no layer, and beyond MOST_LINES lines or MOST_LAYERS layers.
    """
    lines = [line_of(words) for line in text.splitlines() if (words := " ".join(line.split()))]
    if not lines:
        raise ValueError("layers: there is no layer yet. Try: conv 3 stride 2.")
    total = sum(line.times for line in lines)
    if len(lines) > MOST_LINES or total > MOST_LAYERS:
        raise ValueError(
            f"layers: {total} on {len(lines)} lines: must be at most {MOST_LAYERS} on {MOST_LINES} "
            f"lines. Try: 2 x conv 3 for two lines that are the same."
        )
    return lines


def line_of(words: str) -> Line:
    """A line whose words have one space between them; ValueError where it is no layer."""
    found = LINE.fullmatch(words.lower())
    if found is None:
        rule = "is no layer"
        attempt = "conv 3 stride 2 padding 1, or pool 2, or 4 x conv 3"
        raise ValueError(messages.refusal("line", words, rule, attempt=attempt))
    count, kind, kernel_size, options = found.groups()
    names = options.split()[::2]
    if len(set(names)) < len(names):
        rule, attempt = "says one thing twice", f"{kind} {kernel_size} {names[0]} 1"
        raise ValueError(messages.refusal("line", words, rule, attempt=attempt))
    numbers = dict(zip(names, map(int, options.split()[1::2]), strict=True))
    checked = {"number of layers": int(count or 1), "kernel": int(kernel_size)} | numbers
    for name, number in checked.items():
        if number < (least := 0 if name == "padding" else 1):
            rule = f"{name} must be {least} or more"
            raise ValueError(messages.refusal("line", words, rule, attempt=f"{kind} 3"))
    if kind == "pool" and 2 * numbers.get("padding", 0) > int(kernel_size):
        rule = "padding of a pool must be at most half of its kernel"
        attempt = f"pool {kernel_size} padding {int(kernel_size) // 2}"
        raise ValueError(messages.refusal("line", words, rule, attempt=attempt))
    numbers.setdefault("stride", int(kernel_size) if kind == "pool" else 1)
    layer = Layer(int(kernel_size), **numbers, name=words)
    return Line(words, layer, int(count or 1), kind == "pool")


def unrolled(lines: Sequence[Line]) -> list[Layer]:
    """Every layer, as often as its line says."""
    return [line.layer for line in lines for _ in range(line.times)]


# --- measuring ------------------------------------------------------------------------------------


def influence(layers: Sequence[Layer], length: int) -> np.ndarray:
    """Gradient of the middle unit with respect to a row of length pixels: (length,).

    Along one axis, for a field is a square. Every layer is a convolution whose weights are equal
    and sum to 1; a pool counts as one too, because a maximum would show a single path.
    """
    rows = [np.zeros((1, length))]
    for layer in layers:
        size = output_size(
            rows[-1].shape[1],
            kernel_size=layer.kernel_size,
            stride=layer.stride,
            padding=layer.padding,
            dilation=layer.dilation,
        )
        rows.append(np.zeros((1, size)))
    gradient = rows.pop()
    gradient[0, gradient.size // 2] = 1
    for layer, row in zip(reversed(layers), reversed(rows), strict=True):
        gradient = ops.conv2d_backward(
            gradient,
            row,
            np.full((1, layer.kernel_size), 1 / layer.kernel_size),
            stride=(1, layer.stride),
            padding=(0, layer.padding),
            dilation=(1, layer.dilation),
        ).images
    return gradient[0]


def measured_field(layers: Sequence[Layer]) -> tuple[int, np.ndarray]:
    """Pixels from the first to the last that the gradient reaches, and its values there.

    On a row so long that neither its ends nor padding are reached.
    """
    size, jump, _ = receptive_field(layers)
    gradient = influence(layers, size + 4 * jump)
    (reached,) = np.nonzero(gradient)
    return int(reached[-1] - reached[0] + 1), gradient[reached[0] : reached[-1] + 1]


# --- the explorer ---------------------------------------------------------------------------------


class Row(NamedTuple):
    """What a unit sees after one line of the stack, and how many units there are."""

    text: str
    field: int
    jump: int
    first: int  # pixel where the field of a unit in the middle begins; negative in the padding
    units: int  # along one side of the picture


class Seen(NamedTuple):
    """A stack up to one of its lines: its rows, and its field as computed and as measured."""

    rows: list[Row]
    layers: int
    side_px: int
    measured: int
    values: np.ndarray  # gradient over the field
    others: list[str]  # lines after the last one used


def seen(layers: str, picture_px: int, up_to_line: int) -> Seen:
    """What one unit sees after the first lines of a stack, on a square picture.

    Raises ValueError where a line is no layer, a window does not fit or the field is too large.
    """
    lines = read(layers)
    if not 1 <= up_to_line <= len(lines):
        rule = f"the stack has {len(lines)} lines, counted from 1"
        raise ValueError(messages.refusal("up_to_line", up_to_line, rule, attempt="up_to_line=1"))
    used = lines[:up_to_line]
    rows = rows_of(used, picture_px)
    if rows[-1].field > MOST_FIELD_PX:
        rule = f"sees {rows[-1].field} px, and is drawn up to {MOST_FIELD_PX}"
        raise ValueError(messages.refusal("line", used[-1].text, rule, attempt="smaller strides"))
    measured, values = measured_field(unrolled(used))
    rest = [line.text for line in lines[up_to_line:]]
    return Seen(rows, len(unrolled(used)), picture_px, measured, values, rest)


def rows_of(lines: Sequence[Line], picture_px: int) -> list[Row]:
    """A row a line; of each the unit that is nearest to the middle of the last one's field."""
    units = [picture_px]
    for line in lines:
        units.append(size_after(line, units[-1]))
    fields = [receptive_field(unrolled(lines[:number])) for number in range(1, len(lines) + 1)]
    last = fields[-1]
    middle = last.start + units[-1] // 2 * last.jump + (last.size - 1) / 2
    rows = []
    for line, (size, jump, start), count in zip(lines, fields, units[1:], strict=True):
        unit = round((middle - start - (size - 1) / 2) / jump)
        rows.append(Row(line.text, size, jump, start + unit * jump, count))
    return rows


def size_after(line: Line, size: int) -> int:
    """Units along one side after a line; ValueError that names it where it does not fit."""
    kernel_size, stride, padding, dilation, _ = line.layer
    for _ in range(line.times):
        span = dilation * (kernel_size - 1) + 1
        if span > size + 2 * padding:
            rule = f"spans {span} units, and there are only {size + 2 * padding} with padding"
            room = (size + 2 * padding - 1) // dilation + 1
            attempt = f"pool {room}" if line.pools else f"padding {(span - size + 1) // 2}"
            raise ValueError(messages.refusal("line", line.text, rule, attempt=attempt))
        size = output_size(
            size, kernel_size=kernel_size, stride=stride, padding=padding, dilation=dilation
        )
    return size


@cache
def backdrop() -> np.ndarray:
    """A photograph's middle, (75, 75, 3), pale enough to draw on, in few tones: quick to encode."""
    photo = images.resize_to(images.photo("chelsea")[:, 75:375], 75)
    return (255 - 6 * ((255 - photo) // 10)).astype(np.uint8)


VIEW_PX = 340


def draw(shown: Seen) -> Sketch:
    """Left the fields of all lines on the picture; right the table, and the influence below."""
    page = Sketch(780, 400)
    page.text(20, 16, f"picture {shown.side_px} x {shown.side_px} px", anchor="lm", bold=True)
    draw_fields(page, shown)
    page.text(390, 16, "layers", anchor="lm", bold=True)
    for x, words in ((600, "sees"), (675, "jump"), (760, "units")):
        page.text(x, 16, words, anchor="rm", bold=True)
    step = min(18.0, 216 / (len(shown.rows) + len(shown.others)))
    size = min(13, round(0.76 * step))
    for number, row in enumerate(shown.rows):
        y = 38 + number * step
        last = number == len(shown.rows) - 1
        page.text(390, y, shorter(row.text), anchor="lm", size_px=size, bold=last)
        for x, words in ((600, f"{row.field} px"), (675, f"{row.jump} px"), (760, f"{row.units}")):
            page.text(x, y, words, anchor="rm", size_px=size, bold=last)
    for number, text in enumerate(shown.others, start=len(shown.rows)):
        y = 38 + number * step
        page.text(390, y, shorter(text), anchor="lm", size_px=size, color="#8A8A8A")
    draw_influence(page, shown)
    return page


def shorter(text: str) -> str:
    """A line of the stack, in a width that the table has."""
    for word in ("stride", "padding", "dilation"):
        text = text.replace(f" {word} ", f" {word[0]}")
    return text


def draw_fields(page: Sketch, shown: Seen) -> None:
    """The picture, gray around it the padding, and the field of every line, the last in red."""
    last = shown.rows[-1]
    low = min(0, *(row.first for row in shown.rows))
    high = max(shown.side_px, *(row.first + row.field for row in shown.rows))
    scale = VIEW_PX / (high - low)
    page.image(np.full((1, 1, 3), 226, np.uint8), 20, 36, width_px=VIEW_PX, height_px=VIEW_PX)
    corner = (20 - low * scale, 36 - low * scale)
    side = shown.side_px * scale
    page.image(backdrop(), *corner, width_px=side, height_px=side)
    for row in shown.rows:
        place = [36 + (row.first - low) * scale, row.field * scale]
        color, line = (plots.RED, 3) if row is last else (plots.BLUE, 1)
        page.frame(place[0] - 16, place[0], place[1], place[1], color=color, line_px=line)
    if low < 0 or high > shown.side_px:
        page.text(24, 388, "gray: beyond the picture, padding", anchor="lm", size_px=12)


def draw_influence(page: Sketch, shown: Seen) -> None:
    """The gradient over the field as a curve over its pixels."""
    left, right, bottom, height = 390, 760, 360, 74
    page.text(
        left, 268, "influence of each pixel, all weights equal", anchor="lm", size_px=13, bold=True
    )
    heights = averaged(shown.values, most=right - left)
    levels = height * (1 - heights / heights.max())
    filled = np.arange(height)[:, None] >= np.minimum(levels, height - 1)  # the least is 1 px high
    colors = np.where(filled[..., None], np.array([0, 114, 178]), 255).astype(np.uint8)
    page.image(colors, left, bottom - height, width_px=right - left, height_px=height)
    page.line([(left, bottom), (right, bottom)], color="#888888")
    page.line([(left, 368), (right, 368)], color=plots.RED, line_px=2)
    words = f"computed {shown.rows[-1].field} px, measured by gradient {shown.measured} px"
    page.text((left + right) / 2, 384, words, size_px=13, bold=True, color=plots.RED)


def averaged(values: np.ndarray, *, most: int) -> np.ndarray:
    """Values, or means of neighbours where there are more than most of them."""
    if values.size <= most:
        return values
    edges = np.linspace(0, values.size, most + 1).astype(int)
    return np.add.reduceat(values, edges[:-1]) / np.diff(edges)


def sentence(shown: Seen) -> str:
    """Field computed and measured, jump, and what the picture gives."""
    last = shown.rows[-1]
    plural = "s" if shown.layers > 1 else ""
    beyond = ", more than the picture has" if last.field > shown.side_px else ""
    return (
        f"after {shown.layers} layer{plural} one unit sees {last.field} x {last.field} px "
        f"(computed; {shown.measured} measured by gradient){beyond}; neighbouring units are "
        f"{last.jump} px apart; a picture of {shown.side_px} px gives "
        f"{last.units} x {last.units} units"
    )


def explorer(stack: str = "three small layers", *, picture_px: int = 224) -> Explorer:
    """Type a stack, or take a famous one, and go through it line by line."""
    shown = {"stack": stack}

    def adjust(controls: dict) -> None:
        line = controls["up_to_line"]
        if controls["stack"].value != shown["stack"]:
            shown["stack"] = controls["stack"].value
            controls["layers"].value = STACKS[shown["stack"]]
            line.max = len(STACKS[shown["stack"]].splitlines())
            line.value = line.max
            return
        try:
            most = len(read(controls["layers"].value))
        except ValueError:
            return  # said in words by compute
        follows = line.value == line.max
        line.max = most
        line.value = most if follows else line.value

    def compute(*, stack: str, layers: str, picture_px: int, up_to_line: int) -> Seen:
        return seen(layers, picture_px, up_to_line)

    lines = len(STACKS[stack].splitlines())
    field = widgets.Textarea(STACKS[stack], rows=10)
    field.layout.height = "214px"
    return Explorer(
        "ReceptiveField",
        compute,
        draw,
        sentence,
        width_px=780,
        adjust=adjust,
        play="up_to_line",
        stack=widgets.Dropdown(options=list(STACKS), value=stack),
        picture_px=widgets.IntSlider(
            picture_px, SHORTEST_PX, LONGEST_PX, description="picture (px)"
        ),
        layers=field,
        up_to_line=widgets.IntSlider(lines, 1, lines, description="up to line"),
    )
