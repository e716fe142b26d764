import io
import math
from datetime import UTC, datetime

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from cnncourse import images
from cnncourse.explorers import where_it_looks as looks
from cnncourse.explorers.pictures import OWN
from cnncourse.insight import cam, gradients, occlusion
from cnncourse.insight.sanity import randomised, rank_correlation
from cnncourse.preprocess import Preprocess

SMALL = Preprocess(32, 36, (0.5,) * 3, (0.5,) * 3, "bilinear")
LAYERS = ("0", "2")
CLASSES = ("cat", "cup", "rock")


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1),
        nn.ReLU(inplace=True),
        nn.Conv2d(8, 8, 3, stride=4, padding=1),
        nn.ReLU(inplace=True),
        nn.Flatten(),
        nn.Linear(512, 3),
    ).eval()


@pytest.fixture
def explorer(model):
    return looks.explorer(model, SMALL, layers=LAYERS, classes=CLASSES)


def uploaded(content):
    changed = datetime(2026, 1, 1, tzinfo=UTC)
    file = {"name": "mine.png", "type": "image/png", "size": len(content)}
    return (file | {"last_modified": changed, "content": memoryview(content)},)


def file_of(pixels):
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "png")
    return buffer.getvalue()


def look(model, **changed):
    settings = {"picture": "coffee", "method": "Grad-CAM", "layer": "2", "target": 1}
    settings |= {"row": 4, "column": 8, "square": 8, "upload": ()} | changed
    return looks.Kept(model, SMALL, CLASSES).compute(**settings)


def image_of(name):
    return SMALL.standardise(SMALL.cut(images.photo(name)))[None]


def test_the_chosen_methods_map_is_shown_for_the_class_and_the_layer(model):
    image = image_of("coffee")
    shown = look(model)
    np.testing.assert_allclose(shown.map, cam.grad_cam(model, image, 1, layer="2")[0], atol=1e-6)
    shown = look(model, method="occlusion", square=12)
    expected = occlusion.occlusion(model, image, 1, size_px=12, stride_px=4).relu()
    np.testing.assert_allclose(shown.map, expected[0], atol=1e-6)
    assert shown.method == "occlusion"


def test_the_layer_counts_for_grad_cam_alone(model):
    assert look(model, layer="0").map.shape == (32, 32)
    assert look(model, layer="2").map.shape == (8, 8)
    assert look(model, layer="0").method == "Grad-CAM at 0"
    one, other = (look(model, method="gradient", layer=layer) for layer in LAYERS)
    assert np.array_equal(one.map, other.map)
    assert one.method == "gradient"


def test_the_twin_has_random_weights_and_its_likeness_is_measured(model):
    shown = look(model, method="gradient")
    twin = randomised(model, [""], seed=0)
    expected = gradients.per_pixel(gradients.saliency(twin, image_of("coffee"), 1))
    np.testing.assert_allclose(shown.twin, expected[0], atol=1e-6)
    maps = torch.tensor(shown.map)[None], torch.tensor(shown.twin)[None]
    assert shown.likeness == pytest.approx(rank_correlation(*maps).item())


def test_a_square_hides_and_the_probability_answers(model):
    shown = look(model)
    pixels = SMALL.cut(images.photo("coffee"))
    hidden = pixels.clone()
    hidden[:, 4:12, 8:16] = 0.5
    assert torch.equal(shown.pixels, hidden)
    with torch.no_grad():
        sure = [
            model(SMALL.standardise(part)[None]).softmax(dim=1)[0, 1].item()
            for part in (pixels, hidden)
        ]
    assert (shown.before, shown.after) == pytest.approx(sure, abs=1e-6)
    assert "takes the probability from" in looks.sentence(shown)
    bare = look(model, square=0)
    assert torch.equal(bare.pixels, pixels)
    assert looks.sentence(bare).endswith(f"; probability ≈ {bare.before:.2f}")


def test_a_flat_map_is_said(model):
    shown = look(model)._replace(map=np.zeros((8, 8)), likeness=math.nan)
    assert "not defined (a map is flat)" in looks.sentence(shown)
    assert "brightest ≈ nowhere" in looks.sentence(shown)
    looks.draw(shown)


def test_the_three_pictures_are_drawn_where_they_belong(model):
    step = np.array([[0.0, 1.0], [0.0, 0.0]]).repeat(8, 0).repeat(8, 1)
    shown = look(model)._replace(map=step, twin=step.T, square=(0, 0, 0))
    canvas = looks.draw(shown).canvas
    for x, bright in ((288, (0.75, 0.25)), (566, (0.25, 0.75))):
        for place in ((0.75, 0.25), (0.25, 0.75)):
            at = round(2 * (x + place[0] * 262)), round(2 * (34 + place[1] * 262))
            assert canvas.getpixel(at) == ((255,) * 3 if place == bright else (0,) * 3)


def test_every_control_changes_picture_and_words(explorer):
    seen = {explorer.words}
    moves = [("method", method) for method in looks.METHODS[1:]]
    moves += [("method", "Grad-CAM"), ("layer", "0"), ("row", 0), ("column", 0), ("square", 16)]
    for name, value in moves:
        before = explorer.png
        explorer.controls[name].value = value
        assert explorer.png != before, name
        assert explorer.words not in seen or value == "Grad-CAM"
        seen.add(explorer.words)
    before = explorer.words
    explorer.controls["target"].value = (explorer.controls["target"].value + 1) % 3
    assert explorer.words != before


def test_a_new_picture_asks_for_the_networks_answer(explorer, model):
    with torch.no_grad():
        for name in images.PHOTOS:
            explorer.controls["picture"].value = name
            answer = int(model(image_of(name)).argmax())
            assert explorer.controls["target"].value == answer
            assert f"for '{CLASSES[answer]}'" in explorer.words


def test_moving_the_square_makes_no_new_map(explorer, monkeypatch):
    monkeypatch.setattr(looks, "attributed", lambda *_, **__: pytest.fail("a map was made anew"))
    explorer.controls["row"].value = 0
    explorer.controls["square"].value = 0
    assert "probability ≈" in explorer.words


def test_an_upload_is_shown_at_once_and_its_successor_too(explorer):
    told = []
    for value in (250, 20):
        pixels = np.full((40, 60, 3), value, np.uint8)
        pixels[:, 30:] = 90
        explorer.controls["upload"].value = uploaded(file_of(pixels))
        assert explorer.controls["picture"].value == OWN
        told.append(explorer.png)
        assert explorer.words.startswith("my own picture, Grad-CAM at 2")
    assert told[0] != told[1]


def test_no_upload_and_what_is_no_picture_are_said_and_the_picture_stays(explorer):
    before = explorer.png
    explorer.controls["picture"].value = OWN
    assert "there is no picture yet. Try: the button" in explorer.message.value
    explorer.controls["upload"].value = uploaded(b"hello")
    assert "data (5 bytes)" in explorer.message.value
    assert explorer.png == before
    explorer.controls["picture"].value = "rocket"
    assert explorer.words.startswith("rocket")


def test_classes_without_names_are_numbered(model, refused):
    explorer = looks.explorer(model, SMALL, layers=LAYERS)
    assert [name for name, _ in explorer.controls["target"].options] == [
        "class 0",
        "class 1",
        "class 2",
    ]
    with refused("preprocess=None: a model needs its own. Try: weights.IMAGENET."):
        looks.explorer(model)


def test_a_model_is_asked_in_eval_mode_and_left_in_its_own(model):
    dropping = nn.Sequential(model, nn.Dropout(0.9)).train()
    dropping[0].eval()
    words = [looks.explorer(dropping, SMALL, layers=("0.0", "0.2")).words for _ in range(2)]
    assert words[0] == words[1]
    assert dropping[1].training
    assert not dropping[0].training


def test_names_that_are_not_as_many_as_the_classes_are_refused(model, refused):
    for names in (("cat", "cup"), (*CLASSES, "fourth")):
        with refused(
            f"classes: {len(names)} names for a model of 3 classes. "
            "Try: classes=None, which numbers them."
        ):
            looks.explorer(model, SMALL, layers=LAYERS, classes=names)


def drag(explorer, row, column, stamp):
    """Point at this place of the picture, in pixels of 32, as the browser tells it."""
    x = (looks.LEFT_PX + column / 32 * looks.SIDE_PX) / looks.WIDTH_PX
    y = (looks.TOP_PX + row / 32 * looks.SIDE_PX) / looks.HEIGHT_PX
    explorer.children[-1].set_state({"at": [x, y, stamp]})
    controls = explorer.controls
    return controls["row"].value, controls["column"].value


def test_the_middle_of_the_square_follows_the_pointer_in_the_sliders_steps(explorer):
    explorer.controls["square"].value = 8
    assert drag(explorer, 21, 11, 1.0) == (16, 8)
    assert "a square of 8 px at (16, 8)" in explorer.words
    assert drag(explorer, 25, 3, 2.0) == (24, 0)
    explorer.controls["square"].value = 16
    assert drag(explorer, 14, 18, 3.0) == (8, 8)
    explorer.controls["row"].value = 0  # the sliders go on from there
    assert "a square of 16 px at (0, 8)" in explorer.words


def test_the_square_stays_on_the_picture_whole(explorer):
    explorer.controls["square"].value = 8
    assert drag(explorer, -50, 70, 1.0) == (0, 24)
    assert drag(explorer, 70, -50, 2.0) == (24, 0)


def test_a_move_within_the_same_step_draws_nothing_and_without_a_square_none_does(explorer):
    explorer.controls["square"].value = 8
    drawn = []
    drag(explorer, 20, 20, 1.0)
    explorer.picture.observe(lambda change: drawn.append(change), names="value")
    assert drag(explorer, 21, 19, 2.0) == (16, 16)
    assert drawn == []
    drag(explorer, 28, 12, 3.0)  # two sliders, one picture
    assert len(drawn) == 1
    explorer.controls["square"].value = 0
    assert drag(explorer, 4, 4, 4.0) == (24, 8)


def test_a_drag_begins_on_the_picture_and_not_on_the_maps(explorer):
    left, top, right, bottom = explorer.children[-1].region
    assert (left * 840, right * 840) == pytest.approx((10, 272))
    assert (top * 356, bottom * 356) == pytest.approx((34, 296))
