"""Outcomes of code: whether two are the same, and how one is told in few words."""

import math
import sys
from types import ModuleType
from typing import Any

import numpy as np

SMALL = 16  # so many numbers of an array or tensor are shown


def torch_if_loaded() -> ModuleType | None:
    """PyTorch where somebody has imported it: a lesson on arrays alone never does."""
    return sys.modules.get("torch")


def same(first: object, second: object) -> bool:
    """Whether two outcomes are equal: type, shape and dtype exactly, numbers to 1e-5.

    A single number of NumPy is as good as Python's; a list is as good as a tuple.
    """
    first, second = (x.item() if isinstance(x, np.generic) else x for x in (first, second))
    if isinstance(first, Exception) or isinstance(second, Exception):
        return type(first) is type(second)
    if isinstance(first, tuple | list) and isinstance(second, tuple | list):
        pairs = zip(first, second, strict=False)
        return len(first) == len(second) and all(same(one, other) for one, other in pairs)
    if isinstance(first, np.ndarray) and isinstance(second, np.ndarray):
        alike = (first.shape, first.dtype) == (second.shape, second.dtype)
        return alike and np.allclose(first, second, atol=1e-5, equal_nan=True)
    torch = torch_if_loaded()
    if torch and isinstance(first, torch.Tensor) and isinstance(second, torch.Tensor):
        return same_tensors(torch, first, second)
    if torch and isinstance(first, torch.nn.Module) and isinstance(second, torch.nn.Module):
        return repr(first) == repr(second)
    if isinstance(first, float) and isinstance(second, float):
        return math.isclose(first, second, rel_tol=1e-5, abs_tol=1e-7) or first == second
    return type(first) is type(second) and bool(first == second)


def same_tensors(torch: ModuleType, first: Any, second: Any) -> bool:
    """Whether two tensors are equal, by `same`'s rules; on "meta" only what is known there."""
    kinds = [(tensor.shape, tensor.dtype, tensor.device) for tensor in (first, second)]
    if kinds[0] != kinds[1] or first.is_meta:
        return kinds[0] == kinds[1]
    return torch.allclose(first.double(), second.double(), atol=1e-5, equal_nan=True)


def types_alone(got: object, expected: object) -> str:
    """A sentence where the numbers agree and the types do not; else nothing."""
    numbers = int | float | np.number | np.ndarray | tuple | list
    if not isinstance(got, numbers) or not isinstance(expected, numbers):
        return ""
    try:
        one, other = np.asarray(got, dtype=float), np.asarray(expected, dtype=float)
    except (TypeError, ValueError, RuntimeError):  # no numbers, ragged, or tensors with gradients
        return ""
    came, asked = kind(got), kind(expected)
    if not same(one, other) or came == asked:
        return ""
    return f" The numbers agree, the type does not: {came}, where {asked} is asked for."


def first_place(got: object, expected: object) -> str:
    """A sentence on where two arrays of one shape, too large to be shown, differ; else nothing."""
    if not isinstance(got, np.ndarray) or not isinstance(expected, np.ndarray):
        return ""
    if got.shape != expected.shape or got.size <= SMALL or got.dtype.kind not in "biuf":
        return ""
    different = np.argwhere(~np.isclose(got, expected, atol=1e-5, equal_nan=True))
    if not len(different):
        return ""
    place = tuple(different[0].tolist())
    one, other = shown(got[place]), shown(expected[place])
    return f" They differ first at {place}: {one} instead of {other}."


def kind(outcome: object) -> str:
    """Type of numbers in words."""
    if isinstance(outcome, np.ndarray):
        return f"NumPy array of {outcome.dtype}"
    parts = outcome if isinstance(outcome, tuple | list) else ()
    names = dict.fromkeys(type(part).__name__ for part in parts)
    return " of ".join(filter(None, (type(outcome).__name__, " and ".join(names))))


def said(outcome: object) -> tuple:
    """Text and notes of an error; nothing of any other outcome."""
    if not isinstance(outcome, Exception):
        return ()
    return str(outcome), *getattr(outcome, "__notes__", [])


def shown(outcome: object) -> str:
    """An outcome in few words: a small tensor with its numbers, a large one by shape and type."""
    if outcome is None:
        return "None (is a `return` missing?)"
    if isinstance(outcome, Exception):
        text, *notes = said(outcome)
        words = " ".join([text.splitlines()[0] if text else "", *notes]).rstrip(".")
        return f"{type(outcome).__name__}: {words}"
    if isinstance(outcome, np.generic):
        outcome = outcome.item()
    if isinstance(outcome, np.ndarray):
        numbers = np.round(outcome.astype(float), 4) if outcome.dtype.kind == "f" else outcome
        few = numbers.tolist() if outcome.size <= SMALL and outcome.dtype != object else ""
        return f"NumPy array, {outcome.dtype} {outcome.shape} {few}".rstrip()
    torch = torch_if_loaded()
    if torch and isinstance(outcome, torch.Tensor):
        kind = f"{str(outcome.dtype).removeprefix('torch.')} {tuple(outcome.shape)}"
        if outcome.is_meta or outcome.numel() > SMALL:
            return f"{kind} on {outcome.device}"
        return f"{kind} {[round(value, 4) for value in outcome.double().flatten().tolist()]}"
    if isinstance(outcome, tuple | list):
        parts = ", ".join(shown(part) for part in outcome)
        if isinstance(outcome, list):
            return shortened(f"[{parts}]")
        return shortened(f"({parts},)" if len(outcome) == 1 else f"({parts})")
    return f"{outcome:.5g}" if isinstance(outcome, float) else shortened(named(outcome))


def named(outcome: object) -> str:
    """The repr of an outcome, or what it is where that is an address in memory."""
    if callable(outcome) and hasattr(outcome, "__name__"):
        return f"the function {outcome.__name__} (are its brackets missing?)"
    words = repr(outcome)
    return f"something of type {type(outcome).__name__}" if words.startswith("<") else words


def shortened(words: str) -> str:
    """At most 300 characters."""
    return words if len(words) <= 300 else words[:296] + " ..."
