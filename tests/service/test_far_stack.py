"""Virtual stacks by an engine on another machine: the picture first, and the wheel meanwhile."""

import threading

import pytest
from far_machine import Microscope, Server, frame, machines
from refocus_run import RIG, WAVES, Engine

from liverestore.service import frame_work, served_run
from liverestore.status import EngineReport, SetDpm, SetZStack

PLANES = 101


class Patient(Engine):
    """Takes its time for a plane until `hurry` is set."""

    def __init__(self):
        super().__init__("refocus", True)
        self.hurry = threading.Event()

    def infer(self, batch):
        if len(self.batches) > 1:
            self.hurry.wait(0.1)
        return super().infer(batch)


@pytest.fixture
def far(tmp_path, monkeypatch):
    """A microscope, its engine and its file; stacks count as slow and are made plane by plane."""
    monkeypatch.setattr("liverestore.restore._BATCH_PX", 1)
    monkeypatch.setattr(frame_work, "_AT_ONCE_S", -1.0)
    engine, kept = Patient(), []
    monkeypatch.setattr(served_run, "open_live", lambda *_: engine)
    monkeypatch.setattr(served_run, "_check_installed", lambda _name: None)
    keys = machines(tmp_path)
    server = Server(keys[1])
    scope = Microscope(
        keys[0], keys[1].own().public, server.port, files=kept, engine="refocus", rig=RIG,
        zstack="-5:5:0.1",
    )  # fmt: skip
    scope.engine, scope.kept = engine, kept
    scope.said(EngineReport)
    yield scope
    engine.hurry.set()
    scope.close()
    server.close()


def result(scope):
    for _ in range(400):
        made = scope.view.receive(0.05)
        if made is not None:
            return made
    raise AssertionError(f"no result; {scope.error}; {scope.words[-5:]}")


def test_the_picture_comes_first_and_the_wheel_is_obeyed_within_the_stack(far):
    far.raw.offer(frame(0))
    first = result(far)
    assert first.planes == ()
    assert far.kept == []
    # it counts while its stack is at work
    far.said(EngineReport, where=lambda word: word.restored == 1)
    far.order(SetDpm(spec="3"))
    turned = result(far)
    assert turned.planes == ()
    assert turned.pixels.mean() > first.pixels.mean()
    assert len(far.engine.batches) < PLANES
    far.engine.hurry.set()
    whole = result(far)
    assert len(whole.planes) == PLANES
    assert (whole.pixels == turned.pixels).all()
    assert whole.source.header.number == 0
    # the picture, the turned one, and each plane once
    assert len(far.engine.batches) == 2 + PLANES
    (kept,) = far.kept
    assert (len(kept.planes), kept.rival) == (PLANES, None)
    assert (kept.pixels == first.pixels).all()
    far.raw.offer(frame(1))
    assert result(far).source.header.number == 1
    assert far.said(EngineReport, where=lambda word: word.restored == 2).failed == 0
    assert far.counts().dropped == 0


def test_another_stack_leaves_the_one_at_work(far):
    far.raw.offer(frame(0))
    assert result(far).planes == ()
    far.order(SetZStack(text="0:2:1"))
    left = result(far)
    assert left.planes == ()
    assert len(far.engine.batches) < PLANES
    assert [made.planes for made in far.kept] == [()]
    far.engine.hurry.set()
    far.raw.offer(frame(1))
    shown = result(far)
    while shown.source.header.number == 0 or not shown.planes:
        shown = result(far)
    assert [plane.pixels.mean() / WAVES for plane in shown.planes] == pytest.approx(
        [0, 1, 2], abs=1 / WAVES
    )
