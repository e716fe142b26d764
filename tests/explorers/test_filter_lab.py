"""The filter lab: answers by hand, directions that are known, uploads good and bad, colours."""

import io
import re
from datetime import UTC, datetime

import numpy as np
import pytest
from PIL import Image

from cnncourse import filters, images, ops
from cnncourse.explorers import filter_lab

STEP = images.step_edge(8)  # the right half is bright
PNG = b"\x89PNG\r\n\x1a\n"


def seen(picture=STEP, kernel="sobel x", *, view="signed", normalise=True):
    return filter_lab.look("step", picture, kernel, filters.NAMED[kernel], view, normalise)


def pixels(shown):
    """The answer's part of the drawing, as colours."""
    drawn = np.asarray(filter_lab.draw(shown).canvas).astype(int)
    return drawn[68:548, 524:1004]


def file_of(picture, kind="PNG"):
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, kind)
    return buffer.getvalue()


def uploaded(content, name="mine.png"):
    return (
        {
            "name": name,
            "type": "image/png",
            "size": len(content),
            "content": memoryview(content),
            "last_modified": datetime(2026, 1, 1, tzinfo=UTC),
        },
    )


def words(explorer):
    return explorer.message.value


# --- compute --------------------------------------------------------------------------------------


def test_sobel_answers_four_along_an_upright_step_and_nothing_elsewhere():
    answer = seen().answer
    assert answer.shape == (8, 8)
    assert answer[:, 3:5] == pytest.approx(4)
    assert np.delete(answer, (3, 4), axis=1) == pytest.approx(0, abs=1e-12)


def test_an_even_picture_keeps_its_brightness_up_to_the_border():
    even = np.full((6, 9), 0.5)
    for name in ("box 7", "gaussian 9", "sharpen", "emboss", "motion blur", "identity"):
        assert seen(even, name, view="gray").answer == pytest.approx(0.5)
    for name in ("sobel x", "laplacian", "log", "dog"):
        assert seen(even, name).answer == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize("name", filters.NAMED)
def test_every_kernel_answers_as_the_definition_does(name, rng):
    picture, kernel = rng.random((20, 17)), filters.NAMED[name]
    border = [(side // 2, side // 2) for side in kernel.shape]
    expected = ops.conv2d(np.pad(picture, border, mode="edge"), kernel, method="loops")
    assert seen(picture, name).answer == pytest.approx(expected, abs=1e-9)


def test_a_picture_of_one_pixel_is_no_trouble():
    assert seen(np.ones((1, 1)), "gabor edge").answer.shape == (1, 1)


def test_absolute_forgets_the_sign():
    falling = seen(1 - STEP)
    assert falling.answer.min() == pytest.approx(-4)
    assert np.array_equal(seen(1 - STEP, view="absolute").answer, abs(falling.answer))


@pytest.mark.parametrize("name", ["sobel x", "sobel y", "scharr x", "prewitt y"])
@pytest.mark.parametrize("angle", [0, 45, 90, 135, 180, 270])
def test_the_direction_is_the_pictures_whichever_way_the_kernel_looks(name, angle):
    picture = images.step_edge(41, angle_deg=angle)
    shown = seen(picture, name, view="orientation")
    found = shown.degrees[15:26, 15:26][shown.answer[15:26, 15:26] > 0.5 * shown.answer.max()]
    assert abs((found - angle + 180) % 360 - 180).max() < 1


def test_the_length_of_a_slope_is_that_of_both_its_parts(rng):
    picture = rng.random((9, 9))
    parts = [seen(picture, name).answer for name in ("sobel x", "sobel y")]
    for name in ("sobel x", "sobel y"):
        assert seen(picture, name, view="orientation").answer == pytest.approx(np.hypot(*parts))


@pytest.mark.parametrize("name", ["identity", "box 3", "laplacian", "log", "emboss", "gabor edge"])
def test_a_kernel_without_a_direction_is_refused_one(name, refused):
    with refused(
        f"view='orientation' with kernel {name!r}: needs a slope: weights below 0 on one "
        "side, the same above 0 on the other. Try: kernel='sobel x', or view='signed'."
    ):
        seen(kernel=name, view="orientation")


@pytest.mark.parametrize(
    ("rows", "degrees"),
    [
        ([[-1, 1]], 0),
        ([[1, -1]], 180),
        ([[-1], [1]], 90),
        ([[-1, 0], [0, 1]], 45),
        ([[0, 1], [-1, 0]], 315),
        ([[1, -8, 0, 8, -1]], None),  # a finer derivative: its outer weights have the wrong sign
        ([[-1, 0, 2]], None),
        ([[0, 0]], None),
    ],
)
def test_a_slope_looks_from_its_dark_side_to_its_bright_one(rows, degrees):
    found = filter_lab.own_degrees(np.array(rows, dtype=float))
    assert found is None if degrees is None else found % 360 == pytest.approx(degrees)


def test_a_kernel_of_zeros_has_no_direction_either():
    with pytest.raises(ValueError, match="needs a slope"):
        filter_lab.look("step", STEP, "typed below", np.zeros((3, 3)), "orientation", True)


@pytest.mark.parametrize(
    ("kernel", "view", "normalise", "limit"),
    [
        ("sobel x", "signed", True, (-4, 4)),
        ("sobel x", "signed", False, (-1, 1)),
        ("sobel x", "absolute", True, (0, 4)),
        ("sobel x", "absolute", False, (0, 1)),
        ("sobel x", "orientation", True, (0, 4)),
        ("sobel x", "gray", True, (0, 4)),
        ("identity", "gray", True, (0, 1)),
        ("sharpen", "gray", True, (-1, 2)),
        ("sharpen", "gray", False, (0, 1)),
    ],
)
def test_normalising_chooses_the_ends_of_the_colours(kernel, view, normalise, limit):
    shown = seen(kernel=kernel, view=view, normalise=normalise)
    assert shown.limit == pytest.approx(limit, abs=1e-9)


# --- what is said ---------------------------------------------------------------------------------


def test_the_sentence_has_range_mean_and_share_of_nothing():
    assert filter_lab.sentence(seen()) == (
        "step through sobel x, signed: values 0 to 4, mean 1; 75 % of them within 0.01 of zero"
    )


def test_of_directions_it_says_which_way_the_strongest_look():
    ring = filter_lab.sentence(seen(images.disc(61, radius_px=20), view="orientation"))
    shares = re.findall(r"(right|down|left|up) (\d+) %", ring.split("of the strongest tenth")[1])
    assert [way for way, _ in shares] == ["right", "down", "left", "up"]
    assert all(22 <= int(share) <= 28 for _, share in shares)
    said = filter_lab.sentence(seen(images.step_edge(41, angle_deg=90), view="orientation"))
    assert said.endswith("brightness grows right 0 %, down 100 %, left 0 %, up 0 %")
    said = filter_lab.sentence(seen(np.ones((5, 5)), view="orientation"))
    assert said.endswith("100 % of them within 0.01 of zero; nowhere does brightness grow")


def test_a_zero_has_no_sign():
    assert "mean 0;" in filter_lab.sentence(seen(STEP - 1e-12, "laplacian"))


# --- what is drawn --------------------------------------------------------------------------------


def test_rising_is_blue_and_falling_orange():
    rising, falling = pixels(seen()), pixels(seen(1 - STEP))
    blue = [(part[..., 2] - part[..., 0] > 60).mean() for part in (rising, falling)]
    orange = [(part[..., 0] - part[..., 2] > 60).mean() for part in (rising, falling)]
    assert blue == pytest.approx([0.25, 0], abs=0.01)
    assert orange == pytest.approx([0, 0.25], abs=0.01)


def test_absolute_is_bright_where_there_is_an_edge():
    shown = pixels(seen(view="absolute"))
    assert (shown == 255).all(axis=-1).mean() == pytest.approx(0.25, abs=0.01)
    assert (shown == 0).all(axis=-1).mean() == pytest.approx(0.75, abs=0.01)


@pytest.mark.parametrize(("degrees", "channel"), [(0, 0), (120, 1), (240, 2)])
def test_hues_turn_with_the_direction(degrees, channel):
    color = filter_lab.hues(np.array([degrees]), np.array([1.0]))[0]
    assert color.argmax() == channel
    assert color.max() == 255
    assert filter_lab.hues(np.array([degrees]), np.array([0.0])).tolist() == [[255, 255, 255]]


def test_four_directions_have_four_colours():
    colors = filter_lab.hues(np.array([0, 90, 180, 270]), np.ones(4)).astype(int)
    apart = abs(colors[:, None] - colors).sum(axis=-1)
    assert apart[~np.eye(4, dtype=bool)].min() > 150


@pytest.mark.parametrize("shape", [(1, 1), (1, 240), (240, 3), (160, 240)])
@pytest.mark.parametrize("view", filter_lab.VIEWS)
def test_the_drawing_has_one_size_whatever_the_picture(shape, view, rng):
    drawn = filter_lab.draw(seen(rng.random(shape), view=view))
    assert drawn.canvas.size == (1360, 584)


def test_a_large_kernel_is_drawn_without_numbers(monkeypatch):
    grids = []
    monkeypatch.setattr(filter_lab.Sketch, "grid", lambda *args, **options: grids.append(args))
    filter_lab.draw(seen(kernel="gaussian 5", view="gray"))
    filter_lab.draw(seen(kernel="gabor edge"))
    assert [grid[1].shape for grid in grids] == [(5, 5)]


# --- the controls ---------------------------------------------------------------------------------


def test_every_choice_of_every_list_changes_picture_and_words():
    explorer = filter_lab.explorer()
    for name in ("photo", "kernel", "view"):
        control = explorer.controls[name]
        told = {control.value: (words(explorer), explorer.png)}
        for value in control.options:
            if value in (filter_lab.OWN, filter_lab.TYPED):
                continue
            control.value = value
            assert 'role="status"' in words(explorer)
            told[value] = words(explorer), explorer.png
        sentences, drawings = zip(*told.values(), strict=True)
        assert len(set(sentences)) == len(set(drawings)) == len(told)
        explorer = filter_lab.explorer()


def test_normalising_changes_the_picture_and_leaves_the_numbers():
    explorer = filter_lab.explorer()
    before = explorer.png, explorer.words
    explorer.controls["normalise"].value = False
    assert explorer.png != before[0]
    assert explorer.words == before[1]


def test_a_kernel_of_the_gallery_comes_into_the_field_if_it_fits():
    controls = filter_lab.explorer().controls
    controls["kernel"].value = "laplacian"
    assert controls["weights"].value == "0 1 0\n1 -4 1\n0 1 0"
    controls["kernel"].value = "gabor edge"
    assert controls["weights"].value == ""
    assert controls["kernel"].value == "gabor edge"


def test_the_gallerys_kernel_is_used_and_not_its_rounded_text():
    explorer = filter_lab.explorer()
    explorer.controls["kernel"].value = "box 3"
    assert "0.111111" in explorer.controls["weights"].value
    values = {name: control.value for name, control in explorer.controls.items()}
    assert np.array_equal(explorer.compute(**values).kernel, filters.box(3))


def test_what_is_typed_is_used():
    explorer = filter_lab.explorer()
    explorer.controls["weights"].value = "0 1/2\n0 1/2"
    assert explorer.controls["kernel"].value == filter_lab.TYPED
    assert explorer.words.startswith("chelsea through typed below, signed: values 0")
    values = {name: control.value for name, control in explorer.controls.items()}
    assert explorer.compute(**values).kernel.tolist() == [[0, 0.5], [0, 0.5]]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("1 2\n3", "weights: row 2 has 1 number, row 1 has 2. Try: 2 numbers in each row."),
        ("1 x", "weights=&#x27;x&#x27;: is no number. Try: 2, -0.5 or 1/9."),
        ("1 " * 10, "weights of 1 x 10: must be at most 9 x 9, to be seen at once."),
        (" ", "weights: there is no number yet."),
    ],
)
def test_what_cannot_be_read_is_said_and_the_picture_stays(text, sentence):
    explorer = filter_lab.explorer()
    before = explorer.picture.value
    explorer.controls["weights"].value = text
    assert 'role="alert"' in words(explorer)
    assert sentence in words(explorer)
    assert explorer.picture.value == before
    explorer.controls["weights"].value = "1 2\n3 4"
    assert 'role="status"' in words(explorer)


def test_the_view_follows_the_kernel_and_may_be_changed_after():
    controls = filter_lab.explorer().controls
    controls["kernel"].value = "gaussian 5"
    assert controls["view"].value == "gray"
    controls["view"].value = "signed"
    assert controls["view"].value == "signed"
    controls["view"].value = "gray"
    controls["kernel"].value = "log"
    assert controls["view"].value == "signed"
    controls["view"].value = "absolute"
    controls["kernel"].value = "laplacian"
    assert controls["view"].value == "absolute"
    controls["kernel"].value = "box 3"
    assert controls["view"].value == "absolute"


@pytest.mark.parametrize(
    ("kernel", "view"),
    [
        ("scharr y", "orientation"),
        ("laplacian", "signed"),
        ("gabor edge", "signed"),
        ("box 3", "gray"),
    ],
)
def test_the_view_of_directions_is_left_for_a_kernel_without_one(kernel, view):
    explorer = filter_lab.explorer(view="orientation")
    explorer.controls["kernel"].value = kernel
    assert explorer.controls["view"].value == view
    assert 'role="status"' in words(explorer)


def test_a_direction_that_is_not_there_is_refused_in_words():
    explorer = filter_lab.explorer()
    explorer.controls["kernel"].value = "laplacian"
    before = explorer.picture.value
    explorer.controls["view"].value = "orientation"
    assert "needs a slope" in words(explorer)
    assert explorer.picture.value == before
    explorer.controls["kernel"].value = "sobel y"
    assert "brightness grows" in explorer.words


# --- the reader's own picture ---------------------------------------------------------------------


def test_an_upload_is_shown_at_once():
    explorer = filter_lab.explorer()
    dark_left = np.zeros((300, 600, 3), np.uint8)
    dark_left[:, 300:] = 255
    explorer.controls["upload"].value = uploaded(file_of(dark_left))
    assert explorer.controls["photo"].value == filter_lab.OWN
    assert explorer.words == (
        "my own picture through sobel x, signed: values 0 to 4, mean 0.03; "
        "99 % of them within 0.01 of zero"
    )
    explorer.controls["photo"].value = "coins"
    assert explorer.words.startswith("coins through")
    explorer.controls["photo"].value = filter_lab.OWN
    assert explorer.words.startswith("my own picture through")


def test_an_upload_is_unpacked_once_and_a_second_one_anew(monkeypatch):
    opened = []
    decode = images.decode
    monkeypatch.setattr(images, "decode", lambda data: opened.append(1) or decode(data))
    explorer = filter_lab.explorer()
    explorer.controls["upload"].value = uploaded(file_of(np.zeros((8, 8, 3), np.uint8)))
    for view in filter_lab.VIEWS:
        explorer.controls["view"].value = view
    assert len(opened) == 1
    explorer.controls["upload"].value = uploaded(file_of(np.full((8, 8, 3), 255, np.uint8)))
    assert len(opened) == 2


def test_no_upload_yet_is_said_and_the_picture_stays():
    explorer = filter_lab.explorer()
    before = explorer.picture.value
    explorer.controls["photo"].value = filter_lab.OWN
    assert (
        "photo=&#x27;my own picture&#x27;: there is no picture yet. Try: the button "
        "&#x27;upload a picture&#x27;." in words(explorer)
    )
    assert explorer.picture.value == before


@pytest.mark.parametrize("content", [b"", b"hello", file_of(np.zeros((9, 9, 3), np.uint8))[:40]])
def test_what_is_no_picture_is_said_and_the_last_good_one_stays(content):
    explorer = filter_lab.explorer()
    good = np.tile(np.arange(200, dtype=np.uint8)[:, None, None], (1, 50, 3))
    explorer.controls["upload"].value = uploaded(file_of(good))
    before = explorer.picture.value
    explorer.controls["upload"].value = uploaded(content, name="bad.png")
    assert 'role="alert"' in words(explorer)
    assert f"data ({len(content)} bytes)" in words(explorer)
    assert explorer.picture.value == before
    explorer.controls["photo"].value = "coins"
    assert 'role="status"' in words(explorer)


# --- the whole ------------------------------------------------------------------------------------


def test_a_page_without_a_kernel_has_one_line_and_a_picture():
    explorer = filter_lab.explorer(photo="coins")
    data, _ = explorer._repr_mimebundle_()
    assert explorer.png.startswith(PNG)
    assert data["text/plain"].startswith("FilterLab(photo='coins', kernel='sobel x', view='signed'")
    assert data["text/plain"].endswith(explorer.words)
    assert repr(filter_lab.explorer(photo="coins")) == repr(explorer)


def test_two_controls_stand_beside_each_other():
    explorer = filter_lab.explorer()
    widths = [int(part.layout.width[:-2]) for part in explorer.controls.values()]
    assert 2 * (max(widths) + 4) <= explorer.width_px  # a margin of 2 px on each side


def test_every_control_has_a_description():
    assert [control.description for control in filter_lab.explorer().controls.values()] == [
        "photo",
        "kernel",
        "view",
        "normalise the colours",
        "weights",
        "upload a picture",
    ]
