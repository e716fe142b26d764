"""Filter lab: a photograph, or the reader's own, through a kernel of the gallery or a typed one."""

from collections.abc import Callable
from functools import lru_cache
from typing import NamedTuple

import ipywidgets as widgets
import numpy as np

from cnncourse import filters, images, messages, ops
from cnncourse.explorers import Explorer, typed
from cnncourse.sketch import Sketch, written

SIDE_PX = 240  # longest side of what is filtered, and of what is shown
MOST = 9  # rows or columns of a typed kernel
OWN, TYPED = "my own picture", "typed below"
VIEWS = ("gray", "signed", "absolute", "orientation")
COMPASS = ("right", "down", "left", "up")
NEARLY = 0.01  # answers below it are counted as none


class Filtered(NamedTuple):
    """A picture (H, W) from 0 to 1, a kernel, and its answer at every place (H, W)."""

    photo: str
    picture: np.ndarray
    kernel_name: str
    kernel: np.ndarray
    answer: np.ndarray  # in the view "orientation" the length of the slope
    degrees: np.ndarray | None  # there, the way in which brightness grows: 0 right, 90 down
    view: str
    limit: tuple[float, float]  # answers that are drawn in the first and in the last colour


@lru_cache(maxsize=len(images.PHOTOS))
def small_photo(name: str) -> np.ndarray:
    """Photograph of that name, gray, 0 to 1, its longest side SIDE_PX."""
    return images.gray(images.resize_to(images.photo(name), SIDE_PX))


def small_upload(upload: tuple) -> np.ndarray:
    """The picture file in an upload, as `small_photo`; ValueError where there is none."""
    if not upload:
        rule = "there is no picture yet"
        raise ValueError(
            messages.refusal("photo", OWN, rule, attempt="the button 'upload a picture'")
        )
    return images.gray(images.resize_to(images.decode(bytes(upload[0]["content"])), SIDE_PX))


def respond(picture: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    """Answer of a kernel at every pixel; beyond the border, the border pixel again.

    By Fourier transform: under a millisecond, whatever the kernel's size.
    """
    return ops.conv2d(picture, kernel, padding="same", padding_mode="replicate", method="fft")


def own_degrees(kernel: np.ndarray) -> float | None:
    """Direction in which a slope's kernel looks, from its dark side to its bright one.

    None for any other kernel: a slope changes its sign with half a turn, and each of its sides has
    one sign. A wave has more signs than sides: beside an edge it answers the wrong way round.
    """
    y, x = (np.arange(size) - (size - 1) / 2 for size in kernel.shape)
    down, right = (kernel * y[:, None]).sum(), (kernel * x).sum()
    side = down * y[:, None] + right * x
    odd = np.allclose(kernel, -kernel[::-1, ::-1])
    if not odd or not kernel.any() or (kernel * side < -1e-9).any():
        return None
    return float(np.degrees(np.arctan2(down, right)))


def slope(picture: np.ndarray, kernel: np.ndarray, name: str) -> tuple[np.ndarray, np.ndarray]:
    """Length and direction (degrees) of the slope, from a kernel and itself turned clockwise.

    Raises ValueError for a kernel that is no slope.
    """
    own = own_degrees(kernel)
    if own is None:
        rule = "needs a slope: weights below 0 on one side, the same above 0 on the other"
        refused = f"view='orientation' with kernel {name!r}: {rule}"
        raise ValueError(f"{refused}. Try: kernel='sobel x', or view='signed'.")
    ahead, across = respond(picture, kernel), respond(picture, np.rot90(kernel, -1))
    return np.hypot(ahead, across), (np.degrees(np.arctan2(across, ahead)) + own) % 360


def look(
    photo: str, picture: np.ndarray, name: str, kernel: np.ndarray, view: str, normalise: bool
) -> Filtered:
    """Send a picture (H, W) through a kernel and choose the colours' ends.

    Not normalised, they are those of the photograph, 0 to 1 (signed: -1 to 1); normalised, the
    answer's own. Raises as `slope` does.
    """
    degrees = None
    if view == "orientation":
        answer, degrees = slope(picture, kernel, name)
    else:
        answer = respond(picture, kernel)
        answer = abs(answer) if view == "absolute" else answer
    low, high = float(answer.min()), float(answer.max())
    most = max(abs(low), abs(high)) if normalise else 1.0
    limit = (-most, most) if view == "signed" else (0.0, most)
    if view == "gray" and normalise:
        limit = low, high
    return Filtered(photo, picture, name, kernel, answer, degrees, view, limit)


def hues(degrees: np.ndarray, share: np.ndarray) -> np.ndarray:
    """Directions as colours (..., 3), uint8: the colour wheel, paler to white where share is low.

    Right is red, then clockwise yellow-green, turquoise (left) and violet.
    """
    turn = np.deg2rad(degrees)[..., None] - np.deg2rad([0, 120, 240])
    colors = 255 * np.clip(0.45 + 0.55 * np.cos(turn), 0, 1)
    share = np.clip(share, 0, 1)[..., None]
    return (colors * share + 255 * (1 - share)).astype(np.uint8)


def painted(shown: Filtered) -> np.ndarray:
    """The answer in the colours of its view: values for a paint, or colours (H, W, 3)."""
    low, high = shown.limit
    if shown.degrees is not None:
        return hues(shown.degrees, shown.answer / (high or 1))
    return shown.answer if shown.view == "signed" else shown.answer - low


def paint_of(view: str) -> str:
    """The paint that belongs to a view."""
    return "signed" if view == "signed" else "gray"


def draw(shown: Filtered) -> Sketch:
    """The picture, the answer, and at the right the kernel and what the colours mean."""
    page = Sketch(680, 292)
    scale = SIDE_PX / max(shown.picture.shape)
    height, width = (max(1.0, side * scale) for side in shown.picture.shape)
    top = 34 + (SIDE_PX - height) / 2
    low, high = shown.limit
    page.text(10, 18, shown.photo, anchor="lm", bold=True)
    page.image(shown.picture, 10, top, width_px=width, height_px=height, limit=1)
    page.text(262, 18, f"{shown.kernel_name}, {shown.view}", anchor="lm", bold=True)
    page.image(
        painted(shown),
        262,
        top,
        width_px=width,
        height_px=height,
        paint=paint_of(shown.view),
        limit=high if shown.view == "signed" else high - low,
    )
    draw_kernel(page, shown.kernel)
    draw_legend(page, shown)
    return page


def draw_kernel(page: Sketch, kernel: np.ndarray) -> None:
    """The weights, with numbers where they can be read."""
    rows, columns = kernel.shape
    page.text(518, 18, f"kernel {rows} × {columns}", anchor="lm", bold=True)
    cell = 130 / max(rows, columns, 3)
    if max(rows, columns) <= 5:
        page.grid(kernel, 518, 34, cell_px=cell)
        return
    page.image(kernel, 518, 34, width_px=cell * columns, height_px=cell * rows, paint="signed")
    page.frame(517, 33, cell * columns + 2, cell * rows + 2, color="#B0B0B0", line_px=1)


def draw_legend(page: Sketch, shown: Filtered) -> None:
    """A bar of the colours with its ends and middle, or the wheel of directions."""
    if shown.view == "orientation":
        draw_wheel(page)
        return
    low, high = shown.limit
    page.text(518, 210, "colour of the answer", anchor="lm", size_px=13)
    bar = np.linspace(-1 if shown.view == "signed" else 0, 1, 145)[None]
    page.image(bar, 518, 224, width_px=145, height_px=20, paint=paint_of(shown.view), limit=1)
    page.frame(517, 223, 147, 22, color="#B0B0B0", line_px=1)
    for x, value, anchor in ((518, low, "lm"), (590, (low + high) / 2, "mm"), (663, high, "rm")):
        page.text(x, 258, written(value, 2), anchor=anchor, size_px=13)


def draw_wheel(page: Sketch) -> None:
    """Disc of the directions' colours, with their names around it."""
    steps = np.arange(-34.5, 35)
    far = np.hypot.outer(steps, steps)
    degrees = np.degrees(np.arctan2(steps[:, None], steps)) % 360
    disc = hues(degrees, np.clip(35 - far, 0, 1) * np.clip(far / 25, 0, 1))
    page.text(518, 184, "brightness grows", anchor="lm", size_px=13)
    page.image(disc, 560, 209, width_px=60, height_px=60)
    for x, y, name, anchor in (
        (624, 239, "right", "lm"),
        (590, 279, "down", "mm"),
        (556, 239, "left", "rm"),
        (590, 201, "up", "mm"),
    ):
        page.text(x, y, name, anchor=anchor, size_px=12)


def sentence(shown: Filtered) -> str:
    """Range, mean and share of nothing; of directions, which way the strongest tenth looks."""
    answer = shown.answer
    low, high, mean = (
        written(float(part), 2) for part in (answer.min(), answer.max(), answer.mean())
    )
    none = 100 * (abs(answer) < NEARLY).mean()
    values = "lengths" if shown.view == "orientation" else "values"
    words = (
        f"{shown.photo} through {shown.kernel_name}, {shown.view}: {values} {low} to {high}, "
        f"mean {mean}; {none:.0f} % of them within {NEARLY} of zero"
    )
    if shown.degrees is None:
        return words
    least = max(NEARLY, np.quantile(answer, 0.9) - 1e-9)  # less a hair: with all that tie
    strong = shown.degrees[answer >= least]
    if not strong.size:
        return f"{words}; nowhere does brightness grow"
    quarter = np.rint(strong / 90).astype(int) % 4
    shares = 100 * np.bincount(quarter, minlength=4) / len(quarter)
    ways = ", ".join(f"{name} {share:.0f} %" for name, share in zip(COMPASS, shares, strict=True))
    return f"{words}; of the strongest tenth, brightness grows {ways}"


def follow(controls: dict, before: dict) -> None:
    """Let the other controls follow the one that was moved: before holds what they were.

    An upload is shown at once; a kernel of the gallery comes into the field, if it fits there, and
    into a view that suits it; what is typed is used.
    """
    kernel, weights, view = (controls[name] for name in ("kernel", "weights", "view"))
    if controls["upload"].value != before["upload"]:
        controls["photo"].value = OWN
    if kernel.value != before["kernel"] and kernel.value != TYPED:
        chosen = filters.NAMED[kernel.value]
        small = max(chosen.shape) <= 5
        weights.value = typed.text_of(chosen) if small else ""
        view.value = suited(view.value, chosen)
    elif weights.value != before["weights"]:
        kernel.value = TYPED
    before.update({name: controls[name].value for name in before})


def suited(view: str, kernel: np.ndarray) -> str:
    """The view itself, or a better one: signs for a kernel that sums to 0, gray for others.

    Directions are kept for slopes alone.
    """
    if view == "orientation" and own_degrees(kernel) is not None:
        return view
    if abs(kernel.sum()) < 1e-9:
        return "absolute" if view == "absolute" else "signed"
    return "absolute" if view == "absolute" else "gray"


def computer() -> Callable[..., Filtered]:
    """compute of the explorer; an upload is unpacked once, not at every move."""
    kept: dict[str, object] = {}

    def compute(
        *, photo: str, upload: tuple, kernel: str, weights: str, view: str, normalise: bool
    ) -> Filtered:
        if photo != OWN:
            picture = small_photo(photo)
        elif kept.get("upload") is upload and upload:
            picture = np.asarray(kept["picture"])
        else:
            picture = small_upload(upload)
            kept.update(upload=upload, picture=picture)
        grid = (
            typed.grid_of(weights, name="weights", most=MOST)
            if kernel == TYPED
            else filters.NAMED[kernel]
        )
        return look(photo, picture, kernel, grid, view, normalise)

    return compute


def explorer(photo: str = "chelsea", kernel: str = "sobel x", view: str = "signed") -> Explorer:
    """Choose or bring a picture, choose or type a kernel, look at its answer in four ways."""
    before = {"upload": (), "kernel": kernel, "weights": typed.text_of(filters.SOBEL_X)}

    def adjust(controls: dict) -> None:
        follow(controls, before)

    lab = Explorer(
        "FilterLab",
        computer(),
        draw,
        sentence,
        width_px=680,
        adjust=adjust,
        photo=widgets.Dropdown(options=[*images.PHOTOS, OWN], value=photo),
        kernel=widgets.Dropdown(options=[*filters.NAMED, TYPED], value=kernel),
        view=widgets.Dropdown(options=VIEWS, value=view),
        normalise=widgets.Checkbox(True, description="normalise the colours"),
        weights=typed.typed_grid(filters.SOBEL_X, rows=5),
        upload=widgets.FileUpload(
            accept="image/*", description="upload a picture", tooltip="PNG, JPEG and others"
        ),
    )
    for control in lab.controls.values():
        control.layout.width = "330px"  # two beside each other: the picture stays in sight
    return lab
