"""Acquisitions of pymmcore-plus with the demo configuration, restored by a listener."""

import numpy as np
import pytest
import useq
from pymmcore_plus import CMMCorePlus

import liverestore
from liverestore.errors import Failure, UserError
from liverestore.service.acquisition_files import AcquisitionFiles
from liverestore.service.mda_grid import grid_of
from liverestore.service.mda_listener import FrameListener

AIR = liverestore.Optics(0.8, 550.0, 1.0, 1.35, 0.325, depth_um=20.0)


def sequence(**parts):
    plain = {"time_plan": {"interval": 0, "loops": 3}, "channels": ["DAPI", "FITC"]}
    return useq.MDASequence(**{**plain, **parts})


@pytest.fixture
def core():
    made = CMMCorePlus()
    made.loadSystemConfiguration()
    made.setProperty("Camera", "PixelType", "16bit")
    made.setProperty("Camera", "OnCameraCCDXSize", "64")
    made.setProperty("Camera", "OnCameraCCDYSize", "48")
    made.setExposure(1.0)
    yield made
    made.unloadAllDevices()


def test_virtual_planes_are_the_axis_z_of_each_position(core, tmp_path):
    plan = sequence(stage_positions=[{"x": 0, "y": 0, "name": "A"}, {"x": 100, "y": 0}])
    drive = core.getPosition()
    with liverestore.frame_listener(
        "refocus-deepz", sequence=plan, optics=AIR, zstack="-2:2:2", save=tmp_path
    ) as listener:
        core.mda.events.frameReady.connect(listener)
        core.mda.run(plan)
        core.mda.events.frameReady.disconnect(listener)
    assert (listener.frames, listener.restored, listener.error) == (12, 12, None)
    assert core.getPosition() == drive
    for name in ("A", "p01"):
        with liverestore.open_movie(tmp_path / f"raw_{name}.ome.zarr") as raw:
            assert (raw.axes, raw.leading_shape) == ("TCYX", (3, 2))
            seen = [raw.header(n) for n in range(6)]
        assert [header.channel for header in seen] == ["DAPI", "FITC"] * 3
        assert [header.metadata["Axis-t"] for header in seen] == ["0", "0", "1", "1", "2", "2"]
        assert {header.exposure_ms for header in seen} == {1.0}
        assert round(seen[0].x_um) == (0 if name == "A" else 100)
        with liverestore.open_movie(tmp_path / f"restored_{name}.ome.zarr") as made:
            assert (made.axes, made.leading_shape) == ("TCZYX", (3, 2, 3))
            assert made.z_step_um == 2.0
            planes = [made.record(n).provenance.parameters["virtual_z_um"] for n in range(6)]
            assert planes == [-2.0, 0.0, 2.0] * 2


def test_as_output_of_run_mda_with_a_real_z_axis(core, tmp_path):
    plan = sequence(z_plan={"range": 2, "step": 1}, time_plan={"interval": 0, "loops": 2})
    listener = liverestore.frame_listener(
        "mean5", sequence=plan, save=tmp_path, save_format="ome-tiff"
    )
    core.run_mda(plan, output=listener).join()
    listener.close()
    for name in ("raw", "restored"):
        with liverestore.open_movie(tmp_path / f"{name}.ome.tif") as movie:
            assert (movie.axes, movie.leading_shape) == ("TCZYX", (2, 2, 3))
            assert movie.z_step_um == 1.0
            assert [movie.header(n).z_um for n in range(3)] == [-1.0, 0.0, 1.0]


def test_results_are_shown_with_their_events(core):
    seen = []
    plan = sequence(channels=["DAPI"])
    with liverestore.frame_listener(
        "mean5", show=lambda made, event: seen.append((dict(event.index), made))
    ) as listener:
        core.mda.events.frameReady.connect(listener)
        core.mda.run(plan)
        core.mda.events.frameReady.disconnect(listener)
    assert [index["t"] for index, _ in seen] == [0, 1, 2]
    assert all(made[0].pixels.shape == (48, 64) for _, made in seen)


def test_an_acquisition_that_is_cancelled_leaves_whole_files(core, tmp_path):
    plan = sequence(time_plan={"interval": 0, "loops": 1000})
    with liverestore.frame_listener("mean5", sequence=plan, save=tmp_path) as listener:

        def after_five(_image, _event, _meta):
            if listener.frames >= 5:
                core.mda.cancel()

        core.mda.events.frameReady.connect(listener)
        core.mda.events.frameReady.connect(after_five)
        core.mda.run(plan)
        core.mda.events.frameReady.disconnect()
    assert 5 <= listener.frames < 2000
    assert listener.restored == listener.frames
    with liverestore.open_movie(tmp_path / "raw.ome.zarr") as raw:
        assert raw.record(listener.frames - 1).header.number == listener.frames - 1


TWO_HEIGHTS = {"range": 1, "step": 1}
SELDOM = {"config": "FITC", "acquire_every": 2}
IMAGE = np.arange(48 * 64, dtype=np.uint16).reshape(48, 64)


def test_an_engine_that_fails_costs_no_raw_frame(tmp_path):
    plan = sequence(channels=["DAPI"])

    def broken(_frame):
        raise Failure("no memory")

    files = AcquisitionFiles([(tmp_path / "raw.ome.tif", tmp_path / "restored.ome.tif")])
    listener = FrameListener(broken, grid=grid_of(plan), files=files)
    for event in plan:
        listener(IMAGE, event, {})
    with pytest.raises(Failure, match="no memory"):
        listener.close()
    listener.close()
    assert (listener.frames, listener.restored) == (3, 0)
    with liverestore.open_movie(tmp_path / "raw.ome.tif") as raw:
        assert len(raw) == 3


def test_a_frame_of_another_sequence_is_said_at_the_end(tmp_path):
    listener = liverestore.frame_listener("mean5", sequence=sequence(), save=tmp_path)
    listener(IMAGE, useq.MDAEvent(index={"p": 3, "t": 0}), {})
    with pytest.raises(UserError, match="not in the sequence that the listener was made for"):
        listener.close()


def test_colour_is_said_and_what_broke_the_block_comes_first():
    shown = []
    listener = liverestore.frame_listener("mean5", show=lambda made, _event: shown.append(made))
    listener(np.zeros((4, 5, 3), np.uint8), useq.MDAEvent(), {})
    with pytest.raises(ZeroDivisionError), listener:
        _ = 1 / 0
    assert "grey images" in str(listener.error)
    assert not shown


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({}, "neither save=FOLDER nor show=FUNCTION"),
        ({"save": "data"}, "save without the sequence"),
        (
            {"save": "d", "sequence": sequence(axis_order="tpzcg", z_plan=TWO_HEIGHTS)},
            "got the axis_order 'tpzcg'",
        ),
        (
            {"save": "d", "sequence": sequence(channels=["DAPI", SELDOM])},
            "leave out acquire_every",
        ),
        ({"save": "data", "sequence": useq.MDASequence()}, "got no frames"),
    ],
)  # fmt: skip
def test_what_cannot_be_kept_is_said_before_any_light(options, said, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=said):
        liverestore.frame_listener("mean5", **options)
    assert not list(tmp_path.rglob("*.zarr"))


def test_virtual_planes_and_a_moving_drive_are_refused_together(tmp_path):
    plan = sequence(z_plan={"range": 2, "step": 1})
    with pytest.raises(UserError, match="got 3 heights in its z_plan"):
        liverestore.frame_listener(
            "refocus-deepz", sequence=plan, optics=AIR, zstack="-1:1:1", save=tmp_path
        )
