import io
from datetime import UTC, datetime

import pytest
import torch
from PIL import Image

from cnncourse import images
from cnncourse.explorers import pictures
from cnncourse.preprocess import Preprocess

SMALL = Preprocess(8, 9, (0.5,) * 3, (0.5,) * 3, "bilinear")


def uploaded(value):
    buffer = io.BytesIO()
    Image.new("RGB", (20, 30), (value,) * 3).save(buffer, "png")
    return (as_upload(buffer.getvalue()),)


def as_upload(content):
    changed = datetime(2026, 1, 1, tzinfo=UTC)
    file = {"name": "mine.png", "type": "image/png", "size": len(content)}
    return file | {"last_modified": changed, "content": memoryview(content)}


def test_a_photograph_is_cut_once_and_as_the_preprocessing_says(monkeypatch):
    shown = pictures.Pictures(SMALL)
    first = shown.cut("coffee")
    assert torch.equal(first, SMALL.cut(images.photo("coffee")))
    monkeypatch.setattr(images, "photo", lambda name: pytest.fail("read twice"))
    assert shown.cut("coffee") is first


def test_the_gallery_has_every_photograph_in_order():
    gallery = pictures.Pictures(SMALL).gallery()
    assert gallery.shape == (13, 3, 8, 8)
    place = images.PHOTOS.index("moon")
    assert torch.equal(gallery[place], SMALL.cut(images.photo("moon")))


def test_an_upload_is_read_once_and_the_next_one_takes_its_place(monkeypatch):
    shown, opened, decode = pictures.Pictures(SMALL), [], images.decode
    monkeypatch.setattr(images, "decode", lambda data: opened.append(1) or decode(data))
    white, black = uploaded(255), uploaded(0)
    first = shown.cut(pictures.OWN, white)
    assert first.eq(1).all()
    assert shown.cut(pictures.OWN, white) is first
    assert shown.cut(pictures.OWN, black).eq(0).all()
    assert len(opened) == 2


def test_what_is_no_picture_is_refused_each_time_it_is_asked_for(refused):
    shown = pictures.Pictures(SMALL)
    with refused(
        "picture='my own picture': there is no picture yet. Try: the button 'upload a picture'."
    ):
        shown.cut(pictures.OWN)
    shown.cut(pictures.OWN, uploaded(9))
    for _ in range(2):
        with pytest.raises(ValueError, match=r"data \(5 bytes\)"):
            shown.cut(pictures.OWN, (as_upload(b"hello"),))
    with pytest.raises(ValueError, match=r"'coffe': unknown photo\. Did you mean 'coffee'"):
        shown.cut("coffe")


def test_controls_offer_the_photographs_and_ones_own():
    assert pictures.chooser("moon").options == (*images.PHOTOS, pictures.OWN)
    assert pictures.chooser("moon").value == "moon"
    assert pictures.uploader().accept == "image/*"


def test_gray_and_colour_become_pixels():
    assert pictures.colors(torch.full((1, 2, 3), 0.5)).tolist() == [[[128] * 3] * 3] * 2
    red = torch.zeros(3, 1, 1)
    red[0] = 2.0
    assert pictures.colors(red).tolist() == [[[255, 0, 0]]]
