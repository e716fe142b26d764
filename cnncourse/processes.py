"""Several processes that train one model together, each on its rows of every batch."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, distributed, nn
from torch.nn.parallel import DistributedDataParallel

from cnncourse import augment
from cnncourse.data import Split
from cnncourse.preconditions import is_over_the_batch


@dataclass
class Processes:
    """This process, by rank, among count of them; alone, nothing is exchanged.

    With more than one, torch.distributed has to be initialised. The gradient is the mean over the
    whole batch, as in one process, also where the rows do not divide evenly. Sums are added in
    another order, so weights agree to rounding, which grows from step to step, and not to the bit.
    Dropout draws another mask in every process.
    """

    rank: int = 0
    count: int = 1
    weight: float = 1.0  # of this process's mean over its rows, in the mean over all processes
    rows: int = 0  # that this process was given in the running epoch

    @property
    def first(self) -> bool:
        """Whether this process is the one that writes and reports."""
        return self.rank == 0

    def joined(self, model: nn.Module) -> nn.Module:
        """The model, its gradients averaged over the processes in backward.

        Raises ValueError for batch normalisation on a CPU: every process would have statistics of
        its own rows. On CUDA they are those of the whole batch, as in one process. One that stays
        in eval mode takes no statistics, and stays as it is.
        """
        if self.count == 1:
            return model
        normalised = [name for name, part in model.named_modules() if is_over_the_batch(part)]
        if normalised and next(model.parameters()).device.type != "cuda":
            raise ValueError(
                f"{self.count} processes: layer {normalised[0]!r} normalises over the batch, and "
                "on a CPU every process would take its own rows for it. Try: one process, or "
                "device='cuda'."
            )
        synchronise(model, normalised)
        joined = DistributedDataParallel(model)
        joined.register_forward_hook(self.weigh)
        return joined

    def weigh(self, _model: nn.Module, _inputs: object, logits: Tensor) -> None:
        """Hook of forward: the gradient that comes back is weighted by this process's rows."""
        weight = self.weight
        if logits.requires_grad:
            logits.register_hook(lambda gradient: gradient * weight)

    def seed(self, seed: int) -> int:
        """Seed of this process's dropout: alone the same, among several each its own."""
        return seed if self.rank == 0 else augment.mixed_seed(seed, self.rank, purpose=2)

    def check(self, *, images: int, batch_size: int) -> None:
        """Raise ValueError where a process would be left without a row in the last batch."""
        last = images % batch_size or batch_size
        if last < self.count:
            raise ValueError(
                f"batch_size={batch_size}: the last batch of {images} images has {last}, for "
                f"{self.count} processes. Try: batch_size={batch_size - 1 or self.count}."
            )

    def parts(self, batches: Iterator[Split]) -> Iterator[Split]:
        """This process's rows of each batch."""
        self.rows = 0
        for images, labels in batches:
            start, stop = (len(labels) * rank // self.count for rank in (self.rank, self.rank + 1))
            self.weight = (stop - start) * self.count / len(labels)
            self.rows += stop - start
            yield Split(images[start:stop], labels[start:stop])

    def means(self, means: tuple[float, float]) -> tuple[float, float]:
        """Means over the rows of all processes, from the means over this one's."""
        if self.count == 1:
            return means
        sums = self.summed([*(mean * self.rows for mean in means), float(self.rows)])
        return sums[0] / sums[2], sums[1] / sums[2]

    def any(self, asked: bool) -> bool:
        """Whether it is so in any process: all learn it at the same batch."""
        return asked if self.count == 1 else self.summed([float(asked)])[0] > 0

    def summed(self, values: list[float]) -> list[float]:
        """Sums over the processes."""
        device = "cuda" if distributed.get_backend() == "nccl" else "cpu"
        dtype = torch.float64
        sums = torch.tensor(values, dtype=dtype, device=device)
        distributed.all_reduce(sums)
        return sums.tolist()


def synchronise(model: nn.Module, names: Sequence[str]) -> None:
    """Put normalisation over the rows of all processes in the place of the parts of these names."""
    for name in names:
        part = nn.SyncBatchNorm.convert_sync_batchnorm(model.get_submodule(name))
        model.set_submodule(name, part)


ALONE = Processes()
