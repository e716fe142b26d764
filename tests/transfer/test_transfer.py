"""The whole way: a head of its own, frozen, trained, audited."""

import pytest
import torch
from torch.nn import functional as F

from cnncourse import transfer
from cnncourse.models.resnet import BasicBlock, ResNet


@pytest.mark.parametrize(
    ("until", "moved", "drifted"), [("fc", 2, 0), ("layer2", 11, 6), ("", 20, 12)]
)
def test_a_new_head_learns_and_the_audit_says_what_else_moved(until, moved, drifted):
    """A ResNet of two stages: 6 normalisations; stem 3, stages 6 and 9, head 2 parameters."""
    torch.manual_seed(0)
    model = ResNet(BasicBlock, (1, 1), (4, 8))
    head = transfer.replace_head(model, 2)
    transfer.freeze(model, until)
    before = transfer.snapshot(model)
    groups = transfer.parameter_groups(model, lr=0.5, decay=0.2)
    optimizer = torch.optim.SGD(groups)
    images, labels = 4 * torch.rand(8, 3, 16, 16), torch.arange(8) % 2
    images[labels == 1, 0] = -4.0  # without red
    losses = []
    for _ in range(60):
        loss = F.cross_entropy(model.train()(images), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.5 * losses[0]
    found = transfer.audit(before, model)
    assert {f"{head}.weight", f"{head}.bias"} <= set(found.moved)
    assert (len(found.moved), len(found.drifted)) == (moved, drifted)
