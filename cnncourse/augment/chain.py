"""Augmentations one after the other."""

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from cnncourse.augment.draws import mixed_seed


class Augmentation(Protocol):
    """What every augmentation of one image offers; see `Affine` for shapes."""

    def draws(self, count: int, *, seed: int, epoch: int) -> Tensor:
        """Random numbers, a row an image."""

    def __call__(self, images: Tensor, draws: Tensor) -> Tensor:
        """Images and their rows of draws to images of the same shape."""


@dataclass(frozen=True)
class Chain:
    """Apply the steps in their order; what each draws has nothing to do with the others' draws."""

    steps: tuple[Augmentation, ...]

    def draws(self, count: int, *, seed: int, epoch: int) -> Tensor:
        """The draws of all steps beside each other, (count, sum of their columns)."""
        each = [
            step.draws(count, seed=mixed_seed(seed, epoch, purpose=100 + number), epoch=epoch)
            for number, step in enumerate(self.steps)
        ]
        return torch.cat([torch.empty(count, 0), *each], dim=1)

    def __call__(self, images: Tensor, draws: Tensor) -> Tensor:
        """(N, C, H, W) and their rows of draws -> (N, C, H, W)."""
        widths = [step.draws(0, seed=0, epoch=0).shape[1] for step in self.steps]
        for step, own in zip(self.steps, draws.split(widths, dim=1), strict=True):
            images = step(images, own)
        return images
