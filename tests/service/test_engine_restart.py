"""What the supervisor knows of the engines, and what a restarted engine process begins with."""

import signal
import sys

import fake_engines
import fake_processes as fake
import pytest

from liverestore.rig import RigConfig, SourceConfig, SpecimenConfig
from liverestore.service.plan import RunEndpoints, RunPlan
from liverestore.service.supervisor import Supervisor
from liverestore.transport.endpoint import PrivateEndpoints

RIG = RigConfig(name="fake", source=SourceConfig(kind="simulated"), specimen=SpecimenConfig())


@pytest.mark.skipif(sys.platform == "win32", reason="SIGKILL")
def test_a_restarted_engine_has_the_engines_that_were_in_use(tmp_path):
    statuses = []

    def follow(status):
        statuses.append(status)
        # The second engine, however long a busy machine takes to start it.
        if any("started again" in line for line in status.notices) and status.loading == "d":
            signal.raise_signal(signal.SIGINT)

    with PrivateEndpoints() as endpoint:
        ends = RunEndpoints(endpoint("control"), endpoint("raw"), endpoint("restored"))
        plan = RunPlan(rig=RIG, engine="a", endpoints=ends, raw_path=tmp_path, seconds=60.0)
        targets = {
            "engine": fake_engines.engine_that_dies_after_a_change,
            "capture": fake.capture,
            "view": fake_engines.view_that_asks_for_a_rival,
        }
        result = Supervisor(plan, targets, on_status=follow, engine_patience_s=40).run()
    assert result.exit_code == 0
    assert any("started again" in notice for notice in result.notices)
    again = result.engine
    assert again is not None
    assert (again.engine, again.engines, again.rival) == ("b", {"nuclei": "c"}, "r")
    last = statuses[-1]
    assert (last.engine, last.engines, last.rival) == ("b", {"nuclei": "c"}, "r")
    assert last.runtime_reason == "fake (nothing faster is here)"
    assert last.loading == "d"
