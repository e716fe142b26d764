import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import ndimage, signal
from skimage import filters as reference

from cnncourse import filters

RAMP = np.tile(np.arange(7.0), (7, 1))  # grows by 1 a pixel to the right
SIZES = st.integers(1, 12)
SIGMAS = st.floats(0.3, 6)


def answer(image, kernel):
    """Cross-correlation where the kernel lies whole on the image; scipy's."""
    return signal.correlate2d(image, kernel, mode="valid")


def test_the_small_kernels_digit_by_digit():
    assert filters.IDENTITY.tolist() == [[0, 0, 0], [0, 1, 0], [0, 0, 0]]
    assert filters.SOBEL_X.tolist() == [[-1, 0, 1], [-2, 0, 2], [-1, 0, 1]]
    assert filters.SOBEL_Y.tolist() == [[-1, -2, -1], [0, 0, 0], [1, 2, 1]]
    assert filters.SCHARR_X.tolist() == [[-3, 0, 3], [-10, 0, 10], [-3, 0, 3]]
    assert filters.SCHARR_Y.tolist() == [[-3, -10, -3], [0, 0, 0], [3, 10, 3]]
    assert filters.PREWITT_X.tolist() == [[-1, 0, 1], [-1, 0, 1], [-1, 0, 1]]
    assert filters.PREWITT_Y.tolist() == [[-1, -1, -1], [0, 0, 0], [1, 1, 1]]
    assert filters.LAPLACIAN.tolist() == [[0, 1, 0], [1, -4, 1], [0, 1, 0]]
    assert filters.LAPLACIAN_8.tolist() == [[1, 1, 1], [1, -8, 1], [1, 1, 1]]
    assert filters.SHARPEN.tolist() == [[0, -1, 0], [-1, 5, -1], [0, -1, 0]]
    assert filters.EMBOSS.tolist() == [[-2, -1, 0], [-1, 1, 1], [0, 1, 2]]


@pytest.mark.parametrize(("name", "slope"), [("SOBEL", 8), ("SCHARR", 32), ("PREWITT", 6)])
def test_x_is_positive_where_brightness_grows_to_the_right_and_y_downwards(name, slope):
    x, y = getattr(filters, f"{name}_X"), getattr(filters, f"{name}_Y")
    assert (answer(RAMP, x) == slope).all()
    assert (answer(RAMP.T, y) == slope).all()
    assert (answer(RAMP, y) == 0).all()
    assert (answer(RAMP[:, ::-1], x) == -slope).all()


@pytest.mark.parametrize(
    ("kernel", "theirs", "scale"),
    [
        (filters.SOBEL_X, reference.sobel_v, 4),
        (filters.SOBEL_Y, reference.sobel_h, 4),
        (filters.SCHARR_X, reference.scharr_v, 16),
        (filters.SCHARR_Y, reference.scharr_h, 16),
        (filters.PREWITT_X, reference.prewitt_v, 3),
        (filters.PREWITT_Y, reference.prewitt_h, 3),
        (filters.LAPLACIAN, lambda image: -reference.laplace(image), 1),
    ],
)
def test_edges_are_scikit_images_up_to_its_scale(rng, kernel, theirs, scale):
    image = rng.normal(size=(9, 8))
    expected = theirs(image)[1:-1, 1:-1] * scale
    np.testing.assert_allclose(answer(image, kernel), expected, atol=1e-12)


def test_the_laplacian_is_scipys_and_positive_on_a_dark_dot(rng):
    image = rng.normal(size=(6, 9))
    expected = ndimage.laplace(image)[1:-1, 1:-1]
    np.testing.assert_allclose(answer(image, filters.LAPLACIAN), expected, atol=1e-12)
    dot = 1 - filters.IDENTITY
    assert answer(dot, filters.LAPLACIAN) == [[4]]
    assert answer(dot, filters.LAPLACIAN_8) == [[8]]


@pytest.mark.parametrize("name", list(filters.NAMED))
def test_a_named_kernel_is_float64_odd_and_write_protected(name):
    kernel = filters.NAMED[name]
    assert kernel.dtype == np.float64
    assert kernel.shape[0] == kernel.shape[1]
    assert kernel.shape[0] % 2 == 1
    with pytest.raises(ValueError, match="read-only"):
        kernel[0, 0] = 7


KEEPS_FLAT = ["identity", "box 3", "box 7", "gaussian 5", "gaussian 9", "motion blur", "sharpen"]
KEEPS_FLAT += ["unsharp", "emboss"]
GABOR_LINE = 0.7934700643518108  # a cosine under a bell keeps a little: 2 % of its absolute sum


@pytest.mark.parametrize("name", list(filters.NAMED))
def test_flat_brightness_stays_or_goes(name):
    expected = 1.0 if name in KEEPS_FLAT else GABOR_LINE if name == "gabor line" else 0.0
    assert filters.NAMED[name].sum() == pytest.approx(expected, abs=1e-14)


def test_the_gallery_holds_each_kernel_under_its_own_name():
    gallery = {
        "identity": filters.IDENTITY,
        "box 3": filters.box(3),
        "box 7": filters.box(7),
        "gaussian 5": filters.gaussian(5, sigma=1.0),
        "gaussian 9": filters.gaussian(9, sigma=1.5),
        "motion blur": filters.motion_blur(9, angle_deg=45),
        "sharpen": filters.SHARPEN,
        "unsharp": filters.unsharp(9, sigma=1.5, amount=1),
        "emboss": filters.EMBOSS,
        "sobel x": filters.SOBEL_X,
        "sobel y": filters.SOBEL_Y,
        "scharr x": filters.SCHARR_X,
        "scharr y": filters.SCHARR_Y,
        "prewitt x": filters.PREWITT_X,
        "prewitt y": filters.PREWITT_Y,
        "laplacian": filters.LAPLACIAN,
        "laplacian 8": filters.LAPLACIAN_8,
        "log": filters.log(9, sigma=1.4),
        "dog": filters.dog(9, sigma=1.4),
        "gabor line": filters.gabor(15, wavelength_px=6, angle_deg=0, sigma=3),
        "gabor edge": filters.gabor(15, wavelength_px=6, angle_deg=0, sigma=3, phase_deg=-90),
    }
    assert list(filters.NAMED) == list(gallery)
    for name, kernel in gallery.items():
        np.testing.assert_array_equal(filters.NAMED[name], kernel, err_msg=name)


def test_a_built_kernel_is_the_readers_to_change():
    for kernel in (filters.box(3), filters.gaussian(3, sigma=1.0), filters.log(3, sigma=1.0)):
        kernel[0, 0] = 7


def test_a_box_is_scipys_mean(rng):
    assert filters.box(2).tolist() == [[0.25, 0.25], [0.25, 0.25]]
    image = rng.normal(size=(9, 9))
    expected = ndimage.uniform_filter(image, 5)[2:-2, 2:-2]
    np.testing.assert_allclose(answer(image, filters.box(5)), expected, atol=1e-12)


def test_a_gaussian_by_hand():
    e = math.exp(-0.5)  # one pixel from the middle at sigma 1
    expected = np.array([[e * e, e, e * e], [e, 1, e], [e * e, e, e * e]]) / (1 + 2 * e) ** 2
    np.testing.assert_allclose(filters.gaussian(3, sigma=1.0), expected, atol=1e-15)
    wider = math.exp(-1 / 8)  # one pixel at sigma 2: half a sigma
    assert filters.gaussian(3, sigma=2.0)[0, 1] == pytest.approx(wider / (1 + 2 * wider) ** 2)


def test_a_gaussian_is_scipys(rng):
    image = rng.normal(size=(11, 11))
    expected = ndimage.gaussian_filter(image, 1.2, radius=3)[3:-3, 3:-3]
    np.testing.assert_allclose(answer(image, filters.gaussian(7, sigma=1.2)), expected, atol=1e-12)


@given(SIZES, SIGMAS)
def test_a_gaussian_sums_to_1_is_round_and_falls_from_the_middle(size, sigma):
    kernel = filters.gaussian(size, sigma=sigma)
    assert kernel.shape == (size, size)
    assert kernel.sum() == pytest.approx(1)
    np.testing.assert_allclose(kernel, np.rot90(kernel), atol=1e-15)
    row = kernel[size // 2, size // 2 :]
    assert (np.diff(row) <= 0).all()


def test_log_by_hand():
    e = math.exp(-0.5)
    total = (1 + 2 * e) ** 2
    middle, side, corner = -2 / total, -e / total, 0.0  # r^2 - 2 at r = 0, 1 and sqrt 2
    mean = (middle + 4 * side + 4 * corner) / 9
    expected = np.array([[corner, side, corner], [side, middle, side], [corner, side, corner]])
    np.testing.assert_allclose(filters.log(3, sigma=1.0), expected - mean, atol=1e-15)


@pytest.mark.parametrize("sigma", [1.5, 2.0])
def test_log_is_scipys_laplacian_of_a_gaussian(sigma):
    image = np.zeros((41, 41))
    image[20, 20] = 1.0
    size = int(12 * sigma) + 1
    expected = ndimage.gaussian_laplace(image, sigma, truncate=6)
    expected = expected[20 - size // 2 : 21 + size // 2, 20 - size // 2 : 21 + size // 2]
    ours = filters.log(size, sigma=sigma)
    np.testing.assert_allclose(ours, expected, atol=0.01 * np.abs(ours).max())
    assert ours[size // 2, size // 2] == ours.min() < 0


@given(st.integers(3, 13), SIGMAS)
def test_log_and_dog_sum_to_0_and_are_round(size, sigma):
    for kernel in (filters.log(size, sigma=sigma), filters.dog(size, sigma=sigma)):
        assert kernel.shape == (size, size)
        assert kernel.sum() == pytest.approx(0, abs=1e-12)
        np.testing.assert_allclose(kernel, np.rot90(kernel), atol=1e-12)


def test_dog_is_the_wide_less_the_narrow():
    narrow, wide = filters.gaussian(7, sigma=1.0), filters.gaussian(7, sigma=2.0)
    np.testing.assert_allclose(filters.dog(7, sigma=1.0, ratio=2.0), wide - narrow, atol=1e-16)
    wide = filters.gaussian(7, sigma=1.6)
    np.testing.assert_allclose(filters.dog(7, sigma=1.0), wide - narrow, atol=1e-16)


def test_dog_is_minus_scikit_images(rng):
    image = rng.normal(size=(41, 41))
    theirs = reference.difference_of_gaussians(image, 1.0, 1.6, truncate=6)[9:-9, 9:-9]
    ours = answer(image, filters.dog(19, sigma=1.0))
    np.testing.assert_allclose(ours, -theirs, atol=1e-6)


def test_dog_is_nearly_log_where_the_two_bells_are_nearly_one():
    dog, log = filters.dog(21, sigma=2.0, ratio=1.02), filters.log(21, sigma=2.0)
    expected = (1.02 - 1) * 2.0**2 * log
    np.testing.assert_allclose(dog, expected, atol=0.03 * np.abs(expected).max())


def test_with_ratio_1_6_dog_has_the_shape_of_log():
    dog, log = filters.dog(25, sigma=2.0), filters.log(25, sigma=2.0 * 1.6**0.5)
    angle = (dog * log).sum() / np.linalg.norm(dog) / np.linalg.norm(log)
    assert angle > 0.98


def test_a_gabor_by_hand():
    kernel = filters.gabor(3, wavelength_px=4, angle_deg=0, sigma=1.0)
    e = math.exp(-0.5)  # the wave is 1 in the middle column and 0 a quarter of its length away
    np.testing.assert_allclose(kernel, [[0, e, 0], [0, 1, 0], [0, e, 0]], atol=1e-15)
    edge = filters.gabor(3, wavelength_px=4, angle_deg=0, sigma=1.0, phase_deg=-90)
    expected = np.array([[-e * e, 0, e * e], [-e, 0, e], [-e * e, 0, e * e]])
    np.testing.assert_allclose(edge, expected, atol=1e-15)
    assert (edge * filters.SOBEL_X).sum() > 0


def test_a_gabor_with_aspect_one_half_is_twice_as_long_as_wide():
    kernel = filters.gabor(9, wavelength_px=1000, angle_deg=0, sigma=2.0, aspect=0.5)
    assert kernel[8, 4] == pytest.approx(math.exp(-0.5))  # 4 px down, 2 sigma wide
    assert kernel[4, 6] == pytest.approx(math.exp(-0.5), abs=1e-3)  # 2 px to the right, sigma
    tall = filters.gabor(9, wavelength_px=1000, angle_deg=0, sigma=2.0, aspect=2.0)
    assert tall[5, 4] == pytest.approx(math.exp(-0.5))  # 1 px down


@pytest.mark.parametrize("angle_deg", [0, 30, 90, 135, -20])
@pytest.mark.parametrize("phase_deg", [0, -90, 25])
def test_a_gabor_is_scikit_images_up_to_its_scale(angle_deg, phase_deg):
    theirs = reference.gabor_kernel(
        1 / 5.0,
        theta=math.radians(angle_deg),
        sigma_x=1.5,
        sigma_y=1.5 / 0.7,
        offset=math.radians(phase_deg),
        n_stds=4,
    ).real
    middle = theirs.shape[0] // 2, theirs.shape[1] // 2
    theirs = theirs[middle[0] - 3 : middle[0] + 4, middle[1] - 3 : middle[1] + 4]
    ours = filters.gabor(
        7, wavelength_px=5.0, angle_deg=angle_deg, sigma=1.5, phase_deg=phase_deg, aspect=0.7
    )
    np.testing.assert_allclose(ours, theirs * (2 * math.pi * 1.5 * 1.5 / 0.7), atol=1e-12)


def test_a_gabor_answers_loudest_to_stripes_of_its_own_angle_and_wavelength():
    def stripes(angle_deg, wavelength_px):
        y, x = np.mgrid[-7:8, -7:8]
        angle = math.radians(angle_deg)
        along = x * math.cos(angle) + y * math.sin(angle)
        return np.cos(2 * np.pi * along / wavelength_px)

    kernel = filters.gabor(15, wavelength_px=5.0, angle_deg=30, sigma=2.5)
    angles = {angle: (kernel * stripes(angle, 5.0)).sum() for angle in range(0, 180, 10)}
    assert max(angles, key=angles.get) == 30
    lengths = {length: (kernel * stripes(30, length)).sum() for length in range(3, 12)}
    assert max(lengths, key=lengths.get) == 5


@given(st.integers(3, 9), st.floats(-400, 400))
def test_a_quarter_turn_of_the_angle_turns_the_gabor_clockwise(size, angle_deg):
    settings = {"wavelength_px": 4.0, "sigma": 1.5, "phase_deg": 20.0, "aspect": 0.6}
    here = filters.gabor(size, angle_deg=angle_deg, **settings)
    there = filters.gabor(size, angle_deg=angle_deg + 90, **settings)
    np.testing.assert_allclose(there, np.rot90(here, -1), atol=1e-9)


def test_a_streak_along_the_row_is_the_mean_of_the_row():
    assert filters.motion_blur(1, angle_deg=33).tolist() == [[1]]
    third = 1 / 3
    assert filters.motion_blur(3, angle_deg=0).tolist() == [[0] * 3, [third] * 3, [0] * 3]
    down = filters.motion_blur(5, angle_deg=90)
    assert down[:, 2].tolist() == [0.2] * 5
    assert down.sum() == pytest.approx(1)
    assert np.count_nonzero(down) == 5


def test_a_slanted_streak_falls_to_the_right_and_fades_over_one_pixel():
    kernel = filters.motion_blur(3, angle_deg=45)
    near = 1 - math.sqrt(0.5)  # from the line to the pixel beside the middle
    end = 2 - math.sqrt(2)  # from the line's end, 1 px out, to the corner
    expected = np.array([[end, near, 0], [near, 1, near], [0, near, end]])
    np.testing.assert_allclose(kernel, expected / expected.sum(), atol=1e-12)
    long = filters.motion_blur(7, angle_deg=45)
    assert long[0, 0] == 0  # the corner is 4.24 px out, the line ends at 3
    assert long[1, 1] / long[3, 3] == pytest.approx(1)


@given(st.integers(0, 5).map(lambda half: 2 * half + 1), st.floats(-720, 720))
def test_a_streak_sums_to_1_has_no_direction_and_turns_with_its_angle(size, angle_deg):
    kernel = filters.motion_blur(size, angle_deg=angle_deg)
    assert kernel.sum() == pytest.approx(1)
    assert (kernel >= 0).all()
    np.testing.assert_allclose(kernel, np.rot90(kernel, 2), atol=1e-12)
    turned = filters.motion_blur(size, angle_deg=angle_deg + 90)
    np.testing.assert_allclose(turned, np.rot90(kernel), atol=1e-9)


def test_unsharp_adds_what_the_gaussian_takes_away(rng):
    image = rng.normal(size=(9, 9))
    blurred = answer(image, filters.gaussian(5, sigma=1.0))
    sharp = answer(image, filters.unsharp(5, sigma=1.0, amount=2.5))
    expected = image[2:-2, 2:-2] + 2.5 * (image[2:-2, 2:-2] - blurred)
    np.testing.assert_allclose(sharp, expected, atol=1e-12)
    once = filters.unsharp(5, sigma=1.0, amount=1.0)
    np.testing.assert_array_equal(filters.unsharp(5, sigma=1.0), once)
    none = filters.unsharp(3, sigma=1.0, amount=0)
    np.testing.assert_array_equal(none, filters.IDENTITY)


def test_sobel_is_a_smoothing_column_and_a_differing_row():
    column, row, error = filters.separate(filters.SOBEL_X)
    np.testing.assert_allclose(column / column[0], [1, 2, 1], atol=1e-12)
    np.testing.assert_allclose(row / row[2], [-1, 0, 1], atol=1e-12)
    np.testing.assert_allclose(np.outer(column, row), filters.SOBEL_X, atol=1e-12)
    assert column[0] > 0
    assert np.linalg.norm(column) == pytest.approx(np.linalg.norm(row))
    assert error < 1e-15


def test_the_column_starts_positive_after_its_zeros():
    down = np.outer([0.0, 0.0, -3.0, 1.0], [1.0, -2.0])
    column, row, _ = filters.separate(down)
    assert column[2] > 0
    assert row[0] < 0 < row[1]
    np.testing.assert_allclose(np.outer(column, row), down, atol=1e-12)


@pytest.mark.parametrize("name", list(filters.NAMED))
def test_of_a_kernel_and_its_negative_only_the_row_changes_sign(name):
    positive, negative = (
        filters.separate(filters.NAMED[name]),
        filters.separate(-filters.NAMED[name]),
    )
    np.testing.assert_allclose(positive.column, negative.column, atol=1e-12)
    np.testing.assert_allclose(positive.row, -negative.row, atol=1e-12)
    filled = positive.column[np.abs(positive.column) > 1e-6]
    assert filled[0] > 0


def test_what_is_smaller_than_a_billionth_does_not_set_the_sign():
    assert filters.separate(np.array([[-1e-10], [1.0]])).column[1] > 0
    assert filters.separate(np.array([[-1e-8], [1.0]])).column[1] < 0


def test_a_gaussian_separates_into_twice_the_same_bell():
    column, row, error = filters.separate(filters.gaussian(5, sigma=1.0))
    np.testing.assert_allclose(column, row, atol=1e-12)
    np.testing.assert_allclose(column, ndimage.gaussian_filter1d([0, 0, 1.0, 0, 0], 1, radius=2))
    assert column.sum() == pytest.approx(1)
    assert error < 1e-15


@pytest.mark.parametrize(
    ("name", "error"),
    [("laplacian", 0.1005), ("laplacian 8", 0.2588), ("identity", 0), ("emboss", 0.6685)],
)
def test_what_one_pair_leaves_out(name, error):
    found = filters.separate(filters.NAMED[name])
    missing = filters.NAMED[name] - np.outer(found.column, found.row)
    assert found.error == pytest.approx(error, abs=1e-4)
    assert found.error == pytest.approx(
        np.linalg.norm(missing) / np.linalg.norm(filters.NAMED[name]), abs=1e-12
    )


def test_two_equal_diagonal_pixels_leave_half_the_energy_out():
    assert filters.separate(np.eye(2)).error == pytest.approx(math.sqrt(0.5))


@given(
    hnp.arrays(float, st.integers(1, 6), elements=st.floats(-9, 9, width=16)),
    hnp.arrays(float, st.integers(1, 6), elements=st.floats(-9, 9, width=16)),
)
def test_every_outer_product_separates_with_nothing_left(column, row):
    kernel = np.outer(column, row)
    found = filters.separate(kernel)
    assert found.column.shape == column.shape
    assert found.row.shape == row.shape
    assert found.error < 1e-12
    np.testing.assert_allclose(np.outer(found.column, found.row), kernel, atol=1e-12)


def test_zeros_are_separable_and_whole_numbers_and_large_ones_welcome():
    column, row, error = filters.separate(np.zeros((3, 2), dtype=int))
    assert (column.tolist(), row.tolist(), error) == ([0, 0, 0], [0, 0], 0)
    assert filters.separate(np.array([[True, False]])).row.tolist() == [1, 0]
    assert filters.separate(1e300 * filters.LAPLACIAN).error == pytest.approx(0.1005, abs=1e-4)
    assert filters.separate([[1, 2], [2, 4]]).error < 1e-15


WHOLE = "must be a whole number"
ODD = "must be odd, so that one pixel is the middle"
SIGMA = "must be a number from 0.1 to 1000. Try: sigma=1.0."
ANGLE = "must be a finite number, in degrees"
EXAMPLE = "Try: kernel=filters.SOBEL_X."
WAVE = {"wavelength_px": 6.0, "angle_deg": 0.0, "sigma": 2.0}
REFUSED = [
    (lambda: filters.box(0), f"size=0: {WHOLE}, 1 or more. Try: size=1."),
    (lambda: filters.box(2.5), f"size=2.5: {WHOLE}, 1 or more. Try: size=1."),
    (lambda: filters.gaussian(0, sigma=1.0), f"size=0: {WHOLE}, 1 or more. Try: size=1."),
    (lambda: filters.gaussian((3, 3), sigma=1.0), f"size=(3, 3): {WHOLE}, 1 or more. Try: size=1."),
    (lambda: filters.gaussian(5, sigma=0), f"sigma=0: {SIGMA}"),
    (lambda: filters.gaussian(5, sigma=-1.0), f"sigma=-1.0: {SIGMA}"),
    (lambda: filters.gaussian(5, sigma=0.0999), f"sigma=0.0999: {SIGMA}"),
    (lambda: filters.gaussian(5, sigma=1001), f"sigma=1001: {SIGMA}"),
    (lambda: filters.gaussian(5, sigma=math.nan), f"sigma=nan: {SIGMA}"),
    (lambda: filters.gaussian(5, sigma=True), f"sigma=True: {SIGMA}"),
    (lambda: filters.gaussian(5, sigma="1"), f"sigma='1': {SIGMA}"),
    (lambda: filters.log(2, sigma=1.0), f"size=2: {WHOLE}, 3 or more. Try: size=3."),
    (lambda: filters.log(5, sigma=None), f"sigma=None: {SIGMA}"),
    (lambda: filters.dog(2, sigma=1.0), f"size=2: {WHOLE}, 3 or more. Try: size=3."),
    (lambda: filters.dog(5, sigma=0), f"sigma=0: {SIGMA}"),
    (
        lambda: filters.dog(5, sigma=1.0, ratio=1.0),
        "ratio=1.0: must be a number from 1.01 to 10. Try: ratio=1.6.",
    ),
    (
        lambda: filters.dog(5, sigma=1.0, ratio=10.5),
        "ratio=10.5: must be a number from 1.01 to 10. Try: ratio=1.6.",
    ),
    (lambda: filters.gabor(2, **WAVE), f"size=2: {WHOLE}, 3 or more. Try: size=3."),
    (lambda: filters.gabor(7, **WAVE | {"sigma": 0}), f"sigma=0: {SIGMA}"),
    (
        lambda: filters.gabor(7, **WAVE | {"wavelength_px": 1.9}),
        "wavelength_px=1.9: must be a number from 2 to 1000. Try: wavelength_px=6.",
    ),
    (
        lambda: filters.gabor(7, **WAVE | {"wavelength_px": 1001}),
        "wavelength_px=1001: must be a number from 2 to 1000. Try: wavelength_px=6.",
    ),
    (
        lambda: filters.gabor(7, **WAVE | {"angle_deg": math.inf}),
        f"angle_deg=inf: {ANGLE}. Try: angle_deg=45.",
    ),
    (
        lambda: filters.gabor(7, **WAVE, phase_deg="90"),
        f"phase_deg='90': {ANGLE}. Try: phase_deg=45.",
    ),
    (
        lambda: filters.gabor(7, **WAVE, aspect=0),
        "aspect=0: must be a number from 0.1 to 10. Try: aspect=1.0.",
    ),
    (
        lambda: filters.gabor(7, **WAVE, aspect=10.1),
        "aspect=10.1: must be a number from 0.1 to 10. Try: aspect=1.0.",
    ),
    (
        lambda: filters.motion_blur(0, angle_deg=0),
        f"size=0: {WHOLE}, 1 or more. Try: size=1.",
    ),
    (lambda: filters.motion_blur(4, angle_deg=0), f"size=4: {ODD}. Try: size=5."),
    (
        lambda: filters.motion_blur(5, angle_deg=math.nan),
        f"angle_deg=nan: {ANGLE}. Try: angle_deg=45.",
    ),
    (
        lambda: filters.motion_blur(5, angle_deg=True),
        f"angle_deg=True: {ANGLE}. Try: angle_deg=45.",
    ),
    (lambda: filters.unsharp(1, sigma=1.0), f"size=1: {WHOLE}, 3 or more. Try: size=3."),
    (lambda: filters.unsharp(6, sigma=1.0), f"size=6: {ODD}. Try: size=7."),
    (lambda: filters.unsharp(5, sigma=0), f"sigma=0: {SIGMA}"),
    (
        lambda: filters.unsharp(5, sigma=1.0, amount=-0.5),
        "amount=-0.5: must be a number from 0 to 100. Try: amount=1.0.",
    ),
    (
        lambda: filters.unsharp(5, sigma=1.0, amount=101),
        "amount=101: must be a number from 0 to 100. Try: amount=1.0.",
    ),
    (
        lambda: filters.separate(np.zeros(3)),
        f"kernel (3,): must be (h, w), 1 px or more each. {EXAMPLE}",
    ),
    (
        lambda: filters.separate(np.zeros((1, 3, 3))),
        f"kernel (1, 3, 3): must be (h, w), 1 px or more each. {EXAMPLE}",
    ),
    (
        lambda: filters.separate(np.zeros((0, 3))),
        f"kernel (0, 3): must be (h, w), 1 px or more each. {EXAMPLE}",
    ),
    (
        lambda: filters.separate([[0, 1], [0, math.nan], [math.inf, 2]]),
        "kernel[1, 1]=nan: must be finite. Try: np.nan_to_num(kernel).",
    ),
    (
        lambda: filters.separate([[1, 2], [3]]),
        f"kernel: its rows must all have one length. {EXAMPLE}",
    ),
]


@pytest.mark.parametrize(("call", "sentence"), REFUSED, ids=[row[1] for row in REFUSED])
def test_what_makes_no_kernel_is_refused_in_words(refused, call, sentence):
    with refused(sentence):
        call()


@pytest.mark.parametrize(("came", "dtype"), [("sobel", "<U5"), (np.eye(2) * 1j, "complex128")])
def test_what_is_no_numbers_is_the_wrong_kind_of_thing(refused, came, dtype):
    sentence = f"kernel of dtype {dtype}: must hold real numbers. {EXAMPLE}"
    with refused(sentence, TypeError):
        filters.separate(came)


def test_the_ends_of_every_range_are_allowed():
    for sigma in (0.1, 1000):
        assert filters.gaussian(3, sigma=sigma).sum() == pytest.approx(1)
        assert filters.log(4, sigma=sigma).sum() == pytest.approx(0, abs=1e-9)
        for ratio in (1.01, 10):
            assert filters.dog(3, sigma=sigma, ratio=ratio).sum() == pytest.approx(0, abs=1e-12)
        for wavelength_px, aspect in [(2, 0.1), (1000, 10)]:
            settings = {"wavelength_px": wavelength_px, "aspect": aspect, "angle_deg": 0}
            assert filters.gabor(3, sigma=sigma, **settings).max() == 1
        for amount in (0, 100):
            kernel = filters.unsharp(3, sigma=sigma, amount=amount)
            assert kernel.sum() == pytest.approx(1)
