"""Are the lessons' checks strong? Spoil copies of lessons, and see that `make test` would fail.

    python tests/mutate_notebooks.py                    the lessons on arrays, 12 mutants each
    python tests/mutate_notebooks.py --lessons 06 --each 3 --seed 4

Each copy has one fault, of one of KINDS in turn. It goes where `make test` would take it, until
something fails: through the checks of tests/test_notebooks.py, the runner (seed 1, smoke, solutions
filled in) and nbval, with the options of pyproject.toml. The lesson itself has to pass all three
first. What survives is printed. The exit code is 1 if fewer than 90 % are caught.
"""

import argparse
import ast
import base64
import copy
import importlib.util
import io
import random
import re
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import nbformat
from PIL import Image

from cnncourse import batch, jobs

ROOT = Path(__file__).parent.parent
ENOUGH = 0.9
SPEC = importlib.util.spec_from_file_location("test_notebooks", ROOT / "tests/test_notebooks.py")
assert SPEC is not None
assert SPEC.loader is not None
shape = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(shape)

Notebook = nbformat.NotebookNode
Spoil = Callable[[Notebook, random.Random], str | None]


def changed_number(notebook: Notebook, rng: random.Random) -> str | None:
    """Another first digit in one number of all that are stored as text."""
    places = [
        (output, number.start())
        for output in shape.outputs(notebook)
        for number in re.finditer(r"\d+", stored(output))
    ]
    output, start = rng.choice(places)
    text = stored(output)
    changed = f"{text[:start]}{(int(text[start]) + 1) % 10}{text[start + 1 :]}"
    if "text" in output:
        output.text = changed
    else:
        output.data["text/plain"] = changed
    return f"{text[max(0, start - 30) : start + 10]!r}: another digit"


def stored(output: Notebook) -> str:
    """Text of an output."""
    return output.get("text", "") or output.get("data", {}).get("text/plain", "")


def subject_gone(notebook: Notebook, rng: random.Random) -> str | None:
    """A closing check loses what it speaks of: the name is deleted, or the claim is just True."""
    closing = shape.code_cells(notebook)[-1]
    lines = closing.source.splitlines()
    values = shape.checks(notebook)
    if rng.random() < 0.5:
        value = rng.choice(values)
        start, end = value.lineno - 1, value.end_lineno
        before, after = lines[start][: value.col_offset], lines[end - 1][value.end_col_offset :]
        lines[start:end] = [f"{before}True{after}"]
        closing.source = "\n".join(lines)
        return f"{ast.unparse(value)[:60]} is just True"
    made = {
        node.id
        for cell in shape.code_cells(notebook)[:-1]
        for node in ast.walk(ast.parse(re.sub(r"(?m)^( *)%.*", r"\1pass", cell.source)))
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)
    }
    names = {node.id for value in values for node in ast.walk(value) if isinstance(node, ast.Name)}
    name = rng.choice(sorted(names & made))
    closing.source = f"del {name}\n{closing.source}"
    return f"{name} is gone"


def blank_picture(notebook: Notebook, rng: random.Random) -> str | None:
    """One stored picture is white."""
    shown = [output for output in shape.outputs(notebook) if "image/png" in output.get("data", {})]
    number = rng.randrange(len(shown))
    buffer = io.BytesIO()
    Image.new("L", (400, 300), 255).save(buffer, "png")
    shown[number].data["image/png"] = base64.b64encode(buffer.getvalue()).decode()
    return f"picture {number + 1} of {len(shown)} is white"


EXITS = ("import sys; sys.exit(0)", "raise SystemExit", "import os; os._exit(0)")


def early_exit(notebook: Notebook, rng: random.Random) -> str | None:
    """The kernel is asked to end, with success, at the end of a cell."""
    cells = [cell for cell in shape.code_cells(notebook) if cell.source.strip()]
    number = rng.randrange(1, len(cells))
    line = rng.choice(EXITS)
    cells[number].source += f"\n{line}"
    return f"{line} at the end of code cell {number + 1} of {len(cells)}"


def removed_raise(notebook: Notebook, rng: random.Random) -> str | None:
    """What a cell shows to be refused is not tried, or not expected to be refused; None without."""
    cells = [cell for cell in shape.code_cells(notebook) if "expect_error(" in cell.source]
    if not cells:
        return None
    cell = rng.choice(cells)
    lines = cell.source.splitlines()
    tree = ast.parse(cell.source)
    blocks = [node for node in ast.walk(tree) if isinstance(node, ast.With)]
    block = rng.choice([node for node in blocks if "expect_error" in ast.unparse(node.items[0])])
    first, last = block.body[0].lineno - 1, block.body[-1].end_lineno
    indent = re.match(r" *", lines[first])
    assert indent is not None
    if rng.random() < 0.5:
        lines[first:last] = [f"{indent[0]}pass"]
    else:
        inner = [line.replace(indent[0], "", 1) for line in lines[first:last]]
        lines[block.lineno - 1 : last] = inner
    cell.source = "\n".join(lines)
    return f"{lines[block.lineno - 1].strip()[:60]} ..."


KINDS: dict[str, Spoil] = {
    "changed number": changed_number,
    "subject gone": subject_gone,
    "blank picture": blank_picture,
    "early exit": early_exit,
    "removed raise": removed_raise,
}


def seen_in_shape(name: str, notebook: Notebook, path: Path) -> bool:
    """Whether the checks of tests/test_notebooks.py on what is stored find a fault."""
    faults = shape.saved_badly(notebook) + shape.misshapen(notebook)
    faults += shape.unproven(name, notebook)
    if name[3:] in shape.WITH_LEDGER:
        faults += shape.drifted(name[3:], notebook)
    return bool(faults)


def seen_by_runner(name: str, notebook: Notebook, path: Path) -> bool:
    """Whether the runner, with another seed and the solutions, does not pass it."""
    parameters = {"seed": 1, "budget": "smoke"}
    job = jobs.Job(name, path, parameters, timeout_s=120, solutions=True)
    try:
        return batch.execute(job, path.parent / "out").state != "passed"
    except ValueError:  # a stub that is not there
        return True


def seen_by_nbval(name: str, notebook: Notebook, path: Path) -> bool:
    """Whether nbval finds a difference."""
    command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", "-W", "ignore"]
    command += ["-c", str(ROOT / "pyproject.toml"), "--rootdir", str(ROOT), str(path)]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=900)
    if run.returncode not in (0, 1):
        raise RuntimeError(run.stdout + run.stderr)
    return run.returncode == 1


SEEN = (seen_in_shape, seen_by_runner, seen_by_nbval)


def seen(name: str, notebook: Notebook, kind: str = "") -> str:
    """What finds a fault in a copy of a lesson: its name; empty where nothing does."""
    looks = SEEN[::-1] if kind == "changed number" else SEEN  # the likeliest first
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"{name}.ipynb"
        nbformat.write(notebook, path)
        for look in looks:
            if look(name, notebook, path):
                return look.__name__
    return ""


def mutants(path: Path, count: int, rng: random.Random) -> list[tuple[str, str, Notebook]]:
    """Spoilt copies of a lesson: kind, what was done, and the copy; no two alike."""
    notebook = nbformat.read(path, 4)
    found: dict[str, tuple[str, str, Notebook]] = {}
    kinds = list(KINDS)
    while len(found) < count:
        kind = kinds[0]
        kinds.append(kinds.pop(0))
        spoilt = copy.deepcopy(notebook)
        if (what := KINDS[kind](spoilt, rng)) and spoilt != notebook:
            found.setdefault(what, (kind, what, spoilt))
    return list(found.values())


def main() -> int:
    """Draw the mutants, look at each, print what survives and the score."""
    parser = argparse.ArgumentParser(description="Spoil lessons: would make test fail?")
    default = ["00", "01", "02", "03", "04", "05"]
    parser.add_argument("--lessons", nargs="+", default=default)
    parser.add_argument("--each", type=int, default=12, help="mutants of a lesson; default: 12")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    drawn, caught = Counter[str](), Counter[str]()
    for name, path in jobs.choose(options.lessons, ROOT / "notebooks").items():
        notebook = nbformat.read(path, 4)
        if fault := seen(name, notebook):
            raise SystemExit(f"{name}: does not pass as it is: {fault}.")
        rng = random.Random(f"{options.seed} {name}")
        for kind, what, spoilt in mutants(path, options.each, rng):
            by = seen(name, spoilt, kind)
            drawn[kind] += 1
            caught[kind] += bool(by)
            print(f"{name}: {kind}: {what}: {by or 'SURVIVED'}", flush=True)
    for kind, count in drawn.items():
        print(f"{kind}: {caught[kind]} of {count} caught")
    score = caught.total() / drawn.total()
    print(f"{score:.1%} of {drawn.total()} caught")
    return 0 if score >= ENOUGH else 1


if __name__ == "__main__":
    sys.exit(main())
