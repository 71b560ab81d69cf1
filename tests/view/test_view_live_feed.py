"""Which results the view takes from the link, and that it hears the run while it takes none."""

import time

import numpy as np
import pytest

from liverestore.status import Stop
from liverestore.transport.control import ControlHub, ControlLink
from liverestore.transport.endpoint import PrivateEndpoints
from liverestore.transport.outlet import Outlet
from liverestore.view.live_feed import LiveFeed

PATIENCE_S = 20.0
LARGE, SMALL = 1024, 16


@pytest.fixture
def result(make_frame, make_restored):
    def made(number, side):
        pixels = np.full((side, side), number, np.uint16)
        return make_restored(make_frame(pixels, number))

    return made


class Run:
    """The ends that a run has at the view's links."""

    def __init__(self, endpoint):
        self.hub = ControlHub(endpoint("control"))
        self.raw = Outlet(endpoint("raw"), roles=("view",))
        self.restored = Outlet(endpoint("restored"), roles=("view",))
        link = ControlLink(endpoint("control").for_client(), "view")
        self.feed = LiveFeed(endpoint("raw").for_client(), endpoint("restored").for_client(), link)
        self.link = link

    def close(self):
        self.feed.close()
        self.link.close()
        self.raw.close()
        self.restored.close()
        self.hub.close()


@pytest.fixture
def run():
    with PrivateEndpoints() as endpoint:
        run = Run(endpoint)
        yield run
        run.close()


def until(happens):
    deadline = time.monotonic() + PATIENCE_S
    while not (found := happens()):
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.005)
    return found


def counts(run):
    return run.restored.counts("view")


def test_a_large_result_is_asked_for_when_the_one_before_was_fetched(run, result):
    run.restored.offer(result(0, LARGE))
    until(lambda: run.feed._memory.waiting)
    for number in range(1, 5):
        run.restored.offer(result(number, LARGE))
        time.sleep(0.03)
    assert counts(run).done == 0, "another one was asked for, which says that the first is done"
    assert counts(run).dropped == 3, "each made way for a newer one before it was sent"
    assert run.feed.newest().raw.header.number == 0
    assert until(run.feed.newest).raw.header.number == 4
    assert run.feed.overwritten == 0


def test_small_results_come_as_they_are_made(run, result):
    for number in range(5):
        run.restored.offer(result(number, SMALL))
        until(lambda number=number: counts(run).done == number + 1)
    assert run.feed.newest().raw.header.number == 4
    assert run.feed.overwritten == 4


def test_raw_frames_are_not_asked_for_while_a_large_result_waits(run, result):
    run.restored.offer(result(0, LARGE))
    until(lambda: run.feed._memory.waiting)
    offered = result(1, LARGE).source
    run.raw.offer(offered)
    time.sleep(0.4)
    assert run.raw.counts("view").done == 0
    pair = run.feed.newest()
    assert pair.restored is not None
    assert pair.raw.header.number == 0
    # The engine is silent from here on: the raw frame comes by itself.
    assert until(run.feed.newest).raw.header.number == 1


def test_the_end_of_the_run_is_heard_while_a_large_result_waits(run, result):
    run.restored.offer(result(0, LARGE))
    until(lambda: run.feed._memory.waiting)
    assert until(lambda: run.hub.receive(0.1))
    run.hub.send("view", Stop())
    assert run.feed.ended.wait(PATIENCE_S)
