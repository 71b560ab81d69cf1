"""Surfaces out of an autofocus or a z-stack, on stacks whose tilt is known."""

import json
import sys

import numpy as np
import pytest
import tifffile

from liverestore.dpm import parse_dpm
from liverestore.errors import UserError
from liverestore.focus_map import fitted, focus_of_stack, read_positions, relative
from liverestore.optics import Optics, stage_psf

PIXEL_UM = 0.325
OPTICS = Optics(0.8, 550.0, 1.0, 1.35, PIXEL_UM, depth_um=1.0)
SHAPE = (192, 256)
Z_UM = np.arange(-6, 6.1, 1.0)


def tilt(x, y):
    return 1.0 + 0.06 * x - 0.04 * y


@pytest.fixture(scope="module")
def stack():
    """(Z, Y, X) counts: points on a tilted plane, and an empty lower right corner."""
    rng = np.random.default_rng(3)
    distances = np.arange(-12, 12.1, 0.5)
    psf = stage_psf(OPTICS, distances, 33)
    planes = np.zeros((len(Z_UM), *SHAPE), np.float32)
    for _ in range(500):
        r, c = (int(rng.integers(18, n - 18)) for n in SHAPE)
        if r > 110 and c > 170:
            continue
        x, y = ((p - (n - 1) / 2) * PIXEL_UM for p, n in ((c, SHAPE[1]), (r, SHAPE[0])))
        # focused deeper than the point by so much
        away = Z_UM - tilt(x, y)
        nearest = np.abs(distances[None] - away[:, None]).argmin(1)
        planes[:, r - 16 : r + 17, c - 16 : c + 17] += 3000 * psf[nearest]
    return (rng.poisson(planes + 20) + rng.normal(100, 3, planes.shape)).clip(0).astype(np.uint16)


def test_the_tilt_of_a_simulated_stack_is_found(stack):
    found = focus_of_stack(stack, Z_UM, PIXEL_UM, tile_px=48)
    assert found.tiles == 20
    assert found.without_signal >= 1
    x, y = (np.linspace(-n / 2, n / 2, 9) * PIXEL_UM for n in (SHAPE[1], SHAPE[0]))
    # left of the empty corner
    xs, ys = np.meshgrid(x[:6], y)
    np.testing.assert_allclose(found.points.at(xs, ys), tilt(xs, ys), atol=0.6)
    assert found.residual_um < 0.4
    plane = focus_of_stack(stack, Z_UM, PIXEL_UM, tile_px=48, fit="plane")
    z0, right, down = (float(plane.points.at(*at)) for at in ((0, 0), (10, 0), (0, 10)))
    assert z0 == pytest.approx(1.0, abs=0.25)
    assert (right - z0) / 10 == pytest.approx(0.06, abs=0.01)
    assert (down - z0) / 10 == pytest.approx(-0.04, abs=0.01)
    assert "20 places in focus" in plane.summary
    assert "without signal" in plane.summary


def test_planes_that_come_upwards_turn_the_surface_over(stack):
    found = focus_of_stack(stack[::-1], Z_UM[::-1], PIXEL_UM, tile_px=48, fit="plane")
    there = focus_of_stack(stack, Z_UM, PIXEL_UM, tile_px=48, fit="plane")
    assert found.points.at(20.0, 0.0) == pytest.approx(there.points.at(20.0, 0.0), abs=1e-3)


def test_noise_alone_is_no_focus():
    noise = np.random.default_rng(0).poisson(100, (9, 128, 128)).astype(np.uint16)
    with pytest.raises(UserError, match=r"0 of 16 tiles in focus \(16 without signal"):
        focus_of_stack(noise, np.arange(9.0), PIXEL_UM, tile_px=32)


def test_fading_light_is_no_focus():
    fading = np.linspace(130, 100, 9)[:, None, None]
    noise = np.random.default_rng(0).poisson(fading, (9, 128, 128)).astype(np.uint16)
    with pytest.raises(UserError, match="0 of 16 tiles in focus"):
        focus_of_stack(noise, np.arange(9.0), PIXEL_UM, tile_px=32)


def test_a_focus_outside_of_the_stack_is_counted_and_left_out(stack):
    found = focus_of_stack(stack[5:9], Z_UM[5:9], PIXEL_UM, tile_px=48, fit="plane")
    assert found.at_end > 3
    assert "sharpest at an end" in found.summary


def test_what_lies_far_from_the_others_is_left_out():
    rng = np.random.default_rng(0)
    x, y = rng.uniform(-50, 50, (2, 40))
    z = tilt(x, y) + rng.normal(0, 0.05, 40)
    z[7] += 4
    found = fitted(list(zip(x, y, z, strict=True)), "plane")
    assert found.outliers >= 1
    assert found.points.at(0.0, 0.0) == pytest.approx(1.0, abs=0.05)


def test_a_single_plane_is_refused():
    with pytest.raises(UserError, match="three or more"):
        focus_of_stack(np.zeros((2, 64, 64)), [0, 1], 0.1, tile_px=32)


POS_2 = {
    "map": {
        "StagePositions": {
            "array": [
                {
                    "DefaultXYStage": {"scalar": "XY"},
                    "DefaultZStage": {"scalar": "Z"},
                    "DevicePositions": {
                        "array": [
                            {"Device": {"scalar": "PFS"}, "Position_um": {"array": [7.0]}},
                            {"Device": {"scalar": "Z"}, "Position_um": {"array": [z]}},
                            {"Device": {"scalar": "XY"}, "Position_um": {"array": [x, y]}},
                        ]
                    },
                }
                for x, y, z in ((10.0, 20.0, 3.5), (-1.0, 2.0, 4.0))
            ]
        }
    }
}
POS_1 = {
    "VERSION": 3,
    "POSITIONS": [
        {
            "DEFAULT_Z_STAGE": "Z",
            "DEVICES": [
                {"DEVICE": "XY", "AXES": 2, "X": x, "Y": y, "Z": 0},
                {"DEVICE": "Z", "AXES": 1, "X": z, "Y": 0, "Z": 0},
            ],
        }
        for x, y, z in ((10.0, 20.0, 3.5), (-1.0, 2.0, 4.0))
    ],
}


@pytest.mark.parametrize(
    "text",
    [
        "10,20,3.5\n-1,2,4\n",
        "x_um,y_um,z_um\n10,20,3.5\n-1,2,4\n\n",
        "name;Z;X;Y\nA;3.5;10;20\nB;4;-1;2\n",
        "\ufeff10\t20\t3.5\n-1\t2\t4",
        json.dumps(POS_2),
        json.dumps(POS_1),
    ],
)
def test_positions_of_a_stage_are_read(tmp_path, text):
    file = tmp_path / "focus.csv"
    file.write_text(text, encoding="utf-8")
    assert read_positions(file) == [(10, 20, 3.5), (-1, 2, 4)]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "holds none"),
        ("1,2\n", "got the headings 1, 2; allowed are x, y and z"),
        ("a,b,c\n1,2,3\n", "got the headings a, b, c"),
        ("1,2,3\n1,2,nan\n", "got '1,2,nan' as position 2"),
        ("{}", "no position list of Micro-Manager"),
        ('{"POSITIONS": [{"DEVICES": []}]}', "no position list of Micro-Manager"),
        ("{nonsense", "no position list of Micro-Manager"),
    ],
)
def test_files_that_hold_no_positions_are_refused_in_one_line(tmp_path, text, says):
    file = tmp_path / "focus.csv"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(UserError) as error:
        read_positions(file)
    assert says in str(error.value)
    assert "\n" not in str(error.value)


def test_a_file_that_is_missing_or_no_text(tmp_path):
    with pytest.raises(UserError, match="cannot be read"):
        read_positions(tmp_path / "none.csv")
    (tmp_path / "a.csv").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UserError, match="is no text"):
        read_positions(tmp_path / "a.csv")


def test_stage_positions_as_the_camera_sees_them():
    there = [(110.0, 205.0, 12.0)]
    assert relative(there, (100, 200, 10)) == [(10, 5, 2)]
    assert relative(there, (100, 200, 10), axes="y,-x") == [(5, -10, 2)]
    assert relative(there, (100, 200, 10), axes="-x,y", upwards=True) == [(-10, 5, -2)]
    for axes in ("x", "x,x", "x,-x", "x,z", "x,y,x"):
        with pytest.raises(UserError, match="allowed are those of the stage"):
            relative(there, (0, 0, 0), axes=axes)


@pytest.fixture
def liverestore(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("LIVERESTORE_HOME", str(tmp_path))
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.chdir(tmp_path)

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


def test_a_stack_becomes_a_map(liverestore, tmp_path, stack):
    tifffile.imwrite(
        tmp_path / "stack.tif",
        stack,
        imagej=True,
        resolution=(1 / PIXEL_UM, 1 / PIXEL_UM),
        metadata={"axes": "ZYX", "unit": "um", "spacing": 1.0},
    )
    line = "dpm stack.tif --out surface.tif --tile 48 --fit plane"
    code, out, err = liverestore(*line.split())
    assert (code, err) == (0, "")
    assert "of 20 places in focus" in out
    assert "use it with --dpm surface.tif" in out
    surface = parse_dpm("surface.tif").surface_um(SHAPE)
    y, x = ((np.arange(n) - (n - 1) / 2) * PIXEL_UM for n in SHAPE)
    np.testing.assert_allclose(surface, tilt(x[None], y[:, None]), atol=0.6)
    code, _, err = liverestore(*line.split())
    assert code == 2
    assert "exists already" in err
    code, out, _ = liverestore(*line.split(), "--force", "--focus-plane", "0", "--out", "s.npy")
    assert code == 0
    np.testing.assert_allclose(np.load("s.npy") - surface, 6.0, atol=1e-3)


def test_positions_become_points_or_a_map(liverestore, tmp_path):
    (tmp_path / "focus.csv").write_text("x,y,z\n0,0,10\n100,0,11\n0,100,9\n", encoding="utf-8")
    code, out, err = liverestore("dpm", "focus.csv", "--field", "0,0,10")
    assert (code, err) == (0, "")
    assert "--dpm 'points:0,0,0;100,0,1;0,100,-1'" in out
    line = "dpm focus.csv --field 0,0,10 --out s.tif --frame 60x40 --pixel-size 0.5"
    assert liverestore(*line.split())[0] == 0
    surface = parse_dpm("s.tif").surface_um((40, 60))
    assert surface[0, -1] - surface[0, 0] == pytest.approx(0.01 * 59 * 0.5, abs=1e-4)


REFUSED = {
    "none.tif --out s.tif": "none.tif",
    "focus.csv": "--field: is missing",
    "focus.csv --field 1,2": "--field: got '1,2'; allowed is X,Y,Z in um",
    "focus.csv --field 0,0,0 --out s.tif": "give --frame WIDTHxHEIGHT",
    "focus.csv --field 0,0,0 --out s.tif --frame 3 --pixel-size 1": "--frame: got '3'",
    "focus.csv --field 0,0,0 --z-step 1": "--z-step: is for z-stacks",
    "focus.csv --field 0,0,0 --fit cubic": "--fit: got 'cubic'; allowed are plane",
    "focus.csv --field 0,0,0 --name dish": "name it with --rig",
    "focus.csv --field 0,0,0 --rig demo --name 3": "got the name '3' for a surface",
    "line.csv --field 0,0,0": "on a line",
    "flat.tif --out s.png": "allowed are .tif and .npy",
    "flat.tif --out no/s.tif": "its folder is missing",
    "flat.tif --field 0,0,0": "--field: is for lists of positions",
    "flat.tif": "states no z step",
    "flat.tif --z-step 1": "states no pixel size",
    "flat.tif --z-step 1 --pixel-size 0.3": "0 of 1 tiles in focus",
    "flat.tif --z-step 1 --pixel-size 0.3 --focus-plane 9": "allowed are 0 to 4",
    "movie.tif": "allowed is one z-stack",
}


@pytest.mark.parametrize("line", REFUSED)
def test_what_is_wrong_is_said_in_one_line(liverestore, tmp_path, line):
    (tmp_path / "focus.csv").write_text("0,0,0\n100,0,1\n0,100,-1\n", encoding="utf-8")
    (tmp_path / "line.csv").write_text("0,0,0\n100,0,1\n200,0,-1\n", encoding="utf-8")
    tifffile.imwrite(
        tmp_path / "flat.tif", np.ones((5, 64, 64), np.uint16), imagej=True,
        metadata={"axes": "ZYX"},
    )  # fmt: skip
    tifffile.imwrite(
        tmp_path / "movie.tif", np.ones((5, 64, 64), np.uint16), imagej=True,
        metadata={"axes": "TYX"},
    )  # fmt: skip
    code, _, err = liverestore("dpm", *line.split())
    assert code == 2
    assert REFUSED[line] in err
    assert len(err.strip().splitlines()) == 1
