"""AlexNet: torchvision's, number by number, and the paper's, figure by figure."""

import pytest
import torch
import torchvision
from torch import nn
from torch.nn import functional as F

from cnncourse.models.alexnet import (
    LAYERS_2012,
    LAYERS_2014,
    AlexNet,
    AlexNet2012,
    Conv,
    alexnet,
    alexnet_2012,
    alexnet_features,
    map_size,
    response_norm,
    smallest_size,
)
from cnncourse.trace import trace

TOY = (Conv(4, 3, stride=2, pooled=True), Conv(6, 3, padding=1, groups=2, pooled=True))


def on_meta(builder, **options):
    with torch.device("meta"):
        return builder(**options)


# --- torchvision's --------------------------------------------------------------------------------


def test_alexnet_is_torchvisions_in_answers_gradients_and_names(equal_to):
    # The real features; 64 hidden units in both, so that no time goes into two large matrices.
    ours, theirs = AlexNet(hidden=64, num_classes=10), torchvision.models.alexnet(num_classes=10)
    full = theirs.classifier
    full[1], full[4], full[6] = nn.Linear(9216, 64), nn.Linear(64, 64), nn.Linear(64, 10)
    print(equal_to(ours, theirs, sizes=[(95, 131), (224, 224)]))


def test_alexnet_in_its_full_width_begins_answers_and_learns_as_torchvisions():
    networks = []
    for builder in (alexnet, torchvision.models.alexnet):
        torch.manual_seed(0)
        networks.append(builder(num_classes=10).eval())
    images = torch.randn(2, 3, 101, 95, generator=torch.Generator().manual_seed(1))
    for network in networks:
        logits = network(images)
        logits[:, 3].sum().backward()
    ours, theirs = (dict(network.named_parameters()) for network in networks)
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(tensor, theirs[name]) for name, tensor in ours.items())
    torch.testing.assert_close(networks[0](images), logits.detach(), rtol=0, atol=1e-6)
    for name, tensor in ours.items():
        assert theirs[name].grad.abs().max() > 0
        torch.testing.assert_close(tensor.grad, theirs[name].grad, rtol=0, atol=1e-6)


def test_alexnet_has_torchvisions_parameters_macs_and_names(same_names):
    weights = torchvision.models.AlexNet_Weights.IMAGENET1K_V1
    ours, theirs = on_meta(alexnet), on_meta(torchvision.models.alexnet)
    assert list(ours.state_dict()) == list(theirs.state_dict())
    assert [p.shape for p in ours.parameters()] == [p.shape for p in theirs.parameters()]
    traced = trace(ours)
    assert traced.parameters == weights.meta["num_params"] == 61_100_840
    assert traced.macs / 1e9 == pytest.approx(weights.meta["_ops"], abs=1e-3)
    assert traced.macs == trace(theirs).macs


def test_dropout_is_where_torchvision_has_it():
    ours, theirs = on_meta(alexnet, dropout=0.3), on_meta(torchvision.models.alexnet, dropout=0.3)
    assert repr(ours.classifier) == repr(theirs.classifier)
    assert repr(ours.features) == repr(theirs.features)
    assert repr(ours.avgpool) == repr(theirs.avgpool)


# --- the paper's ----------------------------------------------------------------------------------


def test_the_paper_s_network_has_the_parameters_of_its_table():
    traced = trace(on_meta(alexnet_2012), (1, 3, 227, 227))
    weighted = {row.name: row.parameters for row in traced.rows if row.parameters}
    assert list(weighted.values()) == [
        96 * (11 * 11 * 3 + 1),
        256 * (5 * 5 * 48 + 1),
        384 * (3 * 3 * 256 + 1),
        384 * (3 * 3 * 192 + 1),
        256 * (3 * 3 * 192 + 1),
        4096 * (6 * 6 * 256 + 1),
        4096 * (4096 + 1),
        1000 * (4096 + 1),
    ]
    assert traced.parameters == 60_965_224


def test_its_maps_have_as_many_values_as_figure_2_says_but_for_the_first():
    rows = trace(on_meta(alexnet_2012), (1, 3, 227, 227)).rows
    values = [torch.Size(row.output_shape).numel() for row in rows if row.kind == "ReLU"]
    assert values == [290_400, 186_624, 64_896, 64_896, 43_264, 4096, 4096]
    assert 253_440 == 55 * 48 * 96  # what the caption has for 55 * 55 * 96


def test_groups_halve_what_the_second_fourth_and_fifth_convolution_cost():
    whole = trace(on_meta(alexnet_2012, two_halves=False), (1, 3, 227, 227)).rows
    halves = trace(on_meta(alexnet_2012), (1, 3, 227, 227)).rows
    ratios = [
        one.macs / two.macs for one, two in zip(whole, halves, strict=True) if one.kind == "Conv2d"
    ]
    assert ratios == [1, 2, 1, 2, 2]
    assert sum(row.parameters for row in whole) == 62_378_344


def test_a_unit_of_the_last_map_sees_195_px_in_both():
    for builder, size_px in ((alexnet, 224), (alexnet_2012, 227)):
        rows = trace(on_meta(builder), (1, 3, size_px, size_px)).rows
        assert [row.field.size for row in rows if row.kind == "MaxPool2d"][-1] == 195


@pytest.mark.parametrize("channels", [1, 3, 8])
def test_response_norm_is_the_formula_of_the_paper(channels):
    maps = 30 * torch.rand(2, channels, 3, 4, dtype=torch.float64)  # so that alpha matters
    expected = torch.empty_like(maps)
    for i in range(channels):
        neighbours = maps[:, max(0, i - 2) : min(channels - 1, i + 2) + 1]
        expected[:, i] = maps[:, i] / (2 + 1e-4 * neighbours.pow(2).sum(dim=1)) ** 0.75
    torch.testing.assert_close(response_norm()(maps), expected)
    with_torchs_alpha = F.local_response_norm(maps, 5, alpha=1e-4, beta=0.75, k=2)
    assert not torch.allclose(with_torchs_alpha, expected, rtol=1e-3)


def test_it_normalises_after_relus_and_pools_after_that():
    kinds = [type(part).__name__ for part in on_meta(alexnet_2012).features]
    block = ["Conv2d", "ReLU", "LocalResponseNorm", "MaxPool2d"]
    plain = ["Conv2d", "ReLU"]
    assert kinds == [*block, *block, *plain, *plain, *plain, "MaxPool2d"]


def test_it_drops_outputs_of_the_hidden_connections_and_torchvisions_their_inputs():
    kinds = [[type(part).__name__[0] for part in on_meta(b).classifier] for b in
             (alexnet_2012, alexnet)]  # fmt: skip
    assert ["".join(row) for row in kinds] == ["LRDLRDL", "DLRDLRL"]


def test_it_begins_with_the_weights_and_biases_of_section_5():
    torch.manual_seed(0)
    model = AlexNet2012(hidden=64, num_classes=10)
    parts = [part for part in model.modules() if isinstance(part, nn.Conv2d | nn.Linear)]
    assert [part.bias.unique().tolist() for part in parts] == [
        [0], [1], [0], [1], [1], [1], [1], [0]
    ]  # fmt: skip
    for part in parts:
        assert part.weight.std().item() == pytest.approx(0.01, rel=0.1)
        assert abs(part.weight.mean().item()) < 0.002


# --- tables, sizes, refusals ----------------------------------------------------------------------


def test_a_toy_is_a_table_of_two_rows():
    toy = alexnet_features(TOY, in_channels=2)
    assert [tuple(p.shape) for p in toy.parameters()] == [(4, 2, 3, 3), (4,), (6, 2, 3, 3), (6,)]
    for size in range(smallest_size(TOY), 40):
        maps = toy(torch.zeros(1, 2, size, size + 3))
        assert maps.shape == (1, 6, map_size(TOY, size), map_size(TOY, size + 3))


@pytest.mark.parametrize("layers", [LAYERS_2012, LAYERS_2014, TOY])
@pytest.mark.parametrize("map_px", [1, 2, 6])
def test_the_smallest_size_is_the_first_whose_last_map_is_so_large(layers, map_px):
    size = smallest_size(layers, map_px=map_px)
    with torch.device("meta"):
        features = alexnet_features(layers, in_channels=3)
        assert features(torch.zeros(1, 3, size, size)).shape[2:] == (map_px, map_px)
    assert map_size(layers, size - 1) == map_px - 1


def test_the_paper_s_224_px_are_refused_and_227_taken(refused):
    model = on_meta(alexnet_2012)
    with torch.device("meta"):
        assert model(torch.zeros(1, 3, 227, 227)).shape == (1, 1000)
        with refused(
            "image (224, 224): the last map is 5x5, the full connections were built for 6x6. "
            "Try: images of 227 px a side."
        ):
            model(torch.zeros(1, 3, 224, 224))
        with refused(
            "image (50, 227): alexnet_2012 needs 99 px a side or more, or its last map has fewer "
            "than 2x2 positions. Try: images of 227 px a side."
        ):
            model(torch.zeros(1, 3, 50, 227))


def test_pictures_that_are_too_small_are_refused(refused):
    model = on_meta(alexnet)
    with torch.device("meta"):
        assert model(torch.zeros(1, 3, 95, 95)).shape == (1, 1000)
        with refused(
            "image (95, 94): alexnet needs 95 px a side or more, or its last map has fewer than "
            "2x2 positions. Try: F.interpolate(images, size=(95, 95))."
        ):
            model(torch.zeros(1, 3, 95, 94))
        with pytest.raises(ValueError, match="built for 3 channels"):
            model(torch.zeros(1, 1, 95, 95))


def test_gray_pictures_and_few_classes_are_a_matter_of_two_numbers():
    toy = AlexNet(TOY, in_channels=1, num_classes=3, hidden=5)
    assert toy(torch.zeros(2, 1, 30, 25)).shape == (2, 3)
    with torch.device("meta"):
        paper = alexnet_2012(in_channels=1, num_classes=3)
        assert paper(torch.zeros(2, 1, 227, 227)).shape == (2, 3)


@pytest.mark.parametrize("builder", [alexnet, alexnet_2012])
def test_feature_extraction_goes_through_the_checks(builder):
    with torch.device("meta"):
        traced = torch.fx.symbolic_trace(builder())
        assert traced(torch.zeros(1, 3, 227, 227)).shape == (1, 1000)
        with pytest.raises(ValueError, match="px a side"):
            traced(torch.zeros(1, 3, 60, 60))
