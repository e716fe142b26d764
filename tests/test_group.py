"""The process group of a job: its share of the machine, and what it said last."""

import pytest

from cnncourse import group


def test_a_slot_gives_threads_and_gpus_to_all_that_a_job_starts(monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "7")
    found = group.environment(group.Slot(threads=3, gpus="1"), "token")
    assert (found["OMP_NUM_THREADS"], found["CUDA_VISIBLE_DEVICES"]) == ("3", "1")
    monkeypatch.setenv("OMP_NUM_THREADS", "5")
    found = group.environment(group.Slot(), "token")
    assert (found["OMP_NUM_THREADS"], found["CUDA_VISIBLE_DEVICES"]) == ("5", "7")


# What a file holds, and its last line that says something.
PRINTED = [(b"", ""), (b"\n \n", ""), (b"a\nb\n\n", "b"), (b"\xff\xc3", "\ufffd\ufffd")]


@pytest.mark.parametrize(("content", "line"), [*PRINTED, (b"x" * 9000, "x" * 300)])
def test_the_last_line_is_what_was_printed_last(tmp_path, content, line):
    assert group.last_line(tmp_path / "none") == ""
    (tmp_path / "stdout").write_bytes(content)
    assert group.last_line(tmp_path / "stdout") == line
