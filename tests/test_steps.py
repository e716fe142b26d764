import pytest
import torch

from cnncourse import augment
from cnncourse.data import Split
from cnncourse.steps import batches


def test_an_epoch_has_every_image_once_with_its_label_in_an_order_of_its_own():
    numbered = Split(torch.arange(10.0).reshape(10, 1, 1, 1), torch.arange(10))
    seen = {}
    for epoch in (1, 2):
        parts = list(batches(numbered, batch_size=4, seed=0, epoch=epoch))
        assert [len(part.labels) for part in parts] == [4, 4, 2]
        seen[epoch] = torch.cat([part.labels for part in parts]).tolist()
        assert torch.cat([part.images for part in parts]).flatten().tolist() == seen[epoch]
    assert sorted(seen[1]) == sorted(seen[2]) == list(range(10))
    assert seen[1] != seen[2]


@pytest.mark.parametrize("batch_size", [1, 4, 10])
def test_an_image_is_augmented_by_its_own_draws(batch_size):
    images = torch.rand(10, 1, 6, 6, generator=torch.Generator().manual_seed(0))
    augmentation = augment.Affine(degrees=30, shift_px=2)
    expected = augmentation(images, augmentation.draws(10, seed=0, epoch=3))
    parts = batches(
        Split(images, torch.arange(10)),
        batch_size=batch_size,
        seed=0,
        epoch=3,
        augmentation=augmentation,
    )
    order = augment.order(10, seed=0, epoch=3)
    assert torch.equal(torch.cat([part.images for part in parts]), expected[order])
