import pytest
import torch
from torch import nn

from cnncourse.images import photo
from cnncourse.insight import cam, gradients, methods, occlusion
from cnncourse.insight.sanity import sanity_check
from cnncourse.weights import load_weights


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 4, 3, padding=1),
        nn.ReLU(),
        nn.Conv2d(4, 4, 3, stride=2, padding=1),
        nn.Flatten(),
        nn.Linear(4 * 14 * 14, 3),
    ).eval()


@pytest.fixture(scope="module")
def images():
    return torch.rand(2, 3, 28, 28, generator=torch.Generator().manual_seed(1))


def test_each_name_gives_its_own_methods_map(model, images):
    classes = torch.tensor([2, 0])
    expected = {
        "Grad-CAM": cam.grad_cam(model, images, classes, layer="2"),
        "gradient": gradients.per_pixel(gradients.saliency(model, images, classes)),
        "SmoothGrad": gradients.per_pixel(
            gradients.smooth_grad(model, images, classes, count=methods.SMOOTH_COUNT)
        ),
        "integrated gradients": gradients.per_pixel(
            gradients.integrated_gradients(model, images, classes, steps=methods.STEPS)
        ),
        "guided backpropagation": gradients.per_pixel(
            gradients.guided_backpropagation(model, images, classes)
        ),
        "occlusion": occlusion.occlusion(model, images, classes, size_px=8, stride_px=4).relu(),
    }
    assert tuple(expected) == methods.METHODS
    found = {
        method: methods.attributed(model, images, classes, method=method, layer="2", square_px=8)
        for method in methods.METHODS
    }
    for method, maps in expected.items():
        torch.testing.assert_close(found[method], maps)
        assert maps.min() >= 0
    for number, one in enumerate(methods.METHODS[1:-1]):  # whose maps are of the same size
        for other in methods.METHODS[number + 2 : -1]:
            assert not torch.allclose(found[one], found[other], rtol=1e-3)


@pytest.mark.parametrize(("square_px", "side"), [(8, 6), (3, 6), (26, 3), (28, 1)])
def test_an_occlusion_map_has_about_as_many_places_whatever_the_square(
    model, images, square_px, side
):
    found = methods.attributed(model, images, 0, method="occlusion", layer="", square_px=square_px)
    assert found.shape == (2, side, side)


def test_guided_backpropagation_alone_outlives_a_random_classifier(tell):
    """The sanity check of all methods, on the course's ResNet-18 and three photographs."""
    pretrained = load_weights("resnet18", "course")
    photos = [photo(name) for name in ("chelsea", "coffee", "motorcycle")]
    batch = torch.stack([pretrained.preprocess(each) for each in photos])
    with torch.no_grad():
        answers = pretrained.model(batch).argmax(dim=1)

    def way(method):
        options = {"method": method, "layer": "layer3", "square_px": 16}
        return lambda model: methods.attributed(model, batch, answers, **options)

    ways = {method: way(method) for method in methods.METHODS}
    table = sanity_check(pretrained.model, ways, ["fc"], seed=0)
    kept = {method: row["fc"].nanmean().item() for method, row in table.items()}
    tell("maps after a random classifier: " + ", ".join(f"{m} {kept[m]:.2f}" for m in kept))
    assert kept.pop("guided backpropagation") > 0.95
    assert max(kept.values()) < 0.7


def test_an_unknown_method_is_refused(model, images, refused):
    known = ", ".join(methods.METHODS)
    with refused(f"'xyz': unknown method. Known: {known}."):
        methods.attributed(model, images, 0, method="xyz", layer="2", square_px=8)
    with refused(f"'None': unknown method. Known: {known}."):
        methods.attributed(model, images, 0, method=None, layer="2", square_px=8)
    for square, sentence in (
        (0, "square_px=0: must be a whole number, 1 or more. Try: square_px=1."),
        (99, "size_px=99: does not fit on pictures of 28 x 28 px. Try: size_px=7."),
    ):
        with refused(sentence):
            methods.attributed(model, images, 0, method="occlusion", layer="2", square_px=square)
