import pytest
import torch

from cnncourse.explorers import confidence
from cnncourse.explorers.confidence import draw, judged, sentence
from cnncourse.insight.calibration import reliability

BLUE, ORANGE, GRAY = (0, 114, 178), (230, 159, 0), (136, 136, 136)


@pytest.fixture
def answers():
    """Two classes: eight sure answers of which six are right, and two unsure ones, one right."""
    logits = torch.tensor([[3.0, 0.0]] * 8 + [[0.2, 0.0]] * 2)
    return logits, torch.tensor([0] * 6 + [1] * 2 + [0, 1])


def test_it_is_the_reliability_of_the_divided_logits(answers):
    logits, labels = answers
    shown = judged(logits, labels, temperature=2.0)
    assert torch.equal(shown.bins.counts, reliability(logits / 2, labels, bins=10).counts)
    assert shown.bins.error == pytest.approx(reliability(logits / 2, labels, bins=10).error)
    assert shown.accuracy == pytest.approx(0.7)
    sigmoid = torch.sigmoid(torch.tensor([1.5, 0.1]))
    assert shown.confidence == pytest.approx((0.8 * sigmoid[0] + 0.2 * sigmoid[1]).item())


def test_a_higher_temperature_is_less_sure_and_as_often_right(answers):
    rows = [judged(*answers, temperature=t) for t in (0.25, 1.0, 8.0)]
    assert [row.accuracy for row in rows] == [pytest.approx(0.7)] * 3
    sure = [row.confidence for row in rows]
    assert sure == sorted(sure, reverse=True)


def test_bars_are_as_high_as_the_shares(answers):
    page = draw(judged(*answers, temperature=1.0)).canvas
    x = 2 * round(70 + 280 * 0.93)  # of the bin from 0.9 to 1: six of eight right
    blue = [y for y in range(2 * 40, 2 * 320) if page.getpixel((x, y)) == BLUE]
    assert min(blue) / 2 == pytest.approx(40 + 280 * (1 - 0.75), abs=1.5)
    orange = [y for y in range(2 * 40, 2 * 320) if page.getpixel((x, y)) == ORANGE]
    mean = 1 / (1 + 2.718281828**-3)
    assert sum(orange) / len(orange) / 2 == pytest.approx(40 + 280 * (1 - mean), abs=2)
    x = 2 * round(440 + 300 * 0.58)  # two pictures of at most eight
    gray = [y for y in range(2 * 50, 2 * 318) if page.getpixel((x, y)) == GRAY]
    assert min(gray) / 2 == pytest.approx(40 + 280 * (1 - 2 / 8), abs=1.5)


def test_the_sentence_says_how_sure_and_how_often_right(answers):
    assert sentence(judged(*answers, temperature=1.0)) == (
        "temperature 1.00: right ≈ 70.0 %, sure ≈ 87.2 % in the mean: too sure; calibration error "
        "≈ 17.2 points, cross-entropy ≈ 0.778"
    )
    assert ": not sure enough; " in sentence(judged(*answers, temperature=8.0))
    assert ": as sure as right; " in sentence(judged(*answers, temperature=2.77))


def test_the_slider_changes_words_and_picture(answers):
    result = confidence.explorer(*answers)
    seen = {(result.words, result.png)}
    for temperature in (0.25, 2.0, 8.0):
        result.controls["temperature"].value = temperature
        seen.add((result.words, result.png))
    assert len({words for words, _ in seen}) == len({png for _, png in seen}) == 4
    assert repr(result).startswith("Confidence(temperature=8.0): temperature 8.00")


def test_no_temperature_at_all_is_said_and_the_picture_stays(answers, refused):
    rule = "must be a number above 0 (1 changes nothing)"
    with refused(f"temperature=0: {rule}. Try: temperature=1.0."):
        judged(*answers, temperature=0)
