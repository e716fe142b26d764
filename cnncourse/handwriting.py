"""From ink on a pad to the picture that a network of MNIST's digits expects, step by step.

Ink is a gray picture (H, W), float64: 0 is the pad, 1 is ink. The steps are those by which MNIST
was made (LeCun et al. 1998, section III-A): cut out, scale, put the centre of mass in the middle.
"""

from typing import NamedTuple

import numpy as np
from PIL import Image, ImageFilter

SIZE_PX, BOX_PX = 28, 20  # of MNIST's pictures, and of the box that a digit fills in them
MIDDLE = 14  # row and column, counted from 0, where the centre of mass comes to lie
FAINT = 0.1  # what is fainter is no ink: the blurred edge of a stroke
THICKER_PX, THINNER_PX = 5, 3  # at each edge of a stroke
NO_INK = "there is no ink on the pad. Try: draw a digit, or press one of the sample digits."

# A step left out or spoilt on purpose, and what that does.
HABITS = {
    "as MNIST": "cut out, scaled to 20 px, centred",
    "corner": "not centred: put into the upper left corner",
    "not scaled": "not scaled to 20 px: shrunk as the whole pad is",
    "thick": f"every stroke {THICKER_PX} px thicker at each edge",
    "thin": f"every stroke {THINNER_PX} px thinner at each edge",
    "inverted": "black on white",
}


class Prepared(NamedTuple):
    """The pictures of all steps, and their numbers."""

    habit: str
    ink: np.ndarray  # the pad, (H, W)
    top: int  # of the cut in the pad, px
    left: int
    cut: np.ndarray
    scaled: np.ndarray
    mass: tuple[float, float]  # (row, column) of the centre of mass in the scaled picture
    down: int  # by which the scaled picture was moved, px
    right: int
    placed: np.ndarray  # (28, 28), what the network gets


def prepare(ink: np.ndarray, habit: str = "as MNIST") -> Prepared:
    """Ink as MNIST would have it, or spoilt by one of HABITS.

    Raises ValueError where there is no ink.
    """
    pad = ink
    if habit in ("thick", "thin"):
        ink = stroked(ink, THICKER_PX if habit == "thick" else -THINNER_PX)
        if ink.max(initial=0) <= FAINT < pad.max(initial=0):
            raise ValueError("the strokes are so thin that nothing is left. Try: another habit.")
    top, left, cut = cut_out(ink)
    most = BOX_PX if habit != "not scaled" else SIZE_PX * max(cut.shape) / max(ink.shape)
    scaled = fit(cut, most)
    mass = centre_of_mass(scaled)
    down, right = (0, 0) if habit == "corner" else shift(scaled.shape, mass)
    placed = np.zeros((SIZE_PX, SIZE_PX))
    placed[down : down + scaled.shape[0], right : right + scaled.shape[1]] = scaled
    if habit == "inverted":
        placed = 1 - placed
    return Prepared(habit, pad, top, left, cut, scaled, mass, down, right, placed)


def cut_out(ink: np.ndarray) -> tuple[int, int, np.ndarray]:
    """The smallest part that holds all ink, after the row and column where it begins.

    Raises ValueError where there is no ink.
    """
    rows, columns = (np.flatnonzero((ink > FAINT).any(axis=axis)) for axis in (1, 0))
    if not len(rows):
        raise ValueError(NO_INK)
    top, left = int(rows[0]), int(columns[0])
    return top, left, ink[top : rows[-1] + 1, left : columns[-1] + 1]


def fit(picture: np.ndarray, longest_px: float) -> np.ndarray:
    """The picture scaled until its longer side has longest_px; the aspect is kept.

    Smoothed, so that a thin stroke is not lost between pixels; no side falls below 1 px.
    """
    scale = longest_px / max(picture.shape)
    height, width = (max(1, round(side * scale)) for side in picture.shape)
    resized = Image.fromarray(picture.astype(np.float32)).resize(
        (width, height), Image.Resampling.BILINEAR
    )
    return np.asarray(resized, dtype=float).clip(0, 1)


def centre_of_mass(picture: np.ndarray) -> tuple[float, float]:
    """(row, column) of the mean of all ink, rows and columns counted from 0."""
    total = picture.sum()
    rows, columns = (np.arange(side) for side in picture.shape)
    return float(picture.sum(axis=1) @ rows / total), float(picture.sum(axis=0) @ columns / total)


def shift(shape: tuple[int, ...], mass: tuple[float, float]) -> tuple[int, int]:
    """Whole pixels (down, right) that bring the centre of mass to the middle.

    No more than keeps all ink inside: 28 px less the size of the picture.
    """
    down, right = (
        int(np.clip(np.rint(MIDDLE - at), 0, SIZE_PX - side))
        for at, side in zip(mass, shape, strict=True)
    )
    return down, right


def stroked(ink: np.ndarray, thicker_px: int) -> np.ndarray:
    """Ink whose strokes are thicker by so many px at each edge; negative: thinner."""
    picture = Image.fromarray((255 * ink).round().astype(np.uint8))
    size = 2 * abs(thicker_px) + 1
    spread = ImageFilter.MaxFilter(size) if thicker_px > 0 else ImageFilter.MinFilter(size)
    return np.asarray(picture.filter(spread), dtype=float) / 255


def on_pad(
    digit: np.ndarray, *, side_px: int, scale: float, down_px: int, right_px: int
) -> np.ndarray:
    """A digit as if it had been drawn: enlarged, at (down_px, right_px) of an empty square pad.

    digit is (h, w), from 0 to 1. Raises ValueError where it does not fit.
    """
    pad = np.zeros((side_px, side_px))
    enlarged = fit(digit, scale * max(digit.shape))
    height, width = enlarged.shape
    if down_px < 0 or right_px < 0 or down_px + height > side_px or right_px + width > side_px:
        raise ValueError(
            f"scale={scale}: {height} x {width} px at ({down_px}, {right_px}) do not fit on a pad "
            f"of {side_px} px. Try: scale={side_px / (2 * max(digit.shape)):.1f}, nearer to (0, 0)."
        )
    pad[down_px : down_px + height, right_px : right_px + width] = enlarged
    return pad
