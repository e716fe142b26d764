"""Many jobs: a few at a time, each event in the journal, an end by Ctrl-C that leaves nothing."""

import queue
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from types import FrameType
from typing import Protocol

from cnncourse.batch import Outcome
from cnncourse.jobs import Job
from cnncourse.journal import Event, Journal
from cnncourse.progress import Progress

TICK_S = 1.0  # between two looks at the clock in a terminal

# What a cluster raises for a job that was not the matter, by name: state and message.
LOST = {
    "KilledWorker": ("died", "{}"),
    "CancelledError": ("interrupted", "the scheduler was lost, or dropped it"),
    "FutureCancelledError": ("interrupted", "the scheduler was lost, or dropped it"),
}

Started = Callable[[Job, int], None]  # job, number of the try


class Pool(Protocol):
    """What runs jobs: this machine's processes, or a cluster."""

    def submit(self, job: Job, started: Started, progress: Progress) -> "Future[Outcome]":
        """Queue a job; started(job, tries) is called at each try."""

    def stop(self) -> None:
        """End what runs and start nothing more; every job's outcome still comes, soon."""

    def close(self) -> None:
        """Free what the pool holds, when every outcome is there."""


def run_jobs(
    jobs: Sequence[Job],
    pool: Pool,
    journal: Journal,
    *,
    progress: Progress,
    again: str = "unfinished",
) -> list[Event]:
    """Run what is to be run (see Journal.ended); the last event of each job, in order.

    Ctrl-C and SIGTERM end what runs ("interrupted") and leave the rest "not run". Where the journal
    cannot be written, what runs is ended and OSError raised: what it says stands.
    """
    prints = {job.name: job.fingerprint() for job in jobs}
    todo = [job for job in jobs if not journal.ended(job.name, prints[job.name], again=again)]
    progress.begin(len(jobs), len(jobs) - len(todo))
    about = {job.name: described(job, prints[job.name]) for job in todo}
    journal.add(event | {"state": "queued"} for event in about.values())
    tries = dict.fromkeys(about, 0)

    def started(job: Job, number: int) -> None:
        tries[job.name] = number
        journal.add([about[job.name] | {"state": "running", "tries": number}])
        progress.started(job.name)

    done: queue.SimpleQueue[Future[Outcome]] = queue.SimpleQueue()
    with stopped_by_signals(pool), ended_with(pool):
        futures = {pool.submit(job, started, progress): job for job in todo}
        for future in futures:
            future.add_done_callback(done.put)
        for future in arriving(done, len(futures), progress):
            job = futures.pop(future)
            event = about[job.name] | result(job, future) | {"tries": tries[job.name]}
            journal.add([event])
            progress.ended(event)
    return [journal.last[job.name] for job in jobs]


def arriving(
    done: "queue.SimpleQueue[Future[Outcome]]", count: int, progress: Progress
) -> "Iterator[Future[Outcome]]":
    """The futures as they are done; the clock is shown meanwhile."""
    while count:
        try:
            yield done.get(timeout=TICK_S)
            count -= 1
        except queue.Empty:
            progress.tick()


def described(job: Job, fingerprint: str) -> Event:
    """What every event of a job says."""
    return {
        "job": job.name,
        "lesson": job.lesson,
        "parameters": job.parameters,
        "fingerprint": fingerprint,
    }


def result(job: Job, future: "Future[Outcome]") -> Event:
    """How a job ended, as the journal has it."""
    try:
        outcome = future.result()
    except Exception as error:  # of whatever executed it: the others go on, this one is told
        name = type(error).__name__
        said = f"{name}: {error}" if str(error) else name
        state, message = LOST.get(name, ("failed", "{}"))
        outcome = Outcome(job.lesson, state, 0.0, message.format(said))
    return {
        "state": outcome.state,
        "seconds": round(outcome.seconds, 2),
        "message": outcome.message,
        "cell": outcome.cell,
        "heading": outcome.heading,
        "last_line": outcome.last_line,
        "peak_memory_mb": outcome.peak_memory_mb,
        "headline": outcome.record.get("headline", ""),
        "numbers": outcome.record.get("numbers", {}),
        "output": outcome.notebook.name if outcome.notebook else None,
    }


@contextmanager
def ended_with(pool: Pool) -> Iterator[None]:
    """Close the pool at the end of the block; where that is an error, end what runs first."""
    try:
        yield
    except BaseException:
        pool.stop()
        raise
    finally:
        pool.close()


@contextmanager
def stopped_by_signals(pool: Pool) -> Iterator[None]:
    """Ctrl-C and SIGTERM stop the pool while the block runs, where signals can be had."""

    def stop(_number: int, _frame: FrameType | None) -> None:
        pool.stop()

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
