"""`liverestore calibrate --movie`: an estimate of the camera from any movie."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from rich.console import Console
from rich.text import Text
from scipy.ndimage import uniform_filter

from liverestore.camera_estimate import estimate_from_movie
from liverestore.cli.calibrate_series import show
from liverestore.cli.calibration_file import Kept
from liverestore.errors import UserError
from liverestore.movie import open_movie
from liverestore.photon_transfer import Measured

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from liverestore.rig import RigConfig

__all__ = ["estimated"]

_FRAMES_OF_MOVIE = 64
_BYTES_OF_MOVIE = 512 * 2**20
_LEAST_QUARTER_PX = 64
_LEAST_RANGE = 2.0
"""Of the light over the field, in standard deviations of a pixel's noise. An even field has no
slope of noise and light to find, and gives any gain."""
_WORST_SCATTER = 0.2
"""Relative uncertainty of the gain beyond which an estimate is refused."""


def estimated(config: RigConfig, path: Path, console: Console) -> Kept:
    """Offset, gain and read noise estimated from the movie `path`, shown on `console`.

    Raises `UserError` for a movie that cannot tell them, and for a rig whose calibration has
    maps and is better than an estimate.
    """
    if config.camera.maps is not None:
        raise UserError(
            f"rig {config.origin}: has a calibration with maps, which an estimate from a movie "
            "would make worse; give --dark and --flat, or take camera.maps out first"
        )
    offset = config.camera.offset_counts
    with open_movie(path) as movie:
        indices = movie.time_series()
        middle = movie[0]
        count = min(_FRAMES_OF_MOVIE, max(2, _BYTES_OF_MOVIE // middle.nbytes), len(indices))
        if count < 2:
            raise UserError(
                f"{path}: holds one frame of one plane; give a movie of two frames or more of one "
                "field of view"
            )
        stack = np.stack([movie[index] for index in indices[:count]])
    model = estimate_from_movie(stack, offset_counts=offset)
    if model.origin == "assumed" or _range_over_noise(stack) < _LEAST_RANGE:
        raise UserError(
            f"{path}: its noise does not rise with its light, so that no gain can be told; give a "
            "movie with dark and bright places, or --dark and --flat"
        )
    height, width = stack.shape[1] // 2, stack.shape[2] // 2
    quarters = []
    if min(height, width) >= _LEAST_QUARTER_PX:
        parts = [stack[:, y : y + height, x : x + width] for y in (0, height) for x in (0, width)]
        quarters = [estimate_from_movie(part, offset_counts=offset) for part in parts]

    def measured(name: str) -> Measured:
        known = [float(getattr(q, name)) for q in quarters if q.origin != "assumed"]
        scatter = float(np.std(known, ddof=1) / 2) if len(known) == 4 else 0.0
        return Measured(float(getattr(model, name)), scatter or math.nan)

    if model.offset_counts < 0:
        raise UserError(
            f"{path}: its noise and light ask for an offset of {model.offset_counts:.3g} counts, "
            "below 0, as in frames that were processed; give raw frames, or --dark and --flat"
        )
    numbers = {"gain_e_per_count": measured("gain_e_per_count")}
    gain = numbers["gain_e_per_count"]
    if gain.uncertainty > _WORST_SCATTER * gain.value:
        raise UserError(
            f"{path}: the quarters of the field disagree, gain {gain} e/count; give a movie in "
            "which less moves and light and dark are all over the field, or --dark and --flat"
        )
    if offset is None:
        numbers["offset_counts"] = measured("offset_counts")
    numbers["read_noise_e"] = measured("read_noise_e")
    if model.row_noise_e is not None:
        numbers["row_noise_e"] = Measured(model.row_noise_e, math.nan)
    for said, name, unit in (
        ("offset", "offset_counts", "counts"),
        ("gain", "gain_e_per_count", "e/count"),
        ("read noise", "read_noise_e", "e"),
        ("row noise", "row_noise_e", "e"),
    ):
        if name in numbers:
            show(console, said, numbers[name], unit)
    if offset is None:
        note = "offset and read noise are told apart by a guess; a few darks tell them"
    else:
        note = f"taken with the rig's offset of {offset:g} counts"
    console.print(Text(f"note: {note}", style="yellow"))
    console.print(Text("note: +- is the scatter between quarters of the field", style="yellow"))
    return Kept(numbers, f"from the movie {path.name}, an estimate; {note}")


def _range_over_noise(stack: NDArray[Any]) -> float:
    """Of a movie (T, Y, X): spread of its light from place to place over the noise of a pixel."""
    places = uniform_filter(stack.mean(axis=0, dtype=np.float64), 3, mode="mirror")
    low, high = np.quantile(places, [0.001, 0.999])
    noise = np.median(np.abs(stack[1].astype(np.float64) - stack[0])) / 0.6745 / np.sqrt(2)
    return float((high - low) / max(noise, 1e-9))
