"""How good features are: a linear layer trained on them with few labels, and tested."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from cnncourse import bank
from cnncourse.data import Split, split_per_class
from cnncourse.models.resnet import resnet18

Embed = Callable[[Tensor], Tensor]  # images (N, C, H, W) -> features (N, D)
PROBE_PER_CLASS = 100  # labelled pictures, which no student learns from; as many to test
STRENGTHS = (0.01, 0.03, 0.1, 0.3, 1.0)  # of the pull of all weights to zero
FOLDS = 5
MOST_STEPS = 100  # of L-BFGS, which sees all images at once


@torch.no_grad()
def features_of(embed: Embed, images: Tensor, *, batch_size: int = 250) -> Tensor:
    """Features (N, D) of images (N, C, H, W), batch by batch."""
    return torch.cat([embed(part) for part in images.split(batch_size)])


def linear_probe(train: Split, test: Split) -> float:
    """Share of the test rows that a linear layer names rightly after it has learned the others.

    The "images" of both splits are features (N, D). Of STRENGTHS it takes the one that is best
    where each fifth of the training rows is named by a layer that learned the other four; the test
    rows have no say. Raises FloatingPointError where features are not finite.
    """
    folds = split_per_class(train.labels.numpy(), (1,) * FOLDS, seed=0)
    parts = [Split(train.images[fold], train.labels[fold]) for fold in folds]

    def held_out(strength: float) -> int:
        right = 0
        for number, part in enumerate(parts):
            others = parts[:number] + parts[number + 1 :]
            rest = Split(*(torch.cat(tensors) for tensors in zip(*others, strict=True)))
            right += named_rightly(rest, part, strength=strength)
        return right

    best = max(STRENGTHS, key=held_out)
    return named_rightly(train, test, strength=best) / len(test.labels)


def named_rightly(train: Split, test: Split, *, strength: float) -> int:
    """How many test rows logistic regression names rightly: found whole by L-BFGS from zeros, so
    there is no seed and no learning rate. strength pulls all weights to zero.
    """
    mean, std = train.images.mean(dim=0), train.images.std(dim=0).clamp(min=1e-6)
    known, asked = (train.images - mean) / std, (test.images - mean) / std
    if not bool(known.isfinite().all() and asked.isfinite().all()):
        raise FloatingPointError("features are infinite or nan. Try: a lower learning rate.")
    layer = nn.Linear(known.shape[1], int(train.labels.max()) + 1)
    nn.init.zeros_(layer.weight)
    nn.init.zeros_(layer.bias)
    optimizer = torch.optim.LBFGS(
        layer.parameters(), max_iter=MOST_STEPS, line_search_fn="strong_wolfe"
    )

    def loss() -> Tensor:
        optimizer.zero_grad()
        value = F.cross_entropy(layer(known), train.labels)
        value = value + strength / 2 * layer.weight.square().sum()
        value.backward()
        return value

    optimizer.step(loss)  # type: ignore[arg-type]  # torch's stubs want a float
    with torch.no_grad():
        return int((layer(asked).argmax(dim=1) == test.labels).sum())


class Probe:
    """The linear probe on CIFAR-10 at size_px: PROBE_PER_CLASS labelled images a class to learn
    from, none of which the student saw, and as many of the test half.
    """

    def __init__(self, cifar: Path, teacher: bank.Teacher, size_px: int) -> None:
        self.teacher = teacher
        halves = []
        for half in ("train", "test"):
            pictures, labels = bank.read_zip(cifar, half, first=0, count=PROBE_PER_CLASS)
            images = teacher.preprocess.standardise(bank.enlarged(pictures, size_px))
            halves.append(Split(images, labels))
        self.halves = halves

    def __call__(self, model: nn.Module, embed: Embed | None = None) -> float:
        """Accuracy of a linear layer on what embed (default: the model) makes of the images."""
        was_training = model.training
        model.eval()
        train, test = (
            Split(features_of(embed or model, half.images), half.labels) for half in self.halves
        )
        model.train(was_training)
        return linear_probe(train, test)

    def marks(self) -> dict[str, float]:
        """What to compare with: the teacher, and a ResNet-18 that knows nothing."""
        torch.manual_seed(0)
        nothing: Any = resnet18()
        nothing.fc = nn.Identity()
        model = self.teacher.model
        return {"teacher": self(model, model.pooled), "untrained": self(nothing)}
