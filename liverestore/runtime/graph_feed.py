"""What goes into a live graph and what comes out of it, as NumPy arrays.

The buffers are the caller's, since a GPU wants them pinned and allocated once.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from liverestore.camera_model import CameraModel
from liverestore.errors import Failure
from liverestore.normalise import Padding

__all__ = ["camera_inputs", "frame_bytes", "map_inputs", "pixels_of", "put_frame"]


def camera_inputs(camera: CameraModel) -> dict[str, NDArray[np.float32]]:
    """The inputs `camera` and `inverse` of a live graph.

    `camera`: offset (counts), scale (electrons per count), 3/8 + sigma^2, counts per
    electron, 1/8 + sigma^2. `inverse`: the correction table of the exact unbiased inverse.
    """
    variance = camera.read_noise_e**2
    numbers = (
        camera.offset_counts,
        camera.gain_e_per_count,
        0.375 + variance,
        1 / camera.gain_e_per_count,
        0.125 + variance,
    )
    return {"camera": np.array(numbers, np.float32), "inverse": camera.inverse_correction()}


def map_inputs(camera: CameraModel, outer: tuple[int, int]) -> dict[str, NDArray[np.float32]]:
    """The inputs `offset_map` and `scale_map`, (1, 1, Y, X) float32 of the padded size `outer`.

    `camera` has its maps cut to the frame (`CameraModel.for_frame`).
    """
    if camera.maps is None:
        raise Failure("camera maps: the live graph takes maps, but the camera has none")
    offset, scale, _ = camera.elementwise()
    inner = camera.maps.shape
    return {
        name: Padding(inner, outer).pad(np.broadcast_to(values, inner))[None, None].copy()
        for name, values in (("offset_map", offset), ("scale_map", scale))
    }


def frame_bytes(outer: tuple[int, int], dtype: np.dtype[Any]) -> int:
    """Bytes of one frame of padded size `outer` (Y, X) in the graph."""
    return outer[0] * outer[1] * dtype.itemsize


def put_frame(pixels: NDArray[Any], out: NDArray[np.uint8], outer: tuple[int, int]) -> None:
    """Write (Y, X) `pixels` into the buffer `out`, mirrored to the size `outer`.

    `out` is flat, `frame_bytes(outer, pixels.dtype)` long. The same mirroring as `Padding`,
    so that a padded frame gives the same restored frame.
    """
    place = out.view(pixels.dtype.newbyteorder("<")).reshape(outer)
    height, width = pixels.shape
    place[:height, :width] = pixels
    if height < outer[0]:
        place[height:, :width] = pixels[_mirrored(height, outer[0])]
    if width < outer[1]:
        place[:, width:] = place[:, _mirrored(width, outer[1])]


def _mirrored(length: int, outer: int) -> NDArray[np.intp]:
    """Which of `length` rows stands in each of the rows from `length` to `outer`."""
    # A single row has nothing to mirror.
    mode = "reflect" if length > 1 else "edge"
    rows: NDArray[np.intp] = np.pad(
        np.arange(length),
        (0, outer - length),
        mode=mode,  # type: ignore[call-overload]
    )[length:]
    return rows


def pixels_of(
    out: NDArray[np.uint8], shape: tuple[int, int], outer: tuple[int, int], dtype: np.dtype[Any]
) -> NDArray[Any]:
    """(Y, X) pixels of `shape` and `dtype` in the flat buffer of one restored frame; a view."""
    frame: NDArray[Any] = out.view(dtype.newbyteorder("<")).reshape(outer)
    return frame[: shape[0], : shape[1]]
