import copy
import errno
import os
import types
import warnings
import weakref

import pytest
import torch
from torch import nn

from cnncourse import checkpoints, files, training
from cnncourse.data import Split
from cnncourse.transfer.audit import snapshot
from cnncourse.transfer.best import NAME, Best, lowest, read


def data(count, seed):
    generator = torch.Generator().manual_seed(seed)
    images = torch.randn(count, 1, 2, 2, generator=generator)
    return Split(images, (images[:, 0, 0, 0] > 0).long())


TRAIN, VALIDATION = data(12, 0), data(8, 1)


class Rising(torch.optim.SGD):
    """Learns for some steps, then walks the other way: the best epoch is known before."""

    def __init__(self, parameters, *, lr=0.5, good=2):
        super().__init__(parameters, lr=lr)
        self.taken, self.good = 0, good

    def step(self):
        for group in self.param_groups:
            group["lr"] = 0.5 if self.taken < self.good else -0.5
        self.taken += 1
        super().step()


def network():
    torch.manual_seed(0)
    return nn.Sequential(nn.Flatten(), nn.Linear(4, 2))


def trained(model, best, *, epochs=6, good=2, **options):
    """One batch an epoch: epoch 2 is the best of all."""
    return training.fit(
        model, TRAIN, VALIDATION, epochs=epochs, batch_size=12, device="cpu",
        optimizer=Rising(model.parameters(), good=good), reporters=[best], **options,
    )  # fmt: skip


def after(epochs):
    """Weights after so many epochs of the same training."""
    model = network()
    trained(model, lambda _progress: None, epochs=epochs)
    return model.state_dict()


def epoch_in(path):
    return len(read(path)[1]["history"])


def same(one, other):
    return all(torch.equal(one[name], other[name]) for name in one)


def test_lowest_counts_from_1_and_takes_the_first_of_equals():
    assert lowest([3.0]) == 1
    assert lowest([3.0, 1.0, 2.0, 1.0]) == 2


@pytest.mark.parametrize("saved", [False, True])
def test_the_best_epoch_is_put_back(tmp_path, saved):
    folder = tmp_path / "run" if saved else None
    model = network()
    best = Best(model, folder)
    history = trained(model, best, run_dir=folder)
    assert lowest(history.column("validation_loss")) == 2
    assert same(model.state_dict(), after(6))
    best.put_back(history)
    assert same(model.state_dict(), after(2))
    assert history.stopped == ""
    assert not best.stopped


def counted(make, alive):
    """The same function; before every call alive gets how many tensors of its last copy live."""
    last = []

    def copying(state):
        alive.append(sum(tensor() is not None for tensor in last))
        new = make(state)
        last[:] = [weakref.ref(tensor) for tensor in new.values()]
        return new

    return copying


def test_an_older_copy_is_gone_before_the_next_is_made(monkeypatch):
    """One in `fit`, one of the best epoch: what was estimated of the memory is not passed."""
    in_fit, in_best = [], []
    deepcopy = counted(copy.deepcopy, in_fit)
    monkeypatch.setattr(training, "copy", types.SimpleNamespace(deepcopy=deepcopy))
    monkeypatch.setattr("cnncourse.transfer.best.snapshot", counted(snapshot, in_best))
    model = network()
    trained(model, Best(model, None), good=6)
    assert in_fit == in_best == [0] * 6


@pytest.mark.parametrize("saved", [False, True])
@pytest.mark.parametrize("patience", [1, 3])
def test_patience_ends_it(tmp_path, saved, patience):
    folder = tmp_path / "run" if saved else None
    model = network()
    best = Best(model, folder, patience=patience)
    history = trained(model, best, run_dir=folder)
    assert len(history.epochs) == 2 + patience
    best.put_back(history)
    assert same(model.state_dict(), after(2))
    assert history.stopped == f"{patience} epochs without a lower validation loss"
    assert best.stopped


def test_where_the_last_epoch_is_the_best_nothing_is_put_back():
    model = network()
    best = Best(model, None, patience=1)
    history = trained(model, best, epochs=2)
    weights = model.state_dict()
    best.put_back(history)
    assert same(model.state_dict(), weights)
    assert not best.stopped


def interrupting(model, best, *, epoch):
    """A Ctrl-C in the middle of an epoch."""

    def reporter(progress):
        best(progress)
        if progress.epoch == epoch and not progress.epoch_ended:
            raise KeyboardInterrupt

    return trained(model, reporter)


def test_ctrl_c_leaves_the_best_epoch_that_was_finished():
    for epoch, expected in ((2, 1), (5, 2)):
        model = network()
        best = Best(model, None)
        history = interrupting(model, best, epoch=epoch)
        best.put_back(history)
        assert same(model.state_dict(), after(expected))
        assert history.stopped == f"interrupted in epoch {epoch} of 6"


def test_ctrl_c_in_the_first_epoch_leaves_what_was_learned():
    model = network()
    best = Best(model, None)
    history = interrupting(model, best, epoch=1)
    weights = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    best.put_back(history)
    assert same(model.state_dict(), weights)


# Killed and resumed


def test_a_resumed_run_knows_the_best_epoch_of_before(tmp_path):
    first, second = network(), network()
    trained(first, Best(first, tmp_path / "run"), epochs=4, run_dir=tmp_path / "run")
    assert epoch_in(tmp_path / "run" / NAME) == 2  # its checkpoint is no longer there
    assert not checkpoints.Run(tmp_path / "run", {}).path(2).exists()
    best = Best(second, tmp_path / "run")
    history = trained(second, best, good=0, run_dir=tmp_path / "run", resume=True)
    best.put_back(history)
    assert history.resumed == "resumed after epoch 4"
    assert same(second.state_dict(), after(2))


def test_killed_between_checkpoint_and_best_it_takes_the_checkpoint(tmp_path):
    """Epoch 2 was saved, and the process ended before its reporters were told."""
    folder = tmp_path / "run"
    first, second = network(), network()
    trained(first, Best(first, folder), epochs=1, run_dir=folder)
    trained(first, lambda _progress: None, good=1, epochs=2, run_dir=folder, resume=True)
    assert epoch_in(folder / NAME) == 1
    best = Best(second, folder)
    history = trained(second, best, good=0, run_dir=folder, resume=True)
    assert epoch_in(folder / NAME) == 2
    best.put_back(history)
    assert same(second.state_dict(), after(2))


def test_a_run_that_ended_early_is_not_trained_on(tmp_path):
    folder = tmp_path / "run"
    model = network()
    best = Best(model, folder, patience=2)
    trained(model, best, run_dir=folder)
    again = Best(network(), folder, patience=2)
    assert again.epochs_left(6) == 4
    history = trained(again.model, again, epochs=4, run_dir=folder, resume=True)
    again.put_back(history)
    assert history.stopped == "2 epochs without a lower validation loss"
    assert same(again.model.state_dict(), after(2))
    assert Best(network(), folder, patience=3).epochs_left(6) == 6
    assert Best(network(), tmp_path / "none", patience=3).epochs_left(6) == 6


def damage(path):
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)


def test_a_damaged_file_is_replaced_by_the_checkpoint_while_it_is_there(tmp_path):
    folder = tmp_path / "run"
    model = network()
    best = Best(model, folder)
    history = trained(model, best, epochs=3, run_dir=folder)
    damage(folder / NAME)
    best.put_back(history)
    assert same(model.state_dict(), after(2))


def test_another_epochs_weights_are_not_taken_for_the_best(tmp_path):
    folder = tmp_path / "run"
    best = Best(network(), folder)
    trained(best.model, best, run_dir=folder)
    assert best.found(3) == {}  # the file has epoch 2, the checkpoints 5 and 6
    assert same(best.found(2), after(2))
    assert same(best.found(6), after(6))


def test_lost_weights_of_the_best_epoch_are_said(tmp_path):
    folder = tmp_path / "run"
    model = network()
    best = Best(model, folder)
    history = trained(model, best, run_dir=folder)
    damage(folder / NAME)
    with pytest.warns(
        UserWarning, match=r"^the weights of epoch 2, the best, are lost: best\.safe"
    ):
        best.put_back(history)
    assert same(model.state_dict(), after(6))


def test_a_full_disk_ends_the_training_with_what_is_saved(tmp_path, monkeypatch):
    folder, real = tmp_path / "run", files.write

    def write(path, content):
        if path.name == NAME:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        real(path, content)

    monkeypatch.setattr(files, "write", write)
    model = network()
    with pytest.raises(
        checkpoints.NotSaved, match=r"best\.safetensors cannot be written \(No space"
    ):
        trained(model, Best(model, folder), run_dir=folder)


def test_of_several_processes_one_writes(tmp_path):
    folder = tmp_path / "run"
    model = network()
    best = Best(model, folder, writes=False)
    trained(model, best, run_dir=folder)
    assert not (folder / NAME).exists()


def test_a_run_without_an_epoch_has_nothing_to_put_back():
    model = network()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        Best(model, None, patience=1).put_back(training.History())
