import numpy as np
import pytest

from liverestore.view.geometry import visible_part
from liverestore.view.saturation_marks import mark_indices, marks_text, paint_marks


@pytest.mark.parametrize("screen", [(60.0, 40.0), (30.0, 20.0), (13.0, 9.0)])
def test_a_lone_saturated_pixel_is_marked_at_every_zoom(make_frame, screen):
    pixels = np.full((40, 60), 500, np.uint16)
    pixels[13, 47] = 4095
    pixels[39, 59] = 0
    raw = make_frame(pixels, bit_depth=12)
    part = visible_part((40, 60), (0.0, 0.0, 60.0, 40.0), screen)
    marks = mark_indices(raw, part)
    step = part.rows.step
    assert marks.shape == pixels[part.rows, part.columns].shape
    assert marks[13 // step, 47 // step] == 1
    assert marks[39 // step, 59 // step] == 2
    assert np.count_nonzero(marks) == 2


def test_saturation_outranks_zero_in_one_sample(make_frame):
    raw = make_frame(np.array([[0, 255], [9, 9]], np.uint8))
    assert mark_indices(raw, visible_part((2, 2), (0, 0, 2, 2), (1, 1))).tolist() == [[1]]


def test_only_what_is_in_view_counts(make_frame):
    pixels = np.full((40, 60), 500, np.uint16)
    pixels[0, 0] = 65535
    raw = make_frame(pixels)
    assert mark_indices(raw, visible_part((40, 60), (10, 10, 30, 30), (20, 20))) is None


def test_a_float_camera_has_no_highest_count(make_frame):
    raw = make_frame(np.zeros((4, 4), np.float32))
    assert mark_indices(raw, visible_part((4, 4), (0, 0, 4, 4), (4, 4))) is None
    assert "no highest count" in marks_text(raw)


def test_marked_pixels_are_red_and_blue_and_the_others_as_they_were():
    argb = np.full((1, 3), 0xFF123456, np.uint32)
    paint_marks(argb, np.array([[0, 1, 2]], np.uint8))
    assert [hex(v) for v in argb[0]] == ["0xff123456", "0xffff0000", "0xff0050ff"]
