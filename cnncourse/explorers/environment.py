"""Environment: what this machine has, and how long each lesson will take on it."""

import math
import os
import time
from functools import partial
from pathlib import Path
from typing import NamedTuple

import ipywidgets as widgets
import psutil
import torch

from cnncourse import files, lesson, plots, training
from cnncourse.explorers import Explorer
from cnncourse.sources import SOURCES


class Environment(NamedTuple):
    """Facts of the machine, and what each lesson costs here on its quick budget, estimated."""

    device: str
    threads: int
    memory_gb: float
    gflops: float
    mnist: str  # which of its images `data.load` would give, and from where
    seconds: dict[str, float]
    peak_memory_gb: dict[str, float]
    chosen: str | None  # a lesson, where there are any


def measured_gflops(threads: int, *, size: int = 512, seconds: float = 0.2) -> float:
    """Billions of floating-point operations a second in a matrix product on so many threads.

    The best of the products that fit into seconds: what else runs here slows the others.
    """
    before = torch.get_num_threads()
    matrix = torch.ones(size, size)
    torch.set_num_threads(threads)
    try:
        best, until = math.inf, time.perf_counter() + seconds
        while (started := time.perf_counter()) < until:
            matrix @ matrix
            best = min(best, time.perf_counter() - started)
    finally:
        torch.set_num_threads(before)
    return 2 * size**3 / best / 1e9


def mnist_present() -> str:
    """Which MNIST this machine has: nothing is read or downloaded to find out."""
    named = os.environ.get("CNNCOURSE_DATA")
    if named and SOURCES["mnist"].locate(Path(named)):
        return "whole, in the folder that CNNCOURSE_DATA names"
    if SOURCES["mnist"].locate(files.cache_dir()):
        return "whole, in the cache"
    return "a sample of 5,000 images"


def environment(folder: Path, *, lesson_name: str | None, threads: int) -> Environment:
    """Measure this machine; scale the seconds that were saved with each lesson to it."""
    gflops = measured_gflops(threads)
    costs = lesson.saved_costs(folder)
    return Environment(
        device=training.pick_device("auto").type,
        threads=threads,
        memory_gb=psutil.virtual_memory().total / 1e9,
        gflops=gflops,
        mnist=mnist_present(),
        seconds={name: cost["seconds"] * cost["gflops"] / gflops for name, cost in costs.items()},
        peak_memory_gb={name: cost["peak_memory_mb"] / 1e3 for name, cost in costs.items()},
        chosen=lesson_name,
    )


def draw_seconds(ax: plots.Axes, shown: Environment) -> None:
    """A bar a lesson, the chosen one in orange; a line at two minutes, the most that is meant."""
    names, seconds = list(shown.seconds), list(shown.seconds.values())
    colors = [plots.ORANGE if name == shown.chosen else plots.BLUE for name in names]
    ax.barh(names, seconds, color=colors)
    for number, value in enumerate(seconds):
        ax.text(value, number, f" {value:.0f} s", va="center")
    ax.axvline(120, color="gray", linestyle=":")
    ax.set_title(
        facts(shown).replace("; ", "\n") + "\nthe dotted line is at two minutes", fontsize=9
    )
    ax.set(
        xlabel=f"seconds on this machine with {shown.threads} threads, estimated",
        xlim=(0, 1.15 * max(130.0, *seconds, 0.0)),
    )
    ax.invert_yaxis()
    if not names:
        ax.set(yticks=[])
        ax.text(0.5, 0.5, "no measured lessons in this folder", transform=ax.transAxes, ha="center")


def draw(shown: Environment) -> bytes:
    """Picture of the estimates."""
    height_in = 1.7 + 0.35 * len(shown.seconds)
    return plots.render_png(partial(draw_seconds, shown=shown), width_in=7, height_in=height_in)


def facts(shown: Environment) -> str:
    """What this machine has."""
    return (
        f"device {shown.device}, {shown.threads} of {os.cpu_count()} threads, "
        f"{shown.memory_gb:.0f} GB of memory, {shown.gflops:.0f} GFLOP/s; MNIST: {shown.mnist}"
    )


def sentence(shown: Environment) -> str:
    """The facts, and the estimate of the chosen lesson."""
    takes = "no measured lessons in this folder"
    if shown.chosen is not None:
        takes = (
            f"{shown.chosen} takes about {shown.seconds[shown.chosen]:.0f} s "
            f"and {shown.peak_memory_gb[shown.chosen]:.1f} GB"
        )
    return f"{facts(shown)}; {takes}"


def explorer(folder: str | Path = ".") -> Explorer:
    """Panel for the lessons in folder: choose one, and a number of threads to estimate with."""
    names = list(lesson.saved_costs(Path(folder)))
    return Explorer(
        "Environment",
        partial(environment, Path(folder)),
        draw,
        sentence,
        width_px=700,
        lesson_name=widgets.Dropdown(options=names, description="lesson"),
        threads=widgets.IntSlider(
            torch.get_num_threads(), 1, os.cpu_count() or 1, continuous_update=False
        ),
    )
