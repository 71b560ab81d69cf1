"""The user's own z-stacks and pairs of pictures, stabilised and registered for training."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from liverestore.camera_estimate import estimate_from_frame
from liverestore.camera_model import CameraModel
from liverestore.errors import UserError
from liverestore.movie import open_movie
from liverestore.training.cross_modality_pairs import matched_intensity
from liverestore.training.registration import register, warp

__all__ = ["level_and_scale", "read_pairs", "read_stacks"]

FloatStack = NDArray[np.float32]


def level_and_scale(pictures: Sequence[FloatStack]) -> tuple[float, float]:
    """Mean and standard deviation of stabilised pictures: the range that a network gets.

    Recordings may be far brighter than what is simulated, and a network learns fast only
    where its values are about one.
    """
    everything = np.concatenate([picture.ravel() for picture in pictures])
    return float(everything.mean()), max(float(everything.std()), 1.0)


def _counts(path: Path) -> tuple[NDArray[np.generic], float | None]:
    """All frames (Z, Y, X) of a file and its z step in um, if it states one."""
    with open_movie(path) as movie:
        return np.stack([np.asarray(frame) for frame in movie]), movie.z_step_um


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
) -> tuple[list[FloatStack], list[FloatStack], float]:
    """Stabilised widefield stacks, the confocal ones registered to them, and the z step.

    `camera` is estimated from the middle plane of each stack where None. `z_step_um` overrides
    what the files say. Raises `UserError` for stacks that do not match or state no step.
    """
    if wanted and len(wanted) != len(seen):
        raise UserError(
            f"got {len(seen)} widefield and {len(wanted)} confocal stacks; allowed is one for each"
        )
    stacks: list[FloatStack] = []
    targets: list[FloatStack] = []
    steps = set()
    for number, path in enumerate(seen):
        counts, step = _counts(path)
        if z_step_um is None and step is None:
            raise UserError(f"{path} does not state its z step; give it with --z-step, in um")
        steps.add(z_step_um if z_step_um is not None else step)
        stack, model = _stabilised(counts, camera)
        stacks.append(stack)
        if wanted:
            other, _ = _counts(wanted[number])
            if other.shape != counts.shape:
                raise UserError(
                    f"{wanted[number]} is {other.shape}, but {path} is {counts.shape}; allowed are "
                    "pairs of one shape and one pixel size; resample one of them"
                )
            targets.append(_stabilised(_as_counts_of(counts, other), model)[0])
    if len(steps) != 1:
        raise UserError(
            f"the stacks have z steps of {sorted(float(s) for s in steps if s is not None)} um; "
            "allowed is one step for all; train on those of one step, or give --z-step"
        )
    step_um = steps.pop()
    if step_um is None:
        raise UserError("give the z step with --z-step, in um")
    return stacks, targets, float(step_um)


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
) -> tuple[list[FloatStack], list[FloatStack]]:
    """Stabilised pictures (Y, X) of two modalities, the second on the pixels of the first.

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
    targets: list[FloatStack] = []
    for a_path, b_path in zip(first, second, strict=True):
        a, _ = _counts(a_path)
        b, _ = _counts(b_path)
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
            targets.append(model.stabilise(matched_intensity(fixed, moving)))
    return inputs, targets
