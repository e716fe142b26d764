"""Digits: move, turn or invert a digit and watch what a trained network answers."""

from functools import partial
from typing import NamedTuple

import ipywidgets as widgets
import numpy as np
import torch
from torch import nn

from cnncourse import augment
from cnncourse.data import Split
from cnncourse.explorers import Explorer
from cnncourse.measure import evaluate
from cnncourse.sketch import Sketch


class Answer(NamedTuple):
    """A digit as the network was shown it, and what it answered."""

    image: np.ndarray  # (H, W), standardised
    label: int
    probabilities: np.ndarray  # (classes,)


def answer(
    model: nn.Module,
    split: Split,
    *,
    digit: int,
    turn: int,
    right: int,
    down: int,
    invert: bool,
    black: float,
) -> Answer:
    """Probabilities for image number digit, inverted, turned by degrees and moved by pixels.

    black is the value of a black pixel in the split, so that what moves in is background.
    """
    image = split.images[digit : digit + 1].cpu()
    if invert:
        image = image.max() + black - image
    image = augment.affine(
        image,
        angles=torch.tensor([float(turn)]),
        shift_px=torch.tensor([[float(right), float(down)]]),
        fill=float(image.max()) if invert else black,
    )
    logits = evaluate(model, Split(image, split.labels[digit : digit + 1])).logits
    probabilities = logits.softmax(dim=1)[0].numpy()
    return Answer(image[0, 0].numpy(), int(split.labels[digit]), probabilities)


def draw(shown: Answer) -> Sketch:
    """The digit beside its probabilities: a bar a class, the true one in orange."""
    page = Sketch(640, 300)
    darkest, brightest = shown.image.min(), shown.image.max()
    ink = shown.image - darkest
    page.image(ink, 10, 20, width_px=260, height_px=260, limit=float(brightest - darkest))
    rows = {
        str(number): (float(probability), f"{probability:.2f}")
        for number, probability in enumerate(shown.probabilities)
    }
    page.text(330, 14, f"probability of each class (orange: the label, {shown.label})", anchor="lm")
    page.bars(rows, 300, 30, width_px=270, name_px=30, row_px=25, limit=1, mark=str(shown.label))
    return page


def sentence(shown: Answer) -> str:
    """What the network says, and whether it is right."""
    best = int(shown.probabilities.argmax())
    verdict = "right" if best == shown.label else f"wrong, the label is {shown.label}"
    return f"the network says {best} (≈ {shown.probabilities[best]:.2f}): {verdict}"


def explorer(model: nn.Module, split: Split, *, black: float) -> Explorer:
    """Explorer of a trained model on the images of a split."""
    last = len(split.labels) - 1
    slider = partial(widgets.IntSlider, 0, continuous_update=False)
    return Explorer(
        "Digits",
        partial(answer, model, split, black=black),
        draw,
        sentence,
        digit=slider(min=0, max=last),
        turn=slider(min=-180, max=180, step=5, description="turn (degrees)"),
        right=slider(min=-14, max=14, description="right (px)"),
        down=slider(min=-14, max=14, description="down (px)"),
        invert=widgets.Checkbox(False, description="black on white"),
    )
