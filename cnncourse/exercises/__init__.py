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
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from types import CodeType, FunctionType

import numpy as np

from cnncourse.outcomes import first_place, said, same, shown, torch_if_loaded, types_alone

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

    faulty says that the stub is code with faults in it, and the task to mend it.
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
    faulty: bool = False

    def check(self, answer: Callable) -> Feedback:
        """Compare the learner's function with the solution; say what the first difference is."""
        if self.faulty and same_code(answer, compiled(self.stub, self.name)):
            return Feedback("not tried", f"mend {self.name}, then run this cell again.")
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
        head, body = self.solution_code.split("\n", maxsplit=1)
        if self.faulty:
            return f"{head}\n    {BEGIN}\n{body}\n    {END}"
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
        """The smallest case in which a right answer spoils an array, tensor or list of its case."""
        right = compiled(self.solution_code, self.name)
        for number in range(self.cases):
            for place in sorted(self.changed(answer, number) - self.changed(right, number)):
                name, value = right.__code__.co_varnames[place], self.case(number)[place]
                copied = f"{name}.copy()" if hasattr(value, "copy") else f"{name}.clone()"
                return (
                    f"{self.describe(*self.case(number))}: the result is right, but yours changes "
                    f"`{name}`, which its caller may still need. Try: {name} = {copied} first."
                )
        return None

    def changed(self, function: Callable, number: int) -> set[int]:
        """Places of the arguments (arrays, tensors, lists) that the function changes on a case."""
        torch = torch_if_loaded()
        kinds = (np.ndarray, list) if torch is None else (np.ndarray, list, torch.Tensor)
        with seeded(number), contextlib.redirect_stdout(io.StringIO()):
            arguments = self.case(number)
            kept = {n: x for n, x in enumerate(arguments) if isinstance(x, kinds)}
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


def same_code(one: Callable, other: Callable) -> bool:
    """Whether two functions are the same line for line, wherever they were written."""
    return isinstance(one, FunctionType) and parts(one.__code__) == parts(other.__code__)


def parts(code: CodeType) -> tuple:
    """What a function's code is made of, without the place in a file where it stands."""
    inner = (parts(part) if isinstance(part, CodeType) else part for part in code.co_consts)
    return code.co_code, code.co_names, code.co_varnames, tuple(inner)
