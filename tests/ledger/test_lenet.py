"""The ledger of LeNet-5: what is counted is the paper's, and follows the network."""

import pytest

from cnncourse.ledger.lenet import PAPER, connections, ledger
from cnncourse.models.lenet import FULL_TABLE, lenet5

LEDGER = ledger()


@pytest.mark.parametrize("name", PAPER)
def test_every_layer_of_ours_has_the_papers_counts(name):
    title = name if name == "output" else name.upper()
    lines = LEDGER[f"{title}: parameters"], LEDGER[f"{title}: connections"]
    assert tuple(line.ours for line in lines) == PAPER[name]
    assert tuple(line.paper for line in lines) == PAPER[name]


def test_the_sums_are_60000_and_340908():
    for figure, expected in (("parameters", 60_000), ("connections", 340_908)):
        assert (LEDGER[figure].ours, LEDGER[figure].paper) == (expected, expected)


def test_the_modern_one_has_61706_and_the_full_c3_2416():
    assert LEDGER["parameters of the modern LeNet"].ours == 61_706
    assert LEDGER["C3 without its table: parameters"].ours == 2_416


def test_connections_are_counted_on_the_network():
    full = connections(lenet5(table=FULL_TABLE))
    assert full["c3"] == 241_600
    linear = connections(lenet5(output="linear"))
    assert linear["output"] == 850  # with the biases


def test_torchvision_has_no_lenet():
    assert {line.torchvision for line in LEDGER.lines} == {None}


def test_the_papers_errors_are_quoted_with_their_place():
    error, distorted = LEDGER["test error, %"], LEDGER["test error with distorted images, %"]
    assert (error.paper, distorted.paper) == (0.95, 0.8)
    assert error.source
    assert distorted.source
