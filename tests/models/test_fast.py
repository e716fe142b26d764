import pytest
import torch
from torch.nn import functional as F
from torch.utils.flop_counter import FlopCounterMode

from cnncourse.models.fast import ACCURATE, FAST, FastCNN

THIRD = [64 * 32 * 9, 64, 64]  # a convolution without bias, and its normalisation
FOURTH = [128 * 64 * 9, 128, 128]


@pytest.mark.parametrize(
    ("stages", "expected"),
    [
        (FAST, [16 * 49, 16, 16, 48 * 16 * 9, 48, 48, 64 * 48 * 9, 64, 64, 576 * 10, 10]),
        (ACCURATE, [16 * 25, 16, 16, 32 * 16 * 9, 32, 32, *THIRD, *FOURTH, 1152 * 10, 10]),
    ],
)
def test_parameters_are_those_of_the_table(stages, expected):
    """A convolution without bias and its normalisation, stage after stage; the linear layer."""
    assert [parameter.numel() for parameter in FastCNN(stages).parameters()] == expected
    assert sum(expected) == {FAST: 41_370, ACCURATE: 109_178}[stages]


@pytest.mark.parametrize(
    ("stages", "sizes"),
    [
        (FAST, [(16, 7, 7), (48, 3, 3), (64, 3, 3)]),
        (ACCURATE, [(16, 14, 14), (32, 7, 7), (64, 3, 3), (128, 3, 3)]),
    ],
)
def test_the_picture_shrinks_by_stride_and_pools_to_3_by_3(stages, sizes):
    model, images = FastCNN(stages, in_channels=3, num_classes=7), torch.zeros(5, 3, 28, 28)
    for stage, size in enumerate(sizes, start=1):
        assert model.features[: 4 * stage](images).shape[1:] == size
    assert model(images).shape == (5, 7)


def test_an_image_costs_4_2_mflop_forward_and_backward():
    conv1 = 14 * 14 * 16 * (7 * 7)
    conv2, conv3 = 7 * 7 * 48 * (16 * 3 * 3), 3 * 3 * 64 * (48 * 3 * 3)
    linear = 576 * 10
    model = FastCNN()
    with FlopCounterMode(display=False) as counter:
        logits = model(torch.zeros(2, 1, 28, 28))
        F.cross_entropy(logits, torch.tensor([3, 4])).backward()
    assert counter.get_total_flops() == 2 * 2 * (2 * conv1 + 3 * (conv2 + conv3 + linear))
    assert counter.get_total_flops() // 2 == 4_174_336
