"""Architecture map: any network's layers as boxes; choose one, and its figures are written out.

A box is as high as its map's side and as wide as its channels, both on a logarithmic scale, in the
order of execution, line by line. Boxes can stand for stages (neighbours with maps of one size), for
blocks (layers whose names begin alike) or for single layers.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache, partial
from itertools import groupby
from typing import NamedTuple

import anywidget
import ipywidgets as widgets
import torch
import traitlets
from PIL import Image
from torch import nn

from cnncourse import messages, plots
from cnncourse.explorers import Explorer
from cnncourse.models import alexnet, efficientnet, googlenet, lenet, resnet, simple, vgg
from cnncourse.sketch import GRAY, SCALE, Sketch
from cnncourse.trace import Row, Trace, trace
from cnncourse.trace.table import summed

WIDTH_PX, HEIGHT_PX = 840, 500
LEFT_PX, TOP_PX, BOXES_PX = 12, 40, 306  # where the boxes are; the card is below them
EDGE = "#6A6A6A"
DETAILS = ("stages", "blocks", "layers")
MOST_BLOCKS = 64  # more are hard to tell apart: then a shorter part of the names is taken
PICTURE = (1, 3, 224, 224)


class Known(NamedTuple):
    """A network of the course: how it is built, and the pictures that it is for."""

    build: Callable[[], nn.Module]
    input_shape: tuple[int, ...] = PICTURE
    is_small: bool = False


CATALOGUE = {
    "SimpleCNN": Known(simple.SimpleCNN, (1, 1, 28, 28), is_small=True),
    "LeNet-5": Known(lenet.lenet5, (1, 1, 32, 32), is_small=True),
    "AlexNet": Known(alexnet.alexnet),
    "AlexNet, 2012": Known(alexnet.alexnet_2012, (1, 3, 227, 227)),
    "VGG-16": Known(vgg.vgg16),
    "VGG-19": Known(vgg.vgg19),
    "GoogLeNet": Known(googlenet.googlenet),
    "GoogLeNet, 2014": Known(googlenet.googlenet_2014),
    "ResNet-18": Known(resnet.resnet18),
    "ResNet-34": Known(resnet.resnet34),
    "ResNet-50": Known(resnet.resnet50),
    "ResNet-101": Known(resnet.resnet101),
    "ResNet-152": Known(resnet.resnet152),
    "EfficientNet-B0": Known(efficientnet.efficientnet_b0),
    "EfficientNet-B7": Known(efficientnet.efficientnet_b7, (1, 3, 600, 600)),
}


class Family(NamedTuple):
    """A group of kinds: its fill, the letter in its boxes, and the stroke where these are narrow.

    A stroke is a line across the box, in shares of its width and height.
    """

    fill: str
    letter: str
    stroke: tuple[tuple[float, float], ...]
    words: tuple[str, ...]  # a kind that has one of them in its name is of the family


# The order decides where a name has the words of two.
FAMILIES = {
    "pool": Family("#A6DBC9", "P", ((0, 0), (1, 1)), ("Pool", "Subsampl")),
    "convolution": Family("#8FC4E8", "C", (), ("Conv",)),
    "normalisation": Family("#F5CF80", "N", ((0, 0.5), (1, 0.5)), ("Norm",)),
    "full connection": Family("#F0A67F", "L", ((0.5, 0), (0.5, 1)), ("Linear", "Bilinear")),
    "other": Family("#FFFFFF", "", (), ("",)),
}


@dataclass(frozen=True)
class Box:
    """Rows that are drawn as one, and their sums."""

    rows: tuple[Row, ...]
    sums: Row


class Shown(NamedTuple):
    """A network at a level of detail, with one box marked."""

    model: str
    detail: str
    boxes: tuple[Box, ...]
    chosen: int
    traced: Trace


# --- boxes ----------------------------------------------------------------------------------------


def side(row: Row) -> int:
    """Height of a row's map in pixels; 1 where its output is no map."""
    return row.output_shape[-2] if len(row.output_shape) > 3 else 1


def channels(row: Row) -> int:
    """Channels or features of a row's output; 1 where it never ran."""
    if len(row.output_shape) > 2:
        return row.output_shape[1]
    return row.output_shape[-1] if row.output_shape else 1


def family(box: Box) -> str:
    """Family of a box's costliest row, of its largest where none costs anything."""
    kind = max(box.rows, key=lambda row: (row.macs, row.parameters)).kind
    return next(name for name, known in FAMILIES.items() if any(w in kind for w in known.words))


def boxes_by_name(traced: Trace, level: int) -> list[Box]:
    """Rows whose names begin alike, each such group where it first runs, with what it gives."""
    groups: dict[str, list[Row]] = {}
    for row in traced.rows:
        groups.setdefault(".".join(row.name.split(".")[:level]), []).append(row)
    return [
        Box(tuple(group), summed(name, group, traced.ends.get(name)))
        for name, group in groups.items()
    ]


def block_level(traced: Trace) -> int:
    """The most parts of the names that give no more than MOST_BLOCKS boxes; 1 at least."""
    deepest = max(row.name.count(".") for row in traced.rows) + 1
    counts = {level: len(boxes_by_name(traced, level)) for level in range(1, deepest + 1)}
    return max((level for level, count in counts.items() if count <= MOST_BLOCKS), default=1)


def merged(boxes: Sequence[Box]) -> Box:
    """Neighbours as one box, named by the first and the last."""
    rows = tuple(row for box in boxes for row in box.rows)
    names = list(dict.fromkeys((boxes[0].sums.name, boxes[-1].sums.name)))
    return Box(rows, summed(" to ".join(names), rows, boxes[-1].sums))


def boxes_of(traced: Trace, detail: str) -> tuple[Box, ...]:
    """Boxes of a network at a level of detail; what never ran is a box of its own."""
    if detail == "layers":
        return tuple(Box((row,), row) for row in traced.rows)
    blocks = boxes_by_name(traced, block_level(traced))
    if detail == "blocks":
        return tuple(blocks)
    runs = groupby(blocks, key=lambda box: (bool(box.sums.output_shape), side(box.sums)))
    return tuple(merged(list(run)) for _, run in runs)


# --- places on the page ---------------------------------------------------------------------------


class Place(NamedTuple):
    """Rectangle of a box on the page, in pixels."""

    x: float
    y: float
    width: float
    height: float


def lines_of(widths: Sequence[float], gap: float) -> list[list[int]]:
    """Numbers of the boxes on each line, as many on a line as there is room for."""
    lines: list[list[int]] = [[]]
    x = 0.0
    for index, width in enumerate(widths):
        if lines[-1] and x + width > WIDTH_PX - 2 * LEFT_PX:
            lines.append([])
            x = 0.0
        lines[-1].append(index)
        x += width + gap
    return lines


def places(boxes: Sequence[Box]) -> list[Place]:
    """Where the boxes stand, drawn smaller where there are many: each width is for its channels.

    Every line has 18 px for words above its highest box.
    """
    natural = [12 + 4.4 * math.log2(channels(box.sums)) for box in boxes]
    for count in range(1, 40):
        scale = min(1.0, 3 / count**1.5)
        gap = 7 * scale
        widths = [max(4.0, width * scale) for width in natural]
        lines = lines_of(widths, gap)
        if len(lines) <= count:
            break
    line_px = min(BOXES_PX / len(lines), 170.0)
    top = TOP_PX + (BOXES_PX - line_px * len(lines)) / 2
    most = max(side(box.sums) for box in boxes)
    found = []
    for number, line in enumerate(lines):
        x, bottom = float(LEFT_PX), top + (number + 1) * line_px - 4
        for index in line:
            tall = share(side(boxes[index].sums), most) * (line_px - 22)
            found.append(Place(x, bottom - tall, widths[index], tall))
            x += widths[index] + gap
    return found


def share(size: int, most: int) -> float:
    """Of the full height, on a logarithmic scale; a fifth for one pixel."""
    return 0.2 + 0.8 * math.log2(size) / math.log2(most) if most > 1 else 0.2


def box_at(shown_places: Sequence[Place], x: float, y: float) -> int | None:
    """The box whose column on its line is clicked, 3 px around it included; None beside them all.

    A low box is met in the free space above it too.
    """
    line_px = max((place.height for place in shown_places), default=0.0)
    for index, place in enumerate(shown_places):
        bottom = place.y + place.height
        near = place.x - 3 <= x <= place.x + place.width + 3
        if near and bottom - line_px <= y <= bottom + 3:
            return index
    return None


# --- drawn ----------------------------------------------------------------------------------------


def draw_box(page: Sketch, box: Box, place: Place) -> None:
    """A box in its family's fill, with the letter or, where it is narrow, the stroke.

    What never ran is crossed out.
    """
    kind = FAMILIES[family(box)]
    ran = bool(box.sums.output_shape)
    x, y, width, height = place
    fill_box(page, place, kind.fill if ran else "white")
    if ran and min(width, height) >= 15:
        page.text(x + width / 2, y + height / 2, kind.letter, size_px=12, bold=True)
        return
    for stroke in (kind.stroke,) if ran else (((0, 0), (1, 1)), ((0, 1), (1, 0))):
        draw_stroke(page, place, stroke)


def fill_box(page: Sketch, place: Place, fill: str) -> None:
    """A rectangle with a thin outline."""
    x, y, width, height = place
    corners = [round(at * SCALE) for at in (x, y, x + width, y + height)]
    page.pen.rectangle(corners, fill=fill, outline=EDGE)


def draw_stroke(page: Sketch, place: Place, stroke: Sequence[tuple[float, float]]) -> None:
    """A line across a box, in shares of its width and height; none where there are no points."""
    x, y, width, height = place
    if stroke:
        points = [(x + width * across, y + height * down) for across, down in stroke]
        page.line(points, color=EDGE, line_px=0.75)


def draw_legend(page: Sketch) -> None:
    """The families with their letters and strokes."""
    x = float(LEFT_PX)
    for name, kind in FAMILIES.items():
        wide, narrow = Place(x, 8, 20, 20), Place(x + 24, 8, 6, 20)
        fill_box(page, wide, kind.fill)
        fill_box(page, narrow, kind.fill)
        draw_stroke(page, narrow, kind.stroke)
        page.text(x + 10, 18, kind.letter, size_px=12, bold=True)
        page.text(x + 36, 18, name, size_px=12, anchor="lm")
        x += 56 + 7.2 * len(name)


def draw_sides(page: Sketch, boxes: Sequence[Box], found: Sequence[Place]) -> None:
    """The map's side above the first box that has it, where there is room for the words."""
    free, before, line = 0.0, 0, -1.0
    for box, place in zip(boxes, found, strict=True):
        bottom = place.y + place.height
        if bottom != line:
            free, before, line = 0.0, 0, bottom
        now = side(box.sums)
        if now in (1, before) or place.x < free:
            continue
        words = f"{now} px"
        end = place.x + 6.4 * len(words)
        below = [one.y for one in found if one.y + one.height == bottom and place.x <= one.x <= end]
        page.text(place.x, min(below) - 10, words, size_px=11, anchor="lm")
        free, before = end + 3, now


@lru_cache(maxsize=8)
def drawn_boxes(boxes: tuple[Box, ...]) -> tuple[Image.Image, tuple[Place, ...]]:
    """The picture without a mark, which is the same for all boxes that can be chosen."""
    page, found = Sketch(WIDTH_PX, HEIGHT_PX), places(boxes)
    draw_legend(page)
    for box, place in zip(boxes, found, strict=True):
        draw_box(page, box, place)
    draw_sides(page, boxes, found)
    return page.canvas, tuple(found)


def card(shown: Shown) -> list[tuple[str, str]]:
    """The chosen box's row of the trace, a heading and its words each."""
    row, whole = shown.boxes[shown.chosen].sums, shown.traced
    output = "×".join(map(str, row.output_shape)) or "none: it never ran"
    sees = f"{row.field.size:,} px, in steps of {row.field.jump:,}" if row.field else "–"
    memory = f"{row.activation_bytes:,} bytes ({row.activation_bytes / 2**20:.2f} MiB)"
    return [
        ("output", output),
        ("parameters", f"{row.parameters:,} ({percent(row.parameters, whole.parameters)})"),
        ("MACs", f"{row.macs:,} ({percent(row.macs, whole.macs)})"),
        ("memory", memory),
        ("a unit sees", sees),
        ("note", row.note or "–"),
    ]


def percent(part: int, whole: int) -> str:
    """Share of the whole network."""
    return f"{100 * part / whole:.1f} %" if whole else "0 %"


def draw(shown: Shown) -> Sketch:
    """Boxes, the chosen one framed, its figures below."""
    canvas, found = drawn_boxes(shown.boxes)
    page = Sketch(1, 1)
    page.canvas = canvas.copy()
    page.pen = type(page.pen)(page.canvas)
    x, y, width, height = found[shown.chosen]
    page.frame(x - 2, y - 2, width + 4, height + 4, color=plots.RED, line_px=3)
    top = TOP_PX + BOXES_PX + 24
    page.line([(LEFT_PX, top - 14), (WIDTH_PX - LEFT_PX, top - 14)], color=GRAY, line_px=1)
    title = f"{shown.chosen + 1} of {len(shown.boxes)}: {heading(shown)}"
    page.text(LEFT_PX, top + 4, fitting(title, 88), size_px=15, bold=True, anchor="lm")
    for number, (name, words) in enumerate(card(shown)):
        left, line = LEFT_PX + 410 * (number // 3), top + 34 + 26 * (number % 3)
        page.text(left, line, name, size_px=13, color="#555555", anchor="lm")
        page.text(left + 92, line, fitting(words, 40), size_px=13, anchor="lm")
    return page


def heading(shown: Shown) -> str:
    """Name and kind of the chosen box."""
    row = shown.boxes[shown.chosen].sums
    return f"{row.name} ({row.kind})"


def fitting(words: str, most: int) -> str:
    """Words cut to a number of letters."""
    return words if len(words) <= most else f"{words[: most - 1]}…"


def sentence(shown: Shown) -> str:
    """The chosen box in words."""
    said = "; ".join(f"{name} {words}" for name, words in card(shown) if words != "–")
    return f"{shown.model}, {shown.detail}, {shown.chosen + 1} of {len(shown.boxes)}: " + (
        f"{heading(shown)}; {said}"
    )


# --- wired ----------------------------------------------------------------------------------------


class Clicks(anywidget.AnyWidget):
    """Sends where the explorer's picture is clicked: shares of width and height, and a count."""

    place: traitlets.List = traitlets.List([]).tag(sync=True)

    _esm = """
    function render({ model, el }) {
      el.style.display = "none";
      let explorer = null, count = 0;
      const send = (event) => {
        if (event.target.tagName !== "IMG") return;
        const box = event.target.getBoundingClientRect();
        count += 1;  // the same place twice is two clicks
        model.set("place", [
          (event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height, count,
        ]);
        model.save_changes();
      };
      requestAnimationFrame(() => {  // by now the widget is on the page
        explorer = el.closest(".cnncourse-explorer");
        explorer?.addEventListener("click", send);
      });
      return () => explorer?.removeEventListener("click", send);
    }
    export default { render };
    """


@cache
def traced_by_name(name: str) -> Trace:
    """Trace of a network of the catalogue; a large one is built without numbers."""
    known = CATALOGUE[name]
    device = torch.device("cpu" if known.is_small else "meta")
    with device, torch.random.fork_rng(devices=[]):
        return trace(known.build(), known.input_shape)


class Map:
    """What the controls' moves need: the traces, and which box was chosen before."""

    def __init__(self, traced: Mapping[str, Callable[[], Trace]]) -> None:
        self.traced = traced
        self.before = ("", "", 0)
        self.boxes = lru_cache(maxsize=8)(self.boxes_of)

    def boxes_of(self, model: str, detail: str) -> tuple[Box, ...]:
        """Boxes of a network by its name."""
        return boxes_of(self.traced[model](), detail)

    def shown(self, model: str, detail: str, layer: int) -> Shown:
        """The network with box number `layer` chosen, from 1; raises ValueError beyond the last."""
        boxes = self.boxes(model, detail)
        messages.check_at_least("layer", layer, 1)
        if layer > len(boxes):
            rule = f"{model} has {len(boxes)} {detail}"
            raise ValueError(messages.refusal("layer", layer, rule, attempt=f"layer={len(boxes)}"))
        return Shown(model, detail, boxes, layer - 1, self.traced[model]())

    def adjust(self, controls: dict[str, widgets.ValueWidget]) -> None:
        """As many steps as boxes; with another detail the box with the same layer is chosen."""
        model, detail, layer = (controls[name] for name in ("model", "detail", "layer"))
        boxes, (old_model, old_detail, _) = self.boxes(model.value, detail.value), self.before
        if (old_model, old_detail) != (model.value, detail.value):
            chosen = 1
            if old_model == model.value:
                first = self.boxes(old_model, old_detail)[self.before[2] - 1].rows[0]
                chosen = 1 + next(i for i, box in enumerate(boxes) if first in box.rows)
            layer.value = layer.min
            layer.max = len(boxes)
            layer.value = chosen
        self.before = (model.value, detail.value, layer.value)

    def click(self, explorer: Explorer, change: dict) -> None:
        """Choose the box that was clicked."""
        if len(change["new"]) < 2:
            return
        across, down = change["new"][:2]
        controls = explorer.controls
        boxes = self.boxes(controls["model"].value, controls["detail"].value)
        hit = box_at(drawn_boxes(boxes)[1], across * WIDTH_PX, down * HEIGHT_PX)
        if hit is not None:
            controls["layer"].value = hit + 1


def explorer(
    model: nn.Module | Mapping[str, nn.Module] | None = None,
    *,
    input_shape: Sequence[int] = PICTURE,
) -> Explorer:
    """Choose a network, a level of detail and a layer, or click on one.

    Of a module, of several by name, or, without them, of the course's networks at the sizes that
    they were made for. Raises ValueError where a module does not take input_shape.
    """
    traced: dict[str, Callable[[], Trace]]
    if model is None:
        traced = {name: partial(traced_by_name, name) for name in CATALOGUE}
    else:
        given = model if isinstance(model, Mapping) else {type(model).__name__: model}
        if not given:
            raise ValueError("model={}: has no network. Try: architecture.explorer().")
        found = {name: trace(one, input_shape) for name, one in given.items()}
        traced = {name: partial(found.__getitem__, name) for name in found}
    names = list(traced)
    drawing = Map(traced)
    made = Explorer(
        "Architecture",
        drawing.shown,
        draw,
        sentence,
        width_px=WIDTH_PX,
        adjust=drawing.adjust,
        model=widgets.Dropdown(options=names, value="AlexNet" if model is None else names[0]),
        detail=widgets.Dropdown(options=DETAILS, value="blocks"),
        layer=widgets.IntSlider(1, 1, 1),
    )
    clicks = Clicks()
    clicks.observe(partial(drawing.click, made), names="place")
    made.children = (*made.children, clicks)
    return made
