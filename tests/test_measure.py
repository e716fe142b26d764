import math

import pytest
import torch
from torch import nn

from cnncourse import measure
from cnncourse.data import Split
from cnncourse.measure import Evaluation

# Three classes, five images: 0, 1 and 2 are right, the fourth says 2 for 0, the fifth 0 for 1.
ANSWERS = Evaluation(
    logits=torch.tensor(
        [[9.0, 0, 0], [0, 9.0, 0], [0, 0, 9.0], [0, 0, 9.0], [9.0, 0, 0]], dtype=torch.float64
    ),
    labels=torch.tensor([0, 1, 2, 0, 1]),
)


def test_predictions_correct_and_accuracy_by_hand():
    assert ANSWERS.predictions.tolist() == [0, 1, 2, 2, 0]
    assert (ANSWERS.correct, ANSWERS.accuracy) == (3, 0.6)


def test_the_loss_is_the_mean_cross_entropy_in_nats():
    spread = math.log(math.exp(9) + 2)  # log of the sum of exp(9), exp(0), exp(0)
    assert ANSWERS.loss == pytest.approx((3 * (spread - 9) + 2 * spread) / 5)
    undecided = Evaluation(torch.zeros(4, 10), torch.tensor([0, 3, 5, 9]))
    assert undecided.loss == pytest.approx(math.log(10))


def test_the_confusion_has_a_row_for_each_true_class():
    assert ANSWERS.confusion().tolist() == [
        [1, 0, 1],  # one 0 was answered 0, one 2
        [1, 1, 0],
        [0, 0, 1],
    ]


def test_a_class_that_never_came_has_its_row_and_its_column():
    one = Evaluation(torch.tensor([[0.0, 1.0, 0.0]]), torch.tensor([0]))
    assert one.confusion().tolist() == [[0, 1, 0], [0, 0, 0], [0, 0, 0]]


# Intervals


@pytest.mark.parametrize(
    ("count", "accuracy", "textbook", "difference"),
    [(153, 0.95, 0.0345, 0.0014), (10_000, 0.99, 0.00195, 0.00001), (1_000, 0.9, 0.0186, 0.0001)],
)
def test_the_half_width_is_near_the_textbooks(count, accuracy, textbook, difference):
    """1.96 * sqrt(p * (1 - p) / n) is what the lessons quote; Wilson's differs by this little."""
    assert 1.96 * math.sqrt(accuracy * (1 - accuracy) / count) == pytest.approx(textbook, rel=2e-3)
    low, high = measure.accuracy_interval(accuracy * count, count)
    assert (high - low) / 2 == pytest.approx(textbook, abs=difference)


def test_seven_of_ten_by_hand():
    # z^2 / n = 0.38416: the middle (0.7 + 0.19208) / 1.38416 = 0.6445,
    # the half-width 1.96 * sqrt(0.021 + 0.09604 / 10) / 1.38416 = 0.2477
    assert measure.accuracy_interval(7, 10) == pytest.approx((0.3968, 0.8922), abs=1e-4)


def test_where_every_answer_is_right_the_interval_is_not_empty():
    low, high = measure.accuracy_interval(20, 20)
    assert (low, high) == pytest.approx((20 / (20 + 1.96**2), 1))  # 0.839: not 1
    assert measure.accuracy_interval(0, 20) == pytest.approx((0, 1 - low))


def test_an_interval_stays_within_0_and_1_and_holds_its_accuracy():
    for count in range(1, 32):  # rounding would leave 0 at 15, and 1 at 19
        for correct in range(count + 1):
            low, high = measure.accuracy_interval(correct, count)
            assert 0 <= low < high <= 1
            assert low - 1e-12 < correct / count < high + 1e-12


def test_the_interval_of_an_evaluation_is_of_its_counts():
    assert ANSWERS.interval == measure.accuracy_interval(3, 5)


@pytest.mark.parametrize(
    ("correct", "count", "sentence"),
    [
        (0, 0, "count=0: must be a whole number, 1 or more. Try: count=1."),
        (11, 10, "correct=11: must be from 0 to count=10. Try: correct=10."),
        (-1, 10, "correct=-1: must be from 0 to count=10. Try: correct=10."),
    ],
)
def test_counts_that_cannot_be_are_refused(refused, correct, count, sentence):
    with refused(sentence):
        measure.accuracy_interval(correct, count)


def test_the_mean_of_three_runs_and_its_interval_by_students_t():
    # mean 2, deviation 1, t = 4.303 for 2 degrees of freedom: 4.303 / sqrt(3) = 2.484
    mean, low, high = measure.mean_interval([1.0, 2.0, 3.0])
    assert (mean, low, high) == pytest.approx((2, -0.484, 4.484), abs=1e-3)


@pytest.mark.parametrize("values", [[], [0.99]])
def test_one_run_has_no_interval(refused, values):
    with refused(f"{len(values)} run has no interval. Try: seeds=(0, 1, 2)."):
        measure.mean_interval(values)


# Evaluating a model


@pytest.fixture
def model():
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Dropout(0.5), nn.Linear(16, 3)
    )


@pytest.fixture
def split():
    generator = torch.Generator().manual_seed(1)
    return Split(torch.rand(10, 1, 4, 4, generator=generator), torch.arange(10) % 3)


def test_answers_are_those_of_eval_mode_whatever_mode_the_model_is_in(model, split):
    model.eval()
    with torch.no_grad():
        expected = model(split.images)
    model.train()
    for _ in range(2):  # dropout would differ from call to call
        evaluation = measure.evaluate(model, split)
        assert torch.equal(evaluation.logits, expected)
    assert torch.equal(evaluation.labels, split.labels)


def test_every_module_is_left_in_its_own_mode(model, split):
    model.train()
    model[1].eval()  # a frozen batch normalisation
    before = [module.training for module in model.modules()]
    measure.evaluate(model, split)
    assert [module.training for module in model.modules()] == before
    with pytest.raises(RuntimeError):
        measure.evaluate(model, Split(torch.zeros(2, 7, 4, 4), torch.zeros(2).long()))
    assert [module.training for module in model.modules()] == before


def test_evaluating_changes_no_weight_no_statistic_and_no_random_number(model, split):
    before = {name: value.clone() for name, value in model.state_dict().items()}
    random = torch.get_rng_state()
    evaluation = measure.evaluate(model, split)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert torch.equal(torch.get_rng_state(), random)
    assert not evaluation.logits.requires_grad
    assert torch.is_grad_enabled()


@pytest.mark.parametrize("batch_size", [1, 3, 10, 1000])
def test_the_batch_size_does_not_matter(model, split, batch_size):
    expected = measure.evaluate(model, split, batch_size=5)
    found = measure.evaluate(model, split, batch_size=batch_size)
    torch.testing.assert_close(found.logits, expected.logits)
    assert torch.equal(found.predictions, expected.predictions)


def test_a_batch_size_of_0_is_refused(model, split, refused):
    with refused("batch_size=0: must be a whole number, 1 or more. Try: batch_size=1."):
        measure.evaluate(model, split, batch_size=0)


def test_a_model_without_a_weight_answers_too():
    images = torch.tensor([[[[0.0, 2.0]]], [[[3.0, 1.0]]]])
    found = measure.evaluate(nn.Flatten(), Split(images, torch.tensor([1, 1])))
    assert found.accuracy == 0.5
