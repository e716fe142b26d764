"""Speed, side by side in one run: `make bench`. Ratios count; seconds are this machine's.

The best of several rounds is taken, the two sides in turn, since machines are shared and noisy.
"""

import copy
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial

import numpy as np
import torch
import torchvision
from threadpoolctl import threadpool_limits
from torch import Tensor, nn
from torch.nn import functional as F

from cnncourse import augment, data, materials, ops, training, transfer, weights
from cnncourse.explorers import (
    architecture,
    connection_table,
    convolution_arithmetic,
    cost,
    digits,
    filter_lab,
    freeze_map,
    inception,
    kernel_stack,
    layer_costs,
    pixels,
    receptive_field,
    residual,
    scaling,
    shift,
    signal_propagation,
    sliding_window,
    transposed,
)
from cnncourse.models import alexnet, efficientnet, googlenet, resnet, vgg
from cnncourse.models.simple import SimpleCNN

ROUNDS = 3
BATCH_SIZE = 64
MOST_TIMES_TORCH = {"im2col": 6, "direct": 15, "fft": 0, "winograd": 0}  # 0: no goal was set


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


def convolution_methods() -> None:
    """Each NumPy method beside torch, on one thread: (8, 64, 56, 56) by (64, 64, 3, 3)."""
    rng = np.random.default_rng(0)
    images = rng.normal(size=(8, 64, 56, 56)).astype(np.float32)
    kernels = rng.normal(size=(64, 64, 3, 3)).astype(np.float32)
    tensors = torch.from_numpy(images), torch.from_numpy(kernels)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    with threadpool_limits(1), torch.inference_mode():
        reference, *seconds = best_seconds(
            lambda: F.conv2d(*tensors, padding=1),
            *(
                partial(ops.conv2d, images, kernels, padding=1, method=method)
                for method in MOST_TIMES_TORCH
            ),
        )
        (loops,) = best_seconds(
            lambda: ops.conv2d(images[:1, :, :4, :4], kernels[:4], method="loops")
        )
    torch.set_num_threads(threads)
    print(f"convolution (8, 64, 56, 56) by (64, 64, 3, 3), torch: {1000 * reference:.0f} ms")
    for (method, most), spent in zip(MOST_TIMES_TORCH.items(), seconds, strict=True):
        goal = f" (at most {most})" if most else ""
        print(f"  {method}: {1000 * spent:.0f} ms, {spent / reference:.1f} times torch's{goal}")
    parts = (8 * 56 * 56 * 64) / (2 * 2 * 4)  # as many outputs as the part that was timed
    times = loops * parts / reference
    print(f"  loops: {loops * parts:.0f} s, scaled up from a part, {times:.0f} times torch's")


PAIRS = 9
MOST_TIMES_TORCHVISION = 1.03
ARCHITECTURES = {  # each is measured beside torchvision's of the same name
    "alexnet": alexnet.alexnet,
    "vgg11": vgg.vgg11,
    "googlenet": partial(googlenet.googlenet, aux_logits=False),
    "resnet18": resnet.resnet18,
    "resnet50": resnet.resnet50,
    "efficientnet_b0": efficientnet.efficientnet_b0,
}


def step_seconds(model: nn.Module, images: Tensor) -> float:
    """Seconds of one forward and one backward pass in train mode."""
    model.zero_grad()
    started = time.perf_counter()
    model(images).sum().backward()
    return time.perf_counter() - started


def architectures() -> None:
    """Our builds beside torchvision's, a batch of 8 at 224 px, forward and backward, in turn.

    The median of the pairs' ratios: a machine that stutters spoils a pair, not the figure. Where
    the pairs lie far apart, the fastest of each side says more.
    """
    images = torch.randn(8, 3, 224, 224, generator=torch.Generator().manual_seed(0))
    for name, build in ARCHITECTURES.items():
        aux = {"aux_logits": False, "init_weights": False} if name == "googlenet" else {}
        ours, theirs = build(), getattr(torchvision.models, name)(**aux)
        theirs.load_state_dict(ours.state_dict())
        pairs = []
        for number in range(-1, PAIRS):  # the first pair warms up
            sides = (ours, theirs) if number % 2 else (theirs, ours)
            spent = {id(side): step_seconds(side, images) for side in sides}
            if number >= 0:
                pairs.append((spent[id(ours)], spent[id(theirs)]))
        ratios = [one / other for one, other in pairs]
        fastest = [min(side) for side in zip(*pairs, strict=True)]
        print(
            f"{name}, forward and backward of 8 x 224 px: {statistics.median(ratios):.3f} times "
            f"torchvision's (at most {MOST_TIMES_TORCHVISION}; pairs from {min(ratios):.2f} to "
            f"{max(ratios):.2f}; fastest to fastest {fastest[0] / fastest[1]:.3f})"
        )


HEAD_EPOCHS, LEAST_TIMES_FASTER = 20, 10


def cached_head() -> None:
    """A linear head behind a frozen network: features once, or the whole network in every epoch.

    Both go through the same trainer, with the same batches, on one thread; the cached side begins
    with an empty cache, and its time is that of all it does. torch's own start (the first step of
    an optimiser loads for seconds) is over before either begins.
    """
    pictures = materials.load()
    pretrained = weights.load_weights("efficientnet_lite0")
    train, validation = (
        data.Split(pretrained.preprocess.standardise(split.images), split.labels)
        for split in (pictures.train, pictures.validation)
    )
    few = data.Split(train.images[:32], train.labels[:32])
    sides = (head_on_features, head_behind_network)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    for side in sides:
        side(copy.deepcopy(pretrained.model), few, few, epochs=1)
    seconds, accuracies = [], []
    for side in sides:
        started = time.perf_counter()
        history = side(copy.deepcopy(pretrained.model), train, validation, epochs=HEAD_EPOCHS)
        seconds.append(time.perf_counter() - started)
        accuracies.append(history.epochs[-1].validation_accuracy)
    torch.set_num_threads(threads)
    print(
        f"{HEAD_EPOCHS} epochs of a head on {len(train.labels)} images, the network in every "
        f"epoch: {seconds[1]:.1f} s; on features computed once: {seconds[0]:.1f} s, "
        f"{seconds[1] / seconds[0]:.1f} times faster (at least {LEAST_TIMES_FASTER}); validation "
        f"accuracy {accuracies[1]:.1%} and {accuracies[0]:.1%}"
    )


def head_on_features(
    model: nn.Module, train: data.Split, validation: data.Split, *, epochs: int
) -> training.History:
    """A head of 16 classes, on features that are computed here, into an empty cache."""
    transfer.replace_head(model, len(materials.CLASSES))
    with tempfile.TemporaryDirectory() as folder:
        given = [
            transfer.features(model, split, device="cpu", folder=folder).split
            for split in (train, validation)
        ]
    return transfer.train_head(model, *given, epochs=epochs, batch_size=32, lr=1e-2, device="cpu")


def head_behind_network(
    model: nn.Module, train: data.Split, validation: data.Split, *, epochs: int
) -> training.History:
    """The same head, behind the network: the usual loop, but for statistics that are kept."""
    head = transfer.replace_head(model, len(materials.CLASSES))
    transfer.freeze(model, head)
    optimizer = torch.optim.AdamW(model.get_submodule(head).parameters(), lr=1e-2, weight_decay=0.0)
    fitted = {"epochs": epochs, "batch_size": 32, "device": "cpu"}
    return training.fit(model, train, validation, optimizer=optimizer, **fitted)


def main() -> None:
    """Print every measurement."""
    convolution_methods()
    architectures()
    cached_head()
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

    explorers = [
        digits.explorer(SimpleCNN(), split, black=0),
        *(
            module.explorer()
            for module in (
                pixels,
                sliding_window,
                convolution_arithmetic,
                transposed,
                cost,
                filter_lab,
                freeze_map,
                shift,
                receptive_field,
                architecture,
                connection_table,
                inception,
                kernel_stack,
                layer_costs,
                residual,
                scaling,
                signal_propagation,
            )
        ),
    ]
    for explorer in explorers:
        (seconds,) = best_seconds(explorer.refresh)
        print(f"explorer {explorer.name}: {1000 * seconds:.0f} ms from a control to the picture")


if __name__ == "__main__":
    sys.exit(main())
