"""A training run in a folder: whatever ends it, at most the running epoch is lost.

What a checkpoint holds is in `packing`. `files.write` puts it in place whole or not at all, its
SHA-256 beside.
"""

import errno
import hashlib
import json
import os
import re
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save
from torch import nn
from torch.optim.lr_scheduler import LRScheduler

from cnncourse import files, messages, packing
from cnncourse.data import Split

KEEP = 2  # checkpoints; the older one is there in case the newer is damaged
NAME = re.compile(r"epoch-(\d{5})\.safetensors")
LEFT = re.compile(r"\.(epoch-\d{5}|interrupted|history)\..*\.[0-9a-f]{8}")  # of `files.replace`


class NotSaved(OSError):
    """A run could not be written (disk full, no permission); what was saved before is whole."""


class Run:
    """The folder of one run: checkpoints, and history.jsonl with a line an epoch, to be read
    while it trains.

    configuration says in JSON what the run is: a checkpoint of another one is refused. Of several
    processes that train together one writes, the others have writes=False.
    """

    def __init__(
        self, folder: str | Path, configuration: Mapping[str, Any], *, writes: bool = True
    ) -> None:
        self.folder, self.writes = Path(folder), writes
        self.configuration = json.loads(json.dumps(configuration))  # as it will be read back
        self.resumed = ""  # what was resumed, in words

    def begin(self, trained: packing.Trained, *, resume: bool) -> list[dict[str, Any]]:
        """Rows of the epochs that are done, model, optimiser and schedule as they were after them.

        Nothing there: no rows. The newest checkpoint damaged: the one before it, with a warning.
        Raises ValueError where resume is False and a run is there already, where the run there is
        another, and where no checkpoint can be read; NotSaved where the folder cannot be written.
        """
        paths = self.checkpoints()
        if not resume and paths:
            rule = f"has a run of {epoch_of(paths[-1])} epochs"
            attempt = "resume=True, or another folder"
            raise ValueError(messages.refusal("run_dir", self.folder.name, rule, attempt=attempt))
        self.sweep()
        damaged = []
        for path in reversed(paths):
            try:
                tensors, facts = packing.unpack(files.read(path))
                self.check(facts["configuration"])
                packing.check(trained, tensors, facts, epochs=epoch_of(path))
            except (files.DamagedFile, FileNotFoundError):
                damaged.append(path.name)
                continue
            packing.restore(trained, tensors, facts)
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

    def sweep(self) -> None:
        """Remove the half-written files that a killed process left."""
        if self.writes:
            with self.saving("the folder"):
                for left in self.folder.glob(".*"):
                    if LEFT.fullmatch(left.name):
                        left.unlink()

    def say_resumed(self, epoch: int, damaged: Sequence[str]) -> None:
        """Put into words what was resumed; warn where a checkpoint was damaged."""
        self.resumed = f"resumed after epoch {epoch}"
        if damaged:
            self.resumed += f" ({damaged[0]} is damaged)"
            warnings.warn(f"run {self.folder.name}: {self.resumed}.", stacklevel=4)

    def save(self, trained: packing.Trained, rows: Sequence[Mapping[str, Any]]) -> None:
        """Checkpoint after the last of these epochs; then its line of the history; two are kept.

        Raises NotSaved (disk full, no permission) with the older checkpoints intact.
        """
        if not self.writes:
            return
        facts = {"configuration": self.configuration, "history": list(rows)}
        with self.saving(f"epoch {len(rows)}"):
            files.write(self.path(len(rows)), packing.pack(trained, facts))
            self.append_history(rows[-1])
        with suppress(OSError):  # one too many is no reason to stop: the next save tries again
            for old in self.checkpoints()[:-KEEP]:
                old.unlink()
                files.fingerprint_path(old).unlink(missing_ok=True)

    def save_interrupted(self, trained: packing.Trained) -> str:
        """The model in the middle of an epoch, as interrupted.safetensors: to look at.

        Resuming takes the last whole epoch instead, so that it goes on as if nothing had been.
        Returns why it could not be written, in words; nothing where it was.
        """
        content = save(packing.contiguous(trained.model.state_dict()))
        try:
            if self.writes:
                files.write(self.folder / "interrupted.safetensors", content)
        except OSError as error:  # whoever interrupts wants the finished epochs back, no error
            return f" (interrupted.safetensors cannot be written: {error.strerror or error})"
        return ""

    @contextmanager
    def saving(self, what: str) -> Iterator[None]:
        """Inside the block an OSError becomes NotSaved, which says what is there and what to do."""
        try:
            yield
        except OSError as error:
            there = [epoch_of(path) for path in self.checkpoints()]
            rest = f"epoch {there[-1]} is saved" if there else "nothing is saved yet"
            raise NotSaved(
                f"run_dir={self.folder.name!r}: {what} cannot be written "
                f"({error.strerror or error}); {rest}. Try: make room or take another folder, then "
                "resume=True."
            ) from error

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
        if not self.writes:
            return
        lines = "".join(json.dumps(row) + "\n" for row in rows)
        with self.saving("the history"):
            files.replace(self.folder / "history.jsonl", lines.encode())

    def append_history(self, row: Mapping[str, Any]) -> None:
        """One more line; a reader sees whole lines."""
        with (self.folder / "history.jsonl").open("ab", buffering=0) as file:
            line = (json.dumps(row) + "\n").encode()
            if file.write(line) < len(line):  # in one call, which a full disk cuts
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


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
    trained: packing.Trained, train: Split, validation: Split, **settings: object
) -> dict[str, Any]:
    """What must be the same for a run to go on: settings, model, optimiser, schedule, data.

    How many epochs it is to have is not in it: a run may be made longer, where its schedule is the
    same.
    """
    model, optimizer, schedule = trained.model, trained.optimizer, trained.schedule
    frozen = [name for name, weight in model.named_parameters() if not weight.requires_grad]
    found = {
        **settings,
        **{f"model's {name}": list(tensor.shape) for name, tensor in model.state_dict().items()},
        "model's type": str(next(model.parameters()).dtype),
        **{f"layer {name}": in_words(layer) for name, layer in model.named_modules() if name},
        "frozen weights": ", ".join(frozen),
        "optimizer": type(optimizer).__name__,
        **{f"optimizer's {name}": repr(value) for name, value in optimizer.defaults.items()},
        "optimizer's groups": len(optimizer.param_groups),
        **(numbers(schedule, "schedule") if schedule else {"schedule": "NoneType"}),
        **groups(optimizer, scheduled=schedule is not None),
        "training images": fingerprint(train),
        "validation images": fingerprint(validation),
    }
    return {
        name: value if is_plain(value) else without_address(value) for name, value in found.items()
    }


def in_words(layer: nn.Module) -> str:
    """A layer without those in it, as torch prints it: kind and settings."""
    return f"{type(layer).__name__}({layer.extra_repr()})"


def groups(optimizer: torch.optim.Optimizer, *, scheduled: bool) -> dict[str, Any]:
    """Number of weights and settings of each group, without those that a schedule changes."""
    changed = {"lr", "momentum", "betas"} if scheduled else set()
    return {
        f"optimizer's group {number}'s {name}": len(value) if name == "params" else repr(value)
        for number, group in enumerate(optimizer.param_groups)
        for name, value in group.items()
        if name not in changed
    }


def numbers(schedule: LRScheduler, name: str) -> dict[str, Any]:
    """Kind of a schedule and the numbers it was made with, also of those inside it.

    What its steps change is left out: torch marks some of that by an underscore.
    """
    state = {"steps": steps_of(schedule)} | schedule.state_dict()
    changed = ("last_epoch", "T_cur", "T_i")
    found: dict[str, Any] = {name: type(schedule).__name__}
    for key, value in state.items():
        if not key.startswith("_") and key not in changed:
            found[f"{name}'s {key}"] = value if is_plain(value) else repr(value)
    for number, part in enumerate(getattr(schedule, "_schedulers", [])):
        found |= numbers(part, f"{name} {number}")
    return found


def steps_of(schedule: LRScheduler) -> int | None:
    """Steps that a schedule is made for, where it knows that."""
    return getattr(schedule, "total_steps", getattr(schedule, "T_max", None))


def without_address(value: object) -> str:
    """The repr of a value, without its place in memory: another one as good has another."""
    return re.sub(r" at 0x[0-9A-Fa-f]+", "", repr(value))


def is_plain(value: object) -> bool:
    """Whether JSON gives it back as it was."""
    whole = isinstance(value, list) and all(isinstance(part, int) for part in value)
    return value is None or whole or isinstance(value, bool | int | float | str)


def fingerprint(split: Split) -> str:
    """SHA-256 of images and labels."""
    digest = hashlib.sha256()
    for tensor in split:
        digest.update(str(tuple(tensor.shape)).encode())
        digest.update(tensor.detach().cpu().contiguous().numpy().data)
    return digest.hexdigest()
