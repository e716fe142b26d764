import pytest

from cnncourse.explorers import scaling
from cnncourse.models.efficientnet import VARIANTS
from cnncourse.models.efficientnet_cost import cost


def test_it_opens_at_b0():
    assert scaling.explorer().words == (
        "width 1.00, depth 1.00, 224 px: 16 blocks, 5,288,548 parameters, 0.386 billion MACs, "
        "1.00 times B0's"
    )


def test_phi_moves_all_three_factors_by_the_rule():
    explorer = scaling.explorer()
    explorer.controls["phi"].value = 7
    values = {name: control.value for name, control in explorer.controls.items()}
    assert values == {"phi": 7, "width": 1.95, "depth": 3.58, "resolution_px": 596}
    assert explorer.words.startswith("width 1.95, depth 3.58, 596 px: 61 blocks, 69,161,240 ")
    explorer.controls["phi"].value = 0
    assert explorer.words == scaling.explorer().words


def test_a_factor_moved_by_itself_stays():
    explorer = scaling.explorer(phi=2)
    explorer.controls["width"].value = 2.0
    explorer.controls["resolution_px"].value = 300
    assert explorer.controls["width"].value == 2.0
    assert explorer.words.startswith("width 2.00, depth 1.44, 300 px: ")


@pytest.mark.parametrize("control", ["phi", "width", "depth", "resolution_px"])
def test_every_control_goes_to_both_ends_and_changes_the_picture(control):
    explorer = scaling.explorer(phi=3)
    pictures = {explorer.png}
    for end in ("min", "max"):
        explorer.controls[control].value = getattr(explorer.controls[control], end)
        assert "alert" not in explorer.message.value
        pictures.add(explorer.png)
    assert len(pictures) == 3


def test_the_numbers_beside_the_plot_are_those_of_the_network():
    row = VARIANTS["efficientnet_b7"]
    facts = dict(scaling.facts(scaling.network(7, *row[:3])))
    assert facts["parameters"] == "66,347,960"
    assert facts["MACs"] == "37.746 billion"
    assert facts["blocks"] == "55"
    assert facts["depth × width² × resolution²"] == f"{3.1 * 4 * (600 / 224) ** 2:.2f}"


def test_the_plot_is_logarithmic_and_keeps_what_is_beyond_it_at_its_rim():
    small, large = cost(1.0, 1.0, 224), cost(3.0, 6.0, 800)
    twice = small._replace(macs=2 * small.macs, parameters=2 * small.parameters)
    fourfold = small._replace(macs=4 * small.macs, parameters=4 * small.parameters)
    (x0, y0), (x1, y1), (x2, y2) = map(scaling.place, (small, twice, fourfold))
    assert x1 - x0 == pytest.approx(x2 - x1)
    assert y0 - y1 == pytest.approx(y1 - y2) != 0
    assert scaling.place(large)[0] == scaling.LEFT + scaling.WIDE


def test_width_and_depth_alone_cost_the_same_and_resolution_adds_no_parameters():
    ways = scaling.ways()
    assert len({round(y, 6) for _, y in ways["resolution alone"]}) == 1
    assert len({len(path) for path in ways.values()}) == 1
    ends = {name: path[-1][0] for name, path in ways.items()}
    assert max(ends.values()) - min(ends.values()) < 0.15 * scaling.WIDE


def test_a_block_is_a_bar_and_more_blocks_reach_further():
    page = scaling.Sketch(840, 440)
    ends = [
        scaling.draw_blocks(page, cost(1.0, depth, 224), 490, 260, color="#000000")
        for depth in (1.0, 2.0)
    ]
    assert 490 < ends[0] < ends[1] < 840


def test_the_largest_network_fits_on_the_page():
    page = scaling.Sketch(840, 440)
    assert scaling.draw_blocks(page, cost(2.5, 4.0, 800), 490, 400, color="#000000") < 840


def test_a_width_of_zero_is_refused(refused):
    with refused("width=0.0: must be above 0. Try: width=1."):
        scaling.network(0, 0.0, 1.0, 224)
