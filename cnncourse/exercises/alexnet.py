"""Exercises of the lesson on AlexNet: sizes, normalisation, ten patches, light, differences."""

from collections.abc import Callable, Iterable

import numpy as np

from cnncourse.exercises import Exercise, Question, WrongAnswer

WHERE_THEY_LIVE = Question(
    "Five convolutions, three full connections. Where are most of the parameters, and where most "
    "of the multiplications?",
    (
        "both in the convolutions",
        "both in the full connections",
        "parameters in the full connections, multiplications in the convolutions",
        "parameters in the convolutions, multiplications in the full connections",
    ),
    answer="parameters in the full connections, multiplications in the convolutions",
    why=(
        "A weight of a convolution is used at every place of its output, thousands of times for a "
        "picture. A weight of a full connection is used once. So few parameters can do most of "
        "the work, and most parameters little of it."
    ),
)
TWO_HALVES = Question(
    "A convolution from 96 to 256 channels is split into two groups, one a GPU. What becomes of "
    "its weights and of its multiplications?",
    ("both stay", "weights halve, multiplications stay", "both halve", "both are a quarter"),
    answer="both halve",
    why=(
        "Each of the 256 output channels sees 48 input channels instead of 96, so its kernel is "
        "half as deep. There are as many kernels and as many places as before."
    ),
)
WHOSE_MEAN = Question(
    "The paper's formula has alpha = 0.0001 and a sum over 5 channels. Is "
    "F.local_response_norm(x, 5, alpha=0.0001, beta=0.75, k=2) that formula?",
    ("yes", "no: alpha must be 5 times as large", "no: alpha must be a fifth"),
    answer="no: alpha must be 5 times as large",
    why=(
        "torch takes the mean of the squares, the paper their sum. With the same alpha torch's "
        "normalisation is five times weaker, and nothing tells you: shapes, types and speed are "
        "the same."
    ),
)
WHERE_FASTER = Question(
    "ReLU against tanh, each at its own best learning rate. The pictures are centred, and come "
    "either as pixel values (0 to 255 before, as the paper fed them) or divided by their standard "
    "deviation, as is usual today. Where is ReLU several times faster?",
    ("with both", "with pixel values alone", "with divided values alone", "with neither"),
    answer="with pixel values alone",
    why=(
        "Pixel values drive tanh far out in the first layer, where its slope is nearly zero, and "
        "little of the gradient gets through. Divided by their standard deviation they stay where "
        "tanh is steep, and it learns about as fast as ReLU. ReLU is never flat above zero: twice "
        "the input is twice the output, with the same slope."
    ),
)


def small(array: np.ndarray) -> str:
    """A small array with its numbers, another by its size."""
    if array.size <= 6:
        return str(np.round(array, 2).tolist())
    return "x".join(map(str, array.shape))


# --- a size that windows fill ---------------------------------------------------------------------

WINDOWS = ((11, 4), (3, 2), (2, 2), (5, 1), (7, 2), (3, 3), (11, 5))  # (kernel_size, stride)


def size_case(number: int) -> tuple[int, int, int]:
    """The paper's 224 px first, then small pictures and all remainders."""
    if number == 0:
        return 224, 11, 4
    kernel_size, stride = WINDOWS[number % len(WINDOWS)]
    return kernel_size + number // 2, kernel_size, stride


FULL_SIZE = Exercise(
    name="full_size",
    task=(
        "Windows of `kernel_size` pixels in steps of `stride` do not always fill a picture: at its "
        "end some pixels are left out. Return the smallest size, `size_px` or larger, at which the "
        "last window ends on the last pixel. There is no padding, and `size_px` is at least "
        "`kernel_size`."
    ),
    stub='''\
def full_size(size_px: int, kernel_size: int, stride: int) -> int:
    """Smallest size from size_px on that windows fill, in pixels."""
    ...''',
    hints=(
        "The first window takes kernel_size pixels, each further one stride more. Which sizes can "
        "be filled at all?",
        "They are kernel_size + a multiple of stride. Try one pixel more until that holds, or "
        "compute what is missing.",
        "Missing is (kernel_size - size_px) % stride: Python's % is never negative for a positive "
        "stride.",
    ),
    solution_code='''\
def full_size(size_px, kernel_size, stride):
    """Smallest size from size_px on that windows fill, in pixels."""
    return size_px + (kernel_size - size_px) % stride''',
    wrong=(
        WrongAnswer(
            """\
def full_size(size_px, kernel_size, stride):
    return size_px - (size_px - kernel_size) % stride""",
            "This cuts the pixels off that are left over. Asked for is the next larger size, at "
            "which none of the picture is lost.",
        ),
        WrongAnswer(
            """\
def full_size(size_px, kernel_size, stride):
    return size_px + (size_px - kernel_size) % stride""",
            "You add the pixels that are left over. What is missing is the rest of that window's "
            "step: stride minus them.",
        ),
        WrongAnswer(
            """\
def full_size(size_px, kernel_size, stride):
    return size_px + stride - (size_px - kernel_size) % stride""",
            "Where windows fill the picture already, a whole step is added. Nothing is missing "
            "there: the answer is size_px itself.",
        ),
        WrongAnswer(
            """\
def full_size(size_px, kernel_size, stride):
    return size_px + -size_px % stride""",
            "This is the next multiple of the stride. The first window has kernel_size pixels, and "
            "the steps are counted from its end.",
        ),
        WrongAnswer(
            """\
def full_size(size_px, kernel_size, stride):
    return -(-(size_px - kernel_size) // stride) + 1""",
            "This is the number of windows. Asked for is the size of the picture that they fill.",
        ),
        WrongAnswer(
            """\
def full_size(size_px, kernel_size, stride):
    return size_px + (kernel_size - size_px) % kernel_size""",
            "Windows in steps of their own size do not overlap. Here the steps are stride pixels "
            "long, whatever the kernel's size.",
        ),
    ),
    case=size_case,
    describe=lambda size_px, kernel_size, stride: (
        f"size_px={size_px}, kernel_size={kernel_size}, stride={stride}"
    ),
)


# --- local response normalisation -----------------------------------------------------------------

# (k, n, alpha, beta)
CONSTANTS = ((1, 3, 1.0, 1.0), (2, 5, 0.1, 0.75), (1, 1, 0.5, 0.5), (2, 5, 1e-4, 0.75))


def maps_case(number: int) -> tuple[np.ndarray, float, int, float, float]:
    """Maps (C, H, W) of whole numbers and the constants; the paper's with large numbers."""
    k, n, alpha, beta = CONSTANTS[number % len(CONSTANTS)]
    rng = np.random.default_rng(number)
    shape = (1 + number % 8 + number // 8, 1 + number // 3 % 3, 1 + number // 5 % 4)
    largest = 200 if alpha < 0.01 else 9
    return rng.integers(0, largest, shape).astype(float), k, n, alpha, beta


RESPONSE_NORM = Exercise(
    name="response_norm",
    task=(
        "Write the response normalisation of the paper: every value is divided by `(k + alpha * s) "
        "** beta`, where `s` is the sum of the squares at the same place in `n` neighbouring "
        "channels, the value's own in the middle (`n` is odd). Channels that do not exist count "
        "nothing. `maps` is `(C, H, W)`, and so is the result."
    ),
    stub='''\
def response_norm(maps: np.ndarray, k: float, n: int, alpha: float, beta: float) -> np.ndarray:
    """Local response normalisation across channels: (C, H, W) -> (C, H, W)."""
    ...''',
    hints=(
        "Make an array for the result, and fill it channel by channel.",
        "Channel i has its neighbours from i - n // 2 to i + n // 2. A slice that begins below 0 "
        "counts from the end in Python: begin it at max(0, ...).",
        "neighbours = maps[max(0, i - n // 2) : i + n // 2 + 1], then (neighbours**2).sum(axis=0).",
    ),
    solution_code='''\
def response_norm(maps, k, n, alpha, beta):
    """Local response normalisation across channels: (C, H, W) -> (C, H, W)."""
    normalised = np.empty(maps.shape)
    for i in range(len(maps)):
        neighbours = maps[max(0, i - n // 2) : i + n // 2 + 1]
        normalised[i] = maps[i] / (k + alpha * (neighbours**2).sum(axis=0)) ** beta
    return normalised''',
    wrong=(
        WrongAnswer(
            """\
def response_norm(maps, k, n, alpha, beta):
    normalised = np.empty(maps.shape)
    for i in range(len(maps)):
        neighbours = maps[max(0, i - n // 2) : i + n // 2 + 1]
        normalised[i] = maps[i] / (k + alpha / n * (neighbours**2).sum(axis=0)) ** beta
    return normalised""",
            "This is torch's formula, with alpha divided by n. The paper's has no such division: a "
            "sum, not a mean.",
        ),
        WrongAnswer(
            """\
def response_norm(maps, k, n, alpha, beta):
    normalised = np.empty(maps.shape)
    for i in range(len(maps)):
        neighbours = maps[max(0, i - n // 2) : i + n // 2 + 1]
        normalised[i] = maps[i] / (k + alpha * (neighbours**2).mean(axis=0)) ** beta
    return normalised""",
            "A mean over the neighbours that exist. The paper adds them up, so that channels at "
            "the ends of the list are normalised less.",
        ),
        WrongAnswer(
            """\
def response_norm(maps, k, n, alpha, beta):
    normalised = np.empty(maps.shape)
    for i in range(len(maps)):
        neighbours = maps[max(0, i - n + 1) : i + 1]
        normalised[i] = maps[i] / (k + alpha * (neighbours**2).sum(axis=0)) ** beta
    return normalised""",
            "Your window ends at the channel itself. It stands in the middle: n // 2 neighbours "
            "before it and as many after.",
        ),
        WrongAnswer(
            """\
def response_norm(maps, k, n, alpha, beta):
    normalised = np.empty(maps.shape)
    for i in range(len(maps)):
        neighbours = maps[max(0, i - n // 2) : i + n // 2]
        normalised[i] = maps[i] / (k + alpha * (neighbours**2).sum(axis=0)) ** beta
    return normalised""",
            "The last neighbour is missing: the end of a slice is not part of it. Add 1.",
        ),
        WrongAnswer(
            """\
def response_norm(maps, k, n, alpha, beta):
    normalised = np.empty(maps.shape)
    for i in range(len(maps)):
        neighbours = maps[max(0, i - n) : i + n + 1]
        normalised[i] = maps[i] / (k + alpha * (neighbours**2).sum(axis=0)) ** beta
    return normalised""",
            "n neighbours on each side. n counts all channels of the window, so n // 2 a side.",
        ),
        WrongAnswer(
            """\
def response_norm(maps, k, n, alpha, beta):
    total = sum(np.roll(maps, step, axis=0) ** 2 for step in range(-(n // 2), n // 2 + 1))
    return maps / (k + alpha * total) ** beta""",
            "np.roll makes the last channel a neighbour of the first. Beyond both ends there is "
            "nothing.",
        ),
        WrongAnswer(
            """\
def response_norm(maps, k, n, alpha, beta):
    normalised = np.empty(maps.shape)
    for i in range(len(maps)):
        neighbours = maps[max(0, i - n // 2) : i + n // 2 + 1]
        normalised[i] = maps[i] / (k + alpha * neighbours.sum(axis=0)) ** beta
    return normalised""",
            "The squares are missing: the formula adds up squares of the neighbours.",
        ),
        WrongAnswer(
            """\
def response_norm(maps, k, n, alpha, beta):
    return maps / (k + alpha * (maps**2).sum(axis=0)) ** beta""",
            "All channels are added up. Only n neighbours of each count: that is what is local "
            "about it.",
        ),
        WrongAnswer(
            """\
def response_norm(maps, k, n, alpha, beta):
    normalised = np.empty(maps.shape)
    for i in range(len(maps)):
        neighbours = maps[max(0, i - n // 2) : i + n // 2 + 1]
        normalised[i] = maps[i] / (k + alpha * (neighbours**2).sum(axis=0) ** beta)
    return normalised""",
            "beta is the exponent of the sum alone. It belongs to the whole bracket, k included.",
        ),
    ),
    case=maps_case,
    describe=lambda maps, k, n, alpha, beta: (
        f"maps {small(maps)}, k={k}, n={n}, alpha={alpha}, beta={beta}"
    ),
    cases=40,
)


# --- ten patches ----------------------------------------------------------------------------------


def looker(shape: tuple[int, int, int], classes: int, seed: int) -> Callable:
    """A network of one full connection: patches (N, C, h, w) -> logits (N, classes)."""
    weights = np.random.default_rng(seed).normal(size=(int(np.prod(shape)), classes))

    def network(patches: np.ndarray) -> np.ndarray:
        return np.asarray(patches).reshape(len(patches), -1) @ weights

    return network


def patches_case(number: int) -> tuple[np.ndarray, int, Callable]:
    """Image with even margins around its middle, side of a patch, network."""
    size_px = 1 + number % 4
    height, width = size_px + 2 + 2 * (number % 3), size_px + 2 + 2 * (number // 2 % 4)
    channels = 1 if number < 3 else 3
    image = np.random.default_rng(number).normal(size=(channels, height, width)) * 0.7
    return image, size_px, looker((channels, size_px, size_px), 2 + number % 3, number + 100)


TEN_PATCHES = Exercise(
    name="ten_patches",
    task=(
        "At test time the paper's network looks at ten patches of a picture: the four corners, the "
        "middle, and the mirror image (left to right) of each. Its answer is the mean of the ten "
        "probabilities. `image` is `(C, H, W)`, a patch is `size_px` pixels high and wide, "
        "`network` takes patches `(N, C, size_px, size_px)` and gives logits `(N, classes)`. "
        "Return the mean probabilities, `(classes,)`. The margins around the middle are whole "
        "pixels."
    ),
    stub='''\
def ten_patches(image: np.ndarray, size_px: int, network) -> np.ndarray:
    """Mean probabilities (classes,) over ten patches of an image (C, H, W)."""
    ...''',
    hints=(
        "The last row at which a patch can begin is H - size_px. The middle one begins at half of "
        "that.",
        "Cut five patches, then patch[:, :, ::-1] of each; np.stack makes a batch of the ten. "
        "Probabilities are the softmax of the logits: exp(logit) over the sum of all.",
        "p = np.exp(logits); p /= p.sum(axis=1, keepdims=True); then the mean over axis 0.",
    ),
    solution_code='''\
def ten_patches(image, size_px, network):
    """Mean probabilities (classes,) over ten patches of an image (C, H, W)."""
    bottom, right = image.shape[1] - size_px, image.shape[2] - size_px
    corners = [(0, 0), (0, right), (bottom, 0), (bottom, right), (bottom // 2, right // 2)]
    patches = [image[:, y : y + size_px, x : x + size_px] for y, x in corners]
    patches += [patch[:, :, ::-1] for patch in patches]
    logits = network(np.stack(patches))
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))  # no overflow for large logits
    return (powers / powers.sum(axis=1, keepdims=True)).mean(axis=0)''',
    wrong=(
        WrongAnswer(
            """\
def ten_patches(image, size_px, network):
    bottom, right = image.shape[1] - size_px, image.shape[2] - size_px
    corners = [(0, 0), (0, right), (bottom, 0), (bottom, right), (bottom // 2, right // 2)]
    patches = [image[:, y : y + size_px, x : x + size_px] for y, x in corners]
    patches += [patch[:, :, ::-1] for patch in patches]
    powers = np.exp(network(np.stack(patches)).mean(axis=0))
    return powers / powers.sum()""",
            "You average the logits and take the softmax once. The paper averages what the softmax "
            "gives: ten probabilities.",
        ),
        WrongAnswer(
            """\
def ten_patches(image, size_px, network):
    bottom, right = image.shape[1] - size_px, image.shape[2] - size_px
    corners = [(0, 0), (0, right), (bottom, 0), (bottom, right), (bottom // 2, right // 2)]
    patches = [image[:, y : y + size_px, x : x + size_px] for y, x in corners]
    powers = np.exp(network(np.stack(patches)))
    return (powers / powers.sum(axis=1, keepdims=True)).mean(axis=0)""",
            "Five patches: their mirror images are missing.",
        ),
        WrongAnswer(
            """\
def ten_patches(image, size_px, network):
    bottom, right = image.shape[1] - size_px, image.shape[2] - size_px
    corners = [(0, 0), (0, right), (bottom, 0), (bottom, right), (bottom // 2, right // 2)]
    patches = [image[:, y : y + size_px, x : x + size_px] for y, x in corners]
    patches += [patch[:, ::-1] for patch in patches]
    powers = np.exp(network(np.stack(patches)))
    return (powers / powers.sum(axis=1, keepdims=True)).mean(axis=0)""",
            "Your mirror images stand on their heads: axis 1 are the rows. Left and right are axis "
            "2.",
        ),
        WrongAnswer(
            """\
def ten_patches(image, size_px, network):
    bottom, right = image.shape[1] - size_px, image.shape[2] - size_px
    corners = [(0, 0), (0, right), (bottom, 0), (bottom, right)]
    patches = [image[:, y : y + size_px, x : x + size_px] for y, x in corners]
    patches += [patch[:, :, ::-1] for patch in patches]
    powers = np.exp(network(np.stack(patches)))
    return (powers / powers.sum(axis=1, keepdims=True)).mean(axis=0)""",
            "Eight patches: the middle and its mirror image are missing.",
        ),
        WrongAnswer(
            """\
def ten_patches(image, size_px, network):
    bottom, right = image.shape[1] - size_px, image.shape[2] - size_px
    corners = [(0, 0), (0, right), (bottom, 0), (bottom, right), (bottom // 2, right // 2)]
    patches = [image[:, y : y + size_px, x : x + size_px] for y, x in corners]
    patches += [patch[:, :, ::-1] for patch in patches]
    powers = np.exp(network(np.stack(patches)))
    return (powers / powers.sum(axis=1, keepdims=True)).sum(axis=0)""",
            "The sum of ten probabilities is up to 10. Take their mean, and the classes add up to "
            "1.",
        ),
        WrongAnswer(
            """\
def ten_patches(image, size_px, network):
    bottom, right = image.shape[1] - size_px, image.shape[2] - size_px
    corners = [(0, 0), (0, right), (bottom, 0), (bottom, right), (bottom // 2, right // 2)]
    patches = [image[:, y : y + size_px, x : x + size_px] for y, x in corners]
    patches += [patch[:, :, ::-1] for patch in patches]
    powers = np.exp(network(np.stack(patches)))
    return (powers / powers.sum(axis=0, keepdims=True)).mean(axis=0)""",
            "Your softmax runs over the ten patches (axis 0), so every class gets a tenth. It runs "
            "over the classes of one patch, axis 1.",
        ),
        WrongAnswer(
            """\
def ten_patches(image, size_px, network):
    bottom, right = image.shape[1] - size_px, image.shape[2] - size_px
    corners = [(0, 0), (0, right), (bottom, 0), (bottom, right), (bottom // 2, right // 2)]
    patches = [image[:, y : y + size_px, x : x + size_px] for y, x in corners]
    patches += [patch[:, :, ::-1] for patch in patches]
    return network(np.stack(patches)).mean(axis=0)""",
            "These are mean logits. The softmax that makes probabilities of each patch's logits is "
            "missing.",
        ),
        WrongAnswer(
            """\
def ten_patches(image, size_px, network):
    y, x = (image.shape[1] - size_px) // 2, (image.shape[2] - size_px) // 2
    powers = np.exp(network(image[None, :, y : y + size_px, x : x + size_px]))
    return (powers / powers.sum(axis=1, keepdims=True))[0]""",
            "Only the middle. Nine more patches have a say.",
        ),
    ),
    case=patches_case,
    describe=lambda image, size_px, network: f"image {small(image)}, size_px={size_px}",
)


# --- another light --------------------------------------------------------------------------------


def light_case(number: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Picture, eigenvalues and eigenvectors (columns) of its colours, three draws."""
    rng = np.random.default_rng(number)
    picture = rng.random((1 + number % 3, 1 + number // 3 % 4, 3))
    colors = rng.random((20, 3)) @ rng.normal(size=(3, 3))
    values, vectors = np.linalg.eigh(np.cov(colors.T))
    return picture, values, vectors, np.round(rng.normal(size=3), 1)


OTHER_LIGHT = Exercise(
    name="other_light",
    task=(
        "Change the light as the paper does. The covariance of red, green and blue over all pixels "
        "has three eigenvalues and three eigenvectors (the *columns* of `eigenvectors`, as "
        "`np.linalg.eigh` gives them). Add to every pixel the sum of the three eigenvectors, each "
        "times its eigenvalue times its draw from `draws`. `picture` is `(H, W, 3)`; do not clip "
        "the result."
    ),
    stub='''\
def other_light(
    picture: np.ndarray, eigenvalues: np.ndarray, eigenvectors: np.ndarray, draws: np.ndarray
) -> np.ndarray:
    """Picture (H, W, 3) with one colour added to all pixels; draws (3,), one a component."""
    ...''',
    hints=(
        "One colour is added to the whole picture: three numbers, for red, green and blue.",
        "The factor of eigenvector i, which is eigenvectors[:, i], is draws[i] * eigenvalues[i].",
        "eigenvectors @ (draws * eigenvalues) is that sum. NumPy adds three numbers to (H, W, 3) "
        "along the last axis.",
    ),
    solution_code='''\
def other_light(picture, eigenvalues, eigenvectors, draws):
    """Picture (H, W, 3) with one colour added to all pixels; draws (3,), one a component."""
    return picture + eigenvectors @ (draws * eigenvalues)''',
    wrong=(
        WrongAnswer(
            """\
def other_light(picture, eigenvalues, eigenvectors, draws):
    return picture + eigenvectors.T @ (draws * eigenvalues)""",
            "You take the rows of the matrix for eigenvectors. eigh gives them as columns.",
        ),
        WrongAnswer(
            """\
def other_light(picture, eigenvalues, eigenvectors, draws):
    return picture + eigenvectors @ draws""",
            "The eigenvalues are missing: colours would change as much in rare directions as in "
            "common ones.",
        ),
        WrongAnswer(
            """\
def other_light(picture, eigenvalues, eigenvectors, draws):
    return picture + eigenvectors @ (draws * np.sqrt(eigenvalues))""",
            "The root of an eigenvalue is a standard deviation, and there is a case for it, but "
            "the paper's formula has the eigenvalue itself.",
        ),
        WrongAnswer(
            """\
def other_light(picture, eigenvalues, eigenvectors, draws):
    return picture + draws * eigenvalues""",
            "The three factors are added to red, green and blue as they are. They belong to the "
            "eigenvectors, which mix the three.",
        ),
        WrongAnswer(
            """\
def other_light(picture, eigenvalues, eigenvectors, draws):
    return picture * (1 + eigenvectors @ (draws * eigenvalues))""",
            "A light that multiplies is good physics. The paper adds, the same colour to dark and "
            "bright pixels.",
        ),
        WrongAnswer(
            """\
def other_light(picture, eigenvalues, eigenvectors, draws):
    return np.clip(picture + eigenvectors @ (draws * eigenvalues), 0, 1)""",
            "The sum is right; then it is clipped, and pixels near black or white lose their "
            "difference. Leave the values as they are.",
        ),
        WrongAnswer(
            """\
def other_light(picture, eigenvalues, eigenvectors, draws):
    return picture - eigenvectors @ (draws * eigenvalues)""",
            "A minus where a plus belongs.",
        ),
    ),
    case=light_case,
    describe=lambda picture, eigenvalues, eigenvectors, draws: (
        f"picture {small(picture)}, draws={draws.tolist()}"
    ),
)


# --- torchvision's differences --------------------------------------------------------------------

# What could differ between the paper's network and torchvision's, and whether it does.
ASPECTS = {
    "widths": True,  # output channels of the convolutions
    "groups": True,
    "normalisation": True,
    "padding": True,  # of the first convolution
    "averaging": True,  # to 6x6 positions before the full connections
    "dropout": True,  # where it stands
    "start": True,  # how weights and biases are drawn at first
    "relu": False,
    "pooling": False,  # windows of 3 in steps of 2
    "depth": False,  # number of layers with weights
    "hidden": False,  # units of the first two full connections
}


def verdict(function: Callable, arguments: tuple) -> object:
    """How many differences were found, and how many of those named are none."""
    named = function(*arguments)
    if named is None:
        return named
    if isinstance(named, str) or not isinstance(named, Iterable):
        raise TypeError('return a set of names, such as {"widths", "relu"}')
    names = {str(name) for name in named}
    if unknown := names - ASPECTS.keys():
        raise ValueError(f"{sorted(unknown)}: unknown. Known: {', '.join(ASPECTS)}")
    found = sum(ASPECTS[name] for name in names)
    return f"{found} of {sum(ASPECTS.values())} differences, and {len(names) - found} that are none"


DIFFERENCES = Exercise(
    name="differences",
    task=(
        "In what does torchvision's AlexNet differ from the paper's? Print both networks and "
        "compare. Return a set of names from these: `widths` (output channels of the "
        "convolutions), `groups`, `normalisation`, `padding` (of the first convolution), "
        "`averaging` (to a fixed size before the full connections), `dropout` (where it stands), "
        "`start` (how first weights and biases are drawn), `relu`, `pooling`, `depth` (number of "
        "layers with weights), `hidden` (units of the first two full connections)."
    ),
    stub='''\
def differences() -> set[str]:
    """Names of what differs between the paper's AlexNet and torchvision's."""
    ...''',
    hints=(
        "print(alexnet().features) beside print(alexnet_2012().features), then .classifier.",
        "Look at the order of Linear, ReLU and Dropout, and at what stands between features and "
        "classifier in print(alexnet()). Four of the eleven names are the same in both.",
        "First biases: alexnet_2012().features[4].bias.unique() against alexnet().features[3].bias."
        " The same in both are relu, pooling, depth and hidden.",
    ),
    solution_code='''\
def differences():
    """Names of what differs between the paper's AlexNet and torchvision's."""
    return {"widths", "groups", "normalisation", "padding", "averaging", "dropout", "start"}''',
    wrong=(
        WrongAnswer(
            "def differences():\n    return set()",
            "They are not the same: already the numbers of parameters differ. Print both.",
        ),
        WrongAnswer(
            'def differences():\n    return {"widths"}',
            "One found. The first convolution alone differs in more than one way.",
        ),
        WrongAnswer(
            'def differences():\n    return {"widths", "groups", "normalisation"}',
            "Three found, as most lists have it. Now compare the first layer's arguments, and all "
            "that comes after the last pool.",
        ),
        WrongAnswer(
            'def differences():\n    return {"widths", "groups", "normalisation", "padding"}',
            "Four found. Three are left, and none of them is in a convolution's arguments.",
        ),
        WrongAnswer(
            """\
def differences():
    return {"widths", "groups", "normalisation", "padding", "averaging"}""",
            "Five found. Two are left: one in the order of the classifier's parts, one that no "
            "print shows.",
        ),
        WrongAnswer(
            """\
def differences():
    return {"widths", "groups", "normalisation", "padding", "averaging", "dropout"}""",
            "One is left. What print does not show: the numbers that a new network begins with.",
        ),
        WrongAnswer(
            """\
def differences():
    return {
        *("widths", "groups", "normalisation", "padding", "averaging", "dropout", "start"),
        "pooling",
    }""",
            "All found, and one too many: that one is the same in both.",
        ),
        WrongAnswer(
            """\
def differences():
    return {
        *("widths", "groups", "normalisation", "padding", "averaging", "dropout", "start"),
        *("relu", "pooling", "depth", "hidden"),
    }""",
            "You named everything. Four of these are the same in both networks.",
        ),
    ),
    case=lambda number: (),
    describe=lambda: "the list",
    outcome=verdict,
    cases=1,
)


EXERCISES = (FULL_SIZE, RESPONSE_NORM, TEN_PATCHES, OTHER_LIGHT, DIFFERENCES)
