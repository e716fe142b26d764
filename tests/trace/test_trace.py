import random
import time
from functools import cache

import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode
from torchvision import models

from cnncourse.arithmetic import ReceptiveField
from cnncourse.models.googlenet import googlenet_2014
from cnncourse.models.simple import SimpleCNN
from cnncourse.trace import Trace, trace

LAST_FIELDS = {
    "alexnet": ReceptiveField(195, 32, -66),
    "vgg16": ReceptiveField(212, 32, -90),
    "vgg19": ReceptiveField(268, 32, -118),
    "resnet18": ReceptiveField(435, 32, -217),
    "resnet34": ReceptiveField(899, 32, -449),
    "resnet50": ReceptiveField(427, 32, -213),
    "resnet101": ReceptiveField(971, 32, -485),
    "resnet152": ReceptiveField(1451, 32, -725),
}
OTHERS = (
    *("googlenet", "efficientnet_b0", "mobilenet_v3_large", "vit_b_16", "swin_t"),
    *("convnext_tiny", "densenet121", "shufflenet_v2_x1_0", "squeezenet1_1", "mnasnet1_0"),
)


def on_meta(name: str, **options) -> nn.Module:
    with torch.device("meta"):
        return models.get_model(name, **options)


def oracle(name: str) -> nn.Module:
    return on_meta(name, init_weights=False) if name == "googlenet" else on_meta(name)


@cache
def traced(name: str) -> Trace:
    return trace(oracle(name))


# --- against torchvision --------------------------------------------------------------------------


@pytest.mark.parametrize("name", [*LAST_FIELDS, *OTHERS])
def test_totals_are_torchvisions_own(name):
    found = traced(name)
    weights = models.get_model_weights(name).IMAGENET1K_V1
    assert found.parameters == found.trainable == sum(x.numel() for x in oracle(name).parameters())
    assert abs(found.macs / 1e9 - weights.meta["_ops"]) < 1e-3
    assert (found.unknown, found.note) == ((), "")


@pytest.mark.parametrize(("name", "field"), LAST_FIELDS.items())
def test_the_last_map_sees_what_is_known_of_it(name, field):
    maps = [row.field for row in traced(name).rows if row.field]
    assert maps[-1] == field


def test_vgg_16_holds_the_values_that_it_is_known_to_hold():
    found = traced("vgg16")
    image, again = 3 * 224**2, 512 * 7 * 7  # the adaptive pool copies a map of its own size
    assert found.activation_bytes == 4 * (15_237_608 - image + again)


def test_heads_that_run_in_training_alone_are_counted_and_said():
    rows = {row.name: row for row in traced("googlenet").rows}
    assert rows["aux1.fc2"].note == rows["aux2.fc2"].note == "never ran"
    assert rows["aux1.fc2"].parameters == 1024 * 1000 + 1000
    assert sum(row.macs for name, row in rows.items() if name.startswith("aux")) == 0


def test_stages_add_up_to_the_model():
    whole = traced("resnet18")
    stages = whole.grouped().rows
    assert [row.name for row in stages[4:8]] == ["layer1", "layer2", "layer3", "layer4"]
    assert [row.output_shape[1:] for row in stages[4:8]] == [
        (64, 56, 56),
        (128, 28, 28),
        (256, 14, 14),
        (512, 7, 7),
    ]
    assert sum(row.parameters for row in stages) == 11_689_512


# --- against a run on numbers ---------------------------------------------------------------------


def a_stack(rng: random.Random) -> tuple[nn.Module, tuple[int, ...]]:
    """Layers that fit each other, in one to three dimensions, and the shape that they take."""
    axes = rng.choice([1, 2, 2, 3])
    channels = rng.choice([2, 4])
    shape = (rng.randint(1, 3), channels, *(rng.randint(9, 14) for _ in range(axes)))
    kinds = {
        1: (nn.Conv1d, nn.ConvTranspose1d, nn.BatchNorm1d, nn.MaxPool1d),
        2: (nn.Conv2d, nn.ConvTranspose2d, nn.BatchNorm2d, nn.MaxPool2d),
        3: (nn.Conv3d, nn.ConvTranspose3d, nn.BatchNorm3d, nn.MaxPool3d),
    }
    conv, transposed, norm, pool = kinds[axes]
    layers: list[nn.Module] = []
    for _ in range(rng.randint(1, 4)):
        groups, width = rng.choice([1, 2]), rng.choice([2, 4, 6])
        convolution = rng.choice([conv, conv, transposed])
        size, bias = rng.randint(1, 3), rng.random() < 0.5
        layers.append(
            convolution(
                channels, width, size, rng.randint(1, 2), size // 2, groups=groups, bias=bias
            )
        )
        channels = width
        layers.append(rng.choice([norm(channels), nn.ReLU(), nn.GELU(), pool(2, 1)]))
    layers += [nn.Flatten(), nn.LazyLinear(5)]
    net = nn.Sequential(*layers).eval()
    net(torch.zeros(shape))  # gives the last layer its shape
    return net, shape


@pytest.mark.parametrize("seed", range(40))
def test_a_random_stack_has_the_shapes_and_costs_of_a_real_run(seed):
    torch.manual_seed(seed)
    net, shape = a_stack(random.Random(seed))
    shapes = []
    for layer in net:
        layer.register_forward_hook(lambda _m, _a, output: shapes.append(tuple(output.shape)))
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        net(torch.zeros(shape))
    real = list(shapes)
    found = trace(net, shape)
    assert [row.output_shape for row in found.rows] == real
    assert 2 * found.macs == counter.get_total_flops()
    per_layer = counter.get_flop_counts()
    for row in found.rows:
        assert 2 * row.macs == sum(per_layer.get(f"Sequential.{row.name}", {}).values())


def test_simple_cnn_row_by_row():
    rows = trace(SimpleCNN(), (1, 1, 28, 28)).rows
    assert [(row.kind, row.output_shape[1:], row.parameters, row.macs) for row in rows] == [
        ("Conv2d", (32, 28, 28), 320, 225_792),
        ("ReLU", (32, 28, 28), 0, 0),
        ("MaxPool2d", (32, 14, 14), 0, 0),
        ("Conv2d", (64, 14, 14), 18_496, 3_612_672),
        ("ReLU", (64, 14, 14), 0, 0),
        ("MaxPool2d", (64, 7, 7), 0, 0),
        ("Flatten", (3136,), 0, 0),
        ("Linear", (128,), 401_536, 401_408),
        ("ReLU", (128,), 0, 0),
        ("Dropout", (128,), 0, 0),
        ("Linear", (10,), 1_290, 1_280),
    ]
    assert [row.field.size for row in rows if row.field] == [3, 3, 4, 8, 8, 10]


def test_macs_and_memory_are_for_the_whole_batch():
    one, five = (trace(SimpleCNN(), (count, 1, 28, 28)) for count in (1, 5))
    assert (five.macs, five.activation_bytes) == (5 * one.macs, 5 * one.activation_bytes)
    assert five.parameters == one.parameters == 421_642


# --- what it leaves and what it takes -------------------------------------------------------------


def state(model: nn.Module) -> list:
    """All that a trace could change."""
    hooks = [
        len(module._forward_hooks) + len(module._forward_pre_hooks) for module in model.modules()
    ]
    modes = [module.training for module in model.modules()]
    held = [*model.parameters(), *model.buffers()]
    return [hooks, modes, [id(x) for x in held], [x._version for x in held]]


def a_net() -> nn.Sequential:
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Dropout(), nn.Flatten())
    net.append(nn.Linear(4 * 36, 2))
    net[1].eval()  # as where a backbone is frozen
    return net


@pytest.mark.parametrize("size", [8, 9])  # the second fails in the last layer
def test_the_model_is_left_as_it_was(size):
    net = a_net()
    before, values = state(net), [x.clone() for x in (*net.parameters(), *net.buffers())]
    torch.manual_seed(0)
    drawn = torch.rand(3)
    torch.manual_seed(0)
    try:
        trace(net, (2, 3, size, size))
    except ValueError:
        assert size == 9
    assert state(net) == before
    for value, now in zip(values, (*net.parameters(), *net.buffers()), strict=True):
        assert torch.equal(value, now)
    assert torch.equal(torch.rand(3), drawn)  # nor the random numbers
    assert torch.is_grad_enabled()
    assert torch.backends.mha.get_fastpath_enabled()
    assert torch.zeros(1).device.type == "cpu"


def test_training_mode_changes_nothing_in_a_trace():
    net = a_net()
    assert trace(net.train(), (2, 3, 8, 8)) == trace(net.eval(), (2, 3, 8, 8))


def test_layers_meet_no_numbers():
    net, met = a_net(), set()
    for layer in net:
        layer.register_forward_hook(
            lambda module, args, output: met.update(
                x.device.type for x in (*args, output, *module.parameters())
            )
        )
    trace(net, (2, 3, 8, 8))
    assert met == {"meta"}


def test_a_batch_that_fits_no_memory_is_traced():
    found = trace(a_net(), (10**9, 3, 8, 8))
    assert found.rows[0].activation_bytes == 4 * 10**9 * 4 * 36


def test_a_resnet_50_is_traced_in_a_second():
    model = oracle("resnet50")
    took = []
    for _ in range(3):
        started = time.process_time()
        trace(model)
        took.append(time.process_time() - started)
    assert min(took) < 1


# --- what needs numbers ---------------------------------------------------------------------------


class NeedsNumbers(nn.Module):
    """Asks for a value, and counts its calls in a buffer."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(2, 3)
        self.register_buffer("calls", torch.zeros(()))

    def forward(self, x):
        self.calls += torch.rand(1).ceil().item()
        return self.layer(x) if x.sum().item() == 0 and self.calls.item() == 1 else x


def test_a_model_that_asks_for_values_runs_on_zeros_and_that_is_said():
    net = NeedsNumbers()
    torch.manual_seed(0)
    drawn = torch.rand(3)
    torch.manual_seed(0)
    found = trace(net, (1, 2))
    assert torch.equal(torch.rand(3), drawn)
    assert found.note == "run on zeros: the model needs numbers to run"
    assert [(row.name, row.macs) for row in found.rows] == [("layer", 6)]
    assert net.calls == 0


def test_a_tensor_that_is_not_registered_is_no_hindrance():
    class Scaled(nn.Module):
        def __init__(self):
            super().__init__()
            self.scale = torch.ones(4, 3)

        def forward(self, x):
            return x + self.scale.mean(0)

    assert trace(Scaled(), (1, 3)).rows[0].output_shape == (1, 3)


# --- what is refused ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("shape", "came"),
    [((1, 0), "(1, 0)"), ((), "()"), (5, "5"), ("abc", "'abc'"), ((1.0, 3), "(1.0, 3)")],
)
def test_a_shape_is_whole_numbers(shape, came, refused):
    rule = "must be whole numbers, 1 or more, the batch first"
    with refused(f"input_shape={came}: {rule}. Try: input_shape=(1, 3, 224, 224)."):
        trace(nn.ReLU(), shape)


def test_a_list_of_shapes_is_checked_one_by_one(refused):
    rule = "must be whole numbers, 1 or more, the batch first"
    sentence = f"input_shape=[(1, 2), (0,)]: {rule}. Try: input_shape=(1, 3, 224, 224)."
    with refused(sentence):
        trace(nn.ReLU(), [(1, 2), (0,)])


def test_what_is_no_module_is_refused(refused):
    sentence = "model=3: must be a torch.nn.Module. Try: trace(torch.nn.Conv2d(3, 8, 3))."
    with refused(sentence, TypeError):
        trace(3)


def test_what_cannot_be_watched_is_refused(refused):
    rule = "its layers cannot be watched. Try: the module that it was made from."
    with refused(f"model='DataParallel': {rule}", TypeError):
        trace(nn.DataParallel(nn.ReLU()))


def test_a_lazy_layer_is_refused(refused):
    with refused("model: a lazy layer has no shape yet. Try: run it once on a batch."):
        trace(nn.LazyLinear(3), (1, 2))


def test_a_layer_that_gets_something_else_is_named_with_both_numbers(refused):
    built = "Try: the input_shape that the model was built for."
    got = "expects 144 features, gets 196: its input is (1, 196)"
    with refused(f"layer '4' (Linear) {got}. {built}") as caught:
        trace(a_net(), (1, 3, 9, 9))
    assert isinstance(caught.value.__cause__, RuntimeError)
    got = "expects 3 channels, gets 1: its input is (1, 1, 8, 8)"
    with refused(f"layer '0' (Conv2d) {got}. {built}"):
        trace(a_net(), (1, 1, 8, 8))


def test_another_failure_has_the_layer_and_the_shape_and_no_inner_words(refused):
    said = "layer '1' (MaxPool2d) does not take (1, 192)"
    with refused(f"{said}. Try: the input_shape that the model was built for."):
        trace(nn.Sequential(nn.Flatten(), nn.MaxPool2d(2)), (1, 3, 8, 8))


def test_a_models_own_words_are_kept(refused):
    class Strict(nn.Module):
        def forward(self, x):
            raise ValueError("image (8, 8): too small. Try: 9.")

    with refused("image (8, 8): too small. Try: 9."):
        trace(Strict(), (1, 3, 8, 8))
    with refused("layer '1' (Strict): image (8, 8): too small. Try: 9."):
        trace(nn.Sequential(nn.ReLU(), Strict()), (1, 3, 8, 8))


def test_too_many_inputs_are_refused(refused):
    said = "model (ReLU) does not take (1, 2) and (1, 2)"
    with refused(f"{said}. Try: the input_shape that the model was built for."):
        trace(nn.ReLU(), [(1, 2), (1, 2)])


def test_a_model_on_meta_is_refused_without_a_second_run():
    calls = []

    class Counting(nn.Module):
        def __init__(self):
            super().__init__()
            self.w = nn.Parameter(torch.ones(1, device="meta"))

        def forward(self, x):
            calls.append(1)
            raise RuntimeError

    with pytest.raises(ValueError, match="Counting"):
        trace(Counting(), (1, 2))
    assert len(calls) == 1


def test_a_group_ends_with_what_its_module_gives_not_with_its_last_path():
    rows = {row.name: row for row in trace(googlenet_2014(aux_logits=False)).grouped().rows}
    last = rows["inception5b"]
    assert last.output_shape == (1, 1024, 7, 7)  # of all four paths
    assert last.field.size == 715  # of the widest
