"""The depth of a network: its parts in order, by name, as far as they have weights of their own."""

import torch
from torch import nn

from cnncourse import messages


def parts(model: nn.Module) -> tuple[str, ...]:
    """Names of the parts of a network, the first that meets the picture first.

    ResNet-18: conv1, layer1, layer2, layer3, layer4, fc. A part begins at a module with weight
    matrices or kernels; what has none (normalisation, activation, pool) belongs to the part before
    it. A Sequential of several such modules is one part if they are blocks of one kind, and several
    parts otherwise. The order is that in which the modules were registered.

    Raises TypeError for what is no module, ValueError for a network without two parts.
    """
    check_model(model)
    found = tuple(begins("", model))
    if len(found) < 2:
        said = found[0] if found else "none"
        rule = f"is a network of fewer than two parts ({said}): none stands before another"
        raise ValueError(f"{kind_of(model).__name__}: {rule}. Try: a model with a head of its own.")
    return found


def begins(prefix: str, module: nn.Module) -> list[str]:
    """Names at which parts begin, within a module whose own name is prefix."""
    found = []
    for name, child in module.named_children():
        if is_several(child):
            found += begins(f"{prefix}{name}.", child)
        elif has_weights(child):
            found.append(prefix + name)
    return found


def is_several(module: nn.Module) -> bool:
    """Whether a module is a Sequential of unlike parts, or of stages."""
    if not isinstance(module, nn.Sequential):
        return False
    if sum(has_weights(child) for child in module) < 2:
        return False
    kinds = {kind_of(child) for child in module}
    return len(kinds) > 1 or any(issubclass(kind, nn.Sequential) for kind in kinds)


def has_weights(module: nn.Module) -> bool:
    """Whether a module holds a matrix or kernels, not only a number for each channel."""
    return any(parameter.ndim >= 2 for parameter in module.parameters())


def part_of_each(model: nn.Module) -> dict[str, str]:
    """The part that each module belongs to, by both names, in the order of registration.

    A module that holds several parts belongs to the one before them, to the first if there is none.
    """
    names = parts(model)
    current, belongs = names[0], {}
    for name, _module in model.named_modules():
        current = next((part for part in names if f"{name}.".startswith(f"{part}.")), current)
        belongs[name] = current
    return belongs


def kind_of(module: nn.Module) -> type:
    """The class that a module was built from: what freezing mixed into it is left out."""
    return getattr(type(module), "built_from", type(module))


def check_model(model: nn.Module) -> None:
    """Raise TypeError or ValueError for what has no parameters that could be frozen one by one."""
    if not isinstance(model, nn.Module):
        rule, attempt = "must be a torch.nn.Module", "model=load_weights('resnet18').model"
        raise TypeError(messages.refusal("model", type(model).__name__, rule, attempt=attempt))
    wraps = nn.DataParallel, nn.parallel.DistributedDataParallel
    if isinstance(model, wraps):
        rule, attempt = "freeze what it wraps, and before it is wrapped", "model.module"
        raise TypeError(messages.refusal("model", type(model).__name__, rule, attempt=attempt))
    if hasattr(model, "_orig_mod"):  # by torch.compile
        rule, attempt = "freeze what it was compiled from, before it is compiled", "model._orig_mod"
        raise TypeError(messages.refusal("model", type(model).__name__, rule, attempt=attempt))
    if isinstance(model, torch.jit.ScriptModule):
        rule, attempt = "its parts cannot be changed", "the module that it was made from"
        raise TypeError(messages.refusal("model", type(model).__name__, rule, attempt=attempt))
    if any(isinstance(x, nn.parameter.UninitializedParameter) for x in model.parameters()):
        raise ValueError("model: a lazy layer has no shape yet. Try: run it once on a batch.")
