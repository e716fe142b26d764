"""Explorers without a browser or a kernel: set a control, look at picture and words."""

import base64
import json
import re
import threading
import time

import ipywidgets as widgets
import numpy as np
import pytest
import torch

from cnncourse import plots
from cnncourse.data import Split
from cnncourse.exercises import Question
from cnncourse.explorers import (
    Explorer,
    Predict,
    architecture,
    attack,
    augmentation_lab,
    confidence,
    connection_table,
    convolution_arithmetic,
    cost,
    data_size,
    digits,
    environment,
    filter_lab,
    freeze_map,
    inception,
    kernel_stack,
    layer_costs,
    pixels,
    rate_finder,
    receptive_field,
    residual,
    scaling,
    schedules,
    shift,
    signal_propagation,
    sliding_window,
    transposed,
)
from cnncourse.models.simple import SimpleCNN
from cnncourse.range_test import RangeTest
from cnncourse.sketch import Sketch

PNG = b"\x89PNG\r\n\x1a\n"
VIEW = "application/vnd.jupyter.widget-view+json"


def square_root(number: int, sign: bool) -> float:
    if number < 0:
        raise ValueError(f"number={number}: has no <real> root. Try: number=0.")
    return number**0.5 * (-1 if sign else 1)


def example() -> Explorer:
    return Explorer(
        "Root",
        square_root,
        lambda root: plots.render_png(lambda ax: ax.plot([0, root])),
        lambda root: f"the root is {root:g} & real",
        number=widgets.IntSlider(4, -9, 9),
        sign=widgets.Checkbox(False, description="minus"),
    )


def test_it_shows_picture_and_words_at_once():
    explorer = example()
    assert explorer.png.startswith(PNG)
    assert explorer.words == "the root is 2 & real"
    assert "the root is 2 &amp; real" in explorer.message.value
    assert 'role="status"' in explorer.message.value


def test_several_controls_that_move_together_are_drawn_once():
    seen = []
    explorer = example()
    explorer.picture.observe(lambda change: seen.append(explorer.words), names="value")
    explorer.move(number=9, sign=True)
    assert seen == [explorer.words] == ["the root is -3 & real"]
    explorer.move(number=9, sign=True)
    assert len(seen) == 1
    explorer.controls["number"].value = 1  # and each still moves by itself
    assert explorer.words == "the root is -1 & real"


def test_a_sketch_is_shown_as_a_jpeg_at_once_and_kept_as_a_png():
    explorer = Explorer(
        "Plain", lambda width: Sketch(width, 20), lambda page: page, lambda page: "white",
        width=widgets.IntSlider(30, 30, 40),
    )  # fmt: skip
    assert "data:image/jpeg;base64," in explorer.picture.value
    assert explorer.png.startswith(PNG)
    before = explorer.png
    explorer.controls["width"].value = 40
    assert explorer.png != before


def test_moving_a_control_changes_picture_and_words():
    explorer = example()
    before = explorer.png, explorer.picture.value
    explorer.controls["number"].value = 9
    assert explorer.words == "the root is 3 & real"
    assert explorer.png != before[0]
    assert explorer.picture.value != before[1]
    explorer.controls["sign"].value = True
    assert explorer.words == "the root is -3 & real"


def test_two_moves_at_once_end_with_the_picture_of_both():
    slow_began, started = threading.Event(), threading.Event()

    def compute(first: int, second: int) -> tuple[int, int]:
        if started.is_set() and not slow_began.is_set():
            slow_began.set()
            time.sleep(0.2)  # the older move takes longer than the newer one
        return first, second

    sliders = {name: widgets.IntSlider(0, 0, 9) for name in ("first", "second")}
    explorer = Explorer("Two", compute, lambda pair: Sketch(9, 9), str, **sliders)
    started.set()
    older = threading.Thread(target=lambda: setattr(sliders["first"], "value", 1))
    older.start()
    assert slow_began.wait(5)
    sliders["second"].value = 2
    older.join()
    assert explorer.words == "(1, 2)"
    assert "(1, 2)" in explorer.message.value


def test_what_is_refused_is_said_and_the_picture_stays():
    explorer = example()
    before = explorer.png, explorer.picture.value, explorer.words
    explorer.controls["number"].value = -1
    assert 'role="alert"' in explorer.message.value
    assert "number=-1: has no &lt;real&gt; root. Try: number=0." in explorer.message.value
    assert (explorer.png, explorer.picture.value, explorer.words) == before
    explorer.controls["number"].value = 1
    assert "the root is 1" in explorer.message.value


def test_an_error_of_ours_is_not_hidden():
    with pytest.raises(ZeroDivisionError):
        Explorer("Broken", lambda: 1 / 0, lambda _: b"", lambda _: "")


def test_the_picture_is_an_image_with_its_words_as_alternative():
    explorer = example()
    shown = explorer.picture.value
    assert base64.b64decode(re.search(r"base64,([^\"]+)", shown)[1]) == explorer.png
    assert 'alt="the root is 2 &amp; real"' in shown


def test_a_page_without_a_kernel_gets_the_png_and_one_line_of_text():
    data, metadata = example()._repr_mimebundle_()
    assert base64.b64decode(data["image/png"]).startswith(PNG)
    assert data["text/plain"] == "Root(number=4, sign=False): the root is 2 & real"
    assert metadata == {"image/png": {"alt": "the root is 2 & real", "width": 640}}
    assert VIEW in data
    json.dumps(data)


def test_two_explorers_of_the_same_values_give_the_same_line_and_picture():
    one, other = example(), example()
    assert (repr(one), one.png) == (repr(other), other.png)


def test_a_control_is_named_by_its_argument_or_its_description():
    controls = example().controls
    assert [control.description for control in controls.values()] == ["number", "minus"]


# --- every control of every explorer, from end to end ---------------------------------------------


def sample(count: int = 3) -> Split:
    images = torch.from_numpy(np.random.default_rng(0).random((count, 1, 28, 28), np.float32))
    return Split(images, torch.arange(count))


def valley() -> RangeTest:
    return RangeTest([1e-4, 1e-3, 1e-2, 1e-1], [2.0, 1.0, 0.5, 3.0], stopped=False)


EXPLORERS = {
    "pixels": pixels.explorer,
    "environment": environment.explorer,
    "digits": lambda: digits.explorer(SimpleCNN(), sample(), black=0.0),
    "sliding_window": sliding_window.explorer,
    "convolution_arithmetic": convolution_arithmetic.explorer,
    "transposed": transposed.explorer,
    "cost": cost.explorer,
    "filter_lab": filter_lab.explorer,
    "shift": shift.explorer,
    "receptive_field": receptive_field.explorer,
    "architecture": architecture.explorer,
    "connection_table": connection_table.explorer,
    "inception": inception.explorer,
    "kernel_stack": kernel_stack.explorer,
    "layer_costs": layer_costs.explorer,
    "residual": residual.explorer,
    "scaling": scaling.explorer,
    "signal_propagation": signal_propagation.explorer,
    "augmentation_lab": lambda: augmentation_lab.explorer(sample(10)),
    "schedules": schedules.explorer,
    "rate_finder": lambda: rate_finder.explorer(valley()),
    "attack": lambda: attack.explorer(SimpleCNN(), sample(10), range(10)),
    "confidence": lambda: confidence.explorer(3 * torch.eye(10), torch.arange(10)),
    "freeze_map": lambda: freeze_map.explorer(size_px=64),
    "data_size": lambda: data_size.explorer((2, 9), {"one": [[0.1, 0.2], [0.3, 0.4]]}),
}


BY_KEYBOARD = (
    widgets.Dropdown,
    widgets.Checkbox,
    widgets.IntSlider,
    widgets.FloatSlider,
    widgets.SelectionSlider,
    widgets.Textarea,
    widgets.FileUpload,
)


def ends(control: widgets.Widget) -> list:
    """Values of a control from one end to the other; none where it has no ends."""
    if isinstance(control, widgets.Textarea | widgets.FileUpload):
        return []
    if isinstance(control, widgets.Dropdown | widgets.SelectionSlider):
        return list(control.options)
    if isinstance(control, widgets.Checkbox):
        return [True, False]
    return [control.min, control.max]


def said(message: str) -> bool:
    """Whether a message tells what is shown, or refuses it in the contract's words."""
    return 'role="status"' in message or ('role="alert"' in message and "Try: " in message)


@pytest.mark.parametrize("name", EXPLORERS)
def test_every_control_goes_to_its_ends(name, monkeypatch):
    monkeypatch.setattr(environment, "measured_gflops", lambda threads: 100.0)
    explorer = EXPLORERS[name]()
    for control in explorer.controls.values():
        for value in ends(control):
            control.value = value
            assert control.value == value
            assert explorer.png.startswith(PNG)
            assert "nan" not in explorer.words
            assert said(explorer.message.value)


@pytest.mark.parametrize("name", EXPLORERS)
def test_every_control_is_described_and_answers_to_the_keyboard(name):
    for control in EXPLORERS[name]().controls.values():
        assert control.description
        assert isinstance(control, BY_KEYBOARD)


@pytest.mark.parametrize("name", ["sliding_window", "convolution_arithmetic", "transposed"])
def test_a_player_begins_where_its_slider_stands(name):
    explorer = EXPLORERS[name]()
    panel = explorer.children[0].children
    slider, button = next(part.children for part in panel if isinstance(part, widgets.HBox))
    assert slider is explorer.controls["step"]
    assert (button.value, button.min, button.max) == (slider.value, slider.min, slider.max)


# --- Predict --------------------------------------------------------------------------------------


def card() -> Predict:
    return Predict("Is 1 < 2?", ["yes", "no"], answer="yes", why="Because 1 & 1 is 2.")


def test_a_card_begins_without_a_guess_and_without_the_answer():
    asked = card()
    assert asked.choice.value is None
    assert asked.reply.value == ""
    assert "Is 1 &lt; 2?" in asked.children[0].value


def test_a_guess_is_answered_with_the_reason():
    asked = card()
    asked.choice.value = "no"
    assert "Not quite: yes. Because 1 &amp; 1 is 2." in asked.reply.value
    asked.choice.value = "yes"
    assert "Yes. Because 1 &amp; 1 is 2." in asked.reply.value


def test_a_page_without_a_kernel_folds_the_answer_away():
    data = card()._repr_mimebundle_()
    assert data["text/plain"] == "Predict: Is 1 < 2? (yes / no)"
    page = data["text/html"]
    assert "Is 1 &lt; 2?" in page.split("<details>")[0]
    assert "yes. Because 1 &amp; 1 is 2." in page.split("<details>")[1]
    assert page.count("<li>") == 2


def test_the_answer_must_be_an_option(refused):
    with refused("answer='perhaps': must be one of the options. Try: 'yes'."):
        Predict("Is it?", ["yes", "no"], answer="perhaps", why="")


def test_a_question_kept_elsewhere_makes_the_same_card():
    question = Question("Is 1 < 2?", ("yes", "no"), answer="yes", why="Because 1 & 1 is 2.")
    asked, plain = Predict.ask(question), card()
    assert repr(asked) == repr(plain)
    assert asked._repr_mimebundle_()["text/html"] == plain._repr_mimebundle_()["text/html"]
