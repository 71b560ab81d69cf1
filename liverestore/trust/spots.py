"""Spots that the restored image shows and the data refute, or that the data show and it lacks.

The pooled residual goes through a matched filter, which gives at each pixel the photoelectrons
of a spot that the data have more (or less) than the restored image. What the engine does to all
structure alike is taken out of it (`engine_habit`). The error of the rest has two parts. One
is the noise, known from the camera. The other is the engine's own, which pooling does not average
out. It is taken to grow with the structure around (the root mean square of what the restored
image itself shows to the filter, at least the noise), and the factor is read from the frame: the
tail of the map of amplitudes, of each sign alone, must be that of a normal distribution. What
stands out of that is not how this engine errs here. Where an engine errs much, little can be
refuted, and `detectable_e` says how little.

False alarms (Bonferroni): 1 % per test of a frame for invented spots, and as much for missing
ones. Half of the 1 % for invented ones goes to the places where the image shows the top of a
spot. These are few, some hundreds in a frame of cells, so that less evidence is enough there; the
other half goes to all pixels.
"""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage, stats

from liverestore.trust.engine_habit import habit
from liverestore.trust.pooling import Pool
from liverestore.trust.residual import variance_e
from liverestore.trust.spot_template import SpotTemplate, blurred

__all__ = ["FALSE_ALARMS", "Place", "SpotTest", "spot_test"]

FloatArray = NDArray[np.float32]

FALSE_ALARMS = 0.01
"""Chance that a test of a whole frame finds an invented spot where there is none."""
_POWER_SIGMAS = 1.2816
"""A spot this many sigma above the threshold is found nine times in ten."""
_SURROUND_SIGMAS = 6.0
_TAIL_PX, _TAIL_LEAST, _TAIL_MOST = 200, 0.001, 0.05
"""Pixels in the tail that the engine's error is read from: many against those of one spot."""
_SHARE = 1 / 3
"""A spot is invented where the data refute at least this share of what is shown there; with less
an engine would be called an inventor that makes true spots a little too bright."""
_MISSING_SHARE = 0.5
"""A spot is missing where at least this share of what the data have is not shown."""
_ALONE_SIGMAS = 3.0
"""Of the noise alone, by which the data must lack light whatever the engine's habit is."""
_TOP_SIGMAS = 3.0
"""A top of the image lower than this could not be refuted."""
_PLAIN = 4.0
"""Structure of less than this many times the variance of the noise has no slopes that matter."""
_PIXELS_A_TOP = 2.0
"""That are as good as independent among the nine pixels which are looked at around a top."""
_MOST_PLACES = 20


@dataclass(frozen=True, slots=True)
class Place:
    """One spot."""

    y: int
    x: int
    photons_e: float
    """That the restored image has too many (invented) or lacks (missing)."""
    sigmas: float
    share: float
    """Those photoelectrons as a share of what is shown (invented) or in the data (missing)."""


@dataclass(frozen=True, slots=True, eq=False)
class SpotTest:
    """One test of a whole frame; maps are (Y, X) float32."""

    z: FloatArray
    """What the data have more than the restored image, in standard errors (noise and engine)."""
    detectable_e: FloatArray
    """Photoelectrons of the smallest invented spot that nine tests in ten would find here."""
    invented: tuple[Place, ...]
    missing: tuple[Place, ...]
    frames: float
    """Effective number of frames pooled."""
    engine_error: tuple[float, float]
    """The engine's own error as a share of the structure around: too much, too little shown."""


@functools.lru_cache(maxsize=16)
def threshold(pixels: int, pools: int = 1) -> float:
    """Standard errors that the extreme of frames of so many pixels exceeds by chance, on one
    side, in `FALSE_ALARMS` of all tests of so many pools together.
    """
    return _beyond(FALSE_ALARMS / pools, pixels)


def _beyond(chance: float, places: float) -> float:
    return float(stats.norm.isf(chance / places))


def spot_test(
    pool: Pool,
    template: SpotTemplate,
    read_noise_e: float,
    gain_e_per_count: float,
    *,
    pools: int = 1,
) -> SpotTest:
    """Test what `pool` has gathered, one of `pools` of the same frames that are tested together.

    Of frames of 32 px or more a side it tells something.
    """
    restored = pool.mean_restored_e()
    variance = variance_e(restored, read_noise_e, gain_e_per_count)
    residual = pool.mean_residual()
    # Filter times spot, and filter squared, are as wide as this.
    width_px = template.sigma_px / math.sqrt(2)
    weight: FloatArray = np.reciprocal(variance)
    inverse = blurred(weight, width_px)
    frames = pool.effective_frames
    amplitude = template.apply(residual)
    amplitude /= inverse * np.float32(template.overlap)
    # The noise is that of the light which was there, and an invented spot has none.
    light = blurred(restored + residual * variance, template.sigma_px)
    actual = variance_e(light, read_noise_e, gain_e_per_count)
    spread = blurred(actual * np.square(weight), width_px)
    noise = np.sqrt(np.float32(template.power / max(frames, 1e-9)) * spread) / inverse
    noise /= np.float32(template.overlap)
    copies = template.copies(restored)
    unlike = amplitude - habit(amplitude, noise, restored, copies, variance, template.sigma_px)
    shown = (copies[0] - copies[1]) / np.float32(template.overlap)
    squared = noise * noise
    around = blurred(shown * shown, _SURROUND_SIGMAS * template.sigma_px)
    # Where next to nothing is shown, chance alone would make a huge share of it.
    np.maximum(around, squared, out=around)
    too_much = _engine_error(-unlike, squared, around)
    too_little = _engine_error(unlike, squared, around)
    own = np.where(unlike < 0, np.float32(too_much**2), np.float32(too_little**2))
    z = unlike / np.sqrt(squared + own * around)
    error = np.sqrt(squared + np.float32(too_much**2) * around)

    inner = _inner(z.shape, math.ceil(3 * template.sigma_px))
    tops = inner & (shown == ndimage.maximum_filter(shown, 3)) & (shown > _TOP_SIGMAS * error)
    at_tops = _beyond(FALSE_ALARMS / 2 / pools, _PIXELS_A_TOP * max(1, int(tops.sum())))
    anywhere = _beyond(FALSE_ALARMS / 2 / pools, z.size)
    needed = np.where(ndimage.maximum_filter(tops, 3), np.float32(at_tops), np.float32(anywhere))
    # The data must speak for themselves too: a true spot that is shown in full, by an engine that
    # rounds off all others, is no invention.
    refuted = np.maximum(_SHARE * shown, _ALONE_SIGMAS * noise)
    invented = inner & (z < -needed) & (-amplitude >= refuted)
    # Beside bright structure a spot does not rise above its wide surround, and yet is seen.
    y, x = np.nonzero(invented)
    visible = shown.copy()
    visible[y, x] = np.maximum(shown[y, x], template.stands_out(copies[0], (y, x)))
    invented &= visible >= -_SHARE * amplitude
    limit = threshold(z.size, pools)
    has = amplitude + shown
    missing = inner & (z > limit) & (has > 0) & (amplitude >= _MISSING_SHARE * has)
    if missing.any():
        # Few photons: the upper tail is longer than the normal one (Cornish & Fisher, 1938).
        skew = template.cubed / template.power**1.5 / math.sqrt(max(frames, 1e-9))
        third = np.maximum(restored, 0) * inverse**1.5
        missing &= z > limit + skew * third * ((limit**2 - 1) / 6)
    # On the slope of other structure a spot need not have a top of its own.
    limits = np.where(around > _PLAIN * squared, np.float32(anywhere), np.float32(at_tops))
    return SpotTest(
        z=z,
        # A share of all that is shown with it must be refuted.
        detectable_e=np.maximum(
            (limits + np.float32(_POWER_SIGMAS)) * error,
            (np.float32(_SHARE) * shown + np.float32(_POWER_SIGMAS) * error)
            / np.float32(1 - _SHARE),
        ),
        invented=_places(invented, amplitude, z, visible),
        missing=_places(missing, amplitude, z, has),
        frames=frames,
        engine_error=(too_much, too_little),
    )


def _engine_error(amplitude: FloatArray, squared: FloatArray, around: FloatArray) -> float:
    """Factor k with which the upper tail of amplitude / sqrt(squared + k^2 around) is normal.

    A pixel is in the tail beyond t as long as k is below sqrt((amplitude / t)^2 - squared) /
    sqrt(around), so that k is a quantile of that.
    """
    tail = min(max(_TAIL_PX / amplitude.size, _TAIL_LEAST), _TAIL_MOST)
    t = np.float32(stats.norm.isf(tail))
    needed = np.square(np.maximum(amplitude, 0) / t)
    needed -= squared
    needed /= around + np.float32(1e-12)
    rank = min(int((1 - tail) * needed.size), needed.size - 1)
    return math.sqrt(max(0.0, float(np.partition(needed.ravel(), rank)[rank])))


@functools.lru_cache(maxsize=4)
def _inner(shape: tuple[int, int], margin: int) -> NDArray[np.bool_]:
    """True away from the borders, where the mirrored residual is no independent noise."""
    inside = np.zeros(shape, np.bool_)
    inside[margin : shape[0] - margin, margin : shape[1] - margin] = True
    inside.setflags(write=False)
    return inside


def _places(
    mask: NDArray[np.bool_], amplitude: FloatArray, z: FloatArray, whole: FloatArray
) -> tuple[Place, ...]:
    """The strongest pixel of each connected part, the strongest first, at most twenty."""
    if not mask.any():
        return ()
    labels, count = ndimage.label(mask, np.ones((3, 3)))
    peaks = ndimage.maximum_position(np.abs(z), labels, range(1, min(count, 500) + 1))
    found = [
        Place(
            int(y),
            int(x),
            round(abs(float(amplitude[y, x])), 1),
            round(abs(float(z[y, x])), 1),
            round(abs(float(amplitude[y, x])) / max(float(whole[y, x]), 1e-6), 2),
        )
        for y, x in peaks
    ]
    found.sort(key=lambda place: -place.sigmas)
    return tuple(found[:_MOST_PLACES])
