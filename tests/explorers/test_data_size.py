import math

import pytest

from cnncourse.explorers.data_size import (
    checked,
    draw,
    explorer,
    images_for,
    mean_at,
    place,
    sentence,
    sizes,
    worth,
)
from cnncourse.measure import mean_interval

COUNTS = (2, 4, 16)
TABLE = {
    "pretrained": [[0.50, 0.60], [0.70, 0.72], [0.80, 0.82]],
    "from scratch": [[0.10, 0.12], [0.30, 0.32], [0.58, 0.60]],
}


def at(images, *, table=TABLE, chance=0.0):
    return sizes(COUNTS, checked(COUNTS, table), chance, images=images)


def test_a_measured_number_says_mean_and_interval():
    _, low, high = mean_interval([0.70, 0.72])
    assert sentence(at(4)).startswith(
        f"4 labelled images a class, measured: pretrained ≈ 71.0% (95 % interval ≈ {low:.1%} to ≈ "
        f"{high:.1%}), from scratch ≈ 31.0% ("
    )


def test_between_two_numbers_it_is_a_line_on_a_logarithmic_axis():
    """8 is half of the way from 4 to 16."""
    curve = checked(COUNTS, TABLE)[0]
    assert mean_at(COUNTS, curve, 8) == pytest.approx((0.71 + 0.81) / 2)
    assert "between two measured numbers: pretrained ≈ 76.0%, from" in sentence(at(8))
    assert "interval" not in sentence(at(8))


@pytest.mark.parametrize(("count", "mean"), [(2, 0.55), (4, 0.71), (16, 0.81)])
def test_at_a_measured_number_it_is_the_mean(count, mean):
    assert mean_at(COUNTS, checked(COUNTS, TABLE)[0], count) == pytest.approx(mean)


def test_how_many_images_the_last_needs_is_the_way_back():
    curve = checked(COUNTS, TABLE)[1]
    for images in (2, 3, 4, 9, 16):
        assert images_for(COUNTS, curve, mean_at(COUNTS, curve, images)) == pytest.approx(images)
    assert images_for(COUNTS, curve, 0.05) == 2
    assert images_for(COUNTS, curve, 0.9) == math.inf


def test_what_is_worth_how_many_is_said():
    assert worth(at(2)) == (
        "from scratch", "needs ≈ 13 images a class", "to be as good as pretrained is here"
    )  # fmt: skip
    assert worth(at(16))[1] == "needs more than 16 images a class"


def test_one_curve_is_compared_with_nothing():
    one = at(2, table={"probe": TABLE["pretrained"]})
    assert "needs" not in sentence(one)
    assert draw(one)


def test_an_interval_ends_at_0_and_1():
    """Student's t with two seeds reaches far."""
    curves = checked((1, 2), {"wide": [[0.0, 0.2], [0.8, 1.0]]})
    assert curves[0].intervals[0][1] == 0.0
    assert curves[0].intervals[1][2] == 1.0


def test_one_image_is_in_the_singular():
    shown = sizes((1, 2), checked((1, 2), {"p": [[0.1, 0.2], [0.3, 0.4]]}), 0.0, images=1)
    assert sentence(shown).startswith("1 labelled image a class, measured")


def color_at(shown, images, accuracy, *, aside):
    x, y = place(shown, images, accuracy)
    return draw(shown).canvas.getpixel((round(2 * (x + aside)), round(2 * y)))


def test_a_run_stands_where_its_accuracy_is():
    shown = at(16)
    blue, orange = (0, 114, 178), (230, 159, 0)
    assert color_at(shown, 2, 0.60, aside=-4.5) == blue
    assert color_at(shown, 2, 0.12, aside=4.5) == orange
    assert color_at(shown, 4, 0.97, aside=-4.5) == (255, 255, 255)


def test_guessing_is_drawn_where_it_is_known():
    x, y = place(at(2), 3, 0.04)
    for chance, expected in ((0.04, "#888888"), (0.0, "#ffffff")):
        pixel = draw(at(2, chance=chance)).canvas.getpixel((round(2 * x), round(2 * y)))
        assert "#{:02x}{:02x}{:02x}".format(*pixel) == expected


def test_the_slider_moves_words_and_picture():
    result = explorer(COUNTS, TABLE, chance=0.1, images=4)
    assert result.controls["images"].value == 4
    seen = {(result.words, result.png)}
    for images in (2, 8, 16):
        result.controls["images"].value = images
        seen.add((result.words, result.png))
    assert len({words for words, _ in seen}) == len({png for _, png in seen}) == 4
    assert repr(result).startswith("DataSize(images=16): 16 labelled images a class, measured")


def test_a_table_with_holes_is_refused(refused):
    row = "Try: a row of accuracies for each count."
    with refused(f"'pretrained': has 3 rows for 2 counts. {row}"):
        explorer((2, 4), TABLE)
    with refused("'p': accuracies must be from 0 to 1. Try: percent / 100."):
        explorer((1, 2), {"p": [[71.0, 72.0], [80.0, 81.0]]})
    with refused("1 run has no interval. Try: seeds=(0, 1, 2)."):
        explorer((1, 2), {"p": [[0.1], [0.2]]})
    rule = "must be two or more whole numbers that rise. Try: counts=(2, 5, 10, 25)."
    for counts in ((2,), (5, 2), (2, 2), (0, 3)):
        with refused(f"counts={counts}: {rule}"):
            explorer(counts, {"p": [[0.1, 0.2]] * len(counts)})
    with refused("curves=0: must be from 1 to 4. Try: two of them."):
        explorer((1, 2), {})
    with refused("images=1: was measured from 2 to 16. Try: images=2."):
        at(1)
