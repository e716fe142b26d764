import pytest
import torch
from torch import nn

from cnncourse.models.alexnet import alexnet
from cnncourse.models.efficientnet import efficientnet_b0
from cnncourse.models.efficientnet_lite import efficientnet_lite0
from cnncourse.models.googlenet import googlenet
from cnncourse.models.resnet import resnet18, resnet50
from cnncourse.models.simple import SimpleCNN
from cnncourse.transfer.freezing import freeze
from cnncourse.transfer.parts import part_of_each, parts

RESNET = ("conv1", "layer1", "layer2", "layer3", "layer4", "fc")
EFFICIENT = (*(f"features.{number}" for number in range(9)), "classifier")


@pytest.mark.parametrize(
    ("build", "expected"),
    [
        (resnet18, RESNET),
        (resnet50, RESNET),
        (efficientnet_b0, EFFICIENT),
        (efficientnet_lite0, EFFICIENT),
        (SimpleCNN, ("features.0", "features.3", "classifier.1", "classifier.4")),
        (alexnet, (*(f"features.{number}" for number in (0, 3, 6, 8, 10)),
                   *(f"classifier.{number}" for number in (1, 4, 6)))),
    ],
)  # fmt: skip
def test_the_parts_are_stages_or_layers_in_order(build, expected):
    with torch.device("meta"):
        assert parts(build()) == expected


def test_an_inception_is_one_part():
    with torch.device("meta"):
        found = parts(googlenet())
    assert found[:5] == ("conv1", "conv2", "conv3", "inception3a", "inception3b")
    assert found[-1] == "fc"


def test_what_is_frozen_has_the_same_parts():
    model = resnet18()
    for until in ("layer1.1", "layer3", "fc"):
        freeze(model, until)
        assert parts(model) == RESNET


def test_a_norm_belongs_to_the_part_before_it():
    belongs = part_of_each(resnet18())
    assert belongs["bn1"] == belongs["maxpool"] == belongs["conv1"] == "conv1"
    assert belongs["layer2.0.bn1"] == "layer2"
    assert belongs["avgpool"] == "layer4"
    assert belongs[""] == "conv1"


def test_a_name_that_begins_like_another_is_not_in_it():
    model = nn.Sequential()
    for name in ("conv", "conv1", "conv10"):
        model.add_module(name, nn.Conv2d(1, 1, 1))
    belongs = part_of_each(model)
    assert {name: belongs[name] for name in ("conv", "conv1", "conv10")} == {
        "conv": "conv",
        "conv1": "conv1",
        "conv10": "conv10",
    }


def test_a_network_of_one_part_is_refused(refused):
    with refused(
        "Linear: is a network of fewer than two parts (none): none stands before another. "
        "Try: a model with a head of its own."
    ):
        parts(nn.Linear(2, 2))
    with pytest.raises(ValueError, match=r"^Sequential: .* \(1\): none stands before another"):
        parts(nn.Sequential(nn.Flatten(), nn.Linear(2, 2), nn.BatchNorm1d(2)))


def test_what_is_no_module_or_a_wrapped_one_is_refused(refused):
    attempt = "Try: model=load_weights('resnet18').model."
    with refused(f"model='OrderedDict': must be a torch.nn.Module. {attempt}", TypeError):
        parts(nn.Linear(2, 2).state_dict())
    with refused(
        "model='DataParallel': freeze what it wraps, and before it is wrapped. Try: model.module.",
        TypeError,
    ):
        parts(nn.DataParallel(SimpleCNN()))
    with refused(
        "model='OptimizedModule': freeze what it was compiled from, before it is compiled. "
        "Try: model._orig_mod.",
        TypeError,
    ):
        parts(torch.compile(SimpleCNN()))
    traced = torch.jit.ScriptModule()
    with refused(
        "model='ScriptModule': its parts cannot be changed. Try: the module that it was made from.",
        TypeError,
    ):
        parts(traced)
    with refused("model: a lazy layer has no shape yet. Try: run it once on a batch."):
        parts(nn.Sequential(nn.Conv2d(1, 1, 1), nn.LazyLinear(3)))
