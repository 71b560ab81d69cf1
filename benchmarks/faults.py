"""Faults while recording at full rate: what is lost, what the user sees, how long it takes.

    python benchmarks/faults.py [--only NAME ...] [--json FILE] [--table docs/reliability.md]

Each fault is put into a run of the real processes, without a window where the fault is not the
window's own: Micro-Manager's demo camera, 512x512 at an exposure of 10 ms, restored by denoise-live
and recorded. Then the files are read:

- Lost at the camera: numbers that the camera gave and nobody got (`lost_before`).
- Missing in the file: numbers that were captured and are not in the raw file, by number.
- Torn: frames of the raw file whose pixels do not have the checksum in their record.
- To recover: from the moment of the fault to the end of the first result after it (engine, next
  runtime), to the window's libraries being loaded again (view), or to the first frame after it
  (camera).

`--table` puts the table between the two marks of that file.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import json
import os
import platform
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta, tzinfo
from functools import partial
from pathlib import Path
from typing import Any
from unittest import mock

import msgspec
from pulled_plug import PulledPlug

from liverestore.camera.open import open_source
from liverestore.camera.source import FrameSource
from liverestore.errors import Failure, UserError
from liverestore.frame import Frame
from liverestore.frame_record import crc32
from liverestore.movie import open_movie
from liverestore.rig import RigConfig, load_rig
from liverestore.runtime.openvino import OpenVinoRuntime
from liverestore.runtime.sparing import SparingRuntime
from liverestore.runtime.table import open_runtime
from liverestore.runtime.upgrade import UpgradingRuntime
from liverestore.service.capture import capture_process
from liverestore.service.engine import engine_process
from liverestore.service.plan import RunEndpoints, RunPlan
from liverestore.service.result import RunResult
from liverestore.service.spawn import Target
from liverestore.service.supervisor import Supervisor
from liverestore.status import RunStatus, SetRoi
from liverestore.transport.control import ControlLink
from liverestore.transport.endpoint import PrivateEndpoints
from liverestore.writer.names import SaveFormat
from liverestore.writer.whole import write_all

ENGINE = "denoise-live"
FAULT_AT = 60
"""Frames that are captured before anything goes wrong."""
_RAISES_AT = 6
"""Of the inferences of an engine, those of its warming up included."""
_LONGEST_START_S = 120
"""A run that has not begun then never will: the script ends."""
_FRAMES_TO_COME_BACK = 400
"""Recorded where an engine or a window has to come back within the run."""
_ELSEWHERE = "needs the signals and limits of Linux"
BEGIN, END = "<!-- faults: begin -->", "<!-- faults: end -->"


@dataclass
class Outcome:
    """What one fault did."""

    fault: str
    captured: int = 0
    lost_at_camera: int = 0
    missing: str = "none"
    torn: str = "none"
    readable: int = 0
    seen: str = ""
    recovery_s: float | None = None
    exit_code: int = 0
    more: dict[str, Any] = field(default_factory=dict)


# -- faults inside of a process: entry points, importable by their names ----------------------


class _Tampered:
    """A source that misbehaves from frame `FAULT_AT` on."""

    def __init__(self, source: FrameSource, at: Callable[[FrameSource, int], None]) -> None:
        self._source, self._at, self._count = source, at, 0

    def next_frame(self, timeout_s: float) -> Frame | None:
        self._at(self._source, self._count)
        frame = self._source.next_frame(timeout_s)
        self._count += frame is not None
        return frame

    def __getattr__(self, name: str) -> Any:
        return getattr(self._source, name)


def _with_source(plan: RunPlan, at: Callable[[FrameSource, int], None]) -> None:
    def tampered(rig: RigConfig) -> _Tampered:
        return _Tampered(open_source(rig), at)

    with mock.patch("liverestore.service.capture.open_source", tampered):
        capture_process(plan)


class _Stalled(_Tampered):
    """Hands out nothing for four seconds, and then all that it had and has."""

    def __init__(self, source: FrameSource) -> None:
        super().__init__(source, lambda _source, _count: None)
        self._kept: list[Frame] = []
        self._until_s: float | None = None

    def next_frame(self, timeout_s: float) -> Frame | None:
        if self._count == FAULT_AT and self._until_s is None:
            self._kept = self._source.pause()
            self._until_s = time.monotonic() + 4
        if self._until_s is not None and time.monotonic() < self._until_s:
            time.sleep(timeout_s)
            return None
        if self._kept:
            return self._kept.pop(0)
        return super().next_frame(timeout_s)


def capture_stalls(plan: RunPlan) -> None:
    """For four seconds the camera delivers nothing."""

    def stalled(rig: RigConfig) -> _Stalled:
        return _Stalled(open_source(rig))

    with mock.patch("liverestore.service.capture.open_source", stalled):
        capture_process(plan)


def _unplugged(plan: RunPlan, back_after_s: float | None) -> None:
    pulled: list[PulledPlug] = []

    def at(source: FrameSource, count: int) -> None:
        if count == FAULT_AT and not pulled:
            core = source._core  # type: ignore[attr-defined]
            pulled.append(PulledPlug(core, back_after_s))

    _with_source(plan, at)


def capture_unplugged(plan: RunPlan) -> None:
    """The core has no images any more, and raises when it is asked about its camera."""
    _unplugged(plan, None)


def capture_unplugged_for_a_while(plan: RunPlan) -> None:
    """So for 5 s; then the camera can be initialised again."""
    _unplugged(plan, 5.0)


def _behind_its_back(plan: RunPlan, act: Callable[[Any], None]) -> None:
    done: list[bool] = []

    def at(source: FrameSource, count: int) -> None:
        if count == FAULT_AT and not done:
            done.append(True)
            act(source._core)  # type: ignore[attr-defined]

    _with_source(plan, at)


def capture_roi_behind_its_back(plan: RunPlan) -> None:
    """Somebody sets the ROI in the driver's own dialog: the camera stops without an error."""
    _behind_its_back(plan, lambda core: core.set_roi(8, 16, 64, 32))


def capture_binning_behind_its_back(plan: RunPlan) -> None:
    """Somebody sets the binning there: that stops DemoCamera likewise."""

    def binned(core: Any) -> None:
        core.stop_sequence_acquisition()
        core.set_property("Camera", "Binning", "2")

    _behind_its_back(plan, binned)


def capture_on_a_disk_that_cannot_keep_up(plan: RunPlan) -> None:
    """Every write takes 200 ms longer, and 20 MB may wait: 40 frames."""

    def slow(*arguments: Any) -> None:
        time.sleep(0.1)
        write_all(*arguments)

    with (
        mock.patch("liverestore.writer.zarr_chunks.write_all", slow),
        mock.patch("liverestore.service.recorder.default_limit_bytes", return_value=20_971_520),
    ):
        capture_process(plan)


def capture_too_slow(plan: RunPlan) -> None:
    """The computer is busy for a moment: the ring of 16 MB holds 32 frames and overflows."""

    def at(_source: FrameSource, count: int) -> None:
        if count == FAULT_AT:
            time.sleep(3)

    _with_source(plan, at)


def capture_on_a_full_disk(plan: RunPlan) -> None:
    """The system lets no file of this process grow beyond 30 MB."""
    if sys.platform == "win32":
        raise OSError(_ELSEWHERE)
    import resource

    resource.setrlimit(resource.RLIMIT_FSIZE, (30_000_000, 30_000_000))
    capture_process(plan)


def capture_on_a_slow_disk(plan: RunPlan) -> None:
    """Every write takes 40 ms longer."""

    def slow(*arguments: Any) -> None:
        time.sleep(0.04)
        write_all(*arguments)

    with mock.patch("liverestore.writer.zarr_chunks.write_all", slow):
        capture_process(plan)


def capture_with_clock_set_back(plan: RunPlan) -> None:
    """From frame 60 on the clock on the wall is an hour behind."""
    back = [False]

    class Clock(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> Any:
            return datetime.now(tz) - timedelta(hours=1 if back[0] else 0)

    def at(_source: FrameSource, count: int) -> None:
        back[0] = count >= FAULT_AT

    with mock.patch("liverestore.camera.stamp.datetime", Clock):
        _with_source(plan, at)


def _engine_raises(plan: RunPlan, error: type[Exception], text: str) -> None:
    calls = [0]

    def tampered(*arguments: Any, **options: Any) -> Any:
        runtime: Any = open_runtime(*arguments, **options)
        infer = runtime.infer

        def raising(batch: Any) -> Any:
            calls[0] += 1
            fault = Path(str(plan.record_folder)) / "raised"
            if calls[0] == _RAISES_AT and not fault.exists():
                fault.write_text(str(time.perf_counter_ns()))
                raise error(text)
            return infer(batch)

        runtime.infer = raising
        return runtime

    with mock.patch("liverestore.service.engine.open_runtime", tampered):
        engine_process(plan)


def engine_runtime_raises(plan: RunPlan) -> None:
    """A library raises what nobody foresaw."""
    _engine_raises(plan, RuntimeError, "CUDA error 700: illegal memory access")


def engine_out_of_memory(plan: RunPlan) -> None:
    """There is no memory for a frame."""
    _engine_raises(plan, MemoryError, "cannot allocate")


class _OnCard:
    """OpenVINO in the place of a graphics card, which fails as one does."""

    def __init__(self, spec: Any, fails: Callable[[tuple[int, ...]], None], **options: Any) -> None:
        self._real = OpenVinoRuntime(spec, **options)
        self._fails = fails

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)

    @property
    def description(self) -> str:
        return "card (stand-in)"

    def infer(self, batch: Any) -> Any:
        self._fails(batch.shape)
        return self._real.infer(batch)


def _engine_on_card(plan: RunPlan, fails: Callable[[tuple[int, ...]], None]) -> None:
    """The engine process with a runtime as `open_runtime` makes it where there is a card."""

    def opened(spec: Any, *, tell: Callable[[str], None], **_options: Any) -> Any:
        return UpgradingRuntime(
            SparingRuntime(OpenVinoRuntime(spec, precision="bf16"), tell),
            lambda: SparingRuntime(_OnCard(spec, fails, precision="bf16"), tell),
            tell,
        )

    with mock.patch("liverestore.service.engine.open_runtime", opened):
        engine_process(plan)


def _after_some(plan: RunPlan, error: Callable[[], Exception]) -> Callable[[Any], None]:
    calls = [0]

    def fails(_shape: tuple[int, ...]) -> None:
        calls[0] += 1
        if calls[0] >= _RAISES_AT:
            place = Path(str(plan.record_folder)) / "raised"
            if not place.exists():
                place.write_text(str(time.perf_counter_ns()))
            raise error()

    return fails


def engine_card_lost(plan: RunPlan) -> None:
    """What torch raises when a kernel has failed: from then on nothing works on the card."""
    text = "CUDA error: an illegal memory access was encountered"
    _engine_on_card(plan, _after_some(plan, lambda: RuntimeError(text)))


def engine_card_full(plan: RunPlan) -> None:
    """What TensorRT says where another program took the memory: none even for a tile."""
    text = "[defaultAllocator.cpp::allocate::31] Error Code 1: Cuda Runtime (out of memory)"
    _engine_on_card(plan, _after_some(plan, lambda: Failure(text)))


def engine_card_small(plan: RunPlan) -> None:
    """Memory for a tile of 256 pixels with its halo, and not for the frame."""
    raises = _after_some(plan, lambda: Failure("Error Code 2: OutOfMemory (no information)"))

    def fails(shape: tuple[int, ...]) -> None:
        if shape[2] * shape[3] >= 512 * 512:
            raises(shape)

    _engine_on_card(plan, fails)


# -- faults from outside ------------------------------------------------------------------------


Act = Callable[[Supervisor, RunPlan], None]


def _kill(name: str) -> Act:
    def act(supervisor: Supervisor, _plan: RunPlan) -> None:
        if sys.platform == "win32":
            raise OSError(_ELSEWHERE)
        os.kill(supervisor.pids()[name], signal.SIGKILL)

    return act


def _sigterm(_supervisor: Supervisor, _plan: RunPlan) -> None:
    os.kill(os.getpid(), signal.SIGTERM)


def _roi(_supervisor: Supervisor, plan: RunPlan) -> None:
    link = ControlLink(plan.endpoints.control, "view")
    link.send(SetRoi(roi=(100, 100, 200, 160)))
    link.close()


def view_offscreen(plan: RunPlan) -> None:
    """The window, painted into memory."""
    os.environ["QT_QPA_PLATFORM"] = "offscreen"
    from liverestore.cli.view_process import view_process

    view_process(plan)


@dataclass(frozen=True)
class Fault:
    """One row of the table."""

    words: str
    act: Act | None = None
    targets: dict[str, Target] = field(default_factory=dict)
    frames: int | None = 150
    recovers: str = ""
    """What comes back: "engine", "next runtime", "view" or "camera"."""
    save_format: SaveFormat = "ome-zarr"
    buffer_mb: int | None = None
    after: Callable[[Path], str] | None = None
    """Done to the files of a run that went well; what is said when they are opened and read."""


def _truncate(folder: Path) -> str:
    """As a power cut leaves the last frame: half of its pixels."""
    raw = next(folder.glob("raw.ome.*"))
    if raw.is_dir():
        last = max((raw / "0" / "c").iterdir(), key=lambda place: int(place.name)) / "0" / "0"
        os.truncate(last, last.stat().st_size // 2)
    else:
        with open_movie(raw) as movie:
            half = movie.shape[1] * movie.shape[2]
        os.truncate(raw, raw.stat().st_size - half)
    with open_movie(raw) as movie:
        try:
            movie[len(movie) - 1]
        except UserError as error:
            return str(error).replace(f"{folder}/", "")
        return movie.note or ""


FAULTS: dict[str, Fault] = {
    "engine killed": Fault("engine process killed (SIGKILL)", _kill("engine"), recovers="engine"),
    "runtime raises": Fault(
        "runtime raises an error nobody foresaw",
        targets={"engine": engine_runtime_raises}, recovers="engine",
    ),
    "out of memory": Fault(
        "no memory for a frame in the engine",
        targets={"engine": engine_out_of_memory}, recovers="engine",
    ),
    "view killed": Fault(
        "window killed (SIGKILL)", _kill("view"), {"view": view_offscreen}, recovers="view"
    ),
    "camera stalls": Fault(
        "camera delivers nothing for 4 s", targets={"capture": capture_stalls}, recovers="camera"
    ),
    "card lost": Fault(
        "runtime on the card raises a CUDA error (stand-in for the card)",
        targets={"engine": engine_card_lost}, recovers="next runtime",
    ),
    "card full": Fault(
        "no memory on the card, not even for a tile (stand-in for the card)",
        targets={"engine": engine_card_full}, recovers="next runtime",
    ),
    "card small": Fault(
        "memory on the card for a tile, not for the frame (stand-in for the card)",
        targets={"engine": engine_card_small}, recovers="next runtime",
    ),
    "camera unplugged": Fault(
        "camera unplugged, for good", targets={"capture": capture_unplugged}
    ),
    "camera back": Fault(
        "camera unplugged for 5 s", targets={"capture": capture_unplugged_for_a_while},
        recovers="camera",
    ),
    "ROI from outside": Fault(
        "ROI set behind the program's back",
        targets={"capture": capture_roi_behind_its_back}, recovers="camera",
    ),
    "binning from outside": Fault(
        "binning set behind the program's back",
        targets={"capture": capture_binning_behind_its_back}, recovers="camera",
    ),
    "ROI changed": Fault("ROI changed while recording", _roi),
    "ring overflows": Fault(
        "camera thread held up for 3 s, ring of 16 MB overflows",
        targets={"capture": capture_too_slow}, recovers="camera", buffer_mb=16,
    ),
    "disk full": Fault(
        "disk full", targets={"capture": capture_on_a_full_disk}, save_format="ome-tiff"
    ),
    "slow disk": Fault(
        "disk slower than the camera (80 ms more a frame)",
        targets={"capture": capture_on_a_slow_disk},
    ),
    "disk too slow": Fault(
        "disk slower than the camera (200 ms more a frame), memory for 40 frames",
        targets={"capture": capture_on_a_disk_that_cannot_keep_up},
    ),
    "clock set back": Fault(
        "clock set back by an hour", targets={"capture": capture_with_clock_set_back}
    ),
    "SIGTERM": Fault("SIGTERM", _sigterm, frames=None),
    "capture killed": Fault("capture process killed (SIGKILL)", _kill("capture"), frames=None),
    "last chunk cut": Fault("last chunk cut in half (OME-Zarr)", after=_truncate, frames=80),
    "last page cut": Fault(
        "last page cut in half (OME-TIFF)", after=_truncate, frames=80, save_format="ome-tiff"
    ),
}  # fmt: skip


# -- one run ------------------------------------------------------------------------------------


def run(name: str, folder: Path) -> Outcome:
    """Do it to a run that records into `folder`."""
    fault = FAULTS[name]
    rig = load_rig("mmcore_demo")
    if fault.buffer_mb is not None:
        rig = msgspec.structs.replace(
            rig, source=msgspec.structs.replace(rig.source, buffer_size_mb=fault.buffer_mb)
        )
    waits = fault.recovers in ("engine", "next runtime", "view")
    frames = _FRAMES_TO_COME_BACK if waits else fault.frames
    suffix = ".ome.zarr" if fault.save_format == "ome-zarr" else ".ome.tif"
    raw = folder / f"raw{suffix}"
    state: dict[str, Any] = {"at_ns": None, "begun_s": time.monotonic()}
    with PrivateEndpoints() as endpoint:
        ends = RunEndpoints(endpoint("control"), endpoint("raw"), endpoint("restored"))
        plan = RunPlan(
            rig=rig, engine=ENGINE, endpoints=ends, frames=frames, raw_path=raw,
            restored_path=folder / f"restored{suffix}", record_folder=folder,
            save_format=fault.save_format, stop_on_write_error=True, seconds=40.0,
            camera_patience_s=8.0,
        )  # fmt: skip
        targets: dict[str, Target] = {"engine": engine_process, "capture": capture_process}
        supervisor = Supervisor(
            plan, {**targets, **fault.targets}, engine_patience_s=30.0,
            on_status=lambda status: _watch(status, fault, supervisor, plan, state),
        )  # fmt: skip
        result = supervisor.run()
    if result.interrupted and fault.act is not _sigterm:
        # Ctrl-C, or `_watch`: what was measured would be another fault than that of the row.
        raise SystemExit(f"interrupted while measuring: {fault.words}; no table was written")
    told = "" if fault.after is None else fault.after(folder)
    outcome = _read(fault, folder, result)
    outcome.seen = outcome.seen or told
    outcome.recovery_s = _recovery_s(fault, folder, state)
    return outcome


def _watch(
    status: RunStatus, fault: Fault, supervisor: Supervisor, plan: RunPlan, state: dict[str, Any]
) -> None:
    if status.state == "starting" and time.monotonic() - state["begun_s"] > _LONGEST_START_S:
        _sigterm(supervisor, plan)
    ready = fault.recovers != "view" or _has_qt(supervisor.pids().get("view"))
    begun = status.captured >= FAULT_AT // 2 and status.restored >= 3
    if state["at_ns"] is None and fault.act and ready and begun:
        state["at_ns"] = time.perf_counter_ns()
        state["pid"] = supervisor.pids().get(fault.recovers)
        fault.act(supervisor, plan)
        if fault.recovers == "view":
            watcher = partial(_wait_for_view, supervisor, state)
            threading.Thread(target=watcher, daemon=True).start()


def _wait_for_view(supervisor: Supervisor, state: dict[str, Any]) -> None:
    while "back_ns" not in state:
        pid = supervisor.pids().get("view")
        if pid != state["pid"] and _has_qt(pid):
            state["back_ns"] = time.perf_counter_ns()
        time.sleep(0.02)


def _has_qt(pid: int | None) -> bool:
    with contextlib.suppress(OSError):
        return pid is not None and "libQt6Widgets" in Path(f"/proc/{pid}/maps").read_text()
    return False


def _read(fault: Fault, folder: Path, result: RunResult) -> Outcome:
    outcome = Outcome(fault.words, exit_code=result.exit_code)
    numbers: set[int] = set()
    torn: list[str] = []
    for raw in sorted(folder.glob("raw*.ome.*")):
        with open_movie(raw) as movie:
            headers = [movie.header(index) for index in range(len(movie))]
        found = [header for header in headers if header is not None]
        numbers |= {header.number for header in found}
        outcome.lost_at_camera = max([outcome.lost_at_camera, *(h.lost_before for h in found)])
        words, readable = _torn(raw)
        outcome.readable += readable
        torn += [] if words == "none" else [words]
    outcome.torn = "; ".join(torn) or "none"
    capture = result.capture
    outcome.captured = capture.captured
    absent = sorted(set(range(capture.captured + capture.lost)) - numbers)
    outcome.missing = _ranges(absent)
    lines = [*result.notices, *([result.failure] if result.failure else [])]
    ordinary = ("engine '", "the rig has no")
    outcome.seen = " / ".join(
        dict.fromkeys(line.replace(f"{folder}/", "") for line in lines
                      if not line.startswith(ordinary) or "no memory" in line or "failed" in line)
    )  # fmt: skip
    outcome.more = {"restored": capture.restored, "dropped": capture.dropped}
    return outcome


def _torn(raw: Path) -> tuple[str, int]:
    bad, good = [], 0
    with open_movie(raw) as movie:
        for index in range(len(movie)):
            record = movie.record(index)
            assert record is not None
            try:
                whole = crc32(movie[index]) == record.crc32
            except UserError:
                whole = False
            good += whole
            bad += [] if whole else [record.header.number]
    return _ranges(bad), good


def _recovery_s(fault: Fault, folder: Path, state: dict[str, Any]) -> float | None:
    at_ns = state["at_ns"]
    if fault.recovers == "view":
        return (state["back_ns"] - at_ns) / 1e9 if "back_ns" in state else None
    if fault.recovers == "camera":
        times = _times(folder, "raw", lambda record: record.header.captured_ns)
        return max(after - before for before, after in itertools.pairwise(times)) / 1e9
    if fault.recovers not in ("engine", "next runtime"):
        return None
    raised = folder / "raised"
    if raised.exists():
        at_ns = int(raised.read_text())
    if at_ns is None:
        return None
    if fault.recovers == "next runtime":
        times = _times(folder, "restored", lambda record: record.provenance.finished_ns)
        return next(((ended - at_ns) / 1e9 for ended in times if ended > at_ns), None)
    # The engine that was started again writes a file of its own.
    ended = _times(folder, "restored_001", lambda record: record.provenance.finished_ns)
    return (ended[0] - at_ns) / 1e9 if ended else None


def _times(folder: Path, stem: str, of: Callable[[Any], int]) -> list[int]:
    times = []
    for path in sorted(folder.glob(f"{stem}*.ome.*")):
        with open_movie(path) as movie:
            times += [of(movie.record(index)) for index in range(len(movie))]
    return sorted(times)


def _ranges(numbers: list[int]) -> str:
    """Such as "3, 7-9", or "none"."""
    parts: list[list[int]] = []
    for number in numbers:
        if parts and number == parts[-1][-1] + 1:
            parts[-1] = [parts[-1][0], number]
        else:
            parts.append([number, number])
    words = [f"{a}" if a == b else f"{a}-{b}" for a, b in parts]
    shown = ", ".join(words[:4]) + (f" and {len(words) - 4} more gaps" if len(words) > 4 else "")
    return shown or "none"


def kept_rows(page: str) -> dict[str, str]:
    """Fault -> row, of the table that is in `page`, for faults that there are still."""
    words = {fault.words for fault in FAULTS.values()}
    rows = page.split(BEGIN)[1].split(END)[0].splitlines()
    found = {row.split(" | ")[0].lstrip("| "): row for row in rows if row.startswith("| ")}
    return {fault: row for fault, row in found.items() if fault in words}


def table(outcomes: list[Outcome], kept: dict[str, str] | None = None) -> str:
    """The rows, as Markdown; those of `kept` that were not measured now stand as they are."""
    rows = [
        "| fault | captured | lost at the camera | missing in the raw file | torn in it "
        "| back after | what the user sees |",
        "|---|---|---|---|---|---|---|",
    ]
    made = dict(kept or {})
    for one in outcomes:
        back = "" if one.recovery_s is None else f"{one.recovery_s:.1f} s"
        seen = one.seen.replace("|", "\\|") or "nothing"
        made[one.fault] = (
            f"| {one.fault} | {one.captured} | {one.lost_at_camera} | {one.missing} | {one.torn} "
            f"| {back} | {seen} |"
        )
    rows += [made[fault.words] for fault in FAULTS.values() if fault.words in made]
    later = "; the other rows are of an earlier call" if len(made) > len(outcomes) else ""
    if sys.platform == "win32":
        raise OSError(_ELSEWHERE)
    load = os.getloadavg()[0]
    rows += [
        "",
        f"Measured on {os.cpu_count()} cores ({platform.machine()}), load average {load:.1f} at "
        f"the end, Python {platform.python_version()}: {len(outcomes)} rows{later}.",
    ]
    return "\n".join(rows)


def main() -> int:
    """Run them all, or some."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--only", nargs="+", choices=FAULTS, metavar="NAME")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--add", type=Path, help="rows of an earlier --json that are not run now")
    parser.add_argument("--table", type=Path, help="with --only the other rows stay")
    options = parser.parse_args()
    if sys.platform == "win32":
        parser.error("needs the signals, limits and /proc of Linux")
    earlier = {}
    if options.add is not None:
        rows = json.loads(options.add.read_text(encoding="utf-8"))
        earlier = {row["fault"]: Outcome(**row) for row in rows}
    outcomes = []
    chosen = [name for name in FAULTS if name in (options.only or FAULTS)]
    for name, fault in FAULTS.items():
        if name not in chosen:
            outcomes += [earlier[fault.words]] if fault.words in earlier else []
            continue
        sys.stderr.write(f"[{chosen.index(name) + 1}/{len(chosen)}] {fault.words} ...\n")
        with tempfile.TemporaryDirectory() as place:
            folder = Path(place)
            outcomes.append(run(name, folder))
        sys.stderr.write(f"{name}: {json.dumps(asdict(outcomes[-1]), ensure_ascii=False)}\n")
    if options.json is not None:
        text = json.dumps([asdict(one) for one in outcomes], indent=2, ensure_ascii=False)
        options.json.write_text(text + "\n", encoding="utf-8")
    page = "" if options.table is None else options.table.read_text(encoding="utf-8")
    made = table(outcomes, kept_rows(page) if page and options.only else None)
    if options.table is not None:
        before, rest = page.split(BEGIN)
        after = rest.split(END)[1]
        page = f"{before}{BEGIN}\n{made}\n{END}{after}"
        options.table.write_text(page, encoding="utf-8")
    sys.stdout.write(made + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
