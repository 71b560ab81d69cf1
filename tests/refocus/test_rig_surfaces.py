"""Surfaces kept with a rig: names in the rig file, the user's own, and where a run begins."""

import json
import sys

import numpy as np
import pytest
import tifffile

from liverestore.errors import Failure, UserError
from liverestore.movie import open_movie
from liverestore.rig import load_rig
from liverestore.rig_surfaces import RigSurfaces, own_file

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
[surfaces]
dish = "plane:0,0.02,0"
slip = "1+slip.npy"
"""


@pytest.fixture
def rig(home):
    np.save(home / "slip.npy", np.zeros((64, 96)))
    file = home / "air.toml"
    file.write_text(RIG, encoding="utf-8")
    return file


def test_names_of_the_rig_file_are_found_with_their_maps(rig):
    surfaces = RigSurfaces.load(load_rig(rig))
    assert surfaces.names == ("dish", "slip")
    assert surfaces.read("dish") == "plane:0,0.02,0"
    assert surfaces.read("slip") == f"1+{rig.parent.resolve() / 'slip.npy'}"
    assert surfaces.read("3.5") == "3.5"
    assert surfaces.start is None


def test_ones_own_are_kept_hide_the_rigs_and_are_forgotten(rig):
    surfaces = RigSurfaces.load(load_rig(rig))
    surfaces.kept("mine", 'C:\\maps\\"a".npy', start=True).kept("dish", "2")
    again = RigSurfaces.load(load_rig(rig))
    assert again.names == ("dish", "mine", "slip")
    assert again.read("mine") == 'C:\\maps\\"a".npy'
    assert again.read("dish") == "2"
    assert (again.start, again.spec("start")) == ("mine", 'C:\\maps\\"a".npy')
    again.forgotten("dish").forgotten("mine")
    last = RigSurfaces.load(load_rig(rig))
    assert last.read("dish") == "plane:0,0.02,0"
    assert (last.names, last.start) == (("dish", "slip"), None)
    # the rig file is nobody's but its author's
    assert rig.read_text(encoding="utf-8") == RIG


def test_the_start_of_a_rig_file_can_be_hidden(rig):
    rig.write_text(RIG + 'start = "dish"\n', encoding="utf-8")
    surfaces = RigSurfaces.load(load_rig(rig))
    assert surfaces.spec("start") == "plane:0,0.02,0"
    assert surfaces.kept("other", "1").start == "dish"
    assert surfaces.kept("dish", "1").start == "0"


def test_rigs_do_not_share_surfaces(rig, home):
    other = home / "other.toml"
    other.write_text(RIG.replace("Air 20x", "Air: 20x"), encoding="utf-8")
    RigSurfaces.load(load_rig(rig)).kept("mine", "1")
    assert "mine" not in RigSurfaces.load(load_rig(other)).names


@pytest.mark.parametrize("name", ["", "3", "nan", "plane", "points", "a b", "a+b", "ä", 41 * "a"])
def test_a_name_that_could_be_something_else_is_refused(rig, name):
    with pytest.raises(UserError, match="for a surface; allowed are a letter"):
        RigSurfaces.load(load_rig(rig)).kept(name, "1")
    rig.write_text(RIG + f'"{name}" = "1"\n', encoding="utf-8")
    with pytest.raises(UserError, match=r"air\.toml: .*for a surface; allowed are a letter"):
        load_rig(rig)


def test_start_is_no_name_to_keep(rig):
    with pytest.raises(UserError, match="marks the surface that a run begins with"):
        RigSurfaces.load(load_rig(rig)).kept("start", "1")


@pytest.mark.parametrize(
    ("text", "says"),
    [("a = ", "is no TOML"), ("a = 3", "a: got 3"), ("'a b' = '3'", "a letter"), (b"\xff", "TOML")],
)
def test_an_own_file_that_cannot_be_used_is_named(rig, text, says):
    file = own_file("Air 20x")
    file.parent.mkdir()
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(UserError, match=says) as error:
        RigSurfaces.load(load_rig(rig))
    assert str(file) in str(error.value)
    assert "\n" not in str(error.value)


def test_a_folder_that_cannot_be_written_is_a_failure(rig, home):
    (home / "surfaces").write_text("in the way", encoding="utf-8")
    surfaces = RigSurfaces("Air 20x", {}, {})
    with pytest.raises(Failure, match="cannot be written"):
        surfaces.kept("mine", "1")


@pytest.fixture
def liverestore(rig, home, make_package, monkeypatch, capsys):
    make_package()
    monkeypatch.chdir(home)
    monkeypatch.setenv("COLUMNS", "200")
    blind = RIG.replace("numerical_aperture = 0.8\n", "").replace(
        'kind = "simulated"', 'kind = "replay"\npath = "in.tif"'
    )
    (home / "blind.toml").write_text(blind.partition("[specimen]")[0], encoding="utf-8")
    np.save(home / "small.npy", np.zeros((20, 33)))
    np.save(home / "gaps.npy", np.full((64, 96), np.nan))
    movie = np.random.default_rng(0).poisson(60, (2, 64, 96)).astype(np.uint16) + 100
    tifffile.imwrite(
        home / "in.tif", movie, imagej=True, resolution=(1 / 0.325, 1 / 0.325),
        metadata={"axes": "TYX", "unit": "um"},
    )  # fmt: skip

    def run(*arguments):
        from liverestore.cli.main import run as entry_point

        monkeypatch.setattr(sys, "argv", ["liverestore", *map(str, arguments)])
        try:
            entry_point()
            code = 0
        except SystemExit as ended:
            code = int(ended.code or 0)
        return code, *capsys.readouterr()

    return run


def test_restore_takes_a_name(liverestore):
    line = "restore in.tif out.ome.tif --engine bend --rig air.toml --dpm dish"
    code, out, err = liverestore(*line.split())
    assert (code, err) == (0, "")
    assert "refocusing to the surface plane:0,0.02,0; NA 0.8" in out
    with open_movie("out.ome.tif") as movie:
        assert movie.record(0).provenance.parameters["dpm"] == "plane:0,0.02,0"


def test_a_live_run_begins_where_the_rig_says(liverestore, home, rig, monkeypatch):
    # On a busy machine an engine can take longer than a person has patience for.
    monkeypatch.setattr("liverestore.cli.run._ENGINE_PATIENCE_S", 200.0)
    RigSurfaces.load(load_rig(rig)).kept("mine", "plane:8,0.2,0", start=True)
    line = "live --headless --frames 2 --rig air.toml --engine bend --report r.json"
    code, _, err = liverestore(*line.split())
    assert code == 0
    assert json.loads((home / "r.json").read_text(encoding="utf-8"))["dpm"] == "plane:8,0.2,0"
    says = "% of the frame lies beyond the engine's reach and is clipped to -10 to 10 um"
    assert sum(says in line for line in err.splitlines()) == 1


BAD = {
    "--rig air.toml --dpm small.npy": "got 20x33 values for frames of 64x96 (rows x columns)",
    "--rig air.toml --dpm gaps.npy": "6144 values that are NaN or infinite; allowed are finite",
    "--rig air.toml --dpm plane:nan,0,0": "allowed are finite numbers",
    "--rig air.toml --dpm points:0,0,0;9,0,12;0,9,1": "a point lies at 12 um; the engine 'bend' "
    "reaches from -10 to 10 um; leave the point out",
    "--rig air.toml --dpm points:0,0,0;9,0,nan;0,9,1": "points with NaN",
    "--rig air.toml --dpm points:0,0,0;9,0,1": "got 2 points in focus",
    "--rig air.toml --dpm points:0,0,0;9,0,1;18,0,2": "on a line",
    "--rig air.toml --dpm 10.5": "got --dpm 10.5, which asks for 10.5 um; the engine 'bend' "
    "reaches from -10 to 10 um; stay within",
    "--rig air.toml --dpm plane:30,0.01,0": "lies beyond what the engine 'bend' reaches, -10 to "
    "10 um, everywhere",
    "--rig air.toml --dpm dsh": "no surface kept with the rig 'Air 20x'; there are: dish, slip",
    "--rig blind.toml --dpm plane:0,0.01,0": "optics.numerical_aperture missing",
}


@pytest.mark.parametrize("line", BAD)
def test_restore_refuses_in_one_line(liverestore, line):
    code, _, err = liverestore("restore", "in.tif", "o.ome.tif", "--engine", "bend", *line.split())
    assert code == 2
    assert BAD[line] in err
    assert len(err.strip().splitlines()) == 1


LATER = ("small.npy", "plane:30")
"""What only the size of the frames tells."""


@pytest.mark.parametrize("line", [line for line in BAD if not any(w in line for w in LATER)])
def test_live_refuses_in_one_line_before_anything_starts(liverestore, line):
    line = f"live --headless --frames 1 --engine bend {line}"
    code, _, err = liverestore(*line.split())
    assert code == 2
    assert BAD[line.partition("bend ")[2]] in err
    assert len(err.strip().splitlines()) == 1
