import numpy as np
import pytest
import torch
from torch.nn import functional as F

from cnncourse.ops.batch_norm import batch_norm, batch_norm_backward

FRESH = {"running_mean": np.zeros(1), "running_var": np.ones(1)}  # as a new layer has them


def four_pixels(*values):
    """One image, one channel."""
    return np.array(values, float).reshape(1, 1, 2, 2)


# --- by hand --------------------------------------------------------------------------------------


def test_in_training_a_channel_is_taken_to_its_mean_and_deviation():
    images = four_pixels(1, 1, 3, 3)  # mean 2, variance 1; 1 + 3 has a root
    result = batch_norm(images, np.ones(1), np.zeros(1), training=True, eps=3, **FRESH)
    assert result.output.tolist() == four_pixels(-0.5, -0.5, 0.5, 0.5).tolist()


def test_then_it_is_scaled_by_weight_and_moved_by_bias():
    images = four_pixels(1, 1, 3, 3)
    result = batch_norm(images, np.full(1, 4.0), np.full(1, 7.0), training=True, eps=3, **FRESH)
    assert result.output.tolist() == four_pixels(5, 5, 9, 9).tolist()


def test_the_running_variance_takes_the_unbiased_one_and_momentum_weighs_the_new_value():
    images = four_pixels(1, 1, 3, 3)  # squares sum to 4: biased 4 / 4, unbiased 4 / 3
    result = batch_norm(images, np.ones(1), np.zeros(1), training=True, momentum=0.75, **FRESH)
    assert result.running_mean.tolist() == [0.25 * 0 + 0.75 * 2]
    assert result.running_var == pytest.approx([0.25 * 1 + 0.75 * 4 / 3])


def test_momentum_is_a_tenth_unless_told():
    result = batch_norm(four_pixels(1, 1, 3, 3), np.ones(1), np.zeros(1), training=True, **FRESH)
    assert result.running_mean == pytest.approx([0.2])
    assert result.running_var == pytest.approx([0.9 + 0.1 * 4 / 3])


def test_outside_training_the_running_statistics_are_used_and_stay():
    mean, var = np.full(1, 10.0), np.full(1, 13.0)
    result = batch_norm(
        four_pixels(10, 10, 14, 18),
        np.ones(1),
        np.zeros(1),
        running_mean=mean,
        running_var=var,
        training=False,
        eps=3,
    )
    assert result.output.tolist() == four_pixels(0, 0, 1, 2).tolist()
    assert (result.running_mean.tolist(), result.running_var.tolist()) == ([10], [13])


@pytest.mark.parametrize("training", [True, False])
def test_nothing_that_came_in_is_changed(rng, training):
    images = rng.normal(size=(2, 1, 3, 3))
    arrays = [images, np.ones(1), np.zeros(1), np.zeros(1), np.ones(1)]
    copies = [array.copy() for array in arrays]
    images, weight, bias, mean, var = arrays
    batch_norm(images, weight, bias, running_mean=mean, running_var=var, training=training)
    for array, copy in zip(arrays, copies, strict=True):
        np.testing.assert_array_equal(array, copy)


def test_outside_training_one_pixel_or_none_will_do():
    one = np.ones((1, 1, 1, 1))
    result = batch_norm(one, np.ones(1), np.zeros(1), training=False, **FRESH)
    assert result.output == pytest.approx(1, abs=1e-5)
    none = batch_norm(one[:0], np.ones(1), np.zeros(1), training=False, **FRESH)
    assert none.output.shape == (0, 1, 1, 1)


def test_float32_stays_float32(rng):
    ones, zeros = np.ones(2, np.float32), np.zeros(2, np.float32)
    images = rng.normal(size=(2, 2, 3, 3)).astype(np.float32)
    arrays = [
        *batch_norm(images, ones, zeros, running_mean=zeros, running_var=ones, training=True),
        *batch_norm_backward(images, images, ones),
    ]
    assert {array.dtype.name for array in arrays} == {"float32"}


# --- against torch and against differences --------------------------------------------------------


def some_batch(rng):
    """Images, and four numbers for each of their channels."""
    shape = rng.integers((2, 1, 1, 1), 5)
    images = rng.normal(rng.normal(), rng.uniform(0.1, 3), size=shape)
    return images, *rng.normal(size=(3, shape[1])), rng.uniform(0.1, 3, shape[1])


@pytest.mark.parametrize("training", [True, False])
def test_output_and_running_statistics_are_torchs(rng, training):
    for _ in range(100):
        images, weight, bias, mean, var = some_batch(rng)
        momentum, eps = float(rng.choice([0, 0.1, 0.37, 1])), float(rng.choice([1e-5, 1e-3, 0.5]))
        options = {"training": training, "momentum": momentum, "eps": eps}
        found = batch_norm(images, weight, bias, running_mean=mean, running_var=var, **options)
        theirs = [torch.tensor(array) for array in (images, mean, var, weight, bias)]
        expected = (F.batch_norm(*theirs, **options), theirs[1], theirs[2])  # changed in place
        for ours, torchs in zip(found, expected, strict=True):
            np.testing.assert_allclose(ours, torchs, atol=1e-12)


def test_gradients_are_autograds(rng):
    for _ in range(100):
        images, weight, bias, _, _ = some_batch(rng)
        grad_output, eps = rng.normal(size=images.shape), float(rng.choice([1e-5, 1e-3, 0.5]))
        inputs = [torch.tensor(array, requires_grad=True) for array in (images, weight, bias)]
        output = F.batch_norm(inputs[0], None, None, *inputs[1:], training=True, eps=eps)
        output.backward(torch.tensor(grad_output))
        found = batch_norm_backward(grad_output, images, weight, eps=eps)
        for ours, tensor in zip(found, inputs, strict=True):
            np.testing.assert_allclose(ours, tensor.grad, atol=1e-10)


def test_eps_is_a_hundred_thousandth_unless_told(rng):
    images, weight, bias, mean, var = some_batch(rng)
    options = {"running_mean": mean, "running_var": var * 1e-5, "training": False}
    found = batch_norm(images, weight, bias, **options).output
    expected = batch_norm(images, weight, bias, **options, eps=0.00001).output
    np.testing.assert_array_equal(found, expected)
    found = batch_norm_backward(images, images * 1e-3, weight).images
    np.testing.assert_array_equal(
        found, batch_norm_backward(images, images * 1e-3, weight, eps=0.00001).images
    )


def test_gradients_are_the_slopes_of_the_loss(rng):
    images, weight, bias = rng.normal(size=(2, 2, 2, 3)), rng.normal(size=2), rng.normal(size=2)
    grad_output = rng.normal(size=images.shape)
    fresh = {"running_mean": np.zeros(2), "running_var": np.ones(2), "training": True}

    def loss(arrays):
        return (batch_norm(*arrays, **fresh).output * grad_output).sum()

    grads = batch_norm_backward(grad_output, images, weight)
    for number, grad in enumerate(grads):
        for place in np.ndindex(grad.shape):
            values = []
            for step in (1e-5, -1e-5):
                arrays = [images.copy(), weight.copy(), bias.copy()]
                arrays[number][place] += step
                values.append(loss(arrays))
            assert grad[place] == pytest.approx((values[0] - values[1]) / 2e-5, abs=1e-6)


def test_a_channel_learns_nothing_from_a_constant_because_the_mean_is_taken_off(rng):
    images = rng.normal(size=(2, 3, 4, 4))
    grads = batch_norm_backward(rng.normal(size=images.shape), images, np.ones(3)).images
    np.testing.assert_allclose(grads.sum(axis=(0, 2, 3)), 0, atol=1e-12)


# --- what is refused ------------------------------------------------------------------------------

BATCH = np.arange(24.0).reshape(2, 3, 2, 2)
FORWARD = {
    "images": BATCH,
    "weight": np.ones(3),
    "bias": np.zeros(3),
    "running_mean": np.zeros(3),
    "running_var": np.ones(3),
    "training": True,
}
BACKWARD = {"grad_output": BATCH, "images": BATCH, "weight": np.ones(3)}
ONE_PIXEL = "training needs more than 1 value per channel, this has"
CHANNELS = "must have one number a channel, (3,). Try: np.ones((3,))"
BAD = [
    (
        {"images": BATCH[0]},
        "images (3, 2, 2): must be a batch, (N, C, H, W). Try: images[None].",
    ),
    (
        {"images": BATCH[0, 0]},
        "images (2, 2): must be a batch, (N, C, H, W). Try: images[None, None].",
    ),
    (
        {"images": BATCH.astype(int)},
        "images of dtype int64: must be floats. Try: images.astype(float).",
    ),
    ({"weight": np.ones(2)}, f"weight (2,): {CHANNELS}."),
    ({"weight": None}, f"weight (): {CHANNELS}."),
    ({"eps": 0}, "eps=0: must be a number above 0. Try: eps=1e-05."),
]
BAD_FORWARD = [
    *BAD,
    (
        {"images": np.ones((1, 3, 1, 1))},
        f"images (1, 3, 1, 1): {ONE_PIXEL} 1. Try: training=False.",
    ),
    (
        {"images": np.ones((0, 3, 2, 2))},
        f"images (0, 3, 2, 2): {ONE_PIXEL} 0. Try: training=False.",
    ),
    ({"bias": np.ones((3, 1))}, f"bias (3, 1): {CHANNELS}."),
    ({"running_mean": np.ones(4)}, f"running_mean (4,): {CHANNELS}."),
    ({"running_var": np.ones((1, 3))}, f"running_var (1, 3): {CHANNELS}."),
    (
        {"running_mean": np.ones(3, int)},
        "running_mean of dtype int64: must be floats. Try: running_mean.astype(float).",
    ),
    ({"training": 1}, "training=1: must be True or False. Try: training=True."),
    ({"momentum": 1.1}, "momentum=1.1: must be a number from 0 to 1. Try: momentum=0.1."),
    ({"momentum": -0.1}, "momentum=-0.1: must be a number from 0 to 1. Try: momentum=0.1."),
    ({"momentum": None}, "momentum=None: must be a number from 0 to 1. Try: momentum=0.1."),
    ({"momentum": True}, "momentum=True: must be a number from 0 to 1. Try: momentum=0.1."),
]
BAD_BACKWARD = [
    *BAD,
    (
        {"grad_output": BATCH[0]},
        "grad_output (3, 2, 2): must have the shape of the output, (2, 3, 2, 2). "
        "Try: np.ones((2, 3, 2, 2)).",
    ),
    (
        {"grad_output": np.ones((1, 3, 1, 1)), "images": np.ones((1, 3, 1, 1))},
        f"images (1, 3, 1, 1): {ONE_PIXEL} 1. Try: np.ones((2, 3, 1, 1)).",
    ),
]


@pytest.mark.parametrize(("options", "sentence"), BAD_FORWARD)
def test_what_makes_no_sense_is_refused(refused, options, sentence):
    with refused(sentence):
        batch_norm(**FORWARD | options)


@pytest.mark.parametrize(("options", "sentence"), BAD_BACKWARD)
def test_what_makes_no_sense_has_no_gradient(refused, options, sentence):
    with refused(sentence):
        batch_norm_backward(**BACKWARD | options)


def test_torch_refuses_one_value_per_channel_too():
    with pytest.raises(ValueError, match="more than 1 value per channel"):
        F.batch_norm(torch.ones(1, 3, 1, 1), None, None, training=True)


def test_two_values_per_channel_are_enough():
    two = np.array([1.0, 3]).reshape(2, 1, 1, 1)
    result = batch_norm(two, np.ones(1), np.zeros(1), training=True, eps=3, **FRESH)
    assert result.output.ravel().tolist() == [-0.5, 0.5]
    assert result.running_var == pytest.approx([0.9 + 0.1 * 2])
