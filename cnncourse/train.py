"""Training from the command line, in one process or several: torchrun -m cnncourse.train ...

python -m cnncourse.train --model lenet --data mnist --run-dir runs/first
torchrun --nproc-per-node 2 -m cnncourse.train --model lenet --data mnist --run-dir runs/first

With --weights a pretrained network, frozen until a part, with a head for the classes of the data:

torchrun --nproc-per-node 2 -m cnncourse.train --weights resnet50 --freeze fc --data pictures \\
    --folder my/photos --run-dir runs/mine
"""

import argparse
import os
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from types import FrameType

import torch
from torch import distributed, nn

from cnncourse import (
    augment,
    checkpoints,
    data,
    folders,
    materials,
    messages,
    training,
    transfer,
    weights,
)
from cnncourse.data import Split
from cnncourse.devices import pick_device
from cnncourse.models.lenet import lenet5_modern
from cnncourse.models.resnet_cifar import resnet20
from cnncourse.models.simple import SimpleCNN
from cnncourse.preprocess import Preprocess
from cnncourse.processes import ALONE, Processes

MODELS: dict[str, Callable[..., nn.Module]] = {
    "lenet": lenet5_modern,
    "simple": SimpleCNN,
    "resnet20": resnet20,
}
DATA = (*data.SOURCES, "materials", "pictures")
OPTIMIZERS: dict[str, Callable[..., torch.optim.Optimizer]] = {
    "adam": torch.optim.Adam,
    "sgd": partial(torch.optim.SGD, momentum=0.9, nesterov=True),
}


def parser() -> argparse.ArgumentParser:
    """Arguments of the command."""
    top = argparse.ArgumentParser(
        prog="cnncourse.train", description="Train, and save every epoch in a folder."
    )
    network = top.add_mutually_exclusive_group(required=True)
    network.add_argument("--model", help=", ".join(MODELS))
    network.add_argument("--weights", help=f"pretrained: {', '.join(weights.KNOWN)}")
    top.add_argument("--freeze", default="", help="with --weights: until this part, such as fc")
    top.add_argument("--data", required=True, help=", ".join(DATA))
    top.add_argument("--folder", help="where it is, in torchvision's layout; a folder a class")
    top.add_argument("--sample", action="store_true", help="the embedded 5,000 images of mnist")
    top.add_argument("--run-dir", required=True, help="where the run is saved")
    top.add_argument("--resume", action="store_true", help="go on with the run that is there")
    top.add_argument("--epochs", type=int, default=1)
    top.add_argument("--batch-size", type=int, default=128, help="over all processes")
    top.add_argument("--optimizer", default="adam", help=", ".join(OPTIMIZERS))
    top.add_argument("--lr", type=float, default=1e-3, help="the same for any number of processes")
    top.add_argument("--degrees", type=float, default=0.0, help="rotation, at most")
    top.add_argument("--shift-px", type=float, default=0.0, help="shift, at most")
    top.add_argument("--seed", type=int, default=0)
    top.add_argument("--device", default="auto", help="auto, cpu or cuda")
    top.add_argument("--precision", default="float32", help="auto, float32, float16 or bfloat16")
    top.add_argument("--channels-last", action="store_true", help="(N, H, W, C) in memory")
    top.add_argument("--double", action="store_true", help="float64: slow, and to compare runs by")
    return top


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns 0 if it trained, 1 if it was stopped, 2 for a wrong call."""
    options = parser().parse_args(arguments)
    again = "Try: the same command with --resume."
    try:
        with joined(options) as processes:
            history = train(options, processes)
    except (checkpoints.NotSaved, training.NonFiniteLoss, ConnectionError) as error:
        print(f"{error} {again}" if isinstance(error, ConnectionError) else error, file=sys.stderr)
        return 1
    except ValueError as error:
        print(error, file=sys.stderr)
        return 2
    if history.stopped and processes.first:
        print(f"{history.stopped}. {again}", file=sys.stderr)
    return 1 if history.stopped else 0


@contextmanager
def joined(options: argparse.Namespace) -> Iterator[Processes]:
    """The processes that torchrun started, nccl between GPUs and gloo between CPUs; or this alone.

    Raises ConnectionError where another of them ended.
    """
    if "RANK" not in os.environ:  # torchrun sets it
        yield ALONE
        return
    device = pick_device(options.device)
    if device.type == "cuda":
        local = int(os.environ["LOCAL_RANK"])
        options.device = str(pick_device(f"cuda:{local}"))
        torch.cuda.set_device(local)
    else:
        options.device = "cpu"
    distributed.init_process_group("nccl" if device.type == "cuda" else "gloo")
    processes = Processes(distributed.get_rank(), distributed.get_world_size())

    def stops(why: str) -> ConnectionError:
        return ConnectionError(
            f"process {processes.rank} of {processes.count} stops: another one ended or could not "
            f"be reached ({why}). What was reported is saved in {options.run_dir}."
        )

    def told(_signum: int, _frame: FrameType | None) -> None:
        raise stops("torchrun said so by SIGTERM")

    signal.signal(signal.SIGTERM, told)  # torchrun may see it before the next sum is missed
    try:
        yield processes
    except RuntimeError as error:
        if isinstance(error, training.NonFiniteLoss):
            raise
        raise stops(str(error).splitlines()[0][:200]) from error
    distributed.destroy_process_group()


def train(options: argparse.Namespace, processes: Processes) -> training.History:
    """Train as the options say; the first process prints a line an epoch."""
    if options.optimizer not in OPTIMIZERS:
        raise ValueError(messages.unknown(options.optimizer, "optimizer", OPTIMIZERS))
    model, images = pretrained(options) if options.weights else untrained(options)
    splits = [images.train, images.validation]
    if options.double:
        model.double()
        splits = [Split(split.images.double(), split.labels) for split in splits]
    model.to(pick_device(options.device))  # before the optimiser takes its parameters
    if options.weights and processes.count == 1:  # several share the batch, on a machine or many
        states, shape = 1 + (options.optimizer == "adam"), images.train.images.shape[1:]
        wanted = {"batch_size": options.batch_size, "states": states, "device": options.device}
        transfer.check_memory(model, shape, **wanted)
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    augmentation = None
    if options.degrees or options.shift_px:
        augmentation = augment.Affine(degrees=options.degrees, shift_px=options.shift_px)
    if processes.first:
        print(f"{images}; {processes.count} process(es)", flush=True)
    return training.fit(
        model,
        splits[0],
        splits[1],
        epochs=options.epochs,
        batch_size=options.batch_size,
        optimizer=OPTIMIZERS[options.optimizer](trained, lr=options.lr),
        augmentation=augmentation,
        seed=options.seed,
        device=options.device,
        precision=options.precision,
        channels_last=options.channels_last,
        reporters=[print_epoch] if processes.first else [],
        run_dir=options.run_dir,
        resume=options.resume,
        processes=processes,
    )


def untrained(options: argparse.Namespace) -> tuple[nn.Module, data.Dataset]:
    """A network for a data set, with random weights: the same in every process."""
    if options.model not in MODELS:
        raise ValueError(messages.unknown(options.model, "model", MODELS))
    if options.freeze:
        rule, attempt = "random weights are not worth keeping", "--weights resnet18"
        raise ValueError(messages.refusal("--freeze", options.freeze, rule, attempt=attempt))
    images = data_set(options, None)
    torch.manual_seed(options.seed)
    channels, classes = images.train.images.shape[1], len(images.classes)
    return MODELS[options.model](in_channels=channels, num_classes=classes), images


def pretrained(options: argparse.Namespace) -> tuple[nn.Module, data.Dataset]:
    """A pretrained network with a fresh head for a data set, frozen as asked; its images as the
    weights want them.
    """
    found = weights.load_weights(options.weights)
    images = data_set(options, found.preprocess)
    transfer.replace_head(found.model, len(images.classes), seed=options.seed)
    transfer.freeze(found.model, options.freeze)
    train, validation = (
        Split(found.preprocess.standardise(split.images), split.labels)
        for split in (images.train, images.validation)
    )
    origin = f"{images.origin}; {found.origin}"
    return found.model, replace(images, train=train, validation=validation, origin=origin)


def data_set(options: argparse.Namespace, preprocess: Preprocess | None) -> data.Dataset:
    """What --data names; pictures in a folder are cut as the weights want them."""
    if options.data not in DATA:
        raise ValueError(messages.unknown(options.data, "data set", DATA))
    if options.data == "materials":
        return materials.load(seed=options.seed)
    if options.data != "pictures":
        return data.load(options.data, folder=options.folder, sample=options.sample)
    if preprocess is None or not options.folder:
        rule, attempt = "are cut as weights want them", "--weights resnet18 --folder my/photos"
        raise ValueError(messages.refusal("--data", "pictures", rule, attempt=attempt))
    return folders.load(options.folder, preprocess, seed=options.seed)


def print_epoch(progress: training.Progress) -> None:
    """A line when an epoch has ended and is saved."""
    if progress.epoch_ended:
        newest = progress.history.epochs[-1]
        print(
            f"epoch {newest.epoch} of {progress.epochs}: training loss {newest.train_loss:.4f}, "
            f"validation accuracy {newest.validation_accuracy:.2%}, {newest.seconds:.1f} s",
            flush=True,
        )


if __name__ == "__main__":
    sys.exit(main())
