"""Pictures are checked by what is drawn on their axes, in numbers; not pixel by pixel."""

import base64
import io
import sys

import numpy as np
import pytest
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.image import imread

from cnncourse import plots


@pytest.fixture
def ax():
    return Figure().subplots()


def pixels(png: bytes) -> np.ndarray:
    return imread(io.BytesIO(png))


def texts(ax) -> list[str]:
    return [text.get_text() for text in ax.texts]


def test_a_png_has_the_size_that_was_asked_for_and_a_white_opaque_ground():
    shown = pixels(plots.render_png(lambda ax: ax.plot([1, 2]), width_in=3, height_in=2))
    assert shown.shape == (200, 300, 4)
    assert shown[..., 3].min() == 1
    assert shown[0, 0].tolist() == [1, 1, 1, 1]
    assert shown.std() > 0.05  # something is drawn


def test_drawings_stand_side_by_side_in_their_order():
    black, red = (lambda ax, color=color: ax.set_facecolor(color) for color in ("black", "red"))
    shown = pixels(plots.render_png(black, red, width_in=4, height_in=2))
    middle = shown[100]
    assert middle[120].tolist() == [0, 0, 0, 1]
    assert middle[320].tolist() == [1, 0, 0, 1]


def test_the_same_drawing_gives_the_same_bytes():
    draw = lambda ax: ax.plot([3, 1, 2], label="a")  # noqa: E731
    assert plots.render_png(draw) == plots.render_png(draw)


def test_no_global_figure_is_left_behind():
    plots.render_png(lambda ax: ax.plot([1, 2]))
    pyplot = sys.modules.get("matplotlib.pyplot")
    assert pyplot is None or pyplot.get_fignums() == []


def test_a_picture_carries_its_words():
    shown = plots.picture(lambda ax: ax.plot([1, 2]), alt="a line that rises")
    data, metadata = shown._repr_mimebundle_()
    assert data["text/plain"] == "a line that rises"
    assert metadata == {"image/png": {"alt": "a line that rises"}}
    assert pixels(base64.b64decode(data["image/png"])).shape == (320, 640, 4)
    _, metadata = plots.Picture(shown.png, "", width_px=320)._repr_mimebundle_()
    assert metadata == {"image/png": {"alt": "", "width": 320}}


def test_images_stand_in_rows_each_under_its_title(ax, rng):
    images = rng.uniform(0.1, 0.9, size=(3, 6, 5))
    plots.draw_images(ax, images, ["a", "b", "c"], columns=2)
    canvas = ax.images[0].get_array()
    assert canvas.shape == (2 * (6 + 2), 2 * (5 + 2))  # two pixels of gap, above and beside
    np.testing.assert_array_equal(canvas[2:8, 0:5], images[0])
    np.testing.assert_array_equal(canvas[2:8, 7:12], images[1])
    np.testing.assert_array_equal(canvas[10:16, 0:5], images[2])
    assert canvas[10:16, 7:12].mask.all()
    assert texts(ax) == ["a", "b", "c"]
    assert [text.get_position() for text in ax.texts] == [(2.5, 1), (9.5, 1), (2.5, 9)]
    assert ax.images[0].get_clim() == (images.min(), images.max())


def test_fewer_images_than_columns_leave_no_empty_columns(ax):
    plots.draw_images(ax, np.eye(4)[None], [""], columns=10)
    assert ax.images[0].get_array().shape == (6, 6)


def test_every_image_needs_its_title(ax):
    with pytest.raises(ValueError, match="zip"):
        plots.draw_images(ax, np.zeros((2, 4, 4)), ["one"])


def test_a_photo_is_drawn_as_it_is(ax, rng):
    photo = rng.integers(0, 256, size=(4, 5, 3), dtype=np.uint8)
    plots.draw_photo(ax, photo, title="a photo")
    np.testing.assert_array_equal(ax.images[0].get_array(), photo)
    assert ax.get_title() == "a photo"


def test_a_frame_stands_around_its_pixels(ax):
    plots.draw_frame(ax, row=30, column=50, size_px=8)
    for frame in ax.patches:
        (left, top), (right, bottom) = frame.get_bbox().get_points()
        assert left < 50 - 0.5 < 57 + 0.5 < right
        assert top < 30 - 0.5 < 37 + 0.5 < bottom


def test_curves_count_their_epochs_from_one(ax):
    plots.draw_curves(ax, {"train": [3, 2], "validation": [4, 1]}, ylabel="loss", epochs=5)
    for line, values in zip(ax.lines, [[3, 2], [4, 1]], strict=True):
        assert line.get_xdata().tolist() == [1, 2]
        assert line.get_ydata().tolist() == values
    assert ax.get_xlim() == (0.5, 5.5)
    assert [text.get_text() for text in ax.get_legend().texts] == ["train", "validation"]
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("epoch", "loss")
    looks = {(line.get_color(), line.get_linestyle(), line.get_marker()) for line in ax.lines}
    assert len(looks) == 2


def test_no_curve_is_left_out(ax):
    plots.draw_curves(ax, {str(number): [number] for number in range(6)}, ylabel="y")
    assert len(ax.lines) == 6
    assert ax.get_xlim() == (0.5, 1.5)


def test_a_confusion_matrix_shows_counts_and_colours_mistakes_alone(ax):
    counts = np.array([[9, 2, 0], [0, 8, 0], [1, 0, 7]])
    plots.draw_confusion(ax, counts, ["a", "b", "c"])
    np.testing.assert_array_equal(ax.images[0].get_array(), [[0, 2, 0], [0, 0, 0], [1, 0, 0]])
    written = {text.get_position(): text.get_text() for text in ax.texts}
    assert written == {(0, 0): "9", (1, 0): "2", (1, 1): "8", (0, 2): "1", (2, 2): "7"}
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("answered", "true")
    assert [label.get_text() for label in ax.get_yticklabels()] == ["a", "b", "c"]


def test_a_confusion_matrix_without_mistakes_is_white(ax):
    plots.draw_confusion(ax, np.eye(2, dtype=int) * 5, ["a", "b"])
    assert ax.images[0].get_clim() == (0, 1)


def test_bars_are_as_long_as_their_values_and_one_is_marked(ax):
    plots.draw_bars(ax, [0.25, 0.9], ["a", "b"], mark=1)
    assert [bar.get_width() for bar in ax.patches] == [0.25, 0.9]
    assert [to_hex(bar.get_facecolor()).upper() for bar in ax.patches] == [plots.BLUE, plots.ORANGE]
    assert texts(ax) == ["0.25", "0.90"]
    assert ax.yaxis_inverted()  # the first on top
    assert all(0 <= text.get_position()[0] <= 1 for text in ax.texts)


def test_intervals_reach_from_low_to_high(ax):
    plots.draw_intervals(ax, {"a": (97.0, 96.0, 98.5), "b": (50.0, 49.0, 51.0)}, xlabel="%")
    lines = [line for line in ax.lines if len(line.get_xdata()) == 2]
    assert [list(line.get_xdata()) for line in lines] == [[96.0, 98.5], [49.0, 51.0]]
    assert texts(ax) == ["97.0", "50.0"]
    assert [label.get_text() for label in ax.get_yticklabels()] == ["a", "b"]


def test_the_four_colours_are_okabe_and_itos():
    colours = [plots.BLUE, plots.ORANGE, plots.GREEN, plots.RED]
    assert colours == ["#0072B2", "#E69F00", "#009E73", "#D55E00"]


def test_bands_have_a_curve_and_its_interval_at_each_point(ax):
    rows = [(1.0, 0.5, 2.0), (4.0, 3.0, 5.0)]
    plots.draw_bands(ax, {"a": rows, "b": rows}, [1, 8], xlabel="n", ylabel="error", log="xy")
    assert [list(line.get_ydata()) for line in ax.lines] == [[1, 4], [1, 4]]
    assert [list(line.get_xdata()) for line in ax.lines] == [[1, 8], [1, 8]]
    band = ax.collections[0].get_paths()[0].vertices
    assert {(1.0, 0.5), (1.0, 2.0), (8.0, 3.0), (8.0, 5.0)} <= {tuple(point) for point in band}
    assert (ax.get_xscale(), ax.get_yscale()) == ("log", "log")
    assert [label.get_text() for label in ax.get_xticklabels()] == ["1", "8"]


def test_bands_are_linear_unless_told(ax):
    plots.draw_bands(ax, {"a": [(1, 0, 2), (2, 1, 3)]}, [1, 2], xlabel="", ylabel="")
    assert (ax.get_xscale(), ax.get_yscale()) == ("linear", "linear")
