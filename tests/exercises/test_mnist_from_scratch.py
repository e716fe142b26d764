"""The solutions of lesson 06 against torch, on random sizes."""

import itertools

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F

from cnncourse import augment, measure
from cnncourse.data import Split
from cnncourse.exercises import compiled
from cnncourse.exercises import mnist_from_scratch as exercises
from cnncourse.exercises.mnist_from_scratch import ACCURACY, LEAKED, SHIFT, TRAIN_STEP


def solution(exercise):
    return compiled(exercise.solution_code, exercise.name)


def test_one_step_moves_the_weights_against_their_gradient():
    torch.manual_seed(0)
    model, images, labels = nn.Linear(3, 2), torch.randn(5, 3), torch.tensor([0, 1, 1, 0, 1])
    loss = F.cross_entropy(model(images), labels)
    (gradient,) = torch.autograd.grad(loss, [model.weight])
    expected = model.weight.detach() - 0.1 * gradient
    returned = solution(TRAIN_STEP)(
        model, torch.optim.SGD(model.parameters(), lr=0.1), images, labels
    )
    assert returned == pytest.approx(loss.item())
    torch.testing.assert_close(model.weight.detach(), expected)


@settings(max_examples=20, deadline=None)
@given(sizes=st.lists(st.integers(1, 6), min_size=1, max_size=4), seed=st.integers(0, 99))
def test_the_accuracy_over_batches_is_that_over_all_images(sizes, seed):
    torch.manual_seed(seed)
    model = nn.Sequential(nn.Dropout(0.5), nn.Linear(3, 4))
    whole = Split(torch.randn(sum(sizes), 3), torch.randint(4, (sum(sizes),)))
    batches = list(zip(whole.images.split(sizes), whole.labels.split(sizes), strict=True))
    expected = measure.evaluate(model, whole).accuracy
    assert solution(ACCURACY)(model.train(), batches) == pytest.approx(expected)


@settings(max_examples=30, deadline=None)
@given(
    train=st.integers(1, 9),
    test=st.integers(1, 9),
    leaks=st.integers(0, 9),
    seed=st.integers(0, 99),
)
def test_as_many_images_leak_as_were_planted(train, test, leaks, seed):
    generator = torch.Generator().manual_seed(seed)
    train_images = torch.rand(train, 1, 3, 3, generator=generator)
    test_images = torch.rand(test, 1, 3, 3, generator=generator)
    planted = torch.arange(test) < leaks
    picks = torch.randint(train, (test,), generator=generator)
    test_images[planted] = train_images[picks[planted]]
    assert solution(LEAKED)(train_images, test_images) == min(leaks, test)


@settings(max_examples=40, deadline=None)
@given(right=st.integers(-6, 6), down=st.integers(-6, 6), height=st.integers(1, 6))
def test_a_shift_by_whole_pixels_is_the_affine_one(right, down, height):
    images = torch.rand(2, 1, height, 5)
    moved = solution(SHIFT)(images, right, down)
    expected = augment.affine(
        images, angles=torch.zeros(2), shift_px=torch.tensor([[right, down]] * 2).float()
    )
    torch.testing.assert_close(moved, expected, atol=1e-5, rtol=0)


# --- five bugs ------------------------------------------------------------------------------------

BUGS = {
    exercises.PILE_UP: ("            optimizer.zero_grad()\n", ""),
    exercises.TWICE: ("model(train[0][index])", "model(train[0][index]).softmax(dim=1)"),
    exercises.APART: ("train[1][index]", "train[1][torch.randperm(len(train[1]))[: len(index)]]"),
    exercises.DROPOUT: ("        model.eval()\n", ""),
    exercises.PEEKED: ("(validation, test)", "(test, test)"),
}
COMBINATIONS = [names for count in range(1, 6) for names in itertools.combinations(BUGS, count)]


@pytest.mark.parametrize("names", COMBINATIONS, ids=lambda names: " and ".join(names))
def test_whatever_bugs_are_left_they_and_no_others_are_named(names):
    code = exercises.MENDED
    for name in names:
        code = code.replace(*BUGS[name])
    exercise = exercises.FIVE_BUGS
    for number in range(exercise.cases):
        assert set(exercise.run(compiled(code, exercise.name), number)) == set(names)


def test_the_stub_has_all_five():
    exercise = exercises.FIVE_BUGS
    left = exercise.run(compiled(exercise.stub, exercise.name), 0)
    assert set(left) == set(BUGS)


def test_the_loop_may_be_mended_in_other_ways():
    other = """\
def train_and_test(model, optimizer, train, validation, test, epochs, batch_size):
    def score(part):
        model.eval()
        with torch.no_grad():
            right = sum((model(x[None]).argmax() == y).item() for x, y in zip(*part))
        return right / len(part[1])

    scores = []
    for epoch in range(epochs):
        model.train()
        order = torch.randperm(len(train[1]))
        images, labels = train[0][order], train[1][order]
        for start in range(0, len(labels), batch_size):
            model.zero_grad(set_to_none=False)
            stop = start + batch_size
            (-model(images[start:stop]).log_softmax(1).gather(1, labels[start:stop, None])).mean(
            ).backward()
            optimizer.step()
        scores.append((score(validation), -epoch, score(test)))
    best = max(scores)
    return -best[1], best[2]"""
    assert exercises.FIVE_BUGS.check(compiled(other, "train_and_test")).kind == "right"


def test_test_accuracy_held_against_the_best_validation_accuracy_is_peeking():
    """Neither is chosen by alone; the epoch is still one that the test images like."""
    code = exercises.MENDED.replace("accuracies[0] > best", "accuracies[1] > best")
    exercise = exercises.FIVE_BUGS
    for number in range(exercise.cases):
        left = exercise.run(compiled(code, exercise.name), number)
        assert left == [exercises.PEEKED]


def test_what_comes_back_is_told_with_what_should():
    code = exercises.MENDED.replace("return best, test_accuracy", "return best - 1, test_accuracy")
    said = exercises.FIVE_BUGS.check(compiled(code, "train_and_test"))
    assert "returned (-1, 0.125) where validation chose (0, 0.125)" in said.text
