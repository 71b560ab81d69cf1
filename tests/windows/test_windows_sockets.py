"""Sockets as on Windows: loopback TCP behind CURVE, no ipc, and a loop that waits for no socket."""

import asyncio
import functools
import socket
import sys
import time

import pytest
import zmq
from far_machine import free_port, machines
from typer.testing import CliRunner

from liverestore.cli import run as run_module
from liverestore.cli.commands import app
from liverestore.errors import Failure, UserError
from liverestore.movie import open_movie
from liverestore.transport import endpoint as endpoint_module
from liverestore.transport.endpoint import PrivateEndpoints
from liverestore.transport.engine_desk import EngineDesk, EngineLine


class Proactor(asyncio.SelectorEventLoop):
    """As the loop of Windows: it cannot wait for a socket of ZeroMQ."""

    def add_reader(self, *_):
        raise NotImplementedError

    add_writer = add_reader


def hears(line, wanted):
    deadline = time.monotonic() + 10
    seen = []
    while wanted not in seen and time.monotonic() < deadline:
        seen += line.events()
        time.sleep(0.01)
    return wanted in seen


@pytest.fixture
def desk_that_asks(tmp_path):
    """`make(allowed)`: the desk, and a line of an authorised machine to it."""
    scope, gpu = machines(tmp_path)
    opened = []

    def make(allowed):
        address = f"tcp://127.0.0.1:{free_port()}"
        desk = EngineDesk(address, gpu.own(), allowed)
        line = EngineLine(address, scope.own(), gpu.own().public)
        opened.extend((line, desk))
        return desk, line

    yield make
    for end in opened:
        end.close()


def test_engines_are_served_where_no_loop_can_wait_for_sockets(monkeypatch, desk_that_asks):
    monkeypatch.setattr(asyncio, "new_event_loop", Proactor)
    asked = []
    desk, line = desk_that_asks(lambda key: asked.append(key) or True)
    assert hears(line, "up")
    assert line.send([b"hello"])
    peer, parts = desk.receive(10)
    assert bytes(parts[0]) == b"hello"
    assert [peer.key.encode()] == asked


def test_a_list_of_machines_that_is_broken_lets_nobody_in_until_it_is_mended(desk_that_asks):
    answers = [UserError("authorised.keys cannot be read")]

    def allowed(_key):
        if answers:
            raise answers[0]
        return True

    _, line = desk_that_asks(allowed)
    assert hears(line, "unknown key")
    answers.clear()
    line.again()
    assert hears(line, "up")


# -- the run's own endpoints ----------------------------------------------------------------


def test_no_port_is_given_twice_before_anything_is_bound(monkeypatch):
    ports = iter([5001, 5001, 5001, 5002])
    monkeypatch.setattr(endpoint_module, "_free_port", lambda: next(ports))
    with PrivateEndpoints(tcp=True) as endpoint:
        addresses = [endpoint(name).address for name in ("control", "raw")]
    assert addresses == ["tcp://127.0.0.1:5001", "tcp://127.0.0.1:5002"]


@pytest.fixture
def taken():
    """An endpoint of a run whose port a process that died still holds, and what holds it."""
    with PrivateEndpoints(tcp=True) as endpoint, socket.socket() as holder:
        end = endpoint("restored")
        holder.bind(("127.0.0.1", int(end.address.rpartition(":")[2])))
        holder.listen()
        yield end, holder


def test_a_process_that_is_started_again_waits_for_its_port(taken, monkeypatch):
    end, holder = taken
    waited = []

    def freed(pause_s):
        waited.append(pause_s)
        if len(waited) == 3:
            holder.close()

    monkeypatch.setattr(endpoint_module.time, "sleep", freed)
    with zmq.Context() as context, context.socket(zmq.ROUTER) as sock:
        end.bind(sock)
    assert len(waited) == 3


def test_a_port_that_stays_taken_is_said(taken, monkeypatch):
    monkeypatch.setattr(endpoint_module.time, "sleep", lambda _s: None)
    refusal = pytest.raises(Failure, match=r"cannot open tcp://127\.0\.0\.1.*in use")
    with zmq.Context() as context, context.socket(zmq.ROUTER) as sock, refusal:
        taken[0].bind(sock)


def test_on_windows_the_endpoints_are_ports_that_only_their_key_opens():
    assert PrivateEndpoints.__init__.__kwdefaults__ == {"tcp": sys.platform == "win32"}
    with PrivateEndpoints(tcp=True) as endpoint:
        end = endpoint("raw")
    assert end.address.startswith("tcp://127.0.0.1:")
    assert end.public_key
    assert end.for_client().secret_key is None


def test_a_whole_small_run_goes_over_loopback_tcp(monkeypatch, tmp_path):
    """The real processes, spawned; every frame is recorded, and each restored one arrives."""
    monkeypatch.setattr(
        run_module, "PrivateEndpoints", functools.partial(PrivateEndpoints, tcp=True)
    )
    made, gather = [], run_module.RunEndpoints
    monkeypatch.setattr(
        run_module, "RunEndpoints", lambda *ends: made.extend(ends) or gather(*ends)
    )
    done = CliRunner().invoke(
        app,
        ["live", "--rig", "demo", "--engine", "mean5", "--headless", "--frames", "5", "--save",
         str(tmp_path / "out"), "--format", "ome-tiff"],
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    assert [end.address[:16] for end in made] == ["tcp://127.0.0.1:"] * 3
    with open_movie(tmp_path / "out" / "raw.ome.tif") as movie:
        assert len(movie) == 5
    with open_movie(tmp_path / "out" / "restored.ome.tif") as movie:
        assert movie.record(0).provenance.engine == "mean5"
