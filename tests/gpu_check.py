"""Fine-tuning on a GPU, a short version, as a table: `make gpu-check`.

ResNet-18 and ResNet-50 at 224 px, through the course's own trainer: images a second, what an epoch
of Oxford-IIIT Pet would take, peak memory, in float32 and in bfloat16. The pictures are noise and
the weights untrained, since speed depends on neither: it needs no network and no data. Without a
GPU it says so, and does a small part on the CPU, in float32 alone.
"""

import sys
import time
from typing import NamedTuple

import torch

from cnncourse import lesson, training, transfer
from cnncourse.data import Split
from cnncourse.models.resnet import resnet18, resnet50

BUILDERS = {"resnet18": resnet18, "resnet50": resnet50}
CLASSES = 37  # of Oxford-IIIT Pet
PETS = 3680  # its images for training and validation
WAYS = (("float32", False), ("bfloat16", False), ("bfloat16", True))  # the last: channels-last
HEADINGS = ("network", "numbers", "images/s", "s/epoch of Pet", "peak memory", "estimated", "loss")


class Size(NamedTuple):
    """How large a check is."""

    size_px: int
    batch_size: int
    batches: int
    seconds_of_pet: bool  # whether an epoch of Pet is worth saying: at its size, on a GPU
    ways: tuple[tuple[str, bool], ...]


ON_GPU = Size(224, 64, 8, True, WAYS)
ON_CPU = Size(64, 8, 1, False, WAYS[:1])


class Row(NamedTuple):
    """What one network took, in one kind of numbers."""

    name: str
    numbers: str
    images_per_second: float
    peak_bytes: float  # on a GPU torch's own count, on a CPU that of the whole process
    estimated_bytes: float
    loss: float  # of the last epoch: the kinds of numbers must agree about it
    seconds_of_pet: bool

    def words(self) -> tuple[str, ...]:
        """The row in words, one for each heading."""
        pet = f"{PETS / self.images_per_second:.1f}" if self.seconds_of_pet else "–"
        return (
            self.name,
            self.numbers,
            f"{self.images_per_second:.1f}",
            pet,
            f"{self.peak_bytes / 1e9:.2f} GB",
            f"{self.estimated_bytes / 1e9:.2f} GB",
            f"{self.loss:.3f}",
        )


def noise(size: Size, count: int) -> Split:
    """Pictures of no content, with labels that mean nothing."""
    generator = torch.Generator().manual_seed(0)
    images = torch.randn(count, 3, size.size_px, size.size_px, generator=generator)
    return Split(images, torch.arange(count) % CLASSES)


def measured(name: str, way: tuple[str, bool], device: torch.device, size: Size) -> Row:
    """Fine-tune everything for two epochs; the first warms up, the second is measured."""
    precision, channels_last = way
    torch.manual_seed(0)
    model = BUILDERS[name]().to(device)
    transfer.replace_head(model, CLASSES)
    shape = (3, size.size_px, size.size_px)
    estimate = transfer.memory_estimate(model, shape, batch_size=size.batch_size)
    if device.type == "cuda":
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(device)
    groups = transfer.parameter_groups(model, lr=1e-3, decay=0.5)
    history = training.fit(
        model,
        noise(size, size.batch_size * size.batches),
        noise(size, size.batch_size),
        epochs=2,
        batch_size=size.batch_size,
        optimizer=torch.optim.AdamW(groups),
        device=device,
        precision=precision,
        channels_last=channels_last,
    )
    peak = lesson.peak_memory_mb() * 1e6
    if device.type == "cuda":
        peak = torch.cuda.max_memory_allocated(device)
    epoch = history.epochs[-1]
    numbers = precision + (", channels-last" if channels_last else "")
    loss, speed = epoch.train_loss, epoch.images_per_second
    return Row(name, numbers, speed, peak, estimate.total, loss, size.seconds_of_pet)


def table(rows: list[Row]) -> str:
    """The rows under their headings."""
    lines = [HEADINGS, *(row.words() for row in rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(
        "  ".join(word.ljust(width) for word, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    )


def main() -> int:
    """Print device, table and time; 0 where every network was fine-tuned."""
    started, gpu = time.perf_counter(), torch.cuda.is_available()
    device, size = torch.device("cuda" if gpu else "cpu"), ON_GPU if gpu else ON_CPU
    if gpu:
        properties = torch.cuda.get_device_properties(device)
        print(
            f"{properties.name}, {properties.total_memory / 1e9:.0f} GB; torch {torch.__version__}"
        )
    else:
        print(
            "NO GPU HERE: torch.cuda.is_available() is False. What follows is a small part on the "
            f"CPU, in {torch.get_num_threads()} thread(s): it says that the code runs, and nothing "
            f"about a GPU; peak memory is the whole process's; torch {torch.__version__}"
        )
    print(f"fine-tuning everything, {size.size_px} px, batches of {size.batch_size}")
    rows = [measured(name, way, device, size) for name in BUILDERS for way in size.ways]
    print(table(rows))
    print(f"{time.perf_counter() - started:.0f} s in all")
    return 0


if __name__ == "__main__":
    sys.exit(main())
