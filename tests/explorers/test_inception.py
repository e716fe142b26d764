import time
from dataclasses import dataclass

import pytest
import torch

from cnncourse.explorers import inception
from cnncourse.models.googlenet import BLOCKS, Inception, NaiveInception, Widths
from cnncourse.trace import trace

WIDTHS = {
    "conv_1x1": 2, "reduce_3x3": 3, "conv_3x3": 4, "reduce_5x5": 1, "conv_5x5": 5, "pool_proj": 6,
}  # fmt: skip


def own(*, reductions=True, in_channels=10, size_px=3, **changed):
    return inception.design("own", in_channels, size_px, reductions, **(WIDTHS | changed))


def preset(name, *, reductions=True):
    values = inception.presets()[name]
    return inception.design(name, reductions=reductions, **values)


# --- computed -------------------------------------------------------------------------------------


def test_the_weights_of_each_path_by_hand():
    assert [path.weights for path in own().paths] == [
        10 * 2,
        10 * 3 + 9 * 3 * 4,
        10 * 1 + 25 * 1 * 5,
        10 * 6,
    ]


def test_without_reductions_kernels_see_all_channels_and_the_pool_hands_them_on():
    shown = own(reductions=False)
    assert [path.weights for path in shown.paths] == [10 * 2, 9 * 10 * 4, 25 * 10 * 5, 0]
    assert shown.out_channels == 2 + 4 + 5 + 10
    assert shown.other_weights == own().weights
    assert own().other_weights == shown.weights


def test_every_weight_is_used_at_every_position():
    assert [path.macs for path in own(size_px=3).paths] == [
        9 * path.weights for path in own().paths
    ]


def test_memory_is_what_all_steps_give():
    channels = [2, 3 + 4, 1 + 5, 10 + 6]
    assert [path.bytes for path in own().paths] == [4 * 9 * count for count in channels]


def test_3a_is_the_papers():
    shown = preset("3a")
    naive = preset("3a", reductions=False)
    assert (shown.weights, naive.weights) == (163_328, 387_072)
    assert (shown.macs, naive.macs) == (784 * 163_328, 784 * 387_072)
    assert shown.out_channels == 256


@pytest.mark.parametrize("reductions", [True, False])
@pytest.mark.parametrize("name", BLOCKS)
def test_a_preset_costs_what_the_network_has(name, reductions):
    shown = preset(name, reductions=reductions)
    block = Inception if reductions else NaiveInception
    with torch.device("meta"):
        module = block(shown.in_channels, BLOCKS[name], batch_norm=False)
    traced = trace(module, (1, shown.in_channels, shown.size_px, shown.size_px))
    weights = sum(p.numel() for p in module.parameters() if p.ndim == 4)
    assert (shown.weights, shown.macs) == (weights, traced.macs)
    kernels_and_pool = [row for row in traced.rows if row.kind in ("Conv2d", "MaxPool2d")]
    assert shown.bytes == sum(row.activation_bytes for row in kernels_and_pool)


def test_the_presets_follow_one_another():
    table = inception.presets()
    assert list(table) == list(BLOCKS)
    for before, after in zip(list(table)[:-1], list(table)[1:], strict=True):
        assert table[after]["in_channels"] == BLOCKS[before].out_channels
    sizes = [values["size_px"] for values in table.values()]
    assert sizes == [28, 28, 14, 14, 14, 14, 14, 7, 7]


@pytest.mark.parametrize("name", ["in_channels", "size_px", "conv_5x5"])
def test_nothing_below_one_is_a_block(name, refused):
    with refused(f"{name}=0: must be a whole number, 1 or more. Try: {name}=1."):
        own(**{name: 0})


# --- wired ----------------------------------------------------------------------------------------


def values(explorer):
    return {name: explorer.controls[name].value for name in inception.presets()["3a"]}


def test_it_opens_with_3a():
    explorer = inception.explorer()
    assert values(explorer) == inception.presets()["3a"]
    assert explorer.words == (
        "block 3a on 192 channels of 28×28, with reductions: 163,328 weights, 128.0 million MACs, "
        "1.67 MiB of maps, 256 channels out; without them 387,072 weights, 2.37 times as many"
    )


@pytest.mark.parametrize("name", BLOCKS)
def test_a_preset_moves_all_sliders(name):
    explorer = inception.explorer()
    explorer.controls["conv_1x1"].value = 8
    explorer.controls["preset"].value = name
    assert values(explorer) == inception.presets()[name]
    assert explorer.words.startswith(f"block {name} on ")


def test_a_moved_slider_makes_the_block_your_own():
    explorer = inception.explorer()
    explorer.controls["conv_5x5"].value = 40
    assert explorer.controls["preset"].value == "own"
    assert explorer.words.startswith("own block on 192 channels")
    explorer.controls["preset"].value = "3a"
    assert explorer.controls["conv_5x5"].value == 32


def test_the_switch_keeps_the_preset():
    explorer = inception.explorer()
    explorer.controls["reductions"].value = False
    assert explorer.controls["preset"].value == "3a"
    assert "without reductions: 387,072 weights" in explorer.words
    assert "with them 163,328 weights, 0.42 times as many" in explorer.words


@dataclass
class Recorder:
    """Stands in for the page: keeps what is written, and how far bars reach."""

    written: list
    lines: list

    def text(self, x, y, words, **style):
        self.written.append((x, y, words))

    def line(self, points, *, color, line_px=1.5):
        self.lines.append((points, color, line_px))


@pytest.mark.parametrize("reductions", [True, False])
@pytest.mark.parametrize("name", ["3a", "5b"])
def test_bars_are_as_wide_as_their_channels_and_stay_in_their_column(name, reductions, monkeypatch):
    page = Recorder([], [])
    monkeypatch.setattr(inception, "Sketch", lambda *size: page)
    shown = preset(name, reductions=reductions)
    inception.draw(shown)
    bars = [points for points, _, line_px in page.lines if line_px == 18]
    assert all(end[0] <= inception.LEFT + inception.WIDTH for _, end in bars)
    steps = [step for path in shown.paths for step in path.steps]
    widths = [end[0] - start[0] + 2 for start, end in bars[1 : 1 + len(steps)]]
    most = max(step.channels for step in steps)
    for width, step in zip(widths, steps, strict=True):
        assert width == pytest.approx(max(4, inception.BAR * step.channels / most))
    said = [words for *_, words in page.written]
    assert f"{shown.weights:,}" in said
    shares = [f"{100 * path.macs / shown.macs:.0f} %" for path in shown.paths]
    assert [words for words in said if words.endswith(" %")] == [*shares, "100 %"]


def test_a_move_takes_no_longer_than_a_blink():
    explorer = inception.explorer()
    times = []
    for width in (96, 128, 160, 192, 96):
        started = time.process_time()
        explorer.controls["reduce_3x3"].value = width
        times.append(time.process_time() - started)
    assert min(times) < 0.05


def test_widths_may_be_given_as_a_row_of_the_table():
    row = Widths(64, 96, 128, 16, 32, 32)
    shown = inception.design("own", 192, 28, True, **row._asdict())
    assert shown.paths == preset("3a").paths
