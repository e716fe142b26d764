"""C3's table as an explorer: the counts, the boxes, and the map against the network's own layer."""

import numpy as np
import pytest
import torch

from cnncourse.explorers.connection_table import (
    FULL,
    NAMES,
    OWN,
    PAPER,
    c3_kernels,
    connected,
    digit_px,
    draw,
    explorer,
    kernels,
    s2_maps,
    sentence,
)
from cnncourse.models.lenet import C3_TABLE, FULL_TABLE, Subsampling, TableConv2d, scaled_tanh


def boxes(shown):
    return [seen for seen in range(6) if shown.controls[f"map_{seen}"].value]


def test_the_papers_table_has_the_papers_counts():
    shown = connected(PAPER, C3_TABLE, 6, 3)
    assert (shown.ticks, shown.parameters, shown.connections) == (60, 1516, 151_600)
    assert shown.different == 16
    assert shown.row == (0, 1, 2, 3)


def test_the_full_table_has_2416_parameters_and_one_set_of_inputs():
    shown = connected(FULL, FULL_TABLE, 0, 3)
    assert (shown.ticks, shown.parameters, shown.connections) == (96, 2416, 241_600)
    assert shown.different == 1


@pytest.mark.parametrize("table", [C3_TABLE, FULL_TABLE])
def test_the_map_is_that_of_the_networks_own_layer(table):
    layer = TableConv2d(table, in_channels=6, kernel_size=5).double()
    chosen = torch.from_numpy(c3_kernels())
    with torch.no_grad():
        layer.weight.copy_(chosen[tuple(layer.ticks)])
        layer.bias.zero_()
        maps = torch.from_numpy(s2_maps(7))[None]
        expected = scaled_tanh(2 * layer(maps))[0].numpy()
    for output_map in range(16):
        shown = connected("", table, output_map, 7)
        np.testing.assert_allclose(shown.result, expected[output_map], atol=1e-9)


def test_the_maps_of_s2_are_those_of_the_networks_own_layers():
    picture = torch.from_numpy(digit_px(4))[None, None]
    sums = torch.nn.functional.conv2d(picture, 2 * torch.from_numpy(kernels())[:, None])
    pool = Subsampling(6, scaled_tanh).double()
    with torch.no_grad():
        pool.coefficient.fill_(0.5)  # of the sum: twice the mean
        expected = pool(scaled_tanh(sums))[0].numpy()
    np.testing.assert_allclose(s2_maps(4), expected, atol=1e-9)


def test_the_digit_is_ink_on_paper_with_the_papers_values():
    picture = digit_px(1)
    assert picture.shape == (32, 32)
    assert picture.min() == pytest.approx(-0.1)
    assert picture.max() == pytest.approx(1.175, abs=0.01)
    assert (picture[:3] == picture.min()).all()


def test_the_kernels_are_what_their_names_say():
    bright_right = np.tile(np.linspace(-1, 1, 5), (5, 1))
    lower_left = bright_right.T - bright_right
    answers = {
        name: [(kernel * ramp).sum() for ramp in (bright_right, bright_right.T, lower_left)]
        for name, kernel in zip(NAMES, kernels(), strict=True)
    }
    assert answers["Sobel x"][0] > 0.5
    assert abs(answers["Sobel x"][1]) < 1e-9
    assert answers["Sobel y"][1] > 0.5
    assert abs(answers["edge \\"][2]) > 0.5
    assert abs(answers["edge /"][2]) < 1e-9
    assert np.allclose(answers["blob"], 0)
    assert kernels()[4].sum() == pytest.approx(0, abs=1e-9)
    assert kernels()[4, 2, 2] > 0
    assert kernels()[5].sum() == pytest.approx(1)


def test_it_opens_on_map_6_with_its_boxes_ticked():
    shown = explorer()
    assert boxes(shown) == [0, 1, 2, 3]
    assert shown.words == (
        "the paper's table: map 6 of C3 sees S2's maps 0, 1, 2, 3 (101 parameters). All of C3: "
        "60 kernels, 1,516 parameters, 151,600 connections, 16 maps with 16 different sets of "
        "inputs."
    )


def test_the_boxes_follow_the_map_and_the_table():
    shown = explorer()
    for output_map, row in enumerate(C3_TABLE):
        shown.controls["output_map"].value = output_map
        assert boxes(shown) == sorted(row)
        assert shown.controls["table"].value == PAPER
    shown.controls["table"].value = FULL
    assert boxes(shown) == [0, 1, 2, 3, 4, 5]
    assert "96 kernels, 2,416 parameters" in shown.words


def test_a_box_makes_the_table_ones_own_and_changes_the_chosen_map_alone():
    shown = explorer()
    shown.controls["map_5"].value = True
    assert shown.controls["table"].value == OWN
    assert "sees S2's maps 0, 1, 2, 3, 5 (126 parameters). All of C3: 61 kernels" in shown.words
    shown.controls["output_map"].value = 0
    assert boxes(shown) == [0, 1, 2]
    assert "61 kernels, 1,541 parameters, 154,100 connections" in shown.words
    shown.controls["output_map"].value = 6
    assert boxes(shown) == [0, 1, 2, 3, 5]


def test_ones_own_table_is_kept_while_another_is_looked_at():
    shown = explorer()
    shown.controls["map_0"].value = False
    before = shown.words
    shown.controls["table"].value = PAPER
    assert "1,516 parameters" in shown.words
    shown.controls["table"].value = OWN
    assert shown.words == before


def test_a_box_begins_from_the_table_that_is_shown():
    shown = explorer()
    shown.controls["table"].value = FULL
    shown.controls["map_0"].value = False
    assert "95 kernels, 2,391 parameters" in shown.words
    assert "16 maps with 2 different sets of inputs" in shown.words


def test_a_map_that_sees_nothing_is_refused_and_the_picture_stays():
    shown = explorer(0)
    for seen in (0, 1):
        shown.controls[f"map_{seen}"].value = False
    before = shown.png
    shown.controls["map_2"].value = False
    said = "table=(): map 0 of C3 would see nothing. Try: tick one map of S2."
    assert said in shown.message.value
    assert shown.png == before
    shown.controls["map_4"].value = True
    assert "sees S2's maps 4 (26 parameters)" in shown.words


def test_what_is_not_there_is_refused(refused):
    with refused("output_map=16: C3 has the maps 0 to 15. Try: output_map=0."):
        connected(PAPER, C3_TABLE, 16, 3)
    with refused("digit=10: must be 0 to 9. Try: digit=3."):
        connected(PAPER, C3_TABLE, 0, 10)


@pytest.mark.parametrize(
    ("name", "value"), [("table", FULL), ("output_map", 12), ("digit", 8), ("map_2", False)]
)
def test_every_control_changes_the_picture(name, value):
    shown = explorer()
    before = shown.png
    shown.controls[name].value = value
    assert shown.png != before


def test_pictures_have_one_size_and_the_sentence_is_of_what_is_shown():
    pictures = [connected(PAPER, C3_TABLE, 0, 1), connected(FULL, FULL_TABLE, 15, 9)]
    assert {draw(shown).canvas.size for shown in pictures} == {(1680, 932)}
    assert sentence(pictures[1]).endswith("16 maps with 1 different set of inputs.")
