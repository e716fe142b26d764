"""The solutions of the lesson on filters against torch, and answers written another way."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F

from cnncourse import filters, images, ops
from cnncourse.exercises import compiled
from cnncourse.exercises import filters as exercises

direction, unsharp_mask, column_and_row, hidden_kernel, corners = (
    compiled(exercise.solution_code, exercise.name) for exercise in exercises.EXERCISES
)
seeds, sides = st.integers(0, 10**6), st.integers(1, 6)


def random(seed):
    return np.random.default_rng(seed)


@given(seed=seeds, height=sides, width=sides)
def test_directions_are_those_of_complex_numbers(seed, height, width):
    right, down = random(seed).normal(size=(2, height, width))
    expected = torch.complex(torch.from_numpy(right), torch.from_numpy(down)).angle() % math.tau
    np.testing.assert_allclose(direction(right, down), np.degrees(expected.numpy()))


@pytest.mark.parametrize(
    ("slopes", "degrees"), [((2, 0), 0), ((0, 3), 90), ((-1, 0), 180), ((0, -1), 270), ((0, 0), 0)]
)
def test_the_compass_runs_clockwise(slopes, degrees):
    right, down = (np.array([float(slope)]) for slope in slopes)
    assert direction(right, down).tolist() == [degrees]


@given(seed=seeds, height=sides, width=sides, amount=st.floats(0, 5))
def test_unsharp_masks_are_torchs_rounded_and_clamped(seed, height, width, amount):
    image = random(seed).integers(0, 256, (height, width), dtype=np.uint8)
    blurred = random(seed + 1).uniform(0, 255, (height, width))
    one, other = torch.from_numpy(image).double(), torch.from_numpy(blurred)
    expected = (one + amount * (one - other)).round().clamp(0, 255).to(torch.uint8)
    result = unsharp_mask(image, blurred, amount)
    assert result.dtype == np.uint8
    assert np.array_equal(result, expected.numpy())


@given(seed=seeds, height=sides, width=sides)
def test_column_and_row_multiply_to_the_kernel(seed, height, width):
    column, row = random(seed).normal(size=height), random(seed + 1).normal(size=width)
    kernel = torch.outer(torch.from_numpy(column), torch.from_numpy(row)).numpy()
    found = column_and_row(kernel)
    assert [part.shape for part in found] == [(height,), (width,)]
    np.testing.assert_allclose(np.outer(*found), kernel)


@given(seed=seeds, height=sides, width=sides)
def test_the_kernel_hidden_in_a_layer_of_torch_is_found(seed, height, width):
    torch.manual_seed(seed)
    layer = nn.Conv2d(1, 1, (height, width), dtype=torch.float64)

    def ask(image):
        with torch.no_grad():
            return layer(torch.from_numpy(image)[None, None])[0, 0].numpy()

    weight = layer.weight.detach()[0, 0].numpy()
    np.testing.assert_allclose(hidden_kernel(ask, (height, width)), weight, atol=1e-12)


@given(seed=seeds, height=sides, width=sides)
def test_the_corner_response_is_that_of_the_eigenvalues(seed, height, width):
    right, down = random(seed).normal(size=(2, height, width))
    a, b, c = (exercises.smooth(part) for part in (right**2, down**2, right * down))
    tensors = torch.from_numpy(np.stack([np.stack([a, c], -1), np.stack([c, b], -1)], -2))
    small, large = torch.linalg.eigvalsh(tensors).unbind(-1)
    expected = small * large - 0.05 * (small + large) ** 2
    result = corners(right, down, exercises.smooth)
    np.testing.assert_allclose(result, expected.numpy(), atol=1e-12)


@given(seed=seeds, height=sides, width=sides)
def test_the_smoothing_is_torchs_mean_with_the_border_repeated(seed, height, width):
    values = random(seed).normal(size=(height, width))
    padded = F.pad(torch.from_numpy(values)[None, None], (1, 1, 1, 1), mode="replicate")
    expected = F.avg_pool2d(padded, 3, stride=1)[0, 0].numpy()
    np.testing.assert_allclose(exercises.smooth(values), expected)


def test_the_corners_of_a_square_are_found_and_its_sides_are_not():
    square = np.pad(np.ones((9, 9)), 6)
    right, down = (ops.conv2d(square, kernel) for kernel in (filters.SOBEL_X, filters.SOBEL_Y))
    response = corners(right, down, exercises.smooth)
    rows, columns = np.nonzero(response > 0.5 * response.max())
    near = {(row // 10, column // 10) for row, column in zip(rows, columns, strict=True)}
    assert near == {(0, 0), (0, 1), (1, 0), (1, 1)}  # a cluster in each quarter of 19 x 19 places
    assert response[9, 5] < 0 < response[5, 5]  # the middle of the left side, the corner
    assert response[9, 9] == 0  # flat


def probe_pixel_by_pixel(layer, kernel_size):
    kernel = np.zeros(kernel_size)
    for place in np.ndindex(*kernel_size):
        image = np.zeros(kernel_size)
        image[place] = 1
        kernel[place] = layer(image).item() - layer(0 * image).item()
    return kernel


def by_svd(kernel):
    found = filters.separate(kernel)
    return found.column, found.row


@pytest.mark.parametrize(
    ("exercise", "answer"),
    [
        (exercises.DIRECTION, lambda right, down: np.angle(right + 1j * down, deg=True) % 360),
        (
            exercises.UNSHARP_MASK,
            lambda image, blurred, amount: (
                ((1 + amount) * image - amount * blurred + 0.5).clip(0, 255).astype(np.uint8)
            ),
        ),
        (exercises.COLUMN_AND_ROW, by_svd),
        (exercises.COLUMN_AND_ROW, lambda kernel: [part.tolist() for part in by_svd(kernel)]),
        (exercises.HIDDEN_KERNEL, probe_pixel_by_pixel),
        (
            exercises.CORNERS,
            lambda right, down, smooth: (
                np.linalg.det(tensor := structure(right, down, smooth))
                - 0.05 * np.trace(tensor, axis1=-2, axis2=-1) ** 2
            ),
        ),
    ],
)
def test_a_right_answer_written_another_way_is_right(exercise, answer):
    assert exercise.check(answer).kind == "right"


def structure(right, down, smooth):
    slopes = np.stack([right, down], -1)
    products = slopes[..., :, None] * slopes[..., None, :]
    return np.moveaxis(
        np.array([[smooth(products[..., i, j]) for j in (0, 1)] for i in (0, 1)]), (0, 1), (-2, -1)
    )


def zero_to_nan(right, down):
    with np.errstate(all="ignore"):
        return direction(right, down) + 0 * np.log(right**2 + down**2)


@pytest.mark.parametrize(
    ("exercise", "answer"),
    [
        (exercises.DIRECTION, zero_to_nan),  # no direction where nothing changes
        (exercises.DIRECTION, lambda right, down: direction(right, down).round(-1)),
        (exercises.UNSHARP_MASK, lambda i, b, a: unsharp_mask(i, b, min(a, 2))),
        (exercises.UNSHARP_MASK, lambda i, b, a: unsharp_mask(i, b, a).clip(1, 255)),
        (exercises.UNSHARP_MASK, lambda i, b, a: unsharp_mask(i, b, a).clip(0, 254)),
        (exercises.COLUMN_AND_ROW, lambda kernel: (kernel[:, 0], np.sign(kernel[0]))),
        (exercises.COLUMN_AND_ROW, lambda kernel: (kernel, kernel)),
        (exercises.COLUMN_AND_ROW, lambda kernel: kernel),
        (exercises.COLUMN_AND_ROW, lambda kernel: np.outer(*column_and_row(kernel))),
        (exercises.HIDDEN_KERNEL, lambda layer, size: hidden_kernel(layer, (2, 2))),
        (exercises.HIDDEN_KERNEL, lambda layer, size: abs(hidden_kernel(layer, size))),
        (exercises.CORNERS, lambda right, down, smooth: 0.9 * corners(right, down, smooth)),
        (exercises.CORNERS, lambda r, d, smooth: corners(r, d, lambda x: smooth(smooth(x)))),
        (exercises.CORNERS, lambda r, d, smooth: corners(r, d, smooth).clip(0)),
    ],
)
def test_an_answer_that_is_nearly_right_is_wrong(exercise, answer):
    assert exercise.check(answer).kind == "wrong"


def test_feedback_names_the_case_and_what_to_look_at():
    turned = exercises.HIDDEN_KERNEL.check(
        lambda layer, size: (
            layer(np.pad([[1.0]], [(side - 1, side - 1) for side in size]))
            - layer(np.zeros([2 * side - 1 for side in size]))
        )
    )
    assert turned.text.startswith("Turned by 180°: where the window's lower right weight lies")
    assert turned.text.endswith(
        "a hidden kernel of 2 x 2, bias 0: yours gives NumPy array, float64 (2, 2) "
        "[[4.0, 3.0], [2.0, 1.0]]; expected NumPy array, float64 (2, 2) [[1.0, 2.0], [3.0, 4.0]]."
    )


# --- what the predict cards say -------------------------------------------------------------------


def rank(kernel):
    return np.linalg.matrix_rank(kernel, tol=1e-9)


def test_sobel_and_the_gaussian_are_products_the_laplacian_and_a_streak_are_not():
    streak = filters.motion_blur(9, angle_deg=45)
    kernels = [filters.SOBEL_X, filters.gaussian(5, sigma=1.0), filters.LAPLACIAN, streak]
    assert [rank(kernel) == 1 for kernel in kernels] == [True, True, False, False]


def test_a_round_gabor_is_two_products_at_any_slant():
    angles = (10, 30, 45, 80)
    options = {"wavelength_px": 6, "sigma": 3.0}
    assert {rank(filters.gabor(15, angle_deg=angle, **options)) for angle in angles} == {2}


def test_level_stripes_are_answered_by_the_sums_of_the_rows_alone(rng):
    stripes = rng.normal(size=(9, 1)).repeat(9, axis=1)
    prewitt = filters.PREWITT_Y * 4 / 3
    assert np.allclose(ops.conv2d(stripes, prewitt), ops.conv2d(stripes, filters.SOBEL_Y))
    photo = images.gray(images.photo("chelsea"))
    assert not np.allclose(ops.conv2d(photo, prewitt), ops.conv2d(photo, filters.SOBEL_Y), atol=0.1)
