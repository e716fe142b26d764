import io
import shutil

import numpy as np
import pytest
import torch
from PIL import Image

from cnncourse import folders, images
from cnncourse.preprocess import Preprocess

TINY = Preprocess(8, 8, (0.5,) * 3, (0.5,) * 3, "bilinear")


def picture(seed, size=(12, 10)):
    """Pixels of a picture that no other seed gives."""
    return np.random.default_rng(seed).integers(0, 256, (*size, 3)).astype(np.uint8)


def save(path, seed, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(picture(seed)).save(path, **options)


def fill(root, count=5, classes=("cat", "dog"), first=0):
    """A folder with count pictures of each class, no two the same."""
    for label, name in enumerate(classes):
        for number in range(count):
            save(root / name / f"{number}.png", first + 100 * label + number)
    return root


@pytest.fixture
def pets(tmp_path):
    return fill(tmp_path / "pets")


def test_five_pictures_of_a_class_are_three_one_and_one(pets):
    dataset = folders.load(pets, TINY)
    assert (
        str(dataset) == "pets: 6 train, 2 validation, 2 test images of 3x8x8, from the folder pets"
    )
    assert dataset.classes == ("cat", "dog")
    for split, count in ((dataset.train, 3), (dataset.validation, 1), (dataset.test, 1)):
        assert torch.bincount(split.labels).tolist() == [count, count]
    assert [len(split.labels) for split in dataset.splits] == [6, 2, 2]
    assert (dataset.broken, dataset.repeated) == ((), ())


def test_no_picture_is_lost_in_two_splits_or_under_another_label(pets):
    dataset = folders.load(pets, TINY, seed=3)
    expected = {
        (TINY.cut(picture(100 * label + number)).numpy().tobytes(), label)
        for label in range(2)
        for number in range(5)
    }
    found = [
        (image.numpy().tobytes(), int(label))
        for split in (dataset.train, dataset.validation, dataset.test)
        for image, label in zip(split.images, split.labels, strict=True)
    ]
    assert len(found) == 10
    assert set(found) == expected


def test_another_seed_deals_otherwise(pets):
    tests = {folders.load(pets, TINY, seed=seed).test.images.sum().item() for seed in range(6)}
    assert len(tests) > 2


def test_pictures_are_cut_as_the_weights_want_them_and_not_standardised(pets):
    split = folders.load(pets, Preprocess(4, 6, (0.1,) * 3, (0.1,) * 3, "bicubic")).train
    assert split.images.shape == (6, 3, 4, 4)
    assert split.images.dtype == torch.float32
    assert 0 <= split.images.min() < split.images.max() <= 1


def test_hidden_folders_and_files_are_no_class_and_no_picture(pets):
    save(pets / ".ipynb_checkpoints" / "0.png", 900)
    save(pets / "__MACOSX" / "cat" / "0.png", 901)
    save(pets / "cat" / "._0.png", 902)
    save(pets / "cat" / ".thumbs" / "0.png", 903)
    (pets / "cat" / "notes.txt").write_text("mine")
    (pets / "readme.md").write_text("pets")
    dataset = folders.load(pets, TINY)
    assert dataset.classes == ("cat", "dog")
    assert len(dataset.train.labels) == 6
    assert dataset.broken == ()


def test_pictures_in_folders_within_a_class_count(pets):
    save(pets / "cat" / "kittens" / "0.PNG", 904)
    assert len(folders.load(pets, TINY).train.labels) == 6 + 1


def test_broken_files_are_listed_and_left_out(pets):
    whole = (pets / "cat" / "0.png").read_bytes()
    (pets / "cat" / "cut.png").write_bytes(whole[: len(whole) // 2])
    (pets / "dog" / "text.jpg").write_text("not a picture")
    (pets / "dog" / "empty.png").touch()
    dataset = folders.load(pets, TINY)
    assert len(dataset.train.labels) == 6
    assert [line.partition(":")[0] for line in dataset.broken] == [
        "cat/cut.png",
        "dog/empty.png",
        "dog/text.jpg",
    ]
    assert "damaged or cut short" in dataset.broken[0]
    assert "is none of PNG" in dataset.broken[2]


def test_a_pixel_bomb_is_listed_before_it_is_unpacked(pets, monkeypatch):
    monkeypatch.setattr(images, "MAX_PIXELS", 12 * 10)
    content = io.BytesIO()
    Image.new("L", (121, 1)).save(content, "PNG")
    (pets / "dog" / "bomb.png").write_bytes(content.getvalue())
    [line] = folders.load(pets, TINY).broken
    assert line.startswith("dog/bomb.png: data (")
    assert "unpacks to more than 120 px" in line


def test_a_second_copy_is_left_out_whatever_its_name_and_format(pets):
    save(pets / "dog" / "copy.bmp", 100)
    dataset = folders.load(pets, TINY)
    assert dataset.repeated == ("dog/copy.bmp: the same picture as dog/0.png",)
    assert len(dataset.train.labels) == 6


def test_the_same_picture_in_two_classes_is_refused(pets, refused):
    save(pets / "dog" / "odd.png", 2)
    same = "cat/2.png and dog/odd.png are the same picture in two classes"
    with refused(f"{same}. Try: delete the one that is wrong."):
        folders.load(pets, TINY)


def test_a_test_folder_is_tested_on_and_nothing_else(pets, tmp_path):
    asked = fill(tmp_path / "asked", count=3, first=50)
    dataset = folders.load(pets, TINY, test=asked)
    counts = [len(split.labels) for split in (dataset.train, dataset.validation, dataset.test)]
    assert counts == [8, 2, 6]
    expected = {
        TINY.cut(picture(50 + 100 * k + n)).numpy().tobytes() for k in (0, 1) for n in range(3)
    }
    assert {image.numpy().tobytes() for image in dataset.test.images} == expected


def test_the_same_picture_in_train_and_test_is_refused_even_in_another_format(
    pets, tmp_path, refused
):
    asked = fill(tmp_path / "asked", count=3, first=50)
    save(asked / "dog" / "new.bmp", 104)
    with refused(
        "1 of 7 test pictures are also in the folder to train on, the first is 'new.bmp' (there: "
        "'4.png'): what was learned by heart would be asked. Try: delete them from one of the two."
    ):
        folders.load(pets, TINY, test=asked)


def test_a_test_folder_of_other_classes_or_of_no_pictures_is_refused(pets, tmp_path, refused):
    other = fill(tmp_path / "other", classes=("cat", "horse"), first=50)
    with refused(
        "test='other': class 'dog' is only in one of the two folders. "
        "Try: the classes cat, dog in both."
    ):
        folders.load(pets, TINY, test=other)
    for name in ("cat", "dog"):
        (tmp_path / "empty" / name).mkdir(parents=True)
    with refused("test='empty': has no picture that can be read. Try: test=None."):
        folders.load(pets, TINY, test=tmp_path / "empty")


def test_one_class_none_and_no_folder_are_refused(pets, tmp_path, refused):
    attempt = "Try: pets/cats/001.jpg and pets/dogs/001.jpg."
    rule = "and a classifier tells two or more apart"
    shutil.rmtree(pets / "dog")
    with refused(f"folder='pets': has one class (cat), {rule}. {attempt}"):
        folders.load(pets, TINY)
    shutil.rmtree(pets / "cat")
    with refused(f"folder='pets': has no folder in it, {rule}. {attempt}"):
        folders.load(pets, TINY)
    where = str(tmp_path / "nowhere")
    attempt = "the path of a folder that has a folder for each class"
    with refused(f"folder={where!r}: is not there. Try: {attempt}."):
        folders.load(where, TINY)
    (tmp_path / "file").touch()
    with refused(f"folder={str(tmp_path / 'file')!r}: is no folder. Try: {attempt}."):
        folders.load(tmp_path / "file", TINY)


def test_a_class_of_too_few_pictures_is_refused_copies_not_counted(pets, refused):
    (pets / "dog" / "0.png").unlink()
    save(pets / "dog" / "copy.bmp", 101)
    with refused(
        "class 'dog' has 4 pictures that can be read, and needs 5 or more to be split. "
        "Try: more pictures, or without this folder."
    ):
        folders.load(pets, TINY)


def test_more_than_fits_is_refused_with_a_size_that_does(pets, refused):
    large = TINY.at(224)  # 10 pictures x 3 x 224 x 224 x 4 bytes
    with refused(
        "10 pictures of 224 px take 0.006 GB, most_gb=0.005. "
        "Try: preprocess.at(192), or most_gb=0.0066."
    ):
        folders.load(pets, large, most_gb=0.005)
    assert folders.load(pets, large.at(192), most_gb=0.005).train.images.shape[-1] == 192


def test_names_with_markup_and_other_alphabets_stay_names(tmp_path):
    root = fill(tmp_path / "é", classes=("<b>", "猫"))
    assert folders.load(root, TINY).classes == ("<b>", "猫")
