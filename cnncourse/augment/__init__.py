"""Augmentation of a batch of tensors, on its device, the same whenever and wherever it is drawn.

What happens to an image depends on (seed, epoch, index) alone: not on the batch it is in, the
order, the device or the number of workers.
"""

from cnncourse.augment.affine import Affine, affine
from cnncourse.augment.draws import generator, mixed_seed, order

__all__ = ["Affine", "affine", "generator", "mixed_seed", "order"]
