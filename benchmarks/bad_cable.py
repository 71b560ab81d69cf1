"""A cable between two network namespaces that delays and loses packets, and can be pulled.

Linux's own `netem` is not in every kernel. Here a TUN device stands in each namespace, and a thread
carries the packets from one to the other: TCP above it is the kernel's own, with its sending again.
Needs root and the program `ip`.
"""

from __future__ import annotations

import ctypes
import heapq
import itertools
import os
import random
import select
import shutil
import struct
import subprocess
import sys
import threading
import time
import uuid
from pathlib import Path
from types import TracebackType

__all__ = ["ADDRESSES", "BadCable", "why_no_cable"]

ADDRESSES = ("10.213.7.1", "10.213.7.2")
"""Of its two ends."""
_TUNSETIFF, _IFF_TUN, _IFF_NO_PI = 0x400454CA, 0x0001, 0x1000
_CLONE_NEWNET = 0x40000000
_PACKET = 65_536


def why_no_cable() -> str | None:
    """What is missing on this machine; None where there can be such a cable."""
    if sys.platform != "linux":
        return "needs the network namespaces of Linux"
    if os.geteuid() != 0 or shutil.which("ip") is None:
        return "needs root and the program ip, for two network namespaces"
    if not Path("/dev/net/tun").exists():
        return "this kernel has no TUN devices"
    name = f"lr{uuid.uuid4().hex[:6]}"
    made = subprocess.run(["ip", "netns", "add", name], capture_output=True, text=True, check=False)
    if made.returncode:
        return f"no network namespaces here: {made.stderr.strip()}"
    _ip("netns", "del", name)
    return None


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], capture_output=True, text=True, check=True)


class BadCable:
    """Between `spaces`, each packet takes `delay_s` and a share `loss` of them never arrives."""

    def __init__(self, *, delay_s: float = 0.0, loss: float = 0.0, seed: int = 0) -> None:
        name = f"lr{uuid.uuid4().hex[:6]}"
        self.spaces = (f"{name}-a", f"{name}-b")
        self.pulled = False
        """While it is, nothing arrives, and nobody is told."""
        self.carried = self.lost = 0
        """Packets so far."""
        self._delay_s, self._loss = delay_s, loss
        self._dice = random.Random(seed)
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._carry, name="cable")
        self._ends: list[int] = []

    def __enter__(self) -> BadCable:
        try:
            for space, own, other in zip(self.spaces, ADDRESSES, ADDRESSES[::-1], strict=True):
                _ip("netns", "add", space)
                self._ends.append(_tun_in(space))
                _ip("-n", space, "addr", "add", own, "peer", other, "dev", "cable")
                _ip("-n", space, "link", "set", "cable", "up")
                _ip("-n", space, "link", "set", "lo", "up")
        except BaseException:
            self._remove()
            raise
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._over.set()
        self._thread.join()
        self._remove()

    def within(self, end: int) -> tuple[str, ...]:
        """To be put before a command that is to run at `end`, 0 or 1."""
        return "ip", "netns", "exec", self.spaces[end]

    def _remove(self) -> None:
        for end in self._ends:
            os.close(end)
        for space in self.spaces:
            subprocess.run(["ip", "netns", "del", space], capture_output=True, check=False)

    def _carry(self) -> None:
        other = dict(zip(self._ends, self._ends[::-1], strict=True))
        under_way: list[tuple[float, int, int, bytes]] = []
        order = itertools.count()
        while not self._over.is_set():
            wait_s = under_way[0][0] - time.monotonic() if under_way else 0.1
            for end in select.select(self._ends, [], [], min(0.1, max(0.0, wait_s)))[0]:
                packet = os.read(end, _PACKET)
                if self.pulled or self._dice.random() < self._loss:
                    self.lost += 1
                    continue
                due_s = time.monotonic() + self._delay_s
                heapq.heappush(under_way, (due_s, next(order), other[end], packet))
            while under_way and under_way[0][0] <= time.monotonic():
                _, _, end, packet = heapq.heappop(under_way)
                if not self.pulled:
                    os.write(end, packet)
                    self.carried += 1


def _tun_in(space: str) -> int:
    """File descriptor of a new TUN device "cable" in the network namespace `space`."""
    if sys.platform == "win32":
        raise OSError("needs the network namespaces of Linux")
    import fcntl

    made: list[int] = []
    wrong: list[OSError] = []

    def make() -> None:
        # Of the namespace of this thread alone.
        library = ctypes.CDLL(None, use_errno=True)
        with Path("/run/netns", space).open("rb") as there:
            if library.setns(there.fileno(), _CLONE_NEWNET):
                wrong.append(OSError(ctypes.get_errno(), f"cannot enter the namespace {space}"))
                return
        try:
            end = os.open("/dev/net/tun", os.O_RDWR)
            fcntl.ioctl(end, _TUNSETIFF, struct.pack("16sH", b"cable", _IFF_TUN | _IFF_NO_PI))
            made.append(end)
        except OSError as error:
            wrong.append(error)

    thread = threading.Thread(target=make)
    thread.start()
    thread.join()
    if wrong:
        raise wrong[0]
    return made[0]
