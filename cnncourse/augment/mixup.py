"""Two images laid over each other, and their labels in the same shares."""

import numpy as np
import torch
from torch import Tensor

from cnncourse.augment.draws import mixed_seed
from cnncourse.images import check_range


def mixing_shares(count: int, *, alpha: float, seed: int, epoch: int) -> Tensor:
    """Share of its own that each of count images keeps, (count,), from Beta(alpha, alpha).

    Small alpha: nearly 0 or nearly 1; alpha = 1: evenly; large alpha: near a half. Raises
    ValueError for an alpha outside 0.01 to 100.
    """
    check_range("alpha", alpha, 0.01, 100, attempt="alpha=0.2")
    rng = np.random.default_rng(mixed_seed(seed, epoch, purpose=3))
    return torch.tensor(rng.beta(alpha, alpha, count), dtype=torch.float32)


def mixup(
    images: Tensor, targets: Tensor, *, partners: Tensor, shares: Tensor
) -> tuple[Tensor, Tensor]:
    """share * own + (1 - share) * partner, for images and for targets alike.

    images (N, C, H, W); targets (N, classes) are probabilities, as one_hot gives them (and as
    F.cross_entropy takes them); partners (N,) are the numbers of the images to mix in; shares (N,)
    are from 0 to 1. Source: Zhang et al. 2017, arXiv:1710.09412.
    """
    own = shares.to(images)[:, None]
    mixed_targets = own * targets + (1 - own) * targets[partners]
    own = own[:, :, None, None]
    return own * images + (1 - own) * images[partners], mixed_targets
