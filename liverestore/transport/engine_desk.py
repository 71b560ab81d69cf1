"""The two ends of the connection between a run and an engine on another machine.

TCP, always behind CURVE: the desk answers no handshake but those of machines that it knows, so
that a stranger's bytes never reach the decoder. ZeroMQ's own heartbeats tell within seconds that
the other side is gone, also while it computes.
"""

from __future__ import annotations

import queue
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import zmq
from zmq.utils.monitor import recv_monitor_message

from liverestore.errors import Failure, UserError
from liverestore.transport.bell import Bell
from liverestore.transport.inlet import HasSocket
from liverestore.transport.machine_keys import MachineKey, PublicKey
from liverestore.transport.zap_gate import ZapGate
from liverestore.wire import MAX_IMAGE_BYTES, Buffer

__all__ = ["LOST_AFTER_S", "EngineDesk", "EngineLine", "Peer", "check_address"]

LOST_AFTER_S = 3.0
"""So long nothing may come from the other machine before the connection counts as lost."""
_BEAT_MS = 1000
_QUEUE = 16
_DOMAIN = b"liverestore"

Event = Literal["up", "down", "unknown key"]


@dataclass(frozen=True, slots=True)
class Peer:
    """One connection of an authorised machine."""

    identity: bytes
    key: str
    """Its public key (Z85)."""


_Post = tuple[Peer, Sequence[Buffer], Callable[[], object]]


def check_address(address: str) -> str:
    """`address` if it is tcp://HOST:PORT. Raises `UserError` otherwise."""
    scheme, _, rest = address.partition("://")
    host, _, port = rest.rpartition(":")
    if scheme != "tcp" or not host or not port.isdigit() or not 0 < int(port) < 65536:
        raise UserError(
            f"address: got {address!r}; allowed is tcp://HOST:PORT, for example "
            "tcp://gpu-server:5571"
        )
    return address


def _prepare(sock: zmq.Socket[bytes]) -> None:
    sock.linger = 0
    sock.maxmsgsize = MAX_IMAGE_BYTES
    sock.sndhwm = sock.rcvhwm = _QUEUE
    sock.heartbeat_ivl = _BEAT_MS
    sock.heartbeat_timeout = round(LOST_AFTER_S * 1000)
    sock.handshake_ivl = 5000


class EngineDesk:
    """The engine machine's end; used from one thread, but for `post`."""

    def __init__(self, address: str, own: MachineKey, allowed: Callable[[bytes], bool]) -> None:
        """Bind `address`; `allowed` is asked, in another thread, about each key (Z85).

        Raises `Failure` when the address is taken.
        """
        self._context = zmq.Context()
        # Before the socket: without it every key would be let in.
        self._gate = ZapGate(self._context, allowed)
        self._socket: zmq.Socket[bytes] = self._context.socket(zmq.ROUTER)
        _prepare(self._socket)
        self._socket.router_mandatory = True
        self._socket.zap_domain = _DOMAIN
        self._socket.curve_server = True
        self._socket.curve_secretkey = own.secret
        self._bell = Bell()
        self._posts: queue.SimpleQueue[_Post] = queue.SimpleQueue()
        self._poller = zmq.Poller()
        for socket in (self._socket, self._bell.socket):
            self._poller.register(socket, zmq.POLLIN)
        try:
            self._socket.bind(address)
        except zmq.ZMQError as error:
            self.close()
            raise Failure(f"cannot open {address}: {error.strerror}") from error

    def receive(self, timeout_s: float) -> tuple[Peer, list[Buffer]] | None:
        """The next message and who sent it; None when none came within `timeout_s`.

        Sends what was posted meanwhile.
        """
        deadline = time.monotonic() + timeout_s
        while True:
            left = max(0.0, deadline - time.monotonic())
            ready = dict(self._poller.poll(round(left * 1000)))
            self._bell.clear()
            self._flush()
            if self._socket in ready:
                break
            if left <= 0:
                return None
        first, *parts = self._socket.recv_multipart(copy=False)
        key = str(first.get("User-Id"))
        return Peer(first.bytes, key), [part.buffer for part in parts]

    def send(self, peer: Peer, parts: Sequence[Buffer]) -> bool:
        """Send to `peer`; False where it is gone or takes nothing more. Never blocks."""
        try:
            self._socket.send_multipart([peer.identity, *parts], zmq.NOBLOCK, copy=False)
        except zmq.ZMQError as error:
            if error.errno in (zmq.EAGAIN, zmq.EHOSTUNREACH):
                return False
            raise
        return True

    def post(
        self, peer: Peer, parts: Sequence[Buffer], lost: Callable[[], object] = lambda: None
    ) -> None:
        """Have it sent by the thread that receives; from any thread.

        That thread calls `lost` where `peer` is gone or takes nothing more.
        """
        self._posts.put((peer, parts, lost))
        self._bell.ring()

    def _flush(self) -> None:
        while not self._posts.empty():
            peer, parts, lost = self._posts.get()
            if not self.send(peer, parts):
                lost()

    def close(self) -> None:
        """Close, giving last words a moment to leave."""
        self._flush()
        self._bell.close()
        self._socket.close(linger=200)
        self._gate.close()
        self._context.term()


class EngineLine:
    """The run's end: connects, and connects again by itself; used from one thread."""

    def __init__(
        self, address: str, own: MachineKey, server: PublicKey, *, beside: Sequence[HasSocket] = ()
    ) -> None:
        """`wait` ends early as soon as one of `beside` has something to read."""
        self._address = address
        self._context = zmq.Context()
        sock: zmq.Socket[bytes] = self._context.socket(zmq.DEALER)
        _prepare(sock)
        # What is sent while nobody is there would arrive late; it is not taken at all.
        sock.immediate = True
        sock.reconnect_ivl, sock.reconnect_ivl_max = 200, 1000
        sock.connect_timeout = 2000
        sock.curve_publickey, sock.curve_secretkey = own.public.z85, own.secret
        sock.curve_serverkey = server.z85
        self._monitor = sock.get_monitor_socket(
            zmq.EVENT_HANDSHAKE_SUCCEEDED | zmq.EVENT_HANDSHAKE_FAILED_AUTH | zmq.EVENT_DISCONNECTED
        )
        self._socket = sock
        self._poller = zmq.Poller()
        for socket in (sock, self._monitor, *(other.socket for other in beside)):
            self._poller.register(socket, zmq.POLLIN)
        sock.connect(address)

    @property
    def socket(self) -> zmq.Socket[bytes]:
        """Readable where `receive` has something."""
        return self._socket

    def wait(self, timeout_s: float) -> None:
        """Until something is to be read, here or beside."""
        self._poller.poll(max(0, round(timeout_s * 1000)))

    def events(self) -> list[Event]:
        """What became of the connection since the last call, in order."""
        found: list[Event] = []
        while self._monitor.poll(0):
            event = recv_monitor_message(self._monitor)["event"]
            if event == zmq.EVENT_HANDSHAKE_SUCCEEDED:
                found.append("up")
            elif event == zmq.EVENT_HANDSHAKE_FAILED_AUTH:
                found.append("unknown key")
            else:
                found.append("down")
        return found

    def receive(self) -> tuple[list[Buffer], int] | None:
        """A message and `time.perf_counter_ns()` of now; None where there is none."""
        if not self._socket.poll(0):
            return None
        parts = self._socket.recv_multipart(copy=False)
        return [part.buffer for part in parts], time.perf_counter_ns()

    def send(self, parts: Sequence[Buffer]) -> bool:
        """Send; False where nobody is there to take it. Never blocks."""
        try:
            self._socket.send_multipart(list(parts), zmq.NOBLOCK, copy=False)
        except zmq.Again:
            return False
        return True

    def again(self) -> None:
        """Give the connection up and make another."""
        self._socket.disconnect(self._address)
        self._socket.connect(self._address)

    def close(self) -> None:
        """Close, giving last words a moment to leave."""
        self._socket.disable_monitor()
        self._monitor.close(linger=0)
        self._socket.close(linger=200)
        self._context.term()
