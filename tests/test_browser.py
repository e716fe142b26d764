"""Lesson 06 as a reader meets it: a real JupyterLab in a real browser, every cell run.

The browser is the system's Chromium. Where there is none, the tests are skipped and say so.
"""

import os
import re
import secrets
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import nbformat
import pytest

ROOT = Path(__file__).parent.parent
LESSON = "06_mnist_from_scratch.ipynb"
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

pytestmark = [
    pytest.mark.browser,
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
    return folder


@pytest.fixture(scope="module")
def lab(lessons, tmp_path_factory) -> Iterator[str]:
    """Address of a JupyterLab on loopback with a token, its settings in folders of its own."""
    home, token = tmp_path_factory.mktemp("home"), secrets.token_hex(16)
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
            yield f"http://127.0.0.1:{port}/lab/tree/{LESSON}?token={token}"
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
def page(lab):
    """The lesson in the browser, before anything is run; what the page complains of in .errors."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        page = browser.new_page(viewport={"width": 1280, "height": 1400})
        page.errors = []
        page.on("pageerror", lambda error: page.errors.append(str(error)))
        page.goto(lab)
        page.wait_for_function(IDLE, timeout=START_S * 1000)
        yield page
        browser.close()


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
def after_run(page):
    """The page after Run All, and the states that the live view passed through meanwhile."""
    seen = set()
    page.evaluate("() => { window.jupyterapp.commands.execute('notebook:restart-run-all'); }")
    accept = page.locator(".jp-Dialog .jp-mod-accept")
    accept.wait_for(timeout=10_000)
    accept.click()
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
    page.seen = seen
    return page


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
    # ipywidgets 8 gives a slider's handle no name; its description stands beside it as text.
    handles = serious.pop("aria-input-field-name", [])
    assert all("noUi-handle" in handle for handle in handles)
    assert serious == {}
