"""Many jobs: every one is told, once; a rerun does what is left; an end leaves nothing."""

import contextlib
import io
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import nbformat
import psutil
import pytest

from cnncourse import journal, report
from cnncourse.batch import Outcome
from cnncourse.jobs import Job
from cnncourse.journal import Journal
from cnncourse.local import LocalPool
from cnncourse.pool import run_jobs
from cnncourse.progress import Progress


@pytest.fixture
def notebook(tmp_path) -> Path:
    path = tmp_path / "01_tiny.ipynb"
    path.write_text("{}")
    return path


def make_jobs(notebook: Path, count: int) -> list[Job]:
    return [
        Job(f"job_{number}", notebook, {"seed": number}, timeout_s=60) for number in range(count)
    ]


def run(jobs, out, execute, *, workers=2, retries=1, again="unfinished") -> list[dict]:
    with Journal(out) as kept:
        local = LocalPool(out, workers=workers, retries=retries, execute=execute)
        return run_jobs(jobs, local, kept, progress=Progress(io.StringIO()), again=again)


def passes(job: Job, out: Path, **_) -> Outcome:
    return Outcome(job.lesson, "passed", 0.0, record={"numbers": {"seed": job.parameters["seed"]}})


def states(events) -> list[str]:
    return [event["state"] for event in events]


def test_each_job_is_queued_then_running_then_ended(notebook, tmp_path):
    (event,) = run(make_jobs(notebook, 1), tmp_path / "out", passes)
    assert event["numbers"] == {"seed": 0}
    assert event["parameters"] == {"seed": 0}
    assert states(journal.read(tmp_path / "out" / journal.NAME)) == ["queued", "running", "passed"]


def test_a_second_run_runs_what_is_unfinished_or_changed_and_no_more(notebook, tmp_path):
    jobs, out, ran = make_jobs(notebook, 4), tmp_path / "out", []

    def execute(job, out, **_):
        ran.append(job.name)
        return Outcome(job.lesson, "failed" if job.name == "job_1" else "passed", 0.0)

    run(jobs[:2], out, execute)
    assert states(run(jobs, out, execute)) == ["passed", "failed", "passed", "passed"]
    assert sorted(ran) == ["job_0", "job_1", "job_2", "job_3"]
    run(jobs, out, execute, again="failed")
    assert Counter(ran)["job_1"] == 2
    notebook.write_text("{ }")
    run(jobs, out, execute)
    assert sorted(Counter(ran).values()) == [2, 2, 2, 3]


def test_only_a_kernel_that_never_started_is_tried_again(notebook, tmp_path):
    ran = Counter()

    def execute(job, out, **_):
        ran[job.name] += 1
        first = ran[job.name] == 1
        if job.name == "job_0" and first:
            return Outcome(job.lesson, "died", 0.0, "the kernel never started", retry=True)
        return Outcome(job.lesson, "failed" if job.name == "job_1" else "passed", 0.0)

    events = run(make_jobs(notebook, 2), tmp_path / "out", execute)
    assert states(events) == ["passed", "failed"]
    assert [event["tries"] for event in events] == [2, 1]
    always = Outcome("01_tiny", "died", 0.0, "the kernel never started", retry=True)
    out = tmp_path / "other"
    (event,) = run(make_jobs(notebook, 1), out, lambda *_, **__: always, retries=2)
    assert (event["state"], event["tries"]) == ("died", 3)


def test_an_executor_that_raises_is_told_and_the_others_go_on(notebook, tmp_path):
    def execute(job, out, **_):
        if job.name == "job_0":
            raise RuntimeError("broken")
        return passes(job, out)

    events = run(make_jobs(notebook, 3), tmp_path / "out", execute)
    assert states(events) == ["failed", "passed", "passed"]
    assert events[0]["message"] == "RuntimeError: broken"


def test_a_journal_that_cannot_be_written_ends_what_runs(notebook, tmp_path, monkeypatch):
    begun, ended = [], []

    def execute(job, out, *, stopped, **_):
        begun.append(job.name)
        while job.name == "job_1" and not stopped():
            time.sleep(0.01)
        ended.append(job.name)
        return passes(job, out)

    def full(self, lines):
        if b"passed" in lines:
            raise OSError(28, "No space left on device")
        return append(self, lines)

    append = Journal.append
    monkeypatch.setattr(Journal, "append", full)
    with pytest.raises(OSError, match="No space left"):
        run(make_jobs(notebook, 9), tmp_path / "out", execute)
    assert sorted(begun) == sorted(ended)  # nobody runs any more
    assert len(begun) < 9
    assert "passed" not in states(journal.read(tmp_path / "out" / journal.NAME))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_what_runs_and_a_rerun_takes_up_the_rest(notebook, tmp_path, number):
    jobs = make_jobs(notebook, 6)
    before = signal.getsignal(number)

    def execute(job, out, *, stopped, **_):
        if job.name == "job_2":
            os.kill(os.getpid(), number)
            while not stopped():
                time.sleep(0.01)
            return Outcome(job.lesson, "interrupted", 0.0)
        return passes(job, out)

    found = states(run(jobs, tmp_path / "out", execute, workers=1))
    assert found == ["passed", "passed", "interrupted", "not run", "not run", "not run"]
    assert signal.getsignal(number) is before
    assert states(run(jobs, tmp_path / "out", passes)) == ["passed"] * 6
    counts = Counter(event["job"] for event in journal.read(tmp_path / "out" / journal.NAME))
    assert counts["job_0"] == 3  # queued, running, passed: not touched by the rerun


# Ten ways to end badly, as an injected executor tells them.
KINDS = [
    *(("failed", "1 / 0"), ("failed", "<b>"), ("check failed", "not true"), ("died", "killed")),
    *(("died", "never started"), ("timed out", "60 s"), ("stopped early", "not run")),
    *(("interrupted", "on request"), ("failed", "é"), ("raises", "")),
]


def test_a_thousand_jobs_have_their_rows_in_a_minute_and_little_memory(notebook, tmp_path):
    jobs = make_jobs(notebook, 1000)
    bad = dict(zip(random.Random(0).sample(range(1000), 100), KINDS * 10, strict=True))

    def execute(job, out, **_):
        state, message = bad.get(job.parameters["seed"], ("passed", ""))
        if state == "raises":
            raise ZeroDivisionError(message)
        return Outcome(job.lesson, state, 0.0, message)

    few = run(make_jobs(notebook, 3), tmp_path / "warm", execute)
    report.write_tables(report.rows(few), tmp_path)  # loads pyarrow, once
    before, started = psutil.Process().memory_info().rss, time.monotonic()
    events = run(jobs, tmp_path / "out", execute)
    found = report.rows(events)
    report.write_tables(found, tmp_path)
    assert time.monotonic() - started < 60
    assert psutil.Process().memory_info().rss - before < 50e6
    expected = Counter(state.replace("raises", "failed") for state, _ in bad.values())
    assert Counter(states(events)) == expected | {"passed": 900}
    for number, event in enumerate(events):
        state = bad.get(number, ("passed", ""))[0].replace("raises", "failed")
        assert (event["job"], event["state"]) == (f"job_{number}", state)
    assert [row["state"] for row in found[-900:]] == ["passed"] * 900  # failures first


# --- for real, and long: `make full` runs it ------------------------------------------------------

CELLS = """
import os, pathlib
from cnncourse import lesson
pathlib.Path("runs", f"{seed}.{os.getpid()}").touch()
if seed == 3:
    1 / 0
if seed == 11:
    os._exit(1)
if seed == 23:
    while True:
        pass
lesson.finish("01_tiny", headline="well", checks={"not 31": seed != 31}, seed=seed)
"""
BAD = {3: "failed", 11: "died", 23: "timed out", 31: "check failed"}


def real_sweep(folder: Path, count: int) -> list[str]:
    """A lesson of which four seeds fail, each in its way, and the command that sweeps it."""
    v4 = nbformat.v4
    metadata = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    cells = [v4.new_code_cell("seed = 0\nbudget = 'quick'", metadata={"tags": ["parameters"]})]
    cells.append(v4.new_code_cell(CELLS))
    nbformat.write(v4.new_notebook(cells=cells, metadata=metadata), folder / "01_tiny.ipynb")
    (folder / "runs").mkdir()
    call = ["sweep", "01", "--seeds", f"0:{count}", "-j", "2", "--timeout", "20"]
    places = ["--folder", str(folder), "--out", str(folder / "out")]
    return [sys.executable, "-m", "cnncourse.cli", *call, *places]


def left_running(folder: Path) -> list[psutil.Process]:
    """Processes that work in the folder or below it."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            if Path(process.cwd()).is_relative_to(folder):
                found.append(process)
    return found


def last_states(out: Path) -> dict[int, str]:
    with Journal(out) as kept:
        return {event["parameters"]["seed"]: event["state"] for event in kept.last.values()}


@pytest.mark.full
def test_forty_real_jobs_of_which_four_fail_are_each_called_what_they_are(tmp_path):
    command = real_sweep(tmp_path, 40)
    run = subprocess.run(command, capture_output=True, text=True, timeout=500)
    assert run.returncode == 1, run.stderr
    assert last_states(tmp_path / "out") == {seed: BAD.get(seed, "passed") for seed in range(40)}
    outputs = {path.name for path in (tmp_path / "out").glob("*.ipynb")}
    assert len(outputs) == 40
    assert len([name for name in outputs if name.endswith(".failed.ipynb")]) == 4
    assert left_running(tmp_path) == []
    again = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert "40 of 40 ended in an earlier run and stand." in again.stdout
    assert len(list((tmp_path / "runs").iterdir())) == 40


@pytest.mark.full
def test_a_runner_killed_at_twenty_moments_loses_nothing_that_was_done(tmp_path):
    command = real_sweep(tmp_path, 24)
    moments = random.Random(1)
    passed: set[str] = set()
    for _ in range(20):
        runner = subprocess.Popen(
            command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
        )
        with contextlib.suppress(subprocess.TimeoutExpired):
            runner.wait(moments.uniform(0.2, 9))
        runner.kill()
        runner.wait()
        started = time.monotonic()
        while left_running(tmp_path):
            assert time.monotonic() - started < 10
            time.sleep(0.1)
        events = journal.read(tmp_path / "out" / journal.NAME)
        now = {event["job"] for event in events if event["state"] == "passed"}
        assert passed <= now
        passed = now
        for name in passed:
            nbformat.read(tmp_path / "out" / f"{name}.ipynb", 4)
    run = subprocess.run(command, capture_output=True, text=True, timeout=500)
    assert run.returncode == 1, run.stderr
    expected = {seed: BAD.get(seed, "passed") for seed in range(24)}
    assert last_states(tmp_path / "out") == expected
    ends = Counter(
        event["job"]
        for event in journal.read(tmp_path / "out" / journal.NAME)
        if event["state"] in ("passed", "failed", "died", "timed out")
    )
    assert set(ends.values()) == {1}  # what ended was not run again
    assert list((tmp_path / "out").glob(".running/*")) == []
    assert left_running(tmp_path) == []
