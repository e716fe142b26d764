"""A rectangle of one image in the place of another's, and the labels by area."""

import torch
from torch import Tensor


def cutmix(
    images: Tensor, targets: Tensor, *, partners: Tensor, shares: Tensor, middles: Tensor
) -> tuple[Tensor, Tensor]:
    """Replace a rectangle of each image by that of its partner; mix targets by what it covers.

    images (N, C, H, W); targets (N, classes) are probabilities; partners (N,) are the numbers of
    the images to cut from; shares (N,) is how much of its own each should keep, and middles (N, 2)
    how far down and right the rectangle's middle is, both from 0 to 1. The rectangle has the
    image's aspect and 1 - share of its area; at the border a part of it is outside, and the targets
    have the share that is left. Source: Yun et al. 2019, arXiv:1905.04899.
    """
    height, width = images.shape[-2:]
    side = (1 - shares.to(images)).sqrt()
    rows = between(height, middles[:, 0].to(images), side)
    columns = between(width, middles[:, 1].to(images), side)
    cut = (rows[:, :, None] & columns[:, None, :])[:, None]  # (N, 1, H, W)
    kept = 1 - cut.to(images).mean(dim=(2, 3))  # (N, 1)
    mixed = torch.where(cut, images[partners], images)
    return mixed, kept * targets + (1 - kept) * targets[partners]


def between(length: int, middle: Tensor, side: Tensor) -> Tensor:
    """Which of `length` pixels lie, by their own middle, within side / 2 of middle: (N, length).

    middle and side (N,) are shares of the length.
    """
    places = (torch.arange(length, device=middle.device) + 0.5) / length
    return (places - middle[:, None]).abs() < side[:, None] / 2
