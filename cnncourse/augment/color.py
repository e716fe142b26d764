"""Brightness, contrast and saturation, more or less."""

from dataclasses import dataclass

import torch
from torch import Tensor

from cnncourse.augment.draws import generator
from cnncourse.images import check_range

LUMA = (0.2989, 0.587, 0.114)  # of red, green, blue: ITU-R BT.601, rounded as torchvision does


@dataclass(frozen=True)
class Color:
    """Multiply brightness, contrast and saturation by factors near 1, in this order.

    brightness=0.4 draws its factor evenly from 0.6 to 1.4; so do the others. For images from 0 to
    1, before they are standardised; what leaves 0 to 1 is cut off. Gray images, of one channel,
    have no saturation. Raises ValueError for an amount outside 0 to 1.
    """

    brightness: float = 0.0
    contrast: float = 0.0
    saturation: float = 0.0

    def __post_init__(self) -> None:
        for name in ("brightness", "contrast", "saturation"):
            check_range(name, getattr(self, name), 0, 1, attempt=f"{name}=0.4")

    def draws(self, count: int, *, seed: int, epoch: int) -> Tensor:
        """Three numbers from -1 to 1 an image, (count, 3): brightness, contrast, saturation."""
        return torch.rand(count, 3, generator=generator(seed, epoch, purpose=1)) * 2 - 1

    def __call__(self, images: Tensor, draws: Tensor) -> Tensor:
        """(N, C, H, W) and their rows of draws (N, 3) -> (N, C, H, W)."""
        amounts = draws.new_tensor([self.brightness, self.contrast, self.saturation])
        factors = (1 + draws * amounts).to(images)[:, :, None, None, None]
        images = (images * factors[:, 0]).clamp(0, 1)
        mean = gray(images).mean(dim=(1, 2, 3), keepdim=True)
        images = (mean + (images - mean) * factors[:, 1]).clamp(0, 1)
        own_gray = gray(images)
        return (own_gray + (images - own_gray) * factors[:, 2]).clamp(0, 1)


def gray(images: Tensor) -> Tensor:
    """(N, C, H, W) -> (N, 1, H, W): the luma of three channels, the mean of any other number."""
    channels = images.shape[1]
    weights = images.new_tensor(LUMA if channels == 3 else [1 / channels] * channels)
    return (images * weights[:, None, None]).sum(dim=1, keepdim=True)
