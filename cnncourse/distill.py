"""How the ResNet-18 of this course was made: it learned what EfficientNet-Lite0 sees, unlabelled.

    python -m cnncourse.distill --photos DIR --cifar ZIP --out DIR

Distillation (Hinton et al. 2015, arXiv:1503.02531) is transfer, too: the teacher's answers carry
ImageNet into a network that never saw it. Teacher and student see the same crop (Beyer et al. 2021,
arXiv:2106.05237), which is moved a little, flipped, coloured and mixed for the student. Killed at
any moment and started again, it goes on after the last whole round.
"""

import argparse
import math
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from cnncourse import bank, card, files, messages, probe, weights
from cnncourse.augment.draws import generator
from cnncourse.augment.mixup import mixing_shares, mixup
from cnncourse.checkpoints import Run
from cnncourse.models.efficientnet_lite import HEAD_CHANNELS
from cnncourse.models.resnet import resnet18
from cnncourse.packing import Trained

TEMPERATURE = 2.0
PROBE_EVERY_S = 900


@dataclass(frozen=True)
class Recipe:
    """All that decides what comes out; a run goes on only with the same."""

    size_px: int = 64
    steps: int = 12_000
    batch_size: int = 128
    steps_a_round: int = 150  # then a checkpoint is written and a shard of crops exchanged
    lr: float = 2e-3
    weight_decay: float = 0.02
    feature_weight: float = 10.0
    mix_alpha: float = 0.2
    crop_shards: int = 24
    cifar_shards: int = 45
    shard: int = bank.SHARD
    seed: int = 0

    @property
    def rounds(self) -> int:
        """Rounds until all steps are made; the last one is whole."""
        return math.ceil(self.steps / self.steps_a_round)


class Student(nn.Module):
    """ResNet-18 in three parts: what pools to 512 features, its linear layer, and one that guesses
    the teacher's features, which is thrown away in the end.
    """

    def __init__(self, teacher_features: int) -> None:
        super().__init__()
        body: Any = resnet18()
        self.head = body.fc
        body.fc = nn.Identity()
        self.body = body
        self.projection = nn.Linear(512, teacher_features)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """(N, 3, H, W) -> logits (N, 1000), guessed features of the teacher (N, D)."""
        pooled = self.body(images)
        return self.head(pooled), self.projection(pooled)

    def resnet_state(self) -> dict[str, Tensor]:
        """The state of the ResNet-18 that it is, under torchvision's names."""
        head = {f"fc.{key}": value for key, value in self.head.state_dict().items()}
        return {**self.body.state_dict(), **head}


def losses(
    logits: Tensor, guessed: Tensor, probabilities: Tensor, features: Tensor
) -> tuple[Tensor, Tensor]:
    """KL divergence from the teacher's probabilities (N, K) at TEMPERATURE, and the mean squared
    error of guessing its features (N, D), standardised over the batch: two means over images.
    """
    student = F.log_softmax(logits / TEMPERATURE, dim=1)
    kl = F.kl_div(student, probabilities, reduction="batchmean") * TEMPERATURE**2
    standardised = F.batch_norm(features, None, None, training=True)
    return kl, F.mse_loss(guessed, standardised)


def train_round(
    student: Student, trained: Trained, stock: bank.Stock, recipe: Recipe, round_: int
) -> dict[str, float]:
    """Steps of one round; mean losses over the images, and images a second."""
    assert trained.schedule is not None
    shards = stock.shards(round_)
    draw = generator(recipe.seed, round_, purpose=11)
    features = torch.cat([shard.features for shard in shards])
    order = torch.randperm(len(features), generator=draw)
    wanted = recipe.steps_a_round * recipe.batch_size
    order = order.repeat(-(-wanted // len(order)))[:wanted]
    keeps = mixing_shares(wanted, alpha=recipe.mix_alpha, seed=recipe.seed, epoch=round_)
    totals, started = torch.zeros(2), time.perf_counter()
    student.train()
    for index, shares in zip(
        order.split(recipe.batch_size), keeps.split(recipe.batch_size), strict=True
    ):
        images = bank.views(shards, index, recipe.size_px, draw)
        seen = features[index].float()
        with torch.no_grad():
            taught = F.softmax(stock.teacher.model.classifier(seen) / TEMPERATURE, dim=1)
        targets = torch.cat([taught, seen], dim=1)
        partners = torch.randperm(len(index), generator=draw)
        images, targets = mixup(images, targets, partners=partners, shares=shares)
        images = stock.teacher.preprocess.standardise(images)
        logits, guessed = student(images.contiguous(memory_format=torch.channels_last))
        split = [taught.shape[1], seen.shape[1]]
        kl, error = losses(logits, guessed, *targets.split(split, dim=1))
        loss = kl + recipe.feature_weight * error
        if not math.isfinite(loss.item()):
            raise FloatingPointError(f"loss became {loss.item()} in round {round_ + 1}.")
        trained.optimizer.zero_grad()
        loss.backward()
        trained.optimizer.step()
        trained.schedule.step()
        totals += torch.stack([kl.detach(), error.detach()]) * len(index)
    means, seconds = (totals / wanted).tolist(), time.perf_counter() - started
    return {"kl": means[0], "features": means[1], "images_per_s": wanted / seconds}


def teacher_of_the_course() -> bank.Teacher:
    """EfficientNet-Lite0 with ImageNet's weights."""
    known = weights.load_weights("efficientnet_lite0")
    model: Any = known.model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return bank.Teacher(model, known.preprocess)


def student_of(recipe: Recipe) -> Student:
    """A student as the recipe's seed has it, for EfficientNet-Lite0's features."""
    torch.manual_seed(recipe.seed)
    student = Student(HEAD_CHANNELS)
    return student.to(memory_format=torch.channels_last)  # type: ignore[call-overload]


def in_training(student: Student, recipe: Recipe) -> Trained:
    """The student with its optimiser and a schedule of one cycle over all rounds."""
    optimizer = torch.optim.AdamW(student.parameters(), recipe.lr, weight_decay=recipe.weight_decay)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, recipe.lr, total_steps=recipe.rounds * recipe.steps_a_round
    )
    return Trained(student, optimizer, schedule)


def distill(
    recipe: Recipe, *, photos: Path, cifar: Path, out: Path, minutes: float = math.inf
) -> list[dict[str, Any]]:
    """Train until all rounds are done, or for so many minutes; what is there is in out, whole.

    out has resnet18-<size>px.safetensors and its card (.md), the checkpoints in run/, the shards in
    bank/. Returns a row a round. Raises ValueError where the run in out is another.
    """
    started = probed = time.monotonic()
    teacher, student = teacher_of_the_course(), student_of(recipe)
    trained = in_training(student, recipe)
    stock = bank.Stock(
        teacher,
        photos,
        out / "bank",
        crop_shards=recipe.crop_shards,
        shard=recipe.shard,
        size_px=recipe.size_px,
        seed=recipe.seed,
    )
    data = {"photos": stock.fingerprint(), "cifar": files.sha256(cifar.read_bytes())}
    run = Run(out / "run", {**asdict(recipe), **data})
    rows = run.begin(trained, resume=True)
    print(run.resumed or "from the start", flush=True)
    measure = probe.Probe(cifar, teacher, recipe.size_px)
    marks = measure.marks()
    stock.add_cifar(cifar, shards=recipe.cifar_shards, first=probe.PROBE_PER_CLASS)
    while len(rows) < recipe.rounds and time.monotonic() - started < 60 * minutes:
        row: dict[str, Any] = {"epoch": len(rows) + 1}  # a round is the run's epoch
        row |= train_round(student, trained, stock, recipe, len(rows))
        ended = len(rows) + 1 == recipe.rounds or time.monotonic() - started >= 60 * minutes
        if ended or time.monotonic() - probed >= PROBE_EVERY_S:
            row["probe"], probed = measure(student.body), time.monotonic()
        rows.append(row)
        run.save(trained, rows)
        say(rows, recipe)
        if "probe" in row:
            card.export(out, student.resnet_state(), asdict(recipe), rows, marks, len(stock.photos))
    if len(rows) == recipe.rounds:  # again, where the last time ended just before
        card.export(out, student.resnet_state(), asdict(recipe), rows, marks, len(stock.photos))
    return rows


def say(rows: Sequence[dict[str, Any]], recipe: Recipe) -> None:
    """A line about the last round."""
    row, images = rows[-1], len(rows) * recipe.steps_a_round * recipe.batch_size
    line = f"round {len(rows)} of {recipe.rounds}: {images:,} images, KL {row['kl']:.3f}, "
    line += f"features {row['features']:.3f}, {row['images_per_s']:.0f} images/s"
    print(line + (f", probe {row['probe']:.3f}" if "probe" in row else ""), flush=True)


def main(arguments: Sequence[str] | None = None) -> None:
    """The command: see --help."""
    parser = argparse.ArgumentParser(prog="python -m cnncourse.distill", description=main.__doc__)
    parser.add_argument("--photos", type=Path, required=True, help="folder of .jpg or .png")
    parser.add_argument("--cifar", type=Path, required=True, help="zip: train/<class>/*.jpg, test/")
    parser.add_argument("--out", type=Path, required=True, help="folder of the run; it goes on")
    parser.add_argument("--minutes", type=float, default=math.inf, help="stop after so many")
    parser.add_argument("--threads", type=int, default=0, help="0: torch's choice")
    for name in ("size_px", "steps", "steps_a_round", "crop_shards", "cifar_shards"):
        option = f"--{name.replace('_', '-')}"
        parser.add_argument(option, type=int, default=getattr(Recipe, name))
    parser.add_argument("--feature-weight", type=float, default=Recipe.feature_weight)
    given = vars(parser.parse_args(arguments))
    if threads := given.pop("threads"):
        messages.check_at_least("threads", threads, 1)
        torch.set_num_threads(threads)
    places = {name: given.pop(name) for name in ("photos", "cifar", "out", "minutes")}
    distill(Recipe(**given), **places)


if __name__ == "__main__":
    main()
