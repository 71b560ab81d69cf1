"""A camera whose every snap is charged to the account of light, and refused beyond the budget."""

from __future__ import annotations

import time
from pathlib import Path

from liverestore.camera.micromanager import MicroManagerSource
from liverestore.camera.source import SourceInfo
from liverestore.dose_account import account_file, open_account
from liverestore.dose_meter import DoseBudget
from liverestore.errors import UserError
from liverestore.frame import Frame
from liverestore.rig import RigConfig
from liverestore.rig_channels import ChannelConfig
from liverestore.service.light_keeper import LightKeeper

__all__ = ["MeteredCamera"]

_SAVE_EVERY_S = 1.0


class MeteredCamera:
    """`source`, which has been started and is paused; the account lies in `folder`.

    Raises `UserError` where the account cannot be read.
    """

    def __init__(
        self, source: MicroManagerSource, info: SourceInfo, rig: RigConfig, folder: Path
    ) -> None:
        light = rig.illumination
        path = account_file(rig.name, folder)
        budget = DoseBudget(light.budget_j_cm2, light.session_budget_j_cm2)
        self._source = source
        self.light = LightKeeper(open_account(path, budget=budget), rig, account=path)
        self.light.begin(source, info)
        self._saved_s = time.monotonic()

    def select(self, channel: ChannelConfig) -> None:
        """See `SelectableSource.select`."""
        self._source.select(channel)
        self.light.next_channel(channel.name)

    def snap(self) -> Frame:
        """One exposure, charged. Raises `UserError` where the budget does not hold it."""
        refusal = self.light.refusal()
        if refusal is not None:
            raise UserError(f"no light: {refusal}")
        frame = self.light.took(self._source.snap(), kind="snap")
        if time.monotonic() - self._saved_s > _SAVE_EVERY_S:
            self._saved_s = time.monotonic()
            self.light.save()
        return frame
