"""What a network bears: pictures moved, turned, blurred, noisy, compressed; shape against texture.

Pictures are (N, C, H, W), floats from 0 to 1, before standardising, and stay so. Every corruption
takes one strength, in its own unit; 0 leaves the pictures as they are, but for JPEG, whose quality
is from 1 to 95.
"""

import io
from collections.abc import Callable, Sequence

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional as F

from cnncourse import augment, filters, images, messages
from cnncourse.data import Split
from cnncourse.insight.checks import check_pixels, check_several, random_numbers
from cnncourse.insight.layers import check_model
from cnncourse.measure import Evaluation, evaluate
from cnncourse.preconditions import check_fits

Corruption = Callable[[Tensor, float], Tensor]


def moved(pictures: Tensor, shift_px: float) -> Tensor:
    """Moved right and down by so many pixels; black comes in."""
    check_pixels(pictures, name="pictures")
    images.check_range("shift_px", shift_px, -10_000, 10_000, attempt="shift_px=2")
    count = len(pictures)
    shift = torch.full((count, 2), float(shift_px))
    return augment.affine(pictures, angles=torch.zeros(count), shift_px=shift).clamp(0, 1)


def turned(pictures: Tensor, angle_deg: float) -> Tensor:
    """Turned clockwise about the middle, in degrees; black comes in."""
    check_pixels(pictures, name="pictures")
    images.check_angle("angle_deg", angle_deg)
    angles = torch.full((len(pictures),), float(angle_deg))
    return augment.affine(pictures, angles=angles, shift_px=torch.zeros(len(pictures), 2)).clamp(
        0, 1
    )


def blurred(pictures: Tensor, sigma_px: float) -> Tensor:
    """Gaussian blur with that standard deviation, cut off at 3 of it; the border is repeated."""
    check_pixels(pictures, name="pictures")
    images.check_range("sigma_px", sigma_px, 0, 100, attempt="sigma_px=1")
    if sigma_px == 0:
        return pictures
    reach = max(1, int(np.ceil(3 * sigma_px)))
    kernel = filters.gaussian(2 * reach + 1, sigma=float(sigma_px)).sum(axis=0)  # of one axis
    taps = torch.as_tensor(kernel, dtype=pictures.dtype, device=pictures.device)
    channels = pictures.shape[1]
    padded = F.pad(pictures, (reach,) * 4, mode="replicate")
    across = F.conv2d(padded, taps.expand(channels, 1, 1, -1), groups=channels)
    return F.conv2d(across, taps[:, None].expand(channels, 1, -1, 1), groups=channels).clamp(0, 1)


def noisy(pictures: Tensor, std: float, *, seed: int = 0) -> Tensor:
    """Gaussian noise of that standard deviation on each value, the same for the same seed."""
    check_pixels(pictures, name="pictures")
    images.check_range("std", std, 0, 10, attempt="std=0.1")
    noise = torch.randn(pictures.shape, generator=random_numbers(seed))
    return (pictures + std * noise.to(pictures)).clamp(0, 1)


def compressed(pictures: Tensor, quality: float) -> Tensor:
    """Written as JPEG of that quality, 1 to 95, and read back, by Pillow; (N, 1 or 3, H, W)."""
    check_pixels(pictures, name="pictures")
    messages.check_at_least("quality", quality, 1)  # type: ignore[arg-type]
    images.check_range("quality", quality, 1, 95, attempt="quality=50")
    if pictures.shape[1] not in (1, 3):
        rule = "a JPEG has one channel or three"
        raise ValueError(
            messages.refusal("channels", pictures.shape[1], rule, attempt="channels=3")
        )
    pixels = (pictures * 255).round().byte().permute(0, 2, 3, 1).cpu().numpy()
    read = [through_jpeg(picture.squeeze(), int(quality)) for picture in pixels]
    back = torch.from_numpy(np.stack(read)).reshape(pixels.shape).permute(0, 3, 1, 2)
    return back.to(pictures) / 255


def through_jpeg(picture: np.ndarray, quality: int) -> np.ndarray:
    """(H, W) or (H, W, 3), uint8, as a JPEG keeps it."""
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, "jpeg", quality=quality)
    return np.asarray(Image.open(buffer))


CORRUPTIONS: dict[str, Corruption] = {
    "shift (px)": moved,
    "rotation (degrees)": turned,
    "blur (px)": blurred,
    "noise": noisy,
    "JPEG quality": compressed,
}


def accuracy_after(
    corruption: Corruption, model: nn.Module, split: Split, strengths: Sequence[float]
) -> dict[float, Evaluation]:
    """What the model answers to all pictures of a split after a corruption, for each strength.

    Raises ValueError for a split that does not fit the model.
    """
    check_model(model)
    check_several("strengths", strengths)
    check_fits(model, split, name="split")
    return {
        strength: evaluate(model, Split(corruption(split.images, strength), split.labels))
        for strength in strengths
    }


# --- shape against texture ------------------------------------------------------------------------


def shuffled(pictures: Tensor, squares: int, *, seed: int = 0) -> Tensor:
    """Cut into squares x squares parts that change places: texture stays, shape goes.

    Every picture is shuffled alike. What is over at the right and bottom is left as it is. Raises
    ValueError for more squares than pixels. After Brendel & Bethge 2019, arXiv:1904.00760.
    """
    check_pixels(pictures, name="pictures")
    messages.check_at_least("squares", squares, 1)
    height, width = pictures.shape[-2:]
    if squares > min(height, width):
        rule = f"a picture of {height} x {width} px has no more than {min(height, width)}"
        raise ValueError(messages.refusal("squares", squares, rule, attempt="squares=4"))
    h, w = height // squares, width // squares
    order = torch.randperm(squares**2, generator=random_numbers(seed)).tolist()
    result = pictures.clone()
    for target, source in enumerate(order):
        (row, column), (top, left) = divmod(target, squares), divmod(source, squares)
        part = pictures[..., top * h : (top + 1) * h, left * w : (left + 1) * w]
        result[..., row * h : (row + 1) * h, column * w : (column + 1) * w] = part
    return result


def hybrid(shape: Tensor, texture: Tensor, *, sigma_px: float) -> Tensor:
    """Coarse forms of one picture, fine detail of another: the blur of one, what the other's loses.

    (N, C, H, W) twice -> (N, C, H, W). After Oliva, Torralba & Schyns 2006. Raises ValueError for
    pictures of two sizes.
    """
    for name, part in (("shape", shape), ("texture", texture)):
        check_pixels(part, name=name)
    if shape.shape != texture.shape:
        raise ValueError(
            f"texture {tuple(texture.shape)}: must be as large as shape {tuple(shape.shape)}. "
            f"Try: F.interpolate(texture, size={tuple(shape.shape[-2:])})."
        )
    detail = texture - blurred(texture, sigma_px)
    return (blurred(shape, sigma_px) + detail).clamp(0, 1)
