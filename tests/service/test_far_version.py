"""A run and an engine's machine that have two versions of liverestore: each says so, once."""

import contextlib
import json
import time

import msgspec
import pytest
from far_machine import Microscope, Server, free_port, machines

from liverestore.errors import UserError
from liverestore.remote_wire import Open, decode_word, encode_word
from liverestore.service.far_wanted import opening
from liverestore.status import Failed, Notice
from liverestore.transport.engine_desk import EngineDesk, EngineLine
from liverestore.wire import VERSION


@pytest.fixture
def keys(tmp_path):
    return machines(tmp_path)


def newer(parts):
    mark, *rest = (bytes(part) for part in parts)
    return [mark[:2] + bytes([VERSION + 1]) + mark[3:], *rest]


def test_the_server_says_once_who_speaks_another_version(keys):
    scope, gpu = keys
    server = Server(gpu)
    line = EngineLine(f"tcp://127.0.0.1:{server.port}", scope.own(), gpu.own().public)
    deadline = time.monotonic() + 20
    while "up" not in line.events():
        assert time.monotonic() < deadline
        line.wait(0.05)
    answers = []
    for _ in range(3):
        line.send([b"LR" + bytes([VERSION + 1]) + b"W", b"{}"])
    while len(answers) < 3 and time.monotonic() < deadline:
        line.wait(0.05)
        while (got := line.receive()) is not None:
            answers.append(decode_word(got[0]))
    line.close()
    server.close()
    assert [type(answer) for answer in answers] == [Failed] * 3
    told = [said for said in server.lines if "not understood" in said]
    assert len(told) == 1
    assert told[0].startswith(f"scope: not understood: got wire format {VERSION + 1}")


@contextlib.contextmanager
def answering(gpu, microscope, answer):
    """Be a server that answers the first `Open` of `microscope`'s run with `answer(peer, word)`."""
    port = free_port()
    desk = EngineDesk(f"tcp://127.0.0.1:{port}", gpu.own(), lambda _key: True)
    run = microscope(port)
    try:
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            got = desk.receive(0.1)
            if got is not None:
                word = decode_word(got[1])
                if isinstance(word, Open):
                    for parts in answer(word):
                        desk.send(got[0], parts)
                    break
        yield run
    finally:
        run.close()
        desk.close()


def test_a_run_says_once_that_its_server_speaks_another_version(keys):
    scope, gpu = keys
    parts = newer(encode_word(Notice(text="hello")))
    with answering(
        gpu, lambda port: Microscope(scope, gpu.own().public, port), lambda _word: [parts] * 3
    ) as run:
        run.said(Notice, where=lambda word: "install the same version" in word.text)
        time.sleep(0.2)
        assert sum("install the same version" in word.text for word in run.words
                   if isinstance(word, Notice)) == 1  # fmt: skip


def test_a_run_that_asks_for_what_its_server_does_not_know_ends_with_the_remedy(keys):
    scope, gpu = keys
    server = Server(gpu)
    microscope = Microscope(scope, gpu.own().public, server.port)
    microscope.close()
    word, _ = opening(microscope.plan)
    told = json.loads(msgspec.json.encode(word)) | {"colour": "blue"}
    line = EngineLine(f"tcp://127.0.0.1:{server.port}", scope.own(), gpu.own().public)
    deadline = time.monotonic() + 20
    while not line.send([encode_word(word)[0], json.dumps(told).encode()]):
        assert time.monotonic() < deadline
        line.wait(0.05)
    got = None
    while got is None and time.monotonic() < deadline:
        line.wait(0.05)
        got = line.receive()
    answer = decode_word(got[0])
    line.close()
    server.close()
    assert isinstance(answer, Failed)
    assert answer.exit_code == UserError.exit_code
    assert "unknown field `colour`" in answer.text
    assert "install the same version of liverestore on both sides" in answer.text
