"""`liverestore calibrate --rig`: darks and flats taken through the core, by plain questions."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import msgspec
import typer
from rich.console import Console
from rich.text import Text

from liverestore.calibration_plan import (
    GOAL,
    Level,
    Look,
    dark_frames,
    exposure_levels,
    flat_frames,
    lamp_steps,
    look_at,
    refuse_drift,
    refuse_leak,
    refuse_light_in_short_darks,
    refuse_structure,
    refuse_uneven,
    too_bright,
)
from liverestore.camera.core_light import CoreLight
from liverestore.camera.open import open_source
from liverestore.camera.steady_series import AT_ONCE, SteadySeries
from liverestore.camera_calibration import (
    LEAST_FLATS,
    CameraCalibration,
    calibrate_photon_transfer,
)
from liverestore.cli.calibrate_series import kept_of, show_found
from liverestore.cli.calibration_file import Kept
from liverestore.errors import UserError
from liverestore.frame import Frame
from liverestore.rig import RigConfig
from liverestore.rig_calibration import calibration_inconsistency
from liverestore.service.light_open import open_light_of
from liverestore.service.metered_camera import refuse_beyond
from liverestore.writer.ome import OmeSink

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from liverestore.cli.calibrate_ways import Request

__all__ = ["Guided"]

_LOOKS = 8
"""Frames of a first look at darks; enough to see light that doubles nothing but the noise."""
_LIGHT_LOOKS = 2
_SHORTER, _SHORTENINGS = 8.0, 4
"""For a first look that saturates."""
_OTHER_DARK = 4.0
"""Times the exposure, for darks that are to show a leak where one exposure is used for all."""


class Guided:
    """One calibration: darks, a look at the light, a plan, the flats, the numbers.

    The light that it takes is said before it is spent and counted afterwards.
    """

    def __init__(self, rig: RigConfig, request: Request, console: Console) -> None:
        wanted = rig.calibration
        given = {
            "dark_exposure_ms": request.dark_exposure_ms or None,
            "longest_exposure_ms": request.longest_ms,
            "lamp": request.lamp,
            "lamp_levels": request.levels,
        }
        wanted = msgspec.structs.replace(
            wanted, **{name: value for name, value in given.items() if value is not None}
        )
        if request.levels and wanted.lamp is None:
            raise UserError("calibrate: got --levels without --lamp; name the lamp's property")
        wrong = calibration_inconsistency(wanted, rig.source.kind)
        if wrong is not None:
            raise UserError(f"calibrate: {wrong}")
        self._wanted = wanted
        # Of channels in turn the first is as good as any: the camera is the same.
        self._rig = msgspec.structs.replace(rig, channels=rig.channels[:1], calibration=wanted)
        self._request = request
        self._console = console
        self._sinks: dict[str, OmeSink] = {}
        self._depth: int | None = rig.camera.bit_depth
        self._binning = 1

    def run(self) -> tuple[Kept, CameraCalibration]:
        """Take all series and calibrate.

        Raises `UserError` for a series that is of no use, saying why, and `Failure` for a
        camera, a shutter or a lamp that does not obey.
        """
        source = open_source(self._rig)
        with ExitStack() as ending:
            ending.callback(source.stop)
            info = source.start()
            source.set_roi(None)
            ending.callback(self._close_sinks)
            self._light = ending.enter_context(CoreLight(self._rig))
            keep = self._keep if self._request.save_series is not None else None
            # A lamp of several levels is not as strong as the rig says.
            self._account = open_light_of(self._rig, measured=self._wanted.lamp is None)
            self._account.begin(source, info)
            self._series = SteadySeries(source, keep, self._account)
            # However it ends: refused and interrupted series have cost light as well.
            ending.callback(self._tell_light)
            if info.exposure_ms is None:
                raise UserError(f"camera {info.name}: tells no exposure; set camera.exposure_ms")
            self._base_ms = info.exposure_ms
            self._top = 255.0 if info.dtype == "uint8" else 65535.0
            self._say(f"camera {info.name}, {info.shape[1]} x {info.shape[0]} px, the whole chip")
            found, levels, dark_ms = self._calibrated()
        show_found(self._console, found)
        self._judge(found)
        how = (
            f"through the core: darks of {dark_ms:g} ms and {levels} levels of light"
            f"{'' if self._wanted.lamp is None else f' by {self._wanted.lamp}'}"
        )
        return kept_of(found, how, with_maps=self._request.with_maps), found

    def _tell_light(self) -> None:
        series, account = self._series, self._account
        account.save()
        for notice in account.notices:
            self._say(notice, "yellow")
        if series.lit_frames:
            self._say(
                f"light taken: {series.lit_frames} frames, {series.lit_ms / 1e3:.3g} s of exposure"
                f"{self._dose(series.lit_ms)}"
            )

    def _calibrated(self) -> tuple[CameraCalibration, int, float]:
        short_ms = self._wanted.dark_exposure_ms
        dark_ms = short_ms or self._base_ms
        lit = short_ms is not None
        if not lit:
            self._darken()
            first = self._look(_LOOKS, dark_ms, lit=False)
            other = self._look(_LOOKS, self._other_dark_ms(), lit=False)
            refuse_leak(first, other, self._closed_by)
        else:
            self._light.open()
            self._ask(
                "Let even, steady light onto the camera: an empty field or a uniform fluorescent "
                "slide, out of focus."
            )
            first = self._look(_LOOKS, dark_ms, lit=True)
        count = dark_frames(first.mean.shape, with_maps=self._request.with_maps)
        self._say(f"darks: {count} frames of {dark_ms:g} ms")
        darks = [
            frame.pixels for frame in self._series.frames(count, dark_ms, lit=lit, name="dark")
        ]
        if not lit:
            self._light.open()
            self._ask(
                "Take the cap off and let even, steady light onto the camera: an empty field or a "
                "uniform fluorescent slide, out of focus."
            )
        flat = self._first_flat(first)
        refuse_uneven(first, flat)
        if lit:
            refuse_light_in_short_darks(first, flat)
        plan = self._plan(first, flat)
        self._announce(plan)
        self._means: dict[int, float] = {}
        found = calibrate_photon_transfer(
            darks,
            (self._flats(n, plan, first) for n in range(1, len(plan) + 1)),
            exposures=None if self._wanted.lamp else [level.exposure_ms for level in plan],
            bit_depth=self._depth,
            binning=self._binning,
        )
        if self._request.with_maps:
            refuse_structure(found.response_nonuniformity)
        return found, len(plan), dark_ms

    def _darken(self) -> None:
        by_core = self._light.closed_by
        self._closed_by = by_core or "the cap was said to be on"
        if by_core is not None:
            self._light.close()
            self._say(f"dark: {by_core}")
        elif self._request.yes:
            raise UserError(
                f"rig {self._rig.name}: has nothing that makes it dark without a hand (no shutter, "
                "no calibration.lamp_off); leave --yes out and cap the camera when asked, or give "
                "--dark-exposure for light that cannot be closed"
            )
        else:
            self._ask("Put the cap on the camera, or close the light path to it.")

    def _other_dark_ms(self) -> float:
        if self._wanted.lamp is not None:
            return _OTHER_DARK * self._base_ms
        longest = self._wanted.longest_exposure_ms
        return longest if longest > 1.5 * self._base_ms else _OTHER_DARK * self._base_ms

    def _first_flat(self, dark: Look) -> Look:
        exposure_ms = self._base_ms
        for _ in range(_SHORTENINGS):
            flat = self._look(_LIGHT_LOOKS, exposure_ms, lit=True)
            if self._wanted.lamp is not None or not too_bright(flat, self._top):
                return flat
            exposure_ms /= _SHORTER
        raise UserError(
            f"flats: {flat.exposure_ms:g} ms still gives {flat.level:.4g} of {self._top:.0f} "
            "counts; take less light"
        )

    def _plan(self, dark: Look, flat: Look) -> list[Level]:
        light_variance = max(flat.variance - dark.variance, 1e-3 * dark.variance)
        brightness = light_variance / (flat.level - dark.level)
        shape = (dark.mean.shape[0], dark.mean.shape[1])
        if self._wanted.lamp is not None:
            values = self._wanted.lamp_levels or lamp_steps(*self._light.lamp_limits())
            frames = flat_frames(shape, dark.variance / light_variance)
            return [Level(self._base_ms, frames, lamp=value) for value in values]
        exposures, full = exposure_levels(dark, flat, self._top, self._wanted.longest_exposure_ms)
        plan = []
        for exposure_ms in exposures:
            light = (flat.level - dark.level) * exposure_ms / flat.exposure_ms
            ratio = dark.variance / (brightness * light)
            plan.append(Level(exposure_ms, flat_frames(shape, min(ratio, 4.0))))
        if full is not None:
            plan.append(Level(full, LEAST_FLATS, fills=True))
        return plan

    def _announce(self, plan: list[Level]) -> None:
        for n, level in enumerate(plan, start=1):
            why = ", to fill the pixels" if level.fills else ""
            self._say(f"level {n}: {level.frames} frames, {level.said}{why}")
        if self._wanted.lamp is None and not plan[-1].fills:
            self._say(
                "full well: not reached with exposures up to "
                f"{self._wanted.longest_exposure_ms:g} ms; --longest allows more"
            )
        # With the frame that opens each run, and the look at the end.
        runs = [level.exposure_ms * (level.frames + -(-level.frames // AT_ONCE)) for level in plan]
        lit_ms = sum(runs) + (_LIGHT_LOOKS + 1) * self._middle(plan)[1].exposure_ms
        irradiance = self._rig.illumination.irradiance_mw_cm2
        if self._wanted.lamp is None:
            refuse_beyond(self._account, "calibrate: this", irradiance, lit_ms)
        self._ask(
            f"The flats take about {lit_ms / 1e3:.3g} s of light{self._dose(lit_ms)}; "
            f"{self._series.lit_ms / 1e3:.3g} s were taken so far. Go on?"
        )

    def _flats(self, n: int, plan: list[Level], dark: Look) -> Iterator[NDArray[Any]]:
        level = plan[n - 1]
        if level.lamp is not None:
            self._light.set_lamp(level.lamp)
        sums = count = 0.0
        for frame in self._series.frames(
            level.frames, level.exposure_ms, lit=True, name=f"flat_{n:02d}"
        ):
            sums += float(frame.pixels.mean())
            count += 1
            yield frame.pixels
        self._means[n] = sums / count
        if n == len(plan):
            self._check_drift(plan, dark)

    def _check_drift(self, plan: list[Level], dark: Look) -> None:
        """Whether the lamp still gives at the middle level what it gave."""
        n, level = self._middle(plan)
        if level.lamp is not None:
            self._light.set_lamp(level.lamp)
        again = self._look(_LIGHT_LOOKS, level.exposure_ms, lit=True)
        refuse_drift(self._means[n] - dark.level, again.level - dark.level, level)

    @staticmethod
    def _middle(plan: list[Level]) -> tuple[int, Level]:
        """Number and settings of the level in the middle of those that do not saturate."""
        usable = [(n, level) for n, level in enumerate(plan, start=1) if not level.fills]
        return usable[len(usable) // 2]

    def _look(self, count: int, exposure_ms: float, *, lit: bool) -> Look:
        frames = list(self._series.frames(count, exposure_ms, lit=lit))
        header = frames[0].header
        self._depth = header.bit_depth or self._depth
        self._binning = header.binning or 1
        if self._depth is not None:
            self._top = min(self._top, 2.0**self._depth - 1)
        return look_at([frame.pixels for frame in frames], header.exposure_ms or exposure_ms)

    def _judge(self, found: CameraCalibration) -> None:
        for name, number in (
            ("gain", found.gain_e_per_count),
            ("read noise", found.read_noise_e),
            ("offset", found.offset_counts),
        ):
            if number.uncertainty > GOAL / 2 * number.value:
                self._say(
                    f"note: the {name} is uncertain by "
                    f"{100 * number.uncertainty / number.value:.2g} %; more light helps",
                    "yellow",
                )
        if self._wanted.dark_exposure_ms is not None:
            self._say(
                "note: darks were told by a short exposure; dark current is not in the offset",
                "yellow",
            )

    def _dose(self, lit_ms: float) -> str:
        irradiance = self._rig.illumination.irradiance_mw_cm2
        if irradiance is None or self._wanted.lamp is not None:
            return ""
        return f", {irradiance * lit_ms * 1e-6:.3g} J/cm2 at the rig's irradiance"

    def _keep(self, name: str, frame: Frame) -> None:
        folder = self._request.save_series
        assert folder is not None
        if name not in self._sinks:
            self._sinks[name] = OmeSink(folder / f"{name}.ome.tif", on_existing="refuse")
        self._sinks[name].append(frame)

    def _close_sinks(self) -> None:
        for sink in self._sinks.values():
            sink.close()
        if self._sinks:
            self._say(f"series kept in {self._request.save_series}")

    def _ask(self, what: str) -> None:
        """Say what to do and wait; with --yes it is taken as done."""
        if self._request.yes:
            self._say(what)
            return
        try:
            agreed = typer.confirm(what, default=True)
        except typer.Abort:
            raise UserError(
                "calibrate: got no answer; answer at a terminal, or give --yes where light and "
                "cap need no hand"
            ) from None
        if not agreed:
            raise UserError("calibrate: stopped as you said; nothing was written")

    def _say(self, what: str, style: str = "") -> None:
        self._console.print(Text(what, style=style))
