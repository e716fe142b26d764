import pytest
import torch
import torchvision
from torch import nn
from torch.nn import functional as F
from torchvision.models import GoogLeNet_Weights

from cnncourse.models import googlenet as ours
from cnncourse.models.googlenet import (
    BLOCKS,
    PAPER,
    TORCHVISION,
    GoogLeNet,
    Inception,
    InceptionAux,
    NaiveInception,
    Widths,
)
from cnncourse.trace import trace

TOY = {"3a": Widths(4, 4, 6, 2, 4, 2), "4a": Widths(4, 2, 4, 2, 4, 4), "4b": Widths(*[4] * 6)}


def theirs(**options):
    return torchvision.models.GoogLeNet(init_weights=False, **options)


def toy(build=TORCHVISION, **options):
    options = {"blocks": TOY, "stem_widths": (4, 4, 8), "heads_after": ("3a",)} | options
    return GoogLeNet(build, num_classes=3, dropout=0.0, **options)


# --- torchvision's --------------------------------------------------------------------------------


@pytest.mark.parametrize("transform_input", [False, True])
@pytest.mark.parametrize("aux_logits", [False, True])
def test_googlenet_is_torchvisions(aux_logits, transform_input, equal_to):
    options = {"aux_logits": aux_logits, "transform_input": transform_input, "num_classes": 7}
    sizes = [(65, 81), (47, 97)]
    equal_to(ours.googlenet(**options), theirs(**options), sizes=sizes, batch_size=3)


def test_googlenet_is_torchvisions_at_its_crop(equal_to):
    equal_to(ours.googlenet(), theirs(), sizes=[(224, 224)], batch_size=1, train=False)


@pytest.mark.parametrize(("aux_logits", "count"), [(False, 6_624_904), (True, 13_004_888)])
def test_googlenet_has_torchvisions_parameters(aux_logits, count, parameters):
    with torch.device("meta"):
        model, other = (f(aux_logits=aux_logits) for f in (ours.googlenet, theirs))
    assert parameters(model) == parameters(other) == count
    if not aux_logits:
        assert count == GoogLeNet_Weights.IMAGENET1K_V1.meta["num_params"]


def test_a_pass_costs_what_torchvision_says():
    with torch.device("meta"):
        model = ours.googlenet()
    expected = GoogLeNet_Weights.IMAGENET1K_V1.meta["_ops"]
    assert trace(model).macs / 1e9 == pytest.approx(expected, abs=1e-3)


def test_train_mode_answers_three_times_in_torchvisions_order():
    names = torchvision.models.GoogLeNetOutputs._fields
    assert ours.Outputs._fields == names == ("logits", "aux_logits2", "aux_logits1")
    model = ours.googlenet(num_classes=5).train()
    outputs = model(torch.randn(2, 3, 64, 64))
    assert type(outputs) is ours.Outputs
    assert [part.shape for part in outputs] == [(2, 5)] * 3
    earlier = outputs.aux_logits1.sum()
    earlier.backward()
    reached = {name.split(".")[0] for name, p in model.named_parameters() if p.grad is not None}
    assert {"aux1", "inception4a"} <= reached  # and nothing behind 4a
    assert not {"aux2", "inception4b", "fc"} & reached


@pytest.mark.parametrize(("mode", "aux_logits"), [(False, True), (False, False), (True, False)])
def test_logits_come_alone_in_eval_mode_or_without_heads(mode, aux_logits):
    model = ours.googlenet(num_classes=5, aux_logits=aux_logits).train(mode)
    assert model(torch.randn(2, 3, 64, 64)).shape == (2, 5)


@pytest.mark.parametrize("kind", [nn.Conv2d, nn.Linear])
def test_weights_begin_as_torchvisions_do(kind):
    torch.manual_seed(0)
    models = [ours.googlenet(num_classes=9), torchvision.models.GoogLeNet(9, init_weights=True)]
    for model in models:
        weights = torch.cat([m.weight.flatten() for m in model.modules() if isinstance(m, kind)])
        assert weights.std().item() == pytest.approx(0.01, rel=0.01)
        assert abs(weights.mean().item()) < 1e-4
        outside = (weights.abs() > 0.02).float().mean().item()
        assert outside == pytest.approx(0.0455, abs=0.001)  # a normal distribution, not cut at 2


def test_dropout_has_torchvisions_shares():
    drops = [
        (m.dropout.p, m.aux1.dropout.p, m.aux2.dropout.p) for m in (ours.googlenet(), theirs())
    ]
    assert drops[0] == drops[1] == (0.2, 0.7, 0.7)


def test_feature_extraction_sees_every_block():
    from torchvision.models.feature_extraction import create_feature_extractor

    model = ours.googlenet(num_classes=5, aux_logits=False).eval()
    extractor = create_feature_extractor(model, ["inception3a", "inception5b"])
    maps = extractor(torch.zeros(1, 3, 224, 224))
    assert [m.shape for m in maps.values()] == [(1, 256, 28, 28), (1, 1024, 7, 7)]


# --- the paper's ----------------------------------------------------------------------------------


@pytest.mark.parametrize(("aux_logits", "count"), [(False, 6_998_552), (True, 13_378_280)])
def test_googlenet_2014_has_the_parameters_of_table_1(aux_logits, count, parameters):
    with torch.device("meta"):
        assert parameters(ours.googlenet_2014(aux_logits=aux_logits)) == count


# Szegedy et al. 2014, Table 1, "output size": side and channels.
TABLE_1 = {
    "conv1": (112, 64), "maxpool1": (56, 64), "conv3": (56, 192), "maxpool2": (28, 192),
    "inception3a": (28, 256), "inception3b": (28, 480), "maxpool3": (14, 480),
    "inception4a": (14, 512), "inception4b": (14, 512), "inception4c": (14, 512),
    "inception4d": (14, 528), "inception4e": (14, 832), "maxpool4": (7, 832),
    "inception5a": (7, 832), "inception5b": (7, 1024), "avgpool": (1, 1024),
}  # fmt: skip


@pytest.mark.parametrize("builder", [ours.googlenet, ours.googlenet_2014])
def test_every_part_gives_the_size_of_table_1(builder):
    sizes = {}
    with torch.device("meta"):
        model = builder()
        for name in TABLE_1:
            model.get_submodule(name).register_forward_hook(
                lambda _, __, maps, name=name: sizes.update({name: (maps.shape[2], maps.shape[1])})
            )
        model.eval()(torch.zeros(1, 3, 224, 224))
    assert sizes == TABLE_1
    assert list(sizes) == list(TABLE_1)


def test_the_longest_way_has_22_layers_with_parameters():
    with torch.device("meta"):
        model = ours.googlenet_2014(aux_logits=False)
    blocks = sum(2 for step in model.steps if step.startswith("inception"))  # a reduction, a kernel
    stem = sum(isinstance(model.get_submodule(step), ours.BasicConv2d) for step in model.steps)
    assert stem + blocks + 1 == 22  # and the linear layer


def test_the_paper_has_biases_and_response_normalisation_and_no_batch_normalisation():
    with torch.device("meta"):
        model = ours.googlenet_2014()
    kinds = [type(module) for module in model.modules()]
    assert nn.BatchNorm2d not in kinds
    assert kinds.count(nn.LocalResponseNorm) == 2
    assert all(m.bias is not None for m in model.modules() if isinstance(m, nn.Conv2d))
    assert model.steps[:7] == ["conv1", "maxpool1", "norm1", "conv2", "conv3", "norm2", "maxpool2"]
    sides = {block: model.get_submodule(f"inception{block}.branch3.1.conv") for block in BLOCKS}
    assert {conv.kernel_size for conv in sides.values()} == {(5, 5)}
    assert (model.dropout.p, model.aux1.dropout.p) == (0.4, 0.7)
    assert model.maxpool4.kernel_size == 3


def test_response_normalisation_is_alexnets():
    maps = torch.rand(1, 8, 2, 2) * 30
    window = F.pad(maps, (0, 0, 0, 0, 2, 2))
    squares = sum(window[:, c : c + 8] ** 2 for c in range(5))
    expected = maps / (2 + 1e-4 * squares) ** 0.75  # Krizhevsky et al. 2012, section 3.3
    assert torch.allclose(ours.response_norm()(maps), expected, rtol=1e-5)


def test_the_two_builds_agree_where_the_paper_was_not_changed():
    """A 3x3 kernel in the middle of a 5x5 one, batch normalisation that changes nothing."""
    torch.manual_seed(0)
    widths = Widths(4, 3, 5, 2, 6, 3)
    paper = Inception(7, widths, batch_norm=False)
    changed = Inception(7, widths, kernel_5x5=3, batch_norm=True).eval()
    with torch.no_grad():
        for name, conv in paper.named_modules():
            if isinstance(conv, nn.Conv2d):
                conv.bias.zero_()
                other = changed.get_submodule(name)
                if conv.weight.shape[-1] == 5:
                    conv.weight[..., [0, 4], :] = conv.weight[..., [0, 4]] = 0
                    other.weight.copy_(conv.weight[..., 1:4, 1:4])
                else:
                    other.weight.copy_(conv.weight)
                changed.get_submodule(name.removesuffix("conv") + "bn").eps = 0.0
    maps = torch.randn(2, 7, 9, 11)
    assert torch.allclose(paper(maps), changed(maps), atol=1e-6)


def test_a_signal_survives_22_layers_without_batch_normalisation():
    torch.manual_seed(0)
    model = ours.googlenet_2014(num_classes=10, aux_logits=False).eval()
    logits = model(torch.randn(4, 3, 96, 96))
    spread = (logits - logits.mean(0)).abs().mean().item()
    assert 1e-3 < spread < 10
    model.apply(lambda m: isinstance(m, nn.Conv2d) and nn.init.trunc_normal_(m.weight, std=0.01))
    faint = model(torch.randn(4, 3, 96, 96))
    assert (faint - faint.mean(0)).abs().mean().item() < 1e-6  # what 0.01 would have done


def test_a_head_of_the_paper_averages_5x5_windows_with_stride_3():
    head = InceptionAux(6, 4, batch_norm=False, paper_pool=True, dropout=0.0).eval()
    maps = torch.randn(2, 6, 14, 14)
    seen = []
    head.conv.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    head(maps)
    assert seen[0].shape == (2, 6, 4, 4)
    assert torch.allclose(seen[0][:, :, 1, 2], maps[:, :, 3:8, 6:11].mean((2, 3)), atol=1e-6)


def test_a_head_of_the_paper_refuses_another_map(refused):
    model = ours.googlenet_2014(num_classes=3)
    with refused(
        "map (6, 14): the paper's auxiliary heads average a map of 14 to 16 px, that of images of "
        "223 to 270 px. Try: aux_logits=False."
    ):
        model.train()(torch.zeros(2, 3, 96, 224))
    assert model.eval()(torch.zeros(2, 3, 96, 224)).shape == (2, 3)


@pytest.mark.parametrize(("side", "fits"), [(222, False), (223, True), (270, True), (271, False)])
def test_heads_of_the_paper_take_images_of_223_to_270_px(side, fits):
    with torch.device("meta"):
        model = toy(PAPER, heads_after=("4a",)).train()
        images = torch.zeros(2, 3, side, side)
        if fits:
            assert model(images).aux_logits1.shape == (2, 3)
        else:
            with pytest.raises(ValueError, match="a map of 14 to 16 px"):
                model(images)


# --- the blocks -----------------------------------------------------------------------------------


def test_the_table_gives_each_block_what_the_one_before_has():
    assert [widths.out_channels for widths in BLOCKS.values()] == [
        256, 480, 512, 512, 512, 528, 832, 832, 1024,
    ]  # fmt: skip


def test_an_inception_block_is_four_paths_side_by_side():
    torch.manual_seed(0)
    block = Inception(5, Widths(2, 3, 4, 3, 6, 7), batch_norm=False)
    maps = torch.randn(2, 5, 8, 6)
    convs = {name: m for name, m in block.named_modules() if isinstance(m, nn.Conv2d)}

    def conv(name, x):
        weight = convs[name].weight
        return F.conv2d(x, weight, convs[name].bias, padding=weight.shape[-1] // 2).relu()

    paths = [
        conv("branch1.conv", maps),
        conv("branch2.1.conv", conv("branch2.0.conv", maps)),
        conv("branch3.1.conv", conv("branch3.0.conv", maps)),
        conv("branch4.1.conv", F.max_pool2d(maps, 3, 1, 1)),
    ]
    assert torch.allclose(block(maps), torch.cat(paths, dim=1), atol=1e-6)
    assert block(maps).shape == (2, 2 + 4 + 6 + 7, 8, 6)


def weights(block):
    return sum(p.numel() for p in block.parameters() if p.ndim == 4)


def test_3a_has_163328_weights_and_387072_without_reductions():
    with torch.device("meta"):
        reduced = Inception(192, BLOCKS["3a"], batch_norm=False)
        naive = NaiveInception(192, BLOCKS["3a"], batch_norm=False)
    assert (weights(reduced), weights(naive)) == (163_328, 387_072)
    macs = [trace(block, (1, 192, 28, 28)).macs for block in (reduced, naive)]
    assert macs == [784 * 163_328, 784 * 387_072]
    assert round(macs[1] / macs[0], 2) == 2.37


def test_a_naive_block_hands_all_its_input_on():
    block = NaiveInception(5, Widths(2, 3, 4, 3, 6, 7), batch_norm=True)
    maps = torch.randn(2, 5, 8, 8)
    out = block(maps)
    assert out.shape == (2, 2 + 4 + 6 + 5, 8, 8)
    assert torch.equal(out[:, -5:], F.max_pool2d(maps, 3, 1, 1))


def test_a_toy_of_two_stages_runs_with_one_head():
    model = toy().train()
    outputs = model(torch.randn(2, 3, 40, 50))
    assert outputs.logits.shape == outputs.aux_logits1.shape == (2, 3)
    assert outputs.aux_logits2 is None
    pools = [step for step in model.steps if "pool" in step]
    assert pools == ["maxpool1", "maxpool2", "maxpool3"]


# --- what they take -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "model",
    [
        pytest.param(lambda: ours.googlenet(aux_logits=False), id="torchvision"),
        pytest.param(lambda: ours.googlenet_2014(aux_logits=False), id="paper"),
        pytest.param(lambda: toy(aux_logits=False), id="toy"),
    ],
)
def test_the_smallest_image_has_a_last_map_of_2x2(model):
    with torch.device("meta"):
        model = model().eval()
        sides = []
        model.avgpool.register_forward_hook(lambda _, inputs, __: sides.append(inputs[0].shape[2]))
        model(torch.zeros(1, 3, model.smallest_px, model.smallest_px + 1))
        model.smallest_px -= 1  # what is refused
        model(torch.zeros(1, 3, model.smallest_px, model.smallest_px + 1))
    assert sides[0] >= 2 > sides[1]


def test_too_small_an_image_is_refused(refused):
    with refused(
        "image (28, 28): GoogLeNet needs 47 px a side or more, or its last map has fewer than 2x2 "
        "positions. Try: F.interpolate(images, size=(47, 47))."
    ):
        ours.googlenet(in_channels=1)(torch.zeros(1, 1, 28, 28))


@pytest.mark.parametrize("builder", [ours.googlenet, ours.googlenet_2014])
def test_channels_and_classes_can_be_chosen(builder):
    model = builder(in_channels=1, num_classes=4).eval()
    assert model(torch.zeros(2, 1, 64, 64)).shape == (2, 4)


def test_only_colours_can_be_moved_to_other_means(refused):
    with refused(
        "in_channels=1: the three means it knows are of red, green and blue. "
        "Try: transform_input=False."
    ):
        ours.googlenet(in_channels=1, transform_input=True)


def test_a_block_of_an_unknown_head_is_refused(refused):
    with refused("'3b': unknown block. Did you mean '4b'? Known: 3a, 4a, 4b."):
        toy(heads_after=("3b",))
