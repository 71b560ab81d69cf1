"""An engine process that changes its engines and dies, and a view that asks for a second one."""

import os
import signal
import time
from pathlib import Path

from liverestore.service.child import orphaned, run_child
from liverestore.status import EngineReport, SetRival, Stop


def engine_that_dies_after_a_change(plan):
    """The first one takes the rival it is told, and is killed; the second reports its plan."""

    def body(link, stop):
        mark = Path(plan.raw_path) / "died"
        report = EngineReport(
            engine=plan.engine, engines=plan.engines, rival=plan.rival, runtime="fake",
            runtime_reason="fake (nothing faster is here)", loading="d", ready=True,
        )  # fmt: skip
        link.send(report)
        while not stop.is_set() and not orphaned():
            for word in link.receive(0.02):
                if isinstance(word, Stop):
                    return
                if isinstance(word, SetRival) and not mark.exists():
                    link.send(
                        EngineReport(
                            engine="b", engines={"nuclei": "c"}, rival=word.name, runtime="fake"
                        )
                    )
                    time.sleep(0.3)
                    mark.touch()
                    os.kill(os.getpid(), signal.SIGKILL)

    run_child("engine", plan.endpoints.control, body)


def view_that_asks_for_a_rival(plan):
    def body(link, stop):
        ends = time.monotonic() + 30
        while time.monotonic() < ends and not stop.is_set() and not orphaned():
            words = link.receive(0.05)
            if any(isinstance(word, Stop) for word in words):
                return
            link.send(SetRival(name="r"))

    run_child("view", plan.endpoints.control, body)
