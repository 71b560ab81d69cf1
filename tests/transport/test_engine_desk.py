"""The connection to another machine: who gets in, and what is noticed of its loss."""

import time

import pytest
import zmq
from far_machine import free_port, machines

from liverestore.errors import Failure, UserError
from liverestore.transport.engine_desk import EngineDesk, EngineLine, check_address
from liverestore.transport.machine_keys import KeyFolder


@pytest.fixture
def two(tmp_path):
    return machines(tmp_path)


@pytest.fixture
def desk(two):
    _, gpu = two
    known = {key.z85 for key in gpu.authorised().values()}
    address = f"tcp://127.0.0.1:{free_port()}"
    desk = EngineDesk(address, gpu.own(), lambda key: key in known)
    desk.address = address
    yield desk
    desk.close()


def events_of(line, wanted, timeout_s=10.0):
    deadline = time.monotonic() + timeout_s
    seen = []
    while wanted not in seen and time.monotonic() < deadline:
        seen += line.events()
        time.sleep(0.01)
    return seen


def test_a_machine_that_is_known_is_heard_and_answered(two, desk):
    scope, gpu = two
    line = EngineLine(desk.address, scope.own(), gpu.own().public)
    assert "up" in events_of(line, "up")
    assert line.send([b"hello", b"there"])
    peer, parts = desk.receive(10)
    assert peer.key == scope.own().public.z85.decode()
    assert [bytes(part) for part in parts] == [b"hello", b"there"]
    assert desk.send(peer, [b"you too"])
    line.wait(10)
    deadline = time.monotonic() + 10
    while (got := line.receive()) is None and time.monotonic() < deadline:
        line.wait(0.1)
    assert bytes(got[0][0]) == b"you too"
    line.again()
    assert "up" in events_of(line, "up")
    line.close()


def test_an_unknown_key_gets_nothing_and_is_told_so(two, desk, tmp_path):
    _, gpu = two
    stranger = KeyFolder(tmp_path / "stranger").own_or_new("stranger")
    line = EngineLine(desk.address, stranger, gpu.own().public)
    assert "unknown key" in events_of(line, "unknown key")
    assert not line.send([b"hello"])
    assert desk.receive(0.3) is None
    line.close()


def test_a_line_to_a_machine_with_another_key_never_comes_up(two, desk, tmp_path):
    """The run's frames go to nobody who cannot prove to be the engine's machine."""
    scope, _ = two
    other = KeyFolder(tmp_path / "other").own_or_new("other").public
    line = EngineLine(desk.address, scope.own(), other)
    assert "up" not in events_of(line, "up", timeout_s=1.0)
    assert not line.send([b"a frame"])
    assert desk.receive(0.1) is None
    line.close()


def test_who_has_no_key_at_all_gets_nothing(desk):
    with zmq.Context() as context:
        plain = context.socket(zmq.DEALER)
        plain.linger = 0
        plain.connect(desk.address)
        plain.send(b"hello")
        assert desk.receive(0.7) is None
        assert plain.poll(0) == 0
        plain.close()


def test_a_machine_that_went_away_takes_nothing(two, desk):
    scope, gpu = two
    line = EngineLine(desk.address, scope.own(), gpu.own().public)
    assert "up" in events_of(line, "up")
    line.send([b"hello"])
    peer, _ = desk.receive(10)
    line.close()
    deadline = time.monotonic() + 10
    while desk.send(peer, [b"x"]) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not desk.send(peer, [b"x"])


def test_an_address_that_is_taken_is_said(two, desk):
    _, gpu = two
    with pytest.raises(Failure, match="in use"):
        EngineDesk(desk.address, gpu.own(), lambda _key: False)


@pytest.mark.parametrize(
    "address", ["", "gpu:5571", "ipc:///tmp/x", "tcp://:1", "tcp://gpu", "tcp://gpu:0",
                "tcp://gpu:70000", "tcp://gpu:x", "inproc://x"],
)  # fmt: skip
def test_an_address_that_is_none_is_refused(address):
    with pytest.raises(UserError, match="tcp://HOST:PORT"):
        check_address(address)
