"""What has come from one run and was not read yet, bounded."""

from __future__ import annotations

import threading
import time
from collections import deque

from liverestore.remote_wire import is_word
from liverestore.transport.engine_desk import Peer
from liverestore.wire import Buffer

__all__ = ["RunInbox"]

_MOST_IMAGES = 2
"""A run sends its next frame once it has the result of the last one; one more may cross it."""
_MOST_WORDS = 256

Got = tuple[Peer, list[Buffer]]


class RunInbox:
    """Filled by the thread that reads the socket, emptied by that of the run."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._got: deque[Got] = deque()
        self._images = 0

    def put(self, peer: Peer, parts: list[Buffer]) -> bool:
        """Keep a message; False where the run has sent more than it may."""
        image = not is_word(parts)
        with self._changed:
            words = len(self._got) - self._images
            if (self._images >= _MOST_IMAGES) if image else (words >= _MOST_WORDS):
                return False
            self._images += image
            self._got.append((peer, parts))
            self._changed.notify()
        return True

    def get(self, timeout_s: float) -> Got | None:
        """The oldest message; None when none came within `timeout_s`."""
        deadline = time.monotonic() + timeout_s
        with self._changed:
            while not self._got:
                left = deadline - time.monotonic()
                if left <= 0:
                    return None
                self._changed.wait(left)
            peer, parts = self._got.popleft()
            self._images -= not is_word(parts)
        return peer, parts
