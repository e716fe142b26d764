"""The batches of an epoch, and a step of gradient descent for each."""

import math
from collections.abc import Iterable, Iterator

import torch
from torch import nn
from torch.nn import functional as F
from torch.optim.lr_scheduler import LRScheduler

from cnncourse import augment
from cnncourse.data import Split
from cnncourse.precision import FULL, Precision


def batches(
    split: Split,
    *,
    batch_size: int,
    seed: int,
    epoch: int,
    augmentation: augment.Affine | None = None,
) -> Iterator[Split]:
    """The images of an epoch once each, in an order and augmented as (seed, epoch, index) say."""
    count, device = len(split.labels), split.labels.device
    order = augment.order(count, seed=seed, epoch=epoch).to(device)
    if augmentation is not None:
        draws = augmentation.draws(count, seed=seed, epoch=epoch).to(device)
    for index in order.split(batch_size):
        images = split.images[index]
        if augmentation is not None:
            images = augmentation(images, draws[index])
        yield Split(images, split.labels[index])


def train_epoch(
    model: nn.Module,
    batches: Iterable[Split],
    optimizer: torch.optim.Optimizer,
    schedule: LRScheduler | None = None,
    *,
    label_smoothing: float = 0.0,
    precision: Precision = FULL,
    channels_last: bool = False,
) -> tuple[float, float]:
    """One pass of gradient descent; mean cross-entropy and accuracy over the images seen.

    label_smoothing (Szegedy et al. 2015, arXiv:1512.00567) changes what is descended, not the
    cross-entropy that comes back, so that it compares with the validation loss. precision says
    which numbers are computed with; the loss is float32's in any case. channels_last lays the
    images out as (N, H, W, C) in memory: the same numbers, for a model laid out so faster.

    Raises FloatingPointError where the loss is infinite or nan, before the weights take it in.
    """
    model.train()
    total_loss, correct, seen = 0.0, 0, 0
    layout = torch.channels_last if channels_last else torch.preserve_format
    for number, (images, labels) in enumerate(batches, start=1):
        with precision.autocast():
            logits = model(images.to(memory_format=layout))
        logits = logits.to(images.dtype)
        loss = F.cross_entropy(logits.detach(), labels)
        if not math.isfinite(loss.item()):
            raise FloatingPointError(f"{loss.item()} in batch {number}")
        descended = F.cross_entropy(logits, labels, label_smoothing=label_smoothing)
        if precision.step(descended, optimizer) and schedule is not None:
            schedule.step()
        total_loss += loss.item() * len(labels)
        correct += int((logits.argmax(dim=1) == labels).sum())
        seen += len(labels)
    return total_loss / seen, correct / seen
