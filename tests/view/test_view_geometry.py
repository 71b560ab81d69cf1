import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from liverestore.view.geometry import scale_bar, visible_part


@given(
    shape=st.tuples(st.integers(1, 3000), st.integers(1, 3000)),
    corner=st.tuples(st.floats(-500, 3000), st.floats(-500, 3000)),
    size=st.tuples(st.floats(1, 4000), st.floats(1, 4000)),
    screen=st.tuples(st.floats(50, 4000), st.floats(50, 4000)),
)
def test_the_part_covers_what_is_in_view_and_no_more_than_the_screen_shows(
    shape, corner, size, screen
):
    view = (corner[0], corner[1], corner[0] + size[0], corner[1] + size[1])
    part = visible_part(shape, view, screen)
    inside = (max(view[0], 0), max(view[1], 0), min(view[2], shape[1]), min(view[3], shape[0]))
    if inside[0] >= inside[2] or inside[1] >= inside[3]:
        assert part is None
        return
    x, y, width, height = part.rect
    assert x <= inside[0]
    assert y <= inside[1]
    assert x + width >= inside[2] - 1e-6
    assert y + height >= inside[3] - 1e-6
    rows = len(range(*part.rows.indices(shape[0])))
    columns = len(range(*part.columns.indices(shape[1])))
    step = part.rows.step
    assert step == part.columns.step
    assert (rows * step, columns * step) == (height, width)
    # Never less than one sample per screen pixel along the finer axis, never twice as many.
    assert step == 1 or min(size[0] / screen[0], size[1] / screen[1]) < step + 1


def test_pixels_of_the_part_are_the_frame_s_own():
    frame = np.arange(40 * 60).reshape(40, 60)
    part = visible_part((40, 60), (10.5, 5.5, 20.5, 15.5), (100, 100))
    assert part.rect == (10, 5, 11, 11)
    np.testing.assert_array_equal(frame[part.rows, part.columns], frame[5:16, 10:21])


def test_panning_keeps_the_samples_on_one_grid():
    columns = [
        visible_part((2048, 2048), (x, 0, x + 2000, 2000), (500, 500)).columns.start
        for x in (0.0, 1.0, 3.9, 4.0, 7.0)
    ]
    assert columns == [0, 0, 0, 4, 4]


@pytest.mark.parametrize(
    "view", [(0, 0, 0, 10), (10, 0, 0, 10), (0, 0, 10, math.nan), (100, 0, 110, 10)]
)
def test_nothing_in_view_is_none(view):
    assert visible_part((50, 50), view, (100, 100)) is None


@given(st.floats(1e-3, 50), st.floats(1e-3, 100), st.floats(20, 2000))
def test_the_bar_is_round_and_as_long_as_fits(pixel_size_um, zoom, available):
    bar = scale_bar(pixel_size_um, zoom, available)
    assert bar.length_px <= available * (1 + 1e-9)
    assert bar.length_px > available / 2.5 * (1 - 1e-9), "a longer round bar would fit"
    mantissa = bar.length_um / 10 ** math.floor(math.log10(bar.length_um) + 1e-9)
    assert round(mantissa, 6) in (1, 2, 5)
    assert bar.length_px == pytest.approx(bar.length_um / pixel_size_um * zoom)


@pytest.mark.parametrize(
    ("size", "text"), [(0.001, "100 nm"), (0.1, "10 µm"), (1.0, "100 µm"), (50.0, "5 mm")]
)
def test_the_bar_names_its_length(size, text):
    assert scale_bar(size, 1.0, 110.0).text == text


def test_without_a_pixel_size_there_is_no_bar():
    assert scale_bar(None, 1.0, 100.0) is None
