"""Exercises of lesson 00: a shape error, a device error, a photograph as a batch, a seed."""

import random
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from cnncourse.exercises import Exercise, Question, WrongAnswer

SAME_CAT = Question(
    "Both tensors have the same shape and the same 405,900 numbers. Do they show the same cat?",
    ("yes, the same picture", "no, one is scrambled", "no, one is upside down"),
    answer="no, one is scrambled",
    why=(
        "reshape keeps the numbers in their old order and only cuts that row of numbers at other "
        "places, so red, green and blue of one pixel end up as three neighbours. permute takes "
        "every number along to its new place."
    ),
)
FIRST_TO_COMPLAIN = Question(
    "Which layer is the first that cannot take the 32 x 32 image?",
    ("the first convolution", "the first pool", "the second convolution", "the first linear layer"),
    answer="the first linear layer",
    why=(
        "Convolutions and pools slide a small window, and a larger picture has room for more "
        "steps. A linear layer has a weight for each number that comes in: how many is fixed."
    ),
)
SAME_WEIGHTS = Question(
    "We train four times: with a seed on one thread; the same again; the same seed on two threads; "
    "another seed. Which of the last three ends with exactly the weights of the first?",
    ("all three", "the repetition and the two threads", "the repetition alone", "none"),
    answer="the repetition alone",
    why=(
        "The same seed gives the same draws. But two threads add the numbers up in another order, "
        "and rounding depends on the order, so the last digits may differ. Another seed draws "
        "another network."
    ),
)


def head_case(number: int) -> tuple[nn.Module, tuple[int, int, int]]:
    """Layers without a head, and the shape (C, H, W) of the images for them."""
    channels, height, width = 1 + number % 3, 2 + number, 2 + number * 2
    features = nn.Sequential(
        nn.Conv2d(channels, 2 + number, kernel_size=3, padding=number % 2),
        nn.ReLU(),
        nn.MaxPool2d(2) if number % 4 else nn.Identity(),
    )
    return features, (channels, height + 2, width + 2)


def describe_head(features: nn.Module, image_shape: tuple[int, int, int]) -> str:
    """The image's shape and what the layers make of it."""
    maps = features(torch.zeros(1, *image_shape))
    return f"image_shape={image_shape}, features gives {tuple(maps.shape)}"


def linear_of(function: Callable, arguments: tuple) -> object:
    """The layer that comes back; with an nn.Flatten before it, it is the same layer."""
    head = function(*arguments)
    if isinstance(head, nn.Sequential) and len(head) == 2 and isinstance(head[0], nn.Flatten):
        return head[1]
    return head


HEAD_FOR = Exercise(
    name="head_for",
    task=(
        "Between `features`, which gives maps `(N, C, H, W)`, and ten classes stand an "
        "`nn.Flatten()` and a linear layer. Return the `nn.Linear(?, 10)` that fits, whatever "
        "`features` does to one image of shape `image_shape = (C, H, W)`."
    ),
    stub='''\
def head_for(features: nn.Module, image_shape: tuple[int, int, int]) -> nn.Linear:
    """Linear layer to 10 classes for nn.Sequential(features, nn.Flatten(), ...)."""
    ...''',
    hints=(
        "You need not compute the size. Send one image through features and look at the shape.",
        "torch.zeros(1, *image_shape) is one image. nn.Flatten() keeps the first axis, the batch, "
        "and multiplies all the others.",
        "maps = features(torch.zeros(1, *image_shape)); the number is maps.flatten(1).shape[1].",
    ),
    solution_code="""\
def head_for(features, image_shape):
    maps = features(torch.zeros(1, *image_shape))  # (1, C, H, W)
    return nn.Linear(maps.flatten(1).shape[1], 10)""",
    wrong=(
        WrongAnswer(
            """\
def head_for(features, image_shape):
    maps = features(torch.zeros(1, *image_shape))
    return nn.Linear(maps.shape[1], 10)""",
            "You counted the channels alone. Flatten makes a feature of every pixel of every "
            "channel: multiply by H and W too.",
        ),
        WrongAnswer(
            """\
def head_for(features, image_shape):
    return nn.Linear(64 * 7 * 7, 10)""",
            "3136 = 64x7x7 fits SimpleCNN on 28x28 images and little else: take the number from "
            "what features gives.",
        ),
        WrongAnswer(
            """\
def head_for(features, image_shape):
    maps = features(torch.zeros(2, *image_shape))
    return nn.Linear(maps.numel(), 10)""",
            "Your product has the batch in it, so it grows with the number of images. Leave the "
            "first axis out.",
        ),
        WrongAnswer(
            """\
def head_for(features, image_shape):
    channels, height, width = image_shape
    maps = features(torch.zeros(1, *image_shape))
    return nn.Linear(maps.shape[1] * height * width, 10)""",
            "H and W are the input's, and the layers may have changed them: take H and W from "
            "what features gives.",
        ),
        WrongAnswer(
            """\
def head_for(features, image_shape):
    return nn.Linear(math.prod(image_shape), 10)""",
            "That is the size of the image before features. The linear layer stands behind it: "
            "send an image through first.",
        ),
        WrongAnswer(
            """\
def head_for(features, image_shape):
    maps = features(torch.zeros(1, *image_shape))
    return nn.Linear(10, maps.flatten(1).shape[1])""",
            "The number is right, the order is not: nn.Linear takes in_features first, then "
            "out_features.",
        ),
        WrongAnswer(
            """\
def head_for(features, image_shape):
    maps = features(torch.zeros(1, *image_shape))
    return maps.flatten(1).shape[1]""",
            "That is the right number. Return the layer made with it: nn.Linear(number, 10).",
        ),
        WrongAnswer(
            """\
def head_for(features, image_shape):
    return nn.LazyLinear(10)""",
            "nn.LazyLinear finds the number by itself, when the first batch comes. That works; "
            "here, find it yourself.",
        ),
    ),
    case=head_case,
    describe=describe_head,
    outcome=linear_of,
    cases=12,
)


def answer_case(number: int) -> tuple[nn.Module, Tensor]:
    """A linear model and images for it; the model is on the CPU, or on "meta"."""
    side, device = 2 + number // 2, "meta" if number % 2 else "cpu"
    model = nn.Sequential(nn.Flatten(), nn.Linear(side * side, 3)).to(device)
    images = torch.rand(1 + number, 1, side, side)
    return model, images.to(device) if number % 4 == 3 else images


def describe_answer(model: nn.Module, images: Tensor) -> str:
    """Where both are."""
    place = next(model.parameters()).device
    return f"model on {place}, images {tuple(images.shape)} on {images.device}"


class Moves(TorchFunctionMode):
    """Notices whether somebody asks for a copy of a tensor on a device."""

    def __init__(self, watched: Tensor) -> None:
        super().__init__()
        self.watched, self.asked = watched, False

    def __torch_function__(
        self, func: Callable, types: object, args: tuple = (), kwargs: dict | None = None
    ) -> object:
        if getattr(func, "__name__", "") == "to" and args[0] is self.watched:
            self.asked = True
        return func(*args, **(kwargs or {}))


def answer_or_trace(function: Callable, arguments: tuple) -> object:
    """What the function returns; an error notes whether the images had been moved before it."""
    with Moves(arguments[1]) as moves:
        try:
            return function(*arguments)
        except Exception as error:
            if moves.asked:
                error.add_note("(a moved copy of the images had been made)")
            raise


ANSWER = Exercise(
    name="answer",
    task=(
        "Return the model's answer for `images`, whichever device the model is on. Move the "
        "images, not the model. The device of a model is that of its parameters. (Where there is "
        'no GPU, the check puts the model on `"meta"`.)'
    ),
    stub='''\
def answer(model: nn.Module, images: Tensor) -> Tensor:
    """model(images), computed on the device that the model is on."""
    ...''',
    hints=(
        "Ask the model where it is; its weights know. Then bring the images there.",
        "next(model.parameters()) is the first weight tensor, and a tensor has a .device.",
        "images.to(device) leaves images where it is and returns a copy: give that copy to model.",
    ),
    solution_code="""\
def answer(model, images):
    device = next(model.parameters()).device
    return model(images.to(device))""",
    wrong=(
        WrongAnswer(
            """\
def answer(model, images):
    return model(images)""",
            "The images are still on their own device: move them to the model's before you ask.",
        ),
        WrongAnswer(
            """\
def answer(model, images):
    images.to(next(model.parameters()).device)
    return model(images)""",
            "images.to(...) returns a new tensor and leaves the old one where it is. Keep the new "
            "one: images = images.to(...).",
        ),
        WrongAnswer(
            """\
def answer(model, images):
    return model(images.cuda())""",
            ".cuda() asks for an NVIDIA GPU, whether there is one or not. Ask the model for its "
            "device instead.",
        ),
        WrongAnswer(
            """\
def answer(model, images):
    return model(images.to("meta"))""",
            '"meta" is where this check put the model, sometimes. Ask the model for its device '
            "each time.",
        ),
        WrongAnswer(
            """\
def answer(model, images):
    return model.to(images.device)(images)""",
            "You moved the model. It is the larger of the two, and others may be using it where "
            "it is: move the images.",
        ),
        WrongAnswer(
            """\
def answer(model, images):
    return model(images.to(model.device))""",
            "A tensor has a .device, an nn.Module has none: its parameters may be on several. "
            "Take next(model.parameters()).device.",
        ),
        WrongAnswer(
            """\
def answer(model, images):
    return model(images.to(next(model.parameters()).device)).cpu()""",
            "You brought the answer back to the CPU. Often wise; here it is to stay on the "
            "model's device.",
        ),
        WrongAnswer(
            """\
def answer(model, images):
    return images.to(next(model.parameters()).device)""",
            "Those are the images on the right device. The answer is what the model makes of "
            "them: return model(...).",
        ),
    ),
    case=answer_case,
    describe=describe_answer,
    outcome=answer_or_trace,
    cases=12,
)


def photo_case(number: int) -> tuple[np.ndarray]:
    """A photograph of random pixels, (H, W, 3), uint8; the first has one pixel."""
    height, width = 1 + number // 2, 1 + (number + 1) // 2 + number // 6
    pixels = np.random.default_rng(number)
    return (pixels.integers(0, 250, size=(height, width, 3), dtype=np.uint8),)


def describe_photo(photo: np.ndarray) -> str:
    """Its shape, and its numbers where they are few."""
    numbers = f" {photo.tolist()}" if photo.size <= 12 else ""
    return f"photo {photo.shape}{numbers}"


TO_BATCH = Exercise(
    name="to_batch",
    task=(
        "Make a batch of one from a photograph: `(H, W, 3)`, whole numbers from 0 to 255, becomes "
        "a tensor `(1, 3, H, W)`, `float32` from 0 to 1."
    ),
    stub='''\
def to_batch(photo: np.ndarray) -> Tensor:
    """Photograph (H, W, 3), uint8 -> batch (1, 3, H, W), float32 from 0 to 1."""
    ...''',
    hints=(
        "Three steps: a tensor from the array, its axes in another order, its numbers in another "
        "range. Then one more axis in front.",
        "torch.from_numpy makes the tensor, .permute(...) orders the axes, .float() / 255 changes "
        "the range, [None] puts an axis in front.",
        "In permute, name the old axes in the order that you want: the channels were axis 2, "
        "rows 0, columns 1.",
    ),
    solution_code="""\
def to_batch(photo):
    channels_first = torch.from_numpy(photo).permute(2, 0, 1)  # (3, H, W)
    return channels_first[None].float() / 255""",
    wrong=(
        WrongAnswer(
            """\
def to_batch(photo):
    height, width, _ = photo.shape
    return torch.from_numpy(photo).reshape(1, 3, height, width) / 255""",
            "The shape is right and the picture is scrambled: reshape reads the same numbers in "
            "the same order. permute moves the axes.",
        ),
        WrongAnswer(
            """\
def to_batch(photo):
    return torch.from_numpy(photo).permute(2, 0, 1)[None].float()""",
            "The numbers still go to 255: divide by 255.",
        ),
        WrongAnswer(
            """\
def to_batch(photo):
    return torch.from_numpy(photo).permute(2, 0, 1) / 255""",
            "One axis is missing: the batch, in front, with room for one photograph. [None] adds "
            "it.",
        ),
        WrongAnswer(
            """\
def to_batch(photo):
    return torch.from_numpy(photo).permute(2, 1, 0)[None] / 255""",
            "Rows and columns have changed places, so the photograph lies on its side. After the "
            "channels come the rows, then the columns.",
        ),
        WrongAnswer(
            """\
def to_batch(photo):
    return torch.from_numpy(photo)[None] / 255""",
            "The channels are still last, as in the photograph: PyTorch wants them before H and W.",
        ),
        WrongAnswer(
            """\
def to_batch(photo):
    return torch.from_numpy(photo).permute(2, 0, 1)[None] / 256""",
            "The largest value that a pixel can have is 255, not 256: white should become 1.",
        ),
        WrongAnswer(
            """\
def to_batch(photo):
    return torch.from_numpy(photo).permute(2, 0, 1)[None] / int(photo.max())""",
            "You divided by the brightest pixel of this photograph, so a dark one would look "
            "bright. Divide every one by 255.",
        ),
        WrongAnswer(
            """\
def to_batch(photo):
    return torch.from_numpy(photo / 255).permute(2, 0, 1)[None]""",
            "The numbers are right and twice as long as a layer takes: NumPy divides into "
            "float64. Ask for .float().",
        ),
        WrongAnswer(
            """\
def to_batch(photo):
    return photo.transpose(2, 0, 1)[None] / 255""",
            "That is still a NumPy array, and a layer takes a tensor: begin with "
            "torch.from_numpy(photo).",
        ),
        WrongAnswer(
            """\
def to_batch(photo):
    return photo.permute(2, 0, 1)[None] / 255""",
            "A NumPy array has no permute; a tensor has. Begin with torch.from_numpy(photo).",
        ),
        WrongAnswer(
            """\
def to_batch(photo):
    return torch.from_numpy(photo // 255).permute(2, 0, 1)[None].float()""",
            "// keeps whole numbers, so almost every pixel became 0. Divide with a single /.",
        ),
    ),
    case=photo_case,
    describe=describe_photo,
    cases=16,
)


def order_case(number: int) -> tuple[int, int]:
    """How many, and the seed."""
    return 1 + number, number % 4


class Verdict(str):
    """Words about an order, shown without quotation marks."""

    def __repr__(self) -> str:
        return str(self)


def generator_states() -> dict[str, object]:
    """State of each generator that all the code of a program shares."""
    return {
        "PyTorch": torch.get_rng_state().tolist(),
        "NumPy": str(np.random.get_state(legacy=False)),
        "Python": random.getstate(),
    }


def promises_kept(function: Callable, arguments: tuple) -> object:
    """What shuffled(count, seed) promises and does not do; which order it gives is free."""
    count, seed = arguments
    before = generator_states()
    first = function(count, seed)
    after = generator_states()
    if first is None:
        return None
    broken = [f"{name}'s generator moved" for name in before if before[name] != after[name]]
    if isinstance(first, Tensor) and first.dtype == torch.int64:
        torch.rand(1)  # somebody else draws a number in between
        again = [function(count, seed) for _ in range(20)]  # two numbers agree by chance: 2**-20
        others = [function(count, seed + step) for step in range(1, 6)]
        if sorted(first.tolist()) != list(range(count)):
            broken.append(f"not each of 0 to {count - 1} once")
        if any(not torch.equal(first, order) for order in again):
            broken.append("another order the next time")
        if count > 3 and all(torch.equal(first, order) for order in others):
            broken.append("the same order for every seed")
    else:
        broken.append("no int64 tensor")
    return Verdict(f"broken promises ({'; '.join(broken)})" if broken else "no broken promise")


def describe_order(count: int, seed: int) -> str:
    """The arguments as they are written."""
    return f"shuffled({count}, {seed})"


SHUFFLED = Exercise(
    name="shuffled",
    task=(
        "Return the numbers from 0 to `count - 1` in a random order that depends on `seed` alone: "
        "the same seed, the same order, whatever was drawn before. And leave the global generator "
        "as it was: somebody else may be counting on it."
    ),
    stub='''\
def shuffled(count: int, seed: int) -> Tensor:
    """0 to count - 1 in an order that seed alone decides: (count,), int64."""
    ...''',
    hints=(
        "Random numbers can come from a generator of your own. torch.Generator() makes one.",
        "A new generator has to be given your seed: .manual_seed(seed). torch.randperm takes it "
        "as generator=....",
        "generator = torch.Generator().manual_seed(seed), then torch.randperm(count, "
        "generator=generator).",
    ),
    solution_code="""\
def shuffled(count, seed):
    generator = torch.Generator().manual_seed(seed)
    return torch.randperm(count, generator=generator)""",
    wrong=(
        WrongAnswer(
            """\
def shuffled(count, seed):
    return torch.randperm(count)""",
            "Your order does not know the seed: it comes from the global generator, and differs "
            "from call to call. Use a generator of your own.",
        ),
        WrongAnswer(
            """\
def shuffled(count, seed):
    torch.manual_seed(seed)
    return torch.randperm(count)""",
            "The order is right, and everybody's random numbers now start again: "
            "torch.manual_seed is global. Seed a generator of your own.",
        ),
        WrongAnswer(
            """\
def shuffled(count, seed):
    return torch.randperm(count, generator=torch.Generator())""",
            "Your generator was never given the seed, and every new one starts at the same place: "
            "add .manual_seed(seed).",
        ),
        WrongAnswer(
            """\
def shuffled(count, seed):
    generator = torch.Generator()
    generator.seed()
    return torch.randperm(count, generator=generator)""",
            ".seed() takes a new seed from the system at every call; .manual_seed(seed) takes "
            "yours.",
        ),
        WrongAnswer(
            """\
def shuffled(count, seed):
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(count, (count,), generator=generator)""",
            "randint draws with replacement: some numbers come twice, others never. torch.randperm "
            "gives each of them once.",
        ),
        WrongAnswer(
            """\
def shuffled(count, seed):
    np.random.seed(seed)
    return torch.from_numpy(np.random.permutation(count))""",
            "np.random.seed is global too, for all that uses NumPy. A generator of your own "
            "disturbs nobody.",
        ),
        WrongAnswer(
            """\
def shuffled(count, seed):
    return np.random.default_rng(seed).permutation(count)""",
            "A good order, and not a tensor of whole numbers yet: torch.from_numpy(...) makes one "
            "from a NumPy array, torch.tensor(...) from a list.",
        ),
    ),
    case=order_case,
    describe=describe_order,
    outcome=promises_kept,
    cases=12,
)

EXERCISES = (TO_BATCH, HEAD_FOR, ANSWER, SHUFFLED)
