"""Faults injected for real into jobs: each has its state and its message, and leaves no process."""

import contextlib
import io
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import nbformat
import psutil
import pytest

from cnncourse import group, jobs, journal, page, report
from cnncourse.journal import Event, Journal
from cnncourse.local import LocalPool
from cnncourse.pool import run_jobs
from cnncourse.progress import Progress

ROOT = Path(__file__).parent.parent
LESSONS = jobs.lessons(ROOT / "notebooks")
CLOSING = "from cnncourse import lesson\nlesson.finish('01_tiny', headline='', checks={'ran': True}"


def write_lesson(folder: Path, cell: str, *, kernel: str = "python3", numbers: str = "") -> Path:
    """A lesson of its parameters, one cell and the closing one, which records the numbers."""
    v4 = nbformat.v4
    metadata = {"kernelspec": {"name": kernel, "display_name": kernel, "language": "python"}}
    cells = [v4.new_code_cell("seed = 0\nlabels = []", metadata={"tags": ["parameters"]})]
    cells += [v4.new_code_cell(cell), v4.new_code_cell(f"{CLOSING}, {numbers})")]
    nbformat.write(v4.new_notebook(cells=cells, metadata=metadata), folder / "01_tiny.ipynb")
    return folder / "01_tiny.ipynb"


def run(folder: Path, path: Path, *parameters: dict, workers=1, timeout_s=60.0) -> list[Event]:
    """The last event of a job for each set of parameters."""
    todo = [jobs.Job(f"job_{i}", path, given, timeout_s) for i, given in enumerate(parameters)]
    with Journal(folder / "out") as kept:
        local = LocalPool(folder / "out", workers=workers, retries=1)
        return run_jobs(todo, local, kept, progress=Progress(io.StringIO()))


def add_kernel(folder: Path, monkeypatch, name: str, code: str) -> None:
    """A kernel of that name, which Jupyter starts by running the code with its connection file."""
    spec = {"argv": [sys.executable, "-c", code, "{connection_file}"], "display_name": name}
    (folder / "kernels" / name).mkdir(parents=True)
    (folder / "kernels" / name / "kernel.json").write_text(json.dumps(spec | {"language": "py"}))
    monkeypatch.setenv("JUPYTER_PATH", str(folder))


# Another program has the kernel's port when it comes up; the second time it has not.
TAKES_THE_PORT = """
import json, os, pathlib, socket, sys
with open(sys.argv[1]) as file:
    port = json.load(file)["shell_port"]
if not pathlib.Path("raced").exists():
    pathlib.Path("raced").touch()
    other = socket.create_server(("127.0.0.1", port))
    os.set_inheritable(other.fileno(), True)
os.execv(sys.executable, [sys.executable, "-m", "ipykernel_launcher", "-f", sys.argv[1]])
"""


def test_a_kernel_that_lost_its_port_gets_another(tmp_path, monkeypatch):
    add_kernel(tmp_path, monkeypatch, "raced", TAKES_THE_PORT)
    (event,) = run(tmp_path, write_lesson(tmp_path, "seed", kernel="raced"), {})
    assert (event["state"], event["message"], event["tries"]) == ("passed", "", 2)
    states = [line["state"] for line in journal.read(tmp_path / "out" / journal.NAME)]
    assert states == ["queued", "running", "running", "passed"]


def test_a_kernel_that_never_starts_is_told_after_two_tries(tmp_path, monkeypatch):
    add_kernel(tmp_path, monkeypatch, "broken", "raise SystemExit(3)")
    (event,) = run(tmp_path, write_lesson(tmp_path, "seed", kernel="broken"), {})
    assert (event["state"], event["tries"], event["cell"]) == ("died", 2, None)
    assert event["message"].startswith("the kernel never started: RuntimeError: Kernel died")
    kept = nbformat.read(tmp_path / "out" / event["output"], 4)
    assert {cell.metadata.papermill.status for cell in kept.cells} == {"not run"}


def test_a_kernel_that_there_is_not_is_told_at_once(tmp_path):
    (event,) = run(tmp_path, write_lesson(tmp_path, "seed", kernel="julia-9"), {})
    assert (event["state"], event["tries"]) == ("failed", 1)
    assert "julia-9" in event["message"]


STOPS = """
import os, pathlib, signal, time
pid = [os.getpid(), os.getppid()][seed]
pathlib.Path(f"{seed}.pid").write_text(str(pid))
os.kill(pid, signal.SIGSTOP)
time.sleep(60)
"""


@pytest.mark.skipif(os.name == "nt", reason="SIGSTOP is Unix's")
def test_processes_that_hang_are_ended_by_the_time_limit(tmp_path, monkeypatch):
    """A stopped kernel and a stopped papermill, whom nobody can ask to end; then an hour passes."""
    path, hanging = write_lesson(tmp_path, STOPS), set()

    def an_hour_later() -> float:
        for file in tmp_path.glob("?.pid"):
            with contextlib.suppress(ValueError, psutil.Error):  # not yet written; ended
                process = psutil.Process(int(file.read_text()))
                if process.status() == psutil.STATUS_STOPPED:
                    hanging.add(process)
        return time.monotonic() + 3600 * (len(hanging) == 2)

    monkeypatch.setattr(group, "time", SimpleNamespace(monotonic=an_hour_later))
    events = run(tmp_path, path, {"seed": 0}, {"seed": 1}, workers=2, timeout_s=900)
    assert [event["state"] for event in events] == ["timed out"] * 2
    assert all(event["message"].endswith("still running after 900 s") for event in events)
    assert len(hanging) == 2
    assert not any(process.is_running() for process in hanging)


def test_two_jobs_at_once_have_a_gpu_each(tmp_path, monkeypatch):
    """What each sees is what CUDA would: one of the two that the environment names."""
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3,5")
    gpu = "gpu=int(os.environ['CUDA_VISIBLE_DEVICES'])"
    path = write_lesson(tmp_path, "import os", numbers=gpu)
    events = run(tmp_path, path, {"seed": 1}, {"seed": 2}, workers=2)
    assert sorted(event["numbers"]["gpu"] for event in events) == [3, 5]


HOSTILE = [
    *("'); open('canary', 'w') #", '"""; open("canary", "w") #', "\\'; open('canary', 'w')\n"),
    *("{seed} {0} %s $(touch canary) `touch canary`", "<script>open()</script>", "\u202e\u2028é"),
]


def test_hostile_values_are_values(tmp_path):
    """They reach the lesson to the letter, are never run, and are text in the report."""
    path = write_lesson(tmp_path, f"same = float(labels == {HOSTILE!r})", numbers="same=same")
    (event,) = run(tmp_path, path, {"labels": HOSTILE})
    assert (event["state"], event["numbers"]) == ("passed", {"same": 1})
    assert not list(tmp_path.rglob("canary"))
    text = page.write(report.rows([event]), tmp_path).read_text("utf-8")
    assert text.count("<script>") == 1  # the page's own
    assert "&lt;script&gt;open()" in text


# A runner whose disk holds so many bytes a file; a job is to note its seed.
ON_A_FULL_DISK = """
import pathlib, resource, sys
from cnncourse import batch, cli
def execute(job, out, **_):
    with open("ran", "a") as file:
        file.write(f"{job.parameters['seed']} ")
    return batch.Outcome(job.lesson, "passed", 0.0)
cli.EXECUTE = execute
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[1]),) * 2)
sys.exit(cli.main(["sweep", "01", "--folder", ".", "--out", "out", "--seeds", "0:20"]))
"""


@pytest.mark.skipif(os.name == "nt", reason="RLIMIT_FSIZE is Unix's")
def test_a_runner_on_a_full_disk_says_so_and_goes_on_where_there_is_room(tmp_path):
    write_lesson(tmp_path, "seed")

    def runner(bytes_a_file: int) -> tuple[int, str]:
        command = [sys.executable, "-c", ON_A_FULL_DISK, str(bytes_a_file)]
        run = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60)
        return run.returncode, run.stderr

    code, said = runner(10_000)
    assert (code, said.partition(". ")[0]) == (1, "out: cannot be read or written (File too large)")
    assert "Try: room on the disk, then the same command." in said
    kept = journal.read(tmp_path / "out" / journal.NAME)
    passed = {line["parameters"]["seed"] for line in kept if line["state"] == "passed"}
    assert 0 < len(passed) < 20
    assert runner(10**9) == (0, "")
    ran = [int(seed) for seed in (tmp_path / "ran").read_text().split()]
    assert sorted(set(ran)) == list(range(20))
    assert all(ran.count(seed) == 1 for seed in passed)  # what passed is not run again


# --- the surroundings of a job; for real, and long: `make full` runs it ---------------------------

# No network but this machine's own, a HOME that cannot be written, 1 MB of shared memory.
BARE = """
set -e
mount -t tmpfs -o ro tmpfs "$HOME"
mount -t tmpfs -o size=1m tmpfs /dev/shm
ip link set lo up
exec "$@"
"""
LIMITED = """
import resource, sys
from cnncourse import cli
resource.setrlimit(resource.RLIMIT_DATA, (15 * 10**8,) * 2)
sys.exit(cli.main(sys.argv[1:]))
"""
NEEDS_UNSHARE = "a network and mounts of its own need Linux's unshare, and the right to it"


def can_unshare() -> bool:
    """Whether this machine gives a process a network and mounts of its own."""
    if not all(map(shutil.which, ("unshare", "ip", "mount"))):
        return False
    return subprocess.run(["unshare", "-rmn", "true"], capture_output=True).returncode == 0


@pytest.mark.full
@pytest.mark.parametrize("name", LESSONS)
def test_a_lesson_runs_without_network_home_shared_memory_and_with_little_of_its_own(
    tmp_path, name, monkeypatch
):
    """On the smoke budget, in a folder with a space and an é, with 1.5 GB of memory a process.

    Where that is too little, and only there, it may say so instead.
    """
    if not can_unshare():
        pytest.skip(NEEDS_UNSHARE)
    folder = tmp_path / "a folder é"
    folder.mkdir()
    shutil.copy(LESSONS[name], folder)
    (tmp_path / "home").mkdir()
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.delenv("CNNCOURSE_CACHE")
    command = ["unshare", "-rmn", "sh", "-c", BARE, "sh", sys.executable, "-c", LIMITED, "run"]
    places = ["--folder", str(folder), "--out", str(folder / "out"), "--budget", "smoke"]
    run = subprocess.run([*command, *places], capture_output=True, text=True, timeout=300)
    assert run.returncode == 0 or ": failed" in run.stdout, run.stdout + run.stderr
    assert run.returncode == 0 or "memory ran out: " in run.stdout, run.stdout
