"""Who may shake hands: the answering side of ZeroMQ's authentication protocol (ZAP, RFC 27).

A thread and two sockets. pyzmq's own `ThreadAuthenticator` does the same on an asyncio loop, and
that of Windows cannot wait for ZeroMQ's sockets without another library: its thread dies at the
first wait, and nobody is let in ever after.
"""

from __future__ import annotations

import contextlib
import logging
import threading
from collections.abc import Callable

import zmq
from zmq.utils import z85

from liverestore.errors import LiverestoreError

__all__ = ["ZapGate"]

log = logging.getLogger(__name__)

_ADDRESS = "inproc://zeromq.zap.01"
_VERSION = b"1.0"
_KEY_BYTES = 32


class ZapGate:
    """Answers every handshake of the sockets of `context` that have a `zap_domain`.

    Begin it before the first of them binds: without a gate every key would be let in.
    """

    def __init__(
        self, context: zmq.Context[zmq.Socket[bytes]], allowed: Callable[[bytes], bool]
    ) -> None:
        """`allowed` is asked, in the thread of the gate, about each public key (Z85)."""
        self._allowed = allowed
        # Bound here, so that no handshake comes before it; used by the thread alone from then on.
        self._asked: zmq.Socket[bytes] = context.socket(zmq.REP)
        self._asked.linger = 0
        self._asked.bind(_ADDRESS)
        end = f"inproc://gate-{id(self)}"
        self._end: zmq.Socket[bytes] = context.socket(zmq.PAIR)
        self._end.bind(end)
        self._ended: zmq.Socket[bytes] = context.socket(zmq.PAIR)
        self._ended.connect(end)
        self._thread = threading.Thread(target=self._serve, name="gate", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Answer no more."""
        with contextlib.suppress(zmq.Again):  # its thread has ended by itself
            self._end.send(b"", zmq.NOBLOCK)
        self._thread.join()
        self._end.close(linger=0)

    def _serve(self) -> None:
        poller = zmq.Poller()
        poller.register(self._asked, zmq.POLLIN)
        poller.register(self._ended, zmq.POLLIN)
        try:
            while True:
                ready = dict(poller.poll())
                if self._ended in ready:
                    return
                self._asked.send_multipart(self._answer(self._asked.recv_multipart()))
        finally:
            self._asked.close()
            self._ended.close(linger=0)

    def _answer(self, request: list[bytes]) -> list[bytes]:
        """Version, request, status, text, user and metadata, in the order of RFC 27."""
        # Version, request, domain, address, identity, mechanism, credentials.
        number = request[1] if len(request) > 1 else b""
        key = b""
        if len(request) == 7 and request[0] == _VERSION and request[5] == b"CURVE":
            key = request[6]
        try:
            if len(key) == _KEY_BYTES and self._allowed(name := z85.encode(key)):
                return [_VERSION, number, b"200", b"OK", name, b""]
        except LiverestoreError as error:
            log.warning("nobody is let in: %s", error)
        return [_VERSION, number, b"400", b"unknown key", b"", b""]
