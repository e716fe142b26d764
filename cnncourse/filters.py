"""Classical kernels, by name and to measure: float64 arrays (h, w), ready for cross-correlation.

Signs are those of the answer that `ops.conv2d` gives, where the kernel is not flipped: SOBEL_X
answers positive where brightness grows to the right, SOBEL_Y where it grows downwards. Angles turn
the same way, from right (0 degrees) to down (90 degrees), so clockwise on the screen. Lengths are
in pixels. The named kernels are write-protected: copy one before changing it.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from cnncourse import messages
from cnncourse.images import check_angle, check_range, offsets, turned


def fixed(rows: Sequence[Sequence[float]] | np.ndarray) -> np.ndarray:
    """Kernel of these rows as float64, write-protected: everyone shares the one array."""
    kernel = np.array(rows, dtype=float)
    kernel.flags.writeable = False
    return kernel


IDENTITY = fixed([[0, 0, 0], [0, 1, 0], [0, 0, 0]])

# Slopes: on a ramp that grows by 1 a pixel they answer 8, 32 and 6.
SOBEL_X = fixed([[-1, 0, 1], [-2, 0, 2], [-1, 0, 1]])  # Sobel & Feldman 1968
SOBEL_Y = fixed(SOBEL_X.T)
SCHARR_X = fixed([[-3, 0, 3], [-10, 0, 10], [-3, 0, 3]])  # Scharr 2000: truer angles
SCHARR_Y = fixed(SCHARR_X.T)
PREWITT_X = fixed([[-1, 0, 1], [-1, 0, 1], [-1, 0, 1]])  # Prewitt 1970
PREWITT_Y = fixed(PREWITT_X.T)

# The neighbours less the pixel itself: positive where it is darker than they are.
LAPLACIAN = fixed([[0, 1, 0], [1, -4, 1], [0, 1, 0]])
LAPLACIAN_8 = fixed([[1, 1, 1], [1, -8, 1], [1, 1, 1]])  # with the four diagonal neighbours

SHARPEN = fixed(IDENTITY - LAPLACIAN)
EMBOSS = fixed([[-2, -1, 0], [-1, 1, 1], [0, 1, 2]])  # a light from the upper left; flat stays


def check_odd(size: int, least: int) -> None:
    """Raise ValueError unless size is an odd whole number, least or more."""
    messages.check_at_least("size", size, least)
    if size % 2 == 0:
        rule = "must be odd, so that one pixel is the middle"
        raise ValueError(messages.refusal("size", size, rule, attempt=f"size={size + 1}"))


def check_sigma(sigma: float) -> None:
    """Raise ValueError for a bell so narrow that pixels miss it, or too wide to tell from flat."""
    check_range("sigma", sigma, 0.1, 1000, attempt="sigma=1.0")


def bell(size: int, sigma: float) -> np.ndarray:
    """Gaussian along one axis, (size,); sums to 1."""
    weights = np.exp(-((offsets(size) / sigma) ** 2) / 2)
    return weights / weights.sum()


def box(size: int) -> np.ndarray:
    """Mean of size x size pixels; sums to 1."""
    messages.check_at_least("size", size, 1)
    return np.full((size, size), 1 / size**2)


def gaussian(size: int, *, sigma: float) -> np.ndarray:
    """Bell of standard deviation sigma, sampled at the pixels' middles; sums to 1.

    A size of 6 sigma or more holds nearly all of it.
    """
    messages.check_at_least("size", size, 1)
    check_sigma(sigma)
    return np.outer(bell(size, sigma), bell(size, sigma))


def log(size: int, *, sigma: float) -> np.ndarray:
    """Laplacian of a Gaussian (Marr & Hildreth 1980), negative in the middle; sums to 0.

    The Gaussian sums to 1, times (r^2 - 2 sigma^2) / sigma^4 at distance r from the middle. What
    is left of the sum, because pixels sample it and size cuts it, is taken off in equal parts.
    """
    messages.check_at_least("size", size, 3)
    distance = np.hypot.outer(offsets(size), offsets(size))
    kernel = gaussian(size, sigma=sigma) * (distance**2 - 2 * sigma**2) / sigma**4
    return kernel - kernel.mean()


def dog(size: int, *, sigma: float, ratio: float = 1.6) -> np.ndarray:
    """Difference of Gaussians, the wide one less the narrow one: negative in the middle, sums to 0.

    Sign and use are those of `log`: nearly (ratio - 1) sigma^2 times it where ratio is near 1
    (Lowe 2004, equation 1). With ratio 1.6 the shapes are close (Marr & Hildreth 1980, appendix).
    """
    messages.check_at_least("size", size, 3)
    check_sigma(sigma)
    check_range("ratio", ratio, 1.01, 10, attempt="ratio=1.6")
    wide, narrow = bell(size, ratio * sigma), bell(size, sigma)
    return np.outer(wide, wide) - np.outer(narrow, narrow)


def gabor(
    size: int,
    *,
    wavelength_px: float,
    angle_deg: float,
    sigma: float,
    phase_deg: float = 0.0,
    aspect: float = 1.0,
) -> np.ndarray:
    """Wave under a bell (Gabor 1946; Daugman 1985): exp(-(u^2 + aspect^2 v^2) / (2 sigma^2)) cos.

    The cosine is of 2 pi u / wavelength_px + phase; u runs along angle_deg, v across it, so angle 0
    answers to upright stripes. Phase 0 answers to a bright line, -90 to an edge, with SOBEL_X's
    sign. aspect below 1 stretches the bell along the stripes. The bell's peak is 1; the sum is not
    0 in general, so flat brightness is answered too, the less the more waves the bell holds.
    """
    messages.check_at_least("size", size, 3)
    check_range("wavelength_px", wavelength_px, 2, 1000, attempt="wavelength_px=6")
    check_sigma(sigma)
    check_angle("phase_deg", phase_deg)
    check_range("aspect", aspect, 0.1, 10, attempt="aspect=1.0")
    along, across = turned(size, angle_deg)
    envelope = np.exp(-(along**2 + (aspect * across) ** 2) / (2 * sigma**2))
    return envelope * np.cos(2 * np.pi * along / wavelength_px + math.radians(phase_deg))


def motion_blur(size: int, *, angle_deg: float) -> np.ndarray:
    """Streak of a camera that moved: a line of size pixels through the middle; sums to 1.

    A pixel weighs 1 on the line and 0 from a pixel's distance on. size is odd.
    """
    check_odd(size, 1)
    along, across = turned(size, angle_deg)
    beyond = np.maximum(np.abs(along) - (size - 1) / 2, 0)  # past the line's end
    weights = np.maximum(1 - np.hypot(beyond, across), 0)
    return weights / weights.sum()


def unsharp(size: int, *, sigma: float, amount: float = 1.0) -> np.ndarray:
    """Sharpening by blurring: the picture and amount times what a Gaussian takes away; sums to 1.

    size is odd. amount 0 leaves the picture as it is.
    """
    check_odd(size, 3)
    check_range("amount", amount, 0, 100, attempt="amount=1.0")
    kernel = -amount * gaussian(size, sigma=sigma)
    kernel[size // 2, size // 2] += 1 + amount
    return kernel


class Separated(NamedTuple):
    """Column (h,) and row (w,) whose outer product is nearest to a kernel, and what is missing."""

    column: np.ndarray
    row: np.ndarray
    error: float  # |kernel - outer(column, row)| / |kernel|, Frobenius norms


def checked(kernel: np.ndarray) -> np.ndarray:
    """The kernel as float64 (h, w).

    Raises TypeError for what is no numbers, ValueError for another shape or a nan or infinity.
    """
    example = "Try: kernel=filters.SOBEL_X."
    try:
        kernel = np.asarray(kernel)
    except ValueError as error:
        raise ValueError(f"kernel: its rows must all have one length. {example}") from error
    if kernel.dtype.kind not in "buif":
        raise TypeError(f"kernel of dtype {kernel.dtype}: must hold real numbers. {example}")
    if kernel.ndim != 2 or kernel.size == 0:
        raise ValueError(f"kernel {kernel.shape}: must be (h, w), 1 px or more each. {example}")
    if not np.isfinite(kernel).all():
        row, column = np.argwhere(~np.isfinite(kernel))[0]
        place = f"kernel[{row}, {column}]={kernel[row, column]}"
        raise ValueError(f"{place}: must be finite. Try: np.nan_to_num(kernel).")
    return kernel.astype(float)


def separate(kernel: np.ndarray) -> Separated:
    """Best single pair of column and row for a kernel (h, w), by singular value decomposition.

    error 0 (to rounding, 1e-15): the kernel is separable, and h * w multiplications become h + w.
    Column and row have the same norm; the column's first entry that is not 0 is positive. Raises
    as `checked` does. Source: Eckart & Young 1936.
    """
    columns, strengths, rows = np.linalg.svd(checked(kernel))
    column, row = columns[:, 0] * strengths[0] ** 0.5, rows[0] * strengths[0] ** 0.5
    counts = np.abs(column) > 1e-9 * np.abs(column).max()  # 0 comes out as 1e-17 of either sign
    if column[counts.argmax()] < 0:
        column, row = -column, -row
    rest, whole = np.hypot.reduce(strengths[1:]), np.hypot.reduce(strengths)
    return Separated(column, row, float(rest / whole) if whole else 0.0)


# The gallery: every kernel by the name that a reader chooses it by.
NAMED: dict[str, np.ndarray] = {
    "identity": IDENTITY,
    "box 3": fixed(box(3)),
    "box 7": fixed(box(7)),
    "gaussian 5": fixed(gaussian(5, sigma=1.0)),
    "gaussian 9": fixed(gaussian(9, sigma=1.5)),
    "motion blur": fixed(motion_blur(9, angle_deg=45)),
    "sharpen": SHARPEN,
    "unsharp": fixed(unsharp(9, sigma=1.5)),
    "emboss": EMBOSS,
    "sobel x": SOBEL_X,
    "sobel y": SOBEL_Y,
    "scharr x": SCHARR_X,
    "scharr y": SCHARR_Y,
    "prewitt x": PREWITT_X,
    "prewitt y": PREWITT_Y,
    "laplacian": LAPLACIAN,
    "laplacian 8": LAPLACIAN_8,
    "log": fixed(log(9, sigma=1.4)),
    "dog": fixed(dog(9, sigma=1.4)),
    "gabor line": fixed(gabor(15, wavelength_px=6, angle_deg=0, sigma=3.0)),
    "gabor edge": fixed(gabor(15, wavelength_px=6, angle_deg=0, sigma=3.0, phase_deg=-90)),
}
