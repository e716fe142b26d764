"""What a batch says while it runs: a live line a job in a terminal, plain lines in a log."""

import shutil
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TextIO

from cnncourse.messages import printable


@dataclass
class Line:
    """A running job: since when, and how many of its cells are done."""

    began: float = field(default_factory=time.monotonic)
    done: int = 0
    total: int = 0


class Progress:
    """Follows the jobs of a batch, from any thread; stream is where it is said."""

    def __init__(self, stream: TextIO) -> None:
        self.stream = stream
        self.live = stream.isatty()
        self.lock = threading.Lock()
        self.running: dict[str, Line] = {}
        self.drawn = 0  # live lines that are on the screen
        self.heard = True  # whether somebody reads
        self.jobs = self.over = 0

    def begin(self, jobs: int, stand: int) -> None:
        """Say how many jobs there are, and how many of them ended in an earlier run."""
        self.jobs, self.over = jobs, stand
        if stand:
            self.say(f"{stand} of {jobs} ended in an earlier run and stand.")

    def started(self, job: str) -> None:
        """A job begins, or begins again."""
        with self.lock:
            self.running[job] = Line()
        if self.live:
            self.say()
        else:
            self.say(f"{job} ...")

    def cell(self, job: str, done: int, total: int) -> None:
        """A job has come so far."""
        with self.lock:
            if line := self.running.get(job):
                line.done, line.total = done, total
        if self.live:
            self.say()

    def tick(self) -> None:
        """Time has passed."""
        if self.live:
            self.say()

    def ended(self, event: Mapping[str, object]) -> None:
        """A job has ended, as its last event tells."""
        with self.lock:
            self.running.pop(str(event["job"]), None)
            self.over += 1
        message = f": {printable(str(event['message']))}" if event["message"] else ""
        words = f"{event['job']}: {event['state']}, {event['seconds']:.1f} s{message}"
        self.say(f"[{self.over}/{self.jobs}] {words}")

    def say(self, *lines: str) -> None:
        """Print lines that stay, above the live ones."""
        with self.lock:
            erase = f"\x1b[{self.drawn}A\x1b[J" if self.drawn else ""
            now = self.live_lines() if self.live else []
            self.drawn = len(now)
            try:
                if self.heard:
                    self.stream.write(erase + "".join(f"{line}\n" for line in [*lines, *now]))
                    self.stream.flush()
            except OSError:  # its reader has left: the jobs go on, and the journal tells
                self.heard = False

    def live_lines(self) -> list[str]:
        """A line each running job, as wide as the terminal at most: none may wrap."""
        columns, rows = shutil.get_terminal_size()
        lines = []
        for job, line in list(self.running.items())[: max(rows - 2, 1)]:
            cell = min(line.done + 1, line.total)
            at = f"cell {cell} of {line.total}, " if line.total else ""
            lines.append(f"{job}: {at}{time.monotonic() - line.began:.0f} s"[: columns - 1])
        return lines
