"""Orders that are well-formed and insane, to the real capture and engine processes."""

import os
import sys

import msgspec
import pytest

from liverestore.rig import load_rig
from liverestore.service.capture import capture_process
from liverestore.service.engine import engine_process
from liverestore.service.latest_orders import latest
from liverestore.service.plan import RunEndpoints, RunPlan
from liverestore.service.supervisor import Supervisor
from liverestore.status import (
    SetDpm,
    SetEngine,
    SetExposure,
    SetLive,
    SetRival,
    SetRoi,
    SetZ,
    SetZStack,
    Snap,
    Stop,
)
from liverestore.transport.control import ControlLink
from liverestore.transport.endpoint import PrivateEndpoints


def test_of_many_settings_in_a_row_the_last_counts():
    exposures = [SetExposure(exposure_ms=float(ms)) for ms in range(1, 1000)]
    assert latest(exposures) == exposures[-1:]
    dapi, gfp = (SetExposure(exposure_ms=3.0, channel=name) for name in ("DAPI", "GFP"))
    assert latest([dapi, gfp, dapi]) == [gfp, dapi]
    first, second = SetZ(z_um=1.0), SetZ(z_um=2.0)
    # What is snapped was set before it.
    words = [first, Snap(), first, SetRoi(roi=None), second, SetLive(on=True), Stop()]
    assert latest(words) == [
        first, Snap(), SetRoi(roi=None), second, SetLive(on=True), Stop(),
    ]  # fmt: skip
    assert latest([]) == []


class Raw(msgspec.Struct, tag_field="type", tag="SetRoi", frozen=True):
    """A ROI of two numbers."""

    roi: tuple[int, int]


INSANE = {
    # what is sent: the line that a person reads
    SetExposure(exposure_ms=1e12): "Expected `float` <= 600000.0",
    SetExposure(exposure_ms=-5.0): "Expected `float` > 0.0",
    SetExposure(exposure_ms=float("nan")): "Expected `float`, got `null`",
    SetExposure(exposure_ms=float("inf")): "Expected `float`, got `null`",
    SetExposure(exposure_ms=599_999.0): "got an exposure of 599999 ms and would take",
    SetExposure(exposure_ms=1e-9): "got an exposure of 1e-09 ms and would take",
    SetZ(z_um=1e300): "does not go to 1e+300 um",
    SetZ(z_um=float("nan")): "Expected `float`, got `null` - at `$.z_um`",
    SetRoi(roi=(-1, 0, 10, 10)): "got a ROI of 10 x 10 at (-1, 0)",
    SetRoi(roi=(0, 0, 10**9, 10**9)): "got a ROI of 1000000000 x 1000000000 at (0, 0)",
    SetRoi(roi=(2**40, 5, 10, 10)): "got a ROI of 10 x 10 at (1099511627776, 5)",
    SetRoi(roi=(0, 0, 0, 0)): "got a ROI of 0 x 0 at (0, 0)",
    Raw(roi=(1, 2)): "Expected `array` of length 4",
    SetEngine(name="../../etc/passwd"): "../../etc/passwd",
    SetEngine(name="x" * 5000): "xxxx",
    SetEngine(name="mean5", channel="no such channel"): "",
    SetRival(name="no-such-rival"): "no-such-rival",
    SetDpm(spec="sphere:nan,nan"): "not refocused: DPM: got sphere nan,nan",
    SetZStack(text="0:1e300:1e-300"): "no such virtual stack",
}
FLOOD = 3000


@pytest.mark.timeout(240)
@pytest.mark.skipif(sys.platform == "win32", reason="reads how much memory Linux says")
def test_each_has_one_line_and_capture_goes_on():
    rig = load_rig("mmcore_demo")
    small = {"OnCameraCCDXSize": "64", "OnCameraCCDYSize": "64"}
    source = msgspec.structs.replace(
        rig.source,
        properties={"Camera": {**rig.source.properties["Camera"], **small}},
        buffer_size_mb=16,
    )
    rig = msgspec.structs.replace(rig, source=source)
    seen, at = [], {}
    with PrivateEndpoints() as endpoint:
        plan = RunPlan(
            rig=rig, engine="mean5", seconds=150.0,
            endpoints=RunEndpoints(endpoint("control"), endpoint("raw"), endpoint("restored")),
        )  # fmt: skip

        def follow(status):
            seen.extend(line for line in status.notices if line not in seen)
            if status.state == "running" and status.captured > 3 and not at:
                at.update(pids=supervisor.pids(), captured=status.captured)
                at["link"] = ControlLink(plan.endpoints.control, "view")
                at["left"] = [*INSANE.items()]
            elif at.get("left"):
                # One after the other: a later setting or engine overrules one that waits.
                word, text = at["left"][0]
                if at.get("sent") is not word:
                    at["sent"] = word
                    at["link"].send(word)
                elif any(text in line for line in seen):
                    del at["left"][0]
            elif "left" in at and "flooded" not in at:
                at["flooded"] = status.captured
                for k in range(FLOOD):
                    at["link"].send(SetZ(z_um=(k % 10) / 10))
                    at["link"].send(SetExposure(exposure_ms=5.0 + k % 5))
                    at["link"].send(SetEngine(name="median5" if k % 2 else "mean5"))
                at["link"].send(SetExposure(exposure_ms=9.0))
            elif "flooded" in at and status.captured > at["flooded"] + 30:
                at["link"].send(Stop())

        supervisor = Supervisor(
            plan, {"capture": capture_process, "engine": engine_process},
            engine_patience_s=30.0, on_status=follow,
        )  # fmt: skip
        result = supervisor.run()
        at["link"].close()
    assert (result.exit_code, result.failure) == (0, None)
    lines = [line for line in result.notices if not line.startswith("engine '")]
    assert not [line for line in lines if "died" in line or "started again" in line], lines
    for word, text in INSANE.items():
        told = [line for line in result.notices if text in line]
        assert told, f"{word}: nothing was said; there is {lines}"
        assert all("\n" not in line and len(line) < 6000 for line in told)
    assert result.capture.captured > at["captured"] + 30
    assert result.capture.lost == 0
    for pid in at["pids"].values():
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)
