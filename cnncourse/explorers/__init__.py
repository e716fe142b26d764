"""Explorers: controls wired to compute and draw. Only this folder knows ipywidgets."""

import base64
import html
from collections.abc import Callable
from typing import Any

import ipywidgets as widgets

from cnncourse.exercises import Question


def picture_html(png: bytes, alt: str, width_px: int) -> str:
    """PNG as an image element with its alternative text."""
    data = base64.b64encode(png).decode()
    return (
        f'<img src="data:image/png;base64,{data}" alt="{html.escape(alt)}" '
        f'style="width: {width_px}px; max-width: 100%">'
    )


class Explorer(widgets.VBox):
    """Redraws when a control moves. What compute refuses is said in words; the picture stays.

    compute(**values) takes the controls' values and gives a result or raises ValueError;
    draw(result) gives a PNG; sentence(result) says the same in words. A page without a kernel
    shows the PNG as it was when the cell ran; nbval compares the line of text.
    """

    def __init__(
        self,
        name: str,
        compute: Callable,
        draw: Callable[[Any], bytes],
        sentence: Callable[[Any], str],
        *,
        width_px: int = 640,
        **controls: widgets.ValueWidget,
    ) -> None:
        self.name, self.compute, self.draw, self.sentence = name, compute, draw, sentence
        self.width_px, self.controls = width_px, controls
        self.picture, self.message = widgets.HTML(), widgets.HTML()
        self.png, self.words = b"", ""
        for label, control in controls.items():
            control.description = control.description or label.replace("_", " ")
            control.style.description_width = "110px"
            control.layout.width = "420px"
            control.observe(self.refresh, names="value")
        super().__init__([*controls.values(), self.message, self.picture])
        self.refresh()

    def refresh(self, _change: object = None) -> None:
        """Compute and draw for the controls as they stand."""
        values = {label: control.value for label, control in self.controls.items()}
        try:
            result = self.compute(**values)
        except ValueError as error:
            self.message.value = self.line("alert", str(error))
            return
        self.png, self.words = self.draw(result), self.sentence(result)
        self.message.value = self.line("status", self.words)
        self.picture.value = picture_html(self.png, self.words, self.width_px)

    def line(self, role: str, text: str) -> str:
        """The line above the picture; a screen reader reads it out when it changes."""
        return f'<div role="{role}" style="line-height: 1.4">{html.escape(text)}</div>'

    def __repr__(self) -> str:
        values = ", ".join(f"{label}={control.value!r}" for label, control in self.controls.items())
        return f"{self.name}({values}): {self.words}"

    def _repr_mimebundle_(self, **kwargs: object) -> tuple[dict, dict]:
        bundle = dict(super()._repr_mimebundle_(**kwargs) or {})
        bundle["text/plain"] = repr(self)
        bundle["image/png"] = base64.b64encode(self.png).decode()
        return bundle, {"image/png": {"alt": self.words}}


class Predict(widgets.VBox):
    """A question to answer before the cell that shows it: a guess, then the reason.

    On a page without a kernel the answer is folded under the question.
    """

    def __init__(self, question: str, options: list[str], *, answer: str, why: str) -> None:
        if answer not in options:
            raise ValueError(f"answer={answer!r}: must be one of the options. Try: {options[0]!r}.")
        self.question, self.options, self.answer, self.why = question, options, answer, why
        self.choice = widgets.RadioButtons(options=options, value=None, layout={"width": "auto"})
        self.reply = widgets.HTML()
        self.choice.observe(self.respond, names="value")
        asked = widgets.HTML(f"<b>Predict.</b> {html.escape(question)}")
        super().__init__([asked, self.choice, self.reply])

    @classmethod
    def ask(cls, question: Question) -> "Predict":
        """The card of a question that is kept with the exercises: its cell gives nothing away."""
        return cls(question.text, list(question.options), answer=question.answer, why=question.why)

    def respond(self, change: dict) -> None:
        """Say whether the guess was right, and why."""
        right = change["new"] == self.answer
        start = "Yes." if right else f"Not quite: {self.answer}."
        self.reply.value = f'<div role="status">{html.escape(f"{start} {self.why}")}</div>'

    def __repr__(self) -> str:
        return f"Predict: {self.question} ({' / '.join(self.options)})"

    def _repr_mimebundle_(self, **kwargs: object) -> dict:
        bundle = dict(super()._repr_mimebundle_(**kwargs) or {})
        options = "".join(f"<li>{html.escape(option)}</li>" for option in self.options)
        bundle["text/plain"] = repr(self)
        bundle["text/html"] = (
            f"<p><b>Predict.</b> {html.escape(self.question)}</p><ul>{options}</ul>"
            f"<details><summary>Answer</summary>{html.escape(f'{self.answer}. {self.why}')}"
            "</details>"
        )
        return bundle
