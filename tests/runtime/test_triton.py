"""Engines on a Triton server: what is exported, and what a real server answers."""

import dataclasses
import os
import subprocess
import sys
import threading

import numpy as np
import pytest
import triton_server
from typer.testing import CliRunner

from liverestore.cli.commands import app
from liverestore.errors import Failure, UserError
from liverestore.model_spec import BUILT_IN, find_engine
from liverestore.movie import open_movie
from liverestore.paths import rig_folders
from liverestore.runtime import triton
from liverestore.runtime.base import RuntimeChanged
from liverestore.runtime.openvino import OpenVinoRuntime
from liverestore.runtime.table import choose, open_runtime
from liverestore.runtime.triton_repository import MOST_BATCH, model_config, write_repository

ENGINES = ("denoise-live", "refocus-deepz")


def batch(spec, count=1, seed=0):
    shape = (count, spec.channels, 64, 64)
    return np.random.default_rng(seed).normal(5, 2, shape).astype(np.float32)


def test_a_model_of_the_repository_names_its_tensors_and_weights(tmp_path):
    spec = find_engine("refocus-deepz")
    (model,) = write_repository([spec], tmp_path / "models")
    assert model == tmp_path / "models" / "refocus-deepz"
    assert (model / "1" / "model.onnx").read_bytes() == spec.weights.read_bytes()
    config = (model / "config.pbtxt").read_text(encoding="utf-8")
    assert 'input [\n  { name: "stabilised", data_type: TYPE_FP32, dims: [ 2, -1, -1 ] }' in config
    assert f'string_value: "{spec.sha256}"' in config


def test_nothing_is_overwritten_and_nothing_half_written(tmp_path):
    spec, other = find_engine("denoise-live"), find_engine("sted")
    write_repository([spec], tmp_path)
    with pytest.raises(UserError, match="is there already and is not overwritten"):
        write_repository([other, spec], tmp_path)
    assert not (tmp_path / "sted").exists()


def test_a_filter_is_not_exported():
    with pytest.raises(UserError, match="'median5': is a filter without weights"):
        model_config(BUILT_IN["median5"])


def test_the_command_writes_all_engines_with_weights(tmp_path):
    done = CliRunner().invoke(app, ["engine", "triton", str(tmp_path / "m")])
    assert done.exit_code == 0, done.output
    written = {path.name for path in (tmp_path / "m").iterdir()}
    assert {"denoise-live", "confocal", "sted", "refocus-deepz"} <= written
    assert "median5" not in written
    assert "--model-repository=" in done.output


@pytest.mark.parametrize("text", ["gpu", "gpu:", "gpu:99999", "http://gpu:8001", "a b:1", ":8001"])
def test_an_address_that_is_none_is_refused(text, monkeypatch):
    monkeypatch.setenv(triton.SERVER, text)
    with pytest.raises(UserError, match="give HOST:PORT of its gRPC service"):
        triton.server()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("gpu.lab:8001", ("gpu.lab:8001", False)),
        ("grpcs://gpu:8001", ("gpu:8001", True)),
        ("[::1]:8001", ("[::1]:8001", False)),
        ("", None),
    ],
)
def test_addresses(text, expected, monkeypatch):
    monkeypatch.setenv(triton.SERVER, text)
    assert triton.server() == expected


def test_without_a_server_named_it_is_not_spoken_of(monkeypatch):
    monkeypatch.delenv(triton.SERVER, raising=False)
    assert "triton" not in choose(find_engine("denoise-live")).words
    assert triton.about_server() is None


def test_a_server_that_is_not_there_is_told_in_one_line(monkeypatch):
    monkeypatch.setenv(triton.SERVER, f"127.0.0.1:{triton_server.free_port()}")
    with pytest.raises(Failure, match=r"the Triton server at 127\.0\.0\.1") as told:
        open_runtime(find_engine("denoise-live"))
    assert "\n" not in str(told.value)
    assert triton.about_server().remedy.startswith("start the server")


def test_live_goes_on_without_the_server(monkeypatch):
    """The processor restores, and a line says why."""
    monkeypatch.setenv(triton.SERVER, f"127.0.0.1:{triton_server.free_port()}")
    told, spec = [], find_engine("denoise-live")
    runtime = open_runtime(spec, threads=1, ready=False, tell=told.append)
    try:
        runtime.warm_up((64, 64))
        runtime._thread.join(60)
        runtime.infer(batch(spec))
        assert runtime.description.startswith("openvino")
        assert "the Triton server at 127.0.0.1" in told[0]
    finally:
        runtime.close()


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    reason = triton_server.why_not()
    if reason:
        if os.environ.get("LIVERESTORE_REQUIRE_TRITON"):
            pytest.fail(reason)
        pytest.skip(reason)
    folder = tmp_path_factory.mktemp("triton")
    write_repository([find_engine(name) for name in ENGINES], folder / "models")
    with triton_server.serving(folder / "models", folder) as (_, address):
        yield address


@pytest.fixture
def named(server, monkeypatch):
    monkeypatch.setenv(triton.SERVER, server)
    return server


@pytest.mark.parametrize("name", ENGINES)
@pytest.mark.parametrize("count", [1, 3, MOST_BATCH + 3])
def test_it_computes_what_this_machine_does(name, count, named):
    spec = find_engine(name)
    there, here = open_runtime(spec), OpenVinoRuntime(spec)
    try:
        there.warm_up((64, 64))
        planes = batch(spec, count)
        np.testing.assert_allclose(there.infer(planes), here.infer(planes), atol=2e-3)
        assert there.description == f"triton {there.description.split()[1]} at {named}"
        with pytest.raises(Failure, match="multiples of"):
            there.infer(batch(spec)[:, :, :63])
    finally:
        there.close()
        there.close()
        here.close()
    with pytest.raises(Failure, match="closed"):
        there.infer(batch(spec))


def test_other_weights_are_refused(named, monkeypatch):
    spec = dataclasses.replace(find_engine("denoise-live"), sha256="0" * 64)
    with pytest.raises(Failure, match=r"tells weights .*, here they are 000000000000"):
        open_runtime(spec)


def test_a_model_that_is_not_served_is_told(named):
    with pytest.raises(Failure, match=r"engine 'sted'|'sted'"):
        open_runtime(find_engine("sted"))


def test_several_clients_at_once(named):
    """Frames of two sizes from four clients: each gets its own answer."""
    spec = find_engine("denoise-live")
    wrong = []

    def client(seed):
        there = open_runtime(spec)
        planes = batch(spec, seed=seed)[:, :, : 64 if seed % 2 else 48]
        first = there.infer(planes)
        wrong.extend(k for k in range(10) if not np.array_equal(there.infer(planes), first))
        wrong.extend([] if first.shape == planes.shape else [seed])
        there.close()

    clients = [threading.Thread(target=client, args=(seed,)) for seed in range(4)]
    for one in clients:
        one.start()
    for one in clients:
        one.join(60)
    assert not wrong


def test_the_command_restores_there_and_the_file_says_so(named, tmp_path):
    movie = rig_folders()[-1] / "replay_example.ome.tif"
    run = [sys.executable, "-c", "from liverestore.cli.main import run; run()", "restore"]
    outs = [tmp_path / "there.ome.tif", tmp_path / "here.ome.tif"]
    for out, server in zip(outs, (named, ""), strict=True):
        command = [*run, str(movie), str(out), "--engine", "denoise-live", "--rig", "replay"]
        done = subprocess.run(
            command, env=os.environ | {triton.SERVER: server}, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
    there, here = (open_movie(path) for path in outs)
    with there, here:
        assert len(there) == len(here)
        difference = [np.abs(there[k].astype(int) - here[k]).max() for k in range(0, len(here), 7)]
        assert max(difference) <= 1
    assert b"triton 2" in outs[0].read_bytes()
    assert b"triton 2" not in outs[1].read_bytes()


def test_the_doctor_names_its_models(named):
    report = triton.about_server()
    assert report.remedy is None
    assert report.words.endswith("denoise-live, refocus-deepz")


def test_a_server_that_dies_in_mid_run_is_replaced_by_the_processor(tmp_path, monkeypatch, named):
    del named  # the shared server only says that one can run here
    spec, told = find_engine("denoise-live"), []
    write_repository([spec], tmp_path / "models")
    with triton_server.serving(tmp_path / "models", tmp_path) as (process, address):
        monkeypatch.setenv(triton.SERVER, address)
        runtime = open_runtime(spec, threads=1, ready=False, tell=told.append)
        try:
            runtime.warm_up((64, 64))
            runtime._thread.join(60)
            before = np.array(runtime.infer(batch(spec)))
            assert runtime.description.startswith("triton")
            process.kill()
            process.wait()
            with pytest.raises(RuntimeChanged):
                runtime.infer(batch(spec))
            np.testing.assert_allclose(runtime.infer(batch(spec)), before, atol=0.5)
            assert runtime.description.startswith("openvino")
        finally:
            runtime.close()
    assert "goes on with openvino" in told[-1]
