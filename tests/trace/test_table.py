import pytest

from cnncourse.arithmetic import ReceptiveField
from cnncourse.trace.table import Row, Trace

ROWS = (
    Row("stem", "Conv2d", (1, 8, 14, 14), 80, 12_544, 6_272, ReceptiveField(3, 1, -1)),
    Row("block.0", "ReLU", (1, 8, 14, 14), 0, 0, 0, ReceptiveField(3, 1, -1), "no memory"),
    Row("block.1", "Conv2d", (1, 4, 7, 7), 36, 1_568, 784, ReceptiveField(5, 2, -1)),
    Row("head.spare", "Linear", (), 9, 0, 0, None, "never ran"),
)


def test_totals_add_up_the_rows():
    trace = Trace(ROWS)
    assert (trace.parameters, trace.macs, trace.activation_bytes) == (125, 14_112, 7_056)


def test_a_group_has_the_sums_of_its_rows_and_the_end_of_its_last():
    stem, block, head = Trace(ROWS, trainable=5, unknown=("stem",), note="n").grouped().rows
    assert stem == ROWS[0]
    last = ReceptiveField(5, 2, -1)
    assert block == Row("block", "2 rows", (1, 4, 7, 7), 36, 1_568, 784, last)
    assert head == ROWS[3]._replace(name="head")


def test_grouping_changes_no_sum_and_keeps_what_is_said():
    trace = Trace(ROWS, trainable=5, unknown=("stem",), note="n")
    for level in (1, 2, 3):
        grouped = trace.grouped(level)
        assert (grouped.parameters, grouped.macs) == (trace.parameters, trace.macs)
        assert (grouped.trainable, grouped.unknown, grouped.note) == (5, ("stem",), "n")
    assert trace.grouped(2).rows == ROWS


def test_a_group_whose_last_row_never_ran_ends_with_the_last_that_did():
    idle = Row("block.2", "Linear", (), 1, 0, 0, None, "never ran")
    (block,) = Trace((ROWS[2], idle)).grouped().rows
    assert (block.output_shape, block.parameters) == ((1, 4, 7, 7), 37)


def test_rows_apart_that_share_a_name_are_one_group_at_its_first_place():
    again = ROWS[0]._replace(parameters=0)
    names = [row.name for row in Trace((*ROWS, again)).grouped().rows]
    assert names == ["stem", "block", "head"]


@pytest.mark.parametrize("level", [0, 1.5])
def test_a_level_is_a_whole_number_from_one(level, refused):
    sentence = f"level={level}: must be a whole number, 1 or more. Try: level=1."
    with refused(sentence):
        Trace(ROWS).grouped(level)


def test_the_text_is_aligned_numbers_to_the_right():
    lines = str(Trace(ROWS, note="run on zeros")).splitlines()
    assert lines[0].split() == [
        *("layer", "kind", "output", "parameters", "MACs", "bytes", "sees", "px", "note")
    ]
    assert lines[2] == "stem        Conv2d  1×8×14×14          80  12,544  6,272        3"
    assert (
        lines[3] == "block.0     ReLU    1×8×14×14           0       0      0        3  no memory"
    )
    assert lines[5].split() == ["head.spare", "Linear", "–", "9", "0", "0", "–", "never", "ran"]
    assert lines[7] == "total                                 125  14,112  7,056"
    assert lines[8] == "run on zeros"
    assert repr(Trace(ROWS)) == str(Trace(ROWS))


def test_the_total_says_what_is_not_counted():
    assert str(Trace(ROWS, unknown=("a", "b"))).endswith("not all counted: a, b")


def test_the_table_has_headings_and_every_name_is_text():
    row = ROWS[0]._replace(name="<img src=x>", note="a & b")
    table = Trace((row,), note="<script>")._repr_html_()
    assert "<img" not in table
    assert "<script" not in table
    assert "&lt;img src=x&gt;" in table
    assert "a &amp; b" in table
    assert table.count('<th scope="col">') == 8
    assert table.count('<th scope="row"') == 2
    assert "<caption>&lt;script&gt;</caption>" in table
    assert '<td style="text-align: right">12,544</td>' in table
    assert '<td style="text-align: left">Conv2d</td>' in table
