import itertools
import re

import pytest
import torch
from torch import nn

from cnncourse.arithmetic import ReceptiveField
from cnncourse.explorers import architecture
from cnncourse.explorers.architecture import Box, Place
from cnncourse.trace import Row, Trace, trace


def a_row(name: str, kind: str = "Conv2d", shape: tuple[int, ...] = (1, 8, 4, 4), **figures) -> Row:
    figures = {"parameters": 0, "macs": 0, "activation_bytes": 0, "field": None} | figures
    return Row(name, kind, shape, **figures)


def a_box(*rows: Row) -> Box:
    return Box(rows, architecture.summed("box", rows))


def a_net() -> nn.Sequential:
    """Two stages by name and by size, then a head."""
    return nn.Sequential(
        nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU()),
        nn.Sequential(nn.MaxPool2d(2), nn.Conv2d(8, 16, 3, padding=1), nn.ReLU()),
        nn.Sequential(nn.Flatten(), nn.Linear(16 * 16, 5)),
    )


def small(**options):
    return architecture.explorer(a_net(), input_shape=(1, 3, 8, 8), **options)


def set_all(made, **values) -> None:
    for name, value in values.items():
        made.controls[name].value = value


# --- boxes ----------------------------------------------------------------------------------------


def test_a_row_has_the_side_of_its_map_and_as_many_channels():
    for shape, side, channels in (
        ((1, 8, 5, 4), 5, 8),
        ((1, 8, 9), 1, 8),
        ((1, 10), 1, 10),
        ((), 1, 1),
    ):
        row = a_row("a", shape=shape)
        assert (architecture.side(row), architecture.channels(row)) == (side, channels)


@pytest.mark.parametrize(
    ("kind", "family"),
    [
        ("Conv2d", "convolution"),
        ("TableConv2d", "convolution"),
        ("AdaptiveAvgPool2d", "pool"),
        ("Subsampling", "pool"),
        ("BatchNorm2d", "normalisation"),
        ("LocalResponseNorm", "normalisation"),
        ("Linear", "full connection"),
        ("ReLU", "other"),
    ],
)
def test_a_kind_has_its_family(kind, family):
    assert architecture.family(a_box(a_row("a", kind))) == family


def test_a_box_of_many_has_the_family_of_the_costliest():
    rows = a_row("a", "BatchNorm2d", parameters=9), a_row("b", "Conv2d", macs=3), a_row("c", "ReLU")
    assert architecture.family(a_box(*rows)) == "convolution"
    assert architecture.family(a_box(rows[2], rows[0])) == "normalisation"


def test_families_differ_in_letter_or_fill_and_in_stroke_or_lightness():
    families = architecture.FAMILIES.values()
    assert len({family.letter for family in families}) == len(families)
    assert len({(family.stroke, family.fill == "#FFFFFF") for family in families}) == len(families)


def test_layers_blocks_and_stages_hold_the_same_rows():
    found = trace(a_net(), (1, 3, 8, 8))
    names = {
        detail: [box.sums.name for box in architecture.boxes_of(found, detail)]
        for detail in architecture.DETAILS
    }
    assert names["layers"] == ["0.0", "0.1", "0.2", "1.0", "1.1", "1.2", "2.0", "2.1"]
    assert names["blocks"] == names["layers"]  # few enough
    assert names["stages"] == ["0.0 to 0.2", "1.0 to 1.2", "2.0 to 2.1"]
    for detail in architecture.DETAILS:
        boxes = architecture.boxes_of(found, detail)
        assert sum(box.sums.parameters for box in boxes) == found.parameters
        assert [row for box in boxes for row in box.rows] == list(found.rows)


def test_blocks_take_as_many_parts_of_the_names_as_give_few_boxes(monkeypatch):
    rows = [a_row(f"{i}.{j}.{k}") for i in range(2) for j in range(3) for k in range(4)]
    for most, level in ((24, 3), (23, 2), (6, 2), (5, 1), (1, 1)):
        monkeypatch.setattr(architecture, "MOST_BLOCKS", most)
        assert architecture.block_level(Trace(tuple(rows))) == level


def test_what_never_ran_is_no_part_of_a_stage():
    net = a_net()
    net[2].add_module("spare", nn.Linear(2, 2))
    net[2].forward = lambda x, head=net[2]: head[1](head[0](x))
    boxes = architecture.boxes_of(trace(net, (1, 3, 8, 8)), "stages")
    assert [box.sums.name for box in boxes][-2:] == ["2.0 to 2.1", "2.spare"]
    assert boxes[-1].sums.output_shape == ()


# --- places ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("count", [1, 8, 40, 200, 760])
def test_boxes_stand_inside_their_part_of_the_page_and_apart(count):
    rows = [a_row(str(i), shape=(1, 2 ** (i % 11), 2 ** (i % 9), 3)) for i in range(count)]
    places = architecture.places([a_box(row) for row in rows])
    lines: dict[float, list[Place]] = {}
    for place in places:
        assert place.x >= architecture.LEFT_PX
        assert place.x + place.width <= architecture.WIDTH_PX - architecture.LEFT_PX
        assert place.y >= architecture.TOP_PX + 17  # room for words
        assert place.y + place.height <= architecture.TOP_PX + architecture.BOXES_PX
        assert place.width >= 4
        assert place.height > 2
        lines.setdefault(round(place.y + place.height, 3), []).append(place)
    for line in lines.values():
        for one, other in itertools.pairwise(line):
            assert one.x + one.width < other.x
    bottoms = sorted(lines)
    for bottom, below in itertools.pairwise(bottoms):
        assert min(place.y for place in lines[below]) > bottom + 17


def test_height_is_the_map_and_width_the_channels():
    shapes = [(1, 8, 64, 64), (1, 8, 8, 8), (1, 64, 8, 8), (1, 64)]
    large, low, wide, flat = architecture.places([a_box(a_row("a", shape=s)) for s in shapes])
    assert large.height > low.height == wide.height > flat.height
    assert large.width == low.width < wide.width == flat.width
    # 64 px are the whole height, 8 px half of the logarithm, one pixel none of it: 1, 0.6, 0.2
    assert low.height / large.height == pytest.approx(0.6)
    assert flat.height / large.height == pytest.approx(0.2)


def test_a_click_meets_the_box_it_is_on_or_above_and_no_other():
    found = [Place(10, 50, 20, 100), Place(40, 130, 20, 20), Place(10, 180, 30, 60)]
    for point, box in (
        ((15, 60), 0),
        ((8, 151), 0),
        ((45, 140), 1),
        ((45, 60), 1),  # above a low one
        ((20, 200), 2),
        ((34, 60), None),
        ((500, 60), None),
        ((15, 20), None),
        ((15, 260), None),
    ):
        assert architecture.box_at(found, *point) == box


# --- what is said ---------------------------------------------------------------------------------


def test_the_card_has_the_figures_of_the_row():
    field = ReceptiveField(1_043, 32, -5)
    row = a_row("a", parameters=250, macs=1_500, activation_bytes=2**20, field=field)
    other = a_row("b", parameters=750, macs=1_500)
    traced = architecture.Trace((row, other))
    shown = architecture.Shown("Net", "layers", architecture.boxes_of(traced, "layers"), 0, traced)
    assert architecture.card(shown) == [
        ("output", "1×8×4×4"),
        ("parameters", "250 (25.0 %)"),
        ("MACs", "1,500 (50.0 %)"),
        ("memory", "1,048,576 bytes (1.00 MiB)"),
        ("a unit sees", "1,043 px, in steps of 32"),
        ("note", "–"),
    ]
    assert architecture.sentence(shown) == (
        "Net, layers, 1 of 2: a (Conv2d); output 1×8×4×4; parameters 250 (25.0 %); "
        "MACs 1,500 (50.0 %); memory 1,048,576 bytes (1.00 MiB); "
        "a unit sees 1,043 px, in steps of 32"
    )


def test_a_network_without_parameters_has_shares_of_nothing():
    made = architecture.explorer(nn.ReLU(), input_shape=(1, 3, 8, 8))
    assert "parameters 0 (0 %); MACs 0 (0 %)" in made.words


def test_words_that_are_too_long_are_cut():
    assert architecture.fitting("abcdef", 6) == "abcdef"
    assert architecture.fitting("abcdefg", 6) == "abcde…"


# --- controls -------------------------------------------------------------------------------------


def test_every_layer_can_be_chosen_and_changes_picture_and_words():
    made = small()
    slider = made.controls["layer"]
    assert (slider.min, slider.max, slider.value) == (1, 8, 1)
    seen = set()
    for layer in range(1, 9):
        slider.value = layer
        assert made.words.startswith(f"Sequential, blocks, {layer} of 8: ")
        seen.add(made.png)
    assert len(seen) == 8


def test_another_detail_keeps_the_layer():
    made = small()
    set_all(made, layer=5)
    assert "1.1 (Conv2d)" in made.words
    set_all(made, detail="stages")
    assert made.words.startswith("Sequential, stages, 2 of 3: 1.0 to 1.2 (3 rows)")
    assert made.controls["layer"].max == 3
    set_all(made, detail="layers")
    assert made.words.startswith("Sequential, layers, 4 of 8: 1.0 (MaxPool2d)")


def test_another_model_begins_at_its_first_layer():
    nets = {"one": a_net(), "<two>": nn.Sequential(nn.Conv2d(3, 4, 3), nn.Conv2d(4, 4, 3))}
    made = architecture.explorer(nets, input_shape=(2, 3, 8, 8))
    set_all(made, layer=7, model="<two>")
    assert made.words.startswith("<two>, blocks, 1 of 2: 0 (Conv2d); output 2×4×6×6")
    assert "<two>" not in made.message.value
    assert made.controls["layer"].max == 2


def test_a_click_chooses_a_box_and_beside_them_nothing():
    made = small()
    clicks = made.children[-1]
    assert isinstance(clicks, architecture.Clicks)
    boxes = architecture.boxes_of(trace(a_net(), (1, 3, 8, 8)), "blocks")
    for index, place in reversed(list(enumerate(architecture.places(boxes)))):
        x, y = place.x + place.width / 2, place.y + place.height / 2
        clicks.place = [x / architecture.WIDTH_PX, y / architecture.HEIGHT_PX, index]
        assert made.controls["layer"].value == index + 1
    clicks.place = [0.5, 0.95, 99]
    assert made.controls["layer"].value == 1


def test_a_place_beyond_the_page_or_a_part_of_one_chooses_nothing():
    made = small()
    for place in ([-1, -1, 1], [2, 2, 2], []):
        made.children[-1].place = place
        assert made.controls["layer"].value == 1


def test_a_layer_that_is_not_there_is_refused(refused):
    drawing = architecture.Map({"Net": lambda: trace(a_net(), (1, 3, 8, 8))})
    with refused("layer=9: Net has 8 layers. Try: layer=8."):
        drawing.shown("Net", "layers", 9)
    with refused("layer=0: must be a whole number, 1 or more. Try: layer=1."):
        drawing.shown("Net", "layers", 0)


def test_a_model_that_does_not_take_the_input_is_refused_at_once():
    with pytest.raises(ValueError, match=re.escape("layer '2.1' (Linear) expects 256 features")):
        architecture.explorer(a_net(), input_shape=(1, 3, 9, 12))


def test_no_models_are_refused(refused):
    with refused("model={}: has no network. Try: architecture.explorer()."):
        architecture.explorer({})


# --- the course's networks ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        ("SimpleCNN", 421_642),
        ("LeNet-5", 60_000),
        ("AlexNet", 61_100_840),
        ("AlexNet, 2012", 60_965_224),
        ("VGG-16", 138_357_544),
        ("VGG-19", 143_667_240),
        ("GoogLeNet", 13_004_888),
        ("GoogLeNet, 2014", 13_378_280),
        ("ResNet-18", 11_689_512),
        ("ResNet-152", 60_192_808),
        ("EfficientNet-B0", 5_288_548),
        ("EfficientNet-B7", 66_347_960),
    ],
)
def test_a_network_of_the_course_is_shown_at_every_detail(name, parameters):
    assert architecture.traced_by_name(name).parameters == parameters
    made = architecture.explorer()
    set_all(made, model=name)
    for detail in architecture.DETAILS:
        set_all(made, detail=detail, layer=made.controls["layer"].max)
        assert made.words.startswith(f"{name}, {detail}, ")
        if detail != "layers":
            assert made.controls["layer"].max <= architecture.MOST_BLOCKS


def test_deep_networks_have_stages_that_fit_the_eye():
    made = architecture.explorer()
    set_all(made, model="ResNet-152", detail="stages")
    assert made.controls["layer"].max == 6
    set_all(made, model="EfficientNet-B7")
    assert made.controls["layer"].max <= 8


def test_the_networks_take_no_memory_and_no_random_numbers(monkeypatch):
    built = {}
    monkeypatch.setattr(architecture, "trace", lambda model, shape: built.update({shape: model}))
    torch.manual_seed(0)
    drawn = torch.rand(3)
    torch.manual_seed(0)
    for name in ("LeNet-5", "VGG-16", "EfficientNet-B7"):
        architecture.traced_by_name.__wrapped__(name)
    assert torch.equal(torch.rand(3), drawn)
    devices = [{x.device.type for x in model.parameters()} for model in built.values()]
    assert devices == [{"cpu"}, {"meta"}, {"meta"}]
