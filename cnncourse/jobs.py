"""Jobs: a notebook with parameters, checked before anything starts, and a name for its output."""

import hashlib
import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from cnncourse import messages

TIMEOUTS_S = {"smoke": 120, "quick": 600, "full": 4 * 3600}
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._=+-]*")
LONGEST_NAME = 120  # characters, so that name.failed.ipynb fits into 255 bytes with room


@dataclass(frozen=True)
class Job:
    """A notebook with parameters; its output is name.ipynb."""

    name: str
    notebook: Path
    parameters: dict[str, object]
    timeout_s: float
    solutions: bool = False

    @property
    def lesson(self) -> str:
        """Name of the notebook."""
        return self.notebook.stem

    def fingerprint(self) -> str:
        """SHA-256 of all that decides how the job ends: notebook, parameters, package, torch."""
        settings = [self.parameters, self.solutions, surroundings()]
        digest = hashlib.sha256(self.notebook.read_bytes())
        digest.update(json.dumps(settings, sort_keys=True, default=str).encode())
        return digest.hexdigest()


@cache
def surroundings() -> list[str]:
    """Versions of Python's packages that matter, and what the package's own sources hash to."""
    digest = hashlib.sha256()
    for path in sorted(Path(__file__).parent.rglob("*.py")):  # a checkout changes under one version
        digest.update(path.read_bytes())
    found = [digest.hexdigest()]
    for package in ("cnncourse", "torch", "numpy"):
        try:
            found.append(f"{package} {version(package)}")
        except PackageNotFoundError:  # run from a folder, not installed
            found.append(package)
    return found


def lessons_folder() -> Path:
    """Folder of the lessons: beside the package, or the current one."""
    beside = Path(__file__).parent.parent / "notebooks"
    return beside if beside.is_dir() else Path.cwd()


def lessons(folder: Path) -> dict[str, Path]:
    """Every lesson of a folder by its name, in order."""
    return {path.stem: path for path in sorted(folder.glob("[0-9][0-9]_*.ipynb"))}


def choose(names: Iterable[str], folder: Path) -> dict[str, Path]:
    """The lessons of those names or numbers ("6", "mnist_from_scratch"); all where none is named.

    Raises ValueError for a name that no lesson has, or several have.
    """
    known = lessons(folder)
    if not known:
        raise ValueError(f"{folder}: no lessons here. Try: cd <the folder with 00_start_here>.")
    chosen = {}
    for name in names:
        stem = name.removesuffix(".ipynb")
        found = [key for key in known if stem in (key, key[3:]) or stem.zfill(2) == key[:2]]
        if not found:
            raise ValueError(messages.unknown(name, "lesson", known))
        if len(found) > 1 and stem not in found:
            raise ValueError(f"{name!r}: {' and '.join(found)} are called so. Try: {found[0]}.")
        first = stem if stem in found else found[0]
        chosen[first] = known[first]
    return chosen or known


def named(job: Job, given: Iterable[str]) -> str:
    """A readable name: lesson, the parameters that were given, eight digits of a hash of all."""
    parts = [f"{name}={job.parameters[name]}" for name in given]
    readable = re.sub(r"[^A-Za-z0-9._=+-]", "-", "_".join([job.lesson, *parts]))
    said = json.dumps([job.lesson, job.parameters], sort_keys=True, default=str)
    digest = hashlib.sha256(said.encode()).hexdigest()[:8]
    return f"{readable[: LONGEST_NAME - 9].lstrip('.-=+_')}_{digest}"


def check_names(jobs: Sequence[Job]) -> None:
    """Raise ValueError for a name that is no plain file name, and for one that two jobs have."""
    seen: dict[str, Job] = {}
    for job in jobs:
        if len(job.name) > LONGEST_NAME or not NAME.fullmatch(job.name):
            rule = f"must be letters, digits and . _ = + -, {LONGEST_NAME} characters at most"
            came = job.name if len(job.name) <= LONGEST_NAME else job.name[:20] + "…"
            raise ValueError(messages.refusal("name", came, rule, attempt=f"name={job.lesson!r}"))
        if job.name.lower().endswith(".failed"):
            rule = "must not end in .failed, as the output of a failure does"
            attempt = f"name={job.name[:-7] or job.lesson!r}"
            raise ValueError(messages.refusal("name", job.name, rule, attempt=attempt))
        if job.name.lower() in seen:  # some file systems do not tell A from a
            raise ValueError(f"name={job.name!r}: two jobs have it. Try: each job once.")
        seen[job.name.lower()] = job
