"""Gradients of a convolution: on paper, by finite differences, and against autograd."""

import numpy as np
import pytest
import torch
from numpy import ones
from torch import nn

from cnncourse.ops import conv2d, conv2d_backward

MODES = ["zeros", "reflect", "replicate", "circular"]


# --- by hand --------------------------------------------------------------------------------------


def test_a_weight_collects_the_pixels_it_met_and_a_pixel_the_weights():
    images, kernels = np.array([[1.0, 2, 3]]), np.array([[10.0, 20]])
    gradients = conv2d_backward([[1.0, 100]], images, kernels)
    # output 0 is 1 * 10 + 2 * 20, output 1 is 2 * 10 + 3 * 20
    assert gradients.kernels.tolist() == [[1 * 1 + 100 * 2, 1 * 2 + 100 * 3]]
    assert gradients.images.tolist() == [[10, 20 + 1000, 2000]]
    assert gradients.bias == 101


def test_of_a_pixel_that_padding_repeats_every_copy_counts():
    options = {"padding": (0, 1), "padding_mode": "replicate"}
    gradients = conv2d_backward([[1.0, 10]], [[3.0]], [[1.0, 100]], **options)
    assert gradients.images.tolist() == [[101 + 1010]]  # a row of three threes
    assert gradients.kernels.tolist() == [[33, 33]]


@pytest.mark.parametrize(
    ("shape", "kernel_shape", "bias_shape"),
    [((5, 6), (3, 2), ()), ((2, 5, 6), (4, 2, 3, 2), (4,)), ((3, 2, 5, 6), (4, 2, 3, 2), (4,))],
)
def test_every_gradient_has_the_shape_of_what_it_belongs_to(shape, kernel_shape, bias_shape):
    images, kernels = ones(shape), ones(kernel_shape)
    gradients = conv2d_backward(ones(conv2d(images, kernels).shape), images, kernels)
    assert [part.shape for part in gradients] == [shape, kernel_shape, bias_shape]
    assert gradients._fields == ("images", "kernels", "bias")


def test_float32_stays_float32():
    grad, images, kernels = ones((2, 2), "f4"), ones((4, 4), "f4"), ones((3, 3), "f4")
    gradients = conv2d_backward(grad, images, kernels)
    assert {part.dtype.name for part in gradients} == {"float32"}


# --- by finite differences ------------------------------------------------------------------------


def numerical(function, array, step=1e-6):
    """Slope of function along every entry of array, by central differences."""
    slopes = np.zeros_like(array)
    for place in np.ndindex(array.shape):
        nudge = np.zeros_like(array)
        nudge[place] = step
        slopes[place] = (function(array + nudge) - function(array - nudge)) / (2 * step)
    return slopes


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"stride": 2, "padding": 1},
        {"groups": 2, "dilation": (1, 2), "padding": "same", "padding_mode": "circular"},
    ],
)
def test_the_gradients_are_the_slopes_of_the_loss(rng, options):
    images = rng.normal(size=(2, 4, 4, 5))
    kernels = rng.normal(size=(2, 4 // options.get("groups", 1), 2, 3))
    bias = rng.normal(size=2)
    grad = rng.normal(size=conv2d(images, kernels, **options).shape)
    gradients = conv2d_backward(grad, images, kernels, **options)

    def loss(images=images, kernels=kernels, bias=bias):
        return (grad * conv2d(images, kernels, bias, **options)).sum()

    slopes = [
        numerical(lambda array: loss(images=array), images),
        numerical(lambda array: loss(kernels=array), kernels),
        numerical(lambda array: loss(bias=array), bias),
    ]
    for gradient, slope in zip(gradients, slopes, strict=True):
        np.testing.assert_allclose(gradient, slope, atol=1e-6)


# --- against autograd -----------------------------------------------------------------------------


def pick(rng, *choices):
    return choices[rng.integers(len(choices))]


def random_setting(rng):
    """Shape of images and options of a convolution that torch accepts."""
    groups = pick(rng, 1, 1, 2, 3)
    options = {
        "padding": pick(rng, 0, 1, (2, 1), "same", "valid"),
        "dilation": pick(rng, 1, 1, 2, (1, 2)),
        "groups": groups,
        "padding_mode": pick(rng, *MODES),
    }
    options["stride"] = 1 if options["padding"] == "same" else pick(rng, 1, 2, (2, 1), (1, 3))
    shape = (pick(rng, 1, 2), groups * pick(rng, 1, 2), *rng.integers(6, 9, 2))
    return shape, groups * pick(rng, 1, 2), pick(rng, 1, (2, 3), 3, (1, 2)), options


@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel")
@pytest.mark.parametrize("part", range(4))
def test_a_hundred_random_settings_agree_with_autograd(part):
    rng = np.random.default_rng(part)
    for _ in range(100):
        shape, out_channels, kernel_size, options = random_setting(rng)
        layer = nn.Conv2d(shape[1], out_channels, kernel_size, **options, dtype=torch.float64)
        images = torch.tensor(rng.normal(size=shape), requires_grad=True)
        output = layer(images)
        grad = rng.normal(size=output.shape)
        output.backward(torch.tensor(grad))
        kernels = layer.weight.detach().numpy()
        ours = conv2d_backward(grad, images.detach().numpy(), kernels, **options)
        theirs = images.grad, layer.weight.grad, layer.bias.grad
        for name, one, other in zip(ours._fields, ours, theirs, strict=True):
            assert one.shape == tuple(other.shape)
            message = f"{name} of {shape}, {kernels.shape}, {options}"
            np.testing.assert_allclose(one, other, rtol=0, atol=1e-10, err_msg=message)
            assert one.dtype == np.float64


# --- what is refused ------------------------------------------------------------------------------


def call(grad=(2, 2), kernel=(3, 3), grad_dtype=float, dtype=float, **options):
    arrays = ones(grad, grad_dtype), ones((4, 4), dtype), ones(kernel, dtype)
    return lambda: conv2d_backward(*arrays, **options)


BAD = [
    (
        call((3, 3)),
        "grad_output (3, 3): must have the shape of the output, (2, 2). Try: np.ones((2, 2)).",
        call((2, 2)),
    ),
    (
        call((1, 1, 2, 2)),
        "grad_output (1, 1, 2, 2): must have the shape of the output, (2, 2). "
        "Try: np.ones((2, 2)).",
        call((2, 2)),
    ),
    (
        call(grad_dtype=int),
        "grad_output of dtype int64: must be floats. Try: grad_output.astype(float).",
        call(),
    ),
    (
        call(kernel=(5, 5)),
        "kernel (5, 5) on image (4, 4): the window is larger than the padded image. "
        "Try: padding=1, or a kernel of at most 4x4.",
        call(kernel=(5, 5), padding=1),
    ),
    (
        call(stride=0),
        "stride=0: must be a whole number, 1 or more. Try: stride=1.",
        call(stride=1),
    ),
    (
        call(padding=4, padding_mode="reflect"),
        "padding=4 on image (4, 4): reflect padding copies pixels of the image, at most 3 here. "
        "Try: padding_mode='zeros'.",
        call((10, 10), padding=4, padding_mode="zeros"),
    ),
    (
        call(groups=2),
        "groups=2: must divide the number of kernels, 1. Try: groups=1.",
        call(groups=1),
    ),
    (
        call(dtype="u1"),
        "images of dtype uint8: sums of products wrap around in uint8. Try: images.astype(float).",
        call(),
    ),
]


@pytest.mark.parametrize(("call", "sentence"), [row[:2] for row in BAD])
def test_a_refusal_says_what_came_the_rule_and_what_to_type(refused, call, sentence):
    with refused(sentence):
        call()


@pytest.mark.parametrize("mended", [row[2] for row in BAD])
def test_what_a_refusal_says_to_type_works(mended):
    assert mended().images.shape == (4, 4)
