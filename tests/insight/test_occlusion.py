import torch
from torch import nn

from cnncourse.insight import occlusion as module
from cnncourse.insight.occlusion import covered, occlusion


class Sum(nn.Module):
    """Two logits: the sum of the pixels times a picture of weights, and its negative."""

    def __init__(self, weights):
        super().__init__()
        self.weights = weights

    def forward(self, x):
        total = (x * self.weights).sum(dim=(1, 2, 3))
        return torch.stack([total, -total], dim=1)


def test_of_a_linear_model_a_square_takes_what_it_held():
    images = torch.arange(12.0).reshape(1, 1, 3, 4)
    falls = occlusion(Sum(torch.ones(3, 4)), images, 0, size_px=2, stride_px=1)
    assert falls.tolist() == [[[10, 14, 18], [26, 30, 34]]]
    filled = occlusion(Sum(torch.ones(3, 4)), images, 1, size_px=2, stride_px=2, fill=1.0)
    assert filled.tolist() == [[[-6, -14]]]


def test_each_picture_has_its_class_and_the_batch_its_size(monkeypatch):
    torch.manual_seed(0)
    model, images = Sum(torch.randn(2, 7, 9)), torch.randn(3, 2, 7, 9)
    classes = torch.tensor([0, 1, 0])
    falls = occlusion(model, images, classes, size_px=3, stride_px=2)
    assert falls.shape == (3, 3, 4)
    monkeypatch.setattr(module, "AT_ONCE", 5)
    again = occlusion(model, images, classes, size_px=3, stride_px=2)
    torch.testing.assert_close(again, falls)
    kept = (images * model.weights)[1, :, 4:7, 2:5].sum()
    torch.testing.assert_close(falls[1, 2, 1], -kept, rtol=1e-4, atol=1e-5)


def test_the_model_and_the_pictures_are_left_as_they_were():
    model = nn.Sequential(nn.Dropout(0.9), nn.Flatten(), nn.Linear(16, 2)).train()
    images = torch.ones(1, 1, 4, 4)
    falls = [occlusion(model, images, 1, size_px=2, stride_px=1) for _ in range(2)]
    assert torch.equal(*falls)  # no dropout in eval mode
    assert model[0].training
    assert images.eq(1).all()
    assert model[2].weight.grad is None


def test_pictures_whose_gradients_are_wanted_are_taken_too():
    images = torch.arange(12.0).reshape(1, 1, 3, 4)
    settings = {"size_px": 2, "stride_px": 1}
    expected = occlusion(Sum(torch.ones(3, 4)), images, 0, **settings)
    found = occlusion(Sum(torch.ones(3, 4)), images.requires_grad_(), 0, **settings)
    assert torch.equal(found, expected)


def test_a_square_is_covered_as_far_as_there_is_a_picture():
    images = torch.ones(2, 1, 3, 3)
    dark = covered(images, row=2, column=1, size_px=4)
    assert dark[1, 0].tolist() == [[1, 1, 1], [1, 1, 1], [1, 0, 0]]
    within = covered(torch.ones(1, 2, 4, 4), row=1, column=0, size_px=2, fill=0.5)
    expected = [[1, 1, 1, 1], [0.5, 0.5, 1, 1], [0.5, 0.5, 1, 1], [1, 1, 1, 1]]
    assert within[0].tolist() == [expected] * 2
    assert images.eq(1).all()


def test_what_cannot_be_is_refused(refused):
    model, images = Sum(torch.ones(3, 4)), torch.ones(1, 1, 3, 4)
    with refused("size_px=4: does not fit on pictures of 3 x 4 px. Try: size_px=1."):
        occlusion(model, images, 0, size_px=4, stride_px=1)
    for name in ("size_px", "stride_px"):
        with refused(f"{name}=0: must be a whole number, 1 or more. Try: {name}=1."):
            occlusion(model, images, 0, **{"size_px": 2, "stride_px": 1} | {name: 0})
    for fill in ("gray", float("nan")):
        with refused(f"fill={fill!r}: must be a finite number. Try: fill=0.0."):
            occlusion(model, images, 0, size_px=2, stride_px=1, fill=fill)
        with refused(f"fill={fill!r}: must be a finite number. Try: fill=0.0."):
            covered(images, row=0, column=0, size_px=2, fill=fill)
    with refused(
        "class 2: the model has classes 0 to 1. Try: classes=model(images).argmax(dim=1)."
    ):
        occlusion(model, images, 2, size_px=2, stride_px=1)
    with refused("row=-1: must be a whole number, 0 or more. Try: row=0."):
        covered(images, row=-1, column=0, size_px=1)
