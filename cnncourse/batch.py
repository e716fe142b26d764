"""Executing lessons: a subprocess each, and the truth about how it ended.

Papermill does the executing. Its own record is not believed: after a dead kernel or a time-out it
calls every cell completed. A lesson passed when its process ended well, every code cell ran, and
its closing cell recorded that all checks hold.
"""

import ast
import base64
import contextlib
import json
import re
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import NamedTuple

import nbformat
import psutil

from cnncourse import files, messages
from cnncourse.lesson import BUDGETS, RECORD

STATES = ("passed", "failed", "check failed", "stopped early", "died", "timed out")
TIMEOUTS_S = {"smoke": 120, "quick": 600, "full": 4 * 3600}

Notebook = nbformat.NotebookNode


@dataclass(frozen=True)
class Outcome:
    """How the execution of a lesson ended."""

    lesson: str
    state: str  # one of STATES
    seconds: float
    message: str = ""  # what went wrong, and in which cell
    record: dict = field(default_factory=dict)  # what the closing cell recorded
    notebook: Path | None = None  # as executed


def lessons_folder() -> Path:
    """Folder of the lessons: beside the package, or the current one."""
    beside = Path(__file__).parent.parent / "notebooks"
    return beside if beside.is_dir() else Path.cwd()


def lessons(folder: Path) -> dict[str, Path]:
    """Every lesson of a folder by its name, in order."""
    return {path.stem: path for path in sorted(folder.glob("[0-9][0-9]_*.ipynb"))}


def choose(names: Iterable[str], folder: Path) -> dict[str, Path]:
    """The lessons of those names or numbers ("06", "mnist_from_scratch"); all where none is named.

    Raises ValueError for a name that no lesson has.
    """
    known = lessons(folder)
    if not known:
        raise ValueError(f"{folder}: no lessons here. Try: cd <the folder with 00_start_here>.")
    chosen = {}
    for name in names:
        stem = name.removesuffix(".ipynb")
        found = [key for key in known if stem in (key, key[:2], key[3:])]
        if not found:
            raise ValueError(messages.unknown(name, "lesson", known))
        chosen[found[0]] = known[found[0]]
    return chosen or known


def declared(notebook: Notebook) -> dict[str, object]:
    """Parameters and defaults of the cell tagged `parameters`: plain values only."""
    for cell in notebook.cells:
        if "parameters" in cell.metadata.get("tags", []):
            return {
                target.id: ast.literal_eval(statement.value)
                for statement in ast.parse(cell.source).body
                if isinstance(statement, ast.Assign)
                for target in statement.targets
                if isinstance(target, ast.Name)
            }
    return {}


def parse_parameters(lesson: str, notebook: Notebook, given: dict[str, str]) -> dict[str, object]:
    """The given values in the types of the lesson's defaults.

    Raises ValueError for a name that the lesson does not declare (papermill would run it as code)
    and for a value of another type.
    """
    defaults = declared(notebook)
    values: dict[str, object] = {}
    for name, text in given.items():
        if name not in defaults:
            said = messages.unknown(name, "parameter", defaults)
            raise ValueError(f"parameter {said.replace('unknown', f'{lesson} has no such', 1)}")
        kind = type(defaults[name])
        try:
            value = ast.literal_eval(text) if kind is not str else text
        except (ValueError, SyntaxError):
            value = text
        if kind is float and type(value) is int:
            value = float(value)
        if type(value) is not kind and defaults[name] is not None:
            rule = f"must be {kind.__name__}"
            attempt = f"-p {name} {defaults[name]}"
            raise ValueError(messages.refusal(name, text, rule, attempt=attempt))
        values[name] = value
    if values.get("budget", "quick") not in BUDGETS:
        raise ValueError(messages.unknown(str(values["budget"]), "budget", BUDGETS))
    return values


def with_solutions(lesson: str, notebook: Notebook) -> Notebook:
    """The lesson with every stub replaced by its solution, to see that the checks accept them."""
    exercises = import_module(f"cnncourse.exercises.{lesson[3:]}").EXERCISES
    for exercise in exercises:
        cells = [cell for cell in notebook.cells if exercise.stub in cell.source]
        if len(cells) != 1:
            raise ValueError(f"{lesson}: {len(cells)} cells hold the stub of {exercise.name!r}.")
        cells[0].source = cells[0].source.replace(exercise.stub, exercise.solved)
    return notebook


def execute(
    path: Path,
    out: Path,
    *,
    parameters: dict[str, object],
    timeout_s: float,
    solutions: bool = False,
    on_cell: Callable[[int, int], None] = lambda done, total: None,
) -> Outcome:
    """Run one lesson in a process of its own; on_cell(done, total) follows it.

    The executed notebook becomes out/<name>.ipynb if it passed, out/<name>.failed.ipynb if not: a
    good one from before is not touched by a failure. No process is left behind.
    """
    lesson = path.stem
    notebook = nbformat.read(path, 4)
    if solutions:
        notebook = with_solutions(lesson, notebook)
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{lesson}.", dir=out) as scratch:
        source, result = Path(scratch) / "in.ipynb", Path(scratch) / "out.ipynb"
        nbformat.write(notebook, source)
        started = time.monotonic()
        ended = run_papermill(source, result, path.parent, parameters, timeout_s, on_cell)
        seconds = time.monotonic() - started
        if result.exists() and result.stat().st_size:
            notebook = without_banners(nbformat.read(result, 4))
        state, message = verdict(ended, notebook, lesson, timeout_s)
        if solutions and state == "passed" and (refused := refused_solution(notebook)):
            state, message = "check failed", refused
    kept = out / (f"{lesson}.ipynb" if state == "passed" else f"{lesson}.failed.ipynb")
    files.replace(kept, nbformat.writes(notebook).encode())
    if state == "passed":  # what failed before is mended
        (out / f"{lesson}.failed.ipynb").unlink(missing_ok=True)
    return Outcome(lesson, state, seconds, message, closing_record(notebook), kept)


def without_banners(notebook: Notebook) -> Notebook:
    """The notebook without the cells that papermill adds above an error: they shift the count."""
    notebook.cells = [
        cell
        for cell in notebook.cells
        if "papermill-error-cell-tag" not in cell.metadata.get("tags", [])
    ]
    return notebook


class Ended(NamedTuple):
    """How papermill's process ended."""

    code: int | None  # None: out of time
    log: str


def run_papermill(
    source: Path,
    result: Path,
    folder: Path,
    parameters: dict[str, object],
    timeout_s: float,
    on_cell: Callable[[int, int], None],
) -> Ended:
    """Run papermill on one notebook, for so long at most."""
    command = [sys.executable, "-m", "papermill", str(source), str(result)]
    command += ["--cwd", str(folder.resolve()), "--progress-bar"]
    if parameters:
        encoded = base64.b64encode(json.dumps(parameters).encode()).decode()
        command += ["--parameters_base64", encoded]  # JSON is YAML
    log: list[str] = []

    def follow(lines: Iterable[str]) -> None:
        for line in lines:
            if found := re.search(r"(\d+)/(\d+) \[", line):
                on_cell(int(found[1]), int(found[2]))
            elif line.strip():
                log.append(line.rstrip())

    with subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        encoding="utf-8",
        errors="replace",  # and with it, the bar's carriage returns end a line
    ) as process:
        reader = threading.Thread(target=follow, args=(process.stderr,), daemon=True)
        reader.start()
        try:
            code = process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            code = None
        finally:
            kill_tree(process.pid)
            reader.join()
    return Ended(code, "\n".join(log))


def kill_tree(pid: int) -> None:
    """End a process and all that it started; kernels are in process groups of their own."""
    try:
        parent = psutil.Process(pid)
        family = [*parent.children(recursive=True), parent]
    except psutil.NoSuchProcess:
        return
    for process in family:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
    psutil.wait_procs(family, timeout=5)


def verdict(ended: Ended, notebook: Notebook, lesson: str, timeout_s: float) -> tuple[str, str]:
    """State and message, from what cells and process show, not from papermill's marks."""
    code_cells = [
        (index, cell)
        for index, cell in enumerate(notebook.cells)
        if cell.cell_type == "code" and cell.source.strip()
    ]
    if ended.code is None:
        where = place(notebook, last_begun(notebook))
        return "timed out", f"{where}: still running after {timeout_s:g} s"
    for index, cell in code_cells:
        for output in cell.outputs:
            if output.output_type == "error":
                return error_state(output), f"{place(notebook, index)}: {said(output)}"
    if "DeadKernelError" in ended.log:
        where = place(notebook, last_begun(notebook))
        return "died", f"{where}: the kernel died (out of memory, or killed)"
    if ended.code != 0:
        return "failed", (ended.log.splitlines() or [f"papermill ended with {ended.code}"])[-1]
    not_run = [index for index, cell in code_cells if cell.execution_count is None]
    if not_run:
        return "stopped early", f"{place(notebook, not_run[0])}: not run"
    record = closing_record(notebook)
    if record.get("lesson") != lesson or not record.get("checks"):
        return "check failed", "the closing cell recorded no checks"
    return "passed", ""


def refused_solution(notebook: Notebook) -> str:
    """Where an exercise did not accept its solution, in words; empty where all did."""
    for index, cell in enumerate(notebook.cells):
        if "exercise" in cell.metadata.get("tags", []):
            answers = [output.get("data", {}).get("text/plain", "") for output in cell.outputs]
            if not any(answer.startswith("right") for answer in answers):
                return f"{place(notebook, index)}: the solution is not accepted"
    return ""


def last_begun(notebook: Notebook) -> int:
    """Index of the last cell that papermill began: the one that never came back."""
    begun = [cell.metadata.get("papermill", {}).get("start_time") for cell in notebook.cells]
    return max((index for index, at in enumerate(begun) if at), default=0)


def error_state(output: Notebook) -> str:
    """State that belongs to an error in a cell."""
    return {"CheckFailed": "check failed", "SystemExit": "stopped early"}.get(
        output.ename, "failed"
    )


def said(output: Notebook) -> str:
    """First line of an error, as Python says it."""
    return f"{output.ename}: {output.evalue}".splitlines()[0]


def place(notebook: Notebook, index: int) -> str:
    """Which cell that is, in words: its number and the heading above it."""
    headings = [
        line.lstrip("# ").strip()
        for cell in notebook.cells[: index + 1]
        if cell.cell_type == "markdown"
        for line in cell.source.splitlines()
        if line.startswith("#")
    ]
    under = f" ({headings[-1]})" if headings else ""
    return f"cell {index + 1} of {len(notebook.cells)}{under}"


def closing_record(notebook: Notebook) -> dict:
    """What `lesson.finish` recorded in the last cell that has a record; {} where there is none."""
    for cell in reversed(notebook.cells):
        for output in cell.get("outputs", []):
            if RECORD in output.get("metadata", {}):
                return dict(output.metadata[RECORD])
    return {}


def save(outcome: Outcome, path: Path, *, gflops: float) -> None:
    """Write a passed execution back over the lesson: pictures kept, widget state stripped.

    What it cost is kept in the notebook's metadata, for the estimates of lesson 00.
    """
    assert outcome.notebook is not None
    notebook = clean(nbformat.read(outcome.notebook, 4))
    notebook.metadata[RECORD] = {
        "seconds": round(outcome.seconds, 1),
        "peak_memory_mb": outcome.record["peak_memory_mb"],
        "gflops": round(gflops, 1),
    }
    files.replace(path, (nbformat.writes(notebook) + "\n").encode())


def clean(notebook: Notebook) -> Notebook:
    """The notebook without widget state and without the marks of its execution."""
    notebook.metadata = nbformat.from_dict(
        {"kernelspec": notebook.metadata.kernelspec, "language_info": {"name": "python"}}
    )
    for cell in notebook.cells:
        cell.metadata = nbformat.from_dict(
            {"tags": cell.metadata["tags"]} if cell.metadata.get("tags") else {}
        )
        for output in cell.get("outputs", []):
            output.get("data", {}).pop("application/vnd.jupyter.widget-view+json", None)
    return notebook
