"""One page about a batch, without a network: a table to filter, plots over what was swept.

Everything that a notebook or a parameter says is shown as text, never taken for HTML.
"""

import html
import itertools
import math
import re
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import quote

import nbformat

from cnncourse import files
from cnncourse.messages import printable
from cnncourse.report import Row

MOST_PLOTS = 12
LONG = 24  # characters of a text that has a wide column
WIDTH_PX, HEIGHT_PX, LEFT_PX, EDGE_PX = 320, 220, 76, 30  # of a plot, and what surrounds its points

PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>cnncourse: results</title>
<meta name="viewport" content="width=device-width">
<style>
body {{ font-family: sans-serif; margin: 2em; color: #222; background: #fff }}
table {{ border-collapse: collapse }}
th, td {{ padding: 4px 12px; text-align: left; border-bottom: 1px solid #ccc; vertical-align: top }}
thead th {{ position: sticky; top: 0; background: #fff; box-shadow: 0 1px #ccc }}
td {{ overflow-wrap: anywhere; max-width: 30em }} td:first-child, td.words {{ min-width: 16em }}
td.number {{ text-align: right; font-variant-numeric: tabular-nums }}
tr.bad td:nth-child(2) {{ color: #a00000; font-weight: bold }}
.wide {{ overflow: auto; max-height: 75vh }} svg {{ max-width: 100% }} text {{ font-size: 11px }}
.plots {{ display: flex; flex-wrap: wrap; gap: 1em }} figure {{ margin: 0 }}
input, select {{ font-size: 1em; padding: 4px; border: 1px solid #666 }}
@media (max-width: 40em) {{ body {{ margin: 1em }} td:first-child {{ min-width: 9em }} }}
@media print {{ .wide {{ max-height: none }} }}
</style></head><body><main>
<h1>Results</h1>
<p>{summary}</p>
<p><label>Show rows with <input id="words" type="search"></label>
<label>and result <select id="state"><option value="">any{options}</select></label>
<span id="shown" role="status"></span></p>
<div class="wide" tabindex="0" role="region" aria-label="Table of results">
<table><thead><tr>{head}</tr></thead><tbody id="rows">
{rows}
</tbody></table></div>
{plots}
</main><script>
const words = document.getElementById("words"), state = document.getElementById("state");
function filter() {{
  const rows = [...document.getElementById("rows").rows];
  for (const row of rows) {{
    const said = row.textContent.toLowerCase().includes(words.value.toLowerCase());
    row.hidden = !said || (state.value && row.dataset.state !== state.value);
  }}
  const left = rows.filter(row => !row.hidden).length;
  document.getElementById("shown").textContent = `${{left}} of ${{rows.length}} rows`;
}}
words.addEventListener("input", filter); state.addEventListener("input", filter); filter();
</script></body></html>
"""


def write(found: Sequence[Row], out: Path, *, lessons: bool = False) -> Path:
    """Write index.html into out, with a page a notebook where lessons says so; returns its path."""
    links = {str(row["output"]): str(row["output"]) for row in found if row["output"]}
    if lessons:
        links = {name: lesson_page(out / name) for name in links}
    columns = [name for name in order(found) if any(row[name] not in (None, "") for row in found)]
    states = list(dict.fromkeys(str(row["state"]) for row in found))
    counts = {state: sum(row["state"] == state for row in found) for state in states}
    content = PAGE.format(
        summary=html.escape(", ".join(f"{count} {state}" for state, count in counts.items())),
        options="".join(f"<option>{html.escape(state)}" for state in states),
        head="".join(f'<th scope="col">{html.escape(title(name))}' for name in columns),
        rows="\n".join(table_row(row, columns, links) for row in found),
        plots=plots(found),
    )
    files.replace(out / "index.html", content.encode())
    return out / "index.html"


def order(found: Sequence[Row]) -> list[str]:
    """Columns as people read them: how it ended, what was set and found, what it cost."""
    settings = [
        name for name in (found[0] if found else []) if name.startswith(("param.", "number."))
    ]
    costs = ["seconds", "peak_memory_mb", "tries"]
    return ["job", "state", "message", *settings, *costs, "headline", "last_line"]


def title(column: str) -> str:
    """Name of a column, for people."""
    named = {"state": "result", "peak_memory_mb": "memory (MB)", "last_line": "last line printed"}
    return named.get(column, column.removeprefix("param.").removeprefix("number."))


def table_row(row: Row, columns: Sequence[str], links: dict[str, str]) -> str:
    """A row of the table, in HTML."""
    cells = []
    for name in columns:
        value = row[name]
        number = isinstance(value, int | float) and not isinstance(value, bool)
        shown = html.escape(legible(value))
        if name == "job":
            shown = shown.replace("_", "_<wbr>")  # a long name goes on in a second line here
        if name == "job" and row["output"]:
            shown = f'<a href="{html.escape(quote(links[str(row["output"])]))}">{shown}</a>'
        kind = "number" if number else "words" if len(legible(value)) > LONG else ""
        cells.append(f'<td class="{kind}">{shown}' if kind else f"<td>{shown}")
    bad = ' class="bad"' if row["state"] != "passed" else ""
    return f'<tr{bad} data-state="{html.escape(str(row["state"]))}">{"".join(cells)}</tr>'


def legible(value: object) -> str:
    """A value for people: six digits, or all of a whole number; text as a terminal may have it."""
    if isinstance(value, float):
        return f"{value:.0f}" if value.is_integer() and abs(value) < 1e15 else f"{value:g}"
    return "" if value is None else printable(str(value))


def numbers(found: Sequence[Row], name: str) -> list[float | None]:
    """A column's values where they are numbers that can be drawn; else None."""
    return [
        float(value)
        if isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e300
        else None
        for value in (row[name] for row in found)
    ]


def plots(found: Sequence[Row]) -> str:
    """A plot of each recorded number over each parameter that has several values."""
    columns = list(found[0]) if found else []
    swept = [
        name
        for name in columns
        if name.startswith("param.") and len(set(numbers(found, name)) - {None}) > 1
    ]
    swept.sort(key="param.seed".__eq__)  # what differs by chance comes last
    recorded = [
        name
        for name in columns
        if name.startswith("number.") and set(numbers(found, name)) - {None}
    ]
    pairs = list(itertools.product(swept, recorded))
    drawn = [plot(found, x, y) for x, y in pairs[:MOST_PLOTS]]
    if not drawn:
        return ""
    more = f"<p>{len(pairs) - MOST_PLOTS} more are left out.</p>" if len(pairs) > MOST_PLOTS else ""
    return f'<h2>Over what was swept</h2>\n<div class="plots">{"".join(drawn)}</div>{more}'


def plot(found: Sequence[Row], x: str, y: str) -> str:
    """A point a job, and the mean at each value of x: an SVG with its description."""
    pairs = zip(numbers(found, x), numbers(found, y), strict=True)
    points = [(at, value) for at, value in pairs if at is not None and value is not None]
    marks = sorted({at for at, _ in points})
    place = {at: (index + 0.5) / len(marks) for index, at in enumerate(marks)}  # steps are equal
    low, high = min(value for _, value in points), max(value for _, value in points)
    span = (high - low) or 1.0

    def left(at: float) -> float:
        return round(LEFT_PX + place[at] * (WIDTH_PX - LEFT_PX), 1)

    def top(value: float) -> float:
        return round(EDGE_PX + (high - value) / span * (HEIGHT_PX - 2 * EDGE_PX), 1)

    means = {
        at: sum(v for a, v in points if a == at) / sum(a == at for a, _ in points) for at in marks
    }
    line = " ".join(f"{left(at)},{top(mean)}" for at, mean in means.items())
    dots = "".join(
        f'<circle cx="{left(at)}" cy="{top(value)}" r="3.5" fill="#0072b2" fill-opacity="0.6"/>'
        for at, value in points
    )
    ticks = "".join(
        f'<text x="{left(at)}" y="{HEIGHT_PX - 8}" text-anchor="middle">{legible(at)}</text>'
        for at in marks[:: max(1, len(marks) // 5)]
    ) + "".join(
        f'<text x="{LEFT_PX - 6}" y="{top(value) + 4}" text-anchor="end">{value:.4g}</text>'
        for value in sorted({low, high})
    )
    said = ", ".join(f"{mean:.4g} at {legible(at)}" for at, mean in means.items())
    values = [row[y] for row in found]
    odd = sum(isinstance(value, float) and not math.isfinite(value) for value in values)
    names = f"{title(y)} over {title(x)}" + (f" ({odd} are no numbers)" if odd else "")
    names = html.escape(printable(names))
    return (
        f'<figure><figcaption>{names}</figcaption><svg role="img" width="{WIDTH_PX}" '
        f'height="{HEIGHT_PX}" viewBox="0 0 {WIDTH_PX} {HEIGHT_PX}" '
        f'aria-label="{names}: mean {said}">'
        f'<path d="M{LEFT_PX} {EDGE_PX / 2}V{HEIGHT_PX - EDGE_PX + 6}H{WIDTH_PX}" fill="none" '
        f'stroke="#666"/><polyline points="{line}" fill="none" stroke="#d55e00"/>{dots}{ticks}'
        "</svg></figure>"
    )


def lesson_page(path: Path) -> str:
    """Write a notebook as a page beside it, which needs no network; returns the page's name."""
    from nbconvert import HTMLExporter

    if not path.exists():
        return path.name
    exporter = HTMLExporter(mathjax_url="", require_js_url="", jquery_url="")
    notebook = nbformat.read(path, 4)
    body, _ = exporter.from_notebook_node(notebook)
    page = path.with_suffix(".html")
    files.replace(page, described(body, notebook).encode())
    return page.name


def described(page: str, notebook: nbformat.NotebookNode) -> str:
    """The page with each picture's alternative text, which nbconvert 7 leaves in the notebook."""
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    pictures = [output for output in outputs if "image/png" in output.get("data", {})]
    texts = iter([output.metadata.get("image/png", {}).get("alt", "") for output in pictures])
    missing = r'alt="No description has been provided for this image"'
    return re.sub(missing, lambda _: f'alt="{html.escape(next(texts, ""))}"', page)
