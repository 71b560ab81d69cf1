"""Recordings whose last frame was cut off, as a power cut or half a copy leaves it."""

import errno
import logging
import os
import re
import shutil
import struct
import subprocess
import sys

import numpy as np
import pytest
import tifffile

from liverestore.errors import UserError
from liverestore.frame_record import RECORD_TAG, crc32
from liverestore.movie import open_movie
from liverestore.movie_tiff_cut import CutFile, find_cut
from liverestore.writer.layout import recording_of
from liverestore.writer.ome import OmeSink
from liverestore.writer.zarr_chunks import ZarrChunks

WHOLE = 3
"""Frames before the one that is cut."""


@pytest.fixture
def given(frames):
    return [frames(10 + number) for number in range(WHOLE + 1)]


@pytest.fixture
def tiff(tmp_path, given):
    """Of four pages: the bytes before it was closed, those of its first three, and after it was."""
    path = tmp_path / "a.ome.tif"
    sink = OmeSink(path)
    sizes = []
    for frame in given:
        sink.append(frame)
        sizes.append(path.stat().st_size)
    data = path.read_bytes()
    sink.close()
    return data, sizes[WHOLE - 1], path.read_bytes()


def check_whole(movie, given):
    assert movie.shape == (WHOLE, 24, 32)
    for index in range(WHOLE):
        record = movie.record(index)
        assert record.header.number == 10 + index
        assert crc32(movie[index]) == record.crc32
        np.testing.assert_array_equal(movie[index], given[index].pixels)
    with pytest.raises(IndexError):
        movie[WHOLE]


def test_a_tiff_that_is_cut_anywhere_in_its_last_page_says_so(tmp_path, given, tiff):
    data, whole, _ = tiff
    torn = tmp_path / "torn.ome.tif"
    said = set()
    for end in range(whole + 1, len(data), 7):
        torn.write_bytes(data[:end])
        with open_movie(torn) as movie:
            check_whole(movie, given)
            note = movie.note
        assert "\n" not in note
        assert "the 3 frames before it, 10 to 12, are whole" in note, end
        said.add(re.search(r"in the middle of (.*?),", note)[1])
    # Its number, where its record is whole, which comes before its pixels.
    assert said == {"the frame after 12", "frame 13"}


def test_a_tiff_that_is_whole_says_nothing(tmp_path, tiff):
    data, whole, closed = tiff
    path = tmp_path / "x.ome.tif"
    for content, count in ((data, 4), (closed, 4)):
        path.write_bytes(content)
        with open_movie(path) as movie:
            assert (len(movie), movie.note) == (count, None)
    # All of a page was written, and the one before does not point at it yet.
    path.write_bytes(data[:whole])
    assert find_cut(path) is not None, "the third page says that a fourth follows"


def test_a_copy_of_a_closed_tiff_that_is_cut_short_says_so(tmp_path, given, tiff):
    data, _, closed = tiff
    assert len(closed) > len(data)
    path = tmp_path / "x.ome.tif"
    path.write_bytes(closed[: len(data) - 100])
    with open_movie(path) as movie:
        check_whole(movie, given)
        assert "ends in the middle of frame 13" in movie.note


def test_pages_of_which_only_the_place_was_made_are_left_out(tmp_path, given, tiff):
    """A file system may have the length of a file and not yet its content."""
    data, whole, _ = tiff
    path = tmp_path / "x.ome.tif"
    path.write_bytes(data[:whole] + bytes(len(data) - whole))
    with open_movie(path) as movie:
        check_whole(movie, given)
        assert "the frame after 12" in movie.note


def test_a_page_whose_record_is_nowhere_is_left_out(tmp_path, given, tiff):
    data = bytearray(tiff[0])
    # Of the entry in the directory of the last page: code, kind, count, place.
    at = data.rindex(struct.pack("<HH", RECORD_TAG, 2)) + 12
    data[at : at + 8] = b"\xff" * 8
    path = tmp_path / "x.ome.tif"
    path.write_bytes(data)
    with open_movie(path) as movie:
        check_whole(movie, given)
        assert "the frame after 12" in movie.note


def test_a_single_page_that_is_cut_is_refused(tmp_path, frames):
    path = tmp_path / "a.ome.tif"
    sink = OmeSink(path)
    sink.append(frames(0))
    data = path.read_bytes()
    sink.close()
    path.write_bytes(data[:-100])
    with pytest.raises(UserError, match="cut short"):
        open_movie(path)


def test_one_whole_page_is_left_of_two(tmp_path, frames):
    path = tmp_path / "a.ome.tif"
    sink = OmeSink(path)
    first = frames(0)
    sink.append(first)
    sink.append(frames(1))
    data = path.read_bytes()
    sink.close()
    path.write_bytes(data[:-100])
    with open_movie(path) as movie:
        np.testing.assert_array_equal(movie[0], first.pixels)
        assert len(movie) == 1
        assert "frame 1, which is left out; the frame before it, 0 to 0, is whole" in movie.note


def test_a_cut_file_reads_as_one_that_ends_there(tmp_path, tiff):
    data, whole, _ = tiff
    path = tmp_path / "x.tif"
    path.write_bytes(data[:-50])
    cut = find_cut(path)
    assert (cut.pages, cut.size) == (WHOLE, whole)
    with CutFile(path, cut) as file:
        assert file.seek(0, os.SEEK_END) == whole
        file.seek(0)
        read = file.read()
        assert len(read) == whole
        place = slice(cut.pointer_at, cut.pointer_at + cut.pointer_bytes)
        assert read[place] == bytes(cut.pointer_bytes)
        rest = bytearray(data[:whole])
        rest[place] = bytes(cut.pointer_bytes)
        assert read == rest
        # In pieces, one of which begins in the middle of the pointer.
        file.seek(cut.pointer_at + 3)
        assert file.read(10) == rest[cut.pointer_at + 3 : cut.pointer_at + 13]


def test_files_of_others_are_not_looked_at(tmp_path):
    path = tmp_path / "x.tif"
    path.write_bytes(b"MM\0*" + bytes(40))
    assert find_cut(path) is None
    path.write_bytes(b"II*\0" + (8).to_bytes(4, "little") + b"\1\0" + bytes(40))
    cut = find_cut(path)
    assert cut is None or cut.pages == 0
    tifffile.imwrite(path, np.zeros((3, 8, 8), np.uint16), imagej=True)
    with open_movie(path) as movie:
        assert movie.note is None


@pytest.fixture
def store(tmp_path, given):
    """An OME-Zarr of four frames that was not closed."""
    sink = OmeSink(tmp_path / "raw.ome.zarr")
    for frame in given:
        sink.append(frame)
    killed = tmp_path / "killed.ome.zarr"
    shutil.copytree(tmp_path / "raw.ome.zarr", killed)
    sink.close()
    return killed


@pytest.mark.parametrize("left", [0, 100, None])
def test_a_recording_in_zarr_that_was_cut_off_says_so(store, given, left):
    last = store / "0" / "c" / str(WHOLE) / "0" / "0"
    with open_movie(store) as movie:
        assert (len(movie), movie.note) == (4, None)
    if left is None:
        last.unlink()
    else:
        os.truncate(last, left)
    with open_movie(store) as movie:
        check_whole(movie, given)
        assert "killed.ome.zarr ends in the middle of frame 13, which is left out" in movie.note
        assert "the 3 frames before it, 10 to 12, are whole" in movie.note


def test_a_frame_that_is_kept_is_not_called_lost_where_the_shape_finds_no_room(
    tmp_path, given, monkeypatch
):
    """A disk that had room for the frame and not for what other programs read."""

    def no_room(_store, _frames):
        raise OSError(errno.ENOSPC, "no space left")

    sink = OmeSink(tmp_path / "raw.ome.zarr")
    with monkeypatch.context() as patched:
        patched.setattr(ZarrChunks, "_tell_shape", no_room)
        sink.append(given[0])
        assert sink.written == 1
    assert sink.close().frames == 1
    with open_movie(tmp_path / "raw.ome.zarr") as movie:
        assert (len(movie), movie.note) == (1, None)


def test_channels_in_turn_that_were_cut_off_in_zarr(tmp_path, frames):
    sink = OmeSink(tmp_path / "raw.ome.zarr", layout=recording_of(2))
    given = [frames(number) for number in range(5)]
    for frame in given:
        sink.append(frame)
    killed = tmp_path / "killed.ome.zarr"
    shutil.copytree(tmp_path / "raw.ome.zarr", killed)
    sink.close()
    os.truncate(killed / "0" / "c" / "2" / "0" / "0" / "0", 7)
    with open_movie(killed) as movie:
        assert len(movie) == 4
        assert "in the middle of frame 4" in movie.note
        np.testing.assert_array_equal(movie[3], given[3].pixels)


def test_restore_says_it_and_restores_the_rest(tmp_path, tiff):
    source = tmp_path / "torn.ome.tif"
    source.write_bytes(tiff[0][:-100])
    out = tmp_path / "out.ome.tif"
    command = "from liverestore.cli.main import run; run()"
    done = subprocess.run(
        [sys.executable, "-c", command, "restore", source, out, "--engine", "mean5"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert f"note: {source.name} ends in the middle of frame 13" in done.stdout
    with open_movie(out) as movie:
        assert len(movie) == WHOLE


def test_the_log_of_tifffile_stays_quiet(tmp_path, tiff, caplog):
    path = tmp_path / "x.ome.tif"
    path.write_bytes(tiff[0][:-100])
    with caplog.at_level(logging.INFO), open_movie(path) as movie:
        assert movie[0].any()
    assert caplog.text == ""
