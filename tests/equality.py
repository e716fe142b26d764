"""The equality table, torchvision's networks beside ours: `python tests/equality.py`.

Each pair has its full width and the same random weights. It answers in eval mode, takes one step of
training with nothing left to chance, and must agree to 1e-5 in logits, gradients and what the step
left behind (running statistics, weights); parameters must be torchvision's, and MACs at its crop
those that its weights quote. Two to three minutes, and 5 GB of memory for VGG.
"""

import sys
from collections.abc import Callable, Iterator
from functools import partial
from typing import NamedTuple

import torch
import torchvision
from models.conftest import check_equal
from torch import nn

from cnncourse.models import alexnet, efficientnet, googlenet, resnet, vgg
from cnncourse.trace import trace

NAMES = {
    alexnet: ["alexnet"],
    vgg: [f"vgg{depth}{norm}" for depth in (11, 13, 16, 19) for norm in ("", "_bn")],
    googlenet: ["googlenet"],
    resnet: [f"resnet{depth}" for depth in (18, 34, 50, 101, 152)],
    efficientnet: [f"efficientnet_b{number}" for number in range(8)],
}
SIZES_PX = {"alexnet": (95, 131)}  # odd, not square, and about as small as each network takes
SIZE_PX = (65, 81)

Build = Callable[[], nn.Module]


class Row(NamedTuple):
    """A network: what was counted on it, and its largest differences from torchvision's."""

    parameters: int
    gmacs: float
    logits: float  # in eval mode and in train mode
    gradients: float
    statistics: float  # running statistics and weights after one step


def builders() -> Iterator[tuple[str, str, Build, Build]]:
    """A label, the name of torchvision's weights, ours, torchvision's."""
    for module, names in NAMES.items():
        for name in names:
            ours, theirs = getattr(module, name), getattr(torchvision.models, name)
            if name == "googlenet":  # as built, it has auxiliary heads
                theirs = partial(theirs, init_weights=False)
                pair = (partial(build, aux_logits=False) for build in (ours, theirs))
                yield ("googlenet, no heads", name, *pair)
            yield name, name, ours, theirs


def on_meta(build: Build) -> nn.Module:
    """The network without numbers."""
    with torch.device("meta"):
        return build()


def compared(name: str, ours: Build, theirs: Build) -> Row:
    """A row of the table; raises AssertionError where the two differ."""
    weights = torchvision.models.get_model_weights(name).IMAGENET1K_V1
    crop_px = weights.transforms().crop_size[0]
    gmacs = trace(on_meta(ours), (1, 3, crop_px, crop_px)).macs / 1e9
    assert round(gmacs, 3) == weights.meta["_ops"]
    pair = [on_meta(build).to_empty(device="cpu") for build in (ours, theirs)]
    found = check_equal(*pair, sizes=[SIZES_PX.get(name, SIZE_PX)])
    logits = max(found.eval_logits, found.train_logits)
    return Row(found.parameters, gmacs, logits, found.gradients, found.statistics)


def main() -> None:
    """Print the table, a row as soon as it is known."""
    print(f"{'largest difference of':42}{'logits':>8}{'gradients':>11}{'statistics':>12}")
    for label, name, ours, theirs in builders():
        row = compared(name, ours, theirs)
        counts = f"{label:20}{row.parameters:12,}{row.gmacs:8.3f} G"
        print(f"{counts}{row.logits:8.0e}{row.gradients:11.0e}{row.statistics:12.0e}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
