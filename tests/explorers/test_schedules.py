import math

import pytest
import torch
from torch import nn
from torch.optim import lr_scheduler

from cnncourse.explorers.schedules import KINDS, STEPS, draw, explorer, points, schedule, sentence


def rates(name, *, lr=0.1, epochs=6, warm_up=0):
    return schedule(name, lr, epochs, warm_up).rates


def scheduler(name, optimizer, *, lr, steps, warm_up):
    """torch's own, counted in batches."""
    if (
        name == "one-cycle"
    ):  # highest in the batch after the warm-up, at 0 in the one after the last
        share = (warm_up + 1) / (steps + 1)
        return lr_scheduler.OneCycleLR(optimizer, lr, steps + 1, pct_start=share)
    left = steps - warm_up
    falls = [math.ceil(left / 3), math.ceil(2 * left / 3)]
    main = {
        "constant": lambda: lr_scheduler.ConstantLR(optimizer, factor=1),
        "step": lambda: lr_scheduler.MultiStepLR(optimizer, falls, gamma=0.1),
        "linear": lambda: lr_scheduler.LinearLR(optimizer, 1, 0, total_iters=left),
        "cosine": lambda: lr_scheduler.CosineAnnealingLR(optimizer, T_max=left),
    }[name]()
    if not warm_up:
        return main
    first = lr_scheduler.LinearLR(optimizer, 0.01, 1, total_iters=warm_up)
    return lr_scheduler.SequentialLR(optimizer, [first, main], milestones=[warm_up])


@pytest.mark.parametrize(
    ("name", "epochs", "warm_up"),
    [
        (name, *sizes)
        for sizes in [(6, 0), (6, 2), (2, 1), (11, 1)]
        for name in KINDS
        if (name, sizes) != ("one-cycle", (6, 0))  # torch's has a warm-up always
    ],
)
def test_the_rates_are_those_of_torchs_schedulers(name, epochs, warm_up):
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=0.1)
    steps = {"steps": epochs * STEPS, "warm_up": warm_up * STEPS}
    oracle = scheduler(name, optimizer, lr=0.1, **steps)
    expected = []
    for _ in range(epochs * STEPS):
        expected.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        oracle.step()
    found = rates(name, epochs=epochs, warm_up=warm_up)
    assert found == pytest.approx(expected, rel=1e-6, abs=1e-12)


def test_one_cycle_begins_at_a_25th_and_without_a_warm_up_at_the_top():
    assert rates("one-cycle", warm_up=2)[0] == pytest.approx(0.1 / 25)
    assert rates("one-cycle", warm_up=2)[STEPS] == pytest.approx((0.1 + 0.004) / 2)
    assert rates("one-cycle")[0] == pytest.approx(0.1)


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize(("epochs", "warm_up"), [(2, 0), (2, 1), (30, 3), (100, 20)])
def test_there_is_a_rate_a_batch_none_above_the_highest_and_one_that_is_it(name, epochs, warm_up):
    found = rates(name, epochs=epochs, warm_up=warm_up)
    assert len(found) == epochs * STEPS
    assert min(found) >= 0
    assert max(found) == pytest.approx(0.1)


def test_the_highest_rate_scales_everything():
    for name in KINDS:
        one, ten = (rates(name, lr=lr, warm_up=2) for lr in (0.1, 1.0))
        assert [10 * rate for rate in one] == pytest.approx(list(ten))


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        (("cos", 0.1, 6, 0), "'cos': unknown schedule. Did you mean 'cosine'? Known: "
         "constant, step, linear, cosine, one-cycle."),
        (("cosine", 0, 6, 0), "lr=0: must be a number from 1e-09 to 1000. Try: lr=0.1."),
        (("cosine", 0.1, 0, 0), "epochs=0: must be a whole number, 1 or more. Try: epochs=1."),
        (("cosine", 0.1, 6, -1), "warm_up=-1: must be a whole number, 0 or more. Try: warm_up=0."),
        (("cosine", 0.1, 6, 6), "warm_up=6: must leave an epoch of 6. Try: warm_up=5."),
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused_in_words(setting, said, refused):
    with refused(said):
        schedule(*setting)


def test_the_sentence_says_begin_top_end_and_mean():
    assert sentence(schedule("linear", 0.1, 10, 0)) == (
        "linear, highest rate 0.1, 10 epochs, 0 of warm-up: begins at 0.1, is highest after 0.0 "
        "epochs, ends at 0.0005; the mean is 0.50 of the highest"
    )
    assert "is highest after 3.0 epochs" in sentence(schedule("cosine", 0.1, 10, 3))


def test_the_curve_is_drawn_where_its_rates_are():
    shown = schedule("cosine", 0.1, 6, 0)
    page, places = draw(shown).canvas, points(shown)
    assert len(places) == 6 * STEPS
    for x, y in places[10::20]:
        assert page.getpixel((round(2 * x), round(2 * y))) == (0, 114, 178)


def test_every_control_changes_words_and_picture():
    result = explorer()
    seen = {(result.words, result.png)}
    for name, value in [
        *(("kind", name) for name in KINDS if name != "cosine"),
        ("lr", 0.001),
        ("epochs", 50),
        ("warm_up", 0),
    ]:
        result.controls[name].value = value
        seen.add((result.words, result.png))
    assert len({words for words, _ in seen}) == len({png for _, png in seen}) == 8


def test_a_warm_up_longer_than_the_training_is_said_and_the_picture_stays():
    result = explorer()
    result.controls["epochs"].value = 5
    before = result.png
    result.controls["warm_up"].value = 7
    assert 'role="alert"' in result.message.value
    assert "warm_up=7: must leave an epoch of 5. Try: warm_up=4." in result.message.value
    assert result.png == before
