"""Scores an engine on the sample itself: a bright reference shot between two of its pictures.

The squared error of a picture against the reference, which it has never seen, is its own squared
error plus the noise of the reference, whose size is known. The raw frame is scored likewise: an
engine whose picture is farther from the sample than the raw frame does harm here.

Whether the sample moved is read from the raw frames before and after the shot: what they differ
by beyond their noise, in blocks of 4 x 4 px, is movement.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from liverestore.camera_model import CameraModel
from liverestore.frame import Frame, Restored
from liverestore.measure.fidelity import affine_fit
from liverestore.trust.reference import score_against_reference
from liverestore.trust.reference_report import ReferenceReport

__all__ = ["check_reference"]

FloatArray = NDArray[np.floating[Any]]

_SATURATED_SHARE = 1e-3
_BLOCK_PX = 4
_SURE = 5.0
"""Standard errors beyond which a difference is no chance."""
_MOVED_SHARE = 0.1
"""Of the squared error that is measured: movement that adds less changes the score little."""
_LEAST_PX = 64


def check_reference(
    before: Restored, after: Restored, shot: Frame, camera: CameraModel, *, denoises: bool
) -> ReferenceReport:
    """Score the picture `before` the `shot`; `after` is the one after it.

    `denoises`: whether the engine is to show the frame's own plane at its own resolution, as the
    reference does. `camera` is that of these frames.
    """
    made = before.provenance
    about: dict[str, Any] = {
        "number": shot.header.number,
        "taken_utc": shot.header.captured_utc,
        "exposure_ms": shot.header.exposure_ms,
        "engine": made.engine,
        "sha256": made.sha256,
    }
    why = _incomparable(before, after, shot, denoises=denoises)
    if why:
        return ReferenceReport(not_scored=why, **about)
    frame = before.source
    model = camera.for_frame(frame.header)
    reference_e = model.to_electrons(shot.pixels)
    raw_e = [model.to_electrons(one.source.pixels) for one in (before, after)]
    shown_e = [camera.without_maps().to_electrons(one.pixels) for one in (before, after)]
    noise = np.maximum(reference_e, 0).mean(dtype=np.float64) + camera.read_noise_e**2
    scale = _slope(raw_e[0], reference_e, camera, shown_e[0])
    if scale is None:
        return ReferenceReport(not_scored="nothing to be seen in the field", **about)
    squared = [_squared_error(one, reference_e, noise) / scale**2 for one in (shown_e[0], raw_e[0])]
    doubt = math.sqrt(2 / reference_e.size) * noise / scale**2
    change, change_doubt = _change(raw_e, shown_e, camera)
    if change > _SURE * change_doubt and change > _MOVED_SHARE * max(squared[0], doubt):
        return ReferenceReport(not_scored="the sample moved", **about)
    if squared[0] < _SURE * doubt:
        words = "it is too dim for so small an error (take a brighter one)"
        return ReferenceReport(not_scored=words, **about)
    score = score_against_reference(before.pixels, shot.pixels, model)
    return ReferenceReport(
        error_e=math.sqrt(squared[0]),
        raw_error_e=math.sqrt(max(squared[1], doubt)),
        psnr_db=score.psnr_db,
        ssim=score.ssim,
        frc_px=score.frc_px if math.isfinite(score.frc_px) else None,
        **about,
    )


def _incomparable(before: Restored, after: Restored, shot: Frame, *, denoises: bool) -> str:
    first, last, header = before.source.header, after.source.header, shot.header
    if not denoises or "dpm" in before.provenance.parameters:
        return "the engine shows another plane or finer detail than a frame, by design"
    engines = {(one.provenance.engine, one.provenance.sha256) for one in (before, after)}
    if len(engines) > 1:
        return "the engine was changed meanwhile"
    alike = {(one.shape, one.roi, one.z_um, one.channel) for one in (first, last, header)}
    if len(alike) > 1 or first.exposure_ms != last.exposure_ms:
        return "the ROI, the focus or the exposure was changed meanwhile"
    if min(header.shape) < _LEAST_PX:
        return f"the frames are too small ({_LEAST_PX} px a side are needed)"
    depth = header.bit_depth or 8 * shot.pixels.dtype.itemsize
    if shot.pixels.dtype.kind == "u":
        share = float(np.mean(shot.pixels >= 2**depth - 1))
        if share > _SATURATED_SHARE:
            return f"{100 * share:.1f} % of it are saturated (take a shorter one)"
    return ""


def _slope(
    raw_e: FloatArray, reference_e: FloatArray, camera: CameraModel, shown_e: FloatArray
) -> float | None:
    """Brightness of the reference over that of the frame, from the structure of both.

    The noise of the raw frame is in the variance of the raw frame alone, and is taken out.
    """
    x = raw_e - raw_e.mean(dtype=np.float64)
    noise = np.maximum(shown_e, 0).mean(dtype=np.float64) + camera.read_noise_e**2
    power = float(np.square(x).mean(dtype=np.float64)) - noise
    shared = float((x * (reference_e - reference_e.mean(dtype=np.float64))).mean())
    return shared / power if power > _SURE * noise / math.sqrt(x.size) and shared > 0 else None


def _squared_error(image: FloatArray, reference_e: FloatArray, noise: float) -> float:
    """Of a pixel after the best linear fit, less the variance of the reference's `noise`."""
    fitted = affine_fit(image, reference_e)
    return float(np.square(fitted - reference_e).mean()) - float(noise)


def _change(
    raw_e: list[FloatArray], shown_e: list[FloatArray], camera: CameraModel
) -> tuple[float, float]:
    """Mean square by which two frames differ beyond noise, in e2 a pixel, and its doubt.

    Bleaching, which takes the same share of all places, is fitted.
    """
    before, after = raw_e
    x, y = (one - one.mean(dtype=np.float64) for one in shown_e)
    power = float((y * y).mean())
    fade = float((x * y).mean()) / power if power > 0 else 1.0
    difference = _blocks(after * fade - before)
    difference -= difference.mean()
    variance = _blocks(
        (1 + fade**2) * (np.maximum(shown_e[0], 0) + np.float32(camera.read_noise_e**2))
    ) / (_BLOCK_PX**2)
    excess = np.square(difference) - variance
    doubt = math.sqrt(2 / excess.size) * float(variance.mean())
    # Half of what lies between the two is between either and the shot in the middle, at most.
    return float(excess.mean()) / 2, doubt / 2


def _blocks(image: FloatArray) -> FloatArray:
    rows, columns = (size // _BLOCK_PX for size in image.shape)
    inner = image[: rows * _BLOCK_PX, : columns * _BLOCK_PX]
    parts = inner.reshape(rows, _BLOCK_PX, columns, _BLOCK_PX)
    return np.asarray(parts.mean(axis=(1, 3), dtype=np.float64))
