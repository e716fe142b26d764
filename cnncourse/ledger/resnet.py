"""The ledger of ResNet: Table 1, section 4 and torchvision's weights beside what we compute."""

from functools import cache

import torch

from cnncourse.ledger import Ledger, Line
from cnncourse.models import resnet, resnet_cifar
from cnncourse.trace import Trace, trace

PAPER_GMACS = {  # He et al. 2015, Table 1, "FLOPs"; a multiplication and an addition are one
    "resnet18": 1.8,
    "resnet34": 3.6,
    "resnet50": 3.8,
    "resnet101": 7.6,
    "resnet152": 11.3,
}
# He et al. 2015, Table 6: error on CIFAR-10's test images, per cent.
PAPER_CIFAR_ERRORS = {
    "resnet20": 8.75,
    "resnet32": 7.51,
    "resnet44": 7.17,
    "resnet56": 6.97,
    "resnet110": 6.43,
}
# Top-1 accuracy of torchvision's weights, per cent: IMAGENET1K_V1, IMAGENET1K_V2.
TORCHVISION_TOP1 = {
    "resnet18": (69.758, None),
    "resnet34": (73.314, None),
    "resnet50": (76.130, 80.858),
    "resnet101": (77.374, 81.886),
    "resnet152": (78.312, 82.284),
}
BOTTLENECKS = ("resnet50", "resnet101", "resnet152")


@cache
def traced(name: str, **options: bool | str) -> Trace:
    """Trace of a builder at 224 px, without numbers in its weights; made once."""
    with torch.device("meta"):
        return trace(getattr(resnet, name)(**options))


def field(of: Trace) -> int:
    """Pixels that a unit of the last stage sees."""
    seen = {row.name: row.field for row in of.grouped(1).rows}["layer4"]
    assert seen is not None
    return seen.size


def imagenet_lines() -> list[Line]:
    """MACs, parameters and receptive fields of both builds.

    Tables 1 and 2 have ResNet-18 and -34 with shortcut A, the deeper ones with B (section 4.1).
    """
    macs, parameters, fields = [], [], []
    for name, said in PAPER_GMACS.items():
        theirs = traced(name)
        if name in BOTTLENECKS:
            ours, why = traced(name, stride_in_1x1=True), "stride in the first 1x1, or in the 3x3"
        else:
            ours, why = traced(name, shortcut="A"), "shortcut A, or B"
        title = name.replace("resnet", "ResNet-")
        figures = said, round(ours.macs / 1e9, 3), round(theirs.macs / 1e9, 3)
        macs.append(Line(f"{title}, GMACs", *figures, why, "Table 1"))
        counts = None, ours.parameters, theirs.parameters
        reason = why if ours.parameters != theirs.parameters else ""
        parameters.append(Line(f"{title}, parameters", *counts, reason))
        sizes = None, field(ours), field(theirs)
        reason = why if field(ours) != field(theirs) else ""
        fields.append(Line(f"{title}, field of the last map, px", *sizes, reason))
    return macs + parameters + fields


def shortcut_lines() -> list[Line]:
    """Parameters of ResNet-34 with each shortcut, and the errors that the paper found."""
    errors, torchvision = {"A": 25.03, "B": 24.52, "C": 24.19}, traced("resnet34").parameters
    lines = []
    for option, error in errors.items():
        ours = traced("resnet34", shortcut=option).parameters
        theirs = torchvision if option == "B" else None
        lines.append(Line(f"ResNet-34 with shortcut {option}, parameters", None, ours, theirs))
        what = f"ResNet-34 with shortcut {option}, top-1 error, %"
        lines.append(Line(what, error, None, None, "ten crops", "Table 3"))
    return lines


def cifar_lines() -> list[Line]:
    """Parameters of the networks for 32 px, and the errors that the paper found."""
    lines = []
    for name, error in PAPER_CIFAR_ERRORS.items():
        with torch.device("meta"):
            free, projecting = (
                getattr(resnet_cifar, name)(shortcut=option) for option in ("A", "B")
            )
        counts = [sum(p.numel() for p in model.parameters()) for model in (free, projecting)]
        title = f"CIFAR ResNet-{name.removeprefix('resnet')}"
        why = "torchvision has none"
        lines.append(Line(f"{title}, parameters with shortcut A", None, counts[0], None, why))
        lines.append(Line(f"{title}, parameters with shortcut B", None, counts[1], None))
        why = "the best of five runs; 6.61 ± 0.16 in the mean" if name == "resnet110" else ""
        lines.append(Line(f"{title}, test error, %", error, None, None, why, "Table 6"))
    return lines


def literature_lines() -> list[Line]:
    """Errors and accuracies that nobody here has measured."""
    pairs = [("plain-18", 27.94), ("plain-34", 28.54), ("ResNet-18", 27.88), ("ResNet-34", 25.03)]
    lines = [
        Line(f"{name}, ImageNet top-1 error, %", error, None, None, "ten crops", "Table 2")
        for name, error in pairs
    ]
    lines.append(
        Line("plain-110 on CIFAR-10, error, %", "over 60", None, None, "", "section 4.2, Figure 6")
    )
    why = "one crop of 224 px; V1 and V2 are training recipes of one network"
    for name, (first, second) in TORCHVISION_TOP1.items():
        title = name.replace("resnet", "ResNet-")
        lines.append(Line(f"{title}, top-1 accuracy, V1, %", None, None, first, why))
        if second is not None:
            lines.append(Line(f"{title}, top-1 accuracy, V2, %", None, None, second, why))
    return lines


def ledger() -> Ledger:
    """Figures of the ResNets: the paper's, our faithful builds', torchvision's."""
    lines = [*imagenet_lines(), *shortcut_lines(), *literature_lines(), *cifar_lines()]
    return Ledger("ResNet (He et al. 2015, arXiv:1512.03385)", lines)
