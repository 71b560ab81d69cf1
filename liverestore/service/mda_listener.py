"""Restored pictures and virtual planes in the acquisitions of pymmcore-plus.

pymmcore-plus tells its listeners of each frame: `core.mda.events.frameReady`. Connected to that,
a listener is called in the thread that works the camera, and the camera waits while it is busy;
given as `output=` of `core.run_mda` it is called in a thread of its own, for which pymmcore-plus
keeps all frames in memory, however many wait.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

import msgspec
import numpy as np
from numpy.typing import NDArray

from liverestore.camera.mm_image import RunOfImages
from liverestore.camera_model import CameraModel
from liverestore.errors import Failure, LiverestoreError, UserError
from liverestore.frame import Frame, Restored
from liverestore.model_spec import find_engine
from liverestore.optics import Optics
from liverestore.rig_channels import ChannelConfig, named_channel
from liverestore.runtime.table import open_runtime
from liverestore.service.acquisition_engine import EngineBeside, FrameRestorer
from liverestore.service.acquisition_files import AcquisitionFiles
from liverestore.service.engine_goal import (
    AnyRig,
    Surface,
    file_words,
    goal_of,
    knowledge_of,
    rig_of,
    stack_of,
)
from liverestore.service.mda_grid import MdaGrid, grid_of
from liverestore.writer.names import SaveFormat, free_pairs
from liverestore.zstack import ZStack

if TYPE_CHECKING:
    from useq import MDAEvent, MDASequence

__all__ = ["FrameListener", "Show", "frame_listener"]

Show = Callable[[list[Restored], "MDAEvent"], None]
"""Gets what was made of a frame, and the event that the frame was taken for."""


def frame_listener(
    engine: str = "denoise-live",
    *,
    sequence: MDASequence | None = None,
    save: str | Path | None = None,
    save_format: SaveFormat = "ome-zarr",
    show: Show | None = None,
    rig: AnyRig | None = None,
    camera: CameraModel | None = None,
    optics: Optics | None = None,
    z_um: float | None = None,
    zstack: str | None = None,
    dpm: Surface | None = None,
) -> FrameListener:
    """A listener for pymmcore-plus that restores each frame of an MDA; a context manager.

        with liverestore.frame_listener("denoise-live", sequence=sequence, save="data") as listener:
            core.mda.events.frameReady.connect(listener)
            core.mda.run(sequence)

    With `save` and the `useq.MDASequence` every frame is in a raw file T[C][Z]YX and every result
    in a restored one; virtual planes (`zstack`) are its axis Z. There is a pair of files for each
    position. `show` gets each result and its event, in the thread that restores. The other
    options are those of `Restorer`. Nothing is dropped: with two frames waiting the camera waits.

    Raises `UserError`, before any light, for engines and options that do not fit, a sequence that
    is no full grid or moves z where planes are virtual, and neither `save` nor `show`.
    """
    spec, config = find_engine(engine), rig_of(rig)
    goal = goal_of(spec, config, optics=optics, z_um=z_um, zstack=zstack, dpm=dpm)
    if save is None and show is None:
        raise UserError("frame_listener: got neither save=FOLDER nor show=FUNCTION; give one")
    grid, files = None, None
    if save is not None:
        if sequence is None:
            raise UserError(
                "frame_listener: got save without the sequence, whose axes are those of the files; "
                "give sequence= too"
            )
        grid, stack = grid_of(sequence), stack_of(zstack)
        if grid.heights > 1 and stack is not None:
            raise UserError(
                f"sequence: got {grid.heights} heights in its z_plan, which move the focus drive; "
                "planes are virtual with zstack: leave one of the two out"
            )
        files = _files(Path(save), save_format, grid, stack, file_words(goal, stack))
    restorer = FrameRestorer(open_runtime(spec), knowledge_of(config, camera), goal)
    pixel_um = None if config is None else config.optics.pixel_size_um
    channels = () if config is None else config.channels
    return FrameListener(
        restorer.made_of, grid=grid, files=files, show=show, pixel_um=pixel_um, channels=channels
    )


def _files(
    folder: Path, kind: SaveFormat, grid: MdaGrid, stack: ZStack | None, about: dict[str, str]
) -> AcquisitionFiles:
    return AcquisitionFiles(
        free_pairs(folder, grid.names or ("",), kind),
        channels=grid.channels,
        stack=stack,
        heights=grid.heights,
        height_step_um=grid.height_step_um,
        about=about,
    )


@dataclass(frozen=True, slots=True)
class _Given:
    field: int
    event: Any


class FrameListener:
    """See `frame_listener`. Call it, or its `frameReady`, with each frame, from one thread at a
    time; for one acquisition.

    Nothing is raised where a frame comes, since pymmcore-plus would log it and go on: `close`,
    and with it the `with`, raises what went wrong. After an engine failed raw frames are still
    kept.
    """

    def __init__(
        self,
        made_of: Callable[[Frame], list[Restored]],
        *,
        grid: MdaGrid | None = None,
        files: AcquisitionFiles | None = None,
        show: Show | None = None,
        pixel_um: float | None = None,
        channels: tuple[ChannelConfig, ...] = (),
    ) -> None:
        self._grid = grid
        self._files = files
        self._show = show
        self._channels = channels
        self._images = RunOfImages("camera", pixel_um)
        self._pixel_um = pixel_um
        self._events: dict[int, _Given] = {}
        self._beside = EngineBeside(made_of, self._keep)
        self._closed = False
        self.frames = 0
        """That came."""
        self.error: LiverestoreError | None = None
        """Why frames are not kept or not restored."""

    @property
    def restored(self) -> int:
        """Frames whose pictures are made, kept and shown."""
        return self._beside.restored

    def __call__(self, image: NDArray[Any], event: MDAEvent, meta: dict[str, Any]) -> None:
        """One frame: (Y, X) pixels, its event, and what pymmcore-plus knows of it."""
        self.frameReady(image, event, meta)

    def frameReady(  # noqa: N802 - the name of pymmcore-plus
        self, image: NDArray[Any], event: MDAEvent, meta: dict[str, Any]
    ) -> None:
        """The same under the name that `output=` of `core.run_mda` asks for."""
        if self._closed or (self.error is not None and self._files is not None):
            return
        try:
            frame = self._frame(image, event, meta)
            field, place = (0, 0) if self._grid is None else self._grid.place(event.index)
            if self._files is not None:
                self._files.keep_raw(field, place, frame)
        except LiverestoreError as error:
            self.error = self.error or error
            return
        except KeyError:
            self.error = UserError(
                f"got a frame at {dict(event.index)}, which is not in the sequence that the "
                "listener was made for; make one listener for each sequence"
            )
            return
        self.frames += 1
        number = frame.header.number
        self._events[number] = _Given(field, event)
        self._beside.give(number, frame)

    def close(self) -> None:
        """Wait until all that came is restored, and close the files; safe to call twice.

        Raises what went wrong on the way.
        """
        if self._closed:
            return
        self._closed = True
        self._beside.finish()
        errors: list[LiverestoreError] = []
        if self._files is not None:
            _, errors = self._files.close()
        self.error = self.error or self._beside.error or next(iter(errors), None)
        if self.error is not None:
            raise self.error

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            self.close()
        except LiverestoreError:
            # What broke the `with` comes first.
            if error is None:
                raise

    def _frame(self, image: NDArray[Any], event: MDAEvent, meta: dict[str, Any]) -> Frame:
        images, pixels = self._images, np.array(image)
        if pixels.ndim != 2:
            raise Failure(
                f"got an image of shape {pixels.shape}; allowed are grey images (Y, X): set the "
                "camera's PixelType to 8bit or 16bit"
            )
        images.camera = str(meta.get("camera_device") or "camera")
        images.exposure_ms = _number(meta.get("exposure_ms"))
        name = None if event.channel is None else event.channel.config
        images.channel = named_channel(self._channels, name)
        place = meta.get("position") or {}
        images.z_um = _number(place.get("z"))
        tags = {
            # Without the core's own count, which begins anew with every hardware sequence.
            **{key: str(value) for key, value in _camera_tags(meta) if key != "ImageNumber"},
            **{f"Axis-{axis}": str(n) for axis, n in event.index.items()},
        }
        if name is not None:
            tags["Channel"] = name
        if event.pos_name:
            tags["PositionName"] = event.pos_name
        frame = images.frame(pixels, tags)
        known = {
            "x_um": _number(place.get("x")),
            "y_um": _number(place.get("y")),
            # pymmcore-plus says 0 where the core knows none.
            "pixel_size_um": self._pixel_um or _number(meta.get("pixel_size_um")) or None,
        }
        return Frame(frame.pixels, msgspec.structs.replace(frame.header, **known))

    def _keep(self, number: int, made: list[Restored]) -> None:
        given = self._events.pop(number)
        if self._files is not None:
            self._files.keep_restored(given.field, made)
        if self._show is not None:
            self._show(made, given.event)


def _camera_tags(meta: dict[str, Any]) -> Sequence[tuple[str, Any]]:
    return list((meta.get("camera_metadata") or {}).items())


def _number(value: Any) -> float | None:
    return None if value is None else float(value)
