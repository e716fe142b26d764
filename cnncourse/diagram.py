"""Diagrams of blocks: boxes on a grid, and arrows down from what gives to what takes."""

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

from cnncourse import messages, plots
from cnncourse.sketch import GRAY, INK, Sketch

# Pale Okabe-Ito colours: the words in a box say what it is, the colour only groups.
FILLS = {
    "image": "#EEEEEE",
    "conv": "#CFE6F5",
    "pool": "#CDEBDF",
    "norm": "#FBE8C8",
    "linear": "#F8D9CC",
    "join": "#FFFFFF",
}
ROW_PX, HEIGHT_PX, MARGIN_PX = 66, 40, 16


class Box(NamedTuple):
    """A part of a network; column and row may be halves, rows run downwards.

    kind is "image", "conv", "pool", "norm", "linear" or "join" (an addition, a concatenation);
    columns is how many columns it is wide.
    """

    column: float
    row: float
    words: str
    detail: str = ""  # a second line, such as a shape
    kind: str = "conv"
    columns: float = 1


def diagram(
    boxes: dict[str, Box],
    arrows: Sequence[tuple[str, str] | tuple[str, str, str]],
    *,
    alt: str,
    column_px: int = 150,
) -> plots.Picture:
    """Boxes by name, and arrows (from, to) or (from, to, words beside it), as a picture.

    An arrow that would cross a box of its own column walks around it, on the right: a shortcut.
    Raises ValueError for an arrow from or to a box that is not there, and for an unknown kind.
    """
    for box in boxes.values():
        if box.kind not in FILLS:
            raise ValueError(messages.unknown(box.kind, "kind of box", FILLS))
    for name in (name for arrow in arrows for name in arrow[:2]):
        if name not in boxes:
            raise ValueError(messages.unknown(name, "box", boxes))
    paths = [route(boxes, arrow[0], arrow[1], column_px) for arrow in arrows]
    notes = [arrow[2] if len(arrow) == 3 else "" for arrow in arrows]
    rights = [
        MARGIN_PX + (box.column + 0.5 + box.columns / 2) * column_px for box in boxes.values()
    ]
    for path, note in zip(paths, notes, strict=True):
        rights.append(beside(path)[0] + 8 * len(note))  # a letter is at most 8 px wide
    rows = max(box.row for box in boxes.values())
    width_px = round(max(rights) + MARGIN_PX)
    page = Sketch(width_px, round(rows * ROW_PX + HEIGHT_PX + 2 * MARGIN_PX))
    for path, note in zip(paths, notes, strict=True):
        draw_arrow(page, path, note)
    for box in boxes.values():
        draw_box(page, box, column_px)
    return plots.Picture(page.png(), alt, width_px=width_px)


def middle(box: Box, column_px: int) -> tuple[float, float]:
    """Middle of a box on the page, in pixels."""
    x = MARGIN_PX + (box.column + 0.5) * column_px
    return x, MARGIN_PX + box.row * ROW_PX + HEIGHT_PX / 2


def draw_box(page: Sketch, box: Box, column_px: int) -> None:
    """A box with one or two lines of words."""
    x, y = middle(box, column_px)
    width = box.columns * column_px - 14
    left, top = x - width / 2, y - HEIGHT_PX / 2
    page.frame(left, top, width, HEIGHT_PX, color=FILLS[box.kind], line_px=HEIGHT_PX // 2 + 1)
    page.frame(left, top, width, HEIGHT_PX, color=GRAY, line_px=1)
    page.text(x, y - 8 if box.detail else y, box.words, size_px=13, bold=True)
    if box.detail:
        page.text(x, y + 9, box.detail, size_px=12)


def route(boxes: dict[str, Box], start: str, end: str, column_px: int) -> list[tuple[float, float]]:
    """Corners of an arrow from the bottom of one box to the top of another."""
    first, last = boxes[start], boxes[end]
    (x, y), (to_x, to_y) = middle(first, column_px), middle(last, column_px)
    if first.column == last.column and blocked(boxes, first, last, first.column):
        widest = max(box.columns for box in boxes.values() if first.row <= box.row <= last.row)
        aside = x + (widest / 2 + 0.1) * column_px
        edges = [at + box.columns * column_px / 2 - 7 for at, box in ((x, first), (to_x, last))]
        return [(edges[0], y), (aside, y), (aside, to_y), (edges[1], to_y)]
    bottom, top = y + HEIGHT_PX / 2, to_y - HEIGHT_PX / 2
    if abs(to_x - x) <= (last.columns - 1) * column_px / 2:  # a wide box is met straight
        return [(x, bottom), (x, top)]
    if abs(to_x - x) <= (first.columns - 1) * column_px / 2:
        return [(to_x, bottom), (to_x, top)]
    half_gap = (ROW_PX - HEIGHT_PX) / 2
    late = blocked(boxes, first, last, last.column)
    turn = top - half_gap if late else bottom + half_gap
    return [(x, bottom), (x, turn), (to_x, turn), (to_x, top)]


def blocked(boxes: dict[str, Box], first: Box, last: Box, column: float) -> bool:
    """Whether a box stands in that column between the rows of two others."""
    return any(
        first.row < box.row < last.row and abs(box.column - column) < (box.columns + 1) / 2 - 0.25
        for box in boxes.values()
    )


def beside(path: list[tuple[float, float]]) -> tuple[float, float]:
    """Place to the right of the middle of a path's longest way down."""
    (x, y), (_, to_y) = max(pairwise(path), key=lambda ends: abs(ends[0][1] - ends[1][1]))
    return x + 8, (y + to_y) / 2


def draw_arrow(page: Sketch, path: list[tuple[float, float]], words: str) -> None:
    """Lines along the corners, a head at the end, words beside the longest stretch."""
    page.line(path, color=INK, line_px=1.5)
    (before_x, _), (x, y) = path[-2:]
    if before_x == x:
        page.line([(x - 5, y - 8), (x, y - 1), (x + 5, y - 8)], color=INK, line_px=1.5)
    else:
        side = 8 if before_x > x else -8
        page.line([(x + side, y - 5), (x, y), (x + side, y + 5)], color=INK, line_px=1.5)
    if words:
        page.text(*beside(path), words, size_px=12, anchor="lm")
