"""Recordings of several channels: TCYX where the turns are complete, readable always."""

import sys

import numpy as np
import pytest
import tifffile
import zarr

from liverestore.errors import Failure
from liverestore.frame import Frame, FrameHeader
from liverestore.movie import open_movie
from liverestore.writer.layout import recording_of
from liverestore.writer.ome import OmeSink
from liverestore.writer.zarr_chunks import ZarrChunks

NAMES = ("DAPI", "GFP")


def frames(count, *, first=0):
    made = []
    for index in range(count):
        pixels = np.full((12, 16), 100 + index, np.uint16)
        number = first + index
        header = FrameHeader(
            run_id="run",
            number=number,
            shape=pixels.shape,
            dtype="uint16",
            captured_ns=10**9 + number * 40_000_000,
            captured_utc="2026-11-22T20:00:00+00:00",
            camera="Camera",
            exposure_ms=10.0 * (number % 2 + 1),
            pixel_size_um=0.1,
            channel=NAMES[number % 2],
        )
        made.append(Frame(pixels, header))
    return made


def record(path, made):
    sink = OmeSink(path, layout=recording_of(2))
    for frame in made:
        sink.append(frame)
    return sink.close().path


@pytest.mark.parametrize("name", ["raw.ome.tif", "raw.ome.zarr"])
@pytest.mark.parametrize("first", [0, 1])
def test_complete_turns_are_a_channel_axis(tmp_path, name, first):
    made = frames(6, first=first)
    path = record(tmp_path / name, made)
    with open_movie(path) as movie:
        assert movie.axes == "TCYX"
        assert movie.leading_shape == (3, 2)
        # One time point to the next is two frames of 40 ms.
        assert movie.interval_ms == pytest.approx(80.0)
        for index, frame in enumerate(made):
            np.testing.assert_array_equal(movie[index], frame.pixels)
            assert movie.header(index) == frame.header
        # What is measured over time looks at one channel.
        shown = {movie.header(index).channel for index in movie.time_series()}
    assert shown == {NAMES[first]}


@pytest.mark.parametrize("name", ["raw.ome.tif", "raw.ome.zarr"])
@pytest.mark.parametrize("count", [1, 5])
def test_a_turn_cut_short_keeps_every_frame(tmp_path, name, count):
    made = frames(count)
    path = record(tmp_path / name, made)
    with open_movie(path) as movie:
        assert movie.shape == (count, 12, 16)
        assert [movie.header(n).channel for n in range(count)] == [
            frame.header.channel for frame in made
        ]
        for index, frame in enumerate(made):
            np.testing.assert_array_equal(movie[index], frame.pixels)


def test_tifffile_sees_the_channels(tmp_path):
    path = record(tmp_path / "raw.ome.tif", frames(6))
    with tifffile.TiffFile(path) as tiff:
        assert tiff.series[0].axes == "TCYX"
        assert tiff.series[0].shape == (3, 2, 12, 16)
        np.testing.assert_array_equal(tiff.asarray()[2, 1], np.full((12, 16), 105))
        xml = tiff.ome_metadata
    assert xml.index('Name="DAPI"') < xml.index('Name="GFP"')


def test_zarr_sees_the_channels(tmp_path):
    path = record(tmp_path / "raw.ome.zarr", frames(6))
    group = zarr.open(path, mode="r")
    assert group["0"].shape == (3, 2, 12, 16)
    np.testing.assert_array_equal(group["0"][2, 1], np.full((12, 16), 105))
    assert group.attrs["liverestore"]["channels"] == list(NAMES)


@pytest.mark.parametrize("count", [5, 6])
def test_a_killed_recording_keeps_every_frame(tmp_path, monkeypatch, count):
    monkeypatch.setattr(ZarrChunks, "close", lambda self: self._records.close())
    made = frames(count)
    path = record(tmp_path / "raw.ome.zarr", made)
    with open_movie(path) as movie:
        assert len(movie) == count
        for index, frame in enumerate(made):
            np.testing.assert_array_equal(movie[index], frame.pixels)
            assert movie.header(index).channel == frame.header.channel


def test_a_frame_out_of_turn_is_refused_loudly(tmp_path):
    sink = OmeSink(tmp_path / "raw.ome.zarr", layout=recording_of(2))
    made = frames(4)
    for frame in made[:3]:
        sink.append(frame)
    with pytest.raises(Failure, match=r"frame 2: got the channel DAPI.*the turn of GFP"):
        sink.append(made[2])
    assert sink.close().frames == 3


@pytest.mark.parametrize("count", [5, 6])
def test_restore_says_that_it_restores_all_channels(tmp_path, monkeypatch, capsys, count):
    from liverestore.cli.main import run

    path = record(tmp_path / "raw.ome.tif", frames(count))
    out = tmp_path / "out.ome.tif"
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setattr(
        sys, "argv", ["liverestore", "restore", str(path), str(out), "--engine", "mean5"]
    )
    with pytest.raises(SystemExit) as ended:
        run()
    assert not ended.value.code
    assert "has the channels DAPI, GFP in turn: mean5 restores all" in capsys.readouterr().out
    with open_movie(path) as raw, open_movie(out) as movie:
        assert movie.axes == raw.axes
        assert [movie.header(n).channel for n in range(count)] == [
            raw.header(n).channel for n in range(count)
        ]
