"""Layers of any network by name, what comes out of them, and a class's logit to ask about.

Every function that asks a network does so in eval mode and leaves it as it found it: its mode, its
gradients, and no hook behind.
"""

import difflib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from cnncourse.measure import mode_restored

NUMBERS_AT_ONCE = 100_000  # of pictures in one pass with gradients: one of 180 px


def layer_of(model: nn.Module, name: str) -> nn.Module:
    """The part of a model that has that name in named_modules(); ValueError where none has."""
    parts = dict(model.named_modules())
    if name in parts and name:
        return parts[name]
    nearest = difflib.get_close_matches(str(name), parts, n=1, cutoff=0.4)
    guess = f" Did you mean {nearest[0]!r}?" if nearest else ""
    raise ValueError(
        f"{name!r}: {type(model).__name__} has no such layer.{guess} "
        "Try: [name for name, _ in model.named_modules()]."
    )


@contextmanager
def watched(model: nn.Module, names: Sequence[str]) -> Iterator[dict[str, Tensor]]:
    """Outputs of the layers of these names, as the passes inside the block make them.

    What follows a layer gets a copy: an operation that works in place does not change what is kept.
    Gradients flow through both. Raises ValueError for an unknown name, and for a layer that gives
    no tensor or runs twice in a block, since one name would then stand for two outputs.
    """
    outputs: dict[str, Tensor] = {}

    def keeper(name: str, layer: nn.Module):  # type: ignore[no-untyped-def]
        def keep(_layer: nn.Module, _args: object, output: object) -> Tensor:
            if not isinstance(output, Tensor):
                kind = type(output).__name__
                raise ValueError(f"layer {name!r} gives a {kind}, no tensor. Try: one inside it.")
            if name in outputs:
                kind = type(layer).__name__
                raise ValueError(
                    f"layer {name!r} ({kind}) runs more than once in a pass, so its name says not "
                    "which output is meant. Try: the block that it is in."
                )
            outputs[name] = output
            return output.clone()

        return keep

    layers = {name: layer_of(model, name) for name in names}
    hooks = [layer.register_forward_hook(keeper(name, layer)) for name, layer in layers.items()]
    try:
        yield outputs
    finally:
        for hook in hooks:
            hook.remove()


@contextmanager
def asked(model: nn.Module) -> Iterator[None]:
    """Eval mode and gradients inside the block, the model's modes as they were after it."""
    with mode_restored(model), torch.enable_grad():
        model.eval()
        yield


def ran(outputs: dict[str, Tensor], name: str) -> Tensor:
    """What a layer gave; ValueError where the pass went past it."""
    if name not in outputs:
        raise ValueError(f"layer {name!r} never ran in this pass. Try: a layer that does.")
    return outputs[name]


def maps_of(outputs: dict[str, Tensor], name: str) -> Tensor:
    """What a layer gave, if it is maps (N, C, h, w); else ValueError."""
    output = ran(outputs, name)
    if output.ndim != 4:
        raise ValueError(
            f"layer {name!r} gives {tuple(output.shape)}: must be maps (N, C, height, width). "
            "Try: a layer before the pooling."
        )
    return output


# --- pictures and classes -------------------------------------------------------------------------


def check_images(images: Tensor) -> None:
    """Raise ValueError unless these are floats (N, C, H, W), one picture or more."""
    if not isinstance(images, Tensor):
        raise ValueError(
            f"images of type {type(images).__name__}: must be a tensor (N, C, H, W) of floats. "
            "Try: torch.tensor(images)."
        )
    if images.ndim != 4 or not images.is_floating_point() or 0 in images.shape:
        attempt = "images[None]" if images.ndim == 3 else "images.float()"
        kind = str(images.dtype).removeprefix("torch.")
        raise ValueError(
            f"images {tuple(images.shape)} {kind}: must be (N, C, H, W), floats, none of it 0. "
            f"Try: {attempt}."
        )


def targets_for(images: Tensor, classes: Tensor | int) -> Tensor:
    """A class for each picture, (N,), int64: the same for all, or one each; else ValueError."""
    if isinstance(classes, int) and not isinstance(classes, bool):
        return torch.full((len(images),), classes, device=images.device)
    good = isinstance(classes, Tensor) and classes.dtype == torch.int64
    if not good or classes.shape != images.shape[:1]:  # type: ignore[union-attr]
        came = tuple(classes.shape) if isinstance(classes, Tensor) else repr(classes)
        raise ValueError(
            f"classes={came}: must be a whole number, or int64 with one for each of {len(images)} "
            "pictures. Try: classes=model(images).argmax(dim=1)."
        )
    return classes.to(images.device)  # type: ignore[union-attr]


def in_pieces(images: Tensor, targets: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
    """Pictures and their classes, so few at once that gradients do not need much memory.

    An ImageNet network keeps about 0.1 GB for each picture of 160 px, and is no faster with more.
    """
    count = max(1, NUMBERS_AT_ONCE // images[0].numel())
    return zip(images.split(count), targets.split(count), strict=True)


def chosen(logits: Tensor, targets: Tensor) -> Tensor:
    """Logit of each picture's class: (N, classes) at (N,) -> (N,); ValueError where there is none.

    A model that answers in another shape is refused too.
    """
    if logits.ndim != 2 or len(logits) != len(targets):
        raise ValueError(
            f"the model gives {tuple(logits.shape)}: must be logits (N, classes). "
            "Try: a model that classifies."
        )
    outside = targets[(targets < 0) | (targets >= logits.shape[1])]
    if len(outside):
        raise ValueError(
            f"class {int(outside[0])}: the model has classes 0 to {logits.shape[1] - 1}. "
            "Try: classes=model(images).argmax(dim=1)."
        )
    return logits.gather(1, targets[:, None])[:, 0]


@torch.no_grad()
def answers_for(model: nn.Module, images: Tensor, targets: Tensor) -> Tensor:
    """Logit of each picture's class, (N,), without gradients."""
    with mode_restored(model):
        model.eval()
        return chosen(model(images), targets)
