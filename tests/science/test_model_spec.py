"""Engine packages: found, read, refused."""

import hashlib

import pytest
import yaml

from liverestore.errors import UserError
from liverestore.frame import FrameHeader
from liverestore.model_spec import ModelSpec, engine_problems, find_engine, list_engines


def package(root, name="mine", **changes):
    folder = root / "engines" / name
    folder.mkdir(parents=True)
    weights = b"not really onnx"
    (folder / "weights.onnx").write_bytes(weights)
    rdf = {
        "version": "1.2",
        "description": "d",
        "weights": {
            "onnx": {"source": "weights.onnx", "sha256": hashlib.sha256(weights).hexdigest()}
        },
        "config": {
            "liverestore": {
                "task": "denoise",
                "input": "stabilised",
                "divisor": 8,
                "halo_px": 80,
                "photon_range_e": [3, 1000],
                **changes,
            }
        },
    }
    (folder / "rdf.yaml").write_text(yaml.safe_dump(rdf), encoding="utf-8")
    return folder


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("LIVERESTORE_HOME", str(tmp_path))
    return tmp_path


def test_a_user_engine_is_found_and_read(home):
    package(home)
    spec = find_engine("mine")
    assert (spec.version, spec.task, spec.divisor, spec.halo_px) == ("1.2", "denoise", 8, 80)
    assert spec.photon_range_e == (3, 1000)
    assert spec.padded((9, 16)) == (16, 16)
    assert "mine" in [spec.name for spec in list_engines()]


def test_filters_are_engines_and_the_test_engine_is_not_listed(home):
    names = [spec.name for spec in list_engines()]
    assert {"mean5", "median5"} <= set(names)
    assert "null" not in names
    assert find_engine("null").task == "test"


def test_an_unknown_name_lists_the_known_ones(home):
    package(home)
    with pytest.raises(UserError, match=r"'x' is not inst.*; installed: .*mean5.*median5") as e:
        find_engine("x")
    assert "mine" in str(e.value)
    assert e.value.exit_code == 2


def test_changed_weights_are_refused(home):
    (package(home) / "weights.onnx").write_bytes(b"something else")
    with pytest.raises(UserError, match="sha256"):
        find_engine("mine")
    assert "sha256" in engine_problems()["mine"]


def test_missing_weights_are_refused(home):
    (package(home) / "weights.onnx").unlink()
    with pytest.raises(UserError, match="missing"):
        find_engine("mine")


@pytest.mark.parametrize(
    "text", ["{", "[]", "version: 1", "config: {liverestore: {task: 3}}\nweights: {onnx: {}}"]
)
def test_a_broken_package_does_not_hide_the_others(home, text):
    (package(home) / "rdf.yaml").write_text(text, encoding="utf-8")
    package(home, "good")
    with pytest.raises(UserError, match="mine"):
        find_engine("mine")
    names = [spec.name for spec in list_engines()]
    assert "good" in names
    assert "mine" not in names
    assert "mine" in engine_problems()


def test_a_wrong_field_is_named(home):
    package(home, divisor="eight")
    with pytest.raises(UserError, match="divisor"):
        find_engine("mine")


def test_frames_that_do_not_fit_are_told_why():
    def header(shape, dtype):
        return FrameHeader(
            run_id="r", number=0, shape=shape, dtype=dtype, captured_ns=0, captured_utc="",
            camera="c",
        )  # fmt: skip

    spec = ModelSpec("e", "denoise", "1", "")
    assert spec.mismatch(header((5, 5), "uint16")) is None
    assert "float64" in spec.mismatch(header((5, 5), "float64"))
    assert "empty" in spec.mismatch(header((0, 5), "uint16"))


def test_a_folder_is_an_engine_too(home, tmp_path, monkeypatch):
    folder = package(tmp_path / "elsewhere", "own")
    assert find_engine(str(folder)).name == "own"
    monkeypatch.chdir(folder.parent)
    assert find_engine("own").folder == folder
    assert find_engine("./own").folder == folder
    package(home, "own", divisor=4)
    assert find_engine("own").divisor == 4, "an installed engine comes first"
