"""The solutions of the lesson on seeing inside against the package, on random sizes."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from cnncourse.exercises import compiled
from cnncourse.exercises.seeing_inside import (
    ATTACK,
    CANDIDATES,
    EXPLANATIONS,
    FIND_UNIT,
    GRAD_CAM,
    LISTENS,
    TEMPERATURE,
)
from cnncourse.insight import cam, features
from cnncourse.insight.attacks import OnPixels, fgsm
from cnncourse.insight.calibration import fit_temperature


def solution(exercise):
    return compiled(exercise.solution_code, exercise.name)


@settings(max_examples=25, deadline=None)
@given(
    count=st.integers(1, 5), side=st.integers(2, 6), eps=st.floats(0, 0.5), seed=st.integers(0, 99)
)
def test_the_mended_attack_is_fgsm_on_pixels(count, side, eps, seed):
    torch.manual_seed(seed)
    model = nn.Sequential(nn.Flatten(), nn.Linear(side**2, 3), nn.Tanh(), nn.Linear(3, 3))
    images, labels = torch.rand(count, 1, side, side), torch.randint(3, (count,))
    expected = fgsm(OnPixels(model, 0.3, 0.2), images, labels, eps_255=255 * eps)
    changed = solution(ATTACK)(model, images, labels, eps, 0.3, 0.2)
    torch.testing.assert_close(changed, expected, atol=1e-6, rtol=0)


def test_the_faulty_attack_reaches_only_a_share_of_what_it_may():
    case = ATTACK.case(0)
    changed = compiled(ATTACK.stub, ATTACK.name)(*case)
    assert (changed - case[1]).abs().max().item() == pytest.approx(0.3081 * case[3], abs=1e-6)


def test_the_cases_go_below_black_and_above_white_where_nothing_clamps():
    unclamped = compiled(ATTACK.wrong[0].code, ATTACK.name)
    results = [unclamped(*ATTACK.case(number)) for number in range(ATTACK.cases)]
    assert min(result.min() for result in results) < 0
    assert max(result.max() for result in results) > 1


@pytest.mark.parametrize("factor", [0.5, 1.0, 2.0, 4.0])
def test_the_best_candidate_is_the_nearest_to_the_best_of_all(factor):
    torch.manual_seed(0)
    logits = 2 * torch.randn(4000, 3)
    labels = torch.multinomial(logits.softmax(dim=1), 1)[:, 0]
    best = solution(TEMPERATURE)(factor * logits, labels, CANDIDATES)
    assert best == factor
    assert fit_temperature(factor * logits, labels) == pytest.approx(factor, rel=0.1)


def test_every_candidate_but_the_outermost_is_an_answer():
    answers = {solution(TEMPERATURE)(*TEMPERATURE.case(n)) for n in range(TEMPERATURE.cases)}
    assert len(answers) >= 4


def test_the_formula_of_grad_cam_is_the_packages():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(1, 5, 3), nn.Tanh(), nn.Flatten(), nn.Linear(5 * 16, 3))
    image = torch.rand(1, 1, 6, 6)
    maps = model[:2](image)
    (slopes,) = torch.autograd.grad(model[2:](maps)[0, 2], maps)
    expected = cam.grad_cam(model, image, 2, layer="1")
    torch.testing.assert_close(solution(GRAD_CAM)(maps[0].detach(), slopes[0]), expected[0])


def test_the_four_explanations_give_all_four_pairs_of_answers():
    answers = [solution(LISTENS)(*LISTENS.case(number)) for number in range(len(EXPLANATIONS))]
    assert answers == [(True, True), (False, False), (True, False), (False, True)]


def test_the_unit_found_for_its_favourite_class_is_as_selective_as_the_package_says():
    """The most selective unit of all, asked for its own class, is found."""
    for number in range(1, 60):
        maps, labels, _wanted = FIND_UNIT.case(number)
        share, favourite = features.selectivity(maps.mean(dim=(2, 3)), labels)
        best = int(share.argmax())
        assert solution(FIND_UNIT)(maps, labels, int(favourite[best])) == best
