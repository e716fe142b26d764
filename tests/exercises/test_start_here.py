"""The solutions of lesson 00 against torch, and answers that are nearly right."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from torchvision.transforms.functional import to_tensor

from cnncourse.exercises import compiled
from cnncourse.exercises.start_here import ANSWER, EXERCISES, HEAD_FOR, SHUFFLED, TO_BATCH

to_batch, head_for, answer, shuffled = (
    compiled(exercise.solution_code, exercise.name) for exercise in EXERCISES
)
small = st.integers(1, 9)


@given(height=small, width=small, seed=small)
def test_to_batch_is_what_torchvision_makes_of_a_photograph(height, width, seed):
    pixels = np.random.default_rng(seed)
    photo = pixels.integers(0, 256, size=(height, width, 3), dtype=np.uint8)
    batch = to_batch(photo)
    torch.testing.assert_close(batch, to_tensor(photo)[None])
    assert batch.shape == (1, 3, height, width)


@given(
    channels=st.integers(1, 3),
    maps=st.integers(1, 5),
    kernel_size=st.integers(1, 3),
    stride=st.integers(1, 3),
    size=st.tuples(st.integers(4, 12), st.integers(4, 12)),
    count=st.integers(1, 4),
)
def test_the_head_fits_behind_any_convolution_for_any_batch(
    channels, maps, kernel_size, stride, size, count
):
    features = nn.Conv2d(channels, maps, kernel_size, stride)
    model = nn.Sequential(features, nn.Flatten(), head_for(features, (channels, *size)))
    assert model(torch.zeros(count, channels, *size)).shape == (count, 10)


@given(count=st.integers(1, 5), side=st.integers(1, 6))
def test_answer_is_the_models_own_and_leaves_both_where_they_are(count, side):
    model = nn.Sequential(nn.Flatten(), nn.Linear(side**2, 3))
    images = torch.rand(count, 1, side, side)
    torch.testing.assert_close(answer(model, images), model(images))
    model.to("meta")
    there = answer(model, images)
    assert (there.device.type, there.shape) == ("meta", (count, 3))
    assert images.device.type == "cpu"


@given(count=st.integers(0, 200), seed=st.integers(0, 2**62))
def test_shuffled_is_a_permutation_of_its_seed_alone(count, seed):
    before = torch.get_rng_state()
    order = shuffled(count, seed)
    assert torch.equal(torch.get_rng_state(), before)
    assert order.sort().values.tolist() == list(range(count))
    torch.rand(3)
    assert torch.equal(shuffled(count, seed), order)
    if count > 20:
        assert not torch.equal(shuffled(count, seed + 1), order)


def right_up_to(limit, solution):
    """The solution for photographs and orders up to a size, something else beyond."""

    def nearly(first, *rest):
        large = len(first) > limit if isinstance(first, np.ndarray) else first > limit
        result = solution(first, *rest)
        return result.flip(-1) * 0 if large else result

    return nearly


def square_only(photo):
    height, width, _ = photo.shape
    return to_batch(photo) if height == width else to_batch(photo).transpose(2, 3)


def same_padding_only(features, image_shape):
    _, height, width = image_shape
    maps = features[0](torch.zeros(1, *image_shape)).shape[1]
    return nn.Linear(maps * (height // 2) * (width // 2), 10)


def cpu_only(model, images):
    return answer(model, images) if next(model.parameters()).is_cpu else images.to("meta")


def copies_the_global_generator(count, seed):
    generator = torch.Generator().manual_seed(torch.initial_seed() + seed)
    generator.set_state(torch.get_rng_state())
    return torch.randperm(count, generator=generator)


@pytest.mark.parametrize(
    ("exercise", "nearly"),
    [
        (TO_BATCH, right_up_to(5, to_batch)),
        (TO_BATCH, square_only),
        (TO_BATCH, lambda photo: to_batch(photo).double()),
        (TO_BATCH, lambda photo: to_batch(photo).flip(1)),  # blue, green, red
        (HEAD_FOR, same_padding_only),
        (HEAD_FOR, lambda features, shape: nn.Linear(head_for(features, shape).in_features, 9)),
        (ANSWER, cpu_only),
        (ANSWER, lambda model, images: answer(model, images)[:1]),
        (SHUFFLED, right_up_to(8, shuffled)),
        (SHUFFLED, copies_the_global_generator),
        (SHUFFLED, lambda count, seed: shuffled(count, 0)),
        (SHUFFLED, lambda count, seed: shuffled(count, seed).float()),
    ],
)
def test_what_is_nearly_right_is_wrong(exercise, nearly):
    assert exercise.check(nearly).kind == "wrong"


def own_seed_restored(count, seed):
    with torch.random.fork_rng([]):
        torch.manual_seed(seed)
        return torch.randperm(count)


def numpys_generator(count, seed):
    return torch.from_numpy(np.random.default_rng(seed).permutation(count))


@pytest.mark.parametrize(
    ("exercise", "other_way"),
    [
        (TO_BATCH, lambda photo: torch.tensor(photo.transpose(2, 0, 1)[None] / 255).float()),
        (TO_BATCH, lambda photo: to_tensor(photo).unsqueeze(0)),
        (
            HEAD_FOR,
            lambda features, shape: nn.Sequential(nn.Flatten(), head_for(features, shape)),
        ),
        (ANSWER, lambda model, images: model(images.to(list(model.parameters())[-1].device))),
        (SHUFFLED, own_seed_restored),
        (SHUFFLED, numpys_generator),
    ],
)
def test_another_way_to_the_same_is_right(exercise, other_way):
    assert exercise.check(other_way).kind == "right"
