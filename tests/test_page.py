"""The page about a batch: it needs no network, shows text as text, and can be filtered."""

import html
import os
import re
import shutil
from pathlib import Path

import nbformat
import pytest

from cnncourse import page, report

HOSTILE = '<img src=x onerror="alert(1)"><script>alert(2)</script>'


@pytest.fixture
def found(tmp_path) -> list[report.Row]:
    """Two seeds at three rates, the last one failed, and a hostile message."""
    cell = nbformat.v4.new_code_cell("1 + 1")
    cell.outputs = [nbformat.v4.new_output("stream", text="two <b>")]
    for name in ("a cat", 'a "dog"'):
        data, words = {"image/png": "iVBORw0KGgo="}, {"image/png": {"alt": name}}
        cell.outputs.append(nbformat.v4.new_output("display_data", data=data, metadata=words))
    nbformat.write(nbformat.v4.new_notebook(cells=[cell]), tmp_path / "job_0.ipynb")
    events = [
        {
            "job": f"job_{3 * seed + index}",
            "lesson": "01_one",
            "state": "passed",
            "seconds": 1.5,
            "headline": "well",
            "parameters": {"seed": seed, "rate": rate, "label": "cat & <dog>"},
            "numbers": {"accuracy": 0.5 + rate + seed / 10},
            "output": f"job_{3 * seed + index}.ipynb",
        }
        for seed in (0, 1)
        for index, rate in enumerate((0.1, 0.2, 0.3))
    ]
    events[-1] |= {"state": "failed", "message": HOSTILE, "numbers": {}, "output": None}
    return report.rows(events)


def written(found, folder: Path, **options) -> str:
    return page.write(found, folder, **options).read_text("utf-8")


def test_the_page_says_of_each_job_what_its_row_says(found, tmp_path):
    text = written(found, tmp_path)
    body = text[text.index("<tbody") : text.index("</tbody>")]
    lines = [re.findall(r"<td[^>]*>(.*?)(?=<td|</tr>)", line) for line in body.split("<tr")[1:]]
    plain = [[html.unescape(re.sub(r"<[^>]+>", "", cell)) for cell in line] for line in lines]
    columns = re.findall(r'<th scope="col">([^<]*)', text)
    assert columns[:5] == ["job", "result", "message", "seed", "rate"]
    assert [line[0] for line in plain] == [row["job"] for row in found]
    assert [line[1] for line in plain] == [row["state"] for row in found]
    accuracy = [line[columns.index("accuracy")] for line in plain]
    assert accuracy == ["", "0.6", "0.7", "0.8", "0.7", "0.8"]
    assert plain[0][columns.index("message")] == HOSTILE
    assert "5 passed" in text
    assert "1 failed" in text


def test_labels_and_messages_are_text(found, tmp_path):
    text = written(found, tmp_path)
    assert "<img" not in text
    assert text.count("<script>") == 1  # the page's own
    assert "cat &amp; &lt;dog&gt;" in text


def test_a_plot_has_a_point_a_job_and_says_its_means(found, tmp_path):
    text = written(found, tmp_path)
    assert text.count("<figure>") == 2  # over rate, then over seed
    assert text.count("<circle") == 2 * 5
    assert 'aria-label="accuracy over rate: mean 0.65 at 0.1, 0.75 at 0.2, 0.8 at 0.3"' in text
    assert text.index("accuracy over rate") < text.index("accuracy over seed")


def test_a_result_that_is_no_number_is_counted_and_not_drawn(found, tmp_path):
    for index, value in ((1, float("nan")), (2, float("inf"))):
        found[index]["number.accuracy"] = value
    text = written(found, tmp_path)
    plots = text[text.index("<h2>") : text.index("</main>")]
    assert plots.count("<circle") == 2 * 3
    assert "accuracy over rate (2 are no numbers)</figcaption>" in plots
    assert not re.search(r"\b(nan|inf)\b", plots)
    assert '<td class="number">nan' in text
    for index in range(6):
        found[index]["number.accuracy"] = float("nan")
    assert "<svg" not in written(found, tmp_path)


def test_a_number_too_large_to_be_drawn_is_left_out(found, tmp_path):
    found[1]["param.rate"] = 10**400
    text = written(found, tmp_path)
    assert text.count("<circle") == 4 + 5  # over rate, then over seed
    assert "1" + "0" * 400 in text


# A recorded number, and how people read it.
SHOWN = [(138357544.0, "138357544"), (0.98, "0.98"), (1 / 3, "0.333333"), (1e20, "1e+20"), (7, "7")]


@pytest.mark.parametrize(("value", "shown"), SHOWN)
def test_a_whole_number_has_all_its_digits(found, tmp_path, value, shown):
    found[1]["number.accuracy"] = value
    assert f'<td class="number">{shown}<' in written(found[1:2], tmp_path)


def test_no_text_turns_others_around(found, tmp_path):
    found[0]["message"] = "safe \u202egpj.exe\x1b[31m"
    text = written(found, tmp_path)
    assert "<td>safe ?gpj.exe<" in text


def test_nothing_was_swept_nothing_is_plotted(found, tmp_path):
    assert "<svg" not in written(found[1:2], tmp_path)
    assert "<svg" not in written([], tmp_path)


def test_a_notebook_is_linked_or_its_page_where_wanted(found, tmp_path):
    assert '<a href="job_0.ipynb">job_<wbr>0</a>' in written(found, tmp_path)
    text = written(found, tmp_path, lessons=True)
    assert '<a href="job_0.html">job_<wbr>0</a>' in text
    lesson = (tmp_path / "job_0.html").read_text("utf-8")
    assert "two &lt;b&gt;" in lesson
    assert lesson.index('alt="a cat"') < lesson.index('alt="a &quot;dog&quot;"')
    assert "No description" not in lesson


def test_the_pages_need_no_network(found, tmp_path):
    page.write(found, tmp_path, lessons=True)
    for path in tmp_path.glob("*.html"):
        text = path.read_text("utf-8")
        assert 'src="http' not in text
        assert '<link rel="stylesheet" href="http' not in text


CHROMIUM = os.environ.get("CNNCOURSE_CHROMIUM") or next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), ""
)


# Cells wider than 40 em, and texts that leave their plot.
TOO_WIDE = """[
  ...[...document.querySelectorAll("td")].filter(cell => cell.offsetWidth > 640),
  ...[...document.querySelectorAll("svg text")].filter(text => text.getBoundingClientRect().left
    < text.closest("svg").getBoundingClientRect().left),
].map(found => found.textContent)"""


@pytest.mark.browser
@pytest.mark.skipif(not CHROMIUM, reason="no Chromium here. Try: apt-get install chromium")
def test_in_a_browser_the_page_is_accessible_filters_and_runs_nothing_foreign(found, tmp_path):
    from axe_playwright_python.sync_playwright import Axe
    from playwright.sync_api import sync_playwright

    address = page.write(found, tmp_path).as_uri()
    asked, alerts = [], []
    with sync_playwright() as playwright:
        flags = ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=flags)
        view = browser.new_page()
        view.on("request", lambda request: asked.append(request.url))
        view.on("dialog", lambda dialog: (alerts.append(dialog.message), dialog.dismiss()))
        found[0]["message"] = HOSTILE + "long" * 200
        found[1]["number.accuracy"] = 3.6981234e-07
        page.write(found, tmp_path)
        view.goto(address)
        assert view.evaluate(TOO_WIDE) == []
        view.set_viewport_size({"width": 320, "height": 640})
        assert view.evaluate("document.documentElement.scrollWidth") <= 320
        assert view.evaluate("document.querySelector('td').offsetWidth") < 200  # beside it, results
        assert Axe().run(view).response["violations"] == []
        shown = view.locator("tbody tr:visible")
        assert shown.count() == 6
        assert "failed" in shown.first.inner_text()
        view.get_by_label("Show rows with").fill("JOB_4")
        assert shown.count() == 1
        assert view.get_by_role("status").inner_text() == "1 of 6 rows"
        view.get_by_label("Show rows with").fill("")
        view.get_by_label("and result").select_option("failed")
        assert shown.count() == 1
        assert HOSTILE in shown.inner_text()
        browser.close()
    assert (asked, alerts) == ([address], [])
