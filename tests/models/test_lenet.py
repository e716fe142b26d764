"""LeNet-5 against the paper's counts, against torch's layers, and against its definition."""

import math
import re

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torchvision.models.feature_extraction import create_feature_extractor

from cnncourse import ops
from cnncourse.models.lenet import (
    C3_TABLE,
    FULL_TABLE,
    RadialBasis,
    Subsampling,
    TableConv2d,
    codes,
    lenet5,
    lenet5_modern,
    scaled_tanh,
)
from cnncourse.trace import trace


def image(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


# --- counts ---------------------------------------------------------------------------------------


def test_every_layer_has_the_papers_parameters(parameters):
    model = lenet5()
    counts = {name: parameters(layer) for name, layer in model.named_children()}
    assert counts == {
        "c1": 156, "s2": 12, "c3": 1516, "s4": 32, "c5": 48_120, "f6": 10_164, "output": 0,
    }  # fmt: skip
    assert parameters(model) == 60_000


def test_the_modern_one_has_61706(parameters):
    assert parameters(lenet5_modern()) == 61_706
    assert parameters(lenet5_modern(padding=0)) == 61_706


def test_the_trace_runs_through_the_papers_seven_layers():
    rows = trace(lenet5(), (1, 1, 32, 32)).rows
    assert [(row.name, row.output_shape[1:]) for row in rows] == [
        ("c1", (6, 28, 28)),
        ("s2", (6, 14, 14)),
        ("c3", (16, 10, 10)),
        ("s4", (16, 5, 5)),
        ("c5", (120, 1, 1)),
        ("f6", (84,)),
        ("output", (10,)),
    ]
    assert rows[4].field.size == 32  # a unit of C5 sees the whole picture


def test_table_1_has_sixty_ticks_three_four_four_and_six_wide():
    assert [len(row) for row in C3_TABLE] == [3] * 6 + [4] * 9 + [6]
    assert sum(len(row) for row in C3_TABLE) == 60
    assert len({frozenset(row) for row in C3_TABLE}) == 16


def test_every_map_of_s2_is_seen_by_ten_maps_of_c3():
    seen = [map_ for row in C3_TABLE for map_ in row]
    assert [seen.count(map_) for map_ in range(6)] == [10] * 6


def neighbouring(row):
    """Whether the maps stand in one run on a ring of six."""
    return any({(start + step) % 6 for step in range(len(row))} == set(row) for start in range(6))


def test_maps_12_to_14_alone_see_maps_that_are_not_neighbours():
    assert [neighbouring(row) for row in C3_TABLE] == [True] * 12 + [False] * 3 + [True]


# --- each part ------------------------------------------------------------------------------------


def random_table(seed):
    rng = np.random.default_rng(seed)
    return [sorted(rng.permutation(5)[: 1 + rng.integers(5)].tolist()) for _ in range(7)]


@pytest.mark.parametrize("table", [C3_TABLE, *map(random_table, range(4))])
def test_c3_is_the_full_convolution_with_a_mask_and_so_are_its_gradients(table):
    torch.manual_seed(0)
    layer = TableConv2d(table, in_channels=6, kernel_size=5).double()
    mask = torch.zeros(len(table), 6, 1, 1, dtype=torch.float64)
    for row, inputs in enumerate(table):
        mask[row, list(inputs)] = 1
    weight = torch.randn(len(table), 6, 5, 5, dtype=torch.float64)
    places = mask[:, :, 0, 0].nonzero().tolist()
    order = layer.ticks.T.tolist()
    assert sorted(order) == places
    weight.requires_grad_()
    with torch.no_grad():
        layer.weight.copy_(torch.stack([weight[out, seen] for out, seen in order]))
    maps = [image(2, 6, 9, 11).double().requires_grad_() for _ in range(2)]
    ours = layer(maps[0])
    theirs = F.conv2d(maps[1], weight * mask, layer.bias)
    torch.testing.assert_close(ours, theirs)
    for output in (ours, theirs):
        output.square().sum().backward()
    expected = torch.stack([weight.grad[out, seen] for out, seen in order])
    torch.testing.assert_close(layer.weight.grad, expected)
    torch.testing.assert_close(maps[0].grad, maps[1].grad)
    assert (weight.grad[mask.expand_as(weight) == 0] == 0).all()


def test_a_map_of_c3_does_not_see_a_map_without_a_tick():
    layer = TableConv2d(C3_TABLE, in_channels=6, kernel_size=5)
    maps = image(1, 6, 14, 14)
    for seen in range(6):
        changed = maps.clone()
        changed[:, seen] += 1
        moved = (layer(changed) - layer(maps)).abs().amax(dim=(0, 2, 3)) > 1e-6
        assert moved.tolist() == [seen in row for row in C3_TABLE]


def test_a_full_table_is_torchs_own_convolution():
    assert type(lenet5(table=FULL_TABLE).c3) is nn.Conv2d
    assert lenet5(table=FULL_TABLE).c3.weight.shape == (16, 6, 5, 5)


def test_first_weights_of_c3_have_the_range_of_torchs_rule():
    torch.manual_seed(0)
    layer = TableConv2d(C3_TABLE, in_channels=6, kernel_size=5)
    for row, inputs in enumerate(C3_TABLE):
        largest = layer.weight[layer.ticks[0] == row].abs().max().item()
        bound = 1 / math.sqrt(25 * len(inputs))
        assert 0.9 * bound < largest <= bound


def test_subsampling_by_hand():
    layer = Subsampling(2, scaled_tanh)
    with torch.no_grad():
        layer.coefficient.copy_(torch.tensor([0.5, -1.0])[:, None, None])
        layer.bias.copy_(torch.tensor([0.1, 0.2])[:, None, None])
    maps = torch.tensor([[[1.0, 2], [3, 4]], [[0.1, 0.2], [0.3, 0.4]]])[None]
    expected = [1.7159 * math.tanh(2 / 3 * (0.5 * 10 + 0.1)), 1.7159 * math.tanh(2 / 3 * -0.8)]
    assert layer(maps).flatten().tolist() == pytest.approx(expected, abs=1e-6)


def test_at_first_subsampling_is_the_mean():
    maps = image(1, 3, 4, 6)
    layer = Subsampling(3, lambda sums: sums)
    torch.testing.assert_close(layer(maps), F.avg_pool2d(maps, 2))


def test_the_squashing_function_keeps_one_and_its_bend_is_sharpest_there():
    assert scaled_tanh(torch.tensor([1.0, -1, 0])).tolist() == pytest.approx([1, -1, 0], abs=1e-4)
    sums = torch.linspace(0, 3, 30_001, dtype=torch.float64, requires_grad=True)
    (slope,) = torch.autograd.grad(scaled_tanh(sums).sum(), sums, create_graph=True)
    (bend,) = torch.autograd.grad(slope.sum(), sums)
    assert sums[bend.abs().argmax()].item() == pytest.approx(1, abs=0.02)


def test_codes_are_ten_drawings_of_84_signs_far_apart():
    signs = codes()
    assert signs.shape == (10, 84)
    assert set(signs.flatten().tolist()) == {-1.0, 1.0}
    differ = (signs[:, None] != signs).sum(dim=2) + 84 * torch.eye(10, dtype=int)
    assert differ.min() >= 10
    one = signs[1].reshape(12, 7)
    assert one[0].tolist() == [-1, -1, -1, 1, 1, -1, -1]  # the top of the 1
    assert one[11].tolist() == [-1, 1, 1, 1, 1, 1, 1]


def test_the_output_is_minus_the_squared_distance():
    signs = codes()
    assert RadialBasis()(signs).argmax(dim=1).tolist() == list(range(10))
    assert RadialBasis()(signs).diagonal().tolist() == [0] * 10
    features = image(3, 84)
    expected = -(torch.cdist(features.double(), signs.double()) ** 2)
    torch.testing.assert_close(RadialBasis()(features), expected.float())
    flipped = signs[:1].clone()
    flipped[0, :5] *= -1
    assert RadialBasis()(flipped)[0, 0] == -20  # five squares, (1 - -1)² = 4 each


def test_with_minus_j_as_eleventh_logit_cross_entropy_is_equation_9():
    features, labels, j = image(4, 84), torch.tensor([3, 1, 4, 1]), 2.0
    distances = (features[:, None] - codes()).square().sum(dim=2).double()
    right = distances[range(4), labels]
    others = torch.logsumexp(F.pad(-distances, (0, 1), value=-j), dim=1)
    logits = nn.ConstantPad1d((0, 1), -j)(RadialBasis()(features))
    loss = F.cross_entropy(logits, labels).item()
    assert loss == pytest.approx((right + others).mean().item(), rel=1e-5)


# --- the whole ------------------------------------------------------------------------------------


def weights_of(layer):
    return layer.weight.detach().double().numpy(), layer.bias.detach().double().numpy()


def squash(values):
    return 1.7159 * np.tanh(2 / 3 * values)


def test_the_network_is_its_definition_layer_by_layer():
    torch.manual_seed(0)
    model = lenet5()
    with torch.no_grad():
        for part in (model.s2, model.s4):
            part.coefficient.uniform_(-0.6, 0.6)
            part.bias.uniform_(-0.6, 0.6)
    images = image(2, 1, 32, 32)
    maps = squash(ops.conv2d(images.double().numpy(), *weights_of(model.c1)))
    for pool, layer in ((model.s2, model.c3), (model.s4, model.c5)):
        sums = 4 * ops.avg_pool2d(maps, 2)
        numbers = [part.detach().double().numpy() for part in (pool.coefficient, pool.bias)]
        maps = squash(sums * numbers[0] + numbers[1])
        if layer is model.c3:
            kernels = layer.kernels().detach().double().numpy()
            maps = squash(ops.conv2d(maps, kernels, layer.bias.detach().double().numpy()))
        else:
            maps = squash(ops.conv2d(maps, *weights_of(layer)))
    weight, bias = weights_of(model.f6)
    features = squash(maps[:, :, 0, 0] @ weight.T + bias)
    expected = [[-((x - code) ** 2).sum() for code in codes().numpy()] for x in features]
    np.testing.assert_allclose(model(images).detach(), expected, atol=1e-4)


def plain_lenet(padding):
    """The network of most courses, as a list."""
    return nn.Sequential(
        *(nn.Conv2d(1, 6, 5, padding=padding), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Conv2d(6, 16, 5), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten()),
        *(nn.Linear(400, 120), nn.ReLU(), nn.Linear(120, 84), nn.ReLU(), nn.Linear(84, 10)),
    )


@pytest.mark.parametrize(("padding", "size_px"), [(2, 28), (0, 32)])
def test_the_modern_one_is_the_plain_list_and_so_are_its_gradients(padding, size_px):
    ours, theirs = lenet5_modern(padding=padding), plain_lenet(padding)
    pairs = list(zip(ours.parameters(), theirs.parameters(), strict=True))
    with torch.no_grad():
        for one, other in pairs:
            other.copy_(one.reshape(other.shape))
    images = image(3, 1, size_px, size_px)
    torch.testing.assert_close(ours(images), theirs(images))
    for model in (ours, theirs):
        F.cross_entropy(model(images), torch.tensor([1, 2, 3])).backward()
    for one, other in pairs:
        torch.testing.assert_close(one.grad.reshape(other.shape), other.grad)


@pytest.mark.parametrize(
    ("swap", "layer", "kind"),
    [
        ({"pooling": "max"}, "s2", nn.MaxPool2d),
        ({"pooling": "max"}, "s4", nn.MaxPool2d),
        ({"table": FULL_TABLE}, "c3", nn.Conv2d),
        ({"output": "linear"}, "output", nn.Linear),
    ],
)
def test_one_part_at_a_time_is_exchanged(swap, layer, kind):
    before, after = dict(lenet5().named_children()), dict(lenet5(**swap).named_children())
    assert type(after[layer]) is kind
    same = [name for name in before if type(before[name]) is type(after[name])]
    assert set(before) - set(same) <= {layer, *(("s2", "s4") if "pooling" in swap else ())}


def test_the_activation_is_exchanged_everywhere_and_alone():
    torch.manual_seed(0)
    tanh, relu = lenet5(), lenet5(activation="relu")
    relu.load_state_dict(tanh.state_dict())
    images = image(1, 1, 32, 32)
    relu.squash = relu.s2.activation = relu.s4.activation = scaled_tanh
    assert torch.equal(relu(images), tanh(images))
    assert (lenet5(activation="relu").s2(image(1, 6, 8, 8)) >= 0).all()
    assert lenet5(activation="relu").squash is F.relu


def test_a_feature_extractor_goes_through():
    model = lenet5()
    extractor = create_feature_extractor(model, ["s4", "f6"])
    found = extractor(image(2, 1, 32, 32))
    assert found["s4"].shape == (2, 16, 5, 5)
    assert found["f6"].shape == (2, 84)


# --- what is refused ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("shape", "sentence"),
    [
        (
            (1, 1, 28, 28),
            "image (28, 28): LeNet-5 takes (32, 32), where C5's kernels cover the whole map. "
            "Try: F.pad(images, (2, 2, 2, 2), value=-0.1), or padding=2.",
        ),
        (
            (1, 1, 36, 32),
            "image (36, 32): LeNet-5 takes (32, 32), where C5's kernels cover the whole map. "
            "Try: F.interpolate(images, size=(32, 32)).",
        ),
        (
            (1, 3, 32, 32),
            "images (1, 3, 32, 32): LeNet-5 was built for 1 channels. Try: in_channels=3.",
        ),
        ((1, 32, 32), "images (1, 32, 32): must be a batch, (N, C, H, W). Try: images[None]."),
    ],
)
def test_pictures_of_another_shape_are_refused(refused, shape, sentence):
    with refused(sentence):
        lenet5()(torch.zeros(shape))


def test_one_pixel_more_or_less_is_refused_for_s4_would_not_be_5x5():
    for size_px in (31, 33):
        with pytest.raises(ValueError, match="LeNet-5 takes"):
            lenet5()(torch.zeros(1, 1, size_px, size_px))
    with pytest.raises(ValueError, match=r"takes \(28, 28\)"):
        lenet5_modern()(torch.zeros(1, 1, 32, 32))


def test_bytes_are_refused(refused):
    with refused("images are torch.uint8: must be floats. Try: images / 255."):
        lenet5()(torch.zeros(1, 1, 32, 32, dtype=torch.uint8))


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"activation": "rleu"}, "'rleu': unknown activation. Did you mean 'relu'? Known: tanh, "),
        ({"pooling": "mean"}, "'mean': unknown pooling. Did you mean 'max'? Known: sub"),
        ({"output": "softmax"}, "'softmax': unknown output. Known: rbf, linear."),
        ({"num_classes": 26}, "num_classes=26: the codes of output='rbf' are drawn for ten dig"),
        ({"table": [(0, 6)]}, "table=(0, 6): map 0 must see some of the maps 0 to 5, each once. "),
        ({"table": [(0, 1), ()]}, "table=(): map 1 must see some of the maps 0 to 5, each once"),
        ({"table": [(2, 2)]}, "table=(2, 2): map 0 must see some of the maps 0 to 5, each once"),
    ],
)
def test_unknown_parts_are_refused(options, sentence):
    with pytest.raises(ValueError, match=f"^{re.escape(sentence)}"):
        lenet5(**options)


def test_a_linear_output_takes_any_number_of_classes():
    assert lenet5(output="linear", num_classes=26)(image(1, 1, 32, 32)).shape == (1, 26)
