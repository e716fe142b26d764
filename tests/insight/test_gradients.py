import captum.attr
import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from cnncourse.insight import checks, gradients
from cnncourse.models.efficientnet_lite import efficientnet_lite0
from cnncourse.models.resnet import resnet18

METHODS = {
    "saliency": gradients.saliency,
    "guided": gradients.guided_backpropagation,
    "smooth": lambda *args: gradients.smooth_grad(*args, count=2),
    "integrated": lambda *args: gradients.integrated_gradients(*args, steps=3),
}


def network(*, inplace: bool = False) -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1),
        nn.BatchNorm2d(8),
        nn.ReLU(inplace),
        nn.MaxPool2d(2),
        nn.Conv2d(8, 8, 3),
        nn.ReLU(inplace),
        nn.Flatten(),
        nn.Dropout(0.5),
        nn.Linear(8 * 16, 5),
    )


@pytest.fixture
def images():
    return torch.randn(3, 3, 12, 12, generator=torch.Generator().manual_seed(1))


CLASSES = torch.tensor([0, 4, 2])


class Linear(nn.Module):
    """Two logits, each a weighted sum of the pixels."""

    def __init__(self, weights):
        super().__init__()
        self.weights = weights

    def forward(self, x):
        return torch.einsum("nchw,kchw->nk", x, self.weights) + 3


# --- known answers --------------------------------------------------------------------------------


def test_a_linear_model_has_its_weights_for_gradient_whatever_the_picture(images):
    weights = torch.randn(5, 3, 12, 12)
    model, own = Linear(weights), weights[CLASSES]
    torch.testing.assert_close(gradients.gradient(model, images, CLASSES), own)
    torch.testing.assert_close(gradients.saliency(model, images, CLASSES), own.abs())
    smooth = gradients.smooth_grad(model, images, CLASSES, count=4)
    torch.testing.assert_close(smooth, own)
    whole = gradients.integrated_gradients(model, images, CLASSES, steps=2, baseline=0.25)
    torch.testing.assert_close(whole, own * (images - 0.25))


def test_a_square_is_integrated_exactly():
    class Square(nn.Module):
        def forward(self, x):
            return x.pow(2).sum(dim=(2, 3))

    images = torch.tensor([[[[1.0, 2.0]]]])
    found = gradients.integrated_gradients(Square(), images, 0, steps=1, baseline=-1.0)
    assert found.tolist() == [[[[0.0, 3.0]]]]  # x^2 less (-1)^2


def test_guided_backpropagation_stops_what_is_below_zero_at_every_relu():
    class Two(nn.Module):
        def forward(self, x):
            up, down = F.relu(x[:, 0]), x[:, 1].clone().relu_()
            return (up - down).sum(dim=(1, 2))[:, None]

    images = torch.tensor([[[[2.0]], [[3.0]]]])
    assert gradients.gradient(Two(), images, 0).flatten().tolist() == [1, -1]
    assert gradients.guided_backpropagation(Two(), images, 0).flatten().tolist() == [1, 0]


@pytest.mark.parametrize(
    ("bend", "is_guided"),
    [
        *[(bend, True) for bend in (F.relu, F.relu6, torch.relu, torch.Tensor.relu)],
        *[(bend, True) for bend in (nn.ReLU(), nn.ReLU6(), nn.ReLU(inplace=True))],
        (lambda x: F.relu_(x.clone()), True),
        (lambda x: torch.relu_(x.clone()), True),
        *[(bend, False) for bend in (torch.tanh, F.leaky_relu, nn.Hardtanh(-4, 4), nn.Hardtanh())],
    ],
)
def test_relus_are_guided_however_they_are_called_and_nothing_else(bend, is_guided):
    class Falling(nn.Module):
        def forward(self, x):
            return -bend(x.clone()).sum(dim=(2, 3))

    images = torch.full((1, 1, 1, 2), 0.5)
    plain = gradients.gradient(Falling(), images, 0)
    assert (plain < 0).all()
    guided = gradients.guided_backpropagation(Falling(), images, 0)
    assert torch.equal(guided, torch.zeros_like(plain) if is_guided else plain)


# --- captum ---------------------------------------------------------------------------------------

NETWORKS = {
    "plain": (network, 12),
    "in place": (lambda: network(inplace=True), 12),
    "resnet18": (lambda: resnet18(num_classes=5), 64),
}


@pytest.fixture(params=NETWORKS)
def case(request):
    """A network, pictures for it, and whether a ReLU of it is called twice."""
    torch.manual_seed(2)
    build, size = NETWORKS[request.param]
    return build().eval(), torch.randn(3, 3, size, size)


def close(ours, theirs):
    scale = theirs.abs().max()
    assert scale > 0
    torch.testing.assert_close(ours / scale, theirs / scale, rtol=0, atol=1e-5)


def test_saliency_agrees_with_captum(case):
    model, images = case
    theirs = captum.attr.Saliency(model).attribute(images.clone().requires_grad_(), CLASSES)
    close(gradients.saliency(model, images, CLASSES), theirs)


@pytest.mark.parametrize("baseline", [0.0, 0.3])
def test_integrated_gradients_agree_with_captum(case, baseline):
    model, images = case
    oracle = captum.attr.IntegratedGradients(model)
    theirs = oracle.attribute(images, baseline, CLASSES, n_steps=7, method="gausslegendre")
    ours = gradients.integrated_gradients(model, images, CLASSES, steps=7, baseline=baseline)
    close(ours, theirs.float())


def test_guided_backpropagation_agrees_with_captum():
    model, images = network().eval(), torch.randn(3, 3, 12, 12)
    with pytest.warns(UserWarning, match="backward hooks"):
        theirs = captum.attr.GuidedBackprop(model).attribute(
            images.clone().requires_grad_(), CLASSES
        )
    close(gradients.guided_backpropagation(model, images, CLASSES), theirs)
    assert not torch.allclose(gradients.gradient(model, images, CLASSES), theirs)


def test_a_relu6_is_guided_as_a_relu_is():
    torch.manual_seed(0)
    model = efficientnet_lite0(num_classes=4).eval()
    images = torch.randn(1, 3, 33, 33)
    plain = gradients.gradient(model, images, 1)
    guided = gradients.guided_backpropagation(model, images, 1)
    assert (guided - plain).abs().max() > 0.1 * plain.abs().max()


# --- completeness ---------------------------------------------------------------------------------


def test_attributions_sum_to_the_difference_of_the_logits_to_1e_3(images):
    model = network().eval()
    settings = {"steps": 400, "baseline": 0.1}
    found = gradients.integrated_gradients(model, images, CLASSES, **settings)
    gap = gradients.completeness_gap(model, images, CLASSES, found, baseline=0.1)
    logits = model(images) - model(torch.full_like(images, 0.1))
    difference = logits[torch.arange(3), CLASSES]
    torch.testing.assert_close(found.sum(dim=(1, 2, 3)) - gap, difference.detach())
    assert gap.abs().max() < 1e-3
    coarse = gradients.integrated_gradients(model, images, CLASSES, steps=1, baseline=0.1)
    assert (
        gradients.completeness_gap(model, images, CLASSES, coarse, baseline=0.1).abs().max() > 1e-2
    )


# --- what is left as it was -----------------------------------------------------------------------


@pytest.mark.parametrize("method", METHODS.values(), ids=METHODS)
def test_model_and_pictures_are_left_as_they_were(method, images):
    model = network(inplace=True).train()
    model[0].weight.grad = torch.ones(8, 3, 3, 3)
    state = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    before = images.clone()
    with torch.no_grad():
        found = method(model, images, CLASSES)
    assert found.shape == images.shape
    assert not found.requires_grad
    assert all(part.training for part in model.modules())
    assert torch.equal(model[0].weight.grad, torch.ones(8, 3, 3, 3))
    assert model[4].weight.grad is None
    assert all(torch.equal(state[name], now) for name, now in model.state_dict().items())
    assert torch.equal(images, before)
    assert images.grad is None


@pytest.mark.parametrize("method", METHODS.values(), ids=METHODS)
def test_a_picture_gets_the_same_map_alone_and_in_company(method, monkeypatch, images):
    model = network()
    together = method(model, images, CLASSES)
    if method is not METHODS["smooth"]:
        torch.testing.assert_close(method(model, images[1:2], 4), together[1:2])
    monkeypatch.setattr(checks, "NUMBERS_AT_ONCE", 2 * images[0].numel())  # two in one pass
    torch.testing.assert_close(method(model, images, CLASSES), together)


@pytest.mark.parametrize("method", METHODS.values(), ids=METHODS)
def test_pictures_that_were_made_without_gradients_are_taken(method, images):
    expected = method(network(), images, CLASSES)
    with torch.inference_mode():
        made = images.clone()
    torch.testing.assert_close(method(network(), made, CLASSES), expected)


@pytest.mark.parametrize("method", METHODS.values(), ids=METHODS)
def test_what_cannot_be_is_refused(method, images, refused):
    model = network()
    with refused(
        "class 5: the model has classes 0 to 4. Try: classes=model(images).argmax(dim=1)."
    ):
        method(model, images, 5)
    with refused("images (3, 12, 12) float32: must be (N, C, H, W). Try: images[None]."):
        method(model, images[0], 1)


def test_noise_is_of_the_seed_and_of_the_pictures_range(images):
    class Bend(nn.Module):
        def forward(self, x):
            return x.pow(3).sum(dim=(1, 2, 3))[:, None]

    ours = [gradients.smooth_grad(Bend(), images, 0, count=2, seed=seed) for seed in (0, 0, 1)]
    assert torch.equal(ours[0], ours[1])
    assert not torch.equal(ours[0], ours[2])
    flat = torch.linspace(0, 10, 400).reshape(1, 1, 20, 20)  # mean of 3 (x + e)^2: 3 x^2 + 3 s^2
    many = gradients.smooth_grad(Bend(), flat, 0, count=40, noise=0.1)
    assert (many - 3 * flat**2).mean().item() == pytest.approx(3 * (0.1 * 10) ** 2, rel=0.15)
    both = torch.cat([flat, flat - 90])  # each picture's own range, not that of the batch
    beside = gradients.smooth_grad(Bend(), both, 0, count=400, noise=0.1)[:1]
    assert (beside - 3 * flat**2).mean().item() == pytest.approx(3 * (0.1 * 10) ** 2, rel=0.15)


def test_no_steps_and_a_baseline_of_another_shape_are_refused(images, refused):
    with refused("steps=0: must be a whole number, 1 or more. Try: steps=1."):
        gradients.integrated_gradients(network(), images, 0, steps=0)
    with refused("count=0: must be a whole number, 1 or more. Try: count=1."):
        gradients.smooth_grad(network(), images, 0, count=0)
    with refused(
        "baseline (5,): must be one finite number, or broadcast to (3, 3, 12, 12). "
        "Try: baseline=0.0."
    ):
        gradients.integrated_gradients(network(), images, 0, steps=1, baseline=torch.zeros(5))


@pytest.mark.parametrize("baseline", ["black", None, float("nan")])
def test_a_baseline_that_is_no_number_is_refused(images, baseline, refused):
    with refused(
        f"baseline={baseline!r}: must be one finite number, or broadcast to (3, 3, 12, 12). "
        "Try: baseline=0.0."
    ):
        gradients.integrated_gradients(network(), images, 0, steps=1, baseline=baseline)


def test_noise_below_0_and_attributions_of_other_pictures_are_refused(images, refused):
    for noise in (-0.1, float("nan")):
        with refused(f"noise={noise!r}: must be a number from 0 to 100. Try: noise=0.15."):
            gradients.smooth_grad(network(), images, 0, count=2, noise=noise)
    with refused(
        "attributions (1, 3, 12, 12): must be of the images' shape (3, 3, 12, 12). "
        "Try: integrated_gradients(model, images, classes, steps=20)."
    ):
        gradients.completeness_gap(network(), images, 0, torch.zeros(1, 3, 12, 12))


def test_a_network_that_cuts_its_gradient_is_refused(images, refused):
    class Cut(nn.Module):
        def forward(self, x):
            return x.detach().mean(dim=(2, 3))

    with refused(
        "image: the logits do not depend on it. "
        "Try: a model whose forward has no torch.no_grad() and no detach()."
    ):
        gradients.saliency(Cut(), images, 0)


def test_a_pixel_counts_as_its_strongest_channel():
    found = torch.tensor([[[[1.0, -2]], [[-3, 0.5]]]])
    assert gradients.per_pixel(found).tolist() == [[[3, 2]]]
    assert np.isfinite(gradients.per_pixel(found).numpy()).all()
