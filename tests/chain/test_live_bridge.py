"""The whole chain on a Micro-Manager that runs elsewhere, that is restarted and set meanwhile."""

import sys
import threading
import time

import numpy as np
import pytest
from java_server import Core, JavaServer, Studio

from liverestore.movie import open_movie

pytestmark = [
    pytest.mark.timeout(120),
    pytest.mark.skipif(sys.platform == "win32", reason="groups of processes of Linux"),
]

RIG = """
name = "followed"
[source]
kind = "bridge"
port = {port}
[camera]
offset_counts = 100.0
gain_e_per_count = 0.5
read_noise_e = 1.4
"""


class LiveMicroManager:
    """Micro-Manager whose Live runs, at 50 images a second."""

    def __init__(self, port=None, shape=(48, 64)):
        self.core = Core(shape)
        self.server = JavaServer(self.core, port=port, studio=Studio())
        self.sent = {}
        """Micro-Manager's number -> sum of the pixels."""
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self):
        while not self._stop.wait(0.02):
            number = self.core.number
            self.sent[number] = int(self.core.push().sum())

    def stop(self):
        self._stop.set()
        self._thread.join()
        self.server.stop()


def test_frames_are_kept_and_shown_through_a_restart_and_another_roi(start, tmp_path):
    first = LiveMicroManager()
    port = first.server.port
    rig = tmp_path / "followed.toml"
    rig.write_text(RIG.format(port=port), encoding="utf-8")
    second = None
    try:
        run = start(
            "live", "--rig", rig, "--engine", "mean5", "--headless", "--save", "out",
            "--show-in-micro-manager", "--report", "report.json",
        )  # fmt: skip
        run.wait_for_frames(20)
        deadline = time.monotonic() + 20
        while not first.server.studio.displays().made and time.monotonic() < deadline:
            time.sleep(0.05)
        assert first.server.studio.displays().made[0].store.images[0].pixels.shape == (48, 64)
        first.stop()
        second = LiveMicroManager(port, shape=(32, 40))
        run.wait_for_frames(20, "raw_002.ome.zarr")
        code, errors = run.end()
    finally:
        first.stop()
        if second is not None:
            second.stop()
    assert code == 0, errors
    assert f"Micro-Manager is back on port {port}" in errors
    assert "the ROI has changed" in errors
    numbers = []
    for name, shape, sent in (
        ("raw.ome.zarr", (48, 64), first.sent),
        ("raw_002.ome.zarr", (32, 40), second.sent),
    ):
        with open_movie(tmp_path / "out" / name) as movie:
            assert movie.shape[1:] == shape
            for index in range(len(movie)):
                header = movie.header(index)
                number = int(header.metadata["ImageNumber"])
                assert int(np.asarray(movie[index]).astype(np.int64).sum()) == sent[number]
                assert header.lost_before == 0
                numbers.append(header.number)
    assert numbers == sorted(set(numbers))
    used = {name for live in (first, second) for _, name in live.server.commands}
    assert not used & {"popNextTaggedImage", "setExposure", "snapImage"}


def test_without_micro_manager_the_command_ends_in_one_line(liverestore, tmp_path):
    with JavaServer() as ended:
        port = ended.port
    rig = tmp_path / "followed.toml"
    rig.write_text(RIG.format(port=port), encoding="utf-8")
    done = liverestore("live", "--rig", rig, "--engine", "mean5", "--headless")
    assert done.returncode == 2
    last = done.stderr.strip().splitlines()[-1]
    assert f"no Micro-Manager to follow on ports {port} to {port + 7}" in last
    assert "Tools > Options" in last


@pytest.mark.parametrize(
    ("options", "word"),
    [
        (("--rig", "demo", "--show-in-micro-manager"), "follows no Micro-Manager"),
        (("--rig", "bridge", "--dose-budget", "3"), "Micro-Manager drives the camera"),
        (("--rig", "bridge", "--interval", "3"), "Micro-Manager drives the camera"),
        (("--rig", "bridge", "--hold-light", "30"), "Micro-Manager drives the camera"),
    ],
)
def test_what_a_followed_camera_cannot_do_is_refused_before_anything_starts(options, word):
    from typer.testing import CliRunner

    from liverestore.cli.commands import app

    done = CliRunner().invoke(app, ["live", "--headless", *options])
    assert word in str(done.exception)
