"""Learning rates by depth: small where features are general, larger towards the head.

Discriminative fine-tuning (Howard & Ruder 2018, arXiv:1801.06146, section 3.2).
"""

from typing import Any

from torch import nn

from cnncourse import messages
from cnncourse.transfer.parts import part_of_each, parts


def parameter_groups(model: nn.Module, *, lr: float, decay: float = 1.0) -> list[dict[str, Any]]:
    """Groups for an optimiser, a part each (see `parts`), the head first; frozen ones have none.

    The head's rate is lr, that of a part so many steps before it lr * decay**steps. A group has
    "params", "lr" and "name"; each parameter is in one.
    Raises ValueError for a rate or a decay that cannot be, and where nothing trains.
    """
    if not 0 < lr < float("inf"):
        rule = "must be above 0 and finite"
        raise ValueError(messages.refusal("lr", lr, rule, attempt="lr=0.001"))
    if not 0 < decay <= 1:
        rule = "must be above 0, and 1 (the same rate everywhere) or less"
        raise ValueError(messages.refusal("decay", decay, rule, attempt="decay=0.4"))
    belongs, depth = part_of_each(model), {name: at for at, name in enumerate(parts(model))}
    found: dict[str, list[nn.Parameter]] = {name: [] for name in reversed(depth)}
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            found[belongs[name.rpartition(".")[0]]].append(parameter)
    if not any(found.values()):
        raise ValueError("no parameter trains: all are frozen. Try: freeze(model, until='').")
    return [
        {"params": parameters, "lr": lr * decay ** (len(depth) - 1 - depth[name]), "name": name}
        for name, parameters in found.items()
        if parameters
    ]
