import numpy as np
import pytest

from cnncourse.explorers import typed


@pytest.mark.parametrize(
    ("text", "grid"),
    [
        ("1 0\n0 1", [[1, 0], [0, 1]]),
        (" 1,0 \n0,1\n", [[1, 0], [0, 1]]),
        ("-1 −2 1/4", [[-1, -2, 0.25]]),
        ("1e2\n.5", [[100], [0.5]]),
    ],
)
def test_rows_of_numbers_are_read_as_they_are_meant(text, grid):
    assert typed.grid_of(text, name="kernel", most=5).tolist() == grid


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "kernel: there is no number yet. Try: 1 0 on one line, 0 1 on the next."),
        (" \n ", "kernel: there is no number yet. Try: 1 0 on one line, 0 1 on the next."),
        ("1 2\n3", "kernel: row 2 has 1 number, row 1 has 2. Try: 2 numbers in each row."),
        ("1\n2\n\n3", "kernel: row 3 has 0 numbers, row 1 has 1. Try: 1 number in each row."),
        ("1 x", "kernel='x': is no number. Try: 2, -0.5 or 1/9."),
        ("1/0", "kernel='1/0': is no number. Try: 2, -0.5 or 1/9."),
        ("nan", "kernel='nan': is no number. Try: 2, -0.5 or 1/9."),
        ("inf", "kernel='inf': is no number. Try: 2, -0.5 or 1/9."),
        (
            "1 2 3 4",
            "kernel of 1 x 4: must be at most 3 x 3, to be seen at once. "
            "Try: fewer rows or columns.",
        ),
        (
            "1\n2\n3\n4",
            "kernel of 4 x 1: must be at most 3 x 3, to be seen at once. "
            "Try: fewer rows or columns.",
        ),
    ],
)
def test_what_is_no_grid_is_refused_in_words(text, said, refused):
    with refused(said):
        typed.grid_of(text, name="kernel", most=3)


def test_a_grid_is_typed_and_read_back(rng):
    grid = rng.integers(-9, 9, (3, 4)) / 4
    assert typed.grid_of(typed.text_of(grid), name="", most=4).tolist() == grid.tolist()


def test_the_field_holds_the_grid_and_as_many_lines():
    field = typed.typed_grid(np.eye(2), rows=5)
    assert (field.value, field.rows, field.layout.height) == ("1 0\n0 1", 5, "114px")
