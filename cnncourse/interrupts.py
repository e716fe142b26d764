"""Ctrl-C during training: once ends it after the running batch, twice at once."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from cnncourse.processes import ALONE, Processes


class Interrupts:
    """Whether somebody has pressed Ctrl-C and waits for the batch to end."""

    def __init__(self, processes: Processes) -> None:
        self.asked, self.processes = False, processes

    def note(self, signum: int, frame: FrameType | None) -> None:
        """Handler of Ctrl-C: the first is noted, the second stops at once."""
        if self.asked:
            raise KeyboardInterrupt
        self.asked = True

    def obey(self) -> None:
        """Raise KeyboardInterrupt where Ctrl-C was pressed, in any of the processes."""
        if self.processes.any(self.asked):
            raise KeyboardInterrupt


@contextmanager
def patience(processes: Processes = ALONE) -> Iterator[Interrupts]:
    """Inside the block, Ctrl-C once is noted and twice interrupts; in the main thread alone."""
    interrupts = Interrupts(processes)
    if threading.current_thread() is not threading.main_thread():  # signals are not for it
        yield interrupts
        return
    before = signal.signal(signal.SIGINT, interrupts.note)
    try:
        yield interrupts
    finally:
        signal.signal(signal.SIGINT, before or signal.SIG_DFL)
