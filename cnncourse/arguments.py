"""What the `cnncourse` command takes, and what its --help says."""

import argparse
import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from cnncourse.jobs import lessons_folder
from cnncourse.sweeps import LONGEST_S

RUN = "Execute lessons into a folder: notebooks, a table, index.html, results.csv, a journal."
SWEEP = """Execute one lesson with every combination of values and seeds, or the jobs of a file.
All names, types and ranges are checked before anything starts."""
SAVE = "Execute lessons and write those that passed back over the notebooks, with their outputs."
EXAMPLES = """examples:
  cnncourse sweep 06 --grid learning_rate=0.002,0.008 --seeds 0:5 -j 2 --out build/rates
  cnncourse sweep --jobs jobs.yaml

jobs.yaml, a list; lesson is needed, the rest may be left out:
  - {lesson: "06", parameters: {seed: 3}, name: third, timeout: 900}
"""


def parser() -> argparse.ArgumentParser:
    """Arguments of the command."""
    top = argparse.ArgumentParser(prog="cnncourse", description="Run, sweep and save the lessons.")
    commands = top.add_subparsers(dest="command", required=True)
    run = commands.add_parser("run", description=RUN, help="execute lessons into a folder")
    sweep = commands.add_parser(
        "sweep",
        description=SWEEP,
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        help="execute a lesson with many settings",
    )
    save = commands.add_parser("save", description=SAVE, help="execute lessons, write them back")
    for command in (run, save):
        command.add_argument(
            "lessons", nargs="*", metavar="LESSON", help="number or name; all where none is given"
        )
    sweep.add_argument("lesson", nargs="?", metavar="LESSON", help="number or name")
    add_sweep_arguments(sweep)
    for command in (run, sweep, save):
        add_places(command)
        command.set_defaults(parameter=[], budget=None, solutions=False, again="all")
        command.set_defaults(workers=1, retries=1, scheduler=None)
    for command in (run, sweep):
        add_batch_arguments(command)
    run.add_argument("--solutions", action="store_true", help="fill in every exercise")
    return top


def add_sweep_arguments(command: argparse.ArgumentParser) -> None:
    """Arguments on which settings there are."""
    command.add_argument(
        "--grid",
        action="append",
        default=[],
        metavar="NAME=VALUE,VALUE",
        help="values of a parameter; may be given several times",
    )
    command.add_argument(
        "--seeds", metavar="FIRST:END", help="values of the parameter seed: 0:5 is 0 to 4"
    )
    command.add_argument("--jobs", type=Path, metavar="FILE", help="YAML, see below")


def add_places(command: argparse.ArgumentParser) -> None:
    """Arguments on where lessons and outputs are, and for how long a job may run."""
    command.add_argument(
        "--folder",
        type=Path,
        default=lessons_folder(),
        help="where the lessons are; default: the course's",
    )
    command.add_argument(
        "--out", type=Path, default=Path("build"), help="folder of the outputs; default: build"
    )
    command.add_argument(
        "--timeout",
        type=seconds,
        metavar="SECONDS",
        help="that a job may take; default: 600 (budget smoke: 120, full: 4 hours)",
    )


def add_batch_arguments(command: argparse.ArgumentParser) -> None:
    """Arguments on how jobs are run."""
    command.add_argument(
        "-p",
        "--parameter",
        nargs=2,
        action="append",
        default=[],
        metavar=("NAME", "VALUE"),
        help="set a parameter of every job; may be given several times",
    )
    command.add_argument(
        "--budget",
        default=os.environ.get("CNNCOURSE_BUDGET"),
        help="smoke, quick or full; default: $CNNCOURSE_BUDGET, else the lesson's",
    )
    command.add_argument(
        "-j",
        "--workers",
        type=whole(1, 512),
        default=1,
        metavar="N",
        help="jobs at a time, each with its share of the threads and GPUs; default: 1",
    )
    command.add_argument(
        "--scheduler", metavar="ADDRESS", help="of a Dask scheduler, tcp://host:8786"
    )
    command.add_argument(
        "--retries",
        type=whole(0, 9),
        default=1,
        metavar="N",
        help="more tries where a kernel does not start; default: 1",
    )
    command.add_argument(
        "--again",
        choices=("unfinished", "failed", "all"),
        default="unfinished",
        help="what the same command runs again, besides what changed since: what is unfinished "
        "(the default), also what failed, or all",
    )


def seconds(text: str) -> float:
    """Seconds, more than none."""
    with suppress(ValueError):
        if 0 < float(text) < LONGEST_S:
            return float(text)
    raise argparse.ArgumentTypeError(f"{text!r}: must be seconds, above 0")


def whole(least: int, most: int) -> Callable[[str], int]:
    """What makes a whole number, within limits, of a text."""

    def number(text: str) -> int:
        with suppress(ValueError):
            if least <= int(text) <= most:
                return int(text)
        raise argparse.ArgumentTypeError(f"{text!r}: must be from {least} to {most}")

    return number
