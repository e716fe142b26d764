"""Exercises of the lesson on LeNet-5: a layer's budget, subsampling, squashing, the loss."""

import numpy as np
import torch
from torch import Tensor

from cnncourse.exercises import Exercise, Question, WrongAnswer

HOW_MANY_LAYERS = Question(
    "How many layers does LeNet-5 have?",
    ("5", "7", "8", "it depends on what is counted"),
    answer="it depends on what is counted",
    why=(
        "The paper counts seven, without the input: C1, S2, C3, S4, C5, F6 and the output. "
        "Counting convolutions and full connections alone, as was done later for AlexNet or VGG, "
        "gives five: C1, C3, C5, F6 and the output. The 5 in its name counts neither: LeNet-1 and "
        "LeNet-4 came before it."
    ),
)
WHAT_J_DOES = Question(
    "The paper's loss has a constant j: the distance of an imagined eleventh class, \"none of "
    'these". Leave it out, so that it is the usual softmax over ten distances. What happens to the '
    "test error?",
    ("it falls: one class less to confuse", "nothing", "it rises by half or more"),
    answer="it rises by half or more",
    why=(
        "Without j only differences of distances count, and 84 units together make large "
        "differences from tiny values. F6 stays near 0, where the squashing function is a straight "
        "line, and the network is nearly a linear one. With j the right code's distance itself "
        "must become small: F6 has to reach for -1 and +1."
    ),
)
WHICH_SWAP = Question(
    "Swap one part of LeNet-5 at a time for its modern successor: tanh for ReLU, subsampling for "
    "max pooling, codes for a linear layer. Three seeds each, 500 test images. How many of the "
    "three swaps lower the error by more than its 95 % interval?",
    ("none, or one at most", "two", "all three"),
    answer="none, or one at most",
    why=(
        "A difference of three pairs of runs has an interval of a point or more, and the "
        "networks differ by about as much. What changed computer vision was not one of these "
        "swaps on digits; it was what they allow in deeper networks on harder pictures."
    ),
)


# --- the budget of a layer ------------------------------------------------------------------------


def budget_case(number: int) -> tuple[list[list[int]], int, int]:
    """Table of a layer, kernel_size and the side of its input maps."""
    rng = np.random.default_rng(number)
    maps, seen = 1 + number % 4, 2 + number % 5
    rows = [rng.permutation(seen)[: 1 + rng.integers(seen)] for _ in range(maps)]
    table = [sorted(row.tolist()) for row in rows]
    if number == 0:
        table = [[0, 1]]
    kernel_size = (3, 2, 5, 1)[number % 4]
    return table, kernel_size, kernel_size + 1 + number % 7


LAYER_BUDGET = Exercise(
    name="layer_budget",
    task=(
        "Count a layer such as C3. Row o of `table` lists the input maps that output map o sees: "
        "`[[0, 1], [1]]` is two maps, the first sees both inputs, the second one of them. For "
        "every pair there is a kernel, for every output map a bias. The input maps are `size_px` "
        "wide and high, there is no padding. Return the trainable parameters and the connections: "
        "every output unit has a connection for each weight it uses, and one for its bias."
    ),
    stub='''\
def layer_budget(table: list[list[int]], kernel_size: int, size_px: int) -> tuple[int, int]:
    """Trainable parameters and connections of a convolution with a connection table."""
    ...''',
    hints=(
        "Count the ticks of the table first: that many kernels there are.",
        "A bias belongs to an output map, not to a kernel. All units of a map share its weights.",
        "side = size_px - kernel_size + 1; each of side * side units uses each parameter once.",
    ),
    solution_code='''\
def layer_budget(table, kernel_size, size_px):
    """Trainable parameters and connections of a convolution with a connection table."""
    ticks = sum(len(row) for row in table)
    parameters = ticks * kernel_size**2 + len(table)
    side = size_px - kernel_size + 1
    return parameters, parameters * side**2''',
    wrong=(
        WrongAnswer(
            """\
def layer_budget(table, kernel_size, size_px):
    ticks = sum(len(row) for row in table)
    parameters = ticks * kernel_size**2
    side = size_px - kernel_size + 1
    return parameters, parameters * side**2""",
            "The biases are missing: each output map has one, and each of its units uses it.",
        ),
        WrongAnswer(
            """\
def layer_budget(table, kernel_size, size_px):
    ticks = sum(len(row) for row in table)
    parameters = ticks * (kernel_size**2 + 1)
    side = size_px - kernel_size + 1
    return parameters, parameters * side**2""",
            "You give every kernel a bias of its own. The products of all kernels of an output map "
            "are added up first; one bias a map is enough.",
        ),
        WrongAnswer(
            """\
def layer_budget(table, kernel_size, size_px):
    inputs = 1 + max(max(row) for row in table)
    parameters = len(table) * inputs * kernel_size**2 + len(table)
    side = size_px - kernel_size + 1
    return parameters, parameters * side**2""",
            "You count every output map on every input map: that is a full convolution. Only the "
            "pairs in the table have a kernel.",
        ),
        WrongAnswer(
            """\
def layer_budget(table, kernel_size, size_px):
    ticks = sum(len(row) for row in table)
    parameters = ticks * kernel_size**2 + len(table)
    return parameters, parameters * size_px**2""",
            "You count a unit for every input position. Without padding the output is smaller: "
            "size_px - kernel_size + 1 wide.",
        ),
        WrongAnswer(
            """\
def layer_budget(table, kernel_size, size_px):
    ticks = sum(len(row) for row in table)
    weights = ticks * kernel_size**2
    side = size_px - kernel_size + 1
    return weights + len(table), weights * side**2""",
            "The parameters are right. Among the connections those to the biases are missing: the "
            "paper counts one for each unit.",
        ),
        WrongAnswer(
            """\
def layer_budget(table, kernel_size, size_px):
    ticks = sum(len(row) for row in table)
    parameters = ticks * kernel_size + len(table)
    side = size_px - kernel_size + 1
    return parameters, parameters * side**2""",
            "A kernel is a square: it has kernel_size * kernel_size weights.",
        ),
        WrongAnswer(
            """\
def layer_budget(table, kernel_size, size_px):
    ticks = sum(len(row) for row in table)
    parameters = ticks * kernel_size**2 + len(table)
    side = size_px - kernel_size + 1
    return parameters * side**2, parameters""",
            "Both numbers are right, in the wrong order: parameters first, then connections.",
        ),
    ),
    case=budget_case,
    describe=lambda table, kernel_size, size_px: (
        f"table {table}, kernel_size={kernel_size}, size_px={size_px}"
    ),
)


# --- subsampling ----------------------------------------------------------------------------------


def subsample_case(number: int) -> tuple[Tensor, Tensor, Tensor]:
    """Maps (N, C, H, W) of even sides, a coefficient and a bias for every map."""
    draw = torch.Generator().manual_seed(number)
    shape = (1 + number % 3, 1 + number % 4, 2 * (1 + number % 3), 2 * (1 + number // 2 % 3))
    maps = torch.randint(-3, 4, shape, generator=draw) / 4
    coefficient, bias = torch.randint(-4, 5, (2, shape[1]), generator=draw) / 4 + 0.125
    return maps, coefficient, bias


def flawed_subsample(inside: str) -> str:
    """Code of a subsampling that returns something else."""
    return f"""\
def subsample(maps, coefficient, bias):
    sums = 4 * F.avg_pool2d(maps, 2)
    coefficient, bias = coefficient[:, None, None], bias[:, None, None]
    {inside}"""


SUBSAMPLE = Exercise(
    name="subsample",
    task=(
        "Write layer S2 of LeNet-5. Cut every map into windows of 2 x 2 (both sides are even), add "
        "up the four values, multiply by the map's coefficient, add the map's bias, and squash "
        "with f(a) = 1.7159 tanh(2a/3)."
    ),
    stub='''\
def subsample(maps: Tensor, coefficient: Tensor, bias: Tensor) -> Tensor:
    """(N, C, H, W), (C,), (C,) -> (N, C, H / 2, W / 2)."""
    ...''',
    hints=(
        "Averaging windows is a function of torch.nn.functional, and a mean of four is a sum / 4.",
        "coefficient (C,) must meet axis 1 of (N, C, H, W): coefficient[:, None, None].",
        "sums = 4 * F.avg_pool2d(maps, 2); then one line: 1.7159 * torch.tanh(2 / 3 * (...)).",
    ),
    solution_code='''\
def subsample(maps, coefficient, bias):
    """(N, C, H, W), (C,), (C,) -> (N, C, H / 2, W / 2)."""
    sums = 4 * F.avg_pool2d(maps, 2)
    weighted = coefficient[:, None, None] * sums + bias[:, None, None]
    return 1.7159 * torch.tanh(2 / 3 * weighted)''',
    wrong=(
        WrongAnswer(
            flawed_subsample("return 1.7159 * torch.tanh(2 / 3 * (coefficient * sums / 4 + bias))"),
            "You take the mean of the window; the paper adds the four values up. (The network "
            "could learn a coefficient four times as large, but here it is given.)",
        ),
        WrongAnswer(
            flawed_subsample(
                "return 1.7159 * torch.tanh(2 / 3 * (coefficient * F.max_pool2d(maps, 2) + bias))"
            ),
            "That is max pooling: three of four values are lost. S2 adds them up.",
        ),
        WrongAnswer(
            flawed_subsample("return coefficient * sums + bias"),
            "The squashing function is missing. Without it S2 and C3 together would be one linear "
            "layer.",
        ),
        WrongAnswer(
            flawed_subsample("return torch.tanh(coefficient * sums + bias)"),
            "A plain tanh: the paper's is stretched, 1.7159 tanh(2a/3), so that f(1) = 1.",
        ),
        WrongAnswer(
            flawed_subsample("return 1.7159 * torch.tanh(2 / 3 * coefficient * (sums + bias))"),
            "The bias is multiplied by the coefficient. First times coefficient, then plus bias.",
        ),
        WrongAnswer(
            flawed_subsample("return coefficient * 1.7159 * torch.tanh(2 / 3 * sums) + bias"),
            "You squash the sum and then scale it. Coefficient and bias work on the sum; the "
            "squashing comes last.",
        ),
        WrongAnswer(
            """\
def subsample(maps, coefficient, bias):
    sums = 4 * F.avg_pool2d(maps, 2, stride=1)
    weighted = coefficient[:, None, None] * sums + bias[:, None, None]
    return 1.7159 * torch.tanh(2 / 3 * weighted)""",
            "The windows overlap: with stride=1 the map hardly becomes smaller. S2's windows stand "
            "side by side.",
        ),
    ),
    case=subsample_case,
    describe=lambda maps, coefficient, bias: (
        f"maps {tuple(maps.shape)}, coefficient {coefficient.tolist()}, bias {bias.tolist()}"
    ),
)


# --- the squashing function -----------------------------------------------------------------------


def squash_case(number: int) -> tuple[Tensor, float]:
    """Sums, and a steepness; the paper's is the second."""
    draw = torch.Generator().manual_seed(number)
    sums = torch.tensor([-1.0, 0, 1, 2]) if number < 3 else torch.randn(2 + number, generator=draw)
    return sums, (0.5, 2 / 3, 1.0)[number] if number < 3 else 0.25 + 0.125 * number


SQUASH = Exercise(
    name="squash",
    task=(
        "Where does 1.7159 come from? Write f(a) = A tanh(S a) for a given steepness S, and choose "
        "A so that f(1) = 1 (and so f(-1) = -1). For S = 2/3 you will find the paper's number."
    ),
    stub='''\
def squash(sums: Tensor, steepness: float) -> Tensor:
    """A * tanh(steepness * sums), with A such that squash(1) is 1; any shape."""
    ...''',
    hints=(
        "Write f(1) = 1 as an equation for A.",
        "A * tanh(S * 1) = 1. What is A?",
        "math.tanh(steepness) is a number; A is one divided by it.",
    ),
    solution_code='''\
def squash(sums, steepness):
    """A * tanh(steepness * sums), with A such that squash(1) is 1; any shape."""
    return torch.tanh(steepness * sums) / math.tanh(steepness)''',
    wrong=(
        WrongAnswer(
            "def squash(sums, steepness):\n    return 1.7159 * torch.tanh(steepness * sums)",
            "1.7159 belongs to S = 2/3 alone. For another steepness another A makes f(1) = 1.",
        ),
        WrongAnswer(
            "def squash(sums, steepness):\n    return torch.tanh(steepness * sums)",
            "A is missing: tanh(S) is below 1, so f(1) falls short of 1.",
        ),
        WrongAnswer(
            "def squash(sums, steepness):\n"
            "    return torch.tanh(steepness * sums) * math.tanh(steepness)",
            "You multiply by tanh(S) where you should divide: then f(1) is tanh(S) squared.",
        ),
        WrongAnswer(
            "def squash(sums, steepness):\n    return torch.tanh(steepness * sums) / steepness",
            "With A = 1/S the slope at 0 is 1. Asked is that f(1) = 1.",
        ),
        WrongAnswer(
            "def squash(sums, steepness):\n    return torch.tanh(steepness * sums) / math.tanh(1)",
            "You divide by tanh(1). At a = 1 the function is A tanh(S), so divide by tanh(S).",
        ),
        WrongAnswer(
            "def squash(sums, steepness):\n    return torch.tanh(sums) / math.tanh(1)",
            "The steepness is not used: it stretches the function along the axis of the sums.",
        ),
    ),
    case=squash_case,
    describe=lambda sums, steepness: (
        f"{len(sums)} sums from {sums.min():.2f} to {sums.max():.2f}, steepness={steepness:.4g}"
    ),
)


# --- the loss -------------------------------------------------------------------------------------


def loss_case(number: int) -> tuple[Tensor, Tensor, Tensor, float]:
    """Features (N, D) near codes of signs (K, D), labels (N,), and j."""
    draw = torch.Generator().manual_seed(number)
    images, size, classes = 1 + number % 4, 2 + number % 5, 2 + number % 3
    codes = torch.randint(0, 2, (classes, size), generator=draw) * 2.0 - 1
    labels = torch.randint(0, classes, (images,), generator=draw)
    noise = torch.randint(-2, 3, (images, size), generator=draw) / 4
    features = codes[torch.randint(0, classes, (images,), generator=draw)] / 2 + noise
    return features, codes, labels, (1.0, 0.5, 3.0)[number % 3]


def flawed_loss(inside: str) -> str:
    """Code of the loss that returns something else."""
    return f"""\
def loss(features, codes, labels, j):
    distances = (features[:, None] - codes).square().sum(dim=2)
    right = distances[torch.arange(len(labels)), labels]
    {inside}"""


LOSS = Exercise(
    name="loss",
    task=(
        "Write the paper's loss (equation 9). The output unit of class i answers the squared "
        "distance y_i of the features to the code of class i. For an image of class c the loss is "
        "y_c + log(exp(-j) + exp(-y_0) + exp(-y_1) + ...), the sum over all classes, c too. Return "
        "the mean over the images, as a tensor of no dimensions."
    ),
    stub='''\
def loss(features: Tensor, codes: Tensor, labels: Tensor, j: float) -> Tensor:
    """Features (N, D), codes (K, D), labels (N,) -> mean loss, ()."""
    ...''',
    hints=(
        "First the distances, (N, K): features[:, None] - codes has the shape (N, K, D).",
        "distances[torch.arange(N), labels] takes the right class's distance of each image.",
        "The second term: torch.log(math.exp(-j) + torch.exp(-distances).sum(dim=1)).",
    ),
    solution_code='''\
def loss(features, codes, labels, j):
    """Features (N, D), codes (K, D), labels (N,) -> mean loss, ()."""
    distances = (features[:, None] - codes).square().sum(dim=2)
    right = distances[torch.arange(len(labels)), labels]
    return (right + torch.log(math.exp(-j) + torch.exp(-distances).sum(dim=1))).mean()''',
    wrong=(
        WrongAnswer(
            flawed_loss("return (right + torch.logsumexp(-distances, dim=1)).mean()"),
            "exp(-j) is missing. What is left is the cross-entropy over the classes, for which "
            "only differences of distances count.",
        ),
        WrongAnswer(
            flawed_loss("return right.mean()"),
            "This is equation 8, the right class's distance alone. Nothing pushes the other "
            "classes away.",
        ),
        WrongAnswer(
            """\
def loss(features, codes, labels, j):
    distances = (features[:, None] - codes).square().sum(dim=2).sqrt()
    right = distances[torch.arange(len(labels)), labels]
    return (right + torch.log(math.exp(-j) + torch.exp(-distances).sum(dim=1))).mean()""",
            "You take the root: the units of the output layer answer squared distances.",
        ),
        WrongAnswer(
            flawed_loss(
                "return (right + torch.log(math.exp(-j) + torch.exp(-distances).sum(dim=1))).sum()"
            ),
            "You add up over the images: a larger batch gets a larger loss. Take the mean.",
        ),
        WrongAnswer(
            flawed_loss(
                "others = torch.exp(-distances).sum(dim=1) - torch.exp(-right)\n"
                "    return (right + torch.log(math.exp(-j) + others)).mean()"
            ),
            "You leave the right class out of the sum. It belongs there, as in a softmax.",
        ),
        WrongAnswer(
            flawed_loss(
                "return (right + torch.log(math.exp(j) + torch.exp(-distances).sum(dim=1))).mean()"
            ),
            "The sign of j: it is a distance like the others, so it comes in as exp(-j).",
        ),
        WrongAnswer(
            flawed_loss(
                "return (right - torch.log(math.exp(-j) + torch.exp(-distances).sum(dim=1))).mean()"
            ),
            "You subtract the second term: then wrong classes are pulled closer. It is added.",
        ),
    ),
    case=loss_case,
    describe=lambda features, codes, labels, j: (
        f"{len(features)} images of {features.shape[1]} features, {len(codes)} classes, j={j}"
    ),
)

EXERCISES = (LAYER_BUDGET, SUBSAMPLE, SQUASH, LOSS)
