"""Our ResNets against torchvision's, the paper's table, and bad input."""

import math

import pytest
import torch
import torchvision
from torch import nn
from torch.nn import functional as F

from cnncourse import trace
from cnncourse.models import resnet
from cnncourse.models.resnet import (
    STAGE_DEPTHS,
    BasicBlock,
    Bottleneck,
    PlainBlock,
    ResNet,
    make_shortcut,
)

BUILDERS = {name: getattr(resnet, name) for name in STAGE_DEPTHS}
each_builder = pytest.mark.parametrize("name", BUILDERS)


def toy(block=BasicBlock, **options):
    """Two stages of one block, 4 and 8 channels."""
    return ResNet(block, (1, 1), (4, 8), num_classes=3, **options)


# --- torchvision's --------------------------------------------------------------------------------


@each_builder
def test_a_resnet_is_torchvisions(name, equal_to):
    theirs = torchvision.models.get_model(name, weights=None)
    sizes = [(65, 81), (33, 40)] if name in ("resnet18", "resnet50") else [(33, 40)]
    equal_to(BUILDERS[name](), theirs, sizes=sizes)


@each_builder
def test_parameters_and_macs_are_those_of_torchvisions_weights(name, parameters):
    meta = torchvision.models.get_model_weights(name).IMAGENET1K_V1.meta
    with torch.device("meta"):
        model = BUILDERS[name]()
    assert parameters(model) == meta["num_params"]
    assert trace.trace(model).macs / 1e9 == pytest.approx(meta["_ops"], abs=1e-3)


@pytest.mark.parametrize(("name", "zeros"), [("resnet18", 8), ("resnet50", 16)])
def test_zero_init_residual_starts_every_block_as_its_shortcut(name, zeros):
    model = BUILDERS[name](zero_init_residual=True, num_classes=2)
    theirs = torchvision.models.get_model(name, zero_init_residual=True, num_classes=2)
    weights, expected = model.state_dict(), theirs.state_dict()
    asleep = [key for key in weights if weights[key].ndim == 1 and not weights[key].any()]
    assert asleep == [key for key in expected if weights[key].ndim == 1 and not expected[key].any()]
    norms = [key for key in asleep if key.endswith(("bn2.weight", "bn3.weight"))]
    assert len(norms) == zeros
    images, block = torch.rand(2, 64, 5, 5), BasicBlock(64, 64)
    nn.init.zeros_(block.bn2.weight)
    torch.testing.assert_close(block(images), images)


@pytest.mark.parametrize("name", ["resnet18", "resnet50"])
def test_weights_are_drawn_as_torchvision_draws_them(name):
    torch.manual_seed(0)
    ours = BUILDERS[name]().state_dict()
    theirs = torchvision.models.get_model(name, weights=None).state_dict()
    for key, tensor in theirs.items():
        if tensor.ndim < 2:
            continue
        # The estimate of a deviation from n numbers is off by 1 in sqrt(2 n); five of them here.
        off = 5 / math.sqrt(tensor.numel())
        assert ours[key].std() == pytest.approx(tensor.std().item(), rel=off), key
        assert abs(ours[key].mean()) < off * tensor.std(), key
        tails = [(abs(x) > 2 * tensor.std()).float().mean().item() for x in (ours[key], tensor)]
        assert abs(tails[0] - tails[1]) < off, key  # normal: 4.6 %, uniform: none
    constants = [key for key in theirs if theirs[key].ndim < 2 and key != "fc.bias"]
    assert all(torch.equal(ours[key], theirs[key]) for key in constants)


def test_a_feature_extractor_finds_torchvisions_nodes():
    from torchvision.models.feature_extraction import get_graph_node_names

    theirs = set(get_graph_node_names(torchvision.models.resnet18())[1])
    ours = set(get_graph_node_names(resnet.resnet18())[1])
    assert theirs - ours == {"x"}  # the input, which is called images here


# --- the paper's ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "size"),
    [
        ("resnet18", 435),
        ("resnet34", 899),
        ("resnet50", 427),
        ("resnet101", 971),
        ("resnet152", 1451),
    ],
)
def test_the_last_map_sees_so_many_pixels(name, size):
    with torch.device("meta"):
        model = BUILDERS[name]()
    rows = {row.name: row for row in trace.trace(model).grouped(1).rows}
    assert rows["layer4"].field.size == size
    assert rows["layer4"].output_shape[2:] == (7, 7)


@pytest.mark.parametrize(
    ("name", "gmacs", "field"),
    [("resnet50", 3.858, 483), ("resnet101", None, 1027), ("resnet152", None, 1507)],
)
def test_the_papers_stride_costs_less_and_sees_more(name, gmacs, field):
    with torch.device("meta"):
        traced = trace.trace(BUILDERS[name](stride_in_1x1=True))
    if gmacs is not None:
        assert traced.macs / 1e9 == pytest.approx(gmacs, abs=1e-3)
    assert {row.name: row for row in traced.grouped(1).rows}["layer4"].field.size == field


def test_the_papers_stride_has_the_same_weights(same_names):
    same_names(
        resnet.resnet50(stride_in_1x1=True, num_classes=2),
        torchvision.models.resnet50(num_classes=2),
    )


def test_a_bottleneck_has_69632_weights_where_two_3x3_have_1179648():
    block = Bottleneck(256, 64)
    convolutions = [module for module in block.modules() if isinstance(module, nn.Conv2d)]
    assert [layer.weight.numel() for layer in convolutions] == [16_384, 36_864, 16_384]
    wide = BasicBlock(256, 256)
    assert wide.conv1.weight.numel() + wide.conv2.weight.numel() == 1_179_648


def test_plain_34_is_resnet_34_without_its_ways_around():
    with torch.device("meta"):
        plain = ResNet(PlainBlock, STAGE_DEPTHS["resnet34"]).state_dict()
        free = resnet.resnet34(shortcut="A").state_dict()
    assert plain.keys() == free.keys()


def test_a_plain_block_and_a_basic_block_differ_by_the_sum():
    torch.manual_seed(0)
    plain, basic, x = PlainBlock(4, 4).eval(), BasicBlock(4, 4).eval(), torch.rand(2, 4, 6, 6)
    basic.load_state_dict(plain.state_dict())
    before = basic.bn2(basic.conv2(F.relu(basic.bn1(basic.conv1(x)))))
    torch.testing.assert_close(plain(x), F.relu(before))
    torch.testing.assert_close(basic(x), F.relu(before + x))


# --- shortcuts ------------------------------------------------------------------------------------


def test_shortcut_a_keeps_every_second_pixel_and_adds_channels_of_zeros(parameters):
    shortcut = make_shortcut(1, 3, stride=2, option="A")
    image = torch.arange(1.0, 16).reshape(1, 1, 3, 5)
    assert shortcut(image)[0, 0].tolist() == [[1, 3, 5], [11, 13, 15]]
    assert shortcut(image).shape == (1, 3, 2, 3)
    assert not shortcut(image)[0, 1:].any()
    assert parameters(shortcut) == 0


def test_the_three_shortcuts_differ_in_where_they_project():
    kinds = {
        option: [
            type(make_shortcut(channels, 8, stride=stride, option=option)).__name__
            for channels, stride in [(8, 1), (4, 1), (8, 2)]
        ]
        for option in "ABC"
    }
    assert kinds == {
        "A": ["Identity", "Subsample", "Subsample"],
        "B": ["Identity", "Sequential", "Sequential"],
        "C": ["Sequential", "Sequential", "Sequential"],
    }


def test_the_shortcuts_of_resnet34_by_their_parameters(parameters):
    with torch.device("meta"):
        counts = {option: parameters(resnet.resnet34(shortcut=option)) for option in "ABC"}
    changes = sum((c + 2) * 2 * c for c in (64, 128, 256))  # 1x1 from c to 2c, and its norm
    keeps = sum(blocks * (c + 2) * c for blocks, c in [(3, 64), (3, 128), (5, 256), (2, 512)])
    assert counts == {
        "A": 21_797_672 - changes,
        "B": 21_797_672,
        "C": 21_797_672 + keeps,
    }


def test_an_option_that_is_none_and_channels_that_cannot_be_dropped_are_refused(refused):
    with refused("'D': unknown shortcut. Known: A, B, C."):
        make_shortcut(4, 4, stride=1, option="D")
    with refused(
        "out_channels=4: shortcut 'A' adds channels of zeros and can drop none of the 8 it is "
        "given. Try: shortcut='B'."
    ):
        make_shortcut(8, 4, stride=1, option="A")


# --- sizes ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("model", "smallest_px", "attempt"),
    [
        (toy(), 9, "small_images=True"),
        (toy(small_images=True), 3, "F.interpolate(images, size=(3, 3))"),
        (toy(Bottleneck), 9, "small_images=True"),
        (resnet.resnet18(num_classes=3), 33, "small_images=True"),
        (
            resnet.resnet18(num_classes=3, small_images=True),
            9,
            "F.interpolate(images, size=(9, 9))",
        ),
    ],
    ids=["toy", "small toy", "bottleneck", "resnet18", "small resnet18"],
)
def test_the_smallest_picture_gives_a_last_map_of_two_positions(
    model, smallest_px, attempt, refused
):
    assert model.smallest_px == smallest_px
    seen = []
    model.eval().avgpool.register_forward_pre_hook(lambda _, maps: seen.append(maps[0].shape[2:]))
    model(torch.zeros(1, 3, smallest_px, smallest_px + 9))
    assert min(seen[0]) == 2
    model.smallest_px = 1  # what would come of a smaller one
    model(torch.zeros(1, 3, smallest_px - 1, smallest_px + 9))
    assert min(seen[1]) == 1
    model.smallest_px = smallest_px
    with refused(
        f"image ({smallest_px - 1}, {smallest_px}): ResNet needs {smallest_px} px a side or more, "
        f"or its last map has fewer than 2x2 positions. Try: {attempt}."
    ):
        model(torch.zeros(1, 3, smallest_px - 1, smallest_px))


def test_the_stem_for_small_pictures_keeps_their_size():
    model = resnet.resnet18(small_images=True, in_channels=1, num_classes=10)
    traced = trace.trace(model, (1, 1, 28, 28)).grouped(1)
    sizes = {row.name: row.output_shape[-1] for row in traced.rows if row.name.startswith("layer")}
    assert sizes == {"layer1": 28, "layer2": 14, "layer3": 7, "layer4": 4}


def test_channels_last_is_told_in_words(refused):
    with refused(
        "images (2, 64, 64, 3): looks like channels-last; this course uses channels-first. "
        "Try: images.permute(0, 3, 1, 2)."
    ):
        resnet.resnet18(num_classes=2)(torch.zeros(2, 64, 64, 3))


def test_a_table_whose_rows_differ_in_length_is_refused():
    with pytest.raises(ValueError, match=r"zip\(\)"):
        ResNet(BasicBlock, (1, 1, 1), (4, 8))
