"""The measuring itself, in small: what it measures is told by `make bench`."""

import importlib.util
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from cnncourse import data
from cnncourse.models.fast import FastCNN


@pytest.fixture(scope="module")
def bench():
    path = Path(__file__).with_name("bench_training.py")
    spec = importlib.util.spec_from_file_location("bench_training", path)
    module = importlib.util.module_from_spec(spec)
    sys.modules["bench_training"] = module  # dataclasses look there
    spec.loader.exec_module(module)
    yield module
    del sys.modules["bench_training"]


@pytest.fixture(scope="module")
def sample(bench):
    mnist = data.load("mnist", sample=True)
    return bench.digits("", mnist.train, mnist.validation, mnist.test)


def test_the_phases_count_every_flop_and_no_second_twice(bench, sample):
    measured = bench.phases(FastCNN(), sample.train, batch_size=96, steps=10)
    assert list(measured.seconds) == ["data", "forward", "backward", "optimiser"]
    assert all(seconds > 0 for seconds in measured.seconds.values())
    with FlopCounterMode(display=False) as counter:
        FastCNN()(torch.zeros(1, 1, 28, 28)).sum().backward()
    assert sum(measured.flop.values()) == 10 * 96 * counter.get_total_flops()


def test_the_recipe_trains_and_is_timed_with_its_validation(bench, sample):
    recipe = replace(bench.FASTEST, epochs=2)
    seconds, accuracy = bench.ours(recipe, sample, seed=0)
    assert seconds > 0
    assert accuracy > 0.9
    assert bench.ours(recipe, sample, seed=0)[1] == accuracy


def test_fit_is_given_what_the_recipe_says(bench, sample, monkeypatch):
    given = {}
    monkeypatch.setattr(bench.training, "fit", lambda *_, **options: given.update(options))
    recipe = replace(
        bench.FASTEST, epochs=2, batch_size=100, lr=0.02, upwards=0.4, beta2=0.7,
        label_smoothing=0.3, precision="bfloat16",
    )  # fmt: skip
    bench.ours(recipe, sample, seed=3)
    assert [given[name] for name in ("epochs", "batch_size", "seed")] == [2, 100, 3]
    assert (given["label_smoothing"], given["precision"]) == (0.3, "bfloat16")
    optimizer, schedule = given["optimizer"], given["schedule"]
    assert optimizer.param_groups[0]["betas"][1] == 0.7
    rates = []
    for _ in range(steps := 2 * len(sample.train.labels) // 100):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    assert max(rates) == pytest.approx(0.02)
    assert rates.index(max(rates)) == pytest.approx(0.4 * steps, abs=1)


def test_splits_are_standardised_by_the_training_images(bench, sample):
    assert sample.train.images.mean().item() == pytest.approx(0, abs=1e-4)
    assert sample.train.images.std().item() == pytest.approx(1, abs=1e-4)
    assert sample.test.images.min().item() == pytest.approx(sample.black, abs=1e-5)


def test_both_sides_train_on_the_same_images(bench, real_data, monkeypatch):
    monkeypatch.setenv("CNNCOURSE_DATA", str(real_data))
    mnist = data.load("mnist")
    images, labels = data.SOURCES["mnist"].read(data.SOURCES["mnist"], data.find("mnist")[0])[0]
    indices = bench.whole_indices()
    assert len(set(indices)) == 55_000
    assert torch.equal(torch.from_numpy(labels[indices]).long(), mnist.train.labels)
    few = slice(0, 50)
    theirs = torch.from_numpy(images[indices[few]]).float() / 255
    assert torch.equal(theirs.reshape(50, 1, 28, 28), mnist.train.images[few])


def test_torchvision_finds_what_was_unpacked(bench, real_data, tmp_path):
    folder = bench.unpacked(str(real_data), tmp_path / "place")
    seconds, model = next(bench.classic(folder, list(range(130)), seed=0))
    assert seconds > 0
    assert sum(parameter.numel() for parameter in model.parameters()) == 421_642


@pytest.mark.parametrize("units", ["", "avx512_bf16", "amx_bf16"])
def test_bfloat16_is_for_a_processor_with_units(bench, monkeypatch, units):
    known = {"avx512_f": True, "avx512_bf16": False, units: True}
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: known, raising=False)
    assert bench.precisions() == (["float32", "bfloat16"] if units else ["float32"])
    monkeypatch.delattr(torch.cpu, "get_capabilities")  # a torch that does not tell
    assert bench.precisions() == ["float32"]


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_an_epoch_of_simplecnn_learns_in_any_precision(bench, sample, precision):
    few = replace(sample, train=data.Split(*(part[:1280] for part in sample.train)))
    seconds, accuracy = bench.simple_epoch(few, precision)
    assert seconds > 0
    assert accuracy > 0.5
    assert bench.peak_gflops(precision, size=64) > 0


def test_a_regression_is_named_and_noise_is_not(bench):
    kept = {"to 99 %": 40.0, "an epoch": 3.0, "gone": 5.0}
    assert bench.regressions({"to 99 %": 31.0, "an epoch": 2.9}, kept) == []
    worse = bench.regressions({"to 99 %": 29.0, "an epoch": 3.5}, kept)
    assert worse == ["to 99 %: 29.00, was 40.00"]


def test_a_run_that_is_worse_than_the_kept_one_ends_with_1(bench, monkeypatch, tmp_path, capsys):
    whole = replace(data.load("mnist", sample=True), complete=True)
    monkeypatch.setenv("CNNCOURSE_DATA", "somewhere")
    monkeypatch.setattr(bench, "unpacked", lambda folder, place: folder)
    monkeypatch.setattr(bench.data, "load", lambda name: whole)
    monkeypatch.setattr(bench, "KEPT", tmp_path / "kept.json")
    monkeypatch.setattr(bench, "peak_gflops", lambda precision: 100.0)
    monkeypatch.setattr(bench, "phases", lambda *_, **__: bench.Phases({"data": 1.0}, {}))
    for ratio, keep, code in [(40.0, ["--keep"], 0), (35.0, [], 0), (20.0, [], 1), (40.0, [], 0)]:
        monkeypatch.setattr(bench, "to_99", lambda *_, ratio=ratio: {"to 99 %": ratio})
        assert bench.main(["--only", "speed", *keep]) == code
    assert "worse than before: to 99 %: 20.00, was 40.00" in capsys.readouterr().out


def test_without_the_real_mnist_it_says_what_to_type(bench, monkeypatch, capsys):
    sample = data.load("mnist", sample=True)
    monkeypatch.setattr(bench.data, "load", lambda name: sample)
    assert bench.main([]) == 0
    assert "Try: CNNCOURSE_DATA=" in capsys.readouterr().out


def test_the_mark_is_the_first_epoch_that_reaches_it(bench, sample, monkeypatch, capsys):
    """Ours misses it once: then there is no ratio."""
    model = FastCNN()
    monkeypatch.setattr(bench, "whole_indices", list)
    monkeypatch.setattr(bench, "precisions", lambda: ["float32", "bfloat16"])
    epoch = {"float32": (10.0, 0.97), "bfloat16": (5.0, 0.97)}
    monkeypatch.setattr(bench, "simple_epoch", lambda mnist, precision: epoch[precision])
    monkeypatch.setattr(bench, "classic", lambda *_: ((40.0 * n, model) for n in range(1, 9)))
    found = iter([0.98, 0.991, 0.985, 0.995])

    class Answer:
        @property
        def accuracy(self):
            return next(found)

    monkeypatch.setattr(bench, "evaluate", lambda *_: Answer())
    monkeypatch.setattr(bench, "ours", lambda *_: (3.0, 0.99))
    ratios = bench.to_99(sample, range(2), range(2), 8)
    assert ratios == {
        "to 99 %": pytest.approx(80 / 3),
        "an epoch of SimpleCNN, float32": 4.0,
        "an epoch of SimpleCNN, bfloat16": 8.0,
    }
    found = iter([0.995])
    monkeypatch.setattr(bench, "ours", lambda *_: (3.0, 0.98))
    assert bench.to_99(sample, range(1), range(1), 8)["to 99 %"] == 0
    assert "NOT 99.0 %" in capsys.readouterr().out
