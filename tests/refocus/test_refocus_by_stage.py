"""The bench that moves the stage: right distances, right truth, light counted, stage back."""

import json

import numpy as np
import pytest
import typer
from typer.testing import CliRunner

from liverestore.camera.clock import SteppedClock
from liverestore.camera.instrument import SimulatedMicroscope
from liverestore.camera.simulated import SimulatedSource
from liverestore.camera.simulated_core import SimulatedCoreSource
from liverestore.cli import bench as command
from liverestore.errors import UserError
from liverestore.quality.refocusing_by_stage import ByStage, stage_planes, stage_tilt
from liverestore.rig import load_rig
from liverestore.rig_camera import camera_of
from liverestore.rig_optics import optics_of

RIG = """
name = "small"
[source]
kind = "simulated"
[camera]
offset_counts = 100.0
gain_e_per_count = 0.46
read_noise_e = 1.6
bit_depth = 16
exposure_ms = 5.0
[optics]
pixel_size_um = 0.325
numerical_aperture = 0.8
wavelength_nm = 550.0
immersion_index = 1.0
sample_index = 1.35
depth_um = 10.0
[specimen]
shape = [96, 96]
peak_photons_per_ms = 40.0
speed_um_s = {speed}
"""


@pytest.fixture
def rig_file(tmp_path):
    def make(speed=0.25):
        file = tmp_path / "small.toml"
        file.write_text(RIG.format(speed=speed))
        return file

    return make


class Oracle:
    """An engine that knows the specimen: the picture wherever it is told to look."""

    name = "oracle"

    def __init__(self, microscope):
        self._microscope, self._number = microscope, 1000
        self.stood_at = None
        self.told = []

    def _at(self, z_um):
        self._number += 1
        self._microscope.set(self._number, z_um=z_um)
        return self._microscope.truth(self._number).astype(float)

    def refocused(self, counts, camera, dpm_um, optics):
        self.told.append(np.mean(dpm_um))
        at = self.stood_at()
        if np.ndim(dpm_um) == 0:
            return self._at(at + dpm_um)
        columns = dpm_um[0]
        pictures = [self._at(at + z) for z in columns]
        return np.stack([p[:, i] for i, p in enumerate(pictures)], axis=1)


@pytest.fixture
def run(rig_file):
    rig = load_rig(rig_file(speed=0.0))
    source = SimulatedSource(rig, clock=SteppedClock())
    source.start()
    run = ByStage(
        source=source,
        focus_um=0.0,
        camera=camera_of(rig.camera),
        optics=optics_of(rig),
        frames=2,
        truth=lambda frame: source.microscope.truth(frame.header.number),
        reference_frames=8,
    )
    oracle = Oracle(SimulatedMicroscope(rig))
    oracle.stood_at = lambda: source.microscope.z_um
    yield run, oracle
    source.stop()


def metric(samples, method, name="psnr_db"):
    return [s.metrics[name] for s in samples if s.method == method]


def test_who_knows_the_specimen_has_the_true_frame_and_the_wrong_side_has_not(run):
    run, oracle = run
    test = stage_planes(run, [oracle], (-2.0, 3.0))
    steps = list(test.run())
    assert len(steps) == test.steps == 2
    assert oracle.told == [2.0, -2.0, 2.0, -2.0, -3.0, 3.0, -3.0, 3.0]
    for samples in steps:
        assert min(metric(samples, "oracle")) > 80
        assert max(metric(samples, "oracle, wrong side")) < 40
        assert len(metric(samples, "frame as recorded")) == 2
        assert metric(samples, "frame as recorded", "gain_db") == [0.0, 0.0]
        raw, restored = (metric(samples, name)[0] for name in ("frame as recorded", "oracle"))
        assert metric(samples, "oracle", "gain_db")[0] == pytest.approx(restored - raw)
    # Two frames at each of two positions, one in focus for the truth.
    assert run.exposures == run.source.exposures == 5
    run.back()
    assert run.source.microscope.z_um == 0.0


def test_the_true_picture_of_a_tilted_surface_is_put_together_from_the_stack(run):
    run, oracle = run
    list(stage_planes(run, [oracle], (3.0,)).run())
    before = run.exposures
    run.source.configure(z_um=3.0)
    oracle.stood_at = lambda: 3.0
    test = stage_tilt(run, [oracle], (3.0,), 1.0)
    (samples,) = test.run()
    assert np.mean(oracle.told[-2:]) == pytest.approx(-3.0, abs=1e-5)
    # The stack is interpolated between its planes.
    assert min(metric(samples, "oracle")) > 45
    assert max(metric(samples, "frame as recorded")) < 30
    # The frames at 3 um are the same; each new place of the stack is lit once.
    assert run.exposures - before == 6


def test_without_a_truth_many_frames_in_focus_stand_for_it(run):
    run, oracle = run
    run.truth = None
    (samples,) = stage_planes(run, [oracle], (2.0,)).run()
    assert run.exposures == 2 + 8
    assert metric(samples, "the same without noise") == []
    assert "which is no truth" in stage_planes(run, [oracle], (2.0,)).notes[0]
    assert 20 < metric(samples, "oracle")[0] < 60


@pytest.fixture
def bench():
    app = typer.Typer()
    app.command()(command.bench)

    def invoke(*arguments):
        return CliRunner().invoke(app, [*map(str, arguments)], env={"COLUMNS": "120"})

    return invoke


def test_one_command_through_the_core(bench, rig_file, make_package, tmp_path, monkeypatch):
    moved = []

    original = SimulatedCoreSource.configure

    def configure(self, **what):
        moved.append(what["z_um"])
        original(self, **what)

    monkeypatch.setattr(SimulatedCoreSource, "configure", configure)
    make_package("bend")
    out = tmp_path / "figures.json"
    result = bench(
        "bend", "--refocus", "--rig", rig_file(), "--z", -2, "--z", 9, "--frames", 1, "--json", out
    )
    assert result.exit_code == 0, result.output
    assert "the specimen at rest" in result.stdout
    assert "left out: tilted, at +9 um" in result.stdout
    # In focus, two places, and the stack of the tilted surface but its middle, whose end is -2.
    assert "light: 12 exposures in all; the stage is back at 0 um" in result.stdout
    assert {-2.0, 0.0, 9.0} < set(moved)
    assert moved[-1] == 0.0
    answer = json.loads(out.read_text())
    assert [test["key"] for test in answer["tests"]] == [
        "refocus-by-stage",
        "refocus-by-stage-tilted",
    ]
    found = {(s["condition"], s["method"]): s["metrics"] for s in answer["tests"][0]["scores"]}
    assert {condition for condition, _ in found} == {"-2 um", "+9 um"}
    # The package adds a constant: after the affine fit nothing is gained.
    assert abs(found["-2 um", "bend"]["gain_db"]) < 1.0
    assert found["-2 um", "the same without noise"]["gain_db"] > 0


def test_what_cannot_be_measured_is_refused_before_any_light(bench, rig_file, make_package):
    make_package("bend")
    make_package("plus", task="confocal-refocus")
    for arguments, said in (
        (["--refocus"], "give --rig"),
        (["--refocus", "--quality", "--rig", rig_file()], "a measurement of its own"),
        (["--z", "2"], "are for bench --refocus"),
        (["mean5", "--refocus", "--rig", rig_file()], "whose task is denoise"),
        (["plus", "--refocus", "--rig", rig_file()], "whose task is confocal-refocus"),
        (["bend", "--refocus", "--rig", rig_file(), "--z", "11"], "reaches from -10 to 10 um"),
        (["--refocus", "--rig", "replay"], "has no stage"),
        (["--refocus", "--rig", "demo_two_channels"], "allowed is one"),
        (["bend", "--refocus", "--rig", "mmcore_demo"], "give --real"),
    ):
        result = bench(*arguments)
        assert isinstance(result.exception, UserError), result.output
        assert said in str(result.exception)
        assert "\n" not in str(result.exception)
