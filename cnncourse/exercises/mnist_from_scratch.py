"""Exercises of the lesson on MNIST: one training step, an honest score, leakage, augmentation."""

from collections.abc import Callable

import torch
from torch import nn

from cnncourse.exercises import Exercise, Question, WrongAnswer

FIRST_LOSS = Question(
    "The network is untrained. How large is its mean cross-entropy over ten classes?",
    ("about 0", "about 1", "about 2.3", "about 10"),
    answer="about 2.3",
    why="It gives every class a probability of about 1/10, and -ln(1/10) = ln(10) = 2.303.",
)
TRAIN_ABOVE = Question(
    "In the first epoch: is the accuracy on training images above that on validation images?",
    ("yes, it trains on them", "no, it is below"),
    answer="no, it is below",
    why="In training, half of the 128 hidden units are dropped at random and the images are turned "
    "and moved, and the first batches meet a network that knows nothing yet. Validation meets the "
    "whole network at the end of the epoch, and the images as they are.",
)
WHO_SUFFERS = Question(
    "Train on shuffled pixels. Who suffers: a network of full connections (MLP), or the CNN?",
    ("both", "the CNN", "the MLP", "neither"),
    answer="the CNN",
    why="A full connection has no idea which pixels are neighbours and cannot miss what it never "
    "had. A convolution looks at neighbours, and the shuffle has moved them apart.",
)


def random(number: int) -> torch.Generator:
    """Random numbers of a case."""
    return torch.Generator().manual_seed(number)


# --- one step -------------------------------------------------------------------------------------


def step_case(number: int) -> tuple:
    """A small network with dropout-free layers, its optimiser, and a batch."""
    torch.manual_seed(number)
    features, classes, count = 2 + number % 3, 2 + number % 4, 3 + number
    model = nn.Sequential(nn.Linear(features, 4), nn.Tanh(), nn.Linear(4, classes))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.5)
    images = torch.randn(count, features)
    return model, optimizer, images, torch.randint(classes, (count,))


def two_steps(function: Callable, arguments: tuple) -> object:
    """What two steps return, and the weights after them: one step hides old gradients."""
    model = arguments[0]
    returned = [function(*arguments) for _ in range(2)]
    return *returned, *(parameter.detach() for parameter in model.parameters())


TRAIN_STEP = Exercise(
    name="train_step",
    task=(
        "Write one step of gradient descent: answers, cross-entropy, gradients, step. Return the "
        "loss as a Python number. The check calls it twice in a row and looks at the weights."
    ),
    stub='''\
def train_step(model, optimizer, images, labels):
    """One step of gradient descent on a batch; returns the loss as a float."""
    ...''',
    hints=(
        "Four things happen in a fixed order: forward, clear, backward, step.",
        "PyTorch adds new gradients to the old ones. What clears them, and when?",
        "loss = F.cross_entropy(model(images), labels), then three calls, then loss.item().",
    ),
    solution_code='''\
def train_step(model, optimizer, images, labels):
    """One step of gradient descent on a batch; returns the loss as a float."""
    loss = F.cross_entropy(model(images), labels)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return loss.item()''',
    wrong=(
        WrongAnswer(
            """\
def train_step(model, optimizer, images, labels):
    loss = F.cross_entropy(model(images), labels)
    loss.backward()
    optimizer.step()
    return loss.item()""",
            "The gradients are never cleared: the second step adds them to the first one's. "
            "Call optimizer.zero_grad().",
        ),
        WrongAnswer(
            """\
def train_step(model, optimizer, images, labels):
    loss = F.cross_entropy(model(images), labels)
    loss.backward()
    optimizer.zero_grad()
    optimizer.step()
    return loss.item()""",
            "The gradients are cleared before the optimiser could use them: nothing is learned. "
            "Clear them before backward().",
        ),
        WrongAnswer(
            """\
def train_step(model, optimizer, images, labels):
    loss = F.cross_entropy(model(images).softmax(dim=1), labels)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return loss.item()""",
            "Softmax is applied twice: F.cross_entropy takes logits and does its own. Learning "
            "becomes slow, and nothing complains.",
        ),
        WrongAnswer(
            """\
def train_step(model, optimizer, images, labels):
    loss = F.cross_entropy(model(images), labels)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return loss""",
            "The loss comes back as a tensor: kept in a list, it keeps its whole graph in memory. "
            "Return loss.item().",
        ),
        WrongAnswer(
            """\
def train_step(model, optimizer, images, labels):
    loss = F.cross_entropy(model(images), labels, reduction="sum")
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return loss.item()""",
            "The loss is a sum over the batch, so a larger batch takes larger steps. Take the "
            "mean, which is F.cross_entropy's own choice.",
        ),
    ),
    case=step_case,
    outcome=two_steps,
    describe=lambda model, optimizer, images, labels: (
        f"two steps on a batch of {len(labels)} (first loss, second loss, weights)"
    ),
)


# --- an honest score ------------------------------------------------------------------------------


def score_case(number: int) -> tuple:
    """A network with dropout, in train mode as training leaves it, and batches of unequal size."""
    torch.manual_seed(number)
    model = nn.Sequential(nn.Linear(3, 16), nn.ReLU(), nn.Dropout(0.5), nn.Linear(16, 3)).train()
    sizes = [4, 4, 1] if number == 0 else [5] * (1 + number % 3) + [1 + number % 4]
    return model, [(torch.randn(size, 3), torch.randint(3, (size,))) for size in sizes]


ACCURACY = Exercise(
    name="accuracy",
    task=(
        "Return the share of images (from 0 to 1) that the model answers rightly, over all "
        "batches. The last batch is smaller than the others, the network has dropout, and it "
        "comes to you in train mode."
    ),
    stub='''\
def accuracy(model, batches):
    """Share of right answers over batches of (images, labels), as a float from 0 to 1."""
    ...''',
    hints=(
        "Two modes: which one is for measuring?",
        "A mean over batches counts an image of the small last batch more. Count images.",
        "model.eval(); add up (model(images).argmax(dim=1) == labels).sum().item(); divide once.",
    ),
    solution_code='''\
def accuracy(model, batches):
    """Share of right answers over batches of (images, labels), as a float from 0 to 1."""
    model.eval()
    correct = total = 0
    with torch.no_grad():
        for images, labels in batches:
            correct += (model(images).argmax(dim=1) == labels).sum().item()
            total += len(labels)
    return correct / total''',
    wrong=(
        WrongAnswer(
            """\
def accuracy(model, batches):
    correct = total = 0
    with torch.no_grad():
        for images, labels in batches:
            correct += (model(images).argmax(dim=1) == labels).sum().item()
            total += len(labels)
    return correct / total""",
            "Dropout is still on: half of the network is missing while you measure it. "
            "Call model.eval() first.",
        ),
        WrongAnswer(
            """\
def accuracy(model, batches):
    model.eval()
    shares = []
    with torch.no_grad():
        for images, labels in batches:
            shares.append((model(images).argmax(dim=1) == labels).float().mean().item())
    return sum(shares) / len(shares)""",
            "This is a mean over batches: an image of the small last batch counts more than the "
            "others. Count right answers and images, and divide once.",
        ),
        WrongAnswer(
            """\
def accuracy(model, batches):
    model.eval()
    correct = 0
    with torch.no_grad():
        for images, labels in batches:
            correct += (model(images).argmax(dim=1) == labels).sum().item()
    return correct / len(batches)""",
            "Divided by the number of batches: that is right answers a batch. Divide by the "
            "number of images.",
        ),
        WrongAnswer(
            """\
def accuracy(model, batches):
    model.eval()
    correct = total = 0
    with torch.no_grad():
        for images, labels in batches:
            correct += (model(images).argmax(dim=1) == labels).sum().item()
            total += len(labels)
    return 100 * correct / total""",
            "These are per cent. A share goes from 0 to 1.",
        ),
        WrongAnswer(
            """\
def accuracy(model, batches):
    model.eval()
    with torch.no_grad():
        for images, labels in batches:
            result = (model(images).argmax(dim=1) == labels).float().mean().item()
    return result""",
            "Only the last batch is counted: every turn of the loop forgets the one before.",
        ),
    ),
    case=score_case,
    describe=lambda model, batches: (
        f"batches of {[len(labels) for _, labels in batches]} images, network in train mode"
    ),
)


# --- leakage --------------------------------------------------------------------------------------


def leak_case(number: int) -> tuple:
    """Training and test images, some of them in both, some twice in one."""
    generator = random(number)
    pool = torch.randint(0, 3, (6 + number, 1, 2, 2), generator=generator) / 2
    chosen = torch.randint(0, len(pool), (4 + number,), generator=generator)
    train = pool[torch.randint(0, len(pool), (3 + number,), generator=generator)]
    return train, torch.cat([train[:1], train[:1], pool[chosen]])


LEAKED = Exercise(
    name="leaked",
    task=(
        "A score on images that were trained on proves nothing. Return how many of the test "
        "images are also among the training images, as an int. Order does not matter; a test "
        "image that is there twice counts twice."
    ),
    stub='''\
def leaked(train_images, test_images):
    """Number of test images (M, C, H, W) that are among the training images (N, C, H, W)."""
    ...''',
    hints=(
        "Two images are the same if every pixel is.",
        "A set of Python finds an image at once if the image can be hashed: tobytes() can.",
        "seen = {image.numpy().tobytes() for image in train_images}; then count with `in`.",
    ),
    solution_code='''\
def leaked(train_images, test_images):
    """Number of test images (M, C, H, W) that are among the training images (N, C, H, W)."""
    seen = {image.numpy().tobytes() for image in train_images}
    return sum(image.numpy().tobytes() in seen for image in test_images)''',
    wrong=(
        WrongAnswer(
            """\
def leaked(train_images, test_images):
    seen = {image.numpy().tobytes() for image in train_images}
    return len(seen & {image.numpy().tobytes() for image in test_images})""",
            "Every image is counted once, however often the test set repeats it. Each of those "
            "test images gives a point that was not earned.",
        ),
        WrongAnswer(
            """\
def leaked(train_images, test_images):
    pairs = zip(train_images, test_images)
    return sum(bool((one == other).all()) for one, other in pairs)""",
            "Only images at the same position are compared. A leak can sit anywhere.",
        ),
        WrongAnswer(
            """\
def leaked(train_images, test_images):
    sums = {round(image.sum().item(), 4) for image in train_images}
    return sum(round(image.sum().item(), 4) in sums for image in test_images)""",
            "Images with the same sum are taken for the same image. Compare every pixel.",
        ),
        WrongAnswer(
            """\
def leaked(train_images, test_images):
    seen = {image.numpy().tobytes() for image in test_images}
    return sum(image.numpy().tobytes() in seen for image in train_images)""",
            "This counts training images that are in the test set; asked for are test images that "
            "are in the training set.",
        ),
        WrongAnswer(
            """\
def leaked(train_images, test_images):
    return sum(
        bool((image == other).any()) for image in test_images for other in train_images
    )""",
            "any() is true where a single pixel agrees, and every pair is counted. All pixels must "
            "agree, and a test image counts once.",
        ),
    ),
    case=leak_case,
    describe=lambda train, test: (
        f"{len(train)} training images and {len(test)} test images of 2x2 pixels"
    ),
)


# --- augmentation ---------------------------------------------------------------------------------


SHIFTS = ((1, 0), (0, 1), (-1, 0), (0, -1), (1, 2), (-2, 1), (0, 0), (2, -1), (9, 0), (0, -9))


def shift_case(number: int) -> tuple:
    """One small picture of whole numbers, and a shift: one step along one axis comes first."""
    height, width = 3 + number % 2, 2 + number % 3
    image = torch.arange(1.0, 1 + height * width).reshape(1, 1, height, width)
    return image, *SHIFTS[number % len(SHIFTS)]


SHIFT = Exercise(
    name="shift",
    task=(
        "Your own augmentation: move images right and down by whole pixels (negative: left, up). "
        "The size stays; what moves in from beyond the border is 0."
    ),
    stub='''\
def shift(images, right, down):
    """Images (N, C, H, W) moved by whole pixels; zeros move in. The input is left as it was."""
    ...''',
    hints=(
        "Where does the pixel at (y, x) come from? From (y - down, x - right), if that exists.",
        "torch.roll moves, but what leaves on one side comes back on the other: blank it.",
        "After torch.roll(images, (down, right), dims=(2, 3)), set the rows and columns that "
        "came round to 0; which ones depends on the signs.",
    ),
    solution_code='''\
def shift(images, right, down):
    """Images (N, C, H, W) moved by whole pixels; zeros move in. The input is left as it was."""
    height, width = images.shape[-2:]
    moved = torch.zeros_like(images)
    to_y, to_x = max(down, 0), max(right, 0)
    from_y, from_x = max(-down, 0), max(-right, 0)
    rows, columns = height - abs(down), width - abs(right)
    if rows > 0 and columns > 0:
        part = images[:, :, from_y : from_y + rows, from_x : from_x + columns]
        moved[:, :, to_y : to_y + rows, to_x : to_x + columns] = part
    return moved''',
    wrong=(
        WrongAnswer(
            """\
def shift(images, right, down):
    return torch.roll(images, (down, right), dims=(2, 3))""",
            "What leaves on one side comes back on the other: torch.roll wraps around. A 7 whose "
            "foot hangs from the ceiling is no 7. Blank what came round.",
        ),
        WrongAnswer(
            """\
def shift(images, right, down):
    moved = torch.roll(images, (-down, -right), dims=(2, 3))
    height, width = images.shape[-2:]
    if down > 0: moved[:, :, height - down:] = 0
    if down < 0: moved[:, :, :-down] = 0
    if right > 0: moved[:, :, :, width - right:] = 0
    if right < 0: moved[:, :, :, :-right] = 0
    return moved""",
            "The picture goes the other way: left for right and up for down.",
        ),
        WrongAnswer(
            """\
def shift(images, right, down):
    moved = torch.roll(images, (right, down), dims=(2, 3))
    if right > 0: moved[:, :, :right] = 0
    if right < 0: moved[:, :, right:] = 0
    if down > 0: moved[:, :, :, :down] = 0
    if down < 0: moved[:, :, :, down:] = 0
    return moved""",
            "Right and down are swapped: in (N, C, H, W) rows come before columns, so down "
            "belongs to dimension 2 and right to dimension 3.",
        ),
        WrongAnswer(
            """\
def shift(images, right, down):
    height, width = images.shape[-2:]
    rows = slice(max(-down, 0), height - max(down, 0))
    columns = slice(max(-right, 0), width - max(right, 0))
    return images[:, :, rows, columns]""",
            "The picture is cut, not moved: its size must stay. Put the part into zeros of the "
            "old size.",
        ),
        WrongAnswer(
            """\
def shift(images, right, down):
    padded = F.pad(images, (max(right, 0), max(-right, 0), max(down, 0), max(-down, 0)))
    return padded""",
            "The picture grows: padding alone adds pixels. Cut the other side off by as many.",
        ),
    ),
    case=shift_case,
    describe=lambda images, right, down: (
        f"{tuple(images.shape)} images, right={right}, down={down}"
    ),
)


EXERCISES = (TRAIN_STEP, ACCURACY, LEAKED, SHIFT)
