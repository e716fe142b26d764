"""The process group of a job: its share of the machine, and what it said last."""

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


# What a file holds, and its last line that says something.
PRINTED = [(b"", ""), (b"\n \n", ""), (b"a\nb\n\n", "b"), (b"\xff\xc3", "\ufffd\ufffd")]


@pytest.mark.parametrize(("content", "line"), [*PRINTED, (b"x" * 9000, "x" * 300)])
def test_the_last_line_is_what_was_printed_last(tmp_path, content, line):
    assert group.last_line(tmp_path / "none") == ""
    (tmp_path / "stdout").write_bytes(content)
    assert group.last_line(tmp_path / "stdout") == line
