"""The same jobs through a Dask scheduler: a worker that is lost loses no job."""

import io
import json
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import nbformat
import psutil
import pytest

from cnncourse import journal
from cnncourse.jobs import Job
from cnncourse.journal import Journal
from cnncourse.pool import run_jobs
from cnncourse.progress import Progress

cluster = pytest.importorskip("cnncourse.cluster")
pytest.importorskip("distributed", reason="needs Dask: pip install 'cnncourse[cluster]'")

# A job that says where and how often it was begun, and waits for the test.
CELL = """
import os, pathlib, time
from cnncourse import lesson
runs = pathlib.Path("runs")
(runs / f"{number}.{os.getpid()}").touch()
while not pathlib.Path("go").exists():
    time.sleep(0.05)
lesson.finish("01_tiny", headline="well", checks={"done": True}, number=number)
"""


@pytest.fixture
def dask(tmp_path) -> Iterator[tuple[str, list[subprocess.Popen]]]:
    """Address of a scheduler with two workers of a thread each, and the processes, it last."""
    file = tmp_path / "scheduler.json"
    near = ["--host", "127.0.0.1", "--no-dashboard", "--scheduler-file", str(file)]

    def start(what: str, *arguments: str) -> subprocess.Popen:
        command = [sys.executable, "-W", "ignore", "-m", f"distributed.cli.dask_{what}"]
        return subprocess.Popen(
            [*command, *near, *arguments], cwd=tmp_path, stderr=subprocess.DEVNULL
        )

    processes = [start("scheduler", "--port", "0")]
    try:
        while not file.exists() or not file.read_text():
            assert processes[0].poll() is None
            time.sleep(0.05)
        alone = ("--no-nanny", "--nthreads", "1", "--local-directory", str(tmp_path / "dask"))
        processes += [start("worker", *alone) for _ in range(2)]
        yield json.loads(file.read_text())["address"], [*processes[1:], processes[0]]
    finally:
        for process in reversed(processes):
            process.kill()
            process.wait()


def make_jobs(folder: Path, count: int) -> list[Job]:
    v4 = nbformat.v4
    metadata = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    cells = [v4.new_code_cell("number = 0", metadata={"tags": ["parameters"]})]
    cells.append(v4.new_code_cell(CELL))
    path = folder / "01_tiny.ipynb"
    nbformat.write(v4.new_notebook(cells=cells, metadata=metadata), path)
    (folder / "runs").mkdir()
    return [Job(f"job_{number}", path, {"number": number}, 120) for number in range(count)]


def begun(folder: Path) -> Counter:
    return Counter(int(path.name.partition(".")[0]) for path in (folder / "runs").iterdir())


def test_a_job_of_a_worker_that_is_killed_is_run_by_the_other(dask, tmp_path):
    address, workers = dask
    jobs = make_jobs(tmp_path, 4)
    lost: list[psutil.Process] = []

    class KillsAWorker(Progress):
        def tick(self) -> None:
            if len(begun(tmp_path)) == 2 and not lost:  # both workers are in the middle of a job
                lost.extend(psutil.Process(workers[0].pid).children(recursive=True))
                workers[0].kill()
                (tmp_path / "go").touch()

    with Journal(tmp_path / "out") as kept:
        pool = cluster.ClusterPool(address, tmp_path / "out", retries=1)
        events = run_jobs(jobs, pool, kept, progress=KillsAWorker(io.StringIO()))
    assert [event["state"] for event in events] == ["passed"] * 4
    assert [event["numbers"] for event in events] == [{"number": n} for n in range(4)]
    assert sorted(begun(tmp_path).values()) == [1, 1, 1, 2]  # one was begun twice
    ends = Counter(event["job"] for event in journal.read(kept.path) if event["state"] == "passed")
    assert ends == {f"job_{number}": 1 for number in range(4)}  # each was ended once
    assert lost
    assert psutil.wait_procs(lost, timeout=5)[1] == []  # the lost worker's kernel is gone, too


def test_an_end_on_request_reaches_the_workers(dask, tmp_path):
    address, _ = dask
    jobs = make_jobs(tmp_path, 3)

    with Journal(tmp_path / "out") as kept:
        pool = cluster.ClusterPool(address, tmp_path / "out", retries=1)

        class Stops(Progress):
            def tick(self) -> None:
                if len(begun(tmp_path)) == 2:
                    pool.stop()

        events = run_jobs(jobs, pool, kept, progress=Stops(io.StringIO()))
    states = sorted(event["state"] for event in events)  # who is served first is the scheduler's
    assert states == ["interrupted", "interrupted", "not run"]
    kernels = [int(path.name.partition(".")[2]) for path in (tmp_path / "runs").iterdir()]
    assert not any(psutil.pid_exists(kernel) for kernel in kernels)


def test_jobs_of_a_scheduler_that_is_lost_are_interrupted_and_taken_up_again(dask, tmp_path, capfd):
    address, (*_, scheduler) = dask
    jobs = make_jobs(tmp_path, 3)

    class KillsTheScheduler(Progress):
        def tick(self) -> None:
            if len(begun(tmp_path)) == 2:
                scheduler.kill()

    with Journal(tmp_path / "out") as kept:
        pool = cluster.ClusterPool(address, tmp_path / "out", retries=1)
        events = run_jobs(jobs, pool, kept, progress=KillsTheScheduler(io.StringIO()))
        assert [event["state"] for event in events] == ["interrupted"] * 3
        assert {event["message"] for event in events} == {"the scheduler was lost, or dropped it"}
        assert not any(kept.ended(job.name, job.fingerprint()) for job in jobs)
    assert "Traceback" not in capfd.readouterr().err


def test_no_scheduler_is_said_in_words(tmp_path, monkeypatch):
    monkeypatch.setattr(cluster, "CONNECT_S", 0.5)
    with pytest.raises(ValueError, match=r"no Dask scheduler answers\. Try: dask scheduler"):
        cluster.ClusterPool("tcp://127.0.0.1:9", tmp_path, retries=1)


def test_without_dask_it_is_said_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(ValueError, match=r"needs distributed\. Try: pip install"):
        cluster.ClusterPool("tcp://127.0.0.1:9", tmp_path, retries=1)
