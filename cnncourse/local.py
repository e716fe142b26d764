"""Jobs on this machine: some at a time, each with its share of threads and GPUs."""

import glob
import os
import queue
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

from cnncourse import batch
from cnncourse.batch import Outcome
from cnncourse.group import Slot
from cnncourse.jobs import Job
from cnncourse.pool import Started
from cnncourse.progress import Progress


class LocalPool:
    """Processes of this machine, `workers` at a time, each with its share of threads and GPUs.

    execute is batch.execute, or something with the same arguments.
    """

    def __init__(
        self,
        out: Path,
        *,
        workers: int,
        retries: int,
        execute: Callable[..., Outcome] = batch.execute,
    ) -> None:
        self.out, self.retries, self.execute = out, retries, execute
        self.threads = ThreadPoolExecutor(workers)
        self.slots: queue.SimpleQueue[Slot] = queue.SimpleQueue()
        for slot in shares(workers, os.cpu_count() or 1, visible_gpus()):
            self.slots.put(slot)
        self.stopping = threading.Event()

    def submit(self, job: Job, started: Started, progress: Progress) -> "Future[Outcome]":
        """Queue a job."""
        return self.threads.submit(self.run, job, started, progress)

    def run(self, job: Job, started: Started, progress: Progress) -> Outcome:
        """Execute a job in the next free slot, again where its kernel did not start."""
        slot = self.slots.get()
        try:
            for tries in range(1, self.retries + 2):
                if self.stopping.is_set():
                    return Outcome(job.lesson, "not run", 0.0, "ended on request", job=job.name)
                started(job, tries)
                outcome = self.execute(
                    job,
                    self.out,
                    slot=slot,
                    on_cell=lambda done, total: progress.cell(job.name, done, total),
                    stopped=self.stopping.is_set,
                )
                if not outcome.retry:
                    break
            return outcome
        finally:
            self.slots.put(slot)

    def stop(self) -> None:
        """End what runs, and start nothing more."""
        self.stopping.set()

    def close(self) -> None:
        """End the threads."""
        self.threads.shutdown()


def shares(workers: int, cores: int, gpus: Sequence[str]) -> list[Slot]:
    """A share of the machine for each worker: whole threads, one GPU in turn where there are some.

    A single worker has all, as the environment says.
    """
    threads = max(1, cores // workers) if workers > 1 else None
    own = workers > 1 and bool(gpus)
    return [Slot(threads, gpus[index % len(gpus)] if own else None) for index in range(workers)]


def visible_gpus() -> list[str]:
    """The NVIDIA GPUs that CUDA_VISIBLE_DEVICES names, else those that this machine has."""
    named = os.environ.get("CUDA_VISIBLE_DEVICES")
    if named is not None:
        return [gpu for gpu in named.split(",") if gpu.strip() not in ("", "-1")]
    return [str(index) for index in range(len(glob.glob("/dev/nvidia[0-9]*")))]
