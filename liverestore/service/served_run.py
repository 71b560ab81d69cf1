"""Restores the frames of one run of another machine, in a thread of its own."""

from __future__ import annotations

import logging
import queue
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
from liverestore.service.fair_turn import FairTurn, Share
from liverestore.service.far_wanted import Order
from liverestore.service.live_dpm import LiveDpm
from liverestore.service.run_inbox import RunInbox
from liverestore.service.trust_keeper import TrustKeeper
from liverestore.status import Failed, Notice, SetDpm, SetTrustMap, SetZStack
from liverestore.transport.engine_desk import EngineDesk, Peer
from liverestore.transport.private_folder import PrivateFolder
from liverestore.wire import Buffer, End, Message, WireError, decode

__all__ = ["ServedRun"]

log = logging.getLogger(__name__)

_WAIT_S = 0.1
_ABANDONED_S = 10.0
"""A run that says nothing for so long is gone, and makes room for another."""


def _rig(told: RigConfig, maps: Buffer, folder: Path) -> RigConfig:
    """What the run said of its rig, without any path but that of its own `maps`."""
    path = None
    if len(maps):
        path = str(folder / "maps.tif")
        Path(path).write_bytes(maps)
    camera = msgspec.structs.replace(told.camera, maps=path)
    return msgspec.structs.replace(told, camera=camera, surfaces={}, origin="")


class ServedRun:
    """One run; where its frames come from and where its results go.

    Its computations wait for their `turn`. `inbox` is filled by the thread that reads the socket.
    """

    def __init__(
        self,
        desk: EngineDesk,
        peer: Peer,
        opened: Open,
        maps: Buffer,
        turn: FairTurn,
        stop: threading.Event,
        tell: Callable[[str], None],
        threads: int | None,
    ) -> None:
        """`maps`: the file with the camera's maps, empty without; begins at once."""
        self.inbox = RunInbox()
        self.opened = opened
        self.key = peer.key
        self._desk = desk
        self._peer = peer
        self._maps = maps
        self._share = Share(turn)
        self._stop = stop
        self._tell = tell
        self._threads = threads
        self._ready = False
        self._over = False
        self._heard_s = time.monotonic()
        self._orders: list[Order] = []
        self._next: Frame | None = None
        """That came and was not taken yet; there is never more than one."""
        self._owed: int | None = None
        """Number of the frame that the run waits for."""
        self._unsent: queue.SimpleQueue[int] = queue.SimpleQueue()
        """Numbers of frames whose answer the connection did not take."""
        self._count = 0
        """Results that were sent."""
        self._thread = threading.Thread(target=self._run, name="served run")
        self._thread.start()

    @property
    def running(self) -> bool:
        """Whether it has not ended yet."""
        return self._thread.is_alive()

    def join(self) -> None:
        """Wait until it has ended."""
        self._thread.join()

    def _run(self) -> None:
        name = self.opened.rig.name
        self._tell(f"run of the rig {name!r} begins")
        try:
            with PrivateFolder() as folder:
                self._restore(_rig(self.opened.rig, self._maps, folder.path), self._threads)
        except LiverestoreError as error:
            self.say(Failed(text=str(error), exit_code=error.exit_code))
            self._tell(f"run of the rig {name!r} failed: {error}")
        except Exception as error:
            # The last line of defence: one run's trouble must not take the engine from all others.
            log.exception("a run failed")
            text = f"unexpected {type(error).__name__}: {' '.join(str(error).split())}"
            self.say(Failed(text=text, exit_code=1))
            self._tell(f"run of the rig {name!r} failed: {text}")
        else:
            self.say(Bye())
            self._tell(f"run of the rig {name!r} has ended: {self._count} results")

    # -- the engine -------------------------------------------------------------------

    def _restore(self, rig: RigConfig, threads: int | None) -> None:
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
            _check_surface(self.opened.dpm)
            begin(loop, self.opened)
            self._ready, self._heard_s = True, time.monotonic()
            self.say(Opened())
            while loop.step(_WAIT_S):
                while self._orders:
                    self._obey(loop, trust, self._orders.pop(0))
                told.attend(time.monotonic())
        finally:
            self._share.give()
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
        if frame is not None:
            self._share.take()
        return frame

    def fail(self) -> None:
        """The frame received last could not be used."""
        self._settle()

    def offer(self, item: Frame | Restored) -> None:
        """Send a result."""
        assert isinstance(item, Restored), "an engine offers results"
        number, unsent = item.source.header.number, self._unsent
        if number == self._owed:
            self._owed = None
            # The run waits for it: a slow cable whose queue is full must not keep it for ever.
            self._desk.post(self._peer, encode_result(item), lambda: unsent.put(number))
        else:
            self._desk.post(self._peer, encode_result(item))
        self._count += 1
        self._share.give()

    def _show(self, picture: Restored) -> None:
        """Send a picture whose stack is at work."""
        self._desk.post(self._peer, encode_result(picture, follows=True))

    def _settle(self) -> None:
        self._share.give()
        if self._owed is not None:
            self._not_restored(self._owed)
            self._owed = None

    def _not_restored(self, number: int) -> None:
        """Say that there will be no result of this frame, again and again until it is sent."""
        unsent = self._unsent
        parts = encode_word(NotRestored(number=number))
        self._desk.post(self._peer, parts, lambda: unsent.put(number))

    # -- between two batches of a stack -----------------------------------------------

    def _ends(self, told: Told) -> bool:
        self._share.pass_on()
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
        self._desk.post(self._peer, encode_word(word))

    def _notice(self, line: str) -> None:
        self.say(Notice(text=line))

    def _pump(self, timeout_s: float) -> None:
        """Read one message at most."""
        for _ in range(self._unsent.qsize()):
            self._not_restored(self._unsent.get())
        if self._stop.is_set():
            self._over = True
        got = self.inbox.get(timeout_s)
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
            self._desk.post(peer, encode_word(Notice(text=f"not understood: {error}")))
            if peer == self._peer and not is_word(parts):
                # Whatever frame that was, its run waits for an answer.
                self._desk.post(peer, encode_word(Refused(reason="a frame was not understood")))
            return
        if isinstance(message, Open):
            self._reopen(peer, message, now)
        elif peer != self._peer:
            self._desk.post(peer, encode_word(Refused(reason="no run is open here")))
        elif isinstance(message, Message) and isinstance(message.body, Frame):
            self._heard_s = now
            header = message.body.header
            # The clock of another machine means nothing here; what is told of ages counts from now.
            header = msgspec.structs.replace(header, captured_ns=time.perf_counter_ns())
            if self._next is not None:
                self._not_restored(self._next.header.number)
            self._next = Frame(message.body.pixels, header)
        elif isinstance(message, Order):
            self._heard_s = now
            self._orders.append(message)
        elif isinstance(message, Bye):
            self._over = True
        elif isinstance(message, Ping):
            self._heard_s = now

    def _reopen(self, peer: Peer, word: Open, now: float) -> None:
        if word.session != self.opened.session:
            self._desk.post(peer, encode_word(Refused(reason="this connection has a run already")))
            return
        # It lost its connection, and has forgotten the frame that it waited for.
        self._peer, self._heard_s = peer, now
        self._next = self._owed = None
        self._unsent = queue.SimpleQueue()
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
