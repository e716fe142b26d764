"""Filters against Gabor's waves: which is nearest, and how near."""

from functools import cache
from itertools import product
from typing import NamedTuple

import numpy as np

from cnncourse import filters

ANGLES_DEG = tuple(range(0, 180, 15))
PHASES_DEG = (0, 45, 90, 135)  # the others are these with the sign turned
WAVES, WIDTHS = 8, (6, 4, 2.5)  # wavelengths from 2.5 px to 2 sides; sigma is side / width


class Nearest(NamedTuple):
    """The Gabor kernel that a filter is most like."""

    cosine: float  # 1: the same but for its strength and sign, 0: nothing in common
    wavelength_px: float
    angle_deg: float
    phase_deg: float
    kernel: np.ndarray  # (size, size), of length 1, with the filter's sign


@cache
def bank(size: int) -> tuple[list[tuple[float, float, float]], np.ndarray]:
    """Settings (wavelength, angle, phase) and kernels of length 1, (count, size * size)."""
    settings, kernels = [], []
    waves = np.geomspace(2.5, 2 * size, WAVES).tolist()
    for wave, angle, phase, width in product(waves, ANGLES_DEG, PHASES_DEG, WIDTHS):
        kernel = filters.gabor(
            size, wavelength_px=wave, angle_deg=angle, sigma=size / width, phase_deg=phase
        )
        length = np.linalg.norm(kernel)
        if length > 1e-9:  # a wave whose zeros fall on the pixels
            settings.append((wave, float(angle), float(phase)))
            kernels.append(kernel.ravel() / length)
    return settings, np.array(kernels)


def nearest_gabor(kernel: np.ndarray) -> Nearest:
    """The nearest of 1,152 Gabor kernels to a filter (size, size), by the cosine between them.

    Small filters are near to something always: compare with the cosine of random ones.
    Raises ValueError for a filter that is no square of 3 px or more, not finite, or all zeros.
    """
    try:
        kernel = np.asarray(kernel, dtype=float)
    except (TypeError, ValueError, RuntimeError) as error:
        kind = type(kernel).__name__
        raise ValueError(
            f"kernel of type {kind}: must be an array of numbers. Try: kernel.detach().numpy()."
        ) from error
    if kernel.ndim != 2 or kernel.shape[0] != kernel.shape[1] or len(kernel) < 3:
        raise ValueError(
            f"kernel {kernel.shape}: must be a square of 3 px or more. Try: kernel.mean(axis=0)."
        )
    length = np.linalg.norm(kernel)
    if not np.isfinite(length):
        raise ValueError("kernel: some weights are nan or infinite. Try: np.isfinite(kernel).")
    if length == 0:
        raise ValueError("kernel of zeros: it is like nothing. Try: a filter that was learned.")
    settings, kernels = bank(len(kernel))
    cosines = kernels @ (kernel.ravel() / length)
    best = int(abs(cosines).argmax())
    sign = np.sign(cosines[best]) or 1.0
    return Nearest(
        float(abs(cosines[best])), *settings[best], sign * kernels[best].reshape(kernel.shape)
    )
