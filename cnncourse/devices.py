"""Where to compute."""

import torch

from cnncourse import messages


def pick_device(name: str = "auto") -> torch.device:
    """Device of that name; "auto" takes a CUDA GPU, else Apple's, else the CPU.

    Raises ValueError for a device that is not here.
    """
    counts = {"cpu": 1, "cuda": torch.cuda.device_count(), "mps": int(torch.mps.is_available())}
    if name == "auto":
        name = next(kind for kind in ("cuda", "mps", "cpu") if counts[kind])
    if name == "gpu":
        rule = "torch's names are 'cuda' (Nvidia, AMD) and 'mps' (Apple)"
        raise ValueError(messages.refusal("device", name, rule, attempt="device='auto'"))
    kind, _, index = name.partition(":")
    if kind not in counts or not (index or "0").isdecimal():
        raise ValueError(messages.unknown(name, "device", ["auto", *counts]))
    if int(index or 0) >= counts[kind]:
        rule = "no GPU is available here" if counts[kind] == 0 else f"there are {counts[kind]} here"
        raise ValueError(f"device={name!r}: {rule}. Try: device='auto' (takes what there is).")
    return torch.device(name)
