import copy
import dataclasses
import errno
import io
import json
import pickle
import re
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import pytest
import torch
from PIL import Image
from safetensors.torch import save
from torch.nn import functional as F
from torchvision.models import get_model_weights

from cnncourse import files, images, materials, weights
from cnncourse.models.resnet import resnet18
from cnncourse.weights import KNOWN, load_weights


@pytest.fixture(autouse=True)
def own_caches(monkeypatch, tmp_path):
    """Torch's cache and ours are the test's own, and torchvision's address is nobody's."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.setenv("CNNCOURSE_CACHE", str(tmp_path / "ours"))
    monkeypatch.setattr(weights, "PLACE", tmp_path / "pretrained")
    weights.imagenet_classes.cache_clear()
    (tmp_path / "pretrained").mkdir()
    names = "\n".join(["# a line that is no class", *(f"class {n}" for n in range(1000))])
    (tmp_path / "pretrained" / "imagenet_classes.txt").write_text(names)
    yield
    weights.imagenet_classes.cache_clear()


@pytest.fixture(scope="module")
def state():
    torch.manual_seed(0)
    return resnet18().state_dict()


@pytest.fixture
def pickled(state, monkeypatch):
    """Bytes of a .pth that is torchvision's ResNet-18, as far as its SHA-256 tells."""
    buffer = io.BytesIO()
    torch.save(state, buffer)
    known = dataclasses.replace(KNOWN["resnet18"], sha256=files.sha256(buffer.getvalue()))
    monkeypatch.setitem(KNOWN, "resnet18", known)
    return buffer.getvalue()


def put(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def same(model, state):
    ours = model.state_dict()
    return ours.keys() == state.keys() and all(torch.equal(ours[k], state[k]) for k in state)


# --- what is known --------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["resnet18", "resnet50", "efficientnet_b0"])
def test_addresses_and_first_digits_are_torchvisions(name):
    theirs, known = get_model_weights(name).IMAGENET1K_V1, KNOWN[name]
    assert theirs.url == weights.URL + known.file
    assert known.file.endswith(f"-{known.sha256[:8]}.pth")
    assert len(bytes.fromhex(known.sha256)) == 32
    assert known.megabytes == pytest.approx(theirs.meta["_file_size"] * 2**20 / 1e6, abs=0.06)


def test_the_classes_are_torchvisions_in_its_order(monkeypatch):
    monkeypatch.undo()
    weights.imagenet_classes.cache_clear()
    theirs = get_model_weights("resnet18").IMAGENET1K_V1.meta["categories"]
    assert list(weights.imagenet_classes()) == theirs


def test_a_name_and_a_source_that_are_not_known_are_refused(refused):
    with refused(
        "'resnet19': unknown weights. Did you mean 'resnet18'? "
        "Known: resnet18, resnet50, efficientnet_b0, efficientnet_lite0."
    ):
        load_weights("resnet19")
    with refused(
        "'cours': unknown source. Did you mean 'course'? "
        "Known: auto, cache, download, course, the path of a file."
    ):
        load_weights("resnet18", "cours")


# --- files ----------------------------------------------------------------------------------------


def test_a_safetensors_file_is_loaded_with_the_preprocessing_it_names(state, tmp_path):
    step = dataclasses.replace(KNOWN["resnet18"].preprocess.at(64), interpolation="bicubic")
    told = {weights.METADATA: json.dumps(dataclasses.asdict(step))}
    half = {key: part.half() if part.is_floating_point() else part for key, part in state.items()}
    path = put(tmp_path / "mine.safetensors", save(half, metadata=told))
    found = load_weights("resnet18", path)
    assert found.preprocess == step
    assert found.origin == "the file mine.safetensors"
    assert not found.model.training
    assert {part.dtype for part in found.model.parameters()} == {torch.float32}
    assert torch.equal(found.model.fc.weight, half["fc.weight"].float())
    plain = put(tmp_path / "plain.SAFETENSORS", save(state))
    again = load_weights("resnet18", str(plain))
    assert again.preprocess == KNOWN["resnet18"].preprocess
    assert same(again.model, state)


def test_a_file_that_is_not_there_is_refused(tmp_path, refused):
    path = tmp_path / "no.safetensors"
    with refused(f"{path}: no such file. Try: load_weights('resnet18', 'auto')."):
        load_weights("resnet18", path)


class Malicious:
    def __init__(self, canary):
        self.canary = canary

    def __reduce__(self):
        return open, (str(self.canary), "w")


@pytest.mark.parametrize("name", ["x.pth", "resnet18-f37072fd.pth"])
def test_a_pickle_from_elsewhere_is_refused_and_its_code_does_not_run(tmp_path, refused, name):
    path = put(tmp_path / name, pickle.dumps(Malicious(tmp_path / "canary")))
    with refused(
        f"{name}: pickle files can run code when opened. "
        "Try: a .safetensors file, or torchvision's own weights by name."
    ):
        load_weights("resnet18", path)
    assert not (tmp_path / "canary").exists()


def test_even_with_the_right_fingerprint_a_pickle_runs_no_code(tmp_path, monkeypatch):
    content = pickle.dumps(Malicious(tmp_path / "canary"), protocol=2)  # as torch writes
    known = dataclasses.replace(KNOWN["resnet18"], sha256=files.sha256(content))
    monkeypatch.setitem(KNOWN, "resnet18", known)
    with pytest.raises(pickle.UnpicklingError):
        load_weights("resnet18", put(tmp_path / known.file, content))
    assert not (tmp_path / "canary").exists()


def test_torchvisions_own_file_is_loaded_wherever_it_is(pickled, state, tmp_path):
    found = load_weights("resnet18", put(tmp_path / KNOWN["resnet18"].file, pickled))
    assert same(found.model, state)
    assert found.origin == (
        "ImageNet weights of torchvision (resnet18-f37072fd.pth, IMAGENET1K_V1), a file"
    )
    elsewhere = put(tmp_path / "renamed.pth", pickled)
    with pytest.raises(ValueError, match=r"^renamed\.pth: pickle files can run code"):
        load_weights("resnet18", elsewhere)


def test_weights_of_another_network_are_refused_by_their_first_tensor(state, tmp_path, refused):
    path = put(tmp_path / "ten.safetensors", save(resnet18(num_classes=10).state_dict()))
    with refused(
        "fc.weight: the weights have (10, 512), resnet18 needs (1000, 512). "
        "Try: a state_dict() of resnet18() with 1,000 classes."
    ):
        load_weights("resnet18", path)
    more = put(tmp_path / "more.safetensors", save(state | {"extra": torch.zeros(2)}))
    with pytest.raises(ValueError, match=r"^extra: the weights have \(2,\), resnet18 needs none"):
        load_weights("resnet18", more)


def test_damaged_files_are_refused(state, tmp_path):
    told = {weights.METADATA: '{"size_px": 64}'}
    for content in (b"", b"<!doctype html>", save(state)[:-4], save(state, metadata=told)):
        path = put(tmp_path / "bad.safetensors", content)
        with pytest.raises(files.DamagedFile, match=r"^bad\.safetensors: no weights can be read"):
            load_weights("resnet18", path)
    files.write(path, save(state))
    flipped = bytearray(path.read_bytes())
    flipped[-1] ^= 1
    path.write_bytes(flipped)
    with pytest.raises(files.DamagedFile, match="fingerprint differs"):
        load_weights("resnet18", path)


# --- cache and download ---------------------------------------------------------------------------


def test_torchs_cache_is_looked_into_first_and_a_damaged_file_there_passed_over(
    pickled, state, tmp_path, refused
):
    name = KNOWN["resnet18"].file
    torchs = put(tmp_path / "torch" / "hub" / "checkpoints" / name, pickled)
    found = load_weights("resnet18", "cache")
    assert same(found.model, state)
    assert found.origin.endswith("torch's cache")
    torchs.write_bytes(pickled[:-1])
    with refused("resnet18: not in the cache. Try: load_weights('resnet18', 'download')."):
        load_weights("resnet18", "cache")
    put(tmp_path / "ours" / "weights" / name, pickled)
    assert load_weights("resnet18").origin.endswith(", the cache")


@pytest.fixture
def address(tmp_path, monkeypatch):
    """A folder that torchvision's address is, on loopback; nothing is in it."""
    folder = tmp_path / "served"
    folder.mkdir()

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_):
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    monkeypatch.setattr(weights, "URL", f"http://127.0.0.1:{server.server_address[1]}/")
    monkeypatch.setattr(files, "PAUSE_S", 0.0)
    yield folder
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_download_is_checked_kept_and_taken_from_the_cache_the_next_time(
    address, pickled, state, tmp_path, capsys
):
    name = KNOWN["resnet18"].file
    served = put(address / name, pickled)
    found = load_weights("resnet18", "download")
    assert same(found.model, state)
    assert found.origin.endswith("a download")
    assert capsys.readouterr().out == "downloading 46.8 MB into the cache\n"
    served.unlink()
    assert load_weights("resnet18").origin.endswith("the cache")


def test_what_is_not_torchvisions_file_is_thrown_away(address, pickled, tmp_path):
    put(address / KNOWN["resnet18"].file, pickled[:-1] + b"!")
    with pytest.raises(files.DamagedFile, match="is not the file and was thrown away"):
        load_weights("resnet18", "download")
    assert not list((tmp_path / "ours" / "weights").glob("*.pth"))


def test_without_a_network_the_courses_own_are_taken_and_it_is_said(address, state, tmp_path):
    files.write(tmp_path / "pretrained" / "resnet18-64px.safetensors", save(state))
    found = load_weights("resnet18")
    assert same(found.model, state)
    assert found.origin == (
        "weights made for this course (resnet18-64px, see its card) "
        "(the download failed; is there a network?)"
    )
    assert found.classes[7] == "class 7"
    assert "download" not in load_weights("resnet18", "course").origin


@pytest.mark.parametrize("fault", ["full", "a file in its place"])
def test_a_download_that_cannot_be_kept_says_so_and_auto_takes_the_courses(
    address, pickled, state, tmp_path, monkeypatch, refused, fault
):
    """A full disk, and a cache in which no folder can be made."""
    put(address / KNOWN["resnet18"].file, pickled)
    files.write(tmp_path / "pretrained" / "resnet18-64px.safetensors", save(state))
    folder, reason = tmp_path / "ours" / "weights", "File exists"
    if fault == "full":
        reason = "No space left on device"

        def full(*_args, **_options):
            raise OSError(errno.ENOSPC, reason)

        monkeypatch.setattr(files, "fetch", full)
    else:
        put(folder, b"")
    with refused(
        f"resnet18-f37072fd.pth: cannot be written into {folder} ({reason}). "
        "Try: CNNCOURSE_CACHE=<a folder with room>."
    ):
        load_weights("resnet18", "download")
    assert load_weights("resnet18").origin == (
        "weights made for this course (resnet18-64px, see its card) "
        "(the download cannot be kept: is the disk full?)"
    )


def test_where_something_else_came_from_the_network_it_is_said(address, state, tmp_path):
    put(address / KNOWN["resnet18"].file, b"<!doctype html>")
    files.write(tmp_path / "pretrained" / "resnet18-64px.safetensors", save(state))
    assert load_weights("resnet18").origin.endswith(
        "(what came from the network was not the file: a login page?)"
    )


def test_where_nothing_is_found_the_next_line_is_told(address, refused):
    with refused(
        "resnet18: no weights come with this copy of the course. Try: load_weights('resnet18', "
        "'download'), or make them: python -m cnncourse.distill --help."
    ) as caught:
        load_weights("resnet18")
    assert isinstance(caught.value.__cause__, ConnectionError)
    with refused(
        "resnet50: no weights come with this copy of the course. "
        "Try: load_weights('resnet50', 'download')."
    ):
        load_weights("resnet50", "course")
    with refused("efficientnet_lite0: it is in a package. Try: load_weights('efficientnet_lite0', "
                 "'course')."):  # fmt: skip
        load_weights("efficientnet_lite0", "download")


# --- the ResNet-18 that comes with the course -----------------------------------------------------


@pytest.fixture(scope="module")
def ours():
    return load_weights("resnet18", "course")


def of_the_nearest_mean(model, known, patches):
    """Accuracy on the test patches: the class whose mean feature points the same way."""
    model = copy.deepcopy(model).eval()
    model.fc = torch.nn.Identity()
    with torch.no_grad():
        train, test = (
            torch.cat([model(known.preprocess.standardise(x)) for x in part.images.split(32)])
            for part in (patches.train, patches.test)
        )
    middle = train.mean(dim=0)
    train, test = (F.normalize(part - middle, dim=1) for part in (train, test))
    means = torch.stack([train[patches.train.labels == label].mean(dim=0) for label in range(16)])
    return float(((test @ means.T).argmax(dim=1) == patches.test.labels).float().mean())


def test_the_courses_resnet_tells_materials_apart_that_it_never_saw(ours):
    """Sixteen kinds, five labelled patches each; by guessing 0.06."""
    patches = materials.load(5)
    torch.manual_seed(0)
    learned, random = (of_the_nearest_mean(m, ours, patches) for m in (ours.model, resnet18()))
    assert random < 0.25
    assert learned > random + 0.2


def test_the_card_is_of_the_file_that_comes_along(monkeypatch):
    monkeypatch.undo()
    card = (weights.PLACE / "resnet18-64px.md").read_text("utf-8")
    content = (weights.PLACE / "resnet18-64px.safetensors").read_bytes()
    assert f"SHA-256 {files.sha256(content)}" in card
    assert len(content) <= 24e6
    probe, random = (
        float(re.search(rf"{name}\*?\*? \| \*?\*?(0\.\d+)", card)[1])
        for name in ("this one", "knows nothing")
    )
    assert probe >= 0.6 > random


# --- EfficientNet-Lite0, which comes with the course ----------------------------------------------


@pytest.fixture(scope="module")
def lite0():
    return load_weights("efficientnet_lite0")


@pytest.fixture
def named(lite0, monkeypatch):
    """The network with ImageNet's names for what it answers."""
    monkeypatch.undo()
    weights.imagenet_classes.cache_clear()
    return dataclasses.replace(lite0, classes=weights.imagenet_classes())


SEEN = {
    "chelsea": "Egyptian cat",
    "coffee": "espresso",
    "rocket": "missile",
}


@pytest.mark.parametrize(("photo", "expected"), SEEN.items())
def test_lite0_names_what_is_on_a_photo(named, photo, expected):
    answers = named.answers(images.photo(photo))
    assert expected in [name for name, _ in answers]
    probabilities = [probability for _, probability in answers]
    assert probabilities == sorted(probabilities, reverse=True)
    assert 0 < sum(probabilities) <= 1


def test_lite0_says_where_its_weights_are_from(lite0):
    assert lite0.origin == (
        "ImageNet weights of TensorFlow's authors (efficientnet-lite0-57934424.pth), a package"
    )
    assert lite0.preprocess.size_px == 224


def right(lite0, folder, *, every, resize_px):
    """Share of the photos answered rightly at 192 px; the n-th name is of class n."""
    paths = sorted((folder / "photos").glob("*.jpg"))
    if len(paths) != 1000:
        pytest.skip("needs 1,000 photos, one a class: CNNCOURSE_DATA=<a folder that has photos/>")
    step = dataclasses.replace(lite0.preprocess, size_px=192, resize_px=resize_px)
    found = 0
    with torch.no_grad():
        for index in range(0, 1000, every):
            with Image.open(paths[index]) as picture:
                found += int(lite0.model(step(picture)[None]).argmax()) == index
    return found / len(range(0, 1000, every))


def test_lite0_is_right_about_one_photo_a_class_every_tenth(lite0, real_data):
    assert right(lite0, real_data, every=10, resize_px=192) >= 0.7  # of 100; 77.8 % of all


@pytest.mark.full
def test_lite0_is_right_about_one_photo_a_class(lite0, real_data):
    assert right(lite0, real_data, every=1, resize_px=192) == pytest.approx(0.778, abs=0.0025)
    assert right(lite0, real_data, every=1, resize_px=219) == pytest.approx(0.793, abs=0.0025)
