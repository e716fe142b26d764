"""Augmentation lab: eight draws of one augmentation, on a digit, a photograph or an upload."""

from collections.abc import Callable
from functools import lru_cache, partial
from typing import NamedTuple

import ipywidgets as widgets
import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from cnncourse import augment, data, images, messages
from cnncourse.augment.chain import Augmentation
from cnncourse.explorers import Explorer
from cnncourse.sketch import Sketch

SIDE_PX, DRAWS = 128, 8
OWN = "my own picture"
DIGITS = (6, 2, 7, 9)
DRAWN_PX, COLUMNS = 144, 4

Read = Callable[[Tensor], Tensor]


class Lab(NamedTuple):
    """A picture and what eight draws made of it; all (C, H, W), from 0 to 1."""

    picture: str
    original: Tensor
    setting: str  # augmentation and strength in words
    drawn: Tensor  # (8, C, H, W)
    captions: tuple[str, ...]
    right: int | None  # draws that a network reads rightly; None where none reads


# --- computed -------------------------------------------------------------------------------------


def single(name: str, strength: float, side: int) -> tuple[str, Augmentation]:
    """An augmentation of one image, and its setting in words; strength is from 0 to 1."""
    most = round(strength * side / 2)
    square = round(0.75 * strength * side)
    degrees = 180 * strength
    kinds: dict[str, tuple[str, Augmentation]] = {
        "flip": (f"with probability {strength:g}", augment.Flip(strength)),
        "crop": (
            f"to {1 - 0.9 * strength:.2f} of the area or more",
            augment.Crop(1 - 0.9 * strength),
        ),
        "rotate": (f"up to {degrees:g} degrees either way", augment.Affine(degrees=degrees)),
        "shift": (f"up to {most} px along each axis", augment.Affine(shift_px=most)),
        "color": (
            f"brightness, contrast and saturation by up to {strength:.0%}".replace("%", " %"),
            augment.Color(strength, strength, strength),
        ),
        "cutout": (f"of a square of {square} px", augment.Cutout(square)),
    }
    return kinds[name]


KINDS = ("flip", "crop", "rotate", "shift", "color", "cutout", "mixup", "cutmix")


def mixed(
    name: str, image: Tensor, other: Tensor, *, alpha: float, seed: int
) -> tuple[Tensor, Tensor]:
    """Eight mixtures of an image with another, and the share of its own label in each.

    alpha 0 mixes nothing, as in most libraries.
    """
    shares = torch.ones(DRAWS)
    if alpha:
        shares = augment.mixing_shares(DRAWS, alpha=alpha, seed=seed, epoch=1)
    both = torch.cat([image.expand(DRAWS, -1, -1, -1), other])
    targets = torch.eye(2)[[0] * DRAWS + [1]]
    partners = torch.full((DRAWS + 1,), DRAWS)
    shares = torch.cat([shares, torch.ones(1)])
    if name == "mixup":
        pictures, labels = augment.mixup(both, targets, partners=partners, shares=shares)
    else:
        middles = torch.rand(DRAWS + 1, 2, generator=augment.generator(seed, 1, purpose=4))
        pictures, labels = augment.cutmix(
            both, targets, partners=partners, shares=shares, middles=middles
        )
    return pictures[:DRAWS], labels[:DRAWS, 0]


def look(
    picture: str,
    image: Tensor,
    other: tuple[str, Tensor],
    *,
    augmentation: str,
    strength: float,
    seed: int,
    read: Read | None = None,
) -> Lab:
    """Eight draws for an image (1, C, H, W); other is the name and image to mix with.

    Strength 0 leaves everything as it is (but for the aspect of a crop); for mixup and cutmix it is
    alpha. read answers for digits (N, 1, 28, 28) with their labels (N,).
    """
    name, partner = other
    if augmentation in ("mixup", "cutmix"):
        words = f"with {name}, shares from Beta({strength:g}, {strength:g})"
        drawn, shares = mixed(augmentation, image, partner, alpha=strength, seed=seed)
        captions = [f"{100 * share:.0f} % {picture}" for share in shares.tolist()]
        return Lab(picture, image[0], f"{augmentation} {words}", drawn, tuple(captions), None)
    words, function = single(augmentation, strength, image.shape[-1])
    same = image.expand(DRAWS, -1, -1, -1)
    drawn = function(same, function.draws(DRAWS, seed=seed, epoch=1))
    setting = f"{augmentation} {words}"
    if read is None or not picture.startswith("digit"):
        return Lab(picture, image[0], setting, drawn, ("",) * DRAWS, None)
    answers, label = read(drawn).tolist(), int(picture.removeprefix("digit "))
    captions = [f"read as {answer}" for answer in answers]
    return Lab(picture, image[0], setting, drawn, tuple(captions), answers.count(label))


def square(photo: np.ndarray) -> Tensor:
    """The middle of a photograph (H, W, 3), uint8, as (1, 3, SIDE_PX, SIDE_PX), from 0 to 1."""
    side = min(photo.shape[:2])
    top, left = ((size - side) // 2 for size in photo.shape[:2])
    small = images.resize_to(photo[top : top + side, left : left + side], SIDE_PX)
    pixels = torch.from_numpy(small).permute(2, 0, 1)[None] / 255
    size = (SIDE_PX, SIDE_PX)  # of one that is smaller
    return F.interpolate(pixels, size, mode="bilinear", align_corners=False).clamp(0, 1)


@lru_cache(maxsize=len(images.PHOTOS))
def photograph(name: str) -> Tensor:
    """The middle of that photograph, (1, 3, SIDE_PX, SIDE_PX)."""
    return square(images.photo(name))


def upload_of(upload: tuple) -> Tensor:
    """The picture in an upload, as `photograph`; ValueError where there is none."""
    if not upload:
        attempt = "the button 'upload a picture'"
        rule = "there is no picture yet"
        raise ValueError(messages.refusal("picture", OWN, rule, attempt=attempt))
    return square(images.decode(bytes(upload[0]["content"])))


# --- drawn ----------------------------------------------------------------------------------------


def colors(image: Tensor) -> np.ndarray:
    """(C, H, W) from 0 to 1 -> (H, W, 3), uint8."""
    pixels = (image.clamp(0, 1) * 255).round().to(torch.uint8)
    return pixels.expand(3, -1, -1).permute(1, 2, 0).numpy()


def draw(lab: Lab) -> Sketch:
    """The picture on the left, its eight draws on the right, each with its caption below."""
    page = Sketch(840, 388)
    sharp = lab.original.shape[-1] >= SIDE_PX
    page.text(10, 18, lab.picture, anchor="lm", bold=True)
    page.text(200, 18, lab.setting, anchor="lm", bold=True)
    places = [(10.0, 36.0)]
    for number in range(DRAWS):
        row, column = divmod(number, COLUMNS)
        places.append((200 + column * (DRAWN_PX + 14), 36 + row * (DRAWN_PX + 32)))
    captions = ("", *lab.captions)
    for image, (x, y), caption in zip([lab.original, *lab.drawn], places, captions, strict=True):
        page.image(colors(image), x, y, width_px=DRAWN_PX, height_px=DRAWN_PX, smooth=sharp)
        page.frame(x - 1, y - 1, DRAWN_PX + 2, DRAWN_PX + 2, color="#B0B0B0", line_px=1)
        page.text(x, y + DRAWN_PX + 14, caption, anchor="lm", size_px=12)
    return page


def sentence(lab: Lab) -> str:
    """The setting, how much the pixels change, and how often a network still reads the digit."""
    change = (lab.drawn - lab.original).abs().mean().item()
    words = f"{lab.picture}, {lab.setting}: pixels change by {change:.2f} of 1 in the mean"
    if lab.right is not None:
        words += f"; a network reads it rightly in ≈ {lab.right} of {DRAWS}"
    return words


# --- wired ----------------------------------------------------------------------------------------


def chosen(split: data.Split, picture: str, own: Callable[[], Tensor]) -> Tensor:
    """The picture of that name: a digit, a photograph or the reader's."""
    if picture == OWN:
        return own()
    if picture.startswith("digit"):
        place = int((split.labels == int(picture.removeprefix("digit "))).nonzero()[0])
        return split.images[place : place + 1].cpu()
    return photograph(picture)


def computer(split: data.Split, read: Read | None) -> Callable[..., Lab]:
    """compute of the explorer; an upload is unpacked once, not at every move."""
    kept: dict[str, object] = {}

    def own(upload: tuple) -> Tensor:
        if kept.get("upload") is not upload or not upload:
            kept.update(picture=upload_of(upload), upload=upload)
        picture = kept["picture"]
        assert isinstance(picture, Tensor)
        return picture

    def compute(
        *, picture: str, augmentation: str, strength: float, seed: int, upload: tuple
    ) -> Lab:
        image = chosen(split, picture, partial(own, upload))
        other = "digit 2" if picture == "digit 9" else "digit 9"
        if not picture.startswith("digit"):
            other = "coffee" if picture == "chelsea" else "chelsea"
        partner = chosen(split, other, partial(own, upload))
        return look(
            picture,
            image,
            (other, partner),
            augmentation=augmentation,
            strength=strength,
            seed=seed,
            read=read,
        )

    return compute


def explorer(
    split: data.Split | None = None,
    read: Read | None = None,
    *,
    picture: str = "digit 6",
    augmentation: str = "rotate",
) -> Explorer:
    """Choose a picture, an augmentation and its strength; the seed draws again.

    split has the digits, from 0 to 1 (the embedded sample, if none is given); read answers for
    digits (N, 1, 28, 28) with their labels (N,).
    """
    split = split or data.load("mnist", sample=True).test
    before: dict[str, tuple] = {"upload": ()}

    def adjust(controls: dict) -> None:  # an upload is shown at once
        if controls["upload"].value != before["upload"]:
            controls["picture"].value = OWN
            before["upload"] = controls["upload"].value

    names = [*(f"digit {digit}" for digit in DIGITS), *images.PHOTOS, OWN]
    return Explorer(
        "AugmentationLab",
        computer(split, read),
        draw,
        sentence,
        width_px=840,
        adjust=adjust,
        picture=widgets.Dropdown(options=names, value=picture),
        augmentation=widgets.Dropdown(options=KINDS, value=augmentation),
        strength=widgets.FloatSlider(1.0, min=0, max=1, step=0.05, readout_format=".2f"),
        seed=widgets.IntSlider(0, 0, 20),
        upload=widgets.FileUpload(
            accept="image/*", description="upload a picture", tooltip="PNG, JPEG and others"
        ),
    )
