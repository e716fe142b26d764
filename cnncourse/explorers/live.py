"""Live views: a bar and curves that grow while a cell runs, and one line in the record."""

import html
import signal
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import TypeVar

import ipywidgets as widgets
from IPython.display import display

from cnncourse import plots
from cnncourse.explorers import Reachable, picture_html
from cnncourse.training import History, Progress

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
    """Reporter for `training.fit`: bar after every batch, curves after every epoch.

    Pause holds training between two batches, stop ends it there as Ctrl-C does: what was learned
    stays. JupyterLab from 4.4 and ipykernel from 7 bring a click to Python while the cell runs, in
    a thread of its own; elsewhere it waits for the cell, and Ctrl-C does not. Where nobody clicks
    nothing waits.
    """

    def __init__(self) -> None:
        self.bar = widgets.HTML(bar_html(0, 1, "waiting for the first batch"))
        self.picture = widgets.HTML()
        self.pause = widgets.ToggleButton(description="pause", disabled=True)
        self.stop = widgets.Button(description="stop", disabled=True)
        self.running, self.stopping = threading.Event(), False
        self.history: History | None = None
        self.drawn_at = 0.0
        self.pause.observe(self.hold, names="value")
        self.stop.on_click(self.end)
        buttons = widgets.HBox([self.pause, self.stop])
        super().__init__([self.bar, buttons, self.picture, Reachable()])
        self.add_class("cnncourse-explorer")

    def hold(self, change: dict) -> None:
        """Let training wait, or go on."""
        self.pause.description = "resume" if change["new"] else "pause"
        if change["new"]:
            self.running.clear()
        else:
            self.running.set()

    def end(self, _button: widgets.Button) -> None:
        """Let training end after the running batch, also where it waits."""
        self.stopping = True
        self.running.set()

    def enabled(self, enabled: bool) -> None:
        """Make the buttons ready for a training that begins, or dead after one that ended."""
        self.pause.value, self.stopping = False, False
        self.running.set()
        self.pause.disabled = self.stop.disabled = not enabled
        for button in (self.pause, self.stop):
            answer_in_a_thread(button)

    def obey(self, progress: Progress) -> None:
        """Wait while training is paused; raise KeyboardInterrupt where it was stopped."""
        if not self.running.is_set() and not self.stopping:
            self.show(progress, "paused in ")
            with stoppable():
                while not self.running.wait(PERIOD_S):  # in turns, so that Ctrl-C is heard
                    pass
        if self.stopping:
            self.show(progress, "stopped in ")
            self.enabled(False)
            raise KeyboardInterrupt

    def __call__(self, progress: Progress) -> None:
        """Show where training is, and do what the buttons say."""
        if progress.history is not self.history:  # another training
            self.history = progress.history
            self.enabled(True)
        ended = progress.epoch_ended and progress.epoch == progress.epochs
        now = time.monotonic()
        if progress.epoch_ended or now - self.drawn_at >= PERIOD_S:
            self.drawn_at = now
            self.show(progress)
        if ended:
            self.enabled(False)
        else:
            self.obey(progress)

    def show(self, progress: Progress, doing: str = "") -> None:
        """The bar, and after an epoch the curves; doing comes before the words."""
        done = (progress.epoch - 1) * progress.batches + progress.batch
        text = f"{doing}epoch {progress.epoch} of {progress.epochs}"
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


def answer_in_a_thread(button: widgets.Widget) -> None:
    """Let the browser choose the thread that hears the button.

    ipykernel 7.4 brings what a widget says to the thread in which Python spoke to it last. That is
    the main thread, which is busy with the cell. Where this is not there, nothing is forgotten.
    """
    getattr(button.comm, "__dict__", {}).pop("_reply_subshell_id", None)


@contextmanager
def stoppable() -> Iterator[None]:
    """Inside the block Ctrl-C interrupts at once: while training waits there is no batch to end."""
    if threading.current_thread() is not threading.main_thread():  # signals are not for it
        yield
        return
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


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
