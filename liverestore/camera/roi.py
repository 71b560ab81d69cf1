"""Which part of a camera's chip is read out: what is allowed, and how a core is told."""

from __future__ import annotations

from typing import Any

from liverestore.camera.absence import CameraGone
from liverestore.errors import UserError

__all__ = ["Roi", "check_roi", "set_core_roi"]

Roi = tuple[int, int, int, int]
"""(x, y, width, height) in binned pixels, x and y from 0 at the chip's upper left corner."""

_ROUNDING_PX = 32
"""Cameras move the edges of a ROI to the steps that their readout allows."""


def check_roi(roi: Roi, chip: tuple[int, int], camera: str) -> None:
    """Raises `UserError` for a `roi` that does not lie on a chip of (width, height) pixels."""
    x, y, width, height = roi
    if x < 0 or y < 0 or width < 1 or height < 1 or x + width > chip[0] or y + height > chip[1]:
        raise UserError(
            f"camera {camera}: got a ROI of {words(roi)}; allowed is a part of its {chip[0]} x "
            f"{chip[1]} pixels; choose one inside"
        )


def words(roi: Roi) -> str:
    """For people: "64 x 32 at (8, 16)"."""
    return f"{roi[2]} x {roi[3]} at ({roi[0]}, {roi[1]})"


def set_core_roi(core: Any, camera: str, roi: Roi | None) -> None:
    """Make the core's camera read out `roi`, or (None) its whole chip; no sequence may run.

    The whole chip is set first: some cameras take a ROI relative to the one before, and
    some take one that is larger than they are. A camera may round the edges to the steps
    of its readout (at most 32 pixels). Raises `UserError`, with the ROI of before set
    again, where `roi` is not on the chip or the camera does something else, and `CameraGone`
    where it cannot be asked for that.
    """
    try:
        before = _roi_of(core)
    except RuntimeError as error:
        reason = " ".join(str(error).split()) or "no reason given"
        raise CameraGone(
            f"camera {camera}: does not answer ({reason}); check its cable and power"
        ) from None
    try:
        core.clear_roi()
        if roi is None:
            return
        chip = int(core.get_image_width()), int(core.get_image_height())
        check_roi(roi, chip, camera)
        core.set_roi(*roi)
        taken = _roi_of(core)
    except UserError:
        _go_back(core, before)
        raise
    except RuntimeError as error:
        reason = " ".join(str(error).split()) or "no reason given"
        _go_back(core, before)
        raise UserError(
            f"camera {camera}: refuses a ROI of {words(roi) if roi else 'its whole chip'} "
            f"({reason}); {words(before)} is left as it was; choose one that the camera allows"
        ) from None
    if any(abs(a - b) > _ROUNDING_PX for a, b in zip(_edges(roi), _edges(taken), strict=True)):
        _go_back(core, before)
        raise UserError(
            f"camera {camera}: got a ROI of {words(roi)} and would read out {words(taken)}; "
            f"{words(before)} is left as it was; choose one that the camera allows"
        )


def _go_back(core: Any, before: Roi) -> None:
    try:
        core.clear_roi()
        core.set_roi(*before)
    except RuntimeError:
        # A camera without a ROI has nothing to go back from; it has refused already.
        return


def _roi_of(core: Any) -> Roi:
    x, y, width, height = (int(number) for number in core.get_roi())
    return x, y, width, height


def _edges(roi: Roi) -> Roi:
    x, y, width, height = roi
    return x, y, x + width, y + height
