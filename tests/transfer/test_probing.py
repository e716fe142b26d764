import copy

import pytest
import torch

from cnncourse import training
from cnncourse.data import Split
from cnncourse.measure import evaluate
from cnncourse.models.resnet import BasicBlock, ResNet
from cnncourse.transfer.audit import audit, snapshot
from cnncourse.transfer.features import features
from cnncourse.transfer.freezing import freeze
from cnncourse.transfer.heads import replace_head
from cnncourse.transfer.probing import train_head


def network():
    torch.manual_seed(0)
    model = ResNet(BasicBlock, (1, 1), (4, 8))
    replace_head(model, 2)
    freeze(model, "fc")
    return model


def split(count, seed):
    """Half of the images have less red."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.arange(count) % 2
    images = torch.randn(count, 3, 16, 16, generator=generator)
    images[labels == 1, 0] -= 2.0
    return Split(images, labels)


TRAIN, VALIDATION = split(20, 1), split(10, 2)
SETTINGS = {"epochs": 6, "batch_size": 8, "seed": 4, "device": "cpu"}


def cached(model, folder):
    return [
        features(model, part, device="cpu", folder=folder).split for part in (TRAIN, VALIDATION)
    ]


def test_it_learns_what_the_usual_loop_learns(tmp_path):
    """With the whole network in every batch: the same head, to rounding, and the same history."""
    ours, usual = network(), network()
    history = train_head(ours, *cached(ours, tmp_path), lr=0.1, weight_decay=0.01, **SETTINGS)
    optimizer = torch.optim.AdamW(usual.fc.parameters(), lr=0.1, weight_decay=0.01)
    expected = training.fit(usual, TRAIN, VALIDATION, optimizer=optimizer, **SETTINGS)
    torch.testing.assert_close(ours.fc.weight, usual.fc.weight, rtol=1e-4, atol=1e-5)
    for column in ("train_loss", "validation_loss", "train_accuracy", "validation_accuracy"):
        assert history.column(column) == pytest.approx(expected.column(column), rel=1e-4)
    assert expected.column("train_loss")[-1] < 0.8 * expected.column("train_loss")[0]


def test_the_network_itself_answers_afterwards_and_nothing_else_moved(tmp_path):
    model = network()
    before = snapshot(model)
    history = train_head(model, *cached(model, tmp_path), lr=0.1, **SETTINGS)
    found = audit(before, model)
    assert found.moved == ("fc.weight", "fc.bias")
    assert found.drifted == found.counters == ()
    accuracy = evaluate(model, VALIDATION).accuracy
    assert accuracy == history.epochs[-1].validation_accuracy


def test_every_epoch_is_reported(tmp_path):
    model, ended = network(), []
    reporters = [lambda progress: ended.append(progress.epoch_ended)]
    train_head(model, *cached(model, tmp_path), lr=0.1, reporters=reporters, **SETTINGS)
    assert (sum(ended), len(ended)) == (6, 24)  # after each of three batches, and after the epoch


def test_a_frozen_head_is_refused(refused, tmp_path):
    model = network()
    parts = cached(model, tmp_path)
    model.fc.weight.requires_grad = False
    with refused("head='fc': is frozen. Try: freeze(model, until='fc'), then train it."):
        train_head(model, *parts, lr=0.1, **SETTINGS)


def test_the_images_in_the_place_of_their_features_are_refused(refused):
    with refused(
        "layer '1' (Linear) expects 8 features, gets 768: the train images are 3x16x16. "
        "Try: in_features=768, or other images."
    ):
        train_head(copy.deepcopy(network()), TRAIN, VALIDATION, lr=0.1, **SETTINGS)
