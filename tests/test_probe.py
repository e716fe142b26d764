import pytest
import torch
from sklearn.linear_model import LogisticRegression

from cnncourse import probe
from cnncourse.data import Split
from cnncourse.probe import STRENGTHS, features_of, linear_probe, named_rightly


def blobs(count, *, apart, seed):
    """Ten classes in 32 dimensions, their middles `apart` standard deviations from zero."""
    draw = torch.Generator().manual_seed(seed)
    labels = torch.arange(count) % 10
    middles = torch.eye(32)[:10] * apart
    return Split(torch.randn(count, 32, generator=draw) + middles[labels], labels)


def test_features_that_know_nothing_are_named_by_chance():
    accuracy = linear_probe(blobs(1000, apart=0, seed=1), blobs(1000, apart=0, seed=2))
    assert 0.06 <= accuracy <= 0.14  # a tenth; four standard errors either way


def test_features_that_tell_classes_apart_are_named_rightly():
    middling = linear_probe(blobs(500, apart=2, seed=1), blobs(500, apart=2, seed=2))
    assert 0.4 < middling < 0.95
    assert linear_probe(blobs(500, apart=9, seed=1), blobs(500, apart=9, seed=2)) == 1.0


@pytest.mark.parametrize("apart", [1, 2, 3])
@pytest.mark.parametrize("strength", [0.01, 1.0])
def test_it_is_scikit_learns_logistic_regression(apart, strength):
    train, test = blobs(100, apart=apart, seed=3), blobs(1000, apart=apart, seed=4)
    known = (train.images - train.images.mean(0)) / train.images.std(0)
    asked = (test.images - train.images.mean(0)) / train.images.std(0)
    theirs = LogisticRegression(C=1 / (strength * 100), max_iter=1000, tol=1e-7)
    theirs.fit(known.numpy(), train.labels.numpy())
    expected = (theirs.predict(asked.numpy()) == test.labels.numpy()).sum()
    assert abs(named_rightly(train, test, strength=strength) - expected) <= 3  # of 1,000


def test_the_strength_is_the_best_of_the_held_out_fifths(monkeypatch):
    train, test = blobs(100, apart=2, seed=3), blobs(200, apart=2, seed=4)
    named, real = [], probe.named_rightly

    def watched(rest, part, *, strength):
        named.append((len(rest.labels), len(part.labels), strength))
        found = real(rest, part, strength=strength)
        return 20 if strength == 0.1 and len(part.labels) == 20 else found

    monkeypatch.setattr(probe, "named_rightly", watched)
    accuracy = linear_probe(train, test)
    assert named[:-1] == [(80, 20, strength) for strength in STRENGTHS for _ in range(5)]
    assert named[-1] == (100, 200, 0.1)  # with all of the labels
    assert accuracy == real(train, test, strength=0.1) / 200


def test_scale_and_offset_of_a_feature_do_not_matter():
    train, test = blobs(300, apart=2, seed=1), blobs(300, apart=2, seed=2)
    scale, offset = torch.linspace(0.01, 50, 32), torch.linspace(-9, 9, 32)
    moved = [Split(part.images * scale + offset, part.labels) for part in (train, test)]
    assert linear_probe(*moved) == pytest.approx(linear_probe(train, test), abs=0.01)


def test_a_feature_that_is_always_the_same_harms_nothing():
    train, test = (blobs(200, apart=9, seed=seed) for seed in (1, 2))
    dead = [Split(torch.cat([p.images, torch.zeros(200, 1)], 1), p.labels) for p in (train, test)]
    assert linear_probe(*dead) == 1.0


def test_features_that_are_not_finite_are_refused(refused):
    train = blobs(20, apart=1, seed=1)
    train.images[3, 3] = float("nan")
    with refused("features are infinite or nan. Try: a lower learning rate.", FloatingPointError):
        linear_probe(train, blobs(20, apart=1, seed=2))


def test_features_are_those_of_the_whole_batch_and_ask_for_no_gradient():
    layer = torch.nn.Linear(4, 2)
    images = torch.randn(7, 4)
    found = features_of(layer, images, batch_size=3)
    torch.testing.assert_close(found, layer(images).detach())
    assert not found.requires_grad
