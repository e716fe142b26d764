import numpy as np
import pytest
import torch
from scipy.stats import beta, kstest
from torch.nn import functional as F

from cnncourse.augment import mixing_shares, mixup


def test_images_and_targets_are_mixed_in_the_same_shares():
    images = torch.tensor([0.0, 1.0, 2.0]).reshape(3, 1, 1, 1).expand(3, 2, 2, 2)
    targets = torch.eye(3)
    partners, shares = torch.tensor([1, 2, 1]), torch.tensor([0.75, 0.5, 1.0])
    mixed, labels = mixup(images, targets, partners=partners, shares=shares)
    expected = torch.tensor([0.25, 1.5, 2.0])[:, None, None, None]
    torch.testing.assert_close(mixed, expected.expand(3, 2, 2, 2))
    assert labels.tolist() == [[0.75, 0.25, 0], [0, 0.5, 0.5], [0, 0, 1]]


def test_its_loss_is_the_two_labels_losses_in_their_shares(rng):
    """What makes mixup's loss two lines in other people's code."""
    logits = torch.tensor(rng.normal(size=(6, 4)), dtype=torch.float32)
    labels = torch.tensor([0, 1, 2, 3, 0, 1])
    partners, shares = torch.tensor([5, 4, 3, 2, 1, 0]), torch.rand(6)
    targets = F.one_hot(labels, 4).float()
    _, mixed = mixup(torch.rand(6, 1, 2, 2), targets, partners=partners, shares=shares)
    own, other = (
        F.cross_entropy(logits, each, reduction="none") for each in (labels, labels[partners])
    )
    expected = (shares * own + (1 - shares) * other).mean()
    torch.testing.assert_close(F.cross_entropy(logits, mixed), expected)


@pytest.mark.parametrize("alpha", [0.2, 1.0, 5.0])
def test_shares_come_from_beta(alpha):
    shares = mixing_shares(3000, alpha=alpha, seed=0, epoch=1).double().numpy()
    assert 0 <= shares.min() <= shares.max() <= 1
    assert kstest(np.clip(shares, 1e-12, 1 - 1e-12), beta(alpha, alpha).cdf).pvalue > 0.001


def test_the_share_of_image_i_is_that_of_seed_epoch_and_i():
    many = mixing_shares(60, alpha=0.4, seed=3, epoch=2)
    assert torch.equal(mixing_shares(7, alpha=0.4, seed=3, epoch=2), many[:7])
    for seed, epoch in ((4, 2), (3, 3)):
        assert not torch.equal(mixing_shares(60, alpha=0.4, seed=seed, epoch=epoch), many)


@pytest.mark.parametrize("alpha", [0, -1, float("inf")])
def test_an_alpha_outside_its_range_is_refused(alpha, refused):
    with refused(f"alpha={alpha}: must be a number from 0.01 to 100. Try: alpha=0.2."):
        mixing_shares(3, alpha=alpha, seed=0, epoch=1)
