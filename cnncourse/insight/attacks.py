"""Small changes of a picture, made against a network: FGSM, PGD, and training against them.

Pictures are (N, C, H, W), floats from 0 (black) to 1 (white), before any standardising: what an
attacker can change. A network that wants standardised pictures takes that step along (`OnPixels`).
eps_255 is the most that a value may change, in 1/255 of that range.
"""

from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from numbers import Real
from typing import Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from cnncourse import messages
from cnncourse.data import Split
from cnncourse.insight.checks import check_logits, check_pixels, check_several, check_tensor
from cnncourse.insight.layers import UNCUT, asked, check_model, passed, slope
from cnncourse.measure import Evaluation, evaluate
from cnncourse.preconditions import check_fits, check_labels

STEP_SHARE = 2.5  # Madry et al. take steps that reach 2.5 times as far as the ball, in all


class Attack(Protocol):
    """What changes pictures (N, C, H, W) with their labels (N,) to pictures of the same shape."""

    def __call__(
        self, model: nn.Module, images: Tensor, labels: Tensor, *, eps_255: float
    ) -> Tensor:
        """Pictures no further than eps_255 from these, from 0 to 1."""


class OnPixels(nn.Module):
    """A network with its standardising in front: it takes pixels from 0 to 1.

    (N, C, H, W) -> the model's logits of (images - mean) / std; mean and std are a number each, or
    one a channel. Raises ValueError for numbers that are not finite, a std that is not above 0, and
    two of different lengths.
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self, model: nn.Module, mean: float | Sequence[float], std: float | Sequence[float]
    ) -> None:
        super().__init__()
        check_model(model)
        self.model = model
        for name, value in (("mean", mean), ("std", std)):
            try:
                channels = torch.as_tensor(value, dtype=torch.float32).reshape(-1, 1, 1)
            except (TypeError, ValueError) as error:
                rule = "must be a number, or one for each channel"
                raise ValueError(
                    messages.refusal(name, value, rule, attempt=f"{name}=0.5")
                ) from error
            self.register_buffer(name, channels, persistent=False)
        if not bool(self.mean.isfinite().all()):
            raise ValueError(messages.refusal("mean", mean, "must be finite", attempt="mean=0.0"))
        if not bool(((self.std > 0) & self.std.isfinite()).all()):
            rule = "must be above 0, and finite"
            raise ValueError(messages.refusal("std", std, rule, attempt="std=1.0"))
        if len({len(self.mean), len(self.std), 1}) > 2:
            raise ValueError(
                f"mean of {len(self.mean)} numbers, std of {len(self.std)}: must be one each, or "
                "one for each channel. Try: std=1.0."
            )

    def forward(self, images: Tensor) -> Tensor:
        """(N, C, H, W) from 0 to 1 -> logits (N, classes)."""
        return self.model((images - self.mean) / self.std)


def fgsm(
    model: nn.Module, images: Tensor, labels: Tensor, *, eps_255: float, targeted: bool = False
) -> Tensor:
    """One step along the sign of the gradient (Goodfellow et al. 2015, arXiv:1412.6572).

    Away from labels (N,), or towards them where targeted. The model is asked in eval mode; its mode
    and its gradients are left as they were. Raises ValueError for pixels that are not from 0 to 1.
    """
    check(images, labels, eps_255)
    with asked(model):
        direction = -1 if targeted else 1
        gradient, _ = uphill(model, images, labels)
        return within(images + direction * eps_255 / 255 * gradient.sign(), images, eps_255)


def pgd(
    model: nn.Module,
    images: Tensor,
    labels: Tensor,
    *,
    eps_255: float,
    steps: int,
    targeted: bool = False,
) -> Tensor:
    """FGSM, then so many smaller steps, each projected (Madry et al. 2018, arXiv:1706.06083).

    A step is 2.5 * eps_255 / steps, no more than eps_255. Where the paper starts at random, this
    starts where FGSM ends and keeps the worst picture met: it is never weaker than FGSM.
    Shapes and errors as for `fgsm`.
    """
    check(images, labels, eps_255)
    messages.check_at_least("steps", steps, 1)
    direction = -1 if targeted else 1
    step = min(1.0, STEP_SHARE / steps) * eps_255 / 255
    now = worst = fgsm(model, images, labels, eps_255=eps_255, targeted=targeted)
    most = images.new_full((len(images),), -torch.inf)
    with asked(model):
        for number in range(steps + 1):
            gradient, losses = uphill(model, now, labels)
            worse = direction * losses > most
            worst = torch.where(worse[:, None, None, None], now, worst)
            most = torch.where(worse, direction * losses, most)
            if number < steps:
                now = within(now + direction * step * gradient.sign(), images, eps_255)
    return worst


def uphill(model: nn.Module, images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """Gradient of each picture's cross-entropy, (N, C, H, W), and the cross-entropies, (N,).

    Inside `asked`. Raises ValueError where the model gives no logits or no class has a label.
    """
    images = images.detach().requires_grad_()
    logits = passed(model, images)
    check_logits(logits, len(images))
    check_labels(labels, classes=logits.shape[1], name="the batch")
    losses = F.cross_entropy(logits, labels, reduction="none")
    return slope(losses.sum(), images, said="image", attempt=UNCUT), losses.detach()


def within(changed: Tensor, images: Tensor, eps_255: float) -> Tensor:
    """The nearest pictures that are from 0 to 1 and no value further than eps_255 from images."""
    eps = eps_255 / 255
    nearest = torch.minimum(torch.maximum(changed, images - eps), images + eps)
    return nearest.clamp(0, 1).detach()


def accuracy_against(
    attack: Attack, model: nn.Module, split: Split, eps_255: Sequence[float]
) -> dict[float, Evaluation]:
    """What the model answers when every picture of a split was attacked, for each strength.

    The attack knows the model's weights. At 0 nothing is changed. Raises ValueError for a split
    that does not fit the model.
    """
    check_model(model)
    check_several("eps_255", eps_255)
    check_fits(model, split, name="split")
    device = next(model.parameters()).device
    images, labels = split.to(device)
    answers = {}
    for eps in eps_255:
        parts = zip(images.split(250), labels.split(250), strict=True)
        attacked = torch.cat([attack(model, *part, eps_255=eps) for part in parts])
        answers[eps] = evaluate(model, Split(attacked, labels))
    return answers


def hardened(
    attack: Attack, model: nn.Module, batches: Iterable[Split], *, eps_255: float
) -> Iterator[Split]:
    """The same batches, each attacked when its turn comes, on the weights as they are then.

    Adversarial training is the plain loop on these: Goodfellow et al. 2015 with FGSM, Madry et al.
    2018 with PGD.
    """
    for images, labels in batches:
        yield Split(attack(model, images, labels, eps_255=eps_255), labels)


def pgd_of(steps: int) -> Attack:
    """PGD with that many steps, for `accuracy_against` and `hardened`."""
    messages.check_at_least("steps", steps, 1)
    return partial(pgd, steps=steps)


def check(images: Tensor, labels: Tensor, eps_255: float) -> None:
    """Raise ValueError unless these are pixels from 0 to 1, a label each, and a strength."""
    check_pixels(images)
    check_tensor("labels", labels, what="(N,) of int64")
    if labels.shape != images.shape[:1] or labels.dtype != torch.int64:
        raise ValueError(
            f"labels {tuple(labels.shape)} {str(labels.dtype)[6:]}: must be int64, one for each of "
            f"{len(images)} images. Try: torch.full(({len(images)},), 3) for one class."
        )
    if not isinstance(eps_255, Real) or isinstance(eps_255, bool) or not 0 <= eps_255 <= 255:
        rule = "must be a number from 0 to 255, in 1/255 of the range from black to white"
        raise ValueError(messages.refusal("eps_255", eps_255, rule, attempt="eps_255=8"))
