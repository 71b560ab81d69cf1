"""What the engines in use make of one frame: a picture, a second one to compare, a stack."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import TypeVar

from liverestore.camera_model import CameraModel
from liverestore.dpm import Dpm
from liverestore.errors import Failure, LiverestoreError
from liverestore.frame import Frame, Restored
from liverestore.model_spec import ModelSpec
from liverestore.restore import Whole, restore, restore_planes
from liverestore.runtime.base import RuntimeChanged, whole_of
from liverestore.service.lineup import Lineup, Serving
from liverestore.service.live_dpm import LiveDpm
from liverestore.service.live_zstack import LiveZStack
from liverestore.wire import MAX_IMAGE_BYTES

__all__ = ["FrameWork", "GivenUp", "Made", "Wanted"]

_TOLD_EVERY = 100
"""Of frames that the second engine, or the stack, failed on, the first and every so many."""

T = TypeVar("T")


class _Left(Failure):
    """A virtual stack was left in the middle, because another one was asked for."""


class GivenUp(Failure):
    """A virtual stack was left in the middle, because the run ends."""


@dataclasses.dataclass(frozen=True, slots=True)
class Wanted:
    """Who is to restore frames of one channel, and where those that refocus are to look."""

    engine: str
    dpm: Dpm | None
    """None: it does not refocus."""
    rival: str | None
    rival_dpm: Dpm | None
    planes_um: tuple[float, ...]
    """Of the virtual stack; () for none."""


@dataclasses.dataclass(frozen=True, slots=True)
class Made:
    """A result, and what it was made with."""

    result: Restored
    camera: CameraModel
    wanted: Wanted


class FrameWork:
    """Restores single frames as the `lineup`, the DPM and the stack of the moment say.

    The stack is made by the first engine alone, as batches. A second engine that fails, and a
    stack that fails, take nothing from the picture; `tell` gets a line. A stack may take many
    times as long as a picture; between two batches `ends` is asked whether to give it up, and
    then `other_stack` whether to leave it, because another one, or none, was asked for meanwhile.
    """

    def __init__(
        self,
        lineup: Lineup,
        dpm: LiveDpm | None,
        zstack: LiveZStack,
        tell: Callable[[str], None],
        ends: Callable[[], bool] = lambda: False,
        other_stack: Callable[[], bool] = lambda: False,
    ) -> None:
        self._ends = ends
        self._other_stack = other_stack
        self._lineup = lineup
        self._dpm = dpm
        self._zstack = zstack
        self._tell = tell
        self._rivals_failed = 0
        self._stacks_failed = 0

    def wanted(self, channel: str | None) -> Wanted:
        """What the next frame of `channel` will be made with."""
        serving, rival = self._lineup.serving(channel), self._lineup.rival
        return Wanted(
            serving.name,
            self._dpm_of(serving),
            None if rival is None else rival.name,
            None if rival is None else self._dpm_of(rival),
            self.planes_um(serving),
        )

    def planes_um(self, serving: Serving) -> tuple[float, ...]:
        """Distances of the virtual planes that `serving` makes of each frame, in um."""
        return () if self._dpm is None else self._zstack.planes_um(serving.runtime.spec)

    def make(self, frame: Frame, camera: CameraModel) -> Made:
        """All that is wanted of `frame`.

        Raises `LiverestoreError` where the first engine fails, and `GivenUp`.
        """
        channel = frame.header.channel
        wanted = self.wanted(channel)
        serving, second = self._lineup.serving(channel), self._lineup.rival
        picture = self._restored(serving, frame, camera)
        rival = None
        if second is serving:
            rival = picture
        elif second is not None:
            try:
                rival = self._restored(second, frame, camera)
            except LiverestoreError as error:
                self._rivals_failed += 1
                if self._rivals_failed % _TOLD_EVERY == 1:
                    self._tell(
                        f"frame {frame.header.number} not restored by '{second.name}', the second "
                        f"engine: {error}"
                    )
        result = dataclasses.replace(picture, rival=rival)
        return self._with_stack(Made(result, camera, wanted), serving)

    def again(self, made: Made) -> Made:
        """The same frame as it is wanted now; what is wanted as before is taken over.

        Raises `LiverestoreError` where an engine fails, and `GivenUp`.
        """
        before, frame, camera = made.wanted, made.result.source, made.camera
        channel = frame.header.channel
        wanted = self.wanted(channel)
        serving, second = self._lineup.serving(channel), self._lineup.rival
        picture, rival, planes = made.result, made.result.rival, made.result.planes
        if (wanted.engine, wanted.dpm) != (before.engine, before.dpm):
            picture = self._restored(serving, frame, camera)
        if second is None:
            rival = None
        elif second is serving:
            rival = dataclasses.replace(picture, rival=None, planes=())
        elif (wanted.rival, wanted.rival_dpm) != (before.rival, before.rival_dpm):
            rival = self._restored(second, frame, camera)
        if (wanted.engine, wanted.planes_um) != (before.engine, before.planes_um):
            self._stacks_failed = 0
            result = dataclasses.replace(picture, rival=rival)
            return self._with_stack(Made(result, camera, wanted), serving)
        return Made(dataclasses.replace(picture, rival=rival, planes=planes), camera, wanted)

    def _with_stack(self, made: Made, serving: Serving) -> Made:
        """`made` with its virtual stack, or without one where that was left."""
        frame, wanted = made.result.source, made.wanted
        try:
            planes = self._stack(serving, frame, made.camera, wanted.planes_um)
        except _Left:
            planes, wanted = (), dataclasses.replace(wanted, planes_um=())
        return Made(dataclasses.replace(made.result, planes=planes), made.camera, wanted)

    def _dpm_of(self, serving: Serving) -> Dpm | None:
        return self._dpm.wanted if serving.runtime.spec.refocuses and self._dpm else None

    def _restored(self, serving: Serving, frame: Frame, camera: CameraModel) -> Restored:
        self._prepare(serving, frame)
        dpm, optics = None, None
        if serving.runtime.spec.refocuses and self._dpm is not None:
            dpm, optics = self._dpm.at(frame.header)

        def once(spec: ModelSpec, whole: Whole | None, runtime: str) -> Restored:
            return restore(
                frame,
                spec,
                serving.runtime.infer,
                camera,
                dpm,
                optics=optics,
                whole=whole,
                runtime=runtime,
            )

        return _run(serving, once)

    def _stack(
        self, serving: Serving, frame: Frame, camera: CameraModel, planes_um: tuple[float, ...]
    ) -> tuple[Restored, ...]:
        if not planes_um or self._dpm is None:
            return ()
        optics = self._dpm.optics(frame.header.channel)

        def once(spec: ModelSpec, whole: Whole | None, runtime: str) -> tuple[Restored, ...]:
            made = []
            for plane in restore_planes(
                frame,
                spec,
                serving.runtime.infer,
                camera,
                planes_um,
                optics=optics,
                whole=whole,
                runtime=runtime,
            ):
                if self._ends():
                    raise GivenUp(f"frame {frame.header.number}: the run ends")
                if self._other_stack():
                    raise _Left(f"frame {frame.header.number}: another stack is wanted")
                made.append(plane)
            return tuple(made)

        try:
            _check_size(frame, len(planes_um))
            return _run(serving, once)
        except (GivenUp, _Left):
            raise
        except LiverestoreError as error:
            self._stacks_failed += 1
            if self._stacks_failed % _TOLD_EVERY == 1:
                self._tell(f"frame {frame.header.number} has no virtual stack: {error}")
            return ()

    def _prepare(self, serving: Serving, frame: Frame) -> None:
        self._lineup.warm_up(serving, (frame.header.shape, frame.header.dtype))
        reason = serving.runtime.spec.mismatch(frame.header)
        if reason is not None:
            raise Failure(reason)


def _run(serving: Serving, once: Callable[[ModelSpec, Whole | None, str], T]) -> T:
    """`once` on the runtime of `serving`, and once more where it fails and another takes over."""
    runtime = serving.runtime
    try:
        # Asked before the description: a better runtime takes over here.
        whole = whole_of(runtime)
        return once(runtime.spec, whole, runtime.description)
    except RuntimeChanged:
        whole = whole_of(runtime)
        return once(runtime.spec, whole, runtime.description)  # named after what took its place


def _check_size(frame: Frame, planes: int) -> None:
    nbytes = planes * frame.header.nbytes
    if nbytes > MAX_IMAGE_BYTES:
        height, width = frame.header.shape
        raise Failure(
            f"{planes} planes of {height}x{width} are {nbytes / 2**30:.1f} GiB; allowed are "
            f"{MAX_IMAGE_BYTES / 2**30:g} GiB a frame; take a larger step or a smaller ROI"
        )
