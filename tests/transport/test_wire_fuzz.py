"""Malformed and well-formed but insane messages: refused in one line, and nothing else happens."""

import ast
import json
import time
import tracemalloc
from pathlib import Path

import msgspec
import pytest
import zmq
from far_machine import Microscope, Server, frame, machines
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from wire_seeds import CONTROL, DEEP, LINK, RESULT, RESULTS, SEEDS, WORDS, places, put
from wire_seeds import INSANE as INSANE_VALUES

from liverestore import wire
from liverestore.frame import Restored
from liverestore.remote_wire import Bye, decode_result, decode_word, encode_word
from liverestore.status import Notice, Word
from liverestore.transport.control import ControlHub, ControlLink, Unread
from liverestore.transport.endpoint import PrivateEndpoints
from liverestore.transport.engine_desk import EngineLine
from liverestore.transport.inlet import Inlet
from liverestore.transport.outlet import Outlet
from liverestore.wire import End, Message, WireError, decode, encode

LIMIT_BYTES = 8 << 20
"""That decoding one of these small messages may allocate: some times the largest header."""
SLOW = (HealthCheck.too_slow, HealthCheck.data_too_large)


INSANE = st.sampled_from(INSANE_VALUES)
JUNK = st.sampled_from(
    [b"", b"\x00", b"\xff" * 7, b"{}", b"null", b"NaN", DEEP, b'"\\ud800"', b"\x80\x04K\x01.",
     b"9" * 4000, b'{"a":' + DEEP + b',"type":"Stop"}']
)  # fmt: skip


@st.composite
def mutated(draw, from_seeds):
    """A good message with some things made bad."""
    parts = list(draw(st.sampled_from(from_seeds)))
    for _ in range(draw(st.integers(1, 3))):
        how = draw(st.sampled_from(["value", "value", "value", "junk", "cut", "drop", "double"]))
        place = draw(st.integers(0, max(0, len(parts) - 1)))
        if not parts:
            break
        if how == "value" and len(parts) > 1:
            try:
                tree = json.loads(parts[1])
            except (ValueError, RecursionError):
                continue
            path = draw(st.sampled_from(list(places(tree))))
            parts[1] = json.dumps(put(tree, path, draw(INSANE))).encode()
        elif how == "junk":
            parts[place] = draw(JUNK | st.binary(max_size=40))
        elif how == "cut":
            parts[place] = parts[place][: draw(st.integers(0, len(parts[place])))]
        elif how == "drop":
            del parts[place]
        elif how == "double":
            parts.insert(place, parts[place])
    return parts


def refused(call):
    """What `call` gives; None where it refused in one line. Anything else fails."""
    said = ""
    tracemalloc.start()
    try:
        made = call()
    except WireError as refusal:
        made, said = None, str(refusal)
    finally:
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert peak < LIMIT_BYTES
    assert "\n" not in said
    assert len(said) < 500
    return made


@settings(max_examples=300, suppress_health_check=SLOW, deadline=None)
@given(mutated(SEEDS))
def test_a_mutated_message_is_refused_or_whole(parts):
    message = refused(lambda: decode(parts))
    if message is not None:
        again = decode([bytes(part) for part in encode(message)])
        if isinstance(message, Message):
            assert again.serial == message.serial
        else:
            assert again == message


@settings(max_examples=150, suppress_health_check=SLOW, deadline=None)
@given(mutated(LINK))
def test_a_mutated_word_is_refused_or_whole(parts):
    word = refused(lambda: decode_word(parts))
    if word is not None:
        assert decode_word(encode_word(word)) == word


@settings(max_examples=150, suppress_health_check=SLOW, deadline=None)
@given(mutated(RESULTS))
def test_a_mutated_result_is_refused_or_of_its_frame(parts):
    made = refused(lambda: decode_result(parts, lambda _number: RESULT.source, 10))
    assert made is None or made.source is RESULT.source


@pytest.mark.parametrize("header", [DEEP, b'{"a":' + DEEP + b',"type":"Ping","frame":{}}'])
def test_brackets_without_end_are_refused_by_every_decoder(header):
    for mark, *_pixels in SEEDS:
        assert refused(lambda mark=mark: decode([mark, header, b""])) is None
    assert refused(lambda: decode_word([LINK[0][0], header])) is None
    result = [RESULTS[0][0], header, b"", b""]
    assert refused(lambda: decode_result(result, lambda _number: RESULT.source, 10)) is None


def test_a_picture_that_lies_about_its_size_costs_no_memory():
    header = SEEDS[1][1].replace(b"[4,6]", b"[30000,17000]")
    assert refused(lambda: decode([SEEDS[1][0], header, SEEDS[1][2]])) is None


def examples(strategy, count, seed):
    """`count` examples, the same ones in each run."""
    found = []

    @settings(max_examples=count, database=None, derandomize=True, suppress_health_check=SLOW,
              deadline=None)  # fmt: skip
    @given(strategy)
    def collect(parts):
        found.append(parts)

    collect()
    assert len(found) >= count // 2, seed
    return found


@pytest.fixture
def endpoint():
    with PrivateEndpoints() as endpoints:
        yield endpoints("frames")


@pytest.fixture
def hostile():
    """A socket that says anything to anybody."""
    context = zmq.Context()
    sockets = []

    def make(kind, identity=None):
        sock = context.socket(kind)
        sock.linger = 0
        sock.sndhwm = sock.rcvhwm = 0
        if identity is not None:
            sock.identity = identity
        sockets.append(sock)
        return sock

    yield make
    for sock in sockets:
        sock.close()
    context.term()


def test_an_outlet_goes_on_serving_whatever_it_is_sent(endpoint, hostile):
    outlet = Outlet(endpoint, roles=("engine",))
    sock = hostile(zmq.DEALER)
    endpoint.for_client().connect(sock)
    sent = examples(mutated(SEEDS), 300, "outlet")
    for parts in sent:
        sock.send_multipart(parts or [b""])
    inlet = Inlet(endpoint.for_client(), "another")
    deadline = time.monotonic() + 30
    got = None
    while got is None and time.monotonic() < deadline:
        outlet.offer(frame(1))
        got = inlet.receive(0.05)
    assert got.header.number == 1
    # A part that is too large ends the connection, and what was sent after it is lost.
    assert outlet.refused > 20
    inlet.close()
    outlet.close()


def test_an_inlet_is_not_held_up_by_a_flood_of_answers(endpoint, hostile):
    router = hostile(zmq.ROUTER)
    endpoint.bind(router)
    inlet = Inlet(endpoint.for_client(), "engine")
    assert inlet.receive(0.2) is None
    identity, *_ = router.recv_multipart()
    answer = [bytes(part) for part in encode(Message(10**9, End(reason="not yours")))]
    for parts in examples(mutated(SEEDS[1:]), 100, "inlet") + [answer] * 20_000:
        router.send_multipart([identity, *(parts or [b""])])
    assert inlet.receive(0.0) is None or inlet.refused == 0
    for _ in range(2000):
        inlet.receive(0.001)
        if not inlet.socket.poll(0):
            break
    while router.poll(50):
        identity, *parts = router.recv_multipart()
        serial = decode(parts).serial
    good = Message(serial, frame(5))
    router.send_multipart([identity, *(bytes(part) for part in encode(good))])
    assert inlet.receive(10).header.number == 5
    assert inlet.refused > 20
    inlet.close()


def test_the_control_channel_hears_the_next_good_word(endpoint, hostile):
    hub = ControlHub(endpoint)
    sock = hostile(zmq.DEALER, b"\xff\xfe")
    endpoint.for_client().connect(sock)
    for parts in examples(mutated(CONTROL), 200, "control"):
        sock.send_multipart(parts[1:2] or [DEEP])
    sock.send(b'{"a":' + DEEP + b',"type":"Stop"}')
    link = ControlLink(endpoint.for_client(), "view")
    link.send(Notice(text="here"))
    heard = []
    deadline = time.monotonic() + 20
    while ("view", Notice(text="here")) not in heard and time.monotonic() < deadline:
        heard += hub.receive(0.1)
    assert ("view", Notice(text="here")) in heard
    assert all(isinstance(word, Word | Unread) for _, word in heard)
    link.close()
    hub.close()


def test_a_flood_of_words_holds_up_nobody(endpoint, hostile):
    hub = ControlHub(endpoint)
    sock = hostile(zmq.DEALER, b"view")
    endpoint.for_client().connect(sock)
    for _ in range(5000):
        sock.send(b"no word")
    assert hub.receive(5.0) == []
    hub.close()


def runs_and_ends(line, server, timeout_s=40.0):
    """Whether a run that is asked for now begins and ends properly at `server`."""
    rig = msgspec.structs.replace(WORDS[0].rig, name="the last")
    last = msgspec.structs.replace(WORDS[0], engines={}, rig=rig, session="l" * 32)
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        # What still runs is ended, and says nothing against the next one.
        for word in (Bye(), last, Bye()):
            line.send(encode_word(word))
        line.wait(0.1)
        while line.receive() is not None:
            continue
        if any("'the last' has ended" in said for said in server.lines):
            return True
    raise AssertionError(server.lines)


def test_an_engine_server_serves_the_next_run_whatever_it_is_sent(tmp_path):
    """By a machine that it knows: a stranger's bytes do not come so far."""
    scope, gpu = machines(tmp_path)
    server = Server(gpu)
    try:
        line = EngineLine(f"tcp://127.0.0.1:{server.port}", scope.own(), gpu.own().public)
        while "up" not in line.events():
            line.wait(0.05)
        bad = examples(mutated(LINK), 60, "server") + examples(
            mutated([*SEEDS, *RESULTS]), 60, "server"
        )
        opened = [
            bytes(part) for part in encode_word(msgspec.structs.replace(WORDS[0], engines={}))
        ]
        for parts in [*bad, opened, *bad, opened]:
            deadline = time.monotonic() + 20
            while not line.send(parts or [b""]) and time.monotonic() < deadline:
                line.wait(0.01)
            while line.receive() is not None:
                continue
        assert runs_and_ends(line, server)
        line.close()
        microscope = Microscope(scope, gpu.own().public, server.port)
        made, _ = microscope.shoot(lambda made: isinstance(made, Restored))
        assert made.provenance.engine == "null"
        microscope.close()
    finally:
        server.close()


ROOT = Path(wire.__file__).parent
UNSAFE = {"pickle", "cPickle", "marshal", "shelve", "dill", "cloudpickle", "joblib"}


def test_nothing_that_was_written_by_others_is_ever_unpickled():
    found = []
    for file in ROOT.rglob("*.py"):
        text = file.read_text(encoding="utf-8")
        if not any(word in text for word in (*UNSAFE, "torch.load", "send_pyobj")):
            continue
        for node in ast.walk(ast.parse(text)):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom):
                names = [node.module or ""]
            found += [f"{file.name} imports {n}" for n in names if n.split(".")[0] in UNSAFE]
            if isinstance(node, ast.Call):
                told = {word.arg: getattr(word.value, "value", None) for word in node.keywords}
                called = getattr(node.func, "attr", "")
                if told.get("allow_pickle") or (called == "send_pyobj"):
                    found.append(f"{file.name}:{node.lineno} unpickles")
                if called == "load" and getattr(node.func.value, "id", "") == "torch":
                    assert told.get("weights_only") is True, f"{file.name}:{node.lineno}"
    assert found == []
