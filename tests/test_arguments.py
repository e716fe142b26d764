"""The arguments: a wrong number is refused; the help says what there is."""

import pytest

from cnncourse import arguments

# An option, a wrong value, and what is said.
WRONG_NUMBERS = [
    *(("-j", value, f"'{value}': must be from 1 to 512") for value in ("0", "two", "1.5", "-1")),
    *(("--timeout", value, "must be seconds, above 0") for value in ("0", "-1", "soon", "nan")),
    *(("--retries", value, "must be from 0 to 9") for value in ("x", "99", "-1")),
    ("--again", "some", "choose from"),
]


@pytest.mark.parametrize(("option", "value", "sentence"), WRONG_NUMBERS)
def test_a_wrong_number_exits_with_2(capsys, option, value, sentence):
    with pytest.raises(SystemExit) as ended:
        arguments.parser().parse_args(["run", option, value])
    assert ended.value.code == 2
    said = capsys.readouterr().err
    assert option in said
    assert sentence in said


@pytest.mark.parametrize("command", ["run", "sweep", "save"])
def test_the_help_says_of_every_option_what_it_is(capsys, command):
    with pytest.raises(SystemExit) as ended:
        arguments.parser().parse_args([command, "--help"])
    assert ended.value.code == 0
    found = arguments.parser()._subparsers._group_actions[0].choices[command]
    assert all(action.help for action in found._actions)
    said = " ".join(capsys.readouterr().out.split())
    assert " ".join(found.description.split()) in said


def test_what_is_left_out_has_neutral_values():
    found = arguments.parser().parse_args(["save"])
    assert (found.again, found.workers, found.retries, found.timeout) == ("all", 1, 1, None)
    found = arguments.parser().parse_args(["sweep", "06"])
    assert (found.again, found.grid, found.seeds, found.jobs) == ("unfinished", [], None, None)
