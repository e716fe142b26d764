"""Are the tests strong? Change one thing in a module, run its tests, and see that they fail.

    python tests/mutate.py                                 every module of the lessons on arrays
    python tests/mutate.py cnncourse/filters.py --sample 40

A change that no test notices survives, and is printed. Nothing is written to disk: each change
lives in a forked process of its own, where an import hook hands out the changed module. Needs
os.fork (Linux, macOS). The exit code is 1 if fewer than 95 % of the changes are caught.
"""

import argparse
import ast
import importlib.util
import os
import random
import resource
import signal
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from importlib import abc
from itertools import chain
from pathlib import Path
from types import CodeType, ModuleType
from typing import NamedTuple

for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "PYTEST_DISABLE_PLUGIN_AUTOLOAD"):
    os.environ[variable] = "1"  # before NumPy: pools of threads do not live through a fork
sys.path.remove(str(Path(__file__).parent))  # its folders have names that others may import

import hypothesis  # noqa: E402
import pytest  # noqa: E402

ROOT = Path(__file__).parent.parent
DEFAULT = ["cnncourse/arithmetic.py", "cnncourse/filters.py", "cnncourse/ops/*.py"]
ENOUGH = 0.95
MEMORY_BYTES = 8 * 2**30  # a changed size may ask for everything there is
PYTEST = ["-x", "-q", "--tb=no", "--assert=plain", "-p", "no:cacheprovider"]
PYTEST += ["-o", "addopts=--import-mode=importlib --strict-markers"]

# Changes that no caller can see: (module, part of the line, change) -> why. Keep it short.
EQUIVALENT = {
    ("cnncourse/filters.py", "dtype.kind", "'buif' -> 'buif~'"): "no kind of dtype is called ~",
    ("cnncourse/filters.py", "counts = ", "Gt -> GtE"): "for an entry of just 1e-9: rounding's say",
    ("cnncourse/filters.py", "counts.argmax()", "Lt -> LtE"): "0 only where all is 0, and so is -0",
    ("cnncourse/ops/checks.py", "images.ndim > 4", "Gt -> GtE"): "2, 3 and 4 never come so far",
    ("cnncourse/ops/checks.py", "images.ndim > 4", "4 -> 3"): "likewise",
    ("cnncourse/images.py", "or 1) * 255", "1 -> 2"): "where all are low, 0 is divided by it",
    ("cnncourse/images.py", "if scale >= 1", "GtE -> Gt"): "at 1 the mean of a pixel is the pixel",
}

OPERATORS = """
Lt:LtE,GtE LtE:Lt,Gt Gt:GtE,LtE GtE:Gt,Lt Eq:NotEq NotEq:Eq Is:IsNot IsNot:Is In:NotIn NotIn:In
And:Or Or:And Add:Sub Sub:Add Mult:Div Div:Mult FloorDiv:Div Mod:FloorDiv Pow:Mult MatMult:Mult
BitAnd:BitOr BitOr:BitAnd
"""
OTHERS = {one: others.split(",") for one, others in (w.split(":") for w in OPERATORS.split())}
NAMES = {"min": "max", "any": "all", "floor": "ceil", "minimum": "maximum", "argmin": "argmax"}
NAMES |= {other: name for name, other in NAMES.items()}
IMPORTS = (ast.Import, ast.ImportFrom)
UNTOUCHED = ("annotation", "returns", "decorator_list")


class Slot(NamedTuple):
    """Place of a node in a tree: parent.field, or parent.field[index]."""

    parent: ast.AST
    field: str
    index: int | None
    node: ast.AST

    def put(self, node: ast.AST) -> None:
        if self.index is None:
            setattr(self.parent, self.field, node)
        else:
            getattr(self.parent, self.field)[self.index] = node


class Mutant(NamedTuple):
    """A module with one change."""

    module: str
    line: int
    text: str  # the line as it stands
    change: str
    code: CodeType


def slots(tree: ast.AST) -> Iterator[Slot]:
    """Every node below a tree in its place, without annotations, imports and docstrings."""
    for field, value in ast.iter_fields(tree):
        places = list(enumerate(value)) if isinstance(value, list) else [(None, value)]
        for index, node in places if field not in UNTOUCHED else ():
            words = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
            if isinstance(node, ast.AST) and not words and not isinstance(node, IMPORTS):
                yield Slot(tree, field, index, node)
                yield from slots(node)


def is_condition(slot: Slot) -> bool:
    """Whether `not` before it says something new: a lone comparison has its opposite already."""
    lone = isinstance(slot.node, ast.Compare) and len(slot.node.ops) == 1
    return slot.field in ("test", "ifs") and not lone and not isinstance(slot.node, ast.UnaryOp)


def can_go(node: ast.AST) -> bool:
    """Whether a statement can be left out and leave every name of its function defined."""
    if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
        used = (name.id for name in ast.walk(node.value) if isinstance(name, ast.Name))
        return node.targets[0].id in used
    gone = ast.Assign | ast.AugAssign | ast.Expr | ast.Raise | ast.Continue | ast.Break
    return isinstance(node, gone)


def other_constants(value: object) -> list[object]:
    if isinstance(value, bool):
        return [not value]
    if isinstance(value, str):
        return [f"{value}~"]
    return [value + 1, value - 1] if isinstance(value, int | float) else []


def changed(slot: Slot) -> Iterator[ast.AST]:
    """What may stand in a node's place."""
    node, kind = slot.node, type(slot.node).__name__
    if is_condition(slot):
        yield ast.UnaryOp(ast.Not(), node)
    if isinstance(node, ast.Constant):
        yield from (ast.Constant(value) for value in other_constants(node.value))
    elif kind in OTHERS:
        yield from (getattr(ast, other)() for other in OTHERS[kind])
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub | ast.Not):
        yield node.operand
    elif isinstance(node, ast.Name) and node.id in NAMES:
        yield ast.Name(NAMES[node.id], node.ctx)
    elif isinstance(node, ast.Attribute) and node.attr in NAMES:
        yield ast.Attribute(node.value, NAMES[node.attr], node.ctx)
    elif isinstance(node, ast.Call):
        for dropped in node.keywords:
            yield ast.Call(node.func, node.args, [k for k in node.keywords if k is not dropped])
    elif isinstance(node, ast.Return) and node.value:
        yield ast.Return()
    elif can_go(node):
        yield ast.Pass()


def words(node: ast.AST) -> str:
    """The node as Python writes it; of an operator its name."""
    return ast.unparse(ast.fix_missing_locations(node)) or type(node).__name__


def mutants(module: str) -> Iterator[Mutant]:
    """Every change of a module, one at a time."""
    source = (ROOT / module).read_text("utf-8")
    tree, lines = ast.parse(source), source.splitlines()
    for slot in slots(tree):
        place = slot.node if hasattr(slot.node, "lineno") else slot.parent
        for node in changed(slot):
            change = f"{words(slot.node)} -> {words(node)}"
            slot.put(ast.copy_location(node, place))
            code = compile(ast.fix_missing_locations(tree), str(ROOT / module), "exec")
            slot.put(slot.node)
            yield Mutant(module, place.lineno, lines[place.lineno - 1].strip(), change, code)


def is_equivalent(mutant: Mutant) -> bool:
    return any(
        (mutant.module, mutant.change) == (module, change) and part in mutant.text
        for module, part, change in EQUIVALENT
    )


class Changed(abc.MetaPathFinder, abc.Loader):
    """Import hook that hands out a mutant wherever its module is imported."""

    def __init__(self, mutant: Mutant) -> None:
        self.place, self.code = ROOT / mutant.module, mutant.code
        dotted = mutant.module.removesuffix(".py").replace("/", ".")
        self.name = dotted.removesuffix(".__init__")

    def find_spec(self, fullname: str, path: object, target: object = None) -> object:
        if fullname != self.name:
            return None
        inside = [str(self.place.parent)] if self.place.name == "__init__.py" else None
        return importlib.util.spec_from_file_location(
            fullname, self.place, loader=self, submodule_search_locations=inside
        )

    def exec_module(self, module: ModuleType) -> None:
        exec(self.code, vars(module))


class NoShrinking:
    """Plugin: a failing example is enough, the smallest one is not looked for."""

    def pytest_sessionstart(self) -> None:
        phases = (hypothesis.Phase.explicit, hypothesis.Phase.generate)
        hypothesis.settings.register_profile("any example", phases=phases)
        hypothesis.settings.load_profile("any example")


def its_tests(module: str) -> list[list[str]]:
    """Test files in the order of asking: the module's own, then the others of its package."""
    path = Path(module)
    folder = Path("tests") / path.parent.relative_to("cnncourse")
    own = folder / f"test_{path.parent.name if path.stem == '__init__' else path.stem}.py"
    package = sorted(folder.glob("test_*.py")) if folder.name != "tests" else []
    others = [str(test) for test in package if test != own]
    if not others and not own.exists():
        sys.exit(f"{module}: its test file {own} is missing")
    return [files for files in ([str(own)] if own.exists() else [], others) if files]


def warm_up(module: str) -> None:
    """Import what the tests import, and forget the package: a child then costs little."""
    for test in chain(*its_tests(module)):
        nodes = ast.walk(ast.parse(Path(test).read_text("utf-8")))
        imports = [node for node in nodes if isinstance(node, IMPORTS)]
        exec(compile(ast.Module(imports, []), test, "exec"), {})
    for name in [name for name in sys.modules if name.split(".")[0] == "cnncourse"]:
        del sys.modules[name]


def start(module: str, mutant: Mutant | None = None) -> int:
    """Process number of a child that runs the module's tests; it ends with 0 if they pass."""
    if child := os.fork():
        return child
    status = 1
    try:
        os.setsid()
        nowhere = os.open(os.devnull, os.O_RDWR)
        for stream in range(3):
            os.dup2(nowhere, stream)
        resource.setrlimit(resource.RLIMIT_DATA, (MEMORY_BYTES, MEMORY_BYTES))
        if mutant:
            sys.meta_path.insert(0, Changed(mutant))
        for files in its_tests(module):
            status = int(pytest.main(PYTEST + files, plugins=[NoShrinking()]))
            if status:
                break
    finally:
        os._exit(status)


def seconds_unchanged(module: str) -> float:
    """How long the tests take where nothing is changed; they must pass."""
    warm_up(module)
    started = time.perf_counter()
    _, status = os.waitpid(start(module), 0)
    if status:
        sys.exit(f"{module}: its tests fail before anything is changed")
    return time.perf_counter() - started


def end(child: int) -> None:
    """The child and all that it started."""
    with suppress(ProcessLookupError):
        os.killpg(child, signal.SIGKILL)


def survivors(queue: list[Mutant], limits: dict[str, float], jobs: int) -> Iterator[Mutant]:
    """Mutants whose tests pass, as they are found. One past its time limit counts as caught."""
    total = len(queue)
    running: dict[int, tuple[Mutant, float]] = {}  # child: what it tests, when it must be done
    try:
        while queue or running:
            while queue and len(running) < jobs:
                mutant = queue.pop(0)
                child = start(mutant.module, mutant)
                running[child] = (mutant, time.monotonic() + limits[mutant.module])
            for child, (_, due) in running.items():
                if due < time.monotonic():
                    end(child)
            child, status = os.waitpid(-1, os.WNOHANG)
            if not child:
                time.sleep(0.01)
                continue
            end(child)
            mutant, _ = running.pop(child)
            if sys.stderr.isatty():
                print(f"\r{total - len(queue) - len(running)}/{total} ", end="", file=sys.stderr)
            if status == 0:
                yield mutant
    finally:
        for child in running:
            end(child)


def main() -> int:
    parser = argparse.ArgumentParser(description="Mutation testing: are the tests strong?")
    parser.add_argument("modules", nargs="*", default=DEFAULT, help="files; * is a pattern")
    parser.add_argument("--sample", type=int, help="so many changes, drawn at random, in all")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("-j", "--jobs", type=int, default=1)
    options = parser.parse_args()
    os.chdir(ROOT)
    found = [str(path) for name in options.modules for path in sorted(Path().glob(name))]
    work = [mutant for module in found for mutant in mutants(module)]
    if options.sample:
        work = random.Random(options.seed).sample(work, min(options.sample, len(work)))
    counted = [mutant for mutant in work if not is_equivalent(mutant)]
    counts, lived = Counter(mutant.module for mutant in counted), Counter[str]()
    asked = {module: frozenset(chain(*its_tests(module))) for module in counts}
    once = {tests: module for module, tests in asked.items()}  # modules of a package share theirs
    unchanged = {tests: seconds_unchanged(module) for tests, module in once.items()}
    limits = {module: 10 + 5 * unchanged[asked[module]] for module in counts}
    for mutant in survivors(counted.copy(), limits, options.jobs):
        lived[mutant.module] += 1
        print(f"\r{mutant.module}:{mutant.line}: {mutant.change}\n    {mutant.text}", flush=True)
    for module, count in counts.items():
        print(f"\r{module}: {count - lived[module]} of {count} caught")
    score = 1 - lived.total() / max(len(counted), 1)
    excluded = len(work) - len(counted)
    print(f"{score:.1%} of {len(counted)} caught; {excluded} excluded as equivalent")
    return 0 if score >= ENOUGH else 1


if __name__ == "__main__":
    sys.exit(main())
