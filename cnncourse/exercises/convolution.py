"""Exercises of the lesson on convolution."""

from collections.abc import Callable

import numpy as np

from cnncourse import filters
from cnncourse.exercises import Exercise, Question, WrongAnswer

FLIP_EXAMPLE = Question(
    "Turn the kernel of the 5×5 example by 180° and slide it again. What happens to the map?",
    (
        "every value changes its sign",
        "nothing: the map is the same",
        "the map is turned by 180° as well",
    ),
    answer="nothing: the map is the same",
    why=(
        "This kernel turned by 180° is itself, so the example cannot tell convolution from "
        "cross-correlation. Many introductions use such a kernel, and leave the two confused."
    ),
)
FLIP_SOBEL = Question(
    "Now Sobel's kernel, −1 0 1 in its first row. Turned by 180°, what does it answer?",
    (
        "the same map",
        "the same map with every sign changed",
        "a map of horizontal edges instead of vertical ones",
    ),
    answer="the same map with every sign changed",
    why=(
        "Turning brings the −1s to the right and the 1s to the left: the kernel becomes minus "
        "itself, and so does everything it answers."
    ),
)
WHICH_ONE = Question(
    "Which of the two does a layer named nn.Conv2d compute?",
    ("convolution: the kernel is turned", "cross-correlation: the kernel is used as it is"),
    answer="cross-correlation: the kernel is used as it is",
    why=(
        "The field says convolution and computes cross-correlation. A kernel that is learned "
        "does not mind: it would be learned turned."
    ),
)
WHO_NEEDS_MORE = Question(
    "Both layers are to learn an edge filter on 8×8 pictures from examples. The convolution has 9 "
    "weights, the dense layer 2,304. Which of them can do it after a single example?",
    ("both", "the convolution alone", "the dense layer alone", "neither"),
    answer="the convolution alone",
    why=(
        "One picture shows the window 36 times: 36 equations for 9 weights. The dense layer has 64 "
        "weights for each of its 36 outputs, and one equation for all 64."
    ),
)


def picture_case(number: int) -> tuple[np.ndarray, np.ndarray]:
    """Small whole numbers at first, neither square for long; then quarters, of all sizes."""
    rng = np.random.default_rng(number)
    if number >= 20:
        size = rng.integers(1, 8, 2)
        return rng.integers(-8, 9, size) / 4, rng.integers(-3, 4, rng.integers(1, size + 1)) / 2
    shape = (2 + number % 4, 2 + (number + number // 3) % 4)
    kernel_shape = (min(shape[0], 1 + number % 3), min(shape[1], 2 + number % 2))
    image = rng.integers(0, 5, shape).astype(float)
    return image, rng.integers(-3, 4, kernel_shape).astype(float)


def describe_picture(image: np.ndarray, kernel: np.ndarray) -> str:
    """Both with their numbers where they are few."""
    if image.size > 12:
        return f"image {image.shape}, kernel {kernel.shape}"
    rows = (", ".join(f"[{written(line)}]" for line in array) for array in (image, kernel))
    return "image [{}], kernel [{}]".format(*rows)


def written(line: np.ndarray) -> str:
    """Numbers as one writes them: 2, not 2.0."""
    return ", ".join(f"{value:g}" for value in line)


CORRELATE2D = Exercise(
    name="correlate2d",
    task=(
        "Slide `kernel` over `image`, with loops or without, and return the feature map: at every "
        "place where the kernel lies inside the picture, the sum of the products. No padding, and "
        "the kernel as it is. `ops` is not needed."
    ),
    stub='''\
def correlate2d(image: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    """Cross-correlation: (H, W) and (h, w) -> (H - h + 1, W - w + 1)."""
    ...''',
    hints=(
        "How many places has the window, from top to bottom and from left to right? That is the "
        "shape of the result. Make an array of zeros of that shape.",
        "Two loops, over the rows and the columns of the result. Inside them, cut out the window "
        "that begins at (row, column).",
        "window = image[row : row + h, column : column + w], and the value is "
        "(window * kernel).sum().",
    ),
    solution_code="""\
def correlate2d(image, kernel):
    h, w = kernel.shape
    feature_map = np.zeros((image.shape[0] - h + 1, image.shape[1] - w + 1))
    for row in range(feature_map.shape[0]):
        for column in range(feature_map.shape[1]):
            window = image[row : row + h, column : column + w]
            feature_map[row, column] = (window * kernel).sum()
    return feature_map""",
    wrong=(
        WrongAnswer(
            """\
def correlate2d(image, kernel):
    h, w = kernel.shape
    windows = np.lib.stride_tricks.sliding_window_view(image, (h, w))
    return np.einsum("yxhw,hw->yx", windows, kernel[::-1, ::-1])""",
            "Your kernel is flipped: that is convolution as mathematicians mean it. Deep "
            "learning's layers cross-correlate: use the kernel as it is.",
        ),
        WrongAnswer(
            """\
def correlate2d(image, kernel):
    h, w = kernel.shape
    windows = np.lib.stride_tricks.sliding_window_view(image, (h, w))
    return np.einsum("yxhw,hw->yx", windows, kernel)[:-1, :-1]""",
            "Your map lacks its last row and column. The window has H - h + 1 places, not H - h: "
            "count them for a picture as large as the kernel.",
        ),
        WrongAnswer(
            """\
def correlate2d(image, kernel):
    h, w = kernel.shape
    padded = np.pad(image, ((0, h - 1), (0, w - 1)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (h, w))
    return np.einsum("yxhw,hw->yx", windows, kernel)""",
            "Your map is as large as the picture: the window hangs over the right and lower "
            "border. Here it stays inside.",
        ),
        WrongAnswer(
            """\
def correlate2d(image, kernel):
    h, w = kernel.shape
    windows = np.lib.stride_tricks.sliding_window_view(image, (h, w))
    return windows.sum(axis=(2, 3)).astype(float)""",
            "You add up the pixels of the window without the kernel. Multiply by it first, cell "
            "by cell.",
        ),
        WrongAnswer(
            """\
def correlate2d(image, kernel):
    h, w = kernel.shape
    windows = np.lib.stride_tricks.sliding_window_view(image, (h, w))
    return np.einsum("yxhw,hw->yx", windows, kernel) / kernel.size""",
            "That is the mean of the products. The definition is their sum.",
        ),
        WrongAnswer(
            """\
def correlate2d(image, kernel):
    h, w = kernel.shape
    windows = np.lib.stride_tricks.sliding_window_view(image, (h, w))
    return (windows * kernel).max(axis=(2, 3))""",
            "That is the largest of the products: pooling does something like it. The definition "
            "is their sum.",
        ),
        WrongAnswer(
            """\
def correlate2d(image, kernel):
    h, w = kernel.shape
    windows = np.lib.stride_tricks.sliding_window_view(image, (h, w))
    return np.einsum("yxhw,hw->xy", windows, kernel)""",
            "Rows and columns of your map have changed places. The first index of an array is the "
            "row.",
        ),
    ),
    case=picture_case,
    describe=describe_picture,
    cases=40,
)


def channels_case(number: int) -> tuple[np.ndarray, np.ndarray]:
    """A picture with channels, and kernels as deep as it; small whole numbers come first."""
    rng = np.random.default_rng(100 + number)
    if number >= 12:
        channels, *size = rng.integers(1, 6, 3)
        kernel_size = rng.integers(1, np.array(size) + 1)
        kernels = rng.integers(-3, 4, (rng.integers(1, 6), channels, *kernel_size)) / 2
        return rng.integers(-8, 9, (channels, *size)) / 4, kernels
    channels, out_channels = 1 + (number + 1) % 3, 1 + (number // 2) % 4
    image = rng.integers(0, 5, (channels, 2 + number % 4, 3 + number % 3)).astype(float)
    kernels = rng.integers(-3, 4, (out_channels, channels, 1 + number % 2, 2)).astype(float)
    return image, kernels


def describe_channels(image: np.ndarray, kernels: np.ndarray) -> str:
    """Shapes of both."""
    return f"image {image.shape}, kernels {kernels.shape}"


MULTI_CHANNEL = Exercise(
    name="multi_channel",
    task=(
        "The same for pictures with channels, (C, H, W), and several kernels, (O, C, h, w). Every "
        "kernel is as deep as the picture and gives one map; its products are summed over the "
        "channels too. Your `correlate2d`, or `ops.conv2d` on one channel, may help."
    ),
    stub='''\
def multi_channel(image: np.ndarray, kernels: np.ndarray) -> np.ndarray:
    """Cross-correlation: (C, H, W) and (O, C, h, w) -> (O, H - h + 1, W - w + 1)."""
    ...''',
    hints=(
        "One map for each kernel: loop over the kernels first. Inside, what do the channels "
        "contribute?",
        "Each channel of the picture meets its own channel of the kernel. That gives C maps, "
        "which are added.",
        "windows = np.lib.stride_tricks.sliding_window_view(image, kernels.shape[2:], axis=(1, 2)) "
        'has shape (C, y, x, h, w); then np.einsum("cyxhw,ochw->oyx", windows, kernels).',
    ),
    solution_code="""\
def multi_channel(image, kernels):
    windows = np.lib.stride_tricks.sliding_window_view(image, kernels.shape[2:], axis=(1, 2))
    return np.einsum("cyxhw,ochw->oyx", windows, kernels)""",
    wrong=(
        WrongAnswer(
            """\
def multi_channel(image, kernels):
    windows = np.lib.stride_tricks.sliding_window_view(image, kernels.shape[2:], axis=(1, 2))
    return np.einsum("cyxhw,ochw->ocyx", windows, kernels)""",
            "You have a map for every pair of kernel and channel. The channels of one kernel are "
            "added up: one map a kernel.",
        ),
        WrongAnswer(
            """\
def multi_channel(image, kernels):
    windows = np.lib.stride_tricks.sliding_window_view(image, kernels.shape[2:], axis=(1, 2))
    return np.einsum("cyxhw,ochw->oyx", windows, kernels) / len(image)""",
            "You average over the channels. They are added, without dividing.",
        ),
        WrongAnswer(
            """\
def multi_channel(image, kernels):
    windows = np.lib.stride_tricks.sliding_window_view(image, kernels.shape[2:], axis=(1, 2))
    return np.einsum("yxhw,ohw->oyx", windows[0], kernels[:, 0])""",
            "Only the first channel is looked at. Add what the others give.",
        ),
        WrongAnswer(
            """\
def multi_channel(image, kernels):
    windows = np.lib.stride_tricks.sliding_window_view(image, kernels.shape[2:], axis=(1, 2))
    return np.einsum("cyxhw,ohw->oyx", windows, kernels[:, 0])""",
            "Every channel meets the kernel's first channel. Channel c of the picture belongs to "
            "channel c of the kernel.",
        ),
        WrongAnswer(
            """\
def multi_channel(image, kernels):
    windows = np.lib.stride_tricks.sliding_window_view(image, kernels.shape[2:], axis=(1, 2))
    return np.einsum("cyxhw,ochw->yx", windows, kernels)""",
            "You added up the kernels as well. Each of them keeps a map of its own: O maps.",
        ),
        WrongAnswer(
            """\
def multi_channel(image, kernels):
    windows = np.lib.stride_tricks.sliding_window_view(image, kernels.shape[2:], axis=(1, 2))
    return np.einsum("cyxhw,ochw->oyx", windows, kernels[..., ::-1, ::-1])""",
            "Your kernels are turned by 180°. Here, as in every layer, they are used as they are.",
        ),
        WrongAnswer(
            """\
def multi_channel(image, kernels):
    windows = np.lib.stride_tricks.sliding_window_view(image, kernels.shape[2:], axis=(1, 2))
    return np.einsum("cyxhw,ochw->oyx", windows, kernels[:, ::-1])""",
            "You turned the channels round: the last channel of the kernel meets the first of the "
            "picture.",
        ),
    ),
    case=channels_case,
    describe=describe_channels,
    cases=30,
)


class Findings(str):
    """Words about a kernel, shown without quotation marks."""

    def __repr__(self) -> str:
        return str(self)


def judged_kernel(function: Callable, arguments: tuple) -> object:
    """What is wrong with the kernel, in words; any kernel that does what is asked is right."""
    kernel = function(*arguments)
    if kernel is None:
        return None
    kernel = np.asarray(kernel, dtype=float)
    if kernel.shape != (3, 3):
        return Findings(f"a kernel of shape {kernel.shape}")
    if not np.isfinite(kernel).all():
        return Findings("a kernel with numbers that are not finite")
    if not kernel.any():
        return Findings("a kernel of zeros, which answers 0 to everything")
    kernel = kernel / np.abs(kernel).max()
    for sobel in (filters.SOBEL_X, filters.SOBEL_Y):
        if np.linalg.matrix_rank([kernel.ravel(), sobel.ravel()]) == 1:
            return Findings("a multiple of Sobel's kernel")
    turned = kernel[::-1, ::-1]
    changed = int((~np.isclose(turned, -kernel)).sum())
    if changed == 0:
        return Findings("turned by 180° it is minus itself")
    if np.allclose(turned, kernel):
        return Findings("turned by 180° it is itself")
    if np.allclose(kernel.T, -kernel):
        return Findings("mirrored at its diagonal it is minus itself, turned by 180° it is not")
    return Findings(f"turned by 180°, {changed} of its 9 numbers are not minus what they were")


TELLTALE = Exercise(
    name="telltale",
    task=(
        "Return a kernel (3, 3) for which flipping matters as much as it can: on every picture, "
        "its convolution is minus its cross-correlation. It must not answer 0 to everything, and "
        "it must not be Sobel's or a multiple of it."
    ),
    stub='''\
def telltale() -> np.ndarray:
    """Kernel (3, 3) whose convolution with any picture is minus its cross-correlation."""
    ...''',
    hints=(
        "Convolution is cross-correlation with the kernel turned by 180°. So what must the turned "
        "kernel be?",
        "Turned by 180°, the kernel must be minus itself: opposite cells carry opposite numbers.",
        "Which cell is opposite to the middle? Choose four numbers for the cells before the "
        "middle, write their negatives into the opposite cells, and a 0 into the middle.",
    ),
    solution_code="""\
def telltale():
    return np.array([[0.0, 1.0, 0.0], [0.0, 0.0, 0.0], [0.0, -1.0, 0.0]])""",
    wrong=(
        WrongAnswer(
            """\
def telltale():
    return np.array([[1.0, 0.0, 1.0], [0.0, 1.0, 0.0], [1.0, 0.0, 1.0]])""",
            "This kernel turned by 180° is itself: convolution and cross-correlation give the "
            "same. You need the opposite.",
        ),
        WrongAnswer(
            """\
def telltale():
    return np.zeros((3, 3))""",
            "True, minus 0 is 0. But a kernel of zeros answers 0 to every picture: give it "
            "something to say.",
        ),
        WrongAnswer(
            """\
def telltale():
    return np.array([[0.0, 1.0, 2.0], [-1.0, 0.0, 3.0], [-2.0, -3.0, 0.0]])""",
            "You mirrored at the diagonal and changed the sign. Turning by 180° brings the first "
            "row to the last, read backwards.",
        ),
        WrongAnswer(
            """\
def telltale():
    return np.arange(1.0, 10.0).reshape(3, 3)""",
            "Flipping changes this kernel, but not into minus itself. Write beside each number "
            "the one in the opposite cell: they must add up to 0.",
        ),
        WrongAnswer(
            """\
def telltale():
    return np.array([[-1.0, -1.0, -1.0], [0.0, 1.0, 0.0], [1.0, 1.0, 1.0]])""",
            "Almost: the middle is opposite to itself, so it must be its own negative. Which "
            "number is that?",
        ),
        WrongAnswer(
            """\
def telltale():
    return np.array([[1.0, -1.0]])""",
            "The idea is right, the shape is not: three rows of three numbers are asked for.",
        ),
        WrongAnswer(
            """\
def telltale():
    return np.array([[-1.0, 0.0, 1.0], [-2.0, 0.0, 2.0], [-1.0, 0.0, 1.0]])""",
            "That is Sobel's kernel or a multiple of it: it does what is asked, and the lesson has "
            "shown it. Find another of your own.",
        ),
    ),
    case=lambda number: (),
    describe=lambda: "your kernel",
    outcome=judged_kernel,
    cases=1,
)


def layer_case(number: int) -> tuple[int, int, int, int, int]:
    """Height, width, channels in and out, size of the kernel."""
    rng = np.random.default_rng(200 + number)
    height, width = (int(size) for size in rng.integers(3 + number, 6 + 4 * number, 2))
    in_channels, out_channels = (int(count) for count in rng.integers(1, 3 + number, 2))
    kernel_size = 1 + number % 3 if number < 9 else int(rng.integers(1, 12))
    return height, width, in_channels, out_channels, kernel_size


def describe_layer(
    height: int, width: int, in_channels: int, out_channels: int, kernel_size: int
) -> str:
    """The arguments by name."""
    return (
        f"height={height}, width={width}, in_channels={in_channels}, "
        f"out_channels={out_channels}, kernel_size={kernel_size}"
    )


PARAMETERS = Exercise(
    name="parameters",
    task=(
        "Count the parameters, biases included, of two layers on a picture (in_channels, height, "
        "width): a dense layer that gives out_channels numbers, and a convolution with a square "
        "kernel that gives out_channels maps. Return both counts."
    ),
    stub='''\
def parameters(
    height: int, width: int, in_channels: int, out_channels: int, kernel_size: int
) -> tuple[int, int]:
    """Parameters of the dense layer and of the convolution."""
    ...''',
    hints=(
        "The dense layer has a weight for every pair of input number and output number. How many "
        "numbers has the picture?",
        "A kernel is kernel_size high, kernel_size wide and in_channels deep. There is one for "
        "each map. Where does the picture's size come in?",
        "Each layer has out_channels biases. The convolution's count does not contain height or "
        "width at all.",
    ),
    solution_code="""\
def parameters(height, width, in_channels, out_channels, kernel_size):
    dense = height * width * in_channels * out_channels + out_channels
    convolution = kernel_size**2 * in_channels * out_channels + out_channels
    return dense, convolution""",
    wrong=(
        WrongAnswer(
            """\
def parameters(height, width, in_channels, out_channels, kernel_size):
    dense = height * width * in_channels * out_channels
    return dense, kernel_size**2 * in_channels * out_channels""",
            "The weights are right, the biases are missing: one for each output of the dense "
            "layer, one for each map.",
        ),
        WrongAnswer(
            """\
def parameters(height, width, in_channels, out_channels, kernel_size):
    dense = height * width * in_channels * out_channels + 1
    return dense, kernel_size**2 * in_channels * out_channels + 1""",
            "One bias for the whole layer is too few: every output, and every map, has its own.",
        ),
        WrongAnswer(
            """\
def parameters(height, width, in_channels, out_channels, kernel_size):
    dense = height * width * in_channels * out_channels + out_channels
    return dense, kernel_size**2 * out_channels + out_channels""",
            "Your kernels are flat. Each is as deep as the picture has channels.",
        ),
        WrongAnswer(
            """\
def parameters(height, width, in_channels, out_channels, kernel_size):
    dense = height * width * in_channels * out_channels + out_channels
    return dense, kernel_size * in_channels * out_channels + out_channels""",
            "Your kernels are one pixel high: a square kernel has kernel_size times kernel_size "
            "places.",
        ),
        WrongAnswer(
            """\
def parameters(height, width, in_channels, out_channels, kernel_size):
    dense = height * width * in_channels * out_channels + out_channels
    places = (height - kernel_size + 1) * (width - kernel_size + 1)
    return dense, places * (kernel_size**2 * in_channels * out_channels + out_channels)""",
            "You counted the weights again at every place of the window. They are shared: the "
            "same ones everywhere, counted once.",
        ),
        WrongAnswer(
            """\
def parameters(height, width, in_channels, out_channels, kernel_size):
    dense = height * width * out_channels + out_channels
    return dense, kernel_size**2 * in_channels * out_channels + out_channels""",
            "The dense layer sees every channel of every pixel: height times width times "
            "in_channels numbers.",
        ),
        WrongAnswer(
            """\
def parameters(height, width, in_channels, out_channels, kernel_size):
    dense = height * width * in_channels * out_channels + out_channels
    return kernel_size**2 * in_channels * out_channels + out_channels, dense""",
            "Both numbers are right and in the other order: the dense layer's comes first.",
        ),
    ),
    case=layer_case,
    describe=describe_layer,
    cases=20,
)

EXERCISES = (CORRELATE2D, MULTI_CHANNEL, TELLTALE, PARAMETERS)
