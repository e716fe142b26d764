"""Shift: a picture moves by pixels; what five ways of pooling make of it, and how wrong they go."""

from collections.abc import Callable
from functools import cache
from typing import NamedTuple

import ipywidgets as widgets
import numpy as np

from cnncourse import filters, images, messages, ops
from cnncourse.explorers import Explorer
from cnncourse.sketch import Sketch

SHOWN_PX = 56  # side of the part that is shown and compared
MARGIN_PX = 32  # around it, so that no border is ever compared
MOST_PX = 8  # farthest move
STRIDES = (1, 2, 4)

# Upper left pixel of the part of each photograph that is shown.
PARTS = {
    "chelsea": (96, 130),
    "astronaut": (90, 190),
    "coffee": (130, 230),
    "rocket": (150, 290),
    "coins": (110, 150),
    "brick": (200, 200),
}
PATTERNS = ("stripes of 1 px", "stripes of 3 px", "one pixel")

# --- pooling --------------------------------------------------------------------------------------


def take_every(maps: np.ndarray, stride: int) -> np.ndarray:
    """Every stride-th row and column, as a convolution with that stride does."""
    return maps[..., ::stride, ::stride]


def pool_max(maps: np.ndarray, stride: int) -> np.ndarray:
    """Max pooling with windows as wide as the stride, 2 px or more."""
    return ops.max_pool2d(maps, max(2, stride), stride=stride)


def pool_average(maps: np.ndarray, stride: int) -> np.ndarray:
    """Average pooling with windows as wide as the stride, 2 px or more."""
    return ops.avg_pool2d(maps, max(2, stride), stride=stride)


def pool_blur(maps: np.ndarray, stride: int) -> np.ndarray:
    """Blur with a binomial kernel, then every stride-th row and column."""
    return ops.blur_pool2d(maps, kernel_size=max(3, 2 * stride - 1), stride=stride)


def pool_max_blur(maps: np.ndarray, stride: int) -> np.ndarray:
    """Zhang's replacement of max pooling: the maximum at every pixel, then blur pooling."""
    return pool_blur(ops.max_pool2d(maps, max(2, stride), stride=1), stride)


POOLS: dict[str, Callable[[np.ndarray, int], np.ndarray]] = {
    "stride": take_every,
    "max": pool_max,
    "average": pool_average,
    "blur": pool_blur,
    "max, then blur": pool_max_blur,
}

# --- errors ---------------------------------------------------------------------------------------


def moved(maps: np.ndarray, down: float, right: float) -> np.ndarray:
    """Map (..., H, W) moved by cells, also by parts of one; what leaves comes back opposite.

    Between two cells the map is read off on the straight line through them.
    """
    for axis, cells in ((-2, down), (-1, right)):
        whole = int(np.floor(cells))
        part = cells - whole
        near = np.roll(maps, whole, axis)
        maps = near if part == 0 else (1 - part) * near + part * np.roll(near, 1, axis)
    return maps


def relative_error(one: np.ndarray, other: np.ndarray) -> float:
    """Root of the mean squared difference, over the standard deviation of all values of both.

    0 for equal maps, 1.41 for maps of the same spread that have nothing to do with each other, 2 at
    most.
    """
    spread = float(np.std([one, other]))
    return float(np.sqrt(np.mean((one - other) ** 2))) / spread if spread > 1e-12 else 0.0


class Pooled(NamedTuple):
    """What one way of pooling makes of the picture before and after the move."""

    before: np.ndarray
    after: np.ndarray
    along: np.ndarray  # before, moved along with the picture
    equivariance_error: float  # of after against along
    invariance_error: float  # of after against before


def pooled(
    pool: Callable[[np.ndarray, int], np.ndarray],
    still: np.ndarray,
    moving: np.ndarray,
    *,
    down: int,
    right: int,
    stride: int,
) -> Pooled:
    """Pooling of both pictures (H, W), compared without MARGIN_PX at each border."""
    before, after = pool(still, stride), pool(moving, stride)
    along = moved(before, down / stride, right / stride)
    inner = slice(MARGIN_PX // stride, (MARGIN_PX + SHOWN_PX) // stride)
    before, after, along = (part[inner, inner] for part in (before, after, along))
    return Pooled(before, after, along, relative_error(after, along), relative_error(after, before))


# --- the explorer ---------------------------------------------------------------------------------


class Shifted(NamedTuple):
    """A picture before and after a move, and each pooling of both."""

    still: np.ndarray  # (SHOWN_PX, SHOWN_PX)
    moving: np.ndarray
    down: int
    right: int
    stride: int
    moves_along: bool  # which comparison is drawn
    pools: dict[str, Pooled]


@cache
def scene(picture: str, edges: bool) -> np.ndarray:
    """The picture from 0 to 1 with room for every move on each side, or its map of edges."""
    room = MARGIN_PX + MOST_PX + 1  # one more for the kernel of the edges
    side = SHOWN_PX + 2 * room
    if picture in PARTS:
        top, left = PARTS[picture]
        whole = images.gray(images.photo(picture))
        values = whole[top - room : top - room + side, left - room : left - room + side]
    elif picture == "one pixel":
        values = np.zeros((side, side))
        values[side // 2, side // 2] = 1
    elif picture in PATTERNS:
        width = int(picture.split()[-2])
        values = np.tile(np.arange(side) // width % 2, (side, 1)).astype(float)
    else:
        raise ValueError(messages.unknown(picture, "picture", (*PARTS, *PATTERNS)))
    if edges:
        return np.maximum(ops.conv2d(values, filters.SOBEL_X), 0)  # as a first layer and its ReLU
    return values[1:-1, 1:-1]


def shifted(picture: str, edges: bool, right: int, down: int, stride: int, compare: str) -> Shifted:
    """Move the picture and pool it in every way.

    Raises ValueError for a move of more than MOST_PX and for a stride that is not offered.
    """
    for name, came in (("right", right), ("down", down)):
        if abs(came) > MOST_PX:
            rule = f"must be from -{MOST_PX} to {MOST_PX}, where the picture ends"
            raise ValueError(messages.refusal(name, came, rule, attempt=f"{name}={MOST_PX}"))
    if stride not in STRIDES:
        rule = f"must be one of {STRIDES}"
        raise ValueError(messages.refusal("stride", stride, rule, attempt="stride=2"))
    values = scene(picture, edges)
    side = SHOWN_PX + 2 * MARGIN_PX
    still = values[MOST_PX : MOST_PX + side, MOST_PX : MOST_PX + side]
    top, left = MOST_PX - down, MOST_PX - right  # the window goes up when the picture goes down
    moving = values[top : top + side, left : left + side]
    pools = {
        name: pooled(pool, still, moving, down=down, right=right, stride=stride)
        for name, pool in POOLS.items()
    }
    inner = slice(MARGIN_PX, MARGIN_PX + SHOWN_PX)
    along = compare == COMPARISONS[0]
    parts = still[inner, inner], moving[inner, inner]
    return Shifted(*parts, down, right, stride, along, pools)


COMPARISONS = ("the map moved along (equivariance)", "the map as it was (invariance)")
IMAGE_PX, STEP_PX, ROW_PX, LEFT_PX, TOP_PX = 112, 121, 134, 10, 44


def draw(shown: Shifted) -> Sketch:
    """Columns: the picture, then each pooling. Rows: before, after the move, the difference."""
    page = Sketch(LEFT_PX + 6 * STEP_PX, TOP_PX + 3 * ROW_PX + 10)
    white = brightness(shown.still)
    column(page, 0, "picture", [shown.still, shown.moving], white)
    top = TOP_PX + 2 * ROW_PX
    for number, (name, pool) in enumerate(shown.pools.items(), start=1):
        column(page, number, name, [pool.before, pool.after], white)
        difference = pool.after - (pool.along if shown.moves_along else pool.before)
        boxed(page, difference, LEFT_PX + number * STEP_PX, top, paint="signed", limit=white / 2)
        error = pool.equivariance_error if shown.moves_along else pool.invariance_error
        place = LEFT_PX + number * STEP_PX + IMAGE_PX / 2, top + IMAGE_PX + 14
        page.text(*place, f"error {error:.3f}", bold=True, size_px=15)
    against = "moved along" if shown.moves_along else "as it was"
    lines = ["after the move", "less the map", f"{against}:", "blue is brighter,", "orange darker"]
    for number, line in enumerate([*lines, "(contrast x 2)"]):
        page.text(LEFT_PX, top + 10 + 18 * number, line, anchor="lm", size_px=12)
    return page


def brightness(values: np.ndarray) -> float:
    """What is drawn white: nearly the brightest value, for a few sparks must not darken the rest.

    Where nearly all is black it is the brightest.
    """
    return float(np.percentile(values, 99.5)) or float(values.max()) or 1.0


def column(page: Sketch, number: int, title: str, maps: list[np.ndarray], white: float) -> None:
    """Title, the map before and after the move."""
    x = LEFT_PX + number * STEP_PX
    page.text(x + IMAGE_PX / 2, 13, title, bold=True, size_px=13)
    for row, (values, when) in enumerate(zip(maps, ("before", "after the move"), strict=True)):
        y = TOP_PX + row * ROW_PX
        page.text(x + IMAGE_PX / 2, y - 10, when, size_px=12, color="#555555")
        boxed(page, values, x, y, paint="gray", limit=white)


def boxed(
    page: Sketch, values: np.ndarray, x: float, y: float, *, paint: str, limit: float
) -> None:
    """A map in a thin frame."""
    page.image(values, x, y, width_px=IMAGE_PX, height_px=IMAGE_PX, paint=paint, limit=limit)
    page.frame(x, y, IMAGE_PX, IMAGE_PX, color="#B0B0B0", line_px=1)


def sentence(shown: Shifted) -> str:
    """The move, and the error of every way of pooling."""
    kind = "equivariance" if shown.moves_along else "invariance"
    errors = ", ".join(
        f"{name} {pool.equivariance_error if shown.moves_along else pool.invariance_error:.3f}"
        for name, pool in shown.pools.items()
    )
    return (
        f"moved {shown.right} px to the right and {shown.down} px down, stride {shown.stride}: "
        f"{kind} error {errors}"
    )


def explorer(picture: str = "chelsea") -> Explorer:
    """Move a photograph, its edges or a pattern, and watch five ways of pooling."""
    return Explorer(
        "Shift",
        shifted,
        draw,
        sentence,
        width_px=LEFT_PX + 6 * STEP_PX,
        play="right",
        interval_ms=900,
        picture=widgets.Dropdown(options=[*PARTS, *PATTERNS], value=picture),
        edges=widgets.Checkbox(True, description="map of edges (Sobel, ReLU)"),
        right=widgets.IntSlider(1, -MOST_PX, MOST_PX),
        down=widgets.IntSlider(0, -MOST_PX, MOST_PX),
        stride=widgets.Dropdown(options=list(STRIDES), value=2),
        compare=widgets.Dropdown(options=list(COMPARISONS), description="compare with"),
    )
