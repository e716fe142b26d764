import numpy as np
import pytest
import torch
import torchvision

from cnncourse.explorers import layer_costs
from cnncourse.explorers.layer_costs import NETWORKS, QUANTITIES, costs, full_share
from cnncourse.models.alexnet import alexnet, alexnet_2012
from cnncourse.trace import trace

PAPER, TORCHVISION, VGG = NETWORKS
USUAL = {"groups": "two halves", "num_classes": 1000, "batch_size": 1}


def counted(network=PAPER, *, size_px=227, quantity="parameters", **options):
    return costs(network, quantity, size_px=size_px, **(USUAL | options))


@pytest.mark.parametrize(
    ("network", "size_px", "build", "options"),
    [
        (PAPER, 227, alexnet_2012, {}),
        (PAPER, 227, lambda num_classes: alexnet_2012(
            num_classes=num_classes, two_halves=False), {"groups": "one piece"}),
        (PAPER, 227, alexnet_2012, {"num_classes": 10}),
        (TORCHVISION, 224, alexnet, {}),
        (TORCHVISION, 300, alexnet, {"num_classes": 7, "batch_size": 3}),
        (VGG, 224, torchvision.models.vgg16, {}),
        (VGG, 97, torchvision.models.vgg16, {}),
    ],
)  # fmt: skip
def test_the_counts_are_those_of_a_trace_of_the_network(network, size_px, build, options):
    shown = counted(network, size_px=size_px, **options)
    batch_size, classes = shown.batch_size, options.get("num_classes", 1000)
    with torch.device("meta"):
        traced = trace(build(num_classes=classes), (batch_size, 3, size_px, size_px))
    rows = [row for row in traced.rows if row.parameters]
    assert len(rows) == len(shown.rows)
    for row, cost in zip(rows, shown.rows, strict=True):
        assert (row.parameters, row.macs) == (cost.parameters, batch_size * cost.macs)
        assert row.activation_bytes == 4 * batch_size * cost.values
        assert " x ".join(map(str, row.output_shape[1:])) == cost.output


def test_full_connections_hold_most_parameters_and_do_little_of_the_work():
    shown = counted(TORCHVISION, size_px=224)
    assert round(100 * full_share(shown, "parameters"), 2) == 95.96
    assert round(100 * full_share(shown, "multiplications"), 2) == 8.21
    vgg = counted(VGG, size_px=224)
    assert round(100 * full_share(vgg, "parameters"), 2) == 89.36


def test_one_piece_costs_twice_where_two_halves_were():
    halves, whole = counted(), counted(groups="one piece")
    ratios = [b.macs / a.macs for a, b in zip(halves.rows, whole.rows, strict=True)]
    assert ratios == [1, 2, 1, 2, 2, 1, 1, 1]
    assert counted(VGG, groups="one piece").rows == counted(VGG).rows


def test_without_averaging_the_full_connection_grows_with_the_picture():
    small, large = (counted(size_px=size_px).rows[5].parameters for size_px in (227, 355))
    assert large > 2 * small
    small, large = (counted(TORCHVISION, size_px=s).rows[5].parameters for s in (224, 352))
    assert large == small


def test_a_batch_multiplies_work_and_memory_and_not_parameters():
    one, many = counted(), counted(batch_size=7)
    for quantity, factor in zip(QUANTITIES, (1, 7, 7), strict=True):
        sums = [sum(layer_costs.amounts(shown, quantity).values()) for shown in (one, many)]
        assert sums[1] == factor * sums[0]


def test_a_picture_of_which_nothing_is_left_is_refused_with_the_layer(refused):
    with refused(
        "size_px=40: nothing is left at convolution 5 of AlexNet of 2012. Try: size_px=227."
    ):
        counted(size_px=40)
    with refused("size_px=0: nothing is left at convolution 1 of VGG-16. Try: size_px=224."):
        counted(VGG, size_px=0)


@pytest.mark.parametrize("choice", ["network", "quantity", "groups"])
def test_an_unknown_choice_is_refused_with_the_known_ones(choice):
    options = {"network": PAPER, "quantity": "parameters", "groups": "two halves"}
    with pytest.raises(ValueError, match="unknown choice"):
        costs(**(options | {choice: "five"}), size_px=227, num_classes=10, batch_size=1)


def test_the_sentence_tells_the_largest_layer_and_all_totals():
    explorer = layer_costs.explorer()
    assert explorer.words == (
        "AlexNet of 2012, 227 px, batch of 1: most parameters in full 6 (61.93 %). "
        "parameters: 60,965,224, 96.17 % in full connections; "
        "multiplications: 724,406,816, 8.09 % in full connections; "
        "memory of the outputs: 2.51 MiB, 1.39 % in full connections"
    )
    explorer.controls["quantity"].value = "multiplications"
    assert "most multiplications in conv 2 (30.91 %)" in explorer.words


def colored(page, color):
    pixels = np.asarray(page.canvas)
    return (pixels == color).all(axis=2)


def test_bars_are_as_long_as_the_amounts_and_full_connections_orange():
    shown = counted()
    page = layer_costs.draw(shown)
    blue, orange = colored(page, (0, 114, 178)), colored(page, (230, 159, 0))
    lengths = (blue | orange)[:, 2 * 184 :].sum(axis=1)
    middles = [2 * (52 + (number + 0.5) * 34) for number in range(8)]
    drawn = [lengths[int(middle)] for middle in middles]
    parameters = [cost.parameters for cost in shown.rows]
    expected = [max(1, 380 * amount / max(parameters)) * 2 for amount in parameters]
    np.testing.assert_allclose(drawn, expected, atol=2)
    full = [orange[int(middle), 2 * 184 + 1] for middle in middles]
    assert full == [False] * 5 + [True] * 3


def test_nothing_is_cut_off_at_the_largest_numbers():
    page = layer_costs.draw(
        counted(VGG, size_px=400, quantity="multiplications", num_classes=2000, batch_size=256)
    )
    ink = np.asarray(page.canvas).min(axis=2) < 200
    assert not ink[:, -12:].any()
    assert not ink[:, :12].any()
    assert not ink[-12:].any()
