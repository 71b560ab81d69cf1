"""The engine process of a run whose engine is on another machine: it hands on, both ways.

To all other processes it is the engine: it asks capture for the newest frame when the other
machine is free for one, and offers what comes back. One frame is under way at a time, as with an
engine of this machine, so that what is sent is the newest there is. While there is no connection
frames are asked for and let go, which counts them as dropped; capture notices nothing.
"""

from __future__ import annotations

import threading
import time
from collections import deque

from liverestore.model_spec import list_engines
from liverestore.service.child import orphaned, run_child
from liverestore.service.far_engine import FarEngine
from liverestore.service.live_dpm import LiveDpm
from liverestore.service.plan import RunPlan
from liverestore.service.restored_files import RestoredFiles
from liverestore.service.show_back import show_back
from liverestore.service.understood import check_understood
from liverestore.status import Notice, SaveRestored, Stop
from liverestore.transport.control import ControlLink
from liverestore.transport.engine_desk import EngineLine
from liverestore.transport.inlet import Inlet
from liverestore.transport.machine_keys import KeyFolder
from liverestore.transport.outlet import Outlet

__all__ = ["remote_engine_process"]

_WAIT_S = 0.1


def remote_engine_process(plan: RunPlan) -> None:
    """Entry point of the process; ends with an exit code."""

    def body(link: ControlLink, stop: threading.Event) -> None:
        _serve(plan, link, stop)

    run_child("engine", plan.endpoints.control, body)


def _serve(plan: RunPlan, link: ControlLink, stop: threading.Event) -> None:
    server = plan.engine_server
    assert server is not None, "the run has an engine of its own otherwise"
    own = KeyFolder().own()
    in_turn = [channel.name for channel in plan.rig.channels]
    refocusing = {spec.name for spec in list_engines() if spec.refocuses}
    line = EngineLine(server.address, own, server.key, beside=(link,))
    inlet = Inlet(plan.endpoints.raw.for_client(), "engine", beside=(link, line))
    outlet = Outlet(plan.endpoints.restored)

    def stacked() -> tuple[str, ...]:
        return tuple(name for name in in_turn if far.engine_of(name) in refocusing)

    dpm = LiveDpm(plan.rig)
    files = RestoredFiles(
        plan.restored_path, tell=link.send, find_optics=dpm.optics, stacked=stacked
    )
    far = FarEngine(inlet, outlet, line, plan, tell=link.send, files=files)
    lines: deque[str] = deque()
    shown = show_back(plan, lines.append)
    try:
        while not stop.is_set() and not orphaned() and far.step(_WAIT_S):
            check_understood(inlet)
            if (refusal := outlet.refusal()) is not None:
                lines.append(refusal)
            for word in link.receive(0):
                if isinstance(word, Stop):
                    stop.set()
                elif isinstance(word, SaveRestored):
                    files.obey(word, time.monotonic())
                else:
                    far.order(word)
            files.attend(time.monotonic())
            while lines:
                link.send(Notice(text=lines.popleft()))
        far.finish()
        outlet.finish("the run has ended", timeout_s=0.0 if stop.is_set() else 0.3)
    finally:
        if shown is not None:
            shown.close()
        files.close()
        inlet.close()
        outlet.close()
        line.close()
