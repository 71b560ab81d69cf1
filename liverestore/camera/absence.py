"""A camera that goes away in mid-run, and the seam by which it comes back."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from liverestore.errors import Failure

__all__ = ["CameraGone", "ReturningSource"]


class CameraGone(Failure):
    """The camera stopped by itself or does not answer; it may come back (`ReturningSource`)."""


@runtime_checkable
class ReturningSource(Protocol):
    """A source whose camera can be made ready again after `CameraGone`."""

    def come_back(self) -> None:
        """Make the camera ready again, with the exposure, the ROI and the settings that it had.

        Numbers go on, and frames come with the next `next_frame` or `snap`. Raises `CameraGone`
        while it is not there, and `UserError` where it no longer takes what was set.
        """
        ...
