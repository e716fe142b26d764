"""What every notebook opens and closes with: budgets, expected errors, the record of a result."""

import json
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import psutil
from IPython.display import display

from cnncourse import messages

T = TypeVar("T")

BUDGETS = ("smoke", "quick", "full")
RECORD = "cnncourse"  # key of a lesson's record in the metadata of its last output


class CheckFailed(AssertionError):
    """A lesson ran to its end and one of its closing checks did not hold."""


class Finished:
    """Closing line of a lesson, as text."""

    def __init__(self, text: str) -> None:
        self.text = text

    def __repr__(self) -> str:
        return self.text


def choose(budget: str, *, smoke: T, quick: T, full: T) -> T:
    """The setting that belongs to a budget; raises ValueError for an unknown one."""
    settings = {"smoke": smoke, "quick": quick, "full": full}
    if budget not in settings:
        raise ValueError(messages.unknown(budget, "budget", BUDGETS))
    return settings[budget]


@contextmanager
def expect_error(kind: type[Exception], match: str) -> Iterator[None]:
    """Print the error that the block raises; fail if it raises none, or another.

    kind is the class of the error, match a regular expression that its text must contain.
    """
    try:
        yield
    except kind as error:
        if not re.search(match, str(error)):
            raise AssertionError(f"expected an error with {match!r}, got: {error}") from error
        print(f"{type(error).__name__}: {error}")
    else:
        raise AssertionError(f"expected {kind.__name__} with {match!r}, and nothing was raised.")


def finish(name: str, *, headline: str, checks: dict[str, bool], **numbers: float) -> None:
    """Close a lesson: record headline, checks and numbers, and fail if a check does not hold.

    name is the notebook's, such as "06_mnist_from_scratch"; checks say in words what must hold.
    The record goes into the output's metadata, where `cnncourse run` reads it. Raises ValueError
    where nothing was checked, CheckFailed where a check is false.
    """
    if not checks:
        raise ValueError("checks={}: a lesson that checks nothing proves nothing. Try: one check.")
    failed = [claim for claim, holds in checks.items() if not holds]
    record = {
        "lesson": name,
        "headline": headline,
        "checks": {claim: bool(holds) for claim, holds in checks.items()},
        "numbers": {key: float(value) for key, value in numbers.items()},
        "peak_memory_mb": round(peak_memory_mb()),
    }
    lines = [f"{name}: {headline}"]
    lines += [f"  {'ok' if holds else 'NOT TRUE'}: {claim}" for claim, holds in checks.items()]
    display(Finished("\n".join(lines)), metadata={RECORD: record})
    if failed:
        raise CheckFailed(f"{name}: not true: {'; '.join(failed)}.")


def peak_memory_mb() -> float:
    """Most memory that this process has held at once, in MB (10**6 bytes)."""
    if sys.platform == "win32":
        return psutil.Process().memory_info().peak_wset / 1e6
    status = Path("/proc/self/status")  # Linux, where getrusage counts the starting process's too
    said = status.read_text("utf-8", errors="replace") if status.exists() else ""
    if peak := re.search(r"VmHWM:\s+(\d+) kB", said):
        return int(peak[1]) * 1024 / 1e6
    import resource

    unit = 1 if sys.platform == "darwin" else 1024  # macOS counts bytes, others KiB
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6


def saved_costs(folder: Path) -> dict[str, dict[str, float]]:
    """Seconds, peak memory (MB) and the machine's GFLOP/s, as `cnncourse save` measured them.

    A row a notebook in folder that has them, by name, in order.
    """
    costs = {}
    for path in sorted(folder.glob("[0-9][0-9]_*.ipynb")):
        metadata = json.loads(path.read_text("utf-8"))["metadata"]
        if RECORD in metadata:
            costs[path.stem] = metadata[RECORD]
    return costs
