"""A part of the image, stretched to the whole: things nearer, and elsewhere."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from cnncourse.augment.draws import generator
from cnncourse.images import check_range

MOST_ASPECT = 4 / 3  # of the part's width to its height, and the other way round


@dataclass(frozen=True)
class Crop:
    """Cut out a part with least_area to 1 of the area, and stretch it to the size of the image.

    Bilinear. The part is up to 4/3 as wide as it is high, or as high as it is wide, measured in
    shares of the image's sides (Szegedy et al. 2014, arXiv:1409.4842, section 6; torchvision's
    RandomResizedCrop). Raises ValueError for a least_area outside 0.01 to 1.
    """

    least_area: float = 0.25

    def __post_init__(self) -> None:
        check_range("least_area", self.least_area, 0.01, 1, attempt="least_area=0.25")

    def draws(self, count: int, *, seed: int, epoch: int) -> Tensor:
        """Four numbers from 0 to below 1 an image, (count, 4): area, aspect, down, right."""
        return torch.rand(count, 4, generator=generator(seed, epoch, purpose=1))

    def __call__(self, images: Tensor, draws: Tensor) -> Tensor:
        """(N, C, H, W) and their rows of draws (N, 4) -> (N, C, H, W)."""
        area, aspect, down, right = draws.to(images).unbind(1)
        area = self.least_area + (1 - self.least_area) * area
        aspect = torch.exp((2 * aspect - 1) * math.log(MOST_ASPECT))
        width, height = (area * aspect).sqrt().clamp(max=1), (area / aspect).sqrt().clamp(max=1)
        return cropped(
            images, top=down * (1 - height), left=right * (1 - width), height=height, width=width
        )


def cropped(images: Tensor, *, top: Tensor, left: Tensor, height: Tensor, width: Tensor) -> Tensor:
    """Parts of images (N, C, H, W), stretched to (N, C, H, W).

    top, left, height and width (N,) are shares of the image's sides, from 0 to 1.
    """
    zero = torch.zeros_like(width)
    # affine_grid counts from -1 to 1: the middle of the part, and half its sides.
    rows = [
        torch.stack([width, zero, 2 * left + width - 1], dim=1),
        torch.stack([zero, height, 2 * top + height - 1], dim=1),
    ]
    grid = F.affine_grid(torch.stack(rows, dim=1), list(images.shape), align_corners=False)
    return F.grid_sample(images, grid, padding_mode="border", align_corners=False)
