import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
import zmq

import liverestore.transport.inlet as inlet_module
from liverestore.frame import Frame, FrameHeader
from liverestore.transport.endpoint import Endpoint, PrivateEndpoints
from liverestore.transport.inlet import Inlet
from liverestore.transport.outlet import Outlet
from liverestore.wire import End, WireError


def frame(number, size=8):
    header = FrameHeader(
        run_id="r",
        number=number,
        shape=(size, size),
        dtype="uint16",
        captured_ns=time.perf_counter_ns(),
        captured_utc="",
        camera="c",
    )
    return Frame(np.full((size, size), number, np.uint16), header)


@pytest.fixture(params=["private", "tcp"])
def endpoint(request):
    with PrivateEndpoints(tcp=request.param == "tcp") as endpoints:
        yield endpoints("frames")


@pytest.fixture
def outlet(endpoint):
    outlet = Outlet(endpoint, roles=("engine",))
    yield outlet
    outlet.close()


def patient(inlet, timeout_s=5.0):
    body = inlet.receive(timeout_s)
    assert body is not None, "nothing came"
    return body


def test_the_consumer_gets_the_newest_frame_and_the_account_is_exact(endpoint, outlet):
    for number in range(5):
        outlet.offer(frame(number))
    inlet = Inlet(endpoint.for_client(), "engine")
    got = patient(inlet)
    assert got.header.number == 4
    assert (got.pixels == 4).all()
    outlet.offer(frame(5))
    assert patient(inlet).header.number == 5
    outlet.finish("over", timeout_s=0.0)
    inlet.close()
    counts = outlet.counts("engine")
    # frame 5 was sent but never acknowledged
    assert (counts.offered, counts.done, counts.dropped, counts.waiting) == (6, 1, 5, 0)


def test_after_the_last_frame_comes_the_end(endpoint, outlet):
    inlet = Inlet(endpoint.for_client(), "engine")
    outlet.offer(frame(0))
    finisher = threading.Thread(target=outlet.finish, args=("over",), kwargs={"timeout_s": 5.0})
    finisher.start()
    assert patient(inlet).header.number == 0
    assert patient(inlet) == End(reason="over")
    finisher.join()
    inlet.close()
    assert outlet.counts("engine").done == 1


def test_a_frame_that_could_not_be_used_counts_as_dropped(endpoint, outlet):
    inlet = Inlet(endpoint.for_client(), "engine")
    outlet.offer(frame(0))
    patient(inlet)
    inlet.fail()
    outlet.offer(frame(1))
    assert patient(inlet).header.number == 1
    inlet.close()
    counts = outlet.counts("engine")
    assert (counts.done, counts.dropped, counts.waiting) == (0, 1, 1)


def test_a_consumer_that_dies_and_its_successor(endpoint, outlet):
    first = Inlet(endpoint.for_client(), "engine")
    outlet.offer(frame(0))
    patient(first)
    first.close()
    outlet.offer(frame(1))
    second = Inlet(endpoint.for_client(), "engine")
    assert patient(second).header.number == 1
    second.close()
    assert outlet.counts("engine").dropped == 1


def test_a_slow_consumer_slows_no_other(endpoint, outlet):
    slow, quick = Inlet(endpoint.for_client(), "slow"), Inlet(endpoint.for_client(), "quick")
    outlet.offer(frame(0))
    slow.receive(0)
    quick.receive(0)
    while outlet.counts("slow").offered == 0 or outlet.counts("quick").offered == 0:
        outlet.offer(frame(1))
        time.sleep(0.01)
    patient(slow)
    for number in range(2, 8):
        outlet.offer(frame(number))
        assert patient(quick).header.number in range(1, number + 1)
    assert outlet.counts("slow").done == 0
    slow.close()
    quick.close()


def test_who_comes_late_takes_the_place_of_one_that_went_long_ago(endpoint):
    now = [0.0]
    outlet = Outlet(endpoint, roles=("engine",), max_consumers=3, now_s=lambda: now[0])

    def comes(role):
        refused, deadline = outlet.refused, time.monotonic() + 10
        inlet = Inlet(endpoint.for_client(), role)
        while time.monotonic() < deadline and outlet.refused == refused:
            outlet.offer(frame(1))
            if inlet.receive(0.05) is not None:
                break
        inlet.close()
        return outlet.refused == refused

    assert comes("a")
    now[0] = 30.0
    assert comes("b")
    now[0] = 70.0
    assert comes("c"), "a was silent for more than a minute"
    assert not comes("d"), "b and c were there a moment ago"
    assert outlet.counts("a").offered == 0
    assert outlet.counts("b").offered > 0
    assert outlet.counts("engine").offered > 0, "its place is nobody else's"
    outlet.close()


def test_every_frame_is_accounted_for_under_load(endpoint, outlet):
    """A consumer that takes its time, a producer that does not wait for it."""
    seen = []

    def consume():
        inlet = Inlet(endpoint.for_client(), "engine")
        while not isinstance(body := inlet.receive(5.0), End):
            assert body is not None
            seen.append(body.header.number)
            time.sleep(0.002)
        inlet.close()

    consumer = threading.Thread(target=consume)
    consumer.start()
    for number in range(300):
        outlet.offer(frame(number, 64))
        time.sleep(0.0005)
    outlet.finish("over", timeout_s=5.0)
    consumer.join()
    counts = outlet.counts("engine")
    assert counts.offered == 300
    assert counts.done == len(seen)
    assert counts.done + counts.dropped == 300
    assert seen == sorted(set(seen))
    assert seen[-1] == 299


def test_a_stranger_is_not_answered(endpoint, outlet):
    with zmq.Context() as context:
        stranger = context.socket(zmq.DEALER)
        stranger.linger = 0
        endpoint.for_client().connect(stranger)
        stranger.send_multipart([b"GET / HTTP/1.1", b"hello"])
        deadline = time.monotonic() + 5
        while outlet.refused == 0 and time.monotonic() < deadline:
            time.sleep(0.01)
        assert outlet.refused == 1
        assert stranger.poll(50) == 0
        stranger.close()


def test_without_the_key_of_the_run_no_frame_is_given():
    with PrivateEndpoints(tcp=True) as endpoints:
        endpoint = endpoints("frames")
        outlet = Outlet(endpoint, roles=("engine",))
        outlet.offer(frame(0))
        thief = Inlet(Endpoint(endpoint.address), "engine")
        assert thief.receive(0.3) is None
        thief.close()
        outlet.close()


@pytest.mark.skipif(sys.platform == "win32", reason="ipc, and modes of folders, are POSIX's")
def test_the_folder_of_the_sockets_is_the_users_alone_and_goes_away():
    with PrivateEndpoints(tcp=False) as endpoints:
        address = endpoints("frames").address
        folder = Path(address.removeprefix("ipc://")).parent
        assert folder.stat().st_mode & 0o077 == 0
    assert not folder.exists()


def test_the_end_does_not_wait_for_a_view_that_went_away(endpoint, outlet):
    view = Inlet(endpoint.for_client(), "view")
    view.receive(0)
    while outlet.counts("view").offered == 0:
        outlet.offer(frame(0))
        time.sleep(0.01)
    patient(view)
    view.close()
    engine = Inlet(endpoint.for_client(), "engine")
    patient(engine)
    engine.acknowledge()
    finisher = threading.Thread(target=outlet.finish, args=("over",), kwargs={"timeout_s": 60.0})
    finisher.start()
    finisher.join(20)
    assert not finisher.is_alive()
    engine.close()


def test_an_answer_that_is_not_understood_is_asked_for_again(endpoint, outlet, monkeypatch):
    inlet = Inlet(endpoint.for_client(), "engine")
    real, broken = inlet_module.decode, []

    def decode_badly_once(parts):
        if not broken:
            broken.append(parts)
            raise WireError("damaged")
        return real(parts)

    monkeypatch.setattr(inlet_module, "decode", decode_badly_once)
    outlet.offer(frame(0))
    assert inlet.receive(1.0) is None
    outlet.offer(frame(1))
    assert patient(inlet).header.number == 1
    inlet.close()
    assert inlet.refused == 1
    assert outlet.counts("engine").dropped == 1
