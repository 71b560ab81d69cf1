"""The language of pycromanager's Java bridge: objects of a running Micro-Manager, over ZeroMQ.

A request is a JSON text; the answer is one too, with an array's bytes in a message part of
its own. Spoken here and not through the library `pyjavaz`, whose calls have no time limit: a
Micro-Manager that is gone would hold the camera thread for ever. It also keeps a note for
the end of the program for every object it was ever given, which is one for each image.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np
import zmq
from numpy.typing import NDArray

from liverestore.errors import Failure
from liverestore.wire import UNREADABLE

__all__ = ["BridgeGone", "BridgeWire", "JavaObject", "JavaRefusal"]

Signature = tuple[str, ...]
"""Java's names of the types of a method's arguments."""

_ARRAYS = {"byte-array": "u1", "short-array": "u2", "int-array": "u4", "float-array": "f4"}
_JAVA_ARRAYS = {"uint8": "byte[]", "int16": "short[]", "float32": "float[]"}
_TAKES: Mapping[str, tuple[type, ...]] = {
    "boolean": (bool,),
    "byte": (int,),
    "short": (int,),
    "int": (int,),
    "long": (int,),
    "float": (int, float),
    "double": (int, float),
    "java.lang.String": (str,),
}
_FORGOTTEN = ("NullPointerException", "unknown to all ZMQ servers")
"""What the server says of an object of another life: Micro-Manager was started again."""
_MOST_BYTES = 1 << 30


class BridgeGone(Failure):
    """Nobody answered in time, or not in this language."""


class JavaRefusal(Failure):
    """Micro-Manager did not do what it was asked; its own words."""


@dataclass(frozen=True, slots=True)
class JavaObject:
    """An object that Micro-Manager keeps for us until it is given back with `forget`."""

    hash_code: str
    java_class: str
    interfaces: frozenset[str]
    methods: Mapping[str, tuple[Signature, ...]]
    """By their Java names, each with its overloads."""


class BridgeWire:
    """A conversation with the server at `port` of this machine; for one thread.

    Every question is answered within `timeout_s` or ends with `BridgeGone`, after which the
    conversation is over: close it and begin another.
    """

    def __init__(self, port: int, timeout_s: float) -> None:
        self.port = port
        self._context = zmq.Context()
        self._socket: zmq.Socket[bytes] = self._context.socket(zmq.REQ)
        self._socket.linger = 0
        self._socket.maxmsgsize = _MOST_BYTES
        self._timeout_s = timeout_s
        self._identifiers = itertools.count(1)
        self._socket.connect(f"tcp://127.0.0.1:{port}")

    def greet(self, timeout_s: float) -> str:
        """The server's version, such as "5.1.0"; to be asked first. Raises `BridgeGone`."""
        answer, _ = self._ask({"command": "connect", "debug": False}, timeout_s=timeout_s)
        return str(answer.get("version", "2.0.0"))

    def instance(self, classpath: str) -> JavaObject:
        """The one object of this class that Micro-Manager has, its core for instance.

        Raises `JavaRefusal` where it has none and `BridgeGone`.
        """
        made = self._value(
            *self._ask(
                {
                    "command": "constructor",
                    "classpath": classpath,
                    "argument-types": [],
                    "argument-deserialization-types": [],
                    "arguments": [],
                }
            )
        )
        if not isinstance(made, JavaObject):
            raise JavaRefusal(f"Micro-Manager has no {classpath}")
        return made

    def call(self, target: JavaObject, method: str, *arguments: Any) -> Any:
        """What the Java method returns: text, number, list, `JavaObject`, array or None.

        `arguments` are text, numbers, bool, `JavaObject` or flat uint8, int16 or float32
        arrays. An array that is returned is flat and read-only (uint8, uint16, uint32 or
        float32). Raises `JavaRefusal` and `BridgeGone`.
        """
        types = _signature(target, method, arguments)
        parts: list[bytes] = []
        answer, binary = self._ask(
            {
                "command": "run-method",
                "static": False,
                "hash-code": target.hash_code,
                "java_class_name": target.java_class,
                "name": method,
                "argument-types": list(types),
                "argument-deserialization-types": [
                    _JAVA_ARRAYS[argument.dtype.name] if isinstance(argument, np.ndarray) else kind
                    for kind, argument in zip(types, arguments, strict=True)
                ],
                "arguments": [self._sent(argument, parts) for argument in arguments],
            },
            parts,
        )
        return self._value(answer, binary)

    def field(self, target: JavaObject, name: str) -> Any:
        """A public field; each question is a new transfer. Values as in `call`."""
        question = {"command": "get-field", "hash-code": target.hash_code, "name": name}
        return self._value(*self._ask(question))

    def forget(self, target: JavaObject) -> None:
        """Let Micro-Manager free the object. Raises as `call` does."""
        question = {
            "command": "destructor",
            "hash-code": target.hash_code,
            "java_class_name": target.java_class,
        }
        self._ask(question)

    def close(self) -> None:
        """Hang up; safe to call twice."""
        self._context.destroy(linger=0)

    def _sent(self, argument: Any, parts: list[bytes]) -> Any:
        if isinstance(argument, JavaObject):
            return {"hash-code": argument.hash_code}
        if not isinstance(argument, np.ndarray):
            return argument
        identifier = np.int32(next(self._identifiers) % (1 << 31))
        parts += [identifier.tobytes(), argument.tobytes()]
        return f"@{identifier}_{argument.dtype.itemsize}"

    def _ask(
        self,
        question: dict[str, Any],
        parts: list[bytes] | None = None,
        *,
        timeout_s: float | None = None,
    ) -> tuple[dict[str, Any], list[bytes]]:
        wait_s = timeout_s or self._timeout_s
        try:
            self._socket.send_multipart([json.dumps(question).encode("ascii"), *(parts or [])])
            if not self._socket.poll(round(wait_s * 1e3)):
                raise BridgeGone(
                    f"Micro-Manager does not answer on port {self.port} within {wait_s:g} s"
                )
            text, *binary = self._socket.recv_multipart()
        except zmq.ZMQError as error:
            raise BridgeGone(f"Micro-Manager on port {self.port}: {error}") from None
        try:
            # Labels may hold any text, "60x@1.4" too: nothing in it is taken for a mark.
            answer = msgspec.json.decode(text.decode("iso-8859-1"), type=dict[str, Any])
        except UNREADABLE as error:
            raise BridgeGone(
                f"port {self.port}: is not Micro-Manager's, its answer is no JSON ({error})"
            ) from None
        if answer.get("type") == "exception":
            said = str(answer.get("value", "no reason given"))
            if any(sign in said for sign in _FORGOTTEN):
                raise BridgeGone(
                    f"Micro-Manager on port {self.port} knows nothing of the objects it gave: it "
                    "was started again"
                )
            raise JavaRefusal(_first_line(said))
        return answer, binary

    def _value(self, answer: dict[str, Any], binary: list[bytes]) -> Any:
        kind = answer.get("type")
        if kind in ("null", "none"):
            return None
        if kind in ("primitive", "string"):
            return answer.get("value")
        if kind == "list":
            return self._list(answer.get("value", []))
        if kind == "object" and answer.get("class") == "JSONObject":
            return _tags(answer.get("value"))
        if kind == "unserialized-object":
            return _shadow(answer)
        if isinstance(kind, str) and kind in _ARRAYS:
            return _array(kind, answer.get("value"), binary)
        raise JavaRefusal(f"Micro-Manager answered with a value of the unknown kind {kind!r}")

    def _list(self, items: Any) -> list[Any]:
        if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
            raise JavaRefusal("Micro-Manager sent a damaged list")
        try:
            return [self._value(item, []) for item in items]
        except RecursionError:
            raise JavaRefusal("Micro-Manager sent lists within lists without end") from None


def _signature(target: JavaObject, method: str, arguments: tuple[Any, ...]) -> Signature:
    for types in target.methods.get(method, ()):
        if len(types) == len(arguments) and all(map(_fits, types, arguments)):
            return types
    got = ", ".join(type(argument).__name__ for argument in arguments)
    raise JavaRefusal(f"Micro-Manager's {target.java_class} has no {method}({got})")


def _fits(kind: str, argument: Any) -> bool:
    if isinstance(argument, JavaObject):
        return kind in argument.interfaces or kind == argument.java_class
    if isinstance(argument, np.ndarray):
        return kind in ("java.lang.Object", _JAVA_ARRAYS.get(argument.dtype.name))
    if isinstance(argument, bool):
        return kind == "boolean"
    return isinstance(argument, _TAKES.get(kind, ()))


def _shadow(answer: dict[str, Any]) -> JavaObject:
    methods: dict[str, tuple[Signature, ...]] = {}
    try:
        for spec in answer.get("api", []):
            name = spec["name"]
            methods[name] = (*methods.get(name, ()), tuple(spec["arguments"]))
        return JavaObject(
            hash_code=answer["hash-code"],
            java_class=answer["class"],
            interfaces=frozenset(answer.get("interfaces", ())),
            methods=methods,
        )
    except (KeyError, TypeError) as error:
        raise JavaRefusal(
            f"Micro-Manager described an object in an unknown way ({error})"
        ) from None


def _tags(text: Any) -> dict[str, Any]:
    try:
        return msgspec.json.decode(str(text), type=dict[str, Any])
    except UNREADABLE as error:
        raise JavaRefusal(f"Micro-Manager's tags of an image are no JSON ({error})") from None


def _array(kind: str, mark: Any, binary: list[bytes]) -> NDArray[Any]:
    dtype = np.dtype(_ARRAYS[kind])
    if len(binary) != 2 or not isinstance(mark, str) or len(binary[1]) % dtype.itemsize:
        raise JavaRefusal(
            f"Micro-Manager sent a damaged array ({len(binary)} parts for the mark {mark!r})"
        )
    return np.frombuffer(binary[1], dtype)


def _first_line(text: str) -> str:
    """Of a Java stack trace, without the name of the exception's class."""
    lines = text.strip().splitlines()
    line = lines[0] if lines else "no reason given"
    name, colon, rest = line.partition(": ")
    return rest if colon and name.endswith(("Exception", "Error")) and rest else line
