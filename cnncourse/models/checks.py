"""What a network takes: a batch of pictures that it can make a map of.

Call it as `checks.check_images(...)`: so torch.fx, which feature extractors use, leaves it whole.
"""

import torch
from torch import Tensor

from cnncourse import messages


def check_counts(*, in_channels: int, num_classes: int) -> None:
    """Raise ValueError unless a network is built for a channel or more, and a class or more."""
    messages.check_at_least("in_channels", in_channels, 1)
    messages.check_at_least("num_classes", num_classes, 1)


@torch.fx.wrap
def check_images(
    images: Tensor, *, in_channels: int, smallest_px: int, model: str, attempt: str = ""
) -> None:
    """Raise ValueError unless images are (N, in_channels, H, W) of floats, H and W large enough.

    smallest_px is the smallest side whose last feature map has two positions: of a single one,
    a convolution or a pool would see mostly padding, and nobody would be told. model is the name
    in the sentence; attempt what else to try for small pictures.
    """
    if images.ndim == 3:
        raise ValueError(
            f"images {tuple(images.shape)}: must be a batch, (N, C, H, W). Try: images[None]."
        )
    if images.ndim != 4:
        raise ValueError(
            f"images {tuple(images.shape)}: must be (N, C, H, W). "
            f"Try: images.reshape(-1, {in_channels}, {smallest_px}, {smallest_px})."
        )
    if not images.is_floating_point():
        raise ValueError(f"images are {images.dtype}: must be floats. Try: images / 255.")
    channels, height, width = images.shape[1:]
    if channels != in_channels:
        raise ValueError(wrong_channels(images, in_channels, model))
    if min(height, width) < smallest_px:
        resized = f"F.interpolate(images, size=({smallest_px}, {smallest_px}))"
        raise ValueError(
            f"image ({height}, {width}): {model} needs {smallest_px} px a side or more, or its "
            f"last map has fewer than 2x2 positions. Try: {attempt or resized}."
        )


def wrong_channels(images: Tensor, in_channels: int, model: str) -> str:
    """Sentence for images whose second axis has another size than the network's channels."""
    shape = tuple(images.shape)
    if images.shape[3] == in_channels:
        return (
            f"images {shape}: looks like channels-last; this course uses channels-first. "
            "Try: images.permute(0, 3, 1, 2)."
        )
    attempt = f"in_channels={images.shape[1]}"
    if (images.shape[1], in_channels) == (1, 3):
        attempt = "images.expand(-1, 3, -1, -1), or in_channels=1"
    return f"images {shape}: {model} was built for {in_channels} channels. Try: {attempt}."
