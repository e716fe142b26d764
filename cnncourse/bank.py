"""Pictures that a teacher has looked at once, and what it saw: what a student learns from.

A shard is a thousand pictures, as bytes, and the teacher's pooled features of them, on the disk.
Its logits are its last layer's of these. Nothing here knows a label.
"""

import io
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from safetensors.torch import load, save
from torch import Tensor
from torch.nn import functional as F

from cnncourse import files
from cnncourse.augment.color import Color
from cnncourse.models.efficientnet_lite import EfficientNetLite
from cnncourse.preprocess import Preprocess

SHARD = 1000  # pictures
TEACHER_PX = 128
LEAST_AREA = 0.15  # of a photo, in a crop
COLOR = Color(brightness=0.3, contrast=0.3, saturation=0.3)
SHIFT_PX = 4  # either way: pictures are kept that much larger on every side


@dataclass(frozen=True)
class Shard:
    """Pictures (n, 3, S, S), uint8, and the teacher's pooled features of them (n, D), float16."""

    pictures: Tensor
    features: Tensor


@dataclass(frozen=True)
class Teacher:
    """A network that looks at pictures of TEACHER_PX, and the preprocessing that belongs to it."""

    model: EfficientNetLite
    preprocess: Preprocess

    @torch.inference_mode()
    def look(self, pictures: Tensor, *, batch_size: int = 100) -> Tensor:
        """Pictures (n, 3, S, S), uint8, enlarged to TEACHER_PX -> pooled features, float16."""
        parts = []
        for part in pictures.split(batch_size):
            images = self.preprocess.standardise(enlarged(part, TEACHER_PX))
            images = images.contiguous(memory_format=torch.channels_last)
            parts.append(self.model.pooled(images).half())
        return torch.cat(parts).clone()


def enlarged(pictures: Tensor, size_px: int) -> Tensor:
    """uint8 (n, 3, S, S) -> float32 from 0 to 1, (n, 3, size_px, size_px), bicubic."""
    images = pictures.float().div(255)
    if images.shape[-1] == size_px:
        return images
    images = F.interpolate(images, size=(size_px, size_px), mode="bicubic", antialias=True)
    return images.clamp(0, 1)


# --- pictures -------------------------------------------------------------------------------------


def read_photos(folder: Path) -> list[np.ndarray]:
    """Every .jpg and .png of a folder as (H, W, 3), uint8, by name; ValueError where none is."""
    paths = sorted(path for path in folder.glob("[!.]*") if path.suffix in (".jpg", ".png"))
    if not paths:
        raise ValueError(f"photos={str(folder)!r}: no .jpg or .png is there. Try: another folder.")
    photos = []
    for path in paths:
        with Image.open(path) as image:
            photos.append(np.array(image.convert("RGB")))
    return photos


def random_crops(photos: Sequence[np.ndarray], *, count: int, seed: Sequence[int]) -> np.ndarray:
    """Parts of photos, (count, TEACHER_PX, TEACHER_PX, 3), uint8; the same for the same seed.

    Area from LEAST_AREA to all of the photo, up to 4/3 as wide as high or as high as wide.
    """
    rng = np.random.default_rng(seed)
    crops = np.empty((count, TEACHER_PX, TEACHER_PX, 3), np.uint8)
    for index, chosen in enumerate(rng.permutation(np.arange(count) % len(photos))):
        height, width = photos[chosen].shape[:2]
        area = rng.uniform(LEAST_AREA, 1) * height * width
        aspect = np.exp(rng.uniform(-1, 1) * np.log(4 / 3))
        wide, high = min(width, np.sqrt(area * aspect)), min(height, np.sqrt(area / aspect))
        left, top = rng.uniform(0, width - wide), rng.uniform(0, height - high)
        crop = Image.fromarray(photos[chosen]).resize(
            (TEACHER_PX, TEACHER_PX),
            Image.Resampling.BICUBIC,
            box=(left, top, left + wide, top + high),
        )
        crops[index] = np.asarray(crop)
    return crops


def read_zip(archive: Path, half: str, *, first: int, count: int) -> tuple[Tensor, Tensor]:
    """Pictures (n, 3, 32, 32), uint8, of a zip with <half>/<class>/<number>.jpg, and their classes.

    Of every class, in the order of names, `count` from the first-th on; classes take turns.
    Raises ValueError where a class has fewer, or the archive has no such half.
    """
    by_class: dict[str, list[str]] = {}
    with zipfile.ZipFile(archive) as zipped:
        for name in sorted(zipped.namelist()):
            parts = name.split("/")
            if len(parts) == 3 and parts[0] == half and name.endswith((".jpg", ".png")):
                by_class.setdefault(parts[1], []).append(name)
        fewest = min(map(len, by_class.values()), default=0)
        if fewest < first + count:
            raise ValueError(
                f"cifar={archive.name!r}: {first + count} images of every class are needed in "
                f"{half}/, a class has {fewest}. Try: fewer, or a zip with {half}/<class>/*.jpg."
            )
        turns = zip(*(names[first : first + count] for names in by_class.values()), strict=True)
        images = [
            np.array(Image.open(io.BytesIO(zipped.read(name))).convert("RGB"))
            for turn in turns
            for name in turn
        ]
    labels = torch.arange(len(by_class)).repeat(count)
    return torch.tensor(np.stack(images)).permute(0, 3, 1, 2).contiguous(), labels


# --- the stock -----------------------------------------------------------------------------------


class Stock:
    """The pictures of a round: CIFAR-10's, always the same, and crops of photos, one shard new.

    folder is where the shards are kept; size_px is the student's.
    """

    def __init__(
        self,
        teacher: Teacher,
        photos: Path,
        folder: Path,
        *,
        crop_shards: int,
        shard: int,
        size_px: int,
        seed: int,
    ) -> None:
        self.teacher, self.folder, self.photos = teacher, folder, read_photos(photos)
        self.crop_shards, self.count, self.size_px, self.seed = crop_shards, shard, size_px, seed
        self.fixed: list[Shard] = []
        self.crops: dict[int, Shard] = {}

    def fingerprint(self) -> str:
        """SHA-256 of the photos' pixels."""
        digests = [files.sha256(photo.tobytes()) for photo in self.photos]
        return files.sha256("".join(digests).encode())

    def add_cifar(self, archive: Path, *, shards: int, first: int) -> None:
        """Shards of the training half, from the first-th picture of every class on."""
        if shards:
            per_class = -(-shards * self.count // 10)
            pictures, _ = read_zip(archive, "train", first=first, count=per_class)
            for number, part in enumerate(pictures.split(self.count)[:shards]):
                self.fixed.append(
                    self.kept(f"cifar-{number:05}", partial(torch.Tensor.contiguous, part))
                )

    def kept(self, name: str, pictures: Callable[[], Tensor]) -> Shard:
        """The shard of that name from the disk; made there where none is, or it is damaged."""
        path = self.folder / f"{name}.safetensors"
        try:
            tensors = load(files.read(path))
        except (FileNotFoundError, files.DamagedFile):
            print(f"the teacher looks at {name}", flush=True)
            tensors = self.looked_at(pictures())
            files.write(path, save(tensors))
        return Shard(tensors["pictures"], tensors["features"])

    def looked_at(self, pictures: Tensor) -> dict[str, Tensor]:
        """Pictures as the student will need them, and what the teacher sees in them."""
        place = self.size_px + 2 * SHIFT_PX
        features = self.teacher.look(pictures)
        if pictures.shape[-1] > place:
            pictures = enlarged(pictures, place).mul(255).round().to(torch.uint8)
        return {"pictures": pictures.contiguous(), "features": features}

    def shards(self, round_: int) -> list[Shard]:
        """All of a round: crops number round_, round_ + 1, ...; those long before are deleted."""
        wanted = range(round_, round_ + self.crop_shards)
        self.crops = {
            number: self.crops.get(number)
            or self.kept(f"crops-{number:05}", partial(self.fresh, number))
            for number in wanted
        }
        for path in self.folder.glob("crops-*"):
            if int(path.name[6:11]) < round_ - 1:  # the checkpoint before the last may need it
                path.unlink()
        return [*self.fixed, *self.crops.values()]

    def fresh(self, number: int) -> Tensor:
        """Crops of that number, (count, 3, TEACHER_PX, TEACHER_PX), uint8."""
        crops = random_crops(self.photos, count=self.count, seed=(self.seed, number))
        return torch.tensor(crops).permute(0, 3, 1, 2)


def views(shards: Sequence[Shard], index: Tensor, size_px: int, draw: torch.Generator) -> Tensor:
    """Pictures of the numbers index (N,), as the student sees them before mixing, from 0 to 1:
    moved by up to SHIFT_PX, half of them flipped, coloured; (N, 3, size_px, size_px).

    All shards hold as many pictures.
    """
    count, place = len(shards[0].pictures), size_px + 2 * SHIFT_PX
    offsets = torch.randint(0, 2 * SHIFT_PX + 1, (len(index), 2), generator=draw).tolist()
    flipped = torch.rand(len(index), generator=draw) < 0.5
    colors = torch.rand(len(index), 3, generator=draw) * 2 - 1
    images = torch.empty(len(index), 3, size_px, size_px)
    for row, (number, (down, right)) in enumerate(zip(index.tolist(), offsets, strict=True)):
        picture = shards[number // count].pictures[number % count][None]
        whole = enlarged(picture, place)[0]
        images[row] = whole[:, down : down + size_px, right : right + size_px]
    images = torch.where(flipped[:, None, None, None], images.flip(-1), images)
    return COLOR(images, colors)
