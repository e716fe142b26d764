"""Speed, side by side in one run: `make bench`. Ratios count; seconds are this machine's.

The best of several rounds is taken, the two sides in turn, since machines are shared and noisy.
"""

import sys
import time
from collections.abc import Callable

import torch
from torch.nn import functional as F

from cnncourse import augment, data, training
from cnncourse.explorers import digits, pixels
from cnncourse.models.simple import SimpleCNN

ROUNDS = 3
BATCH_SIZE = 64


def best_seconds(*sides: Callable[[], object]) -> list[float]:
    """Least seconds of each side over some rounds, one after the other in each."""
    seconds: list[list[float]] = [[] for _ in sides]
    for _ in range(ROUNDS):
        for side, spent in zip(sides, seconds, strict=True):
            started = time.perf_counter()
            side()
            spent.append(time.perf_counter() - started)
    return [min(spent) for spent in seconds]


def plain_epoch(split: data.Split) -> None:
    """The loop that lesson 06 writes out."""
    model = SimpleCNN().train()
    optimizer = torch.optim.Adam(model.parameters())
    for index in torch.randperm(len(split.labels)).split(BATCH_SIZE):
        loss = F.cross_entropy(model(split.images[index]), split.labels[index])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


def fitted_epoch(split: data.Split, augmentation: augment.Affine | None = None) -> None:
    """The same epoch through `training.fit`, on the CPU; ten images are validated."""
    model = SimpleCNN()
    few = data.Split(split.images[:10], split.labels[:10])
    optimizer = torch.optim.Adam(model.parameters())
    options = {"epochs": 1, "batch_size": BATCH_SIZE, "device": "cpu"}
    training.fit(model, split, few, optimizer=optimizer, augmentation=augmentation, **options)


def main() -> None:
    """Print every measurement."""
    started = time.perf_counter()
    data.load("mnist")
    first = time.perf_counter() - started
    (again,) = best_seconds(lambda: data.load("mnist"))
    print(f"load mnist: {first:.3f} s the first time here, {again:.3f} s from then on")

    split = data.load("mnist").train
    affine = augment.Affine(degrees=15, shift_px=2)
    plain, fitted, augmented = best_seconds(
        lambda: plain_epoch(split),
        lambda: fitted_epoch(split),
        lambda: fitted_epoch(split, affine),
    )
    print(f"an epoch of 4,000 images, plain loop: {plain:.2f} s")
    print(f"  through fit: {fitted:.2f} s, {fitted / plain:.2f} times the plain loop")
    print(f"  and augmented: {augmented:.2f} s, {augmented / plain:.2f} times the plain loop")

    explorers = {
        "pixels": pixels.explorer(),
        "digits": digits.explorer(SimpleCNN(), split, black=0),
    }
    for name, explorer in explorers.items():
        (seconds,) = best_seconds(explorer.refresh)
        print(f"explorer {name}: {1000 * seconds:.0f} ms from a control's change to the picture")


if __name__ == "__main__":
    sys.exit(main())
