"""Jobs: found, checked, named; what is hostile is refused before anything starts."""

from dataclasses import replace
from pathlib import Path

import nbformat
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cnncourse import jobs

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


def sweep(tmp_path: Path, *rows: dict) -> list[jobs.Job]:
    write_lesson(tmp_path)
    return jobs.sweep("01", tmp_path, rows, timeout_s=None)


def test_a_grid_and_seeds_are_every_combination():
    points = jobs.grid(["rate=0.1,0.2", "holds=True"], "0:2")
    assert points == [
        {"rate": rate, "holds": "True", "seed": seed} for rate in ("0.1", "0.2") for seed in "01"
    ]
    assert jobs.grid([], "3,7") == [{"seed": "3"}, {"seed": "7"}]
    assert jobs.grid([], None) == [{}]


# A wrong grid or wrong seeds, and what is said.
WRONG_GRIDS = [
    (["rate"], None, "grid='rate': must be a name and its values. Try: --grid seed=0,1."),
    (["=1"], None, "must be a name and its values"),
    (["rate=1,,2"], None, "must be a name and its values"),
    (["rate=1,1"], None, "grid='rate': a value comes twice."),
    (["rate=1", "rate=2"], None, "grid='rate': is swept twice."),
    (["seed=1"], "0:2", "grid='seed': is swept twice."),
    ([], "2:2", "seeds='2:2': must be first:end (end not included)"),
    ([], "0:20000", "10,000 at most"),
    ([], "a", "must be first:end"),
    ([], "0,", "must be first:end"),
]


@pytest.mark.parametrize(("texts", "seeds", "sentence"), WRONG_GRIDS)
def test_a_wrong_grid_is_refused(texts, seeds, sentence):
    with pytest.raises(ValueError) as refusal:  # noqa: PT011 the sentence is compared
        jobs.grid(texts, seeds)
    assert sentence in str(refusal.value)


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


def from_yaml(tmp_path: Path, text: str) -> list[jobs.Job]:
    write_lesson(tmp_path)
    (tmp_path / "jobs.yaml").write_text(text, "utf-8")
    return jobs.from_yaml(tmp_path / "jobs.yaml", tmp_path, None)


def test_a_file_of_jobs_is_read(tmp_path):
    text = """
- {lesson: "01", parameters: {rate: 1e-3, seed: 2}, timeout: 5}
- {lesson: tiny, name: mine}
"""
    first, second = from_yaml(tmp_path, text)
    assert first.parameters == {"rate": 0.001, "seed": 2}
    assert (first.timeout_s, second.timeout_s) == (5, jobs.TIMEOUTS_S["quick"])
    assert second.name == "mine"


# A file that is no list of jobs, and what is said.
WRONG_FILES = [
    ("[", "cannot be read as YAML. Try: - {lesson: '06'"),
    ("!!python/object/apply:os.system ['touch canary']", "cannot be read as YAML"),
    ("7", "job=7: must have lesson"),
    ("- {parameters: {}}", "must have lesson"),
    ("- {lesson: '01', parameter: {seed: 1}}", "must have lesson"),
    ("- {lesson: '01', parameters: [1]}", "parameters must be names with values"),
    ("- {lesson: '01', timeout: soon}", "timeout seconds"),
    ("- {lesson: '77'}", "'77': unknown lesson"),
    ("- {lesson: '01', parameters: {sed: 1}}", "Did you mean 'seed'?"),
    ("- {lesson: '01', parameters: {7: 1}}", "has no such parameter"),
    ("- {lesson: '01', parameters: {seed: true}}", "seed=True: must be int"),
    ("- {lesson: '01', parameters: {seed: [1]}}", "must be int"),
]


@pytest.mark.parametrize(("text", "sentence"), WRONG_FILES)
def test_a_wrong_file_of_jobs_is_refused(tmp_path, monkeypatch, text, sentence):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError) as refusal:  # noqa: PT011 the sentence is compared
        from_yaml(tmp_path, text)
    assert sentence in str(refusal.value)
    assert not (tmp_path / "canary").exists()
