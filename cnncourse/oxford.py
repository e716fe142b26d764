"""Two data sets of Oxford's Visual Geometry Group, through torchvision: pets and flowers.

oxford-iiit-pet: Parkhi et al. 2012, 37 breeds. flowers102: Nilsback & Zisserman 2008. The large
archives are fetched by `files.fetch` and checked by SHA-256 before torchvision opens them; the two
small lists of flowers102, of which only the MD5 is known, torchvision fetches and checks itself.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cnncourse import files, messages

Prepare = Callable[[Any], Any]  # Pillow's image -> what the network takes
URL = "https://thor.robots.ox.ac.uk/~vgg/data/"


@dataclass(frozen=True)
class Source:
    """Where torchvision expects a data set's archives, and their fingerprints."""

    folder: str
    splits: tuple[str, ...]
    classes: int
    urls: tuple[str, ...]
    download_mb: float  # 10**6 bytes
    packed: dict[str, str]  # SHA-256 of each archive


SOURCES = {
    "oxford-iiit-pet": Source(
        "oxford-iiit-pet",
        ("trainval", "test"),
        37,
        (f"{URL}pets/", "https://www.robots.ox.ac.uk/~vgg/data/pets/"),
        811.1,
        {  # as TensorFlow Datasets has them
            "images.tar.gz": "67195c5e1c01f1ab5f9b6a5d22b8c27a580d896ece458917e61d459337fa318d",
            "annotations.tar.gz": (
                "52425fb6de5c424942b7626b428656fcbd798db970a937df61750c0f1d358e91"
            ),
        },
    ),
    "flowers102": Source(
        "flowers-102",
        ("train", "val", "test"),
        102,
        (f"{URL}flowers/102/", "https://www.robots.ox.ac.uk/~vgg/data/flowers/102/"),
        344.9,
        {  # as Julia's DataDeps users have it
            "102flowers.tgz": "2d01ecc807db462958cfe3d92f57a8c252b4abd240eb955770201e45f783b246"
        },
    ),
}


def load(
    name: str, split: str, prepare: Prepare, *, folder: str | Path | None = None, download: bool
) -> Any:
    """Map-style data set of (prepared picture, label) of "oxford-iiit-pet" or "flowers102".

    split: "trainval" or "test" of the pets; "train", "val" or "test" of the flowers. folder is the
    root of torchvision's layout (default: the cache). Its pictures are read one by one, when asked.

    Raises ValueError for an unknown name or split, and where the data are not there and
    download=False; ConnectionError and DamagedFile as `files.fetch` does; ImportError without
    torchvision, which is an extra of the course.
    """
    if name not in SOURCES:
        raise ValueError(messages.unknown(name, "data set", SOURCES))
    source = SOURCES[name]
    if split not in source.splits:
        raise ValueError(messages.unknown(split, f"split of {name}", source.splits))
    root = files.cache_dir() if folder is None else Path(folder)
    build = opened(name)
    try:
        return build(root, split, prepare, False)
    except RuntimeError as error:  # torchvision's word for "not there"
        if not download:
            raise ValueError(
                f"{name}: not in the folder {(root / source.folder).name}, or not all of it. "
                f"Try: load({name!r}, {split!r}, ..., download=True), {source.download_mb:g} MB."
            ) from error
    fetch(source, root / source.folder)
    return build(root, split, prepare, True)


def fetch(source: Source, place: Path) -> None:
    """Download the archives into place, their size said first; those that are whole stay."""
    place.mkdir(parents=True, exist_ok=True)
    print(f"downloading {source.download_mb:g} MB")
    for packed, fingerprint in source.packed.items():
        files.fetch([url + packed for url in source.urls], place / packed, sha256=fingerprint)


def opened(name: str) -> Callable[[Path, str, Prepare, bool], Any]:
    """torchvision's data set, as a function of root, split, prepare and download."""
    try:
        from torchvision import datasets
    except ImportError as error:
        raise ImportError(f"{name}: torchvision reads it. Try: pip install torchvision.") from error
    kind: Any = datasets.OxfordIIITPet if name == "oxford-iiit-pet" else datasets.Flowers102
    return lambda root, split, prepare, download: kind(
        root, split, transform=prepare, download=download
    )
