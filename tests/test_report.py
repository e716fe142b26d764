"""What a run found, for people: the table and the pages tell the same, and show text as text."""

import nbformat
import pytest

from cnncourse import report
from cnncourse.batch import Outcome


@pytest.fixture
def outcomes(tmp_path) -> list[Outcome]:
    notebook = tmp_path / "01_one.ipynb"
    cell = nbformat.v4.new_code_cell("1 + 1")
    cell.outputs = [nbformat.v4.new_output("stream", text="two <b>")]
    for name in ("a cat", 'a "dog"'):
        data, words = {"image/png": "iVBORw0KGgo="}, {"image/png": {"alt": name}}
        cell.outputs.append(nbformat.v4.new_output("display_data", data=data, metadata=words))
    nbformat.write(nbformat.v4.new_notebook(cells=[cell]), notebook)
    record = {"headline": "≈ 98 % right", "peak_memory_mb": 640}
    return [
        Outcome("01_one", "passed", 12.34, record=record, notebook=notebook),
        Outcome("02_two", "timed out", 600.0, "cell 3 of 9: <script>alert(1)</script>"),
    ]


def test_the_table_has_a_line_a_lesson_in_columns(outcomes):
    lines = report.table(outcomes).splitlines()
    assert lines == [
        "lesson  result     seconds  memory  headline",
        "01_one  passed        12.3  640 MB  ≈ 98 % right",
        "02_two  timed out    600.0       -  cell 3 of 9: <script>alert(1)</script>",
    ]


def test_the_page_links_each_notebook_and_shows_messages_as_text(outcomes, tmp_path):
    page = report.write_pages(outcomes, tmp_path).read_text("utf-8")
    assert '<a href="01_one.html">01_one</a>' in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    assert "<script>" not in page
    assert "≈ 98 % right" in page
    lesson = (tmp_path / "01_one.html").read_text("utf-8")
    assert "two &lt;b&gt;" in lesson


def test_the_pages_need_no_network(outcomes, tmp_path):
    report.write_pages(outcomes, tmp_path)
    for page in tmp_path.glob("*.html"):
        text = page.read_text("utf-8")
        assert 'src="http' not in text
        assert '<link rel="stylesheet" href="http' not in text


def test_each_picture_of_a_page_keeps_its_alternative_text(outcomes, tmp_path):
    report.write_pages(outcomes, tmp_path)
    page = (tmp_path / "01_one.html").read_text("utf-8")
    assert page.index('alt="a cat"') < page.index('alt="a &quot;dog&quot;"')
    assert "No description" not in page
