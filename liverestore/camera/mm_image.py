"""From an image and the core's tags of it to a frame: its number, its size, what held for it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pymmcore
from numpy.typing import NDArray

from liverestore.camera.absence import CameraGone
from liverestore.camera.mm_core import reason_of
from liverestore.camera.mm_objective import ObjectiveTags
from liverestore.camera.stamp import capture_moment, new_run_id, waited_s
from liverestore.errors import Failure
from liverestore.frame import Frame, FrameHeader, PixelDtype
from liverestore.rig_channels import ChannelConfig

__all__ = [
    "RunOfImages",
    "binning_of",
    "channel_tags",
    "has_its_size",
    "pop_image",
    "snap_image",
    "snap_tags",
]

_DTYPES: dict[str, PixelDtype] = {"uint8": "uint8", "uint16": "uint16", "float32": "float32"}


def channel_tags(channel: ChannelConfig | None) -> dict[str, str]:
    """What a frame's metadata says of the light path of `channel`, as far as it is known."""
    if channel is None:
        return {}
    known = {
        "Channel-Group": channel.group,
        "Channel-Preset": channel.preset,
        "Emission-nm": channel.wavelength_nm,
        "Excitation-nm": channel.excitation_nm,
    }
    return {
        name: f"{value:g}" if isinstance(value, float) else value
        for name, value in known.items()
        if value is not None
    }


def pop_image(core: Any) -> tuple[NDArray[Any], dict[str, str]] | None:
    """The oldest image (Y, X) in the core's ring with its tags; None where there is none."""
    if core.get_remaining_image_count() <= 0:
        return None
    metadata = pymmcore.Metadata()
    try:
        pixels = core.pop_next_image_md(metadata)
    except (IndexError, RuntimeError):
        # The ring was emptied between the two calls (overflow, a change of the ROI).
        return None
    return pixels, {
        str(key): str(metadata.GetSingleTag(key).GetValue()) for key in metadata.GetKeys()
    }


def has_its_size(pixels: NDArray[Any], tags: dict[str, str]) -> bool:
    """Whether `pixels` (Y, X) have the size that the camera gave the image, where it says so.

    The library gives an image the size that the camera has now. One that waited in the ring
    while the binning or the ROI was set from elsewhere is cut into rows of another length.
    """
    said = tags.get("Height", ""), tags.get("Width", "")
    return not all(map(str.isdigit, said)) or pixels.shape == tuple(map(int, said))


def snap_image(
    core: Any, camera: str, tags: Callable[[Any], dict[str, str]]
) -> tuple[NDArray[Any], dict[str, str]]:
    """One image (Y, X) by the core's `snapImage`, and what `tags` then says of it.

    Raises `CameraGone` where the camera fails.
    """
    try:
        core.snap_image()
        return core.get_image(), tags(core)
    except RuntimeError as error:
        raise CameraGone(
            f"camera {camera}: did not snap ({reason_of(error)}); check that no other program "
            "uses it"
        ) from None


def snap_tags(core: Any, camera: str) -> dict[str, str]:
    """What the core tells of each image of a sequence and not of a snap."""
    x, y, width, height = core.get_roi()
    tags = {"Camera": camera, "ROI-X-start": str(x), "ROI-Y-start": str(y)}
    tags |= {"Width": str(width), "Height": str(height)}
    if core.has_property(camera, "Binning"):
        tags["Binning"] = str(core.get_property(camera, "Binning"))
    return tags


class RunOfImages:
    """The images of one run, each made a `Frame` with the number that is its own.

    The core counts anew with every sequence and not at all when it snaps; `begin_sequence`
    says where a count of 0 lies in the run. Set what holds from the next image on:
    `exposure_ms`, `z_um`, `bit_depth`, `channel`.
    """

    def __init__(
        self,
        camera: str,
        pixel_size_um: float | None,
        objective: ObjectiveTags | None = None,
    ) -> None:
        """Without `objective` the images bring their own tags of it, if any."""
        self.camera = camera
        self.exposure_ms: float | None = None
        self.z_um: float | None = None
        self.bit_depth: int | None = None
        self.channel: ChannelConfig | None = None
        """None: the channel that the core's own tag names, if any."""
        self._objective = objective
        self._pixel_um = pixel_size_um
        self._run_id = new_run_id()
        self._first_number = self._next_number = self._delivered = 0

    @property
    def last_number(self) -> int:
        """Number of the image before; -1 before the first one."""
        return self._next_number - 1

    def begin_sequence(self) -> None:
        """The core's `ImageNumber` begins with 0 again."""
        self._first_number = self._next_number

    def skip(self, tags: dict[str, str]) -> None:
        """The image with `tags` cannot be used: it counts as lost."""
        self._next_number = self._number(tags.get("ImageNumber")) + 1

    def frame(self, pixels: NDArray[Any], tags: dict[str, str]) -> Frame:
        """`pixels` (Y, X) as the next frame of the run.

        Raises `Failure` for anything but a grey image of 8 or 16 bit (or 32 bit float).
        """
        dtype = _DTYPES.get(pixels.dtype.name)
        if pixels.ndim != 2 or dtype is None:
            raise Failure(
                f"camera {self.camera}: delivered an image of shape {pixels.shape} {pixels.dtype} "
                "mid-stream; allowed are grey images of 8 or 16 bit; set its PixelType back"
            )
        # An image may have waited in the core's ring; that belongs to its age.
        captured_ns, captured_utc = capture_moment(waited_s(tags.get("TimeReceivedByCore")))
        if self._objective is not None:
            tags = tags | self._objective.read()
        number = self._number(tags.get("ImageNumber"))
        lost = number - self._delivered
        self._delivered += 1
        self._next_number = number + 1
        height, width = int(pixels.shape[0]), int(pixels.shape[1])
        header = FrameHeader(
            run_id=self._run_id,
            number=number,
            shape=(height, width),
            dtype=dtype,
            captured_ns=captured_ns,
            captured_utc=captured_utc,
            camera=tags.get("Camera", self.camera),
            exposure_ms=self.exposure_ms,
            z_um=self.z_um,
            pixel_size_um=self._pixel_um,
            binning=binning_of(tags.get("Binning")),
            roi=_roi(tags, width, height),
            bit_depth=self.bit_depth,
            channel=self.channel.name if self.channel else tags.get("Channel"),
            lost_before=lost,
            metadata=tags | channel_tags(self.channel),
        )
        return Frame(np.ascontiguousarray(pixels), header)

    def _number(self, image_number: str | None) -> int:
        """Position in the run of an image that is number `image_number` of its sequence."""
        if image_number is None or not image_number.isdigit():
            return self._next_number
        number = self._first_number + int(image_number)
        if number < self._next_number:
            # The core began to count anew; what was lost meanwhile cannot be known.
            self._first_number += self._next_number - number
            number = self._next_number
        return number


def binning_of(text: str | None) -> int | None:
    """For "2" and "2x2" 2; an uneven binning has no single number."""
    parts = {part for part in (text or "").lower().split("x") if part.isdigit()}
    return int(parts.pop()) if len(parts) == 1 else None


def _roi(tags: dict[str, str], width: int, height: int) -> tuple[int, int, int, int] | None:
    x, y = tags.get("ROI-X-start", ""), tags.get("ROI-Y-start", "")
    return (int(x), int(y), width, height) if x.isdigit() and y.isdigit() else None
