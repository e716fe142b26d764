import io
from datetime import UTC, datetime

import numpy as np
import pytest
import torch
from PIL import Image

from cnncourse import augment, data, images
from cnncourse.explorers import augmentation_lab as lab


@pytest.fixture(scope="module")
def split():
    """Two digits a class: a stroke as high as its label, in the left half alone."""
    pictures = torch.zeros(20, 1, 28, 28)
    for number in range(20):
        pictures[number, 0, 4 : 8 + number % 10, 5 + number // 10] = 1
    return data.Split(pictures, torch.arange(20) % 10)


@pytest.fixture
def image(rng):
    return torch.tensor(rng.random((1, 3, 32, 32)), dtype=torch.float32)


def seen(image, augmentation, strength, *, picture="chelsea", seed=0, read=None):
    other = ("coffee", 1 - image)
    setting = {"augmentation": augmentation, "strength": strength, "seed": seed, "read": read}
    return lab.look(picture, image, other, **setting)


def uploaded(content, name="mine.png"):
    changed = datetime(2026, 1, 1, tzinfo=UTC)
    file = {"name": name, "type": "image/png", "size": len(content), "last_modified": changed}
    return (file | {"content": memoryview(content)},)


def file_of(pixels):
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "png")
    return buffer.getvalue()


# --- computed -------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [name for name in lab.KINDS if name != "crop"])
def test_strength_0_leaves_the_picture_as_it_is(name, image):
    torch.testing.assert_close(
        seen(image, name, 0.0).drawn, image.expand(8, -1, -1, -1), rtol=0, atol=2e-5
    )


@pytest.mark.parametrize("name", lab.KINDS[:-2])
def test_a_stronger_setting_changes_more(name, image):
    changes = [
        (seen(image, name, strength).drawn - image).abs().mean().item()
        for strength in (0.0, 0.3, 1.0)
    ]
    assert changes[0] < changes[1] < changes[2]


@pytest.mark.parametrize("name", lab.KINDS)
def test_eight_draws_that_differ_and_stay_from_0_to_1(name, image):
    shown = seen(image, name, 0.5)
    assert shown.drawn.shape == (8, 3, 32, 32)
    assert -1e-5 <= shown.drawn.min() <= shown.drawn.max() <= 1 + 1e-5
    assert len({drawn.numpy().tobytes() for drawn in shown.drawn}) >= (2 if name == "flip" else 7)
    assert torch.equal(seen(image, name, 0.5).drawn, shown.drawn)
    assert not torch.equal(seen(image, name, 0.5, seed=1).drawn, shown.drawn)


@pytest.mark.parametrize("name", ["mixup", "cutmix"])
def test_a_mixture_is_captioned_with_its_share_of_the_picture(name):
    dark = torch.zeros(1, 1, 32, 32)
    shown = seen(dark, name, 1.0, picture="digit 6")  # mixed with white
    shares = [round(100 * (1 - drawn.mean().item())) for drawn in shown.drawn]
    assert list(shown.captions) == [f"{share} % digit 6" for share in shares]
    assert len(set(shares)) > 5


def test_the_seed_draws_the_place_of_a_rectangle_too(monkeypatch):
    monkeypatch.setattr(augment, "mixing_shares", lambda count, **_: torch.full((count,), 0.9))
    one, other = (seen(torch.zeros(1, 1, 32, 32), "cutmix", 1.0, seed=seed) for seed in (0, 1))
    assert not torch.equal(one.drawn, other.drawn)


def test_a_digit_is_captioned_with_what_a_network_reads(image):
    def read(pictures):
        assert pictures.shape == (8, 3, 32, 32)
        return torch.tensor([6, 9, 6, 6, 6, 0, 6, 6])

    shown = seen(image, "rotate", 1.0, picture="digit 6", read=read)
    assert shown.captions[:2] == ("read as 6", "read as 9")
    assert shown.right == 6
    assert "a network reads it rightly in ≈ 6 of 8" in lab.sentence(shown)
    assert seen(image, "rotate", 1.0, picture="digit 9", read=read).right == 1
    assert seen(image, "rotate", 1.0, read=read).right is None  # a photograph


def test_the_setting_is_told_in_numbers(image):
    settings = {name: seen(image, name, 0.5).setting for name in lab.KINDS}
    assert settings == {
        "flip": "flip with probability 0.5",
        "crop": "crop to 0.55 of the area or more",
        "rotate": "rotate up to 90 degrees either way",
        "shift": "shift up to 8 px along each axis",
        "color": "color brightness, contrast and saturation by up to 50 %",
        "cutout": "cutout of a square of 12 px",
        "mixup": "mixup with coffee, shares from Beta(0.5, 0.5)",
        "cutmix": "cutmix with coffee, shares from Beta(0.5, 0.5)",
    }


@pytest.mark.parametrize("shape", [(60, 200, 3), (300, 150, 3), (16, 16, 3), (1, 1, 3)])
def test_of_a_photograph_the_middle_is_taken(shape):
    photo = np.zeros(shape, np.uint8)
    side = min(shape[:2])
    top, left = (shape[0] - side) // 2, (shape[1] - side) // 2
    photo[top : top + side, left : left + side] = 255
    assert torch.equal(lab.square(photo), torch.ones(1, 3, 128, 128))


# --- drawn and wired ------------------------------------------------------------------------------


def test_gray_and_colour_become_pixels():
    half = torch.full((1, 2, 3), 0.5)
    assert lab.colors(half).tolist() == [[[128] * 3] * 3] * 2
    red = torch.zeros(3, 1, 1)
    red[0] = 2.0
    assert lab.colors(red).tolist() == [[[255, 0, 0]]]


def test_every_draw_is_on_the_page_where_it_belongs(image):
    shown = seen(image, "color", 1.0)._replace(
        drawn=torch.linspace(0, 1, 8)[:, None, None, None].expand(8, 1, 4, 4)
    )
    page = lab.draw(shown).canvas
    for number in range(8):
        row, column = divmod(number, 4)
        x, y = 200 + column * 158 + 72, 36 + row * 176 + 72
        assert page.getpixel((2 * x, 2 * y)) == (round(255 * number / 7),) * 3


def test_every_choice_changes_picture_and_words(split):
    explorer = lab.explorer(split)
    for name in ("picture", "augmentation"):
        told = set()
        for value in explorer.controls[name].options:
            if value != lab.OWN:
                explorer.controls[name].value = value
                told.add((explorer.words, explorer.picture.value.partition("alt=")[0]))
        assert len(told) == len({words for words, _ in told}) == len({seen for _, seen in told})
        assert len(told) >= 8
        explorer.controls["picture"].value = "chelsea"
    for name, value in (("strength", 0.25), ("seed", 3)):
        before = explorer.words, explorer.png
        explorer.controls[name].value = value
        assert explorer.png != before[1]


def test_a_digit_is_the_first_of_its_class_and_no_picture_is_mixed_with_itself(split):
    compute = lab.computer(split, None)
    setting = {"augmentation": "mixup", "strength": 1.0, "seed": 0, "upload": ()}
    for picture in ("digit 9", "digit 2", "chelsea", "coffee"):
        shown = compute(picture=picture, **setting)
        assert f"mixup with {picture}," not in shown.setting
        if picture.startswith("digit"):
            assert torch.equal(shown.original, split.images[int(picture[-1])])


def test_an_upload_is_shown_at_once_and_unpacked_once(split, monkeypatch):
    opened = []
    decode = images.decode
    monkeypatch.setattr(images, "decode", lambda data: opened.append(1) or decode(data))
    explorer = lab.explorer(split)
    explorer.controls["upload"].value = uploaded(file_of(np.full((40, 60, 3), 128, np.uint8)))
    assert explorer.controls["picture"].value == lab.OWN
    for name in lab.KINDS:
        explorer.controls["augmentation"].value = name
        assert explorer.words.startswith("my own picture, ")
    assert len(opened) == 1
    explorer.controls["upload"].value = uploaded(file_of(np.zeros((40, 60, 3), np.uint8)))
    assert len(opened) == 2


def test_no_upload_and_what_is_no_picture_are_said_and_the_picture_stays(split):
    explorer = lab.explorer(split)
    before = explorer.png
    explorer.controls["picture"].value = lab.OWN
    assert "there is no picture yet. Try: the button" in explorer.message.value
    assert explorer.png == before
    explorer.controls["upload"].value = uploaded(b"hello")
    assert "data (5 bytes)" in explorer.message.value
    assert explorer.png == before
    explorer.controls["picture"].value = "digit 2"
    assert 'role="status"' in explorer.message.value


def test_without_a_split_the_embedded_sample_is_taken():
    explorer = lab.explorer(picture="digit 7", augmentation="flip")
    assert repr(explorer).startswith("AugmentationLab(picture='digit 7', augmentation='flip'")
    assert "digit 7, flip with probability 1" in explorer.words
