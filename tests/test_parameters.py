"""Parameters: in the types and ranges that a lesson declares; all else is refused, in words."""

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


def parse(**given: str) -> dict[str, object]:
    cell = nbformat.v4.new_code_cell(CELL, metadata={"tags": ["parameters"]})
    notebook = nbformat.v4.new_notebook(cells=[cell])
    return parameters.parse_parameters("01_tiny", notebook, given)


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
