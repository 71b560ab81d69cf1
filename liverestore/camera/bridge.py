"""The live image of a running Micro-Manager, followed over pycromanager's Java bridge.

Micro-Manager drives the camera and the light. Its newest image is looked at again and again
and stays where it is; nothing is popped, so that no image is missing from what it shows or
acquires. What came and went between two looks is "not seen", never "lost".
"""

from __future__ import annotations

from collections import deque
from typing import Any

from liverestore.camera.bridge_image import FollowedImages, Setting, pixels_of, why_no_frame
from liverestore.camera.bridge_link import HOW_TO_START, MicroManagerLink, find_micromanager
from liverestore.camera.bridge_wire import BridgeGone, JavaObject, JavaRefusal
from liverestore.camera.clock import Clock, RealClock
from liverestore.camera.roi import Roi
from liverestore.camera.source import SourceInfo
from liverestore.errors import Failure, UserError
from liverestore.frame import Frame, PixelDtype
from liverestore.rig import RigConfig

__all__ = ["BridgeSource"]

_LOOK_S = (0.002, 0.05)
"""Least and longest pause between two looks; else a quarter of the exposure."""
_SETTINGS_S = 1.0
"""Exposure and z are asked for so often, and when Micro-Manager begins another sequence."""
_STATE_S = 0.5
_SILENT_S = 2.0
_RETRY_S = (1.0, 5.0)
"""Pause before Micro-Manager is looked for again: it doubles, up to the longest."""
_DTYPES: dict[tuple[int, int], PixelDtype] = {
    (1, 1): "uint8",
    (2, 1): "uint16",
    (4, 1): "float32",
}


class BridgeSource:
    """Each new image of Micro-Manager's Live, or of a sequence it acquires, as a frame.

    A snap of Micro-Manager is not in the ring that is looked at, and not seen. Where
    Micro-Manager ends, it is looked for at growing intervals; frame numbers go on when it is
    back. What a person should know is appended to `notices`, ordinary news to `events`.

    `pause` ends looking, not the light: only Micro-Manager switches that. Everything that would
    drive the camera is refused with `UserError`: two programs that set one camera would spoil an
    acquisition that runs there, and its window would show what no longer holds.
    """

    def __init__(self, rig: RigConfig, *, clock: Clock | None = None) -> None:
        self._rig = rig
        self._clock = clock or RealClock()
        self._link: MicroManagerLink | None = None
        self._started = False
        self._images = FollowedImages()
        self._setting = Setting()
        self._camera = ""
        self._retry_s = _RETRY_S[0]
        self._try_at_s = self._gone_s = 0.0
        self._news_s: float | None = None
        """When the last image came, or looking began."""
        self._state_s = self._looked_s = 0.0
        self._count = -1
        """Images in Micro-Manager's ring, as it said last."""
        self._silent = False
        self._refused: str | None = None
        """Told last, so that it is not told for every image."""
        self.notices: deque[str] = deque()
        self.events: deque[str] = deque()

    @property
    def unseen(self) -> int:
        """Images of Micro-Manager that came and went between two looks."""
        return self._images.unseen

    def start(self) -> SourceInfo:
        """Find Micro-Manager and its camera.

        Raises `UserError` where none answers or its camera gives colour images.
        """
        if self._started:
            raise Failure("Micro-Manager: is followed already; stop it first")
        self._images, self._setting = FollowedImages(), Setting()
        self._setting.pixel_size_um = self._rig.optics.pixel_size_um
        self._setting.bit_depth = self._rig.camera.bit_depth
        self._news_s, self._silent, self._refused = None, False, None
        try:
            info = self._connect()
        except (BridgeGone, JavaRefusal) as error:
            self.stop()
            raise UserError(f"{error}; {HOW_TO_START}") from None
        except UserError:
            self.stop()
            raise
        self._started = True
        return info

    def _connect(self) -> SourceInfo:
        link, odd = find_micromanager(self._rig.source.port)
        self._link = link
        if odd is not None:
            self.notices.append(odd)
        self._camera = str(link.core("getCameraDevice"))
        depth = int(link.core("getBytesPerPixel"))
        components = int(link.core("getNumberOfComponents"))
        dtype = _DTYPES.get((depth, components))
        if dtype is None:
            raise UserError(
                f"camera {self._camera}: delivers {components} components of {depth} bytes per "
                "pixel; allowed are grey images of 8, 16 or 32 bit; set its PixelType in "
                "Micro-Manager"
            )
        if not link.core("isSequenceRunning"):
            self._pass_by_old(link)
        self._read_settings(link)
        return SourceInfo(
            name=self._camera,
            shape=(int(link.core("getImageHeight")), int(link.core("getImageWidth"))),
            dtype=dtype,
            exposure_ms=self._setting.exposure_ms,
            pixel_size_um=self._setting.pixel_size_um or float(link.core("getPixelSizeUm")) or None,
            frame_count=None,
            interval_ms=None,
        )

    def _pass_by_old(self, link: MicroManagerLink) -> None:
        """An image from before, perhaps of an hour ago, is not to look like a new one."""
        image = link.last_image()
        if image is not None:
            tags = link.wire.field(image, "tags")
            self._images.pass_by(tags, link.wire.field(image, "pix"))
            link.wire.forget(image)

    def _read_settings(self, link: MicroManagerLink) -> None:
        setting = self._setting
        setting.exposure_ms = float(link.core("getExposure"))
        focus = str(link.core("getFocusDevice") or "")
        try:
            setting.z_um = float(link.core("getPosition", focus)) if focus else None
        except JavaRefusal:
            # A drive that is switched off; Micro-Manager says so itself.
            setting.z_um = None
        setting.read_s = self._clock.now()

    def next_frame(self, timeout_s: float) -> Frame | None:
        """The next image that was not seen yet, or None after `timeout_s`.

        None too while Micro-Manager is away, which is told in `notices`.
        """
        if not self._started:
            raise Failure("Micro-Manager: is not followed; start first")
        deadline = self._clock.now() + timeout_s
        while True:
            frame = self._look()
            now = self._clock.now()
            if frame is not None:
                self._heard(now)
                return frame
            self._say_silence(now)
            if now >= deadline:
                return None
            self._clock.sleep(min(self._pause_s(), deadline - now))

    def _pause_s(self) -> float:
        least, longest = _LOOK_S
        if self._link is None or self._silent:
            return longest
        return min(max((self._setting.exposure_ms or 0.0) / 4e3, least), longest)

    def _look(self) -> Frame | None:
        link = self._link
        try:
            if link is None:
                self._find_again()
                return None
            if self._clock.now() - self._setting.read_s >= _SETTINGS_S:
                self._read_settings(link)
            image = link.last_image() if self._is_worth_a_look(link) else None
            if image is None:
                return None
            try:
                frame = self._frame_of(link, image)
            except JavaRefusal:
                link.wire.forget(image)
                raise
            link.wire.forget(image)
            return frame
        except BridgeGone as error:
            self._lose(str(error))
        except JavaRefusal as refusal:
            # While its configuration is loaded anew Micro-Manager has no camera, for example.
            self._refuse(f"Micro-Manager gives no image: {refusal}")
        return None

    def _is_worth_a_look(self, link: MicroManagerLink) -> bool:
        """Whether the ring may hold an image that was not seen.

        Looking makes Micro-Manager copy the whole image, asking how many there are costs it
        nothing. Where an acquisition takes images out of the ring as they come, their number may
        stay the same, so that it is looked into now and then all the same.
        """
        count, now = int(link.core("getRemainingImageCount")), self._clock.now()
        longest_s = max(1e-3 * (self._setting.exposure_ms or 0.0), _LOOK_S[1])
        if count == self._count and now - self._looked_s < longest_s:
            return False
        self._count, self._looked_s = count, now
        return count > 0

    def _frame_of(self, link: MicroManagerLink, image: JavaObject) -> Frame | None:
        tags: dict[str, Any] = link.wire.field(image, "tags")
        if self._images.is_seen(tags):
            return None
        reason = why_no_frame(tags)
        if reason is not None:
            self._refuse(reason)
            self._images.pass_by(tags)
            return None
        if self._images.is_another_sequence(tags):
            self._read_settings(link)
        pixels = pixels_of(link.wire.field(image, "pix"), tags)
        if pixels is None:
            return None
        self._refused = None
        return self._images.frame(pixels, tags, self._camera, self._setting, self._clock.now())

    def _refuse(self, reason: str) -> None:
        if reason != self._refused:
            self._refused = reason
            self.notices.append(reason)

    def _heard(self, now_s: float) -> None:
        if self._silent and self._news_s is not None:
            self.events.append(f"images come again, after {now_s - self._news_s:.1f} s")
        self._news_s, self._silent = now_s, False

    def _say_silence(self, now_s: float) -> None:
        """Once for each silence, what it is about."""
        if self._news_s is None:
            self._news_s = now_s
        usual_s = max(_SILENT_S, 5e-3 * (self._setting.exposure_ms or 0.0))
        if self._silent or self._link is None or now_s - self._news_s < usual_s:
            return
        if now_s - self._state_s < _STATE_S:
            return
        self._state_s = now_s
        try:
            live = bool(self._link.core("isSequenceRunning"))
        except BridgeGone as error:
            self._lose(str(error))
            return
        except JavaRefusal:
            live = False
        self._silent = True
        self.notices.append(
            f"Micro-Manager's Live runs, but it has had no new image for {now_s - self._news_s:.0f}"
            " s; check the camera and its trigger"
            if live
            else "no image: Live is off in Micro-Manager; switch it on there"
        )

    def _lose(self, reason: str) -> None:
        if self._link is not None:
            self._link.close()
            self._link = None
        now = self._clock.now()
        self._gone_s, self._retry_s = now, _RETRY_S[0]
        self._try_at_s = now + self._retry_s
        self.notices.append(
            f"{reason}; Live and the recording wait for it, which is looked for every "
            f"{_RETRY_S[0]:g} to {_RETRY_S[1]:g} s"
        )

    def _find_again(self) -> None:
        now = self._clock.now()
        if now < self._try_at_s:
            return
        try:
            self._connect()
        except (UserError, BridgeGone, JavaRefusal) as error:
            if self._link is not None:
                # It is there, and something else is wrong: a colour camera, for example.
                self._refuse(str(error))
                self._link.close()
                self._link = None
            self._retry_s = min(2 * self._retry_s, _RETRY_S[1])
            self._try_at_s = self._clock.now() + self._retry_s
            return
        assert self._link is not None, "it was found"
        self.notices.append(
            f"Micro-Manager is back on port {self._link.port}, after "
            f"{self._clock.now() - self._gone_s:.1f} s without it"
        )
        self._news_s, self._silent = self._clock.now(), False

    def configure(self, *, exposure_ms: float | None = None, z_um: float | None = None) -> None:
        """Raises `UserError`: Micro-Manager drives the camera and the focus."""
        wanted = [
            name for name, value in (("exposure", exposure_ms), ("z", z_um)) if value is not None
        ]
        if wanted:
            raise _not_ours(f"a new {' and '.join(wanted)}")

    def pause(self) -> list[Frame]:
        """Look no more until the next `next_frame`. Micro-Manager's Live and light go on."""
        if self._started and self._news_s is not None:
            self._news_s, self._silent = None, False
            self.notices.append(
                "Live is off here; Micro-Manager goes on by itself, and only its own Live button "
                "switches the light off"
            )
        return []

    def snap(self) -> Frame:
        """Raises `UserError`: Micro-Manager drives the camera."""
        raise _not_ours("Snap")

    def set_roi(self, roi: Roi | None) -> None:
        """Raises `UserError`: Micro-Manager drives the camera."""
        raise _not_ours("another ROI")

    def stop(self) -> None:
        """Hang up; Micro-Manager goes on. Safe to call twice."""
        self._started = False
        link, self._link = self._link, None
        if link is not None:
            link.close(politely=True)


def _not_ours(wanted: str) -> UserError:
    return UserError(
        f"got {wanted}, but Micro-Manager drives the camera, and liverestore only follows it; set "
        "it in Micro-Manager"
    )
