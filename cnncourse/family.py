"""All that came of a job's process: its children, theirs, and whoever else has the job's token."""

import contextlib
import ctypes
import os
import sys

import psutil

TOKEN = "CNNCOURSE_JOB"  # in the environment of all that a job starts, however it starts it
PR_SET_CHILD_SUBREAPER = 36  # of Linux's prctl


def adopt_orphans() -> None:
    """Make who loses its parent below this process a child of this one; on Linux alone.

    A program that leaves its parent and forgets its environment is found as well, then.
    """
    if sys.platform == "linux":
        with contextlib.suppress(OSError, AttributeError):
            ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1)


def family(pid: int, token: str) -> list[psutil.Process]:
    """All that came of the process pid, without itself and without the process that asks."""
    found = {}
    with contextlib.suppress(psutil.Error):
        found = {member.pid: member for member in psutil.Process(pid).children(recursive=True)}
    for other in psutil.process_iter() if token else ():
        if environ(other).get(TOKEN) == token:
            found[other.pid] = other
    return [member for number, member in found.items() if number not in (pid, os.getpid())]


def environ(process: psutil.Process) -> dict[str, str]:
    """Environment of a process, {} where it cannot be had: other users' cannot."""
    try:
        return process.environ()
    except (psutil.Error, OSError):
        return {}


def end(members: list[psutil.Process], timeout_s: float = 5.0) -> None:
    """Kill processes, and wait until they are gone."""
    for member in members:
        with contextlib.suppress(psutil.Error):
            member.kill()
    psutil.wait_procs(members, timeout=timeout_s)
