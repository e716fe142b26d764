"""Layers of any network by name, what comes out of them, and how a network is asked.

Every function that asks a network does so in eval mode and leaves it as it found it: its mode, its
gradients, and no hook behind.
"""

import difflib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from itertools import chain

import torch
from torch import Tensor, nn

from cnncourse.insight.checks import check_several, chosen
from cnncourse.measure import mode_restored
from cnncourse.preconditions import check_layer

UNCUT = "a model whose forward has no torch.no_grad() and no detach()"


def check_model(model: nn.Module) -> None:
    """Raise TypeError unless this is a network."""
    if not isinstance(model, nn.Module):
        raise TypeError(
            f"model of type {type(model).__name__}: must be a torch.nn.Module. "
            "Try: model=cnncourse.models.simple.SimpleCNN()."
        )


def layer_of(model: nn.Module, name: str) -> nn.Module:
    """The part of a model that has that name in named_modules(); ValueError where none has."""
    check_model(model)
    parts = {part_name: part for part_name, part in model.named_modules() if part_name}
    if isinstance(name, str) and name in parts:
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
    check_several("layers", names)
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
    check_model(model)
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


# --- asking ---------------------------------------------------------------------------------------


def passed(model: nn.Module, images: Tensor) -> Tensor:
    """What a model gives for pictures (N, C, H, W); ValueError where it cannot take them.

    It gets a copy, since its first operation may work in place.
    """
    shape = "x".join(map(str, images.shape[1:]))
    checks = [
        part.register_forward_pre_hook(partial(check_input, name, f"the images are {shape}"))
        for name, part in model.named_modules()
        if isinstance(part, nn.Conv2d | nn.Linear)
    ]
    try:
        return model(images.clone())
    except RuntimeError as error:
        if any(words in str(error) for words in ("allocate memory", "out of memory")):
            raise
        raise ValueError(misfit(model, images)) from error
    finally:
        for check in checks:
            check.remove()


def check_input(name: str, images_are: str, layer: nn.Module, inputs: tuple) -> None:
    """Raise ValueError where a convolution or a linear layer is about to get what does not fit."""
    least = 1 if isinstance(layer, nn.Linear) else 3
    if inputs and isinstance(inputs[0], Tensor) and inputs[0].ndim >= least:
        check_layer(name, images_are, layer, inputs)


def misfit(model: nn.Module, images: Tensor) -> str:
    """Why a pass broke off: numbers of another kind, at another place, or maps that are too small.

    The first number of the model stands for all.
    """
    tensors = chain(model.parameters(), model.buffers())
    own = next((tensor for tensor in tensors if tensor.is_floating_point()), images)
    shape, kinds = tuple(images.shape), [str(x.dtype).removeprefix("torch.") for x in (images, own)]
    if images.dtype != own.dtype:
        return f"images {kinds[0]}: the model is {kinds[1]}. Try: images.to({own.dtype})."
    if images.device != own.device:
        there = str(own.device)
        return f"images on {images.device}: the model is on {there}. Try: images.to({there!r})."
    attempt = "Try: images of the size that the model was built for"
    return f"images {shape}: they do not go through {type(model).__name__}. {attempt}."


def slope(total: Tensor, at: Tensor, *, said: str, attempt: str) -> Tensor:
    """Gradient of a number at a tensor; ValueError, with what is said, where there is none."""
    found = None
    if total.requires_grad:
        (found,) = torch.autograd.grad(total, at, allow_unused=True)
    if found is None:
        raise ValueError(f"{said}: the logits do not depend on it. Try: {attempt}.")
    return found


@torch.no_grad()
def answers_for(model: nn.Module, images: Tensor, targets: Tensor) -> Tensor:
    """Logit of each picture's class, (N,), without gradients."""
    check_model(model)
    with mode_restored(model):
        model.eval()
        return chosen(passed(model, images), targets)
