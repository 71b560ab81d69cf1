"""What a run reports of itself, and what it can be told: the control channel's words."""

from __future__ import annotations

from typing import Literal

import msgspec

from liverestore.status_camera import Absence
from liverestore.status_commands import (
    Command,
    MeasureExposure,
    NewSample,
    SetBudget,
    SetDpm,
    SetEngine,
    SetExposure,
    SetHold,
    SetLive,
    SetRecording,
    SetRival,
    SetRoi,
    SetTrustMap,
    SetZ,
    SetZStack,
    Snap,
    Stop,
    StopMeasuring,
)
from liverestore.status_exposure import ExposureReport
from liverestore.status_light import LightReport, TrustSeen
from liverestore.trust.reference_report import ReferenceReport
from liverestore.trust.trust_map import TrustMap
from liverestore.trust.verdict import Verdict

__all__ = [
    "Absence",
    "CaptureReport",
    "Command",
    "EngineReport",
    "ExposureReport",
    "Failed",
    "Go",
    "Hello",
    "LightReport",
    "MeasureExposure",
    "NewSample",
    "Notice",
    "RecordingReport",
    "RestoredReport",
    "RunState",
    "RunStatus",
    "SaveRestored",
    "SetBudget",
    "SetDpm",
    "SetEngine",
    "SetExposure",
    "SetHold",
    "SetLive",
    "SetRecording",
    "SetRival",
    "SetRoi",
    "SetTrustMap",
    "SetZ",
    "SetZStack",
    "Snap",
    "Stop",
    "StopMeasuring",
    "TrustSeen",
    "ViewReport",
    "Word",
]

RunState = Literal["starting", "running", "stopped", "failed"]


class _Word(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag=True):
    pass


class RunStatus(_Word, frozen=True, kw_only=True):
    """Counts and rates of a run at one moment. None: not known (yet)."""

    state: RunState
    rig: str
    engine: str | None = None
    runtime: str | None = None
    captured: int = 0
    """Frames received from the camera."""
    lost: int = 0
    """Frames lost at the camera (gaps in its numbering)."""
    unseen: int | None = None
    """Images of another program that came and went between two looks; none was lost. None:
    the camera is driven here."""
    written: int = 0
    """Raw frames on disk: of the present recording, or without one of the whole run."""
    restored: int = 0
    dropped: int = 0
    """Frames that were not restored: a newer one was there, restoring failed, or the engine
    had not finished with them at the end."""
    capture_fps: float | None = None
    restore_fps: float | None = None
    age_ms: float | None = None
    """Median time from capture to result over the last frames."""
    recording: str | None = None
    """Where raw frames go; None when nothing is saved. After the run: the last file made."""
    light: LightReport | None = None
    """None where no light is accounted, as with a replayed movie."""
    exposure: ExposureReport | None = None
    """The search for the exposure; None likewise."""
    live: bool = True
    """Whether the camera delivers frames; while it does not, no light is spent."""
    absence: Absence | None = None
    """Of a camera that is away and comes back by itself; None while it is there."""
    disk_queue: float | None = None
    """Share (0..1) of the memory for frames that wait for the disk; at 1 the next one is lost."""
    disk_left_s: float | None = None
    """Time until the disk of the recording is full, at the present rate."""
    rival: str | None = None
    """Second engine that restores the same frames, to be compared with the first."""
    runtime_reason: str | None = None
    """Why this runtime serves and no faster one."""
    engines: dict[str, str] = {}
    """Channel -> engine, where it is another one than `engine`."""
    loading: str | None = None
    """Engine that is being made ready and takes over then, several with commas; those in use go
    on meanwhile."""
    dpm: str | None = None
    """Surface in um that refocusing engines restore to (see `dpm.parse_dpm`); None while no
    engine in use refocuses."""
    reach_um: float | None = None
    """How far, above and below the plane in focus, all of them reach."""
    zstack: str | None = None
    """As in `EngineReport`."""
    trust: dict[str, Verdict] = {}
    trust_map: TrustMap | None = None
    reference: ReferenceReport | None = None
    notices: tuple[str, ...] = ()
    """Things a person should know now, one line each, oldest first."""
    events: tuple[str, ...] = ()
    """What went as it should and is still worth a line, oldest first."""

    @property
    def measuring(self) -> bool:
        """Whether Live pauses for a search for the exposure."""
        return self.exposure is not None and self.exposure.state == "measuring"


class Hello(_Word, frozen=True, kw_only=True):
    """A process of the run is there."""

    pid: int
    version: str = ""
    """Of liverestore; "" of one that did not say it yet."""


class Go(_Word, frozen=True, kw_only=True):
    """Everyone who should see the first frame is ready: start the camera."""


class Notice(_Word, frozen=True, kw_only=True):
    """One line for the person at the microscope."""

    text: str
    ordinary: bool = False
    """Whether it went as it should: it is told, and asks for no attention."""


class Failed(_Word, frozen=True, kw_only=True):
    """A process cannot go on; its last word."""

    text: str
    exit_code: int


class CaptureReport(_Word, frozen=True, kw_only=True):
    """Counts of the capture process."""

    phase: Literal["ready", "running", "ended"]
    captured: int = 0
    lost: int = 0
    unseen: int | None = None
    """As in `RunStatus`."""
    recorded: int = 0
    """Frames that were given to the writer, all recordings of the run together."""
    written: int = 0
    """Those of them that are on disk."""
    write_error: str | None = None
    """Why a recording stopped; the frames from then on are not on disk."""
    disk_queue: float | None = None
    """As in `RunStatus`; None while nothing is recorded."""
    live: bool = True
    """False while the camera is paused."""
    recording: str | None = None
    """Raw file that takes the next frame; None when nothing is saved."""
    restored: int = 0
    """Frames that the engine acknowledged."""
    dropped: int = 0
    fps: float | None = None
    shape: tuple[int, int] | None = None
    dtype: str | None = None
    light: LightReport | None = None
    absences: tuple[Absence, ...] = ()
    """Times of the run in which the camera was away, oldest first."""
    exposure: ExposureReport | None = None
    references: tuple[RecordingReport, ...] = ()
    """Files of reference shots, oldest first; they belong to no recording."""


class RecordingReport(_Word, frozen=True, kw_only=True):
    """One raw file of the run, as the capture process knows it."""

    index: int
    """0 for the first recording of the run, and so on."""
    raw: str
    restored: str | None
    """Where the restored frames of the same recording belong; None: nowhere."""
    state: Literal["open", "closing", "closed"]
    """Closing: it takes no more frames, and some still wait for the disk."""
    first: int | None = None
    """Number of its first frame and of its last one so far; None before the first."""
    last: int | None = None
    frames: int = 0
    """On disk."""
    lost: int = 0
    """Frames from `first` to `last` that are not and will not be on disk."""
    error: str | None = None
    """Why it ended, where nobody asked for it; names the first frame that is lost."""


class SaveRestored(_Word, frozen=True, kw_only=True):
    """Where results belong: those of the frames `first` to `last`, which are recorded.

    Sent again as `last` grows. None: that recording has ended with frame `last`.
    """

    path: str | None
    first: int = 0
    last: int = -1


class RestoredReport(_Word, frozen=True, kw_only=True):
    """One file of restored frames, as the engine process knows it."""

    path: str
    asked: str
    """The name that was wanted; an engine that was started again takes another."""
    closed: bool
    frames: int = 0
    planes: int = 1
    """Of each virtual stack, where it is a file of stacks; `frames` counts each of them."""
    error: str | None = None


class EngineReport(_Word, frozen=True, kw_only=True):
    """Counts and times of the engine process."""

    engine: str
    runtime: str
    runtime_reason: str | None = None
    """Why this runtime serves and no faster one."""
    engines: dict[str, str] = {}
    """Channel -> engine, where it is another one than `engine`."""
    rival: str | None = None
    """Second engine that restores each frame as well."""
    loading: str | None = None
    """Engine that is being made ready; several with commas."""
    dpm: str | None = None
    """Surface that refocusing engines restore to; None while no engine in use refocuses."""
    dpm_asked: str | None = None
    """The one that was asked for, which may not fit the frames; None: none was."""
    reach_um: float | None = None
    """The least reach of the refocusing engines in use."""
    zstack: str | None = None
    """Virtual stack that refocusing engines make of each frame, START:STOP:STEP in um; None:
    none, or no engine in use refocuses."""
    zstack_asked: str | None = None
    """The one that was asked for, in effect as soon as an engine refocuses; None: none was."""
    trust: dict[str, Verdict] = {}
    """Channel ("" where frames name none) -> what the data say about its restored images."""
    trust_map: TrustMap | None = None
    reference: ReferenceReport | None = None
    """Of the newest reference shot that was looked at; None before the first."""
    ready: bool = False
    restored: int = 0
    failed: int = 0
    fps: float | None = None
    wait_p50_ms: float | None = None
    """Age of a frame when its restoring starts."""
    age_p50_ms: float | None = None
    """Time from capture to result."""
    age_p95_ms: float | None = None
    recent_age_ms: float | None = None
    """Median of the last frames alone."""


class ViewReport(_Word, frozen=True, kw_only=True):
    """The rate at which the view shows new frames."""

    fps: float | None = None


Word = (
    RunStatus
    | Hello
    | Go
    | Notice
    | Failed
    | CaptureReport
    | RecordingReport
    | SaveRestored
    | RestoredReport
    | EngineReport
    | ViewReport
    | TrustSeen
    | Command
)
