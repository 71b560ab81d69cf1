"""What is to be painted, resolved without Qt: a frozen state that the window applies."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from pathlib import PurePath
from typing import TYPE_CHECKING

from liverestore.frame import Frame
from liverestore.view.pairing import EngineSign, Shown

if TYPE_CHECKING:
    from liverestore.frame import FrameHeader, Restored
    from liverestore.rig import CameraConfig
    from liverestore.status import RunStatus
    from liverestore.view.levels import Levels

__all__ = [
    "Cell",
    "DisplayState",
    "Measured",
    "PaneState",
    "Tone",
    "both_readouts",
    "cells",
    "photoelectrons",
    "readout",
    "resolve",
]

NOT_KNOWN = "\u2013"


class Tone(Enum):
    """How urgently a text is to be seen."""

    NORMAL = "normal"
    MUTED = "muted"
    WARN = "warn"
    ALARM = "alarm"


@dataclass(frozen=True, slots=True)
class Cell:
    """One entry of the status line."""

    name: str
    value: str
    tone: Tone = Tone.NORMAL
    detail: str = ""
    """The whole text where `value` is a short form; empty where it is not."""


@dataclass(frozen=True, slots=True)
class Measured:
    """What the view itself measures, at its own rate."""

    view_fps: float | None = None
    saturated: float | None = None
    """Share (0..1) of the raw frame's pixels at the camera's highest count."""


@dataclass(frozen=True, slots=True, eq=False)
class PaneState:
    """One pane: an image or the reason why there is none, and what is written around it."""

    image: Frame | Restored | None
    title: str
    caption: str
    frame_label: str
    waiting: str = ""
    """Said in the middle of an empty pane."""
    details: str = ""
    """Said under the image where there is no read-out."""
    banner: str = ""
    """Said over the image when it is not what one would take it for."""
    cautions: tuple[str, ...] = ()
    """What the data cannot support, in the engine's words."""
    dimmed: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class DisplayState:
    """All that the window paints. Levels and LUT are the same for both panes."""

    raw: PaneState
    restored: PaneState
    levels: Levels | None
    lut: str
    pixel_size_um: float | None
    cells: tuple[Cell, ...]
    notices: tuple[str, ...]
    run_text: str
    run_tone: Tone

    @property
    def header(self) -> FrameHeader | None:
        """Of the raw frame on the screen."""
        return self.raw.image.header if isinstance(self.raw.image, Frame) else None


def _duration(ms: float) -> str:
    if ms < 10_000:
        return f"{ms:.0f} ms"
    return f"{ms / 1000:.1f} s" if ms < 100_000 else f"{ms / 1000:.0f} s"


def _fps(rate: float | None) -> str:
    if rate is None:
        return NOT_KNOWN
    return f"{rate:.0f} fps" if rate >= 99.5 else f"{rate:.1f} fps"


def _count(number: int) -> str:
    # A narrow no-break space keeps the thousands apart in every language.
    return f"{number:,}".replace(",", "\u202f")


def _percent(share: float | None) -> str:
    if share is None:
        return NOT_KNOWN
    percent = 100.0 * share
    return "< 0.01 %" if 0 < percent < 0.01 else f"{percent:.2f} %"


def age_ms(header: FrameHeader, now_ns: int) -> float:
    """Time since the frame reached this program, in ms; clocks of one machine only."""
    return max(0.0, (now_ns - header.captured_ns) / 1e6)


def _age_cell(frame: Frame | None, now_ns: int, running: bool) -> Cell:
    if frame is None:
        return Cell("AGE", NOT_KNOWN, Tone.MUTED)
    age = age_ms(frame.header, now_ns)
    old = running and age > max(1000.0, 3.0 * (frame.header.exposure_ms or 0.0))
    return Cell("AGE", _duration(age), Tone.WARN if old else Tone.NORMAL)


def _loss_cells(status: RunStatus | None) -> tuple[Cell, Cell]:
    if status is None:
        return Cell("LOST", NOT_KNOWN, Tone.MUTED), Cell("DROPPED", NOT_KNOWN, Tone.MUTED)
    lost = Cell(
        "LOST",
        _count(status.lost),
        Tone.ALARM if status.lost > 0 else Tone.NORMAL,
        "frames lost at the camera: they exist nowhere",
    )
    dropped = Cell(
        "DROPPED",
        _count(status.dropped),
        detail="frames that the engine skipped because a newer one was there",
    )
    return lost, dropped


def _written_cell(status: RunStatus | None) -> Cell:
    if status is None:
        return Cell("WRITTEN", NOT_KNOWN, Tone.MUTED)
    if status.recording is None:
        return Cell("WRITTEN", "not saved", Tone.WARN, "raw frames are not being saved")
    # Either separator: the run may be on another system than the view.
    name = PurePath(status.recording.replace("\\", "/")).name or status.recording
    return Cell("WRITTEN", f"{_count(status.written)} → {name}", detail=status.recording)


def cells(
    status: RunStatus | None, measured: Measured, shown: Shown, now_ns: int
) -> tuple[Cell, ...]:
    """The status line, left to right. `now_ns` is `time.perf_counter_ns()`."""
    lost, dropped = _loss_cells(status)
    saturated = measured.saturated
    running = status is None or status.state == "running"
    runtime = status.runtime if status is not None else None
    if runtime is None and shown.restored is not None:
        runtime = shown.restored.provenance.runtime
    return (
        Cell("CAPTURE", _fps(status.capture_fps if status else None)),
        Cell("RESTORE", _fps(status.restore_fps if status else None)),
        Cell("VIEW", _fps(measured.view_fps)),
        _age_cell(shown.raw, now_ns, running),
        lost,
        dropped,
        Cell(
            "SATURATED",
            _percent(saturated),
            Tone.ALARM if saturated is not None and saturated > 0 else Tone.NORMAL,
            "pixels of the raw frame at the camera's highest count",
        ),
        _written_cell(status),
        Cell("RUNTIME", runtime or NOT_KNOWN, detail=runtime or ""),
    )


def _frame_label(header: FrameHeader) -> str:
    return f"frame {_count(header.number)}"


def _raw_pane(shown: Shown, status: RunStatus | None) -> PaneState:
    frame = shown.raw
    if frame is None:
        source = f" of {status.rig}" if status is not None else ""
        waiting = f"waiting for the first frame{source}"
        if status is not None and status.state in ("stopped", "failed"):
            waiting = f"the run has {status.state}; no frame arrived"
        return PaneState(None, "raw", "", "", waiting=waiting)
    header = frame.header
    facts = [header.camera]
    if header.channel:
        facts.append(header.channel)
    if header.exposure_ms is not None:
        facts.append(f"{header.exposure_ms:g} ms")
    if header.z_um is not None:
        facts.append(f"z {header.z_um:.2f} µm")
    return PaneState(
        frame, "raw", " · ".join(facts), _frame_label(header), details=_size_text(header)
    )


def _size_text(header: FrameHeader) -> str:
    height, width = header.shape
    text = f"{width} x {height} {header.dtype}"
    if header.bit_depth is not None:
        text += f", {header.bit_depth} bit"
    if header.binning is not None and header.binning > 1:
        text += f", binning {header.binning}"
    if header.pixel_size_um is not None:
        text += f", {header.pixel_size_um:.4g} µm per pixel"
    return text


def _saved_text(status: RunStatus | None) -> str:
    """What is true of the raw frames while nothing is restored; never a promise."""
    if status is None:
        return ""
    if status.recording is None:
        return ", nothing is being saved"
    return ", frames are still recorded"


def _restored_pane(shown: Shown, status: RunStatus | None) -> PaneState:
    running = status is None or status.state in ("starting", "running")
    restored = shown.restored
    if restored is None:
        engine = f" of {status.engine}" if status is not None and status.engine else ""
        waiting = f"waiting for the first restored frame{engine}"
        if not running:
            waiting = "the run has ended without a restored frame"
        elif shown.raw is not None:
            waiting += f"\nraw only{_saved_text(status)}"
        return PaneState(None, "restored", "", "", waiting=waiting)
    made = restored.provenance
    title = f"{made.engine} {made.version}".strip()
    number = _frame_label(restored.source.header)
    banner = ""
    if running and shown.engine is EngineSign.SILENT:
        banner = f"engine not answering - raw only{_saved_text(status)}\nlast result: {number}"
    elif running and shown.engine is EngineSign.BEHIND and shown.raw is not None:
        behind_ms = (shown.raw.header.captured_ns - restored.source.header.captured_ns) / 1e6
        banner = f"this image is {_duration(max(0.0, behind_ms))} older than the raw one"
    return PaneState(
        restored,
        title,
        made.runtime,
        number,
        details=f"made in {_duration((made.finished_ns - made.started_ns) / 1e6)}",
        banner=banner,
        cautions=made.warnings,
        dimmed=running and shown.engine is EngineSign.SILENT,
    )


def _run(status: RunStatus | None) -> tuple[str, Tone]:
    if status is None:
        return "connecting", Tone.MUTED
    tone = {"running": Tone.NORMAL, "failed": Tone.ALARM}.get(status.state, Tone.MUTED)
    return f"{status.rig} · {status.state}", tone


def resolve(
    shown: Shown,
    status: RunStatus | None,
    numbers: tuple[Cell, ...],
    *,
    levels: Levels | None,
    lut: str,
    notices: tuple[str, ...] = (),
) -> DisplayState:
    """All that belongs on the screen.

    `numbers` come from `cells`, which may run at a slower rate; `notices` are the view's
    own and stand after those of the run.
    """
    run_text, run_tone = _run(status)
    return DisplayState(
        raw=_raw_pane(shown, status),
        restored=_restored_pane(shown, status),
        levels=levels,
        lut=lut,
        pixel_size_um=None if shown.raw is None else shown.raw.header.pixel_size_um,
        cells=numbers,
        notices=(*(status.notices if status is not None else ()), *notices),
        run_text=run_text,
        run_tone=run_tone,
    )


def photoelectrons(counts: float, camera: CameraConfig | None) -> float | None:
    """`counts` in photoelectrons by the camera's offset and gain; None where not known."""
    if camera is None or camera.offset_counts is None or camera.gain_e_per_count is None:
        return None
    return (counts - camera.offset_counts) * camera.gain_e_per_count


def readout(frame: Frame | Restored | None, x: int, y: int, camera: CameraConfig | None) -> str:
    """Text for the pixel in column `x` and row `y`; empty outside of the image."""
    if frame is None:
        return ""
    height, width = frame.pixels.shape
    if not (0 <= x < width and 0 <= y < height):
        return ""
    value = float(frame.pixels[y, x])
    whole = frame.pixels.dtype.kind in "ui"
    text = f"x {x}  y {y}    " + (f"{value:.0f} counts" if whole else f"{value:.6g} counts")
    electrons = photoelectrons(value, camera)
    return text if electrons is None else f"{text}    {electrons:.1f} e⁻"


def both_readouts(
    raw: Frame | Restored | None,
    restored: Frame | Restored | None,
    x: int,
    y: int,
    camera: CameraConfig | None,
) -> str:
    """Text for the pixel in column `x` and row `y` of both images; empty outside."""
    first, second = readout(raw, x, y, camera), readout(restored, x, y, camera)
    if not (first and second):
        return first or second
    place = f"x {x}  y {y}    "
    return f"{place}raw {first.removeprefix(place)}    restored {second.removeprefix(place)}"
