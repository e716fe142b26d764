"""The `cnncourse` command: run the lessons, save them."""

import argparse
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import nbformat

from cnncourse import batch, report


def parser() -> argparse.ArgumentParser:
    """Arguments of the command."""
    top = argparse.ArgumentParser(prog="cnncourse", description="Run and save the lessons.")
    commands = top.add_subparsers(dest="command", required=True)
    run = commands.add_parser("run", help="execute lessons into a folder, and print a table")
    save = commands.add_parser("save", help="execute lessons and write them back, with outputs")
    for command in (run, save):
        command.add_argument("lessons", nargs="*", help="number or name; all where none is given")
        command.add_argument("--folder", type=Path, default=batch.lessons_folder())
        command.add_argument("--out", type=Path, default=Path("build"), help="default: build")
        command.add_argument("--timeout", type=float, help="seconds that a lesson may take")
        command.set_defaults(parameter=[], budget=None, solutions=False)
    run.add_argument(
        "-p", "--parameter", nargs=2, action="append", default=[], metavar=("NAME", "VALUE")
    )
    run.add_argument(
        "--budget", default=os.environ.get("CNNCOURSE_BUDGET"), help="smoke, quick or full"
    )
    run.add_argument("--solutions", action="store_true", help="fill in every exercise")
    return top


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns 0 if every lesson passed, 1 if one did not, 2 for a wrong call."""
    options = parser().parse_args(arguments)
    given = dict(options.parameter)
    if options.budget:
        given["budget"] = options.budget
    try:
        chosen = batch.choose(options.lessons, options.folder)
        parameters = {
            name: batch.parse_parameters(name, nbformat.read(path, 4), given)
            for name, path in chosen.items()
        }
    except ValueError as error:
        print(error, file=sys.stderr)
        return 2
    outcomes = [run_one(path, options, parameters[name]) for name, path in chosen.items()]
    print(f"\n{report.table(outcomes)}")
    if options.command == "save":
        save(outcomes, chosen)
    print(f"\nOpen {report.write_pages(outcomes, options.out)}")
    return 0 if all(outcome.state == "passed" for outcome in outcomes) else 1


def run_one(
    path: Path, options: argparse.Namespace, parameters: dict[str, object]
) -> batch.Outcome:
    """Execute one lesson; a terminal sees which cell is running, a log sees the end."""
    started = time.monotonic()

    def show(done: int, total: int) -> None:
        if sys.stdout.isatty():
            seconds = time.monotonic() - started
            print(f"\r{path.stem}: cell {done} of {total}, {seconds:.0f} s ", end="", flush=True)

    print(f"{path.stem} ...", end="\r" if sys.stdout.isatty() else "\n", flush=True)
    outcome = batch.execute(
        path,
        options.out,
        parameters=parameters,
        timeout_s=options.timeout or batch.TIMEOUTS_S[str(parameters.get("budget", "quick"))],
        solutions=options.solutions,
        on_cell=show,
    )
    print(f"{path.stem}: {outcome.state}, {outcome.seconds:.1f} s".ljust(60), flush=True)
    return outcome


def save(outcomes: Sequence[batch.Outcome], chosen: dict[str, Path]) -> None:
    """Write back what passed."""
    from cnncourse.explorers.environment import measured_gflops

    gflops = measured_gflops(threads=os.cpu_count() or 1)
    for outcome in outcomes:
        if outcome.state == "passed":
            batch.save(outcome, chosen[outcome.lesson], gflops=gflops)
            print(f"saved {chosen[outcome.lesson].name}")
