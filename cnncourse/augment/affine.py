"""Rotation and shift of a batch, bilinear, every image its own."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from cnncourse.augment.draws import generator


@dataclass(frozen=True)
class Affine:
    """Rotate by at most degrees either way, then shift by at most shift_px along each axis.

    Bilinear; every image its own angle and shift, drawn evenly; beyond the border is fill.
    """

    degrees: float = 0.0
    shift_px: float = 0.0
    fill: float = 0.0  # black: 0 for images from 0 to 1, -mean / std for standardised ones

    def draws(self, count: int, *, seed: int, epoch: int) -> Tensor:
        """Three numbers from -1 to 1 for each of count images, (count, 3): angle, right, down."""
        return torch.rand(count, 3, generator=generator(seed, epoch, purpose=1)) * 2 - 1

    def __call__(self, images: Tensor, draws: Tensor) -> Tensor:
        """(N, C, H, W) and their rows of draws (N, 3) -> (N, C, H, W)."""
        angles, right, down = (draws * draws.new_tensor([self.degrees, 1, 1])).unbind(1)
        shift_px = torch.stack([right, down], dim=1) * self.shift_px
        return affine(images, angles=angles, shift_px=shift_px, fill=self.fill)


def affine(images: Tensor, *, angles: Tensor, shift_px: Tensor, fill: float = 0.0) -> Tensor:
    """Images (N, C, H, W) turned clockwise by angles (N,), in degrees, then moved by shift_px.

    shift_px (N, 2) is (right, down). What comes from beyond the border is fill.
    """
    height, width = images.shape[-2:]
    radians = angles * (math.pi / 180)
    cos, sin = radians.cos().to(images), radians.sin().to(images)
    right, down = shift_px.to(images).unbind(1)
    # Rows say where each output pixel looks in the input: the movement undone, in pixels.
    back_x, back_y = -(cos * right + sin * down), sin * right - cos * down
    # affine_grid counts half an image as 1, so pixels are scaled by 2 / width and 2 / height.
    rows = [
        torch.stack([cos, sin * height / width, back_x * 2 / width], dim=1),
        torch.stack([-sin * width / height, cos, back_y * 2 / height], dim=1),
    ]
    grid = F.affine_grid(torch.stack(rows, dim=1), list(images.shape), align_corners=False)
    return F.grid_sample(images - fill, grid, align_corners=False) + fill  # it pads with 0
