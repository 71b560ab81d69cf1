"""What waits for frames is woken by a word or by a bell."""

import threading

import pytest

from liverestore.status import SetZStack
from liverestore.transport.bell import Bell
from liverestore.transport.control import ControlHub, ControlLink
from liverestore.transport.endpoint import PrivateEndpoints
from liverestore.transport.inlet import Inlet

FOREVER_S = 3600.0


@pytest.fixture
def endpoints():
    with PrivateEndpoints() as endpoint:
        yield endpoint


def received(endpoint, beside, then):
    """What `receive` gives when `beside` wakes it, and what is done in its thread afterwards."""
    got = []

    def wait():
        inlet = Inlet(endpoint.for_client(), "engine", beside=(beside,))
        got.append(inlet.receive(FOREVER_S))
        got.append(then())
        inlet.close()

    thread = threading.Thread(target=wait, daemon=True)
    thread.start()
    yield
    thread.join(30)
    assert not thread.is_alive(), "it slept on"
    yield got


def test_a_bell_wakes_from_another_thread_and_rings_once(endpoints):
    bell = Bell()
    waiting = received(endpoints("raw"), bell, bell.clear)
    next(waiting)
    bell.ring()
    bell.ring()
    assert next(waiting) == [None, None]
    assert not bell.socket.poll(0)
    bell.ring()
    assert bell.socket.poll(0)
    bell.close()
    bell.ring()  # nobody waits any more


def test_a_word_wakes(endpoints):
    hub = ControlHub(endpoints("control"))
    link = ControlLink(endpoints("control").for_client(), "engine")
    link.send(SetZStack(text=None))  # the hub knows its name then
    assert hub.receive(20.0)
    waiting = received(endpoints("raw"), link, lambda: link.receive(0))
    next(waiting)
    hub.send("engine", SetZStack(text="0:2:1"))
    assert next(waiting) == [None, [SetZStack(text="0:2:1")]]
    link.close()
    hub.close()
