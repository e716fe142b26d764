"""The solutions of the lesson on recipes against torch and against each other."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.optim import lr_scheduler
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from cnncourse.exercises import compiled
from cnncourse.exercises.training_recipes import AVERAGE, BREAKING, PICK, RATE_AT
from cnncourse.explorers import schedules
from cnncourse.range_test import smoothed, tenth_of_the_minimum


def solution(exercise):
    return compiled(exercise.solution_code, exercise.name)


# --- which augmentation breaks the labels ---------------------------------------------------------


def test_of_two_images_read_rightly_one_spoilt_is_a_half():
    images = torch.tensor([[0.0], [1.0], [2.0]])
    labels = torch.tensor([0, 1, 0])  # the third is misread
    augmentations = {
        "more": lambda pictures: pictures + torch.tensor([[0.0], [1.0], [0.0]]),
        "all": lambda pictures: pictures + 1,
        "third": lambda pictures: pictures + torch.tensor([[0.0], [0.0], [5.0]]),
    }

    def read(pictures):
        return pictures[:, 0].long()

    found = [
        solution(BREAKING)(read, images, labels, augmentations, most) for most in (0.4, 0.5, 1.0)
    ]
    assert found == [["all", "more"], ["all"], []]


@settings(max_examples=30, deadline=None)
@given(count=st.integers(1, 12), most=st.floats(0, 0.99), seed=st.integers(0, 99))
def test_what_breaks_is_what_counting_one_by_one_finds(count, most, seed):
    generator = torch.Generator().manual_seed(seed)
    answers = torch.randint(
        3, (4, count), generator=generator
    )  # before, and of three augmentations
    labels = torch.randint(3, (count,), generator=generator)
    labels[0] = answers[0, 0]  # one at least is read rightly
    augmentations = {f"{row}": lambda pictures, row=row: pictures + row for row in (3, 1, 2)}

    def read(pictures):
        return answers[int(pictures[0])]

    expected = []
    for row in (1, 2, 3):
        right = [n for n in range(count) if answers[0, n] == labels[n]]
        spoilt = [n for n in right if answers[row, n] != labels[n]]
        if len(spoilt) > most * len(right):
            expected.append(f"{row}")
    assert solution(BREAKING)(read, torch.zeros(count), labels, augmentations, most) == expected


def test_the_right_ones_may_be_picked_out_first_or_one_by_one():
    def picked(read, images, labels, augmentations, most):
        right = read(images) == labels
        kept, theirs = images[right], labels[right]
        found = [
            name
            for name, augment in augmentations.items()
            if (read(augment(kept)) != theirs).float().mean() > most
        ]
        return tuple(sorted(found))

    def one_by_one(read, images, labels, augmentations, most):
        found = []
        for name in sorted(augmentations):
            right = spoilt = 0
            for image, label in zip(images.split(1), labels, strict=True):
                if read(image)[0] == label:
                    right += 1
                    spoilt += int(read(augmentations[name](image))[0] != label)
            if spoilt > most * right:
                found.append(name)
        return found

    assert [BREAKING.check(answer).kind for answer in (picked, one_by_one)] == ["right"] * 2


# --- a learning rate, picked ----------------------------------------------------------------------


@settings(max_examples=50, deadline=None)
@given(
    losses=st.lists(st.floats(0.1, 3), min_size=2, max_size=30),
    share=st.sampled_from([0.0, 0.3, 0.9, 0.98]),
)
def test_a_pick_is_that_of_the_range_test(losses, share):
    rates = [10.0 ** (number / 5 - 5) for number in range(len(losses))]
    smooth = smoothed(losses, share=share)
    if min(smooth) < smooth[0] - 1e-9:  # else the range test refuses to pick
        expected = tenth_of_the_minimum(rates, smooth)
        assert solution(PICK)(rates, losses, share) == pytest.approx(expected)


# --- cosine with warm-up --------------------------------------------------------------------------


@pytest.mark.parametrize(("steps", "warm_up"), [(10, 0), (10, 3), (25, 10), (3, 2)])
def test_a_schedule_is_that_of_torch(steps, warm_up):
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=0.4)
    down = lr_scheduler.CosineAnnealingLR(optimizer, T_max=steps - warm_up)
    schedule = down
    if warm_up:
        up = lr_scheduler.LinearLR(optimizer, 1 / warm_up, 1, total_iters=warm_up - 1)
        schedule = lr_scheduler.SequentialLR(optimizer, [up, down], milestones=[warm_up])
    for step in range(steps):
        expected = optimizer.param_groups[0]["lr"]
        assert solution(RATE_AT)(step, steps, warm_up, 0.4) == pytest.approx(expected)
        optimizer.step()
        schedule.step()


def test_without_a_warm_up_it_is_the_explorers():
    shown = schedules.schedule("cosine", 0.1, 3, 0).rates
    found = [solution(RATE_AT)(step, len(shown), 0, 0.1) for step in range(len(shown))]
    assert found == pytest.approx(list(shown))


def test_the_schedule_may_be_written_in_other_ways():
    def rate_at(step, steps, warm_up, lr):
        if step + 1 <= warm_up:
            return lr / warm_up * (step + 1)
        return lr * math.sin(math.pi * (steps - step) / (steps - warm_up) / 2) ** 2

    assert RATE_AT.check(rate_at).kind == "right"


# --- an average of the weights --------------------------------------------------------------------


def test_an_average_is_that_of_torchs_averaged_model():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 2), nn.Linear(2, 2))
    theirs = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(0.9))
    theirs.update_parameters(model)  # the first one copies
    ours = [weight.detach().clone() for weight in model.parameters()]
    for _ in range(5):
        with torch.no_grad():
            for weight in model.parameters():
                weight += torch.randn(weight.shape)
        theirs.update_parameters(model)
        ours = solution(AVERAGE)(ours, [weight.detach() for weight in model.parameters()], 0.9)
    for one, other in zip(ours, theirs.module.parameters(), strict=True):
        torch.testing.assert_close(one, other.detach())


def test_an_average_in_place_is_told_what_it_spoils():
    def averaged(average, weights, decay):
        for old, new in zip(average, weights, strict=True):
            if old.is_floating_point():
                old.mul_(decay).add_(new, alpha=1 - decay)
            else:
                old.copy_(new)
        return average

    said = AVERAGE.check(averaged)
    assert said.kind == "wrong"
    assert "the result is right, but yours changes `average`" in said.text
