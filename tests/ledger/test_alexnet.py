import pytest
import torchvision

from cnncourse.ledger import alexnet

WEIGHTS = torchvision.models.AlexNet_Weights.IMAGENET1K_V1.meta


@pytest.fixture(scope="module")
def ledger():
    return alexnet.ledger()


def test_what_is_counted_is_what_is_known(ledger):
    counted = {line.figure: (line.ours, line.torchvision) for line in ledger.lines}
    assert counted["parameters"] == (60_965_224, WEIGHTS["num_params"])
    assert counted["parameters without groups"][0] == 62_378_344
    assert counted["picture, px"] == (227, 224)
    assert counted["groups of the convolutions"][0] == "1, 2, 1, 2, 2"
    assert round(counted["full connections, % of parameters"][1], 2) == 95.96
    assert round(counted["full connections, % of MACs"][1], 2) == 8.21
    assert counted["GMACs, one picture"][1] == pytest.approx(WEIGHTS["_ops"], abs=1e-3)


def test_macs_of_the_paper_s_network_follow_from_its_table(ledger):
    maps = (55**2, 27**2, 13**2, 13**2, 13**2)
    kernels = (96 * 363, 256 * 25 * 48, 384 * 9 * 256, 384 * 9 * 192, 256 * 9 * 192)
    macs = sum(places * kernel for places, kernel in zip(maps, kernels, strict=True))
    macs += 9216 * 4096 + 4096**2 + 4096 * 1000
    assert ledger["GMACs, one picture"].ours == macs / 1e9


def test_the_widths_are_the_paper_s_and_torchvision_s_are_not(ledger):
    widths = ledger["channels of the convolutions"]
    assert widths.ours == widths.paper == "96, 256, 384, 384, 256"
    assert widths.torchvision == "64, 192, 384, 256, 256"


def test_neurons_are_those_of_the_caption_but_for_the_first_layer(ledger):
    caption = [253_440, 186_624, 64_896, 64_896, 43_264, 4096, 4096, 1000]
    ours = alexnet.values(alexnet.traced("ours"))
    assert ours[1:] == caption[1:]
    total = ledger["neurons, sum of its figure"]
    assert (total.paper, total.ours) == (sum(caption), sum(ours)) == (622_312, 659_272)
    first = ledger["neurons of the first layer"]
    assert (first.paper, first.ours) == (55 * 48 * 96, 55 * 55 * 96)


def test_error_rates_of_torchvision_are_those_of_its_weights(ledger):
    metrics = WEIGHTS["_metrics"]["ImageNet-1K"]
    for guesses in (1, 5):
        error = ledger[f"top-{guesses} error, one network, %"].torchvision
        assert error == pytest.approx(100 - metrics[f"acc@{guesses}"])
    assert ledger["top-1 / top-5 accuracy, %"].torchvision == "56.522 / 79.066"


def test_alpha_stands_as_torch_takes_it(ledger):
    assert ledger["alpha of the normalisation"].ours == "0.0005 / 5"


def test_every_figure_of_the_paper_says_where_it_stands(ledger):
    wrong = [line.figure for line in ledger.lines if (line.paper is None) != (line.source == "")]
    assert wrong == []
