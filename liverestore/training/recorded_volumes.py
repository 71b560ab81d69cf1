"""The user's own z-stacks and pairs of pictures, stabilised and registered for training."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from liverestore.camera_estimate import estimate_from_frame
from liverestore.camera_model import CameraModel
from liverestore.errors import UserError
from liverestore.movie import open_movie
from liverestore.movie_base import Movie
from liverestore.optics import Optics
from liverestore.training.cross_modality_pairs import matched_intensity
from liverestore.training.recordings import photon_range
from liverestore.training.registration import register, warp
from liverestore.training.user_optics import check_pixel_size

__all__ = ["RecordedStacks", "level_and_scale", "read_pairs", "read_stacks"]

FloatStack = NDArray[np.float32]


@dataclass(frozen=True)
class RecordedStacks:
    """The user's stacks, variance-stabilised, (Z, Y, X) each."""

    seen: list[FloatStack]
    """Widefield."""
    wanted: list[FloatStack]
    """Confocal, registered to them; empty without (Deep-Z)."""
    z_step_um: float
    """Below 0 where the planes come upwards."""
    photon_range_e: tuple[float, float]
    """Light of the widefield stacks, as `recordings.photon_range`."""


def level_and_scale(pictures: Sequence[FloatStack]) -> tuple[float, float]:
    """Mean and standard deviation of stabilised pictures: the range that a network gets.

    Recordings may be far brighter than what is simulated, and a network learns fast only
    where its values are about one.
    """
    everything = np.concatenate([picture.ravel() for picture in pictures])
    return float(everything.mean()), max(float(everything.std()), 1.0)


def _frames(path: Path) -> NDArray[np.generic]:
    """All frames (N, Y, X) of a file."""
    with open_movie(path) as movie:
        return np.stack([np.asarray(frame) for frame in movie])


def _check_is_stack(movie: Movie, *, step_given: bool) -> None:
    """Raise `UserError` for anything but planes along z.

    A file that gives its only long axis no name (Q, I) is believed where the user gives its z step.
    """
    sizes = zip(movie.axes[:-2], movie.leading_shape, strict=True)
    longer = [axis for axis, size in sizes if size > 1]
    if longer == ["Z"]:
        return
    if step_given and longer in (["Q"], ["I"]) and "Z" not in movie.axes:
        return
    shape = " x ".join(map(str, (*movie.leading_shape, *movie.shape[1:])))
    raise UserError(
        f"{movie.path}: got the axes {movie.axes} of {shape}; allowed is one z-stack, ZYX (or, "
        "with --z-step, three axes without names): save the planes of one time and one channel "
        "with their Z axis"
    )


def _planes(
    path: Path, z_step_um: float | None, optics: Optics
) -> tuple[NDArray[np.generic], float | None]:
    """Planes (Z, Y, X) of a z-stack, and its z step in um: that given, else that of the file."""
    with open_movie(path) as movie:
        _check_is_stack(movie, step_given=z_step_um is not None)
        check_pixel_size(str(path), movie.pixel_size_um, optics)
        step = movie.z_step_um if z_step_um is None else z_step_um
        return np.stack([np.asarray(frame) for frame in movie]), step


def _stabilised(
    counts: NDArray[np.generic], camera: CameraModel | None
) -> tuple[FloatStack, CameraModel]:
    model = camera or estimate_from_frame(np.asarray(counts[counts.shape[0] // 2]))
    return np.stack([model.stabilise(np.ascontiguousarray(plane)) for plane in counts]), model


def _as_counts_of(seen: NDArray[np.generic], wanted: NDArray[np.generic]) -> FloatStack:
    """`wanted` (Z, Y, X) moved onto `seen` and brought to its scale of counts.

    One displacement, found on the two projections along z, serves all planes: within a stack
    the instruments do not move against one another.
    """
    a = np.asarray(seen, np.float32).max(axis=0)
    b = np.asarray(wanted, np.float32).max(axis=0)
    found = register(a, b)
    moved = np.stack([warp(plane, found.displacement_px) for plane in wanted.astype(np.float32)])
    return matched_intensity(seen.astype(np.float32), moved)


def read_stacks(
    seen: Sequence[Path],
    wanted: Sequence[Path],
    camera: CameraModel | None,
    z_step_um: float | None,
    optics: Optics,
) -> RecordedStacks:
    """Stabilised widefield stacks, the confocal ones registered to them, and the z step.

    `camera` is estimated from the middle plane of each stack where None. `z_step_um` overrides
    what the files say. Raises `UserError` for files that are no single z-stack or state no step,
    for stacks that do not match, and for pixels of another size than those of `optics`.
    """
    if wanted and len(wanted) != len(seen):
        raise UserError(
            f"got {len(seen)} widefield and {len(wanted)} confocal stacks; allowed is one for each"
        )
    stacks: list[FloatStack] = []
    targets: list[FloatStack] = []
    recorded: list[NDArray[np.generic]] = []
    cameras: list[CameraModel] = []
    steps = set()
    for number, path in enumerate(seen):
        counts, step = _planes(path, z_step_um, optics)
        if step is None:
            raise UserError(f"{path} does not state its z step; give it with --z-step, in um")
        steps.add(float(step))
        stack, model = _stabilised(counts, camera)
        stacks.append(stack)
        recorded.append(counts)
        cameras.append(model)
        if wanted:
            other, _ = _planes(wanted[number], z_step_um, optics)
            if other.shape != counts.shape:
                raise UserError(
                    f"{wanted[number]} is {other.shape}, but {path} is {counts.shape}; allowed are "
                    "pairs of one shape and one pixel size; resample one of them"
                )
            targets.append(_stabilised(_as_counts_of(counts, other), model)[0])
    if len(steps) != 1:
        raise UserError(
            f"the stacks have z steps of {sorted(steps)} um; "
            "allowed is one step for all; train on those of one step, or give --z-step"
        )
    return RecordedStacks(stacks, targets, steps.pop(), photon_range(cameras, recorded))


def _files(path: Path) -> list[Path]:
    endings = (".tif", ".tiff", ".ome.zarr", ".zarr")
    if path.is_dir() and not path.name.endswith(endings):
        found = sorted(f for f in path.iterdir() if f.name.endswith(endings))
    else:
        found = [path]
    if not found:
        raise UserError(f"{path}: no images here; allowed: {', '.join(endings)}")
    return found


def read_pairs(
    seen: Path, wanted: Path, camera: CameraModel | None, *, registered: bool = False
) -> tuple[list[FloatStack], list[FloatStack], tuple[float, float]]:
    """Stabilised pictures (Y, X) of two modalities, the second on the pixels of the first, and
    the light of the first as `recordings.photon_range`.

    `seen` and `wanted` are files or folders whose files pair up by sorted name; each file may
    hold several frames. With `registered` the pictures are taken to fit already. Raises
    `UserError` where they do not pair up.
    """
    first, second = _files(seen), _files(wanted)
    if len(first) != len(second):
        raise UserError(
            f"{seen} has {len(first)} images and {wanted} has {len(second)}; allowed is one for "
            "each, with names that sort alike"
        )
    inputs: list[FloatStack] = []
    recorded: list[NDArray[np.generic]] = []
    cameras: list[CameraModel] = []
    targets: list[FloatStack] = []
    for a_path, b_path in zip(first, second, strict=True):
        a, b = _frames(a_path), _frames(b_path)
        if a.shape != b.shape:
            raise UserError(
                f"{a_path} is {a.shape}, but {b_path} is {b.shape}; allowed are pairs of one "
                "shape and one pixel size; resample one of them"
            )
        for one, other in zip(a, b, strict=True):
            fixed, moving = np.asarray(one, np.float32), np.asarray(other, np.float32)
            if not registered:
                moving = register(fixed, moving).registered
            stack, model = _stabilised(np.asarray(one)[None], camera)
            inputs.append(stack[0])
            recorded.append(np.asarray(one))
            cameras.append(model)
            targets.append(model.stabilise(matched_intensity(fixed, moving)))
    return inputs, targets, photon_range(cameras, recorded)
