"""A checkpoint as bytes: what changes in a training, out of its parts and back into them.

One safetensors file, no pickle: the tensors of model and optimiser, and in its metadata the rest as
JSON. Random numbers are not in it: they come from (seed, epoch, index).
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from safetensors.torch import load, save
from torch import Tensor, nn
from torch.optim.lr_scheduler import LRScheduler

from cnncourse import files

METADATA = "cnncourse"


@dataclass(frozen=True)
class Trained:
    """The parts of a training that change, and have to be put back as they were."""

    model: nn.Module
    optimizer: torch.optim.Optimizer
    schedule: LRScheduler | None
    scaler: torch.amp.GradScaler | None = None  # of mixed precision


def pack(trained: Trained, facts: Mapping[str, Any]) -> bytes:
    """Model, optimiser, schedule, scaler as safetensors; what is no tensor as JSON."""
    tensors = prefixed(trained.model.state_dict())
    state = trained.optimizer.state_dict()
    numbers: dict[str, dict[str, Any]] = {}
    for index, values in state["state"].items():
        for name, value in values.items():
            if isinstance(value, Tensor):
                tensors[f"optimizer.{index}.{name}"] = value
            else:
                numbers.setdefault(str(index), {})[name] = value
    told = {
        **facts,
        "forms": forms(tensors),
        "groups": state["param_groups"],
        "numbers": numbers,
        "schedule": paired(state_of(trained.schedule)),
        "scaler": state_of(trained.scaler),
    }
    return save(contiguous(tensors), metadata={METADATA: json.dumps(told)})


def contiguous(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Copies on the CPU that share no memory, as safetensors wants them."""
    return {name: tensor.detach().cpu().clone().contiguous() for name, tensor in tensors.items()}


def unpack(content: bytes) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Tensors and facts of a checkpoint's bytes; DamagedFile where they are none."""
    try:
        tensors = load(content)
        length = int.from_bytes(content[:8], "little")  # of the header, which is JSON
        header = json.loads(content[8 : 8 + length])
        facts = json.loads(header["__metadata__"][METADATA])
        if not isinstance(facts["configuration"], dict):
            raise TypeError("configuration")
        return tensors, facts
    except Exception as error:  # safetensors has errors of its own kind
        raise files.DamagedFile("no checkpoint of this course. Try: another folder.") from error


def check(
    trained: Trained, tensors: Mapping[str, Tensor], facts: Mapping[str, Any], *, epochs: int
) -> None:
    """Raise DamagedFile unless all that `restore` needs is there, and of this training's form.

    It is asked before anything is put back: torch casts silently, and optimisers take any shape.
    """
    try:
        parameters = [part for group in trained.optimizer.param_groups for part in group["params"]]
        of_model = {name: form for name, form in forms(tensors).items() if of(name) == "model"}
        good = (
            forms(tensors) == facts["forms"]
            and of_model == forms(prefixed(trained.model.state_dict()))
            and groups_form(facts["groups"]) == groups_form(trained.optimizer.state_dict())
            and keys(unpaired(facts["schedule"])) == keys(state_of(trained.schedule))
            and keys(facts["scaler"]) == keys(state_of(trained.scaler))
            and [row["epoch"] for row in facts["history"]] == list(range(1, epochs + 1))
            and all(int(index) < len(parameters) for index in dict(facts["numbers"]))
            and all(
                tensor.ndim == 0 or tensor.shape == parameters[int(name.split(".")[1])].shape
                for name, tensor in tensors.items()
                if of(name) == "optimizer"
            )
        )
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        raise files.DamagedFile("a checkpoint lacks what it should have.") from error
    if not good:
        raise files.DamagedFile("a checkpoint has other parts than this training.")


def of(name: str) -> str:
    """Whose a tensor is: "model" or "optimizer"."""
    return name.partition(".")[0]


def forms(tensors: Mapping[str, Tensor]) -> dict[str, list]:
    """Shape and type of each tensor."""
    return {name: [list(tensor.shape), str(tensor.dtype)] for name, tensor in tensors.items()}


def prefixed(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """A model's tensors under their names in a checkpoint."""
    return {f"model.{name}": tensor for name, tensor in tensors.items()}


def groups_form(groups: Any) -> list:
    """Which settings and parameters an optimiser's groups have."""
    found = groups["param_groups"] if isinstance(groups, Mapping) else groups
    return [[sorted(group), group["params"]] for group in found]


def state_of(part: Any) -> dict[str, Any] | None:
    """State of a schedule or a scaler; None where there is none."""
    return None if part is None else part.state_dict()


def keys(state: Mapping[str, Any] | None) -> list[str] | None:
    """Names in a state."""
    return None if state is None else sorted(state)


def restore(trained: Trained, tensors: Mapping[str, Tensor], facts: Mapping[str, Any]) -> None:
    """Put model, optimiser, schedule and scaler back as they were."""
    of_model = {
        name.removeprefix("model."): tensor
        for name, tensor in tensors.items()
        if name.startswith("model.")
    }
    trained.model.load_state_dict(of_model)
    state: dict[int, dict[str, Any]] = {}
    for name, tensor in tensors.items():
        if name.startswith("optimizer."):
            _, index, key = name.split(".", maxsplit=2)
            state.setdefault(int(index), {})[key] = tensor
    for index, values in facts["numbers"].items():
        state.setdefault(int(index), {}).update(values)
    trained.optimizer.load_state_dict({"state": state, "param_groups": facts["groups"]})
    if trained.schedule is not None:
        trained.schedule.load_state_dict(unpaired(facts["schedule"]))
    if trained.scaler is not None:
        trained.scaler.load_state_dict(facts["scaler"])


def paired(value: Any) -> Any:
    """A value whose dictionaries with other keys than text are lists of pairs, for JSON."""
    if isinstance(value, Mapping):
        if all(isinstance(key, str) for key in value):
            return {key: paired(part) for key, part in value.items()}
        return {"pairs of": [[key, paired(part)] for key, part in value.items()]}
    return [paired(part) for part in value] if isinstance(value, list | tuple) else value


def unpaired(value: Any) -> Any:
    """The value that `paired` was given, its tuples as lists."""
    if isinstance(value, Mapping):
        if set(value) == {"pairs of"}:
            return {key: unpaired(part) for key, part in value["pairs of"]}
        return {key: unpaired(part) for key, part in value.items()}
    return [unpaired(part) for part in value] if isinstance(value, list) else value
