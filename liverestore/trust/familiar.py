"""Whether a frame is one that this microscope can have made and the engine has learnt from.

A lens passes no detail finer than its cut-off, so that beyond it a frame holds noise alone, of a
known size. Text, a screen, a picture from the internet, or a coarser objective than the rig names
put structure there.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy import fft
from scipy.signal import windows

from liverestore.camera_model import CameraModel
from liverestore.frame import OBJECTIVE_TAG, PIXEL_SIZE_TAG, FrameHeader
from liverestore.noise_samples import window
from liverestore.optics import Optics
from liverestore.trust.residual import variance_e
from liverestore.trust.spot_template import blurred

__all__ = ["Oddity", "beyond_cutoff", "objective_of", "oddities"]

_SATURATED_AMBER, _SATURATED_RED = 1e-3, 1e-2
_SAMPLE_PX = 65_536
"""Looked at for saturation, spread over the frame."""
_SIZES_AGREE = 0.05
_CROP_PX = 128
_FADED = 0.2
_EDGE_PX = 16
_SIGMAS = 4.0
"""Of noise alone, 0.006 % of the pixels lie farther out."""
_CLIP_SIGMAS = np.float32(8.0)
_STRANGE_AMBER, _STRANGE_RED = 0.005, 0.02
"""A gain that is wrong by a factor of two gives 0.5 %, a hot pixel some ten pixels."""
_WIDEST_CUTOFF = 0.6
"""Cycles per pixel; beyond it fewer than 8 % of the frequencies are left to look at."""
_DEFAULT_CUTOFF = 0.5
"""Where the optics are not known: that of a camera which samples as Nyquist asks."""


@dataclass(frozen=True, slots=True)
class Oddity:
    """One way in which a frame is unlike what it should be."""

    level: Literal["amber", "red"]
    words: str
    """Without numbers that change from frame to frame, which would flicker."""
    numbers: dict[str, float] = field(default_factory=dict)


def oddities(
    raw: NDArray[np.generic],
    header: FrameHeader,
    camera: CameraModel,
    optics: Optics | None,
    number: int = 0,
    objective: str | None = None,
) -> tuple[Oddity, ...]:
    """All that is odd about a raw frame (Y, X) in counts, under 2 ms whatever its size.

    `number` moves the place that is looked at for detail beyond the cut-off; `objective` is the
    label that `optics` are those of, None where it is not known.
    """
    found = [
        _saturated(raw, header),
        _other_objective(header, objective),
        _other_sampling(header, optics),
    ]
    if camera.origin != "assumed":
        found.append(_too_fine(raw, header, camera, optics, number))
    return tuple(oddity for oddity in found if oddity is not None)


def _saturated(raw: NDArray[np.generic], header: FrameHeader) -> Oddity | None:
    if raw.dtype.kind != "u":
        return None
    top = 2 ** (8 * raw.dtype.itemsize) - 1
    if header.bit_depth is not None:
        top = min(top, 2**header.bit_depth - 1)
    step = max(1, math.isqrt(raw.size // _SAMPLE_PX))
    some = raw[::step, ::step]
    share = float(np.greater_equal(some, top).mean())
    if share < _SATURATED_AMBER:
        return None
    red = share >= _SATURATED_RED
    words = "saturated: the brightest places are cut off and too low"
    return Oddity("red" if red else "amber", words, {"saturated_share": round(share, 4)})


def objective_of(header: FrameHeader) -> str | None:
    """What a frame's tags name as its objective; None where they name none."""
    return header.metadata.get(OBJECTIVE_TAG) or None


def _other_objective(header: FrameHeader, objective: str | None) -> Oddity | None:
    now = objective_of(header)
    if objective is None or now is None or now == objective:
        return None
    return Oddity("red", f"another objective: {now}; the rig's numbers are those of {objective}")


def _other_sampling(header: FrameHeader, optics: Optics | None) -> Oddity | None:
    if optics is None:
        return None
    # Some cameras tell the size of a binned pixel, others that of one on the chip.
    allowed = {optics.pixel_size_um, optics.pixel_size_um * (header.binning or 1)}
    # The rig's own size is stamped on the frames; what the core has for its turret is in the tags.
    for size in (header.pixel_size_um, _stated_um(header)):
        if size is None or min(abs(math.log(size / known)) for known in allowed) <= _SIZES_AGREE:
            continue
        return Oddity(
            "red",
            f"another objective? The frames' pixels are {size:g} um in the sample, the rig's "
            f"{optics.pixel_size_um:g} um",
            {"pixel_size_um": size},
        )
    return None


def _stated_um(header: FrameHeader) -> float | None:
    text = header.metadata.get(PIXEL_SIZE_TAG, "")
    try:
        size = float(text)
    except ValueError:
        return None
    return size if 0 < size < math.inf else None


def _too_fine(
    raw: NDArray[np.generic],
    header: FrameHeader,
    camera: CameraModel,
    optics: Optics | None,
    number: int,
) -> Oddity | None:
    cutoff = _DEFAULT_CUTOFF
    if optics is not None:
        cutoff = optics.cutoff_per_um * (header.pixel_size_um or optics.pixel_size_um)
    place = window(raw.shape, _CROP_PX**2, number)
    # One place of the chip; its fixed pattern is small against the noise of a frame.
    electrons = camera.without_maps().to_electrons(raw[place])
    share = beyond_cutoff(electrons, cutoff, camera.read_noise_e, camera.gain_e_per_count)
    if share is None or share < _STRANGE_AMBER:
        return None
    limit = "the optics pass" if optics is not None else "optics of usual sampling pass"
    return Oddity(
        "red" if share >= _STRANGE_RED else "amber",
        f"finer detail than {limit}: no picture of this microscope, or wrong camera numbers",
        {"beyond_cutoff_share": round(share, 4)},
    )


def beyond_cutoff(
    electrons: NDArray[np.float32],
    cutoff: float,
    read_noise_e: float,
    gain_e_per_count: float,
) -> float | None:
    """Share of the pixels whose detail finer than `cutoff` exceeds four sigma of the noise.

    `electrons` is (Y, X) of 64 px or more a side; `cutoff` in cycles per pixel. About 0.00006
    for a picture that optics made. None where the pixels are too coarse (a cut-off above 0.6)
    or too few to tell.
    """
    if min(electrons.shape) < 64 or cutoff > _WIDEST_CUTOFF:
        return None
    height, width = electrons.shape
    ky, kx = fft.fftfreq(height)[:, None], fft.rfftfreq(width)[None, :]
    beyond = np.hypot(ky, kx) > 1.05 * cutoff
    twice = np.full(beyond.shape, 2.0)
    twice[:, 0] = 1.0
    if width % 2 == 0:
        twice[:, -1] = 1.0
    passed = float((twice * beyond).sum()) / electrons.size
    fade = np.outer(*(windows.tukey(n, _FADED) for n in electrons.shape)).astype(np.float32)
    level = blurred(electrons, 3.0)
    noise = np.sqrt(variance_e(level, read_noise_e, gain_e_per_count))
    # A hot pixel would ring through the whole filter.
    detail = np.clip(electrons - level, -_CLIP_SIGMAS * noise, _CLIP_SIGMAS * noise) * fade
    fine = fft.irfft2(fft.rfft2(detail) * beyond, s=electrons.shape)
    noise *= np.float32(math.sqrt(passed))
    inner = (slice(_EDGE_PX, -_EDGE_PX),) * 2
    return float((np.abs(fine[inner]) > _SIGMAS * noise[inner]).mean())
