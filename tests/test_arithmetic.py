import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.flop_counter import FlopCounterMode

from cnncourse.arithmetic import (
    Layer,
    ReceptiveField,
    conv2d_macs,
    conv2d_parameters,
    linear_macs,
    linear_parameters,
    output_size,
    pooled_size,
    receptive_field,
    same_padding,
    transposed_output_size,
)

# --- by hand --------------------------------------------------------------------------------------


def test_a_kernel_of_5_has_24_places_to_stand_on_28_pixels():
    assert output_size(28, kernel_size=5) == 24


def test_padding_counts_on_both_sides():
    assert output_size(28, kernel_size=5, padding=2) == 28


def test_a_last_step_that_does_not_fit_is_left_out():
    assert [output_size(size, kernel_size=3, stride=2) for size in (5, 6, 7)] == [2, 2, 3]


def test_a_dilated_kernel_spans_its_gaps_too():
    assert output_size(7, kernel_size=3, dilation=3) == 1  # taps at 0, 3 and 6


def test_a_kernel_as_large_as_the_image_has_one_place():
    assert output_size(3, kernel_size=3, stride=5) == 1


def test_alexnets_54_and_a_quarter_is_54_and_227_pixels_would_give_55():
    assert (224 - 11) / 4 + 1 == 54.25
    assert output_size(224, kernel_size=11, stride=4) == 54
    assert output_size(227, kernel_size=11, stride=4) == 55


def test_a_pools_windows_do_not_overlap_unless_told():
    assert pooled_size(7, kernel_size=2) == 3
    assert pooled_size(7, kernel_size=2, stride=1) == 6


def test_ceil_mode_keeps_the_last_window_that_is_not_full():
    assert pooled_size(7, kernel_size=2, ceil_mode=True) == 4
    assert pooled_size(8, kernel_size=2, ceil_mode=True) == 4
    assert pooled_size(2, kernel_size=3, stride=2, ceil_mode=True) == 1  # larger than the image


def test_ceil_mode_drops_a_window_that_would_start_in_the_padding_after_the_image():
    # padded to 7: windows at -1, 1, 3 and 5; the one at 5 starts after the last pixel, 4
    assert pooled_size(5, kernel_size=2, padding=1, ceil_mode=True) == 3
    assert pooled_size(6, kernel_size=2, padding=1, ceil_mode=True) == 4  # here 5 is a pixel


def test_a_pool_counts_padding_and_dilation_as_a_convolution_does():
    assert pooled_size(9, kernel_size=3, stride=1, padding=1, dilation=4) == 3


def test_a_transposed_convolution_undoes_the_size_of_a_convolution():
    assert transposed_output_size(4, kernel_size=3, stride=2) == 9
    assert output_size(9, kernel_size=3, stride=2) == 4
    assert output_size(10, kernel_size=3, stride=2) == 4  # rounded down, so 9 is not the only one


def test_output_padding_picks_one_of_the_sizes_that_a_stride_makes_equal():
    assert transposed_output_size(4, kernel_size=3, stride=2, output_padding=1) == 10
    assert transposed_output_size(4, kernel_size=3, dilation=2, output_padding=1) == 9


def test_padding_takes_away_from_a_transposed_convolution_down_to_one_pixel():
    assert transposed_output_size(4, kernel_size=3, padding=1) == 4
    assert transposed_output_size(1, kernel_size=3, padding=1) == 1


def test_sizes_round_trip_where_no_pixel_was_left_out():
    for size in range(9, 40):
        settings = {"kernel_size": 3, "stride": 4, "padding": 1, "dilation": 2}
        small = output_size(size, **settings)
        left_out = (size + 2 - 5) % 4
        grown = transposed_output_size(small, output_padding=left_out, **settings)
        assert grown == size


@pytest.mark.parametrize(
    ("kernel_size", "dilation", "margins"),
    [(1, 1, (0, 0)), (3, 1, (1, 1)), (4, 1, (1, 2)), (2, 3, (1, 2)), (3, 5, (5, 5))],
)
def test_same_padding_keeps_the_size_and_puts_an_odd_pixel_after(kernel_size, dilation, margins):
    assert same_padding(kernel_size=kernel_size, dilation=dilation) == margins
    room = 9 + sum(margins)
    assert output_size(room, kernel_size=kernel_size, dilation=dilation) == 9


@pytest.mark.filterwarnings("ignore:Using padding='same' with even")
def test_same_padding_is_torchs():
    picture, kernel = torch.arange(5.0)[None, None], torch.ones(1, 1, 4)
    assert same_padding(kernel_size=4) == (1, 2)
    ours = F.conv1d(F.pad(picture, (1, 2)), kernel)
    assert (
        ours.tolist()
        == nn.Conv1d(1, 1, 4, padding="same", bias=False)
        ._conv_forward(picture, kernel, None)
        .tolist()
    )


def test_same_padding_does_not_gap_unless_told():
    assert same_padding(kernel_size=6) == (2, 3)


# --- receptive fields -----------------------------------------------------------------------------


def test_without_layers_a_unit_sees_itself():
    assert receptive_field([]) == ReceptiveField(size=1, jump=1, start=0)


def test_two_kernels_of_3_see_5_pixels_three_of_them_7():
    assert receptive_field([Layer(3)] * 2) == (5, 1, 0)
    assert receptive_field([Layer(3)] * 3) == (7, 1, 0)


def test_after_a_stride_every_layer_sees_further():
    assert receptive_field([Layer(2, 2), Layer(3)]) == (6, 2, 0)
    assert receptive_field([Layer(3), Layer(2, 2)]) == (4, 2, 0)


def test_padding_moves_the_first_unit_out_of_the_image():
    assert receptive_field([Layer(3, 2, padding=1), Layer(3, 2, padding=1)]) == (7, 4, -3)


def test_dilation_makes_a_field_wider_by_its_gaps():
    assert receptive_field([Layer(3, dilation=4)]) == (9, 1, 0)


def test_a_name_changes_nothing_and_any_iterable_will_do():
    layers = (Layer(3, name="conv1"), Layer(2, 2, name="pool1"))
    assert receptive_field(iter(layers)) == receptive_field([Layer(3), Layer(2, 2)])
    assert Layer(3) == (3, 1, 0, 1, "")


ALEXNET = [
    *(Layer(11, 4, 2), Layer(3, 2), Layer(5, 1, 2), Layer(3, 2)),
    *(Layer(3, 1, 1), Layer(3, 1, 1), Layer(3, 1, 1), Layer(3, 2)),
]


def vgg(*depths):
    return [layer for depth in depths for layer in [Layer(3, 1, 1)] * depth + [Layer(2, 2)]]


def resnet18():
    block = [Layer(3, 1, 1)] * 4
    return [Layer(7, 2, 3), Layer(3, 2, 1), *block] + [Layer(3, 2, 1), *block[1:]] * 3


@pytest.mark.parametrize(
    ("layers", "expected"),
    [
        (ALEXNET, (195, 32, -66)),
        (vgg(2, 2, 3, 3, 3), (212, 32, -90)),
        (vgg(2, 2, 4, 4, 4), (268, 32, -118)),
        (resnet18(), (435, 32, -217)),
    ],
    ids=["alexnet", "vgg16", "vgg19", "resnet18"],
)
def test_the_fields_of_well_known_networks(layers, expected):
    field = receptive_field(layers)
    assert field == expected
    assert field == measured_field(layers)


def measured_field(layers):
    """Extent of the gradient of two neighbouring units in the middle of a long enough input.

    All weights are 1, so that nothing cancels. Shares nothing with the code under test but
    the guess of how long the input must be; where that is wrong, the assertions below fail.
    """
    guess = receptive_field(layers)
    unit = -(guess.start // guess.jump) + 1  # far enough from the padding before the input
    room = guess.start + (unit + 1) * guess.jump + guess.size
    pixels = torch.zeros(1, 1, room + guess.size % 5, requires_grad=True)
    units = pixels
    for layer in layers:
        weight = torch.ones(1, 1, layer.kernel_size)
        units = F.conv1d(units, weight, None, layer.stride, layer.padding, layer.dilation)
    ends = []
    for place in (unit, unit + 1):
        (gradient,) = torch.autograd.grad(units[0, 0, place], pixels, retain_graph=True)
        seen = gradient[0, 0].nonzero()
        ends.append((int(seen[0]), int(seen[-1])))
    (first, last), (next_first, next_last) = ends
    assert first > 0
    assert next_last < pixels.shape[-1]
    assert last - first == next_last - next_first
    jump = next_first - first
    return last - first + 1, jump, first - unit * jump


# --- costs ----------------------------------------------------------------------------------------


def test_a_full_connection_needs_1755_times_the_parameters_of_a_convolution():
    full = linear_parameters(128 * 128 * 3, 256)
    shared = conv2d_parameters(3, 256, kernel_size=3)
    assert (full, shared, round(full / shared)) == (12_583_168, 7_168, 1755)


def test_three_kernels_of_3_weigh_27_c_squared_one_of_7_weighs_49():
    assert 3 * conv2d_parameters(10, 10, kernel_size=3, bias=False) == 27 * 10**2
    assert conv2d_parameters(10, 10, kernel_size=7, bias=False) == 49 * 10**2
    assert isinstance(conv2d_parameters(10, 10, kernel_size=7), int)


def test_depthwise_separable_saves_a_factor_of_8_69():
    places = {"output_size": (56, 56)}
    whole = conv2d_macs(64, 256, kernel_size=3, **places)
    depthwise = conv2d_macs(64, 64, kernel_size=3, groups=64, **places)
    pointwise = conv2d_macs(64, 256, kernel_size=1, **places)
    assert round(whole / (depthwise + pointwise), 2) == 8.69


def test_the_first_layer_of_lenet_by_hand():
    assert conv2d_parameters(1, 6, kernel_size=5) == 6 * (5 * 5 + 1) == 156
    assert conv2d_macs(1, 6, kernel_size=5, output_size=28) == 6 * 25 * 28 * 28


def test_sides_may_differ_and_groups_share_the_input():
    assert conv2d_parameters(4, 6, kernel_size=(2, 3), groups=2) == 6 * (2 * 2 * 3 + 1)
    assert conv2d_macs(4, 6, kernel_size=[2, 3], output_size=(5, 7), groups=2) == 6 * 12 * 35


def test_a_full_connection_has_one_mac_a_weight_and_one_bias_an_output():
    assert linear_parameters(5, 7) == 42
    assert linear_parameters(5, 7, bias=False) == linear_macs(5, 7) == 35


@pytest.mark.parametrize("bias", [True, False])
def test_a_full_connection_is_what_torch_counts(bias):
    layer = nn.Linear(3, 4, bias=bias)
    numbers = sum(weights.numel() for weights in layer.parameters())
    assert linear_parameters(3, 4, bias=bias) == numbers
    with FlopCounterMode(display=False) as counter:
        layer(torch.zeros(1, 3))
    assert 2 * linear_macs(3, 4) == counter.get_total_flops()


# --- what is refused ------------------------------------------------------------------------------

WHOLE = "must be a whole number"
FITS = {"size": 9, "kernel_size": 3}
CONV = {"in_channels": 4, "out_channels": 6, "kernel_size": 3}
REFUSED = [
    (output_size, FITS | {"size": 0}, f"size=0: {WHOLE}, 1 or more. Try: size=1."),
    (output_size, FITS | {"size": -9}, f"size=-9: {WHOLE}, 1 or more. Try: size=1."),
    (output_size, FITS | {"size": 9.0}, f"size=9.0: {WHOLE}, 1 or more. Try: size=1."),
    (output_size, FITS | {"size": True}, f"size=True: {WHOLE}, 1 or more. Try: size=1."),
    (
        output_size,
        FITS | {"kernel_size": 0},
        f"kernel_size=0: {WHOLE}, 1 or more. Try: kernel_size=1.",
    ),
    (
        output_size,
        FITS | {"kernel_size": (3, 3)},
        f"kernel_size=(3, 3): {WHOLE}, 1 or more. Try: kernel_size=1.",
    ),
    (output_size, FITS | {"stride": 0}, f"stride=0: {WHOLE}, 1 or more. Try: stride=1."),
    (output_size, FITS | {"stride": 0.5}, f"stride=0.5: {WHOLE}, 1 or more. Try: stride=1."),
    (output_size, FITS | {"stride": None}, f"stride=None: {WHOLE}, 1 or more. Try: stride=1."),
    (output_size, FITS | {"padding": -1}, f"padding=-1: {WHOLE}, 0 or more. Try: padding=0."),
    (
        output_size,
        FITS | {"padding": "same"},
        f"padding='same': {WHOLE}, 0 or more. Try: padding=0.",
    ),
    (output_size, FITS | {"dilation": 0}, f"dilation=0: {WHOLE}, 1 or more. Try: dilation=1."),
    (
        output_size,
        {"size": 3, "kernel_size": 5},
        "kernel_size=5 with dilation=1 spans 5 px, the padded input has only 3 px (size=3, "
        "padding=0). Try: padding=1.",
    ),
    (
        output_size,
        {"size": 4, "kernel_size": 4, "dilation": 3, "padding": 2, "stride": 2},
        "kernel_size=4 with dilation=3 spans 10 px, the padded input has only 8 px (size=4, "
        "padding=2). Try: padding=3.",
    ),
    (
        output_size,
        {"size": 4, "kernel_size": 5},
        "kernel_size=5 with dilation=1 spans 5 px, the padded input has only 4 px (size=4, "
        "padding=0). Try: padding=1.",
    ),
    (pooled_size, FITS | {"size": 0}, f"size=0: {WHOLE}, 1 or more. Try: size=1."),
    (
        pooled_size,
        FITS | {"kernel_size": 0},
        f"kernel_size=0: {WHOLE}, 1 or more. Try: kernel_size=1.",
    ),
    (pooled_size, FITS | {"stride": 0}, f"stride=0: {WHOLE}, 1 or more. Try: stride=1."),
    (pooled_size, FITS | {"padding": -1}, f"padding=-1: {WHOLE}, 0 or more. Try: padding=0."),
    (pooled_size, FITS | {"dilation": 1.5}, f"dilation=1.5: {WHOLE}, 1 or more. Try: dilation=1."),
    (
        pooled_size,
        FITS | {"ceil_mode": 1},
        "ceil_mode=1: must be True or False. Try: ceil_mode=True.",
    ),
    (
        pooled_size,
        FITS | {"padding": 2},
        "padding=2: must be at most half of kernel_size=3. Try: padding=1.",
    ),
    (
        pooled_size,
        {"size": 9, "kernel_size": 6, "padding": 4},
        "padding=4: must be at most half of kernel_size=6. Try: padding=3.",
    ),
    (
        pooled_size,
        FITS | {"padding": 2, "dilation": 3},  # half of the kernel, not of the 7 px that it spans
        "padding=2: must be at most half of kernel_size=3. Try: padding=1.",
    ),
    (
        pooled_size,
        {"size": 4, "kernel_size": 3, "stride": 2, "dilation": 3, "padding": 1},
        "kernel_size=3 with dilation=3 spans 7 px, the padded input has room for 6 px (size=4, "
        "padding=1, stride=2, ceil_mode=False). Try: kernel_size=2, padding=0.",
    ),
    (
        pooled_size,
        {"size": 2, "kernel_size": 4, "stride": 2, "ceil_mode": True},
        "kernel_size=4 with dilation=1 spans 4 px, the padded input has room for 3 px (size=2, "
        "padding=0, stride=2, ceil_mode=True). Try: kernel_size=2, padding=0.",
    ),
    (transposed_output_size, FITS | {"size": 0}, f"size=0: {WHOLE}, 1 or more. Try: size=1."),
    (
        transposed_output_size,
        FITS | {"kernel_size": 2.0},
        f"kernel_size=2.0: {WHOLE}, 1 or more. Try: kernel_size=1.",
    ),
    (
        transposed_output_size,
        FITS | {"stride": 0},
        f"stride=0: {WHOLE}, 1 or more. Try: stride=1.",
    ),
    (
        transposed_output_size,
        FITS | {"output_padding": -1},
        f"output_padding=-1: {WHOLE}, 0 or more. Try: output_padding=0.",
    ),
    (
        transposed_output_size,
        FITS | {"output_padding": 1},
        "output_padding=1: must be smaller than stride=1 or dilation=1. Try: output_padding=0.",
    ),
    (
        transposed_output_size,
        FITS | {"output_padding": 4, "stride": 2, "dilation": 3},
        "output_padding=4: must be smaller than stride=2 or dilation=3. Try: output_padding=2.",
    ),
    (
        transposed_output_size,
        {"size": 2, "kernel_size": 3, "padding": 2},
        "padding=2: takes 4 px from an output of 4 px, and nothing is left. Try: padding=1.",
    ),
    (
        transposed_output_size,
        {"size": 1, "kernel_size": 5, "padding": 3},
        "padding=3: takes 6 px from an output of 5 px, and nothing is left. Try: padding=2.",
    ),
    (
        transposed_output_size,
        {"size": 1, "kernel_size": 3, "padding": 9, "dilation": 2, "output_padding": 1},
        "padding=9: takes 18 px from an output of 6 px, and nothing is left. Try: padding=2.",
    ),
    (
        same_padding,
        {"kernel_size": -3},
        f"kernel_size=-3: {WHOLE}, 1 or more. Try: kernel_size=1.",
    ),
    (
        same_padding,
        {"kernel_size": 3, "dilation": 0},
        f"dilation=0: {WHOLE}, 1 or more. Try: dilation=1.",
    ),
    (
        conv2d_parameters,
        CONV | {"in_channels": 0},
        f"in_channels=0: {WHOLE}, 1 or more. Try: in_channels=1.",
    ),
    (
        conv2d_parameters,
        CONV | {"out_channels": 6.0},
        f"out_channels=6.0: {WHOLE}, 1 or more. Try: out_channels=1.",
    ),
    (
        conv2d_parameters,
        CONV | {"kernel_size": (3, 0)},
        f"kernel_size=0: {WHOLE}, 1 or more. Try: kernel_size=1.",
    ),
    (
        conv2d_parameters,
        CONV | {"kernel_size": (4, 6, 3)},
        "kernel_size=(4, 6, 3): must be one number or a pair, (height, width). Try: kernel_size=1.",
    ),
    (conv2d_parameters, CONV | {"groups": 0}, f"groups=0: {WHOLE}, 1 or more. Try: groups=1."),
    (
        conv2d_parameters,
        CONV | {"groups": 4},
        "groups=4: must divide in_channels=4 and out_channels=6. Try: groups=2.",
    ),
    (
        conv2d_parameters,
        {"in_channels": 64, "out_channels": 64, "kernel_size": 3, "groups": 65},
        "groups=65: must divide in_channels=64 and out_channels=64. Try: groups=64.",
    ),
    (
        conv2d_parameters,
        {"in_channels": 3, "out_channels": 64, "kernel_size": 3, "groups": 3},
        "groups=3: must divide in_channels=3 and out_channels=64. Try: groups=1.",
    ),
    (conv2d_parameters, CONV | {"bias": "no"}, "bias='no': must be True or False. Try: bias=True."),
    (
        conv2d_macs,
        CONV | {"output_size": (0, 5)},
        f"output_size=0: {WHOLE}, 1 or more. Try: output_size=1.",
    ),
    (
        conv2d_macs,
        CONV | {"output_size": (1, 6, 5, 5)},
        "output_size=(1, 6, 5, 5): must be one number or a pair, (height, width). "
        "Try: output_size=1.",
    ),
    (
        linear_parameters,
        {"in_features": 0, "out_features": 2},
        f"in_features=0: {WHOLE}, 1 or more. Try: in_features=1.",
    ),
    (
        linear_parameters,
        {"in_features": 2, "out_features": -2},
        f"out_features=-2: {WHOLE}, 1 or more. Try: out_features=1.",
    ),
    (
        linear_parameters,
        {"in_features": 2, "out_features": 2, "bias": None},
        "bias=None: must be True or False. Try: bias=True.",
    ),
    (
        linear_macs,
        {"in_features": 2, "out_features": 2.5},
        f"out_features=2.5: {WHOLE}, 1 or more. Try: out_features=1.",
    ),
]


@pytest.mark.parametrize(("function", "options", "sentence"), REFUSED)
def test_what_makes_no_sense_is_refused_with_a_way_out_that_works(
    refused, function, options, sentence
):
    with refused(sentence):
        function(**options)
    for _ in range(2):  # a size of 1 is a size, and the kernel's turn to be refused
        attempt = sentence.split("Try: ")[1].removesuffix(".")
        options = options | eval(f"dict({attempt})")
        try:
            assert function(**options)
            return
        except ValueError as error:
            sentence = str(error)
            assert "size=1," in sentence
    pytest.fail(f"still refused: {sentence}")


def test_the_least_padding_that_makes_a_kernel_fit_is_the_one_proposed():
    with pytest.raises(ValueError, match="Try: padding=2"):
        output_size(4, kernel_size=7, padding=1)
    assert output_size(4, kernel_size=7, padding=2) == 2


@pytest.mark.parametrize(
    ("layer", "sentence"),
    [
        (Layer(0), f"layers[1]: kernel_size=0: {WHOLE}, 1 or more. Try: kernel_size=1."),
        (Layer(3, -1), f"layers[1]: stride=-1: {WHOLE}, 1 or more. Try: stride=1."),
        (Layer(3, 1, 0.5), f"layers[1]: padding=0.5: {WHOLE}, 0 or more. Try: padding=0."),
        (Layer(3, dilation=0), f"layers[1]: dilation=0: {WHOLE}, 1 or more. Try: dilation=1."),
    ],
)
def test_a_layer_that_makes_no_sense_is_refused_by_its_place(refused, layer, sentence):
    with refused(sentence) as caught:
        receptive_field([Layer(3), layer])
    assert str(caught.value.__cause__) == sentence.removeprefix("layers[1]: ")


@pytest.mark.parametrize("came", [(3, 2), 3, nn.Conv2d(1, 1, 3)])
def test_what_is_no_layer_is_refused(refused, came):
    with refused(f"layers[0]={came!r}: must be a Layer. Try: Layer(kernel_size=3).", TypeError):
        receptive_field([came])
    assert receptive_field([Layer(kernel_size=3)]) == (3, 1, 0)


# --- random stacks, costs and 100,000 sizes against torch -----------------------------------------


@pytest.mark.parametrize("seed", range(20))
def test_fields_of_100_random_stacks_are_the_extents_of_gradients(seed):
    rng = np.random.default_rng(seed)
    for _ in range(100):
        depth = int(rng.integers(1, 7))
        kernel_sizes, dilations = rng.integers(1, 6, depth), rng.integers(1, 4, depth)
        strides, paddings = rng.choice([1, 1, 2, 3], depth), rng.integers(0, 4, depth)
        rows = zip(kernel_sizes, strides, paddings, dilations, strict=True)
        layers = [Layer(*map(int, row)) for row in rows]
        assert receptive_field(layers) == measured_field(layers), layers


def test_parameters_and_macs_are_what_torch_counts_on_300_settings(rng):
    for _ in range(300):
        groups = int(rng.integers(1, 5))
        in_channels, out_channels = (groups * int(n) for n in rng.integers(1, 6, 2))
        kernel_size = tuple(rng.integers(1, 5, 2).tolist())
        bias = bool(rng.integers(2))
        with torch.device("meta"):
            layer = nn.Conv2d(in_channels, out_channels, kernel_size, groups=groups, bias=bias)
            images = torch.empty(1, in_channels, *rng.integers(4, 9, 2).tolist())
        ours = conv2d_parameters(
            in_channels, out_channels, kernel_size=kernel_size, groups=groups, bias=bias
        )
        assert ours == sum(weights.numel() for weights in layer.parameters())
        with FlopCounterMode(display=False) as counter:
            output = layer(images)
        macs = conv2d_macs(
            in_channels,
            out_channels,
            kernel_size=kernel_size,
            output_size=tuple(output.shape[2:]),
            groups=groups,
        )
        assert 2 * macs == counter.get_total_flops()


def torch_sizes(function, *arguments, **options):
    """(height, width) that torch gives, or None where it refuses or nothing is left.

    Of an empty transposed output torch refuses some, by the backend; we refuse all.
    """
    try:
        size = tuple(function(*arguments, **options).shape[2:])
    except RuntimeError:
        return None
    return None if 0 in size else size


def our_sizes(function, size, **options):
    """The same from two calls of ours, one an axis; what is no pair is for both."""
    try:
        return tuple(
            function(
                size[axis],
                **{k: v[axis] if isinstance(v, list) else v for k, v in options.items()},
            )
            for axis in (0, 1)
        )
    except ValueError:
        return None


def draws(seed, count, **ranges):
    """Random settings, of every name a pair, each number from low to below high."""
    rng = np.random.default_rng(seed)
    columns = [rng.integers(*limits, size=(count, 2)).tolist() for limits in ranges.values()]
    for row in zip(*columns, strict=True):
        yield dict(zip(ranges, row, strict=True))


@pytest.mark.parametrize("seed", range(5))
def test_8000_random_sizes_of_convolutions_are_torchs_and_so_are_the_refusals(seed):
    refused = 0
    windows = {"kernel_size": (1, 8), "stride": (1, 5), "padding": (0, 5), "dilation": (1, 4)}
    for options in draws(seed, 8_000, size=(1, 20), **windows):
        ours = our_sizes(output_size, **options)
        images = torch.empty(1, 1, *options.pop("size"), device="meta")
        kernels = torch.empty(1, 1, *options.pop("kernel_size"), device="meta")
        theirs = torch_sizes(F.conv2d, images, kernels, **options)
        assert ours == theirs, (images.shape, kernels.shape, options)
        refused += ours is None
    assert 800 < refused < 7_200  # both kinds are tried


@pytest.mark.parametrize("seed", range(5))
def test_6000_random_sizes_of_pools_are_torchs_and_so_are_the_refusals(seed):
    refused = 0
    windows = {"kernel_size": (1, 8), "stride": (1, 9), "padding": (0, 4), "dilation": (1, 4)}
    for number, options in enumerate(draws(seed, 6_000, size=(1, 20), **windows)):
        options["ceil_mode"] = number % 2 == 0
        if number % 3 == 0:
            options["stride"] = None
        ours = our_sizes(pooled_size, **options)
        images = torch.empty(1, 1, *options.pop("size"), device="meta")
        theirs = torch_sizes(F.max_pool2d, images, **options)
        assert ours == theirs, (images.shape, options)
        refused += ours is None
    assert 600 < refused < 5_400


@pytest.mark.parametrize("seed", range(5))
def test_6000_random_sizes_of_transposed_convolutions_are_torchs_and_so_are_the_refusals(seed):
    refused = 0
    windows = {"kernel_size": (1, 6), "stride": (1, 4), "padding": (0, 4), "dilation": (1, 4)}
    for options in draws(seed, 6_000, size=(1, 8), output_padding=(0, 3), **windows):
        ours = our_sizes(transposed_output_size, **options)
        images = torch.empty(1, 1, *options.pop("size"))  # the meta device refuses nothing here
        kernels = torch.empty(1, 1, *options.pop("kernel_size"))
        theirs = torch_sizes(F.conv_transpose2d, images, kernels, **options)
        assert ours == theirs, (images.shape, kernels.shape, options)
        refused += ours is None
    assert 600 < refused < 5_400
