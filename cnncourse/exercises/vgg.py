"""Exercises of the lesson on VGG: its table, a good start, batch normalisation in and out."""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from cnncourse.exercises import Exercise, Question, WrongAnswer

FEWER_WEIGHTS = Question(
    "Three layers of 3 x 3 see 7 x 7 pixels, as one layer of 7 x 7 does. All layers have the same "
    "number of channels. Which has more weights?",
    (
        "the three layers: three are more than one",
        "the single layer, by about 10 %",
        "the single layer, by about 80 %",
        "the single layer, by a factor of 5",
    ),
    answer="the single layer, by about 80 %",
    why=(
        "For C channels in and out a layer has C x C kernels: 3 x 9 = 27 weights for each pair of "
        "channels against 49, and 49 / 27 = 1.81. The paper says the same in section 2.3."
    ),
)
WHERE_THE_WEIGHTS_ARE = Question(
    "VGG-16 has 13 convolutions and 3 full connections, and 138 million parameters. How many of "
    "these are in a single layer, the first full connection?",
    ("about 7 %", "about a third", "about three quarters", "nearly all"),
    answer="about three quarters",
    why=(
        "It joins 512 maps of 7 x 7 to 4,096 units: 25,088 x 4,096 weights are 103 million. All 13 "
        "convolutions together have 14.7 million, and do more than 99 % of the multiplications."
    ),
)
AFTER_TWENTY_LAYERS = Question(
    "Twenty layers of 3 x 3 with 16 channels and ReLU, weights drawn with a standard deviation of "
    "0.01. The input has a spread of 1. How large is the spread after 20 layers?",
    ("about 1", "about a tenth", "about a thousandth", "less than a millionth of a millionth"),
    answer="less than a millionth of a millionth",
    why=(
        "A layer multiplies the spread by about 0.01 x sqrt(9 x 16 / 2) = 0.085, and 0.085 to the "
        "power 20 has 21 zeros behind the point. The gradient shrinks as much on its way back."
    ),
)
ALONE_OR_TOGETHER = Question(
    "The same picture goes through a VGG with batch normalisation, in train mode: once in a batch "
    "with one set of pictures, once with another. Are its ten logits the same?",
    ("yes, it is the same picture", "no"),
    answer="no",
    why=(
        "In train mode mean and variance come from the batch, so every picture changes the answers "
        "of all others. In eval mode they come from the running statistics, and it stands alone."
    ),
)


# --- VGG from its table ---------------------------------------------------------------------------

TABLES = (  # depths, widths, in_channels
    ([1], [2], 1),
    ([2], [2], 1),
    ([1, 1], [2, 3], 3),
    ([2, 1], [3, 2], 1),
    ([1, 2, 2], [2, 3, 4], 3),
    ([1, 1, 2, 2], [4, 5, 6, 6], 3),
)


def table_case(number: int) -> tuple[list[int], list[int], int]:
    """Depths, widths and channels of the picture: those above, then drawn ones."""
    if number < len(TABLES):
        depths, widths, in_channels = TABLES[number]
        return list(depths), list(widths), in_channels
    draw = torch.Generator().manual_seed(number)
    stages = 1 + number % 3
    depths = torch.randint(1, 4, (stages,), generator=draw).tolist()
    widths = torch.randint(1, 6, (stages,), generator=draw).tolist()
    return depths, widths, 1 + number % 4


def built(function: Callable, arguments: tuple) -> object:
    """Shapes of the parameters, and what the layers compute with weights that we put in."""
    layers = function(*arguments)
    if layers is None:
        return None
    for parameter in layers.parameters():
        noise = torch.randn(parameter.shape)
        fan_in = parameter[0].numel() if parameter.ndim > 1 else 1
        parameter.data = noise * (2 / fan_in) ** 0.5
    side = 2 ** (1 + len(arguments[0]))
    images = torch.randn(2, arguments[2], side, side + 1)
    shapes = tuple(tuple(parameter.shape) for parameter in layers.parameters())
    return layers(images).detach(), shapes


FEATURES = Exercise(
    name="features",
    task=(
        "Build the convolutional part of a VGG from its table. For every stage `depths` says how "
        "many 3 x 3 convolutions it has and `widths` how many channels they give. A convolution "
        "keeps height and width and is followed by a ReLU; a 2 x 2 max-pool closes every stage. "
        "Return an `nn.Sequential`. The check puts its own weights in and compares the answers."
    ),
    stub='''\
def features(depths: list[int], widths: list[int], in_channels: int) -> nn.Module:
    """VGG's layers for pictures (N, in_channels, H, W), from a table with a row a stage."""
    ...''',
    hints=(
        "Two loops: over the stages, and inside over the convolutions of a stage. Collect the "
        "layers in a list and return nn.Sequential(*layers).",
        "nn.Conv2d(in_channels, width, 3, padding=1) keeps the size. Its output is the next "
        "convolution's input: set in_channels = width.",
        "for depth, width in zip(depths, widths): depth times (convolution, nn.ReLU()), then one "
        "nn.MaxPool2d(2).",
    ),
    solution_code='''\
def features(depths, widths, in_channels):
    """VGG's layers for pictures (N, in_channels, H, W), from a table with a row a stage."""
    layers = []
    for depth, width in zip(depths, widths):
        for _ in range(depth):
            layers += [nn.Conv2d(in_channels, width, 3, padding=1), nn.ReLU()]
            in_channels = width
        layers.append(nn.MaxPool2d(2))
    return nn.Sequential(*layers)''',
    wrong=(
        WrongAnswer(
            """\
def features(depths, widths, in_channels):
    layers = []
    for depth, width in zip(depths, widths):
        for _ in range(depth):
            layers += [nn.Conv2d(in_channels, width, 3, padding=1), nn.ReLU()]
        layers.append(nn.MaxPool2d(2))
    return nn.Sequential(*layers)""",
            "Every convolution takes the picture's channels. The next one must take what the one "
            "before it gives: set in_channels = width.",
        ),
        WrongAnswer(
            """\
def features(depths, widths, in_channels):
    layers = []
    for depth, width in zip(depths, widths):
        for _ in range(depth):
            layers += [nn.Conv2d(in_channels, width, 3), nn.ReLU()]
            in_channels = width
        layers.append(nn.MaxPool2d(2))
    return nn.Sequential(*layers)""",
            "Without padding every 3 x 3 convolution takes two pixels off the height and the "
            "width. VGG keeps them: padding=1.",
        ),
        WrongAnswer(
            """\
def features(depths, widths, in_channels):
    layers = []
    for depth, width in zip(depths, widths):
        for _ in range(depth):
            layers += [nn.Conv2d(in_channels, width, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)]
            in_channels = width
    return nn.Sequential(*layers)""",
            "You pool after every convolution. A stage has one max-pool, at its end: take it out "
            "of the inner loop.",
        ),
        WrongAnswer(
            """\
def features(depths, widths, in_channels):
    layers = []
    for depth, width in zip(depths, widths):
        for _ in range(depth):
            layers.append(nn.Conv2d(in_channels, width, 3, padding=1))
            in_channels = width
        layers += [nn.ReLU(), nn.MaxPool2d(2)]
    return nn.Sequential(*layers)""",
            "Between the convolutions of a stage there is no ReLU: two linear layers in a row are "
            "one linear layer. Every convolution has its own.",
        ),
        WrongAnswer(
            """\
def features(depths, widths, in_channels):
    layers = []
    for depth, width in zip(depths, widths):
        for _ in range(depth):
            layers.append(nn.Conv2d(in_channels, width, 3, padding=1))
            in_channels = width
        layers.append(nn.MaxPool2d(2))
    return nn.Sequential(*layers)""",
            "There is no ReLU at all. Convolutions alone are linear: only the max-pools would keep "
            "the whole network from being one convolution.",
        ),
        WrongAnswer(
            """\
def features(depths, widths, in_channels):
    layers = []
    for width in widths:
        layers += [nn.Conv2d(in_channels, width, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)]
        in_channels = width
    return nn.Sequential(*layers)""",
            "Every stage has one convolution, whatever depths says. Loop over range(depth) inside "
            "the stage.",
        ),
        WrongAnswer(
            """\
def features(depths, widths, in_channels):
    layers = []
    for number, (depth, width) in enumerate(zip(depths, widths)):
        for _ in range(depth):
            layers += [nn.Conv2d(in_channels, width, 3, padding=1), nn.ReLU()]
            in_channels = width
        if number + 1 < len(depths):
            layers.append(nn.MaxPool2d(2))
    return nn.Sequential(*layers)""",
            "Your last stage has no max-pool. In VGG every stage ends with one: 224 px are halved "
            "five times, to 7.",
        ),
        WrongAnswer(
            """\
def features(depths, widths, in_channels):
    layers = []
    for depth, width in zip(depths, widths):
        for _ in range(depth):
            layers += [nn.Conv2d(in_channels, width, 3, padding=1), nn.ReLU()]
            in_channels = width
        layers.append(nn.MaxPool2d(2))
    return layers""",
            "That is a list of layers. It becomes a module that can be called with "
            "nn.Sequential(*layers).",
        ),
    ),
    case=table_case,
    outcome=built,
    describe=lambda depths, widths, in_channels: (
        f"depths={depths}, widths={widths}, in_channels={in_channels} (answers, then shapes)"
    ),
)


# --- the standard deviation of a good start -------------------------------------------------------


def layer_case(number: int) -> tuple[int, int, int, int]:
    """in_channels, out_channels, kernel_size, groups: few at first, then VGG's, then grouped."""
    cases = ((1, 1, 1, 1), (2, 1, 1, 1), (1, 1, 3, 1), (3, 64, 3, 1), (512, 512, 3, 1))
    if number < len(cases):
        return cases[number]
    groups = (1, 2, 4)[number % 3]
    return groups * (1 + number % 5), groups * (1 + number // 2 % 4), 1 + number % 4, groups


KAIMING_STD = Exercise(
    name="kaiming_std",
    task=(
        "With which standard deviation must the weights of a convolution be drawn so that, with a "
        "ReLU before it, the spread of its outputs is that of the layer before? He et al.: the "
        "square root of 2 / fan_in, where fan_in is how many numbers one output adds up. Mind "
        "`groups`: an output sees only the channels of its own group."
    ),
    stub='''\
def kaiming_std(in_channels: int, out_channels: int, kernel_size: int, groups: int) -> float:
    """He et al.'s standard deviation for a convolution that is followed by ReLU, by fan_in."""
    ...''',
    hints=(
        "Count first: how many products does one number of the output add up?",
        "A kernel has kernel_size x kernel_size taps on each of in_channels / groups channels.",
        "math.sqrt(2 / fan_in): the 2 makes up for the half that ReLU sets to zero. out_channels "
        "is not needed.",
    ),
    solution_code='''\
def kaiming_std(in_channels, out_channels, kernel_size, groups):
    """He et al.'s standard deviation for a convolution that is followed by ReLU, by fan_in."""
    fan_in = in_channels // groups * kernel_size**2
    return math.sqrt(2 / fan_in)''',
    wrong=(
        WrongAnswer(
            """\
def kaiming_std(in_channels, out_channels, kernel_size, groups):
    fan_in = in_channels // groups * kernel_size**2
    return math.sqrt(1 / fan_in)""",
            "The 2 is missing. ReLU sets half of the numbers to zero, which halves the mean square "
            "at every layer; without the 2 it fades.",
        ),
        WrongAnswer(
            """\
def kaiming_std(in_channels, out_channels, kernel_size, groups):
    fan_in = in_channels // groups * kernel_size**2
    return 2 / fan_in""",
            "That is the variance. The standard deviation is its square root.",
        ),
        WrongAnswer(
            """\
def kaiming_std(in_channels, out_channels, kernel_size, groups):
    fan_in = in_channels * kernel_size**2
    return math.sqrt(2 / fan_in)""",
            "You count the channels of all groups. An output sees in_channels / groups of them.",
        ),
        WrongAnswer(
            """\
def kaiming_std(in_channels, out_channels, kernel_size, groups):
    fan_in = in_channels // groups
    return math.sqrt(2 / fan_in)""",
            "fan_in counts the kernel's taps too: one output adds up kernel_size x kernel_size "
            "numbers of every channel.",
        ),
        WrongAnswer(
            """\
def kaiming_std(in_channels, out_channels, kernel_size, groups):
    fan_in = in_channels // groups * kernel_size
    return math.sqrt(2 / fan_in)""",
            "The kernel is a square: kernel_size**2 taps, not kernel_size.",
        ),
        WrongAnswer(
            """\
def kaiming_std(in_channels, out_channels, kernel_size, groups):
    fan_out = out_channels // groups * kernel_size**2
    return math.sqrt(2 / fan_out)""",
            "That is fan_out, which keeps the gradient's spread on its way back. torchvision takes "
            "it for VGG; this task asks for fan_in.",
        ),
        WrongAnswer(
            """\
def kaiming_std(in_channels, out_channels, kernel_size, groups):
    fan_in = in_channels // groups * kernel_size**2
    fan_out = out_channels // groups * kernel_size**2
    return math.sqrt(2 / (fan_in + fan_out))""",
            "That is Glorot and Bengio's (Xavier): the mean of fan_in and fan_out, and no factor "
            "for ReLU.",
        ),
    ),
    case=layer_case,
    describe=lambda in_channels, out_channels, kernel_size, groups: (
        f"in_channels={in_channels}, out_channels={out_channels}, kernel_size={kernel_size}, "
        f"groups={groups}"
    ),
)


# --- batch normalisation in training --------------------------------------------------------------


def batch_case(number: int) -> tuple[Tensor, Tensor, Tensor, float, float]:
    """Images with a mean and a spread of their own, running statistics, momentum, eps."""
    draw = torch.Generator().manual_seed(number)
    channels, height, width = 1 + number % 3, 1 + number % 2, 2 + number // 3 % 3
    shape = (2 + number % 3, channels, height, width)
    images = 3 + 2 * torch.randn(shape, generator=draw)
    running_mean = torch.randn(channels, generator=draw)
    running_var = 0.5 + torch.rand(channels, generator=draw)
    return images, running_mean, running_var, (0.1, 0.3, 0.5)[number % 3], (1e-5, 0.1)[number % 2]


def numbers_of(tensor: Tensor) -> str:
    """A small tensor with its numbers, another by its size."""
    if tensor.numel() > 4:
        return "x".join(map(str, tensor.shape))
    return str([round(value, 2) for value in tensor.flatten().tolist()])


BATCH_NORM_STEP = Exercise(
    name="batch_norm_step",
    task=(
        "Write batch normalisation in train mode, without its learned scale and shift. Return "
        "three tensors: the normalised images, the new running mean and the new running variance. "
        "A channel's population is all its pixels in all images of the batch. Normalise with the "
        "biased variance (divided by the number of values n) plus `eps`; store the unbiased one "
        "(divided by n - 1). `momentum` is the weight of the new value."
    ),
    stub='''\
def batch_norm_step(
    images: Tensor, running_mean: Tensor, running_var: Tensor, momentum: float, eps: float
) -> tuple[Tensor, Tensor, Tensor]:
    """Images (N, C, H, W) and statistics (C,): normalised, new running mean, new running var."""
    ...''',
    hints=(
        "mean = images.mean(dim=(0, 2, 3)) is one number a channel; images.var takes the same dim.",
        "images.var(dim, correction=0) is biased, correction=1 unbiased. To subtract a mean of a "
        "channel from its pixels, give it the shape (C, 1, 1): mean[:, None, None].",
        "normalised = (images - mean) / torch.sqrt(biased + eps); "
        "new = (1 - momentum) * old + momentum * of_this_batch.",
    ),
    solution_code='''\
def batch_norm_step(images, running_mean, running_var, momentum, eps):
    """Images (N, C, H, W) and statistics (C,): normalised, new running mean, new running var."""
    mean = images.mean(dim=(0, 2, 3))
    biased = images.var(dim=(0, 2, 3), correction=0)
    unbiased = images.var(dim=(0, 2, 3), correction=1)
    spread = torch.sqrt(biased + eps)
    normalised = (images - mean[:, None, None]) / spread[:, None, None]
    new_mean = (1 - momentum) * running_mean + momentum * mean
    new_var = (1 - momentum) * running_var + momentum * unbiased
    return normalised, new_mean, new_var''',
    wrong=(
        WrongAnswer(
            """\
def batch_norm_step(images, running_mean, running_var, momentum, eps):
    mean = images.mean(dim=(0, 2, 3))
    variance = images.var(dim=(0, 2, 3), correction=0)
    normalised = (images - mean[:, None, None]) / torch.sqrt(variance + eps)[:, None, None]
    new_mean = (1 - momentum) * running_mean + momentum * mean
    return normalised, new_mean, (1 - momentum) * running_var + momentum * variance""",
            "The stored variance is the biased one. PyTorch normalises with the biased variance "
            "and stores the unbiased one, divided by n - 1.",
        ),
        WrongAnswer(
            """\
def batch_norm_step(images, running_mean, running_var, momentum, eps):
    mean, variance = images.mean(dim=(0, 2, 3)), images.var(dim=(0, 2, 3))
    normalised = (images - mean[:, None, None]) / torch.sqrt(variance + eps)[:, None, None]
    new_mean = (1 - momentum) * running_mean + momentum * mean
    return normalised, new_mean, (1 - momentum) * running_var + momentum * variance""",
            "You normalise with the unbiased variance, which is torch.var's own choice. Here the "
            "division is by n: correction=0.",
        ),
        WrongAnswer(
            """\
def batch_norm_step(images, running_mean, running_var, momentum, eps):
    mean = images.mean(dim=(0, 2, 3))
    biased = images.var(dim=(0, 2, 3), correction=0)
    unbiased = images.var(dim=(0, 2, 3))
    normalised = (images - mean[:, None, None]) / torch.sqrt(biased + eps)[:, None, None]
    new_mean = momentum * running_mean + (1 - momentum) * mean
    return normalised, new_mean, momentum * running_var + (1 - momentum) * unbiased""",
            "Momentum is turned around. In batch normalisation it is the weight of the new value, "
            "in SGD that of the old.",
        ),
        WrongAnswer(
            """\
def batch_norm_step(images, running_mean, running_var, momentum, eps):
    mean = images.mean(dim=(0, 2, 3))
    biased = images.var(dim=(0, 2, 3), correction=0)
    unbiased = images.var(dim=(0, 2, 3))
    normalised = (images - mean[:, None, None]) / torch.sqrt(biased + eps)[:, None, None]
    return normalised, mean, unbiased""",
            "The running statistics are replaced by this batch's. They take a step of size "
            "momentum towards it.",
        ),
        WrongAnswer(
            """\
def batch_norm_step(images, running_mean, running_var, momentum, eps):
    unbiased = images.var(dim=(0, 2, 3))
    new_mean = (1 - momentum) * running_mean + momentum * images.mean(dim=(0, 2, 3))
    new_var = (1 - momentum) * running_var + momentum * unbiased
    spread = torch.sqrt(running_var + eps)
    normalised = (images - running_mean[:, None, None]) / spread[:, None, None]
    return normalised, new_mean, new_var""",
            "You normalise with the running statistics: that is eval mode. In train mode the "
            "batch's own mean and variance are taken.",
        ),
        WrongAnswer(
            """\
def batch_norm_step(images, running_mean, running_var, momentum, eps):
    mean = images.mean(dim=(0, 2, 3))
    biased = images.var(dim=(0, 2, 3), correction=0)
    unbiased = images.var(dim=(0, 2, 3))
    normalised = (images - mean[:, None, None]) / (torch.sqrt(biased) + eps)[:, None, None]
    new_mean = (1 - momentum) * running_mean + momentum * mean
    return normalised, new_mean, (1 - momentum) * running_var + momentum * unbiased""",
            "eps is added to the standard deviation. It belongs under the root, to the variance.",
        ),
        WrongAnswer(
            """\
def batch_norm_step(images, running_mean, running_var, momentum, eps):
    mean = images.mean(dim=(0, 2, 3))
    biased = images.var(dim=(0, 2, 3), correction=0)
    unbiased = images.var(dim=(0, 2, 3))
    normalised = (images - mean[:, None, None]) / (biased + eps)[:, None, None]
    new_mean = (1 - momentum) * running_mean + momentum * mean
    return normalised, new_mean, (1 - momentum) * running_var + momentum * unbiased""",
            "You divide by the variance. Its square root, the standard deviation, makes the spread "
            "1.",
        ),
        WrongAnswer(
            """\
def batch_norm_step(images, running_mean, running_var, momentum, eps):
    mean = images.mean(dim=(0, 1, 2, 3))
    biased = images.var(dim=(0, 1, 2, 3), correction=0)
    unbiased = images.var(dim=(0, 1, 2, 3))
    normalised = (images - mean) / torch.sqrt(biased + eps)
    new_mean = (1 - momentum) * running_mean + momentum * mean
    return normalised, new_mean, (1 - momentum) * running_var + momentum * unbiased""",
            "One mean for all channels. Every channel has its own: leave dimension 1 out of dim.",
        ),
    ),
    case=batch_case,
    describe=lambda images, running_mean, running_var, momentum, eps: (
        f"images {'x'.join(map(str, images.shape))}, running_mean {numbers_of(running_mean)}, "
        f"running_var {numbers_of(running_var)}, momentum={momentum}, eps={eps}"
    ),
)


# --- batch normalisation folded away --------------------------------------------------------------


def pair_case(number: int, *, with_bias: bool | None = None) -> tuple[nn.Conv2d, nn.BatchNorm2d]:
    """A convolution and a trained batch normalisation; every third without bias, some grouped."""
    torch.manual_seed(number)
    groups = 2 if number % 4 == 3 else 1
    in_channels, out_channels = groups * (1 + number % 3), groups * (1 + number // 2 % 3)
    bias = number % 3 > 0 if with_bias is None else with_bias
    convolution = nn.Conv2d(in_channels, out_channels, 1 + number % 3, groups=groups, bias=bias)
    norm = nn.BatchNorm2d(out_channels, eps=(1e-5, 0.1)[number % 2]).eval()
    assert norm.running_mean is not None
    assert norm.running_var is not None
    with torch.no_grad():
        norm.running_mean.normal_()
        norm.running_var.uniform_(0.3, 3)
        norm.weight.uniform_(0.5, 2)
        norm.bias.normal_()
        if convolution.bias is not None:
            convolution.bias.normal_()
    return convolution, norm


def described(convolution: nn.Conv2d, norm: nn.BatchNorm2d) -> str:
    """A pair in words."""
    bias = "without bias" if convolution.bias is None else "with bias"
    return (
        f"{convolution.in_channels} to {convolution.out_channels} channels, kernel_size="
        f"{convolution.kernel_size[0]}, groups={convolution.groups}, {bias}, eps={norm.eps}"
    )


FOLD = Exercise(
    name="fold",
    task=(
        "Fold a batch normalisation into the convolution before it. In eval mode `norm` is "
        "`weight * (x - running_mean) / sqrt(running_var + eps) + bias`, one of each for every "
        "channel, and `x` comes from `convolution`. Return the weight and the bias of a single "
        "convolution that does what both do. `convolution.bias` may be None."
    ),
    stub='''\
def fold(convolution: nn.Conv2d, norm: nn.BatchNorm2d) -> tuple[Tensor, Tensor]:
    """Weight and bias of one convolution that does what both do in eval mode."""
    ...''',
    hints=(
        "A batch normalisation in eval mode multiplies every channel by a number and adds one. "
        "Which number does it multiply by?",
        "scale = norm.weight / torch.sqrt(norm.running_var + norm.eps). The kernels of output "
        "channel o are convolution.weight[o]: multiply with scale[:, None, None, None].",
        "new bias = norm.bias + (old bias - norm.running_mean) * scale, where the old bias is 0 if "
        "there is none.",
    ),
    solution_code='''\
def fold(convolution, norm):
    """Weight and bias of one convolution that does what both do in eval mode."""
    scale = norm.weight / torch.sqrt(norm.running_var + norm.eps)
    before = 0 if convolution.bias is None else convolution.bias
    weight = convolution.weight * scale[:, None, None, None]
    return weight.detach(), (norm.bias + (before - norm.running_mean) * scale).detach()''',
    wrong=(
        WrongAnswer(
            """\
def fold(convolution, norm):
    scale = norm.weight / torch.sqrt(norm.running_var)
    before = 0 if convolution.bias is None else convolution.bias
    weight = convolution.weight * scale[:, None, None, None]
    return weight.detach(), (norm.bias + (before - norm.running_mean) * scale).detach()""",
            "eps is missing under the root. It is small, but a channel with a small variance "
            "notices it.",
        ),
        WrongAnswer(
            """\
def fold(convolution, norm):
    scale = norm.weight / (norm.running_var + norm.eps)
    before = 0 if convolution.bias is None else convolution.bias
    weight = convolution.weight * scale[:, None, None, None]
    return weight.detach(), (norm.bias + (before - norm.running_mean) * scale).detach()""",
            "You divide by the variance; batch normalisation divides by its square root.",
        ),
        WrongAnswer(
            """\
def fold(convolution, norm):
    scale = norm.weight / torch.sqrt(norm.running_var + norm.eps)
    weight = convolution.weight * scale[:, None, None, None]
    return weight.detach(), (norm.bias - norm.running_mean * scale).detach()""",
            "The convolution's own bias is lost. Where there is one, it is added before the mean "
            "is subtracted, and scaled with it.",
        ),
        WrongAnswer(
            """\
def fold(convolution, norm):
    scale = norm.weight / torch.sqrt(norm.running_var + norm.eps)
    weight = convolution.weight * scale[:, None, None, None]
    bias = norm.bias + (convolution.bias - norm.running_mean) * scale
    return weight.detach(), bias.detach()""",
            "convolution.bias is None where the layer was built with bias=False. Then the old bias "
            "is 0.",
        ),
        WrongAnswer(
            """\
def fold(convolution, norm):
    scale = norm.weight / torch.sqrt(norm.running_var + norm.eps)
    before = 0 if convolution.bias is None else convolution.bias
    weight = convolution.weight * scale[:, None, None, None]
    return weight.detach(), (norm.bias + before - norm.running_mean * scale).detach()""",
            "The old bias is not scaled. It runs through the batch normalisation as every other "
            "part of the convolution's output does.",
        ),
        WrongAnswer(
            """\
def fold(convolution, norm):
    scale = norm.weight / torch.sqrt(norm.running_var + norm.eps)
    before = 0 if convolution.bias is None else convolution.bias
    weight = convolution.weight * scale[:, None, None, None]
    return weight.detach(), ((before - norm.running_mean) * scale).detach()""",
            "norm.bias, the shift that batch normalisation has learned, is missing from the new "
            "bias.",
        ),
        WrongAnswer(
            """\
def fold(convolution, norm):
    scale = 1 / torch.sqrt(norm.running_var + norm.eps)
    before = 0 if convolution.bias is None else convolution.bias
    weight = convolution.weight * scale[:, None, None, None]
    return weight.detach(), (norm.bias + (before - norm.running_mean) * scale).detach()""",
            "norm.weight, the scale that batch normalisation has learned, is missing.",
        ),
        WrongAnswer(
            """\
def fold(convolution, norm):
    scale = norm.weight / torch.sqrt(norm.running_var + norm.eps)
    before = 0 if convolution.bias is None else convolution.bias
    weight = convolution.weight * scale[None, :, None, None]
    return weight.detach(), (norm.bias + (before - norm.running_mean) * scale).detach()""",
            "The scale meets the kernels' second axis, the channels that come in. It belongs to "
            "the first axis, the channels that go out.",
        ),
    ),
    case=pair_case,
    describe=described,
)


# --- no bias before batch normalisation -----------------------------------------------------------


def eval_and_train(function: Callable, arguments: tuple) -> object:
    """What a convolution without bias and the changed batch normalisation give, in both modes."""
    convolution, norm = arguments
    returned = function(convolution, norm)
    if returned is None:
        return None
    running_mean, shift = (tensor.detach().clone() for tensor in returned)
    images = torch.randn(3, convolution.in_channels, 4, 5)
    maps = F.conv2d(images, convolution.weight, groups=convolution.groups)
    return tuple(
        F.batch_norm(
            maps,
            running_mean.clone(),
            norm.running_var.clone(),
            norm.weight,
            shift,
            training=training,
            eps=norm.eps,
        ).detach()
        for training in (False, True)
    )


WITHOUT_BIAS = Exercise(
    name="without_bias",
    task=(
        "A convolution with a bias stands before a batch normalisation. Take the bias away "
        "(`bias=False`) and change the batch normalisation so that nobody notices. Return two "
        "tensors, its new `running_mean` and its new `bias`. The pair must give what it gave "
        "before both in eval mode and in train mode."
    ),
    stub='''\
def without_bias(convolution: nn.Conv2d, norm: nn.BatchNorm2d) -> tuple[Tensor, Tensor]:
    """New running_mean and new bias of norm, for a convolution that has lost its bias."""
    ...''',
    hints=(
        "In train mode: what does a constant that is added to a channel do to its mean, and what "
        "is left when the mean is subtracted?",
        "So in train mode nothing may change, and norm.bias stays. In eval mode the running mean "
        "is subtracted; it was collected with the bias in it.",
        "The means of the maps are smaller by convolution.bias now: running_mean must be too.",
    ),
    solution_code='''\
def without_bias(convolution, norm):
    """New running_mean and new bias of norm, for a convolution that has lost its bias."""
    return norm.running_mean - convolution.bias, norm.bias''',
    wrong=(
        WrongAnswer(
            """\
def without_bias(convolution, norm):
    scale = norm.weight / torch.sqrt(norm.running_var + norm.eps)
    return norm.running_mean, norm.bias + scale * convolution.bias""",
            "Right in eval mode, wrong in train mode: there the bias had no effect, and your new "
            "shift has. Change the running mean.",
        ),
        WrongAnswer(
            """\
def without_bias(convolution, norm):
    return norm.running_mean + convolution.bias, norm.bias""",
            "The sign is wrong: without the bias the maps' means are smaller, so the running mean "
            "must shrink as well.",
        ),
        WrongAnswer(
            """\
def without_bias(convolution, norm):
    return norm.running_mean, norm.bias""",
            "Train mode is as before, eval mode is not: the running mean was collected with the "
            "bias in it, and now subtracts too much.",
        ),
        WrongAnswer(
            """\
def without_bias(convolution, norm):
    return norm.running_mean, norm.bias + convolution.bias""",
            "The bias is added behind the normalisation, where it changes train mode; and in eval "
            "mode it would have to be scaled.",
        ),
        WrongAnswer(
            """\
def without_bias(convolution, norm):
    return norm.running_mean - convolution.bias, norm.bias + convolution.bias""",
            "The bias is made up for twice: once in the running mean, where it belongs, and once "
            "more in norm.bias.",
        ),
        WrongAnswer(
            """\
def without_bias(convolution, norm):
    scale = norm.weight / torch.sqrt(norm.running_var + norm.eps)
    return norm.running_mean - scale * convolution.bias, norm.bias""",
            "The running mean is subtracted before the scaling: take away the bias as it is.",
        ),
    ),
    case=lambda number: pair_case(number, with_bias=True),
    outcome=eval_and_train,
    describe=lambda convolution, norm: f"{described(convolution, norm)} (eval mode, train mode)",
)

EXERCISES = (FEATURES, KAIMING_STD, BATCH_NORM_STEP, FOLD, WITHOUT_BIAS)
