"""Hands the newest results back to the Micro-Manager that is followed, in a thread of its own."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from liverestore.camera.bridge_window import MicroManagerWindow
from liverestore.camera.bridge_wire import BridgeGone, JavaRefusal
from liverestore.errors import UserError
from liverestore.frame import Restored
from liverestore.service.plan import RunPlan
from liverestore.transport.endpoint import Endpoint
from liverestore.transport.inlet import Inlet

__all__ = ["ShowBack", "show_back"]

_LEAST_S = 0.1
"""Between two images: Micro-Manager answers one question at a time, and is asked for frames
over the same port."""
_SHARE = 0.25
"""Of the time, at most so much is spent showing."""
_RETRY_S = (1.0, 5.0)
_WAIT_S = 0.1


class ShowBack:
    """A consumer of the engine's results, as the view is: it asks for the newest one.

    `tell` gets, in a thread of its own, a line when it begins to fail, and when the person has
    closed the window, which ends it. A Micro-Manager that is gone is looked for at growing
    intervals.
    """

    def __init__(self, restored: Endpoint, first_port: int, tell: Callable[[str], None]) -> None:
        self._endpoint, self._first_port, self._tell = restored, first_port, tell
        self._closing = threading.Event()
        self._told: str | None = None
        self._thread = threading.Thread(target=self._run, name="show back", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """End the thread, which may be waiting for Micro-Manager for two seconds."""
        self._closing.set()
        self._thread.join()

    def _run(self) -> None:
        retry_s = _RETRY_S[0]
        while not self._closing.is_set():
            try:
                window = MicroManagerWindow(self._first_port)
            except (UserError, BridgeGone, JavaRefusal) as error:
                self._say(f"results are not shown in Micro-Manager: {error}")
            else:
                retry_s = _RETRY_S[0]
                try:
                    if self._serve(window):
                        return
                except (BridgeGone, JavaRefusal) as error:
                    self._say(f"results are no longer shown in Micro-Manager: {error}")
                finally:
                    window.close()
            self._closing.wait(retry_s)
            retry_s = min(2 * retry_s, _RETRY_S[1])

    def _serve(self, window: MicroManagerWindow) -> bool:
        """Until closed (True); results that come meanwhile are passed over for newer ones."""
        inlet = Inlet(self._endpoint, "micro-manager")
        try:
            while not self._closing.is_set():
                body = inlet.receive(_WAIT_S)
                if not isinstance(body, Restored):
                    # Nothing new, or the run has ended and says so each time it is asked.
                    self._closing.wait(_LEAST_S if body is not None else 0.0)
                    continue
                began_s = time.monotonic()
                try:
                    shown = window.show(body.pixels, body.source.header.channel)
                except UserError as error:
                    self._say(f"results are not shown in Micro-Manager: {error}")
                    continue
                if not shown:
                    self._tell(
                        "the window in Micro-Manager was closed: results are shown here only"
                    )
                    return True
                self._told = None
                took_s = time.monotonic() - began_s
                self._closing.wait(max(_LEAST_S, took_s / _SHARE) - took_s)
        finally:
            inlet.close()
        return True

    def _say(self, line: str) -> None:
        if line != self._told:
            self._told = line
            self._tell(line)


def show_back(plan: RunPlan, tell: Callable[[str], None]) -> ShowBack | None:
    """Begun where `plan` asks for it; None elsewhere."""
    if not plan.show_in_micro_manager:
        return None
    return ShowBack(plan.endpoints.restored.for_client(), plan.rig.source.port, tell)
