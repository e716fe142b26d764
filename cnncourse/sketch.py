"""Grids of numbers and small images, drawn in milliseconds: for explorers that follow a finger.

Magnitudes are gray. Signs are blue above zero, orange below and white at zero; they are also
printed. Lengths are pixels of the page; the picture is drawn at twice that, to be sharp.
"""

import io
from collections.abc import Sequence
from functools import cache

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from cnncourse import plots

SCALE = 2
MOST_BYTES, COLORS = 60_000, 64  # of a stored picture: a notebook with ten photographs stays small
INK, GRAY, PALE = "#222222", "#888888", "#E4E4E4"
ABOVE, BELOW = np.array([0, 114, 178]), np.array([213, 94, 0])  # blue and orange of `plots`


@cache
def font(size_px: int, bold: bool) -> ImageFont.FreeTypeFont:
    """DejaVu Sans, which matplotlib brings: it has the signs of mathematics."""
    return ImageFont.truetype(plots.font_file(bold=bold), size_px * SCALE)


def signed_colors(values: np.ndarray, *, limit: float) -> np.ndarray:
    """Values from -limit to limit as colours (..., 3), uint8; what is not a number is pale gray."""
    share = np.clip(np.nan_to_num(values) / (limit or 1), -1, 1)[..., None]
    colors = np.where(share > 0, ABOVE, BELOW) * abs(share) + 255 * (1 - abs(share))
    return np.where(np.isnan(values)[..., None], 228, colors).astype(np.uint8)


def gray_colors(values: np.ndarray, *, limit: float) -> np.ndarray:
    """Values from 0 (black) to limit (white) as colours (..., 3), uint8."""
    share = np.clip(np.nan_to_num(values) / (limit or 1), 0, 1)[..., None]
    colors = np.repeat(255 * share, 3, axis=-1)
    return np.where(np.isnan(values)[..., None], 228, colors).astype(np.uint8)


def plain_colors(values: np.ndarray, *, limit: float) -> np.ndarray:
    """White wherever there is a number."""
    del limit
    return np.where(np.isnan(values)[..., None], 228, [255] * 3).astype(np.uint8)


def is_dark(color: Sequence[int]) -> bool:
    """Whether white is easier to read on a colour (red, green, blue) than black."""
    red, green, blue = color
    return 0.299 * red + 0.587 * green + 0.114 * blue < 128  # brightness, by Rec. 601


PAINTS = {"signed": signed_colors, "gray": gray_colors, "plain": plain_colors}


def written(value: float, decimals: int) -> str:
    """A number for a cell: no decimals that are zero, a true minus, nothing for NaN."""
    if np.isnan(value):
        return ""
    text = f"{value:.{decimals}f}"
    text = text.rstrip("0").rstrip(".") if "." in text else text
    return "0" if text in ("-0", "") else text.replace("-", "−")


def stretched(
    photo: np.ndarray, *, width_px: float, height_px: float, smooth: bool = True
) -> Image.Image:
    """Colours (H, W, 3), uint8, in the size that a rectangle of the page has on the canvas."""
    size = (round(width_px * SCALE), round(height_px * SCALE))
    filter_ = Image.Resampling.BILINEAR if smooth else Image.Resampling.NEAREST
    return Image.fromarray(photo).resize(size, filter_)


def compressed(picture: Image.Image) -> bytes:
    """PNG of a picture."""
    buffer = io.BytesIO()
    picture.save(buffer, "png", compress_level=6)
    return buffer.getvalue()


class Sketch:
    """A white canvas; every method draws on it, and png() gives it away."""

    def __init__(self, width_px: int, height_px: int) -> None:
        self.canvas = Image.new("RGB", (width_px * SCALE, height_px * SCALE), "white")
        self.pen = ImageDraw.Draw(self.canvas)

    def text(
        self,
        x: float,
        y: float,
        words: str,
        *,
        size_px: int = 14,
        color: str = INK,
        anchor: str = "mm",
        bold: bool = False,
    ) -> None:
        """Words at a point; anchor is Pillow's, "mm" the middle, "la" left and top."""
        place = (x * SCALE, y * SCALE)
        self.pen.text(place, words, fill=color, font=font(size_px, bold), anchor=anchor)

    def frame(
        self,
        x: float,
        y: float,
        width: float,
        height: float,
        *,
        color: str = plots.RED,
        line_px: int = 3,
    ) -> None:
        """Rectangle whose line lies inside the given one."""
        box = [round(side * SCALE) for side in (x, y, x + width, y + height)]
        self.pen.rectangle(box, outline=color, width=line_px * SCALE)

    def line(
        self, points: Sequence[tuple[float, float]], *, color: str = INK, line_px: float = 1.5
    ) -> None:
        """Straight lines from point to point."""
        path = [(x * SCALE, y * SCALE) for x, y in points]
        self.pen.line(path, fill=color, width=max(1, round(line_px * SCALE)), joint="curve")

    def grid(
        self,
        values: np.ndarray,
        x: float,
        y: float,
        *,
        cell_px: float,
        paint: str = "signed",
        limit: float | None = None,
        decimals: int = 2,
        numbers: bool = True,
        outside: np.ndarray | None = None,
    ) -> None:
        """Values (H, W), a square each, its upper left corner at (x, y).

        limit is the value of full colour (default: the largest magnitude here); NaN is a cell not
        filled. The numbers are of one size, in which the longest fits. outside (H, W) marks the
        cells that padding added: their lines and numbers are gray.
        """
        values = np.asarray(values, dtype=float)
        reach = np.nanmax(abs(values), initial=0.0) if limit is None else limit
        colors = PAINTS[paint](values, limit=reach)
        if outside is not None:
            colors = np.where(outside[..., None] & (values == 0)[..., None], 244, colors)
        words = {place: written(float(value), decimals) for place, value in np.ndenumerate(values)}
        longest = max(map(len, words.values()), default=0)
        size_px = max(6, round(min(0.45 * cell_px, 1.35 * cell_px / max(1, longest))))
        for row, column in np.ndindex(values.shape):
            left, top = x + column * cell_px, y + row * cell_px
            box = [side * SCALE for side in (left, top, left + cell_px, top + cell_px)]
            fill = tuple(int(part) for part in colors[row, column])
            self.pen.rectangle(box, fill=fill, outline="#B0B0B0")
            if numbers:
                shaded = outside is not None and outside[row, column]
                ink = "white" if is_dark(fill) else GRAY if shaded else INK
                middle = left + cell_px / 2, top + cell_px / 2
                self.text(*middle, words[row, column], size_px=size_px, color=ink)

    def image(
        self,
        values: np.ndarray,
        x: float,
        y: float,
        *,
        width_px: float,
        height_px: float,
        paint: str = "gray",
        limit: float | None = None,
        smooth: bool = False,
    ) -> None:
        """A picture stretched over a rectangle: (H, W) in a paint, or (H, W, 3) uint8 as it is."""
        if values.ndim == 2:
            reach = np.nanmax(abs(values), initial=0.0) if limit is None else limit
            values = PAINTS[paint](values, limit=reach)
        self.paste(stretched(values, width_px=width_px, height_px=height_px, smooth=smooth), x, y)

    def paste(self, picture: Image.Image, x: float, y: float) -> None:
        """A picture that `stretched` made before: where it stays the same, it is made once."""
        self.canvas.paste(picture, (round(x * SCALE), round(y * SCALE)))

    def bars(
        self,
        rows: dict[str, tuple[float, str]],
        x: float,
        y: float,
        *,
        width_px: float,
        name_px: float = 90,
        row_px: float = 26,
        limit: float | None = None,
        mark: str = "",
    ) -> None:
        """Horizontal bars: a row a name, with its length and the words behind it.

        The longest is as wide as width_px, or limit is; the row named mark is orange.
        """
        reach = limit or max((length for length, _ in rows.values()), default=1.0) or 1.0
        for number, (name, (length, words)) in enumerate(rows.items()):
            middle = y + (number + 0.5) * row_px
            left, right = x + name_px, x + name_px + width_px * min(1.0, length / reach)
            self.text(left - 8, middle, name, anchor="rm", size_px=13)
            box = [left, middle - 0.36 * row_px, max(left + 1, right), middle + 0.36 * row_px]
            color = plots.ORANGE if name == mark else plots.BLUE
            self.pen.rectangle([side * SCALE for side in box], fill=color)
            self.text(right + 6, middle, words, anchor="lm", size_px=13)

    def png(self) -> bytes:
        """The canvas as a PNG, for a picture that is stored; a heavy one in 64 colours.

        One that is heavy even so has the page's own size, too.
        """
        sharp = compressed(self.canvas)
        if len(sharp) <= MOST_BYTES:
            return sharp
        # Without k-means few dark browns of a cat become one red. It is slow, so the canvas, four
        # times the pixels, is not tried where it has little chance.
        small = compressed(self.canvas.reduce(SCALE).quantize(COLORS, kmeans=1))
        if len(small) <= 0.9 * MOST_BYTES:
            few = compressed(self.canvas.quantize(COLORS, kmeans=1))
            if len(few) <= MOST_BYTES:
                return few
        return small

    def jpeg(self) -> bytes:
        """The canvas as a JPEG, at once, for a picture that follows a slider.

        3 ms where a PNG takes 16 (numbers) to 60 (a photograph).
        """
        buffer = io.BytesIO()
        self.canvas.save(buffer, "jpeg", quality=88)
        return buffer.getvalue()


def row(
    arrays: dict[str, np.ndarray],
    *,
    alt: str,
    paints: Sequence[str] = ("signed",),
    height_px: int = 220,
    decimals: int = 2,
) -> plots.Picture:
    """Arrays (H, W) or photographs (H, W, 3) side by side, each under its name.

    Up to 12 rows and columns are drawn as a grid with its numbers, more as a picture whose full
    colour is at the 99th percentile, so that a few extremes do not leave it pale. paints has one
    paint an array, or one for all.
    """
    shapes = [array.shape[:2] for array in arrays.values()]
    widths = [height_px * columns / rows for rows, columns in shapes]
    width_px = round(sum(widths) + 28 * len(widths))
    page = Sketch(width_px, height_px + 40)
    each = list(paints) * (len(arrays) if len(paints) == 1 else 1)
    left = 10.0
    for (name, array), width, paint in zip(arrays.items(), widths, each, strict=True):
        page.text(left, 16, name, anchor="lm", bold=True, size_px=13)
        if max(array.shape) <= 12:
            cell = height_px / len(array)
            page.grid(array, left, 30, cell_px=cell, paint=paint, decimals=decimals)
        else:
            limit = float(np.nanpercentile(abs(array), 99))
            size = {"width_px": width, "height_px": height_px}
            page.image(array, left, 30, **size, paint=paint, limit=limit)
        left += width + 28
    return plots.Picture(page.png(), alt, width_px=width_px)
