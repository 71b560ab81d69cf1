"""Brackets within brackets without end, in every file that somebody else may have written."""

import contextlib
import os

import numpy as np
import pytest
import tifffile

from liverestore.acquisition_positions import read_positions
from liverestore.acquisition_sequence import read_sequence
from liverestore.camera_maps import load_maps
from liverestore.dose_account import open_account
from liverestore.errors import LiverestoreError
from liverestore.focus_map import read_positions as read_focus_points
from liverestore.frame_record import RECORD_TAG
from liverestore.movie import open_movie
from liverestore.paths import user_data
from liverestore.rig import load_rig
from liverestore.rig_surfaces import RigSurfaces, own_file
from liverestore.service.acquisition_record import last_record
from liverestore.writer.ome import OmeSink

DEEP = "[" * 100_000
RECORD = '{"version":1,"more":' + DEEP
"""A list in it that never ends."""


def refused(call):
    with pytest.raises(LiverestoreError) as caught:
        call()
    line = str(caught.value)
    assert "\n" not in line
    assert len(line) < 900
    return line


def test_a_record_in_a_tiff(tmp_path):
    path = tmp_path / "x.tif"
    tifffile.imwrite(
        path, np.zeros((8, 8), np.uint16), metadata=None,
        extratags=[(RECORD_TAG, 2, 0, RECORD, True)],
    )  # fmt: skip
    with open_movie(path) as movie:
        assert "x.tif, frame 0" in refused(lambda: movie.record(0))
        assert movie[0].shape == (8, 8)


def test_records_in_a_zarr(tmp_path, frames):
    sink = OmeSink(tmp_path / "x.ome.zarr")
    sink.append(frames(0))
    sink.close()
    (tmp_path / "x.ome.zarr" / "0" / "frames.jsonl").write_text(RECORD + "\n")
    with open_movie(tmp_path / "x.ome.zarr") as movie:
        assert "line 1" in refused(lambda: movie.record(0))


@pytest.mark.parametrize("description", [DEEP, '{"shape": ' + DEEP, "<OME>" * 50_000])
def test_a_description_of_a_tiff(tmp_path, description):
    path = tmp_path / "x.tif"
    tifffile.imwrite(path, np.zeros((8, 8), np.uint16), metadata=None, description=description)
    assert "camera maps" in refused(lambda: load_maps(path))
    # Its own pixels are readable all the same; one that claims a shape and does not tell it is not.
    with contextlib.suppress(LiverestoreError), open_movie(path) as movie:
        assert movie[0].shape == (8, 8)


@pytest.mark.parametrize(
    ("name", "text", "read"),
    [
        ("x.pos", '{"map": ' + DEEP, lambda path: read_positions([str(path)])),
        ("x.pos", '{"map": ' + DEEP, read_focus_points),
        ("x.json", DEEP, lambda path: read_sequence(path, ())),
        ("x.yaml", DEEP, lambda path: read_sequence(path, ())),
        ("x.json", '{"version": 1, "more": ' + DEEP, open_account),
    ],
)
def test_files_that_are_read_by_name(tmp_path, name, text, read):
    path = tmp_path / name
    path.write_text(text)
    assert name in refused(lambda: read(path))


def test_the_record_of_an_acquisition(tmp_path):
    (tmp_path / "acquisition.json").write_text('{"more": ' + DEEP)
    assert "acquisition.json" in refused(lambda: last_record(tmp_path))


def test_the_surfaces_of_a_user(tmp_path, monkeypatch):
    monkeypatch.setenv("LIVERESTORE_HOME", os.fspath(tmp_path))
    rig = load_rig("demo")
    file = own_file(rig.name)
    assert user_data() in file.parents
    file.parent.mkdir(parents=True)
    for text in ("a = " + DEEP, "a = " + "9" * 6000):
        file.write_text(text)
        assert "surfaces" in refused(lambda: RigSurfaces.load(rig))
