"""Pictures made for a network: one that excites a unit, and one that a layer cannot tell from ours.

A network takes noise for an answer as gladly as a picture. What makes these readable is a prior: an
opinion of ours about pictures, added to what is asked for. Three are here. Total variation: next
to a pixel is one like it. L2: no pixel far from gray. Jitter: the picture is moved by a few pixels
at every step, and what only works at one place averages out.
"""

from collections.abc import Callable, Sequence
from itertools import chain
from numbers import Integral
from typing import NamedTuple

import torch
from torch import Tensor, nn

from cnncourse import images as pictures
from cnncourse import messages
from cnncourse.insight.checks import check_pixels, check_tensor, random_numbers
from cnncourse.insight.layers import UNCUT, asked, check_model, passed, ran, watched


class Prior(NamedTuple):
    """What a picture should be like, beside what is asked of it; 0 leaves a term out."""

    total_variation: float = 0.0  # weight of the mean difference of neighbours
    l2: float = 0.0  # weight of the mean squared distance from gray
    jitter_px: int = 0  # the most it is moved, along each axis, at every step


PLAIN = Prior()


def total_variation(images: Tensor) -> Tensor:
    """Mean difference of neighbours, down and to the right (Mahendran & Vedaldi 2015): a number.

    Of pictures (..., H, W); where there is one row or column alone, 0 for that direction.
    """
    check_tensor("images", images, what="(..., H, W)")
    if images.ndim < 2 or not images.is_floating_point():
        kind = str(images.dtype).removeprefix("torch.")
        raise ValueError(
            f"images {tuple(images.shape)} {kind}: must be floats (..., H, W). "
            "Try: images.float() / 255."
        )
    down = images[..., 1:, :] - images[..., :-1, :]
    across = images[..., 1:] - images[..., :-1]
    parts = [step.abs().mean() for step in (down, across) if step.numel()]
    return sum(parts, start=images.new_zeros(()))


def maximise(
    model: nn.Module,
    *,
    layer: str,
    unit: int,
    shape: tuple[int, int, int],
    steps: int,
    lr: float = 0.05,
    prior: Prior = PLAIN,
    seed: int = 0,
) -> tuple[Tensor, list[float]]:
    """A picture that excites a unit of a layer, from faint noise (Erhan et al. 2009).

    The model takes pixels from 0 to 1. shape (C, H, W) -> a picture of that shape, from 0 to 1, and
    the unit's answer at every step: its mean over a map, or a logit. Adam climbs on numbers that a
    sigmoid turns into pixels. Priors as in Yosinski et al. 2015, arXiv:1506.06579.
    Raises ValueError for an unknown layer or unit.
    """

    def answer(model: nn.Module, pixels: Tensor) -> Tensor:
        with watched(model, [layer]) as outputs:
            passed(model, pixels)
        output = ran(outputs, layer)
        if not isinstance(unit, Integral) or not 0 <= unit < output.shape[1]:
            rule = f"layer {layer!r} has units 0 to {output.shape[1] - 1}"
            raise ValueError(messages.refusal("unit", unit, rule, attempt="unit=0"))
        return output[0, unit].mean()

    start = faint_noise(model, shape, seed=seed)
    found, path = climbed(model, start, answer, steps=steps, lr=lr, prior=prior, seed=seed)
    return found[0], path


def invert(
    model: nn.Module,
    image: Tensor,
    *,
    layer: str,
    steps: int,
    lr: float = 0.05,
    prior: Prior = PLAIN,
    seed: int = 0,
) -> tuple[Tensor, list[float]]:
    """A picture that a layer answers as it answers ours, from noise (Mahendran & Vedaldi 2015).

    The model takes pixels from 0 to 1. image (C, H, W) -> a picture of that shape, and at each
    step the squared distance of the two answers, as a share of our answer's square. What a layer
    has thrown away cannot come back: look for what is missing. arXiv:1412.0035.
    Raises ValueError for an unknown layer and a picture that is not from 0 to 1.
    """
    check_tensor("image", image, what="(C, H, W)")
    if image.ndim != 3:
        raise ValueError(f"image {tuple(image.shape)}: must be (C, H, W). Try: images[0].")
    check_pixels(image[None], name="image")
    with asked(model), torch.no_grad(), watched(model, [layer]) as outputs:
        passed(model, image[None])
    wanted = ran(outputs, layer)
    size = wanted.square().sum().clamp(min=1e-12)

    def nearness(model: nn.Module, pixels: Tensor) -> Tensor:
        with watched(model, [layer]) as outputs:
            passed(model, pixels)
        return -(ran(outputs, layer) - wanted).square().sum() / size

    start = faint_noise(model, image.shape, seed=seed).to(image)
    found, path = climbed(model, start, nearness, steps=steps, lr=lr, prior=prior, seed=seed)
    return found[0], [-value for value in path]


def faint_noise(model: nn.Module, shape: Sequence[int], *, seed: int) -> Tensor:
    """Where a climb begins, (1, C, H, W): where the model is, in numbers of its kind."""
    check_model(model)
    if len(shape) != 3:
        rule = "must be (C, H, W)"
        raise ValueError(messages.refusal("shape", tuple(shape), rule, attempt="shape=(3, 96, 96)"))
    for name, size in zip(("channels", "height", "width"), shape, strict=True):
        messages.check_at_least(name, size, 1)
    noise = 0.1 * torch.randn(1, *shape, generator=random_numbers(seed))
    tensors = chain(model.parameters(), model.buffers())
    return noise.to(next((tensor for tensor in tensors if tensor.is_floating_point()), noise))


def climbed(
    model: nn.Module,
    start: Tensor,
    goal: Callable[[nn.Module, Tensor], Tensor],
    *,
    steps: int,
    lr: float,
    prior: Prior,
    seed: int,
) -> tuple[Tensor, list[float]]:
    """Pixels (1, C, H, W) after so many steps up the goal less the prior's terms, and the goals.

    start is before the sigmoid. With jitter the goal is asked of the moved picture.
    """
    messages.check_at_least("steps", steps, 1)
    messages.check_at_least("jitter_px", prior.jitter_px, 0)
    for name in ("total_variation", "l2"):
        pictures.check_range(name, getattr(prior, name), 0, 1e9, attempt=f"{name}=1.0")
    pictures.check_range("lr", lr, 0, 1e3, attempt="lr=0.05")
    drawn = random_numbers(seed + 1)
    hidden, path = start.clone().requires_grad_(), []
    optimizer = torch.optim.Adam([hidden], lr=lr)
    with asked(model):
        for _ in range(steps):
            pixels = hidden.sigmoid()
            far = torch.randint(-prior.jitter_px, prior.jitter_px + 1, (2,), generator=drawn)
            value = goal(model, pixels.roll(far.tolist(), dims=(2, 3)))
            if not value.requires_grad:
                raise ValueError(f"image: the layer does not depend on it. Try: {UNCUT}.")
            cost = prior.total_variation * total_variation(pixels)
            cost = cost + prior.l2 * (pixels - 0.5).square().mean()
            (hidden.grad,) = torch.autograd.grad(cost - value, hidden)
            optimizer.step()
            path.append(value.item())
    return hidden.detach().sigmoid(), path
