import pytest
import torch
from torch.nn import functional as F
from torch.utils.flop_counter import FlopCounterMode

from cnncourse.models.simple import SimpleCNN


def parameters(module):
    return sum(parameter.numel() for parameter in module.parameters())


def test_simplecnn_has_421642_parameters():
    layers = [parameters(layer) for part in SimpleCNN().children() for layer in part]
    assert [count for count in layers if count] == [
        320,  # 32 kernels of 1 x 3 x 3, and 32 biases
        18_496,  # 64 of 32 x 3 x 3, and 64
        401_536,  # 3,136 x 128, and 128
        1_290,  # 128 x 10, and 10
    ]
    assert parameters(SimpleCNN()) == 421_642


def test_the_shapes_are_those_of_its_comments():
    model, images = SimpleCNN(), torch.zeros(5, 1, 28, 28)
    assert model.features[:3](images).shape == (5, 32, 14, 14)
    assert model.features(images).shape == (5, 64, 7, 7)
    assert model(images).shape == (5, 10)


def test_channels_and_classes_can_be_chosen():
    model = SimpleCNN(in_channels=3, num_classes=2)
    assert model(torch.zeros(4, 3, 28, 28)).shape == (4, 2)


def test_an_image_costs_25_mflop_forward_and_backward():
    """torch counts two FLOP for every multiply-accumulate of convolutions and full connections.

    Backward costs as much again for the weights and as much again for the inputs, except that
    the image itself needs no gradient. Biases, ReLU and pooling are not counted.
    """
    conv1, conv2 = 28 * 28 * 32 * (1 * 3 * 3), 14 * 14 * 64 * (32 * 3 * 3)
    linear1, linear2 = 3_136 * 128, 128 * 10
    with FlopCounterMode(display=False) as counter:
        logits = SimpleCNN()(torch.zeros(1, 1, 28, 28))
        forward = counter.get_total_flops()
        F.cross_entropy(logits, torch.tensor([3])).backward()
    assert forward == 2 * (conv1 + conv2 + linear1 + linear2) == 8_482_304
    assert counter.get_total_flops() == 2 * (2 * conv1 + 3 * (conv2 + linear1 + linear2))
    assert counter.get_total_flops() == 24_995_328  # 25.0 million


def test_dropout_is_half_while_training_and_nothing_in_eval():
    torch.manual_seed(0)
    dropout, ones = SimpleCNN().classifier[3], torch.ones(10_000)
    kept = dropout(ones)
    assert set(kept.tolist()) == {0, 2}  # what is kept is doubled, so that the mean stays
    assert kept.mean().item() == pytest.approx(1, abs=0.05)  # 5 standard errors: 5 / 100
    assert torch.equal(dropout.eval()(ones), ones)


def test_pooling_first_changes_no_logit_and_no_gradient():
    torch.manual_seed(0)
    usual, quick = SimpleCNN(), SimpleCNN(pool_first=True)
    quick.load_state_dict(usual.state_dict())
    kinds = [[type(layer).__name__ for layer in model.features] for model in (usual, quick)]
    assert kinds[0] == ["Conv2d", "ReLU", "MaxPool2d"] * 2
    assert kinds[1] == ["Conv2d", "MaxPool2d", "ReLU"] * 2
    for model in (usual, quick):  # no layer stands in two places: a hook would hear one of them
        assert len(set(model.features)) == 6
    images, labels = torch.randn(16, 1, 28, 28), torch.arange(16) % 10
    for model in (usual, quick):
        torch.manual_seed(1)  # the same dropout
        F.cross_entropy(model(images), labels).backward()
    assert torch.equal(usual.eval()(images), quick.eval()(images))
    for one, other in zip(usual.parameters(), quick.parameters(), strict=True):
        assert one.grad.abs().max() > 0
        assert torch.equal(one.grad, other.grad)


def test_mkldnn_changes_logits_and_gradients_by_rounding_alone():
    torch.manual_seed(0)
    quick = SimpleCNN(pool_first=True, mkldnn=True).eval()
    exact = SimpleCNN().double().eval()
    exact.load_state_dict(quick.state_dict())
    images, labels = torch.randn(16, 1, 28, 28), torch.arange(16) % 10
    layouts = []
    quick.features.register_forward_hook(lambda *call: layouts.append(call[2].layout))
    logits, truth = quick(images), exact(images.double())
    assert layouts == [torch._mkldnn]
    assert (logits - truth).abs().max() < 1e-6
    F.cross_entropy(logits, labels).backward()
    F.cross_entropy(truth, labels).backward()
    for one, other in zip(quick.parameters(), exact.parameters(), strict=True):
        assert one.grad.layout == torch.strided
        assert (one.grad - other.grad).abs().max() < 1e-5 * other.grad.abs().max()


@pytest.mark.parametrize("where", ["bfloat16", "float64", "not built in"])
def test_where_mkldnn_has_nothing_to_offer_it_changes_nothing(monkeypatch, where):
    torch.manual_seed(0)
    usual, quick = SimpleCNN(pool_first=True), SimpleCNN(pool_first=True, mkldnn=True)
    quick.load_state_dict(usual.state_dict())
    images = torch.randn(4, 1, 28, 28)
    if where == "float64":
        usual, quick, images = usual.double(), quick.double(), images.double()
    if where == "not built in":
        monkeypatch.setattr(torch.backends.mkldnn, "is_available", lambda: False)
    layouts = []
    quick.features.register_forward_hook(lambda *call: layouts.append(call[2].layout))
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=where == "bfloat16"):
        assert torch.equal(usual.eval()(images), quick.eval()(images))
    assert layouts == [torch.strided]
