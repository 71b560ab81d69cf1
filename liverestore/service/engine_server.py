"""Restores the frames of a run on another machine, one run at a time."""

from __future__ import annotations

import logging
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import msgspec

from liverestore.errors import LiverestoreError, UserError
from liverestore.frame import Frame, Restored
from liverestore.model_spec import BUILT_IN, list_engines
from liverestore.remote_wire import (
    Bye,
    LinkWord,
    NotRestored,
    Open,
    Opened,
    Ping,
    Refused,
    decode_word,
    encode_result,
    encode_word,
    is_word,
)
from liverestore.rig import RigConfig
from liverestore.rig_server import is_text_surface
from liverestore.runtime.base import InferenceRuntime
from liverestore.service.camera_knowledge import CameraKnowledge
from liverestore.service.engine import Told, begin, obey, open_live
from liverestore.service.engine_loop import EngineLoop
from liverestore.service.far_wanted import Order
from liverestore.service.live_dpm import LiveDpm
from liverestore.service.trust_keeper import TrustKeeper
from liverestore.status import Failed, Notice, SetDpm, SetTrustMap, SetZStack
from liverestore.transport.engine_desk import EngineDesk, Peer
from liverestore.transport.private_folder import PrivateFolder
from liverestore.wire import Buffer, End, Message, WireError, decode

__all__ = ["EngineServer"]

log = logging.getLogger(__name__)

_WAIT_S = 0.1
_ABANDONED_S = 10.0
"""A run that says nothing for so long is gone, and makes room for another."""
_SWITCH_INTERVAL_S = 0.0005


class EngineServer:
    """Serves authorised runs at `desk`, one after the other, until `stop` is set.

    A run that loses its connection and comes back within 10 s finds its engines as they were.
    """

    def __init__(
        self,
        desk: EngineDesk,
        *,
        threads: int | None = None,
        tell: Callable[[str], None] = lambda _line: None,
        stop: threading.Event | None = None,
    ) -> None:
        """`threads`: of the processor at most; `tell` gets a line when a run comes or goes."""
        self._desk = desk
        self._threads = threads
        self._tell = tell
        self._stop = stop or threading.Event()

    def run(self) -> None:
        """Block until `stop` is set."""
        # As in `service.engine`: loading an engine is not to hold up the one that restores.
        sys.setswitchinterval(_SWITCH_INTERVAL_S)
        while not self._stop.is_set():
            got = self._desk.receive(0.2)
            if got is None:
                continue
            peer, parts = got
            if not is_word(parts):
                continue  # a frame of a run that was given up; it will ask again
            try:
                word = decode_word(parts)
            except WireError as error:
                self._desk.send(peer, encode_word(Failed(text=str(error), exit_code=2)))
                continue
            if isinstance(word, Open):
                self._serve(peer, word, parts[2] if len(parts) == 3 else b"")
            elif isinstance(word, Ping):
                self._desk.send(peer, encode_word(Refused(reason="no run is open")))

    def _serve(self, peer: Peer, word: Open, maps: Buffer) -> None:
        self._tell(f"run of the rig {word.rig.name!r} begins")
        session = _Session(self._desk, peer, word, self._stop, self._tell)
        try:
            with PrivateFolder() as folder:
                session.restore(_rig(word.rig, maps, folder.path), self._threads)
        except LiverestoreError as error:
            session.say(Failed(text=str(error), exit_code=error.exit_code))
            self._tell(f"run of the rig {word.rig.name!r} failed: {error}")
        except Exception as error:
            # The last line of defence: one run's trouble must not take the engine from all others.
            log.exception("a run failed")
            text = f"unexpected {type(error).__name__}: {' '.join(str(error).split())}"
            session.say(Failed(text=text, exit_code=1))
            self._tell(f"run of the rig {word.rig.name!r} failed: {text}")
        else:
            session.say(Bye())
            self._tell(f"run of the rig {word.rig.name!r} has ended: {session.count} results")


def _rig(told: RigConfig, maps: Buffer, folder: Path) -> RigConfig:
    """What the run said of its rig, without any path but that of its own `maps`."""
    path = None
    if len(maps):
        path = str(folder / "maps.tif")
        Path(path).write_bytes(maps)
    camera = msgspec.structs.replace(told.camera, maps=path)
    return msgspec.structs.replace(told, camera=camera, surfaces={}, origin="")


class _Session:
    """One run; where its frames come from and where its results go."""

    def __init__(
        self,
        desk: EngineDesk,
        peer: Peer,
        opened: Open,
        stop: threading.Event,
        tell: Callable[[str], None],
    ) -> None:
        self._desk = desk
        self._peer = peer
        self._opened = opened
        self._stop = stop
        self._tell = tell
        self._ready = False
        self._over = False
        self._heard_s = time.monotonic()
        self._orders: list[Order] = []
        self._next: Frame | None = None
        """That came and was not taken yet; there is never more than one."""
        self._owed: int | None = None
        """Number of the frame that the run waits for."""
        self.count = 0
        """Results that were sent."""

    # -- the engine -------------------------------------------------------------------

    def restore(self, rig: RigConfig, threads: int | None) -> None:
        """Restore until the run ends, is abandoned, or the server is stopped."""
        dpm = LiveDpm(rig, self._notice)

        def open_engine(name: str) -> InferenceRuntime:
            _check_installed(name)
            return open_live(name, threads, loop.notices.append, dpm)

        trust = TrustKeeper(dpm.optics)
        loop = EngineLoop(
            self,
            self,
            CameraKnowledge(rig.camera, self._notice),
            open_engine,
            dpm=dpm,
            ends=lambda: self._ends(told),
            other_stack=self._other_stack,
            refocused=lambda: self._refocused(loop, trust, told),
            show=self._show,
            trust=trust,
        )
        told = Told(loop, self.say)
        try:
            _check_surface(self._opened.dpm)
            begin(loop, self._opened)
            self._ready, self._heard_s = True, time.monotonic()
            self.say(Opened())
            while loop.step(_WAIT_S):
                while self._orders:
                    self._obey(loop, trust, self._orders.pop(0))
                told.attend(time.monotonic())
        finally:
            trust.close()
            loop.close()

    def _obey(self, loop: EngineLoop, trust: TrustKeeper, word: Order) -> None:
        if isinstance(word, SetTrustMap):
            trust.show_map(word.kind)
            return
        if isinstance(word, SetDpm):
            try:
                _check_surface(word.spec)
            except UserError as error:
                self._notice(f"not refocused: {error}")
                return
        obey(loop, word)

    # -- what the engine loop takes it for --------------------------------------------

    def receive(self, timeout_s: float) -> Frame | End | None:
        """The frame that came, `End`, or None when none came within `timeout_s`."""
        self._settle()
        deadline = time.monotonic() + timeout_s
        self._pump(0)
        while self._next is None and not self._orders and not self._over:
            left = deadline - time.monotonic()
            if left <= 0:
                return None
            self._pump(left)
        if self._over:
            return End(reason="the run has ended")
        frame, self._next = self._next, None
        self._owed = None if frame is None else frame.header.number
        return frame

    def fail(self) -> None:
        """The frame received last could not be used."""
        self._settle()

    def offer(self, item: Frame | Restored) -> None:
        """Send a result."""
        assert isinstance(item, Restored), "an engine offers results"
        if item.source.header.number == self._owed:
            self._owed = None
        if self._desk.send(self._peer, encode_result(item)):
            self.count += 1

    def _show(self, picture: Restored) -> None:
        """Send a picture whose stack is at work."""
        self._desk.send(self._peer, encode_result(picture, follows=True))

    def _settle(self) -> None:
        if self._owed is not None:
            self.say(NotRestored(number=self._owed))
            self._owed = None

    # -- between two batches of a stack -----------------------------------------------

    def _ends(self, told: Told) -> bool:
        self._pump(0)
        told.attend(time.monotonic())
        return self._over

    def _other_stack(self) -> bool:
        return any(isinstance(word, SetZStack) for word in self._orders)

    def _refocused(self, loop: EngineLoop, trust: TrustKeeper, told: Told) -> bool:
        turns = [word for word in self._orders if isinstance(word, SetDpm)]
        self._orders = [word for word in self._orders if not isinstance(word, SetDpm)]
        for turn in turns:
            self._obey(loop, trust, turn)
        told.attend(time.monotonic(), at_once=bool(turns))
        return bool(turns)

    # -- the other machine ------------------------------------------------------------

    def say(self, word: LinkWord) -> None:
        """Tell the run; one that is not there hears nothing."""
        self._desk.send(self._peer, encode_word(word))

    def _notice(self, line: str) -> None:
        self.say(Notice(text=line))

    def _pump(self, timeout_s: float) -> None:
        """Read one message at most."""
        if self._stop.is_set():
            self._over = True
        got = self._desk.receive(timeout_s)
        now = time.monotonic()
        if got is not None:
            self._hear(*got, now)
        elif now - self._heard_s > _ABANDONED_S:
            self._tell("the run says nothing any more")
            self._over = True

    def _hear(self, peer: Peer, parts: list[Buffer], now: float) -> None:
        try:
            message = decode_word(parts) if is_word(parts) else decode(parts)
        except WireError as error:
            self._desk.send(peer, encode_word(Notice(text=f"not understood: {error}")))
            if peer == self._peer and not is_word(parts):
                # Whatever frame that was, its run waits for an answer.
                self._desk.send(peer, encode_word(Refused(reason="a frame was not understood")))
            return
        if isinstance(message, Open):
            self._reopen(peer, message, now)
        elif peer != self._peer:
            self._desk.send(peer, encode_word(Refused(reason="no run is open here")))
        elif isinstance(message, Message) and isinstance(message.body, Frame):
            self._heard_s = now
            header = message.body.header
            # The clock of another machine means nothing here; what is told of ages counts from now.
            header = msgspec.structs.replace(header, captured_ns=time.perf_counter_ns())
            if self._next is not None:
                self.say(NotRestored(number=self._next.header.number))
            self._next = Frame(message.body.pixels, header)
        elif isinstance(message, Order):
            self._heard_s = now
            self._orders.append(message)
        elif isinstance(message, Bye):
            self._over = True
        elif isinstance(message, Ping):
            self._heard_s = now

    def _reopen(self, peer: Peer, word: Open, now: float) -> None:
        same = word.session == self._opened.session and peer.key == self._peer.key
        if not same:
            reason = f"another run, of the rig {self._opened.rig.name!r}, uses the engine"
            self._desk.send(peer, encode_word(Refused(reason=reason)))
            return
        # It lost its connection, and has forgotten the frame that it waited for.
        self._peer, self._heard_s = peer, now
        self._next = self._owed = None
        if self._ready:
            self.say(Opened())


def _check_installed(name: str) -> None:
    """Only what is installed here: a name is never taken for the path of a folder."""
    names = [spec.name for spec in list_engines()]
    if name not in names and name not in BUILT_IN:
        raise UserError(
            f"engine '{name}' is not installed on the engine's machine; installed there: "
            f"{', '.join(names)}"
        )


def _check_surface(spec: str | None) -> None:
    """A run's surface is text, never a file of this machine."""
    if spec is not None and not is_text_surface(spec):
        raise UserError(
            f"the surface {spec[:60]!r} is a file, which does not travel to another machine; "
            "give it as text, as plane:, sphere: and the others"
        )
