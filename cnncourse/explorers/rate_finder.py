"""Learning-rate finder: smooth a measured range test, and pick a rate by one of three rules."""

import math
from collections.abc import Sequence
from functools import partial
from typing import NamedTuple

import ipywidgets as widgets

from cnncourse import messages
from cnncourse.explorers import Explorer
from cnncourse.explorers.signal_propagation import power
from cnncourse.plots import BLUE, RED
from cnncourse.range_test import (
    SMOOTHING,
    RangeTest,
    lowest,
    smoothed,
    steepest_descent,
    tenth_of_the_minimum,
)
from cnncourse.sketch import GRAY, PALE, Sketch

RULES = {
    "a tenth of the minimum": tenth_of_the_minimum,
    "steepest descent": steepest_descent,
    "the minimum": lambda rates, losses: rates[lowest(rates, losses)],
}
LEFT, TOP, WIDTH, HIGH = 64.0, 44.0, 750.0, 250.0


class Pick(NamedTuple):
    """A range test, smoothed, and the rate that a rule picks."""

    found: RangeTest
    smoothing: float
    losses: list[float]
    rule: str
    rate: float


def pick(found: RangeTest, *, smoothing: float, rule: str) -> Pick:
    """Smooth the batches' losses and apply a rule; raises ValueError where no loss ever falls."""
    if rule not in RULES:
        raise ValueError(messages.unknown(rule, "rule", RULES))
    losses = smoothed(found.batch_losses, share=smoothing)
    return Pick(found, smoothing, losses, rule, RULES[rule](found.rates, losses))


def draw(shown: Pick) -> Sketch:
    """Dots for the batches, a line for the smoothed loss, and the pick upright."""
    page = Sketch(840, 360)
    rates, losses = shown.found.rates, shown.losses
    top = max(1.3 * losses[0], 1.1 * max(losses[: lowest(rates, losses) + 1]))
    low, high = math.log10(rates[0]), math.log10(max(rates[-1], 1.01 * rates[0]))

    def across(rate: float) -> float:
        return LEFT + WIDTH * (math.log10(rate) - low) / (high - low)

    draw_axes(page, low, high, top)
    heights = [TOP + HIGH * (1 - min(loss, top) / top) for loss in shown.found.batch_losses]
    for rate, y in zip(rates, heights, strict=True):
        page.frame(across(rate) - 2, y - 2, 4, 4, color="#A0A0A0", line_px=2)
    line = [
        (across(rate), TOP + HIGH * (1 - min(loss, top) / top))
        for rate, loss in zip(rates, losses, strict=True)
    ]
    page.line(line, color=BLUE, line_px=3)
    if shown.rate >= rates[0]:
        x = across(shown.rate)
        page.line([(x, TOP), (x, TOP + HIGH)], color=RED, line_px=2)
        anchor, side = ("rm", -6) if x > LEFT + WIDTH / 2 else ("lm", 6)
        page.text(x + side, TOP + 12, f"{shown.rate:.2g}", color=RED, anchor=anchor, bold=True)
    words = "loss of a batch: gray dots; smoothed: blue line; the pick: red"
    page.text(20, 18, words, anchor="lm", size_px=13)
    return page


def draw_axes(page: Sketch, low: float, high: float, top: float) -> None:
    """Lines at the powers of ten and at whole losses, and the axes' names."""
    for exponent in range(math.ceil(low - 1e-9), math.floor(high + 1e-9) + 1):
        x = LEFT + WIDTH * (exponent - low) / (high - low)
        page.line([(x, TOP), (x, TOP + HIGH)], color=PALE)
        page.text(x, TOP + HIGH + 16, power(exponent), size_px=12)
    for value in ticks(top):
        y = TOP + HIGH * (1 - value / top)
        page.line([(LEFT, y), (LEFT + WIDTH, y)], color=PALE)
        page.text(LEFT - 8, y, f"{value:g}", anchor="rm", size_px=12)
    page.frame(LEFT, TOP, WIDTH, HIGH, color=GRAY, line_px=1)
    page.text(LEFT + WIDTH / 2, TOP + HIGH + 38, "learning rate", size_px=13)


def ticks(top: float) -> Sequence[float]:
    """Round numbers from 0 to top, four to eight of them."""
    unit = 10.0 ** math.floor(math.log10(top))
    step = next(unit * part for part in (0.2, 0.5, 1.0, 2.0) if top / (unit * part) <= 7)
    return [round(number * step, 10) for number in range(int(top / step + 1e-9) + 1)]


def sentence(shown: Pick) -> str:
    """The rule and its pick, and where the smoothed loss is lowest."""
    rates, losses = shown.found.rates, shown.losses
    best = lowest(rates, losses)
    return (
        f"smoothing {shown.smoothing:g}, {shown.rule}: ≈ {shown.rate:.2g}; the smoothed loss is "
        f"lowest, ≈ {losses[best]:.2f}, at ≈ {rates[best]:.2g}"
    )


def explorer(found: RangeTest) -> Explorer:
    """Smoothing and rule, on a range test that was measured."""
    return Explorer(
        "RateFinder",
        partial(pick, found),
        draw,
        sentence,
        width_px=840,
        smoothing=widgets.FloatSlider(SMOOTHING, min=0, max=0.98, step=0.02),
        rule=widgets.Dropdown(options=list(RULES)),
    )
