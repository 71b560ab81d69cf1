"""Several channels as one source: a frame of each in turn, each with its own exposure.

The light path is set, its devices are waited for, and one image is snapped: the light is on
for the exposures alone, and no frame can carry the name of another channel.
"""

from __future__ import annotations

import dataclasses
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from typing import Protocol

import msgspec

from liverestore.camera.roi import Roi
from liverestore.camera.source import FrameSource, SourceInfo
from liverestore.errors import Failure, LiverestoreError, UserError
from liverestore.frame import Frame
from liverestore.rig_channels import ChannelConfig

__all__ = ["ChannelCycle", "SelectableSource", "frames_per_snap", "set_exposure", "snap_all"]

_ASIDE_S = 0.0005


class SelectableSource(FrameSource, Protocol):
    """A source whose light path can be set between two snaps."""

    def select(self, channel: ChannelConfig) -> None:
        """Set the light path and the exposure of `channel`; frames carry its name then.

        Raises `Failure` where a device does not obey and `UserError` for an exposure that
        the camera refuses.
        """
        ...


class ChannelCycle:
    """Snaps one frame of each of `channels` in turn; numbers go on by one over all of them.

    A pause does not break the turn: the next frame is of the channel that comes next. A
    thread of its own snaps, so that whoever waits for a long exposure can be told to stop;
    the exposure itself cannot be interrupted, and `pause` and `stop` wait for it.
    """

    def __init__(self, source: SelectableSource, channels: Sequence[ChannelConfig]) -> None:
        self.source = source
        self._channels = list(channels)
        self._turn = 0
        self._running = self._live = False
        self._worker: ThreadPoolExecutor | None = None
        self._under_way: Future[Frame] | None = None
        self._lock = threading.Lock()
        self._asking = 0
        self._asking_lock = threading.Lock()

    @property
    def names(self) -> tuple[str, ...]:
        """The channels, in their turn."""
        return tuple(channel.name for channel in self._channels)

    @property
    def upcoming(self) -> tuple[str, float | None]:
        """Name and exposure in ms of the channel whose turn is next."""
        channel = self._channels[self._turn % len(self._channels)]
        return channel.name, channel.exposure_ms

    @property
    def exposures_ms(self) -> dict[str, float | None]:
        """Of each channel, in their turn; None: the camera has not told one yet."""
        return {channel.name: channel.exposure_ms for channel in self._channels}

    @property
    def under_way(self) -> bool:
        """Whether a frame is being taken, or has been and waits to be delivered."""
        return self._under_way is not None

    def start(self) -> SourceInfo:
        """See `FrameSource.start`; every channel is set once, so that none fails later.

        Raises `UserError` for an exposure that the camera refuses.
        """
        if self._running:
            raise Failure("camera: is running already; stop it first")
        info = self.source.start()
        self._turn, self._live = 0, False
        try:
            for channel in reversed(self._channels):
                self.source.select(channel)
        except BaseException:
            self.source.stop()
            raise
        exposures = [channel.exposure_ms or info.exposure_ms for channel in self._channels]
        self._running = True
        # A channel without its own exposure keeps that of the camera, not that of its
        # neighbour in the cycle.
        self._channels = [
            msgspec.structs.replace(channel, exposure_ms=exposure)
            for channel, exposure in zip(self._channels, exposures, strict=True)
        ]
        return dataclasses.replace(info, exposure_ms=exposures[0], interval_ms=None)

    def next_frame(self, timeout_s: float) -> Frame | None:
        """The next channel's frame when its exposure has ended, or None after `timeout_s`."""
        if not self._running:
            raise Failure("camera: is not running; start it first")
        self._live = True
        if self._worker is None:
            self._worker = ThreadPoolExecutor(1, thread_name_prefix="channels")
        if self._under_way is None:
            self._under_way = self._worker.submit(self._in_turn)
        done, _ = wait([self._under_way], timeout_s)
        if not done:
            return None
        taken, self._under_way = self._under_way, None
        return taken.result()

    def snap(self) -> Frame:
        """One frame of the next channel; `frames_per_snap` of them show the sample.

        Raises `UserError` while frames are taken in turn.
        """
        if self._live:
            raise UserError("camera: is live; pause it before you snap")
        return self._in_turn()

    def snap_aside(self, name: str, exposure_ms: float) -> Frame:
        """One frame of the channel `name`, out of its turn and exposed as said.

        Turn and exposures of the channels stay as they are. Raises `UserError` while frames are
        taken in turn, for a channel that is not there, and where the camera refuses.
        """
        if self._live:
            raise UserError("camera: is live; pause it before you snap")
        found = next((channel for channel in self._channels if channel.name == name), None)
        if found is None:
            raise UserError(
                f"exposure: got the channel {name!r}, there are {', '.join(self.names)}"
            )
        with self._between_frames():
            self.source.select(msgspec.structs.replace(found, exposure_ms=exposure_ms))
            return self.source.snap()

    def _in_turn(self) -> Frame:
        while self._asking:
            # A lock has no queue: without this a change would wait for many frames.
            time.sleep(_ASIDE_S)
        with self._lock:
            return self._snap()

    def _snap(self) -> Frame:
        channel = self._channels[self._turn % len(self._channels)]
        self.source.select(channel)
        frame = self.source.snap()
        self._turn += 1
        return frame

    def pause(self) -> list[Frame]:
        """Take no more frames; one that was being taken is waited for and returned."""
        taken: list[Frame] = []
        self._live = False
        if self._under_way is not None:
            under_way, self._under_way = self._under_way, None
            taken.append(under_way.result())
        self._end_worker()
        with self._between_frames():
            return [*taken, *self.source.pause()]

    def configure(self, *, exposure_ms: float | None = None, z_um: float | None = None) -> None:
        """Change the exposure of all channels and move the focus, between two frames."""
        if exposure_ms is not None:
            for name in self.names:
                self.set_exposure(exposure_ms, name)
        if z_um is not None:
            with self._between_frames():
                self.source.configure(z_um=z_um)

    def set_exposure(self, exposure_ms: float, name: str) -> None:
        """Change the exposure of the channel `name` from its next frame on.

        Raises `UserError` for a channel that is not there, and where the camera refuses.
        """
        if name not in self.names:
            raise UserError(
                f"exposure: got the channel {name!r}, there are {', '.join(self.names)}"
            )
        with self._between_frames():
            # Tried at once: a refusal belongs to the one who asked, not into the cycle.
            self.source.configure(exposure_ms=exposure_ms)
            self._channels = [
                msgspec.structs.replace(channel, exposure_ms=exposure_ms)
                if channel.name == name
                else channel
                for channel in self._channels
            ]

    def set_roi(self, roi: Roi | None) -> None:
        """Read out another part of the chip in all channels; see `FrameSource.set_roi`."""
        with self._between_frames():
            self.source.set_roi(roi)

    def stop(self) -> None:
        """Let go of the camera, after the frame it is at; safe to call twice."""
        self._running = False
        self._end_worker()
        self.source.stop()

    def _end_worker(self) -> None:
        worker, self._worker, self._under_way = self._worker, None, None
        if worker is not None:
            worker.shutdown(wait=True, cancel_futures=True)

    @contextmanager
    def _between_frames(self) -> Iterator[None]:
        with self._asking_lock:
            self._asking += 1
        try:
            with self._lock:
                yield
        finally:
            with self._asking_lock:
                self._asking -= 1


def frames_per_snap(source: FrameSource) -> int:
    """How many frames show the sample once: one of each channel."""
    return len(source.names) if isinstance(source, ChannelCycle) else 1


def set_exposure(source: FrameSource, exposure_ms: float, channel: str | None) -> None:
    """Change the exposure of one channel of `source`, or (None) of all.

    Raises `UserError` for a channel that is not there, and where the camera refuses.
    """
    if channel is not None and isinstance(source, ChannelCycle):
        source.set_exposure(exposure_ms, channel)
    else:
        source.configure(exposure_ms=exposure_ms)


def snap_all(
    source: FrameSource,
    snap: Callable[[], Frame],
    check: Callable[[], None],
    notices: deque[str],
) -> list[Frame]:
    """One frame of each channel of `source`, which is paused, by `snap`.

    `check` is called before each but the first; it raises where that one is not allowed. Frames
    taken before a `LiverestoreError` are kept, and it goes to `notices`; the first one is raised.
    """
    frames: list[Frame] = []
    for _ in range(frames_per_snap(source)):
        try:
            if frames:
                check()
            frames.append(snap())
        except LiverestoreError as error:
            if not frames:
                raise
            notices.append(str(error))
            break
    return frames
