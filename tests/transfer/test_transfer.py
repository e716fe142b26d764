"""The whole way: a head of its own, frozen, trained, audited; and the check that is for a GPU."""

import importlib.util
import re
from functools import partial
from pathlib import Path

import pytest
import torch
from torch.nn import functional as F

from cnncourse import materials, train, transfer
from cnncourse.models.resnet import BasicBlock, ResNet


@pytest.mark.parametrize(
    ("until", "moved", "drifted"), [("fc", 2, 0), ("layer2", 11, 6), ("", 20, 12)]
)
def test_a_new_head_learns_and_the_audit_says_what_else_moved(until, moved, drifted):
    """A ResNet of two stages: 6 normalisations; stem 3, stages 6 and 9, head 2 parameters."""
    torch.manual_seed(0)
    model = ResNet(BasicBlock, (1, 1), (4, 8))
    head = transfer.replace_head(model, 2)
    transfer.freeze(model, until)
    before = transfer.snapshot(model)
    groups = transfer.parameter_groups(model, lr=0.5, decay=0.2)
    optimizer = torch.optim.SGD(groups)
    images, labels = 4 * torch.rand(8, 3, 16, 16), torch.arange(8) % 2
    images[labels == 1, 0] = -4.0  # without red
    losses = []
    for _ in range(60):
        loss = F.cross_entropy(model.train()(images), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.5 * losses[0]
    found = transfer.audit(before, model)
    assert {f"{head}.weight", f"{head}.bias"} <= set(found.moved)
    assert (len(found.moved), len(found.drifted)) == (moved, drifted)


def test_the_command_says_whose_weights_it_took_and_refuses_a_batch_that_does_not_fit(
    tmp_path, monkeypatch, capsys
):
    monkeypatch.setattr(materials, "load", partial(materials.load, per_class=2))
    monkeypatch.setattr("cnncourse.transfer.memory.free_memory", lambda _device: 4e8)
    arguments = ["--weights", "efficientnet_lite0", "--data", "materials", "--run-dir"]
    assert train.main([*arguments, str(tmp_path / "one"), "--batch-size", "999"]) == 2
    said = capsys.readouterr().err
    assert re.match(r"batch_size=999: training on images of 3x64x64 takes about .* GB, and 400 MB "
                    r"are free\. Try: batch_size=\d+\.", said)  # fmt: skip
    fits = ["--batch-size", re.search(r"Try: batch_size=(\d+)", said)[1], "--freeze", "classifier"]
    assert train.main([*arguments, str(tmp_path / "two"), *fits]) == 0
    assert "; ImageNet weights of TensorFlow's authors (efficient" in capsys.readouterr().out


# tests/gpu_check.py, on the CPU


@pytest.fixture
def gpu_check():
    path = Path(__file__).parent.parent / "gpu_check.py"
    spec = importlib.util.spec_from_file_location("gpu_check", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    module.BUILDERS = {"tiny": lambda: ResNet(BasicBlock, (1, 1), (4, 8))}
    return module


def test_the_gpu_check_says_where_there_is_no_gpu_and_does_the_rest(gpu_check, monkeypatch, capsys):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert gpu_check.main() == 0
    said = capsys.readouterr().out.splitlines()
    assert said[0].startswith("NO GPU HERE: torch.cuda.is_available() is False.")
    assert said[1] == "fine-tuning everything, 64 px, batches of 8"
    assert said[2].split("  ")[0] == "network"
    (row,) = said[3:-1]
    assert row.startswith("tiny     float32  ")
    assert "–" in row  # no epoch of Pet: that would be at 224 px


@pytest.mark.parametrize("way", range(3))
def test_a_row_of_the_gpu_check_is_measured(gpu_check, way):
    """Each kind of numbers that a GPU is asked for, on the CPU: they agree about the loss."""
    size = gpu_check.Size(16, 4, 2, True, gpu_check.WAYS)
    rows = [
        gpu_check.measured("tiny", gpu_check.WAYS[number], torch.device("cpu"), size)
        for number in (0, way)
    ]
    assert rows[1].loss == pytest.approx(rows[0].loss, rel=0.02)
    assert rows[1].images_per_second > 0
    assert rows[1].peak_bytes > rows[1].estimated_bytes > 1e8  # with torch, in one process
    words = rows[1].words()
    assert float(words[3]) == pytest.approx(3680 / rows[1].images_per_second, abs=0.06)
    assert words[1] == ["float32", "bfloat16", "bfloat16, channels-last"][way]


def test_a_gpu_gets_both_networks_in_every_kind_of_numbers(gpu_check):
    assert gpu_check.ON_GPU.size_px == 224
    assert gpu_check.ON_GPU.ways == gpu_check.WAYS
    assert [numbers for numbers, _ in gpu_check.ON_CPU.ways] == ["float32"]
