"""Schedules: the learning rate over the epochs, by formula; the same as torch's schedulers give."""

import math
from collections.abc import Callable
from typing import NamedTuple

import ipywidgets as widgets

from cnncourse import messages
from cnncourse.explorers import Explorer
from cnncourse.images import check_range
from cnncourse.plots import BLUE, ORANGE
from cnncourse.sketch import PALE, Sketch

HIGHEST = (0.0001, 0.0003, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0)
STEPS = 20  # batches in an epoch; more would draw the same curves
LEFT, TOP, WIDTH, HIGH = 84.0, 44.0, 730.0, 240.0


class Schedule(NamedTuple):
    """A schedule's rates, one a batch, and its setting."""

    kind: str
    lr: float
    epochs: int
    warm_up: int  # epochs
    rates: tuple[float, ...]


# --- computed -------------------------------------------------------------------------------------


def between(start: float, end: float, share: float) -> float:
    """Half a wave of the cosine: start at share 0, level there and at its end."""
    return end + (start - end) * (1 + math.cos(math.pi * share)) / 2


# Share of the highest rate after `step` of `length` batches, the warm-up not counted.
SHARES: dict[str, Callable[[int, int], float]] = {
    "constant": lambda step, length: 1.0,
    "step": lambda step, length: 0.1 ** (3 * step // length),
    "linear": lambda step, length: 1 - step / length,
    "cosine": lambda step, length: between(1, 0, step / length),
    "one-cycle": lambda step, length: between(1, 1 / 250_000, step / length),
}
KINDS = tuple(SHARES)


def warming(kind: str, share: float) -> float:
    """Share of the highest rate in the warm-up: a line, or with one-cycle a cosine of its own."""
    return between(1 / 25, 1, share) if kind == "one-cycle" else 0.01 + 0.99 * share


def schedule(kind: str, lr: float, epochs: int, warm_up: int) -> Schedule:
    """The rate of every batch, STEPS an epoch; lr is the highest.

    In the first warm_up epochs the rate grows to it, in a line from a hundredth (one-cycle: from a
    25th, along a cosine); what is left goes by SHARES. Raises ValueError for an unknown name, rates
    and epochs that cannot be, and a warm-up that leaves no epoch.
    """
    if kind not in KINDS:
        raise ValueError(messages.unknown(kind, "schedule", KINDS))
    check_range("lr", lr, 1e-9, 1e3, attempt="lr=0.1")
    messages.check_at_least("epochs", epochs, 1)
    messages.check_at_least("warm_up", warm_up, 0)
    if warm_up >= epochs:
        rule = f"must leave an epoch of {epochs}"
        attempt = f"warm_up={epochs - 1}"
        raise ValueError(messages.refusal("warm_up", warm_up, rule, attempt=attempt))
    first, length = warm_up * STEPS, (epochs - warm_up) * STEPS
    shares = [warming(kind, step / first) for step in range(first)]
    shares += [SHARES[kind](step, length) for step in range(length)]
    return Schedule(kind, lr, epochs, warm_up, tuple(lr * share for share in shares))


# --- drawn ----------------------------------------------------------------------------------------


def draw(shown: Schedule) -> Sketch:
    """The schedule in blue over the other four in gray, on a linear axis from 0."""
    page = Sketch(840, 350)
    page.text(20, 18, "learning rate", anchor="lm", bold=True, size_px=13)
    for share in (0.0, 0.25, 0.5, 0.75, 1.0):
        y = TOP + HIGH * (1 - share)
        page.line([(LEFT, y), (LEFT + WIDTH, y)], color=PALE)
        page.text(LEFT - 8, y, f"{shown.lr * share:.3g}", anchor="rm", size_px=12)
    step = max(1, -(-shown.epochs // 10))
    for epoch in range(0, shown.epochs + 1, step):
        page.text(LEFT + WIDTH * epoch / shown.epochs, TOP + HIGH + 16, str(epoch), size_px=12)
    page.text(LEFT + WIDTH / 2, TOP + HIGH + 38, "epochs done", size_px=13)
    if shown.warm_up:
        x = LEFT + WIDTH * shown.warm_up / shown.epochs
        page.line([(x, TOP), (x, TOP + HIGH)], color=ORANGE, line_px=1.5)
        page.text(x + 6, TOP - 10, "end of the warm-up", anchor="lm", size_px=12)
    for kind in KINDS:
        other = schedule(kind, shown.lr, shown.epochs, shown.warm_up)
        page.line(points(other), color="#C4C4C4", line_px=1.5)
    page.line(points(shown), color=BLUE, line_px=3)
    page.text(430, 18, f"blue: {shown.kind}; gray: the others", anchor="lm", size_px=13)
    return page


def points(shown: Schedule) -> list[tuple[float, float]]:
    """Where the rate of every batch stands."""
    last = len(shown.rates) - 1
    return [
        (LEFT + WIDTH * step / max(1, last), TOP + HIGH * (1 - rate / shown.lr))
        for step, rate in enumerate(shown.rates)
    ]


def sentence(shown: Schedule) -> str:
    """Where it begins, is highest and ends, and its mean."""
    rates = shown.rates
    mean = sum(rates) / len(rates)
    top = rates.index(max(rates)) / STEPS
    return (
        f"{shown.kind}, highest rate {shown.lr:g}, {shown.epochs} epochs, {shown.warm_up} of "
        f"warm-up: begins at {rates[0]:.2g}, is highest after {top:.1f} epochs, ends at "
        f"{rates[-1]:.2g}; the mean is {mean / shown.lr:.2f} of the highest"
    )


def explorer(kind: str = "cosine") -> Explorer:
    """Schedule, highest rate, epochs and warm-up."""
    return Explorer(
        "Schedules",
        schedule,
        draw,
        sentence,
        width_px=840,
        kind=widgets.Dropdown(options=KINDS, value=kind, description="schedule"),
        lr=widgets.Dropdown(options=HIGHEST, value=0.1, description="highest rate"),
        epochs=widgets.IntSlider(30, 2, 100),
        warm_up=widgets.IntSlider(3, 0, 20, description="warm-up (epochs)"),
    )
