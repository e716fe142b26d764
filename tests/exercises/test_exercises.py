"""The framework on an exercise of its own, then every record of every lesson."""

import dataclasses
import inspect
import pkgutil
import re
from importlib import import_module

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from cnncourse import exercises
from cnncourse.exercises import (
    BEGIN,
    END,
    Exercise,
    Feedback,
    Question,
    WrongAnswer,
    compiled,
)
from cnncourse.outcomes import same

DOUBLE = Exercise(
    name="double",
    task="Double it.",
    stub='def double(number: int) -> int:\n    """Twice the number."""\n    ...',
    hints=("add", "it", "to itself"),
    solution_code="def double(number):\n    return number + number",
    wrong=(
        WrongAnswer("def double(number):\n    return number * number", "That is the square."),
        WrongAnswer("def double(number):\n    return number[0]", "A number has no parts."),
        WrongAnswer("def double(number):\n    print('ours')\n    return -number", "That is minus."),
    ),
    case=lambda number: (number,),
    describe=lambda number: f"number={number}",
    cases=8,
)


def test_an_untouched_stub_is_not_tried_and_raises_nothing():
    assert DOUBLE.check(compiled(DOUBLE.stub, "double")).kind == "not tried"


@pytest.mark.parametrize("body", ["...", "pass", '"Twice."', '"Twice."\n    ...', "return None"])
def test_an_empty_body_is_untouched(body):
    assert exercises.untouched(compiled(f"def double(number):\n    {body}", "double"))


@pytest.mark.parametrize("body", ["return number", "number + 1", "raise ValueError", "return 0"])
def test_a_body_that_does_something_is_not_untouched(body):
    assert not exercises.untouched(compiled(f"def double(number):\n    {body}", "double"))


def test_a_right_answer_is_right_however_it_is_written():
    assert DOUBLE.check(lambda number: 2 * number) == Feedback(
        "right", "double agrees with the solution on 8 cases."
    )


def test_a_likely_mistake_earns_its_sentence_before_the_counterexample():
    assert DOUBLE.check(lambda number: number**2) == Feedback(
        "wrong", "That is the square.\nnumber=1: yours gives 1; expected 2."
    )


def test_the_counterexample_is_the_smallest():
    late = DOUBLE.check(lambda number: 2 * number if number < 5 else 0)
    assert late == Feedback("wrong", "number=5: yours gives 0; expected 10.")


def test_code_that_raises_is_told_in_words():
    broken = DOUBLE.check(lambda number: undefined_name)  # noqa: F821
    assert broken.kind == "wrong"
    assert broken.text == (
        "number=0: yours raises NameError: name 'undefined_name' is not defined; expected 0."
    )


def test_none_says_that_a_return_is_missing():
    def forgot(number):
        number += number

    assert "None (is a `return` missing?)" in DOUBLE.check(forgot).text


def test_an_error_earns_a_mistakes_sentence_only_where_it_says_the_same():
    assert DOUBLE.check(lambda number: number[0]).text.startswith("A number has no parts.\n")
    assert DOUBLE.check(lambda number: number + "").text.startswith("number=0: yours raises Type")


def test_what_is_no_function_is_wrong_and_breaks_nothing():
    assert "'int' object is not callable" in DOUBLE.check(7).text


def test_prints_are_shown_up_to_the_first_difference_and_never_ours(capsys):
    def loud(number):
        print(f"mine {number}")
        return -number

    assert DOUBLE.check(loud).text.startswith("That is minus.")
    assert capsys.readouterr().out == "mine 0\nmine 1\n"


MEND = dataclasses.replace(
    DOUBLE, stub="def double(number):\n    return [number for _ in 'ab'][0]", faulty=True
)


def test_a_stub_with_faults_is_not_tried_wherever_it_is_typed():
    typed = "# mine\n\ndef double(number):\n    # look\n    return [number for _ in 'ab'][0]"
    assert MEND.check(compiled(typed, "double")) == Feedback(
        "not tried", "mend double, then run this cell again."
    )


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        ("return [number for _ in 'ab'][1]", "wrong"),
        ("return [number for _ in 'abc'][0]", "wrong"),
        ("return sum([number for _ in 'ab'])", "right"),
        ("...", "not tried"),
    ],
)
def test_a_stub_with_faults_that_was_touched_is_tried(body, kind):
    assert MEND.check(compiled(f"def double(number):\n    {body}", "double")).kind == kind


def test_a_stub_with_faults_solved_has_the_solution_for_its_body():
    assert MEND.solved == (
        f"def double(number):\n    {BEGIN}\n    return number + number\n    {END}"
    )


ADD = Exercise(
    name="add",
    task="Add them.",
    stub="def add(first, second):\n    ...",
    hints=("a", "b", "c"),
    solution_code="def add(first, second):\n    return first + second",
    wrong=(),
    case=lambda number: (np.arange(number + 3.0), np.ones(number + 3)),
    describe=lambda first, second: f"{len(first)} numbers",
    cases=20,
)


def test_what_changes_its_arguments_is_told_which(capsys):
    def in_place(first, second):
        print("mine")
        second += first
        return second

    assert ADD.check(in_place) == Feedback(
        "wrong",
        "3 numbers: the result is right, but yours changes `second`, which its caller may still "
        "need. Try: second = second.copy() first.",
    )
    assert capsys.readouterr().out == "mine\n" * 20


def test_a_tensor_that_was_changed_is_found_too():
    def in_place(first, second):
        return second.add_(first)

    on_tensors = dataclasses.replace(
        ADD, case=lambda number: (torch.ones(number + 3), torch.ones(number + 3))
    )
    assert on_tensors.check(lambda first, second: first + second).kind == "right"
    assert on_tensors.check(in_place).text.endswith(
        "yours changes `second`, which its caller may still need. Try: second = second.clone() "
        "first."
    )


def test_a_wrong_result_comes_before_a_changed_argument():
    def in_place(first, second):
        second += 1
        return second

    assert "yours gives" in ADD.check(in_place).text


def test_changes_are_allowed_where_the_solution_makes_them():
    code = "def add(first, second):\n    first += second\n    return first"
    in_place = dataclasses.replace(ADD, solution_code=code)
    assert in_place.check(compiled(code, "add")).kind == "right"
    assert in_place.check(lambda first, second: first + second).kind == "right"


@pytest.mark.parametrize(
    ("answer", "ending"),
    [
        (
            lambda first, second: (first + second).astype("float32"),
            " The numbers agree, the type does not: NumPy array of float32, where NumPy array of "
            "float64 is asked for.",
        ),
        (
            lambda first, second: [1, 2, 3],
            " The numbers agree, the type does not: list of int, where NumPy array of float64 is "
            "asked for.",
        ),
        (lambda first, second: [1, 2, 4], "[1.0, 2.0, 3.0]."),
        (lambda first, second: [1, [2]], "[1.0, 2.0, 3.0]."),
        (lambda first, second: [1, None, 3], "[1.0, 2.0, 3.0]."),
        (lambda first, second: [torch.ones(1, requires_grad=True)], "[1.0, 2.0, 3.0]."),
        (
            lambda first, second: first + second + 0.5 * (first == 16),
            " They differ first at (16,): 17.5 instead of 17.",
        ),
        (lambda first, second: (first + second)[:16], "float64 (17,)."),
    ],
)
def test_the_type_alone_or_the_first_place_is_told(answer, ending):
    assert ADD.check(answer).text.endswith(ending)


def test_a_float_for_an_int_is_told_where_both_are_shown_alike():
    assert DOUBLE.check(lambda number: 2.0 * number).text == (
        "number=0: yours gives 0; expected 0. "
        "The numbers agree, the type does not: float, where int is asked for."
    )


def test_hints_rise_and_there_are_three(refused):
    assert [DOUBLE.hint(number).text.splitlines()[0] for number in (1, 2, 3)] == list(DOUBLE.hints)
    assert DOUBLE.hint() == DOUBLE.hint(1)
    assert DOUBLE.hint(3).text.endswith(".solution()")
    assert DOUBLE.solution().text == DOUBLE.solution_code
    with refused("number=4: there are three hints. Try: hint(1)."):
        DOUBLE.hint(4)


def test_the_same_random_numbers_for_everybody_and_none_of_the_callers():
    drawn = []
    for seed in (5, 6):
        torch.manual_seed(seed)
        before = torch.get_rng_state()
        drawn.append(DOUBLE.run(lambda number: torch.rand(2), 3))
        assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(*drawn)


def test_feedback_is_shown_as_text_whatever_is_in_it():
    page = Feedback("wrong", '<script>alert("x")</script> & more')._repr_html_()
    assert "<script>" not in page
    assert "&lt;script&gt;alert(&quot;x&quot;)&lt;/script&gt; &amp; more" in page
    assert repr(Feedback("right", "well")) == "right: well"


# --- the records ----------------------------------------------------------------------------------

MODULES = {
    info.name: import_module(f"cnncourse.exercises.{info.name}")
    for info in pkgutil.iter_modules(exercises.__path__)
}
RECORDS = {
    f"{name}.{exercise.name}": exercise
    for name, module in MODULES.items()
    for exercise in module.EXERCISES
}
MISTAKES = [
    pytest.param(exercise, mistake, id=f"{name}-{number}")
    for name, exercise in RECORDS.items()
    for number, mistake in enumerate(exercise.wrong)
]
QUESTIONS = [
    pytest.param(value, id=f"{name}.{key}")
    for name, module in MODULES.items()
    for key, value in vars(module).items()
    if isinstance(value, Question)
]
each_record = pytest.mark.parametrize("exercise", RECORDS.values(), ids=RECORDS)


def stub_of(exercise: Exercise):
    names = "from torch import Tensor\n"  # for the annotations
    return compiled(names + exercise.stub, exercise.name)


@each_record
def test_a_record_has_three_hints_four_mistakes_and_a_task(exercise):
    assert len({hint for hint in exercise.hints if hint}) == 3
    assert len(exercise.wrong) >= 4
    assert exercise.task


@each_record
def test_no_two_mistakes_share_a_sentence_and_all_are_short(exercise):
    sentences = [mistake.says for mistake in exercise.wrong]
    assert len(set(sentences)) == len(sentences)
    assert all(0 < len(sentence) <= 200 for sentence in sentences)
    assert all("\n" not in sentence for sentence in sentences)


@each_record
def test_the_stub_is_not_tried(exercise):
    assert exercise.check(stub_of(exercise)).kind == "not tried"


@each_record
def test_the_stub_asks_for_the_arguments_of_the_solution(exercise):
    solution = compiled(exercise.solution_code, exercise.name)
    arguments = [list(inspect.signature(f).parameters) for f in (stub_of(exercise), solution)]
    assert arguments[0] == arguments[1]


@each_record
def test_the_stub_solved_keeps_its_marks_and_is_right(exercise):
    before, solution, after = re.split(f"{BEGIN}\n|    {END}", exercise.solved)
    if exercise.faulty:  # all of the body is replaced
        assert (before.split("\n")[0], after) == (exercise.stub.split("\n")[0], "")
    else:
        assert before + "..." + after == exercise.stub
    assert solution.startswith("    ")
    solved = compiled(f"from torch import Tensor\n{exercise.solved}", exercise.name)
    assert exercise.check(solved).kind == "right"


@each_record
def test_the_solution_is_right(exercise):
    assert exercise.check(compiled(exercise.solution_code, exercise.name)).kind == "right"


@pytest.mark.parametrize(("exercise", "mistake"), MISTAKES)
def test_a_mistake_earns_its_own_sentence_and_its_smallest_case(exercise, mistake):
    answer = compiled(mistake.code, exercise.name)
    said = exercise.check(answer)
    assert said.kind == "wrong"
    assert said.text.splitlines()[0] == mistake.says
    right = compiled(exercise.solution_code, exercise.name)
    smallest = next(
        number
        for number in range(exercise.cases)
        if not same(exercise.run(answer, number), exercise.run(right, number))
    )
    case = exercise.describe(*exercise.case(smallest))
    assert said.text.splitlines()[1].startswith(f"{case}: yours ")


@each_record
def test_code_that_raises_gets_a_sentence(exercise):
    def broken(*arguments):
        raise LookupError("lost <here>")

    said = exercise.check(broken)
    assert said.kind == "wrong"
    assert "LookupError: lost <here>" in said.text
    assert "lost &lt;here&gt;" in said._repr_html_()


@each_record
def test_what_returns_nothing_is_asked_for_its_return(exercise):
    def forgot(*arguments):
        list(arguments)

    assert "None (is a `return` missing?)" in exercise.check(forgot).text


def last_case(exercise: Exercise) -> tuple:
    with torch.random.fork_rng([]):
        torch.manual_seed(0)  # as the framework does
        return exercise.case(exercise.cases - 1)


@each_record
def test_a_case_is_made_anew_and_the_same_each_time(exercise):
    first, again = last_case(exercise), last_case(exercise)
    assert exercise.describe(*first) == exercise.describe(*again)
    for one, other in zip(first, again, strict=True):
        if isinstance(one, Tensor | np.ndarray | nn.Module):
            assert one is not other
            assert same(one, other)


@pytest.mark.parametrize("question", QUESTIONS)
def test_a_question_has_its_answer_among_different_options(question):
    assert question.answer in question.options
    assert len(set(question.options)) == len(question.options) >= 2
    assert question.why
