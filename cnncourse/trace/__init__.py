"""One input through any module, at no cost: what every layer gives, holds, computes and sees.

The pass is made on torch's "meta" device, where tensors have a shape but no numbers. One MAC is a
multiplication and an addition, two FLOPs. MACs are those of convolutions and of matrix products
(full connections, attention), wherever in a module they are called; by convention biases,
number-by-number work, pooling and normalisation count none. All figures are for the whole batch.
"""

from collections.abc import Sequence

import torch
from torch import nn

from cnncourse.messages import refusal
from cnncourse.trace.table import Row, Trace
from cnncourse.trace.watch import Call, Watch, stand_ins, watched

__all__ = ["Row", "Trace", "trace"]


def trace(
    model: nn.Module,
    input_shape: Sequence = (1, 3, 224, 224),
    *,
    dtype: torch.dtype | None = None,
) -> Trace:
    """Every layer of a model for one input of a shape, (N, C, H, W); or a list of shapes.

    A row is a module without parts, or one that computes or holds parameters beside its parts.
    The model runs once in eval mode and is left as it was; what functions do between its layers
    has no row. dtype is the inputs' (default: of the model's first parameter). A model that needs
    numbers is run on zeros where it is, and the trace's note says so.
    Raises TypeError for what is no module, ValueError where the model does not take such inputs.
    """
    shapes = checked_shapes(model, input_shape)
    first = next(model.parameters(), torch.zeros(()))
    try:
        return traced(model, shapes, dtype or first.dtype, torch.device("meta"))
    except ValueError:
        if first.device.type == "meta":
            raise
    return traced(model, shapes, dtype or first.dtype, first.device)


@torch.inference_mode(False)
def traced(
    model: nn.Module, shapes: Sequence[Sequence[int]], dtype: torch.dtype, device: torch.device
) -> Trace:
    """One pass on a device; raises ValueError with the name of the layer that cannot do it."""
    parameters, buffers = stand_ins(model, device)
    inputs = [torch.zeros(tuple(shape), dtype=dtype, device=device) for shape in shapes]
    watch = Watch(model, parameters, inputs)
    with watched(model, watch), device:
        try:
            torch.func.functional_call(model, parameters | buffers, tuple(inputs))
        except Exception as error:
            raise ValueError(explained(error, watch.calls)) from error
    note = "" if device.type == "meta" else "run on zeros: the model needs numbers to run"
    trainable = sum(x.numel() for x in model.parameters() if x.requires_grad)
    unknown = tuple(dict.fromkeys(row.name for row in watch.rows if "not counted" in row.note))
    rows = (*watch.rows, *idle_rows(model, watch))
    return Trace(rows, trainable, unknown, note, watch.ends)


def idle_rows(model: nn.Module, watch: Watch) -> list[Row]:
    """Rows of the modules whose parameters met nothing in the pass."""
    sizes: dict[str, int] = {}
    for name, size in watch.waiting.items():
        owner = name.rpartition(".")[0]
        sizes[owner] = sizes.get(owner, 0) + size
    kinds = {name: type(module).__name__ for name, module in model.named_modules()}
    return [
        Row(name, kinds[name], (), size, 0, 0, None, "never ran") for name, size in sizes.items()
    ]


# --- what is refused ------------------------------------------------------------------------------


def checked_shapes(model: nn.Module, input_shape: Sequence) -> list[tuple[int, ...]]:
    """One shape for each input; raises TypeError or ValueError where there is nothing to trace."""
    if not isinstance(model, nn.Module):
        rule, attempt = "must be a torch.nn.Module", "trace(torch.nn.Conv2d(3, 8, 3))"
        raise TypeError(refusal("model", model, rule, attempt=attempt))
    if isinstance(model, torch.jit.ScriptModule | nn.DataParallel):
        rule, attempt = "its layers cannot be watched", "the module that it was made from"
        raise TypeError(refusal("model", type(model).__name__, rule, attempt=attempt))
    if any(isinstance(x, nn.parameter.UninitializedParameter) for x in model.parameters()):
        raise ValueError("model: a lazy layer has no shape yet. Try: run it once on a batch.")
    is_list = isinstance(input_shape, list | tuple) and len(input_shape) > 0
    several = is_list and all(isinstance(shape, list | tuple) for shape in input_shape)
    shapes = input_shape if several else [input_shape]
    for shape in shapes:
        whole = isinstance(shape, list | tuple) and all(type(size) is int for size in shape)
        if not whole or not shape or min(shape) < 1:
            rule = "must be whole numbers, 1 or more, the batch first"
            attempt = "input_shape=(1, 3, 224, 224)"
            raise ValueError(refusal("input_shape", input_shape, rule, attempt=attempt))
    return [tuple(shape) for shape in shapes]


def explained(error: Exception, calls: Sequence[Call]) -> str:
    """The contract's sentence for a pass that failed: the layer, and what came to it.

    A ValueError's own words are kept; other errors may be torch's inner ones, and are the cause.
    """
    if not calls:
        return f"model: {type(error).__name__} before its first layer. Try: another input_shape."
    call = calls[-1]
    is_whole = call.name == "(model)"
    layer = f"{'model' if is_whole else f'layer {call.name!r}'} ({type(call.module).__name__})"
    if isinstance(error, ValueError):
        return str(error) if is_whole else f"{layer}: {error}"
    said = missed(call) or f"does not take {' and '.join(map(str, call.input_shapes))}"
    return f"{layer} {said}. Try: the input_shape that the model was built for."


def missed(call: Call) -> str:
    """What a layer expects where something else came to it; else nothing."""
    shape = call.input_shapes[0] if call.input_shapes else ()
    for attribute, words, axis in (("in_features", "features", -1), ("in_channels", "channels", 1)):
        wanted = getattr(call.module, attribute, None)
        if wanted is not None and len(shape) > 1 and shape[axis] != wanted:
            return f"expects {wanted} {words}, gets {shape[axis]}: its input is {shape}"
    return ""
