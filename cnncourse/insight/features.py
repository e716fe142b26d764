"""Filters, feature maps and units: what a layer answers, and what makes one of its units answer."""

from collections.abc import Sequence
from numbers import Integral
from typing import NamedTuple

import torch
from torch import Tensor, nn

from cnncourse import messages
from cnncourse.arithmetic import ReceptiveField
from cnncourse.insight.checks import check_images, check_tensor
from cnncourse.insight.layers import (
    asked,
    layer_of,
    maps_of,
    passed,
    ran,
    watched,
)
from cnncourse.trace import trace

AT_ONCE = 4  # pictures in one pass


def filters(model: nn.Module, layer: str) -> Tensor:
    """A copy of a convolution's weights, (out_channels, in_channels // groups, h, w).

    Raises ValueError for an unknown layer, and for one that is no nn.Conv2d.
    """
    part = layer_of(model, layer)
    if not isinstance(part, nn.Conv2d):
        inside = [f"{layer}.{name}" for name, x in part.named_modules() if isinstance(x, nn.Conv2d)]
        attempt = repr(inside[0]) if inside else "the name of an nn.Conv2d"
        kind = type(part).__name__
        raise ValueError(f"layer {layer!r} is a {kind}, no nn.Conv2d. Try: {attempt}.")
    return part.weight.detach().clone()


def feature_maps(model: nn.Module, images: Tensor, layers: Sequence[str]) -> dict[str, Tensor]:
    """What layers give for pictures (N, C, H, W), by name, without gradients.

    Maps are (N, channels, h, w), a head's answers (N, features). Raises ValueError for an unknown
    layer, and for one that never runs or runs twice.
    """
    check_images(images)
    with asked(model), torch.no_grad(), watched(model, layers) as outputs:
        passed(model, images)
    return {name: ran(outputs, name) for name in layers}


# --- what excites a unit --------------------------------------------------------------------------


class Peak(NamedTuple):
    """Where a unit's map is highest in one picture."""

    image: int  # place in the set
    row: int  # on the map
    column: int
    value: float


def peaks(
    model: nn.Module, images: Tensor, layers: Sequence[str], *, count: int
) -> dict[str, list[list[Peak]]]:
    """For every unit of layers of maps, the pictures of a set that excite it most, one peak each.

    (N, C, H, W) -> by layer, a list a unit of min(count, N) peaks, the highest first, as in Zeiler
    & Fergus 2013, arXiv:1311.2901, Figure 2. Raises ValueError as `feature_maps` does.
    """
    check_images(images)
    messages.check_at_least("count", count, 1)
    found: dict[str, list[tuple[Tensor, Tensor, int]]] = {name: [] for name in layers}
    for part in images.split(AT_ONCE):
        with asked(model), torch.no_grad(), watched(model, layers) as outputs:
            passed(model, part)
        for name in layers:
            maps = maps_of(outputs, name)
            value, place = maps.flatten(2).max(dim=2)  # (n, units)
            found[name].append((value.cpu(), place.cpu(), maps.shape[3]))
    return {name: ranked(parts, count) for name, parts in found.items()}


def ranked(parts: Sequence[tuple[Tensor, Tensor, int]], count: int) -> list[list[Peak]]:
    """The highest peaks of every unit, from the highest value and its place in each picture."""
    values, places = (torch.cat(each) for each in list(zip(*parts, strict=True))[:2])
    width = parts[0][2]
    best = values.topk(min(count, len(values)), dim=0).indices.T.tolist()  # (units, count)
    return [
        [
            Peak(image, *divmod(int(places[image, unit]), width), float(values[image, unit]))
            for image in row
        ]
        for unit, row in enumerate(best)
    ]


def field_of(model: nn.Module, shape: Sequence[int], layer: str) -> ReceptiveField:
    """What a unit of a layer sees of pictures (N, C, H, W) of that shape, along either axis.

    Raises ValueError where its units have no place in the picture, such as after a mean over it.
    """
    layer_of(model, layer)
    end = trace(model, tuple(shape)).ends.get(layer)
    if end is None or end.field is None:
        raise ValueError(
            f"layer {layer!r}: its units have no place in the picture. "
            "Try: a layer before the pooling."
        )
    return end.field


def seen_by(field: ReceptiveField, row: int, column: int) -> tuple[int, int, int]:
    """Square that the unit at (row, column) of a map sees: its first row and column, and its side.

    In pixels of the picture; below 0, or past its end, is padding.
    """
    return field.start + row * field.jump, field.start + column * field.jump, field.size


def cut_out(image: Tensor, square: tuple[int, int, int], *, fill: float = 0.5) -> Tensor:
    """A square (row, column, side) of a picture (C, H, W): (C, side, side); padding is filled.

    Raises ValueError for another shape, and for a square that is not three whole numbers.
    """
    check_tensor("image", image, what="(C, H, W)")
    if image.ndim != 3:
        raise ValueError(f"image {tuple(image.shape)}: must be (C, H, W). Try: images[0].")
    whole = len(square) == 3 and all(isinstance(number, Integral) for number in square)
    if not whole or square[2] < 1:
        rule = "must be a whole first row, first column, and side of 1 px or more"
        raise ValueError(messages.refusal("square", square, rule, attempt="square=(0, 0, 8)"))
    top, left, side = square
    patch = image.new_full((image.shape[0], side, side), fill)
    first_row, first_column = max(top, 0), max(left, 0)
    inside = image[:, first_row : max(top + side, 0), first_column : max(left + side, 0)]
    below, right = first_row - top, first_column - left
    patch[:, below : below + inside.shape[1], right : right + inside.shape[2]] = inside
    return patch


# --- selectivity ----------------------------------------------------------------------------------


def class_means(activations: Tensor, labels: Tensor) -> Tensor:
    """Mean answer of every unit to each class, (classes, units).

    Of answers (N, units), or of maps (N, units, h, w), which are averaged over their places.
    Raises ValueError where a class from 0 to the highest label has no picture, for labels below 0,
    and for answers that are not finite.
    """
    check_answers(activations, labels)
    answers = activations.mean(dim=(2, 3)) if activations.ndim == 4 else activations
    counts = torch.bincount(labels)
    if not counts.all():
        missing = int((counts == 0).nonzero()[0])
        raise ValueError(f"labels: class {missing} has no picture. Try: labels without gaps.")
    sums = answers.new_zeros(len(counts), answers.shape[1]).index_add(0, labels, answers)
    return sums / counts[:, None]


def check_answers(activations: Tensor, labels: Tensor) -> None:
    """Raise ValueError unless these are finite answers of units, and a label for each."""
    check_tensor("activations", activations, what="(N, units) or (N, units, h, w)")
    check_tensor("labels", labels, what="(N,)")
    if activations.ndim not in (2, 4) or not activations.isfinite().all():
        raise ValueError(
            f"activations {tuple(activations.shape)}: must be (N, units) or (N, units, h, w), all "
            "finite. Try: feature_maps(model, images, [layer])[layer]."
        )
    if labels.dtype != torch.int64 or labels.shape != activations.shape[:1] or not len(labels):
        raise ValueError(
            f"labels {tuple(labels.shape)}: must be int64, one for each of {len(activations)} "
            "pictures, 1 or more. Try: split.labels."
        )
    if labels.min() < 0:
        raise ValueError(
            f"label {int(labels.min())} found: must be 0 or more. Try: labels from 0 on."
        )


def selectivity(activations: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """How far each unit's favourite class stands out, and which it is (Morcos et al. 2018).

    (N, units) or maps, none below 0 -> (units,) and (units,): (best - rest) / (best + rest), of the
    mean answers to the best class and to all others. 1: that class alone; 0: all alike, or silent.
    Source: arXiv:1803.06959, equation 1.
    """
    means = class_means(activations, labels)
    if len(means) < 2:
        raise ValueError("labels: one class only, must be two or more. Try: more classes.")
    if float(activations.min()) < 0:
        raise ValueError("activations below 0: must be 0 or more. Try: the layer after the ReLU.")
    best, favourite = means.max(dim=0)
    rest = (means.sum(dim=0) - best) / (len(means) - 1)
    total = best + rest
    return torch.where(total > 0, (best - rest) / total.clamp(min=1e-12), 0.0), favourite
