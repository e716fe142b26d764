"""What a unit sees of the input: receptive fields carried through every operation of a pass.

A tensor that depends on the input has a Place, or None: its units have no place of their own in
the picture, since each sees all of it (a mean over the picture), or they do not lie on a grid of
whole pixels (flattened, upsampled, shuffled). Paths that meet see from the first pixel that any of
them sees to the last.
"""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from cnncourse.arithmetic import Layer, ReceptiveField, receptive_field
from cnncourse.trace import costs


class Place(NamedTuple):
    """Which axis of a tensor is the picture's height, and what a unit sees along it."""

    axis: int
    field: ReceptiveField


SAME = ReceptiveField(1, 1, 0)  # of an operation whose units see one input unit each


def place_of_input(images: Tensor) -> Place | None:
    """Of (N, C, H, W) and (N, C, D, H, W) along H, of (N, C, L) along L; else None."""
    return Place(max(2, images.ndim - 2), SAME) if images.ndim > 2 else None


def through(seen: ReceptiveField, local: ReceptiveField) -> ReceptiveField:
    """What is seen by units that see `local` of units that see `seen` of the input."""
    size = seen.size + (local.size - 1) * seen.jump
    return ReceptiveField(size, seen.jump * local.jump, seen.start + local.start * seen.jump)


def union(places: Sequence[Place | None]) -> Place | None:
    """What units see by several paths together; None where the paths' units do not line up."""
    known = [place for place in places if place]
    if len(known) < len(places) or len({(one.axis, one.field.jump) for one in known}) != 1:
        return None
    start = min(one.field.start for one in known)
    end = max(one.field.start + one.field.size for one in known)
    return Place(known[0].axis, ReceptiveField(end - start, known[0].field.jump, start))


def after(
    operation: Any, given: dict[str, Any], place: Place, x: Tensor, y: Tensor
) -> Place | None:
    """Place of an output y as far as the input x at `place` decides it."""
    if not (costs.is_pointwise(operation) or costs.name_of(operation) in KNOWN):
        return None
    name = costs.name_of(operation)
    axis = new_axis(name, given, place.axis, x.shape, y.shape)
    local = local_field(name, given, place.axis, x.shape)
    return Place(axis, through(place.field, local)) if local and axis >= 0 else None


# --- along the axis -------------------------------------------------------------------------------


def local_field(
    name: str, given: dict[str, Any], axis: int, shape: torch.Size
) -> ReceptiveField | None:
    """What an output unit sees of an operation's input along one axis; None: all, or unknown."""
    if name == "convolution":
        kernel = given["weight"].shape[2:]
        return None if given["transposed"] else window(given, kernel, axis, shape)
    if name in costs.POOLS:
        return window(given, given["kernel_size"], axis, shape)
    if name in costs.ADAPTIVE_POOLS:
        return adaptive_window(given["output_size"], axis, shape)
    if name in costs.PADS:
        return padded(given.get("pad") or given["padding"], axis, shape)
    if name == "slice" and given["dim"] % len(shape) == axis:
        start = given["start"] or 0
        return ReceptiveField(1, given["step"], start + shape[axis] if start < 0 else start)
    if name in costs.BATCH_NORMS and given.get("training"):
        return None  # means over the picture
    if name == "native_layer_norm" and axis >= len(shape) - len(given["normalized_shape"]):
        return None
    return SAME


def window(
    given: dict[str, Any], kernel: Sequence[int], axis: int, shape: torch.Size
) -> ReceptiveField | None:
    """Of a convolution or a pool, whose kernel lies over the last axes; None on any other axis."""
    place = axis - len(shape) + len(kernel)
    if place < 0:
        return None

    def along(values: Sequence[int]) -> int:
        return values[place % len(values)]  # one value may stand for all axes

    stride, dilation = given["stride"] or kernel, given.get("dilation", [1])
    layer = Layer(along(kernel), along(stride), along(given["padding"]), along(dilation))
    return receptive_field([layer])


def adaptive_window(sizes: Sequence[int], axis: int, shape: torch.Size) -> ReceptiveField | None:
    """Of an adaptive pool; None where its windows differ in size."""
    place = axis - len(shape)
    if place < -len(sizes) or shape[axis] % sizes[place]:
        return None
    size = shape[axis] // sizes[place]
    return ReceptiveField(size, size, 0)


def padded(pad: Sequence[int], axis: int, shape: torch.Size) -> ReceptiveField:
    """Of padding, given as (before, after) from the last axis to the first."""
    before = 2 * (len(shape) - 1 - axis)
    return ReceptiveField(1, 1, -pad[before]) if before < len(pad) else SAME


# --- where the axis goes --------------------------------------------------------------------------

VIEWS = {"view", "_unsafe_view", "unsqueeze", "squeeze", "expand"}
PIECES = {"split", "split_with_sizes", "unsafe_split", "cat", *costs.SOFTMAX, "index_select"}
KNOWN = {
    *(costs.POOLS | costs.ADAPTIVE_POOLS | costs.PADS | costs.BATCH_NORMS | costs.REDUCTIONS),
    *(VIEWS | PIECES),
    *("convolution", "native_layer_norm", "permute", "transpose", "select", "unbind", "slice"),
    *("index", "clone", "_to_copy", "detach", "alias", "channel_shuffle"),
    "native_channel_shuffle",
}


def new_axis(
    name: str, given: dict[str, Any], axis: int, before: torch.Size, after: torch.Size
) -> int:
    """Where an axis of an operation's input is in its output; -1 where it is lost."""
    if name == "permute":
        return [dim % len(before) for dim in given["dims"]].index(axis)
    if name == "transpose":
        pair = [given["dim0"] % len(before), given["dim1"] % len(before)]
        return pair[1 - pair.index(axis)] if axis in pair else axis
    if name in VIEWS:
        return same_axis(axis, before, after)
    if name in PIECES:  # cut up, put together or normalised along another axis
        return -1 if given["dim"] % len(before) == axis else axis
    if name in costs.REDUCTIONS or name in ("select", "unbind"):
        return left_over(given.get("dim"), axis, before, after)
    if name == "index":  # x[:, chosen]: axes after the chosen one stay
        chosen = given["indices"]
        return axis if len(chosen) <= axis and len(after) == len(before) else -1
    moved = axis + len(after) - len(before)  # number by number: shapes are aligned at their ends
    stretched = name not in KNOWN and before[axis] == 1 != after[moved]
    return -1 if stretched else moved


def left_over(
    dims: int | list[int] | None, axis: int, before: torch.Size, after: torch.Size
) -> int:
    """Place of an axis once others are summed up or cut away; -1 where it is one of them."""
    gone = {dim % len(before) for dim in (dims if isinstance(dims, list) else [dims or 0])}
    if dims is None or dims == [] or axis in gone:
        return -1
    return axis if len(after) == len(before) else axis - sum(dim < axis for dim in gone)


def same_axis(axis: int, before: torch.Size, after: torch.Size) -> int:
    """The axis of a new shape with the same length and as many numbers before it; else -1."""
    for place, size in enumerate(after):
        if size == before[axis] and math.prod(after[:place]) == math.prod(before[:axis]):
            return place
    return -1
