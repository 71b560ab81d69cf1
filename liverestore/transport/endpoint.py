"""Addresses that only the user's own processes can reach.

On Linux and macOS an `ipc` socket in a folder of mode 0700. On Windows, where ZeroMQ
may lack ipc, a loopback TCP port behind CURVE: the server's public key is made for the
run and handed to its processes alone, and without it no handshake succeeds.
"""

from __future__ import annotations

import itertools
import socket
import sys
import time
from dataclasses import dataclass
from types import TracebackType

import zmq

from liverestore.errors import Failure
from liverestore.transport.private_folder import PrivateFolder

__all__ = ["Endpoint", "PrivateEndpoints"]

_ATTEMPTS = 30
_AGAIN_S = 0.1


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where a socket binds or connects, and the CURVE key pair of its server."""

    address: str
    public_key: bytes | None = None
    secret_key: bytes | None = None

    def for_client(self) -> Endpoint:
        """The same without the server's secret."""
        return Endpoint(self.address, self.public_key)

    def bind(self, sock: zmq.Socket[bytes]) -> None:
        """Bind `sock` here.

        Raises `Failure` when the address is taken. A port of a run is tried for some seconds: on
        Windows it stays taken until the connections are gone of a process that died with it.
        """
        if self.secret_key is not None:
            sock.curve_server = True
            sock.curve_secretkey = self.secret_key
        pauses = itertools.repeat(_AGAIN_S, _ATTEMPTS if self.secret_key is not None else 0)
        while True:
            try:
                sock.bind(self.address)
                return
            except zmq.ZMQError as error:
                pause_s = next(pauses, None)
                if error.errno != zmq.EADDRINUSE or pause_s is None:
                    raise Failure(f"cannot open {self.address}: {error.strerror}") from error
            time.sleep(pause_s)

    def connect(self, sock: zmq.Socket[bytes]) -> None:
        """Connect `sock` to here; the server need not exist yet."""
        if self.public_key is not None:
            public, secret = zmq.curve_keypair()
            sock.curve_publickey, sock.curve_secretkey = public, secret
            sock.curve_serverkey = self.public_key
        sock.connect(self.address)


class PrivateEndpoints:
    """Makes endpoints of one run and removes what they leave on the disk."""

    def __init__(self, *, tcp: bool = sys.platform == "win32") -> None:
        self._tcp = tcp
        self._folder: PrivateFolder | None = None
        self._ports: set[int] = set()

    def __call__(self, name: str) -> Endpoint:
        """A new endpoint called `name`."""
        if self._tcp:
            public, secret = zmq.curve_keypair()
            # Nothing is bound yet, so the system may name a port twice.
            port = next(port for port in iter(_free_port, None) if port not in self._ports)
            self._ports.add(port)
            return Endpoint(f"tcp://127.0.0.1:{port}", public, secret)
        if self._folder is None:
            self._folder = PrivateFolder()
        return Endpoint(f"ipc://{self._folder.path / name}")

    def close(self) -> None:
        """Remove the folder of the sockets."""
        if self._folder is not None:
            self._folder.close()
            self._folder = None

    def __enter__(self) -> PrivateEndpoints:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def _free_port() -> int:
    # Another program could take the port before we bind it; binding then fails loudly.
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
        assert isinstance(port, int)
        return port
