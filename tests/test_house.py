"""The house: imports point one way, the package is light, everything has its test."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "cnncourse"

# A module imports only what stands above it. Folders stand for all they hold.
ORDER = [
    "messages",
    "arithmetic",
    "images",
    "preprocess",
    "handwriting",
    "filters",
    "ops",
    "models",
    "trace",
    "files",
    "sources",
    "data",
    "materials",
    "folders",
    "oxford",
    "weights",
    "devices",
    "augment",
    "bank",
    "probe",
    "measure",
    "preconditions",
    "recipe",
    "packing",
    "checkpoints",
    "precision",
    "steps",
    "loading",
    "processes",
    "interrupts",
    "training",
    "transfer",
    "train",
    "range_test",
    "card",
    "distill",
    "insight",
    "plots",
    "sketch",
    "diagram",
    "ledger",
    "lesson",
    "outcomes",
    "exercises",
    "explorers",
    "parameters",
    "jobs",
    "sweeps",
    "journal",
    "verdict",
    "family",
    "child",
    "group",
    "batch",
    "progress",
    "pool",
    "local",
    "cluster",
    "report",
    "page",
    "arguments",
    "cli",
]
# Each of these libraries is known to one place, so that it can be exchanged there.
ONLY_IN = {
    "matplotlib": "plots",
    "ipywidgets": "explorers",
    "anywidget": "explorers",
    "papermill": "child",
    "distributed": "cluster",
    "pyarrow": "report",
    "pooch": "files",
    "requests": "files",
}


def modules() -> list[Path]:
    return sorted(PACKAGE.rglob("*.py"))


def place(path: Path) -> str:
    """First name below the package: the module or the folder it is in."""
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imported(source: str) -> list[str]:
    """Dotted names that a source imports, `from cnncourse import data` as cnncourse.data."""
    names = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            package = node.module or ""
            names += [f"{package}.{alias.name}" for alias in node.names]
    return names


def wrong_imports(where: str, source: str) -> list[str]:
    """Imports of a module at that place which point upwards, or to a library of another place."""
    wrong = []
    for name in imported(source):
        top, _, rest = name.partition(".")
        target = rest.split(".")[0]
        if top == "cnncourse" and target != where and ORDER.index(target) > ORDER.index(where):
            wrong.append(name)
        if ONLY_IN.get(top, where) != where:
            wrong.append(name)
    return wrong


def test_the_order_names_every_module_once():
    places = {place(path) for path in modules()} - {"__init__"}
    assert sorted(ORDER) == sorted(places)


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_point_one_way(path):
    where = place(path)
    source = path.read_text("utf-8")
    assert (imported(source) if where == "__init__" else wrong_imports(where, source)) == []


def test_an_import_that_points_the_wrong_way_is_seen():
    assert wrong_imports("data", "from cnncourse import training, files") == ["cnncourse.training"]
    assert wrong_imports("data", "def f():\n    import matplotlib") == ["matplotlib"]
    assert wrong_imports("plots", "from matplotlib.axes import Axes") == []


def after_import(module: str) -> tuple[float, set[str]]:
    """Milliseconds that an import takes in a fresh Python (best of three), and what it loaded."""
    code = (
        "import sys, time; started = time.perf_counter()\n"
        f"import {module}\n"
        "print((time.perf_counter() - started) * 1000, *sys.modules)"
    )
    runs = [
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        for _ in range(3)
    ]
    words = [run.stdout.split() for run in runs]
    return min(float(word[0]) for word in words), set(words[0][1:])


def test_importing_the_package_is_quick_and_loads_no_torch():
    milliseconds, loaded = after_import("cnncourse")
    assert milliseconds < 50
    assert not {"torch", "numpy", "matplotlib"} & loaded


def test_the_command_starts_without_torch():
    _, loaded = after_import("cnncourse.cli")
    assert "nbformat" in loaded
    assert not {"torch", "rfc3987_syntax.syntax_helpers"} & loaded


BEFORE_TORCH = [
    "cnncourse.ops",
    "cnncourse.filters",
    "cnncourse.lesson",
    *(
        f"cnncourse.exercises.{name}"
        for name in ("convolution", "convolution_arithmetic", "how_it_is_computed", "filters")
    ),
    "cnncourse.exercises.pooling",
    *(
        f"cnncourse.explorers.{name}"
        for name in ("sliding_window", "convolution_arithmetic", "cost", "filter_lab", "shift")
    ),
    "cnncourse.explorers.receptive_field",
]


def test_what_the_lessons_on_arrays_use_loads_no_torch():
    code = f"import sys\nimport {', '.join(BEFORE_TORCH)}\nprint('torch' in sys.modules)"
    command = [sys.executable, "-c", code]
    assert subprocess.run(command, capture_output=True, text=True).stdout == "False\n"


def its_test(path: Path) -> Path:
    """Where the test of a module is: the same name; a package's own file has the folder's name."""
    inside = path.relative_to(PACKAGE)
    name = inside.parent.name if inside.name == "__init__.py" else inside.stem
    return ROOT / "tests" / inside.parent / f"test_{name}.py"


def code_lines(path: Path) -> int:
    return len(ast.parse(path.read_text("utf-8")).body) - 1  # without the docstring


def test_every_module_has_its_test():
    missing = [path.name for path in modules() if code_lines(path) and not its_test(path).exists()]
    assert missing == []


def test_every_test_file_has_its_module():
    known = {its_test(path) for path in modules()}
    whole = {"test_house.py", "test_notebooks.py", "test_environments.py", "test_browser.py"}
    whole |= {"test_suite.py"}  # of the Makefile
    whole |= {"test_faults.py"}  # of jobs: what is injected meets all their modules at once
    whole |= {"test_bench_training.py"}  # a regression that the bench does not name would hide
    found = {path for path in (ROOT / "tests").rglob("test_*.py") if path.name not in whole}
    assert found <= known


def test_every_model_has_its_lesson():
    lessons = "".join(path.read_text("utf-8") for path in (ROOT / "notebooks").glob("*.ipynb"))
    models = [path.stem for path in (PACKAGE / "models").glob("[a-z]*.py") if path.stem != "checks"]
    assert [model for model in models if f"cnncourse.models.{model}" not in lessons] == []


def test_no_lesson_number_is_in_the_code():
    numbered = [path.name for path in modules() if re.search(r"\d\d_[a-z]+_[a-z]", path.stem)]
    assert numbered == []
