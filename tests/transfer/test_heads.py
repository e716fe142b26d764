import pytest
import torch
from torch import nn

from cnncourse.models.efficientnet_lite import efficientnet_lite0
from cnncourse.models.resnet import resnet18
from cnncourse.transfer.audit import snapshot
from cnncourse.transfer.freezing import freeze
from cnncourse.transfer.heads import head_name, replace_head


@pytest.mark.parametrize(
    ("build", "expected"), [(resnet18, "fc"), (efficientnet_lite0, "classifier.1")]
)
def test_the_last_linear_layer_is_replaced_and_nothing_else(build, expected):
    model = build()
    before = snapshot(model)
    assert replace_head(model, 5) == head_name(model) == expected
    after = model.state_dict()
    other = {name for name in before if not torch.equal(before[name], after[name])}
    assert other == {f"{expected}.weight", f"{expected}.bias"}
    assert model.eval()(torch.rand(2, 3, 65, 65)).shape == (2, 5)


def test_it_is_drawn_from_its_seed_and_leaves_other_random_numbers():
    heads = []
    for seed in (0, 0, 1):
        model = nn.Sequential(nn.Flatten(), nn.Linear(4, 9))
        torch.manual_seed(5)
        replace_head(model, 2, seed=seed)
        heads.append(model[1].weight)
        assert torch.rand(1) == torch.rand(1, generator=torch.Generator().manual_seed(5))
    assert torch.equal(heads[0], heads[1])
    assert not torch.equal(heads[0], heads[2])


def test_it_is_as_torch_draws_a_layer():
    model = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 7))
    replace_head(model, 4, seed=6)
    torch.manual_seed(6)
    assert torch.equal(model[1].weight, nn.Linear(3, 4).weight)


def test_type_bias_and_mode_are_the_old_ones():
    model = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 7, bias=False)).double().eval()
    replace_head(model, 4)
    assert (model[1].weight.dtype, model[1].bias, model[1].training) == (torch.float64, None, False)
    with torch.device("meta"):
        model = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 7))
    replace_head(model, 4)
    assert model[1].weight.device.type == "meta"


def test_the_head_of_a_frozen_network_is_fresh_and_trains():
    model = resnet18()
    for parameter in model.parameters():
        parameter.requires_grad = False
    replace_head(model, 3)
    assert [name for name, x in model.named_parameters() if x.requires_grad] == [
        "fc.weight", "fc.bias",
    ]  # fmt: skip
    freeze(model, "fc")
    replace_head(model, 4)
    assert type(model.fc) is nn.Linear


def test_a_named_layer_is_taken_instead():
    model = nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 4))
    assert replace_head(model, 4, head="0") == "0"
    assert model[0].weight.shape == (4, 3)


def test_what_is_no_head_is_refused(refused):
    model = nn.Sequential(nn.Conv2d(1, 2, 1), nn.Flatten(), nn.Linear(8, 2))
    with refused("'fc': unknown layer. Known: 2."):
        replace_head(model, 3, head="fc")
    with refused("head='0': is a Conv2d, the head must be a Linear. Try: head='2'."):
        replace_head(model, 3, head="0")
    with refused("Sequential has no linear layer in it. Try: a model that ends in one."):
        replace_head(nn.Sequential(nn.Conv2d(1, 2, 1)), 3)
    with refused("Linear has no linear layer in it. Try: a model that ends in one."):
        replace_head(nn.Linear(2, 2), 3)
    for count in (1, 0, 2.5, True):
        rule = "must be a whole number, 2 or more. Try: num_classes=2."
        with refused(f"num_classes={count}: {rule}"):
            replace_head(model, count)
    with refused("seed=-1: must be a whole number, 0 or more. Try: seed=0."):
        replace_head(model, 3, seed=-1)
