import math

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from cnncourse.ops.pooling import avg_pool2d, max_pool2d
from cnncourse.ops.pooling_gradients import avg_pool2d_backward, max_pool2d_backward

# --- by hand --------------------------------------------------------------------------------------


def test_the_largest_pixel_gets_all_of_its_windows_gradient():
    image = np.array([[1.0, 4, 2, 2], [3, 2, 9, 1]])
    grads = max_pool2d_backward(np.array([[5.0, 7]]), image, 2)
    assert grads.tolist() == [[0, 5, 0, 0], [0, 0, 7, 0]]


def test_of_equal_pixels_the_first_gets_it():
    assert max_pool2d_backward([[1.0]], np.zeros((2, 2)), 2).tolist() == [[1, 0], [0, 0]]


def test_a_pixel_collects_from_every_window_that_it_wins():
    image = np.array([[0.0, 9, 0, 1]])
    grads = max_pool2d_backward(np.array([[1.0, 10, 100]]), image, (1, 2), stride=1)
    assert grads.tolist() == [[0, 11, 0, 100]]


def test_a_window_that_found_no_pixel_gives_its_gradient_to_none():
    options = {"stride": 1, "padding": 1, "dilation": 2}
    assert max_pool2d_backward([[3.0]], [[5.0]], 2, **options).tolist() == [[0]]


def test_every_pixel_of_a_mean_gets_an_equal_share():
    grads = avg_pool2d_backward(np.array([[4.0, 8]]), np.zeros((2, 4)), 2)
    assert grads.tolist() == [[1, 1, 2, 2], [1, 1, 2, 2]]


def test_shares_of_overlapping_windows_add_up():
    grads = avg_pool2d_backward(np.array([[2.0, 20]]), np.zeros((1, 3)), (1, 2), stride=1)
    assert grads.tolist() == [[1, 11, 10]]


def test_the_share_of_padding_is_lost_if_it_was_counted():
    image = np.zeros((1, 2))
    options = {"stride": 2, "padding": (0, 1)}
    assert avg_pool2d_backward([[4.0, 6]], image, (1, 2), **options).tolist() == [[2, 3]]
    options["count_include_pad"] = False
    assert avg_pool2d_backward([[4.0, 6]], image, (1, 2), **options).tolist() == [[4, 6]]


def test_pixels_that_no_window_sees_get_nothing():
    assert avg_pool2d_backward([[2.0]], np.zeros((1, 5)), (1, 2), stride=9).tolist() == [
        [1, 1, 0, 0, 0]
    ]


@pytest.mark.parametrize("backward", [max_pool2d_backward, avg_pool2d_backward])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_gradients_have_the_dtype_of_what_came_from_behind_and_an_empty_batch(backward, dtype):
    grads = backward(np.ones((0, 1, 2, 2), dtype), np.ones((0, 1, 4, 5), dtype), 2)
    assert (grads.shape, grads.dtype) == ((0, 1, 4, 5), dtype)
    assert backward(np.ones((1, 1), dtype), np.ones((2, 2)), 2).dtype == dtype


def test_what_came_is_left_as_it_was():
    images, grad_output = np.arange(4.0).reshape(2, 2), np.ones((1, 1))
    max_pool2d_backward(grad_output, images, 2)
    avg_pool2d_backward(grad_output, images, 2)
    assert images.tolist() == [[0, 1], [2, 3]]
    assert grad_output.tolist() == [[1]]


# --- against torch and against differences --------------------------------------------------------


def some_case(rng, number):
    """Images of few different numbers, so with ties, and settings of a window."""
    images = rng.integers(-2, 3, (*rng.integers(1, 3, number % 3), *rng.integers(1, 8, 2)))
    pairs = {"stride": (1, 4), "padding": (0, 3), "kernel_size": (1, 5)}
    options = {name: tuple(rng.integers(*ends, 2).tolist()) for name, ends in pairs.items()}
    if number % 4 == 0:
        options["stride"] = None
    return images.astype(float), options | {"ceil_mode": bool(rng.integers(2))}


def check_against_autograd(rng, pool, backward, their_pool, own_options):
    """Number of 600 random settings that torch accepts; on those the gradients must agree."""
    accepted = 0
    for number in range(600):
        images, options = some_case(rng, number)
        options |= own_options(rng)
        try:
            output = pool(images, **options)
        except ValueError:
            continue
        if np.isneginf(output).any():
            continue  # a window without a pixel, for which torch writes to a wrong place
        planes = torch.tensor(images if images.ndim > 2 else images[None], requires_grad=True)
        grad_output = rng.normal(size=output.shape)
        result = their_pool(planes, **options)
        result.backward(torch.tensor(grad_output).reshape(result.shape))
        grads = backward(grad_output, images, **options)
        expected = planes.grad.numpy().reshape(images.shape)
        np.testing.assert_allclose(grads, expected, atol=1e-12, err_msg=str(options))
        accepted += 1
    return accepted


def test_gradients_of_max_pooling_are_autograds(rng):
    accepted = check_against_autograd(
        rng,
        max_pool2d,
        max_pool2d_backward,
        F.max_pool2d,
        lambda rng: {"dilation": tuple(rng.integers(1, 3, 2).tolist())},
    )
    assert accepted > 150


def test_gradients_of_average_pooling_are_autograds(rng):
    accepted = check_against_autograd(
        rng,
        avg_pool2d,
        avg_pool2d_backward,
        F.avg_pool2d,
        lambda rng: {"count_include_pad": bool(rng.integers(2))},
    )
    assert accepted > 150


@pytest.mark.parametrize(
    ("pool", "backward", "options"),
    [
        (max_pool2d, max_pool2d_backward, {"kernel_size": 3, "stride": 2, "padding": 1}),
        (max_pool2d, max_pool2d_backward, {"kernel_size": 2, "dilation": 2, "ceil_mode": True}),
        (avg_pool2d, avg_pool2d_backward, {"kernel_size": 3, "stride": 2, "padding": 1}),
        (avg_pool2d, avg_pool2d_backward, {"kernel_size": (2, 3), "ceil_mode": True}),
    ],
)
def test_gradients_are_the_slopes_of_the_loss(rng, pool, backward, options):
    images = rng.permutation(60).reshape(2, 5, 6) / 60  # no ties: a maximum has no slope there
    weights = rng.normal(size=pool(images, **options).shape)
    grads = backward(weights, images, **options)
    for place in np.ndindex(images.shape):
        step = np.zeros(images.shape)
        step[place] = 1e-4
        up, down = pool(images + step, **options), pool(images - step, **options)
        slope = ((up - down) * weights).sum() / 2e-4
        assert grads[place] == pytest.approx(slope, abs=1e-9)


# --- what is refused ------------------------------------------------------------------------------

BACKWARD = [max_pool2d_backward, avg_pool2d_backward]


@pytest.mark.parametrize("backward", BACKWARD)
@pytest.mark.parametrize(
    ("grad_output", "sentence"),
    [
        (
            np.ones((4, 6)),
            "grad_output (4, 6): must have the shape of the output, (2, 3). Try: np.ones((2, 3)).",
        ),
        (
            np.ones((1, 2, 3)),
            "grad_output (1, 2, 3): must have the shape of the output, (2, 3). "
            "Try: np.ones((2, 3)).",
        ),
        (
            np.ones((2, 3), int),
            "grad_output of dtype int64: must be floats. Try: grad_output.astype(float).",
        ),
    ],
)
def test_a_gradient_that_does_not_fit_is_refused(refused, backward, grad_output, sentence):
    with refused(sentence):
        backward(grad_output, np.ones((4, 6)), 2)
    attempt = eval(sentence.split("Try: ")[1][:-1], {"np": np, "grad_output": grad_output})
    assert backward(attempt, np.ones((4, 6)), 2).shape == (4, 6)


@pytest.mark.parametrize("backward", BACKWARD)
@pytest.mark.parametrize(
    ("images", "options", "sentence"),
    [
        (
            np.ones((4, 6), bool),
            {},
            "images of dtype bool: must be {}. Try: images.astype(float).",
        ),
        (
            np.ones((4, 6)),
            {"stride": 0},
            "stride=0: must be a whole number, 1 or more. Try: stride=1.",
        ),
        (
            np.ones((4, 6)),
            {"padding": 2},
            "padding=2: must be at most half of kernel_size=2. Try: padding=1.",
        ),
        (
            np.ones((4, 6)),
            {"ceil_mode": None},
            "ceil_mode=None: must be True or False. Try: ceil_mode=True.",
        ),
        (
            np.ones((1, 6)),
            {},
            "kernel_size=2 on images of (1, 6): the window is larger than the padded image "
            "(padding=0, dilation=1). Try: kernel_size=(1, 2).",
        ),
    ],
)
def test_what_the_pool_refuses_its_gradient_refuses(refused, backward, images, options, sentence):
    kinds = "integers or floats" if backward is max_pool2d_backward else "floats"
    with refused(sentence.format(kinds)):
        backward(np.ones((2, 3)), images, 2, **options)


def test_a_flag_that_is_none_is_refused(refused):
    with refused("count_include_pad=1: must be True or False. Try: count_include_pad=True."):
        avg_pool2d_backward(np.ones((2, 3)), np.ones((4, 6)), 2, count_include_pad=1)


def test_a_nan_takes_its_windows_gradient():
    image = np.array([[1.0, math.nan], [2, 3]])
    assert max_pool2d_backward([[1.0]], image, 2).tolist() == [[0, 1], [0, 0]]
