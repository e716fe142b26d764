import pytest
import torch
from torch import nn

from cnncourse.precision import FULL, Precision

CPU = torch.device("cpu")


def linear():
    torch.manual_seed(0)
    return nn.Linear(4, 2, bias=False)


@pytest.mark.parametrize(
    ("name", "dtype"),
    [("float32", torch.float32), ("float16", torch.float16), ("bfloat16", torch.bfloat16)],
)
def test_a_forward_pass_is_computed_in_that_precision_and_weights_stay_float32(name, dtype):
    model, precision = linear(), Precision(name, CPU)
    with precision.autocast():
        assert model(torch.ones(1, 4)).dtype == dtype
    assert model.weight.dtype == torch.float32


def test_auto_is_float32_on_a_cpu():
    assert Precision("auto", CPU).name == "float32"


@pytest.mark.parametrize(("has_units", "name"), [(True, "bfloat16"), (False, "float16")])
def test_auto_on_a_gpu_asks_for_units(monkeypatch, has_units, name):
    asked = []

    def supported(including_emulation=True):
        asked.append(including_emulation)
        return has_units

    monkeypatch.setattr(torch.cuda, "is_bf16_supported", supported)
    monkeypatch.setattr(torch.amp, "GradScaler", lambda device: device)
    assert Precision("auto", torch.device("cuda")).name == name
    assert asked == [False]


def test_other_names_and_devices_are_refused(refused):
    with refused(
        "'float8': unknown precision. Did you mean 'float32'? "
        "Known: auto, float32, float16, bfloat16."
    ):
        Precision("float8", CPU)
    with refused(
        "precision='float16': 16 bits are for CUDA and the CPU here, not for 'mps'. "
        "Try: precision='float32'."
    ):
        Precision("float16", torch.device("mps"))


def test_a_gradient_that_float16_would_lose_is_kept_by_the_scale():
    """1e-8 is below float16's least number, 6e-8; the scale of 65,536 lifts it."""
    kept = {}
    for scaled in (True, False):
        weight = nn.Parameter(torch.tensor([1.0]))
        optimizer = torch.optim.SGD([weight], lr=1.0)
        precision = Precision("float16", CPU)
        if not scaled:
            precision.scaler = None
        loss = (weight.half() * 1e-4).float().sum() * 1e-4
        assert precision.step(loss, optimizer)
        kept[scaled] = weight.grad.item()
    assert kept[True] == pytest.approx(1e-8, rel=1e-3)
    assert kept[False] == 0


def test_an_overflow_leaves_the_step_out_and_halves_the_scale():
    weight = nn.Parameter(torch.tensor([1.0]))
    optimizer = torch.optim.SGD([weight], lr=0.1)
    precision = Precision("float16", CPU)
    before = precision.scaler.get_scale()
    loss = (weight.half() * 60_000).float().sum()
    assert not precision.step(loss * 1e3, optimizer)
    assert weight.item() == 1.0
    assert precision.scaler.get_scale() == before / 2


def test_full_precision_is_a_plain_step_bit_by_bit():
    ours, theirs = linear(), linear()
    images = torch.arange(8.0).reshape(2, 4)
    for model, step in ((ours, FULL.step), (theirs, None)):
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        loss = model(images).square().mean()
        if step:
            assert step(loss, optimizer)
        else:
            loss.backward()
            optimizer.step()
    assert torch.equal(ours.weight, theirs.weight)
