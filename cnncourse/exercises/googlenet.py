"""Exercises of the lesson on GoogLeNet."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from cnncourse.exercises import Exercise, Question, WrongAnswer

DEAREST = Question(
    "Block 3a of GoogLeNet gets 192 channels. Without 1 x 1 reductions it would compute 64 "
    "channels with 1 x 1 kernels, 128 with 3 x 3 and 32 with 5 x 5. Which path costs the most "
    "multiplications?",
    ("1 x 1, it has a kernel in every other path too", "3 x 3", "5 x 5"),
    answer="3 x 3",
    why=(
        "Weights are in channels x out channels x kernel area: 192 x 64, 192 x 128 x 9 and 192 x "
        "32 x 25. The 5 x 5 has the larger kernel and a quarter of the channels, and comes close. "
        "Both are worth a reduction."
    ),
)
LAST_LAYER = Question(
    "The last map of GoogLeNet is 1,024 channels of 7 x 7. One linear layer makes 1,000 classes of "
    "it: from all numbers of the map, or from the mean of each channel. How many times more "
    "parameters has the first?",
    ("about 7 times", "about 49 times", "about 1,000 times"),
    answer="about 49 times",
    why="A weight for each of 49 positions, in place of one weight for their mean.",
)
FASTER = Question(
    "The reductions of block 3a save a factor of 2.37 in multiplications. By what factor does the "
    "block become faster on this processor?",
    ("by about 2.37", "by clearly less", "by clearly more"),
    answer="by clearly less",
    why=(
        "Two more convolutions and a projection have to be called, write their maps to memory and "
        "rectify them, and a 1 x 1 convolution does few multiplications for each number that it "
        "moves. Counting multiplications foretells the direction, not the factor."
    ),
)
HEADS = Question(
    "We train a small Inception network five times with an auxiliary head of weight 0.3, and five "
    "times without, on 4,000 digits. What will 500 test digits say?",
    (
        "the head helps, beyond doubt",
        "the head harms, beyond doubt",
        "five pairs of runs cannot tell",
    ),
    answer="five pairs of runs cannot tell",
    why=(
        "The effect that the paper's authors later reported for their 22 layers is about half a "
        "point. Half a point of 500 images is two or three images, and other seeds alone move more."
    ),
)


def plain(sizes: tuple[int, ...]) -> str:
    """Sizes as 2x3x8x8."""
    return "x".join(map(str, sizes))


def set_weights(module: nn.Module) -> None:
    """Every parameter small and random, in the module's order, from torch's own seed."""
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.copy_(0.5 * torch.randn(parameter.shape))


# --- the 5x5 that torchvision lost ----------------------------------------------------------------

# (in_channels, reduce, out_channels)
PATHS = ((1, 1, 1), (2, 1, 2), (3, 2, 1), (4, 2, 3), (5, 3, 4), (192, 16, 32))


def path_outcome(function: Callable, arguments: tuple) -> object:
    """Parameters of the module, and what it makes of a map when its weights are drawn for it."""
    module = function(*arguments)
    if not isinstance(module, nn.Module):
        return module
    torch.manual_seed(0)
    set_weights(module)
    maps = torch.randn(2, arguments[0], 7, 6)
    with torch.no_grad():
        return sum(p.numel() for p in module.parameters()), module(maps)


PAPER_5X5 = Exercise(
    name="paper_5x5",
    task=(
        "torchvision's third path is a 1x1 reduction and then, by an old mistake, a 3x3 "
        "convolution. Build the path of the paper, as an `nn.Sequential`: a 1x1 convolution from "
        "`in_channels` to `reduce` channels, ReLU, a 5x5 convolution to `out_channels`, ReLU. Both "
        "convolutions have biases, and the map keeps its height and width."
    ),
    stub='''\
def paper_5x5(in_channels: int, reduce: int, out_channels: int) -> nn.Module:
    """The paper's third path: (N, in_channels, H, W) -> (N, out_channels, H, W)."""
    ...''',
    hints=(
        "Four modules in one nn.Sequential; nn.Conv2d(from, to, kernel_size=...) has a bias by "
        "itself.",
        "A kernel of 5 keeps the size with padding=2: two more pixels on each side.",
        "nn.Conv2d(in_channels, reduce, 1), nn.ReLU(), nn.Conv2d(reduce, out_channels, 5, "
        "padding=2), nn.ReLU()",
    ),
    solution_code='''\
def paper_5x5(in_channels, reduce, out_channels):
    """The paper's third path: (N, in_channels, H, W) -> (N, out_channels, H, W)."""
    return nn.Sequential(
        nn.Conv2d(in_channels, reduce, kernel_size=1),
        nn.ReLU(),
        nn.Conv2d(reduce, out_channels, kernel_size=5, padding=2),
        nn.ReLU(),
    )''',
    wrong=(
        WrongAnswer(
            """\
def paper_5x5(in_channels, reduce, out_channels):
    return nn.Sequential(
        nn.Conv2d(in_channels, reduce, 1), nn.ReLU(),
        nn.Conv2d(reduce, out_channels, 3, padding=1), nn.ReLU(),
    )""",
            "That is torchvision's path: its second kernel is 3x3. The paper's is 5x5.",
        ),
        WrongAnswer(
            """\
def paper_5x5(in_channels, reduce, out_channels):
    return nn.Sequential(
        nn.Conv2d(in_channels, reduce, 1), nn.ReLU(),
        nn.Conv2d(reduce, out_channels, 5), nn.ReLU(),
    )""",
            "Without padding a 5x5 kernel takes four rows and columns away, and the four paths no "
            "longer fit beside one another. Try: padding=2.",
        ),
        WrongAnswer(
            """\
def paper_5x5(in_channels, reduce, out_channels):
    return nn.Sequential(
        nn.Conv2d(in_channels, reduce, 1), nn.ReLU(),
        nn.Conv2d(reduce, out_channels, 5, padding=1), nn.ReLU(),
    )""",
            "padding=1 is what a 3x3 kernel needs. A kernel of side k keeps the size with k // 2.",
        ),
        WrongAnswer(
            """\
def paper_5x5(in_channels, reduce, out_channels):
    return nn.Sequential(
        nn.Conv2d(in_channels, out_channels, 5, padding=2), nn.ReLU(),
    )""",
            "The reduction is missing: the 5x5 looks at all in_channels, which is the naive block.",
        ),
        WrongAnswer(
            """\
def paper_5x5(in_channels, reduce, out_channels):
    return nn.Sequential(
        nn.Conv2d(in_channels, reduce, 1),
        nn.Conv2d(reduce, out_channels, 5, padding=2), nn.ReLU(),
    )""",
            "There is no ReLU between the two convolutions, so together they are a single linear "
            "map. The paper rectifies after every convolution.",
        ),
        WrongAnswer(
            """\
def paper_5x5(in_channels, reduce, out_channels):
    return nn.Sequential(
        nn.Conv2d(in_channels, reduce, 1), nn.ReLU(),
        nn.Conv2d(reduce, out_channels, 5, padding=2),
    )""",
            "The ReLU at the end is missing: every path is rectified before the four are joined.",
        ),
        WrongAnswer(
            """\
def paper_5x5(in_channels, reduce, out_channels):
    return nn.Sequential(
        nn.Conv2d(in_channels, reduce, 1, bias=False), nn.ReLU(),
        nn.Conv2d(reduce, out_channels, 5, padding=2, bias=False), nn.ReLU(),
    )""",
            "Without biases: that suits batch normalisation, which the network of 2014 did not "
            "have.",
        ),
        WrongAnswer(
            """\
def paper_5x5(in_channels, reduce, out_channels):
    return nn.Sequential(
        nn.Conv2d(in_channels, reduce, 5, padding=2), nn.ReLU(),
        nn.Conv2d(reduce, out_channels, 1), nn.ReLU(),
    )""",
            "The kernels are the wrong way round: the 1x1 comes first, so that the 5x5 sees few "
            "channels.",
        ),
    ),
    case=lambda number: PATHS[number],
    describe=lambda in_channels, reduce, out_channels: (
        f"in_channels={in_channels}, reduce={reduce}, out_channels={out_channels}"
    ),
    outcome=path_outcome,
    cases=len(PATHS),
)


# --- large kernels from small ones ----------------------------------------------------------------

SIDES = (3, 5, 7, 9, 11)


def factor_case(number: int) -> tuple[int, int]:
    """Side of the kernel, channels in and out."""
    return SIDES[number % len(SIDES)], 1 + number


FACTORISE = Exercise(
    name="factorise",
    task=(
        "A stack of 3x3 convolutions with stride 1 can look as far as one large kernel. For a "
        "`kernel_size` x `kernel_size` convolution (odd, 3 or more) with `channels` in and out, "
        "return three whole numbers: how many 3x3 convolutions see as many pixels, the weights of "
        "the large kernel, and the weights of the stack. All layers have `channels` in and out; "
        "biases are not counted."
    ),
    stub='''\
def factorise(kernel_size: int, channels: int) -> tuple[int, int, int]:
    """Number of 3x3 layers with the same field, weights of the large kernel, of the stack."""
    ...''',
    hints=(
        "One 3x3 sees 3 pixels along an axis. How many do two see, one on top of the other?",
        "Each further 3x3 adds 2 pixels to the field: 3, 5, 7, ...",
        "count = (kernel_size - 1) // 2; a layer with k x k kernels has k * k * channels * "
        "channels weights.",
    ),
    solution_code='''\
def factorise(kernel_size, channels):
    """Number of 3x3 layers with the same field, weights of the large kernel, of the stack."""
    count = (kernel_size - 1) // 2
    return count, kernel_size**2 * channels**2, count * 9 * channels**2''',
    wrong=(
        WrongAnswer(
            """\
def factorise(kernel_size, channels):
    count = kernel_size // 3
    return count, kernel_size**2 * channels**2, count * 9 * channels**2""",
            "Kernels do not lie side by side: each 3x3 adds only 2 pixels to what the last one "
            "saw, so a field of k needs (k - 1) / 2 of them.",
        ),
        WrongAnswer(
            """\
def factorise(kernel_size, channels):
    count = -(-kernel_size // 3)
    return count, kernel_size**2 * channels**2, count * 9 * channels**2""",
            "Dividing by 3 and rounding up fits 5 by chance. Each 3x3 adds 2 pixels to the field.",
        ),
        WrongAnswer(
            """\
def factorise(kernel_size, channels):
    count = (kernel_size + 1) // 2
    return count, kernel_size**2 * channels**2, count * 9 * channels**2""",
            "That is one layer too many: the first 3x3 sees 3 pixels, not 1.",
        ),
        WrongAnswer(
            """\
def factorise(kernel_size, channels):
    count = (kernel_size - 1) // 2
    return count, kernel_size**2 * channels, count * 9 * channels""",
            "Every output channel has a kernel for every input channel: channels * channels "
            "kernels in each layer.",
        ),
        WrongAnswer(
            """\
def factorise(kernel_size, channels):
    count = (kernel_size - 1) // 2
    return (
        count,
        kernel_size**2 * channels**2 + channels,
        count * (9 * channels**2 + channels),
    )""",
            "You count the biases, which were left out here.",
        ),
        WrongAnswer(
            """\
def factorise(kernel_size, channels):
    count = (kernel_size - 1) // 2
    return count, kernel_size**2 * channels**2, 9 * channels**2""",
            "The third number is the weights of a single 3x3 layer; the stack has several.",
        ),
        WrongAnswer(
            """\
def factorise(kernel_size, channels):
    count = (kernel_size - 1) // 2
    return count, kernel_size * channels**2, count * 3 * channels**2""",
            "A kernel is a square: it has side times side weights, not side.",
        ),
    ),
    case=factor_case,
    describe=lambda kernel_size, channels: f"kernel_size={kernel_size}, channels={channels}",
    cases=20,
)


# --- the block ------------------------------------------------------------------------------------


def block_case(number: int) -> tuple[Tensor, ...]:
    """A map and the weights of six convolutions, of whole numbers; sizes grow, paths differ."""
    draw = torch.Generator().manual_seed(number)
    channels = 1 + number % 4
    w1, r3, w3, r5, w5, pool = (1 + (number * step) % 4 for step in (1, 2, 3, 5, 7, 9))
    shapes = [
        (1 + number % 3, channels, 3 + number % 5, 3 + number // 2 % 5),
        *((w1, channels, 1, 1), (r3, channels, 1, 1), (w3, r3, 3, 3)),
        *((r5, channels, 1, 1), (w5, r5, 5, 5), (pool, channels, 1, 1)),
    ]
    return tuple(torch.randint(-3, 4, shape, generator=draw).float() for shape in shapes)


INCEPTION = Exercise(
    name="inception_block",
    task=(
        "Write the forward pass of an Inception block. `x` is the map (N, C, H, W); the other "
        "arguments are the weights of its six convolutions, without biases: `w1` (1x1), `r3` (1x1) "
        "before `w3` (3x3), `r5` (1x1) before `w5` (5x5), and `wp` (1x1) after a 3x3 max-pool with "
        "stride 1. Every convolution is followed by ReLU, every path keeps height and width. "
        "Return the four paths in this order, one after another along the channels."
    ),
    stub='''\
def inception_block(x, w1, r3, w3, r5, w5, wp) -> Tensor:
    """Inception block: (N, C, H, W) -> (N, channels of w1 + w3 + w5 + wp, H, W)."""
    ...''',
    hints=(
        "F.conv2d(x, weight, padding=...), F.relu, F.max_pool2d, and torch.cat at the end.",
        "padding is 0 for 1x1, 1 for 3x3 and 2 for 5x5; the pool needs stride=1 and padding=1.",
        "path = F.relu(F.conv2d(F.relu(F.conv2d(x, r3)), w3, padding=1)); then "
        "torch.cat([...], dim=1).",
    ),
    solution_code='''\
def inception_block(x, w1, r3, w3, r5, w5, wp):
    """Inception block: (N, C, H, W) -> (N, channels of w1 + w3 + w5 + wp, H, W)."""
    path1 = F.relu(F.conv2d(x, w1))
    path2 = F.relu(F.conv2d(F.relu(F.conv2d(x, r3)), w3, padding=1))
    path3 = F.relu(F.conv2d(F.relu(F.conv2d(x, r5)), w5, padding=2))
    path4 = F.relu(F.conv2d(F.max_pool2d(x, 3, stride=1, padding=1), wp))
    return torch.cat([path1, path2, path3, path4], dim=1)''',
    wrong=(
        WrongAnswer(
            """\
def inception_block(x, w1, r3, w3, r5, w5, wp):
    path1 = F.relu(F.conv2d(x, w1))
    path2 = F.relu(F.conv2d(F.conv2d(x, r3), w3, padding=1))
    path3 = F.relu(F.conv2d(F.conv2d(x, r5), w5, padding=2))
    path4 = F.relu(F.conv2d(F.max_pool2d(x, 3, stride=1, padding=1), wp))
    return torch.cat([path1, path2, path3, path4], dim=1)""",
            "The reductions are not rectified. Every convolution is followed by ReLU, the 1x1 ones "
            "too.",
        ),
        WrongAnswer(
            """\
def inception_block(x, w1, r3, w3, r5, w5, wp):
    path1 = F.conv2d(x, w1)
    path2 = F.conv2d(F.relu(F.conv2d(x, r3)), w3, padding=1)
    path3 = F.conv2d(F.relu(F.conv2d(x, r5)), w5, padding=2)
    path4 = F.conv2d(F.max_pool2d(x, 3, stride=1, padding=1), wp)
    return torch.cat([path1, path2, path3, path4], dim=1)""",
            "The ends of the paths are not rectified: a negative number comes out of your block.",
        ),
        WrongAnswer(
            """\
def inception_block(x, w1, r3, w3, r5, w5, wp):
    path1 = F.relu(F.conv2d(x, w1))
    path2 = F.relu(F.conv2d(F.relu(F.conv2d(x, r3)), w3, padding=1))
    path3 = F.relu(F.conv2d(F.relu(F.conv2d(x, r5)), w5, padding=2))
    path4 = F.max_pool2d(F.relu(F.conv2d(x, wp)), 3, stride=1, padding=1)
    return torch.cat([path1, path2, path3, path4], dim=1)""",
            "You project first and pool then. In the figure the max-pool comes first, and maxima "
            "of sums are not sums of maxima.",
        ),
        WrongAnswer(
            """\
def inception_block(x, w1, r3, w3, r5, w5, wp):
    path1 = F.relu(F.conv2d(x, w1))
    path2 = F.relu(F.conv2d(F.relu(F.conv2d(x, r3)), w3, padding=1))
    path3 = F.relu(F.conv2d(F.relu(F.conv2d(x, r5)), w5, padding=2))
    path4 = F.relu(F.conv2d(F.avg_pool2d(x, 3, stride=1, padding=1), wp))
    return torch.cat([path1, path2, path3, path4], dim=1)""",
            "The pool of the fourth path takes the maximum, not the mean.",
        ),
        WrongAnswer(
            """\
def inception_block(x, w1, r3, w3, r5, w5, wp):
    path1 = F.relu(F.conv2d(x, w1))
    path2 = F.relu(F.conv2d(F.relu(F.conv2d(x, r3)), w3, padding=1))
    path3 = F.relu(F.conv2d(F.relu(F.conv2d(x, r5)), w5, padding=2))
    path4 = F.relu(F.conv2d(x, wp))
    return torch.cat([path1, path2, path3, path4], dim=1)""",
            "The fourth path has no max-pool, so it is a second 1x1 path.",
        ),
        WrongAnswer(
            """\
def inception_block(x, w1, r3, w3, r5, w5, wp):
    path1 = F.relu(F.conv2d(x, w1))
    path2 = F.relu(F.conv2d(F.relu(F.conv2d(x, r3)), w3, padding=1))
    path3 = F.relu(F.conv2d(F.relu(F.conv2d(x, r5)), w5, padding=2))
    path4 = F.relu(F.conv2d(F.max_pool2d(x, 3, stride=1, padding=1), wp))
    return torch.cat([path1, path3, path2, path4], dim=1)""",
            "The paths are right and in another order: 1x1, 3x3, 5x5, pool is asked for. The next "
            "layer's weights know their channels by place.",
        ),
        WrongAnswer(
            """\
def inception_block(x, w1, r3, w3, r5, w5, wp):
    path1 = F.relu(F.conv2d(x, w1))
    path2 = F.relu(F.conv2d(F.relu(F.conv2d(x, r3)), w3, padding=1))
    path3 = F.relu(F.conv2d(F.relu(F.conv2d(x, r5)), w5, padding=2))
    path4 = F.relu(F.conv2d(F.max_pool2d(x, 3, padding=1), wp))
    return torch.cat([path1, path2, path3, path4], dim=1)""",
            "A pool's stride is its kernel_size where you do not say otherwise: the fourth map is "
            "three times smaller than the others. Try: stride=1.",
        ),
        WrongAnswer(
            """\
def inception_block(x, w1, r3, w3, r5, w5, wp):
    path1 = F.relu(F.conv2d(x, w1))
    path2 = F.relu(F.conv2d(F.relu(F.conv2d(x, r3)), w3, padding=1))
    path3 = F.relu(F.conv2d(F.relu(F.conv2d(x, r5)), w5, padding=1))
    path4 = F.relu(F.conv2d(F.max_pool2d(x, 3, stride=1, padding=1), wp))
    return torch.cat([path1, path2, path3, path4], dim=1)""",
            "A 5x5 kernel needs padding=2 to keep the size; with 1 its map is two rows and columns "
            "smaller than the others.",
        ),
    ),
    case=block_case,
    describe=lambda x, *weights: (
        f"x {plain(x.shape)}, weights {', '.join(plain(weight.shape) for weight in weights)}"
    ),
    cases=24,
)


# --- the loss of a network with heads -------------------------------------------------------------


def loss_case(number: int) -> tuple:
    """Logits of the network and of two heads, labels, weight; the last heads are None at times."""
    draw = torch.Generator().manual_seed(number)
    images, classes = 1 + number % 4, 2 + number // 3 % 4
    logits, aux1, aux2 = (3 * torch.randn(images, classes, generator=draw) for _ in range(3))
    labels = torch.randint(0, classes, (images,), generator=draw)
    heads = [aux1, aux2][: 2 - number // 2 % 3]
    return logits, heads, labels, (0.3, 1.0, 0.1)[number % 3]


def loss_outcome(function: Callable, arguments: tuple) -> object:
    """The loss, and its gradient for the network's logits and for those of each head."""
    logits, heads, labels, weight = arguments
    leaves = [tensor.clone().requires_grad_() for tensor in (logits, *heads)]
    loss = function(leaves[0], leaves[1:], labels, weight)
    if not isinstance(loss, Tensor) or not loss.requires_grad:
        return loss, "no gradient"
    gradients = torch.autograd.grad(loss.sum(), leaves, allow_unused=True)
    return loss.detach(), gradients


AUXILIARY_LOSS = Exercise(
    name="auxiliary_loss",
    task=(
        "Write the loss that GoogLeNet is trained with: the cross-entropy of `logits`, plus "
        "`weight` times the cross-entropy of each of `heads`, a list of the auxiliary heads' "
        "logits (two, one or none). `logits` and all heads are (N, classes), `labels` are (N,). "
        "Return one number as a tensor that can be differentiated."
    ),
    stub='''\
def auxiliary_loss(logits, heads, labels, weight) -> Tensor:
    """Cross-entropy of the network plus weight times that of every head."""
    ...''',
    hints=(
        "F.cross_entropy(logits, labels) takes logits as they are, and gives the mean over the "
        "images.",
        "Start from the network's own loss and add to it in a loop over heads.",
        "loss = F.cross_entropy(logits, labels); for head in heads: loss = loss + weight * "
        "F.cross_entropy(head, labels)",
    ),
    solution_code='''\
def auxiliary_loss(logits, heads, labels, weight):
    """Cross-entropy of the network plus weight times that of every head."""
    loss = F.cross_entropy(logits, labels)
    for head in heads:
        loss = loss + weight * F.cross_entropy(head, labels)
    return loss''',
    wrong=(
        WrongAnswer(
            """\
def auxiliary_loss(logits, heads, labels, weight):
    loss = F.cross_entropy(logits, labels)
    for head in heads:
        loss = loss + F.cross_entropy(head, labels)
    return loss""",
            "The heads count as much as the network: their weight is missing.",
        ),
        WrongAnswer(
            """\
def auxiliary_loss(logits, heads, labels, weight):
    loss = weight * F.cross_entropy(logits, labels)
    for head in heads:
        loss = loss + weight * F.cross_entropy(head, labels)
    return loss""",
            "You weigh the network's own loss, too. It counts in full; the heads alone are weighed "
            "down.",
        ),
        WrongAnswer(
            """\
def auxiliary_loss(logits, heads, labels, weight):
    losses = [F.cross_entropy(head, labels) for head in heads]
    extra = weight * sum(losses) / len(losses) if losses else 0
    return F.cross_entropy(logits, labels) + extra""",
            "You take the mean over the heads. The paper adds each of them with its weight, so two "
            "heads pull twice as hard as one.",
        ),
        WrongAnswer(
            """\
def auxiliary_loss(logits, heads, labels, weight):
    loss = F.cross_entropy(logits, labels)
    for head in heads:
        loss = loss + weight * F.cross_entropy(head, labels)
    return loss / (1 + weight * len(heads))""",
            "You divide by the sum of the weights. That only rescales the learning rate, and it is "
            "not what was asked for.",
        ),
        WrongAnswer(
            """\
def auxiliary_loss(logits, heads, labels, weight):
    for head in heads:
        logits = logits + weight * head
    return F.cross_entropy(logits, labels)""",
            "You add the logits and take one loss: then the heads only have to be right together. "
            "Each head has a loss of its own.",
        ),
        WrongAnswer(
            """\
def auxiliary_loss(logits, heads, labels, weight):
    loss = F.cross_entropy(logits.softmax(dim=1), labels)
    for head in heads:
        loss = loss + weight * F.cross_entropy(head.softmax(dim=1), labels)
    return loss""",
            "F.cross_entropy takes logits and applies the softmax itself; yours is applied twice.",
        ),
        WrongAnswer(
            """\
def auxiliary_loss(logits, heads, labels, weight):
    loss = F.cross_entropy(logits, labels)
    for head in heads[:1]:
        loss = loss + weight * F.cross_entropy(head, labels)
    return loss""",
            "Only the first head is counted. There may be two.",
        ),
        WrongAnswer(
            """\
def auxiliary_loss(logits, heads, labels, weight):
    loss = F.cross_entropy(logits, labels).item()
    for head in heads:
        loss = loss + weight * F.cross_entropy(head, labels).item()
    return torch.tensor(loss)""",
            "The number is right, and nothing can be learned from it: .item() cuts it off from the "
            "logits. Add the tensors.",
        ),
        WrongAnswer(
            """\
def auxiliary_loss(logits, heads, labels, weight):
    loss = F.cross_entropy(logits, labels)
    for head in heads:
        loss = loss + weight * F.cross_entropy(head.detach(), labels)
    return loss""",
            "The heads are detached: their losses are counted, and no gradient comes of them.",
        ),
    ),
    case=loss_case,
    describe=lambda logits, heads, labels, weight: (
        f"logits {[[round(x, 2) for x in row] for row in logits.tolist()]}, {len(heads)} heads, "
        f"labels {labels.tolist()}, weight={weight} (loss, then its gradients)"
    ),
    outcome=loss_outcome,
    cases=24,
)


# --- a map for a class ----------------------------------------------------------------------------


def map_case(number: int) -> tuple[Tensor, Tensor, int]:
    """Feature maps of one image, the last layer's weights, a class."""
    draw = torch.Generator().manual_seed(number)
    channels, classes = 1 + number % 4, 2 + number // 2 % 3
    maps = torch.randint(0, 5, (channels, 2 + number % 3, 2 + number // 3 % 3), generator=draw)
    weight = torch.randint(-3, 4, (classes, channels), generator=draw)
    return maps.float(), weight.float(), number % classes


CLASS_MAP = Exercise(
    name="class_map",
    task=(
        "After global average pooling a linear layer makes the logits. The two can be swapped: "
        "apply the weights at every position first, average then. Return the map before the "
        "average for one class, (H, W): at each position the sum over channels of that class's "
        "weights times `maps` (C, H, W). `weight` is the linear layer's, (classes, C). The mean of "
        "the map is the logit of class `label`, without its bias."
    ),
    stub='''\
def class_map(maps, weight, label) -> Tensor:
    """Class activation map: (C, H, W), (classes, C), a class -> (H, W)."""
    ...''',
    hints=(
        "weight[label] has one number a channel. Each channel's map is multiplied by its number.",
        "weight[label][:, None, None] has the shape (C, 1, 1), which broadcasts over (C, H, W).",
        "(weight[label][:, None, None] * maps).sum(dim=0), or torch.einsum('c,chw->hw', ...)",
    ),
    solution_code='''\
def class_map(maps, weight, label):
    """Class activation map: (C, H, W), (classes, C), a class -> (H, W)."""
    return (weight[label][:, None, None] * maps).sum(dim=0)''',
    wrong=(
        WrongAnswer(
            """\
def class_map(maps, weight, label):
    return (weight[label][:, None, None] * maps).mean(dim=0)""",
            "The channels are added up, not averaged: a linear layer sums. Only the positions are "
            "averaged, later.",
        ),
        WrongAnswer(
            """\
def class_map(maps, weight, label):
    return F.relu((weight[label][:, None, None] * maps).sum(dim=0))""",
            "You cut off what speaks against the class. Then the mean of the map is no longer the "
            "logit.",
        ),
        WrongAnswer(
            """\
def class_map(maps, weight, label):
    return maps.sum(dim=0)""",
            "The class is not in it: every class would get the same map. Weigh the channels by "
            "weight[label].",
        ),
        WrongAnswer(
            """\
def class_map(maps, weight, label):
    return (weight[label] * maps.mean(dim=(1, 2))).sum()""",
            "That is the logit: you averaged the positions away. Leave them, and get a map.",
        ),
        WrongAnswer(
            """\
def class_map(maps, weight, label):
    return (weight[0][:, None, None] * maps).sum(dim=0)""",
            "You always take the weights of class 0.",
        ),
        WrongAnswer(
            """\
def class_map(maps, weight, label):
    return weight[label][:, None, None] * maps""",
            "There is still a map for each channel. Add them up over the channels.",
        ),
        WrongAnswer(
            """\
def class_map(maps, weight, label):
    return (weight[label][:, None, None] * maps).sum(dim=0) / maps[0].numel()""",
            "You have divided by the number of positions already. The mean of the map, not its "
            "sum, is to be the logit.",
        ),
    ),
    case=map_case,
    describe=lambda maps, weight, label: (
        f"maps {maps.tolist()}, weight {weight.tolist()}, label={label}"
        if maps.numel() <= 8
        else f"maps {plain(maps.shape)}, weight {plain(weight.shape)}, label={label}"
    ),
    cases=24,
)

EXERCISES = (PAPER_5X5, FACTORISE, INCEPTION, AUXILIARY_LOSS, CLASS_MAP)
