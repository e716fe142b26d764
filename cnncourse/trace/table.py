"""Rows of a trace, their sums, and the table that a notebook shows."""

import html
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from cnncourse import messages
from cnncourse.arithmetic import ReceptiveField

HEADINGS = ("layer", "kind", "output", "parameters", "MACs", "bytes", "sees px", "note")
NUMBERS = {"parameters", "MACs", "bytes", "sees px"}  # to the right


class Row(NamedTuple):
    """One call of a layer."""

    name: str  # as in model.named_modules(); "(model)" for the model itself
    kind: str  # the layer's class
    output_shape: tuple[int, ...]  # of its first output; () where it never ran
    parameters: int  # counted where they are first used
    macs: int  # for the whole batch
    activation_bytes: int  # of its outputs; 0 where it made no memory for them
    field: ReceptiveField | None  # of one output unit, along the height
    note: str = ""


@dataclass(frozen=True)
class Trace:
    """Rows in the order of execution; layers that never ran come last."""

    rows: tuple[Row, ...]
    trainable: int = 0  # parameters with requires_grad
    unknown: tuple[str, ...] = ()  # names of rows whose MACs are not, or not all, counted
    note: str = ""
    ends: Mapping[str, Row] = field(default_factory=dict)  # of each module's last call, by name

    @property
    def parameters(self) -> int:
        """Of the whole model, each counted once."""
        return sum(row.parameters for row in self.rows)

    @property
    def macs(self) -> int:
        """Multiply-accumulates for the whole batch."""
        return sum(row.macs for row in self.rows)

    @property
    def activation_bytes(self) -> int:
        """Memory of all layers' outputs together; the input's is not in it."""
        return sum(row.activation_bytes for row in self.rows)

    def grouped(self, level: int = 1) -> "Trace":
        """Rows summed by the first `level` parts of their names, each group at its first call."""
        messages.check_at_least("level", level, 1)
        groups: dict[str, list[Row]] = {}
        for row in self.rows:
            groups.setdefault(".".join(row.name.split(".")[:level]), []).append(row)
        rows = tuple(summed(name, group, self.ends.get(name)) for name, group in groups.items())
        return replace(self, rows=rows)

    def __str__(self) -> str:
        lines = [HEADINGS, *map(cells, self.rows), self.totals()]
        widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
        text = ["  ".join(map(aligned, HEADINGS, line, widths)).rstrip() for line in lines]
        rule = "-" * max(map(len, text))
        said = [self.note] if self.note else []
        return "\n".join([text[0], rule, *text[1:-1], rule, text[-1], *said])

    __repr__ = __str__

    def _repr_html_(self) -> str:
        head = "".join(f'<th scope="col">{heading}</th>' for heading in HEADINGS)
        body = "".join(map(html_row, [*map(cells, self.rows), self.totals()]))
        caption = f"<caption>{html.escape(self.note)}</caption>" if self.note else ""
        return (
            f'<table style="max-width: 100%">{caption}<thead><tr>{head}</tr></thead>'
            f"<tbody>{body}</tbody></table>"
        )

    def totals(self) -> tuple[str, ...]:
        """Last line of the table."""
        sums = (f"{self.parameters:,}", f"{self.macs:,}", f"{self.activation_bytes:,}")
        unknown = f"not all counted: {', '.join(self.unknown)}" if self.unknown else ""
        return ("total", "", "", *sums, "", unknown)


def cells(row: Row) -> tuple[str, ...]:
    """A row in words, one for each heading."""
    shape = "×".join(map(str, row.output_shape)) or "–"
    counts = (f"{row.parameters:,}", f"{row.macs:,}", f"{row.activation_bytes:,}")
    sees = f"{row.field.size:,}" if row.field else "–"
    return (row.name, row.kind, shape, *counts, sees, row.note)


def aligned(heading: str, word: str, width: int) -> str:
    """A word filled up to a width: numbers to the right, the rest to the left."""
    return word.rjust(width) if heading in NUMBERS else word.ljust(width)


def html_row(words: Sequence[str]) -> str:
    """A row for a notebook; names and notes are text, whatever is in them."""
    name, *rest = (html.escape(word) for word in words)
    parts = [f'<th scope="row" style="text-align: left">{name}</th>']
    for heading, word in zip(HEADINGS[1:], rest, strict=True):
        side = "right" if heading in NUMBERS else "left"
        parts.append(f'<td style="text-align: {side}">{word}</td>')
    return f"<tr>{''.join(parts)}</tr>"


def summed(name: str, group: Sequence[Row], end: Row | None = None) -> Row:
    """One row for several: what they hold and compute, and what came out at their end.

    end is the row of the module that they are parts of, where they are: the last of them may be
    one path of many.
    """
    ran = [row for row in group if row.output_shape] or group
    last, notes = end or ran[-1], {row.note for row in group}
    return Row(
        name,
        group[0].kind if len(group) == 1 else f"{len(group)} rows",
        last.output_shape,
        sum(row.parameters for row in group),
        sum(row.macs for row in group),
        sum(row.activation_bytes for row in group),
        last.field,
        notes.pop() if len(notes) == 1 else "",
    )
