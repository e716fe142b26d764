import pytest
import torch
from torch import nn

from cnncourse.models import (
    alexnet,
    checks,
    efficientnet,
    efficientnet_lite,
    googlenet,
    lenet,
    resnet,
    resnet_cifar,
    vgg,
)


def check(*shape, dtype=torch.float32, in_channels=3, attempt=""):
    images = torch.zeros(shape, dtype=dtype)
    checks.check_images(
        images, in_channels=in_channels, smallest_px=33, model="resnet18", attempt=attempt
    )


@pytest.mark.parametrize("shape", [(1, 3, 33, 33), (0, 3, 40, 33), (2, 3, 33, 500)])
def test_pictures_that_are_large_enough_pass(shape):
    check(*shape)
    check(*shape, dtype=torch.float64)
    check(*shape, dtype=torch.bfloat16)


REFUSED = [
    ((3, 40, 40), "images (3, 40, 40): must be a batch, (N, C, H, W). Try: images[None]."),
    (
        (40, 40),
        "images (40, 40): must be (N, C, H, W). Try: images.reshape(-1, 3, 33, 33).",
    ),
    (
        (2, 40, 40, 3),
        "images (2, 40, 40, 3): looks like channels-last; this course uses channels-first. "
        "Try: images.permute(0, 3, 1, 2).",
    ),
    (
        (2, 1, 40, 40),
        "images (2, 1, 40, 40): resnet18 was built for 3 channels. "
        "Try: images.expand(-1, 3, -1, -1), or in_channels=1.",
    ),
    (
        (2, 4, 40, 40),
        "images (2, 4, 40, 40): resnet18 was built for 3 channels. Try: in_channels=4.",
    ),
    (
        (2, 3, 40, 32),
        "image (40, 32): resnet18 needs 33 px a side or more, or its last map has fewer than 2x2 "
        "positions. Try: F.interpolate(images, size=(33, 33)).",
    ),
]


@pytest.mark.parametrize(("shape", "sentence"), REFUSED)
def test_what_a_network_cannot_take_is_refused_in_words(shape, sentence, refused):
    with refused(sentence):
        check(*shape)


def test_bytes_are_refused(refused):
    with refused("images are torch.uint8: must be floats. Try: images / 255."):
        check(2, 3, 40, 40, dtype=torch.uint8)


def test_a_network_with_a_way_for_small_pictures_says_so(refused):
    with refused(
        "image (28, 28): resnet18 needs 33 px a side or more, or its last map has fewer than 2x2 "
        "positions. Try: resnet18(small_images=True)."
    ):
        check(1, 3, 28, 28, attempt="resnet18(small_images=True)")


class Checked(nn.Module):
    def forward(self, x):
        checks.check_images(x, in_channels=3, smallest_px=33, model="toy")
        return x + 1


def test_a_network_that_checks_can_still_be_traced_and_refuses():
    traced = torch.fx.symbolic_trace(Checked())
    assert torch.equal(traced(torch.zeros(1, 3, 33, 33)), torch.ones(1, 3, 33, 33))
    with pytest.raises(ValueError, match="toy needs 33 px"):
        traced(torch.zeros(1, 3, 9, 9))


BUILDERS = [
    alexnet.alexnet, alexnet.alexnet_2012, vgg.vgg11, vgg.vgg16_bn, googlenet.googlenet,
    googlenet.googlenet_2014, resnet.resnet18, resnet.resnet50, resnet_cifar.resnet20,
    efficientnet.efficientnet_b0, efficientnet_lite.efficientnet_lite0, lenet.lenet5,
    lenet.lenet5_modern,
]  # fmt: skip


@pytest.mark.parametrize("build", BUILDERS, ids=lambda build: build.__name__)
@pytest.mark.parametrize("came", [0, -1, 2.5, "10"])
@pytest.mark.parametrize("argument", ["in_channels", "num_classes"])
def test_a_network_has_a_channel_and_a_class_or_more(build, argument, came, refused):
    """Unasked, torch builds a layer without a number in it, or speaks of negative dimensions."""
    with refused(f"{argument}={came!r}: must be a whole number, 1 or more. Try: {argument}=1."):
        build(**{argument: came})
