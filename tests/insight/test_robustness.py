import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter
from torch import nn

from cnncourse.data import Split
from cnncourse.insight import robustness
from cnncourse.insight.robustness import (
    CORRUPTIONS,
    accuracy_after,
    blurred,
    compressed,
    hybrid,
    moved,
    noisy,
    shuffled,
    turned,
)


@pytest.fixture
def pictures(rng):
    return torch.tensor(rng.random((4, 3, 12, 10)), dtype=torch.float32)


def counting(size=4):
    """One picture whose pixels count from 0 on, on a scale from 0 to 1."""
    return torch.arange(size**2).reshape(1, 1, size, size) / size**2


@pytest.mark.parametrize("name", [name for name in CORRUPTIONS if name != "JPEG quality"])
def test_strength_0_leaves_the_pictures_as_they_are_and_more_changes_more(name, pictures):
    corrupt = CORRUPTIONS[name]
    torch.testing.assert_close(corrupt(pictures, 0), pictures, atol=1e-5, rtol=0)
    strengths = {"noise": (0.02, 0.2), "rotation (degrees)": (2, 90)}.get(name, (0.3, 2))
    changes = [(corrupt(pictures, s) - pictures).abs().mean().item() for s in strengths]
    assert 0 < changes[0] < changes[1]


@pytest.mark.parametrize("name", CORRUPTIONS)
def test_pictures_stay_from_0_to_1_keep_their_shape_and_are_not_written_on(name, pictures):
    before = pictures.clone()
    for strength in (1, 3, 9):
        changed = CORRUPTIONS[name](pictures, strength)
        assert changed.shape == pictures.shape
        assert changed.dtype == torch.float32
        assert changed.min() >= 0
        assert changed.max() <= 1
    assert torch.equal(pictures, before)


def test_moved_goes_right_and_down():
    changed = moved(counting(), 1)
    torch.testing.assert_close(changed[..., 1:, 1:], counting()[..., :-1, :-1], atol=1e-5, rtol=0)
    assert changed[..., 0, :].abs().max() < 1e-5


def test_a_quarter_turn_is_clockwise():
    expected = torch.rot90(counting(), -1, (2, 3))
    torch.testing.assert_close(turned(counting(), 90), expected, atol=1e-5, rtol=0)


@pytest.mark.parametrize("sigma", [0.4, 1.0, 2.5])
def test_the_blur_is_scipys(pictures, sigma):
    reach = max(1, int(np.ceil(3 * sigma)))
    expected = gaussian_filter(
        pictures.double().numpy(), (0, 0, sigma, sigma), mode="nearest", radius=(0, 0, reach, reach)
    )
    changed = blurred(pictures, sigma).double().numpy()
    np.testing.assert_allclose(changed, expected, atol=1e-6)


def test_noise_has_its_spread_and_its_seed():
    gray = torch.full((2, 1, 100, 100), 0.5)
    changed = noisy(gray, 0.1)
    assert (changed - gray).std().item() == pytest.approx(0.1, rel=0.03)
    assert torch.equal(changed, noisy(gray, 0.1))
    assert not torch.equal(changed, noisy(gray, 0.1, seed=1))


def test_a_jpeg_of_lower_quality_is_further_off(pictures):
    for channels in (1, 3):
        part = pictures[:, :channels]
        errors = [(compressed(part, q) - part).abs().mean().item() for q in (95, 40, 5)]
        assert 0 < errors[0] < errors[1] < errors[2]
    between = (torch.arange(255.0).reshape(-1, 1, 1, 1).expand(-1, 1, 8, 8) + 0.75) / 255
    up = (compressed(between, 95) - between).mean().item() * 255  # rounded, not cut off
    assert up == pytest.approx(0.25, abs=0.1)
    flat = torch.full((1, 3, 16, 16), 128 / 255)
    torch.testing.assert_close(compressed(flat, 95), flat)


def test_accuracy_is_of_all_pictures_after_the_corruption():
    """The model says whether the left half is the brighter: a shift by half spoils it."""
    images = torch.zeros(10, 1, 4, 4)
    images[::2, :, :, :2] = 1
    images[1::2, :, :, 2:] = 1
    model = nn.Sequential(nn.Flatten(), nn.Linear(16, 2, bias=False))
    with torch.no_grad():
        left = torch.tensor([1.0, 1, -1, -1]).repeat(4)
        model[1].weight.copy_(torch.stack([left, -left]))
    split = Split(images, torch.arange(10) % 2)
    answers = accuracy_after(moved, model, split, [0, 2])
    assert {s: answer.accuracy for s, answer in answers.items()} == {0: 1, 2: 0}


# --- shape against texture ------------------------------------------------------------------------


def test_shuffled_parts_are_the_same_parts_elsewhere():
    changed = shuffled(counting(), 2, seed=1)
    parts = {part.numpy().tobytes() for part in blocks(changed)}
    assert parts == {part.numpy().tobytes() for part in blocks(counting())}
    assert not torch.equal(changed, counting())
    assert torch.equal(shuffled(counting(), 1), counting())
    assert torch.equal(changed, shuffled(counting(), 2, seed=1))
    orders = {shuffled(counting(), 2, seed=seed).numpy().tobytes() for seed in range(5)}
    assert len(orders) > 1


def blocks(picture):
    return [picture[..., y : y + 2, x : x + 2].contiguous() for y in (0, 2) for x in (0, 2)]


def test_what_does_not_divide_is_left_at_the_edge():
    picture = counting(5)
    changed = shuffled(picture, 2, seed=1)
    assert torch.equal(changed[..., 4, :], picture[..., 4, :])
    assert torch.equal(changed[..., :, 4], picture[..., :, 4])
    assert torch.equal(changed.flatten().sort().values, picture.flatten().sort().values)


def test_a_hybrid_has_the_coarse_of_one_and_the_fine_of_the_other():
    coarse = torch.full((1, 1, 32, 32), 0.3)
    coarse[..., 16:] = 0.7
    fine = 0.5 + 0.1 * (torch.arange(32) % 2 * 2.0 - 1).expand(1, 1, 32, 32)
    mixed = hybrid(coarse, fine, sigma_px=2)
    torch.testing.assert_close(blurred(mixed, 2), blurred(blurred(coarse, 2), 2), atol=0.02, rtol=0)
    wiggle = (mixed[..., 10, 4:10] - blurred(mixed, 2)[..., 10, 4:10]).abs()
    torch.testing.assert_close(wiggle, torch.full_like(wiggle, 0.1), atol=0.01, rtol=0)


# --- what is refused ------------------------------------------------------------------------------


def test_strengths_that_cannot_be_are_refused(pictures, refused):
    with refused("sigma_px=-1: must be a number from 0 to 100. Try: sigma_px=1."):
        blurred(pictures, -1)
    for shift in (float("inf"), float("nan"), "2"):
        with refused(
            f"shift_px={shift!r}: must be a number from -10000 to 10000. Try: shift_px=2."
        ):
            moved(pictures, shift)
    with refused("std=nan: must be a number from 0 to 10. Try: std=0.1."):
        noisy(pictures, float("nan"))
    with refused("quality=0: must be a whole number, 1 or more. Try: quality=1."):
        compressed(pictures, 0)
    with refused("quality=96: must be a number from 1 to 95. Try: quality=50."):
        compressed(pictures, 96)
    with refused("channels=2: a JPEG has one channel or three. Try: channels=3."):
        compressed(pictures[:, :2], 50)
    with refused("squares=11: a picture of 12 x 10 px has no more than 10. Try: squares=4."):
        shuffled(pictures, 11)
    with refused("angle_deg=inf: must be a finite number, in degrees. Try: angle_deg=45."):
        turned(pictures, float("inf"))
    with refused(
        "texture (4, 3, 5, 5): must be as large as shape (4, 3, 12, 10). "
        "Try: F.interpolate(texture, size=(12, 10))."
    ):
        robustness.hybrid(pictures, pictures[..., :5, :5], sigma_px=1)


@pytest.mark.parametrize(
    "change",
    [*CORRUPTIONS.values(), shuffled, lambda pictures, px: hybrid(pictures, pictures, sigma_px=px)],
)
def test_what_are_no_pixels_is_refused_by_all(change, pictures):
    """JPEG would wrap what is below 0 or above 1 around; the others would cut it off unasked."""
    for wrong in (-pictures, 2 * pictures, pictures * torch.nan, pictures[0], pictures[:0]):
        with pytest.raises(ValueError, match=r"^(pictures|shape) .*Try: "):
            change(wrong, 1)
    with pytest.raises(
        ValueError, match=r"^(pictures|shape) \(4, 3, 12, 10\) uint8: must be floats"
    ):
        change((255 * pictures).byte(), 1)


def test_a_table_asks_for_strengths_and_a_split_that_fits(pictures, refused):
    model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    split = Split(pictures, torch.zeros(4).long())
    with refused("strengths=1: must be a list. Try: strengths=[1]."):
        accuracy_after(moved, model, split, 1)
    with refused(
        "layer '0' (Conv2d) expects 1 channels, gets 3: the split images are 3x12x10. "
        "Try: in_channels=3, or other images."
    ):
        accuracy_after(moved, model, split, [1])
    with refused(
        "model of type NoneType: must be a torch.nn.Module. "
        "Try: model=cnncourse.models.simple.SimpleCNN().",
        TypeError,
    ):
        accuracy_after(moved, None, split, [1])
