"""Answers that a full queue or a server loses: the run does not wait for them for ever."""

import threading
import time

import pytest
from far_machine import Microscope, frame, free_port, machines

import liverestore.service.far_engine as far_engine
from liverestore.remote_wire import (
    Bye,
    NotRestored,
    Open,
    Opened,
    decode_word,
    encode_word,
    is_word,
)
from liverestore.service.fair_turn import FairTurn
from liverestore.service.far_wanted import opening
from liverestore.service.served_run import ServedRun
from liverestore.status import EngineReport, Notice
from liverestore.transport.engine_desk import EngineDesk, Peer
from liverestore.wire import Message, encode


@pytest.fixture
def keys(tmp_path):
    return machines(tmp_path)


class FullDesk:
    """Takes words, and loses the first picture and the first word that none will come."""

    def __init__(self):
        self.words, self.pictures, self.lost = [], 0, []

    def post(self, _peer, parts, lost=lambda: None):
        word = decode_word(parts) if is_word(parts) else None
        kind = type(word) if word is not None else "picture"
        if kind in ("picture", NotRestored) and kind not in self.lost:
            self.lost.append(kind)
            lost()
        elif word is None:
            self.pictures += 1
        else:
            self.words.append(word)

    def said(self, kind, timeout_s=30.0):
        deadline = time.monotonic() + timeout_s
        while not (found := [word for word in self.words if isinstance(word, kind)]):
            assert time.monotonic() < deadline, self.words
            time.sleep(0.01)
        return found


def test_a_run_whose_result_was_not_sent_is_told_so(keys):
    microscope = Microscope(keys[0], keys[1].own().public, free_port())
    microscope.close()
    opened, _ = opening(microscope.plan)
    desk, peer = FullDesk(), Peer(b"run", "key")
    run = ServedRun(desk, peer, opened, b"", FairTurn(), threading.Event(), lambda _line: None, 1)
    try:
        desk.said(Opened)
        run.inbox.put(peer, [bytes(part) for part in encode(Message(0, frame(5)))])
        assert [word.number for word in desk.said(NotRestored)] == [5]
        assert desk.lost == ["picture", NotRestored]
        run.inbox.put(peer, [bytes(part) for part in encode(Message(0, frame(6)))])
        deadline = time.monotonic() + 30
        while desk.pictures == 0:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        assert len(desk.said(NotRestored)) == 1
    finally:
        run.inbox.put(peer, encode_word(Bye()))
        run.join()


def test_a_frame_that_is_never_answered_is_let_go(keys, monkeypatch):
    """By a server that says other things meanwhile."""
    monkeypatch.setattr(far_engine, "_ANSWER_S", 0.3)
    scope, gpu = keys
    port = free_port()
    desk = EngineDesk(f"tcp://127.0.0.1:{port}", gpu.own(), lambda _key: True)
    microscope = Microscope(scope, gpu.own().public, port)
    frames = 0
    try:
        deadline = time.monotonic() + 30
        while frames < 2 and time.monotonic() < deadline:
            microscope.raw.offer(frame(frames))
            got = desk.receive(0.05)
            if got is None:
                continue
            peer, parts = got
            frames += not is_word(parts)
            if is_word(parts) and isinstance(decode_word(parts), Open):
                desk.send(peer, encode_word(Opened()))
            desk.send(peer, encode_word(EngineReport(engine="null", runtime="x")))
        assert frames == 2
        line = microscope.said(Notice).text
        assert "no answer to frame 0; the next is sent" in line
    finally:
        microscope.close()
        desk.close()
    counts = microscope.counts()
    assert counts.done == 0
    assert counts.dropped > 0
