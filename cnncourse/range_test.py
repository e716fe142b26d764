"""The learning-rate range test: train while the learning rate grows, and watch the loss."""

import copy
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import nn
from torch.nn import functional as F

from cnncourse import messages
from cnncourse.data import Split
from cnncourse.devices import pick_device
from cnncourse.measure import mode_restored
from cnncourse.preconditions import check_fits, check_numbers
from cnncourse.recipe import check_optimizer
from cnncourse.steps import batches
from cnncourse.training import own_random_numbers

SMOOTHING = 0.9  # share of the past in the smoothed loss: about ten batches speak at a time
TOO_HIGH = 4.0  # the test ends where the smoothed loss is this many times its best
MARGIN = 10.0  # at the minimum training is about to fail: a tenth of its rate leaves room


@dataclass(frozen=True)
class RangeTest:
    """What the range test saw, a number a batch; the rates grow by the same factor each time.

    batch_losses is the mean cross-entropy of each batch before its step; losses is the same,
    smoothed (see `smoothed`). stopped says that the loss rose too high before lr_high was reached.
    """

    rates: list[float]
    batch_losses: list[float]
    stopped: bool

    @property
    def losses(self) -> list[float]:
        """The batches' losses, smoothed."""
        return smoothed(self.batch_losses, share=SMOOTHING)

    @property
    def suggestion(self) -> float:
        """A tenth of the rate at which the smoothed loss is lowest; ValueError if it never fell."""
        return tenth_of_the_minimum(self.rates, self.losses)

    @property
    def steepest(self) -> float:
        """The rate at which the smoothed loss falls fastest; ValueError if it never fell."""
        return steepest_descent(self.rates, self.losses)


def range_test(
    model: nn.Module,
    train: Split,
    *,
    batch_size: int,
    optimizer: torch.optim.Optimizer,
    lr_low: float = 1e-5,
    lr_high: float = 1.0,
    steps: int = 100,
    seed: int = 0,
    device: str | torch.device = "auto",
) -> RangeTest:
    """Train for some batches at rates from lr_low to lr_high, and put everything back.

    The rate grows by the same factor from batch to batch, in every parameter group alike, and the
    images come round again where steps need more. Ends early where the smoothed loss is four times
    its best, or not finite (that batch is left out). Model and optimiser are then as they were,
    gradients cleared. Raises ValueError for rates that do not grow, an optimiser of another model
    and data that do not fit. Source: Smith 2017, arXiv:1506.01186, section 3.3.
    """
    device = pick_device(str(device))
    model.to(device)
    check_numbers(epochs=1, batch_size=batch_size, seed=seed, label_smoothing=0)
    messages.check_at_least("steps", steps, 2)
    check_rates(lr_low, lr_high)
    check_optimizer(optimizer, model)
    check_fits(model, train, name="train")
    before = copy.deepcopy(model.state_dict()), copy.deepcopy(optimizer.state_dict())
    factor = (lr_high / lr_low) ** (1 / (steps - 1))
    rates = [lr_low * factor**step for step in range(steps)]
    endless = repeated(train.to(device), batch_size=batch_size, seed=seed)
    with mode_restored(model), own_random_numbers(device):
        torch.manual_seed(seed)  # of dropout
        model.train()
        try:
            losses, stopped = climb(model, endless, optimizer, rates)
        finally:
            model.load_state_dict(before[0])
            optimizer.load_state_dict(before[1])
            optimizer.zero_grad()
    return RangeTest(rates[: len(losses)], losses, stopped)


def climb(
    model: nn.Module,
    batches: Iterator[Split],
    optimizer: torch.optim.Optimizer,
    rates: Sequence[float],
) -> tuple[list[float], bool]:
    """The loss of a batch for each rate, and whether it rose too high before the last."""
    losses: list[float] = []
    best = math.inf
    for rate, (images, labels) in zip(rates, batches, strict=False):
        loss = F.cross_entropy(model(images), labels)
        if not math.isfinite(loss.item()):
            return losses, True
        losses.append(loss.item())
        newest = smoothed(losses, share=SMOOTHING)[-1]
        best = min(best, newest)
        if newest > TOO_HIGH * best:
            return losses, True
        for group in optimizer.param_groups:
            group["lr"] = rate
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return losses, False


def repeated(train: Split, *, batch_size: int, seed: int) -> Iterator[Split]:
    """The batches of one epoch after another, without end."""
    epoch = 1
    while True:
        yield from batches(train, batch_size=batch_size, seed=seed, epoch=epoch)
        epoch += 1


def smoothed(losses: Sequence[float], *, share: float) -> list[float]:
    """Weighted mean of each loss and those before it; one step back weighs share times as much.

    The weights of a mean sum to 1 from the first on (Adam's bias correction); share=0 smooths
    nothing. Raises ValueError for a share outside 0 to below 1.
    """
    if not 0 <= share < 1:
        rule = "must be from 0 (no smoothing) to below 1"
        raise ValueError(messages.refusal("share", share, rule, attempt="share=0.9"))
    means, total, weights = [], 0.0, 0.0
    for loss in losses:
        total, weights = share * total + loss, share * weights + 1
        means.append(total / weights)
    return means


def tenth_of_the_minimum(rates: Sequence[float], losses: Sequence[float]) -> float:
    """A tenth of the rate of the lowest loss; ValueError where no loss is below the first."""
    return rates[lowest(rates, losses)] / MARGIN


def steepest_descent(rates: Sequence[float], losses: Sequence[float]) -> float:
    """The rate from which on the loss falls most to the next rate, before it is lowest.

    The rates grow by the same factor, so that each step is equally wide on the logarithmic axis.
    Raises ValueError where no loss is below the first.
    """
    end = lowest(rates, losses)
    falls = [losses[step] - losses[step + 1] for step in range(end)]
    return rates[falls.index(max(falls))]


def lowest(rates: Sequence[float], losses: Sequence[float]) -> int:
    """Where the lowest loss is; raises ValueError where no loss is below the first."""
    best = min(range(len(losses)), key=losses.__getitem__, default=0)
    if best == 0:
        first = rates[0] if rates else math.nan
        raise ValueError(
            f"losses: none of {len(losses)} is below the first, at a learning rate of {first:.2g}, "
            f"so none can be picked. Try: lr_low={first / 100:.2g}, or more steps."
        )
    return best


def check_rates(lr_low: float, lr_high: float) -> None:
    """Raise ValueError unless both are finite, and 0 < lr_low < lr_high."""
    if not 0 < lr_low < math.inf:
        rule = "must be above 0, and finite"
        raise ValueError(messages.refusal("lr_low", lr_low, rule, attempt="lr_low=1e-5"))
    if not lr_low < lr_high < math.inf:
        rule = f"must be above lr_low={lr_low:g}, and finite"
        attempt = f"lr_high={lr_low * 1e5:g}"
        raise ValueError(messages.refusal("lr_high", lr_high, rule, attempt=attempt))
