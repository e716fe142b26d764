"""VGG's figures: Simonyan & Zisserman 2014 (arXiv:1409.1556), our builds of it, torchvision's."""

from collections.abc import Callable

import torch
from torch import nn

from cnncourse import arithmetic
from cnncourse.ledger import Ledger, Line
from cnncourse.models import vgg
from cnncourse.trace import Trace, trace

PICTURE = (1, 3, 224, 224)
# column: builder, its name in torchvision, millions of parameters (Table 2), top-1 and top-5 error
# in % on the validation set, training and test scale 256 (Table 3)
COLUMNS: dict[str, tuple[Callable[[], vgg.VGG], str, int, float, float]] = {
    "A": (vgg.vgg11, "vgg11", 133, 29.6, 10.4),
    "B": (vgg.vgg13, "vgg13", 133, 28.7, 9.9),
    "C": (vgg.vgg16_c, "", 134, 28.1, 9.4),
    "D": (vgg.vgg16, "vgg16", 138, 27.0, 8.8),
    "E": (vgg.vgg19, "vgg19", 144, 27.3, 9.0),
}
# Top-1 and top-5 accuracy in %, of torchvision's weights IMAGENET1K_V1, one central crop.
ACCURACY = {
    "vgg11": (69.020, 88.628),
    "vgg13": (69.928, 89.246),
    "vgg16": (71.592, 90.382),
    "vgg19": (72.376, 90.876),
    "vgg16_bn": (73.360, 91.516),
}


def ledger() -> Ledger:
    """Lines for parameters, MACs, memory, fields, the start of the weights and errors."""
    traces = {column: traced(row[0]) for column, row in COLUMNS.items()}
    lines = [*sizes(traces), *inside(traces), *starts(), *errors()]
    return Ledger("VGG at 224 px, 1,000 classes: the paper, our build, torchvision's", lines)


def traced(build: Callable[[], nn.Module]) -> Trace:
    """The rows of a network that holds no numbers."""
    with torch.device("meta"):
        model = build()
    return trace(model, PICTURE)


def sizes(traces: dict[str, Trace]) -> list[Line]:
    """Parameters and MACs of every column, and of the one with batch normalisation."""
    lines = []
    for column, (_, name, millions, *_) in COLUMNS.items():
        ours = traces[column].parameters
        why = "1x1 in the third convolutions; torchvision has no column C" if not name else ""
        figure, paper = f"parameters, column {column}", f"{millions} million"
        lines.append(Line(figure, paper, ours, ours if name else None, why, "Table 2"))
    with_norm = traced(vgg.vgg16_bn).parameters
    why = "batch normalisation is of 2015: two numbers a channel more"
    lines.append(Line("parameters, column D with batch norm", None, None, with_norm, why))
    for column, (_, name, *_) in COLUMNS.items():
        macs = round(traces[column].macs / 1e9, 3)
        lines.append(Line(f"MACs in 10⁹, column {column}", None, macs, macs if name else None))
    return lines


def inside(traces: dict[str, Trace]) -> list[Line]:
    """Where column D has its parameters, what it holds, and what a unit sees."""
    rows = traces["D"].rows
    full = [row for row in rows if row.kind == "Linear"]
    weights = sum(row.parameters for row in full)
    share = round(100 * weights / traces["D"].parameters, 2)
    work = round(100 * sum(row.macs for row in full) / traces["D"].macs, 2)
    values = held(traces["D"])
    mebibytes = round(4 * values / 2**20, 1)
    lines = [
        Line("parameters of D's full connections", None, weights, weights),
        Line("their share of D's parameters, %", None, share, share),
        Line("their share of D's MACs, %", None, work, work),
        Line("values held in a forward pass of D", None, values, values, HELD),
        Line("the same in MiB, float32", None, mebibytes, mebibytes),
    ]
    for column in ("D", "E"):
        field = last_map(traces[column])
        lines.append(Line(f"receptive field of {column}'s last map, px", None, field, field))
    pairs = [arithmetic.conv2d_parameters(1, 1, kernel_size=k, bias=False) for k in (3, 7)]
    stack, single = 3 * pairs[0], pairs[1]
    words = [f"{stack}C² for {single}C²", f"{round(100 * (single / stack - 1))} % more"]
    return [
        *lines,
        Line("weights, three 3x3 for one 7x7", "27C² for 49C²", words[0], None, "", "section 2.3"),
        Line("the 7x7 has", "81 % more", words[1], None, "", "section 2.3"),
    ]


HELD = "picture, convolutions, pools, full connections; ReLU works in place"


def held(rows: Trace) -> int:
    """Numbers of the picture and of all outputs that have memory of their own."""
    kinds = ("Conv2d", "MaxPool2d", "Linear")
    outputs = sum(row.activation_bytes for row in rows.rows if row.kind in kinds)
    return outputs // 4 + 3 * 224 * 224


def last_map(rows: Trace) -> int:
    """Pixels that a unit of the last feature map sees along an axis."""
    fields = [row.field for row in rows.rows if row.kind == "MaxPool2d" and row.field]
    return fields[-1].size


def starts() -> list[Line]:
    """Standard deviations that the convolutions' weights start with."""
    kaiming = [round((2 / (9 * width)) ** 0.5, 3) for width in (64, 512)]
    words = f"{kaiming[0]} (64 channels) to {kaiming[1]} (512)"
    why = "torchvision follows He et al. (2015), by fan_out; the paper says variance 10⁻²"
    figure = "standard deviation of fresh weights"
    return [Line(figure, "0.1", None, words, why, "section 3.1")]


def errors() -> list[Line]:
    """Errors on ImageNet in per cent: quoted, not measured here."""
    lines = []
    for column, (_, name, _, *paper) in COLUMNS.items():
        theirs = wrong(name) if name else None
        why = "trained and tested at scale 256" + (name and "; torchvision: one 224 px crop")
        figure = f"top-1 / top-5 error, column {column}, %"
        lines.append(Line(figure, f"{paper[0]} / {paper[1]}", None, theirs, why, "Table 3"))
    quoted = [
        ("A with local response normalisation", "29.7 / 10.5", "no help; columns B to E have none"),
        ("D, training scale from 256 to 512", "25.6 / 8.1", "scale jittering; tested at 384"),
        ("E, training scale from 256 to 512", "25.5 / 8.0", "scale jittering; tested at 384"),
    ]
    for figure, said, why in quoted:
        lines.append(Line(f"top-1 / top-5 error, {figure}, %", said, None, None, why, "Table 3"))
    with_norm = "top-1 / top-5 error, column D with batch norm, %"
    lines.append(Line(with_norm, None, None, wrong("vgg16_bn")))
    tests = [
        ("submitted to ILSVRC-2014, 7 networks", "7.3", "section 4.5"),
        ("later, 2 networks", "6.8", "section 4.5"),
        ("a single network", "7.0", "section 4.5"),
    ]
    for figure, said, source in tests:
        lines.append(Line(f"top-5 test error, {figure}, %", said, None, None, "", source))
    return lines


def wrong(name: str) -> str:
    """Errors in % of torchvision's weights, from their accuracies."""
    return " / ".join(f"{100 - accuracy:.2f}" for accuracy in ACCURACY[name])
