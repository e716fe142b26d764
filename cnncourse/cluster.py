"""The same jobs on other machines: a Dask scheduler hands them to its workers.

Every worker sees the notebooks and the output folder under the same paths. A job of a worker that
is lost is given to another one; where that happens again and again, the job is told as "died".
"""

import logging
import secrets
import time
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path

from cnncourse import batch
from cnncourse.batch import Outcome
from cnncourse.jobs import Job
from cnncourse.pool import Started
from cnncourse.progress import Progress

CONNECT_S = 10
ASK_S = 1.0  # between two questions whether to stop


class ClusterPool:
    """The workers of the scheduler at an address, "tcp://host:8786".

    Where workers have the resource GPU, a job takes one. Raises ValueError where no scheduler
    answers, or `distributed` is not installed.
    """

    def __init__(self, address: str, out: Path, *, retries: int) -> None:
        try:
            from distributed import Client, Event
        except ImportError as error:
            raise ValueError(
                f"scheduler={address!r}: needs distributed. Try: pip install 'cnncourse[cluster]'."
            ) from error
        try:
            self.client = Client(address, timeout=CONNECT_S, set_as_default=False)
        except (OSError, ValueError) as error:
            raise ValueError(
                f"scheduler={address!r}: no Dask scheduler answers. "
                "Try: dask scheduler, and the address that it prints."
            ) from error
        logging.getLogger("distributed.client").setLevel(logging.CRITICAL)  # the jobs' events tell
        self.out, self.retries = out, retries
        self.stopping = Event(f"cnncourse-stop-{secrets.token_hex(8)}", client=self.client)
        workers = self.client.scheduler_info(n_workers=-1)["workers"].values()
        gpus = any("GPU" in worker.get("resources", {}) for worker in workers)
        options = {"resources": {"GPU": 1}} if gpus else {}
        self.executor = self.client.get_executor(pure=False, **options)

    def submit(self, job: Job, started: Started, progress: Progress) -> "Future[Outcome]":
        """Hand a job to the scheduler; it counts as running from then on."""
        started(job, 1)
        return self.executor.submit(run_there, job, self.out, self.retries, self.stopping.name)

    def stop(self) -> None:
        """End what runs on the workers, and start nothing more."""
        self.stopping.set()

    def close(self) -> None:
        """Leave the scheduler; it goes on for others."""
        self.executor.shutdown()
        self.client.close()


def run_there(job: Job, out: Path, retries: int, stop: str) -> Outcome:
    """Execute a job on a worker, again where its kernel did not start."""
    stopped = asks(stop)
    for _ in range(retries + 1):
        if stopped():
            return Outcome(job.lesson, "not run", 0.0, "ended on request", job=job.name)
        outcome = batch.execute(job, out, stopped=stopped)
        if not outcome.retry:
            break
    return outcome


def asks(stop: str) -> Callable[[], bool]:
    """Whether the runner wants an end, asked once a second at most."""
    from distributed import Event

    event, asked, answer = Event(stop), -ASK_S, False

    def stopped() -> bool:
        nonlocal asked, answer
        if time.monotonic() - asked > ASK_S:
            asked, answer = time.monotonic(), event.is_set()
        return answer

    return stopped
