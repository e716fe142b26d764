"""Measuring a model: its answers, its accuracy, and how sure the number is."""

import math
import statistics
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from cnncourse import messages
from cnncourse.data import Split


@dataclass(frozen=True)
class Evaluation:
    """What a model answered: logits (N, classes) beside the true labels (N,), both on the CPU."""

    logits: Tensor
    labels: Tensor

    @property
    def predictions(self) -> Tensor:
        """Most likely class of each image, (N,)."""
        return self.logits.argmax(dim=1)

    @property
    def correct(self) -> int:
        """Number of images answered rightly."""
        return int((self.predictions == self.labels).sum())

    @property
    def accuracy(self) -> float:
        """Share of images answered rightly, from 0 to 1."""
        return self.correct / len(self.labels)

    @property
    def loss(self) -> float:
        """Mean cross-entropy over the images, in nats."""
        return F.cross_entropy(self.logits, self.labels).item()

    @property
    def interval(self) -> tuple[float, float]:
        """95 % interval of the accuracy, as if the images were drawn anew."""
        return accuracy_interval(self.correct, len(self.labels))

    def confusion(self) -> Tensor:
        """Counts (classes, classes): a row a true class, a column an answer."""
        classes = self.logits.shape[1]
        pairs = self.labels * classes + self.predictions
        return torch.bincount(pairs, minlength=classes**2).reshape(classes, classes)


@torch.no_grad()
def evaluate(model: nn.Module, split: Split, *, batch_size: int = 500) -> Evaluation:
    """Answers of the model in eval mode, on the device it is on; its mode is restored.

    One without a parameter is where the images are.
    """
    messages.check_at_least("batch_size", batch_size, 1)
    device = next(model.parameters(), split.images).device
    with mode_restored(model):
        model.eval()
        logits = [model(images.to(device)).cpu() for images in split.images.split(batch_size)]
    return Evaluation(torch.cat(logits), split.labels.cpu())


@contextmanager
def mode_restored(model: nn.Module) -> Iterator[None]:
    """Leave the model in train or eval mode, module by module, as it was."""
    modes = [(module, module.training) for module in model.modules()]
    try:
        yield
    finally:
        for module, training in modes:
            module.training = training


def accuracy_interval(correct: int, count: int) -> tuple[float, float]:
    """95 % interval of a share, from 0 to 1 (Wilson 1927): right near 0 and 1, for small counts.

    The textbook half-width 1.96 * sqrt(p * (1 - p) / n) is close to it in the middle, and 0 where
    every answer was right. Raises ValueError for counts that cannot be.
    """
    messages.check_at_least("count", count, 1)
    if not 0 <= correct <= count:
        rule = f"must be from 0 to count={count}"
        raise ValueError(messages.refusal("correct", correct, rule, attempt=f"correct={count}"))
    z = 1.96
    p, weight = correct / count, z**2 / count
    middle = (p + weight / 2) / (1 + weight)
    half_width = z * math.sqrt(p * (1 - p) / count + weight / (4 * count)) / (1 + weight)
    return max(0.0, middle - half_width), min(1.0, middle + half_width)


def mean_interval(values: Sequence[float]) -> tuple[float, float, float]:
    """Mean of a few runs, and its 95 % interval by Student's t: (mean, low, high).

    Raises ValueError for fewer than two runs: one run has no spread.
    """
    from scipy.stats import t

    if len(values) < 2:
        raise ValueError(f"{len(values)} run has no interval. Try: seeds=(0, 1, 2).")
    mean, spread = statistics.mean(values), statistics.stdev(values)
    half_width = float(t.ppf(0.975, len(values) - 1)) * spread / math.sqrt(len(values))
    return mean, mean - half_width, mean + half_width
