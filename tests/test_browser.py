"""A lesson and every explorer as a reader meets them: a real JupyterLab in a real browser.

The browser is the system's Chromium. Where there is none, the tests are skipped and say so.
"""

import os
import re
import secrets
import shutil
import socket
import statistics
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import nbformat
import pytest

from cnncourse.explorers import unit_browser, unit_page, where_it_looks

ROOT = Path(__file__).parent.parent
# An explorer that computes and draws nothing: what the way to the browser and back costs by itself.
ECHO = """
import ipywidgets as widgets
from cnncourse.explorers import Explorer
from cnncourse.sketch import Sketch
pages = [Sketch(100 + number, 50) for number in range(30)]
Explorer("Echo", lambda page: page, pages.__getitem__, str, page=widgets.IntSlider(5, 0, 29))
"""
DIGITS = """
from cnncourse import data
from cnncourse.explorers import digits
from cnncourse.models.simple import SimpleCNN
digits.explorer(SimpleCNN(), data.load("mnist").test, black=0.0)
"""
RATE_FINDER = """
from cnncourse.explorers import rate_finder
from cnncourse.range_test import RangeTest
rates = [10 ** (number / 10 - 5) for number in range(50)]
losses = [2.3 - number / 25 if number < 40 else number - 39 for number in range(50)]
rate_finder.explorer(RangeTest(rates, losses, stopped=True))
"""
DATA_SIZE = """
from cnncourse.explorers import data_size
measured = {
    "pretrained": [[0.5, 0.6], [0.7, 0.72], [0.8, 0.81]],
    "from scratch": [[0.1, 0.2], [0.3, 0.34], [0.5, 0.52]],
}
data_size.explorer((2, 10, 25), measured, chance=0.1)
"""
ATTACK = """
from cnncourse import data
from cnncourse.explorers import attack
from cnncourse.models.simple import SimpleCNN
attack.explorer(SimpleCNN(), data.load("mnist").test, range(10))
"""
CONFIDENCE = """
import torch
from cnncourse.explorers import confidence
torch.manual_seed(0)
confidence.explorer(3 * torch.randn(500, 10), torch.randint(10, (500,)))
"""
CARD = """
from cnncourse.exercises import convolution as exercises
from cnncourse.explorers import Predict
Predict.ask(exercises.WHICH_ONE)
"""
LESSON = "06_mnist_from_scratch.ipynb"
AT_RESTART = "Could not restore the debugger state"  # JupyterLab says so of every kernel
PLAYGROUND = "explorers.ipynb"  # made here: a cell an explorer
# What a reader would type to get each explorer.
EXPLORERS = {
    "echo": ECHO,
    "pixels": "from cnncourse.explorers import pixels\npixels.explorer()",
    "digits": DIGITS,
    "sliding_window": "from cnncourse.explorers import sliding_window\nsliding_window.explorer()",
    "convolution_arithmetic": "from cnncourse.explorers import convolution_arithmetic as arithmetic"
    "\narithmetic.explorer()",
    "transposed": "from cnncourse.explorers import transposed\ntransposed.explorer()",
    "cost": "from cnncourse.explorers import cost\ncost.explorer()",
    "filter_lab": "from cnncourse.explorers import filter_lab\nfilter_lab.explorer()",
    "shift": "from cnncourse.explorers import shift\nshift.explorer()",
    **{
        name: f"from cnncourse.explorers import {name}\n{name}.explorer()"
        for name in (
            "receptive_field",
            "architecture",
            "connection_table",
            "inception",
            "kernel_stack",
            "layer_costs",
            "residual",
            "scaling",
            "signal_propagation",
            "augmentation_lab",
            "schedules",
            "freeze_map",
            "unit_browser",
            "where_it_looks",
        )
    },
    "rate_finder": RATE_FINDER,
    "attack": ATTACK,
    "confidence": CONFIDENCE,
    "data_size": DATA_SIZE,
}
CANDIDATES = ("chromium", "chromium-browser", "google-chrome")
CHROMIUM = os.environ.get("CNNCOURSE_CHROMIUM") or next(
    filter(None, map(shutil.which, CANDIDATES)), ""
)
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
]
START_S, RUN_S = 60, 240
ECHO_MS = 20  # a key to the kernel and back, nothing drawn, on two quiet cores

pytestmark = [
    pytest.mark.browser,
    pytest.mark.alone,  # from key to picture in milliseconds
    pytest.mark.skipif(
        not CHROMIUM,
        reason="NO BROWSER TEST RUNS: no Chromium here. Try: apt-get install chromium, or set "
        "CNNCOURSE_CHROMIUM=<its path>.",
    ),
]


@pytest.fixture(scope="module")
def lessons(tmp_path_factory) -> Path:
    """A copy of the lessons; the one that is opened is on its smoke budget, without outputs."""
    folder = tmp_path_factory.mktemp("lessons")
    for path in (ROOT / "notebooks").glob("*.ipynb"):
        shutil.copy(path, folder)
    notebook = nbformat.read(folder / LESSON, 4)
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
        if "parameters" in cell.metadata.get("tags", []):
            cell.source = cell.source.replace('"quick"', '"smoke"')
    nbformat.write(notebook, folder / LESSON)
    cells = [nbformat.v4.new_code_cell(source) for source in [*EXPLORERS.values(), CARD]]
    kernel = {"kernelspec": notebook.metadata["kernelspec"]}
    nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata=kernel), folder / PLAYGROUND)
    return folder


@contextmanager
def served(lessons: Path, home: Path) -> Iterator[str]:
    """Address of a JupyterLab on loopback, with its token: put a lesson's name into it.

    Its settings are in a home of its own; one server for each page, since a second page in the same
    one would open what the first has open.
    """
    token = secrets.token_hex(16)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    private = {"JUPYTER_CONFIG_DIR": "config", "JUPYTER_DATA_DIR": "data"}
    private |= {"JUPYTER_RUNTIME_DIR": "runtime", "IPYTHONDIR": "ipython", "HOME": "."}
    environment = os.environ | {name: str(home / part) for name, part in private.items()}
    command = [sys.executable, "-m", "jupyter", "lab", "--no-browser", f"--port={port}"]
    command += ["--ServerApp.ip=127.0.0.1", f"--IdentityProvider.token={token}"]
    command += ["--LabApp.expose_app_in_browser=True", f"--ServerApp.root_dir={lessons}"]
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        command.append("--allow-root")
    with (home / "log").open("wb") as log:
        server = subprocess.Popen(
            command, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log
        )
        try:
            wait_for(f"http://127.0.0.1:{port}/api", server)
            yield f"http://127.0.0.1:{port}/lab/tree/{{}}?token={token}"
        finally:
            server.terminate()
            server.wait(20)


def wait_for(address: str, server: subprocess.Popen) -> None:
    """Until the server answers; raises TimeoutError if it does not."""
    for _ in range(START_S * 5):
        assert server.poll() is None, "JupyterLab ended by itself"
        try:
            with urllib.request.urlopen(address, timeout=2):
                return
        except OSError:
            time.sleep(0.2)
    raise TimeoutError(f"{address} does not answer")


@pytest.fixture(scope="module")
def browser():
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


@contextmanager
def opened(browser, lessons: Path, home: Path, name: str):
    """A notebook in a JupyterLab, before anything is run; the page's complaints are in .errors."""
    with served(lessons, home) as address:
        page = browser.new_page(viewport={"width": 1280, "height": 1400})
        page.errors = []
        page.on("pageerror", lambda error: page.errors.append(str(error)))
        page.on(
            "console",
            lambda said: (
                page.errors.append(said.text)
                if said.type == "error" and not said.text.startswith(AT_RESTART)
                else None
            ),
        )
        page.goto(address.format(name))
        page.wait_for_function(IDLE, timeout=START_S * 1000)
        yield page
        page.close()


@pytest.fixture(scope="module")
def open_alone(browser, lessons, tmp_path_factory):
    """Opens a notebook in a lab of its own; what was open is closed, so that nothing slows it."""
    with ExitStack() as stack:

        def open_alone(name: str):
            stack.close()
            home = tmp_path_factory.mktemp("home")
            return stack.enter_context(opened(browser, lessons, home, name))

        yield open_alone


def run_all(page) -> None:
    page.evaluate("() => { window.jupyterapp.commands.execute('notebook:restart-run-all'); }")
    accept = page.locator(".jp-Dialog .jp-mod-accept")
    accept.wait_for(timeout=10_000)
    accept.click()


IDLE = """() => {
  const widget = window.jupyterapp?.shell.currentWidget;
  return widget?.sessionContext?.session?.kernel?.status === 'idle';
}"""
# Text and pictures of all outputs, whether they are in view or not.
OUTPUTS = """() => {
  const cells = [...window.jupyterapp.shell.currentWidget.content.widgets];
  return cells.filter(cell => cell.outputArea).map(cell => ({
    count: cell.model.executionCount,
    kinds: Array.from({length: cell.outputArea.model.length},
                      (_, i) => cell.outputArea.model.get(i).toJSON().output_type),
    text: JSON.stringify(cell.outputArea.model.toJSON()),
  }));
}"""


@pytest.fixture(scope="module")
def after_run(open_alone):
    """The lesson after Run All, and the states that the live view passed through meanwhile."""
    page = open_alone(LESSON)
    page.seen = followed(page)
    return page


def followed(page) -> set[str]:
    """Run all cells; what the progress bars said until the last one had run."""
    seen = set()
    run_all(page)
    deadline = time.monotonic() + RUN_S
    while time.monotonic() < deadline:
        for bar in page.locator("progress").all():
            seen.add(bar.get_attribute("aria-label", timeout=1000))
        outputs = page.evaluate(OUTPUTS)
        if "06_mnist_from_scratch: " in outputs[-1]["text"] or any(
            "error" in output["kinds"] for output in outputs
        ):
            break
        time.sleep(0.1)
    page.wait_for_function(IDLE, timeout=30_000)
    return seen


def test_every_cell_of_the_lesson_runs_without_an_error(after_run):
    outputs = after_run.evaluate(OUTPUTS)
    assert [output["text"] for output in outputs if "error" in output["kinds"]] == []
    assert [output["count"] for output in outputs] == list(range(1, len(outputs) + 1))
    assert "ok: weights read back give the same answers" in outputs[-1]["text"]
    assert after_run.errors == []


def cell_with(page, text: str):
    """The output area of the code cell with that text, scrolled into view."""
    index = page.evaluate(
        "text => window.jupyterapp.shell.currentWidget.content.widgets.findIndex("
        "cell => cell.model.type === 'code' && cell.model.sharedModel.source.includes(text))",
        text,
    )
    page.evaluate(
        "async index => { const content = window.jupyterapp.shell.currentWidget.content;"
        "content.activeCellIndex = index; await content.scrollToItem(index, 'center'); }",
        index,
    )
    return page.locator(f'.jp-Cell[data-windowed-list-index="{index}"]')


def test_the_curves_grew_while_the_cell_ran(after_run):
    epochs = {
        found[1]
        for label in after_run.seen
        if label
        for found in [re.match(r"epoch (\d+) of", label)]
        if found
    }
    assert len(epochs) >= 2
    curves = cell_with(after_run, "live.LiveCurves()").locator("img")
    assert "validation accuracy" in curves.get_attribute("alt")
    assert curves.evaluate("image => image.naturalWidth") > 400


def test_a_slider_moved_by_keyboard_changes_picture_and_words(after_run):
    cell = cell_with(after_run, "digits.explorer(")
    picture, words = cell.locator("img").first, cell.locator('[role="status"]').first
    before = picture.get_attribute("src"), words.inner_text()
    handle = cell.locator(".noUi-handle").nth(1)  # turn
    handle.focus()
    for _ in range(12):
        handle.press("ArrowRight")
    cell.locator(f'img:not([src="{before[0]}"])').first.wait_for(timeout=10_000)
    assert picture.get_attribute("src") != before[0]


def test_a_wrong_answer_typed_gets_its_sentence(after_run):
    cell = cell_with(after_run, "def shift(images, right, down)")
    wrong = "import torch\n\ndef shift(images, right, down):\n"
    wrong += (
        "    return torch.roll(images, (down, right), dims=(2, 3))\n\nexercises.SHIFT.check(shift)"
    )
    after_run.evaluate(
        "source => { window.jupyterapp.shell.currentWidget.content.activeCell.model"
        ".sharedModel.setSource(source); }",
        wrong,
    )
    after_run.evaluate("() => { window.jupyterapp.commands.execute('notebook:run-cell'); }")
    cell.get_by_text("torch.roll wraps around").wait_for(timeout=20_000)


def test_the_lesson_has_no_serious_fault_of_accessibility(after_run):
    from axe_playwright_python.sync_playwright import Axe

    cell_with(after_run, "digits.explorer(")
    found = Axe().run(after_run, context=".jp-OutputArea-output .widget-vbox")
    serious = {
        fault["id"]: [node["html"][:200] for node in fault["nodes"]]
        for fault in found.response["violations"]
        if fault["impact"] in ("serious", "critical")
    }
    assert serious == {}


# --- every explorer -------------------------------------------------------------------------------

# One measures times, in the others a network answers; what is not here has 50 ms.
MEANT_MS = dict.fromkeys(("cost", "digits", "residual", "signal_propagation"), 100)
PROBE = """index => {
  const cell = document.querySelector(`.jp-Cell[data-windowed-list-index="${index}"]`);
  const moves = window.moves = [];
  let pressed = 0, shown = cell.querySelector('.cnncourse-explorer img').src;
  cell.addEventListener('keydown', () => { pressed = performance.now(); }, true);
  new MutationObserver(() => {
    const image = cell.querySelector('.cnncourse-explorer img');
    if (!image || image.src === shown) return;
    shown = image.src;
    const began = pressed;
    image.decode().then(() => moves.push(performance.now() - began));
  }).observe(cell, {childList: true, subtree: true});
}"""


AT_END = """control => control.tagName === 'SELECT'
  ? control.selectedIndex === control.options.length - 1
  : control.getAttribute('aria-valuenow') === control.getAttribute('aria-valuemax')"""


def movable(cell):
    """Sliders of an explorer; its lists where it has none, since a list may follow a slider."""
    sliders = cell.locator(".cnncourse-explorer .noUi-handle:visible")
    return sliders if sliders.count() else cell.locator(".cnncourse-explorer select")


def there_and_back(control) -> tuple[str, str]:
    """The arrow that moves a slider or a list, and the one that moves it back."""
    list_ = control.evaluate("element => element.tagName === 'SELECT'")
    on, back = ("ArrowDown", "ArrowUp") if list_ else ("ArrowRight", "ArrowLeft")
    return (back, on) if control.evaluate(AT_END) else (on, back)


@pytest.fixture(scope="module")
def playground(open_alone):
    """A notebook with every explorer, run; no cell of it failed."""
    page = open_alone(PLAYGROUND)
    page.evaluate("() => { window.jupyterapp.commands.execute('notebook:run-all-cells'); }")
    until_run(page)
    return page


def until_run(page) -> None:
    page.wait_for_function(
        f"""() => {{
          const outputs = ({OUTPUTS})();
          return outputs.every(output => output.count)
            || outputs.some(output => output.kinds.includes('error'));
        }}""",
        timeout=RUN_S * 1000,
    )
    failed = [output["text"] for output in page.evaluate(OUTPUTS) if "error" in output["kinds"]]
    assert failed == []


def explorer_cell(page, name: str):
    """The explorer of that name, in view, with its picture."""
    cell = cell_with(page, EXPLORERS[name].strip().splitlines()[-1])
    cell.locator(".cnncourse-explorer img").wait_for(timeout=20_000)
    return cell


def state(cell) -> tuple[str, str]:
    """What a reader sees of an explorer: picture and words."""
    explorer = cell.locator(".cnncourse-explorer")
    words = explorer.locator('[role="status"], [role="alert"]').first.inner_text()
    return explorer.locator("img").first.get_attribute("src"), words


def pressed(page, cell, control, key: str) -> None:
    """Press a key on a control, and wait until picture or words have changed, and rest."""
    before = state(cell)
    control.focus()
    control.press(key)
    for _ in range(100):
        after = state(cell)
        page.wait_for_timeout(30)
        if after != before and after == state(cell):
            return
    what = control.evaluate("element => element.outerHTML")
    raise AssertionError(f"{key} on {what[:300]} changed neither picture nor words")


@pytest.mark.parametrize("name", EXPLORERS)
def test_every_slider_and_list_of_an_explorer_answers_to_the_keyboard(playground, name):
    cell = explorer_cell(playground, name)
    controls = movable(cell)
    for number in range(controls.count()):
        control = controls.nth(number)
        for key in there_and_back(control):
            pressed(playground, cell, control, key)
    assert playground.errors == []


def test_a_click_on_a_map_chooses_its_unit(playground):
    cell = explorer_cell(playground, "unit_browser")
    picture = cell.locator(".cnncourse-explorer img").first
    box = picture.bounding_box()
    scale = box["width"] / unit_page.WIDTH_PX
    x, y = unit_page.corner(1, 6)
    picture.click(position={"x": (x + 20) * scale, "y": (y + 20) * scale})
    for _ in range(100):
        if f"{unit_browser.LAYERS[1]}, unit 6:" in state(cell)[1]:
            break
        playground.wait_for_timeout(50)
    assert f"{unit_browser.LAYERS[1]}, unit 6:" in state(cell)[1]
    assert playground.errors == []


def slid(page, start, end, *, by: str) -> None:
    """A "touch" (finger) or "pen" from one point of the page to another, as the browser's own input
    takes it.
    """
    session = page.context.new_cdp_session(page)

    def finger(kind: str, *points) -> None:
        at = [{"x": x, "y": y} for x, y in points]
        session.send("Input.dispatchTouchEvent", {"type": f"touch{kind}", "touchPoints": at})

    def pen(kind: str, *points) -> None:
        kind = {"Start": "mousePressed", "Move": "mouseMoved", "End": "mouseReleased"}[kind]
        x, y = points[0] if points else end
        held = {"button": "left", "buttons": 1, "clickCount": 1, "pointerType": "pen"}
        session.send("Input.dispatchMouseEvent", {"type": kind, "x": x, "y": y} | held)

    send = {"touch": finger, "pen": pen}[by]
    send("Start", start)
    for share in (step / 15 for step in range(1, 16)):
        send("Move", [a + share * (b - a) for a, b in zip(start, end, strict=True)])
    send("End")
    session.detach()


def dragged(page, cell, start, end, *, finger: bool = False) -> dict[str, float]:
    """Drag on the picture of where_it_looks between two places, in shares of the photograph.

    Gives where the picture was before.
    """
    picture = cell.locator(".cnncourse-explorer img").first
    picture.scroll_into_view_if_needed()
    box, looks = picture.bounding_box(), where_it_looks
    scale = box["width"] / looks.WIDTH_PX
    first, last = (
        [
            box["x"] + (looks.LEFT_PX + looks.SIDE_PX * x) * scale,
            box["y"] + (looks.TOP_PX + looks.SIDE_PX * y) * scale,
        ]
        for x, y in (start, end)
    )
    if finger:
        slid(page, first, last, by="touch")
    else:
        page.mouse.move(*first)
        page.mouse.down()
        page.mouse.move(*last, steps=15)
        page.mouse.up()
    return box


@pytest.mark.parametrize("finger", [False, True], ids=["mouse", "finger"])
def test_the_square_is_dragged_over_the_picture(playground, finger):
    cell = explorer_cell(playground, "where_it_looks")
    side = where_it_looks.LITE_PX
    for start, end in (((0.4, 0.4), (1.5, 0.1)), ((0.9, 0.2), (0.22, 0.72))):
        before = dragged(playground, cell, start, end, finger=finger)
        place = end[1] * side - side // 8, end[0] * side - side // 8
        row, column = (8 * round(min(max(first, 0), side * 3 // 4) / 8) for first in place)
        expected = f"a square of {side // 4} px at ({row}, {column}) takes"
        for _ in range(100):
            if expected in state(cell)[1]:
                break
            playground.wait_for_timeout(50)
        assert expected in state(cell)[1]
        assert cell.locator(".cnncourse-explorer img").first.bounding_box() == before  # no scroll
    playground.mouse.move(5, 5)  # let go: the square follows no more
    playground.wait_for_timeout(300)
    assert expected in state(cell)[1]
    shown = state(cell)[0]
    dragged(playground, cell, (1.5, 0.5), (0.5, 0.5), finger=finger)  # begun on a map: not a drag
    playground.wait_for_timeout(500)
    assert state(cell)[0] == shown
    assert playground.errors == []


def moves_after(page, control, key: str, *, within_ms: int) -> int:
    """Press a key; how many new pictures there are, once there is one or that time is over."""
    before = page.evaluate("() => window.moves.length")
    control.focus()
    control.press(key)
    for _ in range(within_ms // 10):
        if page.evaluate("() => window.moves.length") > before:
            break
        page.wait_for_timeout(10)
    return page.evaluate("() => window.moves.length") - before


def median_ms(page, name: str, *, moves: int = 11) -> float:
    """From a key pressed to the new picture decoded, the median of some moves there and back.

    The control is the first that changes the picture: one pixel more may change the words alone.
    Between moves the page rests: what the last one still has to say to the kernel is not the next
    one's.
    """
    cell = explorer_cell(page, name)
    page.evaluate(PROBE, int(cell.get_attribute("data-windowed-list-index")))
    for control in movable(cell).all():
        keys = there_and_back(control)
        if moves_after(page, control, keys[0], within_ms=2000):
            break
        moves_after(page, control, keys[1], within_ms=500)
    for number in range(1, moves):
        page.wait_for_timeout(100)
        came = moves_after(page, control, keys[number % 2], within_ms=5000)
        assert came, f"{name}: {keys[number % 2]} brought no new picture"
    return statistics.median(page.evaluate("() => window.moves"))


def test_a_picture_follows_the_key_at_once(playground, tell):
    median_ms(playground, "echo")  # the first moves of a page are slower
    echo = median_ms(playground, "echo")
    medians = {name: median_ms(playground, name) for name in EXPLORERS if name != "echo"}
    each = "".join(f", {name} {value:.0f} ms" for name, value in medians.items())
    tell(f"key to picture, median: nothing drawn {echo:.0f} ms{each}")
    # Twice what is meant, for machines that stutter; and where drawing nothing takes long, so may
    # everything.
    slower = 2 * max(1.0, echo / ECHO_MS)
    limits = {name: slower * MEANT_MS.get(name, 50) for name in medians}
    assert {name: value for name, value in medians.items() if value > limits[name]} == {}


def test_a_click_on_a_layer_of_the_map_shows_its_row(playground):
    cell = explorer_cell(playground, "architecture")
    picture, before = cell.locator(".cnncourse-explorer img").first, state(cell)
    box = picture.bounding_box()
    picture.click(position={"x": 0.16 * box["width"], "y": 0.12 * box["height"]})
    for _ in range(100):
        if state(cell) != before:
            break
        playground.wait_for_timeout(30)
    rows = [re.search(r"(\d+) of \d+: \S+", words)[1] for _, words in (before, state(cell))]
    assert int(rows[0]) < int(rows[1])  # the first was chosen, one further right was clicked
    assert state(cell)[0] != before[0]


def test_a_guess_is_made_by_keyboard_and_answered(playground):
    cell = cell_with(playground, "exercises.WHICH_ONE")
    choices = cell.locator("input[type=radio]")
    choices.first.focus()
    choices.first.press(" ")
    cell.get_by_text("Not quite: cross-correlation").wait_for(timeout=5000)
    choices.first.press("ArrowDown")
    cell.get_by_text("Yes. The field says convolution").wait_for(timeout=5000)


def test_no_explorer_has_a_serious_fault_of_accessibility(playground):
    from axe_playwright_python.sync_playwright import Axe

    serious = {}
    for name in EXPLORERS:
        explorer_cell(playground, name)
        found = Axe().run(playground, context=".cnncourse-explorer")  # those near it as well
        serious |= {
            f"{name}: {fault['id']}": [node["html"][:200] for node in fault["nodes"]]
            for fault in found.response["violations"]
            if fault["impact"] in ("serious", "critical")
        }
    assert serious == {}


# --- drawing a digit, and a training that is paused and stopped -----------------------------------

DRAWING = """
import torch
from cnncourse import data, training
from cnncourse.explorers import draw_digit, live
from cnncourse.models.simple import SimpleCNN
mnist = data.load("mnist", sample=True)
parts = [data.Split((p.images - 0.13) / 0.31, p.labels) for p in (mnist.train, mnist.test)]
torch.manual_seed(0)
model = SimpleCNN()
optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
settings = {"batch_size": 64, "optimizer": optimizer, "device": "cpu"}
training.fit(model, *parts, epochs=2, **settings)
draw_digit.explorer(model, mnist.test, mean=0.13, std=0.31)
"""
LONG = """
curves = live.LiveCurves()
display(curves)
history = training.fit(model, *parts, epochs=50, **settings, reporters=[curves])
print("History says:", history.stopped, len(history.epochs))
"""
STROKE_MS = 100  # meant, from a move of the mouse to the picture with it


def write_notebook(path: Path, *sources: str) -> None:
    """A notebook of these cells, without outputs."""
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    cells = [nbformat.v4.new_code_cell(source.strip()) for source in sources]
    nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata=kernel), path)


@pytest.fixture(scope="module")
def pad_page(open_alone, lessons):
    """A notebook with the pad, run; a network that has learned a little reads what is drawn."""
    write_notebook(lessons / "drawing.ipynb", DRAWING, LONG)
    page = open_alone("drawing.ipynb")
    page.evaluate("() => { window.jupyterapp.commands.execute('notebook:run-cell'); }")
    page.locator(".cnncourse-pad canvas").wait_for(timeout=RUN_S * 1000)
    page.wait_for_function(IDLE, timeout=RUN_S * 1000)
    return page


def settled_words(root, *, says: str) -> str:
    """The words of the explorer once they have that in them, and rest."""
    words, before = root.locator('[role="status"], [role="alert"]').first, ""
    for _ in range(100):
        now = words.inner_text()
        if now == before and re.search(says, now):
            return now
        before = now
        root.page.wait_for_timeout(200)
    raise AssertionError(f"{says!r} is not in: {before!r}")


@contextmanager
def served_by_voila(notebook: Path, home: Path) -> Iterator[str]:
    """Address of a Voila on loopback that shows one notebook, with its token."""
    token = secrets.token_hex(16)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    folders = ("JUPYTER_CONFIG_DIR", "JUPYTER_RUNTIME_DIR", "IPYTHONDIR", "HOME")
    environment = os.environ | {name: str(home / name.lower()) for name in folders}
    command = [sys.executable, "-m", "voila", str(notebook), "--no-browser", f"--port={port}"]
    command += ["--Voila.ip=127.0.0.1", f"--token={token}"]
    with (home / "log").open("wb") as log:
        server = subprocess.Popen(
            command, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log
        )
        try:
            wait_for(f"http://127.0.0.1:{port}/login", server)
            yield f"http://127.0.0.1:{port}/?token={token}"
        finally:
            server.terminate()
            server.wait(20)


def stroke(page, canvas, *points: tuple[float, float]) -> None:
    """Draw with the mouse through these points, in shares of the pad."""
    canvas.scroll_into_view_if_needed()
    box = canvas.bounding_box()
    at = [(box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in points]
    page.mouse.move(*at[0])
    page.mouse.down()
    for point in at[1:]:
        page.mouse.move(*point, steps=12)
    page.mouse.up()


def lit(canvas) -> int:
    """Pixels of the pad that the page shows as ink."""
    return canvas.evaluate(
        "canvas => canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height)"
        ".data.filter((value, place) => place % 4 === 0 && value > 127).length"
    )


def draw_one_and_seven(page) -> None:
    """Clear, a 1, undo, a 7: what the page shows and says at each."""
    root, canvas = page.locator(".cnncourse-explorer").first, page.locator(".cnncourse-pad canvas")
    page.locator(".cnncourse-pad").get_by_role("button", name="clear").click()
    settled_words(root, says="there is no ink on the pad")
    assert lit(canvas) == 0
    stroke(page, canvas, (0.5, 0.15), (0.5, 0.85))
    words = settled_words(root, says="the network says 1")
    height, width = map(int, re.search(r"(\d+) x (\d+) px of ink", words).groups())
    assert height > 90
    assert width < 20
    assert lit(canvas) > 700
    page.locator(".cnncourse-pad").get_by_role("button", name="undo").click()
    settled_words(root, says="there is no ink on the pad")
    assert lit(canvas) == 0
    stroke(page, canvas, (0.2, 0.2), (0.8, 0.2), (0.45, 0.85))
    settled_words(root, says="the network says 7")
    assert root.locator("img").first.evaluate("image => image.naturalWidth") > 1000


def test_a_digit_drawn_with_the_mouse_is_read(pad_page):
    draw_one_and_seven(pad_page)
    assert pad_page.errors == []


@pytest.mark.parametrize("by", ["touch", "pen"])
def test_finger_and_pen_draw_as_the_mouse_does(pad_page, by):
    root = pad_page.locator(".cnncourse-explorer").first
    canvas = pad_page.locator(".cnncourse-pad canvas")
    pad_page.locator(".cnncourse-pad").get_by_role("button", name="clear").click()
    settled_words(root, says="there is no ink on the pad")
    canvas.scroll_into_view_if_needed()
    canvas.evaluate(
        "canvas => canvas.addEventListener('pointerdown',"
        " event => { window.drawnBy = event.pointerType; }, {once: true})"
    )
    box = canvas.bounding_box()
    middle = box["x"] + 0.5 * box["width"]
    top, bottom = (box["y"] + share * box["height"] for share in (0.2, 0.8))
    slid(pad_page, (middle, top), (middle, bottom), by=by)
    settled_words(root, says="the network says 1")
    assert pad_page.evaluate("() => window.drawnBy") == by
    assert canvas.evaluate("canvas => getComputedStyle(canvas).touchAction") == "none"
    assert pad_page.errors == []


def test_samples_and_habits_are_chosen_by_keyboard(pad_page):
    root = pad_page.locator(".cnncourse-explorer").first
    for digit in "17":
        button = root.get_by_role("button", name=digit, exact=True)
        button.focus()
        button.press("Enter")
        settled_words(root, says=f"the network says {digit}")
    before = lit(pad_page.locator(".cnncourse-pad canvas"))
    corner = root.get_by_role("button", name="corner")
    corner.focus()
    corner.press(" ")
    settled_words(root, says="corner: .* moved 0 right and 0 down")
    assert lit(pad_page.locator(".cnncourse-pad canvas")) == before  # the drawing stays
    root.get_by_role("button", name="as MNIST").press("Enter")
    settled_words(root, says="as MNIST")


def test_the_answer_follows_the_pen(pad_page, tell):
    canvas = pad_page.locator(".cnncourse-pad canvas")
    pad_page.locator(".cnncourse-pad").get_by_role("button", name="clear").click()
    pad_page.evaluate(PROBE.replace("'keydown'", "'pointermove'"), 0)
    box = canvas.bounding_box()
    pad_page.mouse.move(box["x"] + 60, box["y"] + 60)
    pad_page.mouse.down()
    for number in range(15):
        pad_page.wait_for_timeout(150)
        pad_page.mouse.move(box["x"] + 60 + 8 * number, box["y"] + 60 + 5 * (number + 1))
        pad_page.wait_for_function(f"() => window.moves.length > {number}", timeout=5000)
    pad_page.mouse.up()
    median = statistics.median(pad_page.evaluate("() => window.moves"))
    tell(f"stroke to answer and picture, median: {median:.0f} ms (meant {STROKE_MS})")
    assert median < 2 * STROKE_MS  # for machines that stutter


def test_the_pad_has_no_serious_fault_of_accessibility(pad_page):
    from axe_playwright_python.sync_playwright import Axe

    found = Axe().run(pad_page, context=".cnncourse-explorer").response["violations"]
    assert [fault["id"] for fault in found if fault["impact"] in ("serious", "critical")] == []


def test_a_training_is_paused_resumed_and_stopped_while_its_cell_runs(pad_page):
    cell = cell_with(pad_page, "live.LiveCurves()")
    pad_page.evaluate("() => { window.jupyterapp.commands.execute('notebook:run-cell'); }")
    bar = cell.locator("progress")
    cell.get_by_role("button", name="pause").click(timeout=30_000)
    cell.get_by_role("button", name="resume").wait_for()
    pad_page.wait_for_function(
        "() => document.querySelector('progress')?.ariaLabel?.startsWith('paused in epoch')",
        timeout=10_000,
    )
    before = bar.get_attribute("value")
    pad_page.wait_for_timeout(1500)
    assert bar.get_attribute("value") == before
    cell.get_by_role("button", name="resume").click()
    pad_page.wait_for_function(
        "before => Number(document.querySelector('progress').value) > before",
        arg=int(before),
        timeout=20_000,
    )
    cell.get_by_role("button", name="stop").click()
    cell.get_by_text("History says: interrupted in epoch").wait_for(timeout=20_000)
    assert bar.get_attribute("aria-label").startswith("stopped in epoch")
    assert pad_page.errors == []


def test_the_pad_draws_in_voila(browser, lessons, tmp_path):
    write_notebook(lessons / "pad.ipynb", DRAWING)
    with served_by_voila(lessons / "pad.ipynb", tmp_path) as address:
        page = browser.new_page(viewport={"width": 1000, "height": 1200})
        page.goto(address, timeout=RUN_S * 1000)  # the page comes when its cell has run
        page.locator(".cnncourse-pad canvas").wait_for(timeout=RUN_S * 1000)
        draw_one_and_seven(page)
        page.close()
