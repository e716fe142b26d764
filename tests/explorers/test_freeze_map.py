import copy

import pytest
import torch
from torch.nn import functional as F
from torch.utils.flop_counter import FlopCounterMode

from cnncourse import transfer
from cnncourse.explorers.freeze_map import RECIPES, Network, draw, explorer, in_words, sentence
from cnncourse.models.efficientnet_lite import efficientnet_lite0
from cnncourse.models.resnet import BasicBlock, ResNet, resnet18
from cnncourse.plots import ORANGE, RED

OURS, ALONE = RECIPES


@pytest.fixture(scope="module")
def network():
    with torch.device("meta"):
        return Network(resnet18(), size_px=64, channels=3)


def test_what_trains_is_what_freeze_leaves(network):
    model = resnet18()
    for depth, until in enumerate(transfer.parts(model)):
        transfer.freeze(model, until if depth else "")
        expected = sum(x.numel() for x in model.parameters() if x.requires_grad)
        shown = network.frozen(depth, OURS)
        assert shown.costs.trained == expected
        assert sum(part.parameters for part in shown.parts if part.trains) == expected
        assert sum(part.parameters for part in shown.parts) == 11_689_512


@pytest.mark.parametrize("recipe", RECIPES)
def test_what_drifts_is_what_a_step_moves(recipe):
    """Audited on a small ResNet of 6 normalisations, by each recipe."""
    torch.manual_seed(0)
    small = ResNet(BasicBlock, (1, 1), (4, 8), num_classes=3)
    counted = Network(small, size_px=16, channels=3)
    for depth, until in enumerate(transfer.parts(small)):
        model = copy.deepcopy(small).train()
        transfer.freeze(model, until if depth else "")
        if recipe == ALONE:
            frozen = {name for name, x in model.named_parameters() if not x.requires_grad}
            transfer.freeze(model, "")
            for name, parameter in model.named_parameters():
                parameter.requires_grad = name not in frozen
        before = transfer.snapshot(model)
        with torch.no_grad():
            model.train()(torch.rand(4, 3, 16, 16))
        moved = len(transfer.audit(before, model).drifted)
        shown = counted.frozen(depth, recipe)
        drift = sum(part.statistics for part in shown.parts if part.drifts)
        learn = sum(part.statistics for part in shown.parts if part.trains)
        assert drift + learn == moved
        assert all(not part.drifts for part in shown.parts) or recipe == ALONE


def test_40_statistics_of_a_resnet_18_drift_or_are_kept(network):
    assert "40 statistics of frozen parts are kept" in sentence(network.frozen(5, OURS))
    assert "40 statistics of frozen parts drift" in sentence(network.frozen(5, ALONE))


@pytest.mark.parametrize("depth", range(6))
def test_the_macs_are_those_that_torch_counts(network, depth):
    """torch's counter follows backward as it runs; where there are no groups it counts rightly."""
    with torch.device("meta"):
        model = resnet18()
        transfer.freeze(model, network.parts[depth] if depth else "")
        model.train()
        with FlopCounterMode(display=False) as counter:
            logits = model(torch.empty(2, 3, 64, 64))
            forward = counter.get_total_flops()
            F.cross_entropy(logits, torch.zeros(2, dtype=torch.int64)).backward()
    costs = network.frozen(depth, OURS).costs
    assert (4 * costs.forward, 4 * (costs.forward + costs.backward)) == (
        forward, counter.get_total_flops(),
    )  # fmt: skip


def test_depthwise_layers_take_backward_twice_what_they_take_forward():
    """All but the first convolution, whose input wants no gradient."""
    with torch.device("meta"):
        counted = Network(efficientnet_lite0(num_classes=4), size_px=65, channels=3)
    costs = counted.frozen(0, OURS).costs
    first = counted.macs["features.0.0"]
    assert costs.backward == 2 * costs.forward - first


def test_bytes_kept_are_the_memory_estimates(network):
    model = resnet18()
    transfer.freeze(model, "layer3")
    expected = transfer.memory_estimate(model, (3, 64, 64), batch_size=1).kept
    assert network.frozen(3, OURS).costs.kept == expected


def test_a_network_is_left_alone_and_moved_nowhere():
    model = ResNet(BasicBlock, (1, 1), (4, 8))
    transfer.freeze(model, "layer2")
    text, device = str(model), model.fc.weight.device
    shown = explorer(model, size_px=16, depth=3)
    assert (str(model), model.fc.weight.device) == (text, device)
    assert [part.trains for part in shown.compute(3, OURS).parts] == [False, False, False, True]


def test_every_depth_and_recipe_is_another_picture():
    result = explorer(size_px=64)
    words, pictures = set(), set()
    for recipe in RECIPES:
        result.controls["recipe"].value = recipe
        for depth in range(1, 6):
            result.controls["depth"].value = depth
            words.add(result.words)
            pictures.add(result.png)
    assert len(words) == len(pictures) == 10


def test_nothing_frozen_is_said_and_drifts_by_neither(network):
    for recipe in RECIPES:
        assert sentence(network.frozen(0, recipe)) == (
            "nothing is frozen: 11,689,512 of 11,689,512 parameters train, 0 statistics of frozen "
            "parts are kept; a step takes 100% of the MACs and keeps 100.0% of the bytes of "
            "training it all"
        )


def colors(shown):
    found = {color for _, color in draw(shown).canvas.getcolors(1 << 24)}
    return {"#{:02X}{:02X}{:02X}".format(*color) for color in found}


def test_red_is_for_what_drifts(network):
    assert RED not in colors(network.frozen(3, OURS))
    assert {RED, ORANGE} <= colors(network.frozen(3, ALONE))


def test_a_bar_is_as_long_as_its_share(network):
    shown = network.frozen(5, OURS)
    canvas = draw(shown).canvas
    row = [canvas.getpixel((x, 2 * 84)) for x in range(2 * 541, 2 * 859)]
    share = shown.costs.trained / shown.whole.trained
    orange = tuple(int(ORANGE[at : at + 2], 16) for at in (1, 3, 5))
    assert row.count(orange) / len(row) == pytest.approx(share, abs=0.01)


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (0, "0"),
        (999, "999"),
        (1000, "1 k"),
        (6056, "6.06 k"),
        (999_600, "1 M"),
        (1.814e9, "1.81 G"),
    ],
)
def test_numbers_have_three_digits(value, words):
    assert in_words(value) == words


def test_what_cannot_be_is_refused(refused, network):
    with refused(
        "'freeze': unknown recipe. Known: freeze(model, until), requires_grad = False alone."
    ):
        network.frozen(1, "freeze")
    with pytest.raises(ValueError, match=r"^image \(32, 32\): ResNet needs 33 px a side or more"):
        explorer(resnet18(), size_px=32)
    with refused("size_px=0: must be a whole number, 1 or more. Try: size_px=1."):
        explorer(resnet18(), size_px=0)
