"""Asks an outlet for the newest frame, one at a time."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Literal, Protocol

import zmq

from liverestore.frame import Frame, Restored
from liverestore.transport.endpoint import Endpoint
from liverestore.wire import MAX_IMAGE_BYTES, End, Next, WireError, decode, encode

__all__ = ["HasSocket", "Inlet"]

_RETRY_S = 1.0


class HasSocket(Protocol):
    """Something to wait for."""

    @property
    def socket(self) -> zmq.Socket[bytes]:
        """Readable when there is something to do."""
        ...


class Inlet:
    """The consumer's end of a frame link; used from one thread.

    A frame that `receive` gave is acknowledged by the next call of `receive`, or as
    failed by `fail`. The outlet may come and go: an unanswered request is repeated.
    """

    def __init__(self, endpoint: Endpoint, role: str, *, beside: Sequence[HasSocket] = ()) -> None:
        """`receive` ends early as soon as one of `beside` has something to read."""
        self._role = role
        self._context = zmq.Context()
        self._socket: zmq.Socket[bytes] = self._context.socket(zmq.DEALER)
        self._socket.linger = 0
        self._socket.maxmsgsize = MAX_IMAGE_BYTES
        endpoint.connect(self._socket)
        self._poller = zmq.Poller()
        for socket in (self._socket, *(other.socket for other in beside)):
            self._poller.register(socket, zmq.POLLIN)
        self._serial = 0
        self._asked_at: float | None = None
        self._received: int | None = None
        self._outcome: Literal["done", "failed"] = "done"
        self.refused = 0
        """Messages that were not understood, and were left out."""
        self.refusal: str | None = None
        """Why the first of them was not."""
        self._deaf: tuple[float, float] | None = None
        """Times of the first and of the last message since one was understood."""

    @property
    def socket(self) -> zmq.Socket[bytes]:
        """Readable where `receive` has something to look at."""
        return self._socket

    def receive(self, timeout_s: float, *, ask: bool = True) -> Frame | Restored | End | None:
        """The newest frame, `End`, or None when none came within `timeout_s`.

        Pixels are read-only and belong to the receiver. Without `ask` no other frame is asked
        for: only what was asked for before can come, and what stands `beside` is waited for.
        """
        deadline = time.monotonic() + timeout_s
        if ask:
            self._ask()
        first = True
        while True:
            left = deadline - time.monotonic()
            if left < 0 and not first:
                return None  # a flood of what is not for us has no end
            first = False
            if self._socket not in dict(self._poller.poll(max(0, round(left * 1000)))):
                self._repeat_if_lost()
                return None
            parts = self._socket.recv_multipart(copy=False)
            try:
                message = decode([part.buffer for part in parts])
            except WireError as error:
                self._refuse(error)
                # The sender takes it for answered; asking anew counts it as dropped there.
                self._asked_at = None
                self._ask()
                continue
            self._deaf = None
            if isinstance(message, Next) or message.serial != self._serial:
                continue
            self._asked_at = None
            body = message.body
            if isinstance(body, Frame):
                self._received = body.header.number
            elif isinstance(body, Restored):
                self._received = body.source.header.number
            return body

    @property
    def deaf_s(self) -> float:
        """For how long all that has come was not understood; 0: the last message was."""
        return 0.0 if self._deaf is None else self._deaf[1] - self._deaf[0]

    def _refuse(self, error: WireError) -> None:
        self.refused += 1
        self.refusal = self.refusal or str(error)
        now = time.monotonic()
        self._deaf = (now if self._deaf is None else self._deaf[0], now)

    def fail(self) -> None:
        """The frame received last could not be used; it counts as dropped."""
        self._outcome = "failed"

    def acknowledge(self) -> None:
        """Settle the frame received last now, and ask for the next one."""
        self._ask()

    def close(self) -> None:
        """Close; a frame that was not acknowledged counts as dropped at the outlet."""
        # The last acknowledgement is given a moment to leave.
        self._socket.close(linger=200)
        self._context.term()

    def _ask(self) -> None:
        if self._asked_at is not None:
            return
        self._serial += 1
        self._send(self._received, self._outcome)
        self._last_ack = (self._received, self._outcome)
        self._received, self._outcome = None, "done"

    def _repeat_if_lost(self) -> None:
        # An outlet that was started again knows nothing of our request.
        if self._asked_at is not None and time.monotonic() - self._asked_at > _RETRY_S:
            self._send(*self._last_ack)

    def _send(self, number: int | None, outcome: Literal["done", "failed"]) -> None:
        request = Next(role=self._role, serial=self._serial, acknowledges=number, outcome=outcome)
        self._asked_at = time.monotonic()
        try:
            self._socket.send_multipart(encode(request), zmq.NOBLOCK)
        except zmq.Again:
            return  # nobody listens yet; repeated later
