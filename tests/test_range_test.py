import math

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from cnncourse.data import Split
from cnncourse.range_test import (
    RangeTest,
    range_test,
    smoothed,
    steepest_descent,
    tenth_of_the_minimum,
)

GENERATOR = torch.Generator().manual_seed(0)
TRAIN = Split(torch.rand(12, 1, 4, 4, generator=GENERATOR), torch.arange(12) % 3)


def small_net():
    """Every kind of state that a step changes: weights, running means, what dropout draws."""
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Dropout(0.2), nn.Linear(16, 3)
    )


def linear():
    torch.manual_seed(0)
    return nn.Sequential(nn.Flatten(), nn.Linear(16, 3))


def measured(model, optimizer=None, train=TRAIN, **options):
    optimizer = optimizer or torch.optim.SGD(model.parameters(), lr=0.1)
    return range_test(
        model, train, optimizer=optimizer, **({"batch_size": 4, "device": "cpu"} | options)
    )


# The rates and the losses


def test_the_rates_grow_by_one_factor_from_the_lowest_to_the_highest():
    rates = measured(linear(), lr_low=1e-4, lr_high=1e-1, steps=4).rates
    assert rates == pytest.approx([1e-4, 1e-3, 1e-2, 1e-1])


def test_each_loss_is_that_of_its_batch_before_the_step_with_its_rate():
    """The same by hand: plain SGD on the whole set as one batch, whatever the order."""
    found = measured(linear(), batch_size=12, lr_low=0.01, lr_high=1.0, steps=3)
    model, expected = linear(), []
    for rate in (0.01, 0.1, 1.0):
        loss = F.cross_entropy(model(TRAIN.images), TRAIN.labels)
        expected.append(loss.item())
        for weight, slope in zip(
            model.parameters(), torch.autograd.grad(loss, list(model.parameters())), strict=True
        ):
            weight.data -= rate * slope
    assert found.batch_losses == pytest.approx(expected)
    assert found.losses == smoothed(found.batch_losses, share=0.9)


def test_every_parameter_group_takes_the_rate(monkeypatch):
    model = linear()
    groups = [{"params": [weight], "lr": 5.0} for weight in model.parameters()]
    optimizer, seen = torch.optim.SGD(groups, lr=1.0), []
    optimizer.register_step_pre_hook(
        lambda optimizer, *_: seen.append([group["lr"] for group in optimizer.param_groups])
    )
    rates = measured(model, optimizer, steps=5).rates
    assert seen == [[rate, rate] for rate in rates]


def test_the_images_come_round_again_in_another_order_where_steps_need_more():
    found = measured(linear(), batch_size=4, steps=10, lr_low=1e-9, lr_high=1e-8)
    first, second = found.batch_losses[:3], found.batch_losses[3:6]
    assert first != pytest.approx(second, rel=1e-4)
    assert sum(first) == pytest.approx(sum(second), rel=1e-4)  # the same twelve images
    assert len(found.rates) == len(found.batch_losses) == len(found.losses) == 10
    assert not found.stopped


def test_the_same_seed_gives_the_same_and_another_another_order():
    found = []
    for number, seed in enumerate((3, 3, 4)):
        model = small_net()
        torch.manual_seed(number)  # of the caller: no matter
        found.append(measured(model, seed=seed).batch_losses)
    assert found[0] == found[1] != found[2]


# When it ends


def test_it_ends_where_the_smoothed_loss_is_four_times_its_best():
    found = measured(linear(), batch_size=12, lr_low=1.0, lr_high=1e6, steps=50)
    assert found.stopped
    assert len(found.rates) == len(found.losses) < 50
    best = [min(found.losses[: step + 1]) for step in range(len(found.losses))]
    too_high = [loss > 4 * least for loss, least in zip(found.losses, best, strict=True)]
    assert too_high == [False] * (len(too_high) - 1) + [True]


def test_a_loss_that_is_not_finite_ends_it_and_is_left_out():
    model = linear()
    with torch.no_grad():
        model[1].weight *= 1e-3
    found = measured(model, batch_size=12, lr_low=0.1, lr_high=1e38, steps=3)
    assert found.stopped
    assert all(math.isfinite(loss) for loss in found.batch_losses)
    broken = linear()
    with torch.no_grad():
        broken[1].bias[0] = torch.nan
    found = measured(broken)
    assert (found.rates, found.batch_losses, found.stopped) == ([], [], True)


# What is put back


@pytest.mark.parametrize("kind", [torch.optim.SGD, torch.optim.AdamW])
@pytest.mark.parametrize("used", [False, True], ids=["new", "used"])
def test_model_and_optimiser_are_as_they_were(kind, used):
    model = small_net()
    model[1].eval()  # frozen on purpose: each module keeps its own mode
    optimizer = kind(model.parameters(), lr=0.3, weight_decay=0.01)
    if used:
        model(TRAIN.images).sum().backward()
        optimizer.step()
        optimizer.zero_grad()
    weights = {name: value.clone() for name, value in model.state_dict().items()}
    before = {key: value.clone() for key, value in flat(optimizer.state_dict()).items()}
    modes = [module.training for module in model.modules()]
    torch.manual_seed(7)
    drawn = torch.rand(3)
    torch.manual_seed(7)
    found = measured(model, optimizer)
    assert len(found.rates) > 10
    assert torch.equal(torch.rand(3), drawn)
    assert all(torch.equal(value, weights[name]) for name, value in model.state_dict().items())
    after = flat(optimizer.state_dict())
    assert after.keys() == before.keys()
    assert all(torch.equal(value, before[key]) for key, value in after.items())
    assert [module.training for module in model.modules()] == modes
    assert all(weight.grad is None for weight in model.parameters())


def flat(state):
    """Numbers of an optimiser's state by name, as tensors."""
    held = {
        (place, name): torch.as_tensor(value)
        for place, values in state["state"].items()
        for name, value in values.items()
        if value is not None
    }
    return held | {
        ("group", number, name): torch.tensor(value)
        for number, group in enumerate(state["param_groups"])
        for name, value in group.items()
        if isinstance(value, float)
    }


def test_they_are_put_back_where_training_fails_too(monkeypatch):
    model = linear()
    before = model[1].weight.clone()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.5)

    calls = []

    def fail(*_args):
        calls.append(1)
        if len(calls) == 2:
            raise KeyboardInterrupt

    optimizer.register_step_post_hook(fail)
    with pytest.raises(KeyboardInterrupt):
        measured(model, optimizer, lr_low=1.0, lr_high=2.0)
    assert torch.equal(model[1].weight, before)
    assert optimizer.param_groups[0]["lr"] == 0.5


# The curve and what it suggests


def test_smoothing_is_a_weighted_mean_whose_weights_sum_to_one():
    assert smoothed([3.0, 3.0, 3.0], share=0.9) == pytest.approx([3, 3, 3])
    assert smoothed([1.0, 4.0, 10.0], share=0.5) == pytest.approx([1, 3, (1 + 8 + 40) / 7])
    assert smoothed([1.0, 4.0], share=0) == [1.0, 4.0]
    assert smoothed([], share=0.9) == []


RATES = [0.001, 0.01, 0.1, 1.0, 10.0]


def test_the_suggestion_is_a_tenth_of_the_rate_with_the_lowest_loss():
    assert tenth_of_the_minimum(RATES, [2.3, 2.2, 1.0, 0.5, 3.0]) == pytest.approx(0.1)


def test_the_steepest_descent_is_where_the_loss_falls_most_before_the_minimum():
    assert steepest_descent(RATES, [2.3, 2.2, 1.0, 0.5, 3.0]) == 0.01
    assert steepest_descent(RATES, [2.3, 1.0, 0.9, 9.0, 1.0]) == 0.001  # a fall after it is none


def test_both_are_properties_of_a_test_and_use_its_smoothed_losses():
    found = RangeTest(RATES, [2.0, 1.0, 0.2, 0.2, 30.0], stopped=True)
    assert found.suggestion == tenth_of_the_minimum(RATES, found.losses) == pytest.approx(0.1)
    assert found.steepest == steepest_descent(RATES, found.losses)


@pytest.mark.parametrize("rule", [tenth_of_the_minimum, steepest_descent])
def test_a_loss_that_never_falls_suggests_nothing(rule, refused):
    with refused(
        "losses: none of 3 is below the first, at a learning rate of 1, so none can be picked. "
        "Try: lr_low=0.01, or more steps."
    ):
        rule([1.0, 2.0, 4.0], [1.0, 1.0, 2.0])


def test_the_suggestion_learns_and_a_hundred_times_it_does_not():
    """On a task with an answer: the class of the brightest quarter."""
    images = torch.rand(120, 1, 4, 4, generator=torch.Generator().manual_seed(1))
    labels = F.avg_pool2d(images, 2).flatten(1).argmax(1)

    def loss_after(rate):
        torch.manual_seed(0)
        model = nn.Sequential(nn.Flatten(), nn.Linear(16, 32), nn.ReLU(), nn.Linear(32, 4))
        optimizer = torch.optim.Adam(model.parameters(), lr=rate or 1.0)
        if not rate:
            split = Split(images, labels)
            return measured(model, optimizer, split, batch_size=30, lr_high=10.0).suggestion
        for _ in range(60):
            optimizer.zero_grad()
            loss = F.cross_entropy(model(images), labels)
            loss.backward()
            optimizer.step()
        return loss.item()

    suggestion = loss_after(None)
    assert loss_after(suggestion) < 0.7
    assert loss_after(100 * suggestion) > 2 * loss_after(suggestion)
    assert loss_after(suggestion / 100) > 1.2


# What is refused


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"lr_low": 0}, "lr_low=0: must be above 0, and finite. Try: lr_low=1e-5."),
        ({"lr_low": math.nan}, "lr_low=nan: must be above 0, and finite. Try: lr_low=1e-5."),
        (
            {"lr_high": 1e-5},
            "lr_high=1e-05: must be above lr_low=1e-05, and finite. Try: lr_high=1.",
        ),
        (
            {"lr_high": math.inf},
            "lr_high=inf: must be above lr_low=1e-05, and finite. Try: lr_high=1.",
        ),
        ({"steps": 1}, "steps=1: must be a whole number, 2 or more. Try: steps=2."),
        ({"batch_size": 0}, "batch_size=0: must be a whole number, 1 or more. Try: batch_size=1."),
        (
            {"device": "gpu"},
            "device='gpu': torch's names are 'cuda' (Nvidia, AMD) and 'mps' (Apple). Try: "
            "device='auto'.",
        ),
    ],
)
def test_numbers_that_cannot_be_are_refused(options, sentence, refused):
    with refused(sentence):
        measured(linear(), **options)


def test_an_optimiser_of_another_model_is_refused(refused):
    other = torch.optim.Adam(linear().parameters())
    with refused(
        "optimizer Adam: holds none of the model's weights, so nothing would be learned. Try: "
        "torch.optim.Adam(model.parameters(), ...)."
    ):
        measured(linear(), other)


def test_data_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match=r"layer '1' \(Linear\) expects 16 features, gets 4"):
        measured(linear(), train=Split(TRAIN.images[..., ::2, ::2], TRAIN.labels))


def test_share_outside_its_range_is_refused(refused):
    with refused("share=1: must be from 0 (no smoothing) to below 1. Try: share=0.9."):
        smoothed([1.0], share=1)
