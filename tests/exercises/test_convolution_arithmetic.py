"""The solutions of the lesson on sizes against torch, and answers that are nearly right."""

import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F

from cnncourse.exercises import compiled
from cnncourse.exercises.convolution_arithmetic import (
    CONV_OUT,
    EXERCISES,
    GET_56,
    KEEP_SIZE,
    PARAMETERS,
    TRANSPOSED,
    NotWhole,
)

conv_out, get_56, keep_size, parameters, transposed = (
    compiled(exercise.solution_code, exercise.name) for exercise in EXERCISES
)
few, stride_or_gap = st.integers(1, 7), st.integers(1, 4)


def row(size, channels=1):
    return torch.empty(1, channels, size, device="meta")


@given(
    size=st.integers(1, 40),
    kernel_size=few,
    stride=stride_or_gap,
    padding=st.integers(0, 4),
    dilation=stride_or_gap,
)
def test_conv_out_is_torchs_size(size, kernel_size, stride, padding, dilation):
    assume(dilation * (kernel_size - 1) < size + 2 * padding)
    layer = nn.Conv1d(1, 1, kernel_size, stride, padding, dilation, device="meta")
    assert layer(row(size)).shape[-1] == conv_out(size, kernel_size, stride, padding, dilation)


@pytest.mark.parametrize("kernel_size", range(1, 31))
def test_get_56_gets_56_in_torch(kernel_size):
    layer = nn.Conv1d(1, 1, kernel_size, **get_56(kernel_size), device="meta")
    assert layer(row(112)).shape[-1] == 56


@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel lengths")
@given(kernel_size=few, dilation=stride_or_gap, size=st.integers(1, 20), seed=st.integers(0, 9))
def test_keep_size_is_torchs_same(kernel_size, dilation, size, seed):
    torch.manual_seed(seed)
    line, kernel = torch.rand(1, 1, size), torch.rand(1, 1, kernel_size)
    padded = F.pad(line, keep_size(kernel_size, dilation))
    same = F.conv1d(line, kernel, dilation=dilation, padding="same")
    torch.testing.assert_close(F.conv1d(padded, kernel, dilation=dilation), same)


@given(ins=few, outs=few, kernel_size=few, groups=stride_or_gap)
def test_parameters_are_as_many_as_torchs(ins, outs, kernel_size, groups):
    layer = nn.Conv2d(groups * ins, groups * outs, kernel_size, groups=groups, device="meta")
    held = sum(tensor.numel() for tensor in layer.parameters())
    assert parameters(groups * ins, groups * outs, kernel_size, groups) == held


@given(
    size=st.integers(1, 20),
    kernel_size=few,
    stride=stride_or_gap,
    padding=st.integers(0, 3),
    output_padding=st.integers(0, 3),
)
def test_transposed_is_torchs_size(size, kernel_size, stride, padding, output_padding):
    expected = transposed(size, kernel_size, stride, padding, output_padding)
    assume(output_padding < stride and expected > 0)
    layer = nn.ConvTranspose1d(1, 1, kernel_size, stride, padding, output_padding, device="meta")
    assert layer(row(size)).shape[-1] == expected


@pytest.mark.parametrize(
    "other_way",
    [
        lambda kernel_size: {"stride": 2, "padding": -(-(kernel_size - 2) // 2)},
        lambda kernel_size: (
            {"stride": 1, "padding": 0, "dilation": 56}
            if kernel_size == 2
            else {"stride": 2, "padding": (kernel_size - 1) // 2, "dilation": 1}
        ),
        lambda kernel_size: {"stride": 3, "padding": (165 + kernel_size - 112 + 1) // 2},
        lambda kernel_size: (
            {"stride": 2, "padding": kernel_size - 1, "dilation": 2}
            if kernel_size > 1
            else {"stride": 2}
        ),
    ],
)
def test_every_setting_that_gets_56_is_right(other_way):
    assert GET_56.check(other_way).kind == "right"


@pytest.mark.parametrize(
    ("answer", "sentence"),
    [
        (lambda kernel_size: {"stride": 2, "padding": 0}, "kernel_size=3: yours gives 55; "),
        (lambda kernel_size: (2, 1), "return a dict of stride, padding, dilation"),
        (lambda kernel_size: {"strid": 2}, "return a dict of stride, padding, dilation"),
        (lambda kernel_size: {"stride": 2, "padding": "same"}, "padding='same': must be a whole"),
    ],
)
def test_get_56_says_which_size_came_out_or_why_none_did(answer, sentence):
    said = GET_56.check(answer)
    assert said.kind == "wrong"
    assert sentence in said.text


def test_rounding_up_is_told_with_the_smallest_case():
    def rounds_up(size, kernel_size, stride, padding, dilation):
        span = dilation * (kernel_size - 1) + 1
        return -((span - size - 2 * padding) // stride) + 1

    assert CONV_OUT.check(rounds_up).text == (
        "Sizes round down: a last window that is not filled is left out.\n"
        "stride=2, size 5, kernel_size=2: yours gives 3; expected 2."
    )


def test_a_float_is_told_as_a_float_and_numpys_whole_numbers_are_welcome():
    import numpy as np

    wrong = CONV_OUT.check(lambda *settings: float(conv_out(*settings)))
    assert "yours gives 2.0 (a float); expected 2." in wrong.text
    assert CONV_OUT.check(lambda *settings: np.int64(conv_out(*settings))).kind == "right"
    single = CONV_OUT.check(lambda *settings: np.float32(conv_out(*settings)))
    assert "yours gives 2.0 (a float); expected 2." in single.text
    assert KEEP_SIZE.check(lambda *settings: tuple(np.array(keep_size(*settings)))).kind == "right"
    twos = {"stride": np.int64(2)}
    half = GET_56.check(lambda k: twos | {"padding": np.int64((k - 1) // 2)})
    assert half.kind == "right"
    assert repr(NotWhole(2.5)) == "2.5 (a float)"


def counting(size, kernel_size, stride, padding, dilation):
    span = dilation * (kernel_size - 1) + 1
    return len(range(0, size + 2 * padding - span + 1, stride))


def at_most(limit, solution):
    """The solution where every number is small, one too many beyond."""

    def nearly(*settings):
        result = solution(*settings)
        return result + 1 if max(settings) > limit else result

    return nearly


@pytest.mark.parametrize(
    ("exercise", "nearly"),
    [
        (CONV_OUT, at_most(20, conv_out)),
        (CONV_OUT, lambda s, k, t, p, d: conv_out(s, k, min(t, 3), p, d)),
        (CONV_OUT, lambda s, k, t, p, d: conv_out(s, k, t, min(p, 2), d)),
        (CONV_OUT, lambda s, k, t, p, d: conv_out(s, k, t, p, min(d, 2))),
        (CONV_OUT, lambda s, k, t, p, d: max(1, (s + 2 * p - d * (k - 1)) // t)),
        (CONV_OUT, lambda s, k, t, p, d: conv_out(s, k, t, p, d) + (t > s)),
        (TRANSPOSED, lambda n, k, s, p, o: transposed(n, k, s, p, o) + (n == 1 and s > 1)),
        (GET_56, lambda k: {"stride": 2, "padding": min(12, (k - 1) // 2)}),
        (KEEP_SIZE, lambda k, d: keep_size(k, d)[0]),
        (KEEP_SIZE, lambda k, d: keep_size(k, min(d, 4))),
        (KEEP_SIZE, lambda k, d: keep_size(min(k, 8), d)),
        (PARAMETERS, at_most(20, parameters)),
        (PARAMETERS, lambda i, o, k, g: parameters(i, o, min(k, 4), g)),
        (PARAMETERS, lambda i, o, k, g: parameters(i, o, k, min(g, 3))),
        (TRANSPOSED, at_most(20, transposed)),
        (TRANSPOSED, lambda n, k, s, p, o: transposed(n, k, s, min(p, 2), o)),
        (TRANSPOSED, lambda n, k, s, p, o: transposed(n, k, s, p, min(o, 2))),
        (TRANSPOSED, lambda n, k, s, p, o: transposed(n, k, min(s, 3), p, o)),
    ],
)
def test_what_is_nearly_right_is_wrong(exercise, nearly):
    assert exercise.check(nearly).kind == "wrong"


@pytest.mark.parametrize(
    ("exercise", "other_way"),
    [
        (CONV_OUT, counting),
        (KEEP_SIZE, lambda k, d: [d * (k - 1) // 2, (d * (k - 1) + 1) // 2]),
        (PARAMETERS, lambda i, o, k, g: o * i * k * k // g + o),
        (TRANSPOSED, lambda n, k, s, p, o: (n - 1) * s - 2 * p + (k - 1) + o + 1),
    ],
)
def test_another_way_to_the_same_is_right(exercise, other_way):
    assert exercise.check(other_way).kind == "right"
