"""What happened to each job: one line an event, added at the end and on the disk before going on.

The journal is the truth about a batch. A line that a crash cut short is passed over; a job whose
last event is "running" when nobody runs it was interrupted.
"""

import json
import os
import threading
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType

from filelock import FileLock, Timeout

from cnncourse import files

NAME = "journal.jsonl"
UNFINISHED = ("queued", "running", "interrupted", "not run")  # what a rerun takes up again

Event = dict[str, object]


class Journal:
    """The journal of a folder; nobody else can write there while it is open.

    Raises ValueError on entering where another run holds the folder, or none can be had there.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / NAME
        self.lock = FileLock(folder / f".{NAME}.lock")
        self.adding = threading.Lock()
        self.last: dict[str, Event] = {}  # the latest event of each job

    def __enter__(self) -> "Journal":
        out = f"out={str(self.path.parent)!r}"
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self.lock.acquire(timeout=0)
        except Timeout as error:
            raise ValueError(
                f"{out}: another run is writing there. "
                "Try: another --out, or wait until it is done."
            ) from error
        except OSError as error:
            raise ValueError(
                f"{out}: must be a folder that can be written ({error.strerror}). "
                "Try: another --out."
            ) from error
        for event in read(self.path):
            self.last[str(event["job"])] = event
        lost = [job for job, event in self.last.items() if event["state"] == "running"]
        self.add({"job": job, "state": "interrupted"} for job in lost)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.lock.release()

    def add(self, events: Iterable[Mapping[str, object]]) -> None:
        """Add events, each with its job and state, in one write; on the disk when it returns."""
        at = datetime.now(UTC).isoformat(timespec="milliseconds")
        stamped = [{"at": at, **event} for event in events]
        if not stamped:
            return
        lines = "".join(json.dumps(event, ensure_ascii=False) + "\n" for event in stamped)
        with self.adding:
            self.append(lines.encode(errors="backslashreplace"))
            for event in stamped:
                self.last[str(event["job"])] = event

    def append(self, lines: bytes) -> None:
        """Put lines at the end of the file, and the file on the disk."""
        with self.path.open("ab") as file:
            new = file.tell() == 0
            if not new and not ends_a_line(self.path):
                file.write(b"\n")  # what a crash cut short stays a line of its own
            file.write(lines)
            file.flush()
            os.fsync(file.fileno())
        if new:
            files.sync_folder(self.path.parent)

    def ended(self, job: str, fingerprint: str, *, again: str = "unfinished") -> Event | None:
        """The event with which this very job ended; None where it is to be run.

        A job is run where it is unfinished or no longer the same. again="failed" also runs what
        ended without passing, again="all" everything.
        """
        event = self.last.get(job, {"state": "queued"})
        if event["state"] in UNFINISHED or event.get("fingerprint") != fingerprint:
            return None
        if again == "all" or (again == "failed" and event["state"] != "passed"):
            return None
        output = event.get("output")
        return event if output is None or (self.path.parent / str(output)).exists() else None


def ends_a_line(path: Path) -> bool:
    """Whether the file's last byte ends a line."""
    with path.open("rb") as file:
        file.seek(-1, os.SEEK_END)
        return file.read() == b"\n"


def read(path: Path) -> list[Event]:
    """Every whole event of a journal, in order; [] where there is no journal."""
    if not path.exists():
        return []
    events = []
    for line in path.read_bytes().split(b"\n"):
        try:
            event = json.loads(line)
        except ValueError:  # cut short, or damaged
            continue
        if isinstance(event, dict) and {"job", "state"} <= event.keys():
            events.append(event)
    return events
