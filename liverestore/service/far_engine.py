"""Frames of a run to the engine of another machine, and its results back."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable

import msgspec

from liverestore.errors import Failure, UserError
from liverestore.frame import Frame, Restored
from liverestore.meters import AgeMeter, RateMeter
from liverestore.remote_wire import (
    Bye,
    LinkWord,
    NotRestored,
    Opened,
    Ping,
    Refused,
    decode_result,
    decode_word,
    encode_word,
    is_word,
    stack_follows,
)
from liverestore.rig_server import is_text_surface
from liverestore.service.far_wanted import Order, in_use, opening, ordered
from liverestore.service.plan import RunPlan
from liverestore.service.restored_files import RestoredFiles
from liverestore.status import EngineReport, Failed, Notice, SetDpm, SetLive, SetTrustMap, Word
from liverestore.transport.engine_desk import EngineLine
from liverestore.transport.inlet import Inlet
from liverestore.transport.outlet import Outlet
from liverestore.wire import Buffer, End, Message, WireError, encode

__all__ = ["FarEngine"]

_PING_EVERY_S = 1.0
_PATIENCE_S = 60.0
"""For a word of a server that is connected; loading an engine takes less."""
_ANSWER_S = 120.0
"""For the answer to a frame, where the server says other things meanwhile."""


class FarEngine:
    """Hands frames to the engine at the end of `line` and its results to `outlet`.

    All times are of this machine's clock (see `remote_wire.decode_result`). Used from one thread.
    """

    def __init__(
        self,
        inlet: Inlet,
        outlet: Outlet,
        line: EngineLine,
        plan: RunPlan,
        *,
        tell: Callable[[Word], None],
        files: RestoredFiles | None = None,
    ) -> None:
        """Raises `UserError` for a plan with a surface or maps that cannot travel."""
        assert plan.engine_server is not None
        self._inlet, self._outlet, self._line = inlet, outlet, line
        self._tell = tell
        self._files = files
        self._where = f"{plan.engine_server.key.name} ({plan.engine_server.address})"
        self._machine = plan.engine_server.key.name
        self._wanted, self._maps = opening(plan)
        self._live = True
        self._trust_map = SetTrustMap(kind=None)
        self._up = self._opened = False
        self._ever_up = False
        self._flying: Frame | None = None
        """Sent, and not answered yet."""
        self._first: Restored | None = None
        """Its picture, where that came and its stack did not yet."""
        self._kept: dict[str | None, Frame] = {}
        """The last frame of each channel that has a result; it may be restored again."""
        self._heard_s = self._down_s = time.monotonic()
        self._next_ping_s = self._open_at_s = self._sent_s = 0.0
        self._report = EngineReport(engine=plan.engine, runtime="")
        self._restored = self._failed = 0
        self._rate = RateMeter()
        self._waits, self._ages = AgeMeter(), AgeMeter()
        self._said: str | None = None

    def engine_of(self, channel: str | None) -> str:
        """Name of the engine that restores `channel`."""
        return self._report.engines.get(channel or "", self._report.engine)

    def step(self, timeout_s: float) -> bool:
        """One frame to the engine, or news from it; False after the last frame of the run.

        Raises `UserError` where the engine's machine does not know this one's key, or cannot do
        what the run begins with, and `Failure` where the engine there failed.
        """
        self._attend(time.monotonic())
        if self._flying is not None:
            self._line.wait(timeout_s)
            return True
        if self._opened:
            body = self._inlet.receive(timeout_s)
            if isinstance(body, Frame):
                self._send(body)
        else:
            # The newest is taken and let go: the account goes on, and the end is heard.
            body = self._inlet.receive(0)
            if isinstance(body, Frame):
                self._inlet.fail()
            if not isinstance(body, End):
                self._line.wait(timeout_s)
        return not isinstance(body, End)

    def order(self, word: Word) -> None:
        """Hand on what the run asks of its engine; told again after a lost connection."""
        if isinstance(word, SetDpm) and word.spec is not None and not is_text_surface(word.spec):
            line = "a surface that is a file does not travel to an engine on another machine"
            self._tell(Notice(text=f"not refocused: {line}; give it as text"))
            return
        if not isinstance(word, Order):
            return
        if isinstance(word, SetLive):
            self._live = word.on
            self._rate.pause()
        elif isinstance(word, SetTrustMap):
            self._trust_map = word
        self._wanted = ordered(self._wanted, word)
        if self._opened:
            self._line.send(encode_word(word))

    def finish(self) -> None:
        """Say goodbye, and report for the last time."""
        self._drop()
        self._line.send(encode_word(Bye()))
        self._tell(self._own_report(final=True))

    # -- the connection ---------------------------------------------------------------

    def _attend(self, now: float) -> None:
        for event in self._line.events():
            if event == "up":
                self._up = True
                self._heard_s, self._open_at_s = now, now
            elif event == "unknown key":
                self._no_key()
            elif self._up:
                self._lose(now, "the connection was lost")
        while (got := self._line.receive()) is not None:
            self._heard_s = now
            self._hear(*got, now)
        if self._up and now - self._heard_s > _PATIENCE_S:
            self._lose(now, f"it has said nothing for {_PATIENCE_S:g} s")
            self._line.again()
        if self._up and not self._opened and now >= self._open_at_s:
            # Told again only where the server says that it has no run open.
            self._open_at_s = float("inf")
            self._line.send(encode_word(self._wanted, *([self._maps] if self._maps else [])))
        if self._flying is not None and self._first is None and now - self._sent_s > _ANSWER_S:
            number = self._flying.header.number
            self._say_once(
                f"engine at {self._where}: no answer to frame {number}; the next is sent"
            )
            self._failed += 1
            self._drop()
        if self._opened and now >= self._next_ping_s:
            self._next_ping_s = now + _PING_EVERY_S
            self._line.send(encode_word(Ping()))
        if not self._up and not self._ever_up and now - self._down_s > 5 * _PING_EVERY_S:
            self._say_once(f"no engine answers at {self._where} yet; tried again and again")

    def _no_key(self) -> None:
        line = (
            f"the engine's machine {self._where} does not know this machine's key; authorise it "
            "there: liverestore keys --allow, with the line that `liverestore keys` prints here"
        )
        if not self._ever_up:
            raise UserError(line)
        self._say_once(line)

    def _lose(self, now: float, why: str) -> None:
        self._up = self._opened = False
        self._down_s = now
        self._drop()
        if self._ever_up:
            self._tell(
                Notice(
                    text=f"engine at {self._where}: {why}; capture goes on, tried again by itself"
                )
            )
            self._rate.pause()
            self._tell(self._own_report())

    def _drop(self) -> None:
        """Wait no more for what was sent; it has failed, unless its picture came."""
        if self._flying is not None and self._first is None:
            self._inlet.fail()
        self._flying = self._first = None

    def _say_once(self, line: str) -> None:
        if line != self._said:
            self._said = line
            self._tell(Notice(text=line))

    # -- frames and results -----------------------------------------------------------

    def _send(self, frame: Frame) -> None:
        self._flying, self._sent_s = frame, time.monotonic()
        if not self._line.send(encode(Message(0, frame))):
            self._drop()

    def _find(self, number: int) -> Frame | None:
        if self._flying is not None and self._flying.header.number == number:
            return self._flying
        return next((f for f in self._kept.values() if f.header.number == number), None)

    def _hear(self, parts: list[Buffer], received_ns: int, now: float) -> None:
        try:
            if is_word(parts):
                self._obey(decode_word(parts), now)
                return
            made = decode_result(parts, self._find, received_ns)
        except WireError as error:
            self._drop()
            self._say_once(f"engine at {self._where}: not understood: {error}")
            return
        if made is None:
            return  # of a frame that was given up when the connection was lost
        made = _stamped(made, self._machine)
        header = made.source.header
        if made.source is self._flying:
            if self._first is None:
                self._first = made
                self._count(made, received_ns, now)
                self._kept[header.channel] = made.source
            if not stack_follows(parts):
                first = dataclasses.replace(self._first, rival=None, planes=made.planes)
                self._flying = self._first = None
                if self._files is not None:
                    self._files.append(first)
        self._outlet.offer(made)

    def _count(self, made: Restored, received_ns: int, now: float) -> None:
        captured_ns = made.source.header.captured_ns
        self._restored += 1
        self._waits.add((made.provenance.started_ns - captured_ns) / 1e6)
        self._ages.add((received_ns - captured_ns) / 1e6)
        if self._live:
            self._rate.tick(now)

    def _obey(self, word: LinkWord, now: float) -> None:
        if isinstance(word, Opened):
            self._opened_now(now)
        elif isinstance(word, Refused):
            self._opened = False
            self._drop()
            self._open_at_s = now + _PING_EVERY_S
            self._say_once(f"engine at {self._where}: {word.reason}; asked again every second")
        elif isinstance(word, NotRestored):
            if self._flying is not None and self._flying.header.number == word.number:
                self._failed += self._first is None
                self._drop()
        elif isinstance(word, EngineReport):
            self._report = word
            if word.loading is None:
                self._wanted = in_use(self._wanted, word)
            self._tell(self._own_report())
        elif isinstance(word, Notice):
            self._tell(word)
        elif isinstance(word, Failed):
            error = UserError if word.exit_code == UserError.exit_code else Failure
            raise error(f"at {self._where}: {word.text}")
        elif isinstance(word, Bye):
            self._opened = False
            self._drop()
            self._open_at_s = now + _PING_EVERY_S

    def _opened_now(self, now: float) -> None:
        self._opened, self._said = True, None
        if not self._live:
            self._line.send(encode_word(SetLive(on=False)))
        if self._trust_map.kind is not None:
            self._line.send(encode_word(self._trust_map))
        if self._ever_up:
            gone_s = now - self._down_s
            self._tell(
                Notice(text=f"engine at {self._where}: back after {gone_s:.1f} s", ordinary=True)
            )
        self._ever_up = True

    # -- what is told ------------------------------------------------------------------

    def _own_report(self, *, final: bool = False) -> EngineReport:
        """The server's, with the counts and times of this machine."""
        rate = self._rate.mean() if final else self._rate.rate(time.monotonic())
        return msgspec.structs.replace(
            self._report,
            runtime=f"{self._report.runtime or 'nothing yet'} on {self._machine}",
            ready=self._ever_up,
            restored=self._restored,
            failed=self._failed,
            fps=rate if self._up else None,
            wait_p50_ms=self._waits.percentile(50),
            age_p50_ms=self._ages.percentile(50),
            age_p95_ms=self._ages.percentile(95),
            recent_age_ms=self._ages.recent_median() if self._up else None,
        )


def _stamped(made: Restored, machine: str) -> Restored:
    """With the machine that restored it in its record."""
    parameters = {**made.provenance.parameters, "engine_machine": machine}
    provenance = msgspec.structs.replace(made.provenance, parameters=parameters)
    rival = None if made.rival is None else _stamped(made.rival, machine)
    planes = tuple(_stamped(plane, machine) for plane in made.planes)
    return dataclasses.replace(made, provenance=provenance, rival=rival, planes=planes)
