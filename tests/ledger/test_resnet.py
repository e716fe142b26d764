import pytest
import torchvision

from cnncourse.ledger import resnet

LEDGER = resnet.ledger()
NAMES = {name: name.replace("resnet", "ResNet-") for name in resnet.PAPER_GMACS}


def cells(figure):
    line = LEDGER[figure]
    return line.paper, line.ours, line.torchvision


@pytest.mark.parametrize("name", NAMES)
def test_torchvisions_figures_are_those_of_its_weights(name):
    weights = torchvision.models.get_model_weights(name)
    meta = weights.IMAGENET1K_V1.meta
    assert LEDGER[f"{NAMES[name]}, parameters"].torchvision == meta["num_params"]
    assert LEDGER[f"{NAMES[name]}, GMACs"].torchvision == pytest.approx(meta["_ops"], abs=1e-3)
    for member in weights:
        recipe = member.name.removeprefix("IMAGENET1K_")
        line = LEDGER[f"{NAMES[name]}, top-1 accuracy, {recipe}, %"]
        assert line.torchvision == member.meta["_metrics"]["ImageNet-1K"]["acc@1"]


def test_our_macs_are_the_papers_in_their_first_two_digits():
    rows = [cells(f"{NAMES[name]}, GMACs")[:2] for name in NAMES]
    assert rows == [(1.8, 1.795), (3.6, 3.644), (3.8, 3.858), (7.6, 7.57), (11.3, 11.282)]
    assert all(abs(ours - paper) < 0.06 for paper, ours in rows)


@pytest.mark.parametrize(
    ("name", "v1", "v15"),
    [
        ("resnet18", 435, 435),
        ("resnet34", 899, 899),
        ("resnet50", 483, 427),
        ("resnet101", 1027, 971),
        ("resnet152", 1507, 1451),
    ],
)
def test_receptive_fields_of_both_strides(name, v1, v15):
    assert cells(f"{NAMES[name]}, field of the last map, px") == (None, v1, v15)


@pytest.mark.parametrize(
    ("layers", "with_a", "with_b", "error"),
    [
        (20, 269_722, 272_474, 8.75),
        (32, 464_154, 466_906, 7.51),
        (44, 658_586, 661_338, 7.17),
        (56, 853_018, 855_770, 6.97),
        (110, 1_727_962, 1_730_714, 6.43),
    ],
)
def test_the_networks_for_32_px(layers, with_a, with_b, error):
    title = f"CIFAR ResNet-{layers}"
    assert LEDGER[f"{title}, parameters with shortcut A"].ours == with_a
    assert LEDGER[f"{title}, parameters with shortcut B"].ours == with_b
    assert LEDGER[f"{title}, test error, %"].paper == error


def test_the_shortcuts_of_resnet_34():
    counts = [LEDGER[f"ResNet-34 with shortcut {option}, parameters"].ours for option in "ABC"]
    assert counts[1] == 21_797_672
    assert counts[0] < counts[1] < counts[2]
    errors = [LEDGER[f"ResNet-34 with shortcut {option}, top-1 error, %"].paper for option in "ABC"]
    assert errors == [25.03, 24.52, 24.19]


def test_every_figure_of_the_paper_says_where_it_stands():
    assert [line.figure for line in LEDGER.lines if (line.paper is None) == bool(line.source)] == []


def test_no_figure_is_there_twice():
    figures = [line.figure for line in LEDGER.lines]
    assert len(set(figures)) == len(figures)
