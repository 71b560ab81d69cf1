"""Says when a live camera delivers nothing, which frames it lost, and how it stopped."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable

from liverestore.camera.followed import followed_source
from liverestore.camera.source import FrameSource
from liverestore.errors import EndOfStream, Failure, LiverestoreError
from liverestore.frame import Frame

__all__ = ["SNAP_NEEDS_PAUSE", "CameraWatch", "stop_source", "why_ended"]

SNAP_NEEDS_PAUSE = (
    "Snap does nothing while Live is on: every frame is shown, and recorded while recording; "
    "switch Live off first"
)
"""For who snaps a live camera."""

log = logging.getLogger(__name__)

_LEAST_S = 2.0
_FRAMES = 5
"""Of the frames that should have come since the last one, before silence is told."""
_LOSS_TOLD_EVERY_S = 10.0


class CameraWatch:
    """Lines on a live camera: that no frame has come for long, that frames come again, losses.

    Long is 2 s, or five times what lies between two frames where that is more. Losses are told
    at most every ten seconds, with all that came since. After `patience_s` without a frame
    (None: never), or five times what lies between two where that is more, the run is to end.
    Time is handed in, in seconds of any clock that runs evenly.
    """

    def __init__(
        self,
        tell: Callable[[str], None],
        source: object = None,
        patience_s: float | None = None,
    ) -> None:
        """A `source` that follows another program says itself why no image comes."""
        self._tell = tell
        self._tells_itself = followed_source(source) is not None
        self._patience_s = math.inf if patience_s is None else patience_s
        self._since_s: float | None = None
        self._usual_s = 0.0
        self._stalled = False
        self._lost = 0
        """Of the run, as told last, and when."""
        self._lost_told_s: float | None = None
        self._away = False

    def expect(self, *times_ms: float | None) -> None:
        """A frame takes so long: its exposure, or the interval; None where unknown."""
        for time_ms in times_ms:
            self._usual_s = max(self._usual_s, (time_ms or 0.0) / 1e3)

    def heard(self, frame: Frame | None, now_s: float) -> None:
        """What the camera, being live, answered when it was asked for a frame.

        Raises `Failure` at the end of the patience.
        """
        if frame is None:
            self._waited(now_s)
            return
        if self._stalled and self._since_s is not None:
            self._tell(f"frames come again, after {now_s - self._since_s:.1f} s without one")
        self._stalled, self._since_s = False, now_s
        self.expect(frame.header.exposure_ms)
        self._count_lost(frame, now_s)

    def pause(self) -> None:
        """No frame is to come now."""
        self._since_s, self._stalled = None, False

    def away(self) -> None:
        """The camera is gone: frames that are lost until the next one are lost by that."""
        self.pause()
        self._away = True

    def _waited(self, now_s: float) -> None:
        if self._since_s is None:
            self._since_s = now_s
        silent_s = now_s - self._since_s
        if (
            not self._stalled
            and not self._tells_itself
            and silent_s > max(_LEAST_S, _FRAMES * self._usual_s)
        ):
            self._stalled = True
            self._tell(
                f"no frame from the camera for {silent_s:.1f} s; Live and the recording wait for "
                "it; if none comes, check its cable and power, and its trigger"
            )
        if silent_s > max(self._patience_s, _FRAMES * self._usual_s):
            of, check = (
                ("Micro-Manager", "see that it runs and that its Live is on")
                if self._tells_itself
                else ("the camera", "check its cable, its power and its trigger")
            )
            raise Failure(
                f"no frame from {of} for {silent_s:.0f} s; {check}; if it waits longer for one, "
                "give --camera-patience more seconds"
            )

    def _count_lost(self, frame: Frame, now_s: float) -> None:
        away, self._away = self._away, False
        new, told_s = frame.header.lost_before - self._lost, self._lost_told_s
        told_lately = told_s is not None and now_s - told_s < _LOSS_TOLD_EVERY_S
        if new <= 0 or (told_lately and not away):
            return
        self._lost, self._lost_told_s = frame.header.lost_before, now_s
        frames, they = ("1 frame was", "it") if new == 1 else (f"{new} frames were", "they")
        why = (
            f"as the camera stopped while {they} waited in its buffer"
            if away
            else "as its buffer was full; close other programs, or write a larger "
            "source.buffer_size_mb into the rig file"
        )
        self._tell(f"{frames} lost at the camera before frame {frame.header.number}, {why}")


def why_ended(pull: Callable[[], None]) -> LiverestoreError | None:
    """What `pull`, a camera thread, ended with; None where it came to its end."""
    try:
        pull()
    except EndOfStream:
        return None
    except LiverestoreError as error:
        return error
    except Exception as error:
        # The thread's last line of defence: a bug must end the run as a failure that is told,
        # never as a recording that just stops growing.
        log.exception("the camera thread failed")
        return Failure(f"unexpected {type(error).__name__}: {error}")
    return None


def stop_source(source: FrameSource) -> Failure | None:
    """Stop it; what went wrong."""
    try:
        source.stop()
    except Exception as error:
        # An unplugged camera answers its farewell with whatever its driver raises.
        log.warning("the camera did not stop properly: %s", error)
        return Failure(f"the camera did not stop properly: {error}")
    return None
