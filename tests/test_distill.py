import io
import json
import os
import signal
import subprocess
import sys
import zipfile

import numpy as np
import pytest
import torch
from PIL import Image
from torch.nn import functional as F

from cnncourse import bank, distill, probe
from cnncourse.distill import Recipe, Student

TINY = Recipe(
    size_px=40, steps=4, steps_a_round=2, batch_size=4, crop_shards=1, cifar_shards=1, shard=10
)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Five photos of noise, and ten classes of noise with five pictures each and half."""
    folder, rng = tmp_path_factory.mktemp("data"), np.random.default_rng(0)
    (folder / "photos").mkdir()
    for number in range(5):
        pixels = rng.integers(0, 256, size=(50, 60, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / "photos" / f"{number}.png")
    with zipfile.ZipFile(folder / "cifar.zip", "w") as zipped:
        for half in ("train", "test"):
            for number in range(50):
                content = io.BytesIO()
                pixels = rng.integers(0, 256, size=(32, 32, 3), dtype=np.uint8)
                Image.fromarray(pixels).save(content, "PNG")
                zipped.writestr(f"{half}/{number % 10}/{number // 10}.png", content.getvalue())
    return {"photos": folder / "photos", "cifar": folder / "cifar.zip"}


@pytest.fixture(autouse=True)
def small_probe(monkeypatch):
    """Few labels and one strength: here it is of no matter how good features are."""
    monkeypatch.setattr(probe, "PROBE_PER_CLASS", 2)
    monkeypatch.setattr(probe, "STRENGTHS", (0.1,))


def tensors(folder):
    return (folder / "resnet18-40px.safetensors").read_bytes()


@pytest.fixture(scope="module")
def whole(data, tmp_path_factory):
    """A run that nothing interrupted: its folder and its rows."""
    folder = tmp_path_factory.mktemp("whole")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(probe, "PROBE_PER_CLASS", 2)
        patch.setattr(probe, "STRENGTHS", (0.1,))
        return folder, distill.distill(TINY, **data, out=folder)


def test_a_run_leaves_weights_their_card_and_a_row_a_round(whole):
    folder, rows = whole
    shards = sorted(path.name for path in (folder / "bank").glob("crops-*.safetensors"))
    assert shards == ["crops-00000.safetensors", "crops-00001.safetensors"]  # a fresh one a round
    names = ["epoch", "kl", "features", "images_per_s"]
    assert [list(row) for row in rows] == [names, [*names, "probe"]]
    card = (folder / "resnet18-40px.md").read_text("utf-8")
    assert f"| **this one** | **{rows[-1]['probe']:.3f}** |" in card
    assert f"KL divergence in the last round: {rows[-1]['kl']:.3f}." in card
    lines = (folder / "run" / "history.jsonl").read_text().splitlines()
    assert [json.loads(line) for line in lines] == rows


def test_interrupted_within_a_round_it_goes_on_as_if_nothing_had_been(
    data, whole, tmp_path, monkeypatch
):
    calls, real = [], bank.views

    def third_time(*arguments):
        calls.append(arguments)
        if len(calls) == 4:  # the last step of the second round
            raise KeyboardInterrupt
        return real(*arguments)

    monkeypatch.setattr(bank, "views", third_time)
    with pytest.raises(KeyboardInterrupt):
        distill.distill(TINY, **data, out=tmp_path)
    monkeypatch.setattr(bank, "views", real)
    rows = distill.distill(TINY, **data, out=tmp_path)
    assert [row["kl"] for row in rows] == [row["kl"] for row in whole[1]]
    assert tensors(tmp_path) == tensors(whole[0])


KILLED = """
import os, signal, sys, torch
from pathlib import Path
from cnncourse import bank, distill, probe

torch.set_num_threads(1)
probe.PROBE_PER_CLASS, probe.STRENGTHS = 2, (0.1,)
real, calls = bank.views, []

def killing(*arguments):
    calls.append(arguments)
    if len(calls) == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    return real(*arguments)

bank.views = killing
photos, cifar, out = map(Path, sys.argv[1:])
recipe = distill.Recipe(
    size_px=40, steps=4, steps_a_round=2, batch_size=4, crop_shards=1, cifar_shards=1, shard=10
)
distill.distill(recipe, photos=photos, cifar=cifar, out=out)
"""


@pytest.mark.skipif(os.name == "nt", reason="SIGKILL is Unix's")
def test_killed_it_goes_on_bit_for_bit(data, whole, tmp_path):
    command = [sys.executable, "-c", KILLED, str(data["photos"]), str(data["cifar"]), str(tmp_path)]
    assert subprocess.run(command, stdout=subprocess.PIPE).returncode == -signal.SIGKILL
    assert not (tmp_path / "resnet18-40px.safetensors").exists()
    distill.distill(TINY, **data, out=tmp_path)
    assert tensors(tmp_path) == tensors(whole[0])


def test_another_recipe_in_the_same_folder_is_refused(data, whole):
    with pytest.raises(ValueError, match=r"the run there is another: steps was 4, is 6"):
        distill.distill(Recipe(**vars(TINY) | {"steps": 6}), **data, out=whole[0])


def test_out_of_time_it_stops_after_the_round_and_the_weights_are_there(
    data, tmp_path, monkeypatch
):
    seconds = iter([0.0, 1.0] + [100.0] * 9)
    monkeypatch.setattr(distill.time, "monotonic", lambda: next(seconds))
    rows = distill.distill(TINY, **data, out=tmp_path, minutes=1)
    assert len(rows) == 1
    assert "probe" in rows[0]
    assert (tmp_path / "resnet18-40px.md").exists()


def test_the_loss_is_nothing_where_the_student_answers_as_the_teacher():
    logits, features = torch.randn(6, 5), torch.randn(6, 8)
    taught = F.softmax(logits / distill.TEMPERATURE, dim=1)
    guessed = F.batch_norm(features, None, None, training=True)
    kl, error = distill.losses(logits + 3, guessed, taught, features * 7 - 2)
    assert kl.item() == pytest.approx(0, abs=1e-5)
    assert error.item() == pytest.approx(0, abs=1e-4)
    kl, error = distill.losses(-logits, -guessed, taught, features)
    assert kl > 1
    assert error > 1


def test_a_student_is_a_resnet18_in_parts():
    from cnncourse.models.resnet import resnet18

    student = Student(1280).eval()
    whole = resnet18()
    whole.load_state_dict(student.resnet_state())
    images = torch.randn(2, 3, 40, 40)
    assert torch.equal(student(images)[0], whole.eval()(images))


def test_the_loss_falls_over_a_few_rounds(data, tmp_path):
    recipe = Recipe(**vars(TINY) | {"steps": 36, "steps_a_round": 12, "batch_size": 8})
    rows = distill.distill(recipe, **data, out=tmp_path)
    assert rows[-1]["kl"] < 0.8 * rows[0]["kl"]


def test_the_command_takes_its_words(data, tmp_path, capsys):
    words = ["--photos", str(data["photos"]), "--cifar", str(data["cifar"])]
    with pytest.raises(SystemExit):
        distill.main(words)
    assert "--out" in capsys.readouterr().err
    with pytest.raises(ValueError, match="a class has 5"):  # of 4,502 that 45 shards need
        distill.main([*words, "--out", str(tmp_path), "--minutes", "1", "--size-px", "40"])
