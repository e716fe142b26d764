"""How the execution of a notebook ended, from what its cells and its process show.

Papermill's own marks are not believed: after a dead kernel or a time-out it calls every cell
completed. A lesson passed when its process ended well, every code cell ran, and its closing cell
recorded that all checks hold.
"""

import re
from typing import NamedTuple

import nbformat

from cnncourse.lesson import RECORD

STATES = (
    "failed",
    "check failed",
    "died",
    "timed out",
    "stopped early",
    "interrupted",
    "not run",
    "running",
    "queued",
    "passed",
)
NEVER_STARTED = re.compile(  # jupyter_client's and nbclient's words; zmq's for a lost port race
    r"Kernel died before replying to kernel_info|Kernel didn't respond|Address already in use"
)
NO_MEMORY = re.compile(r"MemoryError|can't allocate memory|out of memory|Cannot allocate memory")
ERROR_STATES = {"CheckFailed": "check failed", "SystemExit": "stopped early"}

Notebook = nbformat.NotebookNode


class Ended(NamedTuple):
    """How papermill's process ended."""

    code: int | None  # None: it was ended
    log: str
    stopped: str = ""  # why it was ended: "timed out", "interrupted"
    peak_memory_mb: int = 0  # of its largest process, as far as it was seen
    last_line: str = ""  # of what the cells printed


class Verdict(NamedTuple):
    """State, the cell where it was decided, and the reason in words."""

    state: str  # one of STATES
    cell: int | None = None  # index; None where it is no cell's doing
    reason: str = ""


def verdict(ended: Ended, notebook: Notebook, lesson: str, timeout_s: float) -> Verdict:
    """State and reason, from what cells and process show."""
    if ended.stopped == "timed out":
        reason = f"still running after {timeout_s:g} s"
        return Verdict("timed out", last_begun(notebook), reason)
    if ended.stopped:
        return Verdict(ended.stopped, last_begun(notebook), "ended on request")
    cells = code_cells(notebook)
    for index, cell in cells:
        for output in cell.outputs:
            if output.output_type == "error":
                state = ERROR_STATES.get(output.ename, "failed")
                return Verdict(state, index, said(output))
    if ended.code != 0:
        return process_verdict(ended, notebook)
    not_run = [index for index, cell in cells if cell.execution_count is None]
    if not_run:
        return Verdict("stopped early", not_run[0], "not run")
    record = closing_record(notebook)
    if record.get("lesson") != lesson or not record.get("checks"):
        return Verdict("check failed", None, "the closing cell recorded no checks")
    return Verdict("passed")


def process_verdict(ended: Ended, notebook: Notebook) -> Verdict:
    """The verdict where no cell shows an error, and papermill's process did not end well."""
    assert ended.code is not None
    last = (ended.log.splitlines() or [f"papermill ended with {ended.code}"])[-1]
    if never_started(ended, notebook):
        return Verdict("died", None, f"the kernel never started: {last}")
    if "DeadKernelError" in ended.log:
        reason = "the kernel died (out of memory, or killed)"
        return Verdict("died", last_begun(notebook), reason)
    if ended.code < 0:
        reason = f"the process that runs the notebook was killed (signal {-ended.code})"
        return Verdict("died", last_begun(notebook), reason)
    broken = [index for index, cell in code_cells(notebook) if says_failed(cell)]
    if broken:  # and has no error in its output: its text could not be sent
        return Verdict("failed", broken[0], "an error that the kernel could not tell")
    return Verdict("failed", None, last)


def says_failed(cell: Notebook) -> bool:
    """Whether papermill marked a cell failed: it calls too many completed, none failed."""
    return cell.metadata.get("papermill", {}).get("exception") is True


def never_started(ended: Ended, notebook: Notebook) -> bool:
    """Whether no cell was begun because no kernel came up: the one failure worth another try."""
    return last_begun(notebook) is None and bool(NEVER_STARTED.search(ended.log))


def code_cells(notebook: Notebook) -> list[tuple[int, Notebook]]:
    """Code cells that have code, each with its index."""
    return [
        (index, cell)
        for index, cell in enumerate(notebook.cells)
        if cell.cell_type == "code" and cell.source.strip()
    ]


def last_begun(notebook: Notebook) -> int | None:
    """Index of the last cell that papermill began: the one that never came back."""
    begun = [cell.metadata.get("papermill", {}).get("start_time") for cell in notebook.cells]
    return max((index for index, at in enumerate(begun) if at), default=None)


def said(output: Notebook) -> str:
    """First line of an error, as Python says it; that memory ran out, torch says in C++."""
    line = f"{output.ename}: {output.evalue}".splitlines()[0].removesuffix(": ")
    return f"memory ran out: {line}" if NO_MEMORY.search(line) else line


def heading(notebook: Notebook, index: int) -> str:
    """The heading above a cell; empty where there is none."""
    headings = [
        line.lstrip("# ").strip()
        for cell in notebook.cells[: index + 1]
        if cell.cell_type == "markdown"
        for line in cell.source.splitlines()
        if line.startswith("#")
    ]
    return headings[-1] if headings else ""


def place(notebook: Notebook, index: int) -> str:
    """Which cell that is, in words: its number and the heading above it."""
    under = f" ({heading(notebook, index)})" if heading(notebook, index) else ""
    return f"cell {index + 1} of {len(notebook.cells)}{under}"


def closing_record(notebook: Notebook) -> dict:
    """What `lesson.finish` recorded in the last cell that has a record; {} where there is none."""
    for cell in reversed(notebook.cells):
        for output in cell.get("outputs", []):
            if RECORD in output.get("metadata", {}):
                return dict(output.metadata[RECORD])
    return {}


def mark(notebook: Notebook, found: Verdict) -> None:
    """Put the true state of every cell in the place of papermill's."""
    well = found.state == "passed"
    for index, cell in enumerate(notebook.cells):
        marks = cell.metadata.setdefault("papermill", nbformat.from_dict({}))
        here = found.cell is not None and index == found.cell and not well
        before = index < found.cell if found.cell is not None else bool(marks.get("start_time"))
        if here and found.reason != "not run":
            marks.status, marks.exception = "failed", True
        elif well or (before and not here):
            marks.status, marks.exception = "completed", False
        else:
            marks.update(status="not run", exception=None, start_time=None, end_time=None)
            marks.duration = None
    whole = notebook.metadata.setdefault("papermill", nbformat.from_dict({}))
    whole.exception = None if well else True
    whole.state, whole.reason = found.state, found.reason


def refused_solution(notebook: Notebook) -> tuple[int, str] | None:
    """Where an exercise did not accept its solution, and that it did not; None where all did."""
    for index, cell in enumerate(notebook.cells):
        if "exercise" in cell.metadata.get("tags", []):
            answers = [output.get("data", {}).get("text/plain", "") for output in cell.outputs]
            if not any(answer.startswith("right") for answer in answers):
                return index, "the solution is not accepted"
    return None
