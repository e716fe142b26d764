"""Exercises of the lesson on EfficientNet: rounding, squeezing, dropping, counting."""

import torch
from torch import Tensor

from cnncourse.exercises import Exercise, Question, WrongAnswer
from cnncourse.models import efficientnet

FEWEST_A_SECOND = Question(
    "Three layers of 256 channels: a plain 3 x 3 convolution, a depthwise 3 x 3 and a pointwise "
    "1 x 1. Which does the fewest MACs in a second?",
    ("the plain one: it has the most to do", "the depthwise one", "the pointwise one", "all alike"),
    answer="the depthwise one",
    why=(
        "It uses each number that it fetches nine times, the dense layers use it for 256 outputs. "
        "So it waits for memory, and MACs do not count waiting."
    ),
)
SHARE_OF_MACS = Question(
    "Squeeze-and-excitation holds 12.0 % of the parameters of EfficientNet-B0. What is its share "
    "of the MACs?",
    ("about 12 %", "about 1 %", "about 0.2 %"),
    answer="about 0.2 %",
    why=(
        "Its weights meet one number a channel, the mean of a map. A convolution's weights are "
        "used again at every place of its map."
    ),
)
BLOCKS_OF_B1 = Question(
    "B0 has 16 blocks in seven stages of 1, 2, 2, 3, 3, 4 and 1. B1 is B0 with depth 1.1. How many "
    "blocks has B1?",
    ("16", "17", "18", "23"),
    answer="23",
    why=(
        "Every stage is rounded up by itself: 2, 3, 3, 4, 4, 5, 2. What is called 1.1 times as "
        "deep has 1.44 times the blocks."
    ),
)
TIME_OF_B0 = Question(
    "EfficientNet-B0 does 4.7 times fewer MACs than ResNet-18. How long does it take for one "
    "picture of 224 px, on this processor, in this library?",
    (
        "about a fifth of ResNet-18's time, as its MACs say",
        "far more than a fifth of ResNet-18's time",
    ),
    answer="far more than a fifth of ResNet-18's time",
    why=(
        "Its layers are many, thin and often depthwise, and each moves large maps for few MACs. "
        "ResNet-18 has few layers, each a dense matrix product."
    ),
)


# --- channels -------------------------------------------------------------------------------------

CHANNELS = (
    (8.0, 8),
    (3.0, 8),
    (12.0, 8),
    (17.0, 8),
    (18.5, 8),
    (20.0, 8),
    (52.0, 8),
    (35.2, 8),
    (5.9, 4),
    (57.6, 8),
    (1.0, 4),
    (19.9, 8),
    (41.0, 16),
    (9.9, 4),
    (123.2, 8),
    (10.0, 3),
)


def channel_case(number: int) -> tuple[float, int]:
    """Wanted channels and a divisor: those of B0's relatives, and those at which rules differ."""
    if number < len(CHANNELS):
        return CHANNELS[number]
    stage = efficientnet.STAGES[number % len(efficientnet.STAGES)]
    return round(stage.channels * (1 + 0.1 * (number % 11)), 1), 8


MAKE_DIVISIBLE = Exercise(
    name="make_divisible",
    task=(
        "Scaled by 1.1, 24 channels are 26.4, and no layer has 26.4 channels. Round `channels` to "
        "the nearest multiple of `divisor` (halves go up), but to no less than `divisor`. If that "
        "took away more than a tenth, that is, if it is below 90 % of `channels`, take the next "
        "multiple instead. Return an int."
    ),
    stub='''\
def make_divisible(channels: float, divisor: int) -> int:
    """A multiple of divisor close to channels, never below 90 % of them."""
    ...''',
    hints=(
        "Three steps: the nearest multiple; at least one divisor; one more where too much is lost.",
        "The nearest multiple, halves up: add half a divisor, then cut down with // divisor.",
        "rounded = max(divisor, int(channels + divisor / 2) // divisor * divisor); then compare "
        "with 0.9 * channels.",
    ),
    solution_code='''\
def make_divisible(channels, divisor):
    """A multiple of divisor close to channels, never below 90 % of them."""
    rounded = max(divisor, int(channels + divisor / 2) // divisor * divisor)
    if rounded < 0.9 * channels:
        rounded += divisor
    return rounded''',
    wrong=(
        WrongAnswer(
            """\
def make_divisible(channels, divisor):
    return max(divisor, int(channels + divisor / 2) // divisor * divisor)""",
            "The nearest multiple, and no more: 18.5 becomes 16, and 13 % are lost. Below 90 % of "
            "`channels` take the next multiple.",
        ),
        WrongAnswer(
            """\
def make_divisible(channels, divisor):
    return int(channels + divisor / 2) // divisor * divisor""",
            "The nearest multiple, and no more: 3 channels become none. At least one divisor, and "
            "the next multiple below 90 % of `channels`.",
        ),
        WrongAnswer(
            """\
def make_divisible(channels, divisor):
    return max(divisor, int(channels) // divisor * divisor)""",
            "You always round down. 20 channels are nearer to 24 than to 16 (a half goes up).",
        ),
        WrongAnswer(
            """\
def make_divisible(channels, divisor):
    return max(divisor, math.ceil(channels / divisor) * divisor)""",
            "You always round up. 17 channels may become 16: that is above 90 % of them.",
        ),
        WrongAnswer(
            """\
def make_divisible(channels, divisor):
    rounded = max(divisor, round(channels / divisor) * divisor)
    return rounded + divisor if rounded < 0.9 * channels else rounded""",
            "Python's round takes a half to the even side: 52 / 8 = 6.5 becomes 6. Here halves go "
            "up: add half a divisor and cut down.",
        ),
        WrongAnswer(
            """\
def make_divisible(channels, divisor):
    rounded = max(divisor, int(channels + divisor / 2) // divisor * divisor)
    return rounded + divisor if rounded <= 0.9 * channels else rounded""",
            "Exactly 90 % of `channels` is enough: 9 in place of 10. Below it, the next multiple.",
        ),
        WrongAnswer(
            """\
def make_divisible(channels, divisor):
    rounded = max(8, int(channels + 4) // 8 * 8)
    return rounded + 8 if rounded < 0.9 * channels else rounded""",
            "Eight is written into yours; use `divisor`.",
        ),
        WrongAnswer(
            """\
def make_divisible(channels, divisor):
    rounded = max(divisor, (channels + divisor / 2) // divisor * divisor)
    return float(rounded + divisor if rounded < 0.9 * channels else rounded)""",
            "A float: no layer takes 24.0 channels. Return an int.",
        ),
    ),
    case=channel_case,
    describe=lambda channels, divisor: f"channels={channels}, divisor={divisor}",
)


# --- layers ---------------------------------------------------------------------------------------

LAYERS: tuple[tuple[list[int], float], ...] = (
    ([1], 1.1),
    ([2], 1.0),
    ([1, 2], 1.5),
    ([4, 3], 0.5),
    ([2, 2, 3], 1.2),
    ([1, 2, 2, 3, 3, 4, 1], 1.1),
    ([], 2.0),
    ([1, 3], 0.2),
)


def layer_case(number: int) -> tuple[list[int], float]:
    """Layers of some stages, and a factor; from the ninth case on those of B1 to B7 and between."""
    if number < len(LAYERS):
        layers, depth = LAYERS[number]
        return list(layers), depth
    return [stage.layers for stage in efficientnet.STAGES], 1.05 + number / 8


SCALED_LAYERS = Exercise(
    name="scaled_layers",
    task=(
        "Make a network deeper. `layers` has the number of blocks of every stage; return the list "
        "for a network `depth` times as deep. Every stage is rounded up by itself, so that a "
        "deeper network never has the same blocks."
    ),
    stub='''\
def scaled_layers(layers: list[int], depth: float) -> list[int]:
    """Blocks of every stage, depth times as many, rounded up."""
    ...''',
    hints=(
        "One number out for every number in.",
        "math.ceil rounds up, and gives an int.",
        "[math.ceil(depth * count) for count in layers]",
    ),
    solution_code='''\
def scaled_layers(layers, depth):
    """Blocks of every stage, depth times as many, rounded up."""
    return [math.ceil(depth * count) for count in layers]''',
    wrong=(
        WrongAnswer(
            """\
def scaled_layers(layers, depth):
    return [round(depth * count) for count in layers]""",
            "You round to the nearest: depth 1.1 would leave every stage of B0 as it is.",
        ),
        WrongAnswer(
            """\
def scaled_layers(layers, depth):
    return [int(depth * count) for count in layers]""",
            "int() cuts off: 1.1 times 1 block stays 1 block. Round up.",
        ),
        WrongAnswer(
            """\
def scaled_layers(layers, depth):
    return [count * math.ceil(depth) for count in layers]""",
            "The factor is rounded up before it is used: 1.1 becomes 2. Round the product.",
        ),
        WrongAnswer(
            """\
def scaled_layers(layers, depth):
    return [int(depth * count) + 1 for count in layers]""",
            "One more also where the product is whole: 1.0 times 2 blocks are 2, not 3.",
        ),
        WrongAnswer(
            """\
def scaled_layers(layers, depth):
    return [max(1, round(depth * count)) for count in layers]""",
            "No stage vanishes, well; but a product that is not whole is rounded up, not to the "
            "nearest.",
        ),
        WrongAnswer(
            """\
def scaled_layers(layers, depth):
    return sum(math.ceil(depth * count) for count in layers)""",
            "That is the number of all blocks. Return one number for every stage, as a list.",
        ),
    ),
    case=layer_case,
    describe=lambda layers, depth: f"layers={layers}, depth={depth:g}",
)


# --- squeeze and excitation -----------------------------------------------------------------------

SIZES = ((1, 2, 1, 2), (1, 2, 2, 2), (2, 2, 2, 1), (2, 4, 3, 2), (3, 8, 5, 4))


def squeeze_case(number: int) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Maps, and the weights and biases of two full connections; small ones first."""
    images, channels, height, width = SIZES[min(number // 2, len(SIZES) - 1)]
    draw = torch.Generator().manual_seed(number)
    few = channels // 2 + number % 2

    def numbers(*shape: int) -> Tensor:
        return torch.randint(-4, 5, shape, generator=draw) / 2

    maps = numbers(images, channels, height, width)
    maps[0, 0, 0, 0] = 3.0  # nothing is 0 everywhere
    return maps, numbers(few, channels), numbers(few), numbers(channels, few), numbers(channels)


def described_maps(maps: Tensor, fc1: Tensor, *rest: Tensor) -> str:
    """Shapes, and the numbers of the smallest maps."""
    told = f"maps {tuple(maps.shape)}, {fc1.shape[1]} channels squeezed to {fc1.shape[0]}"
    return told + (f", maps.flatten() {maps.flatten().tolist()}" if maps.numel() <= 4 else "")


SQUEEZE_EXCITE = Exercise(
    name="squeeze_excite",
    task=(
        "Let every channel be weighed by what all channels show. Squeeze: the mean of every map, "
        "one number a channel and picture. Excite: a full connection (`fc1_weight`, `fc1_bias`), "
        "SiLU, a second one (`fc2_weight`, `fc2_bias`), sigmoid. Multiply every map by its number. "
        "Weights are `(out, in)`, as in nn.Linear. `(N, C, H, W)` in, `(N, C, H, W)` out."
    ),
    stub='''\
def squeeze_excite(maps, fc1_weight, fc1_bias, fc2_weight, fc2_bias):
    """Maps (N, C, H, W), each multiplied by a factor from 0 to 1 that depends on all of them."""
    ...''',
    hints=(
        "maps.mean(dim=(2, 3)) squeezes: (N, C). F.linear(x, weight, bias) is a full connection.",
        "F.silu between the two full connections, torch.sigmoid after the second.",
        "The factors are (N, C), the maps (N, C, H, W): factors[:, :, None, None] * maps.",
    ),
    solution_code='''\
def squeeze_excite(maps, fc1_weight, fc1_bias, fc2_weight, fc2_bias):
    """Maps (N, C, H, W), each multiplied by a factor from 0 to 1 that depends on all of them."""
    squeezed = maps.mean(dim=(2, 3))
    hidden = F.silu(F.linear(squeezed, fc1_weight, fc1_bias))
    factors = torch.sigmoid(F.linear(hidden, fc2_weight, fc2_bias))
    return factors[:, :, None, None] * maps''',
    wrong=(
        WrongAnswer(
            """\
def squeeze_excite(maps, fc1_weight, fc1_bias, fc2_weight, fc2_bias):
    hidden = F.relu(F.linear(maps.mean(dim=(2, 3)), fc1_weight, fc1_bias))
    factors = torch.sigmoid(F.linear(hidden, fc2_weight, fc2_bias))
    return factors[:, :, None, None] * maps""",
            "That is ReLU between the two, as in the paper of 2017. EfficientNet has SiLU there.",
        ),
        WrongAnswer(
            """\
def squeeze_excite(maps, fc1_weight, fc1_bias, fc2_weight, fc2_bias):
    hidden = F.silu(F.linear(maps.mean(dim=(2, 3)), fc1_weight, fc1_bias))
    return F.linear(hidden, fc2_weight, fc2_bias)[:, :, None, None] * maps""",
            "The sigmoid is missing: factors of any size, also negative ones.",
        ),
        WrongAnswer(
            """\
def squeeze_excite(maps, fc1_weight, fc1_bias, fc2_weight, fc2_bias):
    hidden = F.silu(F.linear(maps.sum(dim=(2, 3)), fc1_weight, fc1_bias))
    factors = torch.sigmoid(F.linear(hidden, fc2_weight, fc2_bias))
    return factors[:, :, None, None] * maps""",
            "You add up the pixels of a map. A sum grows with the picture; squeeze by the mean.",
        ),
        WrongAnswer(
            """\
def squeeze_excite(maps, fc1_weight, fc1_bias, fc2_weight, fc2_bias):
    hidden = F.silu(F.linear(maps.amax(dim=(2, 3)), fc1_weight, fc1_bias))
    factors = torch.sigmoid(F.linear(hidden, fc2_weight, fc2_bias))
    return factors[:, :, None, None] * maps""",
            "You take the largest pixel of a map. Squeeze by the mean.",
        ),
        WrongAnswer(
            """\
def squeeze_excite(maps, fc1_weight, fc1_bias, fc2_weight, fc2_bias):
    hidden = F.silu(F.linear(maps.mean(dim=(2, 3)), fc1_weight, fc1_bias))
    factors = torch.softmax(F.linear(hidden, fc2_weight, fc2_bias), dim=1)
    return factors[:, :, None, None] * maps""",
            "Softmax lets channels compete: their factors sum to 1. The sigmoid judges each "
            "channel by itself.",
        ),
        WrongAnswer(
            """\
def squeeze_excite(maps, fc1_weight, fc1_bias, fc2_weight, fc2_bias):
    hidden = F.silu(F.linear(maps.mean(dim=(0, 2, 3)), fc1_weight, fc1_bias))
    factors = torch.sigmoid(F.linear(hidden, fc2_weight, fc2_bias))
    return factors[:, None, None] * maps""",
            "You average over the pictures of the batch, too: one picture's factors then depend "
            "on its neighbours.",
        ),
        WrongAnswer(
            """\
def squeeze_excite(maps, fc1_weight, fc1_bias, fc2_weight, fc2_bias):
    hidden = F.silu(F.linear(maps.mean(dim=(2, 3)), fc1_weight, fc1_bias))
    factors = torch.sigmoid(F.linear(hidden, fc2_weight, fc2_bias))
    return factors[:, :, None, None] + maps""",
            "You add the factors. Excitation multiplies: a channel is let through, or shut.",
        ),
        WrongAnswer(
            """\
def squeeze_excite(maps, fc1_weight, fc1_bias, fc2_weight, fc2_bias):
    hidden = F.silu(F.linear(maps.mean(dim=(2, 3)), fc1_weight, fc1_bias))
    return torch.sigmoid(F.linear(hidden, fc2_weight, fc2_bias))""",
            "These are the factors, (N, C). Multiply the maps by them.",
        ),
    ),
    case=squeeze_case,
    describe=described_maps,
)


# --- stochastic depth -----------------------------------------------------------------------------

CHANCES = (0.5, 0.2, 0.0, 0.25, 0.75)


def drop_case(number: int) -> tuple[Tensor, Tensor, Tensor, float, bool]:
    """Residuals and shortcuts of some pictures, a draw for each, a probability, the mode."""
    draw = torch.Generator().manual_seed(number)
    shape = (1 + (number + 1) // 2, 1 + number // 3, 1 + number // 4, 1 + number // 6)
    residual, shortcut = (
        torch.randint(1, 9, shape, generator=draw).float() * sign for sign in (1, -1)
    )
    draws = torch.rand(shape[0], generator=draw)
    if number < 2:
        draws[0] = (0.1, 0.9)[number]  # one that is dropped, one that is kept
    if number == 5:
        draws[0] = CHANCES[0]  # p itself: not below p
    return residual, shortcut, draws, CHANCES[number % len(CHANCES)], number % 4 != 3


STOCHASTIC_DEPTH = Exercise(
    name="add_residual",
    task=(
        "The end of a block with stochastic depth. In training, the residual of every picture is "
        "dropped as a whole with probability `p`: where `draws[n]`, uniform from 0 to 1, is below "
        "`p`. What survives is divided by the probability to survive, so that the expected sum "
        "stays. The shortcut is always added. With `training=False` nothing is dropped and nothing "
        "divided. `residual` and `shortcut` are (N, C, H, W), `draws` is (N,), `p` is below 1."
    ),
    stub='''\
def add_residual(residual, shortcut, draws, p: float, training: bool):
    """Shortcut plus residual, (N, C, H, W); in training each picture's residual may be dropped."""
    ...''',
    hints=(
        "Make one number a picture: 0 where it is dropped, 1 / (1 - p) where it survives.",
        "(draws >= p) is True where a picture survives; [:, None, None, None] gives it the shape "
        "(N, 1, 1, 1).",
        "survives = (draws >= p)[:, None, None, None]; shortcut + residual * survives / (1 - p)",
    ),
    solution_code='''\
def add_residual(residual, shortcut, draws, p, training):
    """Shortcut plus residual, (N, C, H, W); in training each picture's residual may be dropped."""
    if not training:
        return shortcut + residual
    survives = (draws >= p)[:, None, None, None]
    return shortcut + residual * survives / (1 - p)''',
    wrong=(
        WrongAnswer(
            """\
def add_residual(residual, shortcut, draws, p, training):
    if not training:
        return shortcut + residual
    return shortcut + residual * (draws >= p)[:, None, None, None]""",
            "What survives is not divided: in training the residual would be smaller on average "
            "than in use. Divide by the probability to survive.",
        ),
        WrongAnswer(
            """\
def add_residual(residual, shortcut, draws, p, training):
    if not training:
        return shortcut + residual * (1 - p)
    return shortcut + residual * (draws >= p)[:, None, None, None]""",
            "So did the paper of 2016: it multiplied in use. Today one divides in training, and a "
            "network in use has nothing left to do.",
        ),
        WrongAnswer(
            """\
def add_residual(residual, shortcut, draws, p, training):
    if not training:
        return shortcut + residual
    return shortcut + residual * (draws < p)[:, None, None, None] / (1 - p)""",
            "The other way round: a draw below p means that the residual is dropped.",
        ),
        WrongAnswer(
            """\
def add_residual(residual, shortcut, draws, p, training):
    if not training:
        return shortcut + residual
    return (shortcut + residual) * (draws >= p)[:, None, None, None] / (1 - p)""",
            "The shortcut is dropped, too: the picture would be gone. Only the residual may go.",
        ),
        WrongAnswer(
            """\
def add_residual(residual, shortcut, draws, p, training):
    survives = (draws >= p)[:, None, None, None]
    return shortcut + residual * survives / (1 - p)""",
            "Yours drops in use, too. With training=False every residual is added as it is.",
        ),
        WrongAnswer(
            """\
def add_residual(residual, shortcut, draws, p, training):
    if not training:
        return shortcut + residual
    return shortcut + residual * (draws > p)[:, None, None, None] / (1 - p)""",
            "A draw that equals p is not below p: it survives.",
        ),
        WrongAnswer(
            """\
def add_residual(residual, shortcut, draws, p, training):
    if not training:
        return shortcut + residual
    return shortcut + residual * bool(draws[0] >= p) / (1 - p)""",
            "One draw decides for the whole batch. Every picture has its own.",
        ),
        WrongAnswer(
            """\
def add_residual(residual, shortcut, draws, p, training):
    if not training:
        return shortcut + residual
    return shortcut + residual * (draws >= p)[:, None, None, None] * (1 - p)""",
            "You multiply by the probability to survive, and lose twice. Divide.",
        ),
    ),
    case=drop_case,
    describe=lambda residual, shortcut, draws, p, training: (
        f"residual {tuple(residual.shape)}, draws {[round(x, 2) for x in draws.tolist()]}, p={p}, "
        f"training={training}"
    ),
)


# --- MACs at a resolution -------------------------------------------------------------------------

Layers = list[tuple[int, int | None]]


def layers_of(name: str) -> Layers:
    """(weights, stride) of every convolution of an EfficientNet, stride None after a mean.

    In order; biases left out, the classifier included.
    """
    row = efficientnet.VARIANTS[name]
    table = efficientnet.scaled(efficientnet.STAGES, width=row.width, depth=row.depth)
    channels = efficientnet.make_divisible(efficientnet.STEM_CHANNELS * row.width)
    layers: Layers = [(27 * channels, 2)]
    for stage in table:
        for number in range(stage.layers):
            wide, squeezed = channels * stage.expansion, channels // 4
            if stage.expansion > 1:
                layers.append((channels * wide, 1))
            layers.append((stage.kernel_size**2 * wide, 1 if number else stage.stride))
            layers += 2 * [(wide * squeezed, None)]
            layers.append((wide * stage.channels, 1))
            channels = stage.channels
    head = efficientnet.HEAD_WIDTH * channels
    return [*layers, (channels * head, 1), (head * 1000, None)]


SMALL: tuple[Layers, ...] = (
    [(1000, 1)],
    [(1000, 2)],
    [(1000, 1), (500_000, None)],
    [(1000, 2), (3000, 1), (2000, 2)],
    [(9000, 1), (1000, 2), (800_000, None), (5000, 1)],
)
B2 = layers_of("efficientnet_b2")


def quoted(layers: Layers, resolution_px: int) -> float:
    """Billions of MACs at a resolution, with three decimals, as they are quoted."""
    size, macs = resolution_px, 0
    for weights, stride in layers:
        size = -(-size // (stride or 1))
        macs += weights * (size**2 if stride else 1)
    return round(macs / 1e9, 3)


def quote_case(number: int) -> tuple[Layers, float, list[int]]:
    """Layers, a quoted figure, and the sizes that it may have been counted at."""
    if number < 10:
        layers, sizes = SMALL[number // 2], [31, 63, 95, 127, 159]
        right = sizes[(number * 2 + 1) % 5]
    else:
        layers, sizes = B2, [224, 240, 255, 260, 277, 288, 299, 300]
        right = sizes[(number + 5) % 8] if number > 10 else 288
    figure = quoted(layers, right)
    return list(layers), figure if number % 7 != 6 else figure + 0.0047, list(sizes)


RESOLUTION_OF = Exercise(
    name="resolution_of",
    task=(
        "torchvision quotes 1.088 billion MACs for EfficientNet-B2, whose pictures the authors' "
        "code has at 260 px. At which size was that counted? `layers` has `(weights, stride)` for "
        "every convolution in order. A map of side `size` has side `size / stride`, rounded up, "
        "after it, and every weight is used once at each place of that new map. `stride` None "
        "marks full connections on means (squeeze-and-excitation, classifier): every weight is "
        "used once, and the maps stay. Return the first of `sizes` whose MACs, in billions and "
        "rounded to three decimals, are `quoted`; None where there is none."
    ),
    stub='''\
def resolution_of(layers: list[tuple], quoted: float, sizes: list[int]) -> int | None:
    """The first size in pixels at which the layers take the quoted billions of MACs."""
    ...''',
    hints=(
        "For every size: walk through the layers with the side of the map, and add up MACs.",
        "-(-size // stride) is the division rounded up. A layer with a stride adds weights * "
        "size**2 (the new size), one without adds weights.",
        "Start each size anew. Compare round(macs / 1e9, 3) with quoted, and return the size at "
        "once where they are equal; return None after the loop.",
    ),
    solution_code='''\
def resolution_of(layers, quoted, sizes):
    """The first size in pixels at which the layers take the quoted billions of MACs."""
    for resolution_px in sizes:
        size, macs = resolution_px, 0
        for weights, stride in layers:
            if stride is None:
                macs += weights
            else:
                size = -(-size // stride)
                macs += weights * size**2
        if round(macs / 1e9, 3) == round(quoted, 3):
            return resolution_px
    return None''',
    wrong=(
        WrongAnswer(
            """\
def resolution_of(layers, quoted, sizes):
    for resolution_px in sizes:
        size, macs = resolution_px, 0
        for weights, stride in layers:
            size = size // (stride or 1)
            macs += weights * (size**2 if stride else 1)
        if round(macs / 1e9, 3) == round(quoted, 3):
            return resolution_px""",
            "Sizes are rounded up here: 31 pixels with stride 2 and padding give 16, not 15.",
        ),
        WrongAnswer(
            """\
def resolution_of(layers, quoted, sizes):
    for resolution_px in sizes:
        size, macs = resolution_px, 0
        for weights, stride in layers:
            macs += weights * (size**2 if stride else 1)
            size = -(-size // (stride or 1))
        if round(macs / 1e9, 3) == round(quoted, 3):
            return resolution_px""",
            "You count the places of the map that comes in. A weight is used once at each place of "
            "the map that goes out: divide by the stride first.",
        ),
        WrongAnswer(
            """\
def resolution_of(layers, quoted, sizes):
    for resolution_px in sizes:
        size, macs = resolution_px, 0
        for weights, stride in layers:
            size = -(-size // (stride or 1))
            macs += 2 * weights * (size**2 if stride else 1)
        if round(macs / 1e9, 3) == round(quoted, 3):
            return resolution_px""",
            "You count a multiplication and an addition: these are FLOPs. A MAC is both at once.",
        ),
        WrongAnswer(
            """\
def resolution_of(layers, quoted, sizes):
    for resolution_px in sizes:
        size, macs = resolution_px, 0
        for weights, stride in layers:
            size = -(-size // (stride or 1))
            macs += weights * size**2
        if round(macs / 1e9, 3) == round(quoted, 3):
            return resolution_px""",
            "Where the stride is None there is one place, whatever the size of the maps: the "
            "weight is used once.",
        ),
        WrongAnswer(
            """\
def resolution_of(layers, quoted, sizes):
    for resolution_px in sizes:
        size, macs = resolution_px, 0
        for weights, stride in layers:
            size = -(-size // (stride or 1))
            macs += weights * (size if stride else 1)
        if round(macs / 1e9, 3) == round(quoted, 3):
            return resolution_px""",
            "A map has size * size places; you count one row of them.",
        ),
        WrongAnswer(
            """\
def resolution_of(layers, quoted, sizes):
    for number, resolution_px in enumerate(sizes):
        size, macs = resolution_px, 0
        for weights, stride in layers:
            size = -(-size // (stride or 1))
            macs += weights * (size**2 if stride else 1)
        if round(macs / 1e9, 3) == round(quoted, 3):
            return number""",
            "That is the place in the list. Return the size itself, in pixels.",
        ),
        WrongAnswer(
            """\
def resolution_of(layers, quoted, sizes):
    size = sizes[0]
    for resolution_px in sizes:
        macs = 0
        for weights, stride in layers:
            size = -(-size // (stride or 1))
            macs += weights * (size**2 if stride else 1)
        if round(macs / 1e9, 3) == round(quoted, 3):
            return resolution_px""",
            "The side goes on shrinking from one candidate to the next. Start each size anew.",
        ),
    ),
    case=quote_case,
    describe=lambda layers, quoted, sizes: (
        f"{layers if len(layers) < 6 else f'{len(layers)} layers'}, quoted={quoted:.3f}, "
        f"sizes={sizes}"
    ),
    cases=24,
)


EXERCISES = (MAKE_DIVISIBLE, SCALED_LAYERS, SQUEEZE_EXCITE, STOCHASTIC_DEPTH, RESOLUTION_OF)
