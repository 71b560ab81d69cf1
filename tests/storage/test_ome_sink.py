"""The contract of frame sinks, for both formats, with and without a queue."""

import signal
import subprocess
import sys
from pathlib import Path

import msgspec
import numpy as np
import ome_types
import pytest
import tifffile
import yaozarrs
import zarr

from liverestore.errors import Failure, UserError
from liverestore.frame import Frame, Restored
from liverestore.frame_record import RECORD_TAG, crc32
from liverestore.movie import open_movie
from liverestore.writer.layout import Layout
from liverestore.writer.ome import OmeSink, free_name
from liverestore.writer.queue import QueuedSink

EXTENSIONS = [".ome.tif", ".ome.zarr"]


@pytest.fixture(params=EXTENSIONS)
def path(request, tmp_path):
    return tmp_path / f"run{request.param}"


@pytest.fixture(params=[False, True], ids=["direct", "queued"])
def open_sink(request):
    return (lambda *a, **k: QueuedSink(OmeSink(*a, **k))) if request.param else OmeSink


def read_with_its_own_library(path):
    if path.is_dir():
        return zarr.open_group(path, mode="r")["0"][...]
    return tifffile.imread(path)


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
def test_what_is_read_is_what_was_given(path, open_sink, frames, dtype):
    given = [frames(n, dtype=dtype) for n in range(5)]
    sink = open_sink(path)
    sink.prepare(given[0])
    for frame in given:
        sink.append(frame)
    report = sink.close()
    assert (report.path, report.frames) == (path, 5)
    stack = np.stack([frame.pixels for frame in given])
    stored = read_with_its_own_library(path)
    assert stored.dtype == stack.dtype
    np.testing.assert_array_equal(stored, stack)
    with open_movie(path) as movie:
        assert (movie.axes, movie.shape) == ("TYX", (5, 24, 32))
        np.testing.assert_array_equal(np.stack(list(movie)), stack)
        assert [movie.header(n) for n in range(5)] == [frame.header for frame in given]
        for n, frame in enumerate(given):
            record = movie.record(n)
            assert record.crc32 == crc32(frame.pixels) == crc32(movie[n])
            assert record.provenance is None
        assert movie.pixel_size_um == pytest.approx(0.065)
        assert movie.interval_ms == pytest.approx(10)


def test_first_append_prepares(path, open_sink, frames):
    sink = open_sink(path)
    sink.append(frames(0))
    assert sink.close().frames == 1
    with open_movie(path) as movie:
        assert len(movie) == 1


def test_nothing_appended_leaves_nothing(path, open_sink):
    sink = open_sink(path)
    assert sink.close().frames == 0
    assert sink.close().frames == 0
    assert not path.exists()


def test_restored_frames_say_what_made_them(path, open_sink, frames):
    given = [frames.restored(n) for n in range(3)]
    sink = open_sink(path)
    for item in given:
        sink.append(item)
    sink.close()
    with open_movie(path) as movie:
        for n, item in enumerate(given):
            np.testing.assert_array_equal(movie[n], item.pixels)
            record = movie.record(n)
            assert record.header == item.source.header
            assert record.provenance.engine == "denoise-live"
            assert record.provenance.sha256 == "ab" * 32
            assert record.provenance.warnings == ("too dark",)
            assert record.provenance.parameters == {
                "offset_counts": 100.0,
                "odd": "nan",
                "order": 3,
                "kind": "x",
            }


def test_a_series_of_several_channels_and_engines_names_them_all(path, open_sink, frames):
    """What Fiji and others show of the file as a whole must not be that of its first frame."""
    sink = open_sink(path)
    for n in range(4):
        item = frames.restored(n)
        if n % 2:
            header = msgspec.structs.replace(item.source.header, channel="DAPI")
            made = msgspec.structs.replace(item.provenance, engine="mean5", version="1", sha256="")
            item = Restored(item.pixels, Frame(item.source.pixels, header), made)
        sink.append(item)
    sink.close()
    if path.suffix == ".zarr":
        told = zarr.open(path, mode="r").attrs["liverestore"]["restored_by"]
        assert told["engine"] == "denoise-live, mean5"
        assert told["sha256"] == "ab" * 32 + ", -"
    else:
        with tifffile.TiffFile(path) as tiff:
            image = ome_types.from_xml(tiff.ome_metadata, validate=False).images[0]
        assert image.pixels.channels[0].name == "GFP, DAPI"
        assert "engine=denoise-live, mean5 version=1.2, 1 " in image.description


def test_ome_xml_is_valid_and_complete(tmp_path, frames):
    path = tmp_path / "a.ome.tif"
    sink = OmeSink(path)
    for n in range(3):
        sink.append(frames(n))
    sink.close()
    with tifffile.TiffFile(path) as tiff:
        assert tiff.is_ome
        assert tiff.series[0].axes == "TYX"
        pixels = ome_types.from_xml(tiff.ome_metadata, validate=False).images[0].pixels
    assert (pixels.size_t, pixels.size_c, pixels.size_z) == (3, 1, 1)
    assert pixels.physical_size_x == pytest.approx(0.065)
    assert pixels.physical_size_x_unit.value == "µm"
    assert pixels.time_increment == pytest.approx(10)
    assert pixels.channels[0].name == "GFP"
    assert [plane.the_t for plane in pixels.planes] == [0, 1, 2]
    assert [plane.delta_t for plane in pixels.planes] == pytest.approx([0, 0.01, 0.02])
    assert [plane.exposure_time for plane in pixels.planes] == pytest.approx([0.008] * 3)
    assert [plane.position_z for plane in pixels.planes] == pytest.approx([1.5, 2.5, 3.5])


def test_ome_zarr_is_valid_and_uncompressed(tmp_path, frames):
    path = tmp_path / "a.ome.zarr"
    sink = OmeSink(path)
    frame = frames(0)
    sink.append(frame)
    sink.close()
    yaozarrs.validate_zarr_store(str(path))
    own = dict(zarr.open_group(path, mode="r").attrs)["liverestore"]
    assert (own["complete"], own["frames"], own["run_id"]) == (True, 1, "run")
    assert (path / "0" / "c" / "0" / "0" / "0").read_bytes() == frame.pixels.tobytes()


def test_unknown_sizes_stay_unknown(path, open_sink):
    from liverestore.frame import Frame, FrameHeader

    pixels = np.zeros((4, 4), np.uint16)
    header = FrameHeader(
        run_id="r", number=0, shape=(4, 4), dtype="uint16", captured_ns=0, captured_utc="",
        camera="",
    )  # fmt: skip
    sink = open_sink(path)
    sink.append(Frame(pixels, header))
    sink.close()
    with open_movie(path) as movie:
        assert (movie.pixel_size_um, movie.interval_ms, movie.z_step_um) == (None, None, None)


@pytest.mark.parametrize(
    ("axes", "leading"), [("YX", ()), ("ZYX", (4,)), ("TCZYX", (2, 3, 2)), ("TZYX", (2, 3))]
)
def test_layouts(path, open_sink, frames, axes, leading):
    layout = Layout(axes, leading)
    sink = open_sink(path, layout=layout, z_step_um=0.3, interval_ms=7.0)
    count = layout.frame_count
    given = [frames(n) for n in range(count)]
    for frame in given:
        sink.append(frame)
    sink.close()
    stack = np.stack([f.pixels for f in given]).reshape(*leading, 24, 32)
    np.testing.assert_array_equal(read_with_its_own_library(path), stack)
    if path.is_dir():
        yaozarrs.validate_zarr_store(str(path))
    with open_movie(path) as movie:
        assert (movie.axes, movie.leading_shape) == (axes, leading)
        assert movie.header(count - 1) == given[-1].header
        if "Z" in axes:
            assert movie.z_step_um == pytest.approx(0.3)
        if "T" in axes:
            assert movie.interval_ms == pytest.approx(7.0)


def test_a_full_layout_takes_no_more(path, frames):
    sink = OmeSink(path, layout=Layout("ZYX", (2,)))
    sink.append(frames(0))
    sink.append(frames(1))
    with pytest.raises(Failure, match=r"frame 2: .* is full with its 2 frames"):
        sink.append(frames(2))
    assert sink.close().frames == 2


def test_a_partial_layout_shrinks(path, open_sink, frames):
    sink = open_sink(path, layout=Layout("TYX", (10,)))
    for n in range(4):
        sink.append(frames(n))
    sink.close()
    with open_movie(path) as movie:
        assert movie.shape == (4, 24, 32)


@pytest.mark.parametrize("change", [{"shape": (24, 16)}, {"dtype": "uint8"}])
def test_another_size_mid_stream(path, open_sink, frames, change):
    sink = open_sink(path)
    kept = [frames(n) for n in range(3)]
    for frame in kept:
        sink.append(frame)
    with pytest.raises(Failure, match=r"frame 3: got .* start a new recording"):
        append_and_wait(sink, frames(3, **change))
    with pytest.raises(Failure, match="frame"):
        append_and_wait(sink, frames(4))
    assert sink.close().frames == 3
    assert sink.close().frames == 3
    with open_movie(path) as movie:
        np.testing.assert_array_equal(np.stack(list(movie)), np.stack([f.pixels for f in kept]))


def append_and_wait(sink, frame):
    """A queued sink tells a failure at the next call; close is the last one."""
    sink.append(frame)
    if isinstance(sink, QueuedSink):
        sink.close()


def test_nothing_is_overwritten(path, open_sink, frames):
    for expected in (path, free_name(path)):
        sink = open_sink(path)
        sink.append(frames(0))
        report = sink.close()
        assert report.path == expected or report.path.name.startswith("run_001")
    assert sorted(p.name for p in path.parent.iterdir()) == sorted(
        [path.name, path.name.replace("run", "run_001")]
    )


def test_names_with_dots_keep_their_extension(tmp_path):
    path = tmp_path / "2026.11.22 cell.ome.tif"
    path.touch()
    assert free_name(path).name == "2026.11.22 cell_001.ome.tif"


def test_existing_name_can_be_refused(path, frames):
    path.mkdir()
    with pytest.raises(UserError, match="exists already and is not overwritten"):
        OmeSink(path, on_existing="refuse").append(frames(0))
    assert list(path.iterdir()) == []


def test_unknown_extension(tmp_path):
    with pytest.raises(UserError, match=r"\.png"):
        OmeSink(tmp_path / "a.png")


def test_too_little_space_is_said_before_the_start(path, open_sink, frames):
    sink = open_sink(path, free_bytes=lambda folder: 10_000_000)
    with pytest.raises(UserError, match="10 MB of free space"):
        sink.append(frames(0))
    assert not path.exists()


def test_enough_space_for_a_known_number_of_frames(path, frames):
    needed = 100 * (24 * 32 * 2 + 4096)
    for free, fits in ((needed, True), (needed - 1, False)):
        sink = OmeSink(path, expected_frames=100, free_bytes=lambda folder, free=free: free)
        if fits:
            sink.append(frames(0))
        else:
            with pytest.raises(UserError, match="100 frames"):
                sink.append(frames(0))
        sink.close()


def test_folder_that_is_a_file(tmp_path, open_sink, frames):
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="cannot be created"):
        open_sink(tmp_path / "file" / "run.ome.tif").append(frames(0))


_CHILD = """
import os, signal, sys
import numpy as np
sys.path.insert(0, {here!r})
from conftest import FrameMaker
from liverestore.errors import Failure
from liverestore.writer.ome import OmeSink
frames = FrameMaker(shape=(128, 128))
sink = OmeSink({path!r}, free_bytes=lambda folder: 10**12)
for number in range(20):
    if {how!r} == "full" and number == 7:
        import resource
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        size = {limit}
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))
    try:
        sink.append(frames(number))
    except Failure as failure:
        print(failure)
        break
    if {how!r} == "killed" and number == 8:
        os.kill(os.getpid(), signal.SIGKILL)
print(sink.close().frames)
print(sink.close().frames)
"""


def run_child(path, how, limit=0):
    code = _CHILD.format(path=str(path), how=how, limit=limit, here=str(Path(__file__).parent))
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        cwd=Path(__file__).parents[2],
    )


def assert_whole(path, count, maker):
    frames = maker(shape=(128, 128))
    with open_movie(path) as movie:
        assert len(movie) == count
        for n in range(count):
            frame = frames(n)
            np.testing.assert_array_equal(movie[n], frame.pixels)
            assert movie.header(n) == frame.header
            assert movie.record(n).crc32 == crc32(frame.pixels)


@pytest.mark.skipif(sys.platform == "win32", reason="needs a limit on file sizes (POSIX)")
def test_full_disk_names_the_frame_and_keeps_the_others(path, frames):
    # A page of the TIFF is 32 KiB and some; a chunk file of the Zarr is 32 KiB.
    result = run_child(path, "full", 8 * 33_000 + 10_000 if path.suffix == ".tif" else 20_000)
    failure, kept, again = result.stdout.splitlines()
    assert result.stderr == ""
    count = int(kept)
    assert kept == again
    assert failure.startswith(f"frame {count} could not be written")
    assert 7 <= count < 20
    assert_whole(path, count, type(frames))
    assert len(read_with_its_own_library(path)) == count


@pytest.mark.skipif(sys.platform == "win32", reason="needs SIGKILL (POSIX)")
def test_killed_process_loses_neither_frames_nor_records(path, frames):
    result = run_child(path, "killed")
    assert result.returncode == -signal.SIGKILL
    assert_whole(path, 9, type(frames))


def test_page_cut_off_in_writing_is_left_out(tmp_path, frames):
    path = tmp_path / "a.ome.tif"
    sink = OmeSink(path)
    for n in range(4):
        sink.append(frames(n))
    # As after a kill: no close, and the last page lacks its last bytes.
    torn = tmp_path / "torn.ome.tif"
    torn.write_bytes(path.read_bytes()[:-100])
    sink.close()
    with open_movie(torn) as movie:
        assert len(movie) == 3
        assert movie.header(2).number == 2


def test_records_are_readable_without_this_program(tmp_path, frames):
    import json
    import zlib

    for extension in EXTENSIONS:
        sink = OmeSink(tmp_path / f"a{extension}")
        sink.append(frames(0))
        sink.close()
    with tifffile.TiffFile(tmp_path / "a.ome.tif") as tiff:
        in_tiff = json.loads(tiff.pages[0].tags[RECORD_TAG].value)
        assert zlib.crc32(tiff.pages[0].asarray().tobytes()) == in_tiff["crc32"]
    line = (tmp_path / "a.ome.zarr" / "0" / "frames.jsonl").read_text(encoding="utf-8")
    assert json.loads(line)["header"]["metadata"]["ImageNumber"] == "0"
    assert in_tiff["header"]["exposure_ms"] == 8.0


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ((b'"version":1', b'"version":9'), "damaged|version 9"),
        ((b'"crc32"', b'"crc99"'), "damaged"),
        ((b'{"version":1', b'{"version":7,"more":{}'), "damaged|version 7"),
    ],
)
def test_records_that_cannot_be_read_are_named(tmp_path, frames, change, says):
    path = tmp_path / "a.ome.zarr"
    sink = OmeSink(path)
    sink.append(frames(0))
    sink.append(frames(1))
    sink.close()
    file = path / "0" / "frames.jsonl"
    first, second, _ = file.read_bytes().split(b"\n")
    # A newer header brings fields that this version does not know.
    second = second.replace(*change).replace(b'"camera":', b'"lens":"x","camera":')
    file.write_bytes(first + b"\n" + second + b"\n")
    with open_movie(path) as movie:
        assert movie.header(0).number == 0
        with pytest.raises(UserError, match=says) as caught:
            movie.header(1)
    assert "line 2" in str(caught.value)


def test_the_check_in_the_documentation_works(tmp_path, frames, monkeypatch):
    page = Path(__file__).parents[2] / "docs" / "files.md"
    code = page.read_text(encoding="utf-8").split("```python")[1].split("```")[0]
    sink = OmeSink(tmp_path / "raw.ome.zarr")
    for n in range(3):
        sink.append(frames(n))
    sink.close()
    monkeypatch.chdir(tmp_path)
    exec(compile(code, "files.md", "exec"), {})
    (tmp_path / "raw.ome.zarr" / "0" / "c" / "1" / "0" / "0").write_bytes(bytes(24 * 32 * 2))
    with pytest.raises(AssertionError):
        exec(compile(code, "files.md", "exec"), {})
