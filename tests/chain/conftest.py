from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

SMALL_RIG = """
name = "small simulated microscope"
[source]
kind = "simulated"
buffer_size_mb = 64
[camera]
offset_counts = 100.0
gain_e_per_count = 0.5
read_noise_e = 1.4
bit_depth = 16
exposure_ms = {exposure_ms}
[optics]
pixel_size_um = 0.108333
numerical_aperture = 1.2
magnification = 60.0
wavelength_nm = 520.0
immersion_index = 1.33
sample_index = 1.33
[specimen]
seed = 3
shape = [128, 160]
"""

COMMAND = [sys.executable, "-c", "from liverestore.cli.main import run; run()"]


@pytest.fixture
def small_rig(tmp_path):
    path = tmp_path / "small.toml"
    path.write_text(SMALL_RIG.format(exposure_ms=20.0), encoding="utf-8")
    return path


@pytest.fixture
def liverestore(tmp_path):
    """Run the command line in `tmp_path`, to its end."""

    def run(*arguments, timeout_s=100, **options):
        return subprocess.run(
            [*COMMAND, *map(str, arguments)],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=timeout_s,
            check=False,
            **options,
        )

    return run


class Running:
    """A run of the command line that is under way."""

    def __init__(self, process, folder):
        self.process = process
        self.folder = folder

    def process_with(self, library, timeout_s=30.0):
        """Process id of the child that has `library` loaded, which tells them apart."""
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline:
            for pid in self.children():
                with contextlib.suppress(OSError):
                    if library in Path(f"/proc/{pid}/maps").read_text():
                        return pid
            time.sleep(0.05)
        raise AssertionError(f"no process ever loaded {library}")

    def children(self, command=""):
        """Process ids of all processes of this run but the first, with `command` in their line."""
        group = []
        for stat in Path("/proc").glob("[0-9]*/stat"):
            with contextlib.suppress(OSError):
                fields = stat.read_text().rsplit(")", 1)[1].split()
                line = (stat.parent / "cmdline").read_bytes().decode(errors="replace")
                alive = fields[0] != "Z" and command in line
                if alive and int(fields[2]) == self.process.pid:
                    group.append(int(stat.parent.name))
        return sorted(set(group) - {self.process.pid})

    def wait_until_it_listens(self, timeout_s=60.0):
        """To Ctrl-C, in its own way: the first library that it loads is there."""
        deadline = time.monotonic() + timeout_s
        maps = Path(f"/proc/{self.process.pid}/maps")
        while "msgspec" not in maps.read_text():
            assert time.monotonic() < deadline, "it never loaded anything"
            time.sleep(0.005)

    def wait_until_alone(self, timeout_s=3.0):
        """Python's own resource tracker ends a moment after the process it serves."""
        deadline = time.monotonic() + timeout_s
        while self.children() and time.monotonic() < deadline:
            time.sleep(0.02)
        assert self.children() == []

    def wait_for_frames(self, count, name="raw.ome.zarr", timeout_s=60.0):
        records = self.folder / "out" / name / "0" / "frames.jsonl"
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline:
            if records.exists() and records.read_bytes().count(b"\n") >= count:
                return
            assert self.process.poll() is None, self.process.communicate()
            time.sleep(0.05)
        raise AssertionError(f"{name} never had {count} frames")

    def end(self, number=signal.SIGINT):
        """Ctrl-C for the whole group, as a terminal sends it; (exit code, stderr)."""
        os.killpg(self.process.pid, number)
        _, errors = self.process.communicate(timeout=30)
        return self.process.returncode, errors


def _hear_ctrl_c():
    """As in a terminal; a shell starts its background jobs deaf to Ctrl-C."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@pytest.fixture
def start(tmp_path):
    """Start the command line in `tmp_path`; what still runs at the end is killed.

    `within` is put before the command, to run it inside of something.
    """
    running = []

    def launch(*arguments, within=(), **options):
        process = subprocess.Popen(
            [*within, *COMMAND, *map(str, arguments)],
            cwd=tmp_path,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
            preexec_fn=_hear_ctrl_c,
            **options,
        )
        running.append(process)
        return Running(process, tmp_path)

    yield launch
    for process in running:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()


@pytest.fixture
def read_report(tmp_path):
    return lambda name="report.json": json.loads((tmp_path / name).read_text(encoding="utf-8"))
