"""Known data sets: where they are, their files' fingerprints, and how those files are read.

MNIST: LeCun et al. 1998. Fashion-MNIST: Xiao et al. 2017, arXiv:1708.07747.
CIFAR-10: Krizhevsky 2009.
"""

import gzip
import hashlib
import io
import math
import os
import pickle
import tarfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from cnncourse import files

Arrays = tuple[np.ndarray, np.ndarray]  # images (N, C, H, W) and labels (N,), both uint8


@dataclass(frozen=True)
class Source:
    """What is known of a data set: its folder in torchvision's layout, addresses, fingerprints."""

    folder: str
    classes: tuple[str, ...]
    shape: tuple[int, int, int]  # (C, H, W)
    counts: tuple[int, int]  # images to train with, images to test with
    urls: tuple[str, ...]
    download_mb: float  # 10**6 bytes
    packed: dict[str, str]  # SHA-256 of each file as it is downloaded
    unpacked: dict[str, str]  # SHA-256 of its content, where it is known
    read: Callable[["Source", Path], tuple[Arrays, Arrays]]

    def locate(self, folder: Path) -> Path | None:
        """Place of the files, packed or not; None unless all are there.

        folder is the root of torchvision's layout (it has MNIST/raw), or its MNIST, or its raw.
        Fashion-MNIST's files are named as MNIST's: the folders' names tell them apart.
        """
        folder = Path(os.path.abspath(folder))
        for root in (folder, *folder.parents[:2]):
            place = root / self.folder
            if place.is_relative_to(folder) and self.is_complete(place):
                return place
        return None

    def is_complete(self, place: Path) -> bool:
        """Whether every file is at place, packed or not."""
        return all(
            (place / packed).exists() or (place / unpacked_name(packed)).exists()
            for packed in self.packed
        )


def unpacked_name(packed: str) -> str:
    """Name of a file or folder once it is unpacked, as torchvision leaves it."""
    return packed.replace("-python.tar.gz", "-batches-py").removesuffix(".gz")


def read_idx(content: bytes) -> np.ndarray:
    """Array of an idx file, the format of MNIST: two zeros, the type, the dimensions, the bytes."""
    zeros, kind, dimensions = content[:2], content[2:3], content[3] if len(content) > 3 else 0
    start = 4 + 4 * dimensions
    if zeros != b"\0\0" or kind != b"\x08" or dimensions == 0 or len(content) < start:
        raise files.DamagedFile("not an idx file of bytes")
    shape = tuple(int(size) for size in np.frombuffer(content, ">u4", dimensions, offset=4))
    if len(content) - start != math.prod(shape):
        raise files.DamagedFile(f"{shape} promised, {len(content) - start} bytes found")
    return np.frombuffer(content, np.uint8, offset=start).reshape(shape)


def read_idx_file(path: Path, *, sha256: str | None) -> np.ndarray:
    """Array of an idx file, packed (.gz) or not; sha256 is of its content, where it is known.

    Packed files differ in date and compression where the content is the same.
    """
    try:
        content = path.read_bytes()
        content = gzip.decompress(content) if path.suffix == ".gz" else content
        array = read_idx(content)
    except (EOFError, zlib.error, gzip.BadGzipFile, files.DamagedFile) as error:
        raise files.DamagedFile(damage(path, str(error))) from error
    if sha256 not in (None, found := files.sha256(content)):
        what = f"fingerprint differs: expected {sha256[:8]}…, got {found[:8]}…"
        raise files.DamagedFile(damage(path, what))
    return array


def read_idx_folder(source: Source, folder: Path) -> tuple[Arrays, Arrays]:
    """Training and test arrays of a folder with the four files of MNIST, packed (.gz) or not."""
    arrays = []
    for packed in source.packed:
        unpacked = unpacked_name(packed)
        path = folder / (unpacked if (folder / unpacked).exists() else packed)
        arrays.append(read_idx_file(path, sha256=source.unpacked.get(unpacked)))
    train_images, train_labels, test_images, test_labels = arrays
    return (train_images[:, None], train_labels), (test_images[:, None], test_labels)


def damage(path: Path, what: str) -> str:
    """Sentence for a damaged file of a data set."""
    return f"{path}: the file is damaged ({what}). Try: delete it, and load(..., download=True)."


class ArraysOnly(pickle.Unpickler):
    """Reads a pickle of lists and arrays; anything that could run code is refused."""

    ALLOWED = ("_reconstruct", "ndarray", "dtype", "encode")

    def find_class(self, module: str, name: str) -> object:
        """Only what rebuilds an array."""
        if name in self.ALLOWED and module.split(".")[0] in ("numpy", "_codecs"):
            return super().find_class(module, name)
        raise files.DamagedFile(f"{module}.{name} does not belong into a batch of CIFAR-10")


# MD5 as torchvision and the authors' page have them; 6 x 10,000 images.
CIFAR10_BATCHES = {
    "data_batch_1": "c99cafc152244af753f735de768cd75f",
    "data_batch_2": "d4bba439e000b95fd0a9bffe97cbabec",
    "data_batch_3": "54ebc095f3ab1f0389bbae665268c751",
    "data_batch_4": "634d18415352ddfa80567beed471001a",
    "data_batch_5": "482c414d41f54cd18b22e5b47cb7c3cb",
    "test_batch": "40351d587109b95175f43aff81a1287e",
}


def read_cifar10_folder(source: Source, folder: Path) -> tuple[Arrays, Arrays]:
    """Training and test arrays of CIFAR-10's python version, packed (.tar.gz) or not."""
    contents, origin = cifar10_batches(folder)
    arrays = []
    for name, expected in CIFAR10_BATCHES.items():
        if hashlib.md5(contents.get(name, b""), usedforsecurity=False).hexdigest() != expected:
            what = f"fingerprint of {name} differs" if name in contents else f"{name} is missing"
            raise files.DamagedFile(damage(origin, what))
        batch = ArraysOnly(io.BytesIO(contents[name]), encoding="bytes").load()
        images = np.asarray(batch[b"data"], np.uint8).reshape(-1, *source.shape)
        arrays.append((images, np.asarray(batch[b"labels"], np.uint8)))
    images, labels = (np.concatenate(parts) for parts in zip(*arrays[:-1], strict=True))
    return (images, labels), arrays[-1]


def cifar10_batches(folder: Path) -> tuple[dict[str, bytes], Path]:
    """Content of the batches that are there, by name, and the folder or archive they are in."""
    unpacked, archive = folder / "cifar-10-batches-py", folder / "cifar-10-python.tar.gz"
    if unpacked.is_dir():
        paths = [unpacked / name for name in CIFAR10_BATCHES]
        return {path.name: path.read_bytes() for path in paths if path.exists()}, unpacked
    contents = {}
    try:
        with tarfile.open(archive) as tar:  # nothing is extracted to the disk
            for (
                member
            ) in tar:  # in the archive's order: looking for names would unpack it six times
                name = Path(member.name).name
                if name in CIFAR10_BATCHES and (file := tar.extractfile(member)):
                    contents[name] = file.read()
    except (tarfile.TarError, EOFError, KeyError, zlib.error, gzip.BadGzipFile) as error:
        raise files.DamagedFile(damage(archive, str(error))) from error
    return contents, archive


SOURCES = {
    "mnist": Source(
        folder="MNIST/raw",
        classes=tuple("0123456789"),
        shape=(1, 28, 28),
        counts=(60_000, 10_000),
        urls=(
            "https://ossci-datasets.s3.amazonaws.com/mnist/",
            "https://storage.googleapis.com/cvdf-datasets/mnist/",
        ),
        download_mb=11.6,
        packed={
            "train-images-idx3-ubyte.gz": "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
            "train-labels-idx1-ubyte.gz": "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
            "t10k-images-idx3-ubyte.gz": "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
            "t10k-labels-idx1-ubyte.gz": "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
        },
        unpacked={
            "train-images-idx3-ubyte": "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
            "train-labels-idx1-ubyte": "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
            "t10k-images-idx3-ubyte": "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
            "t10k-labels-idx1-ubyte": "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
        },
        read=read_idx_folder,
    ),
    "fashion-mnist": Source(
        folder="FashionMNIST/raw",
        classes=(
            "T-shirt",
            "trousers",
            "pullover",
            "dress",
            "coat",
            "sandal",
            "shirt",
            "sneaker",
            "bag",
            "ankle boot",
        ),
        shape=(1, 28, 28),
        counts=(60_000, 10_000),
        urls=("http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",),
        download_mb=30.9,
        packed={
            "train-images-idx3-ubyte.gz": "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84",
            "train-labels-idx1-ubyte.gz": "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845",
            "t10k-images-idx3-ubyte.gz": "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073",
            "t10k-labels-idx1-ubyte.gz": "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5",
        },
        unpacked={},
        read=read_idx_folder,
    ),
    "cifar10": Source(
        folder=".",
        classes=(
            "airplane",
            "automobile",
            "bird",
            "cat",
            "deer",
            "dog",
            "frog",
            "horse",
            "ship",
            "truck",
        ),
        shape=(3, 32, 32),
        counts=(50_000, 10_000),
        urls=("https://www.cs.toronto.edu/~kriz/",),
        download_mb=170.5,
        packed={
            "cifar-10-python.tar.gz": "6d958be074577803d12ecdefd02955f39262c83c16fe9348329d7fe0b5c001ce"
        },
        unpacked={},
        read=read_cifar10_folder,
    ),
}
