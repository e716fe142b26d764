"""Exercises of the lesson on ResNet: the block, shortcut A, bottlenecks, strides, gradients."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from cnncourse.exercises import Exercise, Question, WrongAnswer

WHO_FITS = Question(
    "Two plain networks, batch normalisation in both, the same images, the same six epochs: 8 "
    "layers and 44 layers. Which has the lower error on the very images it trains on?",
    ("44 layers: more parameters fit more", "8 layers", "both the same"),
    answer="8 layers",
    why=(
        "A 44-layer network could copy the 8-layer one and let its other layers do nothing. It has "
        "the room, and does not find the way in the time given. A higher error on the training "
        "images is not overfitting; the paper calls it degradation."
    ),
)
WHERE_LARGEST = Question(
    "The untrained plain network of 44 layers, batch normalisation after each convolution. Where "
    "is the gradient of the loss largest?",
    ("in the last layers: it vanishes on its way back", "in the first layers", "the same in all"),
    answer="in the first layers",
    why=(
        "It grows on its way back. Batch normalisation keeps every layer's signal at one spread on "
        "the way forward; on the way back each layer makes the gradient a little larger, and 43 of "
        "them make it hundreds of times as large. Nothing vanishes here."
    ),
)
WHERE_STRIDE = Question(
    "A bottleneck that halves the map can do so in its first 1x1 convolution (as in the paper) or "
    "in its 3x3 (as in torchvision). Which ResNet-50 computes more?",
    ("the paper's", "torchvision's", "both the same: the weights are the same"),
    answer="torchvision's",
    why=(
        "The weights are the same, the maps are not: with the stride in the 3x3, the first 1x1 "
        "works on a map of twice the width and height. It also sees every pixel, where a 1x1 of "
        "stride 2 skips three of four."
    ),
)
WHICH_SHORTCUT = Question(
    "The paper trains ResNet-34 with three shortcuts: A without parameters, B with projections "
    "where the shape changes, C with projections around every block. How do the errors compare?",
    ("A is best: nothing stands in the way", "C far ahead", "C, B, A, close together"),
    answer="C, B, A, close together",
    why=(
        "Top-1 errors of 24.19, 24.52 and 25.03 %. The authors conclude that projections are not "
        "essential for degradation, and leave C out to save memory and time."
    ),
)


def random(number: int) -> torch.Generator:
    """Random numbers of a case."""
    return torch.Generator().manual_seed(number)


def outcome(function: Callable, arguments: tuple) -> object:
    """What the function returns, without its graph."""
    result = function(*arguments)
    return result.detach() if isinstance(result, Tensor) else result


# --- the basic block ------------------------------------------------------------------------------


def block_case(number: int) -> tuple:
    """Input, two convolutions with their norms, and a shortcut: the identity or a projection."""
    torch.manual_seed(number)
    channels, stride = 1 + number % 3, 1 + number % 2
    width = channels + 1 if stride == 2 else channels
    conv1 = nn.Conv2d(channels, width, 3, stride, padding=1, bias=False)
    conv2 = nn.Conv2d(width, width, 3, padding=1, bias=False)
    norms = [nn.BatchNorm2d(width), nn.BatchNorm2d(width)]
    for norm in norms:
        nn.init.normal_(norm.bias)
    shortcut = nn.Conv2d(channels, width, 1, stride, bias=False) if stride == 2 else nn.Identity()
    x = torch.randn(2, channels, 3 + number % 4, 4 + number % 3)
    return x, conv1, norms[0], conv2, norms[1], shortcut


BASIC_BLOCK = Exercise(
    name="basic_block",
    task=(
        "Write the forward pass of a basic block, as in Figure 2 of the paper: convolution, norm, "
        "ReLU, convolution, norm; add what the shortcut gives for the block's input; ReLU. All "
        "parts are given to you as modules."
    ),
    stub='''\
def basic_block(x, conv1, bn1, conv2, bn2, shortcut):
    """ReLU(F(x) + shortcut(x)), (N, C, H, W) in and out."""
    ...''',
    hints=(
        "Two ways from the same x: one through four modules, one through the shortcut.",
        "There are two ReLUs: one in the middle, and one after the sum.",
        "residual = bn2(conv2(F.relu(bn1(conv1(x))))), then F.relu(residual + shortcut(x)).",
    ),
    solution_code='''\
def basic_block(x, conv1, bn1, conv2, bn2, shortcut):
    """ReLU(F(x) + shortcut(x)), (N, C, H, W) in and out."""
    residual = F.relu(bn1(conv1(x)))
    residual = bn2(conv2(residual))
    return F.relu(residual + shortcut(x))''',
    wrong=(
        WrongAnswer(
            """\
def basic_block(x, conv1, bn1, conv2, bn2, shortcut):
    residual = F.relu(bn1(conv1(x)))
    return F.relu(bn2(conv2(residual)))""",
            "This is the plain block: the shortcut is never used. Add shortcut(x) before the last "
            "ReLU.",
        ),
        WrongAnswer(
            """\
def basic_block(x, conv1, bn1, conv2, bn2, shortcut):
    residual = F.relu(bn1(conv1(x)))
    residual = F.relu(bn2(conv2(residual)))
    return residual + shortcut(x)""",
            "The ReLU comes before the sum: then a block could only add, never take away. In the "
            "paper it comes after.",
        ),
        WrongAnswer(
            """\
def basic_block(x, conv1, bn1, conv2, bn2, shortcut):
    residual = F.relu(bn1(conv1(x)))
    residual = F.relu(bn2(conv2(residual)))
    return F.relu(residual + shortcut(x))""",
            "One ReLU too many: the second norm goes into the sum as it is, with its negative "
            "values.",
        ),
        WrongAnswer(
            """\
def basic_block(x, conv1, bn1, conv2, bn2, shortcut):
    residual = F.relu(bn1(conv1(x)))
    return bn2(conv2(residual)) + shortcut(x)""",
            "The ReLU after the sum is missing. (The 2016 paper takes it away for good, and puts "
            "norm and ReLU before each convolution instead.)",
        ),
        WrongAnswer(
            """\
def basic_block(x, conv1, bn1, conv2, bn2, shortcut):
    residual = bn2(conv2(bn1(conv1(x))))
    return F.relu(residual + shortcut(x))""",
            "The ReLU in the middle is missing: two convolutions without one between them are one "
            "linear map.",
        ),
        WrongAnswer(
            """\
def basic_block(x, conv1, bn1, conv2, bn2, shortcut):
    residual = bn2(conv2(F.relu(bn1(conv1(x)))))
    return F.relu(residual + shortcut(F.relu(x)))""",
            "The shortcut takes x as it is. With a ReLU before it, negative values of the block's "
            "input would be lost.",
        ),
        WrongAnswer(
            """\
def basic_block(x, conv1, bn1, conv2, bn2, shortcut):
    residual = F.relu(bn1(conv1(x)))
    residual = bn2(conv2(residual))
    return F.relu(torch.cat([residual, shortcut(x)], dim=1))""",
            "You put the two side by side, as DenseNet does: twice the channels. A residual block "
            "adds them.",
        ),
    ),
    case=block_case,
    outcome=outcome,
    describe=lambda x, conv1, bn1, conv2, bn2, shortcut: (
        f"x {tuple(x.shape)}, stride {conv1.stride[0]}, shortcut {type(shortcut).__name__}"
    ),
)


# --- shortcut A -----------------------------------------------------------------------------------


def maps_case(number: int) -> tuple[Tensor, int, int]:
    """Maps of small whole numbers, out_channels, stride."""
    channels = 1 + number % 3
    shape = (1 + number % 2, channels, 2 + number % 4, 3 + (number + 1) % 3)
    x = torch.randint(1, 10, shape, generator=random(number)).float()
    return x, channels + (0 if number % 5 == 3 else 1 + number % 4), 1 + (number + 1) % 3


SHORTCUT_A = Exercise(
    name="shortcut_a",
    task=(
        "Write the paper's shortcut A, which has no parameters. Keep every `stride`-th row and "
        "column of `x`, from the first on, and append channels of zeros until there are "
        "`out_channels`."
    ),
    stub='''\
def shortcut_a(x, out_channels, stride):
    """(N, C, H, W) -> (N, out_channels, ceil(H / stride), ceil(W / stride))."""
    ...''',
    hints=(
        "Two independent things: fewer pixels, then more channels.",
        "x[:, :, ::2, ::2] keeps every second row and column. How many channels are missing?",
        "F.pad takes pairs from the last axis to the first: (0, 0, 0, 0, 0, missing) appends "
        "channels.",
    ),
    solution_code='''\
def shortcut_a(x, out_channels, stride):
    """(N, C, H, W) -> (N, out_channels, ceil(H / stride), ceil(W / stride))."""
    kept = x[:, :, ::stride, ::stride]
    return F.pad(kept, (0, 0, 0, 0, 0, out_channels - x.shape[1]))''',
    wrong=(
        WrongAnswer(
            """\
def shortcut_a(x, out_channels, stride):
    kept = F.avg_pool2d(x, stride, ceil_mode=True)
    return F.pad(kept, (0, 0, 0, 0, 0, out_channels - x.shape[1]))""",
            "You average the pixels of each window. Shortcut A keeps one of them, as a 1x1 "
            "convolution of that stride does.",
        ),
        WrongAnswer(
            """\
def shortcut_a(x, out_channels, stride):
    kept = x[:, :, ::stride, ::stride]
    return F.pad(kept, (0, 0, 0, 0, out_channels - x.shape[1], 0))""",
            "The zeros come first and push every channel to another place. Append them at the end.",
        ),
        WrongAnswer(
            """\
def shortcut_a(x, out_channels, stride):
    kept = x[:, :, ::stride, ::stride]
    return F.pad(kept, (0, 0, 0, 0, 0, out_channels))""",
            "out_channels zeros are appended to the channels that are there already. Append the "
            "difference.",
        ),
        WrongAnswer(
            """\
def shortcut_a(x, out_channels, stride):
    return F.pad(x, (0, 0, 0, 0, 0, out_channels - x.shape[1]))""",
            "The channels are right, the size is not: a stride makes the map smaller. Keep every "
            "stride-th pixel.",
        ),
        WrongAnswer(
            """\
def shortcut_a(x, out_channels, stride):
    return x[:, :, ::stride, ::stride]""",
            "The size is right, the channels are not: append zeros, or the sum with the block's "
            "output does not fit.",
        ),
        WrongAnswer(
            """\
def shortcut_a(x, out_channels, stride):
    kept = x[:, :, stride - 1 :: stride, stride - 1 :: stride]
    return F.pad(kept, (0, 0, 0, 0, 0, out_channels - x.shape[1]))""",
            "You keep the last pixel of each step. Start at the first: then a row of 5 px gives 3, "
            "as a convolution of stride 2 does.",
        ),
        WrongAnswer(
            """\
def shortcut_a(x, out_channels, stride):
    kept = x[:, :, ::stride, ::stride]
    times = -(-out_channels // x.shape[1])
    return kept.repeat(1, times, 1, 1)[:, :out_channels]""",
            "You repeat the channels. New channels are zero: there the block's output alone "
            "decides.",
        ),
        WrongAnswer(
            """\
def shortcut_a(x, out_channels, stride):
    kept = x[:, :, ::stride]
    return F.pad(kept, (0, 0, 0, 0, 0, out_channels - x.shape[1]))""",
            "Only the rows are subsampled. A stride is for both directions: rows and columns.",
        ),
    ),
    case=maps_case,
    describe=lambda x, out_channels, stride: (
        f"x {tuple(x.shape)} (first channel {x[0, 0].int().tolist()}), "
        f"out_channels={out_channels}, stride={stride}"
    ),
)


# --- the bottleneck -------------------------------------------------------------------------------

BOTTLENECKS = ((4, 1), (2, 2), (8, 2), (256, 64), (64, 64), (512, 128), (3, 5), (1, 1), (1024, 256))

BOTTLENECK = Exercise(
    name="bottleneck_weights",
    task=(
        "How much does a bottleneck save? Between maps of `channels` channels, count the weights "
        "of 1x1 to `width` channels, 3x3, 1x1 back to `channels`; and those of two 3x3 "
        "convolutions that keep all `channels`. There are no biases, and batch normalisation is "
        "not counted. Return both numbers, the bottleneck's first."
    ),
    stub='''\
def bottleneck_weights(channels: int, width: int) -> tuple[int, int]:
    """Weights of 1x1, 3x3, 1x1 through width channels, and of two 3x3 between channels."""
    ...''',
    hints=(
        "A k x k convolution from a to b channels has k * k * a * b weights.",
        "The bottleneck: channels to width, width to width (3x3), width to channels.",
        "2 * channels * width + 9 * width**2, and 2 * 9 * channels**2.",
    ),
    solution_code='''\
def bottleneck_weights(channels, width):
    """Weights of 1x1, 3x3, 1x1 through width channels, and of two 3x3 between channels."""
    bottleneck = channels * width + 9 * width * width + width * channels
    return bottleneck, 2 * 9 * channels * channels''',
    wrong=(
        WrongAnswer(
            """\
def bottleneck_weights(channels, width):
    bottleneck = channels * width + 9 * width * width + width * channels
    return bottleneck + 2 * width + channels, 2 * 9 * channels * channels + 2 * channels""",
            "Biases are counted. There are none: the batch normalisation after each convolution "
            "would take them out again.",
        ),
        WrongAnswer(
            """\
def bottleneck_weights(channels, width):
    bottleneck = channels * width + 9 * width * width + width * channels
    return bottleneck, 9 * channels * channels""",
            "One 3x3 is counted on the right. The block to compare with, a basic block, has two.",
        ),
        WrongAnswer(
            """\
def bottleneck_weights(channels, width):
    bottleneck = channels * width + width * width + width * channels
    return bottleneck, 2 * channels * channels""",
            "A 3x3 kernel has nine weights for each pair of channels, not one.",
        ),
        WrongAnswer(
            """\
def bottleneck_weights(channels, width):
    bottleneck = channels * width + 9 * width * width + width * channels
    return 2 * 9 * channels * channels, bottleneck""",
            "Both numbers are right, in the other order: the bottleneck's comes first.",
        ),
        WrongAnswer(
            """\
def bottleneck_weights(channels, width):
    return channels * width + 9 * width * width, 2 * 9 * channels * channels""",
            "The way back is missing: a second 1x1 from width to channels, or nothing could be "
            "added.",
        ),
        WrongAnswer(
            """\
def bottleneck_weights(channels, width):
    bottleneck = channels * width + 9 * width * width + width * channels
    return bottleneck, 2 * 9 * width * width""",
            "The two 3x3 work between all channels: nobody has narrowed them.",
        ),
        WrongAnswer(
            """\
def bottleneck_weights(channels, width):
    return 3 * 9 * channels * width, 2 * 9 * channels * channels""",
            "Only the middle convolution is 3x3. The outer ones are 1x1, which is what makes them "
            "cheap.",
        ),
    ),
    case=lambda number: BOTTLENECKS[number],
    describe=lambda channels, width: f"channels={channels}, width={width}",
    cases=len(BOTTLENECKS),
)


# --- a stride bug ---------------------------------------------------------------------------------

# Strides of the four stages: right, then as in re-implementations that went around.
STRIDES = (
    (1, 2, 2, 2),
    (1, 2, 1, 1),
    (2, 2, 2, 2),
    (1, 1, 2, 2),
    (2, 1, 1, 1),
    (1, 2, 2, 1),
    (1, 3, 2, 2),
    (1, 2, 4, 2),
)


def trace_case(number: int) -> tuple[list[tuple[int, int, int, int]]]:
    """Shapes after the stem and after each of four stages.

    Later on sides are odd and unequal, and at times a stage is wrong in one of them alone.
    """
    height, width = (56, 56) if number < len(STRIDES) else (41 + 3 * number, 39 + 5 * number)
    shapes, widths = [(1, 64, height, width)], (64, 128, 256, 512)
    down = across = STRIDES[number % len(STRIDES)]
    if number >= 2 * len(STRIDES):
        down, across = (STRIDES[0], across) if number % 2 else (down, STRIDES[0])
    for vertical, horizontal, channels in zip(down, across, widths, strict=True):
        height, width = -(-height // vertical), -(-width // horizontal)
        shapes.append((1, channels, height, width))
    return (shapes,)


WRONG_STRIDES = Exercise(
    name="wrong_strides",
    task=(
        "A trace of somebody's ResNet: shapes `(N, C, H, W)` after the stem and after each of the "
        "four stages. Stage 1 must keep the map; stages 2, 3 and 4 must halve it, rounding up. "
        "Return the numbers of the stages that break this rule, as a list. Judge every stage by "
        "the shape that it was given, so that one mistake is not blamed on the stages after it."
    ),
    stub='''\
def wrong_strides(shapes: list) -> list[int]:
    """Numbers (1 to 4) of the stages whose map has not the size it should have."""
    ...''',
    hints=(
        "shapes has five rows. Stage s makes shapes[s] out of shapes[s - 1].",
        "Half of 7, rounded up, is (7 + 1) // 2 = 4. Look at height and width; channels do not "
        "matter.",
        "For s from 1 to 4: stride = 1 if s == 1 else 2; the size should be "
        "((H + stride - 1) // stride, (W + stride - 1) // stride).",
    ),
    solution_code='''\
def wrong_strides(shapes):
    """Numbers (1 to 4) of the stages whose map has not the size it should have."""
    wrong = []
    for stage in range(1, 5):
        stride = 1 if stage == 1 else 2
        given, gives = shapes[stage - 1][2:], shapes[stage][2:]
        if tuple(-(-side // stride) for side in given) != tuple(gives):
            wrong.append(stage)
    return wrong''',
    wrong=(
        WrongAnswer(
            """\
def wrong_strides(shapes):
    wrong, sides = [], shapes[0][2:]
    for stage in range(1, 5):
        stride = 1 if stage == 1 else 2
        sides = tuple(-(-side // stride) for side in sides)
        if sides != tuple(shapes[stage][2:]):
            wrong.append(stage)
    return wrong""",
            "After one mistake you blame all stages that follow. Compare each with the shape that "
            "it was given, not with the one it should have been given.",
        ),
        WrongAnswer(
            """\
def wrong_strides(shapes):
    wrong = []
    for stage in range(1, 5):
        stride = 1 if stage == 1 else 2
        given, gives = shapes[stage - 1][2:], shapes[stage][2:]
        if tuple(side // stride for side in given) != tuple(gives):
            wrong.append(stage)
    return wrong""",
            "You round down. A 3x3 convolution with padding 1 and stride 2 makes 4 of 7 px: it "
            "rounds up.",
        ),
        WrongAnswer(
            """\
def wrong_strides(shapes):
    wrong = []
    for stage in range(1, 5):
        given, gives = shapes[stage - 1][2:], shapes[stage][2:]
        if tuple(-(-side // 2) for side in given) != tuple(gives):
            wrong.append(stage)
    return wrong""",
            "Stage 1 keeps its map: stem and pool have made it four times smaller already.",
        ),
        WrongAnswer(
            """\
def wrong_strides(shapes):
    for stage in range(1, 5):
        stride = 1 if stage == 1 else 2
        given, gives = shapes[stage - 1][2:], shapes[stage][2:]
        if tuple(-(-side // stride) for side in given) != tuple(gives):
            return [stage]
    return []""",
            "You stop at the first wrong stage. There may be more: go on to the fourth.",
        ),
        WrongAnswer(
            """\
def wrong_strides(shapes):
    wrong = []
    for stage in range(1, 5):
        stride = 1 if stage == 1 else 2
        given, gives = shapes[stage - 1][2:], shapes[stage][2:]
        if tuple(-(-side // stride) for side in given) != tuple(gives):
            wrong.append(stage - 1)
    return wrong""",
            "Counted from 0. Stages are called 1 to 4, as layer1 to layer4 are.",
        ),
        WrongAnswer(
            """\
def wrong_strides(shapes):
    wrong = []
    for stage in range(1, 5):
        stride = 1 if stage == 1 else 2
        given, gives = shapes[stage - 1][2:], shapes[stage][2:]
        if tuple(-(-side // stride) for side in given) == tuple(gives):
            wrong.append(stage)
    return wrong""",
            "These are the stages that are right. Asked for are the others.",
        ),
        WrongAnswer(
            """\
def wrong_strides(shapes):
    return [s for s in range(1, 5) if shapes[s][2] == shapes[s - 1][2]]""",
            "Every stage that keeps its height is in your list: also stage 1, which should, and "
            "one that divides by four is not.",
        ),
        WrongAnswer(
            """\
def wrong_strides(shapes):
    wrong = []
    for stage in range(1, 5):
        stride = 1 if stage == 1 else 2
        if -(-shapes[stage - 1][2] // stride) != shapes[stage][2]:
            wrong.append(stage)
    return wrong""",
            "You look at the height alone. A stage can be wrong in its width, too.",
        ),
        WrongAnswer(
            """\
def wrong_strides(shapes):
    wrong = []
    for stage in range(1, 5):
        stride = 1 if stage == 1 else 2
        if -(-shapes[stage - 1][3] // stride) != shapes[stage][3]:
            wrong.append(stage)
    return wrong""",
            "You look at the width alone. A stage can be wrong in its height, too.",
        ),
    ),
    case=trace_case,
    describe=lambda shapes: "sides " + " -> ".join(f"{s[2]}x{s[3]}" for s in shapes),
    cases=30,
)


# --- is it vanishing gradients? -------------------------------------------------------------------


def gradients_case(number: int) -> tuple:
    """A small network in either mode, with gradients of an earlier step, and a batch.

    In every fifth case its convolutions are within blocks, as a ResNet's are.
    """
    torch.manual_seed(number)
    layers: list[nn.Module] = []
    channels = 1
    for _ in range(1 + number % 3):
        block = nn.Conv2d(channels, 3, 3, padding=1, bias=False), nn.BatchNorm2d(3), nn.ReLU()
        layers += [nn.Sequential(*block)] if number % 5 == 4 else block
        channels = 3
    model = nn.Sequential(*layers, nn.Flatten(), nn.Linear(3 * 16, 4))
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_var = torch.empty(3).uniform_(2, 4)
    images, labels = torch.randn(3 + number % 4, 1, 4, 4), torch.randint(4, (3 + number % 4,))
    if number % 2:
        model(torch.randn(2, 1, 4, 4)).square().sum().backward()
    return model.train(number % 4 != 3), images, labels


def norms_and_mode(function: Callable, arguments: tuple) -> object:
    """What the function returns, and the mode in which it leaves the network."""
    norms = function(*arguments)
    return norms, "train mode" if arguments[0].training else "eval mode"


GRADIENT_NORMS = Exercise(
    name="gradient_norms",
    task=(
        "Is it vanishing gradients? Measure: for a batch, take the gradient of the mean "
        "cross-entropy and return the norm (the root of the sum of squares) of every "
        "convolution's weight gradient, as a list of floats in the order of `model.modules()`. "
        "Leave the model in the mode it comes in. There may be gradients in it from before."
    ),
    stub='''\
def gradient_norms(model, images, labels) -> list[float]:
    """Norm of the loss's gradient for the weights of each convolution, from the input on."""
    ...''',
    hints=(
        "Clear, forward, loss, backward; then go through the modules.",
        "isinstance(module, nn.Conv2d) picks the convolutions; module.weight.grad is the gradient.",
        "[module.weight.grad.norm().item() for module in model.modules() if isinstance(module, "
        "nn.Conv2d)], after model.zero_grad() and F.cross_entropy(...).backward().",
    ),
    solution_code='''\
def gradient_norms(model, images, labels):
    """Norm of the loss's gradient for the weights of each convolution, from the input on."""
    model.zero_grad()
    F.cross_entropy(model(images), labels).backward()
    convolutions = [module for module in model.modules() if isinstance(module, nn.Conv2d)]
    return [module.weight.grad.norm().item() for module in convolutions]''',
    wrong=(
        WrongAnswer(
            """\
def gradient_norms(model, images, labels):
    F.cross_entropy(model(images), labels).backward()
    convolutions = [module for module in model.modules() if isinstance(module, nn.Conv2d)]
    return [module.weight.grad.norm().item() for module in convolutions]""",
            "The gradients from before are still in it: backward() adds to them. Clear them first.",
        ),
        WrongAnswer(
            """\
def gradient_norms(model, images, labels):
    model.eval()
    model.zero_grad()
    F.cross_entropy(model(images), labels).backward()
    convolutions = [module for module in model.modules() if isinstance(module, nn.Conv2d)]
    return [module.weight.grad.norm().item() for module in convolutions]""",
            "In eval mode batch normalisation takes its running statistics, which training never "
            "does. Measure in the mode in which it trains.",
        ),
        WrongAnswer(
            """\
def gradient_norms(model, images, labels):
    model.train()
    model.zero_grad()
    F.cross_entropy(model(images), labels).backward()
    convolutions = [module for module in model.modules() if isinstance(module, nn.Conv2d)]
    return [module.weight.grad.norm().item() for module in convolutions]""",
            "You put the network into train mode. It comes in the mode in which it is to be "
            "measured, and is to be left in it.",
        ),
        WrongAnswer(
            """\
def gradient_norms(model, images, labels):
    model.zero_grad()
    F.cross_entropy(model(images), labels).backward()
    convolutions = [module for module in model.modules() if isinstance(module, nn.Conv2d)]
    return [module.weight.norm().item() for module in convolutions]""",
            "These are the norms of the weights. Asked for are those of their gradients, "
            "weight.grad.",
        ),
        WrongAnswer(
            """\
def gradient_norms(model, images, labels):
    model.zero_grad()
    F.cross_entropy(model(images), labels).backward()
    return [parameter.grad.norm().item() for parameter in model.parameters()]""",
            "All parameters are in your list: batch normalisation's and the full connection's too. "
            "Take the convolutions alone.",
        ),
        WrongAnswer(
            """\
def gradient_norms(model, images, labels):
    model.zero_grad()
    F.cross_entropy(model(images), labels).backward()
    convolutions = [module for module in model.modules() if isinstance(module, nn.Conv2d)]
    return [module.weight.grad.abs().mean().item() for module in convolutions]""",
            "A mean of magnitudes is no norm: take the root of the sum of squares.",
        ),
        WrongAnswer(
            """\
def gradient_norms(model, images, labels):
    model.zero_grad()
    F.cross_entropy(model(images), labels).backward()
    convolutions = [module for module in model.children() if isinstance(module, nn.Conv2d)]
    return [module.weight.grad.norm().item() for module in convolutions]""",
            "You look at the network's outermost modules alone. Where convolutions are within "
            "blocks, as in a ResNet, they are missed: modules() goes into every one.",
        ),
        WrongAnswer(
            """\
def gradient_norms(model, images, labels):
    model.zero_grad()
    F.cross_entropy(model(images), labels, reduction="sum").backward()
    convolutions = [module for module in model.modules() if isinstance(module, nn.Conv2d)]
    return [module.weight.grad.norm().item() for module in convolutions]""",
            "A sum over the batch: twice the images, twice the norm. Take the mean, which is "
            "cross_entropy's own choice.",
        ),
        WrongAnswer(
            """\
def gradient_norms(model, images, labels):
    model.zero_grad()
    F.cross_entropy(model(images), labels).backward()
    convolutions = [module for module in model.modules() if isinstance(module, nn.Conv2d)]
    return [module.weight.grad.norm() for module in convolutions]""",
            "These are tensors. Make floats of them, with .item().",
        ),
    ),
    case=gradients_case,
    describe=lambda model, images, labels: (
        f"{sum(isinstance(module, nn.Conv2d) for module in model.modules())} convolutions"
        f"{' in blocks' * isinstance(model[0], nn.Sequential)}, "
        f"{len(images)} images, "
        + ("clean" if next(model.parameters()).grad is None else "with gradients from before")
        + ", in train mode" * model.training
        + ", in eval mode" * (not model.training)
    ),
    outcome=norms_and_mode,
)


EXERCISES = (BASIC_BLOCK, SHORTCUT_A, BOTTLENECK, WRONG_STRIDES, GRADIENT_NORMS)
