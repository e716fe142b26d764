"""What the batch runner costs beside bare papermill, in one run: `python tests/bench_batch.py`.

Ratios count; seconds are this machine's.
"""

import io
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import nbformat

from cnncourse.batch import execute
from cnncourse.jobs import Job
from cnncourse.journal import Journal
from cnncourse.local import LocalPool
from cnncourse.pool import run_jobs
from cnncourse.progress import Progress

PAIRS = 5  # of one notebook by papermill and by the runner, in turn
JOBS, ROUNDS = 40, 4  # one at a time and two at a time by turns: a machine is slower at times
MOST_TIMES_PAPERMILL, LEAST_SPEEDUP = 1.1, 1.7
FINISH = "from cnncourse import lesson\nlesson.finish('01_tiny', headline='', checks={'ran': True})"


def tiny(folder: Path, *cells: str) -> Path:
    """A lesson of a parameter, some cells and a closing record."""
    metadata = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    first = nbformat.v4.new_code_cell("seed = 0", metadata={"tags": ["parameters"]})
    rest = [nbformat.v4.new_code_cell(source) for source in (*cells, FINISH)]
    path = folder / "01_tiny.ipynb"
    nbformat.write(nbformat.v4.new_notebook(cells=[first, *rest], metadata=metadata), path)
    return path


def seconds(call) -> float:
    """Seconds that a call takes."""
    started = time.perf_counter()
    call()
    return time.perf_counter() - started


def overhead(folder: Path) -> float:
    """Seconds of a tiny job over papermill's for the same notebook: best of some, in turn."""
    path = tiny(folder)
    output = folder / "papermill.ipynb"
    command = [sys.executable, "-m", "papermill", path, output, "-p", "seed", "1", "--cwd", folder]
    bare, ours = [], []
    for number in range(PAIRS):
        bare.append(seconds(lambda: subprocess.run(command, check=True, capture_output=True)))
        job = Job(f"job_{number}", path, {"seed": number}, 60)
        ours.append(seconds(lambda job=job: execute(job, folder / "out")))
    print(f"one tiny job: papermill {min(bare):.2f} s, runner {min(ours):.2f} s")
    return min(ours) / min(bare)


def batch_seconds(folder: Path, workers: int) -> float:
    """Seconds of a round of tiny jobs."""
    folder.mkdir()
    path, out, count = tiny(folder), folder / "out", JOBS // ROUNDS
    jobs = [Job(f"job_{number}", path, {"seed": number}, 60) for number in range(count)]
    with Journal(out) as journal:
        pool = LocalPool(out, workers=workers, retries=1)
        events = []
        progress = Progress(io.StringIO())
        spent = seconds(lambda: events.extend(run_jobs(jobs, pool, journal, progress=progress)))
    assert [event["state"] for event in events] == ["passed"] * count
    return spent


def speedup(folder: Path) -> float:
    """Seconds of some tiny jobs one after another, over those of two at a time."""
    spent = {1: 0.0, 2: 0.0}
    for number in range(ROUNDS):
        for workers in spent:
            spent[workers] += batch_seconds(folder / f"{number}_{workers}", workers)
    for workers, took in spent.items():
        print(f"{JOBS} tiny jobs, -j {workers}: {took:.1f} s, {JOBS / took * 60:.1f} jobs a minute")
    return spent[1] / spent[2]


def main() -> int:
    """Measure; 1 where a goal is missed."""
    with tempfile.TemporaryDirectory() as name:
        times = overhead(Path(name))
        faster = speedup(Path(name))
    print(f"runner over papermill: {times:.3f} (at most {MOST_TIMES_PAPERMILL})")
    print(f"-j 2 against -j 1: {faster:.2f} times faster (at least {LEAST_SPEEDUP})")
    return int(times > MOST_TIMES_PAPERMILL or faster < LEAST_SPEEDUP)


if __name__ == "__main__":
    sys.exit(main())
