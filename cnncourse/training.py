"""Training and measuring in plain PyTorch: numbers come back, nothing is printed."""

import copy
import math
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.optim.lr_scheduler import LRScheduler
from torch.utils.data import Dataset

from cnncourse import augment, checkpoints, messages, packing
from cnncourse.data import Split
from cnncourse.devices import pick_device
from cnncourse.interrupts import Interrupts, patience
from cnncourse.loading import InMemory, Loading
from cnncourse.measure import Evaluation, evaluate, mode_restored
from cnncourse.precision import Precision
from cnncourse.preconditions import (
    check_data_set,
    check_fits,
    check_last_batch,
    check_numbers,
    check_tensors,
)
from cnncourse.processes import ALONE, Processes
from cnncourse.recipe import (
    check_augmentation,
    check_optimizer,
    check_reporters,
    check_schedule,
    check_steps,
    warn_if_nothing_moves,
)
from cnncourse.steps import train_epoch


@dataclass(frozen=True)
class Epoch:
    """What one pass over the training images gave; losses and accuracies are means over images."""

    epoch: int  # counted from 1
    train_loss: float  # in train mode, on augmented images, while the weights moved
    train_accuracy: float
    validation_loss: float
    validation_accuracy: float
    seconds: float  # of training; validation is not counted
    images_per_second: float


@dataclass
class History:
    """The epochs that were finished; why training ended early, and what it went on from."""

    epochs: list[Epoch] = field(default_factory=list)
    stopped: str = ""
    resumed: str = ""

    def column(self, name: str) -> list[float]:
        """One field over the epochs, such as "validation_accuracy"."""
        return [getattr(epoch, name) for epoch in self.epochs]

    def rows(self) -> list[dict[str, float]]:
        """A dictionary an epoch, for a table or a file."""
        return [asdict(epoch) for epoch in self.epochs]


@dataclass(frozen=True)
class Progress:
    """Where training is: a reporter is given one after every batch and one after every epoch."""

    epoch: int  # the running or just ended one, counted from 1
    epochs: int
    batch: int  # batches done in this epoch
    batches: int
    history: History

    @property
    def epoch_ended(self) -> bool:
        """Whether this epoch is the newest row of the history."""
        return len(self.history.epochs) == self.epoch


Reporter = Callable[[Progress], None]


class NonFiniteLoss(ValueError):
    """The loss became infinite or nan. The model is back at its last good epoch; see .history."""

    def __init__(self, message: str, history: History) -> None:
        super().__init__(message)
        self.history = history


class ReporterFailed(ValueError):
    """A reporter raised an error of its own, the cause; .history has the finished epochs."""

    def __init__(self, message: str, history: History) -> None:
        super().__init__(message)
        self.history = history


def fit(
    model: nn.Module,
    train: Split | Dataset,
    validation: Split,
    *,
    epochs: int,
    batch_size: int,
    optimizer: torch.optim.Optimizer,
    schedule: LRScheduler | None = None,
    augmentation: augment.Affine | None = None,
    label_smoothing: float = 0.0,
    seed: int = 0,
    device: str | torch.device = "auto",
    precision: str = "float32",
    channels_last: bool = False,
    reporters: Sequence[Reporter] = (),
    run_dir: str | Path | None = None,
    resume: bool = False,
    num_workers: int = 0,
    processes: Processes = ALONE,
) -> History:
    """Train with cross-entropy, and validate after each epoch; the test set stays unseen.

    train is tensors in memory, or a map-style data set of (image, label) that is read batch after
    batch by num_workers processes (see `loading`): the result does not depend on how many.

    precision is "float32", "float16", "bfloat16" or "auto" (see `precision`); channels_last lays
    model and images out as (N, H, W, C) in memory, which is often faster.

    The schedule steps after every batch. Ctrl-C, or a reporter that raises KeyboardInterrupt, ends
    training after the running batch, a second Ctrl-C at once: what was learned stays in the model,
    the finished epochs in the History.

    With run_dir every epoch is saved there before it is reported (see `checkpoints`). resume=True
    goes on from the last one as if nothing had been, bit by bit on the same machine; where nothing
    is there yet, it begins. processes: this one's place among several that train together.

    Raises NonFiniteLoss, with the model back at its last good epoch, ReporterFailed, ValueError
    where the parts do not fit together or the run in run_dir is another, NotSaved where it cannot
    be written.
    """
    device = pick_device(str(device))
    computed = Precision(precision, device)
    model.to(device)
    if channels_last:
        model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    check_numbers(epochs=epochs, batch_size=batch_size, seed=seed, label_smoothing=label_smoothing)
    check_optimizer(optimizer, model)
    check_schedule(schedule, optimizer)
    warn_if_nothing_moves(optimizer, schedule)
    check_reporters(reporters)
    settings: dict[str, Any] = {"batch_size": batch_size, "seed": seed}
    settings["augmentation"] = augmentation
    images = feed(train, num_workers, device=device, **settings)
    images.classes = check_fits(model, images.sample, name="train")
    check_fits(model, validation, name="validation")
    check_augmentation(augmentation, images.sample.images)
    rows = {"count": images.count, "batch_size": batch_size}
    check_last_batch(model, images.sample.images, **rows)
    processes.check(images=images.count, batch_size=batch_size)
    trained = packing.Trained(model, optimizer, schedule, computed.scaler)
    settings |= {"label_smoothing": label_smoothing, "images": images.count}
    settings |= {"precision": computed.name, "channels_last": channels_last}
    run, history = None, History()
    if run_dir is not None:
        what = checkpoints.configuration(trained, images.sample, validation, **settings)
        run = checkpoints.Run(run_dir, what, writes=processes.first)
        done = run.begin(trained, resume=resume)
        history = History([Epoch(**row) for row in done], resumed=run.resumed)
    elif resume:
        raise ValueError("resume=True: from where? Try: run_dir='runs/first', resume=True.")
    total = math.ceil(images.count / batch_size)
    left = max(0, epochs - len(history.epochs))
    check_steps(schedule, left * total, of=f"{epochs} epochs of {total} batches")
    network = processes.joined(model)
    with (
        closing(images),
        mode_restored(model),
        own_random_numbers(device),
        patience(processes) as interrupts,
    ):
        for epoch in range(len(history.epochs) + 1, epochs + 1):
            progress = Progress(epoch, epochs, batch=0, batches=total, history=history)
            try:
                good: dict[str, Any] = {}  # the last copy's memory, free before the next is made
                good = copy.deepcopy(model.state_dict())
                torch.manual_seed(processes.seed(augment.mixed_seed(seed, epoch, purpose=2)))
                running = processes.parts(images.batches(epoch))
                started = time.perf_counter()
                means = train_epoch(
                    network,
                    watched(running, progress, reporters, interrupts),
                    optimizer,
                    schedule,
                    label_smoothing=label_smoothing,
                    precision=computed,
                    channels_last=channels_last,
                )
                seconds = time.perf_counter() - started
                validated = evaluate(model, validation, batch_size=at_once(validation, batch_size))
                means = processes.means(means)
                ended = row(epoch, means, validated, seconds, images.count)
                if run is not None:
                    run.save(trained, [*history.rows(), asdict(ended)])
                history.epochs.append(ended)
                tell(reporters, replace(progress, batch=total))
                interrupts.obey()
            except KeyboardInterrupt:
                finished = len(history.epochs) == epoch
                history.stopped = f"interrupted {'after' if finished else 'in'} epoch {epoch}"
                history.stopped += f" of {epochs}"
                if run is not None and not finished:
                    history.stopped += run.save_interrupted(trained)
                break
            except FloatingPointError as error:
                model.load_state_dict(good)
                raise NonFiniteLoss(not_finite(error, epoch, optimizer), history) from error
    return history


def at_once(validation: Split, batch_size: int) -> int:
    """Images to validate at once: a training batch, and of small ones more, as 500 of 28 px.

    It takes less memory than training does: what fitted into it does not fail at the epoch's end.
    """
    pixels = validation.images[0, 0].numel()
    return max(batch_size, min(500, 500 * 28 * 28 // pixels))


def feed(
    train: Split | Dataset,
    num_workers: int,
    *,
    batch_size: int,
    seed: int,
    augmentation: augment.Affine | None,
    device: torch.device,
) -> InMemory | Loading:
    """Where the batches come from. Raises ValueError for workers where there is nothing to read."""
    messages.check_at_least("num_workers", num_workers, 0)
    if not isinstance(train, Split):
        check_data_set(train, name="train")
        return Loading(
            train,
            batch_size=batch_size,
            seed=seed,
            augmentation=augmentation,
            num_workers=num_workers,
            device=device,
        )
    check_tensors(train, name="train")
    if num_workers:
        rule = "the training images are in memory, there is nothing to read"
        raise ValueError(
            messages.refusal("num_workers", num_workers, rule, attempt="num_workers=0")
        )
    return InMemory(
        train, batch_size=batch_size, seed=seed, augmentation=augmentation, device=device
    )


def watched(
    batches: Iterable[Split],
    progress: Progress,
    reporters: Sequence[Reporter],
    interrupts: Interrupts,
) -> Iterator[Split]:
    """The same batches; after each was used the reporters are told, and Ctrl-C is obeyed."""
    for number, batch in enumerate(batches, start=1):
        yield batch
        tell(reporters, replace(progress, batch=number))
        interrupts.obey()


def tell(reporters: Sequence[Reporter], progress: Progress) -> None:
    """Call every reporter. Raises ReporterFailed where one raises an error of its own."""
    for report in reporters:
        try:
            report(progress)
        except (checkpoints.NotSaved, ConnectionError):
            raise  # the disk, or a process among several: it says already how to go on
        except Exception as error:
            name = getattr(report, "__name__", type(report).__name__)
            raise ReporterFailed(
                f"reporter {name!r} raised {type(error).__name__}: {error} (epoch {progress.epoch} "
                f"of {progress.epochs}, batch {progress.batch}). The model keeps what it learned, "
                ".history has the finished epochs. Try: reporters without it; with run_dir, "
                "resume=True.",
                progress.history,
            ) from error


def row(
    epoch: int, trained: tuple[float, float], validated: Evaluation, seconds: float, images: int
) -> Epoch:
    """Row of the history for an epoch that ended.

    Raises FloatingPointError where the loss is infinite or nan: the last batch broke the weights.
    """
    if not math.isfinite(validated.loss):
        raise FloatingPointError(f"{validated.loss} on the validation images")
    return Epoch(
        epoch,
        train_loss=trained[0],
        train_accuracy=trained[1],
        validation_loss=validated.loss,
        validation_accuracy=validated.accuracy,
        seconds=seconds,
        images_per_second=images / seconds,
    )


def not_finite(error: Exception, epoch: int, optimizer: torch.optim.Optimizer) -> str:
    """Sentence for a loss that became infinite or nan."""
    lr = optimizer.param_groups[0]["lr"]
    good = f"epoch {epoch - 1}" if epoch > 1 else "the weights it began with"
    return (
        f"loss became {error} of epoch {epoch} (the model is back at {good}). Most often the "
        f"learning rate is too high. Try: lr={lr / 10:.2g} (now {lr:.2g})."
    )


@contextmanager
def own_random_numbers(device: torch.device) -> Iterator[None]:
    """Leave the caller's global random numbers as they were."""
    with torch.random.fork_rng([device] if device.type == "cuda" else []):
        yield
