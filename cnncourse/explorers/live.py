"""Live views: a bar and curves that grow while a cell runs, and one line in the record."""

import html
import time
from collections.abc import Iterator, Sequence
from functools import partial
from typing import TypeVar

import ipywidgets as widgets
from IPython.display import display

from cnncourse import plots
from cnncourse.explorers import picture_html
from cnncourse.training import Progress

T = TypeVar("T")
PERIOD_S = 0.2  # the bar moves at most five times a second: drawing must not slow training


def bar_html(done: int, total: int, text: str) -> str:
    """Progress bar with its text."""
    label = html.escape(text)
    return (
        f'<progress value="{done}" max="{total}" aria-label="{label}" style="width: 300px">'
        f"</progress> {label}"
    )


class LiveCurves(widgets.VBox):
    """Reporter for `training.fit`: bar after every batch, curves after every epoch."""

    def __init__(self) -> None:
        self.bar = widgets.HTML(bar_html(0, 1, "waiting for the first batch"))
        self.picture = widgets.HTML()
        self.drawn_at = 0.0
        super().__init__([self.bar, self.picture])

    def __call__(self, progress: Progress) -> None:
        """Show where training is."""
        now = time.monotonic()
        ended = progress.epoch_ended and progress.epoch == progress.epochs
        if not ended and now - self.drawn_at < PERIOD_S and not progress.epoch_ended:
            return
        self.drawn_at = now
        done = (progress.epoch - 1) * progress.batches + progress.batch
        text = f"epoch {progress.epoch} of {progress.epochs}"
        if progress.history.epochs:
            newest = progress.history.epochs[-1]
            text += (
                f", validation accuracy {newest.validation_accuracy:.3f}, "
                f"{newest.images_per_second:,.0f} images a second"
            )
        self.bar.value = bar_html(done, progress.epochs * progress.batches, text)
        if progress.epoch_ended:
            self.picture.value = picture_html(curves_png(progress), text, width_px=840)

    def __repr__(self) -> str:
        return "LiveCurves: a bar and curves that grow while the cell runs"

    def _repr_mimebundle_(self, **kwargs: object) -> dict:
        bundle = dict(super()._repr_mimebundle_(**kwargs) or {})
        bundle["text/plain"] = repr(self)
        return bundle


def curves_png(progress: Progress) -> bytes:
    """Loss and accuracy over the epochs that have ended."""
    column = progress.history.column
    panels = [
        partial(
            plots.draw_curves,
            curves={"train": column(f"train_{name}"), "validation": column(f"validation_{name}")},
            ylabel=name,
            epochs=progress.epochs,
        )
        for name in ("loss", "accuracy")
    ]
    return plots.render_png(*panels, width_in=8.4, height_in=2.8)


class Bar(widgets.HTML):
    """Progress bar of a loop, with its label; in the record, the label alone."""

    def __init__(self, label: str, total: int) -> None:
        self.label, self.total = label, total
        super().__init__(bar_html(0, total, label))

    def step(self, done: int) -> None:
        """Show that so many of the steps are done."""
        self.value = bar_html(done, self.total, f"{self.label}: {done} of {self.total}")

    def __repr__(self) -> str:
        return self.label

    def _repr_mimebundle_(self, **kwargs: object) -> dict:
        bundle = dict(super()._repr_mimebundle_(**kwargs) or {})
        bundle["text/plain"] = repr(self)
        return bundle


def bar(steps: Sequence[T], label: str) -> Iterator[T]:
    """The steps one by one, under a bar that shows how many are done."""
    shown = Bar(label, len(steps))
    display(shown)
    for done, step in enumerate(steps, start=1):
        yield step
        shown.step(done)
