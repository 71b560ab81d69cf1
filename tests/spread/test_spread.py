"""`restore --workers` and `--dask`: the same file as one process writes, whatever happens."""

import contextlib
import os
import signal

import numpy as np
import pytest
import tifffile
from typer.testing import CliRunner

pytest.importorskip("distributed", reason="several workers take the dask extra")

from liverestore.camera_model import CameraModel
from liverestore.cli import restore_spread as command
from liverestore.cli import spread_cluster
from liverestore.cli.commands import app
from liverestore.cli.refocus_options import Refocusing
from liverestore.cli.spread_job import Spread, job_name
from liverestore.cli.spread_worker import SpreadJob, SpreadWorker
from liverestore.errors import UserError
from liverestore.frame_record import RECORDS_NAME
from liverestore.model_spec import find_engine
from liverestore.movie import open_movie
from liverestore.optics import Optics
from liverestore.restore import restore_planes
from liverestore.runtime.table import open_runtime
from liverestore.zstack import ZStack

FRAMES = 24
CAMERA = CameraModel(100.0, 0.5, 1.5)


@pytest.fixture(scope="module")
def cluster():
    """A client of two real processes."""
    with spread_cluster.open_cluster(2, None) as client:
        client.wait_for_workers(2, timeout=90)
        yield client


@pytest.fixture
def address(cluster):
    """Of the same processes for `--dask`, whose keys stand in dask's configuration."""
    import dask

    keys = cluster.security
    named = {"ca-file": keys.tls_ca_file}
    named |= {"client.cert": keys.tls_client_cert, "client.key": keys.tls_client_key}
    with dask.config.set({f"distributed.comm.tls.{name}": key for name, key in named.items()}):
        yield cluster.scheduler.address


@pytest.fixture
def at(cluster, monkeypatch):
    """`--workers` takes the processes that are there already."""
    monkeypatch.setattr(
        command, "open_cluster", lambda _workers, _address: contextlib.nullcontext(cluster)
    )
    return cluster


@pytest.fixture(scope="module")
def movie(tmp_path_factory):
    path = tmp_path_factory.mktemp("movie") / "in.tif"
    rng = np.random.default_rng(0)
    frames = rng.poisson(rng.uniform(20, 200, (FRAMES, 40, 56))) + 100
    tifffile.imwrite(path, frames.astype(np.uint16))
    return path


def test_who_has_no_keys_of_this_job_gets_nothing(cluster):
    """Other users of the computer reach 127.0.0.1, and dask runs whatever it is handed."""
    from distributed import Client, Security

    address = cluster.scheduler.address
    assert address.startswith("tls://127.0.0.1:")
    for to, keys in (
        (address.replace("tls:", "tcp:"), None),
        (address, None),
        (address, Security.temporary()),
    ):
        with pytest.raises((OSError, TimeoutError, ValueError, TypeError)):
            Client(to, timeout="3s", security=keys)
    assert cluster.submit(sum, (1, 2)).result(timeout=60) == 3
    with (
        pytest.raises(UserError, match=r"wants keys.*distributed\.comm\.tls"),
        spread_cluster.open_cluster(None, address),
    ):
        pass


def run(*words):
    return CliRunner().invoke(app, ["restore", *map(str, words)])


@pytest.fixture(scope="module")
def alone(movie, tmp_path_factory):
    """What one process makes of it."""
    out = tmp_path_factory.mktemp("alone") / "out.ome.zarr"
    assert run(movie, out, "--engine", "denoise-live").exit_code == 0
    return out


def chunks(path):
    """Every file of pixels, and the description of the array."""
    files = [path / "0" / "zarr.json", *sorted((path / "0" / "c").rglob("*"))]
    return {str(f.relative_to(path)): f.read_bytes() for f in files if f.is_file()}


def same(path, other):
    """Pixels bytewise, and everything that is said of them but the times of restoring."""
    assert chunks(path) == chunks(other)
    with open_movie(path) as ours, open_movie(other) as theirs:
        assert len(ours) == len(theirs)
        for index in range(len(ours)):
            a, b = ours.record(index), theirs.record(index)
            assert (a.index, a.crc32, a.header) == (b.index, b.crc32, b.header)
            assert a.provenance.parameters == b.provenance.parameters
    return True


def test_the_file_is_that_of_one_process(at, movie, alone, tmp_path):
    out = tmp_path / "out.ome.zarr"
    done = run(movie, out, "--engine", "denoise-live", "--workers", 2)
    assert done.exit_code == 0, done.output
    assert "2 workers" in done.stdout
    assert f"{FRAMES} frames restored by denoise-live" in done.stdout
    assert same(out, alone)
    assert (out / "zarr.json").read_bytes() == (alone / "zarr.json").read_bytes()
    # Nothing is replaced unasked, and the old one stays until the new one is whole.
    again = run(movie, out, "--engine", "mean5", "--workers", 2)
    assert "exists already" in str(again.exception)
    assert run(movie, out, "--engine", "mean5", "--workers", 2, "--force").exit_code == 0
    with open_movie(out) as there:
        assert there.record(0).provenance.engine == "mean5"
    assert [path.name for path in tmp_path.iterdir()] == ["out.ome.zarr"]


class Job:
    """One job of the cluster, ended where it is asked for."""

    def __init__(self, client, movie, out, engine="denoise-live"):
        self.client, self.out = client, out
        self.movie = open_movie(movie)
        self.sink, self.order = command.open_output(self.movie, out, force=False)
        self.job = SpreadJob(
            name=job_name(), source=movie, out=out, layout=self.sink.layout,
            spec=find_engine(engine), camera=self.camera(movie), refocusing=None,
            dtype="uint16", threads=1,
        )  # fmt: skip

    @staticmethod
    def camera(movie):
        from liverestore.cli.camera_choice import choose_camera

        with open_movie(movie) as opened:
            return choose_camera(opened, None, find_engine("denoise-live"))[0]

    def run(self, on_frame):
        spread = Spread(self.client, self.job, self.sink, on_frame=on_frame)
        with self.movie:
            return spread.run(list(self.order), 1)[0]


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="has no kill -9")
def test_a_worker_that_is_killed_costs_nothing(cluster, movie, alone, tmp_path):
    killed = []

    def kill(done):
        if done == 4:
            killed.append(min(cluster.run(os.getpid).values()))
            os.kill(killed[0], signal.SIGKILL)
        return False

    out = tmp_path / "out.ome.zarr"
    report = Job(cluster, movie, out).run(kill)
    assert killed
    assert report.frames == FRAMES
    assert not report.interrupted
    assert same(out, alone)
    # Another process takes its place, and no half chunk is left behind.
    cluster.wait_for_workers(2, timeout=90)
    assert killed[0] not in cluster.run(os.getpid).values()
    assert not list(out.rglob(".0-*"))


def test_what_was_ended_is_gone_on_with(at, movie, alone, tmp_path):
    out = tmp_path / "out.ome.zarr"
    report = Job(at, movie, out).run(lambda done: done == 7)
    assert report.interrupted
    assert report.frames == 7
    with open_movie(out) as there:
        assert len(there) == 7
    # A frame that is there is torn, a line is half written as by a killed process.
    (out / "0" / "c" / "3" / "0" / "0").write_bytes(b"torn")
    with (out / "0" / RECORDS_NAME).open("ab") as file:
        file.write(b'{"version": 1, "ind')
    assert "made with denoise-live" in str(
        run(movie, out, "--resume", "--workers", 2, "--engine", "mean5").exception
    )
    done = run(movie, out, "--resume", "--workers", 2)
    assert done.exit_code == 0, done.output
    assert f"{FRAMES - 7} frames restored by denoise-live" in done.stdout
    assert "1 frame was damaged" in done.stdout
    assert same(out, alone)
    assert "nothing to do" in run(movie, out, "--resume", "--workers", 2).stdout
    # Nor does one process see a difference.
    assert "nothing to do" in run(movie, out, "--resume").stdout


def test_another_movie_is_not_mixed_in(at, movie, tmp_path):
    out = tmp_path / "out.ome.zarr"
    Job(at, movie, out).run(lambda done: done == 2)
    other = tmp_path / "other.tif"
    tifffile.imwrite(other, tifffile.imread(movie))
    before = chunks(out)
    assert "give the movie" in str(run(other, out, "--resume", "--workers", 2).exception)
    assert chunks(out) == before


def test_a_cluster_that_is_there_is_used_and_left(cluster, address, movie, tmp_path):
    out = tmp_path / "out.ome.zarr"
    done = run(movie, out, "--engine", "mean5", "--dask", address)
    assert done.exit_code == 0, done.output
    assert len(cluster.nthreads()) == 2
    # The engine is closed there: nothing of the job stays on the workers.
    plugins = cluster.run(lambda dask_worker: list(dask_worker.plugins))
    assert not [name for names in plugins.values() for name in names if "liverestore" in name]


def test_virtual_stacks(at, tmp_path):
    """Several pictures of each frame, in the order of the axes T, Z."""
    spec = find_engine("refocus-deepz")
    stack = ZStack(-1.0, 1.0, 3)
    optics = Optics(0.8, 550.0, 1.0, 1.33, 0.325)
    source = tmp_path / "in.tif"
    frames = np.random.default_rng(1).poisson(60, (3, 48, 64)).astype(np.uint16) + 100
    tifffile.imwrite(source, frames, photometric="minisblack")
    out = tmp_path / "out.ome.zarr"
    how = command.How(spec, CAMERA, Refocusing(None, stack, optics), "uint16")
    from rich.console import Console

    with open_movie(source) as opened:
        command.restore_spread(opened, out, how, command.Where(2, None), Console(quiet=True))
    with open_movie(out) as there:
        assert there.axes == "TZYX"
        assert there.leading_shape == (3, 3)
        from liverestore.cli.output_file import frame_of

        runtime = open_runtime(spec, threads=1)
        with open_movie(source) as opened:
            frame = frame_of(opened, 2, "uint16")
            wanted = restore_planes(
                frame, spec, runtime.infer, CAMERA, stack.planes_um, optics=optics
            )
            for plane, made in enumerate(wanted):
                np.testing.assert_array_equal(there[6 + plane], made.pixels)
        runtime.close()
    with open_movie(source) as opened:
        assert command.resumed(opened, out, None) is None


def test_frames_that_cannot_be_restored_end_it_in_one_line(address, tmp_path):
    source = tmp_path / "in.tif"
    frames = np.ones((6, 16, 16), np.float32)
    frames[4, 3, 3] = np.nan
    tifffile.imwrite(source, frames)
    out = tmp_path / "out.ome.zarr"
    done = run(source, out, "--engine", "mean5", "--dask", address)
    assert isinstance(done.exception, UserError)
    assert "NaN" in str(done.exception)
    assert "\n" not in str(done.exception)
    with open_movie(out) as there:
        assert len(there) <= 4


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["out.tif", "--workers", "2"], "a TIFF"),
        (["out.ome.zarr", "--workers", "0"], "1 to 1024"),
        (["out.ome.zarr", "--workers", "2", "--dask", "tcp://x:1"], "--workers and --dask"),
        (["out.ome.zarr", "--workers", "2", "--resume"], "no such OME-Zarr"),
        (["out.ome.zarr", "--dask", "tcp://127.0.0.1:1"], "no dask scheduler answers"),
    ],
)
def test_what_cannot_be_is_said_before_any_work(movie, tmp_path, monkeypatch, words, said):
    monkeypatch.setattr(spread_cluster, "_CONNECT_S", 1)
    done = run(movie, tmp_path / words[0], *words[1:], "--engine", "mean5")
    assert isinstance(done.exception, UserError)
    assert said in str(done.exception)
    assert not list(tmp_path.iterdir())


def test_a_worker_says_what_it_lacks(movie, tmp_path):
    """Another version, a folder that it does not see."""
    spec = find_engine("mean5")
    with open_movie(movie) as opened:
        layout = command.open_output(opened, tmp_path / "x.ome.zarr", force=False)[0].layout
    given = {
        "name": "j",
        "source": movie,
        "out": tmp_path / "x.ome.zarr",
        "layout": layout,
        "spec": spec,
        "camera": CAMERA,
        "refocusing": None,
        "dtype": "uint16",
        "threads": 1,
    }
    from liverestore.cli.spread_worker import FrameTask

    def make(**other):
        worker = SpreadWorker(SpreadJob(**{**given, **other}))
        worker.setup(None)
        try:
            return worker.make(FrameTask(0, range(1)))
        finally:
            worker.teardown(None)

    with pytest.raises(UserError, match="same version"):
        make(version="0.0")
    with pytest.raises(UserError, match="does not see"):
        make(source=tmp_path / "gone.tif")
    with pytest.raises(UserError, match="does not see"):
        make()
