import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from cnncourse import augment
from cnncourse.augment import Affine, affine

TURN_AND_SHIFT = Affine(degrees=30, shift_px=2)
EXACT = {"rtol": 0, "atol": 2e-5}  # bilinear weights are exact to float32's rounding, times pixels


@pytest.fixture
def images(rng):
    """Five pictures of two channels, 6 px high and 8 px wide."""
    return torch.tensor(rng.random((5, 2, 6, 8)), dtype=torch.float32)


def moved(images, *, angle=0.0, right=0.0, down=0.0, fill=0.0):
    """All images, moved alike."""
    count = len(images)
    shift_px = torch.tensor([[right, down]], dtype=torch.float32).expand(count, 2)
    return affine(images, angles=torch.full((count,), angle), shift_px=shift_px, fill=fill)


# What is drawn


@given(seed=st.integers(0, 2**40), epoch=st.integers(0, 10**6), count=st.integers(1, 50))
def test_the_draws_of_image_i_do_not_depend_on_how_many_images_there_are(seed, epoch, count):
    many = TURN_AND_SHIFT.draws(60, seed=seed, epoch=epoch)
    assert torch.equal(TURN_AND_SHIFT.draws(count, seed=seed, epoch=epoch), many[:count])


def test_the_callers_random_numbers_are_neither_used_nor_moved():
    torch.manual_seed(1)
    state = torch.get_rng_state()
    first = TURN_AND_SHIFT.draws(4, seed=0, epoch=1), augment.order(4, seed=0, epoch=1)
    assert torch.equal(torch.get_rng_state(), state)
    torch.manual_seed(2)
    again = TURN_AND_SHIFT.draws(4, seed=0, epoch=1), augment.order(4, seed=0, epoch=1)
    assert torch.equal(first[0], again[0])
    assert torch.equal(first[1], again[1])


def test_draws_are_even_from_minus_1_to_1_and_differ_by_seed_epoch_and_number():
    draws = TURN_AND_SHIFT.draws(10_000, seed=0, epoch=1)
    assert draws.shape == (10_000, 3)
    assert -1 <= draws.min() < -0.999 < 0.999 < draws.max() <= 1
    assert draws.mean(0).abs().max() < 0.03  # 5 standard errors: 5 * 0.577 / 100
    for other in ({"seed": 1, "epoch": 1}, {"seed": 0, "epoch": 2}):
        assert (TURN_AND_SHIFT.draws(10_000, **other) == draws).float().mean() < 0.001


def test_the_order_and_the_augmentation_are_drawn_apart():
    one, other = (augment.generator(0, 1, purpose=purpose) for purpose in (0, 1))
    assert torch.equal(augment.order(20, seed=0, epoch=1), torch.randperm(20, generator=one))
    draws = Affine().draws(20, seed=0, epoch=1)
    assert torch.equal(draws, torch.rand(20, 3, generator=other) * 2 - 1)


# What is done


def test_an_angle_and_a_shift_of_zero_change_nothing(images):
    torch.testing.assert_close(moved(images), images, **EXACT)
    torch.testing.assert_close(moved(images, fill=-0.4), images, **EXACT)
    still = Affine()(images, Affine().draws(5, seed=0, epoch=1))
    torch.testing.assert_close(still, images, **EXACT)


def test_right_is_right_and_down_is_down():
    dot = torch.zeros(1, 1, 3, 4)
    dot[0, 0, 1, 1] = 1
    there = moved(dot, right=2, down=1)[0, 0]
    assert there.round(decimals=4).tolist() == [[0, 0, 0, 0], [0, 0, 0, 0], [0, 0, 0, 1]]


@pytest.mark.parametrize(
    ("right", "down", "to", "taken_from"),
    [
        (2, 0, np.s_[:, 2:], np.s_[:, :-2]),
        (0, 3, np.s_[3:, :], np.s_[:-3, :]),
        (3, 1, np.s_[1:, 3:], np.s_[:-1, :-3]),
        (-1, -2, np.s_[:-2, :-1], np.s_[2:, 1:]),
    ],
)
def test_a_shift_by_whole_pixels_is_a_slice_and_the_rest_is_fill(
    images, right, down, to, taken_from
):
    expected = torch.full_like(images, 0.25)
    expected[..., *to] = images[..., *taken_from]
    there = moved(images, right=right, down=down, fill=0.25)
    torch.testing.assert_close(there, expected, **EXACT)


def test_half_a_pixel_is_the_mean_of_two():
    row = torch.tensor([[[[0.0, 1.0, 3.0]]]])
    torch.testing.assert_close(moved(row, right=0.5), torch.tensor([[[[0, 0.5, 2.0]]]]), **EXACT)


@pytest.mark.parametrize("size", [5, 6])
def test_90_degrees_are_rot90_clockwise(rng, size):
    square = torch.tensor(rng.random((2, 3, size, size)), dtype=torch.float32)
    for quarters in (1, 2, 3):
        turned = moved(square, angle=90.0 * quarters)
        torch.testing.assert_close(turned, square.rot90(k=-quarters, dims=(2, 3)), **EXACT)


def test_half_a_turn_of_a_wide_image_is_rot90_twice(images):
    torch.testing.assert_close(moved(images, angle=180.0), images.rot90(2, dims=(2, 3)), **EXACT)


@pytest.mark.parametrize("angle", [20.0, -75.0, 90.0])
def test_a_wide_image_turns_as_it_does_inside_a_square(images, angle):
    """Pixels are square: 6 x 8 px with a border of fill to 8 x 8 px turns like the square."""
    square = torch.nn.functional.pad(images, (0, 0, 1, 1), value=0.5)
    shape = {"angle": angle, "right": 1.5, "down": -0.5, "fill": 0.5}
    inside = moved(square, **shape)[:, :, 1:-1]
    torch.testing.assert_close(moved(images, **shape), inside, **EXACT)


def test_an_image_turns_first_and_shifts_then():
    dot = torch.zeros(1, 1, 5, 5)
    dot[0, 0, 2, 3] = 1  # one right of the middle: 90 degrees clockwise is one below it
    there = moved(dot, angle=90.0, right=2.0)[0, 0]
    assert there.round(decimals=4).nonzero().tolist() == [[3, 4]]


def test_beyond_the_border_is_fill_in_every_channel(images):
    gone = moved(images, right=100.0, fill=-0.42)
    assert torch.equal(gone, torch.full_like(images, -0.42))


def test_a_draw_is_a_share_of_the_degrees_and_of_the_shift(images):
    draws = torch.tensor([[0.5, 1.0, -1.0]] * 5)  # half the angle, all the way right, and up
    expected = moved(images, angle=15.0, right=2.0, down=-2.0, fill=0.1)
    there = Affine(degrees=30, shift_px=2, fill=0.1)(images, draws)
    torch.testing.assert_close(there, expected, **EXACT)


def test_every_image_has_its_own_movement(images):
    same = images[:1].expand(5, -1, -1, -1)
    there = TURN_AND_SHIFT(same, TURN_AND_SHIFT.draws(5, seed=0, epoch=1))
    assert len({image.numpy().tobytes() for image in there}) == 5


def test_images_and_draws_are_left_as_they_were(images):
    draws = TURN_AND_SHIFT.draws(5, seed=0, epoch=1)
    before = images.clone(), draws.clone()
    TURN_AND_SHIFT(images, draws)
    assert torch.equal(images, before[0])
    assert torch.equal(draws, before[1])


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_type_shape_and_device_stay(images, dtype):
    there = TURN_AND_SHIFT(images.to(dtype), TURN_AND_SHIFT.draws(5, seed=0, epoch=1))
    assert (there.dtype, there.shape, there.device) == (dtype, images.shape, images.device)
    meta = torch.empty(5, 2, 6, 8, device="meta")  # a device without numbers: every machine has it
    assert TURN_AND_SHIFT(meta, TURN_AND_SHIFT.draws(5, seed=0, epoch=1)).device.type == "meta"


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU")
def test_a_gpu_does_the_same_as_the_cpu(images):
    draws = TURN_AND_SHIFT.draws(5, seed=0, epoch=1)
    there = TURN_AND_SHIFT(images.cuda(), draws.cuda())
    assert there.is_cuda
    torch.testing.assert_close(there.cpu(), TURN_AND_SHIFT(images, draws), rtol=0, atol=1e-4)


def test_ink_is_kept_when_a_digit_in_the_middle_turns():
    """A turn moves ink and makes none: the sum of a blob far from the border stays."""
    y, x = np.mgrid[-7:8, -7:8]
    blob = torch.tensor(np.exp(-(x**2 + 2 * y**2) / 8), dtype=torch.float32)[None, None]
    turned = moved(blob, angle=33.0)
    assert turned.sum().item() == pytest.approx(blob.sum().item(), rel=0.002)
