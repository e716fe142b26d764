"""Fine-tuning by stages: the head first, then more of the network at smaller rates.

Gradual unfreezing (Howard & Ruder 2018, arXiv:1801.06146, section 3.3), and early stopping: the
weights that count are those of the epoch with the lowest validation loss.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn
from torch.optim.lr_scheduler import LRScheduler
from torch.utils.data import Dataset

from cnncourse import messages, training
from cnncourse.augment.chain import Augmentation
from cnncourse.data import Split
from cnncourse.processes import ALONE, Processes
from cnncourse.transfer.best import Best
from cnncourse.transfer.freezing import freeze
from cnncourse.transfer.groups import parameter_groups
from cnncourse.transfer.memory import check_memory

Schedule = Callable[[torch.optim.Optimizer, int], LRScheduler]  # of an optimiser, for so many steps


@dataclass(frozen=True)
class Stage:
    """Epochs with all frozen that stands before a part; lr is the head's (see `freeze`)."""

    until: str
    epochs: int
    lr: float


def fine_tune(
    model: nn.Module,
    train: Split | Dataset,
    validation: Split,
    *,
    stages: Sequence[Stage],
    batch_size: int,
    decay: float = 1.0,
    weight_decay: float = 0.0,
    patience: int = 0,
    schedule: Schedule | None = None,
    augmentation: Augmentation | None = None,
    label_smoothing: float = 0.0,
    seed: int = 0,
    device: str | torch.device = "auto",
    precision: str = "float32",
    channels_last: bool = False,
    reporters: Sequence[training.Reporter] = (),
    run_dir: str | Path | None = None,
    resume: bool = False,
    num_workers: int = 0,
    processes: Processes = ALONE,
) -> list[training.History]:
    """Train a network stage after stage through `training.fit`; a History of each.

    In each AdamW moves what is not frozen, a part before the head at decay times the rate of the
    next. At its end the network is as it was after its best epoch, and the next stage goes on from
    there. patience: a stage ends where so many epochs did not lower its validation loss; 0: never.
    schedule makes a scheduler for a stage's optimiser and its number of batches. A linear probe is
    one stage until the head; fine-tuning one until ""; staged several.

    With run_dir every stage is a run in a folder of its own (1-fc, 2-layer4, ...), its best epoch
    kept there too; resume=True goes on where it was. Ctrl-C ends the stage, and what follows it is
    left out; the network is as it was after the stage's best epoch, if one was finished.

    Raises ValueError where a stage does not fit into the memory that is free, with the batch size
    that does, for an unknown part, and what `fit` raises.
    """
    check_stages(stages, patience=patience, model=model)
    histories: list[training.History] = []
    for number, stage in enumerate(stages, start=1):
        freeze(model, stage.until)
        optimizer = torch.optim.AdamW(
            parameter_groups(model, lr=stage.lr, decay=decay),
            lr=stage.lr,
            weight_decay=weight_decay,
        )
        shape = validation.images.shape[1:]
        check_memory(model, shape, batch_size=batch_size, copies=2, device=device)
        folder = None if run_dir is None else Path(run_dir) / f"{number}-{stage.until or 'all'}"
        best = Best(model, folder, patience=patience, writes=processes.first)
        steps = stage.epochs * math.ceil(count_of(train) / batch_size)
        history = training.fit(
            model,
            train,
            validation,
            epochs=best.epochs_left(stage.epochs) if resume else stage.epochs,
            batch_size=batch_size,
            optimizer=optimizer,
            schedule=schedule(optimizer, steps) if schedule else None,
            augmentation=augmentation,  # type: ignore[arg-type]  # any that offers what Affine does
            label_smoothing=label_smoothing,
            seed=seed,
            device=device,
            precision=precision,
            channels_last=channels_last,
            reporters=[*reporters, best],
            run_dir=folder,
            resume=resume,
            num_workers=num_workers,
            processes=processes,
        )
        histories.append(history)
        best.put_back(history)
        if history.stopped and not best.stopped:  # by Ctrl-C
            break
    return histories


def check_stages(stages: Sequence[Stage], *, patience: int, model: nn.Module) -> None:
    """Raise ValueError for stages that cannot be, before any of them trains."""
    messages.check_at_least("patience", patience, 0)
    if not stages:
        raise ValueError("stages=[]: must be one or more. Try: [Stage('fc', 5, 0.01)].")
    for stage in stages:
        messages.check_at_least("epochs", stage.epochs, 1)
        freeze(model, stage.until)
        parameter_groups(model, lr=stage.lr)


def count_of(train: Split | Dataset) -> int:
    """Number of images."""
    return len(train.labels) if isinstance(train, Split) else len(train)  # type: ignore[arg-type]
