"""How much memory a training step takes, before it is taken: counted on tensors without numbers.

What backward needs is kept from forward on, image by image: a part that is frozen from the first
layer on keeps nothing. torch hands out every tensor it keeps, so they are counted, not guessed.
"""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import torch
from torch import Tensor, nn
from torch.autograd.graph import saved_tensors_hooks
from torch.nn import functional as F

from cnncourse import messages
from cnncourse.devices import pick_device
from cnncourse.measure import mode_restored

SHARE = 0.9  # of what is free that may be planned with
PASSING = 3  # times the largest activation: what a layer takes, gives, and needs beside it
LIBRARIES = 10**8  # bytes that torch's libraries take for themselves, found by measuring


@dataclass(frozen=True)
class Memory:
    """Bytes that training takes at its peak, beside the model and the images that are there."""

    gradients: int
    optimizer: int
    copies: int  # of the whole state: `fit` goes back to it where a loss is not finite
    kept: int  # of one image, from forward to backward
    passing: int  # of one image, while its largest layer is computed
    batch_size: int

    @property
    def fixed(self) -> int:
        """What does not depend on the batch."""
        return self.gradients + self.optimizer + self.copies + LIBRARIES

    @property
    def total(self) -> int:
        """All of it, for a batch of batch_size."""
        return self.fixed + (self.kept + self.passing) * self.batch_size

    def fitting(self, available: float) -> int:
        """The largest batch that fits into so many bytes, a power of two above 8; 0 if none."""
        most = int((available - self.fixed) // max(1, self.kept + self.passing))
        return max(0, most) if most < 8 else 1 << (most.bit_length() - 1)


def memory_estimate(
    model: nn.Module,
    image_shape: Sequence[int],
    *,
    batch_size: int,
    states: int = 2,
    copies: int = 1,
) -> Memory:
    """Memory of training a model, as it is frozen now, on images (C, H, W); nothing is computed.

    states are the optimiser's numbers for each weight that trains: 2 of Adam, 1 of SGD with
    momentum. copies of the whole state are kept beside it. In float32 or what the model is in:
    mixed precision needs less. Twelve settings of three networks, measured on a CPU, took from
    135 MB less to 10 % more.
    Raises ValueError for images that the model does not take.
    """
    messages.check_at_least("batch_size", batch_size, 1)
    kept, largest = activations(model, image_shape)
    trained = sum(size_of(x) for x in model.parameters() if x.requires_grad)
    whole = sum(size_of(x) for x in [*model.parameters(), *model.buffers()])
    return Memory(trained, states * trained, copies * whole, kept, PASSING * largest, batch_size)


def check_memory(
    model: nn.Module,
    image_shape: Sequence[int],
    *,
    batch_size: int,
    states: int = 2,
    copies: int = 1,
    device: str | torch.device = "auto",
    available: float | None = None,
) -> Memory:
    """The estimate, if it fits into what is free; before the first batch, not in the middle of it.

    available: bytes (default: what is free on the device, see `free_memory`).
    Raises ValueError with the batch size that fits.
    """
    found = memory_estimate(model, image_shape, batch_size=batch_size, states=states, copies=copies)
    free = free_memory(pick_device(str(device))) if available is None else available
    if found.total <= SHARE * free:
        return found
    shape, fits = "x".join(map(str, image_shape)), found.fitting(SHARE * free)
    attempt = f"batch_size={fits}" if fits else "smaller images, or more of the model frozen"
    rule = (
        f"training on images of {shape} takes about {gigabytes(found.total)}, and "
        f"{gigabytes(free)} are free"
    )
    raise ValueError(messages.refusal("batch_size", batch_size, rule, attempt=attempt))


def gigabytes(size: float) -> str:
    """Bytes in words, in units of 10**9 or 10**6."""
    return f"{size / 1e9:.1f} GB" if size >= 1e9 else f"{size / 1e6:.0f} MB"


def size_of(tensor: Tensor) -> int:
    """Bytes of a tensor."""
    return tensor.numel() * tensor.element_size()


# --- counted --------------------------------------------------------------------------------------


def activations(model: nn.Module, image_shape: Sequence[int]) -> tuple[int, int]:
    """Bytes of one image: those kept for backward, and those of the largest activation."""
    state = {
        name: torch.empty_like(tensor, device="meta", requires_grad=tensor.requires_grad)
        for name, tensor in [*model.named_parameters(), *model.named_buffers()]
    }
    own = {tensor.untyped_storage()._cdata for tensor in state.values()}
    storages: dict[int, Any] = {}  # held, so that no other takes the number of one
    largest = [0]

    def keep(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage._cdata not in own:
            storages[storage._cdata] = storage
        return tensor

    def note(_module: nn.Module, _inputs: Any, output: Any) -> None:
        if isinstance(output, Tensor):
            largest[0] = max(largest[0], size_of(output))

    dtype = next(model.parameters()).dtype
    images = torch.empty((2, *image_shape), dtype=dtype, device="meta")  # 2: a batch has a spread
    with (
        mode_restored(model),
        hooked(model, note),
        saved_tensors_hooks(keep, lambda kept: kept),
    ):
        model.train()
        logits = run(model, state, images)
        F.cross_entropy(logits, torch.zeros(2, dtype=torch.int64, device="meta"))
    return sum(storage.nbytes() for storage in storages.values()) // 2, largest[0] // 2


def run(model: nn.Module, state: dict[str, Tensor], images: Tensor) -> Tensor:
    """Logits of a pass on the meta device. Raises ValueError where the images do not fit."""
    try:
        with torch.device("meta"):
            logits = torch.func.functional_call(model, state, (images,))
    except (RuntimeError, NotImplementedError) as error:
        shape = "x".join(map(str, images.shape[1:]))
        attempt = "the size the model was built for, batch_size checked by hand"
        rule = "they do not go through the model"
        raise ValueError(f"images of {shape}: {rule}. Try: {attempt}.") from error
    return logits[0] if isinstance(logits, tuple) else logits


@contextmanager
def hooked(model: nn.Module, note: Any) -> Iterator[None]:
    """Inside the block every module's output is noted."""
    hooks = [module.register_forward_hook(note) for module in model.modules()]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


# --- free -----------------------------------------------------------------------------------------

CGROUPS = (  # limit, in use, its statistics: of version 2, and of version 1
    ("memory.max", "memory.current", "memory.stat"),
    (
        "memory/memory.limit_in_bytes",
        "memory/memory.usage_in_bytes",
        "memory/memory.stat",
    ),
)


def free_memory(device: torch.device, *, groups: Path = Path("/sys/fs/cgroup")) -> float:
    """Bytes that can still be taken on a device.

    On a CPU the least of what the system has, what the container may have (Binder: 2 GB, then the
    kernel is killed) and what the process may have.
    """
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    free = [psutil.virtual_memory().available, of_container(groups), of_process()]
    return min(free)


def of_container(groups: Path) -> float:
    """What the container's limit leaves; files that are only cached do not count as used."""
    for limit, current, statistics in CGROUPS:
        try:
            most, used = (int((groups / name).read_text()) for name in (limit, current))
            lines = (groups / statistics).read_text().splitlines()
            cached = int(dict(line.partition(" ")[::2] for line in lines).get("inactive_file", 0))
        except (OSError, ValueError):  # no such file, or "max": no limit
            continue
        return most - used + cached
    return float("inf")


def of_process() -> float:
    """What the process's own limit (RLIMIT_DATA, RLIMIT_AS) leaves."""
    if os.name == "nt":
        return float("inf")
    import resource

    held = psutil.Process().memory_info()
    left = [float("inf")]
    for kind, used in (
        (resource.RLIMIT_DATA, getattr(held, "data", 0)),
        (resource.RLIMIT_AS, held.vms),
    ):
        limit = resource.getrlimit(kind)[0]
        if limit != resource.RLIM_INFINITY:
            left.append(limit - used)
    return min(left)
