import pytest
import torch

from cnncourse.augment import Crop
from cnncourse.augment.crop import cropped


def part_of(images, *, top=0.0, left=0.0, height=1.0, width=1.0):
    """The same part of all images."""
    shares = {"top": top, "left": left, "height": height, "width": width}
    each = {name: torch.full((len(images),), share) for name, share in shares.items()}
    return cropped(images, **each)


@pytest.fixture
def images(rng):
    return torch.tensor(rng.random((3, 2, 6, 8)), dtype=torch.float32)


def test_the_whole_is_the_image_itself(images):
    torch.testing.assert_close(part_of(images), images, rtol=0, atol=1e-5)


def test_a_part_is_stretched_to_the_size_of_the_whole():
    """Bilinear is exact on a ramp: pixel i of 8 stands at 2 + (i + 0.5) / 2, in columns 2 to 5."""
    down, right = torch.arange(6.0), torch.arange(8.0)
    ramp = (10 * down[:, None] + right)[None, None]
    there = part_of(ramp, top=1 / 3, left=1 / 4, height=1 / 2, width=1 / 2)[0, 0]
    rows, columns = 2 + (down + 0.5) / 2 - 0.5, 2 + (right + 0.5) / 2 - 0.5
    torch.testing.assert_close(there, 10 * rows[:, None] + columns, rtol=0, atol=1e-4)


def test_at_the_border_the_last_pixel_is_repeated():
    row = torch.tensor([[[[1.0, 0.0, 0.0, 0.0]]]])
    there = part_of(row, width=0.25)
    torch.testing.assert_close(there[..., 0], torch.tensor([[[1.0]]]))


def parts(crop, count=4000):
    """(top, left, height, width) of the parts that a crop draws, from what it does to ramps."""
    size = 64
    ramp = (torch.arange(float(size)) + 0.5) / size
    images = torch.stack([ramp[:, None].expand(size, size), ramp.expand(size, size)])
    there = crop(images.expand(count, -1, -1, -1).contiguous(), crop.draws(count, seed=0, epoch=1))
    lines = there[:, 0, :, size // 2], there[:, 1, size // 2, :]
    slopes = [(line[:, 40] - line[:, 24]) * size / 16 for line in lines]
    middles = [(line[:, 31] + line[:, 32]) / 2 for line in lines]
    (height, width), (y, x) = slopes, middles
    return y - height / 2, x - width / 2, height, width


def test_a_part_lies_inside_and_has_the_area_and_aspect_that_were_asked_for():
    top, left, height, width = parts(Crop(least_area=0.2))
    assert min(top.min(), left.min()) >= -1e-3
    assert max((top + height).max(), (left + width).max()) <= 1 + 1e-3
    area, aspect = height * width, width / height
    assert 0.2 - 1e-3 <= area.min() < 0.21 < 0.95 < area.max() <= 1
    assert 3 / 4 - 1e-3 <= aspect.min() < 0.76 < 1.31 < aspect.max() <= 4 / 3 + 1e-3
    assert area.mean().item() == pytest.approx(0.6, abs=0.02)  # evenly; wide ones are cut at 1
    assert aspect.log().mean().abs() < 0.02
    assert ((top / (1 - height)).nan_to_num(0.5).mean() - 0.5).abs() < 0.03


def test_a_least_area_of_1_cuts_off_a_strip_at_most():
    _, _, height, width = parts(Crop(least_area=1), count=200)
    assert torch.maximum(height, width).min() > 1 - 1e-3
    assert torch.minimum(height, width).min() >= 0.75**0.5 - 1e-3


@pytest.mark.parametrize("least_area", [0, -1, 1.01])
def test_an_area_outside_its_range_is_refused(least_area, refused):
    with refused(
        f"least_area={least_area}: must be a number from 0.01 to 1. Try: least_area=0.25."
    ):
        Crop(least_area)
