"""A training run in a folder: whatever ends it, at most the running epoch is lost.

A checkpoint is one safetensors file, no pickle: the tensors of model and optimiser, and in its
metadata the rest as JSON. `files.write` puts it in place whole or not at all, its SHA-256 beside.
"""

import hashlib
import json
import re
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load, save
from torch import Tensor, nn
from torch.optim.lr_scheduler import LRScheduler

from cnncourse import files, messages
from cnncourse.data import Split

KEEP = 2  # checkpoints; the older one is there in case the newer is damaged
NAME = re.compile(r"epoch-(\d{5})\.safetensors")
METADATA = "cnncourse"


@dataclass(frozen=True)
class Trained:
    """The parts of a training that change, and have to be put back as they were."""

    model: nn.Module
    optimizer: torch.optim.Optimizer
    schedule: LRScheduler | None


class Run:
    """The folder of one run: checkpoints, and history.jsonl with a line an epoch, to be read
    while it trains.

    configuration says in JSON what the run is: a checkpoint of another one is refused.
    """

    def __init__(self, folder: str | Path, configuration: Mapping[str, Any]) -> None:
        self.folder = Path(folder)
        self.configuration = json.loads(json.dumps(configuration))  # as it will be read back
        self.resumed = ""  # what was resumed, in words

    def begin(self, trained: Trained, *, resume: bool) -> list[dict[str, Any]]:
        """Rows of the epochs that are done, model, optimiser and schedule as they were after them.

        Nothing there: no rows. The newest checkpoint damaged: the one before it, with a warning.
        Raises ValueError where resume is False and a run is there already, where the run there is
        another, and where no checkpoint can be read.
        """
        paths = self.checkpoints()
        if not resume and paths:
            rule = f"has a run of {epoch_of(paths[-1])} epochs"
            attempt = "resume=True, or another folder"
            raise ValueError(messages.refusal("run_dir", self.folder.name, rule, attempt=attempt))
        damaged = []
        for path in reversed(paths):
            try:
                tensors, facts = unpack(files.read(path))
            except (files.DamagedFile, FileNotFoundError):
                damaged.append(path.name)
                continue
            self.check(facts["configuration"])
            restore(trained, tensors, facts)
            self.write_history(facts["history"])
            self.say_resumed(epoch_of(path), damaged)
            return facts["history"]
        if damaged:
            raise files.DamagedFile(
                f"run_dir={self.folder.name!r}: {' and '.join(damaged)} are damaged, and no other "
                "checkpoint is there. Try: resume=False in another folder."
            )
        self.write_history([])
        return []

    def say_resumed(self, epoch: int, damaged: Sequence[str]) -> None:
        """Put into words what was resumed; warn where a checkpoint was damaged."""
        self.resumed = f"resumed after epoch {epoch}"
        if damaged:
            self.resumed += f" ({damaged[0]} is damaged)"
            warnings.warn(f"run {self.folder.name}: {self.resumed}.", stacklevel=4)

    def save(self, trained: Trained, rows: Sequence[Mapping[str, Any]]) -> None:
        """Checkpoint after the last of these epochs; then its line of the history; two are kept.

        Raises OSError (disk full, no permission) with the older checkpoints intact.
        """
        facts = {"configuration": self.configuration, "history": list(rows)}
        files.write(self.path(len(rows)), pack(trained, facts))
        self.append_history(rows[-1])
        for old in self.checkpoints()[:-KEEP]:
            old.unlink()
            files.fingerprint_path(old).unlink(missing_ok=True)

    def save_interrupted(self, trained: Trained) -> None:
        """The model in the middle of an epoch, as interrupted.safetensors: to look at.

        Resuming takes the last whole epoch instead, so that it goes on as if nothing had been.
        """
        content = save(contiguous(trained.model.state_dict()))
        files.write(self.folder / "interrupted.safetensors", content)

    def checkpoints(self) -> list[Path]:
        """Checkpoints that are there, the oldest first."""
        found = self.folder.glob("epoch-*.safetensors")
        return sorted(path for path in found if NAME.fullmatch(path.name))

    def path(self, epoch: int) -> Path:
        """Where the checkpoint after an epoch is."""
        return self.folder / f"epoch-{epoch:05d}.safetensors"

    def check(self, came: Mapping[str, Any]) -> None:
        """Raise ValueError that names the first difference from this run's configuration."""
        for name in [*self.configuration, *came]:
            was, is_ = came.get(name), self.configuration.get(name)
            if was != is_:
                raise ValueError(
                    f"run_dir={self.folder.name!r}: the run there is another: {name} was "
                    f"{shortened(was)}, is {shortened(is_)}. Try: another folder, or as it was."
                )

    def write_history(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """The history with these rows alone."""
        lines = "".join(json.dumps(row) + "\n" for row in rows)
        files.replace(self.folder / "history.jsonl", lines.encode())

    def append_history(self, row: Mapping[str, Any]) -> None:
        """One more line; a reader sees whole lines."""
        with (self.folder / "history.jsonl").open("a", encoding="utf-8") as file:
            file.write(json.dumps(row) + "\n")


def epoch_of(path: Path) -> int:
    """Epoch after which a checkpoint was made."""
    found = NAME.fullmatch(path.name)
    assert found is not None
    return int(found[1])


def shortened(value: object) -> str:
    """A value in at most 60 characters."""
    words = repr(value)
    return words if len(words) <= 60 else words[:56] + " ..."


# --- what a run is --------------------------------------------------------------------------------


def configuration(
    trained: Trained, train: Split, validation: Split, **settings: object
) -> dict[str, Any]:
    """What must be the same for a run to go on: settings, model, optimiser, schedule, data.

    How many epochs it is to have is not in it: a run may be made longer, where its schedule is the
    same.
    """
    schedule, defaults = trained.schedule, trained.optimizer.defaults
    shapes = {name: list(tensor.shape) for name, tensor in trained.model.state_dict().items()}
    return {
        **{name: value if is_plain(value) else repr(value) for name, value in settings.items()},
        **{f"model's {name}": shape for name, shape in shapes.items()},
        "optimizer": type(trained.optimizer).__name__,
        **{f"optimizer's {name}": repr(value) for name, value in defaults.items()},
        "schedule": type(schedule).__name__,
        "schedule's steps": getattr(schedule, "total_steps", getattr(schedule, "T_max", None)),
        "training images": fingerprint(train),
        "validation images": fingerprint(validation),
    }


def is_plain(value: object) -> bool:
    """Whether JSON gives it back as it was."""
    return value is None or isinstance(value, bool | int | float | str)


def fingerprint(split: Split) -> str:
    """SHA-256 of images and labels."""
    digest = hashlib.sha256()
    for tensor in split:
        digest.update(str(tuple(tensor.shape)).encode())
        digest.update(tensor.detach().cpu().contiguous().numpy().data)
    return digest.hexdigest()


# --- a checkpoint as bytes ------------------------------------------------------------------------


def pack(trained: Trained, facts: Mapping[str, Any]) -> bytes:
    """Model, optimiser and schedule as safetensors; the numbers that are no tensors as JSON."""
    tensors = {f"model.{name}": value for name, value in trained.model.state_dict().items()}
    state = trained.optimizer.state_dict()
    numbers: dict[str, dict[str, Any]] = {}
    for index, values in state["state"].items():
        for name, value in values.items():
            if isinstance(value, Tensor):
                tensors[f"optimizer.{index}.{name}"] = value
            else:
                numbers.setdefault(str(index), {})[name] = value
    schedule = None if trained.schedule is None else paired(trained.schedule.state_dict())
    told = {**facts, "groups": state["param_groups"], "numbers": numbers, "schedule": schedule}
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
        return tensors, json.loads(header["__metadata__"][METADATA])
    except Exception as error:  # safetensors has errors of its own kind
        raise files.DamagedFile("no checkpoint of this course. Try: another folder.") from error


def restore(trained: Trained, tensors: Mapping[str, Tensor], facts: Mapping[str, Any]) -> None:
    """Put model, optimiser and schedule back as they were."""
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
