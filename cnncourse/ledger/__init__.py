"""The fidelity ledger: what a paper says, what our builds have, what torchvision has, and why.

One file an architecture; its ledger() computes the figures of both builds. The tests hold them to
torchvision, and the lesson's prose to the ledger.
"""

import html
from collections.abc import Sequence
from dataclasses import dataclass

Cell = str | int | float | None
HEADINGS = ("figure", "paper", "ours, as in the paper", "torchvision's", "why")


@dataclass(frozen=True)
class Line:
    """One figure, with its unit in words: of the paper, of our faithful build, of torchvision.

    None is a figure that is not given or has no counterpart. why says how it is counted, or why
    the columns differ; source is where the paper says it, such as "Table 1".
    """

    figure: str
    paper: Cell
    ours: Cell
    torchvision: Cell
    why: str = ""
    source: str = ""

    @property
    def cells(self) -> tuple[str, ...]:
        """The line as text, a cell a heading; the source stands behind the paper's figure."""
        paper = f"{written(self.paper)} ({self.source})" if self.source else written(self.paper)
        return self.figure, paper, written(self.ours), written(self.torchvision), self.why


@dataclass(frozen=True)
class Ledger:
    """Lines under a title; a table in a notebook, aligned text elsewhere."""

    title: str
    lines: Sequence[Line]

    def __getitem__(self, figure: str) -> Line:
        """The line of that figure."""
        return next(line for line in self.lines if line.figure == figure)

    def __repr__(self) -> str:
        rows = [HEADINGS, *(line.cells for line in self.lines)]
        widths = [max(len(row[column]) for row in rows) for column in range(len(HEADINGS))]
        padded = (
            "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))
            for row in rows
        )
        return "\n".join([self.title, *(line.rstrip() for line in padded)])

    def _repr_html_(self) -> str:
        head = "".join(f'<th scope="col">{heading}</th>' for heading in HEADINGS)
        body = "".join(html_row(line.cells) for line in self.lines)
        return (
            f'<table style="max-width: 100%"><caption>{html.escape(self.title)}</caption>'
            f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
        )


def html_row(cells: Sequence[str]) -> str:
    """A row whose first cell is its heading; words to the left, numbers to the right."""
    figure, *numbers, why = [html.escape(cell) for cell in cells]
    left, right = 'style="text-align: left"', 'style="text-align: right"'
    middle = "".join(f"<td {right}>{number}</td>" for number in numbers)
    return f'<tr><th scope="row" {left}>{figure}</th>{middle}<td {left}>{why}</td></tr>'


def written(cell: Cell) -> str:
    """A cell as text: 61,100,840 with commas, a float with three decimals at most, None as –."""
    if cell is None:
        return "–"
    if isinstance(cell, float):
        return f"{cell:,.3f}".rstrip("0").rstrip(".")
    return f"{cell:,}" if isinstance(cell, int) else cell
