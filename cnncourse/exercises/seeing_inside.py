"""Exercises of the lesson on seeing inside: Grad-CAM, an attack to mend, a temperature by hand."""

import torch
from torch import nn

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

EXERCISES = (GRAD_CAM, ATTACK, TEMPERATURE)
