import numpy as np
import pytest
from torch import nn

from cnncourse import filters
from cnncourse.insight import gabors


@pytest.mark.parametrize("strength", [3.0, -0.5])
def test_a_gabor_finds_itself_whatever_its_strength_and_sign(strength):
    kernel = strength * filters.gabor(
        7, wavelength_px=14.0, angle_deg=30, sigma=7 / 4, phase_deg=90
    )
    found = gabors.nearest_gabor(kernel)
    assert found.cosine == pytest.approx(1)
    assert found[1:4] == pytest.approx((14, 30, 90))
    np.testing.assert_allclose(found.kernel * np.linalg.norm(kernel), kernel, atol=1e-12)


def test_the_cosine_is_that_of_the_kernel_shown_and_the_best_there_is(rng):
    kernel = rng.normal(size=(5, 5))
    found = gabors.nearest_gabor(kernel)
    assert np.linalg.norm(found.kernel) == pytest.approx(1)
    assert (found.kernel * kernel).sum() == pytest.approx(found.cosine * np.linalg.norm(kernel))
    _, kernels = gabors.bank(5)
    assert found.cosine == pytest.approx(
        abs(kernels @ kernel.ravel()).max() / np.linalg.norm(kernel)
    )


def test_sobel_is_nearer_to_a_wave_across_it_than_noise_is(rng):
    found = gabors.nearest_gabor(filters.SOBEL_X)
    assert found.angle_deg == 0
    noise = [gabors.nearest_gabor(rng.normal(size=(3, 3))).cosine for _ in range(30)]
    assert found.cosine > 0.95 > np.median(noise)


def test_all_that_are_counted_are_there():
    settings, kernels = gabors.bank(7)
    assert len(settings) == len(kernels) == 1152
    np.testing.assert_allclose(np.linalg.norm(kernels, axis=1), 1)
    waves = sorted({wave for wave, _, _ in settings})  # each longer by the same factor
    np.testing.assert_allclose(waves, 2.5 * (14 / 2.5) ** (np.arange(8) / 7))


def test_what_is_no_filter_is_refused(refused):
    for shape in ((3, 4), (2, 2), (3, 3, 3)):
        with refused(
            f"kernel {shape}: must be a square of 3 px or more. Try: kernel.mean(axis=0)."
        ):
            gabors.nearest_gabor(np.ones(shape))
    with refused("kernel of zeros: it is like nothing. Try: a filter that was learned."):
        gabors.nearest_gabor(np.zeros((3, 3)))
    for wrong in (np.nan, np.inf):
        with refused("kernel: some weights are nan or infinite. Try: np.isfinite(kernel)."):
            gabors.nearest_gabor(np.full((3, 3), wrong))
    with refused("kernel of type str: must be an array of numbers. Try: kernel.detach().numpy()."):
        gabors.nearest_gabor("sobel")
    learned = nn.Conv2d(1, 1, 3).weight[0, 0]
    with refused(
        "kernel of type Tensor: must be an array of numbers. Try: kernel.detach().numpy()."
    ):
        gabors.nearest_gabor(learned)
    assert gabors.nearest_gabor(learned.detach().numpy()).cosine > 0.5
