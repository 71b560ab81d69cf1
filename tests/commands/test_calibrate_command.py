"""`liverestore calibrate`: numbers from files, kept in a rig file whose other lines stay."""

import re
import tomllib

import numpy as np
import pytest
import tifffile
import typer
from typer.testing import CliRunner

from liverestore.camera_maps import load_maps
from liverestore.cli import calibrate as command
from liverestore.cli.rig_edit import edited
from liverestore.errors import UserError
from liverestore.rig import load_rig
from liverestore.rig_camera import camera_of

SHAPE = (96, 128)
GAIN, READ, OFFSET = 0.5, 1.6, 100.0
RIG = """# My microscope
name = "mine"

[source]
kind = "replay"
path = "dark.tif"  # relative to this file

[camera]
# From the test sheet.
offset_counts = 99.0   # old
gain_e_per_count = 0.9
bit_depth = 16

# What the objective says.
[optics]
pixel_size_um = 0.108
"""


@pytest.fixture(scope="module")
def series(tmp_path_factory):
    """Darks, three levels of light and a movie of something, with known numbers."""
    folder = tmp_path_factory.mktemp("series")
    rng = np.random.default_rng(0)
    pattern = 2.0 * rng.standard_normal(SHAPE)

    def counts(light_e, count):
        electrons = rng.poisson(light_e, (count, *SHAPE)) + READ * rng.standard_normal(
            (count, *SHAPE)
        )
        return np.rint(electrons / GAIN + OFFSET + pattern).clip(0, 65535).astype(np.uint16)

    def save(name, stack):
        tifffile.imwrite(folder / name, stack, photometric="minisblack", metadata={"axes": "TYX"})

    save("dark.tif", counts(0.0, 24))
    for level in (60, 300, 1200):
        save(f"flat{level}.tif", counts(float(level), 12))
    y, x = np.mgrid[: 2 * SHAPE[0], : 2 * SHAPE[1]]
    light = 150 * (1 + np.sin(y / 25) * np.sin(x / 31))
    movie = rng.poisson(light, (12, *light.shape)) + READ * rng.standard_normal((12, *light.shape))
    save("movie.tif", np.rint(movie / GAIN + OFFSET).clip(0, 65535).astype(np.uint16))
    (folder / "images").mkdir()
    for n, image in enumerate(tifffile.imread(folder / "dark.tif")):
        tifffile.imwrite(folder / "images" / f"dark_{n:03d}.tif", image)
    return folder


@pytest.fixture
def rig(tmp_path, series):
    (tmp_path / "dark.tif").write_bytes((series / "dark.tif").read_bytes())
    file = tmp_path / "mine.toml"
    file.write_text(RIG, encoding="utf-8")
    return file


def invoke(*arguments):
    app = typer.Typer()
    app.command()(command.calibrate)
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def flats(series):
    return [a for n in (60, 300, 1200) for a in ("--flat", series / f"flat{n}.tif")]


def test_a_copy_has_the_numbers_the_maps_and_every_other_line(rig, series, tmp_path):
    out = tmp_path / "new.toml"
    result = invoke("--rig", rig, "--dark", series / "dark.tif", *flats(series), "--out", out)
    assert result.exit_code == 0, result.output
    assert re.search(r"gain +0\.\d+ \+- 0\.00\d+ e/count", result.output)
    camera = load_rig(out).camera
    assert camera.offset_counts == pytest.approx(OFFSET, abs=0.2)
    assert camera.gain_e_per_count == pytest.approx(GAIN, rel=0.02)
    assert camera.read_noise_e == pytest.approx(np.hypot(READ, GAIN / 12**0.5), rel=0.02)
    assert camera.row_noise_e < 0.2
    assert camera.bit_depth == 16
    assert load_maps(tmp_path / "new_camera_maps.tif").offset_counts.std() > 1.5
    assert camera_of(camera).maps.shape == SHAPE
    text = out.read_text(encoding="utf-8")
    assert re.search(r"# Calibrated \d{4}-\d\d-\d\d from dark.tif and 3 levels", text)
    assert re.search(r"^gain_e_per_count = 0\.\d+  # \+- 0\.00\d+$", text, re.MULTILINE)
    new = text.splitlines()
    assert [line for line in RIG.splitlines() if line not in new] == [
        "offset_counts = 99.0   # old",
        "gain_e_per_count = 0.9",
    ]
    assert new[-3:] == ["# What the objective says.", "[optics]", "pixel_size_um = 0.108"]
    assert rig.read_text(encoding="utf-8") == RIG


def test_the_rig_itself_is_written_only_by_force_and_again(rig, series):
    given = ("--rig", rig, "--dark", series / "images", *flats(series))
    result = invoke(*given)
    assert result.exit_code == 0, result.output
    assert "nothing was written" in result.output
    assert rig.read_text(encoding="utf-8") == RIG
    for _ in range(2):
        assert invoke(*given, "--force", "--no-maps").exit_code == 0
        text = rig.read_text(encoding="utf-8")
        assert text.count("# Calibrated ") == 1
        assert text.count("read_noise_e =") == 1
    assert load_rig(rig).camera.maps is None


def test_an_estimate_from_any_movie(rig, series, tmp_path):
    out = tmp_path / "other" / "new.toml"
    out.parent.mkdir()
    rig.write_text(RIG.replace("99.0", "100.0"), encoding="utf-8")
    result = invoke("--rig", rig, "--movie", series / "movie.tif", "--out", out)
    assert result.exit_code == 0, result.output
    assert "taken with the rig's offset of 100 counts" in result.output
    made = load_rig(out)
    assert made.camera.gain_e_per_count == pytest.approx(GAIN, rel=0.05)
    assert made.camera.offset_counts == 100.0
    # Relative to the folder of the old rig, not of the new one.
    assert made.source.path == str(rig.parent / "dark.tif")
    assert "an estimate" in out.read_text(encoding="utf-8")


def test_mistakes_are_one_line_and_write_nothing(rig, series, tmp_path):
    dark, out = series / "dark.tif", tmp_path / "new.toml"
    one = ("--flat", series / "flat60.tif")
    for arguments, said in (
        (("--dark", dark), "give --dark and two or more --flat"),
        (("--movie", dark, "--dark", dark, *one), "--movie alone (an estimate)"),
        (("--dark", dark, *one, "--out", out), "level"),
        (("--dark", dark, *one, "--flat", dark, "--out", out), "level 2: frame"),
        (("--dark", tmp_path / "no.tif", *flats(series)), "no such file"),
        (("--dark", dark, *flats(series), "--out", rig), "exists"),
        (("--dark", dark, *flats(series), "--out", tmp_path / "a.txt"), "end in .toml"),
        (("--dark", dark, *flats(series), "--out", tmp_path / "b" / "a.toml"), "is missing"),
        (("--movie", series / "flat60.tif", "--out", out), "no gain can be told"),
        (("--movie", series / "flat300.tif", "--out", out), "no gain can be told"),
        (("--movie", dark, "--out", out), "no gain can be told"),
        (("--movie", series / "images" / "dark_000.tif"), "one frame"),
    ):
        result = invoke("--rig", rig, *arguments)
        assert isinstance(result.exception, UserError), (arguments, result.output)
        assert said in str(result.exception)
        assert "\n" not in str(result.exception)
    result = invoke("--rig", "demo", "--dark", dark, *flats(series), "--force")
    assert "came with the program" in str(result.exception)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["dark.tif", "mine.toml"]


@pytest.mark.parametrize(
    "text",
    ["[camera]\nread_noise_e = 1\n", "a = 1", "\ufeff[camera]\r\n# note\r\nbit_depth = 8\r\n"],
)
def test_an_edit_changes_the_values_alone(text):
    made = edited(text, "camera", {"read_noise_e": 2.5, "maps": "it's.tif"})
    before = tomllib.loads(text.removeprefix("\ufeff"))
    after = tomllib.loads(made.removeprefix("\ufeff"))
    assert after == before | {
        "camera": before.get("camera", {}) | {"read_noise_e": 2.5, "maps": "it's.tif"}
    }
    assert ("\r\n" in made) == ("\r\n" in text)
    assert made.count("\r") in (0, made.count("\n"))


@pytest.mark.parametrize(
    "text",
    [
        "camera = { read_noise_e = 1 }",
        "camera.read_noise_e = 1",
        "camera = 3",
        '[camera]\nname = """\n[x]\nread_noise_e = 1\n"""\nread_noise_e = 1',
    ],
)
def test_a_text_that_is_too_clever_is_left_to_its_author(text):
    with pytest.raises(UserError, match=r"write there yourself: read_noise_e = 2\.5"):
        edited(text, "camera", {"read_noise_e": 2.5})
