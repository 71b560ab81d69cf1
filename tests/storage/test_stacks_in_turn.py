"""Virtual stacks as they come, of one channel or of several: T(C)ZYX, readable when cut off."""

import shutil

import numpy as np
import pytest
import tifffile
import zarr

from liverestore.frame import Frame, FrameHeader, Provenance, Restored
from liverestore.movie import open_movie
from liverestore.writer.layout import recording_of
from liverestore.writer.ome import OmeSink

PLANES_UM = (-1.0, -0.5, 0.0)
NAMES = ("DAPI", "GFP")


def stacks(count, channels):
    """The planes of so many frames, one after the other; pixels say frame and plane."""
    for number in range(count):
        pixels = np.zeros((12, 16), np.uint16)
        header = FrameHeader(
            run_id="run", number=number, shape=pixels.shape, dtype="uint16",
            captured_ns=10**9 + number * 40_000_000, captured_utc="2026-11-22T20:00:00+00:00",
            camera="Camera", pixel_size_um=0.325, channel=NAMES[number % channels],
        )  # fmt: skip
        source = Frame(pixels, header)
        for plane, z_um in enumerate(PLANES_UM):
            made = Provenance(
                engine="e", version="1", sha256="", runtime="r", started_ns=0, finished_ns=1,
                parameters={"virtual_z_um": z_um},
            )  # fmt: skip
            yield Restored(np.full_like(pixels, 10 * number + plane), source, made)


def record(path, made, channels):
    sink = OmeSink(path, layout=recording_of(channels, 3), z_step_um=0.5, z_start_um=-1.0)
    for plane in made:
        sink.append(plane)
    return sink


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("name", ["restored.ome.tif", "restored.ome.zarr"])
def test_stacks_have_their_axes_sizes_and_channels(tmp_path, name, channels):
    path = record(tmp_path / name, stacks(4, channels), channels).close().path
    with open_movie(path) as movie:
        assert movie.axes == ("TZYX" if channels == 1 else "TCZYX")
        assert movie.leading_shape == ((4, 3) if channels == 1 else (2, 2, 3))
        assert (movie.pixel_size_um, movie.z_step_um) == (0.325, 0.5)
        assert movie.interval_ms == pytest.approx(40.0 * channels)
        assert [int(movie[n][0, 0]) for n in range(len(movie))] == [
            10 * frame + plane for frame in range(4) for plane in range(3)
        ]
    if name.endswith("zarr"):
        own = zarr.open(path, mode="r").attrs["liverestore"]
        assert own.get("channels") == (list(NAMES) if channels == 2 else None)
    else:
        with tifffile.TiffFile(path) as tif:
            for label in NAMES[:channels]:
                assert f'Name="{label}"' in tif.ome_metadata


@pytest.mark.parametrize("channels", [1, 2])
def test_a_program_that_was_killed_leaves_its_complete_stacks(tmp_path, channels):
    """As its folder was before anything was closed."""
    made = list(stacks(4, channels))[:-1]
    sink = record(tmp_path / "restored.ome.zarr", made, channels)
    shutil.copytree(tmp_path / "restored.ome.zarr", tmp_path / "copy.ome.zarr")
    sink.close()
    for name in ("restored.ome.zarr", "copy.ome.zarr"):
        with open_movie(tmp_path / name) as movie:
            assert movie.leading_shape == ((3, 3) if channels == 1 else (1, 2, 3))
            for index in range(len(movie)):
                np.testing.assert_array_equal(movie[index], made[index].pixels)


@pytest.mark.parametrize("name", ["restored.ome.tif", "restored.ome.zarr"])
def test_less_than_one_stack_is_a_plain_series(tmp_path, name):
    path = record(tmp_path / name, list(stacks(1, 1))[:2], 1).close().path
    with open_movie(path) as movie:
        assert (movie.axes, movie.leading_shape) == ("TYX", (2,))
        assert int(movie[1][0, 0]) == 1


def test_the_interval_that_was_measured_counts(tmp_path):
    sink = record(tmp_path / "restored.ome.tif", stacks(4, 2), 2)
    sink.note_interval(500.0)
    with open_movie(sink.close().path) as movie:
        assert movie.interval_ms == pytest.approx(500.0)
