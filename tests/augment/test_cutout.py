import pytest
import torch

from cnncourse.augment import Cutout


def cut(size_px, *, down, right, fill=0.0, height=4, width=6):
    """Which pixels of ones are left, as rows of 0 and 1 (fill shows as itself)."""
    draws = torch.tensor([[down, right]])
    return Cutout(size_px, fill)(torch.ones(1, 1, height, width), draws)[0, 0].tolist()


def test_a_square_of_the_size_is_taken_out_around_its_middle():
    assert cut(3, down=0.5, right=0.5) == [
        [1, 1, 1, 1, 1, 1],
        [1, 1, 0, 0, 0, 1],
        [1, 1, 0, 0, 0, 1],
        [1, 1, 0, 0, 0, 1],
    ]
    assert cut(2, down=0.5, right=0.5) == [
        [1, 1, 1, 1, 1, 1],
        [1, 1, 0, 0, 1, 1],
        [1, 1, 0, 0, 1, 1],
        [1, 1, 1, 1, 1, 1],
    ]


def test_at_the_border_a_part_of_it_is_outside():
    assert cut(3, down=0.0, right=0.99)[:2] == [[1, 1, 1, 1, 0, 0], [1, 1, 1, 1, 0, 0]]
    assert cut(3, down=0.0, right=0.99)[2] == [1] * 6


def test_every_pixel_is_as_often_the_middle():
    cutout = Cutout(1)
    there = cutout(torch.ones(24_000, 1, 4, 6), cutout.draws(24_000, seed=0, epoch=1))
    gone = (1 - there).sum(dim=(0, 1))
    assert gone.sum() == 24_000
    assert (gone - 1000).abs().max() < 160  # five standard errors of 31


def test_all_channels_lose_the_same_square_and_take_the_fill(rng):
    images = torch.tensor(rng.random((5, 3, 6, 6)), dtype=torch.float32)
    cutout = Cutout(4, fill=-0.42)
    there = cutout(images, cutout.draws(5, seed=0, epoch=1))
    gone = there == -0.42
    assert torch.equal(gone, gone[:, :1].expand_as(gone))
    assert torch.equal(there[~gone], images[~gone])
    assert gone.flatten(1).any(1).all()


def test_a_size_of_0_changes_nothing():
    assert cut(0, down=0.5, right=0.5) == [[1] * 6] * 4


@pytest.mark.parametrize("size_px", [-1, 2.5])
def test_a_size_that_is_no_number_of_pixels_is_refused(size_px, refused):
    with refused(f"size_px={size_px}: must be a whole number, 0 or more. Try: size_px=0."):
        Cutout(size_px)
