import pytest
import torch
from torch import nn
from torch.nn import functional as F

from cnncourse.trace import trace
from cnncourse.trace.watch import stand_ins


class Written(nn.Module):
    """Parts, and a forward written as a function of the module and its inputs."""

    def __init__(self, run, **parts):
        super().__init__()
        self.run = run
        for name, part in parts.items():
            setattr(self, name, part)

    def forward(self, *inputs):
        return self.run(self, *inputs)


def names(found) -> list[str]:
    return [row.name for row in found.rows]


def test_work_beside_the_layers_has_a_row_of_its_module():
    net = Written(
        lambda s, x: F.conv2d(s.a(x), s.w), a=nn.ReLU(), w=nn.Parameter(torch.ones(2, 3, 3, 3))
    )
    a, whole = trace(net, (1, 3, 5, 5)).rows
    assert (a.name, a.macs) == ("a", 0)
    assert whole[:5] == ("(model)", "Written", (1, 2, 3, 3), 54, 54 * 9)


def test_a_container_that_only_passes_on_has_no_row():
    net = nn.Sequential(nn.Sequential(nn.Conv2d(3, 4, 3)), nn.ReLU())
    assert names(trace(net, (1, 3, 5, 5))) == ["0.0", "1"]


def test_parameters_of_a_list_count_where_they_are_used():
    weights = nn.ParameterList([torch.ones(1, 2, 3, 3) for _ in range(2)])
    net = Written(
        lambda s, x: sum(F.conv2d(x[:, i : i + 2], w) for i, w in enumerate(s.p)), p=weights
    )
    (row,) = trace(net, (1, 3, 5, 5)).rows
    assert (row.name, row.parameters, row.macs) == ("(model)", 36, 2 * 18 * 9)


def test_attention_counts_its_products_and_the_weights_of_a_part_that_is_not_called():
    net = nn.MultiheadAttention(16, 4, batch_first=True)
    net = Written(lambda s, x: s.attention(x, x, x)[0], attention=net)
    (row,) = trace(net, (2, 5, 16)).rows
    assert (row.name, row.kind, row.parameters) == ("attention", "MultiheadAttention", 1088)
    projections, products = 4 * 10 * 16 * 16, 2 * 2 * 5 * 5 * 16
    assert row.macs == projections + products
    assert row.activation_bytes == 4 * (2 * 5 * 16 + 2 * 5 * 5)  # its answer, and who looks where


def test_a_layer_used_twice_counts_its_parameters_once_and_its_macs_twice():
    layer = nn.Linear(4, 4)
    first, _, second = trace(nn.Sequential(layer, nn.ReLU(), layer), (2, 4)).rows
    assert (first.parameters, first.macs, first.note) == (20, 32, "")
    assert (second.parameters, second.macs) == (0, 32)
    assert (second.name, second.note) == ("0", "used again: parameters counted above")


def test_tied_weights_count_once():
    embedding, out = nn.Embedding(10, 4), nn.Linear(4, 10, bias=False)
    out.weight = embedding.weight
    found = trace(nn.Sequential(embedding, out), (2, 3), dtype=torch.long)
    assert [row.parameters for row in found.rows] == [40, 0]
    assert found.macs == 6 * 40


def test_what_never_ran_is_said_and_its_parameters_count():
    net = Written(lambda s, x: s.a(x), a=nn.Linear(2, 2), spare=nn.Linear(2, 3), r=nn.ReLU())
    net.left_over = nn.Parameter(torch.ones(7))
    found = trace(net, (1, 2))
    assert [(row.name, row.parameters, row.note) for row in found.rows[1:]] == [
        ("(model)", 7, "no memory of its own"),
        ("spare", 9, "never ran"),
    ]
    assert found.rows[2].output_shape == ()
    assert found.parameters == 6 + 7 + 9


def test_a_layer_in_place_or_a_view_makes_no_memory():
    net = nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU(inplace=True), nn.Flatten(), nn.Dropout())
    rows = trace(net, (1, 1, 5, 5)).rows
    assert [row.activation_bytes for row in rows] == [72, 0, 0, 0]
    assert [row.note for row in rows] == ["", *3 * ["no memory of its own"]]


def test_memory_is_counted_in_the_type_of_the_numbers():
    net = nn.Conv2d(1, 2, 3)
    assert trace(net, (1, 1, 5, 5)).activation_bytes == 2 * 9 * 4
    assert trace(net.half(), (1, 1, 5, 5)).activation_bytes == 2 * 9 * 2


def test_several_outputs_are_counted_together_and_the_first_gives_the_shape():
    (row,) = trace(nn.LSTM(8, 16), (5, 2, 8)).rows
    assert (row.output_shape, row.note) == ((5, 2, 16), "3 outputs")
    assert row.activation_bytes == 4 * (5 * 2 * 16 + 2 * 16 + 2 * 16)
    assert row.macs == 5 * 2 * 4 * 16 * (8 + 16)


def test_dictionaries_of_outputs_and_several_inputs_are_taken():
    net = Written(
        lambda s, x, y: {"sum": s.a(x) + s.b(y), "x": x}, a=nn.Linear(2, 3), b=nn.Linear(4, 3)
    )
    found = trace(net, [(5, 2), (5, 4)])
    assert [(row.name, row.output_shape) for row in found.rows] == [("a", (5, 3)), ("b", (5, 3))]


def test_products_that_are_not_known_are_named():
    weight = nn.Parameter(torch.ones(10, 84))
    by_hand = Written(lambda s, x: (x[:, None] - s.w).square().sum(2), w=weight)
    distance = Written(lambda s, x: torch.cdist(x, s.w), w=weight)
    for net, said in ((by_hand, "not counted: sub"), (distance, "not counted: _cdist_forward")):
        found = trace(net, (1, 84))
        assert (found.rows[0].note, found.unknown) == (said, ("(model)",))


def test_a_mask_made_anew_in_the_shape_of_the_input_is_no_product():
    def run(s, x):
        steps = x.new_ones(5).cumsum(0)
        return s.a(x) + (steps[:, None] - steps[None]).sum()

    assert trace(Written(run, a=nn.Linear(2, 2)), (1, 2)).unknown == ()


def test_a_failure_that_the_model_catches_leaves_the_rows_right():
    def run(s, x):
        try:
            return s.narrow(x)
        except RuntimeError:
            return s.wide(x)

    net = Written(run, narrow=nn.Linear(2, 2), wide=nn.Linear(3, 2))
    found = trace(nn.Sequential(net, nn.ReLU()), (1, 3))
    assert names(found) == ["0.wide", "1", "0.narrow"]
    assert found.rows[2].note == "never ran"


def test_on_meta_nothing_of_the_model_is_used_and_else_its_buffers_are_copies():
    net = nn.BatchNorm2d(3)
    parameters, buffers = stand_ins(net, torch.device("meta"))
    assert {x.device.type for x in (*parameters.values(), *buffers.values())} == {"meta"}
    parameters, buffers = stand_ins(net, torch.device("cpu"))
    assert parameters["weight"] is net.weight
    assert buffers["running_mean"] is not net.running_mean
    assert buffers["running_mean"].equal(net.running_mean)


@pytest.mark.parametrize("training", [True, False])
def test_autocast_and_inference_mode_around_it_change_nothing(training):
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)).train(training)
    plain = trace(net, (1, 3, 8, 8))
    with torch.inference_mode():
        assert trace(net, (1, 3, 8, 8)) == plain
        assert trace(nn.Conv2d(3, 4, 3), (1, 3, 8, 8)).macs == 3888
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert trace(net, (1, 3, 8, 8)).macs == plain.macs
