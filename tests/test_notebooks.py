"""Every lesson runs, and keeps the shape that the course promises; broken ones are found out.

The stored outputs are compared with fresh ones by nbval, which pytest runs on notebooks/ itself.
"""

import ast
import base64
import copy
import io
import itertools
import re
import subprocess
import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path

import nbformat
import numpy as np
import pytest
from nbval.plugin import get_sanitize_patterns
from PIL import Image

from cnncourse import batch, jobs, parameters, verdict

ROOT = Path(__file__).parent.parent
LESSONS = jobs.lessons(ROOT / "notebooks")
TAGS = {"parameters", "exercise", "check", "nbval-check-output", "nbval-ignore-output"}
LONGEST_CELL = 15  # lines; the imports and the exercises may be longer
each_lesson = pytest.mark.parametrize("path", LESSONS.values(), ids=LESSONS)


def code_cells(notebook) -> list:
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def outputs(notebook) -> list:
    return [output for cell in code_cells(notebook) for output in cell.outputs]


def tagged(notebook, tag: str) -> list:
    return [cell for cell in notebook.cells if tag in cell.metadata.get("tags", [])]


def pictures(notebook) -> list[np.ndarray]:
    stored = [
        output.data["image/png"]
        for output in outputs(notebook)
        if "image/png" in output.get("data", {})
    ]
    return [
        np.asarray(Image.open(io.BytesIO(base64.b64decode(png))).convert("L")) for png in stored
    ]


def saved_badly(notebook) -> list[str]:
    """Faults of what is stored: widget state, paths, cells not run, errors, size, pictures."""
    text = nbformat.writes(notebook)
    counts = [cell.execution_count for cell in code_cells(notebook) if cell.source.strip()]
    faults = {
        "over 1 MB": len(text.encode()) > 1_000_000,
        "widget state": "widgets" in notebook.metadata or "widget-view+json" in text,
        "a path of a machine": bool(
            re.search(r"[\"' (](/home/|/root/|/tmp/|/Users/|C:\\\\)", text)
        ),
        "not run once from the top": counts != list(range(1, len(counts) + 1)),
        "an error is stored": any(output.output_type == "error" for output in outputs(notebook)),
        "a warning is stored": any(output.get("name") == "stderr" for output in outputs(notebook)),
        "no picture": not pictures(notebook),
        "a blank picture": any(picture.std() < 1 for picture in pictures(notebook)),
    }
    return [fault for fault, found in faults.items() if found]


def misshapen(notebook) -> list[str]:
    """Faults of the form: headings, parameters, tags, long cells, the closing check."""
    lines = [
        line
        for cell in notebook.cells
        if cell.cell_type == "markdown"
        for line in cell.source.splitlines()
    ]
    levels = [len(line) - len(line.lstrip("#")) for line in lines if re.match(r"#+ ", line)]
    tags = {tag for cell in notebook.cells for tag in cell.metadata.get("tags", [])}
    declared = parameters.declared(notebook)
    long = [
        cell
        for cell in code_cells(notebook)
        if len(cell.source.splitlines()) > LONGEST_CELL
        and not {"exercise", "check"} & set(cell.metadata.get("tags", []))
        and "from cnncourse" not in cell.source
    ]
    faults = {
        "not one # heading, and first": levels.count(1) != 1 or levels[0] != 1,
        "a heading level is skipped": any(b > a + 1 for a, b in itertools.pairwise(levels)),
        "unknown tags": bool(tags - TAGS),
        "not one cell of parameters": len(tagged(notebook, "parameters")) != 1,
        "parameters missing": not {"seed": 0, "device": "auto", "budget": "quick"}.items()
        <= declared.items(),
        "a long cell": bool(long),
        "no closing check at the end": tagged(notebook, "check") != code_cells(notebook)[-1:],
        "no promise of three verbs": not any("be able to" in line for line in lines),
        "no recap": "What you can do now" not in "\n".join(lines),
        "nothing to read further": "Read further" not in "\n".join(lines),
    }
    return [fault for fault, found in faults.items() if found]


def checks(notebook) -> list[ast.expr]:
    """What the closing cell checks, as expressions."""
    closing = ast.parse(code_cells(notebook)[-1].source)
    calls = [node for node in ast.walk(closing) if isinstance(node, ast.Call)]
    words = [word for call in calls for word in call.keywords if word.arg == "checks"]
    return [value for word in words for value in getattr(word.value, "values", [])]


def names_something(value: ast.expr) -> bool:
    """Whether an expression depends on anything: `True` and `2 < 3` do not."""
    return any(isinstance(node, ast.Name) for node in ast.walk(value))


def unproven(name: str, notebook) -> list[str]:
    """Faults of the stored result, and of the exercises against their records."""
    record = verdict.closing_record(notebook)
    exercises = import_module(f"cnncourse.exercises.{name[3:]}").EXERCISES
    text = "\n\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")
    cells = [cell.source for cell in tagged(notebook, "exercise")]
    faults = {
        "no record": record.get("lesson") != name,
        "fewer than three checks": len(record.get("checks", {})) < 3,
        "a check is false": not all(record.get("checks", {}).values()),
        "a check of nothing": not all(names_something(value) for value in checks(notebook)),
        "no costs": not {"seconds", "peak_memory_mb"}
        <= notebook.metadata.get("cnncourse", {}).keys(),
        "exercises and records differ": len(cells) != len(exercises)
        or any(exercise.stub not in cell for exercise, cell in zip(exercises, cells, strict=False)),
        "a task is not told": any(exercise.task not in text for exercise in exercises),
    }
    return [fault for fault, found in faults.items() if found]


FIGURE = re.compile(r"(?<![\w.,§:/-])(?:\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d+\.\d+)(?![\w/]|\.\d)")
WITH_LEDGER = {
    path.stem[3:]: path
    for path in LESSONS.values()
    if (ROOT / "cnncourse/ledger" / f"{path.stem[3:]}.py").exists()
}
each_ledger = pytest.mark.parametrize("name", WITH_LEDGER)


def figures(text: str) -> set[str]:
    """Numbers with a comma or a point, such as 61,100,840 and 0.714; not arXiv's, not sections."""
    text = re.sub(r"arXiv[: ]\d+\.\d+|[Ss]ections? \d+(\.\d+)*|https?://\S+", " ", text)
    return set(FIGURE.findall(text))


def agrees(figure: str, known: set[str]) -> bool:
    """Whether one of the known figures is this one, or rounds to it."""
    decimals = len(figure.partition(".")[2])
    value = float(figure.replace(",", ""))
    return any(round(float(other.replace(",", "")), decimals) == value for other in known)


def settled(name: str, notebook) -> set[str]:
    """Figures of a lesson's ledger, of outputs that are compared, of code and of tasks."""
    ledger = import_module(f"cnncourse.ledger.{name}").ledger()
    exercises = import_module(f"cnncourse.exercises.{name}").EXERCISES
    texts = [repr(ledger), *(cell.source for cell in code_cells(notebook))]
    texts += [exercise.task for exercise in exercises]
    for output in outputs(notebook):
        said = output.get("text", "") + output.get("data", {}).get("text/plain", "")
        texts.append(re.sub(r"≈ \S+", "", said))  # what was measured differs from run to run
    return figures("\n".join(texts))


def drifted(name: str, notebook) -> list[str]:
    """Figures of the prose that neither the ledger nor a compared output has."""
    known = settled(name, notebook)
    prose = "\n\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")
    return sorted(figure for figure in figures(prose) if not agrees(figure, known))


@each_ledger
def test_every_figure_of_the_prose_is_the_ledgers_or_was_computed(name):
    assert drifted(name, nbformat.read(WITH_LEDGER[name], 4)) == []


@each_ledger
def test_a_figure_that_drifted_is_found(name):
    notebook = nbformat.read(WITH_LEDGER[name], 4)
    cell = next(
        cell for cell in notebook.cells if cell.cell_type == "markdown" and figures(cell.source)
    )
    figure = min(figures(cell.source))
    digit = str((int(figure[0]) + 1) % 9 + 1)
    cell.source = cell.source.replace(figure, digit + figure[1:])
    assert drifted(name, notebook) == [digit + figure[1:]]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("61,100,840 and 0.714 G", {"61,100,840", "0.714"}),
        ("arXiv:1512.03385, section 4.1, §4.2, in 2014", set()),
        ("lr=0.01, about 5, 28.54 %.", {"0.01", "28.54"}),
        ("ResNet-18 (1.8e9), torch 2.14.1", set()),
    ],
)
def test_a_figure_has_a_comma_or_a_point(text, found):
    assert figures(text) == found


def test_a_figure_agrees_where_another_rounds_to_it():
    assert agrees("58.1", {"58.126"})
    assert agrees("138,357,544", {"138,357,544"})
    assert not agrees("58.2", {"58.126"})
    assert not agrees("58.13", {"58.1"})


@each_lesson
def test_a_lesson_is_saved_clean_with_its_pictures(path):
    assert saved_badly(nbformat.read(path, 4)) == []


@each_lesson
def test_a_lesson_has_the_shape_of_a_lesson(path):
    assert misshapen(nbformat.read(path, 4)) == []


@each_lesson
def test_a_lesson_proves_what_it_says(path):
    assert unproven(path.stem, nbformat.read(path, 4)) == []


# Runs the cells of a notebook until one imports torch, which cannot be imported here.
WITHOUT_TORCH = """
import sys
class NoTorch:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("torch", "rfc3987_syntax"):  # the second takes a second
            raise ImportError(name + " is not there")
sys.meta_path.insert(0, NoTorch())
import nbformat
from IPython.core.interactiveshell import InteractiveShell
shell, count = InteractiveShell.instance(), 0
for cell in nbformat.read(sys.argv[1], 4).cells:
    if cell.cell_type == "code" and "import torch" in cell.source:
        break
    if cell.cell_type == "code":
        count += 1
        shell.run_cell(cell.source.replace('budget = "quick"', 'budget = "smoke"')).raise_error()
print("cells without torch:", count)
"""
ON_ARRAYS = [path for name, path in LESSONS.items() if "01" <= name[:2] <= "05"]


@pytest.mark.parametrize("path", ON_ARRAYS, ids=lambda path: path.stem)
def test_a_lesson_on_arrays_needs_no_torch_before_it_compares(path):
    command = [sys.executable, "-W", "ignore", "-c", WITHOUT_TORCH, str(path)]
    run = subprocess.run(command, capture_output=True, text=True, timeout=240, cwd=path.parent)
    assert run.returncode == 0, run.stdout[-2000:] + run.stderr[-2000:]
    assert int(run.stdout.rsplit("cells without torch: ", 1)[1]) >= 20


@each_lesson
def test_a_lesson_kept_its_budget_when_it_was_saved(path):
    costs = nbformat.read(path, 4).metadata["cnncourse"]
    assert costs["seconds"] <= 120
    assert costs["peak_memory_mb"] <= 1300


@each_lesson
def test_a_lesson_runs_with_another_seed_and_its_solutions(path, tmp_path):
    parameters = {"seed": 1, "budget": "smoke"}
    job = jobs.Job(path.stem, path, parameters, timeout_s=120, solutions=True)
    outcome = batch.execute(job, tmp_path)
    assert (outcome.state, outcome.message) == ("passed", "")


# --- broken copies: each fault is seen, and under its own name ------------------------------------


def first(notebook, tag: str):
    return tagged(notebook, tag)[0]


def picture_cell(notebook):
    return next(
        cell
        for cell in code_cells(notebook)
        if any("image/png" in output.get("data", {}) for output in cell.outputs)
    )


def blank(notebook) -> None:
    buffer = io.BytesIO()
    Image.new("L", (40, 30), 255).save(buffer, "png")
    png = base64.b64encode(buffer.getvalue()).decode()
    for output in picture_cell(notebook).outputs:
        if "image/png" in output.get("data", {}):
            output.data["image/png"] = png


def forget_picture(notebook) -> None:
    for output in outputs(notebook):
        output.get("data", {}).pop("image/png", None)


def set_state(notebook) -> None:
    notebook.metadata["widgets"] = {"state": {}}


def set_path(notebook) -> None:
    code_cells(notebook)[3].source += "\nopen('/home/me/x')"


def set_unrun(notebook) -> None:
    code_cells(notebook)[2].execution_count = None


def set_error(notebook) -> None:
    error = nbformat.v4.new_output("error", ename="E", evalue="", traceback=[])
    code_cells(notebook)[2].outputs.append(error)


def set_warning(notebook) -> None:
    warning = nbformat.v4.new_output("stream", name="stderr", text="FutureWarning")
    code_cells(notebook)[2].outputs.append(warning)


def set_large(notebook) -> None:
    notebook.cells[0].source += "x" * 1_000_001


def second_title(notebook) -> None:
    notebook.cells[-2].source += "\n\n# Again"


def skip_level(notebook) -> None:
    notebook.cells[1:1] = [nbformat.v4.new_markdown_cell("### Deep")]


def set_tag(notebook) -> None:
    code_cells(notebook)[2].metadata["tags"] = ["raises-exception"]


def drop_parameters(notebook) -> None:
    first(notebook, "parameters").metadata["tags"] = []


def rename_parameter(notebook) -> None:
    first(notebook, "parameters").source = "sed = 0\ndevice = 'auto'\nbudget = 'quick'"


def lengthen(notebook) -> None:
    picture_cell(notebook).source = "x = 1\n" * 16


def move_check(notebook) -> None:
    notebook.cells.append(nbformat.v4.new_code_cell("1", execution_count=99))


def drop_record(notebook) -> None:
    for output in first(notebook, "check").outputs:
        output.metadata = {}


def falsify(notebook) -> None:
    checks = first(notebook, "check").outputs[0].metadata["cnncourse"]["checks"]
    checks[next(iter(checks))] = False


def hollow_out(notebook) -> None:
    cell, check = first(notebook, "check"), checks(notebook)[-1]
    cell.source = cell.source.replace(ast.get_source_segment(cell.source, check), "1 < 2")


def drop_exercise(notebook) -> None:
    notebook.cells.remove(first(notebook, "exercise"))


def change_stub(notebook) -> None:
    first(notebook, "exercise").source = "def other(): ..."


BROKEN: list[tuple[Callable, str]] = [
    (blank, "a blank picture"),
    (forget_picture, "no picture"),
    (set_state, "widget state"),
    (set_path, "a path of a machine"),
    (set_unrun, "not run once from the top"),
    (set_error, "an error is stored"),
    (set_warning, "a warning is stored"),
    (set_large, "over 1 MB"),
    (second_title, "not one # heading, and first"),
    (skip_level, "a heading level is skipped"),
    (set_tag, "unknown tags"),
    (drop_parameters, "not one cell of parameters"),
    (rename_parameter, "parameters missing"),
    (lengthen, "a long cell"),
    (move_check, "no closing check at the end"),
    (drop_record, "no record"),
    (falsify, "a check is false"),
    (hollow_out, "a check of nothing"),
    (drop_exercise, "exercises and records differ"),
    (change_stub, "exercises and records differ"),
]


@each_lesson
@pytest.mark.parametrize(("spoil", "fault"), BROKEN, ids=[row[0].__name__ for row in BROKEN])
def test_a_spoilt_copy_is_found_out(path, spoil, fault):
    notebook = copy.deepcopy(nbformat.read(path, 4))
    spoil(notebook)
    found = saved_badly(notebook) + misshapen(notebook) + unproven(path.stem, notebook)
    assert fault in found


def compared(text: str) -> str:
    """A text as nbval compares it: without what tests/sanitize.cfg calls measured."""
    for pattern, instead in get_sanitize_patterns((ROOT / "tests/sanitize.cfg").read_text("utf-8")):
        text = re.sub(pattern, instead, text)
    return text


def changed_numbers(notebook) -> list[tuple[bool, str]]:
    """For each number in a text output: whether nbval sees another digit in it, and where it is."""
    found = []
    for cell in code_cells(notebook):
        ignored = "nbval-ignore-output" in cell.metadata.get("tags", [])
        for output in cell.outputs:
            text = output.get("text", "") or output.get("data", {}).get("text/plain", "")
            for number in re.finditer(r"\d+", text):
                start, digit = number.start(), (int(number[0][0]) + 1) % 10
                other = f"{text[:start]}{digit}{text[start + 1 :]}"
                seen = compared(other) != compared(text) and not ignored
                found.append((seen, text[max(0, start - 30) : number.end()]))
    return found


@each_lesson
def test_another_digit_in_a_stored_number_is_seen_unless_it_was_measured(path):
    numbers = changed_numbers(nbformat.read(path, 4))
    unseen = [where for seen, where in numbers if not seen]
    exact = [
        where for where in unseen if "≈" not in where and not re.search("device|lesson_name", where)
    ]
    assert len(numbers) >= 20
    assert len(exact) <= len(numbers) / 10, exact  # what a machine is, in lesson 00


QUICK_LESSON = LESSONS["00_start_here"]


def spoilt_lesson(folder: Path, *, at: str, new: str) -> Path:
    """A copy of the first lesson whose first code cell with that text is another."""
    notebook = nbformat.read(QUICK_LESSON, 4)
    cell = next(cell for cell in code_cells(notebook) if at in cell.source)
    cell.source = cell.source.replace(at, new)
    folder.mkdir(exist_ok=True)
    path = folder / QUICK_LESSON.name
    nbformat.write(notebook, path)
    return path


# What is spoilt in a real lesson, and how the runner must call it.
ENDINGS = {
    "early exit": ('print(f"device', 'import sys; sys.exit(0)\nprint(f"device', "stopped early"),
    "error cell": ('print(f"device', '1 / 0\nprint(f"device', "failed"),
    "dead kernel": ('print(f"device', 'import os; os._exit(1)\nprint(f"device', "died"),
    "endless loop": ('print(f"device', 'while True: pass\nprint(f"device', "timed out"),
    "false check": ("checks={", "checks={'two is three': 2 == 3, ", "check failed"),
}


@pytest.mark.parametrize(("at", "new", "state"), ENDINGS.values(), ids=ENDINGS)
def test_the_runner_calls_a_broken_lesson_what_it_is(tmp_path, at, new, state):
    path = spoilt_lesson(tmp_path / "in", at=at, new=new)
    limit = 15 if state == "timed out" else 120
    job = jobs.Job(path.stem, path, {"budget": "smoke"}, timeout_s=limit)
    assert batch.execute(job, tmp_path / "out").state == state


def test_nbval_finds_a_wrong_number_and_an_error_and_nothing_else(tmp_path):
    path = spoilt_lesson(tmp_path, at='print(f"device', new='1 / 0\nprint(f"device')
    notebook = nbformat.read(path, 4)
    changed = next(
        cell
        for cell in code_cells(notebook)
        if any(
            re.search(r"\d", output.get("text", ""))
            and "≈" not in output.text
            and "device" not in output.text
            for output in cell.outputs
        )
    )
    output = next(output for output in changed.outputs if output.output_type == "stream")
    output.text = re.sub(r"\d", lambda digit: str((int(digit[0]) + 1) % 10), output.text, count=1)
    nbformat.write(notebook, path)
    report = tmp_path / "report.json"
    run = subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            "-q",
            "-o",
            "addopts=",
            "-p",
            "no:cacheprovider",
            "--nbval",
            "--nbval-current-env",
            "--nbval-cell-timeout=120",
            f"--nbval-sanitize-with={ROOT / 'tests/sanitize.cfg'}",
            f"--junit-xml={report}",
            "-W",
            "ignore",
            str(path),
        ],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=300,
        stdin=subprocess.DEVNULL,
    )
    assert run.returncode == 1
    wrong = {int(number) for number in re.findall(r"FAILED \S+::Cell (\d+)", run.stdout)}
    cells = code_cells(notebook)
    expected = {
        number
        for number, cell in enumerate(cells)
        if cell is changed or cell.source.startswith("1 / 0") or "1 / 0\n" in cell.source
    }
    assert wrong == expected
