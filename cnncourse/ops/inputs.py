"""What a convolution takes: arrays that fit together, pairs, windows; and what is refused."""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from cnncourse.arithmetic import output_size
from cnncourse.messages import refusal, unknown
from cnncourse.ops.checks import as_numbers

Pair = tuple[int, int]  # (height, width)
Sides = tuple[Pair, Pair]  # ((top, bottom), (left, right))

NARROW = ("int8", "uint8", "int16", "uint16")  # a sum of products soon leaves their range


# --- arrays ---------------------------------------------------------------------------------------


def as_batch(images: np.ndarray) -> np.ndarray:
    """(H, W), (C, H, W) or (N, C, H, W) -> (N, C, H, W)."""
    return images[(None,) * (4 - images.ndim)]


def as_kernels(came: Any, images: np.ndarray, *, layout: str) -> np.ndarray:
    """Kernels with four axes, the first two as layout names them; from (h, w) for images (H, W)."""
    kernels = as_numbers("kernels", came)
    if images.ndim == 2 and kernels.ndim != 2:
        attempt = "images[None]" if kernels.ndim == 4 else "kernels with 2 axes"
        raise ValueError(
            f"kernels {kernels.shape}: an image (H, W) has no channels and takes one kernel "
            f"(h, w). Try: {attempt}."
        )
    if images.ndim != 2 and kernels.ndim != 4:
        channels = images.shape[-3]
        attempt = "kernels with 4 axes"
        if kernels.ndim == 2 and channels == 1:
            attempt = "kernels[None, None]"
        elif kernels.ndim == 2:  # the same kernel for every channel by itself
            attempt = f"np.tile(kernels, ({channels}, 1, 1, 1)) and groups={channels}"
        raise ValueError(
            f"kernels {kernels.shape}: images with channels take kernels ({layout}, h, w). "
            f"Try: {attempt}."
        )
    if 0 in kernels.shape:
        filled = tuple(side or 1 for side in kernels.shape)
        raise ValueError(
            f"kernels {kernels.shape}: must have at least one weight. Try: np.ones({filled})."
        )
    return as_batch(kernels)


def as_bias(came: Any, shape: tuple[int, ...]) -> Any:
    """Bias that can be added to (N, O, H, W): None, a number, or (O, 1, 1) from shape (O,)."""
    if came is None:
        return None
    bias = as_numbers("bias", came)
    if bias.shape != shape:
        raise ValueError(
            f"bias {bias.shape}: must have shape {shape}, a number for each output channel. "
            f"Try: np.zeros({shape})."
        )
    return bias[:, None, None] if shape else came  # a bare 0.5 leaves float32 as it is


def one_dtype(images: np.ndarray, kernels: np.ndarray, bias: Any) -> tuple[Any, Any, Any]:
    """The three in the dtype in which they are summed; ValueError where sums would leave it."""
    dtype = np.result_type(images, kernels, *([] if bias is None else [bias]))
    check_wide("images", images, dtype)
    if bias is not None:
        bias = np.asarray(bias, dtype)
    return images.astype(dtype, copy=False), kernels.astype(dtype, copy=False), bias


def check_wide(argument: str, array: np.ndarray, dtype: np.dtype) -> None:
    """Raise ValueError where sums of products in that dtype would soon wrap around."""
    if dtype.name in NARROW:
        raise ValueError(
            f"{argument} of dtype {array.dtype}: sums of products wrap around in {dtype.name}. "
            f"Try: {argument}.astype(float)."
        )


def check_channels(images: np.ndarray, kernels: np.ndarray, expected: int, grouped: str) -> None:
    """Raise ValueError unless images (C, H, W) or (N, C, H, W) have the channels expected."""
    channels = as_batch(images).shape[1]
    if channels == expected:
        return
    if images.shape[-1] == expected < channels:
        order = "(2, 0, 1)" if images.ndim == 3 else "(0, 3, 1, 2)"
        raise ValueError(
            f"images {images.shape}: looks like channels-last; this course uses channels-first. "
            f"Try: images.transpose{order}."
        )
    raise ValueError(
        f"images {images.shape}: kernels {kernels.shape}{grouped} read {expected} channels, "
        f"not {channels}. Try: images with {expected} channels."
    )


def by_group(array: np.ndarray, groups: int, *, axis: int = 0) -> np.ndarray:
    """Split an axis of channels in two: (groups, channels of a group)."""
    shape = array.shape
    return array.reshape(*shape[:axis], groups, shape[axis] // groups, *shape[axis + 1 :])


# --- windows --------------------------------------------------------------------------------------


def check_known(argument: str, came: str, known: Iterable[str]) -> None:
    """Raise ValueError unless it is one of the known names."""
    if not isinstance(came, str) or came not in known:
        raise ValueError(unknown(str(came), argument, known))


def shortest(pair: Sequence[int]) -> str:
    """A pair as a reader would type it: 2 for (2, 2)."""
    return str(pair[0] if pair[0] == pair[1] else tuple(pair))


def check_finite(method: str, *arrays: np.ndarray) -> None:
    """Raise ValueError where an array holds nan or infinity, which the method would spread."""
    if not all(np.isfinite(array).all() for array in arrays):
        rule = "nan or infinity would reach outputs whose window does not see it"
        raise ValueError(refusal("method", method, rule, attempt="method='direct'"))


def check_window(image_size: Pair, kernel_size: Pair, sides: Sides, dilation: Pair) -> None:
    """Raise ValueError where the dilated kernel is larger than the padded image."""
    rooms = [before + side + after for side, (before, after) in zip(image_size, sides, strict=True)]
    spans = [spread(side, gap) for side, gap in zip(kernel_size, dilation, strict=True)]
    if all(span <= room for span, room in zip(spans, rooms, strict=True)):
        return
    lacking = [span - side for span, side in zip(spans, image_size, strict=True)]
    padding = [max(0, lack + 1) // 2 for lack in lacking]
    most = [(room - 1) // gap + 1 for room, gap in zip(rooms, dilation, strict=True)]
    dilated = f" with dilation={shortest(dilation)}" if dilation != (1, 1) else ""
    raise ValueError(
        f"kernel {kernel_size}{dilated} on image {image_size}: the window is larger than the "
        f"padded image. Try: padding={shortest(padding)}, or a kernel of at most "
        f"{most[0]}x{most[1]}."
    )


def window_places(
    image_size: Pair, kernel_size: Pair, *, stride: Pair, sides: Sides, dilation: Pair
) -> Pair:
    """Output (height, width): in how many places a window can stand along each axis."""
    height, width = (
        output_size(before + side + after, kernel_size=kernel, stride=step, dilation=gap)
        for side, kernel, step, (before, after), gap in zip(
            image_size, kernel_size, stride, sides, dilation, strict=True
        )
    )
    return height, width


def spread(kernel_size: int, dilation: int) -> int:
    """Pixels from the first tap of a dilated kernel to its last, both counted."""
    return dilation * (kernel_size - 1) + 1
