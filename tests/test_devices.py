import pytest
import torch

from cnncourse.devices import pick_device


@pytest.fixture
def machine(monkeypatch):
    """Says how many CUDA GPUs there are, and whether Apple's is."""

    def machine(*, cuda=0, mps=False):
        monkeypatch.setattr(torch.cuda, "device_count", lambda: cuda)
        monkeypatch.setattr(torch.mps, "is_available", lambda: mps)

    return machine


@pytest.mark.parametrize(
    ("cuda", "mps", "picked"),
    [(0, False, "cpu"), (0, True, "mps"), (1, False, "cuda"), (2, True, "cuda")],
)
def test_auto_takes_cuda_then_apples_then_the_cpu(machine, cuda, mps, picked):
    machine(cuda=cuda, mps=mps)
    assert pick_device() == pick_device("auto") == torch.device(picked)
    assert pick_device("cpu") == torch.device("cpu")


def test_a_device_that_is_not_here_is_refused(machine, refused):
    machine()
    for name in ("cuda", "cuda:0", "mps"):
        with refused(
            f"device={name!r}: no GPU is available here. Try: device='auto' (takes what there is)."
        ):
            pick_device(name)
    machine(cuda=2)
    assert pick_device("cuda:1") == torch.device("cuda:1")
    with refused("device='cuda:2': there are 2 here. Try: device='auto' (takes what there is)."):
        pick_device("cuda:2")
