"""LeNet-5 as LeCun, Bottou, Bengio and Haffner 1998 describe it (section II-B), and as courses do.

One part at a time can be exchanged: the squashing function, the pooling, the connections of C3, the
output. All four exchanged at once make the network that most courses call LeNet.
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from cnncourse import messages
from cnncourse.models import checks

Table = Sequence[Sequence[int]]

# Table I: the maps of S2 that each map of C3 sees; map 5 and map 0 are neighbours too.
C3_TABLE = (
    *((0, 1, 2), (1, 2, 3), (2, 3, 4), (3, 4, 5), (4, 5, 0), (5, 0, 1)),  # maps 0 to 5
    *((0, 1, 2, 3), (1, 2, 3, 4), (2, 3, 4, 5), (3, 4, 5, 0), (4, 5, 0, 1), (5, 0, 1, 2)),
    *((0, 1, 3, 4), (1, 2, 4, 5), (0, 2, 3, 5)),  # maps 12 to 14: two pairs, apart
    (0, 1, 2, 3, 4, 5),  # map 15
)
FULL_TABLE = tuple(tuple(range(6)) for _ in range(16))
SIZE_PX = 32

# Targets of the output layer: a digit drawn on 7 x 12 squares, # is +1 and . is -1. The paper has
# such drawings of all of ASCII (Figure 3); these are our own.
GLYPHS = """
    ..###.. ...##.. .#####. .#####. ....##. ####### ...###. ####### .#####. .#####.
    .##.##. ..###.. ##...## ##...## ...###. ####### ..##... ####### ##...## ##...##
    ##...## .####.. .....## .....## ..####. ##..... .##.... .....## ##...## ##...##
    ##...## ...##.. .....## .....## ..#.##. ##..... ##..... .....## ##...## ##...##
    ##...## ...##.. ....##. .....## .##.##. #####.. ##..... ....##. .##.##. ##...##
    ##...## ...##.. ...##.. ..####. .#..##. ######. #####.. ....##. ..###.. .######
    ##...## ...##.. ..##... ..####. ##..##. .....## ######. ...##.. .##.##. ..#####
    ##...## ...##.. .##.... .....## ####### .....## ##...## ...##.. ##...## .....##
    ##...## ...##.. ##..... .....## ####### .....## ##...## ..##... ##...## .....##
    ##...## ...##.. ##..... .....## ....##. .....## ##...## ..##... ##...## ....##.
    .##.##. .###### ####### ##...## ....##. ##...## ##...## .##.... ##...## ...##..
    ..###.. .###### ####### .#####. ....##. .#####. .#####. .##.... .#####. .###...
"""


def codes() -> Tensor:
    """The target of each digit's output unit, +1 for ink and -1 for paper: (10, 84)."""
    rows = [line.split() for line in GLYPHS.split("\n") if line.strip()]
    glyphs = ["".join(glyph) for glyph in zip(*rows, strict=True)]
    return torch.tensor([[1.0 if square == "#" else -1.0 for square in glyph] for glyph in glyphs])


def scaled_tanh(sums: Tensor) -> Tensor:
    """The paper's squashing function (Appendix A), any shape: f(1) = 1 and f(-1) = -1."""
    return 1.7159 * torch.tanh(2 / 3 * sums)


ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {"tanh": scaled_tanh, "relu": F.relu}


class Subsampling(nn.Module):
    """Sum of each 2x2 window, times a coefficient, plus a bias, squashed; two numbers a map.

    (N, channels, H, W) -> (N, channels, H // 2, W // 2)
    """

    def __init__(self, channels: int, activation: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.coefficient = nn.Parameter(torch.full((channels, 1, 1), 1 / 4))  # at first, the mean
        self.bias = nn.Parameter(torch.zeros(channels, 1, 1))
        self.activation = activation

    def forward(self, maps: Tensor) -> Tensor:
        """(N, channels, H, W) -> (N, channels, H // 2, W // 2)."""
        sums = F.avg_pool2d(maps, kernel_size=2, divisor_override=1)
        return self.activation(self.coefficient * sums + self.bias)


class TableConv2d(nn.Module):
    """Convolution in which output map o sees the input maps table[o], and no others.

    (N, in_channels, H, W) -> (N, len(table), H - kernel_size + 1, W - kernel_size + 1)
    A kernel for every tick of the table and a bias for every output map; a missing connection has
    no parameter. Raises ValueError for a row that is empty, repeats a map or names one too many.
    """

    ticks: Tensor  # (2, ticks): output and input map of each

    def __init__(self, table: Table, *, in_channels: int, kernel_size: int) -> None:
        super().__init__()
        check_table(table, in_channels)
        ticks = [(row, seen) for row, inputs in enumerate(table) for seen in inputs]
        self.register_buffer("ticks", torch.tensor(ticks).T.contiguous(), persistent=False)
        self.shape = (len(table), in_channels, kernel_size, kernel_size)
        self.weight = nn.Parameter(torch.empty(len(ticks), kernel_size, kernel_size))
        self.bias = nn.Parameter(torch.empty(len(table)))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """First weights by torch's rule for a Conv2d: uniform, up to 1 / sqrt(inputs of a unit)."""
        seen = torch.bincount(self.ticks[0])  # input maps of each output map
        bounds = (seen * self.shape[2] * self.shape[3]) ** -0.5
        with torch.no_grad():
            self.weight.uniform_(-1, 1).mul_(bounds[self.ticks[0], None, None])
            self.bias.uniform_(-1, 1).mul_(bounds)

    def kernels(self) -> Tensor:
        """The kernels in their places, zero where there is no tick: (maps, in_channels, h, w)."""
        return self.weight.new_zeros(self.shape).index_put(tuple(self.ticks), self.weight)

    def forward(self, maps: Tensor) -> Tensor:
        """(N, in_channels, H, W) -> (N, len(table), H - kernel_size + 1, W - kernel_size + 1)."""
        return F.conv2d(maps, self.kernels(), self.bias)


def check_table(table: Table, in_channels: int) -> None:
    """Raise ValueError unless every row of the table names some of the input maps, each once."""
    for number, row in enumerate(table):
        if not row or len(set(row)) < len(row) or not set(row) <= set(range(in_channels)):
            rule = f"map {number} must see some of the maps 0 to {in_channels - 1}, each once"
            raise ValueError(messages.refusal("table", tuple(row), rule, attempt="(0, 1, 2)"))


class RadialBasis(nn.Module):
    """Minus the squared distance to each class's fixed code: no parameters (equation 7).

    (N, 84) -> logits (N, 10). The nearest code is the answer. The cross-entropy of these logits is
    the paper's equation 9 without its constant j, the distance of a class "none of these"; with
    -j as an eleventh logit it is equation 9.
    """

    codes: Tensor  # (10, 84)

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("codes", codes(), persistent=False)

    def forward(self, features: Tensor) -> Tensor:
        """(N, 84) -> logits (N, 10), none above 0."""
        return -(features[:, None] - self.codes).square().sum(dim=2)


class LeNet5(nn.Module):
    """Seven layers, named as in the paper's Figure 2; lenet5() makes the paper's choices.

    (N, in_channels, 32, 32) -> logits (N, num_classes); with padding=2 pictures are 28x28.
    activation is "tanh" (scaled) or "relu"; pooling "subsampling" or "max"; table the maps of S2
    that each map of C3 sees; output "rbf" (ten classes) or "linear". Raises ValueError for others.
    """

    def __init__(
        self,
        *,
        in_channels: int,
        num_classes: int,
        padding: int,
        activation: str,
        pooling: str,
        table: Table,
        output: str,
    ) -> None:
        super().__init__()
        checks.check_counts(in_channels=in_channels, num_classes=num_classes)
        check_choices(activation, pooling, output, num_classes)
        self.in_channels, self.size_px = in_channels, SIZE_PX - 2 * padding
        self.squash = ACTIVATIONS[activation]
        self.c1 = nn.Conv2d(in_channels, 6, kernel_size=5, padding=padding)
        self.s2 = self.pool(6, pooling)
        self.c3 = connected(table, in_channels=6, kernel_size=5)
        self.s4 = self.pool(len(table), pooling)
        self.c5 = nn.Conv2d(len(table), 120, kernel_size=5)
        self.f6 = nn.Linear(120, 84)
        self.output = RadialBasis() if output == "rbf" else nn.Linear(84, num_classes)

    def pool(self, channels: int, pooling: str) -> nn.Module:
        """Layer that halves the maps."""
        return nn.MaxPool2d(2) if pooling == "max" else Subsampling(channels, self.squash)

    def forward(self, images: Tensor) -> Tensor:
        """(N, in_channels, 32, 32) -> logits (N, num_classes)."""
        check_pictures(images, in_channels=self.in_channels, size_px=self.size_px)
        x = self.squash(self.c1(images))  # (N, 6, 28, 28)
        x = self.s2(x)  # (N, 6, 14, 14)
        x = self.squash(self.c3(x))  # (N, 16, 10, 10)
        x = self.s4(x)  # (N, 16, 5, 5)
        x = self.squash(self.c5(x)).flatten(start_dim=1)  # (N, 120)
        x = self.squash(self.f6(x))  # (N, 84)
        return self.output(x)


def lenet5(
    *,
    in_channels: int = 1,
    num_classes: int = 10,
    padding: int = 0,
    activation: str = "tanh",
    pooling: str = "subsampling",
    table: Table = C3_TABLE,
    output: str = "rbf",
) -> LeNet5:
    """LeNet-5 as in the paper, 60,000 parameters: (N, 1, 32, 32) -> logits (N, 10).

    Each option exchanges one part (see LeNet5). First weights are torch's, uniform up to
    1 / sqrt(inputs of a unit), so that all these networks start alike; the paper's (Appendix A)
    are uniform up to 2.4 / inputs.
    """
    return LeNet5(
        in_channels=in_channels,
        num_classes=num_classes,
        padding=padding,
        activation=activation,
        pooling=pooling,
        table=table,
        output=output,
    )


def lenet5_modern(*, in_channels: int = 1, num_classes: int = 10, padding: int = 2) -> LeNet5:
    """The LeNet of most courses, 61,706 parameters: (N, 1, 28, 28) -> logits (N, 10).

    ReLU, max pooling, every map of C3 on every map of S2, a linear output; padding=0 takes 32x32.
    """
    return LeNet5(
        in_channels=in_channels,
        num_classes=num_classes,
        padding=padding,
        activation="relu",
        pooling="max",
        table=FULL_TABLE,
        output="linear",
    )


def connected(table: Table, *, in_channels: int, kernel_size: int) -> nn.Module:
    """Convolution with these connections; torch's own where every map sees every map."""
    if all(set(row) == set(range(in_channels)) for row in table):
        return nn.Conv2d(in_channels, len(table), kernel_size)
    return TableConv2d(table, in_channels=in_channels, kernel_size=kernel_size)


def check_choices(activation: str, pooling: str, output: str, num_classes: int) -> None:
    """Raise ValueError for a part that is not known, and for codes of other than ten classes."""
    for came, kind, known in (
        (activation, "activation", ACTIVATIONS),
        (pooling, "pooling", ("subsampling", "max")),
        (output, "output", ("rbf", "linear")),
    ):
        if came not in known:
            raise ValueError(messages.unknown(came, kind, known))
    if output == "rbf" and num_classes != 10:
        rule = "the codes of output='rbf' are drawn for ten digits"
        raise ValueError(
            messages.refusal("num_classes", num_classes, rule, attempt="output='linear'")
        )


@torch.fx.wrap
def check_pictures(images: Tensor, *, in_channels: int, size_px: int) -> None:
    """Raise ValueError unless images are (N, in_channels, size_px, size_px) of floats.

    Larger ones are refused too: C5 would give a map of answers, and F6 takes a single one.
    """
    if images.ndim == 4 and images.shape[1] == in_channels:
        height, width = images.shape[2:]
        if (height, width) != (size_px, size_px):
            attempt = f"F.interpolate(images, size=({size_px}, {size_px}))"
            if height == width == size_px - 4:
                attempt = "F.pad(images, (2, 2, 2, 2), value=-0.1), or padding=2"
            raise ValueError(
                f"image ({height}, {width}): LeNet-5 takes ({size_px}, {size_px}), where C5's "
                f"kernels cover the whole map. Try: {attempt}."
            )
    checks.check_images(images, in_channels=in_channels, smallest_px=size_px, model="LeNet-5")
