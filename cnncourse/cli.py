"""The `cnncourse` command: run the lessons, sweep their parameters, save them."""

import argparse
import io
import os
import sys
from collections.abc import Sequence
from pathlib import Path

if "nbformat" not in sys.modules:  # what it imports would compile the grammar of web addresses: 1 s
    sys.modules.setdefault("rfc3987_syntax", None)  # type: ignore[arg-type]

from cnncourse import batch, jobs, page, parameters, report, sweeps
from cnncourse.arguments import parser
from cnncourse.journal import UNFINISHED, Event, Journal
from cnncourse.local import LocalPool
from cnncourse.pool import Pool, run_jobs
from cnncourse.progress import Progress

EXECUTE = batch.execute  # what a job is executed with on this machine


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns 0 if every job passed, 1 if one did not, 2 for a wrong call."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # a log in ASCII takes every headline
    options = parser().parse_args(arguments)
    try:
        chosen = swept(options) if options.command == "sweep" else whole(options)
        jobs.check_names(chosen)
        check_out(chosen, options.out)
        with Journal(options.out) as journal:
            events = executed(chosen, options, journal)
        told(events, chosen, options)
    except ValueError as error:
        print(error, file=sys.stderr)
        return 2
    except KeyboardInterrupt:  # while the report is written, when every job has its event
        print("\nEnded. The same command takes up what was not finished.", file=sys.stderr)
        return 130
    except OSError as error:  # most often, the disk is full
        what = f"{error.filename or options.out}: cannot be read or written ({error.strerror})"
        rest = "What ended stands. Try: room on the disk, then the same command."
        print(f"{what}. {rest}", file=sys.stderr)
        return 1
    return 0 if all(event["state"] == "passed" for event in events) else 1


def check_out(chosen: Sequence[jobs.Job], out: Path) -> None:
    """Raise ValueError where outputs would come to lie among the lessons, or over them."""
    if out.resolve() in {job.notebook.resolve().parent for job in chosen}:
        rule = "is the folder of the lessons, which the outputs would replace"
        raise ValueError(f"out={str(out)!r}: {rule}. Try: --out build.")


def told(events: Sequence[Event], chosen: Sequence[jobs.Job], options: argparse.Namespace) -> None:
    """Save where asked to, write the report, and print the table."""
    found = report.rows(events)
    if options.command == "save":
        save(events, chosen, options.out)
    try:
        written = report.write_tables(found, options.out)
        index = page.write(found, options.out, lessons=options.command != "sweep")
    finally:
        say(f"\n{report.table(found)}")
    say(f"\nRows: {', '.join(map(str, written))}\nOpen {index}")
    states = {str(row["state"]) for row in found}
    if states & set(UNFINISHED):
        say("The same command takes up what was not finished.")
    if states - {"passed", *UNFINISHED} and options.again == "unfinished":
        say("What failed stands until it changes. To run it again: --again failed.")


def say(words: str) -> None:
    """Print; where nobody reads any more (`| head`), the report in the folder has it."""
    try:
        print(words, flush=True)
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def given(options: argparse.Namespace) -> dict[str, object]:
    """The parameters that every job gets."""
    names = [name for name, _ in options.parameter]
    for name in names:
        if names.count(name) > 1:
            raise ValueError(f"parameter {name!r}: is set twice. Try: -p once for each.")
    budget = {"budget": options.budget} if options.budget else {}
    return dict(options.parameter) | budget


def whole(options: argparse.Namespace) -> list[jobs.Job]:
    """A job for each lesson that was named, called like the lesson."""
    chosen = []
    for name, path in jobs.choose(options.lessons, options.folder).items():
        notebook = parameters.read(path)
        values = parameters.parse_parameters(name, notebook, given(options))
        limit = options.timeout or jobs.TIMEOUTS_S[str(values.get("budget", "quick"))]
        chosen.append(jobs.Job(name, path.resolve(), values, limit, options.solutions))
    return chosen


def swept(options: argparse.Namespace) -> list[jobs.Job]:
    """The jobs of --grid and --seeds, and those of --jobs."""
    chosen = []
    if options.jobs:
        chosen += sweeps.from_yaml(
            options.jobs, options.folder.resolve(), options.timeout, given(options)
        )
    if options.lesson:
        points = sweeps.grid(options.grid, options.seeds)
        for name in points[0].keys() & dict(options.parameter).keys():
            raise ValueError(f"parameter {name!r}: is set by -p, and swept. Try: one of the two.")
        rows = [given(options) | point for point in points]
        chosen += sweeps.sweep(options.lesson, options.folder.resolve(), rows, options.timeout)
    elif options.grid or options.seeds:
        raise ValueError(
            "lesson: --grid and --seeds need one. Try: cnncourse sweep 06 --seeds 0:5."
        )
    if not chosen:
        raise ValueError("jobs: there are none. Try: cnncourse sweep 06 --seeds 0:5.")
    return chosen


def executed(
    chosen: Sequence[jobs.Job], options: argparse.Namespace, journal: Journal
) -> list[Event]:
    """Run the jobs; the last event of each."""
    out = options.out.resolve()
    batch.clear_running(out)
    pool: Pool
    if options.scheduler:
        from cnncourse.cluster import ClusterPool

        pool = ClusterPool(options.scheduler, out, retries=options.retries)
    else:
        pool = LocalPool(out, workers=options.workers, retries=options.retries, execute=EXECUTE)
    events = run_jobs(chosen, pool, journal, progress=Progress(sys.stdout), again=options.again)
    batch.clear_running(out)
    return events


def save(events: Sequence[Event], chosen: Sequence[jobs.Job], out: Path) -> None:
    """Write back what passed."""
    from cnncourse.explorers.environment import measured_gflops

    gflops = measured_gflops(threads=os.cpu_count() or 1)
    for event, job in zip(events, chosen, strict=True):
        if event["state"] == "passed":
            batch.save(out / str(event["output"]), job.notebook, event, gflops=gflops)
            say(f"saved {job.notebook.name}")


if __name__ == "__main__":
    sys.exit(main())
