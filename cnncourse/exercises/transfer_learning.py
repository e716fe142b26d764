"""Exercises of the lesson on transfer: what freezes, what moved, rates by depth, a leak."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from cnncourse.exercises import Exercise, Question, WrongAnswer

WHAT_DRIFTS = Question(
    "All parameters of a pretrained ResNet-18 but the head's have requires_grad=False. It trains "
    "for one epoch, in train mode as usual. Which tensors outside the head are others afterwards?",
    (
        "none: without a gradient nothing moves",
        "a few, in the last block",
        "the 40 running means and variances of batch normalisation",
        "all of them",
    ),
    answer="the 40 running means and variances of batch normalisation",
    why=(
        "No gradient moves them: batch normalisation takes them from every batch that passes in "
        "train mode. 20 layers with a mean and a variance each are 40 tensors."
    ),
)
TWO_LABELS = Question(
    "16 materials, two labelled pictures of each. A network that begins from random weights learns "
    "these 32 pictures by heart. How many of the test pictures will it name rightly? (By guessing: "
    "1 in 16.)",
    ("about 1 in 16", "somewhat more than that, under 1 in 4", "about half", "nearly all"),
    answer="somewhat more than that, under 1 in 4",
    why=(
        "Two pictures do not say what of them is the material. The network finds some rule that "
        "tells these 32 apart, and of all such rules most do not hold for new pictures."
    ),
)
PATCHES_AT_RANDOM = Question(
    "We cut overlapping patches from the same photographs and deal them at random into train and "
    "test. What does the test accuracy do, compared with a split by region?",
    ("it stays as it is", "it falls: the test is harder", "it rises: the test is easier"),
    answer="it rises: the test is easier",
    why=(
        "Many a test patch now overlaps one that was trained on, or lies beside it, in the same "
        "light and focus. What rises is the number: the network is no better on a new photograph."
    ),
)


# --- a small network ------------------------------------------------------------------------------


class Small(nn.Module):
    """Blocks of convolution and batch normalisation, as many as widths, and a head named fc."""

    def __init__(self, widths: tuple[int, ...], classes: int) -> None:
        super().__init__()
        pairs = zip((1, *widths), widths, strict=False)
        self.blocks = nn.Sequential(*(block(one, other) for one, other in pairs))
        self.fc = nn.Linear(widths[-1], classes)

    def forward(self, images: Tensor) -> Tensor:
        """(N, 1, H, W) -> logits (N, classes)."""
        return self.fc(self.blocks(images).mean(dim=(2, 3)))


def block(in_channels: int, out_channels: int) -> nn.Module:
    """3x3 convolution, batch normalisation, ReLU."""
    convolution = nn.Conv2d(in_channels, out_channels, 3, padding=1, bias=False)
    return nn.Sequential(convolution, nn.BatchNorm2d(out_channels), nn.ReLU())


def small(number: int, classes: int = 5) -> Small:
    """A network of one to three blocks, drawn from the number."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(number)
        model = Small((2, 3, 4)[: 1 + number % 3], classes)
        for module in model.modules():
            if isinstance(module, nn.BatchNorm2d):  # as after a training, not the 0 and 1 it has
                for tensor in module.state_dict().values():
                    if tensor.is_floating_point():
                        tensor.uniform_(0.5, 1.5)
        return model


# --- the line that freezes too much ---------------------------------------------------------------


def left_to_train(function: Callable, arguments: tuple) -> object:
    """Names of the parameters that get a gradient, shape of the logits, what was not kept."""
    learned = {name: tensor.clone() for name, tensor in arguments[0].state_dict().items()}
    model = function(*arguments)
    if not isinstance(model, nn.Module):
        return model
    state = model.state_dict()
    lost = [
        name
        for name, tensor in learned.items()
        if not name.startswith("fc.") and not torch.equal(state.get(name, tensor + 1), tensor)
    ]
    logits = model(torch.randn(4, 1, 5, 5))
    if not logits.requires_grad:
        return ["no parameter gets a gradient"], tuple(logits.shape), lost
    logits.square().sum().backward()
    named = [name for name, parameter in model.named_parameters() if parameter.grad is not None]
    return named, tuple(logits.shape), lost


HEAD_FIRST = '''\
def prepare(model: nn.Module, num_classes: int) -> nn.Module:
    """Freeze what was learned, and put in a new head `fc` for num_classes, which trains."""
    model.fc = nn.Linear(model.fc.in_features, num_classes)
    for parameter in model.parameters():
        parameter.requires_grad = False
    return model'''

PREPARE = Exercise(
    name="prepare",
    task=(
        "This function is to make a pretrained network ready for new classes: all that was learned "
        "stays as it is, and a new head trains. With it the loss does not fall, or `backward()` "
        "raises an error. Find the line that freezes too much, and mend the function."
    ),
    stub=HEAD_FIRST,
    hints=(
        "After the call, which parameters have requires_grad=True? Print their names.",
        "The loop walks over all parameters that the model has at that moment. Is the new head "
        "among them?",
        "Freeze first, then replace: the new Linear's parameters have requires_grad=True.",
    ),
    solution_code='''\
def prepare(model: nn.Module, num_classes: int) -> nn.Module:
    """Freeze what was learned, and put in a new head `fc` for num_classes, which trains."""
    for parameter in model.parameters():
        parameter.requires_grad = False
    model.fc = nn.Linear(model.fc.in_features, num_classes)
    return model''',
    wrong=(
        WrongAnswer(
            """\
def prepare(model, num_classes):
    model.fc = nn.Linear(model.fc.in_features, num_classes)
    return model""",
            "Nothing is frozen now: the blocks have gradients, too. Keep the loop, and let the "
            "head come after it.",
        ),
        WrongAnswer(
            """\
def prepare(model, num_classes):
    for parameter in model.parameters():
        parameter.requires_grad = False
    model.fc = nn.Linear(model.fc.in_features, num_classes)
    model.fc.bias.requires_grad = False
    return model""",
            "The head's weight trains and its bias does not. Both belong to the head.",
        ),
        WrongAnswer(
            """\
def prepare(model, num_classes):
    for parameter in model.parameters():
        parameter.requires_grad = False
    model.fc = nn.Linear(model.fc.in_features, num_classes)
    for parameter in model.blocks[-1].parameters():
        parameter.requires_grad = True
    return model""",
            "The last block trains as well. Here all that was learned is to stay; unfreezing is "
            "another stage.",
        ),
        WrongAnswer(
            """\
def prepare(model, num_classes):
    for parameter in model.parameters():
        parameter.requires_grad = False
    for parameter in model.fc.parameters():
        parameter.requires_grad = True
    return model""",
            "The old head trains, with the old number of classes. Put in a new Linear for "
            "num_classes.",
        ),
        WrongAnswer(
            """\
def prepare(model, num_classes):
    for name, parameter in model.named_parameters():
        if parameter.ndim == 4:
            parameter.requires_grad = False
    model.fc = nn.Linear(model.fc.in_features, num_classes)
    return model""",
            "The convolutions are frozen; the weight and bias of batch normalisation still train. "
            "They were learned, too.",
        ),
        WrongAnswer(
            """\
def prepare(model, num_classes):
    for module in model.modules():
        if hasattr(module, "reset_parameters"):
            module.reset_parameters()
    for parameter in model.parameters():
        parameter.requires_grad = False
    model.fc = nn.Linear(model.fc.in_features, num_classes)
    return model""",
            "What was learned is gone: the blocks have other numbers than before. Only the head is "
            "to be new.",
        ),
    ),
    case=lambda number: (small(number), 2 + number % 4),
    describe=lambda model, num_classes: (
        f"a network of {len(model.blocks)} blocks, {num_classes} classes"
    ),
    outcome=left_to_train,
    cases=9,
    faulty=True,
)


# --- auditing a difference ------------------------------------------------------------------------

CHANGES = (  # which tensors of the state are changed, by the ends of their names
    (),
    ("fc.weight",),
    ("running_mean",),
    ("num_batches_tracked",),
    ("fc.weight", "fc.bias"),
    ("running_mean", "running_var", "num_batches_tracked"),
    ("0.0.weight", "running_var"),
    ("weight", "running_mean", "num_batches_tracked"),
)


def states_case(number: int) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """A state before, and one after: one number of a tensor moved, or two that cancel out.

    In every fifth case it moved by no more than its last digits.
    """
    before = {name: tensor.clone() for name, tensor in small(number).state_dict().items()}
    after = {name: tensor.clone() for name, tensor in before.items()}
    for name, tensor in after.items():
        if name.endswith(CHANGES[number % len(CHANGES)]):
            flat = tensor.view(-1)
            flat[-1] += 1
            if number % 3 == 2 and len(flat) > 1:
                flat[0] -= 1  # the sum is as it was
            if number % 5 == 4 and tensor.is_floating_point():
                old = float(before[name].view(-1)[-1])
                flat[-1] = old + max(2e-7 * abs(old), 1e-9)  # a small change is one, too
    return before, after


def said_states(before: dict[str, Tensor], after: dict[str, Tensor]) -> str:
    """A case in words."""
    changed = [name for name in before if not torch.equal(before[name], after[name])]
    return f"{len(before)} tensors, of which {', '.join(changed) or 'none'} differ"


AUDIT = Exercise(
    name="moved",
    task=(
        "Audit a training: `before` and `after` are two copies of a network's `state_dict()`, "
        "dictionaries of tensors. Return two lists of names, in the dictionary's order: the "
        "parameters in which any number changed, and the running means and variances in which any "
        "number changed. Counters (`num_batches_tracked`) are in neither."
    ),
    stub='''\
def moved(before: dict[str, Tensor], after: dict[str, Tensor]) -> tuple[list, list]:
    """Names of the parameters, and of the running statistics, that differ between two states."""
    ...''',
    hints=(
        "Go through before.items() and compare each tensor with after[name].",
        "torch.equal says whether every number is the same. The name's end says what it is: "
        "running_mean, running_var, num_batches_tracked; all others are parameters.",
        'changed = [n for n in before if not torch.equal(before[n], after[n])]; then sort by "'
        'running_" in the name, and leave out those that end in num_batches_tracked.',
    ),
    solution_code='''\
def moved(before, after):
    """Names of the parameters, and of the running statistics, that differ between two states."""
    changed = [name for name in before if not torch.equal(before[name], after[name])]
    changed = [name for name in changed if not name.endswith("num_batches_tracked")]
    statistics = [name for name in changed if "running_" in name]
    return [name for name in changed if name not in statistics], statistics''',
    wrong=(
        WrongAnswer(
            """\
def moved(before, after):
    changed = [n for n in before if float(before[n].sum()) != float(after[n].sum())]
    changed = [n for n in changed if not n.endswith("num_batches_tracked")]
    statistics = [n for n in changed if "running_" in n]
    return [n for n in changed if n not in statistics], statistics""",
            "You compare sums: two changes that cancel out are not seen. Compare number by number.",
        ),
        WrongAnswer(
            """\
def moved(before, after):
    changed = [n for n in before if bool((before[n] != after[n]).all())]
    changed = [n for n in changed if not n.endswith("num_batches_tracked")]
    statistics = [n for n in changed if "running_" in n]
    return [n for n in changed if n not in statistics], statistics""",
            "You ask whether all numbers of a tensor changed. One is enough: any, not all.",
        ),
        WrongAnswer(
            """\
def moved(before, after):
    changed = [n for n in before if not torch.equal(before[n], after[n])]
    statistics = [n for n in changed if "running_" in n]
    return [n for n in changed if n not in statistics], statistics""",
            "The counters num_batches_tracked count as parameters. Leave them out.",
        ),
        WrongAnswer(
            """\
def moved(before, after):
    changed = [n for n in before if not torch.allclose(before[n], after[n], atol=1e-2)]
    changed = [n for n in changed if not n.endswith("num_batches_tracked")]
    statistics = [n for n in changed if "running_" in n]
    return [n for n in changed if n not in statistics], statistics""",
            "Small changes pass as none. What is frozen does not move at all: ask for equality.",
        ),
        WrongAnswer(
            """\
def moved(before, after):
    changed = [n for n in before if not torch.equal(before[n], after[n])]
    changed = [n for n in changed if not n.endswith("num_batches_tracked")]
    return changed, [n for n in changed if "running_" in n]""",
            "The running statistics are in the first list as well. They are no parameters: no "
            "gradient moves them.",
        ),
        WrongAnswer(
            """\
def moved(before, after):
    changed = [n for n in before if not torch.equal(before[n], after[n])]
    changed = [n for n in changed if not n.endswith("num_batches_tracked")]
    return [n for n in changed if "running_" not in n], []""",
            "The drift of the running statistics is not reported: it is what requires_grad=False "
            "does not stop.",
        ),
    ),
    case=states_case,
    describe=said_states,
    cases=30,
)


# --- rates by depth -------------------------------------------------------------------------------


def parts_case(number: int) -> tuple[list[nn.Module], float, float]:
    """Parts of a network from the first to the head, some frozen; a rate and a decay.

    Mostly the first ones are; in every sixth case it is the one before the head alone.
    """
    model = small(number)
    parts: list[nn.Module] = [*model.blocks, model.fc]
    if number >= 3:
        frozen = parts[-2:-1] if number % 6 == 5 else parts[: number % len(parts)]
        for part in frozen:
            part.requires_grad_(False)
    if number % 4 == 3:
        model.fc.bias.requires_grad_(False)
    return parts, (0.1, 0.02, 0.5)[number % 3], (0.5, 0.25, 1.0, 0.8)[number // 2 % 4]


def read_groups(function: Callable, arguments: tuple) -> object:
    """Rate and shapes of every group, as an optimiser takes them."""
    groups: Any = function(*arguments)
    if not isinstance(groups, list):
        return groups
    optimizer = torch.optim.SGD(groups, lr=9.0)
    return [
        (float(group["lr"]), [tuple(parameter.shape) for parameter in group["params"]])
        for group in optimizer.param_groups
    ]


RATES = Exercise(
    name="groups",
    task=(
        "Give each part of a network its own learning rate. `parts` is a list of modules, from the "
        "first that meets the picture to the head. The head's rate is `lr`, that of the part "
        "before it `lr * decay`, before that `lr * decay**2`, and so on. Return a list for an "
        'optimiser, from the first part to the head: `{"params": [...], "lr": ...}`. Frozen '
        "parameters are left out, and a part without any other gets no group."
    ),
    stub='''\
def groups(parts: list[nn.Module], lr: float, decay: float) -> list[dict]:
    """Groups of an optimiser, one a part that trains; the rate shrinks away from the head."""
    ...''',
    hints=(
        "With enumerate(parts) you know the place; the head's is len(parts) - 1.",
        "The steps from the head are len(parts) - 1 - place. Frozen parts count as steps, too.",
        "trained = [p for p in part.parameters() if p.requires_grad]; if trained: append "
        '{"params": trained, "lr": lr * decay ** steps}.',
    ),
    solution_code='''\
def groups(parts, lr, decay):
    """Groups of an optimiser, one a part that trains; the rate shrinks away from the head."""
    found = []
    for place, part in enumerate(parts):
        trained = [parameter for parameter in part.parameters() if parameter.requires_grad]
        if trained:
            found.append({"params": trained, "lr": lr * decay ** (len(parts) - 1 - place)})
    return found''',
    wrong=(
        WrongAnswer(
            """\
def groups(parts, lr, decay):
    found = []
    for place, part in enumerate(parts):
        trained = [p for p in part.parameters() if p.requires_grad]
        if trained:
            found.append({"params": trained, "lr": lr * decay ** place})
    return found""",
            "The first part has the largest rate, the head the smallest. It is the head that has "
            "everything to learn: count the steps from it.",
        ),
        WrongAnswer(
            """\
def groups(parts, lr, decay):
    found = []
    for place, part in enumerate(parts):
        trained = [p for p in part.parameters() if p.requires_grad]
        if trained:
            found.append({"params": trained, "lr": lr * decay ** (len(parts) - place)})
    return found""",
            "All rates are one step too small: the head's is lr itself, decay to the power 0.",
        ),
        WrongAnswer(
            """\
def groups(parts, lr, decay):
    last = len(parts) - 1
    return [
        {"params": list(part.parameters()), "lr": lr * decay ** (last - place)}
        for place, part in enumerate(parts)
    ]""",
            "Frozen parameters are in the groups. Leave out those without requires_grad.",
        ),
        WrongAnswer(
            """\
def groups(parts, lr, decay):
    found = []
    for part in parts:
        trained = [p for p in part.parameters() if p.requires_grad]
        if trained:
            found.append({"params": trained, "lr": lr})
    return found""",
            "Every part has the same rate: decay is not used.",
        ),
        WrongAnswer(
            """\
def groups(parts, lr, decay):
    found = []
    for place, part in enumerate(parts):
        trained = [p for p in part.parameters() if p.requires_grad]
        if trained:
            found.append({"params": trained, "lr": lr * decay * (len(parts) - 1 - place)})
    return found""",
            "The decay is multiplied by the steps, not raised to their power. For the head that "
            "gives a rate of 0.",
        ),
        WrongAnswer(
            """\
def groups(parts, lr, decay):
    found = []
    for place, part in enumerate(parts):
        trained = [p for p in part.parameters() if p.requires_grad]
        if trained:
            found.insert(0, {"params": trained, "lr": lr * decay ** (len(parts) - 1 - place)})
    return found""",
            "The groups are right, and come in the reverse order. The first part is asked for "
            "first.",
        ),
        WrongAnswer(
            """\
def groups(parts, lr, decay):
    found, rate = [], lr
    for part in reversed(parts):
        trained = [p for p in part.parameters() if p.requires_grad]
        if trained:
            found.insert(0, {"params": trained, "lr": rate})
            rate = rate * decay
    return found""",
            "A frozen part is no step in yours: what stands before it has too large a rate. Depth "
            "counts, whether a part trains or not.",
        ),
    ),
    case=parts_case,
    describe=lambda parts, lr, decay: (
        f"{len(parts)} parts, of which "
        f"{sum(not any(p.requires_grad for p in part.parameters()) for part in parts)} frozen, "
        f"lr={lr}, decay={decay}"
    ),
    outcome=read_groups,
    cases=24,
)


# --- the picture that is in both ------------------------------------------------------------------


def nearly(picture: Tensor, number: int) -> Tensor:
    """A picture (C, H, W) that is nearly another: upside down, one gray level brighter, its pixels
    in another order, moved to the side, other in one pixel, or alike in one pixel alone.
    """
    changed, alike = picture.clone(), 1 - picture
    changed[..., -1, -1] += 0.5
    alike[..., 0, 0] = picture[..., 0, 0]
    turned = picture.flatten().flip(0).view_as(picture)
    ways = (picture.flip(-2), picture + 1 / 255, turned, picture.roll(1, -1), changed, alike)
    return ways[number % len(ways)]


def leak_case(number: int) -> tuple[Tensor, Tensor]:
    """Pictures to train on and to test with: some of these are among those, or are mirrored.

    Others are near (see `nearly`); in every sixth case two pictures to train on are the same.
    """
    draw = torch.Generator().manual_seed(number)
    size = 2 + number % 3
    train = torch.rand(2 + number % 4, 1, size, size + 1, generator=draw)
    if number % 6 == 3:
        train[0] = train[-1]
    test = [torch.rand(1, size, size + 1, generator=draw)]
    if number % 2:
        test += [train[-1].clone(), nearly(train[1], number // 2)]
    if number % 4 > 1:
        test += [train[0].flip(-1)]
    if number % 5 == 4:
        test += [train[-1].clone()]
    return train, torch.stack(test)


TWINS = Exercise(
    name="twins",
    task=(
        "Find what leaks: `train` (N, C, H, W) and `test` (M, C, H, W) are pictures. Return the "
        "list of all pairs (index in train, index in test) whose pictures are the same in every "
        "pixel, or would be if one were mirrored left to right; sorted."
    ),
    stub='''\
def twins(train: Tensor, test: Tensor) -> list[tuple[int, int]]:
    """Pairs of indices of pictures that are the same, or each other's mirror image."""
    ...''',
    hints=(
        "Two loops, over train and over test: every picture meets every other.",
        "picture.flip(-1) is the mirror image, left to right; torch.equal compares all pixels.",
        "if torch.equal(a, b) or torch.equal(a.flip(-1), b): found.append((i, j)).",
    ),
    solution_code='''\
def twins(train, test):
    """Pairs of indices of pictures that are the same, or each other's mirror image."""
    found = []
    for i, known in enumerate(train):
        for j, asked in enumerate(test):
            if torch.equal(known, asked) or torch.equal(known.flip(-1), asked):
                found.append((i, j))
    return found''',
    wrong=(
        WrongAnswer(
            """\
def twins(train, test):
    return [
        (i, j)
        for i, known in enumerate(train)
        for j, asked in enumerate(test)
        if torch.equal(known, asked)
    ]""",
            "Mirror images are not found. A network that is trained with flips has seen them, too.",
        ),
        WrongAnswer(
            """\
def twins(train, test):
    return [
        (i, j)
        for i, known in enumerate(train)
        for j, asked in enumerate(test)
        if torch.equal(known, asked) or torch.equal(known.flip(-2), asked)
    ]""",
            "You turn pictures upside down: flip(-2) is the height. Left to right is flip(-1).",
        ),
        WrongAnswer(
            """\
def twins(train, test):
    return [
        (i, j)
        for i, known in enumerate(train)
        for j, asked in enumerate(test)
        if torch.isclose(known.sum(), asked.sum())
    ]""",
            "You compare sums: the same pixels in another order are another picture.",
        ),
        WrongAnswer(
            """\
def twins(train, test):
    def near(one, other):
        return (one - other).abs().max() < 0.05

    return [
        (i, j)
        for i, known in enumerate(train)
        for j, asked in enumerate(test)
        if near(known, asked) or near(known.flip(-1), asked)
    ]""",
            "Pictures that are only similar are reported. The task asks for the same in every "
            "pixel.",
        ),
        WrongAnswer(
            """\
def twins(train, test):
    found = []
    for i, known in enumerate(train):
        for j, asked in enumerate(test):
            if torch.equal(known, asked) or torch.equal(known.flip(-1), asked):
                found.append((i, j))
                break
    return found""",
            "After the first twin you stop looking: a training picture may be in the test twice.",
        ),
        WrongAnswer(
            """\
def twins(train, test):
    found = []
    for j, asked in enumerate(test):
        for i, known in enumerate(train):
            if torch.equal(known, asked) or torch.equal(known.flip(-1), asked):
                found.append((i, j))
                break
    return sorted(found)""",
            "After the first twin of a test picture you stop looking: two training pictures may be "
            "the same, and both are its twins.",
        ),
        WrongAnswer(
            """\
def twins(train, test):
    return sorted(
        (j, i)
        for i, known in enumerate(train)
        for j, asked in enumerate(test)
        if torch.equal(known, asked) or torch.equal(known.flip(-1), asked)
    )""",
            "The pairs are the wrong way around: the index in train comes first.",
        ),
        WrongAnswer(
            """\
def twins(train, test):
    found = []
    for i, (known, asked) in enumerate(zip(train, test)):
        if torch.equal(known, asked) or torch.equal(known.flip(-1), asked):
            found.append((i, i))
    return found""",
            "Each picture meets only the one of the same number. A twin may stand anywhere.",
        ),
    ),
    case=leak_case,
    describe=lambda train, test: (
        f"{len(train)} pictures of {train.shape[2]} x {train.shape[3]} px to train on, "
        f"{len(test)} to test with"
    ),
    cases=24,
)

EXERCISES = (PREPARE, AUDIT, RATES, TWINS)
