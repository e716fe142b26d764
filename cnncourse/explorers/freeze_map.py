"""Freeze map: what trains, what drifts and what a step costs, by how deep a network is frozen.

Everything is counted on tensors without numbers: the network has none here either.
"""

import copy
from functools import cache
from typing import NamedTuple

import ipywidgets as widgets
import torch
from torch import nn

from cnncourse import messages, transfer
from cnncourse.explorers import Explorer
from cnncourse.models.resnet import resnet18
from cnncourse.plots import BLUE, GREEN, ORANGE, RED
from cnncourse.sketch import GRAY, INK, SCALE, Sketch
from cnncourse.trace import trace
from cnncourse.transfer.parts import part_of_each

RECIPES = ("freeze(model, until)", "requires_grad = False alone")
STATES = 2  # Adam's numbers for each weight that trains
STATISTICS = ("running_mean", "running_var")


class Part(NamedTuple):
    """A part of the network: what it holds, and what training does to it."""

    name: str
    parameters: int
    statistics: int  # running means and variances
    trains: bool
    drifts: bool  # its statistics move although its parameters do not


class Costs(NamedTuple):
    """Of one training step, for one image where a batch matters."""

    trained: int  # parameters that move
    forward: int  # MACs
    backward: int  # MACs
    kept: int  # bytes from forward to backward


class Frozen(NamedTuple):
    """A network frozen so far, by one of the two recipes, beside the same with nothing frozen."""

    recipe: str
    parts: tuple[Part, ...]
    costs: Costs
    whole: Costs


# --- counted --------------------------------------------------------------------------------------


class Network:
    """A copy of a network without numbers, which can be frozen and counted at leisure."""

    def __init__(self, model: nn.Module, *, size_px: int, channels: int) -> None:
        messages.check_at_least("size_px", size_px, 1)
        self.parts = transfer.parts(model)
        self.model = copy.deepcopy(model).to("meta")
        self.shape = (channels, size_px, size_px)
        rows = trace(self.model, (1, *self.shape)).rows  # refuses what the network does not take
        self.macs: dict[str, int] = {}
        for row in rows:
            if row.macs:
                name = "" if row.name == "(model)" else row.name
                self.macs[name] = self.macs.get(name, 0) + row.macs
        self.costs = cache(self.costs_of)

    def frozen(self, depth: int, recipe: str) -> Frozen:
        """The network with its first `depth` parts frozen. Raises ValueError for another recipe."""
        if recipe not in RECIPES:
            raise ValueError(messages.unknown(recipe, "recipe", RECIPES))
        drifts = recipe == RECIPES[1]
        belongs = part_of_each(self.model)
        parameters = dict.fromkeys(self.parts, 0)
        statistics = dict.fromkeys(self.parts, 0)
        for name, tensor in self.model.named_parameters():
            parameters[belongs[name.rpartition(".")[0]]] += tensor.numel()
        for name, _buffer in self.model.named_buffers():
            owner, _, own = name.rpartition(".")
            statistics[belongs[owner]] += own in STATISTICS
        rows = tuple(
            Part(
                name,
                parameters[name],
                statistics[name],
                trains=number >= depth,
                drifts=drifts and number < depth,
            )
            for number, name in enumerate(self.parts)
        )
        return Frozen(recipe, rows, self.costs(depth), self.costs(0))

    def costs_of(self, depth: int) -> Costs:
        """What a step takes with the first `depth` parts frozen.

        The gradient of a layer's weights takes as many MACs as the layer itself, that of its input
        as many again; the second is not needed where nothing before it trains.
        """
        transfer.freeze(self.model, self.parts[depth] if depth else "")
        memory = transfer.memory_estimate(self.model, self.shape, batch_size=1)
        backward = 0
        for name, needs_input in self.inputs_with_gradient().items():
            own = self.model.get_submodule(name).parameters(recurse=False)
            backward += self.macs[name] * (any(x.requires_grad for x in own) + needs_input)
        trained = sum(x.numel() for x in self.model.parameters() if x.requires_grad)
        return Costs(trained, sum(self.macs.values()), backward, memory.kept)

    def inputs_with_gradient(self) -> dict[str, bool]:
        """Of each layer that multiplies, whether what comes into it waits for a gradient."""
        found: dict[str, bool] = {}

        def note(name: str, inputs: tuple) -> None:
            found[name] = any(getattr(x, "requires_grad", False) for x in inputs)

        hooks = [
            self.model.get_submodule(name).register_forward_pre_hook(
                lambda _module, inputs, name=name: note(name, inputs)
            )
            for name in self.macs
        ]
        self.model.train()
        self.model(torch.empty((2, *self.shape), device="meta"))
        for hook in hooks:
            hook.remove()
        return found


# --- drawn ----------------------------------------------------------------------------------------

TOP, HIGH = 64.0, 300.0  # of the rows


def draw(shown: Frozen) -> Sketch:
    """On the left a row for each part; on the right the costs beside those of training it all."""
    page = Sketch(880, 400)
    page.text(20, 18, "the network, first part on top", anchor="lm", bold=True)
    for x, words in ((260, "parameters"), (318, "weights"), (402, "statistics")):
        page.text(x, 46, words, anchor="rm" if x == 260 else "lm", size_px=12, color="#555555")
    for number, part in enumerate(shown.parts):
        draw_part(page, part, number, shown)
    page.text(540, 18, "a training step, beside training it all", anchor="lm", bold=True)
    draw_costs(page, shown)
    return page


def draw_part(page: Sketch, part: Part, number: int, shown: Frozen) -> None:
    """Its box, its name, its parameters as a number, and in words what training does to it."""
    row = min(40.0, HIGH / len(shown.parts))
    y, color = TOP + number * row, ORANGE if part.trains else BLUE
    size_px = 13 if row >= 20 else 10
    page.pen.rectangle([side * SCALE for side in (20, y, 32, y + row - 4)], fill=color)
    middle = y + (row - 4) / 2
    page.text(42, middle, part.name, anchor="lm", size_px=size_px, bold=True)
    page.text(260, middle, f"{part.parameters:,}", anchor="rm", size_px=size_px)
    words, ink = ("train", INK) if part.trains else ("frozen", BLUE)
    page.text(318, middle, words, anchor="lm", size_px=size_px, color=ink)
    if part.statistics:
        words, color = ("learn", INK) if part.trains else ("kept", GREEN)
        words, color = ("drift", RED) if part.drifts else (words, color)
        said = f"{part.statistics} {words}"
        page.text(402, middle, said, anchor="lm", size_px=size_px, color=color, bold=part.drifts)


def draw_costs(page: Sketch, shown: Frozen) -> None:
    """A bar for each cost, its frame as long as the cost of training everything."""
    costs, whole = shown.costs, shown.whole
    numbers = 4 * STATES  # bytes of Adam's for each parameter
    rows = [
        ("parameters that train", costs.trained, whole.trained),
        ("MACs forward, an image", costs.forward, whole.forward),
        ("MACs backward, an image", costs.backward, whole.backward),
        ("bytes kept, an image", costs.kept, whole.kept),
        ("bytes of Adam's numbers", numbers * costs.trained, numbers * whole.trained),
    ]
    for number, (name, now, most) in enumerate(rows):
        y = TOP + 60 * number
        page.text(540, y, name, anchor="lm", size_px=13)
        page.text(860, y, f"{in_words(now)} of {in_words(most)}", anchor="rm", size_px=13)
        right = 540 + 320 * now / max(1, most)
        page.pen.rectangle([side * SCALE for side in (540, y + 12, right, y + 28)], fill=ORANGE)
        page.frame(540, y + 12, 320, 16, color=GRAY, line_px=1)


def in_words(value: int) -> str:
    """A number in at most three digits, with k, M or G for thousands, millions, billions."""
    for unit, name in ((1e9, " G"), (1e6, " M"), (1e3, " k")):
        if value >= 0.9995 * unit:
            return f"{value / unit:.3g}{name}"
    return f"{value:,}"


def sentence(shown: Frozen) -> str:
    """How far it is frozen, what trains, what drifts, what a step costs."""
    costs, whole = shown.costs, shown.whole
    first = next(part.name for part in shown.parts if part.trains)
    still = [part for part in shown.parts if not part.trains]
    told = "nothing is frozen" if not still else f"frozen before {first}"
    statistics = sum(part.statistics for part in still)
    drift = "drift" if any(part.drifts for part in still) else "are kept"
    steps = (costs.forward + costs.backward) / (whole.forward + whole.backward)
    return (
        f"{told}: {costs.trained:,} of {whole.trained:,} parameters train, {statistics} statistics "
        f"of frozen parts {drift}; a step takes {steps:.0%} of the MACs and keeps "
        f"{costs.kept / whole.kept:.1%} of the bytes of training it all"
    )


def explorer(
    model: nn.Module | None = None, *, size_px: int = 224, channels: int = 3, depth: int = 0
) -> Explorer:
    """How many parts are frozen, and by which recipe; for any network (default: ResNet-18).

    The network itself is left alone. Raises ValueError for images that it does not take.
    """
    if model is None:
        with torch.device("meta"):
            model = resnet18()
    network = Network(model, size_px=size_px, channels=channels)
    return Explorer(
        "FreezeMap",
        network.frozen,
        draw,
        sentence,
        width_px=880,
        depth=widgets.IntSlider(depth, 0, len(network.parts) - 1, description="parts frozen"),
        recipe=widgets.Dropdown(options=list(RECIPES)),
    )
