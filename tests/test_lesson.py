import json
import re
import subprocess
import sys

import numpy as np
import pytest
import torch

from cnncourse import lesson


@pytest.fixture
def displayed(monkeypatch):
    """What a lesson displays: (object, metadata)."""
    shown = []
    monkeypatch.setattr(lesson, "display", lambda what, metadata: shown.append((what, metadata)))
    return shown


def test_finish_shows_the_headline_and_records_all(displayed):
    lesson.finish(
        "00_tiny",
        headline="all ≈ 3",
        checks={"one is one": torch.tensor(1) == 1, "two is two": np.True_},
        count=3,
        mean=torch.tensor(2.5),
    )
    ((shown, metadata),) = displayed
    assert repr(shown) == "00_tiny: all ≈ 3\n  ok: one is one\n  ok: two is two"
    record = json.loads(json.dumps(metadata))["cnncourse"]
    assert record.pop("peak_memory_mb") == pytest.approx(lesson.peak_memory_mb(), abs=5)
    assert record == {
        "lesson": "00_tiny",
        "headline": "all ≈ 3",
        "checks": {"one is one": True, "two is two": True},
        "numbers": {"count": 3.0, "mean": 2.5},
    }


def test_finish_refuses_a_lesson_that_checks_nothing(displayed, refused):
    with refused("checks={}: a lesson that checks nothing proves nothing. Try: one check."):
        lesson.finish("00_tiny", headline="fine", checks={})
    assert displayed == []


def test_finish_records_a_check_that_is_false_and_then_fails(displayed, refused):
    with refused("00_tiny: not true: two is three.", lesson.CheckFailed):
        lesson.finish("00_tiny", headline="", checks={"one is one": True, "two is three": False})
    ((shown, metadata),) = displayed
    assert metadata["cnncourse"]["checks"] == {"one is one": True, "two is three": False}
    assert "  NOT TRUE: two is three" in repr(shown)


def test_finish_leaves_its_record_in_the_metadata_of_a_notebooks_output(monkeypatch, tmp_path):
    from IPython.core.interactiveshell import InteractiveShell
    from IPython.utils.capture import RichOutput, capture_output

    monkeypatch.setenv("IPYTHONDIR", str(tmp_path))
    monkeypatch.delenv("VIRTUAL_ENV", raising=False)  # it would warn of one that is not ours
    InteractiveShell.instance()
    try:
        with capture_output() as captured:
            lesson.finish("00_tiny", headline="fine", checks={"one is one": True})
    finally:
        InteractiveShell.clear_instance()
    (output,) = captured.outputs
    assert isinstance(output, RichOutput)
    assert output.metadata["cnncourse"]["lesson"] == "00_tiny"
    assert output.data["text/plain"].startswith("00_tiny: fine")


def test_expect_error_prints_the_sentence_and_goes_on(capsys):
    with lesson.expect_error(ValueError, match=r"size=\d"):
        raise ValueError("size=0: must be 1 or more.")
    assert capsys.readouterr().out == "ValueError: size=0: must be 1 or more.\n"


def test_expect_error_names_the_kind_that_came():
    with lesson.expect_error(RuntimeError, match="not"):
        raise NotImplementedError("not yet")


def test_expect_error_fails_where_nothing_is_raised(refused):
    sentence = "expected ValueError with 'size', and nothing was raised."
    with refused(sentence, AssertionError), lesson.expect_error(ValueError, match="size"):
        pass


def test_expect_error_fails_where_the_sentence_is_another(refused, capsys):
    sentence = "expected an error with 'size', got: stride=0"
    with refused(sentence, AssertionError), lesson.expect_error(ValueError, match="size"):
        raise ValueError("stride=0")
    assert capsys.readouterr().out == ""


def test_expect_error_lets_an_error_of_another_kind_through():
    with pytest.raises(TypeError, match="size"), lesson.expect_error(ValueError, match="size"):
        raise TypeError("size")


def test_choose_takes_the_setting_of_the_budget():
    chosen = [lesson.choose(budget, smoke=1, quick=2, full=3) for budget in lesson.BUDGETS]
    assert chosen == [1, 2, 3]


def test_choose_does_not_know_another_budget(refused):
    with refused("'fast': unknown budget. Known: smoke, quick, full."):
        lesson.choose("fast", smoke=1, quick=2, full=3)
    with refused("'quik': unknown budget. Did you mean 'quick'? Known: smoke, quick, full."):
        lesson.choose("quik", smoke=1, quick=2, full=3)


def test_peak_memory_grows_with_what_is_touched_and_counts_this_process_alone():
    ours = np.ones(50_000_000)  # 400 MB, which are not the other process's
    code = (
        "from cnncourse.lesson import peak_memory_mb\n"
        "before = peak_memory_mb()\n"
        "touched = b'x' * 200_000_000\n"
        "held = peak_memory_mb()\n"
        "del touched\n"
        "print(before, held, peak_memory_mb())"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    before, held, after = map(float, run.stdout.split())
    assert 10 < before < 300
    assert 190 < held - before < 260
    assert after > held - 5  # it is a peak; the system counts it roughly
    assert lesson.peak_memory_mb() > ours.nbytes / 1e6


def test_saved_costs_are_those_of_the_lessons_that_have_them(tmp_path):
    costs = {"seconds": 3.5, "peak_memory_mb": 700, "gflops": 90.0}
    for name, metadata in {
        "06_b": {"cnncourse": costs},
        "00_a": {"cnncourse": costs | {"seconds": 1.0}},
        "01_c": {},
        "notes": {"cnncourse": costs},
    }.items():
        (tmp_path / f"{name}.ipynb").write_text(json.dumps({"metadata": metadata}))
    assert list(lesson.saved_costs(tmp_path)) == ["00_a", "06_b"]
    assert lesson.saved_costs(tmp_path)["06_b"] == costs
    assert re.fullmatch(r"\d\d_\w+", next(iter(lesson.saved_costs(tmp_path))))
