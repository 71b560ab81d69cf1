"""`liverestore restore --z / --zstack / --dpm` as a person runs it."""

import json
import signal
import sys

import numpy as np
import pytest
import tifffile
from typer.testing import CliRunner

from liverestore.camera_model import CameraModel
from liverestore.dpm import parse_dpm
from liverestore.microscopes import defocus_waves_per_um
from liverestore.movie import open_movie
from liverestore.optics import Optics

RIG = """name = "Air 20x"
[source]
kind = "replay"
path = "in.tif"
[camera]
offset_counts = 100.0
gain_e_per_count = 0.46
read_noise_e = 1.6
[optics]
pixel_size_um = 0.325
numerical_aperture = 0.8
wavelength_nm = 550.0
immersion_index = 1.0
sample_index = 1.35
depth_um = 10.0
"""
CAMERA = CameraModel(100.0, 0.46, 1.6)
WAVES = defocus_waves_per_um(Optics(0.8, 550.0, 1.0, 1.35, 0.325, depth_um=10.0))


@pytest.fixture
def folder(home, make_package, monkeypatch):
    """With a movie `in.tif` (TYX, 0.325 um), the rig `air.toml` and the engine `bend`."""
    make_package()
    monkeypatch.chdir(home)
    (home / "air.toml").write_text(RIG, encoding="utf-8")
    stack = np.random.default_rng(0).poisson(60, (3, 20, 33)).astype(np.uint16) + 100
    tifffile.imwrite(
        home / "in.tif",
        stack,
        imagej=True,
        resolution=(1 / 0.325, 1 / 0.325),
        metadata={"axes": "TYX", "unit": "um", "finterval": 0.5},
    )
    return home


@pytest.fixture
def liverestore(folder, monkeypatch, capsys):
    """Run the entry point in this process: (exit code, stdout, stderr)."""
    monkeypatch.setenv("COLUMNS", "200")

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


def expected(raw, surface_um):
    """What `bend` makes of counts, as float32 counts."""
    z = CAMERA.stabilise(raw) + np.float32(0.1 * WAVES) * np.float32(surface_um)
    return CAMERA.unstabilise(z.astype(np.float32))


def restored(name):
    with open_movie("in.tif") as before, open_movie(name) as after:
        raw, out = np.stack(list(before)), np.stack(list(after))
        return raw, out, after.axes, after.leading_shape, after.z_step_um, after.pixel_size_um


@pytest.mark.parametrize("extension", [".ome.tif", ".ome.zarr"])
@pytest.mark.parametrize("z", ["3", "-3"])
def test_one_plane(liverestore, extension, z):
    out = f"out{extension}"
    code, stdout, stderr = liverestore(
        "restore", "in.tif", out, "--engine", "bend", "--rig", "air.toml", "--z", z
    )
    assert (code, stderr) == (0, "")
    assert f"refocusing to {z} um; NA 0.8, 550 nm" in stdout
    assert "3 frames restored by bend" in stdout
    assert "note:" not in stdout
    raw, pixels, axes, *_ = restored(out)
    assert axes == "TYX"
    np.testing.assert_array_equal(pixels, np.rint(expected(raw, float(z))))


def test_a_surface(liverestore):
    spec = "sphere:1,-40+plane:0,0.1,0"
    arguments = ("in.tif", "o.ome.tif", "--engine", "bend", "--rig", "air.toml", "--dpm", spec)
    code, _, stderr = liverestore("restore", *arguments, "--dtype", "float32")
    assert (code, stderr) == (0, "")
    raw, pixels, *_ = restored("o.ome.tif")
    surface = parse_dpm(spec).surface_um((20, 33), 0.325)
    np.testing.assert_allclose(pixels, expected(raw, surface), rtol=1e-5)
    with open_movie("o.ome.tif") as movie:
        assert movie.record(0).provenance.parameters["dpm"] == spec


def test_a_map_from_a_file(liverestore, folder):
    surface = np.random.default_rng(1).uniform(-5, 5, (20, 33)).astype(np.float32)
    np.save(folder / "map.npy", surface)
    arguments = ("--engine", "bend", "--rig", "air.toml", "--dpm", "map.npy", "--dtype", "float32")
    code, _, stderr = liverestore("restore", "in.tif", "o.ome.tif", *arguments)
    assert (code, stderr) == (0, "")
    raw, pixels, *_ = restored("o.ome.tif")
    np.testing.assert_allclose(pixels, expected(raw, surface), rtol=1e-5)


def test_a_surface_beyond_the_reach_is_clipped_and_said(liverestore):
    code, stdout, _ = liverestore(
        "restore", "in.tif", "o.ome.tif", "--engine", "bend", "--rig", "air.toml",
        "--dpm", "plane:0,3,0", "--dtype", "float32",
    )  # fmt: skip
    assert code == 0
    assert "240 of 660 pixels are wanted farther than engine 'bend' reaches" in stdout
    assert "(3 frames)" in stdout
    raw, pixels, *_ = restored("o.ome.tif")
    surface = np.clip(parse_dpm("plane:0,3,0").surface_um((20, 33), 0.325), -10, 10)
    np.testing.assert_allclose(pixels, expected(raw, surface), rtol=1e-5)


@pytest.mark.parametrize("extension", [".ome.tif", ".ome.zarr"])
def test_a_virtual_stack(liverestore, extension):
    out = f"out{extension}"
    code, stdout, stderr = liverestore(
        "restore", "in.tif", out, "--engine", "bend", "--rig", "air.toml", "--zstack", "-1:2:0.5"
    )
    assert (code, stderr) == (0, "")
    assert "refocusing to 7 planes from -1 to 2 um in steps of 0.5 um" in stdout
    assert "21 planes restored by bend" in stdout
    raw, pixels, axes, leading, z_step_um, pixel_size_um = restored(out)
    assert (axes, leading) == ("TZYX", (3, 7))
    assert (z_step_um, pixel_size_um) == (pytest.approx(0.5), pytest.approx(0.325, rel=1e-3))
    planes = pixels.reshape(3, 7, 20, 33)
    for k, z_um in enumerate(np.arange(-1, 2.1, 0.5)):
        np.testing.assert_array_equal(planes[:, k], np.rint(expected(raw, z_um)))
    with open_movie(out) as movie:
        record = movie.record(9)
    # The second plane but one of the second time point.
    assert record.header.number == 1
    assert record.provenance.parameters["virtual_z_um"] == 0.0
    assert record.provenance.parameters["waves_per_um"] == pytest.approx(WAVES, abs=1e-5)


def test_a_virtual_stack_says_its_planes_to_other_programs(liverestore, folder):
    for out in ("o.ome.tif", "o.ome.zarr"):
        arguments = ("--engine", "bend", "--rig", "air.toml", "--zstack", "-1:2:0.5")
        assert liverestore("restore", "in.tif", out, *arguments)[0] == 0
    ome_types = pytest.importorskip("ome_types")
    with tifffile.TiffFile("o.ome.tif") as tiff:
        assert tiff.series[0].axes == "TZYX"
        assert tiff.series[0].shape == (3, 7, 20, 33)
        image = ome_types.from_xml(tiff.ome_metadata).images[0]
    pixels = image.pixels
    assert (pixels.size_t, pixels.size_z, pixels.physical_size_z) == (3, 7, 0.5)
    at = {(plane.the_t, plane.the_z): plane.position_z for plane in pixels.planes}
    assert [at[1, k] for k in range(7)] == [-1, -0.5, 0, 0.5, 1, 1.5, 2]
    assert "refocused_to=7 planes from -1 to 2 um" in image.description
    assert "engine=bend" in image.description
    assert "optics=NA 0.8, 550 nm, immersion 1, sample 1.35, depth 10 um" in image.description
    attributes = json.loads((folder / "o.ome.zarr" / "zarr.json").read_text())["attributes"]
    scale, translation = attributes["ome"]["multiscales"][0]["datasets"][0][
        "coordinateTransformations"
    ]
    assert scale["scale"] == pytest.approx([500, 0.5, 0.325, 0.325], rel=1e-3)
    assert translation == {"type": "translation", "translation": [0, -1, 0, 0]}
    made = attributes["liverestore"]["restored_by"]
    assert made["engine"] == "bend"
    assert made["refocused_to"] == "7 planes from -1 to 2 um in steps of 0.5 um"
    yaozarrs = pytest.importorskip("yaozarrs")
    yaozarrs.validate_zarr_store(str(folder / "o.ome.zarr"))


def test_axes_of_other_movies(liverestore, folder):
    single = np.full((20, 33), 160, np.uint16)
    tifffile.imwrite(folder / "single.tif", single)
    channels = np.stack([single, single + 50])
    tifffile.imwrite(folder / "tc.ome.tif", np.stack([channels] * 3), metadata={"axes": "TCYX"})
    tifffile.imwrite(
        folder / "slices.tif", np.stack([single] * 2), imagej=True, metadata={"axes": "ZYX"}
    )
    arguments = ("--engine", "bend", "--rig", "air.toml", "--zstack", "0:9:9")
    for name, axes, leading in (
        ("single.tif", "ZYX", (2,)),
        ("tc.ome.tif", "TCZYX", (3, 2, 2)),
        ("slices.tif", "TZYX", (2, 2)),
    ):
        for out in ("o.ome.tif", "o.ome.zarr"):
            code, _, stderr = liverestore("restore", name, out, *arguments, "--force")
            assert (code, stderr) == (0, "")
            with open_movie(out) as movie:
                assert (movie.axes, movie.leading_shape) == (axes, leading)
                first, second = movie[len(movie) - 2], movie[len(movie) - 1]
            assert (first < second).all()
    # The rig says the pixel size where the movie does not.
    with open_movie("o.ome.zarr") as movie:
        assert movie.pixel_size_um == pytest.approx(0.325)
        assert movie.z_step_um == 9


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ([], "got no distance"),
        (["--z", "1", "--dpm", "2"], "got --z and --dpm"),
        (["--z", "1", "--zstack", "0:1:1"], "exactly one of --z UM"),
        (["--z", "10.5"], "reaches from -10 to 10 um"),
        (["--z", "nan"], "finite"),
        (["--dpm", "-11"], "asks for -11 um"),
        (["--dpm", "bowl:3"], "plane:z0,dz/dx,dz/dy"),
        (["--dpm", "missing.npy"], "no file"),
        (["--dpm", "nan.npy"], "NaN"),
        (["--dpm", "small.npy"], "4x4 values for frames of 20x33"),
        (["--zstack", "0:5:0"], "a step above 0"),
        (["--zstack", "5:0:1"], "START below STOP"),
        (["--zstack", "-12:0:1"], "asks for -12 um"),
        (["--z", "1", "--rig", "bare.toml"], "optics.numerical_aperture, optics.wavelength_nm"),
        (["--z", "1", "--engine", "mean5"], "does not refocus"),
    ],
)
def test_mistakes_are_one_line(liverestore, folder, options, says):
    np.save(folder / "nan.npy", np.full((20, 33), np.nan))
    np.save(folder / "small.npy", np.zeros((4, 4)))
    bare = [line for line in RIG.splitlines() if not line.startswith(("numerical", "wavelength"))]
    (folder / "bare.toml").write_text("\n".join(bare), encoding="utf-8")
    given = ["--engine", "bend", "--rig", "air.toml", *options]
    code, _, stderr = liverestore("restore", "in.tif", "o.ome.tif", *given)
    assert code == 2, stderr
    assert len(stderr.splitlines()) == 1
    assert says in stderr
    assert not (folder / "o.ome.tif").exists()


def test_without_a_rig_the_fields_are_named(liverestore):
    code, _, stderr = liverestore("restore", "in.tif", "o.tif", "--engine", "bend", "--z", "1")
    assert code == 2
    assert "--rig" in stderr
    assert "optics.numerical_aperture, wavelength_nm, immersion_index" in stderr


def test_a_stack_of_a_stack_is_refused(liverestore, folder):
    tifffile.imwrite(
        folder / "z.ome.tif", np.ones((4, 20, 33), np.uint16), metadata={"axes": "ZYX"}
    )
    arguments = ("--engine", "bend", "--rig", "air.toml")
    code, _, stderr = liverestore(
        "restore", "z.ome.tif", "o.ome.tif", *arguments, "--zstack", "0:1:1"
    )
    assert code == 2
    assert "has 4 planes of z already" in stderr
    assert liverestore("restore", "z.ome.tif", "o.ome.tif", *arguments, "--z", "1")[0] == 0
    with open_movie("o.ome.tif") as movie:
        assert movie.axes == "ZYX"


def test_ctrl_c_leaves_whole_stacks(liverestore, folder, monkeypatch):
    from liverestore.cli import restore_job

    made = []
    planes = restore_job.restore_planes

    def interrupted(*arguments, **options):
        for plane in planes(*arguments, **options):
            made.append(plane)
            if len(made) == 5:
                signal.raise_signal(signal.SIGINT)
            yield plane

    monkeypatch.setattr(restore_job, "restore_planes", interrupted)
    code, stdout, _ = liverestore(
        "restore", "in.tif", "o.ome.tif", "--engine", "bend", "--rig", "air.toml",
        "--zstack", "0:2:1",
    )  # fmt: skip
    assert code == 130
    assert "6 of 9 planes are restored" in stdout
    with open_movie("o.ome.tif") as movie:
        assert movie.leading_shape == (2, 3)


def test_engines_and_doctor_show_reach_and_optics(folder, monkeypatch):
    import typer

    from liverestore.cli import checks
    from liverestore.cli import engines as command

    monkeypatch.setattr(command, "_TRIAL_RUNS", 1)
    app = typer.Typer()
    app.command()(command.engines)
    text = CliRunner().invoke(app, env={"COLUMNS": "80"}).stdout
    assert max(map(len, text.splitlines())) <= 80
    assert "refocus ±10 um" in text
    line = " ".join(text.split())
    assert (
        "bend: made for NA 0.75-0.8, 500-620 nm, immersion 1, sample 1.33-1.4, depth 5-40 um, "
        "pixels 0.28-0.36 um" in line
    )
    answer = json.loads(CliRunner().invoke(app, ["--json"]).stdout)
    (found,) = [engine for engine in answer["engines"] if engine["name"] == "bend"]
    assert found["reach_um"] == 10
    assert found["optics"]["depth_um"] == [5, 40]
    assert found["ms_512"] > 0
    (finding,) = [f for f in checks._engines() if f.state == "ok"]
    assert "bend (refocuses by up to 10 um)" in finding.text
