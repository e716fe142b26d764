"""VGG against torchvision's, the paper's Table 1, and batch normalisation folded away.

The first full connection alone has 103 million weights; torchvision's class fixes its width. So the
numeric comparison of all eight is made with classifiers cut down to 4 units in both: same features,
same pooling, same order of layers. One full-size network is compared besides, in eval mode.
"""

import inspect

import pytest
import torch
import torchvision
from torch import nn
from torch.nn import functional as F

from cnncourse.models import vgg
from cnncourse.trace import trace

NAMES = [f"vgg{depth}{norm}" for depth in (11, 13, 16, 19) for norm in ("", "_bn")]
WEIGHTS = {name: torchvision.models.get_model_weights(name).IMAGENET1K_V1.meta for name in NAMES}
PARAMETERS = {
    "vgg11": 132_863_336,
    "vgg11_bn": 132_868_840,
    "vgg13": 133_047_848,
    "vgg13_bn": 133_053_736,
    "vgg16": 138_357_544,
    "vgg16_bn": 138_365_992,
    "vgg19": 143_667_240,
    "vgg19_bn": 143_678_248,
}
each_name = pytest.mark.parametrize("name", NAMES)


def on_meta(build, **options):
    with torch.device("meta"):
        return build(**options)


def narrow(build, **options):
    """A network whose classifier has 4 hidden units in place of 4,096; 5 classes."""
    model = on_meta(build, num_classes=5, **options)
    model.classifier[0] = nn.Linear(512 * 7 * 7, 4)
    model.classifier[3] = nn.Linear(4, 4)
    model.classifier[6] = nn.Linear(4, 5)
    return model.to_empty(device="cpu")


def toy(**options):
    return vgg.VGG((1, 2), (4, 6), hidden=8, num_classes=3, **options)


# --- torchvision's --------------------------------------------------------------------------------


@each_name
def test_it_computes_what_torchvisions_does(name, equal_to):
    ours, theirs = narrow(getattr(vgg, name)), narrow(getattr(torchvision.models, name))
    assert str(ours) == str(theirs)  # layer by layer, with every setting
    found = equal_to(ours, theirs, sizes=[(65, 71)])
    print(name, found)


def test_the_full_size_network_computes_what_torchvisions_does(equal_to):
    ours, theirs = (
        on_meta(module.vgg11).to_empty(device="cpu") for module in (vgg, torchvision.models)
    )
    equal_to(ours, theirs, sizes=[(64, 96), (97, 64)], batch_size=1, train=False)


@each_name
def test_names_shapes_parameters_and_macs_are_torchvisions(name):
    ours, theirs = on_meta(getattr(vgg, name)), on_meta(getattr(torchvision.models, name))
    assert shapes(ours) == shapes(theirs)
    traced = trace(ours, (1, 3, 224, 224))
    assert traced.parameters == PARAMETERS[name] == WEIGHTS[name]["num_params"]
    assert round(traced.macs / 1e9, 3) == WEIGHTS[name]["_ops"]
    assert traced.unknown == ()


def shapes(model):
    return {key: tensor.shape for key, tensor in model.state_dict().items()}


@each_name
def test_its_builder_takes_what_torchvisions_class_takes(name):
    assert list(inspect.signature(getattr(vgg, name)).parameters) == [
        "in_channels",
        "num_classes",
        "dropout",
    ]
    model = on_meta(getattr(vgg, name), in_channels=1, num_classes=10, dropout=0.25)
    assert model.features[0].weight.shape == (64, 1, 3, 3)
    assert model.classifier[6].weight.shape == (10, 4096)
    assert [layer.p for layer in model.classifier if isinstance(layer, nn.Dropout)] == [0.25, 0.25]


def test_it_starts_from_the_distribution_that_torchvisions_starts_from():
    torch.manual_seed(0)
    model = vgg.VGG((1, 1), (200, 300), hidden=64, batch_norm=True)
    for module in model.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            fan_out = module.out_channels * 9 if isinstance(module, nn.Conv2d) else None
            expected = (2 / fan_out) ** 0.5 if fan_out else 0.01
            values = module.weight.detach().flatten()
            assert values.std().item() == pytest.approx(expected, rel=0.03)
            normal = torch.randn(values.shape) * expected  # a uniform one has a kurtosis of 1.8
            assert kurtosis(values) == pytest.approx(kurtosis(normal), abs=0.25)
            assert not module.bias.any()
        if isinstance(module, nn.BatchNorm2d):
            assert (module.weight == 1).all()
            assert not module.bias.any()


def kurtosis(values):
    return ((values / values.std()) ** 4).mean().item()


# --- the paper's ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("build", "weight_layers", "millions"),
    [
        (vgg.vgg11, 11, 133),
        (vgg.vgg13, 13, 133),
        (vgg.vgg16_c, 16, 134),
        (vgg.vgg16, 16, 138),
        (vgg.vgg19, 19, 144),
    ],
)
def test_table_2_counts_parameters_as_we_do(build, weight_layers, millions, parameters):
    model = on_meta(build)
    layers = [module for module in model.modules() if isinstance(module, nn.Conv2d | nn.Linear)]
    assert len(layers) == weight_layers
    assert round(parameters(model) / 1e6) == millions


def test_column_c_has_1x1_convolutions_last_in_three_stages():
    kernels = [x.kernel_size[0] for x in on_meta(vgg.vgg16_c).features if hasattr(x, "groups")]
    assert kernels == [3, 3, 3, 3, 3, 3, 1, 3, 3, 1, 3, 3, 1]


def test_the_full_connections_hold_nine_tenths_of_vgg16():
    model = on_meta(vgg.vgg16)
    assert sum(p.numel() for p in model.classifier.parameters()) == 123_642_856


@pytest.mark.parametrize(("build", "field"), [(vgg.vgg16, 212), (vgg.vgg19, 268)])
def test_a_unit_of_the_last_map_sees_212_or_268_px(build, field):
    rows = {row.name: row for row in trace(on_meta(build), (1, 3, 224, 224)).rows}
    last = rows[f"features.{len(on_meta(build).features) - 1}"]
    assert last.output_shape == (1, 512, 7, 7)
    assert last.field.size == field


# --- what it takes --------------------------------------------------------------------------------


@pytest.mark.parametrize("depths", [(1,), (1, 1), (1, 2, 1), (1, 1, 1, 1, 1)])
def test_the_smallest_picture_has_a_last_map_of_two_positions(depths, refused):
    model = vgg.VGG(depths, [2] * len(depths), in_channels=1, num_classes=3, hidden=4)
    smallest = model.smallest_px
    assert model.features(torch.zeros(1, 1, smallest, smallest)).shape[2:] == (2, 2)
    assert model(torch.zeros(2, 1, smallest, smallest + 5)).shape == (2, 3)
    less = smallest - 1
    assert model.features(torch.zeros(1, 1, less, less)).shape[2:] == (1, 1)
    with refused(
        f"image ({less}, {smallest}): VGG needs {smallest} px a side or more, or its last map has "
        f"fewer than 2x2 positions. Try: F.interpolate(images, size=({smallest}, {smallest}))."
    ):
        model(torch.zeros(1, 1, less, smallest))


def test_vgg16_takes_64_px():
    assert on_meta(vgg.vgg16).smallest_px == 64


def test_a_digit_is_refused_by_channels_and_a_picture_without_a_batch():
    model = toy()
    with pytest.raises(ValueError, match="built for 3 channels"):
        model(torch.zeros(1, 1, 28, 28))
    with pytest.raises(ValueError, match="must be a batch"):
        model(torch.zeros(3, 28, 28))


def test_widths_and_depths_must_be_of_one_length():
    with pytest.raises(ValueError, match="zip"):
        vgg.VGG((1, 2), (4, 6, 8))


# --- batch normalisation folded -------------------------------------------------------------------


def trained(norm):
    """A batch normalisation whose every number matters."""
    with torch.no_grad():
        norm.running_mean.normal_()
        norm.running_var.uniform_(0.2, 3)
        if norm.affine:
            norm.weight.normal_()
            norm.bias.normal_()
    return norm.eval()


@pytest.mark.parametrize("groups", [1, 2])
@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("affine", [False, True])
def test_a_folded_convolution_does_what_both_did(groups, bias, affine):
    torch.manual_seed(0)
    convolution = nn.Conv2d(4, 6, (3, 2), stride=2, padding=1, groups=groups, bias=bias)
    norm = trained(nn.BatchNorm2d(6, eps=0.1, affine=affine))
    before = [value.clone() for value in (*convolution.parameters(), *norm.state_dict().values())]
    folded = vgg.fold_batch_norm(convolution, norm)
    images = torch.randn(3, 4, 9, 8)
    assert (folded(images) - norm(convolution(images))).abs().max() < 1e-5
    assert folded.bias.requires_grad
    after = [*convolution.parameters(), *norm.state_dict().values()]
    assert all(torch.equal(one, other) for one, other in zip(before, after, strict=True))


def test_a_whole_network_folds_and_has_no_batch_normalisation_left():
    torch.manual_seed(0)
    model = toy(batch_norm=True).eval()
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            trained(module)
    folded = vgg.fold_all(model.features)
    assert [type(layer) for layer in folded] == [
        *(nn.Conv2d, nn.ReLU, nn.MaxPool2d),
        *(nn.Conv2d, nn.ReLU, nn.Conv2d, nn.ReLU, nn.MaxPool2d),
    ]
    images = torch.randn(2, 3, 16, 16)
    expected = model.features(images)
    assert expected.abs().max() > 0.1
    assert (folded(images) - expected).abs().max() < 1e-5


def test_a_batch_normalisation_that_follows_no_convolution_stays():
    layers = nn.Sequential(nn.BatchNorm2d(3), nn.Conv2d(3, 3, 1), nn.ReLU(), nn.BatchNorm2d(3))
    assert [type(layer) for layer in vgg.fold_all(layers)] == [type(layer) for layer in layers]


def test_what_cannot_be_folded_is_refused_in_words(refused):
    with refused("num_features=5: the convolution gives 6 channels. Try: nn.BatchNorm2d(6)."):
        vgg.fold_batch_norm(nn.Conv2d(3, 6, 1), nn.BatchNorm2d(5))
    with refused(
        "track_running_stats=False: this batch normalisation has no running statistics to fold. "
        "Try: track_running_stats=True, and train or calibrate it first."
    ):
        vgg.fold_batch_norm(nn.Conv2d(3, 6, 1), nn.BatchNorm2d(6, track_running_stats=False))


def test_a_convolutions_bias_before_batch_normalisation_gets_no_gradient():
    torch.manual_seed(0)
    convolution, norm = nn.Conv2d(2, 3, 3).double(), nn.BatchNorm2d(3).double()
    loss = F.silu(norm(convolution(torch.randn(4, 2, 6, 6).double()))).pow(2).sum()
    loss.backward()
    assert convolution.bias.grad.abs().max() < 1e-9
    assert convolution.weight.grad.abs().max() > 1
