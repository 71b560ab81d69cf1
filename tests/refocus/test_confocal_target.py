"""Deep-Z+ goes wherever Deep-Z goes, and says that its pictures are confocal ones."""

import json
import sys

import numpy as np
import pytest
import tifffile

from liverestore.frame import Provenance
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
def liverestore(home, monkeypatch, capsys):
    """Run the entry point in this process: its output, after it ended well."""
    monkeypatch.chdir(home)
    monkeypatch.setenv("COLUMNS", "200")
    (home / "air.toml").write_text(RIG, encoding="utf-8")
    frames = np.random.default_rng(1).poisson(60, (2, 64, 96)).astype(np.uint16) + 100
    tifffile.imwrite(home / "in.tif", frames, metadata={"axes": "TYX"})

    def run(*arguments):
        from liverestore.cli.main import run as main

        monkeypatch.setattr(sys, "argv", ["liverestore", *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
        told = capsys.readouterr()
        assert ended.value.code == 0, told.err
        return told.out

    return run


def made_of(file, index=0) -> Provenance:
    with open_movie(file) as movie:
        return movie.record(index).provenance


def all_ways(liverestore, home):
    assert "confocal-refocus" in liverestore("engines")
    for option, value in (("--z", "2"), ("--zstack", "-2:2:2"), ("--dpm", "plane:0,0.01,0")):
        out = home / f"out{option}.ome.tif"
        said = liverestore(
            "restore", "in.tif", str(out), "--engine", "plus", "--rig", "air.toml", option, value
        )
        assert "as confocal pictures" in said
        made = made_of(out)
        assert made.parameters["target"] == "confocal"
        assert made.parameters["sign_error"] < 0.5
        with tifffile.TiffFile(out) as file:
            assert "as confocal pictures" in file.ome_metadata
            assert np.ptp(file.asarray()) > 0


def test_all_ways_to_refocus_say_confocal(liverestore, home, make_package):
    make_package("plus", task="confocal-refocus")
    all_ways(liverestore, home)


@pytest.mark.slow
def test_an_engine_out_of_the_training_goes_all_ways(liverestore, home):
    torch = pytest.importorskip("torch", reason="training takes the train extra")
    pytest.importorskip("bioimageio.spec", reason="training takes the train extra")
    from liverestore.training.fit import FitSettings
    from liverestore.training.refocus_job import RefocusJob, train_refocusing

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    train_refocusing(
        RefocusJob(
            home / "engines" / "plus",
            FitSettings(iterations=2, loss="l1", warm_up_iterations=1, ema_decay=0.9),
            confocal=True,
            network="deepz",
            width=0.125,
            batch=2,
            crop_px=64,
            pool_size=2,
            score_stacks=0,
        )
    )
    torch.set_num_threads(threads)
    all_ways(liverestore, home)


def test_a_live_run_says_it_for_every_frame(liverestore, home, make_package):
    make_package("plus", task="confocal-refocus")
    report = home / "report.json"
    liverestore(
        *("live", "--headless", "--frames", "3", "--rig", "air.toml", "--engine", "plus"),
        *("--z", "1.5", "--save", str(home / "run"), "--report", str(report)),
    )
    told = json.loads(report.read_text())
    assert told["dpm"] == "1.5"
    (file,) = [file["path"] for file in told["recordings"][0]["restored"]]
    made = made_of(home / file)
    assert (made.engine, made.parameters["target"]) == ("plus", "confocal")
    assert made.parameters["virtual_z_um"] == 1.5


def test_deep_z_says_nothing_of_it(liverestore, home, make_package):
    make_package("bend")
    liverestore("restore", "in.tif", "o.tif", "--engine", "bend", "--rig", "air.toml", "--z", "1")
    assert "target" not in made_of(home / "o.tif").parameters
