"""Explorers: controls wired to compute and draw. Only this folder knows ipywidgets."""

import base64
import html
from collections.abc import Callable
from threading import RLock
from typing import Any

import anywidget
import ipywidgets as widgets

from cnncourse.exercises import Question
from cnncourse.sketch import Sketch


def picture_html(picture: bytes, alt: str, width_px: int) -> str:
    """PNG or JPEG as an image element with its alternative text."""
    kind = "png" if picture.startswith(b"\x89PNG") else "jpeg"
    data = base64.b64encode(picture).decode()
    return (
        f'<img src="data:image/{kind};base64,{data}" alt="{html.escape(alt)}" '
        f'style="width: {width_px}px; max-width: 100%">'
    )


class Reachable(anywidget.AnyWidget):
    """Lets the controls beside it be reached by keyboard, and by name for screen readers.

    JupyterLab takes the arrow keys from a list for its own, and b would insert a cell. ipywidgets 8
    leaves the handles of sliders and the buttons of players without a name.
    """

    _esm = """
    const call = (element, name) => {
      if (element.getAttribute("aria-label") !== name) element.setAttribute("aria-label", name);
    };
    const KEYS = "select, input, textarea, button, .noUi-handle";
    function reach(explorer) {
      for (const control of explorer.querySelectorAll(KEYS)) {
        control.setAttribute("data-lm-suppress-shortcuts", "true");
      }
      for (const slider of explorer.querySelectorAll(".widget-slider")) {
        const name = slider.querySelector(".widget-label")?.textContent ?? "";
        for (const handle of slider.querySelectorAll(".noUi-handle")) call(handle, name);
      }
      for (const button of explorer.querySelectorAll(".widget-play button")) {
        const icon = button.querySelector("i")?.className.match(/fa-(\\w+)/);
        if (icon) call(button, icon[1]);
      }
    }
    function render({ el }) {
      el.style.display = "none";
      requestAnimationFrame(() => {  // by now the widget is on the page
        const explorer = el.closest(".cnncourse-explorer");
        if (!explorer) return;
        reach(explorer);
        const watch = new MutationObserver(() => reach(explorer));
        watch.observe(explorer, { childList: true, subtree: true });
      });
    }
    export default { render };
    """


class Explorer(widgets.VBox):
    """Redraws when a control moves. What compute refuses is said in words; the picture stays.

    compute(**values) takes the controls' values and gives a result or raises ValueError;
    draw(result) gives a Sketch, or a PNG, of always the same size; sentence(result) says the same
    in words. A page without a kernel shows the picture as it was when the cell ran; nbval compares
    the line of text.

    adjust(controls) may change the controls' limits before the values are read. play names the
    slider that a play button moves, one step every interval_ms.
    """

    def __init__(
        self,
        name: str,
        compute: Callable,
        draw: Callable[[Any], Sketch | bytes],
        sentence: Callable[[Any], str],
        *,
        width_px: int = 640,
        adjust: Callable[[dict[str, widgets.ValueWidget]], None] = lambda controls: None,
        play: str = "",
        interval_ms: int = 700,
        **controls: widgets.ValueWidget,
    ) -> None:
        self.name, self.compute, self.draw, self.sentence = name, compute, draw, sentence
        self.width_px, self.adjust, self.controls = width_px, adjust, controls
        self.picture, self.message = widgets.HTML(), widgets.HTML()
        self.drawn: Sketch | bytes = b""
        self.words, self.adjusting = "", False
        self.lock = RLock()  # a kernel may bring two moves at once, each in a thread of its own
        for label, control in controls.items():
            control.description = control.description or label.replace("_", " ")
            control.style.description_width = "110px"
            control.layout.width = "400px"
            control.observe(self.refresh, names="value")
        shown = [part for label, part in controls.items() if label != play]
        if play:
            shown.append(self.player(controls[play], interval_ms))
        panel = widgets.Box(shown, layout={"flex_flow": "row wrap", "width": f"{width_px}px"})
        panel.layout.max_width = "100%"
        super().__init__([panel, self.message, self.picture, Reachable()])
        self.add_class("cnncourse-explorer")
        self.refresh()

    def player(self, slider: widgets.IntSlider, interval_ms: int) -> widgets.HBox:
        """The slider with a play button before it; the browser moves it, this kernel follows."""
        button = widgets.Play(  # its value too: the browser gives it to the slider at once
            value=slider.value, min=slider.min, max=slider.max, interval=interval_ms
        )
        for limit in ("min", "max"):
            widgets.link((slider, limit), (button, limit))
        widgets.jslink((button, "value"), (slider, "value"))
        return widgets.HBox([slider, button])

    def refresh(self, _change: object = None) -> None:
        """Compute and draw for the controls as they stand; what comes meanwhile waits its turn."""
        with self.lock:
            if self.adjusting:
                return
            self.adjusting = True
            try:
                self.adjust(self.controls)
            finally:
                self.adjusting = False
            self.show({label: control.value for label, control in self.controls.items()})

    def move(self, **values: object) -> None:
        """Give several controls their values, then draw once; not at all where nothing moves."""
        with self.lock:
            before = [self.controls[label].value for label in values]
            self.adjusting = True
            try:
                for label, value in values.items():
                    self.controls[label].value = value
            finally:
                self.adjusting = False
            if before != [self.controls[label].value for label in values]:
                self.refresh()

    def show(self, values: dict[str, Any]) -> None:
        """Picture and words for these values; or why there are none."""
        try:
            result = self.compute(**values)
        except ValueError as error:
            self.message.value = self.line("alert", str(error))
            return
        self.drawn, self.words = self.draw(result), self.sentence(result)
        self.message.value = self.line("status", self.words)
        live = self.drawn if isinstance(self.drawn, bytes) else self.drawn.jpeg()
        self.picture.value = picture_html(live, self.words, self.width_px)

    @property
    def png(self) -> bytes:
        """The picture as it stands, to be stored."""
        return self.drawn if isinstance(self.drawn, bytes) else self.drawn.png()

    def line(self, role: str, text: str) -> str:
        """The line above the picture; a screen reader reads it out when it changes.

        It has the height of two lines always, so that the picture does not jump.
        """
        color = "; color: #A33C00" if role == "alert" else ""
        style = f"line-height: 1.4; min-height: 2.8em; max-width: {self.width_px}px{color}"
        return f'<div role="{role}" style="{style}">{html.escape(text)}</div>'

    def __repr__(self) -> str:
        values = ", ".join(f"{label}={control.value!r}" for label, control in self.controls.items())
        return f"{self.name}({values}): {self.words}"

    def _repr_mimebundle_(self, **kwargs: object) -> tuple[dict, dict]:
        bundle = dict(super()._repr_mimebundle_(**kwargs) or {})
        bundle["text/plain"] = repr(self)
        bundle["image/png"] = base64.b64encode(self.png).decode()
        return bundle, {"image/png": {"alt": self.words, "width": self.width_px}}


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
        super().__init__([asked, self.choice, self.reply, Reachable()])
        self.add_class("cnncourse-explorer")

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
