"""Pictures that a network of digits was never meant for: digits upside down, letters, noise.

All are (N, 1, 28, 28), float32 from 0 to 1, white on black, as MNIST's are.
"""

import string
from functools import cache

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from cnncourse import handwriting, messages
from cnncourse.insight.checks import check_images, random_numbers

# O, I, Z and S would be read as 0, 1, 2 and 5 by anyone.
LETTERS = "".join(letter for letter in string.ascii_uppercase if letter not in "OIZS")
PAD_PX, SIZES_PX, TILTS_DEG = 120, (60, 90), (-12, 0, 12)


def upside_down(images: Tensor) -> Tensor:
    """Turned by 180 degrees; of digits 0, 1 and 8 stay what they are, and 6 and 9 change places."""
    check_images(images)
    return images.flip(-2, -1)


@cache
def letters() -> tuple[Tensor, str]:
    """Printed letters prepared as MNIST's digits were, and the letter that each is.

    22 letters, without O, I, Z and S, in two sizes and three tilts: (132, 1, 28, 28).
    """
    drawn, names = [], ""
    for letter in LETTERS:
        for size_px in SIZES_PX:
            for tilt in TILTS_DEG:
                pad = Image.new("L", (PAD_PX, PAD_PX))
                pen = ImageDraw.Draw(pad)
                font = ImageFont.load_default(size_px)
                pen.text((PAD_PX // 2, PAD_PX // 2), letter, 255, font=font, anchor="mm")
                ink = np.asarray(pad.rotate(tilt, Image.Resampling.BILINEAR)) / 255
                drawn.append(handwriting.prepare(ink).placed)
                names += letter
    return torch.tensor(np.stack(drawn), dtype=torch.float32)[:, None], names


def noise(count: int, *, seed: int = 0) -> Tensor:
    """Every pixel anything from black to white, (count, 1, 28, 28)."""
    messages.check_at_least("count", count, 1)
    draw = random_numbers(seed)
    return torch.rand(count, 1, handwriting.SIZE_PX, handwriting.SIZE_PX, generator=draw)
