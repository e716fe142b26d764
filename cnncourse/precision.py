"""Mixed precision: which numbers a forward pass is computed in (Micikevicius et al. 2017,
arXiv:1710.03740).

float32 everywhere; or 16-bit numbers where they are safe, weights and sums in float32. float16 ends
at 65,504 and loses gradients below 6e-8, so the loss is scaled up and the gradients down again;
bfloat16 reaches as far as float32, with 8 bits of accuracy, and needs no scaling.
"""

import torch
from torch import Tensor

from cnncourse import messages

PRECISIONS = {"float32": None, "float16": torch.float16, "bfloat16": torch.bfloat16}


class Precision:
    """How a training computes: forward passes under `autocast`, descent through `step`.

    "auto" takes bfloat16 on a GPU that has it, float16 on an older one, float32 on a CPU: there
    bfloat16 without units for it was 12 times slower than float32. Raises ValueError for another
    name, and for 16 bits on Apple's GPU.
    """

    def __init__(self, name: str, device: torch.device) -> None:
        if name == "auto":
            units = device.type == "cuda" and torch.cuda.is_bf16_supported(
                including_emulation=False
            )
            name = "bfloat16" if units else "float16" if device.type == "cuda" else "float32"
        if name not in PRECISIONS:
            raise ValueError(messages.unknown(name, "precision", ["auto", *PRECISIONS]))
        if name != "float32" and device.type not in ("cpu", "cuda"):
            rule = f"16 bits are for CUDA and the CPU here, not for {device.type!r}"
            attempt = "precision='float32'"
            raise ValueError(messages.refusal("precision", name, rule, attempt=attempt))
        self.name, self.device = name, device
        self.scaler = torch.amp.GradScaler(device.type) if name == "float16" else None

    def autocast(self) -> torch.autocast:
        """Context of a forward pass: torch chooses, operation by operation, where 16 bits do."""
        enabled, dtype = self.name != "float32", PRECISIONS[self.name]
        return torch.autocast(self.device.type, dtype=dtype, enabled=enabled)

    def step(self, loss: Tensor, optimizer: torch.optim.Optimizer) -> bool:
        """Backward and a step of descent; False where float16 overflowed, and the step was left
        out: the scale is halved, the next batch goes on.
        """
        optimizer.zero_grad()
        if self.scaler is None:
            loss.backward()
            optimizer.step()
            return True
        self.scaler.scale(loss).backward()
        self.scaler.step(optimizer)
        before = self.scaler.get_scale()
        self.scaler.update()
        return self.scaler.get_scale() >= before


FULL = Precision("float32", torch.device("cpu"))  # as good for any device: nothing is cast
