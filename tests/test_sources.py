import dataclasses
import gzip
import hashlib
import io
import os
import pickle
import struct
import tarfile

import numpy as np
import pytest

from cnncourse import files, sources
from cnncourse.sources import SOURCES

PIXELS = np.arange(12, dtype=np.uint8).reshape(2, 2, 3)  # two pictures, 2 x 3 px
MNIST_FILES = [name.removesuffix(".gz") for name in SOURCES["mnist"].packed]


def idx(array):
    """The array as an idx file: two zeros, 8 for bytes, dimensions, their sizes, the bytes."""
    sizes = struct.pack(f">{array.ndim}I", *array.shape)
    return bytes([0, 0, 8, array.ndim]) + sizes + array.tobytes()


# idx files


def test_an_idx_file_written_by_hand_is_read():
    content = b"\0\0\x08\x03" + b"\0\0\0\x02" + b"\0\0\0\x02" + b"\0\0\0\x03" + bytes(range(12))
    read = sources.read_idx(content)
    assert read.tolist() == [[[0, 1, 2], [3, 4, 5]], [[6, 7, 8], [9, 10, 11]]]
    assert read.dtype == np.uint8


GOOD = idx(PIXELS)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"\0\x01" + GOOD[2:], "not an idx file of bytes"),  # no two zeros
        (b"\0\0\x0d" + GOOD[3:], "not an idx file of bytes"),  # 0x0d: floats
        (b"\0\0\x08\0" + b"5", "not an idx file of bytes"),  # no dimension
        (GOOD[:15], "not an idx file of bytes"),  # ends within the sizes
        (GOOD[:3], "not an idx file of bytes"),
        (b"", "not an idx file of bytes"),
        (b"<!doctype html>", "not an idx file of bytes"),
        (GOOD[:-1], "(2, 2, 3) promised, 11 bytes found"),
        (GOOD + b"!", "(2, 2, 3) promised, 13 bytes found"),
        (
            b"\0\0\x08\x02" + b"\xff\xff\xff\xff" * 2 + b"5",  # -1 x -1, if sizes had signs
            "(4294967295, 4294967295) promised, 1 bytes found",
        ),
    ],
)
def test_what_is_no_whole_idx_file_is_refused(refused, content, sentence):
    with refused(sentence, files.DamagedFile):
        sources.read_idx(content)


# Folders of idx files


@pytest.fixture
def tiny():
    """A source as MNIST is, with 2 + 2 pictures of 2 x 3 px and the fingerprints of these."""
    contents = dict(zip(MNIST_FILES, [GOOD, idx(np.array([0, 1], np.uint8))] * 2, strict=True))
    return contents, dataclasses.replace(
        SOURCES["mnist"],
        shape=(1, 2, 3),
        counts=(2, 2),
        unpacked={name: files.sha256(content) for name, content in contents.items()},
    )


def put(folder, contents, *, packed=False):
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in contents.items():
        if packed:
            (folder / f"{name}.gz").write_bytes(gzip.compress(content))
        else:
            (folder / name).write_bytes(content)
    return folder


def test_packed_unpacked_and_mixed_files_give_the_same_arrays(tiny, tmp_path):
    contents, source = tiny
    train_images, *others = contents
    plain = put(tmp_path / "plain", contents)
    packed = put(tmp_path / "packed", contents, packed=True)
    mixed = put(tmp_path / "mixed", {train_images: contents[train_images]})
    put(mixed, {name: contents[name] for name in others}, packed=True)
    for folder in (plain, packed, mixed):
        (train, train_labels), (test, test_labels) = source.read(source, folder)
        assert train.shape == test.shape == (2, 1, 2, 3)  # the channel is added
        assert (train[:, 0] == PIXELS).all()
        assert (test[:, 0] == PIXELS).all()
        assert train_labels.tolist() == test_labels.tolist() == [0, 1]


def test_a_flipped_bit_in_an_unpacked_file_is_refused(tiny, tmp_path, refused):
    contents, source = tiny
    folder = put(tmp_path, contents)
    path = folder / "t10k-labels-idx1-ubyte"
    path.write_bytes(path.read_bytes()[:-1] + b"\0")  # label 1 becomes 0
    expected, got = source.unpacked[path.name][:8], files.sha256(path.read_bytes())[:8]
    with refused(
        f"{path}: the file is damaged (fingerprint differs: expected {expected}…, got {got}…). "
        "Try: delete it, and load(..., download=True).",
        files.DamagedFile,
    ):
        source.read(source, folder)


@pytest.mark.parametrize(
    ("damaged", "reason"),
    [
        (lambda packed: packed[:-9], "ended before"),  # truncated
        (lambda packed: packed[:-8] + b"0000" + packed[-4:], "CRC"),  # the checksum is not its
        (lambda packed: b"<!doctype html>", "Not a gzipped file"),
        (lambda packed: packed[:12] + b"\xff\xff" + packed[14:], "rror -3"),  # zlib's
        (lambda packed: b"", "not an idx file"),
        (lambda packed: gzip.compress(GOOD + b"!"), "13 bytes found"),
    ],
)
def test_a_damaged_packed_file_is_named_as_it_is_on_the_disk(tiny, tmp_path, damaged, reason):
    contents, source = tiny
    folder = put(tmp_path, contents, packed=True)
    path = folder / "train-images-idx3-ubyte.gz"
    path.write_bytes(damaged(path.read_bytes()))
    with pytest.raises(files.DamagedFile) as caught:
        source.read(source, folder)
    assert str(caught.value).startswith(f"{path}: the file is damaged (")
    assert reason in str(caught.value)


@pytest.mark.parametrize("packed", [True, False])
@pytest.mark.parametrize(
    ("name", "folder"), [("mnist", "MNIST"), ("fashion-mnist", "FashionMNIST")]
)
def test_files_are_found_from_the_root_their_folder_or_its_raw(
    tiny, tmp_path, name, folder, packed
):
    raw = put(tmp_path / "a root" / folder / "raw", tiny[0], packed=packed)
    for given in (raw.parent.parent, raw.parent, raw):
        assert SOURCES[name].locate(given) == raw


def test_a_relative_folder_will_do(tiny, tmp_path, monkeypatch):
    raw = put(tmp_path / "MNIST" / "raw", tiny[0])
    monkeypatch.chdir(raw)
    for given in (".", "..", "../.."):
        assert os.path.samefile(SOURCES["mnist"].locate(sources.Path(given)), raw)


def test_fashion_is_not_taken_for_mnist_nor_the_reverse(tiny, tmp_path):
    put(tmp_path / "one" / "FashionMNIST" / "raw", tiny[0])
    put(tmp_path / "two" / "MNIST" / "raw", tiny[0])
    for below in (".", "FashionMNIST", "FashionMNIST/raw"):
        assert SOURCES["mnist"].locate(tmp_path / "one" / below) is None
    for below in (".", "MNIST", "MNIST/raw"):
        assert SOURCES["fashion-mnist"].locate(tmp_path / "two" / below) is None


def test_both_in_one_root_are_told_apart(tiny, tmp_path):
    for folder in ("FashionMNIST", "MNIST"):
        put(tmp_path / folder / "raw", tiny[0])
    assert SOURCES["mnist"].locate(tmp_path) == tmp_path / "MNIST" / "raw"
    assert SOURCES["fashion-mnist"].locate(tmp_path) == tmp_path / "FashionMNIST" / "raw"


def test_a_folder_beside_the_data_is_not_the_data(tiny, tmp_path):
    put(tmp_path / "MNIST" / "raw", tiny[0])
    (tmp_path / "MNIST" / "other").mkdir()
    assert SOURCES["mnist"].locate(tmp_path / "MNIST" / "other") is None
    assert SOURCES["mnist"].locate(tmp_path / "nowhere") is None


@pytest.mark.parametrize("missing", MNIST_FILES)
def test_a_folder_that_lacks_a_file_is_no_place_to_read_from(tiny, tmp_path, missing):
    raw = put(tmp_path / "MNIST" / "raw", tiny[0])
    (raw / missing).unlink()
    assert SOURCES["mnist"].locate(tmp_path) is None


def test_the_real_mnist_packed_and_unpacked_agree(real_data, tmp_path):
    source = SOURCES["mnist"]
    raw = source.locate(real_data)
    for name in MNIST_FILES:
        packed = raw / f"{name}.gz"
        content = gzip.decompress(packed.read_bytes()) if packed.exists() else None
        (tmp_path / name).write_bytes(content or (raw / name).read_bytes())
    for ours, theirs in zip(source.read(source, raw), source.read(source, tmp_path), strict=True):
        assert (ours[0] == theirs[0]).all()
        assert (ours[1] == theirs[1]).all()


# CIFAR-10

ENTRIES = 3  # pictures a batch


def python2_pickle(data, labels):
    """{"data": data, "labels": labels} as Python 2 and its NumPy pickled it: the real format."""

    def string(text):
        return b"T" + struct.pack("<i", len(text)) + text

    rows, columns = data.shape
    shape = b"K" + bytes([rows]) + b"M" + struct.pack("<H", columns) + b"\x86"
    array = b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\0\x85" + string(b"b")
    dtype = b"cnumpy\ndtype\n" + string(b"u1") + b"K\0K\x01\x87R(K\x03" + string(b"|")
    dtype += b"NNN" + b"J\xff\xff\xff\xff" * 2 + b"K\0tb"
    array += b"\x87R(K\x01" + shape + dtype + b"\x89" + string(data.tobytes()) + b"tb"
    numbers = b"](" + b"".join(b"K" + bytes([label]) for label in labels) + b"e"
    return b"\x80\x02}(" + string(b"data") + array + string(b"labels") + numbers + b"u."


@pytest.fixture
def cifar(tmp_path, monkeypatch, rng):
    """A root with CIFAR-10's six batches of three pictures each; their fingerprints are known."""
    folder = tmp_path / "root" / "cifar-10-batches-py"
    folder.mkdir(parents=True)
    for number, name in enumerate(sources.CIFAR10_BATCHES):
        data = rng.integers(0, 256, size=(ENTRIES, 3072), dtype=np.uint8)
        write_batch(folder / name, python2_pickle(data, [number, 0, 9]), monkeypatch)
    return folder.parent


def write_batch(path, content, monkeypatch):
    path.write_bytes(content)
    monkeypatch.setitem(sources.CIFAR10_BATCHES, path.name, hashlib.md5(content).hexdigest())


def pack(root, to):
    to.mkdir()
    with tarfile.open(to / "cifar-10-python.tar.gz", "w:gz") as tar:
        for path in sorted((root / "cifar-10-batches-py").iterdir(), reverse=True):
            tar.add(
                path, f"cifar-10-batches-py/{path.name}"
            )  # not in our order, as in the real one
    return to


def test_cifar10_is_read_batch_after_batch_the_red_plane_first(cifar):
    source = SOURCES["cifar10"]
    (train, train_labels), (test, test_labels) = source.read(source, cifar)
    assert train.shape == (15, 3, 32, 32)
    assert test.shape == (3, 3, 32, 32)
    assert train_labels.tolist() == [0, 0, 9, 1, 0, 9, 2, 0, 9, 3, 0, 9, 4, 0, 9]
    assert test_labels.tolist() == [5, 0, 9]
    with (cifar / "cifar-10-batches-py" / "data_batch_2").open("rb") as file:
        second = pickle.load(file, encoding="latin1")["data"]
    assert train[3, 0, 0].tolist() == second[0, :32].tolist()  # first row of red
    assert train[3, 2, 31].tolist() == second[0, -32:].tolist()  # last row of blue


def test_cifar10_packed_and_unpacked_are_the_same(cifar, tmp_path):
    source, packed = SOURCES["cifar10"], pack(cifar, tmp_path / "packed")
    assert source.locate(cifar) == cifar
    assert source.locate(packed) == packed
    for ours, theirs in zip(source.read(source, cifar), source.read(source, packed), strict=True):
        assert (ours[0] == theirs[0]).all()
        assert (ours[1] == theirs[1]).all()
    assert os.listdir(packed) == ["cifar-10-python.tar.gz"]  # nothing was unpacked beside it


def test_cifar10_agrees_with_torchvision(cifar, monkeypatch):
    datasets = pytest.importorskip("torchvision.datasets")
    monkeypatch.setattr(datasets.CIFAR10, "_check_integrity", lambda self: True)
    monkeypatch.setattr(datasets.CIFAR10, "_load_meta", lambda self: None)
    halves = SOURCES["cifar10"].read(SOURCES["cifar10"], cifar)
    for (images, labels), train in zip(halves, (True, False), strict=True):
        theirs = datasets.CIFAR10(cifar, train=train)
        assert (images == theirs.data.transpose(0, 3, 1, 2)).all()  # theirs is channels-last
        assert labels.tolist() == theirs.targets


def test_a_damaged_or_missing_batch_is_refused(cifar, refused):
    folder = cifar / "cifar-10-batches-py"
    (folder / "data_batch_3").write_bytes(b"not what it was")
    advice = "Try: delete it, and load(..., download=True)."
    with refused(
        f"{folder}: the file is damaged (fingerprint of data_batch_3 differs). {advice}",
        files.DamagedFile,
    ):
        SOURCES["cifar10"].read(SOURCES["cifar10"], cifar)
    (folder / "data_batch_3").unlink()
    with refused(
        f"{folder}: the file is damaged (data_batch_3 is missing). {advice}", files.DamagedFile
    ):
        SOURCES["cifar10"].read(SOURCES["cifar10"], cifar)


@pytest.mark.parametrize("cut", [0, 10, 1000, -1000])
def test_a_truncated_archive_is_refused(cifar, tmp_path, cut):
    packed = pack(cifar, tmp_path / "packed")
    archive = packed / "cifar-10-python.tar.gz"
    archive.write_bytes(archive.read_bytes()[:cut])
    with pytest.raises(files.DamagedFile, match="the file is damaged"):
        SOURCES["cifar10"].read(SOURCES["cifar10"], packed)


class Malicious:
    """Pickles to a call that makes a file: a canary, for code that ran."""

    def __init__(self, canary):
        self.canary = canary

    def __reduce__(self):
        return os.mkdir, (str(self.canary),)


def test_a_malicious_pickle_is_refused_and_its_code_does_not_run(cifar, tmp_path, monkeypatch):
    canary, path = tmp_path / "canary", cifar / "cifar-10-batches-py" / "data_batch_1"
    content = pickle.dumps({b"data": Malicious(canary), b"labels": []})
    path.write_bytes(content)
    with pytest.raises(files.DamagedFile, match="fingerprint of data_batch_1 differs"):
        SOURCES["cifar10"].read(SOURCES["cifar10"], cifar)
    write_batch(path, content, monkeypatch)  # even if the fingerprint were right
    with pytest.raises(files.DamagedFile, match="mkdir does not belong into a batch of CIFAR-10"):
        SOURCES["cifar10"].read(SOURCES["cifar10"], cifar)
    assert not canary.exists()
    pickle.loads(content)  # what would have happened
    assert canary.exists()


@pytest.mark.parametrize(
    "call",
    [
        b"cbuiltins\neval\n(V1\ntR.",
        b"cos\nsystem\n(V:\ntR.",
        b"cnumpy\nload\n(Vx\ntR.",
        b"cnumpy.f2py\nos\n.",
        b"c_codecs\ndecode\n(Vx\ntR.",
        b"cbuiltins\ndtype\n.",  # an allowed name, in another module
    ],
)
def test_only_what_rebuilds_an_array_is_let_through(call):
    with pytest.raises(files.DamagedFile, match="does not belong into a batch"):
        sources.ArraysOnly(io.BytesIO(call), encoding="bytes").load()


@pytest.mark.parametrize("protocol", [2, 3, 4])
def test_arrays_pickled_by_todays_numpy_are_read_too(protocol):
    content = pickle.dumps(PIXELS[:, :, ::2], protocol=protocol)
    read = sources.ArraysOnly(io.BytesIO(content), encoding="bytes").load()
    assert read.tolist() == [[[0, 2], [3, 5]], [[6, 8], [9, 11]]]


# The table of sources


@pytest.mark.parametrize("name", SOURCES)
def test_every_source_names_its_classes_sizes_addresses_and_fingerprints(name):
    source = SOURCES[name]
    assert len(set(source.classes)) == 10
    assert all(url.startswith("http") and url.endswith("/") for url in source.urls)
    for fingerprint in [*source.packed.values(), *source.unpacked.values()]:
        assert len(bytes.fromhex(fingerprint)) == 32


def test_torchvision_knows_the_same_classes_and_batches():
    datasets = pytest.importorskip("torchvision.datasets")
    lists = datasets.CIFAR10.train_list + datasets.CIFAR10.test_list
    assert dict(map(tuple, lists)) == sources.CIFAR10_BATCHES
    fashion = [name.split("/")[0].lower() for name in datasets.FashionMNIST.classes]
    assert [name.lower().rstrip("s") for name in SOURCES["fashion-mnist"].classes] == [
        name.rstrip("s") for name in fashion
    ]
    for name, dataset in (("mnist", datasets.MNIST), ("fashion-mnist", datasets.FashionMNIST)):
        assert list(SOURCES[name].packed) == [file for file, _md5 in dataset.resources]
