"""How old is a frame when its restoring starts, with a consumer slower than the camera?

    python benchmarks/frame_age.py [--size 2048] [--fps 100] [--consumer-ms 50] [--seconds 10]

A real Micro-Manager core delivers frames from DemoCamera's fast mode, the capture process
hands them out, and a consumer takes the newest one and then is busy for a while. Printed
are the age at the start (median and 95th percentile) and the account of all frames.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import threading
import time
from pathlib import Path

from liverestore.frame import Frame
from liverestore.meters import AgeMeter
from liverestore.rig import load_rig
from liverestore.service.capture import capture_process
from liverestore.service.child import orphaned, run_child
from liverestore.service.plan import RunEndpoints, RunPlan
from liverestore.service.supervisor import Supervisor
from liverestore.status import EngineReport, Stop
from liverestore.transport.control import ControlLink
from liverestore.transport.endpoint import PrivateEndpoints
from liverestore.transport.inlet import Inlet
from liverestore.wire import End

RIG = """
name = "DemoCamera, fast mode"
[source]
kind = "micromanager"
buffer_size_mb = 1024
config_file = "{config}"
[source.properties.Camera]
PixelType = "16bit"
BitDepth = "16"
OnCameraCCDXSize = "{size}"
OnCameraCCDYSize = "{size}"
FastImage = "1"
[camera]
exposure_ms = {exposure_ms}
"""


def busy_consumer(plan: RunPlan) -> None:
    """Takes the newest frame, then does nothing for so long as `plan.engine` says in ms."""

    def body(link: ControlLink, stop: threading.Event) -> None:
        busy_s = float(plan.engine) / 1000
        inlet = Inlet(plan.endpoints.raw.for_client(), "engine")
        ages, count = AgeMeter(), 0
        link.send(EngineReport(engine="busy", runtime="none", ready=True))
        while not stop.is_set() and not orphaned():
            got = inlet.receive(0.1)
            if isinstance(got, End):
                break
            if isinstance(got, Frame):
                ages.add((time.perf_counter_ns() - got.header.captured_ns) / 1e6)
                count += 1
                time.sleep(busy_s)
            if any(isinstance(word, Stop) for word in link.receive(0)):
                break
        link.send(
            EngineReport(
                engine="busy",
                runtime="none",
                ready=True,
                restored=count,
                age_p50_ms=ages.percentile(50),
                age_p95_ms=ages.percentile(95),
            )
        )
        inlet.close()

    run_child("engine", plan.endpoints.control, body)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--size", type=int, default=2048)
    parser.add_argument("--fps", type=float, default=100.0)
    parser.add_argument("--consumer-ms", type=float, default=50.0)
    parser.add_argument("--seconds", type=float, default=10.0)
    arguments = parser.parse_args()
    config = Path(load_rig("mmcore_demo").source.config_file or "").as_posix()
    with PrivateEndpoints() as endpoint, tempfile.TemporaryDirectory() as folder:
        rig_file = Path(folder) / "fast.toml"
        rig_file.write_text(
            RIG.format(config=config, size=arguments.size, exposure_ms=1000 / arguments.fps)
        )
        plan = RunPlan(
            rig=load_rig(rig_file),
            engine=str(arguments.consumer_ms),
            endpoints=RunEndpoints(endpoint("control"), endpoint("raw"), endpoint("restored")),
            seconds=arguments.seconds,
        )
        targets = {"engine": busy_consumer, "capture": capture_process}
        result = Supervisor(plan, targets, engine_patience_s=10).run()
    capture, consumer = result.capture, result.engine
    if result.failure is not None or consumer is None:
        sys.exit(result.failure or "the consumer never answered")
    exact = capture.captured == capture.restored + capture.dropped
    figures = {
        "shape": capture.shape,
        "camera_fps": capture.fps,
        "consumer_ms": arguments.consumer_ms,
        "age_at_start_ms": {"p50": consumer.age_p50_ms, "p95": consumer.age_p95_ms},
        "captured": capture.captured,
        "lost": capture.lost,
        "restored": capture.restored,
        "dropped": capture.dropped,
        "exact": exact,
    }
    print(json.dumps(figures, indent=2))
    sys.exit(0 if exact else 1)


if __name__ == "__main__":
    main()
