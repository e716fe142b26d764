import pytest
import torch
import torchvision
from torchvision.models import GoogLeNet_Weights

from cnncourse.ledger import googlenet
from cnncourse.models.googlenet import googlenet_2014

META = GoogLeNet_Weights.IMAGENET1K_V1.meta


@pytest.fixture(scope="module")
def ledger():
    return googlenet.ledger()


def cells(ledger, figure):
    return ledger[figure].ours, ledger[figure].torchvision


@pytest.mark.parametrize(
    ("figure", "ours", "torchvision"),
    [
        ("layers", 22, 22),
        ("convolutions and linear layers", 58, 58),
        ("kernel of the third path", "5x5", "3x3"),
        ("weights of that kernel in 3a", 12_800, 4_608),
        ("side of the last max-pool", "3", "2"),
        ("batch normalisations", 0, 57),
        ("local response normalisations", 2, 0),
        ("dropout", 0.4, 0.2),
        ("parameters", 6_998_552, 6_624_904),
        ("parameters with both heads", 13_378_280, 13_004_888),
        ("parameters of AlexNet", 60_965_224, 61_100_840),
        ("weights of 3a", 163_328, 155_136),
    ],
)
def test_a_computed_figure_is_the_known_one(ledger, figure, ours, torchvision):
    assert cells(ledger, figure) == (ours, torchvision)


def test_the_paper_counts_3a_in_units_of_1024():
    assert 163_328 / 1024 == 159.5  # Table 1 has 159K; with biases it would be 159.9


def test_3a_needs_the_papers_128_million(ledger):
    assert round(ledger["million MACs of 3a"].ours) == ledger["million MACs of 3a"].paper == 128


def test_12_times_fewer_is_8_7_by_arithmetic(ledger):
    ours, _ = cells(ledger, "times fewer than AlexNet")
    assert round(ours, 1) == 8.7
    assert ours == 60_965_224 / 6_998_552


def test_macs_and_accuracies_are_torchvisions(ledger):
    _, macs = cells(ledger, "GMACs at 224 px")
    assert macs == pytest.approx(META["_ops"], abs=1e-3)
    metrics = META["_metrics"]["ImageNet-1K"]
    assert metrics == {"acc@1": 69.778, "acc@5": 89.530}
    assert ledger["top-1 accuracy, %"].torchvision == metrics["acc@1"]
    assert ledger["top-5 accuracy, %"].torchvision == metrics["acc@5"]
    assert ledger["top-5 error, %, one model, one crop"].torchvision == 10.47


def test_the_column_of_torchvision_is_torchvisions():
    with torch.device("meta"):
        model = torchvision.models.GoogLeNet(init_weights=False, aux_logits=False)
    assert googlenet.parameters(model) == META["num_params"] == 6_624_904
    assert googlenet.count(model, torch.nn.BatchNorm2d) == 57
    assert model.dropout.p == 0.2
    assert model.maxpool4.kernel_size == 2
    assert googlenet.kernels(model.inception3a) == 155_136


@pytest.mark.parametrize(
    ("figure", "paper"),
    [
        ("layers", 22),
        ("times fewer than AlexNet", 12),
        ("weight of an auxiliary loss", 0.3),
        ("top-5 error, %, one model, one crop", 10.07),
        ("top-5 error, %, 7 models, 144 crops", 6.67),
    ],
)
def test_a_figure_of_the_paper_names_its_place(ledger, figure, paper):
    assert ledger[figure].paper == paper
    assert ledger[figure].source


def test_a_shorter_network_has_a_shorter_way():
    with torch.device("meta"):
        model = googlenet_2014(aux_logits=False)
    model.steps = [step for step in model.steps if step[:10] != "inception5"]
    assert googlenet.longest_way(model) == 22 - 4
    model.inception4e = model.inception4e.branch1  # a block of one convolution
    assert googlenet.longest_way(model) == 22 - 5
