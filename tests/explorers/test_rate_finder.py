import pytest

from cnncourse.explorers.rate_finder import RULES, draw, explorer, pick, sentence, ticks
from cnncourse.range_test import RangeTest, smoothed

RATES = [10.0 ** (number / 4 - 5) for number in range(21)]
LOSSES = [2.3, 2.4, 2.2, 2.3, 2.3, 2.2, 2.1, 2.0, 1.6, 1.4, 1.0, 0.9, 0.6, 0.5, 0.6, 0.4, 0.7, 0.9,
          1.5, 4.0, 9.0]  # fmt: skip
FOUND = RangeTest(RATES, LOSSES, stopped=True)


def picked(*, smoothing=0.0, rule="a tenth of the minimum", found=FOUND):
    return pick(found, smoothing=smoothing, rule=rule)


def test_the_rules_are_those_of_the_range_test():
    minimum = RATES[LOSSES.index(0.4)]
    assert picked().rate == pytest.approx(minimum / 10)
    assert picked(rule="the minimum").rate == minimum
    assert picked(rule="steepest descent").rate == RATES[7]  # 2.0 -> 1.6, as 1.4 -> 1.0: the first
    assert FOUND.suggestion == picked(smoothing=0.9).rate
    assert FOUND.steepest == picked(smoothing=0.9, rule="steepest descent").rate


def test_the_smoothing_is_what_was_asked_for():
    assert picked(smoothing=0.5).losses == smoothed(LOSSES, share=0.5)
    assert picked().losses == LOSSES


def test_a_strong_smoothing_looks_back_and_moves_the_minimum_to_higher_rates():
    minima = [picked(smoothing=share, rule="the minimum").rate for share in (0.0, 0.6, 0.9)]
    assert minima == sorted(minima)
    assert minima[0] < minima[-1]


def test_an_unknown_rule_and_a_loss_that_never_falls_are_refused(refused):
    with refused(
        "'minimum': unknown rule. Did you mean 'the minimum'? Known: a tenth of the minimum, "
        "steepest descent, the minimum."
    ):
        picked(rule="minimum")
    with refused(
        "losses: none of 2 is below the first, at a learning rate of 0.1, so none can be picked. "
        "Try: lr_low=0.001, or more steps."
    ):
        picked(found=RangeTest([0.1, 1.0], [1.0, 2.0], stopped=False))


def test_the_pick_stands_in_red_where_its_rate_is():
    page = draw(picked()).canvas
    red = (213, 94, 0)
    middle = 2 * 150
    columns = [x for x in range(page.width) if page.getpixel((x, middle)) == red]
    expected = 2 * (64 + 750 * (-1.25 - 1 + 5) / 5)
    assert columns
    assert sum(columns) / len(columns) == pytest.approx(expected, abs=3)


def test_a_pick_below_the_axis_is_said_and_not_drawn():
    low = RangeTest([1e-5, 9e-5, 1.2e-4], [2.0, 0.5, 1.0], stopped=False)
    page = draw(picked(found=low)).canvas
    assert (213, 94, 0) not in {color for _, color in page.getcolors(1 << 24)}
    assert "≈ 9e-06" in sentence(picked(found=low))


def test_a_loss_above_the_axis_has_its_dot_on_the_frame():
    page = draw(picked()).canvas
    dots = [
        y for y in range(60, 100) for x in range(128, 1628) if page.getpixel((x, y)) == (160,) * 3
    ]
    assert dots
    assert min(dots) >= 2 * (44 - 2)


@pytest.mark.parametrize("top", [0.03, 0.5, 2.99, 3.0, 7.2, 9.99, 55.0])
def test_the_axis_has_four_to_eight_round_numbers_from_0_on(top):
    found = ticks(top)
    assert found[0] == 0
    assert 4 <= len(found) <= 8
    assert found[-1] <= top < 2 * found[-1]


def test_the_sentence_says_smoothing_rule_pick_and_minimum():
    assert sentence(picked()) == (
        "smoothing 0, a tenth of the minimum: ≈ 0.0056; the smoothed loss is lowest, ≈ 0.40, at "
        "≈ 0.056"
    )


def test_every_control_changes_words_and_picture():
    result = explorer(FOUND)
    seen = {(result.words, result.png)}
    for rule in list(RULES)[1:]:
        result.controls["rule"].value = rule
        seen.add((result.words, result.png))
    for smoothing in (0.0, 0.5, 0.98):
        result.controls["smoothing"].value = smoothing
        seen.add((result.words, result.png))
    assert len({words for words, _ in seen}) == len({png for _, png in seen}) == 6
