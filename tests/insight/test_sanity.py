import math

import pytest
import torch
from scipy.stats import spearmanr
from torch import nn

from cnncourse.insight import sanity
from cnncourse.insight.gradients import per_pixel, saliency


@pytest.fixture
def model():
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(1, 8, 3, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(8 * 144, 3)
    )


def test_ranks_are_compared_as_scipy_does_ties_and_all(rng):
    maps = torch.tensor(rng.integers(0, 6, (4, 5, 7)), dtype=torch.float32)
    others = torch.tensor(rng.normal(size=(4, 5, 7)), dtype=torch.float32)
    others[0] = maps[0] ** 3  # another scale, the same order
    others[1] = -maps[1]
    ours = sanity.rank_correlation(maps, others)
    pairs = zip(maps, others, strict=True)
    theirs = [spearmanr(one.flatten(), other.flatten()).statistic for one, other in pairs]
    assert ours.tolist() == pytest.approx(theirs, abs=1e-12)
    assert ours[:2].tolist() == pytest.approx([1, -1])


def test_a_map_that_is_the_same_everywhere_has_no_order():
    found = sanity.rank_correlation(torch.ones(1, 2, 2), torch.arange(4.0).reshape(1, 2, 2))
    assert math.isnan(found.item())


def test_maps_of_two_shapes_are_refused(refused):
    with refused(
        "maps (1, 2, 2) and (1, 2, 3): must be (N, h, w) both. Try: per_pixel(attributions)."
    ):
        sanity.rank_correlation(torch.ones(1, 2, 2), torch.ones(1, 2, 3))


def test_redrawn_weights_keep_mean_and_spread_and_the_model_its_own(model):
    before = {name: x.clone() for name, x in model.state_dict().items()}
    twin = sanity.randomised(model, ["3"], seed=0)
    assert all(torch.equal(before[name], x) for name, x in model.state_dict().items())
    assert torch.equal(twin[0].weight, model[0].weight)
    assert not torch.equal(twin[3].weight, model[3].weight)
    assert twin[3].weight.std().item() == pytest.approx(model[3].weight.std().item(), rel=0.05)
    assert twin[3].weight.mean().item() == pytest.approx(0, abs=2e-3)
    assert torch.equal(sanity.randomised(model, ["3"], seed=0)[3].weight, twin[3].weight)
    assert not torch.equal(sanity.randomised(model, ["3"], seed=1)[3].weight, twin[3].weight)
    with torch.no_grad():
        model[3].weight.add_(5.0)  # such as a normalisation's scale, which is near 1
    moved = sanity.randomised(model, ["3"], seed=0)[3].weight
    assert moved.mean().item() == pytest.approx(5, abs=2e-3)
    whole = sanity.randomised(model, [""], seed=0)
    pairs = zip(whole.parameters(), model.parameters(), strict=True)
    assert not any(torch.equal(new, old) for new, old in pairs)


def test_a_tensor_of_one_number_is_redrawn_too_about_its_own_size():
    model = nn.Linear(1, 1)
    drawn = [sanity.randomised(model, [""], seed=seed).weight.item() for seed in range(20)]
    assert all(math.isfinite(value) for value in drawn)
    assert len(set(drawn)) == 20
    size = abs(model.weight.item())
    assert max(abs(value - model.weight.item()) for value in drawn) < 4 * size


def test_layers_of_the_same_shape_are_not_given_the_same_weights():
    model = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4))
    twin = dict(sanity.cascade(model, ["0", "1"], seed=0))["0"]
    one, other = ((x - x.mean()) / x.std() for x in (twin[0].weight, twin[1].weight))
    assert not torch.allclose(one, other, atol=0.1)


def test_the_cascade_goes_from_the_last_layer_down_and_keeps_what_it_drew(model):
    before = [model[0].weight.clone(), model[3].weight.clone()]
    steps = [
        (name, twin[0].weight.clone(), twin[3].weight.clone(), twin)
        for name, twin in sanity.cascade(model, ["0", "3"], seed=0)
    ]
    (top, *after_top, one), (bottom, *after_bottom, other) = steps
    assert (top, bottom) == ("3", "0")
    assert torch.equal(after_top[0], model[0].weight)
    assert not torch.equal(after_top[1], model[3].weight)
    assert torch.equal(after_top[1], after_bottom[1])
    assert not torch.equal(after_bottom[0], model[0].weight)
    assert one is other  # one copy at a time
    assert all(map(torch.equal, before, (model[0].weight, model[3].weight)))


def test_a_map_of_the_weights_falls_and_an_edge_detector_does_not(model):
    images = torch.randn(3, 1, 12, 12, generator=torch.Generator().manual_seed(1))
    methods = {
        "saliency": lambda net: per_pixel(saliency(net, images, 1)),
        "edges": lambda net: images[:, 0].diff(dim=1).abs(),  # asks no network
    }
    table = sanity.sanity_check(model, methods, ["0", "3"], seed=0)
    assert list(table["edges"]) == ["3", "0"]
    assert all(found.tolist() == pytest.approx([1, 1, 1]) for found in table["edges"].values())
    assert table["saliency"]["3"].shape == (3,)
    assert table["saliency"]["0"].abs().max() < 0.5


def test_an_unknown_layer_is_refused(model, refused):
    names = "Try: [name for name, _ in model.named_modules()]."
    with refused(f"'top': Sequential has no such layer. {names}"):
        list(sanity.cascade(model, ["top"], seed=0))


def test_one_name_for_a_list_and_layers_without_weights_are_refused(model, refused):
    """Of "12" the letters would be taken; a ReLU redrawn is the same ReLU, and would pass."""
    for ask in (
        lambda names: sanity.randomised(model, names, seed=0),
        lambda names: list(sanity.cascade(model, names, seed=0)),
    ):
        with refused("layers='03': must be a list. Try: layers=['03']."):
            ask("03")
        with refused(
            "layer '1' (ReLU) has no weights to redraw. "
            "Try: [name for name, _ in model.named_parameters()], less the last word of each."
        ):
            ask(["1"])


def test_maps_that_are_no_tensors_and_no_network_are_refused(model, refused):
    methods = {"numpy": lambda net: torch.ones(1, 2, 2).numpy()}
    with refused("maps of type ndarray: must be a tensor (N, h, w). Try: torch.tensor(maps)."):
        sanity.sanity_check(model, methods, ["3"], seed=0)
    with refused(
        "model of type NoneType: must be a torch.nn.Module. "
        "Try: model=cnncourse.models.simple.SimpleCNN().",
        TypeError,
    ):
        sanity.randomised(None, [""], seed=0)


def test_a_map_with_a_nan_has_no_order():
    maps = torch.tensor([[[1.0, 2], [3, float("nan")]]])
    assert math.isnan(sanity.rank_correlation(maps, torch.rand(1, 2, 2)).item())
