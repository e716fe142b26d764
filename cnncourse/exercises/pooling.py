"""Exercises of the lesson on pooling: its gradient, receptive fields, averages, shifts."""

from collections.abc import Callable, Iterable, Sequence
from operator import index

import numpy as np

from cnncourse import arithmetic, ops
from cnncourse.exercises import Exercise, Question, WrongAnswer

WHO_GETS_IT = Question(
    "All four pixels of a window hold 7. The loss would like the pooled 7 to be larger. Which "
    "pixels hear of it, that is, get the gradient?",
    ("each a quarter", "all four in full", "the first alone", "the last alone"),
    answer="the first alone",
    why=(
        "Where pixels are equal the maximum has no gradient: raising any one of them raises it, "
        "lowering one does nothing. A library has to choose. PyTorch keeps the first that it met, "
        "row by row, and so does this course."
    ),
)
ONE_PIXEL = Question(
    "A photograph moves by one pixel. Its map of edges goes through 2 x 2 max pooling. How much "
    "does the pooled map change? (Compared cell by cell.)",
    (
        "not at all: pooling is translation invariant",
        "by a few per cent",
        "about half as much as if an unrelated picture had come",
    ),
    answer="about half as much as if an unrelated picture had come",
    why=(
        "A maximum stays the same only while it moves inside its window. On photographs half of "
        "all pixels change their window when the picture moves by one, and edges are one or two "
        "pixels wide. Pooling is invariant in a small neighbourhood, approximately, and no further."
    ),
)
HOW_WIDE = Question(
    "Twenty 3 x 3 convolutions with random weights: a unit sees 41 x 41 pixels. How wide is the "
    "square in the middle that holds 95 % of their influence (of the gradient's squares)?",
    ("about 40 px", "about 30 px", "about 17 px", "about 3 px"),
    answer="about 17 px",
    why=(
        "A pixel in the middle reaches the unit by very many paths, a pixel in the corner by a "
        "single one. The influence has the shape of a bell, whose width grows with the square root "
        "of the number of layers, while the field grows with the number itself."
    ),
)
DEEPER = Question(
    "He and colleagues trained plain networks, without shortcuts but with batch normalisation, on "
    "ImageNet: 18 layers (field 435 px) and 34 layers (field 899 px). Which fits the training "
    "images better?",
    ("34 layers: it sees more and has more parameters", "18 layers", "both the same"),
    answer="18 layers",
    why=(
        "The plain 34-layer network had the higher training error all the way through, and 28.54 % "
        "validation error against 27.94 %. This is degradation. It is not overfitting, and the "
        "authors (section 4.1) call vanishing gradients an unlikely cause, since batch "
        "normalisation was there. With shortcuts the order turns: 25.03 % against 27.88 %."
    ),
)


def small(array: np.ndarray) -> str:
    """A small array with its numbers, another by its size."""
    if array.size <= 9:
        return "[" + ", ".join(str([round(float(x), 1) for x in row]) for row in array) + "]"
    return "x".join(map(str, array.shape))


# --- the gradient of max pooling ------------------------------------------------------------------


# (kernel_size, stride)
POOLS = ((2, 2), (2, 1), (2, 2), (3, 2), (2, 1), (3, 1), (3, 3), (2, 3), (1, 1), (1, 2))


def max_case(number: int) -> tuple[np.ndarray, np.ndarray, int, int]:
    """Gradient, image with few different values (so that some are equal), kernel_size, stride.

    Every third image is below 0 everywhere; from the tenth case on there are halves and signs.
    """
    rng = np.random.default_rng(number)
    kernel_size, stride = POOLS[number % len(POOLS)]
    height = kernel_size + number // 2 % 4
    width = kernel_size + (number + 1) // 3 % 5
    values = 9 if number % 2 else 3
    image = rng.integers(0, values, (height, width)).astype(float)
    pooled = [(size - kernel_size) // stride + 1 for size in (height, width)]
    grad_output = rng.integers(1, 9, pooled).astype(float)
    if number % 3 == 2:
        image = -1 - image
    if number >= len(POOLS):
        image, grad_output = image / 2, grad_output / 2 - 2
    return grad_output, image, kernel_size, stride


MAX_BACKWARD = Exercise(
    name="max_backward",
    task=(
        "Write the gradient of max pooling. `grad_output` holds one number for every window: how "
        "much the loss grows when that window's maximum grows. Give every number to the pixel that "
        "won its window, to the first one (row by row) where several are equal, and add up where "
        "windows overlap. The result has the shape of `image`."
    ),
    stub='''\
def max_backward(
    grad_output: np.ndarray, image: np.ndarray, kernel_size: int, stride: int
) -> np.ndarray:
    """Gradient of max pooling without padding: (H', W') and image (H, W) -> (H, W)."""
    ...''',
    hints=(
        "Start from zeros of the image's shape. Walk over the windows as the forward pass does.",
        "window.argmax() counts row by row and gives the first of equals; divmod(index, "
        "kernel_size) makes row and column inside the window of it.",
        "The window of output (y, x) begins at (y * stride, x * stride). Use += and not =, because "
        "a pixel may win several windows.",
    ),
    solution_code='''\
def max_backward(grad_output, image, kernel_size, stride):
    """Gradient of max pooling without padding: (H', W') and image (H, W) -> (H, W)."""
    grad = np.zeros(image.shape)
    for y, x in np.ndindex(grad_output.shape):
        top, left = y * stride, x * stride
        window = image[top : top + kernel_size, left : left + kernel_size]
        row, column = divmod(window.argmax(), kernel_size)
        grad[top + row, left + column] += grad_output[y, x]
    return grad''',
    wrong=(
        WrongAnswer(
            """\
def max_backward(grad_output, image, kernel_size, stride):
    grad = np.zeros(image.shape)
    for y, x in np.ndindex(grad_output.shape):
        rows = slice(y * stride, y * stride + kernel_size)
        columns = slice(x * stride, x * stride + kernel_size)
        grad[rows, columns] += grad_output[y, x] / kernel_size**2
    return grad""",
            "You share the gradient among all pixels of the window: that is average pooling. A "
            "pixel that lost could grow a little and the maximum would not notice.",
        ),
        WrongAnswer(
            """\
def max_backward(grad_output, image, kernel_size, stride):
    grad = np.zeros(image.shape)
    for y, x in np.ndindex(grad_output.shape):
        rows = slice(y * stride, y * stride + kernel_size)
        columns = slice(x * stride, x * stride + kernel_size)
        window = image[rows, columns]
        grad[rows, columns] += grad_output[y, x] * (window == window.max())
    return grad""",
            "Where pixels are equal, each of them gets the whole gradient, so the sum grows. Only "
            "the first one gets it.",
        ),
        WrongAnswer(
            """\
def max_backward(grad_output, image, kernel_size, stride):
    grad = np.zeros(image.shape)
    for y, x in np.ndindex(grad_output.shape):
        rows = slice(y * stride, y * stride + kernel_size)
        columns = slice(x * stride, x * stride + kernel_size)
        winners = image[rows, columns] == image[rows, columns].max()
        grad[rows, columns] += grad_output[y, x] * winners / winners.sum()
    return grad""",
            "Equal pixels share the gradient here. It is a fair choice, but not PyTorch's, nor the "
            "one asked for: the first of them gets all.",
        ),
        WrongAnswer(
            """\
def max_backward(grad_output, image, kernel_size, stride):
    grad = np.zeros(image.shape)
    for y, x in np.ndindex(grad_output.shape):
        top, left = y * stride, x * stride
        window = image[top : top + kernel_size, left : left + kernel_size]
        row, column = divmod(window.argmax(), kernel_size)
        grad[top + row, left + column] = grad_output[y, x]
    return grad""",
            "A pixel that wins several windows keeps only what the last one gave. Gradients of "
            "several paths add up: += instead of =.",
        ),
        WrongAnswer(
            """\
def max_backward(grad_output, image, kernel_size, stride):
    grad = np.zeros(image.shape)
    for y, x in np.ndindex(grad_output.shape):
        top, left = y * stride, x * stride
        window = image[top : top + kernel_size, left : left + kernel_size]
        last = window.size - 1 - window[::-1, ::-1].argmax()
        row, column = divmod(last, kernel_size)
        grad[top + row, left + column] += grad_output[y, x]
    return grad""",
            "Of equal pixels yours takes the last one; PyTorch takes the first, row by row. A loop "
            "with > keeps the first, with >= the last.",
        ),
        WrongAnswer(
            """\
def max_backward(grad_output, image, kernel_size, stride):
    grad = np.zeros(image.shape)
    for y, x in np.ndindex(grad_output.shape):
        top, left = y * stride, x * stride
        window = image[top : top + kernel_size, left : left + kernel_size]
        row, column = divmod(window.argmax(), kernel_size)
        grad[row, column] += grad_output[y, x]
    return grad""",
            "argmax counts inside the window. Add the window's own corner, (y * stride, x * "
            "stride), to find the pixel in the image.",
        ),
        WrongAnswer(
            """\
def max_backward(grad_output, image, kernel_size, stride):
    grad = np.zeros(image.shape)
    for y, x in np.ndindex(grad_output.shape):
        top, left = y * stride, x * stride
        window = image[top : top + kernel_size, left : left + kernel_size]
        row, column = divmod(window.argmax(), kernel_size)
        grad[top + row, left + column] += grad_output[y, x] * window.max()
    return grad""",
            "You multiply by the maximum itself. When the winner grows by 1 the maximum grows by "
            "1, however large it is: the factor is 1.",
        ),
        WrongAnswer(
            """\
def max_backward(grad_output, image, kernel_size, stride):
    grad = np.zeros(image.shape)
    for y, x in np.ndindex(grad_output.shape):
        top, left = y * stride, x * stride
        largest, row, column = 0, top, left
        for i, j in np.ndindex(kernel_size, kernel_size):
            if image[top + i, left + j] > largest:
                largest, row, column = image[top + i, left + j], top + i, left + j
        grad[row, column] += grad_output[y, x]
    return grad""",
            "Your search for the maximum begins at 0, so where all pixels are below 0 nobody wins. "
            "Begin at -np.inf, or at the window's first pixel.",
        ),
    ),
    case=max_case,
    describe=lambda grad_output, image, kernel_size, stride: (
        f"image {small(image)}, grad_output {small(grad_output)}, "
        f"kernel_size={kernel_size}, stride={stride}"
    ),
)


# --- receptive fields -----------------------------------------------------------------------------


STACKS: tuple[list[tuple[int, int]], ...] = (
    [(3, 1)],
    [(3, 1), (3, 1)],
    [(3, 2), (3, 1)],
    [(1, 1), (5, 1)],
    [(2, 2), (2, 2), (3, 1)],
    [(3, 2), (3, 1), (3, 1)],
    [(11, 4), (3, 2), (5, 1), (3, 2), (3, 1), (3, 1), (3, 1), (3, 2)],  # AlexNet
    [],
)


def stack_case(number: int) -> tuple[list[tuple[int, int]]]:
    """Layers as (kernel_size, stride): those above, then random ones."""
    if number < len(STACKS):
        return (list(STACKS[number]),)
    rng = np.random.default_rng(number)
    sizes, strides = rng.integers(1, 8, 2 + number % 5), rng.integers(1, 4, 2 + number % 5)
    return (list(zip(sizes.tolist(), strides.tolist(), strict=True)),)


FIELD_OF = Exercise(
    name="field_of",
    task=(
        "How many pixels of the input, along one axis, does one unit of the last layer see? "
        "`layers` lists `(kernel_size, stride)` from the input on. Without layers a unit is a "
        "pixel, and sees 1."
    ),
    stub='''\
def field_of(layers: list[tuple[int, int]]) -> int:
    """Receptive field of the last layer of (kernel_size, stride) pairs, in pixels."""
    ...''',
    hints=(
        "Keep two numbers: how many pixels are seen so far, and how many pixels lie between two "
        "neighbouring units (the jump). Both start at 1.",
        "A kernel of size k reaches over k - 1 gaps between neighbours, and a gap is jump wide.",
        "For each layer: first field += (kernel_size - 1) * jump, then jump *= stride.",
    ),
    solution_code='''\
def field_of(layers):
    """Receptive field of the last layer of (kernel_size, stride) pairs, in pixels."""
    field, jump = 1, 1
    for kernel_size, stride in layers:
        field += (kernel_size - 1) * jump
        jump *= stride
    return field''',
    wrong=(
        WrongAnswer(
            """\
def field_of(layers):
    return sum(kernel_size for kernel_size, _ in layers)""",
            "Neighbouring windows overlap, so fields do not add up: a 3x3 layer adds two "
            "pixels to what the one before it sees. And strides are missing.",
        ),
        WrongAnswer(
            """\
def field_of(layers):
    field = 1
    for kernel_size, _ in layers:
        field += kernel_size - 1
    return field""",
            "The strides are not used. After a stride of 2 neighbouring units are 2 px apart, and "
            "every later layer reaches twice as far.",
        ),
        WrongAnswer(
            """\
def field_of(layers):
    field, jump = 1, 1
    for kernel_size, stride in layers:
        jump *= stride
        field += (kernel_size - 1) * jump
    return field""",
            "A layer's own stride is already counted for itself. It moves the layer's outputs "
            "apart, so it counts from the next layer on.",
        ),
        WrongAnswer(
            """\
def field_of(layers):
    field = 1
    for kernel_size, _ in layers:
        field *= kernel_size
    return field""",
            "The kernel sizes are multiplied. That is the number of paths from a unit down to the "
            "pixels; most of the paths end in the same pixels.",
        ),
        WrongAnswer(
            """\
def field_of(layers):
    field, jump = 1, 1
    for kernel_size, stride in layers:
        field += (kernel_size - 1) * jump
        jump = stride
    return field""",
            "Only the stride of the layer before is used. Strides multiply: two strides of 2 put "
            "neighbours 4 px apart.",
        ),
        WrongAnswer(
            """\
def field_of(layers):
    field, jump = 0, 1
    for kernel_size, stride in layers:
        field += (kernel_size - 1) * jump
        jump *= stride
    return field""",
            "One pixel is missing: before any layer a unit is a pixel, and sees itself. Start "
            "at 1.",
        ),
        WrongAnswer(
            """\
def field_of(layers):
    jump = 1
    for _, stride in layers:
        jump *= stride
    return jump""",
            "This is the jump, the distance between neighbouring units. How far one unit sees "
            "depends on the kernels too.",
        ),
    ),
    case=stack_case,
    describe=lambda layers: f"layers={layers}",
)


# --- a stack of one's own -------------------------------------------------------------------------

LAYERS, FIELD, PICTURE, MAP, LARGEST = 5, 28, 64, 8, 3


def judged(layers: Iterable[Sequence[int]]) -> str:
    """What a stack of (kernel_size, stride) achieves, against what was asked for."""
    try:
        stack = [arithmetic.Layer(index(kernel), index(stride)) for kernel, stride in layers]
    except (TypeError, ValueError):
        raise TypeError("return a list of pairs of ints, such as [(3, 2), (3, 1)]") from None
    if len(stack) != LAYERS:
        return f"{len(stack)} layers, where {LAYERS} are asked for"
    if any(layer.kernel_size > LARGEST for layer in stack):
        return f"a kernel larger than {LARGEST}"
    if any(layer.stride > layer.kernel_size for layer in stack):
        return "a stride larger than its kernel"
    if (field := arithmetic.receptive_field(stack).size) < FIELD:
        return f"a field of {field} px, where {FIELD} are asked for"
    size = PICTURE
    for layer in stack:
        size = arithmetic.output_size(size, kernel_size=layer.kernel_size, stride=layer.stride)
    if size < MAP:
        return f"a map of {size}x{size}, where {MAP}x{MAP} are asked for"
    return "all that was asked for"


def judge(function: Callable, arguments: tuple) -> object:
    """Every stack that does what was asked for is right, so the stack itself is not compared."""
    layers = function(*arguments)
    return layers if layers is None else judged(layers)


FIVE_LAYERS = Exercise(
    name="five_layers",
    task=(
        "Design a stack of five layers. Return five `(kernel_size, stride)` pairs so that a unit "
        "of the last layer sees at least 28 px, no kernel is larger than 3, no stride is larger "
        "than its kernel (or pixels would be stepped over), and a picture of 64 x 64 px still "
        "gives a map of at least 8 x 8. There is no padding. There are several right answers."
    ),
    stub='''\
def five_layers() -> list[tuple[int, int]]:
    """Five (kernel_size, stride) pairs, from the input on."""
    ...''',
    hints=(
        "Five 3x3 layers of stride 1 see 1 + 5 * 2 = 11 px. Only strides make later layers reach "
        "further.",
        "A stride helps all layers after it and none before. It also costs: every stride of 2 "
        "halves the map, and 64 / 2 / 2 / 2 = 8 before anything is cut off at the borders.",
        "Two strides of 2, as early as possible.",
    ),
    solution_code='''\
def five_layers():
    """Five (kernel_size, stride) pairs, from the input on."""
    return [(3, 2), (3, 2), (3, 1), (3, 1), (3, 1)]  # 31 px; 64 -> 31 -> 15 -> 13 -> 11 -> 9''',
    wrong=(
        WrongAnswer(
            "def five_layers():\n    return [(3, 1)] * 5",
            "Without strides each 3x3 layer adds two pixels: 3, 5, 7, 9, 11. Let an early layer "
            "take steps of 2.",
        ),
        WrongAnswer(
            "def five_layers():\n    return [(3, 2)] * 5",
            "The field is large, but a single unit is left: nothing says where in the picture "
            "something was. Two strides of 2 are enough.",
        ),
        WrongAnswer(
            "def five_layers():\n    return [(3, 1), (3, 1), (3, 1), (3, 2), (3, 2)]",
            "13 px: a stride widens only what comes after it, so late strides do little. Put them "
            "first.",
        ),
        WrongAnswer(
            "def five_layers():\n    return [(3, 1), (3, 2), (3, 2), (3, 1), (3, 1)]",
            "Close: 25 px. The earlier a stride comes, the more layers profit from it; and every "
            "kernel smaller than 3 costs some pixels.",
        ),
        WrongAnswer(
            "def five_layers():\n    return [(3, 2), (3, 1), (3, 1), (3, 1), (3, 1)]",
            "19 px is what a single early stride of 2 gives: 1 + 2 + 4 * 4. There is room for "
            "another one.",
        ),
        WrongAnswer(
            "def five_layers():\n    return [(7, 1)] * 5",
            "Larger kernels see further, but none may be larger than 3. They also cost: 49 weights "
            "for a 7x7, 27 for three 3x3 that see as much.",
        ),
        WrongAnswer(
            "def five_layers():\n    return [(3, 4), (3, 1), (3, 1), (3, 1), (3, 1)]",
            "A stride must not be larger than its kernel: in steps of 4, a 3-px kernel would never "
            "see every fourth row and column.",
        ),
        WrongAnswer(
            "def five_layers():\n    return [(3, 1)] * 14",
            "More layers would do it too: fourteen 3x3 layers see 29 px. Asked for are five.",
        ),
    ),
    case=lambda number: (),
    describe=lambda: "the stack",
    outcome=judge,
    cases=1,
)


# --- global average pooling -----------------------------------------------------------------------


def maps_case(number: int) -> tuple[np.ndarray]:
    """A batch of maps (N, C, H, W) with sides that differ."""
    rng = np.random.default_rng(number)
    shape = (1 + number % 3, 2 + number % 2, 2 + number % 4, 1 + (number + 1) % 5)
    return (np.round(rng.normal(size=shape), 1),)


GLOBAL_AVERAGE = Exercise(
    name="global_average",
    task=(
        "A classifier wants one number a channel, whatever the size of the picture. Average every "
        "feature map over its pixels: `(N, C, H, W)` in, `(N, C)` out."
    ),
    stub='''\
def global_average(maps: np.ndarray) -> np.ndarray:
    """Mean of every feature map: (N, C, H, W) -> (N, C)."""
    ...''',
    hints=(
        "Which two axes have to go? The batch and the channels stay.",
        "maps.mean(axis=...) takes several axes at once, as a tuple.",
        "Height and width are the axes 2 and 3 (or -2 and -1).",
    ),
    solution_code='''\
def global_average(maps):
    """Mean of every feature map: (N, C, H, W) -> (N, C)."""
    return maps.mean(axis=(2, 3))''',
    wrong=(
        WrongAnswer(
            "def global_average(maps):\n    return maps.mean()",
            "One number for the whole batch: images and channels are mixed. Say which axes go.",
        ),
        WrongAnswer(
            "def global_average(maps):\n    return maps.mean(axis=1)",
            "This averages over the channels at every pixel, (N, H, W). Asked for is the mean over "
            "the pixels of every channel.",
        ),
        WrongAnswer(
            "def global_average(maps):\n    return maps.mean(axis=(0, 2, 3))",
            "The batch is averaged away as well: that is what batch normalisation does. Every "
            "image keeps its own numbers here.",
        ),
        WrongAnswer(
            "def global_average(maps):\n    return maps.mean(axis=(2, 3), keepdims=True)",
            "The numbers are right, the shape is (N, C, 1, 1). torch's AdaptiveAvgPool2d(1) gives "
            "that too, and needs a flatten after it.",
        ),
        WrongAnswer(
            "def global_average(maps):\n    return maps.max(axis=(2, 3))",
            "This is global max pooling: it says whether something is there, not how much of it.",
        ),
        WrongAnswer(
            "def global_average(maps):\n    return maps.sum(axis=(2, 3))",
            "A sum grows with the picture: the same texture on twice the area would count double. "
            "Divide by the number of pixels.",
        ),
        WrongAnswer(
            "def global_average(maps):\n    return maps.mean(axis=3)",
            "Only the width is gone, (N, C, H). The height has to go as well.",
        ),
    ),
    case=maps_case,
    describe=lambda maps: f"maps {maps.shape}",
)


# --- equivariance ---------------------------------------------------------------------------------


def neighbours(image: np.ndarray) -> np.ndarray:
    """Every pixel minus its left neighbour; the left of the first column is the last one."""
    return image - np.roll(image, 1, axis=1)


def neighbours_and_zeros(image: np.ndarray) -> np.ndarray:
    """Every pixel minus its left neighbour; left of the first column there are zeros."""
    return image - np.pad(image, ((0, 0), (1, 0)))[:, :-1]


def brighter_to_the_right(image: np.ndarray) -> np.ndarray:
    """Every column times its number: what comes out depends on the place."""
    return image * np.arange(image.shape[1])


def max_pool_of_2(image: np.ndarray) -> np.ndarray:
    """Largest of every 2 x 2 pixels."""
    return ops.max_pool2d(image, 2)


def every_third(image: np.ndarray) -> np.ndarray:
    """Every third row and column."""
    return image[::3, ::3]


OPERATIONS = (
    (neighbours_and_zeros, 1),
    (neighbours, 1),
    (max_pool_of_2, 2),
    (brighter_to_the_right, 1),
    (every_third, 3),
)


def shift_case(number: int) -> tuple[Callable, np.ndarray, int, int]:
    """Operation, image, pixels to the right (a multiple of the stride), stride."""
    operation, stride = OPERATIONS[number % len(OPERATIONS)]
    rng = np.random.default_rng(number)
    shape = (2 + number // 5, stride * (3 + number // 5 % 4))
    image = rng.integers(-9, 10, shape).astype(float)
    return operation, image, stride * (1 + number // 5 % 3), stride


EQUIVARIANCE = Exercise(
    name="equivariance_error",
    task=(
        "Does an operation commute with moving the picture? Compare two ways: move the image "
        "`right` pixels to the right and then apply `operation`; or apply it first and then move "
        "the result, by `right / stride` cells (`right` is a multiple of `stride`). What leaves on "
        "the right comes back on the left, as with `np.roll`. Return the largest difference, "
        "without its sign, as a float: 0 means equivariant."
    ),
    stub='''\
def equivariance_error(operation, image: np.ndarray, right: int, stride: int) -> float:
    """Largest |operation(moved image) - moved operation(image)|; images are (H, W)."""
    ...''',
    hints=(
        "Two arrays, made in two orders. Write down both, then subtract.",
        "np.roll(image, right, axis=1) moves columns to the right. A map with stride 2 has half as "
        "many columns: how many of its cells are `right` pixels?",
        "np.abs(operation(np.roll(image, right, axis=1)) - np.roll(operation(image), right // "
        "stride, axis=1)), then the maximum as a float.",
    ),
    solution_code='''\
def equivariance_error(operation, image, right, stride):
    """Largest |operation(moved image) - moved operation(image)|; images are (H, W)."""
    moved_first = operation(np.roll(image, right, axis=1))
    moved_last = np.roll(operation(image), right // stride, axis=1)
    return float(np.abs(moved_first - moved_last).max())''',
    wrong=(
        WrongAnswer(
            """\
def equivariance_error(operation, image, right, stride):
    return float(np.abs(operation(np.roll(image, right, axis=1)) - operation(image)).max())""",
            "This asks for invariance: that nothing changes when the picture moves. Equivariance "
            "asks that the result moves along.",
        ),
        WrongAnswer(
            """\
def equivariance_error(operation, image, right, stride):
    moved_first = operation(np.roll(image, right, axis=1))
    moved_last = np.roll(operation(image), right, axis=1)
    return float(np.abs(moved_first - moved_last).max())""",
            "The map is moved by as many cells as the picture by pixels. A cell is stride pixels "
            "wide: move the map by right // stride.",
        ),
        WrongAnswer(
            """\
def equivariance_error(operation, image, right, stride):
    moved_first = operation(np.roll(image, right, axis=1))
    moved_last = np.roll(operation(image), -right // stride, axis=1)
    return float(np.abs(moved_first - moved_last).max())""",
            "One of the two moves to the left. Both go the same way.",
        ),
        WrongAnswer(
            """\
def equivariance_error(operation, image, right, stride):
    moved_first = operation(np.roll(image, right, axis=0))
    moved_last = np.roll(operation(image), right // stride, axis=0)
    return float(np.abs(moved_first - moved_last).max())""",
            "axis=0 are the rows: you move down. To the right is axis=1.",
        ),
        WrongAnswer(
            """\
def equivariance_error(operation, image, right, stride):
    moved_first = operation(np.roll(image, right, axis=1))
    moved_last = np.roll(operation(image), right // stride, axis=1)
    return float((moved_first - moved_last).max())""",
            "The largest difference with its sign: one of -5 is overlooked. Take the absolute "
            "value first.",
        ),
        WrongAnswer(
            """\
def equivariance_error(operation, image, right, stride):
    moved_first = operation(np.roll(image, right, axis=1))
    moved_last = np.roll(operation(image), right // stride, axis=1)
    return float(np.abs(moved_first - moved_last).mean())""",
            "A mean hides an error at the border behind the many cells inside. Take the maximum.",
        ),
        WrongAnswer(
            """\
def equivariance_error(operation, image, right, stride):
    moved = operation(np.roll(image, right, axis=1))
    return float(np.abs(moved - operation(np.roll(image, right, axis=1))).max())""",
            "Yours is always 0, as when both sides are the same computation: a check that cannot "
            "fail. One side must move the result instead of the image.",
        ),
    ),
    case=shift_case,
    describe=lambda operation, image, right, stride: (
        f"{operation.__name__}, image {small(image)}, right={right}, stride={stride}"
    ),
)


EXERCISES = (MAX_BACKWARD, FIELD_OF, FIVE_LAYERS, GLOBAL_AVERAGE, EQUIVARIANCE)
