"""`liverestore live --z / --dpm`: the same words as `restore`, and a run from begin to end."""

import json
import sys

import numpy as np
import pytest
import tifffile

from liverestore.movie import open_movie

RIG = """name = "Air 20x"
[source]
kind = "simulated"
[camera]
offset_counts = 100.0
gain_e_per_count = 0.5
read_noise_e = 1.4
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
shape = [64, 96]
"""
CHANNELS = """
[[channels]]
name = "one"
group = "Channel"
preset = "nuclei"
exposure_ms = 5.0
engine = "mean5"
[[channels]]
name = "two"
group = "Channel"
preset = "filaments"
exposure_ms = 5.0
engine = "median5"
"""


@pytest.fixture
def liverestore(home, make_package, monkeypatch, capsys):
    """Run the entry point in this process, with the engine `bend`: (exit code, stderr)."""
    make_package()
    monkeypatch.chdir(home)
    monkeypatch.setenv("COLUMNS", "200")
    (home / "air.toml").write_text(RIG, encoding="utf-8")
    (home / "two.toml").write_text(RIG + CHANNELS, encoding="utf-8")
    blind = RIG.replace("numerical_aperture = 0.8\n", "").replace(
        'kind = "simulated"', 'kind = "replay"\npath = "in.tif"'
    )
    (home / "blind.toml").write_text(blind.partition("[specimen]")[0], encoding="utf-8")
    tifffile.imwrite(home / "in.tif", np.zeros((2, 64, 96), np.uint16))
    np.save(home / "gaps.npy", np.full((64, 96), np.nan))

    def run(*arguments):
        from liverestore.cli.main import run as main

        line = ["liverestore", "live", "--headless", "--frames", "1", *arguments]
        monkeypatch.setattr(sys, "argv", line)
        with pytest.raises(SystemExit) as ended:
            main()
        return ended.value.code, capsys.readouterr().err

    return run


REFUSED = {
    "--rig air.toml --engine mean5 --z 2": "got --z, but the engine 'mean5' does not refocus",
    "--rig air.toml --engine bend --z 2 --dpm 3": "give one of --z UM and --dpm SPEC",
    "--rig air.toml --engine bend --z -11": "got --z -11.0, which asks for -11 um; the engine "
    "'bend' reaches from -10 to 10 um; stay within",
    "--rig air.toml --engine bend --z nan": "allowed are finite numbers",
    "--rig air.toml --engine bend --dpm plane:1": "allowed is plane:z0,dz/dx,dz/dy",
    "--rig air.toml --engine bend --dpm gaps.npy": "6144 values that are NaN or infinite",
    "--rig air.toml --engine bend --dpm none.npy": "'none.npy', which is no file",
    "--rig blind.toml --engine bend": "optics.numerical_aperture missing",
    "--rig air.toml --engine mean5 --zstack 0:2:1": "got --zstack, but the engine 'mean5' does not",
    "--rig air.toml --engine bend --zstack 0:12:1": "asks for 12 um; the engine 'bend' reaches",
    "--rig air.toml --engine bend --zstack 0:2": "allowed is START:STOP:STEP in um",
    "--rig air.toml --engine bend --zstack 0:9:0.01": "901 planes; allowed while live are up to",
    # each channel has another engine
    "--rig two.toml --engine bend --zstack 0:2:1": "got --zstack, but the engine 'mean5' does not",
    "--rig blind.toml --engine bend --zstack 0:2:1": "optics.numerical_aperture missing",
}


@pytest.mark.parametrize("line", REFUSED)
def test_what_is_wrong_is_said_in_one_line_before_anything_starts(liverestore, line):
    code, errors = liverestore(*line.split())
    assert code == 2
    assert REFUSED[line] in errors
    assert len(errors.strip().splitlines()) == 1


def test_a_run_begins_where_it_was_told_to(liverestore, home):
    surface = "plane:2,0.05,0"
    line = f"--rig air.toml --engine bend --dpm {surface} --save out --report r.json"
    code, errors = liverestore(*line.split())
    assert code == 0, errors
    report = json.loads((home / "r.json").read_text(encoding="utf-8"))
    assert report["dpm"] == surface
    (restored,) = [file["path"] for file in report["recordings"][0]["restored"]]
    with open_movie(home / restored) as movie:
        parameters = movie.record(0).provenance.parameters
    assert parameters["dpm"] == surface
    assert parameters["dpm_mean_um"] == pytest.approx(2.0)


def test_a_run_saves_stacks_beside_the_raw_movie(liverestore, home):
    line = "--rig air.toml --engine bend --z 3 --zstack=-1:1:0.5 --save out --report r.json"
    code, errors = liverestore(*line.split())
    assert code == 0, errors
    assert "(1 virtual stack of 5 planes)" in errors
    report = json.loads((home / "r.json").read_text(encoding="utf-8"))
    assert (report["dpm"], report["zstack"]) == ("3", "-1:1:0.5")
    (recording,) = report["recordings"]
    (restored,) = recording["restored"]
    assert (restored["frames"], restored["planes"]) == (5, 5)
    with open_movie(recording["raw"]) as raw, open_movie(restored["path"]) as stack:
        assert (raw.axes, raw.leading_shape) == ("TYX", (1,))
        assert (stack.axes, stack.leading_shape) == ("TZYX", (1, 5))
        assert stack.z_step_um == 0.5
        records = [stack.record(index) for index in range(5)]
        assert [r.provenance.parameters["virtual_z_um"] for r in records] == [-1, -0.5, 0, 0.5, 1]
        # a tenth of the waves is added to the picture: deeper is brighter with this engine
        means = [float(stack[index].mean()) for index in range(5)]
    assert means == sorted(means)
    assert means[0] < means[2] < means[-1]
