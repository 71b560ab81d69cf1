"""Which of the servers on this machine is the Micro-Manager to follow, and what it tells."""

from __future__ import annotations

import contextlib
import socket
from typing import Any

from liverestore.camera.bridge_wire import BridgeGone, BridgeWire, JavaObject, JavaRefusal
from liverestore.errors import UserError

__all__ = ["FIRST_PORT", "HOW_TO_START", "MicroManagerLink", "find_micromanager"]

FIRST_PORT = 4827
"""Where Micro-Manager's server listens, unless that port is taken: then on one after it."""
PORTS_TRIED = 8
HOW_TO_START = (
    "start Micro-Manager and switch on Tools > Options > Run pycro-manager server on port 4827"
)
_KNOCK_S = 0.2
_GREET_S = 0.5
_ANSWER_S = 2.0
_NO_IMAGE = ("ircular buffer is empty", "ircular buffer empty", "Failed to retrieve image")


class MicroManagerLink:
    """The core of a running Micro-Manager, asked only; for one thread.

    Nothing here makes the camera expose or takes an image away from Micro-Manager. Raises
    `BridgeGone` where it does not answer and `JavaRefusal` where it refuses.
    """

    def __init__(self, port: int) -> None:
        self.wire = BridgeWire(port, _ANSWER_S)
        try:
            self.version = self.wire.greet(_GREET_S)
            self._core = self.wire.instance("mmcorej.CMMCore")
        except (BridgeGone, JavaRefusal):
            self.wire.close()
            raise

    @property
    def port(self) -> int:
        """Where it listens."""
        return self.wire.port

    def core(self, method: str, *arguments: Any) -> Any:
        """What a method of the core returns, by its Java name."""
        return self.wire.call(self._core, method, *arguments)

    def has_window(self) -> bool:
        """Whether it is the application, and not a core without a window."""
        try:
            self.wire.forget(self.wire.instance("org.micromanager.Studio"))
        except JavaRefusal:
            return False
        return True

    def last_image(self) -> JavaObject | None:
        """The newest image in the ring, which stays there; None where there is none.

        Its fields `tags` and `pix` are asked for one by one; `wire.forget` it afterwards.
        """
        try:
            image = self.core("getLastTaggedImage")
        except JavaRefusal as refusal:
            if any(sign in str(refusal) for sign in _NO_IMAGE):
                return None
            raise
        return image if isinstance(image, JavaObject) else None

    def close(self, *, politely: bool = False) -> None:
        """Hang up; safe to call twice. Micro-Manager goes on. `politely` it may forget us."""
        if politely:
            with contextlib.suppress(BridgeGone, JavaRefusal):
                self.wire.forget(self._core)
        self.wire.close()


def find_micromanager(first_port: int) -> tuple[MicroManagerLink, str | None]:
    """The Micro-Manager at `first_port` or one of the next ports, and a line on what is odd.

    One that has a window and a camera is taken before one that has a camera only: a program
    that ended badly leaves a Micro-Manager behind that holds the port, so that the next one
    listens on another. Raises `UserError` where there is none.
    """
    best: MicroManagerLink | None = None
    passed_by: list[str] = []
    for port in range(first_port, first_port + PORTS_TRIED):
        if not _somebody_listens(port):
            continue
        try:
            link = MicroManagerLink(port)
        except (BridgeGone, JavaRefusal):
            passed_by.append(f"what holds port {port} does not answer as Micro-Manager does")
            continue
        try:
            camera, window = str(link.core("getCameraDevice") or ""), link.has_window()
        except (BridgeGone, JavaRefusal) as error:
            link.close()
            passed_by.append(f"Micro-Manager on port {port} went away ({error})")
            continue
        if camera and window:
            if best is not None:
                passed_by.append(f"Micro-Manager on port {best.port} has no window")
                best.close()
            return link, _odd(link, passed_by)
        if camera and best is None:
            best = link
        else:
            link.close()
            passed_by.append(f"Micro-Manager on port {port} has no camera")
    if best is not None:
        return best, _odd(best, passed_by)
    reason = f" ({'; '.join(passed_by)})" if passed_by else ""
    last = first_port + PORTS_TRIED - 1
    raise UserError(
        f"no Micro-Manager to follow on ports {first_port} to {last} of this machine{reason}; "
        f"{HOW_TO_START}"
    )


def _odd(link: MicroManagerLink, passed_by: list[str]) -> str | None:
    if not passed_by:
        return None
    return (
        f"following Micro-Manager on port {link.port}; {'; '.join(passed_by)}: a program that did "
        "not end properly, close it in the task manager"
    )


def _somebody_listens(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), _KNOCK_S):
            return True
    except OSError:
        return False
