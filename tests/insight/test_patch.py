import pytest
import torch
from torch import nn

from cnncourse.insight.patch import laid_on, random_places, universal_patch


def blobs(count=40):
    """Dark pictures of 8 x 8 px with some noise."""
    torch.manual_seed(0)
    return torch.rand(count, 1, 8, 8) * 0.3


def finder():
    """Class 1 where a bright 2 x 2 square with a dark lower right pixel is anywhere, else 0."""
    model = nn.Sequential(
        nn.Conv2d(1, 1, 2), nn.AdaptiveMaxPool2d(1), nn.Flatten(), nn.Dropout(0.5), nn.Linear(1, 2)
    )
    with torch.no_grad():
        model[0].weight.copy_(torch.tensor([[[[1.0, 1.0], [1.0, -1.0]]]]))
        model[0].bias.zero_()
        model[4].weight.copy_(torch.tensor([[0.0], [4.0]]))
        model[4].bias.copy_(torch.tensor([0.0, -8.0]))
    return model


def answers(model, images):
    with torch.no_grad():
        return model.eval()(images).argmax(dim=1)


def test_the_patch_becomes_what_the_network_looks_for_and_works_anywhere():
    model, images = finder(), blobs()
    options = {"target": 1, "size_px": 2, "lr": 0.1}
    patch = universal_patch(model, images, steps=60, **options)
    torch.testing.assert_close(patch, torch.tensor([[[1.0, 1.0], [1.0, 0.0]]]), atol=0.05, rtol=0)
    assert answers(model, images).sum() == 0
    places = random_places(images, 2, torch.Generator().manual_seed(9))
    assert answers(model, laid_on(images, patch, places)).sum() == len(images)


def test_it_stays_from_0_to_1_has_its_seed_and_leaves_the_model_as_it_was():
    model, images = finder().train(), blobs()
    options = {"target": 1, "size_px": 3, "lr": 1.0, "steps": 5}
    patch = universal_patch(model, images, **options)
    assert 0 <= patch.min() <= patch.max() <= 1
    assert torch.equal(patch, universal_patch(model, images, **options))
    assert not torch.equal(patch, universal_patch(model, images, seed=1, **options))
    still = {"target": 1, "size_px": 3, "lr": 0.0, "steps": 1}  # as it begins
    begun = [universal_patch(model, images, seed=seed, **still) for seed in (0, 1)]
    assert not torch.equal(*begun)
    assert model.training
    assert all(parameter.grad is None for parameter in model.parameters())
    assert not patch.requires_grad
    assert torch.equal(images, blobs())


def test_every_place_where_it_fits_is_drawn_and_no_other():
    images = torch.zeros(400, 1, 4, 3)
    places = random_places(images, 2, torch.Generator().manual_seed(0))
    assert {tuple(place) for place in places.tolist()} == {(y, x) for y in range(3) for x in (0, 1)}


def test_it_lies_where_it_was_laid():
    images = torch.zeros(2, 1, 3, 3)
    covered = laid_on(images, torch.ones(1, 2, 2), torch.tensor([[0, 1], [1, 0]]))
    assert not images.any()  # they are not written on
    assert covered[0, 0].tolist() == [[0, 1, 1], [0, 1, 1], [0, 0, 0]]
    assert covered[1, 0].tolist() == [[0, 0, 0], [1, 1, 0], [1, 1, 0]]


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        ({"size_px": 9}, "size_px=9: does not fit on pictures of 8 x 8 px. Try: size_px=2."),
        ({"target": 2}, "target=2: the model has classes 0 to 1. Try: target=1."),
        ({"batch_size": 0}, "batch_size=0: must be a whole number, 1 or more. Try: batch_size=1."),
        ({"target": -1}, "target=-1: must be a whole number, 0 or more. Try: target=0."),
        ({"lr": -1.0}, "lr=-1.0: must be a number from 0 to 1000. Try: lr=0.1."),
        ({"seed": 0.5}, "seed=0.5: must be a whole number, 0 or more. Try: seed=0."),
        ({"steps": 0}, "steps=0: must be a whole number, 1 or more. Try: steps=1."),
    ],
)
def test_what_cannot_be_is_refused(changed, sentence, refused):
    options = {"target": 1, "size_px": 2, "lr": 0.1, "steps": 1} | changed
    with refused(sentence):
        universal_patch(finder(), blobs(), **options)


def test_no_pictures_and_a_model_for_others_are_refused(refused):
    options = {"target": 1, "size_px": 2, "lr": 0.1, "steps": 1}
    with refused(
        "images (0, 1, 8, 8) float32: there are no pictures, must be 1 or more. "
        "Try: print(images.shape) where they were chosen."
    ):
        universal_patch(finder(), blobs()[:0], **options)
    with refused(
        "layer '0' (Conv2d) expects 1 channels, gets 3: the images are 3x8x8. "
        "Try: in_channels=3, or other images."
    ):
        universal_patch(finder(), blobs().expand(-1, 3, -1, -1), **options)


@pytest.mark.parametrize(
    "places", [[[0, 1]], [[-1, 0], [0, 0]], [[0, 2], [0, 0]], [[0.0, 0], [0, 0]]]
)
def test_places_that_are_too_few_or_off_the_picture_are_refused(places, refused):
    places = torch.tensor(places)
    with refused(
        f"places {tuple(places.shape)}: must be a row and a column for each of 2 pictures where "
        "2 px fit. Try: random_places(images, 2, torch.Generator())."
    ):
        laid_on(torch.zeros(2, 1, 3, 3), torch.ones(1, 2, 2), places)


def test_a_patch_of_other_channels_and_no_generator_are_refused(refused):
    images = torch.zeros(2, 3, 3, 3)
    for shape in ((1, 2, 2), (3, 2, 1)):
        with refused(
            f"patch {shape}: must be a square of 3 channels. "
            "Try: patch.expand(3, -1, -1) for one of one channel."
        ):
            laid_on(images, torch.ones(shape), torch.zeros(2, 2).long())
    with refused("draw=0: must be a torch.Generator. Try: draw=torch.Generator().manual_seed(0)."):
        random_places(images, 2, 0)
