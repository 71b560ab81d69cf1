"""A client of the stream of results: `python benchmarks/load_clients.py ADDRESS ROLE KIND REPORT`.

- steady: takes every result it can get.
- slow: the same, but does not read from the 30th second on for three minutes, again and again.
- greedy: asks for results and never reads one.

Its account is in the file REPORT, written anew each second, until SIGTERM or the end of the run.
"""

from __future__ import annotations

import signal
import sys
import threading
import time
from pathlib import Path

import msgspec
import zmq

from liverestore.frame import Restored
from liverestore.transport.endpoint import Endpoint
from liverestore.transport.inlet import Inlet
from liverestore.wire import End, Next, encode

READS_S, PAUSES_S = 30.0, 180.0


class Account(msgspec.Struct, kw_only=True):
    """What one client got."""

    role: str
    kind: str
    received: int = 0
    first: int = -1
    last: int = -1
    backwards: int = 0
    """Results older than the one before: there must be none."""
    longest_ms: float = 0.0
    """Longest time from the end of restoring to the arrival, of those that came while reading."""
    paused_s: float = 0.0
    ended: bool = False
    """Whether it was told that the run is over."""


def take(account: Account, inlet: Inlet, report: Path, stop: threading.Event) -> None:
    """Read until the end."""
    began = written = time.monotonic()
    while not stop.is_set() and not account.ended:
        now = time.monotonic()
        if account.kind == "slow" and now - began > READS_S:
            stop.wait(PAUSES_S)
            account.paused_s += time.monotonic() - now
            began = time.monotonic()
            inlet.receive(0)  # the one that was on its way is as old as the pause
        result = inlet.receive(0.2)
        if isinstance(result, Restored):
            number = result.source.header.number
            late_ms = (time.perf_counter_ns() - result.provenance.finished_ns) / 1e6
            account.longest_ms = max(account.longest_ms, late_ms)
            account.backwards += number <= account.last
            account.first = number if account.first < 0 else account.first
            account.last = number
            account.received += 1
        account.ended = isinstance(result, End)
        if time.monotonic() - written > 1 or account.ended:
            written = time.monotonic()
            save(account, report)
    save(account, report)


def ask_only(account: Account, address: str, report: Path, stop: threading.Event) -> None:
    """A hundred requests a second, and not one answer read."""
    with zmq.Context() as context, context.socket(zmq.DEALER) as socket:
        socket.linger, socket.rcvhwm = 0, 1
        Endpoint(address).connect(socket)
        serial = 0
        while not stop.wait(0.01):
            serial += 1
            request = Next(role=account.role, serial=serial, acknowledges=None, outcome="done")
            try:
                socket.send_multipart(encode(request), zmq.NOBLOCK)
            except zmq.Again:
                continue
    save(account, report)


def save(account: Account, report: Path) -> None:
    """Whole at every moment."""
    part = report.with_suffix(".part")
    part.write_bytes(msgspec.json.encode(account))
    part.replace(report)


def main() -> None:
    """Until SIGTERM."""
    address, role, kind, place = sys.argv[1:]
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda _number, _frame: stop.set())
    account, report = Account(role=role, kind=kind), Path(place)
    save(account, report)
    if kind == "greedy":
        ask_only(account, address, report, stop)
        return
    inlet = Inlet(Endpoint(address), role)
    try:
        take(account, inlet, report, stop)
    finally:
        inlet.close()


if __name__ == "__main__":
    main()
