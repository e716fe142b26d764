import signal
import threading

import pytest

from cnncourse.interrupts import patience
from cnncourse.processes import Processes


def press(times):
    for _ in range(times):
        signal.raise_signal(signal.SIGINT)


def test_the_first_ctrl_c_waits_until_it_is_obeyed():
    with patience() as interrupts:
        interrupts.obey()  # nobody asked
        press(1)
        with pytest.raises(KeyboardInterrupt):
            interrupts.obey()


def test_the_second_ctrl_c_does_not_wait():
    with patience(), pytest.raises(KeyboardInterrupt):
        press(2)


def test_afterwards_ctrl_c_means_what_it_meant():
    with patience():
        pass
    with pytest.raises(KeyboardInterrupt):
        press(1)


def test_another_thread_trains_without_signals():
    """Only the main thread may set a handler; a training elsewhere goes on without one."""
    before, entered = signal.getsignal(signal.SIGINT), []

    def train():
        with patience() as interrupts:
            entered.append(signal.getsignal(signal.SIGINT))
            interrupts.obey()

    thread = threading.Thread(target=train)
    thread.start()
    thread.join()
    assert entered == [before]


def test_a_ctrl_c_in_one_process_is_obeyed_in_all(monkeypatch):
    """The other asked: the sum over both is 1 here, too."""
    monkeypatch.setattr(Processes, "summed", lambda self, values: [sum(values) + 1])
    with patience(Processes(0, 2)) as interrupts, pytest.raises(KeyboardInterrupt):
        interrupts.obey()
