"""Sweeps: a grid, seeds, a file of jobs; what is wrong is refused, with its line."""

from pathlib import Path

import nbformat
import pytest

from cnncourse import jobs, sweeps

CELL = "seed = 0\nrate = 0.5  # the share, from 0 to 1"


def write_lesson(folder: Path, name: str = "01_tiny") -> Path:
    cell = nbformat.v4.new_code_cell(CELL, metadata={"tags": ["parameters"]})
    path = folder / f"{name}.ipynb"
    nbformat.write(nbformat.v4.new_notebook(cells=[cell]), path)
    return path


def test_a_grid_and_seeds_are_every_combination():
    points = sweeps.grid(["rate=0.1,0.2", "holds=True"], "0:2")
    assert points == [
        {"rate": rate, "holds": "True", "seed": seed} for rate in ("0.1", "0.2") for seed in "01"
    ]
    assert sweeps.grid([], "3,7") == [{"seed": "3"}, {"seed": "7"}]
    assert sweeps.grid([], None) == [{}]


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
        sweeps.grid(texts, seeds)
    assert sentence in str(refusal.value)


def from_yaml(tmp_path: Path, text: str, **given: object) -> list[jobs.Job]:
    write_lesson(tmp_path)
    (tmp_path / "jobs.yaml").write_text(text, "utf-8")
    return sweeps.from_yaml(tmp_path / "jobs.yaml", tmp_path, None, given)


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
    ("[", "jobs.yaml, line 1: expected the node content"),
    (
        "!!python/object/apply:os.system ['touch canary']",
        "jobs.yaml, line 1: could not determine a constructor",
    ),
    ("7", "jobs.yaml: must be a list of jobs. Try: - {lesson"),
    ("", "must be a list of jobs"),
    ("[]", "must be a list of jobs"),
    ("- 7", "job=7: must have lesson"),
    ("- {parameters: {}}", "must have lesson"),
    ("- {lesson: '01', parameter: {seed: 1}}", "must have lesson"),
    ("- {lesson: '01', parameters: [1]}", "parameters=[1]: must be names with values"),
    ("- {lesson: '01', timeout: soon}", "timeout='soon': must be seconds, above 0"),
    ("- {lesson: '01', timeout: -5}", "timeout=-5: must be seconds"),
    ("- {lesson: '01', timeout: 0}", "must be seconds"),
    ("- {lesson: '01', timeout: .nan}", "must be seconds"),
    ("- {lesson: '01', timeout: true}", "must be seconds"),
    ("- {lesson: '77'}", "'77': unknown lesson"),
    ("- {lesson: '01', parameters: {sed: 1}}", "Did you mean 'seed'?"),
    ("- {lesson: '01', parameters: {7: 1}}", "has no such parameter"),
    ("- {lesson: '01', parameters: {seed: true}}", "seed=True: must be int"),
    ("- {lesson: '01', parameters: {seed: [1]}}", "must be int"),
    ("- {lesson: '01',\n   parameters: {seed: 1, seed: 2}}", "line 2: 'seed' is there twice"),
    ("- {lesson: '01', lesson: '02'}", "line 1: 'lesson' is there twice"),
    ("- {[a]: 1, [a]: 1}", "jobs.yaml, line 1: "),
    ("- &a {lesson: '01'}\n- *a", "jobs.yaml, line 2: aliases (*) are not taken"),
    (
        "\n- lesson: '01'\n\n- lesson: '01'\n  parameters:\n    seed: x",
        "jobs.yaml, line 4: seed='x'",
    ),
    ("- {lesson: '01'}\n- {lesson: '01'\n- {", "jobs.yaml, line 3: "),
]


@pytest.mark.parametrize(("text", "sentence"), WRONG_FILES)
def test_a_wrong_file_of_jobs_is_refused(tmp_path, monkeypatch, text, sentence):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError) as refusal:  # noqa: PT011 the sentence is compared
        from_yaml(tmp_path, text)
    assert sentence in str(refusal.value)
    assert not (tmp_path / "canary").exists()


def test_a_file_that_is_not_there_is_said_in_words(tmp_path):
    with pytest.raises(ValueError, match=r"jobs='.*none\.yaml': cannot be read \(No such file"):
        sweeps.from_yaml(tmp_path / "none.yaml", tmp_path, None, {})
    (tmp_path / "latin.yaml").write_bytes(b"\xe9")
    with pytest.raises(ValueError, match=r"cannot be read \(no UTF-8\)"):
        sweeps.from_yaml(tmp_path / "latin.yaml", tmp_path, None, {})


def test_parameters_of_all_jobs_are_those_of_each_that_does_not_say_otherwise(tmp_path):
    text = "- {lesson: '01'}\n- {lesson: '01', parameters: {seed: 5}}"
    first, second = from_yaml(tmp_path, text, seed="3", rate="0.25")
    assert first.parameters == {"seed": 3, "rate": 0.25}
    assert second.parameters == {"seed": 5, "rate": 0.25}
    assert first.name.startswith("01_tiny_seed=3_rate=0.25_")
