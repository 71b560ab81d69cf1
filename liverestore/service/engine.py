"""The engine process: asks for the newest frame, restores it, hands it on."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable
from typing import Protocol

from liverestore.errors import LiverestoreError, UserError
from liverestore.model_spec import find_engine
from liverestore.runtime.base import InferenceRuntime
from liverestore.runtime.table import open_runtime
from liverestore.service.camera_knowledge import CameraKnowledge
from liverestore.service.child import orphaned, run_child
from liverestore.service.engine_loop import EngineLoop
from liverestore.service.live_dpm import LiveDpm
from liverestore.service.plan import RunPlan
from liverestore.service.reference_keeper import ReferenceKeeper
from liverestore.service.restored_files import RestoredFiles
from liverestore.service.show_back import show_back
from liverestore.service.trust_keeper import TrustKeeper
from liverestore.service.understood import check_understood
from liverestore.status import (
    EngineReport,
    Notice,
    SaveRestored,
    SetDpm,
    SetEngine,
    SetLive,
    SetRival,
    SetTrustMap,
    SetZStack,
    Stop,
    Word,
)
from liverestore.transport.control import ControlLink
from liverestore.transport.inlet import Inlet
from liverestore.transport.outlet import Outlet

__all__ = [
    "CameraKnowledge",
    "EngineLoop",
    "Told",
    "Wanted",
    "begin",
    "engine_process",
    "obey",
    "open_live",
]

_REPORT_EVERY_S = 0.2
_WAIT_S = 0.1
_SWITCH_INTERVAL_S = 0.0005


class Wanted(Protocol):
    """The engines that a run begins with, and where they look; as `RunPlan` says."""

    @property
    def engine(self) -> str: ...  # noqa: D102
    @property
    def engines(self) -> dict[str, str]: ...  # noqa: D102
    @property
    def rival(self) -> str | None: ...  # noqa: D102
    @property
    def dpm(self) -> str | None: ...  # noqa: D102
    @property
    def zstack(self) -> str | None: ...  # noqa: D102


def engine_process(plan: RunPlan) -> None:
    """Entry point of the process; ends with an exit code."""

    def body(link: ControlLink, stop: threading.Event) -> None:
        # Restoring takes the interpreter's lock some twenty times a frame; while a thread that
        # loads an engine imports modules, each time would take the usual 5 ms.
        sys.setswitchinterval(_SWITCH_INTERVAL_S)
        _serve(plan, link, stop)

    run_child("engine", plan.endpoints.control, body)


def open_live(
    name: str,
    threads: int | None,
    tell: Callable[[str], None] = lambda _line: None,
    dpm: LiveDpm | None = None,
) -> InferenceRuntime:
    """A runtime for a live run, on at most so many cores.

    Where a GPU has to be made ready first, the processor restores until it is, and `tell` gets a
    line when it takes over, cannot, or fails later.

    Raises `UserError` for an engine that is not installed, that nothing here can run, or that
    refocuses where the rig of `dpm` leaves out the optics.
    """
    spec = find_engine(name)
    if spec.refocuses and dpm is not None:
        try:
            dpm.prepare()
        except UserError as error:
            raise UserError(f"the engine {name!r} refocuses: {error}") from error
    return open_runtime(spec, threads=threads, precision="fast", ready=False, tell=tell)


def _serve(plan: RunPlan, link: ControlLink, stop: threading.Event) -> None:
    # A word wakes it too: a turned wheel is to be seen at once.
    inlet = Inlet(plan.endpoints.raw.for_client(), "engine", beside=(link,))
    outlet = Outlet(plan.endpoints.restored)
    words: list[Word] = []
    """That came, and are obeyed between two frames."""

    def ends() -> bool:
        words.extend(link.receive(0))
        told.attend(time.monotonic())
        return stop.is_set() or any(isinstance(word, Stop) for word in words)

    def other_stack() -> bool:
        return any(isinstance(word, SetZStack) for word in words)

    def refocused() -> bool:
        turns = [word for word in words if isinstance(word, SetDpm)]
        words[:] = [word for word in words if not isinstance(word, SetDpm)]
        for turn in turns:
            obey(loop, turn)
        told.attend(time.monotonic(), at_once=bool(turns))
        return bool(turns)

    in_turn = [channel.name for channel in plan.rig.channels]

    def stacked() -> tuple[str, ...]:
        return tuple(name for name in in_turn if loop.makes_stack(name))

    def open_engine(name: str) -> InferenceRuntime:
        return open_live(name, plan.engine_threads, loop.notices.append, dpm)

    def tell(line: str) -> None:
        link.send(Notice(text=line))

    camera = CameraKnowledge(plan.rig.camera, tell)
    dpm = LiveDpm(plan.rig, tell)
    files = RestoredFiles(
        plan.restored_path, tell=link.send, find_optics=dpm.optics, stacked=stacked
    )
    trust = TrustKeeper(dpm.optics, objective=plan.rig.optics.objective)
    # It tells from a thread of its own, and the link is this thread's.
    references = ReferenceKeeper(lambda line: loop.notices.append(line))
    if plan.references is not None:
        references.attend(plan.endpoints.raw.for_client())
    loop = EngineLoop(
        inlet,
        outlet,
        camera,
        open_engine,
        files=files,
        dpm=dpm,
        ends=ends,
        other_stack=other_stack,
        refocused=refocused,
        trust=trust,
        references=references,
    )
    told = Told(loop, link.send)
    shown = show_back(plan, loop.notices.append)
    try:
        begin(loop, plan)
        told.attend(time.monotonic(), at_once=True)
        while not stop.is_set() and not orphaned() and loop.step(_WAIT_S):
            check_understood(inlet)
            if (refusal := outlet.refusal()) is not None:
                tell(refusal)
            words.extend(link.receive(0))
            # Told before the next frame, which can take long and be the last one of this process:
            # what was asked for is then asked of the one that takes its place.
            told_now = _hear(words, loop, files, stop, trust)
            files.attend(time.monotonic())
            told.attend(time.monotonic(), at_once=told_now)
        _hear(words, loop, files, stop, trust)
        link.send(loop.report(final=True))
        outlet.finish("the run has ended", timeout_s=0.0 if stop.is_set() else 0.3)
    finally:
        if shown is not None:
            shown.close()
        trust.close()
        references.close()
        files.close()
        inlet.close()
        outlet.close()
        # The runtimes end with the process, which follows at once: what is still loading can
        # take seconds and is not waited for.


class Told:
    """What an engine says of itself: a few times a second, and when there is news."""

    def __init__(self, loop: EngineLoop, send: Callable[[EngineReport | Notice], object]) -> None:
        self._loop = loop
        self._send = send
        self._next_s = 0.0
        self._loading: str | None = None

    def attend(self, now_s: float, *, at_once: bool = False) -> None:
        """Send the report that is due, or `at_once`, and then the lines that came up."""
        notices, loading = self._loop.notices, self._loop.lineup.loading
        if not (at_once or notices or loading != self._loading or now_s >= self._next_s):
            return
        self._next_s, self._loading = now_s + _REPORT_EVERY_S, loading
        self._send(self._loop.report())
        while notices:
            self._send(Notice(text=notices.pop(0)))


def begin(loop: EngineLoop, plan: Wanted) -> None:
    """With the engines of the plan, which after a crash are those that were in use.

    Raises `UserError` for one that is not installed. A rival is not worth a run.
    """
    loop.use(plan.engine)
    for channel, name in plan.engines.items():
        loop.use(name, channel)
    if plan.rival is not None:
        try:
            loop.lineup.use_rival(plan.rival)
        except LiverestoreError as error:
            loop.notices.append(f"no second engine: {error}")
    if plan.dpm is not None:
        loop.refocus(plan.dpm)
    if plan.zstack is not None:
        loop.stack(plan.zstack)


def _hear(
    words: list[Word],
    loop: EngineLoop,
    files: RestoredFiles,
    stop: threading.Event,
    trust: TrustKeeper,
) -> bool:
    """Obey `words`, and leave none; whether one was to the engines."""
    obeyed = False
    while words:
        word = words.pop(0)
        if isinstance(word, Stop):
            stop.set()
        elif isinstance(word, SaveRestored):
            files.obey(word, time.monotonic())
        elif isinstance(word, SetTrustMap):
            trust.show_map(word.kind)
        else:
            obey(loop, word)
            obeyed = True
    return obeyed


def obey(loop: EngineLoop, word: Word) -> None:
    """What is asked for while live; the engines in use go on until it is there."""
    if isinstance(word, SetEngine):
        loop.lineup.ask(word.name, word.channel)
    elif isinstance(word, SetRival):
        loop.lineup.ask_rival(word.name)
    elif isinstance(word, SetDpm):
        loop.refocus(word.spec)
    elif isinstance(word, SetZStack):
        loop.stack(word.text)
    elif isinstance(word, SetLive):
        loop.follow_live(word.on)
