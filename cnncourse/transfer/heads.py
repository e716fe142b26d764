"""The head of a network: the last linear layer, which names the classes."""

import torch
from torch import nn

from cnncourse import messages
from cnncourse.transfer.parts import check_model


def head_name(model: nn.Module, head: str = "") -> str:
    """Name of the linear layer of that name; "" finds the last that is registered.

    Raises ValueError where there is none, or the name is another layer's.
    """
    check_model(model)
    modules = dict(model.named_modules())
    linear = [name for name, layer in modules.items() if isinstance(layer, nn.Linear) and name]
    if not linear:
        kind = type(model).__name__
        raise ValueError(f"{kind} has no linear layer in it. Try: a model that ends in one.")
    if head and head not in modules:
        raise ValueError(messages.unknown(head, "layer", linear[-3:]))
    if head and head not in linear:
        rule = f"is a {type(modules[head]).__name__}, the head must be a Linear"
        raise ValueError(messages.refusal("head", head, rule, attempt=f"head={linear[-1]!r}"))
    return head or linear[-1]


def replace_head(model: nn.Module, num_classes: int, *, head: str = "", seed: int = 0) -> str:
    """Put a fresh linear layer for num_classes in the place of the head, and give its name.

    (N, D) -> (N, num_classes), D and the bias as they were, drawn from the seed, as torch draws
    them: the caller's random numbers stay. It trains; what stands before it is as it was.
    Raises ValueError where there is no such layer, and for fewer than two classes.
    """
    messages.check_at_least("num_classes", num_classes, 2)
    messages.check_at_least("seed", seed, 0)
    name = head_name(model, head)
    old = model.get_submodule(name)
    assert isinstance(old, nn.Linear)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        new = nn.Linear(old.in_features, num_classes, bias=old.bias is not None)
    new.to(old.weight.device, old.weight.dtype).train(model.training)
    parent, _, own = name.rpartition(".")
    setattr(model.get_submodule(parent), own, new)
    return name
