"""How sure a network is, and how sure it should be: reliability, temperature, strangers.

Confidence is the probability of the answer given, the largest of the softmax. logits are
(N, classes), floats; labels (N,), int64.
"""

import math
from collections.abc import Sequence
from numbers import Real
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from cnncourse import messages
from cnncourse.insight.checks import check_tensor

BINS = 15  # Guo et al. 2017


class Reliability(NamedTuple):
    """Pictures in bins of equal width by confidence, (bins,) each; an empty bin has means of 0."""

    counts: Tensor
    confidence: Tensor  # mean of the bin
    accuracy: Tensor  # share of right answers in the bin

    @property
    def error(self) -> float:
        """Expected calibration error: the mean gap, weighted by pictures (Naeini et al. 2015)."""
        gaps = (self.confidence - self.accuracy).abs()
        return ((self.counts * gaps).sum() / self.counts.sum()).item()

    @property
    def edges(self) -> list[float]:
        """Confidences between which the bins lie, from 0 to 1."""
        return torch.linspace(0, 1, len(self.counts) + 1).tolist()


def reliability(logits: Tensor, labels: Tensor, *, bins: int = BINS) -> Reliability:
    """Confidence beside accuracy, bin by bin (Guo et al. 2017, arXiv:1706.04599).

    A bin holds its upper edge. Raises ValueError for labels that do not fit the logits.
    """
    check(logits, labels)
    messages.check_at_least("bins", bins, 1)
    sure, answers = logits.double().softmax(dim=1).max(dim=1)
    right = (answers == labels).double()
    which = (sure * bins).ceil().long().clamp(1, bins) - 1
    counts = torch.bincount(which, minlength=bins)
    sums = [torch.bincount(which, weights=values, minlength=bins) for values in (sure, right)]
    means = [total / counts.clamp(min=1) for total in sums]
    return Reliability(counts, *means)


def fit_temperature(logits: Tensor, labels: Tensor) -> float:
    """The T for which logits / T have the least cross-entropy on pictures held out (Guo et al.).

    No answer changes, only how sure it is. The logarithm of T is found by L-BFGS. Raises ValueError
    where no T is best: all answers are right (the smaller the better), or the logits of the true
    classes are no higher than the mean of all (the larger the better).
    """
    check(logits, labels)
    logits = logits.detach().double()
    true = logits.gather(1, labels[:, None])[:, 0]
    if bool((true >= logits.max(dim=1).values).all()):
        raise ValueError(
            f"labels: all {len(labels)} answers are right, so the surer the better, and no "
            "temperature is best. Try: more pictures that were held out."
        )
    if not (true - logits.mean(dim=1)).mean() > 0:
        raise ValueError(
            f"labels: the answers to {len(labels)} pictures are no better than chance, so no "
            "temperature is best. Try: the labels that belong to these logits, in their order."
        )
    return lowest(logits, labels)


def lowest(logits: Tensor, labels: Tensor) -> float:
    """The temperature of least cross-entropy, by L-BFGS on its logarithm, which may be any number.

    The logits are first divided by their spread, so that the search begins near its end.
    """
    scale = logits.std().item()
    log_temperature = torch.zeros((), dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.LBFGS(
        [log_temperature],
        max_iter=100,
        line_search_fn="strong_wolfe",
        tolerance_grad=1e-12,
        tolerance_change=1e-15,
    )

    def closure() -> Tensor:
        optimizer.zero_grad()
        loss = F.cross_entropy(logits / scale / log_temperature.exp(), labels)
        loss.backward()
        return loss

    with torch.enable_grad():
        optimizer.step(closure)
    return scale * math.exp(log_temperature.item())


def confidence(logits: Tensor, *, temperature: float = 1.0) -> Tensor:
    """Probability of the answer given to each picture, (N,)."""
    check_temperature(temperature)
    check_logits(logits)
    return (logits / temperature).softmax(dim=1).max(dim=1).values


def told_apart(known: Sequence[float] | Tensor, strange: Sequence[float] | Tensor) -> float:
    """Chance that a known picture has a higher score than a strange one; a tie counts half.

    The area under the ROC curve of "it is known" by that score: 1 tells all apart, 0.5 none
    (Hendrycks & Gimpel 2017, arXiv:1610.02136, with the confidence as score).
    """
    try:
        pair = [torch.as_tensor(values, dtype=torch.float64) for values in (known, strange)]
    except (TypeError, ValueError) as error:
        raise ValueError("scores: must be numbers. Try: confidence(logits).") from error
    for scores in pair:
        if scores.ndim != 1 or scores.isnan().any():
            raise ValueError(
                f"scores {tuple(scores.shape)}: must be one number for each picture, none of them "
                "nan. Try: confidence(logits)."
            )
    if min(len(values) for values in pair) == 0:
        raise ValueError("scores: none came for one side. Try: one picture of each at least.")
    difference = pair[0][:, None] - pair[1]
    return ((difference > 0).double() + 0.5 * (difference == 0)).mean().item()


def check_temperature(temperature: float) -> None:
    """Raise ValueError unless the temperature is a finite number above 0."""
    is_number = isinstance(temperature, Real) and not isinstance(temperature, bool)
    if not is_number or not (0 < temperature < math.inf):
        rule = "must be a number above 0 (1 changes nothing)"
        raise ValueError(
            messages.refusal("temperature", temperature, rule, attempt="temperature=1.0")
        )


def check_logits(logits: Tensor) -> None:
    """Raise ValueError unless logits are finite floats (N, classes), one row or more."""
    attempt = "Try: measure.evaluate(model, split).logits"
    check_tensor("logits", logits, what="(N, classes)")
    came = f"logits {tuple(logits.shape)} {str(logits.dtype).removeprefix('torch.')}"
    if logits.ndim != 2 or not logits.is_floating_point() or 0 in logits.shape:
        raise ValueError(f"{came}: must be (N, classes), floats. {attempt}.")
    if logits.isnan().any() or logits.isposinf().any():
        raise ValueError(f"{came}: some are nan or +inf, which has no softmax. {attempt}.")


def check(logits: Tensor, labels: Tensor) -> None:
    """Raise ValueError unless logits are (N, classes) with a label from 0 on for each of N."""
    check_logits(logits)
    check_tensor("labels", labels, what="(N,) of int64")
    if labels.shape != logits.shape[:1] or labels.dtype != torch.int64:
        raise ValueError(
            f"labels {tuple(labels.shape)} {str(labels.dtype)[6:]}: must be int64, one for each of "
            f"{len(logits)} rows of logits. Try: measure.evaluate(model, split).labels."
        )
    low, high = labels.aminmax()
    if low < 0 or high >= logits.shape[1]:
        wrong = int(low if low < 0 else high)
        raise ValueError(
            f"label {wrong} found, but the logits are of classes 0 to {logits.shape[1] - 1}. "
            "Try: labels from 0 on."
        )
