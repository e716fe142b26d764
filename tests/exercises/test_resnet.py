"""The solutions of the lesson on ResNet against torchvision's blocks and torch's gradients."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F
from torchvision.models.resnet import BasicBlock, Bottleneck

from cnncourse.exercises import compiled
from cnncourse.exercises.resnet import (
    BASIC_BLOCK,
    BOTTLENECK,
    GRADIENT_NORMS,
    SHORTCUT_A,
    WRONG_STRIDES,
)
from cnncourse.models.resnet import make_shortcut


def solution(exercise):
    return compiled(exercise.solution_code, exercise.name)


@settings(max_examples=15)
@given(
    channels=st.integers(1, 4),
    stride=st.integers(1, 2),
    height=st.integers(2, 7),
    seed=st.integers(0, 99),
)
def test_the_block_is_torchvisions(channels, stride, height, seed):
    torch.manual_seed(seed)
    around = nn.Conv2d(channels, channels, 1, stride) if stride == 2 else nn.Identity()
    block = BasicBlock(channels, channels, stride, around)
    parts = block.conv1, block.bn1, block.conv2, block.bn2, around
    x = torch.randn(2, channels, height, 5)
    torch.testing.assert_close(solution(BASIC_BLOCK)(x, *parts), block(x))


def test_blocks_with_and_without_a_stride_are_among_the_cases():
    strides = [BASIC_BLOCK.case(number)[1].stride for number in range(4)]
    assert strides == [(1, 1), (2, 2), (1, 1), (2, 2)]


@settings(max_examples=30)
@given(
    channels=st.integers(1, 4),
    more=st.integers(0, 5),
    stride=st.integers(1, 3),
    height=st.integers(1, 7),
    seed=st.integers(0, 99),
)
def test_shortcut_a_is_a_convolution_with_an_identity_kernel(channels, more, stride, height, seed):
    x = torch.randn(2, channels, height, 6, generator=torch.Generator().manual_seed(seed))
    kernel = torch.eye(channels + more, channels)[:, :, None, None]  # new channels: zeros
    expected = F.conv2d(x, kernel, stride=stride)
    torch.testing.assert_close(solution(SHORTCUT_A)(x, channels + more, stride), expected)


def test_shortcut_a_is_the_course_s_own():
    def ours(x, out_channels, stride):
        return make_shortcut(x.shape[1], out_channels, stride=stride, option="A")(x)

    assert SHORTCUT_A.check(ours).kind == "right"


@settings(max_examples=15)
@given(width=st.integers(1, 40))
def test_the_weights_are_those_of_torchvisions_blocks(width):
    def weights(block):
        return sum(m.weight.numel() for m in block.modules() if isinstance(m, nn.Conv2d))

    with torch.device("meta"):
        expected = weights(Bottleneck(4 * width, width)), weights(BasicBlock(4 * width, 4 * width))
    assert solution(BOTTLENECK)(4 * width, width) == expected


def test_the_papers_bottleneck_is_among_the_cases():
    assert solution(BOTTLENECK)(256, 64) == (69_632, 1_179_648)
    assert (256, 64) in [BOTTLENECK.case(number) for number in range(BOTTLENECK.cases)]


@settings(max_examples=40)
@given(
    strides=st.lists(st.integers(1, 3), min_size=4, max_size=4),
    height=st.integers(160, 290),  # so large that a half and a third always differ
    width=st.integers(160, 290),
)
def test_the_wrong_stages_of_real_convolutions_are_found(strides, height, width):
    x, shapes = torch.empty(1, 1, height, width, device="meta"), [(1, 1, height, width)]
    for stride in strides:
        x = nn.Conv2d(1, 1, 3, stride, padding=1, device="meta")(x)
        shapes.append(tuple(x.shape))
    right = (1, 2, 2, 2)
    expected = [stage for stage in range(1, 5) if strides[stage - 1] != right[stage - 1]]
    assert solution(WRONG_STRIDES)(shapes) == expected


def test_the_first_trace_is_right_and_the_second_that_of_the_most_copied_mistake():
    outcomes = [solution(WRONG_STRIDES)(*WRONG_STRIDES.case(number)) for number in range(2)]
    assert outcomes == [[], [3, 4]]


def test_shapes_of_torch_are_welcome():
    shapes = [torch.Size(shape) for shape in WRONG_STRIDES.case(1)[0]]
    assert solution(WRONG_STRIDES)(shapes) == [3, 4]


@settings(max_examples=15)
@given(depth=st.integers(1, 4), images=st.integers(2, 5), seed=st.integers(0, 99))
def test_the_norms_are_those_of_torchs_own_gradients(depth, images, seed):
    torch.manual_seed(seed)
    layers = [nn.Conv2d(1, 1, 3, padding=1) for _ in range(depth)]
    model = nn.Sequential(*layers, nn.Flatten(), nn.Linear(25, 3))
    batch, labels = torch.randn(images, 1, 5, 5), torch.randint(3, (images,))
    loss = F.cross_entropy(model(batch), labels)
    gradients = torch.autograd.grad(loss, [layer.weight for layer in layers])
    expected = [gradient.square().sum().sqrt().item() for gradient in gradients]
    assert solution(GRADIENT_NORMS)(model, batch, labels) == pytest.approx(expected, rel=1e-4)


def test_every_second_network_comes_with_gradients_of_before():
    stale = [GRADIENT_NORMS.case(number)[0][0].weight.grad is not None for number in range(4)]
    assert stale == [False, True, False, True]


def test_norms_by_autograd_alone_are_right_too():
    def by_autograd(model, images, labels):
        kernels = [module.weight for module in model.modules() if isinstance(module, nn.Conv2d)]
        gradients = torch.autograd.grad(F.cross_entropy(model(images), labels), kernels)
        return [float(gradient.norm()) for gradient in gradients]

    assert GRADIENT_NORMS.check(by_autograd).kind == "right"
