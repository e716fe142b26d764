"""The package of operations, as lessons import it."""

import inspect
import subprocess
import sys

import pytest
from torch.nn import functional as F

from cnncourse import ops

FUNCTIONS = [name for name in ops.__all__ if name.islower()]
GRADIENTS = [name for name in FUNCTIONS if name.endswith("_backward")]


def test_every_operation_of_the_lessons_is_there():
    assert FUNCTIONS == [
        "adaptive_avg_pool2d",
        "adaptive_max_pool2d",
        "avg_pool2d",
        "avg_pool2d_backward",
        "batch_norm",
        "batch_norm_backward",
        "blur_pool2d",
        "col2im",
        "conv2d",
        "conv2d_backward",
        "conv_transpose2d",
        "convolve2d",
        "global_avg_pool2d",
        "global_max_pool2d",
        "im2col",
        "lp_pool2d",
        "max_pool2d",
        "max_pool2d_backward",
        "pad",
    ]


@pytest.mark.parametrize("name", ops.__all__)
def test_every_public_name_is_defined_and_says_what_it_is_for(name):
    assert inspect.getdoc(getattr(ops, name))


@pytest.mark.parametrize("name", sorted(set(FUNCTIONS) & set(dir(F)) - {"pad"}))
def test_what_torch_has_too_takes_images_first_as_well(name):
    assert callable(getattr(F, name))
    assert next(iter(inspect.signature(getattr(ops, name)).parameters)) == "images"


@pytest.mark.parametrize("name", FUNCTIONS)
def test_options_are_given_by_name(name):
    """Beyond what is computed with, every argument has its keyword."""
    for parameter in inspect.signature(getattr(ops, name)).parameters.values():
        has_default = parameter.default is not parameter.empty
        assert (
            not has_default
            or parameter.kind == parameter.KEYWORD_ONLY
            or (parameter.name == "bias")
        )


@pytest.mark.parametrize("name", GRADIENTS)
def test_a_gradient_takes_grad_output_first(name):
    assert next(iter(inspect.signature(getattr(ops, name)).parameters)) == "grad_output"


def test_the_operations_need_no_torch():
    code = "import sys, cnncourse.ops; print('torch' in sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout == "False\n"
