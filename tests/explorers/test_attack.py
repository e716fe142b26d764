import numpy as np
import pytest
import torch
from torch import nn

from cnncourse.data import Split
from cnncourse.explorers import attack
from cnncourse.explorers.attack import AWAY, METHODS, attacked, draw, sentence

CLASSES = ("left", "right", "none")


def model():
    """Says on which half of a 4 x 4 picture there is more light; class 2 where there is none."""
    net = nn.Sequential(nn.Flatten(), nn.Linear(16, 3))
    left = torch.tensor([1.0, 1, -1, -1]).repeat(4)
    with torch.no_grad():
        net[1].weight.copy_(torch.stack([left, -left, torch.zeros(16)]))
        net[1].bias.copy_(torch.tensor([0.0, 0.0, 0.1]))
    return net


@pytest.fixture
def split():
    images = torch.full((3, 1, 4, 4), 0.5)
    images[0, :, :, :2] += 0.05
    images[1, :, :, 2:] += 0.05
    return Split(images, torch.tensor([0, 1, 2]))


def seen(split, *, picture=0, method="FGSM, one step", eps_255=25.5, target=AWAY):
    options = {"method": method, "eps_255": eps_255, "target": target}
    return attacked(model(), split, CLASSES, picture=picture, **options)


@pytest.mark.parametrize("method", METHODS)
def test_every_pixel_of_a_linear_model_moves_by_eps_against_the_label(split, method):
    shown = seen(split, method=method)
    change = torch.tensor([-0.1, -0.1, 0.1, 0.1]).expand(1, 4, 4)
    torch.testing.assert_close(shown.after - shown.before, change)
    assert shown.answers == (0, 1)
    expected = model()(torch.stack([shown.before, shown.after])).softmax(dim=1)
    np.testing.assert_allclose(shown.probabilities, expected.detach().numpy(), atol=1e-6)


def test_strength_0_changes_nothing(split):
    shown = seen(split, eps_255=0)
    assert torch.equal(shown.before, shown.after)
    assert shown.answers == (0, 0)
    draw(shown)


def test_a_target_is_what_the_network_then_says(split):
    assert seen(split, target="right").answers == (0, 1)
    assert seen(split, picture=1, target="left").answers == (1, 0)
    torch.testing.assert_close(
        seen(split, target="right").after, seen(split).after
    )  # of left and right, away from one is towards the other


def test_an_unknown_method_and_target_are_refused(split, refused):
    with refused("'FGSM': unknown method. Known: FGSM, one step, PGD, 10 steps."):
        seen(split, method="FGSM")
    with refused(
        f"'rigth': unknown target. Did you mean 'right'? Known: {AWAY}, left, right, none."
    ):
        seen(split, target="rigth")


def test_names_that_are_not_as_many_as_the_classes_are_refused(split, refused):
    for names in (CLASSES[:2], (*CLASSES, "fourth")):
        options = {"picture": 0, "method": "FGSM, one step", "eps_255": 8, "target": AWAY}
        with refused(
            f"classes: {len(names)} names for a model of 3 classes. Try: classes=range(3)."
        ):
            attacked(model(), split, names, **options)


def test_before_change_and_after_are_on_the_page(split):
    page = draw(seen(split)).canvas
    before = page.getpixel((2 * 12, 2 * 60))  # left half
    after = page.getpixel((2 * 456, 2 * 60))
    assert before == (round(255 * 0.55),) * 3
    assert after == (round(255 * 0.45),) * 3
    darker, brighter = (page.getpixel((2 * x, 2 * 60)) for x in (234, 426))
    assert darker == (213, 94, 0)
    assert brighter == (0, 114, 178)


def test_the_sentence_says_what_was_done_and_both_answers(split):
    assert sentence(seen(split)) == (
        "FGSM, one step, away from the label, no pixel by more than 25.5/255 (it used ≈ 26): the "
        "network says ≈ left (≈ 0.46) before and ≈ right (≈ 0.70) after; the label is left"
    )
    assert ", towards right, " in sentence(seen(split, target="right"))


def test_every_control_changes_words_and_picture(split):
    result = attack.explorer(model(), split, CLASSES, method="FGSM, one step")
    seen = {(result.words, result.png)}
    for name, value in (("picture", 1), ("eps_255", 40), ("picture", 2), ("target", "right")):
        result.controls[name].value = value
        seen.add((result.words, result.png))
    assert len({words for words, _ in seen}) == len({png for _, png in seen}) == 5
    result.controls["method"].value = "PGD, 10 steps"
    assert result.words.startswith("PGD, 10 steps, towards right, no pixel by more than 40/255")
    assert repr(result).startswith("Attack(picture=2, method='PGD, 10 steps', eps_255=40")


def test_colour_pictures_are_shown_in_colour():
    images = torch.zeros(1, 3, 4, 4)
    images[:, 0] = 1
    net = nn.Sequential(nn.Flatten(), nn.Linear(48, 3))
    options = {"method": "FGSM, one step", "eps_255": 0, "target": AWAY}
    shown = attacked(net, Split(images, torch.tensor([0])), CLASSES, picture=0, **options)
    assert draw(shown).canvas.getpixel((2 * 100, 2 * 100)) == (255, 0, 0)
