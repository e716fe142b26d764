"""The ledger of LeNet-5; torchvision has none, so that column stays empty."""

from torch import nn

from cnncourse.ledger import Ledger, Line
from cnncourse.models.lenet import FULL_TABLE, LeNet5, RadialBasis, lenet5, lenet5_modern
from cnncourse.trace import trace

# LeCun et al. 1998, section II-B: trainable parameters and connections of each layer.
PAPER = {
    "c1": (156, 122_304),
    "s2": (12, 5_880),
    "c3": (1_516, 151_600),
    "s4": (32, 2_000),
    "c5": (48_120, 48_120),
    "f6": (10_164, 10_164),
    "output": (0, 840),
}
WINDOW = 2 * 2 + 1  # connections of a unit that subsamples: four values and a bias


def parameters(module: nn.Module) -> int:
    """Numbers that a module learns."""
    return sum(parameter.numel() for parameter in module.parameters())


def connections(model: LeNet5) -> dict[str, int]:
    """Connections of every layer, to biases too, as the paper counts them.

    Where weights are shared over a map, each is used once by every unit of it.
    """
    counts = {}
    for row in trace(model, (1, model.in_channels, model.size_px, model.size_px)).rows:
        layer = model.get_submodule(row.name)
        _, channels, *sides = (*row.output_shape, 1, 1)
        if row.name in ("s2", "s4"):
            counts[row.name] = WINDOW * channels * sides[0] * sides[1]
        elif isinstance(layer, RadialBasis):
            counts[row.name] = layer.codes.numel()
        else:
            counts[row.name] = parameters(layer) * sides[0] * sides[1]
    return counts


def counted() -> list[Line]:
    """Lines for every layer of the paper, and their sums."""
    model = lenet5()
    uses = connections(model)
    lines = []
    for name, (weights, links) in PAPER.items():
        layer = model.get_submodule(name)
        title = name if name == "output" else name.upper()
        lines.append(Line(f"{title}: parameters", weights, parameters(layer), None, WHY[name]))
        lines.append(Line(f"{title}: connections", links, uses[name], None))
    sums = [sum(column) for column in zip(*PAPER.values(), strict=True)]
    lines.append(Line("parameters", sums[0], parameters(model), None, "the sum of the lines above"))
    lines.append(Line("connections", sums[1], sum(uses.values()), None,
                      "the paper's sum, with the output's"))  # fmt: skip
    return lines


WHY = {
    "c1": "6 kernels of 5 x 5, 6 biases",
    "s2": "a coefficient and a bias a map",
    "c3": "60 kernels of 5 x 5, 16 biases; Table I",
    "s4": "a coefficient and a bias a map",
    "c5": "16 maps of 5 x 5 to 120 units, 120 biases",
    "f6": "120 x 84 weights, 84 biases",
    "output": "ten fixed codes of 84 signs; ours are drawn anew",
}


def exchanged() -> list[Line]:
    """The network of most courses: no column of the paper's."""
    modern, full = lenet5_modern(), lenet5(table=FULL_TABLE)
    why = "ReLU, max pooling, full C3, linear output"
    return [
        Line("parameters of the modern LeNet", None, parameters(modern), None, why),
        Line("C3 without its table: parameters", None, parameters(full.c3), None, "96 kernels"),
    ]


def ledger() -> Ledger:
    """Paper and build, line by line."""
    told = [
        Line("first weights, uniform up to", "2.4 / inputs", "1 / √inputs", None,
             "PyTorch's rule, which suits ReLU too", "Appendix A"),
        Line("loss", "equation 9, with j", "the same, j = 1", None,
             "the paper names no value of j", "section II-C"),
        Line("training images", 60_000, 4_000, None, "the sample; all on the full budget",
             "section III-A"),
        Line("passes over them", 20, 5, None, "one image at a time; ours 32, by Adam",
             "section III-B"),
        Line("test error, %", 0.95, None, None, "10,000 test images", "section III-B"),
        Line("test error with distorted images, %", 0.8, None, None, "training images moved, "
             "scaled, squeezed, sheared", "section III-B"),
    ]  # fmt: skip
    return Ledger(
        "LeNet-5: LeCun, Bottou, Bengio, Haffner 1998; layers: section II-B",
        [*counted(), *exchanged(), *told],
    )
