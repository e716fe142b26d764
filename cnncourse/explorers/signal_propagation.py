"""Signal propagation: how wide numbers spread, layer by layer, forward and back, before training.

A stack of 3x3 convolutions with 16 channels, each followed by an activation, sees eight pictures of
noise of 8x8 px. Padding is circular, so that no border takes part; everything is float64, so that
what fades is still there to be seen.
"""

import math
from collections.abc import Callable
from functools import lru_cache
from typing import NamedTuple

import ipywidgets as widgets
import torch
from torch import Tensor
from torch.nn import functional as F

from cnncourse import messages
from cnncourse.explorers import Explorer
from cnncourse.plots import BLUE, ORANGE
from cnncourse.sketch import GRAY, PALE, Sketch

CHANNELS, IMAGES, SIZE_PX, MOST_LAYERS = 16, 8, 8, 50
FAN_IN = CHANNELS * 9
STARTS = {  # standard deviation of a weight
    "Kaiming": math.sqrt(2 / FAN_IN),  # He et al. 2015, arXiv:1502.01852
    "Xavier": math.sqrt(1 / FAN_IN),  # Glorot & Bengio 2010; fan_in and fan_out are equal here
    "std 0.1": 0.1,
    "std 0.01": 0.01,
}
ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "ReLU": F.relu,
    "tanh": torch.tanh,
    "none": lambda x: x,
}
LEFT, TOP, WIDTH, HEIGHT = 76, 44, 530, 270
TINIEST = 1e-300  # a spread of exactly 0 is drawn there


class Signals(NamedTuple):
    """Spreads (standard deviations) by layer, the first convolution first."""

    depth: int
    start: str
    gain: float
    batch_norm: bool
    activation: str
    forward: tuple[float, ...]  # of what goes into each activation
    backward: tuple[float, ...]  # of the gradient there; what comes from above has spread 1


# --- computed -------------------------------------------------------------------------------------


@lru_cache(maxsize=256)
def signals(depth: int, start: str, gain: float, batch_norm: bool, activation: str) -> Signals:
    """One pass forward and back through `depth` layers; weights have gain times start's deviation.

    Raises ValueError for a depth outside 1 to 50, a gain that is not above 0, unknown names.
    """
    if not 1 <= depth <= MOST_LAYERS:
        rule = f"must be from 1 to {MOST_LAYERS}"
        raise ValueError(messages.refusal("depth", depth, rule, attempt="depth=20"))
    if not gain > 0:
        raise ValueError(messages.refusal("gain", gain, "must be above 0", attempt="gain=1.0"))
    for kind, name, known in (("start", start, STARTS), ("activation", activation, ACTIVATIONS)):
        if name not in known:
            raise ValueError(messages.unknown(name, kind, known))
    draw = torch.Generator().manual_seed(0)

    def noise(*shape: int) -> Tensor:
        return torch.randn(shape, generator=draw, dtype=torch.float64)

    maps, before = noise(IMAGES, CHANNELS, SIZE_PX, SIZE_PX), []
    for _ in range(depth):
        weight = gain * STARTS[start] * noise(CHANNELS, CHANNELS, 3, 3)
        maps = F.conv2d(F.pad(maps, (1, 1, 1, 1), mode="circular"), weight)
        if batch_norm:
            maps = F.batch_norm(maps, None, None, training=True, eps=1e-300)
        before.append(maps.requires_grad_())
        maps = ACTIVATIONS[activation](maps)
    gradients = torch.autograd.grad(maps, before, noise(*maps.shape))
    spreads = [tuple(x.detach().std().item() for x in each) for each in (before, gradients)]
    return Signals(depth, start, gain, batch_norm, activation, *spreads)


# --- drawn ----------------------------------------------------------------------------------------


def decades(shown: Signals) -> tuple[int, int]:
    """Whole powers of ten around all spreads and around 1, four apart at least."""
    values = [max(value, TINIEST) for value in (*shown.forward, *shown.backward, 1.0)]
    low, high = math.floor(math.log10(min(values))), math.ceil(math.log10(max(values)))
    spare = max(0, 4 - (high - low))
    return low - (spare + 1) // 2, high + spare // 2


def power(exponent: int) -> str:
    """A power of ten with its exponent raised."""
    digits = str(exponent).translate(str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"))
    return f"10{digits}"


def draw(shown: Signals) -> Sketch:
    """Both spreads over the layers, on a logarithmic axis that fits them."""
    page = Sketch(640, 380)
    low, high = decades(shown)
    step = max(1, math.ceil((high - low) / 8))
    for exponent in range(low, high + 1):
        if exponent % step == 0:
            y = TOP + HEIGHT * (high - exponent) / (high - low)
            page.line([(LEFT, y), (LEFT + WIDTH, y)], color=GRAY if exponent == 0 else PALE)
            page.text(LEFT - 8, y, power(exponent), anchor="rm", size_px=13)
    for layer in range(1, shown.depth + 1):
        if layer in (1, shown.depth) or (layer % 5 == 0 and shown.depth - layer > 1):
            page.text(across(layer, shown.depth), TOP + HEIGHT + 16, str(layer), size_px=12)
    page.text(LEFT + WIDTH / 2, TOP + HEIGHT + 38, "layer, from the picture on", size_px=13)
    draw_curve(page, shown.forward, low, high, color=BLUE, name="activations →", at=LEFT)
    draw_curve(page, shown.backward, low, high, color=ORANGE, name="← gradients", at=LEFT + 190)
    page.text(LEFT - 60, 18, "spread", anchor="lm", bold=True, size_px=13)
    return page


def across(layer: int, depth: int) -> float:
    """Where a layer stands on the horizontal axis."""
    return LEFT + 12 + (WIDTH - 24) * ((layer - 1) / (depth - 1) if depth > 1 else 0.5)


def draw_curve(
    page: Sketch,
    spreads: tuple[float, ...],
    low: int,
    high: int,
    *,
    color: str,
    name: str,
    at: float,
) -> None:
    """A line with its marks, full for activations and hollow for gradients, and its name above."""
    points = []
    for layer, spread in enumerate(spreads, start=1):
        share = (high - math.log10(max(spread, TINIEST))) / (high - low)
        points.append((across(layer, len(spreads)), TOP + HEIGHT * share))
    if len(points) > 1:
        page.line(points, color=color, line_px=2)
    hollow = color == ORANGE
    for x, y in [*points, (at + 30, 18)]:
        page.frame(x - 4, y - 4, 8, 8, color=color, line_px=4)
        if hollow:
            page.frame(x - 2, y - 2, 4, 4, color="white", line_px=2)
    page.text(at + 42, 18, name, anchor="lm", size_px=13)


def scientific(value: float) -> str:
    """Two digits and a power of ten, such as 1.9 · 10⁻²²; near 1 plainly."""
    if 0.01 <= value < 100 or value == 0:
        return f"{value:.2g}"
    mantissa, exponent = f"{value:.1e}".split("e")
    return f"{mantissa} · {power(int(exponent))}"


def sentence(shown: Signals) -> str:
    """The setting, and how much is left of both signals on their ways."""
    norm = "with" if shown.batch_norm else "without"
    noun = "layer" if shown.depth == 1 else "layers"
    return (
        f"{shown.depth} {noun}, {shown.start}, gain {shown.gain:g}, {norm} batch normalisation, "
        f"activation {shown.activation}: activations spread by {scientific(shown.forward[0])} in "
        f"the first layer and {scientific(shown.forward[-1])} in the last; gradients by "
        f"{scientific(shown.backward[-1])} in the last and {scientific(shown.backward[0])} in the "
        "first"
    )


def explorer() -> Explorer:
    """Depth, start of the weights, gain, batch normalisation, activation."""
    return Explorer(
        "SignalPropagation",
        signals,
        draw,
        sentence,
        depth=widgets.IntSlider(20, 1, MOST_LAYERS, continuous_update=False),
        start=widgets.Dropdown(options=list(STARTS), value="std 0.01", description="weights"),
        gain=widgets.FloatSlider(1.0, min=0.5, max=2.0, step=0.1, continuous_update=False),
        batch_norm=widgets.Checkbox(False, description="batch normalisation"),
        activation=widgets.Dropdown(options=list(ACTIVATIONS)),
    )
