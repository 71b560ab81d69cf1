"""Axes of the files that this program writes."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from liverestore.errors import UserError
from liverestore.writer.layout import RECORDING, Layout, file_kind, layout_like


@st.composite
def images(draw):
    axes = draw(st.lists(st.sampled_from("TCZQI"), max_size=3, unique=True))
    sizes = draw(st.lists(st.integers(1, 4), min_size=len(axes), max_size=len(axes)))
    return "".join(axes) + "YX", tuple(sizes)


@given(images(), st.sampled_from(["ome-tiff", "ome-zarr"]))
def test_every_frame_has_one_place(image, kind):
    axes, leading = image
    layout, order = layout_like(axes, leading, kind)
    assert sorted(order) == list(range(int(np.prod(leading))))
    assert layout.frame_count == len(order)
    assert set(layout.axes[:-2]) <= set("TCZ")
    assert len(set(layout.axes)) == len(axes)
    if kind == "ome-zarr":
        assert layout.axes[:-2] == "".join(a for a in "TCZ" if a in layout.axes)
    else:
        assert layout.leading_shape == leading
        assert list(order) == sorted(order)


def test_zarr_order_of_an_imagej_hyperstack():
    layout, order = layout_like("TZCYX", (2, 3, 2), "ome-zarr")
    assert (layout.axes, layout.leading_shape) == ("TCZYX", (2, 2, 3))
    numbers = np.arange(12).reshape(2, 3, 2)
    np.testing.assert_array_equal(order.reshape(2, 2, 3), numbers.transpose(0, 2, 1))


@pytest.mark.parametrize(
    ("axes", "expected"), [("QYX", "TYX"), ("IYX", "TYX"), ("TQYX", "TZYX"), ("ZYX", "ZYX")]
)
def test_axes_without_a_name_get_one(axes, expected):
    layout, _ = layout_like(axes, (2,) * (len(axes) - 2), "ome-tiff")
    assert layout.axes == expected


def test_too_many_axes():
    with pytest.raises(UserError, match="TCZQYX"):
        layout_like("TCZQYX", (2, 2, 2, 2), "ome-tiff")


def test_sizes_of_a_file_that_ends_early():
    assert Layout("TZYX", (5, 4)).shape_for(9) == (3, 4)
    assert Layout("TYX", (5,)).shape_for(0) == (1,)
    assert RECORDING.shape_for(7) == (7,)
    assert RECORDING.frame_count is None
    assert Layout("YX", ()).shape_for(1) == ()


@pytest.mark.parametrize(
    ("name", "kind"),
    [("a.tif", "ome-tiff"), ("A.OME.TIFF", "ome-tiff"), ("a.ome.zarr", "ome-zarr")],
)
def test_kind_by_extension(name, kind):
    assert file_kind(Path(name)) == kind


@pytest.mark.parametrize("name", ["a.png", "a", "a.h5"])
def test_other_extensions_are_refused(name):
    with pytest.raises(UserError, match=r"\.ome\.tif, \.tif and \.ome\.zarr"):
        file_kind(Path(name))
