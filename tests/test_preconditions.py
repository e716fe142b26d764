import pytest
import torch
from torch import nn

from cnncourse import training
from cnncourse.data import Split
from cnncourse.models.simple import SimpleCNN
from cnncourse.preconditions import check_fits

DIGITS = Split(torch.zeros(3, 1, 28, 28), torch.tensor([0, 4, 9]))


def digits(**changes):
    return DIGITS._replace(**changes)


def linear(features=36, classes=3):
    torch.manual_seed(0)
    return nn.Sequential(nn.Flatten(), nn.Linear(features, classes))


def fit(model, train=DIGITS, validation=DIGITS):
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    options = {"epochs": 2, "batch_size": 4, "device": "cpu"}
    return training.fit(model, train, validation, optimizer=optimizer, **options)


def state(model):
    return {name: value.clone() for name, value in model.state_dict().items()}


def same(one, other):
    return all(torch.equal(value, other[name]) for name, value in one.items())


def test_the_classes_of_a_model_that_fits_come_back():
    assert check_fits(linear(784, 12), DIGITS, name="train") == 12


BAD_SPLITS = [
    (
        Split(torch.zeros(0, 1, 28, 28), torch.zeros(0).long()),
        "{name} has 0 images and 0 labels: must be as many, and at least one. "
        "Try: the same indices for both.",
    ),
    (
        digits(labels=torch.tensor([0, 4])),
        "{name} has 3 images and 2 labels: must be as many, and at least one. "
        "Try: the same indices for both.",
    ),
    (
        digits(labels=torch.tensor([0, 4, 10])),
        "label 10 found in {name}, but the model has classes 0 to 9. Labels start at 0. "
        "Try: num_classes=11.",
    ),
    (
        digits(labels=torch.tensor([1, 4, 10])),
        "label 10 found in {name}, but the model has classes 0 to 9. Labels start at 0. "
        "Try: labels - 1.",
    ),
    (
        digits(labels=torch.tensor([-1, 4, 9])),
        "label -1 found in {name}, but the model has classes 0 to 9. Labels start at 0. "
        "Try: labels + 1.",
    ),
    (
        digits(images=torch.zeros(3, 1, 14, 14)),
        "layer 'classifier.1' (Linear) expects 3136 features, gets 576: the {name} images are "
        "1x14x14. Try: in_features=576, or other images.",
    ),
    (
        digits(images=torch.zeros(3, 3, 28, 28)),
        "layer 'features.0' (Conv2d) expects 1 channels, gets 3: the {name} images are 3x28x28. "
        "Try: in_channels=3, or other images.",
    ),
    (
        digits(images=torch.zeros(3, 1, 2, 2)),
        "the {name} images are 1x2x2: they do not go through the model. "
        "Try: images of the size the model was built for.",
    ),
    (
        digits(images=torch.zeros(3, 28, 28, 1)),
        "{name} images (3, 28, 28, 1): looks like channels-last; this course uses channels-first. "
        "Try: images.permute(0, 3, 1, 2).",
    ),
    (
        digits(images=torch.zeros(3, 28, 28)),
        "{name} images (3, 28, 28), labels (3,): must be (N, C, H, W) and (N,). "
        "Try: images[:, None] (one channel), labels.argmax(dim=1) (one-hot).",
    ),
    (
        digits(labels=torch.eye(10).long()[:3]),
        "{name} images (3, 1, 28, 28), labels (3, 10): must be (N, C, H, W) and (N,). "
        "Try: images[:, None] (one channel), labels.argmax(dim=1) (one-hot).",
    ),
    (
        digits(images=torch.zeros(3, 1, 28, 28, dtype=torch.uint8)),
        "{name} images are torch.uint8 and labels torch.int64: must be torch.float32 and "
        "torch.int64. Try: images.to(torch.float32) (bytes: / 255, too) and labels.long().",
    ),
    (
        digits(labels=torch.tensor([0.0, 4.0, 9.0])),
        "{name} images are torch.float32 and labels torch.float32: must be torch.float32 and "
        "torch.int64. Try: images.to(torch.float32) (bytes: / 255, too) and labels.long().",
    ),
]


@pytest.mark.parametrize("name", ["train", "validation"])
@pytest.mark.parametrize(("split", "sentence"), BAD_SPLITS)
def test_images_and_labels_that_do_not_fit_the_model_are_refused(refused, split, sentence, name):
    model = SimpleCNN()
    before = state(model)
    with refused(sentence.format(name=name)):
        fit(model, **({"train": DIGITS, "validation": DIGITS} | {name: split}))
    assert same(state(model), before)
    assert not any(module._forward_pre_hooks for module in model.modules())


def test_a_bad_label_is_found_wherever_it_is_among_the_images(refused):
    labels = torch.zeros(300).long()
    labels[299] = 3
    with refused(
        "label 3 found in train, but the model has classes 0 to 2. Labels start at 0. "
        "Try: num_classes=4."
    ):
        fit(linear(), Split(torch.zeros(300, 1, 6, 6), labels))
