import math

import pytest
import torch
from torch import nn

from cnncourse.transfer.audit import HEADINGS, audit, snapshot


def network():
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.Flatten(), nn.Linear(8, 2))


def changed(name, value):
    """States of one network, a number of one tensor of it set to value in the second."""
    before = snapshot(network())
    after = {key: tensor.clone() for key, tensor in before.items()}
    after[name].view(-1)[0] = value
    return before, after


def test_nothing_moved_is_nothing_moved():
    found = audit(snapshot(network()), network())
    assert (found.moved, found.drifted, found.counters) == ((), (), ())
    assert all(row.largest == row.relative == 0 for row in found.rows)
    assert found.of("parameter", moved=False) == (
        "0.weight", "0.bias", "1.weight", "1.bias", "3.weight", "3.bias",
    )  # fmt: skip


def test_a_forward_pass_in_train_mode_moves_statistics_alone():
    model = network()
    before = snapshot(model)
    model.eval()(torch.ones(2, 1, 4, 4))
    assert not any(row.moved for row in audit(before, model).rows)
    model.train()(torch.ones(2, 1, 4, 4))
    found = audit(before, model)
    assert found.moved == ()
    assert found.drifted == ("1.running_mean", "1.running_var")
    assert found.counters == ("1.num_batches_tracked",)


@pytest.mark.parametrize("name", ["0.weight", "1.running_var", "1.num_batches_tracked"])
def test_one_number_of_one_tensor_is_seen(name):
    found = audit(*changed(name, 7))
    assert [row.name for row in found.rows if row.moved] == [name]


def test_the_change_is_the_largest_and_its_share_by_the_norms():
    before = {"w": torch.tensor([3.0, 4.0]), "z": torch.zeros(2)}
    after = {"w": torch.tensor([3.0, 1.0]), "z": torch.tensor([0.0, 0.5])}
    w, z = audit(before, after).rows
    assert (w.largest, w.relative) == (3.0, pytest.approx(3 / 5))
    assert (z.largest, z.relative) == (0.5, math.inf)


def test_nan_that_stays_is_no_change_and_one_that_comes_is():
    nan = float("nan")
    before = {"w": torch.tensor([nan, 1.0]), "v": torch.tensor([1.0])}
    found = audit(before, {"w": torch.tensor([nan, 2.0]), "v": torch.tensor([nan])})
    assert found.rows[0].largest == 1.0
    assert found.moved == ("w", "v")
    assert math.isnan(found.rows[1].largest)
    assert str(found).splitlines()[-1].endswith("  nan")


def test_a_whole_step_of_a_large_counter_is_seen():
    before = {"n.num_batches_tracked": torch.tensor(10**9)}
    found = audit(before, {"n.num_batches_tracked": torch.tensor(10**9 + 1)})
    assert found.counters == ("n.num_batches_tracked",)
    assert str(found).splitlines()[-1].split("  ")[-1].strip() == "0"  # of no interest as a change


def test_the_table_has_a_line_for_each_part_and_the_sum():
    found = audit(*changed("1.running_mean", 0.25))
    lines = [line.split("  ") for line in str(found).splitlines()]
    words = [[word.strip() for word in line if word.strip()] for line in lines]
    assert words == [
        list(HEADINGS),
        ["0", "0 of 2", "–", "–", "0"],
        ["1", "0 of 2", "1 of 2", "0 of 1", "0.25"],
        ["3", "0 of 2", "–", "–", "0"],
        ["whole", "0 of 6", "1 of 2", "0 of 1", "0.25"],
    ]
    page = found._repr_html_()
    assert page.count("<tr>") == len(lines)
    assert "1 of 2</td>" in page


def test_names_in_a_page_are_text():
    before = {"<b>x</b>.w": torch.zeros(1)}
    page = audit(before, {"<b>x</b>.w": torch.ones(1)})._repr_html_()
    assert "<b>" not in page
    assert "&lt;b&gt;x&lt;/b&gt;" in page


def test_a_state_dict_that_was_not_copied_is_refused(refused):
    model = network()
    before = model.state_dict()
    with torch.no_grad():
        model[0].weight += 1
    with refused(
        "0.weight: before and after share memory, so no change can be seen: state_dict() copies "
        "nothing. Try: before = snapshot(model)."
    ):
        audit(before, model)


def test_states_of_two_networks_are_refused(refused):
    before, other = snapshot(network()), snapshot(network())
    attempt = "must be states of one network. Try: a snapshot after the head was replaced."
    other["3.weight"] = torch.zeros(5, 8)
    with refused(f"3.weight: before (2, 8) float32, after (5, 8) float32: {attempt}"):
        audit(before, other)
    other["3.weight"] = before["3.weight"].half()
    with refused(f"3.weight: before (2, 8) float32, after (2, 8) float16: {attempt}"):
        audit(before, other)
    del other["3.weight"]
    with refused(f"3.weight: before (2, 8) float32, after none: {attempt}"):
        audit(before, other)
    with refused(f"3.weight: before none, after (2, 8) float32: {attempt}"):
        audit(other, before)


def test_a_snapshot_stays_where_it_was():
    model = network()
    before = snapshot(model)
    with torch.no_grad():
        model[0].weight.zero_()
    assert before["0.weight"].abs().min() > 0
    assert not before["0.weight"].requires_grad
