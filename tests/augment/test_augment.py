"""What every augmentation promises: an image's fate is (seed, epoch, index), and nothing else."""

import pytest
import torch

from cnncourse import augment

EVERY = {
    "Affine": augment.Affine(degrees=30, shift_px=2),
    "Chain": augment.Chain((augment.Flip(), augment.Cutout(size_px=2))),
    "Color": augment.Color(brightness=0.4, contrast=0.4),
    "Crop": augment.Crop(least_area=0.3),
    "Cutout": augment.Cutout(size_px=3),
    "Flip": augment.Flip(),
}
each = pytest.mark.parametrize("augmentation", EVERY.values(), ids=EVERY)


@pytest.fixture
def images(rng):
    """Five pictures of two channels, 6 px high and 8 px wide."""
    return torch.tensor(rng.random((5, 2, 6, 8)), dtype=torch.float32)


def test_every_augmentation_is_tried_here():
    classes = {name for name in augment.__all__ if name[0].isupper()}
    assert classes == set(EVERY)


@each
def test_an_images_fate_does_not_depend_on_its_batch_or_the_order(augmentation, images):
    draws = augmentation.draws(5, seed=0, epoch=1)
    together = augmentation(images, draws)
    assert not torch.equal(together, images)
    for order in (torch.arange(5), torch.tensor([3, 0, 4, 1, 2])):
        for batch_size in (1, 2, 5):
            for index in order.split(batch_size):
                batch = augmentation(images[index], draws[index])
                torch.testing.assert_close(batch, together[index], rtol=0, atol=0)


@each
def test_the_draws_of_an_image_differ_by_seed_and_epoch_and_not_by_their_number(augmentation):
    many = augmentation.draws(60, seed=3, epoch=2)
    assert torch.equal(augmentation.draws(7, seed=3, epoch=2), many[:7])
    for other in ({"seed": 4, "epoch": 2}, {"seed": 3, "epoch": 3}):
        assert not torch.equal(augmentation.draws(60, **other), many)
