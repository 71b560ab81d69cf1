"""Noise2Noise pairs from the user's own noisy frames: neighbours in time.

Two frames of the same scene differ by their noise alone, as long as little moves from one to
the next.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from liverestore.camera_model import CameraModel, estimate_from_movie
from liverestore.errors import UserError
from liverestore.movie import open_movie

__all__ = ["RecordedPairs", "read_recordings"]

_ENDINGS = (".tif", ".tiff", ".ome.zarr", ".zarr")
_FRAMES_PER_MOVIE = 256


def read_recordings(path: Path, *, least_frames: int = 2) -> list[NDArray[np.generic]]:
    """Movies (T, Y, X) at `path`: one file, or all files of a folder.

    Single images of a folder that have one size and dtype are taken, by name, for the frames
    of one movie. At most 256 frames of each are read. Raises `UserError` when nothing is
    there or nothing has `least_frames`.
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
    movies += [np.stack(images) for images in singles.values() if len(images) >= least_frames]
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
        smallest = min(min(movie.shape[1:]) for movie in movies)
        crop = min(crop_px, smallest // divisor * divisor)
        if crop < 4 * divisor:
            raise UserError(
                f"the smallest movie is {smallest} px wide; training needs {4 * divisor} px"
            )
        self.seed, self.batch, self.crop_px = seed, batch, crop
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
