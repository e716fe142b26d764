"""What a batch found, as rows: a table in the terminal, results.csv, results.parquet.

Rows come from the journal's last events; the page for people is made of the same ones.
"""

import csv
import io
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from cnncourse import files
from cnncourse.messages import printable
from cnncourse.verdict import STATES

Row = dict[str, object]

# Of an event, in this order; parameters and numbers follow, a column each.
COLUMNS = (
    *("job", "lesson", "state", "seconds", "peak_memory_mb", "tries", "cell", "heading"),
    *("message", "last_line", "headline", "output"),
)


def rows(events: Iterable[Mapping[str, object]]) -> list[Row]:
    """A row a job, failures first; every row has every column, None where there is no value.

    Parameters are columns `param.<name>`, the numbers that lessons record `number.<name>`.
    """
    found: list[Row] = []
    for event in events:
        row: Row = {name: event.get(name) for name in COLUMNS}
        for kind, key in (("param", "parameters"), ("number", "numbers")):
            values = event.get(key) or {}
            assert isinstance(values, dict)
            row |= {f"{kind}.{name}": value for name, value in values.items()}
        found.append(row)
    kinds = ("param.", "number.")
    more = dict.fromkeys(
        name for kind in kinds for row in found for name in row if name.startswith(kind)
    )
    whole = [{name: legible(row.get(name)) for name in (*COLUMNS, *more)} for row in found]
    return sorted(whole, key=lambda row: STATES.index(str(row["state"])))


def legible(value: object) -> object:
    """A value; of a text, what UTF-8 does not know (half a character) as its number."""
    return value.encode(errors="backslashreplace").decode() if isinstance(value, str) else value


def words(row: Row) -> str:
    """What a row has to say: what went wrong, else the headline."""
    return str(row["message"] or row["headline"] or "")


def table(found: Sequence[Row]) -> str:
    """The rows as lines of text: job, result, seconds, peak memory, message or headline."""
    lines = [("job", "result", "seconds", "memory", "headline")]
    for row in found:
        seconds, memory = row["seconds"], row["peak_memory_mb"]
        lines.append(
            (
                str(row["job"]),
                str(row["state"]),
                "-" if seconds is None else f"{seconds:.1f}",
                f"{memory} MB" if memory else "-",
                printable(words(row)),
            )
        )
    widths = [max(len(line[column]) for line in lines) for column in range(4)]
    form = "{:<{}}  {:<{}}  {:>{}}  {:>{}}  {}"
    return "\n".join(
        form.format(
            *(part for pair in zip(line[:4], widths, strict=True) for part in pair), line[4]
        )
        for line in lines
    )


def write_tables(found: Sequence[Row], out: Path) -> list[Path]:
    """Write results.csv into out, and results.parquet where pyarrow is installed; the paths."""
    text = io.StringIO(newline="")
    columns = list(found[0]) if found else list(COLUMNS)
    writer = csv.DictWriter(text, columns)
    writer.writeheader()
    writer.writerows({name: plain(value) for name, value in row.items()} for row in found)
    written = [out / "results.csv"]
    files.replace(written[0], text.getvalue().encode())
    if parquet := as_parquet(found, columns):
        written.append(out / "results.parquet")
        files.replace(written[1], parquet)
    return written


def plain(value: object) -> object:
    """A value that a table's cell can hold: lists and the like as JSON."""
    return value if isinstance(value, str | int | float | None) else json.dumps(value, default=str)


def as_parquet(found: Sequence[Row], columns: Sequence[str]) -> bytes:
    """The rows as a Parquet file; empty where pyarrow, an extra, is not installed."""
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError:
        return b""
    by_column = {}
    for name in columns:
        values = [plain(row[name]) for row in found]
        kinds = {type(value) for value in values if value is not None}
        long = any(isinstance(value, int) and value.bit_length() > 63 for value in values)
        if long or (len(kinds) > 1 and not kinds <= {int, float}):  # a parameter of two lessons
            values = [None if value is None else str(value) for value in values]
        elif kinds == {int, float}:
            values = [None if value is None else float(str(value)) for value in values]
        by_column[name] = values
    buffer = io.BytesIO()
    parquet.write_table(pyarrow.table(by_column), buffer)
    return buffer.getvalue()
