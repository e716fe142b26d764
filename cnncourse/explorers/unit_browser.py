"""Unit browser: three layers of any network side by side; a unit, what it sees, what it likes."""

from collections.abc import Callable, Sequence
from functools import lru_cache

import ipywidgets as widgets
from torch import Tensor, nn

from cnncourse import messages
from cnncourse.explorers import Explorer
from cnncourse.explorers.clicks import Clicks
from cnncourse.explorers.pictures import OWN, Pictures, chooser, uploader
from cnncourse.explorers.unit_page import (
    DEPTHS,
    HEIGHT_PX,
    WIDTH_PX,
    Layer,
    Look,
    draw,
    first_on_page,
    map_at,
    sentence,
)
from cnncourse.insight import features
from cnncourse.insight.layers import layer_of
from cnncourse.preprocess import Preprocess
from cnncourse.trace import trace
from cnncourse.weights import load_weights

LAYERS = ("features.0.0", "features.3", "features.8")  # of EfficientNet-Lite0
FAVOURITES = 6  # patches of a unit


def known_layers(model: nn.Module, gallery: Tensor, names: Sequence[str]) -> list[Layer]:
    """Fields, filters and the peaks in a gallery of layers that give maps."""
    peaks = features.peaks(model, gallery, names, count=FAVOURITES)
    ends = trace(model, (1, *gallery.shape[1:])).ends
    layers = []
    for name in names:
        is_convolution = isinstance(layer_of(model, name), nn.Conv2d)
        weights = features.filters(model, name) if is_convolution else None
        layers.append(Layer(name, ends[name].field, weights, peaks[name]))
    return layers


def computer(
    model: nn.Module, preprocess: Preprocess, layers: Sequence[str]
) -> Callable[..., Look]:
    """compute of the explorer: a picture is passed through once, a unit only looked up."""
    pictures = Pictures(preprocess)
    gallery = pictures.gallery()
    known = known_layers(model, preprocess.standardise(gallery), layers)

    @lru_cache(maxsize=2)
    def passed(pixels: Tensor) -> list[Tensor]:
        maps = features.feature_maps(model, preprocess.standardise(pixels)[None], layers)
        return [maps[name][0].cpu() for name in layers]

    def compute(*, picture: str, depth: str, unit: int, upload: tuple) -> Look:
        pixels = pictures.cut(picture, upload)
        return Look(picture, pixels, known, passed(pixels), DEPTHS.index(depth), unit, gallery)

    return compute


def explorer(
    model: nn.Module | None = None,
    preprocess: Preprocess | None = None,
    *,
    layers: Sequence[str] = LAYERS,
    picture: str = "chelsea",
    depth: str = "early",
) -> Explorer:
    """Choose a picture, one of three layers and a unit; a click on a map does so too.

    The model and the preprocessing that belongs to it: EfficientNet-Lite0 if none is given, then
    layers are three of its. Pictures have three channels: a network of one takes a step from
    colour to gray in front, nn.Sequential(gray, model).
    Raises ValueError for layers that are not three or give no maps, and for a model that does not
    take such pictures.
    """
    if len(layers) != len(DEPTHS):
        rule = "must be three names: an early, a middle and a deep layer"
        raise ValueError(messages.refusal("layers", layers, rule, attempt=f"layers={LAYERS}"))
    if model is None:
        pretrained = load_weights("efficientnet_lite0", "course")
        model, preprocess = pretrained.model, preprocess or pretrained.preprocess
    if preprocess is None:
        raise ValueError("preprocess=None: a model needs its own. Try: weights.IMAGENET.")
    compute = computer(model, preprocess, layers)
    units = [len(maps) for maps in compute(picture=picture, depth=depth, unit=0, upload=()).maps]
    before: dict[str, tuple] = {"upload": ()}

    def adjust(controls: dict) -> None:
        if controls["upload"].value != before["upload"]:  # an upload is shown at once
            controls["picture"].value = OWN
            before["upload"] = controls["upload"].value
        controls["unit"].max = units[DEPTHS.index(controls["depth"].value)] - 1

    whole = Explorer(
        "UnitBrowser",
        compute,
        draw,
        sentence,
        width_px=WIDTH_PX,
        adjust=adjust,
        picture=chooser(picture),
        depth=widgets.Dropdown(options=DEPTHS, value=depth),
        unit=widgets.IntSlider(0, 0, units[DEPTHS.index(depth)] - 1),
        upload=uploader(),
    )
    clicks = Clicks()
    clicks.observe(lambda change: clicked(whole, change["new"], units), names="at")
    whole.children = (*whole.children, clicks)
    return whole


def clicked(whole: Explorer, at: Sequence[float], units: Sequence[int]) -> None:
    """Choose the map that was clicked, if one was: at is (x, y) in shares of the picture."""
    found = map_at(at[0] * WIDTH_PX, at[1] * HEIGHT_PX)
    if found is None:
        return
    depth, place = found
    controls = whole.controls
    same = DEPTHS[depth] == controls["depth"].value
    unit = (first_on_page(controls["unit"].value) if same else 0) + place
    if unit < units[depth]:
        controls["depth"].value = DEPTHS[depth]
        controls["unit"].value = unit
