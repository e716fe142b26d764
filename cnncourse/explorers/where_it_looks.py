"""Where does it look: an attribution, a square to cover, and the same map of random weights."""

from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

import ipywidgets as widgets
import numpy as np
import torch
from torch import Tensor, nn

from cnncourse.explorers import Explorer
from cnncourse.explorers.drags import Drags
from cnncourse.explorers.pictures import OWN, Pictures, chooser, colors, uploader
from cnncourse.insight.layers import asked, passed
from cnncourse.insight.methods import METHODS, attributed
from cnncourse.insight.occlusion import covered
from cnncourse.insight.sanity import randomised, rank_correlation
from cnncourse.preprocess import Preprocess
from cnncourse.sketch import GRAY, Sketch
from cnncourse.weights import load_weights

LAYERS = tuple(f"features.{stage}" for stage in (0, 2, 3, 4, 5, 6, 7, 8))  # of EfficientNet-Lite0
WIDTH_PX, HEIGHT_PX = 840, 356
SIDE_PX, LEFT_PX, TOP_PX, GAP_PX = 262, 10, 34, 16  # of the three squares
LITE_PX = 160  # of a picture for Lite0: half the work of 224


class Look(NamedTuple):
    """A picture, the maps of a network and of its random twin, and what a square hides."""

    picture: str
    method: str  # with its layer, where it has one
    name: str  # of the class asked for
    pixels: Tensor  # (C, H, W), from 0 to 1, with the square on it
    map: np.ndarray  # (h, w)
    twin: np.ndarray  # the same of random weights
    likeness: float  # their rank correlation; nan where one is flat
    square: tuple[int, int, int]  # first row and column, side, in pixels
    before: float  # probability of the class without the square
    after: float


# --- drawn ----------------------------------------------------------------------------------------


def draw(look: Look) -> Sketch:
    """Picture with its square, map, and the map of random weights, side by side."""
    page = Sketch(WIDTH_PX, HEIGHT_PX)
    places = [LEFT_PX + number * (SIDE_PX + GAP_PX) for number in range(3)]
    page.text(places[0], 16, look.picture, anchor="lm", bold=True)
    page.text(places[1], 16, look.method, anchor="lm", bold=True)
    page.text(places[2], 16, "the same, random weights", anchor="lm", bold=True)
    size = SIDE_PX / look.pixels.shape[1]
    pixels = colors(look.pixels)
    page.image(pixels, places[0], TOP_PX, width_px=SIDE_PX, height_px=SIDE_PX, smooth=True)
    for values, x in zip((look.map, look.twin), places[1:], strict=True):
        draw_map(page, values, x)
    row, column, side = look.square
    if side:
        at = places[0] + column * size, TOP_PX + row * size
        page.frame(*at, side * size, side * size, line_px=2)
    below = TOP_PX + SIDE_PX + 20
    share = f"{look.name}: {look.before:.2f}"
    page.text(places[0], below, share, anchor="lm", size_px=13)
    covered_words = f"with the square: {look.after:.2f}" if side else "no square"
    page.text(places[0], below + 20, covered_words, anchor="lm", size_px=13, color=GRAY)
    words = f"rank correlation of the two maps: {look.likeness:.2f}"
    words = "one of the two maps is flat" if np.isnan(look.likeness) else words
    page.text(places[1], below, words, anchor="lm", size_px=13)
    return page


def draw_map(page: Sketch, values: np.ndarray, x: float) -> None:
    """Values from 0 (black) to their 99th percentile (white); a small map is smoothed."""
    limit = float(np.percentile(values, 99)) or float(values.max())
    page.image(values, x, TOP_PX, width_px=SIDE_PX, height_px=SIDE_PX, limit=limit, smooth=True)
    page.frame(x, TOP_PX, SIDE_PX, SIDE_PX, color="#B0B0B0", line_px=1)


def sentence(look: Look) -> str:
    """What is asked, where the map is brightest, the twin's likeness, and what the square hides."""
    row, column = np.unravel_index(int(look.map.argmax()), look.map.shape)
    height, width = look.map.shape
    place = f"{100 * (row + 0.5) / height:.0f} % down and {100 * (column + 0.5) / width:.0f} %"
    if not look.map.any():
        place = "nowhere, 0 % down and 0 %"
    same = "not defined (a map is flat)" if np.isnan(look.likeness) else f"≈ {look.likeness:.2f}"
    words = (
        f"{look.picture}, {look.method} for '{look.name}': brightest ≈ {place} to the right; "
        f"rank correlation with random weights {same}"
    )
    top, left, side = look.square
    if not side:
        return f"{words}; probability ≈ {look.before:.2f}"
    return (
        f"{words}; a square of {side} px at ({top}, {left}) takes the probability from "
        f"≈ {look.before:.2f} to ≈ {look.after:.2f}"
    )


# --- wired ----------------------------------------------------------------------------------------


class Kept:
    """A network, its random twin, and what was computed of them last."""

    def __init__(self, model: nn.Module, preprocess: Preprocess, classes: Sequence[str]) -> None:
        self.model, self.preprocess, self.classes = model, preprocess, classes
        self.twin = randomised(model, [""], seed=0).eval()
        self.pictures = Pictures(preprocess)
        self.maps = lru_cache(maxsize=16)(self.both_maps)

    def probabilities(self, pixels: Tensor) -> Tensor:
        """Of pictures (N, C, H, W) from 0 to 1, (N, classes)."""
        with asked(self.model), torch.no_grad():
            return passed(self.model, self.preprocess.standardise(pixels)).softmax(dim=1)

    def both_maps(
        self, pixels: Tensor, target: int, method: str, layer: str, square_px: int
    ) -> tuple[np.ndarray, np.ndarray, float]:
        """Maps of the network and of its twin, and their rank correlation."""
        image = self.preprocess.standardise(pixels)[None]
        one, other = (
            attributed(net, image, target, method=method, layer=layer, square_px=square_px)
            for net in (self.model, self.twin)
        )
        same = float(rank_correlation(one, other))
        return one[0].cpu().numpy(), other[0].cpu().numpy(), same

    def compute(
        self,
        *,
        picture: str,
        method: str,
        layer: str,
        target: int,
        row: int,
        column: int,
        square: int,
        upload: tuple,
    ) -> Look:
        """What the explorer shows; maps are kept, so that moving the square is quick."""
        pixels = self.pictures.cut(picture, upload)
        used = layer if method == "Grad-CAM" else ""
        window = max(8, square) if method == "occlusion" else 0
        one, other, same = self.maps(pixels, target, method, used, window)
        hidden = pixels[None]
        if square:
            hidden = covered(hidden, row=row, column=column, size_px=square, fill=0.5)
        sure = self.probabilities(torch.cat([pixels[None], hidden]))[:, target].tolist()
        named = f"{method} at {layer}" if used else method
        where = (row, column, square)
        name = self.classes[target]
        return Look(picture, named, name, hidden[0], one, other, same, where, *sure)


def explorer(
    model: nn.Module | None = None,
    preprocess: Preprocess | None = None,
    *,
    layers: Sequence[str] = LAYERS,
    classes: Sequence[str] | None = None,
    picture: str = "chelsea",
    method: str = "Grad-CAM",
) -> Explorer:
    """Choose a picture, a class, a method and a layer; drag a gray square over the picture.

    The model, its preprocessing and names of its classes: EfficientNet-Lite0 and ImageNet's, if
    none are given. When the picture changes, the class becomes the network's answer. The model is
    left in its mode. Raises ValueError for names that are not as many as its classes.
    """
    if model is None:
        pretrained = load_weights("efficientnet_lite0", "course")
        model, preprocess = pretrained.model, preprocess or pretrained.preprocess.at(LITE_PX)
        classes = pretrained.classes
    if preprocess is None:
        raise ValueError("preprocess=None: a model needs its own. Try: weights.IMAGENET.")
    kept = Kept(model, preprocess, () if classes is None else classes)
    count = kept.probabilities(torch.zeros(1, 3, *(preprocess.size_px,) * 2)).shape[1]
    if classes is None:
        kept.classes = [f"class {number}" for number in range(count)]
    elif len(classes) != count:
        rule = f"{len(classes)} names for a model of {count} classes"
        raise ValueError(f"classes: {rule}. Try: classes=None, which numbers them.")
    return draggable(wired(kept, layers, picture, method), preprocess.size_px)


def wired(kept: Kept, layers: Sequence[str], picture: str, method: str) -> Explorer:
    """The explorer's controls; a new picture chooses the class that the network answers."""
    before: dict[str, object] = {"upload": (), "picture": picture}

    def answer(name: str, upload: tuple) -> int:
        return int(kept.probabilities(kept.pictures.cut(name, upload)[None]).argmax())

    def adjust(controls: dict) -> None:
        if controls["upload"].value != before["upload"]:  # an upload is shown at once
            controls["picture"].value = OWN
            before.update(upload=controls["upload"].value, picture="")
        name, upload = controls["picture"].value, controls["upload"].value
        if name != before["picture"] and (name != OWN or upload):
            try:
                controls["target"].value = answer(name, upload)
            except ValueError:
                return  # what is no picture is said by compute
            before["picture"] = name

    side = kept.preprocess.size_px
    names = [(name, number) for number, name in enumerate(kept.classes)]
    start = side // 2 - side // 8
    return Explorer(
        "WhereItLooks",
        kept.compute,
        draw,
        sentence,
        width_px=WIDTH_PX,
        adjust=adjust,
        picture=chooser(picture),
        method=widgets.Dropdown(options=METHODS, value=method),
        layer=widgets.SelectionSlider(options=layers, value=layers[-1], continuous_update=False),
        target=widgets.Dropdown(options=names, value=answer(picture, ()), description="class"),
        row=widgets.IntSlider(start, 0, side - 8, step=8, continuous_update=False),
        column=widgets.IntSlider(start, 0, side - 8, step=8, continuous_update=False),
        square=widgets.IntSlider(side // 4, 0, side // 2, step=8, continuous_update=False),
        upload=uploader(),
    )


def draggable(whole: Explorer, picture_px: int) -> Explorer:
    """The explorer, whose square on a picture of that side follows a pointer, too."""
    right, bottom = LEFT_PX + SIDE_PX, TOP_PX + SIDE_PX
    drags = Drags(
        region=[LEFT_PX / WIDTH_PX, TOP_PX / HEIGHT_PX, right / WIDTH_PX, bottom / HEIGHT_PX]
    )
    drags.observe(lambda change: dragged(whole, change["new"], picture_px), names="at")
    whole.children = (*whole.children, drags)
    return whole


def dragged(whole: Explorer, at: Sequence[float], picture_px: int) -> None:
    """Bring the middle of the square under the pointer, at (x, y) in shares of the page.

    As near as the sliders' steps allow, and no further than the picture's edge.
    """
    controls, square = whole.controls, whole.controls["square"].value
    if not square:
        return
    places = at[0] * WIDTH_PX - LEFT_PX, at[1] * HEIGHT_PX - TOP_PX
    moved = {}
    for name, place in zip(("column", "row"), places, strict=True):
        first = place / SIDE_PX * picture_px - square / 2
        last = (picture_px - square) // controls[name].step
        step = min(max(round(first / controls[name].step), 0), last)
        moved[name] = step * controls[name].step
    whole.move(**moved)
