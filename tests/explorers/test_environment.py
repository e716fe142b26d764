import json
import os

import psutil
import pytest
import torch

from cnncourse import files
from cnncourse.explorers import environment
from cnncourse.sources import SOURCES


@pytest.fixture
def lessons(tmp_path):
    """Two lessons saved on a machine of 100 GFLOP/s, and one that was never saved."""
    for name, seconds, memory in [("00_first", 10.0, 800), ("06_other", 60.0, 1200)]:
        costs = {"seconds": seconds, "peak_memory_mb": memory, "gflops": 100.0}
        (tmp_path / f"{name}.ipynb").write_text(json.dumps({"metadata": {"cnncourse": costs}}))
    (tmp_path / "01_new.ipynb").write_text(json.dumps({"metadata": {}}))
    return tmp_path


@pytest.fixture
def slow(monkeypatch):
    """A machine of 50 GFLOP/s a thread."""
    monkeypatch.setattr(environment, "measured_gflops", lambda threads: 50.0 * threads)


def test_a_machine_of_half_the_speed_takes_twice_the_seconds(lessons, slow):
    shown = environment.environment(lessons, lesson_name="06_other", threads=1)
    assert shown.seconds == {"00_first": 20.0, "06_other": 120.0}
    shown = environment.environment(lessons, lesson_name="06_other", threads=2)
    assert shown.seconds == {"00_first": 10.0, "06_other": 60.0}


def test_the_sentence_has_every_fact(lessons, slow):
    shown = environment.environment(lessons, lesson_name="06_other", threads=1)
    shown = shown._replace(device="cpu", memory_gb=16.4)
    assert environment.sentence(shown) == (
        f"device cpu, 1 of {os.cpu_count()} threads, 16 GB of memory, 50 GFLOP/s; "
        "MNIST: a sample of 5,000 images; 06_other takes about 120 s and 1.2 GB"
    )


def test_device_and_memory_are_this_machines(tmp_path):
    shown = environment.environment(tmp_path, lesson_name=None, threads=1)
    assert shown.device == ("cuda" if torch.cuda.is_available() else shown.device)
    assert shown.memory_gb == psutil.virtual_memory().total / 1e9
    assert 0.1 < shown.gflops < 1e5


def test_the_speed_is_measured_on_so_many_threads_which_are_given_back(monkeypatch):
    asked = []
    monkeypatch.setattr(torch, "set_num_threads", asked.append)
    before = torch.get_num_threads()
    assert environment.measured_gflops(3, size=16, seconds=0.001) > 0
    assert asked == [3, before]


def test_choosing_a_lesson_changes_words_and_picture(lessons, slow):
    explorer = environment.explorer(lessons)
    assert explorer.controls["lesson_name"].options == ("00_first", "06_other")
    assert "00_first takes about" in explorer.words
    before = explorer.png
    explorer.controls["lesson_name"].value = "06_other"
    assert "06_other takes about" in explorer.words
    assert explorer.png != before


def test_a_folder_without_lessons_says_so(tmp_path, slow):
    explorer = environment.explorer(tmp_path)
    assert explorer.words.endswith("; no measured lessons in this folder")
    assert explorer.png


def put_mnist(folder):
    place = folder / SOURCES["mnist"].folder
    place.mkdir(parents=True)
    for name in SOURCES["mnist"].packed:
        (place / name).touch()


def test_which_mnist_is_here(tmp_path, monkeypatch):
    monkeypatch.setenv("CNNCOURSE_CACHE", str(tmp_path / "cache"))
    assert environment.mnist_present() == "a sample of 5,000 images"
    put_mnist(files.cache_dir())
    assert environment.mnist_present() == "whole, in the cache"
    monkeypatch.setenv("CNNCOURSE_DATA", str(tmp_path / "data"))
    assert environment.mnist_present() == "whole, in the cache"  # that folder has none
    put_mnist(tmp_path / "data")
    assert environment.mnist_present() == "whole, in the folder that CNNCOURSE_DATA names"
