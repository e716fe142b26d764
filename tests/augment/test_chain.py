import torch

from cnncourse.augment import Affine, Chain, Cutout, Flip

STEPS = (Affine(shift_px=2), Cutout(3), Flip(), Flip())


def test_the_steps_are_applied_in_their_order(rng):
    images = torch.tensor(rng.random((5, 1, 6, 6)), dtype=torch.float32)
    chain = Chain(STEPS)
    draws = chain.draws(5, seed=0, epoch=1)
    assert draws.shape == (5, 3 + 2 + 1 + 1)
    expected = Cutout(3)(Affine(shift_px=2)(images, draws[:, :3]), draws[:, 3:5])
    expected = Flip()(Flip()(expected, draws[:, 5:6]), draws[:, 6:])
    assert torch.equal(chain(images, draws), expected)


def test_what_the_steps_draw_has_nothing_to_do_with_each_other():
    draws = Chain(STEPS).draws(4000, seed=0, epoch=1)
    correlation = torch.corrcoef(draws.T) - torch.eye(7)
    assert correlation.abs().max() < 0.08  # five standard errors of 0.016


def test_no_step_at_all_changes_nothing():
    chain, images = Chain(()), torch.rand(3, 1, 2, 2)
    assert torch.equal(chain(images, chain.draws(3, seed=0, epoch=1)), images)
