"""A camera whose every snap is charged to the account of light, and refused beyond the budget."""

from __future__ import annotations

import time

from liverestore.camera.channel_cycle import SelectableSource
from liverestore.camera.source import SourceInfo
from liverestore.dose import dose_j_cm2, nanoseconds
from liverestore.errors import UserError
from liverestore.frame import Frame
from liverestore.rig_channels import ChannelConfig
from liverestore.service.light_keeper import LightKeeper
from liverestore.service.lit_snap import check_light, lit_snap

__all__ = ["MeteredCamera", "refuse_beyond"]

_SAVE_EVERY_S = 1.0


class MeteredCamera:
    """`source`, which has been started and is paused; `light` is its account."""

    def __init__(self, source: SelectableSource, info: SourceInfo, light: LightKeeper) -> None:
        self._source = source
        self.light = light
        self.exposure_ms = info.exposure_ms
        """At the start."""
        self.light.begin(source, info)
        self._saved_s = time.monotonic()

    def select(self, channel: ChannelConfig) -> None:
        """See `SelectableSource.select`."""
        self._source.select(channel)
        self.light.next_channel(channel.name)

    def configure(self, *, exposure_ms: float | None = None, z_um: float | None = None) -> None:
        """See `FrameSource.configure`."""
        self._source.configure(exposure_ms=exposure_ms, z_um=z_um)

    def snap(self) -> Frame:
        """One exposure, charged. Raises `UserError` where the budget does not hold it."""
        check_light(self.light)
        frame = self.light.took(lit_snap(self._source, self.light), kind="snap")
        if time.monotonic() - self._saved_s > _SAVE_EVERY_S:
            self._saved_s = time.monotonic()
            self.light.save()
        return frame


def refuse_beyond(
    light: LightKeeper, what: str, irradiance_mw_cm2: float | None, lit_ms: float
) -> None:
    """Look at the budget before a series that lights the present field for `lit_ms`.

    Raises `UserError`, which says that `what` takes more than is left, so that no light is spent
    on a series that would be cut off.
    """
    left = light.meter.left_j_cm2
    if left is None or irradiance_mw_cm2 is None:
        return
    needed = dose_j_cm2(irradiance_mw_cm2, nanoseconds(lit_ms))
    if needed > left * (1 + 1e-9):
        raise UserError(
            f"{what} takes {needed:.3g} J/cm2, but the light budget holds {max(left, 0.0):.3g} "
            "J/cm2 more here; allow more light, or ask for fewer frames or shorter exposures"
        )
