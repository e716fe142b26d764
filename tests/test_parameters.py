"""Parameters: in the types and ranges that a lesson declares; all else is refused, in words."""

import datetime

import nbformat
import pytest

from cnncourse import parameters

CELL = """
seed = 0
rate = 0.5  # the share, from 0 to 1
holds = True
budget = 'quick'
device = 'auto'
"""


def lesson(source: str) -> nbformat.NotebookNode:
    cell = nbformat.v4.new_code_cell(source, metadata={"tags": ["parameters"]})
    return nbformat.v4.new_notebook(cells=[cell])


def parse(**given: str) -> dict[str, object]:
    return parameters.parse_parameters("01_tiny", lesson(CELL), given)


def test_parameters_take_the_type_of_their_default():
    assert parse(seed="3", rate="1", holds="False", budget="smoke") == {
        "seed": 3,
        "rate": 1.0,
        "holds": False,
        "budget": "smoke",
    }


# A parameter, its value, and the sentence it earns.
REFUSED = [
    ("sed", "1", "parameter 'sed': 01_tiny has no such parameter. Did you mean 'seed'? Known: "),
    ("seed", "1.5", "seed='1.5': must be int. Try: -p seed 0."),
    ("seed", "__import__('os')", "must be int"),
    ("rate", "fast", "rate='fast': must be float. Try: -p rate 0.5."),
    ("holds", "1", "must be bool"),
    ("budget", "quik", "'quik': unknown budget. Did you mean 'quick'?"),
    ("seed = 1; import os #", "1", "has no such parameter"),
    ("seed", "-1", "seed=-1: must be from 0 to 4.29497e+09. Try: -p seed 0."),
    ("seed", "9" * 12, "must be from 0"),
    ("rate", "1.5", "rate=1.5: must be from 0 to 1. Try: -p rate 0.5."),
    ("rate", "1e999", "must be from 0 to 1"),
    ("device", "cuda:x", "device='cuda:x': must be auto, cpu, cuda, cuda:0, cuda:1, … or mps"),
    ("device", "cpu'); import os #", "must be auto"),
    ("seed", "(" * 500, "must be int"),
    ("seed", "[].__class__", "must be int"),
    ("__builtins__", "1", "has no such parameter"),
    ("seed\nimport os", "1", "has no such parameter"),
]


@pytest.mark.parametrize(("name", "value", "sentence"), REFUSED)
def test_a_wrong_parameter_is_refused_before_anything_starts(name, value, sentence):
    with pytest.raises(ValueError) as refusal:  # noqa: PT011 the sentence is compared
        parse(**{name: value})
    assert sentence in str(refusal.value)


# What JSON, and with it papermill, would not bring to the notebook as it is.
NOT_PLAIN = [(1, 2), {1}, b"x", datetime.date(2020, 1, 1), "\udcff", {1: 2}, [[{"a": {1}}]]]


@pytest.mark.parametrize("value", NOT_PLAIN, ids=repr)
@pytest.mark.parametrize("default", ["None", "[]", "()", "''"])
def test_what_would_not_arrive_as_it_is_is_refused(value, default):
    with pytest.raises(ValueError, match=r"labels=.*: must be ") as refusal:
        parameters.parse_parameters("01_tiny", lesson(f"labels = {default}"), {"labels": value})
    assert str(refusal.value).encode()  # can be printed


# A default, a value that will not do, and what is said.
WOULD_DO = [
    ("(1, 2)", "(3, 4)", "lists, and dicts named by texts. Try: such a default in its cell."),
    ("'a'", "\udcff", "size='\\udcff': must be text that UTF-8 knows. Try: -p size a."),
]


@pytest.mark.parametrize(("default", "value", "sentence"), WOULD_DO)
def test_what_to_try_is_what_would_do(default, value, sentence):
    with pytest.raises(ValueError) as refusal:  # noqa: PT011 the sentence is compared
        parameters.parse_parameters("01_tiny", lesson(f"size = {default}"), {"size": value})
    assert sentence in str(refusal.value)


def test_a_default_that_is_computed_takes_any_plain_value_and_one_with_a_type_its_own():
    notebook = lesson("import os\nwhere = os.getcwd()\nsize: int = 3\nlater: int")
    assert parameters.declared(notebook) == {"where": None, "size": 3}
    given = {"where": "here", "size": "4"}
    assert parameters.parse_parameters("01_tiny", notebook, given) == {"where": "here", "size": 4}
    with pytest.raises(ValueError, match="size='x': must be int"):
        parameters.parse_parameters("01_tiny", notebook, {"size": "x"})


def test_a_cell_that_is_no_python_is_said_in_words():
    with pytest.raises(ValueError, match=r"01_tiny: line 2 of its parameters is no Python \(inval"):
        parameters.parse_parameters("01_tiny", lesson("a = 1\nseed = = 0"), {})


def test_what_ipython_alone_knows_is_passed_over():
    notebook = lesson("%matplotlib inline\n!ls\nseed = 0  # from 0 to 9\n  %pip list")
    assert parameters.declared(notebook) == {"seed": 0}


def test_a_lesson_without_parameters_says_that_it_has_none():
    notebook = nbformat.v4.new_notebook()
    assert parameters.parse_parameters("01_tiny", notebook, {}) == {}
    with pytest.raises(ValueError, match=r"'seed': 01_tiny has no parameters\. Try: a cell tagged"):
        parameters.parse_parameters("01_tiny", notebook, {"seed": "1"})


@pytest.mark.parametrize("said", ["copied from ee to e", "from 1.2.3 to 4", "from - to +"])
def test_a_comment_that_names_no_numbers_is_no_range(said):
    notebook = lesson(f"seed = 0  # {said}")
    assert parameters.ranges(notebook)["seed"] == parameters.RANGES["seed"]


# What a comment says, and the range that it means.
SAID = [
    ("from 1 to 9.", (1, 9)),
    ("from -.5 to 1e-3", (-0.5, 0.001)),
    ("from 2 to 10_000", (2, 1e4)),
]


@pytest.mark.parametrize(("said", "limits"), SAID)
def test_a_comment_with_two_numbers_is_a_range(said, limits):
    assert parameters.ranges(lesson(f"size = 5  # in pixels, {said}"))["size"] == limits


@pytest.mark.parametrize("content", ["{", '{"cells": 7}', "[]", '{"nbformat": 4, "cells": [{}]}'])
def test_a_file_that_is_no_notebook_is_said_in_words(tmp_path, content):
    (tmp_path / "01_tiny.ipynb").write_text(content)
    with pytest.raises(ValueError, match=r"^01_tiny\.ipynb: cannot be read as a notebook"):
        parameters.read(tmp_path / "01_tiny.ipynb")
    with pytest.raises(ValueError, match="cannot be read as a notebook"):
        parameters.read(tmp_path / "02_gone.ipynb")
