"""The control channel: a hub at the supervisor, a link at each process of the run."""

from __future__ import annotations

from dataclasses import dataclass

import msgspec
import zmq

from liverestore.status import Notice, Word
from liverestore.transport.endpoint import Endpoint
from liverestore.wire import UNREADABLE

__all__ = ["ControlHub", "ControlLink", "Unread"]

_DECODER: msgspec.json.Decoder[Word] = msgspec.json.Decoder(Word)
_MAX_BYTES = 1 << 20
_MOST_SAID = 200
"""Characters of what is wrong with an order."""
_AT_ONCE = 1000
"""Messages that one `receive` reads, so that a flood of them holds nothing else up."""


@dataclass(frozen=True, slots=True)
class Unread:
    """JSON that is no word: a number out of its bounds, or what another version says."""

    why: str
    """In one line of at most 200 characters."""


def _short(error: Exception) -> str:
    return " ".join(str(error).split())[:_MOST_SAID]


class ControlHub:
    """Binds `endpoint`; knows its processes by name; used from one thread."""

    def __init__(self, endpoint: Endpoint) -> None:
        self._context = zmq.Context()
        self._socket: zmq.Socket[bytes] = self._context.socket(zmq.ROUTER)
        self._socket.linger = 200
        self._socket.maxmsgsize = _MAX_BYTES
        # A process that was started again takes over the name of the one that died.
        self._socket.router_handover = True
        endpoint.bind(self._socket)

    def receive(self, timeout_s: float) -> list[tuple[str, Word | Unread]]:
        """The words that came, 1000 at most, each with its sender's name; waits for the first."""
        words: list[tuple[str, Word | Unread]] = []
        wait_ms = max(0, round(timeout_s * 1000))
        for turn in range(_AT_ONCE):
            if not self._socket.poll(0 if turn else wait_ms):
                break
            parts = self._socket.recv_multipart()
            if len(parts) != 2:
                continue
            try:
                words.append((parts[0].decode(), _DECODER.decode(parts[1])))
            except msgspec.ValidationError as error:
                words.append((parts[0].decode(errors="replace"), Unread(_short(error))))
            except UNREADABLE:
                continue  # not one of ours; the channel itself is private
        return words

    def send(self, name: str, word: Word) -> None:
        """Tell one process; a process that is not there hears nothing."""
        self._socket.send_multipart([name.encode(), msgspec.json.encode(word)])

    def close(self) -> None:
        """Close, giving last words a moment to leave."""
        self._socket.close()
        self._context.term()


class ControlLink:
    """A process's end; used from one thread."""

    def __init__(self, endpoint: Endpoint, name: str) -> None:
        self._context = zmq.Context()
        self._socket: zmq.Socket[bytes] = self._context.socket(zmq.DEALER)
        self._socket.linger = 500
        self._socket.identity = name.encode()
        self._socket.maxmsgsize = _MAX_BYTES
        endpoint.connect(self._socket)
        self._name = name
        self.refused = 0
        """Words that were not understood, and were left out."""

    @property
    def socket(self) -> zmq.Socket[bytes]:
        """Readable where `receive` has words."""
        return self._socket

    def receive(self, timeout_s: float) -> list[Word]:
        """The words that came, 1000 at most; waits for the first."""
        words: list[Word] = []
        wait_ms = max(0, round(timeout_s * 1000))
        for turn in range(_AT_ONCE):
            if not self._socket.poll(0 if turn else wait_ms):
                break
            try:
                words.append(_DECODER.decode(self._socket.recv()))
            except UNREADABLE as error:
                self._refuse(error)
        return words

    def _refuse(self, error: Exception) -> None:
        """Say once that the supervisor speaks another version; what is understood is obeyed."""
        self.refused += 1
        if self.refused == 1:
            line = f"{self._name}: a word of the run is not understood ({_short(error)})"
            self.send(Notice(text=f"{line}; end the run and start it again"))

    def send(self, word: Word) -> None:
        """Tell the supervisor; never blocks. Without a supervisor nobody hears it."""
        try:
            self._socket.send(msgspec.json.encode(word), zmq.NOBLOCK)
        except zmq.Again:
            return

    def close(self) -> None:
        """Close, giving last words a moment to leave."""
        self._socket.close()
        self._context.term()
