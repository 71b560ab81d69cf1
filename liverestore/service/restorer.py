"""Arrays through an engine that is loaded once: the shortest way from Python."""

from __future__ import annotations

import math
from collections.abc import Iterator
from types import TracebackType
from typing import Any, Literal, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from liverestore.camera_model import CameraModel
from liverestore.camera_of_stack import camera_of_stack
from liverestore.errors import UserError
from liverestore.frame import PIXEL_DTYPES, Frame, FrameHeader, PixelDtype, Restored
from liverestore.model_spec import ModelSpec, find_engine
from liverestore.optics import Optics
from liverestore.runtime.table import open_runtime
from liverestore.service.acquisition_engine import FrameRestorer
from liverestore.service.engine_goal import AnyRig, Surface, goal_of, knowledge_of, rig_of

__all__ = ["Pictures", "Restorer", "restore_array"]

_EXACT_IN_FLOAT32 = 2**24


class Pictures(Protocol):
    """Pictures (..., Y, X) that are read when asked for: NumPy, Zarr, dask ..."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Sizes of all axes."""
        ...

    @property
    def dtype(self) -> Any:
        """Of the pixels."""
        ...

    def __getitem__(self, index: Any) -> Any:
        """A part of them."""
        ...


class Restorer:
    """One engine, loaded once, for many pictures; a context manager.

    Counts in, counts out: a result has the shape and dtype of what it was made of. The camera's
    numbers are `camera`, else those of `rig`, else they are estimated: from a whole stack at
    once, or from the first sixteen single frames, and kept from then on.

    An engine that refocuses takes one of `z_um` (um, + is deeper into the sample), `dpm` (a
    surface: a `Dpm`, its text, or (Y, X) um) and `zstack` ("START:STOP:STEP" in um, which adds an
    axis Z before Y and X), and the optics of `optics` or `rig`. `pixel_size_um` is that of the
    pictures (None: the rig's). `threads` bounds the processor cores; the precision "fast" is that
    of live use (see `runtime.table.open_runtime`).

    Raises `UserError` for an engine that is not installed, options that do not fit it, distances
    beyond its reach and, to refocus, where there are no optics.
    """

    def __init__(
        self,
        engine: str = "denoise-live",
        *,
        rig: AnyRig | None = None,
        camera: CameraModel | None = None,
        optics: Optics | None = None,
        z_um: float | None = None,
        zstack: str | None = None,
        dpm: Surface | None = None,
        pixel_size_um: float | None = None,
        threads: int | None = None,
        precision: Literal["f32", "fast"] = "f32",
    ) -> None:
        self.spec: ModelSpec = find_engine(engine)
        """What the engine expects and promises."""
        config = rig_of(rig)
        goal = goal_of(self.spec, config, optics=optics, z_um=z_um, zstack=zstack, dpm=dpm)
        self._knowledge = knowledge_of(config, camera)
        self._settled = camera is not None or not self._knowledge.estimated
        self._pixel_um = pixel_size_um
        if pixel_size_um is None and config is not None:
            self._pixel_um = config.optics.pixel_size_um
        self._runtime = open_runtime(self.spec, threads=threads, precision=precision)
        self._restorer = FrameRestorer(self._runtime, self._knowledge, goal)
        self._given = 0
        self.last: Restored | None = None
        """The picture made last, with its provenance: engine, camera's numbers, warnings."""

    @property
    def planes_um(self) -> tuple[float, ...]:
        """Distances of the planes of the axis Z; empty where each picture becomes one."""
        return self._restorer.goal.planes_um

    @property
    def runtime(self) -> str:
        """What executes the network, for example "openvino 2026.4.1 CPU f32"."""
        return self._runtime.description

    @property
    def warnings(self) -> dict[str, int]:
        """What spoke against results, in words, and against how many."""
        return dict(self._restorer.warnings)

    def __call__(self, array: NDArray[Any]) -> NDArray[Any]:
        """`array` (..., Y, X) restored, every picture of it: same shape, or (..., Z, Y, X).

        uint8, uint16 and float32 keep their dtype; other numbers become float32, where it holds
        them. Raises `UserError` for anything else, and for NaN or infinite pixels.
        """
        pictures = np.asarray(array)
        dtype = _dtype(pictures)
        planes = (len(self.planes_um),) if self.planes_um else ()
        out = np.empty((*pictures.shape[:-2], *planes, *pictures.shape[-2:]), dtype)
        for place, picture in self.each(pictures):
            out[place] = picture
        return out

    def each(self, pictures: Pictures) -> Iterator[tuple[tuple[int, ...], NDArray[Any]]]:
        """Position in the leading axes and result, (Y, X) or (Z, Y, X), one picture at a time.

        Pictures are read when it is their turn, so that `pictures` may be larger than memory.
        Raises as a call does.
        """
        dtype, leading = _dtype(pictures), pictures.shape[:-2]
        if not self._settled and self.spec.domain == "stabilised":
            self._settle(pictures)
        for place in np.ndindex(*leading):
            made = self.frame(self._frame(_counts(pictures, place, dtype)))
            one = made[0].pixels
            yield place, np.stack([plane.pixels for plane in made]) if self.planes_um else one

    def frame(self, frame: Frame) -> list[Restored]:
        """What is made of one camera frame: a picture, or its planes, the shallowest first.

        Raises `UserError` and `Failure` as `restore.restore` does.
        """
        made = self._restorer.made_of(frame)
        self.last = made[-1]
        return made

    def prepare(self, shape: tuple[int, int], dtype: str = "uint16") -> None:
        """Load all that the first frame (Y, X) needs, so that it is not late."""
        self._restorer.prepare(shape, dtype)

    def close(self) -> None:
        """Free the device; safe to call twice."""
        self._runtime.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _settle(self, pictures: Pictures) -> None:
        """Estimate the camera from a stack; single pictures are left to `CameraKnowledge`."""
        leading = pictures.shape[:-2]
        count = math.prod(leading)
        if count < 2:
            return
        dtype = _dtype(pictures)

        def read(index: int) -> NDArray[Any]:
            place = tuple(int(n) for n in np.unravel_index(index, leading))
            return _counts(pictures, place, dtype)

        # Along the longest axis: channels are few, and show other fields of view.
        longest = max(range(len(leading)), key=lambda axis: leading[axis])
        step = math.prod(leading[longest + 1 :])
        successive = range(0, step * leading[longest], step)
        model, _how = camera_of_stack(read, successive, count // 2, is_time=False)
        self._knowledge.settle(model)
        self._settled = True

    def _frame(self, pixels: NDArray[Any]) -> Frame:
        made_as: PixelDtype = pixels.dtype.name  # type: ignore[assignment]
        header = FrameHeader(
            run_id="array",
            number=self._given,
            shape=(int(pixels.shape[0]), int(pixels.shape[1])),
            dtype=made_as,
            captured_ns=0,
            captured_utc="",
            camera="",
            pixel_size_um=self._pixel_um,
        )
        self._given += 1
        return Frame(pixels, header)


def restore_array(
    array: NDArray[Any],
    engine: str = "denoise-live",
    *,
    rig: AnyRig | None = None,
    camera: CameraModel | None = None,
    optics: Optics | None = None,
    z_um: float | None = None,
    zstack: str | None = None,
    dpm: Surface | None = None,
    pixel_size_um: float | None = None,
) -> NDArray[Any]:
    """`array` (..., Y, X) restored by `engine`: same shape and dtype, counts in, counts out.

    With `zstack` each picture becomes (Z, Y, X). See `Restorer`, which keeps the engine loaded,
    for the options and what is raised.
    """
    with Restorer(
        engine,
        rig=rig,
        camera=camera,
        optics=optics,
        z_um=z_um,
        zstack=zstack,
        dpm=dpm,
        pixel_size_um=pixel_size_um,
    ) as restorer:
        return restorer(array)


def _dtype(pictures: Pictures) -> np.dtype[Any]:
    """What the results are of. Raises `UserError` for what is no stack of grey pictures."""
    shape = tuple(pictures.shape)
    dtype: np.dtype[Any] = np.dtype(pictures.dtype)
    if len(shape) < 2 or 0 in shape:
        raise UserError(
            f"got an array of shape {shape}; allowed are pictures (..., Y, X) of one pixel or more"
        )
    if dtype.name in PIXEL_DTYPES:
        return dtype
    if dtype.kind not in "iuf":
        raise UserError(
            f"got an array of {dtype}; allowed are numbers: {', '.join(PIXEL_DTYPES)}, and what "
            "float32 holds"
        )
    return np.dtype(np.float32)


def _counts(pictures: Pictures, place: tuple[int, ...], dtype: np.dtype[Any]) -> NDArray[Any]:
    """One picture (Y, X), owned by the caller."""
    stored = np.asarray(pictures[place])
    if stored.dtype.kind in "iu" and stored.dtype.itemsize > 2:
        largest = max(abs(int(stored.max())), abs(int(stored.min())))
        if largest > _EXACT_IN_FLOAT32:
            raise UserError(
                f"got the value {largest} in a picture of {stored.dtype}; allowed are integers up "
                f"to {_EXACT_IN_FLOAT32}, which float32 holds exactly; scale the picture down"
            )
    return np.array(stored, dtype=dtype, order="C")
