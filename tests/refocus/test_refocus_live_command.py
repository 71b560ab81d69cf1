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


@pytest.fixture
def liverestore(home, make_package, monkeypatch, capsys):
    """Run the entry point in this process, with the engine `bend`: (exit code, stderr)."""
    make_package()
    monkeypatch.chdir(home)
    monkeypatch.setenv("COLUMNS", "200")
    (home / "air.toml").write_text(RIG, encoding="utf-8")
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
