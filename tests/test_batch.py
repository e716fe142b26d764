"""Executing lessons: each way to end is told from the others; nothing good is lost."""

import time
from pathlib import Path

import nbformat
import psutil
import pytest

from cnncourse import batch

CLOSING = (
    "from cnncourse import lesson\n"
    "lesson.finish('{name}', headline='all ≈ {name}', checks={{'it holds': holds}}, answer=42)"
)


def write_lesson(folder: Path, *cells: str, name: str = "01_tiny", closing: str = CLOSING) -> Path:
    """A lesson of a title, parameters, some code cells and the closing cell."""
    v4 = nbformat.v4
    notebook = v4.new_notebook(
        metadata={
            "kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}
        }
    )
    notebook.cells.append(v4.new_markdown_cell("# Tiny\n\nA lesson."))
    parameters = v4.new_code_cell("seed = 0\nrate = 0.5\nholds = True\nbudget = 'quick'")
    parameters.metadata["tags"] = ["parameters"]
    notebook.cells.append(parameters)
    notebook.cells += [v4.new_code_cell(source) for source in cells]
    notebook.cells.append(v4.new_code_cell(closing.format(name=name)))
    path = folder / f"{name}.ipynb"
    nbformat.write(notebook, path)
    return path


def run(path: Path, out: Path, timeout_s: float = 60, **parameters: object) -> batch.Outcome:
    return batch.execute(path, out, parameters=parameters, timeout_s=timeout_s)


def test_a_whole_run_passes_and_brings_its_record(tmp_path):
    cells = []
    path = write_lesson(tmp_path, "print(seed)")
    outcome = batch.execute(
        path,
        tmp_path / "out",
        parameters={"seed": 7},
        timeout_s=60,
        on_cell=lambda done, total: cells.append((done, total)),
    )
    assert (outcome.state, outcome.message) == ("passed", "")
    assert outcome.record["headline"] == "all ≈ 01_tiny"
    assert outcome.record["numbers"] == {"answer": 42}
    assert 10 < outcome.record["peak_memory_mb"] < 500
    assert outcome.notebook == tmp_path / "out/01_tiny.ipynb"
    printed = [
        output.text
        for cell in nbformat.read(outcome.notebook, 4).cells
        for output in cell.get("outputs", [])
        if output.output_type == "stream"
    ]
    assert printed == ["7\n"]
    assert cells[-1] == (5, 5)  # title, defaults, the injected parameters, print, closing


# What a cell does, the state it leads to, and what the message says.
ENDINGS = {
    "an error": ("1 / 0", "failed", "cell 3 of 4 (Tiny): ZeroDivisionError: division by zero"),
    "an early exit": ("import sys; sys.exit(0)", "stopped early", "cell 3 of 4"),
    "a dead kernel": ("import os; os._exit(0)", "died", "cell 3 of 4"),
    "a false check": ("holds = False", "check failed", "not true: it holds"),
    "a subject gone": ("del holds", "failed", "NameError: name 'holds' is not defined"),
}


@pytest.mark.parametrize(("cell", "state", "message"), ENDINGS.values(), ids=ENDINGS)
def test_an_ending_is_told_for_what_it_is(tmp_path, cell, state, message):
    outcome = run(write_lesson(tmp_path, cell), tmp_path / "out")
    assert outcome.state == state
    assert message in outcome.message
    assert outcome.notebook == tmp_path / "out/01_tiny.failed.ipynb"


def test_an_endless_loop_is_ended_and_leaves_no_process(tmp_path):
    write_pid = "import os, pathlib; pathlib.Path('pid').write_text(str(os.getpid()))"
    started = time.monotonic()
    path = write_lesson(tmp_path, f"{write_pid}\nwhile True: pass")
    outcome = run(path, tmp_path / "out", timeout_s=6)
    kernel = int((tmp_path / "pid").read_text())
    assert not psutil.pid_exists(kernel)  # at once: it would notice by itself a second later
    assert (outcome.state, time.monotonic() - started < 16) == ("timed out", True)
    assert "cell 3 of 4 (Tiny): still running after 6 s" in outcome.message


def test_a_cell_that_never_ran_is_seen_where_all_else_is_well(tmp_path):
    notebook = nbformat.read(write_lesson(tmp_path, "1 + 1"), 4)
    record = {"lesson": "01_tiny", "checks": {"it holds": True}}
    shown = nbformat.v4.new_output("display_data", metadata={"cnncourse": record})
    notebook.cells[-1].outputs = [shown]
    for number, cell in enumerate(notebook.cells[1:], start=1):
        cell.execution_count = number
    ended = batch.Ended(code=0, log="")
    assert batch.verdict(ended, notebook, "01_tiny", 60) == ("passed", "")
    notebook.cells[2].execution_count = None
    assert batch.verdict(ended, notebook, "01_tiny", 60) == (
        "stopped early",
        "cell 3 of 4 (Tiny): not run",
    )


def test_a_closing_cell_that_records_nothing_is_no_pass(tmp_path):
    outcome = run(write_lesson(tmp_path, closing="print('done')"), tmp_path / "out")
    assert (outcome.state, outcome.message) == (
        "check failed",
        "the closing cell recorded no checks",
    )


def test_a_record_of_another_lesson_is_no_pass(tmp_path):
    path = write_lesson(tmp_path, closing=CLOSING.replace("{name}", "02_other"))
    assert run(path, tmp_path / "out").state == "check failed"


def test_a_failure_leaves_the_good_output_of_before(tmp_path):
    good = run(write_lesson(tmp_path, "print('good')"), tmp_path / "out").notebook
    content = good.read_bytes()
    bad = run(write_lesson(tmp_path, "1 / 0"), tmp_path / "out")
    assert bad.state == "failed"
    assert good.read_bytes() == content
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "01_tiny.failed.ipynb",
        "01_tiny.ipynb",
    ]


def test_a_pass_takes_the_failure_of_before_away(tmp_path):
    run(write_lesson(tmp_path, "1 / 0"), tmp_path / "out")
    run(write_lesson(tmp_path, "1 / 1"), tmp_path / "out")
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["01_tiny.ipynb"]


def test_a_lesson_is_found_by_number_by_name_or_both(tmp_path):
    for name in ("00_start_here", "06_mnist_from_scratch"):
        write_lesson(tmp_path, name=name)
    for name in (
        "06",
        "mnist_from_scratch",
        "06_mnist_from_scratch",
        "06_mnist_from_scratch.ipynb",
    ):
        assert list(batch.choose([name], tmp_path)) == ["06_mnist_from_scratch"]
    assert list(batch.choose([], tmp_path)) == ["00_start_here", "06_mnist_from_scratch"]


def test_an_unknown_lesson_gets_the_nearest_name(tmp_path):
    write_lesson(tmp_path, name="06_mnist_from_scratch")
    with pytest.raises(ValueError, match="Did you mean '06_mnist_from_scratch'"):
        batch.choose(["06_mnist_from_scrath"], tmp_path)
    with pytest.raises(ValueError, match="no lessons here"):
        batch.choose([], tmp_path / "nowhere")


def parse(tmp_path: Path, **given: str) -> dict[str, object]:
    notebook = nbformat.read(write_lesson(tmp_path), 4)
    return batch.parse_parameters("01_tiny", notebook, given)


def test_parameters_take_the_type_of_their_default(tmp_path):
    assert parse(tmp_path, seed="3", rate="1", holds="False", budget="smoke") == {
        "seed": 3,
        "rate": 1.0,
        "holds": False,
        "budget": "smoke",
    }


# A parameter, its value, and the sentence it earns.
REFUSED = [
    ("sed", "1", "parameter 'sed': 01_tiny has no such parameter. Did you mean 'seed'? Known: "),
    ("seed", "1.5", "seed='1.5': must be int. Try: -p seed 0."),
    ("seed", "__import__('os')", "must be int"),
    ("rate", "fast", "rate='fast': must be float. Try: -p rate 0.5."),
    ("holds", "1", "must be bool"),
    ("budget", "quik", "'quik': unknown budget. Did you mean 'quick'?"),
    ("seed = 1; import os #", "1", "has no such parameter"),
]


@pytest.mark.parametrize(("name", "value", "sentence"), REFUSED)
def test_a_wrong_parameter_is_refused_before_anything_starts(tmp_path, name, value, sentence):
    with pytest.raises(ValueError) as refusal:  # noqa: PT011 the sentence is compared
        parse(tmp_path, **{name: value})
    assert sentence in str(refusal.value)


def test_clean_keeps_pictures_and_drops_widgets_and_marks(tmp_path):
    path = write_lesson(
        tmp_path,
        "import ipywidgets\n"
        "class Slider(ipywidgets.IntSlider):\n"
        "    def _repr_mimebundle_(self, **kwargs):\n"
        "        return super()._repr_mimebundle_(**kwargs) | {'image/png': 'iVBORw0KGgo='}\n"
        "Slider()",
    )
    outcome = run(path, tmp_path / "out")
    batch.save(outcome, path, gflops=12.34)
    saved = nbformat.read(path, 4)
    assert saved.metadata["cnncourse"] == {
        "seconds": round(outcome.seconds, 1),
        "peak_memory_mb": outcome.record["peak_memory_mb"],
        "gflops": 12.3,
    }
    assert "widgets" not in saved.metadata
    assert "papermill" not in path.read_text("utf-8")
    (shown,) = saved.cells[2].outputs
    assert sorted(shown.data) == ["image/png", "text/plain"]
    assert saved.cells[1].metadata["tags"] == ["parameters"]
    assert batch.closing_record(saved)["lesson"] == "01_tiny"


def test_solutions_replace_the_stubs_of_a_lesson():
    path = batch.lessons_folder() / "06_mnist_from_scratch.ipynb"
    notebook = batch.with_solutions(path.stem, nbformat.read(path, 4))
    sources = "\n".join(cell.source for cell in notebook.cells)
    assert "optimizer.zero_grad()\n    loss.backward()\n    optimizer.step()" in sources
    assert "\n    ...\n" not in sources


def test_a_solution_that_its_check_refuses_is_found():
    cell = nbformat.v4.new_code_cell("check", metadata={"tags": ["exercise"]})
    answers = {"right: agrees": "", "not tried: write it": "the solution is not accepted"}
    for answer, message in answers.items():
        data = {"text/plain": answer}
        cell.outputs = [nbformat.v4.new_output("execute_result", data=data)]
        found = batch.refused_solution(nbformat.v4.new_notebook(cells=[cell]))
        assert found.endswith(message)
        assert bool(found) == bool(message)
