import dataclasses
import json

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from liverestore import wire
from liverestore.errors import Failure
from liverestore.frame import Frame, FrameHeader, Provenance, Restored
from liverestore.wire import (
    MAX_HEADER_BYTES,
    MAX_PLANES,
    End,
    Message,
    Next,
    WireError,
    decode,
    encode,
)


def make_frame(number=0, shape=(3, 5), dtype="uint16", **extra):
    pixels = (np.arange(shape[0] * shape[1]) % 251).astype(dtype).reshape(shape)
    header = FrameHeader(
        run_id="r",
        number=number,
        shape=shape,
        dtype=dtype,
        captured_ns=123,
        captured_utc="2026-01-01T00:00:00+00:00",
        camera="c",
        **extra,
    )
    return Frame(pixels, header)


def make_both():
    first = make_restored(5)
    second = msgspec.structs.replace(first.provenance, engine="other", sha256="cd")
    pixels = (first.pixels * np.float32(1.5)).astype(np.float32)
    return dataclasses.replace(first, rival=Restored(pixels, first.source, second))


def make_stack(planes=3, rival=False):
    first = make_both() if rival else make_restored(5)
    at = [{"virtual_z_um": n - 1.5} for n in range(planes)]
    told = [msgspec.structs.replace(first.provenance, parameters=numbers) for numbers in at]
    made = [
        Restored((first.pixels + n + 1).astype(first.pixels.dtype), first.source, provenance)
        for n, provenance in enumerate(told)
    ]
    return dataclasses.replace(first, planes=tuple(made))


def make_restored(number=0):
    frame = make_frame(number)
    provenance = Provenance(
        engine="e",
        version="1",
        sha256="ab",
        runtime="r",
        parameters={"gain_e_per_count": 0.5, "dpm": "plane"},
        started_ns=1,
        finished_ns=2,
        warnings=("the sign of z is unknown",),
    )
    return Restored(frame.pixels + np.uint16(7), frame, provenance)


@given(
    height=st.integers(1, 9),
    width=st.integers(1, 9),
    dtype=st.sampled_from(["uint8", "uint16", "float32"]),
    tags=st.dictionaries(st.text(max_size=9), st.text(max_size=9), max_size=4),
    z_um=st.none() | st.floats(-1e6, 1e6),
)
def test_a_frame_comes_back_as_it_left(height, width, dtype, tags, z_um):
    frame = make_frame(4, (height, width), dtype, metadata=tags, z_um=z_um)
    message = decode(encode(Message(9, frame)))
    assert isinstance(message, Message)
    assert message.serial == 9
    assert message.body.header == frame.header
    np.testing.assert_array_equal(message.body.pixels, frame.pixels)
    assert not message.body.pixels.flags.writeable


def test_a_restored_frame_brings_its_raw_frame_and_its_provenance():
    restored = make_restored(3)
    back = decode(encode(Message(1, restored))).body
    assert back.provenance == restored.provenance
    np.testing.assert_array_equal(back.pixels, restored.pixels)
    np.testing.assert_array_equal(back.source.pixels, restored.source.pixels)


def test_a_number_that_is_none_is_no_reason_to_refuse_a_picture():
    """JSON has none; it used to arrive as null, and the picture was never shown."""
    stack = make_stack()
    odd = msgspec.structs.replace(
        stack.provenance, parameters={"trust_a": float("nan"), "b": float("-inf"), "c": 1.5, "d": 2}
    )
    told = dataclasses.replace(
        stack,
        provenance=odd,
        rival=dataclasses.replace(stack, planes=(), rival=None, provenance=odd),
    )
    back = decode(encode(Message(1, told))).body
    for one in (back, back.rival):
        assert one.provenance.parameters == {"trust_a": "nan", "b": "-inf", "c": 1.5, "d": 2}
    assert len(back.planes) == len(stack.planes)


def test_two_results_of_one_frame_come_back_as_that():
    both = make_both()
    back = decode(encode(Message(1, both))).body
    assert back.rival.source is back.source
    assert back.rival.provenance == both.rival.provenance != back.provenance
    np.testing.assert_array_equal(back.pixels, both.pixels)
    np.testing.assert_array_equal(back.rival.pixels, both.rival.pixels)
    assert back.rival.pixels.dtype == np.float32
    assert not back.rival.pixels.flags.writeable
    assert back.rival.rival is None


@pytest.mark.parametrize("rival", [False, True])
@pytest.mark.parametrize("count", [1, 3, MAX_PLANES])
def test_a_virtual_stack_comes_back_plane_by_plane(rival, count):
    stack = make_stack(count, rival)
    back = decode(encode(Message(1, stack))).body
    np.testing.assert_array_equal(back.pixels, stack.pixels)
    np.testing.assert_array_equal(back.source.pixels, stack.source.pixels)
    assert (back.rival is not None) == rival
    assert len(back.planes) == count
    for plane, made in zip(back.planes, stack.planes, strict=True):
        assert plane.source is back.source
        assert plane.provenance == made.provenance
        np.testing.assert_array_equal(plane.pixels, made.pixels)
        assert not plane.pixels.flags.writeable


def test_a_stack_has_one_size_and_dtype():
    plain = make_restored()
    other = Restored(plain.pixels.astype(np.float32), plain.source, plain.provenance)
    with pytest.raises(Failure, match="one size and dtype"):
        dataclasses.replace(plain, planes=(other,))


def test_planes_that_are_too_large_together_are_refused(monkeypatch):
    parts = encode(Message(1, make_stack()))
    monkeypatch.setattr(wire, "MAX_IMAGE_BYTES", 89)
    with pytest.raises(WireError, match="virtual planes of 90 bytes, at most 89"):
        decode(parts)


def test_a_frame_that_is_not_contiguous_is_sent_in_its_own_order():
    whole = make_frame(shape=(6, 8))
    header = make_frame(shape=(6, 4)).header
    part = Frame(whole.pixels[:, ::2], header)
    np.testing.assert_array_equal(
        decode(encode(Message(0, part))).body.pixels, whole.pixels[:, ::2]
    )


def test_requests_and_ends_come_back():
    request = Next(role="engine", serial=2, acknowledges=7, outcome="failed")
    assert decode(encode(request)) == request
    assert decode(encode(Message(3, End(reason="over")))) == Message(3, End(reason="over"))


def parts_of(frame):
    return [bytes(part) for part in encode(Message(0, frame))]


def swapped(index, value):
    parts = parts_of(make_frame())
    parts[index] = value
    return parts


MALFORMED = {
    "nothing": [],
    "one part": [b"LR\x03F"],
    "another program": swapped(0, b"GET "),
    "an older version": swapped(0, b"LR\x02F"),
    "a newer version": swapped(0, b"LR\x04F"),
    "an unknown kind": swapped(0, b"LR\x03Q"),
    "a long prefix": swapped(0, b"LR\x03FF"),
    "a missing pixel part": parts_of(make_frame())[:2],
    "a pixel part too many": [*parts_of(make_frame()), b"x"],
    "truncated pixels": swapped(2, b"\0" * 29),
    "no JSON": swapped(1, b"\xff\xfe"),
    "JSON of another kind": swapped(1, b"[1, 2]"),
    "an unknown key": swapped(1, parts_of(make_frame())[1].replace(b'"serial"', b'"serail"')),
    "a dtype that is none": swapped(1, parts_of(make_frame())[1].replace(b"uint16", b"object")),
    "a negative shape": swapped(1, parts_of(make_frame())[1].replace(b"[3,5]", b"[-3,-5]")),
    "a huge shape": swapped(1, parts_of(make_frame())[1].replace(b"[3,5]", b"[99999999,99999999]")),
    "a huge header": swapped(1, b" " * (MAX_HEADER_BYTES + 1)),
    "a pickle": swapped(1, b"\x80\x04K\x01."),
}


def both(**changes):
    """The parts of two results, with some replaced, and texts of the header by others."""
    parts = [bytes(part) for part in encode(Message(0, make_both()))]
    for place, value in changes.items():
        parts[int(place[1:])] = value
    return parts


def rival_saying(**changes):
    """Two results whose header says something else of the second one; None leaves it out."""
    header = json.loads(both()[1])
    rival = {**header["rival"], **changes}
    header["rival"] = {key: value for key, value in rival.items() if value is not None}
    return both(_1=json.dumps(header).encode())


def without_rival(value):
    header = json.loads(both()[1]) | {"rival": value}
    return both(_1=json.dumps(header).encode())


MALFORMED |= {
    "no rival's pixels": both()[:4],
    "a rival's pixels in a message of one result": both(_0=b"LR\x03R"),
    "one result that claims to be two": [b"LR\x03B", *parts_of(make_restored())[1:], b"x" * 60],
    "a rival without provenance": rival_saying(provenance=None),
    "a rival with more to say": rival_saying(pixels="here"),
    "a rival cut short": both(_4=b"\0" * 59),
    "a rival of another size": rival_saying(shape=[5, 3]),
    "a rival of a huge size": rival_saying(shape=[99999999, 99999999]),
    "a rival of no size": rival_saying(shape=[0, 0]),
    "a rival of objects": rival_saying(dtype="object"),
    "a rival that is null": without_rival(None),
    "a rival that is a list": without_rival([1, 2]),
    "a rival with a rival": rival_saying(rival=json.loads(both()[1])["rival"]),
    "two rivals": [*both(), b"x" * 60],
}


def stack(rival=False, **changes):
    """The parts of a stack, with some replaced."""
    parts = [bytes(part) for part in encode(Message(0, make_stack(rival=rival)))]
    for place, value in changes.items():
        parts[int(place[1:])] = value
    return parts


def stack_saying(rival=False, **changes):
    """A stack whose header says something else."""
    header = json.loads(stack(rival)[1]) | changes
    return stack(rival, _1=json.dumps(header).encode())


PLANES = json.loads(stack()[1])["planes"]

MALFORMED |= {
    "a stack without planes": stack()[:4],
    "a stack without a plane": stack()[:-1],
    "a stack with a plane too many": [*stack(), stack()[-1]],
    "a stack with far too many planes": [*stack(), *[stack()[-1]] * MAX_PLANES],
    "a stack that tells of no plane": stack_saying(planes=[]),
    "a stack that tells of two planes": stack_saying(planes=PLANES[:2]),
    "a stack that tells of far too many": stack_saying(planes=PLANES * MAX_PLANES),
    "a stack whose planes are null": stack_saying(planes=None),
    "a stack whose planes are a number": stack_saying(planes=3),
    "a stack of planes without records": stack_saying(planes=[{}, {}, {}]),
    "a stack of planes with more to say": stack_saying(planes=[{**p, "x": 1} for p in PLANES]),
    "a stack with a plane cut short": stack(_4=b"\0" * 29),
    "a stack with a plane that is longer": stack(_4=b"\0" * 31),
    "a stack of a huge size": stack_saying(shape=[99999999, 99999999]),
    "a stack of no size": stack_saying(shape=[0, 0]),
    "a stack of objects": stack_saying(dtype="object"),
    "planes in a message of one result": stack(_0=b"LR\x03R"),
    "planes in a message of two results": stack(rival=True, _0=b"LR\x03B"),
    "a stack that lost its rival's pixels": [*stack(rival=True)[:4], *stack(rival=True)[5:]],
    "a stack that does not tell of its rival": [*stack()[:4], b"\0" * 60, *stack()[4:]],
    "two results in a message of a stack": both(_0=b"LR\x03S"),
}


def test_what_these_messages_are_made_of_is_understood():
    assert decode(rival_saying(dtype="float32")).body.rival is not None
    assert len(decode(stack_saying(planes=PLANES)).body.planes) == 3
    assert decode(stack_saying(rival=True)).body.rival is not None


def test_a_huge_picture_is_refused_before_anything_is_allocated():
    header = both()[1].replace(b"[3,5]", b"[40000,40000]")
    with pytest.raises(WireError, match="at most"):
        decode(both(_1=header))


@pytest.mark.parametrize("name", MALFORMED)
def test_a_malformed_message_is_refused_with_one_line(name):
    with pytest.raises(WireError) as caught:
        decode(MALFORMED[name])
    assert "\n" not in str(caught.value)


@given(st.lists(st.binary(max_size=64), max_size=5))
def test_random_bytes_are_refused(parts):
    with pytest.raises(WireError):
        decode(parts)


@given(st.binary(max_size=200), st.sampled_from(b"NFRBSE"))
def test_random_headers_under_a_good_prefix_are_refused(header, kind):
    pixels = {ord("F"): [b""], ord("R"): [b""] * 2, ord("B"): [b""] * 3, ord("S"): [b""] * 4}.get(
        kind, []
    )
    with pytest.raises(WireError):
        decode([b"LR\x03" + bytes([kind]), header, *pixels])
