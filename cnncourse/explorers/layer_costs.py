"""Layer costs: parameters, multiplications or memory of every layer, as bars.

Counted by arithmetic from the tables of the architectures; tests hold the counts to a trace of the
networks themselves. Memory is that of the layers' outputs in float32, for a whole batch.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import ipywidgets as widgets

from cnncourse import arithmetic, messages, plots
from cnncourse.explorers import Explorer
from cnncourse.models import alexnet
from cnncourse.sketch import GRAY, Sketch

BYTES = 4  # of a float32
QUANTITIES = ("parameters", "multiplications", "memory of the outputs")
HALVES, WHOLE = "two halves", "one piece"


class Step(NamedTuple):
    """A convolution with its ReLU and the pool behind it, if any; of any of the networks."""

    out_channels: int
    kernel_size: int
    stride: int = 1
    padding: int = 0
    groups: int = 1
    pool: tuple[int, int] | None = None  # kernel_size, stride


class Network(NamedTuple):
    """A table of convolutions, and what follows the last map."""

    steps: tuple[Step, ...]
    map_px: int | None  # side to which the last map is averaged; None: taken as it is
    hidden: int
    size_px: int  # that it was published with


class Cost(NamedTuple):
    """A layer with weights: what it holds, computes and gives, for one picture."""

    name: str
    output: str  # its shape in words
    parameters: int
    macs: int
    values: int


class Costs(NamedTuple):
    """All layers of a network, and how they are shown."""

    network: str
    quantity: str
    size_px: int
    batch_size: int
    rows: tuple[Cost, ...]


def steps_of(layers: Sequence[alexnet.Conv]) -> tuple[Step, ...]:
    """A table of an AlexNet as steps."""
    pool = (alexnet.POOL_PX, alexnet.POOL_STRIDE)
    return tuple(Step(*layer[:5], pool=pool if layer.pooled else None) for layer in layers)


def vgg_steps(depths: Sequence[int], widths: Sequence[int]) -> tuple[Step, ...]:
    """Stages of 3x3 convolutions, a pool behind the last of each."""
    return tuple(
        Step(width, 3, padding=1, pool=(2, 2) if number == depth - 1 else None)
        for depth, width in zip(depths, widths, strict=True)
        for number in range(depth)
    )


NETWORKS = {
    "AlexNet of 2012": Network(steps_of(alexnet.LAYERS_2012), None, 4096, 227),
    "AlexNet of 2014 (torchvision's)": Network(steps_of(alexnet.LAYERS_2014), 6, 4096, 224),
    # Simonyan & Zisserman 2014, arXiv:1409.1556, Table 1, column D
    "VGG-16": Network(vgg_steps((2, 2, 3, 3, 3), (64, 128, 256, 512, 512)), 7, 4096, 224),
}


def costs(
    network: str, quantity: str, groups: str, size_px: int, num_classes: int, batch_size: int
) -> Costs:
    """Costs of every layer with weights; groups is "two halves" or "one piece".

    One piece takes the groups out of a table that has them. Raises ValueError for an unknown name
    and for a picture whose last map would be empty.
    """
    for name, known in [(network, NETWORKS), (quantity, QUANTITIES), (groups, (HALVES, WHOLE))]:
        if name not in known:
            raise ValueError(messages.unknown(name, "choice", known))
    table = NETWORKS[network]
    rows, channels, side = [], 3, size_px
    for number, step in enumerate(table.steps, start=1):
        if groups == WHOLE:
            step = step._replace(groups=1)
        try:
            cost, side = convolution_cost(f"conv {number}", step, channels, side)
        except ValueError as error:
            rule = f"nothing is left at convolution {number} of {network}"
            attempt = f"size_px={table.size_px}"
            raise ValueError(messages.refusal("size_px", size_px, rule, attempt=attempt)) from error
        rows.append(cost)
        channels = step.out_channels
    features = channels * (table.map_px or side) ** 2
    for number, units in enumerate((table.hidden, table.hidden, num_classes), start=1):
        rows.append(full_cost(f"full {len(table.steps) + number}", features, units))
        features = units
    return Costs(network, quantity, size_px, batch_size, tuple(rows))


def convolution_cost(name: str, step: Step, channels: int, side: int) -> tuple[Cost, int]:
    """Cost of a convolution on a square map, and the side of the map behind its pool."""
    kernel_size, groups = step.kernel_size, step.groups
    out = arithmetic.output_size(
        side, kernel_size=kernel_size, stride=step.stride, padding=step.padding
    )
    pair = (channels, step.out_channels)
    cost = Cost(
        name,
        f"{step.out_channels} x {out} x {out}",
        arithmetic.conv2d_parameters(*pair, kernel_size=kernel_size, groups=groups),
        arithmetic.conv2d_macs(*pair, kernel_size=kernel_size, groups=groups, output_size=out),
        step.out_channels * out**2,
    )
    if step.pool:
        out = arithmetic.pooled_size(out, kernel_size=step.pool[0], stride=step.pool[1])
    return cost, out


def full_cost(name: str, features: int, units: int) -> Cost:
    """Cost of a full connection."""
    parameters = arithmetic.linear_parameters(features, units)
    return Cost(name, f"{units}", parameters, arithmetic.linear_macs(features, units), units)


# --- shown ----------------------------------------------------------------------------------------

AMOUNTS: dict[str, Callable[[Cost, int], int]] = {
    "parameters": lambda cost, batch_size: cost.parameters,
    "multiplications": lambda cost, batch_size: cost.macs * batch_size,
    "memory of the outputs": lambda cost, batch_size: cost.values * BYTES * batch_size,
}


def amounts(shown: Costs, quantity: str) -> dict[str, int]:
    """One quantity, a layer a name; for the whole batch, where a batch has a say."""
    return {cost.name: AMOUNTS[quantity](cost, shown.batch_size) for cost in shown.rows}


def full_share(shown: Costs, quantity: str) -> float:
    """Share of the full connections in a quantity, from 0 to 1."""
    found = amounts(shown, quantity)
    return sum(n for name, n in found.items() if name.startswith("full")) / sum(found.values())


def in_units(amount: int, quantity: str) -> str:
    """An amount in words; memory in MiB."""
    return f"{amount / 2**20:,.2f} MiB" if quantity.startswith("memory") else f"{amount:,}"


def draw(shown: Costs) -> Sketch:
    """A bar a layer with its amount and its share; full connections orange and named "full"."""
    page = Sketch(840, 568)
    found = amounts(shown, shown.quantity)
    total = sum(found.values())
    pictures = f" for {shown.batch_size} of {shown.size_px} x {shown.size_px} px"
    unit = "" if shown.quantity == "parameters" else pictures
    page.text(20, 22, f"{shown.network}: {shown.quantity}{unit}", anchor="lm", bold=True)
    row_px = min(34, 440 // len(found))
    largest = max(found.values())
    for number, cost in enumerate(shown.rows):
        middle = 52 + (number + 0.5) * row_px
        amount = found[cost.name]
        width = max(1, 380 * amount / largest)
        color = plots.ORANGE if cost.name.startswith("full") else plots.BLUE
        box = [184, middle - 0.36 * row_px, 184 + width, middle + 0.36 * row_px]
        page.pen.rectangle([2 * side for side in box], fill=color)
        page.text(66, middle, cost.name, anchor="rm", size_px=13)
        page.text(176, middle, cost.output, anchor="rm", size_px=12, color="#555555")
        share = f"{in_units(amount, shown.quantity)}   {100 * amount / total:.2f} %"
        page.text(190 + width, middle, share, anchor="lm", size_px=13)
    page.line([(20, 498), (820, 498)], color=GRAY)
    for number, words in enumerate(totals(shown)):
        page.text(20, 514 + 19 * number, words, anchor="lm", size_px=13)
    return page


def totals(shown: Costs) -> list[str]:
    """Each quantity of the whole network, with the full connections' share."""
    words = []
    for quantity in QUANTITIES:
        total = in_units(sum(amounts(shown, quantity).values()), quantity)
        share = 100 * full_share(shown, quantity)
        words.append(f"{quantity}: {total}, {share:.2f} % in full connections")
    return words


def sentence(shown: Costs) -> str:
    """Where most of the quantity is, and the totals."""
    found = amounts(shown, shown.quantity)
    most = max(found, key=lambda name: found[name])
    share = 100 * found[most] / sum(found.values())
    return (
        f"{shown.network}, {shown.size_px} px, batch of {shown.batch_size}: most "
        f"{shown.quantity} in {most} ({share:.2f} %). {'; '.join(totals(shown))}"
    )


def explorer() -> Explorer:
    """Choose a network and a quantity; take the groups out, change picture, classes, batch."""
    return Explorer(
        "LayerCosts",
        costs,
        draw,
        sentence,
        width_px=840,
        network=widgets.Dropdown(options=list(NETWORKS)),
        quantity=widgets.Dropdown(options=QUANTITIES),
        groups=widgets.Dropdown(options=(HALVES, WHOLE)),
        size_px=widgets.IntSlider(227, 63, 400),
        num_classes=widgets.IntSlider(1000, 2, 2000),
        batch_size=widgets.IntSlider(1, 1, 256),
    )
