"""Transposed convolution: stamps on paper, the adjoint of conv2d, and torch's."""

import numpy as np
import pytest
import torch
from numpy import ones
from torch.nn import functional as F

from cnncourse.ops import conv2d, conv_transpose2d
from cnncourse.ops.transposed import stamp

DTYPES = [np.float64, np.float32, np.int64]
TOLERANCE = {"float64": 1e-10, "float32": 1e-2, "int64": 0}


# --- by hand --------------------------------------------------------------------------------------


def test_every_pixel_stamps_the_kernel_times_its_value():
    assert conv_transpose2d([[1, 2]], [[1, 10, 100]], stride=3).tolist() == [
        [1, 10, 100, 2, 20, 200]
    ]


def test_stamps_that_overlap_add_up():
    assert conv_transpose2d([[1, 2]], [[1, 10, 100]]).tolist() == [[1, 12, 120, 200]]
    assert conv_transpose2d([[1, 2]], [[1, 10]], dilation=2).tolist() == [[1, 2, 10, 20]]
    assert conv_transpose2d([[1], [2]], [[1], [10]]).ravel().tolist() == [1, 12, 20]


def test_padding_cuts_both_sides_and_output_padding_adds_after():
    full = conv_transpose2d([[1, 2]], [[1, 10, 100]], stride=2)
    assert full.tolist() == [[1, 10, 102, 20, 200]]
    cut = conv_transpose2d([[1, 2]], [[1, 10, 100]], stride=2, padding=(0, 1))
    assert cut.tolist() == [[10, 102, 20]]
    options = {"stride": 2, "padding": (0, 1), "output_padding": (0, 1)}
    assert conv_transpose2d([[1, 2]], [[1, 10, 100]], **options).tolist() == [[10, 102, 20, 200]]
    options["output_padding"] = (1, 0)
    assert conv_transpose2d([[1, 2]], [[1, 10, 100]], **options).tolist() == [
        [10, 102, 20],
        [0] * 3,
    ]


def test_a_kernel_that_stride_does_not_divide_paints_a_checkerboard():
    painted = conv_transpose2d(ones((3, 3)), ones((3, 3)), stride=2)
    assert painted[2:5, 2:5].tolist() == [[4, 2, 4], [2, 1, 2], [4, 2, 4]]
    even = conv_transpose2d(ones((3, 3)), ones((4, 4)), stride=2)
    assert even[2:6, 2:6].tolist() == [[4] * 4] * 4


def test_kernels_are_given_for_each_input_channel_of_a_group():
    images, kernels = np.array([[[1]], [[2]], [[3]], [[4]]]), np.arange(1, 9).reshape(4, 2, 1, 1)
    output = conv_transpose2d(images, kernels, groups=2)
    # channels 1 and 2 meet [[1, 2], [3, 4]], channels 3 and 4 meet [[5, 6], [7, 8]]
    assert output.ravel().tolist() == [1 + 6, 2 + 8, 15 + 28, 18 + 32]


def test_a_bias_is_added_to_every_pixel_also_where_nothing_was_stamped():
    painted = conv_transpose2d([[[1]]], [[[[1]], [[2]]]], [10, 20], stride=2, output_padding=1)
    assert painted.tolist() == [[[11, 10], [10, 10]], [[22, 20], [20, 20]]]
    assert conv_transpose2d([[1]], [[1]], 5).tolist() == [[6]]


def test_the_canvas_is_as_large_as_it_is_told():
    painted = stamp(
        ones((1, 1, 2, 2)), ones((1, 1, 1, 1)), (4, 6), stride=(2, 3), dilation=(1, 1), groups=1
    )
    assert painted[0, 0].tolist() == [[1, 0, 0, 1, 0, 0], [0] * 6, [1, 0, 0, 1, 0, 0], [0] * 6]


def test_the_dtype_is_that_of_all_inputs_together():
    image, kernel = ones((2, 2), "f4"), ones((2, 2), "f4")
    assert conv_transpose2d(image, kernel).dtype == np.float32
    assert conv_transpose2d(image, kernel, 0.5).dtype == np.float32
    assert conv_transpose2d(image.astype("u1"), kernel).dtype == np.float32
    assert conv_transpose2d(image.astype(int), kernel.astype(int)).dtype == np.int64


# --- laws -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"stride": 2, "padding": 1},
        {"stride": (2, 3), "dilation": (2, 1), "padding": (0, 2)},
        {"groups": 2, "stride": 2},
    ],
)
def test_it_is_the_adjoint_of_convolution(rng, options):
    """<conv(x), y> = <x, conv_T(y)> for all x and y, with the same kernels."""
    x = rng.integers(-9, 10, (2, 4, 7, 9))
    kernels = rng.integers(-9, 10, (6, 4 // options.get("groups", 1), 3, 3))
    convolved = conv2d(x, kernels, **options)
    y = rng.integers(-9, 10, convolved.shape)
    missing = [
        size - conv_transpose2d(y, kernels, **options).shape[axis]
        for axis, size in ((2, 7), (3, 9))
    ]
    back = conv_transpose2d(y, kernels, **options, output_padding=tuple(missing))
    assert (convolved * y).sum() == (x * back).sum()


# --- against torch --------------------------------------------------------------------------------


def pick(rng, *choices):
    return choices[rng.integers(len(choices))]


def side(rng, *choices):
    return pick(rng, *choices) if rng.random() < 0.5 else (pick(rng, *choices), pick(rng, *choices))


def random_setting(rng):
    """Images, kernels, bias and options; about one in six is refused."""
    groups = pick(rng, 1, 1, 2, 3)
    channels, each = groups * pick(rng, 1, 2), pick(rng, 1, 2, 3)
    shape = [pick(rng, 1, 2), channels, *rng.integers(1, 6, 2)]
    kernel_shape = [channels, each, *rng.integers(1, 5, 2)]
    options = {
        "stride": side(rng, 1, 2, 3),
        "padding": side(rng, 0, 0, 0, 1),
        "output_padding": side(rng, 0, 0, 0, 0, 0, 1),
        "dilation": side(rng, 1, 1, 2),
        "groups": groups,
    }
    bias_shape = pick(rng, None, [groups * each])
    if rng.random() < 0.04:
        name = pick(rng, *options)
        options[name] = pick(rng, -1, 0, (2, -1), (2, 2, 2)) if name != "groups" else 4
    elif rng.random() < 0.04:
        pick(rng, kernel_shape, shape)[rng.integers(4)] += 1
    elif rng.random() < 0.02:
        kernel_shape[rng.integers(4)] = 0
    dtype = pick(rng, *DTYPES)
    arrays = [
        None if size is None else rng.integers(-50, 51, size).astype(dtype)
        for size in (shape, kernel_shape, bias_shape)
    ]
    if shape[0] == 1 and rng.random() < 0.5:
        arrays[0] = arrays[0][0]
    return arrays, options


def compare(arrays, options):
    """(what differs in words, whether torch refuses)."""
    tensors = [None if array is None else torch.tensor(array) for array in arrays]
    try:
        theirs = F.conv_transpose2d(*tensors, **options).numpy()
        if not theirs.size:  # oneDNN returns it empty (float32, two images), the rest of torch not
            raise ValueError("no pixel is left")
    except (RuntimeError, ValueError, IndexError):
        try:
            conv_transpose2d(*arrays, **options)
        except ValueError:
            return "", True
        return "torch refuses, we do not", True
    try:
        ours = conv_transpose2d(*arrays, **options)
    except ValueError as error:
        return f"torch accepts, we refuse: {error}", False
    if (ours.shape, ours.dtype) != (theirs.shape, theirs.dtype):
        return f"ours is {ours.dtype} {ours.shape}, torch's {theirs.dtype} {theirs.shape}", False
    worst = np.abs(ours - theirs).max(initial=0)
    return (f"differs by {worst}" if worst > TOLERANCE[ours.dtype.name] else ""), False


@pytest.mark.parametrize("part", range(4))
def test_five_hundred_random_settings_agree_with_torch(part):
    rng = np.random.default_rng(part)
    mismatches, refusals = [], 0
    for _ in range(500):
        arrays, options = random_setting(rng)
        words, refusal = compare(arrays, options)
        if words:
            mismatches.append(f"{[np.shape(array) for array in arrays]}, {options}: {words}")
        refusals += refusal
    assert not mismatches, f"{len(mismatches)} of 500 settings differ; the first: {mismatches[0]}"
    assert 50 < refusals < 150


def test_an_empty_batch_stays_empty():
    output = conv_transpose2d(ones((0, 2, 3, 3)), ones((2, 3, 3, 3)), stride=2)
    assert (
        output.shape
        == F.conv_transpose2d(torch.ones(0, 2, 3, 3), torch.ones(2, 3, 3, 3), stride=2).shape
    )


# --- what is refused ------------------------------------------------------------------------------


def call(shape=(3, 3), kernel=(3, 3), bias=None, dtype=float, **options):
    return lambda: conv_transpose2d(ones(shape, dtype), ones(kernel, dtype), bias, **options)


def whole(argument, came, least=1):
    rule = f"must be a whole number, {least} or more"
    return f"{argument}={came!r}: {rule}. Try: {argument}={least}."


LAYOUT = "images with channels take kernels (in_channels, out_channels // groups, h, w)"
BAD = [
    (call(stride=0), whole("stride", 0), call(stride=1)),
    (call(stride=(2, 0)), whole("stride", 0), call(stride=(2, 1))),
    (call(dilation=0), whole("dilation", 0), call(dilation=1)),
    (call(padding=-1), whole("padding", -1, 0), call(padding=0)),
    (call(padding="same"), whole("padding", "same", 0), call(padding=0)),
    (call(output_padding=-1), whole("output_padding", -1, 0), call(output_padding=0)),
    (
        call(stride=(1, 2, 3)),
        "stride=(1, 2, 3): must be one number or a pair, (height, width). Try: stride=1.",
        call(stride=1),
    ),
    (
        call(output_padding=1),
        "output_padding=1: must be smaller than stride=1 or dilation=1. Try: output_padding=0.",
        call(output_padding=0),
    ),
    (
        call(output_padding=(1, 2), stride=2),
        "output_padding=2: must be smaller than stride=2 or dilation=1. Try: output_padding=1.",
        call(output_padding=1, stride=2),
    ),
    (
        call((1, 3), padding=2),
        "padding=2: takes 4 px from an output of 3 px, and nothing is left. Try: padding=1.",
        call((1, 3), padding=1),
    ),
    (
        call((2, 3, 3), (2, 1, 3, 3), groups=0),
        whole("groups", 0),
        call((2, 3, 3), (2, 1, 3, 3), groups=1),
    ),
    (
        call((4, 3, 3), (4, 1, 3, 3), groups=6),
        "groups=6: must divide the number of input channels, 4. Try: groups=2.",
        call((4, 3, 3), (4, 1, 3, 3), groups=2),
    ),
    (
        call((2, 3, 3), (3, 1, 3, 3)),
        "images (2, 3, 3): kernels (3, 1, 3, 3) read 3 channels, not 2. "
        "Try: images with 3 channels.",
        call((3, 3, 3), (3, 1, 3, 3)),
    ),
    (
        call((28, 28, 3), (3, 1, 3, 3)),
        "images (28, 28, 3): looks like channels-last; this course uses channels-first. "
        "Try: images.transpose(2, 0, 1).",
        lambda: conv_transpose2d(ones((28, 28, 3)).transpose(2, 0, 1), ones((3, 1, 3, 3))),
    ),
    (
        call((2, 3, 3), (3, 3)),
        f"kernels (3, 3): {LAYOUT}. Try: np.tile(kernels, (2, 1, 1, 1)) and groups=2.",
        call((2, 3, 3), (2, 1, 3, 3), groups=2),
    ),
    (
        call((3, 3), (1, 1, 3, 3)),
        "kernels (1, 1, 3, 3): an image (H, W) has no channels and takes one kernel (h, w). "
        "Try: images[None].",
        call((1, 3, 3), (1, 1, 3, 3)),
    ),
    (
        call((2, 3, 3), (2, 0, 3, 3)),
        "kernels (2, 0, 3, 3): must have at least one weight. Try: np.ones((2, 1, 3, 3)).",
        call((2, 3, 3), (2, 1, 3, 3)),
    ),
    (
        call((2, 3, 3), (2, 2, 3, 3), ones(2), groups=2),
        "bias (2,): must have shape (4,), a number for each output channel. Try: np.zeros((4,)).",
        call((2, 3, 3), (2, 2, 3, 3), np.zeros((4,)), groups=2),
    ),
    (
        call(dtype="u1"),
        "images of dtype uint8: sums of products wrap around in uint8. Try: images.astype(float).",
        lambda: conv_transpose2d(ones((3, 3)), ones((3, 3), "u1")),
    ),
    (
        call((0, 3)),
        "images (0, 3): only the batch may be empty. Try: np.zeros((1, 3)).",
        call((1, 3)),
    ),
    (
        lambda: conv_transpose2d([[1], [1, 2]], ones((3, 3))),
        "images: its rows are not equally long. Try: np.zeros((3, 3)).",
        call(),
    ),
]


@pytest.mark.parametrize(("call", "sentence"), [row[:2] for row in BAD])
def test_a_refusal_says_what_came_the_rule_and_what_to_type(refused, call, sentence):
    with refused(sentence):
        call()


@pytest.mark.parametrize("mended", [row[2] for row in BAD])
def test_what_a_refusal_says_to_type_works(mended):
    assert mended().size
