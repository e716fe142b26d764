import math
import re

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from cnncourse.explorers import residual
from cnncourse.models.resnet import BasicBlock

SETTING = {"blocks": 1, "batch_norm": True, "gain": 1.0, "shortcut": "A"}
ERRORS = {"plain": {8: [9.0, 7.0], 44: [80.0]}, "residual": {8: [8.0], 44: [1.0]}}


# --- computed -------------------------------------------------------------------------------------


def test_a_flow_is_torchs_own_gradients_and_spreads():
    model = residual.network(plain=False, **SETTING)
    flow = residual.flow(model)
    again = residual.network(plain=False, **SETTING)
    draw = torch.Generator().manual_seed(0)
    images = torch.randn(8, 1, 14, 14, generator=draw)
    labels = torch.randint(10, (8,), generator=draw)
    kernels = [
        block_layer.weight
        for block_layer in [
            again.conv1,
            *(layer for stage in (again.layer1, again.layer2, again.layer3) for block in stage
              for layer in (block.conv1, block.conv2)),
        ]
    ]  # fmt: skip
    gradients = torch.autograd.grad(F.cross_entropy(again(images), labels), kernels)
    assert flow.gradients == pytest.approx([g.norm().item() for g in gradients], rel=1e-4)
    stem = F.relu(again.bn1(again.conv1(images)))
    spreads = [stem.std().item()]
    for stage in (again.layer1, again.layer2, again.layer3):
        stem = stage(stem)
        spreads.append(stem.std().item())
    assert flow.spreads == pytest.approx(spreads, rel=1e-4)


@pytest.mark.parametrize("layers", [8, 20, 44])
def test_there_is_a_gradient_a_convolution_and_a_spread_a_block(layers):
    shown = residual.flows(layers, True, 1.0, "C", errors={})
    for flow in (shown.plain, shown.residual):
        assert len(flow.gradients) == layers - 1  # all but the full connection
        assert len(flow.spreads) == (layers - 2) // 2 + 1  # and the stem


def test_both_networks_begin_with_the_same_weights():
    states = [residual.network(plain=plain, **SETTING).state_dict() for plain in (True, False)]
    assert all(torch.equal(states[0][key], states[1][key]) for key in states[0])


def test_a_deep_plain_network_with_batch_norm_has_large_gradients_first_and_no_small_ones():
    shown = residual.flows(44, True, 1.0, "A", errors={})
    assert shown.plain.gradients[0] > 20 * shown.plain.gradients[-1]
    assert min(shown.plain.gradients) > 0.01
    ratio = shown.plain.gradients[0] / shown.residual.gradients[0]
    assert ratio > 5  # shortcuts calm it


def test_without_batch_norm_a_small_gain_lets_a_plain_signal_fade_and_not_a_residual_one():
    shown = residual.flows(44, False, 0.6, "A", errors={})
    assert shown.plain.spreads[-1] < 1e-9 < 0.01 < shown.residual.spreads[-1]
    assert max(shown.plain.gradients) < 1e-9


def test_without_batch_norm_every_residual_block_adds_to_the_signal():
    shown = residual.flows(44, False, 1.0, "A", errors={})
    assert shown.residual.spreads[-1] > 20 * shown.residual.spreads[0]


def test_with_batch_norm_the_gain_is_divided_away_again():
    """The spread stays, and the gradient of a kernel is divided by what multiplied it."""
    one, other = (residual.flows(8, True, gain, "A", errors={}).plain for gain in (0.6, 1.2))
    assert one.spreads == pytest.approx(other.spreads, rel=0.01)
    assert one.gradients == pytest.approx([2 * norm for norm in other.gradients], rel=0.02)


def test_without_batch_norm_none_is_left():
    model = residual.network(plain=False, **SETTING | {"batch_norm": False, "shortcut": "C"})
    assert not any(isinstance(module, nn.BatchNorm2d) for module in model.modules())
    blocks = [module for module in model.modules() if isinstance(module, BasicBlock)]
    assert all(isinstance(block.downsample[1], nn.Identity) for block in blocks)


def test_nothing_of_the_callers_chance_is_used_or_spent():
    residual.measured.cache_clear()
    torch.manual_seed(5)
    before = torch.get_rng_state()
    residual.flows(8, True, 1.0, "B", errors={})
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize(("layers", "nearest"), [(9, 8), (2, 8), (18, 20), (43, 44)])
def test_a_depth_that_is_no_6n_plus_2_is_refused(layers, nearest, refused):
    with refused(
        f"layers={layers}: must be 6n + 2: a stem, three stages of 2n convolutions, a full "
        f"connection. Try: layers={nearest}."
    ):
        residual.flows(layers, True, 1.0, "A", errors={})


# --- drawn and said -------------------------------------------------------------------------------


def test_decades_go_around_all_values_and_are_four_at_least():
    assert residual.decades([[0.02, 3.0], [0.5]]) == (-2, 2)
    assert residual.decades([[2.0], [3.0]]) == (-1, 3)
    assert residual.decades([[1e-9], [3e4]]) == (-9, 5)
    assert residual.decades([[0.0], [1.0]])[0] == -18


def test_every_curve_stays_inside_its_panel(monkeypatch):
    seen = []
    monkeypatch.setattr(residual, "draw_curve", lambda page, points, kind: seen.extend(points))
    for batch_norm, gain in [(True, 1.0), (False, 0.6), (False, 1.4)]:
        residual.draw(residual.flows(44, batch_norm, gain, "C", errors=ERRORS))
    assert all(0 <= x <= 840 for x, _ in seen)
    assert all(residual.TOP <= y <= residual.TOP + residual.HEIGHT for _, y in seen)


def test_a_taller_gradient_is_drawn_higher(monkeypatch):
    seen = {}

    def note(page, points, kind):
        seen.setdefault(kind, points)

    monkeypatch.setattr(residual, "draw_curve", note)
    residual.draw(residual.flows(44, True, 1.0, "A", errors={}))
    assert seen["plain"][0][1] < seen["residual"][0][1] < seen["residual"][-1][1]


def test_the_errors_have_a_panel_of_their_own_only_where_there_are_some(monkeypatch):
    titles = []
    monkeypatch.setattr(residual, "draw_axes", lambda *arguments: titles.append(arguments[3]))
    for errors in ({}, ERRORS):
        residual.draw(residual.flows(8, True, 1.0, "A", errors=errors))
    assert titles.count("training error, %") == 1
    assert len(titles) == 5


def test_the_depth_of_the_slider_is_marked_among_the_errors(monkeypatch):
    pictures = [
        residual.draw(residual.flows(layers, True, 1.0, "A", errors=ERRORS)).canvas
        for layers in (8, 44)
    ]
    right = [picture.crop((1120, 128, 1680, 560)) for picture in pictures]
    assert right[0].tobytes() != right[1].tobytes()


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.0123, "≈ 0.012"), (412.3, "≈ 410"), (9_876, "≈ 9,900"), (5.3e-13, "≈ 5e-13")],
)
def test_measured_numbers_have_two_digits_and_a_mark(value, text):
    assert residual.written(value) == text


def test_the_sentence_has_both_networks_and_every_measured_number_its_mark():
    words = residual.explorer(ERRORS).words
    assert words.startswith("44 layers with batch normalisation, gain 1: plain: gradient ≈ ")
    assert "; residual: gradient ≈ " in words
    bare = re.sub(r"≈ ?[-+]?[\d.,e-]+", "", words)
    assert re.findall(r"\d+", bare) == ["44", "1"]


def test_the_line_of_text_is_what_the_flows_say():
    flow = residual.Flow([128.4, 0.5, 0.004], [0.6, math.pi])
    assert residual.told("plain", flow) == (
        "plain: gradient ≈ 130 in the first layer, ≈ 4e-03 in the last, spread ≈ 3.1"
    )
