import pytest
import torch
from torch import nn

from cnncourse.models.efficientnet_lite import efficientnet_lite0
from cnncourse.models.resnet import resnet18
from cnncourse.transfer.freezing import freeze
from cnncourse.transfer.groups import parameter_groups


def rates(groups):
    return {group["name"]: group["lr"] for group in groups}


def test_the_rate_falls_part_by_part_from_the_head():
    found = rates(parameter_groups(resnet18(), lr=0.8, decay=0.5))
    assert list(found) == ["fc", "layer4", "layer3", "layer2", "layer1", "conv1"]
    assert list(found.values()) == [0.8, 0.4, 0.2, 0.1, 0.05, 0.025]


def test_without_decay_the_rate_is_one_everywhere():
    assert set(rates(parameter_groups(resnet18(), lr=0.3)).values()) == {0.3}


@pytest.mark.parametrize(
    ("build", "until"),
    [
        (resnet18, ""),
        (resnet18, "layer4.1"),
        (efficientnet_lite0, ""),
        (efficientnet_lite0, "features.5"),
    ],
)
def test_every_parameter_that_trains_is_in_one_group(build, until):
    model = build()
    freeze(model, until)
    inside = [id(x) for group in parameter_groups(model, lr=1) for x in group["params"]]
    assert sorted(inside) == sorted(id(x) for x in model.parameters() if x.requires_grad)


def test_norms_beside_a_convolution_learn_as_fast_as_it():
    model = resnet18()
    groups = {group["name"]: group["params"] for group in parameter_groups(model, lr=1, decay=0.5)}
    assert any(x is model.bn1.weight for x in groups["conv1"])


def test_what_is_frozen_has_no_group_and_moves_no_rate():
    model = resnet18()
    freeze(model, "layer4")
    assert rates(parameter_groups(model, lr=1, decay=0.1)) == {"fc": 1, "layer4": 0.1}


def test_an_optimiser_moves_each_part_at_its_own_rate():
    model = nn.Sequential(nn.Linear(1, 1), nn.Linear(1, 1), nn.Linear(1, 1))
    optimizer = torch.optim.SGD(parameter_groups(model, lr=1.0, decay=0.1), lr=9.0)
    before = [layer.bias.item() for layer in model]
    for layer in model:
        layer.bias.grad = torch.ones(1)
    optimizer.step()
    moved = [old - layer.bias.item() for old, layer in zip(before, model, strict=True)]
    assert moved == pytest.approx([0.01, 0.1, 1.0], rel=1e-5)


def test_a_shared_tensor_is_in_one_group():
    model = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
    model[1].weight = model[0].weight
    assert torch.optim.SGD(parameter_groups(model, lr=1.0), lr=1.0)


def test_what_cannot_be_is_refused(refused):
    model = resnet18()
    for lr in (0, -1, float("nan"), float("inf")):
        with refused(f"lr={lr}: must be above 0 and finite. Try: lr=0.001."):
            parameter_groups(model, lr=lr)
    for decay in (0, 1.5, float("nan")):
        rule = "must be above 0, and 1 (the same rate everywhere) or less. Try: decay=0.4."
        with refused(f"decay={decay}: {rule}"):
            parameter_groups(model, lr=1, decay=decay)
    for parameter in model.parameters():
        parameter.requires_grad = False
    with refused("no parameter trains: all are frozen. Try: freeze(model, until='')."):
        parameter_groups(model, lr=1)
