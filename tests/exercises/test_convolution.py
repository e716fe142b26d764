import numpy as np
import pytest
import torch
from torch.nn import functional as F

from cnncourse import filters
from cnncourse.exercises import compiled
from cnncourse.exercises import convolution as exercises


def solution(exercise):
    return compiled(exercise.solution_code, exercise.name)


@pytest.mark.parametrize("number", range(100))
def test_the_solutions_agree_with_torch_on_random_sizes(number):
    rng = np.random.default_rng(number)
    (height, width), (h, w) = rng.integers(4, 9, 2), rng.integers(1, 5, 2)
    image, kernels = rng.normal(size=(2, height, width)), rng.normal(size=(3, 2, h, w))
    expected = F.conv2d(torch.tensor(image)[None], torch.tensor(kernels))[0].numpy()
    got = solution(exercises.MULTI_CHANNEL)(image, kernels)
    np.testing.assert_allclose(got, expected, atol=1e-12)
    got = sum(
        solution(exercises.CORRELATE2D)(plane, kernel)
        for plane, kernel in zip(image, kernels[1], strict=True)
    )
    np.testing.assert_allclose(got, expected[1], atol=1e-12)


def test_the_parameters_are_torchs():
    count = solution(exercises.PARAMETERS)
    for arguments in [(5, 7, 3, 4, 3), (128, 128, 3, 256, 3)]:
        height, width, in_channels, out_channels, kernel_size = arguments
        layers = (
            torch.nn.Linear(height * width * in_channels, out_channels, device="meta"),
            torch.nn.Conv2d(in_channels, out_channels, kernel_size, device="meta"),
        )
        expected = tuple(sum(p.numel() for p in layer.parameters()) for layer in layers)
        assert count(*arguments) == expected
    assert expected == (12_583_168, 7_168)


def test_the_first_pictures_are_small_enough_to_be_written_out():
    case = exercises.CORRELATE2D.case(0)
    assert exercises.describe_picture(*case) == "image [[4, 3], [2, 1]], kernel [[-1, -3]]"
    said = exercises.CORRELATE2D.check(lambda image, kernel: image)
    assert said.text.startswith("image [[4, 3], [2, 1]], kernel [[-1, -3]]: yours gives ")


TURNED = np.array([[1.0, 2, 3], [4, 0, -4], [-3, -2, -1]])


@pytest.mark.parametrize("kernel", [filters.PREWITT_X, TURNED, TURNED.tolist(), -TURNED])
def test_any_kernel_that_is_minus_itself_turned_is_right(kernel):
    assert exercises.TELLTALE.check(lambda: kernel).kind == "right"


@pytest.mark.parametrize(
    ("kernel", "found"),
    [
        (3 * filters.SOBEL_Y, "a multiple of Sobel's kernel"),
        (np.zeros((3, 3)), "a kernel of zeros, which answers 0 to everything"),
        (TURNED[:2], "a kernel of shape (2, 3)"),
        (np.ones((3, 3)), "turned by 180° it is itself"),
        (TURNED + np.eye(3), "turned by 180°, 3 of its 9 numbers are not minus what they were"),
    ],
)
def test_a_kernel_that_will_not_do_is_told_why(kernel, found):
    said = exercises.TELLTALE.check(lambda: kernel)
    assert said.text.endswith(
        f"your kernel: yours gives {found}; expected turned by 180° it is minus itself."
    )


@pytest.mark.parametrize(
    ("kernel", "found"),
    [
        (np.full((3, 3), np.inf), "a kernel with numbers that are not finite"),
        (1e-9 * np.ones((3, 3)), "turned by 180° it is itself"),
    ],
)
def test_kernels_beyond_all_measure_are_judged_too(kernel, found):
    assert f"yours gives {found};" in exercises.TELLTALE.check(lambda: kernel).text


@pytest.mark.parametrize(
    "nearly",
    [
        lambda image, kernel: (abs(image), kernel),
        lambda image, kernel: (np.trunc(image), kernel),
        lambda image, kernel: (image, kernel * (max(kernel.shape[-2:]) <= 3)),
        lambda image, kernel: (image, kernel * (kernel.shape[-1] > 1)),
        lambda image, kernel: (image, kernel * (kernel.shape[-2] <= 2)),
        lambda image, kernel: (image, kernel * (kernel.shape[-1] <= 2)),
    ],
)
@pytest.mark.parametrize("exercise", [exercises.CORRELATE2D, exercises.MULTI_CHANNEL])
def test_what_is_right_for_some_pictures_and_kernels_alone_is_wrong(exercise, nearly):
    right = solution(exercise)
    assert exercise.check(lambda *case: right(*nearly(*case))).kind == "wrong"


def test_more_than_three_channels_come_too():
    right = solution(exercises.MULTI_CHANNEL)
    said = exercises.MULTI_CHANNEL.check(lambda i, k: right(i[:3], k[:, :3]))
    assert said.kind == "wrong"


def test_kernels_larger_than_three_are_counted_too():
    right = solution(exercises.PARAMETERS)
    said = exercises.PARAMETERS.check(lambda *case: right(*case[:4], min(case[4], 3)))
    assert said.kind == "wrong"


def test_counts_made_with_numpy_are_right():
    right = solution(exercises.PARAMETERS)
    assert exercises.PARAMETERS.check(lambda *case: tuple(np.array(right(*case)))).kind == "right"
