"""Freezing a network up to a part: no gradient moves it, and no batch.

`requires_grad=False` stops the gradient alone. Batch normalisation goes on to take the mean and the
variance of every batch into its running statistics as long as it is in train mode, and dropout to
leave features out: "frozen" features then drift. Here a frozen module is in eval mode and stays
there, whatever `model.train()` says.
"""

from functools import cache
from typing import Any

from torch import nn

from cnncourse import messages
from cnncourse.transfer.parts import check_model, kind_of, parts


def freeze(model: nn.Module, until: str) -> None:
    """Freeze all that stands before a module, by its name; that one and the rest train.

    until is a part (see `parts`) or any module in one, such as "layer3.1"; "" freezes nothing. What
    was frozen before and stands behind it trains again. Before means registered before; what a
    module holds beside its own modules goes with what stands before these.

    A frozen parameter needs no gradient and loses the one it has; a frozen module is in eval mode
    and `train()` leaves it there; its class says so (FrozenSequential), state_dict() is the same.
    Make the optimiser afterwards: it has to know which parameters train. A normalisation that has
    no running statistics takes its batch's in any mode: what it gives is not fixed by freezing.

    Raises TypeError for what is no module, ValueError for an unknown name, and where a tensor that
    is to be frozen is also one that is to train.
    """
    check_model(model)
    modules = dict(model.named_modules())
    if until and until not in modules:
        raise ValueError(messages.unknown(until, "part", parts(model)))
    frozen = set(names_before(modules, until))
    check_not_shared(modules, frozen)
    held = {name for name in frozen if not f"{until}.".startswith(f"{name}.") and name}
    for name, module in modules.items():
        for parameter in module.parameters(recurse=False):
            if name in frozen:
                parameter.requires_grad_(False).grad = None
            elif parameter.is_floating_point() or parameter.is_complex():
                parameter.requires_grad_(True)
        set_kept(module, name in held, training=model.training)


def names_before(modules: dict[str, nn.Module], until: str) -> list[str]:
    """Names of the modules that are registered before one, with those that hold it."""
    return list(modules)[: list(modules).index(until)] if until else []


def check_not_shared(modules: dict[str, nn.Module], frozen: set[str]) -> None:
    """Raise ValueError where one tensor would be frozen under one name and train under another."""
    names: dict[int, str] = {}
    for name, module in modules.items():
        for own, parameter in module.named_parameters(recurse=False):
            whole = f"{name}.{own}" if name else own
            first = names.setdefault(id(parameter), whole)
            if (first.rpartition(".")[0] in frozen) != (name in frozen):
                raise ValueError(
                    f"{first!r} and {whole!r} are one tensor: it cannot be frozen and train. "
                    f"Try: until={first.rpartition('.')[0]!r}."
                )


# --- kept in eval mode ----------------------------------------------------------------------------


class Kept:
    """Mixed into a frozen module's class: train() leaves it, and all it holds, in eval mode."""

    built_from: type

    def train(self, mode: bool = True) -> Any:
        """Eval mode, whatever is asked for."""
        return super().train(False)  # type: ignore[misc]

    def __reduce_ex__(self, protocol: Any) -> tuple:
        """For copies and pickles: the class was made here, so it is made anew there."""
        return empty, (self.built_from,), self.__dict__


@cache
def kept_class(kind: type) -> type:
    """A class of modules in its frozen form: its name says so, isinstance holds as before."""
    body = {"__module__": kind.__module__, "__doc__": kind.__doc__, "built_from": kind}
    return type(f"Frozen{kind.__name__}", (Kept, kind), body)


def empty(kind: type) -> Any:
    """A frozen module of a kind, to be filled with what another one holds."""
    frozen: Any = kept_class(kind)
    return frozen.__new__(frozen)


def set_kept(module: nn.Module, kept: bool, *, training: bool) -> None:
    """Keep a module in eval mode from now on; or no longer: then it is in the mode that is given.

    Its parts are not touched.
    """
    kind = kind_of(module)
    was_kept = type(module) is not kind
    if kept != was_kept:
        module.__class__ = kept_class(kind) if kept else kind
    if kept or was_kept:
        module.training = training and not kept


def is_frozen(module: nn.Module) -> bool:
    """Whether a module is kept in eval mode by `freeze`."""
    return isinstance(module, Kept)
