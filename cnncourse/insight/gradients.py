"""Attributions by gradients: how much each number of a picture counts for a class's logit.

All take pictures (N, C, H, W) as the model wants them and one class for all, or a class each (N,);
all give (N, C, H, W). `per_pixel` makes a map (N, H, W) of them. Raises ValueError for other shapes
and for a class that the model does not have.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

from cnncourse import images as pictures
from cnncourse import messages
from cnncourse.insight.checks import (
    check_images,
    chosen,
    in_pieces,
    random_numbers,
    targets_for,
)
from cnncourse.insight.layers import UNCUT, answers_for, asked, passed, slope


def gradient(model: nn.Module, images: Tensor, classes: Tensor | int) -> Tensor:
    """Slope of the class's logit at every number of a picture, with its sign."""
    check_images(images)
    targets = targets_for(images, classes)
    slopes = []
    with asked(model):
        for part, wanted in in_pieces(images, targets):
            pixels = part.detach().clone().requires_grad_()
            total = chosen(passed(model, pixels), wanted).sum()
            slopes.append(slope(total, pixels, said="image", attempt=UNCUT))
    return torch.cat(slopes)


def saliency(model: nn.Module, images: Tensor, classes: Tensor | int) -> Tensor:
    """Size of the gradient (Simonyan, Vedaldi & Zisserman 2013, arXiv:1312.6034)."""
    return gradient(model, images, classes).abs()


def smooth_grad(
    model: nn.Module,
    images: Tensor,
    classes: Tensor | int,
    *,
    count: int,
    noise: float = 0.15,
    seed: int = 0,
) -> Tensor:
    """Mean gradient over noisy copies of each picture (Smilkov et al. 2017, arXiv:1706.03825).

    The noise's standard deviation is that share of the picture's range; the paper takes 10 to 20 %
    and some 50 copies. The same seed draws the same noise, whatever the device.
    """
    check_images(images)
    messages.check_at_least("count", count, 1)
    pictures.check_range("noise", noise, 0, 100, attempt="noise=0.15")
    targets = targets_for(images, classes)
    drawn = random_numbers(seed)
    spans = images.amax(dim=(1, 2, 3), keepdim=True) - images.amin(dim=(1, 2, 3), keepdim=True)
    total = torch.zeros_like(images)
    for _ in range(count):
        grains = torch.randn(images.shape, generator=drawn).to(images)
        total += gradient(model, images + noise * spans * grains, targets)
    return total / count


def integrated_gradients(
    model: nn.Module,
    images: Tensor,
    classes: Tensor | int,
    *,
    steps: int,
    baseline: Tensor | float = 0.0,
) -> Tensor:
    """Gradients summed on the straight way from a baseline (Sundararajan et al. 2017, 1703.01365).

    Times the way itself: attributions then sum to the difference of the two logits, but for the
    error of so many steps (Gauss-Legendre quadrature; `completeness_gap` says how large it is).
    baseline is one number for all, or a tensor that broadcasts to the pictures' shape.
    """
    check_images(images)
    messages.check_at_least("steps", steps, 1)
    targets = targets_for(images, classes)
    start = base(images, baseline)
    places, weights = np.polynomial.legendre.leggauss(steps)  # on -1 to 1
    total = torch.zeros_like(images)
    for place, weight in zip((1 + places) / 2, weights / 2, strict=True):
        total += weight * gradient(model, start + place * (images - start), targets)
    return total * (images - start)


def completeness_gap(
    model: nn.Module,
    images: Tensor,
    classes: Tensor | int,
    attributions: Tensor,
    *,
    baseline: Tensor | float = 0.0,
) -> Tensor:
    """Sum of the attributions less the difference of the logits, (N,): 0 where complete."""
    check_images(images)
    if attributions.shape != images.shape:
        raise ValueError(
            f"attributions {tuple(attributions.shape)}: must be of the images' shape "
            f"{tuple(images.shape)}. Try: integrated_gradients(model, images, classes, steps=20)."
        )
    targets = targets_for(images, classes)
    after = answers_for(model, images, targets)
    before = answers_for(model, base(images, baseline), targets)
    return attributions.sum(dim=(1, 2, 3)) - (after - before)


def base(images: Tensor, baseline: Tensor | float) -> Tensor:
    """The baseline in the pictures' shape; ValueError where it has another, or is no number."""
    came = f"={baseline!r}"
    try:
        start = torch.as_tensor(baseline)
        came = f" {tuple(start.shape)}" if start.ndim else f"={start.item()!r}"
        if start.isfinite().all():
            return start.to(images).expand_as(images)
    except (RuntimeError, TypeError) as error:
        raise ValueError(wrong_baseline(came, images)) from error
    raise ValueError(wrong_baseline(came, images))


def wrong_baseline(came: str, images: Tensor) -> str:
    """Sentence for a baseline that cannot be."""
    return (
        f"baseline{came}: must be one finite number, or broadcast to {tuple(images.shape)}. "
        "Try: baseline=0.0."
    )


def guided_backpropagation(model: nn.Module, images: Tensor, classes: Tensor | int) -> Tensor:
    """Gradient that is cut below zero at every ReLU (Springenberg et al. 2014, arXiv:1412.6806).

    ReLU and ReLU6, as modules and as functions. What comes out is no gradient of anything; that it
    hardly depends on the upper layers' weights is shown by Adebayo et al. 2018, arXiv:1810.03292.
    """
    with Guided():
        return gradient(model, images, classes)


RELUS: set[Callable] = {
    *(F.relu, F.relu_, F.relu6, torch.relu, torch.relu_, Tensor.relu, Tensor.relu_),
}


class Guided(TorchFunctionMode):
    """Inside the block a gradient that goes back to a ReLU's output leaves only what is above 0."""

    def __torch_function__(
        self, func: Any, types: Any, args: tuple = (), kwargs: dict | None = None
    ) -> Any:
        output = func(*args, **(kwargs or {}))
        is_relu6 = func is F.hardtanh and (kwargs or {}).get("min_val") == 0  # as nn.ReLU6 calls it
        if (func in RELUS or is_relu6) and output.requires_grad:
            output.register_hook(lambda slope: slope.clamp(min=0))
        return output


def per_pixel(attributions: Tensor) -> Tensor:
    """Largest magnitude over the channels (Simonyan et al.): (N, C, H, W) -> (N, H, W)."""
    check_images(attributions, name="attributions")
    return attributions.abs().amax(dim=1)
