"""Noise2Void: the noise is looked at, the right remedy chosen, the package works."""

import numpy as np
import pytest
import tifffile
from scipy import ndimage
from typer.testing import CliRunner

torch = pytest.importorskip("torch", reason="training takes the train extra")

from liverestore.training.blind_spots import BlindSpotPairs  # noqa: E402
from liverestore.training.losses import l2_known  # noqa: E402
from liverestore.training.n2v import HALO_PX, N2vJob, train_n2v  # noqa: E402
from liverestore.training.n2v2_unet import N2V2UNet  # noqa: E402
from liverestore.training.noise_diagnosis import diagnose  # noqa: E402
from liverestore.training.specimens import scene  # noqa: E402


def movie(kind, frames=8, size=96, seed=0):
    """Stabilised frames of a moving scene with unit noise of a kind."""
    rng = np.random.default_rng(seed)
    still = 10 + 6 * scene((5, 5), (size, size))
    noise = rng.standard_normal((frames, size, size))
    if kind == "along_x":
        noise = ndimage.uniform_filter1d(noise, 3, axis=2) * np.sqrt(3)
    if kind == "along_y":
        noise = ndimage.uniform_filter1d(noise, 3, axis=1) * np.sqrt(3)
    if kind == "rows":
        noise = noise + 0.4 * rng.standard_normal((frames, size, 1))
    if kind == "columns":
        noise = noise + 0.4 * rng.standard_normal((frames, 1, size))
    return (still + noise).astype(np.float32)


@pytest.mark.parametrize("kind", ["white", "along_x", "along_y", "rows", "columns"])
def test_each_kind_of_noise_is_recognised(kind):
    found = diagnose(movie(kind))
    assert found.kind == kind
    assert found.words
    if kind.startswith("along"):
        assert found.reach_px == 2


def test_a_scene_that_moves_is_not_taken_for_correlated_noise():
    still = movie("white", frames=10, size=128)
    light = ndimage.gaussian_filter(np.random.default_rng(1).random((128, 148)) > 0.996, 1.5) * 60
    for t, frame in enumerate(still):
        frame += light[:, t : t + 128]
    assert diagnose(still).kind in ("white", "along_x", "along_y")
    assert diagnose(movie("white", frames=1)).kind == "unknown"


def test_the_network_is_asked_only_where_it_cannot_see():
    pairs = BlindSpotPairs([movie("white")], 1, batch=3, crop_px=48)
    noisy, target = pairs.pair(0)
    asked = target.isfinite()
    assert 0.01 < float(asked.float().mean()) < 0.03
    known = torch.where(asked, target, noisy)
    changed = known != noisy
    # Replaced by a median, a value of its own is next to impossible.
    assert float((changed == asked).float().mean()) > 0.999
    again = BlindSpotPairs([movie("white")], 1, batch=3, crop_px=48).pair(0)
    assert torch.equal(noisy, again[0])


@pytest.mark.parametrize("direction", ["x", "y"])
def test_long_spots_hide_their_line(direction):
    pairs = BlindSpotPairs(
        [movie("white")], 1, batch=1, crop_px=64, direction=direction, reach_px=3, block_px=9
    )
    seen = np.array([pairs.pair(i)[1][0, 0].isfinite().sum() for i in range(3)])
    assert (seen > 40).all()
    noisy, target = pairs.pair(0)
    y, x = (int(v[0]) for v in torch.nonzero(target[0, 0].isfinite(), as_tuple=True))
    original = target[0, 0, y, x]
    assert noisy[0, 0, y, x] != original


def test_the_loss_of_blind_spots_counts_them_alone():
    target = torch.tensor([[float("nan"), 2.0], [float("nan"), 4.0]])
    output = torch.tensor([[100.0, 3.0], [-7.0, 4.0]], requires_grad=True)
    loss = l2_known(output, target)
    loss.backward()
    assert float(loss.detach()) == pytest.approx(0.5)
    assert output.grad[0, 0] == 0
    assert output.grad[0, 1] != 0


def test_the_halo_holds_the_reach_of_the_network():
    torch.manual_seed(0)
    network = N2V2UNet(8).eval()
    with torch.no_grad():
        plain = network(torch.zeros(1, 1, 160, 160))
        for y, x in ((80, 80), (81, 83)):
            touched = torch.zeros(1, 1, 160, 160)
            touched[0, 0, y, x] = 50.0
            rows, columns = torch.nonzero((network(touched) - plain)[0, 0].abs() > 0).T
            reach = max(int(abs(rows - y).max()), int(abs(columns - x).max()))
            assert 8 < reach <= HALO_PX


@pytest.mark.parametrize("kind", ["white", "along_x", "rows"])
def test_it_trains_on_any_noise_and_the_engine_works(kind, tmp_path, monkeypatch):
    pytest.importorskip("bioimageio.spec")
    from liverestore.model_spec import find_engine
    from liverestore.runtime.table import open_runtime

    monkeypatch.setenv("LIVERESTORE_HOME", str(tmp_path))
    counts = np.rint(100 + (movie(kind) ** 2 / 4) * 2).clip(0).astype(np.uint16)
    tifffile.imwrite(tmp_path / "m.tif", counts, photometric="minisblack", metadata={"axes": "TYX"})
    said = []
    job = N2vJob(tmp_path / "m.tif", tmp_path / "engines" / "mine", iterations=4, channels=8)
    report = train_n2v(job, on_diagnosis=said.append)
    assert report.iterations == 4
    assert [diagnosis.kind for diagnosis in said] == [kind]
    spec = find_engine("mine")
    method = spec.details["training"]["method"]
    assert {"white": "N2V2", "along_x": "structN2V", "rows": "Noise2Noise"}[kind] in method
    runtime = open_runtime(spec, threads=1)
    expected = np.load(spec.folder / "test_output.npy")
    given = np.load(spec.folder / "test_input.npy")
    np.testing.assert_allclose(runtime.infer(given), expected, atol=1e-3)


def test_the_command_takes_one_image(tmp_path):
    pytest.importorskip("bioimageio.spec")
    from liverestore.cli.train import train_app

    counts = np.rint(100 + movie("white", frames=1)[0] ** 2 / 2).clip(0).astype(np.uint16)
    tifffile.imwrite(tmp_path / "one.tif", counts)
    arguments = ["n2v", str(tmp_path / "one.tif"), "--out", str(tmp_path / "engine-one")]
    result = CliRunner().invoke(train_app, [*arguments, "--iterations", "2"])
    assert result.exit_code == 0, result.output
    assert "taken for independent" in result.output
    assert (tmp_path / "engine-one" / "rdf.yaml").is_file()
