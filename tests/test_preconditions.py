import pytest
import torch
from torch import nn

from cnncourse import training
from cnncourse.data import Split
from cnncourse.models.simple import SimpleCNN
from cnncourse.preconditions import check_finite, check_fits, check_last_batch

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


BAD_SPLITS += [
    (
        digits(images=DIGITS.images.index_fill(0, torch.tensor([1, 2]), value)),
        "{name}[1]: the image has a pixel that is nan or infinite, as 2 of 3 have. Try: "
        "images.isfinite().flatten(1).all(dim=1) tells which are good.",
    )
    for value in (float("nan"), float("inf"), -float("inf"))
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


def test_large_values_whose_sum_is_infinite_are_finite():
    check_finite(torch.full((2, 1, 2, 2), 3e38), name="train")


NO_SPLIT = "must be a Split, images and labels as tensors. Try: data.Split(images, labels)."
NO_TENSOR = (
    "has a ndarray: images and labels must be tensors. "
    "Try: torch.as_tensor(images), torch.as_tensor(labels)."
)


@pytest.mark.parametrize("name", ["train", "validation"])
@pytest.mark.parametrize(
    ("split", "sentence"),
    [
        (tuple(DIGITS), f"{{name}} is a tuple: {NO_SPLIT}"),
        (list(DIGITS), f"{{name}} is a list: {NO_SPLIT}"),
        (DIGITS.images, f"{{name}} is a Tensor: {NO_SPLIT}"),
        (DIGITS.images.numpy(), f"{{name}} is a ndarray: {NO_SPLIT}"),
        (digits(images=DIGITS.images.numpy()), f"{{name}} {NO_TENSOR}"),
        (digits(labels=DIGITS.labels.numpy()), f"{{name}} {NO_TENSOR}"),
    ],
)
def test_what_is_no_split_of_tensors_is_refused(refused, split, sentence, name):
    with refused(sentence.format(name=name), TypeError):
        fit(SimpleCNN(), **({"train": DIGITS, "validation": DIGITS} | {name: split}))


def test_a_loader_is_refused_and_its_data_set_asked_for(refused):
    pairs = list(zip(*DIGITS, strict=True))
    with refused(
        "train is a DataLoader: must be the data set, whose order comes from the seed. Try: "
        "train=train_loader.dataset, batch_size=2, num_workers=0.",
        TypeError,
    ):
        fit(SimpleCNN(), torch.utils.data.DataLoader(pairs, batch_size=2))
    assert len(fit(SimpleCNN(), pairs).epochs) == 2


class Pair(nn.Linear):
    def forward(self, images):
        return super().forward(images.flatten(1)), None


@pytest.mark.parametrize(
    ("model", "gives"),
    [
        (nn.Sequential(nn.Conv2d(1, 3, 26)), "the model Sequential gives (2, 3, 3, 3): "),
        (Pair(784, 10), "the model Pair gives tuple: "),
    ],
)
def test_a_model_that_gives_no_logits_is_refused(refused, model, gives):
    with refused(
        f"{gives}must be logits (N, classes), one tensor. Try: nn.Flatten() and "
        "nn.Linear(features, classes) at its end."
    ):
        fit(model)
    assert not any(module._forward_hooks for module in model.modules())


def test_a_model_that_gives_probabilities_is_refused(refused):
    with refused(
        "the model Sequential gives probabilities: cross-entropy takes logits and applies the "
        "softmax itself. Try: the model without its softmax."
    ):
        fit(nn.Sequential(SimpleCNN(), nn.Softmax(dim=1)))
    fit(nn.Sequential(SimpleCNN(), nn.LogSoftmax(dim=1)))  # once more changes nothing


def normalised(**options):
    flat = nn.Sequential(nn.Flatten(), nn.Linear(784, 4), nn.BatchNorm1d(4, **options))
    return nn.Sequential(flat, nn.Linear(4, 10))


@pytest.mark.parametrize(("count", "batch_size", "better"), [(5, 4, 3), (5, 1, 3), (3, 2, 3)])
def test_a_last_batch_of_one_image_is_refused_where_it_cannot_be_normalised(
    refused, count, batch_size, better
):
    model = normalised()
    images = torch.rand(count, 1, 28, 28)
    with refused(
        f"batch_size={batch_size}: the last batch of {count} images has 1, and layer '0.2' "
        f"(BatchNorm1d) cannot normalise over one value a channel. Try: batch_size={better}."
    ):
        check_last_batch(model, images, count=count, batch_size=batch_size)
    check_last_batch(model, images, count=count, batch_size=better)
    assert not any(module._forward_pre_hooks for module in model.modules())


def test_a_last_batch_of_one_image_is_trained_on_where_a_map_has_many_pixels():
    model = nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(2704, 10))
    odd = Split(torch.rand(5, 1, 28, 28), torch.arange(5))
    assert len(fit(model, odd).epochs) == 2


def test_fit_asks_for_its_last_batch():
    model, odd = normalised(), Split(torch.rand(5, 1, 28, 28), torch.arange(5))
    before = state(model)
    with pytest.raises(ValueError, match=r"the last batch of 5 images has 1.*batch_size=3\."):
        fit(model, odd)
    assert same(state(model), before)
