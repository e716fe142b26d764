"""What a run found, for people: a table in the terminal and pages to open, without a network."""

import html
import re
from collections.abc import Sequence
from pathlib import Path

import nbformat

from cnncourse import files
from cnncourse.batch import Outcome

PAGE = """<!doctype html>
<html lang="en"><meta charset="utf-8"><title>cnncourse: results</title>
<style>body {{ font-family: sans-serif; margin: 2em }} td, th {{ padding: 4px 12px;
text-align: left; border-bottom: 1px solid #ccc }}</style>
<h1>Results</h1>
<table><tr><th>lesson<th>result<th>seconds<th>memory (MB)<th>headline
{rows}
</table></html>
"""


def table(outcomes: Sequence[Outcome]) -> str:
    """The outcomes as lines of text: lesson, result, seconds, peak memory, headline or message."""
    rows = [("lesson", "result", "seconds", "memory", "headline")]
    for outcome in outcomes:
        memory = outcome.record.get("peak_memory_mb")
        rows.append(
            (
                outcome.lesson,
                outcome.state,
                f"{outcome.seconds:.1f}",
                f"{memory} MB" if memory else "-",
                outcome.message or outcome.record.get("headline", ""),
            )
        )
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    line = "{:<{}}  {:<{}}  {:>{}}  {:>{}}  {}"
    return "\n".join(
        line.format(*(part for pair in zip(row[:4], widths, strict=True) for part in pair), row[4])
        for row in rows
    )


def write_pages(outcomes: Sequence[Outcome], out: Path) -> Path:
    """A page a lesson and one that links them, in out; they need no network. Returns the latter."""
    from nbconvert import HTMLExporter

    exporter = HTMLExporter(mathjax_url="", require_js_url="", jquery_url="")
    cells = []
    for outcome in outcomes:
        name = html.escape(outcome.lesson)
        if outcome.notebook is not None:
            page = outcome.notebook.with_suffix(".html")
            notebook = nbformat.read(outcome.notebook, 4)
            body, _ = exporter.from_notebook_node(notebook)
            files.replace(page, described(body, notebook).encode())
            name = f'<a href="{html.escape(page.name)}">{name}</a>'
        words = html.escape(outcome.message or outcome.record.get("headline", ""))
        memory = outcome.record.get("peak_memory_mb", "-")
        cells.append(
            f"<tr><td>{name}<td>{outcome.state}<td>{outcome.seconds:.1f}<td>{memory}<td>{words}"
        )
    index = out / "index.html"
    files.replace(index, PAGE.format(rows="\n".join(cells)).encode())
    return index


def described(page: str, notebook: nbformat.NotebookNode) -> str:
    """The page with each picture's alternative text, which nbconvert 7 leaves in the notebook."""
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    pictures = [output for output in outputs if "image/png" in output.get("data", {})]
    words = iter([output.metadata.get("image/png", {}).get("alt", "") for output in pictures])
    missing = r'alt="No description has been provided for this image"'
    return re.sub(missing, lambda _: f'alt="{html.escape(next(words, ""))}"', page)
