import numpy as np
import pytest

from cnncourse import messages


def test_a_refusal_says_what_came_the_rule_and_the_next_line_to_type():
    said = messages.refusal("dilation", 0, "must be 1 or more (1 = no gaps)", attempt="dilation=1")
    assert said == "dilation=0: must be 1 or more (1 = no gaps). Try: dilation=1."


def test_text_that_came_is_quoted_as_python_quotes_it():
    said = messages.refusal("padding", "same", "needs stride 1", attempt="stride=1")
    assert said == "padding='same': needs stride 1. Try: stride=1."


def test_an_unknown_name_is_answered_with_the_nearest_known_one():
    said = messages.unknown("minst", "data set", ["mnist", "fashion-mnist", "cifar10"])
    assert said == (
        "'minst': unknown data set. Did you mean 'mnist'? Known: mnist, fashion-mnist, cifar10."
    )


def test_no_guess_is_made_where_no_known_name_is_near():
    said = messages.unknown("quux", "device", (name for name in ("cpu", "cuda")))
    assert said == "'quux': unknown device. Known: cpu, cuda."


# A text, and what of it is printed.
PRINTED = [
    ("≈ 98 % 'é' <b>", "≈ 98 % 'é' <b>"),
    ("\x1b[1;31mred\x1b[0m\nnext\tone", "red next one"),
    ("\x1b]0;title\x07 \x08\x9b2J \u202egnp \ud800\x00", "?]0;title? ??2J ?gnp ??"),
]


@pytest.mark.parametrize(("text", "shown"), PRINTED)
def test_what_a_terminal_would_obey_is_not_printed(text, shown):
    assert messages.printable(text) == shown


@pytest.mark.parametrize("came", [1, 2, np.int64(64)])
def test_whole_numbers_from_the_least_on_are_accepted_numpys_too(came):
    messages.check_at_least("batch_size", came, 1)


@pytest.mark.parametrize(
    ("came", "sentence"),
    [
        (0, "epochs=0: must be a whole number, 1 or more. Try: epochs=1."),
        (-3, "epochs=-3: must be a whole number, 1 or more. Try: epochs=1."),
        (2.0, "epochs=2.0: must be a whole number, 1 or more. Try: epochs=1."),
        ("2", "epochs='2': must be a whole number, 1 or more. Try: epochs=1."),
        (True, "epochs=True: must be a whole number, 1 or more. Try: epochs=1."),
        (None, "epochs=None: must be a whole number, 1 or more. Try: epochs=1."),
    ],
)
def test_what_is_no_whole_number_or_too_small_is_refused(refused, came, sentence):
    with refused(sentence):
        messages.check_at_least("epochs", came, 1)
