"""A network to its package and back; float16 weights; the command in the card trains it again."""

import dataclasses
import shlex

import numpy as np
import onnx
import pytest
import typer
import yaml
from typer.testing import CliRunner

torch = pytest.importorskip("torch", reason="training takes the train extra")
pytest.importorskip("bioimageio.spec", reason="training takes the train extra")

from liverestore.cli.train import train_app  # noqa: E402
from liverestore.errors import UserError  # noqa: E402
from liverestore.model_spec import ModelSpec, find_engine  # noqa: E402
from liverestore.runtime.openvino import OpenVinoRuntime  # noqa: E402
from liverestore.training import cross_modality_job, n2n, refocus_job  # noqa: E402
from liverestore.training.cross_modality_job import CrossModalityJob  # noqa: E402
from liverestore.training.cross_modality_networks import CrossModalityGenerator  # noqa: E402
from liverestore.training.deepz_networks import DeepZGenerator  # noqa: E402
from liverestore.training.export import Card, export_engine  # noqa: E402
from liverestore.training.fit import FitReport, FitSettings  # noqa: E402
from liverestore.training.job import Course, TrainingOptions  # noqa: E402
from liverestore.training.live_refocus_unet import LiveRefocusUNet  # noqa: E402
from liverestore.training.n2n import NETWORKS, N2nJob, train_n2n  # noqa: E402
from liverestore.training.n2v import N2vJob  # noqa: E402
from liverestore.training.n2v2_unet import N2V2UNet  # noqa: E402
from liverestore.training.networks import LiveUNet  # noqa: E402
from liverestore.training.noise2noise_unet import Noise2NoiseUNet  # noqa: E402
from liverestore.training.onnx_file import read_parameters  # noqa: E402
from liverestore.training.refocus_job import RefocusJob  # noqa: E402
from liverestore.training.warm_start import take_weights  # noqa: E402


@pytest.fixture(autouse=True)
def _one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def seeded(make, *arguments, **keywords):
    """A network none of whose constants are equal, as after a training."""
    torch.manual_seed(4)
    network = make(*arguments, **keywords).eval()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.003 * torch.randn_like(parameter))
    return network


def card(channels=1, **training):
    refocus = {"dpm": "waves of defocus at the rim of the pupil", "reach_um": 10.0}
    return Card(
        name="engine",
        version="0.3.0",
        description="One of a test.",
        task="refocus" if channels == 2 else "denoise",
        photon_range_e=(3.0, 100.0),
        pixel_size_range_um=None,
        halo_px=16,
        training={"iterations": 30, "seconds": 7, **training},
        channels=("intensity", "defocus")[:channels],
        live=refocus if channels == 2 else {},
    )


def picture(channels=1):
    rng = np.random.default_rng(1)
    return rng.normal(9, 2, (1, channels, 128, 128)).astype(np.float32)


def exported(network, folder, channels=1, **options):
    given = picture(channels)
    export_engine(network, folder, card(channels), given, divisor=network.divisor, **options)
    return torch.from_numpy(given)


MAKERS = {
    "live": (lambda: LiveUNet((8, 16), (1, 1), (1,)), {}),
    "noise2noise": (Noise2NoiseUNet, {}),
    "n2v": (lambda **span: N2V2UNet(8, **span), {"level": 31.0, "scale": 5.5}),
    "deepz": (lambda **span: DeepZGenerator(0.125, **span), {}),
    "live-refocus": (lambda **span: LiveRefocusUNet((8, 8, 16), **span), {"level": 12.0}),
    "cross": (lambda **span: CrossModalityGenerator(0.125, **span), {"level": 20.0, "scale": 6.0}),
}


@pytest.mark.parametrize("name", MAKERS)
def test_a_network_comes_back_from_its_package_as_it_was(name, tmp_path):
    make, span = MAKERS[name]
    network = seeded(make, **span)
    given = exported(
        network, tmp_path / "engine", channels=2 if name in ("deepz", "live-refocus") else 1
    )
    torch.manual_seed(99)
    other = make()
    origin = take_weights(other, str(tmp_path / "engine"))
    for key, value in network.state_dict().items():
        assert torch.equal(value, other.state_dict()[key]), key
    with torch.no_grad():
        assert torch.equal(network(given), other(given))
    assert (origin.name, origin.version, origin.iterations, origin.seconds) == (
        "engine", "0.3.0", 30, 7,
    )  # fmt: skip
    weights = tmp_path / "engine" / "weights.onnx"
    assert origin.sha256 == yaml.safe_load((tmp_path / "engine" / "rdf.yaml").read_text())[
        "weights"]["onnx"]["sha256"]  # fmt: skip
    assert weights.stat().st_size > 0


def test_equal_constants_come_back_each(tmp_path):
    """The exporter keeps one of several equal ones: an untrained network has zero biases."""
    torch.manual_seed(4)
    network = LiveUNet((8, 16), (1, 1), (1,)).eval()
    given = exported(network, tmp_path / "engine")
    other = LiveUNet((8, 16), (1, 1), (1,))
    take_weights(other, str(tmp_path / "engine"))
    with torch.no_grad():
        assert torch.equal(network(given), other(given))


def test_the_shipped_live_engine_can_be_trained_further():
    network = LiveUNet()
    origin = take_weights(network, "denoise-live")
    spec = find_engine("denoise-live")
    assert origin.sha256 == spec.sha256
    assert origin.iterations >= 30_000
    given = np.load(spec.folder / "test_input.npy")
    with torch.no_grad():
        made = network(torch.from_numpy(given)).numpy()
    np.testing.assert_allclose(made, np.load(spec.folder / "test_output.npy"), atol=1e-3)


def test_other_networks_and_damaged_packages_are_refused(tmp_path):
    folder = tmp_path / "engine"
    exported(seeded(DeepZGenerator, 0.125), folder, channels=2)
    for network in (DeepZGenerator(0.25), CrossModalityGenerator(0.125), LiveUNet()):
        with pytest.raises(UserError, match="same network and width"):
            take_weights(network, str(folder))
    with pytest.raises(UserError, match="is not installed"):
        take_weights(LiveUNet(), "nothing-of-this-name")
    with pytest.raises(UserError, match="a filter has no weights"):
        take_weights(LiveUNet(), "mean5")
    rdf = folder / "rdf.yaml"
    text = rdf.read_text()
    # The golden output of another range of values.
    rdf.write_text(text.replace("level: 8.0", "level: 9.0"))
    with pytest.raises(UserError, match="golden output"):
        take_weights(DeepZGenerator(0.125), str(folder))
    rdf.write_text(text.replace("config:", "configuration:"))
    with pytest.raises(UserError, match="no complete engine package"):
        take_weights(DeepZGenerator(0.125), str(folder))
    rdf.write_text(text)
    with (folder / "weights.onnx").open("ab") as file:
        file.write(b"\0")
    with pytest.raises(UserError, match="sha256"):
        take_weights(DeepZGenerator(0.125), str(folder))


def test_half_weights_are_stored_small_and_computed_in_float32(tmp_path):
    network = seeded(DeepZGenerator, 0.125)
    given = exported(network, tmp_path / "whole", channels=2)
    exported(network, tmp_path / "half", channels=2, half_weights=True)
    sizes = [(tmp_path / kind / "weights.onnx").stat().st_size for kind in ("whole", "half")]
    assert sizes[1] < 0.6 * sizes[0]
    model = onnx.load(tmp_path / "half" / "weights.onnx")
    onnx.checker.check_model(model)
    stored = {item.data_type for item in model.graph.initializer if np.prod(item.dims) > 64}
    assert stored == {onnx.TensorProto.FLOAT16}
    # What comes back are the rounded weights, and the golden output is theirs, to float32.
    other = DeepZGenerator(0.125)
    take_weights(other, str(tmp_path / "half"))
    for key, value in network.state_dict().items():
        kept = value if value.numel() <= 64 else value.half().float()
        assert torch.equal(other.state_dict()[key], kept)
    golden = np.load(tmp_path / "half" / "test_output.npy")
    with torch.no_grad():
        np.testing.assert_allclose(other(given).numpy(), golden, atol=1e-5)
        moved = np.abs(network(given).numpy() - golden).max()
    assert 1e-5 < moved < 0.05
    spec = ModelSpec("half", "refocus", "0", "", weights=tmp_path / "half" / "weights.onnx")
    runtime = OpenVinoRuntime(spec, threads=1)
    try:
        np.testing.assert_allclose(runtime.infer(given.numpy()), golden, atol=5e-4)
    finally:
        runtime.close()
    live = yaml.safe_load((tmp_path / "half" / "rdf.yaml").read_text())["config"]["liverestore"]
    assert "float16" in live["network"]["weights"]


def test_a_machine_without_openvino_checks_with_the_reference(tmp_path, monkeypatch):
    from importlib import util

    find = util.find_spec
    monkeypatch.setattr(util, "find_spec", lambda name: None if name == "openvino" else find(name))
    network = seeded(LiveUNet, (8, 16), (1, 1), (1,))
    exported(network, tmp_path / "engine", half_weights=True)
    live = yaml.safe_load((tmp_path / "engine" / "rdf.yaml").read_text())["config"]["liverestore"]
    assert "reference of onnx" in live["network"]["checked_with"]


def test_onnx_that_differs_from_torch_is_not_written(tmp_path, monkeypatch):
    from liverestore.errors import Failure
    from liverestore.training import export

    network = seeded(LiveUNet, (8, 16), (1, 1), (1,))
    right = export._onnx_output
    for error in (3e-3, np.nan):
        monkeypatch.setattr(
            export, "_onnx_output", lambda w, x, e=error: (right(w, x)[0] + e, "a test")
        )
        with pytest.raises(Failure, match="torch and ONNX differ"):
            exported(network, tmp_path / "engine")
    assert not (tmp_path / "engine").exists()


def test_the_widest_refocusing_network_stays_below_40_mb():
    from liverestore.training.onnx_file import is_large

    with torch.device("meta"):
        sizes = {width: DeepZGenerator(width) for width in (1.0, 0.5)}
        cross = CrossModalityGenerator()
    assert [is_large(sizes[width]) for width in (1.0, 0.5)] == [True, False]
    assert is_large(cross)
    for network in (*sizes.values(), cross):
        bytes_each = 2 if is_large(network) else 4
        assert bytes_each * sum(p.numel() for p in network.parameters()) < 36e6


def test_weights_beyond_float16_are_refused(tmp_path):
    from liverestore.errors import Failure

    network = seeded(LiveUNet, (8, 16), (1, 1), (1,))
    with torch.no_grad():
        network.bottom[0].first.weight[0, 0, 0, 0] = 1e5
    with pytest.raises(Failure, match="too large for float16"):
        exported(network, tmp_path / "engine", half_weights=True)
    assert not (tmp_path / "engine").exists()


def test_the_tabulated_network_trains_and_says_what_it_is(tmp_path, monkeypatch):
    monkeypatch.setattr(n2n, "simulated_scores", lambda infer: {"network": 1.0})
    job = N2nJob(
        tmp_path / "engine", FitSettings(iterations=2), network="noise2noise", batch=1,
        crop_px=64, pool_size=1,
    )  # fmt: skip
    train_n2n(job)
    rdf = yaml.safe_load((tmp_path / "engine" / "rdf.yaml").read_text())
    live = rdf["config"]["liverestore"]
    assert live["divisor"] == 32
    assert live["halo_px"] == 160
    assert "Noise2Noise (Lehtinen et al. 2018)" in live["training"]["network"]
    assert "988609 parameters" in live["training"]["network"]
    assert "Noise2Noise paper" in rdf["description"]
    assert "half resolution" not in rdf["description"]
    # And further: the record sums up.
    more = dataclasses.replace(job, out=tmp_path / "more", start=str(tmp_path / "engine"))
    train_n2n(more)
    record = yaml.safe_load((tmp_path / "more" / "rdf.yaml").read_text())["config"]["liverestore"][
        "training"
    ]
    assert record["iterations"] == 2
    assert record["total_iterations"] == 4
    assert record["total_seconds"] >= record["seconds"]
    assert record["continued_from"]["name"] == "engine"
    assert record["continued_from"]["sha256"] == rdf["weights"]["onnx"]["sha256"]
    # Taken up again without --from, it still knows.
    again = dataclasses.replace(
        more, start=None, resume=True, replace=True, settings=FitSettings(iterations=3)
    )
    train_n2n(again)
    record = yaml.safe_load((tmp_path / "more" / "rdf.yaml").read_text())["config"]["liverestore"][
        "training"
    ]
    assert record["total_iterations"] == 5
    assert "--from engine --seed" in record["command"]
    # And one that begins anew does not.
    train_n2n(dataclasses.replace(again, resume=False, settings=FitSettings(iterations=1)))
    assert "continued_from" not in (tmp_path / "more" / "rdf.yaml").read_text()
    with pytest.raises(UserError, match="multiples of 32"):
        train_n2n(dataclasses.replace(job, out=tmp_path / "third", crop_px=72))


@pytest.mark.parametrize("name", NETWORKS)
def test_the_halo_of_each_denoiser_holds_its_reach(name):
    choice = NETWORKS[name]
    torch.manual_seed(0)
    network = choice.make().eval()
    side = 2 * choice.halo_px + 2 * network.divisor
    x = (torch.rand(1, 1, side, side) * 20).requires_grad_()
    reach = 0
    # The reach depends on where in its blocks a pixel lies.
    for middle in (side // 2, side // 2 + 1, side // 2 + network.divisor - 1):
        (gradient,) = torch.autograd.grad(network(x)[0, 0, middle, middle], x)
        rows = torch.nonzero(gradient.abs().amax(dim=(0, 1, 3))).flatten()
        reach = max(reach, middle - int(rows.min()), int(rows.max()) - middle)
    assert reach <= choice.halo_px
    assert reach > choice.halo_px - 24


def report(iterations=7):
    return FitReport(iterations, 3.0, (1.0,), interrupted=False)


JOBS = {
    "n2n": N2nJob("engines/a b", FitSettings(iterations=7), network="noise2noise", batch=3,
                  crop_px=64, start="denoise-live", seed=4),
    "n2v": N2vJob("movie.tif", "engines/a", iterations=7, learning_rate=2e-3),
    "deepz": RefocusJob("engines/a", FitSettings(iterations=7, loss="l1", learning_rate=5e-4),
                        width=0.5, reach_um=6.0, half_weights=True),
    "deepz-plus": RefocusJob("engines/a", FitSettings(iterations=7, loss="l1", bf16=True),
                             confocal=True, width=0.125),
    "live-refocus": RefocusJob("engines/a", FitSettings(iterations=7, loss="l1"), network="live"),
    "cross": CrossModalityJob("engines/a", FitSettings(iterations=7), modality="sted", width=0.5),
}  # fmt: skip


def with_paths(job):
    from pathlib import Path

    changes = {"out": Path(job.out)}
    if isinstance(job, N2vJob):
        changes["frames"] = Path(job.frames)
    return dataclasses.replace(job, **changes)


def test_averaged_weights_lie_half_way(tmp_path, monkeypatch):
    monkeypatch.setattr(n2n, "simulated_scores", lambda infer: {"network": 1.0})
    job = N2nJob(
        tmp_path / "begun", FitSettings(iterations=2), batch=1, crop_px=64, pool_size=1
    )  # fmt: skip
    train_n2n(job)
    more = dataclasses.replace(job, start=str(job.out), seed=2)
    for name, averaged in (("reached", False), ("mean", True)):
        train_n2n(dataclasses.replace(more, out=tmp_path / name, averaged=averaged))
    begun, reached, mean = (
        read_parameters(tmp_path / name / "weights.onnx") for name in ("begun", "reached", "mean")
    )
    assert any(not np.array_equal(begun[key], reached[key]) for key in begun)
    for key, value in mean.items():
        np.testing.assert_allclose(value, (begun[key] + reached[key]) / 2, atol=1e-7)
    card = yaml.safe_load((tmp_path / "mean" / "rdf.yaml").read_text())
    training = card["config"]["liverestore"]["training"]
    assert "--averaged" in training["command"]
    assert "mean of the weights" in training["averaged"]
    with pytest.raises(UserError, match="name an engine with --from"):
        train_n2n(dataclasses.replace(job, out=tmp_path / "none", averaged=True))
    # In the place of the engine itself it is the mean with that one, and going on from there would
    # take the mean for it.
    mine = dataclasses.replace(more, out=job.out, averaged=True, replace=True)
    train_n2n(mine)
    again = read_parameters(tmp_path / "begun" / "weights.onnx")
    assert all(np.array_equal(again[key], mean[key]) for key in mean)
    with pytest.raises(UserError, match="no longer the engine"):
        train_n2n(dataclasses.replace(mine, start=None, resume=True))


@pytest.mark.parametrize("name", JOBS)
def test_the_command_of_the_card_makes_the_same_job(name, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    job = with_paths(JOBS[name])
    if name == "n2v":
        words, settings = ["n2v", str(job.frames)], FitSettings(
            iterations=7, learning_rate=2e-3, loss="l2_known"
        )  # fmt: skip
    else:
        settings = job.settings
        words = ["n2n", "--network", job.network] if name == "n2n" else job.words
    record = Course(job.out, job).record(
        words, settings, report(), LiveUNet((8, 16), (1, 1), (1,)), "a network", method="m"
    )
    program, group, *arguments = shlex.split(record["command"])
    assert (program, group) == ("liverestore", "train")
    asked = []

    def remember(made, *rest):
        asked.append(made)
        return report()

    monkeypatch.setattr(n2n, "train_n2n", remember)
    monkeypatch.setattr("liverestore.training.n2v.train_n2v", remember)
    monkeypatch.setattr(refocus_job, "train_refocusing", remember)
    monkeypatch.setattr(cross_modality_job, "train_cross_modality", remember)
    result = CliRunner().invoke(train_app, arguments)
    assert result.exit_code == 0, result.output
    assert asked == [job]
    assert "training on: " in result.output


def test_user_paths_in_a_card_say_no_more_than_their_names(tmp_path):
    from liverestore.training.job import shown

    assert shown(tmp_path / "secret" / "movie.tif") == "movie.tif"
    with pytest.raises(UserError, match="exists already"):
        Course(tmp_path, TrainingOptions())


def test_trainers_refuse_a_gpu_that_is_not_there(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    result = CliRunner().invoke(train_app, ["n2n", "--device", "cuda", "--iterations", "1"])
    assert isinstance(result.exception, UserError)
    assert "sees no NVIDIA GPU" in str(result.exception)
    assert isinstance(train_app, typer.Typer)
