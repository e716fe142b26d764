"""Padding against torch's, and its way back."""

import numpy as np
import pytest
import torch
from numpy import ones
from torch.nn import functional as F

from cnncourse.ops import conv2d, pad
from cnncourse.ops.padding import pad_backward, pad_sides

TORCH = {
    "zeros": "constant",
    "reflect": "reflect",
    "replicate": "replicate",
    "circular": "circular",
}
SAME = "the size can stay the same only when stride is 1"
COPIES = "padding copies pixels of the image"


@pytest.mark.parametrize(
    ("mode", "row"),
    [
        ("zeros", [0, 0, 1, 2, 3, 0, 0]),
        ("reflect", [3, 2, 1, 2, 3, 2, 1]),
        ("replicate", [1, 1, 1, 2, 3, 3, 3]),
        ("circular", [2, 3, 1, 2, 3, 1, 2]),
    ],
)
def test_two_pixels_a_side_in_each_mode(mode, row):
    assert pad([[1, 2, 3]], (0, 2), mode=mode).tolist() == [row]
    assert pad([[1], [2], [3]], (2, 0), mode=mode).ravel().tolist() == row


def test_zeros_are_what_is_added_unless_a_mode_is_named():
    assert pad([[7]], 1).tolist() == [[0, 0, 0], [0, 7, 0], [0, 0, 0]]
    assert pad([[7]], (1, 0)).tolist() == [[0], [7], [0]]


@pytest.mark.parametrize("mode", TORCH)
@pytest.mark.parametrize("shape", [(3, 4), (2, 3, 4), (2, 2, 3, 4), (0, 2, 3, 4)])
@pytest.mark.parametrize("padding", [0, 2, (1, 2), (2, 0)])
@pytest.mark.parametrize("dtype", ["f8", "f4", "i8", "u1"])
def test_padding_is_torchs_in_every_rank_and_dtype(rng, mode, shape, padding, dtype):
    images = rng.integers(0, 9, size=shape).astype(dtype)
    height, width = (padding, padding) if isinstance(padding, int) else padding
    batch = torch.tensor(images).reshape((1,) * (4 - len(shape)) + shape)
    expected = F.pad(batch, (width, width, height, height), mode=TORCH[mode]).numpy()
    padded = pad(images, padding, mode=mode)
    assert padded.dtype == images.dtype
    np.testing.assert_array_equal(padded, expected[(0,) * (4 - len(shape))])


@pytest.mark.parametrize(("mode", "limit"), [("reflect", 2), ("circular", 3)])
def test_a_mode_that_copies_takes_what_the_image_has_and_no_more(mode, limit):
    assert pad(ones((3, 9)), (limit, 0), mode=mode).shape == (3 + 2 * limit, 9)
    assert pad(ones((9, 3)), (0, limit), mode=mode).shape == (9, 3 + 2 * limit)
    for shape, padding in (((3, 9), (limit + 1, 0)), ((9, 3), (0, limit + 1))):
        with pytest.raises(ValueError, match=COPIES):
            pad(ones(shape), padding, mode=mode)


@pytest.mark.parametrize("mode", ["zeros", "replicate"])
def test_zeros_and_replicate_have_no_limit(mode):
    assert pad(ones((1, 1)), 9, mode=mode).shape == (19, 19)


@pytest.mark.parametrize("mode", TORCH)
@pytest.mark.parametrize("sides", [((0, 1), (2, 1)), ((2, 2), (0, 0)), ((1, 0), (1, 2))])
def test_the_gradient_of_padding_is_autograds(rng, mode, sides):
    image = torch.tensor(rng.integers(-9, 10, size=(2, 2, 3, 4)), dtype=torch.float64)
    image.requires_grad_()
    (top, bottom), (left, right) = sides
    padded = F.pad(image, (left, right, top, bottom), mode=TORCH[mode])
    grad = rng.integers(-9, 10, size=padded.shape).astype(float)
    padded.backward(torch.tensor(grad))
    np.testing.assert_array_equal(pad_backward(grad, (3, 4), sides, mode=mode), image.grad)


def test_the_gradient_of_zeros_is_a_crop_and_keeps_its_dtype():
    grad = np.arange(12).reshape(1, 1, 3, 4)
    back = pad_backward(grad, (1, 2), ((1, 1), (1, 1)))
    assert (back.dtype, back.tolist()) == (np.int64, [[[[5, 6]]]])


def test_sides_may_differ():
    assert pad_sides(np.array([[5]]), ((0, 1), (2, 0)), "zeros").tolist() == [[0, 0, 5], [0, 0, 0]]


# --- padding of a convolution ---------------------------------------------------------------------


def test_same_keeps_the_size_and_puts_an_odd_pixel_after():
    row = conv2d([[1, 2, 3]], [[1, 10]], padding="same")  # of two taps, one reaches past the end
    assert row.tolist() == [[21, 32, 3]]
    column = conv2d([[1], [2], [3]], [[1], [10]], padding="same")
    assert column.ravel().tolist() == [21, 32, 3]
    assert conv2d(ones((5, 6)), ones((3, 4)), padding="same", dilation=(3, 1)).shape == (5, 6)
    assert conv2d(ones((5, 6)), ones((3, 4)), padding="same", dilation=(1, 3)).shape == (5, 6)


def test_valid_is_no_padding():
    row = conv2d([[1, 2, 3]], [[1, 10]], padding="valid")
    assert row.tolist() == conv2d([[1, 2, 3]], [[1, 10]]).tolist() == [[21, 32]]
    assert conv2d([[1, 2, 3]], [[1, 10]], padding="valid", stride=2).tolist() == [[21]]


def conv(shape=(5, 5), kernel=(3, 3), **options):
    return lambda: conv2d(ones(shape), ones(kernel), **options)


BAD = [
    (
        lambda: pad(ones((3, 3)), -1),
        "padding=-1: must be a whole number, 0 or more. Try: padding=0.",
        lambda: pad(ones((3, 3)), 0),
    ),
    (
        lambda: pad(ones((3, 3)), "same"),
        "padding='same': must be a whole number, 0 or more. Try: padding=0.",
        lambda: pad(ones((3, 3)), 0),
    ),
    (
        lambda: pad(ones((3, 3)), (1, 1, 1, 1)),
        "padding=(1, 1, 1, 1): must be one number or a pair, (height, width). Try: padding=0.",
        lambda: pad(ones((3, 3)), 0),
    ),
    (
        lambda: pad(ones((3, 3)), 1, mode="reflection"),
        "'reflection': unknown mode. Did you mean 'reflect'? "
        "Known: zeros, reflect, replicate, circular.",
        lambda: pad(ones((3, 3)), 1, mode="reflect"),
    ),
    (
        lambda: pad(ones((3, 3)), 1, mode="edge"),
        "'edge': unknown mode. Known: zeros, reflect, replicate, circular.",
        lambda: pad(ones((3, 3)), 1, mode="replicate"),
    ),
    (
        lambda: pad(ones(3), 1),
        "images (3,): must be (H, W), (C, H, W) or (N, C, H, W). Try: np.atleast_2d(images).",
        lambda: pad(np.atleast_2d(ones(3)), 1),
    ),
    (
        lambda: pad([[1, 2], [3]], 1),
        "images: its rows are not equally long. Try: np.zeros((3, 3)).",
        lambda: pad(np.zeros((3, 3)), 1),
    ),
    (
        lambda: pad(ones((3, 3)), 3, mode="reflect"),
        f"padding=3 on image (3, 3): reflect {COPIES}, at most 2 here. Try: mode='zeros'.",
        lambda: pad(ones((3, 3)), 3, mode="zeros"),
    ),
    (
        lambda: pad(ones((2, 2, 3, 4)), (0, 5), mode="circular"),
        f"padding=(0, 5) on image (3, 4): circular {COPIES}, at most (3, 4) here. "
        "Try: mode='zeros'.",
        lambda: pad(ones((3, 4)), (0, 5), mode="zeros"),
    ),
    (
        conv((3, 5), padding=3, padding_mode="reflect"),
        f"padding=3 on image (3, 5): reflect {COPIES}, at most (2, 4) here. "
        "Try: padding_mode='zeros'.",
        conv((3, 5), padding=3, padding_mode="zeros"),
    ),
    (
        conv((2, 2), (5, 5), padding="same", padding_mode="reflect"),
        f"padding='same' on image (2, 2): reflect {COPIES}, at most 1 here. "
        "Try: padding_mode='zeros'.",
        conv((2, 2), (5, 5), padding="same", padding_mode="zeros"),
    ),
    (  # before the image one pixel, after it two
        conv((2, 1), (4, 1), padding="same", padding_mode="reflect"),
        f"padding='same' on image (2, 1): reflect {COPIES}, at most (1, 0) here. "
        "Try: padding_mode='zeros'.",
        conv((2, 1), (4, 1), padding="same", padding_mode="zeros"),
    ),
    (
        conv(padding_mode="zero"),
        "'zero': unknown padding_mode. Did you mean 'zeros'? "
        "Known: zeros, reflect, replicate, circular.",
        conv(padding_mode="zeros"),
    ),
    (
        conv(padding_mode=None),
        "'None': unknown padding_mode. Known: zeros, reflect, replicate, circular.",
        conv(padding_mode="zeros"),
    ),
    (
        conv(padding=-1),
        "padding=-1: must be a whole number, 0 or more. Try: padding=0.",
        conv(padding=0),
    ),
    (
        conv(padding="full"),
        "'full': unknown padding. Known: same, valid.",
        conv(padding="valid"),
    ),
    (
        conv(padding="Same"),
        "'Same': unknown padding. Did you mean 'same'? Known: same, valid.",
        conv(padding="same"),
    ),
    (
        conv(padding="same", stride=2),
        f"padding='same' with stride=2: {SAME}. Try: padding=1 (output 3x3) or stride=1.",
        conv(padding=1, stride=2),
    ),
    (
        conv(padding="same", stride=(1, 2)),
        f"padding='same' with stride=(1, 2): {SAME}. Try: padding=1 (output 5x3) or stride=1.",
        conv(padding="same", stride=1),
    ),
    (
        conv((1, 6), (4, 1), padding="same", stride=2),
        f"padding='same' with stride=2: {SAME}. Try: padding=(2, 0) (output 1x3) or stride=1.",
        conv((1, 6), (4, 1), padding=(2, 0), stride=2),
    ),
    (
        conv((6, 8), padding="same", stride=(2, 1), dilation=(1, 2)),
        f"padding='same' with stride=(2, 1): {SAME}. Try: padding=(1, 2) (output 3x8) or stride=1.",
        conv((6, 8), padding=(1, 2), stride=(2, 1), dilation=(1, 2)),
    ),
]


@pytest.mark.parametrize(("call", "sentence"), [row[:2] for row in BAD])
def test_a_refusal_says_what_came_the_rule_and_what_to_type(refused, call, sentence):
    with refused(sentence):
        call()


@pytest.mark.parametrize("mended", [row[2] for row in BAD])
def test_what_a_refusal_says_to_type_works(mended):
    assert mended().size
