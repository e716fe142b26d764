"""Exercises of the lesson on filters: direction, sharpening, separating, hidden kernel, corners."""

from collections.abc import Callable

import numpy as np

from cnncourse import ops
from cnncourse.exercises import Exercise, Question, WrongAnswer

NOISE = Question(
    "Every pixel has random noise of spread 0.1 on it. The mean of 3 x 3 pixels: what is its "
    "spread?",
    ("0.1 / 9 = 0.011", "0.1 / 3 = 0.033", "0.1, as before"),
    answer="0.1 / 3 = 0.033",
    why="Noise above and below the true value cancels, but not all of it: the mean of n "
    "independent numbers spreads by 1/√n of one. Nine pixels give a third.",
)
SEPARABLE = Question(
    "Sobel x, Gaussian 5 x 5, Laplacian, motion blur at 45°: which of the four are one column "
    "times one row?",
    (
        "the Gaussian only",
        "Sobel x and the Gaussian",
        "Sobel x, the Gaussian and the Laplacian",
        "all four",
    ),
    answer="Sobel x and the Gaussian",
    why="In a product all rows are multiples of one row. The Laplacian's first row is 0 1 0, its "
    "second 1 -4 1: no multiple. The slanted streak has its weight in another column in every row.",
)
SLANTED = Question(
    "A round Gabor kernel of 15 x 15 at 30°. How many products of a column and a row add up to it "
    "exactly?",
    ("1", "2", "8", "15"),
    answer="2",
    why="cos(a + b) = cos a · cos b - sin a · sin b: a slanted wave is a difference of two "
    "products, and a round bell is itself one. A bell stretched along the stripes needs more.",
)
STRIPES = Question(
    "Every training picture consists of level stripes: all pixels of a row are equally bright. The "
    "target is Sobel y's answer. Training starts from a kernel of zeros. What is learned?",
    (
        "Sobel y",
        "another kernel, and the loss is 0",
        "no kernel: the loss stays above 0",
    ),
    answer="another kernel, and the loss is 0",
    why="On such pictures only the sum of each row of the kernel counts: -4, 0, 4. Every kernel "
    "with these sums fits perfectly. From zero, each row's sum is spread evenly over its three "
    "weights.",
)
BETWEEN = Question(
    "Two 3 x 3 filters, one after the other. Is there one kernel that does the work of both? And "
    "with a ReLU between them?",
    (
        "yes, 3 x 3; with the ReLU too",
        "yes, 5 x 5; with the ReLU too",
        "yes, 5 x 5; with the ReLU no kernel does",
        "no; only with the ReLU",
    ),
    answer="yes, 5 x 5; with the ReLU no kernel does",
    why="The second filter sees 3 x 3 sums of 3 x 3 pixels: 5 x 5 pixels, weighted and added, "
    "which is a filter. The ReLU treats plus and minus differently; no weighted sum can.",
)


def random(number: int) -> np.random.Generator:
    """Random numbers of a case."""
    return np.random.default_rng(number)


def size_of(array: np.ndarray) -> str:
    """Shape as one says it: 3 x 4."""
    return " x ".join(map(str, array.shape))


# --- direction ------------------------------------------------------------------------------------

# To the right, down, left, up, four diagonals; then a place where nothing changes.
COMPASS = ((1, 0), (0, 1), (-1, 0), (0, -1), (1, 1), (-1, 1), (-1, -1), (2, -2), (0, 0))


def direction_case(number: int) -> tuple:
    """One direction of the compass; beyond those, grids of whole slopes."""
    if number < len(COMPASS):
        return tuple(np.array([[float(slope)]]) for slope in COMPASS[number])
    shape = (2, 1 + number % 3, 2 + number % 4)
    return tuple(random(number).integers(-9, 10, shape).astype(float))


def describe_direction(right: np.ndarray, down: np.ndarray) -> str:
    """The slopes where there is one pair of them, else the size of the grids."""
    if right.size == 1:
        return f"slope to the right {right.item():g}, slope down {down.item():g}"
    return f"slopes of {size_of(right)} places"


DIRECTION = Exercise(
    name="direction",
    task=(
        "Given the slope to the right and the slope downwards (two arrays of the same shape, as "
        "Sobel x and Sobel y give them), return the direction in which brightness grows most, in "
        "degrees from 0 up to, not including, 360: 0 is to the right, 90 down, 180 left, 270 up. "
        "Where both slopes are 0, return 0."
    ),
    stub='''\
def direction(right: np.ndarray, down: np.ndarray) -> np.ndarray:
    """Direction in which brightness grows most, in degrees: 0 right, 90 down, up to 360."""
    ...''',
    hints=(
        "The ratio of the slopes is not enough: (1, 1) and (-1, -1) have the same one.",
        "np.arctan2 takes two numbers and knows all four quadrants. Which comes first? Which unit?",
        "np.arctan2 answers from -π to π. np.degrees turns it into -180 to 180; % 360 does the "
        "rest.",
    ),
    solution_code='''\
def direction(right, down):
    """Direction in which brightness grows most, in degrees: 0 right, 90 down, up to 360."""
    return np.degrees(np.arctan2(down, right)) % 360''',
    wrong=(
        WrongAnswer(
            """\
def direction(right, down):
    with np.errstate(all="ignore"):
        return np.nan_to_num(np.degrees(np.arctan(down / right))) % 360""",
            "The ratio forgets the signs: left looks like right and up like down. np.arctan2 "
            "takes both slopes apart.",
        ),
        WrongAnswer(
            """\
def direction(right, down):
    with np.errstate(all="ignore"):
        return np.degrees(np.arctan(down / right))""",
            "down / right divides by 0 on level edges, and it forgets the signs: left looks like "
            "right. np.arctan2 takes both slopes apart.",
        ),
        WrongAnswer(
            """\
def direction(right, down):
    return np.degrees(np.arctan2(right, down)) % 360""",
            "The arguments are the wrong way round: np.arctan2 takes the one upright on the page "
            "(y, here down) first, then x.",
        ),
        WrongAnswer(
            """\
def direction(right, down):
    return np.arctan2(down, right)""",
            "That is in radians, from -π to π. np.degrees makes degrees of it, and % 360 moves "
            "what is below 0.",
        ),
        WrongAnswer(
            """\
def direction(right, down):
    return np.degrees(np.arctan2(down, right))""",
            "Right, but from -180 to 180: up comes out as -90. % 360 moves it to 270.",
        ),
        WrongAnswer(
            """\
def direction(right, down):
    return np.degrees(np.arctan2(-down, right)) % 360""",
            "You turn as in a maths book, with up as 90. In a picture rows are counted downwards: "
            "down is 90 here.",
        ),
        WrongAnswer(
            """\
def direction(right, down):
    return np.degrees(np.arctan2(down, right)) % 180""",
            "That is the direction of the edge's axis: % 180 makes dark-to-bright and "
            "bright-to-dark the same. Use % 360.",
        ),
    ),
    case=direction_case,
    describe=describe_direction,
)


# --- unsharp mask ---------------------------------------------------------------------------------

# (pixel, blurred there, amount): up, unchanged, down, 127.6 to round, above 255, below 0.
SHARPENED = (
    (100, 90.0, 1.0),
    (100, 100.0, 1.0),
    (100, 110.0, 2.0),
    (120, 112.4, 1.0),
    (250, 200.0, 2.0),
    (10, 60.0, 1.0),
)


def sharpen_case(number: int) -> tuple:
    """A single pixel first; then small pictures, each drawn half-way to its mean for a blur."""
    if number < len(SHARPENED):
        pixel, blurred, amount = SHARPENED[number]
        return np.array([[pixel]], dtype=np.uint8), np.array([[blurred]]), amount
    numbers, shape = random(number), (1 + number % 4, 2 + number % 3)
    image = numbers.integers(0, 256, shape, dtype=np.uint8)
    # Never half a brightness in the sum: there, right answers may round up or down.
    blurred = np.floor(0.5 * image + 0.5 * image.mean()) + 0.3
    return image, blurred, (0.5, 1.0, 1.5, 3.0)[number % 4]


def describe_sharpen(image: np.ndarray, blurred: np.ndarray, amount: float) -> str:
    """The numbers of a single pixel, or the size of the picture; and the amount."""
    if image.size == 1:
        return f"pixel {image.item()}, blurred {blurred.item():g}, amount={amount:g}"
    return f"image of {size_of(image)}, amount={amount:g}"


UNSHARP_MASK = Exercise(
    name="unsharp_mask",
    task=(
        "Sharpen a photograph by an unsharp mask: add to it, amount times, what blurring took "
        "away. The image is uint8 (0 to 255) as files hold it, blurred is the same picture after "
        "a blur, as floats. Return uint8: rounded to whole numbers, what leaves 0 to 255 cut off "
        "at the ends."
    ),
    stub='''\
def unsharp_mask(image: np.ndarray, blurred: np.ndarray, amount: float) -> np.ndarray:
    """Sharper picture (H, W), uint8, from a picture (H, W), uint8, and its blur (H, W), float."""
    ...''',
    hints=(
        "What blurring took away is image - blurred: the fine detail.",
        "A uint8 holds 0 to 255 and nothing else: 260 becomes 4. Compute in floats; np.clip comes "
        "before .astype.",
        "np.clip(np.round(image + amount * (image - blurred)), 0, 255), then .astype(np.uint8).",
    ),
    solution_code='''\
def unsharp_mask(image, blurred, amount):
    """Sharper picture (H, W), uint8, from a picture (H, W), uint8, and its blur (H, W), float."""
    sharp = image + amount * (image - blurred)
    return np.clip(np.round(sharp), 0, 255).astype(np.uint8)''',
    wrong=(
        WrongAnswer(
            """\
def unsharp_mask(image, blurred, amount):
    sharp = image + amount * (image - blurred)
    return np.round(sharp).astype(int).astype(np.uint8)""",
            "Nothing is cut off: 350 wraps around to 94, and the brightest places turn dark. "
            "np.clip(..., 0, 255) before .astype.",
        ),
        WrongAnswer(
            """\
def unsharp_mask(image, blurred, amount):
    sharp = image + amount * (image - blurred)
    return np.clip(sharp, 0, 255).astype(np.uint8)""",
            ".astype(np.uint8) drops the decimals: 127.6 becomes 127. np.round first.",
        ),
        WrongAnswer(
            """\
def unsharp_mask(image, blurred, amount):
    sharp = image + amount * (image - blurred)
    return np.clip(np.round(sharp), 0, 255)""",
            "The numbers are right, but they are floats: a picture file holds uint8. "
            ".astype(np.uint8) at the end.",
        ),
        WrongAnswer(
            """\
def unsharp_mask(image, blurred, amount):
    sharp = image - amount * (image - blurred)
    return np.clip(np.round(sharp), 0, 255).astype(np.uint8)""",
            "The detail is taken away instead of added: with amount=1 that is the blurred picture "
            "itself.",
        ),
        WrongAnswer(
            """\
def unsharp_mask(image, blurred, amount):
    sharp = amount * (image - blurred)
    return np.clip(np.round(sharp), 0, 255).astype(np.uint8)""",
            "That is the mask alone, the detail. Add it to the image.",
        ),
        WrongAnswer(
            """\
def unsharp_mask(image, blurred, amount):
    sharp = image + (image - blurred)
    return np.clip(np.round(sharp), 0, 255).astype(np.uint8)""",
            "amount is not used: it says how many times the detail is added.",
        ),
        WrongAnswer(
            """\
def unsharp_mask(image, blurred, amount):
    detail = image - np.round(blurred).astype(np.uint8)
    return np.clip(np.round(image + amount * detail), 0, 255).astype(np.uint8)""",
            "The blurred picture was made uint8 first: a uint8 difference cannot go below 0, "
            "10 - 60 becomes 206. Subtract floats.",
        ),
    ),
    case=sharpen_case,
    describe=describe_sharpen,
)


# --- column and row -------------------------------------------------------------------------------

# Column and row: 1 x 1; plain; taller than wide; Sobel x and y, which sum to 0; a zero at the
# corner; a sum of 0 and a corner of 0.
PRODUCTS = (
    ((2.0,), (3.0,)),
    ((1.0, 2.0), (1.0, 3.0)),
    ((1.0, 3.0, 2.0), (2.0, 5.0)),
    ((1.0, 2.0, 1.0), (-1.0, 0.0, 1.0)),
    ((-1.0, 0.0, 1.0), (1.0, 2.0, 1.0)),
    ((0.0, 1.0, 2.0), (0.0, 3.0, 1.0)),
    ((1.0, -1.0), (0.0, 1.0, -1.0)),
)


def product_case(number: int) -> tuple:
    """A kernel that is one column times one row."""
    if number < len(PRODUCTS):
        return (np.outer(*PRODUCTS[number]),)
    numbers = random(number)
    column, row = (numbers.integers(1, 6, 2 + extra % 4) for extra in (number, number // 3))
    signs = numbers.choice([-1.0, 1.0], column.shape)
    return (np.outer(column * signs, row * numbers.choice([-1.0, 1.0], row.shape)),)


def multiplied(function: Callable, arguments: tuple) -> object:
    """The kernel that column and row make: many pairs are right, their product is one."""
    pair = function(*arguments)
    if pair is None:
        return None
    if not isinstance(pair, tuple | list) or len(pair) != 2:
        return "no pair (column, row)"
    column, row = (np.asarray(part, dtype=float) for part in pair)
    if column.ndim != 1 or row.ndim != 1:
        return f"column {column.shape} and row {row.shape}, where one axis each is asked for"
    return np.outer(column, row)


COLUMN_AND_ROW = Exercise(
    name="column_and_row",
    task=(
        "The kernel (h, w) you are given is one column times one row. Find such a pair: return "
        "column (h,) and row (w,), so that np.outer(column, row) is the kernel. Many pairs are "
        "right (double one, halve the other); the check looks at their product. The kernel is "
        "never all zeros, but its corner may be 0, and its sum too."
    ),
    stub='''\
def column_and_row(kernel: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Column (h,) and row (w,) whose outer product is the kernel (h, w)."""
    ...''',
    hints=(
        "All rows are multiples of one row. Take any row that is not zero: which multiples are "
        "the others?",
        "Find the entry of largest magnitude, kernel[i, j]. Row i and column j both pass through "
        "it.",
        "outer(kernel[:, j], kernel[i]) is kernel[i, j] times too large: divide one of the two. "
        "np.linalg.svd does it too.",
    ),
    solution_code='''\
def column_and_row(kernel):
    """Column (h,) and row (w,) whose outer product is the kernel (h, w)."""
    i, j = np.unravel_index(np.abs(kernel).argmax(), kernel.shape)
    return kernel[:, j] / kernel[i, j], kernel[i]''',
    wrong=(
        WrongAnswer(
            """\
def column_and_row(kernel):
    i, j = np.unravel_index(np.abs(kernel).argmax(), kernel.shape)
    return kernel[:, j], kernel[i]""",
            "The entry where column and row cross is counted twice: your product is that many "
            "times too large. Divide one of them by it.",
        ),
        WrongAnswer(
            """\
def column_and_row(kernel):
    with np.errstate(all="ignore"):
        return kernel[:, 0] / kernel[0, 0], kernel[0]""",
            "You divide by the corner, and it is 0 here. Cross at an entry that is not 0: the one "
            "of largest magnitude is never 0.",
        ),
        WrongAnswer(
            """\
def column_and_row(kernel):
    with np.errstate(all="ignore"):
        return kernel.sum(axis=1) / kernel.sum(), kernel.sum(axis=0)""",
            "Sums of rows and columns work until they are 0, and an edge kernel's are. Look at "
            "single entries instead.",
        ),
        WrongAnswer(
            """\
def column_and_row(kernel):
    return kernel.sum(axis=1), kernel.sum(axis=0)""",
            "Outer product of the sums: too large by the kernel's sum, and all zeros for an edge "
            "kernel, whose sums are 0.",
        ),
        WrongAnswer(
            """\
def column_and_row(kernel):
    columns, strengths, rows = np.linalg.svd(kernel)
    return columns[:, 0], rows[0]""",
            "Column and row of the SVD have length 1 each. Their strength, the first singular "
            "value, belongs to one of them.",
        ),
        WrongAnswer(
            """\
def column_and_row(kernel):
    columns, strengths, rows = np.linalg.svd(kernel)
    return columns[:, 0] * strengths[0], rows[0] * strengths[0]""",
            "The singular value is in both column and row, so it counts twice. Give it to one, or "
            "its square root to each.",
        ),
        WrongAnswer(
            """\
def column_and_row(kernel):
    i, j = np.unravel_index(np.abs(kernel).argmax(), kernel.shape)
    return kernel[i], kernel[:, j] / kernel[i, j]""",
            "Column and row are the wrong way round: np.outer's first argument runs down, its "
            "second to the right.",
        ),
    ),
    case=product_case,
    describe=lambda kernel: (
        f"kernel {kernel.tolist()}" if kernel.size <= 9 else f"a kernel of {size_of(kernel)}"
    ),
    outcome=multiplied,
)


# --- hidden kernel --------------------------------------------------------------------------------


class Layer:
    """A filter that keeps its kernel to itself: call it with an image (H, W)."""

    def __init__(self, kernel: np.ndarray, bias: float) -> None:
        self._kernel, self._bias = kernel, bias

    def __call__(self, image: np.ndarray) -> np.ndarray:
        """Cross-correlation without padding, plus the bias."""
        return ops.conv2d(np.asarray(image, dtype=float), self._kernel) + self._bias


def hidden_case(number: int) -> tuple:
    """First a kernel whose flips and turns all differ, no bias; then all sizes, with a bias."""
    if number == 0:
        return Layer(np.array([[1.0, 2.0], [3.0, 4.0]]), 0.0), (2, 2)
    numbers = random(number)
    size = (1 + number % 4, 1 + (number // 2) % 5)
    return Layer(numbers.integers(-9, 10, size).astype(float), float(number % 3)), size


def describe_hidden(layer: Layer, kernel_size: tuple[int, int]) -> str:
    """Size of what is hidden, and the bias where there is one."""
    height, width = kernel_size
    return f"a hidden kernel of {height} x {width}, bias {layer._bias:g}"


HIDDEN_KERNEL = Exercise(
    name="hidden_kernel",
    task=(
        "A layer is a closed box: layer(image) takes an image (H, W), at least as large as its "
        "kernel, and gives the cross-correlation with a kernel that you cannot see, without "
        "padding, plus one number, the bias. You know the kernel's size, a pair (height, width). "
        "Return the kernel, by asking the layer about images of your choice."
    ),
    stub='''\
def hidden_kernel(layer, kernel_size: tuple[int, int]) -> np.ndarray:
    """The kernel (height, width) inside a layer, found by showing it images."""
    ...''',
    hints=(
        "Show it a picture that is black everywhere: what is left? Then one with a single bright "
        "pixel.",
        "An image of (2h - 1, 2w - 1) with a 1 in the middle: the window reaches that pixel with "
        "each weight once. Which weight meets it first?",
        "The window's lower right weight meets the pixel first, so the answer is the kernel turned "
        "by 180°: [::-1, ::-1]. Take the bias off.",
    ),
    solution_code='''\
def hidden_kernel(layer, kernel_size):
    """The kernel (height, width) inside a layer, found by showing it images."""
    height, width = kernel_size
    image = np.zeros((2 * height - 1, 2 * width - 1))
    bias = layer(image)
    image[height - 1, width - 1] = 1
    return (layer(image) - bias)[::-1, ::-1]''',
    wrong=(
        WrongAnswer(
            """\
def hidden_kernel(layer, kernel_size):
    height, width = kernel_size
    image = np.zeros((2 * height - 1, 2 * width - 1))
    bias = layer(image)
    image[height - 1, width - 1] = 1
    return layer(image) - bias""",
            "Turned by 180°: where the window's lower right weight lies on the pixel, the window "
            "is in its first place. Turn it back.",
        ),
        WrongAnswer(
            """\
def hidden_kernel(layer, kernel_size):
    height, width = kernel_size
    image = np.zeros((2 * height - 1, 2 * width - 1))
    image[height - 1, width - 1] = 1
    return layer(image)[::-1, ::-1]""",
            "The bias is still in it: every weight is too large by the same number. A black image "
            "shows the bias alone.",
        ),
        WrongAnswer(
            """\
def hidden_kernel(layer, kernel_size):
    height, width = kernel_size
    image = np.zeros((2 * height - 1, 2 * width - 1))
    image[height - 1, width - 1] = 1
    return layer(image)""",
            "Two things: the answer to one bright pixel is the kernel turned by 180°, and the bias "
            "is still in it.",
        ),
        WrongAnswer(
            """\
def hidden_kernel(layer, kernel_size):
    height, width = kernel_size
    image = np.zeros((2 * height - 1, 2 * width - 1))
    bias = layer(image)
    image[height - 1, width - 1] = 1
    return (layer(image) - bias)[::-1]""",
            "Turned over in one direction only. 180° reverses rows and columns: [::-1, ::-1].",
        ),
        WrongAnswer(
            """\
def hidden_kernel(layer, kernel_size):
    height, width = kernel_size
    image = np.zeros((2 * height - 1, 2 * width - 1))
    bias = layer(image)
    image[height - 1, width - 1] = 1
    return (layer(image) - bias).T""",
            "Rows and columns are exchanged (.T). What the answer needs is a turn by 180°: "
            "[::-1, ::-1].",
        ),
        WrongAnswer(
            """\
def hidden_kernel(layer, kernel_size):
    bias = layer(np.zeros(kernel_size))
    return layer(np.ones(kernel_size)) - bias""",
            "A white image gives one number: the sum of all weights. To tell them apart, let one "
            "pixel be bright.",
        ),
        WrongAnswer(
            """\
def hidden_kernel(layer, kernel_size):
    height, width = kernel_size
    image = np.zeros((2 * height - 1, 2 * width - 1))
    bias = layer(image)
    image[0, 0] = 1
    return (layer(image) - bias)[::-1, ::-1]""",
            "A pixel in the corner is met by one weight only, the window's upper left. In the "
            "middle of (2h - 1, 2w - 1) all of them meet it.",
        ),
    ),
    case=hidden_case,
    describe=describe_hidden,
)


# --- corners --------------------------------------------------------------------------------------


def smooth(values: np.ndarray) -> np.ndarray:
    """Mean of each place and its eight neighbours, (H, W) -> (H, W); the border is repeated."""
    return ops.conv2d(
        values, np.full((3, 3), 1 / 9), padding=1, padding_mode="replicate", method="direct"
    )


# A corner: brightness grows to the right in one place, downwards in another. Then an edge, a
# slanted edge, and flat.
SLOPES = (
    ([[1.0, 0.0], [0.0, 0.0]], [[0.0, 0.0], [0.0, 1.0]]),
    ([[2.0, 2.0], [2.0, 2.0]], [[0.0, 0.0], [0.0, 0.0]]),
    ([[1.0, 1.0], [1.0, 1.0]], [[1.0, 1.0], [1.0, 1.0]]),
    ([[0.0, 0.0], [0.0, 0.0]], [[0.0, 0.0], [0.0, 0.0]]),
)
SHOWS = ("a corner", "an upright edge", "a slanted edge", "a flat place")


def corner_case(number: int) -> tuple:
    """Slopes of a corner, of edges, of nothing; then slopes at random."""
    if number < len(SLOPES):
        right, down = (np.array(slopes) for slopes in SLOPES[number])
    else:
        shape = (3 + number % 3, 3 + number % 4)
        right, down = (random(number).normal(size=(2, *shape)) * 2).round(1)
    return right, down, smooth


def describe_corner(right: np.ndarray, down: np.ndarray, smooth: Callable) -> str:
    """What the slopes show, and how many places there are."""
    del down, smooth
    if right.size == 4:
        shown = next(n for n, pair in enumerate(SLOPES) if right.tolist() == pair[0])
        return f"{SHOWS[shown]}, 2 x 2 places"
    return f"random slopes of {size_of(right)} places"


CORNERS = Exercise(
    name="corners",
    task=(
        "Find corners as Harris and Stephens did in 1988. You get the slopes to the right and "
        "downwards (H, W), and a function smooth that averages every place with its neighbours. "
        "Make three maps: A = smooth(right²), B = smooth(down²), C = smooth(right · down). Return "
        "A·B - C² - 0.05 · (A + B)²: large at corners, below 0 along edges, 0 where it is flat."
    ),
    stub='''\
def corners(right: np.ndarray, down: np.ndarray, smooth) -> np.ndarray:
    """Corner response (H, W) of Harris and Stephens from slopes (H, W), with k = 0.05."""
    ...''',
    hints=(
        "Products first, smoothing after: one place alone cannot know that its neighbour's slope "
        "points elsewhere.",
        "Three calls of smooth. A·B - C² is the determinant of [[A, C], [C, B]], A + B its trace.",
        "a, b, c = smooth(right**2), smooth(down**2), smooth(right * down); then the formula.",
    ),
    solution_code='''\
def corners(right, down, smooth):
    """Corner response (H, W) of Harris and Stephens from slopes (H, W), with k = 0.05."""
    a, b, c = smooth(right**2), smooth(down**2), smooth(right * down)
    return a * b - c**2 - 0.05 * (a + b) ** 2''',
    wrong=(
        WrongAnswer(
            """\
def corners(right, down, smooth):
    a, b, c = right**2, down**2, right * down
    return a * b - c**2 - 0.05 * (a + b) ** 2""",
            "Without smoothing A·B - C² is 0 everywhere: one place has one slope, and every place "
            "looks like an edge.",
        ),
        WrongAnswer(
            """\
def corners(right, down, smooth):
    right, down = smooth(right), smooth(down)
    a, b, c = right**2, down**2, right * down
    return a * b - c**2 - 0.05 * (a + b) ** 2""",
            "You smooth the slopes, then multiply: A·B - C² is then 0 everywhere. Multiply first, "
            "smooth the products.",
        ),
        WrongAnswer(
            """\
def corners(right, down, smooth):
    a, b, c = smooth(right**2), smooth(down**2), smooth(right * down)
    return a * b - c**2""",
            "The second term is missing: 0.05 · (A + B)², the trace squared, pushes edges below 0.",
        ),
        WrongAnswer(
            """\
def corners(right, down, smooth):
    a, b, c = smooth(right**2), smooth(down**2), smooth(right * down)
    return a * b - c**2 - 0.05 * (a + b)""",
            "A + B must be squared: else the two terms have different units, and the answer "
            "depends on the photo's contrast.",
        ),
        WrongAnswer(
            """\
def corners(right, down, smooth):
    a, b, c = smooth(right**2), smooth(down**2), smooth(right * down)
    return a * b - c - 0.05 * (a + b) ** 2""",
            "C must be squared too: the determinant of [[A, C], [C, B]] is A·B - C·C.",
        ),
        WrongAnswer(
            """\
def corners(right, down, smooth):
    a, b = smooth(right**2), smooth(down**2)
    return a * b - 0.05 * (a + b) ** 2""",
            "Without C a slanted edge looks like a corner: both slopes are large there, but always "
            "together. C² takes that away.",
        ),
        WrongAnswer(
            """\
def corners(right, down, smooth):
    return smooth(np.abs(right * down))""",
            "Product of the slopes, smoothed: it finds slanted edges and misses corners whose two "
            "edges are upright and level.",
        ),
        WrongAnswer(
            """\
def corners(right, down, smooth):
    a, b, c = smooth(right**2), smooth(down**2), smooth(right * down)
    return a * b - c**2 + 0.05 * (a + b) ** 2""",
            "The trace is added, so edges come out positive too. Take 0.05 · (A + B)² away.",
        ),
    ),
    case=corner_case,
    describe=describe_corner,
)


EXERCISES = (DIRECTION, UNSHARP_MASK, COLUMN_AND_ROW, HIDDEN_KERNEL, CORNERS)
