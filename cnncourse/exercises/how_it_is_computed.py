"""Exercises of the lesson on algorithms: col2im, two gradients, two counts, Winograd in 1-D."""

from collections.abc import Callable, Sequence

import numpy as np

from cnncourse.exercises import Exercise, Question, WrongAnswer

MACS_AND_FLOPS = Question(
    "AlexNet's first layer takes 105,415,200 multiply-accumulates (MACs) for one image. How many "
    "floating-point operations (FLOPs) is that?",
    ("as many", "twice as many", "half as many"),
    answer="twice as many",
    why=(
        "A multiply-accumulate is a multiplication and an addition: two operations. Papers say "
        "FLOPs and often mean MACs, so a factor of two between two tables is worth a second look."
    ),
)
MORE_MEMORY = Question(
    "Both ways do the same multiplications. One looks at every window where it lies; the other "
    "first copies all windows into a matrix nine times as large as the image. Which is faster?",
    ("the one that copies nothing", "the one that copies", "no difference worth naming"),
    answer="the one that copies",
    why=(
        "The matrix product is the best tuned routine a computer has: it uses every number in the "
        "cache many times before it lets it go. That gains more than the copying costs."
    ),
)
WAY_BACK = Question(
    "Forward, y = W x. The gradient of the loss with respect to y is known. Which matrix turns it "
    "into the gradient with respect to x?",
    ("W again", "the inverse of W", "the transpose of W"),
    answer="the transpose of W",
    why=(
        "W[k, n] says how much output k grows when input n grows by one. The loss feels input n "
        "through all outputs: the sum over k of W[k, n] times the gradient at k. That is a column "
        "of W, so a row of its transpose. W is rarely square, and has then no inverse."
    ),
)
LARGER_KERNEL = Question(
    "The kernel's side grows about tenfold, from 3 to 31; its weights from 9 to 961. How does the "
    "time of the convolution by Fourier transform change?",
    ("not even fourfold", "about tenfold", "about hundredfold"),
    answer="not even fourfold",
    why=(
        "The kernel is filled up with zeros to the size of the image, whatever it was before, and "
        "transforms of that size are most of the work. (Rows of zeros alone are not transformed "
        "along the row, so a small kernel still has a little less to do.)"
    ),
)
FEWER_MULTIPLICATIONS = Question(
    "Winograd's way does this layer with 2.25 times fewer multiplications than im2col. How fast is "
    "ours, in NumPy?",
    ("about 2.25 times as fast", "faster, but by less", "slower"),
    answer="slower",
    why=(
        "Multiplications are not what takes the time here. The transforms read and write whole "
        "arrays several times, and none of that is in the count; and im2col's one large matrix "
        "product is hard to beat. Fewer operations are not less time: measure."
    ),
)

# (height, width), kernel_size, stride: those that tell mistakes apart come first.
SETTINGS = [
    ((2, 3), 2, 1),
    ((3, 3), 2, 1),
    ((5, 4), 2, 2),
    ((5, 5), 3, 2),
    ((3, 4), 3, 1),
    ((4, 5), 2, 3),
    ((6, 5), 1, 2),
]


def setting(number: int) -> tuple[tuple[int, int], int, int]:
    """Image size, kernel size and stride of a case; from the eighth on at random."""
    if number < len(SETTINGS):
        return SETTINGS[number]
    rng = np.random.default_rng(1000 + number)
    kernel_size, stride = int(rng.integers(1, 5)), int(rng.integers(1, 4))
    height, width = (int(side) for side in kernel_size + rng.integers(0, 7, size=2))
    return (height, width), kernel_size, stride


def places(image_size: tuple[int, int], kernel_size: int, stride: int) -> tuple[int, int]:
    """Rows and columns of places where the window stands."""
    height, width = image_size
    return (height - kernel_size) // stride + 1, (width - kernel_size) // stride + 1


def values(number: int, *shape: int, stream: int = 0) -> np.ndarray:
    """Small whole numbers, to be followed by hand; in later cases any numbers."""
    rng = np.random.default_rng([number + stream, *shape])
    if number < 8:
        return rng.integers(1, 6, size=shape).astype(float)
    return rng.normal(size=shape)


def told(name: str, array: np.ndarray) -> str:
    """An array with its numbers where they are few, else its shape."""
    return f"{name}={array.round(2).tolist()}" if array.size <= 6 else f"{name} {array.shape}"


# --- col2im ---------------------------------------------------------------------------------------


def col2im_case(number: int) -> tuple[np.ndarray, tuple[int, int], int, int]:
    """Columns, and the picture that they came from."""
    image_size, kernel_size, stride = setting(number)
    rows, columns = places(image_size, kernel_size, stride)
    return values(number, kernel_size**2, rows * columns), image_size, kernel_size, stride


def describe_col2im(
    columns: np.ndarray, image_size: tuple[int, int], kernel_size: int, stride: int
) -> str:
    """The setting in words."""
    return (
        f"stride={stride}, kernel_size={kernel_size}, size {image_size}, {told('columns', columns)}"
    )


COL2IM = Exercise(
    name="col2im",
    task=(
        "Write the way back of `im2col`: every column is a window, and goes back to the pixels it "
        "came from. Where windows overlap, their values are **added**. Pixels that no window "
        "touched are 0. `columns` has shape `(kernel_size**2, places)` and comes from one gray "
        "picture of size `image_size = (height, width)`, without padding; a column lists its "
        "window row by row, and the columns list the places row by row."
    ),
    stub='''\
def col2im(
    columns: np.ndarray, image_size: tuple[int, int], kernel_size: int, stride: int
) -> np.ndarray:
    """Sum of all windows, each at its place: (kernel_size**2, places) -> (height, width)."""
    ...''',
    hints=(
        "Begin with a picture of zeros. Every window adds itself to the pixels that it covers.",
        "How many places are there in a row? (width - kernel_size) // stride + 1. Place number p "
        "stands in row p // that and column p % that, times stride.",
        "For each place: image[top : top + kernel_size, left : left + kernel_size] += "
        "columns[:, p].reshape(kernel_size, kernel_size).",
    ),
    solution_code='''\
def col2im(columns, image_size, kernel_size, stride):
    """Sum of all windows, each at its place: (kernel_size**2, places) -> (height, width)."""
    image = np.zeros(image_size)
    across = (image_size[1] - kernel_size) // stride + 1  # places in a row
    for place, window in enumerate(columns.T):
        top, left = stride * (place // across), stride * (place % across)
        window = window.reshape(kernel_size, kernel_size)
        image[top : top + kernel_size, left : left + kernel_size] += window
    return image''',
    wrong=(
        WrongAnswer(
            """\
def col2im(columns, image_size, kernel_size, stride):
    image = np.zeros(image_size)
    across = (image_size[1] - kernel_size) // stride + 1
    for place, window in enumerate(columns.T):
        top, left = stride * (place // across), stride * (place % across)
        window = window.reshape(kernel_size, kernel_size)
        image[top : top + kernel_size, left : left + kernel_size] = window
    return image""",
            "Where windows overlap, yours keeps the last one. A pixel that was in two windows "
            "gets both values: += instead of =.",
        ),
        WrongAnswer(
            """\
def col2im(columns, image_size, kernel_size, stride):
    image, count = np.zeros(image_size), np.zeros(image_size)
    across = (image_size[1] - kernel_size) // stride + 1
    for place, window in enumerate(columns.T):
        top, left = stride * (place // across), stride * (place % across)
        window = window.reshape(kernel_size, kernel_size)
        image[top : top + kernel_size, left : left + kernel_size] += window
        count[top : top + kernel_size, left : left + kernel_size] += 1
    return image / np.maximum(count, 1)""",
            "You took the mean where windows overlap. That undoes im2col, and a gradient wants "
            "the sum: every window's share counts.",
        ),
        WrongAnswer(
            """\
def col2im(columns, image_size, kernel_size, stride):
    image = np.zeros(image_size)
    across = (image_size[1] - kernel_size) // stride + 1
    for place, window in enumerate(columns.T):
        top, left = place // across, place % across
        window = window.reshape(kernel_size, kernel_size)
        image[top : top + kernel_size, left : left + kernel_size] += window
    return image""",
            "Your windows stand one pixel apart. With a stride they stand stride pixels apart: "
            "multiply row and column of the place by it.",
        ),
        WrongAnswer(
            """\
def col2im(columns, image_size, kernel_size, stride):
    image = np.zeros(image_size)
    across = (image_size[1] - kernel_size) // stride + 1
    for place, window in enumerate(columns.reshape(-1, kernel_size**2)):
        top, left = stride * (place // across), stride * (place % across)
        window = window.reshape(kernel_size, kernel_size)
        image[top : top + kernel_size, left : left + kernel_size] += window
    return image""",
            "You cut the rows into windows. A window is a column: columns[:, place], or a row of "
            "columns.T. reshape does not turn the one into the other.",
        ),
        WrongAnswer(
            """\
def col2im(columns, image_size, kernel_size, stride):
    image = np.zeros(image_size)
    across = (image_size[1] - kernel_size) // stride + 1
    for place, window in enumerate(columns.T):
        top, left = stride * (place // across), stride * (place % across)
        window = window.reshape(kernel_size, kernel_size).T
        image[top : top + kernel_size, left : left + kernel_size] += window
    return image""",
            "Each window lies on its side: rows and columns are swapped. A column of the matrix "
            "lists its window row by row.",
        ),
        WrongAnswer(
            """\
def col2im(columns, image_size, kernel_size, stride):
    image = np.zeros(image_size)
    down = (image_size[0] - kernel_size) // stride + 1
    for place, window in enumerate(columns.T):
        top, left = stride * (place % down), stride * (place // down)
        window = window.reshape(kernel_size, kernel_size)
        image[top : top + kernel_size, left : left + kernel_size] += window
    return image""",
            "You walk down the picture first. The places are listed row by row: the second place "
            "is to the right of the first.",
        ),
        WrongAnswer(
            """\
def col2im(columns, image_size, kernel_size, stride):
    down, across = ((size - kernel_size) // stride + 1 for size in image_size)
    image = np.zeros(((down - 1) * stride + kernel_size, (across - 1) * stride + kernel_size))
    for place, window in enumerate(columns.T):
        top, left = stride * (place // across), stride * (place % across)
        window = window.reshape(kernel_size, kernel_size)
        image[top : top + kernel_size, left : left + kernel_size] += window
    return image""",
            "Your picture ends where the last window ends. The stride may leave pixels over that "
            "no window touches: they belong to image_size, and stay 0.",
        ),
    ),
    case=col2im_case,
    describe=describe_col2im,
)


# --- the gradient of the kernel -------------------------------------------------------------------


def kernel_gradient_case(number: int) -> tuple[np.ndarray, np.ndarray, int, int]:
    """An image, and the gradient of the loss with respect to the feature map made from it."""
    image_size, kernel_size, stride = setting(number)
    grad_output = values(number, *places(image_size, kernel_size, stride))
    return values(number, *image_size), grad_output, kernel_size, stride


def describe_kernel_gradient(
    image: np.ndarray, grad_output: np.ndarray, kernel_size: int, stride: int
) -> str:
    """The setting in words."""
    arrays = f"{told('image', image)}, {told('grad_output', grad_output)}"
    return f"stride={stride}, kernel_size={kernel_size}, {arrays}"


KERNEL_GRADIENT = Exercise(
    name="kernel_gradient",
    task=(
        "Write the gradient of the loss with respect to the **kernel**, for one gray `image` and a "
        "convolution (as deep learning means it, not flipped) without padding: "
        "$\\partial L / \\partial k_{ij} = \\sum_{y,x} g_{yx} \\, "
        "p_{\\,sy + i,\\ sx + j}$, where $g$ is `grad_output`, $p$ the image and $s$ the `stride`. "
        "The result has shape `(kernel_size, kernel_size)`."
    ),
    stub='''\
def kernel_gradient(
    image: np.ndarray, grad_output: np.ndarray, kernel_size: int, stride: int
) -> np.ndarray:
    """dL/dkernel from an image (H, W) and dL/doutput (H', W'): (kernel_size, kernel_size)."""
    ...''',
    hints=(
        "It is a convolution again: grad_output lies on the image, at as many places as the "
        "kernel has weights. With a stride its rows and columns lie apart.",
        "Weight (i, j) met the pixels image[i], image[i + stride], ... and so for columns: as "
        "many of them as grad_output has rows and columns.",
        "met = image[i : i + stride * height : stride, j : j + stride * width : stride] has the "
        "shape (height, width) of grad_output. Multiply, and sum.",
    ),
    solution_code='''\
def kernel_gradient(image, grad_output, kernel_size, stride):
    """dL/dkernel from an image (H, W) and dL/doutput (H', W'): (kernel_size, kernel_size)."""
    height, width = grad_output.shape
    gradient = np.zeros((kernel_size, kernel_size))
    for i, j in np.ndindex(gradient.shape):
        met = image[i : i + stride * height : stride, j : j + stride * width : stride]
        gradient[i, j] = (met * grad_output).sum()
    return gradient''',
    wrong=(
        WrongAnswer(
            """\
def kernel_gradient(image, grad_output, kernel_size, stride):
    height, width = grad_output.shape
    gradient = np.zeros((kernel_size, kernel_size))
    for i, j in np.ndindex(gradient.shape):
        gradient[i, j] = (image[i : i + height, j : j + width] * grad_output).sum()
    return gradient""",
            "You laid grad_output on neighbouring pixels. With a stride, weight (i, j) met every "
            "stride-th pixel: grad_output is dilated by the stride.",
        ),
        WrongAnswer(
            """\
def kernel_gradient(image, grad_output, kernel_size, stride):
    height, width = grad_output.shape
    gradient = np.zeros((kernel_size, kernel_size))
    for i, j in np.ndindex(gradient.shape):
        met = image[i : i + stride * height : stride, j : j + stride * width : stride]
        gradient[i, j] = (met * grad_output).sum()
    return gradient[::-1, ::-1]""",
            "Your gradient is turned by 180°. Nothing is flipped here: the layer cross-correlates, "
            "and so does the gradient of its kernel.",
        ),
        WrongAnswer(
            """\
def kernel_gradient(image, grad_output, kernel_size, stride):
    height, width = grad_output.shape
    gradient = np.zeros((kernel_size, kernel_size))
    for i, j in np.ndindex(gradient.shape):
        met = image[i : i + stride * height : stride, j : j + stride * width : stride]
        gradient[i, j] = (met * grad_output[::-1, ::-1]).sum()
    return gradient""",
            "You flipped grad_output. The output at (y, x) met the pixel at (sy + i, sx + j): both "
            "run in the same direction.",
        ),
        WrongAnswer(
            """\
def kernel_gradient(image, grad_output, kernel_size, stride):
    height, width = grad_output.shape
    gradient = np.zeros((kernel_size, kernel_size))
    for i, j in np.ndindex(gradient.shape):
        met = image[i : i + stride * height : stride, j : j + stride * width : stride]
        gradient[i, j] = (met * grad_output).mean()
    return gradient""",
            "You took the mean over the places. The weight was used at every place and every use "
            "counts in full: the sum.",
        ),
        WrongAnswer(
            """\
def kernel_gradient(image, grad_output, kernel_size, stride):
    height, width = grad_output.shape
    gradient = np.zeros((kernel_size, kernel_size))
    for i, j in np.ndindex(gradient.shape):
        met = image[i : i + stride * height : stride, j : j + stride * width : stride]
        gradient[j, i] = (met * grad_output).sum()
    return gradient""",
            "Rows and columns of your gradient are swapped: i counts rows of the kernel and moves "
            "down the image.",
        ),
        WrongAnswer(
            """\
def kernel_gradient(image, grad_output, kernel_size, stride):
    height, width = grad_output.shape
    down = image.shape[0] - stride * (height - 1)
    across = image.shape[1] - stride * (width - 1)
    gradient = np.zeros((down, across))
    for i, j in np.ndindex(gradient.shape):
        met = image[i : i + stride * height : stride, j : j + stride * width : stride]
        gradient[i, j] = (met * grad_output).sum()
    return gradient""",
            "Your gradient has every place where grad_output fits. Where the stride left pixels "
            "over, these are more than there are weights: keep kernel_size of them.",
        ),
        WrongAnswer(
            """\
def kernel_gradient(image, grad_output, kernel_size, stride):
    return np.full((kernel_size, kernel_size), grad_output.sum())""",
            "That is the gradient of the bias: it adds 1 to every output. A weight adds the pixel "
            "that it met: multiply by the image.",
        ),
    ),
    case=kernel_gradient_case,
    describe=describe_kernel_gradient,
)


# --- the gradient of the image --------------------------------------------------------------------


def image_gradient_case(number: int) -> tuple[np.ndarray, np.ndarray, int, tuple[int, int]]:
    """The gradient of a feature map, and the kernel that made it: from the eighth on not square."""
    image_size, kernel_size, stride = setting(number)
    rows, columns = places(image_size, kernel_size, stride)
    kernel_width = kernel_size
    if number >= len(SETTINGS):
        kernel_width = 1 + number % image_size[1]
        columns = (image_size[1] - kernel_width) // stride + 1
    kernel = values(number, kernel_size, kernel_width, stream=100)
    return values(number, rows, columns), kernel, stride, image_size


def describe_image_gradient(
    grad_output: np.ndarray, kernel: np.ndarray, stride: int, image_size: tuple[int, int]
) -> str:
    """The setting in words."""
    arrays = f"{told('grad_output', grad_output)}, {told('kernel', kernel)}"
    return f"stride={stride}, size {image_size}, {arrays}"


IMAGE_GRADIENT = Exercise(
    name="image_gradient",
    task=(
        "Write the gradient of the loss with respect to the **image**: what torch calls a "
        "transposed convolution of `grad_output` with the kernel. Every output sends its gradient "
        "back to the pixels of its window, each times the weight that it met; a pixel adds up all "
        "that it gets. The convolution had a `stride` and no padding; the image had size "
        "`image_size = (height, width)`."
    ),
    stub='''\
def image_gradient(
    grad_output: np.ndarray, kernel: np.ndarray, stride: int, image_size: tuple[int, int]
) -> np.ndarray:
    """dL/dimage (H, W) from dL/doutput (H', W') and the kernel (h, w)."""
    ...''',
    hints=(
        "Do what the forward pass did, backwards: there, a window went into one output. Here, one "
        "output's gradient goes out to a window.",
        "The window of output (y, x) begins at pixel (y * stride, x * stride) and is as large as "
        "the kernel.",
        "gradient[top : top + height, left : left + width] += grad_output[y, x] * kernel, for "
        "every (y, x), on a picture of zeros.",
    ),
    solution_code='''\
def image_gradient(grad_output, kernel, stride, image_size):
    """dL/dimage (H, W) from dL/doutput (H', W') and the kernel (h, w)."""
    height, width = kernel.shape
    gradient = np.zeros(image_size)
    for y, x in np.ndindex(grad_output.shape):
        top, left = y * stride, x * stride
        gradient[top : top + height, left : left + width] += grad_output[y, x] * kernel
    return gradient''',
    wrong=(
        WrongAnswer(
            """\
def image_gradient(grad_output, kernel, stride, image_size):
    height, width = kernel.shape
    gradient = np.zeros(image_size)
    for y, x in np.ndindex(grad_output.shape):
        top, left = y * stride, x * stride
        gradient[top : top + height, left : left + width] = grad_output[y, x] * kernel
    return gradient""",
            "A pixel that was in several windows hears from all of them: yours keeps the last. "
            "+= instead of =.",
        ),
        WrongAnswer(
            """\
def image_gradient(grad_output, kernel, stride, image_size):
    height, width = kernel.shape
    gradient = np.zeros(image_size)
    for y, x in np.ndindex(grad_output.shape):
        top, left = y * stride, x * stride
        turned = kernel[::-1, ::-1]
        gradient[top : top + height, left : left + width] += grad_output[y, x] * turned
    return gradient""",
            "You turned the kernel. Who spreads each output over its window leaves it as it is; "
            "only who slides a window over the padded grad_output turns it.",
        ),
        WrongAnswer(
            """\
def image_gradient(grad_output, kernel, stride, image_size):
    height, width = kernel.shape
    gradient = np.zeros(image_size)
    for y, x in np.ndindex(grad_output.shape):
        gradient[y : y + height, x : x + width] += grad_output[y, x] * kernel
    return gradient""",
            "Your windows stand one pixel apart. In the forward pass output (y, x) looked at the "
            "window from (y * stride, x * stride) on.",
        ),
        WrongAnswer(
            """\
def image_gradient(grad_output, kernel, stride, image_size):
    height, width = kernel.shape
    rows, columns = grad_output.shape
    gradient = np.zeros(((rows - 1) * stride + height, (columns - 1) * stride + width))
    for y, x in np.ndindex(grad_output.shape):
        top, left = y * stride, x * stride
        gradient[top : top + height, left : left + width] += grad_output[y, x] * kernel
    return gradient""",
            "Your gradient ends with the last window. Pixels that the stride left over have a "
            "gradient too: 0. It has the shape of the image, always.",
        ),
        WrongAnswer(
            """\
def image_gradient(grad_output, kernel, stride, image_size):
    height, width = kernel.shape
    gradient = np.zeros(image_size)
    for y, x in np.ndindex(grad_output.shape):
        top, left = y * stride, x * stride
        gradient[top : top + height, left : left + width] += grad_output[y, x] * kernel.T
    return gradient""",
            "You transposed the kernel. It is the large matrix W that is transposed; the kernel "
            "keeps its rows and columns.",
        ),
        WrongAnswer(
            """\
def image_gradient(grad_output, kernel, stride, image_size):
    height, width = kernel.shape
    gradient = np.zeros(image_size)
    for y, x in np.ndindex(grad_output.shape):
        top, left = y * stride, x * stride
        gradient[top : top + height, left : left + width] += kernel
    return gradient""",
            "You left grad_output out: every output sends back the kernel times its own gradient.",
        ),
        WrongAnswer(
            """\
def image_gradient(grad_output, kernel, stride, image_size):
    height, width = kernel.shape
    gradient = np.zeros(image_size)
    for y, x in np.ndindex(grad_output.shape):
        top, left = y * stride, x * stride
        gradient[top : top + height, left : left + width] += grad_output[y, x]
    return gradient""",
            "You left the kernel out: a pixel hears of an output as loudly as the weight between "
            "the two. Multiply by the kernel.",
        ),
    ),
    case=image_gradient_case,
    describe=describe_image_gradient,
)


# --- counting -------------------------------------------------------------------------------------


def multiplications_case(number: int) -> tuple[int, int, int, int]:
    """Channels in and out, height, width."""
    first = [(1, 1, 2, 2), (1, 1, 3, 3), (1, 1, 1, 1), (2, 1, 2, 4), (1, 3, 4, 5), (2, 3, 5, 3)]
    if number < len(first):
        return first[number]
    drawn = np.random.default_rng(number).integers(1, 65, size=4)
    in_channels, out_channels, height, width = (int(value) for value in drawn)
    return in_channels, out_channels, height, width


MULTIPLICATIONS = Exercise(
    name="multiplications",
    task=(
        "A 3×3 convolution with stride 1 and padding 1 keeps the size of the image. Return the "
        "multiplications `(direct, winograd)` for one image, as two ints: window by window, and "
        "with F(2×2, 3×3), which makes a tile of 2×2 outputs of one channel pair with 16. A tile "
        "that sticks out at the right or at the bottom is computed whole. Transforms are not "
        "counted."
    ),
    stub='''\
def multiplications(
    in_channels: int, out_channels: int, height: int, width: int
) -> tuple[int, int]:
    """Multiplications of a 3x3 convolution (stride 1, padding 1): (direct, Winograd's)."""
    ...''',
    hints=(
        "Direct: how many outputs are there in all, and how many products make one of them?",
        "An output channel looks at all input channels. For Winograd count tiles: how many of "
        "width 2 are needed to cover a width of 5?",
        "Tiles: -(-height // 2) * -(-width // 2), which rounds both up. A tile costs 16 for each "
        "pair of an input and an output channel.",
    ),
    solution_code='''\
def multiplications(in_channels, out_channels, height, width):
    """Multiplications of a 3x3 convolution (stride 1, padding 1): (direct, Winograd's)."""
    pairs = in_channels * out_channels
    tiles = math.ceil(height / 2) * math.ceil(width / 2)
    return 9 * pairs * height * width, 16 * pairs * tiles''',
    wrong=(
        WrongAnswer(
            """\
def multiplications(in_channels, out_channels, height, width):
    pairs = in_channels * out_channels
    return 9 * pairs * height * width, 16 * pairs * (height // 2) * (width // 2)""",
            "You rounded the tiles down: the last row or column of an odd size is never computed. "
            "A tile that sticks out counts whole.",
        ),
        WrongAnswer(
            """\
def multiplications(in_channels, out_channels, height, width):
    pairs = in_channels * out_channels
    return 9 * pairs * height * width, 16 * pairs * math.ceil(height * width / 4)""",
            "You rounded the area. Tiles do not bend around the border: round rows and columns up, "
            "each by itself.",
        ),
        WrongAnswer(
            """\
def multiplications(in_channels, out_channels, height, width):
    direct = 9 * in_channels * out_channels * height * width
    return direct, direct * 16 // 36""",
            "16 for 36 holds for whole tiles only. On odd sizes tiles stick out and cost as much: "
            "count tiles.",
        ),
        WrongAnswer(
            """\
def multiplications(in_channels, out_channels, height, width):
    pairs = in_channels * out_channels
    return 9 * pairs * height * width, 16 * pairs * height * width""",
            "16 multiplications make a whole tile of 2x2 outputs, not one output. Count tiles.",
        ),
        WrongAnswer(
            """\
def multiplications(in_channels, out_channels, height, width):
    tiles = math.ceil(height / 2) * math.ceil(width / 2)
    return 9 * out_channels * height * width, 16 * out_channels * tiles""",
            "Each output channel looks at every input channel: multiply by in_channels too.",
        ),
        WrongAnswer(
            """\
def multiplications(in_channels, out_channels, height, width):
    channels = in_channels + out_channels
    tiles = math.ceil(height / 2) * math.ceil(width / 2)
    return 9 * channels * height * width, 16 * channels * tiles""",
            "You added the channels. There is a 3x3 kernel for every pair of an input and an "
            "output channel: multiply.",
        ),
        WrongAnswer(
            """\
def multiplications(in_channels, out_channels, height, width):
    pairs = in_channels * out_channels
    tiles = math.ceil((height - 2) / 2) * math.ceil((width - 2) / 2)
    return 9 * pairs * (height - 2) * (width - 2), 16 * pairs * tiles""",
            "You counted without padding. With padding 1 the output is as large as the image.",
        ),
        WrongAnswer(
            """\
def multiplications(in_channels, out_channels, height, width):
    pairs = in_channels * out_channels
    tiles = math.ceil(height / 2) * math.ceil(width / 2)
    return 18 * pairs * height * width, 32 * pairs * tiles""",
            "You counted FLOPs: multiplications and additions. Here, multiplications alone.",
        ),
    ),
    case=multiplications_case,
    describe=lambda in_channels, out_channels, height, width: (
        f"in_channels={in_channels}, out_channels={out_channels}, size {height} x {width}"
    ),
)


# --- Winograd in one dimension --------------------------------------------------------------------


class Counted:
    """A number that notes every multiplication (or division) by another of its kind."""

    def __init__(self, value: float, notes: list[str]) -> None:
        self.value, self.notes = value, notes

    def __repr__(self) -> str:
        return f"{self.value:g}"

    def made(self, value: float) -> "Counted":
        """A number that notes in the same place."""
        return Counted(value, self.notes)

    def __add__(self, other: "Counted | float") -> "Counted":
        return self.made(self.value + plain(other))

    def __sub__(self, other: "Counted | float") -> "Counted":
        return self.made(self.value - plain(other))

    def __rsub__(self, other: float) -> "Counted":
        return self.made(other - self.value)

    def __neg__(self) -> "Counted":
        return self.made(-self.value)

    def __mul__(self, other: "Counted | float") -> "Counted":
        if isinstance(other, Counted):
            self.notes.append("×")
        return self.made(self.value * plain(other))

    def __truediv__(self, other: "Counted | float") -> "Counted":
        if isinstance(other, Counted):
            self.notes.append("/")
        return self.made(self.value / plain(other))

    __radd__, __rmul__ = __add__, __mul__


def plain(number: Counted | float) -> float:
    """The number alone."""
    return number.value if isinstance(number, Counted) else number


def winograd_case(number: int) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Four pixels and two weights."""
    if number == 0:
        return (1.0, 2.0, 3.0, 4.0), (1.0, 1.0)
    if number == 1:
        return (1.0, 2.0, 3.0, 5.0), (1.0, -1.0)
    drawn = np.random.default_rng(number).integers(-5, 6, size=6).astype(float).tolist()
    return tuple(drawn[:4]), tuple(drawn[4:])


def outputs_and_count(function: Callable, arguments: tuple) -> object:
    """What comes back, as plain floats, and the multiplications that it took."""
    notes: list[str] = []
    pixels, weights = ([Counted(value, notes) for value in given] for given in arguments)
    returned = function(pixels, weights)
    if isinstance(returned, np.ndarray):
        returned = returned.tolist()
    if not isinstance(returned, tuple | list):
        return returned
    outputs = tuple(float(plain(output)) for output in returned)
    return outputs, f"with {len(notes)} multiplications"


def describe_winograd(pixels: Sequence[float], weights: Sequence[float]) -> str:
    """Pixels and weights."""
    d, g = (", ".join(f"{value:g}" for value in row) for row in (pixels, weights))
    return f"d = ({d}), g = ({g})"


WINOGRAD_1D = Exercise(
    name="winograd_1d",
    task=(
        "F(3, 2): the lesson's F(2, 3) with the roles exchanged. From the pixels "
        "`d = [d0, d1, d2, d3]` and a kernel of two weights `g = [g0, g1]` return the three "
        "outputs `(y0, y1, y2)`, where `y0 = d0*g0 + d1*g1`, `y1 = d1*g0 + d2*g1` and "
        "`y2 = d2*g0 + d3*g1`. By definition that takes six multiplications; use four. What you "
        "are given are numbers that count: adding, subtracting and halving (`/ 2`) are free, a "
        "product of one with another is not."
    ),
    stub='''\
def winograd_1d(d: list, g: list) -> tuple:
    """Three neighbouring outputs (y0, y1, y2) of the kernel g on the pixels d: four products."""
    ...''',
    hints=(
        "The pixels are added up as in F(2, 3): d0 - d2, d1 + d2, d2 - d1 and d1 - d3. What does "
        "each meet, now that there are two weights?",
        "m1 = (d0 - d2) * g0, m4 = (d1 - d3) * g1; in the middle stand the sum and the difference "
        "of the weights, each halved.",
        "m2 = (d1 + d2) * (g0 + g1) / 2 and m3 = (d2 - d1) * (g0 - g1) / 2. Then y0 = m1 + m2 + m3 "
        "and y1 = m2 - m3; y2 takes m2, m3 and m4.",
    ),
    solution_code='''\
def winograd_1d(d, g):
    """Three neighbouring outputs (y0, y1, y2) of the kernel g on the pixels d: four products."""
    m1 = (d[0] - d[2]) * g[0]
    m2 = (d[1] + d[2]) * ((g[0] + g[1]) / 2)
    m3 = (d[2] - d[1]) * ((g[0] - g[1]) / 2)
    m4 = (d[1] - d[3]) * g[1]
    return m1 + m2 + m3, m2 - m3, m2 + m3 - m4''',
    wrong=(
        WrongAnswer(
            """\
def winograd_1d(d, g):
    return d[0] * g[0] + d[1] * g[1], d[1] * g[0] + d[2] * g[1], d[2] * g[0] + d[3] * g[1]""",
            "The outputs are right, and it took six multiplications: that is the definition. Four"
            " are enough if you add pixels before you multiply.",
        ),
        WrongAnswer(
            """\
def winograd_1d(d, g):
    m1 = (d[0] - d[2]) * g[0]
    m2 = (d[1] + d[2]) * ((g[0] + g[1]))
    m3 = (d[2] - d[1]) * ((g[0] - g[1]))
    m4 = (d[1] - d[3]) * g[1]
    return m1 + m2 + m3, m2 - m3, m2 + m3 - m4""",
            "The two middle products come out twice too large: the sum and the difference of the "
            "weights are halved.",
        ),
        WrongAnswer(
            """\
def winograd_1d(d, g):
    m1 = (d[0] - d[2]) * g[0]
    m2 = (d[1] + d[2]) * ((g[0] + g[1]) / 2)
    m3 = (d[2] - d[1]) * ((g[0] - g[1]) / 2)
    m4 = (d[1] - d[3]) * g[1]
    return m1 + m2 + m3, m2 - m3, m2 + m3 + m4""",
            "y0 and y1 are right; in y2 the last product has the wrong sign. It holds d3 * g1 "
            "with a minus, so it is subtracted.",
        ),
        WrongAnswer(
            """\
def winograd_1d(d, g):
    m1 = (d[0] - d[2]) * g[0]
    m2 = (d[1] + d[2]) * ((g[0] + g[1]) / 2)
    m3 = (d[1] - d[2]) * ((g[0] - g[1]) / 2)
    m4 = (d[1] - d[3]) * g[1]
    return m1 + m2 + m3, m2 - m3, m2 + m3 - m4""",
            "The third product has the wrong sign: it needs d2 - d1. Multiply y1 out: d1 * g0 "
            "must stay and d2 * g0 must cancel.",
        ),
        WrongAnswer(
            """\
def winograd_1d(d, g):
    m1 = (d[0] - d[2]) * g[1]
    m2 = (d[1] + d[2]) * ((g[1] + g[0]) / 2)
    m3 = (d[2] - d[1]) * ((g[1] - g[0]) / 2)
    m4 = (d[1] - d[3]) * g[0]
    return m1 + m2 + m3, m2 - m3, m2 + m3 - m4""",
            "Your kernel is flipped: g0 meets d1. Deep learning's layers cross-correlate, so g0 "
            "meets the first pixel of each window.",
        ),
        WrongAnswer(
            """\
def winograd_1d(d, g):
    m1 = (d[0] - d[2]) * g[0]
    m2 = (d[1] + d[2]) * ((g[0] + g[1]) / 2)
    m3 = (d[2] - d[1]) * ((g[0] - g[1]) / 2)
    m4 = (d[1] - d[3]) * g[1]
    return m1, m2, m3, m4""",
            "Those are the four products. Each output is a sum of two or three of them.",
        ),
        WrongAnswer(
            """\
def winograd_1d(d, g):
    m1 = (d[0] - d[2]) * g[0]
    m2 = (d[1] + d[2]) * ((g[0] + g[1]) / 2)
    m3 = (d[2] - d[1]) * ((g[0] - g[1]) / 2)
    m4 = (d[1] - d[3]) * g[1]
    return m1 + m2 + m3, m2 - m3 - m4""",
            "Those are F(2, 3)'s two sums. Here are three outputs, and m4 belongs to the third: "
            "the only one that sees d3.",
        ),
        WrongAnswer(
            """\
def winograd_1d(d, g):
    m1 = (d[0] - d[2]) * g[0]
    m2 = (d[1] + d[2]) * ((g[0] + g[1] + g[2]) / 2)
    m3 = (d[2] - d[1]) * ((g[0] - g[1] + g[2]) / 2)
    m4 = (d[1] - d[3]) * g[2]
    return m1 + m2 + m3, m2 - m3 - m4""",
            "That is the lesson's F(2, 3), and asks for a weight g2. This kernel has two weights "
            "and three outputs.",
        ),
        WrongAnswer(
            """\
def winograd_1d(d, g):
    m1 = (d[0] - d[2]) * g[0]
    m2 = (d[1] + d[2]) * ((g[0] + g[1]) / 2)
    m3 = (d[2] - d[1]) * ((g[0] - g[1]) / 2)
    m4 = (d[1] - d[3]) * g[1]
    return m2 + m3 - m4, m2 - m3, m1 + m2 + m3""",
            "The outputs come in the wrong order: m1 holds d0, which only the first output sees.",
        ),
    ),
    case=winograd_case,
    describe=describe_winograd,
    outcome=outputs_and_count,
)

EXERCISES = (COL2IM, KERNEL_GRADIENT, IMAGE_GRADIENT, MULTIPLICATIONS, WINOGRAD_1D)
