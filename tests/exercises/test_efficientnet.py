"""The solutions of the lesson on EfficientNet against torch, torchvision and the tracer."""

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torchvision import ops
from torchvision.models import efficientnet as theirs
from torchvision.models._utils import _make_divisible

from cnncourse.exercises import compiled
from cnncourse.exercises import efficientnet as lesson
from cnncourse.exercises.efficientnet import (
    MAKE_DIVISIBLE,
    RESOLUTION_OF,
    SCALED_LAYERS,
    SQUEEZE_EXCITE,
    STOCHASTIC_DEPTH,
    layers_of,
)
from cnncourse.models import efficientnet
from cnncourse.trace import trace


def solution(exercise):
    return compiled(exercise.solution_code, exercise.name)


# --- rounding -------------------------------------------------------------------------------------


@settings(max_examples=60)
@given(channels=st.floats(0.5, 3000), divisor=st.integers(1, 32))
def test_channels_are_rounded_as_torchvision_rounds_them(channels, divisor):
    assert solution(MAKE_DIVISIBLE)(channels, divisor) == _make_divisible(channels, divisor)


def test_the_courses_own_function_is_a_right_answer():
    def ours(channels, divisor):
        return efficientnet.make_divisible(channels, divisor)

    assert MAKE_DIVISIBLE.check(ours).kind == "right"


def test_a_half_and_a_loss_of_a_tenth_are_among_the_first_cases():
    cases = [MAKE_DIVISIBLE.case(number) for number in range(8)]
    assert any(channels % divisor == divisor / 2 > 1 for channels, divisor in cases)
    assert any(8 * round(channels / 8) < 0.9 * channels for channels, _ in cases)


@settings(max_examples=40)
@given(depth=st.floats(0.1, 4), layers=st.lists(st.integers(1, 9), max_size=7))
def test_layers_are_rounded_as_torchvision_rounds_them(depth, layers):
    expected = [theirs.MBConvConfig.adjust_depth(count, depth) for count in layers]
    assert solution(SCALED_LAYERS)(layers, depth) == expected


def test_b1_has_23_blocks():
    layers = [stage.layers for stage in efficientnet.STAGES]
    assert sum(layers) == 16
    deeper = solution(SCALED_LAYERS)(layers, 1.1)
    assert deeper == [2, 3, 3, 4, 4, 5, 2]
    assert f"{sum(deeper) / 16:.2f}" == "1.44"  # of the question's answer


# --- squeeze and excitation -----------------------------------------------------------------------


@settings(max_examples=20, deadline=None)
@given(shape=st.tuples(*[st.integers(1, 5)] * 4), few=st.integers(1, 4), seed=st.integers(0, 99))
def test_squeeze_and_excitation_is_torchvisions(shape, few, seed):
    torch.manual_seed(seed)
    layer = ops.SqueezeExcitation(shape[1], few, activation=torch.nn.SiLU)
    maps = torch.randn(shape)
    ours = solution(SQUEEZE_EXCITE)(
        maps,
        layer.fc1.weight[:, :, 0, 0],
        layer.fc1.bias,
        layer.fc2.weight[:, :, 0, 0],
        layer.fc2.bias,
    )
    torch.testing.assert_close(ours, layer(maps))


# --- stochastic depth -----------------------------------------------------------------------------


@settings(max_examples=20, deadline=None)
@given(count=st.integers(1, 40), p=st.floats(0.05, 0.95), seed=st.integers(0, 99))
def test_what_survives_is_divided_as_by_torchvision(count, p, seed):
    torch.manual_seed(seed)
    residual, shortcut = torch.randn(2, count, 2, 3, 3)
    dropped = ops.stochastic_depth(residual, p, mode="row")
    draws = torch.where(dropped.flatten(1).any(dim=1), 1.0, 0.0)  # 1 survives any p, 0 none
    ours = solution(STOCHASTIC_DEPTH)(residual, shortcut, draws, p, True)
    torch.testing.assert_close(ours, shortcut + dropped)


def test_dropped_and_kept_pictures_and_both_modes_come_soon():
    cases = [STOCHASTIC_DEPTH.case(number) for number in range(6)]
    training = [case for case in cases if case[4]]
    kept = torch.cat([draws >= p for _, _, draws, p, _ in training])
    assert {*kept.tolist()} == {True, False}
    assert len(training) < len(cases)
    assert cases[0][0].shape == (1, 1, 1, 1)


# --- MACs -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "size"),
    [("efficientnet_b0", 224), ("efficientnet_b2", 260), ("efficientnet_b2", 288)],
)
def test_the_layers_of_the_exercise_cost_what_the_tracer_counts(name, size):
    with torch.device("meta"):
        model = getattr(efficientnet, name)()
    macs = trace(model, (1, 3, size, size)).macs
    assert lesson.quoted(layers_of(name), size) == round(macs / 1e9, 3)


def test_the_quoted_figure_of_b2_is_that_at_288_pixels():
    answer = solution(RESOLUTION_OF)
    assert answer(layers_of("efficientnet_b2"), 1.088, [224, 240, 260, 288, 300]) == 288
    assert answer(layers_of("efficientnet_b2"), 0.994, [224, 240, 260, 288, 300]) == 260
    assert answer(layers_of("efficientnet_b2"), 1.0, [224, 240, 260, 288, 300]) is None
    layers, quoted, _ = RESOLUTION_OF.case(10)
    assert (len(layers), quoted) == (len(layers_of("efficientnet_b2")), 1.088)


@settings(max_examples=30)
@given(
    layers=st.lists(
        st.tuples(st.integers(10_000, 90_000), st.sampled_from([1, 2, None])), min_size=1
    ),
    sizes=st.lists(st.integers(33, 300), min_size=1, max_size=6, unique=True),
)
def test_a_figure_is_found_at_the_first_size_that_has_it(layers, sizes):
    figures = [lesson.quoted(layers, size) for size in sizes]
    assume(figures[-1] > 0)
    found = solution(RESOLUTION_OF)(layers, figures[-1], sizes)
    assert found == sizes[figures.index(figures[-1])]


def test_some_cases_have_no_answer():
    answers = [
        solution(RESOLUTION_OF)(*RESOLUTION_OF.case(number))
        for number in range(RESOLUTION_OF.cases)
    ]
    assert 1 <= answers.count(None) <= 5
    assert None not in answers[:6]
