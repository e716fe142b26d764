"""Convolution against torch, in every method: values, sizes, and which settings are refused."""

import numpy as np
import pytest
import torch
from scipy import signal
from torch.nn import functional as F

from cnncourse.ops import conv2d, convolve2d

METHODS = ["loops", "direct", "im2col", "fft", "winograd"]
MODES = ["zeros", "reflect", "replicate", "circular"]
DTYPES = [np.float64, np.float32, np.int64]
TOLERANCE = {"float64": 1e-10, "float32": 2e-4, "int64": 0}

CHECKERBOARD = np.arange(25).reshape(5, 5) % 2 == 0
FULL_MAP = [[5, 0, 5], [0, 5, 0], [5, 0, 5]]


# --- by hand --------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", METHODS)
def test_a_checkerboard_answers_loudest_where_it_meets_itself(method):
    kernel = CHECKERBOARD[:3, :3].astype(int)  # five ones among nine squares
    assert conv2d(CHECKERBOARD.astype(int), kernel, method=method).tolist() == FULL_MAP
    assert convolve2d(CHECKERBOARD.astype(int), kernel, method=method).tolist() == FULL_MAP


@pytest.mark.parametrize("method", METHODS)
def test_the_kernel_is_not_flipped_and_that_of_a_true_convolution_is(method):
    impulse = np.zeros((5, 5), int)
    impulse[2, 2] = 1
    kernel = np.arange(1, 10).reshape(3, 3)
    assert conv2d(impulse, kernel, method=method).tolist() == [[9, 8, 7], [6, 5, 4], [3, 2, 1]]
    assert convolve2d(impulse, kernel, method=method).tolist() == [[1, 2, 3], [4, 5, 6], [7, 8, 9]]


def test_a_bias_is_added_to_every_pixel_of_its_channel():
    images = np.ones((2, 1, 2, 2))
    output = conv2d(images, np.ones((3, 1, 2, 2)), [1.0, 0.0, -4.0])
    assert output.tolist() == [[[[5.0]], [[4.0]], [[0.0]]]] * 2
    assert conv2d(images[0, 0], np.ones((2, 2)), -1).tolist() == [[3.0]]


def test_the_rank_of_the_images_is_the_rank_of_the_output(rng):
    images = rng.integers(-9, 10, size=(2, 1, 5, 6))
    whole = conv2d(images, np.ones((1, 1, 3, 2)))
    assert whole.shape == (2, 1, 3, 5)
    np.testing.assert_array_equal(conv2d(images[1], np.ones((1, 1, 3, 2))), whole[1])
    np.testing.assert_array_equal(conv2d(images[1, 0], np.ones((3, 2))), whole[1, 0])


@pytest.mark.parametrize(
    ("images", "kernels", "bias", "output"),
    [
        (np.float32, np.float32, None, np.float32),
        (np.float32, np.float64, None, np.float64),
        (np.uint8, np.float32, None, np.float32),
        (np.uint8, np.int64, None, np.int64),
        (np.int32, np.int32, None, np.int32),
        (np.int64, np.int64, np.float64, np.float64),
        (np.float32, np.float32, np.float64, np.float64),
    ],
)
@pytest.mark.parametrize("method", METHODS)
def test_the_dtype_is_that_of_all_inputs_together(images, kernels, bias, output, method):
    bias = None if bias is None else np.ones(1, bias)
    arrays = np.ones((1, 3, 3), images), np.ones((1, 1, 3, 3), kernels)
    assert conv2d(*arrays, bias, method=method).dtype == output


def test_a_bare_number_as_bias_leaves_float32_as_it_is():
    assert conv2d(np.ones((3, 3), "f4"), np.ones((3, 3), "f4"), 0.5).dtype == np.float32


def test_lists_are_arrays_too():
    assert conv2d([[1, 2], [3, 4]], [[1, 0], [0, 1]]).tolist() == [[5]]
    assert convolve2d([[1, 2], [3, 4]], [[1, 0], [0, 0]]).tolist() == [[4]]


def test_the_inputs_are_left_as_they_were(rng):
    images, kernels, bias = rng.normal(size=(2, 3, 3)), rng.normal(size=(2, 2, 3, 3)), np.ones(2)
    before = images.copy(), kernels.copy(), bias.copy()
    for method in METHODS:
        output = conv2d(images, kernels, bias, method=method)
        output += 1
    for array, kept in zip((images, kernels, bias), before, strict=True):
        np.testing.assert_array_equal(array, kept)


# --- laws -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", METHODS)
def test_convolution_is_linear_in_images_and_in_kernels(rng, method):
    one, other = rng.integers(-9, 10, size=(2, 2, 6, 7))
    kernel, second = rng.integers(-9, 10, size=(2, 3, 2, 3, 3))

    def conv(images, kernels):
        return conv2d(images, kernels, padding=1, method=method)

    both = 2 * conv(one, kernel) - 3 * conv(other, kernel)
    np.testing.assert_array_equal(conv(2 * one - 3 * other, kernel), both)
    both = 2 * conv(one, kernel) - 3 * conv(one, second)
    np.testing.assert_array_equal(conv(one, 2 * kernel - 3 * second), both)


@pytest.mark.parametrize("method", METHODS)
def test_a_shifted_image_gives_the_shifted_output_away_from_the_border(rng, method):
    image, kernel = rng.integers(-9, 10, size=(9, 9)), rng.integers(-9, 10, size=(3, 3))
    output = conv2d(image, kernel, method=method)
    shifted = conv2d(np.roll(image, (2, 1), axis=(0, 1)), kernel, method=method)
    np.testing.assert_array_equal(shifted[2:, 1:], output[:-2, :-1])
    options = {"padding": "same", "padding_mode": "circular", "method": method}
    rolled = conv2d(np.roll(image, (2, 1), axis=(0, 1)), kernel, **options)
    everywhere = np.roll(conv2d(image, kernel, **options), (2, 1), axis=(0, 1))
    np.testing.assert_array_equal(rolled, everywhere)  # on a torus there is no border


@pytest.mark.parametrize("method", METHODS)
def test_a_kernel_of_a_single_one_gives_the_image(rng, method):
    image = rng.integers(-9, 10, size=(6, 7))
    kernel = np.zeros((3, 3), int)
    kernel[1, 1] = 1
    np.testing.assert_array_equal(conv2d(image, kernel, padding="same", method=method), image)


def test_true_convolution_commutes_and_is_scipys(rng):
    image, kernel = rng.integers(-9, 10, size=(6, 7)), rng.integers(-9, 10, size=(3, 2))
    full = convolve2d(image, kernel, padding=(2, 1))
    np.testing.assert_array_equal(full, convolve2d(kernel, image, padding=(5, 6)))
    np.testing.assert_array_equal(full, signal.convolve2d(image, kernel))
    np.testing.assert_array_equal(
        conv2d(image, kernel), signal.correlate2d(image, kernel, mode="valid")
    )


def test_convolve2d_passes_every_argument_on(rng):
    images, kernels = rng.integers(-9, 10, size=(2, 4, 7, 8)), rng.integers(-9, 10, (4, 2, 3, 3))
    options = {"stride": 2, "padding": (2, 1), "dilation": (1, 2), "groups": 2}
    options |= {"padding_mode": "circular", "method": "im2col"}
    bias = [1, 2, 3, 4]
    expected = conv2d(images, kernels[:, :, ::-1, ::-1], bias, **options)
    np.testing.assert_array_equal(convolve2d(images, kernels, bias, **options), expected)
    with pytest.raises(ValueError, match="winograd"):
        convolve2d(images, kernels, bias, **options | {"method": "winograd"})


# --- against torch --------------------------------------------------------------------------------


def numbers(rng, shape, dtype):
    if dtype == np.int64:
        return rng.integers(-100, 101, size=shape)
    return rng.normal(size=shape).astype(dtype)


def pick(rng, *choices):
    return choices[rng.integers(len(choices))]


def side(rng, *choices):
    """One number, or a pair."""
    return pick(rng, *choices) if rng.random() < 0.6 else (pick(rng, *choices), pick(rng, *choices))


def random_setting(rng):
    """Images, kernels, bias and options of a convolution; most are fine, by chance some are not."""
    groups = pick(rng, 1, 1, 1, 2, 3)
    channels, out_channels = groups * rng.integers(1, 4), groups * rng.integers(1, 4)
    kernel_size = (3, 3) if rng.random() < 0.35 else tuple(rng.integers(1, 5, size=2).tolist())
    shape = [pick(rng, 0, 1, 1, 1, 2, 2, 3), channels, *rng.integers(4, 10, size=2)]
    kernel_shape = [out_channels, channels // groups, *kernel_size]
    options = {"padding": pick(rng, side(rng, 0, 1, 2, 3), side(rng, 0, 1, 2), "same", "valid")}
    options["stride"] = 1 if options["padding"] == "same" else side(rng, 1, 1, 2, 3)
    options["dilation"] = side(rng, 1, 1, 1, 2)
    options["groups"] = groups
    options["padding_mode"] = pick(rng, "zeros", *MODES)
    bias_shape = pick(rng, None, [out_channels])
    if rng.random() < 0.13:
        bias_shape = spoil(rng, shape, kernel_shape, bias_shape, options)
    dtype = pick(rng, *DTYPES)
    images, kernels = numbers(rng, shape, dtype), numbers(rng, kernel_shape, dtype)
    bias = None if bias_shape is None else numbers(rng, bias_shape, dtype)
    if shape[:2] == [1, 1] and kernel_shape[:2] == [1, 1] and bias is None:
        images, kernels = images[0, 0], kernels[0, 0]
    elif shape[0] == 1 and rng.random() < 0.5:
        images = images[0]
    return images, kernels, bias, options


def spoil(rng, shape, kernel_shape, bias_shape, options):
    """Make a setting one that is probably refused; returns the shape of its bias.

    There is an image in it: of an empty batch torch checks little, and takes dilation=0 as well.
    """
    shape[0] = max(1, shape[0])
    what = rng.integers(14)
    if what == 0:
        kernel_shape[2 + rng.integers(2)] = 17
    elif what == 1:
        options["padding"], options["stride"] = "same", pick(rng, 2, (1, 2), (2, 1))
    elif what in (2, 3):
        options[pick(rng, "stride", "dilation")] = pick(rng, 0, -1, (1, 0), (0, 1), (1, 1, 1))
    elif what == 4:  # in the other modes torch cuts pixels off
        options["padding"], options["padding_mode"] = pick(rng, -1, (-1, 1), (1, -1)), "zeros"
    elif what == 5:
        options["groups"] = pick(rng, 0, -1, 4)
    elif what == 6:
        kernel_shape[0] += 1
    elif what == 7:
        kernel_shape[1] += 1
    elif what in (8, 9):
        options["padding_mode"] = pick(rng, "reflect", "circular")
        options["padding"] = side(rng, 0, *shape[2:], shape[2] + 1)
    elif what == 10:
        kernel_shape[rng.integers(4)] = 0
    elif what == 11:
        shape[2 + rng.integers(2)] = 0
    elif what == 12:
        options["padding"] = pick(rng, "full", "Same", (1, 1, 1, 1))
    else:
        return pick(rng, [kernel_shape[0] + 1], [1, kernel_shape[0]])
    return bias_shape


def torch_conv2d(images, kernels, bias, *, padding, padding_mode, **options):
    """As torch.nn.Conv2d does it: in other modes than zeros the image is padded first."""
    arrays = [None if array is None else torch.tensor(array) for array in (images, kernels, bias)]
    if images.ndim == 2:
        arrays[:2] = arrays[0][None, None], arrays[1][None, None]
    if padding_mode != "zeros":
        arrays[0] = F.pad(arrays[0], torch_sides(kernels, padding, options), mode=padding_mode)
        padding = 0
    output = F.conv2d(*arrays, padding=padding, **options).numpy()
    return output[0, 0] if images.ndim == 2 else output


def torch_sides(kernels, padding, options):
    """Padding as F.pad wants it: the last axis first."""
    probe = torch.nn.Conv2d(1, 1, kernels.shape[-2:], padding=padding, **options | {"groups": 1})
    return probe._reversed_padding_repeated_twice


def applicable(number, kernels, options, output):
    """A method for this setting besides "direct", each in turn."""
    plain = all(options[name] in (1, (1, 1)) for name in ("stride", "dilation"))
    if kernels.shape[-2:] == (3, 3) and plain and number % 2:
        return "winograd"
    if number % 3 == 0 and output.size * kernels[0].size < 400:
        return "loops"
    return ("im2col", "fft")[number // 2 % 2]


def difference(ours, theirs):
    """What differs, in words; nothing where both are the same."""
    if ours.shape != theirs.shape:
        return f"ours has shape {ours.shape}, torch's {theirs.shape}"
    if ours.dtype != theirs.dtype:
        return f"ours is {ours.dtype}, torch's {theirs.dtype}"
    worst = np.abs(ours - theirs).max(initial=0)
    return f"differs by {worst}" if worst > TOLERANCE[ours.dtype.name] else ""


def compare(number, images, kernels, bias, options):
    """(what differs in words, whether torch refuses, method) of one setting."""
    try:
        theirs = torch_conv2d(images, kernels, bias, **options)
    except (RuntimeError, ValueError, IndexError):
        try:
            conv2d(images, kernels, bias, **options)
        except ValueError:
            return "", True, ""
        return "torch refuses, we do not", True, ""
    method = applicable(number, kernels, options, theirs)
    try:
        for name in ("direct", method):
            words = difference(conv2d(images, kernels, bias, **options, method=name), theirs)
            if words:
                return f"method={name}: {words}", False, method
    except ValueError as error:
        return f"method={name}: torch accepts, we refuse: {error}", False, method
    return "", False, method


@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel")
@pytest.mark.filterwarnings("ignore:Initializing zero-element tensors")
@pytest.mark.parametrize("part", range(20))
def test_a_thousand_random_settings_agree_with_torch(part):
    rng = np.random.default_rng(part)
    mismatches, refusals, methods = [], 0, set()
    for number in range(1000):
        images, kernels, bias, options = random_setting(rng)
        words, refusal, method = compare(number, images, kernels, bias, options)
        if words:
            shapes = [np.shape(array) for array in (images, kernels, bias)]
            mismatches.append(f"{shapes}, {images.dtype}, {options}: {words}")
        refusals += refusal
        methods.add(method)
    assert not mismatches, f"{len(mismatches)} of 1000 settings differ; the first: {mismatches[0]}"
    assert 100 < refusals < 250
    assert methods == {*METHODS, ""} - {"direct"}


@pytest.mark.parametrize("padding_mode", MODES)
@pytest.mark.parametrize("padding", [0, (2, 1), "same", "valid"])
def test_a_layer_of_torch_with_its_own_weights_gives_the_same(rng, padding, padding_mode):
    layer = torch.nn.Conv2d(
        4, 6, (3, 5), padding=padding, groups=2, padding_mode=padding_mode, dtype=torch.float64
    )
    images = rng.normal(size=(2, 4, 6, 7))
    weights = [parameter.detach().numpy() for parameter in (layer.weight, layer.bias)]
    ours = conv2d(images, *weights, padding=padding, groups=2, padding_mode=padding_mode)
    theirs = layer(torch.tensor(images)).detach()
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-10)


# --- what is refused ------------------------------------------------------------------------------


def call(images=(5, 5), kernels=(3, 3), **options):
    return lambda: conv2d(np.ones(images), np.ones(kernels), **options)


KNOWN = "Known: loops, direct, im2col, fft, winograd."
BAD = [
    (call(method="fast"), f"'fast': unknown method. Did you mean 'fft'? {KNOWN}", "fft"),
    (call(method="im2row"), f"'im2row': unknown method. Did you mean 'im2col'? {KNOWN}", "im2col"),
    (
        call(method="Winograd"),
        f"'Winograd': unknown method. Did you mean 'winograd'? {KNOWN}",
        "winograd",
    ),
    (call(method=0), f"'0': unknown method. {KNOWN}", "loops"),
    (call(method=None), f"'None': unknown method. {KNOWN}", "direct"),
]


@pytest.mark.parametrize(("call", "sentence", "mended"), BAD)
def test_an_unknown_method_is_answered_with_those_there_are(refused, call, sentence, mended):
    with refused(sentence):
        call()
    assert conv2d(np.ones((5, 5)), np.ones((3, 3)), method=mended).tolist() == [[9] * 3] * 3


def test_a_method_that_does_not_apply_names_one_that_does(refused):
    with refused(
        "method='winograd': F(2x2, 3x3) is for 3x3 kernels with stride 1 and dilation 1, here are "
        "5x3, (1, 2) and 2. Try: method='direct'."
    ):
        call((9, 9), (5, 3), method="winograd", stride=(1, 2), dilation=2)()
    assert call((9, 9), (5, 3), method="direct", stride=(1, 2), dilation=2)().shape == (1, 3)


@pytest.mark.parametrize(
    ("images", "kernels", "groups", "rule", "attempt"),
    [
        ((4, 5, 5), (3, 2, 3, 3), 0, "must be a whole number, 1 or more", "groups=1"),
        ((4, 5, 5), (3, 2, 3, 3), 2.0, "must be a whole number, 1 or more", "groups=1"),
        ((4, 5, 5), (3, 2, 3, 3), 2, "must divide the number of kernels, 3", "2 kernels"),
        ((1, 4, 5, 5), (2, 1, 3, 3), 4, "must divide the number of kernels, 2", "4 kernels"),
        ((5, 5), (3, 3), 2, "must divide the number of kernels, 1", "groups=1"),
    ],
)
def test_groups_divide_the_kernels(refused, images, kernels, groups, rule, attempt):
    with refused(f"groups={groups}: {rule}. Try: {attempt}."):
        call(images, kernels, groups=groups)()


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"stride": 0}, "stride=0: must be a whole number, 1 or more. Try: stride=1."),
        ({"dilation": 0}, "dilation=0: must be a whole number, 1 or more. Try: dilation=1."),
        (
            {"padding_mode": "wrap"},
            "'wrap': unknown padding_mode. Known: zeros, reflect, replicate, circular.",
        ),
        (
            {"padding": 6, "padding_mode": "circular"},
            "padding=6 on image (5, 5): circular padding copies pixels of the image, at most 5 "
            "here. Try: padding_mode='zeros'.",
        ),
        (
            {"images": (1, 5, 5)},
            "kernels (3, 3): images with channels take kernels "
            "(out_channels, in_channels // groups, h, w). Try: kernels[None, None].",
        ),
    ],
)
def test_arguments_are_refused_under_their_own_names(refused, options, sentence):
    with refused(sentence):
        call(**options)()


def test_an_image_without_channels_is_refused_where_torch_gives_an_output_without_any(refused):
    assert F.conv2d(torch.ones(1, 0, 5, 5), torch.ones(3, 0, 3, 3)).shape == (1, 0, 3, 3)
    with refused("images (1, 0, 5, 5): only the batch may be empty. Try: np.zeros((1, 1, 5, 5))."):
        conv2d(np.ones((1, 0, 5, 5)), np.ones((3, 0, 3, 3)))


@pytest.mark.parametrize("method", METHODS)
def test_an_empty_batch_stays_empty(method):
    output = conv2d(np.ones((0, 2, 5, 5)), np.ones((3, 2, 3, 3)), method=method, padding=1)
    assert output.shape == (0, 3, 5, 5)


@pytest.mark.parametrize("method", ["loops", "direct", "im2col"])
def test_nan_reaches_the_windows_that_see_it_and_no_other(method):
    image = np.ones((1, 5))
    image[0, 0] = np.nan
    np.testing.assert_array_equal(
        conv2d(image, np.ones((1, 2)), method=method), [[np.nan, 2, 2, 2]]
    )
