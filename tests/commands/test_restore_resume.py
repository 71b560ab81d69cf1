"""`restore --resume`: what a restored file lacks, made as its other frames were."""

import shutil
import sys

import numpy as np
import pytest
from kept_results import FrameMaker, numbers_in, restored_by

from liverestore.camera_model import CameraModel
from liverestore.cli.backlog_job import Backlog
from liverestore.cli.backlog_plan import Results, of_making
from liverestore.movie import open_movie
from liverestore.writer.layout import RECORDING, recording_of
from liverestore.writer.ome import OmeSink

CAMERA = CameraModel(100.0, 0.5, 1.4)
FORMATS = [".ome.zarr", ".ome.tif"]


@pytest.fixture(params=FORMATS)
def extension(request):
    return request.param


@pytest.fixture
def run(monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", "300")

    def go(*arguments):
        from liverestore.cli.main import run as entry_point

        monkeypatch.setattr(sys, "argv", ["liverestore", *map(str, arguments)])
        code = 0
        try:
            entry_point()
        except SystemExit as ended:
            code = int(ended.code or 0)
        out, errors = capsys.readouterr()
        return code, out, errors

    return go


def write(path, items, layout=RECORDING):
    sink = OmeSink(path, layout=layout)
    for item in items:
        sink.append(item)
    sink.close()
    return path


def write_and_be_killed(path, items):
    """As a killed process leaves it."""
    elsewhere = path.parent / "elsewhere"
    sink = OmeSink(elsewhere / path.name)
    for item in items:
        sink.append(item)
    (shutil.copytree if sink.path.is_dir() else shutil.copy)(sink.path, path)
    sink.close()
    shutil.rmtree(elsewhere)
    return path


@pytest.fixture
def raw_frames():
    make = FrameMaker()
    return [make(number) for number in range(3, 15)]


def check_complete(raw, out, engine=lambda _frame: "mean5"):
    """Every raw frame is there, in order, as its engine makes it; and nothing else lies beside."""
    with open_movie(raw) as before, open_movie(out) as after:
        assert (after.axes, after.shape, after.dtype) == (before.axes, before.shape, before.dtype)
        for index in range(len(before)):
            record = after.record(index)
            assert record.header == before.header(index)
            frame = next(FrameMaker.of(before, index))
            expected = restored_by(engine(frame), frame, CAMERA)
            np.testing.assert_array_equal(after[index], expected.pixels)
            assert record.provenance.engine == engine(frame)
            assert of_making(record.provenance) == of_making(expected.provenance)
    kept = {path.name for path in raw.parent.iterdir()}
    assert kept == {raw.name, out.name}


def test_an_interrupted_restore_goes_on(tmp_path, run, raw_frames, extension):
    raw = write(tmp_path / f"raw{extension}", raw_frames)
    first = [restored_by("mean5", frame, CAMERA) for frame in raw_frames[:5]]
    out = write(tmp_path / f"out{extension}", first)
    code, said, errors = run("restore", raw, out, "--resume", "--engine", "mean5")
    assert (code, errors) == (0, "")
    assert "restoring 7 frames of raw" in said
    check_complete(raw, out)
    with open_movie(out) as after:
        # what was there was copied, not made again
        times = [after.record(i).provenance.started_ns for i in range(5)]
    assert times == [result.provenance.started_ns for result in first]
    code, said, _ = run("restore", raw, out, "--resume")
    assert code == 0
    assert "nothing to do" in said


def test_what_two_engine_processes_left_becomes_one_file(tmp_path, run, raw_frames, extension):
    raw = write(tmp_path / f"raw{extension}", raw_frames)
    judged = {"trust": "untested", "trust_reason": "dark", "trust_excess": 0.3, "brightest_e": 5.0}
    results = [restored_by("mean5", frame, CAMERA, judged=judged) for frame in raw_frames]
    out = write(tmp_path / f"restored{extension}", results[2:7:2])
    write(tmp_path / f"restored_001{extension}", results[8:11])
    code, said, errors = run("restore", raw, out, "--resume")
    assert (code, errors) == (0, "")
    assert "restoring 6 frames" in said
    check_complete(raw, out)


def test_the_engine_changes_where_it_changed(tmp_path, run, raw_frames):
    raw = write(tmp_path / "raw.ome.zarr", raw_frames)
    results = [
        restored_by("mean5" if frame.header.number < 8 else "median5", frame, CAMERA)
        for frame in (raw_frames[0], raw_frames[3], raw_frames[8])
    ]
    out = write(tmp_path / "restored.ome.zarr", results)
    code, _, errors = run("restore", raw, out, "--resume")
    assert (code, errors) == (0, "")
    # frames between two results follow the one before
    check_complete(
        raw, out, lambda frame: "mean5" if frame.header.number < 11 else "median5"
    )  # fmt: skip


def test_channels_in_turn_keep_their_engines_and_axes(tmp_path, run, extension):
    make = FrameMaker()
    engines = {"DAPI": "mean5", "GFP": "median5"}
    frames = [make(n, channel="DAPI" if n % 2 == 0 else "GFP") for n in range(12)]
    raw = write(tmp_path / f"raw{extension}", frames, recording_of(2))
    results = [restored_by(engines[f.header.channel], f, CAMERA) for f in (frames[0], frames[5])]
    out = write(tmp_path / f"restored{extension}", results)
    code, _, errors = run("restore", raw, out, "--resume")
    assert (code, errors) == (0, "")
    with open_movie(out) as movie:
        assert movie.axes == "TCYX"
    check_complete(raw, out, lambda frame: engines[frame.header.channel])


def test_a_channel_without_a_result_is_told(tmp_path, run):
    make = FrameMaker()
    frames = [make(n, channel="DAPI" if n % 2 == 0 else "GFP") for n in range(6)]
    raw = write(tmp_path / "raw.ome.zarr", frames, recording_of(2))
    out = write(tmp_path / "restored.ome.zarr", [restored_by("mean5", frames[0], CAMERA)])
    code, said, _ = run("restore", raw, out, "--resume")
    assert code == 0
    assert "3 frames of a channel that has no result, not restored" in said
    assert numbers_in(out) == [0, 2, 4]


def complete(raw, files, stop_after=None, siblings=False):
    steps = []

    def on_step():
        steps.append(1)
        return len(steps) == stop_after

    with open_movie(raw) as movie:
        results = Results(movie.header(0).run_id)
        for n, path in enumerate(files):
            results.add(path, sibling=siblings and n > 0)
        try:
            return Backlog(movie, results, None, on_step=on_step).run()
        finally:
            results.close()


@pytest.mark.parametrize("torn", [False, True], ids=["Ctrl-C", "killed"])
def test_stopped_in_the_middle_it_goes_on(tmp_path, run, raw_frames, extension, torn):
    raw = write(tmp_path / f"raw{extension}", raw_frames)
    results = [restored_by("mean5", frame, CAMERA) for frame in raw_frames]
    out = write(tmp_path / f"restored{extension}", [results[n] for n in (1, 6, 10)])
    said = complete(raw, [out], stop_after=5)
    assert said.interrupted
    assert (said.asked, said.restored) == (9, 4)
    working = tmp_path / f"restored_resuming{extension}"
    assert said.files == [(working, 5)]
    assert numbers_in(working) == [3, 4, 5, 6, 7]
    # nothing was taken from what was there
    assert numbers_in(out) == [4, 9, 13]
    if torn:
        # killed while it went on: an unfinished file beside the unfinished file
        with open_movie(working) as movie:
            done = [FrameMaker.result(movie, n) for n in range(5)]
        more = [*done, results[5], results[6]]
        write_and_be_killed(tmp_path / f"restored_resuming_001{extension}", more)
    code, told, errors = run("restore", raw, out, "--resume")
    assert (code, errors) == (0, "")
    assert f"restoring {4 if torn else 5} frames of" in told
    check_complete(raw, out)


def test_stopped_before_anything_new_leaves_all_as_it_was(tmp_path, raw_frames, extension):
    raw = write(tmp_path / f"raw{extension}", raw_frames)
    first = [restored_by("mean5", frame, CAMERA) for frame in raw_frames[:5]]
    out = write(tmp_path / f"out{extension}", first)
    said = complete(raw, [out], stop_after=2)
    assert (said.interrupted, said.restored) == (True, 0)
    assert sorted(path.name for path in tmp_path.iterdir()) == [out.name, raw.name]
    assert numbers_in(out) == [3, 4, 5, 6, 7]
    # once all that was there is copied, the new file takes its place
    assert complete(raw, [out], stop_after=7).files == [(out, 7)]
    assert sorted(path.name for path in tmp_path.iterdir()) == [out.name, raw.name]


def test_a_torn_result_is_made_again(tmp_path, run, raw_frames):
    raw = write(tmp_path / "raw.ome.zarr", raw_frames)
    results = [restored_by("mean5", frame, CAMERA) for frame in raw_frames[:5]]
    out = write_and_be_killed(tmp_path / "out.ome.zarr", results)
    chunk = out / "0" / "c" / "4" / "0" / "0"
    chunk.write_bytes(chunk.read_bytes()[:100])
    (out / "0" / "c" / "2" / "0" / "0").unlink()
    code, said, errors = run("restore", raw, out, "--resume")
    assert (code, errors) == (0, "")
    # The one at the end was cut off with its file, and counts as one that was never made.
    assert "restoring 8 frames of raw.ome.zarr that have no result" in said
    assert "1 frame was damaged and is restored again" in said
    check_complete(raw, out)


def test_a_movie_of_another_program_is_told_by_its_positions(tmp_path, run):
    import tifffile

    stack = np.random.default_rng(0).poisson(50, (5, 32, 48)).astype(np.uint16) + 100
    raw = tmp_path / "in.tif"
    tifffile.imwrite(raw, stack, imagej=True, metadata={"axes": "TYX"})
    code, _, _ = run("restore", raw, tmp_path / "whole.tif", "--engine", "mean5")
    with open_movie(tmp_path / "whole.tif") as movie:
        part = [FrameMaker.result(movie, n) for n in range(2)]
        whole = np.stack(list(movie))
    out = write(tmp_path / "out.tif", part)
    assert run("restore", raw, out, "--resume")[0] == code == 0
    with open_movie(out) as movie:
        np.testing.assert_array_equal(np.stack(list(movie)), whole)


def no_change(_folder):
    pass


REFUSED = {
    "engine": (["--engine", "median5"], no_change, "its frames were made with mean5"),
    "z": (["--z", "2"], no_change, "got --z or --dpm 2"),
    "stack": (["--zstack", "0:2:1"], no_change, "3 planes from 0 to 2 um"),
    "dtype": (["--dtype", "float32"], no_change, "its frames were made with uint16"),
    "force": (["--force"], no_change, "got --force and --resume"),
    "gone": ([], lambda folder: (folder / "out.ome.tif").unlink(), "no such file to resume"),
    "raw of another run": (
        [],
        lambda folder: other_raw(folder, run_id="other"),
        "of the run 'run'",
    ),
    "raw that lacks frames": ([], lambda folder: other_raw(folder, last=5), "raw.ome.tif lacks"),
}


def other_raw(folder, run_id="run", last=15):
    (folder / "raw.ome.tif").unlink()
    make = FrameMaker(run_id=run_id)
    write(folder / "raw.ome.tif", [make(number) for number in range(3, last)])


@pytest.mark.parametrize("name", REFUSED)
def test_refused_in_one_line_and_nothing_is_touched(tmp_path, run, raw_frames, name):
    options, change, says = REFUSED[name]
    raw = write(tmp_path / "raw.ome.tif", raw_frames)
    results = [restored_by("mean5", frame, CAMERA) for frame in raw_frames[:5]]
    out = write(tmp_path / "out.ome.tif", results)
    change(tmp_path)
    before = out.read_bytes() if out.exists() else None
    code, _, errors = run("restore", raw, out, "--resume", *options)
    assert code == 2
    assert says in errors
    assert errors.strip().count("\n") == 0
    assert (out.read_bytes() if out.exists() else None) == before


def test_an_engine_that_is_another_one_now_is_refused(tmp_path, run, raw_frames):
    raw = write(tmp_path / "raw.ome.zarr", raw_frames)
    old = restored_by("mean5", raw_frames[0], CAMERA, version="0")
    out = write(tmp_path / "out.ome.zarr", [old])
    code, _, errors = run("restore", raw, out, "--resume")
    assert code == 2
    assert "the engine 'mean5' is another one now: version 1" in errors
    assert sorted(path.name for path in tmp_path.iterdir()) == [out.name, raw.name]


def test_files_that_belong_to_something_else_stay(tmp_path, run, raw_frames):
    raw = write(tmp_path / "raw.ome.tif", raw_frames)
    results = [restored_by("mean5", frame, CAMERA) for frame in raw_frames]
    out = write(tmp_path / "out.ome.tif", results[:5])
    # the same frames by another engine, and frames of another run
    medians = [restored_by("median5", frame, CAMERA) for frame in raw_frames[:7]]
    other = FrameMaker(run_id="other")
    kept = {
        write(tmp_path / "out_001.ome.tif", medians),
        write(tmp_path / "out_002.ome.tif", [restored_by("mean5", other(99), CAMERA)]),
        write(tmp_path / "out_resuming.ome.tif", medians),
    }
    code, said, _ = run("restore", raw, out, "--resume")
    assert code == 0
    assert said.count("belongs to something else and is left as it is") == 3
    assert all(path.exists() for path in kept)
    assert numbers_in(out) == [frame.header.number for frame in raw_frames]
