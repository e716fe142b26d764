"""One watched pass: every operation of torch, and the module in which it was called."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils._python_dispatch import TorchDispatchMode

from cnncourse.trace import costs, fields
from cnncourse.trace.fields import Place
from cnncourse.trace.table import Row


@dataclass
class Call:
    """A module at work, and what was done in it but not in its parts."""

    name: str
    module: nn.Module
    input_shapes: list[tuple[int, ...]]
    macs: int = 0
    unknown: set[str] = field(default_factory=set)  # operations
    parameters: set[str] = field(default_factory=set)


class Watch(TorchDispatchMode):
    """Adds up what operations cost, and follows what they see; a row for every call that ends."""

    def __init__(
        self, model: nn.Module, parameters: Mapping[str, Tensor], inputs: Sequence[Tensor]
    ) -> None:
        super().__init__()
        self.names = {module: name or "(model)" for name, module in model.named_modules()}
        self.waiting = {name: value.numel() for name, value in parameters.items()}  # not counted
        self.learned = {id(value): name for name, value in parameters.items()}
        self.calls: list[Call] = []  # the innermost last
        self.rows: list[Row] = []
        self.ends: dict[str, Row] = {}  # what came out of each module, by name
        self.ran: set[nn.Module] = set()
        self.places: dict[int, Place | None] = {}  # by the id of a tensor that depends on the input
        self.mixed: set[int] = set()  # memory of which a part was overwritten
        self.held = {memory(x) for x in inputs}  # memory that is not new
        self.alive: list[Tensor] = []  # an id is a tensor's own for as long as it lives
        for index, x in enumerate(inputs):
            self.mark(x, None if index else fields.place_of_input(x))

    # --- operations -----------------------------------------------------------------------------

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        output = func(*args, **(kwargs or {}))
        given = costs.named_arguments(func, args, kwargs or {})
        self.count(func, given, output)
        self.follow(func, given, output)
        return output

    def count(self, operation: Any, given: dict[str, Any], output: Any) -> None:
        """Add an operation's MACs to the module in which it was called."""
        if not self.calls:
            return
        call, inputs = self.calls[-1], list(costs.tensors(list(given.values())))
        call.parameters |= {self.learned[id(x)] for x in inputs if id(x) in self.learned}
        data = [x for x in inputs if self.depends(x)]
        macs = costs.macs_of(operation, given, output)
        if data and (macs is None or costs.is_crossed(operation, data, output)):
            call.unknown.add(costs.name_of(operation))
        call.macs += macs or 0

    def follow(self, operation: Any, given: dict[str, Any], output: Any) -> None:
        """Note what an operation's outputs see of the input, where they depend on it."""
        inputs = [x for x in costs.tensors(list(given.values())) if self.depends(x)]
        if not inputs or costs.is_new(operation):
            return
        for y in costs.tensors(output):
            seen = [(x, self.place(x)) for x in inputs]
            self.mark(
                y, fields.union([p and fields.after(operation, given, p, x, y) for x, p in seen])
            )
            if operation._schema.is_mutable and y.nbytes < y.untyped_storage().nbytes():
                self.mixed.add(memory(y))

    def depends(self, tensor: Tensor) -> bool:
        """Whether a tensor depends on the input."""
        return id(tensor) in self.places or memory(tensor) in self.mixed

    def place(self, tensor: Tensor) -> Place | None:
        """Place of a tensor that depends on the input."""
        return None if memory(tensor) in self.mixed else self.places.get(id(tensor))

    def mark(self, tensor: Tensor, place: Place | None) -> None:
        """Remember a tensor that depends on the input."""
        self.alive.append(tensor)
        self.places[id(tensor)] = place

    # --- modules --------------------------------------------------------------------------------

    def enter(self, module: nn.Module, args: Any, kwargs: Any) -> None:
        """Hook before a module runs."""
        shapes = [tuple(x.shape) for x in costs.tensors([args, kwargs])]
        self.calls.append(Call(self.names[module], module, shapes))

    def leave(self, module: nn.Module, _args: Any, output: Any) -> None:
        """Hook after a module ran: a row for a layer, and for whatever computes or holds more."""
        call = self.calls.pop()
        while call.module is not module:  # it raised, and the model caught that
            call = self.calls.pop()
        prefix = "" if call.name == "(model)" else f"{call.name}."
        own = {prefix + name for name, _ in module.named_parameters(recurse=False)}
        used = self.waiting.keys() & (own | call.parameters)
        is_layer = next(module.children(), None) is None
        outputs = list(costs.tensors(output))
        if is_layer or used or call.macs or call.unknown:
            self.rows.append(self.row(call, used, outputs))
        if outputs:
            place = self.place(outputs[0])
            seen = place.field if place else None
            shape = tuple(outputs[0].shape)
            self.ends[call.name] = Row(call.name, type(module).__name__, shape, 0, 0, 0, seen)
        self.ran.add(module)

    def row(self, call: Call, used: set[str], outputs: Sequence[Tensor]) -> Row:
        """Row of a call that has ended."""
        new = {memory(x): x.untyped_storage().nbytes() for x in outputs}
        new = {place: size for place, size in new.items() if place not in self.held}
        self.held |= new.keys()
        self.alive += outputs
        notes = [
            "no memory of its own" if outputs and not new else "",
            f"{len(outputs)} outputs" if len(outputs) > 1 else "",
            "used again: parameters counted above" if self.is_repeated(call.module) else "",
            f"not counted: {', '.join(sorted(call.unknown))}" if call.unknown else "",
        ]
        place = self.place(outputs[0]) if outputs else None
        return Row(
            call.name,
            type(call.module).__name__,
            tuple(outputs[0].shape) if outputs else (),
            sum(self.waiting.pop(name) for name in used),
            call.macs,
            sum(new.values()),
            place.field if place else None,
            "; ".join(filter(None, notes)),
        )

    def is_repeated(self, module: nn.Module) -> bool:
        """Whether a module with parameters has run before."""
        return module in self.ran and next(module.parameters(), None) is not None


def memory(tensor: Tensor) -> int:
    """Number of the memory that a tensor lies in; views of it share the number."""
    return tensor.untyped_storage()._cdata


# --- around the pass ------------------------------------------------------------------------------


def stand_ins(model: nn.Module, device: torch.device) -> tuple[dict[str, Any], dict[str, Any]]:
    """Parameters and buffers for a pass: shapes without numbers on "meta"; else copied buffers."""
    parameters, buffers = dict(model.named_parameters()), dict(model.named_buffers())
    if device.type != "meta":
        return parameters, {name: value.clone() for name, value in buffers.items()}
    empty = {name: torch.empty_like(value, device=device) for name, value in parameters.items()}
    return (
        {name: nn.Parameter(value, requires_grad=False) for name, value in empty.items()},
        {name: torch.empty_like(value, device=device) for name, value in buffers.items()},
    )


@contextmanager
def watched(model: nn.Module, watch: Watch) -> Iterator[None]:
    """Eval mode, hooks and torch's plain ways of computing; afterwards all is as it was."""
    modes = [(module, module.training) for module in model.modules()]
    fast = torch.backends.mha.get_fastpath_enabled()
    with ExitStack() as stack:
        for guard in (
            torch.no_grad(),
            torch.random.fork_rng(devices=[]),
            sdpa_kernel(SDPBackend.MATH),
        ):
            stack.enter_context(guard)
        try:
            torch.backends.mha.set_fastpath_enabled(False)
            for module, _ in modes:
                module.training = False
                before = module.register_forward_pre_hook(watch.enter, with_kwargs=True)
                stack.callback(before.remove)
                stack.callback(module.register_forward_hook(watch.leave).remove)
            with watch:
                yield
        finally:
            torch.backends.mha.set_fastpath_enabled(fast)
            for module, training in modes:
                module.training = training
