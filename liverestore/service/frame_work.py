"""What the engines in use make of one frame: a picture, a second one to compare, a stack."""

from __future__ import annotations

import dataclasses
import time
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

__all__ = ["FrameWork", "GivenUp", "Made", "Show", "Wanted"]

_TOLD_EVERY = 100
"""Of frames that the second engine, or the stack, failed on, the first and every so many."""

_AT_ONCE_S = 0.1
"""What takes no longer looks immediate to a person (R. B. Miller, AFIPS 33, 267, 1968). A stack
that is as quick comes with its picture: one message, which the next one cannot overtake."""
_BATCH_S = 0.25
"""A batch takes so long at most, unless a plane alone does: the wheel waits for it."""

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


Show = Callable[[Made], None]
"""Takes a picture whose stack is still to come."""


class FrameWork:
    """Restores single frames as the `lineup`, the DPM and the stack of the moment say.

    The stack is made by the first engine alone, as batches. A second engine that fails, and a
    stack that fails, take nothing from the picture; `tell` gets a line. A stack may take many
    times as long as a picture, which then is shown before; between two batches `ends` is asked
    whether to give it up, `other_stack` whether to leave it, because another one, or none, was
    asked for meanwhile, and `refocused` whether the DPM has changed: the picture is made anew and
    shown, and the stack goes on.
    """

    def __init__(
        self,
        lineup: Lineup,
        dpm: LiveDpm | None,
        zstack: LiveZStack,
        tell: Callable[[str], None],
        ends: Callable[[], bool] = lambda: False,
        other_stack: Callable[[], bool] = lambda: False,
        refocused: Callable[[], bool] = lambda: False,
    ) -> None:
        self._ends = ends
        self._other_stack = other_stack
        self._refocused = refocused
        self._lineup = lineup
        self._dpm = dpm
        self._zstack = zstack
        self._tell = tell
        self._rivals_failed = 0
        self._stacks_failed = 0
        self._together: dict[tuple[str, str, tuple[int, int]], int] = {}
        """Planes in a batch, of an engine, its runtime and frames of one size: chosen once, because
        a network is compiled for each number."""

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

    def make(self, frame: Frame, camera: CameraModel, show: Show) -> Made:
        """All that is wanted of `frame`; `show` gets it without a stack that takes long.

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
        return self._with_stack(Made(result, camera, wanted), serving, show, shown=False)

    def again(self, made: Made, show: Show) -> Made:
        """The same frame as it is wanted now; what is wanted as before is taken over.

        Where a stack is made that takes long, `show` gets a picture that is another one before.
        Raises `LiverestoreError` where an engine fails, and `GivenUp`.
        """
        pictured = self._again_without_stack(made)
        before, wanted = made.wanted, pictured.wanted
        if (wanted.engine, wanted.planes_um) == (before.engine, before.planes_um):
            return pictured
        self._stacks_failed = 0
        serving = self._lineup.serving(made.result.source.header.channel)
        same = pictured.result.pixels is made.result.pixels
        flat = dataclasses.replace(pictured.result, planes=())
        pictured = dataclasses.replace(pictured, result=flat)
        return self._with_stack(pictured, serving, show, shown=same)

    def _again_without_stack(self, made: Made) -> Made:
        """The pictures of the same frame as they are wanted now, and the planes as they are."""
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
        return Made(dataclasses.replace(picture, rival=rival, planes=planes), camera, wanted)

    def _with_stack(self, made: Made, serving: Serving, show: Show, *, shown: bool) -> Made:
        """`made` with its virtual stack, or without one where that was left or failed.

        `shown`: whether its picture is on the screen already.
        """
        planes_um = made.wanted.planes_um
        if not planes_um:
            return made
        work = _AtWork(made, show, shown=shown)
        if _picture_s(made.result) * len(planes_um) > _AT_ONCE_S:
            work.show()
        try:
            planes = self._stack(serving, work)
        except _Left:
            planes = ()
            work.made = dataclasses.replace(
                work.made, wanted=dataclasses.replace(work.made.wanted, planes_um=())
            )
        result = dataclasses.replace(work.made.result, planes=planes)
        return dataclasses.replace(work.made, result=result)

    def _look_up(self, work: _AtWork) -> None:
        """Between two planes: what the person wants meanwhile."""
        number = work.made.result.source.header.number
        if self._ends():
            raise GivenUp(f"frame {number}: the run ends")
        if self._other_stack():
            raise _Left(f"frame {number}: another stack is wanted")
        wanted = work.made.wanted
        if self._refocused():
            wanted = self.wanted(work.made.result.source.header.channel)
        if wanted != work.made.wanted:
            try:
                work.made = self._again_without_stack(work.made)
            except LiverestoreError as error:
                # Not tried again before something else is wanted.
                work.made = dataclasses.replace(work.made, wanted=wanted)
                self._tell(f"frame {number} not restored again: {error}")
            else:
                work.shown = False
                work.show()
        elif time.monotonic() - work.began_s > _AT_ONCE_S:
            work.show()

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

    def _stack(self, serving: Serving, work: _AtWork) -> tuple[Restored, ...]:
        frame, camera = work.made.result.source, work.made.camera
        planes_um = work.made.wanted.planes_um
        assert self._dpm is not None, "planes are wanted of engines that refocus"
        optics = self._dpm.optics(frame.header.channel)
        one_s = max(_picture_s(work.made.result), 1e-9)

        def once(spec: ModelSpec, whole: Whole | None, runtime: str) -> tuple[Restored, ...]:
            made = []
            most = self._together.setdefault(
                (spec.name, runtime, frame.header.shape), max(1, int(_BATCH_S / one_s))
            )
            for plane in restore_planes(
                frame,
                spec,
                serving.runtime.infer,
                camera,
                planes_um,
                optics=optics,
                whole=whole,
                runtime=runtime,
                most=most,
            ):
                self._look_up(work)
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


class _AtWork:
    """A frame whose stack is being made."""

    def __init__(self, made: Made, show: Show, *, shown: bool) -> None:
        self.made = made
        """Its newest picture, without planes."""
        self.shown = shown
        self.began_s = time.monotonic()
        self._show = show

    def show(self) -> None:
        """Show the picture, unless it was shown before."""
        if not self.shown:
            self.shown = True
            self._show(self.made)


def _picture_s(made: Restored) -> float:
    """How long one picture took; a plane takes no longer."""
    return (made.provenance.finished_ns - made.provenance.started_ns) / 1e9


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
