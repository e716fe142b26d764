from functools import partial

import pytest
import torch
from torch import nn
from torchvision import ops

from cnncourse.models.mbconv import MBConv, SqueezeExcitation, StochasticDepth, conv_norm

block = partial(
    MBConv,
    expansion=6,
    kernel_size=3,
    stride=1,
    stochastic_depth_prob=0.0,
    norm_layer=nn.BatchNorm2d,
)


# --- the parts ------------------------------------------------------------------------------------


@pytest.mark.parametrize(("kernel_size", "stride"), [(1, 1), (3, 1), (3, 2), (5, 2)])
def test_a_convolution_keeps_the_size_or_halves_it_rounding_up(kernel_size, stride):
    layer = conv_norm(2, 4, kernel_size=kernel_size, stride=stride, norm_layer=nn.BatchNorm2d)
    assert layer(torch.zeros(1, 2, 9, 6)).shape == (1, 4, -(-9 // stride), -(-6 // stride))
    assert [type(part) for part in layer] == [nn.Conv2d, nn.BatchNorm2d, nn.SiLU]
    assert layer[0].bias is None


def test_squeeze_and_excitation_is_torchvisions(rng):
    ours = SqueezeExcitation(12, 3)
    theirs = ops.SqueezeExcitation(12, 3, activation=nn.SiLU)
    theirs.load_state_dict(ours.state_dict(), strict=True)
    maps = torch.from_numpy(rng.normal(size=(2, 12, 5, 4))).float()
    assert torch.equal(ours(maps), theirs(maps))


def test_squeeze_and_excitation_multiplies_every_channel_by_one_number_from_0_to_1():
    torch.manual_seed(0)
    maps = torch.rand(2, 6, 4, 4) + 0.5
    factors = SqueezeExcitation(6, 2)(maps) / maps
    torch.testing.assert_close(factors, factors[:, :, :1, :1].expand_as(factors))
    assert 0 < factors.min() < factors.max() < 1
    assert not torch.allclose(factors[0], factors[1])  # they depend on the picture


# --- stochastic depth -----------------------------------------------------------------------------


@pytest.mark.parametrize("p", [0.0, 0.3, 0.9, 1.0])
@pytest.mark.parametrize("shape", [(64, 2, 3, 3), (50, 7), (5,)])
def test_stochastic_depth_draws_what_torchvision_draws(p, shape):
    maps = torch.randn(shape)
    torch.manual_seed(1)
    ours = StochasticDepth(p)(maps)
    torch.manual_seed(1)
    assert torch.equal(ours, ops.StochasticDepth(p, "row")(maps))


def test_a_picture_survives_as_a_whole_and_grows_by_what_the_others_lose():
    torch.manual_seed(0)
    dropped = StochasticDepth(0.2)(torch.ones(5000, 2, 3, 3)).flatten(1)
    assert set(dropped.unique().tolist()) == {0.0, 1.25}
    assert torch.equal(dropped.amin(dim=1), dropped.amax(dim=1))
    assert dropped.mean().item() == pytest.approx(1, abs=0.035)  # 5 standard errors


def test_in_eval_mode_nothing_is_dropped_and_no_random_number_is_used():
    maps, before = torch.randn(9, 4), torch.get_rng_state()
    assert StochasticDepth(0.9).eval()(maps) is maps
    assert StochasticDepth(0.0)(maps) is maps
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("p", [-0.1, 1.2, float("nan")])
def test_a_probability_outside_0_to_1_is_refused(p, refused):
    with refused(f"p={p}: must be from 0 to 1. Try: p=0.2."):
        StochasticDepth(p)


def test_its_probability_is_printed_with_the_model():
    assert repr(StochasticDepth(0.2)) == "StochasticDepth(p=0.2)"


# --- the block ------------------------------------------------------------------------------------


def test_the_block_is_wide_inside_and_narrow_at_both_ends():
    layers = [
        (part.in_channels, part.out_channels, part.kernel_size[0], part.groups)
        for part in block(16, 24, kernel_size=5).modules()
        if isinstance(part, nn.Conv2d)
    ]
    assert layers == [
        (16, 96, 1, 1),  # expand
        (96, 96, 5, 96),  # depthwise
        (96, 4, 1, 1),  # squeeze: a quarter of the 16 that came in
        (4, 96, 1, 1),  # excite
        (96, 24, 1, 1),  # project
    ]


def test_without_expansion_the_first_convolution_is_left_out():
    assert [type(part) for part in block(16, 16, expansion=1).block] == [
        nn.Sequential,
        SqueezeExcitation,
        nn.Sequential,
    ]


def test_squeeze_and_excitation_can_be_left_out():
    parts = [type(part) for part in block(8, 8, squeeze_excitation=False).block]
    assert parts == 3 * [nn.Sequential]


def test_two_channels_are_squeezed_to_one():
    assert block(2, 2).block[2].fc1.out_channels == 1


def test_the_projection_is_linear():
    assert [type(part) for part in block(8, 8).block[-1]] == [nn.Conv2d, nn.BatchNorm2d]


@pytest.mark.parametrize(
    ("out_channels", "stride", "shortcut"), [(8, 1, True), (8, 2, False), (16, 1, False)]
)
def test_the_shortcut_is_there_where_no_shape_changes(out_channels, stride, shortcut):
    mbconv, maps = block(8, out_channels, stride=stride).eval(), torch.randn(2, 8, 6, 6)
    with torch.no_grad():
        residual, kept = mbconv.block(maps), maps.clone()
        expected = residual + maps if shortcut else residual
        assert torch.equal(mbconv(maps), expected)
    assert torch.equal(maps, kept)
    assert mbconv.has_shortcut == shortcut


def test_a_dropped_residual_leaves_the_shortcut_alone():
    maps = torch.randn(3, 8, 5, 5)
    assert torch.equal(block(8, 8, stochastic_depth_prob=1.0)(maps), maps)
