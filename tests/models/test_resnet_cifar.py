"""The ResNets of section 4.2 by their parameters, the plain twins, the pre-activation form."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from cnncourse import trace
from cnncourse.models import resnet_cifar
from cnncourse.models.resnet import BasicBlock
from cnncourse.models.resnet_cifar import (
    BLOCKS_PER_STAGE,
    PreActivationBlock,
    PreActivationResNet,
    cifar_resnet,
)

BUILDERS = {name: getattr(resnet_cifar, name) for name in BLOCKS_PER_STAGE}
SMALL = {"widths": (4, 8), "in_channels": 1, "num_classes": 3}


def on_meta(builder, **options):
    with torch.device("meta"):
        return builder(**options)


@pytest.mark.parametrize(
    ("name", "with_a", "with_b"),
    [
        ("resnet20", 269_722, 272_474),
        ("resnet32", 464_154, 466_906),
        ("resnet44", 658_586, 661_338),
        ("resnet56", 853_018, 855_770),
        ("resnet110", 1_727_962, 1_730_714),
    ],
)
def test_parameters_by_shortcut(name, with_a, with_b, parameters):
    assert parameters(on_meta(BUILDERS[name])) == with_a
    assert parameters(on_meta(BUILDERS[name], shortcut="B")) == with_b
    assert parameters(on_meta(BUILDERS[name], plain=True)) == with_a


@pytest.mark.parametrize("name", BUILDERS)
def test_the_name_counts_the_layers_with_weights(name):
    layers = [
        module
        for module in on_meta(BUILDERS[name]).modules()
        if isinstance(module, nn.Conv2d | nn.Linear)
    ]
    assert name == f"resnet{len(layers)}"


def test_the_maps_are_the_papers():
    traced = trace.trace(on_meta(resnet_cifar.resnet20), (1, 3, 32, 32)).grouped(1)
    stages = [row.output_shape for row in traced.rows if row.name.startswith("layer")]
    assert stages == [(1, 16, 32, 32), (1, 32, 16, 16), (1, 64, 8, 8)]


def test_a_plain_twin_has_the_weights_and_the_macs_of_its_residual_one():
    plain, free = on_meta(resnet_cifar.resnet56, plain=True), on_meta(resnet_cifar.resnet56)
    shapes = [
        {key: tensor.shape for key, tensor in model.state_dict().items()} for model in (plain, free)
    ]
    assert shapes[0] == shapes[1]
    macs = [trace.trace(model, (1, 3, 32, 32)).macs for model in (plain, free)]
    assert macs[0] == macs[1]


def test_the_twin_begins_with_the_same_weights_from_the_same_seed():
    states = []
    for plain in (True, False):
        torch.manual_seed(0)
        states.append(cifar_resnet(2, plain=plain, **SMALL).state_dict())
    assert all(torch.equal(states[0][key], states[1][key]) for key in states[0])


# --- by hand --------------------------------------------------------------------------------------


def normed(layer, x):
    return F.batch_norm(x, layer.running_mean, layer.running_var, layer.weight, layer.bias)


def by_hand(model, images):
    """The equations of section 3.2, block by block; batch normalisation in eval mode."""
    x = F.relu(normed(model.bn1, F.conv2d(images, model.conv1.weight, padding=1)))
    for number, stage in enumerate((model.layer1, model.layer2)):
        for place, block in enumerate(stage):
            stride = 2 if number == 1 and place == 0 else 1
            y = F.conv2d(x, block.conv1.weight, stride=stride, padding=1)
            y = F.conv2d(F.relu(normed(block.bn1, y)), block.conv2.weight, padding=1)
            if stride == 2:
                half = x[:, :, ::2, ::2]
                x = torch.cat([half, torch.zeros_like(half)], dim=1)
            x = F.relu(normed(block.bn2, y) + x)
    return x.mean(dim=(2, 3)) @ model.fc.weight.T + model.fc.bias


def by_hand_preactivation(model, images):
    """Figure 4e of He et al. 2016; the first activation before the ways part."""
    x = F.conv2d(images, model.conv1.weight, padding=1)
    x = F.relu(normed(model.layer1[0].bn1, x))
    for number, stage in enumerate((model.layer1, model.layer2)):
        for place, block in enumerate(stage):
            first = number == 0 and place == 0
            stride = 2 if number == 1 and place == 0 else 1
            y = x if first else F.relu(normed(block.bn1, x))
            y = F.conv2d(y, block.conv1.weight, stride=stride, padding=1)
            y = F.conv2d(F.relu(normed(block.bn2, y)), block.conv2.weight, padding=1)
            if stride == 2:
                half = x[:, :, ::2, ::2]
                x = torch.cat([half, torch.zeros_like(half)], dim=1)
            x = y + x
    x = F.relu(normed(model.bn1, x))
    return x.mean(dim=(2, 3)) @ model.fc.weight.T + model.fc.bias


def stirred(model):
    """The model in eval mode, with running statistics that are not 0 and 1."""
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.running_mean, std=0.3)
            nn.init.uniform_(module.running_var, 0.5, 2)
            nn.init.normal_(module.bias, std=0.3)
    return model.eval()


@pytest.mark.parametrize(
    ("preactivation", "written_out"), [(False, by_hand), (True, by_hand_preactivation)]
)
def test_the_network_is_its_equations(preactivation, written_out):
    torch.manual_seed(0)
    model = stirred(cifar_resnet(2, preactivation=preactivation, **SMALL))
    images = torch.randn(3, 1, 7, 10)
    torch.testing.assert_close(model(images), written_out(model, images))


def test_the_first_image_reaches_the_last_sum_of_a_preactivation_network_unchanged():
    """He et al. 2016, equation 4: with nothing on the way, signals add up from block to block."""
    torch.manual_seed(0)
    model = PreActivationResNet((5,), (4,), in_channels=1).eval()
    sums = []
    for block in model.layer1[1:]:
        block.register_forward_hook(lambda _, given, gives: sums.append(gives - given[0]))
    ends = []
    model.layer1[1].register_forward_pre_hook(lambda _, given: ends.append(given[0]))
    model.bn1.register_forward_pre_hook(lambda _, given: ends.append(given[0]))
    model(torch.rand(2, 1, 6, 6))
    torch.testing.assert_close(ends[1], ends[0] + sum(sums))


def test_a_projection_takes_the_activated_input_and_an_identity_the_raw_one():
    blocks = [
        PreActivationBlock(4, 8, stride=2, shortcut="B"),
        PreActivationBlock(4, 8, stride=2, shortcut="A"),
        PreActivationBlock(4, 4),
    ]
    x, arrived = torch.randn(2, 4, 6, 6), []
    for block in blocks:
        nn.init.zeros_(block.conv2.weight)  # only the shortcut is left
        arrived.append(block.eval()(x))
    active = F.relu(x / (1 + 1e-5) ** 0.5)
    projected = F.conv2d(active, blocks[0].downsample.weight, stride=2)
    torch.testing.assert_close(arrived[0], projected)
    torch.testing.assert_close(arrived[1][:, :4], x[:, :, ::2, ::2])
    torch.testing.assert_close(arrived[2], x)


def test_preactivation_moves_the_norms_and_changes_no_count(parameters):
    model = on_meta(resnet_cifar.resnet110, preactivation=True)
    assert parameters(model) == 1_727_962
    blocks = [module for module in model.modules() if isinstance(module, PreActivationBlock)]
    assert len(blocks) == 54
    assert [block.activate_shortcut for block in blocks] == [True] + [False] * 53


# --- options and refusals -------------------------------------------------------------------------


@pytest.mark.parametrize("options", [{"plain": True}, {"preactivation": True}, {"shortcut": "C"}])
def test_a_toy_learns_every_parameter(options):
    torch.manual_seed(0)
    model = cifar_resnet(1, **SMALL, **options)
    model(torch.randn(4, 1, 8, 8)).square().sum().backward()
    assert all(parameter.grad.abs().max() > 0 for parameter in model.parameters())


def test_c_projects_around_every_block():
    model = cifar_resnet(2, shortcut="C", **SMALL)
    blocks = [module for module in model.modules() if isinstance(module, BasicBlock)]
    assert [type(block.downsample) for block in blocks] == [nn.Sequential] * 4


@pytest.mark.parametrize("preactivation", [False, True])
def test_a_picture_of_4_px_is_too_small_for_three_stages(preactivation, refused):
    model = resnet_cifar.resnet20(preactivation=preactivation)
    assert model.smallest_px == 5
    assert model(torch.zeros(2, 3, 5, 5)).shape == (2, 10)
    with refused(
        "image (4, 5): ResNet needs 5 px a side or more, or its last map has fewer than 2x2 "
        "positions. Try: F.interpolate(images, size=(5, 5))."
    ):
        model(torch.zeros(2, 3, 4, 5))


def test_no_blocks_and_both_plain_and_preactivation_are_refused(refused):
    with refused("blocks=0: must be a whole number, 1 or more. Try: blocks=1."):
        cifar_resnet(0)
    with refused(
        "preactivation=True: a plain network has no shortcut that it could keep free. "
        "Try: plain=False."
    ):
        resnet_cifar.resnet20(plain=True, preactivation=True)
