"""Executing lessons: each way to end is told from the others; nothing good is lost."""

import errno
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

import nbformat
import psutil
import pytest

from cnncourse import batch, jobs, verdict

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


def job(path: Path, timeout_s: float = 60, **parameters: object) -> jobs.Job:
    return jobs.Job(path.stem, path, parameters, timeout_s)


def run(path: Path, out: Path, timeout_s: float = 60) -> batch.Outcome:
    return batch.execute(job(path, timeout_s), out)


def test_a_whole_run_passes_and_brings_its_record(tmp_path):
    cells = []
    path = write_lesson(tmp_path, "print(seed)")
    outcome = batch.execute(
        job(path, seed=7),
        tmp_path / "out",
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


# Leaves a daemon that forgets its environment; waits until it is known to be running.
LEAVES = """
import pathlib, subprocess, time
subprocess.run("env -i setsid sh -c 'sleep 61 & echo $! > orphan'", shell=True)
began = time.monotonic()
while not pathlib.Path("seen").exists():
    assert time.monotonic() - began < 10, "nobody was told that two cells are done"
    time.sleep(0.05)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="who adopts orphans is Linux's")
def test_a_cell_is_told_while_it_runs_and_what_a_passed_job_left_is_ended(tmp_path):
    def on_cell(done: int, total: int) -> None:
        if (done, total) == (2, 4):
            (tmp_path / "seen").touch()

    path = write_lesson(tmp_path, LEAVES)
    outcome = batch.execute(job(path), tmp_path / "out", on_cell=on_cell)
    assert (outcome.state, outcome.message) == ("passed", "")
    assert not psutil.pid_exists(int((tmp_path / "orphan").read_text()))


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
    if "cell 3" in message:
        assert (outcome.cell, outcome.heading) == (3, "Tiny")
        marks = [
            cell.metadata.papermill.status for cell in nbformat.read(outcome.notebook, 4).cells
        ]
        assert marks == ["completed", "completed", "failed", "not run"]


def test_an_endless_loop_is_ended_and_leaves_nothing(tmp_path, monkeypatch):
    """No process; and no file where temporary ones are, not even of the kernel's connection."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    (tmp_path / "temporary").mkdir()
    write_pid = (
        "import os, pathlib, tempfile; pathlib.Path('pid').write_text(str(os.getpid()))\n"
        "pathlib.Path('where').write_text(tempfile.mkdtemp())"
    )
    started = time.monotonic()
    path = write_lesson(tmp_path, f"{write_pid}\nwhile True: pass")
    outcome = run(path, tmp_path / "out", timeout_s=6)
    kernel = int((tmp_path / "pid").read_text())
    assert not psutil.pid_exists(kernel)  # at once: it would notice by itself a second later
    assert (outcome.state, time.monotonic() - started < 16) == ("timed out", True)
    assert "cell 3 of 4 (Tiny): still running after 6 s" in outcome.message
    assert Path((tmp_path / "where").read_text()).is_relative_to(tmp_path / "temporary")
    assert list((tmp_path / "temporary").iterdir()) == []


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
    assert sorted(path.name for path in (tmp_path / "out").glob("[!.]*")) == [
        "01_tiny.failed.ipynb",
        "01_tiny.ipynb",
    ]


def test_a_pass_takes_the_failure_of_before_away(tmp_path):
    run(write_lesson(tmp_path, "1 / 0"), tmp_path / "out")
    run(write_lesson(tmp_path, "1 / 1"), tmp_path / "out")
    assert [path.name for path in (tmp_path / "out").glob("[!.]*")] == ["01_tiny.ipynb"]


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
    batch.save(outcome.notebook, path, {"seconds": outcome.seconds}, gflops=12.34)
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
    assert verdict.closing_record(saved)["lesson"] == "01_tiny"


def test_solutions_replace_the_stubs_of_a_lesson():
    path = jobs.lessons_folder() / "06_mnist_from_scratch.ipynb"
    notebook = batch.with_solutions(path.stem, nbformat.read(path, 4))
    sources = "\n".join(cell.source for cell in notebook.cells)
    assert "optimizer.zero_grad()\n    loss.backward()\n    optimizer.step()" in sources
    assert "\n    ...\n" not in sources


NEVER_ENDS = """
import os, pathlib, subprocess, time
pathlib.Path('pid').write_text(str(os.getpid()))
print('so far', flush=True)
{more}
time.sleep(60)
"""


def after_its_pid(folder: Path, then: Callable[[psutil.Process], object]) -> None:
    """In a thread: when the kernel has written its pid, do something with its process."""

    def wait() -> None:
        while not (folder / "pid").exists() or not (folder / "pid").read_text():
            time.sleep(0.05)
        then(psutil.Process(int((folder / "pid").read_text())))

    threading.Thread(target=wait, daemon=True).start()


def test_a_job_that_is_stopped_is_interrupted_and_all_it_started_is_ended(tmp_path):
    orphan = "subprocess.run(['sh', '-c', 'sleep 61 & echo $! > orphan'], start_new_session=True)"
    path = write_lesson(tmp_path, NEVER_ENDS.format(more=orphan))
    stop = threading.Event()
    seen = []

    def look(kernel: psutil.Process) -> None:
        while not (tmp_path / "orphan").exists() or not (tmp_path / "orphan").read_text():
            time.sleep(0.05)
        sleep = psutil.Process(int((tmp_path / "orphan").read_text()))
        seen.extend([kernel, kernel.parent(), sleep])
        assert sleep not in kernel.children(recursive=True)  # nobody's child: its shell is gone
        time.sleep(0.5)  # what was printed takes its way
        stop.set()

    after_its_pid(tmp_path, look)
    outcome = batch.execute(job(path), tmp_path / "out", stopped=stop.is_set)
    assert (outcome.state, outcome.cell, outcome.last_line) == ("interrupted", 3, "so far")
    assert len(seen) == 3
    assert not any(process.is_running() for process in seen)


def test_a_kernel_that_is_killed_is_found_within_seconds(tmp_path):
    path = write_lesson(tmp_path, NEVER_ENDS.format(more=""))
    killed = []

    def kill(kernel: psutil.Process) -> None:
        kernel.kill()
        killed.append(time.monotonic())

    after_its_pid(tmp_path, kill)
    outcome = run(path, tmp_path / "out")
    assert time.monotonic() - killed[0] < 10
    assert (outcome.state, outcome.cell) == ("died", 3)
    assert "the kernel died (out of memory, or killed)" in outcome.message


def test_papermills_process_killed_leaves_no_kernel(tmp_path):
    path = write_lesson(tmp_path, NEVER_ENDS.format(more=""))
    kernels = []

    def kill(kernel: psutil.Process) -> None:
        kernels.append(kernel)
        kernel.parent().kill()

    after_its_pid(tmp_path, kill)
    outcome = run(path, tmp_path / "out")
    assert (outcome.state, outcome.cell) == ("died", 3)
    assert "killed (signal 9)" in outcome.message
    assert not kernels[0].is_running()


def test_a_full_disk_fails_the_job_and_leaves_the_good_output(tmp_path, monkeypatch):
    good = run(write_lesson(tmp_path, "print('good')"), tmp_path / "out").notebook
    content = good.read_bytes()
    path = write_lesson(tmp_path, "print('x' * 200_000)")
    limited = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))"
    (tmp_path / "sitecustomize.py").write_text(limited)  # every Python of the job, none of ours
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    outcome = run(path, tmp_path / "out")
    assert outcome.state == "failed"
    assert "File too large" in outcome.message
    assert good.read_bytes() == content


def test_too_little_memory_is_said_in_the_cell_where_it_was_asked_for(tmp_path):
    limit = "import resource; resource.setrlimit(resource.RLIMIT_DATA, (2 * 10**9, 2 * 10**9))"
    outcome = run(write_lesson(tmp_path, f"{limit}\nx = bytearray(3 * 10**9)"), tmp_path / "out")
    assert (outcome.state, outcome.cell) == ("failed", 3)
    assert "MemoryError" in outcome.message


def test_an_output_that_cannot_be_written_is_told_and_what_was_there_stays(tmp_path, monkeypatch):
    path = write_lesson(tmp_path)

    def full(path: Path, content: bytes) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", str(path))

    monkeypatch.setattr(batch.files, "replace", full)
    monkeypatch.setattr(batch, "run_papermill", lambda *_: verdict.Ended(0, ""))
    outcome = run(path, tmp_path / "out")
    assert outcome.state == "failed"
    assert "cannot be written (No space left on device); what was is kept" in outcome.message


def test_any_folder_will_do_and_a_link_is_replaced_not_followed(tmp_path, monkeypatch):
    folder = tmp_path / "a é {x} {seed}"
    folder.mkdir()
    out = folder / "out {y}"
    out.mkdir()
    (tmp_path / "elsewhere").write_text("mine")
    (out / "01_tiny.ipynb").symlink_to(tmp_path / "elsewhere")
    monkeypatch.delenv("HOME", raising=False)
    outcome = run(write_lesson(folder, "print(seed)"), out)
    assert (outcome.state, outcome.message) == ("passed", "")
    assert not (out / "01_tiny.ipynb").is_symlink()
    assert (tmp_path / "elsewhere").read_text() == "mine"


def test_what_was_stored_does_not_count_for_what_is_run(tmp_path):
    passed = run(write_lesson(tmp_path), tmp_path / "out").notebook
    assert verdict.closing_record(nbformat.read(passed, 4))
    fresh = batch.prepared(job(passed))
    assert verdict.closing_record(fresh) == {}
    assert all(cell.execution_count is None for cell in fresh.cells if cell.cell_type == "code")
