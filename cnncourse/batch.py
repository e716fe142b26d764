"""Executing one job: a process group of its own, and the truth about how it ended."""

import shutil
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path

import nbformat

from cnncourse import files
from cnncourse.group import WHOLE, Slot, run_papermill
from cnncourse.jobs import Job
from cnncourse.lesson import RECORD
from cnncourse.verdict import (
    Ended,
    Notebook,
    Verdict,
    closing_record,
    heading,
    mark,
    never_started,
    place,
    refused_solution,
    verdict,
)

RUNNING = ".running"  # folder of what is being executed, below the outputs'


@dataclass(frozen=True)
class Outcome:
    """How the execution of a job ended."""

    lesson: str
    state: str  # one of verdict.STATES
    seconds: float
    message: str = ""  # what went wrong, and in which cell
    record: dict = field(default_factory=dict)  # what the closing cell recorded
    notebook: Path | None = None  # as executed
    job: str = ""
    cell: int | None = None  # number of the cell where it went wrong, the first is 1
    heading: str = ""  # above that cell
    last_line: str = ""  # what was printed last
    peak_memory_mb: int | None = None
    retry: bool = False  # no cell was begun: another try may do


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
    job: Job,
    out: Path,
    *,
    slot: Slot = WHOLE,
    on_cell: Callable[[int, int], None] = lambda done, total: None,
    stopped: Callable[[], bool] = lambda: False,
) -> Outcome:
    """Run one job in a process of its own; on_cell(done, total) follows it, stopped() ends it.

    The executed notebook becomes out/<name>.ipynb if it passed, out/<name>.failed.ipynb if not: a
    good one from before is not touched by a failure. No process is left behind.
    """
    notebook = prepared(job)
    (out / RUNNING).mkdir(parents=True, exist_ok=True)
    started = time.monotonic()
    try:
        with tempfile.TemporaryDirectory(dir=out / RUNNING, ignore_cleanup_errors=True) as scratch:
            nbformat.write(notebook, Path(scratch) / "in.ipynb")
            ended = run_papermill(Path(scratch), job, slot, on_cell, stopped)
            seconds = time.monotonic() - started
            notebook = executed(Path(scratch) / "out.ipynb", notebook)
        found = verdict(ended, notebook, job.lesson, job.timeout_s)
        if job.solutions and found.state == "passed" and (refused := refused_solution(notebook)):
            found = Verdict("check failed", *refused)
        kept = keep(job, out, notebook, found)
    except OSError as error:  # the disk is full, or was made read-only
        reason = f"{error.filename or out}: cannot be written ({error.strerror}); what was is kept"
        return Outcome(job.lesson, "failed", time.monotonic() - started, reason, job=job.name)
    return told(job, found, ended, notebook, kept, seconds)


def told(
    job: Job, found: Verdict, ended: Ended, notebook: Notebook, kept: Path, seconds: float
) -> Outcome:
    """The outcome of a job, in numbers and words."""
    record = closing_record(notebook)
    message, number, under = found.reason, None, ""
    if found.cell is not None:
        message = f"{place(notebook, found.cell)}: {found.reason}"
        number, under = found.cell + 1, heading(notebook, found.cell)
    return Outcome(
        job.lesson,
        found.state,
        seconds,
        message,
        record,
        kept,
        job=job.name,
        cell=number,
        heading=under,
        last_line=ended.last_line,
        peak_memory_mb=record.get("peak_memory_mb") or ended.peak_memory_mb or None,
        retry=found.state == "died" and never_started(ended, notebook),
    )


def prepared(job: Job) -> Notebook:
    """The notebook of a job, with solutions where wanted, without what was stored in it."""
    notebook = nbformat.read(job.notebook, 4)
    if job.solutions:
        notebook = with_solutions(job.lesson, notebook)
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    return notebook


def executed(result: Path, notebook: Notebook) -> Notebook:
    """What papermill wrote, without the cells it adds above an error; else the notebook itself."""
    try:
        written = nbformat.read(result, 4)
    except (OSError, ValueError, AttributeError):  # not there, or cut short by a full disk
        return notebook
    written.cells = [
        cell
        for cell in written.cells
        if "papermill-error-cell-tag" not in cell.metadata.get("tags", [])
    ]
    return written


def keep(job: Job, out: Path, notebook: Notebook, found: Verdict) -> Path:
    """Write the executed notebook, with true marks, where its state belongs; returns where."""
    mark(notebook, found)
    passed = found.state == "passed"
    kept = out / (f"{job.name}.ipynb" if passed else f"{job.name}.failed.ipynb")
    files.replace(kept, nbformat.writes(notebook).encode())
    if passed:  # what failed before is mended
        (out / f"{job.name}.failed.ipynb").unlink(missing_ok=True)
    return kept


def clear_running(out: Path) -> None:
    """Remove the folder of running jobs, and what a run that was killed left there."""
    shutil.rmtree(out / RUNNING, ignore_errors=True)


def save(executed: Path, path: Path, event: Mapping[str, object], *, gflops: float) -> None:
    """Write a passed execution back over the lesson: pictures kept, widget state stripped.

    What it cost, as its last event tells, is kept in the notebook's metadata, for the estimates of
    lesson 00.
    """
    notebook = clean(nbformat.read(executed, 4))
    record = closing_record(notebook)
    notebook.metadata[RECORD] = {
        "seconds": round(float(str(event["seconds"])), 1),
        "peak_memory_mb": record["peak_memory_mb"],
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
