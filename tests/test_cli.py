"""The command: what it prints, its exit code, and that a wrong call starts nothing."""

import os
import re
import subprocess
import sys

import nbformat
import pytest

from cnncourse import batch, cli, cluster, jobs


@pytest.fixture
def executed(monkeypatch, tmp_path):
    """Two lessons in a folder, and a list of the jobs that the command would execute."""
    calls = []
    folder = tmp_path / "lessons"
    folder.mkdir()
    for name in ("00_start_here", "06_mnist_from_scratch"):
        cell = nbformat.v4.new_code_cell("seed = 0\nbudget = 'quick'\nlearning_rate = 0.1")
        cell.metadata["tags"] = ["parameters"]
        nbformat.write(nbformat.v4.new_notebook(cells=[cell]), folder / f"{name}.ipynb")

    def execute(job, out, **options):
        calls.append(job)
        state = "failed" if job.parameters.get("seed") == 13 else "passed"
        numbers = {"accuracy": float(job.parameters.get("learning_rate", 0))}
        record = {"headline": "well", "numbers": numbers}
        return batch.Outcome(job.lesson, state, 1.0, record=record)

    monkeypatch.setattr(cli, "EXECUTE", execute)
    monkeypatch.delenv("CNNCOURSE_BUDGET", raising=False)
    monkeypatch.chdir(tmp_path)
    return calls, ["--folder", str(folder)]


def test_run_without_names_runs_every_lesson_and_prints_table_and_page(executed, capsys):
    calls, folder = executed
    assert cli.main(["run", *folder]) == 0
    assert [job.name for job in calls] == ["00_start_here", "06_mnist_from_scratch"]
    printed = capsys.readouterr().out
    assert re.search("06_mnist_from_scratch +passed", printed)
    assert "Open build/index.html" in printed.replace("\\", "/")


def test_a_second_run_runs_nothing_unless_told(executed, capsys):
    calls, folder = executed
    cli.main(["run", *folder])
    assert cli.main(["run", *folder]) == 0
    assert len(calls) == 2
    assert "2 of 2 ended in an earlier run and stand." in capsys.readouterr().out
    cli.main(["run", "--again", "all", *folder])
    assert len(calls) == 4


def test_parameters_budget_and_time_limit_reach_the_lesson(executed):
    calls, folder = executed
    assert cli.main(["run", "06", "-p", "seed", "3", "--budget", "smoke", *folder]) == 0
    (job,) = calls
    assert job.name == "06_mnist_from_scratch"
    assert job.parameters == {"seed": 3, "budget": "smoke"}
    assert job.timeout_s == jobs.TIMEOUTS_S["smoke"]


def test_the_environment_sets_the_default_budget(executed, monkeypatch):
    calls, folder = executed
    monkeypatch.setenv("CNNCOURSE_BUDGET", "smoke")
    cli.main(["run", "00", *folder])
    assert calls[0].parameters == {"budget": "smoke"}


def test_what_was_not_finished_is_taken_up_by_the_same_command(executed, monkeypatch, capsys):
    interrupted = batch.Outcome("00_start_here", "interrupted", 1.0)
    calls, folder = executed
    passes = cli.EXECUTE
    monkeypatch.setattr(cli, "EXECUTE", lambda *_, **__: interrupted)
    assert cli.main(["run", "0", *folder]) == 1
    assert "The same command takes up what was not finished." in capsys.readouterr().out
    monkeypatch.setattr(cli, "EXECUTE", passes)
    assert cli.main(["run", "0", *folder]) == 0
    assert len(calls) == 1
    assert "The same command" not in capsys.readouterr().out


def test_a_report_that_cannot_be_written_leaves_the_table(executed, monkeypatch, capsys):
    def full(*_, **__):
        raise OSError(28, "No space left on device", "build/index.html")

    monkeypatch.setattr(cli.page, "write", full)
    assert cli.main(["run", "06", *executed[1]]) == 1
    said = capsys.readouterr()
    assert re.search("06_mnist_from_scratch +passed", said.out)
    assert "build/index.html: cannot be read or written (No space left" in said.err


def test_a_failure_stands_and_it_is_said_how_to_run_it_again(executed, capsys):
    calls, folder = executed
    for _ in range(2):
        assert cli.main(["run", "0", "-p", "seed", "13", *folder]) == 1
        assert "To run it again: --again failed." in capsys.readouterr().out
    assert len(calls) == 1
    cli.main(["run", "0", "-p", "seed", "13", "--again", "failed", *folder])
    assert len(calls) == 2
    assert "To run it again" not in capsys.readouterr().out


def test_a_ctrl_c_while_the_report_is_written_is_no_traceback(executed, monkeypatch, capsys):
    def pressed(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(cli.page, "write", pressed)
    assert cli.main(["run", "0", *executed[1]]) == 130
    assert "Ended. The same command takes up" in capsys.readouterr().err


def test_one_failure_makes_the_exit_code_1(executed):
    assert cli.main(["sweep", "06", "--seeds", "12,13,14", *executed[1]]) == 1


def test_a_file_that_names_two_jobs_alike_starts_nothing(executed, capsys, tmp_path):
    calls, folder = executed
    (tmp_path / "jobs.yaml").write_text("- {lesson: '00', name: a}\n- {lesson: '06', name: A}\n")
    assert cli.main(["sweep", "--jobs", "jobs.yaml", *folder]) == 2
    assert "name='A': two jobs have it." in capsys.readouterr().err
    assert calls == []


def test_a_sweep_is_a_job_each_setting_with_rows_and_plots(executed, tmp_path):
    calls, folder = executed
    call = ["sweep", "06", "--grid", "learning_rate=0.001,0.01", "--seeds", "0:3", "-j", "2"]
    assert cli.main([*call, "--timeout", "9", "--out", "swept", *folder]) == 0
    settings = [(job.parameters["learning_rate"], job.parameters["seed"]) for job in calls]
    assert sorted(settings) == [(rate, seed) for rate in (0.001, 0.01) for seed in range(3)]
    assert {job.timeout_s for job in calls} == {9}
    text = (tmp_path / "swept/results.csv").read_text("utf-8")
    assert "param.learning_rate,param.seed,number.accuracy" in text
    assert "accuracy over learning_rate" in (tmp_path / "swept/index.html").read_text("utf-8")


def test_a_sweep_takes_jobs_of_a_file(executed, tmp_path):
    calls, folder = executed
    (tmp_path / "jobs.yaml").write_text("- {lesson: '00', name: mine}\n- {lesson: '06'}\n")
    assert cli.main(["sweep", "--jobs", "jobs.yaml", *folder]) == 0
    assert calls[0].name == "mine"
    assert calls[1].name.startswith("06_mnist_from_scratch_")


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["run", "-p", "sed", "1"], "Did you mean 'seed'?"),
        (["run", "--budget", "ful"], "Did you mean 'full'?"),
        (["run", "07"], "'07': unknown lesson."),
        (["run", "-p", "learning_rate", "-1"], "learning_rate=-1.0: must be from 1e-09 to 1000."),
        (["sweep", "06", "--grid", "lr=1"], "parameter 'lr': 06_mnist_from_scratch has no such"),
        (["sweep", "06", "--grid", "seed=1,x"], "seed='x': must be int"),
        (["sweep", "--seeds", "0:2"], "--grid and --seeds need one. Try: cnncourse sweep 06"),
        (["sweep"], "jobs: there are none."),
        (["sweep", "06", "--seeds", "0:2", "-p", "seed", "7"], "'seed': is set by -p, and swept."),
        (["run", "-p", "seed", "1", "-p", "seed", "2"], "'seed': is set twice."),
        (["sweep", "--jobs", "none.yaml"], "jobs='none.yaml': cannot be read (No such file"),
        (["sweep", "06", "--scheduler", "tcp://127.0.0.1:9"], "scheduler='tcp://127.0.0.1:9': "),
    ],
)
def test_a_wrong_call_exits_with_2_and_starts_nothing(
    executed, capsys, monkeypatch, arguments, sentence
):
    monkeypatch.setattr(cluster, "CONNECT_S", 0.5)
    calls, folder = executed
    assert cli.main([*arguments, *folder]) == 2
    assert sentence in capsys.readouterr().err
    assert calls == []


@pytest.mark.parametrize("command", [["run"], ["sweep", "06", "--seeds", "0:2"], ["save"]])
def test_outputs_never_go_where_the_lessons_are(executed, capsys, tmp_path, command):
    calls, folder = executed
    (tmp_path / "link").symlink_to(tmp_path / "lessons")
    for out in ("lessons", "link", "lessons/../lessons"):
        assert cli.main([*command, *folder, "--out", out]) == 2
        assert "is the folder of the lessons" in capsys.readouterr().err
    assert calls == []
    assert len(list((tmp_path / "lessons").iterdir())) == 2


COMMAND = """
import sys
from cnncourse import batch, cli
def execute(job, out, **_):
    return batch.Outcome(job.lesson, "passed", 0.0, record={"headline": "all \u2248 98 %"})
cli.EXECUTE = execute
sys.exit(cli.main(sys.argv[1:]))
"""


def started(arguments, **options) -> subprocess.Popen:
    """The command in a process of its own, whose jobs pass at once."""
    return subprocess.Popen([sys.executable, "-c", COMMAND, *arguments], text=True, **options)


@pytest.mark.parametrize("encoding", ["ascii", "cp1252"])
def test_a_log_in_any_encoding_will_do(executed, encoding):
    environment = os.environ | {"PYTHONIOENCODING": encoding}
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "env": environment}
    said, wrong = started(["run", "06", *executed[1]], **pipes).communicate()
    assert (wrong, "all ? 98 %" in said) == ("", True)


def test_where_nobody_reads_any_more_all_jobs_are_run_and_reported(executed, tmp_path):
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with started(["sweep", "06", "--seeds", "0:20", *executed[1]], **pipes) as command:
        command.stdout.close()
        assert command.stderr.read() == ""
    assert command.returncode == 0
    assert (tmp_path / "build/results.csv").read_text("utf-8").count("passed") == 20


def test_save_runs_again_whatever_ran_before(executed, monkeypatch, tmp_path):
    calls, folder = executed
    saved = []
    monkeypatch.setattr(cli, "save", lambda events, chosen, out: saved.append(len(events)))
    cli.main(["run", *folder])
    cli.main(["save", "06", *folder])
    assert (len(calls), saved) == (3, [1])
