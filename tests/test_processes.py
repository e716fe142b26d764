import multiprocessing
import os
import socket

import pytest
import torch
from torch import distributed, nn
from torch.nn import functional as F

from cnncourse import checkpoints, training
from cnncourse.data import Split
from cnncourse.processes import ALONE, Processes, is_over_the_batch, synchronise

COUNT, BATCH = 23, 8  # the last batch has 7: 3 rows for one of two processes, 4 for the other


def problem(count=COUNT, seed=0) -> Split:
    draw = torch.Generator().manual_seed(seed)
    images = torch.rand(count, 1, 6, 6, generator=draw)
    return Split(images, (images.mean(dim=(1, 2, 3)) > 0.5).long())


def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(1, 4, 3), nn.Tanh(), nn.Flatten(), nn.Linear(64, 2))


def trained(processes, folder, *, epochs=3, resume=False):
    model = network()
    history = training.fit(
        model,
        problem(),
        problem(9, seed=1),
        epochs=epochs,
        batch_size=BATCH,
        optimizer=torch.optim.SGD(model.parameters(), lr=0.2, momentum=0.9),
        device="cpu",
        run_dir=folder,
        resume=resume,
        processes=processes,
    )
    rows = [(row.train_loss, row.train_accuracy, row.validation_loss) for row in history.epochs]
    return {name: value.clone() for name, value in model.state_dict().items()}, rows


def one_of(rank, count, port, folder, answers):
    """Train as one of several processes: two epochs, then another call that goes on."""
    torch.set_num_threads(1)
    distributed.init_process_group(
        "gloo", init_method=f"tcp://127.0.0.1:{port}", rank=rank, world_size=count
    )
    processes = Processes(rank, count)
    whole = trained(processes, folder / "whole")
    trained(processes, folder / "parts", epochs=2)
    again = trained(processes, folder / "parts", resume=True)
    answers.put((rank, *(as_lists(run) for run in (whole, again))))
    distributed.destroy_process_group()


def as_lists(run):
    return {name: value.tolist() for name, value in run[0].items()}, run[1]


def free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return taken.getsockname()[1]


@pytest.fixture(scope="module")
def two(tmp_path_factory):
    """Folder, and what each of two processes ended with."""
    folder = tmp_path_factory.mktemp("two")
    context = multiprocessing.get_context("fork" if hasattr(os, "fork") else "spawn")
    answers, port = context.Queue(), free_port()
    children = [
        context.Process(target=one_of, args=(rank, 2, port, folder, answers)) for rank in (0, 1)
    ]
    for child in children:
        child.start()
    found = sorted(answers.get(timeout=60) for _ in children)
    for child in children:
        child.join(20)
    return folder, found


def test_two_processes_learn_what_one_does(two, tmp_path, tell):
    weights, rows = trained(ALONE, tmp_path)
    _, ((_, (first, first_rows), _), (_, (second, second_rows), _)) = two
    assert first == second  # every process has the same weights, to the bit
    assert first_rows == [pytest.approx(row, rel=1e-6) for row in rows]
    assert [row[:2] for row in first_rows] == [row[:2] for row in second_rows]
    apart = max(
        (torch.tensor(first[name]) - weight).abs().max().item() for name, weight in weights.items()
    )
    assert apart < 1e-6
    tell(f"two processes and one, after 3 epochs: weights at most {apart:.1e} apart")


def test_a_run_of_two_processes_goes_on_to_the_bit(two):
    for _rank, whole, again in two[1]:
        assert whole == again


def test_the_first_process_writes_and_the_other_does_not(two, tmp_path):
    assert len(checkpoints.Run(two[0] / "whole", {}).checkpoints()) == 2
    assert len((two[0] / "whole" / "history.jsonl").read_text().splitlines()) == 3
    silent = checkpoints.Run(tmp_path / "silent", {}, writes=False)
    model = network()
    parts = checkpoints.packing.Trained(model, torch.optim.SGD(model.parameters()), None)
    silent.begin(parts, resume=False)
    silent.save(parts, [{"epoch": 1}])
    silent.save_interrupted(parts)
    assert not (tmp_path / "silent").exists()


def test_a_run_of_one_process_goes_on_in_two_as_it_is_the_same_run(two, tmp_path):
    """The number of processes is not part of what a run is: gradients are those of the batch."""
    weights, _ = trained(ALONE, two[0] / "whole", resume=True)
    assert {name: value.tolist() for name, value in weights.items()} == two[1][0][1][0]


def test_weighted_means_over_uneven_rows_are_the_mean_over_the_batch():
    """By hand: 3 and 4 of 7 rows, each mean weighted by its rows, and halved as DDP does."""
    split, parts = problem(7), []
    for rank in (0, 1):
        processes = Processes(rank, 2)
        (rows,) = processes.parts(iter([split]))
        parts.append((processes.weight, rows))
    assert [len(rows.labels) for _, rows in parts] == [3, 4]
    assert [weight for weight, _ in parts] == [pytest.approx(6 / 7), pytest.approx(8 / 7)]
    model = network()
    means = [weight * F.cross_entropy(model(rows.images), rows.labels) for weight, rows in parts]
    whole = F.cross_entropy(model(split.images), split.labels)
    torch.testing.assert_close((means[0] + means[1]) / 2, whole)


def test_alone_the_batches_and_the_model_stay_as_they_are():
    model, split = network(), problem()
    assert ALONE.joined(model) is model
    (batch,) = ALONE.parts(iter([split]))
    assert torch.equal(batch.images, split.images)
    assert ALONE.means((0.25, 0.5)) == (0.25, 0.5)
    assert (ALONE.any(True), ALONE.any(False)) == (True, False)


def test_dropout_draws_another_mask_in_every_process():
    assert Processes(0, 3).seed(5) == ALONE.seed(5) == 5
    assert len({Processes(rank, 3).seed(5) for rank in range(3)}) == 3


def test_batch_normalisation_on_a_cpu_is_refused(refused):
    model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2))
    sentence = (
        "2 processes: layer '1' normalises over the batch, and on a CPU every process would take "
        "its own rows for it. Try: one process, or device='cuda'."
    )
    with refused(sentence):
        Processes(0, 2).joined(model)


class Kept(nn.BatchNorm2d):
    """Stays in eval mode, as a frozen one does."""

    def train(self, mode=True):
        return super().train(False)


def test_what_stays_in_eval_mode_takes_no_statistics_and_stays_as_it_is():
    model = nn.Sequential(nn.Conv2d(1, 2, 3), Kept(2), nn.BatchNorm2d(2), nn.Conv2d(2, 2, 3))
    weight = model[2].weight
    assert [is_over_the_batch(part) for part in model] == [False, False, True, False]
    assert is_over_the_batch(Kept(2, track_running_stats=False))  # has no others to take
    synchronise(model, ["2"])
    assert [type(part) for part in model[1:3]] == [Kept, nn.SyncBatchNorm]
    assert model[2].weight is weight  # the optimiser's
    model.train()
    assert [part.training for part in model[1:3]] == [False, True]


def test_a_last_batch_with_fewer_rows_than_processes_is_refused(refused):
    sentence = "batch_size=4: the last batch of 9 images has 1, for 2 processes. Try: batch_size=3."
    with refused(sentence):
        Processes(0, 2).check(images=9, batch_size=4)
    with refused(
        "batch_size=11: the last batch of 23 images has 1, for 2 processes. Try: batch_size=10."
    ):
        model = network()
        training.fit(
            model, problem(), problem(), epochs=1, batch_size=11, device="cpu",
            optimizer=torch.optim.SGD(model.parameters()), processes=Processes(0, 2),
        )  # fmt: skip
    Processes(0, 2).check(images=9, batch_size=3)
    Processes(0, 2).check(images=8, batch_size=4)
