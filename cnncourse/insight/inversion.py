"""Pictures made for a network: one that excites a unit, and one that a layer cannot tell from ours.

A network takes noise for an answer as gladly as a picture. What makes these readable is a prior: an
opinion of ours about pictures, added to what is asked for. Three are here. Total variation: next
to a pixel is one like it. L2: no pixel far from gray. Jitter: the picture is moved by a few pixels
at every step, and what only works at one place averages out.
"""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor, nn

from cnncourse import messages
from cnncourse.insight.layers import asked, check_images, ran, watched


class Prior(NamedTuple):
    """What a picture should be like, beside what is asked of it; 0 leaves a term out."""

    total_variation: float = 0.0  # weight of the mean difference of neighbours
    l2: float = 0.0  # weight of the mean squared distance from gray
    jitter_px: int = 0  # the most it is moved, along each axis, at every step


PLAIN = Prior()


def total_variation(images: Tensor) -> Tensor:
    """Mean difference of neighbours, down and to the right (Mahendran & Vedaldi 2015): a number."""
    down = (images[..., 1:, :] - images[..., :-1, :]).abs().mean()
    across = (images[..., 1:] - images[..., :-1]).abs().mean()
    return down + across


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
            model(pixels)
        output = ran(outputs, layer)
        if not 0 <= unit < output.shape[1]:
            rule = f"layer {layer!r} has units 0 to {output.shape[1] - 1}"
            raise ValueError(messages.refusal("unit", unit, rule, attempt="unit=0"))
        return output[0, unit].mean()

    start = 0.1 * torch.randn(1, *shape, generator=torch.Generator().manual_seed(seed))
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
    """
    check_images(image[None])
    with asked(model), torch.no_grad(), watched(model, [layer]) as outputs:
        model(image[None])
    wanted = ran(outputs, layer)
    size = wanted.square().sum().clamp(min=1e-12)

    def nearness(model: nn.Module, pixels: Tensor) -> Tensor:
        with watched(model, [layer]) as outputs:
            model(pixels)
        return -(ran(outputs, layer) - wanted).square().sum() / size

    start = 0.1 * torch.randn(1, *image.shape, generator=torch.Generator().manual_seed(seed))
    found, path = climbed(
        model, start.to(image), nearness, steps=steps, lr=lr, prior=prior, seed=seed
    )
    return found[0], [-value for value in path]


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
    drawn = torch.Generator().manual_seed(seed + 1)
    hidden, path = start.clone().requires_grad_(), []
    optimizer = torch.optim.Adam([hidden], lr=lr)
    with asked(model):
        for _ in range(steps):
            pixels = hidden.sigmoid()
            far = torch.randint(-prior.jitter_px, prior.jitter_px + 1, (2,), generator=drawn)
            value = goal(model, pixels.roll(far.tolist(), dims=(2, 3)))
            cost = prior.total_variation * total_variation(pixels)
            cost = cost + prior.l2 * (pixels - 0.5).square().mean()
            (hidden.grad,) = torch.autograd.grad(cost - value, hidden)
            optimizer.step()
            path.append(value.item())
    return hidden.detach().sigmoid(), path
