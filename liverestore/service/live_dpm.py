"""Where refocusing engines look during a run: one DPM for all frames, changed between two."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

import numpy as np

from liverestore.dpm import Dpm, parse_dpm
from liverestore.errors import UserError
from liverestore.frame import FrameHeader
from liverestore.model_spec import ModelSpec
from liverestore.optics import Optics
from liverestore.refocus import check_overlap, check_reach, clipped_words, tells_sign
from liverestore.rig import RigConfig
from liverestore.rig_channels import named_channel
from liverestore.rig_optics import optics_of
from liverestore.sign_of_z import sign_report

__all__ = ["LiveDpm"]

_IN_FOCUS = Dpm.uniform(0.0)


class LiveDpm:
    """The DPM in effect and, for each channel of the rig, the optics in whose waves it is told.

    It begins at 0 um. A DPM that fits no frame of the present size (a map of another ROI, a
    ball smaller than the frame) gives way to its mean, one plane, until frames of its size
    come again; `tell` gets a line at each change. Used from one thread, but for `optics` and
    `prepare`.
    """

    def __init__(self, rig: RigConfig, tell: Callable[[str], None] = lambda _line: None) -> None:
        self._rig = rig
        self._tell = tell
        self._optics: dict[str | None, Optics] = {}
        self._lock = threading.Lock()
        self._asked = self._used = _IN_FOCUS
        self._text: str | None = None
        self._header: FrameHeader | None = None
        """Of the last frame, in whose size surfaces are tried."""
        self._mean_um: float | None = None
        self._reach_um: float | None = None
        """Of the engines that the DPM was asked for."""

    @property
    def asked(self) -> str | None:
        """The text that was asked for; None: none was."""
        return self._text

    @property
    def wanted(self) -> Dpm:
        """The DPM that was asked for last, whether it fits the frames or not."""
        return self._asked

    @property
    def used(self) -> str:
        """What is in effect, as in the provenance."""
        return str(self._used)

    def optics(self, channel: str | None = None) -> Optics:
        """The detection path of `channel`. Raises `UserError` where the rig leaves out a field."""
        with self._lock:
            if channel not in self._optics:
                named = named_channel(self._rig.channels, channel)
                self._optics[channel] = optics_of(self._rig, named)
            return self._optics[channel]

    def prepare(self) -> None:
        """What takes some tenths of a second, before frames wait for it. Raises as `optics` does.

        May run in another thread.
        """
        for channel in (None, *(channel.name for channel in self._rig.channels)):
            optics = self.optics(channel)
            if tells_sign(optics):
                sign_report(optics)

    def ask(self, text: str | None, engines: Sequence[ModelSpec]) -> bool:
        """Refocus to what `text` names from the next frame on (None: 0 um).

        True where that is another DPM than before. Raises `UserError`, with the one before in
        effect, for a text that names none, a rig without the optics, a distance beyond the
        reach of one of the refocusing `engines`, and a surface that does not fit the last frame
        or lies beyond the reach in all of it. One that does so in parts is clipped to the reach,
        which its results say.
        """
        dpm = _IN_FOCUS if text is None else parse_dpm(text)
        for spec in engines:
            check_reach(dpm, spec, f"the DPM {text}")
        mean_um = self._mean_over(dpm, self._header)
        if self._header is not None:
            shape, size_um = self._header.shape, self._header.pixel_size_um
            for spec in engines:
                edge_um = size_um or self.optics(self._header.channel).pixel_size_um
                check_overlap(dpm, spec, shape, edge_um, f"the surface {text}")
        changed = dpm != self._used
        reaches = [spec.reach_um for spec in engines if spec.reach_um is not None]
        self._reach_um = min(reaches, default=None)
        self._text, self._asked, self._used, self._mean_um = text, dpm, dpm, mean_um
        return changed

    def at(self, header: FrameHeader) -> tuple[Dpm, Optics]:
        """What to refocus a frame like `header` to. Raises as `optics` does."""
        optics = self.optics(header.channel)
        before, self._header = self._header, header
        place = (header.shape, header.pixel_size_um)
        if before is None or place != (before.shape, before.pixel_size_um):
            self._fit(header)
        return self._used, optics

    def _fit(self, header: FrameHeader) -> None:
        try:
            mean_um = self._mean_over(self._asked, header)
        except UserError as error:
            if self._used is self._asked:
                self._used = Dpm.uniform(round(self._mean_um or 0.0, 4))
                self._tell(f"{error}; refocused by its mean, {self._used} um, until it fits again")
            return
        if self._used is not self._asked:
            self._tell(f"the DPM {self._text} fits the frames again and is in effect")
        self._used, self._mean_um = self._asked, mean_um
        self._tell_clipped(header)

    def _tell_clipped(self, header: FrameHeader) -> None:
        """A line where a surface is clipped in frames of a new size."""
        if self._reach_um is None or self._used.uniform_um is not None:
            return
        size_um = header.pixel_size_um or self.optics(header.channel).pixel_size_um
        surface = self._used.surface_um(header.shape, size_um)
        beyond = np.abs(surface) > self._reach_um
        if beyond.any():
            self._tell(
                f"the DPM {self._text} goes from {surface.min():.4g} to {surface.max():.4g} um: "
                f"{clipped_words(float(beyond.mean()), self._reach_um)}"
            )

    def _mean_over(self, dpm: Dpm, header: FrameHeader | None) -> float | None:
        """Mean of `dpm` in um over a frame; None before the first. Raises `UserError`."""
        optics = self.optics(None if header is None else header.channel)
        if dpm.uniform_um is not None:
            return dpm.uniform_um
        shape = dpm.map_shape if header is None else header.shape
        if shape is None:
            return None
        size_um = None if header is None else header.pixel_size_um
        return float(dpm.surface_um(shape, size_um or optics.pixel_size_um).mean())
