"""Batch normalisation: every channel to mean 0 and variance 1, then to a learned scale and shift.

Source: Ioffe & Szegedy 2015, arXiv:1502.03167, Algorithm 1 and section 3.
"""

from numbers import Real
from typing import NamedTuple

import numpy as np

from cnncourse.arithmetic import check_flag
from cnncourse.messages import refusal
from cnncourse.ops.checks import as_images, as_shape, check_above_zero

PIXELS = (0, 2, 3)  # axes of (N, C, H, W) that are one population: all pixels of a channel


class BatchNorm(NamedTuple):
    """What batch_norm gives: the output, and the running statistics for the next call."""

    output: np.ndarray  # (N, C, H, W)
    running_mean: np.ndarray  # (C,)
    running_var: np.ndarray  # (C,)


class BatchNormGradients(NamedTuple):
    """Gradients with respect to what batch_norm learns from and to what it learns."""

    images: np.ndarray  # (N, C, H, W)
    weight: np.ndarray  # (C,)
    bias: np.ndarray  # (C,)


def batch_norm(
    images: np.ndarray,
    weight: np.ndarray,
    bias: np.ndarray,
    *,
    running_mean: np.ndarray,
    running_var: np.ndarray,
    training: bool,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> BatchNorm:
    """Normalise every channel of images (N, C, H, W); the other arrays are (C,).

    In training by the batch's own mean and biased variance, a sum of squares divided by the number
    of values n. The running statistics then take a step towards the batch's: momentum is the weight
    of the new value, and the new variance is the unbiased one, divided by n - 1. Not in training,
    by the running statistics, which stay. Nothing that came in is changed.
    Raises ValueError in training on one value per channel: it says nothing about a variance.
    """
    images = as_batch(images)
    check_flag("training", training)
    weight = as_channels("weight", weight, images)
    bias = as_channels("bias", bias, images)
    running_mean = as_channels("running_mean", running_mean, images)
    running_var = as_channels("running_var", running_var, images)
    check_momentum(momentum)
    check_above_zero("eps", eps, attempt=1e-5)
    mean, var = running_mean, running_var
    if training:
        n = values_per_channel(images, attempt="training=False")
        mean, var = images.mean(axis=PIXELS), images.var(axis=PIXELS)
        running_mean = (1 - momentum) * running_mean + momentum * mean
        running_var = (1 - momentum) * running_var + momentum * var * n / (n - 1)
    output = each(weight) * normalize(images, mean, var, eps) + each(bias)
    return BatchNorm(output, running_mean, running_var)


def batch_norm_backward(
    grad_output: np.ndarray, images: np.ndarray, weight: np.ndarray, *, eps: float = 1e-5
) -> BatchNormGradients:
    """Gradients of batch_norm in training; grad_output and images are (N, C, H, W), weight (C,).

    Mean and variance depend on every pixel of their channel. So the gradient that reaches a channel
    has no part along a constant, and next to none along the normalised channel itself: batch
    normalisation would undo such a change of the images.
    """
    images = as_batch(images)
    grad_output = as_shape(
        "grad_output", grad_output, images.shape, "must have the shape of the output"
    )
    weight = as_channels("weight", weight, images)
    check_above_zero("eps", eps, attempt=1e-5)
    n = values_per_channel(images, attempt=f"np.ones({(2, *images.shape[1:])})")
    mean, var = images.mean(axis=PIXELS), images.var(axis=PIXELS)
    normalized = normalize(images, mean, var, eps)
    grad_weight = (grad_output * normalized).sum(axis=PIXELS)
    grad_bias = grad_output.sum(axis=PIXELS)
    centred = grad_output - each(grad_bias) / n - normalized * each(grad_weight) / n
    grad_images = each(weight / np.sqrt(var + eps)) * centred
    return BatchNormGradients(grad_images, grad_weight, grad_bias)


def normalize(images: np.ndarray, mean: np.ndarray, var: np.ndarray, eps: float) -> np.ndarray:
    """Images (N, C, H, W) with each channel's mean (C,) taken off, over its standard deviation."""
    return (images - each(mean)) / np.sqrt(each(var) + eps)


def each(values: np.ndarray) -> np.ndarray:
    """One value a channel, shaped to meet (N, C, H, W): (C,) -> (C, 1, 1)."""
    return values[:, None, None]


# --- what is refused ------------------------------------------------------------------------------


def as_batch(came: np.ndarray) -> np.ndarray:
    """Array of floats (N, C, H, W); ValueError where it is not."""
    images = as_images("images", came, floating=True)
    if images.ndim != 4:
        attempt = "images[None]" if images.ndim == 3 else "images[None, None]"
        raise ValueError(f"images {images.shape}: must be a batch, (N, C, H, W). Try: {attempt}.")
    return images


def as_channels(argument: str, came: np.ndarray, images: np.ndarray) -> np.ndarray:
    """Array of floats, one for every channel of images; ValueError where it is not."""
    return as_shape(argument, came, images.shape[1:2], "must have one number a channel")


def values_per_channel(images: np.ndarray, *, attempt: str) -> int:
    """Number of values that a channel's statistics are of; ValueError where it has no variance."""
    n = images[:, 0].size
    if n < 2:
        raise ValueError(
            f"images {images.shape}: training needs more than 1 value per channel, this has {n}. "
            f"Try: {attempt}."
        )
    return n


def check_momentum(came: float) -> None:
    """Raise ValueError unless came is a number from 0 to 1."""
    number = isinstance(came, Real) and not isinstance(came, bool)
    if not number or not 0 <= came <= 1:
        rule = "must be a number from 0 to 1"
        raise ValueError(refusal("momentum", came, rule, attempt="momentum=0.1"))
