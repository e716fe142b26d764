import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils._python_dispatch import TorchDispatchMode

from cnncourse.trace import costs


class Counted(TorchDispatchMode):
    """Cost of every operation by its name; None stays None."""

    def __init__(self):
        super().__init__()
        self.found = {}

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        output = func(*args, **(kwargs or {}))
        given = costs.named_arguments(func, args, kwargs or {})
        self.found[costs.name_of(func)] = costs.macs_of(func, given, output)
        return output


def counted(run) -> dict[str, int | None]:
    with torch.no_grad(), Counted() as watch:
        run()
    return watch.found


def ones(*shape: int) -> Tensor:
    return torch.ones(shape)


@pytest.mark.parametrize(
    ("run", "name", "macs"),
    [
        # 2 images, 5 x 4 outputs, 6 kernels of 3 x (3, 2)
        (lambda: F.conv2d(ones(2, 3, 7, 5), ones(6, 3, 3, 2)), "convolution", 2 * 20 * 6 * 18),
        # groups: a kernel has one channel
        (lambda: F.conv2d(ones(1, 3, 3, 3), ones(3, 1, 3, 3), groups=3), "convolution", 27),
        (lambda: F.conv1d(ones(1, 2, 9), ones(4, 2, 3), stride=2), "convolution", 4 * 4 * 6),
        (lambda: F.conv3d(ones(1, 1, 2, 2, 2), ones(1, 1, 2, 2, 2)), "convolution", 8),
        # transposed: every input meets every weight of its channel, 3 x 3 inputs
        (lambda: F.conv_transpose2d(ones(2, 3, 3, 3), ones(3, 5, 2, 2)), "convolution", 2 * 9 * 60),
        (lambda: F.linear(ones(2, 3), ones(5, 3)), "mm", 30),
        (lambda: F.linear(ones(2, 3), ones(5, 3), ones(5)), "addmm", 30),
        (lambda: F.linear(ones(2, 4, 3), ones(5, 3)), "mm", 120),
        (lambda: torch.matmul(ones(6, 2, 3), ones(6, 3, 4)), "bmm", 144),
        (lambda: torch.einsum("bij,bkj->bik", ones(6, 2, 3), ones(6, 4, 3)), "bmm", 144),
        (lambda: torch.baddbmm(ones(6, 2, 4), ones(6, 2, 3), ones(6, 3, 4)), "baddbmm", 144),
        (lambda: torch.addbmm(ones(2, 4), ones(6, 2, 3), ones(6, 3, 4)), "addbmm", 144),
        (lambda: torch.mv(ones(4, 3), ones(3)), "mv", 12),
        (lambda: torch.addmv(ones(4), ones(4, 3), ones(3)), "addmv", 12),
        (lambda: torch.dot(ones(7), ones(7)), "dot", 7),
        (lambda: ones(2, 4).addmm_(ones(2, 3), ones(3, 4)), "addmm_", 24),
        # 2 pairs, 5 outputs of 3 x 4 weights
        (lambda: nn.Bilinear(3, 4, 5)(ones(2, 3), ones(2, 4)), "_trilinear", 2 * 60),
    ],
)
def test_macs_are_those_on_paper(run, name, macs):
    assert counted(run)[name] == macs


@pytest.mark.parametrize(
    "run",
    [
        lambda: ones(2, 3) + ones(3),
        lambda: ones(2, 3).mul_(2),
        lambda: F.max_pool2d(ones(1, 1, 4, 4), 2),
        lambda: F.adaptive_avg_pool2d(ones(1, 1, 6, 6), 3),
        lambda: F.batch_norm(ones(2, 3), ones(3), ones(3)),
        lambda: F.softmax(ones(2, 3), dim=1),
        lambda: torch.cat([ones(2), ones(3)]),
        lambda: ones(2, 3).view(6).sum(),
        lambda: F.embedding(torch.tensor([1]), ones(3, 2)),
        lambda: ones(2).new_zeros(3) + torch.zeros_like(ones(3)),
        lambda: torch.arange(3),
    ],
)
def test_by_convention_the_rest_counts_none(run):
    assert set(counted(run).values()) == {0}


def test_what_is_not_known_is_not_taken_for_nothing():
    found = counted(lambda: torch.cdist(ones(2, 3), ones(4, 3)))
    assert found["_cdist_forward"] is None
    assert counted(lambda: torch.linalg.cholesky(torch.eye(3)))["linalg_cholesky_ex"] is None


def test_an_operation_of_another_library_is_not_known():
    with torch.library._scoped_library("cnncourse_test", "DEF") as library:
        library.define("mm(Tensor self, Tensor mat2) -> Tensor")
        library.define("cat(Tensor self) -> Tensor")
        library.impl("mm", lambda a, b: a @ b, "CompositeExplicitAutograd")
        library.impl("cat", lambda a: a * 2, "CompositeExplicitAutograd")
        found = counted(lambda: torch.ops.cnncourse_test.mm(ones(2, 3), ones(3, 2)))
        found |= counted(lambda: torch.ops.cnncourse_test.cat(ones(2)))
    assert (found["mm"], found["cat"]) == (None, None)


@pytest.mark.parametrize(
    ("data", "other", "crossed"),
    [
        ((1, 1, 84), (10, 84), True),  # each of 84 numbers meets ten
        ((1, 8, 5, 5), (8, 1, 1), False),  # a factor a channel
        ((1, 8, 5, 5), (1, 8, 5, 5), False),
    ],
)
def test_a_product_by_hand_is_seen_where_the_data_are_stretched(data, other, crossed):
    x, w = ones(*data), ones(*other)
    assert costs.is_crossed(torch.ops.aten.sub.Tensor, [x], x - w) is crossed


def test_only_number_by_number_operations_can_be_products_by_hand():
    x = ones(2, 3)
    assert not costs.is_crossed(torch.ops.aten.cat.default, [x], torch.cat([x, x]))
    assert not costs.is_crossed(torch.ops.aten.sub.Tensor, [], x)


def test_arguments_come_by_name_with_defaults():
    given = costs.named_arguments(torch.ops.aten.sum.dim_IntList, (1, [2]), {"dtype": 3})
    assert given == {"self": 1, "dim": [2], "keepdim": False, "dtype": 3}


def test_tensors_are_found_in_lists_and_dictionaries():
    a, b, c = ones(1), ones(2), ones(3)
    assert [len(x) for x in costs.tensors({"x": [a, None, (b, 3)], "y": c})] == [1, 2, 3]
