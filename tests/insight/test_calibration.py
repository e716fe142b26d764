import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

from cnncourse.insight.calibration import (
    check_temperature,
    confidence,
    fit_temperature,
    reliability,
    told_apart,
)


def logits_of(probabilities):
    """Two classes: logits whose softmax gives class 0 these probabilities."""
    p = torch.tensor(probabilities, dtype=torch.float64)
    return torch.stack([p.log(), (1 - p).log()], dim=1)


def test_the_calibration_error_by_hand():
    # Confidences 0.6, 0.7 | 0.9, 0.9, 1 - 0.2; bins of a half: all in (0.5, 1]. Four of five right.
    logits, labels = logits_of([0.6, 0.7, 0.9, 0.9, 0.2]), torch.tensor([0, 1, 0, 0, 1])
    assert reliability(logits, labels, bins=2).error == pytest.approx(abs(3.9 / 5 - 4 / 5))
    # Bins of a tenth: (0.5, 0.6] right; (0.6, 0.7] wrong; (0.7, 0.8] right; (0.8, 0.9] both right.
    shown = reliability(logits, labels, bins=10)
    assert shown.counts.tolist() == [0, 0, 0, 0, 0, 1, 1, 1, 2, 0]
    assert shown.accuracy[5:9].tolist() == [1, 0, 1, 1]
    torch.testing.assert_close(shown.confidence[5:9], torch.tensor([0.6, 0.7, 0.8, 0.9]).double())
    assert shown.error == pytest.approx((0.4 + 0.7 + 0.2 + 2 * 0.1) / 5)
    assert shown.edges == pytest.approx([number / 10 for number in range(11)])


def test_a_network_as_often_right_as_it_is_sure_has_no_error():
    logits = logits_of([0.75] * 8)
    assert reliability(logits, torch.tensor([0] * 6 + [1] * 2)).error == pytest.approx(0)
    assert reliability(logits, torch.tensor([0] * 8)).error == pytest.approx(0.25)


def test_quite_sure_and_quite_unsure_have_their_bins():
    shown = reliability(torch.tensor([[1000.0, 0.0], [0.0, 0.0]]), torch.tensor([0, 0]), bins=4)
    assert shown.counts.tolist() == [0, 1, 0, 1]


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 999), bins=st.integers(1, 20), classes=st.integers(2, 6))
def test_the_error_agrees_with_a_loop_over_the_bins(seed, bins, classes):
    torch.manual_seed(seed)
    logits, labels = 3 * torch.randn(40, classes).double(), torch.randint(classes, (40,))
    sure, answers = logits.softmax(dim=1).max(dim=1)
    expected = 0.0
    for number in range(bins):
        inside = (sure > number / bins) & (sure <= (number + 1) / bins)
        if inside.any():
            gap = (answers == labels)[inside].double().mean() - sure[inside].mean()
            expected += abs(gap.item()) * inside.sum().item() / 40
    assert reliability(logits, labels, bins=bins).error == pytest.approx(expected)


# --- temperature ----------------------------------------------------------------------------------


def test_two_classes_have_their_temperature_in_closed_form():
    # A margin of 4 that is right in three of four: best is sigmoid(4 / T) = 3 / 4, T = 4 / ln 3.
    logits = torch.tensor([[4.0, 0.0]] * 4)
    assert fit_temperature(logits, torch.tensor([0, 0, 0, 1])) == pytest.approx(4 / math.log(3))


@settings(max_examples=25, deadline=None)
@given(factor=st.floats(0.05, 50), seed=st.integers(0, 99))
def test_logits_scaled_by_a_factor_have_a_temperature_scaled_by_it(factor, seed):
    torch.manual_seed(seed)
    logits = 2 * torch.randn(300, 5).double()
    labels = torch.multinomial(logits.softmax(dim=1), 1)[:, 0]  # drawn as the logits say
    best = fit_temperature(logits, labels)
    assert 0.7 < best < 1.4  # 300 draws know it so far
    assert fit_temperature(factor * logits, labels) == pytest.approx(factor * best, rel=1e-5)


@pytest.mark.parametrize("factor", [1e-12, 1e12])
def test_however_small_or_large_the_logits_are_the_search_begins_near_its_end(factor):
    torch.manual_seed(1)
    logits, labels = 2 * torch.randn(300, 5).double(), torch.randint(5, (300,))
    labels[:200] = logits[:200].argmax(dim=1)
    best = fit_temperature(logits, labels)
    assert fit_temperature(factor * logits, labels) == pytest.approx(factor * best, rel=1e-9)


def test_nothing_nearby_is_better_and_no_answer_changes():
    torch.manual_seed(1)
    logits, labels = 5 * torch.randn(200, 4), torch.randint(4, (200,))
    labels[:120] = logits[:120].argmax(dim=1)
    best = fit_temperature(logits, labels)
    losses = [
        F.cross_entropy(logits.double() / (best * part), labels).item() for part in (0.99, 1, 1.01)
    ]
    assert losses[1] == min(losses)
    assert best > 1  # it was too sure
    after, before = (reliability(logits / t, labels).error for t in (best, 1.0))
    assert after < before
    assert torch.equal((logits / best).argmax(dim=1), logits.argmax(dim=1))


def test_it_leaves_no_gradient_and_works_where_gradients_are_off():
    logits = torch.tensor([[4.0, 0.0]] * 4, requires_grad=True)
    with torch.no_grad():
        best = fit_temperature(logits, torch.tensor([0, 0, 0, 1]))
    assert best == pytest.approx(4 / math.log(3))
    assert logits.grad is None


def test_where_no_temperature_is_best_it_is_said(refused):
    logits = torch.tensor([[4.0, 0.0], [0.0, 1.0]])
    with refused(
        "labels: all 2 answers are right, so the surer the better, and no temperature is best. "
        "Try: more pictures that were held out."
    ):
        fit_temperature(logits, torch.tensor([0, 1]))
    with refused(
        "labels: the answers to 2 pictures are no better than chance, so no temperature is best. "
        "Try: the labels that belong to these logits, in their order."
    ):
        fit_temperature(logits, torch.tensor([1, 1]))


# --- strangers ------------------------------------------------------------------------------------


def test_a_higher_temperature_is_less_sure():
    logits = torch.tensor([[2.0, 0.0, 0.0]])
    assert confidence(logits).item() == pytest.approx(math.exp(2) / (math.exp(2) + 2))
    values = [confidence(logits, temperature=t).item() for t in (0.1, 1.0, 3.0, 1e6)]
    assert values == sorted(values, reverse=True)
    assert values[-1] == pytest.approx(1 / 3, abs=1e-4)


def test_the_chance_to_tell_apart_by_hand():
    assert told_apart([0.9, 0.8], [0.1, 0.85]) == 0.75  # three of four pairs
    assert told_apart([0.9], [0.9, 0.9]) == 0.5
    assert told_apart([0.1], [0.2]) == 0
    assert told_apart(torch.tensor([1.0, 1.0]), torch.tensor([0.0])) == 1


def test_it_is_the_area_under_the_roc_curve(rng):
    from scipy.stats import mannwhitneyu  # its U counts the pairs

    known, strange = rng.normal(1, 1, 50).round(1), rng.normal(0, 1, 30).round(1)
    expected = mannwhitneyu(known, strange).statistic / (50 * 30)
    assert told_apart(torch.tensor(known), torch.tensor(strange)) == pytest.approx(expected)


# --- what is refused ------------------------------------------------------------------------------


def test_what_does_not_fit_is_refused(refused):
    logits = torch.zeros(3, 4)
    with refused(
        "logits (3,) float32: must be (N, classes), floats. "
        "Try: measure.evaluate(model, split).logits."
    ):
        reliability(logits[:, 0], torch.zeros(3).long())
    with refused(
        "labels (2,) int64: must be int64, one for each of 3 rows of logits. "
        "Try: measure.evaluate(model, split).labels."
    ):
        reliability(logits, torch.zeros(2).long())
    with refused("label 4 found, but the logits are of classes 0 to 3. Try: labels from 0 on."):
        reliability(logits, torch.tensor([0, 4, 1]))
    with refused("label -1 found, but the logits are of classes 0 to 3. Try: labels from 0 on."):
        fit_temperature(logits, torch.tensor([0, -1, 1]))
    with refused("scores: none came for one side. Try: one picture of each at least."):
        told_apart([], [0.5])
    with refused("bins=0: must be a whole number, 1 or more. Try: bins=1."):
        reliability(logits, torch.zeros(3).long(), bins=0)


@pytest.mark.parametrize("temperature", [0, -1.0, math.inf, math.nan, "1", None, True])
def test_a_temperature_that_cannot_be_is_refused(temperature, refused):
    rule = "must be a number above 0 (1 changes nothing)"
    with refused(f"temperature={temperature!r}: {rule}. Try: temperature=1.0."):
        check_temperature(temperature)


@pytest.mark.parametrize("wrong", [math.nan, math.inf])
def test_logits_that_have_no_softmax_are_refused(wrong, refused):
    logits, labels = torch.tensor([[1.0, wrong], [0.0, 0.0]]), torch.tensor([0, 1])
    for ask in (
        lambda: reliability(logits, labels),
        lambda: fit_temperature(logits, labels),
        lambda: confidence(logits),
    ):
        with refused(
            "logits (2, 2) float32: some are nan or +inf, which has no softmax. "
            "Try: measure.evaluate(model, split).logits."
        ):
            ask()
    without = torch.tensor([[1.0, -math.inf], [0.0, 0.0]])  # a class that was ruled out
    assert confidence(without).tolist() == [1, 0.5]


def test_what_are_no_logits_no_labels_and_no_scores_is_refused(refused):
    with refused(
        "logits (2,) float32: must be (N, classes), floats. "
        "Try: measure.evaluate(model, split).logits."
    ):
        confidence(torch.zeros(2))
    with refused("logits of type list: must be a tensor (N, classes). Try: torch.tensor(logits)."):
        reliability([[1.0, 0.0]], torch.tensor([0]))
    with refused("labels of type list: must be a tensor (N,) of int64. Try: torch.tensor(labels)."):
        reliability(torch.zeros(1, 2), [0])
    rule = "must be one number for each picture, none of them nan"
    for scores, shape in (([math.nan], "(1,)"), ([[0.5]], "(1, 1)"), (0.5, "()")):
        with refused(f"scores {shape}: {rule}. Try: confidence(logits)."):
            told_apart([0.5], scores)
    with refused("scores: must be numbers. Try: confidence(logits)."):
        told_apart("surest", [0.5])
