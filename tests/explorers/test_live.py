import os
import re
import signal
import threading
import time

import pytest
import torch

from cnncourse import training
from cnncourse.data import Split
from cnncourse.explorers import live
from cnncourse.models.simple import SimpleCNN

PNG = b"\x89PNG\r\n\x1a\n"


@pytest.fixture
def split():
    generator = torch.Generator().manual_seed(0)
    return Split(torch.rand(48, 1, 28, 28, generator=generator), torch.arange(48) % 10)


@pytest.fixture
def watched(split, monkeypatch):
    """Curves after a real training of two epochs of three batches; a snapshot a report."""
    monkeypatch.setattr(live, "PERIOD_S", 0.0)
    curves, snapshots = live.LiveCurves(), []
    model = SimpleCNN()
    history = training.fit(
        model,
        split,
        split,
        epochs=2,
        batch_size=16,
        optimizer=torch.optim.SGD(model.parameters(), lr=0.01),
        device="cpu",
        reporters=[curves, lambda _: snapshots.append((curves.bar.value, curves.picture.value))],
    )
    return curves, snapshots, history


def numbers(bar: str) -> tuple[int, int]:
    found = re.search(r'value="(\d+)" max="(\d+)"', bar)
    return int(found[1]), int(found[2])


def test_the_bar_goes_from_the_first_batch_to_the_last(watched):
    _, snapshots, _ = watched
    assert [numbers(bar) for bar, _ in snapshots] == [
        (1, 6), (2, 6), (3, 6), (3, 6), (4, 6), (5, 6), (6, 6), (6, 6)
    ]  # fmt: skip


def test_the_picture_comes_after_the_first_epoch_and_changes_after_the_second(watched):
    _, snapshots, _ = watched
    pictures = [picture for _, picture in snapshots]
    assert pictures[:3] == ["", "", ""]
    assert "data:image/png;base64," in pictures[3]
    assert pictures[3] == pictures[6] != pictures[7]


def test_the_last_words_are_the_last_epochs(watched):
    curves, _, history = watched
    newest = history.epochs[-1]
    words = f"epoch 2 of 2, validation accuracy {newest.validation_accuracy:.3f}, "
    assert words in curves.bar.value
    assert f"{newest.images_per_second:,.0f} images a second" in curves.bar.value
    assert f'alt="{words}' in curves.picture.value


def test_between_epochs_it_draws_at_most_every_period(split, monkeypatch):
    clock = iter([10.0, 10.1, 10.3, 10.4, 10.45])
    monkeypatch.setattr(live.time, "monotonic", lambda: next(clock))
    curves, seen = live.LiveCurves(), []
    for batch in range(1, 6):
        history = training.History()
        curves(training.Progress(epoch=1, epochs=1, batch=batch, batches=9, history=history))
        seen.append(numbers(curves.bar.value)[0])
    assert seen == [1, 1, 3, 3, 3]


def test_the_curves_are_a_png_of_what_has_ended(watched):
    _, _, history = watched
    one = training.History(history.epochs[:1])
    pngs = [
        live.curves_png(training.Progress(2, 2, batch=3, batches=3, history=seen))
        for seen in (one, history)
    ]
    assert all(png.startswith(PNG) for png in pngs)
    assert pngs[0] != pngs[1]


def test_in_the_record_they_are_one_line(watched):
    curves, _, _ = watched
    line = "LiveCurves: a bar and curves that grow while the cell runs"
    assert curves._repr_mimebundle_()["text/plain"] == repr(curves) == line


def test_a_bar_counts_the_steps_of_a_loop_and_gives_them_all(monkeypatch):
    shown = []
    monkeypatch.setattr(live, "display", shown.append)
    values = []
    for step in live.bar(["a", "b"], "three <seeds>"):
        values.append((step, numbers(shown[0].value)))
    assert values == [("a", (0, 2)), ("b", (1, 2))]
    assert numbers(shown[0].value) == (2, 2)
    assert "three &lt;seeds&gt;: 2 of 2" in shown[0].value
    assert len(shown) == 1
    assert shown[0]._repr_mimebundle_()["text/plain"] == "three <seeds>"


# --- pause and stop -------------------------------------------------------------------------------


def trained_with(curves, split, *reporters, epochs=3):
    """History of a real training of so many epochs of three batches; and the model."""
    torch.manual_seed(0)
    model = SimpleCNN()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    settings = {"epochs": epochs, "batch_size": 16, "optimizer": optimizer, "device": "cpu"}
    return training.fit(model, split, split, reporters=[curves, *reporters], **settings), model


def at(epoch, batch, act):
    """A reporter that acts once, after that batch."""

    def report(progress):
        if (progress.epoch, progress.batch, progress.epoch_ended) == (epoch, batch, False):
            act()

    return report


def test_stop_ends_after_the_batch_and_keeps_what_was_finished(split):
    curves, seen = live.LiveCurves(), []
    history, _ = trained_with(
        curves, split, lambda p: seen.append((p.epoch, p.batch)), at(2, 1, curves.stop.click)
    )
    assert history.stopped == "interrupted in epoch 2 of 3"
    assert len(history.epochs) == 1
    assert seen[-1] == (2, 1)  # pressed after it; the second batch ran, and was the last
    assert "stopped in epoch 2 of 3" in curves.bar.value
    assert curves.stop.disabled
    assert curves.pause.disabled


def test_pause_holds_training_between_batches_until_it_is_resumed(split):
    curves, batches, held = live.LiveCurves(), [], []

    def watch():
        """What a reader does in the browser: pauses, looks twice, resumes."""
        curves.pause.value = True
        for _ in range(100):
            if "paused in epoch 2" in curves.bar.value:
                break
            time.sleep(0.02)
        held.append((curves.bar.value, len(batches), curves.pause.description))
        time.sleep(0.3)
        held.append((curves.bar.value, len(batches), curves.pause.description))
        curves.pause.value = False

    reader = threading.Thread(target=watch)

    def begin():
        reader.start()
        while not curves.pause.value:
            time.sleep(0.01)

    history, _ = trained_with(curves, split, batches.append, at(2, 1, begin))
    reader.join(10)
    assert held[0] == held[1]
    assert "paused in epoch 2 of 3" in held[0][0]
    assert held[0][2] == "resume"
    assert curves.pause.description == "pause"
    assert (len(history.epochs), history.stopped) == (3, "")


def test_a_pause_changes_nothing_in_what_is_learned(split):
    curves = live.LiveCurves()
    soon = threading.Timer(0.3, lambda: setattr(curves.pause, "value", False))

    def pause():
        curves.pause.value = True
        soon.start()

    _, paused = trained_with(curves, split, at(1, 2, pause), epochs=1)
    _, through = trained_with(live.LiveCurves(), split, epochs=1)
    for one, other in zip(paused.parameters(), through.parameters(), strict=True):
        assert torch.equal(one, other)


def test_stop_ends_a_pause(split):
    curves = live.LiveCurves()
    soon = threading.Timer(0.3, curves.stop.click)

    def pause():
        curves.pause.value = True
        soon.start()

    history, _ = trained_with(curves, split, at(1, 1, pause))
    assert history.stopped == "interrupted in epoch 1 of 3"
    assert curves.pause.value is False


def test_ctrl_c_ends_a_pause_at_once(split):
    curves = live.LiveCurves()
    soon = threading.Timer(0.3, os.kill, [os.getpid(), signal.SIGINT])

    def pause():
        curves.pause.value = True
        soon.start()

    before = signal.getsignal(signal.SIGINT)
    history, _ = trained_with(curves, split, at(1, 1, pause))
    assert history.stopped == "interrupted in epoch 1 of 3"
    assert signal.getsignal(signal.SIGINT) == before


def test_the_next_training_begins_afresh(split):
    curves = live.LiveCurves()
    trained_with(curves, split, at(1, 1, curves.stop.click))
    curves.stopping = True  # a click that came too late
    history, _ = trained_with(curves, split)
    assert (len(history.epochs), history.stopped) == (3, "")


def test_the_buttons_are_alive_while_training_runs_and_no_longer(split):
    curves, seen = live.LiveCurves(), []
    assert curves.pause.disabled
    assert curves.stop.disabled
    trained_with(curves, split, lambda _: seen.append(curves.stop.disabled))
    assert seen == [False] * 11 + [True]  # three batches and an end, three times
    assert curves.pause.disabled
