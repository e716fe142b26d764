"""Jobs: found, checked, named; what is hostile is refused before anything starts."""

from dataclasses import replace
from pathlib import Path

import nbformat
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cnncourse import jobs, sweeps

CELL = "seed = 0\nrate = 0.5  # the share, from 0 to 1"


def write_lesson(folder: Path, name: str = "01_tiny") -> Path:
    cell = nbformat.v4.new_code_cell(CELL, metadata={"tags": ["parameters"]})
    path = folder / f"{name}.ipynb"
    nbformat.write(nbformat.v4.new_notebook(cells=[cell]), path)
    return path


def test_a_lesson_is_found_by_number_by_name_or_both(tmp_path):
    for name in ("00_start_here", "06_mnist_from_scratch"):
        write_lesson(tmp_path, name=name)
    for name in (
        "6",
        "06",
        "mnist_from_scratch",
        "06_mnist_from_scratch",
        "06_mnist_from_scratch.ipynb",
    ):
        assert list(jobs.choose([name], tmp_path)) == ["06_mnist_from_scratch"]
    assert list(jobs.choose([], tmp_path)) == ["00_start_here", "06_mnist_from_scratch"]


def test_an_unknown_lesson_gets_the_nearest_name(tmp_path):
    write_lesson(tmp_path, name="06_mnist_from_scratch")
    with pytest.raises(ValueError, match="Did you mean '06_mnist_from_scratch'"):
        jobs.choose(["06_mnist_from_scrath"], tmp_path)
    with pytest.raises(ValueError, match="no lessons here"):
        jobs.choose([], tmp_path / "nowhere")


def test_a_number_that_two_lessons_have_is_refused_and_a_whole_name_is_not(tmp_path):
    for name in ("01_tiny", "01_other", "02_tiny"):
        write_lesson(tmp_path, name=name)
    with pytest.raises(ValueError, match=r"'1': 01_other and 01_tiny are called so\. Try: 01"):
        jobs.choose(["1"], tmp_path)
    with pytest.raises(ValueError, match="'tiny': 01_tiny and 02_tiny are called so"):
        jobs.choose(["tiny"], tmp_path)
    assert list(jobs.choose(["02_tiny", "01_tiny"], tmp_path)) == ["02_tiny", "01_tiny"]


def sweep(tmp_path: Path, *rows: dict) -> list[jobs.Job]:
    write_lesson(tmp_path)
    return sweeps.sweep("01", tmp_path, rows, timeout_s=None)


def test_a_name_tells_the_lesson_and_its_settings_and_differs_where_they_do(tmp_path):
    first, second = sweep(tmp_path, {"rate": "0.1", "seed": "3"}, {"rate": "0.1", "seed": "4"})
    assert first.name.startswith("01_tiny_rate=0.1_seed=3_")
    assert first.name != second.name
    jobs.check_names([first, second])
    (same,) = sweep(tmp_path, {"rate": 0.1, "seed": 3})
    assert same.name == first.name  # whatever it was written like


@given(st.dictionaries(st.text(max_size=300), st.text(max_size=300), max_size=3))
def test_whatever_the_values_a_name_is_a_plain_file_name(values):
    job = jobs.Job("", Path("01_tiny.ipynb"), values, 60)
    job = replace(job, name=jobs.named(job, values))
    jobs.check_names([job])
    assert len(f"{job.name}.failed.ipynb".encode()) < 255
    assert Path(job.name).name == job.name


# Names that leave the folder, are no file's name somewhere, or are too long.
HOSTILE = [
    *("", ".", "..", "../x", "/etc/x", "a/b", "a\\b", "{x}", "{seed}", "é", "a b", "a\n", "a\0b"),
    *("-rf", ".hidden", "~", "$HOME", "a;b", "a|b", "CON:", "a\u202eb", "x" * 121, "x" * 255),
]


@pytest.mark.parametrize("name", HOSTILE, ids=range(len(HOSTILE)))
def test_a_hostile_name_is_refused(tmp_path, name):
    (job,) = sweep(tmp_path, {})
    with pytest.raises(ValueError, match=r"name=.*: must be letters, digits and . _ = \+ -"):
        jobs.check_names([replace(job, name=name)])


def test_two_jobs_never_have_one_name(tmp_path):
    (job,) = sweep(tmp_path, {})
    for other in (job.name, job.name.upper()):
        with pytest.raises(ValueError, match="two jobs have it"):
            jobs.check_names([job, replace(job, name=other)])


@pytest.mark.parametrize("name", ["a.failed", "a.FAILED", "a.failed.failed"])
def test_a_name_that_another_jobs_failure_would_have_is_refused(tmp_path, name):
    (job,) = sweep(tmp_path, {})
    with pytest.raises(ValueError, match=r"must not end in \.failed"):
        jobs.check_names([replace(job, name="a"), replace(job, name=name)])


def test_a_fingerprint_changes_with_all_that_decides_the_end(tmp_path, monkeypatch):
    (job,) = sweep(tmp_path, {"seed": "1"})
    before = job.fingerprint()
    assert before == job.fingerprint()
    assert before == replace(job, name="other", timeout_s=5).fingerprint()
    assert before != replace(job, parameters={"seed": 2}).fingerprint()
    assert before != replace(job, solutions=True).fingerprint()
    monkeypatch.setattr(jobs, "surroundings", lambda: ["cnncourse 9"])
    assert before != (versioned := job.fingerprint())
    job.notebook.write_text(job.notebook.read_text("utf-8") + "\n", "utf-8")
    assert job.fingerprint() != versioned


def test_the_surroundings_name_the_versions():
    digest, package, torch, _ = jobs.surroundings()
    assert (len(digest), package.split()[0], torch.split()[0]) == (64, "cnncourse", "torch")
