"""Padding: what a convolution reads beyond the border, in four modes, and its way back.

zeros      0 0 | 1 2 3 | 0 0
reflect    3 2 | 1 2 3 | 2 1     a mirror on the border pixel, which is not repeated
replicate  1 1 | 1 2 3 | 3 3     the border pixel again and again
circular   2 3 | 1 2 3 | 1 2     the opposite side, as on a torus
"""

from typing import Any

import numpy as np

from cnncourse.arithmetic import pair, same_padding
from cnncourse.ops.checks import as_images
from cnncourse.ops.inputs import (
    Pair,
    Sides,
    check_known,
    shortest,
    spread,
    window_places,
)

MODES: dict[str, Any] = {  # torch's name: NumPy's
    "zeros": "constant",
    "reflect": "reflect",
    "replicate": "edge",
    "circular": "wrap",
}


def pad(images: np.ndarray, padding: int | Pair, *, mode: str = "zeros") -> np.ndarray:
    """Images with a border: padding is pixels a side, one number or (height, width).

    (..., H, W) -> (..., H + 2 * padding[0], W + 2 * padding[1]); dtype as it came. Modes and
    limits are torch's: reflect needs padding < size, circular padding <= size.
    Raises ValueError for an unknown mode and beyond the limits.
    """
    images = as_images("images", images)
    height, width = pair("padding", padding, least=0)
    check_known("mode", mode, MODES)
    sides = (height, height), (width, width)
    check_room(padding, sides, images.shape[-2:], mode, argument="mode")
    return pad_sides(images, sides, mode)


def pad_sides(images: np.ndarray, sides: Sides, mode: str) -> np.ndarray:
    """Images with ((top, bottom), (left, right)) pixels more; nothing is checked."""
    untouched = ((0, 0),) * (images.ndim - 2)
    return np.pad(images, (*untouched, *sides), mode=MODES[mode])


def pad_backward(
    grad_output: np.ndarray, image_size: Pair, sides: Sides, *, mode: str = "zeros"
) -> np.ndarray:
    """Gradient of the images from that of the padded images; nothing is checked.

    Padding is linear. What it makes of the identity is its matrix, one row for every padded pixel;
    the transposed matrices take every gradient back to the pixel that was copied.
    """
    rows, columns = (
        pad_sides(np.eye(size, dtype=grad_output.dtype), (side, (0, 0)), mode)
        for size, side in zip(image_size, sides, strict=True)
    )
    return rows.T @ grad_output @ columns


def as_sides(
    padding: Any, image_size: Pair, kernel_size: Pair, *, stride: Pair, dilation: Pair
) -> Sides:
    """((top, bottom), (left, right)) of a number, a pair, "same" or "valid"; else ValueError.

    "same" needs stride 1; where it adds an odd number of pixels, the odd one is at bottom or right.
    """
    if not isinstance(padding, str):
        height, width = pair("padding", padding, least=0)
        return (height, height), (width, width)
    check_known("padding", padding, ("same", "valid"))
    if padding == "valid":
        return (0, 0), (0, 0)
    if stride != (1, 1):
        height, width = (
            spread(side, gap) // 2 for side, gap in zip(kernel_size, dilation, strict=True)
        )
        sides = (height, height), (width, width)
        size = window_places(image_size, kernel_size, stride=stride, sides=sides, dilation=dilation)
        raise ValueError(
            f"padding='same' with stride={shortest(stride)}: the size can stay the same only when "
            f"stride is 1. Try: padding={shortest((height, width))} (output {size[0]}x{size[1]}) "
            f"or stride=1."
        )
    top_bottom, left_right = (
        same_padding(kernel_size=side, dilation=gap)
        for side, gap in zip(kernel_size, dilation, strict=True)
    )
    return top_bottom, left_right


def check_room(padding: Any, sides: Sides, image_size: Pair, mode: str, *, argument: str) -> None:
    """Raise ValueError where a mode that copies pixels would need more than the image has."""
    if mode not in ("reflect", "circular"):
        return
    most = [size - (mode == "reflect") for size in image_size]
    if any(max(side) > limit for side, limit in zip(sides, most, strict=True)):
        raise ValueError(
            f"padding={padding!r} on image {tuple(image_size)}: {mode} padding copies pixels of "
            f"the image, at most {shortest(most)} here. Try: {argument}='zeros'."
        )
