"""The suite itself: `make test` runs every test once, and says at the end what was measured."""

import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

ROOT = Path(__file__).parent.parent
MAKE_TEST = (ROOT / "Makefile").read_text("utf-8").partition("\ntest:")[2].partition("\n\n")[0]
CALLS = [shlex.split(found) for found in re.findall("-m pytest(.*)", MAKE_TEST)]
LESSONS = ("02_convolution_arithmetic", "03_how_it_is_computed")  # the second compares times
TESTS = """
import os
import pytest

@pytest.mark.parametrize("number", range(3))
def test_beside_others(tell, number):
    where = os.environ["PYTEST_XDIST_WORKER"][:2]
    tell(f"{__file__[-4]}{number} in {where}, {os.environ['OMP_NUM_THREADS']} thread")

@pytest.mark.alone
def test_alone(tell):
    tell("threads of another call")

@pytest.mark.full
def test_long(tell):
    tell("threads that nobody asked for")
"""


@pytest.fixture
def suite(tmp_path):
    """Runs pytest over two test files and two lessons, set up as here; the lines it printed."""
    for folder in ("tests", "notebooks"):
        (tmp_path / folder).mkdir()
    for name in ("pyproject.toml", "tests/conftest.py", "tests/sanitize.cfg"):
        shutil.copy(ROOT / name, tmp_path / name)
    for name in ("a", "b"):
        (tmp_path / f"tests/test_{name}.py").write_text(TESTS)
    for name in LESSONS:
        notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("1 + 1")])
        nbformat.write(notebook, tmp_path / f"notebooks/{name}.ipynb")

    def run(*options: str) -> list[str]:
        command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *options]
        run = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120)
        return run.stdout.splitlines()

    return run


def test_the_calls_of_make_test_have_every_test_once(suite):
    """Those that measure times are in the last call, which is in one process."""
    *beside, alone = [
        [line for line in suite(*call, "--collect-only", "-q") if "::" in line] for call in CALLS
    ]
    found = sum(beside, alone)
    assert len(found) == len(set(found)) == 12  # five a file, and the two cells
    times = [f"notebooks/{LESSONS[1]}.ipynb::Cell 0", "tests/test_a.py::test_alone"]
    assert sorted(alone) == [*times, "tests/test_b.py::test_alone"]
    assert "-n" not in CALLS[-1]


def test_what_two_processes_measured_is_said_at_the_end(suite):
    """With the slowest ten; each has one thread: more would wait on the other's."""
    said = "\n".join(suite(*CALLS[0], "tests")).partition("counted and measured")[2]
    lines = [line for line in said.splitlines() if "thread" in line]
    assert sorted(lines) == [
        f"{name}{number} in gw, 1 thread" for name in "ab" for number in range(3)
    ]
    assert "slowest 10 durations" in said
