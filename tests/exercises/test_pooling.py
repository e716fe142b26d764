"""The solutions of the lesson on pooling against torch, on random sizes."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

from cnncourse import arithmetic, ops
from cnncourse.exercises import compiled
from cnncourse.exercises import pooling as lesson
from cnncourse.exercises.pooling import (
    EQUIVARIANCE,
    FIELD_OF,
    FIVE_LAYERS,
    GLOBAL_AVERAGE,
    MAX_BACKWARD,
    judged,
)


def solution(exercise):
    return compiled(exercise.solution_code, exercise.name)


# --- the gradient of max pooling ------------------------------------------------------------------


@settings(max_examples=60)
@given(
    kernel_size=st.integers(1, 4),
    stride=st.integers(1, 5),
    rows=st.integers(0, 6),
    columns=st.integers(0, 6),
    values=st.sampled_from([2, 1000]),
    seed=st.integers(0, 99),
)
def test_the_gradient_is_torchs_also_at_ties(kernel_size, stride, rows, columns, values, seed):
    rng = np.random.default_rng(seed)
    image = rng.integers(0, values, (kernel_size + rows, kernel_size + columns)).astype(float)
    leaf = torch.from_numpy(image)[None].requires_grad_()
    pooled = F.max_pool2d(leaf, kernel_size, stride)
    grad_output = torch.from_numpy(rng.normal(size=pooled.shape))
    pooled.backward(grad_output)
    ours = solution(MAX_BACKWARD)(grad_output[0].numpy(), image, kernel_size, stride)
    np.testing.assert_allclose(ours, leaf.grad[0], atol=1e-12)


def test_the_course_s_own_gradient_is_right_too():
    def ours(grad_output, image, kernel_size, stride):
        return ops.max_pool2d_backward(grad_output, image, kernel_size, stride=stride)

    assert MAX_BACKWARD.check(ours).kind == "right"


def test_the_first_cases_fit_on_paper_and_have_ties_and_overlaps():
    cases = [MAX_BACKWARD.case(number) for number in range(8)]
    assert cases[0][1].shape == (2, 2)
    tied = overlapping = left_over = False
    for _, image, kernel_size, stride in cases:
        windows = np.lib.stride_tricks.sliding_window_view(image, (kernel_size, kernel_size))
        flat = windows[::stride, ::stride].reshape(-1, kernel_size**2)
        tied |= bool(((flat == flat.max(axis=1, keepdims=True)).sum(axis=1) > 1).any())
        overlapping |= stride < kernel_size
        left_over |= (image.shape[1] - kernel_size) % stride > 0
    assert (tied, overlapping, left_over) == (True, True, True)


@pytest.mark.parametrize(
    "nearly",
    [
        lambda grad_output, image, *window: (grad_output, abs(image), *window),
        lambda grad_output, image, *window: (grad_output, np.trunc(image), *window),
        lambda grad_output, image, *window: (abs(grad_output), image, *window),
        lambda grad_output, image, *window: (np.trunc(grad_output), image, *window),
        lambda grad_output, image, *window: (grad_output * (window[0] > 1), image, *window),
    ],
)
def test_a_gradient_for_some_numbers_alone_is_wrong(nearly):
    right = solution(MAX_BACKWARD)
    assert MAX_BACKWARD.check(lambda *case: right(*nearly(*case))).kind == "wrong"


def test_a_feedback_on_a_small_gradient_holds_all_that_is_needed():
    said = MAX_BACKWARD.check(lambda grad_output, image, kernel_size, stride: image)
    assert said.text.startswith(
        "image [[2.0, 1.0], [1.0, 0.0]], grad_output [[3.0]], kernel_size=2, stride=2: yours gives "
    )


# --- receptive fields -----------------------------------------------------------------------------


@settings(max_examples=60)
@given(st.lists(st.tuples(st.integers(1, 9), st.integers(1, 4)), max_size=9))
def test_the_field_is_that_of_the_arithmetic(layers):
    expected = arithmetic.receptive_field([arithmetic.Layer(*layer) for layer in layers]).size
    assert solution(FIELD_OF)(layers) == expected


@settings(max_examples=25)
@given(st.lists(st.tuples(st.integers(1, 4), st.integers(1, 3)), min_size=1, max_size=4))
def test_the_field_is_the_extent_of_torchs_gradient(layers):
    row = torch.zeros(1, 1, 600, requires_grad=True)
    maps = row
    for kernel_size, stride in layers:
        maps = F.conv1d(maps, torch.ones(1, 1, kernel_size), stride=stride)
    maps[0, 0, maps.shape[2] // 2].backward()
    (reached,) = np.nonzero(row.grad[0, 0].numpy())
    assert solution(FIELD_OF)(layers) == reached[-1] - reached[0] + 1


def test_whole_numbers_of_numpy_are_welcome_and_layers_are_left_as_they_are():
    def by_arrays(layers):
        sizes, strides = np.array(layers, dtype=int).reshape(-1, 2).T
        return 1 + ((sizes - 1) * np.cumprod([1, *strides])[:-1]).sum()

    def by_popping(layers):
        field = 1
        while layers:
            kernel_size, stride = layers.pop()
            field = (field - 1) * stride + kernel_size
        return field

    assert FIELD_OF.check(by_arrays).kind == "right"
    assert "yours changes `layers`" in FIELD_OF.check(by_popping).text


def test_alexnet_is_among_the_cases():
    assert 195 in [solution(FIELD_OF)(*FIELD_OF.case(number)) for number in range(FIELD_OF.cases)]


# --- a stack of one's own -------------------------------------------------------------------------


@pytest.mark.parametrize(
    "layers",
    [
        [(3, 2), (3, 2), (3, 1), (3, 1), (3, 1)],  # 31 px, 9 x 9
        [(2, 2), (3, 2), (3, 1), (3, 1), (3, 1)],  # 30 px
        [(2, 2), (2, 2), (3, 1), (3, 1), (3, 1)],  # 28 px
        np.array([[3, 2], [3, 2], [3, 1], [3, 1], [3, 1]]),
        ([3, 2], [3, 2], [3, 1], [3, 1], [3, 1]),
    ],
)
def test_every_stack_that_does_what_was_asked_is_right(layers):
    assert FIVE_LAYERS.check(lambda: layers).kind == "right"


def test_small_stacks_are_judged_by_what_torch_makes_of_them(rng):
    stacks = [[(a, 2), (b, 2), (3, 1), (3, 1), (3, 1)] for a in (2, 3) for b in (2, 3)]
    stacks += [rng.integers(1, 5, (rng.integers(4, 7), 2)).tolist() for _ in range(300)]
    right = 0
    for layers in stacks:
        maps = torch.zeros(1, 1, 64)
        for kernel_size, stride in layers:
            fits = maps.shape[2] >= kernel_size
            maps = F.max_pool1d(maps, kernel_size, stride) if fits else maps[..., :0]
        holds = (
            len(layers) == 5
            and all(stride <= kernel_size <= 3 for kernel_size, stride in layers)
            and solution(FIELD_OF)(layers) >= 28
            and maps.shape[2] >= 8
        )
        assert (FIVE_LAYERS.check(lambda layers=layers: layers).kind == "right") == holds, layers
        right += holds
    assert right >= 4


@pytest.mark.parametrize(
    ("layers", "verdict"),
    [
        ([(3, 1)] * 4, "4 layers, where 5 are asked for"),
        ([(5, 1)] * 5, "a kernel larger than 3"),
        ([(1, 2)] * 5, "a stride larger than its kernel"),
        ([(3, 1)] * 5, "a field of 11 px, where 28 are asked for"),
        ([(3, 2)] * 5, "a map of 1x1, where 8x8 are asked for"),
        ([(3, 3), (3, 3), (3, 1), (3, 1), (3, 1)], "a map of 1x1, where 8x8 are asked for"),
    ],
)
def test_a_stack_hears_what_it_lacks(layers, verdict):
    assert judged(layers) == verdict


@pytest.mark.parametrize(
    "layers", [7, "33333", ["32", "32", "31", "31", "31"], [(3, 2.0)] * 5, [None] * 5, [(3, 2, 1)]]
)
def test_what_holds_no_whole_numbers_is_asked_for_pairs(layers):
    assert "return a list of pairs of ints, such as" in FIVE_LAYERS.check(lambda: layers).text


def test_what_is_no_list_of_pairs_is_told_in_words():
    assert "yours raises" in FIVE_LAYERS.check(lambda: [3, 3, 3, 3, 3]).text
    assert "must be a whole number" in FIVE_LAYERS.check(lambda: [(3, 0)] * 5).text


# --- averages -------------------------------------------------------------------------------------


@settings(max_examples=20)
@given(shape=st.tuples(*[st.integers(1, 5)] * 4), seed=st.integers(0, 99))
def test_the_global_average_is_torchs(shape, seed):
    maps = np.random.default_rng(seed).normal(size=shape)
    expected = F.adaptive_avg_pool2d(torch.from_numpy(maps), 1).flatten(1)
    np.testing.assert_allclose(solution(GLOBAL_AVERAGE)(maps), expected, atol=1e-12)


# --- equivariance ---------------------------------------------------------------------------------


@settings(max_examples=20)
@given(right=st.integers(-9, 9), seed=st.integers(0, 99))
def test_torchs_circular_convolution_is_equivariant_and_its_zero_padded_one_is_not(right, seed):
    rng = np.random.default_rng(seed)
    image, kernel = rng.normal(size=(6, 9)), torch.from_numpy(rng.normal(size=(1, 1, 3, 3)))

    def convolved(mode):
        def operation(picture):
            padded = F.pad(torch.from_numpy(picture.copy())[None, None], (1, 1, 1, 1), mode=mode)
            return F.conv2d(padded, kernel)[0, 0].numpy()

        return operation

    error = solution(EQUIVARIANCE)
    assert error(convolved("circular"), image, right, 1) < 1e-12
    assert (error(convolved("constant"), image, right, 1) > 1e-3) == (right % 9 != 0)


@settings(max_examples=20)
@given(cells=st.integers(-3, 3), kernel_size=st.integers(1, 3), seed=st.integers(0, 99))
def test_a_pool_is_equivariant_to_moves_by_its_stride(cells, kernel_size, seed):
    image = np.random.default_rng(seed).normal(size=(kernel_size, 4 * kernel_size))
    error = solution(EQUIVARIANCE)
    for pool in (ops.max_pool2d, ops.avg_pool2d):
        moves = kernel_size * cells
        assert error(lambda x, pool=pool: pool(x, kernel_size), image, moves, kernel_size) == 0


def test_the_operations_of_the_cases_are_what_they_are_called():
    image = np.array([[1.0, 5, 2, 7, 3, 0], [4, 0, 8, 1, 1, 6], [2, 2, 2, 2, 2, 2]])
    assert lesson.neighbours(image)[0].tolist() == [1, 4, -3, 5, -4, -3]
    assert lesson.neighbours_and_zeros(image)[1].tolist() == [4, -4, 8, -7, 0, 5]
    assert lesson.brighter_to_the_right(image)[0].tolist() == [0, 5, 4, 21, 12, 0]
    assert lesson.max_pool_of_2(image).tolist() == [[5, 8, 6]]
    assert lesson.every_third(image).tolist() == [[1, 7]]


def test_some_cases_are_equivariant_and_some_are_not():
    outcomes = [
        solution(EQUIVARIANCE)(*EQUIVARIANCE.case(number)) == 0
        for number in range(EQUIVARIANCE.cases)
    ]
    assert outcomes[:5] == [False, True, True, False, True]
    assert 0.3 < np.mean(outcomes) < 0.7


def test_moving_two_cells_back_is_not_always_as_good_as_moving_on():
    def back(operation, image, right, stride):
        moved_last = np.roll(operation(image), -2, axis=1)
        return float(np.abs(operation(np.roll(image, right, axis=1)) - moved_last).max())

    assert EQUIVARIANCE.check(back).kind == "wrong"
