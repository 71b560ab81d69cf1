"""Each trainer for some iterations: the loss goes down, the package comes out, it resumes."""

import dataclasses

import numpy as np
import pytest
import tifffile
import torch
import typer
from typer.testing import CliRunner

from liverestore.cli.train_cross_modality import cross_modality
from liverestore.cli.train_deepz import deepz, deepz_plus
from liverestore.errors import UserError
from liverestore.model_spec import ModelSpec
from liverestore.optics import Optics
from liverestore.runtime.openvino import OpenVinoRuntime
from liverestore.training.adversarial import AdversarialSettings, sharpen
from liverestore.training.cross_modality_job import (
    HALO_PX as CROSS_HALO_PX,
)
from liverestore.training.cross_modality_job import (
    CrossModalityJob,
    train_cross_modality,
)
from liverestore.training.cross_modality_networks import (
    CrossModalityDiscriminator,
    CrossModalityGenerator,
)
from liverestore.training.cross_modality_pairs import SimulatedModalities
from liverestore.training.deepz_networks import DeepZDiscriminator, DeepZGenerator
from liverestore.training.deepz_pairs import SimulatedRefocusing
from liverestore.training.fit import FitSettings
from liverestore.training.live_refocus_unet import LiveRefocusUNet
from liverestore.training.recorded_volumes import level_and_scale
from liverestore.training.refocus_job import HALO_PX, RefocusJob, around, train_refocusing
from liverestore.training.refocus_score import refocus_scores


@pytest.fixture(autouse=True)
def _one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


class Repeated:
    """The first pairs of a source, over and over: what is learned shows within seconds."""

    def __init__(self, source, count=2):
        self._pairs = [source.pair(i) for i in range(count)]

    def pair(self, iteration):
        return self._pairs[iteration % len(self._pairs)]


def refocusing():
    return Repeated(SimulatedRefocusing(7, batch=2, crop_px=48, pool_size=2, planes=9, margin_px=0))


def settings(iterations, **changes):
    return FitSettings(
        iterations=iterations, learning_rate=1e-3, warm_up_iterations=2, ema_decay=0.8, **changes
    )


def players(recipe):
    """Pairs, generator and discriminator."""
    torch.manual_seed(2)
    if recipe == "deepz":
        return refocusing(), DeepZGenerator(0.125), DeepZDiscriminator(0.125)
    source = Repeated(
        SimulatedModalities(3, "confocal", batch=2, crop_px=48, pool_size=2, planes=5, margin_px=0)
    )
    return source, CrossModalityGenerator(0.125), CrossModalityDiscriminator(0.125)


@pytest.mark.parametrize("recipe", ["deepz", "cross-modality"])
def test_a_discriminator_learns_to_tell_a_generator_that_stands_still(recipe, tmp_path):
    source, make, tell = players(recipe)
    report = sharpen(
        make,
        tell,
        source,
        AdversarialSettings(
            recipe, iterations=100, generator_rate=1e-9, discriminator_rate=1e-3, ema_decay=0.8
        ),
        tmp_path / "adversarial.pt",
    )
    losses = np.convolve(report.discriminator, np.full(4, 0.25), "valid")
    assert losses.min() < 0.8 * losses[0]


@pytest.mark.parametrize("recipe", ["deepz", "cross-modality"])
def test_discriminator_is_trained_and_the_pixels_still_improve(recipe, tmp_path):
    source, make, tell = players(recipe)
    before = [p.detach().clone() for p in tell.parameters()]
    report = sharpen(
        make,
        tell,
        source,
        AdversarialSettings(
            recipe, iterations=30, generator_rate=1e-3, discriminator_rate=1e-3, ema_decay=0.8
        ),
        tmp_path / "adversarial.pt",
    )
    assert report.iterations == len(report.pixel) == 30
    assert any(not torch.equal(a, b) for a, b in zip(before, tell.parameters(), strict=True))
    assert np.mean(report.pixel[-4:]) < np.mean(report.pixel[:4])
    assert all(p.requires_grad for p in tell.parameters())


def test_adversarial_job_resumed_is_the_one_never_stopped(tmp_path):
    def run(steps, path, resume=False):
        torch.manual_seed(5)
        make, tell = DeepZGenerator(0.0625), DeepZDiscriminator(0.0625)
        for part in steps:
            report = sharpen(
                make,
                tell,
                source,
                AdversarialSettings("deepz", iterations=part, share=0.05),
                path,
                resume=resume,
            )
            resume = True
        return report, make

    source = refocusing()
    whole, a = run([6], tmp_path / "a.pt")
    parts, b = run([3, 6], tmp_path / "b.pt")
    assert whole.iterations == parts.iterations == 6
    assert whole.pixel[3:] == pytest.approx(parts.pixel, rel=1e-5)
    for p, q in zip(a.parameters(), b.parameters(), strict=True):
        torch.testing.assert_close(p, q)


@pytest.mark.parametrize(
    ("network", "channels", "halo"),
    [
        (DeepZGenerator(0.0625), 2, HALO_PX["deepz"]),
        (LiveRefocusUNet((8, 8, 8, 8)), 2, HALO_PX["live"]),
        (CrossModalityGenerator(0.0625), 1, CROSS_HALO_PX),
    ],
)
def test_halo_holds_the_receptive_field(network, channels, halo):
    side = 2 * halo + 2 * network.divisor
    side += -side % network.divisor
    torch.manual_seed(0)
    x = (torch.rand(1, channels, side, side) * 20).requires_grad_()
    middle = side // 2
    network(x)[0, 0, middle, middle].backward()
    rows = torch.nonzero(x.grad.abs().amax(dim=(0, 1, 3))).flatten()
    assert middle - int(rows.min()) <= halo
    assert int(rows.max()) - middle <= halo


def test_refocus_package_gives_what_torch_gave(tmp_path, monkeypatch):
    out = tmp_path / "refocus"
    job = RefocusJob(
        out=out,
        settings=settings(2, loss="l1"),
        width=0.0625,
        batch=1,
        crop_px=64,
        pool_size=1,
        score_stacks=0,
    )
    report = train_refocusing(job)
    assert report.iterations == 2
    golden = np.load(out / "test_input.npy")
    assert golden.shape == (1, 2, 128, 128)
    spec = ModelSpec("refocus", "refocus", "0", "", weights=out / "weights.onnx")
    runtime = OpenVinoRuntime(spec)
    try:
        np.testing.assert_allclose(
            runtime.infer(golden), np.load(out / "test_output.npy"), atol=1e-3
        )
        scores = refocus_scores(runtime.infer, stacks=1, distances_um=(2.0,), crop_px=64)
    finally:
        runtime.close()
    assert scores[0].pairs == 2
    assert scores[0].noise_free > scores[0].raw
    card = (out / "README.md").read_text(encoding="utf-8")
    assert "US 11,946,854" in card
    # The second job starts where the first ended.
    second = dataclasses.replace(job, adversarial=True, replace=True)
    assert train_refocusing(second).iterations == 2
    assert job.adversarial_checkpoint.is_file()
    with pytest.raises(UserError, match="exists already"):
        train_refocusing(job)


def command(function, *arguments):
    app = typer.Typer()
    app.command()(function)
    return CliRunner().invoke(app, [str(a) for a in arguments])


def test_cross_modality_command_trains_on_pairs_of_files(tmp_path):
    rng = np.random.default_rng(1)
    from liverestore.training.specimens import scene

    for folder in ("seen", "wanted"):
        (tmp_path / folder).mkdir()
    for number in range(2):
        image = scene((9, number), (96, 96))
        tifffile.imwrite(
            tmp_path / "seen" / f"{number}.tif",
            rng.poisson(100 + 200 * image).astype(np.uint16),
        )
        tifffile.imwrite(
            tmp_path / "wanted" / f"{number}.tif",
            rng.poisson(20 + 900 * np.roll(image, (2, -3), (0, 1))).astype(np.uint16),
        )
    out = tmp_path / "engine"
    result = command(
        cross_modality, "--inputs", tmp_path / "seen", "--targets", tmp_path / "wanted",
        "--out", out, "--iterations", 2, "--batch", 1, "--width", 0.125,
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    assert "trained for 2 iterations" in result.output
    assert (out / "rdf.yaml").is_file()
    assert "recorded pairs" in (out / "README.md").read_text(encoding="utf-8")


def test_deepz_command_trains_on_a_stack_file(tmp_path):
    stack = np.random.default_rng(2).poisson(50, (6, 128, 128)).astype(np.uint16)
    tifffile.imwrite(tmp_path / "stack.tif", stack, metadata={"axes": "ZYX"})
    rig = tmp_path / "rig.toml"
    rig.write_text(
        'name = "rig"\n[source]\nkind = "replay"\npath = "stack.tif"\n[optics]\n'
        "pixel_size_um = 0.325\nnumerical_aperture = 0.75\nwavelength_nm = 520.0\n"
        "immersion_index = 1.0\nsample_index = 1.37\ndepth_um = 20.0\n"
    )
    arguments = (tmp_path / "stack.tif", "--out", tmp_path / "engine", "--rig", rig,
                 "--iterations", 1, "--batch", 1, "--width", 0.0625)  # fmt: skip
    result = command(deepz, *arguments)
    assert isinstance(result.exception, UserError)
    assert "--z-step" in str(result.exception)
    result = command(deepz, *arguments, "--z-step", 0.5)
    assert result.exit_code == 0, result.output
    assert (tmp_path / "engine" / "weights.onnx").is_file()


def test_deepz_plus_wants_a_confocal_stack_for_each(tmp_path):
    result = command(deepz_plus, tmp_path / "a.tif", "--out", tmp_path / "e", "--iterations", 1)
    assert isinstance(result.exception, UserError)
    assert "--rig" in str(result.exception)


def test_networks_start_in_the_range_of_bright_recordings():
    bright = [np.random.default_rng(1).normal(300, 60, (64, 64)).astype(np.float32)]
    level, scale = level_and_scale(bright)
    assert (level, scale) == pytest.approx((300, 60), rel=0.05)
    network = CrossModalityGenerator(0.125, level=level, scale=scale)
    with torch.no_grad():
        made = network(torch.from_numpy(bright[0])[None, None])
    assert float(made.mean()) == pytest.approx(300, abs=60)
    assert level_and_scale([np.full((8, 8), 5, np.float32)]) == (5.0, 1.0)


def test_optics_without_a_sign_of_z_are_refused():
    with pytest.raises(UserError, match="sign of z"):
        around(Optics(1.2, 520.0, 1.33, 1.33, 0.1, depth_um=20.0))
    ranges = around(Optics(0.75, 520.0, 1.0, 1.37, 0.325, depth_um=20.0))
    assert ranges.depth_um == pytest.approx((14.0, 26.0))


def test_sharpening_needs_a_first_training(tmp_path):
    job = CrossModalityJob(
        out=tmp_path / "e", settings=settings(1), adversarial=True, width=0.125, pool_size=1
    )
    with pytest.raises(UserError, match="no checkpoint"):
        train_cross_modality(job)


@pytest.mark.parametrize(
    "changes",
    [{"iterations": None}, {"recipe": "gan"}, {"share": 2.0}, {"discriminator_every": 0}],
)
def test_impossible_adversarial_settings_are_refused(changes):
    with pytest.raises(UserError):
        AdversarialSettings(**{"recipe": "deepz", "iterations": 5, **changes})
