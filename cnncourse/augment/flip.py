"""Left and right exchanged."""

from dataclasses import dataclass

import torch
from torch import Tensor

from cnncourse.augment.draws import generator
from cnncourse.images import check_range


@dataclass(frozen=True)
class Flip:
    """Exchange left and right of an image with some probability.

    Raises ValueError for a probability outside 0 to 1.
    """

    probability: float = 0.5

    def __post_init__(self) -> None:
        check_range("probability", self.probability, 0, 1, attempt="probability=0.5")

    def draws(self, count: int, *, seed: int, epoch: int) -> Tensor:
        """A number from 0 to below 1 for each of count images, (count, 1)."""
        return torch.rand(count, 1, generator=generator(seed, epoch, purpose=1))

    def __call__(self, images: Tensor, draws: Tensor) -> Tensor:
        """(N, C, H, W) and their rows of draws (N, 1) -> (N, C, H, W)."""
        flipped = draws[:, 0] < self.probability
        return torch.where(flipped[:, None, None, None], images.flip(-1), images)
