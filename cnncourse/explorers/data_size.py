"""Data size: what a network that has seen pictures before is worth, by the number of labels.

It draws what was measured, a few seeds at each number; between two numbers it draws a straight
line, on a logarithmic axis, and says so.
"""

import math
from collections.abc import Mapping, Sequence
from functools import partial
from itertools import pairwise
from typing import NamedTuple

import ipywidgets as widgets

from cnncourse import messages
from cnncourse.explorers import Explorer
from cnncourse.measure import mean_interval
from cnncourse.plots import BLUE, GREEN, ORANGE, RED
from cnncourse.sketch import GRAY, INK, PALE, SCALE, Sketch

COLORS = (BLUE, ORANGE, GREEN, RED)
LEFT, TOP, WIDTH, HIGH = 64.0, 44.0, 420.0, 300.0


class Curve(NamedTuple):
    """Accuracies of one way of training: at each number of labels those of the seeds, 0 to 1."""

    name: str
    runs: tuple[tuple[float, ...], ...]
    intervals: tuple[tuple[float, float, float], ...]  # mean, low, high


class Sizes(NamedTuple):
    """All curves, and what they say at one number of labelled images a class."""

    counts: tuple[int, ...]
    curves: tuple[Curve, ...]
    images: int
    means: tuple[float, ...]  # a curve each
    chance: float

    @property
    def measured(self) -> bool:
        """Whether this number was trained with; or it lies between two that were."""
        return self.images in self.counts


# --- computed -------------------------------------------------------------------------------------


def checked(
    counts: Sequence[int], curves: Mapping[str, Sequence[Sequence[float]]]
) -> tuple[Curve, ...]:
    """The curves with their intervals (95 %, Student's t over the seeds).

    Raises ValueError unless counts rise, every curve has as many rows, and every row two accuracies
    from 0 to 1 or more.
    """
    if len(counts) < 2 or any(a >= b for a, b in pairwise(counts)) or counts[0] < 1:
        rule = "must be two or more whole numbers that rise"
        raise ValueError(messages.refusal("counts", counts, rule, attempt="counts=(2, 5, 10, 25)"))
    if not 1 <= len(curves) <= len(COLORS):
        rule = f"must be from 1 to {len(COLORS)}"
        raise ValueError(messages.refusal("curves", len(curves), rule, attempt="two of them"))
    found = []
    for name, rows in curves.items():
        if len(rows) != len(counts):
            rule = f"has {len(rows)} rows for {len(counts)} counts"
            raise ValueError(f"{name!r}: {rule}. Try: a row of accuracies for each count.")
        if any(not 0 <= value <= 1 for row in rows for value in row):
            raise ValueError(f"{name!r}: accuracies must be from 0 to 1. Try: percent / 100.")
        runs = tuple(tuple(row) for row in rows)
        found.append(Curve(name, runs, tuple(map(interval, runs))))
    return tuple(found)


def interval(accuracies: Sequence[float]) -> tuple[float, float, float]:
    """Mean, low and high end; no accuracy lies below 0 or above 1."""
    mean, low, high = mean_interval(accuracies)
    return mean, max(0.0, low), min(1.0, high)


def sizes(counts: Sequence[int], curves: tuple[Curve, ...], chance: float, *, images: int) -> Sizes:
    """What the curves say at a number of labelled images a class, from the first count to the last.

    Raises ValueError for a number outside of these.
    """
    if not counts[0] <= images <= counts[-1]:
        rule = f"was measured from {counts[0]} to {counts[-1]}"
        attempt = f"images={counts[0]}"
        raise ValueError(messages.refusal("images", images, rule, attempt=attempt))
    means = tuple(mean_at(counts, curve, images) for curve in curves)
    return Sizes(tuple(counts), curves, images, means, chance)


def mean_at(counts: Sequence[int], curve: Curve, images: float) -> float:
    """Mean accuracy at a number of images, on straight lines over its logarithm."""
    at = min(len(counts) - 2, sum(count <= images for count in counts) - 1)
    low, high = counts[at], counts[at + 1]
    share = math.log(images / low) / math.log(high / low)
    first, second = (curve.intervals[number][0] for number in (at, at + 1))
    return first + share * (second - first)


def images_for(counts: Sequence[int], curve: Curve, accuracy: float) -> float:
    """Fewest images a class with which a curve is as good as an accuracy; inf where it never is."""
    means = [interval[0] for interval in curve.intervals]
    if means[0] >= accuracy:
        return counts[0]
    for (low, high), (before, after) in zip(pairwise(counts), pairwise(means), strict=True):
        if after >= accuracy:
            return low * (high / low) ** ((accuracy - before) / (after - before))
    return math.inf


# --- drawn ----------------------------------------------------------------------------------------


def place(shown: Sizes, images: float, accuracy: float) -> tuple[float, float]:
    """Where a number of images and an accuracy stand in the plot."""
    low, high = shown.counts[0], shown.counts[-1]
    share = math.log(images / low) / math.log(high / low)
    return LEFT + 24 + (WIDTH - 48) * share, TOP + HIGH * (1 - accuracy)


def draw(shown: Sizes) -> Sketch:
    """The curves with every run and their intervals; upright where the slider is, bars for it."""
    page = Sketch(880, 400)
    draw_axes(page, shown)
    x, _ = place(shown, shown.images, 0)
    page.line([(x, TOP), (x, TOP + HIGH)], color=INK, line_px=1.5)
    for number in range(len(shown.curves)):
        draw_curve(page, shown, number)
    draw_bars(page, shown)
    return page


def draw_axes(page: Sketch, shown: Sizes) -> None:
    """Lines at the counts and at every fifth of accuracy, and the axes' names."""
    page.text(20, 18, "accuracy, % (each dot a seed)", anchor="lm", bold=True)
    for count in shown.counts:
        x, _ = place(shown, count, 0)
        page.line([(x, TOP), (x, TOP + HIGH)], color=PALE)
        page.text(x, TOP + HIGH + 16, str(count), size_px=12)
    for percent in range(0, 101, 20):
        y = TOP + HIGH * (1 - percent / 100)
        page.line([(LEFT, y), (LEFT + WIDTH, y)], color=PALE)
        page.text(LEFT - 8, y, str(percent), anchor="rm", size_px=12)
    if shown.chance:
        y = TOP + HIGH * (1 - shown.chance)
        page.line([(LEFT, y), (LEFT + WIDTH, y)], color=GRAY)
        words = "gray line: guessing"
        page.text(LEFT, TOP + HIGH + 38, words, anchor="lm", size_px=12, color="#555555")
    page.frame(LEFT, TOP, WIDTH, HIGH, color=GRAY, line_px=1)
    page.text(LEFT + WIDTH / 2, TOP + HIGH + 38, "labelled images a class", size_px=13)


def draw_curve(page: Sketch, shown: Sizes, number: int) -> None:
    """Means joined by lines, intervals upright, every run a dot; curves stand beside each other."""
    curve, color = shown.curves[number], COLORS[number]
    aside, points = 9 * (number - (len(shown.curves) - 1) / 2), []
    for count, runs, (mean, low, high) in zip(
        shown.counts, curve.runs, curve.intervals, strict=True
    ):
        x, y = place(shown, count, mean)
        x += aside
        points.append((x, y))
        ends = [place(shown, count, end)[1] for end in (low, high)]
        page.line([(x, ends[0]), (x, ends[1])], color=color, line_px=2)
        for end in ends:
            page.line([(x - 3, end), (x + 3, end)], color=color, line_px=2)
        for run in runs:
            _, y = place(shown, count, run)
            page.frame(x - 3, y - 3, 6, 6, color=color, line_px=3)
    page.line(points, color=color, line_px=2.5)


def draw_bars(page: Sketch, shown: Sizes) -> None:
    """On the right the means at the slider's number, a bar each, the best first."""
    words = f"with {shown.images} labelled image{'s' * (shown.images > 1)} a class"
    page.text(530, 18, words, anchor="lm", bold=True)
    if not shown.measured:
        words = "between two numbers that were measured"
        page.text(530, 38, words, anchor="lm", size_px=12, color="#555555")
    order = sorted(range(len(shown.curves)), key=lambda number: -shown.means[number])
    for row, number in enumerate(order):
        y, mean = 66.0 + 62 * row, shown.means[number]
        page.text(530, y, shown.curves[number].name, anchor="lm", size_px=13)
        page.text(860, y, f"{mean:.1%}", anchor="rm", size_px=13, bold=True)
        box = (530, y + 12, 530 + 330 * mean, y + 30)
        page.pen.rectangle([side * SCALE for side in box], fill=COLORS[number])
        page.frame(530, y + 12, 330, 18, color=GRAY, line_px=1)
    if len(shown.curves) > 1:
        for row, line in enumerate(worth(shown)):
            page.text(530, 318 + 20 * row, line, anchor="lm", size_px=13)


def worth(shown: Sizes) -> tuple[str, str, str]:
    """How many images the last curve needs to be as good as the first is here; in three lines."""
    first, last = shown.curves[0], shown.curves[-1]
    needed = images_for(shown.counts, last, shown.means[0])
    most = shown.counts[-1]
    told = (
        f"≈ {needed:.0f} images a class" if needed <= most else f"more than {most} images a class"
    )
    return last.name, f"needs {told}", f"to be as good as {first.name} is here"


def sentence(shown: Sizes) -> str:
    """Means at the slider's number, with their intervals where they were measured."""
    told = []
    for curve, mean in zip(shown.curves, shown.means, strict=True):
        words = f"{curve.name} ≈ {mean:.1%}"
        if shown.measured:
            _, low, high = curve.intervals[shown.counts.index(shown.images)]
            words += f" (95 % interval ≈ {low:.1%} to ≈ {high:.1%})"
        told.append(words)
    kind = "measured" if shown.measured else "between two measured numbers"
    more = f"; {' '.join(worth(shown))}" if len(shown.curves) > 1 else ""
    noun = "image" if shown.images == 1 else "images"
    return f"{shown.images} labelled {noun} a class, {kind}: {', '.join(told)}{more}"


def explorer(
    counts: Sequence[int],
    curves: Mapping[str, Sequence[Sequence[float]]],
    *,
    chance: float = 0.0,
    images: int | None = None,
) -> Explorer:
    """A slider over the number of labelled images a class, on accuracies that were measured.

    curves: name -> a row of accuracies (a seed each) for every count; the first is what the last is
    compared with. chance is the accuracy of guessing. Raises ValueError for a table with holes.
    """
    return Explorer(
        "DataSize",
        partial(sizes, tuple(counts), checked(counts, curves), chance),
        draw,
        sentence,
        width_px=880,
        images=widgets.IntSlider(
            images or counts[0], counts[0], counts[-1], description="labels a class"
        ),
    )
