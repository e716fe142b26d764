"""Random numbers that depend on (seed, epoch, index) alone."""

import numpy as np
import torch
from torch import Tensor


def mixed_seed(seed: int, epoch: int, purpose: int) -> int:
    """One seed from three numbers, so that neighbouring seeds and epochs share no draws."""
    state = np.random.SeedSequence([seed, epoch, purpose]).generate_state(1, np.uint64)
    return int(state[0] >> np.uint64(1))


def generator(seed: int, epoch: int, purpose: int) -> torch.Generator:
    """Random numbers for one purpose in one epoch; on the CPU, so that every device sees the same.

    Purposes in use: 0 the order, 1 the augmentation, 2 dropout.
    """
    return torch.Generator().manual_seed(mixed_seed(seed, epoch, purpose))


def order(count: int, *, seed: int, epoch: int) -> Tensor:
    """Order in which an epoch visits its images: a permutation (count,), int64."""
    return torch.randperm(count, generator=generator(seed, epoch, purpose=0))
