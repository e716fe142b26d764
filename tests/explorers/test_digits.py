import numpy as np
import pytest
import torch

from cnncourse.data import Split
from cnncourse.explorers import digits
from cnncourse.models.simple import SimpleCNN

BLACK = -0.5  # as in standardised images


@pytest.fixture
def split(rng):
    """Two images with some ink, and background elsewhere."""
    images = np.full((2, 1, 28, 28), BLACK, np.float32)
    images[:, :, 9:19, 8:20] = rng.random((2, 1, 10, 12))
    return Split(torch.from_numpy(images), torch.tensor([7, 1]))


@pytest.fixture
def model():
    torch.manual_seed(0)
    return SimpleCNN()


def answer(model, split, **changes):
    still = {"digit": 0, "turn": 0, "right": 0, "down": 0, "invert": False, "black": BLACK}
    return digits.answer(model, split, **(still | changes))


def test_an_unchanged_digit_is_the_splits_and_its_answer_the_models(model, split):
    shown = answer(model, split, digit=1)
    np.testing.assert_allclose(shown.image, split.images[1, 0], atol=1e-5)
    assert shown.label == 1
    with torch.no_grad():
        expected = model.eval()(split.images[1:]).softmax(dim=1)[0]
    np.testing.assert_allclose(shown.probabilities, expected, atol=1e-5)


def test_a_move_is_by_whole_pixels_and_what_comes_in_is_background(model, split):
    shown = answer(model, split, right=3, down=-2)
    expected = torch.roll(split.images[0, 0], (-2, 3), dims=(0, 1))  # only background wraps
    np.testing.assert_allclose(shown.image, expected, atol=1e-4)


def test_half_a_turn_puts_it_upside_down(model, split):
    shown = answer(model, split, turn=180)
    np.testing.assert_allclose(shown.image, split.images[0, 0].flip(0, 1), atol=1e-3)


def test_black_on_white_swaps_the_ends_of_the_range(model, split):
    ink = split.images[0].max()
    shown = answer(model, split, invert=True, right=14)
    assert shown.image[0, 0] == pytest.approx(float(ink), abs=1e-5)  # white, moved in or not
    shown = answer(model, split, invert=True)
    np.testing.assert_allclose(shown.image, ink + BLACK - split.images[0, 0], atol=1e-4)


def test_the_model_keeps_its_mode(model, split):
    model.train()
    answer(model, split)
    assert model.training


def test_the_sentence_says_answer_confidence_and_verdict():
    probabilities = np.array([0.1, 0.7, 0.2])
    image = np.zeros((2, 2))
    assert digits.sentence(digits.Answer(image, 1, probabilities)) == (
        "the network says 1 (≈ 0.70): right"
    )
    assert digits.sentence(digits.Answer(image, 2, probabilities)) == (
        "the network says 1 (≈ 0.70): wrong, the label is 2"
    )


def test_the_explorer_shows_another_digit_and_another_turn(model, split):
    explorer = digits.explorer(model, split, black=BLACK)
    assert explorer.controls["digit"].max == 1
    pictures = {explorer.png}
    for name, value in [("digit", 1), ("turn", 45), ("right", 5), ("invert", True)]:
        explorer.controls[name].value = value
        pictures.add(explorer.png)
    assert len(pictures) == 5
