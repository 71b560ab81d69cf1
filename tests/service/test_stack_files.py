"""Virtual stacks beside a recording: which file, which axes, which planes together."""

import threading
from pathlib import Path

import numpy as np
import pytest
import tifffile
import zarr

from liverestore.errors import Failure
from liverestore.frame import Frame, FrameHeader, Provenance, Restored
from liverestore.movie import open_movie
from liverestore.optics import Optics
from liverestore.service import restored_files
from liverestore.service.restored_files import RestoredFiles
from liverestore.status import Notice, RestoredReport, SaveRestored
from liverestore.writer.queue import QueuedSink
from liverestore.writer.sink import SinkReport
from liverestore.writer.zarr_chunks import ZarrChunks

OPTICS = {
    None: Optics(0.8, 525.0, 1.0, 1.333, 0.325, depth_um=20.0),
    "green": Optics(0.8, 525.0, 1.0, 1.333, 0.325, depth_um=20.0),
    "red": Optics(0.8, 650.0, 1.0, 1.333, 0.325, depth_um=20.0),
}
PLANES_UM = (-1.0, -0.5, 0.0)


def restored(number, planes_um=PLANES_UM, channel=None, shape=(6, 8)):
    """Pixels of 100 x the frame's number, and one more for each plane."""
    header = FrameHeader(
        run_id="r", number=number, shape=shape, dtype="uint16", captured_ns=10**9 * (1 + number),
        captured_utc="2026-01-01T00:00:00+00:00", camera="c", channel=channel, z_um=7.0,
        pixel_size_um=0.325,
    )  # fmt: skip
    source = Frame(np.full(shape, number, np.uint16), header)

    def made(value, **parameters):
        told = Provenance(
            engine="e", version="1", sha256="ab", runtime="r", parameters=parameters,
            started_ns=0, finished_ns=1,
        )  # fmt: skip
        return Restored(np.full(shape, value, np.uint16), source, told)

    planes = [made(100 * number + n, virtual_z_um=z) for n, z in enumerate(planes_um)]
    picture = made(99, virtual_z_um=2.0)
    return Restored(picture.pixels, source, picture.provenance, planes=tuple(planes))


@pytest.fixture
def files():
    made = []

    def make(path, stacked=(), **options):
        told = []
        item = RestoredFiles(
            path, tell=told.append, find_optics=OPTICS.__getitem__, stacked=lambda: stacked,
            **options,
        )  # fmt: skip
        item.told = told
        made.append(item)
        return item

    yield make
    for item in made:
        item.close()


def content(path):
    """Axes, and (number, channel, virtual z) of each plane, whose pixels are looked at too."""
    with open_movie(path) as movie:
        told = []
        for index in range(len(movie)):
            record = movie.record(index)
            z_um = record.provenance.parameters["virtual_z_um"]
            told.append((record.header.number, record.header.channel, z_um))
        return movie.axes, movie.leading_shape, told


@pytest.mark.parametrize("kind", ["ome.zarr", "ome.tif"])
def test_stacks_of_single_frames_are_tzyx(files, tmp_path, kind):
    path = tmp_path / f"restored.{kind}"
    item = files(path)
    for number in (0, 3, 9):  # the engine could not keep up
        item.append(restored(number))
    item.close()
    axes, sizes, told = content(path)
    assert (axes, sizes) == ("TZYX", (3, 3))
    assert told == [(number, None, z_um) for number in (0, 3, 9) for z_um in PLANES_UM]
    with open_movie(path) as movie:
        assert (movie.z_step_um, movie.pixel_size_um) == (0.5, 0.325)
        # from one restored frame to the next, not from one camera frame to the next
        assert movie.interval_ms == pytest.approx(4500.0)
        np.testing.assert_array_equal(movie[4], np.full((6, 8), 301))
        assert movie.header(4).z_um == 7.0
    closed = [word for word in item.told if isinstance(word, RestoredReport) and word.closed]
    assert [(word.path, word.frames, word.planes) for word in closed] == [(str(path), 9, 3)]


def test_the_file_says_engine_optics_stack_and_sign(files, tmp_path):
    zarr_path, tiff_path = tmp_path / "restored.ome.zarr", tmp_path / "restored.ome.tif"
    for path in (zarr_path, tiff_path):
        item = files(path)
        item.append(restored(0))
        item.close()
    group = zarr.open(zarr_path, mode="r")
    said = group.attrs["liverestore"]["restored_by"]
    assert said["engine"] == "e"
    assert said["refocused_to"] == "3 planes from -1 to 0 um in steps of 0.5 um"
    assert said["optics"] == "NA 0.8, 525 nm, immersion 1, sample 1.333, depth 20 um"
    assert "um" in said["sign_of_z"]
    transforms = group.attrs["ome"]["multiscales"][0]["datasets"][0]["coordinateTransformations"]
    assert transforms[1] == {"type": "translation", "translation": [0.0, -1.0, 0.0, 0.0]}
    with tifffile.TiffFile(tiff_path) as tiff:
        assert tiff.series[0].shape == (3, 6, 8)
        xml = tiff.ome_metadata
    assert 'PhysicalSizeZ="0.5"' in xml
    assert 'PositionZ="-0.5"' in xml
    assert "sign_of_z=" in xml


@pytest.mark.parametrize("kind", ["ome.zarr", "ome.tif"])
def test_channels_in_turn_are_tczyx(files, tmp_path, kind):
    path = tmp_path / f"restored.{kind}"
    item = files(path, stacked=("green", "red"))
    # red comes first, green of frame 2 is replaced by that of 4, red of 7 has no green
    for number, channel in ((1, "red"), (0, "green"), (2, "green"), (4, "green"), (5, "red")):
        item.append(restored(number, channel=channel))
    item.append(restored(7, channel="red"))
    item.close()
    axes, sizes, told = content(path)
    assert (axes, sizes) == ("TCZYX", (2, 2, 3))
    assert [entry[:2] for entry in told[::3]] == [
        (0, "green"), (1, "red"), (4, "green"), (5, "red")
    ]  # fmt: skip
    if kind == "ome.zarr":
        group = zarr.open(path, mode="r")
        assert group.attrs["liverestore"]["channels"] == ["green", "red"]
        assert group.attrs["liverestore"]["restored_by"]["optics"].startswith("green: NA 0.8, 525")
        assert "; red: NA 0.8, 650 nm" in group.attrs["liverestore"]["restored_by"]["optics"]
        scale = group.attrs["ome"]["multiscales"][0]["datasets"][0]["coordinateTransformations"]
        assert scale[0]["scale"] == [4000.0, 1.0, 0.5, 0.325, 0.325]
    else:
        with tifffile.TiffFile(path) as tiff:
            xml = tiff.ome_metadata
        assert xml.index('Name="green"') < xml.index('Name="red"')


def test_a_channel_without_a_stack_goes_into_a_plain_series_beside(files, tmp_path):
    item = files(tmp_path / "restored.ome.zarr", stacked=("green",))
    for number in range(4):
        channel, planes_um = ("red", ()) if number % 2 else ("green", PLANES_UM)
        item.append(restored(number, planes_um, channel))
    item.close()
    assert content(tmp_path / "restored.ome.zarr")[:2] == ("TZYX", (2, 3))
    axes, sizes, told = content(tmp_path / "restored_part2.ome.zarr")
    assert (axes, sizes) == ("TYX", (2,))
    assert told == [(1, "red", 2.0), (3, "red", 2.0)]


def test_another_stack_begins_another_file_and_none_a_plain_one(files, tmp_path):
    path = tmp_path / "restored.ome.tif"
    item = files(path)
    for number, planes_um in enumerate([PLANES_UM, PLANES_UM, (), (0.0, 1.0), (0.0, 1.0), ()]):
        item.append(restored(number, planes_um))
    item.obey(SaveRestored(path=str(path), first=0, last=5), 0.0)
    item.attend(0.0)
    item.close()
    assert content(path)[:2] == ("TZYX", (2, 3))
    assert content(tmp_path / "restored_part2.ome.tif")[2] == [(2, None, 2.0), (5, None, 2.0)]
    assert content(tmp_path / "restored_part3.ome.tif")[:2] == ("TZYX", (2, 2))
    lines = [word.text for word in item.told if isinstance(word, Notice)]
    assert len(lines) == 2
    # it went as it should, and asks for no attention
    assert all(word.ordinary for word in item.told if isinstance(word, Notice))
    assert lines[0] == f"restored frames go on in {tmp_path / 'restored_part2.ome.tif'}"
    asked = {word.asked for word in item.told if isinstance(word, RestoredReport)}
    assert asked == {str(path)}


def test_a_disk_that_is_full_within_a_stack_is_told_of_once(files, tmp_path, monkeypatch):
    path = tmp_path / "restored.ome.zarr"
    write = ZarrChunks.write

    def until_full(self, pixels, record):
        if pixels[0, 0] == 101:
            raise OSError(28, "No space left on device")
        write(self, pixels, record)

    monkeypatch.setattr(ZarrChunks, "write", until_full)
    item = files(path)
    for number in range(2):
        item.append(restored(number))
    item.obey(SaveRestored(path=str(path), first=0, last=1), 0.0)
    item.close()
    (line,) = [word.text for word in item.told if isinstance(word, Notice)]
    assert "restored frames are no longer saved: frame 1 could not be written" in line
    assert content(path)[:2] == ("TZYX", (1, 3))


def test_planes_count_in_what_may_wait(files, monkeypatch):
    monkeypatch.setattr(restored_files, "_SPARE_BYTES", 6 * 8 * 2 * 10)
    item = files(None)
    for number in range(9):
        item.append(restored(number))  # picture, raw frame and three planes each
    assert len(item._waiting) == 2
    monkeypatch.setattr(restored_files, "_SPARE_BYTES", 1)
    item.append(restored(9))
    assert len(item._waiting) == 1
    item = files(None)
    for number in range(9):
        item.append(restored(number, ()))
    assert len(item._waiting) == 1


class Slow:
    """A sink that waits for `free`."""

    def __init__(self):
        self.free, self.kept = threading.Event(), []

    def prepare(self, first):
        pass

    def append(self, item):
        assert self.free.wait(20)
        self.kept.append(item)

    def close(self):
        return SinkReport(Path("slow"), len(self.kept))


def test_a_stack_is_queued_whole_or_not_at_all():
    sink = Slow()
    queue = QueuedSink(sink, limit_bytes=6 * 8 * 2 * 7)
    for number in range(2):
        queue.append(*restored(number).planes)
    with pytest.raises(Failure, match="frame 2 and all after it"):
        queue.append(*restored(2).planes)
    assert queue.lost == 3
    sink.free.set()
    queue.close()
    assert [plane.source.header.number for plane in sink.kept] == [0, 0, 0, 1, 1, 1]
