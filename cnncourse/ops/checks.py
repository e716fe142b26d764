"""What an operation on feature maps takes: arrays of numbers, (H, W), (C, H, W) or (N, C, H, W)."""

from numbers import Real

import numpy as np
from numpy.typing import ArrayLike

from cnncourse.messages import refusal


def as_array(argument: str, came: ArrayLike) -> np.ndarray:
    """Array of what came; ValueError where nested lists are not equally long."""
    try:
        return np.asarray(came)
    except ValueError as error:
        sentence = f"{argument}: its rows are not equally long. Try: np.zeros((3, 3))."
        raise ValueError(sentence) from error


def as_numbers(argument: str, came: ArrayLike) -> np.ndarray:
    """Array of integers or floats; ValueError where it is not one."""
    numbers = as_array(argument, came)
    check_dtype(argument, numbers, floating=False)
    return numbers


def as_images(argument: str, came: ArrayLike, *, floating: bool = False) -> np.ndarray:
    """Array of one image or several; floating: of floats, for what divides or takes roots.

    Raises ValueError for another number of axes, for images without a pixel, and for other dtypes.
    """
    images = as_array(argument, came)
    check_dtype(argument, images, floating=floating)
    if images.ndim not in (2, 3, 4):
        attempt = f"{argument}[0]" if images.ndim > 4 else f"np.atleast_2d({argument})"
        raise ValueError(
            f"{argument} {images.shape}: must be (H, W), (C, H, W) or (N, C, H, W). Try: {attempt}."
        )
    if 0 in images.shape[-3:]:
        filled = (*images.shape[:-3], *(side or 1 for side in images.shape[-3:]))
        raise ValueError(
            f"{argument} {images.shape}: only the batch may be empty. Try: np.zeros({filled})."
        )
    return images


def check_dtype(argument: str, array: np.ndarray, *, floating: bool) -> None:
    """Raise ValueError unless these are integers or floats; floating: floats alone."""
    kinds, rule = ("f", "must be floats") if floating else ("iuf", "must be integers or floats")
    if array.dtype.kind not in kinds:
        attempt = f"{argument}.real" if array.dtype.kind == "c" else f"{argument}.astype(float)"
        raise ValueError(f"{argument} of dtype {array.dtype}: {rule}. Try: {attempt}.")


def as_shape(argument: str, came: ArrayLike, shape: tuple[int, ...], rule: str) -> np.ndarray:
    """Array of floats of this shape; ValueError with the rule where it is not."""
    array = as_array(argument, came)
    if array.shape != shape:
        raise ValueError(f"{argument} {array.shape}: {rule}, {shape}. Try: np.ones({shape}).")
    check_dtype(argument, array, floating=True)
    return array


def check_above_zero(argument: str, came: float, *, attempt: float) -> None:
    """Raise ValueError unless came is a number above 0; infinity is one."""
    number = isinstance(came, Real) and not isinstance(came, bool)
    if not number or not came > 0:  # "not >", since a nan compares as False
        rule = "must be a number above 0"
        raise ValueError(refusal(argument, came, rule, attempt=f"{argument}={attempt}"))
