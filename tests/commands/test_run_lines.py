import io

import msgspec
import pytest
from rich.console import Console

from liverestore.cli.run import _content, _Progress, summarise
from liverestore.rig import load_rig
from liverestore.rig_channels import ChannelConfig
from liverestore.service.plan import RunEndpoints, RunPlan
from liverestore.service.result import RunResult
from liverestore.status import CaptureReport, EngineReport, RestoredReport, RunStatus
from liverestore.transport.endpoint import PrivateEndpoints


@pytest.mark.parametrize(
    ("channels", "engines", "words"),
    [
        ((), {}, "denoise-live 20.0 fps"),
        (("DAPI", "GFP"), {}, "denoise-live 20.0 fps"),
        (("DAPI", "GFP"), {"GFP": "mean5"}, "DAPI denoise-live, GFP mean5: 20.0 fps"),
        ((), {"GFP": "mean5"}, "denoise-live, GFP mean5: 20.0 fps"),
    ],
)
def test_the_last_lines_name_the_engine_of_every_channel(channels, engines, words):
    rig = msgspec.structs.replace(
        load_rig("demo"), channels=tuple(ChannelConfig(name=name) for name in channels)
    )
    with PrivateEndpoints() as endpoint:
        ends = RunEndpoints(endpoint("control"), endpoint("raw"), endpoint("restored"))
        plan = RunPlan(rig=rig, engine="denoise-live", endpoints=ends)
    engine = EngineReport(
        engine="denoise-live", runtime="r", engines=engines, fps=20.0, age_p50_ms=30.0
    )
    result = RunResult(
        capture=CaptureReport(phase="ended", captured=9, fps=25.0),
        engine=engine,
        view_fps=None,
        recordings=(),
        restored_files=(),
        notices=(),
        failure=None,
        exit_code=0,
        interrupted=False,
    )
    output = io.StringIO()
    summarise(plan, result, Console(file=output, width=200))
    assert f"camera 25.0 fps, {words} (r), capture to result 30 ms" in output.getvalue()


def test_the_last_lines_count_only_what_a_closed_file_has():
    closed = RestoredReport(path="/a_002.tif", asked="/a.tif", closed=True, frames=20, planes=5)
    died = RestoredReport(path="/a.tif", asked="/a.tif", closed=False, frames=0)
    assert _content(closed) == "4 virtual stacks of 5 planes"
    assert _content(died) == "not closed, because the engine died: has what was written until then"


def test_notices_and_ordinary_events_are_each_one_line_on_the_terminal():
    output = io.StringIO()
    with _Progress(Console(file=output, width=200), None) as progress:
        for captured in range(3):
            progress.show(
                RunStatus(
                    state="running",
                    rig="demo",
                    captured=captured,
                    notices=("engine started again",),
                    events=("recordings of this run go to /data",),
                )
            )
    assert sorted(output.getvalue().splitlines()) == [
        "engine started again",
        "recordings of this run go to /data",
    ]
