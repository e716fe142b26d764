"""Draw a digit: its way to a picture of MNIST's kind, and what every layer makes of it."""

from functools import partial
from typing import NamedTuple

import ipywidgets as widgets
import numpy as np
import torch
from torch import Tensor, nn

from cnncourse import handwriting
from cnncourse.data import Split
from cnncourse.explorers import Explorer
from cnncourse.explorers.pad import SIDE_PX, Pad
from cnncourse.handwriting import HABITS, SIZE_PX, Prepared, prepare
from cnncourse.measure import mode_restored
from cnncourse.sketch import PAINTS, Sketch

WIDTH_PX, IN_ROW = 840, 32  # of the picture; feature maps side by side
MAP_PX = WIDTH_PX / IN_ROW
MOST_MAPS = 2 * IN_ROW  # of a layer that are shown


class Answer(NamedTuple):
    """A drawing, how it was prepared, and what the network made of it."""

    steps: Prepared
    probabilities: np.ndarray  # (classes,)
    maps: dict[str, np.ndarray]  # (C, H, W) by layer, in the order in which they were computed


@torch.no_grad()
def responses(model: nn.Module, images: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
    """Logits (N, classes) of the model in eval mode, and what each layer with maps gave.

    Layers are those without parts whose output is (N, C, H, W), by name and kind.
    """
    maps: dict[str, Tensor] = {}

    def keep(name: str, layer: nn.Module, inputs: tuple, output: Tensor) -> None:
        if output.ndim == 4:
            maps[f"{name} {type(layer).__name__}"] = output.clone()  # a ReLU may work in place

    hooks = [
        layer.register_forward_hook(partial(keep, name))
        for name, layer in model.named_modules()
        if not list(layer.children())
    ]
    try:
        with mode_restored(model):
            logits = model.eval()(images)
    finally:
        for hook in hooks:
            hook.remove()
    return logits, maps


def answer(model: nn.Module, ink: np.ndarray, habit: str, *, mean: float, std: float) -> Answer:
    """What the model answers to ink on a pad (H, W), prepared by one of HABITS, standardised.

    Raises ValueError where there is no ink.
    """
    steps = prepare(ink, habit)
    device = next(model.parameters()).device
    image = torch.tensor((steps.placed - mean) / std, dtype=torch.float32, device=device)
    logits, maps = responses(model, image[None, None])
    shown = {name: values[0, :MOST_MAPS].cpu().numpy() for name, values in maps.items()}
    return Answer(steps, logits.softmax(dim=1)[0].cpu().numpy(), shown)


def strip(page: Sketch, name: str, maps: np.ndarray, y: float) -> float:
    """A layer's maps in rows under its name, each in colours of its layer; where the next begins.

    Gray from black at 0 where nothing is below it, else blue above zero and orange below.
    """
    count, height, width = maps.shape
    page.text(2, y + 9, f"{name}: {count} maps of {height} x {width}", anchor="lm", size_px=12)
    paint, limit = "gray" if maps.min() >= 0 else "signed", float(abs(maps).max())
    rows = -(-count // IN_ROW)
    edge = max(1, round(width / 14))  # of gray around each
    canvas = np.full((rows, IN_ROW, height + edge, width + edge, 3), 200, np.uint8)
    cells = canvas.reshape(rows * IN_ROW, height + edge, width + edge, 3)
    cells[:count, :height, :width] = PAINTS[paint](maps, limit=limit)
    cells[count:] = 255
    mosaic = canvas.swapaxes(1, 2).reshape(rows * (height + edge), -1, 3)
    size = {"width_px": WIDTH_PX, "height_px": rows * MAP_PX * height / width}
    page.image(mosaic, 0, y + 18, **size)
    return y + 18 + size["height_px"] + 4


def draw_steps(page: Sketch, steps: Prepared) -> None:
    """Four pictures in a row: the pad with the cut framed, the cut, scaled, placed."""
    height, width = steps.cut.shape
    small_height, small_width = steps.scaled.shape
    moved = f"moved {steps.right} right, {steps.down} down"
    panels = [
        ("1 the pad", steps.ink, SIDE_PX, f"ink from ({steps.top}, {steps.left})"),
        ("2 cut out", steps.cut, SIDE_PX, f"{height} x {width} px"),
        ("3 scaled", steps.scaled, SIZE_PX, f"{small_height} x {small_width} px"),
        ("4 put in place", steps.placed, SIZE_PX, moved),
    ]
    for number, (title, picture, side, words) in enumerate(panels):
        left = 2 + 142 * number
        page.text(left, 12, title, anchor="lm", bold=True, size_px=12)
        page.text(left, 176, words, anchor="lm", size_px=11)
        page.image(np.full((1, 1), 0.25), left, 24, width_px=132, height_px=132, limit=1)
        scale = 132 / side
        size = {"width_px": picture.shape[1] * scale, "height_px": picture.shape[0] * scale}
        page.image(picture, left, 24, **size, limit=1)
        if picture is steps.ink:
            box = [steps.left * scale, steps.top * scale, width * scale, height * scale]
            page.frame(left + box[0] - 1, 24 + box[1] - 1, box[2] + 2, box[3] + 2, line_px=1)


def draw(shown: Answer) -> Sketch:
    """The steps, the probabilities beside them, and under them every layer's maps."""
    rows = [-(-len(maps) // IN_ROW) * maps.shape[1] / maps.shape[2] for maps in shown.maps.values()]
    page = Sketch(WIDTH_PX, round(196 + sum(22 + MAP_PX * count for count in rows)))
    draw_steps(page, shown.steps)
    bars = {
        str(number): (float(share), f"{share:.2f}")
        for number, share in enumerate(shown.probabilities)
    }
    best = str(int(shown.probabilities.argmax()))
    page.text(584, 12, "5 probability of each class", anchor="lm", bold=True, size_px=12)
    row_px = 162 / len(bars)
    page.bars(bars, 572, 22, width_px=190, name_px=26, row_px=row_px, limit=1, mark=best)
    y = 194.0
    for name, maps in shown.maps.items():
        y = strip(page, name, maps, y)
    return page


def sentence(shown: Answer) -> str:
    """The likeliest answer, and the numbers of each step."""
    best = int(shown.probabilities.argmax())
    steps = shown.steps
    height, width = steps.cut.shape
    small_height, small_width = steps.scaled.shape
    row, column = steps.mass
    return (
        f"the network says {best} (≈ {shown.probabilities[best]:.2f}). {steps.habit}: "
        f"{height} x {width} px of ink became {small_height} x {small_width}, with the centre of "
        f"mass at row {row:.1f} and column {column:.1f}; moved {steps.right} right and "
        f"{steps.down} down"
    )


def drawn(digit: np.ndarray) -> np.ndarray:
    """A digit (28, 28) as a reader might have drawn it: large, and not in the middle."""
    return handwriting.on_pad(digit, side_px=SIDE_PX, scale=4.0, down_px=24, right_px=4)


class DrawDigit(Explorer):
    """A pad, buttons that draw a sample digit, and habits that spoil the picture on purpose."""

    def __init__(self, model: nn.Module, samples: Split, *, mean: float, std: float) -> None:
        self.pad = Pad()
        labels = samples.labels.tolist()
        firsts = {label: samples.images[labels.index(label), 0] for label in sorted(set(labels))}
        self.digits = {label: drawn(image.double().numpy()) for label, image in firsts.items()}
        self.pad.ink = next(iter(self.digits.values()))
        habits = widgets.ToggleButtons(
            options=list(HABITS), tooltips=list(HABITS.values()), description="prepared"
        )
        super().__init__(
            "DrawDigit",
            lambda habit: answer(model, self.pad.ink, habit, mean=mean, std=std),
            draw,
            sentence,
            width_px=WIDTH_PX,
            habit=habits,
        )
        self.controls["habit"].layout.width = "100%"
        habits.style.button_width = "96px"
        panel, *rest = self.children
        samples_row = widgets.HBox(list(map(self.sample_button, self.digits)))
        asked = widgets.HTML("Draw a digit on the pad, or take a sample:")
        right = widgets.VBox(
            [asked, samples_row, panel], layout={"flex": "1 1 400px", "margin": "0 0 0 12px"}
        )
        samples_row.layout.flex_flow = "row wrap"
        above = widgets.HBox([self.pad, right], layout={"flex_flow": "row wrap"})
        self.set_trait("children", [above, *rest])
        self.pad.observe(self.refresh, names="pixels")

    def sample_button(self, label: int) -> widgets.Button:
        """The button that draws a sample of that digit."""
        button = widgets.Button(description=f"{label}", tooltip=f"draw a sample {label}")
        button.layout.width = "40px"
        button.on_click(lambda _: setattr(self.pad, "ink", self.digits[label]))
        return button


def explorer(model: nn.Module, samples: Split, *, mean: float, std: float) -> DrawDigit:
    """Explorer of a trained model; samples has images from 0 to 1, of which each class gives one.

    mean and std are those by which the model's training images were standardised.
    """
    return DrawDigit(model, samples, mean=mean, std=std)
