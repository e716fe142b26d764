import pytest
import torch

from cnncourse.augment import Flip


@pytest.fixture
def images(rng):
    return torch.tensor(rng.random((4, 2, 3, 5)), dtype=torch.float32)


def test_right_becomes_left_and_up_stays_up():
    image = torch.tensor([[[[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]]])
    flipped = Flip(probability=1)(image, torch.zeros(1, 1))
    assert flipped.tolist() == [[[[3, 2, 1], [6, 5, 4]]]]


def test_an_image_is_flipped_where_its_draw_is_below_the_probability(images):
    there = Flip(probability=0.3)(images, torch.tensor([[0.0], [0.29], [0.3], [0.9]]))
    flipped = [torch.equal(one, image.flip(-1)) for one, image in zip(there, images, strict=True)]
    same = [torch.equal(one, image) for one, image in zip(there, images, strict=True)]
    assert flipped == [True, True, False, False]
    assert same == [False, False, True, True]


@pytest.mark.parametrize(("probability", "share"), [(0, 0), (1, 1), (0.25, 0.25)])
def test_the_probability_is_the_share_of_the_flipped(probability, share):
    flip = Flip(probability)
    images = torch.tensor([0.0, 1.0]).expand(4000, 1, 1, 2)
    there = flip(images, flip.draws(4000, seed=0, epoch=1))
    assert there[:, 0, 0, 0].mean().item() == pytest.approx(share, abs=0.03)


@pytest.mark.parametrize("probability", [-0.1, 1.5, float("nan")])
def test_a_probability_outside_0_to_1_is_refused(probability, refused):
    with refused(f"probability={probability}: must be a number from 0 to 1. Try: probability=0.5."):
        Flip(probability)
