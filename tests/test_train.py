import json
import os
import re
import runpy
import signal
import socket
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import nbformat
import numpy as np
import psutil
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from cnncourse import checkpoints, materials, train
from cnncourse.processes import ALONE, Processes
from cnncourse.weights import load_weights

COMMON = ["--model", "lenet", "--data", "mnist", "--sample", "--lr", "0.002"]
LITE = ["--weights", "efficientnet_lite0", "--device", "cpu"]
SHORT = [*COMMON, "--double", "--epochs", "2", "--batch-size", "131"]  # the last batch has 70


def command(*arguments, processes=2):
    torchrun = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(processes)]
    return [sys.executable, *torchrun, "-m", "cnncourse.train", *map(str, arguments)]


@pytest.fixture
def surroundings(session_cache):
    return os.environ | {"CNNCOURSE_CACHE": str(session_cache), "OMP_NUM_THREADS": "1"}


@pytest.fixture
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def weights(folder, epoch):
    tensors = load_file(folder / f"epoch-{epoch:05d}.safetensors")
    return {name: value for name, value in tensors.items() if name.startswith("model.")}


def rows(folder):
    return [json.loads(line) for line in (folder / "history.jsonl").read_text().splitlines()]


def test_torchrun_with_two_processes_gives_the_weights_of_one(
    tmp_path, surroundings, one_thread, capfd, tell
):
    """In float64: ReLU and max-pooling make float32's roundings grow to 0.03 in 62 steps."""
    assert train.main([*SHORT, "--run-dir", str(tmp_path / "one")]) == 0
    alone = capfd.readouterr().out
    both = subprocess.run(
        command(*SHORT, "--run-dir", tmp_path / "two"),
        env=surroundings, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert both.returncode == 0, both.stderr
    one, two = weights(tmp_path / "one", 2), weights(tmp_path / "two", 2)
    apart = max((one[name] - two[name]).abs().max().item() for name in one)
    assert apart < 1e-6
    for mine, theirs in zip(rows(tmp_path / "one"), rows(tmp_path / "two"), strict=True):
        for name in ("train_loss", "validation_loss"):
            assert mine[name] == pytest.approx(theirs[name], rel=1e-6)
    lines = [line for line in both.stdout.splitlines() if line.startswith("epoch ")]
    assert [line[:12] for line in lines] == ["epoch 1 of 2", "epoch 2 of 2"]  # once, not twice
    assert alone.count("epoch ") == 2
    tell(f"torchrun, two processes and one: weights at most {apart:.1e} apart")


LESSON = Path(__file__).parents[1] / "notebooks" / "06_mnist_from_scratch.ipynb"
AROUND = """
import sys
import torch
from torch import distributed, nn
from torch.nn import functional as F
from torch.nn.parallel import DistributedDataParallel
from safetensors.torch import save_file
from cnncourse.data import Split
from cnncourse.models.simple import SimpleCNN

{loop}

torch.set_num_threads(1)
torch.manual_seed(0)
device, model = "cpu", SimpleCNN().double()
for layer in model.modules():
    if isinstance(layer, nn.Dropout):
        layer.p = 0.0  # its masks differ from process to process
split = Split(torch.rand(40, 1, 28, 28, dtype=torch.float64), torch.arange(40) % 10)
{before}
rows = []
model.register_forward_pre_hook(lambda _model, inputs: rows.append(len(inputs[0])))
optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
for _ in range(3):
    train_one_epoch(model, split, optimizer, batch_size=16)
state = dict(getattr(model, "module", model).state_dict(), rows=torch.tensor(rows))
rank = distributed.get_rank() if distributed.is_initialized() else "alone"
save_file(state, f"{{sys.argv[1]}}/{{rank}}")
"""


def lesson_script(*, changed: bool) -> str:
    """The lesson's loop as a script, with or without the three lines that its prose shows."""
    cells = nbformat.read(LESSON, 4).cells
    (loop,) = [cell.source for cell in cells if "def train_one_epoch(" in cell.source]
    (prose,) = [cell.source for cell in cells if "DistributedDataParallel(" in cell.source]
    begin, wrap, part = re.search(r"```python\n(.*?)```", prose, re.DOTALL)[1].splitlines()
    if not changed:
        return AROUND.format(loop=loop, before="")
    first = re.search(r"\n( +)images, labels = ", loop)
    return AROUND.format(
        loop=f"{loop[: first.start()]}\n{first[1]}{part}{loop[first.start() :]}",
        before=f"{begin}\n{wrap}",
    )


def test_the_three_lines_of_the_lesson_give_the_weights_of_one_process(
    tmp_path, surroundings, monkeypatch, tell
):
    (tmp_path / "one.py").write_text(lesson_script(changed=False), "utf-8")
    (tmp_path / "two.py").write_text(lesson_script(changed=True), "utf-8")
    monkeypatch.setattr(sys, "argv", ["one.py", str(tmp_path)])
    with torch.random.fork_rng(devices=[]):
        runpy.run_path(str(tmp_path / "one.py"))
    both = subprocess.run(
        [*command()[:-2], str(tmp_path / "two.py"), str(tmp_path)],
        env=surroundings, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert both.returncode == 0, both.stderr
    alone, first, second = (load_file(tmp_path / name) for name in ("alone", "0", "1"))
    assert alone.pop("rows").tolist() == 3 * [16, 16, 8]
    assert first["rows"].tolist() == second.pop("rows").tolist() == 3 * [8, 8, 4]
    del first["rows"]
    assert all(torch.equal(first[name], second[name]) for name in first)
    apart = max((alone[name] - first[name]).abs().max().item() for name in alone)
    assert apart < 1e-9
    tell(f"the lesson's three lines, two processes and one: weights at most {apart:.1e} apart")


@pytest.mark.skipif(os.name == "nt", reason="SIGKILL is Unix's")
@pytest.mark.parametrize("killed", [0, pytest.param(1, marks=pytest.mark.full)])
def test_a_killed_process_ends_the_run_in_a_sentence_and_its_epochs_are_resumed(
    tmp_path, surroundings, killed
):
    folder = tmp_path / "run"
    long = [*COMMON, "--epochs", "500", "--batch-size", "500", "--run-dir", folder]
    running = subprocess.Popen(
        command(*long), env=surroundings, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    reported = ""
    while "epoch 3" not in reported:
        reported = running.stdout.readline()
        assert reported, running.stderr.read()
    of_rank = {
        child.environ()["RANK"]: child
        for child in psutil.Process(running.pid).children()
        if "RANK" in child.environ()
    }
    of_rank[str(killed)].kill()
    rest, said = running.communicate(timeout=60)
    assert running.returncode != 0
    sentence = re.search(
        r"process \d of 2 stops: another one ended or could not be reached.*", said
    )
    assert sentence, said
    assert sentence[0].endswith("Try: the same command with --resume.")
    epochs = [int(number) for number in re.findall(r"^epoch (\d+) of", rest, flags=re.M)]
    newest = checkpoints.epoch_of(checkpoints.Run(folder, {}).checkpoints()[-1])
    assert newest >= max(epochs, default=3)  # what was reported is there
    for child in of_rank.values():
        assert not child.is_running() or child.status() == psutil.STATUS_ZOMBIE
    again = [*long, "--resume"]
    again[again.index("500")] = str(newest + 1)
    resumed = subprocess.run(
        command(*again), env=surroundings, capture_output=True, text=True, timeout=120
    )
    assert resumed.returncode == 0, resumed.stderr
    assert f"epoch {newest + 1} of {newest + 1}: " in resumed.stdout
    assert [row["epoch"] for row in rows(folder)] == list(range(1, newest + 2))


@pytest.mark.skipif(os.name == "nt", reason="POSIX signals")
def test_a_process_that_torchrun_ends_says_why_and_how_to_go_on(tmp_path, surroundings):
    """Torchrun may notice a dead process, and send SIGTERM to the others, before they do."""
    folder = tmp_path / "run"
    long = [*COMMON, "--epochs", "500", "--batch-size", "500", "--run-dir", str(folder)]
    alone = {"RANK": "0", "LOCAL_RANK": "0", "WORLD_SIZE": "1", "MASTER_ADDR": "127.0.0.1"}
    running = subprocess.Popen(
        [sys.executable, "-m", "cnncourse.train", *long],
        env=surroundings | alone | {"MASTER_PORT": str(free_port())},
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    while "epoch 1" not in (line := running.stdout.readline()):
        assert line, running.stderr.read()
    running.terminate()
    _rest, said = running.communicate(timeout=60)
    assert running.returncode == 1
    assert re.search(
        r"^process 0 of 1 stops: .*\(torchrun said so by SIGTERM\). What was reported is saved in "
        r".*run. Try: the same command with --resume.$",
        said, flags=re.M,
    ), said  # fmt: skip
    assert checkpoints.Run(folder, {}).checkpoints()


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


@pytest.mark.skipif(os.name == "nt", reason="POSIX signals")
@pytest.mark.parametrize("processes", [1, 2])
def test_ctrl_c_saves_and_says_how_to_go_on(tmp_path, surroundings, processes):
    """Of a terminal: every process of the group gets it."""
    folder = tmp_path / "run"
    long = [*COMMON, "--epochs", "500", "--batch-size", "500", "--run-dir", folder]
    plain = [sys.executable, "-m", "cnncourse.train", *map(str, long)]
    running = subprocess.Popen(
        command(*long) if processes == 2 else plain,
        env=surroundings, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        start_new_session=True,
    )  # fmt: skip
    while "epoch 2" not in (line := running.stdout.readline()):
        assert line, running.stderr.read()
    started = time.monotonic()
    os.killpg(running.pid, signal.SIGINT)
    rest, said = running.communicate(timeout=60)
    assert time.monotonic() - started < 20
    assert running.returncode != 0
    epochs = [int(number) for number in re.findall(r"^epoch (\d+) of", rest, flags=re.M)]
    newest = checkpoints.epoch_of(checkpoints.Run(folder, {}).checkpoints()[-1])
    assert newest >= max(epochs, default=2)
    assert re.search(
        r"^interrupted (in|after) epoch \d+ of 500. Try: the same command with --resume.$",
        said, flags=re.M,
    ), said  # fmt: skip


def test_wrong_calls_are_refused_in_a_sentence(tmp_path, capsys):
    place = ["--run-dir", str(tmp_path / "run"), "--sample"]
    for arguments, words in [
        (
            ["--model", "lenett", "--data", "mnist"],
            "'lenett': unknown model. Did you mean 'lenet'?",
        ),
        (
            ["--model", "lenet", "--data", "minst"],
            "'minst': unknown data set. Did you mean 'mnist'",
        ),
        (
            ["--model", "lenet", "--data", "mnist", "--optimizer", "adm"],
            "'adm': unknown optimizer. Did you mean 'adam'?",
        ),
        (["--model", "lenet", "--data", "mnist", "--epochs", "0"], "epochs=0: must be a whole"),
        (["--model", "lenet", "--data", "mnist", "--device", "cdua"], "'cdua': unknown device."),
        (
            ["--model", "lenet", "--data", "mnist", "--precision", "float8"],
            "'float8': unknown precision. Did you mean 'float32'?",
        ),
        (
            ["--model", "lenet", "--data", "mnist", "--freeze", "c5"],
            "--freeze='c5': random weights are not worth keeping. Try: --weights resnet18.",
        ),
        (["--weights", "resnet19", "--data", "materials"], "'resnet19': unknown weights. Did you"),
        (
            ["--model", "lenet", "--data", "pictures", "--folder", "."],
            "--data='pictures': are cut as weights want them. Try: --weights resnet18 --folder my",
        ),
        (
            [*LITE, "--data", "materials", "--freeze", "fc"],
            "'fc': unknown part. Known: features.0, ",
        ),
    ]:
        assert train.main([*arguments, *place]) == 2
        assert capsys.readouterr().err.startswith(words)
    assert not (tmp_path / "run").exists()
    with pytest.raises(SystemExit) as caught:
        train.main(["--data", "mnist"])
    assert caught.value.code == 2


def test_pretrained_weights_get_a_head_and_stay_as_they_were(tmp_path, monkeypatch, capsys):
    """All but the head, running statistics too, after an epoch in train mode."""
    monkeypatch.setattr(materials, "load", partial(materials.load, per_class=2))
    arguments = [*LITE, "--data", "materials", "--freeze", "classifier", "--batch-size", "16"]
    assert train.main([*arguments, "--run-dir", str(tmp_path)]) == 0
    assert "epoch 1 of 1: training loss" in capsys.readouterr().out
    pretrained = load_weights("efficientnet_lite0").model.state_dict()
    after = weights(tmp_path, 1)
    assert len(after) == len(pretrained)
    for name, tensor in after.items():
        own = name.removeprefix("model.")
        if own.startswith("classifier."):
            assert tensor.shape[0] == 16  # classes
        else:
            assert torch.equal(tensor, pretrained[own])


@pytest.fixture
def pictures(tmp_path, rng):
    """Two folders of five pictures of noise: six to train with, two to validate, two to test."""
    for name in ("cats", "dogs"):
        (tmp_path / "photos" / name).mkdir(parents=True)
        for number in range(5):
            pixels = rng.integers(0, 256, (40, 50, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(tmp_path / "photos" / name / f"{number}.png")
    return [*LITE, "--data", "pictures", "--folder", str(tmp_path / "photos")]


def test_a_folder_of_pictures_is_cut_and_standardised_as_the_weights_want_it(pictures):
    options = train.parser().parse_args([*pictures, "--run-dir", "x"])
    model, images = train.pretrained(options)
    assert images.classes == ("cats", "dogs")
    assert images.train.images.shape == (6, 3, 224, 224)
    assert model.classifier[1].out_features == 2
    assert images.train.images.min() < -0.9  # black is -127 / 128
    assert images.validation.images.max() > 0.9


@pytest.mark.full
def test_two_processes_train_a_head_as_one_does(tmp_path, pictures, surroundings, one_thread):
    """The network before it normalises over batches, and is frozen: each takes its own rows."""
    arguments = [*pictures, "--freeze", "classifier.1", "--batch-size", "3"]
    assert train.main([*arguments, "--run-dir", str(tmp_path / "one")]) == 0
    both = subprocess.run(
        command(*arguments, "--run-dir", tmp_path / "two"),
        env=surroundings, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert both.returncode == 0, both.stderr
    one, two = weights(tmp_path / "one", 1), weights(tmp_path / "two", 1)
    assert list(one) == list(two)
    for name, tensor in one.items():
        torch.testing.assert_close(two[name], tensor, atol=1e-4, rtol=1e-3)
    assert both.stdout.count("epoch 1 of 1") == 1


def test_a_run_that_is_there_is_resumed_only_when_asked(tmp_path, capsys, one_thread):
    arguments = [*COMMON, "--batch-size", "500", "--run-dir", str(tmp_path / "run")]
    assert train.main(arguments) == 0
    assert train.main(arguments) == 2
    assert "run_dir='run': has a run of 1 epochs. Try: resume=True" in capsys.readouterr().err
    assert train.main([*arguments, "--resume", "--epochs", "2"]) == 0
    assert [row["epoch"] for row in rows(tmp_path / "run")] == [1, 2]


def test_every_model_is_made_for_the_data(tmp_path):
    for make in train.MODELS.values():
        assert make(in_channels=1, num_classes=10)(torch.zeros(2, 1, 28, 28)).shape == (2, 10)


def test_without_torchrun_this_process_is_alone(monkeypatch):
    monkeypatch.delenv("RANK", raising=False)
    with train.joined(train.parser().parse_args([*COMMON, "--run-dir", "x"])) as processes:
        assert processes is ALONE
    assert Processes().first
