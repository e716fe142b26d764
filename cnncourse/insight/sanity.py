"""The sanity check of Adebayo et al. 2018 (arXiv:1810.03292): does a map depend on the weights?

A map that explains a network must change when the network does. So the weights are redrawn, layer
by layer from the last one down, and every map is compared with what it was.
"""

import copy
from collections.abc import Callable, Iterator, Sequence

import numpy as np
import torch
from scipy.stats import rankdata
from torch import Tensor, nn

from cnncourse.insight.checks import check_several, check_tensor, random_numbers
from cnncourse.insight.layers import check_model, layer_of

Method = Callable[[nn.Module], Tensor]  # maps (N, h, w) of a model, for pictures that it holds


def randomised(model: nn.Module, layers: Sequence[str], *, seed: int) -> nn.Module:
    """A copy of a model with the weights in these layers redrawn, normally distributed.

    Every tensor keeps its mean and its spread, so that the answers neither fade nor burst; running
    statistics stay. The model itself is not changed. Raises ValueError for an unknown layer.
    """
    check_model(model)
    twin = copy.deepcopy(model)
    redraw(twin, layers, seed=seed)
    return twin


def redraw(model: nn.Module, layers: Sequence[str], *, seed: int) -> None:
    """Redraw the weights in these layers, in place; all of them for [""].

    Raises ValueError for an unknown layer, and for one without weights: it would stay as it is.
    """
    check_several("layers", layers)
    drawn = random_numbers(seed)
    parts = [model] if list(layers) == [""] else [layer_of(model, name) for name in layers]
    for name, part in zip(layers, parts, strict=True):
        if not any(True for _ in part.parameters()):
            kind = type(part).__name__
            raise ValueError(
                f"layer {name!r} ({kind}) has no weights to redraw. "
                "Try: [name for name, _ in model.named_parameters()], less the last word of each."
            )
    with torch.no_grad():
        for tensor in dict.fromkeys(x for part in parts for x in part.parameters()):
            noise = torch.randn(tensor.shape, generator=drawn).to(tensor)
            spread = tensor.std() if tensor.numel() > 1 else tensor.abs().sum()
            tensor.copy_(tensor.mean() + spread * noise)


def cascade(
    model: nn.Module, layers: Sequence[str], *, seed: int
) -> Iterator[tuple[str, nn.Module]]:
    """A copy of a model in which ever more is random: the last of the layers, the last two, ...

    layers are names in the order of the pass. A layer once redrawn keeps its new weights. It is one
    copy, which changes when the next step is asked for: a second would take as much memory again.
    """
    check_model(model)
    check_several("layers", layers)
    twin = copy.deepcopy(model)
    for number, name in enumerate(reversed(layers)):
        redraw(twin, [name], seed=seed + number)
        yield name, twin


def rank_correlation(maps: Tensor, others: Tensor) -> Tensor:
    """Spearman's rank correlation of each map with its twin: (N, h, w) twice -> (N,), float64.

    1: the same order of places from dim to bright, 0: no order in common. Ties share their mean
    rank. nan where a map is the same everywhere, or has a nan, since it has no order.
    """
    for part in (maps, others):
        check_tensor("maps", part, what="(N, h, w)")
    if maps.shape != others.shape or maps.ndim != 3:
        raise ValueError(
            f"maps {tuple(maps.shape)} and {tuple(others.shape)}: must be (N, h, w) both. "
            "Try: per_pixel(attributions)."
        )
    ranks = [rankdata(x.detach().cpu().flatten(1).numpy(), axis=1) for x in (maps, others)]
    one, other = (rank - rank.mean(axis=1, keepdims=True) for rank in ranks)
    sizes = np.sqrt((one**2).sum(axis=1) * (other**2).sum(axis=1))
    with np.errstate(invalid="ignore"):
        return torch.from_numpy(np.where(sizes > 0, (one * other).sum(axis=1), np.nan) / sizes)


def sanity_check(
    model: nn.Module, methods: dict[str, Method], layers: Sequence[str], *, seed: int
) -> dict[str, dict[str, Tensor]]:
    """Rank correlation of every method's maps with those of ever more random copies of a model.

    A row a method: the layer down to which all is random, and the correlations (N,). A method that
    passes falls towards 0 at once. Methods take a model and give maps (N, h, w).
    """
    before = {name: method(model) for name, method in methods.items()}
    table: dict[str, dict[str, Tensor]] = {name: {} for name in methods}
    for layer, twin in cascade(model, layers, seed=seed):
        for name, method in methods.items():
            table[name][layer] = rank_correlation(before[name], method(twin))
    return table
