import io
import itertools
import zipfile

import numpy as np
import pytest
import torch
from PIL import Image

from cnncourse import bank, files
from cnncourse.bank import Shard, Stock, Teacher
from cnncourse.weights import load_weights


@pytest.fixture(scope="module")
def teacher():
    known = load_weights("efficientnet_lite0")
    return Teacher(known.model, known.preprocess)


@pytest.fixture
def photos(tmp_path, rng):
    folder = tmp_path / "photos"
    folder.mkdir()
    for number in range(3):
        pixels = rng.integers(0, 256, size=(60, 50 + number, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{number}.png")
    (folder / ".hidden.png").write_bytes(b"")
    (folder / "notes.txt").write_bytes(b"")
    return folder


@pytest.fixture
def archive(tmp_path):
    """train/ and test/ of two classes with 5 and 6 pictures; each is of one gray, its number."""
    path = tmp_path / "pictures.zip"
    with zipfile.ZipFile(path, "w") as zipped:
        for half in ("train", "test"):
            for klass, count in (("b", 6), ("a", 5)):
                for number in range(count):
                    gray = 10 * number + (100 if klass == "b" else 0)
                    content = io.BytesIO()
                    Image.new("RGB", (32, 32), (gray, gray, gray)).save(content, "PNG")
                    zipped.writestr(f"{half}/{klass}/{number:04}.png", content.getvalue())
    return path


def stock(teacher, photos, folder, **changed):
    settings = {"crop_shards": 2, "shard": 4, "size_px": 64, "seed": 0} | changed
    return Stock(teacher, photos, folder, **settings)


def test_photos_are_read_by_name_hidden_and_other_files_left_out(photos, tmp_path, refused):
    assert [photo.shape for photo in bank.read_photos(photos)] == [
        (60, 50, 3), (60, 51, 3), (60, 52, 3),
    ]  # fmt: skip
    (tmp_path / "empty").mkdir()
    with refused(
        f"photos={str(tmp_path / 'empty')!r}: no .jpg or .png is there. Try: another folder."
    ):
        bank.read_photos(tmp_path / "empty")


def test_a_zip_gives_as_many_of_every_class_in_turn(archive, refused):
    pictures, labels = bank.read_zip(archive, "train", first=2, count=3)
    assert pictures.shape == (6, 3, 32, 32)
    assert pictures.dtype == torch.uint8
    assert pictures[:, 0, 0, 0].tolist() == [20, 120, 30, 130, 40, 140]
    assert labels.tolist() == [0, 1, 0, 1, 0, 1]
    with refused(
        "cifar='pictures.zip': 6 images of every class are needed in test/, a class has 5. "
        "Try: fewer, or a zip with test/<class>/*.jpg."
    ):
        bank.read_zip(archive, "test", first=3, count=3)
    with pytest.raises(ValueError, match="needed in other/, a class has 0"):
        bank.read_zip(archive, "other", first=0, count=1)


def test_crops_are_the_same_for_a_seed_and_lie_in_the_photo(photos):
    halves = np.zeros((40, 60, 3), np.uint8)
    halves[:, 30:] = 200
    first, again = (bank.random_crops([halves], count=9, seed=(0, 1)) for _ in range(2))
    assert (first == again).all()
    assert not (first == bank.random_crops([halves], count=9, seed=(0, 2))).all()
    assert first.shape == (9, 128, 128, 3)
    left = (first == 0).mean(axis=(1, 2, 3))  # how much is of the dark half
    assert left.std() > 0.1
    plain = bank.random_crops([np.full((40, 60, 3), 200, np.uint8)], count=9, seed=(0, 1))
    assert set(np.unique(plain)) <= {199, 200, 201}  # no border was made up


def test_enlarging_keeps_a_plain_picture_plain():
    plain = torch.full((1, 3, 32, 32), 51, dtype=torch.uint8)
    assert bank.enlarged(plain, 64).shape == (1, 3, 64, 64)
    torch.testing.assert_close(bank.enlarged(plain, 64), torch.full((1, 3, 64, 64), 0.2))
    assert torch.equal(bank.enlarged(plain, 32), plain / 255)


def test_the_teachers_last_layer_gives_its_logits_from_what_is_stored(teacher, rng):
    pictures = torch.tensor(rng.integers(0, 256, size=(3, 3, 128, 128), dtype=np.uint8))
    stored = teacher.look(pictures)
    assert stored.shape == (3, 1280)
    with torch.no_grad():
        from_stored = teacher.model.classifier(stored.float())
        logits = teacher.model(teacher.preprocess.standardise(pictures / 255))
    torch.testing.assert_close(from_stored, logits, atol=0.02, rtol=0)


def test_a_round_has_one_new_shard_of_crops_and_old_ones_are_deleted(teacher, photos, tmp_path):
    ours = stock(teacher, photos, tmp_path / "bank")
    rounds = [ours.shards(number) for number in range(4)]
    for before, after in itertools.pairwise(rounds):
        assert torch.equal(before[1].pictures, after[0].pictures)
        assert not torch.equal(before[0].pictures, after[1].pictures)
    assert rounds[0][0].pictures.shape == (4, 3, 72, 72)
    there = sorted(path.name for path in (tmp_path / "bank").glob("*.safetensors"))
    assert there == [f"crops-0000{number}.safetensors" for number in (2, 3, 4)]


def test_what_was_looked_at_is_read_again_and_a_damaged_shard_is_made_anew(
    teacher, photos, archive, tmp_path, capsys
):
    def made():
        ours = stock(teacher, photos, tmp_path / "bank", crop_shards=1)
        ours.add_cifar(archive, shards=1, first=1)
        return ours.shards(0)

    first = made()
    assert capsys.readouterr().out.count("the teacher looks at") == 2
    again = made()
    assert capsys.readouterr().out == ""
    path = tmp_path / "bank" / "crops-00000.safetensors"
    files.replace(path, path.read_bytes()[:-1] + b"!")
    mended = made()
    assert capsys.readouterr().out == "the teacher looks at crops-00000\n"
    for shards in (again, mended):
        for one, other in zip(first, shards, strict=True):
            assert torch.equal(one.pictures, other.pictures)
            assert torch.equal(one.features, other.features)


def test_a_stock_knows_its_photos(teacher, photos, tmp_path):
    one = stock(teacher, photos, tmp_path / "bank").fingerprint()
    assert stock(teacher, photos, tmp_path / "other").fingerprint() == one
    (photos / "2.png").unlink()
    assert stock(teacher, photos, tmp_path / "bank").fingerprint() != one


def test_views_are_moved_and_flipped_and_belong_to_their_number(monkeypatch):
    monkeypatch.setattr(bank, "COLOR", lambda images, draws: images)
    ramp = torch.arange(72, dtype=torch.uint8).expand(3, 72, 72)  # grows to the right
    pictures = torch.stack([ramp, ramp + 100])
    shards = [Shard(pictures, torch.zeros(2, 1)), Shard(pictures + 20, torch.zeros(2, 1))]
    index = torch.tensor([0, 1, 2, 3]).repeat(50)
    seen = bank.views(shards, index, 64, torch.Generator().manual_seed(0)) * 255
    assert seen.shape == (200, 3, 64, 64)
    first, last = seen[:, 0, 0, 0].round(), seen[:, 0, 0, -1].round()
    flipped = first > last
    assert 60 < int(flipped.sum()) < 140
    left = torch.where(flipped, last, first) - torch.tensor([0.0, 100, 20, 120]).repeat(50)
    assert sorted(set(left.tolist())) == list(range(9))  # 0 to 8 px from the left
    same = bank.views(shards, index, 64, torch.Generator().manual_seed(0)) * 255
    assert torch.equal(seen, same)
