import numpy as np
import pytest
import torch

from cnncourse.insight import checks


@pytest.mark.parametrize(
    ("images", "sentence"),
    [
        (torch.zeros(3, 4, 4), "(3, 4, 4) float32: must be (N, C, H, W). Try: images[None]."),
        (torch.zeros(4, 4), "(4, 4) float32: must be (N, C, H, W). Try: images[None, None]."),
        (
            torch.zeros(2, 5, 3, 4, 4),
            "(2, 5, 3, 4, 4) float32: must be (N, C, H, W). Try: images.flatten(0, 1).",
        ),
        (
            torch.zeros(784),
            "(784,) float32: must be (N, C, H, W). Try: images.reshape(N, C, H, W).",
        ),
        (
            torch.zeros(1, 3, 4, 4, dtype=torch.uint8),
            "(1, 3, 4, 4) uint8: must be floats. Try: images.float() / 255.",
        ),
        (
            torch.zeros(1, 3, 4, 4, dtype=torch.int64),
            "(1, 3, 4, 4) int64: must be floats. Try: images.float().",
        ),
        (
            torch.zeros(0, 3, 4, 4),
            "(0, 3, 4, 4) float32: there are no pictures, must be 1 or more. "
            "Try: print(images.shape) where they were chosen.",
        ),
        (
            torch.zeros(2, 0, 4, 4),
            "(2, 0, 4, 4) float32: there are no channels, must be 1 or more. "
            "Try: print(images.shape) where they were chosen.",
        ),
        (
            torch.zeros(2, 3, 4, 0),
            "(2, 3, 4, 0) float32: there are no columns, must be 1 or more. "
            "Try: print(images.shape) where they were chosen.",
        ),
        (
            torch.tensor([[[[1.0, float("nan")]]]]),
            "(1, 1, 1, 2) float32: some of the numbers are nan or infinite. "
            "Try: images.isfinite(), which says where.",
        ),
        (
            torch.tensor([[[[1.0, float("-inf")]]]]),
            "(1, 1, 1, 2) float32: some of the numbers are nan or infinite. "
            "Try: images.isfinite(), which says where.",
        ),
        (
            [1, 2],
            "of type list: must be a tensor (N, C, H, W) of floats. Try: torch.tensor(images).",
        ),
    ],
)
def test_what_are_no_pictures_is_refused(images, sentence, refused):
    with refused(f"images {sentence}"):
        checks.check_images(images)
    with refused("maps " + sentence.replace("images", "maps")):
        checks.check_images(images, name="maps")


@pytest.mark.parametrize("dtype", [torch.float16, torch.float32, torch.float64])
def test_pictures_of_any_floats_are_taken(dtype):
    checks.check_images(torch.full((1, 1, 1, 1), -3.0, dtype=dtype))
    checks.check_pixels(torch.tensor([[[[0.0, 1.0]]]], dtype=dtype))


def test_pixels_are_from_0_to_1_but_for_rounding(refused):
    checks.check_pixels(torch.tensor([[[[-1e-7, 1 + 1e-7]]]], dtype=torch.float64))
    attempt = "Try: the pixels, and attacks.OnPixels(model, mean, std)"
    for low, high in ((-0.01, 0.5), (0.0, 1.01)):
        with refused(
            f"texture from {low:.2f} to {high:.2f}: must be pixels from 0 to 1, before "
            f"standardising. {attempt}."
        ):
            checks.check_pixels(torch.tensor([[[[low, high]]]]), name="texture")


def test_a_seed_has_its_numbers_and_is_a_whole_number(refused):
    drawn = [torch.rand(3, generator=checks.random_numbers(seed)) for seed in (1, np.int64(1), 2)]
    assert torch.equal(drawn[0], drawn[1])
    assert not torch.equal(drawn[0], drawn[2])
    for seed in (None, 1.5, -1, "1"):
        with refused(f"seed={seed!r}: must be a whole number, 0 or more. Try: seed=0."):
            checks.random_numbers(seed)


def test_one_value_where_a_list_is_asked_for_is_refused(refused):
    checks.check_several("eps_255", (1, 2))
    with refused("eps_255=8: must be a list. Try: eps_255=[8]."):
        checks.check_several("eps_255", 8)
    with refused("layers='conv': must be a list. Try: layers=['conv']."):
        checks.check_several("layers", "conv")


# --- classes --------------------------------------------------------------------------------------


@pytest.mark.parametrize("classes", [2, np.int64(2), torch.tensor(2), torch.tensor([2, 2, 2])])
def test_a_class_for_all_or_one_each(classes):
    images = torch.zeros(3, 1, 2, 2)
    assert checks.targets_for(images, classes).tolist() == [2, 2, 2]
    assert checks.targets_for(images, torch.tensor([0, 1, 2])).tolist() == [0, 1, 2]


@pytest.mark.parametrize(
    ("side_px", "counts"), [(20, [5]), (160, [1] * 5), (224, [1] * 5), (128, [2, 2, 1])]
)
def test_so_many_pictures_go_at_once_as_memory_allows(side_px, counts):
    images, targets = torch.zeros(5, 3, side_px, side_px), torch.arange(5)
    parts = list(checks.in_pieces(images, targets))
    assert [len(part) for part, _ in parts] == counts
    assert torch.cat([wanted for _, wanted in parts]).tolist() == [0, 1, 2, 3, 4]


@pytest.mark.parametrize(
    ("classes", "came"),
    [
        (1.5, "1.5"),
        (True, "True"),
        ([0, 1, 2], "[0, 1, 2]"),
        (torch.zeros(3), "(3,) float32"),
        (torch.tensor([1, 2]), "(2,) int64"),
        (torch.zeros(3, dtype=torch.int32), "(3,) int32"),
    ],
)
def test_what_is_no_class_is_refused(classes, came, refused):
    with refused(
        f"classes={came}: must be a whole number, or int64 with one for each of 3 pictures. "
        "Try: classes=model(images).argmax(dim=1)."
    ):
        checks.targets_for(torch.zeros(3, 1, 2, 2), classes)


def test_the_logit_of_each_picture_is_chosen(refused):
    logits = torch.tensor([[1.0, 2, 3], [4, 5, 6]])
    assert checks.chosen(logits, torch.tensor([2, 0])).tolist() == [3, 4]
    for wrong in (3, -1):
        with refused(
            f"class {wrong}: the model has classes 0 to 2. "
            "Try: classes=model(images).argmax(dim=1)."
        ):
            checks.chosen(logits, torch.tensor([0, wrong]))


@pytest.mark.parametrize(
    ("answer", "came"),
    [
        (torch.zeros(2, 3, 1), "(2, 3, 1)"),
        (torch.zeros(3, 3), "(3, 3)"),  # it has folded pictures together
        ((torch.zeros(2, 3), torch.zeros(2, 3)), "a tuple"),
        ({"out": torch.zeros(2, 3)}, "a dict"),
    ],
)
def test_what_are_no_logits_is_refused(answer, came, refused):
    with refused(
        f"the model gives {came}: must be logits (N, classes). Try: a model that classifies."
    ):
        checks.chosen(answer, torch.tensor([2, 0]))


@pytest.mark.parametrize("wrong", [float("nan"), float("inf")])
def test_logits_of_a_network_that_has_burst_are_refused(wrong, refused):
    with refused(
        "the model's logits are nan or infinite for some pictures, so nothing can be said about "
        "them. Try: [name for name, x in model.state_dict().items() if x.isnan().any()]."
    ):
        checks.check_logits(torch.tensor([[1.0, wrong]]), 1)
