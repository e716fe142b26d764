"""Frozen features, computed once: what a head is given is the same in every epoch.

They are kept on the disk under a name made of all that they depend on (weights, architecture,
images, preprocessing, augmentation): what was computed for something else cannot be taken for them.
"""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import safetensors.torch
import torch
from torch import Tensor, nn

from cnncourse import checkpoints, files, messages
from cnncourse.augment.chain import Augmentation
from cnncourse.data import Split
from cnncourse.devices import pick_device
from cnncourse.measure import mode_restored
from cnncourse.preconditions import check_fits
from cnncourse.preprocess import Preprocess
from cnncourse.transfer.heads import head_name
from cnncourse.transfer.parts import kind_of

FORM = "2"  # of a key and a file: another number leaves old files alone
METADATA = "features"


@dataclass(frozen=True)
class Features:
    """What goes into the head: split.images are maps of one pixel, (N, D, 1, 1)."""

    split: Split
    origin: str  # computed now, or read from the cache; in words


@dataclass(frozen=True)
class Task:
    """What is to be computed; `key` says all that the features depend on."""

    model: nn.Module
    head: str
    split: Split
    preprocess: Preprocess | None
    augmentation: Augmentation | None
    copies: int
    seed: int

    def key(self) -> str:
        """SHA-256, the same wherever and whenever the same is asked for."""
        digest = hashlib.sha256(f"{FORM} {self.head} {self.preprocess!r}".encode())
        if self.copies:
            digest.update(f"{self.augmentation!r} {self.copies} {self.seed}".encode())
        digest.update(checkpoints.fingerprint(self.split).encode())
        for name, module in self.model.named_modules():
            if not f"{name}.".startswith(f"{self.head}."):
                digest.update(f"{name} {kind_of(module).__name__} {settings_of(module)}".encode())
        for name, tensor in self.model.state_dict().items():
            if not name.startswith(f"{self.head}."):
                digest.update(f"{name} {tuple(tensor.shape)} {tensor.dtype}".encode())
                digest.update(as_bytes(tensor))
        return digest.hexdigest()


def features(
    model: nn.Module,
    split: Split,
    *,
    head: str = "",
    preprocess: Preprocess | None = None,
    augmentation: Augmentation | None = None,
    copies: int = 0,
    seed: int = 0,
    batch_size: int = 64,
    device: str | torch.device = "auto",
    folder: str | Path | None = None,
) -> Features:
    """What goes into the head of a network in eval mode, for every image; kept for the next time.

    (N, C, H, W) -> ((1 + copies) N, D, 1, 1) with their labels: first the images as they are, then
    copies of all of them, augmented each by its own draws. With a preprocess the images are from 0
    to 1, and are standardised after that; without one they go in as they come. The network goes to
    the device and stays there, as with `fit`.

    They are kept in folder (default: in the cache, under "features"), 4 bytes a number. A file that
    is damaged is computed anew, and where none can be written nothing is lost: origin says so.

    Raises ValueError for images that do not fit the model, and settings that cannot be.
    """
    head = head_name(model, head)
    check_settings(augmentation, copies=copies, seed=seed, batch_size=batch_size)
    model.to(pick_device(str(device)))
    check_counts(split)
    first = split.images[:2]
    images = preprocess.standardise(first) if preprocess else first
    check_fits(model, Split(images, torch.zeros_like(split.labels[:2])), name="given")
    task = Task(model, head, split, preprocess, augmentation, copies, seed)
    labels, key = split.labels.cpu().repeat(1 + copies), task.key()
    place = (
        files.cache_dir() / "features" if folder is None else Path(folder)
    ) / f"{key}.safetensors"
    found, origin = kept(place, key, count=len(labels))
    if found is None:
        found = torch.cat(list(computed(task, batch_size=batch_size)))
        origin += keep(place, key, found)
    return Features(Split(found[:, :, None, None], labels), origin)


def check_settings(
    augmentation: Augmentation | None, *, copies: int, seed: int, batch_size: int
) -> None:
    """Raise ValueError for numbers that cannot be, and an augmentation without or beyond copies."""
    messages.check_at_least("copies", copies, 0)
    messages.check_at_least("seed", seed, 0)
    messages.check_at_least("batch_size", batch_size, 1)
    if (augmentation is None) != (copies == 0):
        rule = "augmented copies need an augmentation, and an augmentation copies"
        attempt = "copies=3, augmentation=Flip()"
        raise ValueError(messages.refusal("copies", copies, rule, attempt=attempt))
    if augmentation is not None and " at 0x" in (said := repr(augmentation)):
        rule = "must say in its repr what it does: the features are kept under it"
        raise ValueError(messages.refusal("augmentation", said, rule, attempt="a frozen dataclass"))


def check_counts(split: Split) -> None:
    """Raise ValueError unless there is a label for every image."""
    count, labels = len(split.images), len(split.labels)
    if count != labels:
        attempt = "the same indices for both"
        raise ValueError(f"{count} images and {labels} labels: must be as many. Try: {attempt}.")


def settings_of(module: nn.Module) -> str:
    """What a module says of itself, and its numbers, words and functions: what forward may use."""
    own = {
        name: getattr(value, "__qualname__", value)
        for name, value in vars(module).items()
        if not name.startswith("_") and name != "training"
    }
    plain = (bool, int, float, str, type(None), tuple, list)
    told = {name: value for name, value in sorted(own.items()) if isinstance(value, plain)}
    return f"{module.extra_repr()} {told}"


def as_bytes(tensor: Tensor) -> bytes:
    """The numbers of a tensor of any type, as they lie in memory."""
    return tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes()


# --- computed -------------------------------------------------------------------------------------


@torch.no_grad()
def computed(task: Task, *, batch_size: int) -> Iterator[Tensor]:
    """Features (n, D) of each batch of each copy, on the CPU."""
    model, count = task.model, len(task.split.labels)
    device = next(model.parameters()).device
    given: list[Tensor] = []
    layer = model.get_submodule(task.head)
    hook = layer.register_forward_pre_hook(lambda _layer, inputs: given.append(inputs[0]))
    try:
        with mode_restored(model):
            model.eval()
            for number in range(1 + task.copies):
                for index in torch.arange(count).split(batch_size):
                    given.clear()
                    model(prepared(task, index, number).to(device))
                    yield once(given, task.head, rows=len(index)).flatten(1).float().cpu()
    finally:
        hook.remove()


def prepared(task: Task, index: Tensor, copy: int) -> Tensor:
    """Images as the network wants them: those of copy 0 as they are, of the others augmented."""
    images = task.split.images[index]
    if copy and task.augmentation is not None:
        draws = task.augmentation.draws(len(task.split.labels), seed=task.seed, epoch=copy)
        images = task.augmentation(images, draws[index].to(images.device))
    return task.preprocess.standardise(images) if task.preprocess else images


def once(given: list[Tensor], head: str, *, rows: int) -> Tensor:
    """What went into the head; ValueError where that was not, once, a row an image."""
    if [len(part) for part in given] != [rows]:
        came = " and ".join(str(len(part)) for part in given) or "no"
        rule = f"was given {came} rows for {rows} images, must be once, a row an image"
        raise ValueError(messages.refusal("head", head, rule, attempt="another layer as the head"))
    return given[0]


# --- kept -----------------------------------------------------------------------------------------


def kept(place: Path, key: str, *, count: int) -> tuple[Tensor | None, str]:
    """Features (count, D) that were kept under a key, if they are whole; and in words what was."""
    if not place.exists():
        return None, "computed now"
    try:
        content = files.read(place)
        header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
        found = safetensors.torch.load(content)["features"]
        if header["__metadata__"] != {METADATA: key} or found.shape[0] != count:
            raise files.DamagedFile(place.name)
    except Exception:  # safetensors has errors of its own kind
        return None, "computed anew (what was kept is damaged)"
    return found, "read from the cache"


def keep(place: Path, key: str, found: Tensor) -> str:
    """Write features under a key; in words why they were not, where they could not be."""
    try:
        files.write(place, safetensors.torch.save({"features": found}, metadata={METADATA: key}))
    except OSError as error:
        return f" (and not kept: {error.strerror or error})"
    return ""
