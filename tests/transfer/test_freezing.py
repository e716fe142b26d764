import copy
import io
import pickle

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from cnncourse import training
from cnncourse.data import Split
from cnncourse.models.efficientnet_lite import efficientnet_lite0
from cnncourse.models.resnet import BasicBlock, ResNet, resnet18
from cnncourse.transfer.audit import audit, snapshot
from cnncourse.transfer.freezing import freeze, is_frozen


def small(classes=3):
    """A ResNet of two stages, and all that a ResNet-18 has: 7 batch normalisations."""
    torch.manual_seed(0)
    return ResNet(BasicBlock, (1, 1), (4, 8), num_classes=classes)


def images(count=6, size=16):
    return torch.rand(count, 3, size, size, generator=torch.Generator().manual_seed(0))


def step(model, pictures=None, *, lr=0.1):
    """One step in train mode, the plain way."""
    pictures = images() if pictures is None else pictures
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimizer = torch.optim.SGD(trained, lr=lr)
    model.train()
    loss = F.cross_entropy(model(pictures), torch.arange(len(pictures)) % 3)
    loss.backward()
    optimizer.step()


# What is frozen


def test_the_usual_recipe_lets_40_tensors_drift_and_ours_none():
    usual = resnet18(num_classes=3)
    for parameter in usual.parameters():
        parameter.requires_grad = False
    usual.fc.weight.requires_grad = usual.fc.bias.requires_grad = True
    ours = copy.deepcopy(usual)
    freeze(ours, "fc")
    found = {}
    for name, model in {"usual": usual, "ours": ours}.items():
        before = snapshot(model)
        step(model, images(4, 33))
        found[name] = audit(before, model)
    head = ("fc.weight", "fc.bias")
    assert found["usual"].moved == found["ours"].moved == head
    assert (len(found["usual"].drifted), len(found["usual"].counters)) == (40, 20)
    assert found["ours"].drifted == found["ours"].counters == ()


@pytest.mark.parametrize("until", ["bn1", "layer1", "layer2", "layer2.0.conv2", "fc"])
def test_what_stands_before_does_not_move_and_the_rest_does(until):
    model = small()
    freeze(model, until)
    before = snapshot(model)
    step(model)
    names = list(before)
    first = next(at for at, name in enumerate(names) if name.startswith(until))
    still = {row.name for row in audit(before, model).rows if not row.moved}
    assert still == set(names[:first])


def test_it_holds_through_train_again_and_again():
    model = small()
    freeze(model, "layer2")
    for _ in range(3):
        model.train()
        model.layer1.train(True)
        model.apply(lambda module: module.train())
        assert not any(part.training for part in (model.bn1, *model.layer1.modules()))
        assert all(part.training for part in (model, model.fc, *model.layer2.modules()))
        model.eval()
        assert not any(part.training for part in model.modules())


def test_it_holds_in_fit_over_epochs():
    model = small()
    freeze(model, "layer2")
    before = snapshot(model)
    split = Split(images(), torch.arange(6) % 3)
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimizer = torch.optim.SGD(trained, lr=0.1)
    training.fit(model, split, split, epochs=2, batch_size=3, optimizer=optimizer, device="cpu")
    found = audit(before, model)
    assert {name.partition(".")[0] for name in found.moved + found.drifted} == {"layer2", "fc"}


def test_frozen_features_are_the_same_in_train_and_in_eval():
    """Dropout and stochastic depth are off, too."""
    model = efficientnet_lite0(num_classes=3)
    freeze(model, "classifier")
    kept = []
    model.features.register_forward_hook(lambda *given: kept.append(given[-1]))
    for mode in (True, False, True):
        model.train(mode)
        with torch.no_grad():
            model(images(2, 65))
    assert torch.equal(kept[0], kept[1])
    assert torch.equal(kept[0], kept[2])


def test_the_answers_are_those_of_the_network_before():
    model = small().eval()
    before = model(images())
    freeze(model, "layer2")
    assert torch.equal(model(images()), before)


def test_a_gradient_from_before_cannot_move_what_is_frozen_now():
    model = small()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, weight_decay=0.1, momentum=0.9)
    F.cross_entropy(model(images()), torch.arange(6) % 3).backward()
    freeze(model, "fc")
    before = snapshot(model)
    optimizer.step()
    assert audit(before, model).moved == ("fc.weight", "fc.bias")


# Staged, and undone


def test_a_later_until_opens_what_was_frozen_and_an_earlier_one_closes():
    model = small().train()
    freeze(model, "fc")
    assert is_frozen(model.layer2)
    freeze(model, "layer2")
    assert not is_frozen(model.layer2)
    assert model.layer2[0].bn1.training
    assert model.layer2[0].conv1.weight.requires_grad
    freeze(model, "fc")
    assert not model.layer2[0].bn1.training
    assert not model.layer2[0].conv1.weight.requires_grad


def test_nothing_frozen_is_the_network_as_it_was():
    model, untouched = small(), small()
    freeze(model, "fc")
    freeze(model, "")
    assert str(model) == str(untouched)
    step(model)
    step(untouched)
    assert not any(row.moved for row in audit(untouched, model).rows)


def test_what_is_opened_takes_the_networks_own_mode():
    model = small()
    freeze(model, "fc")
    model.eval()
    freeze(model, "")
    assert not any(part.training for part in model.modules())


def test_what_never_was_frozen_keeps_its_mode():
    model = small().train()
    model.layer2.eval()
    freeze(model, "layer1")
    assert not model.layer2[0].bn1.training


# Copies, files, and what it looks like


def test_the_state_dict_is_that_of_the_network():
    model = small()
    freeze(model, "fc")
    assert list(model.state_dict()) == list(small().state_dict())
    other = small()
    other.load_state_dict(model.state_dict())
    model.load_state_dict(other.state_dict())


def through_torch_save(model):
    file = io.BytesIO()
    torch.save(model, file)
    file.seek(0)
    return torch.load(file, weights_only=False)


@pytest.mark.parametrize(
    "copied",
    [copy.deepcopy, lambda model: pickle.loads(pickle.dumps(model)), through_torch_save],
    ids=["deepcopy", "pickle", "torch.save"],
)
def test_a_copy_is_frozen_by_itself(copied):
    model = small()
    freeze(model, "layer2")
    twin = copied(model)
    before = snapshot(twin)
    step(model)
    assert not any(row.moved for row in audit(before, twin).rows)
    step(twin)
    assert not any(row.moved for row in audit(model, twin).rows)
    freeze(twin, "")
    assert is_frozen(model.layer1)
    assert not is_frozen(twin.layer1)


def test_a_printed_network_says_what_is_frozen():
    model = small()
    freeze(model, "fc")
    assert "(bn1): FrozenBatchNorm2d(4, eps" in str(model)
    assert "(fc): Linear(" in str(model)
    assert isinstance(model.bn1, nn.BatchNorm2d)
    assert type(model.bn1).__name__ == "FrozenBatchNorm2d"


# What is refused


def test_an_unknown_part_is_refused_and_nothing_is_changed(refused):
    model = small()
    with refused(
        "'layer5': unknown part. Did you mean 'layer2'? Known: conv1, layer1, layer2, fc."
    ):
        freeze(model, "layer5")
    assert not any(map(is_frozen, model.modules()))


def test_a_tensor_on_both_sides_is_refused_and_nothing_is_changed(refused):
    model = nn.Sequential(nn.Linear(3, 3), nn.ReLU(), nn.Linear(3, 3))
    model[2].weight = model[0].weight
    with refused(
        "'0.weight' and '2.weight' are one tensor: it cannot be frozen and train. Try: until='0'."
    ):
        freeze(model, "2")
    assert model[0].bias.requires_grad
    freeze(model, "0")


def test_two_names_for_one_frozen_tensor_are_no_matter():
    model = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3), nn.Linear(3, 3))
    model[1].weight = model[0].weight
    freeze(model, "2")
    assert not model[1].weight.requires_grad


def test_a_whole_number_tensor_is_left_alone():
    model = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
    model[1].register_parameter("steps", nn.Parameter(torch.tensor(3), requires_grad=False))
    freeze(model, "1")
    assert not model[1].steps.requires_grad


def test_what_a_network_holds_itself_goes_with_what_stands_first():
    class Scaled(nn.Module):
        def __init__(self):
            super().__init__()
            self.scale = nn.Parameter(torch.ones(2))
            self.body, self.head = nn.Linear(2, 2), nn.Linear(2, 3)

    model = Scaled()
    freeze(model, "head")
    assert not model.scale.requires_grad
    assert model.train().training
    freeze(model, "")
    assert model.scale.requires_grad
