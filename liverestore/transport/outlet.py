"""Hands the newest frame to each consumer that asks for it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import zmq

from liverestore.errors import Failure
from liverestore.frame import Frame, FrameHeader, Restored
from liverestore.transport.bell import Bell
from liverestore.transport.endpoint import Endpoint
from liverestore.transport.slot import Slot, SlotCounts
from liverestore.version import __version__
from liverestore.wire import End, Message, Next, WireError, decode, encode

__all__ = ["Outlet"]

MAX_REQUEST_BYTES = 1 << 16
_TICK_MS = 100
_FORGOTTEN_S = 60.0
"""A consumer that was not heard for so long gives its place to another, where all are taken."""
_AT_ONCE = 100
"""Requests that are read before the next answers, so that a flood of them starves nobody."""


@dataclass
class _Consumer:
    slot: Slot[Frame | Restored] = field(default_factory=Slot)
    identity: bytes | None = None
    """Of the peer that asked last under this role."""
    serial: int = -1
    asking: bool = False
    heard_s: float = 0.0


class Outlet:
    """Binds `endpoint`; every consumer has a slot of its own, so a slow one slows no other.

    `roles` are counted from the first frame on, whether their consumer is there or
    not; any other role gets its slot when it first asks. `offer` never blocks and may
    be called from any one thread.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        *,
        roles: tuple[str, ...] = (),
        aside: str | None = None,
        max_consumers: int = 64,
        now_s: Callable[[], float] = time.monotonic,
    ) -> None:
        """`aside` names a consumer that gets only what is offered to it by name."""
        self._endpoint = endpoint
        self._max_consumers = max_consumers
        self._now_s = now_s
        self._lock = threading.Lock()
        self._roles = roles
        self._aside = aside
        self._consumers = {role: _Consumer() for role in (*roles, *((aside,) if aside else ()))}
        self._ended: str | None = None
        self._closing = False
        self._refused = 0
        self._refusal: tuple[str, bool] | None = None
        """Why the first was not, and whether that was told."""
        self._context = zmq.Context()
        self._socket: zmq.Socket[bytes] = self._context.socket(zmq.ROUTER)
        self._socket.linger = 0
        self._socket.maxmsgsize = MAX_REQUEST_BYTES
        # A frame that a peer's queue cannot take is not worth keeping.
        self._socket.sndhwm = 2
        try:
            endpoint.bind(self._socket)
        except Failure:
            self._context.destroy(linger=0)
            raise
        self._bell = Bell()
        self._thread = threading.Thread(target=self._serve, name="outlet", daemon=True)
        self._thread.start()

    @property
    def refused(self) -> int:
        """Requests that were not understood."""
        return self._refused

    def refusal(self) -> str | None:
        """One line on the first request that was not understood, told once; None: there is none."""
        if self._refusal is None or self._refusal[1]:
            return None
        self._refusal = (self._refusal[0], True)
        return (
            f"a program asks for pictures in words that are not understood ({self._refusal[0]}) "
            f"and gets none; give it the version of liverestore that runs here, {__version__}"
        )

    def offer(self, item: Frame | Restored, *, aside: bool = False) -> None:
        """Put `item` in every slot, or in that of the `aside` consumer alone; the newest of its
        channel wins.
        """
        channel = _header(item).channel
        with self._lock:
            for role, consumer in self._consumers.items():
                if (role == self._aside) == aside:
                    consumer.slot.offer(item, channel)
        self._bell.ring()

    def counts(self, role: str) -> SlotCounts:
        """The account of one role; all zero for one that never asked."""
        with self._lock:
            consumer = self._consumers.get(role)
            return consumer.slot.counts if consumer else SlotCounts(0, 0, 0, 0)

    def finish(self, reason: str, *, timeout_s: float) -> None:
        """Let consumers take and acknowledge the last frame, then tell them it ended.

        What is not acknowledged after `timeout_s` counts as dropped.
        """
        with self._lock:
            self._ended = reason
        self._bell.ring()
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline and self._thread.is_alive():
            with self._lock:
                # Others come and go as they like; only the declared ones are waited for.
                if all(self._consumers[role].slot.counts.waiting == 0 for role in self._roles):
                    break
            time.sleep(0.005)
        with self._lock:
            for consumer in self._consumers.values():
                consumer.slot.give_up()

    def close(self) -> None:
        """Stop serving; safe to call twice."""
        if self._closing:
            return
        self._closing = True
        self._bell.ring()
        self._thread.join()
        self._context.term()

    def _serve(self) -> None:
        poller = zmq.Poller()
        poller.register(self._socket, zmq.POLLIN)
        poller.register(self._bell.socket, zmq.POLLIN)
        try:
            while not self._closing:
                ready = dict(poller.poll(_TICK_MS))
                if self._bell.socket in ready:
                    self._bell.clear()
                if self._socket in ready:
                    self._hear()
                self._answer()
        finally:
            self._socket.close(linger=200)
            self._bell.close()

    def _hear(self) -> None:
        for _ in range(_AT_ONCE):
            if not self._socket.poll(0):
                return
            identity, *parts = self._socket.recv_multipart()
            try:
                request = decode(parts)
            except WireError as error:
                self._refusal = self._refusal or (str(error), False)
                self._refused += 1
                continue
            if isinstance(request, Next):
                with self._lock:
                    self._note(identity, request)
            else:
                self._refused += 1

    def _note(self, identity: bytes, request: Next) -> None:
        consumer = self._consumers.get(request.role)
        if consumer is None:
            if len(self._consumers) >= self._max_consumers and not self._forget_one():
                self._refused += 1
                return
            consumer = self._consumers[request.role] = _Consumer()
        consumer.heard_s = self._now_s()
        if consumer.identity == identity and request.serial <= consumer.serial:
            return  # a repeated request; its answer is waiting or on its way
        consumer.slot.settle(request.acknowledges, done=request.outcome == "done")
        consumer.identity, consumer.serial, consumer.asking = identity, request.serial, True

    def _forget_one(self) -> bool:
        """Programs come and go, each under a role of its own: not for ever are all places taken."""
        long_ago = self._now_s() - _FORGOTTEN_S
        silent = {
            role: one.heard_s
            for role, one in self._consumers.items()
            if role not in (*self._roles, self._aside) and one.heard_s < long_ago
        }
        if not silent:
            return False
        del self._consumers[min(silent, key=silent.__getitem__)]
        return True

    def _answer(self) -> None:
        while True:
            with self._lock:
                pending = self._next_answer()
            if pending is None:
                return
            identity, message = pending
            parts = [identity, *encode(message)]
            try:
                # Small frames are cheaper to copy than to track.
                large = len(parts) > 3 and len(parts[3]) > 65536
                self._socket.send_multipart(parts, zmq.NOBLOCK, copy=not large)
            except zmq.Again:
                # The peer's queue is full: it went away without a word. Its frame
                # counts as dropped when its successor asks, or at the end.
                continue

    def _next_answer(self) -> tuple[bytes, Message] | None:
        for consumer in self._consumers.values():
            if not consumer.asking or consumer.identity is None:
                continue
            item = consumer.slot.item
            if item is not None:
                consumer.asking = False
                consumer.slot.take(_header(item).number)
                return consumer.identity, Message(consumer.serial, item)
            if self._ended is not None:
                consumer.asking = False
                return consumer.identity, Message(consumer.serial, End(reason=self._ended))
        return None


def _header(item: Frame | Restored) -> FrameHeader:
    return item.header if isinstance(item, Frame) else item.source.header
