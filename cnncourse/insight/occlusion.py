"""Occlusion: cover a square of the picture and see what becomes of the logit."""

import math
from numbers import Real

import torch
from torch import Tensor, nn

from cnncourse import messages
from cnncourse.arithmetic import output_size
from cnncourse.insight.checks import check_images, targets_for
from cnncourse.insight.layers import answers_for

AT_ONCE = 8  # covered pictures in one pass


def covered(images: Tensor, *, row: int, column: int, size_px: int, fill: float = 0.0) -> Tensor:
    """The pictures (N, C, H, W) with the square from (row, column) on filled.

    What of it lies outside falls away. fill is in the model's units: 0 is the mean gray of
    standardised pictures.
    """
    check_images(images)
    messages.check_at_least("row", row, 0)
    messages.check_at_least("column", column, 0)
    messages.check_at_least("size_px", size_px, 1)
    check_fill(fill)
    changed = images.clone()
    changed[:, :, row : row + size_px, column : column + size_px] = fill
    return changed


def check_fill(fill: float) -> None:
    """Raise ValueError unless a square can be filled with this."""
    if not isinstance(fill, Real) or not math.isfinite(fill):
        raise ValueError(
            messages.refusal("fill", fill, "must be a finite number", attempt="fill=0.0")
        )


def occlusion(
    model: nn.Module,
    images: Tensor,
    classes: Tensor | int,
    *,
    size_px: int,
    stride_px: int,
    fill: float = 0.0,
) -> Tensor:
    """How far the class's logit falls when a square is covered (Zeiler & Fergus 2013, 1311.2901).

    (N, C, H, W) -> (N, rows, columns): place [i, j] is the square from (i, j) * stride_px on, which
    lies in the picture wholly. Above 0: what was there spoke for the class. No gradient is needed.
    Raises ValueError for a square that does not fit, and a class that the model does not have.
    """
    check_images(images)
    targets = targets_for(images, classes)
    check_fill(fill)
    messages.check_at_least("size_px", size_px, 1)
    messages.check_at_least("stride_px", stride_px, 1)
    height, width = images.shape[2:]
    if size_px > min(height, width):
        rule = f"does not fit on pictures of {height} x {width} px"
        attempt = f"size_px={max(1, min(height, width) // 4)}"
        raise ValueError(messages.refusal("size_px", size_px, rule, attempt=attempt))
    rows = output_size(height, kernel_size=size_px, stride=stride_px)
    columns = output_size(width, kernel_size=size_px, stride=stride_px)
    falls = torch.zeros(len(images), rows * columns)
    for number, (image, target) in enumerate(zip(images.detach(), targets, strict=True)):
        before = answers_for(model, image[None], target[None])
        for places in torch.arange(rows * columns).split(AT_ONCE):
            batch = image.repeat(len(places), 1, 1, 1)
            for copy, place in zip(batch, places.tolist(), strict=True):
                top, left = (step * stride_px for step in divmod(place, columns))
                copy[:, top : top + size_px, left : left + size_px] = fill
            after = answers_for(model, batch, target.expand(len(places)))
            falls[number, places] = (before - after).cpu()
    return falls.reshape(len(images), rows, columns)
