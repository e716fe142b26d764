"""Photographs as arrays (H, W, 3), uint8, red green blue; they come in scikit-image's wheel."""

import numpy as np

from cnncourse import messages

PHOTOS = ("chelsea", "astronaut", "coffee", "rocket")


def photo(name: str) -> np.ndarray:
    """Photograph of that name, (H, W, 3), uint8; raises ValueError for an unknown name."""
    from skimage import data

    if name not in PHOTOS:
        raise ValueError(messages.unknown(name, "photo", PHOTOS))
    return np.asarray(getattr(data, name)())
