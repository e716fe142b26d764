"""Pictures as arrays: photographs, small pictures made in code, and a file that a reader brings.

Photographs are (H, W, 3), uint8, red green blue; scikit-image's wheel has them, so nothing is
downloaded. Pictures made in code are (H, W), float64, 0 (dark) to 1. Angles turn from right (0
degrees) to down (90 degrees), as rows are counted, so clockwise on the screen.
"""

import io
import math
import warnings
from itertools import pairwise
from numbers import Real

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from cnncourse import messages

PHOTOS = (
    "chelsea",
    "astronaut",
    "coffee",
    "rocket",
    "motorcycle",
    "retina",
    "hubble_deep_field",
    "camera",  # from here on gray: three equal channels
    "coins",
    "moon",
    "brick",
    "grass",
    "gravel",
)

FORMATS = ("PNG", "JPEG", "GIF", "BMP", "TIFF", "WEBP")  # Pillow's others can start programs
MAX_BYTES = 20_000_000
MAX_PIXELS = 25_000_000  # 0.4 GB while it is read; Binder gives 1 GB in all

LETTER_F = """
.......
.#####.
.#.....
.####..
.#.....
.#.....
.......
"""


def photo(name: str) -> np.ndarray:
    """Photograph of that name, (H, W, 3), uint8; raises ValueError for an unknown name."""
    from skimage import data

    if name not in PHOTOS:
        raise ValueError(messages.unknown(name, "photo", PHOTOS))
    pixels = data.stereo_motorcycle()[0] if name == "motorcycle" else getattr(data, name)()
    return np.array(pixels) if pixels.ndim == 3 else np.stack([pixels] * 3, axis=-1)


def check_range(argument: str, came: float, low: float, high: float, *, attempt: str) -> None:
    """Raise ValueError unless came is a number from low to high, both included."""
    if not isinstance(came, Real) or isinstance(came, bool) or not low <= came <= high:
        rule = f"must be a number from {low:g} to {high:g}"
        raise ValueError(messages.refusal(argument, came, rule, attempt=attempt))


def check_angle(argument: str, came: float) -> None:
    """Raise ValueError unless came is a number, and neither infinite nor nan."""
    if not isinstance(came, Real) or isinstance(came, bool) or not math.isfinite(came):
        rule = "must be a finite number, in degrees"
        raise ValueError(messages.refusal(argument, came, rule, attempt=f"{argument}=45"))


def offsets(size: int) -> np.ndarray:
    """Distance of each of size pixels from their middle: -1, 0, 1 for 3; -0.5, 0.5 for 2."""
    return np.arange(size) - (size - 1) / 2


def turned(size: int, angle_deg: float) -> tuple[np.ndarray, np.ndarray]:
    """Distances from the middle along the direction of the angle and across it: two (size, size).

    0 degrees: along grows to the right, across grows downwards.
    """
    check_angle("angle_deg", angle_deg)
    y, x = offsets(size)[:, None], offsets(size)
    angle = math.radians(angle_deg)
    cos, sin = round(math.cos(angle), 15), round(math.sin(angle), 15)  # cos(90 deg) is not 6e-17
    return x * cos + y * sin, y * cos - x * sin


def impulse(size: int) -> np.ndarray:
    """One bright pixel, at [size // 2, size // 2]."""
    messages.check_at_least("size", size, 1)
    picture = np.zeros((size, size))
    picture[size // 2, size // 2] = 1
    return picture


def checkerboard(size: int, *, cell_px: int = 1) -> np.ndarray:
    """Squares of cell_px pixels, bright and dark in turn; the upper left one is bright."""
    messages.check_at_least("size", size, 1)
    messages.check_at_least("cell_px", cell_px, 1)
    odd = np.arange(size) // cell_px % 2
    return (odd[:, None] == odd).astype(float)


def step_edge(size: int, *, angle_deg: float = 0.0) -> np.ndarray:
    """Dark half and bright half; brightness grows in the direction of the angle.

    Angle 0: the right half is bright. Pixels that the edge crosses are gray.
    """
    messages.check_at_least("size", size, 1)
    along, _ = turned(size, angle_deg)
    return np.clip(along + 0.5, 0, 1)


def stripes(size: int, *, wavelength_px: float, angle_deg: float = 0.0) -> np.ndarray:
    """Wave of brightness along the angle, bright in the middle; angle 0: upright stripes."""
    messages.check_at_least("size", size, 1)
    check_range("wavelength_px", wavelength_px, 2, 1000, attempt="wavelength_px=6")
    along, _ = turned(size, angle_deg)
    return (1 + np.cos(2 * np.pi * along / wavelength_px)) / 2


def disc(size: int, *, radius_px: float) -> np.ndarray:
    """Bright disc in the middle of the dark; pixels that its rim crosses are gray."""
    messages.check_at_least("size", size, 1)
    check_range("radius_px", radius_px, 0, 1000, attempt=f"radius_px={size / 4:g}")
    distance = np.hypot.outer(offsets(size), offsets(size))
    return np.clip(radius_px + 0.5 - distance, 0, 1)


def letter_f(*, cell_px: int = 1) -> np.ndarray:
    """Bright F on dark, (7 * cell_px, 7 * cell_px): every turn and every flip of it shows."""
    messages.check_at_least("cell_px", cell_px, 1)
    cells = np.array([[mark == "#" for mark in row] for row in LETTER_F.split()], dtype=float)
    return cells.repeat(cell_px, axis=0).repeat(cell_px, axis=1)


def check_photo(photo: np.ndarray) -> None:
    """Raise unless photo is an array (H, W, 3) of uint8: TypeError for what is no array."""
    example = "Try: photo=images.photo('chelsea')."
    if not isinstance(photo, np.ndarray):
        raise TypeError(f"photo of type {type(photo).__name__}: must be an array. {example}")
    if photo.ndim == 3 and photo.shape[0] == 3 and photo.shape[2] != 3:
        rule = "has its channels first, must be (H, W, 3). Try: photo.transpose(1, 2, 0)."
        raise ValueError(f"photo {photo.shape}: {rule}")
    if photo.ndim != 3 or photo.shape[2] != 3 or photo.size == 0:
        raise ValueError(f"photo {photo.shape}: must be (H, W, 3). {example}")
    if photo.dtype != np.uint8:
        raise ValueError(f"photo of dtype {photo.dtype}: must be uint8, 0 to 255. {example}")


def gray(photo: np.ndarray) -> np.ndarray:
    """Brightness of a photograph: (H, W, 3), uint8 -> (H, W), float64, 0 to 1.

    0.299 red + 0.587 green + 0.114 blue, the luma of ITU-R Recommendation BT.601, of the values as
    they are stored (gamma and all). Raises as `check_photo` does.
    """
    check_photo(photo)
    return photo @ np.array([299.0, 587.0, 114.0]) / 255_000  # so that white is 1.0 to the bit


def average_rows(values: np.ndarray, length: int) -> np.ndarray:
    """Rows averaged to length rows of equal height; a row on a border counts for its parts."""
    rows = []
    for top, bottom in pairwise(np.linspace(0, len(values), length + 1)):
        first, last = math.floor(top), math.ceil(bottom)
        inside = np.clip(np.arange(first, last + 1), top, bottom)  # the rows' borders
        rows.append(np.tensordot(np.diff(inside) / (bottom - top), values[first:last], axes=1))
    return np.stack(rows)


def resize_to(photo: np.ndarray, longest_px: int) -> np.ndarray:
    """Photograph made smaller by area averaging, its longest side longest_px: (h, w, 3), uint8.

    The other side is rounded, 1 px or more. One that is small enough comes back as it is.
    Raises ValueError for longest_px < 1, and as `check_photo` does.
    """
    check_photo(photo)
    messages.check_at_least("longest_px", longest_px, 1)
    height, width, _ = photo.shape
    scale = longest_px / max(height, width)
    if scale >= 1:
        return photo.copy()
    lower = average_rows(photo, max(round(height * scale), 1))
    narrower = average_rows(lower.swapaxes(0, 1), max(round(width * scale), 1)).swapaxes(0, 1)
    return np.rint(narrower).astype(np.uint8)


def decode(data: bytes) -> np.ndarray:
    """Picture in the bytes of a file (PNG, JPEG, GIF, BMP, TIFF, WEBP): (H, W, 3), uint8.

    Turned as the camera was held (EXIF). Of an animation the first frame; transparent parts on
    white; of deep grays see `rgb`; colour profiles are not applied. Raises ValueError for more
    than MAX_BYTES or MAX_PIXELS, before anything is unpacked, and for what is no picture or
    damaged; TypeError for no bytes.
    """
    if not isinstance(data, bytes | bytearray | memoryview):
        rule = "must be the bytes of a file. Try: pathlib.Path('photo.png').read_bytes()."
        raise TypeError(f"data of type {type(data).__name__}: {rule}")
    file = bytes(data)
    came = f"data ({len(file):,} bytes)"
    if len(file) > MAX_BYTES:
        rule = f"must be {MAX_BYTES:,} bytes or less. Try: the picture saved as JPEG."
        raise ValueError(f"{came}: {rule}")
    try:
        return unpack(file)
    except Image.DecompressionBombError as error:
        rule = f"unpacks to more than {MAX_PIXELS:,} px. Try: a picture of 5000 x 5000 px."
        raise ValueError(f"{came}: {rule}") from error
    except UnidentifiedImageError as error:
        rule = f"is none of {', '.join(FORMATS)}. Try: the picture saved as PNG."
        raise ValueError(f"{came}: {rule}") from error
    except Exception as error:  # a damaged file can raise anything inside Pillow
        rule = "is damaged or cut short. Try: the picture saved once more."
        raise ValueError(f"{came}: {rule}") from error


def unpack(file: bytes) -> np.ndarray:
    """Pixels of a picture file, (H, W, 3), uint8; raises whatever Pillow raises."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about faults in tags that no pixel depends on
        with Image.open(io.BytesIO(file), formats=FORMATS) as picture:
            if picture.width * picture.height > MAX_PIXELS:
                raise Image.DecompressionBombError
            return rgb(ImageOps.exif_transpose(picture))


def rgb(picture: Image.Image) -> np.ndarray:
    """Pixels of a picture of any mode, (H, W, 3), uint8; transparent parts on white.

    16-bit gray is divided by 257; 32-bit and float gray, which have no white of their own, are
    stretched from their darkest pixel to their brightest.
    """
    if picture.mode.startswith(("I", "F")):
        values = np.array(picture, dtype=float)
        values[~np.isfinite(values)] = 0
        low, high = (0, 65535) if "16" in picture.mode else (values.min(), values.max())
        values = np.rint((values - low) / ((high - low) or 1) * 255)
        return np.stack([values.astype(np.uint8)] * 3, axis=-1)
    if picture.has_transparency_data:
        white = Image.new("RGBA", picture.size, "white")
        picture = Image.alpha_composite(white, picture.convert("RGBA"))
    return np.array(picture.convert("RGB"))
