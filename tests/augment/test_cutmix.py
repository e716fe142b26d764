import pytest
import torch

from cnncourse.augment import cutmix


def one(share, *, down=0.5, right=0.5, height=4, width=4):
    """Ones with a rectangle of zeros from the partner, and the share of its own label."""
    images = torch.stack([torch.ones(2, height, width), torch.zeros(2, height, width)])
    mixed, targets = cutmix(
        images,
        torch.eye(2),
        partners=torch.tensor([1, 0]),
        shares=torch.tensor([share, share]),
        middles=torch.tensor([[down, right]] * 2),
    )
    assert torch.equal(mixed[0], mixed[0][:1].expand(2, -1, -1))  # in every channel
    assert torch.equal(mixed[1], 1 - mixed[0])
    assert targets[0].sum() == 1
    return mixed[0, 0].tolist(), targets[0, 0].item()


def test_a_rectangle_comes_from_the_partner_and_the_label_by_its_area():
    picture, own = one(0.75)
    assert picture == [[1, 1, 1, 1], [1, 0, 0, 1], [1, 0, 0, 1], [1, 1, 1, 1]]
    assert own == 0.75


def test_at_the_border_the_label_keeps_the_share_that_is_left():
    picture, own = one(0.75, down=0.0, right=1.0)
    assert picture == [[1, 1, 1, 0], [1, 1, 1, 1], [1, 1, 1, 1], [1, 1, 1, 1]]
    assert own == 15 / 16


@pytest.mark.parametrize(("share", "left"), [(1.0, 1.0), (0.0, 0.0)])
def test_a_share_of_1_keeps_all_and_0_nothing(share, left):
    picture, own = one(share)
    assert picture == [[left] * 4] * 4
    assert own == left


def test_a_wide_image_loses_a_wide_rectangle():
    picture, own = one(0.75, height=4, width=8)
    assert [row.count(0) for row in picture] == [0, 4, 4, 0]
    assert own == 0.75


def test_targets_are_always_the_share_of_pixels(rng):
    images = torch.arange(6.0).reshape(6, 1, 1, 1).expand(6, 1, 9, 7)
    partners = torch.tensor([1, 2, 3, 4, 5, 0])
    middles = torch.tensor(rng.random((6, 2)), dtype=torch.float32)
    shares = torch.tensor(rng.random(6), dtype=torch.float32)
    mixed, targets = cutmix(images, torch.eye(6), partners=partners, shares=shares, middles=middles)
    counted = torch.stack([(mixed == number).float().mean(dim=(1, 2, 3)) for number in range(6)], 1)
    torch.testing.assert_close(targets, counted)
    assert ((mixed != images).flatten(1).any(1)).sum() >= 4
