import json
import multiprocessing
import os
import random
import re
import signal
import time
import warnings
from functools import partial

import psutil
import pytest
import torch
from safetensors.torch import load, save
from torch import nn
from torch.utils.data import Dataset

from cnncourse import augment, checkpoints, files, packing, training
from cnncourse.data import Split

EPOCHS = 5


def problem(count: int = 24, seed: int = 0) -> Split:
    draw = torch.Generator().manual_seed(seed)
    images = torch.rand(count, 1, 6, 6, generator=draw)
    return Split(images, (images.mean(dim=(1, 2, 3)) > 0.5).long())


def network() -> nn.Module:
    """Everything that has a state: batch normalisation, dropout."""
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Dropout(0.3),
        nn.Linear(64, 2),
    )  # fmt: skip


def one_cycle(optimizer):
    return torch.optim.lr_scheduler.OneCycleLR(optimizer, 0.05, total_steps=3 * EPOCHS)


def steps(optimizer):
    return torch.optim.lr_scheduler.MultiStepLR(optimizer, [4, 4, 9])


RECIPES = {
    "Adam, one cycle, augmented": (
        partial(torch.optim.Adam, lr=0.01), one_cycle, augment.Affine(degrees=10, shift_px=1),
    ),
    "SGD with momentum, in steps": (
        partial(torch.optim.SGD, lr=0.1, momentum=0.9), steps, None,
    ),
    "AdamW alone": (partial(torch.optim.AdamW, lr=0.01), None, None),
}  # fmt: skip
FIRST = "Adam, one cycle, augmented"


def train(folder, *, recipe=FIRST, epochs=EPOCHS, resume=True, reporters=(), **changed):
    """A run in folder (None: in memory alone); its model, optimiser and history."""
    optimizer, schedule, augmentation = RECIPES[recipe]
    schedule = changed.pop("schedule", schedule)
    model = changed.pop("model", None) or network()
    optimizer = changed.pop("optimizer", optimizer)(model.parameters())
    history = training.fit(
        model,
        changed.pop("train", problem()),
        changed.pop("validation", problem(10, seed=1)),
        optimizer=optimizer,
        schedule=schedule and schedule(optimizer),
        reporters=reporters,
        run_dir=folder,
        resume=resume if folder else False,
        **{"epochs": epochs, "batch_size": 8, "augmentation": augmentation, "device": "cpu"}
        | changed,
    )
    return model, optimizer, history


def state(model, optimizer) -> dict[str, torch.Tensor]:
    """Every tensor of a model and its optimiser, copied."""
    found = {f"model {name}": tensor for name, tensor in model.state_dict().items()}
    for index, values in optimizer.state_dict()["state"].items():
        found |= {f"optimizer {index} {name}": value for name, value in values.items()}
    return {name: torch.as_tensor(tensor).clone() for name, tensor in found.items()}


def learned(history) -> list:
    """A history without its seconds."""
    return [
        (row.epoch, row.train_loss, row.train_accuracy, row.validation_loss)
        for row in history.epochs
    ]


def assert_same(run, reference) -> None:
    one, other = state(*run[:2]), state(*reference[:2])
    assert one.keys() == other.keys()
    assert [name for name in one if not torch.equal(one[name], other[name])] == []
    assert learned(run[2]) == learned(reference[2])


@pytest.fixture(scope="module")
def references():
    """The runs that nothing interrupted."""
    return {recipe: train(None, recipe=recipe) for recipe in RECIPES}


# --- going on -------------------------------------------------------------------------------------


@pytest.mark.parametrize("recipe", RECIPES)
@pytest.mark.parametrize("first", [1, 3, EPOCHS])
def test_a_resumed_run_is_bit_identical_to_an_uninterrupted_one(
    tmp_path, references, recipe, first
):
    train(tmp_path, recipe=recipe, epochs=first)
    again = train(tmp_path, recipe=recipe)
    assert again[2].resumed == f"resumed after epoch {first}"
    assert_same(again, references[recipe])


@pytest.mark.parametrize("precision", ["float32", "float16", "bfloat16"])
@pytest.mark.parametrize("channels_last", [False, True])
def test_it_is_so_in_any_precision_and_layout(tmp_path, precision, channels_last):
    """With float16 the loss's scale goes on, too: it halves in the first steps."""
    options = {"precision": precision, "channels_last": channels_last}
    straight = train(None, **options)
    train(tmp_path, epochs=2, **options)
    again = train(tmp_path, **options)
    assert again[2].resumed == "resumed after epoch 2"
    assert_same(again, straight)


def test_saving_changes_nothing(tmp_path, references):
    run = train(tmp_path)
    assert run[2].resumed == ""
    assert_same(run, references[FIRST])


def test_two_checkpoints_and_the_whole_history_are_kept(tmp_path):
    _, _, history = train(tmp_path)
    names = sorted(path.name for path in tmp_path.iterdir())
    kept = [f"epoch-0000{epoch}.safetensors" for epoch in (4, 5)]
    assert names == sorted([*kept, *(f"{name}.sha256" for name in kept), "history.jsonl"])
    lines = (tmp_path / "history.jsonl").read_text().splitlines()
    assert [json.loads(line) for line in lines] == history.rows()


def test_an_epoch_is_saved_before_it_is_reported(tmp_path):
    seen = []

    def look(progress):
        if progress.epoch_ended:
            lines = (tmp_path / "history.jsonl").read_text().splitlines()
            newest = checkpoints.Run(tmp_path, {}).checkpoints()[-1]
            seen.append((len(lines), checkpoints.epoch_of(newest)))

    train(tmp_path, reporters=[look])
    assert seen == [(epoch, epoch) for epoch in range(1, EPOCHS + 1)]


def test_a_run_may_be_made_longer(tmp_path):
    short = train(tmp_path, recipe="AdamW alone", epochs=2)
    longer = train(tmp_path, recipe="AdamW alone", epochs=4)
    assert learned(longer[2])[:2] == learned(short[2])
    assert_same(longer, train(None, recipe="AdamW alone", epochs=4))


def test_a_checkpoint_holds_no_pickle(tmp_path):
    train(tmp_path, epochs=1)
    content = (tmp_path / "epoch-00001.safetensors").read_bytes()
    tensors, facts = packing.unpack(content)
    assert torch.equal(tensors["model.0.weight"], train(None, epochs=1)[0][0].weight)
    assert facts["configuration"]["seed"] == 0


# --- refusals -------------------------------------------------------------------------------------


def test_a_run_that_is_there_is_not_overwritten(tmp_path, refused):
    train(tmp_path / "first", epochs=2)
    with refused("run_dir='first': has a run of 2 epochs. Try: resume=True, or another folder."):
        train(tmp_path / "first", resume=False)


def test_resuming_from_nowhere_is_refused(refused):
    model = network()
    options = {"optimizer": torch.optim.SGD(model.parameters()), "resume": True, "device": "cpu"}
    with refused("resume=True: from where? Try: run_dir='runs/first', resume=True."):
        training.fit(model, problem(), problem(), epochs=1, batch_size=8, **options)


def wider() -> nn.Module:
    return nn.Sequential(nn.Flatten(), nn.Linear(36, 2))


def changed_network(place, layer) -> nn.Module:
    model = network()
    model[place] = layer
    return model


def frozen_network() -> nn.Module:
    model = network()
    model[0].requires_grad_(False)
    return model


def longer(optimizer):
    return torch.optim.lr_scheduler.OneCycleLR(optimizer, 0.05, total_steps=3 * EPOCHS + 3)


def higher(optimizer):
    return torch.optim.lr_scheduler.OneCycleLR(optimizer, 0.1, total_steps=3 * EPOCHS)


def lower(optimizer):
    options = {"total_steps": 3 * EPOCHS, "final_div_factor": 1e6}
    return torch.optim.lr_scheduler.OneCycleLR(optimizer, 0.05, **options)


def in_groups(parameters):
    parameters = list(parameters)
    return torch.optim.Adam([{"params": parameters[:2]}, {"params": parameters[2:]}], lr=0.01)


def of_a_part(parameters):
    return torch.optim.Adam(list(parameters)[-2:], lr=0.01)


FOREIGN = {
    "precision": ({"precision": "bfloat16"}, "precision was 'float32', is 'bfloat16'"),
    "layout": ({"channels_last": True}, "channels_last was False, is True"),
    "seed": ({"seed": 1}, "seed was 0, is 1"),
    "batch_size": ({"batch_size": 4}, "batch_size was 8, is 4"),
    "label_smoothing": ({"label_smoothing": 0.1}, "label_smoothing was 0.0, is 0.1"),
    "augmentation": ({"augmentation": None}, "augmentation was 'Affine(degrees=10, shift_px=1"),
    "model": ({"model": wider()}, "model's 1.weight was [4], is [2, 36]"),
    "optimizer": ({"optimizer": partial(torch.optim.AdamW, lr=0.01)}, "optimizer was 'Adam', is"),
    "lr": ({"optimizer": partial(torch.optim.Adam, lr=0.02)}, "optimizer's lr was '0.01', is"),
    "dropout": ({"model": changed_network(4, nn.Dropout(0.5))}, "layer 4 was 'Dropout(p=0.3, inp"),
    "activation": ({"model": changed_network(2, nn.Tanh())}, "layer 2 was 'ReLU()', is 'Tanh()'"),
    "frozen": ({"model": frozen_network()}, "frozen weights was '', is '0.weight, 0.bias'"),
    "schedule": ({"schedule": longer}, "schedule's steps was 15, is 18"),
    "rate of the schedule": ({"schedule": higher}, "schedule's base_lrs was '[0.002]', is '[0.00"),
    "end of the schedule": ({"schedule": lower}, "group 0's min_lr was"),
    "kind of schedule": ({"schedule": steps}, "schedule was 'OneCycleLR', is 'MultiStepLR'"),
    "groups": ({"optimizer": in_groups}, "optimizer's groups was 1, is 2"),
    "part": ({"optimizer": of_a_part}, "group 0's params was 6, is 2"),
    "train": ({"train": problem(seed=5)}, "training images was"),
    "validation": ({"validation": problem(seed=5)}, "validation images was"),
}


@pytest.mark.parametrize(("changed", "words"), FOREIGN.values(), ids=FOREIGN)
def test_a_foreign_run_is_refused_by_its_first_difference(tmp_path, changed, words):
    train(tmp_path / "mine", epochs=1)
    with pytest.raises(ValueError, match="the run there is another") as caught:
        train(tmp_path / "mine", **changed)
    assert str(caught.value).startswith("run_dir='mine': the run there is another: ")
    assert words in str(caught.value)
    assert str(caught.value).endswith("Try: another folder, or as it was.")


STEPPED = {
    "gamma": (partial(torch.optim.lr_scheduler.MultiStepLR, milestones=[4, 9], gamma=0.5), "gamma"),
    "milestones": (partial(torch.optim.lr_scheduler.MultiStepLR, milestones=[4, 8]), "milestones"),
}


@pytest.mark.parametrize(("schedule", "name"), STEPPED.values(), ids=STEPPED)
def test_a_schedule_with_another_number_is_another_run(tmp_path, schedule, name):
    first = partial(torch.optim.lr_scheduler.MultiStepLR, milestones=[4, 9])
    train(tmp_path, epochs=1, schedule=first)
    with pytest.raises(ValueError, match=f"the run there is another: schedule's {name} was "):
        train(tmp_path, epochs=2, schedule=schedule)
    assert len(train(tmp_path, epochs=2, schedule=first)[2].epochs) == 2


def in_sequence(optimizer, *, factor=0.1):
    parts = [
        torch.optim.lr_scheduler.LinearLR(optimizer, factor, 1, total_iters=3),
        torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=3 * EPOCHS - 3),
    ]
    return torch.optim.lr_scheduler.SequentialLR(optimizer, parts, milestones=[3])


def test_a_schedule_inside_a_schedule_is_compared_too(tmp_path):
    train(tmp_path, epochs=1, schedule=in_sequence)
    words = "schedule 0's start_factor was 0.1, is 0.2"
    with pytest.raises(ValueError, match=re.escape(words)):
        train(tmp_path, schedule=partial(in_sequence, factor=0.2))
    assert_same(train(tmp_path, schedule=in_sequence), train(None, schedule=in_sequence))


def test_groups_with_rates_of_their_own_are_compared(tmp_path):
    """Without a schedule they do not change, and the checkpoint's are not put over the reader's."""

    def groups(parameters, rate):
        head, rest = list(parameters)[-2:], list(parameters)[:-2]
        return torch.optim.SGD([{"params": rest}, {"params": head, "lr": rate}], lr=0.01)

    first = {"schedule": None, "optimizer": partial(groups, rate=0.1)}
    train(tmp_path, epochs=1, **first)
    with pytest.raises(ValueError, match=r"optimizer's group 1's lr was '0\.1', is '0\.2'"):
        train(tmp_path, epochs=2, schedule=None, optimizer=partial(groups, rate=0.2))
    assert len(train(tmp_path, epochs=2, **first)[2].epochs) == 2


class Darker:
    """An augmentation that says nothing of itself."""

    def draws(self, count, *, seed, epoch):
        return torch.zeros(count, 0)

    def __call__(self, images, draws):
        return images / 2


def test_an_augmentation_without_words_of_its_own_is_the_same_when_made_anew(tmp_path):
    train(tmp_path, epochs=1, augmentation=Darker())
    assert len(train(tmp_path, epochs=2, augmentation=Darker())[2].epochs) == 2


# --- damage ---------------------------------------------------------------------------------------


def spoilt(content: bytes, draw: random.Random) -> bytes:
    """A flipped bit, a cut, a stretch of zeros, another file, or nothing."""
    kind = draw.randrange(5)
    at = draw.randrange(len(content))
    if kind == 0:
        return content[:at] + bytes([content[at] ^ (1 << draw.randrange(8))]) + content[at + 1 :]
    if kind == 1:
        return content[:at]
    if kind == 2:
        zeros = content[:at] + bytes(min(64, len(content) - at)) + content[at + 64 :]
        return zeros if zeros != content else content[::-1]
    return b"<html>please log in</html>" if kind == 3 else b""


def test_200_damaged_checkpoints_are_noticed_and_the_one_before_is_taken(tmp_path, references):
    train(tmp_path, epochs=3)
    newest = tmp_path / "epoch-00003.safetensors"
    content, draw = newest.read_bytes(), random.Random(0)
    before = packing.unpack(files.read(tmp_path / "epoch-00002.safetensors"))[0]
    for _ in range(200):
        newest.write_bytes(spoilt(content, draw))
        model = network()
        optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
        trained = packing.Trained(model, optimizer, one_cycle(optimizer))
        run = checkpoints.Run(tmp_path, packing.unpack(content)[1]["configuration"])
        with pytest.warns(UserWarning, match="epoch-00003.safetensors is damaged"):
            rows = run.begin(trained, resume=True)
        assert len(rows) == 2
        assert torch.equal(model[0].weight, before["model.0.weight"])
    with pytest.warns(UserWarning, match="resumed after epoch 2"):
        again = train(tmp_path)
    assert_same(again, references[FIRST])


def rewritten(folder) -> None:
    """A weight less in the newest, and the SHA-256 of that."""
    newest = folder / "epoch-00003.safetensors"
    content = newest.read_bytes()
    tensors, facts = packing.unpack(content)
    del tensors["model.0.bias"]
    files.write(newest, save(tensors, metadata={packing.METADATA: json.dumps(facts)}))


def renamed(folder) -> None:
    """The epoch before under the newest's name, with its SHA-256."""
    content = (folder / "epoch-00002.safetensors").read_bytes()
    files.write(folder / "epoch-00003.safetensors", content)


def sidecars_swapped(folder) -> None:
    """The newest has the other's SHA-256; the other has its own."""
    of_other = (folder / "epoch-00002.safetensors.sha256").read_bytes()
    (folder / "epoch-00003.safetensors.sha256").write_bytes(of_other)


def sidecar_gone(folder) -> None:
    (folder / "epoch-00003.safetensors.sha256").unlink()


@pytest.mark.parametrize("change", [rewritten, renamed, sidecars_swapped, sidecar_gone])
def test_a_newest_file_that_is_not_what_it_says_is_passed_over(tmp_path, references, change):
    train(tmp_path, epochs=3)
    change(tmp_path)
    with pytest.warns(UserWarning, match=r"resumed after epoch 2 \(epoch-00003.safetensors is dam"):
        again = train(tmp_path)
    assert_same(again, references[FIRST])


def test_where_every_checkpoint_is_damaged_nothing_is_overwritten(tmp_path):
    train(tmp_path, epochs=3)
    for path in tmp_path.glob("epoch-*.safetensors"):
        path.write_bytes(b"")
    with pytest.raises(files.DamagedFile, match=r"epoch-00003.*epoch-00002.*are damaged") as caught:
        train(tmp_path)
    assert "Try: " in str(caught.value)
    assert len(list(tmp_path.glob("epoch-*.safetensors"))) == 2


def failing(call, number: int):
    """The same call, which raises OSError at its number-th use."""
    count = 0

    def wrapped(*args, **options):
        nonlocal count
        count += 1
        if count == number:
            raise OSError(28, "No space left on device")
        return call(*args, **options)

    return wrapped


def failing_to_write(number: int):
    """Path.open, whose number-th opening to write raises OSError."""
    real = files.Path.open
    opening = failing(real, number)

    def wrapped(self, mode="r", *args, **options):
        if mode == "r":
            return real(self, mode, *args, **options)
        return opening(self, mode, *args, **options)

    return wrapped


NOT_SAVED = (
    r"run_dir='{}': (epoch \d|the history) cannot be written \(No space left on device\); "
    r"(epoch \d is saved|nothing is saved yet)\. Try: make room or take another folder, then "
    r"resume=True\."
)


@pytest.mark.parametrize("what", ["open", "replace", "fsync"])
def test_every_write_made_to_fail_in_turn_loses_no_reported_epoch(
    tmp_path, monkeypatch, references, tell, what
):
    failures, said = 0, []
    for number in range(1, 100):
        folder, reported = tmp_path / f"run {number} é", []
        with monkeypatch.context() as patched:
            if what == "open":
                patched.setattr(files.Path, what, failing_to_write(number))
            else:
                patched.setattr(files.os, what, failing(getattr(os, what), number))
            try:
                train(
                    folder,
                    reporters=[lambda progress, to=reported: to.append(progress.epoch_ended)],
                )
            except checkpoints.NotSaved as error:
                failures += 1
                said.append(re.fullmatch(NOT_SAVED.format(folder.name), str(error)))
            else:
                break  # fewer writes than that
        kept = checkpoints.Run(folder, {}).checkpoints() if folder.exists() else []
        epochs = [checkpoints.epoch_of(path) for path in kept]
        assert max(epochs, default=0) >= sum(reported)
        if number % 4 == 0:
            assert_same(train(folder), references[FIRST])
    assert all(said)
    assert failures >= 3 * EPOCHS  # fingerprint, file, fingerprint at every epoch
    tell(f"every {what} of {EPOCHS} epochs made to fail: {failures}, nothing lost")


def test_a_full_disk_keeps_what_was_saved(tmp_path, references):
    """For real: no file may grow beyond what two epochs' history takes."""
    resource = pytest.importorskip("resource", reason="RLIMIT_FSIZE is Unix's")
    train(tmp_path, epochs=2)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    limits, handler = resource.getrlimit(resource.RLIMIT_FSIZE), signal.getsignal(signal.SIGXFSZ)
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4_000, limits[1]))
    try:
        with pytest.raises(checkpoints.NotSaved, match=r"epoch 3 cannot be written .*epoch 2 is"):
            train(tmp_path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, handler)
    after = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert {name: after[name] for name in before} == before
    assert_same(train(tmp_path), references[FIRST])


@pytest.mark.parametrize("place", ["file", "file/inside"])
def test_a_folder_that_cannot_be_is_refused_before_anything_is_trained(tmp_path, place):
    (tmp_path / "file").write_text("no folder")
    seen = []
    with pytest.raises(checkpoints.NotSaved, match=r"cannot be written .*nothing is saved yet"):
        train(tmp_path / place, reporters=[seen.append])
    assert seen == []
    assert (tmp_path / "file").read_text() == "no folder"


def test_an_old_checkpoint_that_cannot_be_removed_stops_no_training(
    tmp_path, monkeypatch, references
):
    real = files.Path.unlink

    def unlink(path, *args, **options):
        if path.name == "epoch-00001.safetensors":
            raise PermissionError(13, "somebody reads it")
        real(path, *args, **options)

    monkeypatch.setattr(files.Path, "unlink", unlink)
    assert_same(train(tmp_path), references[FIRST])
    assert len(list(tmp_path.glob("epoch-*.safetensors"))) > 2


def test_a_line_of_the_history_that_a_full_disk_cuts_is_no_line(tmp_path):
    """The checkpoint is whole by then; resuming writes the history anew from it."""
    resource = pytest.importorskip("resource", reason="RLIMIT_FSIZE is Unix's")
    run = checkpoints.Run(tmp_path, {})
    run.append_history({"epoch": 1})
    limits, handler = resource.getrlimit(resource.RLIMIT_FSIZE), signal.getsignal(signal.SIGXFSZ)
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20, limits[1]))
    try:
        with pytest.raises(OSError, match="No space left"):
            run.append_history({"epoch": 2})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, handler)


def test_an_interrupted_model_that_cannot_be_written_loses_no_epoch(tmp_path, monkeypatch):
    real = files.write

    def write(path, content):
        if path.name == "interrupted.safetensors":
            raise OSError(28, "No space left on device")
        real(path, content)

    monkeypatch.setattr(files, "write", write)
    run = train(tmp_path, reporters=[press(1, 2)])
    assert len(run[2].epochs) == 1
    assert run[2].stopped == (
        f"interrupted in epoch 2 of {EPOCHS} "
        "(interrupted.safetensors cannot be written: No space left on device)"
    )


def test_the_history_is_read_in_whole_lines_while_it_trains(tmp_path):
    """Another process reads as fast as it can."""
    context = multiprocessing.get_context("spawn")
    stop, found = context.Event(), context.Queue()
    reader = context.Process(target=read_on, args=(tmp_path / "history.jsonl", stop, found))
    reader.start()
    found.get(timeout=60)
    train(tmp_path, epochs=30, recipe="AdamW alone", reporters=[slowly])
    stop.set()
    lengths = found.get(timeout=60)
    reader.join(20)
    assert lengths[-1] == 30
    assert lengths == sorted(lengths)
    assert len(set(lengths)) > 10  # it grew before the reader's eyes


def read_on(path, stop, found) -> None:
    """Read until told to stop; how many lines there were each time, all of them whole."""
    lengths = []
    found.put("ready")
    while True:
        last = stop.is_set()
        if path.exists():
            lines = path.read_text().splitlines()
            assert [json.loads(line)["epoch"] for line in lines] == list(range(1, len(lines) + 1))
            lengths.append(len(lines))
        if last:
            break
    found.put(lengths)


# --- kills and interrupts -------------------------------------------------------------------------


def slowly(progress) -> None:
    time.sleep(0.002)  # a batch takes a while in life


BEGAN, ENDED = 254, 255  # a save; other bytes are epochs that were reported


def in_child(folder, told) -> None:
    """Train in a process of its own; tell that it began, and the epochs that were reported."""
    warnings.simplefilter("error")  # a kill leaves no damaged file
    files.os.fsync = lambda file: time.sleep(0.003)  # a disk that takes its time
    save = checkpoints.Run.save

    def told_save(run, trained, rows):
        os.write(told, bytes([BEGAN]))
        save(run, trained, rows)
        os.write(told, bytes([ENDED]))

    checkpoints.Run.save = told_save
    os.write(told, bytes([0]))

    def tell(progress):
        if progress.epoch_ended:
            os.write(told, bytes([progress.epoch]))

    train(folder, reporters=[slowly, tell])


def stopped_at_random(folder, draw: random.Random, sign: int) -> tuple[int, int, bool]:
    """A training that gets a signal at a random moment.

    Its exit code, the epochs that it reported, and whether it ended inside a save.
    """
    heard, told = os.pipe()
    child = multiprocessing.get_context("fork").Process(target=in_child, args=(folder, told))
    child.start()
    os.close(told)
    os.read(heard, 1)
    time.sleep(draw.uniform(0.0, 0.25))
    os.kill(child.pid, sign)
    child.join(20)
    assert child.exitcode is not None
    with os.fdopen(heard, "rb") as pipe:
        said = pipe.read()
    reported = max((byte for byte in said if byte < BEGAN), default=0)
    return child.exitcode, reported, said.count(BEGAN) > said.count(ENDED)


def hammered(folder, references, tell, *, times: int, sign: int) -> None:
    """Signals at random moments, run after run; every run is finished, and as if undisturbed."""
    draw, stopped, runs, in_save, ended = random.Random(sign), 0, 0, 0, 0
    while ended < times:
        runs += 1
        where, reported = folder / f"run-{runs}", 0
        for _ in range(4):
            before = reported
            code, told, inside = stopped_at_random(where, draw, sign)
            assert code in (0, -sign, 1 if sign == signal.SIGINT else 0)  # 1: before or after fit
            stopped += 1
            ended += code != 0 or told < EPOCHS
            in_save += inside
            reported = max(reported, told)
            done = checkpoints.Run(where, {}).checkpoints() if where.exists() else []
            newest = checkpoints.epoch_of(done[-1]) if done else 0
            assert newest >= reported >= before  # nothing reported is lost
            if code == 0 and newest == EPOCHS:
                break
        last = train(where)
        assert_same(last, references[FIRST])
        assert list(where.glob(".*")) == []  # what the killed left
    tell(
        f"{sign.name}: {ended} of {stopped} sent ended a training, {in_save} inside a save; "
        f"reported epochs lost: 0; runs finished with the same bits: {runs} of {runs}"
    )


needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork: not on Windows")


@needs_fork
def test_50_kills_lose_no_reported_epoch_and_change_no_bit(tmp_path, references, tell):
    hammered(tmp_path, references, tell, times=50, sign=signal.SIGKILL)


@needs_fork
def test_20_interrupts_lose_no_reported_epoch_and_change_no_bit(tmp_path, references, tell):
    hammered(tmp_path, references, tell, times=20, sign=signal.SIGINT)


@needs_fork
@pytest.mark.full
@pytest.mark.parametrize("sign", [signal.SIGKILL, signal.SIGINT])
def test_500_kills_and_interrupts(tmp_path, references, tell, sign):
    hammered(tmp_path, references, tell, times=500, sign=sign)


def press(times: int, at_batch: int):
    """A reporter that presses Ctrl-C some times in a batch of the second epoch."""

    def report(progress):
        if progress.epoch == 2 and progress.batch == at_batch and not progress.epoch_ended:
            for _ in range(times):
                signal.raise_signal(signal.SIGINT)

    return report


def test_ctrl_c_once_finishes_the_batch_saves_and_returns(tmp_path, references):
    batches = []
    run = train(tmp_path, reporters=[press(1, 2), lambda progress: batches.append(progress.batch)])
    assert run[2].stopped == f"interrupted in epoch 2 of {EPOCHS}"
    assert batches == [1, 2, 3, 3, 1, 2]  # the batch in which it was pressed was reported to all
    saved = load(files.read(tmp_path / "interrupted.safetensors"))
    assert torch.equal(saved["0.weight"], run[0][0].weight)
    assert_same(train(tmp_path), references[FIRST])


def test_ctrl_c_twice_stops_at_once(tmp_path):
    batches = []
    run = train(tmp_path, reporters=[press(2, 2), lambda progress: batches.append(progress.batch)])
    assert run[2].stopped == f"interrupted in epoch 2 of {EPOCHS}"
    assert batches == [1, 2, 3, 3, 1]  # the reporter after it was not asked again


def test_ctrl_c_means_what_it_meant_before_and_after(tmp_path):
    before = signal.getsignal(signal.SIGINT)
    train(tmp_path, epochs=1)
    assert signal.getsignal(signal.SIGINT) is before


@pytest.mark.parametrize("times", [1, 2])
@pytest.mark.parametrize("step", range(1, 7))
def test_ctrl_c_inside_the_save_reports_no_epoch_that_is_not_there(
    tmp_path, monkeypatch, references, step, times
):
    """At each step of the third save in turn: once lets it end, twice does not."""
    real, calls = os.fsync, []

    def fsync(file):
        calls.append(file)
        if len(calls) == 2 + 2 * 6 + step:  # the history's, then six an epoch
            for _ in range(times):
                signal.raise_signal(signal.SIGINT)
        return real(file)

    with monkeypatch.context() as patched:
        patched.setattr(files.os, "fsync", fsync)
        run = train(tmp_path)
    where, epochs = ("after", 3) if times == 1 else ("in", 2)
    assert run[2].stopped == f"interrupted {where} epoch 3 of {EPOCHS}"
    assert len(run[2].epochs) == epochs
    newest = checkpoints.epoch_of(checkpoints.Run(tmp_path, {}).checkpoints()[-1])
    assert newest >= epochs
    assert_same(train(tmp_path), references[FIRST])


def test_a_reporter_stops_as_ctrl_c_does(tmp_path, references):
    def stop(progress):
        if (progress.epoch, progress.batch) == (3, 1):
            raise KeyboardInterrupt

    run = train(tmp_path, reporters=[stop])
    assert run[2].stopped == f"interrupted in epoch 3 of {EPOCHS}"
    assert len(run[2].epochs) == 2
    saved = load(files.read(tmp_path / "interrupted.safetensors"))
    assert torch.equal(saved["0.weight"], run[0][0].weight)
    assert_same(train(tmp_path), references[FIRST])


# --- data sets that workers read ------------------------------------------------------------------


class Noisy(Dataset):
    """The problem, image after image, each with noise of its own."""

    def __len__(self):
        return 24

    def __getitem__(self, index):
        images, labels = problem()
        return images[index] + torch.rand(1, 6, 6) * 0.1, int(labels[index])


@needs_fork
@pytest.mark.parametrize("num_workers", [0, 2])
def test_workers_change_no_bit_also_where_a_run_goes_on(tmp_path, num_workers):
    reference = train(None, train=Noisy())
    assert_same(train(None, train=Noisy(), num_workers=num_workers), reference)
    train(tmp_path, train=Noisy(), epochs=2, num_workers=num_workers)
    assert_same(train(tmp_path, train=Noisy(), num_workers=2 - num_workers), reference)


@needs_fork
@pytest.mark.parametrize("sign", [signal.SIGINT, signal.SIGKILL])
def test_a_signal_to_a_training_with_workers_leaves_no_process(tmp_path, sign):
    """Ctrl-C of a terminal goes to the workers, too; a kill to the training alone."""
    heard, told = os.pipe()
    child = multiprocessing.get_context("fork").Process(target=with_workers, args=(tmp_path, told))
    child.start()
    os.close(told)
    os.read(heard, 1)  # the first epoch was reported
    workers = psutil.Process(child.pid).children()
    assert len(workers) == 2
    for process in [child, *(workers if sign == signal.SIGINT else [])]:
        os.kill(process.pid, sign)
    child.join(20)
    assert child.exitcode == (0 if sign == signal.SIGINT else -sign)
    _, alive = psutil.wait_procs(workers, timeout=20)
    assert alive == []
    with os.fdopen(heard, "rb") as pipe:
        reported = max(pipe.read(), default=1)
    newest = checkpoints.epoch_of(checkpoints.Run(tmp_path, {}).checkpoints()[-1])
    assert newest >= reported
    assert_same(train(tmp_path, train=Noisy()), train(None, train=Noisy()))


def with_workers(folder, told) -> None:
    """Train on a data set with two workers; tell the epochs."""

    def tell(progress):
        time.sleep(0.02)
        if progress.epoch_ended:
            os.write(told, bytes([progress.epoch]))

    history = train(folder, train=Noisy(), num_workers=2, reporters=[tell])[2]
    assert history.stopped


def test_workers_for_images_in_memory_are_refused(refused):
    with refused(
        "num_workers=2: the training images are in memory, there is nothing to read. "
        "Try: num_workers=0."
    ):
        train(None, num_workers=2)
