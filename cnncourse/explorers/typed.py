"""Grids of numbers that a reader types: a row a line, numbers apart by spaces."""

import ipywidgets as widgets
import numpy as np

from cnncourse import messages


def grid_of(text: str, *, name: str, most: int) -> np.ndarray:
    """Numbers of a text as an array (H, W), float64.

    Raises ValueError for what is no number, rows of different lengths, no number at all, and more
    than `most` rows or columns.
    """
    rows = [line.replace(",", " ").split() for line in text.strip().splitlines()]
    if not any(rows):
        raise ValueError(f"{name}: there is no number yet. Try: 1 0 on one line, 0 1 on the next.")
    lengths = [len(row) for row in rows]
    if len(set(lengths)) > 1:
        where = next(number for number, length in enumerate(lengths) if length != lengths[0])
        raise ValueError(
            f"{name}: row {where + 1} has {counted(lengths[where])}, row 1 has {lengths[0]}. "
            f"Try: {counted(lengths[0])} in each row."
        )
    if max(len(rows), lengths[0]) > most:
        rule = f"must be at most {most} x {most}, to be seen at once"
        came = f"{len(rows)} x {lengths[0]}"
        raise ValueError(f"{name} of {came}: {rule}. Try: fewer rows or columns.")
    return np.array([[number_of(word, name=name) for word in row] for row in rows])


def counted(count: int) -> str:
    """So many numbers, in words: 1 number, 2 numbers."""
    return f"{count} number{'' if count == 1 else 's'}"


def number_of(word: str, *, name: str) -> float:
    """A finite number, typed as 2, -0.5 or 1/9."""
    try:
        top, _, bottom = word.replace("−", "-").partition("/")
        number = float(top) / float(bottom or 1)
    except (ValueError, ZeroDivisionError):
        number = np.nan
    if not np.isfinite(number):
        raise ValueError(messages.refusal(name, word, "is no number", attempt="2, -0.5 or 1/9"))
    return number


def text_of(grid: np.ndarray) -> str:
    """The text that a reader would have typed for a grid."""
    return "\n".join(" ".join(f"{value:g}" for value in row) for row in grid)


def typed_grid(grid: np.ndarray, *, rows: int, description: str = "") -> widgets.Textarea:
    """Field for a grid, rows lines high."""
    field = widgets.Textarea(text_of(grid), rows=rows, description=description)
    field.layout.height = f"{20 * rows + 14}px"
    return field
