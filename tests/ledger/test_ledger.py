import pytest

from cnncourse.ledger import Ledger, Line, written

LEDGER = Ledger(
    "A net & its twin",
    [
        Line("parameters", 60_000_000, 60_965_224, 61_100_840, "other widths", source="section 3"),
        Line("top-5 error, %", 18.2, None, 20.934, "<one> net"),
    ],
)


@pytest.mark.parametrize(
    ("cell", "text"),
    [
        (61_100_840, "61,100,840"),
        (None, "–"),
        (15.47, "15.47"),
        (0.7142, "0.714"),
        (3.0, "3"),
        (1234.5, "1,234.5"),
        ("about 60 M", "about 60 M"),
    ],
)
def test_a_cell_is_written_as_people_write_it(cell, text):
    assert written(cell) == text


def test_a_ledger_is_aligned_text():
    title, head, first, second = repr(LEDGER).splitlines()
    assert title == "A net & its twin"
    assert head.split("  ")[0] == "figure"
    columns = [line.index(word) for line, word in [(head, "why"), (first, "other"), (second, "<")]]
    assert len(set(columns)) == 1
    assert "60,000,000 (section 3)" in first
    assert "–" in second


def test_a_ledger_is_a_table_whose_words_are_text():
    page = LEDGER._repr_html_()
    assert "<caption>A net &amp; its twin</caption>" in page
    assert page.count('scope="col"') == 5
    assert page.count('scope="row"') == 2
    assert "&lt;one&gt; net" in page
    assert "60,965,224" in page


def test_a_line_is_found_by_its_figure():
    assert LEDGER["parameters"].ours == 60_965_224
