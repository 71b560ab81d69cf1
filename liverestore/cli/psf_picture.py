"""Measured and fitted bead side by side, as a PNG."""

from __future__ import annotations

from pathlib import Path

import imagecodecs
import numpy as np
from numpy.typing import NDArray

from liverestore.errors import Failure
from liverestore.psf_model import BeadFit

__all__ = ["picture", "save_picture"]

_SCALE = 6
"""Pixels of the picture to a pixel of the camera."""
_GAP = 6
_GAMMA = 0.5
"""Brings out the rings."""
_FULL_COLOUR = 0.2
"""Difference, relative to the brightest place of the row, that is painted fully red or blue."""

RGB = NDArray[np.uint8]


def picture(fit: BeadFit) -> RGB:
    """(Y, X, 3) uint8: columns measured, fitted, and measured minus fitted.

    The first row is the section along x and z, the others are planes: two thirds of the way to
    the first plane, in focus, and two thirds of the way to the last. Each row has its own
    brightness. In the last column red is too much light in the stack, blue too little.
    """
    rows = _rows(fit)
    gap = np.full((_GAP, rows[0].shape[1], 3), 40, np.uint8)
    return np.concatenate([part for row in rows for part in (row, gap)][:-1])


def save_picture(fit: BeadFit, path: Path) -> str | None:
    """Write `picture` with its labels to a PNG; why it has none, where Qt cannot write them.

    Raises `Failure` when the disk refuses.
    """
    # Qt is for words alone here, and slow to load.
    from liverestore.view.available import why_no_offscreen

    reason = why_no_offscreen()
    if reason is not None:
        try:
            path.expanduser().write_bytes(imagecodecs.png_encode(picture(fit)))
        except OSError as error:
            raise Failure(f"{path}: cannot be written: {error.strerror}") from None
        return reason
    from liverestore.view.labelled_picture import save_labelled

    rows = _rows(fit)
    tops = np.cumsum([0, *(len(row) + _GAP for row in rows)])
    focus_um = [fit.bead.focus_um[n] - fit.values["z_um"] for n in _planes(fit)]
    names = ["x, z", *(f"focus {z:+.1f} um" for z in focus_um)]
    wide = _SCALE * fit.bead.counts.shape[2]
    save_labelled(
        picture(fit),
        path,
        columns=[
            (name, (n * (wide + _GAP), wide))
            for n, name in enumerate(("measured", "fitted", "difference"))
        ],
        rows=[
            (name, (int(top), len(row))) for name, top, row in zip(names, tops, rows, strict=False)
        ],
        bar=("1 um", round(_SCALE / fit.pixel_size_um)),
    )
    return None


def _planes(fit: BeadFit) -> tuple[int, int, int]:
    focus = int(np.abs(fit.bead.focus_um - fit.values["z_um"]).argmin())
    last = len(fit.bead.counts) - 1
    return focus - round(2 * focus / 3), focus, focus + round(2 * (last - focus) / 3)


def _rows(fit: BeadFit) -> list[RGB]:
    measured, fitted = fit.bead.counts, fit.fitted
    middle = measured.shape[1] // 2
    step = abs(float(fit.bead.focus_um[1] - fit.bead.focus_um[0]))
    tall = max(1, round(_SCALE * step / fit.pixel_size_um))
    sections = [_row(measured[:, middle], fitted[:, middle], tall)]
    return sections + [_row(measured[n], fitted[n], _SCALE) for n in _planes(fit)]


def _row(measured: NDArray[np.float64], fitted: NDArray[np.float64], tall: int) -> RGB:
    low, high = float(fitted.min()), float(max(measured.max(), fitted.max()))
    span = max(high - low, 1e-9)
    grey = [np.clip((part - low) / span, 0, 1) ** _GAMMA for part in (measured, fitted)]
    panels = [np.repeat((255 * part)[..., None], 3, axis=2) for part in grey]
    strength = np.clip((measured - fitted) / (_FULL_COLOUR * span), -1, 1)
    less, more = np.maximum(-strength, 0), np.maximum(strength, 0)
    panels.append(255 * np.stack([1 - less, 1 - np.maximum(less, more), 1 - more], axis=2))
    wide = [np.repeat(np.repeat(part, tall, axis=0), _SCALE, axis=1) for part in panels]
    gap = np.full((wide[0].shape[0], _GAP, 3), 40.0)
    parts = [wide[0], gap, wide[1], gap, wide[2]]
    row: RGB = np.rint(np.concatenate(parts, axis=1)).astype(np.uint8)
    return row
