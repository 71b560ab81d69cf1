"""Starts the processes of a run, keeps them going, and ends them in order."""

from __future__ import annotations

import contextlib
import dataclasses
import math
import signal
import time
from collections.abc import Callable, Mapping
from multiprocessing.process import BaseProcess
from pathlib import Path
from types import FrameType

from liverestore.service.ending_signals import ending_signals, let_go_of_terminal
from liverestore.service.other_version import other_version
from liverestore.service.plan import RunPlan
from liverestore.service.restarts import MOST_RESTARTS, Restarts
from liverestore.service.result import RunResult
from liverestore.service.routing import FOR_CAPTURE, FOR_ENGINE
from liverestore.service.run_book import RunBook
from liverestore.service.silence import Silences
from liverestore.service.spawn import Target, spawn
from liverestore.status import Failed, Go, Hello, RunState, RunStatus, Stop, TrustSeen, Word
from liverestore.transport.control import ControlHub, Unread

__all__ = ["Supervisor"]

_STATUS_EVERY_S = 0.2
_GRACE_S = 1.8
"""Ctrl-C to the last process gone takes at most this and a little, unless frames still
wait for a slow disk."""
_SAME_INTERRUPT_S = 0.5
_SILENCE_S = 2.0
"""A capture process that is still writing says so more often than this."""


class Supervisor:
    """Runs `targets` ("capture", "engine" and perhaps "view") as spawned processes.

    The capture process decides: when it ends, the run ends. The engine and the view
    are started again when they die; capture and the raw file do not notice. A view
    that the user closes ends the run only when nothing is being recorded. With
    `view_outlives_run` the window stays open after the last frame until it is closed.
    """

    def __init__(
        self,
        plan: RunPlan,
        targets: Mapping[str, Target],
        *,
        on_status: Callable[[RunStatus], None] = lambda _status: None,
        engine_patience_s: float = 0.0,
        view_outlives_run: bool = False,
    ) -> None:
        self._targets = targets
        self._on_status = on_status
        self._patience_s = engine_patience_s
        self._view_outlives_run = view_outlives_run
        self._processes: dict[str, BaseProcess] = {}
        self._restarts = Restarts()
        self._greeted: set[str] = set()
        self._understood: set[str] = set()
        """Processes that have said more than that they are there."""
        self._restart_at: dict[str, float] = {}
        self._shut_out: set[str] = set()
        """Processes of another version of liverestore; they are heard no more."""
        self._hub = ControlHub(plan.endpoints.control)
        self._book = RunBook(plan)
        self._silences = Silences(plan, self._book.note)
        self._saving = self._book.saving
        self._trust = self._book.trust_level
        self._watched = "view" in targets
        """A person sees what happens; not so any more once the window was closed."""
        self._state: RunState = "starting"
        self._went = False
        self._interrupts = 0
        self._interrupted_at = -math.inf
        self._stopping_since: float | None = None

    def run(self) -> RunResult:
        """Block until the run has ended; `ending_signals` end it in order."""
        old = {number: signal.getsignal(number) for number in ending_signals()}

        def on_signal(number: int, _frame: FrameType | None) -> None:
            let_go_of_terminal(number)
            # One Ctrl-C may arrive twice, from the terminal and from a parent.
            if time.monotonic() - self._interrupted_at > _SAME_INTERRUPT_S:
                self._interrupts += 1
                self._interrupted_at = time.monotonic()

        for number in old:
            signal.signal(number, on_signal)
        try:
            for name in self._targets:
                self._start(name)
            self._attend()
        finally:
            self._end_all()
            self._hub.close()
            for number, handler in old.items():
                signal.signal(number, handler)
        return self._book.result(interrupted=self._interrupts > 0)

    def pids(self) -> dict[str, int]:
        """Process ids of the processes that live, by name."""
        return {n: p.pid for n, p in self._processes.items() if p.is_alive() and p.pid is not None}

    # -- the loop ---------------------------------------------------------------------

    def _attend(self) -> None:
        started = time.monotonic()
        next_status = 0.0
        while True:
            for name, word in self._hub.receive(0.02):
                self._hear(name, word)
            now = time.monotonic()
            if self._interrupts:
                self._stop_all(now)
            self._say_go(now - started)
            self._end_silent(now)
            self._look_after("engine", now)
            self._look_after("view", now)
            self._end_unwatched(now)
            if now >= next_status:
                next_status = now + _STATUS_EVERY_S
                self._publish()
            if self._over(now):
                return

    def _over(self, now: float) -> bool:
        if self._stopping_since is not None:
            alive = {name for name, p in self._processes.items() if p.is_alive()}
            if alive and now - self._stopping_since <= _GRACE_S:
                return False
            return "capture" not in alive or not self._still_writes(now)
        if self._processes["capture"].is_alive():
            return False
        # Whatever capture had to say has arrived, or never will.
        self._drain()
        book = self._book
        last = book.last_words.get("capture")
        code = self._processes["capture"].exitcode
        if last is not None:
            book.failure = (last.text, last.exit_code)
            book.note(last.text)
        elif code != 0:
            book.capture_died(code)
            self._publish()
        self._state = "failed" if book.failure else "stopped"
        view = self._processes.get("view")
        # Without a single frame there is nothing to look at, and the reason belongs on
        # the terminal.
        shows = book.failure is None or book.capture.captured > 0
        if self._view_outlives_run and shows and view is not None and view.is_alive():
            self._stop("engine")
            self._publish()
            return False  # the person goes on looking at the last frame
        self._stop_all(now)
        return False

    def _still_writes(self, now: float) -> bool:
        """Frames that wait for the disk are waited for; a second Ctrl-C gives them up."""
        if self._interrupts > 1 or now - self._book.capture_heard_s > _SILENCE_S:
            return False
        self._book.note("writing the last frames to the disk - Ctrl-C again gives them up")
        return True

    def _say_go(self, waited_s: float) -> None:
        if self._went or not self._book.capture_ready:
            return
        engine = self._book.engine
        engine_ready = engine is not None and engine.ready
        if engine_ready or waited_s > self._patience_s:
            self._hub.send("capture", Go())
            self._went = True
            self._state = "running"

    def _hear(self, name: str, word: Word | Unread) -> None:
        if name in self._shut_out:
            return
        self._silences.heard(name)
        # The window hands on what a person gives in: a number out of its bounds is an order. Who
        # was understood before is of this version: one report is not worth the run.
        orders = name not in self._targets or (name == "view" and name in self._greeted)
        if isinstance(word, Unread) and (orders or name in self._understood):
            what = "an order was not obeyed" if orders else f"a report of {name} is not understood"
            self._book.note(f"{what}: {word.why}; see docs/wire-format.md")
            return
        other = other_version(name, word) if name in self._targets else None
        if other is not None:
            self._shut_out_for(name, other)
            return
        assert not isinstance(word, Unread), "a process whose words are not known is shut out"
        self._book.hear(name, word)
        (self._greeted if isinstance(word, Hello) else self._understood).add(name)
        if isinstance(word, Hello) and name == "engine":
            self._hub.send("engine", self._saving)
        if self._book.trust_level != self._trust:
            self._trust = self._book.trust_level
            self._hub.send("capture", TrustSeen(level=self._trust))
        if isinstance(word, FOR_CAPTURE):
            self._hub.send("capture", word)
        if isinstance(word, FOR_ENGINE):
            self._hub.send("engine", word)
        if self._book.saving != self._saving:
            self._saving = self._book.saving
            self._hub.send("engine", self._saving)

    # -- processes --------------------------------------------------------------------

    def _start(self, name: str) -> None:
        self._greeted.discard(name)
        self._understood.discard(name)
        plan = dataclasses.replace(
            self._book.plan,
            restored_path=Path(self._saving.path) if self._saving.path else None,
        )
        self._processes[name] = spawn(name, self._targets[name], plan)

    def _look_after(self, name: str, now: float) -> None:
        process = self._processes.get(name)
        if process is None or process.is_alive() or self._stopping_since is not None:
            return
        if name in self._shut_out:
            return
        if name in self._restart_at:
            if now >= self._restart_at[name]:
                del self._restart_at[name]
                self._book.last_words.pop(name, None)
                self._start(name)
            return
        if self._state in ("stopped", "failed"):
            if name == "view":
                self._stop_all(now)
            return
        if process.exitcode == 0:
            if name == "view":
                self._view_closed()
            return
        self._drain()
        self._plan_restart(name, process.exitcode, now)

    def _view_closed(self) -> None:
        del self._processes["view"]
        self._watched = False
        capture = self._book.capture
        if capture.recording is not None and capture.live:
            self._book.note(
                f"view closed; recording goes on to {capture.recording} - Ctrl-C ends it"
            )

    def _end_unwatched(self, now: float) -> None:
        """Without a window and without a recording that grows, light is spent for nothing."""
        capture = self._book.capture
        closed = "view" in self._targets and not self._watched
        if closed and (capture.recording is None or not capture.live):
            self._stop_all(now)

    def _plan_restart(self, name: str, code: int | None, now: float) -> None:
        last = self._book.last_words.get(name)
        if last is not None and last.exit_code == 2 and not self._went:
            # The user's mistake does not go away by itself.
            self._book.failure = (last.text, 2)
            self._stop_all(now)
            return
        why = last.text if last is not None else f"{name} died (exit code {code})"
        if name == "engine":
            self._book.engine = None
        again_at = self._restarts.after_death(name, now)
        if again_at is None:
            del self._processes[name]
            # Without a window nobody sees a sample that is lit and not recorded.
            self._watched = self._watched and name != "view"
            goes_on = name != "view" or self._book.capture.recording is not None
            end = "raw frames go on" if goes_on else "nothing is recorded, and the run ends"
            self._book.note(f"{why}; given up after {MOST_RESTARTS} restarts; {end}")
            return
        self._restart_at[name] = again_at
        self._book.note(f"{why}; started again, capture goes on")

    def _shut_out_for(self, name: str, line: str) -> None:
        """Hear process `name` no more, for the reason that `line` tells."""
        self._shut_out.add(name)
        if name == "capture" or not self._went:
            self._book.failure = (f"{line}; start the run again", 1)
            self._stop_all(time.monotonic())
            return
        self._book.note(f"{line}; raw frames go on without it; start the run again to have it")
        if name in self._processes:
            self._processes[name].terminate()
        self._watched = self._watched and name != "view"

    def _end_silent(self, now: float) -> None:
        if self._stopping_since is not None or self._state in ("stopped", "failed"):
            return
        living = set(self.pids()) - self._shut_out
        if self._book.engine is None:
            living.discard("engine")  # it loads
        for name, last in self._silences.look(now, living).items():
            self._book.last_words[name] = Failed(text=last, exit_code=1)
            self._processes[name].kill()

    def _stop(self, name: str) -> None:
        process = self._processes.get(name)
        if process is not None and process.is_alive():
            self._hub.send(name, Stop())

    def _stop_all(self, now: float) -> None:
        if self._stopping_since is None:
            self._stopping_since = now
            if self._state == "running":
                self._state = "stopped"
            for name, process in self._processes.items():
                if name in self._greeted:
                    self._stop(name)
                else:
                    process.terminate()  # still loading its libraries; nothing to close

    def _end_all(self) -> None:
        self._drain()
        for end in (BaseProcess.terminate, BaseProcess.kill):
            alive = [p for p in self._processes.values() if p.is_alive()]
            for process in alive:
                end(process)
            for process in alive:
                process.join(0.5)
        for process in self._processes.values():
            process.join()

    def _drain(self) -> None:
        for name, word in self._hub.receive(0.05):
            self._hear(name, word)

    # -- what is told -----------------------------------------------------------------

    def _publish(self) -> None:
        status = self.status()
        view = self._processes.get("view")
        if view is not None and view.is_alive():
            self._hub.send("view", status)
        with contextlib.suppress(OSError):  # a terminal that was closed a moment ago
            self._on_status(status)

    def status(self) -> RunStatus:
        """The run at this moment, merged from its processes."""
        return self._book.status(self._state)
