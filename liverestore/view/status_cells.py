"""The status line: rates, age by stage, losses, disk and runtime, in words; no Qt."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import PurePath
from statistics import median
from typing import TYPE_CHECKING

from liverestore.view.cell import NOT_KNOWN, Cell, Tone, count_text, time_left_text
from liverestore.view.cell import fps_text as _fps
from liverestore.view.fault_cells import capture_cell, disk_cell

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from liverestore.frame import Frame, FrameHeader, Restored
    from liverestore.status import RunStatus
    from liverestore.view.pairing import Shown

__all__ = [
    "NOT_KNOWN",
    "Ages",
    "Cell",
    "Measured",
    "Tone",
    "cells",
    "cells_of_channels",
    "count_text",
    "duration_text",
    "runtime_text",
    "time_left_text",
]

_PLUS = "\u202f+\u202f"


@dataclass(frozen=True, slots=True)
class Ages:
    """Where the time from the camera to the screen goes, in ms; one machine's clock."""

    wait_ms: float
    """From capture until restoring starts."""
    restore_ms: float
    paint_ms: float
    """From the result until it is handed to the screen."""

    @classmethod
    def of(cls, restored: Restored, painted_ns: int) -> Ages:
        """Of a result that was painted at `painted_ns` (`time.perf_counter_ns()`)."""
        made, captured_ns = restored.provenance, restored.source.header.captured_ns
        finished_ns = made.finished_ns
        if restored.rival is not None:
            # The first result waits for the second one: they are shown together.
            finished_ns = max(finished_ns, restored.rival.provenance.finished_ns)
        spans_ns = (
            made.started_ns - captured_ns,
            finished_ns - made.started_ns,
            painted_ns - finished_ns,
        )
        return cls(*(max(0, ns) / 1e6 for ns in spans_ns))

    @classmethod
    def median(cls, ages: Collection[Ages]) -> Ages | None:
        """Stage by stage; None without any."""
        if not ages:
            return None
        return cls(
            median(a.wait_ms for a in ages),
            median(a.restore_ms for a in ages),
            median(a.paint_ms for a in ages),
        )

    @property
    def rounded(self) -> tuple[int, int, int]:
        """(wait, restore, paint) in whole ms; their sum is the age that is displayed."""
        return (round(self.wait_ms), round(self.restore_ms), round(self.paint_ms))


@dataclass(frozen=True, slots=True)
class Measured:
    """What the view itself measures, at its own rate."""

    view_fps: float | None = None
    saturated: float | None = None
    """Share (0..1) of the raw frame's pixels at the camera's highest count."""
    ages: Ages | None = None
    """Medians over the last results that were painted."""
    not_shown: int = 0
    """Pairs that a newer one replaced before the screen was ready for them."""


def duration_text(ms: float) -> str:
    """A short time, read at a glance.

    >>> duration_text(41.4), duration_text(12_345), duration_text(123_456)
    ('41 ms', '12.3 s', '123 s')
    """
    if ms < 10_000:
        return f"{ms:.0f} ms"
    return f"{ms / 1000:.1f} s" if ms < 100_000 else f"{ms / 1000:.0f} s"


def _short_count(number: int) -> str:
    """`number` in at most four characters; the tool tip has it whole."""
    for unit in ("", "k", "M"):
        if number < 1000:
            return f"{number}{unit}"
        number //= 1000
    return f"{number}G"


def runtime_text(runtime: str) -> str:
    """`runtime` without versions and makers, so that what computes, and how, is on the screen.

    >>> runtime_text("openvino 2026.4.1 CPU bf16")
    'openvino CPU bf16'
    >>> runtime_text("torch 2.9.1+cu128 NVIDIA GeForce RTX 4090 fp16")
    'torch RTX 4090 fp16'
    """
    return re.sub(r"(?<=\S)\s+v?\d+(\.\d+)+\S*|\b(NVIDIA|GeForce)\s+", "", runtime)


def _percent(share: float | None) -> str:
    if share is None:
        return NOT_KNOWN
    percent = 100.0 * share
    return "< 0.01 %" if 0 < percent < 0.01 else f"{percent:.2f} %"


def _age_ms(header: FrameHeader, now_ns: int) -> float:
    return max(0.0, (now_ns - header.captured_ns) / 1e6)


def _age_cell(frame: Frame | None, ages: Ages | None, now_ns: int, flowing: bool) -> Cell:
    if frame is None:
        return Cell("AGE", NOT_KNOWN, Tone.MUTED, "from the camera to the screen")
    age = _age_ms(frame.header, now_ns)
    wait, restore, paint = (0, 0, 0) if ages is None else ages.rounded
    total = wait + restore + paint
    limit = max(1000.0, 3.0 * (frame.header.exposure_ms or 0.0))
    if flowing and age - total > limit:
        detail = "the frame on the screen is that old, and no newer one comes"
        return Cell("AGE", duration_text(age), Tone.WARN, detail)
    if ages is None:
        return Cell("AGE", duration_text(age), detail="since the frame came from the camera")
    detail = (
        f"{duration_text(total)} from the camera to the screen:\n"
        f"{wait} ms until restoring started\n{restore} ms restoring\n"
        f"{paint} ms until painted"
    )
    # With more digits it would not fit; the tool tip has it always.
    aside = _PLUS.join(f"{part}" for part in ages.rounded) if total < 2000 else ""
    tone = Tone.WARN if flowing and total > limit else Tone.NORMAL
    return Cell("AGE", duration_text(total), tone, detail, aside)


def _loss_cells(status: RunStatus | None, measured: Measured) -> tuple[Cell, Cell]:
    if status is None:
        return Cell("LOST", NOT_KNOWN, Tone.MUTED), Cell("DROPPED", NOT_KNOWN, Tone.MUTED)
    lost = Cell(
        "LOST",
        count_text(status.lost),
        Tone.ALARM if status.lost > 0 else Tone.NORMAL,
        "frames lost at the camera: they exist nowhere",
    )
    if status.unseen is not None:
        seen_there = "images that Micro-Manager had between two looks: they are in no file here"
        lost = Cell("LOST", count_text(status.unseen), detail=seen_there, label="NOT SEEN")
    detail = "frames that the engine skipped because a newer one was there"
    if measured.not_shown > 0:
        detail += f"\n{count_text(measured.not_shown)} more were restored and not shown (display)"
    if measured.view_fps is not None and status.restore_fps is not None:
        detail += (
            f"\nthe screen shows {_fps(measured.view_fps)}, restored are "
            f"{_fps(status.restore_fps)}; it shows the newest"
        )
    aside = f"+\u202f{_short_count(measured.not_shown)}" if measured.not_shown > 0 else ""
    dropped = Cell("DROPPED", count_text(status.dropped), detail=detail, aside=aside)
    return lost, dropped


def _written_cell(status: RunStatus | None) -> Cell:
    if status is None:
        return Cell("WRITTEN", NOT_KNOWN, Tone.MUTED)
    if status.recording is None:
        return Cell(
            "WRITTEN",
            "not saved",
            Tone.WARN,
            "raw frames are not being saved; Record keeps them",
        )
    # Either separator: the run may be on another system than the view.
    name = PurePath(status.recording.replace("\\", "/")).name or status.recording
    return Cell("WRITTEN", f"{count_text(status.written)} → {name}", detail=status.recording)


def _runtime_cell(status: RunStatus | None, shown: Shown) -> Cell:
    runtime = status.runtime if status is not None else None
    if runtime is None and shown.restored is not None:
        runtime = shown.restored.provenance.runtime
    if runtime is None:
        return Cell("RUNTIME", NOT_KNOWN, Tone.MUTED)
    reason = status.runtime_reason if status is not None else None
    return Cell(
        "RUNTIME", runtime_text(runtime), detail=f"{runtime}\n{reason}" if reason else runtime
    )


def _saturated_cell(share: float | None, of: str = "") -> Cell:
    tone = Tone.ALARM if share is not None and share > 0 else Tone.NORMAL
    detail = "pixels of the raw frame at the camera's highest count"
    return Cell("SATURATED", _percent(share), tone, detail + of)


def cells_of_channels(
    lead: tuple[Cell, ...], view_fps: float | None, saturated: Mapping[str, float | None]
) -> tuple[Cell, ...]:
    """`lead`, the cells of one channel, where several are on the screen together.

    `view_fps` is the sum of their rates; of `saturated`, shares (0..1) by the names of the
    channels, the worst one is shown and all of them are told.
    """
    known = [share for share in saturated.values() if share is not None]
    of = "".join(f"\n{name}: {_percent(share)}" for name, share in saturated.items())
    if known and max(known) > 0:
        worst = max(saturated, key=lambda name: saturated[name] or 0.0)
        of = f", most of them in {worst}{of}"
    changed = {
        "VIEW": Cell("VIEW", _fps(view_fps), detail="on this screen, all channels together"),
        "SATURATED": _saturated_cell(max(known, default=None), of),
    }
    return tuple(changed.get(cell.name, cell) for cell in lead)


def cells(
    status: RunStatus | None, measured: Measured, shown: Shown, now_ns: int
) -> tuple[Cell, ...]:
    """The status line, left to right. `now_ns` is `time.perf_counter_ns()`."""
    lost, dropped = _loss_cells(status, measured)
    saturated = measured.saturated
    running = status is not None and status.state == "running" and status.live
    flowing = status is None or (running and not status.measuring)
    matched = shown.matched
    return (
        capture_cell(status),
        Cell("RESTORE", _fps(status.restore_fps if status else None), detail="by the engine"),
        Cell("VIEW", _fps(measured.view_fps), detail="on this screen"),
        _age_cell(shown.raw, measured.ages if matched else None, now_ns, flowing),
        lost,
        dropped,
        _saturated_cell(saturated),
        _written_cell(status),
        disk_cell(status),
        _runtime_cell(status, shown),
    )
