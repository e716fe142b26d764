import copy

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F

from cnncourse.exercises import compiled
from cnncourse.exercises import vgg as lesson
from cnncourse.exercises.vgg import BATCH_NORM_STEP, FEATURES, FOLD, KAIMING_STD, WITHOUT_BIAS
from cnncourse.models import vgg


def solution(exercise):
    return compiled(exercise.solution_code, exercise.name)


# --- from the table -------------------------------------------------------------------------------


@settings(max_examples=15)
@given(
    table=st.lists(st.tuples(st.integers(1, 3), st.integers(1, 4)), min_size=1, max_size=3),
    in_channels=st.integers(1, 3),
)
def test_the_table_gives_the_layers_of_the_course(table, in_channels):
    depths, widths = ([row[place] for row in table] for place in (0, 1))
    expected = vgg.vgg_features(depths, widths, in_channels=in_channels)
    layers = solution(FEATURES)(depths, widths, in_channels)
    layers.load_state_dict(expected.state_dict())
    images = torch.randn(2, in_channels, 17, 16)
    assert torch.equal(layers(images), expected(images))


def test_another_way_to_write_the_layers_is_right_too():
    def features(depths, widths, in_channels):
        stages = []
        for depth, width in zip(depths, widths, strict=True):
            stage = nn.Sequential()
            for _ in range(depth):
                stage.append(nn.Conv2d(in_channels, width, (3, 3), padding="same"))
                stage.append(nn.LeakyReLU(0.0))
                in_channels = width
            stages.append(nn.Sequential(stage, nn.MaxPool2d((2, 2))))
        return nn.Sequential(*stages)

    assert FEATURES.check(features).kind == "right"


def test_a_dilated_convolution_is_not_mistaken_for_vggs():
    def features(depths, widths, in_channels):
        layers = solution(FEATURES)(depths, widths, in_channels)
        for layer in layers:
            if isinstance(layer, nn.Conv2d):
                layer.dilation, layer.padding = (2, 2), (2, 2)
        return layers

    assert FEATURES.check(features).kind == "wrong"


# --- a good start ---------------------------------------------------------------------------------


@settings(max_examples=20)
@given(
    channels=st.tuples(st.integers(1, 6), st.integers(1, 6)),
    kernel_size=st.integers(1, 5),
    groups=st.integers(1, 3),
)
def test_the_standard_deviation_is_torchs(channels, kernel_size, groups):
    in_channels, out_channels = (groups * count for count in channels)
    convolution = nn.Conv2d(in_channels, out_channels, kernel_size, groups=groups)
    weight = torch.empty(4000, *convolution.weight.shape[1:])  # only the fan_in counts
    torch.manual_seed(0)
    nn.init.kaiming_normal_(weight, nonlinearity="relu")
    std = solution(KAIMING_STD)(in_channels, out_channels, kernel_size, groups)
    assert weight.std().item() == pytest.approx(std, rel=0.05)


def test_the_cases_ask_for_groups_and_for_vggs_widest_layer():
    cases = [KAIMING_STD.case(number) for number in range(KAIMING_STD.cases)]
    assert (512, 512, 3, 1) in cases
    assert {groups for *_, groups in cases} == {1, 2, 4}
    assert all(i % g == 0 and o % g == 0 for i, o, _, g in cases)


# --- batch normalisation --------------------------------------------------------------------------


@settings(max_examples=20)
@given(
    shape=st.tuples(st.integers(2, 4), st.integers(1, 3), st.integers(1, 4), st.integers(1, 4)),
    momentum=st.floats(0.01, 0.99),
    eps=st.floats(1e-5, 1),
    seed=st.integers(0, 99),
)
def test_a_step_is_torchs(shape, momentum, eps, seed):
    torch.manual_seed(seed)
    images = 5 + 3 * torch.randn(shape)
    norm = nn.BatchNorm2d(shape[1], eps=eps, momentum=momentum)
    mean, var = torch.randn(shape[1]), torch.rand(shape[1])
    norm.running_mean.copy_(mean)
    norm.running_var.copy_(var)
    expected = norm(images)
    output, new_mean, new_var = solution(BATCH_NORM_STEP)(images, mean, var, momentum, eps)
    torch.testing.assert_close(output, expected, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(new_mean, norm.running_mean)
    torch.testing.assert_close(new_var, norm.running_var)


@pytest.mark.parametrize("number", range(12))
def test_folding_is_the_courses_and_does_what_both_did(number):
    convolution, norm = FOLD.case(number)
    weight, bias = solution(FOLD)(convolution, norm)
    folded = vgg.fold_batch_norm(convolution, norm)
    torch.testing.assert_close(weight, folded.weight.detach())
    torch.testing.assert_close(bias, folded.bias.detach())
    images = torch.randn(2, convolution.in_channels, 5, 6)
    answered = F.conv2d(images, weight, bias, groups=convolution.groups)
    assert (answered - norm(convolution(images))).abs().max() < 1e-5


def test_a_fold_that_keeps_its_graph_is_right_too():
    def fold(convolution, norm):
        folded = vgg.fold_batch_norm(convolution, norm)
        return folded.weight, folded.bias

    assert FOLD.check(fold).kind == "right"


def test_the_pairs_are_with_and_without_bias_and_some_in_groups():
    pairs = [lesson.pair_case(number)[0] for number in range(FOLD.cases)]
    assert {pair.bias is None for pair in pairs} == {True, False}
    assert {pair.groups for pair in pairs} == {1, 2}
    assert all(
        lesson.pair_case(number, with_bias=True)[0].bias is not None for number in range(FOLD.cases)
    )


@pytest.mark.parametrize("number", range(8))
def test_without_its_bias_a_pair_does_what_it_did(number):
    convolution, norm = (module.double() for module in WITHOUT_BIAS.case(number))
    images = torch.randn(3, convolution.in_channels, 5, 4).double()
    before = [copy.deepcopy(norm).train(mode)(convolution(images)) for mode in (False, True)]
    running_mean, shift = solution(WITHOUT_BIAS)(convolution, norm)
    norm.running_mean, norm.bias = running_mean.detach(), nn.Parameter(shift)
    convolution.bias = None
    after = [copy.deepcopy(norm).train(mode)(convolution(images)) for mode in (False, True)]
    for one, other in zip(before, after, strict=True):
        torch.testing.assert_close(one, other)


def test_the_answer_may_come_as_a_list_of_fresh_tensors():
    def without_bias(convolution, norm):
        return [norm.running_mean - convolution.bias.detach(), norm.bias.detach().clone()]

    assert WITHOUT_BIAS.check(without_bias).kind == "right"
