import numpy as np
import pytest
import torch
from torch import nn

from cnncourse.outcomes import same, shown

ONE = torch.tensor([1.0])


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (ONE, ONE + 1e-7),
        (ONE * torch.nan, ONE * torch.nan),
        (ONE.to("meta"), (ONE + 1).to("meta")),  # no numbers there: shape and type must do
        ((1, ONE), (1, ONE.clone())),
        (1.0, 1.0 + 1e-9),
        (1.0, np.float32(1.0)),
        (np.int64(1), 1),
        (True, np.True_),
        ((1, 2), [np.int8(1), np.uint16(2)]),
        (float("inf"), float("inf")),
        (np.ones(2), np.ones(2)),
        (nn.Linear(2, 3), nn.Linear(2, 3)),
        (ValueError("a"), ValueError("b")),
        ("a", "a"),
    ],
)
def test_these_outcomes_are_the_same(first, second):
    assert same(first, second)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (ONE, ONE + 1e-3),
        (ONE, ONE[None]),
        (ONE, ONE.double()),
        (ONE, ONE.to("meta")),
        (ONE, 1.0),
        (ONE, None),
        ((1, 2), (1, 2, 3)),
        (1, 1.0),
        (1, True),
        (1, np.float64(1)),
        (1.0, np.int64(1)),
        (1, np.True_),
        (1.0, 1.001),
        (np.ones(2), np.zeros(2)),
        (np.ones(2), np.ones(2, dtype=int)),
        (np.ones(2), np.ones(3)),
        (np.ones(2), torch.ones(2)),
        (nn.Linear(2, 3), nn.Linear(3, 2)),
        (ValueError("a"), TypeError("a")),
        (ValueError("a"), "a"),
    ],
)
def test_these_outcomes_are_not_the_same(first, second):
    assert not same(first, second)
    assert not same(second, first)


@pytest.mark.parametrize(
    ("outcome", "words"),
    [
        (torch.tensor([[0.5, 2.0]]), "float32 (1, 2) [0.5, 2.0]"),
        (torch.zeros(5, 5), "float32 (5, 5) on cpu"),
        (torch.zeros(2, device="meta"), "float32 (2,) on meta"),
        (np.array([1, 2], dtype=np.int16), "NumPy array, int16 (2,) [1, 2]"),
        (np.array([[1 / 3], [2]]), "NumPy array, float64 (2, 1) [[0.3333], [2.0]]"),
        (np.zeros((5, 5)), "NumPy array, float64 (5, 5)"),
        ((1, 0.123456), "(1, 0.12346)"),
        (ValueError("first line.\nsecond"), "ValueError: first line"),
        (IndexError(), "IndexError: "),
        ("text", "'text'"),
        ([1, (2,)], "[1, (2,)]"),
        (np.int64(3), "3"),
        (np.float32(0.1), "0.1"),
        (np.array([0.1], dtype=np.float32), "NumPy array, float32 (1,) [0.1]"),
        (np.array([None, "a"]), "NumPy array, object (2,)"),
        (np.array(["a"]), "NumPy array, <U1 (1,) ['a']"),
        (np.ones(2).sum, "the function sum (are its brackets missing?)"),
        ((number for number in ()), "something of type generator"),
        (object(), "something of type object"),
        ([7] * 1000, "[" + "7, " * 98 + "7 ..."),
        ("x" * 1000, "'" + "x" * 295 + " ..."),
    ],
)
def test_an_outcome_is_shown_in_few_words(outcome, words):
    assert shown(outcome) == words
