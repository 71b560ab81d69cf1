"""`liverestore calibrate --psf`: the objective from a z-stack of beads, kept in a rig file."""

import re

import imagecodecs
import numpy as np
import pytest
import tifffile
import typer
from typer.testing import CliRunner

from liverestore.cli import calibrate as command
from liverestore.errors import UserError
from liverestore.optics import Optics, stage_psf
from liverestore.rig import load_rig
from liverestore.rig_optics import optics_of

RIG = """# Mine
name = "mine"

[source]
kind = "replay"
path = "beads.tif"

[camera]
offset_counts = 100.0
gain_e_per_count = 0.5
read_noise_e = 1.6

[optics]
pixel_size_um = 0.16
numerical_aperture = 0.8  # engraved
wavelength_nm = 520.0
immersion_index = 1.0
sample_index = 1.33
depth_um = 4.0
"""


@pytest.fixture(scope="module")
def beads(tmp_path_factory):
    """A stack of one bead on the coverslip, under an objective with astigmatism."""
    file = tmp_path_factory.mktemp("beads") / "beads.tif"
    optics = Optics(0.77, 520.0, 1.0, 1.33, 0.16, zernike_waves=((6, 0.06), (11, 0.03)))
    rng = np.random.default_rng(2)
    light = 20_000 * stage_psf(optics, (np.arange(13) - 6) * 0.6 + 0.1, 41) + 4.0
    electrons = rng.poisson(light) + 1.6 * rng.standard_normal(light.shape)
    counts = np.clip(np.rint(electrons / 0.5 + 100), 0, 65535).astype(np.uint16)
    tifffile.imwrite(file, counts, photometric="minisblack", metadata={"axes": "ZYX"})
    return file


@pytest.fixture
def rig(tmp_path, beads):
    (tmp_path / "beads.tif").write_bytes(beads.read_bytes())
    file = tmp_path / "mine.toml"
    file.write_text(RIG, encoding="utf-8")
    return file


def invoke(*arguments):
    app = typer.Typer()
    app.command()(command.calibrate)
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def test_a_copy_of_the_rig_has_the_measured_objective(rig, beads, tmp_path):
    out = tmp_path / "other" / "new.toml"
    out.parent.mkdir()
    given = ("--rig", rig, "--psf", beads, "--z-step", 0.6, "--bead-depth", 0, "--out", out)
    result = invoke(*given)
    assert result.exit_code == 0, result.output
    assert re.search(r"aperture +0\.7\d+ \+- 0\.00\d+ +NA +0\.8", result.output)
    assert re.search(r"astigmatism vertical +3[01]\.\d \+- ", result.output)
    assert re.search(
        r"fit: 1 bead, correlation 0\.99\d+, chi2/dof [01]\.\d+ \(the rig's", result.output
    )
    assert "sign of z: one frame tells +z from -z at" in result.output
    assert "wrong side" in result.output
    made = load_rig(out)
    assert made.optics.numerical_aperture == pytest.approx(0.77, rel=0.01)
    assert made.optics.zernike_nm.astigmatism_vertical == pytest.approx(31.2, rel=0.1)
    assert made.optics.zernike_nm.spherical == pytest.approx(15.6, rel=0.1)
    assert dict(optics_of(made).zernike_waves)[6] == pytest.approx(0.06, rel=0.1)
    # That of the specimen, which beads on the coverslip say nothing of.
    assert made.optics.depth_um == 4.0
    assert made.source.path == str(tmp_path / "beads.tif")
    text = out.read_text(encoding="utf-8")
    assert re.search(r"# Beads \d{4}-\d\d-\d\d from beads.tif, fit and stack correlate", text)
    assert rig.read_text(encoding="utf-8") == RIG
    picture = imagecodecs.png_decode((out.parent / "new_psf.png").read_bytes())
    assert picture.ndim == 3
    assert picture.std() > 10
    # Words stand above the columns and beside the rows.
    assert picture[:30].max() > 150
    assert picture[40:, :90].max() > 150
    with pytest.raises(UserError, match="exists"):
        raise invoke(*given).exception


def test_mistakes_are_one_line_and_write_nothing(rig, beads, tmp_path):
    flat = tmp_path / "movie.tif"
    tifffile.imwrite(flat, np.zeros((9, 20, 20), np.uint16), metadata={"axes": "TYX"})
    before = sorted(path.name for path in tmp_path.iterdir())
    psf = ("--psf", beads)
    for arguments, said in (
        (psf, "does not state its z step"),
        ((*psf, "--z-step", 0.6, "--movie", flat), "leave either out"),
        (("--psf", flat, "--z-step", 0.6), "allowed is one z-stack"),
        ((*psf, "--z-step", 0.05), "three depths of field"),
        ((*psf, "--z-step", 0.6, "--bead", 3), "half the depth of field"),
        ((*psf, "--z-step", 0.6, "--picture", tmp_path / "a.jpg"), "end in .png"),
        ((*psf, "--z-step", 0.6, "--out", rig), "exists"),
        (("--movie", flat, "--bead", 0.2), "--bead, which has a meaning only with --psf"),
        (("--psf", tmp_path / "no.tif", "--z-step", 0.6), "no such file"),
    ):
        result = invoke("--rig", rig, *arguments)
        assert isinstance(result.exception, UserError), (arguments, result.output)
        assert said in str(result.exception)
        assert "\n" not in str(result.exception)
    rig.write_text(RIG.replace("sample_index = 1.33\n", ""), encoding="utf-8")
    result = invoke("--rig", rig, *psf, "--z-step", 0.6)
    assert "optics.sample_index missing" in str(result.exception)
    assert sorted(path.name for path in tmp_path.iterdir()) == before
