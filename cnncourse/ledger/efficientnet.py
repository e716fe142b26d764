"""EfficientNet: the paper, our build at the authors' resolutions, torchvision's at its own.

Source of the paper's column: Tan & Le 2019, arXiv:1905.11946.
"""

from typing import NamedTuple

import torch
from torch import nn

from cnncourse.ledger import Ledger, Line
from cnncourse.models import efficientnet
from cnncourse.models.efficientnet_cost import cost
from cnncourse.trace import trace


class Published(NamedTuple):
    """A row of the paper's Table 2, and what goes with torchvision's weights IMAGENET1K_V1."""

    parameters: str  # millions
    flops: str  # billions; they are multiply-accumulates
    top_1: float
    crop_px: int  # torchvision's, as are the next
    their_top_1: float


PUBLISHED = {
    "efficientnet_b0": Published("5.3M", "0.39B", 77.1, 224, 77.692),
    "efficientnet_b1": Published("7.8M", "0.70B", 79.1, 240, 78.642),
    "efficientnet_b2": Published("9.2M", "1.0B", 80.1, 288, 80.608),
    "efficientnet_b3": Published("12M", "1.8B", 81.6, 300, 82.008),
    "efficientnet_b4": Published("19M", "4.2B", 82.9, 380, 83.384),
    "efficientnet_b5": Published("30M", "9.9B", 83.6, 456, 83.444),
    "efficientnet_b6": Published("43M", "19B", 84.0, 528, 84.008),
    "efficientnet_b7": Published("66M", "37B", 84.3, 600, 84.122),
}


def sizes(name: str) -> list[Line]:
    """Parameters, MACs and accuracy of one network, counted from its table."""
    row, said = efficientnet.VARIANTS[name], PUBLISHED[name]
    ours = cost(row.width, row.depth, row.resolution_px)
    theirs = cost(row.width, row.depth, said.crop_px)
    short, where = name[-2:].upper(), f"at {row.resolution_px} px"
    if said.crop_px != row.resolution_px:
        where += f"; torchvision quotes them at its crop of {said.crop_px} px"
    return [
        Line(f"{short}: parameters", said.parameters, ours.parameters, theirs.parameters,
             "", "Table 2"),
        Line(f"{short}: GMACs", said.flops, ours.macs / 1e9, theirs.macs / 1e9, where, "Table 2"),
        Line(f"{short}: top-1 accuracy, %", said.top_1, None, said.their_top_1,
             "one network, one crop; torchvision: IMAGENET1K_V1", "Table 2"),
    ]  # fmt: skip


def rule() -> list[Line]:
    """The rule for scaling, and how the named networks keep to it."""
    total = efficientnet.ALPHA * efficientnet.BETA**2 * efficientnet.GAMMA**2
    seven, b7 = efficientnet.compound(7), efficientnet.VARIANTS["efficientnet_b7"]
    steps = f"{efficientnet.ALPHA}, {efficientnet.BETA}, {efficientnet.GAMMA}"
    factors = [f"{row.depth:.2f}, {row.width:.2f}, {row.resolution_px} px" for row in (seven, b7)]
    return [
        Line("alpha, beta, gamma", "1.2, 1.1, 1.15", steps, None,
             "depth, width, resolution for phi = 1", "section 4"),
        Line("alpha * beta^2 * gamma^2", "about 2", f"{total:.3f}", None,
             "MACs, times B0's, for phi = 1", "equation 3"),
        Line("phi = 7: depth, width, resolution", None, factors[0], factors[1],
             "B7 is not the literal seventh power"),
    ]  # fmt: skip


def momentum(name: str) -> float | None:
    """Weight of new batch statistics in the running ones."""
    norm = efficientnet.VARIANTS[name].norm_layer(1)
    assert isinstance(norm, nn.BatchNorm2d)
    return norm.momentum


def parts() -> list[Line]:
    """What is inside B0."""
    with torch.device("meta"):
        model = efficientnet.efficientnet_b0()
    passed = trace(model, (1, 3, 224, 224))
    rows = [row for row in passed.rows if row.name.endswith(("fc1", "fc2"))]
    squeezed = sum(row.parameters for row in rows)
    of_parameters = f"{100 * squeezed / passed.parameters:.1f}"
    of_macs = f"{100 * sum(row.macs for row in rows) / passed.macs:.2f}"
    late = momentum("efficientnet_b7")
    return [
        Line("B0: squeeze-and-excitation, parameters", None, squeezed, squeezed),
        Line("B0: squeeze-and-excitation, % of parameters", None, of_parameters, of_parameters),
        Line("B0: squeeze-and-excitation, % of MACs", None, of_macs, of_macs),
        Line("weight of new batch statistics", "0.01", late,
             f"{momentum('efficientnet_b0')} (B0 to B4), {late} (B5 to B7)",
             "the paper's momentum 0.99 is that of the old ones", "section 5.2"),
        Line("stochastic depth, dropout of B0", "0.2, 0.2", "0.2, 0.2", "0.2, 0.2",
             "the paper's survival probability is 0.8", "section 5.2"),
    ]  # fmt: skip


def ledger() -> Ledger:
    """The figures of EfficientNet-B0 to B7."""
    lines = [line for name in efficientnet.VARIANTS for line in sizes(name)]
    return Ledger("EfficientNet (Tan & Le 2019)", [*lines, *rule(), *parts()])
