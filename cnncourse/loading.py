"""Images that do not fit into memory: read by workers, the same whatever their number.

Order, augmentation and what the data set itself draws depend on (seed, epoch, index) alone.
"""

import random
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from multiprocessing.context import BaseContext
from typing import Any

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset, Sampler

from cnncourse import augment
from cnncourse.data import Split
from cnncourse.preconditions import check_finite, check_labels
from cnncourse.steps import batches

Key = tuple[int, int]  # epoch, index
SAMPLE = 4  # images that stand for a data set: do they fit the model, is it the same as before


class Keyed(Dataset):
    """A data set's items by (epoch, index): its random transforms draw the same in any worker.

    What cannot be read becomes a sentence instead of an image: an error that crossed from one
    process into another would be a page of traceback.
    """

    def __init__(self, dataset: Any, *, seed: int, name: str) -> None:
        self.dataset, self.seed, self.name = dataset, seed, name

    def __getitem__(self, key: Key) -> tuple[int, torch.Tensor, int] | str:
        epoch, index = key
        where = f"{self.name}[{index}]"
        try:
            with seeded(augment.mixed_seed(self.seed, epoch, purpose=3), index):
                image, label = self.dataset[index]
        except Exception as error:
            reason = f"{type(error).__name__}: {error}".split("\n")[0]
            return f"{where}: cannot be read ({reason}). Try: that image alone, or without it."
        if not isinstance(image, torch.Tensor) or image.ndim != 3:
            came = tuple(image.shape) if isinstance(image, torch.Tensor) else type(image).__name__
            return f"{where} is {came}: must be a tensor (C, H, W). Try: transform=ToTensor()."
        return index, image, int(label)


@contextmanager
def seeded(seed: int, index: int) -> Iterator[None]:
    """Inside the block all global generators begin at (seed, index); then they are as before."""
    before, before_numpy = random.getstate(), np.random.get_state()
    with torch.random.fork_rng(devices=[]):
        mixed = augment.mixed_seed(seed, index, purpose=3)
        torch.manual_seed(mixed)
        random.seed(mixed)
        np.random.seed(mixed % 2**32)
        try:
            yield
        finally:
            random.setstate(before)
            np.random.set_state(before_numpy)


def stacked(items: list[tuple[int, torch.Tensor, int] | str]) -> Split | str:
    """The items as a Split, or the first sentence among them."""
    for item in items:
        if isinstance(item, str):
            return item
    indices, images, labels = zip(*items, strict=True)
    for index, image in zip(indices, images, strict=True):
        if (image.shape, image.dtype) != (images[0].shape, images[0].dtype):
            return (
                f"image {index} is {tuple(image.shape)} {image.dtype}, image {indices[0]} is "
                f"{tuple(images[0].shape)} {images[0].dtype}: must be alike to be a batch. "
                "Try: a transform that resizes and crops."
            )
    return Split(torch.stack(images), torch.tensor(labels))


class Order(Sampler[list[Key]]):
    """The batches of the epoch that is set, as keys."""

    def __init__(self, count: int, *, batch_size: int, seed: int) -> None:
        self.count, self.batch_size, self.seed, self.epoch = count, batch_size, seed, 1

    def __iter__(self) -> Iterator[list[Key]]:
        order = augment.order(self.count, seed=self.seed, epoch=self.epoch)
        for index in order.split(self.batch_size):
            yield [(self.epoch, number) for number in index.tolist()]

    def __len__(self) -> int:
        return -(-self.count // self.batch_size)


class InMemory:
    """Batches of tensors; they are on the device already."""

    def __init__(
        self,
        split: Split,
        *,
        batch_size: int,
        seed: int,
        augmentation: augment.Affine | None = None,
        device: torch.device | str = "cpu",
    ) -> None:
        self.split, self.count, self.sample = split.to(device), len(split.labels), split
        self.batch_size, self.seed, self.augmentation = batch_size, seed, augmentation
        self.classes = 0

    def batches(self, epoch: int) -> Iterator[Split]:
        """The images of an epoch once each."""
        return batches(
            self.split,
            batch_size=self.batch_size,
            seed=self.seed,
            epoch=epoch,
            augmentation=self.augmentation,
        )

    def close(self) -> None:
        """Nothing is open."""


class Loading:
    """Batches of a map-style data set of (image, label), read by num_workers processes.

    0 workers: read in this process. The workers stay for all epochs, and end with `close`; they
    leave Ctrl-C to the training.
    """

    def __init__(
        self,
        dataset: Dataset,
        *,
        batch_size: int,
        seed: int,
        augmentation: augment.Affine | None = None,
        num_workers: int = 0,
        device: torch.device | str = "cpu",
        context: str | BaseContext | None = None,
        name: str = "train",
    ) -> None:
        if not hasattr(dataset, "__len__") or len(dataset) == 0:
            raise ValueError(
                f"{name} is a {type(dataset).__name__} without images or without a length: its "
                "images are read by their index. Try: a map-style data set that has some."
            )
        self.keyed, self.count = Keyed(dataset, seed=seed, name=name), len(dataset)
        self.order = Order(self.count, batch_size=batch_size, seed=seed)
        self.seed, self.augmentation, self.device = seed, augmentation, torch.device(device)
        self.name, self.classes = name, 0  # once that is known, every label is checked
        self.loader = DataLoader(
            self.keyed,
            batch_sampler=self.order,
            num_workers=num_workers,
            collate_fn=stacked,
            persistent_workers=num_workers > 0,
            multiprocessing_context=context if num_workers else None,
            worker_init_fn=leave_ctrl_c,
            generator=torch.Generator(),  # its own: the caller's random numbers stay
            pin_memory=self.device.type == "cuda",
        )

    @cached_property
    def sample(self) -> Split:
        """The first images of the data set, read here. Raises ValueError where that fails."""
        return whole(stacked([self.keyed[1, index] for index in range(min(SAMPLE, self.count))]))

    def batches(self, epoch: int) -> Iterator[Split]:
        """The images of an epoch once each. Raises ValueError for an image that is none, and
        RuntimeError where a worker died.
        """
        self.order.epoch = epoch
        if self.augmentation is not None:
            draws = self.augmentation.draws(self.count, seed=self.seed, epoch=epoch)
        keys = iter(self.order)
        with without_ctrl_c():
            loaded = iter(self.loader)
        for index in keys:
            try:
                came = next(loaded)
            except RuntimeError as error:
                raise RuntimeError(self.died()) from error
            images, labels = whole(came)
            if self.classes:
                check_labels(labels, classes=self.classes, name=self.name)
                check_finite(images, name=self.name, numbers=[number for _epoch, number in index])
            images, labels = images.to(self.device), labels.to(self.device)
            if self.augmentation is not None:
                rows = draws[[number for _epoch, number in index]].to(self.device)
                images = self.augmentation(images, rows)
            yield Split(images, labels)

    def died(self) -> str:
        """Sentence for a worker that ended by itself or was killed."""
        workers = self.loader.num_workers
        return (
            f"num_workers={workers}: a worker ended in the middle of its work. Most often memory, "
            f"or /dev/shm, was full. Try: num_workers={workers // 2}."
        )

    def close(self) -> None:
        """End the workers."""
        iterator = self.loader._iterator
        if iterator is not None and self.loader.num_workers:
            iterator._shutdown_workers()  # type: ignore[attr-defined]
            self.loader._iterator = None


def whole(came: Split | str) -> Split:
    """The Split; raises ValueError with the sentence that came in its place."""
    if isinstance(came, str):
        raise ValueError(came)
    return came


def leave_ctrl_c(_worker: int) -> None:
    """In a worker: Ctrl-C is the training's business."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


@contextmanager
def without_ctrl_c() -> Iterator[None]:
    """Inside the block Ctrl-C does not interrupt this thread; a worker that begins there never
    gets it.
    """
    if not hasattr(signal, "pthread_sigmask"):  # Windows
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
