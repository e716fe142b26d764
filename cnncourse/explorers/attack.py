"""Attack: change a picture by a little against a trained network, and watch its answer turn."""

from collections.abc import Iterable, Sequence
from functools import partial
from typing import NamedTuple

import ipywidgets as widgets
import numpy as np
import torch
from torch import Tensor, nn

from cnncourse import messages
from cnncourse.data import Split
from cnncourse.explorers import Explorer
from cnncourse.insight.attacks import fgsm, pgd
from cnncourse.measure import evaluate
from cnncourse.sketch import GRAY, Sketch

METHODS = {"FGSM, one step": 0, "PGD, 10 steps": 10}
AWAY = "away from the label"
MOST_255 = 96
SIDE_PX = 196


class Attacked(NamedTuple):
    """A picture before and after, and what the network says to both."""

    method: str
    eps_255: float
    target: str
    label: int
    classes: Sequence[str]
    before: Tensor  # (C, H, W), from 0 to 1
    after: Tensor
    probabilities: np.ndarray  # (2, classes): before, after

    @property
    def answers(self) -> tuple[int, int]:
        """Most likely class before and after."""
        first, second = self.probabilities.argmax(axis=1).tolist()
        return first, second


def attacked(
    model: nn.Module,
    split: Split,
    classes: Sequence[str],
    *,
    picture: int,
    method: str,
    eps_255: float,
    target: str,
) -> Attacked:
    """Picture of that number attacked; target is AWAY or the name of a class to be answered.

    The model takes pixels from 0 to 1, as the split has them. Raises ValueError for an unknown
    method or target, and for names that are not as many as the model's classes.
    """
    if method not in METHODS:
        raise ValueError(messages.unknown(method, "method", METHODS))
    if target not in (AWAY, *classes):
        raise ValueError(messages.unknown(target, "target", (AWAY, *classes)))
    device = next(model.parameters()).device
    image, label = split.images[picture : picture + 1], int(split.labels[picture])
    wanted = torch.tensor([label if target == AWAY else list(classes).index(target)])
    attack = partial(pgd, steps=METHODS[method]) if METHODS[method] else fgsm
    given = model, image.to(device), wanted.to(device)
    changed = attack(*given, eps_255=eps_255, targeted=target != AWAY).cpu()
    both = torch.cat([image.cpu(), changed])
    logits = evaluate(model, Split(both, torch.zeros(2, dtype=torch.int64))).logits
    if len(classes) != logits.shape[1]:
        count = logits.shape[1]
        rule = f"{len(classes)} names for a model of {count} classes"
        raise ValueError(f"classes: {rule}. Try: classes=range({count}).")
    probabilities = logits.softmax(dim=1).numpy()
    return Attacked(method, eps_255, target, label, classes, both[0], both[1], probabilities)


def shown_as(image: Tensor) -> np.ndarray:
    """(C, H, W) from 0 to 1 -> (H, W, 3), uint8."""
    pixels = (image * 255).round().to(torch.uint8)
    return pixels.expand(3, -1, -1).permute(1, 2, 0).numpy()


def draw(shown: Attacked) -> Sketch:
    """Before, change magnified, after; below the likeliest classes of both."""
    page = Sketch(660, 400)
    change = (shown.after - shown.before).mean(dim=0).numpy()
    limit = max(shown.eps_255 / 255, 1e-6)
    names = ("before", "the change, magnified", "after")
    parts = (shown_as(shown.before), change, shown_as(shown.after))
    for number, (name, part) in enumerate(zip(names, parts, strict=True)):
        x = 10 + number * (SIDE_PX + 26)
        page.text(x, 16, name, anchor="lm", bold=True)
        page.image(part, x, 30, width_px=SIDE_PX, height_px=SIDE_PX, paint="signed", limit=limit)
        page.frame(x - 1, 29, SIDE_PX + 2, SIDE_PX + 2, color="#B0B0B0", line_px=1)
    words = f"blue: brighter, orange: darker; full colour is {shown.eps_255:g}/255"
    page.text(10 + SIDE_PX + 26, 240, words, anchor="lm", size_px=11, color=GRAY)
    for number in (0, 1):
        draw_likeliest(page, shown, number, 10 + number * 2 * (SIDE_PX + 26))
    return page


def draw_likeliest(page: Sketch, shown: Attacked, number: int, x: float) -> None:
    """Bars of the four classes likeliest before or after, the label's in orange."""
    chosen = np.argsort(-shown.probabilities.max(axis=0), kind="stable")[:4]
    rows = {
        shown.classes[index]: (
            float(shown.probabilities[number, index]),
            f"{shown.probabilities[number, index]:.2f}",
        )
        for index in sorted(chosen)
    }
    page.text(x, 268, ("before", "after")[number], anchor="lm", size_px=13, bold=True)
    label = shown.classes[shown.label]
    page.bars(rows, x, 282, width_px=120, name_px=40, row_px=26, limit=1, mark=label)


def sentence(shown: Attacked) -> str:
    """The setting, and the answers before and after with their probabilities.

    The answers wear the sign of what is measured: a network trained elsewhere may give others.
    """
    first, second = shown.answers
    sure = shown.probabilities[0, first], shown.probabilities[1, second]
    aim = shown.target if shown.target == AWAY else f"towards {shown.target}"
    most = (shown.after - shown.before).abs().max().item() * 255
    return (
        f"{shown.method}, {aim}, no pixel by more than {shown.eps_255:g}/255 (it used "
        f"≈ {most:.0f}): the network says ≈ {shown.classes[first]} (≈ {sure[0]:.2f}) before and "
        f"≈ {shown.classes[second]} (≈ {sure[1]:.2f}) after; the label is "
        f"{shown.classes[shown.label]}"
    )


def explorer(
    model: nn.Module,
    split: Split,
    classes: Iterable[object],
    *,
    eps_255: float = 26,
    method: str = "PGD, 10 steps",
) -> Explorer:
    """Picture, method, strength and target, for a model of pixels from 0 to 1."""
    names = [str(name) for name in classes]
    return Explorer(
        "Attack",
        partial(attacked, model, split, names),
        draw,
        sentence,
        width_px=660,
        picture=widgets.IntSlider(0, 0, len(split.labels) - 1, continuous_update=False),
        method=widgets.Dropdown(options=list(METHODS), value=method),
        eps_255=widgets.IntSlider(
            round(eps_255), 0, MOST_255, description="eps (1/255)", continuous_update=False
        ),
        target=widgets.Dropdown(options=[AWAY, *names]),
    )
