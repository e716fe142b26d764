"""The process group of a job: its share of the machine, and what it said last."""

import os
import queue
import sys
import threading
import time

import pytest

from cnncourse import group


def test_a_slot_gives_threads_and_gpus_to_all_that_a_job_starts(monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "7")
    found = group.environment(group.Slot(threads=3, gpus="1"), "token", "own")
    assert (found["OMP_NUM_THREADS"], found["CUDA_VISIBLE_DEVICES"]) == ("3", "1")
    monkeypatch.setenv("OMP_NUM_THREADS", "5")
    found = group.environment(group.Slot(), "token", "own")
    assert (found["OMP_NUM_THREADS"], found["CUDA_VISIBLE_DEVICES"]) == ("5", "7")


def test_a_job_has_a_temporary_folder_of_its_own_and_the_cache_of_all(monkeypatch, tmp_path):
    monkeypatch.setattr(group.files, "usual_caches", lambda: iter([tmp_path / "cache"]))
    for said, cache in (("mine", "mine"), (None, str(tmp_path / "cache"))):
        monkeypatch.setenv("CNNCOURSE_CACHE", said) if said else monkeypatch.delenv(
            "CNNCOURSE_CACHE"
        )
        found = group.environment(group.Slot(), "token", "own")
        assert (found["TMPDIR"], found["CNNCOURSE_CACHE"]) == ("own", cache)


def test_a_log_is_read_as_it_comes_and_its_bar_before_it_is_ended():
    ours, theirs = os.pipe()
    log: list[str] = []
    seen: queue.SimpleQueue[tuple[int, int]] = queue.SimpleQueue()
    stream = os.fdopen(ours, "rb")
    arguments = (stream, log, lambda done, total: seen.put((done, total)))
    reader = threading.Thread(target=group.follow, args=arguments)
    reader.start()
    os.write(theirs, b"Executing:  25%| 1/4 [00:00<00:01]")
    assert seen.get(timeout=5) == (1, 4)
    os.write(theirs, b"\rExecuting:  50%| 2/4 [00:00<00:01]\nTraceback \xc3")
    assert seen.get(timeout=5) == (2, 4)
    os.write(theirs, b"\xa9\r\n\nlast")
    os.close(theirs)
    reader.join(5)
    assert log == ["Traceback é", "last"]
    assert stream.closed


def test_a_log_that_somebody_holds_does_not_hold_the_runner(tmp_path, monkeypatch):
    """A daemon that nobody finds keeps the log open; the job itself has ended."""
    leaves = [sys.executable, "-c", "import subprocess; subprocess.Popen(['sleep', '9'])"]
    monkeypatch.setattr(group, "CHILD", leaves)
    monkeypatch.setattr(group, "family", lambda pid, token: [])
    monkeypatch.setattr(group, "LOG_S", 0.2)
    path = tmp_path / "01_tiny.ipynb"
    job = group.Job("01_tiny", path, {}, 60)
    started = time.monotonic()
    ended = group.run_papermill(tmp_path, job, group.WHOLE, lambda *_: None, lambda: False)
    assert (ended.code, time.monotonic() - started < 8) == (0, True)


# What a file holds, and its last line that says something.
PRINTED = [(b"", ""), (b"\n \n", ""), (b"a\nb\n\n", "b"), (b"\xff\xc3", "\ufffd\ufffd")]


@pytest.mark.parametrize(("content", "line"), [*PRINTED, (b"x" * 9000, "x" * 300)])
def test_the_last_line_is_what_was_printed_last(tmp_path, content, line):
    assert group.last_line(tmp_path / "none") == ""
    (tmp_path / "stdout").write_bytes(content)
    assert group.last_line(tmp_path / "stdout") == line
