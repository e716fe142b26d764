"""The command: what it prints, and its exit code."""

import nbformat
import pytest

from cnncourse import batch, cli


@pytest.fixture
def executed(monkeypatch, tmp_path):
    """Two lessons in a folder, and a list of what the command would execute."""
    calls = []
    folder = tmp_path / "lessons"
    folder.mkdir()
    for name in ("00_start_here", "06_mnist_from_scratch"):
        cell = nbformat.v4.new_code_cell("seed = 0\nbudget = 'quick'")
        cell.metadata["tags"] = ["parameters"]
        nbformat.write(nbformat.v4.new_notebook(cells=[cell]), folder / f"{name}.ipynb")

    def execute(path, out, **options):
        calls.append((path.stem, options))
        state = "failed" if options["parameters"].get("seed") == 13 else "passed"
        return batch.Outcome(path.stem, state, 1.0, record={"headline": "well"})

    monkeypatch.setattr(batch, "execute", execute)
    monkeypatch.delenv("CNNCOURSE_BUDGET", raising=False)
    monkeypatch.chdir(tmp_path)
    return calls, ["--folder", str(folder)]


def test_run_without_names_runs_every_lesson_and_prints_table_and_page(executed, capsys):
    calls, folder = executed
    assert cli.main(["run", *folder]) == 0
    assert [name for name, _ in calls] == ["00_start_here", "06_mnist_from_scratch"]
    printed = capsys.readouterr().out
    assert "06_mnist_from_scratch  passed" in printed
    assert "Open build/index.html" in printed.replace("\\", "/")


def test_parameters_budget_and_time_limit_reach_the_lesson(executed):
    calls, folder = executed
    assert cli.main(["run", "06", "-p", "seed", "3", "--budget", "smoke", *folder]) == 0
    ((name, options),) = calls
    assert name == "06_mnist_from_scratch"
    assert options["parameters"] == {"seed": 3, "budget": "smoke"}
    assert options["timeout_s"] == batch.TIMEOUTS_S["smoke"]


def test_the_environment_sets_the_default_budget(executed, monkeypatch):
    calls, folder = executed
    monkeypatch.setenv("CNNCOURSE_BUDGET", "smoke")
    cli.main(["run", "00", *folder])
    assert calls[0][1]["parameters"] == {"budget": "smoke"}


def test_one_failure_makes_the_exit_code_1(executed):
    assert cli.main(["run", "-p", "seed", "13", *executed[1]]) == 1


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["-p", "sed", "1"], "Did you mean 'seed'?"),
        (["--budget", "ful"], "Did you mean 'full'?"),
        (["07"], "'07': unknown lesson."),
    ],
)
def test_a_wrong_call_exits_with_2_and_starts_nothing(executed, capsys, arguments, sentence):
    calls, folder = executed
    assert cli.main(["run", *arguments, *folder]) == 2
    assert sentence in capsys.readouterr().err
    assert calls == []
