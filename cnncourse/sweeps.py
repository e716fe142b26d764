"""Sweeps: every combination of a grid and seeds, or the jobs of a file, checked as a whole."""

import itertools
import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path

import yaml

from cnncourse import messages, parameters
from cnncourse.jobs import TIMEOUTS_S, Job, choose, named

LONGEST_S = 1e8  # that a job may take, in seconds: three years
ATTEMPT = "- {lesson: '06', parameters: {seed: 1}}"
KEYS = ("lesson", "name", "parameters", "timeout")


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


def sweep(
    name: str, folder: Path, rows: Iterable[Mapping[str, object]], timeout_s: float | None
) -> list[Job]:
    """A job for each row of parameters of one lesson; ValueError for what it does not take."""
    ((lesson, path),) = choose([name], folder).items()
    notebook = parameters.read(path)
    jobs = []
    for row in rows:
        values = parameters.parse_parameters(lesson, notebook, row)
        limit = timeout_s or TIMEOUTS_S[str(values.get("budget", "quick"))]
        job = Job("", path, values, limit)
        jobs.append(replace(job, name=named(job, row)))
    return jobs


class Loader(yaml.SafeLoader):
    """Plain values, each name once; no aliases: ten lines of them can fill any memory."""

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        """A node of the file, as yaml.SafeLoader makes it."""
        if self.check_event(yaml.AliasEvent):
            mark = self.peek_event().start_mark
            raise yaml.composer.ComposerError(None, None, "aliases (*) are not taken", mark)
        return super().compose_node(parent, index)

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict:
        """A mapping, as yaml.SafeLoader makes it."""
        seen = set()
        for key, _ in node.value:
            if (name := str(key.value)) in seen:
                said = f"{name!r} is there twice"
                raise yaml.constructor.ConstructorError(None, None, said, key.start_mark)
            seen.add(name)
        return super().construct_mapping(node, deep)


def from_yaml(
    path: Path, folder: Path, timeout_s: float | None, given: Mapping[str, object]
) -> list[Job]:
    """The jobs of a file: a list of `lesson:`, and where wanted `parameters:`, `name:`, `timeout:`.

    given are parameters of every job that does not say otherwise. Raises ValueError, which names
    the line, for a file that is not such a list, and for what `sweep` refuses.
    """
    jobs = []
    for line, row in numbered_rows(path):
        try:
            jobs.append(job_of(row, folder, timeout_s, given))
        except ValueError as error:
            raise ValueError(f"{path.name}, line {line}: {error}") from error
    return jobs


def numbered_rows(path: Path) -> list[tuple[int, object]]:
    """The items of a YAML list, each with its line; ValueError where there is no such list."""
    try:
        loader = Loader(path.read_text("utf-8"))
        node = loader.get_single_node()
        if not isinstance(node, yaml.SequenceNode) or not node.value:
            raise ValueError(f"{path.name}: must be a list of jobs. Try: {ATTEMPT}.")
        lines = [item.start_mark.line + 1 for item in node.value]
        return list(zip(lines, loader.construct_document(node), strict=True))
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "no UTF-8"
        raise ValueError(f"jobs={str(path)!r}: cannot be read ({reason}).") from error
    except (yaml.YAMLError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        line = f", line {mark.line + 1}" if mark else ""
        reason = getattr(error, "problem", None) or "is no YAML"
        raise ValueError(f"{path.name}{line}: {reason}. Try: {ATTEMPT}.") from error


def job_of(row: object, folder: Path, timeout_s: float | None, given: Mapping[str, object]) -> Job:
    """The job that an item of a file describes; ValueError where it describes none."""
    if not isinstance(row, dict) or "lesson" not in row or set(row) - set(KEYS):
        rule = "must have lesson, and of name, parameters, timeout what is wanted"
        raise ValueError(messages.refusal("job", row, rule, attempt=ATTEMPT))
    own, limit = row.get("parameters") or {}, row.get("timeout", timeout_s)
    if not isinstance(own, dict):
        rule = "must be names with values"
        raise ValueError(messages.refusal("parameters", own, rule, attempt="{seed: 1}"))
    if limit is not None and (type(limit) not in (int, float) or not 0 < limit < LONGEST_S):
        rule = "must be seconds, above 0"
        raise ValueError(messages.refusal("timeout", limit, rule, attempt="timeout: 600"))
    (job,) = sweep(str(row["lesson"]), folder, [{**given, **own}], limit)
    return replace(job, name=str(row["name"])) if "name" in row else job
