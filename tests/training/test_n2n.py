"""Training: pairs, the loop, resuming, and the package that comes out."""

import numpy as np
import pytest
import tifffile
from typer.testing import CliRunner

from liverestore.errors import Failure, UserError

torch = pytest.importorskip("torch", reason="training takes the train extra")

from liverestore.training.fit import FitSettings, fit  # noqa: E402
from liverestore.training.losses import LOSSES, l0_exponent  # noqa: E402
from liverestore.training.n2n import N2nJob, golden_input, train_n2n  # noqa: E402
from liverestore.training.networks import LiveUNet  # noqa: E402
from liverestore.training.recordings import RecordedPairs, read_recordings  # noqa: E402
from liverestore.training.score import affine_psnr, simulated_scores  # noqa: E402
from liverestore.training.simulate import Ahead, SimulatedPairs, noisy_realisations  # noqa: E402
from liverestore.training.specimens import FAMILIES, scene  # noqa: E402


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def small_network(seed=0):
    torch.manual_seed(seed)
    return LiveUNet((8, 16), (1, 1), (1,))


def small_pairs(seed=3):
    return SimulatedPairs(seed, batch=4, crop_px=32, pool_size=6, scene_px=64)


@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_draws_pictures(family):
    draw, share = FAMILIES[family]
    for seed in range(3):
        image = draw(np.random.default_rng(seed), (96, 64))
        assert image.shape == (96, 64)
        assert np.isfinite(image).all()
    assert share > 0


def test_scenes_follow_their_seed_and_differ():
    np.testing.assert_array_equal(scene((1, 2), (64, 64)), scene((1, 2), (64, 64)))
    assert not np.array_equal(scene((1, 2), (64, 64)), scene((1, 3), (64, 64)))
    many = np.stack([scene((4, number), (64, 64)) for number in range(20)])
    assert np.isfinite(many).all()
    assert many.min() >= 0
    assert many.max() <= 4.001


def test_realisations_share_their_mean_and_not_their_noise():
    generator = torch.Generator().manual_seed(0)
    clean = torch.full((6, 1, 96, 96), 0.7)
    a, b = noisy_realisations(clean, 2, generator)
    inner = (..., slice(4, -4), slice(4, -4))
    for x, y in zip(a[inner], b[inner], strict=True):
        assert float(x.mean() - y.mean()) == pytest.approx(0, abs=0.12)
        # Row noise is drawn anew too; all that is left in common is the scene, which is flat.
        correlation = float(((x - x.mean()) * (y - y.mean())).mean() / (x.std() * y.std()))
        assert abs(correlation) < 0.06


def test_pairs_are_a_function_of_seed_and_iteration():
    one, two = small_pairs(), small_pairs()
    one.pair(0)
    for left, right in zip(one.pair(60), two.pair(60), strict=True):
        assert torch.equal(left, right)
    assert not torch.equal(one.pair(60)[0], one.pair(61)[0])
    with Ahead(small_pairs()) as ahead:
        for iteration in (58, 59, 60):
            made = ahead.pair(iteration)
        assert torch.equal(made[0], one.pair(60)[0])


def test_twenty_iterations_lower_the_loss(tmp_path):
    source = small_pairs()

    class Same:
        def pair(self, iteration):
            return source.pair(0)

    settings = FitSettings(iterations=20, learning_rate=5e-3, warm_up_iterations=1)
    losses = fit(small_network(), Same(), settings, tmp_path / "c.pt").losses
    assert len(losses) == 20
    assert np.mean(losses[-3:]) < 0.9 * np.mean(losses[:3])


def test_a_resumed_training_gives_the_same_weights(tmp_path):
    settings = FitSettings(iterations=8)
    whole = small_network()
    fit(whole, small_pairs(), settings, tmp_path / "whole.pt")

    def stop(iteration, loss, progress):
        if iteration == 5:
            raise KeyboardInterrupt

    part = small_network()
    report = fit(part, small_pairs(), settings, tmp_path / "part.pt", on_iteration=stop)
    assert report.interrupted
    assert report.iterations == 5
    other = small_network(seed=99)
    done = fit(other, small_pairs(), settings, tmp_path / "part.pt", resume=True)
    assert done.iterations == 8
    assert len(done.losses) == 3
    for name, value in whole.state_dict().items():
        assert torch.equal(value, other.state_dict()[name]), name


def test_no_checkpoint_and_a_damaged_one(tmp_path):
    settings = FitSettings(iterations=1)
    with pytest.raises(UserError, match="no checkpoint"):
        fit(small_network(), small_pairs(), settings, tmp_path / "none.pt", resume=True)
    (tmp_path / "bad.pt").write_bytes(b"PK\x03\x04 torn")
    with pytest.raises(Failure, match="cannot be read"):
        fit(small_network(), small_pairs(), settings, tmp_path / "bad.pt", resume=True)


def test_a_training_that_diverges_fails_loudly(tmp_path):
    class Poison:
        def pair(self, iteration):
            bad = torch.full((1, 1, 8, 8), float("nan"))
            return bad, bad

    with pytest.raises(Failure, match="diverged"):
        fit(small_network(), Poison(), FitSettings(iterations=3), tmp_path / "c.pt")


def test_lengths_and_losses_are_checked():
    with pytest.raises(UserError, match="iterations or seconds"):
        FitSettings()
    with pytest.raises(UserError, match="known: l2, l1, l0, l2_known"):
        FitSettings(iterations=1, loss="l3")


@pytest.mark.parametrize(("name", "best"), [("l2", 2.0), ("l1", 1.0), ("l0", 0.0)])
def test_the_optimum_of_each_loss_is_mean_median_and_mode(name, best):
    """Targets: three zeros, one 1, one ... so that mean, median and mode differ."""
    targets = torch.tensor([0.0, 0.0, 0.0, 1.0, 2.0, 4.0, 7.0])
    if name == "l1":
        targets = torch.tensor([0.0, 0.5, 1.0, 3.0, 9.0])
    progress = 0.97 if name == "l0" else 0.0
    grid = torch.linspace(-1, 8, 181)
    values = [float(LOSSES[name](x.expand_as(targets), targets, progress)) for x in grid]
    assert float(grid[int(np.argmin(values))]) == pytest.approx(best, abs=0.03)


def test_the_exponent_of_l0_falls_from_two_to_zero():
    assert [l0_exponent(p) for p in (0.0, 0.5, 1.0, 2.0)] == [2.0, 1.0, 0.0, 0.0]


def test_the_live_network_has_its_size_and_keeps_shapes():
    network = LiveUNet()
    assert sum(p.numel() for p in network.parameters()) == 468_964
    assert network.divisor == 8
    assert network(torch.zeros(2, 1, 24, 40)).shape == (2, 1, 24, 40)
    with pytest.raises(ValueError, match="one width"):
        LiveUNet((8, 16), (1,), (1,))


def test_affine_psnr_forgives_gain_and_offset_only():
    reference = np.random.default_rng(0).random((32, 32))
    assert affine_psnr(3 * reference + 7, reference) > 200
    noisy = reference + 0.1 * np.random.default_rng(1).standard_normal((32, 32))
    assert affine_psnr(noisy, reference) == pytest.approx(20, abs=1)


def test_the_simulated_test_set_tells_good_from_bad():
    scores = simulated_scores(lambda batch: batch, scenes=2)
    assert scores["gaussian"] > scores["mean5"] > scores["raw"]
    assert scores["network"] == pytest.approx(scores["raw"], abs=1.5)


def movie_file(path, frames=4, size=48):
    rng = np.random.default_rng(0)
    light = 5 + 40 * scene((8, 8), (size, size))
    movie = np.rint(rng.poisson(light, (frames, size, size)) * 2.0 + 100).astype(np.uint16)
    tifffile.imwrite(path, movie, photometric="minisblack", metadata={"axes": "TYX"})
    return movie


def test_pairs_of_a_recorded_movie_are_neighbours(tmp_path):
    movie = movie_file(tmp_path / "m.tif")
    (read,) = read_recordings(tmp_path / "m.tif")
    np.testing.assert_array_equal(read, movie)
    noisy, target = RecordedPairs([read], 5, batch=3, crop_px=32).pair(0)
    assert noisy.shape == target.shape == (3, 1, 32, 32)
    difference = (noisy - target).std() / np.sqrt(2)
    assert float(difference) == pytest.approx(1, abs=0.2)


def test_single_images_of_a_folder_make_a_movie(tmp_path):
    movie = movie_file(tmp_path / "m.tif")
    folder = tmp_path / "frames"
    folder.mkdir()
    for number, pixels in enumerate(movie):
        tifffile.imwrite(folder / f"f{number}.tif", pixels)
    (read,) = read_recordings(folder)
    np.testing.assert_array_equal(read, movie)


def test_one_frame_is_not_enough(tmp_path):
    tifffile.imwrite(tmp_path / "one.tif", np.zeros((32, 32), np.uint16))
    with pytest.raises(UserError, match="two or more"):
        read_recordings(tmp_path / "one.tif")
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="no images"):
        read_recordings(tmp_path / "empty")


def test_the_golden_input_never_changes():
    picture = golden_input()
    assert picture.shape == (1, 1, 128, 128)
    assert picture.dtype == np.float32
    np.testing.assert_array_equal(picture, golden_input())


def test_the_command_trains_on_a_movie_and_the_engine_works(tmp_path, monkeypatch):
    pytest.importorskip("bioimageio.spec")
    from liverestore.cli.train import train_app
    from liverestore.model_spec import find_engine
    from liverestore.runtime.table import open_runtime

    monkeypatch.setenv("LIVERESTORE_HOME", str(tmp_path))
    movie_file(tmp_path / "m.tif")
    out = tmp_path / "engines" / "tiny"
    arguments = ["n2n", str(tmp_path / "m.tif"), "--out", str(out), "--iterations", "3"]
    result = CliRunner().invoke(train_app, arguments)
    assert result.exit_code == 0, result.output
    assert "3 iterations" in result.output
    spec = find_engine("tiny")
    assert spec.details["training"]["iterations"] == 3
    assert spec.halo_px >= 64
    runtime = open_runtime(spec, threads=1)
    expected = np.load(out / "test_output.npy")
    np.testing.assert_allclose(runtime.infer(golden_input()), expected, atol=1e-3)
    with pytest.raises(UserError, match="exists already"):
        train_n2n(N2nJob(out, FitSettings(iterations=1)))
