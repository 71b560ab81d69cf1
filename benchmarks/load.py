"""Long runs under load: does anything grow, is anything lost, does a slow client slow another?

    python benchmarks/load.py [--minutes 60] [--fps 100] [--size 512] [--view] --json FILE
    python benchmarks/load.py --simulated-hours 2 [--fps 100] [--size 64] --json FILE
    python benchmarks/load.py --clients 10 [--minutes 10] [--fps 25] --json FILE
    python benchmarks/load.py --table docs/reliability.md --of FILE [FILE ...]

The processes of `live`: Micro-Manager's DemoCamera in its fast mode, restored by denoise-live; raw
and restored frames are recorded. A recording ends after `--file-s` and the next one begins, as with
a click on Record; each that has ended is read back, frame by frame and checksum by checksum, by a
program of its own, and deleted, so that the disk holds a few of them only.

- `--simulated-hours`: as many frames as that time has at `--fps`, as fast as they go; growth is
  then per hour of that time.
- `--clients`: so many programs on the stream of results: one that stops reading for minutes, one
  that asks and never reads, one that is killed every 20 s and comes again, all others steady.

Every few seconds the memory, handles and threads of each process are read. How growth is judged is
said in `load_watch.py`; `--table` writes the rows of all FILEs between two marks.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import platform
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import deque
from pathlib import Path
from typing import Any

import msgspec
from load_clients import Account
from load_files import ReadBack
from load_table import Loaded, Sample, judge, write_table
from load_watch import held

from liverestore.cli.view_process import view_process
from liverestore.rig import load_rig
from liverestore.service.capture import capture_process
from liverestore.service.engine import engine_process
from liverestore.service.plan import RunEndpoints, RunPlan
from liverestore.service.result import RunResult
from liverestore.service.spawn import Target
from liverestore.service.supervisor import Supervisor
from liverestore.status import RunStatus, SetRecording
from liverestore.transport.control import ControlLink
from liverestore.transport.endpoint import PrivateEndpoints

ENGINE = "denoise-live"
HERE = Path(__file__).parent
RIG = """
name = "DemoCamera, fast mode"
[source]
kind = "micromanager"
buffer_size_mb = {buffer_mb}
config_file = "{config}"
[source.properties.Camera]
PixelType = "16bit"
BitDepth = "16"
OnCameraCCDXSize = "{size}"
OnCameraCCDYSize = "{size}"
FastImage = "1"
[camera]
offset_counts = 100
gain_e_per_count = 0.5
read_noise_e = 1.5
exposure_ms = {exposure_ms}
"""
_KILLED_EVERY_S = 20.0
_SAVED_EVERY_S = 60.0
_AS_FAST_MS = 0.05
"""Exposure of a camera whose frames are to come as fast as they go."""


def view_offscreen(plan: RunPlan) -> None:
    """The window, painted into memory."""
    os.environ["QT_QPA_PLATFORM"] = "offscreen"
    view_process(plan)


class Clients:
    """Programs on the stream of results."""

    def __init__(self, address: str, count: int, folder: Path) -> None:
        kinds = ["slow", "greedy", "killed", *["steady"] * count][:count]
        self._address, self._folder = address, folder
        self._kinds = {f"client-{index}-{kind}": kind for index, kind in enumerate(kinds)}
        self._running = {role: self._start(role) for role in self._kinds}
        self._killed_s = time.monotonic()
        self.killed = 0

    def _start(self, role: str) -> subprocess.Popen[bytes]:
        kind = self._kinds[role].replace("killed", "steady")
        report = self._folder / f"{role}.json"
        script = str(HERE / "load_clients.py")
        return subprocess.Popen([sys.executable, script, self._address, role, kind, str(report)])

    def attend(self) -> None:
        """Kill the one whose lot that is, and start it again."""
        if time.monotonic() - self._killed_s < _KILLED_EVERY_S:
            return
        self._killed_s = time.monotonic()
        for role, kind in self._kinds.items():
            if kind == "killed":
                self._running[role].kill()
                self._running[role].wait()
                self._running[role] = self._start(role)
                self.killed += 1

    def pids(self) -> dict[str, int]:
        """Of those that live."""
        return {role: one.pid for role, one in self._running.items() if one.poll() is None}

    def end(self) -> list[Account]:
        """Stop them all; their accounts."""
        for one in self._running.values():
            one.send_signal(signal.SIGTERM)
        for one in self._running.values():
            with contextlib.suppress(subprocess.TimeoutExpired):
                one.wait(10)
            one.kill()
            one.wait()
        reports = [self._folder / f"{role}.json" for role in self._kinds]
        return [
            msgspec.json.decode(report.read_bytes(), type=Account)
            for report in reports
            if report.exists()
        ]


class Load:
    """One run, watched and turned over from a thread of its own."""

    def __init__(self, asked: argparse.Namespace, folder: Path) -> None:
        self._asked, self._folder = asked, folder
        self._status: RunStatus | None = None
        self._over = threading.Event()
        self._watched = threading.Event()
        self._began_s = 0.0
        self._ended: deque[Path] = deque()
        self._samples: list[Sample] = []
        self._read: list[ReadBack] = []
        self._trouble: list[str] = []
        self._accounts: list[Account] = []
        self._killed = 0

    def run(self) -> Loaded:
        """Until the last frame; blocks."""
        asked, folder = self._asked, self._folder
        frames, seconds, exposure_ms = None, asked.minutes * 60.0, 1000 / asked.fps
        if asked.frames is not None:
            frames, seconds = asked.frames, None
        elif asked.simulated_hours is not None:
            frames = round(asked.simulated_hours * 3600 * asked.fps)
            seconds, exposure_ms = None, _AS_FAST_MS
        rig_file = folder / "rig.toml"
        config = Path(load_rig("mmcore_demo").source.config_file or "").as_posix()
        rig_file.write_text(
            RIG.format(config=config, size=asked.size, exposure_ms=exposure_ms, buffer_mb=256),
            encoding="utf-8",
        )
        suffix = ".ome.zarr" if asked.format == "ome-zarr" else ".ome.tif"
        targets: dict[str, Target] = {"engine": engine_process, "capture": capture_process}
        if asked.view:
            targets["view"] = view_offscreen
        with PrivateEndpoints() as endpoint:
            ends = RunEndpoints(endpoint("control"), endpoint("raw"), endpoint("restored"))
            plan = RunPlan(
                rig=load_rig(rig_file), engine=ENGINE, endpoints=ends, frames=frames,
                seconds=seconds, raw_path=folder / f"raw{suffix}",
                restored_path=folder / f"restored{suffix}", record_folder=folder,
                save_format=asked.format, stop_on_write_error=True, engine_threads=1,
            )  # fmt: skip
            supervisor = Supervisor(plan, targets, on_status=self._hear, engine_patience_s=60.0)
            threads = [
                threading.Thread(target=self._watch, args=(supervisor, plan)),
                threading.Thread(target=self._read_back, args=(supervisor,)),
            ]
            for thread in threads:
                thread.start()
            try:
                result = supervisor.run()
            finally:
                self._over.set()
                for thread in threads:
                    thread.join()
        for name in {Path(one.raw).name for one in result.recordings} - {
            one.file for one in self._read
        }:
            self._read_one(folder / name)  # it began when nobody looked any more
        return self._loaded(result)

    def _hear(self, status: RunStatus) -> None:
        if self._status is None and status.captured > 0:
            self._began_s = time.monotonic()
        if status.captured > 0:
            self._status = status

    def _watch(self, supervisor: Supervisor, plan: RunPlan) -> None:
        link = ControlLink(plan.endpoints.control, "load")
        clients: Clients | None = None
        turned_s = saved_s = time.monotonic()
        turned_at = 0
        path: str | None = None
        try:
            while not self._over.wait(self._asked.every_s):
                status, now = self._status, time.monotonic()
                if status is None:
                    turned_s = now
                    continue
                if clients is None and self._asked.clients and status.restored > 0:
                    address = plan.endpoints.restored.address
                    clients = Clients(address, self._asked.clients, self._folder)
                self._sample(supervisor, status, clients)
                if status.recording not in (None, path):
                    if path is not None:
                        self._ended.append(Path(path))
                    path = status.recording
                if clients is not None:
                    clients.attend()
                if self._turns(now - turned_s, status.captured - turned_at):
                    turned_s, turned_at = now, status.captured
                    link.send(SetRecording(on=False))
                    link.send(SetRecording(on=True))
                if now - saved_s >= _SAVED_EVERY_S:
                    saved_s = now
                    save(self._asked.json, self._loaded(None))
        finally:
            if path is not None:
                self._ended.append(Path(path))
            if clients is not None:
                self._killed = clients.killed
                self._accounts = clients.end()
            link.close()
            self._watched.set()

    def _turns(self, seconds: float, frames: int) -> bool:
        """Whether a recording of so long is to end."""
        most: int | None = self._asked.file_frames
        longest_s: float = self._asked.file_s
        return seconds >= longest_s if most is None else frames >= most

    def _sample(self, supervisor: Supervisor, status: RunStatus, clients: Clients | None) -> None:
        pids = {**supervisor.pids(), "supervisor": os.getpid()}
        if clients is not None:
            pids |= clients.pids()
        found = {name: held(pid) for name, pid in pids.items()}
        if sys.platform == "win32":
            raise OSError("needs the /proc of Linux")
        self._samples.append(
            Sample(
                t_s=time.monotonic() - self._began_s,
                captured=status.captured,
                lost=status.lost,
                restored=status.restored,
                dropped=status.dropped,
                segments=sum(1 for _ in Path("/dev/shm").iterdir()),
                load=os.getloadavg()[0],
                held={name: one for name, one in found.items() if one is not None},
                pids=pids,
            )
        )

    def _read_back(self, supervisor: Supervisor) -> None:
        """Read what has ended and is closed, then leave its name and delete what is in it."""
        while not self._watched.wait(1.0) or self._ended:
            if not self._ended:
                continue
            raw = self._ended[0]
            pid = supervisor.pids().get("capture")
            if pid is not None and _opened(pid, raw):
                continue
            self._read_one(self._ended.popleft())

    def _read_one(self, raw: Path) -> None:
        script = [sys.executable, str(HERE / "load_files.py"), str(raw)]
        done = subprocess.run(script, capture_output=True, check=False)
        if done.returncode:
            self._trouble.append(f"{raw.name}: {done.stderr.decode()[-500:]}")
            return
        self._read.append(msgspec.json.decode(done.stdout, type=ReadBack))
        empty(raw)
        # Results are written and closed a moment after their raw frames.
        before = len(self._read) - 2
        if before >= 0:
            empty(raw.with_name(self._read[before].file.replace("raw", "restored", 1)))

    def _loaded(self, result: RunResult | None) -> Loaded:
        asked = self._asked
        told = {} if result is None else {Path(one.raw).name: one for one in result.recordings}
        trouble = list(self._trouble)
        for one in self._read if told else ():
            report = told.get(one.file)
            if report is None or (report.first, report.last) != (one.first, one.last):
                trouble.append(f"{one.file}: its frames are not those that the run reports")
        read = sum(one.frames for one in self._read)
        if result is not None and read != result.capture.written:
            trouble.append(f"{result.capture.written} frames were written and {read} read back")
        if result is not None and result.failure is not None:
            trouble.append(result.failure)
        hours = 1.0 if asked.simulated_hours is None else asked.fps * 3600
        capture = None if result is None else result.capture
        return Loaded(
            name=asked.name,
            size=asked.size,
            fps=asked.fps,
            simulated_hours=asked.simulated_hours,
            view=asked.view,
            clients=asked.clients,
            samples=self._samples,
            files=self._read,
            accounts=self._accounts,
            killed=self._killed,
            captured=capture.captured if capture else 0,
            lost=capture.lost if capture else 0,
            restored=capture.restored if capture else 0,
            dropped=capture.dropped if capture else 0,
            recorded=capture.recorded if capture else 0,
            written=capture.written if capture else 0,
            whole=result is not None,
            trouble=trouble,
            slopes=judge(self._samples, frames_an_hour=None if hours == 1.0 else hours),
            machine=f"{os.cpu_count()} cores ({platform.machine()}), Python "
            f"{platform.python_version()}",
        )


def _opened(pid: int, path: Path) -> bool:
    """Whether process `pid` has `path`, or something in it, open."""
    with contextlib.suppress(OSError):
        for one in Path(f"/proc/{pid}/fd").iterdir():
            with contextlib.suppress(OSError):
                if str(one.readlink()).startswith(str(path)):
                    return True
    return False


def empty(path: Path) -> None:
    """Leave the name alone, so that no later recording gets it."""
    if path.is_dir():
        shutil.rmtree(path)
        path.mkdir()
    elif path.exists():
        os.truncate(path, 0)


def save(place: Path, loaded: Loaded) -> None:
    """Whole at every moment."""
    part = place.with_suffix(".part")
    part.write_bytes(msgspec.json.format(msgspec.json.encode(loaded), indent=1))
    part.replace(place)


def main() -> int:
    """One run, or the table of several."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--simulated-hours", type=float)
    parser.add_argument("--frames", type=int, help="so many instead of --minutes")
    parser.add_argument("--fps", type=float, default=100.0)
    parser.add_argument("--size", type=int, default=512)
    parser.add_argument("--view", action="store_true")
    parser.add_argument("--clients", type=int, default=0)
    parser.add_argument("--every-s", type=float, default=5.0)
    parser.add_argument("--file-s", type=float, default=20.0)
    parser.add_argument("--file-frames", type=int, help="instead of --file-s")
    parser.add_argument("--format", choices=("ome-zarr", "ome-tiff"), default="ome-zarr")
    parser.add_argument("--name", default="")
    parser.add_argument("--json", type=Path, default=Path("load.json"))
    parser.add_argument("--table", type=Path)
    parser.add_argument("--of", type=Path, nargs="+", default=[])
    asked = parser.parse_args()
    if asked.table is not None:
        runs = [msgspec.json.decode(one.read_bytes(), type=Loaded) for one in asked.of]
        sys.stdout.write(write_table(asked.table, runs) + "\n")
        return 0
    with tempfile.TemporaryDirectory() as place:
        loaded = Load(asked, Path(place)).run()
    save(asked.json, loaded)
    told: dict[str, Any] = msgspec.to_builtins(loaded)
    told["samples"] = len(loaded.samples)
    told["files"] = len(loaded.files)
    sys.stdout.write(msgspec.json.format(msgspec.json.encode(told), indent=1).decode() + "\n")
    return 1 if loaded.trouble else 0


if __name__ == "__main__":
    sys.exit(main())
