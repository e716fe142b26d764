"""What Szegedy et al. 2014 (arXiv:1409.4842) say of GoogLeNet, beside our builds of it."""

from collections.abc import Sequence

import torch
from torch import nn

from cnncourse.ledger import Cell, Ledger, Line
from cnncourse.models.alexnet import alexnet, alexnet_2012
from cnncourse.models.googlenet import GoogLeNet, googlenet, googlenet_2014
from cnncourse.trace import trace

ACCURACY = (69.778, 89.530)  # top-1 and top-5 of torchvision's weights, from their own record


def parameters(module: nn.Module) -> int:
    """Numbers that a module learns."""
    return sum(parameter.numel() for parameter in module.parameters())


def count(module: nn.Module, kind: type[nn.Module]) -> int:
    """Modules of a kind."""
    return sum(isinstance(part, kind) for part in module.modules())


def longest_way(model: GoogLeNet) -> int:
    """Layers with parameters from the image to the logits: in a block, on its longest path."""
    layers = 1  # the linear one
    for step in model.steps:
        part = model.get_submodule(step)
        paths = list(part.children()) if step.startswith("inception") else [part]
        layers += max(count(path, nn.Conv2d) for path in paths)
    return layers


def kernels(block: nn.Module) -> int:
    """Weights of a block's convolutions, without biases and normalisation."""
    return sum(part.weight.numel() for part in block.modules() if isinstance(part, nn.Conv2d))


def third_kernel(model: GoogLeNet) -> nn.Conv2d:
    """The large kernel of block 3a's third path."""
    conv = model.get_submodule("inception3a.branch3.1.conv")
    assert isinstance(conv, nn.Conv2d)
    return conv


def line(figure: str, paper: Cell, pair: Sequence[Cell], why: str = "", source: str = "") -> Line:
    """A line whose two computed cells, ours and torchvision's, come as a pair."""
    ours, theirs = pair
    return Line(figure, paper, ours, theirs, why, source)


def ledger() -> Ledger:
    """Figures of the paper, of our build of it, and of torchvision's; all models on "meta"."""
    with torch.device("meta"):
        ours, theirs = googlenet_2014(aux_logits=False), googlenet(aux_logits=False)
        headed = googlenet_2014(), googlenet()
        older = parameters(alexnet_2012()), parameters(alexnet())
    lines = [*sizes(ours, theirs), *costs(ours, theirs, headed, older), *results()]
    return Ledger("GoogLeNet: the paper, our build of it, torchvision's", lines)


def sizes(ours: GoogLeNet, theirs: GoogLeNet) -> list[Line]:
    """Lines on what the networks are made of."""
    layers = [longest_way(model) for model in (ours, theirs)]
    every = [count(model, nn.Conv2d) + count(model, nn.Linear) for model in (ours, theirs)]
    way = "layers with parameters on the longest way: 3 of the stem, 2 in each of 9 blocks, linear"
    third = [third_kernel(model) for model in (ours, theirs)]
    sides = [f"{conv.kernel_size[0]}x{conv.kernel_size[1]}" for conv in third]
    pools = [f"{model.get_submodule('maxpool4').kernel_size}" for model in (ours, theirs)]
    drops = [model.dropout.p for model in (ours, theirs)]
    norms = [count(model, nn.BatchNorm2d) for model in (ours, theirs)]
    response = [count(model, nn.LocalResponseNorm) for model in (ours, theirs)]
    return [
        line("layers", 22, layers, way, source="section 5"),
        line("convolutions and linear layers", None, every, "all paths; without the heads"),
        line("kernel of the third path", "5x5", sides, "kept by mistake", source="Table 1"),
        line("weights of that kernel in 3a", None, [conv.weight.numel() for conv in third]),
        line("side of the last max-pool", "3", pools, "the map is 7x7 after both", "Table 1"),
        line("batch normalisations", 0, norms, "published in 2015"),
        line("local response normalisations", 2, response, "AlexNet's constants", "Figure 3"),
        line("dropout", 0.4, drops, "before the linear layer", source="Table 1"),
        Line("weight of an auxiliary loss", 0.3, None, None, "training alone", "section 5"),
    ]


def costs(
    ours: GoogLeNet,
    theirs: GoogLeNet,
    headed: tuple[GoogLeNet, GoogLeNet],
    older: tuple[int, int],
) -> list[Line]:
    """Lines on parameters and multiplications; older is AlexNet's parameters, in both builds."""
    alone = [parameters(model) for model in (ours, theirs)]
    with_heads = [parameters(model) for model in headed]
    heads = [total - own for total, own in zip(with_heads, alone, strict=True)]
    giga = [trace(model).macs / 1e9 for model in (ours, theirs)]
    first = [model.get_submodule("inception3a") for model in (ours, theirs)]
    weights = [kernels(block) for block in first]
    mega = [28 * 28 * number / 1e6 for number in weights]
    times = [old / new for old, new in zip(older, alone, strict=True)]
    biases = "5x5 kernels and biases; 3x3 kernels and batch normalisation"
    return [
        line("parameters", None, alone, biases),
        line("parameters with both heads", None, with_heads, "in training"),
        line("parameters of the heads", None, heads, "nearly half, and thrown away"),
        line("parameters of AlexNet", None, older, "2012, and torchvision's"),
        line("times fewer than AlexNet", 12, times, "by arithmetic 8.7", source="section 1"),
        line("GMACs at 224 px", 1.5, giga, "the paper's is a budget", source="section 1"),
        line("weights of 3a", "159K", weights, "a K of 1,024; no biases", source="Table 1"),
        line("million MACs of 3a", 128, mega, "28 x 28 positions", source="Table 1"),
    ]


def results() -> list[Line]:
    """Lines on ImageNet, as published."""
    top1, top5 = ACCURACY
    error = round(100 - top5, 3)
    crop = "torchvision's weights, one crop; none are trained for ours"
    control = "later control experiments; one of the two heads was enough"
    return [
        Line("top-5 error, %, one model, one crop", 10.07, None, error, crop, source="Table 3"),
        Line("top-5 error, %, 7 models, 144 crops", 6.67, None, None, "first in 2014", "Table 3"),
        Line("top-1 accuracy, %", None, None, top1, crop),
        Line("top-5 accuracy, %", None, None, top5, crop),
        Line("gain by the heads, points", "about 0.5", None, None, control, "CVPR 2015, section 5"),
        Line(
            "gain by average pooling, points, top-1", "about 0.6", None, None,
            "in place of full connections", source="section 5",
        ),
    ]  # fmt: skip
