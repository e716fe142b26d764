"""The verdict on an execution: from its cells and its process, in words, and in the marks."""

import nbformat
import pytest

from cnncourse import verdict
from cnncourse.verdict import Ended, Verdict

RECORD = {"lesson": "01_tiny", "checks": {"it holds": True}}
WELL = Ended(code=0, log="")


@pytest.fixture
def notebook():
    """A title, three code cells that ran, the last with a record."""
    v4 = nbformat.v4
    whole = v4.new_notebook(cells=[v4.new_markdown_cell("# Tiny\n\n## Part")])
    for number in (1, 2, 3):
        cell = v4.new_code_cell(f"print({number})", execution_count=number)
        cell.outputs = [v4.new_output("stream", text=f"said {number}\n\n")]
        cell.metadata["papermill"] = nbformat.from_dict(
            {"start_time": "then", "status": "completed"}
        )
        whole.cells.append(cell)
    whole.cells[-1].outputs.append(v4.new_output("display_data", metadata={"cnncourse": RECORD}))
    return whole


def fail(notebook, index: int, name: str, value: str = "no") -> None:
    error = nbformat.v4.new_output("error", ename=name, evalue=value, traceback=[])
    notebook.cells[index].outputs.append(error)


def unrun(notebook, *indices: int) -> None:
    for index in indices:
        cell = notebook.cells[index]
        cell.execution_count, cell.outputs = None, []
        cell.metadata["papermill"] = nbformat.from_dict({"start_time": None, "status": "completed"})


def test_all_cells_run_and_checks_that_hold_are_a_pass(notebook):
    assert verdict.verdict(WELL, notebook, "01_tiny", 60) == Verdict("passed")


def test_a_cell_that_never_ran_is_seen_where_all_else_is_well(notebook):
    notebook.cells[2].execution_count = None
    found = verdict.verdict(WELL, notebook, "01_tiny", 60)
    assert found == Verdict("stopped early", 2, "not run")
    assert verdict.place(notebook, 2) == "cell 3 of 4 (Part)"


@pytest.mark.parametrize("record", [{}, {"lesson": "02_other", "checks": {"a": True}}])
def test_no_record_of_this_lesson_is_no_pass(notebook, record):
    notebook.cells[-1].outputs[-1].metadata["cnncourse"] = record
    assert verdict.verdict(WELL, notebook, "01_tiny", 60).state == "check failed"


# An error in a cell, and the state it leads to.
ERRORS = {"ValueError": "failed", "CheckFailed": "check failed", "SystemExit": "stopped early"}


@pytest.mark.parametrize(("name", "state"), ERRORS.items(), ids=ERRORS)
def test_an_error_in_a_cell_decides(notebook, name, state):
    fail(notebook, 2, name, "first line\nsecond")
    found = verdict.verdict(Ended(1, "log"), notebook, "01_tiny", 60)
    assert found == Verdict(state, 2, f"{name}: first line")


def test_an_error_without_a_word_is_its_name_alone(notebook):
    fail(notebook, 2, "SystemExit", "")
    assert verdict.verdict(Ended(1, "log"), notebook, "01_tiny", 60).reason == "SystemExit"


def test_a_cell_whose_error_never_arrived_is_named_all_the_same(notebook):
    """Half a character in an error's text: the kernel cannot send it, papermill says which cell."""
    unrun(notebook, 3)
    notebook.cells[2].metadata.papermill.update(status="failed", exception=True)
    log = '---\nPapermillExecutionError: \nException encountered at "In [2]":'
    found = verdict.verdict(Ended(1, log), notebook, "01_tiny", 60)
    assert found == Verdict("failed", 2, "an error that the kernel could not tell")
    verdict.mark(notebook, found)
    assert statuses(notebook) == ["completed", "completed", "failed", "not run"]


# How Python, torch on a CPU and torch on a GPU say it.
NO_MEMORY = [
    ("MemoryError", ""),
    ("RuntimeError", "DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes."),
    ("OutOfMemoryError", "CUDA out of memory. Tried to allocate 2.00 GiB."),
    ("OSError", "[Errno 12] Cannot allocate memory"),
]


@pytest.mark.parametrize(("name", "value"), NO_MEMORY)
def test_that_memory_ran_out_is_said_in_these_words(notebook, name, value):
    fail(notebook, 2, name, value)
    found = verdict.verdict(Ended(1, ""), notebook, "01_tiny", 60)
    assert (found.state, found.cell) == ("failed", 2)
    assert found.reason == f"memory ran out: {name}: {value}".removesuffix(": ")


# What the process shows where no cell has an error: code, log, state, what the reason says.
PROCESSES = [
    (1, "a\nDeadKernelError: Kernel died", "died", "the kernel died"),
    (-9, "", "died", "killed (signal 9)"),
    (1, "Traceback\nOSError: [Errno 27] File too large", "failed", "File too large"),
    (3, "", "failed", "papermill ended with 3"),
]


@pytest.mark.parametrize(("code", "log", "state", "words"), PROCESSES)
def test_the_process_decides_where_no_cell_does(notebook, code, log, state, words):
    found = verdict.verdict(Ended(code, log), notebook, "01_tiny", 60)
    assert found.state == state
    assert words in found.reason


# What is said when no kernel comes up; a port race is one of them.
NO_KERNEL = [
    "RuntimeError: Kernel died before replying to kernel_info",
    "RuntimeError: Kernel didn't respond in 60 seconds",
    "zmq.error.ZMQError: Address already in use (addr='tcp://127.0.0.1:1')",
]


@pytest.mark.parametrize("log", NO_KERNEL)
def test_only_a_kernel_that_never_started_is_worth_another_try(notebook, log):
    ended = Ended(1, log)
    assert not verdict.never_started(ended, notebook)  # cells were begun: it is the lesson's doing
    unrun(notebook, 1, 2, 3)
    assert verdict.never_started(ended, notebook)
    assert not verdict.never_started(Ended(1, "ModuleNotFoundError: papermill"), notebook)
    found = verdict.verdict(ended, notebook, "01_tiny", 60)
    assert (found.state, found.cell) == ("died", None)
    assert "never started" in found.reason


@pytest.mark.parametrize("stopped", ["timed out", "interrupted"])
def test_what_was_ended_from_outside_is_called_so_at_the_last_cell_begun(notebook, stopped):
    unrun(notebook, 3)
    found = verdict.verdict(Ended(None, "", stopped), notebook, "01_tiny", 6)
    assert (found.state, found.cell) == (stopped, 2)


def statuses(notebook) -> list[str]:
    return [cell.metadata.papermill.status for cell in notebook.cells]


def test_marks_tell_what_ran_what_failed_and_what_did_not_run(notebook):
    unrun(notebook, 3)
    verdict.mark(notebook, Verdict("died", 2, "the kernel died"))
    assert statuses(notebook) == ["completed", "completed", "failed", "not run"]
    assert notebook.metadata.papermill.exception
    assert notebook.metadata.papermill.state == "died"


def test_a_cell_that_did_not_run_is_not_marked_failed(notebook):
    unrun(notebook, 2, 3)
    verdict.mark(notebook, Verdict("stopped early", 2, "not run"))
    assert statuses(notebook) == ["completed", "completed", "not run", "not run"]


def test_marks_of_a_pass_are_all_completed(notebook):
    verdict.mark(notebook, Verdict("passed"))
    assert statuses(notebook) == ["completed"] * 4
    assert notebook.metadata.papermill.exception is None


def test_marks_where_no_kernel_came_up_are_all_not_run(notebook):
    unrun(notebook, 1, 2, 3)
    verdict.mark(notebook, Verdict("died", None, "the kernel never started"))
    assert statuses(notebook) == ["not run"] * 4


def test_a_solution_that_its_check_refuses_is_found():
    cell = nbformat.v4.new_code_cell("check", metadata={"tags": ["exercise"]})
    answers = {"right: agrees": None, "not tried: write it": (0, "the solution is not accepted")}
    for answer, found in answers.items():
        data = {"text/plain": answer}
        cell.outputs = [nbformat.v4.new_output("execute_result", data=data)]
        assert verdict.refused_solution(nbformat.v4.new_notebook(cells=[cell])) == found
