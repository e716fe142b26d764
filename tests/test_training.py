import itertools
import math

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from cnncourse import augment, training
from cnncourse.data import Split
from cnncourse.measure import evaluate
from cnncourse.models.simple import SimpleCNN


def random_split(count, *, seed=0, size=6, channels=1, classes=3):
    generator = torch.Generator().manual_seed(seed)
    images = torch.rand(count, channels, size, size, generator=generator)
    return Split(images, torch.arange(count) % classes)


TRAIN, VALIDATION = random_split(10), random_split(4, seed=1)


def small_cnn():
    """Every kind of layer that has a mode or random numbers; 6 x 6 px, three classes."""
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(1, 4, 3),
        nn.BatchNorm2d(4),
        nn.ReLU(),
        nn.Flatten(),
        nn.Dropout(0.5),
        nn.Linear(64, 3),
    )


def linear(features=36, classes=3):
    torch.manual_seed(0)
    return nn.Sequential(nn.Flatten(), nn.Linear(features, classes))


def fit(model, train=TRAIN, validation=VALIDATION, *, lr=0.1, **options):
    options = {"epochs": 2, "batch_size": 4, "device": "cpu"} | options
    optimizer = torch.optim.SGD(model.parameters(), lr=lr, momentum=0.9)
    return training.fit(model, train, validation, optimizer=optimizer, **options)


def state(model):
    return {name: value.clone() for name, value in model.state_dict().items()}


def same(one, other):
    return all(torch.equal(value, other[name]) for name, value in one.items())


# What fit returns


def test_averages_are_over_images_not_batches():
    """With lr=0 nothing moves, so batches of 4, 4 and 2 must give the mean of the ten."""
    model = linear()
    loss = F.cross_entropy(model(TRAIN.images), TRAIN.labels).item()
    right = (model(TRAIN.images).argmax(1) == TRAIN.labels).float().mean().item()
    with pytest.warns(UserWarning, match="lr=0, so no weight will move"):
        (epoch,) = fit(model, lr=0.0, epochs=1).epochs
    assert epoch.train_loss == pytest.approx(loss)
    assert epoch.train_accuracy == pytest.approx(right)


def test_validation_is_measured_after_the_epoch_in_eval_mode():
    model = small_cnn()
    measured = []

    def reporter(_progress):
        measured.append(evaluate(model, VALIDATION))

    history = fit(model, batch_size=10, epochs=3, reporters=[reporter])
    after = measured[1::2]  # told after the one batch, and after the epoch
    assert history.column("validation_loss") == [evaluation.loss for evaluation in after]
    assert history.column("validation_accuracy") == [evaluation.accuracy for evaluation in after]


def test_a_history_is_a_table_of_epochs_counted_from_1():
    history = fit(linear(), epochs=3)
    assert history.column("epoch") == [1, 2, 3]
    assert history.stopped == ""
    assert list(history.rows()[2]) == [
        "epoch",
        "train_loss",
        "train_accuracy",
        "validation_loss",
        "validation_accuracy",
        "seconds",
        "images_per_second",
    ]
    for epoch in history.epochs:
        assert epoch.seconds * epoch.images_per_second == pytest.approx(10)


def test_nothing_is_printed(capfd):
    fit(small_cnn())
    assert capfd.readouterr() == ("", "")


def test_a_separable_problem_is_learned_to_100_percent():
    """The left half is bright, or the right half: three of four pixels would do."""
    labels = torch.arange(40) % 2
    images = torch.rand(40, 1, 2, 2, generator=torch.Generator().manual_seed(0)) * 0.4
    images[labels == 0, :, :, 0] += 0.6
    images[labels == 1, :, :, 1] += 0.6
    split = Split(images, labels)
    history = fit(linear(4, 2), split, split, epochs=10, lr=0.5, batch_size=8)
    assert history.epochs[-1].validation_accuracy == 1
    assert history.epochs[-1].train_accuracy == 1


# The loop


@pytest.mark.parametrize("augmentation", [None, augment.Affine(degrees=20, shift_px=1)])
def test_fit_is_the_plain_loop_bit_by_bit(augmentation):
    ours, theirs = small_cnn(), small_cnn()
    fit(ours, epochs=3, seed=5, lr=0.05, augmentation=augmentation)

    optimizer = torch.optim.SGD(theirs.parameters(), lr=0.05, momentum=0.9)
    for epoch in (1, 2, 3):
        theirs.train()
        torch.manual_seed(augment.mixed_seed(5, epoch, purpose=2))  # of dropout
        for index in augment.order(10, seed=5, epoch=epoch).split(4):
            images, labels = TRAIN.images[index], TRAIN.labels[index]
            if augmentation:
                images = augmentation(images, augmentation.draws(10, seed=5, epoch=epoch)[index])
            loss = F.cross_entropy(theirs(images), labels)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()

    assert same(state(ours), state(theirs))


def test_label_smoothing_changes_what_is_descended_and_not_what_is_measured():
    """One step by hand: a tenth of the target is spread over the three classes."""
    ours, theirs = linear(), linear()
    plain = F.cross_entropy(theirs(TRAIN.images), TRAIN.labels).item()
    (epoch,) = fit(ours, epochs=1, batch_size=10, lr=0.1, label_smoothing=0.1).epochs
    assert epoch.train_loss == pytest.approx(plain)

    targets = F.one_hot(TRAIN.labels, 3) * 0.9 + 0.1 / 3
    (-(targets * F.log_softmax(theirs(TRAIN.images), dim=1)).sum(dim=1).mean()).backward()
    expected = theirs[1].weight - 0.1 * theirs[1].weight.grad
    torch.testing.assert_close(ours[1].weight, expected)


def test_the_same_seed_twice_is_bit_identical_and_another_seed_is_not():
    augmentation = augment.Affine(degrees=10, shift_px=1)
    models = [small_cnn() for _ in range(3)]
    histories = [
        fit(model, seed=seed, augmentation=augmentation)
        for model, seed in zip(models, (1, 1, 2), strict=True)
    ]
    first, again, other = map(state, models)
    assert same(first, again)
    assert not same(first, other)
    for column in ("train_loss", "validation_loss", "train_accuracy"):
        assert histories[0].column(column) == histories[1].column(column)


def test_the_callers_random_numbers_neither_matter_nor_move():
    first, again = small_cnn(), small_cnn()
    torch.manual_seed(1)
    fit(first)
    torch.manual_seed(2)
    before = torch.get_rng_state()
    fit(again)
    assert torch.equal(torch.get_rng_state(), before)
    assert same(state(first), state(again))


def test_validation_never_trains():
    """Neither weights, nor statistics, nor the random numbers of dropout."""
    first, again = small_cnn(), small_cnn()
    fit(first)
    fit(again, validation=random_split(9, seed=7))
    assert same(state(first), state(again))


@pytest.mark.parametrize("fails", [False, True])
def test_every_module_is_left_in_its_own_mode(fails):
    model = small_cnn()
    model.train()
    model[1].eval()
    before = [module.training for module in model.modules()]
    if fails:
        with pytest.raises(training.NonFiniteLoss):
            fit(model, lr=1e30)
    else:
        fit(model)
    assert [module.training for module in model.modules()] == before


def test_training_is_in_train_mode_after_each_validation():
    """A model that was handed over in eval mode trains with dropout and batch statistics."""
    one, other = small_cnn().train(), small_cnn().eval()
    fit(one)
    fit(other)
    assert same(state(one), state(other))
    assert not torch.equal(one[1].running_mean, small_cnn()[1].running_mean)


def test_the_schedule_steps_after_every_batch():
    model = linear()
    optimizer = torch.optim.SGD(model.parameters(), lr=1.0)
    schedule = torch.optim.lr_scheduler.StepLR(optimizer, step_size=1, gamma=0.5)
    rates = []
    training.fit(
        model,
        TRAIN,
        VALIDATION,
        epochs=1,
        batch_size=4,
        optimizer=optimizer,
        schedule=schedule,
        device="cpu",
        reporters=[lambda progress: rates.append(schedule.get_last_lr()[0])],
    )
    assert rates == [0.5, 0.25, 0.125, 0.125]  # three batches, then the end of the epoch


# Reporters


def test_reporters_are_told_after_every_batch_and_every_epoch():
    told = []

    def reporter(progress):
        told.append((progress.epoch, progress.batch, progress.epoch_ended))
        assert (progress.epochs, progress.batches) == (2, 3)

    fit(linear(), reporters=[reporter])
    epochs = [
        [(epoch, 1, False), (epoch, 2, False), (epoch, 3, False), (epoch, 3, True)]
        for epoch in (1, 2)
    ]
    assert told == list(itertools.chain(*epochs))


def test_a_reporter_sees_the_history_and_the_weights_as_they_are():
    model, seen = linear(), []

    def reporter(progress):
        seen.append((len(progress.history.epochs), state(model)))

    history = fit(model, epochs=2, batch_size=10, reporters=[reporter])
    assert [count for count, _weights in seen] == [0, 1, 1, 2]
    assert not same(seen[1][1], seen[2][1])  # told after the step, not before
    assert same(seen[3][1], state(model))
    assert len(history.epochs) == 2


def test_every_reporter_is_told():
    told = []
    fit(
        linear(),
        epochs=1,
        batch_size=10,
        reporters=[lambda _: told.append(1), lambda _: told.append(2)],
    )
    assert told == [1, 2, 1, 2]


# Ctrl-C


def interrupt(*, epoch, batch, ended=False):
    def reporter(progress):
        if (progress.epoch, progress.batch, progress.epoch_ended) == (epoch, batch, ended):
            raise KeyboardInterrupt

    return reporter


@pytest.mark.parametrize(
    ("where", "finished", "stopped"),
    [
        ({"epoch": 1, "batch": 1}, 0, "interrupted in epoch 1 of 3"),
        ({"epoch": 2, "batch": 2}, 1, "interrupted in epoch 2 of 3"),
        ({"epoch": 2, "batch": 3}, 1, "interrupted in epoch 2 of 3"),
        ({"epoch": 2, "batch": 3, "ended": True}, 2, "interrupted after epoch 2 of 3"),
    ],
)
def test_ctrl_c_keeps_the_finished_epochs_and_what_was_learned(where, finished, stopped):
    model, untouched = small_cnn(), small_cnn()
    model.train()
    random = torch.get_rng_state()
    history = fit(model, epochs=3, reporters=[interrupt(**where)])
    whole = fit(untouched, epochs=3)
    assert history.stopped == stopped
    assert history.column("train_loss") == whole.column("train_loss")[:finished]
    assert not same(state(model), state(small_cnn()))
    assert model.training
    assert torch.equal(torch.get_rng_state(), random)


def test_ctrl_c_while_validating_keeps_the_finished_epochs(monkeypatch):
    real, calls = training.evaluate, []

    def interrupted(*arguments, **options):
        calls.append(arguments)
        if len(calls) == 2:  # after epoch 1, after epoch 2
            raise KeyboardInterrupt
        return real(*arguments, **options)

    monkeypatch.setattr(training, "evaluate", interrupted)
    history = fit(linear(), epochs=3)
    assert (len(history.epochs), history.stopped) == (1, "interrupted in epoch 2 of 3")


# A reporter that fails


def failing(error, *, epoch, ended):
    def broken(progress):
        if (progress.epoch, progress.epoch_ended) == (epoch, ended):
            raise error

    return broken


@pytest.mark.parametrize(("ended", "batch", "finished"), [(False, 1, 1), (True, 3, 2)])
def test_a_reporter_that_raises_is_named_and_loses_no_epoch(refused, ended, batch, finished):
    model, whole = small_cnn(), small_cnn()
    model.train()
    random, error = torch.get_rng_state(), FloatingPointError("mine")  # no word on the loss
    sentence = (
        f"reporter 'broken' raised FloatingPointError: mine (epoch 2 of 3, batch {batch}). The "
        "model keeps what it learned, .history has the finished epochs. Try: reporters without "
        "it; with run_dir, resume=True."
    )
    with refused(sentence, training.ReporterFailed) as caught:
        fit(model, epochs=3, reporters=[failing(error, epoch=2, ended=ended)])
    assert caught.value.__cause__ is error
    kept = fit(whole, epochs=finished)
    assert caught.value.history.column("train_loss") == kept.column("train_loss")
    if ended:
        assert same(state(model), state(whole))
    assert model.training
    assert torch.equal(torch.get_rng_state(), random)


def test_what_ends_training_from_outside_while_a_reporter_runs_is_not_the_reporters():
    """torchrun's SIGTERM may come at any line, also at one of a reporter."""
    error = ConnectionError("another one ended")
    with pytest.raises(ConnectionError, match="another one ended"):
        fit(linear(), reporters=[failing(error, epoch=1, ended=False)])


# A loss that is no number


NAN, INF = float("nan"), float("inf")


def poison(model, value, *, epoch, batch):
    """A reporter that puts value into the weights, as a step too large would."""

    def reporter(progress):
        if (progress.epoch, progress.batch, progress.epoch_ended) == (epoch, batch, False):
            with torch.no_grad():
                model[-1].bias[0] = value

    return reporter


@pytest.mark.parametrize(
    ("value", "batch", "loss"),
    [(NAN, 1, "nan"), (NAN, 2, "nan"), (INF, 1, "nan"), (-INF, 1, "inf")],  # -log(0) is inf
)
def test_a_loss_that_is_nan_or_infinite_gives_the_last_good_epoch_back(refused, value, batch, loss):
    model, good = small_cnn(), small_cnn()
    sentence = (
        f"loss became {loss} in batch {batch + 1} of epoch 2 (the model is back at epoch 1). Most "
        "often the learning rate is too high. Try: lr=0.01 (now 0.1)."
    )
    with refused(sentence, training.NonFiniteLoss) as caught:
        fit(model, epochs=3, reporters=[poison(model, value, epoch=2, batch=batch)])
    kept = fit(good, epochs=1)
    assert same(state(model), state(good))
    assert caught.value.history.column("train_loss") == kept.column("train_loss")


def test_a_last_batch_that_breaks_the_weights_is_noticed_too(refused):
    """No training loss is nan then: the validation's is, and the epoch does not count."""
    model, good = small_cnn(), small_cnn()
    sentence = (
        "loss became nan on the validation images of epoch 2 (the model is back at epoch 1). Most "
        "often the learning rate is too high. Try: lr=0.01 (now 0.1)."
    )
    with refused(sentence, training.NonFiniteLoss) as caught:
        fit(model, epochs=2, reporters=[poison(model, NAN, epoch=2, batch=3)])
    fit(good, epochs=1)
    assert same(state(model), state(good))
    assert len(caught.value.history.epochs) == 1


def test_a_learning_rate_far_too_high_gives_the_first_weights_back():
    model = small_cnn()
    with pytest.raises(training.NonFiniteLoss) as caught:
        fit(model, lr=1e30)
    assert str(caught.value).startswith(
        "loss became nan in batch 2 of epoch 1 (the model is back at the weights it began with)."
    )
    assert str(caught.value).endswith("Try: lr=1e+29 (now 1e+30).")
    assert caught.value.history.epochs == []
    assert same(state(model), state(small_cnn()))


# What is refused

DIGITS = Split(torch.zeros(3, 1, 28, 28), torch.tensor([0, 4, 9]))


def digits(**changes):
    return DIGITS._replace(**changes)


BAD_NUMBERS = [
    ({"epochs": 0}, "epochs=0: must be a whole number, 1 or more. Try: epochs=1."),
    ({"epochs": 2.5}, "epochs=2.5: must be a whole number, 1 or more. Try: epochs=1."),
    ({"batch_size": 0}, "batch_size=0: must be a whole number, 1 or more. Try: batch_size=1."),
    ({"batch_size": -4}, "batch_size=-4: must be a whole number, 1 or more. Try: batch_size=1."),
    ({"seed": -1}, "seed=-1: must be a whole number, 0 or more. Try: seed=0."),
    (
        {"device": "gpu"},
        "device='gpu': torch's names are 'cuda' (Nvidia, AMD) and 'mps' (Apple). "
        "Try: device='auto'.",
    ),
    (
        {"label_smoothing": 1.0},
        "label_smoothing=1.0: must be from 0 (none) to below 1. Try: label_smoothing=0.1.",
    ),
    ({"device": "cud"}, "'cud': unknown device. Did you mean 'cuda'? Known: auto, cpu, cuda, mps."),
    (
        {"device": "cuda:first"},
        "'cuda:first': unknown device. Did you mean 'cuda'? Known: auto, cpu, cuda, mps.",
    ),
    (
        {"device": "cuda:-1"},
        "'cuda:-1': unknown device. Did you mean 'cuda'? Known: auto, cpu, cuda, mps.",
    ),
    (
        {"device": "cpu:1"},
        "device='cpu:1': there are 1 here. Try: device='auto' (takes what there is).",
    ),
]


@pytest.mark.parametrize(("options", "sentence"), BAD_NUMBERS)
def test_numbers_and_devices_that_cannot_be_are_refused(refused, options, sentence):
    with refused(sentence):
        fit(SimpleCNN(), DIGITS, DIGITS, **options)


# Precision and layout


def test_channels_last_gives_the_same_to_rounding_and_lays_out_model_and_images():
    coloured = [random_split(count, seed=count, channels=3) for count in (10, 4)]
    layouts, losses = {}, {}

    class Spy(nn.Conv2d):
        def forward(self, images):
            if self.training:
                layouts[channels_last].add(images.stride()[1] == 1)
            return super().forward(images)

    for channels_last in (False, True):
        layouts[channels_last] = set()
        torch.manual_seed(0)
        model = nn.Sequential(Spy(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(64, 3))
        history = fit(model, *coloured, channels_last=channels_last, epochs=3)
        losses[channels_last] = history.column("train_loss")
        assert (model[0].weight.stride()[1] == 1) is channels_last
    assert layouts == {False: {False}, True: {True}}
    assert losses[True] == pytest.approx(losses[False], rel=1e-5)


@pytest.mark.parametrize("precision", ["float16", "bfloat16"])
def test_16_bits_learn_the_same_to_their_accuracy(precision):
    """The loss is float32's; batch normalisation and weights are, too."""
    whole, half = linear(), linear()
    expected = fit(whole, epochs=5).column("validation_loss")
    history = fit(half, epochs=5, precision=precision)
    assert half[1].weight.dtype == torch.float32
    assert history.column("validation_loss") != expected
    assert history.column("validation_loss") == pytest.approx(expected, abs=0.02)


def test_a_step_that_float16_left_out_is_not_one_of_the_schedule():
    """Pixels up to 20 make scaled gradients overflow, until the scale was halved often enough."""
    bright = Split(TRAIN.images * 20, TRAIN.labels)
    model = linear()
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-3)
    schedule = torch.optim.lr_scheduler.StepLR(optimizer, step_size=1, gamma=0.5)
    scalers = []

    class Watched(torch.amp.GradScaler):
        def __init__(self, device):
            super().__init__(device)
            scalers.append(self)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(torch.amp, "GradScaler", Watched)
        training.fit(
            model, bright, VALIDATION, epochs=2, batch_size=4, optimizer=optimizer,
            schedule=schedule, precision="float16", device="cpu",
        )  # fmt: skip
    left_out = math.log2(65_536 / scalers[0].get_scale())
    assert 0 < left_out < 6
    assert optimizer.param_groups[0]["lr"] == pytest.approx(1e-3 * 0.5 ** (6 - left_out))


# On a GPU


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU")
def test_on_a_gpu_the_same_is_learned_and_the_gpus_random_numbers_stay():
    on_cpu, on_gpu = linear(), linear()
    before = torch.cuda.get_rng_state()
    here, there = fit(on_cpu, device="cpu"), fit(on_gpu, device="cuda")
    assert next(on_gpu.parameters()).is_cuda
    assert torch.equal(torch.cuda.get_rng_state(), before)
    assert there.column("train_loss") == pytest.approx(here.column("train_loss"), rel=1e-4)
