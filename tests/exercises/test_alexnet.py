"""The solutions of the lesson on AlexNet against torch, torchvision and both networks."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F
from torchvision.transforms import functional as transforms

from cnncourse import arithmetic
from cnncourse.exercises import compiled
from cnncourse.exercises.alexnet import (
    ASPECTS,
    DIFFERENCES,
    FULL_SIZE,
    OTHER_LIGHT,
    RESPONSE_NORM,
    TEN_PATCHES,
    looker,
    verdict,
)
from cnncourse.models.alexnet import alexnet, alexnet_2012


def solution(exercise):
    return compiled(exercise.solution_code, exercise.name)


# --- a size that windows fill ---------------------------------------------------------------------


@settings(max_examples=100)
@given(kernel_size=st.integers(1, 12), stride=st.integers(1, 6), more=st.integers(0, 60))
def test_a_full_size_is_the_next_at_which_no_pixel_is_left(kernel_size, stride, more):
    def left_over(size):
        windows = arithmetic.output_size(size, kernel_size=kernel_size, stride=stride)
        return size - kernel_size - (windows - 1) * stride

    full = solution(FULL_SIZE)(kernel_size + more, kernel_size, stride)
    assert left_over(full) == 0
    assert all(left_over(size) > 0 for size in range(kernel_size + more, full))


def test_the_first_case_is_the_paper_s():
    assert FULL_SIZE.case(0) == (224, 11, 4)
    assert solution(FULL_SIZE)(224, 11, 4) == 227


# --- local response normalisation -----------------------------------------------------------------


@settings(max_examples=60)
@given(
    channels=st.integers(1, 9),
    n=st.sampled_from([1, 3, 5, 7]),
    alpha=st.floats(1e-5, 2),
    beta=st.floats(0.1, 2),
    k=st.floats(0.5, 3),
    seed=st.integers(0, 99),
)
def test_the_normalisation_is_torchs_with_n_times_alpha(channels, n, alpha, beta, k, seed):
    maps = 9 * np.random.default_rng(seed).normal(size=(channels, 2, 3))
    theirs = F.local_response_norm(
        torch.from_numpy(maps)[None], n, alpha=n * alpha, beta=beta, k=k
    )[0]
    np.testing.assert_allclose(solution(RESPONSE_NORM)(maps, k, n, alpha, beta), theirs)


def test_it_is_the_first_normalisation_of_the_network():
    maps = 100 * np.random.default_rng(0).random((8, 3, 3))
    with torch.device("meta"):
        layer = alexnet_2012().features[2]
    expected = layer(torch.from_numpy(maps)[None])[0]
    np.testing.assert_allclose(solution(RESPONSE_NORM)(maps, 2, 5, 1e-4, 0.75), expected)


@pytest.mark.parametrize("constant", [{"k": 1}, {"alpha": 0}, {"beta": 0.75}, {"n": 5}])
def test_a_constant_that_is_not_listened_to_is_wrong(constant):
    right = solution(RESPONSE_NORM)

    def deaf(maps, k, n, alpha, beta):
        return right(**({"maps": maps, "k": k, "n": n, "alpha": alpha, "beta": beta} | constant))

    assert RESPONSE_NORM.check(deaf).kind == "wrong"


# --- ten patches ----------------------------------------------------------------------------------


@settings(max_examples=40)
@given(
    size_px=st.integers(1, 4),
    down=st.integers(0, 3),
    right=st.integers(0, 3),
    seed=st.integers(0, 99),
)
def test_the_patches_are_torchvisions_ten_crop(size_px, down, right, seed):
    rng = np.random.default_rng(seed)
    image = rng.normal(size=(3, size_px + 2 * down, size_px + 2 * right))
    network = looker((3, size_px, size_px), 4, seed)
    patches = torch.stack(transforms.ten_crop(torch.from_numpy(image), size_px))
    expected = torch.from_numpy(network(patches.numpy())).softmax(dim=1).mean(dim=0)
    np.testing.assert_allclose(solution(TEN_PATCHES)(image, size_px, network), expected)


def test_large_logits_are_no_trouble():
    image = np.random.default_rng(0).normal(size=(1, 6, 6))
    answer = solution(TEN_PATCHES)(image, 2, lambda patches: 1e4 * patches[:, 0, 0])
    assert answer.sum() == pytest.approx(1)


def test_the_order_of_the_patches_does_not_matter():
    def mirrored_first(image, size_px, network):
        return solution(TEN_PATCHES)(image[:, :, ::-1], size_px, network)

    assert TEN_PATCHES.check(mirrored_first).kind == "right"


# --- another light --------------------------------------------------------------------------------


@settings(max_examples=30)
@given(seed=st.integers(0, 99))
def test_light_moves_all_pixels_by_one_colour_along_the_components(seed):
    picture, values, vectors, draws = OTHER_LIGHT.case(seed)
    change = solution(OTHER_LIGHT)(picture, values, vectors, draws) - picture
    np.testing.assert_allclose(change, np.broadcast_to(change[0, 0], picture.shape), atol=1e-12)
    np.testing.assert_allclose(vectors.T @ change[0, 0], draws * values, atol=1e-9)


def test_a_sum_over_the_components_is_as_good_as_a_product():
    def by_loop(picture, eigenvalues, eigenvectors, draws):
        result = picture.copy()
        for value, vector, draw in zip(eigenvalues, eigenvectors.T, draws, strict=True):
            result += vector * value * draw
        return result

    assert OTHER_LIGHT.check(by_loop).kind == "right"


# --- torchvision's differences --------------------------------------------------------------------


@pytest.fixture(scope="module")
def networks():
    torch.manual_seed(0)
    return alexnet_2012(num_classes=2), alexnet(num_classes=2)


def parts(network: nn.Module, kind: type) -> list:
    return [part for part in network.modules() if isinstance(part, kind)]


def test_what_differs_is_what_the_two_networks_say(networks):
    def differ(look):
        paper, theirs = (look(network) for network in networks)
        return paper != theirs

    looks = {
        "widths": lambda net: [part.out_channels for part in parts(net, nn.Conv2d)],
        "groups": lambda net: [part.groups for part in parts(net, nn.Conv2d)],
        "normalisation": lambda net: len(parts(net, nn.LocalResponseNorm)),
        "padding": lambda net: net.features[0].padding,
        "averaging": lambda net: len(parts(net, nn.AdaptiveAvgPool2d)),
        "dropout": lambda net: [type(part).__name__ for part in net.classifier],
        "start": lambda net: [len(part.bias.unique()) for part in parts(net, nn.Conv2d)],
        "relu": lambda net: len(parts(net, nn.ReLU)),
        "pooling": lambda net: [repr(part) for part in parts(net, nn.MaxPool2d)],
        "depth": lambda net: len(parts(net, nn.Conv2d | nn.Linear)),
        "hidden": lambda net: [part.out_features for part in parts(net, nn.Linear)],
    }
    assert {name: differ(look) for name, look in looks.items()} == ASPECTS


@pytest.mark.parametrize("kind", [list, tuple, frozenset, set])
def test_any_collection_of_the_right_names_is_right(kind):
    names = kind(name for name, differs in ASPECTS.items() if differs)
    assert DIFFERENCES.check(lambda: names).kind == "right"


@pytest.mark.parametrize(
    ("named", "told"),
    [
        ({"widths", "relu"}, "1 of 7 differences, and 1 that are none"),
        (["groups", "groups"], "1 of 7 differences, and 0 that are none"),
    ],
)
def test_names_are_counted_once(named, told):
    assert verdict(lambda: named, ()) == told


def test_what_is_no_set_of_known_names_is_told_in_words():
    assert "return a set of names" in DIFFERENCES.check(lambda: "widths").text
    assert "return a set of names" in DIFFERENCES.check(lambda: 7).text
    assert "['stride']: unknown. Known: widths" in DIFFERENCES.check(lambda: {"stride"}).text
