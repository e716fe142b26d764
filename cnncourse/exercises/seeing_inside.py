"""Exercises of the lesson on seeing inside: maps, an attack, a temperature, a texture's unit."""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from cnncourse.exercises import Exercise, Question, WrongAnswer

OTHER_CLASS = Question(
    "A picture has the cat on the left and the coffee on the right. Grad-CAM is drawn for "
    "'Egyptian cat' and for 'espresso'. Does the map change with the class?",
    ("no, it shows what is in the picture", "yes, it moves to what is asked for"),
    answer="yes, it moves to what is asked for",
    why="Each class weighs the maps with slopes of its own. Not every method does that: the "
    "next but one cell asks guided backpropagation the same.",
)
STRONGER = Question(
    "Every pixel of a digit may change by a tenth of the way from black to white. How many of the "
    "digits that a network reads will it still read?",
    ("nearly all: a tenth is nothing", "about four of five", "about half, or fewer"),
    answer="about half, or fewer",
    why="No pixel moves far, but all 784 move together, each in the direction that hurts. For a "
    "linear model the logit moves by eps times the sum of all the weights' magnitudes.",
)
COST_OF_HARDNESS = Question(
    "A network was trained on attacked digits alone. How does it read digits that nobody attacked?",
    ("much worse than the plain one", "about as well", "not at all"),
    answer="about as well",
    why="Digits have room: a stroke is far from black. On photographs the price is real "
    "(Tsipras et al. 2019, arXiv:1805.12152).",
)
UPSIDE_DOWN = Question(
    "Show the network letters, which it has never seen. How sure will it be of its answers?",
    ("about 10 %: it cannot know", "often above 90 %", "it will say: no digit"),
    answer="often above 90 %",
    why="Softmax shares out 100 % among ten classes whatever the picture is. There is no class "
    "for 'none of these', and nothing in training asked for doubt.",
)
TEMPERATURE_CHANGES = Question(
    "Divide all logits by a temperature of 2. What happens to the accuracy?",
    ("it rises", "it falls", "nothing"),
    answer="nothing",
    why="The largest logit stays the largest: every answer is the same, only less sure.",
)


# --- Grad-CAM from its formula --------------------------------------------------------------------


def cam_case(number: int) -> tuple:
    """Maps of a layer and slopes of a logit at them, of both signs; one 2 x 2 map comes first."""
    draw = torch.Generator().manual_seed(number)
    shape = (1 + number % 4, 2 + number % 3, 2 + number % 2)
    return torch.randn(shape, generator=draw), torch.randn(shape, generator=draw)


GRAD_CAM = Exercise(
    name="grad_cam",
    task=(
        "Write Grad-CAM from its formula: weigh each of the layer's maps with the mean of the "
        "logit's slopes at it, add the maps up, keep what is above zero."
    ),
    stub='''\
def grad_cam(maps, slopes):
    """Maps of a layer and the logit's slopes at them, both (C, h, w) -> the map (h, w)."""
    ...''',
    hints=(
        "One weight a map: a mean over which dimensions?",
        "slopes.mean(dim=(1, 2)) has shape (C,). To weigh maps with it, it needs two more.",
        "(weights[:, None, None] * maps).sum(dim=0), and then relu.",
    ),
    solution_code='''\
def grad_cam(maps, slopes):
    """Maps of a layer and the logit's slopes at them, both (C, h, w) -> the map (h, w)."""
    weights = slopes.mean(dim=(1, 2))
    return (weights[:, None, None] * maps).sum(dim=0).relu()''',
    wrong=(
        WrongAnswer(
            """\
def grad_cam(maps, slopes):
    weights = slopes.mean(dim=(1, 2))
    return (weights[:, None, None] * maps).sum(dim=0)""",
            "What speaks against the class is still in it: Grad-CAM ends with a relu.",
        ),
        WrongAnswer(
            """\
def grad_cam(maps, slopes):
    return (slopes * maps).sum(dim=0).relu()""",
            "Every place has a weight of its own here. Grad-CAM has one a map: the mean of its "
            "slopes. (Yours is a method too: HiResCAM, arXiv:2011.08891.)",
        ),
        WrongAnswer(
            """\
def grad_cam(maps, slopes):
    weights = slopes.mean(dim=(1, 2))
    return (weights[:, None, None] * maps).relu().sum(dim=0)""",
            "The relu comes too early: what one map says against the class must be able to cancel "
            "what another says for it. Add up first.",
        ),
        WrongAnswer(
            """\
def grad_cam(maps, slopes):
    weights = slopes.abs().mean(dim=(1, 2))
    return (weights[:, None, None] * maps).sum(dim=0).relu()""",
            "The slopes' signs are gone: a map that speaks against the class now speaks for it.",
        ),
        WrongAnswer(
            """\
def grad_cam(maps, slopes):
    weights = maps.mean(dim=(1, 2))
    return (weights[:, None, None] * slopes).sum(dim=0).relu()""",
            "Maps and slopes changed places: the maps are what is shown, the slopes weigh them.",
        ),
    ),
    case=cam_case,
    describe=lambda maps, slopes: f"{len(maps)} map(s) of {maps.shape[1]}x{maps.shape[2]}",
)


# --- an attack on the wrong scale -----------------------------------------------------------------


def attack_case(number: int) -> tuple:
    """A small network on standardised pictures, pictures with black and white pixels, a strength.

    From small to large: one picture of 2 x 2 px comes first.
    """
    draw = torch.Generator().manual_seed(number)
    count, side, classes = 1 + number % 4, 2 + number % 3, 2 + number % 3
    model = nn.Sequential(nn.Flatten(), nn.Linear(side**2, classes))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=draw))
    images = (torch.rand(count, 1, side, side, generator=draw) * 1.5 - 0.25).clamp(0, 1)
    labels = torch.randint(classes, (count,), generator=draw)
    return model, images, labels, (2 + number % 5) / 20, 0.1307, 0.3081


ATTACK = Exercise(
    name="attack",
    task=(
        "Somebody attacked the network where it was easiest: on the standardised pictures. Mend "
        "it. The result must be pictures from 0 to 1 in which no pixel is further than eps from "
        "the original, and every pixel that can go so far does; the model still gets "
        "standardised ones."
    ),
    stub='''\
def attack(model, images, labels, eps, mean, std):
    """FGSM on pictures (N, C, H, W) from 0 to 1, for a model of (pictures - mean) / std."""
    inputs = ((images - mean) / std).requires_grad_()
    F.cross_entropy(model(inputs), labels).backward()
    changed = inputs + eps * inputs.grad.sign()
    return (changed * std + mean).detach()''',
    hints=(
        "How far does a pixel move in the result, if a standardised one moves by eps?",
        "By eps * std: less than a third of what it may. And is every result between 0 and 1?",
        "The sign of the gradient is right. Take the step from images, then clamp to 0 and 1.",
    ),
    solution_code='''\
def attack(model, images, labels, eps, mean, std):
    """FGSM on pictures (N, C, H, W) from 0 to 1, for a model of (pictures - mean) / std."""
    inputs = ((images - mean) / std).requires_grad_()
    F.cross_entropy(model(inputs), labels).backward()
    changed = images + eps * inputs.grad.sign()
    return changed.clamp(0, 1)''',
    wrong=(
        WrongAnswer(
            """\
def attack(model, images, labels, eps, mean, std):
    inputs = ((images - mean) / std).requires_grad_()
    F.cross_entropy(model(inputs), labels).backward()
    changed = images + eps * inputs.grad.sign()
    return changed""",
            "The step is right, but some pixels are now darker than black or brighter than white: "
            "no file and no camera could hold such a picture. Clamp to 0 and 1.",
        ),
        WrongAnswer(
            """\
def attack(model, images, labels, eps, mean, std):
    inputs = ((images - mean) / std).requires_grad_()
    F.cross_entropy(model(inputs), labels).backward()
    changed = inputs + eps * inputs.grad.sign()
    return (changed * std + mean).clamp(0, 1).detach()""",
            "Clamped, but the step is still eps on the standardised scale, which is eps * std in "
            "pixels: the attack is weaker than it may be, and the network looks stronger.",
        ),
        WrongAnswer(
            """\
def attack(model, images, labels, eps, mean, std):
    inputs = ((images - mean) / std).requires_grad_()
    F.cross_entropy(model(inputs), labels).backward()
    changed = (inputs + eps * inputs.grad.sign()).clamp(0, 1)
    return (changed * std + mean).detach()""",
            "Clamped to 0 and 1 on the standardised scale, where black is below 0: every dark "
            "pixel was lifted to the mean gray. Clamp pixels.",
        ),
        WrongAnswer(
            """\
def attack(model, images, labels, eps, mean, std):
    inputs = ((images - mean) / std).requires_grad_()
    F.cross_entropy(model(inputs), labels).backward()
    changed = images + eps * inputs.grad
    return changed.clamp(0, 1)""",
            "The step is the gradient itself. Where it is small the pixel hardly moves, although "
            "it may move by eps: take its sign.",
        ),
        WrongAnswer(
            """\
def attack(model, images, labels, eps, mean, std):
    inputs = ((images - mean) / std).requires_grad_()
    F.cross_entropy(model(inputs), labels).backward()
    changed = images - eps * inputs.grad.sign()
    return changed.clamp(0, 1)""",
            "Downhill: this helps the network. The loss must grow, so step along the gradient.",
        ),
        WrongAnswer(
            """\
def attack(model, images, labels, eps, mean, std):
    inputs = images.clone().requires_grad_()
    F.cross_entropy(model(inputs), labels).backward()
    changed = images + eps * inputs.grad.sign()
    return changed.clamp(0, 1)""",
            "The model was asked about pictures that were not standardised, as it never saw them: "
            "the gradient belongs to another picture. Standardise before the model.",
        ),
    ),
    case=attack_case,
    describe=lambda model, images, labels, eps, mean, std: (
        f"{len(images)} picture(s) of {images.shape[-2]}x{images.shape[-1]} px, eps={eps:g}"
    ),
    faulty=True,
)


# --- temperature by hand --------------------------------------------------------------------------

CANDIDATES = [0.25, 0.5, 1.0, 2.0, 4.0, 8.0]


def temperature_case(number: int) -> tuple:
    """Logits too sure or not sure enough by a factor, labels drawn as they should be."""
    draw = torch.Generator().manual_seed(number)
    count, classes = 8 + 4 * number, 2 + number % 4
    logits = 2 * torch.randn(count, classes, generator=draw)
    labels = torch.multinomial(logits.softmax(dim=1), 1, generator=draw)[:, 0]
    return logits * 2.0 ** (number % 5 - 1), labels, list(CANDIDATES)


TEMPERATURE = Exercise(
    name="best_temperature",
    task=(
        "Find a temperature by hand: of the candidates, return the one for which logits / T have "
        "the smallest mean cross-entropy with the labels. The first of equals; as a float."
    ),
    stub='''\
def best_temperature(logits, labels, candidates):
    """The candidate T with the least cross-entropy of logits / T (N, classes), as a float."""
    ...''',
    hints=(
        "One number a candidate, then the smallest. Which number?",
        "F.cross_entropy takes logits: give it logits / T, not probabilities.",
        "min(candidates, key=lambda T: F.cross_entropy(logits / T, labels).item())",
    ),
    solution_code='''\
def best_temperature(logits, labels, candidates):
    """The candidate T with the least cross-entropy of logits / T (N, classes), as a float."""
    return min(candidates, key=lambda T: F.cross_entropy(logits / T, labels).item())''',
    wrong=(
        WrongAnswer(
            """\
def best_temperature(logits, labels, candidates):
    return min(candidates, key=lambda T: F.cross_entropy(logits * T, labels).item())""",
            "Multiplied: a high temperature must make the network less sure. Divide by T.",
        ),
        WrongAnswer(
            """\
def best_temperature(logits, labels, candidates):
    return max(
        candidates,
        key=lambda T: ((logits / T).argmax(dim=1) == labels).float().mean().item(),
    )""",
            "The accuracy is the same for every temperature, so the first candidate always wins. "
            "Compare cross-entropies.",
        ),
        WrongAnswer(
            """\
def best_temperature(logits, labels, candidates):
    return min(
        candidates,
        key=lambda T: F.cross_entropy((logits / T).softmax(dim=1), labels).item(),
    )""",
            "Softmax twice: F.cross_entropy does its own. With it the surest always looks best.",
        ),
        WrongAnswer(
            """\
def best_temperature(logits, labels, candidates):
    return min(F.cross_entropy(logits / T, labels).item() for T in candidates)""",
            "This is the least cross-entropy itself; asked for is the temperature that has it.",
        ),
        WrongAnswer(
            """\
def best_temperature(logits, labels, candidates):
    return max(candidates, key=lambda T: F.cross_entropy(logits / T, labels).item())""",
            "This is the candidate with the largest cross-entropy: the worst.",
        ),
    ),
    case=temperature_case,
    describe=lambda logits, labels, candidates: (
        f"{len(labels)} rows of {logits.shape[1]} logits, candidates {candidates}"
    ),
)


def drawn(number: int) -> torch.Generator:
    """Random numbers of a case."""
    return torch.Generator().manual_seed(number)


# --- a map that does not listen -------------------------------------------------------------------


def slope(model: nn.Module, image: Tensor, wanted: int) -> Tensor:
    """Gradient of the wanted logit: (H, W)."""
    x = image.clone().requires_grad_()
    (found,) = torch.autograd.grad(model(x[None])[0, wanted], x)
    return found.abs().amax(dim=0)


def slope_of_the_best(model: nn.Module, image: Tensor, wanted: int) -> Tensor:
    """Gradient of the largest logit, whatever is asked for."""
    del wanted
    with torch.no_grad():
        best = int(model(image[None])[0].argmax())
    return slope(model, image, best)


def edges(model: nn.Module, image: Tensor, wanted: int) -> Tensor:
    """Difference of neighbours in the picture; no network is asked."""
    del model, wanted
    return F.pad(image.mean(dim=0).diff(dim=1).abs(), (0, 1))


def edges_of_a_class(model: nn.Module, image: Tensor, wanted: int) -> Tensor:
    """Edges, moved by as many rows as the class has for its number; no network is asked."""
    return edges(model, image, wanted).roll(wanted, dims=0)


EXPLANATIONS = {
    "the gradient": slope,
    "edges": edges,
    "the largest logit's gradient": slope_of_the_best,
    "edges moved by the class": edges_of_a_class,
}


def network(number: int) -> nn.Module:
    """A small network with random weights of that seed; 4 classes."""
    with torch.random.fork_rng([]):
        torch.manual_seed(number)
        return nn.Sequential(
            nn.Conv2d(1, 3, 3, padding=1), nn.Tanh(), nn.Flatten(), nn.Linear(108, 4)
        )


def listens_case(number: int) -> tuple:
    """An explanation, two networks, a picture of 6 x 6 px, two classes."""
    explain = list(EXPLANATIONS.values())[number % len(EXPLANATIONS)]
    image = torch.randn(1, 6, 6, generator=drawn(number))
    first = number % 4
    return explain, network(number), network(1000 + number), image, first, (first + 1) % 4


def describe_listens(
    explain: Callable, model: nn.Module, twin: nn.Module, image: Tensor, first: int, second: int
) -> str:
    """The explanation's name and the classes."""
    name = {function: name for name, function in EXPLANATIONS.items()}[explain]
    return f"{name}, classes {first} and {second}"


LISTENS = Exercise(
    name="listens",
    task=(
        "Unmask the 'explanation' that is only an edge detector. explain(model, image, wanted) "
        "gives a map. Return two bools: whether the map for the class `first` changes when the "
        "model is replaced by its random twin, and whether it changes when `second` is asked for "
        "instead. 'Changes' means: not torch.allclose. An edge detector gives (False, False)."
    ),
    stub='''\
def listens(explain, model, twin, image, first, second) -> tuple[bool, bool]:
    """Whether an explanation's map depends on the weights, and on the class."""
    ...''',
    hints=(
        "Make the map once for (model, first), and compare everything with it.",
        "Change one thing at a time: the twin with the same class, then the same model with the "
        "other class.",
        "not torch.allclose(before, explain(twin, image, first)) is the first of the two.",
    ),
    solution_code='''\
def listens(explain, model, twin, image, first, second):
    """Whether an explanation's map depends on the weights, and on the class."""
    before = explain(model, image, first)
    by_weights = not torch.allclose(before, explain(twin, image, first))
    by_class = not torch.allclose(before, explain(model, image, second))
    return by_weights, by_class''',
    wrong=(
        WrongAnswer(
            "def listens(explain, model, twin, image, first, second):\n"
            "    before = explain(model, image, first)\n"
            "    weights = torch.allclose(before, explain(twin, image, first))\n"
            "    return weights, torch.allclose(before, explain(model, image, second))",
            "Turned around: True is to mean that the map changes, and allclose says that it does "
            "not.",
        ),
        WrongAnswer(
            "def listens(explain, model, twin, image, first, second):\n"
            "    before = explain(model, image, first)\n"
            "    weights = not torch.allclose(before, explain(twin, image, second))\n"
            "    return weights, not torch.allclose(before, explain(model, image, second))",
            "Two things are changed at once: ask the twin for the same class, or you cannot tell "
            "which of them the map listened to.",
        ),
        WrongAnswer(
            "def listens(explain, model, twin, image, first, second):\n"
            "    before = explain(model, image, first)\n"
            "    weights = not torch.allclose(before, explain(twin, image, first))\n"
            "    return weights, not torch.allclose(before, explain(twin, image, second))",
            "The second question is about the class alone: ask the same model, not the twin.",
        ),
        WrongAnswer(
            "def listens(explain, model, twin, image, first, second):\n"
            "    before = explain(model, image, first).sum()\n"
            "    weights = not torch.allclose(before, explain(twin, image, first).sum())\n"
            "    return weights, not torch.allclose(before, explain(model, image, second).sum())",
            "A sum forgets where: a map that only moves has the same sum. Compare place by place.",
        ),
        WrongAnswer(
            "def listens(explain, model, twin, image, first, second):\n"
            "    before = explain(model, image, first)\n"
            "    by_class = not torch.allclose(before, explain(model, image, second))\n"
            "    return by_class, not torch.allclose(before, explain(twin, image, first))",
            "The two answers are in the wrong order: the weights come first, the class second.",
        ),
    ),
    case=listens_case,
    describe=describe_listens,
)


# --- the unit for a texture -----------------------------------------------------------------------


def texture_case(number: int) -> tuple:
    """Maps of patches, none below 0, their labels (of unequal counts), and a class."""
    if number == 0:
        maps = torch.tensor([[3.0, 9], [1, 6]])[:, :, None, None]
        return maps, torch.tensor([0, 1]), 0
    generator = drawn(number)
    classes, units, side = 3 + number % 2, 3 + number % 6, 1 + number % 3
    counts = [1 + (2 * number + 3 * label) % 5 for label in range(classes)]
    labels = torch.cat([torch.full((count,), label) for label, count in enumerate(counts)])
    loud = torch.rand(1, units, 1, 1, generator=generator).mul(4).exp()
    shape = (len(labels), units, side, side)
    maps = torch.rand(shape, generator=generator).pow(3) * loud
    return maps, labels, number % classes


def describe_texture(maps: Tensor, labels: Tensor, wanted: int) -> str:
    """The numbers where there are four, else how many there are of what."""
    if maps.numel() <= 4:
        return f"units answer {maps.flatten(1).tolist()} to classes {labels.tolist()}, wanted 0"
    return f"{maps.shape[1]} units, {len(labels)} patches, wanted class {wanted}"


FIND_UNIT = Exercise(
    name="find_unit",
    task=(
        "Find the unit for a texture. Given maps (N, units, h, w), none below 0, of N patches, "
        "their labels (N,) and a wanted class, return the number of the most selective unit: the "
        "largest (a - b) / (a + b), where a is a unit's mean answer to the wanted class and b the "
        "mean over the other classes of its mean answer to each. A unit answers a patch with the "
        "mean of its map."
    ),
    stub='''\
def find_unit(maps: Tensor, labels: Tensor, wanted: int) -> int:
    """Number of the unit that is most selective for the wanted class."""
    ...''',
    hints=(
        "First one number a patch and a unit: maps.mean(dim=(2, 3)).",
        "Then a row a class: answers[labels == label].mean(dim=0). Classes count alike, however "
        "many patches they have.",
        "b is the mean of all rows but the wanted one; then ((a - b) / (a + b)).argmax().item().",
    ),
    solution_code='''\
def find_unit(maps, labels, wanted):
    """Number of the unit that is most selective for the wanted class."""
    answers = maps.mean(dim=(2, 3))
    others = [label for label in labels.unique().tolist() if label != wanted]
    a = answers[labels == wanted].mean(dim=0)
    b = torch.stack([answers[labels == label].mean(dim=0) for label in others]).mean(dim=0)
    return ((a - b) / (a + b)).argmax().item()''',
    wrong=(
        WrongAnswer(
            "def find_unit(maps, labels, wanted):\n"
            "    return maps.mean(dim=(2, 3))[labels == wanted].mean(dim=0).argmax().item()",
            "This is the loudest unit, and it may be as loud for every class: compare with the "
            "others.",
        ),
        WrongAnswer(
            "def find_unit(maps, labels, wanted):\n"
            "    answers = maps.mean(dim=(2, 3))\n"
            "    others = [label for label in labels.unique().tolist() if label != wanted]\n"
            "    a = answers[labels == wanted].mean(dim=0)\n"
            "    rows = [answers[labels == label].mean(dim=0) for label in others]\n"
            "    return (a - torch.stack(rows).mean(dim=0)).argmax().item()",
            "The difference alone prefers loud units: divide by a + b.",
        ),
        WrongAnswer(
            "def find_unit(maps, labels, wanted):\n"
            "    answers = maps.mean(dim=(2, 3))\n"
            "    a = answers[labels == wanted].mean(dim=0)\n"
            "    b = answers[labels != wanted].mean(dim=0)\n"
            "    return ((a - b) / (a + b)).argmax().item()",
            "A class with many patches counts for more here: take each class's mean first, then "
            "their mean.",
        ),
        WrongAnswer(
            "def find_unit(maps, labels, wanted):\n"
            "    answers = maps.amax(dim=(2, 3))\n"
            "    others = [label for label in labels.unique().tolist() if label != wanted]\n"
            "    a = answers[labels == wanted].mean(dim=0)\n"
            "    rows = [answers[labels == label].mean(dim=0) for label in others]\n"
            "    b = torch.stack(rows).mean(dim=0)\n"
            "    return ((a - b) / (a + b)).argmax().item()",
            "A unit's answer is the mean of its map here, not its highest place: a texture is "
            "everywhere.",
        ),
    ),
    case=texture_case,
    describe=describe_texture,
    cases=40,
)


EXERCISES = (GRAD_CAM, ATTACK, TEMPERATURE, LISTENS, FIND_UNIT)
