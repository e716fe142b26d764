"""Cost: one convolution in five ways; multiplications, extra memory, measured milliseconds.

Counts follow from formulas and are exact; times are measured here and now, and say "≈". The layer
has as many output channels as input channels, stride 1, and padding that keeps an odd kernel's
size; its numbers are float32.
"""

import math
import time
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import ipywidgets as widgets
import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from cnncourse import messages, ops
from cnncourse.explorers import Explorer
from cnncourse.sketch import GRAY, PALE, Sketch

METHODS = ("loops", "views", "im2col", "fft", "winograd")
PART_MACS = 3000  # of the loops, which would take seconds for the whole layer
PATIENCE_MS = 8  # no third measurement of what took longer
BYTES = 4  # of a float32


class Cost(NamedTuple):
    """What one way of computing a layer takes."""

    multiplications: int
    extra_bytes: int  # beside the padded image, the kernels and the output
    milliseconds: float


class Costs(NamedTuple):
    """The costs of a layer by method; None where the method does not apply."""

    kernel_size: int
    channels: int
    size_px: int
    method: str  # marked
    scale: str
    rows: dict[str, Cost | None]


# --- counted --------------------------------------------------------------------------------------


def multiplications(method: str, *, kernel_size: int, channels: int, size_px: int) -> int:
    """Real multiplications of a method for one image; channels in and out, size_px in and out.

    Winograd's transforms add and halve, and are not counted. A Fourier transform of n real numbers
    counts n log2(n), by the textbook's rule for powers of two, and a complex product four.
    """
    pairs = channels**2
    if method == "winograd":
        return 16 * pairs * tiles(size_px)
    if method == "fft":
        pixels = (size_px + kernel_size - 1) ** 2
        transforms = 2 * channels + pairs  # of images and outputs; of the kernels
        spectra = 4 * pairs * frequencies(kernel_size, size_px)
        return spectra + round(transforms * pixels * math.log2(pixels))
    return pairs * kernel_size**2 * size_px**2


def extra_values(method: str, *, kernel_size: int, channels: int, size_px: int) -> int:
    """Numbers that a method must hold beside padded image, kernels and output."""
    if method == "im2col":
        return channels * kernel_size**2 * size_px**2
    if method == "fft":  # spectra of image, kernels and output; two numbers a frequency
        return 2 * (2 * channels + channels**2) * frequencies(kernel_size, size_px)
    if method == "winograd":  # transformed tiles of image and output, transformed kernels
        return 16 * (2 * channels * tiles(size_px) + channels**2)
    return 0


def tiles(size_px: int) -> int:
    """Tiles of 2x2 outputs; those that stick out count whole."""
    return math.ceil(size_px / 2) ** 2


def frequencies(kernel_size: int, size_px: int) -> int:
    """Different frequencies of a padded real image: half of them and a column mirror the rest."""
    side = size_px + kernel_size - 1
    return side * (side // 2 + 1)


# --- measured -------------------------------------------------------------------------------------


def correlate_views(images: np.ndarray, kernels: np.ndarray) -> np.ndarray:
    """(C, H, W), (O, C, h, w) -> (O, H', W'), without a copy of the windows.

    The method "direct" of `ops` copies a row of them at a time, for the speed of a matrix product.
    """
    windows = sliding_window_view(images, kernels.shape[2:], axis=(1, 2))
    return np.einsum("cyxhw,ochw->oyx", windows, kernels)


def fastest_ms(run: Callable[[], object]) -> float:
    """Milliseconds of the fastest of up to five runs; of two where these take long.

    Not of one: that may have been interrupted, or the first to touch its memory.
    """
    times: list[float] = []
    while len(times) < 2 or (len(times) < 5 and sum(times) < PATIENCE_MS):
        started = time.perf_counter()
        run()
        times.append(1e3 * (time.perf_counter() - started))
    return min(times)


def measured_ms(method: str, padded: np.ndarray, kernels: np.ndarray) -> float:
    """Milliseconds of a method on one padded image (C, H, W).

    Views are measured on one output channel, the loops on a part of one row, and both scaled up:
    every output costs them the same.
    """
    channels, kernel_size = kernels.shape[1], kernels.shape[2]
    if method == "views":
        return len(kernels) * fastest_ms(partial(correlate_views, padded, kernels[:1]))
    if method == "loops":
        places = padded.shape[1] - kernel_size + 1
        measured = min(places, math.ceil(PART_MACS / (channels * kernel_size**2)))
        part = padded[:, :kernel_size, : kernel_size - 1 + measured]
        took = fastest_ms(partial(ops.conv2d, part, kernels[:1], method="loops"))
        return took * len(kernels) * places**2 / measured
    return fastest_ms(partial(ops.conv2d, padded, kernels, method=method))


def costs(kernel_size: int, channels: int, size_px: int, method: str, scale: str) -> Costs:
    """Counts and times of all methods for one layer; method is the one to mark.

    Raises ValueError where the marked method does not apply: Winograd's, but for 3x3 kernels.
    """
    if method == "winograd" and kernel_size != 3:
        rule = "F(2x2, 3x3) is for 3x3 kernels alone"
        attempt = "kernel_size=3, or mark another method"
        raise ValueError(messages.refusal("kernel_size", kernel_size, rule, attempt=attempt))
    rng = np.random.default_rng(0)
    side = size_px + kernel_size - 1
    padded = rng.normal(size=(channels, side, side)).astype(np.float32)
    kernels = rng.normal(size=(channels, channels, kernel_size, kernel_size)).astype(np.float32)
    layer = {"kernel_size": kernel_size, "channels": channels, "size_px": size_px}
    rows = {
        name: Cost(
            multiplications(name, **layer),
            BYTES * extra_values(name, **layer),
            measured_ms(name, padded, kernels),
        )
        if name != "winograd" or kernel_size == 3
        else None
        for name in METHODS
    }
    return Costs(kernel_size, channels, size_px, method, scale, rows)


# --- shown ----------------------------------------------------------------------------------------


def in_ms(milliseconds: float) -> str:
    """A measured time in three digits or so."""
    decimals = 0 if milliseconds >= 100 else 1 if milliseconds >= 10 else 2
    return f"≈ {max(milliseconds, 0.01):,.{decimals}f} ms"


def length(value: float, least: float, scale: str) -> float:
    """Of a bar: the value itself, or decades above the one below the least."""
    if scale == "linear":
        return value
    return 0.0 if value <= 0 else math.log10(value) - decade_below(least)


def full_width(lengths: list[float], scale: str) -> float:
    """Length that fills the width; a decade at least, since one line alone says nothing."""
    return max(*lengths, 1.0) if scale == "logarithmic" else max(lengths) or 1.0


def decade_below(value: float) -> int:
    """The largest whole power of ten below a positive value."""
    return math.ceil(math.log10(value)) - 1


def panels(shown: Costs) -> dict[str, dict[str, tuple[float, str]]]:
    """Title, then method: the value and the words behind its bar."""
    titles = ("multiplications", "extra memory", "time here, for one image")
    rows: dict[str, dict[str, tuple[float, str]]] = {title: {} for title in titles}
    for name, cost in shown.rows.items():
        if cost is None:
            cells = [(0.0, "only for 3×3 kernels")] * 3
        else:
            held = f"{cost.extra_bytes:,} bytes" if cost.extra_bytes else "none"
            part = ", from a part" if name in ("loops", "views") else ""
            cells = [
                (cost.multiplications, f"{cost.multiplications:,}"),
                (cost.extra_bytes, held),
                (cost.milliseconds, in_ms(cost.milliseconds) + part),
            ]
        for title, cell in zip(titles, cells, strict=True):
            rows[title][name] = cell
    return rows


def draw(shown: Costs) -> Sketch:
    """Three groups of bars; on a logarithmic scale a pale line for every power of ten."""
    page = Sketch(840, 520)
    left, width = 100, 520
    for number, (title, rows) in enumerate(panels(shown).items()):
        top = 173 * number
        least = min((value for value, _ in rows.values() if value > 0), default=1)
        bars = {
            name: (length(value, least, shown.scale), words)
            for name, (value, words) in rows.items()
        }
        limit = full_width([reach for reach, _ in bars.values()], shown.scale)
        note = ", each line ten times the one before" if shown.scale == "logarithmic" else ""
        page.text(left, top + 16, f"{title}{note}", anchor="lm", bold=True)
        for decade in range(math.floor(limit) + 1) if note else (0,):
            x = left + width * decade / limit
            page.line([(x, top + 28), (x, top + 160)], color=PALE)
            if note:
                power = decade_below(least) + decade
                label = f"{10**power:,}" if power >= 0 else f"{10**power:g}"
                page.text(x, top + 166, label, size_px=10, color=GRAY)
        page.bars(bars, 0, top + 30, width_px=width, name_px=left, limit=limit, mark=shown.method)
    return page


def sentence(shown: Costs) -> str:
    """The costs of the marked method."""
    cost = shown.rows[shown.method]
    assert cost is not None  # compute refuses what does not apply
    return (
        f"{shown.method}, {shown.channels} to {shown.channels} channels, "
        f"{shown.kernel_size}×{shown.kernel_size} kernel, {shown.size_px}×{shown.size_px} px: "
        f"{cost.multiplications:,} multiplications, {cost.extra_bytes:,} bytes of extra memory, "
        f"{in_ms(cost.milliseconds)}"
    )


def explorer() -> Explorer:
    """Choose a layer, mark a method; compare counts, memory and time of all five."""
    return Explorer(
        "Cost",
        costs,
        draw,
        sentence,
        width_px=840,
        kernel_size=widgets.IntSlider(3, 1, 15, step=2, continuous_update=False),
        channels=widgets.IntSlider(8, 1, 16, continuous_update=False),
        size_px=widgets.IntSlider(32, 4, 64, step=4, continuous_update=False),
        method=widgets.Dropdown(options=METHODS, value="im2col", description="mark"),
        scale=widgets.Dropdown(options=("logarithmic", "linear")),
    )
