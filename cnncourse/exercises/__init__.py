"""Exercises that answer back: one record each, checked against its solution on growing cases.

A wrong answer is told by what it does: where the learner's function behaves as a likely mistake
does, on every case, the learner hears the sentence for that mistake.
"""

import contextlib
import copy
import dis
import html
import io
import math
import re
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from types import FunctionType, ModuleType
from typing import Any

import numpy as np

SMALL = 16  # so many numbers of an array or tensor are shown
BEGIN, END = "### BEGIN SOLUTION", "### END SOLUTION"  # nbgrader's and otter's marks


@dataclass(frozen=True)
class WrongAnswer:
    """A likely mistake, as code, and the sentence that it earns."""

    code: str
    says: str


@dataclass(frozen=True)
class Question:
    """A guess to make before a cell shows the answer; kept here, out of the reader's sight."""

    text: str
    options: tuple[str, ...]
    answer: str  # one of the options
    why: str


@dataclass(frozen=True)
class Feedback:
    """Answer to an attempt; kind is "not tried", "right", "wrong", "hint" or "solution"."""

    kind: str
    text: str

    def __repr__(self) -> str:
        return f"{self.kind}: {self.text}"

    def _repr_html_(self) -> str:
        color = {"right": "#009E73", "wrong": "#D55E00"}.get(self.kind, "#0072B2")
        return (
            f'<div role="status" style="border-left: 4px solid {color}; padding: 4px 10px">'
            f'<b>{self.kind}</b><pre style="white-space: pre-wrap; margin: 0">'
            f"{html.escape(self.text)}</pre></div>"
        )


def call(function: Callable, arguments: tuple) -> object:
    """Outcome of most exercises: what the function returns."""
    return function(*arguments)


@dataclass(frozen=True)
class Exercise:
    """One exercise. The name is that of the function which the learner writes.

    case(number) gives the arguments of a case, made anew at every call, from small to large;
    outcome(function, arguments) is what is compared; describe(*arguments) says a case in words.
    Wrong answers are told apart by their outcomes; of two errors, by type, text and notes.
    """

    name: str
    task: str
    stub: str
    hints: tuple[str, str, str]
    solution_code: str
    wrong: tuple[WrongAnswer, ...]
    case: Callable[[int], tuple]
    describe: Callable[..., str]
    outcome: Callable[[Callable, tuple], object] = call
    cases: int = 30

    def check(self, answer: Callable) -> Feedback:
        """Compare the learner's function with the solution; say what the first difference is."""
        if untouched(answer):
            return Feedback("not tried", f"write {self.name}, then run this cell again.")
        found = self.first_difference(answer)
        if found is None and (changed := self.first_change(answer)):
            return Feedback("wrong", changed)
        if found is None:
            return Feedback("right", f"{self.name} agrees with the solution on {self.cases} cases.")
        with contextlib.redirect_stdout(io.StringIO()):  # the learner's prints were shown above
            earned = next((m.says for m in self.wrong if self.behaves_as(answer, m)), "")
        return Feedback("wrong", f"{earned}\n{found}" if earned else found)

    def hint(self, number: int = 1) -> Feedback:
        """First, second or third hint; each helps more."""
        if number not in (1, 2, 3):
            raise ValueError(f"number={number!r}: there are three hints. Try: hint(1).")
        more = f"\nMore help: .hint({number + 1})" if number < 3 else "\nThe answer: .solution()"
        return Feedback("hint", self.hints[number - 1] + more)

    def solution(self) -> Feedback:
        """The official solution, as text."""
        return Feedback("solution", self.solution_code)

    @property
    def solved(self) -> str:
        """The stub with the solution's body in it, between the marks of nbgrader and otter."""
        _, body = self.solution_code.split("\n", maxsplit=1)
        return self.stub.replace("    ...", f"    {BEGIN}\n{body}\n    {END}")

    def first_difference(self, answer: Callable) -> str | None:
        """The smallest case on which the answer differs, in words; None where there is none."""
        right = compiled(self.solution_code, self.name)
        for number in range(self.cases):
            expected, got = self.run(right, number), self.run(answer, number)
            if not same(got, expected):
                where = self.describe(*self.case(number))
                verb = "raises" if isinstance(got, Exception) else "gives"
                told = f"{where}: yours {verb} {shown(got)}; expected {shown(expected)}."
                return told + types_alone(got, expected) + first_place(got, expected)
        return None

    def first_change(self, answer: Callable) -> str | None:
        """The smallest case in which a right answer spoils an array or a list that it was given."""
        right = compiled(self.solution_code, self.name)
        for number in range(self.cases):
            for place in sorted(self.changed(answer, number) - self.changed(right, number)):
                name = right.__code__.co_varnames[place]
                return (
                    f"{self.describe(*self.case(number))}: the result is right, but yours changes "
                    f"`{name}`, which its caller may still need. Try: {name} = {name}.copy() first."
                )
        return None

    def changed(self, function: Callable, number: int) -> set[int]:
        """Places of the arguments, arrays and lists, that the function changes on a case."""
        with seeded(number), contextlib.redirect_stdout(io.StringIO()):
            arguments = self.case(number)
            kept = {n: x for n, x in enumerate(arguments) if isinstance(x, np.ndarray | list)}
            before = copy.deepcopy(kept)
            if kept:
                with contextlib.suppress(Exception):  # then nothing came out, for the solution too
                    self.outcome(function, arguments)
        return {place for place, value in kept.items() if not same(value, before[place])}

    def behaves_as(self, answer: Callable, mistake: WrongAnswer) -> bool:
        """Whether the answer gives what the mistake gives, and fails as it fails, on every case."""
        wrong = compiled(mistake.code, self.name)
        for number in range(self.cases):
            one, other = self.run(answer, number), self.run(wrong, number)
            if not same(one, other) or said(one) != said(other):
                return False
        return True

    def run(self, function: Callable, number: int) -> object:
        """Outcome on a case; an exception is an outcome too. The same random numbers for all."""
        with seeded(number):
            try:
                return self.outcome(function, self.case(number))
            except Exception as error:  # whatever the learner's code raises is an answer
                return error


def torch_if_loaded() -> ModuleType | None:
    """PyTorch where somebody has imported it: a lesson on arrays alone never does."""
    return sys.modules.get("torch")


def seeded(number: int) -> AbstractContextManager:
    """PyTorch's random numbers from that seed inside the block, as they were after it."""
    torch = torch_if_loaded()
    if torch is None:
        return contextlib.nullcontext()
    forked = contextlib.ExitStack()
    forked.enter_context(torch.random.fork_rng([]))
    torch.manual_seed(number)
    return forked


def names_for(code: str) -> dict[str, object]:
    """Modules by the names that records use; PyTorch only where the code speaks of it."""
    names: dict[str, object] = {"np": np, "math": math}
    if re.search(r"\b(torch|nn|F)\b", code):
        import torch

        names |= {"torch": torch, "nn": torch.nn, "F": torch.nn.functional}
    return names


def compiled(code: str, name: str) -> Callable:
    """The function of that name which the code of a record defines."""
    namespace = names_for(code)
    exec(code, namespace)  # our own text, from the records in this package
    function = namespace[name]
    assert isinstance(function, FunctionType)
    return function


def untouched(function: Callable) -> bool:
    """Whether the body of a function is empty: a docstring and `...`."""
    if not isinstance(function, FunctionType):
        return False
    empty = {"RESUME", "NOP", "LOAD_CONST", "RETURN_VALUE", "RETURN_CONST"}
    steps = list(dis.get_instructions(function))
    returned = [step.argval for step in steps if step.opname in ("LOAD_CONST", "RETURN_CONST")]
    return all(step.opname in empty for step in steps) and returned == [None]


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
