import hashlib
from itertools import combinations

import numpy as np
import pytest
import torch

from cnncourse import materials
from cnncourse.materials import CLASSES, GAP_PX, MATERIALS, WINDOW_PX

# Of the uint8 patches of load(25), split by split, then of all labels.
FINGERPRINT = "1a22e6e5d5f5469d36c2531a2c037b4c8d3e44d27b2aba07b27e14a551f370ce"


def boxes_of(photo):
    """Every region on a photograph, with the class and the split that it belongs to."""
    return [
        (material.name, part, box)
        for material in MATERIALS
        if material.photo == photo
        for part, region in enumerate(material.regions)
        for box in region
    ]


def distance(one, other):
    """Pixels between two boxes, along the axis that parts them more; 0 or less: they meet."""
    down = max(other[0] - one[2], one[0] - other[2])
    aside = max(other[1] - one[3], one[1] - other[3])
    return max(down, aside)


def test_the_distance_of_boxes_by_hand():
    assert distance((0, 0, 4, 4), (4, 0, 8, 4)) == 0
    assert distance((0, 0, 4, 4), (6, 1, 8, 3)) == 2
    assert distance((0, 9, 4, 12), (2, 0, 8, 4)) == 5
    assert distance((0, 0, 4, 4), (1, 1, 2, 2)) < 0


@pytest.mark.parametrize("photo", sorted({material.photo for material in MATERIALS}))
def test_regions_of_two_splits_or_classes_are_apart(photo):
    pairs = list(combinations(boxes_of(photo), 2))
    apart = [distance(one[2], other[2]) for one, other in pairs if one[:2] != other[:2]]
    assert len(apart) >= 3
    assert min(apart) >= GAP_PX


@pytest.mark.parametrize("material", MATERIALS, ids=CLASSES)
def test_every_region_is_in_its_photograph_and_boxes_of_one_do_not_overlap(material):
    height, width = materials.gray_photo(material.photo, material.shrink).shape
    for region in material.regions:
        for top, left, bottom, right in region:
            assert 0 <= top < bottom <= height
            assert 0 <= left < right <= width
        assert all(distance(one, other) >= 0 for one, other in combinations(region, 2))


def raw(per_class=25, seed=0):
    counts = (per_class, 8, 16)
    return [materials.by_region(part, counts[part], seed=seed * (part == 0)) for part in range(3)]


def test_sixteen_classes_of_25_and_8_and_16_patches():
    assert len(CLASSES) == len(set(CLASSES)) == 16
    for (pixels, labels), count in zip(raw(), (25, 8, 16), strict=True):
        assert pixels.shape == (16 * count, 32, 32)
        assert np.bincount(labels).tolist() == [count] * 16


def test_no_two_patches_are_the_same():
    together = np.concatenate([pixels for pixels, _ in raw()])
    assert len({patch.tobytes() for patch in together}) == len(together) == 16 * 49


def shares_pixels(one, other, step):
    """Whether a patch is another one, moved by a multiple of step and less than its side."""
    moves = range(-WINDOW_PX + step, WINDOW_PX, step)
    for down in moves:
        for right in moves:
            mine = one[max(down, 0) : 32 + min(down, 0), max(right, 0) : 32 + min(right, 0)]
            its = other[max(-down, 0) : 32 + min(-down, 0), max(-right, 0) : 32 + min(-right, 0)]
            if mine.size >= 8 * step and mine.std() >= 3 and (mine == its).all():
                return True
    return False


def leaked(train, test, step=8):
    """Share of the test patches of the class wood that have pixels of a training patch."""
    wood = CLASSES.index("wood")
    known, asked = (pixels[labels == wood] for pixels, labels in (train, test))
    return np.mean([any(shares_pixels(one, other, step) for other in known) for one in asked])


def test_the_right_split_shares_no_pixels_and_the_leaking_one_does():
    train, validation, test = raw()
    assert leaked(train, test, step=4) == leaked(train, validation, step=4) == 0
    train, _, test = materials.leaking(25, seed=0)
    assert np.bincount(test[1]).tolist() == [16] * 16
    assert leaked(train, test) > 0.5


def test_the_test_patches_of_a_class_share_nothing_with_one_another():
    wood = raw()[2][0][CLASSES.index("wood") * 16 :][:16]
    assert not any(shares_pixels(one, other, 4) for one, other in combinations(wood, 2))


def test_few_labels_are_among_more_and_other_seeds_draw_others():
    drawn = [raw(count, seed)[0][0] for count, seed in ((5, 0), (10, 0), (10, 1))]
    few, more, others = ({patch.tobytes() for patch in patches} for patches in drawn)
    assert few < more
    assert len(few & others) < len(few) / 2


def test_what_is_validated_and_tested_on_is_always_the_same():
    one, other = materials.load(2, seed=0), materials.load(25, seed=7)
    assert torch.equal(one.validation.images, other.validation.images)
    assert torch.equal(one.test.images, other.test.images)


def test_patches_are_gray_of_one_mean_and_one_contrast():
    dataset = materials.load(2)
    assert str(dataset) == (
        "materials: 32 train, 128 validation, 256 test images of 3x64x64, "
        "from scikit-image's photographs, by region"
    )
    for images, labels in (dataset.train, dataset.validation, dataset.test):
        assert (images.dtype, labels.dtype) == (torch.float32, torch.int64)
        assert 0 <= images.min() < images.max() <= 1
        assert torch.equal(images[:, 0], images[:, 2])
        assert images.mean(dim=(1, 2, 3)).sub(0.5).abs().max() < 0.1  # what is clipped moves it
        assert images.std(dim=(1, 2, 3)).median().sub(0.2).abs() < 0.02


def test_a_darker_picture_of_less_contrast_is_the_same_patch():
    darker = torch.tensor(materials.by_region(0, 1)[0]) // 2
    images = materials.prepared(darker * 2)
    torch.testing.assert_close(materials.prepared(darker + 30), images, atol=1e-3, rtol=0)


def test_a_small_photo_is_the_mean_of_its_blocks_rounded_down():
    from skimage import data

    colours = data.retina()[:2, 700:702].astype(int)
    gray = (colours @ np.array([299, 587, 114]) + 500) // 1000
    assert materials.gray_photo("retina", 2)[0, 350] == gray.sum() // 4


def test_flat_patches_are_left_out():
    half = np.zeros((32, 64), dtype=np.uint8)
    half[::2, 32:] = 200
    found = materials.patches(half, [(0, 0, 32, 64)], stride_px=32)
    assert found.shape == (1, 32, 32)
    assert found.max() == 200


def test_the_patches_are_those_that_were_made_before():
    digest = hashlib.sha256()
    for pixels, labels in raw():
        digest.update(pixels.tobytes() + labels.astype(np.uint8).tobytes())
    assert digest.hexdigest() == FINGERPRINT


def test_counts_that_no_photograph_has_room_for_are_refused(refused):
    rule = "must be 25 or less: some photographs have no room for more. Try: per_class=25."
    with refused(f"per_class=26: {rule}"):
        materials.load(26)
    with refused("per_class=0: must be a whole number, 1 or more. Try: per_class=1."):
        materials.load_leaking(0)
    with refused("seed=-1: must be a whole number, 0 or more. Try: seed=0."):
        materials.load(seed=-1)


def test_every_class_says_whose_photograph_it_is():
    assert all(len(material.credit) > 8 for material in MATERIALS)


def test_no_photograph_is_downloaded(no_network):
    materials.gray_photo.cache_clear()
    assert len(materials.load(1).train.labels) == 16
    assert no_network == []
