import io
import math
import struct
import zlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from scipy import signal
from skimage import color
from skimage.transform import downscale_local_mean

from cnncourse import images

SIZES = {
    "chelsea": (300, 451),
    "astronaut": (512, 512),
    "coffee": (400, 600),
    "rocket": (427, 640),
    "motorcycle": (500, 741),
    "retina": (1411, 1411),
    "hubble_deep_field": (872, 1000),
    "camera": (512, 512),
    "coins": (303, 384),
    "moon": (512, 512),
    "brick": (512, 512),
    "grass": (512, 512),
    "gravel": (512, 512),
}
GRAY = ("camera", "coins", "moon", "brick", "grass", "gravel")
KNOWN = (
    "Known: chelsea, astronaut, coffee, rocket, motorcycle, retina, hubble_deep_field, camera, "
    "coins, moon, brick, grass, gravel."
)


def encoded(pixels, file_format="PNG", mode=None, **options):
    """Bytes of a picture file; pixels are an array or Pillow's picture."""
    picture = Image.fromarray(pixels) if isinstance(pixels, np.ndarray) else pixels
    file = io.BytesIO()
    (picture.convert(mode) if mode else picture).save(file, file_format, **options)
    return file.getvalue()


@pytest.mark.parametrize("name", images.PHOTOS)
def test_a_photo_is_bytes_in_three_channels_last(name):
    photo = images.photo(name)
    assert photo.shape == (*SIZES[name], 3)
    assert photo.dtype == np.uint8
    assert photo.std() > 10  # a picture, not a blank
    assert (photo == photo[:, :, :1]).all() == (name in GRAY)


def test_the_photos_start_with_the_four_in_colour():
    assert list(SIZES) == list(images.PHOTOS)
    assert images.PHOTOS[:4] == ("chelsea", "astronaut", "coffee", "rocket")


def test_the_cats_fur_is_red_before_green_before_blue():
    red, green, blue = images.photo("chelsea").reshape(-1, 3).mean(axis=0)
    assert red > green > blue


def test_the_motorcycle_is_seen_by_the_left_eye():
    from skimage import data

    np.testing.assert_array_equal(images.photo("motorcycle"), data.stereo_motorcycle()[0])


@pytest.mark.parametrize("name", ["chelsea", "coins"])
def test_what_a_reader_paints_over_is_whole_when_asked_for_again(name):
    before = images.photo(name)
    images.photo(name)[:] = 0
    np.testing.assert_array_equal(images.photo(name), before)
    assert before.max() > 200


def test_an_unknown_photo_gets_the_nearest_name(refused):
    with refused(f"'chelsae': unknown photo. Did you mean 'chelsea'? {KNOWN}"):
        images.photo("chelsae")
    with refused(f"'x': unknown photo. {KNOWN}"):
        images.photo("x")


def test_no_photo_is_downloaded(no_network):
    assert all(images.photo(name).size for name in images.PHOTOS)
    assert no_network == []


def test_an_impulse_is_one_bright_pixel_in_the_middle():
    assert images.impulse(3).tolist() == [[0, 0, 0], [0, 1, 0], [0, 0, 0]]
    assert images.impulse(4)[2, 2] == images.impulse(4).sum() == 1


def test_a_checkerboard_starts_bright():
    assert images.checkerboard(3).tolist() == [[1, 0, 1], [0, 1, 0], [1, 0, 1]]
    wide = [[1, 1, 0, 0, 1], [1, 1, 0, 0, 1], [0, 0, 1, 1, 0], [0, 0, 1, 1, 0], [1, 1, 0, 0, 1]]
    assert images.checkerboard(5, cell_px=2).tolist() == wide


def test_the_checkerboard_example_of_the_first_lesson():
    answer = signal.correlate2d(images.checkerboard(5), images.checkerboard(3), mode="valid")
    assert answer.tolist() == [[5, 0, 5], [0, 5, 0], [5, 0, 5]]


def test_a_step_edge_has_its_bright_half_where_the_angle_points():
    assert images.step_edge(4).tolist() == [[0, 0, 1, 1]] * 4
    assert images.step_edge(3).tolist() == [[0, 0.5, 1]] * 3
    assert images.step_edge(4, angle_deg=90).tolist() == [[0] * 4, [0] * 4, [1] * 4, [1] * 4]
    assert images.step_edge(2, angle_deg=180).tolist() == [[1, 0], [1, 0]]
    slant = images.step_edge(3, angle_deg=45)
    np.testing.assert_allclose(slant, [[0, 0, 0.5], [0, 0.5, 1], [0.5, 1, 1]], atol=1e-12)


@given(st.integers(1, 9), st.floats(-720, 720))
def test_a_quarter_turn_of_the_angle_turns_the_picture_clockwise(size, angle_deg):
    edge = images.step_edge(size, angle_deg=angle_deg)
    turned = images.step_edge(size, angle_deg=angle_deg + 90)
    np.testing.assert_allclose(turned, np.rot90(edge, -1), atol=1e-9)
    waves = [
        images.stripes(size, wavelength_px=4.5, angle_deg=angle) for angle in (angle_deg + 90, 0)
    ]
    turned = images.stripes(size, wavelength_px=4.5, angle_deg=angle_deg)
    np.testing.assert_allclose(waves[0], np.rot90(turned, -1), atol=1e-9)
    np.testing.assert_array_equal(waves[1], images.stripes(size, wavelength_px=4.5))


def test_stripes_are_a_wave_bright_in_the_middle():
    row = images.stripes(5, wavelength_px=4)[0]
    np.testing.assert_allclose(row, [0, 0.5, 1, 0.5, 0], atol=1e-12)
    third = images.stripes(7, wavelength_px=3)
    assert third.shape == (7, 7)
    np.testing.assert_allclose(third[0], [1, 0.25, 0.25, 1, 0.25, 0.25, 1], atol=1e-12)
    assert (third == third[0]).all()


def test_a_disc_by_hand_and_its_area():
    corner = 1.5 - math.sqrt(2)
    expected = [[corner, 0.5, corner], [0.5, 1, 0.5], [corner, 0.5, corner]]
    np.testing.assert_allclose(images.disc(3, radius_px=1), expected, atol=1e-12)
    assert images.disc(41, radius_px=15.0).sum() == pytest.approx(math.pi * 15**2, rel=0.003)
    assert images.disc(4, radius_px=0).max() == 0  # the middle lies between four pixels


def test_the_letter_is_an_f_and_every_turn_and_flip_of_it_is_another_picture():
    letter = images.letter_f()
    assert letter.shape == (7, 7)
    drawn = ["".join(".#"[int(pixel)] for pixel in row) for row in letter]
    assert drawn == [
        *(".......", ".#####.", ".#.....", ".####.."),
        *(".#.....", ".#.....", "......."),
    ]
    views = [np.rot90(side, turn) for side in (letter, letter.T) for turn in range(4)]
    assert len({view.tobytes() for view in views}) == 8
    np.testing.assert_array_equal(images.letter_f(cell_px=3)[1::3, 2::3], letter)
    assert images.letter_f(cell_px=3).shape == (21, 21)


@pytest.mark.parametrize(
    "picture",
    [
        images.impulse(7),
        images.checkerboard(7, cell_px=2),
        images.step_edge(7, angle_deg=20),
        images.stripes(7, wavelength_px=3.3, angle_deg=70),
        images.disc(7, radius_px=2.5),
        images.letter_f(),
    ],
)
def test_a_picture_made_in_code_is_float64_from_0_to_1(picture):
    assert picture.dtype == np.float64
    assert picture.shape == (7, 7)
    assert picture.min() == pytest.approx(0, abs=0.01)
    assert picture.max() == pytest.approx(1, abs=0.01)
    assert 0 <= picture.min() < picture.max() <= 1


def test_offsets_and_turned_by_hand():
    assert images.offsets(3).tolist() == [-1, 0, 1]
    assert images.offsets(2).tolist() == [-0.5, 0.5]
    along, across = images.turned(3, 0)
    assert along.tolist() == [[-1, 0, 1]] * 3
    assert across.tolist() == [[-1] * 3, [0] * 3, [1] * 3]
    along, across = images.turned(3, 90)
    assert along.tolist() == [[-1] * 3, [0] * 3, [1] * 3]
    assert across.tolist() == [[1, 0, -1]] * 3


def test_the_direction_of_an_angle_is_right_to_fifteen_digits():
    along, across = images.turned(3, 20)
    cos, sin = math.cos(math.radians(20)), math.sin(math.radians(20))
    assert along[1, 2] == pytest.approx(cos, rel=0, abs=6e-16)
    assert across[1, 0] == pytest.approx(sin, rel=0, abs=6e-16)


def test_gray_weighs_green_most_and_white_is_one_to_the_bit():
    photo = np.array([[[255, 0, 0], [0, 255, 0]], [[0, 0, 255], [255, 255, 255]]], np.uint8)
    assert images.gray(photo).tolist() == [[0.299, 0.587], [0.114, 1.0]]
    levels = np.repeat(np.arange(256, dtype=np.uint8), 3).reshape(1, 256, 3)
    np.testing.assert_array_equal(images.gray(levels), np.arange(256)[None] / 255)


def test_gray_is_scikit_images_luma():
    photo = images.photo("coffee")
    luma = (color.rgb2yuv(photo))[..., 0]  # Y of YUV has the same weights
    np.testing.assert_allclose(images.gray(photo), luma, atol=1e-9)


def test_areas_are_averaged_and_a_pixel_on_a_border_counts_for_its_parts():
    row = np.array([[[0] * 3, [100] * 3, [200] * 3]], np.uint8)  # three pixels into two
    assert images.resize_to(row, 2)[0, :, 0].tolist() == [33, 167]  # (0 + 50) / 1.5, 250 / 1.5
    column = images.resize_to(row.swapaxes(0, 1), 2)
    assert column[:, 0, 0].tolist() == [33, 167]
    assert images.resize_to(row, 1).tolist() == [[[100] * 3]]


def test_a_whole_factor_is_scikit_images_local_mean():
    photo = images.photo("astronaut")
    expected = downscale_local_mean(photo, (4, 4, 1))
    np.testing.assert_array_equal(images.resize_to(photo, 128), np.rint(expected))


@given(st.integers(1, 30), st.integers(1, 30), st.integers(1, 40))
def test_the_longest_side_is_as_asked_and_the_mean_is_kept(height, width, longest_px):
    photo = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
    small = images.resize_to(photo, longest_px)
    longest = max(height, width)
    shorter = max(round(min(height, width) * longest_px / longest), 1)
    assert small.dtype == np.uint8
    if longest_px >= longest:
        np.testing.assert_array_equal(small, photo)
        assert small is not photo
    else:
        assert sorted(small.shape[:2]) == sorted([longest_px, shorter])
        assert (small.shape[0] >= small.shape[1]) == (height >= width) or shorter == longest_px
        assert small.mean() == pytest.approx(photo.mean(), abs=0.51)


@pytest.mark.parametrize("file_format", ["PNG", "BMP", "TIFF", "GIF", "WEBP", "JPEG"])
def test_a_file_of_every_format_gives_its_pixels_back(file_format):
    photo = images.resize_to(images.photo("coffee"), 60)
    options = {"WEBP": {"lossless": True}, "JPEG": {"quality": 95}}.get(file_format, {})
    came = images.decode(encoded(photo, file_format, **options))
    assert came.shape == photo.shape
    assert came.dtype == np.uint8
    lossy = {"JPEG": 5, "GIF": 5}.get(file_format, 0)  # mean difference; GIF has 256 colours
    assert np.abs(came.astype(float) - photo).mean() <= lossy
    came[:] = 0  # the reader's own array


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_bytes_of_every_kind_are_taken(kind):
    assert images.decode(kind(encoded(np.zeros((2, 3, 3), np.uint8)))).shape == (2, 3, 3)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_photo_is_turned_as_the_camera_was_held(orientation):
    pixels = np.zeros((4, 6, 3), np.uint8)
    pixels[0, 0], pixels[0, 5] = 255, 128
    picture = Image.fromarray(pixels)
    exif = picture.getexif()
    exif[0x0112] = orientation
    came = images.decode(encoded(picture, "PNG", exif=exif))
    turned = {
        1: pixels,
        2: pixels[:, ::-1],
        3: pixels[::-1, ::-1],
        4: pixels[::-1],
        5: pixels.swapaxes(0, 1),
        6: np.rot90(pixels, -1),
        7: np.rot90(pixels.swapaxes(0, 1), 2),
        8: np.rot90(pixels),
    }[orientation]
    np.testing.assert_array_equal(came, turned)


def test_transparent_parts_are_white_and_half_transparent_ones_half():
    pixels = np.array([[[200, 0, 0, 255], [200, 0, 0, 0], [200, 0, 0, 128]]], np.uint8)
    came = images.decode(encoded(pixels))
    assert came[0, :2].tolist() == [[200, 0, 0], [255, 255, 255]]
    np.testing.assert_allclose(came[0, 2], [227, 127, 127], atol=1)
    gray = images.decode(encoded(np.array([[[9, 255], [9, 0]]], np.uint8)))
    assert gray[0].tolist() == [[9, 9, 9], [255, 255, 255]]


def test_a_palette_gives_its_colours_and_its_clear_entry_is_white():
    picture = Image.new("P", (2, 1))
    picture.putpalette([10, 20, 30, 40, 50, 60])
    picture.putpixel((1, 0), 1)
    assert images.decode(encoded(picture)).tolist() == [[[10, 20, 30], [40, 50, 60]]]
    clear = images.decode(encoded(picture, transparency=1))
    assert clear.tolist() == [[[10, 20, 30], [255, 255, 255]]]


@pytest.mark.parametrize("mode", ["1", "L", "CMYK", "YCbCr"])
def test_other_colour_spaces_become_rgb(mode):
    white = encoded(np.full((8, 8, 3), 255, np.uint8), "TIFF" if mode != "YCbCr" else "JPEG", mode)
    assert images.decode(white).tolist() == [[[255] * 3] * 8] * 8


def test_of_an_animation_the_first_frame_is_taken():
    frames = [Image.new("RGB", (3, 2), name) for name in ("red", "blue")]
    for file_format in ("GIF", "PNG", "TIFF"):
        data = encoded(frames[0], file_format, save_all=True, append_images=frames[1:])
        assert images.decode(data).tolist() == [[[255, 0, 0]] * 3] * 2


def test_sixteen_bit_gray_keeps_its_levels():
    levels = np.array([[0, 257, 128 * 257, 200 * 257 + 100, 65535]], np.uint16)
    for file_format in ("PNG", "TIFF"):
        came = images.decode(encoded(levels, file_format))
        assert came.shape == (1, 5, 3)
        assert came[0, :, 0].tolist() == came[0, :, 2].tolist() == [0, 1, 128, 200, 255]


def test_sixteen_bit_gray_is_divided_by_257_whatever_its_range():
    levels = np.array([[2698, 2699, 60009, 60010]], np.uint16)  # 10.498, 10.502; 233.498, 233.502
    assert images.decode(encoded(levels))[0, :, 1].tolist() == [10, 11, 233, 234]


@pytest.mark.parametrize("dtype", [np.int32, np.float32])
def test_deeper_gray_is_stretched_from_its_darkest_to_its_brightest(dtype):
    came = images.decode(encoded(np.array([[-1000, 0, 1000]], dtype), "TIFF"))
    assert came.tolist() == [[[0] * 3, [128] * 3, [255] * 3]]
    whole = images.decode(encoded(np.array([[-(2**31), 0, 2**31 - 128]], dtype), "TIFF"))
    assert whole[0, :, 0].tolist() == [0, 128, 255]
    flat = Image.fromarray(np.full((1, 2), 7, dtype))
    assert images.rgb(flat).tolist() == [[[0] * 3] * 2]


def test_a_pixel_that_is_no_number_counts_as_0():
    came = images.decode(encoded(np.array([[math.nan, math.inf, 4, 8]], np.float32), "TIFF"))
    assert came[0, :, 0].tolist() == [0, 0, 128, 255]


def chunk(kind: bytes, content: bytes) -> bytes:
    tail = struct.pack(">I", zlib.crc32(kind + content))
    return struct.pack(">I", len(content)) + kind + content + tail


def png_bomb(height: int, width: int) -> bytes:
    """A PNG that says it has so many pixels of one bit; it holds a few of them."""
    header = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    pixels = zlib.compress(bytes(1000))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixels)


@pytest.mark.parametrize("size", [(5001, 5000), (10_000, 10_000), (60_000, 60_000)])
def test_a_pixel_bomb_is_refused_before_it_unpacks(refused, size):
    data = png_bomb(*size)
    sentence = (
        f"data ({len(data)} bytes): unpacks to more than 25,000,000 px. "
        "Try: a picture of 5000 x 5000 px."
    )
    with refused(sentence):
        images.decode(data)


def test_just_as_many_pixels_as_allowed_are_unpacked(monkeypatch, refused):
    monkeypatch.setattr(images, "MAX_PIXELS", 12)
    assert images.decode(encoded(np.zeros((3, 4, 3), np.uint8))).shape == (3, 4, 3)
    data = encoded(np.zeros((1, 13, 3), np.uint8))
    with refused(
        f"data ({len(data)} bytes): unpacks to more than 12 px. Try: a picture of 5000 x 5000 px."
    ):
        images.decode(data)


def test_a_file_as_long_as_allowed_is_read_and_a_longer_one_refused(monkeypatch, refused):
    data = encoded(np.zeros((3, 4, 3), np.uint8))
    monkeypatch.setattr(images, "MAX_BYTES", len(data))
    assert images.decode(data).shape == (3, 4, 3)
    rule = f"must be {len(data)} bytes or less. Try: the picture saved as JPEG."
    with refused(f"data ({len(data) + 1} bytes): {rule}"):
        images.decode(data + b" ")


def test_twenty_megabytes_are_the_limit(refused):
    rule = "must be 20,000,000 bytes or less. Try: the picture saved as JPEG."
    with refused(f"data (20,000,001 bytes): {rule}"):
        images.decode(bytes(20_000_001))


NONE_OF = "is none of PNG, JPEG, GIF, BMP, TIFF, WEBP. Try: the picture saved as PNG."
DAMAGED = "is damaged or cut short. Try: the picture saved once more."


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"<html>log in</html>",
        b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n",  # Pillow would start a program
        encoded(np.zeros((3, 4, 3), np.uint8), "PPM"),
        encoded(np.zeros((3, 4, 3), np.uint8))[:9],
        np.lib.format.magic(1, 0) + bytes(90),
    ],
    ids=["empty", "html", "postscript", "ppm", "nine bytes of a png", "npy"],
)
def test_what_is_no_picture_is_refused(refused, data):
    with refused(f"data ({len(data)} bytes): {NONE_OF}"):
        images.decode(data)


@pytest.mark.parametrize("file_format", ["PNG", "JPEG", "GIF", "BMP", "WEBP"])
def test_a_file_cut_short_is_refused(refused, file_format):
    whole = encoded(images.resize_to(images.photo("coffee"), 90), file_format)
    half = whole[: len(whole) // 2]
    with refused(f"data ({len(half):,} bytes): {DAMAGED}") as caught:
        images.decode(half)
    assert caught.value.__cause__ is not None


def shape_or_refusal(data):
    try:
        return images.decode(data).shape[2]
    except ValueError as error:
        return str(error).partition(":")[0]


@pytest.mark.parametrize("file_format", images.FORMATS)
def test_no_flipped_bit_gets_past_with_another_error_or_a_warning(rng, file_format):
    whole = encoded(images.resize_to(images.photo("coffee"), 24), file_format)
    met = set()
    for place in rng.integers(0, min(len(whole), 400), 40):
        damaged = bytearray(whole)
        damaged[place] ^= 1 << rng.integers(8)
        met.add(shape_or_refusal(damaged))
    assert met <= {3, f"data ({len(whole):,} bytes)"}


def test_decoding_leaves_the_warnings_as_they_were(recwarn):
    import warnings

    before = list(warnings.filters)
    images.decode(encoded(np.zeros((3, 4, 3), np.uint8)))
    assert warnings.filters == before


PHOTO = "Try: photo=images.photo('chelsea')."
WHOLE = "must be a whole number, 1 or more"
ZEROS = np.zeros((4, 5, 3), np.uint8)
REFUSED = [
    (lambda: images.impulse(0), f"size=0: {WHOLE}. Try: size=1."),
    (lambda: images.checkerboard(0), f"size=0: {WHOLE}. Try: size=1."),
    (lambda: images.checkerboard(5, cell_px=0), f"cell_px=0: {WHOLE}. Try: cell_px=1."),
    (lambda: images.step_edge(0), f"size=0: {WHOLE}. Try: size=1."),
    (
        lambda: images.step_edge(5, angle_deg=math.inf),
        "angle_deg=inf: must be a finite number, in degrees. Try: angle_deg=45.",
    ),
    (
        lambda: images.step_edge(5, angle_deg="45"),
        "angle_deg='45': must be a finite number, in degrees. Try: angle_deg=45.",
    ),
    (lambda: images.stripes(0, wavelength_px=3), f"size=0: {WHOLE}. Try: size=1."),
    (
        lambda: images.stripes(9, wavelength_px=1.5),
        "wavelength_px=1.5: must be a number from 2 to 1000. Try: wavelength_px=6.",
    ),
    (
        lambda: images.stripes(9, wavelength_px=1001),
        "wavelength_px=1001: must be a number from 2 to 1000. Try: wavelength_px=6.",
    ),
    (lambda: images.disc(0, radius_px=3), f"size=0: {WHOLE}. Try: size=1."),
    (
        lambda: images.disc(10, radius_px=-1),
        "radius_px=-1: must be a number from 0 to 1000. Try: radius_px=2.5.",
    ),
    (
        lambda: images.disc(8, radius_px=1000.5),
        "radius_px=1000.5: must be a number from 0 to 1000. Try: radius_px=2.",
    ),
    (lambda: images.letter_f(cell_px=0), f"cell_px=0: {WHOLE}. Try: cell_px=1."),
    (
        lambda: images.gray(np.zeros((3, 28, 28), np.uint8)),
        "photo (3, 28, 28): has its channels first, must be (H, W, 3). "
        "Try: photo.transpose(1, 2, 0).",
    ),
    (
        lambda: images.gray(np.zeros((28, 28), np.uint8)),
        f"photo (28, 28): must be (H, W, 3). {PHOTO}",
    ),
    (
        lambda: images.gray(np.zeros((28, 28, 4), np.uint8)),
        f"photo (28, 28, 4): must be (H, W, 3). {PHOTO}",
    ),
    (
        lambda: images.gray(np.zeros((0, 28, 3), np.uint8)),
        f"photo (0, 28, 3): must be (H, W, 3). {PHOTO}",
    ),
    (
        lambda: images.gray(ZEROS / 2),
        f"photo of dtype float64: must be uint8, 0 to 255. {PHOTO}",
    ),
    (
        lambda: images.resize_to(np.zeros((28, 28), np.uint8), 9),
        f"photo (28, 28): must be (H, W, 3). {PHOTO}",
    ),
    (lambda: images.resize_to(ZEROS, 0), f"longest_px=0: {WHOLE}. Try: longest_px=1."),
    (lambda: images.resize_to(ZEROS, 2.5), f"longest_px=2.5: {WHOLE}. Try: longest_px=1."),
]


@pytest.mark.parametrize(("call", "sentence"), REFUSED, ids=[row[1] for row in REFUSED])
def test_what_makes_no_picture_is_refused_in_words(refused, call, sentence):
    with refused(sentence):
        call()


def test_the_wrong_kind_of_thing_is_a_type_error(refused):
    with refused(f"photo of type list: must be an array. {PHOTO}", TypeError):
        images.gray([[1, 2]])
    rule = "must be the bytes of a file. Try: pathlib.Path('photo.png').read_bytes()."
    with refused(f"data of type str: {rule}", TypeError):
        images.decode("photo.png")


def test_a_photo_three_pixels_high_is_not_taken_for_channels_first():
    assert images.gray(np.zeros((3, 9, 3), np.uint8)).shape == (3, 9)


def test_the_ends_of_every_range_are_allowed():
    assert images.stripes(5, wavelength_px=2).shape == (5, 5)
    assert images.stripes(5, wavelength_px=1000).shape == (5, 5)
    assert images.disc(5, radius_px=1000).min() == 1
