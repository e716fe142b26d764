"""The journal: every event on the disk, what a crash cut short passed over, one run a folder."""

import json
import os
import subprocess
import sys

import pytest

from cnncourse import journal
from cnncourse.journal import Journal

PASSED = {"job": "a", "state": "passed", "fingerprint": "f"}


def test_events_are_lines_in_order_and_the_last_one_counts(tmp_path):
    with Journal(tmp_path) as kept:
        kept.add([{"job": "a", "state": "queued"}, {"job": "b", "state": "queued"}])
        kept.add([{"job": "a", "state": "failed", "message": "é <b>"}])
        assert kept.last["a"]["message"] == "é <b>"
    lines = [json.loads(line) for line in kept.path.read_text("utf-8").splitlines()]
    assert [(line["job"], line["state"]) for line in lines] == [
        ("a", "queued"),
        ("b", "queued"),
        ("a", "failed"),
    ]
    assert lines[0]["at"] <= lines[2]["at"]
    with Journal(tmp_path) as again:
        assert {job: event["state"] for job, event in again.last.items()} == {
            "a": "failed",
            "b": "queued",
        }


def test_half_a_character_is_written_as_json_writes_it(tmp_path):
    with Journal(tmp_path) as kept:
        kept.add([PASSED | {"message": "a \udcff"}])
    assert journal.read(kept.path)[0]["message"] == "a \udcff"


def test_a_folder_that_cannot_be_is_said_in_words(tmp_path):
    (tmp_path / "file").touch()
    for out in (tmp_path / "file", tmp_path / "file/below"):
        with pytest.raises(ValueError, match=r"must be a folder that can be written \(.*another"):
            Journal(out).__enter__()


def test_an_event_is_on_the_disk_before_add_returns(tmp_path, monkeypatch):
    synced = []
    monkeypatch.setattr(os, "fsync", lambda handle: synced.append(os.fstat(handle).st_size))
    with Journal(tmp_path) as kept:
        kept.add([PASSED])
        assert kept.path.stat().st_size in synced


@pytest.mark.parametrize("cut", range(1, 40, 6))
def test_a_line_cut_short_is_passed_over_and_the_next_one_is_whole(tmp_path, cut):
    with Journal(tmp_path) as kept:
        kept.add([PASSED])
        kept.add([PASSED | {"job": "b"}])
    content = kept.path.read_bytes()
    kept.path.write_bytes(content[:-cut])
    with Journal(tmp_path) as again:
        whole = {"a": "passed"} | ({"b": "passed"} if cut == 1 else {})  # only its end is missing
        assert {job: event["state"] for job, event in again.last.items()} == whole
        again.add([{"job": "c", "state": "queued"}])
    assert [event["job"] for event in journal.read(kept.path)] == [*whole, "c"]


def test_damaged_lines_and_foreign_ones_are_passed_over(tmp_path):
    (tmp_path / journal.NAME).write_bytes(b'\xff\xfe\n[1]\n{"job": "x"}\n7\n\n')
    assert journal.read(tmp_path / journal.NAME) == []


def test_what_was_running_when_the_runner_went_is_interrupted(tmp_path):
    with Journal(tmp_path) as kept:
        kept.add([PASSED | {"state": "running"}, {"job": "b", "state": "queued"}])
    with Journal(tmp_path) as again:
        assert again.last["a"]["state"] == "interrupted"
        assert again.last["b"]["state"] == "queued"


# What the last event says, what is asked for, whether the job stands as it is.
STANDING = [
    ("passed", "f", "unfinished", True),
    ("failed", "f", "unfinished", True),
    ("timed out", "f", "unfinished", True),
    ("queued", "f", "unfinished", False),
    ("interrupted", "f", "unfinished", False),
    ("not run", "f", "unfinished", False),
    ("passed", "other", "unfinished", False),
    ("failed", "f", "failed", False),
    ("passed", "f", "failed", True),
    ("passed", "f", "all", False),
]


@pytest.mark.parametrize(("state", "fingerprint", "again", "stands"), STANDING)
def test_what_ended_stands_unless_it_changed_or_is_asked_for(
    tmp_path, state, fingerprint, again, stands
):
    with Journal(tmp_path) as kept:
        kept.add([PASSED | {"state": state}])
        assert bool(kept.ended("a", fingerprint, again=again)) is stands
        assert kept.ended("unknown", "f") is None


def test_a_job_whose_output_is_gone_is_run_again(tmp_path):
    with Journal(tmp_path) as kept:
        kept.add([PASSED | {"output": "a.ipynb"}])
        assert kept.ended("a", "f") is None
        (tmp_path / "a.ipynb").touch()
        assert kept.ended("a", "f")


def test_a_second_run_in_the_folder_is_refused(tmp_path):
    folder = f"__import__('pathlib').Path({str(tmp_path)!r})"
    code = f"from cnncourse.journal import Journal\nwith Journal({folder}): pass"
    with Journal(tmp_path):
        run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert "another run is writing there. Try: another --out" in run.stderr
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
