import numpy as np
import pytest
import torch
from torch import nn

from cnncourse.explorers import signal_propagation
from cnncourse.explorers.signal_propagation import (
    decades,
    draw,
    explorer,
    power,
    scientific,
    sentence,
    signals,
)

PLAIN = {"depth": 20, "start": "Kaiming", "gain": 1.0, "batch_norm": False, "activation": "ReLU"}


def shown(**changed):
    return signals(**(PLAIN | changed))


def rate(spreads):
    """By how much a layer multiplies the spread, in the geometric mean."""
    return (spreads[-1] / spreads[0]) ** (1 / (len(spreads) - 1))


def test_weights_start_with_the_deviations_of_torchs_initialisations():
    weight = torch.empty(400, 16, 3, 3)
    torch.manual_seed(0)
    nn.init.kaiming_normal_(weight, nonlinearity="relu")
    assert weight.std().item() == pytest.approx(signal_propagation.STARTS["Kaiming"], rel=0.02)
    weight = torch.empty(16, 16, 3, 3)
    nn.init.xavier_normal_(weight)
    assert weight.std().item() == pytest.approx(signal_propagation.STARTS["Xavier"], rel=0.05)


@pytest.mark.parametrize(
    ("start", "expected"),
    [("Kaiming", 1.0), ("Xavier", 0.5**0.5), ("std 0.1", 0.1 * 72**0.5), ("std 0.01", 0.0849)],
)
def test_with_relu_a_layer_multiplies_by_its_deviation_times_the_root_of_half_the_fan_in(
    start, expected
):
    result = shown(start=start, depth=50)
    assert rate(result.forward) == pytest.approx(expected, rel=0.06)
    assert 1 / rate(result.backward) == pytest.approx(expected, rel=0.06)


def test_without_activation_xavier_keeps_the_spread():
    result = shown(start="Xavier", activation="none", depth=50)
    assert rate(result.forward) == pytest.approx(1, rel=0.02)


@pytest.mark.parametrize("gain", [0.5, 1.5])
def test_gain_multiplies_every_layer(gain):
    one, other = shown().forward, shown(gain=gain).forward
    expected = [value * gain ** (layer + 1) for layer, value in enumerate(one)]
    np.testing.assert_allclose(other, expected, rtol=1e-9)


@pytest.mark.parametrize("start", list(signal_propagation.STARTS))
def test_batch_normalisation_makes_every_start_the_same(start):
    result = shown(start=start, batch_norm=True)
    np.testing.assert_allclose(result.forward, 1, rtol=1e-3)
    np.testing.assert_allclose(result.backward, shown(batch_norm=True).backward, rtol=1e-6)


def test_without_activation_the_last_layers_gradient_is_what_comes_from_above(monkeypatch):
    monkeypatch.setattr(signal_propagation, "IMAGES", 2)
    result = signals.__wrapped__(1, "Kaiming", 1.0, False, "none")
    draw_ = torch.Generator().manual_seed(0)
    for shape in ((2, 16, 8, 8), (16, 16, 3, 3)):
        torch.randn(shape, generator=draw_, dtype=torch.float64)
    above = torch.randn((2, 16, 8, 8), generator=draw_, dtype=torch.float64)
    assert result.backward == (pytest.approx(above.std().item()),)


def test_a_setting_is_computed_once_and_leaves_the_random_numbers_of_others_alone():
    torch.manual_seed(5)
    before = torch.get_rng_state()
    assert shown(depth=3) is shown(depth=3)
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"depth": 0}, "depth=0: must be from 1 to 50. Try: depth=20."),
        ({"depth": 51}, "depth=51: must be from 1 to 50. Try: depth=20."),
        ({"gain": 0.0}, "gain=0.0: must be above 0. Try: gain=1.0."),
        (
            {"start": "He"},
            "'He': unknown start. Known: Kaiming, Xavier, std 0.1, std 0.01.",
        ),
        (
            {"activation": "relu"},
            "'relu': unknown activation. Known: ReLU, tanh, none.",
        ),
    ],
)
def test_what_cannot_be_is_refused_in_words(changed, said, refused):
    with refused(said):
        shown(**changed)


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (1.0, "1"),
        (0.0123, "0.012"),
        (99.0, "99"),
        (123.0, "1.2 · 10²"),
        (4.5e-22, "4.5 · 10⁻²²"),
        (0.0, "0"),
    ],
)
def test_a_spread_has_two_digits(value, words):
    assert scientific(value) == words


def test_powers_have_their_exponent_raised():
    assert [power(exponent) for exponent in (-12, 0, 3)] == ["10⁻¹²", "10⁰", "10³"]


def test_the_axis_shows_four_decades_at_least_and_1():
    assert decades(shown(depth=1)) == (-2, 2)
    low, high = decades(shown(start="std 0.01"))
    assert (low, high) == (-22, 0)
    assert decades(shown(gain=2.0))[0] <= 0


def test_the_sentence_says_what_is_left():
    words = sentence(shown(start="std 0.01", depth=1))
    assert words.startswith(
        "1 layer, std 0.01, gain 1, without batch normalisation, activation ReLU: activations "
        "spread by 0.12 in the first layer and 0.12 in the last; gradients by "
    )
    assert "with batch normalisation" in sentence(shown(batch_norm=True))


def test_curves_go_where_their_spreads_say():
    page = draw(shown(start="std 0.01")).canvas
    blue, orange = (0, 114, 178), (230, 159, 0)
    assert at(page, blue, column=1)[0] < at(page, orange, column=1)[0]
    assert at(page, blue, column=20)[0] > at(page, orange, column=20)[0]


def at(page, color, *, column):
    """Rows, from the top on, in which a colour is found around a layer of 20; not the legend."""
    x = round(2 * signal_propagation.across(column, 20))
    return [
        y
        for y in range(2 * 30, page.height)
        if any(page.getpixel((x + d, y)) == color for d in (-6, 6) if 0 <= x + d < page.width)
    ]


def test_every_control_changes_words_and_picture():
    result = explorer()
    assert (result.controls["start"].value, result.controls["depth"].value) == ("std 0.01", 20)
    seen = {(result.words, result.png)}
    for name, value in [
        ("depth", 1),
        ("depth", 50),
        ("start", "Kaiming"),
        ("gain", 0.5),
        ("gain", 2.0),
        ("batch_norm", True),
        ("activation", "tanh"),
        ("activation", "none"),
    ]:
        result.controls[name].value = value
        seen.add((result.words, result.png))
    assert len({words for words, _ in seen}) == len({png for _, png in seen}) == 9
