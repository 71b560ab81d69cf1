"""A camera restored live inside a script: one thread takes frames, the caller's restores.

For scripts that have a core of their own. `liverestore live` runs capture, engine and window as
processes of their own, which a script that is busy or ends cannot hold up.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from liverestore.camera.source import FrameSource, SourceInfo
from liverestore.camera_model import CameraModel
from liverestore.errors import EndOfStream, Failure, LiverestoreError, UserError
from liverestore.frame import Frame, Restored
from liverestore.optics import Optics
from liverestore.rig import RigConfig
from liverestore.service.engine_goal import AnyRig, Surface, rig_of
from liverestore.service.restorer import Restorer
from liverestore.writer.names import SaveFormat, free_pair
from liverestore.writer.ome import OmeSink
from liverestore.writer.queue import QueuedSink

__all__ = ["LiveRun", "live"]

_LOOK_UP_S = 0.05


def live(
    core: Any,
    engine: str = "denoise-live",
    *,
    frames: int | None = None,
    save: str | Path | None = None,
    save_format: SaveFormat = "ome-zarr",
    rig: AnyRig | None = None,
    camera: CameraModel | None = None,
    optics: Optics | None = None,
    z_um: float | None = None,
    dpm: Surface | None = None,
) -> LiveRun:
    """The newest frame of a camera, restored, again and again; a context manager to iterate over.

    `core` is a Micro-Manager core in this process that is configured already (pycromanager's
    `Core()` with its Python backend, `CMMCorePlus`, pymmcore's `CMMCore`), or a rig: its name,
    file or `RigConfig`. The camera takes `frames` images (None: until the end of the `with`) from
    the first turn of the loop on, and stops with it. Frames that come while one is restored are
    dropped, the newest is kept, and `dropped` counts them. With the folder `save` every frame is
    written to a raw file, and every result to a restored one. The other options are those of
    `Restorer`.

    Raises `UserError` for an engine, option, core or rig that cannot be used.
    """
    given = isinstance(core, str | Path | RigConfig)
    config = rig_of(core if given and rig is None else rig)
    if frames is not None and frames < 1:
        raise UserError(f"got {frames} frames; allowed are 1 or more, or None for no end")
    restorer = Restorer(
        engine,
        rig=config,
        camera=camera,
        optics=optics,
        z_um=z_um,
        dpm=dpm,
        precision="fast",
    )
    if given:
        from liverestore.camera.open import open_source

        chosen = rig_of(core)
        assert chosen is not None, "a rig was given"
        source = open_source(chosen)
    else:
        from liverestore.camera.given_core import source_of_core

        source = source_of_core(core, config)
    files = None if save is None else _Files(Path(save), save_format)
    return LiveRun(source, restorer, frames=frames, files=files)


class _Files:
    """The raw file, every frame, and the restored one, every result."""

    def __init__(self, folder: Path, save_format: SaveFormat) -> None:
        raw, restored = free_pair(folder, save_format)
        self.raw = QueuedSink(OmeSink(raw, on_existing="refuse"))
        self.restored = OmeSink(restored, on_existing="refuse")

    def close(self) -> None:
        try:
            self.raw.close()
        finally:
            self.restored.close()


class LiveRun:
    """See `live`. Iterate in one thread; it gives `Restored` pictures, whose raw frame is `source`.

    A frame is restored when the loop asks for it, so the loop's own work counts too. Raises
    `Failure` in the loop where the camera or the disk fails.
    """

    def __init__(
        self,
        source: FrameSource,
        restorer: Restorer,
        *,
        frames: int | None = None,
        files: _Files | None = None,
    ) -> None:
        self.restorer = restorer
        """The engine: its `warnings`, what it computed `last`."""
        self.captured = 0
        """Frames that came from the camera."""
        self.restored = 0
        """Frames that the loop got restored."""
        self.dropped = 0
        """Frames that are not restored, because a newer one came or the loop ended."""
        self.lost = 0
        """Frames that the camera took and the core lost."""
        self._source = source
        self._frames = frames
        self._files = files
        self._changed = threading.Condition()
        self._newest: Frame | None = None
        self._info: SourceInfo | None = None
        self._go = self._ended = self._stop = False
        self._error: LiverestoreError | None = None
        self._thread: threading.Thread | None = None

    def __enter__(self) -> Self:
        # A core that runs in a thread which nobody ends keeps the light on: hence `with`.
        self._thread = threading.Thread(target=self._capture, name="camera", daemon=True)
        self._thread.start()
        try:
            info = self._opened()
            self.restorer.prepare(info.shape, info.dtype)
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def __iter__(self) -> Iterator[Restored]:
        if self._thread is None:
            raise UserError("a live run is used in a with statement, which ends the camera's light")
        while (frame := self._next()) is not None:
            made = self.restorer.frame(frame)[0]
            with self._changed:
                self.restored += 1
            if self._files is not None:
                self._files.restored.append(made)
            yield made

    def close(self) -> None:
        """Stop the camera and close the files; safe to call twice.

        Raises `Failure` where the disk did not take all frames, unless the loop did.
        """
        with self._changed:
            self._stop = True
            self._changed.notify_all()
        try:
            if self._thread is not None:
                self._thread.join()
            if self._files is not None:
                self._files.close()
        finally:
            with self._changed:
                self.dropped += self._newest is not None
                self._newest = None
            self.restorer.close()

    def _opened(self) -> SourceInfo:
        with self._changed:
            while self._info is None and not self._ended:
                self._changed.wait(_LOOK_UP_S)
            self._raise_error()
            assert self._info is not None, "a camera that ends before it opens says why"
            return self._info

    def _next(self) -> Frame | None:
        """The newest frame, or None after the last one."""
        with self._changed:
            self._go = True
            self._changed.notify_all()
            while self._newest is None and not self._ended:
                # Never without a time limit: on Windows Ctrl-C does not end such a wait.
                self._changed.wait(_LOOK_UP_S)
            frame, self._newest = self._newest, None
            if frame is None:
                self._raise_error()
            return frame

    def _raise_error(self) -> None:
        error, self._error = self._error, None
        if error is not None:
            raise error

    def _capture(self) -> None:
        error: LiverestoreError | None = None
        try:
            self._take_all()
        except EndOfStream:
            pass
        except LiverestoreError as problem:
            error = problem
        except Exception as problem:
            # A thread that dies of a bug would leave the loop waiting for ever.
            error = Failure(f"unexpected {type(problem).__name__}: {problem}")
        try:
            self._source.stop()
        except LiverestoreError as problem:
            error = error or problem
        with self._changed:
            self._error, self._ended = error, True
            self._changed.notify_all()

    def _take_all(self) -> None:
        info = self._source.start()
        with self._changed:
            self._info = info
            self._changed.notify_all()
            while not self._go and not self._stop:
                self._changed.wait(_LOOK_UP_S)
        while not self._stop and (self._frames is None or self.captured < self._frames):
            frame = self._source.next_frame(_LOOK_UP_S)
            if frame is None:
                continue
            if self._files is not None:
                self._files.raw.append(frame)
            with self._changed:
                self.captured += 1
                self.lost = frame.header.lost_before
                self.dropped += self._newest is not None
                self._newest = frame
                self._changed.notify_all()
