import os
import random
import signal
import threading
import time

import numpy as np
import psutil
import pytest
import torch
from torch.utils.data import Dataset, IterableDataset, Subset

from cnncourse import augment
from cnncourse.data import Split
from cnncourse.loading import InMemory, Loading, leave_ctrl_c, without_ctrl_c
from cnncourse.steps import batches

AFFINE = augment.Affine(degrees=20, shift_px=1)
COUNT = 10


class Pictures(Dataset):
    """Ten pictures, each with noise from every generator that a transform may use.

    faults: what happens where an index is read: an error, another shape, the end of the worker.
    """

    def __init__(self, *, noisy=False, faults=None):
        self.noisy, self.faults = noisy, faults or {}

    def __len__(self):
        return COUNT

    def __getitem__(self, index):
        fault = self.faults.get(index)
        if fault == "missing":
            raise FileNotFoundError("no picture\nof that name")
        if fault == "array":
            return np.zeros((1, 4, 4)), 0
        if fault == "killed":
            os.kill(os.getpid(), signal.SIGKILL)
        image = torch.full((1, 4, 5 if fault == "wide" else 4), float(index))
        if self.noisy:
            image = image + torch.rand(1, 4, 4) + random.random() + np.random.rand()
        return image, index % 2


def epochs(loading, numbers=(1, 2)) -> list[Split]:
    found = [batch for epoch in numbers for batch in loading.batches(epoch)]
    loading.close()
    return found


def same(one, other) -> bool:
    return len(one) == len(other) and all(
        torch.equal(mine, theirs)
        for a, b in zip(one, other, strict=True)
        for mine, theirs in zip(a, b, strict=True)
    )


OPTIONS = {"batch_size": 4, "seed": 3, "augmentation": AFFINE}
WORKERS = [(1, "fork"), (2, "fork"), (2, "spawn")]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork: not on Windows")
@pytest.mark.parametrize(("num_workers", "context"), WORKERS)
def test_the_number_of_workers_changes_no_bit(num_workers, context):
    none = epochs(Loading(Pictures(noisy=True), **OPTIONS))
    torch.manual_seed(7)  # the caller's random numbers are of no matter
    some = epochs(
        Loading(Pictures(noisy=True), **OPTIONS, num_workers=num_workers, context=context)
    )
    assert same(some, none)
    assert [len(batch.labels) for batch in none] == [4, 4, 2] * 2


def test_a_data_set_is_fed_as_the_same_tensors_in_memory_are():
    images, labels = zip(*[Pictures()[index] for index in range(COUNT)], strict=True)
    split = Split(torch.stack(images), torch.tensor(labels))
    read = epochs(Loading(Pictures(), **OPTIONS))
    assert same(read, epochs(InMemory(split, **OPTIONS)))
    assert same(read[:3], list(batches(split, **OPTIONS, epoch=1)))


def test_every_epoch_draws_anew_and_any_epoch_can_be_the_first():
    one, two = (epochs(Loading(Pictures(noisy=True), **OPTIONS), [epoch]) for epoch in (1, 2))
    assert not same(one, two)
    assert same(epochs(Loading(Pictures(noisy=True), **OPTIONS)), [*one, *two])


def test_an_image_has_other_noise_in_every_epoch_and_by_every_seed():
    noise = set()
    for seed, epoch in [(3, 1), (3, 2), (4, 1)]:
        batches = epochs(Loading(Pictures(noisy=True), batch_size=COUNT, seed=seed), [epoch])
        noise |= {round(value, 5) for value in batches[0].images.flatten(1).min(1).values.tolist()}
    assert len(noise) == 3 * COUNT


def test_reading_leaves_the_callers_random_numbers():
    def numbers():
        return torch.rand(1).item(), random.random(), np.random.rand()

    torch.manual_seed(0), random.seed(0), np.random.seed(0)
    expected = numbers()
    torch.manual_seed(0), random.seed(0), np.random.seed(0)
    epochs(Loading(Pictures(noisy=True), **OPTIONS))
    assert numbers() == expected


FAULTS = [
    (
        "missing",
        "train[6]: cannot be read (FileNotFoundError: no picture). "
        "Try: that image alone, or without it.",
    ),
    ("array", "train[6] is ndarray: must be a tensor (C, H, W). Try: transform=ToTensor()."),
]


@pytest.mark.parametrize("num_workers", [0, 2])
@pytest.mark.parametrize(("fault", "sentence"), FAULTS)
def test_what_cannot_be_read_is_named_in_a_sentence(refused, fault, sentence, num_workers):
    loading = Loading(Pictures(faults={6: fault}), **OPTIONS, num_workers=num_workers)
    with refused(sentence):
        epochs(loading)
    loading.close()


def test_a_label_that_no_class_has_is_found_where_it_is_read(refused):
    loading = Loading(Pictures(), **OPTIONS)
    loading.classes = 1
    with refused(
        "label 1 found in train, but the model has classes 0 to 0. Labels start at 0. "
        "Try: num_classes=2."
    ):
        epochs(loading)


def test_a_pixel_that_is_nan_is_found_where_it_is_read():
    pictures = [(torch.rand(1, 2, 2), 0) for _ in range(11)]
    pictures[7][0][0, 1, 0] = float("nan")
    loading = Loading(pictures, **OPTIONS)
    loading.classes = 1
    with pytest.raises(ValueError, match=r"^train\[7\]: the image has a pixel that is nan or inf"):
        epochs(loading)


class Stream(IterableDataset):
    """No index, no length."""

    def __iter__(self):
        return iter(())


@pytest.mark.parametrize("dataset", [Stream(), Subset(Pictures(), [])])
def test_a_data_set_without_an_index_or_without_images_is_refused(refused, dataset):
    with refused(
        f"train is a {type(dataset).__name__} without images or without a length: its images are "
        "read by their index. Try: a map-style data set that has some."
    ):
        Loading(dataset, **OPTIONS)


def test_images_of_two_sizes_make_no_batch():
    with pytest.raises(ValueError, match=r"image 2 is \(1, 4, 5\) .* must be alike .*Try: "):
        Loading(Pictures(faults={2: "wide"}), **OPTIONS).sample  # noqa: B018


@pytest.mark.skipif(os.name == "nt", reason="SIGKILL is Unix's")
def test_a_worker_that_is_killed_ends_in_a_sentence_and_leaves_no_process():
    before = set(psutil.Process().children())
    loading = Loading(Pictures(faults={6: "killed"}), **OPTIONS, num_workers=2, context="fork")
    with pytest.raises(RuntimeError) as caught:
        epochs(loading)
    assert str(caught.value) == (
        "num_workers=2: a worker ended in the middle of its work. Most often memory, or /dev/shm, "
        "was full. Try: num_workers=1."
    )
    loading.close()
    assert gone(set(psutil.Process().children()) - before)


def gone(children) -> bool:
    """Whether these processes end within five seconds."""
    _, alive = psutil.wait_procs(children, timeout=5)
    return [child for child in alive if child.status() != psutil.STATUS_ZOMBIE] == []


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork: not on Windows")
def test_workers_are_left_alone_by_ctrl_c_and_end_when_closed():
    loading = Loading(Pictures(noisy=True), **OPTIONS, num_workers=2, context="fork")
    before = set(psutil.Process().children())
    expected = epochs(Loading(Pictures(noisy=True), **OPTIONS), [1])
    running = loading.batches(1)
    found = [next(running)]
    workers = set(psutil.Process().children()) - before
    assert len(workers) == 2
    for worker in workers:
        os.kill(worker.pid, signal.SIGINT)
    time.sleep(0.05)
    found += list(running)
    loading.close()
    assert same(found, expected)
    assert gone(workers)


@pytest.mark.skipif(os.name == "nt", reason="signal masks are Unix's")
def test_what_begins_inside_the_block_never_gets_ctrl_c():
    """A signal waits there, and a child keeps waiting; without a mask, a worker ignores it.

    It is sent to this thread: one that is sent to the process, any other thread may take.
    """
    heard = []
    before = signal.signal(signal.SIGINT, lambda *_: heard.append(1))
    try:
        with without_ctrl_c():
            assert signal.SIGINT in signal.pthread_sigmask(signal.SIG_BLOCK, ())
            signal.pthread_kill(threading.get_ident(), signal.SIGINT)
            assert heard == []
        assert heard == [1]
        leave_ctrl_c(0)
        assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)


@pytest.mark.skipif(os.name == "nt", reason="signal masks are Unix's")
def test_a_ctrl_c_while_workers_begin_is_not_lost():
    heard = []
    before = signal.signal(signal.SIGINT, lambda *_: heard.append(1))
    try:
        loading = Loading(Pictures(), **OPTIONS, num_workers=2, context="fork")
        timer = threading.Timer(0.005, os.kill, (os.getpid(), signal.SIGINT))
        timer.start()
        epochs(loading, [1])
        timer.join()
    finally:
        signal.signal(signal.SIGINT, before)
    assert heard == [1]
