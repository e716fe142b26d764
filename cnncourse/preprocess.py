"""From a picture to what a network was trained on: resize, cut out the middle, standardise.

These steps belong to a set of weights as much as its numbers do: with others it answers worse, and
nothing says so.
"""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from cnncourse import messages

Picture = np.ndarray | Image.Image  # (H, W, 3), uint8; or any of Pillow's

INTERPOLATIONS = {
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
}


@dataclass(frozen=True)
class Preprocess:
    """Resize the shorter side to resize_px, cut size_px x size_px from the middle, standardise.

    mean and std are of channels red, green, blue, on a scale from 0 to 1. Pillow resizes, which
    averages over what it leaves out. Rounds as torchvision does: the longer side down.
    Raises ValueError for sizes that cannot be and an unknown interpolation.
    """

    size_px: int
    resize_px: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    interpolation: str

    def __post_init__(self) -> None:
        messages.check_at_least("size_px", self.size_px, 1)
        messages.check_at_least("resize_px", self.resize_px, self.size_px)
        if self.interpolation not in INTERPOLATIONS:
            known = messages.unknown(self.interpolation, "interpolation", INTERPOLATIONS)
            raise ValueError(known)
        if not len(self.mean) == len(self.std) == 3 or not min(self.std) > 0:
            rule = "three numbers each, std above 0"
            came = f"mean={self.mean} and std={self.std}"
            raise ValueError(f"{came}: must be {rule}. Try: std=(1.0, 1.0, 1.0).")

    def __call__(self, pictures: Picture | Sequence[Picture]) -> Tensor:
        """One picture to (3, size_px, size_px); a list, or an array (N, H, W, 3), to (N, 3, ...).

        Raises ValueError for arrays that are not uint8, red green blue.
        """
        if isinstance(pictures, Image.Image) or getattr(pictures, "ndim", 4) < 4:
            return self.standardise(self.cut(pictures))  # type: ignore[arg-type]
        if len(pictures) == 0:
            raise ValueError("pictures: none came, must be one or more. Try: [picture].")
        return self.standardise(torch.stack([self.cut(picture) for picture in pictures]))

    def cut(self, picture: Picture) -> Tensor:
        """The part that a network will see, (3, size_px, size_px), float32 from 0 to 1."""
        image = as_image(picture)
        shorter = min(image.size)
        width, height = (int(self.resize_px * side / shorter) for side in image.size)
        image = image.resize((width, height), INTERPOLATIONS[self.interpolation])
        left, top = round((width - self.size_px) / 2), round((height - self.size_px) / 2)
        image = image.crop((left, top, left + self.size_px, top + self.size_px))
        return torch.tensor(np.asarray(image)).permute(2, 0, 1).float().div(255)

    def standardise(self, images: Tensor) -> Tensor:
        """(..., 3, H, W) from 0 to 1, of any size -> the same shape, as the network was trained."""
        mean, std = images.new_tensor(self.mean), images.new_tensor(self.std)
        return (images - mean[:, None, None]) / std[:, None, None]

    def at(self, size_px: int) -> "Preprocess":
        """The same for pictures of another size; as large a share of the border is cut off."""
        messages.check_at_least("size_px", size_px, 1)
        resize_px = round(self.resize_px * size_px / self.size_px)
        return dataclasses.replace(self, size_px=size_px, resize_px=resize_px)


def as_image(picture: Picture) -> Image.Image:
    """A picture as Pillow has it, red green blue; ValueError for what is no such picture."""
    if isinstance(picture, Image.Image):
        return picture.convert("RGB")
    if not isinstance(picture, np.ndarray):
        kind = type(picture).__name__
        raise ValueError(
            f"picture of type {kind}: must be an array (H, W, 3) of uint8, or Pillow's image. "
            "Try: preprocess.standardise(images) for tensors from 0 to 1."
        )
    shape, attempt = picture.shape, ""
    if picture.ndim == 2:
        attempt = "np.stack([picture] * 3, axis=-1)"
    elif picture.ndim == 3 and shape[2] == 4:
        attempt = "picture[:, :, :3]"
    elif picture.ndim == 3 and shape[0] == 3 and shape[2] != 3:
        attempt = "picture.transpose(1, 2, 0)"
    elif picture.ndim != 3 or shape[2] != 3 or 0 in shape:
        attempt = "an array with red, green and blue in its last axis"
    if attempt:
        raise ValueError(f"picture {shape}: must be (H, W, 3). Try: {attempt}.")
    if picture.dtype != np.uint8:
        raise ValueError(
            f"picture is {picture.dtype}: must be uint8, from 0 to 255. "
            "Try: (picture * 255).round().astype(np.uint8), if it is from 0 to 1."
        )
    return Image.fromarray(picture)
