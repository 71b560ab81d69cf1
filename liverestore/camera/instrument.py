"""The simulated microscope that both simulated cameras look through.

It knows for every frame number when, where and how long it was exposed, so that the
light without noise, the truth, can be had for each frame that was ever delivered.
"""

from __future__ import annotations

import math
import threading
from bisect import bisect_right
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from liverestore.errors import UserError
from liverestore.noise_table import NoiseTable
from liverestore.rig import RigConfig
from liverestore.rig_optics import optics_of
from liverestore.specimen import STAINS, Specimen

__all__ = ["EXPOSURES_MS", "XY_RANGE_UM", "Z_RANGE_UM", "Exposure", "SimulatedMicroscope"]

EXPOSURES_MS = (0.1, 10_000.0)
"""Shortest and longest exposure of the simulated camera."""
Z_RANGE_UM = (-10.0, 10.0)
"""Travel of the simulated focus drive."""
XY_RANGE_UM = (-50_000.0, 50_000.0)
"""Travel of the simulated XY stage, in each direction."""
_TABLE_MOST_E = 512.0
"""A table for more light is large; brighter pixels are drawn one by one."""


@dataclass(frozen=True, slots=True)
class Exposure:
    """How one frame was taken."""

    time_s: float
    """Age of the specimen in the middle of the exposure."""
    z_um: float
    exposure_ms: float
    stain: str
    """What gives light: the preset of the channel, "all" without channels."""
    xy_um: tuple[float, float] = (0.0, 0.0)


@dataclass(frozen=True, slots=True)
class _Setting:
    """What holds from frame `first` on; `time_s` is when that frame begins."""

    first: int
    time_s: float
    z_um: float
    exposure_ms: float
    stain: str
    xy_um: tuple[float, float] = (0.0, 0.0)


class SimulatedMicroscope:
    """A specimen, a focus drive, an XY stage and a noisy camera, indexed by frame number from 0.

    The specimen ages by the exposure with every frame. Noise depends on the seed and the
    frame number alone: a frame can be taken again and is the same. Safe to use from
    several threads. Raises `UserError` for a rig that lacks what a simulation needs.
    """

    def __init__(self, rig: RigConfig) -> None:
        if rig.specimen is None or rig.camera.exposure_ms is None:
            raise UserError(
                f"rig {rig.origin or rig.name}: a simulation needs [specimen] and "
                "camera.exposure_ms"
            )
        self.rig = rig
        self._config = rig.specimen
        # All made now: a camera must not wait for one in the middle of a sequence. A preset
        # that is no stain is left to the core, which says what presets there are.
        wanted = [channel for channel in rig.channels if channel.preset in STAINS]
        self._specimens = {
            str(channel.preset): Specimen(
                rig.specimen, optics_of(rig, channel), str(channel.preset)
            )
            for channel in wanted
        } or {"all": Specimen(rig.specimen, optics_of(rig))}
        self._noise: dict[float, NoiseTable] = {}
        self._lock = threading.Lock()
        self._settings = [
            _Setting(0, 0.0, 0.0, rig.camera.exposure_ms, next(iter(self._specimens)))
        ]

    @property
    def shape(self) -> tuple[int, int]:
        """(Y, X) of the chip in pixels."""
        return self._config.shape

    @property
    def stains(self) -> tuple[str, ...]:
        """What can be made to give light, in the order of the rig's channels."""
        return tuple(self._specimens)

    @property
    def exposure_ms(self) -> float:
        """The exposure set last."""
        return self._settings[-1].exposure_ms

    @property
    def stain(self) -> str:
        """What gives light, as set last."""
        return self._settings[-1].stain

    @property
    def z_um(self) -> float:
        """The stage position set last."""
        return self._settings[-1].z_um

    @property
    def xy_um(self) -> tuple[float, float]:
        """Where the XY stage stands, as set last."""
        return self._settings[-1].xy_um

    def set(
        self,
        first: int,
        *,
        exposure_ms: float | None = None,
        z_um: float | None = None,
        stain: str | None = None,
        xy_um: tuple[float, float] | None = None,
    ) -> None:
        """From frame `first` on, expose for `exposure_ms`, stand at `z_um` and `xy_um`, light
        `stain`.

        Raises `UserError` out of range. `first` may not lie before an earlier change.
        """
        x_um, y_um = xy_um or (None, None)
        for name, value, (low, high) in (
            ("exposure_ms", exposure_ms, EXPOSURES_MS),
            ("z_um", z_um, Z_RANGE_UM),
            ("x_um", x_um, XY_RANGE_UM),
            ("y_um", y_um, XY_RANGE_UM),
        ):
            if value is not None and not low <= value <= high:
                raise UserError(
                    f"simulated microscope: {name} {value} is out of range; allowed is {low} to "
                    f"{high}"
                )
        if stain is not None and stain not in self._specimens:
            raise UserError(
                f"simulated microscope: got the stain {stain!r}, allowed is "
                f"{', '.join(self._specimens)}"
            )
        with self._lock:
            last = self._settings[-1]
            first = max(first, last.first)
            begins_s = last.time_s + (first - last.first) * last.exposure_ms / 1e3
            if first == last.first:
                self._settings.pop()
            self._settings.append(
                _Setting(
                    first,
                    begins_s,
                    last.z_um if z_um is None else z_um,
                    last.exposure_ms if exposure_ms is None else exposure_ms,
                    last.stain if stain is None else stain,
                    last.xy_um if xy_um is None else xy_um,
                )
            )

    def exposure(self, number: int) -> Exposure:
        """How frame `number` was or will be taken with the settings known now."""
        with self._lock:
            place = bisect_right(self._settings, number, key=lambda setting: setting.first)
            setting = self._settings[place - 1]
        age_ms = (number - setting.first + 0.5) * setting.exposure_ms
        return Exposure(
            setting.time_s + age_ms / 1e3,
            setting.z_um,
            setting.exposure_ms,
            setting.stain,
            setting.xy_um,
        )

    def truth(self, number: int) -> NDArray[np.float32]:
        """Expected photoelectrons (Y, X) of frame `number`, without any noise."""
        taken = self.exposure(number)
        with self._lock:
            return self._specimens[taken.stain].render(
                taken.time_s, taken.z_um, taken.exposure_ms, taken.xy_um
            )

    def counts(self, number: int, *, lit: bool = True) -> NDArray[np.uint8] | NDArray[np.uint16]:
        """Frame `number` (Y, X) as the camera delivers it; not `lit`: behind a closed shutter."""
        rng = np.random.Generator(np.random.SFC64([self._config.seed, number]))
        truth = self.truth(number) if lit else np.zeros(self.shape, np.float32)
        return self._noise_for(self.exposure(number).exposure_ms).counts(truth, rng)

    def _noise_for(self, exposure_ms: float) -> NoiseTable:
        """The table for twice the rig's brightness, of a size that the exposure alone
        sets, so that a frame taken again is the same.
        """
        specimen = self._config
        brightness = 2 * specimen.peak_photons_per_ms + specimen.background_photons_per_ms
        size = math.ceil(math.log2(max(16.0, brightness * exposure_ms)))
        max_e = min(2.0**size, _TABLE_MOST_E)
        with self._lock:
            if max_e not in self._noise:
                self._noise[max_e] = NoiseTable(self.rig.camera, max_e)
            return self._noise[max_e]
