"""What training asks for: numbers that can be, images and labels that fit the model."""

import math
from collections.abc import Sequence
from functools import partial
from numbers import Real
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.utils.data import DataLoader

from cnncourse import messages
from cnncourse.data import Split
from cnncourse.measure import evaluate


def check_numbers(*, epochs: int, batch_size: int, seed: int, label_smoothing: float) -> None:
    """Raise ValueError for a number that cannot be trained with."""
    messages.check_at_least("epochs", epochs, 1)
    messages.check_at_least("batch_size", batch_size, 1)
    messages.check_at_least("seed", seed, 0)
    if not isinstance(label_smoothing, Real) or not 0 <= label_smoothing < 1:
        raise ValueError(
            f"label_smoothing={label_smoothing!r}: must be from 0 (none) to below 1. "
            "Try: label_smoothing=0.1."
        )


def check_fits(model: nn.Module, split: Split, *, name: str) -> int:
    """Number of classes; ValueError where a layer cannot take these images or no class has a label.

    Two images go through the model in eval mode; the first layer that expects another number of
    channels or features is named. TypeError where split is no Split of tensors.
    """
    check_split(split, dtype=next(model.parameters()).dtype, name=name)
    check_finite(split.images, name=name)
    shape = "x".join(str(size) for size in split.images.shape[1:])
    images_are = f"the {name} images are {shape}"
    hooks = [
        layer.register_forward_pre_hook(partial(check_layer, layer_name, images_are))
        for layer_name, layer in model.named_modules()
    ]
    hooks.append(model.register_forward_hook(check_answer))
    try:
        classes = evaluate(model, Split(split.images[:2], split.labels[:2])).logits.shape[1]
    except RuntimeError as error:  # of torch: a map smaller than its window
        attempt = "Try: images of the size the model was built for"
        raise ValueError(f"{images_are}: they do not go through the model. {attempt}.") from error
    finally:
        for hook in hooks:
            hook.remove()
    check_labels(split.labels, classes=classes, name=name)
    return classes


def check_labels(labels: Tensor, *, classes: int, name: str) -> None:
    """Raise ValueError where no class has such a label."""
    low, high = int(labels.min()), int(labels.max())
    if low < 0 or high >= classes:
        sign = "+" if low < 0 else "-"
        raise ValueError(
            f"label {low if low < 0 else high} found in {name}, but the model has classes 0 to "
            f"{classes - 1}. Labels start at 0. "
            f"Try: {f'labels {sign} {abs(low)}' if low else f'num_classes={high + 1}'}."
        )


def check_tensors(split: object, *, name: str) -> None:
    """Raise TypeError unless it is a Split of two tensors."""
    if not isinstance(split, Split):
        raise TypeError(
            f"{name} is a {type(split).__name__}: must be a Split, images and labels as tensors. "
            "Try: data.Split(images, labels)."
        )
    if came := [type(part).__name__ for part in split if not isinstance(part, Tensor)]:
        raise TypeError(
            f"{name} has a {came[0]}: images and labels must be tensors. "
            "Try: torch.as_tensor(images), torch.as_tensor(labels)."
        )


def check_split(split: Split, *, dtype: torch.dtype, name: str) -> None:
    """Raise ValueError unless images are (N, C, H, W) of dtype, and labels (N,) of int64."""
    check_tensors(split, name=name)
    images, labels = split
    if len(images) != len(labels) or len(labels) == 0:
        raise ValueError(
            f"{name} has {len(images)} images and {len(labels)} labels: must be as "
            "many, and at least one. Try: the same indices for both."
        )
    if images.ndim != 4 or labels.ndim != 1:
        raise ValueError(
            f"{name} images {tuple(images.shape)}, labels {tuple(labels.shape)}: must be (N, C, H, "
            "W) and (N,). Try: images[:, None] (one channel), labels.argmax(dim=1) (one-hot)."
        )
    if images.shape[1] == images.shape[2] and images.shape[3] in (1, 3) and images.shape[1] > 3:
        raise ValueError(
            f"{name} images {tuple(images.shape)}: looks like channels-last; this course uses "
            "channels-first. Try: images.permute(0, 3, 1, 2)."
        )
    if images.dtype != dtype or labels.dtype != torch.int64:
        raise ValueError(
            f"{name} images are {images.dtype} and labels {labels.dtype}: must be {dtype} and "
            f"torch.int64. Try: images.to({dtype}) (bytes: / 255, too) and labels.long()."
        )


def check_layer(
    layer_name: str, images_are: str, layer: nn.Module, inputs: tuple[Tensor, ...]
) -> None:
    """Raise ValueError where a layer is about to get another number of channels or features."""
    kinds: list[tuple[Any, int, str]]
    kinds = [(nn.Linear, -1, "in_features"), (nn.Conv2d, -3, "in_channels")]
    for kind, dim, attribute in kinds:
        if not isinstance(layer, kind) or type(layer).forward is not kind.forward:
            continue  # another kind, or one that does something of its own with what it gets
        expected, came = getattr(layer, attribute), inputs[0].shape[dim]
        if expected != came:
            raise ValueError(
                f"layer {layer_name!r} ({kind.__name__}) expects {expected} "
                f"{attribute.removeprefix('in_')}, gets {came}: {images_are}. "
                f"Try: {attribute}={came}, or other images."
            )


def check_answer(model: nn.Module, _inputs: object, answer: object) -> None:
    """Hook of forward: raise ValueError unless the model gives logits (N, classes)."""
    name = type(model).__name__
    if not isinstance(answer, Tensor) or answer.ndim != 2:
        came = tuple(answer.shape) if isinstance(answer, Tensor) else type(answer).__name__
        raise ValueError(
            f"the model {name} gives {came}: must be logits (N, classes), one tensor. "
            "Try: nn.Flatten() and nn.Linear(features, classes) at its end."
        )
    sums = answer.sum(dim=1)
    shares = bool((answer >= 0).all()) and torch.allclose(sums, torch.ones_like(sums), atol=1e-4)
    if shares and answer.shape[1] > 1:
        raise ValueError(
            f"the model {name} gives probabilities: cross-entropy takes logits and applies the "
            "softmax itself. Try: the model without its softmax."
        )


def check_finite(images: Tensor, *, name: str, numbers: Sequence[int] | None = None) -> None:
    """Raise ValueError that names the first image with a nan or infinite value.

    numbers are the images' own, where these are some of many.
    """
    if math.isfinite(images.sum().item()):  # far sooner than asking every pixel
        return
    good = images.isfinite().flatten(1).all(dim=1)
    if not good.all():  # else the sum alone was too large
        first = int((~good).nonzero()[0])
        raise ValueError(
            f"{name}[{first if numbers is None else numbers[first]}]: the image has a pixel that "
            f"is nan or infinite, as {int((~good).sum())} of {len(images)} have. Try: "
            "images.isfinite().flatten(1).all(dim=1) tells which are good."
        )


def check_data_set(train: object, *, name: str) -> None:
    """Raise TypeError for what is no data set: a DataLoader, two tensors, one alone."""
    if isinstance(train, DataLoader):
        raise TypeError(
            f"{name} is a DataLoader: must be the data set, whose order comes from the seed. "
            f"Try: {name}={name}_loader.dataset, batch_size={train.batch_size}, "
            f"num_workers={train.num_workers}."
        )
    parts = train if isinstance(train, tuple | list) and len(train) == 2 else [train]
    if all(isinstance(part, Tensor | np.ndarray) for part in parts):
        raise TypeError(
            f"{name} is a {type(train).__name__}: must be a Split, images and labels as tensors. "
            "Try: data.Split(images, labels)."
        )


def check_last_batch(model: nn.Module, images: Tensor, *, count: int, batch_size: int) -> None:
    """Raise ValueError where the last batch of count images has one, and a batch normalisation
    finds a single value a channel in it: it cannot train on that.
    """
    if (count % batch_size or batch_size) > 1:
        return
    sizes = [*range(batch_size - 1, 1, -1), *range(batch_size + 1, count + 3)]
    better = next(size for size in sizes if (count % size or size) > 1)
    hooks = [
        layer.register_forward_pre_hook(partial(check_one_value, name, batch_size, count, better))
        for name, layer in model.named_modules()
        if is_over_the_batch(layer)
    ]
    try:
        if hooks:
            evaluate(model, Split(images[:1], torch.zeros(1, dtype=torch.int64)))
    finally:
        for hook in hooks:
            hook.remove()


def check_one_value(
    name: str, batch_size: int, count: int, better: int, layer: nn.Module, inputs: tuple[Tensor]
) -> None:
    """Raise ValueError where a batch normalisation is about to get one value a channel."""
    if inputs[0].numel() == inputs[0].shape[1]:
        raise ValueError(
            f"batch_size={batch_size}: the last batch of {count} images has 1, and layer {name!r} "
            f"({type(layer).__name__}) cannot normalise over one value a channel. "
            f"Try: batch_size={better}."
        )


def is_over_the_batch(part: nn.Module) -> bool:
    """Whether a part takes its batch's statistics in training; what train() does not reach, no."""
    if not isinstance(part, _BatchNorm):
        return False
    return part.running_mean is None or type(part).train is nn.Module.train
