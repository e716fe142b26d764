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
import tempfile
import threading
import time
from codecs import getincrementaldecoder
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import psutil

from cnncourse import files
from cnncourse.family import TOKEN, end, family
from cnncourse.jobs import Job
from cnncourse.verdict import Ended

BAR = re.compile(r"(\d+)/(\d+) \[")  # how many cells are done, in papermill's progress bar
CHILD = [sys.executable, "-m", "cnncourse.child"]
POLL_S = 0.1
LOOK_S = 1.0  # between two looks at the memory
LOG_S = 5.0  # for the end of the log, where all is ended


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
    token = secrets.token_hex(8)
    with (
        tempfile.TemporaryDirectory(prefix="cnncourse-", ignore_cleanup_errors=True) as own,
        subprocess.Popen(
            CHILD,
            cwd=scratch,
            env=environment(slot, token, own),
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            encoding="utf-8",
            start_new_session=True,  # Ctrl-C is the runner's to handle
        ) as process,
    ):
        assert process.stdin is not None
        stream, process.stderr = process.stderr, None  # the reader closes it
        reader = threading.Thread(target=follow, args=(stream, log, on_cell), daemon=True)
        reader.start()
        try:
            with contextlib.suppress(BrokenPipeError):
                process.stdin.write(json.dumps(settings) + "\n")
                process.stdin.flush()
            why, peak_mb = wait(process, job.timeout_s, stopped)
        finally:
            end_all(process, token)
            reader.join(LOG_S)  # longer only where somebody whom nobody found holds it
    code, printed = None if why else process.returncode, last_line(scratch / "stdout")
    return Ended(code, "\n".join(log), why, peak_mb, printed)


def follow(stream: IO, log: list[str], on_cell: Callable[[int, int], None]) -> None:
    """Read papermill's log to its end, and close it: lines into log, its bar's state to on_cell.

    The bar stands in a line that is not ended yet: only its next state would end it.
    """
    decoder = getincrementaldecoder("utf-8")(errors="replace")
    rest = ""
    while chunk := os.read(stream.fileno(), 65536):
        *lines, rest = re.split(r"[\r\n]+", rest + decoder.decode(chunk))
        for line in lines:
            if line.strip() and not BAR.search(line):
                log.append(line.rstrip())
        if bars := [found for line in (*lines, rest) if (found := BAR.search(line))]:
            on_cell(int(bars[-1][1]), int(bars[-1][2]))
    if rest.strip() and not BAR.search(rest):
        log.append(rest.rstrip())
    stream.close()


def environment(slot: Slot, token: str, own: str) -> dict[str, str]:
    """Environment of a job's process: its share of the machine, the token that names it.

    own is its folder for temporary files, removed with it; the cache stays that of all.
    """
    found = os.environ | {TOKEN: token} | dict.fromkeys(("TMPDIR", "TEMP", "TMP"), own)
    found.setdefault("CNNCOURSE_CACHE", str(files.cache_dir()))
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
    """End a job's process and all that came of it, and what was being begun meanwhile."""
    members = family(process.pid, token)
    end([psutil.Process(process.pid), *members] if process.poll() is None else members)
    end(family(process.pid, token))
