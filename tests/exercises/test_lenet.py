"""The solutions of the lesson on LeNet-5 against its layers, on random sizes."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F

from cnncourse.exercises import compiled
from cnncourse.exercises.lenet import LAYER_BUDGET, LOSS, SQUASH, SUBSAMPLE
from cnncourse.models.lenet import C3_TABLE, RadialBasis, Subsampling, TableConv2d, scaled_tanh


def solution(exercise):
    return compiled(exercise.solution_code, exercise.name)


def test_the_budget_of_c1_and_c3_is_the_papers():
    budget = solution(LAYER_BUDGET)
    assert budget([[0]] * 6, 5, 32) == (156, 122_304)
    assert budget([list(row) for row in C3_TABLE], 5, 14) == (1516, 151_600)
    assert budget([[*range(16)]] * 120, 5, 5) == (48_120, 48_120)


@settings(max_examples=40)
@given(
    table=st.lists(st.sets(st.integers(0, 3), min_size=1).map(sorted), min_size=1, max_size=5),
    kernel_size=st.integers(1, 4),
    more=st.integers(0, 5),
)
def test_the_budget_is_the_layers_parameters_and_uses(table, kernel_size, more):
    layer = TableConv2d(table, in_channels=4, kernel_size=kernel_size)
    parameters = sum(parameter.numel() for parameter in layer.parameters())
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.fill_(1)
        size_px = kernel_size + more
        connections = layer(torch.ones(1, 4, size_px, size_px)).sum().item()
    assert solution(LAYER_BUDGET)(table, kernel_size, size_px) == (parameters, connections)


@settings(max_examples=30)
@given(
    batch=st.integers(1, 3),
    channels=st.integers(1, 4),
    rows=st.integers(1, 4),
    columns=st.integers(1, 4),
    seed=st.integers(0, 99),
)
def test_subsampling_is_the_layer(batch, channels, rows, columns, seed):
    draw = torch.Generator().manual_seed(seed)
    layer = Subsampling(channels, scaled_tanh)
    with torch.no_grad():
        layer.coefficient.copy_(torch.randn(channels, 1, 1, generator=draw))
        layer.bias.copy_(torch.randn(channels, 1, 1, generator=draw))
    maps = torch.randn(batch, channels, 2 * rows, 2 * columns, generator=draw)
    numbers = layer.coefficient.detach().flatten(), layer.bias.detach().flatten()
    torch.testing.assert_close(solution(SUBSAMPLE)(maps, *numbers), layer(maps))


def test_subsampling_as_loops_is_right_too():
    def by_loops(maps, coefficient, bias):
        out = torch.empty(*maps.shape[:2], maps.shape[2] // 2, maps.shape[3] // 2)
        for n, c, y, x in np.ndindex(*out.shape):
            total = maps[n, c, 2 * y : 2 * y + 2, 2 * x : 2 * x + 2].sum()
            out[n, c, y, x] = 1.7159 * torch.tanh((coefficient[c] * total + bias[c]) * 2 / 3)
        return out

    assert SUBSAMPLE.check(by_loops).kind == "right"


@settings(max_examples=40)
@given(st.floats(0.05, 4))
def test_the_squashing_keeps_plus_and_minus_one(steepness):
    ends = solution(SQUASH)(torch.tensor([-1.0, 0, 1]), steepness)
    assert ends.tolist() == pytest.approx([-1, 0, 1], abs=1e-5)


def test_at_two_thirds_the_squashing_is_the_papers():
    sums = torch.linspace(-3, 3, 13)
    torch.testing.assert_close(solution(SQUASH)(sums, 2 / 3), scaled_tanh(sums), atol=1e-4, rtol=0)
    assert 1 / math.tanh(2 / 3) == pytest.approx(1.7159, abs=5e-5)


@settings(max_examples=40)
@given(count=st.integers(1, 5), j=st.floats(0, 20), seed=st.integers(0, 99))
def test_the_loss_is_cross_entropy_with_an_eleventh_class(count, j, seed):
    draw = torch.Generator().manual_seed(seed)
    output = RadialBasis()
    labels = torch.randint(10, (count,), generator=draw)
    features = output.codes[labels] + 0.3 * torch.randn(count, 84, generator=draw)
    expected = F.cross_entropy(nn.ConstantPad1d((0, 1), -j)(output(features)), labels)
    ours = solution(LOSS)(features, output.codes, labels, j)
    torch.testing.assert_close(ours, expected, atol=1e-4, rtol=1e-4)


def test_the_loss_by_logsumexp_is_right_too():
    def by_logsumexp(features, codes, labels, j):
        logits = F.pad(-((features[:, None] - codes) ** 2).sum(dim=2), (0, 1), value=-j)
        return F.cross_entropy(logits, labels)

    assert LOSS.check(by_logsumexp).kind == "right"


def test_the_first_cases_fit_on_paper():
    assert LAYER_BUDGET.case(0) == ([[0, 1]], 3, 4)
    assert SUBSAMPLE.case(0)[0].shape == (1, 1, 2, 2)
    assert LOSS.case(0)[0].shape == (1, 2)
    assert SQUASH.case(1)[1] == 2 / 3


@pytest.mark.parametrize(
    "nearly",
    [
        lambda maps, coefficient, bias: (maps, abs(coefficient), bias),
        lambda maps, coefficient, bias: (maps, coefficient, bias * 0),
        lambda maps, coefficient, bias: (maps, coefficient[:1].expand_as(bias), bias),
        lambda maps, coefficient, bias: (maps[:1].expand_as(maps), coefficient, bias),
    ],
)
def test_a_subsampling_for_some_numbers_alone_is_wrong(nearly):
    right = solution(SUBSAMPLE)
    assert SUBSAMPLE.check(lambda *case: right(*nearly(*case))).kind == "wrong"
