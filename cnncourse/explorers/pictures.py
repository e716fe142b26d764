"""Pictures that an explorer of a network can show: the course's photographs and a reader's own."""

import ipywidgets as widgets
import numpy as np
import torch
from torch import Tensor

from cnncourse import images, messages
from cnncourse.preprocess import Preprocess

OWN = "my own picture"


class Pictures:
    """Photographs as a network sees them, each cut once; the upload that came last is OWN."""

    def __init__(self, preprocess: Preprocess) -> None:
        self.preprocess = preprocess
        self.cuts: dict[str, Tensor] = {}
        self.upload: tuple = ()

    def cut(self, name: str, upload: tuple = ()) -> Tensor:
        """The picture of that name, (3, H, W), from 0 to 1: the same tensor while it is the same.

        Raises ValueError for an unknown name, for OWN without an upload, and for an upload that is
        no picture.
        """
        if name == OWN and not upload:
            rule, attempt = "there is no picture yet", "the button 'upload a picture'"
            raise ValueError(messages.refusal("picture", OWN, rule, attempt=attempt))
        if name == OWN and upload is not self.upload:
            self.cuts[OWN] = self.preprocess.cut(images.decode(bytes(upload[0]["content"])))
            self.upload = upload
        if name not in self.cuts:
            self.cuts[name] = self.preprocess.cut(images.photo(name))
        return self.cuts[name]

    def gallery(self) -> Tensor:
        """All the course's photographs, (13, 3, H, W), from 0 to 1."""
        return torch.stack([self.cut(name) for name in images.PHOTOS])


def chooser(picture: str) -> widgets.Dropdown:
    """List of the photographs and OWN."""
    return widgets.Dropdown(options=[*images.PHOTOS, OWN], value=picture)


def uploader() -> widgets.FileUpload:
    """Button for a picture of one's own."""
    return widgets.FileUpload(
        accept="image/*", description="upload a picture", tooltip="PNG, JPEG and others"
    )


def colors(image: Tensor) -> np.ndarray:
    """(C, H, W) from 0 to 1 -> (H, W, 3), uint8; what lies outside is cut off."""
    pixels = (image.clamp(0, 1) * 255).round().to(torch.uint8)
    return pixels.expand(3, -1, -1).permute(1, 2, 0).cpu().numpy()
