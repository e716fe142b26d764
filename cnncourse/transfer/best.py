"""The best epoch of a training: kept while it runs, put back at its end; and early stopping."""

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from cnncourse import checkpoints, files, packing, training
from cnncourse.transfer.audit import snapshot

NAME = "best.safetensors"  # beside the checkpoints of a run, and as they are


class Best:
    """A reporter of `fit`: it keeps the weights of the epoch with the lowest validation loss.

    In memory; with the folder of a run also in its NAME, so that a run that was killed finds them.
    With patience it ends a training in which so many epochs brought no lower loss.
    """

    def __init__(
        self, model: nn.Module, folder: Path | None, *, patience: int = 0, writes: bool = True
    ) -> None:
        self.model, self.patience, self.stopped = model, patience, False
        self.run = checkpoints.Run(folder, {}, writes=writes) if folder else None
        self.state: dict[str, Tensor] = {}
        self.epoch = 0  # the best so far; 0: none

    def __call__(self, progress: training.Progress) -> None:
        """Keep the best epoch so far; end the training where patience is at its end."""
        losses = progress.history.column("validation_loss")
        if not losses:
            return
        if (epoch := lowest(losses)) != self.epoch:
            self.keep(epoch)
        if progress.epoch_ended and self.is_over(losses):
            self.stopped = True
            raise KeyboardInterrupt

    def keep(self, epoch: int) -> None:
        """Have the weights after an epoch: the model's own, since it has just ended; with a folder
        its checkpoint, which a run that was killed has, too.
        """
        self.epoch = epoch
        if self.run is None:
            self.state = {}  # its memory, free before the next copy is made
            self.state = snapshot(self.model)
        elif self.run.writes and (checkpoint := self.run.path(epoch)).exists():
            with self.run.saving(NAME):
                files.write(self.run.folder / NAME, files.read(checkpoint))

    def is_over(self, losses: Sequence[float]) -> bool:
        """Whether so many of the newest epochs as patience has were not the best."""
        return 0 < self.patience <= len(losses) - lowest(losses)

    def epochs_left(self, epochs: int) -> int:
        """How many epochs a resumed run is to have: no more, where it ended early before."""
        losses = [row["validation_loss"] for row in self.rows()]
        return len(losses) if losses and self.is_over(losses) else epochs

    def rows(self) -> list[dict[str, Any]]:
        """History in the newest checkpoint that can be read."""
        for path in reversed(self.run.checkpoints() if self.run else []):
            facts = read(path)[1]
            if facts:
                return facts["history"]
        return []

    def put_back(self, history: training.History) -> None:
        """The model as it was after its best epoch; the history says so where it ended early."""
        losses = history.column("validation_loss")
        if not losses:
            return
        if self.is_over(losses):
            self.stopped = True
            history.stopped = f"{self.patience} epochs without a lower validation loss"
        epoch = lowest(losses)
        if epoch == len(losses) and not history.stopped.startswith("interrupted in"):
            return  # the model is there already
        state = self.state or self.found(epoch)
        if state:
            self.model.load_state_dict(state)
        else:
            warnings.warn(
                f"the weights of epoch {epoch}, the best, are lost: {NAME}.", stacklevel=3
            )

    def found(self, epoch: int) -> dict[str, Tensor]:
        """Weights after an epoch, from NAME or its checkpoint; none where neither can be read."""
        for path in (self.run.folder / NAME, self.run.path(epoch)) if self.run else ():
            tensors, facts = read(path)
            if len(facts.get("history", [])) == epoch:
                return {
                    name.removeprefix("model."): tensor
                    for name, tensor in tensors.items()
                    if packing.of(name) == "model"
                }
        return {}


def lowest(losses: Sequence[float]) -> int:
    """Epoch, counted from 1, with the lowest loss; of several the first."""
    return 1 + min(range(len(losses)), key=losses.__getitem__)


def read(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Tensors and facts of a checkpoint; empty where there is none that is whole."""
    try:
        return packing.unpack(files.read(path))
    except (OSError, files.DamagedFile):
        return {}, {}
