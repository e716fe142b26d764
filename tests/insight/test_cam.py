import captum.attr
import pytest
import torch
from torch import nn

from cnncourse.insight import cam, checks
from cnncourse.models.efficientnet_lite import efficientnet_lite0
from cnncourse.models.resnet import resnet18

CLASSES = torch.tensor([0, 4])


class Pooled(nn.Module):
    """Maps, their means, one linear layer."""

    def __init__(self):
        super().__init__()
        self.maps = nn.Sequential(nn.Conv2d(3, 6, 3), nn.ReLU(inplace=True), nn.Conv2d(6, 4, 3))
        self.head = nn.Linear(4, 5)

    def forward(self, x):
        return self.head(self.maps(x).mean(dim=(2, 3)))


@pytest.fixture
def model():
    torch.manual_seed(0)
    return Pooled()


@pytest.fixture
def images():
    return torch.randn(2, 3, 12, 10, generator=torch.Generator().manual_seed(1))


def close(ours, theirs):
    scale = theirs.abs().max()
    assert scale > 0
    torch.testing.assert_close(ours / scale, theirs / scale, rtol=0, atol=1e-5)


@pytest.mark.parametrize("layer", ["maps", "maps.0", "maps.1", "maps.2"])
@pytest.mark.parametrize("relu", [True, False])
def test_grad_cam_agrees_with_captum_at_any_layer(model, images, layer, relu):
    if layer == "maps.0":
        model.maps[1].inplace = False  # captum keeps what the ReLU would overwrite
    oracle = captum.attr.LayerGradCam(model, model.get_submodule(layer))
    theirs = oracle.attribute(images, CLASSES, relu_attributions=relu)[:, 0]
    close(cam.grad_cam(model, images, CLASSES, layer=layer, relu=relu), theirs.detach())


def test_a_picture_gets_the_same_map_alone_and_in_company(model, images, monkeypatch):
    three = torch.cat([images, images[:1].flip(3)])
    classes = torch.tensor([0, 4, 2])
    together = cam.grad_cam(model, three, classes, layer="maps.2")
    monkeypatch.setattr(checks, "NUMBERS_AT_ONCE", 1)
    passes = []
    model.register_forward_hook(lambda *_: passes.append(1))
    torch.testing.assert_close(cam.grad_cam(model, three, classes, layer="maps.2"), together)
    assert len(passes) == 3


@pytest.mark.parametrize("layer", ["layer1", "layer2.0", "layer4", "conv1"])
def test_grad_cam_of_a_resnet_agrees_with_captum(layer):
    torch.manual_seed(0)
    model, images = resnet18(num_classes=5).eval(), torch.randn(2, 3, 64, 64)
    oracle = captum.attr.LayerGradCam(model, model.get_submodule(layer))
    theirs = oracle.attribute(images, CLASSES)[:, 0]
    close(cam.grad_cam(model, images, CLASSES, layer=layer, relu=False), theirs.detach())


def test_cam_is_grad_cam_up_to_scale_where_a_network_ends_in_pooling_and_a_linear_head(
    model, images
):
    ours = cam.class_activation_map(model, images, CLASSES, layer="maps", head="head")
    places = ours[0].numel()
    close(
        cam.grad_cam(model, images, CLASSES, layer="maps", relu=False) * places,
        ours,
    )
    close(cam.grad_cam(model, images, CLASSES, layer="maps") * places, ours.relu())
    means = ours.mean(dim=(1, 2)) + model.head.bias[CLASSES]
    torch.testing.assert_close(means.detach(), model(images)[[0, 1], CLASSES].detach())


def test_lite0_ends_so():
    torch.manual_seed(0)
    net = efficientnet_lite0(num_classes=5)
    images = torch.randn(2, 3, 64, 64)
    maps = cam.class_activation_map(net, images, CLASSES, layer="features", head="classifier.1")
    assert maps.shape == (2, 2, 2)
    close(cam.grad_cam(net, images, CLASSES, layer="features", relu=False) * 4, maps)
    assert net.training


def test_grad_cam_by_hand():
    class Tiny(nn.Module):
        def __init__(self):
            super().__init__()
            self.maps = nn.Identity()

        def forward(self, x):
            y = self.maps(x)
            return torch.stack([2 * y[:, 0, 0, 0] - y[:, 1].sum(dim=(1, 2))], dim=1)

    images = torch.tensor([[[[4.0, 8.0]], [[1.0, 9.0]]]])
    # mean slopes: (2 + 0) / 2 = 1 and -1, so the map is 4 - 1 and 8 - 9
    assert cam.grad_cam(Tiny(), images, 0, layer="maps").tolist() == [[[3, 0]]]
    assert cam.grad_cam(Tiny(), images, 0, layer="maps", relu=False).tolist() == [[[3, -1]]]


def test_the_model_is_left_as_it_was(model, images):
    model.maps[0].weight.grad = torch.ones_like(model.maps[0].weight)
    model.eval()
    model.head.train()
    with torch.no_grad():
        maps = cam.grad_cam(model, images, 1, layer="maps.1")
    assert not maps.requires_grad
    assert model.head.training
    assert not model.maps.training
    assert model.maps[0].weight.grad.eq(1).all()
    assert model.head.weight.grad is None
    assert not any(part._forward_hooks for part in model.modules())


def test_what_cannot_be_is_refused(model, images, refused):
    names = "Try: [name for name, _ in model.named_modules()]."
    with refused(f"'map': Pooled has no such layer. Did you mean 'maps'? {names}"):
        cam.grad_cam(model, images, 0, layer="map")
    with refused(
        "layer 'head' gives (2, 5): must be maps (N, C, height, width). "
        "Try: a layer before the pooling."
    ):
        cam.grad_cam(model, images, 0, layer="head")
    with refused(
        "class 7: the model has classes 0 to 4. Try: classes=model(images).argmax(dim=1)."
    ):
        cam.grad_cam(model, images, 7, layer="maps")
    with refused("head 'maps' is a Sequential: must be nn.Linear. Try: grad_cam."):
        cam.class_activation_map(model, images, 0, layer="maps", head="maps")
    with refused(
        "the logits are not 'head' of the means of 'maps.1': CAM needs a network that ends so. "
        "Try: grad_cam, which works at any layer."
    ):
        cam.class_activation_map(model, images, 0, layer="maps.1", head="head")
    with refused("maps (3, 3) float32: must be (N, h, w), floats. Try: maps[None].float()."):
        cam.enlarged(torch.zeros(3, 3), (4, 4))
    with refused("maps (1, 3, 3) int64: must be (N, h, w), floats. Try: maps[None].float()."):
        cam.enlarged(torch.zeros(1, 3, 3).long(), (4, 4))
    with refused("size=8: must be (height, width). Try: size=tuple(images.shape[2:])."):
        cam.enlarged(torch.zeros(1, 3, 3), 8)
    for size, name in (((0, 4), "height"), ((4, 0), "width")):
        with refused(f"{name}=0: must be a whole number, 1 or more. Try: {name}=1."):
            cam.enlarged(torch.zeros(1, 3, 3), size)


def test_cam_is_refused_where_the_head_gets_something_else_than_the_means(images, refused):
    class Highest(Pooled):
        def forward(self, x):
            return self.head(self.maps(x).amax(dim=(2, 3)))

    with refused(
        "the logits are not 'head' of the means of 'maps': CAM needs a network that ends so. "
        "Try: grad_cam, which works at any layer."
    ):
        cam.class_activation_map(Highest(), images, 0, layer="maps", head="head")


def test_a_layer_beside_the_way_to_the_logits_is_refused(model, images, refused):
    class Beside(Pooled):
        def forward(self, x):
            self.aside(x)
            return super().forward(x)

    net = Beside()
    net.aside = nn.Conv2d(3, 1, 1)
    with refused("layer 'aside': the logits do not depend on it. Try: another layer."):
        cam.grad_cam(net, images, 0, layer="aside")


def test_a_map_is_enlarged_to_the_picture():
    maps = torch.tensor([[[0.0, 1.0]]])
    assert cam.enlarged(maps, (2, 4)).tolist() == [[[0, 0.25, 0.75, 1]] * 2]
