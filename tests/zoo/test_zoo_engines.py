"""Models of the zoo, in packages that bioimageio.spec writes: checked, installed, used."""

import shutil
import zipfile

import numpy as np
import pytest
import yaml
from typer.testing import CliRunner

pytest.importorskip("bioimageio.spec", reason="making packages takes the train extra")
pytest.importorskip("onnx")

from bioimageio.spec.model import v0_4, v0_5
from onnxruntime_on_openvino import stand_in
from zoo_packages import mean3, picture, rehash, write_04, write_05

from liverestore.camera_model import CameraModel
from liverestore.cli.commands import app
from liverestore.cli.engine_add import add_engine, remove_engine
from liverestore.errors import UserError
from liverestore.frame import Frame, FrameHeader
from liverestore.model_spec import engine_problems, find_engine, live_engines
from liverestore.movie import open_movie
from liverestore.paths import shipped
from liverestore.restore import restore
from liverestore.runtime.table import choose, open_runtime

# bioimageio.core 0.11 leaves files to be closed by the garbage collector.
pytestmark = [
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]
GIVEN = picture()
RAW = v0_5.TensorId("raw")
NORMAL = v0_5.ZeroMeanUnitVarianceDescr(
    kwargs=v0_5.ZeroMeanUnitVarianceKwargs(axes=[v0_5.AxisId(a) for a in ("channel", "y", "x")])
)
MATCHED = v0_5.ScaleMeanVarianceDescr(kwargs=v0_5.ScaleMeanVarianceKwargs(reference_tensor=RAW))


@pytest.fixture(autouse=True)
def _home(tmp_path, monkeypatch):
    monkeypatch.setenv("LIVERESTORE_HOME", str(tmp_path / "home"))


def normal(image):
    return (image - image.mean()) / (image.std() + 1e-6)


def matched(image, like):
    return normal(image) * (like.std() + 1e-6) + like.mean()


def restored(name, pixels, threads=1):
    spec = find_engine(name)
    header = FrameHeader(
        run_id="r", number=0, shape=pixels.shape, dtype=pixels.dtype.name, captured_ns=0,
        captured_utc="", camera="c",
    )  # fmt: skip
    runtime = open_runtime(spec, threads=threads)
    try:
        runtime.warm_up(pixels.shape)
        frame = Frame(pixels, header)
        return restore(frame, spec, runtime.infer, CameraModel(0.0, 1.0, 0.0, "assumed"))
    finally:
        runtime.close()


def test_a_model_that_keeps_the_scale_gives_counts(tmp_path):
    made = matched(mean3(normal(GIVEN)), GIVEN)
    folder = write_05(tmp_path / "m", GIVEN, made, before=[NORMAL], after=[MATCHED], halo=4)
    added = add_engine(folder)
    assert added.spec.name == "mean-of-nine"
    assert added.outcome.largest < 1e-3
    assert "mean-of-nine" in live_engines()
    assert added.spec.counts_out
    # Another size, which is no multiple of its step, and integers.
    frame = picture((45, 61), seed=3).astype(np.uint16)
    result = restored("mean-of-nine", frame)
    assert result.pixels.dtype == np.uint16
    padded = np.pad(normal(frame.astype(np.float32)), ((0, 3), (0, 3)), mode="reflect")
    wanted = matched(mean3(padded)[:45, :61], frame.astype(np.float32))
    np.testing.assert_allclose(result.pixels, wanted.clip(0), atol=0.51)
    assert result.provenance.warnings == ()
    assert result.provenance.parameters["values"] == "counts"
    assert abs(float(result.pixels.mean()) - frame.mean()) < 0.5


def test_format_0_4_says_that_its_values_are_no_counts(tmp_path):
    steps = [
        v0_4.ZeroMeanUnitVarianceDescr(
            kwargs=v0_4.ZeroMeanUnitVarianceKwargs(mode="per_sample", axes="cyx")
        )
    ]
    folder = write_04(tmp_path / "m", GIVEN, mean3(normal(GIVEN)), before=steps)
    assert add_engine(folder, "old").spec.zoo.values == "scaled back"
    frame = picture((48, 64), seed=4).astype(np.uint16)
    result = restored("old", frame)
    assert "not counts" in result.provenance.warnings[0]
    values = frame.astype(np.float32)
    wanted = mean3(normal(values)) * values.std() + values.mean()
    np.testing.assert_allclose(result.pixels, wanted, atol=0.51)


CASES = {
    "percentiles": (
        [
            v0_5.ScaleRangeDescr(
                kwargs=v0_5.ScaleRangeKwargs(axes=["y", "x"], min_percentile=1, max_percentile=99.8)
            ),
            v0_5.ClipDescr(kwargs=v0_5.ClipKwargs(min=0.0, max=1.0)),
        ],
        [v0_5.SigmoidDescr()],
        "unit",
    ),
    "fixed": (
        [
            v0_5.FixedZeroMeanUnitVarianceDescr(
                kwargs=v0_5.FixedZeroMeanUnitVarianceAlongAxisKwargs(
                    mean=[200.0], std=[50.0], axis="channel"
                )
            )
        ],
        [v0_5.ScaleLinearDescr(kwargs=v0_5.ScaleLinearKwargs(gain=50.0, offset=200.0))],
        "counts",
    ),
    "mask": (
        [v0_5.ScaleLinearDescr(kwargs=v0_5.ScaleLinearKwargs(gain=0.01, offset=-2.0))],
        [v0_5.BinarizeDescr(kwargs=v0_5.BinarizeKwargs(threshold=0.5))],
        "unit",
    ),
    "bounds of the picture": (
        [
            v0_5.ClipDescr(
                kwargs=v0_5.ClipKwargs(
                    min_percentile=5.0, max_percentile=95.0, axes=["channel", "y", "x"]
                )
            ),
            NORMAL,
        ],
        [],
        "scaled back",
    ),
}


def by_core(folder, image):
    """What bioimageio.core makes of `image` (Y, X)."""
    from bioimageio.core import create_prediction_pipeline, load_description
    from bioimageio.core.digest_spec import create_sample_for_model

    model = load_description(folder)
    sample = create_sample_for_model(model, inputs={"raw": image[None, None]})
    with create_prediction_pipeline(model, weight_format="onnx") as pipeline:
        done = pipeline.predict_sample_without_blocking(sample)
    return done.members["restored"].data.to_numpy()[0, 0].astype(np.float32)


@pytest.mark.parametrize("name", CASES)
def test_steps_are_those_of_bioimageio_core(tmp_path, name, monkeypatch):
    stand_in(monkeypatch)
    before, after, values = CASES[name]
    draft = write_05(tmp_path / "draft", GIVEN, GIVEN, before=before, after=after)
    folder = write_05(tmp_path / "m", GIVEN, by_core(draft, GIVEN), before=before, after=after)
    added = add_engine(folder, "m")
    assert added.outcome.off_per_million == 0
    assert added.spec.zoo.values == values
    frame = picture((40, 56), seed=5)
    wanted = by_core(folder, frame)
    runtime = open_runtime(added.spec, threads=1)
    got, back = added.spec.zoo.run(frame, runtime.infer)
    runtime.close()
    np.testing.assert_allclose(got, wanted, rtol=1e-4, atol=1e-4)
    made = restored("m", frame).pixels
    np.testing.assert_array_equal(made, back if values == "scaled back" else got)


def test_a_network_with_other_axes_is_turned(tmp_path):
    folder = write_05(tmp_path / "m", GIVEN, mean3(GIVEN), axes="bxyc")
    added = add_engine(folder, "turned")
    assert added.outcome.largest < 1e-3
    np.testing.assert_allclose(restored("turned", GIVEN).pixels, mean3(GIVEN), rtol=1e-5)
    assert "axes bxyc" in added.spec.zoo.cpu_only
    assert find_engine("turned").zoo == added.spec.zoo
    assert choose(added.spec).backend.name == "openvino"


def test_a_network_of_one_size_gets_tiles(tmp_path):
    """Overlapping by its border, so that no seam is left; only the rim is that of the picture."""
    given = picture((48, 48))
    folder = write_05(tmp_path / "m", given, mean3(given), fixed=True)
    added = add_engine(folder, "tiles")
    assert any("48x48" in note for note in added.notes)
    frame = picture((101, 70), seed=6)
    made = restored("tiles", frame).pixels
    np.testing.assert_allclose(made[1:-1, 1:-1], mean3(frame)[1:-1, 1:-1], rtol=1e-5)
    small = picture((20, 30), seed=7)
    assert restored("tiles", small).pixels.shape == (20, 30)


def test_it_is_refused_with_the_figures_when_it_gives_something_else(tmp_path):
    folder = write_05(tmp_path / "m", GIVEN, mean3(GIVEN) + 5)
    with pytest.raises(UserError, match=r"largest difference 5.*1000000 of a million.*allowed 100"):
        add_engine(folder)
    assert not list((tmp_path / "home" / "engines").iterdir())
    # As far as its own card tolerates it, and no farther than the picture is still the same.
    off = write_05(tmp_path / "n", GIVEN, mean3(GIVEN) + 0.9)
    change(off, lambda card: tolerant(card, absolute_tolerance=2.0))
    assert add_engine(off, "n").outcome.tolerance.absolute == 2
    change(off, lambda card: tolerant(card, absolute_tolerance=1e6))
    np.save(off / "out.npy", (mean3(GIVEN) + 99)[None, None].astype(np.float32))
    change(off, lambda card: rehash(card, off))
    with pytest.raises(UserError, match="of its spread"):
        add_engine(off, "o")


def change(folder, edit):
    card = yaml.safe_load((folder / "rdf.yaml").read_text(encoding="utf-8"))
    edit(card)
    (folder / "rdf.yaml").write_text(yaml.safe_dump(card), encoding="utf-8")


def channels(card):
    card["inputs"][0]["axes"][1]["channel_names"] = ["a", "b", "c"]


def planes(card):
    card["inputs"][0]["axes"].insert(2, {"type": "space", "id": "z", "size": 16})


def larger(card):
    card["outputs"][0]["axes"][2]["size"]["offset"] = 8


def only_torch(card):
    card["weights"] = {"torchscript": card["weights"]["onnx"]}


def tolerant(card, **stated):
    card["config"] = {"bioimageio": {"reproducibility_tolerance": [stated]}}


ALIEN = {
    "two inputs": (lambda card: card["inputs"].append(card["inputs"][0]), "2 inputs and 1 out"),
    "three channels": (channels, "3 channels"),
    "a volume": (planes, "16 planes of z"),
    "another size": (larger, "another size"),
    "no ONNX": (only_torch, "torchscript; allowed is onnx"),
    "an old format": (lambda card: card.update(format_version="0.3.2"), "0.4 and 0.5"),
    "no model": (lambda card: card.update(type="dataset"), "'dataset'"),
    "far files": (
        lambda card: card["weights"]["onnx"].update(source="https://x.org/w.onnx"),
        "download the whole package",
    ),
    "another file": (lambda card: card["weights"]["onnx"].update(sha256="0" * 64), "sha256"),
    "a tolerance for anything": (
        lambda card: tolerant(card, mismatched_elements_per_million=10**6),
        "mismatched_elements",
    ),
}


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    """A package that is right."""
    return write_05(tmp_path_factory.mktemp("plain") / "m", GIVEN, mean3(GIVEN))


@pytest.mark.parametrize("name", ALIEN)
def test_other_models_are_refused_in_one_line(plain, tmp_path, name):
    folder = tmp_path / "m"
    shutil.copytree(plain, folder)
    edit, word = ALIEN[name]
    change(folder, edit)
    with pytest.raises(UserError, match=word) as caught:
        add_engine(folder)
    assert "\n" not in str(caught.value)
    assert not list((tmp_path / "home" / "engines").iterdir())


def test_nothing_is_offered_that_was_not_checked(plain, tmp_path):
    """Nor what was changed since."""
    by_hand = tmp_path / "home" / "engines" / "by-hand"
    shutil.copytree(plain, by_hand)
    assert "by-hand" not in live_engines()
    with pytest.raises(UserError, match="engines add"):
        find_engine("by-hand")
    folder = add_engine(plain, "good").spec.folder
    change(folder, lambda card: card["inputs"][0].update(preprocessing=[{"id": "sigmoid"}]))
    assert "changed after" in engine_problems()["good"]
    (folder / "checked.json").write_text("{}")
    with pytest.raises(UserError, match="damaged"):
        find_engine("good")


def zipped(folder, path, top=""):
    with zipfile.ZipFile(path, "w") as archive:
        for file in folder.iterdir():
            archive.write(file, f"{top}{file.name}")
    return path


@pytest.mark.parametrize("top", ["", "model-1.0/"])
def test_a_zip_is_taken_too(plain, tmp_path, top):
    added = add_engine(zipped(plain, tmp_path / "m.zip", top), "zipped")
    assert added.spec.folder == tmp_path / "home" / "engines" / "zipped"
    with pytest.raises(UserError, match="is installed already"):
        add_engine(plain, "zipped")
    add_engine(plain, "zipped", replace=True)
    assert remove_engine("zipped").name == "zipped"
    assert not list((tmp_path / "home" / "engines").iterdir())
    for name in ("zipped", "../engines", "denoise-live", "mean5"):
        with pytest.raises(UserError, match="among your own"):
            remove_engine(name)


def test_commands(plain, tmp_path):
    def run(*words):
        return CliRunner().invoke(app, list(map(str, words)), catch_exceptions=False)

    said = run("engines", "add", plain, "--name", "mine")
    assert said.exit_code == 0
    assert "'mine' is installed" in said.stdout
    assert "largest difference" in said.stdout
    import tifffile

    frames = picture((2, 40, 48), seed=8).astype(np.uint16)
    tifffile.imwrite(tmp_path / "raw.tif", frames)
    out = tmp_path / "out.ome.zarr"
    assert run("restore", tmp_path / "raw.tif", out, "--engine", "mine").exit_code == 0
    with open_movie(out) as movie:
        np.testing.assert_allclose(movie[1], mean3(frames[1]), atol=0.51)
        assert movie.record(1).provenance.parameters["values"] == "counts"
    assert "removed" in run("engines", "remove", "mine").stdout
    assert run("engines", "list", "--help").exit_code == 0


def test_engines_of_our_own_are_added_and_tested(tmp_path):
    package = zipped(shipped("engines") / "denoise-live", tmp_path / "theirs.zip")
    assert add_engine(package, "theirs").outcome.passed
    assert find_engine("theirs").domain == "stabilised"
    broken = tmp_path / "broken"
    shutil.copytree(shipped("engines") / "denoise-live", broken)
    output = np.load(broken / "test_output.npy")
    np.save(broken / "test_output.npy", output + 0.5)
    change(broken, lambda card: rehash(card, broken))
    with pytest.raises(UserError, match="not installed"):
        add_engine(broken, "broken")


@pytest.mark.parametrize("name", ["denoise-live", "refocus-deepz", "confocal", "sted"])
def test_ours_run_in_bioimageio_core(name, monkeypatch):
    stand_in(monkeypatch)
    from bioimageio.core import create_prediction_pipeline, load_description
    from bioimageio.core.digest_spec import get_test_input_sample

    folder = shipped("engines") / name
    model = load_description(folder)
    with create_prediction_pipeline(model, weight_format="onnx") as pipeline:
        done = pipeline.predict_sample_without_blocking(get_test_input_sample(model))
    got = done.members["restored"].data.to_numpy()
    np.testing.assert_allclose(got, np.load(folder / "test_output.npy"), atol=1e-2)


def test_the_graph_for_gpus_gives_the_same(tmp_path):
    """On the processor here; the values that enter and leave are those of the card's steps."""
    pytest.importorskip("torch")
    from liverestore.runtime.torch_cuda import TorchRuntime

    made = matched(mean3(normal(GIVEN)), GIVEN)
    folder = write_05(tmp_path / "m", GIVEN, made, before=[NORMAL], after=[MATCHED])
    spec = add_engine(folder, "m").spec
    assert spec.zoo.cpu_only is None
    runtime = TorchRuntime(spec, threads=1, device="cpu")
    frame = picture((32, 40), seed=9)
    got, _ = spec.zoo.run(frame, runtime.infer)
    runtime.close()
    np.testing.assert_allclose(got, matched(mean3(normal(frame)), frame), rtol=1e-4)
