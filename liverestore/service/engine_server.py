"""Restores the frames of several runs of other machines, which share one engine machine."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable

from liverestore.remote_wire import Bye, Open, Refused, decode_word, encode_word, is_word
from liverestore.service.fair_turn import FairTurn
from liverestore.service.served_run import ServedRun
from liverestore.status import Failed
from liverestore.transport.engine_desk import EngineDesk, Peer
from liverestore.wire import Buffer, WireError, check_mark

__all__ = ["EngineServer"]

_SWITCH_INTERVAL_S = 0.0005


class EngineServer:
    """Serves authorised runs at `desk` until `stop` is set.

    Each run has engines of its own, so that one cannot change another's, and computes in its turn
    (`FairTurn`). One that loses its connection and comes back within 10 s finds them as they were.
    """

    def __init__(
        self,
        desk: EngineDesk,
        *,
        threads: int | None = None,
        runs: int = 4,
        tell: Callable[[str], None] = lambda _line: None,
        who: Callable[[str], str] = lambda key: f"key {key}",
        stop: threading.Event | None = None,
    ) -> None:
        """`threads`: of the processor at most; `runs`: at the same time at most, as each takes
        memory; `tell` gets a line, from any thread, when a run comes or goes, which begins with
        the name that `who` gives of its machine's key (Z85).
        """
        self._desk = desk
        self._threads = threads
        self._most = runs
        self._tell = tell
        self._who = who
        self._stop = stop or threading.Event()
        self._turn = FairTurn()
        self._runs: dict[Peer, ServedRun] = {}
        self._misheard: set[str] = set()
        """Keys of machines that said what is not understood."""

    def run(self) -> None:
        """Block until `stop` is set."""
        # As in `service.engine`: loading an engine is not to hold up the one that restores.
        sys.setswitchinterval(_SWITCH_INTERVAL_S)
        try:
            while not self._stop.is_set():
                got = self._desk.receive(0.2)
                self._let_go()
                if got is not None:
                    self._hear(*got)
        finally:
            self._stop.set()
            for run in self._runs.values():
                run.join()

    def _let_go(self) -> None:
        """Of runs that have ended. What came too late for one may begin the next."""
        for peer, run in [pair for pair in self._runs.items() if not pair[1].running]:
            del self._runs[peer]
            while (got := run.inbox.get(0)) is not None:
                self._hear(*got)

    def _hear(self, peer: Peer, parts: list[Buffer]) -> None:
        run = self._runs.get(peer)
        if run is not None:
            if not run.inbox.put(peer, parts):
                self._refuse(peer, "more came than was asked for")
            return
        try:
            check_mark(parts)
            if not is_word(parts):
                self._refuse(peer, "no run is open here")
                return
            word = decode_word(parts)
        except WireError as error:
            self._desk.send(peer, encode_word(Failed(text=str(error), exit_code=2)))
            if peer.key not in self._misheard:
                # Once for each machine: whoever looks at the server sees why it gets nothing.
                self._misheard.add(peer.key)
                self._tell(f"{self._who(peer.key)}: not understood: {error}")
            return
        if isinstance(word, Open):
            self._open(peer, word, parts)
        elif not isinstance(word, Bye):
            self._refuse(peer, "no run is open here")

    def _open(self, peer: Peer, word: Open, parts: list[Buffer]) -> None:
        for old, run in self._runs.items():
            # Only the machine that began it knows the word, and its key is looked at as well.
            if run.opened.session == word.session and run.key == peer.key:
                del self._runs[old]
                self._runs[peer] = run
                run.inbox.put(peer, parts)
                return
        if len(self._runs) >= self._most:
            names = ", ".join(sorted(repr(run.opened.rig.name) for run in self._runs.values()))
            who = "another run uses" if self._most == 1 else f"{self._most} other runs use"
            self._refuse(peer, f"{who} the engine (rig {names})")
            return
        machine = self._who(peer.key)
        self._runs[peer] = ServedRun(
            self._desk,
            peer,
            word,
            parts[2] if len(parts) == 3 else b"",
            self._turn,
            self._stop,
            lambda line: self._tell(f"{machine}: {line}"),
            self._threads,
        )

    def _refuse(self, peer: Peer, reason: str) -> None:
        self._desk.send(peer, encode_word(Refused(reason=reason)))
