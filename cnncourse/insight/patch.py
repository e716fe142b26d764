"""One patch for every picture: a square that makes a network say one class wherever it lies.

After Brown et al. 2017, arXiv:1712.09665. Pictures are (N, C, H, W), floats from 0 to 1, before
standardising; so is the patch, (C, size_px, size_px).
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from cnncourse import images as pictures
from cnncourse import messages
from cnncourse.insight.checks import (
    check_images,
    check_logits,
    check_pixels,
    check_tensor,
    random_numbers,
)
from cnncourse.insight.layers import UNCUT, asked, passed, slope


def universal_patch(
    model: nn.Module,
    images: Tensor,
    *,
    target: int,
    size_px: int,
    steps: int,
    lr: float,
    batch_size: int = 64,
    seed: int = 0,
) -> Tensor:
    """Square (C, size_px, size_px) that was trained to be answered target, at any place.

    Each of the steps of Adam takes batch_size pictures, lays the patch on each at a random place,
    and brings its values back to 0 to 1. The model is asked in eval mode and left as it was.
    Raises ValueError for pixels that are not from 0 to 1, a patch larger than the pictures, and a
    target that is no class.
    """
    check_pixels(images)
    for name, came in (("steps", steps), ("size_px", size_px), ("batch_size", batch_size)):
        messages.check_at_least(name, came, 1)
    messages.check_at_least("target", target, 0)
    pictures.check_range("lr", lr, 0, 1e3, attempt="lr=0.1")
    draw = random_numbers(seed)
    patch = torch.rand(images.shape[1], size_px, size_px, generator=draw).to(images)
    patch.requires_grad_()
    optimizer = torch.optim.Adam([patch], lr=lr)
    with asked(model):
        for _ in range(steps):
            chosen = torch.randint(len(images), (batch_size,), generator=draw)
            batch = images[chosen.to(images.device)]
            places = random_places(batch, size_px, draw)
            logits = passed(model, laid_on(batch, patch, places))
            check_logits(logits, batch_size)
            check_target(target, logits)
            wanted = torch.full((batch_size,), target, device=logits.device)
            loss = F.cross_entropy(logits, wanted)
            patch.grad = slope(loss, patch, said="patch", attempt=UNCUT)
            optimizer.step()
            patch.data.clamp_(0, 1)
    return patch.detach()


def random_places(images: Tensor, size_px: int, draw: torch.Generator) -> Tensor:
    """A row and a column for each picture, (N, 2), where a square of size_px fits."""
    check_images(images)
    messages.check_at_least("size_px", size_px, 1)
    if not isinstance(draw, torch.Generator):
        rule, attempt = "must be a torch.Generator", "draw=torch.Generator().manual_seed(0)"
        raise ValueError(messages.refusal("draw", draw, rule, attempt=attempt))
    height, width = images.shape[-2:]
    if size_px > min(height, width):
        rule = f"does not fit on pictures of {height} x {width} px"
        attempt = f"size_px={max(1, min(height, width) // 3)}"
        raise ValueError(messages.refusal("size_px", size_px, rule, attempt=attempt))
    rows = torch.randint(height - size_px + 1, (len(images), 1), generator=draw)
    columns = torch.randint(width - size_px + 1, (len(images), 1), generator=draw)
    return torch.cat([rows, columns], dim=1)


def laid_on(images: Tensor, patch: Tensor, places: Tensor) -> Tensor:
    """The pictures (N, C, H, W) with the patch (C, s, s) on each, from (row, column) (N, 2) on.

    Raises ValueError for a patch of another shape, and for places where it does not fit.
    """
    check_images(images)
    check_tensor("patch", patch, what="(C, side, side)")
    check_tensor("places", places, what="(N, 2)")
    side = patch.shape[-1]
    if patch.shape != (images.shape[1], side, side):
        raise ValueError(
            f"patch {tuple(patch.shape)}: must be a square of {images.shape[1]} channels. "
            f"Try: patch.expand({images.shape[1]}, -1, -1) for one of one channel."
        )
    whole = places.shape == (len(images), 2) and not places.is_floating_point()
    room = torch.tensor(images.shape[-2:]) - side
    if not whole or (places.cpu() < 0).any() or (places.cpu() > room).any():
        raise ValueError(
            f"places {tuple(places.shape)}: must be a row and a column for each of {len(images)} "
            f"pictures where {side} px fit. Try: random_places(images, {side}, torch.Generator())."
        )
    covered = images.clone()
    for number, (row, column) in enumerate(places.tolist()):
        covered[number, :, row : row + side, column : column + side] = patch
    return covered


def check_target(target: int, logits: Tensor) -> None:
    """Raise ValueError unless the target is one of the classes of these logits."""
    last = logits.shape[1] - 1
    if target > last:
        rule = f"the model has classes 0 to {last}"
        raise ValueError(messages.refusal("target", target, rule, attempt=f"target={last}"))
