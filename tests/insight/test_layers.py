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
    with refused(f"'': InPlace has no such layer. {try_names}"):
        layers.layer_of(model, "")
    with refused(f"['conv']: InPlace has no such layer. Did you mean 'conv'? {try_names}"):
        layers.layer_of(model, ["conv"])
    with (
        refused("layers='conv': must be a list. Try: layers=['conv']."),
        layers.watched(model, "conv"),
    ):
        pass
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


# --- asking ---------------------------------------------------------------------------------------


def untouched(model):
    """Whether no hook is left behind."""
    parts = [
        hooks
        for part in model.modules()
        for hooks in (part._forward_hooks, part._forward_pre_hooks)
    ]
    return not any(parts)


def test_a_pass_gives_what_the_model_gives(model):
    images = torch.randn(2, 1, 4, 4)
    assert torch.equal(layers.passed(model, images), model(images))
    assert untouched(model)


def test_a_model_that_works_in_place_on_its_input_leaves_the_pictures_alone():
    class Centred(nn.Module):
        def forward(self, x):
            return x.sub_(0.5).mul_(2).sum(dim=(2, 3))

    pixels = torch.ones(1, 1, 2, 2, requires_grad=True)  # in place on a leaf, torch would refuse
    total = layers.passed(Centred(), pixels)
    assert total.item() == 4
    assert pixels.eq(1).all()
    assert layers.slope(total.sum(), pixels, said="", attempt="").eq(2).all()


PLAIN = nn.Sequential(nn.Conv2d(3, 4, 5), nn.Flatten(), nn.Linear(64, 2))


@pytest.mark.parametrize(
    ("model", "shape", "sentence"),
    [
        (
            PLAIN,
            (2, 1, 8, 8),
            "layer '0' (Conv2d) expects 3 channels, gets 1: the images are 1x8x8. "
            "Try: in_channels=1, or other images.",
        ),
        (
            PLAIN,
            (2, 3, 9, 9),
            "layer '2' (Linear) expects 64 features, gets 100: the images are 3x9x9. "
            "Try: in_features=100, or other images.",
        ),
        (
            PLAIN,
            (1, 3, 4, 4),
            "images (1, 3, 4, 4): they do not go through Sequential. "
            "Try: images of the size that the model was built for.",
        ),
        (
            nn.Conv2d(3, 4, 5).double(),
            (1, 3, 8, 8),
            "images float32: the model is float64. Try: images.to(torch.float64).",
        ),
        (
            nn.Sequential(nn.BatchNorm2d(3, affine=False).half(), nn.Conv2d(3, 4, 5).half()),
            (1, 3, 8, 8),
            "images float32: the model is float16. Try: images.to(torch.float16).",
        ),
    ],
)
def test_pictures_that_do_not_go_through_are_refused_with_the_reason(
    model, shape, sentence, refused
):
    with refused(sentence) as caught:
        layers.passed(model, torch.zeros(shape))
    assert untouched(model)
    is_named = sentence.startswith("layer")
    assert isinstance(caught.value.__cause__, RuntimeError) != is_named


def test_a_model_without_weights_has_the_kind_of_its_statistics():
    model = nn.Module()
    model.register_buffer("seen", torch.tensor(0))
    model.register_buffer("mean", torch.zeros(3, dtype=torch.float16))
    said = layers.misfit(model, torch.zeros(1, 3, 8, 8))
    assert said == "images float32: the model is float16. Try: images.to(torch.float16)."


def test_a_model_elsewhere_is_said():
    said = layers.misfit(nn.Conv2d(3, 4, 5, device="meta"), torch.zeros(1, 3, 8, 8))
    assert said == "images on cpu: the model is on meta. Try: images.to('meta')."


def test_memory_that_ran_out_is_not_called_a_wrong_picture():
    class Greedy(nn.Module):
        def forward(self, x):
            raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried ...")

    with pytest.raises(RuntimeError, match="can't allocate memory"):
        layers.passed(Greedy(), torch.zeros(1, 3, 8, 8))


def test_a_layer_of_its_own_kind_may_take_what_conv2d_does_not():
    class Padded(nn.Conv2d):
        def forward(self, x):
            return super().forward(F.pad(x, (0, 0, 0, 0, 0, 1)))

    assert layers.passed(Padded(3, 4, 1), torch.zeros(1, 2, 8, 8)).shape == (1, 4, 8, 8)


def test_what_is_no_network_is_refused(refused):
    for wrong, kind in ((None, "NoneType"), (F.relu, "function")):
        sentence = (
            f"model of type {kind}: must be a torch.nn.Module. "
            "Try: model=cnncourse.models.simple.SimpleCNN()."
        )
        with refused(sentence, TypeError), layers.asked(wrong):
            pass
        with refused(sentence, TypeError):
            layers.answers_for(wrong, torch.zeros(1, 1, 2, 2), torch.tensor([0]))
        with refused(sentence, TypeError):
            layers.layer_of(wrong, "conv")


def test_a_slope_of_what_does_not_depend_is_refused(refused):
    x, other = torch.ones(2, requires_grad=True), torch.ones(2, requires_grad=True)
    found = layers.slope((3 * x).sum(), x, said="image", attempt="another")
    assert found.tolist() == [3, 3]
    for total in (other.sum(), x.detach().sum()):
        with refused("image: the logits do not depend on it. Try: another."):
            layers.slope(total, x, said="image", attempt="another")


def test_answers_come_from_eval_mode_without_gradients(model):
    model.head = nn.Sequential(nn.Dropout(0.9), nn.Linear(2, 3))
    images = torch.randn(2, 1, 4, 4)
    answers = layers.answers_for(model, images, torch.tensor([0, 2]))
    assert not answers.requires_grad
    assert model.head[0].training
    pooled = F.relu(model.conv(images)).mul(2).mean(dim=(2, 3))
    expected = model.head[1](pooled)[torch.arange(2), torch.tensor([0, 2])]
    torch.testing.assert_close(answers, expected.detach())
