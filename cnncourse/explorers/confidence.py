"""Confidence: how often a network is right beside how sure it is, as a temperature moves."""

from functools import partial
from typing import NamedTuple

import ipywidgets as widgets
from torch import Tensor
from torch.nn import functional as F

from cnncourse.explorers import Explorer
from cnncourse.insight.calibration import (
    Reliability,
    check_temperature,
    confidence,
    reliability,
)
from cnncourse.plots import BLUE, ORANGE
from cnncourse.sketch import GRAY, PALE, SCALE, Sketch

LEFT, TOP, SIDE = 70.0, 40.0, 280.0
COUNTS_LEFT, COUNTS_WIDTH = 440.0, 300.0
BINS = 10
TEMPERATURES = [0.25, 0.3, 0.35, 0.4, 0.5, 0.6, 0.7, 0.85, 1.0, 1.2, 1.4, 1.7, 2.0, 2.4, 2.8, 3.4]
TEMPERATURES += [4.0, 4.8, 5.7, 6.7, 8.0]  # each a fifth above the one before


class Judged(NamedTuple):
    """Answers at one temperature."""

    temperature: float
    bins: Reliability
    confidence: float  # mean
    accuracy: float
    loss: float  # cross-entropy, nats


def judged(logits: Tensor, labels: Tensor, *, temperature: float) -> Judged:
    """Reliability of logits (N, classes) divided by a temperature."""
    check_temperature(temperature)
    cooled = logits / temperature
    bins = reliability(cooled, labels, bins=BINS)
    right = (logits.argmax(dim=1) == labels).double().mean().item()
    sure = confidence(cooled).mean().item()
    return Judged(temperature, bins, sure, right, F.cross_entropy(cooled, labels).item())


def draw(shown: Judged) -> Sketch:
    """The reliability diagram, and how many pictures each of its bars stands for."""
    page = Sketch(780, 390)
    page.text(LEFT, 18, "right, for each confidence", anchor="lm", bold=True)
    page.text(COUNTS_LEFT, 18, "pictures with that confidence", anchor="lm", bold=True)
    draw_axes(page)
    edges, bins = shown.bins.edges, shown.bins
    most = max(1, int(bins.counts.max()))
    for number, count in enumerate(bins.counts.tolist()):
        if not count:
            continue
        share, sure = bins.accuracy[number].item(), bins.confidence[number].item()
        for start, width, height, color in (
            (LEFT, SIDE, share, BLUE),
            (COUNTS_LEFT, COUNTS_WIDTH, count / most, GRAY),
        ):
            box = [start + edges[number] * width + 1, TOP + SIDE * (1 - height)]
            box += [start + edges[number + 1] * width - 1, TOP + SIDE]
            page.pen.rectangle([side * SCALE for side in box], fill=color)
        x = COUNTS_LEFT + (edges[number] + edges[number + 1]) / 2 * COUNTS_WIDTH
        y = max(TOP + 9, TOP + SIDE * (1 - count / most) - 9)
        page.text(x, y, f"{count}", size_px=11, color="white" if count == most else GRAY)
        left, right = (LEFT + SIDE * edge for edge in edges[number : number + 2])
        page.line([(left + 1, gap(sure)), (right - 1, gap(sure))], color=ORANGE, line_px=4)
    page.line([(LEFT, TOP + SIDE), (LEFT + SIDE, TOP)], color=GRAY, line_px=1.5)
    words = "blue: share right; orange: mean confidence; on the diagonal both agree"
    page.text(LEFT, TOP + SIDE + 58, words, anchor="lm", size_px=12)
    return page


def gap(share: float) -> float:
    """Height on the page of a share from 0 to 1."""
    return TOP + SIDE * (1 - share)


def draw_axes(page: Sketch) -> None:
    """Frames and the fifths of both axes."""
    for number in range(6):
        share = number / 5
        page.line([(LEFT, gap(share)), (LEFT + SIDE, gap(share))], color=PALE)
        page.text(LEFT - 8, gap(share), f"{share:.1f}", anchor="rm", size_px=12)
        for start, width in ((LEFT, SIDE), (COUNTS_LEFT, COUNTS_WIDTH)):
            page.text(start + share * width, TOP + SIDE + 16, f"{share:.1f}", size_px=12)
    for start, width in ((LEFT, SIDE), (COUNTS_LEFT, COUNTS_WIDTH)):
        page.frame(start, TOP, width, SIDE, color=GRAY, line_px=1)
        page.text(start + width / 2, TOP + SIDE + 36, "confidence", size_px=12)


def sentence(shown: Judged) -> str:
    """Temperature, confidence against accuracy, calibration error and loss."""
    difference = 100 * (shown.confidence - shown.accuracy)
    side = "as sure as right" if abs(difference) < 1 else "too sure"
    side = "not sure enough" if difference <= -1 else side
    return (
        f"temperature {shown.temperature:.2f}: right ≈ {100 * shown.accuracy:.1f} %, sure "
        f"≈ {100 * shown.confidence:.1f} % in the mean: {side}; calibration error "
        f"≈ {100 * shown.bins.error:.1f} points, cross-entropy ≈ {shown.loss:.3f}"
    )


def explorer(logits: Tensor, labels: Tensor) -> Explorer:
    """A temperature slider on logits (N, classes) and labels (N,) of pictures held out."""
    return Explorer(
        "Confidence",
        partial(judged, logits, labels),
        draw,
        sentence,
        width_px=780,
        temperature=widgets.SelectionSlider(options=TEMPERATURES, value=1.0),
    )
