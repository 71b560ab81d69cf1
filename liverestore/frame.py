"""A camera frame, and what a network made of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import msgspec
import numpy as np
from numpy.typing import NDArray

from liverestore.errors import Failure

__all__ = [
    "OBJECTIVE_TAG",
    "PIXEL_DTYPES",
    "PIXEL_SIZE_TAG",
    "Frame",
    "FrameHeader",
    "FrameLight",
    "PixelDtype",
    "Provenance",
    "Restored",
]

PixelDtype = Literal["uint8", "uint16", "float32"]
PIXEL_DTYPES: tuple[str, ...] = get_args(PixelDtype)

OBJECTIVE_TAG, PIXEL_SIZE_TAG = "Objective-Label", "PixelSizeUm"
"""Tags with which Micro-Manager says what objective a frame was taken through."""


class FrameLight(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The light that one frame cost, and what its sample had got with it (see `dose`)."""

    on_ms: float
    """How long the light was on for it."""
    irradiance_mw_cm2: float | None
    """At the sample, as the rig states it; None: not measured, and no dose is known."""
    dose_j_cm2: float | None
    """Of this frame."""
    field: int
    """Number of the field of view in the session, from 1."""
    field_dose_j_cm2: float | None
    """That this field has got in the session, this frame included."""
    session_dose_j_cm2: float | None
    """Of all fields together, likewise."""
    session_began_utc: str
    """ISO 8601."""


class FrameHeader(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is known of one frame besides its pixels; travels with it everywhere.

    A value that the hardware did not report is None, never a guess.
    """

    run_id: str
    """Name of the acquisition, the same for all its frames."""
    number: int
    """Position in the camera's own sequence, from 0; a gap is a frame lost at the camera."""
    shape: tuple[int, int]
    """(Y, X) in pixels."""
    dtype: PixelDtype
    captured_ns: int
    """`time.perf_counter_ns()` of the capturing machine when the frame was received from the
    camera; one clock for all processes of a machine, fine enough on Windows too."""
    captured_utc: str
    """Wall-clock time of the same moment, ISO 8601 with offset; for people and files only."""
    camera: str
    exposure_ms: float | None = None
    z_um: float | None = None
    pixel_size_um: float | None = None
    """Edge of one pixel in the sample."""
    binning: int | None = None
    roi: tuple[int, int, int, int] | None = None
    """(x, y, width, height) on the sensor, in binned pixels."""
    bit_depth: int | None = None
    channel: str | None = None
    x_um: float | None = None
    """Where the stage stood, as it said last."""
    y_um: float | None = None
    light: FrameLight | None = None
    """None where no light is accounted: a replayed movie, a file of another program."""
    lost_before: int = 0
    """Frames lost at the camera from the start of the run up to this frame."""
    reference: int | None = None
    """Number of the newest reference shot of the run up to this frame; a frame whose own number
    it is, is that shot."""
    metadata: dict[str, str] = {}
    """The camera's own tags, as text."""

    @property
    def is_reference(self) -> bool:
        """Whether this is a bright exposure that pictures are scored against."""
        return self.reference == self.number

    @property
    def nbytes(self) -> int:
        """Size of the pixels in bytes."""
        return self.shape[0] * self.shape[1] * np.dtype(self.dtype).itemsize


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """One (Y, X) camera frame in counts, read-only, with its header.

    Raises `Failure` when pixels and header do not agree.
    """

    pixels: NDArray[np.generic]
    header: FrameHeader

    def __post_init__(self) -> None:
        if self.pixels.shape != self.header.shape or self.pixels.dtype != self.header.dtype:
            raise Failure(
                f"frame {self.header.number}: got pixels {self.pixels.shape} {self.pixels.dtype}, "
                f"but its header says {self.header.shape} {self.header.dtype}"
            )
        self.pixels.setflags(write=False)


class Provenance(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What made a restored frame, so that it can be judged and made again."""

    engine: str
    version: str
    sha256: str
    """Of the weights file; empty for a filter that has none."""
    runtime: str
    """For example "openvino 2026.4.1 CPU bf16"."""
    parameters: dict[str, float | int | str]
    """Camera model, DPM and every other number that entered."""
    started_ns: int
    """`time.perf_counter_ns()` when restoring started, and when it ended:"""
    finished_ns: int
    warnings: tuple[str, ...] = ()
    """What the data cannot support, in words for the screen."""


@dataclass(frozen=True, slots=True, eq=False)
class Restored:
    """What an engine made of `source`: pixels (Y, X) in counts, same shape and dtype.

    Raises `Failure` for planes of another shape or dtype.
    """

    pixels: NDArray[np.generic]
    source: Frame
    provenance: Provenance
    rival: Restored | None = None
    """The same frame restored by a second engine, to compare the two on the screen."""
    planes: tuple[Restored, ...] = ()
    """A virtual stack of `source` by the same engine, shallowest first: (Y, X) planes, computed
    and not recorded, at the distance `virtual_z_um` in the parameters of each."""

    def __post_init__(self) -> None:
        self.pixels.setflags(write=False)
        for plane in self.planes:
            if plane.pixels.shape != self.pixels.shape or plane.pixels.dtype != self.pixels.dtype:
                raise Failure(
                    f"frame {self.source.header.number}: got a virtual plane "
                    f"{plane.pixels.shape} {plane.pixels.dtype} of a result "
                    f"{self.pixels.shape} {self.pixels.dtype}; a stack has one size and dtype"
                )
