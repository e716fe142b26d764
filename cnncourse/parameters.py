"""Parameters of a notebook: what its cell declares, and whether given values are of that kind."""

import ast
import math
import re
from collections.abc import Mapping

import nbformat

from cnncourse import messages
from cnncourse.lesson import BUDGETS

# What every lesson means by these names; others say it in their cell: `size = 3  # from 1 to 9`.
RANGES = {"seed": (0, 2**32 - 1), "learning_rate": (1e-9, 1e3)}
DECLARED_RANGE = re.compile(r"#.*?\bfrom (-?[\d.e+-]+) to (-?[\d.e+-]+)")
DEVICE = re.compile(r"auto|cpu|mps|cuda(:\d+)?")

Notebook = nbformat.NotebookNode


def parameters_cell(notebook: Notebook) -> str:
    """Source of the cell tagged `parameters`; empty where there is none."""
    tagged = (cell for cell in notebook.cells if "parameters" in cell.metadata.get("tags", []))
    return next((cell.source for cell in tagged), "")


def declared(notebook: Notebook) -> dict[str, object]:
    """Parameters and defaults of the cell tagged `parameters`: plain values only."""
    return {
        target.id: ast.literal_eval(statement.value)
        for statement in ast.parse(parameters_cell(notebook)).body
        if isinstance(statement, ast.Assign)
        for target in statement.targets
        if isinstance(target, ast.Name)
    }


def ranges(notebook: Notebook) -> dict[str, tuple[float, float]]:
    """Least and largest value of parameters: RANGES, and what a comment of their line says."""
    found: dict[str, tuple[float, float]] = dict(RANGES)
    for line in parameters_cell(notebook).splitlines():
        if said := DECLARED_RANGE.search(line):
            found[line.partition("=")[0].strip()] = (float(said[1]), float(said[2]))
    return found


def parse_parameters(
    lesson: str, notebook: Notebook, given: Mapping[str, object]
) -> dict[str, object]:
    """The given values (text, or what YAML made of it) in the types of the lesson's defaults.

    Raises ValueError for a name that the lesson does not declare (papermill would run it as code),
    for a value of another type, and for one out of range.
    """
    defaults, limits = declared(notebook), ranges(notebook)
    values = {}
    for name, came in given.items():
        if name not in defaults:
            said = messages.unknown(str(name), "parameter", defaults)
            raise ValueError(f"parameter {said.replace('unknown', f'{lesson} has no such', 1)}")
        values[name] = typed(name, came, defaults[name])
        check_range(name, values[name], defaults[name], limits.get(name))
    if str(values.get("budget", "quick")) not in BUDGETS:
        raise ValueError(messages.unknown(str(values["budget"]), "budget", BUDGETS))
    return values


def typed(name: str, came: object, default: object) -> object:
    """A value in the type of a parameter's default; ValueError where it has another."""
    kind = type(default)
    value = came
    if isinstance(came, str) and kind is not str:
        try:
            value = ast.literal_eval(came)
        except (ValueError, SyntaxError, MemoryError, RecursionError):
            value = came
    if kind is float and type(value) is int:
        value = float(value)
    if type(value) is not kind and default is not None:
        rule = f"must be {kind.__name__}"
        raise ValueError(messages.refusal(name, came, rule, attempt=f"-p {name} {default}"))
    return value


def check_range(
    name: str, value: object, default: object, limits: tuple[float, float] | None
) -> None:
    """Raise ValueError for a number out of its limits or not finite, and for no device's name."""
    rule = ""
    if isinstance(value, int | float) and not isinstance(value, bool):
        if limits and not limits[0] <= value <= limits[1]:
            rule = f"must be from {limits[0]:g} to {limits[1]:g}"
        elif isinstance(value, float) and not math.isfinite(value):
            rule = "must be a finite number"
    if name == "device" and not DEVICE.fullmatch(str(value)):
        rule = "must be auto, cpu, cuda, cuda:0, cuda:1, … or mps"
    if rule:
        raise ValueError(messages.refusal(name, value, rule, attempt=f"-p {name} {default}"))
