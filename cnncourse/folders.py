"""A folder of pictures, a folder a class, as a data set: checked before anything is learned from.

    pets/cat/001.jpg  pets/cat/002.jpg  pets/dog/001.jpg  ...

What starts with a dot is no class (`.ipynb_checkpoints` would be the first, and shift all labels).
Pictures are compared by their pixels: the same one in train and test is refused, whatever its file
is called.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from cnncourse import files, images, messages
from cnncourse.data import Dataset, Split, split_per_class
from cnncourse.preprocess import Preprocess

ENDINGS = (".png", ".jpg", ".jpeg", ".gif", ".bmp", ".tif", ".tiff", ".webp")
SHARES = (3, 1, 1)  # of five pictures of a class: to train with, to validate, to test
LEAST_SPLIT = 5  # pictures of a class, to be split
MOST_GB = 2.0  # of memory, unless told otherwise


@dataclass(frozen=True)
class FolderDataset(Dataset):
    """A data set from a folder, and what was left out of it."""

    broken: tuple[str, ...] = ()  # file and reason
    repeated: tuple[str, ...] = ()  # files whose picture was there before, and where

    @property
    def splits(self) -> tuple[Split, Split, Split]:
        """What is to train with, to validate and to test, in this order."""
        return self.train, self.validation, self.test


@dataclass(frozen=True)
class Listed:
    """One picture: its file, its class, and the SHA-256 of its pixels."""

    path: Path
    label: int
    fingerprint: str


def load(
    folder: str | Path,
    preprocess: Preprocess,
    *,
    test: str | Path | None = None,
    seed: int = 0,
    most_gb: float = MOST_GB,
) -> FolderDataset:
    """Pictures of a folder that has a folder for each class, cut to a square, from 0 to 1.

    preprocess says how large, such as that of pretrained weights; its standardise is not applied.
    Classes are the names of the folders, sorted. Without a test folder, three of five pictures
    of every class are to train with, one to validate, one to test, by seed; with one (the same
    classes), four of five of folder's are to train with and one to validate. PNG, JPEG, GIF, BMP,
    TIFF and WEBP by their ending, in folders within, too; hidden ones and other files are ignored.

    Files that cannot be read, or would unpack to too much, are listed in broken, a second copy of
    a picture in repeated. Raises ValueError for fewer than two classes, a class of fewer than five
    pictures or in two copies, a picture in folder and in test, and for more than most_gb of memory.
    """
    messages.check_at_least("seed", seed, 0)
    root = checked_root("folder", folder)
    classes = class_names("folder", root)
    listed, broken = list_pictures(root, classes)
    kept, repeated = without_copies(listed, root)
    check_counts(kept, classes)
    asked: list[Listed] = []
    if test is not None:
        asked, more = test_pictures(checked_root("test", test), classes, kept)
        broken += more
    check_memory(len(kept) + len(asked), preprocess, most_gb)
    labels = np.array([picture.label for picture in kept])
    parts = split_per_class(labels, SHARES if test is None else (4, 1), seed=seed)
    shares = [[kept[index] for index in part] for part in parts] + ([asked] if asked else [])
    train, validation, tested = (split_of(share, preprocess) for share in shares)
    return FolderDataset(
        name=root.name,
        classes=classes,
        train=train,
        validation=validation,
        test=tested,
        origin=f"the folder {root.name}",
        complete=True,
        broken=tuple(broken),
        repeated=tuple(repeated),
    )


def split_of(pictures: Sequence[Listed], preprocess: Preprocess) -> Split:
    """Pictures as a Split, (N, 3, size_px, size_px) from 0 to 1; each is read again."""
    cut = [preprocess.cut(images.decode(picture.path.read_bytes())) for picture in pictures]
    return Split(torch.stack(cut), torch.tensor([picture.label for picture in pictures]))


# --- what is in a folder --------------------------------------------------------------------------


def checked_root(argument: str, folder: str | Path) -> Path:
    """The folder's full path; ValueError where there is no folder."""
    root = Path(os.path.abspath(folder))
    if not root.is_dir():
        rule = "is no folder" if root.exists() else "is not there"
        attempt = "the path of a folder that has a folder for each class"
        raise ValueError(messages.refusal(argument, str(folder), rule, attempt=attempt))
    return root


def class_names(argument: str, root: Path) -> tuple[str, ...]:
    """Names of the folders in root, sorted; ValueError for fewer than two."""
    names = sorted(path.name for path in root.iterdir() if path.is_dir() and not hidden(path.name))
    if len(names) < 2:
        said = f"has one class ({names[0]})" if names else "has no folder in it"
        rule = f"{said}, and a classifier tells two or more apart"
        attempt = f"{root.name}/cats/001.jpg and {root.name}/dogs/001.jpg"
        raise ValueError(messages.refusal(argument, root.name, rule, attempt=attempt))
    return tuple(names)


def hidden(name: str) -> bool:
    """Whether a name is of what systems and editors leave behind."""
    return name.startswith(".") or name == "__MACOSX"


def list_pictures(root: Path, classes: Sequence[str]) -> tuple[list[Listed], list[str]]:
    """Every picture in the folders of the classes, in order of names; and what cannot be read."""
    listed, broken = [], []
    for label, name in enumerate(classes):
        for path in sorted((root / name).rglob("*")):
            inside = path.relative_to(root)
            if path.suffix.lower() not in ENDINGS or any(map(hidden, inside.parts)):
                continue
            try:
                pixels = images.decode(path.read_bytes())
            except (ValueError, OSError) as error:
                broken.append(f"{inside.as_posix()}: {error}")
                continue
            digest = files.sha256(repr(pixels.shape).encode() + pixels.tobytes())
            listed.append(Listed(path, label, digest))
    return listed, broken


def without_copies(listed: Sequence[Listed], root: Path) -> tuple[list[Listed], list[str]]:
    """The first of each picture, and the files of the others; ValueError for one in two classes."""
    first: dict[str, Listed] = {}
    repeated = []
    for picture in listed:
        before = first.setdefault(picture.fingerprint, picture)
        if before is picture:
            continue
        names = [one.path.relative_to(root).as_posix() for one in (before, picture)]
        if before.label != picture.label:
            raise ValueError(
                f"{names[0]} and {names[1]} are the same picture in two classes. "
                "Try: delete the one that is wrong."
            )
        repeated.append(f"{names[1]}: the same picture as {names[0]}")
    return list(first.values()), repeated


def check_counts(kept: Sequence[Listed], classes: Sequence[str]) -> None:
    """Raise ValueError for a class of too few pictures to be split."""
    counts = np.bincount([picture.label for picture in kept], minlength=len(classes))
    few = int(counts.argmin())
    if counts[few] < LEAST_SPLIT:
        raise ValueError(
            f"class {classes[few]!r} has {counts[few]} pictures that can be read, and needs "
            f"{LEAST_SPLIT} or more to be split. Try: more pictures, or without this folder."
        )


def test_pictures(
    root: Path, classes: Sequence[str], known: Sequence[Listed]
) -> tuple[list[Listed], list[str]]:
    """Pictures to test with; ValueError for other classes, none, or one that is trained on."""
    if (own := class_names("test", root)) != tuple(classes):
        odd = sorted(set(own) ^ set(classes))[0]
        raise ValueError(
            f"test={root.name!r}: class {odd!r} is only in one of the two folders. "
            f"Try: the classes {', '.join(classes[:5])} in both."
        )
    listed, broken = list_pictures(root, classes)
    asked, _ = without_copies(listed, root)
    there = {picture.fingerprint: picture.path.name for picture in known}
    shared = [picture for picture in asked if picture.fingerprint in there]
    if shared:
        raise ValueError(
            f"{len(shared)} of {len(asked)} test pictures are also in the folder to train on, the "
            f"first is {shared[0].path.name!r} (there: {there[shared[0].fingerprint]!r}): what was "
            "learned by heart would be asked. Try: delete them from one of the two."
        )
    if not asked:
        rule = "has no picture that can be read"
        raise ValueError(messages.refusal("test", root.name, rule, attempt="test=None"))
    return asked, broken


def check_memory(count: int, preprocess: Preprocess, most_gb: float) -> None:
    """Raise ValueError where the pictures would take more memory than most_gb (10**9 bytes)."""
    needed_gb = count * 3 * preprocess.size_px**2 * 4 / 1e9
    if needed_gb > most_gb:
        smaller = max(int(preprocess.size_px * (most_gb / needed_gb) ** 0.5) // 32 * 32, 32)
        raise ValueError(
            f"{count:,} pictures of {preprocess.size_px} px take {needed_gb:.2g} GB, most_gb="
            f"{most_gb:g}. Try: preprocess.at({smaller}), or most_gb={1.1 * needed_gb:.2g}."
        )
