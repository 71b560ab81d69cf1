"""Follows the results of one engine on one channel and says what can be believed of them.

Two steps, because they cost differently. A *glance* looks at the raw frame alone: light, pixel
size, detail beyond the optics, and what the engine warned of. A *look* adds the residual to the
pools, and every eighth look tests them. A frame that a glance finds foreign enters no pool.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from liverestore.camera_model import CameraModel
from liverestore.frame import Restored
from liverestore.optics import Optics
from liverestore.trust.familiar import objective_of, oddities
from liverestore.trust.forward import area_check, forward_psf, seen_again
from liverestore.trust.motion import Follower
from liverestore.trust.pooling import Pool
from liverestore.trust.residual import Light, NoiseCheck, light_of, noise_check
from liverestore.trust.spot_template import template_for
from liverestore.trust.spots import SpotTest, spot_test
from liverestore.trust.verdict import Finding, Steady, Verdict, kind_of

__all__ = ["TESTED_EVERY", "TrustWatch"]

FloatArray = NDArray[np.float32]

TESTED_EVERY = 8
"""Looks between two tests of the pools."""
_FIRST_TEST = 16
_TESTS_RISE, _TESTS_FALL = 3, 4
"""Tests in a row; neighbours share three quarters of their frames."""
_LEAST_PX = 64
_LAG1_ERRORS, _LAG1_LEAST = 5.0, 0.03
"""Residuals are called correlated beyond five standard errors and a correlation that matters."""
_VARIANCE_MOST = 1.3
_NOISE_MEMORY = 1 / 16
_NO_NUMBERS = "not judged: the camera's offset, gain and read noise are not known; calibrate"
_TOO_SMALL = f"not judged: frames of less than {_LEAST_PX} px a side"
_SURFACE = "not judged: a tilted or curved surface; only its frames are looked at"
_NO_OPTICS = "not judged: the rig states no optics to see this result through"
_MADE_UP = 0.5
"""Of what is shown of a spot: with less of it refuted, a true one may be shown too bright."""
_REFUTED_AMBER, _REFUTED_RED = 0.02, 0.10


@dataclass(frozen=True, slots=True)
class _Subject:
    """What the pools belong to; a change of it empties them."""

    shape: tuple[int, int]
    engine: str
    sha256: str
    camera: tuple[float, float, float]
    pixel_size_um: float | None
    exposure_ms: float | None
    z_um: float | None
    dpm: float | int | str | None


class TrustWatch:
    """Of one channel. Used from one thread."""

    def __init__(self, optics: Optics | None, objective: str | None = None) -> None:
        """`optics` of the channel; None where the rig does not state them. `objective` is the
        label of theirs in the turret; None takes the one of the first frame.
        """
        self._optics = optics
        self._objective = objective
        self._odd: dict[str, float] = {}
        self._why_not = ""
        self._template = template_for(optics)
        self._glanced = Steady()
        self._tested = Steady(rises_after=_TESTS_RISE, falls_after=_TESTS_FALL)
        self._glances = 0
        self._subject: _Subject | None = None
        self._numbers: dict[str, float] = {}
        self._first: tuple[Finding, ...] = ()
        self._second: tuple[Finding, ...] = ()
        self.last_test: SpotTest | None = None
        """The newest test with its maps; None before the first."""
        self._empty((1, 1))

    def _empty(self, shape: tuple[int, int]) -> None:
        self._fixed = Pool(shape)
        self._moving: Pool | None = None
        self._follower = Follower(shape) if min(shape) >= _LEAST_PX else None
        self._noise: NoiseCheck | None = None
        self._looks = 0
        self._tests = 0
        self._second = ()
        self._tested = Steady(rises_after=_TESTS_RISE, falls_after=_TESTS_FALL)
        self.last_test = None
        self._numbers = {}
        self._why_not = ""

    @property
    def foreign(self) -> bool:
        """Whether the frames of now are of another kind; the last test tells nothing of them."""
        return any(finding.level == "red" for finding in self._first)

    @property
    def verdict(self) -> Verdict:
        """As of the last glance or look."""
        findings = self._first if self.foreign else self._first + self._second
        words = tuple(dict.fromkeys(finding.words for finding in findings))
        red = [finding.words for finding in findings if finding.level == "red"]
        numbers = dict(self._odd)
        if not self.foreign and not self._why_not:
            numbers |= {"frames": round(self._fixed.effective_frames, 1), **self._numbers}
        # They travel, and no message takes numpy's own numbers, nor any that is none.
        numbers = {name: float(value) for name, value in numbers.items() if math.isfinite(value)}
        if findings:
            reason = red[0] if red else words[0]
            others = tuple(word for word in words if word != reason)
            return Verdict(
                level="red" if red else "amber", reason=reason, others=others, numbers=numbers
            )
        if self._why_not:
            return Verdict(level="unjudged", reason=self._why_not, numbers=numbers)
        if not self._tests:
            return Verdict(reason="not enough frames yet", numbers=numbers)
        return Verdict(level="green", reason="agrees with the data", numbers=numbers)

    def glance(self, result: Restored, camera: CameraModel) -> bool:
        """Look at the raw frame of `result`; True where it is one to be pooled."""
        header = result.source.header
        self._follow(result, camera)
        if self._objective is None:
            self._objective = objective_of(header)
        odd = oddities(
            result.source.pixels, header, camera, self._optics, self._glances, self._objective
        )
        self._glances += 1
        findings = [Finding(key=one.words, level=one.level, words=one.words) for one in odd]
        findings += [
            Finding(key=kind_of(words), level="amber", words=words)
            for words in result.provenance.warnings
            if words not in {finding.words for finding in findings}
        ]
        self._first = self._glanced.update(findings)
        self._odd = {name: value for one in odd for name, value in one.numbers.items()}
        if camera.origin == "assumed":
            self._why_not = _NO_NUMBERS
        elif self._follower is None:
            self._why_not = _TOO_SMALL
        return not any(one.level == "red" for one in odd) and not self._why_not

    def look(self, result: Restored, camera: CameraModel, *, sharpened: bool = False) -> None:
        """Glance, add the residual of `result` to the pools, and test them when it is time.

        `sharpened` results show more detail than the frame does, as confocal ones do. Results of
        a refocusing engine on a surface that is not one plane are only glanced at, and so are
        those that would have to be seen through optics which the rig does not state.
        """
        header, made = result.source.header, result.provenance
        if not self.glance(result, camera):
            return
        light = light_of(result.source.pixels, result.pixels, camera, header)
        shown_e, z_um = light.restored_e, made.parameters.get("virtual_z_um")
        psf = None
        if sharpened or "dpm" in made.parameters:
            z_um = 0.0 if sharpened and z_um is None else z_um
            if self._optics is None or not isinstance(z_um, (int, float)):
                self._why_not = _NO_OPTICS if self._optics is None else _SURFACE
                return
            if sharpened or z_um != 0:
                psf = forward_psf(self._optics, float(z_um))
        if psf is not None:
            light = Light(
                light.raw_e, seen_again(shown_e, psf), light.read_noise_e, light.gain_e_per_count
            )
        self._add(light)
        self._looks += 1
        if self._looks >= _FIRST_TEST and self._looks % TESTED_EVERY == 0:
            self._test(light, one_sided=psf is not None)

    def _follow(self, result: Restored, camera: CameraModel) -> None:
        made, header = result.provenance, result.source.header
        z_um = made.parameters.get("virtual_z_um")
        subject = _Subject(
            shape=header.shape,
            engine=made.engine,
            sha256=made.sha256,
            camera=(camera.offset_counts, camera.gain_e_per_count, camera.read_noise_e),
            pixel_size_um=header.pixel_size_um,
            exposure_ms=header.exposure_ms,
            z_um=float(z_um) if isinstance(z_um, (int, float)) else None,
            dpm=made.parameters.get("dpm"),
        )
        if subject != self._subject:
            self._subject = subject
            self._empty(header.shape)

    def _add(self, light: Light) -> None:
        assert self._follower is not None, "frames too small to follow are not pooled"
        variance = light.variance_e()
        difference = light.raw_e - light.restored_e
        weighted = difference / variance
        moved = self._follower.step(light.restored_e)
        if moved is not None:
            if self._moving is None:
                self._moving = self._fixed.copy()
            self._moving.follow(moved)
        self._fixed.add(weighted, light.restored_e)
        if self._moving is not None:
            self._moving.add(weighted, light.restored_e)
        difference /= np.sqrt(variance, out=variance)
        self._note(noise_check(difference))

    def _note(self, now: NoiseCheck) -> None:
        before = self._noise
        if before is None:
            self._noise = now
            return
        m = max(_NOISE_MEMORY, 1 / (self._looks + 1))
        self._noise = NoiseCheck(
            variance=(1 - m) * before.variance + m * now.variance,
            lag1=(1 - m) * before.lag1 + m * now.lag1,
            lag1_error=math.hypot((1 - m) * before.lag1_error, m * now.lag1_error),
        )

    def _test(self, light: Light, *, one_sided: bool) -> None:
        noise = self._noise
        assert noise is not None, "there was a look"
        self._numbers = {
            "residual_variance": round(noise.variance, 3),
            "residual_lag1": round(noise.lag1, 4),
            "residual_lag1_error": round(noise.lag1_error, 4),
        }
        self._tests += 1
        # Of a plane seen again the model is good to some percent of its light, which 32 frames
        # added up would show as spots: areas are compared, with that error in the account.
        findings = self._area_findings(light) if one_sided else self._spot_findings(light, noise)
        self._second = self._tested.update(findings)

    def _area_findings(self, light: Light) -> list[Finding]:
        refuted = area_check(light, light.restored_e).refuted_share
        self._numbers["refuted_area_share"] = round(refuted, 4)
        if refuted <= _REFUTED_AMBER:
            return []
        words = "shows light in this plane that the frame does not have"
        level: Literal["amber", "red"] = "red" if refuted > _REFUTED_RED else "amber"
        return [Finding(key="area", level=level, words=words)]

    def _spot_findings(self, light: Light, noise: NoiseCheck) -> list[Finding]:
        pools = [pool for pool in (self._fixed, self._moving) if pool is not None]
        tests = [
            spot_test(
                pool,
                self._template,
                light.read_noise_e,
                light.gain_e_per_count,
                pools=len(pools),
            )
            for pool in pools
        ]
        self.last_test = test = tests[0]
        invented = [place for one in tests for place in one.invented]
        missing = [place for one in tests for place in one.missing]
        self._numbers.update(
            invented_spots=float(len(invented)),
            missing_spots=float(len(missing)),
            detectable_e=float(f"{float(np.median(test.detectable_e[::4, ::4])):.2g}"),
            engine_error_share=float(f"{test.engine_error[0]:.2g}"),
        )
        findings = []
        if invented:
            self._numbers["invented_e"] = max(place.photons_e for place in invented)
        if any(place.share >= _MADE_UP for place in invented):
            words = "shows spots that are not in the data"
            findings.append(Finding(key="invented", level="red", words=words))
        elif invented:
            words = "shows spots brighter than the data have them"
            findings.append(Finding(key="invented", level="amber", words=words))
        if missing:
            words = "the data have spots that the restored image lacks"
            findings.append(Finding(key="missing", level="amber", words=words))
        if noise.lag1 > max(_LAG1_ERRORS * noise.lag1_error, _LAG1_LEAST):
            words = "smoother than the data: structure is left in the residual"
            findings.append(Finding(key="smooth", level="amber", words=words))
        if noise.variance > _VARIANCE_MOST:
            words = "differs from the frames by more than the camera's noise"
            findings.append(Finding(key="noise", level="amber", words=words))
        return findings
