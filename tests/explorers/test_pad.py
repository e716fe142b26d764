import numpy as np

from cnncourse.explorers.pad import SIDE_PX, Pad


def test_a_new_pad_is_empty():
    assert Pad().ink.shape == (SIDE_PX, SIDE_PX)
    assert Pad().ink.max() == 0


def test_ink_is_a_byte_a_pixel_row_by_row():
    pad, ink = Pad(), np.zeros((SIDE_PX, SIDE_PX))
    ink[2, 7] = 1
    pad.ink = ink
    assert [n for n, value in enumerate(pad.pixels) if value] == [2 * SIDE_PX + 7]
    np.testing.assert_array_equal(pad.ink, ink)


def test_a_view_of_memory_as_the_browser_sends_it_is_taken():
    pad = Pad()
    pad.pixels = memoryview(bytes([255]) * SIDE_PX**2)
    assert pad.ink.min() == 1


def test_too_few_bytes_are_an_empty_pad():
    pad = Pad()
    pad.pixels = b"\xff"
    assert pad.ink.shape == (SIDE_PX, SIDE_PX)
    assert pad.ink.max() == 0
