import copy
import os
import subprocess
import sys
from collections import namedtuple

import pytest
import torch
from torch import nn

from cnncourse.models.efficientnet_lite import efficientnet_lite0
from cnncourse.models.resnet import resnet18
from cnncourse.transfer import memory
from cnncourse.transfer.audit import snapshot
from cnncourse.transfer.freezing import freeze
from cnncourse.transfer.memory import LIBRARIES, check_memory, free_memory, memory_estimate

CPU = torch.device("cpu")
AS_IT_IS = """
import torch
from torch.nn import functional as F
import psutil
from cnncourse import lesson
from cnncourse.models.resnet import resnet18
from cnncourse.transfer.memory import memory_estimate
torch.set_num_threads(1)
model = resnet18(num_classes=10).train()
found = memory_estimate(model, (3, 64, 64), batch_size=64, copies=0)
optimizer = torch.optim.AdamW(model.parameters())
images, before = torch.rand(64, 3, 64, 64), psutil.Process().memory_info().rss
for _ in range(2):
    loss = F.cross_entropy(model(images), torch.arange(64) % 10)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
print(lesson.peak_memory_mb() - before / 1e6, found.total / 1e6)
"""


def tiny():
    return nn.Sequential(nn.Flatten(), nn.Linear(12, 5), nn.ReLU(), nn.Linear(5, 3))


# Counted by hand


def test_the_parts_of_a_small_network_are_those_by_hand():
    """Flatten gives 12 numbers, Linear 5, ReLU 5, Linear 3; 4 bytes each.

    Backward needs the 12 and the 5 that go into the layers (ReLU's output is among them) and the 3
    log-probabilities of the loss; the label, of 8 bytes; and half of the loss's divisor, since two
    images were counted.
    """
    found = memory_estimate(tiny(), (3, 2, 2), batch_size=10)
    weights = 4 * (12 * 5 + 5 + 5 * 3 + 3)
    assert (found.gradients, found.optimizer, found.copies) == (weights, 2 * weights, weights)
    assert found.kept == 4 * (12 + 5 + 3) + 8 + 2
    assert found.passing == 3 * 4 * 12
    assert found.total == 4 * weights + LIBRARIES + 10 * (found.kept + found.passing)


def test_what_is_frozen_needs_no_gradient_no_state_and_keeps_nothing():
    model = tiny()
    freeze(model, "3")
    found = memory_estimate(model, (3, 2, 2), batch_size=10, states=1, copies=0)
    weights = 4 * (5 * 3 + 3)
    assert (found.gradients, found.optimizer, found.copies) == (weights, weights, 0)
    assert found.kept == 4 * (5 + 3) + 8 + 2


def test_the_later_it_begins_to_train_the_less_it_keeps():
    model, kept = resnet18(), []
    for until in ("", "layer1", "layer2", "layer3", "layer4", "fc"):
        freeze(model, until)
        kept.append(memory_estimate(model, (3, 64, 64), batch_size=8).kept)
    assert kept == sorted(kept, reverse=True)
    assert len(set(kept)) == 6


def test_four_times_the_pixels_keep_about_four_times_as_much():
    small, large = (
        memory_estimate(resnet18(), (3, size, size), batch_size=1).kept for size in (64, 128)
    )
    assert large / small == pytest.approx(4, rel=0.02)


def test_double_precision_takes_twice():
    single, double = (
        memory_estimate(model, (3, 2, 2), batch_size=1) for model in (tiny(), tiny().double())
    )
    assert double.gradients == 2 * single.gradients
    assert double.kept - 8 == 2 * (single.kept - 8)


def test_a_step_takes_what_was_estimated():
    result = subprocess.run(
        [sys.executable, "-c", AS_IT_IS], capture_output=True, text=True, check=True,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    taken, estimated = map(float, result.stdout.split())
    assert estimated - 150 < taken < 1.1 * estimated


@pytest.mark.parametrize("build", [resnet18, efficientnet_lite0])
def test_the_model_is_left_as_it_was_and_nothing_random_is_drawn(build):
    model = build()
    freeze(model, "layer3" if build is resnet18 else "features.4")
    model.eval()
    before, modes = snapshot(model), [part.training for part in model.modules()]
    torch.manual_seed(3)
    expected = torch.rand(1)
    torch.manual_seed(3)
    memory_estimate(model, (3, 65, 65), batch_size=4)
    assert torch.rand(1) == expected
    assert all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())
    assert [part.training for part in model.modules()] == modes
    assert not any(part._forward_hooks for part in model.modules())


# What fits


def test_a_batch_that_fits_is_let_through_with_its_estimate():
    found = check_memory(tiny(), (3, 2, 2), batch_size=10, available=1e9)
    assert found == memory_estimate(tiny(), (3, 2, 2), batch_size=10)


def test_one_that_is_too_large_gets_the_size_that_fits(refused):
    model = resnet18(num_classes=10)
    with refused(
        "batch_size=256: training on images of 3x224x224 takes about 8.4 GB, and 2.0 GB are free. "
        "Try: batch_size=32."
    ):
        check_memory(model, (3, 224, 224), batch_size=256, device="cpu", available=2e9)
    found = check_memory(model, (3, 224, 224), batch_size=32, device="cpu", available=2e9)
    assert found.total < 1.8e9 < found.fixed + 64 * (found.kept + found.passing)


def test_a_tenth_of_what_is_free_is_left_alone():
    model = tiny()
    found = memory_estimate(model, (3, 2, 2), batch_size=10**6)
    per_image = found.kept + found.passing
    assert check_memory(model, (3, 2, 2), batch_size=10**6, available=found.total / 0.89) == found
    free = (found.fixed + 2**20 * per_image) / 0.95  # so many would fit, not into nine tenths
    with pytest.raises(ValueError, match=rf"Try: batch_size={2**19}\.$"):
        check_memory(model, (3, 2, 2), batch_size=2**20, available=free)


def test_it_is_counted_in_train_mode_whatever_the_mode_is():
    """In eval mode batch normalisation keeps less, and dropout nothing."""
    model = nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4), nn.Flatten(), nn.Dropout(0.5),
                          nn.Linear(16, 2))  # fmt: skip
    modes = [
        memory_estimate(each, (3, 2, 2), batch_size=1) for each in (model.train(), model.eval())
    ]
    assert modes[0] == modes[1]
    plain = nn.Sequential(*(part for part in model if not isinstance(part, nn.Dropout)))
    assert modes[0].kept > memory_estimate(plain, (3, 2, 2), batch_size=1).kept


def test_where_no_image_fits_that_is_said(refused):
    with refused(
        "batch_size=1: training on images of 3x64x64 takes about 282 MB, and 200 MB are free. "
        "Try: smaller images, or more of the model frozen."
    ):
        check_memory(resnet18(num_classes=10), (3, 64, 64), batch_size=1, available=2e8)


@pytest.mark.parametrize(
    ("room", "size"), [(0.5, 0), (3.5, 3), (7.9, 7), (8, 8), (15, 8), (70, 64)]
)
def test_the_size_that_fits_is_a_power_of_two_above_8(room, size):
    found = memory.Memory(0, 0, 0, kept=60, passing=40, batch_size=1)
    assert found.fitting(LIBRARIES + 100 * room) == size


def test_images_that_do_not_go_through_are_refused(refused):
    with refused(
        "images of 3x2x3: they do not go through the model. Try: the size the model was built for, "
        "batch_size checked by hand."
    ):
        memory_estimate(tiny(), (3, 2, 3), batch_size=1)
    with refused("batch_size=0: must be a whole number, 1 or more. Try: batch_size=1."):
        memory_estimate(tiny(), (3, 2, 2), batch_size=0)


# What is free


def container(folder, *, version, limit, used, cached=0):
    names = memory.CGROUPS[0 if version == 2 else 1]
    contents = (limit, used, f"anon 5\ninactive_file {cached}")
    for name, content in zip(names, contents, strict=True):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(f"{content}\n")


@pytest.mark.parametrize("version", [1, 2])
def test_a_container_gives_what_its_limit_leaves(tmp_path, version):
    container(tmp_path, version=version, limit=2 * 10**9, used=15 * 10**8, cached=10**8)
    assert memory.of_container(tmp_path) == 6 * 10**8
    assert free_memory(CPU, groups=tmp_path) <= 6 * 10**8


def test_a_container_without_a_limit_is_the_whole_machine(tmp_path):
    container(tmp_path, version=2, limit="max", used=10**9)
    assert memory.of_container(tmp_path) == memory.of_container(tmp_path / "none") == float("inf")


def test_the_system_gives_what_is_available(monkeypatch, tmp_path):
    available = namedtuple("Memory", "available")(12345)
    monkeypatch.setattr(memory.psutil, "virtual_memory", lambda: available)
    assert free_memory(CPU, groups=tmp_path) == 12345


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such limits")
@pytest.mark.parametrize("kind", ["RLIMIT_DATA", "RLIMIT_AS"])
def test_a_process_gives_what_its_own_limit_leaves(monkeypatch, kind):
    import resource

    held = namedtuple("Held", "data vms")(10**9, 10**9)
    real = resource.getrlimit
    limits = {getattr(resource, kind): (15 * 10**8, -1)}
    monkeypatch.setattr(memory.psutil.Process, "memory_info", lambda _self: held)
    monkeypatch.setattr(resource, "getrlimit", lambda asked: limits.get(asked, real(asked)))
    assert memory.of_process() == 5 * 10**8


def test_a_copied_model_has_the_same_estimate():
    model = resnet18()
    freeze(model, "layer4")
    ours, theirs = (
        memory_estimate(each, (3, 64, 64), batch_size=2) for each in (model, copy.deepcopy(model))
    )
    assert ours == theirs
