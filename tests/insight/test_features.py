import pytest
import torch
from torch import nn

from cnncourse.arithmetic import ReceptiveField
from cnncourse.insight import features
from cnncourse.models.efficientnet_lite import efficientnet_lite0
from cnncourse.models.resnet import resnet18


@pytest.fixture
def model():
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(1, 3, 3, stride=2, padding=1),
        nn.ReLU(inplace=True),
        nn.Conv2d(3, 2, 3, padding=1),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
    )


def test_filters_are_a_copy_of_the_weights(model, refused):
    found = features.filters(model, "2")
    assert torch.equal(found, model[2].weight)
    found.zero_()
    assert model[2].weight.any()
    with refused("layer '1' is a ReLU, no nn.Conv2d. Try: the name of an nn.Conv2d."):
        features.filters(model, "1")
    with refused("layer 'layer1' is a Sequential, no nn.Conv2d. Try: 'layer1.0.conv1'."):
        features.filters(resnet18(num_classes=2), "layer1")


def test_maps_by_layer_are_those_of_the_pass(model):
    images = torch.randn(2, 1, 8, 8)
    model.train()
    maps = features.feature_maps(model, images, ["0", "1", "4"])
    torch.testing.assert_close(maps["0"], model[0](images).detach())
    torch.testing.assert_close(maps["1"], maps["0"].relu())
    torch.testing.assert_close(maps["4"], model(images).detach())
    assert not any(found.requires_grad for found in maps.values())  # or the pass stays in memory
    assert list(maps) == ["0", "1", "4"]
    assert model.training
    assert not any(part._forward_hooks for part in model.modules())


# --- what excites a unit --------------------------------------------------------------------------


def test_the_pictures_that_excite_a_unit_most_and_where(monkeypatch):
    images = torch.zeros(4, 1, 5, 7)
    for number, (row, column) in enumerate([(1, 2), (4, 6), (0, 0), (3, 5)]):
        images[number, 0, row, column] = [2.0, 9.0, 4.0, 5.0][number]
    model = nn.Sequential(nn.Conv2d(1, 2, 1, bias=False))
    with torch.no_grad():
        model[0].weight.copy_(torch.tensor([1.0, -1.0]).reshape(2, 1, 1, 1))
    expected = [
        features.Peak(1, 4, 6, 9.0),
        features.Peak(3, 3, 5, 5.0),
        features.Peak(2, 0, 0, 4.0),
    ]
    assert features.peaks(model, images, ["0"], count=3)["0"][0] == expected
    monkeypatch.setattr(features, "AT_ONCE", 3)
    found = features.peaks(model, images, ["0"], count=9)["0"]
    assert found[0][:3] == expected
    assert [len(unit) for unit in found] == [4, 4]
    assert found[1][0].value == 0


def test_maps_and_peaks_are_those_of_eval_mode_and_the_mode_stays():
    model = nn.Sequential(nn.Dropout(0.9), nn.Conv2d(1, 1, 1, bias=False)).train()
    with torch.no_grad():
        model[1].weight.fill_(1.0)
    images = torch.arange(1.0, 10).reshape(1, 1, 3, 3)
    assert features.peaks(model, images, ["1"], count=1)["1"] == [[features.Peak(0, 2, 2, 9.0)]]
    assert torch.equal(features.feature_maps(model, images, ["1"])["1"], images)
    assert model[0].training


def test_the_square_that_a_peak_sees_holds_what_excited_it():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(1, 4, 3, stride=2, padding=1), nn.Conv2d(4, 3, 3)).eval()
    images = torch.randn(5, 1, 21, 21)
    field = features.field_of(model, images.shape, "1")
    assert field == ReceptiveField(7, 2, -1)
    for unit, row in enumerate(features.peaks(model, images, ["1"], count=2)["1"]):
        for peak in row:
            square = features.seen_by(field, peak.row, peak.column)
            top, left, side = square
            alone = torch.zeros(1, 1, 21, 21)  # all that the unit does not see is taken away
            rows, columns = (slice(max(0, at), at + side) for at in (top, left))
            alone[0, 0, rows, columns] = images[peak.image, 0, rows, columns]
            again = model(alone)[0, unit, peak.row, peak.column].item()
            assert again == pytest.approx(peak.value, abs=1e-5)
            patch = features.cut_out(images[peak.image], square, fill=9.0)
            assert patch.shape == (1, 7, 7)
            inside = patch[patch != 9.0]
            assert torch.equal(inside, images[peak.image, 0, rows, columns].flatten())


@pytest.mark.parametrize("layer", ["features.1", "features.3"])
def test_the_field_of_a_unit_is_where_its_gradient_is(layer):
    torch.manual_seed(0)
    model = efficientnet_lite0(num_classes=3).eval()
    images = torch.randn(1, 3, 160, 160, requires_grad=True)
    field = features.field_of(model, images.shape, layer)
    x = images
    for part in model.features[: int(layer[-1]) + 1]:
        x = part(x)
    middle = x.shape[2] // 2
    (slope,) = torch.autograd.grad(x[0, :, middle, middle].sum(), images)
    lit = slope.abs().sum(dim=(0, 1)).nonzero()
    top, left, side = features.seen_by(field, middle, middle)
    assert lit.min(dim=0).values.tolist() >= [top, left]
    assert lit.max(dim=0).values.tolist() <= [top + side - 1, left + side - 1]
    assert lit.max(dim=0).values[0] - lit.min(dim=0).values[0] > 0.8 * side


def test_padding_is_filled_and_a_square_outside_is_empty():
    image = torch.ones(2, 3, 3)
    assert features.cut_out(image, (-1, 2, 2), fill=0.0)[1].tolist() == [[0, 0], [1, 0]]
    assert features.cut_out(image, (-5, -5, 2), fill=0.0).sum() == 0
    assert features.cut_out(image, (7, 7, 2), fill=0.0).sum() == 0
    wide = torch.ones(1, 9, 9)
    assert features.cut_out(wide, (-5, -5, 2), fill=0.0).sum() == 0


def test_units_without_a_place_and_layers_that_are_not_there_are_refused(model, refused):
    with refused(
        "layer '3': its units have no place in the picture. Try: a layer before the pooling."
    ):
        features.field_of(model, (1, 1, 9, 9), "3")
    names = "Try: [name for name, _ in model.named_modules()]."
    for ask in (
        lambda: features.field_of(model, (1, 1, 9, 9), "conv"),
        lambda: features.feature_maps(model, torch.zeros(1, 1, 9, 9), ["conv"]),
        lambda: features.peaks(model, torch.zeros(1, 1, 9, 9), ["conv"], count=1),
        lambda: features.filters(model, "conv"),
    ):
        with refused(f"'conv': Sequential has no such layer. {names}"):
            ask()


# --- selectivity ----------------------------------------------------------------------------------


def test_selectivity_by_hand():
    labels = torch.tensor([0, 0, 1, 2])
    answers = torch.tensor([[2.0, 0, 1, 0], [4.0, 0, 1, 0], [1.0, 5, 1, 0], [0.0, 0, 1, 0]])
    found, favourite = features.selectivity(answers, labels)
    # unit 0: 3 for class 0, (1 + 0) / 2 for the others: 2.5 / 3.5
    assert found.tolist() == pytest.approx([2.5 / 3.5, 1, 0, 0])
    assert favourite[:2].tolist() == [0, 1]
    maps = answers[:, :, None, None] * torch.tensor([[0.0, 2.0]])
    torch.testing.assert_close(features.selectivity(maps, labels)[0], found)
    faint = features.selectivity(1e-3 * answers, labels)[0]  # strength is not selectivity
    torch.testing.assert_close(faint, found)


def test_a_units_answer_to_a_map_is_its_mean_over_the_places():
    maps = torch.tensor([[1.0, 3], [5, 7], [0, 2]]).reshape(3, 1, 1, 2)
    assert features.class_means(maps, torch.tensor([0, 0, 1])).tolist() == [[4.0], [1.0]]


def test_labels_with_gaps_one_class_and_answers_below_0_are_refused(refused):
    answers = torch.ones(3, 2)
    with refused("labels: class 1 has no picture. Try: labels without gaps."):
        features.selectivity(answers, torch.tensor([0, 2, 2]))
    with refused("labels: one class only, must be two or more. Try: more classes."):
        features.selectivity(answers, torch.tensor([0, 0, 0]))
    with refused("activations below 0: must be 0 or more. Try: the layer after the ReLU."):
        features.selectivity(-answers, torch.tensor([0, 1, 1]))
    mixed = torch.tensor([[5.0, 1], [-1, 1], [1, 1]])  # its class's mean is above 0
    with refused("activations below 0: must be 0 or more. Try: the layer after the ReLU."):
        features.selectivity(mixed, torch.tensor([0, 0, 1]))
    with refused(
        "labels (2,): must be int64, one for each of 3 pictures, 1 or more. Try: split.labels."
    ):
        features.selectivity(answers, torch.tensor([0, 1]))
    with refused("label -1 found: must be 0 or more. Try: labels from 0 on."):
        features.selectivity(answers, torch.tensor([0, -1, 1]))
    with refused("labels of type list: must be a tensor (N,). Try: torch.tensor(labels)."):
        features.selectivity(answers, [0, 0, 1])
    rule = "must be (N, units) or (N, units, h, w), all finite"
    for wrong in (answers * torch.nan, torch.ones(3), torch.ones(3, 2, 2)):
        with refused(
            f"activations {tuple(wrong.shape)}: {rule}. "
            "Try: feature_maps(model, images, [layer])[layer]."
        ):
            features.class_means(wrong, torch.tensor([0, 0, 1]))


@pytest.mark.parametrize("square", [(0, 0), (0, 0, 0), (0.5, 0, 2), (0, 0, -1)])
def test_what_is_no_square_is_refused(square, refused):
    rule = "must be a whole first row, first column, and side of 1 px or more"
    with refused(f"square={square}: {rule}. Try: square=(0, 0, 8)."):
        features.cut_out(torch.ones(1, 3, 3), square)
    with refused("image (1, 1, 3, 3): must be (C, H, W). Try: images[0]."):
        features.cut_out(torch.ones(1, 1, 3, 3), (0, 0, 1))


def test_one_name_for_a_list_and_pictures_for_another_model_are_refused(model, refused):
    images = torch.zeros(1, 3, 9, 9)
    for ask in (features.feature_maps, lambda *args: features.peaks(*args, count=1)):
        with refused("layers='0': must be a list. Try: layers=['0']."):
            ask(model, images[:, :1], "0")
        with refused(
            "layer '0' (Conv2d) expects 1 channels, gets 3: the images are 3x9x9. "
            "Try: in_channels=3, or other images."
        ):
            ask(model, images, ["0"])
