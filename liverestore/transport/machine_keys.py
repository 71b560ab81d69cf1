"""CURVE keys of machines: this one's own pair, and those that it lets in.

Two files of mode 0600 in a folder of mode 0700: `machine.key` holds this machine's name and its
secret, `authorised.keys` a line for each machine that may use its engines. A public key is told
as one line of text, `liverestore-key:NAME:` and 64 hexadecimal digits, because Z85, the usual
spelling, is full of characters that shells and mails change.
"""

from __future__ import annotations

import re
import socket
import stat
import sys
from dataclasses import dataclass, field
from pathlib import Path

import zmq
from zmq.utils import z85

from liverestore.errors import Failure, UserError
from liverestore.paths import replace_file, user_data

__all__ = ["KeyFolder", "MachineKey", "PublicKey", "parse_key"]

_TEXT = re.compile(r"liverestore-key:([A-Za-z0-9._-]{1,64}):([0-9a-f]{64})")
_SECRET = re.compile(r"([A-Za-z0-9._-]{1,64}) ([0-9a-f]{64})\n?")
_MOST_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class PublicKey:
    """The public key of the machine called `name`; its `str` is the line that is pasted."""

    name: str
    raw: bytes
    """32 bytes."""

    @property
    def z85(self) -> bytes:
        """As ZeroMQ takes it."""
        return z85.encode(self.raw)

    def __str__(self) -> str:
        return f"liverestore-key:{self.name}:{self.raw.hex()}"


@dataclass(frozen=True, slots=True)
class MachineKey:
    """The key pair of this machine."""

    public: PublicKey
    secret: bytes = field(repr=False)
    """As ZeroMQ takes it (Z85)."""


def parse_key(text: str) -> PublicKey:
    """The key that a pasted line tells. Raises `UserError` for another text."""
    match = _TEXT.fullmatch(text.strip())
    if match is None:
        shown = text.strip()[:40]
        raise UserError(
            f"key: got {shown!r}, which is no key of a machine; paste the whole line that "
            "`liverestore keys` prints there: liverestore-key:NAME: and 64 hexadecimal digits"
        )
    return PublicKey(match[1], bytes.fromhex(match[2]))


class KeyFolder:
    """The keys on this machine; made only when something is to be kept."""

    def __init__(self, folder: Path | None = None) -> None:
        """`folder`: where the files lie; None: `keys` beside the user's engines and rigs."""
        self._folder = folder or user_data() / "keys"

    @property
    def own_file(self) -> Path:
        """Where this machine's secret lies."""
        return self._folder / "machine.key"

    def own(self) -> MachineKey:
        """This machine's pair.

        Raises `UserError` where there is none, where others may read it, or where it is no key.
        """
        if not self.own_file.is_file():
            raise UserError("this machine has no key yet; make one with `liverestore keys`")
        match = _SECRET.fullmatch(self._read(self.own_file))
        if match is None:
            raise UserError(
                f"{self.own_file} is no key; delete it, make another with `liverestore keys` and "
                "authorise that on the other machines"
            )
        secret = z85.encode(bytes.fromhex(match[2]))
        public = z85.decode(zmq.curve_public(secret))
        return MachineKey(PublicKey(match[1], public), secret)

    def own_or_new(self, name: str | None = None) -> MachineKey:
        """This machine's pair, made now if there is none.

        `name` is what other machines will call it; None: its host name. Raises `UserError` for a
        name that fits no key, and where a pair of another name exists; `Failure` where the disk
        refuses.
        """
        if self.own_file.is_file():
            own = self.own()
            if name not in (None, own.public.name):
                raise UserError(
                    f"this machine's key is called {own.public.name!r} already; leave out --name"
                )
            return own
        said = name or re.sub(r"[^A-Za-z0-9._-]", "-", socket.gethostname())[:64] or "machine"
        if not re.fullmatch(r"[A-Za-z0-9._-]{1,64}", said):
            raise UserError(
                f"name: got {said!r}; allowed are up to 64 letters, digits, dots, - and _"
            )
        _, secret = zmq.curve_keypair()
        self._write(self.own_file, f"{said} {z85.decode(secret).hex()}\n")
        return self.own()

    def authorised(self) -> dict[str, PublicKey]:
        """Name -> key of the machines that are let in. Raises `UserError` as `own` does."""
        file = self._folder / "authorised.keys"
        if not file.is_file():
            return {}
        try:
            keys = [parse_key(line) for line in self._read(file).splitlines() if line.strip()]
        except UserError as error:
            raise UserError(f"{file}: {error}") from None
        return {key.name: key for key in keys}

    def authorise(self, text: str) -> PublicKey:
        """Let in the machine whose key is `text`.

        Raises `UserError` for a text that is none, and for another key of a known name.
        """
        key = parse_key(text)
        known = self.authorised()
        if key.name in known and known[key.name] != key:
            raise UserError(
                f"a machine {key.name!r} with another key is authorised already; if it has a new "
                f"one, forget the old one first: liverestore keys --forget {key.name}"
            )
        self._keep({**known, key.name: key})
        return key

    def forget(self, name: str) -> None:
        """Let machine `name` in no more. Raises `UserError` for one that is not known."""
        known = self.authorised()
        if name not in known:
            raise UserError(
                f"no machine {name!r} is authorised; those that are: {', '.join(known) or 'none'}"
            )
        del known[name]
        self._keep(known)

    def find(self, text: str) -> PublicKey:
        """The key that `text` is, or that of the authorised machine of this name."""
        known = self.authorised()
        return known[text] if text in known else parse_key(text)

    def _keep(self, keys: dict[str, PublicKey]) -> None:
        self._write(
            self._folder / "authorised.keys", "".join(f"{keys[name]}\n" for name in sorted(keys))
        )

    def _read(self, file: Path) -> str:
        try:
            mode = stat.S_IMODE(file.stat().st_mode)
            if sys.platform != "win32" and mode & 0o077:
                raise UserError(
                    f"{file} has mode {mode:04o}: other users can read or change it; "
                    f"make it yours alone with: chmod 600 {file}"
                )
            with file.open("rb") as opened:
                return opened.read(_MOST_BYTES).decode("ascii")
        except OSError as error:
            raise UserError(f"{file} cannot be read: {error.strerror}") from None
        except UnicodeDecodeError:
            raise UserError(f"{file} is no file of keys") from None

    def _write(self, file: Path, text: str) -> None:
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            if sys.platform != "win32":
                self._folder.chmod(0o700)
            replace_file(file, text.encode("ascii"))
        except OSError as error:
            raise Failure(f"{file} cannot be written: {error.strerror}") from None
