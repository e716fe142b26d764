import pytest
import torch
from torchvision.transforms import functional as theirs

from cnncourse.augment import Color

PARTS = ("brightness", "contrast", "saturation")
SAME = {"rtol": 0, "atol": 2e-4}  # torchvision's red weighs 0.2989, the standard's 0.299


@pytest.fixture(params=[1, 3], ids=["gray", "colour"])
def images(request, rng):
    return torch.tensor(rng.random((3, request.param, 5, 7)), dtype=torch.float32)


@pytest.mark.parametrize("part", range(3), ids=PARTS)
@pytest.mark.parametrize("draw", [-1.0, -0.3, 0.0, 0.5, 1.0])
def test_each_part_is_torchvisions(part, draw, images):
    amount = 0.8
    draws = torch.full((3, 3), 0.77)
    draws[:, part] = draw
    there = Color(**{PARTS[part]: amount})(images, draws)
    expected = getattr(theirs, f"adjust_{PARTS[part]}")(images, 1 + amount * draw)
    torch.testing.assert_close(there, expected, **SAME)


def test_the_parts_follow_one_another(images):
    draws = torch.tensor([[0.5, -0.5, 1.0]] * 3)
    there = Color(brightness=0.4, contrast=0.6, saturation=0.2)(images, draws)
    expected = theirs.adjust_contrast(theirs.adjust_brightness(images, 1.2), 0.7)
    expected = theirs.adjust_saturation(expected, 1.2)
    torch.testing.assert_close(there, expected, **SAME)


def test_every_image_has_its_own_factors(images):
    same = images[:1].expand(3, -1, -1, -1)
    draws = torch.tensor([[0.0, 0.0, 0.0], [-1.0, 0.0, 0.0], [-0.5, 0.0, 0.0]])
    there = Color(brightness=1)(same, draws)
    torch.testing.assert_close(there, same * torch.tensor([1, 0, 0.5])[:, None, None, None])


def test_gray_images_have_no_saturation(images):
    draws = torch.tensor([[0.0, 0.0, -1.0]] * 3)
    there = Color(saturation=1)(images, draws)
    if images.shape[1] == 1:
        torch.testing.assert_close(there, images)
    else:
        assert (there - there[:, :1]).abs().max() < 1e-6  # all the way down: gray


def test_draws_are_even_from_minus_1_to_1():
    draws = Color().draws(10_000, seed=0, epoch=1)
    assert draws.shape == (10_000, 3)
    assert -1 <= draws.min() < -0.999 < 0.999 < draws.max() <= 1
    assert draws.mean(0).abs().max() < 0.03


@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize("amount", [-0.1, 1.1])
def test_an_amount_outside_0_to_1_is_refused(part, amount, refused):
    with refused(f"{part}={amount}: must be a number from 0 to 1. Try: {part}=0.4."):
        Color(**{part: amount})
