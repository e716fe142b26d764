"""Exercises of the lesson on recipes: broken labels, a rate picked, a schedule, an average."""

import torch

from cnncourse.exercises import Exercise, Question, WrongAnswer

MIRRORED = Question(
    "Recipes for photographs mirror every second training picture, left for right. Do the same "
    "with 300 training digits: what becomes of the accuracy on digits as they are?",
    ("it rises: twice as many pictures", "it stays", "it falls"),
    answer="it falls",
    why="A mirrored cat is a cat, and a mirrored 3 is no digit at all. Half of the training "
    "pictures now show signs that nobody writes, and some of them look like other digits.",
)
AVERAGED = Question(
    "A network is trained with a learning rate that is constant and too high. Beside it we keep a "
    "running average of its weights over the last steps, which no gradient ever sees. Which of the "
    "two reads more of the held-out digits?",
    ("the network", "the average", "they are equal"),
    answer="the average",
    why="Large steps carry the weights from one side of the valley to the other, and never down to "
    "its floor. The mean of the places they visited lies lower than nearly all of these places.",
)
SCALED = Question(
    "All weights of a convolution are multiplied by 10. A batch normalisation follows it. What "
    "happens in training, to the network's answers and to the gradient of these weights?",
    (
        "answers and gradient are ten times as large",
        "the answers stay, the gradient too",
        "the answers stay, the gradient is a tenth",
    ),
    answer="the answers stay, the gradient is a tenth",
    why="Normalisation divides by the standard deviation, which is ten times as large too. Where "
    "ten times the weights give the same loss, a change of them by 1 does a tenth of what it did.",
)
SIXTEEN_BITS = Question(
    "What is 2048 + 1 in float16, the 16-bit numbers of mixed precision?",
    ("2049", "2048", "2050", "infinite"),
    answer="2048",
    why="float16 keeps 11 binary digits of a number. From 2048 to 4096 they are whole numbers in "
    "steps of 2, and 2049 lies in the middle between two of them: it is rounded to the even one.",
)


# --- which augmentation breaks the labels ---------------------------------------------------------


def brightest(images: torch.Tensor) -> torch.Tensor:
    """A network for the check: the number of the brightest of an image's four pixels, (N,)."""
    return images.flatten(1).argmax(dim=1)


def breaking_case(number: int) -> tuple:
    """A reader, small images with their labels, and augmentations that spoil some of them.

    Of the images some are misread from the start. "turn" spoils just as many of the others as are
    allowed, "shear" one less, "crop" one more, "flip" all; "noise" changes what the misread ones
    are taken for, and "swap" repairs them while it spoils as many as "crop".
    """
    generator = torch.Generator().manual_seed(number)
    most = (0.25, 0.5)[number % 2]
    right, misread = 4 * (1 + number // 2 % 2), 4 + number % 3
    count = right + misread
    places = torch.randint(4, (count,), generator=generator)
    darkest = torch.arange(count) / (2 * count)  # by which an image is known, in any selection
    images = darkest[:, None, None, None].repeat(1, 1, 2, 2)
    images.view(count, 4)[torch.arange(count), places] = 1.0
    labels = torch.where(torch.arange(count) < right, places, (places + 2) % 4)

    def among(pictures: torch.Tensor, first: int, last: int) -> torch.Tensor:
        number = (2 * count * pictures.amin(dim=(1, 2, 3), keepdim=True)).round()
        return (number >= first) & (number < last)

    def spoilt(first: int, last: int):
        return lambda pictures: torch.where(
            among(pictures, first, last), pictures.flip(3), pictures
        )

    def repaired(pictures: torch.Tensor) -> torch.Tensor:
        return torch.where(among(pictures, right, count), pictures.flip(2), pictures)

    allowed = int(most * right)
    augmentations = {
        "turn": spoilt(0, allowed),
        "flip": spoilt(0, right),
        "shear": spoilt(0, allowed - 1),
        "dim": lambda pictures: pictures / 2,
        "crop": spoilt(0, allowed + 1),
        "noise": spoilt(right, count),
        "swap": lambda pictures: repaired(spoilt(0, allowed + 1)(pictures)),
    }
    return brightest, images, labels, augmentations, most


BREAKING = Exercise(
    name="breaking",
    task=(
        "Which augmentations break the labels? `read` answers for images with their labels, and "
        "`augmentations` is a dictionary from names to functions, images in, images out. Look at "
        "the images that `read` reads rightly as they are. Return the names, sorted, of the "
        "augmentations after which more than a share `most` of these are read wrongly."
    ),
    stub='''\
def breaking(read, images, labels, augmentations, most):
    """Names, sorted, of the augmentations that spoil more than a share most of what was right."""
    ...''',
    hints=(
        "An image that was misread before says nothing about the augmentation: leave it out.",
        "right = read(images) == labels; then look at read(augment(images))[right].",
        "The share is the number of right ones that are now wrong, divided by right.sum().",
    ),
    solution_code='''\
def breaking(read, images, labels, augmentations, most):
    """Names, sorted, of the augmentations that spoil more than a share most of what was right."""
    right = read(images) == labels
    found = []
    for name, augment in augmentations.items():
        spoilt = right & (read(augment(images)) != labels)
        if spoilt.sum().item() / right.sum().item() > most:
            found.append(name)
    return sorted(found)''',
    wrong=(
        WrongAnswer(
            """\
def breaking(read, images, labels, augmentations, most):
    return sorted(
        name
        for name, augment in augmentations.items()
        if (read(augment(images)) != labels).float().mean() > most
    )""",
            "All images are counted, also those misread before anything was done to them. That is "
            "the reader's mistake, not the augmentation's.",
        ),
        WrongAnswer(
            """\
def breaking(read, images, labels, augmentations, most):
    right = read(images) == labels
    return sorted(
        name
        for name, augment in augmentations.items()
        if (right & (read(augment(images)) != labels)).float().mean() > most
    )""",
            "The spoilt ones are right, the share is not: divide by the number of images that were "
            "read rightly before, not by all.",
        ),
        WrongAnswer(
            """\
def breaking(read, images, labels, augmentations, most):
    before = read(images)
    return sorted(
        name
        for name, augment in augmentations.items()
        if (read(augment(images)) != before).float().mean() > most
    )""",
            "An answer that changes is not a label that breaks: an image misread before may now be "
            "misread in another way, or be read rightly.",
        ),
        WrongAnswer(
            """\
def breaking(read, images, labels, augmentations, most):
    right = read(images) == labels
    spoilt = {
        name: (right & (read(augment(images)) != labels)).sum() / right.sum()
        for name, augment in augmentations.items()
    }
    return sorted(name for name, share in spoilt.items() if share >= most)""",
            "Just as many as are allowed is not too many: asked for are shares above `most`.",
        ),
        WrongAnswer(
            """\
def breaking(read, images, labels, augmentations, most):
    right = read(images) == labels
    spoilt = {
        name: (right & (read(augment(images)) != labels)).sum() / right.sum()
        for name, augment in augmentations.items()
    }
    return sorted(name for name, share in spoilt.items() if share <= most)""",
            "These are the ones that keep the labels. Asked for are those that break them.",
        ),
        WrongAnswer(
            """\
def breaking(read, images, labels, augmentations, most):
    right = read(images) == labels
    spoilt = {
        name: (right & (read(augment(images)) != labels)).sum() / right.sum()
        for name, augment in augmentations.items()
    }
    return [name for name, share in spoilt.items() if share > most]""",
            "The names are the right ones, in the order of the dictionary. Sort them.",
        ),
        WrongAnswer(
            """\
def breaking(read, images, labels, augmentations, most):
    return sorted(
        name
        for name, augment in augmentations.items()
        if (augment(images) != images).flatten(1).any(dim=1).float().mean() > most
    )""",
            "These change many pictures, as every augmentation should. What counts is whether the "
            "label still holds: ask `read`.",
        ),
        WrongAnswer(
            """\
def breaking(read, images, labels, augmentations, most):
    before = (read(images) == labels).sum()
    return sorted(
        name
        for name, augment in augmentations.items()
        if 1 - (read(augment(images)) == labels).sum() / before > most
    )""",
            "Losses are set off against gains: an image that was misread and is now read "
            "rightly hides a label that broke. Look at the right ones alone.",
        ),
        WrongAnswer(
            """\
def breaking(read, images, labels, augmentations, most):
    before = (read(images) == labels).float().mean()
    return sorted(
        name
        for name, augment in augmentations.items()
        if before - (read(augment(images)) == labels).float().mean() > most
    )""",
            "That is how far the accuracy fell, over all images. Asked for is the share of "
            "those read rightly that are not any more.",
        ),
        WrongAnswer(
            """\
def breaking(read, images, labels, augmentations, most):
    right = read(images) == labels
    return {
        name
        for name, augment in augmentations.items()
        if (read(augment(images))[right] != labels[right]).float().mean() > most
    }""",
            "These are the right names, in a set, which has no order. Return a sorted list.",
        ),
        WrongAnswer(
            """\
def breaking(read, images, labels, augmentations, most):
    right = read(images) == labels
    return sorted(
        augment
        for name, augment in augmentations.items()
        if (read(augment(images))[right] != labels[right]).float().mean() > most
    )""",
            "These are the functions. Asked for are their names, and only names can be sorted.",
        ),
        WrongAnswer(
            """\
def breaking(read, images, labels, augmentations, most):
    right = read(images) == labels
    return sorted(
        name
        for name, augment in augmentations.items()
        if (read(augment(images))[right] == labels[right]).float().mean() > most
    )""",
            "This counts what stays right. Asked for is what is read wrongly after it: != "
            "instead of ==.",
        ),
        WrongAnswer(
            """\
def breaking(read, images, labels, augmentations, most):
    right = read(images) == labels
    return sorted(
        name
        for name, augment in augmentations.items()
        if (read(augment(images))[right] != labels[right]).sum() > most
    )""",
            "A number of images is compared with a share. Take the mean, not the sum.",
        ),
        WrongAnswer(
            """\
def breaking(read, images, labels, augmentations, most):
    right = read(images) == labels
    return sorted(
        name
        for name, augment in augmentations.items()
        if (read(augment(images)) != labels).sum() / right.sum() > most
    )""",
            "Above the line all images are counted, below it only those that were right before: "
            "count the same ones in both.",
        ),
    ),
    case=breaking_case,
    describe=lambda read, images, labels, augmentations, most: (
        f"{len(labels)} images, {int((read(images) == labels).sum())} of them read rightly, "
        f"most={most}"
    ),
)


# --- a learning rate, picked ----------------------------------------------------------------------


def pick_case(number: int) -> tuple:
    """A range test: rates that grow by one factor, losses in a noisy valley or none, a share."""
    generator = torch.Generator().manual_seed(number)
    count = 8 + 2 * number if number < 20 else 4 + number % 3
    exponents = torch.linspace(-5, 0, count)
    valley = 2.3 - 2 * torch.sigmoid(4 * (exponents + 3)) + 4 * torch.sigmoid(6 * exponents)
    losses = valley + 0.25 * torch.randn(count, generator=generator)
    if number >= 20:  # so few that the first weights decide
        losses = 2 + torch.randn(count, generator=generator).abs() / 4
    return (10.0**exponents).tolist(), losses.tolist(), (0.5, 0.8, 0.9)[number % 3]


PICK = Exercise(
    name="pick_rate",
    task=(
        "Reproduce a pick. `rates` and `losses` are those of a range test, one each batch. Smooth "
        "the losses: after every batch, m = share · m + (1 − share) · loss, with m = 0 before the "
        "first; divide m after n batches by 1 − share**n, since by then the weights sum to that. "
        "Return a tenth of the rate at which the smoothed loss is lowest."
    ),
    stub='''\
def pick_rate(rates, losses, share):
    """A tenth of the rate at which the smoothed loss is lowest."""
    ...''',
    hints=(
        "Keep m in one variable, and count the batches from 1.",
        "smoothed.append(m / (1 - share**n)) in a loop over the losses.",
        "rates[smoothed.index(min(smoothed))] / 10",
    ),
    solution_code='''\
def pick_rate(rates, losses, share):
    """A tenth of the rate at which the smoothed loss is lowest."""
    m, smoothed = 0.0, []
    for n, loss in enumerate(losses, start=1):
        m = share * m + (1 - share) * loss
        smoothed.append(m / (1 - share**n))
    return rates[smoothed.index(min(smoothed))] / 10''',
    wrong=(
        WrongAnswer(
            """\
def pick_rate(rates, losses, share):
    return rates[losses.index(min(losses))] / 10""",
            "Nothing is smoothed: the lowest single batch is an easy batch as often as a good "
            "rate.",
        ),
        WrongAnswer(
            """\
def pick_rate(rates, losses, share):
    m, smoothed = 0.0, []
    for loss in losses:
        m = share * m + (1 - share) * loss
        smoothed.append(m)
    return rates[smoothed.index(min(smoothed))] / 10""",
            "m begins at 0, so that the first smoothed losses are far too low, and the first rate "
            "is picked. Divide by 1 - share**n.",
        ),
        WrongAnswer(
            """\
def pick_rate(rates, losses, share):
    m, smoothed = 0.0, []
    for n, loss in enumerate(losses, start=1):
        m = share * m + (1 - share) * loss
        smoothed.append(m / (1 - share**n))
    return rates[smoothed.index(min(smoothed))]""",
            "This is the rate of the minimum itself, where training is about to fail. Take a tenth "
            "of it.",
        ),
        WrongAnswer(
            """\
def pick_rate(rates, losses, share):
    m, smoothed = 0.0, []
    for n, loss in enumerate(losses, start=1):
        m = share * m + (1 - share) * loss
        smoothed.append(m / (1 - share**n))
    return min(smoothed) / 10""",
            "This is a tenth of the lowest loss. Asked for is a tenth of the rate that belongs to "
            "it.",
        ),
        WrongAnswer(
            """\
def pick_rate(rates, losses, share):
    m, smoothed = 0.0, []
    for n, loss in enumerate(losses, start=1):
        m = (1 - share) * m + share * loss
        smoothed.append(m / (1 - (1 - share)**n))
    return rates[smoothed.index(min(smoothed))] / 10""",
            "The shares are swapped: `share` is how much of the past is kept, a new loss weighs "
            "1 - share.",
        ),
        WrongAnswer(
            """\
def pick_rate(rates, losses, share):
    m, smoothed = losses[0], []
    for loss in losses:
        m = share * m + (1 - share) * loss
        smoothed.append(m)
    return rates[smoothed.index(min(smoothed))] / 10""",
            "m begins with the first loss, which then weighs as much as all that could have come "
            "before it, and lasts long. Begin with 0, and divide by 1 - share**n.",
        ),
        WrongAnswer(
            """\
def pick_rate(rates, losses, share):
    m, smoothed = 0.0, []
    for n, loss in enumerate(losses, start=1):
        m = share * m + (1 - share) * loss
        smoothed.append(m / (1 - share**n))
    falls = [one - other for one, other in zip(smoothed, smoothed[1:])]
    return rates[falls.index(max(falls))] / 10""",
            "This is where the loss falls fastest, another rule for a pick. Asked for is where it "
            "is lowest.",
        ),
        WrongAnswer(
            """\
def pick_rate(rates, losses, share):
    m, smoothed = 0.0, []
    for n, loss in enumerate(losses):
        m = share * m + (1 - share) * loss
        smoothed.append(m / (1 - share**n))
    return rates[smoothed.index(min(smoothed))] / 10""",
            "n begins at 0, and the first m is divided by 1 - share**0 = 0. After the first "
            "batch n is 1: enumerate(losses, start=1).",
        ),
        WrongAnswer(
            """\
def pick_rate(rates, losses, share):
    m, smoothed = 0.0, []
    for n, loss in enumerate(losses, start=1):
        m = share * m + (1 - share) * loss
        smoothed.append(m / (1 - share ** (n + 1)))
    return rates[smoothed.index(min(smoothed))] / 10""",
            "n is one too large: after the first batch the weights sum to 1 - share, which is 1 "
            "- share**1.",
        ),
        WrongAnswer(
            """\
def pick_rate(rates, losses, share):
    m, smoothed = 0.0, []
    for n, loss in enumerate(losses, start=1):
        m = (share * m + (1 - share) * loss) / (1 - share**n)
        smoothed.append(m)
    return rates[smoothed.index(min(smoothed))] / 10""",
            "The division goes into m, and so into all that follow, again and again. Keep m as "
            "it is, and divide only what you append.",
        ),
        WrongAnswer(
            """\
def pick_rate(rates, losses, share):
    m, smoothed = 0.0, []
    for n, loss in enumerate(losses, start=1):
        m = share * m + (1 - share) * loss
        smoothed.append(m * (1 - share**n))
    return rates[smoothed.index(min(smoothed))] / 10""",
            "Multiplied where it should be divided: m is too small at first, by 1 - share**n.",
        ),
        WrongAnswer(
            """\
def pick_rate(rates, losses, share):
    m, smoothed = 0.0, []
    for n, loss in enumerate(losses, start=1):
        m = share * m + (1 - share) * loss
        smoothed.append(m / (1 - share * n))
    return rates[smoothed.index(min(smoothed))] / 10""",
            "share * n is a product. What is left of a first weight after n batches is a power: "
            "share**n.",
        ),
        WrongAnswer(
            """\
def pick_rate(rates, losses, share):
    m, smoothed = 0.0, []
    for n, loss in enumerate(losses, start=1):
        m = share * m + (1 - share) * loss
        smoothed.append(m / (1 - share**n))
    return rates[smoothed.index(max(smoothed))] / 10""",
            "This is where the loss is highest. Asked for is where it is lowest.",
        ),
        WrongAnswer(
            """\
def pick_rate(rates, losses, share):
    m, smoothed = 0.0, []
    for n, loss in enumerate(losses, start=1):
        m = share * m + (1 - share) * loss
        smoothed.append(m / (1 - share**n))
    return smoothed.index(min(smoothed))""",
            "This is the number of the batch. Its rate is rates[...], and asked for is a tenth "
            "of that.",
        ),
        WrongAnswer(
            """\
def pick_rate(rates, losses, share):
    m, smoothed = 0.0, []
    for n, loss in enumerate(losses, start=1):
        m = share * m + (1 - share) * loss
        smoothed.append(m / (1 - share**n))
    return rates[smoothed.index(min(smoothed))] * 10""",
            "Ten times the rate of the minimum spoils everything. A tenth of it leaves room.",
        ),
    ),
    case=pick_case,
    describe=lambda rates, losses, share: (
        f"{len(rates)} rates from {rates[0]:.0e} to {rates[-1]:.0e}, share={share}"
    ),
)


# --- cosine with warm-up --------------------------------------------------------------------------


def rate_case(number: int) -> tuple:
    """A batch of a schedule: the first of the warm-up, its last, the first after it, others."""
    warm_up = (2, 4, 0, 5)[number % 4]
    steps = warm_up + 4 + number // 4
    places = (0, max(0, warm_up - 1), warm_up, warm_up + 2, steps - 1)
    return places[number // 2 % 5], steps, warm_up, (0.1, 0.4, 1.0)[number % 3]


RATE_AT = Exercise(
    name="rate_at",
    task=(
        "Write the schedule of most recipes. Of `steps` batches, numbered from 0, the first "
        "`warm_up` grow in equal steps to `lr`: the last of them has exactly `lr`, the first a "
        "`warm_up`-th of it. The batch after them has `lr` too, and from there half a wave of the "
        "cosine leads down to 0, which the batch after the last would have. Return the rate of "
        "batch `step`, a float."
    ),
    stub='''\
def rate_at(step, steps, warm_up, lr):
    """Learning rate of a batch: a linear warm-up, then a cosine to 0."""
    ...''',
    hints=(
        "Two cases: step < warm_up, and the rest. In the first, batch 0 has lr / warm_up.",
        "After the warm-up, which share of the way down is done? It has steps - warm_up batches.",
        "lr * (1 + math.cos(math.pi * done)) / 2, with done = (step - warm_up) / (steps - warm_up)",
    ),
    solution_code='''\
def rate_at(step, steps, warm_up, lr):
    """Learning rate of a batch: a linear warm-up, then a cosine to 0."""
    if step < warm_up:
        return lr * (step + 1) / warm_up
    done = (step - warm_up) / (steps - warm_up)
    return lr * (1 + math.cos(math.pi * done)) / 2''',
    wrong=(
        WrongAnswer(
            """\
def rate_at(step, steps, warm_up, lr):
    if step < warm_up:
        return lr * step / warm_up
    return lr * (1 + math.cos(math.pi * (step - warm_up) / (steps - warm_up))) / 2""",
            "The first batch has the rate 0: it is computed, and nothing is learned from it. Count "
            "the warm-up from 1.",
        ),
        WrongAnswer(
            """\
def rate_at(step, steps, warm_up, lr):
    if step < warm_up:
        return lr * (step + 1) / warm_up
    return lr * (1 + math.cos(math.pi * step / steps)) / 2""",
            "The cosine runs over all batches, so that after the warm-up the rate jumps down. It "
            "begins after the warm-up, and has steps - warm_up batches.",
        ),
        WrongAnswer(
            """\
def rate_at(step, steps, warm_up, lr):
    if step < warm_up:
        return lr * (step + 1) / warm_up
    return lr * (1 + math.cos(math.pi * (step - warm_up) / steps)) / 2""",
            "The way down is as long as the whole training, so it ends before it is at 0: divide "
            "by steps - warm_up.",
        ),
        WrongAnswer(
            """\
def rate_at(step, steps, warm_up, lr):
    if step < warm_up:
        return lr * (step + 1) / warm_up
    return lr * math.cos(math.pi * (step - warm_up) / (steps - warm_up))""",
            "A cosine goes from 1 to -1, and with a rate below 0 training climbs. Lift it by 1 and "
            "halve it.",
        ),
        WrongAnswer(
            """\
def rate_at(step, steps, warm_up, lr):
    if step < warm_up:
        return lr * (step + 1) / warm_up
    return lr * (1 + math.cos(math.pi * (step - warm_up) / (steps - warm_up)))""",
            "This begins at twice `lr`: 1 + cos goes from 2 to 0. Halve it.",
        ),
        WrongAnswer(
            """\
def rate_at(step, steps, warm_up, lr):
    if step < warm_up:
        return lr * (step + 1) / warm_up
    return lr * (1 + math.cos(180 * (step - warm_up) / (steps - warm_up))) / 2""",
            "math.cos takes radians: half a turn is math.pi, not 180.",
        ),
        WrongAnswer(
            """\
def rate_at(step, steps, warm_up, lr):
    if step < warm_up:
        return lr * (step + 1) / warm_up
    return lr * (1 + math.cos(2 * math.pi * (step - warm_up) / (steps - warm_up))) / 2""",
            "That is a whole wave: it is at 0 in the middle, and climbs again. Half a wave is pi.",
        ),
        WrongAnswer(
            """\
def rate_at(step, steps, warm_up, lr):
    if step < warm_up:
        return lr * (step + 1) / warm_up
    return lr * (1 - (step - warm_up) / (steps - warm_up))""",
            "A straight line down: that is the linear schedule. The cosine stays high for longer "
            "and ends more softly.",
        ),
        WrongAnswer(
            """\
def rate_at(step, steps, warm_up, lr):
    return lr * (1 + math.cos(math.pi * step / steps)) / 2""",
            "There is no warm-up: the first batches should have smaller rates.",
        ),
        WrongAnswer(
            """\
def rate_at(step, steps, warm_up, lr):
    if step <= warm_up:
        return lr * step / warm_up
    return lr * (1 + math.cos(math.pi * (step - warm_up) / (steps - warm_up))) / 2""",
            "The warm-up is one batch late: batch 0 gets 0, and the last of the warm-up less "
            "than lr. Count step + 1, for step < warm_up.",
        ),
        WrongAnswer(
            """\
def rate_at(step, steps, warm_up, lr):
    if step <= warm_up:
        return lr * (step + 1) / warm_up
    return lr * (1 + math.cos(math.pi * (step - warm_up) / (steps - warm_up))) / 2""",
            "The warm-up has one batch too many, whose rate is above lr: batch warm_up is the "
            "first of the cosine.",
        ),
        WrongAnswer(
            """\
def rate_at(step, steps, warm_up, lr):
    if step < warm_up:
        return lr * (step + 1) / (warm_up + 1)
    return lr * (1 + math.cos(math.pi * (step - warm_up) / (steps - warm_up))) / 2""",
            "The last batch of the warm-up should have exactly lr: divide by warm_up.",
        ),
        WrongAnswer(
            """\
def rate_at(step, steps, warm_up, lr):
    if step < warm_up:
        return lr
    return lr * (1 + math.cos(math.pi * (step - warm_up) / (steps - warm_up))) / 2""",
            "In the warm-up the rate is lr at once. It should grow in equal steps.",
        ),
        WrongAnswer(
            """\
def rate_at(step, steps, warm_up, lr):
    if step < warm_up:
        return lr / warm_up
    return lr * (1 + math.cos(math.pi * (step - warm_up) / (steps - warm_up))) / 2""",
            "Every batch of the warm-up has the same small rate. Batch `step` has step + 1 "
            "times as much.",
        ),
        WrongAnswer(
            """\
def rate_at(step, steps, warm_up, lr):
    if step < warm_up:
        return (step + 1) / warm_up
    return lr * (1 + math.cos(math.pi * (step - warm_up) / (steps - warm_up))) / 2""",
            "In the warm-up lr is forgotten: it leads up to 1. Multiply by lr.",
        ),
        WrongAnswer(
            """\
def rate_at(step, steps, warm_up, lr):
    if step < warm_up:
        return lr * (step + 1) / warm_up
    return (1 + math.cos(math.pi * (step - warm_up) / (steps - warm_up))) / 2""",
            "After the warm-up lr is forgotten: the cosine leads down from 1. Multiply by lr.",
        ),
        WrongAnswer(
            """\
def rate_at(step, steps, warm_up, lr):
    if step < warm_up:
        return lr * (step + 1) / warm_up
    return lr * (1 + math.cos(math.pi * (step - warm_up) / (steps - warm_up - 1))) / 2""",
            "The last batch has the rate 0 already, and is computed for nothing. 0 is what the "
            "batch after the last would have.",
        ),
        WrongAnswer(
            """\
def rate_at(step, steps, warm_up, lr):
    if step < warm_up:
        return lr * (step + 1) / warm_up
    return lr * (1 + math.cos(math.pi * (step - warm_up + 1) / (steps - warm_up))) / 2""",
            "The cosine is one batch ahead: the first batch after the warm-up still has lr.",
        ),
        WrongAnswer(
            """\
def rate_at(step, steps, warm_up, lr):
    if step < warm_up:
        return lr * (step + 1) / warm_up
    return lr * (1 - math.cos(math.pi * (step - warm_up) / (steps - warm_up))) / 2""",
            "With a minus the wave begins at 0 and climbs to lr. Down goes 1 + cos.",
        ),
        WrongAnswer(
            """\
def rate_at(step, steps, warm_up, lr):
    if step < warm_up:
        return lr * (step + 1) / warm_up
    return lr * (1 + math.sin(math.pi * (step - warm_up) / (steps - warm_up))) / 2""",
            "That is a sine: it begins in the middle and climbs first. Take the cosine.",
        ),
        WrongAnswer(
            """\
def rate_at(step, steps, warm_up, lr):
    if step < warm_up:
        return lr * (step + 1) / warm_up
    return lr * math.cos(math.pi / 2 * (step - warm_up) / (steps - warm_up))""",
            "A quarter of a wave: it falls steeply to the end. Half a wave, lifted and halved, "
            "ends softly.",
        ),
        WrongAnswer(
            """\
def rate_at(step, steps, warm_up, lr):
    if step < warm_up:
        return lr * (step + 1) / warm_up
    return lr * (1 + math.cos((step - warm_up) / (steps - warm_up))) / 2""",
            "math.pi is missing: 1 radian is a third of the way, and the rate stays high.",
        ),
    ),
    case=rate_case,
    describe=lambda step, steps, warm_up, lr: (
        f"step={step} of steps={steps}, warm_up={warm_up}, lr={lr}"
    ),
    cases=40,
)


# --- an average of the weights --------------------------------------------------------------------


def average_case(number: int) -> tuple:
    """An average, weights of the same shapes (from the second case on with a counter), a decay."""
    generator = torch.Generator().manual_seed(number)
    shapes = [(2,), (3, 2), (1, 2, 2)][: 1 + number % 3]
    average, weights = (
        [torch.randn(shape, generator=generator) for shape in shapes] for _ in range(2)
    )
    if number:
        average.append(torch.tensor(10 * number))
        weights.append(torch.tensor(10 * number + 7))
    return average, weights, (0.9, 0.5, 0.99, 0.75)[number % 4]


AVERAGE = Exercise(
    name="averaged",
    task=(
        "Keep an average of a network's weights. `average` and `weights` are lists of tensors, in "
        "the same order: the average so far, and the network as it is after one more step. Return "
        "the new average, a list: of the old average the share `decay`, of the weights the rest. "
        "Tensors of whole numbers, such as batch normalisation's counter of batches, are taken "
        "from `weights` as they are. Change neither list."
    ),
    stub='''\
def averaged(average, weights, decay):
    """The new average of the weights, a list of tensors; both arguments stay as they are."""
    ...''',
    hints=(
        "decay is near 1: the average moves a little way towards the weights.",
        "zip(average, weights) gives pairs; tensor.is_floating_point() tells the counters apart.",
        "decay * old + (1 - decay) * new makes a new tensor, and spoils none.",
    ),
    solution_code='''\
def averaged(average, weights, decay):
    """The new average of the weights, a list of tensors; both arguments stay as they are."""
    return [
        decay * old + (1 - decay) * new if new.is_floating_point() else new.clone()
        for old, new in zip(average, weights)
    ]''',
    wrong=(
        WrongAnswer(
            """\
def averaged(average, weights, decay):
    return [
        (1 - decay) * old + decay * new if new.is_floating_point() else new.clone()
        for old, new in zip(average, weights)
    ]""",
            "The shares are swapped: this forgets nearly all of the past at every step. `decay` is "
            "the share of the old average.",
        ),
        WrongAnswer(
            """\
def averaged(average, weights, decay):
    return [
        (old + new) / 2 if new.is_floating_point() else new.clone()
        for old, new in zip(average, weights)
    ]""",
            "A plain mean of the two: after ten steps a weight counts for a thousandth. Use decay.",
        ),
        WrongAnswer(
            """\
def averaged(average, weights, decay):
    return [
        decay * old + new if new.is_floating_point() else new.clone()
        for old, new in zip(average, weights)
    ]""",
            "The shares sum to more than 1, so the average grows with every step: the new weights "
            "count with 1 - decay.",
        ),
        WrongAnswer(
            """\
def averaged(average, weights, decay):
    return [decay * old + (1 - decay) * new for old, new in zip(average, weights)]""",
            "The counter became a fraction. Whole numbers are not averaged, but taken from the "
            "weights.",
        ),
        WrongAnswer(
            """\
def averaged(average, weights, decay):
    return [
        decay * old + (1 - decay) * new if new.is_floating_point() else old.clone()
        for old, new in zip(average, weights)
    ]""",
            "The counter stays where it was. Take it from the weights.",
        ),
        WrongAnswer(
            """\
def averaged(average, weights, decay):
    return [
        decay * old + (1 - decay) * new
        for old, new in zip(average, weights)
        if new.is_floating_point()
    ]""",
            "The counter is left out, and then the list does not fit the network any more.",
        ),
        WrongAnswer(
            """\
def averaged(average, weights, decay):
    return [new.clone() for new in weights]""",
            "These are the weights of the last step: nothing is averaged.",
        ),
        WrongAnswer(
            """\
def averaged(average, weights, decay):
    return [
        decay * old - (1 - decay) * new if new.is_floating_point() else new.clone()
        for old, new in zip(average, weights)
    ]""",
            "The new weights are taken away instead of added.",
        ),
        WrongAnswer(
            """\
def averaged(average, weights, decay):
    return [
        decay * old + 1 - decay * new if new.is_floating_point() else new.clone()
        for old, new in zip(average, weights)
    ]""",
            "Brackets: 1 - decay * new is 1 minus a product. The share of the new weights is (1 "
            "- decay) * new.",
        ),
        WrongAnswer(
            """\
def averaged(average, weights, decay):
    return [
        (decay * old + (1 - decay) * new).to(new.dtype)
        for old, new in zip(average, weights)
    ]""",
            "The counter is averaged too, and then cut to a whole number. It is taken from the "
            "weights as it is.",
        ),
        WrongAnswer(
            """\
def averaged(average, weights, decay):
    for old, new in zip(average, weights):
        old = decay * old + (1 - decay) * new
    return average""",
            "`old = ...` gives a name to a new tensor, and the list keeps the old one. Collect "
            "the new tensors in a list.",
        ),
        WrongAnswer(
            """\
def averaged(average, weights, decay):
    found = []
    for old, new in zip(average, weights):
        found.append(decay * old + (1 - decay) * new if new.is_floating_point() else new.clone())
        return found""",
            "The return stands in the loop, and ends it at the first tensor. Move it out by one "
            "step.",
        ),
        WrongAnswer(
            """\
def averaged(average, weights, decay):
    return decay * average + (1 - decay) * weights""",
            "A list cannot be multiplied by a number. Go through both lists with zip, tensor by "
            "tensor.",
        ),
        WrongAnswer(
            """\
def averaged(average, weights, decay):
    return decay * average[0] + (1 - decay) * weights[0]""",
            "Only the first tensor is averaged. All of them are asked for, in a list.",
        ),
    ),
    case=average_case,
    describe=lambda average, weights, decay: (
        f"{len(average)} tensors, the first {tuple(average[0].shape)}, decay={decay}"
    ),
)

EXERCISES = (BREAKING, PICK, RATE_AT, AVERAGE)
