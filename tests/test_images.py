import numpy as np
import pytest

from cnncourse import images

SIZES = {
    "chelsea": (300, 451),
    "astronaut": (512, 512),
    "coffee": (400, 600),
    "rocket": (427, 640),
}


@pytest.mark.parametrize("name", images.PHOTOS)
def test_a_photo_is_bytes_in_three_channels_last(name):
    photo = images.photo(name)
    assert photo.shape == (*SIZES[name], 3)
    assert photo.dtype == np.uint8
    assert photo.std() > 30  # a picture, not a blank


def test_the_cats_fur_is_red_before_green_before_blue():
    red, green, blue = images.photo("chelsea").reshape(-1, 3).mean(axis=0)
    assert red > green > blue


def test_what_a_reader_paints_over_is_whole_when_asked_for_again():
    images.photo("chelsea")[:] = 0
    assert images.photo("chelsea").max() == 231


def test_an_unknown_photo_gets_the_nearest_name(refused):
    known = "Known: chelsea, astronaut, coffee, rocket."
    with refused(f"'chelsae': unknown photo. Did you mean 'chelsea'? {known}"):
        images.photo("chelsae")
    with refused(f"'x': unknown photo. {known}"):
        images.photo("x")
