"""Noise2Noise pairs from the user's own noisy frames: neighbours in time.

Two frames of the same scene differ by their noise alone, as long as little moves from one to
the next.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from liverestore.camera_model import CameraModel, estimate_from_movie
from liverestore.errors import UserError
from liverestore.movie import open_movie

__all__ = ["RecordedPairs", "fitting_crop", "photon_range", "read_recordings", "smaller_crop"]

_ENDINGS = (".tif", ".tiff", ".ome.zarr", ".zarr")
_FRAMES_PER_MOVIE = 256


def photon_range(
    cameras: Sequence[CameraModel], recordings: Sequence[NDArray[np.generic]]
) -> tuple[float, float]:
    """Light of the recordings, any shape, in electrons: the lowest of their medians and the
    highest of their brightest pixels, but for one in 10,000.
    """
    light = [
        np.quantile(camera.to_electrons(counts), [0.5, 0.9999])
        for camera, counts in zip(cameras, recordings, strict=True)
    ]
    return (
        round(max(float(min(low for low, _ in light)), 0.0), 2),
        round(max(float(max(high for _, high in light)), 1.0), 1),
    )


def fitting_crop(crop_px: int, movies: Sequence[NDArray[np.generic]], divisor: int) -> int:
    """The largest crop up to `crop_px` that fits all movies and is a multiple of `divisor`.

    Raises `UserError` for movies smaller than four times the divisor.
    """
    smallest = min(int(n) for movie in movies for n in movie.shape[1:])
    crop = min(crop_px, smallest) // divisor * divisor
    if crop < 4 * divisor:
        raise UserError(
            f"the smallest movie is {smallest} px wide; training needs {4 * divisor} px"
            if smallest < crop_px
            else f"crop: got {crop_px} px; allowed are {4 * divisor} px or more"
        )
    return crop


def smaller_crop(asked_px: int, crop_px: int) -> str | None:
    """Words for crops that the recordings made smaller than was asked for, else None."""
    if crop_px == asked_px:
        return None
    return f"crops of {crop_px} px instead of {asked_px}: what fits the recordings and the network"


def read_recordings(
    path: Path, *, least_frames: int = 2, say: Callable[[str], None] | None = None
) -> list[NDArray[np.generic]]:
    """Movies (T, Y, X) at `path`: one file, or all files of a folder.

    Single images of a folder that have one size and dtype are taken, by name, for the frames
    of one movie, and `say` is told so. At most 256 frames of each are read. Raises `UserError`
    when nothing is there or nothing has `least_frames`.
    """
    if path.is_dir() and not path.name.endswith(_ENDINGS):
        files = sorted(file for file in path.iterdir() if file.name.endswith(_ENDINGS))
    else:
        files = [path]
    if not files:
        raise UserError(f"{path}: no images here; allowed: {', '.join(_ENDINGS)}")
    movies: list[NDArray[np.generic]] = []
    singles: dict[tuple[tuple[int, ...], str], list[NDArray[np.generic]]] = {}
    for file in files:
        with open_movie(file) as movie:
            count = min(len(movie), _FRAMES_PER_MOVIE)
            frames = np.stack([np.asarray(movie[index]) for index in range(count)])
        if count > 1:
            movies.append(frames)
        else:
            singles.setdefault((frames.shape[1:], frames.dtype.str), []).append(frames[0])
    for images in singles.values():
        if len(images) >= least_frames:
            movies.append(np.stack(images))
            if say is not None and len(images) > 1:
                say(
                    f"{len(images)} single images of {path.name} taken as {len(images)} frames of "
                    "one movie"
                )
    if not movies:
        raise UserError(
            f"{path}: Noise2Noise needs two or more noisy frames of one field of view; "
            "give a movie, or a folder of frames of one size"
        )
    return movies


class RecordedPairs:
    """Crops of neighbouring frames, each movie stabilised with its own estimated camera."""

    def __init__(
        self,
        movies: list[NDArray[np.generic]],
        seed: int,
        *,
        batch: int = 8,
        crop_px: int = 128,
        divisor: int = 8,
    ) -> None:
        """Raises `UserError` for movies smaller than four times the divisor."""
        self.seed, self.batch = seed, batch
        self.crop_px = fitting_crop(crop_px, movies, divisor)
        self.cameras: list[CameraModel] = [estimate_from_movie(movie) for movie in movies]
        self._movies = [
            torch.from_numpy(camera.stabilise(np.ascontiguousarray(movie)))
            for camera, movie in zip(self.cameras, movies, strict=True)
        ]
        # Movies count by the pairs they hold.
        self._weights = torch.tensor([float(movie.shape[0] - 1) for movie in self._movies])

    def pair(self, iteration: int) -> tuple[Tensor, Tensor]:
        """Input and target of this iteration, (N, 1, crop, crop) float32."""
        generator = torch.Generator().manual_seed(self.seed * 1_000_003 + iteration)
        inputs, targets = [], []
        for _ in range(self.batch):
            which = int(torch.multinomial(self._weights, 1, generator=generator))
            movie = self._movies[which]
            spans = (movie.shape[0] - 1, *(n - self.crop_px + 1 for n in movie.shape[1:]), 8, 2)
            t, y, x, turn, order = (
                int(torch.randint(span, (1,), generator=generator)) for span in spans
            )
            two = movie[t : t + 2, y : y + self.crop_px, x : x + self.crop_px]
            two = torch.rot90(two, turn % 4, (1, 2))
            if turn >= 4:
                two = two.flip(2)
            inputs.append(two[order])
            targets.append(two[1 - order])
        return torch.stack(inputs)[:, None], torch.stack(targets)[:, None]
