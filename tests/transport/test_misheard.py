"""Ends of a link that speak two versions: counted, and told once."""

import time

import pytest
import zmq
from far_machine import frame

import liverestore.service.understood as understood
from liverestore.errors import Failure
from liverestore.remote_wire import decode_result, decode_word
from liverestore.service.understood import check_understood
from liverestore.status import Notice
from liverestore.transport.control import ControlHub, ControlLink, Unread
from liverestore.transport.endpoint import PrivateEndpoints
from liverestore.transport.inlet import Inlet
from liverestore.transport.outlet import Outlet
from liverestore.wire import VERSION, Message, Next, WireError, decode, encode


@pytest.fixture
def endpoint():
    with PrivateEndpoints() as endpoints:
        yield endpoints("frames")


@pytest.fixture
def other():
    """A socket of another version."""
    context = zmq.Context()
    sockets = []

    def make(kind):
        sock = context.socket(kind)
        sock.linger = 0
        sockets.append(sock)
        return sock

    yield make
    for sock in sockets:
        sock.close()
    context.term()


def newer(message):
    """`message` as the next version would begin it."""
    mark, *rest = (bytes(part) for part in encode(message))
    return [mark[:2] + bytes([VERSION + 1]) + mark[3:], *rest]


def waited_for(what, timeout_s=20.0):
    deadline = time.monotonic() + timeout_s
    while (found := what()) is None or found is False:
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.01)
    return found


def test_an_outlet_says_once_that_a_request_is_not_understood(endpoint, other):
    outlet = Outlet(endpoint, roles=("engine",))
    sock = other(zmq.DEALER)
    endpoint.for_client().connect(sock)
    for serial in range(3):
        sock.send_multipart(newer(Next(role="engine", serial=serial)))
    line = waited_for(outlet.refusal)
    assert f"got wire format {VERSION + 1}, this program speaks {VERSION}" in line
    assert "gets none" in line
    waited_for(lambda: outlet.refused == 3)
    assert outlet.refusal() is None
    outlet.offer(frame(1))
    inlet = Inlet(endpoint.for_client(), "engine")
    assert inlet.receive(10.0).header.number == 1, "who speaks this version is served"
    inlet.close()
    outlet.close()


def test_an_inlet_that_understands_nothing_does_not_go_on_for_ever(endpoint, other, monkeypatch):
    router = other(zmq.ROUTER)
    endpoint.bind(router)
    inlet = Inlet(endpoint.for_client(), "engine")
    assert (inlet.refused, inlet.refusal, inlet.deaf_s) == (0, None, 0.0)

    def answer(make):
        # Asking is repeated, so that more requests than one may wait.
        inlet.receive(0)
        identity, *parts = router.recv_multipart()
        router.send_multipart([identity, *make(Message(decode(parts).serial, frame(7)))])

    for count in (1, 2, 3):
        answer(newer)
        waited_for(lambda count=count: inlet.receive(0.05) is None and inlet.refused >= count)
        time.sleep(0.02)
    assert f"got wire format {VERSION + 1}" in inlet.refusal
    assert inlet.deaf_s > 0
    check_understood(inlet)
    monkeypatch.setattr(understood, "_PATIENCE_S", 0.0)
    with pytest.raises(Failure, match=r"no frame was understood \(got wire format"):
        check_understood(inlet)
    got = None
    deadline = time.monotonic() + 20
    while got is None and time.monotonic() < deadline:
        answer(lambda message: [bytes(part) for part in encode(message)])
        got = inlet.receive(0.5)
    assert got.header.number == 7
    assert inlet.deaf_s == 0
    check_understood(inlet)
    inlet.close()


def test_a_process_says_once_that_it_does_not_understand_the_run(endpoint, other):
    router = other(zmq.ROUTER)
    endpoint.bind(router)
    link = ControlLink(endpoint.for_client(), "engine")
    link.send(Notice(text="here"))
    identity, _ = router.recv_multipart()
    for _ in range(3):
        router.send_multipart([identity, b'{"type":"SetLaser","on":true}'])
    waited_for(lambda: link.receive(0.05) == [] and link.refused == 3)
    told = router.recv_multipart()[1]
    assert b"engine: a word of the run is not understood" in told
    assert not router.poll(100)
    link.close()


def test_the_hub_hands_on_what_is_no_word(endpoint, other):
    hub = ControlHub(endpoint)
    sock = other(zmq.DEALER)
    sock.identity = b"capture"
    endpoint.for_client().connect(sock)
    sock.send(b'{"type":"CaptureReport","phase":"ready","temperature_c":1}')
    ((name, word),) = hub.receive(10.0)
    assert name == "capture"
    assert isinstance(word, Unread)
    assert "temperature_c" in word.why
    hub.close()


def test_an_engine_of_another_version_is_named_before_all_else():
    mark = b"LR" + bytes([VERSION + 1])
    with pytest.raises(WireError, match="install the same version"):
        decode_word([mark + b"W", b"{}"])
    with pytest.raises(WireError, match="install the same version"):
        decode_result([mark + b"R", b"{}", b"", b""], lambda _number: None, 0)
    with pytest.raises(WireError, match="install the same version"):
        decode_word([b"LR" + bytes([VERSION]) + b"W", b'{"type":"Ping","more":1}'])
