"""`liverestore calibrate --rig`: series through the core, and through a camera that misbehaves."""

import tomllib
from pathlib import Path

import msgspec
import numpy as np
import pytest
import typer
from pycromanager import Core
from typer.testing import CliRunner

from liverestore.camera import micromanager
from liverestore.camera.core_light import CoreLight
from liverestore.camera.open import open_source
from liverestore.camera.simulated import Faults, SimulatedSource
from liverestore.camera.source import SourceInfo
from liverestore.camera.steady_series import SteadySeries
from liverestore.cli import calibrate as command
from liverestore.cli import calibrate_rig
from liverestore.dose import dose_j_cm2, nanoseconds
from liverestore.dose_account import account_file, open_account
from liverestore.errors import Failure, UserError
from liverestore.frame import Frame, FrameHeader
from liverestore.movie import open_movie
from liverestore.rig import load_rig
from liverestore.rig_camera import camera_of

SHAPE = (96, 128)


def invoke(*arguments, answers=None):
    app = typer.Typer()
    app.command()(command.calibrate)
    return CliRunner().invoke(app, [str(argument) for argument in arguments], input=answers)


def demo_rig(folder, flux="3", factor="1.0", read="2.5", **changes):
    """The shipped rig on a small chip, with the numbers that a calibration is to find."""
    shipped = load_rig("mmcore_demo")
    text = Path(shipped.origin).read_text(encoding="utf-8")
    for old, new in (
        ('"512"', '"128"'),
        ('"Photon Flux" = "3"', f'"Photon Flux" = "{flux}"'),
        ('Factor" = "1.0"', f'Factor" = "{factor}"'),
        ('(electrons)" = "2.5"', f'(electrons)" = "{read}"'),
        ('"mmcore_demo.cfg"', f"'{changes.pop('config', shipped.source.config_file)}'"),
        # What it says beforehand must not matter.
        ("offset_counts = 99.0", "offset_counts = 10.0"),
        ("gain_e_per_count = 1.0", "gain_e_per_count = 7.0"),
        ("read_noise_e = 2.5", "read_noise_e = 9.0"),
        *changes.items(),
    ):
        assert old in text, old
        text = text.replace(old, new)
    file = folder / "noise.toml"
    file.write_text(text, encoding="utf-8")
    return file


@pytest.mark.parametrize(
    ("factor", "read", "light"),
    [
        ("0.46", "1.6", ("--longest", "60")),
        ("0.5", "5", ("--lamp", "Camera.Photon Flux", "--levels", "20,50,100,400,5000")),
    ],
)
def test_the_numbers_set_in_the_demo_camera_come_back(tmp_path, monkeypatch, factor, read, light):
    rig, out = demo_rig(tmp_path, factor=factor, read=read), tmp_path / "new.toml"
    found = {}

    # Asked of the core after the last frame and before it ends.
    drift = calibrate_rig.refuse_drift

    def then_ask(*arguments):
        core = Core()
        for name in ("Photon Conversion Factor", "ReadNoise (electrons)"):
            found[name] = float(core.get_property("Camera", name))
        drift(*arguments)

    monkeypatch.setattr(calibrate_rig, "refuse_drift", then_ask)
    result = invoke(
        "--rig", rig, "--yes", *light, "--out", out, "--save-series", tmp_path / "series"
    )
    assert result.exit_code == 0, (result.output, result.exception)
    camera = load_rig(out).camera
    assert found == {
        "Photon Conversion Factor": float(factor),
        "ReadNoise (electrons)": float(read),
    }
    assert camera.gain_e_per_count == pytest.approx(found["Photon Conversion Factor"], rel=0.03)
    assert camera.read_noise_e == pytest.approx(found["ReadNoise (electrons)"], rel=0.03)
    # What the adapter adds in this mode; its property "Offset" belongs to another.
    assert camera.offset_counts == pytest.approx(100.0, rel=0.03)
    text = out.read_text(encoding="utf-8")
    assert "# Calibrated 20" in text
    assert "through the core: darks of 0.01 ms and 5 levels of light" in text
    assert tomllib.loads(text)["calibration"] == {"dark_exposure_ms": 0.01}
    assert camera_of(camera).maps.shape == (128, 128)
    with open_movie(tmp_path / "series" / "dark.ome.tif") as darks:
        assert len(darks) == 64
    assert (tmp_path / "series" / "flat_05.ome.tif").exists()
    assert (tmp_path / "new_photon_transfer.png").read_bytes()[1:4] == b"PNG"
    if "--lamp" in light:
        full = (65535 - 100) * float(factor)
        assert camera.full_well_e == pytest.approx(full, rel=0.03)


def test_its_light_is_in_the_account_of_the_rig_to_the_exposure(tmp_path, monkeypatch):
    monkeypatch.setenv("LIVERESTORE_HOME", str(tmp_path))
    lit = 'irradiance_mw_cm2 = 250.0\nlight_on = "exposure"\n\n[calibration]'
    rig = demo_rig(tmp_path, **{"[calibration]": f"[illumination]\n{lit}"})
    name, begun = load_rig(rig).name, []
    begin = micromanager.begin_sequence

    def begins(core, camera, exposures):
        begun.append((exposures, nanoseconds(core.get_exposure())))
        begin(core, camera, exposures)

    monkeypatch.setattr(micromanager, "begin_sequence", begins)
    arguments = ("--rig", rig, "--yes", "--no-maps", "--longest", "20")
    result = invoke(*arguments, "--out", tmp_path / "new.toml")
    assert result.exit_code == 0, (result.output, result.exception)
    # Each sequence ended by itself after the exposures that it was told.
    exposed = sum(exposures for exposures, _ in begun)
    exposed_ns = sum(exposures * ns for exposures, ns in begun)
    session = open_account(account_file(name, None)).session
    assert session.count() == exposed
    assert sum(ns for *_, ns in session.lines()) == exposed_ns
    assert session.dose_j_cm2 == pytest.approx(dose_j_cm2(250.0, exposed_ns), rel=1e-12)
    assert f"light taken: {exposed} frames" in result.output
    # Another one goes on from there, and is refused where the budget of the rig ends.
    budget = 1.1 * session.dose_j_cm2
    text = rig.read_text(encoding="utf-8")
    rig.write_text(text.replace("[illumination]", f"[illumination]\nbudget_j_cm2 = {budget!r}"))
    begun.clear()
    result = invoke(*arguments, "--out", tmp_path / "other.toml")
    with pytest.raises(UserError, match=r"calibrate: this takes .* J/cm2, but the light budget"):
        raise result.exception
    assert "% of the light budget is used up; at 100 % no more light" in result.output
    after = open_account(account_file(name, None)).session
    assert after.count() == exposed + sum(exposures for exposures, _ in begun)
    assert after.dose_j_cm2 < budget


def test_frames_that_the_camera_loses_are_counted_once():
    lost = frozenset({3, 4, 21})
    rig = load_rig("demo")
    rig = msgspec.structs.replace(
        rig, specimen=msgspec.structs.replace(rig.specimen, shape=(48, 64))
    )
    source = SimulatedSource(rig, faults=Faults(lost=lost))
    source.start()
    try:
        series = SteadySeries(source)
        assert len(list(series.frames(8, 1.0, lit=True))) == 8
        assert series.lit_frames == source.exposures
        assert len(list(series.frames(6, 1.0, lit=False))) == 6
        dark = source.exposures
        assert len(list(series.frames(30, 1.0, lit=True))) == 30
        assert series.lit_frames == 9 + 2 + source.exposures - dark
    finally:
        source.stop()


def test_a_shutter_that_does_not_darken_is_found_out_by_the_level(tmp_path):
    cfg = tmp_path / "shutter.cfg"
    shipped = Path(load_rig("mmcore_demo").source.config_file).read_text(encoding="utf-8")
    first = "Property,Core,Initialize,1"
    assert first in shipped
    shutter = f"Device,Shutter,DemoCamera,DShutter\n{first}\nProperty,Core,Shutter,Shutter"
    cfg.write_text(shipped.replace(first, shutter), encoding="utf-8")
    rig = demo_rig(tmp_path, config=cfg, **{"dark_exposure_ms = 0.01": ""})
    result = invoke("--rig", rig, "--yes")
    said = str(result.exception)
    assert "though the shutter Shutter says that it is closed: light leaks in" in said
    # The light opens for exposures alone, and is closed at the end.
    source = open_source(load_rig(rig))
    try:
        source.start()
        core = Core()
        core.set_auto_shutter(False)
        core.set_shutter_open(True)
        with CoreLight(load_rig(rig)) as light:
            light.close()
            assert not core.get_shutter_open()
            light.open()
            assert core.get_auto_shutter()
            assert not core.get_shutter_open()
        assert not core.get_shutter_open()
        assert not core.get_auto_shutter()
    finally:
        source.stop()


@pytest.mark.parametrize(
    ("lamp", "said"),
    [
        ("Lamp.Power", "no device 'Lamp'"),
        ("Camera.Power", "Camera has no property 'Power'"),
        ("Camera.CameraName", "states no limits"),
        ("Power", 'allowed is "device.property"'),
    ],
)
def test_a_lamp_that_is_not_there(tmp_path, lamp, said):
    result = invoke("--rig", demo_rig(tmp_path), "--yes", "--lamp", lamp)
    assert isinstance(result.exception, UserError)
    assert said in str(result.exception)


class Camera:
    """A `FrameSource` of a camera and its light, whose cap is on for the first darks."""

    def __init__(self, **faults):
        self.faults = faults
        self.rng = np.random.default_rng(5)
        self.exposure_ms = 10.0
        self.number = self.runs = 0
        self.dark = True
        self.lamp_e_per_ms = faults.get("light", 20.0)
        self.y, self.x = np.mgrid[: SHAPE[0], : SHAPE[1]]

    def start(self):
        return SourceInfo("Sim", SHAPE, "uint16", self.exposure_ms, None, None, None)

    def configure(self, *, exposure_ms=None, z_um=None):
        self.exposure_ms = exposure_ms

    def set_roi(self, roi):
        assert roi is None

    def pause(self):
        self.runs += 1
        return []

    def stop(self):
        self.exposure_ms = None

    def next_frame(self, timeout_s):
        if self.faults.get("silent"):
            raise Failure("camera Sim: stopped by itself")
        if self.dark:
            light = np.full(SHAPE, self.faults.get("leak", 0.0) * self.exposure_ms)
        else:
            light = np.full(SHAPE, self.lamp_e_per_ms * self.exposure_ms)
            light *= 1 + self.faults.get("structure", 0.0) * (-1.0) ** (self.x // 3 + self.y // 3)
            light *= 1 - self.faults.get("vignetting", 0.0) * self.x / SHAPE[1]
            light *= 1 + self.faults.get("drift", 0.0) * self.number
            moved = self.faults.get("moving", 0.0) * self.number
            light *= 1 + 0.3 * np.sin((self.x + moved) / 9.0) * bool(moved)
        electrons = self.rng.poisson(light) + 2.0 * self.rng.standard_normal(SHAPE)
        counts = np.rint(electrons / 0.5 + 100).clip(0, self.faults.get("top", 65535))
        header = FrameHeader(
            run_id="0" * 32,
            number=self.number,
            shape=SHAPE,
            dtype="uint16",
            captured_ns=0,
            captured_utc="2026-01-01T00:00:00Z",
            camera="Sim",
            exposure_ms=self.exposure_ms,
            bit_depth=16,
        )
        self.number += 1
        return Frame(counts.astype(np.uint16), header)


class Hand:
    """A light path without a shutter: the cap goes off when the light is asked for."""

    closed_by = None

    def __init__(self, camera):
        self.camera = camera

    def __enter__(self):
        return self

    def __exit__(self, *what):
        self.camera.dark = True

    def open(self):
        self.camera.dark = self.camera.faults.get("cap_stays", False)


@pytest.fixture
def with_camera(monkeypatch, tmp_path):
    rig = demo_rig(tmp_path, **{"dark_exposure_ms = 0.01": ""})

    def run(answers="y\ny\ny\nn\n", options=(), **faults):
        camera = Camera(**faults)
        monkeypatch.setattr(calibrate_rig, "open_source", lambda rig: camera)
        monkeypatch.setattr(calibrate_rig, "CoreLight", lambda rig: Hand(camera))
        result = invoke("--rig", rig, "--no-maps", *options, answers=answers)
        return camera, result, rig

    return run


def test_a_hand_at_the_cap_is_guided_and_the_rig_written_when_its_owner_says_so(with_camera):
    camera, result, rig = with_camera(answers="y\ny\ny\ny\n")
    assert result.exit_code == 0, (result.output, result.exception)
    asked = [line for line in result.output.splitlines() if "[Y/n]" in line or "[y/N]" in line]
    assert [words in line for words, line in zip(
        ("Put the cap on", "Take the cap off", "s of light", "Write these numbers"), asked,
        strict=True,
    )] == [True] * 4  # fmt: skip
    found = load_rig(rig).camera
    assert found.gain_e_per_count == pytest.approx(0.5, rel=0.03)
    assert found.read_noise_e == pytest.approx(2.0, rel=0.03)
    assert found.offset_counts == pytest.approx(100.0, rel=0.03)
    assert "full well: not reached" in result.output
    # Every frame after the cap came off is charged: looks, flats, and those left out.
    darks = 2 * 9 + 17
    assert f"light taken: {camera.number - darks} frames" in result.output
    assert camera.exposure_ms is None, "the camera was not let go"


def test_no_writes_nothing(with_camera):
    _, result, rig = with_camera(answers="y\ny\ny\nn\n")
    assert "nothing was written" in result.output
    assert load_rig(rig).camera.gain_e_per_count == 7.0
    _, result, rig = with_camera(answers="y\nn\n")
    assert "stopped as you said" in str(result.exception)
    _, result, rig = with_camera(answers="")
    assert "got no answer" in str(result.exception)


@pytest.mark.parametrize(
    ("faults", "said"),
    [
        ({"leak": 0.02}, "the cap was said to be on: light leaks in or the chip is warm"),
        ({"cap_stays": True}, "which is no light; take the cap off"),
        ({"vignetting": 0.95}, "the light is not even"),
        ({"drift": 3e-3}, "changed by +"),
        ({"moving": 2.0}, "the light moves over the field"),
        ({"light": 1e5, "top": 4095}, "take less light"),
        ({"silent": True}, "stopped by itself"),
    ],
)
def test_a_bad_series_is_refused_and_says_why(with_camera, faults, said):
    camera, result, _ = with_camera(**faults)
    assert isinstance(result.exception, UserError | Failure), result.output
    assert said in str(result.exception)
    assert "\n" not in str(result.exception)
    assert camera.exposure_ms is None
    # What a refused series has cost is told as well: the first look at the light, at least.
    in_the_dark = "leak" in faults or "silent" in faults
    assert ("light taken: " in result.output) != in_the_dark, result.output


def test_structure_in_the_light_spoils_maps_alone(with_camera):
    _, result, _ = with_camera(structure=0.2, options=("--maps",))
    assert "there is structure in the light" in str(result.exception)
    _, result, _ = with_camera(structure=0.2)
    assert result.exit_code == 0, result.exception


def test_a_replay_has_no_camera_and_options_of_another_way_are_refused(with_camera, tmp_path):
    for arguments, said in (
        (("--rig", "replay"), "or a rig with a camera"),
        (("--rig", "mmcore_demo", "--levels", "1,2"), "without --lamp"),
        (("--rig", "mmcore_demo", "--movie", "a.tif", "--yes"), "got --yes"),
        (("--rig", "mmcore_demo", "--pixel-size", "0.1"), "only with --psf"),
    ):
        result = invoke(*arguments)
        assert said in str(result.exception), arguments
