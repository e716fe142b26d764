import pytest
import torch
from torch import nn

from cnncourse.explorers.kernel_stack import MOST_LAYERS, compare, draw, explorer, sentence
from cnncourse.sketch import SCALE
from cnncourse.trace import trace


def test_three_layers_have_27_weights_a_pair_of_channels_and_one_of_7x7_has_49():
    stack = compare(3, 1, 7)
    assert stack.field == 7
    assert stack.weights == (27, 49)
    assert stack.macs == (27 * 49, 49 * 49)
    assert stack.activations == (3, 1)


@pytest.mark.parametrize("layers", range(1, MOST_LAYERS + 1))
def test_counts_are_those_of_real_layers(layers):
    stack = compare(layers, 4, 6)
    small = nn.Sequential(*[nn.Conv2d(4, 4, 3, padding=1, bias=False) for _ in range(layers)])
    large = nn.Sequential(nn.Conv2d(4, 4, stack.field, padding=layers, bias=False))
    for place, model in enumerate((small, large)):
        traced = trace(model, (1, 4, 6, 6))
        assert (stack.weights[place], stack.macs[place]) == (traced.parameters, traced.macs)
        assert traced.rows[-1].output_shape == (1, 4, 6, 6)
        assert traced.rows[-1].field.size == stack.field


def test_a_unit_sees_the_pixels_that_can_change_it():
    stack = compare(3, 1, 11)
    images = torch.zeros(1, 1, 11, 11, requires_grad=True)
    kernel, maps = torch.ones(1, 1, 3, 3), images
    for _ in range(3):
        maps = torch.conv2d(maps, kernel, padding=1)
    maps[0, 0, 5, 5].backward()
    assert (images.grad[0, 0, 5] != 0).sum() == stack.field


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ((0, 1, 1), "layers=0: must be a whole number, 1 or more. Try: layers=1."),
        ((6, 1, 1), "layers=6: the picture has room for 5 layers. Try: layers=5."),
        ((3, 0, 1), "channels=0: must be a whole number, 1 or more. Try: channels=1."),
        ((3, 1, 0), "size_px=0: must be a whole number, 1 or more. Try: size_px=1."),
    ],
)
def test_what_cannot_be_is_refused_in_words(values, said, refused):
    with refused(said):
        compare(*values)


def test_the_sentence_tells_the_papers_comparison():
    assert sentence(compare(3, 2, 7)) == (
        "3 layers of 3×3 see 7×7 px; 27C² against 49C²: with C = 2 108 weights against 196, 1.81 "
        "times as many; at 7×7 px 5,292 MACs against 9,604; 3 ReLU against 1"
    )


@pytest.mark.parametrize("layers", range(1, MOST_LAYERS + 1))
def test_the_frame_is_as_wide_as_the_field_and_both_bars_are_there(layers):
    page = draw(compare(layers, 3, 7))
    row = [page.canvas.getpixel((x, (44 + 121) * SCALE)) for x in range(0, 290 * SCALE)]
    red = [x for x, color in enumerate(row) if color == (213, 94, 0)]
    width = (max(red) - min(red) + 1) / SCALE
    assert abs(width - 22 * (2 * layers + 1)) <= 1
    heights = [page.canvas.getpixel((400 * SCALE, y * SCALE)) for y in (49, 75)]
    assert heights == [(0, 114, 178), (230, 159, 0)]


def test_every_control_changes_words_and_picture_at_both_ends():
    shown = explorer()
    assert shown.controls["layers"].value == 3
    for name, control in shown.controls.items():
        seen = {(shown.words, shown.png)}
        for end in (control.min, control.max):
            control.value = end
            seen.add((shown.words, shown.png))
        assert len({words for words, _ in seen}) == len({png for _, png in seen}) == 3, name
