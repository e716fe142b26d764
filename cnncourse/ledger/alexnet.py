"""AlexNet: the paper of 2012, our build of it, and torchvision's.

Source of the paper's column: Krizhevsky, Sutskever & Hinton 2012, NeurIPS.
"""

import math
from collections.abc import Callable
from functools import partial

import torch
from torch import nn

from cnncourse.ledger import Ledger, Line
from cnncourse.models import alexnet
from cnncourse.trace import Row, Trace, trace

TOP_1, TOP_5 = 56.522, 79.066  # accuracy of torchvision's weights IMAGENET1K_V1, by its meta
SIZE_2014_PX = 224


BUILDS: dict[
    str, tuple[Callable[[], nn.Module], int]
] = {  # builder, side of the picture it is built for
    "ours": (alexnet.alexnet_2012, alexnet.SIZE_2012_PX),
    "without groups": (partial(alexnet.alexnet_2012, two_halves=False), alexnet.SIZE_2012_PX),
    "torchvision's": (alexnet.alexnet, SIZE_2014_PX),
}


def traced(build: str) -> Trace:
    """One pass of a build, on torch's "meta" device."""
    builder, size_px = BUILDS[build]
    with torch.device("meta"):
        return trace(builder(), (1, 3, size_px, size_px))


def weighted(passed: Trace) -> list[Row]:
    """Rows of the layers with weights."""
    return [row for row in passed.rows if row.parameters]


def full_share(passed: Trace, what: str) -> float:
    """Percentage of "parameters" or "macs" in full connections."""
    rows = weighted(passed)
    full = sum(getattr(row, what) for row in rows if row.kind == "Linear")
    return 100 * full / sum(getattr(row, what) for row in rows)


def values(passed: Trace) -> list[int]:
    """Values that each layer with weights gives for one picture."""
    return [math.prod(row.output_shape) for row in weighted(passed)]


def convolutions(build: str) -> list[nn.Conv2d]:
    """The convolutions of a build, without its weights."""
    builder, _ = BUILDS[build]
    with torch.device("meta"):
        return [part for part in builder().modules() if isinstance(part, nn.Conv2d)]


def listed(numbers: list[int]) -> str:
    """Numbers as text, 96, 256, 384."""
    return ", ".join(f"{number:,}" for number in numbers)


def tables() -> list[Line]:
    """Lines on what the tables of the builds say."""
    ours, theirs = convolutions("ours"), convolutions("torchvision's")
    return [
        Line("channels of the convolutions", "96, 256, 384, 384, 256",
             listed([part.out_channels for part in ours]),
             listed([part.out_channels for part in theirs]),
             "torchvision's are of Krizhevsky 2014, arXiv:1404.5997", "section 3.5"),
        Line("groups of the convolutions", "1, 2, 1, 2, 2", listed([part.groups for part in ours]),
             listed([part.groups for part in theirs]),
             "two GPUs, which meet in the third convolution", "section 3.5"),
        Line("picture, px", 224, alexnet.SIZE_2012_PX, SIZE_2014_PX,
             "(224 - 11) / 4 + 1 = 54.25 is no size; torchvision pads by 2", "section 3.5"),
    ]  # fmt: skip


def counted() -> list[Line]:
    """Lines that are counted on one pass through the networks."""
    ours, whole, theirs = (traced(build) for build in BUILDS)
    units = [values(ours), values(theirs)]
    return [
        Line("parameters", "60 million", ours.parameters, theirs.parameters,
             "other widths, no groups", "abstract"),
        Line("parameters without groups", None, whole.parameters, theirs.parameters,
             "what one larger GPU could have held"),
        Line("neurons", "650,000", sum(units[0]), sum(units[1]),
             "values of all layers with weights, without the picture", "abstract"),
        Line("neurons, sum of its figure", 622_312, sum(units[0]), None,
             "the caption's first number differs, see below", "Figure 2"),
        Line("neurons of the first layer", 253_440, units[0][0], units[1][0],
             "253,440 is 55 * 48 * 96; the maps are 55 * 55", "Figure 2"),
        Line("GMACs, one picture", None, ours.macs / 1e9, theirs.macs / 1e9,
             "multiply-accumulates"),
        Line("GMACs without groups", None, whole.macs / 1e9, theirs.macs / 1e9),
        Line("full connections, % of parameters", None,
             full_share(ours, "parameters"), full_share(theirs, "parameters")),
        Line("full connections, % of MACs", None, full_share(ours, "macs"),
             full_share(theirs, "macs")),
    ]  # fmt: skip


def differences() -> list[Line]:
    """Lines on parts that one of the networks lacks or has elsewhere."""
    norm = alexnet.response_norm()
    assert isinstance(norm, nn.LocalResponseNorm)
    return [
        Line("alpha of the normalisation", "0.0001", f"{norm.alpha} / {norm.size}", None,
             "torch divides by the 5 channels, the paper does not", "section 3.3"),
        Line("dropout", "outputs of 6, 7", "outputs of 6, 7", "inputs of 6, 7",
             "torchvision also drops values of the last map, and none before the last layer",
             "section 4.2"),
        Line("first biases", "1 in 2, 4, 5, 6, 7", "1 in 2, 4, 5, 6, 7", "small, random",
             "ones let ReLUs start alive; weights: standard deviation 0.01", "section 5"),
    ]  # fmt: skip


def results() -> list[Line]:
    """Error rates of the paper, and of torchvision's weights."""
    error = "ILSVRC-2012, five guesses"
    return [
        Line("top-5 error, one network, %", 18.2, None, round(100 - TOP_5, 3), error, "Table 2"),
        Line("top-1 error, one network, %", 40.7, None, round(100 - TOP_1, 3),
             "torchvision: one patch in the middle; paper: ten patches", "Table 2"),
        Line("top-1 / top-5 accuracy, %", None, None, f"{TOP_1} / {TOP_5}", "IMAGENET1K_V1"),
        Line("top-5 error, five networks, %", 16.4, None, None, error, "Table 2"),
        Line("top-5 error, seven, two pretrained, %", 15.3, None, None, error, "Table 2"),
        Line("top-5 error, the second-best entry, %", 26.2, None, None, error, "Table 2"),
        Line("top-1 / top-5, ILSVRC-2010, %", "37.5 / 17.0", None, None, "", "Table 1"),
        Line("gain of normalisation, points", "1.4 / 1.2", None, None, "top-1 / top-5",
             "section 3.3"),
        Line("gain of overlapping pooling, points", "0.4 / 0.3", None, None, "top-1 / top-5",
             "section 3.4"),
        Line("gain of two GPUs, points", "1.7 / 1.2", None, None,
             "over half as many channels on one", "section 3.2"),
        Line("training pictures", "1.2 million", None, None, "", "abstract"),
    ]  # fmt: skip


def ledger() -> Ledger:
    """The paper against both builds."""
    return Ledger("AlexNet", [*tables(), *counted(), *differences(), *results()])
