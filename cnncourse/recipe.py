"""What goes into a training beside model and images: is each what it should be, do they fit?"""

import inspect
import warnings
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.lr_scheduler import CosineAnnealingLR, LRScheduler, ReduceLROnPlateau


def name_of(part: object) -> str:
    """A function's or class's own name, else that of the type; None is None."""
    return "None" if part is None else getattr(part, "__name__", type(part).__name__)


def check_optimizer(optimizer: object, model: nn.Module) -> None:
    """Raise ValueError where the optimiser cannot move a weight of the model, TypeError where it is
    none.
    """
    name = name_of(optimizer)
    if not isinstance(optimizer, torch.optim.Optimizer):
        asked = name if isinstance(optimizer, type) else "SGD"
        raise TypeError(
            f"optimizer={name}: must be an optimiser of the model's weights. "
            f"Try: torch.optim.{asked}(model.parameters(), lr=0.01)."
        )
    step = inspect.signature(optimizer.step).parameters.get("closure")
    if isinstance(optimizer, torch.optim.SparseAdam) or (step and step.default is step.empty):
        raise ValueError(
            f"optimizer {name}: takes other steps than one a batch by its gradient. "
            "Try: torch.optim.Adam(model.parameters(), lr=0.001)."
        )
    weights = list(model.parameters())
    if weights and not any(weight.requires_grad for weight in weights):
        raise ValueError(
            "the model: all its weights are frozen, so nothing would be learned. "
            "Try: model.requires_grad_(True), or for its last layer alone."
        )
    held = {id(weight) for group in optimizer.param_groups for weight in group["params"]}
    theirs = [weight for weight in weights if id(weight) in held]
    if not any(weight.requires_grad for weight in theirs):
        which = "only frozen ones" if theirs else "none"
        raise ValueError(
            f"optimizer {name}: holds {which} of the model's weights, so nothing would be learned. "
            f"Try: torch.optim.{name}(model.parameters(), ...)."
        )


def warn_if_nothing_moves(optimizer: torch.optim.Optimizer, schedule: object) -> None:
    """Warn where the learning rate is 0 and stays so; what normalisation counts still moves."""
    if schedule is None and all(group["lr"] == 0 for group in optimizer.param_groups):
        warnings.warn(
            f"optimizer {type(optimizer).__name__}: lr=0, so no weight will move. Try: lr=0.001.",
            stacklevel=3,
        )


def check_schedule(schedule: object, optimizer: torch.optim.Optimizer) -> None:
    """Raise ValueError for a schedule of another optimiser or one that waits for a number,
    TypeError where it is none.
    """
    if schedule is None:
        return
    name = name_of(schedule)
    if not isinstance(schedule, LRScheduler):
        raise TypeError(
            f"schedule={name}: must be a schedule of the optimiser. "
            "Try: torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=steps)."
        )
    if isinstance(schedule, ReduceLROnPlateau):
        raise ValueError(
            f"schedule {name}: waits for a number after an epoch; here a schedule steps after "
            "every batch. Try: torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=steps)."
        )
    if getattr(schedule, "optimizer", optimizer) is not optimizer:
        raise ValueError(
            f"schedule {name}: is one of another optimiser, whose rate it would change. "
            "Try: the schedule made anew, with this optimizer."
        )


def check_steps(schedule: LRScheduler | None, steps: int, *, of: str) -> None:
    """Raise ValueError where a schedule is shorter than the training, which has so many steps to
    come; warn where a cosine would climb again. of says in words what has them.
    """
    if schedule is None:
        return
    steps += schedule.last_epoch  # in spite of its name, it counts steps
    total = getattr(schedule, "total_steps", None)
    name = type(schedule).__name__
    if total is not None and steps > total:
        raise ValueError(
            f"schedule {name}: total_steps={total}, and {of} take {steps} steps, one a batch. "
            f"Try: total_steps={steps}."
        )
    if type(schedule) is CosineAnnealingLR and steps > schedule.T_max:
        warnings.warn(
            f"schedule {name}: T_max={schedule.T_max}, and {of} take {steps} steps, one a batch: "
            f"from step {schedule.T_max} on the rate climbs again. Try: T_max={steps}.",
            stacklevel=3,
        )


def check_reporters(reporters: object) -> None:
    """Raise TypeError unless they are functions, in a list or tuple."""
    if callable(reporters) or not isinstance(reporters, Sequence):
        name = name_of(reporters)
        attempt = "reporters=[]" if reporters is None else f"reporters=[{name}]"
        raise TypeError(f"reporters={name}: must be a list of functions. Try: {attempt}.")
    for report in reporters:
        if not callable(report):
            raise TypeError(
                f"reporters has {report!r}: must be functions of a Progress. "
                "Try: reporters=[lambda progress: print(progress.batch)]."
            )


def check_augmentation(augmentation: Any, images: Tensor) -> None:
    """Raise TypeError for what is no augmentation, ValueError for one that gives images back with
    another shape or type, or with values that are not finite.
    """
    if augmentation is None:
        return
    if isinstance(augmentation, type) or not hasattr(augmentation, "draws"):
        name = name_of(augmentation)
        attempt = f"{name}()" if isinstance(augmentation, type) else "augment.Affine(degrees=10)"
        if isinstance(augmentation, list | tuple):
            attempt = "augment.Chain((..., ...))"
        raise TypeError(
            f"augmentation={name}: must be one of cnncourse.augment, whose draws come from the "
            f"seed. Try: augmentation={attempt}."
        )
    images = images[:2]
    with torch.random.fork_rng(devices=[]):
        rows = augmentation.draws(len(images), seed=0, epoch=1).to(images.device)
        came = augmentation(images, rows)
    alike = (came.shape, came.dtype) == (images.shape, images.dtype)
    if not alike or not came.isfinite().all():
        gives = f"{tuple(came.shape)} {came.dtype}" if not alike else "values that are not finite"
        raise ValueError(
            f"augmentation={augmentation!r}: makes {gives} of images {tuple(images.shape)} "
            f"{images.dtype}. Try: one that keeps shape and type, without nan in its settings."
        )
