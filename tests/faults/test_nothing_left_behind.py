"""However a run of several processes ends, none stays, nor what belonged to them.

All runs go at once, each with folders of its own for sockets, settings and recordings.
"""

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest
from small_rig import RIG

from liverestore.transport.private_folder import PrivateFolder

ROOT = Path(__file__).parents[2]

pytestmark = [
    pytest.mark.timeout(300),
    pytest.mark.skipif(sys.platform == "win32", reason="signals and /proc of Linux"),
]


class Run:
    """`liverestore live` that records into `place/out`."""

    def __init__(self, place, *more, engine="mean5"):
        self.place = place
        for name in ("tmp", "home"):
            (place / name).mkdir(parents=True)
        (place / "rig.toml").write_text(RIG, encoding="utf-8")
        command = [sys.executable, "-c", "from liverestore.cli.main import run; run()", "live"]
        told = ["--rig", "rig.toml", "--engine", engine, "--save", "out", *more]
        self.process = subprocess.Popen(
            [*command, *told], cwd=place, text=True, start_new_session=True,
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
            env={**os.environ, "TMPDIR": str(place / "tmp"), "PYTHONPATH": str(ROOT),
                 "LIVERESTORE_HOME": str(place / "home"), "QT_QPA_PLATFORM": "offscreen"},
        )  # fmt: skip
        self.shared = ""

    def members(self):
        """Process ids of all of this run that live."""
        group = []
        for stat in Path("/proc").glob("[0-9]*/stat"):
            with contextlib.suppress(OSError):
                fields = stat.read_text().rsplit(")", 1)[1].split()
                if fields[0] not in "ZX" and int(fields[3]) == self.process.pid:
                    group.append(int(stat.parent.name))
        return group

    def with_library(self, name, timeout_s=90.0, *, but=()):
        """The member that has a library loaded, waited for."""
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline and self.process.poll() is None:
            for pid in self.members():
                with contextlib.suppress(OSError):
                    maps = Path(f"/proc/{pid}/maps").read_text()
                    if name in maps and pid not in but:
                        self.shared += "".join(
                            line for line in maps.splitlines(keepends=True) if "/dev/shm/" in line
                        )
                        return pid
            time.sleep(0.05)
        raise AssertionError(f"no process has {name}: {self.errors()}")

    def frames(self):
        with contextlib.suppress(OSError):
            return (self.place / "out/raw.ome.zarr/0/frames.jsonl").read_bytes().count(b"\n")
        return 0

    def wait_for_frames(self, timeout_s=120.0):
        deadline = time.monotonic() + timeout_s
        while self.frames() < 3:
            assert time.monotonic() < deadline, "frames were waited for in vain"
            assert self.process.poll() is None, self.errors()
            time.sleep(0.05)

    def end(self, number=signal.SIGTERM):
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.process.pid, number)

    def errors(self):
        for pid in self.members():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        return self.process.communicate(timeout=60)[1]

    def wait_until_nobody_is_there(self, timeout_s=60.0):
        deadline = time.monotonic() + timeout_s
        while self.process.poll() is None or self.members():
            assert time.monotonic() < deadline, f"{self.members()} stay"
            time.sleep(0.05)


LIBRARIES = {"capture": "mmgr_dal", "engine": "libopenvino", "view": "libQt6Widgets"}


@pytest.fixture(scope="module")
def ended(tmp_path_factory):
    """Runs that came to an end, by what ended them."""
    place = tmp_path_factory.mktemp("ends")
    runs = {
        name: Run(place / name, "--headless")
        for name in ("SIGTERM", "supervisor killed", "capture killed")
    }
    runs["last frame"] = Run(place / "last frame", "--headless", "--frames", "5")
    # Known from the others by the library that it loads.
    runs["engine killed"] = Run(place / "engine killed", "--headless", engine="denoise-live")
    try:
        for name, run in runs.items():
            if name != "last frame":
                run.wait_for_frames()
        engine = runs["engine killed"].with_library(LIBRARIES["engine"])
        os.kill(engine, signal.SIGKILL)
        os.kill(runs["capture killed"].with_library(LIBRARIES["capture"]), signal.SIGKILL)
        runs["supervisor killed"].end(signal.SIGKILL)
        runs["SIGTERM"].end()
        runs["engine killed"].with_library(LIBRARIES["engine"], but=(engine,))
        runs["engine killed"].end()
        for run in runs.values():
            run.wait_until_nobody_is_there()
        yield runs
    finally:
        for run in runs.values():
            run.errors()


CODES = {
    "last frame": 0, "SIGTERM": 0, "supervisor killed": -9, "capture killed": 1, "engine killed": 0,
}  # fmt: skip


@pytest.mark.parametrize("name", CODES)
def test_nothing_of_a_run_stays(ended, name, monkeypatch):
    run = ended[name]
    assert run.process.returncode == CODES[name]
    assert run.members() == []
    assert run.shared == "", "nothing of it was ever shared memory"
    left = [one.name for one in (run.place / "tmp").iterdir()]
    if name == "supervisor killed":
        # Nobody was left to remove it: the next start does, and says its name.
        assert len(left) == 1
        monkeypatch.setattr(tempfile, "tempdir", str(run.place / "tmp"))
        with PrivateFolder() as folder:
            assert folder.reclaimed == left
        left = [one.name for one in (run.place / "tmp").iterdir()]
    assert left == []
    kept = [one for one in (run.place / "home").rglob("*") if one.is_file()]
    assert [one for one in kept if one.suffix == ".lock" or one.name.startswith(".new-")] == []
    outs = {one.name.partition(".")[0] for one in (run.place / "out").iterdir()}
    assert outs <= {"raw", "restored", "restored_001", "light"}


@pytest.mark.paints
def test_a_killed_window_leaves_nothing(tmp_path_factory):
    # A short name: the path of a socket has 107 characters at most.
    run = Run(tmp_path_factory.mktemp("v") / "w")
    try:
        run.wait_for_frames()
        view = run.with_library(LIBRARIES["view"])
        os.kill(view, signal.SIGKILL)
        run.with_library(LIBRARIES["view"], but=(view,))
        run.end()
        run.wait_until_nobody_is_there()
        assert list((run.place / "tmp").iterdir()) == []
        assert run.shared == ""
    finally:
        run.errors()
