import re

import numpy as np
import pytest

from cnncourse import arithmetic, ops
from cnncourse.explorers import cost

LAYER = {"kernel_size": 3, "channels": 2, "size_px": 4}


@pytest.fixture
def quick(monkeypatch):
    """Times without a clock: 1 ms for each method's place in the list."""
    names = list(cost.METHODS)
    monkeypatch.setattr(cost, "measured_ms", lambda name, *_: 10.0 ** names.index(name))


# --- counted --------------------------------------------------------------------------------------


def test_windows_cost_every_weight_at_every_place():
    for name in ("loops", "views", "im2col"):
        assert cost.multiplications(name, **LAYER) == 2 * 2 * 9 * 16
    macs = arithmetic.conv2d_macs(16, 16, kernel_size=5, output_size=(12, 12))
    assert cost.multiplications("im2col", kernel_size=5, channels=16, size_px=12) == macs


@pytest.mark.parametrize(("size_px", "tiles"), [(1, 1), (2, 1), (3, 4), (4, 4), (5, 9)])
def test_winograd_costs_16_a_tile_and_pair_of_channels(size_px, tiles):
    counted = cost.multiplications("winograd", kernel_size=3, channels=2, size_px=size_px)
    assert counted == 16 * tiles * 4


def test_winograd_saves_2_25_times_on_even_sizes():
    window, tile = (cost.multiplications(name, **LAYER) for name in ("views", "winograd"))
    assert window / tile == 2.25


def test_the_fft_counts_transforms_and_products_of_spectra():
    # one channel, 3x3 on 6x6: padded 8x8 = 64 numbers; three transforms of 64 * 6; 8 * 5 products
    counted = cost.multiplications("fft", kernel_size=3, channels=1, size_px=6)
    assert counted == 3 * 64 * 6 + 4 * 8 * 5


def test_the_fft_does_not_care_for_the_kernel_of_the_same_padded_image():
    layers = [{"kernel_size": side, "channels": 3, "size_px": 33 - side} for side in (1, 9, 31)]
    assert len({cost.multiplications("fft", **layer) for layer in layers}) == 1


@pytest.mark.parametrize("kernel_size", [1, 3, 5])
def test_im2col_holds_what_its_matrix_has(kernel_size):
    padded = np.zeros((2, 4 + kernel_size - 1, 4 + kernel_size - 1))
    held = cost.extra_values("im2col", kernel_size=kernel_size, channels=2, size_px=4)
    assert held == ops.im2col(padded, kernel_size).size


def test_spectra_are_as_large_as_numpys():
    padded = np.zeros((3, 7, 7))  # 3x3 on 5x5
    spectra = np.fft.rfft2(padded).size + np.fft.rfft2(np.zeros((3, 3, 7, 7))).size
    output = np.fft.rfft2(np.zeros((3, 7, 7))).size
    held = cost.extra_values("fft", kernel_size=3, channels=3, size_px=5)
    assert held == 2 * (spectra + output)


def test_tiles_of_image_and_output_and_kernels_are_held():
    # 4x4 px are 4 tiles: 2 channels in, 2 out, 4 kernels, 16 numbers each
    assert cost.extra_values("winograd", **LAYER) == 16 * (2 * 4 + 2 * 4 + 4)


def test_loops_and_views_hold_nothing():
    assert [cost.extra_values(name, **LAYER) for name in ("loops", "views")] == [0, 0]


# --- measured -------------------------------------------------------------------------------------


def test_views_give_what_the_loops_give(rng):
    images, kernels = rng.normal(size=(3, 6, 5)), rng.normal(size=(2, 3, 3, 2))
    expected = ops.conv2d(images, kernels, method="loops")
    np.testing.assert_allclose(cost.correlate_views(images, kernels), expected, atol=1e-12)


def test_a_slow_run_is_measured_twice_and_a_quick_one_five_times(monkeypatch):
    for step_s, runs in [(0.020, 2), (0.003, 3), (0.001, 5)]:
        calls, clock = [], iter(np.arange(20) * step_s)
        monkeypatch.setattr(cost.time, "perf_counter", lambda clock=clock: next(clock))
        assert cost.fastest_ms(lambda calls=calls: calls.append(1)) == pytest.approx(1e3 * step_s)
        assert len(calls) == runs


def test_the_fastest_counts_and_one_interruption_does_not(monkeypatch):
    clock = iter([0.0, 0.5, 1.0, 1.002])  # 500 ms, then 2 ms
    monkeypatch.setattr(cost.time, "perf_counter", lambda: next(clock))
    assert cost.fastest_ms(lambda: None) == pytest.approx(2)


def test_parts_are_scaled_to_the_whole_layer(monkeypatch):
    seen = []

    def watched(images, kernels, **options):
        seen.append((images.shape, kernels.shape, options))

    monkeypatch.setattr(cost.ops, "conv2d", watched)
    monkeypatch.setattr(cost, "fastest_ms", lambda run: run() or 1.0)
    padded, kernels = np.zeros((10, 66, 66)), np.zeros((10, 10, 3, 3))
    # 3000 MACs are 34 places of 90: 64 * 64 places of 10 channels take 10 * 4096 / 34 as long
    assert cost.measured_ms("loops", padded, kernels) == pytest.approx(10 * 4096 / 34)
    assert seen == [((10, 3, 36), (1, 10, 3, 3), {"method": "loops"})]
    assert cost.measured_ms("fft", padded, kernels) == 1.0
    assert seen[1] == (padded.shape, kernels.shape, {"method": "fft"})


def test_a_part_is_never_more_than_the_row(monkeypatch):
    monkeypatch.setattr(cost, "fastest_ms", lambda run: float(run().size))
    padded, kernels = np.zeros((1, 4, 4)), np.zeros((1, 1, 1, 1))
    assert cost.measured_ms("loops", padded, kernels) == 4 * 16 / 4  # the row of 4, of 16 places
    many = cost.measured_ms("views", np.zeros((2, 6, 6)), np.zeros((2, 2, 3, 3)))
    assert many == 2 * 16  # one output channel of 16 places, twice


def test_measured_for_real_all_methods_take_time_and_the_loops_most():
    rows = cost.costs(3, 4, 16, "im2col", "linear").rows
    times = {name: row.milliseconds for name, row in rows.items()}
    assert min(times.values()) > 0
    assert max(times, key=times.get) == "loops"


# --- shown ----------------------------------------------------------------------------------------


def test_the_sentence_tells_the_marked_method_exactly_and_its_time_roughly(quick):
    explorer = cost.explorer()
    assert explorer.words == (
        "im2col, 8 to 8 channels, 3×3 kernel, 32×32 px: 589,824 multiplications, "
        "294,912 bytes of extra memory, ≈ 100 ms"
    )
    explorer.controls["method"].value = "winograd"
    assert explorer.words == (
        "winograd, 8 to 8 channels, 3×3 kernel, 32×32 px: 262,144 multiplications, "
        "266,240 bytes of extra memory, ≈ 10,000 ms"
    )


def test_everything_measured_in_the_line_of_text_wears_a_mark():
    lines = {re.sub(r"≈ ?[-+]?[\d.,]+", "≈ #", repr(cost.explorer())) for _ in range(2)}
    assert len(lines) == 1


@pytest.mark.parametrize(
    ("control", "low", "high"),
    [
        ("kernel_size", "1×1 kernel, 32×32 px: 65,536 mult", "15×15 kernel, 32×32 px: 14,745,600"),
        ("channels", "1 to 1 channels, 3×3 kernel, 32×32 px: 9,216 ", "16 to 16 channels"),
        ("size_px", "4×4 px: 9,216 mult", "64×64 px: 2,359,296 mult"),
    ],
)
def test_a_slider_goes_to_its_ends(quick, control, low, high):
    explorer = cost.explorer()
    pictures = {explorer.png}
    for end, words in (("min", low), ("max", high)):
        explorer.controls[control].value = getattr(explorer.controls[control], end)
        assert words in explorer.words
        pictures.add(explorer.png)
    assert len(pictures) == 3


def test_every_method_can_be_marked_and_both_scales_chosen(quick):
    explorer = cost.explorer()
    pictures = set()
    for name in cost.METHODS:
        explorer.controls["method"].value = name
        assert explorer.words.startswith(f"{name}, ")
        pictures.add(explorer.png)
    words = explorer.words
    explorer.controls["scale"].value = "linear"
    pictures.add(explorer.png)
    assert explorer.words == words
    assert len(pictures) == len(cost.METHODS) + 1


def test_winograd_for_another_kernel_is_refused_in_words_and_the_picture_stays(quick):
    explorer = cost.explorer()
    explorer.controls["method"].value = "winograd"
    before = explorer.png, explorer.words
    explorer.controls["kernel_size"].value = 5
    assert 'role="alert"' in explorer.message.value
    assert (
        "kernel_size=5: F(2x2, 3x3) is for 3x3 kernels alone. "
        "Try: kernel_size=3, or mark another method." in explorer.message.value
    )
    assert (explorer.png, explorer.words) == before
    explorer.controls["method"].value = "fft"
    assert explorer.words.startswith("fft, 8 to 8 channels, 5×5 kernel")


def test_where_winograd_is_not_marked_its_bars_say_why_they_are_empty(quick):
    shown = cost.costs(5, 2, 8, "fft", "linear")
    assert shown.rows["winograd"] is None
    assert all(
        rows["winograd"] == (0.0, "only for 3×3 kernels") for rows in cost.panels(shown).values()
    )


def test_the_panels_say_what_was_measured_on_a_part_and_what_needs_nothing(quick):
    rows = cost.panels(cost.costs(3, 2, 4, "fft", "linear"))
    assert rows["extra memory"]["views"] == (0, "none")
    assert rows["extra memory"]["im2col"] == (4 * 288, "1,152 bytes")
    assert rows["time here, for one image"]["loops"] == (1.0, "≈ 1.00 ms, from a part")
    assert rows["time here, for one image"]["views"] == (10.0, "≈ 10.0 ms, from a part")
    assert rows["time here, for one image"]["im2col"] == (100.0, "≈ 100 ms")
    assert rows["multiplications"]["winograd"] == (256, "256")


@pytest.mark.parametrize(
    ("milliseconds", "words"),
    [(1234.5, "≈ 1,234 ms"), (45.67, "≈ 45.7 ms"), (4.567, "≈ 4.57 ms"), (0.0012, "≈ 0.01 ms")],
)
def test_a_time_has_about_three_digits(milliseconds, words):
    assert cost.in_ms(milliseconds) == words


@pytest.mark.parametrize(
    ("value", "scale", "expected"),
    [(50, "linear", 50), (1000, "logarithmic", 3), (10, "logarithmic", 1), (0, "logarithmic", 0)],
)
def test_a_bar_is_as_long_as_its_value_or_as_its_decades(value, scale, expected):
    assert cost.length(value, 10, scale) == expected


@pytest.mark.parametrize(
    ("lengths", "scale", "expected"),
    [
        ([0.0, 0.4, 0.6], "logarithmic", 1.0),
        ([0.0, 2.5, 0.6], "logarithmic", 2.5),
        ([0.0, 0.4, 0.6], "linear", 0.6),
        ([0.0, 0.0], "linear", 1.0),
    ],
)
def test_a_logarithmic_scale_shows_a_whole_decade_at_least(lengths, scale, expected):
    assert cost.full_width(lengths, scale) == expected


@pytest.mark.parametrize(("value", "power"), [(11, 1), (10, 0), (9, 0), (1, -1), (0.05, -2)])
def test_bars_begin_at_the_power_of_ten_below_the_least(value, power):
    assert cost.decade_below(value) == power
