"""What came of a process is found: by descent, by its token, and where both were left behind."""

import os
import secrets
import subprocess
import sys
import time

import psutil
import pytest

from cnncourse import family

# Starts three: a child, one that left its parent, one that also forgot its environment.
STARTS = """
import subprocess, sys
from cnncourse import family
family.adopt_orphans()
child = subprocess.Popen(["sleep", "61"])
subprocess.run(["setsid", "sh", "-c", "sleep 62 & :"])
subprocess.run(["env", "-i", "setsid", "sh", "-c", "sleep 63 & :"])
print("started", flush=True)
sys.stdin.read()
"""


def seconds_of(members: list[psutil.Process]) -> list[str]:
    return sorted(member.cmdline()[-1] for member in members if member.name() == "sleep")


@pytest.mark.skipif(sys.platform != "linux", reason="who adopts orphans is Linux's")
def test_who_leaves_the_family_is_found_and_ended():
    token = secrets.token_hex(8)
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    environment = os.environ | {family.TOKEN: token}
    with subprocess.Popen([sys.executable, "-c", STARTS], env=environment, **pipes) as process:
        assert process.stdout.readline() == b"started\n"
        started = time.monotonic()
        members: list[psutil.Process] = []
        while len(seconds_of(members)) < 3 and time.monotonic() - started < 10:
            members = family.family(process.pid, token)  # a shell's child is for a moment a shell
        found = seconds_of(members)
        process.kill()
        process.wait()
        by_token = seconds_of(family.family(process.pid, token))
        family.end(members)
    assert found == ["61", "62", "63"]
    assert process.pid not in [member.pid for member in members]
    assert by_token == ["61", "62"]
    assert not any(member.is_running() for member in members)


def test_no_token_is_nobodys(monkeypatch):
    monkeypatch.setenv(family.TOKEN, "")
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        assert process.pid not in [member.pid for member in family.family(2**22 + 1, "")]
