"""A terminal that is closed over a run: it ends in order, as with Ctrl-C."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from small_rig import RIG

from liverestore.cli.interrupt import Interrupt, ended_by_sigterm
from liverestore.movie import open_movie
from liverestore.service.ending_signals import ending_signals

ROOT = Path(__file__).parents[2]

pytestmark = [
    pytest.mark.timeout(240),
    pytest.mark.skipif(sys.platform == "win32", reason="SIGHUP and terminals of POSIX"),
]


@pytest.fixture(autouse=True)
def not_under_nohup():
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, before)


@pytest.mark.skipif(sys.platform != "linux", reason="processes are found in /proc")
def test_a_run_whose_terminal_is_closed_ends_in_order(tmp_path):
    import pty

    near, far = pty.openpty()
    (tmp_path / "rig.toml").write_text(RIG, encoding="utf-8")
    for name in ("tmp", "home"):
        (tmp_path / name).mkdir()
    command = [sys.executable, "-c", "from liverestore.cli.main import run; run()", "live"]
    told = ["--rig", "rig.toml", "--engine", "mean5", "--headless", "--save", "out"]
    run = subprocess.Popen(
        # `setsid --ctty` makes it the terminal that hangs up.
        ["setsid", "--ctty", "--wait", *command, *told, "--report", "report.json"],
        cwd=tmp_path, stdin=far, stdout=far, stderr=far,
        env={**os.environ, "TMPDIR": str(tmp_path / "tmp"), "PYTHONPATH": str(ROOT),
             "LIVERESTORE_HOME": str(tmp_path / "home")},
    )  # fmt: skip
    os.close(far)
    os.set_blocking(near, False)
    records = tmp_path / "out" / "raw.ome.zarr" / "0" / "frames.jsonl"
    said = b""
    deadline = time.monotonic() + 120
    try:
        while not records.exists() or records.read_bytes().count(b"\n") < 5:
            assert time.monotonic() < deadline, said.decode(errors="replace")
            assert run.poll() is None, said.decode(errors="replace")
            with contextlib.suppress(BlockingIOError):
                said += os.read(near, 1 << 16)
            time.sleep(0.05)
        os.close(near)
        assert run.wait(60) == 0
    finally:
        run.kill()
        run.wait()
    report = json.loads((tmp_path / "report.json").read_text(encoding="utf-8"))
    frames = report["frames"]
    assert report["interrupted"]
    assert frames["captured"] == frames["written"] == frames["restored"] + frames["dropped"]
    with open_movie(tmp_path / "out" / "raw.ome.zarr") as movie:
        assert len(movie) == frames["captured"]
    attributes = json.loads((tmp_path / "out" / "raw.ome.zarr" / "zarr.json").read_text())
    assert attributes["attributes"]["liverestore"]["complete"] is True
    assert list((tmp_path / "tmp").iterdir()) == []


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP"])
def test_the_work_at_hand_is_finished_first(name):
    number = getattr(signal, name)
    before = signal.getsignal(number)
    with Interrupt() as interrupt:
        assert not interrupt.asked
        signal.raise_signal(number)
        assert interrupt.asked
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(number)
    assert signal.getsignal(number) is before


def test_a_shutter_is_closed_behind_a_closed_terminal():
    with pytest.raises(KeyboardInterrupt), ended_by_sigterm():
        signal.raise_signal(signal.SIGHUP)


def test_nohup_is_believed():
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        assert signal.SIGHUP not in ending_signals()
        with Interrupt() as interrupt:
            signal.raise_signal(signal.SIGHUP)
            assert not interrupt.asked
    finally:
        signal.signal(signal.SIGHUP, before)
    assert signal.SIGHUP in ending_signals()
