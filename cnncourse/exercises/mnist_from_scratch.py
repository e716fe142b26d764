"""Exercises of the lesson on MNIST: a step, an honest score, leakage, augmentation, five bugs."""

from collections.abc import Callable

import torch
from torch import nn
from torch.nn import functional as F

from cnncourse.exercises import Exercise, Question, WrongAnswer
from cnncourse.outcomes import same, shown

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
            "No weight moves: optimizer.step() is missing, or the gradients are cleared after "
            "backward(), before it could use them.",
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
        WrongAnswer(
            """\
def train_step(model, optimizer, images, labels):
    loss = F.cross_entropy(model(images), labels)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    optimizer.step()
    return loss.item()""",
            "It takes two steps with one gradient, which was computed where the weights were "
            "before. One step a batch.",
        ),
        WrongAnswer(
            """\
def train_step(model, optimizer, images, labels):
    loss = F.cross_entropy(labels, model(images))
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return loss.item()""",
            "The arguments are swapped: F.cross_entropy takes the model's answers first, then "
            "the labels.",
        ),
        WrongAnswer(
            """\
def train_step(model, optimizer, images, labels):
    loss = F.nll_loss(model(images), labels)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return loss.item()""",
            "F.nll_loss takes logarithms of probabilities, and these are logits: the loss falls "
            "for ever, below 0. Use F.cross_entropy.",
        ),
        WrongAnswer(
            """\
def train_step(model, optimizer, images, labels):
    loss = F.nll_loss(model(images).softmax(dim=1), labels)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return loss.item()""",
            "F.nll_loss wants the logarithms of the probabilities. F.cross_entropy takes the "
            "logits and does both.",
        ),
        WrongAnswer(
            """\
def train_step(model, optimizer, images, labels):
    loss = -F.cross_entropy(model(images), labels)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return loss.item()""",
            "The sign: the optimiser goes down already. With a minus the loss is made as large "
            "as can be.",
        ),
        WrongAnswer(
            """\
def train_step(model, optimizer, images, labels):
    loss = F.cross_entropy(model(images), labels, label_smoothing=0.1)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return loss.item()""",
            "The labels are smoothed, which nobody asked for: plain cross-entropy, please.",
        ),
        WrongAnswer(
            """\
def train_step(model, optimizer, images, labels):
    loss = F.mse_loss(model(images), F.one_hot(labels, model(images).shape[1]).float())
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return loss.item()""",
            "That is the mean squared error. Asked for is the cross-entropy of the model's "
            "answers.",
        ),
        WrongAnswer(
            """\
def train_step(model, optimizer, images, labels):
    loss = F.cross_entropy(model(images).argmax(dim=1), labels)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return loss.item()""",
            "argmax gives one class and has no gradient: nothing can be learned through it. "
            "Hand over the logits.",
        ),
        WrongAnswer(
            """\
def train_step(model, optimizer, images, labels):
    loss = F.cross_entropy(model(images), labels).backward()
    optimizer.zero_grad()
    optimizer.step()
    return loss.item()""",
            "backward() returns nothing, so the loss is lost. Keep the loss in one line, and "
            "call backward() in another.",
        ),
        WrongAnswer(
            """\
def train_step(model, optimizer, images, labels):
    with torch.no_grad():
        loss = F.cross_entropy(model(images), labels)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return loss.item()""",
            "no_grad is for measuring: inside it nothing is remembered, and backward() has no "
            "way back. Leave it out.",
        ),
        WrongAnswer(
            """\
def train_step(model, optimizer, images, labels):
    loss = F.cross_entropy(model(images), labels)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return loss.item() * len(labels)""",
            "The weights are right, the loss is that of the whole batch. Return its mean over "
            "the images: loss.item().",
        ),
        WrongAnswer(
            """\
def train_step(model, optimizer, images, labels):
    loss = F.cross_entropy(model(images), labels)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return F.cross_entropy(model(images), labels).item()""",
            "This is the loss after the step, for the price of a second pass. Return the one "
            "that the step was taken by.",
        ),
        WrongAnswer(
            """\
def train_step(model, optimizer, images, labels):
    own = torch.optim.Adam(model.parameters())
    loss = F.cross_entropy(model(images), labels)
    own.zero_grad()
    loss.backward()
    own.step()
    return loss.item()""",
            "A new Adam is made at every step, and forgets what it knew. Use the optimizer that "
            "comes as an argument.",
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
        WrongAnswer(
            """\
def accuracy(model, batches):
    model.eval()
    correct = total = 0
    with torch.no_grad():
        for images, labels in batches:
            correct += (model(images).argmax() == labels).sum().item()
            total += len(labels)
    return correct / total""",
            "argmax() without a dimension finds one place in the whole batch. Each image has "
            "its own answer: argmax(dim=1).",
        ),
        WrongAnswer(
            """\
def accuracy(model, batches):
    model.eval()
    correct = total = 0
    with torch.no_grad():
        for images, labels in batches:
            correct += (model(images).argmax(dim=0) == labels).sum().item()
            total += len(labels)
    return correct / total""",
            "argmax(dim=0) asks which image has the largest logit of a class. Asked is the "
            "class of an image: dim=1.",
        ),
        WrongAnswer(
            """\
def accuracy(model, batches):
    model.eval()
    correct = total = 0
    with torch.no_grad():
        for images, labels in batches:
            correct += (model(images) == labels).sum().item()
            total += len(labels)
    return correct / total""",
            "Logits are compared with labels. The answer is the class of the largest logit: "
            "argmax(dim=1).",
        ),
        WrongAnswer(
            """\
def accuracy(model, batches):
    model.eval()
    correct = total = 0
    with torch.no_grad():
        for images, labels in batches:
            correct += (model(images).argmin(dim=1) == labels).sum().item()
            total += len(labels)
    return correct / total""",
            "argmin finds the least likely class. The answer is the likeliest: argmax.",
        ),
        WrongAnswer(
            """\
def accuracy(model, batches):
    model.eval()
    correct = total = 0
    with torch.no_grad():
        for images, labels in batches:
            correct += (model(images).argmax(dim=1) == labels).float().mean().item()
            total += len(labels)
    return correct / total""",
            "A batch adds its share instead of its number of right answers. Use sum(), and "
            "divide once at the end.",
        ),
        WrongAnswer(
            """\
def accuracy(model, batches):
    model.eval()
    correct = total = 0
    with torch.no_grad():
        for images, labels in batches:
            correct += (model(images).argmax(dim=1) == labels).sum()
            total += len(labels)
    return correct / total""",
            "The share is right, as a tensor. Take the number out of it with .item().",
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
    return correct // total""",
            "// drops the fraction, so that every share below 1 is 0. Divide with /.",
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
    return 1 - correct / total""",
            "That is the share of wrong answers. Asked for is that of right ones.",
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
    return correct""",
            "That is the number of right answers. Divide it by the number of images.",
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
            return correct / total""",
            "The return stands inside the loop, so that only the first batch is counted. Move "
            "it out by one step.",
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
        WrongAnswer(
            """\
def leaked(train_images, test_images):
    seen = {image.numpy().tobytes() for image in train_images}
    return sum(image.numpy().tobytes() in seen for image in test_images) / len(test_images)""",
            "That is a share. Asked for is how many there are, an int.",
        ),
        WrongAnswer(
            """\
def leaked(train_images, test_images):
    seen = {image.numpy().tobytes() for image in train_images}
    return sum(image.numpy().tobytes() not in seen for image in test_images)""",
            "These are the test images that did not leak. Asked for are those that did.",
        ),
        WrongAnswer(
            """\
def leaked(train_images, test_images):
    seen = {image.numpy().tobytes() for image in train_images}
    return any(image.numpy().tobytes() in seen for image in test_images)""",
            "This says whether any leaked. Asked for is how many: sum instead of any.",
        ),
        WrongAnswer(
            """\
def leaked(train_images, test_images):
    return sum(bool((image == other).all()) for image in test_images for other in train_images)""",
            "A training image that is there twice counts a test image twice. Ask of each test "
            "image once whether it is there.",
        ),
        WrongAnswer(
            """\
def leaked(train_images, test_images):
    return sum(image in train_images for image in test_images)""",
            "For tensors `in` asks whether any one pixel agrees anywhere. All pixels of one "
            "image must.",
        ),
        WrongAnswer(
            """\
def leaked(train_images, test_images):
    return len(set(test_images) & set(train_images))""",
            "A set compares tensors by where they are in memory, so no two are ever the same. "
            "Turn them into bytes first.",
        ),
        WrongAnswer(
            """\
def leaked(train_images, test_images):
    each = [[bool((image == other).all()) for other in train_images] for image in test_images]
    return torch.tensor(each).any(dim=1).sum()""",
            "The count is right, as a tensor. Asked for is an int: .item().",
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
        WrongAnswer(
            """\
def shift(images, right, down):
    return torch.roll(images, (right, down), dims=(2, 3))""",
            "Two things: right and down are swapped (rows are dimension 2), and torch.roll "
            "brings back what leaves on one side on the other.",
        ),
        WrongAnswer(
            """\
def shift(images, right, down):
    return torch.roll(images, (down, right), dims=(1, 2))""",
            "Dimension 1 is the channels. Rows are dimension 2 and columns 3; and what comes "
            "round has to be blanked.",
        ),
        WrongAnswer(
            """\
def shift(images, right, down):
    moved = torch.roll(images, (down, right), dims=(2, 3))
    moved[:, :, :down] = 0
    moved[:, :, :, :right] = 0
    return moved""",
            "Right for shifts right and down. With -1 the slice :right blanks all but the last "
            "column: negative shifts need the other side, right:.",
        ),
        WrongAnswer(
            """\
def shift(images, right, down):
    moved = torch.zeros_like(images)
    moved[:, :, down:, right:] = images[:, :, :-down, :-right]
    return moved""",
            "A shift of 0 breaks it: :-0 is :0, an empty slice. Give where the part ends as "
            "height - down.",
        ),
        WrongAnswer(
            """\
def shift(images, right, down):
    height, width = images.shape[-2:]
    moved = images.clone()
    for y in range(height):
        for x in range(width):
            row, column = min(max(y - down, 0), height - 1), min(max(x - right, 0), width - 1)
            moved[:, :, y, x] = images[:, :, row, column]
    return moved""",
            "The pixels at the border are repeated. What moves in from beyond it is 0.",
        ),
        WrongAnswer(
            """\
def shift(images, right, down):
    return images""",
            "The images come back as they were: nothing is moved.",
        ),
    ),
    case=shift_case,
    describe=lambda images, right, down: (
        f"{tuple(images.shape)} images, right={right}, down={down}"
    ),
)


# --- five bugs ------------------------------------------------------------------------------------

CLASSES = 4
PILE_UP = "gradients pile up"
TWICE = "softmax twice"
APART = "labels of other images"
DROPOUT = "dropout on while measuring"
PEEKED = "chosen by the test images"


class Spy(nn.Module):
    """A network that learns nothing and notes what is done to it.

    An image is its number, one value; training, validation and test images have numbers from 0,
    1,000 and 2,000 on. It answers the measured ones rightly to a share that was laid down for each
    epoch, and all classes alike in training, so that a gradient tells loss and label.
    """

    def __init__(self, labels: dict[int, int], plan: dict[int, tuple[int, ...]], a_pass: int):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(CLASSES))
        self.labels, self.plan, self.a_pass = labels, plan, a_pass
        self.steps = 0
        self.faults: dict[str, None] = {}  # in the order in which they were seen
        self.trained_on: list[int] = []

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """(N, 1) -> (N, CLASSES)."""
        numbers = [int(number) for number in images[:, 0].tolist()]
        if numbers[0] >= 1000:
            return self.measured(numbers)
        if not self.training:
            self.faults["dropout off while training"] = None
        # All zero; but each image has its own say, so that no batch's gradients cancel.
        logits = self.weight * (1 + images[:, :1]).sqrt()
        if torch.is_grad_enabled():
            self.trained_on += numbers
            logits.register_hook(lambda gradient: self.look(numbers, gradient))
        return logits

    def measured(self, numbers: list[int]) -> torch.Tensor:
        """Logits that are right for the first so many images of a set, as the plan has it."""
        if self.training:
            self.faults[DROPOUT] = None
        first = numbers[0] // 1000 * 1000
        right = self.plan[first][min(max(self.steps - 1, 0) // self.a_pass, 2)]
        answers = [(self.labels[n] + (n - first >= right)) % CLASSES for n in numbers]
        return F.one_hot(torch.tensor(answers), CLASSES).float() * 5

    def look(self, numbers: list[int], gradient: torch.Tensor) -> None:
        """A loss's gradient in the logits: probabilities less 1 at the label, over the batch."""
        labels = gradient.argmin(dim=1)
        if labels.tolist() != [self.labels[number] for number in numbers]:
            self.faults[APART] = None
        wanted = (1 / CLASSES - F.one_hot(labels, CLASSES).float()) / len(numbers)
        if not torch.allclose(gradient, wanted, atol=1e-6):
            shrunk = torch.allclose(gradient, wanted / CLASSES, atol=1e-6)
            self.faults[TWICE if shrunk else "another loss than cross-entropy"] = None


class SpyOptimizer(torch.optim.Optimizer):
    """Moves nothing. What it leaves in the gradients is seen again unless they are cleared."""

    def __init__(self, spy: Spy) -> None:
        super().__init__(spy.parameters(), {})
        self.spy = spy

    def step(self, closure: object = None) -> None:  # type: ignore[override]
        """Look at the gradients, and spoil them."""
        gradient = self.spy.weight.grad
        self.spy.steps += 1
        if gradient is None or not gradient.any():
            self.spy.faults["steps without gradients"] = None
        elif gradient.abs().max() > 1e3:
            self.spy.faults[PILE_UP] = None
        if gradient is not None:
            gradient.fill_(1e6)


def bugs_case(number: int) -> tuple:
    """Spy, its optimiser, three sets of a few images, three epochs and a batch size."""
    generator = random(number)
    batch_size = 3 + number % 3
    sizes = {0: batch_size * (2 + number % 2) + number % 2, 1000: 8, 2000: 8}
    labels = {
        start + n: int(label)
        for start, size in sizes.items()
        for n, label in enumerate(torch.randint(CLASSES, (size,), generator=generator))
    }
    if len({labels[n] for n in range(sizes[0])}) == 1:
        labels[0] = (labels[0] + 1) % CLASSES
    # Validation is best after one epoch, the test after another.
    best, other = number % 3, (number + 1) % 3
    plan = {
        start: tuple(most if epoch == top else low + epoch for epoch in range(3))
        for start, top, most, low in ((1000, best, 7, 3), (2000, other, 8, 1))
    }
    spy = Spy(labels, plan, a_pass=-(-sizes[0] // batch_size))
    parts = []
    for start, size in sizes.items():
        numbers = range(start, start + size)
        images = torch.tensor([[float(n)] for n in numbers])
        parts.append((images, torch.tensor([labels[n] for n in numbers])))
    return spy, SpyOptimizer(spy), *parts, 3, batch_size


def bugs_left(function: Callable, arguments: tuple) -> object:
    """What the spy saw, in words, and what is wrong with the result; nothing, where all is well."""
    spy, _, train, _, _, epochs, _ = arguments
    returned = function(*arguments)
    if returned is None:
        return None
    faults = list(spy.faults)
    if sorted(spy.trained_on) != sorted([*range(len(train[1]))] * epochs):
        faults.append("not every image once an epoch")
    passes = torch.tensor(spy.trained_on).chunk(epochs)
    if all(torch.equal(passes[0], order) for order in passes[1:]):
        faults.append("the same order in every epoch")
    best = spy.plan[1000].index(7)
    by_test = spy.plan[2000].index(8)
    # The test has 8 images; the score is that of the epoch which validation chose.
    if same(returned, (by_test, 1.0)):
        faults.append(PEEKED)
    elif not same(returned, (best, spy.plan[2000][best] / 8)):
        wanted = shown((best, spy.plan[2000][best] / 8))
        faults.append(f"returned {shown(returned)} where validation chose {wanted}")
    return faults


MENDED = """\
def train_and_test(model, optimizer, train, validation, test, epochs, batch_size):
    best, best_accuracy, test_accuracy = 0, -1.0, 0.0
    for epoch in range(epochs):
        model.train()
        for index in torch.randperm(len(train[1])).split(batch_size):
            loss = F.cross_entropy(model(train[0][index]), train[1][index])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        model.eval()
        with torch.no_grad():
            accuracies = [
                (model(images).argmax(dim=1) == labels).float().mean().item()
                for images, labels in (validation, test)
            ]
        if accuracies[0] > best_accuracy:
            best, (best_accuracy, test_accuracy) = epoch, accuracies
    return best, test_accuracy"""


def broken(old: str, new: str) -> str:
    """The mended loop with one piece exchanged."""
    assert old in MENDED
    return MENDED.replace(old, new)


FIVE_BUGS = Exercise(
    name="train_and_test",
    task=(
        "This loop runs, its loss falls, and it has five bugs. Mend them in place. It should train "
        "for some epochs on every image once, in a new order each time, choose the epoch with the "
        "best validation accuracy, and return that epoch's number (from 0) and its test accuracy. "
        "The check says which of the five still stand."
    ),
    stub="""\
def train_and_test(model, optimizer, train, validation, test, epochs, batch_size):
    best, best_accuracy = 0, 0.0
    for epoch in range(epochs):
        model.train()
        images = train[0][torch.randperm(len(train[0]))]
        labels = train[1][torch.randperm(len(train[1]))]
        for start in range(0, len(labels), batch_size):
            probabilities = model(images[start : start + batch_size]).softmax(dim=1)
            loss = F.cross_entropy(probabilities, labels[start : start + batch_size])
            loss.backward()
            optimizer.step()
        with torch.no_grad():
            accuracy = (model(test[0]).argmax(dim=1) == test[1]).float().mean().item()
        if accuracy > best_accuracy:
            best, best_accuracy = epoch, accuracy
    return best, best_accuracy""",
    hints=(
        "Two bugs are in what a step does, one is in the order of the images, and two are in how "
        "the epochs are measured and chosen.",
        "Ask of each line: which images go with which labels? What is in the gradients before "
        "backward()? What does cross_entropy expect? In which mode is the model? On which images?",
        "One permutation for both; logits, not probabilities; zero_grad(); model.eval() before "
        "measuring; choose by validation, and keep the test accuracy of the chosen epoch.",
    ),
    solution_code=MENDED,
    wrong=(
        WrongAnswer(
            broken("            optimizer.zero_grad()\n", ""),
            "Four are mended. One is left: each step adds its gradients to those of all steps "
            "before. Clear them with optimizer.zero_grad().",
        ),
        WrongAnswer(
            broken("model(train[0][index])", "model(train[0][index]).softmax(dim=1)"),
            "Four are mended. One is left: cross_entropy takes logits and applies the softmax "
            "itself; after a second one the gradients are small and learning is slow.",
        ),
        WrongAnswer(
            broken("train[1][index]", "train[1][torch.randperm(len(train[1]))[: len(index)]]"),
            "Four are mended. One is left: images and labels are shuffled apart, so the labels "
            "are those of other images. One permutation must serve both.",
        ),
        WrongAnswer(
            broken("        model.eval()\n", ""),
            "Four are mended. One is left: dropout is still on while you measure. Call "
            "model.eval() before it.",
        ),
        WrongAnswer(
            broken("(validation, test)", "(test, test)"),
            "Four are mended. One is left: the epoch is chosen by the test images, so its test "
            "accuracy is no longer one on images that nothing has looked at.",
        ),
        WrongAnswer(
            broken(
                "optimizer.zero_grad()\n            loss.backward()",
                "loss.backward()\n            optimizer.zero_grad()",
            ),
            "The gradients are cleared between backward() and step(): the optimiser finds none. "
            "Clear them before backward().",
        ),
        WrongAnswer(
            broken("        model.train()\n", ""),
            "After the first epoch the model stays in eval mode: dropout is off while it trains. "
            "Call model.train() in every epoch.",
        ),
        WrongAnswer(
            broken("return best, test_accuracy", "return best, best_accuracy"),
            "The validation accuracy of the chosen epoch comes back: it was chosen for being "
            "high. Return that epoch's test accuracy.",
        ),
        WrongAnswer(
            broken(
                ".split(batch_size)",
                "[: len(train[1]) // batch_size * batch_size]\\\n            .split(batch_size)",
            ),
            "The last batch is left out where it is not full, so some images are not seen in an "
            "epoch. Train on it too.",
        ),
        WrongAnswer(
            broken("torch.randperm(len(train[1]))", "torch.arange(len(train[1]))"),
            "Every epoch sees the images in the same order. Draw a new permutation in each.",
        ),
        WrongAnswer(
            broken("return best, test_accuracy", "return best + 1, test_accuracy"),
            "Epochs are counted from 0 here, as range does: leave the 1 out.",
        ),
        WrongAnswer(
            broken("return best, test_accuracy", "return test_accuracy, best"),
            "The two are swapped: first the number of the epoch, then its test accuracy.",
        ),
        WrongAnswer(
            broken("return best, test_accuracy", "return epochs - 1, accuracies[1]"),
            "This is the last epoch. Asked for is the one with the best validation accuracy.",
        ),
        WrongAnswer(
            broken("return best, test_accuracy", "return best, accuracies[1]"),
            "The test accuracy is that of the last epoch. Keep the one of the epoch that you "
            "choose.",
        ),
        WrongAnswer(
            broken("accuracies[0] > best_accuracy", "accuracies[0] < best_accuracy"),
            "The epoch changes only where validation is worse than the best so far: turn the sign "
            "round.",
        ),
        WrongAnswer(
            broken("(validation, test)", "(train, test)"),
            "The epoch is chosen by the training images, which the network may know by heart. "
            "Choose by the validation images.",
        ),
        WrongAnswer(
            broken("            optimizer.step()\n", ""),
            "Gradients are computed and nobody uses them: call optimizer.step().",
        ),
    ),
    case=bugs_case,
    describe=lambda spy, optimizer, train, validation, test, epochs, batch_size: (
        f"{epochs} epochs of {len(train[1])} images, {batch_size} at a time"
    ),
    outcome=bugs_left,
    cases=12,
    faulty=True,
)


EXERCISES = (TRAIN_STEP, ACCURACY, LEAKED, SHIFT, FIVE_BUGS)
