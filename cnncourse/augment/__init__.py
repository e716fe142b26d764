"""Augmentation of a batch of tensors, on its device, the same whenever and wherever it is drawn.

What happens to an image depends on (seed, epoch, index) alone: not on the batch it is in, the
order, the device or the number of workers.
"""

from cnncourse.augment.affine import Affine, affine
from cnncourse.augment.chain import Chain
from cnncourse.augment.color import Color
from cnncourse.augment.crop import Crop
from cnncourse.augment.cutmix import cutmix
from cnncourse.augment.cutout import Cutout
from cnncourse.augment.draws import generator, mixed_seed, order
from cnncourse.augment.flip import Flip
from cnncourse.augment.mixup import mixing_shares, mixup

__all__ = [
    "Affine",
    "Chain",
    "Color",
    "Crop",
    "Cutout",
    "Flip",
    "affine",
    "cutmix",
    "generator",
    "mixed_seed",
    "mixing_shares",
    "mixup",
    "order",
]
