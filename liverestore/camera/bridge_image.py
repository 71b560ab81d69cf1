"""From an image of a running Micro-Manager and its tags to a frame, each image once."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from liverestore.camera.mm_image import binning_of
from liverestore.camera.stamp import capture_moment, new_run_id, waited_s
from liverestore.frame import Frame, FrameHeader, PixelDtype

__all__ = ["FollowedImages", "Setting", "pixels_of", "why_no_frame"]

_GREY: dict[str, PixelDtype] = {"GRAY8": "uint8", "GRAY16": "uint16", "GRAY32": "float32"}
_OWN = ("ElapsedTime-ms", "Exposure-ms", "StartTime-ms")


class Setting:
    """What is asked of Micro-Manager now and then, because no image says it."""

    def __init__(self) -> None:
        self.exposure_ms: float | None = None
        self.z_um: float | None = None
        self.pixel_size_um: float | None = None
        """The rig's; None: what the image says."""
        self.bit_depth: int | None = None
        self.read_s = float("-inf")
        """When, in seconds of the source's clock."""


def why_no_frame(tags: dict[str, Any]) -> str | None:
    """Why an image of these tags cannot be restored; None where it can."""
    kind = tags.get("PixelType", "GRAY16")
    if kind in _GREY:
        return None
    return (
        f"Micro-Manager's images are {kind}; allowed are grey images of 8, 16 or 32 bit; set the "
        "camera's PixelType there"
    )


def pixels_of(flat: Any, tags: dict[str, Any]) -> NDArray[Any] | None:
    """The (Y, X) pixels; None where `flat` and `tags` are of two sizes.

    Micro-Manager writes its present size into the tags of an image that was taken before.
    """
    dtype = np.dtype(_GREY[str(tags.get("PixelType", "GRAY16"))])
    width, height = _whole(tags.get("Width")), _whole(tags.get("Height"))
    if not isinstance(flat, np.ndarray) or not width or not height:
        return None
    if flat.dtype != dtype or flat.size != width * height:
        return None
    return flat.reshape(height, width)


class FollowedImages:
    """Tells new images from those that were seen, and numbers them.

    Micro-Manager counts from 0 in every sequence; a frame's number goes on through the run,
    with a gap for images that came and went between two looks. Those are `unseen`: nothing
    was lost, Micro-Manager has them.
    """

    def __init__(self) -> None:
        self.run_id = new_run_id()
        self.unseen = 0
        """Images of the run that were not seen."""
        self._next = 0
        self._image: int | None = None
        """Micro-Manager's own number of the image before."""
        self._mark: tuple[str, ...] | None = None
        self._bytes: bytes | None = None

    def is_seen(self, tags: dict[str, Any]) -> bool:
        """Whether the tags are those of the image before; without a number nobody knows."""
        mark = _mark(tags)
        return mark is not None and mark == self._mark

    def is_another_sequence(self, tags: dict[str, Any]) -> bool:
        """Whether Micro-Manager has begun to count anew, as after a change of exposure."""
        number = _whole(tags.get("ImageNumber"))
        return self._image is None or number is None or number <= self._image

    def pass_by(self, tags: dict[str, Any], flat: Any = None) -> None:
        """Take this image for seen."""
        self._mark, self._image = _mark(tags), _whole(tags.get("ImageNumber"))
        self._bytes = flat.tobytes() if self._mark is None and flat is not None else None

    def frame(
        self,
        pixels: NDArray[Any],
        tags: dict[str, Any],
        camera: str,
        setting: Setting,
        now_s: float,
    ) -> Frame | None:
        """The image as the next frame; None where an image without a number has the bytes of the
        one before. `now_s` is on the clock of `setting.read_s`.
        """
        if _mark(tags) is None and self._bytes == pixels.tobytes():
            return None
        number = _whole(tags.get("ImageNumber"))
        gap = 0
        if number is not None and self._image is not None and number > self._image:
            gap = number - self._image - 1
        self.pass_by(tags, pixels)
        self.unseen += gap
        this = self._next + gap
        self._next = this + 1
        captured_ns, captured_utc = capture_moment(waited_s(_text(tags.get("TimeReceivedByCore"))))
        height, width = int(pixels.shape[0]), int(pixels.shape[1])
        label = _text(tags.get("Camera")) or camera
        kept = _kept(tags, camera)
        kept["NotSeenBefore"] = str(self.unseen)
        kept["SettingsReadAgo-ms"] = f"{max(0.0, now_s - setting.read_s) * 1e3:.0f}"
        header = FrameHeader(
            run_id=self.run_id,
            number=this,
            shape=(height, width),
            dtype=_GREY[str(tags.get("PixelType", "GRAY16"))],
            captured_ns=captured_ns,
            captured_utc=captured_utc,
            camera=label,
            exposure_ms=_number(tags.get(f"{camera}-Exposure")) or setting.exposure_ms,
            z_um=setting.z_um,
            pixel_size_um=setting.pixel_size_um or _number(tags.get("PixelSizeUm")) or None,
            binning=binning_of(_text(tags.get("Binning"))),
            roi=_roi(tags, width, height),
            bit_depth=setting.bit_depth or _whole(tags.get("BitDepth")),
            channel=_channel(tags),
            metadata=kept,
        )
        return Frame(np.ascontiguousarray(pixels), header)


def _mark(tags: dict[str, Any]) -> tuple[str, ...] | None:
    """What no two images have in common; None where Micro-Manager numbers none."""
    if tags.get("ImageNumber") is None:
        return None
    names = ("Camera", "CameraChannelIndex", "ImageNumber", "TimeReceivedByCore", "ElapsedTime-ms")
    return tuple(_text(tags.get(name)) or "" for name in names)


def _kept(tags: dict[str, Any], camera: str) -> dict[str, str]:
    """The tags of the image, the camera and the core; Micro-Manager adds every property of
    every device to each image, which would make the record of a frame long.
    """
    return {
        name: _text(value) or ""
        for name, value in tags.items()
        if "-" not in name or name in _OWN or name.startswith((f"{camera}-", "Core-"))
    }


def _channel(tags: dict[str, Any]) -> str | None:
    name = _text(tags.get("Channel"))
    # Micro-Manager's word for a light path without a channel group.
    return None if name in (None, "", "Default") else name


def _roi(tags: dict[str, Any], width: int, height: int) -> tuple[int, int, int, int] | None:
    parts = (_text(tags.get("ROI")) or "").split("-")
    if len(parts) != 4 or not all(part.isdigit() for part in parts):
        return None
    x, y = int(parts[0]), int(parts[1])
    return (x, y, width, height)


def _text(value: Any) -> str | None:
    return None if value is None else str(value)


def _number(value: Any) -> float | None:
    """Properties are text in any spelling, also "10,5" of a German computer."""
    try:
        return float(str(value).replace(",", "."))
    except ValueError:
        return None


def _whole(value: Any) -> int | None:
    number = _number(value)
    return int(number) if number is not None and number >= 0 and number.is_integer() else None
