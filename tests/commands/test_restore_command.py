"""`liverestore restore` as a person runs it."""

import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import tifffile

from liverestore.movie import open_movie

DATA = Path(__file__).resolve().parents[2].parent / "shared" / "data"
RUN = [sys.executable, "-W", "error", "-c", "from liverestore.cli.main import run; run()"]


@dataclass
class Outcome:
    returncode: int
    stdout: str
    stderr: str


@pytest.fixture
def liverestore(monkeypatch, capsys):
    """Run the entry point in this process, as a shell would."""
    monkeypatch.setenv("COLUMNS", "200")

    def run(*arguments):
        from liverestore.cli.main import run as entry_point

        monkeypatch.setattr(sys, "argv", ["liverestore", *map(str, arguments)])
        try:
            entry_point()
            code = 0
        except SystemExit as ended:
            code = int(ended.code or 0)
        return Outcome(code, *capsys.readouterr())

    return run


@pytest.fixture
def movie(tmp_path):
    path = tmp_path / "in.tif"
    stack = np.random.default_rng(0).poisson(50, (6, 32, 48)).astype(np.uint16) + 100
    tifffile.imwrite(
        path,
        stack,
        imagej=True,
        resolution=(10, 10),
        metadata={"axes": "TYX", "unit": "um", "finterval": 0.5},
    )
    return path


@pytest.mark.parametrize("extension", [".tif", ".ome.tif", ".ome.zarr"])
def test_restores_into_every_format(liverestore, movie, extension):
    out = movie.with_name(f"out{extension}")
    result = liverestore("restore", movie, out, "--engine", "mean5")
    assert (result.returncode, result.stderr) == (0, "")
    assert "camera model:" in result.stdout
    assert "6 frames restored by mean5" in result.stdout
    with open_movie(movie) as before, open_movie(out) as after:
        assert (after.axes, after.shape, after.dtype) == (before.axes, before.shape, before.dtype)
        assert after.pixel_size_um == pytest.approx(0.1)
        assert after.interval_ms == pytest.approx(500)
        raw, restored = np.stack(list(before)), np.stack(list(after))
        provenance = after.record(5).provenance
    assert restored.mean() == pytest.approx(raw.mean(), rel=0.01)
    assert restored.std() < 0.4 * raw.std()
    assert (provenance.engine, provenance.version) == ("mean5", "1")


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
def test_dtype(liverestore, movie, dtype):
    out = movie.with_name("out.tif")
    result = liverestore("restore", movie, out, "--engine", "mean5", "--dtype", dtype)
    assert result.returncode == 0
    with open_movie(out) as after:
        assert after.dtype == dtype
        # Restored in float, not rounded to counts on the way.
        assert np.array_equal(after[0], np.rint(after[0])) is (dtype != "float32")


def test_single_image_stays_one(liverestore, tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", np.full((20, 20), 7, np.uint8))
    result = liverestore("restore", tmp_path / "a.tif", tmp_path / "b.tif", "--engine", "median5")
    assert "1 frame restored" in result.stdout
    np.testing.assert_array_equal(tifffile.imread(tmp_path / "b.tif"), np.full((20, 20), 7))


def test_clipped_values_are_told(liverestore, movie):
    result = liverestore(
        "restore", movie, movie.with_name("o.tif"), "--engine", "mean5", "--dtype", "uint8"
    )
    assert result.returncode == 0
    assert "were clipped" not in result.stdout
    bright = movie.with_name("bright.tif")
    tifffile.imwrite(bright, np.full((2, 20, 20), 300, np.uint16), photometric="minisblack")
    result = liverestore(
        "restore", bright, movie.with_name("p.tif"), "--engine", "mean5", "--dtype", "uint8"
    )
    assert "800 values did not fit into uint8" in result.stdout


def test_restoring_twice_is_told(liverestore, movie):
    first, second = movie.with_name("b.ome.tif"), movie.with_name("c.ome.tif")
    liverestore("restore", movie, first, "--engine", "mean5")
    result = liverestore("restore", first, second, "--engine", "median5")
    assert "b.ome.tif was restored before, by mean5" in result.stdout


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["no.tif", "o.tif", "--engine", "mean5"], "no such file"),
        (["in.tif", "o.tif", "--engine", "mean6"], "installed: "),
        (["in.tif", "o.png", "--engine", "mean5"], ".ome.tif, .tif and .ome.zarr"),
        (["in.tif", "in.tif", "--engine", "mean5", "--force"], "never overwritten"),
        (["in.tif", "there.tif", "--engine", "mean5"], "exists already"),
        (["in.tif", "o.tif", "--engine", "mean5", "--rig", "nowhere"], "nowhere"),
        (["in.tif", "o.tif", "--engine", "mean5", "--z", "3"], "does not refocus"),
        (["in.tif", "o.tif", "--engine", "mean5", "--zstack", "-5:5:1"], "does not refocus"),
        (["in.tif", "o.tif", "--engine", "mean5", "--dpm", "plane:1,0,0"], "does not refocus"),
        (["text.tif", "o.tif", "--engine", "mean5"], "no readable TIFF"),
        (["rgb.tif", "o.tif", "--engine", "mean5"], "colour"),
        (["nan.tif", "o.tif", "--engine", "mean5"], "frame 1 has NaN"),
        (["in.tif", "text.tif/o.tif", "--engine", "mean5"], "cannot be created"),
    ],
)
def test_mistakes_are_one_line_and_exit_code_2(liverestore, monkeypatch, movie, arguments, says):
    folder = movie.parent
    (folder / "text.tif").write_text("Dear diary")
    (folder / "there.tif").write_text("keep me")
    tifffile.imwrite(folder / "rgb.tif", np.zeros((8, 8, 3), np.uint8), photometric="rgb")
    nan = np.zeros((3, 20, 20), np.float32)
    nan[1, 2, 3] = np.nan
    tifffile.imwrite(folder / "nan.tif", nan, photometric="minisblack")
    monkeypatch.chdir(folder)
    result = liverestore("restore", *arguments)
    assert result.returncode == 2, result.stderr
    lines = result.stderr.splitlines()
    assert len(lines) == 1
    assert lines[0].startswith("liverestore: ")
    assert says in lines[0]
    assert (folder / "there.tif").read_text() == "keep me"


def test_frames_before_a_bad_one_are_kept(liverestore, movie):
    nan = np.ones((3, 20, 20), np.float32)
    nan[2, 2, 3] = np.nan
    path = movie.with_name("nan.tif")
    tifffile.imwrite(path, nan, photometric="minisblack")
    result = liverestore("restore", path, movie.with_name("o.tif"), "--engine", "mean5")
    assert "frames restored before: 2" in result.stderr
    with open_movie(movie.with_name("o.tif")) as after:
        assert len(after) == 2


def test_force_replaces(liverestore, movie):
    out = movie.with_name("o.tif")
    out.write_text("old")
    result = liverestore("restore", movie, out, "--engine", "mean5", "--force")
    assert result.returncode == 0
    with open_movie(out) as after:
        assert len(after) == 6


@pytest.mark.skipif(sys.platform == "win32", reason="sends SIGINT to one process (POSIX)")
@pytest.mark.parametrize("extension", [".ome.tif", ".ome.zarr"])
def test_ctrl_c_leaves_a_readable_file(tmp_path, extension):
    source, out = tmp_path / "in.tif", tmp_path / f"o{extension}"
    stack = np.random.default_rng(0).poisson(50, (400, 256, 256)).astype(np.uint16)
    tifffile.imwrite(source, stack, photometric="minisblack")
    child = subprocess.Popen(
        [*RUN, "restore", str(source), str(out), "--engine", "median5"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    while not out.exists() and child.poll() is None:
        time.sleep(0.01)
    child.send_signal(signal.SIGINT)
    stdout, stderr = child.communicate(timeout=60)
    assert child.returncode == 130, stderr
    assert stderr == ""
    assert "of 400 frames are restored" in stdout
    with open_movie(out) as after:
        assert 1 <= len(after) < 400
        assert after.record(len(after) - 1).provenance.engine == "median5"
        assert after[len(after) - 1].mean() == pytest.approx(50, rel=0.05)


@pytest.mark.skipif(not DATA.is_dir(), reason="../shared/data is missing")
def test_real_movie_keeps_its_counts(liverestore, tmp_path):
    source = DATA / "denoise" / "tirf_microtubules" / "TIRF_200Hz.tif"
    out = tmp_path / "o.ome.tif"
    result = liverestore("restore", source, out, "--engine", "mean5")
    assert result.returncode == 0, result.stderr
    with open_movie(source) as before, open_movie(out) as after:
        assert (after.shape, after.axes, after.dtype) == (before.shape, before.axes, before.dtype)
        raw, restored = np.stack(list(before)), np.stack(list(after))
    assert restored.mean() == pytest.approx(raw.mean(), rel=0.01)


def test_a_failed_replacement_leaves_the_old_file(liverestore, movie):
    out = movie.with_name("out.tif")
    assert liverestore("restore", movie, out, "--engine", "mean5").returncode == 0
    before = out.read_bytes()
    nan = movie.with_name("nan.tif")
    tifffile.imwrite(nan, np.full((2, 20, 20), np.nan, np.float32), photometric="minisblack")
    assert liverestore("restore", nan, out, "--engine", "mean5", "--force").returncode == 2
    assert out.read_bytes() == before
