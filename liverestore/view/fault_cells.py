"""Camera and disk in the status line, and what is said while one of them fails; no Qt."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from liverestore.view.cell import NOT_KNOWN, Cell, Tone, fps_text, time_left_text
from liverestore.view.light_text import paused_text

if TYPE_CHECKING:
    from liverestore.status import RunStatus
    from liverestore.status_camera import Absence

__all__ = ["absent_text", "capture_cell", "disk_cell", "still_text"]

_DISK_WARN_S = 600.0
_DISK_ALARM_S = 60.0
_QUEUE_SHOWN, _QUEUE_WARN, _QUEUE_ALARM = 0.1, 0.5, 0.8


def absent_text(absence: Absence) -> str:
    """Over the image of a camera that is away: since when, and when it is tried again."""
    since = datetime.fromisoformat(absence.from_utc).astimezone()
    if absence.next_try_s is None:
        again = "waiting for its first frame"
    else:
        again = f"tried again in {max(1.0, absence.next_try_s):.0f} s"
    return f"no camera since {since:%H:%M:%S} - {again}; check its cable and power"


def still_text(status: RunStatus | None) -> str:
    """Why no frames come although the run goes on; empty where they do."""
    if status is None or status.state != "running":
        return ""
    if status.absence is not None:
        return absent_text(status.absence)
    if status.live:
        return ""
    return paused_text(status.light, followed=status.unseen is not None)


def capture_cell(status: RunStatus | None) -> Cell:
    """The rate of the camera, or that there is none."""
    if status is not None and status.absence is not None and status.state == "running":
        why = f"{absent_text(status.absence)}\n{status.absence.reason}"
        return Cell("CAPTURE", "no camera", Tone.ALARM, why)
    rate = fps_text(status.capture_fps if status else None)
    return Cell("CAPTURE", rate, detail="from the camera")


def disk_cell(status: RunStatus | None) -> Cell:
    """How long the disk lasts, or how full the memory is where frames wait for it."""
    left_s = status.disk_left_s if status is not None else None
    waits = status.disk_queue if status is not None else None
    if status is None or status.recording is None or (left_s is None and not waits):
        return Cell("DISK", NOT_KNOWN, Tone.MUTED, "time until the disk is full, while recording")
    full = "" if left_s is None else time_left_text(left_s)
    detail = f"the disk of the recording is full in {full} at this rate" if full else ""
    if waits is not None and waits >= _QUEUE_SHOWN:
        percent = int(100 * waits)
        tone = Tone.NORMAL
        if waits >= _QUEUE_WARN:
            tone = Tone.ALARM if waits >= _QUEUE_ALARM else Tone.WARN
        words = (
            f"frames wait in memory for the disk: {percent} % of what is allowed; at 100 % the "
            "recording stops, and nothing after it is kept"
        )
        return Cell("DISK", f"{percent} % waiting", tone, f"{words}\n{detail}".strip())
    tone = Tone.NORMAL
    if left_s is not None and left_s < _DISK_WARN_S:
        tone = Tone.ALARM if left_s < _DISK_ALARM_S else Tone.WARN
    return Cell("DISK", full or NOT_KNOWN, tone, detail)
