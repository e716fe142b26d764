"""A head trained on features that were computed once."""

from collections.abc import Sequence

import torch
from torch import nn

from cnncourse import messages, training
from cnncourse.data import Split
from cnncourse.transfer.heads import head_name


def train_head(
    model: nn.Module,
    train: Split,
    validation: Split,
    *,
    epochs: int,
    batch_size: int,
    lr: float,
    head: str = "",
    weight_decay: float = 0.0,
    seed: int = 0,
    device: str | torch.device = "auto",
    reporters: Sequence[training.Reporter] = (),
) -> training.History:
    """Train the head of a network, in its place, on its features; AdamW, through `training.fit`.

    train and validation are features (N, D, 1, 1), as `features` gives them. What it learns is what
    it would learn with the whole network in front of it, kept in eval mode; that is not run.
    Raises ValueError for a head that is frozen, and what `fit` raises.
    """
    name = head_name(model, head)
    layer = model.get_submodule(name)
    if not all(parameter.requires_grad for parameter in layer.parameters()):
        rule = "is frozen"
        attempt = f"freeze(model, until={name!r}), then train it"
        raise ValueError(messages.refusal("head", name, rule, attempt=attempt))
    network = nn.Sequential(nn.Flatten(), layer)
    return training.fit(
        network,
        train,
        validation,
        epochs=epochs,
        batch_size=batch_size,
        optimizer=torch.optim.AdamW(layer.parameters(), lr=lr, weight_decay=weight_decay),
        seed=seed,
        device=device,
        reporters=reporters,
    )
