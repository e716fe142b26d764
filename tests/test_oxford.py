import hashlib
import io
import sys
import tarfile

import numpy as np
import pytest
from PIL import Image
from scipy.io import savemat
from torchvision import datasets

from cnncourse import files, oxford


def jpeg(value):
    """Bytes of a small picture of one gray."""
    content = io.BytesIO()
    Image.new("RGB", (6, 4), (value,) * 3).save(content, "JPEG")
    return content.getvalue()


PETS = {
    "images/Abyssinian_1.jpg": jpeg(10),
    "images/beagle_7.jpg": jpeg(200),
    "annotations/trainval.txt": b"Abyssinian_1 1 1 1\nbeagle_7 2 2 1\n",
    "annotations/test.txt": b"beagle_7 2 2 1\n",
}


def gray(picture):
    """Mean of a picture: which of the small ones it is."""
    return round(np.asarray(picture).mean())


def archive(start):
    """A tar.gz with the files of PETS whose names start so."""
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w:gz") as tar:
        for name, inside in PETS.items():
            if name.startswith(start):
                member = tarfile.TarInfo(name)
                member.size = len(inside)
                tar.addfile(member, io.BytesIO(inside))
    return content.getvalue()


def test_pets_are_read_from_torchvisions_layout(tmp_path, no_network):
    for name, inside in PETS.items():
        path = tmp_path / "oxford-iiit-pet" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(inside)
    pictures = oxford.load("oxford-iiit-pet", "trainval", gray, folder=tmp_path, download=True)
    assert [pictures[0], pictures[1]] == [(10, 0), (200, 1)]
    assert len(oxford.load("oxford-iiit-pet", "test", gray, folder=tmp_path, download=False)) == 1
    assert no_network == []


def test_pets_are_fetched_with_their_sha256_before_they_are_opened(tmp_path, monkeypatch):
    contents = {"images.tar.gz": archive("images"), "annotations.tar.gz": archive("annotations")}
    asked = {}

    def fetch(urls, path, *, sha256):
        asked[path.name] = (urls, sha256)
        path.write_bytes(contents[path.name])
        return path

    md5 = [(name, hashlib.md5(content).hexdigest()) for name, content in contents.items()]
    resources = tuple((f"https://nowhere.test/{name}", digest) for name, digest in md5)
    monkeypatch.setattr(files, "fetch", fetch)
    monkeypatch.setattr(datasets.OxfordIIITPet, "_RESOURCES", resources)
    pictures = oxford.load("oxford-iiit-pet", "trainval", gray, folder=tmp_path, download=True)
    assert [label for _, label in pictures] == [0, 1]
    for name, (urls, sha256) in asked.items():
        assert sha256 == oxford.SOURCES["oxford-iiit-pet"].packed[name]
        assert all(url.startswith("https://") and url.endswith(f"/pets/{name}") for url in urls)


def test_flowers_are_read_from_torchvisions_layout(tmp_path, monkeypatch):
    place = tmp_path / "flowers-102"
    (place / "jpg").mkdir(parents=True)
    for number, value in ((1, 30), (2, 90)):
        (place / "jpg" / f"image_{number:05}.jpg").write_bytes(jpeg(value))
    savemat(place / "imagelabels.mat", {"labels": [[77, 5]]})
    savemat(place / "setid.mat", {"trnid": [[2, 1]], "valid": [[1, 2]], "tstid": [[1, 2]]})
    known = {
        key: (name, hashlib.md5((place / name).read_bytes()).hexdigest())
        for key, name in (("label", "imagelabels.mat"), ("setid", "setid.mat"))
    }
    monkeypatch.setattr(datasets.Flowers102, "_file_dict", known)
    flowers = oxford.load("flowers102", "train", gray, folder=tmp_path, download=False)
    assert [flowers[0], flowers[1]] == [(90, 4), (30, 76)]


@pytest.mark.parametrize("name", oxford.SOURCES)
def test_the_archives_are_torchvisions_by_name_and_have_a_sha256(name):
    packed = oxford.SOURCES[name].packed
    known = {
        "oxford-iiit-pet": [url.rpartition("/")[2] for url, _ in datasets.OxfordIIITPet._RESOURCES],
        "flowers102": [datasets.Flowers102._file_dict["image"][0]],
    }
    assert list(packed) == known[name]
    assert all(len(bytes.fromhex(digest)) == 32 for digest in packed.values())


def test_what_is_not_there_says_what_to_type(tmp_path, refused, no_network):
    with refused(
        "oxford-iiit-pet: not in the folder oxford-iiit-pet, or not all of it. "
        "Try: load('oxford-iiit-pet', 'test', ..., download=True), 811.1 MB."
    ):
        oxford.load("oxford-iiit-pet", "test", gray, folder=tmp_path, download=False)
    assert no_network == []


def test_unknown_names_and_splits_are_refused(tmp_path, refused):
    with refused(
        "'oxford-pets': unknown data set. Did you mean 'oxford-iiit-pet'? "
        "Known: oxford-iiit-pet, flowers102."
    ):
        oxford.load("oxford-pets", "test", gray, folder=tmp_path, download=False)
    with refused(
        "'train': unknown split of oxford-iiit-pet. Did you mean 'trainval'? Known: trainval, test."
    ):
        oxford.load("oxford-iiit-pet", "train", gray, folder=tmp_path, download=False)


def test_without_a_network_a_download_is_a_connection_error_and_leaves_nothing(tmp_path):
    with pytest.raises(ConnectionError, match="no download"):
        oxford.load("flowers102", "test", gray, folder=tmp_path, download=True)
    left = [path.name for path in (tmp_path / "flowers-102").iterdir()]
    assert all(name.endswith(".lock") for name in left)


def test_without_torchvision_it_says_what_to_install(tmp_path, refused, monkeypatch):
    monkeypatch.setitem(sys.modules, "torchvision", None)
    with refused(
        "flowers102: torchvision reads it. Try: pip install torchvision.", error=ImportError
    ):
        oxford.load("flowers102", "test", gray, folder=tmp_path, download=False)
