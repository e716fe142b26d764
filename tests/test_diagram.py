import io

import numpy as np
import pytest
from PIL import Image

from cnncourse import diagram
from cnncourse.diagram import Box

# A residual block, and two paths that meet in a wide box.
RESIDUAL = {
    "x": Box(0, 0, "x", kind="image"),
    "conv": Box(0, 1, "conv"),
    "add": Box(0, 2, "+", kind="join"),
}
PATHS = {
    "x": Box(1.0, 0, "x", kind="image"),
    "a": Box(0, 1, "1x1 conv"),
    "b": Box(1, 1, "3x3 conv"),
    "b2": Box(1, 2, "3x3 conv"),
    "cat": Box(0.5, 3, "concatenate", kind="join", columns=2),
}


def pixels(picture) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(picture.png)).convert("RGB")).astype(int)


def test_a_diagram_is_a_picture_with_its_words():
    picture = diagram.diagram(RESIDUAL, [("x", "conv"), ("conv", "add")], alt="x, conv, plus")
    assert picture.alt == "x, conv, plus"
    assert pixels(picture).shape[1] == 2 * picture.width_px


@pytest.mark.parametrize(("kind", "fill"), diagram.FILLS.items())
def test_a_box_has_the_colour_of_its_kind(kind, fill):
    picture = diagram.diagram({"x": Box(0, 0, "x", kind=kind)}, [], alt="x")
    color = [int(fill[place : place + 2], 16) for place in (1, 3, 5)]
    assert (pixels(picture)[50, 60] == color).all()  # inside the box, left of its word


def test_an_arrow_goes_straight_down_to_the_next_box():
    assert diagram.route(RESIDUAL, "x", "conv", 100) == [(66, 56), (66, 82)]


def test_a_shortcut_walks_around_the_box_between():
    path = diagram.route(RESIDUAL, "x", "add", 100)
    assert path == [(109, 36), (126, 36), (126, 168), (109, 168)]
    assert path[1][0] > 66 + 50 - 7  # beyond the boxes' right edges


def test_a_split_turns_below_its_source_and_a_wide_box_is_met_straight():
    (x, bottom), (_, turn), (to_x, _), (_, top) = diagram.route(PATHS, "x", "a", 100)
    assert (x, to_x) == (166, 66)
    assert bottom < turn < top
    assert diagram.route(PATHS, "a", "cat", 100) == [(66, 122), (66, 214)]


def test_a_path_that_is_not_free_turns_late():
    boxes = PATHS | {"add": Box(0, 3, "+")}
    path = diagram.route(boxes, "b", "add", 100)
    assert path[1][1] < 148  # column 0 is free below row 1: it turns at once
    boxes["a2"] = Box(0, 2, "conv")
    assert diagram.route(boxes, "b", "add", 100)[1][1] > 188  # below row 2


def test_the_page_is_wide_enough_for_words_beside_an_arrow():
    plain = diagram.diagram(RESIDUAL, [("x", "add")], alt="x")
    noted = diagram.diagram(RESIDUAL, [("x", "add", "identity, no weights")], alt="x")
    assert noted.width_px > plain.width_px + 100
    assert (pixels(noted)[:, -16:] == 255).all()  # nothing is cut


def test_what_is_not_there_is_refused(refused):
    with refused("'ad': unknown box. Did you mean 'add'? Known: x, conv, add."):
        diagram.diagram(RESIDUAL, [("x", "ad")], alt="x")
    with refused(
        "'convolution': unknown kind of box. Did you mean 'conv'? Known: image, conv, pool, norm, "
        "linear, join."
    ):
        diagram.diagram({"x": Box(0, 0, "x", kind="convolution")}, [], alt="x")
