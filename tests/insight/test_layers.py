import pytest
import torch
from torch import nn
from torch.nn import functional as F

from cnncourse.insight import layers


class InPlace(nn.Module):
    """A convolution whose output the next operation overwrites; a ReLU that is called twice."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(1, 2, 1)
        self.relu = nn.ReLU(inplace=True)
        self.unused = nn.Linear(2, 2)
        self.head = nn.Linear(2, 3)

    def forward(self, x):
        x = self.relu(self.conv(x))
        x = 2 * x
        return self.head(self.relu(x).mean(dim=(2, 3)))


@pytest.fixture
def model():
    torch.manual_seed(0)
    return InPlace()


def test_an_output_is_kept_as_it_was_before_what_works_in_place(model):
    images = torch.randn(2, 1, 4, 4)
    with layers.watched(model, ["conv"]) as outputs:
        logits = model(images)
    torch.testing.assert_close(outputs["conv"], model.conv(images))
    assert (outputs["conv"] < 0).any()
    torch.testing.assert_close(logits, model(images))


def test_gradients_reach_what_was_kept(model):
    images = torch.randn(2, 1, 4, 4)
    with layers.watched(model, ["conv"]) as outputs:
        logits = model(images)
    (slope,) = torch.autograd.grad(logits[:, 1].sum(), outputs["conv"])
    expected = (outputs["conv"] > 0) * model.head.weight[1][None, :, None, None] * 2 / 16
    torch.testing.assert_close(slope, expected)


def test_no_hook_stays_whatever_happens(model):
    def hooks():
        return sum(len(part._forward_hooks) for part in model.modules())

    with layers.watched(model, ["conv", "head"]):
        assert hooks() == 2
    with pytest.raises(RuntimeError), layers.watched(model, ["conv"]):
        model(torch.randn(1, 9, 4, 4))
    assert hooks() == 0


def test_asking_leaves_every_mode_as_it_was(model):
    model.train()
    model.head.eval()
    with torch.no_grad(), layers.asked(model):
        assert not any(part.training for part in model.modules())
        assert torch.is_grad_enabled()
    assert model.conv.training
    assert not model.head.training


def test_names_that_are_not_there_and_layers_that_say_nothing_are_refused(model, refused):
    try_names = "Try: [name for name, _ in model.named_modules()]."
    with refused(f"'cnov': InPlace has no such layer. Did you mean 'conv'? {try_names}"):
        layers.layer_of(model, "cnov")
    with refused(f"'xyz': InPlace has no such layer. {try_names}"):
        layers.layer_of(model, "xyz")
    with (
        refused(
            "layer 'relu' (ReLU) runs more than once in a pass, so its name says not which output "
            "is meant. Try: the block that it is in."
        ),
        layers.watched(model, ["relu"]),
    ):
        model(torch.randn(1, 1, 4, 4))
    with layers.watched(model, ["unused", "head"]) as outputs:
        model(torch.randn(1, 1, 4, 4))
    with refused("layer 'unused' never ran in this pass. Try: a layer that does."):
        layers.ran(outputs, "unused")
    with refused(
        "layer 'head' gives (1, 3): must be maps (N, C, height, width). "
        "Try: a layer before the pooling."
    ):
        layers.maps_of(outputs, "head")


def test_a_layer_that_gives_no_tensor_is_refused(refused):
    lstm = nn.LSTM(2, 3)
    model = nn.Sequential(lstm)
    with (
        refused("layer '0' gives a tuple, no tensor. Try: one inside it."),
        layers.watched(model, ["0"]),
    ):
        model(torch.randn(4, 1, 2))


@pytest.mark.parametrize(
    ("images", "sentence"),
    [
        (
            torch.zeros(3, 4, 4),
            "images (3, 4, 4) float32: must be (N, C, H, W), floats, none of it 0. "
            "Try: images[None].",
        ),
        (
            torch.zeros(1, 3, 4, 4, dtype=torch.uint8),
            "images (1, 3, 4, 4) uint8: must be (N, C, H, W), floats, none of it 0. "
            "Try: images.float().",
        ),
        (
            torch.zeros(0, 3, 4, 4),
            "images (0, 3, 4, 4) float32: must be (N, C, H, W), floats, none of it 0. "
            "Try: images.float().",
        ),
        (
            [1, 2],
            "images of type list: must be a tensor (N, C, H, W) of floats. "
            "Try: torch.tensor(images).",
        ),
    ],
)
def test_what_are_no_pictures_is_refused(images, sentence, refused):
    with refused(sentence):
        layers.check_images(images)


def test_a_class_for_all_or_one_each():
    images = torch.zeros(3, 1, 2, 2)
    assert layers.targets_for(images, 2).tolist() == [2, 2, 2]
    assert layers.targets_for(images, torch.tensor([0, 1, 2])).tolist() == [0, 1, 2]


@pytest.mark.parametrize(
    ("side_px", "counts"), [(20, [5]), (160, [1] * 5), (224, [1] * 5), (128, [2, 2, 1])]
)
def test_so_many_pictures_go_at_once_as_memory_allows(side_px, counts):
    images, targets = torch.zeros(5, 3, side_px, side_px), torch.arange(5)
    parts = list(layers.in_pieces(images, targets))
    assert [len(part) for part, _ in parts] == counts
    assert torch.cat([wanted for _, wanted in parts]).tolist() == [0, 1, 2, 3, 4]


@pytest.mark.parametrize(
    ("classes", "came"),
    [(1.5, "1.5"), (True, "True"), (torch.zeros(3), "(3,)"), (torch.tensor([1, 2]), "(2,)")],
)
def test_what_is_no_class_is_refused(classes, came, refused):
    with refused(
        f"classes={came}: must be a whole number, or int64 with one for each of 3 pictures. "
        "Try: classes=model(images).argmax(dim=1)."
    ):
        layers.targets_for(torch.zeros(3, 1, 2, 2), classes)


def test_the_logit_of_each_picture_is_chosen(refused):
    logits = torch.tensor([[1.0, 2, 3], [4, 5, 6]])
    assert layers.chosen(logits, torch.tensor([2, 0])).tolist() == [3, 4]
    for wrong in (3, -1):
        with refused(
            f"class {wrong}: the model has classes 0 to 2. "
            "Try: classes=model(images).argmax(dim=1)."
        ):
            layers.chosen(logits, torch.tensor([0, wrong]))
    with refused(
        "the model gives (2, 3, 1): must be logits (N, classes). Try: a model that classifies."
    ):
        layers.chosen(logits[..., None], torch.tensor([2, 0]))
    with refused(
        "the model gives (2, 3): must be logits (N, classes). Try: a model that classifies."
    ):
        layers.chosen(logits, torch.tensor([2, 0, 1]))  # it has folded pictures together


def test_answers_come_from_eval_mode_without_gradients(model):
    model.head = nn.Sequential(nn.Dropout(0.9), nn.Linear(2, 3))
    images = torch.randn(2, 1, 4, 4)
    answers = layers.answers_for(model, images, torch.tensor([0, 2]))
    assert not answers.requires_grad
    assert model.head[0].training
    pooled = F.relu(model.conv(images)).mul(2).mean(dim=(2, 3))
    expected = model.head[1](pooled)[torch.arange(2), torch.tensor([0, 2])]
    torch.testing.assert_close(answers, expected.detach())
