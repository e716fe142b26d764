"""Progress: a live line a running job in a terminal, plain lines in a log."""

import io
import os
import re
import shutil

import pytest

from cnncourse.progress import Progress


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def screen(written: str) -> list[str]:
    """What a terminal shows after all that: lines, with cursor-up and erase obeyed."""
    lines: list[str] = []
    for part in re.split(r"(\x1b\[\d+A\x1b\[J)", written):
        if up := re.fullmatch(r"\x1b\[(\d+)A\x1b\[J", part):
            del lines[len(lines) - int(up[1]) :]
        else:
            lines += part.splitlines()
    return lines


def passed(job: str) -> dict:
    return {"job": job, "state": "passed", "seconds": 1.0, "message": ""}


def test_a_log_gets_plain_lines_and_no_cells():
    log = io.StringIO()
    progress = Progress(log)
    progress.begin(3, 1)
    progress.started("a")
    progress.cell("a", 1, 4)
    progress.tick()
    progress.ended(passed("a"))
    progress.ended({"job": "b", "state": "failed", "seconds": 2.0, "message": "cell 3: no"})
    assert log.getvalue().splitlines() == [
        "1 of 3 ended in an earlier run and stand.",
        "a ...",
        "[2/3] a: passed, 1.0 s",
        "[3/3] b: failed, 2.0 s: cell 3: no",
    ]


def test_a_terminal_has_one_live_line_a_running_job_below_what_ended():
    terminal = Terminal()
    progress = Progress(terminal)
    progress.begin(3, 0)
    for job in "abc":
        progress.started(job)
    progress.cell("b", 2, 9)
    progress.ended(passed("a"))
    progress.tick()
    assert screen(terminal.getvalue()) == [
        "[1/3] a: passed, 1.0 s",
        "b: cell 3 of 9, 0 s",
        "c: 0 s",
    ]
    progress.cell("c", 9, 9)
    assert screen(terminal.getvalue())[-1] == "c: cell 9 of 9, 0 s"
    progress.ended(passed("b"))
    progress.ended(passed("c"))
    assert [line[:5] for line in screen(terminal.getvalue())] == ["[1/3]", "[2/3]", "[3/3]"]


@pytest.mark.parametrize(("columns", "rows"), [(20, 24), (80, 4)])
def test_live_lines_never_wrap_nor_outgrow_the_terminal(monkeypatch, columns, rows):
    size = os.terminal_size((columns, rows))
    monkeypatch.setattr(shutil, "get_terminal_size", lambda: size)
    terminal = Terminal()
    progress = Progress(terminal)
    for number in range(10):
        progress.started(f"a_job_with_a_long_name_{number}")
    lines = screen(terminal.getvalue())
    assert len(lines) == min(10, rows - 2)
    assert max(map(len, lines)) < columns


def test_what_would_move_the_cursor_is_left_out():
    terminal = Terminal()
    Progress(terminal).ended(passed("a") | {"message": "\x1b[31mred\x1b[0m\rover\x1b[2J\n\u202ex"})
    assert terminal.getvalue() == "[1/0] a: passed, 1.0 s: red over ?x\n"


def test_jobs_go_on_where_nobody_reads_any_more():
    class Closed(io.StringIO):
        def flush(self) -> None:
            raise BrokenPipeError

    progress = Progress(Closed())
    progress.begin(2, 1)
    progress.started("a")
    progress.ended(passed("a"))
    assert progress.over == 2


def test_a_cell_of_a_job_that_is_over_is_not_shown():
    terminal = Terminal()
    progress = Progress(terminal)
    progress.cell("gone", 1, 2)
    assert screen(terminal.getvalue()) == []
