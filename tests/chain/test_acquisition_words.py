"""Live, Snap, Record and ROI on a running microscope: real capture and engine processes."""

import io

import fake_processes as fake
import msgspec
import pytest
from rich.console import Console

from liverestore.cli.run import run_plan, summarise
from liverestore.movie import open_movie
from liverestore.rig import load_rig
from liverestore.service.report import run_report

pytestmark = pytest.mark.timeout(240)


def small_rig(exposure_ms=20.0):
    rig = load_rig("demo")
    specimen = msgspec.structs.replace(rig.specimen, shape=(128, 160))
    camera = msgspec.structs.replace(rig.camera, exposure_ms=exposure_ms)
    source = msgspec.structs.replace(rig.source, buffer_size_mb=64)
    return msgspec.structs.replace(rig, specimen=specimen, camera=camera, source=source)


def numbers_in(path):
    with open_movie(path) as movie:
        return [movie.header(index).number for index in range(len(movie))], movie.shape


def test_a_person_pauses_snaps_records_and_chooses_a_roi(tmp_path, monkeypatch):
    monkeypatch.setenv("LIVERESTORE_HOME", str(tmp_path))
    output = io.StringIO()
    console = Console(file=output, width=160)
    plan, result = run_plan(small_rig(), "mean5", view=fake.view_that_acquires, console=console)
    summarise(plan, result, console)
    said = output.getvalue()
    assert (result.exit_code, result.failure) == (0, None), said
    assert result.capture.lost == 0
    folder = tmp_path / "documents"
    first, second, third = run_report(plan, result)["recordings"]
    for number, recording in enumerate((first, second, third), start=1):
        tail = "" if number == 1 else f"_{number:03d}"
        assert recording["raw"] == str(folder / f"raw{tail}.ome.zarr")
        assert (recording["lost"], recording["error"]) == (0, None)
        numbers, shape = numbers_in(recording["raw"])
        assert numbers == list(range(recording["first"], recording["last"] + 1))
        assert len(numbers) == recording["frames"]
        assert shape[1:] == ((128, 160) if number == 1 else (48, 64))
        # Restored frames lie in the file of the same recording, and only of its frames.
        (saved,) = recording["restored"]
        assert saved["path"] == str(folder / f"restored{tail}.ome.zarr")
        restored_numbers, restored_shape = numbers_in(saved["path"])
        assert set(restored_numbers) <= set(numbers)
        assert len(restored_numbers) == saved["frames"] > 0
        assert restored_shape[1:] == shape[1:]
        assert f"raw: {recording['raw']} ({len(numbers)} frames written)" in said
    # The ROI changed while recording: not one frame is missing in between.
    assert second["first"] == first["last"] + 1
    assert any("the ROI has changed" in line for line in result.notices)
    assert any("160 x 128 pixels; choose one inside" in line for line in result.notices)
    assert sum(recording["frames"] for recording in (first, second, third)) == (
        result.capture.written
    )
