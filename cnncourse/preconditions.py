"""What training asks for: numbers that can be, images and labels that fit the model."""

from functools import partial

import torch
from torch import Tensor, nn

from cnncourse import messages
from cnncourse.data import Split
from cnncourse.measure import evaluate


def check_numbers(*, epochs: int, batch_size: int, seed: int, label_smoothing: float) -> None:
    """Raise ValueError for a number that cannot be trained with."""
    messages.check_at_least("epochs", epochs, 1)
    messages.check_at_least("batch_size", batch_size, 1)
    messages.check_at_least("seed", seed, 0)
    if not 0 <= label_smoothing < 1:
        raise ValueError(
            f"label_smoothing={label_smoothing}: must be from 0 (none) to below 1. "
            "Try: label_smoothing=0.1."
        )


def check_fits(model: nn.Module, split: Split, *, name: str) -> int:
    """Number of classes; ValueError where a layer cannot take these images or no class has a label.

    Two images go through the model in eval mode; the first layer that expects another number of
    channels or features is named.
    """
    check_split(split, dtype=next(model.parameters()).dtype, name=name)
    shape = "x".join(str(size) for size in split.images.shape[1:])
    images_are = f"the {name} images are {shape}"
    hooks = [
        layer.register_forward_pre_hook(partial(check_layer, layer_name, images_are))
        for layer_name, layer in model.named_modules()
    ]
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


def check_split(split: Split, *, dtype: torch.dtype, name: str) -> None:
    """Raise ValueError unless images are (N, C, H, W) of dtype, and labels (N,) of int64."""
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
    for kind, dim, attribute in [(nn.Linear, -1, "in_features"), (nn.Conv2d, -3, "in_channels")]:
        if not isinstance(layer, kind):
            continue
        expected, came = getattr(layer, attribute), inputs[0].shape[dim]
        if expected != came:
            raise ValueError(
                f"layer {layer_name!r} ({kind.__name__}) expects {expected} "
                f"{attribute.removeprefix('in_')}, gets {came}: {images_are}. "
                f"Try: {attribute}={came}, or other images."
            )
