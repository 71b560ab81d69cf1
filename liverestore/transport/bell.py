"""Wakes a thread that waits on sockets."""

from __future__ import annotations

import threading

import zmq

__all__ = ["Bell"]


class Bell:
    """Rung from any thread; the one that waits has `socket` among those that it waits for."""

    def __init__(self) -> None:
        self._context = zmq.Context()
        self.socket: zmq.Socket[bytes] = self._context.socket(zmq.PAIR)
        """Readable from `ring` to `clear`."""
        self._far: zmq.Socket[bytes] = self._context.socket(zmq.PAIR)
        self.socket.bind("inproc://bell")
        self._far.connect("inproc://bell")
        self._lock = threading.Lock()
        self._rung = False

    def ring(self) -> None:
        """Wake the thread that waits; nothing more where it has been rung already."""
        with self._lock:
            if not self._rung and not self._far.closed:
                self._rung = True
                self._far.send(b"")

    def clear(self) -> None:
        """Wait for the next `ring`; called by the thread that waits."""
        with self._lock:
            if self._rung:
                self.socket.recv()
                self._rung = False

    def close(self) -> None:
        """Let go of the sockets; called by the thread that waits."""
        with self._lock:
            self._far.close(linger=0)
        self.socket.close(linger=0)
        self._context.term()
