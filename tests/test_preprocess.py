import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.models import get_model_weights

from cnncourse import images
from cnncourse.preprocess import Preprocess
from cnncourse.weights import KNOWN

PLAIN = Preprocess(2, 4, (0.0, 0.0, 0.0), (1.0, 1.0, 1.0), "bilinear")


@pytest.mark.parametrize("name", ["resnet18", "resnet50", "efficientnet_b0"])
@pytest.mark.parametrize("size", [(300, 451), (451, 300), (100, 133), (257, 256)])
def test_it_is_what_belongs_to_torchvisions_weights(rng, name, size):
    picture = rng.integers(0, 256, size=(*size, 3), dtype=np.uint8)
    theirs = get_model_weights(name).IMAGENET1K_V1.transforms()
    ours = KNOWN[name].preprocess
    assert list(ours.mean) == theirs.mean
    assert list(ours.std) == theirs.std
    torch.testing.assert_close(ours(picture), theirs(Image.fromarray(picture)), rtol=0, atol=1e-6)


def test_lite_is_x_minus_127_over_128():
    white = np.full((260, 300, 3), 255, np.uint8)
    assert KNOWN["efficientnet_lite0"].preprocess(white).sub(1).abs().max() < 1e-6
    gray = np.full((260, 300, 3), 127, np.uint8)
    assert KNOWN["efficientnet_lite0"].preprocess(gray).abs().max() < 1e-6


def test_the_middle_of_what_was_resized_is_cut_out():
    picture = np.zeros((8, 4, 3), np.uint8)  # already 4 px wide: 4 x 8 is kept as it is
    picture[3:5, 1:3] = [[[10, 20, 30], [40, 50, 60]], [[70, 80, 90], [100, 110, 120]]]
    pixels = PLAIN(picture) * 255
    assert pixels.shape == (3, 2, 2)
    assert pixels[0].round().tolist() == [[10, 40], [70, 100]]  # red


def test_one_picture_a_list_and_an_array_agree_and_pillows_modes_will_do():
    cat = images.photo("chelsea")
    one = PLAIN(cat)
    assert one.shape == (3, 2, 2)
    assert torch.equal(PLAIN([cat, cat]), torch.stack([one, one]))
    assert torch.equal(PLAIN(np.stack([cat, cat])), torch.stack([one, one]))
    assert torch.equal(PLAIN(Image.fromarray(cat).convert("RGBA")), one)
    assert PLAIN(Image.fromarray(cat).convert("L")).shape == (3, 2, 2)


def test_standardising_is_by_channel_and_takes_any_size():
    step = Preprocess(2, 4, (0.0, 0.5, 1.0), (1.0, 0.5, 0.25), "bilinear")
    standardised = step.standardise(torch.ones(2, 3, 5, 7))
    assert standardised.shape == (2, 3, 5, 7)
    assert standardised[0, :, 0, 0].tolist() == [1.0, 1.0, 0.0]


def test_another_size_leaves_out_as_large_a_share():
    at_64 = KNOWN["resnet18"].preprocess.at(64)
    assert (at_64.size_px, at_64.resize_px) == (64, 73)  # 256 / 224 of 64
    assert at_64(images.photo("coffee")).shape == (3, 64, 64)


RGB = "must be (H, W, 3)"
REFUSED = {
    "gray": (
        np.zeros((5, 6), np.uint8),
        f"picture (5, 6): {RGB}. Try: np.stack([picture] * 3, axis=-1).",
    ),
    "transparent": (
        np.zeros((5, 6, 4), np.uint8),
        f"picture (5, 6, 4): {RGB}. Try: picture[:, :, :3].",
    ),
    "channels first": (
        np.zeros((3, 5, 6), np.uint8),
        f"picture (3, 5, 6): {RGB}. Try: picture.transpose(1, 2, 0).",
    ),
    "two channels": (
        np.zeros((5, 6, 2), np.uint8),
        f"picture (5, 6, 2): {RGB}. Try: an array with red, green and blue in its last axis.",
    ),
    "empty": (
        np.zeros((0, 6, 3), np.uint8),
        f"picture (0, 6, 3): {RGB}. Try: an array with red, green and blue in its last axis.",
    ),
    "floats": (
        np.zeros((5, 6, 3)),
        "picture is float64: must be uint8, from 0 to 255. "
        "Try: (picture * 255).round().astype(np.uint8), if it is from 0 to 1.",
    ),
    "none": ([], "pictures: none came, must be one or more. Try: [picture]."),
    "tensor": (
        torch.zeros(3, 5, 6),
        "picture of type Tensor: must be an array (H, W, 3) of uint8, or Pillow's image. "
        "Try: preprocess.standardise(images) for tensors from 0 to 1.",
    ),
}


@pytest.mark.parametrize(("picture", "sentence"), REFUSED.values(), ids=REFUSED)
def test_what_is_no_picture_is_refused(refused, picture, sentence):
    with refused(sentence):
        PLAIN(picture)


def test_a_size_and_an_interpolation_that_cannot_be_are_refused(refused):
    zeros, ones = (0.0,) * 3, (1.0,) * 3
    with refused("resize_px=3: must be a whole number, 4 or more. Try: resize_px=4."):
        Preprocess(4, 3, zeros, ones, "bilinear")
    with refused("size_px=0: must be a whole number, 1 or more. Try: size_px=1."):
        PLAIN.at(0)
    with refused(
        "'bicubik': unknown interpolation. Did you mean 'bicubic'? Known: bilinear, bicubic."
    ):
        Preprocess(2, 4, zeros, ones, "bicubik")
    with refused(
        "mean=(0.0, 0.0, 0.0) and std=(1.0, 0.0, 1.0): must be three numbers each, std above 0. "
        "Try: std=(1.0, 1.0, 1.0)."
    ):
        Preprocess(2, 4, zeros, (1.0, 0.0, 1.0), "bilinear")
