"""The solutions of the lesson on GoogLeNet against the course's own blocks and against torch."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F

from cnncourse import arithmetic
from cnncourse.arithmetic import Layer
from cnncourse.exercises import compiled
from cnncourse.exercises.googlenet import (
    AUXILIARY_LOSS,
    CLASS_MAP,
    FACTORISE,
    INCEPTION,
    PAPER_5X5,
)
from cnncourse.models.googlenet import BLOCKS, Inception, Widths


def solution(exercise):
    return compiled(exercise.solution_code, exercise.name)


def test_the_path_is_the_one_of_the_papers_build():
    widths = BLOCKS["3a"]
    block = Inception(192, widths, batch_norm=False)
    path = solution(PAPER_5X5)(192, widths.reduce_5x5, widths.conv_5x5)
    path.load_state_dict(
        dict(zip(path.state_dict(), block.branch3.state_dict().values(), strict=True))
    )
    maps = torch.randn(2, 192, 9, 8)
    assert torch.allclose(path(maps), block.branch3(maps), atol=1e-6)


def test_a_path_may_be_written_as_a_class():
    class Path(nn.Module):
        def __init__(self, in_channels, reduce, out_channels):
            super().__init__()
            self.reduce = nn.Conv2d(in_channels, reduce, 1)
            self.conv = nn.Conv2d(reduce, out_channels, 5, padding="same")

        def forward(self, x):
            return self.conv(self.reduce(x).relu()).relu()

    assert PAPER_5X5.check(lambda *sizes: Path(*sizes)).kind == "right"


@given(count=st.integers(1, 9), channels=st.integers(1, 50))
def test_a_stack_sees_as_far_as_the_large_kernel(count, channels):
    side = arithmetic.receptive_field([Layer(3)] * count).size
    layers, large, stack = solution(FACTORISE)(side, channels)
    assert layers == count
    conv = {"bias": False}
    assert large == arithmetic.conv2d_parameters(channels, channels, kernel_size=side, **conv)
    assert stack == count * arithmetic.conv2d_parameters(channels, channels, kernel_size=3, **conv)


def test_two_3x3_save_28_percent_of_a_5x5():
    assert solution(FACTORISE)(5, 10) == (2, 2_500, 1_800)
    assert solution(FACTORISE)(7, 1) == (3, 49, 27)


@settings(max_examples=30)
@given(widths=st.lists(st.integers(1, 5), min_size=6, max_size=6), channels=st.integers(1, 4))
def test_the_forward_pass_is_the_blocks(widths, channels):
    block = Inception(channels, Widths(*widths), batch_norm=False)
    weights = []
    for module in block.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.zeros_(module.bias)
            weights.append(module.weight)
    maps = torch.randn(2, channels, 6, 5)
    assert torch.allclose(solution(INCEPTION)(maps, *weights), block(maps), atol=1e-5)


def test_a_sum_of_the_paths_is_wrong_where_it_is_possible():
    def added(x, w1, *others):
        return solution(INCEPTION)(x, w1, *others).sum(dim=1, keepdim=True)

    assert INCEPTION.check(added).kind == "wrong"


@given(count=st.integers(0, 2), weight=st.floats(0, 1), seed=st.integers(0, 99))
def test_the_loss_pulls_on_the_network_and_on_each_head(count, weight, seed):
    draw = torch.Generator().manual_seed(seed)
    parts = [torch.randn(3, 4, generator=draw).requires_grad_() for _ in range(count + 1)]
    labels = torch.randint(0, 4, (3,), generator=draw)
    solution(AUXILIARY_LOSS)(parts[0], parts[1:], labels, weight).backward()
    for number, part in enumerate(parts):
        alone = part.detach().clone().requires_grad_()
        F.cross_entropy(alone, labels).backward()
        factor = weight if number else 1.0
        assert torch.allclose(part.grad, factor * alone.grad, atol=1e-6)


def test_the_cases_of_the_loss_have_two_one_and_no_heads():
    cases = [AUXILIARY_LOSS.case(number) for number in range(AUXILIARY_LOSS.cases)]
    assert {len(heads) for _, heads, _, _ in cases} == {0, 1, 2}
    assert {weight for *_, weight in cases} == {0.1, 0.3, 1.0}


@given(
    channels=st.integers(1, 6), classes=st.integers(1, 5), seed=st.integers(0, 99), data=st.data()
)
def test_the_mean_of_a_class_map_is_the_logit(channels, classes, seed, data):
    torch.manual_seed(seed)
    maps, linear = torch.randn(channels, 4, 5), nn.Linear(channels, classes, bias=False)
    label = data.draw(st.integers(0, classes - 1))
    logit = linear(maps.mean(dim=(1, 2)))[label]
    mean = solution(CLASS_MAP)(maps, linear.weight, label).mean()
    assert mean.item() == pytest.approx(logit.item(), abs=1e-5)


def test_a_1x1_convolution_makes_the_class_maps_too():
    def by_convolution(maps, weight, label):
        return F.conv2d(maps[None], weight[:, :, None, None])[0, label]

    assert CLASS_MAP.check(by_convolution).kind == "right"


def test_the_first_cases_fit_on_paper():
    maps, weight, _ = CLASS_MAP.case(0)
    assert maps.numel() * weight.numel() <= 8
    assert INCEPTION.case(0)[0].numel() <= 9
