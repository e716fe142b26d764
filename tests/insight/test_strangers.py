import torch

from cnncourse.insight import strangers


def test_upside_down_twice_is_the_digit_again(rng):
    images = torch.tensor(rng.random((3, 1, 28, 28)))
    turned = strangers.upside_down(images)
    assert torch.equal(strangers.upside_down(turned), images)
    assert turned[0, 0, 0, 0] == images[0, 0, 27, 27]
    assert turned[0, 0, 0, 27] == images[0, 0, 27, 0]


def test_letters_are_prepared_as_digits_were():
    pictures, names = strangers.letters()
    assert pictures.shape == (132, 1, 28, 28)
    assert len(names) == 132
    assert set(names) == set("ABCDEFGHJKLMNPQRTUVWXY")
    assert pictures.min() == 0
    assert 0.9 < pictures.amax(dim=(1, 2, 3)).min() <= 1
    rows = torch.arange(28.0)
    mass = pictures.sum(dim=(1, 2, 3))
    centres = (pictures.sum(dim=(1, 3)) @ rows / mass, pictures.sum(dim=(1, 2)) @ rows / mass)
    assert all((centre - 14).abs().max() < 0.6 for centre in centres)
    assert all(int((p[0].amax(dim=1) > 0.1).sum()) <= 20 for p in pictures)


def test_no_two_letters_are_alike():
    pictures, _ = strangers.letters()
    assert len({picture.numpy().tobytes() for picture in pictures}) > 120


def test_noise_is_even_from_black_to_white_and_has_its_seed():
    drawn = strangers.noise(20)
    assert drawn.shape == (20, 1, 28, 28)
    assert abs(drawn.mean().item() - 0.5) < 0.01
    assert abs((drawn < 0.25).float().mean().item() - 0.25) < 0.02
    assert torch.equal(drawn, strangers.noise(20))
    assert not torch.equal(drawn, strangers.noise(20, seed=1))


def test_no_noise_at_all_is_refused(refused):
    with refused("count=0: must be a whole number, 1 or more. Try: count=1."):
        strangers.noise(0)
    with refused("seed=None: must be a whole number, 0 or more. Try: seed=0."):
        strangers.noise(1, seed=None)
    with refused("images (28, 28) float32: must be (N, C, H, W). Try: images[None, None]."):
        strangers.upside_down(torch.zeros(28, 28))
