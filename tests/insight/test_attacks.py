import copy

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F

from cnncourse.data import Split
from cnncourse.insight import attacks
from cnncourse.insight.attacks import OnPixels, accuracy_against, fgsm, hardened, pgd, pgd_of

ROUNDING = 1e-6  # float32, on a scale from 0 to 1


def network(seed=0, *, channels=1, side=4, classes=3):
    """A small random network with a bend, dropout and batch statistics."""
    torch.manual_seed(seed)
    layers = [nn.Conv2d(channels, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten()]
    return nn.Sequential(*layers, nn.Dropout(0.5), nn.Linear(4 * side**2, classes))


def pictures(seed=0, *, count=6, channels=1, side=4, classes=3):
    """Random pictures with some pixels quite black and quite white, and random labels."""
    torch.manual_seed(seed)
    images = (torch.rand(count, channels, side, side) * 1.4 - 0.2).clamp(0, 1)
    return images, torch.randint(classes, (count,))


def losses(model, images, labels):
    with torch.no_grad():
        return F.cross_entropy(model.eval()(images), labels, reduction="none")


# --- where it may go ------------------------------------------------------------------------------


def test_pgd_never_leaves_the_ball_nor_the_valid_range_in_2000_random_cases():
    draw = torch.Generator().manual_seed(0)
    outermost = 0.0
    for case in range(100):
        channels, side = 1 + case % 3, 2 + case % 4
        model = network(case, channels=channels, side=side)
        images, labels = pictures(case, count=20, channels=channels, side=side)
        eps = float(torch.rand((), generator=draw)) * (255 if case % 5 == 0 else 40)
        options = {"eps_255": eps, "steps": 1 + case % 5, "targeted": case % 2 == 0}
        changed = pgd(model, images, labels, **options)
        assert changed.min() >= 0
        assert changed.max() <= 1
        distance = (changed - images).abs().max().item()
        assert distance <= eps / 255 + ROUNDING
        outermost = max(outermost, distance * 255 / eps)
    assert outermost == pytest.approx(1, abs=1e-3)  # and it goes as far as it may


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 999), eps=st.floats(0, 100), steps=st.integers(1, 6))
def test_pgd_is_at_least_as_strong_as_fgsm_on_every_picture(seed, eps, steps):
    model, (images, labels) = network(seed), pictures(seed)
    for targeted, sign in ((False, 1), (True, -1)):
        one = fgsm(model, images, labels, eps_255=eps, targeted=targeted)
        more = pgd(model, images, labels, eps_255=eps, steps=steps, targeted=targeted)
        gain = sign * (losses(model, more, labels) - losses(model, one, labels))
        assert gain.min() >= -1e-6


def test_more_steps_find_more_than_one_where_the_loss_bends():
    model, (images, labels) = network(3), pictures(3, count=60)
    one = fgsm(model, images, labels, eps_255=60)
    more = pgd(model, images, labels, eps_255=60, steps=10)
    gains = losses(model, more, labels) - losses(model, one, labels)
    assert gains.mean() > 0.003
    assert gains.max() > 0.02


class Hill(nn.Module):
    """Two logits of a picture of one pixel: 0, and one that is highest where the pixel is 0.55."""

    def forward(self, x):
        height = -100 * (x.flatten(1) - 0.55).square()
        return torch.cat([torch.zeros_like(height), height], dim=1)


@pytest.mark.parametrize(("label", "targeted"), [(0, False), (1, True)])
def test_the_worst_picture_met_is_kept_and_the_last_one_counts(label, targeted):
    """From 0.5 one step of 0.2 goes too far, to 0.7; the next one comes back."""
    images, labels = torch.full((1, 1, 1, 1), 0.5), torch.tensor([label])
    options = {"eps_255": 51, "targeted": targeted}
    assert fgsm(Hill(), images, labels, **options).item() == pytest.approx(0.7)
    found = [pgd(Hill(), images, labels, steps=steps, **options).item() for steps in (1, 2, 20)]
    assert found[:2] == pytest.approx([0.5, 0.5])
    assert found[2] == pytest.approx(0.55, abs=0.026)  # steps of an eighth of 0.2


@pytest.mark.parametrize(("steps", "share"), [(1, 1.0), (2, 1.0), (5, 0.5), (10, 0.25)])
def test_a_step_is_a_share_of_the_ball_and_never_more_than_the_ball(monkeypatch, steps, share):
    model, (images, labels) = linear([1.0] * 16), pictures(classes=2)
    images = images * 0.2 + 0.4  # far from black and white
    before, moves = [images], []

    def watched(changed, centre, eps_255):
        moves.append((changed - before[-1]).abs().max().item() * 255 / eps_255)
        before.append(within(changed, centre, eps_255))
        return before[-1]

    within = attacks.within
    monkeypatch.setattr(attacks, "within", watched)
    pgd(model, images, labels, eps_255=20, steps=steps)
    assert moves == pytest.approx([1.0] + [share] * steps, abs=1e-4)


# --- linear models, by hand -----------------------------------------------------------------------


def linear(weights):
    """Two classes with logits 0 and w.x, x the pixels."""
    model = nn.Sequential(nn.Flatten(), nn.Linear(len(weights), 2))
    with torch.no_grad():
        model[1].weight.copy_(torch.tensor([[0.0] * len(weights), weights]))
        model[1].bias.zero_()
    return model


def test_fgsm_moves_the_logit_of_a_linear_model_by_eps_times_the_sum_of_its_weights():
    weights = [3.0, -1.0, 0.5, -2.0]  # in all 6.5
    images = torch.full((1, 1, 2, 2), 0.5)
    changed = fgsm(linear(weights), images, torch.tensor([1]), eps_255=25.5)  # a tenth
    signs = torch.tensor([-1.0, 1.0, -1.0, 1.0]).reshape(1, 1, 2, 2)
    torch.testing.assert_close(changed - images, 0.1 * signs)
    before, after = (linear(weights)(part)[0, 1].item() for part in (images, changed))
    assert before - after == pytest.approx(0.1 * 6.5, abs=1e-5)


@settings(max_examples=30, deadline=None)
@given(
    weights=st.lists(st.floats(-3, 3).filter(lambda w: abs(w) > 0.01), min_size=9, max_size=9),
    eps=st.floats(0, 60),
    label=st.integers(0, 1),
)
def test_the_loss_of_a_linear_model_grows_as_the_formula_says(weights, eps, label):
    model, images = linear(weights), torch.full((1, 1, 3, 3), 0.5)
    labels = torch.tensor([label])
    margin = (2 * label - 1) * 0.5 * sum(weights)  # the loss is softplus(-margin)
    reach = eps / 255 * sum(map(abs, weights))
    for attack in (fgsm, pgd_of(3)):  # a straight line has no better corner
        loss = losses(model, attack(model, images, labels, eps_255=eps), labels).item()
        assert loss == pytest.approx(F.softplus(torch.tensor(reach - margin)).item(), abs=1e-4)


def test_a_targeted_attack_goes_the_other_way():
    images, model = torch.full((1, 1, 2, 2), 0.5), linear([1.0, 1.0, -1.0, 1.0])
    away = fgsm(model, images, torch.tensor([0]), eps_255=51)
    towards = fgsm(model, images, torch.tensor([1]), eps_255=51, targeted=True)
    assert torch.equal(away, towards)  # of two classes, away from one is towards the other


def test_a_black_and_a_white_pixel_can_only_go_one_way():
    images = torch.tensor([0.0, 1.0, 0.02, 0.5]).reshape(1, 1, 2, 2)
    changed = fgsm(linear([1.0, -1.0, 1.0, 1.0]), images, torch.tensor([1]), eps_255=25.5)
    torch.testing.assert_close(changed.flatten(), torch.tensor([0.0, 1.0, 0.0, 0.4]))


# --- what is left as it was -----------------------------------------------------------------------


def test_the_model_is_asked_in_eval_mode_and_left_as_it_was():
    model, (images, labels) = network().train(), pictures()
    model[1].eval()
    state, before = copy.deepcopy(model.state_dict()), images.clone()
    first = pgd(model, images, labels, eps_255=20, steps=3)
    assert torch.equal(first, pgd(model, images, labels, eps_255=20, steps=3))  # no dropout
    assert all(torch.equal(state[name], value) for name, value in model.state_dict().items())
    assert all(parameter.grad is None for parameter in model.parameters())
    assert [part.training for part in model] == [True, False, True, True, True, True]
    assert torch.equal(images, before)
    assert not first.requires_grad


def test_it_works_where_gradients_are_switched_off_around_it():
    model, (images, labels) = network(), pictures()
    with torch.no_grad():
        changed = fgsm(model, images, labels, eps_255=20)
    assert not torch.equal(changed, images)


# --- pixels ---------------------------------------------------------------------------------------


def test_standardising_is_inside_the_model():
    images, _ = pictures(channels=3)
    mean, std = (0.4, 0.5, 0.6), (0.2, 0.3, 0.4)
    wrapped = OnPixels(nn.Identity(), mean, std)
    for channel in range(3):
        expected = (images[:, channel] - mean[channel]) / std[channel]
        torch.testing.assert_close(wrapped(images)[:, channel], expected)
    assert not wrapped.state_dict()  # so that a checkpoint of the model itself still loads


def test_the_ball_is_one_of_pixels_whatever_the_standardising():
    images, labels = pictures()
    model = OnPixels(network(), 0.1307, 0.3081)
    for attack in (fgsm, pgd_of(4)):
        change = (attack(model, images, labels, eps_255=8) - images).abs().max().item()
        assert change == pytest.approx(8 / 255, abs=ROUNDING)


# --- a curve, and training against it -------------------------------------------------------------


def stripes(count=200):
    """Two classes that one strong pixel tells apart, and fifteen weak ones do, too."""
    torch.manual_seed(0)
    labels = torch.arange(count) % 2
    side = 2.0 * labels - 1
    images = 0.5 + 0.05 * side[:, None] + 0.02 * torch.randn(count, 16)
    images[:, 0] = 0.5 + 0.2 * side
    return Split(images.clamp(0, 1).reshape(-1, 1, 4, 4), labels)


def train(split, *, harden):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Flatten(), nn.Linear(16, 2))
    optimizer = torch.optim.Adam(model.parameters(), lr=0.05)
    for _ in range(60):
        batches = [split]
        if harden:
            batches = hardened(pgd_of(2), model, batches, eps_255=35)
        for images, labels in batches:
            loss = F.cross_entropy(model(images), labels)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    return model


def test_training_against_the_attack_makes_it_weaker():
    split = stripes()
    plain, hard = train(split, harden=False), train(split, harden=True)
    curves = [accuracy_against(pgd_of(3), model, split, [0, 35]) for model in (plain, hard)]
    assert [curve[0].accuracy for curve in curves] == [1, 1]
    assert curves[0][35].accuracy < 0.6
    assert curves[1][35].accuracy > 0.9


def test_a_hardened_batch_is_attacked_on_the_weights_of_its_turn():
    split = stripes(4)
    model = linear([1.0] * 16)
    turns = hardened(fgsm, model, [split, split], eps_255=10)
    first = next(turns)
    with torch.no_grad():
        model[1].weight.neg_()
    second = next(turns)
    torch.testing.assert_close(first.images - split.images, split.images - second.images)
    assert torch.equal(first.labels, split.labels)


def test_the_curve_is_of_all_pictures_and_at_0_that_of_the_pictures_themselves():
    split, model = stripes(600), linear([1.0] * 16)
    curve = accuracy_against(fgsm, model, split, [0, 2, 200])
    assert [len(answers.labels) for answers in curve.values()] == [600] * 3
    logits = model(split.images).detach()
    torch.testing.assert_close(curve[0].logits, logits)
    shift = curve[2].logits[:, 1] - logits[:, 1]
    torch.testing.assert_close(shift, (1 - 2.0 * split.labels) * 16 * 2 / 255)
    assert curve[200].correct == 0


# --- what is refused ------------------------------------------------------------------------------


@pytest.mark.parametrize("attack", [fgsm, pgd_of(1)], ids=["fgsm", "pgd"])
def test_standardised_pictures_are_refused_with_the_way_out(attack, refused):
    images, labels = pictures()
    with refused(
        "images from -0.42 to 2.82: must be pixels from 0 to 1, before standardising. "
        "Try: the pixels, and attacks.OnPixels(model, mean, std)."
    ):
        attack(network(), (images - 0.1307) / 0.3081, labels, eps_255=8)
    with refused(
        "images (6, 1, 4, 4) float32: some of the numbers are nan or infinite. "
        "Try: images.isfinite(), which says where."
    ):
        attack(network(), images * torch.nan, labels, eps_255=8)
    with refused("images (6, 1, 4, 4) uint8: must be floats. Try: images.float() / 255."):
        attack(network(), (255 * images).byte(), labels, eps_255=8)


def test_labels_that_do_not_fit_are_refused(refused):
    images, labels = pictures()
    with refused(
        "labels (5,) int64: must be int64, one for each of 6 images. "
        "Try: torch.full((6,), 3) for one class."
    ):
        fgsm(network(), images, labels[:5], eps_255=8)
    with refused(
        "labels (6,) float32: must be int64, one for each of 6 images. "
        "Try: torch.full((6,), 3) for one class."
    ):
        fgsm(network(), images, labels.float(), eps_255=8)
    with refused("labels of type int: must be a tensor (N,) of int64. Try: torch.tensor(labels)."):
        fgsm(network(), images, 3, eps_255=8)


@pytest.mark.parametrize("label", [3, -1, -100])
def test_a_label_that_is_no_class_is_refused(label, refused):
    """-100 is a number that cross-entropy leaves out: the picture would not be attacked at all."""
    images, _ = pictures(count=2)
    attempt = f"labels + {-label}" if label < 0 else "num_classes=4"
    with refused(
        f"label {label} found in the batch, but the model has classes 0 to 2. Labels start at 0. "
        f"Try: {attempt}."
    ):
        fgsm(network(), images, torch.tensor([0, label]), eps_255=8)


def test_a_network_that_gives_no_logits_or_takes_other_pictures_is_refused(refused):
    images, labels = pictures()
    with refused(
        "the model gives (6, 1, 4, 4): must be logits (N, classes). Try: a model that classifies."
    ):
        fgsm(nn.Identity(), images, labels, eps_255=8)
    with refused(
        "layer '0' (Conv2d) expects 3 channels, gets 1: the images are 1x4x4. "
        "Try: in_channels=1, or other images."
    ):
        fgsm(network(channels=3), images, labels, eps_255=8)
    with refused("images float32: the model is float64. Try: images.to(torch.float64)."):
        pgd(network().double(), images, labels, eps_255=8, steps=1)
    with refused(
        "image: the logits do not depend on it. "
        "Try: a model whose forward has no torch.no_grad() and no detach()."
    ):
        fgsm(nn.Sequential(Cut(), nn.Flatten(), nn.Linear(16, 3)), images, labels, eps_255=8)
    with refused(
        "model of type NoneType: must be a torch.nn.Module. "
        "Try: model=cnncourse.models.simple.SimpleCNN().",
        TypeError,
    ):
        fgsm(None, images, labels, eps_255=8)


class Cut(nn.Module):
    def forward(self, x):
        return x.detach()


def test_a_curve_asks_for_strengths_and_a_split_that_fits(refused):
    split, model = stripes(4), linear([1.0] * 16)
    with refused("eps_255=8: must be a list. Try: eps_255=[8]."):
        accuracy_against(fgsm, model, split, 8)
    with refused(
        "label 5 found in split, but the model has classes 0 to 1. Labels start at 0. "
        "Try: labels - 5."
    ):
        accuracy_against(fgsm, model, split._replace(labels=torch.full((4,), 5)), [8])
    with refused(
        "split has 0 images and 0 labels: must be as many, and at least one. "
        "Try: the same indices for both."
    ):
        accuracy_against(fgsm, model, Split(split.images[:0], split.labels[:0]), [8])


@pytest.mark.parametrize("eps", [-1, 256, float("nan"), True, "8"])
def test_a_strength_that_cannot_be_is_refused(eps, refused):
    rule = "must be a number from 0 to 255, in 1/255 of the range from black to white"
    with refused(f"eps_255={eps!r}: {rule}. Try: eps_255=8."):
        attacks.fgsm(network(), *pictures(), eps_255=eps)


def test_no_steps_and_no_spread_are_refused(refused):
    with refused("steps=0: must be a whole number, 1 or more. Try: steps=1."):
        pgd(network(), *pictures(), eps_255=8, steps=0)
    with refused("steps=0: must be a whole number, 1 or more. Try: steps=1."):
        pgd_of(0)
    for std in (0.0, -1.0, float("nan"), float("inf")):
        with refused(f"std={std}: must be above 0, and finite. Try: std=1.0."):
            OnPixels(network(), 0.1, std)
    with refused("mean=nan: must be finite. Try: mean=0.0."):
        OnPixels(network(), float("nan"), 1.0)
    with refused("mean='gray': must be a number, or one for each channel. Try: mean=0.5."):
        OnPixels(network(), "gray", 1.0)
    with refused(
        "mean of 3 numbers, std of 2: must be one each, or one for each channel. Try: std=1.0."
    ):
        OnPixels(network(), (0.1, 0.2, 0.3), (1.0, 1.0))


@pytest.mark.parametrize(("mean", "std"), [(0.5, (1.0, 2.0)), ((0.1, 0.2), 1.0), (0.5, 1.0)])
def test_one_number_stands_for_all_channels(mean, std):
    images = torch.rand(1, 2, 3, 3)
    for channel, out in enumerate(OnPixels(nn.Identity(), mean, std)(images)[0]):
        own = [value[channel] if isinstance(value, tuple) else value for value in (mean, std)]
        torch.testing.assert_close(out, (images[0, channel] - own[0]) / own[1])
