"""What a batch found, as rows: the table, the CSV and the Parquet file say the same."""

import csv
import sys

import pytest

from cnncourse import report

EVENTS = [
    {
        "job": "a",
        "lesson": "01_one",
        "state": "passed",
        "seconds": 12.34,
        "peak_memory_mb": 640,
        "tries": 1,
        "message": "",
        "headline": "≈ 98 % right",
        "parameters": {"seed": 1, "rate": 0.1},
        "numbers": {"accuracy": 0.98},
        "output": "a.ipynb",
    },
    {
        "job": "b",
        "lesson": "02_two",
        "state": "timed out",
        "seconds": 600.0,
        "message": "cell 3 of 9: <script>alert(1)</script>",
        "parameters": {"seed": "x", "sizes": [1, 2]},
    },
    {"job": "c", "lesson": "02_two", "state": "not run", "parameters": {}},
]


def test_rows_have_every_column_and_failures_come_first():
    found = report.rows(EVENTS)
    assert [row["job"] for row in found] == ["b", "c", "a"]
    columns = [*report.COLUMNS, "param.seed", "param.rate", "param.sizes", "number.accuracy"]
    assert all(list(row) == columns for row in found)
    assert found[2]["number.accuracy"] == 0.98
    assert found[1]["param.seed"] is None


def test_the_table_has_a_line_a_job_in_columns():
    assert report.table(report.rows(EVENTS)).splitlines() == [
        "job  result     seconds  memory  headline",
        "b    timed out    600.0       -  cell 3 of 9: <script>alert(1)</script>",
        "c    not run          -       -  ",
        "a    passed        12.3  640 MB  ≈ 98 % right",
    ]


def test_the_table_has_no_character_that_a_terminal_obeys():
    hostile = {"message": "\x1b]0;mine\x07\x1b[1A\x1b[Kred\nnext"}
    text = report.table(report.rows([EVENTS[1] | hostile]))
    assert text.splitlines()[1].endswith("  ?]0;mine?red next")


def test_lone_surrogates_and_numbers_that_are_none_are_written(tmp_path):
    odd = {"message": "a \ud800", "numbers": {"loss": float("nan"), "most": float("inf")}}
    report.write_tables(report.rows([EVENTS[0] | odd]), tmp_path)
    with (tmp_path / "results.csv").open(encoding="utf-8", newline="") as file:
        (row,) = csv.DictReader(file)
    assert (row["message"], row["number.loss"], row["number.most"]) == ("a \\ud800", "nan", "inf")


def test_the_csv_has_every_parameter_and_every_number(tmp_path):
    report.write_tables(report.rows(EVENTS), tmp_path)
    with (tmp_path / "results.csv").open(encoding="utf-8", newline="") as file:
        found = list(csv.DictReader(file))
    assert [row["job"] for row in found] == ["b", "c", "a"]
    assert found[2]["param.rate"] == "0.1"
    assert found[2]["number.accuracy"] == "0.98"
    assert found[2]["headline"] == "≈ 98 % right"
    assert found[0]["param.sizes"] == "[1, 2]"
    assert found[1]["param.seed"] == ""


def test_the_parquet_file_has_the_same_rows(tmp_path):
    parquet = pytest.importorskip("pyarrow.parquet", reason="needs pyarrow: cnncourse[parquet]")
    found = report.rows(EVENTS)
    assert [path.name for path in report.write_tables(found, tmp_path)] == [
        "results.csv",
        "results.parquet",
    ]
    stored = parquet.read_table(tmp_path / "results.parquet").to_pylist()
    assert stored[2] == found[2] | {"param.seed": "1"}  # text beside it: text it is
    assert stored[0]["param.sizes"] == "[1, 2]"


def test_a_whole_number_of_more_than_64_bits_is_text_in_the_parquet_file(tmp_path):
    parquet = pytest.importorskip("pyarrow.parquet", reason="needs pyarrow: cnncourse[parquet]")
    found = report.rows([EVENTS[0] | {"parameters": {"seed": size}} for size in (2**63, -(2**63))])
    report.write_tables(found, tmp_path)
    stored = parquet.read_table(tmp_path / "results.parquet").to_pylist()
    assert [row["param.seed"] for row in stored] == [str(2**63), str(-(2**63))]


def test_without_pyarrow_there_is_the_csv_alone(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    assert report.write_tables(report.rows(EVENTS), tmp_path) == [tmp_path / "results.csv"]


def test_nothing_to_tell_is_a_table_without_rows(tmp_path):
    assert report.table([]) == "job  result  seconds  memory  headline"
    report.write_tables([], tmp_path)
    assert (tmp_path / "results.csv").read_text("utf-8").startswith("job,lesson,state")
