"""Exercises of the lesson on sizes: count places, halve, keep the size, groups, transposed."""

import random
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from cnncourse import arithmetic
from cnncourse.exercises import Exercise, Question, WrongAnswer

ROUNDING = Question(
    "A window of 2 px walks over a row of 5 px in steps of 2. At how many places does it stand?",
    ("2", "2.5", "3"),
    answer="2",
    why="It stands on pixels 0 and 1, then on 2 and 3. A third place would need pixels 4 and 5, "
    "and there is no pixel 5. Pixel 4 is never seen.",
)
BORDER = Question(
    "Every pixel is 1. A 3x3 mean filter runs over it with zero padding. What is in the corner?",
    ("1", "8/9", "6/9", "4/9"),
    answer="4/9",
    why="Of the nine pixels under the window, four lie in the picture and five in the padding. "
    "Padding with zeros says: beyond the border it is black.",
)
WHICH_PADDING = Question(
    "A photograph is cut smaller and then blurred. Which padding comes closest to the blur of the "
    "whole photograph, near the cut?",
    ("zeros", "reflect", "replicate", "circular"),
    answer="replicate",
    why="The nearest guess for a pixel that one cannot see is its nearest neighbour. Reflect is "
    "close behind. Zeros invent a black frame, circular brings in the opposite side.",
)
ALEXNET = Question(
    "AlexNet's first layer: 224 px, kernel_size 11, stride 4, no padding. "
    "How wide is the feature map that PyTorch gives?",
    ("54", "54.25", "55", "56"),
    answer="54",
    why="(224 - 11) / 4 + 1 = 54.25, and sizes round down. The paper has 55, which needs 227 px "
    "(or some padding).",
)
SEPARABLE = Question(
    "A 3x3 convolution to 256 channels is split: 3x3 within every channel, then 1x1 across "
    "channels. How many times fewer multiplications?",
    ("about 2", "about 9", "about 256"),
    answer="about 9",
    why="For every output pixel and input channel: 9 * 256 products before, 9 + 256 after. "
    "2304 / 265 = 8.69. With more output channels it comes nearer to 9.",
)
CHECKERBOARD = Question(
    "A transposed convolution with stride 2 enlarges a picture of equal pixels. All weights of the "
    "kernel are equal too. With which kernel is the inside of the result flat?",
    ("3x3", "4x4", "both", "neither"),
    answer="4x4",
    why="Stride 2 divides 4: every output pixel inside gets four contributions. With 3x3 some get "
    "one, some two, some four: a checkerboard before anything was learned.",
)


@dataclass(frozen=True)
class NotWhole:
    """An answer that should be a whole number and came as a float."""

    value: float

    def __repr__(self) -> str:
        return f"{self.value} (a float)"


def whole(function: Callable, arguments: tuple) -> object:
    """Outcome of a function that counts: whole numbers of NumPy are welcome, floats are seen."""
    result = function(*arguments)
    if isinstance(result, np.integer):
        return int(result)
    return NotWhole(float(result)) if isinstance(result, float | np.floating) else result


def said(**settings: int) -> str:
    """Settings in words; what is as torch's default is left out."""
    neutral = {"stride": 1, "padding": 0, "dilation": 1, "groups": 1, "output_padding": 0}
    words = [f"{key}={value}" for key, value in settings.items() if neutral.get(key) != value]
    return ", ".join(words)


# --- places to stand ------------------------------------------------------------------------------

# (size, kernel_size, stride, padding, dilation): each early row differs in one thing.
PLACES = (
    (4, 3, 1, 0, 1),
    (5, 2, 2, 0, 1),
    (4, 3, 1, 1, 1),
    (7, 3, 1, 0, 2),
    (7, 3, 3, 0, 1),
    (8, 3, 4, 0, 1),
    (6, 2, 4, 0, 1),
    (2, 2, 3, 0, 1),
)


def places_case(number: int) -> tuple[int, int, int, int, int]:
    """A few settings by hand, then random ones in which the kernel fits."""
    if number < len(PLACES):
        return PLACES[number]
    draw = random.Random(number)
    kernel_size, dilation = draw.randint(1, 5), draw.randint(1, 3)
    stride, padding = draw.randint(1, 4), draw.randint(0, 3)
    span = dilation * (kernel_size - 1) + 1
    least = max(1, span - 2 * padding)
    return draw.randint(least, least + number), kernel_size, stride, padding, dilation


CONV_OUT = Exercise(
    name="conv_out",
    task=(
        "Return the output size of a convolution along one axis, as an int, without a loop. "
        "In every case of the check the kernel fits."
    ),
    stub='''\
def conv_out(size: int, kernel_size: int, stride: int, padding: int, dilation: int) -> int:
    """Number of places at which the window can stand."""
    ...''',
    hints=(
        "How long is the padded row? How long is the window from its first tap to its last?",
        "The window's first pixel may stand at 0, stride, 2 * stride, ... up to room - span.",
        "room = size + 2 * padding; span = dilation * (kernel_size - 1) + 1; then // and + 1.",
    ),
    solution_code='''\
def conv_out(size: int, kernel_size: int, stride: int, padding: int, dilation: int) -> int:
    """Number of places at which the window can stand."""
    room = size + 2 * padding
    span = dilation * (kernel_size - 1) + 1
    return (room - span) // stride + 1''',
    wrong=(
        WrongAnswer(
            """\
def conv_out(size, kernel_size, stride, padding, dilation):
    return -((size + 2 * padding - dilation * (kernel_size - 1) - 1) // -stride) + 1""",
            "Sizes round down: a last window that is not filled is left out.",
        ),
        WrongAnswer(
            """\
def conv_out(size, kernel_size, stride, padding, dilation):
    return round((size + 2 * padding - dilation * (kernel_size - 1) - 1) / stride) + 1""",
            "round() goes to the nearest whole number. Three quarters of a window are no window: "
            "round down, with //.",
        ),
        WrongAnswer(
            """\
def conv_out(size, kernel_size, stride, padding, dilation):
    return (size + 2 * padding - dilation * (kernel_size - 1) - 1) / stride + 1""",
            "A size is a whole number of pixels: / gives a float, // rounds down.",
        ),
        WrongAnswer(
            """\
def conv_out(size, kernel_size, stride, padding, dilation):
    return (size + 2 * padding - dilation * (kernel_size - 1) - 1) // stride""",
            "The place where the window begins counts too: steps + 1 places.",
        ),
        WrongAnswer(
            """\
def conv_out(size, kernel_size, stride, padding, dilation):
    return (size + 2 * padding - dilation * (kernel_size - 1)) // stride""",
            "You divide the places at stride 1 by the stride. Of places 0 to 4, stride 2 keeps 0, "
            "2 and 4: divide the steps between them, then add 1.",
        ),
        WrongAnswer(
            """\
def conv_out(size, kernel_size, stride, padding, dilation):
    return (size + padding - dilation * (kernel_size - 1) - 1) // stride + 1""",
            "padding is per side: the row grows at both ends.",
        ),
        WrongAnswer(
            """\
def conv_out(size, kernel_size, stride, padding, dilation):
    return (size + 2 * padding - kernel_size) // stride + 1""",
            "dilation is left out: the taps move apart, so the window spans more pixels.",
        ),
        WrongAnswer(
            """\
def conv_out(size, kernel_size, stride, padding, dilation):
    return (size + 2 * padding - dilation * kernel_size) // stride + 1""",
            "Between kernel_size taps there are kernel_size - 1 gaps: the window spans "
            "dilation * (kernel_size - 1) + 1 px.",
        ),
    ),
    case=places_case,
    outcome=whole,
    describe=lambda size, kernel_size, stride, padding, dilation: ", ".join(
        filter(
            None,
            (
                said(stride=stride, padding=padding, dilation=dilation),
                f"size {size}, kernel_size={kernel_size}",
            ),
        )
    ),
)


# --- 56 from 112 ----------------------------------------------------------------------------------


def size_reached(function: Callable, arguments: tuple) -> object:
    """Size that 112 px become with the settings that the function returns, whichever they are."""
    (kernel_size,) = arguments
    settings = function(kernel_size)
    if settings is None:
        return None
    if not isinstance(settings, dict) or not settings.keys() <= {"stride", "padding", "dilation"}:
        raise TypeError("return a dict of stride, padding, dilation, such as {'stride': 2}")
    return arithmetic.output_size(112, kernel_size=kernel_size, **settings)


GET_56 = Exercise(
    name="get_56",
    task=(
        "A feature map of 112 px is to become one of 56 px. You are given the kernel_size, from 1 "
        "to 30; return the other settings as a dict, such as `{'stride': 1, 'padding': 0}`. There "
        "is more than one right answer: the check looks at the size that comes out."
    ),
    stub='''\
def get_56(kernel_size: int) -> dict[str, int]:
    """Settings (stride, padding, perhaps dilation) that take 112 px to 56 px."""
    ...''',
    hints=(
        "Half the size: which stride? Then choose the padding so that nothing else is lost.",
        "With stride 2 the steps are (112 + 2 * padding - kernel_size) // 2, and must be 55.",
        "So 2 * padding must be kernel_size - 1 or kernel_size - 2: whichever is even.",
    ),
    solution_code='''\
def get_56(kernel_size: int) -> dict[str, int]:
    """Settings (stride, padding, perhaps dilation) that take 112 px to 56 px."""
    return {"stride": 2, "padding": (kernel_size - 1) // 2}''',
    wrong=(
        WrongAnswer(
            'def get_56(kernel_size):\n    return {"stride": 2}',
            "Without padding the window cannot stand over the border, and a few pixels are lost "
            "there as well. Add padding.",
        ),
        WrongAnswer(
            'def get_56(kernel_size):\n    return {"stride": 2, "padding": 1}',
            "padding=1 is made for kernels of 3 and 4. A larger kernel needs more, a smaller none.",
        ),
        WrongAnswer(
            'def get_56(kernel_size):\n    return {"stride": 2, "padding": kernel_size // 2}',
            "For an odd kernel this is right. For an even one, kernel_size // 2 on both sides is "
            "one pixel too many: try (kernel_size - 1) // 2.",
        ),
        WrongAnswer(
            'def get_56(kernel_size):\n    return {"stride": 1, "padding": (kernel_size - 1) // 2}',
            "With stride 1 the map keeps its size. The stride is what halves it.",
        ),
        WrongAnswer(
            'def get_56(kernel_size):\n    return {"stride": 2, "padding": kernel_size - 1}',
            "padding is per side: kernel_size - 1 in all is enough, half of it on each side.",
        ),
        WrongAnswer(
            'def get_56(kernel_size):\n    return {"stride": 2, "padding": kernel_size}',
            "That is more padding than the window is wide: at the ends it sees nothing of the "
            "picture. Half as much keeps the window's middle on the picture.",
        ),
    ),
    case=lambda number: (number + 1,),
    outcome=size_reached,
    describe=lambda kernel_size: f"112 px with kernel_size={kernel_size}",
)


# --- the padding that keeps the size --------------------------------------------------------------

KEPT = ((3, 1), (5, 1), (3, 2), (2, 1), (1, 1), (4, 1), (2, 3))


def kept_case(number: int) -> tuple[int, int]:
    """Odd kernels before even ones, dilated ones between, then random ones."""
    if number < len(KEPT):
        return KEPT[number]
    draw = random.Random(number)
    return draw.randint(1, 9), draw.randint(1, 5)


KEEP_SIZE = Exercise(
    name="keep_size",
    task=(
        "With stride 1, which padding keeps the size? Return the pixels to add before and after "
        "the row as a tuple of ints. Where they cannot be equal, the odd pixel comes after, as in "
        "PyTorch's `padding='same'`."
    ),
    stub='''\
def keep_size(kernel_size: int, dilation: int) -> tuple[int, int]:
    """Pixels of padding (before, after) with which the output is as long as the input."""
    ...''',
    hints=(
        "A window that spans 5 px costs 4 px: size - span + 1 places. What has to be added?",
        "span - 1 = dilation * (kernel_size - 1) px in all. Share them out over two sides.",
        "total = dilation * (kernel_size - 1); total // 2 before, the rest after.",
    ),
    solution_code='''\
def keep_size(kernel_size: int, dilation: int) -> tuple[int, int]:
    """Pixels of padding (before, after) with which the output is as long as the input."""
    total = dilation * (kernel_size - 1)
    return total // 2, total - total // 2''',
    wrong=(
        WrongAnswer(
            "def keep_size(kernel_size, dilation):\n    total = kernel_size - 1\n"
            "    return total // 2, total - total // 2",
            "dilation is left out: with gaps of dilation, the window spans "
            "dilation * (kernel_size - 1) + 1 px.",
        ),
        WrongAnswer(
            "def keep_size(kernel_size, dilation):\n    half = dilation * (kernel_size - 1) // 2\n"
            "    return half, half",
            "Where the total is odd, equal halves rounded down lose a pixel. It belongs after.",
        ),
        WrongAnswer(
            "def keep_size(kernel_size, dilation):\n    total = dilation * (kernel_size - 1)\n"
            "    return total - total // 2, total // 2",
            "The size is right, and the odd pixel stands before. PyTorch puts it after; the other "
            "way the whole map is moved by a pixel.",
        ),
        WrongAnswer(
            "def keep_size(kernel_size, dilation):\n    total = dilation * (kernel_size - 1)\n"
            "    return total, total",
            "This is the padding for both sides together. Each side gets half.",
        ),
        WrongAnswer(
            "def keep_size(kernel_size, dilation):\n"
            "    return dilation * (kernel_size // 2), dilation * (kernel_size // 2)",
            "Right for odd kernels. For an even one, kernel_size // 2 on both sides is too much: "
            "a row loses dilation * (kernel_size - 1) px in all.",
        ),
        WrongAnswer(
            "def keep_size(kernel_size, dilation):\n    total = dilation * kernel_size - 1\n"
            "    return total // 2, total - total // 2",
            "There are kernel_size - 1 gaps between the taps, and each is dilation px: "
            "the brackets matter.",
        ),
    ),
    case=kept_case,
    describe=lambda kernel_size, dilation: said(kernel_size=kernel_size, dilation=dilation),
)


# --- parameters with groups -----------------------------------------------------------------------

LAYERS = ((1, 1, 1, 1), (1, 2, 3, 1), (3, 2, 1, 1), (4, 2, 1, 2), (2, 4, 3, 2), (4, 4, 3, 4))


def layer_case(number: int) -> tuple[int, int, int, int]:
    """Small layers by hand, then random ones; groups divides both numbers of channels."""
    if number < len(LAYERS):
        return LAYERS[number]
    draw = random.Random(number)
    groups = draw.randint(1, 4)
    most = number // 3
    return (
        groups * draw.randint(1, most),
        groups * draw.randint(1, most),
        draw.randint(1, 5),
        groups,
    )


PARAMETERS = Exercise(
    name="parameters",
    task=(
        "Count the numbers that a convolution learns: the weights of its square kernels and one "
        "bias for each output channel. `groups` divides both numbers of channels."
    ),
    stub='''\
def parameters(in_channels: int, out_channels: int, kernel_size: int, groups: int) -> int:
    """Weights and biases of a convolution with square kernels."""
    ...''',
    hints=(
        "Begin with one output channel: how many input channels does it see?",
        "in_channels // groups of them, with a kernel of kernel_size**2 weights for each.",
        "out_channels * (weights of one + 1): the 1 is its bias.",
    ),
    solution_code='''\
def parameters(in_channels: int, out_channels: int, kernel_size: int, groups: int) -> int:
    """Weights and biases of a convolution with square kernels."""
    weights_of_one = in_channels // groups * kernel_size**2
    return out_channels * (weights_of_one + 1)''',
    wrong=(
        WrongAnswer(
            "def parameters(in_channels, out_channels, kernel_size, groups):\n"
            "    return out_channels * (in_channels // groups) * kernel_size**2",
            "The biases are missing: one for each output channel.",
        ),
        WrongAnswer(
            "def parameters(in_channels, out_channels, kernel_size, groups):\n"
            "    return out_channels * (in_channels * kernel_size**2 + 1)",
            "groups is left out: an output channel sees the channels of its own group only.",
        ),
        WrongAnswer(
            "def parameters(in_channels, out_channels, kernel_size, groups):\n"
            "    weights = out_channels // groups * (in_channels // groups) * kernel_size**2\n"
            "    return weights + out_channels",
            "That is one group. There are `groups` of them, so one division is taken back.",
        ),
        WrongAnswer(
            "def parameters(in_channels, out_channels, kernel_size, groups):\n"
            "    return out_channels * (in_channels // groups * kernel_size + 1)",
            "A square kernel has kernel_size * kernel_size weights, not kernel_size.",
        ),
        WrongAnswer(
            "def parameters(in_channels, out_channels, kernel_size, groups):\n"
            "    return out_channels * (kernel_size**2 + 1)",
            "A kernel is as deep as the input channels that it sees: it has weights for each.",
        ),
        WrongAnswer(
            "def parameters(in_channels, out_channels, kernel_size, groups):\n"
            "    return out_channels * in_channels // groups * (kernel_size**2 + 1)",
            "One bias for each output channel, not one for each pair of channels.",
        ),
        WrongAnswer(
            "def parameters(in_channels, out_channels, kernel_size, groups):\n"
            "    return out_channels * (in_channels / groups * kernel_size**2 + 1)",
            "A number of weights is a whole number: / gives a float, and groups divides evenly, "
            "so use //.",
        ),
    ),
    case=layer_case,
    outcome=whole,
    describe=lambda in_channels, out_channels, kernel_size, groups: (
        f"{in_channels} to {out_channels} channels, " + said(kernel_size=kernel_size, groups=groups)
    ),
)


# --- transposed -----------------------------------------------------------------------------------

# (size, kernel_size, stride, padding, output_padding): each early row differs in one thing.
STAMPS = (
    (1, 2, 1, 0, 0),
    (2, 2, 1, 0, 0),
    (2, 2, 2, 0, 0),
    (2, 3, 2, 0, 0),
    (3, 3, 2, 1, 0),
    (3, 3, 2, 1, 1),
    (2, 1, 3, 0, 2),
    (1, 3, 2, 0, 0),
)


def stamp_case(number: int) -> tuple[int, int, int, int, int]:
    """A few settings by hand, then random ones of which something is left."""
    if number < len(STAMPS):
        return STAMPS[number]
    draw = random.Random(number)
    size, kernel_size, stride = draw.randint(1, number), draw.randint(1, 5), draw.randint(1, 4)
    padding = draw.randint(0, min(3, ((size - 1) * stride + kernel_size - 1) // 2))
    return size, kernel_size, stride, padding, draw.randint(0, stride - 1)


TRANSPOSED = Exercise(
    name="transposed",
    task=(
        "Return the output size of a transposed convolution along one axis: every input pixel "
        "stamps the kernel, neighbouring stamps lie stride apart, padding is cut from each side, "
        "output_padding is added at the end. Dilation is 1."
    ),
    stub='''\
def transposed(size: int, kernel_size: int, stride: int, padding: int, output_padding: int) -> int:
    """Output size of a transposed convolution, in pixels."""
    ...''',
    hints=(
        "Where does the first stamp begin, and where does the last one end?",
        "The last stamp begins at (size - 1) * stride and is kernel_size long.",
        "Then take padding away at both ends, and add output_padding at one.",
    ),
    solution_code='''\
def transposed(size: int, kernel_size: int, stride: int, padding: int, output_padding: int) -> int:
    """Output size of a transposed convolution, in pixels."""
    stamped = (size - 1) * stride + kernel_size
    return stamped - 2 * padding + output_padding''',
    wrong=(
        WrongAnswer(
            "def transposed(size, kernel_size, stride, padding, output_padding):\n"
            "    return size * stride",
            "size * stride is right only where kernel_size - 2 * padding + output_padding happens "
            "to equal the stride.",
        ),
        WrongAnswer(
            "def transposed(size, kernel_size, stride, padding, output_padding):\n"
            "    return (size - 1) * stride + kernel_size - 2 * padding",
            "output_padding is left out: it is added at the end.",
        ),
        WrongAnswer(
            "def transposed(size, kernel_size, stride, padding, output_padding):\n"
            "    return (size - 1) * stride + kernel_size + 2 * padding + output_padding",
            "Here padding takes away: it names the padding of the convolution that this one "
            "undoes in size.",
        ),
        WrongAnswer(
            "def transposed(size, kernel_size, stride, padding, output_padding):\n"
            "    return (size - 1) * stride + kernel_size - padding + output_padding",
            "padding is per side: it is cut off at both ends.",
        ),
        WrongAnswer(
            "def transposed(size, kernel_size, stride, padding, output_padding):\n"
            "    return size * stride + kernel_size - 2 * padding + output_padding",
            "Between `size` stamps there are size - 1 steps.",
        ),
        WrongAnswer(
            "def transposed(size, kernel_size, stride, padding, output_padding):\n"
            "    return (size - 1) * stride + kernel_size - 2 * padding + 2 * output_padding",
            "output_padding is added at one end only.",
        ),
        WrongAnswer(
            "def transposed(size, kernel_size, stride, padding, output_padding):\n"
            "    return (size + 2 * padding - kernel_size) // stride + 1",
            "That is the convolution's size. The transposed one goes the other way: its output is "
            "a size that the convolution would take to `size`.",
        ),
    ),
    case=stamp_case,
    outcome=whole,
    describe=lambda size, kernel_size, stride, padding, output_padding: (
        f"size {size}, "
        + said(
            kernel_size=kernel_size, stride=stride, padding=padding, output_padding=output_padding
        )
    ),
)

EXERCISES = (CONV_OUT, GET_56, KEEP_SIZE, PARAMETERS, TRANSPOSED)
