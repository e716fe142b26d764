"""Fields are held to what a network does: NaN in a row of the picture spreads where it is seen."""

import random

import pytest
import torch
from torch import Tensor, nn

from cnncourse.arithmetic import ReceptiveField
from cnncourse.trace import fields, trace

CHANNELS = 4


class Written(nn.Module):
    """A forward written as a function, with parts."""

    def __init__(self, run, *parts):
        super().__init__()
        self.run, self.parts, self.end = run, nn.ModuleList(parts), nn.Identity()

    def forward(self, images):
        return self.end(self.run(images, *self.parts))


def seen_rows(net: nn.Module, height: int, width: int) -> list[set[int]]:
    """Which rows of the input each row of the output depends on: measured, not computed."""
    images = torch.ones(height, CHANNELS, height, width, dtype=torch.float64)
    for row in range(height):
        images[row, :, row] = torch.nan  # image number `row` has NaN in that row
    with torch.no_grad():
        changed = net.double().eval()(images).isnan().any(dim=3).any(dim=1)  # (input, output)
    return [set(changed[:, row].nonzero().flatten().tolist()) for row in range(changed.shape[1])]


def hold(net: nn.Module, *, height: int = 40, width: int = 24) -> ReceptiveField:
    """The field of the last row, once every unit whose field is inside the picture sees just it."""
    found = trace(net.double(), (1, CHANNELS, height, width)).rows[-1].field
    assert found is not None
    inside = 0
    for unit, seen in enumerate(seen_rows(net, height, width)):
        first = found.start + unit * found.jump
        last = first + found.size - 1
        assert seen <= set(range(first, last + 1))
        if first >= 0 and last < height:
            inside += 1
            assert (min(seen), max(seen)) == (first, last)
    assert inside > 0
    return found


# --- random networks ------------------------------------------------------------------------------


def a_layer(rng: random.Random) -> nn.Module:
    """A layer along both axes, with another window along the width than along the height."""
    kernel = (rng.choice([1, 2, 3]), rng.choice([1, 3]))
    stride = (rng.choice([1, 1, 2]), rng.choice([1, 2]))
    padding = (rng.randint(0, kernel[0] // 2), rng.randint(0, kernel[1] // 2))
    kind = rng.randrange(8)
    if kind < 3:
        dilation = (rng.choice([1, 2]), 1)
        groups = rng.choice([1, 2, 4])
        return nn.Conv2d(CHANNELS, CHANNELS, kernel, stride, padding, dilation, groups)
    if kind == 3:
        return nn.MaxPool2d(kernel, stride, padding, ceil_mode=rng.random() < 0.5)
    if kind == 4:
        return nn.AvgPool2d(kernel, stride, padding)
    return rng.choice([nn.BatchNorm2d(CHANNELS), nn.ReLU(), nn.ZeroPad2d((1, 0, 2, 1))])


def a_fork(rng: random.Random) -> nn.Module:
    """Branches that keep the size and meet in a sum, or side by side; or one with a stride."""
    stride = rng.choice([1, 2])
    reach = rng.choice([1, 2])
    wide = nn.Conv2d(CHANNELS, CHANNELS, 2 * reach + 1, stride, reach)
    narrow = nn.Conv2d(CHANNELS, CHANNELS, 1, stride)
    if rng.random() < 0.5:
        return Written(lambda x, a, b: (a(x) + b(x)).relu(), wide, narrow)
    mix = nn.Conv2d(2 * CHANNELS, CHANNELS, 1)
    return Written(lambda x, a, b, c: c(torch.cat([a(x), b(x)], dim=1)), wide, narrow, mix)


@pytest.mark.parametrize("seed", range(40))
def test_a_random_network_sees_what_its_field_says(seed):
    rng = random.Random(seed)
    torch.manual_seed(seed)
    parts = [a_fork(rng) if rng.random() < 0.3 else a_layer(rng) for _ in range(rng.randint(1, 5))]
    hold(nn.Sequential(*parts), height=70, width=40)


# --- single operations ----------------------------------------------------------------------------


def conv(*window) -> nn.Module:
    return nn.Conv2d(CHANNELS, CHANNELS, *window)


@pytest.mark.parametrize(
    ("net", "expected"),
    [
        (conv((5, 3), (2, 1), (2, 0)), (5, 2, -2)),
        (conv(3, 1, "same", 2), (5, 1, -2)),
        (conv(4, 1, "same"), (4, 1, -1)),  # the odd pixel of padding goes after
        (nn.Sequential(nn.ZeroPad2d((0, 0, 3, 1)), conv(3)), (3, 1, -3)),
        (nn.AdaptiveAvgPool2d((10, 3)), (4, 4, 0)),
        (nn.LocalResponseNorm(3), (1, 1, 0)),
        (nn.ChannelShuffle(2), (1, 1, 0)),
        (Written(lambda x, a: a(x.transpose(2, 3)).transpose(2, 3), conv((1, 3))), (3, 1, 0)),
        (Written(lambda x, a: a(x.permute(0, 1, 3, 2)).mT, conv((1, 3), 2)), (3, 2, 0)),
        (Written(lambda x: x[:, :, 3:-2:2]), (1, 2, 3)),
        (Written(lambda x: x[:, :, -9:]), (1, 1, 31)),
        (Written(lambda x: x[:, [2, 0, 1, 1]]), (1, 1, 0)),
        (Written(lambda x: x.amax(dim=1, keepdim=True)), (1, 1, 0)),
        (Written(lambda x: x[:, 0].unsqueeze(1)), (1, 1, 0)),
        (Written(lambda x: torch.cat(x.chunk(2, dim=1)[::-1], dim=1)), (1, 1, 0)),
        (Written(lambda x: x[:, :, 0::2] + x[:, :, 1::2]), (2, 2, 0)),
        (Written(lambda x: torch.ones(3, 1, 1) * x[:, :3] + torch.ones(40, 1)), (1, 1, 0)),
        (Written(lambda x: x.softmax(dim=1)), (1, 1, 0)),
        (Written(lambda x: x.unflatten(1, (2, 2)).flatten(1, 2)), (1, 1, 0)),
        (nn.Sequential(conv(3), nn.LayerNorm(22)), (3, 1, 0)),
    ],
)
def test_an_operation_sees_what_its_field_says(net, expected):
    assert hold(net) == expected


@pytest.mark.parametrize(
    "net",
    [
        nn.AdaptiveAvgPool2d(1),
        nn.AdaptiveAvgPool2d(7),  # 40 rows in 7 windows of two sizes
        nn.Flatten(),
        nn.GroupNorm(2, CHANNELS),
        nn.InstanceNorm2d(CHANNELS),
        nn.LayerNorm((CHANNELS, 40, 24)),
        nn.Upsample(scale_factor=2),
        nn.ConvTranspose2d(CHANNELS, CHANNELS, 2, 2),
        nn.PixelShuffle(2),
        Written(lambda x: x * x.mean(dim=(2, 3), keepdim=True)),  # squeeze and excitation
        Written(lambda x: x + x.mean(dim=2, keepdim=True)),
        Written(lambda x: torch.stack(x.unbind(1), dim=1)),  # it has, but nothing follows a stack
        Written(lambda x, a: a(x) + torch.zeros(40, 1), conv((40, 1))),  # one unit on 40 places
        Written(lambda x: x.softmax(dim=2)),
        Written(lambda x: x.roll(1, dims=2)),
        Written(lambda x: torch.cat([x, x], dim=2)),
        Written(lambda x: x + x.mT.mT.flip(2)),
        Written(lambda x: x[:, :, 3]),
        Written(lambda x, a: a(x)[:, :, ::2] + x[:, :, :20], conv(1)),  # paths that do not line up
        Written(lambda x, a: x.mT @ a.weight[0, 0, 0, 0].expand(40, 40), conv(1)),
    ],
)
def test_where_a_unit_has_no_place_of_its_own_there_is_no_field(net):
    assert trace(net, (1, CHANNELS, 40, 24)).rows[-1].field is None


def test_a_picture_that_was_written_to_in_part_has_no_field():
    def run(x, a):
        y = a(x)
        y[:, :, :5] += x.mean()
        return y

    assert trace(Written(run, conv(1)), (1, CHANNELS, 40, 24)).rows[-1].field is None


def test_a_constant_in_a_sum_changes_no_field():
    net = Written(lambda x, a: a(x) + a.bias[:, None, None] + torch.ones(38, 22), conv(3))
    assert hold(net) == (3, 1, 0)


# --- axes -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("net", "shape", "sizes"),
    [
        (
            nn.Sequential(nn.Conv1d(2, 2, 3, 2, 1), nn.MaxPool1d(2), nn.AvgPool1d(2)),
            (1, 2, 32),
            [3, 5, 9],
        ),
        (nn.Sequential(nn.Conv3d(2, 2, (1, 3, 5)), nn.MaxPool3d(2)), (1, 2, 8, 16, 32), [3, 4]),
    ],
)
def test_the_field_is_along_the_length_or_the_height(net, shape, sizes):
    assert [row.field.size for row in trace(net, shape).rows] == sizes


def test_rows_of_numbers_have_no_field():
    assert fields.place_of_input(torch.ones(2, 5)) is None
    assert trace(nn.Linear(5, 3), (2, 5)).rows[0].field is None


# --- the algebra ----------------------------------------------------------------------------------


def test_fields_come_together_as_on_paper():
    first, second = ReceptiveField(3, 2, -1), ReceptiveField(5, 3, -2)
    assert fields.through(first, second) == (3 + 4 * 2, 6, -1 - 2 * 2)
    assert fields.through(fields.SAME, first) == first == fields.through(first, fields.SAME)


def test_a_union_reaches_from_the_first_to_the_last_pixel():
    one = fields.Place(2, ReceptiveField(3, 2, -4))
    other = fields.Place(2, ReceptiveField(2, 2, 5))
    assert fields.union([one, other]) == (2, (11, 2, -4))
    assert fields.union([one]) == one
    assert fields.union([one, None]) is None
    assert fields.union([one, fields.Place(2, ReceptiveField(3, 4, -4))]) is None
    assert fields.union([one, fields.Place(3, one.field)]) is None


def test_a_view_keeps_an_axis_that_has_as_many_numbers_before_it():
    before = torch.Size((2, 6, 5, 7))
    for after, place in (
        ((2, 3, 2, 5, 7), 3),
        ((12, 5, 7), 1),
        ((2, 6, 35), -1),
        ((2, 30, 7), -1),
        ((1, 2, 6, 5, 7), 3),
        ((2, 5, 6, 7), -1),
    ):
        assert fields.same_axis(2, before, torch.Size(after)) == place


def test_tensors_of_other_lengths_are_aligned_at_their_ends():
    x: Tensor = torch.ones(4, 9, 9)
    net = Written(lambda images, a: a(images)[0] + x, conv(1))
    found = trace(net, (1, CHANNELS, 9, 9)).rows[-1].field
    assert found == fields.SAME
