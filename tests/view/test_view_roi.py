import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from liverestore.view.drawing import Drawing, Hold, Shape
from liverestore.view.line_profile import Line
from liverestore.view.roi import (
    BODY,
    Place,
    Rect,
    carried,
    dragged,
    grip_at,
    place_of,
    rect_between,
)
from liverestore.view.roi_stats import READ_PX, mean_of, row_step, stats_interval_s, stats_of

FRAME = (100, 200)
coordinate = st.floats(-300, 500)


@given(a=st.tuples(coordinate, coordinate), b=st.tuples(coordinate, coordinate))
def test_a_drawn_rectangle_lies_in_the_frame(a, b):
    rect = rect_between(a, b, FRAME)
    if rect is not None:
        assert rect.area_px > 0
        assert rect == rect.clipped(FRAME)
        assert rect == rect_between(b, a, FRAME)


@given(
    grip=st.tuples(st.integers(-1, 1), st.integers(-1, 1)),
    by=st.tuples(coordinate, coordinate),
)
def test_a_dragged_rectangle_lies_in_the_frame_and_keeps_a_pixel(grip, by):
    rect = dragged(Rect(20, 30, 50, 40), grip, by, FRAME)
    assert rect == rect.clipped(FRAME)
    assert rect.area_px > 0
    if grip == BODY:
        assert (rect.width, rect.height) == (50, 40)


def test_handles_resize_the_side_they_are_at():
    rect = Rect(20, 30, 50, 40)
    assert dragged(rect, (-1, -1), (5, 6), FRAME) == Rect(25, 36, 45, 34)
    assert dragged(rect, (1, 0), (7, 99), FRAME) == Rect(20, 30, 57, 40)
    assert dragged(rect, (-1, 0), (60, 0), FRAME) == Rect(70, 30, 10, 40), "turned over"
    assert dragged(rect, (0, -1), (0, 40), FRAME).height == 1
    assert dragged(rect, BODY, (-50, 3), FRAME) == Rect(0, 33, 50, 40)


@pytest.mark.parametrize(
    ("at", "inside", "grip"),
    [
        ((20.5, 29), False, (-1, -1)),
        ((45, 30), False, (0, -1)),
        ((71, 71), False, (1, 1)),
        ((70, 40), False, BODY),
        ((40, 45), True, BODY),
        ((40, 45), False, None),
        ((90, 45), True, None),
    ],
)
def test_what_a_press_takes_hold_of(at, inside, grip):
    assert grip_at(Rect(20, 30, 50, 40), at, 3.0, inside=inside) == grip


def test_a_rectangle_stays_on_the_sample(make_frame):
    first = place_of(make_frame(roi=(0, 0, 96, 64), binning=1).header)
    cut = place_of(make_frame(roi=(30, 20, 40, 30), binning=1).header)
    rect = Rect(40, 25, 20, 10)
    assert carried(rect, first, cut, (30, 40)) == Rect(10, 5, 20, 10)
    assert cut.on_chip(Rect(10, 5, 20, 10)) == first.on_chip(rect)
    assert carried(Rect(60, 25, 20, 10), first, cut, (30, 40)) == Rect(30, 5, 10, 10), "clipped"
    assert carried(Rect(0, 0, 20, 10), first, cut, (30, 40)) is None
    binned = Place(0, 0, binning=2)
    assert carried(rect, first, binned, (32, 48)) == Rect(20, 12, 10, 6)
    assert place_of(make_frame().header) == Place(0, 0, None)


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
@pytest.mark.parametrize("rect", [Rect(3, 5, 40, 21), Rect(7, 2, 1, 1), Rect(0, 0, 2, 1)])
def test_numbers_are_those_of_numpy(dtype, rect):
    pixels = np.random.default_rng(1).integers(3, 250, (64, 96)).astype(dtype)
    part = pixels[rect.slices].astype(np.float64)
    found = stats_of(pixels, rect)
    assert found.mean == pytest.approx(part.mean(), rel=1e-12)
    assert found.mean == pytest.approx(mean_of(pixels, rect), rel=1e-6)
    assert (found.low, found.high, found.median) == (part.min(), part.max(), np.median(part))
    if part.size == 1:
        assert np.isnan(found.sd)
    else:
        assert found.sd == pytest.approx(part.std(ddof=1), rel=1e-9)


def test_large_rois_are_read_in_part_and_less_often():
    assert row_step(Rect(0, 0, 1024, 1024)) == 1
    assert stats_interval_s(Rect(0, 0, 512, 512)) == pytest.approx(0.2)
    whole = Rect(0, 0, 2048, 2048)
    assert row_step(whole) == 4
    assert stats_interval_s(whole) == pytest.approx(0.8)
    pixels = np.zeros((2048, 2048), np.uint16)
    pixels[::4] = 8
    assert mean_of(pixels, whole) == 8.0
    assert stats_of(pixels, whole).low == 8.0
    assert whole.area_px // row_step(whole) <= READ_PX


def _drawing(shape=Shape.ROI):
    drawing = Drawing()
    drawing.set_frame(FRAME, Place())
    drawing.show(shape, True)
    drawing.armed = shape
    return drawing


def _drag(drawing, start, end, reach=3.0):
    if not drawing.press(start, reach):
        return False
    drawing.drag(((start[0] + end[0]) / 2, (start[1] + end[1]) / 2))
    drawing.drag(end)
    drawing.release()
    return True


def test_unarmed_drags_pan_but_handles_and_outline_are_within_reach():
    drawing = _drawing()
    drawing.armed = None
    assert not _drag(drawing, (10, 10), (50, 50))
    drawing.armed = Shape.ROI
    assert _drag(drawing, (10, 10), (50, 50))
    assert drawing.roi == Rect(10, 10, 40, 40)
    drawing.armed = None
    assert drawing.hold_at((30, 30), 3) is Hold.NOTHING
    assert not _drag(drawing, (30, 30), (40, 30)), "panning starts inside of a large ROI too"
    assert drawing.hold_at((10, 22), 3) is Hold.MOVE
    assert _drag(drawing, (10, 22), (15, 22))
    assert drawing.roi == Rect(15, 10, 40, 40)
    assert drawing.hold_at((55, 50), 3) is Hold.SIZE_FALLING
    assert drawing.hold_at((15, 50), 3) is Hold.SIZE_RISING
    assert drawing.hold_at((15, 30), 3) is Hold.SIZE_HORIZONTALLY
    assert drawing.hold_at((35, 50), 3) is Hold.SIZE_VERTICALLY


def test_a_click_neither_draws_nor_forgets():
    drawing = _drawing()
    assert _drag(drawing, (10, 10), (11, 10))
    assert drawing.roi is None
    _drag(drawing, (10, 10), (50, 50))
    _drag(drawing, (80, 80), (81, 81))
    assert drawing.roi == Rect(10, 10, 40, 40)


def test_a_line_is_pulled_by_its_ends_and_stays_in_the_frame():
    drawing = _drawing(Shape.LINE)
    _drag(drawing, (10, 10), (500, 50))
    assert drawing.line == Line(10, 10, 200, 50)
    assert drawing.hold_at((10, 10), 3) is Hold.PULL_END
    _drag(drawing, (10, 10), (30, 20))
    assert drawing.line == Line(30, 20, 200, 50)
    assert drawing.hold_at((115, 35), 3) is Hold.MOVE
    _drag(drawing, (115, 35), (95, 95))
    assert drawing.line == Line(10, 70, 180, 100)


def test_put_away_shapes_are_out_of_reach_and_stay():
    drawing = _drawing()
    _drag(drawing, (10, 10), (50, 50))
    drawing.show(Shape.ROI, False)
    assert drawing.armed is None
    assert drawing.hold_at((10, 10), 3) is Hold.NOTHING
    drawing.delete()
    assert drawing.roi == Rect(10, 10, 40, 40)
    drawing.show(Shape.ROI, True)
    drawing.delete()
    assert drawing.roi is None
