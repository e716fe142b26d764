"""A square of the image taken out."""

from dataclasses import dataclass

import torch
from torch import Tensor

from cnncourse import messages
from cnncourse.augment.draws import generator


@dataclass(frozen=True)
class Cutout:
    """Fill a square of size_px, its middle anywhere in the image (DeVries & Taylor 2017).

    At the border a part of the square is outside. Source: arXiv:1708.04552. Raises ValueError
    unless size_px is a whole number, 0 or more.
    """

    size_px: int
    fill: float = 0.0  # as in `Affine`: 0 for images from 0 to 1, -mean / std standardised

    def __post_init__(self) -> None:
        messages.check_at_least("size_px", self.size_px, 0)

    def draws(self, count: int, *, seed: int, epoch: int) -> Tensor:
        """Two numbers from 0 to below 1 an image, (count, 2): how far down and right."""
        return torch.rand(count, 2, generator=generator(seed, epoch, purpose=1))

    def __call__(self, images: Tensor, draws: Tensor) -> Tensor:
        """(N, C, H, W) and their rows of draws (N, 2) -> (N, C, H, W)."""
        height, width = images.shape[-2:]
        middle = (draws * draws.new_tensor([height, width])).floor()
        rows = inside(height, middle[:, 0], self.size_px)[:, :, None]
        columns = inside(width, middle[:, 1], self.size_px)[:, None, :]
        return images.masked_fill((rows & columns)[:, None], self.fill)


def inside(length: int, middle: Tensor, size: int) -> Tensor:
    """Which of `length` places are among the `size` around each middle (N,): (N, length)."""
    first = middle[:, None] - size // 2
    places = torch.arange(length, device=middle.device)
    return (places >= first) & (places < first + size)
