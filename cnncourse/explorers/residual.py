"""Plain against residual: gradients and signals of untrained networks, layer by layer.

Two networks of the same weights, one without shortcuts, see the same eight pictures of noise
once. Everything is computed when a control moves; training errors are drawn where they are given.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache, partial
from typing import NamedTuple

import ipywidgets as widgets
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from cnncourse import messages
from cnncourse.explorers import Explorer
from cnncourse.models.resnet import BasicBlock, PlainBlock, ResNet
from cnncourse.models.resnet_cifar import cifar_resnet
from cnncourse.plots import BLUE, ORANGE
from cnncourse.sketch import GRAY, PALE, Sketch

WIDTHS, IMAGES, SIZE_PX, CLASSES = (4, 8, 16), 8, 14, 10
KINDS = ("plain", "residual")
COLORS = {"plain": BLUE, "residual": ORANGE}
TOP, HEIGHT = 64, 220
LEAST, MOST = 1e-18, 1e18  # what is beyond is drawn at the edge
Errors = Mapping[str, Mapping[int, Sequence[float]]]  # kind, layers, per cent of each seed


class Flow(NamedTuple):
    """What one pass forward and back finds in an untrained network."""

    gradients: list[float]  # norm of the loss's gradient for each convolution, from the input on
    spreads: list[float]  # standard deviation of what the stem and every block give


class Flows(NamedTuple):
    """Both networks of a setting, and the training errors that were measured elsewhere."""

    layers: int
    batch_norm: bool
    gain: float
    plain: Flow
    residual: Flow
    errors: Errors


# --- computed -------------------------------------------------------------------------------------


def without_batch_norm(model: nn.Module) -> None:
    """Put nothing where a batch normalisation was."""
    for module in list(model.modules()):
        for name, child in module.named_children():
            if isinstance(child, nn.BatchNorm2d):
                setattr(module, name, nn.Identity())


def network(*, blocks: int, plain: bool, batch_norm: bool, gain: float, shortcut: str) -> ResNet:
    """A narrow ResNet for 14 px, its weights from a seed; gain times He et al.'s deviation."""
    with torch.random.fork_rng([]):
        torch.manual_seed(0)
        model = cifar_resnet(blocks, WIDTHS, plain=plain, shortcut=shortcut, in_channels=1)
    if not batch_norm:
        without_batch_norm(model)
    with torch.no_grad():
        for module in model.modules():
            if isinstance(module, nn.Conv2d):
                module.weight *= gain
    return model


def flow(model: ResNet) -> Flow:
    """Gradient norms and spreads of one pass over pictures of noise with labels of chance."""
    draw = torch.Generator().manual_seed(0)
    images = torch.randn(IMAGES, 1, SIZE_PX, SIZE_PX, generator=draw)
    labels = torch.randint(CLASSES, (IMAGES,), generator=draw)
    spreads: list[float] = []

    def note(_module: nn.Module, _given: tuple[Tensor, ...], gives: Tensor) -> None:
        spreads.append(gives.std().item())

    hooks = [
        module.register_forward_hook(note)
        for module in model.modules()
        if module is model.maxpool or isinstance(module, BasicBlock | PlainBlock)
    ]
    F.cross_entropy(model(images), labels).backward()
    for hook in hooks:
        hook.remove()
    gradients = [
        float(torch.linalg.vector_norm(torch.as_tensor(module.weight.grad)))
        for module in model.modules()
        if is_on_the_way(module)
    ]
    return Flow(gradients, spreads)


def is_on_the_way(module: nn.Module) -> bool:
    """Whether a module is a 3x3 convolution: not the projection of a shortcut."""
    return isinstance(module, nn.Conv2d) and module.kernel_size == (3, 3)


@lru_cache(maxsize=256)
def measured(blocks: int, plain: bool, batch_norm: bool, gain: float, shortcut: str) -> Flow:
    """The flow of a setting, computed once."""
    return flow(
        network(blocks=blocks, plain=plain, batch_norm=batch_norm, gain=gain, shortcut=shortcut)
    )


def flows(layers: int, batch_norm: bool, gain: float, shortcut: str, *, errors: Errors) -> Flows:
    """Both networks of a depth. Raises ValueError for a depth that is no 6n + 2, or below 8."""
    if layers < 8 or layers % 6 != 2:
        rule = "must be 6n + 2: a stem, three stages of 2n convolutions, a full connection"
        nearest = 6 * max(1, round((layers - 2) / 6)) + 2
        raise ValueError(messages.refusal("layers", layers, rule, attempt=f"layers={nearest}"))
    blocks = (layers - 2) // 6
    plain = measured(blocks, True, batch_norm, gain, "A")  # its shortcuts are not there
    residual = measured(blocks, False, batch_norm, gain, shortcut)
    return Flows(layers, batch_norm, gain, plain, residual, errors)


# --- drawn ----------------------------------------------------------------------------------------


def decades(curves: Sequence[Sequence[float]]) -> tuple[int, int]:
    """Whole powers of ten around positive values, four apart at least."""
    values = [min(max(value, LEAST), MOST) for curve in curves for value in curve]
    low, high = math.floor(math.log10(min(values))), math.ceil(math.log10(max(values)))
    spare = max(0, 4 - (high - low))
    return low - spare // 2, high + (spare + 1) // 2


def draw_axes(page: Sketch, left: float, width: float, title: str, note: str) -> None:
    """Title above, words for the horizontal axis below, a line at the bottom."""
    page.text(left, 44, title, anchor="lm", bold=True)
    page.text(left + width / 2, TOP + HEIGHT + 32, note, size_px=12)
    page.line([(left, TOP + HEIGHT), (left + width, TOP + HEIGHT)], color=GRAY)


def draw_curve(page: Sketch, points: list[tuple[float, float]], kind: str) -> None:
    """Plain: squares, not joined; residual: smaller ones, joined by a line."""
    if kind == "residual" and len(points) > 1:
        page.line(points, color=COLORS[kind], line_px=2)
    for x, y in points:
        side = 5 if kind == "plain" else 3
        page.frame(x - side / 2, y - side / 2, side, side, color=COLORS[kind], line_px=side)


def draw_logarithmic(
    page: Sketch, curves: Mapping[str, Sequence[float]], left: float, width: float, first: str
) -> None:
    """Curves over the layers, a line for each power of ten (or each second, third one)."""
    low, high = decades(list(curves.values()))
    step = math.ceil((high - low) / 8)
    for power in range(low, high + 1, step):
        y = TOP + HEIGHT * (high - power) / (high - low)
        page.line([(left, y), (left + width, y)], color=PALE)
        page.text(left - 6, y, ten_to(power), anchor="rm", size_px=11)
    for kind, values in curves.items():
        clipped = [math.log10(min(max(value, LEAST), MOST)) for value in values]
        points = [
            (left + width * place / (len(values) - 1), TOP + HEIGHT * (high - value) / (high - low))
            for place, value in enumerate(clipped)
        ]
        draw_curve(page, points, kind)
    page.text(left, TOP + HEIGHT + 14, first, anchor="lm", size_px=12)
    page.text(left + width, TOP + HEIGHT + 14, "last", anchor="rm", size_px=12)


def ten_to(power: int) -> str:
    """A power of ten in few characters."""
    return f"{10.0**power:g}" if -3 <= power <= 3 else f"1e{power}"


def draw_errors(page: Sketch, shown: Flows, left: float, width: float) -> None:
    """Training errors in per cent over the depth, a point a seed; a gray line at this depth."""
    every = sorted({layers for rows in shown.errors.values() for layers in rows})
    first, span = min(every), (max(every) - min(every)) or 1
    for per_cent in range(0, 101, 20):
        y = TOP + HEIGHT * (1 - per_cent / 100)
        page.line([(left, y), (left + width, y)], color=PALE)
        page.text(left - 6, y, f"{per_cent}", anchor="rm", size_px=11)
    here = left + width * (shown.layers - first) / span
    if left <= here <= left + width:
        page.line([(here, TOP), (here, TOP + HEIGHT)], color=GRAY)
    for kind, rows in shown.errors.items():
        aside = -5 if kind == "plain" else 5  # side by side where they are equal
        for layers, errors in rows.items():
            x = left + width * (layers - first) / span + aside
            for error in errors:
                draw_curve(page, [(x, TOP + HEIGHT * (1 - error / 100))], kind)
    for layers in every:
        x = left + width * (layers - first) / span
        page.text(x, TOP + HEIGHT + 14, f"{layers}", size_px=12)


def draw(shown: Flows) -> Sketch:
    """Gradients and spreads side by side, and the errors where there are any."""
    page = Sketch(840, 340)
    panels = 3 if shown.errors else 2
    each = 840 / panels
    page.frame(16, 10, 9, 9, color=COLORS["plain"], line_px=5)
    page.text(32, 15, "plain: squares", anchor="lm", size_px=13)
    page.line([(150, 15), (176, 15)], color=COLORS["residual"], line_px=2)
    page.text(184, 15, "residual: a line", anchor="lm", size_px=13)
    curves: list[tuple[str, str, Callable[[Flow], list[float]]]] = [
        ("gradient norm, by layer", "layer", lambda flow: flow.gradients),
        ("signal's spread, by block", "block", lambda flow: flow.spreads),
    ]
    for number, (title, what, values) in enumerate(curves):
        left, width = each * number + 52, each - 72
        draw_axes(page, left, width, title, f"{what}, from the input to the loss")
        pair = {kind: values(getattr(shown, kind)) for kind in KINDS}
        draw_logarithmic(page, pair, left, width, "first")
    if shown.errors:
        left, width = 2 * each + 40, each - 72
        draw_axes(page, left, width, "training error, %", "layers")
        draw_errors(page, shown, left, width)
    return page


# --- said -----------------------------------------------------------------------------------------


def written(value: float) -> str:
    """A measured number in two digits, with its mark."""
    if 0.01 <= value < 10_000:
        return f"≈ {float(f'{value:.2g}'):,g}"
    return f"≈ {value:.0e}"


def told(kind: str, flow: Flow) -> str:
    """The gradients at both ends of a network, and its signal's spread at the end."""
    first, last, spread = map(written, (flow.gradients[0], flow.gradients[-1], flow.spreads[-1]))
    return f"{kind}: gradient {first} in the first layer, {last} in the last, spread {spread}"


def sentence(shown: Flows) -> str:
    """Both networks' gradients at their ends, and the spread of the last block."""
    normalised = "with" if shown.batch_norm else "without"
    start = f"{shown.layers} layers {normalised} batch normalisation, gain {shown.gain:g}: "
    return start + "; ".join(told(kind, getattr(shown, kind)) for kind in KINDS)


def explorer(errors: Errors | None = None) -> Explorer:
    """Depth, batch normalisation, gain of the start and shortcut, for plain against residual.

    errors are measured training errors in per cent, such as {"plain": {8: [9.1, 8.8]}}: a third
    panel shows them.
    """
    return Explorer(
        "Residual",
        partial(flows, errors=errors or {}),
        draw,
        sentence,
        width_px=840,
        layers=widgets.IntSlider(44, 8, 44, step=6),
        batch_norm=widgets.Checkbox(True, description="batch norm", indent=False),
        gain=widgets.FloatSlider(1.0, min=0.6, max=1.4, step=0.1, description="gain"),
        shortcut=widgets.Dropdown(options=("A", "B", "C")),
    )
