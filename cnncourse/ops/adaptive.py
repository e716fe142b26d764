"""Pooling to a given size: the windows follow from the image. With one bin it is global pooling.

Images are (H, W), (C, H, W) or (N, C, H, W).
"""

from collections.abc import Callable

import numpy as np

from cnncourse.arithmetic import pair
from cnncourse.ops.checks import as_images


def adaptive_avg_pool2d(images: np.ndarray, output_size: int | tuple[int, int]) -> np.ndarray:
    """Mean of every bin: (..., H, W) -> (..., *output_size), floats of the same dtype.

    output_size is a side or (height, width); it may be larger than the image.
    """
    return pool_bins(as_images("images", images, floating=True), output_size, np.mean)


def adaptive_max_pool2d(images: np.ndarray, output_size: int | tuple[int, int]) -> np.ndarray:
    """Largest number of every bin: (..., H, W) -> (..., *output_size) of the same dtype.

    A bin with a nan gives nan. Integers are taken too, which torch refuses.
    """
    return pool_bins(as_images("images", images), output_size, np.max)


def global_avg_pool2d(images: np.ndarray) -> np.ndarray:
    """Mean of every channel: (..., H, W) -> (..., 1, 1), floats of the same dtype."""
    return as_images("images", images, floating=True).mean(axis=(-2, -1), keepdims=True)


def global_max_pool2d(images: np.ndarray) -> np.ndarray:
    """Largest number of every channel: (..., H, W) -> (..., 1, 1) of the same dtype."""
    return as_images("images", images).max(axis=(-2, -1), keepdims=True)


def bins(size: int, count: int) -> list[slice]:
    """Count bins over an axis, as torch cuts it: bin i is [floor(i * size / count), its end).

    The end is ceil((i + 1) * size / count): every pixel is in a bin, and neighbouring bins share
    a pixel where count does not divide size.
    """
    return [slice(i * size // count, -(-(i + 1) * size // count)) for i in range(count)]


def pool_bins(
    images: np.ndarray, output_size: int | tuple[int, int], reduce: Callable[..., np.ndarray]
) -> np.ndarray:
    """What reduce makes of every bin: (..., H, W) -> (..., *output_size)."""
    count_down, count_right = pair("output_size", output_size)
    pooled = np.empty((*images.shape[:-2], count_down, count_right), images.dtype)
    for y, rows in enumerate(bins(images.shape[-2], count_down)):
        for x, columns in enumerate(bins(images.shape[-1], count_right)):
            pooled[..., y, x] = reduce(images[..., rows, columns], axis=(-2, -1))
    return pooled
