"""Two planes tell the side that one cannot, and say how sure they are; the command around it."""

from pathlib import Path

import numpy as np
import pytest
import tifffile
import typer
from scipy import fft
from typer.testing import CliRunner

from liverestore.camera_model import CameraModel
from liverestore.cli.sign import sign
from liverestore.errors import UserError
from liverestore.optics import Optics, widefield_psf
from liverestore.sign_from_planes import sign_from_two_planes

AIR = Optics(0.8, 520.0, 1.0, 1.0, 0.325)
"""The same above and below: one frame tells nothing."""
CAMERA = CameraModel(100.0, 0.5, 1.6)
SIDE, EDGE = 160, 48


def exposed(light, rng):
    electrons = rng.poisson(light) + 1.6 * rng.standard_normal(light.shape)
    return np.clip(np.rint(electrons / 0.5 + 100), 0, 65535).astype(np.uint16)


def blurred(sharp, z_um):
    psf = np.zeros(sharp.shape)
    psf[: 2 * EDGE - 1, : 2 * EDGE - 1] = widefield_psf(AIR, [z_um], 2 * EDGE - 1)[0]
    psf = np.roll(psf, (1 - EDGE, 1 - EDGE), (0, 1))
    seen = fft.irfft2(fft.rfft2(sharp) * fft.rfft2(psf), s=sharp.shape)
    return np.maximum(seen[EDGE:-EDGE, EDGE:-EDGE], 0.0)


def points(rng):
    sharp = np.zeros((SIDE + 2 * EDGE,) * 2)
    y, x = rng.integers(0, len(sharp), (2, 90))
    np.add.at(sharp, (y, x), 600.0 * rng.lognormal(0, 0.5, 90))
    return sharp + 3.0


def texture(rng):
    side = SIDE + 2 * EDGE
    k = np.hypot(fft.fftfreq(side)[:, None], fft.rfftfreq(side)[None])
    k[0, 0] = 1.0
    cloud = fft.irfft2(fft.rfft2(rng.standard_normal((side, side))) / k, s=(side, side))
    return 20.0 * np.maximum(1 + 0.5 * (cloud - cloud.mean()) / cloud.std(), 0.0)


def two_frames(specimen, z_um, delta_um, seed, lamp=1.0):
    rng = np.random.default_rng((seed, 77))
    sharp = specimen(rng)
    light = blurred(sharp, z_um), lamp * blurred(sharp, z_um - delta_um)
    return [exposed(part, rng) for part in light]


@pytest.mark.parametrize("specimen", [points, texture])
def test_the_side_is_found_and_what_is_claimed_holds(specimen):
    wrong = told = told_wrong = 0
    for seed in range(8):
        z_um = (1 if seed % 2 else -1) * (0.5, 1.5, 2.5, 5.0)[seed // 2]
        found = sign_from_two_planes(*two_frames(specimen, z_um, 1.0, seed), 1.0, AIR, CAMERA).whole
        right = np.sign(found.z_um) == np.sign(z_um)
        wrong += not right and abs(z_um) < 5
        told += found.sign != 0
        told_wrong += found.sign != 0 and not right
        if abs(z_um) < 2:
            assert found.z_um == pytest.approx(z_um, abs=0.6)
            assert found.wrong_side < 0.2
    assert wrong == told_wrong == 0
    assert told >= 4


def test_one_plane_twice_and_noise_alone_tell_nothing():
    rng = np.random.default_rng(5)
    flat = [exposed(np.full((SIDE, SIDE), 20.0), rng) for _ in range(12)]
    sure = [
        sign_from_two_planes(a, b, 1.0, AIR, CAMERA).whole.sign
        for a, b in zip(flat[::2], flat[1::2], strict=True)
    ]
    assert sure.count(0) >= 5


def test_the_other_order_and_a_weaker_lamp_say_the_same():
    first, second = two_frames(points, 2.0, 1.0, 3, lamp=0.5)
    there = sign_from_two_planes(first, second, 1.0, AIR, CAMERA).whole
    back = sign_from_two_planes(second, first, -1.0, AIR, CAMERA).whole
    assert there.sign == back.sign == 1
    assert there.z_um == pytest.approx(2.0, abs=0.4)
    assert back.z_um == pytest.approx(1.0, abs=0.4)


def test_tiles_tell_the_sides_of_a_tilted_field():
    above, below = (two_frames(texture, z, 1.0, 4) for z in (-2.0, 2.0))
    joined = [np.concatenate([a, b], axis=1) for a, b in zip(above, below, strict=True)]
    found = sign_from_two_planes(*joined, 1.0, AIR, CAMERA)
    (row,) = found.tiles
    assert [tile.sign for tile in row] == [-1, 1]


def test_what_cannot_be_compared_is_refused_in_one_line():
    first, second = two_frames(points, 2.0, 1.0, 3)
    for frames, delta_um, said in (
        ((first, second[:-1]), 1.0, "two of one size"),
        ((first[:100], second[:100]), 1.0, "128 px or more"),
        ((first.astype(float) * np.nan, second), 1.0, "no finite numbers"),
        ((first, second * 30), 1.0, "times the light"),
        ((first, second), 0.01, "got 0.01 um"),
        ((first, second), 30.0, "got 30 um"),
    ):
        with pytest.raises(UserError) as error:
            sign_from_two_planes(*frames, delta_um, AIR, CAMERA)
        assert said in str(error.value)
        assert "\n" not in str(error.value)


RIG = """
name = "air"
[source]
kind = "replay"
path = "one.tif"
[camera]
offset_counts = 100.0
gain_e_per_count = 0.5
read_noise_e = 1.6
[optics]
pixel_size_um = 0.325
numerical_aperture = 0.8
wavelength_nm = 520.0
immersion_index = 1.0
sample_index = 1.0
"""


@pytest.fixture
def files(tmp_path):
    for name, frame in zip(("one", "two"), two_frames(points, -1.5, 1.0, 9), strict=True):
        tifffile.imwrite(tmp_path / f"{name}.tif", frame)
    (tmp_path / "air.toml").write_text(RIG)
    return tmp_path


def command(folder: Path, *arguments):
    app = typer.Typer()
    app.command()(sign)
    named = [str(folder / a) if str(a).endswith((".tif", ".toml")) else str(a) for a in arguments]
    return CliRunner().invoke(app, named, env={"COLUMNS": "120"})


def test_the_command_says_side_and_distance(files):
    result = command(files, "one.tif", "two.tif", "--rig", "air.toml", "--delta", "1")
    assert result.exit_code == 0, result.output
    assert "above the plane in focus in the first frame" in result.stdout
    for arguments, said in (
        (["one.tif", "two.tif", "--delta", "1"], "name the microscope with --rig"),
        (["one.tif", "two.tif", "--rig", "air.toml"], "give --delta"),
        (["one.tif", "--rig", "air.toml", "--delta", "1"], "holds one frame"),
    ):
        refused = command(files, *arguments)
        assert isinstance(refused.exception, UserError)
        assert said in str(refused.exception)
