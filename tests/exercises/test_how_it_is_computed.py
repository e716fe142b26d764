"""The solutions of lesson 03 against torch, on random sizes; and the numbers that count."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

from cnncourse.exercises import compiled
from cnncourse.exercises.how_it_is_computed import (
    COL2IM,
    IMAGE_GRADIENT,
    KERNEL_GRADIENT,
    MULTIPLICATIONS,
    WINOGRAD_1D,
    Counted,
    outputs_and_count,
    setting,
)
from cnncourse.explorers import cost

SETTINGS = {
    "kernel_size": st.integers(1, 5),
    "stride": st.integers(1, 4),
    "extra": st.tuples(st.integers(0, 7), st.integers(0, 7)),
    "seed": st.integers(0, 999),
}


def solution(exercise):
    return compiled(exercise.solution_code, exercise.name)


def random_layer(kernel_size, extra, stride, seed):
    """Image, kernel and gradient of the output; tensors that ask for their gradients."""
    torch.manual_seed(seed)
    size = kernel_size + extra[0], kernel_size + extra[1]
    image = torch.randn(size, dtype=torch.float64, requires_grad=True)
    kernel = torch.randn(kernel_size, kernel_size, dtype=torch.float64, requires_grad=True)
    output = F.conv2d(image[None, None], kernel[None, None], stride=stride)[0, 0]
    grad_output = torch.randn_like(output)
    output.backward(grad_output)
    return image, kernel, grad_output


@settings(max_examples=60)
@given(**SETTINGS)
def test_col2im_is_torchs_fold(kernel_size, stride, extra, seed):
    size = kernel_size + extra[0], kernel_size + extra[1]
    places = [(side - kernel_size) // stride + 1 for side in size]
    columns = np.random.default_rng(seed).normal(size=(kernel_size**2, places[0] * places[1]))
    ours = solution(COL2IM)(columns, size, kernel_size, stride)
    theirs = F.fold(torch.from_numpy(columns)[None], size, kernel_size, stride=stride)[0, 0]
    np.testing.assert_allclose(ours, theirs, atol=1e-12)


@settings(max_examples=60)
@given(**SETTINGS)
def test_both_gradients_are_autograds(kernel_size, stride, extra, seed):
    image, kernel, grad_output = random_layer(kernel_size, extra, stride, seed)
    arrays = image.detach().numpy(), kernel.detach().numpy(), grad_output.numpy()
    of_kernel = solution(KERNEL_GRADIENT)(arrays[0], arrays[2], kernel_size, stride)
    of_image = solution(IMAGE_GRADIENT)(arrays[2], arrays[1], stride, tuple(image.shape))
    np.testing.assert_allclose(of_kernel, kernel.grad, atol=1e-12)
    np.testing.assert_allclose(of_image, image.grad, atol=1e-12)


@settings(max_examples=60)
@given(channels=st.integers(1, 64), size=st.integers(1, 64))
def test_the_explorer_counts_as_the_exercise_does(channels, size):
    layer = {"kernel_size": 3, "channels": channels, "size_px": size}
    expected = tuple(cost.multiplications(name, **layer) for name in ("views", "winograd"))
    assert solution(MULTIPLICATIONS)(channels, channels, size, size) == expected


def test_a_single_pixel_costs_winograd_more_than_the_definition():
    assert solution(MULTIPLICATIONS)(1, 1, 1, 1) == (9, 16)


@settings(max_examples=60)
@given(seed=st.integers(0, 999))
def test_three_outputs_take_four_multiplications(seed):
    d, g = np.split(np.random.default_rng(seed).normal(size=6), [4])
    outputs, count = outputs_and_count(solution(WINOGRAD_1D), (d.tolist(), g.tolist()))
    expected = F.conv1d(torch.from_numpy(d)[None, None], torch.from_numpy(g)[None, None])[0, 0]
    assert count == "with 4 multiplications"
    np.testing.assert_allclose(outputs, expected, atol=1e-12)


def test_the_first_settings_leave_pixels_over_and_are_torchs_sizes():
    image_size, kernel_size, stride = setting(2)
    assert any((side - kernel_size) % stride for side in image_size)
    for number in range(30):
        image_size, kernel_size, stride = setting(number)
        assert min(image_size) >= kernel_size >= 1
        assert stride >= 1


# --- numbers that count ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("step", "value", "counted"),
    [
        (lambda a, b: a * b, 6.0, 1),
        (lambda a, b: a / b, 1.5, 1),
        (lambda a, b: a * 2 + 2 * b, 10.0, 0),
        (lambda a, b: (a - b) / 2, 0.5, 0),
        (lambda a, b: 1 - a + 0.5 * -b, -3.0, 0),
        (lambda a, b: np.dot([a, b], [b, a]), 12.0, 2),
        (lambda a, b: sum([a, b]) * (a + b), 25.0, 1),
        (lambda a, b: np.float64(0.5) * a, 1.5, 0),
    ],
)
def test_only_a_product_of_two_given_numbers_counts(step, value, counted):
    notes = []
    result = step(Counted(3.0, notes), Counted(2.0, notes))
    assert (result.value, len(notes)) == (value, counted)


def test_an_array_of_outputs_is_as_good_as_a_tuple():
    def by_arrays(d, g):
        return np.array(solution(WINOGRAD_1D)(d, g))

    assert WINOGRAD_1D.check(by_arrays).kind == "right"


def test_halving_by_a_half_is_as_free_as_by_two():
    halved = WINOGRAD_1D.solution_code.replace(" / 2", " * 0.5")
    assert halved != WINOGRAD_1D.solution_code
    assert WINOGRAD_1D.check(compiled(halved, "winograd_1d")).kind == "right"


def test_what_is_no_sequence_is_wrong_and_breaks_nothing():
    assert WINOGRAD_1D.check(lambda d, g: 7).kind == "wrong"
    assert WINOGRAD_1D.check(lambda d, g: (d, g)).kind == "wrong"


# --- a check never passes by accident -------------------------------------------------------------

SPOILERS = {
    "one value off": lambda result: result + 1e-3 * (result == result.flat[0]),
    "float32": lambda result: result.astype(np.float32),
    "a row more": lambda result: np.vstack([result, result[:1]]),
    "upside down": lambda result: result[::-1],
}


@pytest.mark.parametrize("exercise", [COL2IM, KERNEL_GRADIENT, IMAGE_GRADIENT])
@pytest.mark.parametrize("spoil", SPOILERS.values(), ids=SPOILERS)
def test_a_spoilt_gradient_is_wrong(exercise, spoil):
    def spoilt(*arguments):
        return spoil(solution(exercise)(*arguments))

    assert exercise.check(spoilt).kind == "wrong"


@pytest.mark.parametrize("exercise", [COL2IM, KERNEL_GRADIENT, IMAGE_GRADIENT])
@pytest.mark.parametrize("last", [1, 2, 3])
def test_an_answer_for_the_smallest_strides_alone_is_wrong(exercise, last):
    def partly(*arguments):
        stride = arguments[2 if exercise is IMAGE_GRADIENT else 3]
        return solution(exercise)(*arguments) if stride <= last else np.zeros((1, 1))

    assert exercise.check(partly).kind == ("right" if last == 3 else "wrong")


def test_a_feedback_reads_as_the_lesson_promises():
    mistake = compiled(KERNEL_GRADIENT.wrong[0].code, "kernel_gradient")
    said = KERNEL_GRADIENT.check(mistake).text.splitlines()
    assert said[0].startswith("You laid grad_output on neighbouring pixels.")
    assert said[1].startswith("stride=2, kernel_size=2, image (5, 4), grad_output=[[")


def test_an_answer_for_square_kernels_alone_is_wrong():
    def square(grad_output, kernel, stride, image_size):
        side = len(kernel)
        gradient = np.zeros(image_size)
        for y, x in np.ndindex(grad_output.shape):
            top, left = y * stride, x * stride
            gradient[top : top + side, left : left + side] += grad_output[y, x] * kernel
        return gradient

    assert IMAGE_GRADIENT.check(square).kind == "wrong"
    for number in range(IMAGE_GRADIENT.cases):
        grad_output, kernel, stride, image_size = IMAGE_GRADIENT.case(number)
        windows = np.lib.stride_tricks.sliding_window_view(np.empty(image_size), kernel.shape)
        assert windows[::stride, ::stride].shape[:2] == grad_output.shape


def test_the_first_gradients_can_be_followed_by_hand():
    for exercise in (KERNEL_GRADIENT, IMAGE_GRADIENT):
        for array in exercise.case(0)[:2]:
            assert array.tolist() == array.round().tolist()
    assert IMAGE_GRADIENT.describe(*IMAGE_GRADIENT.case(0)) == (
        "stride=1, size (2, 3), grad_output=[[3.0, 5.0]], kernel=[[2.0, 3.0], [1.0, 1.0]]"
    )


def test_numbers_in_words_have_two_digits():
    case = (np.full((1, 1), 1 / 3), np.full((1, 1), 2 / 3), 1, (1, 1))
    assert IMAGE_GRADIENT.describe(*case).endswith("grad_output=[[0.33]], kernel=[[0.67]]")


def test_a_counted_number_is_shown_as_a_number():
    assert "yours gives 1;" in WINOGRAD_1D.check(lambda d, g: d[0]).text
