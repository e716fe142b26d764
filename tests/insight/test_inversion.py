import pytest
import torch
from torch import nn

from cnncourse.insight import inversion
from cnncourse.insight.inversion import Prior


def linear(weights):
    """A model whose logits are weighted sums of the pixels of one (1, 4, 4) picture."""
    model = nn.Sequential(nn.Flatten(), nn.Linear(16, len(weights), bias=False))
    with torch.no_grad():
        model[1].weight.copy_(weights.flatten(1))
    return model


@pytest.fixture
def board():
    return (torch.arange(16).reshape(1, 4, 4) + torch.arange(4)[:, None]) % 2 * 2.0 - 1


SHAPE = (1, 4, 4)


def test_of_a_linear_unit_the_best_picture_is_white_where_its_weights_are_above_0(board):
    model = linear(torch.stack([board, -board]))
    found, path = inversion.maximise(model, layer="1", unit=0, shape=SHAPE, steps=80, lr=0.2)
    assert found.shape == SHAPE
    assert torch.equal(found > 0.5, board > 0)
    assert found[board > 0].min() > 0.9
    assert path[-1] > 0.9 * 8 > path[0]
    assert len(path) == 80
    other, _ = inversion.maximise(model, layer="1", unit=1, shape=SHAPE, steps=80, lr=0.2)
    assert torch.equal(other > 0.5, board < 0)


def test_a_prior_has_its_effect(board):
    model = linear(board[None])

    def made(prior):
        settings = {"unit": 0, "shape": SHAPE, "steps": 60, "lr": 0.2, "prior": prior}
        return inversion.maximise(model, layer="1", **settings)[0]

    plain, smooth, gray = (
        made(prior) for prior in (Prior(), Prior(total_variation=30), Prior(l2=300))
    )
    assert inversion.total_variation(smooth) < 0.3 * inversion.total_variation(plain)
    assert (gray - 0.5).abs().mean() < 0.3 * (plain - 0.5).abs().mean()
    moved = made(Prior(jitter_px=2))  # half the shifts turn the board around: it averages out
    assert (moved - 0.5).abs().mean() < (plain - 0.5).abs().mean()


def test_the_mean_of_a_map_is_a_units_answer():
    model = nn.Sequential(nn.Conv2d(1, 2, 1, bias=False))
    with torch.no_grad():
        model[0].weight.copy_(torch.tensor([1.0, -1.0]).reshape(2, 1, 1, 1))
    found, path = inversion.maximise(model, layer="0", unit=1, shape=SHAPE, steps=40, lr=0.2)
    assert path[-1] == pytest.approx(-found.mean().item(), abs=0.02)
    assert found.max() < 0.1


def test_the_path_is_what_was_asked_for_without_the_priors_price():
    model = nn.Sequential(nn.Conv2d(1, 1, 1, bias=False))
    with torch.no_grad():
        model[0].weight.fill_(2.0)
    settings = {"layer": "0", "unit": 0, "shape": SHAPE, "steps": 1}
    plain = inversion.maximise(model, **settings)[1]
    priced = inversion.maximise(model, **settings, prior=Prior(total_variation=9, l2=9))[1]
    assert plain == priced
    start = (0.1 * torch.randn(1, *SHAPE, generator=torch.Generator().manual_seed(0))).sigmoid()
    assert plain == [pytest.approx(2 * start.mean().item())]  # the mean, not the maximum


def test_the_picture_is_moved_to_either_side_and_as_the_seed_says():
    class Place(nn.Module):
        """A logit that says where on a ramp the first pixel came from."""

        def forward(self, x):
            seen.append(x.detach()[0, 0])
            return x.mean(dim=(2, 3))

    def shifts(seed):
        seen.clear()
        settings = {"unit": 0, "shape": (1, 5, 5), "steps": 30, "lr": 1e-9, "seed": seed}
        inversion.maximise(nn.Sequential(Place()), layer="0", prior=Prior(jitter_px=2), **settings)
        start = 0.1 * torch.randn(1, 1, 5, 5, generator=torch.Generator().manual_seed(seed))
        original = start.sigmoid()[0, 0]
        every = [(down, across) for down in range(-2, 3) for across in range(-2, 3)]
        return [
            next(by for by in every if torch.allclose(original.roll(by, (0, 1)), picture))
            for picture in seen
        ]

    seen: list[torch.Tensor] = []
    first = shifts(0)
    for axis in (0, 1):
        assert {by[axis] for by in first} == {-2, -1, 0, 1, 2}
    assert shifts(0) == first != shifts(1)


def test_a_layer_that_keeps_everything_gives_the_picture_back(board):
    torch.manual_seed(0)
    model = linear(torch.linalg.qr(torch.randn(16, 16)).Q.reshape(16, 4, 4))
    image = 0.5 + 0.3 * board
    found, path = inversion.invert(model, image, layer="1", steps=300, lr=0.1)
    assert (found - image).abs().max() < 0.05
    assert path[-1] < 1e-3 < path[0]


def test_what_a_layer_threw_away_does_not_come_back(board):
    model = linear(torch.ones(1, 4, 4))  # the sum alone
    image = 0.5 + 0.3 * board
    found, path = inversion.invert(model, image, layer="1", steps=200, lr=0.05)
    assert path[-1] < 1e-4
    start = (0.1 * torch.randn(1, 1, 4, 4, generator=torch.Generator().manual_seed(0))).sigmoid()
    far = ((start.sum() - image.sum()) / image.sum()) ** 2  # a share of our answer's square
    assert path[0] == pytest.approx(far.item(), rel=1e-3)
    assert (found - image).abs().mean() > 0.2


def test_total_variation_by_hand():
    assert inversion.total_variation(torch.tensor([[[[0.0, 1], [3, 3]]]])) == 2.5 + 0.5
    assert inversion.total_variation(torch.ones(1, 3, 4, 4)) == 0


def test_the_seed_decides_and_the_model_is_left_as_it_was(board):
    model = linear(board[None]).train()
    model[1].weight.grad = torch.ones(1, 16)
    settings = {"layer": "1", "unit": 0, "shape": SHAPE, "steps": 3, "prior": Prior(jitter_px=1)}
    with torch.no_grad():
        made = [inversion.maximise(model, **settings, seed=seed)[0] for seed in (0, 0, 1)]
    assert torch.equal(made[0], made[1])
    assert not torch.equal(made[0], made[2])
    assert not made[0].requires_grad
    assert model.training
    assert model[1].weight.grad.eq(1).all()
    assert not any(part._forward_hooks for part in model.modules())


def test_what_cannot_be_is_refused(board, refused):
    model = linear(board[None])
    for unit in (1, -1, 0.5):
        with refused(f"unit={unit}: layer '1' has units 0 to 0. Try: unit=0."):
            inversion.maximise(model, layer="1", unit=unit, shape=SHAPE, steps=1)
    with refused("steps=0: must be a whole number, 1 or more. Try: steps=1."):
        inversion.maximise(model, layer="1", unit=0, shape=SHAPE, steps=0)
    with refused("jitter_px=-1: must be a whole number, 0 or more. Try: jitter_px=0."):
        inversion.maximise(
            model, layer="1", unit=0, shape=SHAPE, steps=1, prior=Prior(jitter_px=-1)
        )
    names = "Try: [name for name, _ in model.named_modules()]."
    with refused(f"'head': Sequential has no such layer. {names}"):
        inversion.invert(model, board.relu(), layer="head", steps=1)
    for shape in ((4, 4), (1, 1, 4, 4)):
        with refused(f"shape={shape}: must be (C, H, W). Try: shape=(3, 96, 96)."):
            inversion.maximise(model, layer="1", unit=0, shape=shape, steps=1)
    with refused("height=0: must be a whole number, 1 or more. Try: height=1."):
        inversion.maximise(model, layer="1", unit=0, shape=(1, 0, 4), steps=1)
    for changed, sentence in (
        ({"lr": -1}, "lr=-1: must be a number from 0 to 1000. Try: lr=0.05."),
        (
            {"prior": Prior(l2=float("nan"))},
            "l2=nan: must be a number from 0 to 1e+09. Try: l2=1.0.",
        ),
        (
            {"prior": Prior(total_variation=-1)},
            "total_variation=-1: must be a number from 0 to 1e+09. Try: total_variation=1.0.",
        ),
        ({"seed": None}, "seed=None: must be a whole number, 0 or more. Try: seed=0."),
        (
            {"shape": (1, 5, 5)},
            "layer '1' (Linear) expects 16 features, gets 25: the images are 1x5x5. "
            "Try: in_features=25, or other images.",
        ),
    ):
        with refused(sentence):
            options = {"layer": "1", "unit": 0, "shape": SHAPE, "steps": 1} | changed
            inversion.maximise(model, **options)
    with refused("image (1, 1, 4, 4): must be (C, H, W). Try: images[0]."):
        inversion.invert(model, board[None], layer="1", steps=1)
    with refused(
        "image from -1.00 to 1.00: must be pixels from 0 to 1, before standardising. "
        "Try: the pixels, and attacks.OnPixels(model, mean, std)."
    ):
        inversion.invert(model, board, layer="1", steps=1)
    with refused("images (4, 4) int64: must be floats (..., H, W). Try: images.float() / 255."):
        inversion.total_variation(torch.ones(4, 4).long())


def test_a_layer_behind_a_cut_is_refused(refused):
    class Cut(nn.Module):
        def forward(self, x):
            return x.detach()

    with refused(
        "image: the layer does not depend on it. "
        "Try: a model whose forward has no torch.no_grad() and no detach()."
    ):
        inversion.maximise(nn.Sequential(Cut()), layer="0", unit=0, shape=SHAPE, steps=1)


def test_a_climb_begins_where_the_model_is_and_in_numbers_of_its_kind(board):
    elsewhere = nn.Conv2d(1, 1, 1, device="meta")
    assert inversion.faint_noise(elsewhere, SHAPE, seed=0).device.type == "meta"
    model = linear(board[None]).double()
    found, _ = inversion.maximise(model, layer="1", unit=0, shape=SHAPE, steps=2)
    assert found.dtype == torch.float64


@pytest.mark.parametrize("shape", [(1, 1, 1), (1, 1, 4), (1, 4, 1)])
def test_one_row_or_column_has_no_neighbours_to_be_like(shape):
    model = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())
    options = {"layer": "1", "unit": 0, "shape": shape, "steps": 2}
    found, path = inversion.maximise(model, prior=Prior(total_variation=1e-3), **options)
    assert found.isfinite().all()
    assert path[1] > path[0]
    assert inversion.total_variation(torch.tensor([[1.0, 3.0]])) == 2
