"""The process group of a job: begun, followed, and ended with all that came of it.

Papermill does the executing, in `child`; here is its share of the machine, its time limit, and the
memory it took.
"""

import contextlib
import json
import os
import re
import secrets
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import psutil

from cnncourse.jobs import Job
from cnncourse.verdict import Ended

TOKEN = "CNNCOURSE_JOB"  # in the environment of all that a job starts, however it starts it
POLL_S = 0.1
LOOK_S = 1.0  # between two looks at the memory


@dataclass(frozen=True)
class Slot:
    """A job's share of the machine: threads, and GPUs as CUDA_VISIBLE_DEVICES has them."""

    threads: int | None = None  # None: as the environment says
    gpus: str | None = None


WHOLE = Slot()  # the machine, as the environment says


def run_papermill(
    scratch: Path,
    job: Job,
    slot: Slot,
    on_cell: Callable[[int, int], None],
    stopped: Callable[[], bool],
) -> Ended:
    """Execute scratch/in.ipynb into scratch/out.ipynb, for so long at most."""
    settings = {"parameters": job.parameters, "folder": str(job.notebook.parent.resolve())}
    log: list[str] = []

    def follow(lines: Iterable[str]) -> None:
        for line in lines:
            if found := re.search(r"(\d+)/(\d+) \[", line):
                on_cell(int(found[1]), int(found[2]))
            elif line.strip():
                log.append(line.rstrip())

    token = secrets.token_hex(8)
    with subprocess.Popen(
        [sys.executable, "-m", "cnncourse.child"],
        cwd=scratch,
        env=environment(slot, token),
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        encoding="utf-8",
        errors="replace",  # and with it, the bar's carriage returns end a line
        start_new_session=True,  # Ctrl-C is the runner's to handle
    ) as process:
        assert process.stdin is not None
        reader = threading.Thread(target=follow, args=(process.stderr,), daemon=True)
        reader.start()
        try:
            with contextlib.suppress(BrokenPipeError):
                process.stdin.write(json.dumps(settings) + "\n")
                process.stdin.flush()
            why, peak_mb = wait(process, job.timeout_s, stopped)
        finally:
            end_all(process, token)
            reader.join()
    code, printed = None if why else process.returncode, last_line(scratch / "stdout")
    return Ended(code, "\n".join(log), why, peak_mb, printed)


def environment(slot: Slot, token: str) -> dict[str, str]:
    """Environment of a job's process: its share of the machine, and the token that names it."""
    found = os.environ | {TOKEN: token}
    if slot.threads is not None:
        found["OMP_NUM_THREADS"] = str(slot.threads)
    if slot.gpus is not None:
        found["CUDA_VISIBLE_DEVICES"] = slot.gpus
    return found


def last_line(path: Path) -> str:
    """The last line of a file that says something, 300 characters at most; empty without one."""
    if not path.exists():
        return ""
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - 4096))
        lines = file.read().decode("utf-8", errors="replace").splitlines()
    return next((line.strip()[:300] for line in reversed(lines) if line.strip()), "")


def wait(
    process: subprocess.Popen, timeout_s: float, stopped: Callable[[], bool]
) -> tuple[str, int]:
    """Wait for the end; why it is to be ended, if so, and the most memory (MB) that was seen."""
    started = looked = time.monotonic()
    peak_mb = 0
    while True:
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(POLL_S)
            return "", peak_mb
        now = time.monotonic()
        if stopped():
            return "interrupted", peak_mb
        if now - started > timeout_s:
            return "timed out", peak_mb
        if now - looked > LOOK_S:
            looked, peak_mb = now, max(peak_mb, memory_mb(process.pid))


def memory_mb(pid: int) -> int:
    """Memory (MB) that the largest process below this one holds."""
    held = [0]
    with contextlib.suppress(psutil.Error):
        for process in psutil.Process(pid).children(recursive=True):
            with contextlib.suppress(psutil.Error):
                held.append(process.memory_info().rss // 10**6)
    return max(held)


def end_all(process: subprocess.Popen, token: str) -> None:
    """End a job's process and all that came of it: children, and whoever has the job's token."""
    family = []
    with contextlib.suppress(psutil.NoSuchProcess):
        family = psutil.Process(process.pid).children(recursive=True)
    family += with_token(token)
    for member in family:
        with contextlib.suppress(psutil.NoSuchProcess):
            member.kill()
    process.kill()
    psutil.wait_procs(family, timeout=5)


def with_token(token: str) -> list[psutil.Process]:
    """The processes whose environment has a job's token; those of other users cannot be asked."""
    return [other for other in psutil.process_iter() if environ(other).get(TOKEN) == token]


def environ(process: psutil.Process) -> dict[str, str]:
    """Environment of a process, {} where it cannot be had."""
    try:
        return process.environ()
    except (psutil.Error, OSError):
        return {}
