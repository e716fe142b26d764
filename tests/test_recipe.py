"""What is no part of a training, or does not fit the others, is refused before it begins."""

import copy
from functools import partial

import pytest
import torch
from torch import nn
from torch.optim import SGD, Adam, lr_scheduler

from cnncourse import augment, recipe, training
from cnncourse.data import Split

IMAGES = torch.rand(10, 1, 6, 6, generator=torch.Generator().manual_seed(0))
DATA = Split(IMAGES, torch.arange(10) % 3)
WEIGHTS = "so nothing would be learned. Try: "


def linear():
    torch.manual_seed(0)
    return nn.Sequential(nn.Flatten(), nn.Linear(36, 3))


def frozen(model):
    return model.requires_grad_(False)


def sgd(model, lr=0.1):
    return SGD(model.parameters(), lr=lr)


def fit(model, optimizer, **options):
    settings = {"epochs": 2, "batch_size": 4, "device": "cpu"} | options
    return training.fit(model, DATA, DATA, optimizer=optimizer, **settings)


@pytest.fixture
def untouched():
    """A model, which is to be as it was when the test ends."""
    model = linear()
    before = copy.deepcopy(model.state_dict())
    yield model
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


OPTIMIZERS = [
    (
        lambda model: None,
        TypeError,
        "optimizer=None: must be an optimiser of the model's weights. "
        "Try: torch.optim.SGD(model.parameters(), lr=0.01).",
    ),
    (
        lambda model: Adam,
        TypeError,
        "optimizer=Adam: must be an optimiser of the model's weights. "
        "Try: torch.optim.Adam(model.parameters(), lr=0.01).",
    ),
    (
        lambda model: torch.optim.LBFGS(model.parameters()),
        ValueError,
        "optimizer LBFGS: takes other steps than one a batch by its gradient. "
        "Try: torch.optim.Adam(model.parameters(), lr=0.001).",
    ),
    (
        lambda model: torch.optim.SparseAdam(model.parameters()),
        ValueError,
        "optimizer SparseAdam: takes other steps than one a batch by its gradient. "
        "Try: torch.optim.Adam(model.parameters(), lr=0.001).",
    ),
    (
        lambda model: sgd(copy.deepcopy(model)),
        ValueError,
        f"optimizer SGD: holds none of the model's weights, {WEIGHTS}"
        "torch.optim.SGD(model.parameters(), ...).",
    ),
    (
        lambda model: sgd(frozen(model)),
        ValueError,
        f"the model: all its weights are frozen, {WEIGHTS}"
        "model.requires_grad_(True), or for its last layer alone.",
    ),
    (
        lambda model: SGD([model[1].weight.requires_grad_(False)], lr=0.1),
        ValueError,
        f"optimizer SGD: holds only frozen ones of the model's weights, {WEIGHTS}"
        "torch.optim.SGD(model.parameters(), ...).",
    ),
]


@pytest.mark.parametrize(("made", "error", "sentence"), OPTIMIZERS)
def test_an_optimiser_that_cannot_train_the_model_is_refused(
    untouched, refused, made, error, sentence
):
    with refused(sentence, error):
        fit(untouched, made(untouched))


def test_an_optimiser_of_a_part_trains_that_part():
    model = nn.Sequential(nn.Flatten(), nn.Linear(36, 4), nn.Linear(4, 3))
    before = copy.deepcopy(model.state_dict())
    fit(model, sgd(model[2]))
    after = model.state_dict()
    moved = [name for name in before if not torch.equal(before[name], after[name])]
    assert moved == ["2.weight", "2.bias"]


def test_a_rate_of_0_is_warned_of_unless_a_schedule_raises_it():
    model = linear()
    with pytest.warns(UserWarning, match=r"SGD: lr=0, so no weight will move. Try: lr=0.001."):
        fit(model, sgd(model, lr=0.0))
    optimizer = sgd(model, lr=0.0)
    fit(model, optimizer, schedule=lr_scheduler.OneCycleLR(optimizer, 0.1, total_steps=6))


PLATEAU = (
    "schedule ReduceLROnPlateau: waits for a number after an epoch; here a schedule steps after "
    "every batch. Try: torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=steps)."
)
SCHEDULES = [
    (
        lambda optimizer: lr_scheduler.StepLR,
        TypeError,
        "schedule=StepLR: must be a schedule of the optimiser. "
        "Try: torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=steps).",
    ),
    (lr_scheduler.ReduceLROnPlateau, ValueError, PLATEAU),
    (
        lambda optimizer: lr_scheduler.StepLR(sgd(linear()), 3),
        ValueError,
        "schedule StepLR: is one of another optimiser, whose rate it would change. "
        "Try: the schedule made anew, with this optimizer.",
    ),
    (
        partial(lr_scheduler.OneCycleLR, max_lr=0.1, total_steps=5),
        ValueError,
        "schedule OneCycleLR: total_steps=5, and 2 epochs of 3 batches take 6 steps, one a batch. "
        "Try: total_steps=6.",
    ),
]


@pytest.mark.parametrize(("made", "error", "sentence"), SCHEDULES)
def test_a_schedule_that_does_not_fit_is_refused(untouched, refused, made, error, sentence):
    optimizer = sgd(untouched)
    with refused(sentence, error):
        fit(untouched, optimizer, schedule=made(optimizer))


def test_a_schedule_may_be_exactly_as_long_as_the_training_or_longer():
    for steps in (6, 7):
        model = linear()
        optimizer = sgd(model)
        fit(model, optimizer, schedule=lr_scheduler.OneCycleLR(optimizer, 0.1, total_steps=steps))


def test_a_resumed_run_has_its_schedules_steps_left_and_no_more(tmp_path, refused):
    """Five of six steps would be too few for two epochs, and are for the one that is left."""

    def train(epochs):
        model = linear()
        optimizer = sgd(model)
        options = {"schedule": lr_scheduler.OneCycleLR(optimizer, 0.1, total_steps=6)}
        return fit(model, optimizer, epochs=epochs, run_dir=tmp_path, resume=True, **options)

    train(1)
    assert len(train(2).epochs) == 2
    with refused(
        "schedule OneCycleLR: total_steps=6, and 3 epochs of 3 batches take 9 steps, one a batch. "
        "Try: total_steps=9."
    ):
        train(3)


def test_a_cosine_that_would_climb_again_is_warned_of():
    model = linear()
    optimizer = sgd(model)
    sentence = "T_max=2, and 2 epochs of 3 batches take 6 steps.*from step 2 on the rate climbs"
    with pytest.warns(UserWarning, match=sentence):
        fit(model, optimizer, schedule=lr_scheduler.CosineAnnealingLR(optimizer, T_max=2))
    optimizer = sgd(model)
    fit(model, optimizer, schedule=lr_scheduler.CosineAnnealingLR(optimizer, T_max=6))


REPORTERS = [
    (print, "reporters=print: must be a list of functions. Try: reporters=[print]."),
    (None, "reporters=None: must be a list of functions. Try: reporters=[]."),
    (
        [print, 3],
        "reporters has 3: must be functions of a Progress. "
        "Try: reporters=[lambda progress: print(progress.batch)].",
    ),
]


@pytest.mark.parametrize(("reporters", "sentence"), REPORTERS)
def test_reporters_that_cannot_be_called_are_refused(untouched, refused, reporters, sentence):
    with refused(sentence, TypeError):
        fit(untouched, sgd(untouched), reporters=reporters)


class Smaller(augment.Flip):
    def __call__(self, images, draws):
        return super().__call__(images, draws)[..., 1:]


DRAWN = "must be one of cnncourse.augment, whose draws come from the seed. Try: augmentation="
AUGMENTATIONS = [
    (augment.Flip, TypeError, f"augmentation=Flip: {DRAWN}Flip()."),
    (torch.fliplr, TypeError, f"augmentation=fliplr: {DRAWN}augment.Affine(degrees=10)."),
    ([augment.Flip()], TypeError, f"augmentation=list: {DRAWN}augment.Chain((..., ...))."),
    (
        augment.Affine(degrees=float("nan")),
        ValueError,
        "augmentation=Affine(degrees=nan, shift_px=0.0, fill=0.0): makes values that are not "
        "finite of images (2, 1, 6, 6) torch.float32. "
        "Try: one that keeps shape and type, without nan in its settings.",
    ),
    (
        Smaller(),
        ValueError,
        "augmentation=Smaller(probability=0.5): makes (2, 1, 6, 5) torch.float32 of images (2, 1, "
        "6, 6) torch.float32. Try: one that keeps shape and type, without nan in its settings.",
    ),
]


@pytest.mark.parametrize(("augmentation", "error", "sentence"), AUGMENTATIONS)
def test_what_is_no_augmentation_is_refused(untouched, refused, augmentation, error, sentence):
    with refused(sentence, error):
        fit(untouched, sgd(untouched), augmentation=augmentation)


class Noise:
    def draws(self, count, *, seed, epoch):
        return torch.zeros(count, 0)

    def __call__(self, images, draws):
        return images + torch.rand(images.shape)


def test_asking_an_augmentation_moves_no_random_numbers_of_the_caller():
    before = torch.get_rng_state()
    recipe.check_augmentation(Noise(), IMAGES)
    assert torch.equal(torch.get_rng_state(), before)
