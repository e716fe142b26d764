"""EfficientNet against torchvision's, in numbers, and against the paper's Table 1."""

import math
from functools import cache

import pytest
import torch
import torchvision
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torchvision.models import efficientnet as theirs
from torchvision.models._utils import _make_divisible
from torchvision.models.feature_extraction import create_feature_extractor

from cnncourse.models import efficientnet as ours
from cnncourse.models.efficientnet import STAGES, EfficientNet, Stage, make_divisible, scaled
from cnncourse.models.mbconv import MBConv
from cnncourse.trace import trace

NAMES = tuple(ours.VARIANTS)
each_name = pytest.mark.parametrize("name", NAMES)
TOY = (Stage(1, 3, 1, 8, 1), Stage(6, 5, 2, 16, 2))


def toy(**options):
    return EfficientNet(TOY, stem_channels=8, head_channels=32, dropout=0.2, **options)


@cache
def on_meta(name):
    """Ours and torchvision's, without numbers; not to be changed."""
    with torch.device("meta"):
        return getattr(ours, name)(), getattr(theirs, name)()


# --- equal to torchvision's -----------------------------------------------------------------------

# Odd, small and not square: every size of padding and rounding occurs. The largest networks take
# one picture size: they are the same classes with more rows.
SIZES = {
    "efficientnet_b0": [(65, 97), (96, 64), (224, 224)],
    "efficientnet_b1": [(65, 81), (97, 64)],
    "efficientnet_b5": [(65, 49), (97, 64)],
}


@each_name
def test_answers_gradients_and_statistics_are_torchvisions(name, equal_to):
    pair = [getattr(module, name)(num_classes=7) for module in (ours, theirs)]
    equal_to(*pair, sizes=SIZES.get(name, [(65, 49)]))


@each_name
def test_names_and_shapes_of_the_whole_state_are_torchvisions(name):
    mine, other = on_meta(name)
    states = [
        [(key, tensor.shape, tensor.dtype) for key, tensor in model.state_dict().items()]
        for model in (mine, other)
    ]
    assert states[0] == states[1]
    assert [key for key, _ in mine.named_modules()] == [key for key, _ in other.named_modules()]


@each_name
def test_settings_that_no_state_holds_are_torchvisions(name):
    def settings_of(model):
        for key, part in model.named_modules():
            if isinstance(part, nn.BatchNorm2d):
                yield key, part.eps, part.momentum
            elif isinstance(part, nn.Dropout) or type(part).__name__ == "StochasticDepth":
                yield key, pytest.approx(part.p, abs=1e-12)

    mine, other = on_meta(name)
    assert list(settings_of(mine)) == list(settings_of(other))


@each_name
def test_parameters_and_macs_are_those_of_torchvisions_weights(name):
    weights = torchvision.models.get_model_weights(name).IMAGENET1K_V1
    crop_px = weights.transforms().crop_size[0]
    traced = trace(on_meta(name)[0], (1, 3, crop_px, crop_px))
    assert traced.parameters == weights.meta["num_params"]
    assert traced.macs / 1e9 == pytest.approx(weights.meta["_ops"], abs=0.0006)  # 3 decimals
    assert traced.unknown == ()


def test_the_same_seed_gives_torchvisions_own_starting_weights():
    starts = []
    for module in (ours, theirs):
        torch.manual_seed(3)
        starts.append(module.efficientnet_b0(num_classes=5).state_dict())
    assert all(torch.equal(starts[0][key], starts[1][key]) for key in starts[1])


def test_stochastic_depth_drops_what_torchvision_drops():
    pair = [module.efficientnet_b0(num_classes=3) for module in (ours, theirs)]
    pair[0].load_state_dict(pair[1].state_dict())
    images, logits = torch.randn(6, 3, 48, 48), []
    for model in pair:
        torch.manual_seed(5)
        logits.append(model.train()(images))
    torch.testing.assert_close(*logits)
    torch.manual_seed(6)
    assert not torch.allclose(pair[0](images), logits[0])  # chance was in it


def test_options_reach_the_network():
    model = ours.efficientnet_b0(
        dropout=0.1, stochastic_depth_prob=0.5, in_channels=1, num_classes=4
    )
    assert model.classifier[0].p == 0.1
    assert model.features[7][0].stochastic_depth.p == 0.5 * 15 / 16
    assert model.eval()(torch.zeros(1, 1, 40, 33)).shape == (1, 4)


# --- the paper's table ----------------------------------------------------------------------------


def test_b0_is_table_1_row_for_row():
    """(height = width that come in, channels that go out, layers), stages 1 to 9."""
    model = on_meta("efficientnet_b0")[0].eval()
    maps, rows = torch.zeros(1, 3, 224, 224, device="meta"), []
    for stage in model.features:
        entered = maps.shape[2]
        maps = stage(maps)
        layers = sum(isinstance(part, MBConv) for part in stage) or 1
        rows.append((entered, maps.shape[1], layers))
    assert rows == [
        (224, 32, 1),
        (112, 16, 1),
        (112, 24, 2),
        (56, 40, 2),
        (28, 80, 3),
        (14, 112, 3),
        (14, 192, 4),
        (7, 320, 1),
        (7, 1280, 1),
    ]
    kinds = [(stage.expansion, stage.kernel_size) for stage in STAGES]
    assert kinds == [(1, 3), (6, 3), (6, 5), (6, 3), (6, 5), (6, 5), (6, 3)]


def test_the_rule_of_the_paper_doubles_the_macs():
    factor = ours.ALPHA * ours.BETA**2 * ours.GAMMA**2
    assert f"{factor:.3f}" == "1.920"
    assert ours.compound(0) == ours.VARIANTS["efficientnet_b0"]
    seven = ours.compound(7)
    assert f"{seven.width:.2f}, {seven.depth:.2f}, {seven.resolution_px}" == "1.95, 3.58, 596"


BLOCKS = dict(zip(NAMES, [16, 23, 23, 26, 32, 39, 45, 55], strict=True))


@pytest.mark.parametrize(("name", "blocks"), BLOCKS.items())
def test_deeper_networks_have_more_blocks(name, blocks):
    row = ours.VARIANTS[name]
    table = scaled(STAGES, width=row.width, depth=row.depth)
    assert sum(stage.layers for stage in table) == blocks


@settings(max_examples=40)
@given(channels=st.floats(0.1, 4000), divisor=st.sampled_from([4, 8, 16]))
def test_channels_are_divided_as_by_torchvision(channels, divisor):
    assert make_divisible(channels, divisor) == _make_divisible(channels, divisor)


@pytest.mark.parametrize(
    ("channels", "made"),
    [(1, 8), (12, 16), (11.9, 16), (19.9, 24), (20, 24), (35.2, 32), (36, 40), (91, 88), (92, 96)],
)
def test_channels_are_multiples_of_eight_never_ten_per_cent_less(channels, made):
    assert make_divisible(channels) == made


@settings(max_examples=60)
@given(width=st.floats(0.3, 2.2), depth=st.floats(0.2, 3.2))
def test_any_width_and_depth_give_torchvisions_table(width, depth):
    table, _ = theirs._efficientnet_conf("efficientnet_b0", width_mult=width, depth_mult=depth)
    expected = [
        (row.expand_ratio, row.kernel, row.stride, row.out_channels, row.num_layers)
        for row in table
    ]
    assert [tuple(stage) for stage in scaled(STAGES, width=width, depth=depth)] == expected
    assert make_divisible(ours.STEM_CHANNELS * width) == table[0].input_channels


# --- toys, refusals, tools ------------------------------------------------------------------------


def test_a_toy_of_two_stages_is_the_same_table_and_loop():
    model = toy(in_channels=1, num_classes=10)
    assert [type(stage) for stage in model.features] == 4 * [nn.Sequential]
    assert model.features(torch.zeros(2, 1, 28, 28)).shape == (2, 32, 7, 7)
    assert model(torch.zeros(2, 1, 28, 28)).shape == (2, 10)


def test_squeeze_and_excitation_can_be_left_out_of_the_whole_network():
    names = {type(part).__name__ for part in toy(squeeze_excitation=False).modules()}
    assert "SqueezeExcitation" not in names
    assert "SqueezeExcitation" in {type(part).__name__ for part in toy().modules()}


@pytest.mark.parametrize("model", [toy(), ours.efficientnet_b0()], ids=["toy", "b0"])
def test_the_smallest_picture_has_a_last_map_of_two_positions_and_no_smaller_one(model):
    model.eval()
    side = model.smallest_px
    assert model.features(torch.zeros(1, 3, side, side)).shape[2:] == (2, 2)
    assert min(model.features(torch.zeros(1, 3, side - 1, side)).shape[2:]) == 1


def test_b0_takes_33_pixels_and_a_toy_5():
    assert ours.efficientnet_b0().smallest_px == 33
    assert toy().smallest_px == 5


def test_a_picture_too_small_is_refused_in_words(refused):
    with refused(
        "image (28, 32): EfficientNet needs 33 px a side or more, or its last map has fewer than "
        "2x2 positions. Try: F.interpolate(images, size=(33, 33))."
    ):
        ours.efficientnet_b0()(torch.zeros(1, 3, 28, 32))


@pytest.mark.parametrize("factor", [0, -1.0, float("nan")])
@pytest.mark.parametrize("argument", ["width", "depth"])
def test_a_factor_that_is_not_above_0_is_refused(argument, factor, refused):
    factors = {"width": 1.0, "depth": 1.0} | {argument: factor}
    with refused(f"{argument}={factor}: must be above 0. Try: {argument}=1."):
        ours.efficientnet(**factors)


def test_a_network_without_stages_is_refused(refused):
    with refused("len(stages)=0: must be a whole number, 1 or more. Try: len(stages)=1."):
        EfficientNet((), stem_channels=8, head_channels=8, dropout=0.0)


def test_features_can_be_extracted_by_torchvisions_tool():
    model = toy().eval()
    images = torch.randn(1, 3, 28, 28)
    extract = create_feature_extractor(
        model, {"features.2.1.stochastic_depth": "residual", "classifier.1": "logits"}
    )
    found = extract(images)
    assert found["residual"].shape == (1, 16, 7, 7)
    assert torch.equal(found["logits"], model(images))


def test_chances_to_be_dropped_grow_in_equal_steps():
    chances = [
        part.p
        for part in on_meta("efficientnet_b0")[0].modules()
        if hasattr(part, "extra_repr") and type(part).__name__ == "StochasticDepth"
    ]
    assert chances == [0.2 * step / 16 for step in range(16)]
    assert math.isclose(chances[-1], 0.1875)
