"""Materials: patches of sixteen kinds, cut from scikit-image's photographs, for few labels.

Training, validation and test patches come from different regions of each photograph, GAP_PX or more
apart, so that none shares a pixel with another split. They are gray and have one mean and one
contrast: neither colour nor exposure names the class, its texture has to.

What it cannot say: a class is one photograph, with one camera and one focus. A network that is good
here knows sixteen photographs' textures; another brick wall is another question.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from cnncourse import messages
from cnncourse.data import Dataset, Split

WINDOW_PX = 32  # a side of a patch in its photograph
SIZE_PX = 64  # and as it is given: twice as large
GAP_PX = 8  # at least, between regions
STRIDE_PX = 16  # of patches to train and validate; those to test do not overlap
LEAST_STD = 3.0  # of 255: a patch that is flatter shows nothing

Box = tuple[int, int, int, int]  # top, left, bottom, right in pixels; the last two are outside
Labelled = tuple[np.ndarray, np.ndarray]  # patches (N, 32, 32), uint8, and labels (N,)


def bands(box: Box, *, across: bool = False) -> tuple[Box, Box, Box]:
    """Train, validation and test region of a box: bands from top to bottom, or from left to right.

    With a gap between, the first has 46 %, the second two patches' width, the third what is left.
    """
    top, left, bottom, right = box
    start, end = (left, right) if across else (top, bottom)
    first = start + round(0.46 * (end - start))
    second = first + 2 * GAP_PX + 2 * WINDOW_PX
    cuts = ((start, first), (first + GAP_PX, second - GAP_PX), (second, end))
    if across:
        return tuple((top, low, bottom, high) for low, high in cuts)  # type: ignore[return-value]
    return tuple((low, left, high, right) for low, high in cuts)  # type: ignore[return-value]


@dataclass(frozen=True)
class Material:
    """A class: where in which photograph its three regions are, and whose photograph it is.

    Boxes are in pixels of the photograph made smaller by shrink, a whole number.
    """

    name: str
    photo: str  # scikit-image's name
    credit: str  # origin and licence, as scikit-image states them
    regions: tuple[Sequence[Box], Sequence[Box], Sequence[Box]]  # train, validation, test
    shrink: int = 1


def one_box(box: Box, *, across: bool = False) -> tuple[list[Box], list[Box], list[Box]]:
    """Regions of a photograph that shows one material in a whole box."""
    train, validation, test = bands(box, across=across)
    return [train], [validation], [test]


CC0_TEXTURES, NASA = "CC0Textures, CC0", "NASA, public domain"
MIDDLEBURY = "Middlebury Stereo 2014 (Scharstein et al.); scikit-image states no licence"
MATERIALS = (
    Material("brick", "brick", CC0_TEXTURES, one_box((0, 0, 512, 512))),
    Material("grass", "grass", "linolafett (DeviantArt), CC0", one_box((0, 0, 512, 512))),
    Material("gravel", "gravel", CC0_TEXTURES, one_box((0, 0, 512, 512))),
    Material(
        "lawn",
        "camera",
        "Lav Varshney, CC0",
        (
            [(230, 390, 400, 512)],
            [(408, 410, 512, 512)],
            [(330, 160, 490, 256), (240, 318, 290, 382)],
        ),
    ),
    Material(
        "fur",
        "chelsea",
        "Stefan van der Walt, CC0",
        ([(0, 90, 84, 230)], [(0, 238, 84, 330)], [(92, 40, 300, 136)]),
    ),
    Material(
        "wood",
        "coffee",
        "Rachel Michetti, CC0",
        ([(0, 450, 160, 600)], [(168, 500, 260, 600)], [(268, 472, 400, 600)]),
    ),
    Material(
        "lattice",
        "rocket",
        "SpaceX, public domain",
        (
            [(0, 30, 340, 86)],
            [(308, 576, 420, 640)],
            [(0, 576, 300, 640)],  # another tower than the one to train on
        ),
    ),
    Material(
        "engine",
        "stereo_motorcycle",
        MIDDLEBURY,
        ([(220, 110, 400, 330)], [(300, 520, 430, 680)], [(240, 340, 370, 470)]),
    ),
    Material(
        "concrete",
        "stereo_motorcycle",
        MIDDLEBURY,
        ([(316, 0, 428, 102)], [(436, 0, 500, 100)], [(436, 108, 500, 500)]),
    ),
    Material(
        "tissue",
        "immunohistochemistry",
        "Center for Microscopy and Molecular Imaging, no known restrictions",
        one_box((0, 0, 512, 512)),
    ),
    Material(
        "retina",
        "retina",
        "Mikael Häggström, CC0",
        one_box((115, 150, 590, 575)),
        shrink=2,
    ),
    Material("galaxies", "hubble_deep_field", NASA, one_box((0, 0, 436, 500)), shrink=2),
    Material("moon", "moon", "scikit-image states no origin", one_box((0, 0, 512, 512))),
    Material(
        "coins",
        "coins",
        "Brooklyn Museum, no known restrictions",
        one_box((0, 0, 303, 384)),
    ),
    Material(
        "print",
        "page",
        "scikit-image states no origin",
        ([(0, 0, 191, 160)], [(0, 168, 191, 232)], [(8, 240, 191, 384)]),
    ),
    Material(
        "handwriting",
        "text",
        "Wikipedia (Corner.png), public domain",
        one_box((0, 0, 172, 448), across=True),
    ),
)
CLASSES = tuple(material.name for material in MATERIALS)
MOST = (25, 8, 16)  # patches a class: to train with, to validate, to test


def load(per_class: int = MOST[0], *, seed: int = 0) -> Dataset:
    """Train, validation and test patches, (N, 3, 64, 64) from 0 to 1, their three channels alike.

    per_class of every class to train with, drawn by seed: of two counts, the smaller's are among
    the larger's. 8 of every class to validate and 16 to test are the same for all seeds and counts,
    so that accuracies can be compared. Raises ValueError for a count below 1 or above 25.
    """
    check_counts(per_class, seed)
    parts = (by_region(0, per_class, seed=seed), by_region(1, MOST[1]), by_region(2, MOST[2]))
    return as_dataset(*parts, origin="scikit-image's photographs, by region")


def load_leaking(per_class: int = MOST[0], *, seed: int = 0) -> Dataset:
    """The same counts, split the wrong way: overlapping patches of all regions, dealt at random.

    A patch to test then often shows a part of one to train on: most do where a photograph is small.
    For showing what that does to an accuracy, and for nothing else.
    """
    check_counts(per_class, seed)
    return as_dataset(*leaking(per_class, seed=seed), origin="scikit-image's photographs, leaking")


def check_counts(per_class: int, seed: int) -> None:
    """Raise ValueError for a count that no photograph, or not every one, has room for."""
    messages.check_at_least("per_class", per_class, 1)
    messages.check_at_least("seed", seed, 0)
    if per_class > MOST[0]:
        rule = f"must be {MOST[0]} or less: some photographs have no room for more"
        raise ValueError(messages.refusal("per_class", per_class, rule, attempt="per_class=25"))


def by_region(part: int, per_class: int, *, seed: int = 0) -> Labelled:
    """Patches of region 0 (train), 1 (validation) or 2 (test) of every class."""
    stride_px = WINDOW_PX if part == 2 else STRIDE_PX
    found = []
    for number, material in enumerate(MATERIALS):
        gray = gray_photo(material.photo, material.shrink)
        pool = patches(gray, material.regions[part], stride_px=stride_px)
        order = np.random.default_rng((seed, part, number)).permutation(len(pool))
        found.append(pool[order[:per_class]])
    return labelled(found)


def leaking(per_class: int, *, seed: int) -> list[Labelled]:
    """Train, validation and test patches of all regions, a quarter of a patch apart, dealt out."""
    shares: list[list[np.ndarray]] = [[], [], []]
    for number, material in enumerate(MATERIALS):
        gray = gray_photo(material.photo, material.shrink)
        boxes = [box for region in material.regions for box in region]
        pool = patches(gray, boxes, stride_px=WINDOW_PX // 4)
        order = np.random.default_rng((seed, number)).permutation(len(pool))
        ends = np.cumsum([0, per_class, *MOST[1:]])
        for share, (start, end) in zip(shares, pairwise(ends), strict=True):
            share.append(pool[order[start:end]])
    return [labelled(share) for share in shares]


def labelled(found: Sequence[np.ndarray]) -> Labelled:
    """Patches of all classes in one array, a class after the other, with their labels."""
    return np.concatenate(found), np.repeat(np.arange(len(found)), [len(part) for part in found])


@cache
def gray_photo(name: str, shrink: int = 1) -> np.ndarray:
    """Photograph of scikit-image in gray, (H, W), uint8, averaged over shrink x shrink pixels."""
    from skimage import data

    pixels = getattr(data, name)()
    pixels = pixels[0] if isinstance(pixels, tuple) else pixels  # the left one of a stereo pair
    if pixels.ndim == 3:
        pixels = (
            pixels @ np.array([299, 587, 114]) + 500
        ) // 1000  # ITU-R BT.601, in whole numbers
    height, width = (side // shrink * shrink for side in pixels.shape)
    blocks = pixels[:height, :width].reshape(height // shrink, shrink, width // shrink, shrink)
    gray = (blocks.sum(axis=(1, 3), dtype=np.int64) // shrink**2).astype(np.uint8)
    gray.flags.writeable = False  # one array for all who ask
    return gray


def patches(gray: np.ndarray, boxes: Sequence[Box], *, stride_px: int) -> np.ndarray:
    """Patches of (H, W) that lie in the boxes, row by row: (N, 32, 32); flat ones are left out."""
    found = [
        gray[top : top + WINDOW_PX, left : left + WINDOW_PX]
        for box in boxes
        for top in range(box[0], box[2] - WINDOW_PX + 1, stride_px)
        for left in range(box[1], box[3] - WINDOW_PX + 1, stride_px)
    ]
    return np.stack([patch for patch in found if patch.std() >= LEAST_STD])


def as_dataset(train: Labelled, validation: Labelled, test: Labelled, *, origin: str) -> Dataset:
    """Three arrays of patches with labels as a data set."""
    first, second, third = (
        Split(prepared(torch.tensor(pixels)), torch.tensor(labels))
        for pixels, labels in (train, validation, test)
    )
    return Dataset("materials", CLASSES, first, second, third, origin=origin, complete=True)


def prepared(pixels: Tensor) -> Tensor:
    """uint8 (N, 32, 32) -> float32 (N, 3, 64, 64): enlarged, mean 0.5, deviation 0.2, 0 to 1.

    The three channels are one in memory: for writing into them, clone() first.
    """
    images = pixels.float()[:, None]
    images = F.interpolate(images, size=SIZE_PX, mode="bicubic", align_corners=False)
    std, mean = torch.std_mean(images, dim=(2, 3), keepdim=True)
    return ((images - mean) / std * 0.2 + 0.5).clamp(0, 1).expand(-1, 3, -1, -1)
