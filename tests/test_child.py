"""A job's process: it ends, with its kernel, when the runner that began it is gone."""

import json
import os
import subprocess
import sys
import time

import nbformat
import psutil
import pytest


def start(folder, *code: str, **environment: str) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, *(code or ("-m", "cnncourse.child"))],
        cwd=folder,
        env=os.environ | environment,
        stdin=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


# A daemon of a daemon: nobody's child, and it forgets its environment, too.
LEAVES = """
import subprocess
subprocess.run("env -i setsid sh -c 'sleep 61 & echo $! > bare'", shell=True)
subprocess.run("setsid sh -c 'sleep 62 & echo $! > kept'", shell=True)
open("begun", "w").close()
while True: pass
"""


def begun(folder, source: str, *arguments: str):
    """A child whose notebook, one cell of source, has begun; its own temporary folder."""
    metadata = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    cell = nbformat.v4.new_code_cell(source)
    nbformat.write(nbformat.v4.new_notebook(cells=[cell], metadata=metadata), folder / "in.ipynb")
    own = folder / "own"
    own.mkdir()
    process = start(folder, *arguments, CNNCOURSE_JOB="token", TMPDIR=str(own))
    settings = {"parameters": {}, "folder": str(folder)}
    process.stdin.write(json.dumps(settings).encode() + b"\n")
    process.stdin.flush()
    while not (folder / "begun").exists():
        assert process.poll() is None
        time.sleep(0.05)
    return process, own


@pytest.mark.skipif(sys.platform != "linux", reason="who adopts orphans is Linux's")
def test_without_its_runner_a_job_ends_with_all_that_came_of_it(tmp_path):
    process, own = begun(tmp_path, LEAVES)
    family = [psutil.Process(process.pid), *psutil.Process(process.pid).children(recursive=True)]
    family += [psutil.Process(int((tmp_path / name).read_text())) for name in ("bare", "kept")]
    assert len(family) >= 4
    assert list(own.iterdir())  # the kernel's connection file, with its key
    process.stdin.close()  # as when the runner is killed: nobody is told, the pipe ends
    assert process.wait(5) == 1
    assert psutil.wait_procs(family, timeout=2)[1] == []
    assert not own.exists()


# The runner is gone, and while that is seen to, the notebook comes to its end.
SLOW = """
import threading, time
from cnncourse import child
end = child.end
def slow(members):
    if threading.current_thread() is not threading.main_thread():
        time.sleep(2)
    end(members)
child.end = slow
child.main()
"""


def test_a_job_that_ends_as_its_runner_goes_leaves_no_folder_either(tmp_path):
    process, own = begun(tmp_path, "open('begun', 'w').close()", "-c", SLOW)
    process.stdin.close()
    assert process.wait(20) == 1
    assert not own.exists()


def test_without_settings_it_starts_nothing(tmp_path):
    (tmp_path / "own").mkdir()
    process = start(tmp_path, CNNCOURSE_JOB="token", TMPDIR=str(tmp_path / "own"))
    process.stdin.close()
    assert process.wait(20) == 1
    assert list(tmp_path.iterdir()) == []
