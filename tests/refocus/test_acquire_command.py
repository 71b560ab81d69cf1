"""`liverestore acquire`: frames in time, at positions, in channels; z is virtual."""

import json
import signal
import sys
import threading

import numpy as np
import pytest
import tifffile
import yaozarrs
import zarr

from liverestore.camera import simulated_core
from liverestore.cli import acquire_job
from liverestore.dose_account import open_account
from liverestore.movie import open_movie

RIG = """name = "Air 20x"
[source]
kind = "simulated"
buffer_size_mb = 16
[camera]
offset_counts = 100.0
gain_e_per_count = 0.5
read_noise_e = 1.4
bit_depth = 16
exposure_ms = 2.0
[optics]
pixel_size_um = 0.325
numerical_aperture = 0.8
wavelength_nm = 550.0
immersion_index = 1.0
sample_index = 1.35
depth_um = 10.0
[specimen]
shape = [64, 64]
peak_photons_per_ms = 40.0
"""
CHANNELS = """
[[channels]]
name = "DAPI"
group = "Channel"
preset = "nuclei"
exposure_ms = 3.0
wavelength_nm = 510.0
[[channels]]
name = "GFP"
group = "Channel"
preset = "filaments"
exposure_ms = 2.0
"""


@pytest.fixture
def liverestore(home, make_package, monkeypatch, capsys):
    """Run the entry point in this process, with the engine `bend`: (code, stdout, stderr)."""
    make_package()
    monkeypatch.chdir(home)
    monkeypatch.setenv("COLUMNS", "200")
    (home / "air.toml").write_text(RIG, encoding="utf-8")
    (home / "two.toml").write_text(RIG + CHANNELS, encoding="utf-8")

    def run(*arguments):
        from liverestore.cli.main import run as main

        monkeypatch.setattr(sys, "argv", ["liverestore", "acquire", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            main()
        said = capsys.readouterr()
        return ended.value.code or 0, said.out, said.err

    return run


@pytest.fixture
def microscope(monkeypatch):
    """What the core was told: the sources that were opened, and every move of the focus drive."""

    class Seen:
        sources, focus_moves = [], []

    seen = Seen()
    seen.sources, seen.focus_moves = [], []

    def opened(rig):
        seen.sources.append(open_core_source(rig))
        return seen.sources[-1]

    def moved(drive, um):
        seen.focus_moves.append(um)
        move(drive, um)

    open_core_source = acquire_job.open_core_source
    move = simulated_core._Focus.set_position_um
    monkeypatch.setattr(acquire_job, "open_core_source", opened)
    monkeypatch.setattr(simulated_core._Focus, "set_position_um", moved)
    return seen


STACK = ("--engine", "bend", "--zstack", "-5:5:0.5")


class TestFiftyTimePointsOfTwentyOnePlanes:
    """One exposure for each time point, and a file that other programs read as it is."""

    @pytest.fixture
    def run(self, liverestore, microscope, request):
        code, out, err = liverestore(
            "--rig", "air.toml", *STACK, "--time-points", 50, "--save", "o",
            "--format", request.param, "--report", "o/report.json",
        )  # fmt: skip
        assert (code, err) == (0, "")
        return out, microscope

    @pytest.mark.parametrize("run", ["ome-zarr"], indirect=True)
    def test_zarr(self, run, home):
        out, microscope = run
        assert microscope.sources[0].exposures == 50
        assert microscope.focus_moves == []
        assert "50 exposures, 0.10 s of light; 50 restored (1,050 planes)" in out
        report = json.loads((home / "o" / "report.json").read_text(encoding="utf-8"))
        assert report["exposures"] == 50
        assert report["frames"] == {"raw": 50, "restored": 50, "planes": 1050}
        assert report["drives_um"] == {
            # At the start, at each time point, before and after each exposure, at the end.
            "Simulated focus": {"first": 0.0, "lowest": 0.0, "highest": 0.0, "readings": 152}
        }
        path = home / "o" / "restored.ome.zarr"
        image = yaozarrs.open_group(path).ome_metadata()
        assert image is not None
        described = image.multiscales[0]
        assert [(axis.name, axis.type) for axis in described.axes] == [
            ("t", "time"), ("c", "channel"), ("z", "space"), ("y", "space"), ("x", "space"),
        ]  # fmt: skip
        assert [axis.unit for axis in described.axes[2:]] == ["micrometer"] * 3
        steps = described.datasets[0].scale_transform.scale
        assert steps[1:] == [1.0, 0.5, 0.325, 0.325]
        pixels = zarr.open(path, mode="r")[described.datasets[0].path]
        assert pixels.shape == (50, 1, 21, 64, 64)
        made_by = zarr.open(path, mode="r").attrs["liverestore"]["restored_by"]
        assert made_by["engine"] == "bend"
        assert made_by["refocused_to"] == "21 planes from -5 to 5 um in steps of 0.5 um"
        assert made_by["optics"].startswith("NA 0.8, 550 nm")
        assert "+z from -z" in made_by["sign_of_z"]
        with open_movie(home / "o" / "raw.ome.zarr") as raw, open_movie(path) as made:
            assert (raw.axes, made.axes) == ("TYX", "TCZYX")
            assert len({raw[n].tobytes() for n in range(50)}) == 50
            elapsed_ns = raw.header(49).captured_ns - raw.header(0).captured_ns
            assert steps[0] == pytest.approx(elapsed_ns / 49e6)
            assert raw.interval_ms == pytest.approx(steps[0])
            for number in (0, 49):
                record = made.record(number * 21 + 4)
                assert record.header.number == number
                assert record.provenance.parameters["virtual_z_um"] == -3.0
                assert raw.header(number).metadata["TimeIndex"] == str(number)
                # 0 um is where the frame was in focus; the engine adds a tenth of the waves.
                apart = [
                    np.mean(made[number * 21 + plane].astype(float) - raw[number])
                    for plane in (0, 10, 20)
                ]
                assert abs(apart[1]) < 2
                assert apart[0] + 0.5 < apart[1] < apart[2] - 0.5

    @pytest.mark.parametrize("run", ["ome-tiff"], indirect=True)
    def test_tiff(self, run, home):
        with tifffile.TiffFile(home / "o" / "restored.ome.tif") as tif:
            series = tif.series[0]
            assert series.get_axes(squeeze=False) == "TCZYXS"
            assert series.get_shape(squeeze=False) == (50, 1, 21, 64, 64, 1)
            assert (series.axes, series.shape) == ("TZYX", (50, 21, 64, 64))
            described = tifffile.xml2dict(tif.ome_metadata)["OME"]["Image"]
        sizes = described["Pixels"]
        assert (sizes["PhysicalSizeZ"], sizes["PhysicalSizeX"]) == (0.5, 0.325)
        assert sizes["PhysicalSizeZUnit"] == "µm"
        assert [plane["PositionZ"] for plane in sizes["Plane"][:3]] == [-5.0, -4.5, -4.0]
        assert "engine=bend" in described["Description"]


def test_positions_and_channels(liverestore, microscope, home):
    (home / "list.csv").write_text("x,y,name\n0,0,a b\n30,-10\n", encoding="utf-8")
    code, _, err = liverestore(
        "--rig", "two.toml", "--engine", "bend", "--zstack", "-1:1:1", "--time-points", 2,
        "--positions", "list.csv", "--positions=-20,5", "--save", "o", "--interval", 0.3,
    )  # fmt: skip
    assert (code, err) == (0, "")
    source = microscope.sources[0]
    assert source.exposures == 12
    taken = [source.microscope.exposure(number) for number in range(12)]
    assert [exposure.stain for exposure in taken] == ["nuclei", "filaments"] * 6
    assert [exposure.exposure_ms for exposure in taken] == [3.0, 2.0] * 6
    assert [exposure.xy_um for exposure in taken[::2]] == [(0, 0), (30, -10), (-20, 5)] * 2
    assert microscope.focus_moves == []
    assert sorted(path.name for path in (home / "o").glob("restored*")) == [
        "restored_a-b.ome.zarr", "restored_p01.ome.zarr", "restored_p02.ome.zarr",
    ]  # fmt: skip
    with open_movie(home / "o" / "restored_p01.ome.zarr") as movie:
        assert (movie.axes, movie.leading_shape) == ("TCZYX", (2, 2, 3))
        elapsed_ns = movie.header(6).captured_ns - movie.header(0).captured_ns
        assert movie.interval_ms == pytest.approx(elapsed_ns / 1e6)
        header = movie.header(3)
        assert header.channel == "GFP"
        assert header.metadata["PositionName"] == "p01"
        assert (header.metadata["XPositionUm"], header.metadata["YPositionUm"]) == (
            "30.000", "-10.000",
        )  # fmt: skip
        # Each channel in waves of its own wavelength.
        waves = [movie.record(n).provenance.parameters["waves_per_um"] for n in (0, 3)]
        assert waves[0] / waves[1] == pytest.approx(550 / 510, rel=1e-3)
    attributes = zarr.open(home / "o" / "restored_p01.ome.zarr", mode="r").attrs["liverestore"]
    assert attributes["channels"] == ["DAPI", "GFP"]
    optics = attributes["restored_by"]["optics"]
    assert optics.startswith("DAPI: NA 0.8, 510 nm")
    assert "; GFP: NA 0.8, 550 nm" in optics


def test_an_engine_that_denoises_makes_one_picture_of_each(liverestore, home):
    code, out, _ = liverestore(
        "--rig", "two.toml", "--engine", "mean5", "--channels", "GFP", "--time-points", 3,
        "--save", "o",
    )  # fmt: skip
    assert code == 0
    assert "3 restored by" in out
    with open_movie(home / "o" / "restored.ome.zarr") as movie:
        assert (movie.axes, len(movie)) == ("TYX", 3)
        assert movie.header(0).channel == "GFP"


def test_a_useq_sequence(liverestore, microscope, home):
    (home / "mda.yaml").write_text(
        "time_plan: {interval: 0.01, loops: 2}\n"
        "channels: [{config: filaments, exposure: 4}]\n"
        "stage_positions: [{x: 5, y: 6, z: 100, name: here}, {x: 7, y: 8, z: 120}]\n",
        encoding="utf-8",
    )
    code, out, err = liverestore(
        "--rig", "air.toml", *STACK, "--sequence", "mda.yaml", "--save", "o"
    )
    assert (code, err) == (0, "")
    assert "note: mda.yaml: the z of positions (100 to 120 um) is left out" in out
    source = microscope.sources[0]
    assert source.exposures == 4
    assert source.microscope.exposure(3).xy_um == (7.0, 8.0)
    assert source.microscope.exposure(3).exposure_ms == 4.0
    assert microscope.focus_moves == []


def test_ctrl_c_leaves_whole_files_and_resume_goes_on(liverestore, microscope, home, monkeypatch):
    options = ("--rig", "two.toml", *STACK, "--time-points", 4, "--save", "o")
    snap = simulated_core.SimulatedCoreSource.snap
    taken = []

    def snap_then_press(source):
        taken.append(snap(source))
        if len(taken) == 3:
            # In the middle of a turn of two channels.
            signal.raise_signal(signal.SIGINT)
        return taken[-1]

    monkeypatch.setattr(simulated_core.SimulatedCoreSource, "snap", snap_then_press)
    code, out, _ = liverestore(*options)
    assert code == 130
    assert "stopped before the last 4: 4 exposures" in out
    assert out.endswith("go on with the same options and --resume\n")
    for name, shape in (("raw", (2, 2)), ("restored", (2, 2, 21))):
        with open_movie(home / "o" / f"{name}.ome.zarr") as movie:
            assert movie.leading_shape == shape
    before = {path: path.stat().st_mtime_ns for path in (home / "o").rglob("*") if path.is_file()}

    assert "of another acquisition (zstack: was -5:5:0.5, is -5:5:1)" in liverestore(
        "--rig", "two.toml", "--engine", "bend", "--zstack", "-5:5:1", "--time-points", 4,
        "--save", "o", "--resume",
    )[2]  # fmt: skip
    code, out, err = liverestore(*options, "--resume")
    assert (code, err) == (0, "")
    assert "going on with time point 3 of 4" in out
    assert microscope.sources[-1].exposures == 4
    with open_movie(home / "o" / "raw_002.ome.zarr") as movie:
        assert movie.leading_shape == (2, 2)
        assert movie.header(0).metadata["TimeIndex"] == "2"
    changed = {path.name for path, ns in before.items() if path.stat().st_mtime_ns != ns}
    assert changed == {"acquisition.json", "light.json"}
    # Before and after the restart: all that the core exposed, and nothing else.
    session = open_account(home / "o" / "light.json").session
    assert session.count("snap") == session.count() == 4 + microscope.sources[-1].exposures
    exposed = [microscope.sources[-1].microscope.exposure(n).exposure_ms for n in range(4)]
    assert session.light_on_s == pytest.approx(2e-3 * sum(exposed), rel=1e-12)
    assert "is complete" in liverestore(*options, "--resume")[2]
    assert threading.active_count() < 20


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--engine", "bend"), "got no distance, but the engine 'bend' refocuses"),
        (("--engine", "bend", "--zstack", "-50:50:1"), "reaches from -10 to 10 um"),
        (("--engine", "mean5", "--zstack", "-5:5:1"), "'mean5' does not refocus"),
        ((*STACK, "--time-points", 0), "--time-points: got 0, allowed is 1 or more"),
        ((*STACK, "--interval", "-1"), "--interval: got -1 s, allowed is 0"),
        ((*STACK, "--channels", "DAPI"), "--channels: got 'DAPI', the rig Air 20x has no channels"),
        ((*STACK, "--positions", "1,nan"), "got '1,nan', which is no X,Y and no file"),
        ((*STACK, "--positions", "1e9,0"), "does not go to 1e+09, 0 um"),
        ((*STACK, "--sequence", "z.yaml"), "got z_plan; planes are virtual"),
        ((*STACK, "--sequence", "z.yaml", "--interval", 1), "got --sequence and --interval"),
        ((*STACK, "--resume"), "has no acquisition.json"),
    ],
)
def test_what_cannot_be_is_one_line_and_no_light(liverestore, microscope, home, arguments, said):
    (home / "z.yaml").write_text("z_plan: {range: 4, step: 1}\n", encoding="utf-8")
    code, _, err = liverestore("--rig", "air.toml", *arguments, "--save", "o")
    assert code == 2
    assert said in err
    assert err.count("\n") == 1
    assert not microscope.sources or microscope.sources[0].exposures == 0


def test_a_rig_without_a_camera(liverestore, home):
    replay = RIG.partition("[specimen]")[0].replace(
        'kind = "simulated"\nbuffer_size_mb = 16', 'kind = "replay"\npath = "in.tif"'
    )
    (home / "replay.toml").write_text(replay, encoding="utf-8")
    tifffile.imwrite(home / "in.tif", np.zeros((2, 64, 64), np.uint16))
    code, _, err = liverestore("--rig", "replay.toml", *STACK, "--save", "o")
    assert (code, err.count("\n")) == (2, 1)
    assert "source.kind is 'replay', which has no camera and no stages" in err
