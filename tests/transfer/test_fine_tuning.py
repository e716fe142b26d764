import copy
import inspect
import multiprocessing
import os
import socket

import pytest
import torch
from torch import distributed
from torch.optim.lr_scheduler import OneCycleLR

from cnncourse import augment, training
from cnncourse.data import Split
from cnncourse.models.resnet import BasicBlock, ResNet
from cnncourse.processes import Processes
from cnncourse.transfer import fine_tuning
from cnncourse.transfer.audit import audit, snapshot
from cnncourse.transfer.fine_tuning import Stage, fine_tune
from cnncourse.transfer.freezing import freeze
from cnncourse.transfer.groups import parameter_groups
from cnncourse.transfer.heads import replace_head

STAGES = [Stage("fc", 2, 0.05), Stage("layer2", 3, 0.02), Stage("", 2, 0.01)]


def network():
    torch.manual_seed(0)
    model = ResNet(BasicBlock, (1, 1), (4, 8))
    replace_head(model, 2)
    return model


def split(count, seed):
    generator = torch.Generator().manual_seed(seed)
    labels = torch.arange(count) % 2
    images = torch.randn(count, 3, 16, 16, generator=generator)
    images[labels == 1, 0] -= 1.0
    return Split(images, labels)


TRAIN, VALIDATION = split(20, 1), split(10, 2)
LABELS_100 = torch.arange(100) % 2


def tune(model, stages=STAGES, **options):
    options = {"batch_size": 8, "device": "cpu"} | options
    return fine_tune(model, TRAIN, VALIDATION, stages=stages, **options)


def same(one, other):
    return all(
        torch.equal(tensor, other.state_dict()[name]) for name, tensor in one.state_dict().items()
    )


def test_a_stage_is_fit_on_what_is_not_frozen():
    ours, theirs = network(), network()
    (history,) = tune(ours, [Stage("layer2", 3, 0.02)], decay=0.5, weight_decay=0.1, seed=5)
    freeze(theirs, "layer2")
    optimizer = torch.optim.AdamW(
        parameter_groups(theirs, lr=0.02, decay=0.5), lr=0.02, weight_decay=0.1
    )
    states = []
    expected = training.fit(
        theirs, TRAIN, VALIDATION, epochs=3, batch_size=8, optimizer=optimizer, seed=5,
        device="cpu", reporters=[lambda p: p.epoch_ended and states.append(copy.deepcopy(theirs))],
    )  # fmt: skip
    losses = expected.column("validation_loss")
    assert history.column("validation_loss") == losses
    assert same(ours, states[losses.index(min(losses))])


def test_every_stage_moves_what_it_says_and_nothing_before_it():
    model = network()
    moved, drifted = [], []
    before = snapshot(model)

    def reporter(progress):
        nonlocal before
        if progress.epoch_ended and progress.epoch == progress.epochs:
            found = audit(before, model)
            moved.append({name.partition(".")[0] for name in found.moved})
            drifted.append({name.partition(".")[0] for name in found.drifted})
            before = snapshot(model)

    histories = tune(model, reporters=[reporter])
    assert [len(history.epochs) for history in histories] == [2, 3, 2]
    rest = {"conv1", "bn1", "layer1", "layer2", "fc"}
    assert moved == [{"fc"}, {"layer2", "fc"}, rest]
    assert drifted == [set(), {"layer2"}, rest - {"conv1", "fc"}]


def test_a_stage_goes_on_from_the_best_epoch_of_the_one_before():
    """The first overshoots; the second has no rate to speak of."""
    first, second = tune(network(), [Stage("fc", 3, 3.0), Stage("fc", 1, 1e-12)])
    losses = first.column("validation_loss")
    assert min(losses) < losses[-1]
    assert second.column("validation_loss") == pytest.approx([min(losses)])


def test_patience_ends_a_stage_and_the_next_one_runs():
    histories = tune(
        network(), [Stage("fc", 30, 3.0), Stage("layer2", 1, 0.01)], patience=2, batch_size=20
    )
    assert histories[0].stopped == "2 epochs without a lower validation loss"
    assert len(histories[0].epochs) < 30
    assert (histories[1].stopped, len(histories[1].epochs)) == ("", 1)


def test_a_schedule_is_made_for_the_batches_of_each_stage():
    asked, rates = [], []

    def one_cycle(optimizer, steps):
        asked.append(steps)
        highest = [group["lr"] for group in optimizer.param_groups]
        rates.append(highest)
        return OneCycleLR(optimizer, highest, total_steps=steps)

    tune(network(), schedule=one_cycle, decay=0.5)
    assert asked == [2 * 3, 3 * 3, 2 * 3]  # 20 images in batches of 8, 8 and 4
    assert rates == [[0.05], [0.02, 0.01], [0.01, 0.005, 0.0025, 0.00125]]


def test_augmentation_and_smoothing_reach_fit():
    plain, other = network(), network()
    tune(plain, [Stage("", 2, 0.02)])
    tune(other, [Stage("", 2, 0.02)], augmentation=augment.Flip())
    assert not same(plain, other)
    third = network()
    tune(third, [Stage("", 2, 0.02)], label_smoothing=0.2)
    assert not same(plain, third)


def test_images_of_a_data_set_are_read_batch_after_batch_with_the_same_result():
    ours, theirs = network(), network()
    dataset = torch.utils.data.TensorDataset(*TRAIN)
    settings = {"stages": [Stage("layer2", 2, 0.02)], "batch_size": 8, "device": "cpu"}
    fine_tune(ours, dataset, VALIDATION, num_workers=1, **settings)
    fine_tune(theirs, TRAIN, VALIDATION, **settings)
    assert same(ours, theirs)


def test_all_that_fit_can_be_told_can_be_told(monkeypatch):
    """And comes through: what a GPU is for, too."""
    own = {"model", "train", "validation", "epochs", "optimizer", "schedule", "reporters"}
    values = {"batch_size": 3, "augmentation": augment.Flip(), "label_smoothing": 0.25, "seed": 7,
              "device": "cpu", "precision": "bfloat16", "channels_last": True, "run_dir": None,
              "resume": False, "num_workers": 2, "processes": Processes(0, 2)}  # fmt: skip
    assert set(inspect.signature(training.fit).parameters) == own | set(values)
    told = []

    def fit(*_parts, **options):
        told.append(options)
        return training.History()

    monkeypatch.setattr(training, "fit", fit)
    tune(network(), [Stage("fc", 4, 0.1)], **values)
    assert {name: told[0][name] for name in values} == values
    assert told[0]["epochs"] == 4


# Saved, stopped, resumed


def stop_at(stage, epoch):
    """A reporter that ends the training as Ctrl-C would, in the first batch of an epoch."""
    begun = []

    def reporter(progress):
        if progress.epoch == 1 and progress.batch == 1 and not progress.epoch_ended:
            begun.append(1)
        if (len(begun), progress.epoch, progress.batch) == (stage, epoch, 1):
            raise KeyboardInterrupt

    return reporter


@pytest.mark.parametrize(("stage", "epoch"), [(1, 1), (1, 2), (2, 2), (2, 3), (3, 1)])
def test_interrupted_and_resumed_it_is_as_if_nothing_had_been(tmp_path, stage, epoch):
    whole, broken, resumed = network(), network(), network()
    expected = tune(whole)
    stopped = tune(broken, reporters=[stop_at(stage, epoch)], run_dir=tmp_path / "run")
    assert len(stopped) == stage
    assert stopped[-1].stopped.startswith(f"interrupted in epoch {epoch}")
    found = tune(resumed, run_dir=tmp_path / "run", resume=True)
    assert same(whole, resumed)
    for one, other in zip(found, expected, strict=True):
        assert one.column("validation_loss") == other.column("validation_loss")


def test_a_stage_that_ended_early_is_not_trained_again(tmp_path):
    stages = [Stage("fc", 30, 3.0), Stage("layer2", 2, 0.01)]
    settings = {"patience": 2, "batch_size": 20, "run_dir": tmp_path / "run"}
    first, again = network(), network()
    expected, told = tune(first, stages, **settings), []
    found = tune(again, stages, resume=True, reporters=[told.append], **settings)
    assert told == []
    assert same(first, again)
    assert [history.stopped for history in found] == [history.stopped for history in expected]


def test_each_stage_has_a_folder_of_its_own(tmp_path):
    tune(network(), [Stage("fc", 1, 0.1), Stage("layer2.0", 1, 0.1), Stage("", 1, 0.1)],
         run_dir=tmp_path)  # fmt: skip
    assert sorted(path.name for path in tmp_path.iterdir()) == ["1-fc", "2-layer2.0", "3-all"]


# Several processes


def one_of(rank, port, folder, answers):
    """Train the head as one of two processes, the normalisation before it frozen."""
    torch.set_num_threads(1)
    distributed.init_process_group(
        "gloo", init_method=f"tcp://127.0.0.1:{port}", rank=rank, world_size=2
    )
    model = network()
    tune(model, HEAD, run_dir=folder, patience=1, processes=Processes(rank, 2))
    answers.put((rank, {name: tensor.tolist() for name, tensor in model.state_dict().items()}))
    distributed.destroy_process_group()


HEAD = [Stage("fc", 8, 0.5), Stage("fc", 2, 0.1)]


def test_two_processes_tune_what_one_does(tmp_path):
    """The first stage ends early, in both: the best epoch is read by one that did not write it."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
    context = multiprocessing.get_context("fork" if hasattr(os, "fork") else "spawn")
    answers = context.Queue()
    children = [
        context.Process(target=one_of, args=(rank, port, tmp_path / "two", answers))
        for rank in (0, 1)
    ]
    for child in children:
        child.start()
    (_, first), (_, second) = sorted(
        (answers.get(timeout=60) for _ in children), key=lambda x: x[0]
    )
    for child in children:
        child.join(20)
    model = network()
    histories = tune(model, HEAD, patience=1)
    assert len(histories[0].epochs) < 8
    assert first == second
    for name, tensor in model.state_dict().items():
        torch.testing.assert_close(torch.tensor(first[name]), tensor, atol=1e-5, rtol=1e-4)


# Refused before anything trains


def test_large_pictures_are_validated_a_batch_at_a_time_and_small_ones_more():
    """What was let through by its batch would else fail at the end of the first epoch."""
    for size_px, most in ((80, 61), (224, 8), (16, 100)):
        model, seen = network(), []
        model.register_forward_hook(lambda _model, given, _logits, seen=seen: seen.append(given[0]))
        validation = Split(torch.zeros(1, 3, 1, 1).expand(100, 3, size_px, size_px), LABELS_100)
        train = Split(validation.images[:8], LABELS_100[:8])
        fine_tune(model, train, validation, stages=[Stage("fc", 1, 1e-2)], batch_size=8)
        assert max(map(len, seen)) == most


def test_a_batch_too_large_for_the_memory_is_refused_before_it_comes(monkeypatch):
    monkeypatch.setattr("cnncourse.transfer.memory.free_memory", lambda _device: 1.2e8)
    model, told = network(), []
    sentence = (
        r"^batch_size=4096: training on images of 3x16x16 takes about .* 120 MB are free\. Try"
    )
    with pytest.raises(ValueError, match=sentence):
        tune(model, [Stage("", 1, 0.1)], batch_size=4096, reporters=[told.append])
    assert told == []
    tune(model, [Stage("", 1, 0.1)], batch_size=64)


@pytest.mark.parametrize(
    ("stages", "sentence"),
    [
        ([], "stages=[]: must be one or more. Try: [Stage('fc', 5, 0.01)]."),
        ([Stage("fc", 0, 0.1)], "epochs=0: must be a whole number, 1 or more. Try: epochs=1."),
        ([Stage("fc", 1, 0.1), Stage("", 1, -1)],
         "lr=-1: must be above 0 and finite. Try: lr=0.001."),
        ([Stage("fc", 1, 0.1), Stage("layer9", 1, 1)],
         "'layer9': unknown part. Did you mean 'layer2'? Known: conv1, layer1, layer2, fc."),
    ],
)  # fmt: skip
def test_a_stage_that_cannot_be_is_refused_before_the_first_trains(refused, stages, sentence):
    told = []
    with refused(sentence):
        tune(network(), stages, reporters=[told.append])
    assert told == []


def test_a_negative_patience_is_refused(refused):
    with refused("patience=-1: must be a whole number, 0 or more. Try: patience=0."):
        tune(network(), patience=-1)


def test_images_are_counted_in_any_data_set():
    assert fine_tuning.count_of(TRAIN) == 20
    assert fine_tuning.count_of(torch.utils.data.TensorDataset(torch.rand(7, 1))) == 7
