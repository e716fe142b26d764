import numpy as np
import pytest

from cnncourse.ops.checks import as_array, as_images, as_shape, check_above_zero, check_dtype


@pytest.mark.parametrize("shape", [(2, 3), (4, 2, 3), (5, 4, 2, 3), (0, 4, 2, 3)])
def test_images_come_alone_with_channels_or_in_a_batch_which_may_be_empty(shape):
    images = np.zeros(shape)
    assert as_images("images", images) is images


def test_nested_lists_are_images_too():
    assert as_images("images", [[1, 2], [3, 4]]).tolist() == [[1, 2], [3, 4]]


@pytest.mark.parametrize("dtype", ["uint8", "int16", "int64", "float16", "float32", "float64"])
def test_integers_and_floats_are_numbers(dtype):
    assert as_images("images", np.ones((2, 2), dtype)).dtype == dtype


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_where_floats_are_needed_every_width_will_do(dtype):
    assert as_images("images", np.ones((2, 2), dtype), floating=True).dtype == dtype


AXES = "must be (H, W), (C, H, W) or (N, C, H, W)"
BAD_IMAGES = [
    (np.float64(3), False, f"images (): {AXES}. Try: np.atleast_2d(images)."),
    (np.zeros(5), False, f"images (5,): {AXES}. Try: np.atleast_2d(images)."),
    (np.zeros((1, 2, 3, 4, 5)), False, f"images (1, 2, 3, 4, 5): {AXES}. Try: images[0]."),
    (np.zeros((0, 3)), False, "images (0, 3): only the batch may be empty. Try: np.zeros((1, 3))."),
    (
        np.zeros((2, 3, 0)),
        False,
        "images (2, 3, 0): only the batch may be empty. Try: np.zeros((2, 3, 1)).",
    ),
    (
        np.zeros((0, 3, 4)),
        False,
        "images (0, 3, 4): only the batch may be empty. Try: np.zeros((1, 3, 4)).",
    ),
    (
        np.zeros((0, 0, 5, 4)),
        False,
        "images (0, 0, 5, 4): only the batch may be empty. Try: np.zeros((0, 1, 5, 4)).",
    ),
    (
        np.ones((2, 2), bool),
        False,
        "images of dtype bool: must be integers or floats. Try: images.astype(float).",
    ),
    (
        np.ones((2, 2), complex),
        False,
        "images of dtype complex128: must be integers or floats. Try: images.real.",
    ),
    (
        np.full((2, 2), "7"),
        False,
        "images of dtype <U1: must be integers or floats. Try: images.astype(float).",
    ),
    (
        np.ones((2, 2), object),
        False,
        "images of dtype object: must be integers or floats. Try: images.astype(float).",
    ),
    (
        np.ones((2, 2), int),
        True,
        "images of dtype int64: must be floats. Try: images.astype(float).",
    ),
    (
        np.ones((2, 2), np.uint8),
        True,
        "images of dtype uint8: must be floats. Try: images.astype(float).",
    ),
]


@pytest.mark.parametrize(("images", "floating", "sentence"), BAD_IMAGES)
def test_what_is_no_image_is_refused_with_a_way_out_that_works(refused, images, floating, sentence):
    with refused(sentence):
        as_images("images", images, floating=floating)
    mended = eval(sentence.split("Try: ")[1].removesuffix("."), {"np": np, "images": images})
    assert as_images("images", mended, floating=floating) is mended


def test_rows_of_unequal_length_are_no_array(refused):
    with refused("images: its rows are not equally long. Try: np.zeros((3, 3)).") as caught:
        as_array("images", [[1, 2], [3]])
    assert isinstance(caught.value.__cause__, ValueError)


def test_the_argument_is_called_by_its_name(refused):
    with refused("weight of dtype int64: must be floats. Try: weight.astype(float)."):
        check_dtype("weight", np.ones(3, int), floating=True)


def test_an_array_of_the_right_shape_comes_back_as_it_is():
    weight = np.ones((2, 3))
    assert as_shape("weight", weight, (2, 3), "unused") is weight
    assert as_shape("weight", [1.0, 2.0], (2,), "unused").tolist() == [1, 2]


@pytest.mark.parametrize(
    ("came", "sentence"),
    [
        (np.ones(3), "bias (3,): must fit, (2,). Try: np.ones((2,))."),
        (1.0, "bias (): must fit, (2,). Try: np.ones((2,))."),
        (np.ones(2, int), "bias of dtype int64: must be floats. Try: bias.astype(float)."),
        ([[1.0], [1.0, 2.0]], "bias: its rows are not equally long. Try: np.zeros((3, 3))."),
    ],
)
def test_an_array_of_another_shape_or_of_integers_is_refused(refused, came, sentence):
    with refused(sentence):
        as_shape("bias", came, (2,), "must fit")


@pytest.mark.parametrize("came", [1, 0.5, 1e-300, np.float32(2), np.int64(1), float("inf")])
def test_numbers_above_zero_pass(came):
    check_above_zero("eps", came, attempt=1e-5)


@pytest.mark.parametrize("came", [0, -1.0, float("nan"), True, "1", None, 1j])
def test_what_is_not_above_zero_is_refused(refused, came):
    with refused(f"eps={came!r}: must be a number above 0. Try: eps=1e-05."):
        check_above_zero("eps", came, attempt=1e-5)
