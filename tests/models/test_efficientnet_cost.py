import pytest
import torch

from cnncourse.models import efficientnet
from cnncourse.models.efficientnet import EfficientNet, Stage
from cnncourse.models.efficientnet_cost import block_cost, conv_cost, cost, count
from cnncourse.trace import trace


def traced(model, size_px, channels=3):
    found = trace(model, (1, channels, size_px, size_px))
    return found.parameters, found.macs


def test_a_convolution_and_its_normalisation_by_hand():
    # 2 * 4 kernels of 3 x 3, a weight and a bias a channel; 25 places
    assert conv_cost(2, 4, 3, 5) == [72 + 8, 72 * 25]


def test_a_block_by_hand():
    # 4 channels, 24 wide, 1 squeezed; 5 px come in, 3 px go out
    parameters = (96 + 48) + (24 * 9 + 48) + (24 + 1 + 24 + 24) + (192 + 16)
    macs = 96 * 25 + 24 * 9 * 9 + 48 + 192 * 9
    assert block_cost(4, Stage(6, 3, 2, 8, 1), 5) == [parameters, macs]


@pytest.mark.parametrize(
    ("width", "depth", "size_px"),
    [(1.0, 1.0, 224), (1.1, 1.2, 260), (0.5, 2.3, 129), (1.95, 3.58, 596), (2.0, 3.1, 600)],
)
def test_counts_from_the_table_are_those_of_the_network(width, depth, size_px):
    with torch.device("meta"):
        model = efficientnet.efficientnet(width=width, depth=depth)
    assert cost(width, depth, size_px)[:2] == traced(model, size_px)


@pytest.mark.parametrize("squeeze_excitation", [True, False])
def test_toys_are_counted_with_any_channels_and_classes(squeeze_excitation):
    stages = (Stage(1, 3, 1, 6, 2), Stage(4, 5, 2, 10, 3))
    options = {"squeeze_excitation": squeeze_excitation, "in_channels": 1, "num_classes": 7}
    channels = {"stem_channels": 6, "head_channels": 20}
    model = EfficientNet(stages, **channels, **options, dropout=0.0)
    found = count(stages, 27, **channels, **options)
    assert found[:2] == traced(model, 27, channels=1)
    assert found.channels == (6, 6, 10, 10, 10)
    assert found.size_px == (14, 14, 7, 7, 7)
