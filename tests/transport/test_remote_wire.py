import dataclasses

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from liverestore.errors import Failure
from liverestore.frame import Frame, FrameHeader, Provenance, Restored
from liverestore.remote_wire import (
    Bye,
    NotRestored,
    Open,
    Ping,
    decode_result,
    decode_word,
    encode_result,
    encode_word,
    is_word,
    stack_follows,
)
from liverestore.rig import load_rig
from liverestore.rig_server import is_text_surface
from liverestore.wire import WireError

YEARS_NS = 10**17


def restored(started_ns=YEARS_NS, finished_ns=YEARS_NS + 30, planes=0, rival=False):
    header = FrameHeader(
        run_id="r", number=7, shape=(3, 4), dtype="uint16", captured_ns=50, captured_utc="",
        camera="c",
    )  # fmt: skip
    source = Frame(np.arange(12, dtype=np.uint16).reshape(3, 4), header)
    provenance = Provenance(
        engine="e", version="1", sha256="", runtime="r", parameters={},
        started_ns=started_ns, finished_ns=finished_ns,
    )  # fmt: skip
    made = Restored(source.pixels + np.uint16(1), source, provenance)
    later = msgspec.structs.replace(provenance, started_ns=finished_ns, finished_ns=finished_ns + 5)
    more = Restored(source.pixels + np.uint16(2), source, later)
    return dataclasses.replace(made, rival=more if rival else None, planes=(more,) * planes)


@pytest.mark.parametrize(("planes", "rival"), [(0, False), (0, True), (2, False), (2, True)])
def test_a_result_comes_back_without_its_raw_pixels_having_travelled(planes, rival):
    made = restored(planes=planes, rival=rival)
    parts = encode_result(made)
    assert bytes(parts[2]) == b""
    back = decode_result(parts, lambda number: {7: made.source}[number], 1000)
    assert back.source is made.source
    np.testing.assert_array_equal(back.pixels, made.pixels)
    assert len(back.planes) == planes
    assert (back.rival is not None) == rival
    assert all(plane.source is made.source for plane in back.planes)


def test_a_picture_says_that_its_stack_follows():
    made = restored()
    parts = encode_result(made, follows=True)
    assert stack_follows(parts)
    assert not stack_follows(encode_result(made))
    back = decode_result(parts, lambda _n: made.source, 1000)
    np.testing.assert_array_equal(back.pixels, made.pixels)
    parts[2] = b"++"
    with pytest.raises(WireError):
        decode_result(parts, lambda _n: made.source, 1000)


@given(st.integers(-(10**18), 10**18), st.integers(0, 10**9), st.integers(0, 10**15))
def test_the_other_machines_clock_does_not_matter(started_ns, took_ns, received_ns):
    made = restored(started_ns, started_ns + took_ns)
    back = decode_result(encode_result(made), lambda _n: made.source, received_ns)
    assert back.provenance.finished_ns == received_ns
    assert back.provenance.started_ns == received_ns - took_ns
    assert back.source.header.captured_ns == 50


def test_the_last_of_several_results_ends_when_it_came():
    made = restored(planes=1)
    back = decode_result(encode_result(made), lambda _n: made.source, 1000)
    assert back.planes[0].provenance.finished_ns == 1000
    assert back.provenance.finished_ns == 995


def test_a_result_of_a_frame_that_nobody_knows_is_left_out():
    assert decode_result(encode_result(restored()), lambda _n: None, 0) is None


def test_a_result_that_does_not_fit_its_frame_is_refused():
    made = restored()
    header = msgspec.structs.replace(made.source.header, shape=(4, 3))
    other = Frame(np.zeros((4, 3), np.uint16), header)
    with pytest.raises(Failure):
        decode_result(encode_result(made), lambda _n: other, 0)


def test_words_come_back():
    rig = load_rig("demo_two_channels")
    word = Open(session="s" * 32, rig=rig, engine="mean5", engines={"a": "median5"}, dpm="2")
    assert decode_word(encode_word(word, b"maps")) == word
    for word in (Ping(), Bye(), NotRestored(number=3)):
        assert is_word(encode_word(word))
        assert decode_word(encode_word(word)) == word


@pytest.mark.parametrize(
    "parts",
    [[], [b"LR\x03W"], [b"LR\x02W", b"{}"], [b"LR\x03W", b"{}"], [b"LR\x03W", b"\xff"],
     [b"LR\x03W", b'{"type":"Ping"}', b"x"], [b"LR\x03W", b'{"type":"Ping","x":1}'],
     [b"LR\x03W", b'{"type":"Stop"}'], [b"LR\x03W", b'{"type":"Open","session":"s"}'],
     [b"LR\x03W", b" " * ((1 << 20) + 1)], [b"LR\x03W", b"[" * 100_000]],
)  # fmt: skip
def test_what_is_no_word_is_refused_in_one_line(parts):
    with pytest.raises(WireError) as caught:
        decode_word(parts)
    assert "\n" not in str(caught.value)


SURFACES = (
    "2",
    "-1e-3",
    "plane:0,0.1,0",
    "plane:0,1,0 + sphere:-2,400",
    "points:smooth;1,2,3;4,5,6",
    "points:1,2,3;4,5,6;7,8,9",
)


@pytest.mark.parametrize("text", SURFACES)
def test_a_surface_of_words_and_numbers_travels(text):
    assert is_text_surface(text)


@pytest.mark.parametrize("text", ["map.npy", "/etc/passwd", "1 + a.tif", "~x", "c:\\a.npy", ""])
def test_a_surface_that_may_be_a_file_does_not(text):
    assert not is_text_surface(text)
