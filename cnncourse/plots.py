"""Pictures: draw_*(ax, result) and render_png. The only file that knows matplotlib.

Magnitudes are gray; classes and curves take the Okabe-Ito colours, which stay apart for
colour-blind readers.
"""

import base64
import io
from collections.abc import Callable, Sequence
from pathlib import Path

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import MaxNLocator

BLUE, ORANGE, GREEN, RED = "#0072B2", "#E69F00", "#009E73", "#D55E00"
DPI = 100

Draw = Callable[[Axes], None]


def font_file(*, bold: bool = False) -> Path:
    """The file of the font that matplotlib brings along, DejaVu Sans."""
    name = "DejaVuSans-Bold.ttf" if bold else "DejaVuSans.ttf"
    return Path(matplotlib.get_data_path(), "fonts", "ttf", name)


class Picture:
    """PNG with its alternative text: what a reader should see, in words.

    width_px is its width on the page, where that is not its own: a sharp picture has more pixels.
    """

    def __init__(self, png: bytes, alt: str, *, width_px: int | None = None) -> None:
        self.png, self.alt, self.width_px = png, alt, width_px

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> tuple:
        data = {"image/png": base64.b64encode(self.png).decode(), "text/plain": self.alt}
        width = {"width": self.width_px} if self.width_px else {}
        return data, {"image/png": {"alt": self.alt} | width}


def render_png(*draws: Draw, width_in: float = 6.4, height_in: float = 3.2) -> bytes:
    """PNG of one drawing, or of several side by side; on white, so that it reads on dark pages."""
    figure = Figure((width_in, height_in), dpi=DPI, layout="constrained", facecolor="white")
    panels = figure.subplots(1, len(draws), squeeze=False)[0]
    for draw, ax in zip(draws, panels, strict=True):
        draw(ax)
    return figure_png(figure)


def figure_png(figure: Figure) -> bytes:
    """PNG of a figure as it is now."""
    buffer = io.BytesIO()
    # Not savefig, which draws twice: an explorer waits for this at every move.
    FigureCanvasAgg(figure).print_png(buffer, metadata={"Software": None})
    return buffer.getvalue()


def picture(*draws: Draw, alt: str, width_in: float = 6.4, height_in: float = 3.2) -> Picture:
    """Drawings side by side, with the words for who cannot see them."""
    return Picture(render_png(*draws, width_in=width_in, height_in=height_in), alt)


def draw_images(
    ax: Axes,
    images: np.ndarray,
    titles: Sequence[str],
    *,
    columns: int = 10,
    title_color: str = "black",
) -> None:
    """Gray images (N, H, W), values as they are from black to white, in rows of some columns."""
    height, width = images.shape[1:]
    columns = min(columns, len(images))
    gap = max(2, height // 3) if any(titles) else 2  # room for a title above each
    rows = -(-len(images) // columns)
    canvas = np.full((rows * (height + gap), columns * (width + 2)), np.nan)
    for number, (image, title) in enumerate(zip(images, titles, strict=True)):
        top, left = (number // columns) * (height + gap) + gap, (number % columns) * (width + 2)
        canvas[top : top + height, left : left + width] = image
        middle = left + width / 2
        ax.text(middle, top - 1, title, ha="center", va="bottom", color=title_color, fontsize=9)
    ax.imshow(canvas, cmap="gray", vmin=images.min(), vmax=images.max())
    ax.axis("off")


def draw_photo(ax: Axes, photo: np.ndarray, *, title: str = "") -> None:
    """Colour image (H, W, 3), uint8 or from 0 to 1, as it is."""
    ax.imshow(photo)
    ax.set(xticks=[], yticks=[], title=title)


def draw_frame(ax: Axes, *, row: int, column: int, size_px: int) -> None:
    """Square frame just around the pixels from (row, column) on; edged white, to stand out."""
    corner, size = (column - 2, row - 2), size_px + 4
    ax.add_patch(Rectangle(corner, size, size, fill=False, color="white", linewidth=4))
    ax.add_patch(Rectangle(corner, size, size, fill=False, color=RED, linewidth=2))


def draw_curves(
    ax: Axes, curves: dict[str, Sequence[float]], *, ylabel: str, epochs: int | None = None
) -> None:
    """Curves over epochs counted from 1; the first drawn dashed, each named.

    Four kinds of line tell them apart; a fifth curve looks as the first.
    """
    styles = [(ORANGE, "--", "o"), (BLUE, "-", "s"), (GREEN, "-.", "^"), (RED, ":", "v")]
    for number, (name, values) in enumerate(curves.items()):
        color, line, marker = styles[number % len(styles)]
        at = range(1, len(values) + 1)
        ax.plot(at, values, line, color=color, marker=marker, markersize=4, label=name)
    ax.set(xlabel="epoch", ylabel=ylabel)
    ax.set_xlim(0.5, (epochs or max(len(values) for values in curves.values())) + 0.5)
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    ax.grid(alpha=0.3)
    ax.legend()


def draw_confusion(ax: Axes, counts: np.ndarray, classes: Sequence[str]) -> None:
    """Confusion matrix (classes, classes): rows true, columns answered; mistakes stand out."""
    mistakes = np.where(np.eye(len(counts), dtype=bool), 0, counts)
    ax.imshow(mistakes, cmap="Reds", vmin=0, vmax=max(1, mistakes.max()))
    for (row, column), count in np.ndenumerate(counts):
        if count:
            dark = row != column and count > mistakes.max() * 0.6
            color = "white" if dark else "gray" if row == column else "black"
            ax.text(column, row, f"{count}", ha="center", va="center", color=color, fontsize=8)
    ticks = range(len(classes))
    ax.set(xlabel="answered", ylabel="true")
    ax.set_xticks(ticks, classes)
    ax.set_yticks(ticks, classes)


def draw_bars(
    ax: Axes, values: Sequence[float] | np.ndarray, names: Sequence[str], *, mark: int = -1
) -> None:
    """Horizontal bars from 0 to 1, one a name; the marked one in orange."""
    colors = [ORANGE if number == mark else BLUE for number in range(len(values))]
    ax.barh(range(len(values)), values, color=colors)
    for number, value in enumerate(values):
        inside = value > 0.8
        place, align = (value - 0.02, "right") if inside else (value + 0.02, "left")
        color = "white" if inside else "black"
        ax.text(place, number, f"{value:.2f}", va="center", ha=align, fontsize=8, color=color)
    ax.set_yticks(range(len(names)), names)
    ax.set(xlim=(0, 1))
    ax.invert_yaxis()


def draw_intervals(ax: Axes, rows: dict[str, tuple[float, float, float]], *, xlabel: str) -> None:
    """A row a name: its value as a dot, its interval (value, low, high) as a line."""
    for number, (value, low, high) in enumerate(rows.values()):
        color = [BLUE, ORANGE, GREEN, RED][number % 4]
        ax.plot([low, high], [number, number], color=color, linewidth=2)
        ax.plot(value, number, "o", color=color)
        ax.text(value, number - 0.2, f"{value:.1f}", ha="center", fontsize=9)
    ax.set_yticks(range(len(rows)), list(rows))
    ax.set(xlabel=xlabel, ylim=(len(rows) - 0.5, -0.6))
    ax.grid(axis="x", alpha=0.3)


def draw_bands(
    ax: Axes,
    bands: dict[str, Sequence[tuple[float, float, float]]],
    at: Sequence[float],
    *,
    xlabel: str,
    ylabel: str,
    log: str = "",
) -> None:
    """Curves with their intervals: (value, low, high) at each point; log names axes, as "xy"."""
    styles = [(BLUE, "-", "s"), (ORANGE, "--", "o"), (GREEN, "-.", "^"), (RED, ":", "v")]
    for number, (name, rows) in enumerate(bands.items()):
        color, line, marker = styles[number % len(styles)]
        values, lows, highs = zip(*rows, strict=True)
        ax.fill_between(at, lows, highs, color=color, alpha=0.2, linewidth=0)
        ax.plot(at, values, line, color=color, marker=marker, markersize=4, label=name)
    if "x" in log:
        ax.set_xscale("log", base=2)
        ax.set_xticks(at, [f"{place:g}" for place in at])
    if "y" in log:
        ax.set_yscale("log")
    ax.set(xlabel=xlabel, ylabel=ylabel)
    ax.grid(alpha=0.3)
    ax.legend()
