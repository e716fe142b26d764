"""Jobs on this machine: no more at a time than workers, none with another's threads or GPU."""

import io
import threading
import time

import pytest

from cnncourse import local
from cnncourse.batch import Outcome
from cnncourse.group import Slot
from cnncourse.jobs import Job
from cnncourse.journal import Journal
from cnncourse.pool import run_jobs
from cnncourse.progress import Progress


def test_each_job_has_a_share_of_its_own_and_no_more_run_than_workers(tmp_path):
    path = tmp_path / "01_tiny.ipynb"
    path.write_text("{}")
    jobs = [Job(f"job_{seed}", path, {"seed": seed}, timeout_s=60) for seed in range(20)]
    running, most, lock = [], [], threading.Lock()

    def execute(job, out, *, slot, **_):
        with lock:
            running.append(slot)
            most.append(list(running))
        time.sleep(0.01)
        with lock:
            running.remove(slot)
        return Outcome(job.lesson, "passed", 0.0)

    gpus = local.shares(3, 6, ["a", "b", "c"])
    with Journal(tmp_path / "out") as kept:
        pool = local.LocalPool(tmp_path / "out", workers=3, retries=0, execute=execute)
        while not pool.slots.empty():
            pool.slots.get()
        for slot in gpus:
            pool.slots.put(slot)
        run_jobs(jobs, pool, kept, progress=Progress(io.StringIO()))
    assert max(map(len, most)) == 3
    assert all(len({slot.gpus for slot in slots}) == len(slots) for slots in most)


def test_threads_and_gpus_are_shared_out():
    assert local.shares(1, 8, ["0"]) == [Slot()]  # one has all, as the environment says
    assert local.shares(2, 8, []) == [Slot(4), Slot(4)]
    assert local.shares(3, 2, ["0", "1"]) == [Slot(1, "0"), Slot(1, "1"), Slot(1, "0")]


@pytest.mark.parametrize(("said", "gpus"), [("", []), ("-1", []), ("0,3", ["0", "3"])])
def test_the_gpus_are_those_that_the_environment_names(monkeypatch, said, gpus):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", said)
    assert local.visible_gpus() == gpus
