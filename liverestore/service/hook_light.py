"""The account of light of images that another program takes, such as pycromanager."""

from __future__ import annotations

import time
from collections.abc import Callable

import msgspec

from liverestore.dose import Lamp
from liverestore.dose_account import account_file, account_text, open_account, save_account
from liverestore.dose_meter import DoseBudget
from liverestore.frame import Frame
from liverestore.rig import RigConfig
from liverestore.rig_light import lamp_of
from liverestore.service.light_sums import budget_spent

__all__ = ["ImageLight"]

_SAVE_EVERY_S = 1.0
_PLACES = (("XPositionUm", "YPositionUm"), ("XPosition_um_Intended", "YPosition_um_Intended"))
"""Tags that say where the stage stood, in um."""


class ImageLight:
    """Charges each image with its exposure to the account of `rig` in the user's data.

    A light that stays on between two images of another program is not seen here. Raises
    `UserError` where the account cannot be read. Used from one thread.
    """

    def __init__(self, rig: RigConfig, *, now_s: Callable[[], float] = time.monotonic) -> None:
        self._rig = rig
        self._now_s = now_s
        self._path = account_file(rig.name, None)
        own = rig.illumination
        budget = DoseBudget(own.budget_j_cm2, own.session_budget_j_cm2)
        self.meter = open_account(self._path, budget=budget, expires=True)
        self._saved_s = now_s()
        self._last: tuple[str | None, float] | None = None

    def charge(self, frame: Frame) -> Frame:
        """See `HookLight.charge`. Raises `Failure` where the account cannot be written."""
        header = frame.header
        if header.pixel_size_um is not None:
            height, width = header.shape
            self.meter.size_um = (width * header.pixel_size_um, height * header.pixel_size_um)
        xy_um = _place(header.metadata)
        self.meter.look_at(xy_um)
        self._last = header.channel, header.exposure_ms or 0.0
        light = self.meter.charge(self._lamp(), self._last[1], kind="snap")
        if self._now_s() - self._saved_s > _SAVE_EVERY_S:
            self.close()
        x_um, y_um = xy_um or (None, None)
        return Frame(
            frame.pixels, msgspec.structs.replace(header, light=light, x_um=x_um, y_um=y_um)
        )

    def _lamp(self) -> Lamp:
        assert self._last is not None, "there was an image"
        return lamp_of(self._rig.illumination, self._rig.channels, self._last[0])

    def spent(self) -> str | None:
        """See `HookLight.spent`."""
        if self._last is None or self.meter.frames_left(self._lamp(), self._last[1]) != 0:
            return None
        return budget_spent(self.meter)

    def close(self) -> None:
        """See `HookLight.close`. Raises `Failure` where the disk refuses."""
        self._saved_s = self._now_s()
        if self.meter.last_light_utc is not None:
            save_account(self._path, account_text(self.meter, self._rig.name))


def _place(tags: dict[str, str]) -> tuple[float, float] | None:
    for x, y in _PLACES:
        try:
            return float(tags[x]), float(tags[y])
        except (KeyError, ValueError):
            continue
    return None
