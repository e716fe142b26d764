"""Jobs: a notebook with parameters, checked before anything starts, and a name for its output."""

import hashlib
import itertools
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import nbformat
import yaml

from cnncourse import messages
from cnncourse.parameters import parse_parameters

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

    Raises ValueError for a name that no lesson has.
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
        chosen[found[0]] = known[found[0]]
    return chosen or known


def grid(texts: Iterable[str], seeds: str | None) -> list[dict[str, str]]:
    """Every combination of `name=value,value` texts and of seeds "0:5" (0 to 4) or "0,3".

    Raises ValueError for a text that is not of this form and for a value that comes twice.
    """
    axes: dict[str, list[str]] = {}
    for text in texts:
        name, equals, values = text.partition("=")
        if not equals or not name.strip() or not all(part.strip() for part in values.split(",")):
            rule = "must be a name and its values"
            raise ValueError(messages.refusal("grid", text, rule, attempt="--grid seed=0,1"))
        add_axis(axes, name.strip(), [part.strip() for part in values.split(",")])
    if seeds is not None:
        add_axis(axes, "seed", seed_values(seeds))
    return [dict(zip(axes, values, strict=True)) for values in itertools.product(*axes.values())]


def add_axis(axes: dict[str, list[str]], name: str, values: list[str]) -> None:
    """Add one swept parameter; ValueError where it or one of its values is there twice."""
    if name in axes:
        raise ValueError(f"grid={name!r}: is swept twice. Try: all its values in one place.")
    if len(set(values)) < len(values):
        raise ValueError(f"grid={name!r}: a value comes twice. Try: each value once.")
    axes[name] = values


def seed_values(text: str) -> list[str]:
    """The seeds of "0:5" (0 to 4) or "0,3"; ValueError for another form or more than 10,000."""
    if found := re.fullmatch(r"(\d{1,10}):(\d{1,10})", text):
        start, stop = int(found[1]), int(found[2])
        if start < stop <= start + 10_000:
            return [str(seed) for seed in range(start, stop)]
    elif re.fullmatch(r"\d+(,\d+)*", text):
        return text.split(",")
    rule = "must be first:end (end not included) or a list, 10,000 at most"
    raise ValueError(messages.refusal("seeds", text, rule, attempt="--seeds 0:5"))


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
        if job.name.lower() in seen:  # some file systems do not tell A from a
            raise ValueError(f"name={job.name!r}: two jobs have it. Try: each job once.")
        seen[job.name.lower()] = job


def sweep(
    name: str, folder: Path, rows: Iterable[Mapping[str, object]], timeout_s: float | None
) -> list[Job]:
    """A job for each row of parameters of one lesson; ValueError for what it does not take."""
    ((lesson, path),) = choose([name], folder).items()
    notebook = nbformat.read(path, 4)
    jobs = []
    for row in rows:
        parameters = parse_parameters(lesson, notebook, row)
        limit = timeout_s or TIMEOUTS_S[str(parameters.get("budget", "quick"))]
        job = Job("", path, parameters, limit)
        jobs.append(replace(job, name=named(job, row)))
    return jobs


def from_yaml(path: Path, folder: Path, timeout_s: float | None) -> list[Job]:
    """The jobs of a file: a list of `lesson:`, and where wanted `parameters:`, `name:`, `timeout:`.

    Raises ValueError for a file that is not such a list, and what `sweep` raises.
    """
    attempt = "- {lesson: '06', parameters: {seed: 1}}"
    try:
        rows = yaml.safe_load(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError, RecursionError) as error:
        raise ValueError(f"jobs={str(path)!r}: cannot be read as YAML. Try: {attempt}.") from error
    jobs = []
    for row in rows if isinstance(rows, list) else [rows]:
        known = {"lesson", "parameters", "name", "timeout"}
        if not isinstance(row, dict) or "lesson" not in row or set(row) - known:
            rule = (
                f"must have lesson, and of {', '.join(sorted(known - {'lesson'}))} what is wanted"
            )
            raise ValueError(messages.refusal("job", row, rule, attempt=attempt))
        given, limit = row.get("parameters") or {}, row.get("timeout") or timeout_s
        if not isinstance(given, dict) or not isinstance(limit, int | float | None):
            rule = "parameters must be names with values, timeout seconds"
            raise ValueError(messages.refusal("job", row, rule, attempt=attempt))
        (job,) = sweep(str(row["lesson"]), folder, [given], limit)
        jobs.append(replace(job, name=str(row["name"])) if "name" in row else job)
    return jobs
