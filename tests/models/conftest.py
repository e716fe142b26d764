"""Whether a network of ours is torchvision's: names, answers, gradients, running statistics.

Tests take it as the fixtures equal_to, same_names and parameters.

A difference is relative to the largest value of the tensor it is in, or absolute where all of them
are below 1: so that one bound fits logits and gradients of any size.
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import pytest
import torch
from torch import Tensor, nn

MOST = 1e-5


class Differences(NamedTuple):
    """The largest differences of a network from its reference, and how many parameters it has."""

    parameters: int
    eval_logits: float
    train_logits: float
    gradients: float
    statistics: float


def count(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def difference(ours: Tensor, theirs: Tensor) -> float:
    """The largest difference of two tensors of one shape, relative to the largest value."""
    assert ours.shape == theirs.shape
    assert bool(torch.isfinite(ours).all())
    assert bool(torch.isfinite(theirs).all())
    if not theirs.numel():
        return 0.0
    scale = max(1.0, theirs.double().abs().max().item())
    return (ours.double() - theirs.double()).abs().max().item() / scale


def randomise(model: nn.Module, *, seed: int = 0) -> None:
    """Weights, biases and running statistics such that every one of them matters.

    Weights keep the scale of a good initialisation, so that a deep network answers neither 0 nor
    infinity.
    """
    draw = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for module in model.modules():
            own = dict(module.named_parameters(recurse=False))
            for name, tensor in own.items():
                noise = torch.randn(tensor.shape, generator=draw)
                if tensor.ndim > 1:
                    fan_in = tensor[0].numel()
                    tensor.copy_(noise * (2 / fan_in) ** 0.5)
                else:
                    tensor.copy_(noise * 0.1 + (name == "weight"))  # of a normalisation: near 1
            if isinstance(module, nn.BatchNorm2d):
                shape = module.running_mean.shape
                module.running_mean.copy_(torch.randn(shape, generator=draw) * 0.1)
                module.running_var.copy_(torch.rand(shape, generator=draw) + 0.5)


def without_chance(model: nn.Module) -> None:
    """Dropout and stochastic depth at 0."""
    for module in model.modules():
        if isinstance(module, nn.Dropout) or type(module).__name__ == "StochasticDepth":
            module.p = 0.0


def answers(output: object) -> list[Tensor]:
    """The tensors of an answer: logits, or logits and those of auxiliary heads; not None."""
    if isinstance(output, Tensor):
        return [output]
    assert isinstance(output, Iterable)
    return [part for part in output if part is not None]


def check_names(ours: nn.Module, theirs: nn.Module) -> None:
    """Assert that the state of each loads into the other strictly, key by key in one order."""
    one, other = ours.state_dict(), theirs.state_dict()
    assert list(one) == list(other)
    assert [tensor.shape for tensor in one.values()] == [tensor.shape for tensor in other.values()]
    ours.load_state_dict(other, strict=True)
    theirs.load_state_dict(ours.state_dict(), strict=True)


def check_equal(
    ours: nn.Module,
    theirs: nn.Module,
    *,
    sizes: Sequence[tuple[int, int]],
    batch_size: int = 2,
    in_channels: int = 3,
    train: bool = True,
    most: float = MOST,
) -> Differences:
    """Assert that two networks are one function, on pictures (height, width) of some sizes.

    Eval logits; with train, on the first size: logits in train mode with nothing left to chance,
    the gradient of every parameter, running statistics after one step of SGD, and the parameters
    after it.
    """
    randomise(theirs)
    check_names(ours, theirs)
    without_chance(ours)
    without_chance(theirs)
    draw = torch.Generator().manual_seed(1)
    batches = [torch.randn(batch_size, in_channels, *size, generator=draw) for size in sizes]
    found = {"eval_logits": 0.0, "train_logits": 0.0, "gradients": 0.0, "statistics": 0.0}
    ours.eval()
    theirs.eval()
    with torch.no_grad():
        for images in batches:
            pairs = zip(answers(ours(images)), answers(theirs(images)), strict=True)
            worst = max(difference(one, other) for one, other in pairs)
            found["eval_logits"] = max(found["eval_logits"], worst)
    if train:
        found |= one_step(ours, theirs, batches[0])
    assert count(ours) == count(theirs)
    assert {name: worst for name, worst in found.items() if not worst <= most} == {}
    return Differences(count(ours), **found)


def one_step(ours: nn.Module, theirs: nn.Module, images: Tensor) -> dict[str, float]:
    """The largest differences in and after one training step of each on the same images."""
    outputs, gradients, states = [], [], []
    for model in (ours, theirs):
        model.train()
        optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
        output = answers(model(images))
        loss = sum(part.double().pow(2).mean() + part[:, 0].double().mean() for part in output)
        optimizer.zero_grad()
        loss.backward()
        gradients.append({name: p.grad.clone() for name, p in model.named_parameters()})
        optimizer.step()
        outputs.append([part.detach() for part in output])
        states.append(dict(model.state_dict()))
    assert gradients[0].keys() == gradients[1].keys()
    assert any(gradient.abs().max() > 0 for gradient in gradients[1].values())
    logits = zip(*outputs, strict=True)
    return {
        "train_logits": max(difference(one, other) for one, other in logits),
        "gradients": max(difference(gradients[0][k], gradients[1][k]) for k in gradients[1]),
        "statistics": max(difference(states[0][k], states[1][k]) for k in states[1]),
    }


@pytest.fixture
def equal_to():
    """equal_to(ours, theirs, sizes=[(65, 81)]): asserts, and gives the largest differences."""
    return check_equal


@pytest.fixture
def same_names():
    """same_names(ours, theirs): asserts that each loads the other's state strictly."""
    return check_names


@pytest.fixture
def parameters():
    """parameters(module): how many numbers it learns."""
    return count
