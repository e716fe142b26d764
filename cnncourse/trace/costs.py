"""What an operation of torch costs: its MACs, or that it has none, or that we do not know.

Source of the names: torch's native operations ("aten"), to which all its layers come down.
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

# --- an operation as torch hands it over ----------------------------------------------------------


def name_of(operation: Any) -> str:
    """Name without the variant: aten::add.Tensor is "add"."""
    return operation._schema.name.partition("::")[2]


def named_arguments(operation: Any, args: Sequence, kwargs: Mapping) -> dict[str, Any]:
    """Arguments by name, with the operation's defaults."""
    known = operation._schema.arguments
    given = {one.name: one.default_value for one in known if one.has_default_value()}
    given.update((one.name, value) for one, value in zip(known, args, strict=False))
    return {**given, **kwargs}


def tensors(value: object) -> Iterator[Tensor]:
    """All tensors in a tensor, or in lists, tuples and dictionaries of them."""
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, Mapping):
        yield from (one for part in value.values() for one in tensors(part))
    elif isinstance(value, list | tuple):
        yield from (one for part in value for one in tensors(part))


# --- what is counted ------------------------------------------------------------------------------


def convolution_macs(given: dict[str, Any], output: Tensor) -> int:
    """Every weight is used once at every place: of the output, or, transposed, of the input."""
    places = given["input"] if given["transposed"] else output
    return given["weight"].numel() * places.shape[0] * math.prod(places.shape[2:])


def product_macs(left: Tensor, right: Tensor) -> int:
    """(..., n, k) times (..., k, m): every number on the left meets m on the right."""
    return left.numel() * right.shape[-1]


COSTS: dict[str, Callable[[dict[str, Any], Tensor], int]] = {
    "convolution": convolution_macs,
    "mm": lambda given, _: product_macs(given["self"], given["mat2"]),
    "addmm": lambda given, _: product_macs(given["mat1"], given["mat2"]),
    "bmm": lambda given, _: product_macs(given["self"], given["mat2"]),
    "baddbmm": lambda given, _: product_macs(given["batch1"], given["batch2"]),
    "addbmm": lambda given, _: product_macs(given["batch1"], given["batch2"]),
    "mv": lambda given, _: given["self"].numel(),
    "addmv": lambda given, _: given["mat"].numel(),
    "dot": lambda given, _: given["self"].numel(),
    "_trilinear": lambda given, _: len(given["i1"]) * given["i2"].numel(),  # nn.Bilinear
}

# --- what counts none -----------------------------------------------------------------------------

POOLS = {
    *("avg_pool1d", "avg_pool2d", "avg_pool3d"),
    *("max_pool2d_with_indices", "max_pool3d_with_indices"),
}
ADAPTIVE_POOLS = {
    *("_adaptive_avg_pool2d", "_adaptive_avg_pool3d"),
    *("adaptive_max_pool2d", "adaptive_max_pool3d"),
}
BATCH_NORMS = {
    *("native_batch_norm", "_native_batch_norm_legit", "_native_batch_norm_legit_no_training"),
    *("_batch_norm_no_update", "_batch_norm_with_update", "cudnn_batch_norm"),
}
NORMS = {*BATCH_NORMS, "native_layer_norm", "native_group_norm", "_fused_rms_norm"}
SOFTMAX = {"_softmax", "_log_softmax", "_safe_softmax"}
REDUCTIONS = {
    *("sum", "mean", "prod", "std", "var", "var_mean", "amax", "amin", "max", "min", "argmax"),
    *("argmin", "logsumexp", "any", "all", "norm", "linalg_vector_norm"),
}
PADS = {
    "constant_pad_nd",
    *(f"{kind}_pad{axes}d" for kind in ("reflection", "replication") for axes in (1, 2, 3)),
}
MOVES = {  # numbers from one place of memory to another, or new ones
    *("cat", "stack", "clone", "_to_copy", "_unsafe_view", "roll", "flip", "repeat"),
    *("index", "index_select", "index_put", "gather", "scatter", "masked_select", "embedding"),
    *("_embedding_bag", "repeat_interleave", "pixel_shuffle", "pixel_unshuffle", "unsafe_split"),
    *(
        "channel_shuffle",
        "native_channel_shuffle",
        "im2col",
        "col2im",
        "tril",
        "triu",
        "topk",
        "sort",
        "nonzero",
    ),
    *("bernoulli", "native_dropout"),
    *("_local_scalar_dense", "equal", "is_nonzero", "cumsum", "cumprod"),
    *(f"upsample_{kind}2d" for kind in ("nearest", "bilinear", "bicubic")),
}
FREE = POOLS | ADAPTIVE_POOLS | NORMS | SOFTMAX | REDUCTIONS | PADS | MOVES


def is_pointwise(operation: Any) -> bool:
    """Whether it works number by number."""
    return torch.Tag.pointwise in operation.tags


def is_new(operation: Any) -> bool:
    """Whether an operation takes a tensor's shape and type, and none of its numbers."""
    return name_of(operation).startswith("new_") or name_of(operation).endswith("_like")


def is_free(operation: Any) -> bool:
    """Whether an operation has no MACs by the convention; False where we do not know it.

    A result that is its input's memory is a view of it, or was written in place.
    """
    if operation.namespace != "aten":
        return False
    in_place = any(value.alias_info is not None for value in operation._schema.returns)
    moves = in_place or is_new(operation) or name_of(operation) in FREE
    return moves or is_pointwise(operation)


def macs_of(operation: Any, given: dict[str, Any], output: Any) -> int | None:
    """Multiply-accumulates of an operation; None where we do not know."""
    name = name_of(operation).removesuffix("_")
    if name in COSTS and operation.namespace == "aten":
        return COSTS[name](given, output)
    is_source = next(tensors(list(given.values())), None) is None  # such as torch.zeros
    return 0 if is_source or is_free(operation) else None


def is_crossed(operation: Any, data: Sequence[Tensor], output: Any) -> bool:
    """Whether every number of the data meets many: a product written by hand, number by number.

    So it is where the output is larger than all of an operation's inputs that are data.
    """
    if not is_pointwise(operation) or not data or not isinstance(output, Tensor):
        return False
    return output.numel() > max(x.numel() for x in data)
