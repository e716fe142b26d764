"""A job's process: it ends, with its kernel, when the runner that began it is gone."""

import json
import subprocess
import sys
import time

import nbformat
import psutil


def start(folder) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, "-m", "cnncourse.child"],
        cwd=folder,
        stdin=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


def test_without_its_runner_a_job_ends_with_its_kernel(tmp_path):
    metadata = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    cell = nbformat.v4.new_code_cell("open('begun', 'w').close()\nwhile True: pass")
    nbformat.write(nbformat.v4.new_notebook(cells=[cell], metadata=metadata), tmp_path / "in.ipynb")
    process = start(tmp_path)
    settings = {"parameters": {}, "folder": str(tmp_path)}
    process.stdin.write(json.dumps(settings).encode() + b"\n")
    process.stdin.flush()
    while not (tmp_path / "begun").exists():
        assert process.poll() is None
        time.sleep(0.05)
    family = [psutil.Process(process.pid), *psutil.Process(process.pid).children(recursive=True)]
    assert len(family) >= 2
    process.stdin.close()  # as when the runner is killed: nobody is told, the pipe ends
    assert process.wait(5) == 1
    assert psutil.wait_procs(family, timeout=2)[1] == []


def test_without_settings_it_starts_nothing(tmp_path):
    process = start(tmp_path)
    process.stdin.close()
    assert process.wait(20) == 1
    assert list(tmp_path.iterdir()) == []
