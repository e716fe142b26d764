import copy
import dataclasses
import errno
import os

import pytest
import torch
from torch import nn

from cnncourse import augment, files
from cnncourse.data import Split
from cnncourse.models.resnet import BasicBlock, ResNet
from cnncourse.preprocess import Preprocess
from cnncourse.transfer.features import features
from cnncourse.transfer.freezing import freeze
from cnncourse.transfer.heads import replace_head

PREPROCESS = Preprocess(16, 16, (0.5, 0.4, 0.3), (0.2, 0.3, 0.4), "bilinear")


def network(seed=0):
    """A ResNet of two stages whose statistics are not those that it began with."""
    torch.manual_seed(seed)
    model = ResNet(BasicBlock, (1, 1), (4, 8), num_classes=3).train()
    with torch.no_grad():
        model(torch.randn(8, 3, 16, 16))
    return model


def pictures(count=7, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return Split(torch.rand(count, 3, 16, 16, generator=generator), torch.arange(count) % 3)


@pytest.fixture
def ask(tmp_path):
    """features, kept in a folder of this test's own."""

    def ask(model=None, split=None, **options):
        options = {"device": "cpu", "folder": tmp_path} | options
        return features(model or network(), split or pictures(), **options)

    return ask


def by_hand(model, images):
    """What goes into fc, from the layers before it."""
    model = copy.deepcopy(model).eval()
    model.fc = nn.Identity()
    with torch.no_grad():
        return model(images)


# Computed


@pytest.mark.parametrize("batch_size", [1, 3, 7, 100])
def test_they_are_what_goes_into_the_head_in_eval_mode(ask, batch_size):
    found = ask(batch_size=batch_size)
    assert found.split.images.shape == (7, 8, 1, 1)
    expected = by_hand(network(), pictures().images)
    torch.testing.assert_close(found.split.images[:, :, 0, 0], expected)
    assert torch.equal(found.split.labels, pictures().labels)
    assert not found.split.images.requires_grad


def test_the_head_makes_of_them_what_the_network_makes_of_the_images(ask):
    model = network()
    logits = model.fc(ask(model).split.images.flatten(1))
    torch.testing.assert_close(logits, model.eval()(pictures().images))


def test_a_network_is_left_as_it_was(ask):
    model = network()
    modes = [part.training for part in model.modules()]
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    ask(model)
    assert [part.training for part in model.modules()] == modes
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
    assert not model.fc._forward_pre_hooks


def test_the_preprocessing_is_applied_once(ask):
    found = ask(preprocess=PREPROCESS).split.images[:, :, 0, 0]
    expected = by_hand(network(), PREPROCESS.standardise(pictures().images))
    torch.testing.assert_close(found, expected)


def test_augmented_copies_follow_the_plain_images_and_are_standardised_last(ask):
    flip = augment.Flip()
    found = ask(preprocess=PREPROCESS, augmentation=flip, copies=2, seed=5, batch_size=3).split
    images, parts = pictures().images, []
    for epoch in (1, 2):
        parts.append(flip(images, flip.draws(7, seed=5, epoch=epoch)))
    whole = PREPROCESS.standardise(torch.cat([images, *parts]))
    torch.testing.assert_close(found.images[:, :, 0, 0], by_hand(network(), whole))
    assert torch.equal(found.labels, pictures().labels.repeat(3))
    assert not torch.equal(parts[0], parts[1])


def test_any_linear_layer_can_be_the_head(ask):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Flatten(), nn.Linear(768, 5), nn.ReLU(), nn.Linear(5, 3))
    found = ask(model, head="1").split.images
    assert torch.equal(found[:, :, 0, 0], pictures().images.flatten(1))
    assert ask(model).split.images.shape == (7, 5, 1, 1)


# Kept


def test_the_second_time_they_are_read_and_the_network_does_not_run(ask):
    model = network()
    first = ask(model)
    assert first.origin == "computed now"
    ran = []
    model.layer1.register_forward_hook(lambda *_given: ran.append(1))
    second = ask(model)
    assert second.origin == "read from the cache"
    assert torch.equal(first.split.images, second.split.images)
    assert torch.equal(first.split.labels, second.split.labels)
    assert len(ran) == 1  # two images, to see that they fit the network


def test_without_a_folder_they_are_in_the_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("CNNCOURSE_CACHE", str(tmp_path))
    features(network(), pictures(), device="cpu")
    (kept,) = (tmp_path / "features").glob("*.safetensors")
    assert len(kept.stem) == 64


def moved_weight(model):
    model.layer2[0].conv1.weight.data.view(-1)[0] += 1e-6


def moved_statistic(model):
    model.bn1.running_mean[0] += 1e-6


def other_stride(model):
    model.maxpool.stride = 1


def other_kind(model):
    model.relu = nn.ReLU6(inplace=True)  # with the same settings, and the same state: none


def other_number(model):
    model.layer1.share = 0.5  # forward may use it; no repr says so


def other_function(model):
    model.activation = torch.nn.functional.gelu


CHANGES = [moved_weight, moved_statistic, other_stride, other_kind, other_number, other_function]


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.__name__)
def test_another_network_has_other_features(ask, change):
    model = network()
    ask(model)
    change(model)
    assert ask(model).origin == "computed now"


def test_other_images_labels_settings_have_other_features(ask):
    flip = {"augmentation": augment.Flip(), "copies": 1}
    images, labels = pictures()
    other = images.clone()
    other[6, 2, 15, 15] += 1e-6
    asked = [
        {},
        {"split": Split(other, labels)},
        {"split": Split(images.flip(0), labels)},
        {"split": Split(images, labels.flip(0))},
        {"preprocess": PREPROCESS},
        {"preprocess": dataclasses.replace(PREPROCESS, mean=(0.5, 0.4, 0.31))},
        flip,
        flip | {"seed": 1},
        flip | {"copies": 2},
        flip | {"augmentation": augment.Affine(degrees=5)},
    ]
    for options in asked:
        assert ask(**options).origin == "computed now"
    for options in asked:
        assert ask(**options).origin == "read from the cache"


def test_what_the_features_do_not_depend_on_does_not_matter(ask):
    model = network()
    ask(model)
    replace_head(model, 5, seed=3)
    freeze(model, "fc")
    assert ask(model, batch_size=2, seed=9).origin == "read from the cache"


# What goes wrong


def only_file(folder):
    (found,) = folder.glob("*.safetensors")
    return found


def flipped(path):
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)


def cut(path):
    path.write_bytes(path.read_bytes()[:-40])


def emptied(path):
    path.write_bytes(b"")


def without_fingerprint(path):
    files.fingerprint_path(path).unlink()


def another_ones(path):
    """A whole file, of other features."""
    from safetensors.torch import save

    content = save({"features": torch.zeros(7, 8)}, metadata={"features": "0" * 64})
    files.write(path, content)


def too_few(path):
    from safetensors.torch import save

    files.write(path, save({"features": torch.zeros(6, 8)}, metadata={"features": path.stem}))


@pytest.mark.parametrize(
    "damage",
    [flipped, cut, emptied, without_fingerprint, another_ones, too_few],
    ids=lambda damage: damage.__name__,
)
def test_damage_is_noticed_said_and_mended(ask, tmp_path, damage):
    first = ask()
    damage(only_file(tmp_path))
    again = ask()
    assert again.origin == "computed anew (what was kept is damaged)"
    assert torch.equal(first.split.images, again.split.images)
    assert ask().origin == "read from the cache"


def test_a_full_disk_costs_the_cache_alone(ask, tmp_path, monkeypatch):
    def full(path, content):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(files, "write", full)
    found = ask()
    assert found.origin == "computed now (and not kept: No space left on device)"
    assert found.split.images.shape == (7, 8, 1, 1)
    assert not list(tmp_path.iterdir())


def test_images_that_do_not_fit_are_refused(refused, ask):
    split = pictures()
    with pytest.raises(
        ValueError, match=r"^given images \(7, 16, 16, 3\)|looks like channels-last"
    ):
        ask(split=Split(split.images.permute(0, 2, 3, 1), split.labels))
    with refused("given has 0 images and 0 labels: must be as many, and at least one. Try: the "
                 "same indices for both."):  # fmt: skip
        ask(split=Split(split.images[:0], split.labels[:0]))
    with refused("7 images and 5 labels: must be as many. Try: the same indices for both."):
        ask(split=Split(split.images, split.labels[:5]))


def test_settings_that_cannot_be_are_refused(refused, ask):
    pair = "augmented copies need an augmentation, and an augmentation copies"
    attempt = "Try: copies=3, augmentation=Flip()."
    with refused(f"copies=2: {pair}. {attempt}"):
        ask(copies=2)
    with refused(f"copies=0: {pair}. {attempt}"):
        ask(augmentation=augment.Flip())
    with refused("batch_size=0: must be a whole number, 1 or more. Try: batch_size=1."):
        ask(batch_size=0)

    class Nameless:
        draws = __call__ = None

    with pytest.raises(
        ValueError, match=r"must say in its repr what it does.*a frozen dataclass\.$"
    ):
        ask(augmentation=Nameless(), copies=1)


def test_a_head_that_is_not_used_once_an_image_is_refused(refused, ask):
    class Twice(nn.Module):
        def __init__(self):
            super().__init__()
            self.flat, self.layer = nn.Flatten(), nn.Linear(768, 768)

        def forward(self, x):
            return self.layer(self.layer(self.flat(x)))

    with refused(
        "head='layer': was given 7 and 7 rows for 7 images, must be once, a row an image. Try: "
        "another layer as the head."
    ):
        ask(Twice())
