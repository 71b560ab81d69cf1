"""Reading movies: what opens, what it says of itself, and what is refused."""

import warnings
from pathlib import Path

import numpy as np
import pytest
import tifffile
import zarr

from liverestore.errors import UserError
from liverestore.movie import open_movie

DATA = Path(__file__).resolve().parents[2].parent / "shared" / "data"


@pytest.fixture
def ramp():
    """(3, 4, 5) uint16, every value different."""
    return np.arange(60, dtype=np.uint16).reshape(3, 4, 5)


def _ome_zarr(path, data, version, axes, scale, units):
    multiscales = [
        {
            "axes": [
                {"name": a, "type": "space", **({"unit": u} if u else {})}
                for a, u in zip(axes, units, strict=True)
            ],
            "datasets": [
                {"path": "s0", "coordinateTransformations": [{"type": "scale", "scale": scale}]}
            ],
        }
    ]
    zarr_format = 2 if version == "0.4" else 3
    group = zarr.open_group(path, mode="w", zarr_format=zarr_format)
    array = group.create_array(
        "s0", shape=data.shape, dtype=data.dtype, chunks=(*(1,) * (data.ndim - 2), *data.shape[-2:])
    )
    array[...] = data
    if version == "0.4":
        multiscales[0]["version"] = "0.4"
        group.attrs["multiscales"] = multiscales
    else:
        group.attrs["ome"] = {"version": "0.5", "multiscales": multiscales}


def test_plain_tiff_stack(tmp_path, ramp):
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, ramp, photometric="minisblack", metadata=None)
    with open_movie(path) as movie:
        assert (movie.shape, movie.dtype, len(movie)) == ((3, 4, 5), np.uint16, 3)
        assert movie.pixel_size_um is None
        assert movie.interval_ms is None
        assert movie.header(1) is None
        np.testing.assert_array_equal(np.stack(list(movie)), ramp)
        np.testing.assert_array_equal(movie[-1], ramp[2])
        with pytest.raises(IndexError):
            movie[3]


def test_a_frame_is_the_callers_own(tmp_path, ramp):
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, ramp, photometric="minisblack")
    movie = open_movie(path)
    frame = movie[0]
    movie.close()
    frame += 1
    assert frame[0, 0] == 1


def test_single_image_is_a_movie_of_one_frame(tmp_path, ramp):
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, ramp[0])
    with open_movie(path) as movie:
        assert (movie.axes, movie.shape, movie.leading_shape) == ("YX", (1, 4, 5), ())
        assert list(movie.time_series()) == [0]


@pytest.mark.parametrize("compression", [None, "zlib"])
@pytest.mark.parametrize("byteorder", ["<", ">"])
def test_pages_and_byte_orders(tmp_path, ramp, compression, byteorder):
    path = tmp_path / "a.tif"
    with tifffile.TiffWriter(path, byteorder=byteorder) as tiff:
        for frame in ramp:
            tiff.write(frame, compression=compression, contiguous=False, metadata=None)
    with open_movie(path) as movie:
        np.testing.assert_array_equal(np.stack(list(movie)), ramp)
        assert movie[0].dtype == np.dtype(np.uint16)


def test_imagej_calibration(tmp_path, ramp):
    path = tmp_path / "a.tif"
    tifffile.imwrite(
        path,
        ramp,
        imagej=True,
        resolution=(1 / 0.065, 1 / 0.065),
        metadata={"axes": "TYX", "unit": "um", "finterval": 0.25},
    )
    with open_movie(path) as movie:
        assert movie.axes == "TYX"
        assert movie.pixel_size_um == pytest.approx(0.065, rel=1e-5)
        assert movie.interval_ms == pytest.approx(250)


def test_printing_resolution_is_no_pixel_size(tmp_path, ramp):
    path = tmp_path / "a.tif"
    tifffile.imwrite(
        path, ramp, photometric="minisblack", resolution=(72, 72), resolutionunit="INCH"
    )
    with open_movie(path) as movie:
        assert movie.pixel_size_um is None


def test_ome_tiff_axes_and_calibration(tmp_path):
    data = np.arange(2 * 3 * 2 * 4 * 5, dtype=np.uint16).reshape(2, 3, 2, 4, 5)
    path = tmp_path / "a.ome.tif"
    tifffile.imwrite(
        path,
        data,
        photometric="minisblack",
        metadata={
            "axes": "TCZYX",
            "PhysicalSizeX": 65.0,
            "PhysicalSizeXUnit": "nm",
            "PhysicalSizeY": 65.0,
            "PhysicalSizeYUnit": "nm",
            "PhysicalSizeZ": 0.3,
            "TimeIncrement": 40.0,
            "TimeIncrementUnit": "ms",
        },
    )
    with open_movie(path) as movie:
        assert (movie.axes, movie.shape, movie.leading_shape) == ("TCZYX", (12, 4, 5), (2, 3, 2))
        assert movie.pixel_size_um == pytest.approx(0.065)
        assert movie.z_step_um == pytest.approx(0.3)
        assert movie.interval_ms == pytest.approx(40)
        # One plane of one channel: the frames 0 and 6.
        assert list(movie.time_series()) == [0, 6]
        np.testing.assert_array_equal(movie[7], data[1, 0, 1])


@pytest.mark.parametrize("version", ["0.4", "0.5"])
def test_ome_zarr(tmp_path, version):
    data = np.arange(2 * 3 * 4 * 5, dtype=np.uint16).reshape(2, 3, 4, 5)
    path = tmp_path / "a.ome.zarr"
    _ome_zarr(
        path,
        data,
        version,
        "tzyx",
        [0.5, 300.0, 65.0, 65.0],
        ["second", "nanometer", "nanometer", "nanometer"],
    )
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with open_movie(path) as movie:
            assert (movie.axes, movie.shape) == ("TZYX", (6, 4, 5))
            assert movie.pixel_size_um == pytest.approx(0.065)
            assert movie.z_step_um == pytest.approx(0.3)
            assert movie.interval_ms == pytest.approx(500)
            np.testing.assert_array_equal(np.stack(list(movie)), data.reshape(6, 4, 5))


def test_scale_without_unit_is_unknown(tmp_path, ramp):
    path = tmp_path / "a.ome.zarr"
    _ome_zarr(path, ramp, "0.5", "tyx", [1.0, 1.0, 1.0], [None, None, None])
    with open_movie(path) as movie:
        assert (movie.pixel_size_um, movie.interval_ms) == (None, None)


def test_plain_zarr_array(tmp_path, ramp):
    path = tmp_path / "a.zarr"
    zarr.create_array(path, data=ramp)
    with open_movie(path) as movie:
        assert movie.shape == (3, 4, 5)
        np.testing.assert_array_equal(movie[2], ramp[2])


@pytest.mark.parametrize(
    ("stored", "given", "noted"),
    [
        (np.uint8, np.uint8, False),
        (np.uint16, np.uint16, False),
        (np.float32, np.float32, False),
        (np.float64, np.float32, True),
        (np.int16, np.float32, True),
        (np.uint32, np.float32, True),
    ],
)
def test_dtypes(tmp_path, ramp, stored, given, noted):
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, ramp.astype(stored), photometric="minisblack")
    with open_movie(path) as movie:
        assert movie.dtype == given
        assert movie[1].dtype == given
        assert (movie.note is not None) is noted
        np.testing.assert_array_equal(movie[1], ramp[1])


def test_large_integers_are_refused_not_rounded(tmp_path, ramp):
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, ramp.astype(np.uint32) + np.uint32(2**24 - 30), photometric="minisblack")
    with open_movie(path) as movie:
        assert movie[0][0, 0] == 2**24 - 30
        with pytest.raises(UserError, match="frame 2"):
            movie[2]


def _missing(path):
    return path / "no.tif"


def _no_image(path):
    (path / "a.tif").write_text("Dear diary")
    return path / "a.tif"


def _no_bytes(path):
    (path / "a.tif").write_bytes(b"")
    return path / "a.tif"


def _header_only(path):
    (path / "a.tif").write_bytes(b"II*\0\x08\0\0\0")
    return path / "a.tif"


def _truncated(path):
    tifffile.imwrite(path / "a.tif", np.ones((3, 64, 64), np.uint16), photometric="minisblack")
    whole = (path / "a.tif").read_bytes()
    (path / "a.tif").write_bytes(whole[: len(whole) // 2])
    return path / "a.tif"


def _truncated_pages(path):
    with tifffile.TiffWriter(path / "a.tif") as tiff:
        for _ in range(3):
            tiff.write(np.ones((64, 64), np.uint16), contiguous=False, metadata=None)
    whole = (path / "a.tif").read_bytes()
    (path / "a.tif").write_bytes(whole[:-100])
    return path / "a.tif"


def _rgb(path):
    tifffile.imwrite(path / "a.tif", np.zeros((8, 8, 3), np.uint8), photometric="rgb")
    return path / "a.tif"


def _two_sizes(path):
    with tifffile.TiffWriter(path / "a.tif") as tiff:
        tiff.write(np.ones((8, 8), np.uint16), metadata=None)
        tiff.write(np.ones((9, 9), np.uint16), metadata=None)
    return path / "a.tif"


def _complex(path):
    tifffile.imwrite(path / "a.tif", np.ones((8, 8), np.complex64))
    return path / "a.tif"


def _png(path):
    (path / "a.png").write_bytes(b"\x89PNG")
    return path / "a.png"


def _folder(path):
    (path / "b").mkdir()
    return path / "b"


def _broken_zarr(path):
    (path / "a.ome.zarr").mkdir()
    (path / "a.ome.zarr" / "zarr.json").write_text("{")
    return path / "a.ome.zarr"


def _empty_group(path):
    zarr.open_group(path / "a.zarr", mode="w")
    return path / "a.zarr"


def _dataset_missing(path):
    _ome_zarr(path / "a.ome.zarr", np.ones((2, 4, 4), np.uint16), "0.5", "tyx", [1] * 3, [None] * 3)
    (path / "a.ome.zarr" / "s0").rename(path / "gone")
    return path / "a.ome.zarr"


def _empty_array(path):
    zarr.create_array(path / "a.zarr", shape=(0, 4, 4), dtype="uint16", chunks=(1, 4, 4))
    return path / "a.zarr"


def _plate(path):
    group = zarr.open_group(path / "a.zarr", mode="w")
    group.attrs["ome"] = {"version": "0.5", "plate": {}}
    return path / "a.zarr"


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (_missing, "no such file"),
        (_no_image, "no readable TIFF"),
        (_no_bytes, "no readable TIFF"),
        (_header_only, "TIFF"),
        (_truncated, "cut short|damaged|no readable"),
        (_truncated_pages, "cut short|damaged|no readable"),
        (_rgb, "colour"),
        (_two_sizes, "2 images"),
        (_complex, "complex64"),
        (_png, r"\.png"),
        (_folder, "no Zarr store"),
        (_broken_zarr, "damaged or unknown Zarr"),
        (_empty_group, "group without an image"),
        (_dataset_missing, "missing"),
        (_empty_array, "empty"),
        (_plate, "plate"),
    ],
)
def test_refused_in_one_line(tmp_path, make, says):
    path = make(tmp_path)
    with pytest.raises(UserError, match=says) as caught:
        open_movie(path)
    text = str(caught.value)
    assert "\n" not in text
    assert str(path) in text


def test_damaged_chunk_names_the_frame(tmp_path, ramp):
    path = tmp_path / "a.ome.zarr"
    _ome_zarr(path, ramp, "0.5", "tyx", [1.0] * 3, [None] * 3)
    (path / "s0" / "c" / "1" / "0" / "0").write_bytes(b"x")
    with open_movie(path) as movie:
        np.testing.assert_array_equal(movie[0], ramp[0])
        with pytest.raises(UserError, match="frame 1"):
            movie[1]


@pytest.mark.skipif(not DATA.is_dir(), reason="../shared/data is missing")
def test_every_real_image_opens():
    files = sorted(DATA.rglob("*.tif"))
    assert len(files) > 20
    for file in files:
        with open_movie(file) as movie:
            frame = movie[-1]
            assert frame.shape == movie.shape[1:]
            assert np.isfinite(frame).all()
            expected = tifffile.imread(file).reshape(movie.shape)[-1]
            np.testing.assert_array_equal(frame, expected.astype(movie.dtype))


@pytest.mark.skipif(not DATA.is_dir(), reason="../shared/data is missing")
def test_imagej_slices_without_spacing_may_be_time():
    with open_movie(DATA / "denoise" / "tirf_microtubules" / "TIRF_200Hz.tif") as movie:
        assert movie.axes == "ZYX"
        assert len(movie.time_series()) == 20
    with open_movie(DATA / "movies" / "golgi_bfa_timelapse.tif") as movie:
        assert movie.interval_ms == pytest.approx(59860)
        assert movie.pixel_size_um == pytest.approx(0.35144, rel=1e-4)
