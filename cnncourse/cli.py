"""The `cnncourse` command: run the lessons, sweep their parameters, save them."""

import argparse
import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

if "nbformat" not in sys.modules:  # what it imports would compile the grammar of web addresses: 1 s
    sys.modules.setdefault("rfc3987_syntax", None)  # type: ignore[arg-type]

from cnncourse import batch, jobs, page, parameters, report, sweeps
from cnncourse.journal import UNFINISHED, Event, Journal
from cnncourse.pool import LocalPool, Pool, run_jobs
from cnncourse.progress import Progress

EXECUTE = batch.execute  # what a job is executed with on this machine


def parser() -> argparse.ArgumentParser:
    """Arguments of the command."""
    top = argparse.ArgumentParser(prog="cnncourse", description="Run, sweep and save the lessons.")
    commands = top.add_subparsers(dest="command", required=True)
    run = commands.add_parser("run", help="execute lessons into a folder, and print a table")
    sweep = commands.add_parser("sweep", help="execute a lesson with many settings")
    save = commands.add_parser("save", help="execute lessons and write them back, with outputs")
    for command in (run, sweep, save):
        command.add_argument("--folder", type=Path, default=jobs.lessons_folder())
        command.add_argument("--out", type=Path, default=Path("build"), help="default: build")
        command.add_argument("--timeout", type=positive, help="seconds that a job may take")
        command.set_defaults(parameter=[], budget=None, solutions=False, again="all")
        command.set_defaults(workers=1, retries=1, scheduler=None)
    for command in (run, save):
        command.add_argument("lessons", nargs="*", help="number or name; all where none is given")
    for command in (run, sweep):
        add_batch_arguments(command)
    run.add_argument("--solutions", action="store_true", help="fill in every exercise")
    sweep.add_argument("lesson", nargs="?", help="number or name")
    sweep.add_argument("--grid", action="append", default=[], metavar="NAME=VALUE,VALUE")
    sweep.add_argument("--seeds", metavar="FIRST:END", help="0:5 is 0 to 4")
    sweep.add_argument("--jobs", type=Path, help="YAML: a list of lesson, parameters, name")
    return top


def add_batch_arguments(command: argparse.ArgumentParser) -> None:
    """Arguments on how jobs are run."""
    command.add_argument(
        "-p", "--parameter", nargs=2, action="append", default=[], metavar=("NAME", "VALUE")
    )
    command.add_argument(
        "--budget", default=os.environ.get("CNNCOURSE_BUDGET"), help="smoke, quick or full"
    )
    command.add_argument(
        "-j", "--workers", type=count, default=1, help="jobs at a time; default: 1"
    )
    command.add_argument("--scheduler", help="address of a Dask scheduler, tcp://host:8786")
    command.add_argument(
        "--retries", type=int, choices=range(10), default=1, help="for kernels that do not start"
    )
    command.add_argument(
        "--again",
        choices=("unfinished", "failed", "all"),
        default="unfinished",
        help="what a second run runs again, besides what changed; default: unfinished",
    )


def positive(text: str) -> float:
    """Seconds, more than none."""
    with suppress(ValueError):
        if 0 < float(text) < 1e8:
            return float(text)
    raise argparse.ArgumentTypeError(f"{text!r}: must be seconds, above 0")


def count(text: str) -> int:
    """A whole number from 1 to 512."""
    with suppress(ValueError):
        if 1 <= int(text) <= 512:
            return int(text)
    raise argparse.ArgumentTypeError(f"{text!r}: must be from 1 to 512")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns 0 if every job passed, 1 if one did not, 2 for a wrong call."""
    options = parser().parse_args(arguments)
    try:
        chosen = swept(options) if options.command == "sweep" else whole(options)
        jobs.check_names(chosen)
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


def told(events: Sequence[Event], chosen: Sequence[jobs.Job], options: argparse.Namespace) -> None:
    """Print the table, save where asked to, and write the report."""
    found = report.rows(events)
    print(f"\n{report.table(found)}")
    if options.command == "save":
        save(events, chosen, options.out)
    written = report.write_tables(found, options.out)
    print("\nRows: " + ", ".join(map(str, written)))
    index = page.write(found, options.out, lessons=options.command != "sweep")
    print(f"Open {index}")
    if any(row["state"] in UNFINISHED for row in found):
        print("The same command takes up what was not finished.")


def given(options: argparse.Namespace) -> dict[str, object]:
    """The parameters that every job gets."""
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
            print(f"saved {job.notebook.name}")


if __name__ == "__main__":
    sys.exit(main())
