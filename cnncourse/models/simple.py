"""SimpleCNN: two convolutions and two full connections, the first network of the course."""

import torch
from torch import Tensor, nn


class SimpleCNN(nn.Module):
    """Small network for 28x28 images: 421,642 parameters with one channel and ten classes.

    pool_first pools before ReLU: the largest of four clipped numbers is the largest one, clipped.
    The same logits, gradients and parameters' names; a quarter of the numbers to clip.

    mkldnn keeps feature maps in blocks of channels, the layout of oneDNN, torch's library for
    convolutions on a CPU, which then pools them, too: the same to rounding, an epoch in 0.86 of the
    time. (Where two numbers under a window are as large to rounding, the gradient may go to the
    other.) For float32 on a CPU; in other precisions and places it changes nothing.

    (N, in_channels, 28, 28) -> logits (N, num_classes)
    """

    def __init__(
        self,
        *,
        in_channels: int = 1,
        num_classes: int = 10,
        pool_first: bool = False,
        mkldnn: bool = False,
    ) -> None:
        super().__init__()
        self.mkldnn = mkldnn
        layers: list[nn.Module] = []
        for channels in (32, 64):
            layers.append(nn.Conv2d(in_channels, channels, kernel_size=3, padding=1))
            clip, pool = nn.ReLU(), nn.MaxPool2d(2)
            layers += (pool, clip) if pool_first else (clip, pool)
            in_channels = channels
        self.features = nn.Sequential(*layers)  # (N, 32, 14, 14) after three, (N, 64, 7, 7) at last
        self.classifier = nn.Sequential(
            nn.Flatten(),
            nn.Linear(64 * 7 * 7, 128),
            nn.ReLU(),
            nn.Dropout(0.5),
            nn.Linear(128, num_classes),
        )

    def forward(self, images: Tensor) -> Tensor:
        """(N, in_channels, 28, 28) -> logits (N, num_classes)."""
        if self.mkldnn and in_float32_on_a_cpu(images):
            return self.classifier(self.features(images.to_mkldnn()).to_dense())
        return self.classifier(self.features(images))


def in_float32_on_a_cpu(images: Tensor) -> bool:
    """Whether a network will compute with these images in float32 on a CPU, with oneDNN at hand."""
    on_cpu = images.device.type == "cpu" and torch.backends.mkldnn.is_available()
    return on_cpu and images.dtype == torch.float32 and not torch.is_autocast_enabled("cpu")
