"""Parameters of a notebook: what its cell declares, and whether given values are of that kind."""

import ast
import math
import re
from collections.abc import Mapping
from pathlib import Path

import nbformat

from cnncourse import messages
from cnncourse.lesson import BUDGETS

# What every lesson means by these names; others say it in their cell: `size = 3  # from 1 to 9`.
RANGES = {"seed": (0, 2**32 - 1), "learning_rate": (1e-9, 1e3)}
NUMBER = r"(-?(?:\d[\d_]*\.?\d*|\.\d+)(?:e[+-]?\d+)?)(?!\w)"
DECLARED_RANGE = re.compile(rf"#.*?\bfrom {NUMBER} to {NUMBER}")
DEVICE = re.compile(r"auto|cpu|mps|cuda(:\d+)?")

Notebook = nbformat.NotebookNode


def read(path: Path) -> Notebook:
    """The notebook of a file; ValueError, which names it, where there is none."""
    try:
        return nbformat.read(path, 4)
    except (OSError, ValueError, TypeError, AttributeError, nbformat.ValidationError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise ValueError(
            f"{path.name}: cannot be read as a notebook ({reason[:80]}). "
            "Try: open it in JupyterLab, which says where."
        ) from error


def parameters_cell(notebook: Notebook) -> str:
    """Source of the cell tagged `parameters`; empty where there is none."""
    tagged = (cell for cell in notebook.cells if "parameters" in cell.metadata.get("tags", []))
    return next((cell.source for cell in tagged), "")


def declared(notebook: Notebook) -> dict[str, object]:
    """Parameters and defaults of the cell tagged `parameters`; None for one that is computed.

    Raises SyntaxError where the cell is no Python.
    """
    found: dict[str, object] = {}
    source = re.sub(r"(?m)^[ \t]*[%!].*", "", parameters_cell(notebook))  # IPython's, not Python's
    for statement in ast.parse(source).body:
        if not isinstance(statement, ast.Assign | ast.AnnAssign) or statement.value is None:
            continue
        targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
        try:
            default = ast.literal_eval(statement.value)
        except ValueError:
            default = None
        found |= {target.id: default for target in targets if isinstance(target, ast.Name)}
    return found


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
    for a value of another type, for one out of range, and for a cell that is no Python.
    """
    try:
        defaults, limits = declared(notebook), ranges(notebook)
    except SyntaxError as error:
        raise ValueError(
            f"{lesson}: line {error.lineno} of its parameters is no Python ({error.msg}). "
            "Try: seed = 0."
        ) from error
    values = {}
    for name, came in given.items():
        if not defaults:
            attempt = "Try: a cell tagged `parameters`, seed = 0."
            raise ValueError(f"parameter {str(name)!r}: {lesson} has no parameters. {attempt}")
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
    rule = ""
    if type(value) is not kind and default is not None:
        rule = f"must be {kind.__name__}"
    elif not is_plain(value):
        rule = "must be of texts, numbers, True, False, None, lists, and dicts named by texts"
        rule = "must be text that UTF-8 knows" if isinstance(value, str) else rule
    if rule:
        attempt = f"-p {name} {default}" if is_plain(default) else "such a default in its cell"
        raise ValueError(messages.refusal(name, came, rule, attempt=attempt))
    return value


def is_plain(value: object) -> bool:
    """Whether a value arrives in a notebook as it is: all of it is what JSON knows."""
    if isinstance(value, list):
        return all(map(is_plain, value))
    if isinstance(value, dict):
        return all(isinstance(name, str) for name in value) and is_plain([*value, *value.values()])
    if isinstance(value, str):
        return not re.search("[\ud800-\udfff]", value)  # half a character, or no UTF-8
    return isinstance(value, int | float | None)


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
